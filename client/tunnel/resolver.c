#include "resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "thread.h"

struct cn_lookup_queue {
    struct cn_lookup *first;
    struct cn_lookup *last;
    size_t count;
};

/* Held by its owner and by its threads: getaddrinfo cannot be stopped, and may outlast the owner.
 */
struct cn_resolver {
    pthread_mutex_t mutex;
    int event;        /* of eventfd */
    unsigned holders; /* under mutex, as all that follows */
    unsigned threads; /* that still take from asked */
    bool closed;      /* its owner has gone */
    struct cn_lookup_queue asked;
    struct cn_lookup_queue done;
};

static void push(struct cn_lookup_queue *queue, struct cn_lookup *lookup)
{
    lookup->queue = queue;
    lookup->next = NULL;
    lookup->before = queue->last;
    queue->count++;
    if (queue->last)
        queue->last->next = lookup;
    else
        queue->first = lookup;
    queue->last = lookup;
}

static void take_out(struct cn_lookup *lookup)
{
    struct cn_lookup_queue *queue = lookup->queue;

    if (lookup->before)
        lookup->before->next = lookup->next;
    else
        queue->first = lookup->next;
    if (lookup->next)
        lookup->next->before = lookup->before;
    else
        queue->last = lookup->before;
    queue->count--;
    lookup->queue = NULL;
}

static struct cn_lookup *pop(struct cn_lookup_queue *queue)
{
    struct cn_lookup *lookup = queue->first;

    if (lookup)
        take_out(lookup);
    return lookup;
}

/* Of a queue that is not used any more. */
static void drain(struct cn_lookup_queue *queue)
{
    struct cn_lookup *next;

    for (struct cn_lookup *lookup = queue->first; lookup; lookup = next) {
        next = lookup->next;
        free(lookup);
    }
}

enum cn_err cn_resolver_create(struct cn_resolver **resolver)
{
    struct cn_resolver *r = calloc(1, sizeof *r);

    if (!r)
        return CN_E_MEMORY;
    r->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (r->event < 0) {
        free(r);
        return CN_E_SYSTEM;
    }
    pthread_mutex_init(&r->mutex, NULL);
    r->holders = 1;
    *resolver = r;
    return CN_OK;
}

/* With the mutex, which is let go; the last one frees it. */
static void let_go(struct cn_resolver *r)
{
    bool last = --r->holders == 0;

    pthread_mutex_unlock(&r->mutex);
    if (!last)
        return;
    drain(&r->asked);
    drain(&r->done);
    close(r->event);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

void cn_resolver_free(struct cn_resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->mutex);
    resolver->closed = true;
    let_go(resolver);
}

int cn_resolver_descriptor(const struct cn_resolver *resolver)
{
    return resolver->event;
}

static void look_up(struct cn_lookup *lookup)
{
    const struct addrinfo hints = { .ai_socktype = lookup->socket_type };
    struct addrinfo *found = NULL;

    if (getaddrinfo(lookup->host, lookup->port, &hints, &found) != 0)
        return;
    for (const struct addrinfo *a = found; a && lookup->found_count < CN_LOOKUP_ADDRESS_COUNT_MAX;
         a = a->ai_next) {
        struct cn_address *to = &lookup->found[lookup->found_count];

        if (a->ai_addrlen > sizeof to->octets)
            continue;
        memcpy(&to->octets, a->ai_addr, a->ai_addrlen);
        to->size = a->ai_addrlen;
        lookup->found_count++;
    }
    freeaddrinfo(found);
}

static void *resolver_run(void *context)
{
    struct cn_resolver *r = context;
    struct cn_lookup *lookup;
    const uint64_t one = 1;

    pthread_mutex_lock(&r->mutex);
    while (!r->closed && (lookup = pop(&r->asked))) {
        pthread_mutex_unlock(&r->mutex);
        look_up(lookup);
        pthread_mutex_lock(&r->mutex);
        if (lookup->cancelled) {
            free(lookup);
            continue;
        }
        push(&r->done, lookup);
        if (write(r->event, &one, sizeof one) < 0)
            continue; /* EAGAIN: it is readable as it is */
    }
    r->threads--;
    let_go(r);
    return NULL;
}

/* With the mutex. */
static bool thread_start(struct cn_resolver *r)
{
    if (cn_thread_start(resolver_run, r) != 0)
        return false;
    r->holders++;
    r->threads++;
    return true;
}

struct cn_lookup *cn_resolver_ask(struct cn_resolver *resolver, const char *host, uint16_t port,
                                  int socket_type, void *user)
{
    struct cn_lookup *lookup = calloc(1, sizeof *lookup);
    bool taken;

    if (!lookup)
        return NULL;
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    snprintf(lookup->port, sizeof lookup->port, "%u", port);
    lookup->socket_type = socket_type;
    lookup->user = user;
    pthread_mutex_lock(&resolver->mutex);
    taken = resolver->asked.count < CN_RESOLVER_ASKED_COUNT_MAX &&
            ((resolver->threads < CN_RESOLVER_THREAD_COUNT_MAX && thread_start(resolver)) ||
             resolver->threads > 0);
    if (taken)
        push(&resolver->asked, lookup);
    pthread_mutex_unlock(&resolver->mutex);
    if (taken)
        return lookup;
    free(lookup);
    return NULL;
}

void cn_resolver_cancel(struct cn_resolver *resolver, struct cn_lookup *lookup)
{
    if (!lookup)
        return;
    pthread_mutex_lock(&resolver->mutex);
    if (lookup->queue) {
        take_out(lookup);
        free(lookup);
    } else {
        lookup->cancelled = true;
    }
    pthread_mutex_unlock(&resolver->mutex);
}

struct cn_lookup *cn_resolver_next(struct cn_resolver *resolver)
{
    struct cn_lookup *lookup;
    uint64_t count;

    if (read(resolver->event, &count, sizeof count) < 0)
        count = 0; /* EAGAIN: what is done is looked for all the same */
    pthread_mutex_lock(&resolver->mutex);
    lookup = pop(&resolver->done);
    pthread_mutex_unlock(&resolver->mutex);
    return lookup;
}
