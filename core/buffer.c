#include "buffer.h"

#include <assert.h>
#include <string.h>

#include "crypto.h"

enum { IDLE_COUNT_MAX = 16 }; /* chunks kept for the next use */

/* Chunks lie on multiples of CN_CHUNK_SIZE in the stream. */
static uint64_t base_of(uint64_t offset)
{
    return offset - offset % CN_CHUNK_SIZE;
}

void cn_pool_init(struct cn_pool *pool, const struct cn_memory *memory, size_t count_max)
{
    *pool = (struct cn_pool) { .memory = memory, .count_max = count_max };
}

static void chunk_free(struct cn_pool *pool, struct cn_chunk *chunk)
{
    cn_wipe(chunk, sizeof *chunk);
    pool->memory->give(pool->memory->context, chunk, sizeof *chunk);
}

void cn_pool_wipe(struct cn_pool *pool)
{
    if (!pool)
        return;
    assert(pool->used_count == 0);
    while (pool->idle) {
        struct cn_chunk *chunk = pool->idle;

        pool->idle = chunk->next;
        chunk_free(pool, chunk);
    }
    pool->idle_count = 0;
}

static struct cn_chunk *pool_take(struct cn_pool *pool)
{
    struct cn_chunk *chunk = pool->idle;

    if (pool->used_count >= pool->count_max)
        return NULL;
    if (chunk) {
        pool->idle = chunk->next;
        pool->idle_count--;
    } else {
        chunk = pool->memory->take(pool->memory->context, sizeof *chunk);
    }
    if (chunk) {
        chunk->next = NULL;
        pool->used_count++;
    }
    return chunk;
}

static void pool_give(struct cn_pool *pool, struct cn_chunk *chunk)
{
    assert(pool->used_count > 0);
    pool->used_count--;
    if (pool->idle_count >= IDLE_COUNT_MAX) {
        chunk_free(pool, chunk);
        return;
    }
    chunk->next = pool->idle;
    pool->idle = chunk;
    pool->idle_count++;
}

void cn_buffer_init(struct cn_buffer *buffer, struct cn_pool *pool)
{
    *buffer = (struct cn_buffer) { .pool = pool };
}

void cn_buffer_wipe(struct cn_buffer *buffer)
{
    if (!buffer || !buffer->pool)
        return;
    while (buffer->first) {
        struct cn_chunk *chunk = buffer->first;

        buffer->first = chunk->next;
        pool_give(buffer->pool, chunk);
    }
    *buffer = (struct cn_buffer) { .pool = buffer->pool };
}

uint8_t *cn_buffer_reserve(struct cn_buffer *buffer, size_t *size)
{
    size_t used = (size_t)(buffer->end - base_of(buffer->end));

    if (!buffer->last || buffer->last_base + CN_CHUNK_SIZE == buffer->end) {
        struct cn_chunk *chunk = pool_take(buffer->pool);

        if (!chunk)
            return NULL;
        if (buffer->last)
            buffer->last->next = chunk;
        else
            buffer->first = chunk;
        buffer->last = chunk;
        buffer->last_base = base_of(buffer->end);
    }
    *size = CN_CHUNK_SIZE - used;
    return buffer->last->bytes + used;
}

void cn_buffer_commit(struct cn_buffer *buffer, size_t size)
{
    assert(size <= CN_CHUNK_SIZE - (buffer->end - base_of(buffer->end)));
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
    uint64_t base = base_of(buffer->begin);
    struct cn_chunk *chunk = buffer->first;

    assert(offset >= buffer->begin && offset <= buffer->end);
    *size = 0;
    if (offset == buffer->end)
        return NULL;
    if (buffer->at && buffer->at_base <= offset) {
        base = buffer->at_base;
        chunk = buffer->at;
    }
    for (; base + CN_CHUNK_SIZE <= offset; base += CN_CHUNK_SIZE)
        chunk = chunk->next;
    buffer->at = chunk;
    buffer->at_base = base;
    *size = CN_CHUNK_SIZE - (size_t)(offset - base);
    if (*size > buffer->end - offset)
        *size = (size_t)(buffer->end - offset);
    return chunk->bytes + (offset - base);
}

void cn_buffer_release(struct cn_buffer *buffer, uint64_t offset)
{
    uint64_t base = base_of(buffer->begin);

    assert(offset >= buffer->begin && offset <= buffer->end);
    while (buffer->first && base + CN_CHUNK_SIZE <= offset) {
        struct cn_chunk *chunk = buffer->first;

        if (buffer->at == chunk)
            buffer->at = NULL;
        buffer->first = chunk->next;
        if (!buffer->first)
            buffer->last = NULL;
        pool_give(buffer->pool, chunk);
        base += CN_CHUNK_SIZE;
    }
    buffer->begin = offset;
    if (buffer->begin == buffer->end && buffer->first) { /* an empty buffer holds no chunk */
        pool_give(buffer->pool, buffer->first);
        buffer->first = buffer->last = buffer->at = NULL;
    }
}

void cn_buffer_skip(struct cn_buffer *buffer, uint64_t offset)
{
    assert(buffer->begin == buffer->end && offset >= buffer->end && !buffer->first);
    buffer->begin = buffer->end = offset;
}
