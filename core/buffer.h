/* buffer.h - octets of a stream, from one absolute offset to another, in chunks of a shared pool.
 *
 * A sender appends at the end, reads anywhere, and releases what was acknowledged; a receiver
 * appends what came and releases what was consumed. Chunks come in three sizes: a buffer that fills
 * its chunks gets larger ones, one that hardly uses them gets smaller ones, so that a stream that
 * says little holds little and one that is busy is read and written in large pieces. They go back
 * to the pool last in, first out: a fast stream stays in the cache however much passes through it.
 */
#ifndef CN_BUFFER_H
#define CN_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env.h"

enum {
    CN_CHUNK_CLASS_COUNT = 3,
    CN_CHUNK_SIZE_MIN = 4 * 1024, /* of all of it in memory, as the next one */
    CN_CHUNK_SIZE_MAX = 256 * 1024
};

struct cn_chunk {
    struct cn_chunk *next;
    uint64_t base; /* offset of its first octet */
    size_t room;   /* octets that it holds at most */
    unsigned size_class;
    uint8_t bytes[];
};

/* Chunks of one call. */
struct cn_pool {
    const struct cn_memory *memory; /* borrowed */
    struct cn_chunk *idle[CN_CHUNK_CLASS_COUNT];
    size_t idle_size; /* octets of memory */
    size_t used_size;
    size_t size_max; /* used_size never exceeds it */
    size_t reserve;  /* the last octets of that: for chunks of the smallest size only */
    bool given;      /* a chunk came back since the owner last set this to false */
    bool failed;     /* likewise: memory had none, though there may be more */
};

struct cn_buffer {
    struct cn_pool *pool; /* borrowed */
    struct cn_chunk *first;
    struct cn_chunk *last;
    struct cn_chunk *at; /* where the last cn_buffer_at looked, or NULL */
    uint64_t begin;      /* offset of the first octet still held */
    uint64_t end;        /* offset after the last */
    unsigned size_class; /* of the next chunk */
    unsigned size_class_max;
};

/* size_max: octets of memory in use at most; reserve: the last of these are for chunks of the
 * smallest size. memory is borrowed. */
void cn_pool_init(struct cn_pool *pool, const struct cn_memory *memory, size_t size_max,
                  size_t reserve);
/* Only the reserve is left. */
bool cn_pool_is_tight(const struct cn_pool *pool);
/* Wipes every chunk; none may be in use. */
void cn_pool_wipe(struct cn_pool *pool);

void cn_buffer_init(struct cn_buffer *buffer, struct cn_pool *pool);
/* It will hold so many octets at most, for now: no new chunk is larger than a quarter of that, but
 * for the smallest. */
void cn_buffer_expect(struct cn_buffer *buffer, uint64_t size);
void cn_buffer_wipe(struct cn_buffer *buffer);

static inline uint64_t cn_buffer_size(const struct cn_buffer *buffer)
{
    return buffer->end - buffer->begin;
}

/* Room at the end: *size octets in one piece, at least 1. NULL: the pool is exhausted. */
uint8_t *cn_buffer_reserve(struct cn_buffer *buffer, size_t *size);
void cn_buffer_commit(struct cn_buffer *buffer, size_t size);
/* CN_E_MEMORY: the pool is exhausted; what fitted has been appended. */
CN_MUST_USE enum cn_err cn_buffer_append(struct cn_buffer *buffer, const uint8_t *in, size_t size);

/* The octets at offset, begin <= offset <= end: *size of them in one piece; NULL and 0 at the end.
 */
const uint8_t *cn_buffer_at(struct cn_buffer *buffer, uint64_t offset, size_t *size);
/* Let go of all below offset, begin <= offset <= end. */
void cn_buffer_release(struct cn_buffer *buffer, uint64_t offset);
/* An empty buffer goes on at offset: octets that never passed through it. */
void cn_buffer_skip(struct cn_buffer *buffer, uint64_t offset);

#endif
