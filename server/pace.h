/* pace.h - a switch that moves nothing but bulk lets others finish their turns on its core.
 *
 * Woken for every segment, it would take the core from the very programs that send and read them.
 * As SCHED_BATCH it takes what has come when they have done: for a third less of its own time to
 * the octet (docs/decisions/0005). A conversation must not wait for that, so one ends it. */
#ifndef CN_PACE_H
#define CN_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CN_PACE_BULK_SIZE = 16384, /* a turn that moves as much is one of bulk */
    CN_PACE_MS = 100           /* what is so long past does not count any more */
};

/* Zeroed at first. */
struct cn_pace {
    uint64_t bulk_ms; /* the last turn of bulk */
    uint64_t talk_ms; /* the last turn of a pair that moves no bulk */
    bool is_batch;
    bool is_told; /* and the kernel agreed */
};

/* Whether a pair is one of bulk, from its own bulk_ms. */
bool cn_pace_is_bulk(uint64_t bulk_ms, uint64_t now_ms);
/* A pair has moved size octets in a turn; *bulk_ms is its own, zero at first. */
void cn_pace_moved(struct cn_pace *pace, uint64_t *bulk_ms, size_t size, uint64_t now_ms);
/* After all turns: tell the kernel, if anything has changed. Best effort. */
void cn_pace_tell(struct cn_pace *pace, uint64_t now_ms);

#endif
