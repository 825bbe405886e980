#include "blocks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum cn_err cn_blocks_init(struct cn_blocks *blocks, size_t size, uint32_t count_max)
{
    size = (size + 15) / 16 * 16; /* aligned for anything */
    *blocks = (struct cn_blocks) { .memory = calloc(count_max, size),
                                   .size = size,
                                   .count_max = count_max };
    return blocks->memory ? CN_OK : CN_E_MEMORY;
}

void cn_blocks_wipe(struct cn_blocks *blocks)
{
    if (!blocks)
        return;
    free(blocks->memory);
    *blocks = (struct cn_blocks) { 0 };
}

void *cn_blocks_take(struct cn_blocks *blocks)
{
    void *block = blocks->free;

    if (block)
        memcpy(&blocks->free, block, sizeof blocks->free);
    else if (blocks->fresh < blocks->count_max)
        block = blocks->memory + blocks->size * blocks->fresh++;
    if (block)
        blocks->used++;
    return block;
}

void cn_blocks_give(struct cn_blocks *blocks, void *block)
{
    if (!block)
        return;
    assert(blocks->used > 0);
    memcpy(block, &blocks->free, sizeof blocks->free);
    blocks->free = block;
    blocks->used--;
}
