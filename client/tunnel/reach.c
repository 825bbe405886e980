#include "reach.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "binding.h"

static void unix_add(struct cn_reach *reach, const char *path)
{
    struct cn_address *a = &reach->address[reach->count++];

    a->size = cn_address_unix(&a->octets, path);
}

static bool numeric_add(struct cn_reach *reach, const char *name, uint16_t port)
{
    struct cn_address *a = &reach->address[reach->count];

    a->size = cn_address_numeric(&a->octets, name, port);
    if (a->size > 0)
        reach->count++;
    return a->size > 0;
}

/* Both versions; a datagram would not find out which of them somebody listens at. */
static void loopback_add(struct cn_reach *reach, uint16_t port)
{
    if (reach->type == SOCK_STREAM)
        (void)numeric_add(reach, "::1", port);
    (void)numeric_add(reach, "127.0.0.1", port);
}

void cn_reach_start(struct cn_reach *reach, const struct cn_terminus *place, uint64_t now_ms)
{
    reach->socket = -1;
    reach->type = place->form == CN_TERMINUS_UDP ? SOCK_DGRAM : SOCK_STREAM;
    reach->until_ms = now_ms + CN_REACH_TIMEOUT_MS;
    reach->outcome = CN_TUNNEL_NO_NAME;
    if (place->form == CN_TERMINUS_UNIX) {
        unix_add(reach, place->name);
    } else if (strcasecmp(place->name, "localhost") == 0) { /* RFC 6761, 6.3 */
        loopback_add(reach, place->port);
    } else if (!numeric_add(reach, place->name, place->port)) {
        reach->lookup =
            cn_resolver_ask(reach->resolver, place->name, place->port, reach->type, reach);
        if (!reach->lookup)
            reach->outcome = CN_TUNNEL_FAILED;
    }
}

void cn_reach_looked_up(struct cn_lookup *lookup)
{
    struct cn_reach *reach = lookup->user;

    reach->lookup = NULL;
    memcpy(reach->address, lookup->found, sizeof reach->address);
    reach->count = lookup->found_count;
    free(lookup);
    reach->looked_up(reach->owner);
}

static enum cn_tunnel_outcome outcome_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ENOENT: /* a path at which nobody listens */
    case ENOTSOCK:
        return CN_TUNNEL_NO_LISTENER;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return CN_TUNNEL_UNREACHABLE;
    case ETIMEDOUT:
        return CN_TUNNEL_TIMED_OUT;
    case EMFILE:
    case ENFILE:
    case EAGAIN: /* a Unix socket whose queue is full */
        return CN_TUNNEL_TOO_MANY;
    default:
        return CN_TUNNEL_FAILED;
    }
}

static void socket_close(struct cn_reach *reach)
{
    if (reach->socket >= 0)
        close(reach->socket);
    reach->socket = -1;
}

/* Begin with the next address: 0, EINPROGRESS, or why not. */
static int begin(struct cn_reach *reach, uint64_t now_ms)
{
    const struct cn_address *a = &reach->address[reach->next++];

    reach->socket = socket(a->octets.ss_family, reach->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (reach->socket < 0)
        return errno;
    reach->attempt_until_ms = now_ms + CN_REACH_ATTEMPT_MS;
    if (connect(reach->socket, (const struct sockaddr *)&a->octets, a->size) == 0)
        return 0;
    return errno == EINTR ? EINPROGRESS : errno;
}

/* How the attempt under way stands: 0, EINPROGRESS, or why it failed. */
static int standing(const struct cn_reach *reach, uint64_t now_ms)
{
    struct pollfd p = { reach->socket, POLLOUT, 0 };
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&p, 1, 0) == 0)
        return now_ms < reach->attempt_until_ms && now_ms < reach->until_ms ? EINPROGRESS
                                                                            : ETIMEDOUT;
    return getsockopt(reach->socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

enum cn_err cn_reach_step(struct cn_reach *reach, uint64_t now_ms)
{
    int error;

    if (reach->lookup && now_ms >= reach->until_ms) {
        reach->outcome = CN_TUNNEL_TIMED_OUT;
        return CN_E_UNREACHABLE;
    }
    if (reach->lookup)
        return CN_E_MORE;
    error = reach->socket >= 0 ? standing(reach, now_ms) : ECANCELED;
    while (error != 0 && error != EINPROGRESS) {
        if (reach->next > 0)
            reach->outcome = outcome_of(error);
        socket_close(reach);
        if (reach->next == reach->count || now_ms >= reach->until_ms)
            return CN_E_UNREACHABLE;
        error = begin(reach, now_ms);
    }
    return error == 0 ? CN_OK : CN_E_MORE;
}

uint64_t cn_reach_due_ms(const struct cn_reach *reach)
{
    return reach->socket >= 0 && reach->attempt_until_ms < reach->until_ms ? reach->attempt_until_ms
                                                                           : reach->until_ms;
}

int cn_reach_take(struct cn_reach *reach)
{
    int taken = reach->socket;

    reach->socket = -1;
    return taken;
}

void cn_reach_end(struct cn_reach *reach)
{
    if (reach->lookup)
        cn_resolver_cancel(reach->resolver, reach->lookup);
    reach->lookup = NULL;
    socket_close(reach);
}
