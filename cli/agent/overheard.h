/* overheard.h - one direction of a talk, as far as who passes it on has to understand it: pure.
 * Whether it makes sense is for the two ends to say. PROTOCOL.md 7.3 */
#ifndef CN_OVERHEARD_H
#define CN_OVERHEARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "talk/conversation.h"

struct cn_overheard {
    uint64_t line_count;
    bool left, hung_up;
    bool broken; /* it is no talk; what comes next is not looked at */
    uint8_t head[CN_CONVERSATION_HEAD_SIZE];
    size_t head_size;
    uint32_t body_left;
};

/* Zeroed at first. */
void cn_overheard_take(struct cn_overheard *overheard, const uint8_t *octets, size_t size);
/* Whether it may end here. */
bool cn_overheard_may_end(const struct cn_overheard *overheard);

#endif
