/* mux_output.c - what the streams of a call have to say, put into records. PROTOCOL.md 6.2 to 6.6
 */
#include "mux.h"

#include <assert.h>
#include <string.h>

enum {
    CONTROL_FRAME_SIZE_MAX = CN_FRAME_HEAD_SIZE + 8,
    SMALL_PLAIN_SIZE = 16384 - CN_RECORD_EXTRA_SIZE, /* of the largest record but bulk */
    BUFFERING_MS = 50,                               /* in the kernels' buffers on the way */
    BULK_SIZE_MIN = 3 * 16384, /* octets to send that make a bulk record worth its padding */
    BULK_STREAM_COUNT_MAX = 8, /* of which they may be */
    INLINE_SIZE_MAX = 512      /* octets that are copied into the record's scratch */
};

/* A record being put together. */
struct draft {
    struct cn_mux_record *record;
    struct cn_writer scratch;
    const uint8_t *segment; /* start of the piece being written in scratch */
    size_t size;            /* plaintext so far */
    size_t limit;           /* plaintext at most */
    size_t full;            /* size on the wire of records for bulk */
    size_t bulk;            /* pad to that size, at least */
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

/* --- what is due but data -------------------------------------------------------------------- */

static bool received_due(const struct cn_mux *mux, const struct cn_stream *s)
{
    if (s->reset || cn_stream_expected(s) == s->rx_received)
        return false;
    return cn_stream_received_due(s) || cn_stream_window_due(s) ||
           (mux->received_due_ms != 0 && mux->now_ms >= mux->received_due_ms);
}

/* A window should hold what the line carries in a round trip and a little buffering. If it would
 * have been consumed in less than that time, it is what holds the partner back. */
static void window_tune(const struct cn_mux *mux, struct cn_stream *s)
{
    const uint64_t took_ms = mux->now_ms - s->rx_window_at_ms;
    const uint64_t round_ms = mux->rtt_ms + BUFFERING_MS;
    const uint64_t consumed = s->rx.begin - s->rx_window_at;

    s->rx_window_at = s->rx.begin;
    s->rx_window_at_ms = mux->now_ms;
    if (mux->rtt_ms == UINT64_MAX)
        return;
    if (consumed * round_ms > s->rx_window * took_ms && s->rx_window < CN_MUX_WINDOW_SIZE_MAX)
        s->rx_window *= 2;
    else if (consumed * 16 * round_ms < s->rx_window * took_ms &&
             cn_mux_extra(mux) > CN_MUX_EXTRA_SIZE_MAX / 2 &&
             s->rx_window >= 2 * CN_MUX_WINDOW_SIZE)
        s->rx_window /= 2; /* others may need it more */
}

static void put_open(struct cn_mux *mux, struct draft *d, struct cn_stream *s)
{
    put(d, &(struct cn_frame) { .type = CN_FRAME_OPEN,
                                .stream = s->id,
                                .kind = s->kind,
                                .bytes = s->parameters,
                                .size = s->parameters_size });
    s->open_due = false;
    cn_mux_sendable(mux, s);
}

static void put_offset(struct draft *d, const struct cn_stream *s, enum cn_frame_type type,
                       uint64_t offset)
{
    put(d, &(struct cn_frame) { .type = type, .stream = s->id, .offset = offset });
}

/* The next PING's PONG shows that the partner knows what was said. */
static void await_hearing(struct cn_mux *mux, struct cn_stream *s)
{
    s->unheard_token = mux->ping_token + 1;
    cn_list_move(&mux->unheard, &s->in_unheard);
    mux->ping_due_ms = mux->now_ms;
}

/* Everything that is due of one stream but data and its end. */
static void put_control(struct cn_mux *mux, struct draft *d, struct cn_stream *s)
{
    if (s->open_due)
        put_open(mux, d, s);
    if (s->reset_due) {
        put(d,
            &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = s->id, .code = s->reset_code });
        await_hearing(mux, s);
    }
    s->reset_due = false;
    if (received_due(mux, s)) {
        s->rx_received = cn_stream_expected(s);
        put_offset(d, s, CN_FRAME_RECEIVED, s->rx_received);
        cn_list_remove(&s->in_news);
    }
    if (cn_stream_window_due(s)) {
        window_tune(mux, s);
        cn_stream_widen(s);
        put_offset(d, s, CN_FRAME_WINDOW, s->rx_limit);
    }
    if (s->rx_durable_due && !s->reset) {
        put_offset(d, s, CN_FRAME_DURABLE, s->rx_durable);
        s->unheard = true;
        await_hearing(mux, s);
    }
    s->rx_durable_due = false;
    cn_stream_look_over(s);
}

/* Of the streams of a list, until the record is full; true: all is told. */
static bool put_control_of(struct cn_mux *mux, struct draft *d, struct cn_list *list, size_t offset)
{
    struct cn_link *link;

    while ((link = cn_list_first(list))) {
        struct cn_stream *s = (struct cn_stream *)(void *)((char *)link - offset);

        if (!has_room(d, s->open_due ? CN_FRAME_HEAD_SIZE + 1 + s->parameters_size : 0))
            return false;
        cn_list_remove(link);
        put_control(mux, d, s);
    }
    return true;
}

static bool put_all_control(struct cn_mux *mux, struct draft *d)
{
    if (!put_control_of(mux, d, &mux->control, offsetof(struct cn_stream, in_control)))
        return false;
    if (cn_list_first(&mux->news) && mux->now_ms >= mux->received_due_ms &&
        !put_control_of(mux, d, &mux->news, offsetof(struct cn_stream, in_news)))
        return false;
    if (!cn_list_first(&mux->news))
        mux->received_due_ms = 0;
    return true;
}

/* --- data ------------------------------------------------------------------------------------ */

/* What is left of a stream that filled a record for bulk, up to its end, goes in records of the
 * same size: on the wire, where none is to be larger than full. Else 0. */
static size_t tail_size(const struct cn_stream *s, size_t full)
{
    if (!s->tx_finished)
        return 0;
    return s->tx_bulk_size < full ? s->tx_bulk_size : full;
}

static void pad_tail(struct draft *d, const struct cn_stream *s)
{
    const size_t size = tail_size(s, d->full);

    if (size > d->bulk)
        d->bulk = size;
}

static void put_fin(struct draft *d, struct cn_stream *s)
{
    put_offset(d, s, CN_FRAME_FIN, s->tx.end);
    s->tx_fin_sent = true;
    pad_tail(d, s);
}

/* The octets of a DATA frame: little is copied, much is pointed to. */
static void put_octets(struct draft *d, const uint8_t *from, size_t size)
{
    if (size <= INLINE_SIZE_MAX && d->scratch.left >= size) {
        cn_writer_bytes(&d->scratch, from, size);
    } else {
        segment_end(d);
        d->record->piece[d->record->piece_count++] = (struct cn_piece) { from, size };
    }
    d->size += size;
}

/* One DATA frame of s, of most octets, as much as fits; how many, 0: nothing fits. */
static size_t put_data(struct draft *d, struct cn_stream *s, uint64_t most)
{
    static const size_t smaller[] = { 16384, 4096, 1024 };
    const uint8_t *from;
    size_t room = d->limit - d->size;
    size_t below = 0; /* the size under that of bulk */
    size_t size;

    while (smaller[below] >= d->full)
        below++;

    if (d->record->piece_count + 3 > CN_MUX_PIECE_COUNT_MAX || room <= CN_FRAME_DATA_HEAD_SIZE ||
        d->scratch.left < CN_FRAME_DATA_HEAD_SIZE)
        return 0;
    room -= CN_FRAME_DATA_HEAD_SIZE;
    from = cn_buffer_at(&s->tx, s->tx_sent, &size);
    if (size > most)
        size = (size_t)most;
    if (size > room)
        size = room;
    put(d, &(struct cn_frame) {
               .type = CN_FRAME_DATA, .stream = s->id, .offset = s->tx_sent, .size = size });
    put_octets(d, from, size);
    s->tx_sent += size;
    if (d->size > smaller[below] - CN_RECORD_EXTRA_SIZE && d->full > s->tx_bulk_size)
        s->tx_bulk_size = d->full;
    pad_tail(d, s);
    cn_stream_tell_writable(s);
    return size;
}

/* Whose words do not wait for what is under way. */
static bool is_urgent(const struct cn_turn *turn)
{
    return turn->priority == CN_PRIORITY_INTERACTIVE ||
           (turn->priority == CN_PRIORITY_NORMAL && turn->fresh);
}

/* Data and ends of the streams, each in its turn, until the record or the line is full. */
static void put_all_data(struct cn_mux *mux, struct draft *d)
{
    struct cn_turn *turn;

    while ((turn = cn_schedule_first(&mux->schedule))) {
        struct cn_stream *s = CN_LIST_MEMBER(turn, struct cn_stream, turn);
        uint64_t most = cn_stream_sendable(s);

        if (most > 0) {
            const uint64_t share = cn_schedule_share(&mux->schedule, turn);
            uint64_t done;

            if (!is_urgent(turn) && cn_flight_is_full(&mux->flight, mux->rtt_ms))
                return;
            done = put_data(d, s, most < share ? most : share);
            if (done == 0)
                return;
            cn_flight_sent(&mux->flight, done, mux->rtt_ms, mux->now_ms);
            cn_schedule_sent(&mux->schedule, turn, done, d->full);
        }
        if (cn_stream_fin_due(s)) {
            if (!has_room(d, 0))
                return;
            put_fin(d, s);
        }
        if (cn_stream_sendable(s) == 0)
            cn_schedule_emptied(&mux->schedule, turn);
    }
}

/* A bulk record goes when it can be filled well or the tail of bulk is in it, else smaller ones
 * that need less padding. */
static size_t plain_limit(const struct cn_mux *mux, size_t full)
{
    struct cn_turn *turn = cn_schedule_first(&mux->schedule);
    uint64_t sendable = 0;

    if (full < CN_RECORD_SIZE_MAX)
        return full - CN_RECORD_EXTRA_SIZE;
    for (int i = 0; turn && i < BULK_STREAM_COUNT_MAX; i++) {
        const struct cn_stream *s = CN_LIST_MEMBER(turn, struct cn_stream, turn);

        sendable += cn_stream_sendable(s);
        if (sendable >= BULK_SIZE_MIN || tail_size(s, full) == full)
            return CN_RECORD_PLAIN_SIZE_MAX;
        turn = cn_schedule_next(&mux->schedule, turn);
    }
    return SMALL_PLAIN_SIZE;
}

/* --- on another connection ------------------------------------------------------------------- */

static void put_resume(struct draft *d, uint32_t stream, const uint8_t *body, size_t size)
{
    put(d, &(struct cn_frame) {
               .type = CN_FRAME_RESUME, .stream = stream, .bytes = body, .size = size });
}

/* How far the streams are, until the record is full or that is all. */
static void put_positions(struct cn_mux *mux, struct draft *d)
{
    uint8_t body[CN_FRAME_RESUME_SIZE];
    struct cn_link *link;

    while (has_room(d, CN_FRAME_HEAD_SIZE + sizeof body)) {
        link = cn_list_first(&mux->naming);
        if (!link) {
            put_resume(d, 0, body, cn_mux_resume_end(mux, body));
            mux->resume = CN_MUX_NAMED;
            return;
        }
        struct cn_stream *s = CN_LIST_MEMBER(link, struct cn_stream, in_naming);

        cn_list_remove(link);
        put_resume(d, s->id, body, cn_mux_resume_name(s, body));
        if (s->unheard)
            await_hearing(mux, s);
    }
}

/* --- the call -------------------------------------------------------------------------------- */

static bool close_due(const struct cn_mux *mux)
{
    if (mux->close_sent)
        return false;
    return mux->close_wanted || (mux->finish_wanted && mux->my_count == 0 && mux->their_count == 0);
}

static bool ping_due(const struct cn_mux *mux)
{
    return mux->now_ms >= cn_mux_ping_ms(mux);
}

/* A record with these holds no data, which would make the round trip look longer than it is. */
static bool put_pings(struct cn_mux *mux, struct draft *d)
{
    const bool due = mux->pong_due || ping_due(mux);

    if (mux->pong_due)
        put(d, &(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux->pong_token });
    mux->pong_due = false;
    if (ping_due(mux)) {
        if (!mux->ping_out)
            mux->ping_first_ms = mux->now_ms;
        mux->ping_out = true;
        mux->ping_sent_ms = mux->now_ms;
        mux->ping_due_ms = mux->now_ms + CN_MUX_PING_MS;
        put(d, &(struct cn_frame) { .type = CN_FRAME_PING, .offset = ++mux->ping_token });
    }
    return due;
}

bool cn_mux_output_ping(struct cn_mux *mux, uint64_t now_ms, struct cn_mux_record *record)
{
    struct draft d = { .record = record,
                       .scratch = { .at = record->scratch, .left = sizeof record->scratch },
                       .segment = record->scratch };

    mux->now_ms = now_ms;
    record->piece_count = 0;
    if (mux->close_sent || !ping_due(mux) || !put_pings(mux, &d))
        return false;
    segment_end(&d);
    record->wire_size = cn_record_wire_size(d.size);
    return true;
}

bool cn_mux_output(struct cn_mux *mux, uint64_t now_ms, struct cn_mux_record *record)
{
    const size_t full = cn_flight_record_size(&mux->flight);
    struct draft d = { .record = record,
                       .scratch = { .at = record->scratch, .left = sizeof record->scratch },
                       .segment = record->scratch,
                       .limit = plain_limit(mux, full),
                       .full = full };

    mux->now_ms = now_ms;
    cn_mux_look_memory(mux);
    if (mux->close_sent)
        return false;
    record->piece_count = 0;
    if (mux->resume == CN_MUX_NAMED && mux->resume_heard)
        mux->resume = CN_MUX_TALKING;
    if (mux->resume == CN_MUX_NAMING) {
        put_positions(mux, &d);
    } else if (!put_pings(mux, &d) && mux->resume == CN_MUX_TALKING && put_all_control(mux, &d)) {
        if (!mux->close_wanted)
            put_all_data(mux, &d);
        if (close_due(mux)) { /* then there is no data, and room */
            put(&d, &(struct cn_frame) { .type = CN_FRAME_CLOSE, .code = mux->close_code });
            mux->close_sent = true;
            mux->close_sent_ms = now_ms;
        }
    }
    segment_end(&d);
    cn_mux_sweep(mux);
    if (d.size == 0)
        return false;
    record->wire_size = cn_record_wire_size(d.size);
    if (record->wire_size < d.bulk)
        record->wire_size = d.bulk;
    return true;
}
