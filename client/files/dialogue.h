/* dialogue.h - messages of a control stream, in and out, one at a time. */
#ifndef CN_DIALOGUE_H
#define CN_DIALOGUE_H

#include <cyphernet.h>

#include "message.h"

struct cn_dialogue {
    struct cn_stream *stream; /* borrowed; NULL until it is open */
    uint8_t in[CN_MESSAGE_CONTROL_SIZE_MAX];
    size_t in_size;
    uint8_t out[CN_MESSAGE_CONTROL_SIZE_MAX]; /* one message that the stream had no room for */
    size_t out_begin, out_end;
};

/* Say one; false: the last has not gone out yet, try again when the stream is writable. */
bool cn_dialogue_put(struct cn_dialogue *dialogue, const struct cn_message *message);
/* Move on what waits. True: nothing waits. */
bool cn_dialogue_flush(struct cn_dialogue *dialogue);
/* CN_OK: *message is the next one. CN_E_MORE: it is not all there. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_dialogue_take(struct cn_dialogue *dialogue, struct cn_message *message);

#endif
