#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* False: errno. */
static bool bind_one(struct cn_listeners *listeners, const struct addrinfo *a)
{
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (a->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return false;
    }
    listeners->fd[listeners->count++] = fd;
    return true;
}

/* An address of the name that this machine has not, IPv6 where that is off, say: another will do.
 */
static bool not_here(int number)
{
    return number == EAFNOSUPPORT || number == EADDRNOTAVAIL;
}

/* HOST:PORT, where HOST may be * for every address. */
static enum cn_err bind_address(struct cn_listeners *listeners, const char *address)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    const char *colon = strrchr(address, ':');
    char host[CN_ADDRESS_SIZE_MAX + 1] = "";
    struct addrinfo *found = NULL;
    size_t size = colon ? (size_t)(colon - address) : 0;
    bool any = size == 1 && address[0] == '*';
    size_t bound = 0;
    int number = 0;

    if (!colon)
        return CN_E_NAME;
    if (address[0] == '[' && size > 2)
        memcpy(host, address + 1, size - 2);
    else
        memcpy(host, address, size);
    if (getaddrinfo(any ? NULL : host, colon + 1, &hints, &found) != 0)
        return CN_E_NAME;
    for (const struct addrinfo *a = found; a && (number == 0 || not_here(number)); a = a->ai_next) {
        if (listeners->count == sizeof listeners->fd / sizeof listeners->fd[0])
            break;
        if (bind_one(listeners, a))
            bound++;
        else
            number = errno;
    }
    freeaddrinfo(found);
    if (bound > 0 && (number == 0 || not_here(number)))
        return CN_OK;
    errno = number;
    return number != 0 ? CN_E_SYSTEM : CN_E_NAME;
}

enum cn_err cn_listeners_bind(struct cn_listeners *listeners, const struct cn_settings *settings,
                              const char **bad)
{
    listeners->count = 0;
    for (size_t i = 0; i < settings->listen_count; i++) {
        enum cn_err err = bind_address(listeners, settings->listen[i]);

        if (err != CN_OK) {
            int saved = errno;

            *bad = settings->listen[i];
            cn_listeners_close(listeners);
            errno = saved;
            return err;
        }
    }
    return CN_OK;
}

bool cn_listener_take(struct cn_listeners *listeners, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (listeners->count == CN_LISTENERS_MAX || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return false;
    listeners->fd[listeners->count++] = fd;
    return true;
}

void cn_listeners_close(struct cn_listeners *listeners)
{
    while (listeners->count > 0)
        close(listeners->fd[--listeners->count]);
}

void cn_listeners_describe(const struct cn_listeners *listeners, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < listeners->count && used < size; i++) {
        struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
        socklen_t address_size = sizeof address;
        char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
        int wrote;

        if (getsockname(listeners->fd[i], (struct sockaddr *)&address, &address_size) == 0)
            (void)getnameinfo((const struct sockaddr *)&address, address_size, host, sizeof host,
                              port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
        wrote = snprintf(out + used, size - used,
                         address.ss_family == AF_INET6 ? "%s[%s]:%s" : "%s%s:%s", i ? ", " : "",
                         host, port);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
}
