#include "connect.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t cn_connect_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail for this clock */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* HOST:PORT, which is valid (PROTOCOL.md 2.2), as sockets want it: 0 and one at least, or a code
 * for gai_strerror. */
static int resolve(const char *address, struct addrinfo **found)
{
    const struct addrinfo configured = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    const struct addrinfo any = { .ai_socktype = SOCK_STREAM };
    char host[CN_ADDRESS_SIZE_MAX + 1];
    const char *colon = strrchr(address, ':');
    bool bracketed = address[0] == '[';
    size_t size = (size_t)(colon - address) - (bracketed ? 2 : 0);
    int failed;

    memcpy(host, address + (bracketed ? 1 : 0), size);
    host[size] = '\0';
    failed = getaddrinfo(host, colon + 1, &configured, found);
    /* loopback does not count as a configured address */
    if (failed == EAI_NONAME || failed == EAI_ADDRFAMILY || failed == EAI_NODATA)
        failed = getaddrinfo(host, colon + 1, &any, found);
    return failed;
}

static void socket_close(struct cn_connect *c)
{
    if (c->socket >= 0)
        close(c->socket);
    c->socket = -1;
}

void cn_connect_close(struct cn_connect *c)
{
    socket_close(c);
    if (c->found)
        freeaddrinfo(c->found);
    *c = (struct cn_connect)CN_CONNECT_NONE;
}

int cn_connect_take(struct cn_connect *c)
{
    int socket = c->socket;

    c->socket = -1;
    cn_connect_close(c);
    return socket;
}

/* Best effort: a socket without these works, only slower. */
static void tune(int socket)
{
    const int on = 1;

    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* c->at becomes the next one to try; false: there is none. */
static bool advance(struct cn_connect *c)
{
    if (c->at)
        c->at = c->at->ai_next;
    while (!c->at && c->next < c->end) {
        const char *address = c->fingerprint->address[c->next++];
        int failed;

        if (c->found)
            freeaddrinfo(c->found);
        c->found = NULL;
        failed = resolve(address, &c->found);
        if (failed != 0)
            (void)cn_home_fail(c->home, CN_E_UNREACHABLE, failed == EAI_SYSTEM ? errno : 0,
                               address);
        else
            c->at = c->found;
    }
    return c->at != NULL;
}

/* Begin with c->at: 0, EINPROGRESS, or why not. */
static int begin(struct cn_connect *c, uint64_t now_ms)
{
    const struct addrinfo *a = c->at;

    c->socket = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->socket < 0)
        return errno;
    tune(c->socket);
    c->until_ms = now_ms + CN_CONNECT_TIMEOUT_MS;
    if (connect(c->socket, a->ai_addr, a->ai_addrlen) == 0)
        return 0;
    return errno == EINTR ? EINPROGRESS : errno; /* it goes on all the same */
}

/* How the attempt under way stands: 0, EINPROGRESS, or why it failed. */
static int outcome(const struct cn_connect *c, uint64_t now_ms)
{
    struct pollfd p = { c->socket, POLLOUT, 0 };
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&p, 1, 0) == 0)
        return now_ms < c->until_ms ? EINPROGRESS : ETIMEDOUT;
    return getsockopt(c->socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

enum cn_err cn_connect_step(struct cn_connect *c, uint64_t now_ms)
{
    int error = c->socket >= 0 ? outcome(c, now_ms) : ECANCELED;

    while (error != 0 && error != EINPROGRESS) {
        if (c->socket >= 0 || c->at)
            (void)cn_home_fail(c->home, CN_E_UNREACHABLE, error,
                               c->fingerprint->address[c->next - 1]);
        socket_close(c);
        if (!advance(c))
            return CN_E_UNREACHABLE;
        error = begin(c, now_ms);
    }
    return error == 0 ? CN_OK : CN_E_MORE;
}

enum cn_err cn_connect_start(struct cn_connect *c, struct cn_home *home,
                             const struct cn_fingerprint *fingerprint, size_t first, size_t end,
                             uint64_t now_ms)
{
    assert(end <= fingerprint->address_count);
    cn_connect_close(c);
    c->home = home;
    c->fingerprint = fingerprint;
    c->next = first;
    c->end = end;
    return cn_connect_step(c, now_ms);
}
