/* reach.h - a connection to a place, without waiting for it: its name is looked up, and its
 * addresses are tried one after the other. */
#ifndef CN_REACH_H
#define CN_REACH_H

#include "resolver.h"
#include "terminus.h"

#include <cyphernet.h>

enum { CN_REACH_TIMEOUT_MS = 30000, CN_REACH_ATTEMPT_MS = 10000 };

/* The first three are set by whoever begins; the rest is zero. */
struct cn_reach {
    struct cn_resolver *resolver; /* borrowed */
    void *owner;
    void (*looked_up)(void *owner); /* a step is due: the name has been looked up */
    struct cn_lookup *lookup;       /* under way, or NULL */
    struct cn_address address[CN_LOOKUP_ADDRESS_COUNT_MAX];
    size_t count;
    size_t next;
    int socket; /* owned; -1: none */
    int type;   /* SOCK_STREAM or SOCK_DGRAM */
    uint64_t attempt_until_ms;
    uint64_t until_ms;
    enum cn_tunnel_outcome outcome; /* why the last one failed */
};

/* Begin. Then step until that says something else than CN_E_MORE. */
void cn_reach_start(struct cn_reach *reach, const struct cn_terminus *place, uint64_t now_ms);
/* The resolver has handed back the lookup of some reach, and it is freed here. */
void cn_reach_looked_up(struct cn_lookup *lookup);
/* CN_OK: connected; cn_reach_take hands the socket out. CN_E_MORE: not decided; again when the
 * socket, if there is one, is writable, or at cn_reach_due_ms. CN_E_UNREACHABLE: outcome says why.
 */
CN_MUST_USE enum cn_err cn_reach_step(struct cn_reach *reach, uint64_t now_ms);
uint64_t cn_reach_due_ms(const struct cn_reach *reach);
int cn_reach_take(struct cn_reach *reach);
void cn_reach_end(struct cn_reach *reach);

#endif
