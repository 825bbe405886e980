/* switchboard.h - who waits for whom: lines under tags, joined as soon as they match.
 * PROTOCOL.md 3.4
 *
 * Pure: no sockets, no clock. Memory is taken once, at init. A line waits under one or more entries
 * (tag and mode); two lines match with the same tag, opposite modes and different admission keys.
 * First come, first served. Nothing is polled: a match is found when its second half registers. */
#ifndef CN_SWITCHBOARD_H
#define CN_SWITCHBOARD_H

#include "admission.h"

#define CN_SEAT_NONE 0U

/* A line's part in the switchboard, inside the owner's struct; zeroed at first. */
struct cn_waiter {
    uint8_t admission_key[CN_X25519_SIZE];
    uint64_t alive_until_ms; /* skipped from then on: its keep-alive is overdue */
    uint32_t seat;           /* the first of its seats; only while seat_count > 0 */
    uint32_t seat_count;
};

/* One entry of one waiter: with its share of the buckets at most 64 octets. */
struct cn_seat {
    uint8_t tag[CN_TAG_SIZE];
    struct cn_waiter *waiter; /* borrowed; NULL: free */
    uint32_t next_of_waiter;
    uint32_t next_in_bucket;   /* in the order of arrival */
    uint32_t before_in_bucket; /* of the first: the last */
    uint8_t mode;
};

struct cn_switchboard {
    struct cn_seat *seats; /* owned */
    uint32_t seat_max;
    uint32_t free_seat;
    uint32_t seats_used;
    uint32_t *buckets; /* owned: the first seat of each */
    uint32_t bucket_count;
    uint64_t key[CN_TAG_SIZE / 4 + 1]; /* of the hash; secret, so nobody can pile up a bucket */
};

/* What registering led to. */
struct cn_match {
    struct cn_waiter
        *partner;          /* NULL: nobody yet; the waiter waits. Else both are off the board. */
    struct cn_entry entry; /* that matched: the waiter's mode; its partner has the other */
};

/* Called for a line of the same admission key, mode and tag that a new one replaces; it is off the
 * board by then. */
typedef void cn_replaced(void *context, struct cn_waiter *old);

/* seat_max entries in all. CN_E_MEMORY, CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_switchboard_init(struct cn_switchboard *board, uint32_t seat_max,
                                            const struct cn_random *random);
void cn_switchboard_wipe(struct cn_switchboard *board);

/* Take the waiter's entries, instead of any it has. Of several that match, the smallest tag; under
 * one tag, who came first. CN_E_LIMIT: no seats left; nothing has changed then, except that the
 * waiter is off the board. */
CN_MUST_USE enum cn_err cn_switchboard_register(struct cn_switchboard *board,
                                                struct cn_waiter *waiter,
                                                const struct cn_entry *entries, size_t count,
                                                uint64_t now_ms, cn_replaced *replaced,
                                                void *context, struct cn_match *match);
/* Its partner failed: it waits on under the entry that matched, before all others. Matches at once
 * if somebody is there. CN_E_EXISTS: a line of the same admission key waits under that entry by
 * now, which is the one to go on; CN_E_LIMIT as above. */
CN_MUST_USE enum cn_err cn_switchboard_return(struct cn_switchboard *board,
                                              struct cn_waiter *waiter,
                                              const struct cn_entry *entry, uint64_t now_ms,
                                              struct cn_match *match);
/* Off the board; fine if it is not on it. */
void cn_switchboard_leave(struct cn_switchboard *board, struct cn_waiter *waiter);

#endif
