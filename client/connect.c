#include "connect.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t cn_connect_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail for this clock */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void attempt_end(struct cn_attempt *a)
{
    if (a->state == CN_ATTEMPT_RESOLVING)
        cn_resolve_forget(a->resolve);
    else if (a->state != CN_ATTEMPT_NONE && a->socket >= 0)
        close(a->socket);
    cn_wipe(a, sizeof *a);
}

static void attempts_end(struct cn_connect *c)
{
    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++)
        attempt_end(&c->attempt[i]);
}

void cn_connect_close(struct cn_connect *c)
{
    attempts_end(c);
    if (c->socket >= 0)
        close(c->socket);
    *c = (struct cn_connect)CN_CONNECT_NONE;
}

int cn_connect_take(struct cn_connect *c)
{
    int socket = c->socket;

    c->socket = -1;
    cn_connect_close(c);
    return socket;
}

/* --- what failed ---------------------------------------------------------------------------- */

/* Which address, through which proxy, or at which endpoint of its name. */
static void about_text(const struct cn_connect *c, const struct cn_candidate *candidate,
                       const char *reason, char *out, size_t size)
{
    const char *address = c->fingerprint->address[candidate->address_index];
    struct cn_endpoint literal;
    char host[64];
    char proxy[CN_PROXY_NAME_SIZE];
    const char *before = "";
    const char *where = "";

    if (candidate->proxied) {
        before = " through ";
        where = cn_proxy_setting_name(c->setting, proxy);
    } else if (candidate->endpoint.size > 0 && !cn_endpoint_literal(address, &literal)) {
        before = " at ";
        where = cn_endpoint_text(&candidate->endpoint, host, sizeof host);
    }
    snprintf(out, size, "%s%s%s%s%s", address, before, where, reason ? ": " : "",
             reason ? reason : "");
}

/* This machine has no such family: whatever else failed says more. */
static bool says_little(int system_error)
{
    return system_error == ENETUNREACH || system_error == EAFNOSUPPORT ||
           system_error == EADDRNOTAVAIL;
}

/* This one has failed: the next is due at once. */
static void failed(struct cn_connect *c, const struct cn_candidate *candidate, enum cn_err err,
                   int system_error, const char *reason)
{
    char about[sizeof c->home->detail.about];

    c->next_ms = 0;
    if (c->error != CN_OK && says_little(system_error))
        return;
    about_text(c, candidate, reason, about, sizeof about);
    c->error = cn_home_fail(c->home, err, system_error, about);
}

static enum cn_err blamed(const struct cn_candidate *candidate)
{
    return candidate->proxied ? CN_E_PROXY : CN_E_UNREACHABLE;
}

/* --- an attempt: looking up ----------------------------------------------------------------- */

/* The endpoints of an address go before those of addresses behind it. */
static void queue_put(struct cn_connect *c, const struct cn_candidate *like,
                      const struct cn_endpoint *endpoint, size_t count)
{
    if (count > CN_CONNECT_QUEUE_SIZE - c->queue_count)
        count = CN_CONNECT_QUEUE_SIZE - c->queue_count;
    memmove(c->queue + count, c->queue, c->queue_count * sizeof c->queue[0]);
    for (size_t i = 0; i < count; i++) {
        c->queue[i] = *like;
        c->queue[i].endpoint = endpoint[i];
    }
    c->queue_count += count;
}

static void resolving_step(struct cn_connect *c, struct cn_attempt *a, uint64_t now_ms)
{
    const struct cn_candidate candidate = a->candidate;
    struct cn_resolved resolved;

    if (!cn_resolve_take(a->resolve, &resolved)) {
        if (now_ms < a->until_ms)
            return;
        attempt_end(a);
        failed(c, &candidate, blamed(&candidate), 0, "its name was not looked up in time");
        return;
    }
    a->state = CN_ATTEMPT_NONE;
    if (resolved.count == 0) {
        failed(c, &candidate, blamed(&candidate), resolved.system_error, resolved.reason);
        return;
    }
    queue_put(c, &candidate, resolved.endpoint, resolved.count);
    c->next_ms = 0;
}

/* --- an attempt: connecting ----------------------------------------------------------------- */

/* Best effort: a socket without these works, only slower; and one that waits while its path is gone
 * finds that out from the server's silence, later. */
static void tune(int socket)
{
    const int on = 1, after_s = CN_CONNECT_PROBE_S, count = CN_CONNECT_PROBE_COUNT;

    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &after_s, sizeof after_s);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &after_s, sizeof after_s);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* This one has won. */
static void won(struct cn_connect *c, struct cn_attempt *a)
{
    c->socket = a->socket;
    c->address_index = a->candidate.address_index;
    a->socket = -1;
    attempts_end(c);
}

static void connected(struct cn_connect *c, struct cn_attempt *a, uint64_t now_ms)
{
    if (!a->candidate.proxied) {
        won(c, a);
        return;
    }
    a->state = CN_ATTEMPT_ASKING;
    a->until_ms = now_ms + CN_CONNECT_PROXY_MS;
    c->next_ms = now_ms + CN_CONNECT_PROXY_NEXT_MS;
    cn_proxy_start(&a->proxy, c->setting, c->fingerprint->address[a->candidate.address_index]);
}

/* How the socket stands: 0, EINPROGRESS, or why it failed. */
static int outcome(const struct cn_attempt *a, uint64_t now_ms)
{
    struct pollfd p = { a->socket, POLLOUT, 0 };
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&p, 1, 0) <= 0)
        return now_ms < a->until_ms ? EINPROGRESS : ETIMEDOUT;
    return getsockopt(a->socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static void connecting_took(struct cn_connect *c, struct cn_attempt *a, int error, uint64_t now_ms)
{
    const struct cn_candidate candidate = a->candidate;

    if (error == 0) {
        connected(c, a, now_ms);
    } else if (error != EINPROGRESS) {
        attempt_end(a);
        failed(c, &candidate, blamed(&candidate), error, NULL);
    }
}

static void connecting_begin(struct cn_connect *c, struct cn_attempt *a,
                             const struct cn_candidate *candidate, uint64_t now_ms)
{
    const struct cn_endpoint *e = &candidate->endpoint;
    int error = 0;

    a->state = CN_ATTEMPT_CONNECTING;
    a->candidate = *candidate;
    a->until_ms = now_ms + CN_CONNECT_TIMEOUT_MS;
    a->socket = socket(e->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->socket < 0) {
        connecting_took(c, a, errno, now_ms);
        return;
    }
    tune(a->socket);
    if (connect(a->socket, (const struct sockaddr *)&e->at, e->size) != 0)
        error = errno == EINTR ? EINPROGRESS : errno; /* it goes on all the same */
    connecting_took(c, a, error, now_ms);
}

/* --- an attempt: asking the proxy ----------------------------------------------------------- */

/* Send what there is, then take what it says. CN_OK, CN_E_MORE, or why not. EAGAIN, EINTR: later.
 */
static enum cn_err proxy_exchange(struct cn_attempt *a, int *system_error)
{
    uint8_t octets[512];
    size_t size;
    const uint8_t *from = cn_proxy_output(&a->proxy, &size);
    ssize_t moved;

    if (size > 0) {
        moved = send(a->socket, from, size, MSG_NOSIGNAL);
        if (moved > 0)
            cn_proxy_sent(&a->proxy, (size_t)moved);
    } else {
        moved = recv(a->socket, octets, sizeof octets, 0);
        if (moved > 0)
            return cn_proxy_input(&a->proxy, octets, (size_t)moved);
    }
    if (moved > 0 || (moved < 0 && (errno == EAGAIN || errno == EINTR)))
        return CN_E_MORE;
    *system_error = moved < 0 ? errno : 0;
    return CN_E_PROXY;
}

static void asking_step(struct cn_connect *c, struct cn_attempt *a, uint64_t now_ms)
{
    const struct cn_candidate candidate = a->candidate;
    char reason[CN_PROXY_REASON_SIZE] = "it hung up";
    int system_error = 0;
    enum cn_err err = proxy_exchange(a, &system_error);

    if (err == CN_OK) {
        won(c, a);
        return;
    }
    if (err == CN_E_MORE && now_ms < a->until_ms)
        return;
    if (err == CN_E_MORE) {
        err = CN_E_PROXY;
        system_error = ETIMEDOUT;
    }
    if (a->proxy.state == CN_PROXY_FAILED)
        memcpy(reason, a->proxy.reason, sizeof reason);
    attempt_end(a);
    failed(c, &candidate, err, system_error, system_error ? NULL : reason);
}

/* --- all of them ---------------------------------------------------------------------------- */

static void attempt_step(struct cn_connect *c, struct cn_attempt *a, uint64_t now_ms)
{
    switch (a->state) {
    case CN_ATTEMPT_RESOLVING:
        resolving_step(c, a, now_ms);
        break;
    case CN_ATTEMPT_CONNECTING:
        connecting_took(c, a, outcome(a, now_ms), now_ms);
        break;
    case CN_ATTEMPT_ASKING:
        asking_step(c, a, now_ms);
        break;
    case CN_ATTEMPT_NONE:
        break;
    }
}

/* One that is free, or NULL. */
static const struct cn_attempt *attempt_free(const struct cn_connect *c)
{
    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++) {
        if (c->attempt[i].state == CN_ATTEMPT_NONE)
            return &c->attempt[i];
    }
    return NULL;
}

static bool any_under_way(const struct cn_connect *c)
{
    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++) {
        if (c->attempt[i].state != CN_ATTEMPT_NONE)
            return true;
    }
    return false;
}

/* Something to begin with, and room for it. */
static bool more_to_try(const struct cn_connect *c)
{
    return (c->queue_count > 0 || c->left > 0) && attempt_free(c);
}

/* The next address: its endpoint if it tells that itself, else a lookup under way. */
static void address_begin(struct cn_connect *c, struct cn_attempt *a, uint64_t now_ms)
{
    struct cn_candidate candidate = { .address_index = c->next };
    const char *address = c->fingerprint->address[c->next];
    const char *named;
    enum cn_err err;

    candidate.proxied = cn_proxy_setting_applies(c->setting, address);
    named = candidate.proxied ? c->setting->address : address;
    c->next = (c->next + 1) % c->fingerprint->address_count;
    c->left--;
    if (candidate.proxied && cn_address_service(address)) {
        failed(c, &candidate, CN_E_PROXY, 0, "DNS is not asked where there is a proxy");
    } else if (cn_endpoint_literal(named, &candidate.endpoint)) {
        connecting_begin(c, a, &candidate, now_ms);
    } else {
        err = cn_resolve_start(&a->resolve, named, &c->home->random);
        if (err != CN_OK) {
            failed(c, &candidate, blamed(&candidate), err == CN_E_SYSTEM ? errno : 0,
                   err == CN_E_SYSTEM ? NULL : cn_err_text(err));
            return;
        }
        a->state = CN_ATTEMPT_RESOLVING;
        a->candidate = candidate;
        a->until_ms = now_ms + CN_CONNECT_LOOKUP_MS;
    }
}

static void next_begin(struct cn_connect *c, uint64_t now_ms)
{
    struct cn_attempt *a = &c->attempt[attempt_free(c) - c->attempt];
    struct cn_candidate candidate;

    c->next_ms = now_ms + CN_CONNECT_NEXT_MS;
    if (c->queue_count == 0) {
        address_begin(c, a, now_ms);
        return;
    }
    candidate = c->queue[0];
    c->queue_count--;
    memmove(c->queue, c->queue + 1, c->queue_count * sizeof c->queue[0]);
    connecting_begin(c, a, &candidate, now_ms);
}

enum cn_err cn_connect_step(struct cn_connect *c, uint64_t now_ms)
{
    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX && c->socket < 0; i++)
        attempt_step(c, &c->attempt[i], now_ms);
    while (c->socket < 0 && more_to_try(c) && (now_ms >= c->next_ms || !any_under_way(c)))
        next_begin(c, now_ms);
    if (c->socket >= 0)
        return CN_OK;
    if (any_under_way(c))
        return CN_E_MORE;
    return c->error != CN_OK ? c->error : CN_E_UNREACHABLE;
}

enum cn_err cn_connect_start(struct cn_connect *c, struct cn_home *home,
                             const struct cn_fingerprint *fingerprint,
                             const struct cn_proxy_setting *setting, size_t first, size_t count,
                             uint64_t now_ms)
{
    assert(first < fingerprint->address_count && count <= fingerprint->address_count);
    cn_connect_close(c);
    c->home = home;
    c->fingerprint = fingerprint;
    c->setting = setting;
    c->next = first;
    c->left = count;
    c->error = CN_OK;
    return cn_connect_step(c, now_ms);
}

/* --- waiting -------------------------------------------------------------------------------- */

static struct pollfd waited_for(const struct cn_attempt *a)
{
    size_t size = 0;

    if (a->state == CN_ATTEMPT_RESOLVING)
        return (struct pollfd) { cn_resolve_descriptor(a->resolve), POLLIN, 0 };
    if (a->state == CN_ATTEMPT_ASKING)
        (void)cn_proxy_output(&a->proxy, &size);
    return (struct pollfd) { a->socket,
                             a->state == CN_ATTEMPT_ASKING && size == 0 ? POLLIN : POLLOUT, 0 };
}

size_t cn_connect_descriptors(const struct cn_connect *c, struct pollfd *descriptors, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX && count < max; i++) {
        if (c->attempt[i].state != CN_ATTEMPT_NONE)
            descriptors[count++] = waited_for(&c->attempt[i]);
    }
    return count;
}

uint64_t cn_connect_due_ms(const struct cn_connect *c)
{
    uint64_t due_ms = more_to_try(c) ? c->next_ms : UINT64_MAX;

    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++) {
        if (c->attempt[i].state != CN_ATTEMPT_NONE && c->attempt[i].until_ms < due_ms)
            due_ms = c->attempt[i].until_ms;
    }
    return due_ms;
}
