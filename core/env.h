/* env.h - what the core is handed by its owner: randomness and memory.
 *
 * The core opens nothing, reads no clock, draws no randomness and allocates
 * nothing by itself. Time is a plain argument, now_ms; these are the others. */
#ifndef CN_ENV_H
#define CN_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* A source of uniform random octets. fill returns CN_OK, or CN_E_RANDOM having
 * promised nothing about out. A test may hand in a seeded one. */
struct cn_random {
    enum cn_err (*fill)(void *context, uint8_t *out, size_t size);
    void *context; /* borrowed for the life of whoever holds this struct */
};

/* A source of memory. take returns NULL when there is none; give gets the same
 * size back. Contents are wiped by the user before give where they are secret. */
struct cn_memory {
    void *(*take)(void *context, size_t size);
    void (*give)(void *context, void *block, size_t size);
    void *context; /* borrowed */
};

CN_MUST_USE static inline enum cn_err cn_random_fill(const struct cn_random *random, uint8_t *out,
                                                     size_t size)
{
    return random->fill(random->context, out, size);
}

#endif
