/* Muxes: two of them, joined in memory by the plaintext of their records. What offends is refused;
 * what is written here is read there, no more of it than the windows allow. */
#include "unit.h"

#include "mux.h"
#include "seeded.h"

enum { WINDOW = CN_MUX_WINDOW_SIZE, WIDE = 1024 * 1024 };

/* --- two ends -------------------------------------------------------------------------------- */

/* Memory that is counted; it fails when `left` blocks more have been given out. */
struct counted {
    size_t octets;
    size_t peak;
    size_t left;
};

static void *counted_take(void *context, size_t size)
{
    struct counted *c = context;
    size_t *block;

    if (c->left == 0)
        return NULL;
    c->left--;
    block = malloc(size);
    c->octets += block ? size : 0;
    if (c->octets > c->peak)
        c->peak = c->octets;
    return block;
}

static void counted_give(void *context, void *block, size_t size)
{
    struct counted *c = context;

    c->octets -= size;
    memset(block, 0xa5, size); /* who looks at it still is found out */
    free(block);
}

/* What an end has said, of all streams together. */
struct said {
    unsigned count[CN_FRAME_TYPE_COUNT];
    uint64_t octets;
    uint64_t last_offset[CN_FRAME_TYPE_COUNT];
    size_t last_wire_size;
};

struct end {
    struct cn_mux mux;
    struct counted counted;
    struct cn_memory memory;
    struct said said;
    uint8_t *plain; /* the last record that came: the mux may have borrowed from it */
};

static struct end ends[2]; /* A, B */
static uint64_t now_ms;

static int begin(void **state)
{
    const struct cn_call_limits limits = cn_mux_limits();

    (void)state;
    now_ms = 1000;
    for (int i = 0; i < 2; i++) {
        struct end *e = &ends[i];

        memset(e, 0, sizeof *e);
        e->counted.left = SIZE_MAX;
        e->memory = (struct cn_memory) { counted_take, counted_give, &e->counted };
        cn_mux_init(&e->mux, &e->memory, i == 0 ? CN_ROLE_A : CN_ROLE_B);
        cn_mux_begin(&e->mux, &limits, now_ms);
    }
    return 0;
}

static int finish(void **state)
{
    size_t left = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        cn_mux_wipe(&ends[i].mux);
        left += ends[i].counted.octets;
        free(ends[i].plain);
        ends[i].plain = NULL;
    }
    return left == 0 ? 0 : -1;
}

static void note(struct said *said, const struct cn_frame *frame)
{
    said->count[frame->type]++;
    said->last_offset[frame->type] = frame->offset;
    if (frame->type == CN_FRAME_DATA)
        said->octets += frame->size;
}

/* Hand an end the plaintext of a record, in memory of exactly that size. */
static enum cn_err hand(struct end *to, const uint8_t *plain, size_t size)
{
    uint8_t *exact = malloc(size + 1);
    enum cn_err err;

    assert_non_null(exact);
    memcpy(exact, plain, size);
    err = cn_mux_settle(&to->mux);
    if (err == CN_OK) {
        free(to->plain);
        to->plain = exact;
        err = cn_mux_input(&to->mux, exact, size, now_ms);
    } else {
        free(exact);
    }
    return err;
}

/* The next record of an end as plaintext with its padding; 0: it has none. */
static size_t take(struct end *from, uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX])
{
    static struct cn_mux_record record;
    struct cn_reader r = { .at = plain };
    struct cn_frame frame;
    size_t size = 0;

    if (!cn_mux_output(&from->mux, now_ms, &record))
        return 0;
    assert_true(record.piece_count <= CN_MUX_PIECE_COUNT_MAX);
    for (size_t i = 0; i < record.piece_count; i++) {
        assert_true(size + record.piece[i].size <= CN_RECORD_PLAIN_SIZE_MAX);
        memcpy(plain + size, record.piece[i].bytes, record.piece[i].size);
        size += record.piece[i].size;
    }
    r.left = size;
    while (r.left > 0) {
        assert_err(cn_frame_decode(&frame, &r), CN_OK);
        assert_true(frame.type != CN_FRAME_PADDING);
        assert_int_equal(from->said.count[CN_FRAME_CLOSE], 0); /* nothing behind it */
        note(&from->said, &frame);
    }
    assert_true(record.wire_size >= size + CN_RECORD_EXTRA_SIZE);
    from->said.last_wire_size = record.wire_size;
    memset(plain + size, 0, record.wire_size - CN_RECORD_EXTRA_SIZE - size);
    return record.wire_size - CN_RECORD_EXTRA_SIZE;
}

/* One record from this end to the other; false: there was none. */
static bool pass(int from)
{
    static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];
    size_t size = take(&ends[from], plain);

    if (size > 0)
        assert_err(hand(&ends[1 - from], plain, size), CN_OK);
    return size > 0;
}

/* Both ways until nobody has anything to say, and once more when what is held back is due. */
static void pass_all(void)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        for (bool moved = true; moved;) {
            moved = pass(0);
            moved |= pass(1);
        }
        now_ms += CN_MUX_RECEIVED_DELAY_MS;
    }
}

/* Records go into the void; nothing is acknowledged. */
static void send_all(int end)
{
    static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];

    while (take(&ends[end], plain) > 0)
        ;
}

static struct cn_stream *open_at(int end)
{
    struct cn_stream *stream = NULL;

    assert_err(cn_mux_open(&ends[end].mux, 1, NULL, 0, &stream), CN_OK);
    return stream;
}

/* The stream of an end's number; it must be there. */
static struct cn_stream *stream_of(int end, uint32_t id)
{
    struct cn_stream *stream = ends[end].mux.by_id[id % CN_MUX_BUCKET_COUNT];

    while (stream && stream->id != id)
        stream = stream->next_by_id;
    assert_non_null(stream);
    return stream;
}

/* The one that was opened last. */
static struct cn_stream *last_stream_of(int end)
{
    const struct cn_list *all = &ends[end].mux.all;

    assert_non_null(cn_list_first(all));
    return CN_LIST_MEMBER(all->ends.previous, struct cn_stream, in_all);
}

static bool has_streams(int end)
{
    return cn_list_first(&ends[end].mux.all) != NULL;
}

/* The line has shown that it carries as much as anybody may say. */
static void line_is_fast(int end)
{
    ends[end].mux.flight.rate[0] = UINT64_C(100000000000);
}

/* Both ends of a stream, after each has read for a while as fast as such a line is. */
static void open_wide(struct cn_stream *s[2])
{
    for (int i = 0; i < 2; i++) {
        line_is_fast(i);
        s[i]->tx_limit = s[i]->rx_limit = s[i]->rx_window = WIDE;
    }
}

/* Two ends of stream 1, which A has opened. */
static void open_both(struct cn_stream *out[2])
{
    out[0] = open_at(0);
    pass_all();
    out[1] = stream_of(1, 1);
}

/* Consume all that is there; how much that was. */
static size_t drain(struct cn_stream *stream)
{
    size_t total = 0;
    size_t size;

    while (cn_stream_peek(stream, &size)) {
        cn_stream_consume(stream, size);
        total += size;
    }
    return total;
}

static size_t write_zeros(struct cn_stream *stream, size_t size)
{
    static const uint8_t zeros[CN_MUX_UNSENT_SIZE_MAX + CN_CHUNK_SIZE_MAX];

    assert_true(size <= sizeof zeros);
    return cn_stream_write(stream, zeros, size);
}

/* Until it takes no more. */
static void fill_up(struct cn_stream *stream)
{
    while (write_zeros(stream, CN_CHUNK_SIZE_MAX) > 0)
        ;
}

/* --- offences -------------------------------------------------------------------------------- */

static enum cn_err say(int to, const struct cn_frame *frame)
{
    static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];
    struct cn_writer w = { .at = plain, .left = sizeof plain };

    cn_frame_encode(frame, &w);
    if (frame->type == CN_FRAME_DATA)
        cn_writer_zeros(&w, frame->size);
    assert_true(cn_writer_ok(&w));
    return hand(&ends[to], plain, sizeof plain - w.left);
}

static enum cn_err say_offset(int to, enum cn_frame_type type, uint32_t stream, uint64_t offset)
{
    return say(to, &(struct cn_frame) { .type = type, .stream = stream, .offset = offset });
}

static enum cn_err say_data(int to, uint32_t stream, uint64_t offset, size_t size)
{
    return say(to, &(struct cn_frame) {
                       .type = CN_FRAME_DATA, .stream = stream, .offset = offset, .size = size });
}

static enum cn_err say_open(int to, uint32_t stream, uint8_t kind)
{
    return say(to, &(struct cn_frame) { .type = CN_FRAME_OPEN, .stream = stream, .kind = kind });
}

static void frames_of_streams_never_opened_are_refused(void **state)
{
    static const enum cn_frame_type types[] = { CN_FRAME_RECEIVED, CN_FRAME_DURABLE,
                                                CN_FRAME_WINDOW, CN_FRAME_FIN };

    (void)state;
    for (uint32_t id = 1; id < 6; id++) {
        for (size_t i = 0; i < COUNT(types); i++) {
            assert_err(say_offset(1, types[i], id, 0), CN_E_FORMAT);
        }
        assert_err(say_data(1, id, 0, 1), CN_E_FORMAT);
        assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = id }),
                   CN_E_FORMAT);
    }
    assert_err(say_data(1, UINT32_MAX, 0, 1), CN_E_FORMAT);
}

static void streams_are_opened_in_order_by_their_own_side(void **state)
{
    (void)state;
    assert_err(say_open(1, 2, 1), CN_E_FORMAT); /* a number of B's */
    assert_err(say_open(1, 3, 1), CN_E_FORMAT); /* a gap */
    assert_err(say_open(1, 1, 0), CN_E_FORMAT); /* no kind */
    assert_err(say_open(1, 1, 1), CN_OK);
    assert_err(say_open(1, 1, 1), CN_E_FORMAT); /* twice */
    assert_err(say_open(1, 5, 1), CN_E_FORMAT);
    assert_err(say_open(1, 3, 1), CN_OK);
    assert_err(say_open(0, 1, 1), CN_E_FORMAT);
    assert_err(say_open(0, 2, 1), CN_OK);
    ends[1].mux.their_next_id = UINT32_MAX; /* the last number is never used */
    assert_err(say_open(1, UINT32_MAX, 1), CN_E_FORMAT);
}

static void no_more_streams_are_opened_than_allowed(void **state)
{
    struct cn_stream *stream;

    (void)state;
    for (uint32_t i = 0; i < CN_MUX_STREAM_COUNT_MAX; i++)
        assert_err(say_open(1, 2 * i + 1, 1), CN_OK);
    assert_err(say_open(1, 2 * CN_MUX_STREAM_COUNT_MAX + 1, 1), CN_E_LIMIT);
    for (uint32_t i = 0; i < CN_MUX_STREAM_COUNT_MAX; i++)
        assert_err(cn_mux_open(&ends[0].mux, 1, NULL, 0, &stream), CN_OK);
    assert_err(cn_mux_open(&ends[0].mux, 1, NULL, 0, &stream), CN_E_LIMIT);
}

static void a_stream_that_is_over_makes_room_before_it_is_released(void **state)
{
    struct cn_stream *stream;

    (void)state;
    for (uint32_t i = 0; i < CN_MUX_STREAM_COUNT_MAX; i++) {
        assert_err(say_open(1, 2 * i + 1, 1), CN_OK);
        assert_err(cn_mux_open(&ends[1].mux, 1, NULL, 0, &stream), CN_OK);
    }
    send_all(1);
    /* reset */
    assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = 1 }), CN_OK);
    assert_err(say_open(1, 2 * CN_MUX_STREAM_COUNT_MAX + 1, 1), CN_OK);
    assert_err(cn_mux_open(&ends[1].mux, 1, NULL, 0, &stream), CN_E_LIMIT);
    cn_stream_reset(stream_of(1, 2), 0);
    assert_err(cn_mux_open(&ends[1].mux, 1, NULL, 0, &stream), CN_OK);
    /* finished both ways, but not read: it holds memory */
    assert_err(say_data(1, 3, 0, 10), CN_OK);
    assert_err(say_offset(1, CN_FRAME_FIN, 3, 10), CN_OK);
    cn_stream_finish(stream_of(1, 3));
    send_all(1);
    assert_err(say_offset(1, CN_FRAME_RECEIVED, 3, 1), CN_OK);
    assert_int_equal(ends[1].mux.their_count, CN_MUX_STREAM_COUNT_MAX);
    assert_int_equal(drain(stream_of(1, 3)), 10);
    send_all(1);
    assert_err(say_open(1, 2 * CN_MUX_STREAM_COUNT_MAX + 3, 1), CN_OK);
    assert_err(say_open(1, 2 * CN_MUX_STREAM_COUNT_MAX + 5, 1), CN_E_LIMIT);
}

static void streams_that_nobody_releases_are_bounded(void **state)
{
    enum cn_err err = CN_OK;
    uint32_t id;

    (void)state;
    for (id = 1; err == CN_OK; id += 2) {
        err = say_open(1, id, 1);
        if (err == CN_OK)
            err = say(1, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = id });
    }
    assert_err(err, CN_E_MEMORY);
    assert_int_equal(id / 2, CN_MUX_HELD_COUNT_MAX + 1);
}

/* Nothing goes out meanwhile: the line is full. */
static void streams_that_are_released_make_room_at_once(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 4 * CN_MUX_HELD_COUNT_MAX; id += 2) {
        assert_err(say_open(1, id, 1), CN_OK);
        assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = id }), CN_OK);
        cn_stream_release(last_stream_of(1));
    }
    assert_int_equal(ends[1].mux.their_count, 0);
}

static void frames_of_a_stream_of_mine_that_is_not_announced_are_refused(void **state)
{
    (void)state;
    (void)open_at(0);
    assert_err(say_data(0, 1, 0, 1), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_WINDOW, 1, 2 * WINDOW), CN_E_FORMAT);
    assert_err(say(0, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = 1 }), CN_E_FORMAT);
    send_all(0);
    assert_err(say_data(0, 1, 0, 1), CN_OK);
}

static void data_beyond_the_window_is_refused(void **state)
{
    uint64_t at = 0;

    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    for (; at < WINDOW; at += 4096)
        assert_err(say_data(1, 1, at, 4096), CN_OK);
    assert_err(say_data(1, 1, at, 1), CN_E_LIMIT);
}

static void data_across_the_window_is_refused(void **state)
{
    uint64_t at = 0;

    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    for (; at < WINDOW - 4096; at += 4096)
        assert_err(say_data(1, 1, at, 4096), CN_OK);
    assert_err(say_data(1, 1, at, 4097), CN_E_LIMIT);
}

static void gaps_and_overlaps_are_refused(void **state)
{
    static const uint64_t wrong[] = { 0, 9, 11, 20, UINT64_MAX, UINT64_MAX - 4 };

    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    assert_err(say_data(1, 1, 1, 10), CN_E_FORMAT);
    assert_err(say_data(1, 1, 0, 10), CN_OK);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_err(say_data(1, 1, wrong[i], 10), CN_E_FORMAT);
        assert_err(say_offset(1, CN_FRAME_FIN, 1, wrong[i]), CN_E_FORMAT);
    }
    assert_err(say_data(1, 1, 10, 10), CN_OK);
}

static void nothing_may_come_after_the_end_of_a_stream(void **state)
{
    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    assert_err(say_data(1, 1, 0, 10), CN_OK);
    assert_err(say_offset(1, CN_FRAME_FIN, 1, 10), CN_OK);
    assert_err(say_data(1, 1, 10, 1), CN_E_FORMAT);
    assert_err(say_offset(1, CN_FRAME_FIN, 1, 10), CN_E_FORMAT);
    assert_err(say_offset(1, CN_FRAME_FIN, 1, 11), CN_E_FORMAT);
}

static void acknowledgements_of_what_was_not_sent_are_refused(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 1), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 1), CN_E_FORMAT);
    (void)write_zeros(s[0], 100); /* written, not sent */
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 1), CN_E_FORMAT);
    assert_true(pass(0));
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 101), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, UINT64_MAX), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 101), CN_E_FORMAT);
    cn_stream_finish(s[0]); /* the end is not sent either */
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 101), CN_E_FORMAT);
    assert_true(pass(0));
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 102), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 101), CN_E_FORMAT); /* the end is no octet */
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 101), CN_OK);
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 100), CN_E_FORMAT); /* it never goes back */
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 101), CN_OK);
}

static void what_was_granted_is_not_taken_back(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 100);
    assert_true(pass(0));
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 50), CN_OK);
    assert_err(say_offset(0, CN_FRAME_RECEIVED, 1, 49), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 50), CN_OK);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 49), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_WINDOW, 1, WINDOW), CN_OK);
    assert_err(say_offset(0, CN_FRAME_WINDOW, 1, WINDOW - 1), CN_E_FORMAT);
    assert_err(say_offset(0, CN_FRAME_WINDOW, 1, WINDOW + 1), CN_OK);
    assert_err(say_offset(0, CN_FRAME_WINDOW, 1, WINDOW), CN_E_FORMAT);
}

static void what_version_1_reserves_is_refused(void **state)
{
    (void)state;
    assert_err(say(0, &(struct cn_frame) { .type = CN_FRAME_REHANDSHAKE }), CN_E_UNEXPECTED);
    assert_err(say(0, &(struct cn_frame) { .type = CN_FRAME_SWITCH }), CN_E_UNEXPECTED);
    assert_err(say(0, &(struct cn_frame) { .type = CN_FRAME_RESUME }), CN_E_UNEXPECTED);
}

static void nothing_may_come_after_close(void **state)
{
    uint8_t plain[40];
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    const struct cn_frame close = { .type = CN_FRAME_CLOSE };
    struct cn_stream *stream;

    (void)state;
    cn_frame_encode(&close, &w);
    cn_frame_encode(&close, &w);
    assert_err(hand(&ends[0], plain, sizeof plain - w.left), CN_E_UNEXPECTED);
    assert_err(say(1, &close), CN_OK);
    assert_err(hand(&ends[1], plain, 0), CN_OK); /* an empty record says nothing */
    assert_err(say(1, &close), CN_E_UNEXPECTED);
    assert_err(say_offset(1, CN_FRAME_PING, 0, 1), CN_E_UNEXPECTED);
    assert_err(say_open(1, 1, 1), CN_E_UNEXPECTED);
    assert_err(cn_mux_open(&ends[1].mux, 1, NULL, 0, &stream), CN_E_UNEXPECTED);
}

static void nonsense_is_refused(void **state)
{
    uint8_t plain[200];

    (void)state;
    memset(plain, 0x41, sizeof plain);
    assert_err(hand(&ends[0], plain, sizeof plain), CN_E_FORMAT);
    assert_err(hand(&ends[0], plain, 1), CN_E_FORMAT);
}

static void memory_that_ends_ends_the_call_not_the_program(void **state)
{
    struct cn_stream *stream;

    (void)state;
    for (size_t blocks = 0; blocks < 2; blocks++) {
        ends[0].counted.left = ends[1].counted.left = blocks;
        assert_err(cn_mux_open(&ends[0].mux, 1, "p", 1, &stream), CN_E_MEMORY);
        ends[0].counted.left = blocks;
        assert_err(cn_mux_open(&ends[0].mux, 1, "parameters", 10, &stream), CN_E_MEMORY);
        assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_OPEN,
                                               .stream = 1,
                                               .kind = 1,
                                               .bytes = (const uint8_t *)"parameters",
                                               .size = 10 }),
                   CN_E_MEMORY);
        assert_int_equal(ends[0].counted.octets + ends[1].counted.octets, 0);
    }
    ends[0].counted.left = ends[1].counted.left = SIZE_MAX;
    assert_err(say_open(1, 1, 1), CN_OK);
    ends[1].counted.left = 0;
    assert_err(say_data(1, 1, 0, 10), CN_OK);        /* borrowed */
    assert_err(say_data(1, 1, 10, 10), CN_E_MEMORY); /* no chunk to settle it in */
}

/* The first is lent to its stream, and settled for the second. */
static void memory_that_ends_within_a_record_ends_the_call(void **state)
{
    static uint8_t plain[256];
    struct cn_writer w = { .at = plain, .left = sizeof plain };

    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    for (uint64_t offset = 0; offset < 20; offset += 10) {
        cn_frame_encode(
            &(struct cn_frame) { .type = CN_FRAME_DATA, .stream = 1, .offset = offset, .size = 10 },
            &w);
        cn_writer_zeros(&w, 10);
    }
    ends[1].counted.left = 0;
    assert_err(hand(&ends[1], plain, sizeof plain - w.left), CN_E_MEMORY);
}

static void what_arrives_is_told_of(void **state)
{
    struct cn_stream *stream = NULL;
    enum cn_event_type type;

    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    assert_true(cn_mux_next_event(&ends[1].mux, &stream, &type));
    assert_int_equal(type, CN_EVENT_STREAM);
    assert_false(cn_mux_next_event(&ends[1].mux, &stream, &type));
    assert_err(say_data(1, 1, 0, 10), CN_OK);
    assert_true(cn_mux_next_event(&ends[1].mux, &stream, &type));
    assert_int_equal(type, CN_EVENT_READABLE);
    assert_false(cn_mux_next_event(&ends[1].mux, &stream, &type));
}

/* --- transfers ------------------------------------------------------------------------------- */

/* One direction of one stream in a random transfer. */
struct flow {
    struct cn_stream *out;
    struct cn_stream *in;
    uint64_t size;
    uint64_t written;
    uint64_t read;
    uint64_t write_state; /* of the generators on both sides */
    uint64_t read_state;
};

static void flow_write(struct flow *f, size_t most)
{
    size_t room;
    uint8_t *to = f->written < f->size ? cn_stream_reserve(f->out, &room) : NULL;

    if (to) {
        room = room < most ? room : most;
        room = room < f->size - f->written ? room : (size_t)(f->size - f->written);
        (void)seeded_fill(&f->write_state, to, room);
        cn_stream_commit(f->out, room);
        f->written += room;
    }
    if (f->written == f->size)
        cn_stream_finish(f->out);
}

static void flow_read(struct flow *f, size_t most)
{
    static uint8_t want[CN_CHUNK_SIZE_MAX];
    size_t size;
    const uint8_t *from = cn_stream_peek(f->in, &size);

    if (from) {
        size = size < most ? size : most;
        (void)seeded_fill(&f->read_state, want, size);
        assert_memory_equal(from, want, size);
        cn_stream_consume(f->in, size);
        f->read += size;
    }
    assert_true(f->read <= f->size);
    if (cn_stream_state(f->in) == CN_STREAM_ENDED)
        assert_true(f->read == f->size); /* an end only where the end is */
}

static bool flow_done(const struct flow *f)
{
    struct cn_stream_progress progress;

    cn_stream_progress(f->out, &progress);
    return cn_stream_state(f->in) == CN_STREAM_ENDED && progress.end_received;
}

static void transfers_both_ways_arrive_equal(void **state)
{
    uint64_t random_state = 3;

    (void)state;
    for (int round = 0; round < 6; round++) {
        struct flow flows[2] = { 0 };
        struct cn_stream *s[2];
        uint32_t dice[5];

        finish(NULL);
        begin(NULL);
        open_both(s);
        (void)seeded_fill(&random_state, (uint8_t *)dice, sizeof dice);
        for (int i = 0; i < 2; i++) {
            flows[i] = (struct flow) { .out = s[i],
                                       .in = s[1 - i],
                                       .size = round == 0 ? 0 : dice[i] % (200 * WINDOW),
                                       .write_state = dice[i],
                                       .read_state = dice[i] };
        }
        while (!flow_done(&flows[0]) || !flow_done(&flows[1])) {
            (void)seeded_fill(&random_state, (uint8_t *)dice, sizeof dice);
            for (int i = 0; i < 2; i++) {
                if (dice[4] & 1U << i)
                    flow_write(&flows[i], dice[i] % 200000);
                if (dice[4] & 4U << i)
                    flow_read(&flows[i], dice[2 + i] % 200000);
                if (dice[4] & 16U << i)
                    (void)pass(i);
            }
            now_ms += dice[4] >> 16 & 3;
        }
        for (int i = 0; i < 2; i++) {
            assert_true(ends[i].said.octets == flows[i].size);
            assert_int_equal(ends[i].said.count[CN_FRAME_FIN], 1);
            assert_true(ends[i].said.last_offset[CN_FRAME_FIN] == flows[i].size);
            cn_stream_release(s[i]);
            cn_mux_finish(&ends[i].mux);
        }
        pass_all();
        for (int i = 0; i < 2; i++) {
            assert_true(cn_mux_is_closed(&ends[i].mux));
            assert_int_equal(ends[i].said.count[CN_FRAME_RESET], 0);
        }
    }
}

static void a_stream_that_borrowed_is_not_touched_after_it_is_gone(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    cn_stream_finish(s[1]);
    pass_all();
    (void)write_zeros(s[0], 100);
    cn_stream_finish(s[0]);
    assert_true(pass(0)); /* data and end in one record, lent to B's stream */
    assert_int_equal(drain(s[1]), 100);
    assert_int_equal(cn_stream_state(s[1]), CN_STREAM_ENDED);
    cn_stream_release(s[1]);
    assert_true(pass(1)); /* the last word about it: the stream goes */
    assert_false(has_streams(1));
    assert_err(say_offset(1, CN_FRAME_PING, 0, 1), CN_OK); /* the next record settles */
}

static void parameters_and_kind_come_with_the_stream(void **state)
{
    static uint8_t parameters[CN_FRAME_PARAMETERS_SIZE_MAX];
    struct cn_stream *mine, *theirs;
    enum cn_event_type type;
    const void *got;
    size_t size;

    (void)state;
    fill(1, parameters, sizeof parameters);
    assert_err(cn_mux_open(&ends[1].mux, 200, parameters, sizeof parameters, &mine), CN_OK);
    pass_all();
    assert_true(cn_mux_next_event(&ends[0].mux, &theirs, &type));
    assert_int_equal(type, CN_EVENT_STREAM);
    assert_int_equal(cn_stream_kind(theirs), 200);
    got = cn_stream_parameters(theirs, &size);
    assert_int_equal(size, sizeof parameters);
    assert_memory_equal(got, parameters, size);
    assert_false(cn_mux_next_event(&ends[0].mux, &theirs, &type));
}

/* --- windows --------------------------------------------------------------------------------- */

static void a_sender_stops_where_the_window_ends(void **state)
{
    struct cn_stream_progress progress;
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    while (write_zeros(s[0], 4096) > 0 || ends[0].said.octets < WINDOW)
        pass_all(); /* B reads nothing */
    pass_all();
    assert_true(ends[0].said.octets == WINDOW);
    assert_int_equal(ends[1].said.count[CN_FRAME_WINDOW], 0);
    assert_true(ends[1].said.last_offset[CN_FRAME_RECEIVED] == WINDOW); /* arrived, not read */
    cn_stream_progress(s[0], &progress);
    assert_true(progress.received == WINDOW);
    assert_true(progress.written <= WINDOW + CN_MUX_UNSENT_SIZE_MAX + CN_CHUNK_SIZE_MAX);
    assert_false(pass(0));

    cn_stream_consume(s[1], 1); /* too little to speak about */
    pass_all();
    assert_true(ends[0].said.octets == WINDOW);
    while (cn_buffer_size(&s[1]->rx) > WINDOW * 3 / 4)
        cn_stream_consume(s[1], 1024);
    pass_all();
    assert_int_equal(ends[1].said.count[CN_FRAME_WINDOW], 1);
    assert_true(ends[1].said.last_offset[CN_FRAME_WINDOW] > WINDOW);
    assert_true(ends[0].said.octets > WINDOW);
    assert_true(ends[0].said.octets <= ends[1].said.last_offset[CN_FRAME_WINDOW]);
}

static void a_window_that_holds_back_grows_to_its_limit(void **state)
{
    struct cn_stream *s[2];
    uint64_t total = 0;

    (void)state;
    open_both(s);
    while (total < 4ULL * CN_MUX_WINDOW_SIZE_MAX) { /* read at once, in no time at all */
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        total += drain(s[1]);
        (void)pass(1);
    }
    assert_int_equal(s[1]->rx_window, CN_MUX_WINDOW_SIZE_MAX);
}

static void a_window_that_does_not_hold_back_stays(void **state)
{
    struct cn_stream *s[2];
    uint64_t total = 0;

    (void)state;
    open_both(s);
    while (total < 16ULL * WINDOW) {
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        total += drain(s[1]);
        (void)pass(1);
        now_ms += 60; /* for all of it */
    }
    assert_true(s[1]->rx_window <= 2 * WINDOW); /* the first was read at once */
}

/* Read slowly, a quarter of the window at a time. */
static void read_slowly(struct cn_stream *s[2], int quarters)
{
    for (int i = 0; i < quarters; i++) {
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        pass_all();
        now_ms += 1000;
        (void)drain(s[1]);
        pass_all();
    }
}

static void a_window_that_is_too_large_shrinks_when_others_may_need_it(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    open_wide(s);
    read_slowly(s, 10);
    assert_true(s[1]->rx_window == WIDE);              /* memory is not scarce */
    ends[1].mux.rx_extra += CN_MUX_EXTRA_SIZE_MAX / 2; /* of somebody else */
    read_slowly(s, 40);
    assert_in_range(s[1]->rx_window, WINDOW, WIDE / 4);
    assert_int_equal(drain(s[1]), 0);
}

static void streams_together_fill_a_large_record(void **state)
{
    (void)state;
    line_is_fast(0);
    for (int i = 0; i < 5; i++)
        (void)open_at(0);
    pass_all();
    for (uint32_t id = 1; id < 10; id += 2)
        assert_int_equal(write_zeros(stream_of(0, id), WINDOW), WINDOW);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.last_wire_size, CN_RECORD_SIZE_MAX);
}

static void writing_is_refused_while_much_is_unsent(void **state)
{
    struct cn_stream *s[2];
    struct cn_stream *stream;
    enum cn_event_type type;
    bool writable = false;
    size_t written = 0;
    size_t some;

    (void)state;
    open_both(s);
    open_wide(s);
    while ((some = write_zeros(s[0], 10000)) > 0)
        written += some;
    assert_in_range(written, CN_MUX_UNSENT_SIZE_MAX, CN_MUX_UNSENT_SIZE_MAX + CN_CHUNK_SIZE_MAX);
    assert_false(cn_mux_next_event(&ends[0].mux, &stream, &type));
    pass_all();
    while (cn_mux_next_event(&ends[0].mux, &stream, &type))
        writable |= type == CN_EVENT_WRITABLE;
    assert_true(writable);
    assert_true(write_zeros(s[0], 10000) == 10000);
}

/* Whether an end's stream is told that it may be written to. */
static bool told_writable(int end, const struct cn_stream *stream)
{
    struct cn_stream *of;
    enum cn_event_type type;
    bool told = false;

    while (cn_mux_next_event(&ends[end].mux, &of, &type))
        told |= of == stream && type == CN_EVENT_WRITABLE;
    return told;
}

static void who_wants_nothing_to_wait_writes_little_ahead(void **state)
{
    enum { MOST = 8192, PIECE = 1000 };
    struct cn_stream *s[2];
    size_t ahead = 0;

    (void)state;
    open_both(s);
    open_wide(s);
    cn_stream_hold_little(s[0], MOST);
    while (write_zeros(s[0], PIECE) == PIECE)
        ahead += PIECE;
    assert_in_range(ahead, MOST - PIECE, MOST + PIECE);
    assert_false(told_writable(0, s[0]));
    send_all(0);
    assert_true(told_writable(0, s[0]));
    assert_int_equal(write_zeros(s[0], PIECE), PIECE);
}

static void writing_is_told_of_when_half_of_it_is_sent(void **state)
{
    const uint64_t half = CN_MUX_UNSENT_SIZE_MAX / 2;
    struct cn_stream *s[2];
    uint64_t left;

    (void)state;
    open_both(s);
    open_wide(s);
    fill_up(s[0]);
    while (!told_writable(0, s[0]))
        assert_true(pass(0));
    left = s[0]->tx.end - s[0]->tx_sent;
    assert_true(left < half && left + CN_RECORD_SIZE_MAX >= half);
}

static void a_window_lets_a_writer_go_on_before_anything_is_sent(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    fill_up(s[0]);
    assert_false(told_writable(0, s[0]));
    assert_err(say_offset(0, CN_FRAME_WINDOW, s[0]->id, WIDE), CN_OK);
    assert_true(told_writable(0, s[0]));
}

static void who_is_reset_waits_for_no_room(void **state)
{
    struct cn_stream *stream = open_at(0);

    (void)state;
    fill_up(stream);
    cn_stream_reset(stream, 0);
    assert_false(cn_mux_has_event(&ends[0].mux));
}

static void writing_is_told_of_when_the_memory_of_the_call_comes_back(void **state)
{
    static const struct cn_call_limits wide = { 16, UINT64_MAX, 0 };
    struct cn_stream *busy, *waiting, *late;

    (void)state;
    cn_mux_begin(&ends[0].mux, &wide, now_ms);
    line_is_fast(0);
    busy = open_at(0);
    waiting = open_at(0);
    late = open_at(0);
    do { /* all is sent as soon as it is written */
        fill_up(busy);
        send_all(0);
    } while (told_writable(0, busy));
    fill_up(waiting);
    assert_false(told_writable(0, waiting));
    assert_true(busy->tx_sent == busy->tx.end);

    assert_err(say_offset(0, CN_FRAME_RECEIVED, busy->id, busy->tx_sent), CN_OK);
    assert_true(told_writable(0, waiting));
    assert_false(told_writable(0, late)); /* never asked */
    assert_int_equal(write_zeros(waiting, 1), 1);
}

/* Nothing that comes back tells of it: it is asked for again. */
static void writing_is_told_of_when_there_may_be_memory_again(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    pass_all();
    ends[0].counted.left = 0;
    assert_int_equal(write_zeros(s[0], 100), 0);
    for (int i = 0; i < 3; i++) {
        const uint64_t due_ms = ends[0].mux.now_ms + CN_MUX_MEMORY_DELAY_MS;

        pass_all();
        assert_false(told_writable(0, s[0]));
        assert_true(cn_mux_deadline_ms(&ends[0].mux) == due_ms);
        now_ms = due_ms;
        pass_all();
        assert_true(told_writable(0, s[0]));
        assert_int_equal(write_zeros(s[0], 100), 0);
    }
    ends[0].counted.left = SIZE_MAX;
    now_ms += CN_MUX_MEMORY_DELAY_MS;
    pass_all();
    assert_true(told_writable(0, s[0]));
    assert_int_equal(write_zeros(s[0], 100), 100);
    pass_all();
    assert_int_equal(drain(s[1]), 100);
}

static void a_reset_makes_room_for_others_to_write(void **state)
{
    struct cn_stream *streams[CN_MUX_TX_SIZE_MAX / CN_MUX_UNSENT_SIZE_MAX];
    struct cn_stream *waiting = open_at(0);

    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        streams[i] = open_at(0);
        streams[i]->tx_limit = WIDE;
        fill_up(streams[i]);
    }
    fill_up(waiting);
    assert_false(told_writable(0, waiting));
    assert_false(cn_mux_has_event(&ends[0].mux));
    cn_stream_reset(streams[0], 0);
    assert_true(cn_mux_has_event(&ends[0].mux)); /* so that nobody sleeps on it */
    assert_true(told_writable(0, waiting));
    assert_false(cn_mux_has_event(&ends[0].mux));
    assert_false(told_writable(0, waiting));
    assert_int_equal(write_zeros(waiting, 1), 1);
}

static void acknowledgements_wait_10_ms_but_no_longer(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 100);
    assert_true(pass(0));
    assert_false(pass(1));
    assert_true(cn_mux_deadline_ms(&ends[1].mux) == now_ms + CN_MUX_RECEIVED_DELAY_MS);
    now_ms += CN_MUX_RECEIVED_DELAY_MS - 1;
    assert_false(pass(1));
    now_ms++;
    assert_true(pass(1));
    assert_int_equal(ends[1].said.count[CN_FRAME_RECEIVED], 1);
    assert_true(ends[1].said.last_offset[CN_FRAME_RECEIVED] == 100);
    assert_false(pass(1)); /* once is enough */
}

static void acknowledgements_do_not_wait_for_silence(void **state)
{
    struct cn_stream *s[2];
    const uint64_t from_ms = now_ms;

    (void)state;
    open_both(s);
    while (ends[1].said.count[CN_FRAME_RECEIVED] == 0) {
        (void)write_zeros(s[0], 1);
        (void)pass(0);
        (void)pass(1);
        now_ms++;
    }
    assert_in_range(now_ms - from_ms, CN_MUX_RECEIVED_DELAY_MS, 5 * CN_MUX_RECEIVED_DELAY_MS);
}

/* As long as nothing is read, and no time passes. */
static void acknowledgements_come_at_a_quarter_of_what_there_was(void **state)
{
    enum { PIECE = 4096 };
    struct cn_stream *s[2];
    uint64_t said = 0;

    (void)state;
    open_both(s);
    open_wide(s);
    s[1]->rx_limit = s[0]->tx_limit = 8 * WIDE;
    for (uint64_t at = 0; at < 4 * WIDE; at += PIECE) {
        const uint64_t news = at + PIECE - said;
        const bool due = news >= 256 * 1024 || (news >= 16 * 1024 && news >= said / 4);

        assert_err(say_data(1, 1, at, PIECE), CN_OK);
        send_all(1);
        assert_int_equal(ends[1].said.last_offset[CN_FRAME_RECEIVED] != said, due);
        said = ends[1].said.last_offset[CN_FRAME_RECEIVED];
    }
    assert_true(said > 3 * WIDE);
}

static void a_window_comes_with_what_was_received(void **state)
{
    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    send_all(1);
    assert_err(say_data(1, 1, 0, 5000), CN_OK); /* too little to be acknowledged at once */
    send_all(1);
    assert_int_equal(ends[1].said.count[CN_FRAME_RECEIVED], 0);
    assert_int_equal(drain(stream_of(1, 1)), 5000);
    send_all(1);
    assert_true(ends[1].said.last_offset[CN_FRAME_WINDOW] == 5000 + WINDOW);
    assert_true(ends[1].said.last_offset[CN_FRAME_RECEIVED] == 5000);
    assert_true(cn_mux_deadline_ms(&ends[1].mux) > now_ms + CN_MUX_RECEIVED_DELAY_MS);
}

static void durable_is_told_though_the_stream_is_forgotten(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 100);
    cn_stream_finish(s[0]);
    cn_stream_finish(s[1]);
    pass_all();
    assert_int_equal(drain(s[1]), 100);
    pass_all();
    assert_int_equal(ends[1].mux.their_count, 0); /* over */
    cn_stream_set_durable(s[1], 100);
    cn_stream_release(s[1]);
    assert_err(say_open(1, 3, 1), CN_OK);
    assert_true(pass(1));
    assert_true(ends[1].said.last_offset[CN_FRAME_DURABLE] == 100);
    assert_int_equal(cn_list_first(&ends[1].mux.leaving) != NULL, 0);
}

static void durable_is_told(void **state)
{
    struct cn_stream_progress progress;
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 1000);
    assert_true(pass(0));
    (void)drain(s[1]);
    cn_stream_set_durable(s[1], 600);
    assert_true(pass(1));
    cn_stream_progress(s[0], &progress);
    assert_true(progress.durable == 600);
    cn_stream_set_durable(s[1], 500); /* no news */
    cn_stream_set_durable(s[1], 1000);
    pass_all();
    assert_int_equal(ends[1].said.count[CN_FRAME_DURABLE], 2);
    cn_stream_progress(s[0], &progress);
    assert_true(progress.durable == 1000 && progress.received == 1000);
}

/* --- the end --------------------------------------------------------------------------------- */

static void the_end_comes_behind_all_data_and_is_acknowledged_when_all_is_read(void **state)
{
    struct cn_stream_progress progress;
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    open_wide(s);
    (void)write_zeros(s[0], 400000);
    cn_stream_finish(s[0]);
    assert_int_equal(cn_stream_write(s[0], "x", 1), 0);
    while (ends[0].said.octets < 400000) {
        assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 0);
        assert_true(pass(0));
    }
    while (pass(0))
        ;
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    assert_true(ends[0].said.last_offset[CN_FRAME_FIN] == 400000);
    assert_int_equal(cn_stream_state(s[1]), CN_STREAM_OPEN); /* not before it was read */
    assert_true(pass(1));
    assert_true(ends[1].said.last_offset[CN_FRAME_RECEIVED] == 400000);
    assert_int_equal(drain(s[1]), 400000);
    assert_int_equal(cn_stream_state(s[1]), CN_STREAM_ENDED);
    cn_stream_progress(s[0], &progress);
    assert_true(!progress.end_received && progress.received == 400000);
    assert_true(pass(1)); /* at once */
    assert_true(ends[1].said.last_offset[CN_FRAME_RECEIVED] == 400001);
    cn_stream_progress(s[0], &progress);
    assert_true(progress.end_received && progress.received == 400000);
}

static void the_end_needs_no_room_in_the_window(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    while (ends[0].said.octets < WINDOW) {
        size_t left = (size_t)(WINDOW - s[0]->tx.end);

        (void)write_zeros(s[0], left < 4096 ? left : 4096);
        pass_all();
    }
    cn_stream_finish(s[0]);
    pass_all();
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    assert_int_equal(drain(s[1]), WINDOW);
    assert_int_equal(cn_stream_state(s[1]), CN_STREAM_ENDED);
}

static void the_last_record_of_bulk_is_padded_to_full_size(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    open_wide(s);
    (void)write_zeros(s[0], 65000);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.last_wire_size, CN_RECORD_SIZE_MAX);
    (void)write_zeros(s[0], 1);
    cn_stream_finish(s[0]);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    assert_int_equal(ends[0].said.last_wire_size, CN_RECORD_SIZE_MAX);
}

/* How many records an end has for what it holds; each must be of full size. */
static unsigned pass_full_records(int from)
{
    unsigned count = 0;

    while (pass(from)) {
        assert_int_equal(ends[from].said.last_wire_size, CN_RECORD_SIZE_MAX);
        count++;
    }
    return count;
}

static void the_tail_of_bulk_does_not_show_its_size(void **state)
{
    static const size_t tails[] = { 10, 2000, 9000, 30000, 49000 };

    for (size_t i = 0; i < COUNT(tails); i++) {
        struct cn_stream *s[2];

        finish(NULL);
        begin(state);
        open_both(s);
        open_wide(s);
        (void)write_zeros(s[0], CN_RECORD_PLAIN_SIZE_MAX - CN_FRAME_DATA_HEAD_SIZE + tails[i]);
        cn_stream_finish(s[0]);
        assert_int_equal(pass_full_records(0), 2);
        assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    }
}

static void a_tail_that_a_window_cuts_does_not_show_its_size(void **state)
{
    static const size_t tails[] = { 10, 2000, 9000, 30000 };

    for (size_t i = 0; i < COUNT(tails); i++) {
        struct cn_stream *s[2];

        finish(NULL);
        begin(state);
        open_both(s);
        open_wide(s);
        (void)write_zeros(s[0], 65000 + tails[i]);
        s[0]->tx_limit = 65000;
        cn_stream_finish(s[0]);
        assert_int_equal(pass_full_records(0), 1);
        assert_err(say_offset(0, CN_FRAME_WINDOW, 1, 65000 + tails[i] / 2), CN_OK);
        assert_int_equal(pass_full_records(0), 1);
        assert_err(say_offset(0, CN_FRAME_WINDOW, 1, 65000 + tails[i]), CN_OK);
        assert_int_equal(pass_full_records(0), 1);
        assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    }
}

/* A line on which larger records have become possible since does not make its tail larger. */
static void a_tail_is_padded_to_the_size_that_its_stream_has_filled(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], WINDOW);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.last_wire_size, 16384);
    open_wide(s);
    (void)write_zeros(s[0], 5000);
    cn_stream_finish(s[0]);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
    assert_int_equal(ends[0].said.last_wire_size, 16384);
}

static void an_end_that_was_never_bulk_is_padded_as_everything_else(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    open_wide(s);
    (void)write_zeros(s[0], 30000);
    cn_stream_finish(s[0]);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.last_wire_size, 16384);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.last_wire_size, 16384);
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], 1);
}

static void close_waits_until_all_is_acknowledged(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 100);
    cn_mux_finish(&ends[0].mux);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 0); /* no end yet */
    cn_stream_finish(s[0]);
    cn_stream_finish(s[1]);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 0); /* not acknowledged */
    (void)drain(s[1]);
    assert_true(pass(1));
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 1);
    assert_false(cn_mux_is_closed(&ends[0].mux));
    assert_false(cn_mux_is_closed(&ends[1].mux));
    pass_all();
    assert_int_equal(ends[1].said.count[CN_FRAME_CLOSE], 0); /* its program has not said so */
    cn_mux_finish(&ends[1].mux);
    pass_all();
    for (int i = 0; i < 2; i++) {
        assert_true(cn_mux_is_closed(&ends[i].mux));
        assert_false(pass(i));
        assert_true(cn_mux_deadline_ms(&ends[i].mux) == UINT64_MAX);
    }
}

static void who_is_done_first_still_acknowledges_the_other(void **state)
{
    struct cn_stream *s[2];
    struct cn_stream *more;

    (void)state;
    open_both(s);
    cn_stream_finish(s[0]);
    cn_mux_finish(&ends[0].mux); /* before the partner has written anything */
    pass_all();
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 0);
    (void)write_zeros(s[1], 1000);
    pass_all();
    cn_stream_finish(s[1]);
    cn_mux_finish(&ends[1].mux);
    pass_all();
    assert_int_equal(ends[1].said.count[CN_FRAME_CLOSE], 0); /* A has not read it yet */
    assert_int_equal(drain(s[0]), 1000);
    pass_all();
    for (int i = 0; i < 2; i++) {
        assert_true(cn_mux_is_closed(&ends[i].mux));
        assert_err(cn_mux_open(&ends[i].mux, 1, NULL, 0, &more), CN_E_UNEXPECTED);
    }
}

/* Whoever has said CLOSE answers no stream any more that it had not heard of. */
static void a_stream_that_crosses_the_partners_close_is_lost(void **state)
{
    struct cn_stream *crossing, *other;
    enum cn_event_type type;
    bool told = false;

    (void)state;
    (void)open_at(1);
    pass_all();
    cn_stream_reset(stream_of(1, 2), 3);
    pass_all();
    cn_mux_finish(&ends[0].mux);
    crossing = open_at(1);
    (void)write_zeros(crossing, 100);
    assert_true(pass(0)); /* CLOSE */
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 1);
    while (cn_mux_next_event(&ends[1].mux, &other, &type))
        told |= other == crossing && type == CN_EVENT_READABLE;
    assert_true(told);
    assert_int_equal(cn_stream_state(crossing), CN_STREAM_RESET);
    assert_int_equal(cn_stream_reset_code(stream_of(1, 2)), 3);
    cn_mux_finish(&ends[1].mux);
    pass_all();
    assert_true(cn_mux_is_closed(&ends[0].mux) && cn_mux_is_closed(&ends[1].mux));
}

static void who_has_open_streams_is_not_done(void **state)
{
    (void)state;
    assert_err(say_open(1, 1, 1), CN_OK);
    assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_CLOSE }), CN_E_UNEXPECTED);
}

/* What waits to be sent goes nowhere. */
static void a_code_overtakes_data(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    open_wide(s);
    (void)write_zeros(s[0], 400000);
    cn_mux_close(&ends[0].mux, 6);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 1);
    assert_true(ends[0].said.octets == 0);
    assert_int_equal(ends[1].mux.close_received_code, 6);
    assert_int_equal(cn_stream_state(s[1]), CN_STREAM_OPEN); /* not ended */
}

static void a_code_closes_at_once(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    (void)write_zeros(s[0], 100);
    cn_mux_close(&ends[0].mux, 5);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_CLOSE], 1);
    assert_true(ends[1].mux.close_received);
    assert_int_equal(ends[1].mux.close_received_code, 5);
    cn_mux_finish(&ends[1].mux);
    pass_all();
    assert_false(cn_mux_is_closed(&ends[0].mux));
    assert_false(cn_mux_is_closed(&ends[1].mux));
}

static void an_empty_call_closes(void **state)
{
    (void)state;
    cn_mux_finish(&ends[0].mux);
    cn_mux_finish(&ends[1].mux);
    pass_all();
    assert_true(cn_mux_is_closed(&ends[0].mux) && cn_mux_is_closed(&ends[1].mux));
}

/* --- giving up ------------------------------------------------------------------------------- */

static void a_reset_ends_both_directions_at_both_ends(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct cn_stream *s[2];

        finish(NULL);
        begin(NULL);
        open_both(s);
        for (int i = 0; i < 2; i++)
            (void)write_zeros(s[i], 100000);
        assert_true(pass(0));
        cn_stream_reset(s[who], 77);
        cn_stream_reset(s[who], 78); /* once */
        pass_all();
        for (int i = 0; i < 2; i++) {
            size_t size;

            assert_int_equal(cn_stream_state(s[i]), CN_STREAM_RESET);
            assert_int_equal(cn_stream_reset_code(s[i]), 77);
            assert_null(cn_stream_peek(s[i], &size));
            assert_null(cn_stream_reserve(s[i], &size));
            cn_stream_release(s[i]);
            cn_mux_finish(&ends[i].mux);
        }
        assert_int_equal(ends[who].said.count[CN_FRAME_RESET], 1);
        assert_int_equal(ends[1 - who].said.count[CN_FRAME_RESET], 0); /* not answered */
        pass_all();
        for (int i = 0; i < 2; i++) {
            assert_false(has_streams(i));
            assert_true(cn_mux_is_closed(&ends[i].mux));
        }
    }
}

/* A RESET comes when it comes: between any two steps of a program, which has begun something. */
static void a_reset_in_the_middle_of_a_programs_work_is_no_misuse(void **state)
{
    for (int who = 0; who < 2; who++) {
        struct cn_stream_progress progress;
        struct cn_stream *s[2];
        size_t room, size;

        finish(NULL);
        begin(state);
        open_both(s);
        (void)write_zeros(s[0], 1000);
        (void)write_zeros(s[1], 500);
        pass_all();
        (void)write_zeros(s[1], 70);
        assert_non_null(cn_stream_peek(s[1], &size));
        cn_stream_consume(s[1], 600);
        assert_non_null(cn_stream_reserve(s[1], &room));

        cn_stream_reset(s[who], 1);
        pass_all();
        cn_stream_commit(s[1], room);
        cn_stream_commit(s[1], 0);
        cn_stream_consume(s[1], 400);
        cn_stream_set_durable(s[1], 600);
        cn_stream_finish(s[1]);
        assert_null(cn_stream_peek(s[1], &size));
        assert_int_equal(size, 0);
        cn_stream_progress(s[1], &progress);
        assert_true(progress.written == 570 && progress.received == 500 && progress.read == 600);
        pass_all();
        assert_int_equal(ends[1].said.count[CN_FRAME_DURABLE], 0);
        assert_false(pass(1));
    }
}

static void nothing_is_committed_where_nothing_was_reserved(void **state)
{
    struct cn_stream *stream = open_at(0);
    size_t room;

    (void)state;
    cn_stream_commit(stream, 0);
    cn_stream_finish(stream);
    assert_null(cn_stream_reserve(stream, &room));
    cn_stream_commit(stream, room);
}

static void resets_that_cross_are_harmless(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    cn_stream_reset(s[0], 1);
    cn_stream_reset(s[1], 2);
    pass_all();
    assert_int_equal(cn_stream_reset_code(s[0]), 1);
    assert_int_equal(cn_stream_reset_code(s[1]), 2);
    for (int i = 0; i < 2; i++) {
        cn_stream_release(s[i]);
        cn_mux_finish(&ends[i].mux);
    }
    pass_all();
    assert_true(cn_mux_is_closed(&ends[0].mux) && cn_mux_is_closed(&ends[1].mux));
}

static void late_frames_of_a_stream_that_is_over_are_ignored(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    open_both(s);
    cn_stream_release(s[1]); /* given up and forgotten at once */
    pass_all();
    assert_false(has_streams(1));
    assert_err(say_data(1, 1, 0, 10), CN_OK);
    assert_err(say_offset(1, CN_FRAME_RECEIVED, 1, 99), CN_OK);
    assert_err(say_offset(1, CN_FRAME_FIN, 1, 10), CN_OK);
    assert_err(say(1, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = 1 }), CN_OK);
}

/* A stream that both have finished and confirmed, and that its program has not released yet. */
static struct cn_stream *confirmed(void)
{
    struct cn_stream *s[2];

    open_both(s);
    for (int i = 0; i < 2; i++) {
        (void)write_zeros(s[i], 10);
        cn_stream_finish(s[i]);
    }
    pass_all();
    assert_int_equal(drain(s[0]) + drain(s[1]), 20);
    pass_all();
    assert_true(s[0]->over && s[1]->over);
    return s[0];
}

static void what_both_have_confirmed_stays_so(void **state)
{
    static const enum cn_frame_type types[] = { CN_FRAME_RECEIVED, CN_FRAME_WINDOW, CN_FRAME_FIN };
    struct cn_stream *stream = confirmed();
    struct cn_stream_progress progress;

    (void)state;
    assert_err(say(0, &(struct cn_frame) { .type = CN_FRAME_RESET, .stream = 1, .code = 7 }),
               CN_OK);
    assert_int_equal(cn_stream_state(stream), CN_STREAM_ENDED);
    assert_int_equal(cn_stream_reset_code(stream), 0);
    assert_err(say_data(0, 1, 10, 10), CN_OK);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_err(say_offset(0, types[i], 1, 3), CN_OK);
    cn_stream_progress(stream, &progress);
    assert_true(progress.written == 10 && progress.received == 10 && progress.end_received);
    assert_int_equal(progress.read, 10);
    assert_int_equal(progress.durable, 0);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 10), CN_OK);
    cn_stream_progress(stream, &progress);
    assert_int_equal(progress.durable, 10);
    assert_err(say_offset(0, CN_FRAME_DURABLE, 1, 11), CN_E_FORMAT);
}

static void a_stream_that_is_reset_before_it_was_announced_is_announced_all_the_same(void **state)
{
    struct cn_stream *stream = open_at(0);

    (void)state;
    (void)write_zeros(stream, 10);
    cn_stream_release(stream);
    pass_all();
    assert_false(has_streams(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_OPEN], 1);
    assert_int_equal(ends[0].said.count[CN_FRAME_DATA], 0);
    assert_int_equal(cn_stream_state(stream_of(1, 1)), CN_STREAM_RESET);
    assert_int_equal(open_at(0)->id, 3);
    pass_all();
    (void)stream_of(1, 3);
}

/* --- the call itself ------------------------------------------------------------------------- */

static void pings_are_answered_and_measure_the_round_trip(void **state)
{
    (void)state;
    assert_true(pass(0)); /* the first PING, at once */
    now_ms += 30;
    assert_true(pass(1));
    assert_int_equal(ends[1].said.count[CN_FRAME_PONG], 1);
    assert_true(ends[0].mux.rtt_ms == 30);
    assert_false(pass(0) && ends[0].said.count[CN_FRAME_PING] != 1);
    assert_true(cn_mux_deadline_ms(&ends[0].mux) == 1000 + CN_MUX_PING_MS);
    now_ms = 1000 + CN_MUX_PING_MS;
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_PING], 2);
    now_ms += 3 * CN_MUX_PING_MS;
    assert_false(pass(0));                                     /* no other while one is out */
    assert_err(say_offset(0, CN_FRAME_PONG, 0, 12345), CN_OK); /* nobody waits for it */
    assert_true(ends[0].mux.rtt_ms == 30);
    assert_err(say_offset(0, CN_FRAME_PONG, 0, 2), CN_OK);
    assert_err(say_offset(0, CN_FRAME_PONG, 0, 2), CN_OK);
    assert_true(ends[0].mux.rtt_ms == 30); /* the smallest */
}

static void of_several_pings_the_last_is_answered(void **state)
{
    uint8_t plain[3 * (CN_FRAME_HEAD_SIZE + 8)];
    struct cn_writer w = { .at = plain, .left = sizeof plain };

    (void)state;
    send_all(1); /* its own PING */
    for (uint64_t token = 5; token < 8; token++)
        cn_frame_encode(&(struct cn_frame) { .type = CN_FRAME_PING, .offset = token }, &w);
    assert_true(cn_writer_ok(&w) && w.left == 0);
    assert_err(hand(&ends[1], plain, sizeof plain), CN_OK);
    assert_err(say_offset(1, CN_FRAME_PING, 0, 8), CN_OK);
    send_all(1);
    assert_int_equal(ends[1].said.count[CN_FRAME_PONG], 1);
    assert_int_equal(ends[1].said.last_offset[CN_FRAME_PONG], 8);
    assert_err(say_offset(1, CN_FRAME_PING, 0, 9), CN_OK);
    send_all(1);
    assert_int_equal(ends[1].said.count[CN_FRAME_PONG], 2);
}

static void silence_after_a_ping_is_death(void **state)
{
    uint64_t dead_ms = now_ms + CN_MUX_PATIENCE_MS_MAX;

    (void)state;
    assert_true(pass(0)); /* the PING */
    now_ms += CN_MUX_PATIENCE_MS_MAX / 2 - 1;
    assert_false(pass(0));
    now_ms++;
    assert_true(pass(0)); /* another, before it is given up */
    assert_false(pass(0));
    now_ms = 1000;
    assert_false(cn_mux_is_dead(&ends[0].mux, dead_ms - 1));
    assert_true(cn_mux_is_dead(&ends[0].mux, dead_ms));
    assert_true(cn_mux_deadline_ms(&ends[0].mux) <= dead_ms);
    now_ms += 1000;
    assert_err(say_offset(0, CN_FRAME_PING, 0, 7), CN_OK); /* no PONG, but a sign of life */
    assert_false(cn_mux_is_dead(&ends[0].mux, dead_ms));
    assert_true(cn_mux_is_dead(&ends[0].mux, dead_ms + 1000));
}

/* Whoever has said CLOSE can ask no more whether the partner is there. So that asks, unanswered. */
static void who_waits_for_close_alone_hears_that_the_partner_is_there(void **state)
{
    struct cn_stream *s[2];
    uint64_t dead_ms;

    (void)state;
    open_both(s);
    cn_stream_reset(s[0], 0);
    pass_all();
    cn_mux_finish(&ends[0].mux);
    assert_true(pass(0));
    assert_true(ends[0].mux.close_sent && ends[1].mux.close_received);
    for (int i = 0; i < 20; i++) {
        dead_ms = now_ms + CN_MUX_PING_MS + CN_MUX_PATIENCE_MS_MAX;
        assert_true(cn_mux_deadline_ms(&ends[0].mux) <= dead_ms);
        assert_false(cn_mux_is_dead(&ends[0].mux, dead_ms - 1));
        now_ms = cn_mux_deadline_ms(&ends[1].mux);
        assert_true(now_ms < dead_ms);
        assert_true(pass(1));
        assert_false(pass(0));
    }
    assert_true(cn_mux_is_dead(&ends[0].mux, now_ms + CN_MUX_PING_MS + CN_MUX_PATIENCE_MS_MAX));
    assert_false(cn_mux_is_dead(&ends[1].mux, UINT64_MAX - 1)); /* it does not wait for anything */
}

/* --- many ------------------------------------------------------------------------------------ */

static void a_thousand_streams_at_once(void **state)
{
    enum { STREAM_COUNT = 1000, SIZE = 3000 };
    static struct flow flows[STREAM_COUNT];
    unsigned done = 0;

    (void)state;
    for (uint32_t i = 0; i < STREAM_COUNT; i++) {
        flows[i] = (struct flow) {
            .out = open_at(i % 2), .size = SIZE, .write_state = i, .read_state = i
        };
    }
    pass_all();
    for (uint32_t i = 0; i < STREAM_COUNT; i++)
        flows[i].in = stream_of(1 - i % 2, flows[i].out->id);
    while (done < STREAM_COUNT) {
        done = 0;
        for (uint32_t i = 0; i < STREAM_COUNT; i++) {
            flow_write(&flows[i], 1000);
            flow_read(&flows[i], 700);
            cn_stream_finish(flows[i].in); /* nothing comes back */
            done += flow_done(&flows[i]);
        }
        (void)pass(0);
        (void)pass(1);
        now_ms++;
    }
    for (uint32_t i = 0; i < STREAM_COUNT; i++) {
        cn_stream_release(flows[i].in);
        cn_stream_release(flows[i].out);
    }
    cn_mux_finish(&ends[0].mux);
    cn_mux_finish(&ends[1].mux);
    pass_all();
    for (int i = 0; i < 2; i++) {
        assert_true(cn_mux_is_closed(&ends[i].mux));
        assert_false(has_streams(i));
        assert_int_equal(ends[i].mux.my_count, 0);
        assert_int_equal(ends[i].mux.their_count, 0);
        assert_int_equal(ends[i].said.count[CN_FRAME_RESET], 0);
    }
}

/* Streams come and go, a few stay; each frame finds its own. */
static void streams_are_found_among_those_that_came_and_went(void **state)
{
    enum { COUNT_MAX = 3 * CN_MUX_BUCKET_COUNT, KEPT = 128 };
    uint64_t random_state = 5;
    uint32_t last = 0;

    (void)state;
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        struct cn_stream *stream;
        uint32_t dice;

        assert_err(say_open(1, 2 * i + 1, 1), CN_OK);
        stream = last_stream_of(1);
        (void)seeded_fill(&random_state, (uint8_t *)&dice, sizeof dice);
        if (i % KEPT == 0)
            last = stream->id;
        else
            cn_stream_release(stream);
        if (dice % 16 == 0)
            send_all(1);
        assert_err(say_data(1, last, cn_stream_expected(stream_of(1, last)), 1 + dice % 100),
                   CN_OK);
    }
    send_all(1);
    for (uint32_t id = 1; id < 2 * COUNT_MAX; id += 2) {
        if (id / 2 % KEPT == 0)
            assert_err(say_offset(1, CN_FRAME_FIN, id, UINT64_MAX), CN_E_FORMAT);
        else /* one that is gone takes anything */
            assert_err(say_offset(1, CN_FRAME_FIN, id, UINT64_MAX), CN_OK);
    }
}

/* What is said of each is more than a record holds. */
static void a_thousand_streams_open_and_end_in_one_moment(void **state)
{
    static const uint8_t parameters[CN_FRAME_PARAMETERS_SIZE_MAX] = { 1 };
    enum { STREAM_COUNT = 1000 };
    struct cn_stream *stream;

    (void)state;
    for (uint32_t i = 0; i < STREAM_COUNT; i++)
        assert_err(cn_mux_open(&ends[0].mux, 1, parameters, i % 5 ? i : sizeof parameters, &stream),
                   CN_OK);
    pass_all();
    assert_int_equal(ends[0].said.count[CN_FRAME_OPEN], STREAM_COUNT);
    for (uint32_t id = 1; id < 2 * STREAM_COUNT; id += 2)
        cn_stream_finish(stream_of(0, id));
    pass_all();
    assert_int_equal(ends[0].said.count[CN_FRAME_FIN], STREAM_COUNT);
    assert_int_equal(ends[1].said.count[CN_FRAME_RECEIVED], STREAM_COUNT);
    for (uint32_t id = 1; id < 2 * STREAM_COUNT; id += 2)
        cn_stream_reset(stream_of(1, id), id);
    pass_all();
    assert_int_equal(ends[1].said.count[CN_FRAME_RESET], STREAM_COUNT);
}

static void one_busy_stream_does_not_starve_another(void **state)
{
    struct cn_stream *busy = open_at(0);
    struct cn_stream *small = open_at(0);

    (void)state;
    pass_all();
    (void)write_zeros(busy, CN_MUX_UNSENT_SIZE_MAX);
    (void)write_zeros(small, 10);
    for (int i = 0; i < 10; i++) {
        (void)write_zeros(busy, CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        (void)drain(stream_of(1, busy->id));
        (void)pass(1);
    }
    assert_int_equal(drain(stream_of(1, small->id)), 10);
}

/* What passes of a stream that is written and read as fast as can be, in so many rounds. */
static uint64_t passed(struct cn_stream *s[2], int rounds)
{
    uint64_t total = 0;

    for (int i = 0; i < rounds; i++) {
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        (void)pass(1);
        total += drain(s[1]);
    }
    return total;
}

static void those_who_say_little_at_a_time_do_not_starve_who_says_much(void **state)
{
    enum { CHATTY_COUNT = 4, ROUND_COUNT = 50 };
    struct cn_stream *busy = open_at(0), *chatty[CHATTY_COUNT];
    size_t heard = 0;

    (void)state;
    for (size_t i = 0; i < CHATTY_COUNT; i++)
        chatty[i] = open_at(0);
    pass_all();
    for (int round = 0; round < ROUND_COUNT; round++) {
        (void)write_zeros(busy, CN_CHUNK_SIZE_MAX);
        for (size_t i = 0; i < CHATTY_COUNT; i++) /* together a record of 16384 */
            (void)write_zeros(chatty[i], 4000);
        ends[0].mux.flight.rate[0] = ends[0].mux.flight.rate[1] = 0; /* none is larger */
        (void)pass(0);
        heard += drain(stream_of(1, busy->id));
        for (size_t i = 0; i < CHATTY_COUNT; i++)
            (void)drain(stream_of(1, chatty[i]->id));
        now_ms += CN_MUX_RECEIVED_DELAY_MS;
        (void)pass(1);
    }
    assert_true(heard * 6 > ends[0].said.octets); /* an equal share, or nearly */
}

static void equals_take_turns_by_whole_records(void **state)
{
    enum { ROUND_COUNT = 20 };
    struct cn_stream *s[2] = { open_at(0), open_at(0) };

    (void)state;
    pass_all();
    line_is_fast(0);
    for (int i = 0; i < 2; i++) {
        s[i]->tx_limit = 4 * WIDE;
        stream_of(1, s[i]->id)->rx_limit = 4 * WIDE;
    }
    ends[0].said.count[CN_FRAME_DATA] = 0;
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (int i = 0; i < 2; i++)
            fill_up(s[i]);
        assert_true(pass(0));
    }
    /* one, and what is left of a turn or of a piece of memory */
    assert_true(ends[0].said.count[CN_FRAME_DATA] <= 4 * ROUND_COUNT);
}

/* Not as many small pieces as it had when it was short. */
static void what_waits_unread_in_a_large_window_is_held_in_large_pieces(void **state)
{
    struct cn_stream *s[2];
    size_t left;

    (void)state;
    open_both(s);
    line_is_fast(0);
    assert_true(passed(s, 500) > 4 * WIDE);
    assert_true(s[1]->rx_window >= 4 * WIDE);
    left = ends[1].counted.left;
    for (int i = 0; i < 100 && cn_buffer_size(&s[1]->rx) < 2 * WIDE; i++) {
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        (void)pass(1);
    }
    assert_true(cn_buffer_size(&s[1]->rx) >= 2 * WIDE);
    assert_true(left - ends[1].counted.left <= 2 * WIDE / (64 * 1024) + 8);
}

static void who_does_not_read_some_streams_stops_these_alone(void **state)
{
    enum { UNREAD_COUNT = 999 };
    struct cn_stream *s[2];

    (void)state;
    line_is_fast(0);
    for (int i = 0; i < UNREAD_COUNT; i++) {
        (void)write_zeros(open_at(0), WINDOW + 1);
        pass_all();
    }
    assert_true(ends[0].said.octets == UNREAD_COUNT * (uint64_t)WINDOW);
    s[0] = open_at(0);
    pass_all();
    s[1] = stream_of(1, s[0]->id);
    assert_true(passed(s, 500) > 4 * 1024 * 1024);
    for (uint32_t id = 1; id < 2 * UNREAD_COUNT; id += 2)
        assert_int_equal(drain(stream_of(1, id)), WINDOW);
}

/* The stream that the first DATA of an end's next record is of; 0: it has none. */
static uint32_t next_data_of(int end)
{
    static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];
    struct cn_reader r = { .at = plain, .left = take(&ends[end], plain) };
    struct cn_frame frame = { .type = CN_FRAME_PADDING };
    uint32_t stream = 0;

    while (stream == 0 && r.left > 0 && cn_frame_decode(&frame, &r) == CN_OK &&
           frame.type != CN_FRAME_PADDING) {
        if (frame.type == CN_FRAME_DATA)
            stream = frame.stream;
    }
    return stream;
}

static void urgent_words_go_first_and_do_not_wait_for_the_line(void **state)
{
    struct cn_stream *bulk = open_at(0), *normal = open_at(0), *urgent = open_at(0);

    (void)state;
    cn_stream_set_priority(bulk, CN_PRIORITY_BULK);
    cn_stream_set_priority(urgent, CN_PRIORITY_INTERACTIVE);
    pass_all();
    bulk->tx_limit = WIDE;
    fill_up(bulk);
    while (next_data_of(0) == bulk->id) /* nothing comes back */
        ;
    assert_in_range(bulk->tx_sent, CN_FLIGHT_START_SIZE, CN_FLIGHT_START_SIZE + CN_RECORD_SIZE_MAX);
    (void)write_zeros(normal, 5000);
    (void)write_zeros(urgent, 10000);
    assert_int_equal(next_data_of(0), urgent->id);
    assert_int_equal(next_data_of(0), 0); /* all urgent words are said, and a few of the others */
    assert_true(urgent->tx_sent == 10000);
    assert_int_equal(normal->tx_sent, CN_TURN_FRESH_SIZE);
    assert_err(say_offset(0, CN_FRAME_RECEIVED, bulk->id, bulk->tx_sent), CN_OK);
    assert_int_equal(next_data_of(0), normal->id);
}

/* Else the round trip would look as long as what the record holds takes on a slow line. */
static void pings_travel_without_data(void **state)
{
    struct cn_stream *stream = open_at(0);

    (void)state;
    (void)write_zeros(stream, 10000);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.count[CN_FRAME_PING], 1);
    assert_int_equal(ends[0].said.last_wire_size, 256);
    assert_int_equal(ends[0].said.octets, 0);
    assert_true(pass(0));
    assert_int_equal(ends[0].said.octets, 10000);
    (void)write_zeros(stream_of(1, 1), 10000);
    assert_true(pass(1));
    assert_int_equal(ends[1].said.count[CN_FRAME_PONG], 1);
    assert_int_equal(ends[1].said.octets, 0);
}

/* All streams that may be open, each with as much as its window takes, none of them read. */
static void windows_that_nobody_reads_fit_into_memory(void **state)
{
    enum { STREAM_COUNT = 2 * CN_MUX_STREAM_COUNT_MAX };

    (void)state;
    for (uint32_t id = 1; id <= STREAM_COUNT; id += 2) {
        assert_err(say_open(1, id, 1), CN_OK);
        (void)open_at(1);
    }
    send_all(1);
    for (uint64_t at = 0; at < WINDOW; at += 512) { /* in small pieces, each stream in its turn */
        for (uint32_t id = 1; id <= STREAM_COUNT; id++)
            assert_err(say_data(1, id, at, 512), CN_OK);
    }
    assert_err(say_data(1, 1, WINDOW, 1), CN_E_LIMIT);
    assert_true(ends[1].counted.peak <=
                CN_MUX_RX_SIZE_MAX + STREAM_COUNT * sizeof(struct cn_stream));
}

/* Read as fast as it comes, until its window grows no more; then nothing of it is read. */
static void grown_and_left(struct cn_stream *s[2])
{
    uint64_t total = 0, until = 2 * s[1]->rx_window;

    while (total < until) {
        const uint64_t window = s[1]->rx_window;

        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        total += drain(s[1]);
        (void)pass(1);
        if (window != s[1]->rx_window)
            until = total + 2 * s[1]->rx_window;
    }
    while (s[0]->tx_sent < s[0]->tx_limit) {
        fill_up(s[0]);
        pass_all();
    }
    assert_err(cn_mux_settle(&ends[1].mux), CN_OK);
    assert_true(s[1]->rx.end == s[1]->rx_limit);
    assert_true(cn_buffer_size(&s[1]->rx) > s[1]->rx_window * 3 / 4);
}

static void windows_grow_together_no_further_than_there_is_memory(void **state)
{
    enum { STREAM_COUNT = 40 };
    uint64_t unread = 0;

    (void)state;
    line_is_fast(0);
    for (int i = 0; i < STREAM_COUNT; i++) {
        struct cn_stream *s[2] = { open_at(0), NULL };

        pass_all();
        s[1] = stream_of(1, s[0]->id);
        grown_and_left(s);
        unread += cn_buffer_size(&s[1]->rx);
        assert_true(i > 0 || s[1]->rx_window == CN_MUX_WINDOW_SIZE_MAX);
        assert_true(s[1]->rx_window >= WINDOW); /* whoever else does not read */
        assert_true(ends[1].mux.rx_extra <= CN_MUX_EXTRA_SIZE_MAX);
    }
    assert_true(unread > CN_MUX_EXTRA_SIZE_MAX / 2);
    assert_true(unread <= CN_MUX_EXTRA_SIZE_MAX + STREAM_COUNT * WINDOW);
    assert_true(ends[1].mux.rx_pool.used_size <= unread + unread / 2);
}

/* How far a window grows that is read as fast as it is filled, so many times. */
static uint64_t window_after(struct cn_stream *s[2], int times)
{
    for (int i = 0; i < times; i++) {
        fill_up(s[0]);
        pass_all();
        (void)drain(s[1]);
        pass_all();
    }
    return s[1]->rx_window;
}

static void windows_of_calls_that_share_memory_grow_together(void **state)
{
    uint64_t sum = CN_MUX_EXTRA_SIZE_MAX; /* what others have taken */
    struct cn_stream *s[2];

    (void)state;
    line_is_fast(0);
    open_both(s);
    cn_mux_share_extra(&ends[1].mux, &sum);
    assert_true(window_after(s, 20) == WINDOW);
    sum -= CN_MUX_EXTRA_SIZE_MAX / 2;
    assert_true(window_after(s, 20) > WINDOW);
    assert_true(ends[1].mux.rx_extra > 0 &&
                sum == CN_MUX_EXTRA_SIZE_MAX / 2 + ends[1].mux.rx_extra);
    sum += CN_MUX_EXTRA_SIZE_MAX; /* more than there is: windows stay, and none grows */
    assert_true(window_after(s, 20) <= CN_MUX_WINDOW_SIZE_MAX);
    cn_mux_share_extra(&ends[1].mux, NULL);
    assert_true(sum == CN_MUX_EXTRA_SIZE_MAX + CN_MUX_EXTRA_SIZE_MAX / 2);
    cn_mux_share_extra(&ends[1].mux, &sum);
    cn_stream_reset(s[1], 0);
    assert_true(sum == CN_MUX_EXTRA_SIZE_MAX + CN_MUX_EXTRA_SIZE_MAX / 2);
    cn_mux_share_extra(&ends[1].mux, NULL);
}

static void memory_that_is_read_or_given_up_lets_other_windows_grow(void **state)
{
    struct cn_stream *s[2], *t[2];

    (void)state;
    line_is_fast(0);
    open_both(s);
    grown_and_left(s);
    assert_true(s[1]->rx_window == CN_MUX_WINDOW_SIZE_MAX);
    t[0] = open_at(0);
    pass_all();
    t[1] = stream_of(1, t[0]->id);
    grown_and_left(t);
    assert_true(t[1]->rx_window < CN_MUX_WINDOW_SIZE_MAX);
    cn_stream_reset(s[1], 0);
    (void)drain(t[1]);
    pass_all();
    grown_and_left(t);
    assert_true(t[1]->rx_window == CN_MUX_WINDOW_SIZE_MAX);
    cn_stream_reset(t[1], 0);
    assert_true(ends[1].mux.rx_extra == 0);
}

/* A stream that has ended takes no more: what its window would have allowed is for others. */
static void an_end_lets_other_windows_grow(void **state)
{
    struct cn_stream *s[2];

    (void)state;
    line_is_fast(0);
    open_both(s);
    while (s[1]->rx_window < CN_MUX_WINDOW_SIZE_MAX) {
        (void)write_zeros(s[0], CN_CHUNK_SIZE_MAX);
        (void)pass(0);
        (void)drain(s[1]);
        (void)pass(1);
    }
    assert_true(ends[1].mux.rx_extra > CN_MUX_EXTRA_SIZE_MAX / 4);
    pass_all();
    (void)drain(s[1]);
    (void)write_zeros(s[0], 100);
    cn_stream_finish(s[0]);
    assert_true(pass(0));
    assert_true(ends[1].mux.rx_extra == 0);
    assert_int_equal(drain(s[1]), 100);
}

static void memory_is_bounded_whatever_the_program_writes(void **state)
{
    enum { STREAM_COUNT = 200 };
    struct cn_stream *streams[STREAM_COUNT];

    (void)state;
    for (int i = 0; i < STREAM_COUNT; i++) {
        streams[i] = open_at(0);
        streams[i]->tx_limit = WIDE;
        while (write_zeros(streams[i], CN_CHUNK_SIZE_MAX) > 0)
            ;
    }
    assert_true(ends[0].counted.peak <=
                CN_MUX_TX_SIZE_MAX + STREAM_COUNT * sizeof(struct cn_stream));
    assert_int_equal(cn_stream_write(streams[STREAM_COUNT - 1], "x", 1), 0);
}

static void what_the_program_writes_takes_no_memory_from_what_arrives(void **state)
{
    enum { STREAM_COUNT = 50 };

    (void)state;
    for (uint32_t i = 0; i < STREAM_COUNT; i++)
        assert_err(say_open(1, 2 * i + 1, 1), CN_OK);
    for (uint32_t i = 0; i < 2 * STREAM_COUNT; i++) {
        struct cn_stream *stream = open_at(1);

        while (write_zeros(stream, CN_CHUNK_SIZE_MAX) > 0)
            ;
    }
    for (uint32_t i = 0; i < STREAM_COUNT; i++)
        assert_err(say_data(1, 2 * i + 1, 0, WINDOW), CN_OK);
}

/* What F2 allows: as many streams, all of them in use, none of them read. */
static void every_stream_that_is_allowed_can_hold_a_little(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CN_MUX_STREAM_COUNT_MAX; i++) {
        assert_err(say_open(1, 2 * i + 1, 1), CN_OK);
        assert_err(say_data(1, 2 * i + 1, 0, 1000), CN_OK);
        assert_int_equal(write_zeros(last_stream_of(1), 1000), 1000);
    }
    for (uint32_t i = 0; i < CN_MUX_STREAM_COUNT_MAX; i++)
        assert_err(say_data(1, 2 * i + 1, 1000, 1000), CN_OK);
    assert_err(cn_mux_settle(&ends[1].mux), CN_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_of_streams_never_opened_are_refused),
        TEST(streams_are_opened_in_order_by_their_own_side),
        TEST(no_more_streams_are_opened_than_allowed),
        TEST(a_stream_that_is_over_makes_room_before_it_is_released),
        TEST(streams_that_nobody_releases_are_bounded),
        TEST(streams_that_are_released_make_room_at_once),
        TEST(frames_of_a_stream_of_mine_that_is_not_announced_are_refused),
        TEST(data_beyond_the_window_is_refused),
        TEST(data_across_the_window_is_refused),
        TEST(gaps_and_overlaps_are_refused),
        TEST(nothing_may_come_after_the_end_of_a_stream),
        TEST(acknowledgements_of_what_was_not_sent_are_refused),
        TEST(what_was_granted_is_not_taken_back),
        TEST(what_version_1_reserves_is_refused),
        TEST(nothing_may_come_after_close),
        TEST(nonsense_is_refused),
        TEST(memory_that_ends_ends_the_call_not_the_program),
        TEST(memory_that_ends_within_a_record_ends_the_call),
        TEST(what_arrives_is_told_of),
        TEST(transfers_both_ways_arrive_equal),
        TEST(a_stream_that_borrowed_is_not_touched_after_it_is_gone),
        TEST(parameters_and_kind_come_with_the_stream),
        TEST(a_sender_stops_where_the_window_ends),
        TEST(a_window_that_holds_back_grows_to_its_limit),
        TEST(a_window_that_does_not_hold_back_stays),
        TEST(a_window_that_is_too_large_shrinks_when_others_may_need_it),
        TEST(streams_together_fill_a_large_record),
        TEST(writing_is_refused_while_much_is_unsent),
        TEST(who_wants_nothing_to_wait_writes_little_ahead),
        TEST(writing_is_told_of_when_half_of_it_is_sent),
        TEST(a_window_lets_a_writer_go_on_before_anything_is_sent),
        TEST(who_is_reset_waits_for_no_room),
        TEST(writing_is_told_of_when_the_memory_of_the_call_comes_back),
        TEST(writing_is_told_of_when_there_may_be_memory_again),
        TEST(a_reset_makes_room_for_others_to_write),
        TEST(acknowledgements_wait_10_ms_but_no_longer),
        TEST(acknowledgements_do_not_wait_for_silence),
        TEST(acknowledgements_come_at_a_quarter_of_what_there_was),
        TEST(a_window_comes_with_what_was_received),
        TEST(durable_is_told_though_the_stream_is_forgotten),
        TEST(durable_is_told),
        TEST(the_end_comes_behind_all_data_and_is_acknowledged_when_all_is_read),
        TEST(the_end_needs_no_room_in_the_window),
        TEST(the_last_record_of_bulk_is_padded_to_full_size),
        TEST(the_tail_of_bulk_does_not_show_its_size),
        TEST(a_tail_that_a_window_cuts_does_not_show_its_size),
        TEST(a_tail_is_padded_to_the_size_that_its_stream_has_filled),
        TEST(an_end_that_was_never_bulk_is_padded_as_everything_else),
        TEST(close_waits_until_all_is_acknowledged),
        TEST(who_is_done_first_still_acknowledges_the_other),
        TEST(a_stream_that_crosses_the_partners_close_is_lost),
        TEST(who_has_open_streams_is_not_done),
        TEST(a_code_overtakes_data),
        TEST(a_code_closes_at_once),
        TEST(an_empty_call_closes),
        TEST(a_reset_ends_both_directions_at_both_ends),
        TEST(a_reset_in_the_middle_of_a_programs_work_is_no_misuse),
        TEST(nothing_is_committed_where_nothing_was_reserved),
        TEST(resets_that_cross_are_harmless),
        TEST(late_frames_of_a_stream_that_is_over_are_ignored),
        TEST(what_both_have_confirmed_stays_so),
        TEST(a_stream_that_is_reset_before_it_was_announced_is_announced_all_the_same),
        TEST(pings_are_answered_and_measure_the_round_trip),
        TEST(of_several_pings_the_last_is_answered),
        TEST(silence_after_a_ping_is_death),
        TEST(who_waits_for_close_alone_hears_that_the_partner_is_there),
        TEST(a_thousand_streams_at_once),
        TEST(streams_are_found_among_those_that_came_and_went),
        TEST(a_thousand_streams_open_and_end_in_one_moment),
        TEST(one_busy_stream_does_not_starve_another),
        TEST(those_who_say_little_at_a_time_do_not_starve_who_says_much),
        TEST(equals_take_turns_by_whole_records),
        TEST(what_waits_unread_in_a_large_window_is_held_in_large_pieces),
        TEST(who_does_not_read_some_streams_stops_these_alone),
        TEST(urgent_words_go_first_and_do_not_wait_for_the_line),
        TEST(pings_travel_without_data),
        TEST(windows_that_nobody_reads_fit_into_memory),
        TEST(windows_grow_together_no_further_than_there_is_memory),
        TEST(windows_of_calls_that_share_memory_grow_together),
        TEST(memory_that_is_read_or_given_up_lets_other_windows_grow),
        TEST(an_end_lets_other_windows_grow),
        TEST(memory_is_bounded_whatever_the_program_writes),
        TEST(what_the_program_writes_takes_no_memory_from_what_arrives),
        TEST(every_stream_that_is_allowed_can_hold_a_little),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
