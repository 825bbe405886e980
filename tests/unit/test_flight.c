/* Flights: what the acknowledgements say about the line; and whole calls over lines that are made
 * of arithmetic, whose every octet takes its time: bulk fills them, a word beside it is not late.
 */
#include "unit.h"

#include "flight.h"
#include "mux.h"

enum { RTT_MS = 20 };

/* --- the measure ----------------------------------------------------------------------------- */

static void bulk_waits_for_what_is_under_way(void **state)
{
    struct cn_flight f = { .span_ms = 1000 };

    (void)state;
    assert_false(cn_flight_is_full(&f, RTT_MS));
    cn_flight_sent(&f, CN_FLIGHT_START_SIZE, RTT_MS, 1000);
    assert_true(cn_flight_is_full(&f, RTT_MS));
    cn_flight_forget(&f, 1);
    assert_false(cn_flight_is_full(&f, RTT_MS));
    cn_flight_sent(&f, 1, RTT_MS, 1000);
    cn_flight_delivered(&f, CN_FLIGHT_START_SIZE, RTT_MS, 1020);
    assert_false(cn_flight_is_full(&f, RTT_MS));
}

/* So many octets a millisecond, each acknowledged after took_ms, for ms; the smallest round trip is
 * RTT_MS. */
static void flow(struct cn_flight *f, uint64_t per_ms, uint64_t took_ms, uint64_t *now_ms,
                 uint64_t ms)
{
    const uint64_t from = *now_ms;

    for (; *now_ms < from + ms + took_ms; ++*now_ms) {
        if (*now_ms >= from + took_ms)
            cn_flight_delivered(f, per_ms, RTT_MS, *now_ms);
        if (*now_ms < from + ms)
            cn_flight_sent(f, per_ms, RTT_MS, *now_ms);
    }
}

static void the_rate_is_what_arrives(void **state)
{
    static const struct {
        uint64_t per_ms, took_ms;
    } lines[] = { { 1250, 50 }, { 125000, 100 }, { 100, 600 }, { 4000000, 1 } };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct cn_flight f = { .span_ms = 1000 };
        uint64_t now_ms = 1000;

        flow(&f, lines[i].per_ms, lines[i].took_ms, &now_ms, 3000);
        assert_in_range(cn_flight_rate(&f), lines[i].per_ms * 900, lines[i].per_ms * 1100);
        assert_true(f.sent == f.delivered && f.count == 0);
    }
}

static void a_line_that_gets_slower_is_known_after_two_spans(void **state)
{
    struct cn_flight f = { .span_ms = 1000 };
    uint64_t now_ms = 1000;

    (void)state;
    flow(&f, 10000, RTT_MS, &now_ms, 3000);
    flow(&f, 1000, 700, &now_ms, 1000); /* as much is under way as before, in a queue */
    assert_true(cn_flight_rate(&f) > 9000000);
    flow(&f, 1000, 700, &now_ms, 2 * CN_FLIGHT_SPAN_MS + 1000);
    assert_in_range(cn_flight_rate(&f), 900000, 1100000);
}

static void a_program_that_says_little_does_not_slow_the_line(void **state)
{
    struct cn_flight f = { .span_ms = 1000 };
    uint64_t now_ms = 1000;

    (void)state;
    flow(&f, 10000, RTT_MS, &now_ms, 3000);
    for (int i = 0; i < 3000; i++) {
        cn_flight_sent(&f, 100, RTT_MS, now_ms);
        now_ms += 20;
        cn_flight_delivered(&f, 100, RTT_MS, now_ms);
    }
    assert_true(cn_flight_rate(&f) > 9000000);
}

static void what_is_given_up_is_no_delivery(void **state)
{
    struct cn_flight f = { .span_ms = 1000 };

    (void)state;
    cn_flight_sent(&f, 100000, RTT_MS, 1000);
    cn_flight_forget(&f, 50000);
    cn_flight_delivered(&f, 50000, RTT_MS, 1100);
    assert_in_range(cn_flight_rate(&f), 450000, 550000);
    assert_true(f.sent == f.delivered);
}

static void a_slow_line_has_a_little_under_way_all_the_same(void **state)
{
    struct cn_flight f = { .rate = { 1000, 1000 }, .full = true };

    (void)state;
    cn_flight_sent(&f, CN_FLIGHT_LEAST_SIZE - 1, RTT_MS, 1000);
    assert_false(cn_flight_is_full(&f, RTT_MS));
    cn_flight_sent(&f, 1, RTT_MS, 1000);
    assert_true(cn_flight_is_full(&f, RTT_MS));
}

static void records_are_small_where_one_would_hold_the_line_for_long(void **state)
{
    static const struct {
        uint64_t rate;
        size_t size;
    } rows[] = { { 0, 16384 },       { 1000, 4096 },     { 1250000, 4096 },    { 2000000, 16384 },
                 { 6000000, 16384 }, { 6553600, 65536 }, { 1000000000, 65536 } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct cn_flight f = { .rate = { rows[i].rate / 2, rows[i].rate } };

        assert_int_equal(cn_flight_record_size(&f), rows[i].size);
    }
}

/* --- calls over lines ------------------------------------------------------------------------ */

enum { QUEUE_COUNT_MAX = 16384, ECHO_SIZE = 60, ECHO_EVERY_MS = 50 };

/* A record on its way. */
struct carried {
    uint64_t at_us; /* when it arrives */
    size_t size;
    uint8_t *plain;
};

/* One direction of a line; what is said waits without limit, as it would in a network's buffers. */
struct line {
    uint64_t octets_per_s;
    uint64_t delay_us;
    uint64_t free_us; /* when all that has been said is off */
    struct carried queue[QUEUE_COUNT_MAX];
    size_t first, count;
};

struct end {
    struct cn_mux mux;
    struct line line; /* away from it */
    uint64_t wire;    /* octets that went over that */
    struct cn_stream *bulk, *word;
    uint8_t *plain; /* of the record in hand */
    uint64_t bulk_read;
};

static struct end ends[2];
static uint64_t now_ms;
static uint64_t word_sent_ms;  /* 0: none is out */
static uint64_t word_ms[1000]; /* what each took, there and back */
static size_t word_count;
static enum cn_stream_priority bulk_priority, word_priority;
static uint64_t bulk_left = UINT64_MAX; /* octets; UINT64_MAX: without end */

static void *plain_take(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void plain_give(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static const struct cn_memory memory = { plain_take, plain_give, NULL };

static void line_say(struct end *e)
{
    static struct cn_mux_record record;
    struct line *l = &e->line;

    while (cn_mux_output(&e->mux, now_ms, &record)) {
        struct carried *c = &l->queue[(l->first + l->count++) % QUEUE_COUNT_MAX];
        size_t at = 0;

        assert_true(l->count <= QUEUE_COUNT_MAX);
        c->size = record.wire_size - CN_RECORD_EXTRA_SIZE;
        c->plain = calloc(1, c->size);
        assert_non_null(c->plain);
        for (size_t i = 0; i < record.piece_count; i++) {
            memcpy(c->plain + at, record.piece[i].bytes, record.piece[i].size);
            at += record.piece[i].size;
        }
        if (l->free_us < now_ms * 1000)
            l->free_us = now_ms * 1000;
        e->wire += record.wire_size;
        l->free_us += record.wire_size * 1000000 / l->octets_per_s;
        c->at_us = l->free_us + l->delay_us;
    }
}

static size_t consume(struct cn_stream *stream)
{
    size_t total = 0, size;

    while (stream && cn_stream_peek(stream, &size)) {
        cn_stream_consume(stream, size);
        total += size;
    }
    return total;
}

/* B reads all, and says every word again; A looks whether its word has come back. */
static void read_all(int end)
{
    struct end *e = &ends[end];
    struct cn_stream *stream;
    enum cn_event_type type;
    size_t words;

    while (cn_mux_next_event(&e->mux, &stream, &type)) {
        if (type != CN_EVENT_STREAM)
            continue;
        if (stream->kind == 1)
            e->bulk = stream;
        else
            e->word = stream;
        cn_stream_set_priority(stream, stream->kind == 1 ? bulk_priority : word_priority);
    }
    e->bulk_read += consume(e->bulk);
    words = consume(e->word);
    if (end == 1)
        assert_int_equal(cn_stream_write(e->word, (uint8_t[ECHO_SIZE]) { 0 }, words), words);
    if (end == 0 && words > 0) {
        assert_true(word_count < COUNT(word_ms));
        word_ms[word_count++] = now_ms - word_sent_ms;
        word_sent_ms = 0;
    }
}

static void line_hear(int end)
{
    struct line *l = &ends[1 - end].line;
    struct end *e = &ends[end];

    while (l->count > 0 && l->queue[l->first].at_us <= now_ms * 1000) {
        struct carried *c = &l->queue[l->first];

        assert_err(cn_mux_settle(&e->mux), CN_OK);
        free(e->plain);
        e->plain = c->plain;
        assert_err(cn_mux_input(&e->mux, c->plain, c->size, now_ms), CN_OK);
        read_all(end);
        l->first = (l->first + 1) % QUEUE_COUNT_MAX;
        l->count--;
    }
}

static void bulk_write(struct cn_stream *stream)
{
    size_t room;

    for (uint8_t *to = cn_stream_reserve(stream, &room); to;
         to = cn_stream_reserve(stream, &room)) {
        memset(to, 0, room);
        cn_stream_commit(stream, room);
    }
}

/* What is left of it, then its end. */
static void bulk_finish(struct cn_stream *stream)
{
    static const uint8_t zeros[CN_MUX_UNSENT_SIZE_MAX];
    const size_t most = bulk_left < sizeof zeros ? (size_t)bulk_left : sizeof zeros;

    if (bulk_left == 0)
        return;
    bulk_left -= cn_stream_write(stream, zeros, most);
    if (bulk_left == 0)
        cn_stream_finish(stream);
}

static void one_ms(bool with_words)
{
    for (int i = 0; i < 2; i++)
        line_hear(i);
    if (bulk_left == UINT64_MAX)
        bulk_write(ends[0].bulk);
    else
        bulk_finish(ends[0].bulk);
    if (with_words && word_sent_ms == 0 && now_ms % ECHO_EVERY_MS == 0) {
        word_sent_ms = now_ms;
        assert_int_equal(cn_stream_write(ends[0].word, (uint8_t[ECHO_SIZE]) { 0 }, ECHO_SIZE),
                         ECHO_SIZE);
    }
    for (int i = 0; i < 2; i++)
        line_say(&ends[i]);
    now_ms++;
}

static void call_begin(uint64_t octets_per_s, uint64_t rtt_ms)
{
    const struct cn_call_limits limits = cn_mux_limits();

    now_ms = 1000;
    word_sent_ms = 0;
    word_count = 0;
    for (int i = 0; i < 2; i++) {
        struct end *e = &ends[i];

        memset(e, 0, sizeof *e);
        e->line.octets_per_s = octets_per_s;
        e->line.delay_us = rtt_ms * 500;
        cn_mux_init(&e->mux, &memory, i == 0 ? CN_ROLE_A : CN_ROLE_B);
        cn_mux_begin(&e->mux, &limits, now_ms);
    }
    assert_err(cn_mux_open(&ends[0].mux, 1, NULL, 0, &ends[0].bulk), CN_OK);
    assert_err(cn_mux_open(&ends[0].mux, 2, NULL, 0, &ends[0].word), CN_OK);
    cn_stream_set_priority(ends[0].bulk, bulk_priority);
    cn_stream_set_priority(ends[0].word, word_priority);
}

static void call_end(void)
{
    for (int i = 0; i < 2; i++) {
        struct line *l = &ends[i].line;

        for (; l->count > 0; l->count--) {
            free(l->queue[l->first].plain);
            l->first = (l->first + 1) % QUEUE_COUNT_MAX;
        }
        cn_mux_wipe(&ends[i].mux);
        free(ends[i].plain);
    }
}

static int longer(const void *a, const void *b)
{
    const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

static uint64_t word_p99(void)
{
    qsort(word_ms, word_count, sizeof word_ms[0], longer);
    return word_ms[word_count * 99 / 100];
}

static const struct {
    uint64_t octets_per_s, rtt_ms;
} lines[] = {
    { 1250000, 50 },  { 1250000, 100 }, { 125000, 40 },   { 12500000, 20 },
    { 6250000, 300 }, { 500000, 600 },  { 125000000, 1 },
};

/* 20 seconds of bulk with words beside it, the beginning left out. */
static void a_word_waits_for_little_bulk(void)
{
    for (size_t i = 0; i < COUNT(lines); i++) {
        uint64_t before, least = lines[i].octets_per_s * 20 * 85 / 100;

        call_begin(lines[i].octets_per_s, lines[i].rtt_ms);
        while (now_ms < 11000)
            one_ms(false);
        before = ends[1].bulk_read;
        while (now_ms < 31000)
            one_ms(true);
        assert_true(ends[1].bulk_read - before >= least);
        assert_true(word_count > 20);
        assert_true(word_p99() <= lines[i].rtt_ms + 110);
        call_end();
    }
}

static void a_word_of_talk_waits_for_little_bulk(void **state)
{
    (void)state;
    bulk_priority = CN_PRIORITY_BULK;
    word_priority = CN_PRIORITY_INTERACTIVE;
    a_word_waits_for_little_bulk();
}

static void so_does_one_that_nobody_has_called_urgent(void **state)
{
    (void)state;
    bulk_priority = word_priority = CN_PRIORITY_NORMAL;
    a_word_waits_for_little_bulk();
}

/* From the first octet on. */
static void a_long_fat_line_is_filled(void **state)
{
    (void)state;
    bulk_priority = CN_PRIORITY_BULK;
    call_begin(125000000, 100);
    while (now_ms < 11000)
        one_ms(false);
    assert_true(ends[1].bulk_read >= 125000000ULL * 10 * 80 / 100);
    call_end();
}

/* Of a short file, too, from the first octet to its end. */
static void padding_takes_little_of_a_line(void **state)
{
    static const uint64_t sizes[] = { 100000, 300000, 3000000 };

    (void)state;
    bulk_priority = CN_PRIORITY_BULK;
    for (size_t i = 0; i < COUNT(lines); i++) {
        for (size_t n = 0; n < COUNT(sizes); n++) {
            call_begin(lines[i].octets_per_s, lines[i].rtt_ms);
            bulk_left = sizes[n];
            while (ends[1].bulk_read < sizes[n])
                one_ms(false);
            /* a fast one is given large records, which windows do not fill at first */
            assert_true(ends[0].wire <= sizes[n] * (lines[i].rtt_ms == 1 ? 160 : 115) / 100);
            bulk_left = UINT64_MAX;
            call_end();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_waits_for_what_is_under_way),
        cmocka_unit_test(the_rate_is_what_arrives),
        cmocka_unit_test(a_line_that_gets_slower_is_known_after_two_spans),
        cmocka_unit_test(a_program_that_says_little_does_not_slow_the_line),
        cmocka_unit_test(what_is_given_up_is_no_delivery),
        cmocka_unit_test(a_slow_line_has_a_little_under_way_all_the_same),
        cmocka_unit_test(records_are_small_where_one_would_hold_the_line_for_long),
        cmocka_unit_test(a_word_of_talk_waits_for_little_bulk),
        cmocka_unit_test(so_does_one_that_nobody_has_called_urgent),
        cmocka_unit_test(a_long_fat_line_is_filled),
        cmocka_unit_test(padding_takes_little_of_a_line),
    };

    return cmocka_run_group_tests_name("flight", tests, crypto_setup, crypto_teardown);
}
