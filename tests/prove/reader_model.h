/* reader_model.h - in place of core/reader.h: what its functions promise, and no more (reader.c
 * proves that they do). What is taken is exactly as many octets as were asked for, of any values,
 * at the very end of an array; what is left is any number that can be. */
#ifndef CN_READER_H
#define CN_READER_H

#include <string.h>

#include "any.h"

enum { TAKEN_SIZE_MAX = 65536 };

struct cn_reader {
    const uint8_t *at;
    size_t left; /* octets */
    bool short_read;
};

static inline const uint8_t *cn_reader_take(struct cn_reader *r, size_t size)
{
    static uint8_t taken[TAKEN_SIZE_MAX];

    if (r->short_read || size > r->left) {
        r->short_read = true;
        return NULL;
    }
    if (size == 0)
        return NULL;
    r->left -= size;
    any_octets(taken, sizeof taken);
    return taken + TAKEN_SIZE_MAX - size;
}

static inline void cn_reader_copy(struct cn_reader *r, void *out, size_t size)
{
    if (cn_reader_take(r, size))
        any_octets(out, size);
    else
        memset(out, 0, size);
}

static inline uint64_t cn_reader_be(struct cn_reader *r, size_t size)
{
    const uint8_t *p = cn_reader_take(r, size);
    uint64_t value = 0;

    for (size_t i = 0; p && i < size; i++)
        value = value << 8 | p[i];
    return value;
}

static inline uint8_t cn_reader_u8(struct cn_reader *r)
{
    return (uint8_t)cn_reader_be(r, 1);
}

static inline uint16_t cn_reader_u16be(struct cn_reader *r)
{
    return (uint16_t)cn_reader_be(r, 2);
}

static inline uint32_t cn_reader_u32be(struct cn_reader *r)
{
    return (uint32_t)cn_reader_be(r, 4);
}

static inline uint64_t cn_reader_u64be(struct cn_reader *r)
{
    return cn_reader_be(r, 8);
}

static inline bool cn_reader_ok(const struct cn_reader *r)
{
    return !r->short_read;
}

static inline bool cn_reader_done(const struct cn_reader *r)
{
    return !r->short_read && r->left == 0;
}

#endif
