/* What the partner says first on another connection: what offends is refused. That nothing is lost
 * where it does not, test_call_of_many shows. PROTOCOL.md 6.5 */
#include "unit.h"

#include "mux.h"
#include "reader.h"
#include "writer.h"

enum { SENT = 1000, ACKNOWLEDGED = 100, END_HAS_COME = 1, GIVEN_UP = 2 };

struct position {
    uint8_t flags;
    uint64_t expected, limit, durable;
    uint32_t code;
};

/* A has opened stream 1, written SENT octets, and heard that ACKNOWLEDGED have come; with stream 3
 * the partner never said anything about; stream 2 is the partner's. */
static struct cn_mux mux;
static struct cn_mux_record record;
static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];

static void *take_memory(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void give_memory(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static const struct cn_memory memory = { take_memory, give_memory, NULL };

static enum cn_err say(const struct cn_frame *frame)
{
    struct cn_writer w = { .at = plain, .left = sizeof plain };

    assert_err(cn_mux_settle(&mux), CN_OK);
    cn_frame_encode(frame, &w);
    if (frame->type == CN_FRAME_DATA)
        cn_writer_zeros(&w, frame->size);
    return cn_mux_input(&mux, plain, sizeof plain - w.left, mux.now_ms);
}

static enum cn_err say_body(uint32_t stream, const uint8_t *body, size_t size)
{
    return say(&(struct cn_frame) {
        .type = CN_FRAME_RESUME, .stream = stream, .bytes = body, .size = size });
}

static enum cn_err say_position(uint32_t stream, const struct position *p)
{
    uint8_t body[CN_FRAME_RESUME_SIZE];
    struct cn_writer w = { .at = body, .left = sizeof body };

    cn_writer_u8(&w, p->flags);
    cn_writer_u64be(&w, p->expected);
    cn_writer_u64be(&w, p->limit);
    cn_writer_u64be(&w, p->durable);
    cn_writer_u32be(&w, p->code);
    return say_body(stream, body, sizeof body);
}

static enum cn_err say_end(uint32_t next)
{
    const uint8_t body[] = { 0, 0, 0, (uint8_t)next };

    return say_body(0, body, sizeof body);
}

static unsigned named; /* streams, as a set, by the last output */

/* What there is to say; of which types it is, as a set. */
static unsigned output(void)
{
    unsigned types = 0;

    named = 0;

    while (cn_mux_output(&mux, mux.now_ms, &record)) {
        struct cn_reader r = { .at = plain };
        struct cn_frame frame;
        size_t size = 0;

        for (size_t i = 0; i < record.piece_count; i++) {
            memcpy(plain + size, record.piece[i].bytes, record.piece[i].size);
            size += record.piece[i].size;
        }
        r.left = size;
        while (r.left > 0) {
            assert_err(cn_frame_decode(&frame, &r), CN_OK);
            types |= 1U << frame.type;
            if (frame.type == CN_FRAME_RESUME)
                named |= 1U << frame.stream;
        }
    }
    return types;
}

static struct cn_stream *stream_begin(bool finish)
{
    static const uint8_t octets[SENT];
    struct cn_stream *stream = NULL;

    assert_err(cn_mux_open(&mux, 1, NULL, 0, &stream), CN_OK);
    assert_int_equal(cn_stream_write(stream, octets, sizeof octets), SENT);
    if (finish)
        cn_stream_finish(stream);
    return stream;
}

static int begin(void **state)
{
    const struct cn_call_limits limits = cn_mux_limits();

    (void)state;
    cn_mux_init(&mux, &memory, CN_ROLE_A);
    cn_mux_begin(&mux, &limits, 1000);
    (void)stream_begin(false);
    (void)stream_begin(true);
    (void)output();
    assert_err(
        say(&(struct cn_frame) { .type = CN_FRAME_RECEIVED, .stream = 1, .offset = ACKNOWLEDGED }),
        CN_OK);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_OPEN, .stream = 2, .kind = 1 }), CN_OK);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_DATA, .stream = 2, .size = 10 }), CN_OK);
    cn_mux_resume(&mux, 2000);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    cn_mux_wipe(&mux);
    return 0;
}

static const struct position good = { 0, ACKNOWLEDGED, CN_MUX_WINDOW_SIZE, 0, 0 };
static const struct position good_of_theirs = { 0, 0, CN_MUX_WINDOW_SIZE, 0, 0 };

static void positions_that_cannot_be_are_refused(void **state)
{
    static const struct {
        uint32_t stream;
        struct position position;
    } bad[] = {
        { 1, { 0, ACKNOWLEDGED - 1, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 1, { 0, SENT + 1, CN_MUX_WINDOW_SIZE, 0, 0 } }, /* its end was not sent */
        { 1, { END_HAS_COME, SENT, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 1, { 0, ACKNOWLEDGED, CN_MUX_WINDOW_SIZE - 1, 0, 0 } },
        { 1, { 0, ACKNOWLEDGED, CN_MUX_WINDOW_SIZE, ACKNOWLEDGED + 1, 0 } },
        { 1, { 4, ACKNOWLEDGED, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 3, { 0, SENT + 2, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 3, { END_HAS_COME, SENT - 1, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 3, { 0, UINT64_MAX, CN_MUX_WINDOW_SIZE, 0, 0 } },
        { 2, { 0, 1, CN_MUX_WINDOW_SIZE, 0, 0 } }, /* we have said nothing there */
        { 5, { 0, 0, CN_MUX_WINDOW_SIZE, 0, 0 } }, /* of our numbers, and not given yet */
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_err(say_position(bad[i].stream, &bad[i].position), CN_E_FORMAT);
        finish(state);
        begin(state);
    }
}

static void bodies_of_another_size_are_refused(void **state)
{
    static const uint8_t body[CN_FRAME_RESUME_SIZE + 1];

    (void)state;
    for (size_t size = 0; size <= sizeof body; size++) {
        if (size != CN_FRAME_RESUME_SIZE)
            assert_err(say_body(6, body, size), CN_E_FORMAT);
        if (size != 4)
            assert_err(say_body(0, body, size), CN_E_FORMAT);
    }
    assert_err(say_body(6, body, CN_FRAME_RESUME_SIZE), CN_OK); /* its OPEN was lost: ignored */
}

static void a_stream_is_named_once(void **state)
{
    (void)state;
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_position(1, &good), CN_E_FORMAT);
}

static void the_end_is_where_it_can_be(void **state)
{
    (void)state;
    assert_err(say_end(7), CN_E_FORMAT); /* we have opened 1 and 3 */
    assert_err(say_end(2), CN_E_FORMAT); /* that is theirs */
    assert_err(say_end(0), CN_E_FORMAT);
}

static void a_stream_that_was_heard_of_is_not_unheard_of(void **state)
{
    (void)state;
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_err(say_end(1), CN_E_FORMAT); /* some of stream 1 was acknowledged */
}

static void an_open_stream_that_is_not_named_is_refused(void **state)
{
    (void)state;
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_end(5), CN_E_FORMAT); /* neither 2 nor 3 can be over there */
}

static void nothing_of_a_stream_comes_before_that(void **state)
{
    static const enum cn_frame_type types[] = { CN_FRAME_DATA,    CN_FRAME_RECEIVED,
                                                CN_FRAME_DURABLE, CN_FRAME_WINDOW,
                                                CN_FRAME_FIN,     CN_FRAME_RESET,
                                                CN_FRAME_OPEN };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++)
        assert_err(say(&(struct cn_frame) { .type = types[i],
                                            .stream = types[i] == CN_FRAME_OPEN ? 4 : 2,
                                            .kind = 1,
                                            .size = types[i] == CN_FRAME_DATA }),
                   CN_E_UNEXPECTED);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PING, .offset = 1 }), CN_OK);
}

static void what_goes_first_is_how_far_we_are(void **state)
{
    (void)state;
    assert_int_equal(output(), 1U << CN_FRAME_RESUME | 1U << CN_FRAME_PING);
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_int_equal(output(), 0); /* the rest when the partner has said all */
    assert_err(say_end(3), CN_OK);
    assert_int_equal(output(), 1U << CN_FRAME_OPEN | 1U << CN_FRAME_DATA | 1U << CN_FRAME_FIN);
    assert_err(say_position(1, &good), CN_E_UNEXPECTED);
    assert_err(say_end(3), CN_E_UNEXPECTED);
}

static void a_reset_that_may_not_have_come_is_said_until_it_has(void **state)
{
    struct cn_stream *stream = cn_mux_find(&mux, 1);

    (void)state;
    cn_stream_reset(stream, 9);
    cn_stream_release(stream);
    (void)output();
    assert_non_null(cn_mux_find(&mux, 1));
    cn_mux_resume(&mux, 3000);
    assert_int_equal(output(), 1U << CN_FRAME_RESUME | 1U << CN_FRAME_PING);
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_err(say_end(3), CN_OK); /* it does not name stream 1: it knows */
    (void)output();
    assert_null(cn_mux_find(&mux, 1));
}

static void a_pong_shows_that_a_reset_has_come(void **state)
{
    struct cn_stream *stream = cn_mux_find(&mux, 1);

    (void)state;
    (void)output();
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_err(say_end(3), CN_OK);
    cn_stream_reset(stream, 9);
    cn_stream_release(stream);
    assert_true(output() & 1U << CN_FRAME_RESET);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }), CN_OK);
    assert_true(output() & 1U << CN_FRAME_PING); /* that PING was older; here is another */
    assert_non_null(cn_mux_find(&mux, 1));
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }), CN_OK);
    (void)output();
    assert_null(cn_mux_find(&mux, 1));
}

/* Though the program has not let go of it. */
static void what_both_know_to_be_over_is_not_named(void **state)
{
    (void)state;
    (void)output();
    assert_true(named & 1U << 1);
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_err(say_end(3), CN_OK);
    cn_stream_reset(cn_mux_find(&mux, 1), 9);
    for (int i = 0; i < 2; i++) { /* the PING that is out is older */
        (void)output();
        assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }),
                   CN_OK);
    }
    cn_mux_resume(&mux, 3000);
    assert_non_null(cn_mux_find(&mux, 1));
    (void)output();
    assert_false(named & 1U << 1);
    assert_true(named & 1U << 2);
}

/* All is said on the connection that there is; then stream 2 is read, and what came of it is
 * durable. */
static struct cn_stream *durable_begin(bool finish)
{
    struct cn_stream *stream = cn_mux_find(&mux, 2);

    (void)output();
    assert_err(say_position(1, &good), CN_OK);
    assert_err(say_position(2, &good_of_theirs), CN_OK);
    assert_err(say_end(3), CN_OK);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }), CN_OK);
    cn_stream_consume(stream, 10);
    if (finish) {
        assert_err(say(&(struct cn_frame) { .type = CN_FRAME_FIN, .stream = 2, .offset = 10 }),
                   CN_OK);
        cn_stream_finish(stream);
        (void)output();
        assert_err(say(&(struct cn_frame) { .type = CN_FRAME_RECEIVED, .stream = 2, .offset = 1 }),
                   CN_OK);
    }
    (void)output();
    cn_stream_set_durable(stream, 10);
    assert_int_equal(output(), 1U << CN_FRAME_DURABLE | 1U << CN_FRAME_PING);
    return stream;
}

/* Though both have confirmed all else of the stream. */
static void what_is_durable_is_said_until_it_has_come(void **state)
{
    (void)state;
    cn_stream_release(durable_begin(true));
    (void)output();
    for (unsigned i = 0; i < 3; i++) {
        cn_mux_resume(&mux, 3000 + i);
        (void)output();
        assert_true(named & 1U << 2);
        assert_err(say_position(1, &good), CN_OK);
        assert_err(say_position(3, &good_of_theirs), CN_OK);
        assert_err(say_end(5), CN_OK);
        (void)output();
        assert_non_null(cn_mux_find(&mux, 2));
    }
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }), CN_OK);
    (void)output();
    assert_null(cn_mux_find(&mux, 2));
}

static void a_reset_that_was_not_said_is_not_heard(void **state)
{
    struct cn_stream *stream = durable_begin(false);

    (void)state;
    cn_stream_reset(stream, 9);
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_PONG, .offset = mux.ping_token }), CN_OK);
    assert_true(output() & 1U << CN_FRAME_RESET);
    assert_non_null(cn_mux_find(&mux, 2));
}

static void who_gives_up_asks_for_nothing_durable(void **state)
{
    struct cn_stream *stream = durable_begin(false);

    (void)state;
    assert_err(say(&(struct cn_frame) { .type = CN_FRAME_RESET, .stream = 2, .code = 1 }), CN_OK);
    cn_stream_release(stream);
    (void)output();
    assert_null(cn_mux_find(&mux, 2));
}

static void a_stream_that_was_given_up_meanwhile_is_over(void **state)
{
    const struct position given_up = { GIVEN_UP, 0, 0, 0, 77 };
    struct cn_stream *stream = cn_mux_find(&mux, 1);

    (void)state;
    assert_err(say_position(1, &given_up), CN_OK);
    assert_int_equal(cn_stream_state(stream), CN_STREAM_RESET);
    assert_int_equal(cn_stream_reset_code(stream), 77);
}

static void on_the_first_connection_nobody_says_so(void **state)
{
    const struct cn_call_limits limits = cn_mux_limits();

    finish(state);
    cn_mux_init(&mux, &memory, CN_ROLE_A);
    cn_mux_begin(&mux, &limits, 1000);
    assert_err(say_end(1), CN_E_UNEXPECTED);
    assert_err(say_position(1, &good), CN_E_UNEXPECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(positions_that_cannot_be_are_refused, begin, finish),
        cmocka_unit_test_setup_teardown(bodies_of_another_size_are_refused, begin, finish),
        cmocka_unit_test_setup_teardown(a_stream_is_named_once, begin, finish),
        cmocka_unit_test_setup_teardown(the_end_is_where_it_can_be, begin, finish),
        cmocka_unit_test_setup_teardown(a_stream_that_was_heard_of_is_not_unheard_of, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(an_open_stream_that_is_not_named_is_refused, begin, finish),
        cmocka_unit_test_setup_teardown(nothing_of_a_stream_comes_before_that, begin, finish),
        cmocka_unit_test_setup_teardown(what_goes_first_is_how_far_we_are, begin, finish),
        cmocka_unit_test_setup_teardown(a_reset_that_may_not_have_come_is_said_until_it_has, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(a_pong_shows_that_a_reset_has_come, begin, finish),
        cmocka_unit_test_setup_teardown(what_both_know_to_be_over_is_not_named, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_durable_is_said_until_it_has_come, begin, finish),
        cmocka_unit_test_setup_teardown(a_reset_that_was_not_said_is_not_heard, begin, finish),
        cmocka_unit_test_setup_teardown(who_gives_up_asks_for_nothing_durable, begin, finish),
        cmocka_unit_test_setup_teardown(a_stream_that_was_given_up_meanwhile_is_over, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(on_the_first_connection_nobody_says_so, begin, finish),
    };

    return cmocka_run_group_tests_name("mux, resumed", tests, crypto_setup, crypto_teardown);
}
