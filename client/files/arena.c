#include "arena.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024 };

struct cn_arena_block {
    struct cn_arena_block *next;
    char bytes[BLOCK_SIZE];
};

/* Room for size octets; NULL: there is none. */
static char *take(struct cn_arena *arena, size_t size)
{
    char *taken;

    if (size > BLOCK_SIZE)
        return NULL;
    if (!arena->blocks || size > BLOCK_SIZE - arena->used) {
        struct cn_arena_block *block = malloc(sizeof *block);

        if (!block)
            return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
    }
    taken = arena->blocks->bytes + arena->used;
    arena->used += size;
    return taken;
}

const char *cn_arena_copy(struct cn_arena *arena, const char *from, size_t size)
{
    char *to = take(arena, size);

    if (to)
        memcpy(to, from, size);
    return to;
}

const char *cn_arena_text(struct cn_arena *arena, const char *from, size_t size)
{
    char *to = take(arena, size + 1);

    if (to) {
        memcpy(to, from, size);
        to[size] = '\0';
    }
    return to;
}

void cn_arena_wipe(struct cn_arena *arena)
{
    while (arena->blocks) {
        struct cn_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    arena->used = 0;
}
