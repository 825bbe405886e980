/* worker.h - a switch worker: takes pairs from gates, has the switch move their octets, and tells
 * the gate how they end.
 *
 * It holds no key, opens no file, and what it is told is messages of fixed size (channel.h). Gates
 * come and go: the last to come hears of every pair there is, and cuts whom it will. Nothing waits
 * in memory for a gate that does not listen but what there is of each pair anyway. */
#ifndef CN_WORKER_H
#define CN_WORKER_H

#include "channel.h"
#include "loop.h"
#include "page.h"

struct cn_worker;

/* For limits.pairs_max pairs. loop and page are borrowed. page has an owner for each end of a pair,
 * and what the worker counts. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_worker_create(struct cn_worker **worker, struct cn_loop *loop,
                                         const struct cn_page_map *page,
                                         const struct cn_switch_limits *limits);
void cn_worker_destroy(struct cn_worker *worker);

/* Serve this gate too, and name all pairs to it; owns channel on CN_OK. Of more than
 * CN_CHANNEL_GATES_MAX the one that came first is left. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_worker_gate(struct cn_worker *worker, int channel);
void cn_worker_limits(struct cn_worker *worker, const struct cn_switch_limits *limits);
/* The bucket of limits.rate_all is one that other workers use too; borrowed. */
void cn_worker_share_rate(struct cn_worker *worker, cn_bucket *all);
void cn_worker_rate(struct cn_worker *worker, uint8_t limits_class, uint64_t rate);
/* Nothing is left, nor will a gate that came before the last bring any more. */
bool cn_worker_is_idle(const struct cn_worker *worker);
/* Once each turn of the loop; true: come back at once. */
bool cn_worker_turn(struct cn_worker *worker);

#endif
