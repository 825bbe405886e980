/* Buffers: octets by absolute offset across chunks, checked against a plain array; the pool ends.
 */
#include "unit.h"

#include "buffer.h"
#include "seeded.h"

enum {
    BIG = CN_CHUNK_SIZE_MAX,
    HEAD = sizeof(struct cn_chunk),
    SMALL = CN_CHUNK_SIZE_MIN - HEAD, /* octets in the smallest chunk */
    MODEL_SIZE = 8 * BIG,
    STEP_COUNT = 20000
};

/* Memory that is counted, and of which no more than `most` blocks are given out. */
struct counted {
    size_t out;
    size_t peak;
    size_t most;
};

static void *counted_take(void *context, size_t size)
{
    struct counted *c = context;

    if (c->out >= c->most)
        return NULL;
    c->out++;
    if (c->out > c->peak)
        c->peak = c->out;
    return malloc(size);
}

static void counted_give(void *context, void *block, size_t size)
{
    struct counted *c = context;

    (void)size;
    c->out--;
    free(block);
}

static struct counted counted;
static const struct cn_memory memory = { counted_take, counted_give, &counted };
static struct cn_pool pool;
static uint8_t model[MODEL_SIZE]; /* what the octet at each offset is */

static int begin(void **state)
{
    (void)state;
    counted = (struct counted) { .most = SIZE_MAX };
    cn_pool_init(&pool, &memory, 64 * BIG, 0);
    fill(4, model, sizeof model);
    return 0;
}

/* Whatever a test did, nothing is left. */
static int end(void **state)
{
    (void)state;
    if (pool.used_size != 0)
        return -1;
    cn_pool_wipe(&pool);
    return counted.out == 0 ? 0 : -1;
}

/* All that is held is what the model says. */
static void assert_holds(struct cn_buffer *b)
{
    uint64_t at = b->begin;

    while (at < b->end) {
        size_t size;
        const uint8_t *octets = cn_buffer_at(b, at, &size);

        assert_non_null(octets);
        assert_true(size > 0 && size <= b->end - at);
        assert_memory_equal(octets, model + at, size);
        at += size;
    }
}

/* No more chunks than the octets held can touch: all but the first and the last are whole. */
static void assert_tight(const struct cn_buffer *b)
{
    assert_true(pool.used_size <= cn_buffer_size(b) + 2 * BIG + MODEL_SIZE / SMALL * HEAD);
    if (b->begin < b->end) {
        assert_true(b->first->base + b->first->room > b->begin);
        assert_true(b->last->base <= b->end);
    }
}

static void an_exhausted_pool_takes_what_fits(void **state)
{
    struct cn_buffer b;
    size_t size;

    (void)state;
    cn_pool_init(&pool, &memory, 3 * CN_CHUNK_SIZE_MIN, 0); /* too little for the larger ones */
    cn_buffer_init(&b, &pool);
    assert_err(cn_buffer_append(&b, model, 4 * SMALL), CN_E_MEMORY);
    assert_int_equal(cn_buffer_size(&b), 3 * SMALL);
    assert_null(cn_buffer_reserve(&b, &size));
    assert_err(cn_buffer_append(&b, model, 1), CN_E_MEMORY);
    assert_err(cn_buffer_append(&b, model, 0), CN_OK);
    assert_holds(&b);
    cn_buffer_release(&b, SMALL - 1); /* the first chunk still holds one octet */
    assert_null(cn_buffer_reserve(&b, &size));
    cn_buffer_release(&b, SMALL);
    assert_non_null(cn_buffer_reserve(&b, &size));
    assert_int_equal(size, SMALL);
    assert_int_equal(counted.peak, 3); /* the chunk was used again */
    cn_buffer_wipe(&b);
}

static void memory_that_ends_is_no_disaster(void **state)
{
    struct cn_buffer b;
    size_t size;
    uint64_t held;

    (void)state;
    counted.most = 2;
    cn_buffer_init(&b, &pool);
    assert_err(cn_buffer_append(&b, model, BIG), CN_E_MEMORY);
    held = cn_buffer_size(&b);
    assert_in_range(held, 2 * SMALL, BIG - 1);
    assert_null(cn_buffer_reserve(&b, &size));
    assert_holds(&b);
    counted.most = 3;
    assert_err(cn_buffer_append(&b, model + b.end, BIG / 2), CN_OK);
    assert_int_equal(cn_buffer_size(&b), held + BIG / 2);
    assert_holds(&b);
    cn_buffer_wipe(&b);
}

static void a_stream_that_says_little_holds_little(void **state)
{
    struct cn_buffer b;

    (void)state;
    cn_buffer_init(&b, &pool);
    for (int i = 0; i < 1000; i++) {
        assert_err(cn_buffer_append(&b, model + b.end, 100), CN_OK);
        assert_int_equal(pool.used_size, CN_CHUNK_SIZE_MIN);
        cn_buffer_release(&b, b.end);
    }
    cn_buffer_wipe(&b);
}

static void chunks_grow_with_the_flow_and_shrink_after_it(void **state)
{
    struct cn_buffer b;
    size_t size;

    (void)state;
    cn_buffer_init(&b, &pool);
    assert_err(cn_buffer_append(&b, model, BIG), CN_OK);
    cn_buffer_release(&b, b.end);
    assert_non_null(cn_buffer_reserve(&b, &size));
    assert_int_equal(size, BIG - HEAD);
    for (int i = 0; i < CN_CHUNK_CLASS_COUNT; i++) {
        assert_err(cn_buffer_append(&b, model + b.end, 1), CN_OK);
        cn_buffer_release(&b, b.end);
    }
    assert_non_null(cn_buffer_reserve(&b, &size));
    assert_int_equal(size, SMALL);
    cn_buffer_wipe(&b);
}

static void buffers_of_a_pool_share_its_limit(void **state)
{
    struct cn_buffer one, other;

    (void)state;
    cn_pool_init(&pool, &memory, 2 * CN_CHUNK_SIZE_MIN, 0);
    cn_buffer_init(&one, &pool);
    cn_buffer_init(&other, &pool);
    assert_err(cn_buffer_append(&one, model, 1), CN_OK);
    assert_err(cn_buffer_append(&other, model, 1), CN_OK);
    assert_err(cn_buffer_append(&other, model + 1, SMALL), CN_E_MEMORY);
    cn_buffer_wipe(&one);
    assert_err(cn_buffer_append(&other, model + other.end, 1), CN_OK);
    assert_holds(&other);
    cn_buffer_wipe(&other);
}

static void the_last_of_a_pool_is_for_small_chunks(void **state)
{
    struct cn_buffer b;
    size_t size;

    (void)state;
    /* of the size that would leave less than that to the last but one of 64 KiB */
    cn_pool_init(&pool, &memory, 8 * BIG + 3 * CN_CHUNK_SIZE_MIN, 4 * CN_CHUNK_SIZE_MIN);
    cn_buffer_init(&b, &pool);
    while (pool.size_max - pool.used_size >= BIG)
        assert_err(cn_buffer_append(&b, model, SMALL), CN_OK);
    while (cn_buffer_reserve(&b, &size)) { /* to the last */
        assert_true(size < 32 * 1024 || pool.size_max - pool.used_size >= 4 * CN_CHUNK_SIZE_MIN);
        cn_buffer_commit(&b, size);
    }
    assert_true(pool.size_max - pool.used_size < CN_CHUNK_SIZE_MIN);
    cn_buffer_wipe(&b);
}

static void an_empty_buffer_holds_no_chunk(void **state)
{
    struct cn_buffer b;

    (void)state;
    cn_buffer_init(&b, &pool);
    assert_int_equal(pool.used_size, 0);
    for (size_t size = 1; b.end + size <= MODEL_SIZE; size += 30011) {
        uint64_t from = b.end;

        assert_err(cn_buffer_append(&b, model, size), CN_OK);
        cn_buffer_release(&b, b.end);
        assert_int_equal(pool.used_size, 0);
        assert_true(b.begin == from + size);
    }
    cn_buffer_wipe(&b);
}

static void octets_that_never_passed_are_skipped(void **state)
{
    struct cn_buffer b;

    (void)state;
    cn_buffer_init(&b, &pool);
    for (uint64_t at = 0; at < 3 * BIG; at += 7919) {
        cn_buffer_skip(&b, at);
        assert_true(b.begin == at && b.end == at);
        assert_err(cn_buffer_append(&b, model + at, 7000), CN_OK);
        assert_holds(&b);
        cn_buffer_release(&b, b.end);
        cn_buffer_skip(&b, b.end);
    }
    cn_buffer_wipe(&b);
}

static void offsets_beyond_32_bits_are_kept(void **state)
{
    static const uint64_t starts[] = { UINT32_MAX - 10ULL, 1ULL << 32, (1ULL << 40) + 12345,
                                       (1ULL << 63) - 5 };

    (void)state;
    for (size_t i = 0; i < COUNT(starts); i++) {
        struct cn_buffer b;
        size_t size;

        cn_buffer_init(&b, &pool);
        cn_buffer_skip(&b, starts[i]);
        assert_err(cn_buffer_append(&b, model, 2 * BIG), CN_OK);
        for (size_t at = 0; at < 2 * BIG; at += 997)
            assert_int_equal(*cn_buffer_at(&b, starts[i] + at, &size), model[at]);
        assert_null(cn_buffer_at(&b, b.end, &size));
        assert_int_equal(size, 0);
        cn_buffer_wipe(&b);
    }
}

static void what_was_reserved_counts_when_it_is_committed(void **state)
{
    struct cn_buffer b;
    size_t size, again;
    uint8_t *room;

    (void)state;
    cn_buffer_init(&b, &pool);
    room = cn_buffer_reserve(&b, &size);
    assert_int_equal(size, SMALL);
    assert_ptr_equal(cn_buffer_reserve(&b, &again), room); /* nothing committed: the same room */
    assert_int_equal(again, size);
    assert_int_equal(cn_buffer_size(&b), 0);
    memcpy(room, model, 100);
    cn_buffer_commit(&b, 100);
    assert_ptr_equal(cn_buffer_reserve(&b, &size), room + 100);
    assert_int_equal(size, SMALL - 100);
    memcpy(room + 100, model + 100, size);
    cn_buffer_commit(&b, size);
    assert_non_null(cn_buffer_reserve(&b, &size)); /* in the next chunk */
    assert_true(size > SMALL);
    assert_holds(&b);
    cn_buffer_wipe(&b);
    assert_int_equal(b.end, 0);
    cn_buffer_wipe(&b);
    cn_buffer_wipe(NULL);
}

/* One random thing done to a buffer. */
static void step(struct cn_buffer *b, uint32_t dice, uint32_t amount)
{
    size_t size;

    switch (dice % 5) {
    case 0: /* append, now and then much */
    case 1:
        size = amount % (dice % 7 == 0 ? 3 * BIG : 5000);
        if (size > MODEL_SIZE - b->end)
            size = (size_t)(MODEL_SIZE - b->end);
        assert_err(cn_buffer_append(b, model + b->end, size), CN_OK);
        break;
    case 2: { /* reserve and commit a part */
        uint8_t *room = cn_buffer_reserve(b, &size);

        assert_non_null(room);
        assert_true(size > 0);
        size = size < MODEL_SIZE - b->end ? amount % (size + 1) : 0;
        memcpy(room, model + b->end, size);
        cn_buffer_commit(b, size);
        break;
    }
    case 3: /* release, up to all */
        size = (size_t)cn_buffer_size(b);
        cn_buffer_release(b, b->begin + (dice % 11 == 0 ? size : amount % (size / 2 + 1)));
        break;
    default: /* look somewhere, or skip */
        if (cn_buffer_size(b) == 0 && !b->first) {
            if (b->end + 10000 < MODEL_SIZE)
                cn_buffer_skip(b, b->end + amount % 10000);
        } else if (cn_buffer_size(b) > 0) {
            uint64_t at = b->begin + amount % cn_buffer_size(b);
            const uint8_t *octets = cn_buffer_at(b, at, &size);

            assert_memory_equal(octets, model + at, size);
        }
    }
}

static void random_operations_agree_with_a_plain_array(void **state)
{
    uint64_t random_state = 77;
    struct cn_buffer b;

    (void)state;
    cn_buffer_init(&b, &pool);
    for (unsigned i = 0; i < STEP_COUNT; i++) {
        uint32_t draw[2];

        (void)seeded_fill(&random_state, (uint8_t *)draw, sizeof draw);
        if (MODEL_SIZE - b.end < 4096) /* the model is at its end: begin again */
            cn_buffer_wipe(&b);
        step(&b, draw[0], draw[1]);
        assert_tight(&b);
        if (i % 16 == 0)
            assert_holds(&b);
    }
    assert_holds(&b);
    cn_buffer_wipe(&b);
}

static void a_pool_keeps_few_idle_chunks(void **state)
{
    struct cn_buffer b;

    (void)state;
    cn_buffer_init(&b, &pool);
    while (pool.used_size < 24 * BIG)
        assert_err(cn_buffer_append(&b, model, MODEL_SIZE), CN_OK);
    cn_buffer_wipe(&b);
    assert_int_equal(pool.used_size, 0);
    assert_in_range(pool.idle_size, 15 * BIG, 16 * BIG);
    assert_true(counted.out > 0 && counted.out < 24);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_exhausted_pool_takes_what_fits),
        TEST(memory_that_ends_is_no_disaster),
        TEST(a_stream_that_says_little_holds_little),
        TEST(chunks_grow_with_the_flow_and_shrink_after_it),
        TEST(buffers_of_a_pool_share_its_limit),
        TEST(the_last_of_a_pool_is_for_small_chunks),
        TEST(an_empty_buffer_holds_no_chunk),
        TEST(octets_that_never_passed_are_skipped),
        TEST(offsets_beyond_32_bits_are_kept),
        TEST(what_was_reserved_counts_when_it_is_committed),
        TEST(random_operations_agree_with_a_plain_array),
        TEST(a_pool_keeps_few_idle_chunks),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
