#include "buffer.h"

#include <assert.h>
#include <string.h>

#include "crypto.h"

/* Kept for the next use. To have it from the kernel again, page by page, would cost a fast sender a
 * tenth of its time. */
enum { IDLE_SIZE_MAX = 16 * CN_CHUNK_SIZE_MAX };

static const size_t class_sizes[CN_CHUNK_CLASS_COUNT] = { CN_CHUNK_SIZE_MIN, 64 * 1024,
                                                          CN_CHUNK_SIZE_MAX };

void cn_pool_init(struct cn_pool *pool, const struct cn_memory *memory, size_t size_max,
                  size_t reserve)
{
    *pool = (struct cn_pool) { .memory = memory, .size_max = size_max, .reserve = reserve };
}

static void chunk_free(struct cn_pool *pool, struct cn_chunk *chunk)
{
    size_t size = class_sizes[chunk->size_class];

    cn_wipe(chunk, size);
    pool->memory->give(pool->memory->context, chunk, size);
}

void cn_pool_wipe(struct cn_pool *pool)
{
    if (!pool)
        return;
    assert(pool->used_size == 0);
    for (unsigned i = 0; i < CN_CHUNK_CLASS_COUNT; i++) {
        while (pool->idle[i]) {
            struct cn_chunk *chunk = pool->idle[i];

            pool->idle[i] = chunk->next;
            chunk_free(pool, chunk);
        }
    }
    pool->idle_size = 0;
}

bool cn_pool_is_tight(const struct cn_pool *pool)
{
    return pool->size_max - pool->used_size < pool->reserve + CN_CHUNK_SIZE_MIN;
}

/* A chunk that begins at offset base. NULL: none of this class is to be had. */
static struct cn_chunk *pool_take(struct cn_pool *pool, unsigned size_class, uint64_t base)
{
    const size_t size = class_sizes[size_class];
    const size_t left = pool->size_max - pool->used_size;
    struct cn_chunk *chunk = pool->idle[size_class];

    if (size > left || (size_class > 0 && left - size < pool->reserve))
        return NULL;
    if (chunk) {
        pool->idle[size_class] = chunk->next;
        pool->idle_size -= size;
    } else {
        chunk = pool->memory->take(pool->memory->context, size);
    }
    if (!chunk) {
        pool->failed = true;
        return NULL;
    }
    chunk->next = NULL;
    chunk->base = base;
    chunk->room = size - sizeof *chunk;
    chunk->size_class = size_class;
    pool->used_size += size;
    return chunk;
}

static void pool_give(struct cn_pool *pool, struct cn_chunk *chunk)
{
    size_t size = class_sizes[chunk->size_class];

    assert(pool->used_size >= size);
    pool->used_size -= size;
    pool->given = true;
    if (pool->idle_size + size > IDLE_SIZE_MAX) {
        chunk_free(pool, chunk);
        return;
    }
    chunk->next = pool->idle[chunk->size_class];
    pool->idle[chunk->size_class] = chunk;
    pool->idle_size += size;
}

void cn_buffer_init(struct cn_buffer *buffer, struct cn_pool *pool)
{
    *buffer = (struct cn_buffer) { .pool = pool, .size_class_max = CN_CHUNK_CLASS_COUNT - 1 };
}

void cn_buffer_expect(struct cn_buffer *buffer, uint64_t size)
{
    unsigned most = 0;

    while (most + 1 < CN_CHUNK_CLASS_COUNT && class_sizes[most + 1] <= size / 4)
        most++;
    buffer->size_class_max = most;
    if (buffer->size_class > most)
        buffer->size_class = most;
}

/* The first chunk goes back to the pool. */
static void shift(struct cn_buffer *buffer)
{
    struct cn_chunk *chunk = buffer->first;

    if (buffer->at == chunk)
        buffer->at = NULL;
    buffer->first = chunk->next;
    if (!buffer->first)
        buffer->last = NULL;
    pool_give(buffer->pool, chunk);
}

void cn_buffer_wipe(struct cn_buffer *buffer)
{
    if (!buffer || !buffer->pool)
        return;
    while (buffer->first)
        shift(buffer);
    cn_buffer_init(buffer, buffer->pool);
}

static uint64_t end_of(const struct cn_chunk *chunk)
{
    return chunk->base + chunk->room;
}

/* A chunk behind the last; false: the pool is exhausted. */
static bool extend(struct cn_buffer *buffer)
{
    struct cn_chunk *chunk = NULL;

    if (buffer->last && buffer->size_class < buffer->size_class_max)
        buffer->size_class++; /* one was filled */
    for (unsigned left = buffer->size_class + 1; left > 0 && !chunk; left--)
        chunk = pool_take(buffer->pool, left - 1, buffer->end); /* a smaller one will do */
    if (!chunk)
        return false;
    if (buffer->last)
        buffer->last->next = chunk;
    else
        buffer->first = chunk;
    buffer->last = chunk;
    return true;
}

uint8_t *cn_buffer_reserve(struct cn_buffer *buffer, size_t *size)
{
    if ((!buffer->last || end_of(buffer->last) == buffer->end) && !extend(buffer))
        return NULL;
    *size = (size_t)(end_of(buffer->last) - buffer->end);
    return buffer->last->bytes + (buffer->end - buffer->last->base);
}

void cn_buffer_commit(struct cn_buffer *buffer, size_t size)
{
    assert(buffer->last && size <= end_of(buffer->last) - buffer->end);
    buffer->end += size;
}

enum cn_err cn_buffer_append(struct cn_buffer *buffer, const uint8_t *in, size_t size)
{
    while (size > 0) {
        size_t room;
        uint8_t *to = cn_buffer_reserve(buffer, &room);

        if (!to)
            return CN_E_MEMORY;
        if (room > size)
            room = size;
        memcpy(to, in, room);
        cn_buffer_commit(buffer, room);
        in += room;
        size -= room;
    }
    return CN_OK;
}

const uint8_t *cn_buffer_at(struct cn_buffer *buffer, uint64_t offset, size_t *size)
{
    struct cn_chunk *chunk = buffer->first;
    uint64_t end;

    assert(offset >= buffer->begin && offset <= buffer->end);
    *size = 0;
    if (offset == buffer->end)
        return NULL;
    if (buffer->at && buffer->at->base <= offset)
        chunk = buffer->at;
    while (end_of(chunk) <= offset)
        chunk = chunk->next;
    buffer->at = chunk;
    end = end_of(chunk) < buffer->end ? end_of(chunk) : buffer->end;
    *size = (size_t)(end - offset);
    return chunk->bytes + (offset - chunk->base);
}

void cn_buffer_release(struct cn_buffer *buffer, uint64_t offset)
{
    assert(offset >= buffer->begin && offset <= buffer->end);
    while (buffer->first && end_of(buffer->first) <= offset)
        shift(buffer);
    buffer->begin = offset;
    if (buffer->begin < buffer->end || !buffer->first)
        return;
    /* an empty buffer holds no chunk, and did not need a large one if it hardly used this one */
    if (buffer->end - buffer->first->base < buffer->first->room / 4 && buffer->size_class > 0)
        buffer->size_class--;
    shift(buffer);
}

void cn_buffer_skip(struct cn_buffer *buffer, uint64_t offset)
{
    assert(buffer->begin == buffer->end && offset >= buffer->end && !buffer->first);
    buffer->begin = buffer->end = offset;
}
