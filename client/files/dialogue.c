#include "dialogue.h"

bool cn_dialogue_flush(struct cn_dialogue *dialogue)
{
    if (!dialogue->stream)
        return dialogue->out_begin == dialogue->out_end;
    dialogue->out_begin += cn_stream_write(dialogue->stream, dialogue->out + dialogue->out_begin,
                                           dialogue->out_end - dialogue->out_begin);
    return dialogue->out_begin == dialogue->out_end;
}

bool cn_dialogue_put(struct cn_dialogue *dialogue, const struct cn_message *message)
{
    if (!dialogue->stream || !cn_dialogue_flush(dialogue))
        return false;
    dialogue->out_begin = 0;
    dialogue->out_end = cn_message_encode(message, dialogue->out);
    (void)cn_dialogue_flush(dialogue);
    return true;
}

/* Have at least size octets in in. */
static bool have(struct cn_dialogue *dialogue, size_t size)
{
    if (dialogue->in_size < size)
        dialogue->in_size += cn_stream_read(dialogue->stream, dialogue->in + dialogue->in_size,
                                            size - dialogue->in_size);
    return dialogue->in_size >= size;
}

enum cn_err cn_dialogue_take(struct cn_dialogue *dialogue, struct cn_message *message)
{
    uint8_t type = 0;
    size_t size = 0;

    if (!have(dialogue, CN_MESSAGE_HEAD_SIZE))
        return CN_E_MORE;
    if (cn_message_head(dialogue->in, &type, &size) != CN_OK)
        return CN_E_FORMAT;
    if (!have(dialogue, CN_MESSAGE_HEAD_SIZE + size))
        return CN_E_MORE;
    dialogue->in_size = 0;
    return cn_message_decode(message, type, dialogue->in + CN_MESSAGE_HEAD_SIZE, size);
}
