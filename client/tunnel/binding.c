#include "binding.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TRIES = 16 }; /* for a port that both IP versions have free */

_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) > CN_TERMINUS_PATH_SIZE_MAX,
               "a path has room");

socklen_t cn_address_numeric(struct sockaddr_storage *out, const char *name, uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    *out = (struct sockaddr_storage) { 0 };
    if (inet_pton(AF_INET, name, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    if (inet_pton(AF_INET6, name, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    return 0;
}

socklen_t cn_address_unix(struct sockaddr_storage *out, const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    memcpy(un.sun_path, path, strlen(path));
    *out = (struct sockaddr_storage) { 0 };
    memcpy(out, &un, sizeof un);
    return sizeof un;
}

/* A socket bound to that address; -1: errno. */
static int bound(const struct sockaddr_storage *address, socklen_t size, int type)
{
    const int on = 1;
    int fd = socket(address->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -1;
    if (type == SOCK_STREAM && address->ss_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* else it is refused */
    if (address->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on); /* the other has IPv4 */
    if (address->ss_family == AF_UNIX)
        (void)fchmod(fd, 0600); /* the mode with which the path will be made */
    if (bind(fd, (const struct sockaddr *)address, size) == 0 &&
        (type != SOCK_STREAM || listen(fd, SOMAXCONN) == 0))
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int unix_open(struct cn_binding *b, const char *path)
{
    struct sockaddr_storage address;
    socklen_t size = cn_address_unix(&address, path);
    struct stat st;
    int fd = bound(&address, size, SOCK_STREAM);

    if (fd < 0)
        return errno;
    b->socket[b->count++] = fd;
    if (lstat(path, &st) != 0)
        return errno;
    b->path = path;
    b->device = st.st_dev;
    b->inode = st.st_ino;
    return 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t size = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    memcpy(&v4, &address, sizeof v4);
    memcpy(&v6, &address, sizeof v6);
    return ntohs(address.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
}

/* One socket more, at an address; with port 0, at the port that the one before has got. */
static int numeric_open(struct cn_binding *b, const char *name, uint16_t port, int type)
{
    struct sockaddr_storage address;
    socklen_t size = cn_address_numeric(&address, name, port == 0 ? b->port : port);
    int fd = size > 0 ? bound(&address, size, type) : -1;

    if (size == 0)
        return EINVAL;
    if (fd < 0)
        return errno;
    b->socket[b->count++] = fd;
    b->port = port_of(fd);
    return 0;
}

/* Both IP versions, or the one that there is. */
static int both_open(struct cn_binding *b, const char *v4, const char *v6, uint16_t port, int type)
{
    int error = numeric_open(b, v4, port, type);
    int other;

    if (error != 0 && error != EAFNOSUPPORT && error != EADDRNOTAVAIL)
        return error;
    other = numeric_open(b, v6, port, type);
    if (b->count > 0 && (other == EAFNOSUPPORT || other == EADDRNOTAVAIL))
        return 0;
    return other;
}

static int place_open(struct cn_binding *b, const struct cn_terminus *place)
{
    int type = place->form == CN_TERMINUS_UDP ? SOCK_DGRAM : SOCK_STREAM;

    if (place->form == CN_TERMINUS_UNIX)
        return unix_open(b, place->name);
    if (strcmp(place->name, "localhost") == 0)
        return both_open(b, "127.0.0.1", "::1", place->port, type);
    if (strcmp(place->name, "*") == 0)
        return both_open(b, "0.0.0.0", "::", place->port, type);
    return numeric_open(b, place->name, place->port, type);
}

int cn_binding_open(struct cn_binding *binding, const struct cn_terminus *place)
{
    int error = 0;

    *binding = (struct cn_binding) { 0 };
    for (int i = 0; i < TRIES; i++) {
        error = place_open(binding, place);
        if (error == 0)
            return 0;
        cn_binding_close(binding);
        if (error != EADDRINUSE || place->port != 0 || place->form == CN_TERMINUS_UNIX)
            break;
    }
    return error;
}

void cn_binding_close(struct cn_binding *binding)
{
    struct stat st;

    for (size_t i = 0; i < binding->count; i++)
        close(binding->socket[i]);
    if (binding->path && lstat(binding->path, &st) == 0 && st.st_dev == binding->device &&
        st.st_ino == binding->inode)
        (void)unlink(binding->path);
    *binding = (struct cn_binding) { 0 };
}
