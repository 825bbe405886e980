#include "resolve.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "srv.h"
#include "thread.h"

#define SERVICE_PREFIX "_cyphernet._tcp."

enum { ANSWER_SIZE_MAX = 16384 };

struct cn_resolve {
    pthread_mutex_t mutex;
    bool ended, forgotten; /* under mutex; who comes second frees */
    int ready;             /* ours: readable when the thread has closed its end ... */
    int thread_end;        /* ... of the pipe */
    struct cn_random random;
    char address[CN_ADDRESS_SIZE_MAX + 1];
    struct cn_resolved result; /* the thread's until it has ended */
};

/* --- one host ------------------------------------------------------------------------------- */

/* HOST:PORT, which is valid (PROTOCOL.md 2.2), as getaddrinfo wants it: HOST; the port. */
static const char *split(const char *address, char host[CN_ADDRESS_SIZE_MAX + 1])
{
    const char *colon = strrchr(address, ':');
    bool bracketed = address[0] == '[';
    size_t size = (size_t)(colon - address) - (bracketed ? 2 : 0);

    memcpy(host, address + (bracketed ? 1 : 0), size);
    host[size] = '\0';
    return colon + 1;
}

static void endpoint_set(struct cn_endpoint *endpoint, const struct addrinfo *info)
{
    memset(endpoint, 0, sizeof *endpoint);
    memcpy(&endpoint->at, info->ai_addr, info->ai_addrlen);
    endpoint->size = info->ai_addrlen;
}

bool cn_endpoint_literal(const char *address, struct cn_endpoint *endpoint)
{
    const struct addrinfo numeric = { .ai_socktype = SOCK_STREAM,
                                      .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    char host[CN_ADDRESS_SIZE_MAX + 1];
    struct addrinfo *found = NULL;
    const char *port;

    if (cn_address_service(address))
        return false;
    port = split(address, host);
    if (getaddrinfo(host, port, &numeric, &found) != 0)
        return false;
    endpoint_set(endpoint, found);
    freeaddrinfo(found);
    return true;
}

char *cn_endpoint_text(const struct cn_endpoint *endpoint, char *out, size_t size)
{
    if (getnameinfo((const struct sockaddr *)&endpoint->at, endpoint->size, out, (socklen_t)size,
                    NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(out, size, "?");
    return out;
}

/* The next one of this family, or of any other, that was not taken yet. */
static const struct addrinfo *next_of(const struct addrinfo *at, int family, bool other)
{
    while (at && (at->ai_family == family) == other)
        at = at->ai_next;
    return at;
}

/* The system's order (RFC 6724), but families in turn, as long as there are two. */
static void interleave(struct cn_resolved *r, const struct addrinfo *found)
{
    const struct addrinfo *same = found;
    const struct addrinfo *other = next_of(found, found->ai_family, true);
    int family = found->ai_family;

    while ((same || other) && r->count < CN_ENDPOINT_COUNT_MAX) {
        if (same) {
            endpoint_set(&r->endpoint[r->count++], same);
            same = next_of(same->ai_next, family, false);
        }
        if (other && r->count < CN_ENDPOINT_COUNT_MAX) {
            endpoint_set(&r->endpoint[r->count++], other);
            other = next_of(other->ai_next, family, true);
        }
    }
}

static void host_lookup(struct cn_resolved *r, const char *address)
{
    /* without AI_ADDRCONFIG, for which loopback does not count: a family that is not there costs no
     * time, since connecting fails at once */
    const struct addrinfo any = { .ai_socktype = SOCK_STREAM };
    char host[CN_ADDRESS_SIZE_MAX + 1];
    const char *port = split(address, host);
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, port, &any, &found);

    if (failed == 0) {
        interleave(r, found);
        freeaddrinfo(found);
    } else if (failed == EAI_SYSTEM) {
        r->system_error = errno;
    } else {
        r->reason = gai_strerror(failed);
    }
}

/* --- a service ------------------------------------------------------------------------------ */

/* The octets of the answer about the SRV records of a name; 0: r says why there is none. */
static size_t records_ask(struct cn_resolved *r, const char *name, uint8_t answer[ANSWER_SIZE_MAX])
{
    struct __res_state state;
    int size;

    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0) {
        r->reason = "the resolver cannot be set up";
        return 0;
    }
    size = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, ANSWER_SIZE_MAX);
    if (size < 0)
        r->reason = state.res_h_errno == HOST_NOT_FOUND || state.res_h_errno == NO_DATA
                        ? "there are no SRV records of _cyphernet._tcp for it"
                        : "DNS does not answer";
    res_nclose(&state);
    if (size < 0)
        return 0;
    return size < ANSWER_SIZE_MAX ? (size_t)size : ANSWER_SIZE_MAX;
}

/* The records in the order in which to try them. */
static size_t records_find(struct cn_resolved *r, const struct cn_random *random, const char *name,
                           struct cn_srv srv[CN_SRV_COUNT_MAX])
{
    char full[sizeof SERVICE_PREFIX + CN_ADDRESS_SIZE_MAX];
    uint8_t answer[ANSWER_SIZE_MAX];
    uint32_t chance[CN_SRV_COUNT_MAX];
    size_t count = 0;
    size_t size;

    snprintf(full, sizeof full, SERVICE_PREFIX "%s", name);
    size = records_ask(r, full, answer);
    if (size == 0)
        return 0;
    if (cn_srv_read(answer, size, srv, &count) != CN_OK)
        r->reason = "DNS gives an answer that makes no sense";
    else if (count == 0)
        r->reason = "DNS says that there is no such service";
    else if (cn_random_fill(random, (uint8_t *)chance, sizeof chance) != CN_OK)
        r->reason = cn_err_text(CN_E_RANDOM);
    if (r->reason)
        return 0;
    cn_srv_order(srv, count, chance);
    return count;
}

static void service_lookup(struct cn_resolved *r, const struct cn_random *random, const char *name)
{
    struct cn_srv srv[CN_SRV_COUNT_MAX];
    size_t count = records_find(r, random, name, srv);

    for (size_t i = 0; i < count && r->count < CN_ENDPOINT_COUNT_MAX; i++)
        host_lookup(r, srv[i].address);
    if (r->count > 0) { /* a host without an address is no failure as long as there are others */
        r->reason = NULL;
        r->system_error = 0;
    }
}

/* --- the thread ----------------------------------------------------------------------------- */

static void resolve_free(struct cn_resolve *r)
{
    pthread_mutex_destroy(&r->mutex);
    close(r->ready);
    free(r);
}

static void *resolve_run(void *context)
{
    struct cn_resolve *r = context;
    const char *service = cn_address_service(r->address);
    bool forgotten;

    if (service)
        service_lookup(&r->result, &r->random, service);
    else
        host_lookup(&r->result, r->address);
    pthread_mutex_lock(&r->mutex);
    r->ended = true;
    forgotten = r->forgotten;
    close(r->thread_end);
    pthread_mutex_unlock(&r->mutex);
    if (forgotten)
        resolve_free(r);
    return NULL;
}

enum cn_err cn_resolve_start(struct cn_resolve **resolve, const char *address,
                             const struct cn_random *random)
{
    struct cn_resolve *r = calloc(1, sizeof *r);
    int ends[2];

    if (!r)
        return CN_E_MEMORY;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(r);
        return CN_E_SYSTEM;
    }
    r->ready = ends[0];
    r->thread_end = ends[1];
    r->random = *random;
    snprintf(r->address, sizeof r->address, "%s", address);
    pthread_mutex_init(&r->mutex, NULL);
    errno = cn_thread_start(resolve_run, r);
    if (errno != 0) {
        int saved = errno;

        close(r->thread_end);
        resolve_free(r);
        errno = saved;
        return CN_E_SYSTEM;
    }
    *resolve = r;
    return CN_OK;
}

int cn_resolve_descriptor(const struct cn_resolve *resolve)
{
    return resolve->ready;
}

/* Whether the thread has ended; if not, and nobody shall wait for it, it frees. */
static bool has_ended(struct cn_resolve *resolve, bool forget)
{
    bool ended;

    pthread_mutex_lock(&resolve->mutex);
    ended = resolve->ended;
    resolve->forgotten = forget;
    pthread_mutex_unlock(&resolve->mutex);
    return ended;
}

bool cn_resolve_take(struct cn_resolve *resolve, struct cn_resolved *resolved)
{
    if (!has_ended(resolve, false))
        return false;
    *resolved = resolve->result;
    resolve_free(resolve);
    return true;
}

void cn_resolve_forget(struct cn_resolve *resolve)
{
    if (resolve && has_ended(resolve, true))
        resolve_free(resolve);
}
