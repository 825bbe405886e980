/* seeded.h - a random source that is not random at all: the same in every run. */
#ifndef CN_TEST_SEEDED_H
#define CN_TEST_SEEDED_H

#include "env.h"

/* context: a uint64_t, the seed. */
static inline enum cn_err seeded_fill(void *context, uint8_t *out, size_t size)
{
    uint64_t *state = context;

    for (size_t i = 0; i < size; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        out[i] = (uint8_t)(*state >> 56);
    }
    return CN_OK;
}

/* A random source that has failed. */
static inline enum cn_err broken_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    (void)out;
    (void)size;
    return CN_E_RANDOM;
}

#endif
