#include "conversation.h"

#include <string.h>

#include "crypto.h"
#include "reader.h"
#include "utf8.h"
#include "writer.h"

/* Room that a line leaves for all that is not a line. */
enum { MARKS_SIZE = CN_CONVERSATION_OUT_SIZE - CN_CONVERSATION_SIZE_MAX };

enum { NUMBER_BITS_MAX = 62 }; /* of a series, so that it can be counted on from */

void cn_conversation_init(struct cn_conversation *c)
{
    memset(c, 0, sizeof *c);
}

void cn_conversation_wipe(struct cn_conversation *c)
{
    cn_wipe(c, sizeof *c);
}

void cn_series_place_encode(const struct cn_series_place *place, uint8_t out[CN_SERIES_PLACE_SIZE])
{
    struct cn_writer w = { .at = out, .left = CN_SERIES_PLACE_SIZE };

    cn_writer_bytes(&w, place->id, sizeof place->id);
    cn_writer_u64be(&w, place->number);
}

enum cn_err cn_series_place_decode(struct cn_series_place *place, const void *in, size_t size)
{
    struct cn_reader r = { .at = in, .left = size };
    struct cn_series_place taken;

    cn_reader_copy(&r, taken.id, sizeof taken.id);
    taken.number = cn_reader_u64be(&r);
    if (!cn_reader_done(&r) || taken.number == 0 || taken.number >> NUMBER_BITS_MAX)
        return CN_E_FORMAT;
    *place = taken;
    return CN_OK;
}

bool cn_series_place_follows(const struct cn_series_place *place,
                             const struct cn_series_place *before)
{
    return memcmp(place->id, before->id, sizeof place->id) == 0 &&
           place->number == before->number + 1;
}

/* --- out ------------------------------------------------------------------------------------ */

/* Octets that can be put behind what waits. */
static size_t out_room(struct cn_conversation *c)
{
    if (c->out_begin > 0) {
        memmove(c->out, c->out + c->out_begin, c->out_end - c->out_begin);
        c->out_end -= c->out_begin;
        c->out_begin = 0;
    }
    return sizeof c->out - c->out_end;
}

/* False: no room, and nothing was put. */
static bool put(struct cn_conversation *c, enum cn_conversation_type type, const void *body,
                size_t size)
{
    struct cn_writer w = { .left = out_room(c) };

    w.at = c->out + c->out_end;
    cn_writer_u8(&w, (uint8_t)type);
    cn_writer_u32be(&w, (uint32_t)size);
    cn_writer_bytes(&w, body, size);
    if (!cn_writer_ok(&w))
        return false;
    c->out_end = sizeof c->out - w.left;
    return true;
}

static bool put_mark(struct cn_conversation *c, enum cn_conversation_type type, uint64_t number)
{
    uint8_t body[CN_CONVERSATION_MARK_SIZE];
    struct cn_writer w = { .at = body, .left = sizeof body };

    cn_writer_u64be(&w, number);
    return put(c, type, body, sizeof body);
}

enum cn_err cn_conversation_may_say(struct cn_conversation *c, const char *text, size_t size)
{
    if (c->ours.leaving != CN_CONVERSATION_STAYS)
        return CN_E_UNEXPECTED;
    if (size > CN_TALK_TEXT_SIZE_MAX)
        return CN_E_LIMIT;
    if (!cn_utf8_is_valid(text, size))
        return CN_E_FORMAT;
    return out_room(c) < CN_CONVERSATION_HEAD_SIZE + size + MARKS_SIZE ? CN_E_FULL : CN_OK;
}

enum cn_err cn_conversation_say(struct cn_conversation *c, const char *text, size_t size,
                                uint64_t *number)
{
    enum cn_err err = cn_conversation_may_say(c, text, size);

    if (err != CN_OK)
        return err;
    if (!put(c, CN_CONVERSATION_LINE, text, size))
        return CN_E_FULL;
    c->ours.said++;
    if (number)
        *number = c->ours.said;
    return CN_OK;
}

enum cn_err cn_conversation_begin_series(struct cn_conversation *c,
                                         const struct cn_series_place *place)
{
    uint8_t body[CN_SERIES_PLACE_SIZE];

    cn_series_place_encode(place, body);
    if (out_room(c) < CN_CONVERSATION_HEAD_SIZE + sizeof body + MARKS_SIZE ||
        !put(c, CN_CONVERSATION_SERIES, body, sizeof body))
        return CN_E_FULL;
    return CN_OK;
}

void cn_conversation_read(struct cn_conversation *c, uint64_t number)
{
    if (number > c->theirs.delivered)
        number = c->theirs.delivered;
    if (number > c->theirs.read)
        c->theirs.read = number;
}

void cn_conversation_leave(struct cn_conversation *c, bool hang_up)
{
    /* once both have left there is nothing to ask for */
    if (c->told.leaving != CN_CONVERSATION_STAYS && c->theirs.leaving != CN_CONVERSATION_STAYS)
        return;
    if (hang_up)
        c->ours.leaving = CN_CONVERSATION_HANGS_UP;
    else if (c->ours.leaving == CN_CONVERSATION_STAYS)
        c->ours.leaving = CN_CONVERSATION_LEAVES;
}

/* What is to be told goes behind the lines that wait. READ never goes before the DELIVERED of its
 * lines. */
static void put_due(struct cn_conversation *c)
{
    uint8_t how = c->ours.leaving == CN_CONVERSATION_HANGS_UP;

    if (c->told.delivered < c->theirs.delivered &&
        put_mark(c, CN_CONVERSATION_DELIVERED, c->theirs.delivered))
        c->told.delivered = c->theirs.delivered;
    if (c->told.read < c->theirs.read && c->theirs.read <= c->told.delivered &&
        put_mark(c, CN_CONVERSATION_READ, c->theirs.read))
        c->told.read = c->theirs.read;
    if (c->told.leaving < c->ours.leaving && put(c, CN_CONVERSATION_LEFT, &how, sizeof how))
        c->told.leaving = c->ours.leaving;
}

const uint8_t *cn_conversation_output(struct cn_conversation *c, size_t *size)
{
    put_due(c);
    *size = c->out_end - c->out_begin;
    return c->out + c->out_begin;
}

void cn_conversation_sent(struct cn_conversation *c, size_t size)
{
    c->out_begin += size;
}

bool cn_conversation_is_sent(const struct cn_conversation *c)
{
    return c->out_begin == c->out_end && c->told.leaving == c->ours.leaving;
}

bool cn_conversation_is_over(const struct cn_conversation *c)
{
    return cn_conversation_is_sent(c) && c->told.leaving != CN_CONVERSATION_STAYS &&
           c->theirs.leaving != CN_CONVERSATION_STAYS && c->told.delivered == c->theirs.said &&
           c->told.read == c->theirs.read;
}

/* --- in ------------------------------------------------------------------------------------- */

static size_t body_size(const struct cn_conversation *c)
{
    struct cn_reader r = { .at = c->in + 1, .left = 4 };

    return cn_reader_u32be(&r);
}

/* Whether a body of that size may come now; judged before it is waited for. */
static enum cn_err head_check(const struct cn_conversation *c)
{
    size_t size = body_size(c);

    switch (c->in[0]) {
    case CN_CONVERSATION_LINE:
        if (c->theirs.leaving != CN_CONVERSATION_STAYS)
            return CN_E_UNEXPECTED;
        return size <= CN_TALK_TEXT_SIZE_MAX ? CN_OK : CN_E_FORMAT;
    case CN_CONVERSATION_DELIVERED:
    case CN_CONVERSATION_READ:
        return size == CN_CONVERSATION_MARK_SIZE ? CN_OK : CN_E_FORMAT;
    case CN_CONVERSATION_LEFT:
        return size == 1 ? CN_OK : CN_E_FORMAT;
    case CN_CONVERSATION_SERIES:
        if (c->theirs.leaving != CN_CONVERSATION_STAYS)
            return CN_E_UNEXPECTED;
        return size == CN_SERIES_PLACE_SIZE ? CN_OK : CN_E_FORMAT;
    default:
        return CN_E_FORMAT;
    }
}

/* Whoever comes back for more has dealt with the line. */
static void in_drop(struct cn_conversation *c)
{
    if (c->in_is_taken && c->in[0] == CN_CONVERSATION_LINE)
        c->theirs.delivered = c->theirs.said;
    if (c->in_is_taken)
        c->in_size = 0;
    c->in_is_taken = false;
}

uint8_t *cn_conversation_input(struct cn_conversation *c, size_t *room)
{
    size_t want = CN_CONVERSATION_HEAD_SIZE;

    in_drop(c);
    if (c->in_size >= want)
        want = head_check(c) == CN_OK ? want + body_size(c) : c->in_size;
    *room = want - c->in_size;
    return c->in + c->in_size;
}

void cn_conversation_received(struct cn_conversation *c, size_t size)
{
    c->in_size += size;
}

/* A mark goes forward, and up to what bounds it. */
static enum cn_err take_mark(struct cn_reader *body, uint64_t *mark, uint64_t most)
{
    uint64_t number = cn_reader_u64be(body);

    if (number <= *mark || number > most)
        return CN_E_FORMAT;
    *mark = number;
    return CN_OK;
}

static enum cn_err take_left(struct cn_reader *body, struct cn_conversation_side *theirs,
                             struct cn_talk_event *event)
{
    uint8_t how = cn_reader_u8(body);
    enum cn_conversation_leaving leaving = how ? CN_CONVERSATION_HANGS_UP : CN_CONVERSATION_LEAVES;

    if (how > 1 || leaving <= theirs->leaving)
        return CN_E_FORMAT;
    theirs->leaving = leaving;
    event->type = how ? CN_TALK_HUNG_UP : CN_TALK_LEFT;
    return CN_OK;
}

/* The line that comes is one more than what is noted. */
static enum cn_err take_series(struct cn_conversation *c, const struct cn_reader *body)
{
    enum cn_err err = cn_series_place_decode(&c->series, body->at, body->left);

    if (err == CN_OK) {
        c->has_series = true;
        c->series.number--;
    }
    return err;
}

static enum cn_err take(struct cn_conversation *c, struct cn_talk_event *event)
{
    struct cn_reader body = { .at = c->in + CN_CONVERSATION_HEAD_SIZE,
                              .left = c->in_size - CN_CONVERSATION_HEAD_SIZE };
    enum cn_err err;

    switch (c->in[0]) {
    case CN_CONVERSATION_LINE:
        c->theirs.said++;
        c->series.number += c->has_series;
        *event = (struct cn_talk_event) { CN_TALK_LINE, c->theirs.said, (const char *)body.at,
                                          body.left };
        return CN_OK;
    case CN_CONVERSATION_DELIVERED:
        err = take_mark(&body, &c->ours.delivered, c->ours.said);
        *event = (struct cn_talk_event) { CN_TALK_DELIVERED, c->ours.delivered, NULL, 0 };
        return err;
    case CN_CONVERSATION_READ:
        err = take_mark(&body, &c->ours.read, c->ours.delivered);
        *event = (struct cn_talk_event) { CN_TALK_READ, c->ours.read, NULL, 0 };
        return err;
    case CN_CONVERSATION_SERIES:
        *event = (struct cn_talk_event) { CN_TALK_NONE, 0, NULL, 0 };
        return take_series(c, &body);
    default:
        *event = (struct cn_talk_event) { CN_TALK_NONE, 0, NULL, 0 };
        return take_left(&body, &c->theirs, event);
    }
}

enum cn_err cn_conversation_next(struct cn_conversation *c, struct cn_talk_event *event)
{
    enum cn_err err;

    in_drop(c);
    if (c->in_size < CN_CONVERSATION_HEAD_SIZE)
        return CN_E_MORE;
    err = head_check(c);
    if (err != CN_OK)
        return err;
    if (c->in_size < CN_CONVERSATION_HEAD_SIZE + body_size(c))
        return CN_E_MORE;
    c->in_is_taken = true;
    return take(c, event);
}

enum cn_err cn_conversation_end(const struct cn_conversation *c)
{
    bool whole = c->in_size == 0 || c->in_is_taken;

    return whole && c->told.leaving != CN_CONVERSATION_STAYS &&
                   c->theirs.leaving != CN_CONVERSATION_STAYS && c->ours.delivered == c->ours.said
               ? CN_OK
               : CN_E_FORMAT;
}
