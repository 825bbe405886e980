#include "mux.h"

#include <assert.h>
#include <string.h>

enum {
    CONTROL_FRAME_SIZE_MAX = CN_FRAME_HEAD_SIZE + 8,
    SMALL_PLAIN_SIZE = 16384 - CN_RECORD_EXTRA_SIZE, /* of the largest record but bulk */
    BUFFERING_MS = 50,                               /* in the kernels' buffers on the way */
    RECEIVED_SIZE = CN_MUX_WINDOW_SIZE / 4,          /* octets that are acknowledged at once */
    BULK_SIZE_MIN = 3 * 16384 /* octets to send that make a bulk record worth its padding */
};

void cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role)
{
    *mux = (struct cn_mux) {
        .memory = memory,
        .role = role,
        .next_id = role == CN_ROLE_A ? 1 : 2,
        .their_next_id = role == CN_ROLE_A ? 2 : 1,
        .rtt_ms = UINT64_MAX,
        .ping_due_ms = UINT64_MAX,
    };
    cn_pool_init(&mux->rx_pool, memory, CN_MUX_RX_SIZE_MAX);
    cn_pool_init(&mux->tx_pool, memory, CN_MUX_TX_SIZE_MAX);
}

void cn_mux_wipe(struct cn_mux *mux)
{
    if (!mux)
        return;
    while (mux->first) {
        struct cn_stream *stream = mux->first;

        mux->first = stream->next;
        cn_stream_drop(stream);
    }
    mux->last = mux->turn = mux->borrower = NULL;
    memset(mux->by_id, 0, sizeof mux->by_id);
    cn_pool_wipe(&mux->rx_pool);
    cn_pool_wipe(&mux->tx_pool);
}

struct cn_call_limits cn_mux_limits(void)
{
    return (struct cn_call_limits) { CN_MUX_STREAM_COUNT_MAX, CN_MUX_WINDOW_SIZE };
}

void cn_mux_begin(struct cn_mux *mux, const struct cn_call_limits *theirs, uint64_t now_ms)
{
    mux->theirs = *theirs;
    mux->now_ms = now_ms;
    mux->ping_due_ms = now_ms; /* the first measures the round trip */
}

/* --- streams --------------------------------------------------------------------------------- */

/* The link to the stream of that id; it holds NULL if there is none. A record may be full of
 * frames, each of another stream. */
static struct cn_stream **stream_find(struct cn_mux *mux, uint32_t id)
{
    struct cn_stream **link = &mux->by_id[id % CN_MUX_BUCKET_COUNT];

    while (*link && (*link)->id != id)
        link = &(*link)->next_by_id;
    return link;
}

/* NULL: no memory, or as many held as it is for. */
static struct cn_stream *stream_add(struct cn_mux *mux, uint32_t id, uint8_t kind,
                                    const void *parameters, size_t parameters_size)
{
    const struct cn_memory *memory = mux->memory;
    struct cn_stream *stream = NULL;
    uint8_t *copy = NULL;

    if (mux->held_count < CN_MUX_HELD_COUNT_MAX)
        stream = memory->take(memory->context, sizeof *stream);
    if (stream && parameters_size > 0)
        copy = memory->take(memory->context, parameters_size);
    if (!stream || (parameters_size > 0 && !copy)) {
        if (stream)
            memory->give(memory->context, stream, sizeof *stream);
        return NULL;
    }
    if (copy)
        memcpy(copy, parameters, parameters_size);
    *stream = (struct cn_stream) {
        .mux = mux,
        .id = id,
        .kind = kind,
        .parameters = copy,
        .parameters_size = parameters_size,
        .tx_limit = mux->theirs.window,
        .rx_limit = CN_MUX_WINDOW_SIZE,
        .rx_window = CN_MUX_WINDOW_SIZE,
        .rx_window_at_ms = mux->now_ms,
    };
    cn_buffer_init(&stream->tx, &mux->tx_pool);
    cn_buffer_init(&stream->rx, &mux->rx_pool);
    if (mux->last)
        mux->last->next = stream;
    else
        mux->first = stream;
    mux->last = stream;
    *stream_find(mux, id) = stream;
    mux->held_count++;
    return stream;
}

void cn_mux_over(struct cn_mux *mux, const struct cn_stream *stream)
{
    if (stream->mine)
        mux->my_count--;
    else
        mux->their_count--;
}

enum cn_err cn_mux_open(struct cn_mux *mux, uint8_t kind, const void *parameters,
                        size_t parameters_size, struct cn_stream **stream)
{
    struct cn_stream *made;

    assert(kind > 0 && parameters_size <= CN_FRAME_PARAMETERS_SIZE_MAX);
    if (mux->close_sent || mux->close_received)
        return CN_E_UNEXPECTED;
    if (mux->my_count >= mux->theirs.stream_count || mux->next_id > UINT32_MAX - 2)
        return CN_E_LIMIT;
    made = stream_add(mux, mux->next_id, kind, parameters, parameters_size);
    if (!made)
        return CN_E_MEMORY;
    made->mine = true;
    made->open_due = true;
    mux->next_id += 2;
    mux->my_count++;
    *stream = made;
    return CN_OK;
}

/* Take streams that both sides are done with, and the program has released, off the list. */
static void streams_sweep(struct cn_mux *mux)
{
    struct cn_stream **link = &mux->first;
    struct cn_stream *before = NULL;

    while (*link) {
        struct cn_stream *stream = *link;

        if (!stream->released || !cn_stream_done(stream)) {
            before = stream;
            link = &stream->next;
            continue;
        }
        *link = stream->next;
        *stream_find(mux, stream->id) = stream->next_by_id;
        if (mux->last == stream)
            mux->last = before;
        if (mux->turn == stream)
            mux->turn = NULL;
        if (mux->borrower == stream) /* all that was lent is consumed */
            mux->borrower = NULL;
        mux->held_count--;
        cn_stream_drop(stream);
    }
}

/* --- input ----------------------------------------------------------------------------------- */

void cn_mux_received_due(struct cn_mux *mux, bool at_once)
{
    if (mux->received_due_ms == 0)
        mux->received_due_ms = mux->now_ms + CN_MUX_RECEIVED_DELAY_MS;
    mux->received_now |= at_once;
}

static bool id_is_theirs(const struct cn_mux *mux, uint32_t id)
{
    return (id & 1) == (mux->their_next_id & 1);
}

static enum cn_err take_open(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_stream *stream;

    if (!id_is_theirs(mux, frame->stream) || frame->stream != mux->their_next_id ||
        frame->kind == 0 || frame->stream > UINT32_MAX - 2)
        return CN_E_FORMAT;
    if (mux->their_count >= CN_MUX_STREAM_COUNT_MAX)
        return CN_E_LIMIT;
    stream = stream_add(mux, frame->stream, frame->kind, frame->bytes, frame->size);
    if (!stream)
        return CN_E_MEMORY;
    mux->their_next_id += 2;
    mux->their_count++;
    stream->events |= 1U << CN_EVENT_STREAM;
    return CN_OK;
}

/* A frame of a stream that is gone is late, and harmless; of one that never was, nonsense. */
static enum cn_err take_of_stream(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_stream *stream = *stream_find(mux, frame->stream);
    uint32_t next = id_is_theirs(mux, frame->stream) ? mux->their_next_id : mux->next_id;

    if (stream)
        return stream->open_due ? CN_E_FORMAT : cn_stream_take(stream, frame);
    return frame->stream < next ? CN_OK : CN_E_FORMAT;
}

static void take_pong(struct cn_mux *mux, uint64_t token)
{
    uint64_t took = mux->now_ms - mux->ping_sent_ms;

    if (!mux->ping_out || token != mux->ping_token)
        return;
    mux->ping_out = false;
    if (took < mux->rtt_ms)
        mux->rtt_ms = took;
}

static enum cn_err take_frame(struct cn_mux *mux, const struct cn_frame *frame)
{
    switch (frame->type) {
    case CN_FRAME_OPEN:
        return take_open(mux, frame);
    case CN_FRAME_DATA:
    case CN_FRAME_RECEIVED:
    case CN_FRAME_DURABLE:
    case CN_FRAME_WINDOW:
    case CN_FRAME_FIN:
    case CN_FRAME_RESET:
        return take_of_stream(mux, frame);
    case CN_FRAME_PING:
        mux->pong_due = true;
        mux->pong_token = frame->offset;
        return CN_OK;
    case CN_FRAME_PONG:
        take_pong(mux, frame->offset);
        return CN_OK;
    case CN_FRAME_CLOSE:
        mux->close_received = true;
        mux->close_received_code = frame->code;
        return CN_OK;
    case CN_FRAME_REHANDSHAKE: /* their place; refused until both ends can */
    case CN_FRAME_SWITCH:
    case CN_FRAME_RESUME:
    case CN_FRAME_PADDING:
    case CN_FRAME_TYPE_COUNT:
        break;
    }
    return CN_E_UNEXPECTED;
}

enum cn_err cn_mux_input(struct cn_mux *mux, const uint8_t *plain, size_t size, uint64_t now_ms)
{
    struct cn_reader r = { .at = plain, .left = size };
    struct cn_frame frame;
    enum cn_err err = cn_mux_settle(mux);

    mux->now_ms = now_ms;
    mux->heard_ms = now_ms;
    while (err == CN_OK) {
        err = cn_frame_decode(&frame, &r);
        if (err != CN_OK || frame.type == CN_FRAME_PADDING)
            break;
        err = mux->close_received ? CN_E_UNEXPECTED : take_frame(mux, &frame);
    }
    return err;
}

enum cn_err cn_mux_settle(struct cn_mux *mux)
{
    struct cn_stream *stream = mux->borrower;

    mux->borrower = NULL;
    return stream ? cn_stream_settle(stream) : CN_OK;
}

/* --- output ---------------------------------------------------------------------------------- */

/* A record being put together. */
struct draft {
    struct cn_mux_record *record;
    struct cn_writer scratch;
    const uint8_t *segment; /* start of the piece being written in scratch */
    size_t size;            /* plaintext so far */
    size_t limit;           /* plaintext at most */
    bool bulk;              /* pad to full size */
};

/* Close the scratch piece that is open, if it has anything in it. */
static void segment_end(struct draft *d)
{
    size_t size = (size_t)(d->scratch.at - d->segment);

    if (size > 0)
        d->record->piece[d->record->piece_count++] = (struct cn_piece) { d->segment, size };
    d->segment = d->scratch.at;
}

static void put(struct draft *d, const struct cn_frame *frame)
{
    size_t before = d->scratch.left;

    cn_frame_encode(frame, &d->scratch);
    assert(cn_writer_ok(&d->scratch));
    d->size += before - d->scratch.left;
}

/* Room for all control frames of one stream, and for extra octets beside. */
static bool has_room(const struct draft *d, size_t extra)
{
    size_t wanted = extra + 5 * CONTROL_FRAME_SIZE_MAX;

    return d->scratch.left >= wanted && d->size + wanted <= d->limit;
}

static uint64_t window_limit(const struct cn_stream *s)
{
    return s->rx.begin + s->rx_window;
}

/* A quarter of the window has been consumed since we last said so. */
static bool window_due(const struct cn_stream *s)
{
    return !s->reset && !s->rx_ended && window_limit(s) - s->rx_limit >= s->rx_window / 4;
}

static bool received_due(const struct cn_mux *mux, const struct cn_stream *s)
{
    uint64_t news = cn_stream_expected(s) - s->rx_received;

    if (s->reset || news == 0)
        return false;
    return mux->received_now || news >= RECEIVED_SIZE || window_due(s) ||
           (mux->received_due_ms != 0 && mux->now_ms >= mux->received_due_ms);
}

static bool fin_due(const struct cn_stream *s)
{
    return s->tx_finished && !s->tx_fin_sent && !s->reset && s->tx_sent == s->tx.end;
}

static bool control_due(const struct cn_mux *mux, const struct cn_stream *s)
{
    return s->open_due || s->reset_due || s->rx_durable_due || window_due(s) ||
           received_due(mux, s) || fin_due(s);
}

/* A window should hold what the line carries in a round trip and a little buffering. If a quarter
 * of it went in less than a quarter of that time, the window is what holds the partner back. */
static void window_tune(const struct cn_mux *mux, struct cn_stream *s)
{
    uint64_t took_ms = mux->now_ms - s->rx_window_at_ms;

    if (mux->rtt_ms != UINT64_MAX && 4 * took_ms < mux->rtt_ms + BUFFERING_MS &&
        s->rx_window < CN_MUX_WINDOW_SIZE_MAX)
        s->rx_window *= 2;
    s->rx_window_at_ms = mux->now_ms;
}

static void put_open(struct draft *d, struct cn_stream *s)
{
    put(d, &(struct cn_frame) { .type = CN_FRAME_OPEN,
                                .stream = s->id,
                                .kind = s->kind,
                                .bytes = s->parameters,
                                .size = s->parameters_size });
    s->open_due = false;
}

static void put_offset(struct draft *d, const struct cn_stream *s, enum cn_frame_type type,
                       uint64_t offset)
{
    put(d, &(struct cn_frame) { .type = type, .stream = s->id, .offset = offset });
}

/* Everything that is due of one stream but data and its end. */
static void put_control(struct cn_mux *mux, struct draft *d, struct cn_stream *s)
{
    bool window = window_due(s);
    bool received = received_due(mux, s);

    if (s->reset_due) {
        put(d,
            &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = s->id, .code = s->reset_code });
        s->reset_due = false;
    }
    if (received) {
        s->rx_received = cn_stream_expected(s);
        put_offset(d, s, CN_FRAME_RECEIVED, s->rx_received);
        cn_stream_look_over(s);
    }
    if (window) {
        window_tune(mux, s);
        s->rx_limit = window_limit(s);
        put_offset(d, s, CN_FRAME_WINDOW, s->rx_limit);
    }
    if (s->rx_durable_due && !s->reset)
        put_offset(d, s, CN_FRAME_DURABLE, s->rx_durable);
    s->rx_durable_due = false;
}

/* What is left of a stream that had a bulk record, up to its end, goes in records of that size. */
static bool is_tail(const struct cn_stream *s)
{
    return s->tx_bulk && s->tx_finished;
}

static void put_fin(struct draft *d, struct cn_stream *s)
{
    put_offset(d, s, CN_FRAME_FIN, s->tx.end);
    s->tx_fin_sent = true;
    d->bulk |= is_tail(s);
}

/* One DATA frame of s, as much as fits; false: nothing fits. */
static bool put_data(struct draft *d, struct cn_stream *s)
{
    size_t room = d->limit - d->size;
    uint64_t sendable = cn_stream_sendable(s);
    const uint8_t *from;
    size_t size;

    if (d->record->piece_count + 3 > CN_MUX_PIECE_COUNT_MAX || room <= CN_FRAME_DATA_HEAD_SIZE ||
        d->scratch.left < CN_FRAME_DATA_HEAD_SIZE)
        return false;
    room -= CN_FRAME_DATA_HEAD_SIZE;
    from = cn_buffer_at(&s->tx, s->tx_sent, &size);
    if (size > sendable)
        size = (size_t)sendable;
    if (size > room)
        size = room;
    put(d, &(struct cn_frame) {
               .type = CN_FRAME_DATA, .stream = s->id, .offset = s->tx_sent, .size = size });
    segment_end(d);
    d->record->piece[d->record->piece_count++] = (struct cn_piece) { from, size };
    d->size += size;
    s->tx_sent += size;
    s->tx_bulk |= d->size > SMALL_PLAIN_SIZE;
    d->bulk |= is_tail(s);
    cn_stream_tell_writable(s);
    return true;
}

/* Data of the streams in turn, until the record is full or there is no more. */
static void put_all_data(struct cn_mux *mux, struct draft *d)
{
    struct cn_stream *start = mux->turn ? mux->turn : mux->first;
    struct cn_stream *s = start;

    if (!s)
        return;
    do {
        bool had_turn = false;

        while (cn_stream_sendable(s) > 0 && !s->open_due) {
            if (!put_data(d, s)) {
                mux->turn = had_turn ? s->next : s;
                return;
            }
            had_turn = true;
        }
        if (fin_due(s) && !s->open_due && has_room(d, 0))
            put_fin(d, s);
        s = s->next ? s->next : mux->first;
    } while (s != start);
    mux->turn = start->next;
}

/* A bulk record goes when it can be filled well or the tail of bulk is in it, else smaller ones
 * that need less padding. */
static size_t plain_limit(const struct cn_mux *mux)
{
    uint64_t sendable = 0;
    bool tail = false;

    for (const struct cn_stream *s = mux->first; s; s = s->next) {
        sendable += cn_stream_sendable(s);
        tail |= is_tail(s) && cn_stream_sendable(s) > 0;
    }
    return tail || sendable >= BULK_SIZE_MIN ? CN_RECORD_PLAIN_SIZE_MAX : SMALL_PLAIN_SIZE;
}

static bool close_due(const struct cn_mux *mux)
{
    if (mux->close_sent)
        return false;
    if (mux->close_wanted)
        return true;
    if (!mux->finish_wanted)
        return false;
    for (const struct cn_stream *s = mux->first; s; s = s->next) {
        if (!s->over)
            return false;
    }
    return true;
}

static bool ping_due(const struct cn_mux *mux)
{
    return mux->now_ms >= mux->ping_due_ms && !mux->ping_out;
}

static void put_call_control(struct cn_mux *mux, struct draft *d)
{
    if (mux->pong_due)
        put(d, &(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux->pong_token });
    mux->pong_due = false;
    if (ping_due(mux)) {
        mux->ping_out = true;
        mux->ping_sent_ms = mux->now_ms;
        mux->ping_due_ms = mux->now_ms + CN_MUX_PING_MS;
        put(d, &(struct cn_frame) { .type = CN_FRAME_PING, .offset = ++mux->ping_token });
    }
}

bool cn_mux_has_output(const struct cn_mux *mux, uint64_t now_ms)
{
    if (mux->close_sent)
        return false;
    if (mux->pong_due || mux->received_now || close_due(mux) ||
        (now_ms >= mux->ping_due_ms && !mux->ping_out) ||
        (mux->received_due_ms != 0 && now_ms >= mux->received_due_ms))
        return true;
    for (const struct cn_stream *s = mux->first; s; s = s->next) {
        if (control_due(mux, s) || cn_stream_sendable(s) > 0)
            return true;
    }
    return false;
}

bool cn_mux_output(struct cn_mux *mux, uint64_t now_ms, struct cn_mux_record *record)
{
    struct draft d = { .record = record,
                       .scratch = { .at = record->scratch, .left = sizeof record->scratch },
                       .segment = record->scratch,
                       .limit = plain_limit(mux) };
    bool told_all = true;

    mux->now_ms = now_ms;
    if (mux->close_sent)
        return false;
    record->piece_count = 0;
    put_call_control(mux, &d);
    for (struct cn_stream *s = mux->first; s; s = s->next) {
        if (!control_due(mux, s))
            continue;
        if (!has_room(&d, s->open_due ? CN_FRAME_HEAD_SIZE + 1 + s->parameters_size : 0)) {
            told_all = false;
            break;
        }
        if (s->open_due)
            put_open(&d, s);
        put_control(mux, &d, s);
    }
    if (told_all) {
        if (mux->received_now || now_ms >= mux->received_due_ms)
            mux->received_due_ms = 0;
        mux->received_now = false;
        put_all_data(mux, &d);
        if (has_room(&d, 0) && close_due(mux)) {
            put(&d, &(struct cn_frame) { .type = CN_FRAME_CLOSE, .code = mux->close_code });
            mux->close_sent = true;
        }
    }
    segment_end(&d);
    streams_sweep(mux);
    if (d.size == 0)
        return false;
    record->wire_size = d.bulk ? CN_RECORD_SIZE_MAX : cn_record_wire_size(d.size);
    return true;
}

static uint64_t dead_ms(const struct cn_mux *mux)
{
    uint64_t since = mux->heard_ms > mux->ping_sent_ms ? mux->heard_ms : mux->ping_sent_ms;

    /* whoever has said CLOSE says nothing more, however long the other takes to deal with the rest
     */
    if (!mux->ping_out || mux->close_sent || mux->close_received)
        return UINT64_MAX;
    return since + CN_MUX_SILENCE_MS;
}

bool cn_mux_is_dead(const struct cn_mux *mux, uint64_t now_ms)
{
    return now_ms >= dead_ms(mux);
}

uint64_t cn_mux_deadline_ms(const struct cn_mux *mux)
{
    uint64_t deadline = dead_ms(mux);

    if (mux->close_sent)
        return deadline;
    if (mux->received_due_ms != 0)
        deadline = mux->received_due_ms < deadline ? mux->received_due_ms : deadline;
    if (!mux->ping_out && mux->ping_due_ms < deadline)
        deadline = mux->ping_due_ms;
    return deadline;
}

/* --- events and the end ---------------------------------------------------------------------- */

bool cn_mux_next_event(struct cn_mux *mux, struct cn_stream **stream, enum cn_event_type *type)
{
    static const enum cn_event_type order[] = { CN_EVENT_STREAM, CN_EVENT_READABLE,
                                                CN_EVENT_WRITABLE, CN_EVENT_PROGRESS };

    /* whatever gave memory back, it may be what another stream waits for */
    for (struct cn_stream *s = mux->tx_pool.given ? mux->first : NULL; s; s = s->next)
        cn_stream_tell_writable(s);
    mux->tx_pool.given = false;
    for (struct cn_stream *s = mux->first; s; s = s->next) {
        for (size_t i = 0; s->events && i < sizeof order / sizeof order[0]; i++) {
            if (!(s->events & 1U << order[i]))
                continue;
            s->events &= ~(1U << order[i]);
            *stream = s;
            *type = order[i];
            return true;
        }
    }
    return false;
}

void cn_mux_finish(struct cn_mux *mux)
{
    mux->finish_wanted = true;
}

void cn_mux_close(struct cn_mux *mux, uint32_t code)
{
    mux->close_wanted = true;
    mux->close_code = code;
}

bool cn_mux_is_closed(const struct cn_mux *mux)
{
    return mux->close_sent && mux->close_code == 0 && mux->close_received &&
           mux->close_received_code == 0;
}
