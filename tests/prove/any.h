/* any.h - what is not known: for proofs, whose tool takes every value of it into account. */
#ifndef CN_PROVE_ANY_H
#define CN_PROVE_ANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <__fc_builtin.h>

/* The tool knows no casts in it; every compiler has looked at it. */
#define _Static_assert(condition, text) struct ignored

static inline bool any_bool(void)
{
    return Frama_C_nondet(0, 1);
}

static inline uint8_t any_u8(void)
{
    return (uint8_t)Frama_C_unsigned_char_interval(0, 255);
}

static inline uint64_t any_u64(void)
{
    return Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
}

static inline size_t any_size(size_t max)
{
    return Frama_C_size_t_interval(0, max);
}

static inline void any_octets(void *out, size_t size)
{
    if (size > 0)
        Frama_C_make_unknown((char *)out, size);
}

#endif
