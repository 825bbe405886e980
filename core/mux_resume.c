/* mux_resume.c - the streams of a call on another connection. PROTOCOL.md 6.5
 *
 * Whatever was said on the connection that is lost may or may not have arrived. Each end says of
 * every stream how far it is, and takes as said again what the other has not heard. */
#include "mux.h"

#include "reader.h"
#include "writer.h"

#define STREAM(link, field) CN_LIST_MEMBER(link, struct cn_stream, field)

enum { END_HAS_COME = 1, GIVEN_UP = 2 }; /* flags */

/* How far a stream is at the end that says so. */
struct position {
    uint8_t flags;
    uint64_t expected; /* as RECEIVED */
    uint64_t limit;    /* as WINDOW */
    uint64_t durable;
    uint32_t code; /* of the reset */
};

static bool is_to_be_named(const struct cn_stream *s)
{
    return !s->open_due && (!s->over || s->unheard || s->rx_durable_due);
}

/* What the partner knows of it is what it will say. */
static void forget_connection(struct cn_mux *mux, struct cn_stream *s)
{
    if (s->tx_sent > s->tx_was_sent)
        s->tx_was_sent = s->tx_sent;
    s->tx_fin_was_sent |= s->tx_fin_sent;
    s->tx_sent = s->tx.begin;
    s->tx_fin_sent = s->tx_fin_received;
    s->named = false;
    s->rx_durable_due &= !s->reset;
    cn_schedule_remove(&s->turn);
    cn_list_remove(&s->in_control);
    cn_list_remove(&s->in_news);
    cn_list_remove(&s->in_naming);
    if (is_to_be_named(s))
        cn_list_append(&mux->naming, &s->in_naming);
}

void cn_mux_resume(struct cn_mux *mux, uint64_t now_ms)
{
    mux->now_ms = now_ms;
    mux->heard_ms = now_ms;
    mux->flight = (struct cn_flight) { .span_ms = now_ms };
    mux->received_due_ms = 0;
    mux->ping_out = false;
    mux->pong_due = false;
    mux->ping_due_ms = now_ms;
    mux->close_sent = false;
    mux->close_received = false;
    mux->resume = CN_MUX_NAMING;
    mux->resume_heard = false;
    mux->moved = false;
    for (struct cn_link *at = cn_list_first(&mux->all); at; at = cn_list_next(&mux->all, at))
        forget_connection(mux, STREAM(at, in_all));
}

/* --- saying ---------------------------------------------------------------------------------- */

size_t cn_mux_resume_name(struct cn_stream *s, uint8_t out[CN_FRAME_RESUME_SIZE])
{
    struct cn_writer w = { .at = out, .left = CN_FRAME_RESUME_SIZE };

    cn_writer_u8(&w, (uint8_t)((s->rx_ended ? END_HAS_COME : 0) | (s->reset ? GIVEN_UP : 0)));
    if (cn_stream_window_due(s))
        cn_stream_widen(s);
    s->rx_received = cn_stream_expected(s);
    s->rx_durable_due = false;
    s->reset_due = false;
    s->unheard |= s->rx_durable > 0;
    cn_writer_u64be(&w, s->rx_received);
    cn_writer_u64be(&w, s->rx_limit);
    cn_writer_u64be(&w, s->rx_durable);
    cn_writer_u32be(&w, s->reset ? s->reset_code : 0);
    cn_stream_look_over(s); /* that all was read is said */
    return CN_FRAME_RESUME_SIZE - w.left;
}

size_t cn_mux_resume_end(const struct cn_mux *mux, uint8_t out[CN_FRAME_RESUME_SIZE])
{
    struct cn_writer w = { .at = out, .left = CN_FRAME_RESUME_SIZE };

    cn_writer_u32be(&w, mux->their_next_id);
    return CN_FRAME_RESUME_SIZE - w.left;
}

/* --- hearing --------------------------------------------------------------------------------- */

/* The partner has all of it, and has read it if it says the end too. */
static enum cn_err take_expected(struct cn_stream *s, uint64_t expected, bool end_has_come)
{
    if (end_has_come && !s->tx_fin_was_sent)
        return CN_E_FORMAT;
    if (s->tx_fin_was_sent && expected == s->tx.end + 1) {
        s->tx_fin_received = true;
        expected--;
    } else if (s->tx_fin_received) {
        return CN_E_FORMAT;
    }
    if (expected < s->tx.begin || expected > s->tx_was_sent ||
        (end_has_come && expected != s->tx.end))
        return CN_E_FORMAT;
    cn_buffer_release(&s->tx, expected);
    s->tx_sent = expected;
    s->tx_fin_sent = end_has_come;
    return CN_OK;
}

static enum cn_err take_position(struct cn_stream *s, const struct position *p)
{
    enum cn_err err;

    if (p->limit < s->tx_limit || p->durable < s->tx_durable || p->durable > p->expected)
        return CN_E_FORMAT;
    err = take_expected(s, p->expected, p->flags & END_HAS_COME);
    if (err != CN_OK)
        return err;
    s->tx_limit = p->limit;
    s->tx_durable = p->durable;
    return CN_OK;
}

static enum cn_err take_named(struct cn_stream *s, const struct position *p)
{
    enum cn_err err = CN_OK;

    if (s->open_due || s->named)
        return CN_E_FORMAT;
    s->named = true;
    if (p->flags & GIVEN_UP)
        cn_stream_take_reset(s, p->code);
    else if (!s->reset) /* of one that we have given up it hears from us */
        err = take_position(s, p);
    return err;
}

enum cn_err cn_mux_resume_take(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_reader r = { .at = frame->bytes, .left = frame->size };
    struct cn_stream *s = cn_mux_find(mux, frame->stream);
    struct position p;

    if (mux->resume == CN_MUX_TALKING || mux->resume_heard)
        return CN_E_UNEXPECTED;
    p.flags = cn_reader_u8(&r);
    p.expected = cn_reader_u64be(&r);
    p.limit = cn_reader_u64be(&r);
    p.durable = cn_reader_u64be(&r);
    p.code = cn_reader_u32be(&r);
    if (!cn_reader_ok(&r) || r.left > 0 || p.flags & ~(END_HAS_COME | GIVEN_UP))
        return CN_E_FORMAT;
    if (s)
        return take_named(s, &p);
    /* it is over here, or its OPEN was lost and comes again */
    return cn_mux_is_theirs(mux, frame->stream) || frame->stream < mux->next_id ? CN_OK
                                                                                : CN_E_FORMAT;
}

/* The partner has never heard of it: from the beginning. */
static enum cn_err take_unopened(struct cn_mux *mux, struct cn_stream *s)
{
    if (s->named || s->tx.begin > 0 || s->tx_fin_received)
        return CN_E_FORMAT;
    s->open_due = true;
    s->reset_due = s->unheard = s->reset;
    cn_list_remove(&s->in_naming); /* what is said of it before that means nothing to the partner */
    cn_list_remove(&s->in_unheard);
    cn_list_move(&mux->control, &s->in_control); /* in the order in which they were opened */
    return CN_OK;
}

/* The partner has done with it. Then all that it has to know of us it knows, and we had all of it.
 */
static enum cn_err take_unnamed(struct cn_stream *s)
{
    if (s->reset) {
        cn_stream_heard(s);
        return CN_OK;
    }
    if (!s->tx_fin_was_sent || !s->rx_ended || s->rx.begin != s->rx_final)
        return CN_E_FORMAT;
    s->rx_received = s->rx_final + 1;
    return take_expected(s, s->tx.end + 1, true);
}

static enum cn_err take_end_of(struct cn_mux *mux, struct cn_stream *s, uint32_t next)
{
    enum cn_err err = CN_OK;

    if (s->mine && s->id >= next)
        return take_unopened(mux, s);
    if (s->open_due)
        return CN_E_FORMAT; /* it was never sent */
    if (!s->named && (s->reset || !s->over))
        err = take_unnamed(s);
    if (err == CN_OK)
        cn_stream_moved(s);
    return err;
}

enum cn_err cn_mux_resume_take_end(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_reader r = { .at = frame->bytes, .left = frame->size };
    uint32_t next = cn_reader_u32be(&r);
    enum cn_err err = CN_OK;

    if (mux->resume == CN_MUX_TALKING || mux->resume_heard)
        return CN_E_UNEXPECTED;
    if (!cn_reader_ok(&r) || r.left > 0 || next > mux->next_id || cn_mux_is_theirs(mux, next))
        return CN_E_FORMAT;
    mux->resume_heard = true;
    for (struct cn_link *at = cn_list_first(&mux->all); at && err == CN_OK;
         at = cn_list_next(&mux->all, at))
        err = take_end_of(mux, STREAM(at, in_all), next);
    return err;
}
