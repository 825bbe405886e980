/* room.h - what tunnels hold together: their limits are for all that share a room, so that a
 * program that has many calls holds no more than one that has one. */
#ifndef CN_TUNNEL_ROOM_H
#define CN_TUNNEL_ROOM_H

#include "resolver.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CN_TUNNEL_ACCEPTED_COUNT_MAX = 1000,           /* connections: more wait to be let in ... */
    CN_TUNNEL_CONNECTION_COUNT_MAX = 2048,         /* ... and more are refused to the partner */
    CN_TUNNEL_REACHING_COUNT_MAX = 1024,           /* connections that are not there yet */
    CN_TUNNEL_LENT_COUNT_MAX = 64,                 /* places where a partner listens */
    CN_TUNNEL_FLOW_COUNT_MAX = 256,                /* sources of datagrams */
    CN_TUNNEL_OUTSTANDING_SIZE = 16 * 1024 * 1024, /* not received by partners yet */
    CN_TUNNEL_WAITING_SIZE = 16 * 1024 * 1024      /* datagrams that streams do not take yet */
};

struct cn_tunnel_room {
    unsigned tunnel_count;        /* the last to leave frees it */
    struct cn_resolver *resolver; /* owned */
    size_t connection_count;
    size_t reaching_count;
    size_t lent_count;
    size_t flow_count;
    uint64_t outstanding;
    uint64_t waiting;
    uint64_t unread; /* what windows of their calls have grown by: cn_call_share_extra */
};

/* The room of another tunnel, or if that is NULL one of its own. CN_E_MEMORY; CN_E_SYSTEM (errno).
 */
CN_MUST_USE enum cn_err cn_tunnel_room_enter(struct cn_tunnel_room **room,
                                             struct cn_tunnel_room *other);
/* NULL is fine. */
void cn_tunnel_room_leave(struct cn_tunnel_room *room);

#endif
