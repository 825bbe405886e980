/* counts.h - what gate and switch count. */
#ifndef CN_COUNTS_H
#define CN_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* Why lines ended, or were never admitted. */
enum cn_gate_count {
    CN_GATE_ACCEPTED = 0,
    CN_GATE_DROPPED_PENDING, /* too many not yet admitted */
    CN_GATE_DROPPED_ADDRESS, /* too many of one address */
    CN_GATE_BAD_HELLO,
    CN_GATE_HELLO_TIMEOUT,
    CN_GATE_ADMITTED,
    CN_GATE_REFUSED_EXPIRED,
    CN_GATE_REFUSED_NOT_YET_VALID,
    CN_GATE_REFUSED_REVOKED,
    CN_GATE_REFUSED_SUSPENDED,
    CN_GATE_REFUSED_OVER_LIMIT,
    CN_GATE_BAD_MESSAGE,
    CN_GATE_REPLACED,
    CN_GATE_OVERDUE,
    CN_GATE_WAITED_OUT,
    CN_GATE_READY_TIMEOUT,
    CN_GATE_PROLOGUE_TIMEOUT,
    CN_GATE_BAD_PROLOGUE,
    CN_GATE_LOST, /* the connection ended by itself */
    CN_GATE_JOINED,
    CN_GATE_HANDED_OVER,
    CN_GATE_CUT,
    CN_GATE_COUNT_COUNT
};

struct cn_gate_status {
    uint64_t count[CN_GATE_COUNT_COUNT];
    uint32_t lines; /* at the gate */
    uint32_t pending;
    uint32_t waiting;
    uint32_t joining;
    uint32_t handing; /* pairs on their way to a worker */
};

/* How a pair ended. But for DONE, whoever is still there gets a reset. */
enum cn_switch_outcome {
    CN_SWITCH_DONE = 0, /* both sides ended */
    CN_SWITCH_BROKEN,   /* a connection broke */
    CN_SWITCH_IDLE,
    CN_SWITCH_STALLED,
    CN_SWITCH_CUT,
    CN_SWITCH_OUTCOME_COUNT
};

struct cn_switch_counts {
    uint32_t pairs;
    uint32_t pipes;
    uint64_t pairs_total;
    uint64_t bytes_total;
    uint64_t outcome[CN_SWITCH_OUTCOME_COUNT];
};

/* "accepted", "refused_expired", ...; "done", "broken", ...; static. */
const char *cn_gate_count_name(enum cn_gate_count count);
const char *cn_switch_outcome_name(enum cn_switch_outcome outcome);

#endif
