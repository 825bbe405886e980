/* world.h - one seed, from its beginning to the oracle's last word. */
#ifndef CN_SIM_WORLD_H
#define CN_SIM_WORLD_H

#include "net.h"

/* Once in the life of the process. */
void world_init(void);

/* What a run came to. */
struct world_sum {
    uint64_t resumes;
    uint64_t lines;        /* connections made */
    uint64_t took_ms;      /* from when nothing went wrong any more until all had ended */
    uint64_t octets[2][2]; /* of line 1 and 2, each way */
};

/* Everything by chance. Fails as sim_fail does. */
void world_run(uint64_t seed, struct world_sum *sum);
/* The short call, always the same, with this on the line of that number, from 1. */
void world_script(int line, const struct net_plan plan[2], struct world_sum *sum);

#endif
