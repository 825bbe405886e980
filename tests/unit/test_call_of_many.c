/* Calls of many streams, at random but the same in every run: programs that write, read, finish,
 * give up and forget, as events tell them and never otherwise, over lines that carry records late.
 * What is written here is read there, in order; what is due is in a list; at the end nothing is
 * stuck. Lines are cut, with what is on them, and others follow. */
#include "unit.h"

#include "mux_check.h"

enum { QUEUE_COUNT_MAX = 64, FLOW_COUNT_MAX = 4000, CHECK_EVERY = 16 };

static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(dice_state >> 33) % sides;
}

/* --- two programs ---------------------------------------------------------------------------- */

struct carried {
    size_t size;
    uint8_t *plain;
};

/* What a program knows of a stream. */
struct flow {
    struct cn_stream *stream; /* NULL: released */
    uint64_t size;            /* that it means to write */
    uint64_t written, read;
    bool full;      /* took no more, and WRITABLE has not come since */
    bool readable;  /* READABLE came since it was last empty */
    bool lazy;      /* is not read until the end */
    bool loser;     /* gives its stream up one day */
    bool opened;    /* this end has opened it */
    bool was_reset; /* it, or the partner, has given up */
};

struct end {
    struct cn_mux mux;
    struct flow flow[FLOW_COUNT_MAX]; /* by id */
    struct carried queue[QUEUE_COUNT_MAX];
    size_t first, count;
    size_t octets; /* of memory */
    size_t peak;
    uint8_t *plain;
};

static struct end ends[2];
static uint64_t now_ms;
static bool lazy_may_read;
static bool line_is_cut;

struct course {
    uint32_t stream_count_max; /* open at once, of each end */
    uint32_t steps;
    uint64_t size_max;    /* octets of a stream, each way */
    size_t tx_size;       /* memory for what is written; 0: as always */
    uint32_t lazy, loser; /* one in so many, 0: none */
    uint32_t cut;         /* likewise, of the steps: the line */
};

static void *counted_take(void *context, size_t size)
{
    struct end *e = context;

    e->octets += size;
    e->peak = e->octets > e->peak ? e->octets : e->peak;
    return malloc(size);
}

static void counted_give(void *context, void *block, size_t size)
{
    struct end *e = context;

    e->octets -= size;
    free(block);
}

static struct cn_memory memories[2] = { { counted_take, counted_give, &ends[0] },
                                        { counted_take, counted_give, &ends[1] } };

static uint8_t octet_of(uint32_t id, int writer, uint64_t offset)
{
    return (uint8_t)((id * 167 + (uint32_t)writer * 59 + offset * 13 + (offset >> 8) * 7) ^
                     offset >> 16);
}

static struct flow *flow_begin(int end, struct cn_stream *stream, const struct course *c)
{
    struct flow *f = &ends[end].flow[stream->id];

    *f = (struct flow) { .stream = stream,
                         .size = dice(4) == 0 ? 0 : dice((uint32_t)c->size_max),
                         .lazy = c->lazy && dice(c->lazy) == 0,
                         .loser = c->loser && dice(c->loser) == 0 };
    cn_stream_set_priority(stream, (enum cn_stream_priority)dice(CN_PRIORITY_COUNT));
    cn_stream_set_user(stream, f);
    return f;
}

static void flow_open(int end, const struct course *c)
{
    struct cn_stream *stream = NULL;
    struct end *e = &ends[end];

    if (e->mux.my_count >= c->stream_count_max || e->mux.next_id >= FLOW_COUNT_MAX)
        return;
    assert_err(cn_mux_open(&e->mux, 1, "parameters", dice(11), &stream), CN_OK);
    flow_begin(end, stream, c)->opened = true;
}

static void flow_write(int end, struct flow *f, uint64_t most)
{
    while (f->stream && !f->full && most > 0 && f->written < f->size) {
        size_t room;
        uint8_t *to = cn_stream_reserve(f->stream, &room);

        if (!to) {
            f->full = cn_stream_state(f->stream) != CN_STREAM_RESET;
            return;
        }
        room = room < most ? room : (size_t)most;
        room = room < f->size - f->written ? room : (size_t)(f->size - f->written);
        for (size_t i = 0; i < room; i++)
            to[i] = octet_of(f->stream->id, end, f->written + i);
        cn_stream_commit(f->stream, room);
        f->written += room;
        most -= room;
    }
    if (f->stream && f->written == f->size)
        cn_stream_finish(f->stream);
}

static void flow_read(int end, struct flow *f, uint64_t most)
{
    while (f->stream && f->readable && most > 0) {
        size_t size;
        const uint8_t *from = cn_stream_peek(f->stream, &size);

        if (!from) {
            f->readable = false;
            return;
        }
        size = size < most ? size : (size_t)most;
        for (size_t i = 0; i < size; i += 1 + size / 64)
            assert_int_equal(from[i], octet_of(f->stream->id, 1 - end, f->read + i));
        assert_int_equal(from[size - 1], octet_of(f->stream->id, 1 - end, f->read + size - 1));
        cn_stream_consume(f->stream, size);
        f->read += size;
        most -= size;
    }
}

static bool flow_may_read(const struct flow *f)
{
    return lazy_may_read || !f->lazy;
}

/* Forget it once nothing can come of it, as a program should. */
static void flow_look(int end, struct flow *f)
{
    const struct flow *other;
    enum cn_stream_state state;

    if (!f->stream)
        return;
    other = &ends[1 - end].flow[f->stream->id];
    state = cn_stream_state(f->stream);
    if (state == CN_STREAM_ENDED) {
        assert_true(f->read == other->size && other->written == other->size);
        if (f->written < f->size)
            return;
    }
    if (state == CN_STREAM_OPEN)
        return;
    f->was_reset |= state == CN_STREAM_RESET;
    cn_stream_release(f->stream);
    f->stream = NULL;
}

static void flow_lose(struct flow *f)
{
    if (!f->stream)
        return;
    f->was_reset = true;
    if (dice(2) == 0) {
        cn_stream_reset(f->stream, 7);
        return;
    }
    cn_stream_release(
        f->stream); /* an end that is neither written nor read to the end is a reset */
    f->stream = NULL;
}

static void events_take(int end, const struct course *c)
{
    struct cn_stream *stream;
    enum cn_event_type type;

    while (cn_mux_next_event(&ends[end].mux, &stream, &type)) {
        struct flow *f = &ends[end].flow[stream->id];

        if (type == CN_EVENT_STREAM) {
            assert_null(f->stream);
            (void)flow_begin(end, stream, c);
        }
        assert_ptr_equal(f->stream, stream); /* nothing is told of what was forgotten */
        if (type == CN_EVENT_READABLE)
            f->readable = true;
        if (type == CN_EVENT_WRITABLE)
            f->full = false;
    }
}

/* --- the line -------------------------------------------------------------------------------- */

static bool line_say(int end)
{
    static struct cn_mux_record record;
    struct end *e = &ends[end];
    struct carried *c = &e->queue[(e->first + e->count) % QUEUE_COUNT_MAX];
    size_t at = 0;

    if (line_is_cut || e->count == QUEUE_COUNT_MAX || !cn_mux_output(&e->mux, now_ms, &record))
        return false;
    e->count++;
    c->size = record.wire_size - CN_RECORD_EXTRA_SIZE;
    c->plain = calloc(1, c->size);
    assert_non_null(c->plain);
    for (size_t i = 0; i < record.piece_count; i++) {
        assert_true(record.piece[i].size <= c->size - at);
        memcpy(c->plain + at, record.piece[i].bytes, record.piece[i].size);
        at += record.piece[i].size;
    }
    return true;
}

static bool line_hear(int end)
{
    struct end *from = &ends[1 - end], *to = &ends[end];
    struct carried c = from->queue[from->first];

    if (from->count == 0)
        return false;
    from->first = (from->first + 1) % QUEUE_COUNT_MAX;
    from->count--;
    assert_err(cn_mux_settle(&to->mux), CN_OK);
    free(to->plain);
    to->plain = c.plain;
    assert_err(cn_mux_input(&to->mux, c.plain, c.size, now_ms), CN_OK);
    return true;
}

/* Some of what is on it still arrives. */
static void line_cut(void)
{
    for (int end = 0; end < 2; end++) {
        struct end *from = &ends[1 - end];

        for (uint32_t some = dice((uint32_t)from->count + 1); some > 0; some--)
            (void)line_hear(end);
        for (; from->count > 0; from->count--) {
            free(from->queue[from->first].plain);
            from->first = (from->first + 1) % QUEUE_COUNT_MAX;
        }
    }
    line_is_cut = true;
}

static void line_mend(void)
{
    for (int i = 0; i < 2; i++) {
        assert_err(cn_mux_settle(&ends[i].mux), CN_OK);
        cn_mux_resume(&ends[i].mux, now_ms);
    }
    line_is_cut = false;
}

/* --- what always holds ----------------------------------------------------------------------- */

static void end_check(const struct end *e)
{
    const char *wrong = mux_wrong(&e->mux, line_is_cut);

    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(mux_octets(&e->mux), e->octets);
}

/* --- courses --------------------------------------------------------------------------------- */

static void call_begin(const struct course *c, uint64_t seed)
{
    const struct cn_call_limits limits = cn_mux_limits();

    dice_state = seed;
    now_ms = 1000;
    lazy_may_read = false;
    line_is_cut = false;
    for (int i = 0; i < 2; i++) {
        struct end *e = &ends[i];

        memset(e, 0, sizeof *e);
        cn_mux_init(&e->mux, &memories[i], i == 0 ? CN_ROLE_A : CN_ROLE_B);
        if (c->tx_size > 0) {
            e->mux.tx_pool.size_max = c->tx_size;
            e->mux.tx_pool.reserve = c->tx_size / 2;
        }
        cn_mux_begin(&e->mux, &limits, now_ms);
    }
}

static struct flow *any_flow(int end)
{
    const uint32_t until =
        ends[0].mux.next_id > ends[1].mux.next_id ? ends[0].mux.next_id : ends[1].mux.next_id;
    const uint32_t from = dice(until);

    for (uint32_t i = 0; i < until; i++) {
        struct flow *f = &ends[end].flow[(from + i) % until];

        if (f->stream)
            return f;
    }
    return &ends[end].flow[0]; /* that is nobody's */
}

static void step(const struct course *c)
{
    const int end = (int)dice(2);
    struct flow *f = any_flow(end);

    if (c->cut && !line_is_cut && dice(c->cut) == 0)
        line_cut();
    if (line_is_cut && dice(10) == 0)
        line_mend();
    switch (dice(12)) {
    case 0:
        flow_open(end, c);
        break;
    case 1:
    case 2:
        flow_write(end, f, dice(4) == 0 ? dice(200) : dice(100000));
        break;
    case 3:
    case 4:
        if (flow_may_read(f))
            flow_read(end, f, dice(2) == 0 ? dice(3000) : 1000000);
        flow_look(end, f);
        break;
    case 5:
        if (f->loser && dice(10) == 0)
            flow_lose(f);
        break;
    case 6:
    case 7:
        (void)line_say(end);
        break;
    case 8:
    case 9:
        (void)line_hear(end);
        break;
    case 10:
        if (f->stream && dice(8) == 0)
            cn_stream_set_priority(f->stream, (enum cn_stream_priority)dice(CN_PRIORITY_COUNT));
        else if (f->stream && f->read > 0 && cn_stream_state(f->stream) != CN_STREAM_RESET)
            cn_stream_set_durable(f->stream, f->read);
        break;
    default:
        now_ms += dice(8);
    }
    events_take(end, c);
}

/* Everybody does all that the events allow; whether anything was done. */
static bool work(int end, const struct course *c)
{
    bool moved = false;

    events_take(end, c);
    for (uint32_t id = 1; id < FLOW_COUNT_MAX; id++) {
        struct flow *f = &ends[end].flow[id];
        const uint64_t before = f->written + f->read;
        const struct cn_stream *stream = f->stream;

        if (!stream)
            continue;
        flow_write(end, f, UINT64_MAX);
        if (flow_may_read(f))
            flow_read(end, f, UINT64_MAX);
        flow_look(end, f);
        moved |= f->written + f->read != before || f->stream != stream;
    }
    return moved;
}

/* Until nothing moves, though time goes on as far as the muxes say that it matters, and a PING
 * further. */
static void settle_all(const struct course *c)
{
    bool slept = false; /* longer than an acknowledgement waits */

    for (int idle = 0; idle < 8;) {
        bool moved = false;
        bool heard = false;
        uint64_t due_ms = now_ms + CN_MUX_PING_MS;

        for (int i = 0; i < 2; i++) {
            moved |= work(i, c);
            while (line_say(i))
                ;
            while (line_hear(1 - i)) {
                heard = true;
                moved |= work(1 - i, c);
            }
        }
        assert_false(moved && slept); /* what only a PING has stirred was stuck */
        idle = moved ? 0 : idle + 1;
        if (moved || (heard && !slept))
            continue;
        for (int i = 0; i < 2; i++) {
            end_check(&ends[i]);
            if (cn_mux_deadline_ms(&ends[i].mux) < due_ms)
                due_ms = cn_mux_deadline_ms(&ends[i].mux);
        }
        slept |= due_ms > now_ms + CN_MUX_RECEIVED_DELAY_MS;
        now_ms = due_ms > now_ms ? due_ms : now_ms;
    }
}

/* With what nobody reads, all has moved that may: as far as the windows go, and acknowledged. */
static void unread_check(int end)
{
    for (uint32_t id = 1; id < FLOW_COUNT_MAX; id++) {
        const struct flow *f = &ends[end].flow[id];

        if (!f->stream)
            continue;
        assert_true(f->lazy || ends[1 - end].flow[id].lazy);
        assert_int_equal(cn_stream_sendable(f->stream), 0);
        assert_true(f->stream->tx_sent == f->stream->tx.begin);
        assert_true(ends[1 - end].flow[id].lazy || f->stream->tx_fin_received);
    }
}

static void call_end(void)
{
    for (int i = 0; i < 2; i++) {
        struct end *e = &ends[i];

        for (; e->count > 0; e->count--) {
            free(e->queue[e->first].plain);
            e->first = (e->first + 1) % QUEUE_COUNT_MAX;
        }
        cn_mux_wipe(&e->mux);
        free(e->plain);
        assert_true(e->octets == 0);
    }
}

static void walk(const struct course *c, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        step(c);
        if (i % CHECK_EVERY == 0)
            end_check(&ends[i / CHECK_EVERY % 2]);
    }
    if (line_is_cut)
        line_mend();
}

static void run(const struct course *c, uint64_t seed)
{
    struct course closing = *c;

    closing.stream_count_max = 0; /* no more */
    call_begin(c, seed);
    walk(c, c->steps);
    settle_all(c);
    for (int i = 0; i < 2; i++)
        unread_check(i);
    lazy_may_read = true;
    for (int i = 0; i < 2; i++)
        cn_mux_finish(&ends[i].mux);
    if (c->cut) /* CLOSE may be lost too */
        walk(&closing, c->steps / 10);
    settle_all(c);
    for (int i = 0; i < 2; i++) {
        for (uint32_t id = 1; id < FLOW_COUNT_MAX; id++) {
            assert_null(ends[i].flow[id].stream);
            if (!ends[0].flow[id].was_reset && !ends[1].flow[id].was_reset)
                assert_true(ends[i].flow[id].read == ends[1 - i].flow[id].size);
        }
        assert_null(cn_list_first(&ends[i].mux.all));
        assert_true(cn_mux_is_closed(&ends[i].mux));
    }
    call_end();
}

static void a_few_streams_that_say_much(void **state)
{
    const struct course c = {
        .stream_count_max = 4, .steps = 6000, .size_max = 3000000, .lazy = 5
    };

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run(&c, seed);
}

static void streams_that_are_given_up_at_any_time(void **state)
{
    const struct course c = {
        .stream_count_max = 20, .steps = 8000, .size_max = 200000, .lazy = 4, .loser = 2
    };

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run(&c, seed);
}

static void streams_that_want_more_memory_than_there_is(void **state)
{
    const struct course c = { .stream_count_max = 16,
                              .steps = 6000,
                              .size_max = 300000,
                              .tx_size = 320 * 1024,
                              .lazy = 6,
                              .loser = 6 };

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run(&c, seed);
}

static void as_many_streams_as_there_may_be(void **state)
{
    const struct course c = {
        .stream_count_max = 1000, .steps = 30000, .size_max = 40000, .lazy = 3, .loser = 5
    };

    (void)state;
    run(&c, 1);
}

static void streams_over_lines_that_are_cut(void **state)
{
    const struct course courses[] = {
        { .stream_count_max = 4, .steps = 6000, .size_max = 3000000, .lazy = 5, .cut = 100 },
        { .stream_count_max = 20, .steps = 8000, .size_max = 100000, .loser = 2, .cut = 40 },
        { .stream_count_max = 3, .steps = 8000, .size_max = 100, .loser = 9, .cut = 12 },
        { .stream_count_max = 16,
          .steps = 6000,
          .size_max = 300000,
          .tx_size = 320 * 1024,
          .lazy = 6,
          .loser = 6,
          .cut = 200 },
        { .stream_count_max = 1000, .steps = 20000, .size_max = 2000, .loser = 5, .cut = 700 },
    };

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        run(&courses[seed % COUNT(courses)], seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_streams_that_say_much),
        cmocka_unit_test(streams_that_are_given_up_at_any_time),
        cmocka_unit_test(streams_that_want_more_memory_than_there_is),
        cmocka_unit_test(as_many_streams_as_there_may_be),
        cmocka_unit_test(streams_over_lines_that_are_cut),
    };

    return cmocka_run_group_tests_name("call of many", tests, crypto_setup, crypto_teardown);
}
