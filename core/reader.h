/* reader.h - bounds-checked cursor over borrowed octets.
 *
 * Failure is sticky: after the first short read every read yields zero, so a
 * decoder is a flat list of reads with one cn_reader_ok() at the end. A taken
 * pointer is NULL after failure and also for size 0: ask cn_reader_ok(), not it. */
#ifndef CN_READER_H
#define CN_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cn_reader {
    const uint8_t *at;
    size_t left; /* octets */
    bool short_read;
};

static inline const uint8_t *cn_reader_take(struct cn_reader *r, size_t size)
{
    const uint8_t *taken = r->at;

    if (r->short_read || size > r->left) {
        r->short_read = true;
        return NULL;
    }
    if (size == 0)
        return NULL;
    r->at += size;
    r->left -= size;
    return taken;
}

/* Copy size octets to out; out is zeroed if they are not there. */
static inline void cn_reader_copy(struct cn_reader *r, void *out, size_t size)
{
    const uint8_t *p = cn_reader_take(r, size);

    if (p)
        memcpy(out, p, size);
    else
        memset(out, 0, size);
}

/* The next size octets, big-endian; size <= 8. */
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

/* Every field was there and nothing follows. */
static inline bool cn_reader_done(const struct cn_reader *r)
{
    return !r->short_read && r->left == 0;
}

#endif
