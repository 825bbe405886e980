/* switch.h - the switch: joins two lines and moves octets between them. It holds no key, parses
 * nothing and opens no file.
 *
 * What passes between it and the gate are descriptors, opaque owner numbers and counts, so that the
 * two can be processes. */
#ifndef CN_SWITCH_H
#define CN_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "counts.h"
#include "err.h"
#include "loop.h"
#include "owners.h"
#include "rates.h"

struct cn_switch;

/* What an end is to the switch. */
struct cn_switch_end {
    int fd;
    uint32_t owner; /* a number of its subscriber */
};

/* The only thing that anybody ever hears of a pair: id, as it was joined under, and the octets
 * moved from each end. */
typedef void cn_switch_ended(void *context, uint32_t id, const uint64_t bytes[2],
                             enum cn_switch_outcome outcome);

struct cn_switch_limits {
    uint32_t pairs_max; /* fixed at creation */
    uint32_t pipes_max;
    uint32_t turn_size; /* octets of bulk, before others are looked at */
    uint64_t idle_ms;   /* 0: no limit */
    uint64_t stall_ms;
    uint64_t rate_all;  /* octets per second of all together; 0: no limit */
    uint32_t owner_max; /* owner numbers are below it; fixed at creation */
};

/* loop is borrowed for the life of the switch, as are owners, [owner_max], whose bytes it counts
 * (NULL: does not), and counts, which are zeroed at first. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_switch_create(struct cn_switch **sw, struct cn_loop *loop,
                                         const struct cn_switch_limits *limits,
                                         struct cn_owner *owners, struct cn_switch_counts *counts,
                                         cn_switch_ended *ended, void *context);
/* Closes all pairs. */
void cn_switch_destroy(struct cn_switch *sw);
/* The bucket of limits.rate_all is one that others use too, borrowed for the life of the switch. */
void cn_switch_share_rate(struct cn_switch *sw, cn_bucket *all);
/* Octets per second that an owner of this class may send; 0: no limit, as at first. Without owners
 * everybody is of class 0. */
void cn_switch_rate_set(struct cn_switch *sw, uint8_t limits_class, uint64_t rate);
void cn_switch_limits_set(struct cn_switch *sw, const struct cn_switch_limits *limits);

/* Take two connected sockets: on CN_OK the switch owns them. CN_E_LIMIT: no room for a pair;
 * CN_E_SYSTEM: epoll refused (errno). The caller keeps the descriptors then. */
CN_MUST_USE enum cn_err cn_switch_join(struct cn_switch *sw, const struct cn_switch_end end[2],
                                       uint32_t id);
/* End every pair of this owner; how many. ended is called for each. */
uint32_t cn_switch_cut(struct cn_switch *sw, uint32_t owner);
struct cn_switch_counts cn_switch_counts(const struct cn_switch *sw);
/* Work left over from this turn; true: there is still some, come back at once. */
bool cn_switch_turn(struct cn_switch *sw);

#endif
