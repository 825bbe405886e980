/* writer.h - bounds-checked cursor over an output buffer.
 *
 * Failure is sticky, as in reader.h: an encoder is a flat list of writes with
 * one cn_writer_ok() at the end. Nothing is ever written past the buffer. */
#ifndef CN_WRITER_H
#define CN_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cn_writer {
    uint8_t *at;
    size_t left; /* octets */
    bool full;
};

/* Reserve size octets; NULL (and failure, for size > 0) when there is no room. */
static inline uint8_t *cn_writer_take(struct cn_writer *w, size_t size)
{
    uint8_t *taken = w->at;

    if (w->full || size > w->left) {
        w->full = true;
        return NULL;
    }
    if (size == 0)
        return NULL;
    w->at += size;
    w->left -= size;
    return taken;
}

static inline void cn_writer_bytes(struct cn_writer *w, const void *in, size_t size)
{
    uint8_t *p = cn_writer_take(w, size);

    if (p)
        memcpy(p, in, size);
}

static inline void cn_writer_zeros(struct cn_writer *w, size_t size)
{
    uint8_t *p = cn_writer_take(w, size);

    if (p)
        memset(p, 0, size);
}

/* value as size octets, big-endian; size <= 8. */
static inline void cn_writer_be(struct cn_writer *w, uint64_t value, size_t size)
{
    uint8_t *p = cn_writer_take(w, size);

    for (size_t i = 0; p && i < size; i++)
        p[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static inline void cn_writer_u8(struct cn_writer *w, uint8_t value)
{
    cn_writer_be(w, value, 1);
}

static inline void cn_writer_u16be(struct cn_writer *w, uint16_t value)
{
    cn_writer_be(w, value, 2);
}

static inline void cn_writer_u32be(struct cn_writer *w, uint32_t value)
{
    cn_writer_be(w, value, 4);
}

static inline void cn_writer_u64be(struct cn_writer *w, uint64_t value)
{
    cn_writer_be(w, value, 8);
}

static inline bool cn_writer_ok(const struct cn_writer *w)
{
    return !w->full;
}

#endif
