/* resolver.h - names into addresses on a few threads, so that one that takes long stops nobody. */
#ifndef CN_RESOLVER_H
#define CN_RESOLVER_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    CN_RESOLVER_THREAD_COUNT_MAX = 4,
    CN_RESOLVER_ASKED_COUNT_MAX = 2048, /* that no thread has come to yet */
    CN_LOOKUP_ADDRESS_COUNT_MAX = 8
};

struct cn_address {
    struct sockaddr_storage octets;
    socklen_t size;
};

struct cn_lookup_queue;

struct cn_lookup {
    struct cn_lookup *next;
    struct cn_lookup *before;
    struct cn_lookup_queue *queue; /* where it is; NULL: a thread has it, or nobody any more */
    bool cancelled;                /* while a thread has it, which frees it then */
    void *user;
    char host[256];
    char port[6];
    int socket_type;
    struct cn_address found[CN_LOOKUP_ADDRESS_COUNT_MAX]; /* once it is done */
    size_t found_count; /* 0: there is no such name, or it could not be asked for */
};

struct cn_resolver;

/* CN_E_MEMORY, CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_resolver_create(struct cn_resolver **resolver);
/* Does not wait for names that are being looked up; NULL is fine. */
void cn_resolver_free(struct cn_resolver *resolver);
/* Readable when a lookup is done. */
int cn_resolver_descriptor(const struct cn_resolver *resolver);

/* Look a name up. host and port are copied. It is handed back by cn_resolver_next, unless it is
 * cancelled. NULL: no memory, no thread, or too many. */
struct cn_lookup *cn_resolver_ask(struct cn_resolver *resolver, const char *host, uint16_t port,
                                  int socket_type, void *user);
/* The pointer is dead afterwards, and all that is kept is what a thread looks up just now; NULL is
 * fine. */
void cn_resolver_cancel(struct cn_resolver *resolver, struct cn_lookup *lookup);
/* One that is done, for free(); NULL: none. */
struct cn_lookup *cn_resolver_next(struct cn_resolver *resolver);

#endif
