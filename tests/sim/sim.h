/* sim.h - what all of the simulator stands on: one clock, one source of chance, one way to fail. */
#ifndef CN_SIM_H
#define CN_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_START_MS = 1000000,
    SIM_START_UTC_S = 500000 * 3600, /* an hour begins */
    SIM_CONTEXT_SIZE = 600
};

/* A bug that is put in on purpose: the oracle has to see it. bugs.c */
enum sim_bug {
    SIM_BUG_NONE = 0,
    SIM_BUG_DROP,
    SIM_BUG_REPEAT,
    SIM_BUG_SPOIL,
    SIM_BUG_LEAK,
    SIM_BUG_HOARD,
    SIM_BUG_CUT_IS_END,
    SIM_BUG_STUCK,
    SIM_BUG_MUTE,
    SIM_BUG_DURABLE,
    SIM_BUG_CROSS,
    SIM_BUG_LENIENT,
    SIM_BUG_HUSHED,
    SIM_BUG_UNTOLD,
    SIM_BUG_TWICE,
    SIM_BUG_UNSAID,
    SIM_BUG_LOCKLESS,
    SIM_BUG_COUNT
};

struct sim {
    uint64_t seed;
    uint64_t now_ms;       /* of the world; nothing else knows the time */
    uint64_t random_state; /* of everything that happens by chance, keys too */
    bool verbose;
    enum sim_bug bug;
    uint64_t flips; /* octets that were damaged so far */
    char about[SIM_CONTEXT_SIZE];
};

extern struct sim sim;

/* Begin seed anew. */
void sim_begin(uint64_t seed);

/* 0 to sides - 1. */
uint64_t sim_dice(uint64_t sides);
/* One in so many; 0: never. */
bool sim_chance(uint64_t one_in);
/* From least to most, small ones being as likely as large ones. */
uint64_t sim_spread(uint64_t least, uint64_t most);
/* Octets by chance, for cn_random. */
void sim_fill(uint8_t *out, size_t size);

/* What happened; printed if the run is verbose. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The oracle says no. Ends the process, having said which seed of which commit it was. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* An error of the simulator's own. */
void sim_need(bool fine);

#endif
