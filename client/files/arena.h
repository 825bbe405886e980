/* arena.h - many small pieces of memory that are freed together. Zeroed, an arena is empty. */
#ifndef CN_ARENA_H
#define CN_ARENA_H

#include <stddef.h>

struct cn_arena {
    struct cn_arena_block *blocks; /* the newest first */
    size_t used;                   /* octets of that */
};

/* A copy of from[0..size), at most 64 KiB, where it stays until the wipe. NULL: no memory. */
const char *cn_arena_copy(struct cn_arena *arena, const char *from, size_t size);
/* The same, with a NUL after it. */
const char *cn_arena_text(struct cn_arena *arena, const char *from, size_t size);
void cn_arena_wipe(struct cn_arena *arena);

#endif
