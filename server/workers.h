/* workers.h - the gate's side of the switch workers: gives them pairs, and keeps account of whose
 * calls are with them. What it knows of a pair that has been handed over is what they report. */
#ifndef CN_WORKERS_H
#define CN_WORKERS_H

#include <stdbool.h>

#include "channel.h"
#include "loop.h"
#include "owners.h"

struct cn_workers;

enum {
    CN_WORKERS_MAX = 96,          /* draining ones too: all that a supervisor can have */
    CN_WORKERS_IN_FLIGHT_MAX = 64 /* pairs that one has not yet acknowledged */
};

struct cn_workers_setup {
    struct cn_loop *loop;     /* borrowed, as all here */
    struct cn_owners *owners; /* whose joined it counts, each pair as a line of both */
    uint32_t pairs_max;       /* of one worker, and in all */
    /* A worker has named a pair that another gate had handed over. There may be no room to count
     * it. */
    void (*appeared)(void *context, const struct cn_party party[2]);
    /* A pair has ended, or could not be handed over (CN_SWITCH_BROKEN, nothing moved). Its owners
     * are given back afterwards. */
    void (*ended)(void *context, const uint32_t owner[2], const uint64_t bytes[2],
                  enum cn_switch_outcome outcome);
    /* Of one that has ended, none had said that it had it: no worker counts it. May be NULL. */
    void (*untaken)(void *context);
    /* All workers have done what cn_workers_cut asked, of so many pairs in all. */
    void (*was_cut)(void *context, uint32_t count);
    void *context;
    /* A worker owed an answer for too long, or lied. It has been left, and its pairs have ended;
     * whoever can end the process is to do so. May be NULL. */
    void (*faulty)(uint32_t number);
};

/* CN_E_MEMORY */
CN_MUST_USE enum cn_err cn_workers_create(struct cn_workers **workers,
                                          const struct cn_workers_setup *setup);
/* Pairs that no worker has acknowledged are closed; the others do not notice. */
void cn_workers_destroy(struct cn_workers *workers);

/* A worker came: owns channel on CN_OK. One that drains gets no more pairs. CN_E_LIMIT,
 * CN_E_MEMORY, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_workers_add(struct cn_workers *workers, int channel, uint32_t number,
                                       bool draining);

/* With limits on what a subscriber moves, his calls go to one worker if they can, which then counts
 * all of them; else each pair goes to the worker with the fewest. */
void cn_workers_keep_together(struct cn_workers *workers, bool together);

/* Hand two connected sockets over, which are owned from here on; their owners' lines count for the
 * pair. They wait if no worker can take them just now. False: there is no room for a pair, and
 * nothing was taken. */
bool cn_workers_join(struct cn_workers *workers, const int fd[2], const uint32_t owner[2]);
/* End every pair of this subscriber. was_cut tells when that has been done. */
void cn_workers_cut(struct cn_workers *workers, uint64_t who);
/* Another gate has come, to which the workers name their pairs. */
void cn_workers_leave(struct cn_workers *workers);
/* No worker owes an answer to a CUT, nor the name of a pair that has not appeared yet. */
bool cn_workers_has_cut(const struct cn_workers *workers);
/* Pairs in all; of these, not yet acknowledged. */
uint32_t cn_workers_pairs(const struct cn_workers *workers);
uint32_t cn_workers_handing(const struct cn_workers *workers);

#endif
