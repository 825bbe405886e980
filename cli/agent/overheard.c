#include "overheard.h"

#include "reader.h"

/* What a head says is to be believed. */
static bool head_is_good(uint8_t type, uint32_t size)
{
    switch (type) {
    case CN_CONVERSATION_LINE:
        return size <= CN_TALK_TEXT_SIZE_MAX;
    case CN_CONVERSATION_DELIVERED:
    case CN_CONVERSATION_READ:
        return size == CN_CONVERSATION_MARK_SIZE;
    case CN_CONVERSATION_LEFT:
        return size == 1;
    case CN_CONVERSATION_SERIES:
        return size == CN_SERIES_PLACE_SIZE;
    default:
        return false;
    }
}

static void message_end(struct cn_overheard *o)
{
    o->line_count += o->head[0] == CN_CONVERSATION_LINE;
    o->head_size = 0;
}

/* How many of the octets it was. */
static size_t head_take(struct cn_overheard *o, const uint8_t *octets, size_t size)
{
    size_t used = 0;
    struct cn_reader r = { .at = o->head + 1, .left = sizeof o->head - 1 };

    while (used < size && o->head_size < sizeof o->head)
        o->head[o->head_size++] = octets[used++];
    if (o->head_size < sizeof o->head)
        return used;
    o->body_left = cn_reader_u32be(&r);
    o->broken = !head_is_good(o->head[0], o->body_left);
    if (!o->broken && o->body_left == 0)
        message_end(o);
    return used;
}

static size_t body_take(struct cn_overheard *o, const uint8_t *octets, size_t size)
{
    size_t used = size < o->body_left ? size : o->body_left;

    if (o->head[0] == CN_CONVERSATION_LEFT) {
        o->left = true;
        o->hung_up |= octets[0] == 1;
    }
    o->body_left -= (uint32_t)used;
    if (o->body_left == 0)
        message_end(o);
    return used;
}

void cn_overheard_take(struct cn_overheard *overheard, const uint8_t *octets, size_t size)
{
    struct cn_overheard *o = overheard;

    while (size > 0 && !o->broken) {
        size_t used =
            o->head_size < sizeof o->head ? head_take(o, octets, size) : body_take(o, octets, size);

        octets += used;
        size -= used;
    }
}

bool cn_overheard_may_end(const struct cn_overheard *overheard)
{
    return !overheard->broken && overheard->head_size == 0 && overheard->left;
}
