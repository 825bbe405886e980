#include "mux.h"

#include <assert.h>
#include <string.h>

#define STREAM(link, field) CN_LIST_MEMBER(link, struct cn_stream, field)

void cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role)
{
    *mux = (struct cn_mux) {
        .memory = memory,
        .rtt_ms = UINT64_MAX,
        .ping_due_ms = UINT64_MAX,
        .patience_ms = CN_MUX_PATIENCE_MS_MAX,
    };
    cn_mux_set_role(mux, role);
    cn_pool_init(&mux->rx_pool, memory, CN_MUX_RX_SIZE_MAX, 0);
    cn_pool_init(&mux->tx_pool, memory, CN_MUX_TX_SIZE_MAX, CN_MUX_TX_RESERVE_SIZE);
    cn_list_init(&mux->all);
    cn_list_init(&mux->control);
    cn_list_init(&mux->news);
    cn_list_init(&mux->eventful);
    cn_list_init(&mux->starved);
    cn_list_init(&mux->leaving);
    cn_list_init(&mux->naming);
    cn_list_init(&mux->unheard);
    cn_schedule_init(&mux->schedule);
}

void cn_mux_set_role(struct cn_mux *mux, enum cn_role role)
{
    assert(mux->held_count == 0);
    mux->role = role;
    mux->next_id = role == CN_ROLE_A ? 1 : 2;
    mux->their_next_id = role == CN_ROLE_A ? 2 : 1;
}

void cn_mux_wipe(struct cn_mux *mux)
{
    struct cn_link *link;

    if (!mux)
        return;
    cn_mux_share_extra(mux, NULL);
    while ((link = cn_list_first(&mux->all)))
        cn_stream_drop(STREAM(link, in_all));
    mux->borrower = NULL;
    memset(mux->by_id, 0, sizeof mux->by_id);
    cn_pool_wipe(&mux->rx_pool);
    cn_pool_wipe(&mux->tx_pool);
}

uint64_t cn_mux_extra(const struct cn_mux *mux)
{
    return mux->rx_extra_shared ? *mux->rx_extra_shared : mux->rx_extra;
}

void cn_mux_extra_change(struct cn_mux *mux, uint64_t from, uint64_t to)
{
    mux->rx_extra += to - from;
    if (mux->rx_extra_shared)
        *mux->rx_extra_shared += to - from;
}

void cn_mux_share_extra(struct cn_mux *mux, uint64_t *sum)
{
    if (mux->rx_extra_shared)
        *mux->rx_extra_shared -= mux->rx_extra;
    mux->rx_extra_shared = sum;
    if (sum)
        *sum += mux->rx_extra;
}

struct cn_call_limits cn_mux_limits(void)
{
    return (struct cn_call_limits) { CN_MUX_STREAM_COUNT_MAX, CN_MUX_WINDOW_SIZE, 0 };
}

void cn_mux_begin(struct cn_mux *mux, const struct cn_call_limits *theirs, uint64_t now_ms)
{
    mux->theirs = *theirs;
    mux->now_ms = now_ms;
    mux->flight = (struct cn_flight) { .span_ms = now_ms };
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

struct cn_stream *cn_mux_find(struct cn_mux *mux, uint32_t id)
{
    return *stream_find(mux, id);
}

/* NULL: no memory, or as many held as it is for. */
static struct cn_stream *stream_add(struct cn_mux *mux, uint32_t id, uint8_t kind,
                                    const void *parameters, size_t parameters_size)
{
    const struct cn_memory *memory = mux->memory;
    struct cn_stream *stream = NULL;
    uint8_t *copy = NULL;

    cn_mux_sweep(mux); /* nothing may go out for long, while streams come and go */
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
        .turn = { .priority = CN_PRIORITY_NORMAL },
    };
    cn_buffer_init(&stream->tx, &mux->tx_pool);
    cn_buffer_init(&stream->rx, &mux->rx_pool);
    cn_buffer_expect(&stream->rx, stream->rx_window);
    cn_list_append(&mux->all, &stream->in_all);
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
    cn_mux_control(mux, made);
    mux->next_id += 2;
    mux->my_count++;
    *stream = made;
    return CN_OK;
}

void cn_mux_sweep(struct cn_mux *mux)
{
    struct cn_link *link;

    while ((link = cn_list_first(&mux->leaving))) {
        struct cn_stream *stream = STREAM(link, in_leaving);

        cn_list_remove(link);
        if (!cn_stream_done(stream)) /* there is something to be said yet: it will come again */
            continue;
        *stream_find(mux, stream->id) = stream->next_by_id;
        if (mux->borrower == stream) /* all that was lent is consumed */
            mux->borrower = NULL;
        mux->held_count--;
        cn_stream_drop(stream);
    }
}

static void list_once(struct cn_list *list, struct cn_link *link)
{
    if (!cn_list_has(link))
        cn_list_append(list, link);
}

void cn_mux_control(struct cn_mux *mux, struct cn_stream *stream)
{
    list_once(&mux->control, &stream->in_control);
}

void cn_mux_received_due(struct cn_mux *mux, struct cn_stream *stream, bool at_once)
{
    if (at_once) {
        cn_mux_control(mux, stream);
        return;
    }
    if (mux->received_due_ms == 0)
        mux->received_due_ms = mux->now_ms + CN_MUX_RECEIVED_DELAY_MS;
    list_once(&mux->news, &stream->in_news);
}

void cn_mux_sendable(struct cn_mux *mux, struct cn_stream *stream)
{
    if (!stream->open_due && (cn_stream_sendable(stream) > 0 || cn_stream_fin_due(stream)))
        cn_schedule_add(&mux->schedule, &stream->turn);
}

void cn_mux_eventful(struct cn_mux *mux, struct cn_stream *stream)
{
    list_once(&mux->eventful, &stream->in_eventful);
}

void cn_mux_starved(struct cn_mux *mux, struct cn_stream *stream)
{
    list_once(&mux->starved, &stream->in_starved);
    if (mux->tx_pool.failed && mux->memory_due_ms == 0)
        mux->memory_due_ms = mux->now_ms + CN_MUX_MEMORY_DELAY_MS;
}

void cn_mux_look_memory(struct cn_mux *mux)
{
    if (mux->memory_due_ms == 0 || mux->now_ms < mux->memory_due_ms)
        return;
    mux->memory_due_ms = 0;
    mux->tx_pool.failed = false;
    mux->tx_pool.given = true; /* perhaps: whoever waits for some shall try */
}

void cn_mux_leaving(struct cn_mux *mux, struct cn_stream *stream)
{
    list_once(&mux->leaving, &stream->in_leaving);
}

/* --- input ----------------------------------------------------------------------------------- */

bool cn_mux_is_theirs(const struct cn_mux *mux, uint32_t id)
{
    return (id & 1) == (mux->their_next_id & 1);
}

static enum cn_err take_open(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_stream *stream;

    if (!cn_mux_is_theirs(mux, frame->stream) || frame->stream != mux->their_next_id ||
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
    cn_mux_eventful(mux, stream);
    return CN_OK;
}

/* A frame of a stream that is gone is late, and harmless; of one that never was, nonsense. */
static enum cn_err take_of_stream(struct cn_mux *mux, const struct cn_frame *frame)
{
    struct cn_stream *stream = *stream_find(mux, frame->stream);
    uint32_t next = cn_mux_is_theirs(mux, frame->stream) ? mux->their_next_id : mux->next_id;

    mux->moved = true;
    if (stream)
        return stream->open_due ? CN_E_FORMAT : cn_stream_take(stream, frame);
    return frame->stream < next ? CN_OK : CN_E_FORMAT;
}

/* What was said before the PING has been heard. */
static void all_heard(struct cn_mux *mux, uint64_t token)
{
    struct cn_link *link;

    while ((link = cn_list_first(&mux->unheard)) &&
           STREAM(link, in_unheard)->unheard_token <= token)
        cn_stream_heard(STREAM(link, in_unheard));
    if (link)
        mux->ping_due_ms = mux->now_ms;
}

static void take_pong(struct cn_mux *mux, uint64_t token)
{
    uint64_t took = mux->now_ms - mux->ping_sent_ms;

    if (!mux->ping_out || token != mux->ping_token)
        return;
    mux->ping_out = false;
    if (took < mux->rtt_ms)
        mux->rtt_ms = took;
    all_heard(mux, token);
}

/* Whoever is done knows of no open stream: ours have crossed its CLOSE, and nobody will answer. */
static enum cn_err take_close(struct cn_mux *mux, uint32_t code)
{
    mux->close_received = true;
    mux->close_received_code = code;
    if (code != 0)
        return CN_OK;
    if (mux->their_count > 0)
        return CN_E_UNEXPECTED;
    for (struct cn_link *at = cn_list_first(&mux->all); at && mux->my_count > 0;
         at = cn_list_next(&mux->all, at))
        cn_stream_lose(STREAM(at, in_all));
    return CN_OK;
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
        return take_close(mux, frame->code);
    case CN_FRAME_RESUME:
        return frame->stream == 0 ? cn_mux_resume_take_end(mux, frame)
                                  : cn_mux_resume_take(mux, frame);
    case CN_FRAME_REHANDSHAKE: /* their place; refused until both ends can */
    case CN_FRAME_SWITCH:
    case CN_FRAME_PADDING:
    case CN_FRAME_TYPE_COUNT:
        break;
    }
    return CN_E_UNEXPECTED;
}

/* Before an end has said how far it is, it says nothing of a stream. */
static bool is_expected(const struct cn_mux *mux, const struct cn_frame *frame)
{
    if (mux->close_received)
        return false;
    return mux->resume == CN_MUX_TALKING || mux->resume_heard || frame->type == CN_FRAME_RESUME ||
           frame->type == CN_FRAME_PING || frame->type == CN_FRAME_PONG ||
           frame->type == CN_FRAME_CLOSE;
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
        err = is_expected(mux, &frame) ? take_frame(mux, &frame) : CN_E_UNEXPECTED;
    }
    return err;
}

enum cn_err cn_mux_settle(struct cn_mux *mux)
{
    struct cn_stream *stream = mux->borrower;

    mux->borrower = NULL;
    return stream ? cn_stream_settle(stream) : CN_OK;
}

/* --- time and events ------------------------------------------------------------------------- */

/* Of a PING that is out. */
static uint64_t unanswered_since_ms(const struct cn_mux *mux)
{
    return mux->heard_ms > mux->ping_first_ms ? mux->heard_ms : mux->ping_first_ms;
}

uint64_t cn_mux_quiet_ms(const struct cn_mux *mux, uint64_t for_ms)
{
    return mux->ping_out && !mux->close_sent && !mux->close_received
               ? unanswered_since_ms(mux) + for_ms
               : UINT64_MAX;
}

/* Who waits for CLOSE alone cannot ask any more: but the partner goes on asking. */
uint64_t cn_mux_dead_ms(const struct cn_mux *mux)
{
    const uint64_t heard_ms =
        mux->heard_ms > mux->close_sent_ms ? mux->heard_ms : mux->close_sent_ms;

    if (mux->close_sent && !mux->close_received)
        return heard_ms + CN_MUX_PING_MS + mux->patience_ms;
    return cn_mux_quiet_ms(mux, mux->patience_ms);
}

uint64_t cn_mux_ping_ms(const struct cn_mux *mux)
{
    uint64_t asked_ms =
        mux->ping_sent_ms > mux->flight.delivered_ms ? mux->ping_sent_ms : mux->flight.delivered_ms;
    uint64_t due = mux->ping_due_ms;

    if (mux->close_received) /* nobody answers, but somebody listens */
        return due;
    if (mux->ping_out) /* once more, lest one that nobody hears decides */
        return mux->ping_sent_ms > unanswered_since_ms(mux)
                   ? UINT64_MAX
                   : unanswered_since_ms(mux) + mux->patience_ms / 2;
    if (mux->flight.sent > mux->flight.delivered && asked_ms + CN_MUX_UNACKNOWLEDGED_MS < due)
        due = asked_ms + CN_MUX_UNACKNOWLEDGED_MS;
    return due;
}

bool cn_mux_is_dead(const struct cn_mux *mux, uint64_t now_ms)
{
    return now_ms >= cn_mux_dead_ms(mux);
}

uint64_t cn_mux_deadline_ms(const struct cn_mux *mux)
{
    uint64_t deadline = cn_mux_dead_ms(mux);

    if (mux->close_sent)
        return deadline;
    if (mux->received_due_ms != 0)
        deadline = mux->received_due_ms < deadline ? mux->received_due_ms : deadline;
    if (mux->memory_due_ms != 0)
        deadline = mux->memory_due_ms < deadline ? mux->memory_due_ms : deadline;
    return cn_mux_ping_ms(mux) < deadline ? cn_mux_ping_ms(mux) : deadline;
}

/* Whatever gave memory back, it may be what another stream waits for. */
static void starved_tell(struct cn_mux *mux)
{
    struct cn_link *next;

    mux->tx_pool.given = false;
    for (struct cn_link *at = cn_list_first(&mux->starved); at; at = next) {
        next = cn_list_next(&mux->starved, at);
        cn_stream_tell_writable(STREAM(at, in_starved));
    }
}

/* Memory that a program has given back by a reset is an event for who waits for some. */
bool cn_mux_has_event(const struct cn_mux *mux)
{
    return cn_list_first(&mux->eventful) || (mux->tx_pool.given && cn_list_first(&mux->starved));
}

bool cn_mux_next_event(struct cn_mux *mux, struct cn_stream **stream, enum cn_event_type *type)
{
    static const enum cn_event_type order[] = { CN_EVENT_STREAM, CN_EVENT_READABLE,
                                                CN_EVENT_WRITABLE, CN_EVENT_PROGRESS };
    struct cn_stream *s;
    size_t i = 0;

    if (!cn_list_first(&mux->eventful) && mux->tx_pool.given)
        starved_tell(mux);
    if (!cn_list_first(&mux->eventful))
        return false;
    s = STREAM(cn_list_first(&mux->eventful), in_eventful);
    while (!(s->events & 1U << order[i]))
        i++;
    s->events &= ~(1U << order[i]);
    if (s->events == 0)
        cn_list_remove(&s->in_eventful);
    *stream = s;
    *type = order[i];
    return true;
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
