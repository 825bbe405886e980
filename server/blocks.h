/* blocks.h - a fixed pool of blocks of one size: all memory that lines take after start-up. */
#ifndef CN_BLOCKS_H
#define CN_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct cn_blocks {
    uint8_t *memory; /* owned; what was never lent is never touched */
    size_t size;     /* of a block, octets */
    uint32_t count_max;
    uint32_t fresh; /* blocks from here on were never lent */
    uint32_t used;
    void *free; /* a list through the blocks themselves */
};

/* CN_E_MEMORY */
CN_MUST_USE enum cn_err cn_blocks_init(struct cn_blocks *blocks, size_t size, uint32_t count_max);
void cn_blocks_wipe(struct cn_blocks *blocks);
/* NULL: all are lent. Contents are what they were. */
void *cn_blocks_take(struct cn_blocks *blocks);
/* NULL is fine. */
void cn_blocks_give(struct cn_blocks *blocks, void *block);

#endif
