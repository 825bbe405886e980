#include "stream.h"

#include <assert.h>
#include <string.h>

#include "mux.h"

enum {
    UNSENT_SIZE_MIN = 8 * 1024,
    RECEIVED_SIZE_MIN = 16 * 1024, /* octets that are acknowledged at once ... */
    RECEIVED_SIZE_MAX = 256 * 1024 /* ... as soon as the stream is long */
};

static void tell(struct cn_stream *stream, enum cn_event_type event)
{
    if (stream->released)
        return;
    stream->events |= 1U << event;
    cn_mux_eventful(stream->mux, stream);
}

/* What may come and is not read yet: everybody's share of memory, and what is beyond it. */
static void account(struct cn_stream *stream)
{
    const uint64_t until = stream->rx_ended ? stream->rx_final : stream->rx_limit;
    const uint64_t may = stream->reset ? 0 : until - stream->rx.begin;
    const uint64_t extra = may > CN_MUX_WINDOW_SIZE ? may - CN_MUX_WINDOW_SIZE : 0;

    cn_mux_extra_change(stream->mux, stream->rx_extra, extra);
    stream->rx_extra = extra;
}

/* --- for programs ---------------------------------------------------------------------------- */

uint8_t cn_stream_kind(const struct cn_stream *stream)
{
    return stream->kind;
}

const void *cn_stream_parameters(const struct cn_stream *stream, size_t *size)
{
    *size = stream->parameters_size;
    return stream->parameters;
}

void cn_stream_set_user(struct cn_stream *stream, void *user)
{
    stream->user = user;
}

void *cn_stream_user(const struct cn_stream *stream)
{
    return stream->user;
}

static bool takes_writes(const struct cn_stream *stream)
{
    return !stream->tx_finished && !stream->reset;
}

void cn_stream_set_priority(struct cn_stream *stream, enum cn_stream_priority priority)
{
    cn_schedule_set_priority(&stream->mux->schedule, &stream->turn, priority);
}

/* Octets that the partner takes beyond what it has acknowledged. */
static uint64_t credit(const struct cn_stream *stream)
{
    return stream->tx_limit > stream->tx.begin ? stream->tx_limit - stream->tx.begin : 0;
}

/* As much may wait to be sent as is under way: who writes what nobody reads takes little. */
static uint64_t unsent_max(const struct cn_stream *stream)
{
    const uint64_t most = credit(stream);

    if (stream->tx_unsent_max > 0)
        return stream->tx_unsent_max;
    return most < UNSENT_SIZE_MIN          ? UNSENT_SIZE_MIN
           : most > CN_MUX_UNSENT_SIZE_MAX ? CN_MUX_UNSENT_SIZE_MAX
                                           : most;
}

/* Whether it may hold more; beyond its first piece of memory only while that is not scarce. */
static bool may_hold_more(const struct cn_stream *stream, uint64_t most)
{
    return stream->tx.end - stream->tx_sent < most &&
           (cn_buffer_size(&stream->tx) < CN_CHUNK_SIZE_MIN / 2 ||
            !cn_pool_is_tight(stream->tx.pool));
}

void cn_stream_hold_little(struct cn_stream *stream, uint64_t most)
{
    stream->tx_unsent_max = most;
}

uint8_t *cn_stream_reserve(struct cn_stream *stream, size_t *size)
{
    uint8_t *room = NULL;

    *size = 0;
    if (!takes_writes(stream))
        return NULL;
    cn_buffer_expect(&stream->tx, 2 * credit(stream));
    if (may_hold_more(stream, unsent_max(stream)))
        room = cn_buffer_reserve(&stream->tx, size);
    if (!room)
        cn_mux_starved(stream->mux, stream);
    return room;
}

void cn_stream_commit(struct cn_stream *stream, size_t size)
{
    if (size == 0 || stream->reset) /* the partner may have reset it since */
        return;
    assert(!stream->tx_finished);
    cn_buffer_commit(&stream->tx, size);
    cn_mux_sendable(stream->mux, stream);
}

size_t cn_stream_write(struct cn_stream *stream, const void *data, size_t size)
{
    const uint8_t *from = data;
    size_t done = 0;

    while (done < size) {
        size_t room;
        uint8_t *to = cn_stream_reserve(stream, &room);

        if (!to)
            break;
        if (room > size - done)
            room = size - done;
        memcpy(to, from + done, room);
        cn_stream_commit(stream, room);
        done += room;
    }
    return done;
}

void cn_stream_finish(struct cn_stream *stream)
{
    stream->tx_finished = true;
    cn_mux_sendable(stream->mux, stream);
}

/* Nothing of it will be sent or read any more; what was is still counted. */
static void abandon(struct cn_stream *stream, uint32_t code)
{
    const uint64_t written = stream->tx.end;
    const uint64_t received = stream->tx.begin;
    const uint64_t read = stream->rx.begin;

    stream->reset = true;
    stream->reset_code = code;
    cn_flight_forget(&stream->mux->flight, stream->tx_sent - stream->tx.begin);
    cn_schedule_remove(&stream->turn);
    cn_list_remove(&stream->in_starved);
    stream->borrowed = NULL;
    stream->borrowed_size = 0;
    cn_buffer_wipe(&stream->tx);
    cn_buffer_wipe(&stream->rx);
    stream->tx.begin = received;
    stream->tx.end = written;
    cn_buffer_skip(&stream->rx, read);
    account(stream);
    cn_stream_look_over(stream);
}

void cn_stream_reset(struct cn_stream *stream, uint32_t code)
{
    if (stream->reset)
        return;
    abandon(stream, code);
    stream->reset_due = true;
    stream->unheard = true;
    cn_list_remove(&stream->in_unheard); /* until that is said, too */
    cn_mux_control(stream->mux, stream);
}

const uint8_t *cn_stream_peek(struct cn_stream *stream, size_t *size)
{
    const uint8_t *held = cn_buffer_at(&stream->rx, stream->rx.begin, size);

    if (held)
        return held;
    *size = stream->borrowed_size;
    return stream->borrowed;
}

/* There may be something to tell the partner: that it may send more, or that all has been read. */
static void consumed(struct cn_stream *stream)
{
    if (stream->rx_ended && stream->rx.begin == stream->rx_final)
        cn_mux_received_due(stream->mux, stream, true);
    else if (cn_stream_window_due(stream))
        cn_mux_control(stream->mux, stream);
}

void cn_stream_consume(struct cn_stream *stream, size_t size)
{
    uint64_t held = cn_buffer_size(&stream->rx);
    size_t from_held = size < held ? size : (size_t)held;

    if (stream->reset) /* perhaps since the program looked */
        return;
    cn_buffer_release(&stream->rx, stream->rx.begin + from_held);
    size -= from_held;
    assert(size <= stream->borrowed_size);
    if (size > 0) {
        stream->borrowed += size;
        stream->borrowed_size -= size;
        cn_buffer_skip(&stream->rx, stream->rx.end + size);
    }
    if (stream->borrowed_size == 0)
        stream->borrowed = NULL;
    account(stream);
    consumed(stream);
}

size_t cn_stream_read(struct cn_stream *stream, void *data, size_t size)
{
    uint8_t *to = data;
    size_t done = 0;

    while (done < size) {
        size_t some;
        const uint8_t *from = cn_stream_peek(stream, &some);

        if (!from)
            break;
        if (some > size - done)
            some = size - done;
        memcpy(to + done, from, some);
        cn_stream_consume(stream, some);
        done += some;
    }
    return done;
}

enum cn_stream_state cn_stream_state(const struct cn_stream *stream)
{
    if (stream->reset)
        return CN_STREAM_RESET;
    if (stream->rx_ended && stream->rx.begin == stream->rx_final)
        return CN_STREAM_ENDED;
    return CN_STREAM_OPEN;
}

uint32_t cn_stream_reset_code(const struct cn_stream *stream)
{
    return stream->reset_code;
}

void cn_stream_set_durable(struct cn_stream *stream, uint64_t offset)
{
    assert(offset <= stream->rx.begin);
    if (stream->reset || offset <= stream->rx_durable)
        return;
    stream->rx_durable = offset;
    stream->rx_durable_due = true;
    cn_mux_control(stream->mux, stream);
}

void cn_stream_progress(const struct cn_stream *stream, struct cn_stream_progress *progress)
{
    *progress = (struct cn_stream_progress) {
        .written = stream->tx.end,
        .received = stream->tx.begin,
        .durable = stream->tx_durable,
        .end_received = stream->tx_fin_received,
        .read = stream->rx.begin,
    };
}

void cn_stream_release(struct cn_stream *stream)
{
    stream->released = true;
    stream->user = NULL;
    stream->events = 0;
    cn_list_remove(&stream->in_eventful);
    /* one that is finished both ways stays until the partner knows all of it */
    if (!stream->tx_finished || cn_stream_state(stream) == CN_STREAM_OPEN)
        cn_stream_reset(stream, 0);
    cn_stream_look_over(stream);
}

/* --- for the mux ----------------------------------------------------------------------------- */

uint64_t cn_stream_sendable(const struct cn_stream *stream)
{
    const uint64_t until = stream->tx.end < stream->tx_limit ? stream->tx.end : stream->tx_limit;

    return stream->reset || until <= stream->tx_sent ? 0 : until - stream->tx_sent;
}

bool cn_stream_fin_due(const struct cn_stream *stream)
{
    return stream->tx_finished && !stream->tx_fin_sent && !stream->reset &&
           stream->tx_sent == stream->tx.end;
}

void cn_stream_tell_writable(struct cn_stream *stream)
{
    if (!cn_list_has(&stream->in_starved) || !may_hold_more(stream, unsent_max(stream) / 2))
        return;
    cn_list_remove(&stream->in_starved);
    if (takes_writes(stream))
        tell(stream, CN_EVENT_WRITABLE);
}

static uint64_t arrived(const struct cn_stream *stream)
{
    return stream->rx.end + stream->borrowed_size;
}

uint64_t cn_stream_expected(const struct cn_stream *stream)
{
    return arrived(stream) + (stream->rx_ended && stream->rx.begin == stream->rx_final ? 1 : 0);
}

/* While a stream is short, its sender has still to find out how fast the line is. */
bool cn_stream_received_due(const struct cn_stream *stream)
{
    const uint64_t news = cn_stream_expected(stream) - stream->rx_received;
    const uint64_t quarter = stream->rx_received / 4;

    if (stream->rx_ended && stream->rx.begin == stream->rx_final)
        return news > 0;
    return news >= RECEIVED_SIZE_MAX || (news >= RECEIVED_SIZE_MIN && news >= quarter);
}

bool cn_stream_window_due(const struct cn_stream *stream)
{
    const uint64_t until = stream->rx.begin + stream->rx_window;

    return !stream->reset && !stream->rx_ended && until > stream->rx_limit &&
           until - stream->rx_limit >= stream->rx_window / 4;
}

void cn_stream_widen(struct cn_stream *stream)
{
    const uint64_t others = cn_mux_extra(stream->mux) - stream->rx_extra;
    const uint64_t left = others < CN_MUX_EXTRA_SIZE_MAX ? CN_MUX_EXTRA_SIZE_MAX - others : 0;
    const uint64_t most = CN_MUX_WINDOW_SIZE + left / 2; /* something stays for who comes later */

    if (stream->rx_window > most)
        stream->rx_window = most;
    if (stream->rx_window > CN_MUX_WINDOW_SIZE_MAX)
        stream->rx_window = CN_MUX_WINDOW_SIZE_MAX;
    if (stream->rx.begin + stream->rx_window > stream->rx_limit)
        stream->rx_limit = stream->rx.begin + stream->rx_window;
    cn_buffer_expect(&stream->rx, stream->rx_window);
    account(stream);
}

/* Both ends are sent, read and acknowledged. */
static bool is_acknowledged(const struct cn_stream *stream)
{
    return stream->tx_fin_received && stream->rx_ended &&
           stream->rx_received == stream->rx_final + 1;
}

void cn_stream_look_over(struct cn_stream *stream)
{
    if (!stream->over && (stream->reset || is_acknowledged(stream))) {
        stream->over = true;
        cn_mux_over(stream->mux, stream);
    }
    if (stream->released && cn_stream_done(stream))
        cn_mux_leaving(stream->mux, stream);
}

bool cn_stream_done(const struct cn_stream *stream)
{
    if (stream->reset)
        return !stream->unheard && !stream->open_due;
    return is_acknowledged(stream) && !stream->rx_durable_due && !stream->unheard;
}

enum cn_err cn_stream_settle(struct cn_stream *stream)
{
    const uint8_t *from = stream->borrowed;
    size_t size = stream->borrowed_size;

    stream->borrowed = NULL;
    stream->borrowed_size = 0;
    return size == 0 ? CN_OK : cn_buffer_append(&stream->rx, from, size);
}

void cn_stream_drop(struct cn_stream *stream)
{
    const struct cn_memory *memory = stream->mux->memory;
    struct cn_link *const links[] = { &stream->in_all,     &stream->in_control,
                                      &stream->in_news,    &stream->in_eventful,
                                      &stream->in_starved, &stream->in_leaving,
                                      &stream->in_naming,  &stream->in_unheard,
                                      &stream->turn.link };

    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        cn_list_remove(links[i]);
    cn_buffer_wipe(&stream->tx);
    cn_buffer_wipe(&stream->rx);
    if (stream->parameters)
        memory->give(memory->context, stream->parameters, stream->parameters_size);
    memory->give(memory->context, stream, sizeof *stream);
}

void cn_stream_lose(struct cn_stream *stream)
{
    if (stream->over)
        return;
    cn_stream_reset(stream, 0);
    tell(stream, CN_EVENT_READABLE);
}

static enum cn_err take_data(struct cn_stream *stream, const struct cn_frame *frame)
{
    enum cn_err err = CN_OK;

    if (frame->offset != arrived(stream) || stream->rx_ended)
        return CN_E_FORMAT;
    if (frame->size > stream->rx_limit - frame->offset)
        return CN_E_LIMIT;
    if (cn_mux_settle(stream->mux) != CN_OK)
        return CN_E_MEMORY;
    tell(stream, CN_EVENT_READABLE);
    if (cn_buffer_size(&stream->rx) > 0) {
        err = cn_buffer_append(&stream->rx, frame->bytes, frame->size);
    } else {
        stream->borrowed = frame->bytes;
        stream->borrowed_size = frame->size;
        stream->mux->borrower = stream;
    }
    cn_mux_received_due(stream->mux, stream, cn_stream_received_due(stream));
    return err;
}

static enum cn_err take_received(struct cn_stream *stream, const struct cn_frame *frame)
{
    uint64_t offset = frame->offset;

    if (stream->tx_fin_sent && offset == stream->tx.end + 1) {
        stream->tx_fin_received = true;
        offset--;
    } else if (stream->tx_fin_received) {
        return CN_E_FORMAT;
    }
    if (offset > stream->tx_sent || offset < stream->tx.begin)
        return CN_E_FORMAT;
    cn_flight_delivered(&stream->mux->flight, offset - stream->tx.begin, stream->mux->rtt_ms,
                        stream->mux->now_ms);
    cn_buffer_release(&stream->tx, offset);
    cn_stream_look_over(stream);
    tell(stream, CN_EVENT_PROGRESS);
    return CN_OK;
}

static enum cn_err take_fin(struct cn_stream *stream, const struct cn_frame *frame)
{
    if (frame->offset != arrived(stream) || stream->rx_ended)
        return CN_E_FORMAT;
    stream->rx_ended = true;
    stream->rx_final = frame->offset;
    account(stream);
    cn_mux_received_due(stream->mux, stream, true);
    tell(stream, CN_EVENT_READABLE);
    return CN_OK;
}

static enum cn_err take_durable(struct cn_stream *stream, const struct cn_frame *frame)
{
    if (frame->offset > stream->tx_sent || frame->offset < stream->tx_durable)
        return CN_E_FORMAT;
    stream->tx_durable = frame->offset;
    tell(stream, CN_EVENT_PROGRESS);
    return CN_OK;
}

static enum cn_err take_window(struct cn_stream *stream, const struct cn_frame *frame)
{
    if (frame->offset < stream->tx_limit)
        return CN_E_FORMAT;
    stream->tx_limit = frame->offset;
    cn_mux_sendable(stream->mux, stream);
    cn_stream_tell_writable(stream);
    return CN_OK;
}

void cn_stream_heard(struct cn_stream *stream)
{
    stream->unheard = false;
    stream->reset_due = false;
    cn_list_remove(&stream->in_unheard);
    cn_stream_look_over(stream);
}

void cn_stream_take_reset(struct cn_stream *stream, uint32_t code)
{
    if (stream->reset) { /* both have given it up */
        cn_stream_heard(stream);
        return;
    }
    if (stream->over) /* what both have confirmed stays so */
        return;
    abandon(stream, code);
    cn_stream_heard(stream); /* what was durable is of no interest any more */
    tell(stream, CN_EVENT_READABLE);
}

void cn_stream_moved(struct cn_stream *stream)
{
    cn_stream_look_over(stream);
    if (stream->reset)
        return;
    cn_mux_sendable(stream->mux, stream);
    cn_stream_tell_writable(stream);
    tell(stream, CN_EVENT_PROGRESS);
}

static enum cn_err take_reset(struct cn_stream *stream, const struct cn_frame *frame)
{
    cn_stream_take_reset(stream, frame->code);
    return CN_OK;
}

/* What was under way when one of us gave it up, or both had confirmed all. */
static bool is_late(const struct cn_stream *stream, const struct cn_frame *frame)
{
    if (frame->type == CN_FRAME_RESET)
        return false;
    return stream->reset || (stream->over && frame->type != CN_FRAME_DURABLE);
}

enum cn_err cn_stream_take(struct cn_stream *stream, const struct cn_frame *frame)
{
    static enum cn_err (*const takers[CN_FRAME_TYPE_COUNT])(struct cn_stream *,
                                                            const struct cn_frame *) = {
        [CN_FRAME_DATA] = take_data,       [CN_FRAME_RECEIVED] = take_received,
        [CN_FRAME_DURABLE] = take_durable, [CN_FRAME_WINDOW] = take_window,
        [CN_FRAME_FIN] = take_fin,         [CN_FRAME_RESET] = take_reset,
    };

    if (!takers[frame->type])
        return CN_E_UNEXPECTED;
    if (is_late(stream, frame))
        return CN_OK;
    return takers[frame->type](stream, frame);
}
