#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "home.h"

enum { BACKLOG = 64 };

union ancillary {
    struct cmsghdr head;
    char octets[CMSG_SPACE(sizeof(int))];
};

void cn_socket_path(const struct cn_home *home, char path[PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool in_one = strcmp(home->data, home->config) == 0;

    if (!in_one && runtime && runtime[0] == '/' && strlen(runtime) < PATH_MAX - 64)
        snprintf(path, PATH_MAX, "%s/cyphernet-agent.socket", runtime);
    else
        cn_home_path(home, "agent.socket", path);
}

/* An address has room for a short path only: one that is long is put through a descriptor of its
 * directory, which *directory becomes. False: errno. */
static bool address_make(const char *path, struct sockaddr_un *address, int *directory)
{
    char place[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int size;

    *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
    *directory = -1;
    if (strlen(path) < sizeof address->sun_path) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return true;
    }
    snprintf(place, sizeof place, "%.*s", (int)(slash - path), path);
    *directory = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return false;
    size = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s", *directory,
                    slash);
    errno = ENAMETOOLONG;
    return size > 0 && (size_t)size < sizeof address->sun_path;
}

static void close_keeping_errno(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

int cn_socket_listen(const char *path)
{
    struct sockaddr_un address;
    int directory = -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    bool listens = fd >= 0 && address_make(path, &address, &directory) &&
                   (unlink(path) == 0 || errno == ENOENT) &&
                   bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(fd, BACKLOG) == 0;

    close_keeping_errno(directory);
    (void)umask(mask);
    if (listens)
        return fd;
    close_keeping_errno(fd);
    return -1;
}

int cn_socket_connect(const char *path)
{
    struct sockaddr_un address;
    int directory = -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && address_make(path, &address, &directory) &&
                     connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    close_keeping_errno(directory);
    if (connected)
        return fd;
    close_keeping_errno(fd);
    return -1;
}

bool cn_socket_is_ours(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

ssize_t cn_socket_send(int fd, const void *octets, size_t size, int passed)
{
    union ancillary ancillary = { .octets = { 0 } };
    struct iovec part = { (void *)(uintptr_t)octets, size };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

    if (passed >= 0) {
        header.msg_control = &ancillary;
        header.msg_controllen = sizeof ancillary;
        ancillary.head = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof passed),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&ancillary.head), &passed, sizeof passed);
    }
    return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t cn_socket_receive(int fd, void *octets, size_t size, int *passed)
{
    union ancillary ancillary = { .octets = { 0 } };
    struct iovec part = { octets, size };
    struct msghdr header = { .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &ancillary,
                             /* CMSG_SPACE would have room for one more */
                             .msg_controllen = CMSG_LEN(sizeof *passed) };
    ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&header) : NULL;

    *passed = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof *passed))
        memcpy(passed, CMSG_DATA(c), sizeof *passed);
    return got;
}
