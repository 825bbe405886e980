/* sample.h - who has used how much of the machine until now. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sample {
    int64_t at_ns;
    int64_t relay_ticks; /* user and system, of all its processes */
    int64_t own_ticks;
    int64_t busy_ticks; /* of all processors, whoever used them */
    int64_t steal_ticks;
};

struct processes {
    size_t count;
    pid_t pid[64];
};

void sample_take(struct sample *sample, const struct processes *relay, const struct processes *own);
long sample_ticks_per_second(void);

#endif
