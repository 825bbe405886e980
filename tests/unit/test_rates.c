/* What owners may move: never more than the rate, from the slowest to the highest, and in turns. */
#include "unit.h"

#include "rates.h"

enum { OWNERS = 31, START_MS = 5000 };

static struct cn_rates rates;
static cn_bucket all;

static int begin(void **state)
{
    (void)state;
    all = 0;
    if (cn_rates_init(&rates, OWNERS, &all) != CN_OK)
        return -1;
    rates.rate[0] = 100000;
    rates.rate[255] = 10;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_rates_wipe(&rates);
    return 0;
}

/* What is granted from that time to that, inclusive, to an owner who always asks for more. */
static uint64_t granted(uint32_t owner, uint8_t limits_class, uint64_t from_ms, uint64_t to_ms)
{
    uint64_t size = 0;

    while (from_ms <= to_ms) {
        struct cn_grant grant = cn_rates_ask(&rates, owner, limits_class, from_ms);

        assert_true(grant.size > 0);
        assert_true(grant.from_ms >= from_ms);
        from_ms = grant.from_ms;
        if (from_ms <= to_ms)
            size += grant.size;
    }
    return size;
}

static void a_grant_is_20_ms_of_the_rate(void **state)
{
    (void)state;
    assert_int_equal(cn_rates_ask(&rates, 0, 0, START_MS).size, 2000);
    rates.rate[0] = 1000000000;
    assert_int_equal(cn_rates_ask(&rates, 0, 0, START_MS).size, 20000000);
}

static void a_slow_one_is_not_in_crumbs_nor_of_more_than_a_quarter_second(void **state)
{
    (void)state;
    rates.rate[0] = 10000; /* 200 octets in 20 ms */
    assert_int_equal(cn_rates_ask(&rates, 0, 0, START_MS).size, 512);
    rates.rate[0] = 1000;
    assert_int_equal(cn_rates_ask(&rates, 0, 0, START_MS).size, 250);
    assert_int_equal(cn_rates_ask(&rates, 1, 255, START_MS).size, 2);
}

static void a_quarter_of_a_second_is_the_most_at_once(void **state)
{
    (void)state;
    for (uint64_t later_ms = 0; later_ms < 100000000; later_ms = 10 * later_ms + 1000)
        assert_in_range(granted(0, 0, START_MS + later_ms, START_MS + later_ms), 25000, 27000);
}

static void in_the_long_run_it_comes_to_the_rate(void **state)
{
    static const uint64_t rate[] = { 1, 10, 999, 51200, 100000, 123456789 };

    (void)state;
    for (size_t i = 0; i < COUNT(rate); i++) {
        uint64_t from_ms = START_MS + 1000000 * i;

        rates.rate[0] = rate[i];
        granted(0, 0, from_ms, from_ms); /* what it may move at once */
        assert_in_range(granted(0, 0, from_ms + 1, from_ms + 100000), rate[i] * 99 - 1,
                        rate[i] * 101 + 1);
    }
}

static void it_is_told_from_when_it_may(void **state)
{
    struct cn_grant one, other;

    (void)state;
    granted(0, 0, START_MS, START_MS);
    one = cn_rates_ask(&rates, 0, 0, START_MS);
    other = cn_rates_ask(&rates, 0, 0, START_MS);
    assert_in_range(one.size, 512, 2000);
    assert_in_range(other.from_ms, one.from_ms + one.size / 100, /* in turns */
                    one.from_ms + one.size / 100 + 1);
    assert_in_range(cn_rates_ask(&rates, 0, 0, START_MS + 1).from_ms,
                    one.from_ms + (one.size + other.size) / 100,
                    one.from_ms + (one.size + other.size) / 100 + 1);
}

static void each_owner_and_each_class_has_its_own(void **state)
{
    (void)state;
    granted(0, 0, START_MS, START_MS);
    assert_true(cn_rates_ask(&rates, 0, 0, START_MS).from_ms > START_MS);
    assert_int_equal(cn_rates_ask(&rates, 1, 0, START_MS).from_ms, START_MS);
    assert_int_equal(cn_rates_ask(&rates, 2, 255, START_MS).from_ms, START_MS);
    assert_true(cn_rates_limit(&rates, 0) && cn_rates_limit(&rates, 255));
    assert_false(cn_rates_limit(&rates, 7));
}

static void all_together_have_one_too(void **state)
{
    struct cn_grant grant[OWNERS] = { { 0 } };
    uint64_t size = 0;

    (void)state;
    rates.rate_all = 200000;
    assert_true(cn_rates_limit(&rates, 7));
    for (uint64_t ms = START_MS; ms <= START_MS + 10000; ms++) {
        for (uint32_t owner = 0; owner < OWNERS; owner++) {
            while (grant[owner].from_ms <= ms) {
                size += grant[owner].size;
                grant[owner] = cn_rates_ask(&rates, owner, 7, ms);
            }
        }
    }
    assert_in_range(size, 2000000, 2000000 + 50000 + 20000);
    /* nor does it let anybody have more than his own */
    assert_in_range(granted(0, 255, START_MS + 60000, START_MS + 70000), 100, 110);
}

/* Many who always ask for more, and one who says a word now and then. */
static void beside_many_a_word_waits_but_little(uint32_t owner_step)
{
    enum { WAYS = 30, SECONDS = 20 };
    struct cn_grant grant[WAYS] = { { 0 } }, word = { 0, START_MS };
    uint64_t size[WAYS] = { 0 }, sum = 0, said_ms = START_MS;

    for (uint64_t ms = START_MS; ms < START_MS + SECONDS * 1000; ms++) {
        for (uint32_t way = 0; way < WAYS; way++) {
            while (grant[way].from_ms <= ms) {
                sum += grant[way].size;
                if (ms >= START_MS + 1000) /* the first share what was not used before */
                    size[way] += grant[way].size;
                grant[way] = cn_rates_ask(&rates, way * owner_step, 0, ms);
            }
        }
        if (word.size > 0 && word.from_ms <= ms) {
            cn_rates_return(&rates, WAYS * owner_step, 0, word.size - 4);
            word.size = 0;
        } else if (word.size == 0 && ms >= said_ms + 7) {
            said_ms = ms;
            word = cn_rates_ask(&rates, WAYS * owner_step, 0, ms);
            assert_in_range(word.from_ms, ms, ms + (ms < START_MS + 1000 ? 90 : 70));
        }
    }
    assert_in_range(sum, SECONDS * 9900000, SECONDS * 10000000 + 2500000 + 200000);
    for (size_t way = 0; way < WAYS; way++) /* and they have as much, each of them */
        assert_in_range(size[way], sum / WAYS * 90 / 100, sum / WAYS);
}

static void beside_many_of_his_own_calls_a_word_waits_but_little(void **state)
{
    (void)state;
    rates.rate[0] = 10000000;
    beside_many_a_word_waits_but_little(0);
}

static void beside_many_calls_of_others_a_word_waits_but_little(void **state)
{
    (void)state;
    rates.rate[0] = 0;
    rates.rate_all = 10000000;
    beside_many_a_word_waits_but_little(1);
}

static void who_may_little_has_it_beside_many_who_may_much(void **state)
{
    enum { WAYS = 30, SECONDS = 20 };
    struct cn_grant grant[WAYS] = { { 0 } };
    uint64_t little = 0;

    (void)state;
    rates.rate[0] = 0;
    rates.rate[1] = 50000;
    rates.rate_all = 10000000;
    for (uint64_t ms = START_MS; ms < START_MS + SECONDS * 1000; ms++) {
        for (uint32_t way = 0; way < WAYS; way++) {
            while (grant[way].from_ms <= ms) {
                little += way == 0 ? grant[way].size : 0;
                grant[way] = cn_rates_ask(&rates, way, way == 0, ms);
            }
        }
    }
    assert_in_range(little, SECONDS * 15000, SECONDS * 50000 + 12500);
}

static void it_is_shared_by_who_has_the_same_bucket(void **state)
{
    struct cn_rates others = { 0 };

    (void)state;
    assert_err(cn_rates_init(&others, OWNERS, &all), CN_OK);
    rates.rate_all = others.rate_all = 200000;
    granted(0, 7, START_MS, START_MS);
    assert_true(cn_rates_ask(&others, 0, 7, START_MS).from_ms > START_MS);
    cn_rates_wipe(&others);
}

/* Each process that shares a bucket hears of another rate in its own time. */
static void of_all_nothing_is_owed_under_another_rate(void **state)
{
    enum { PROCESSES = 32 };
    uint64_t at_once = 0;

    (void)state;
    rates.rate_all = 100;
    for (int i = 0; i < 1000; i++)
        (void)cn_rates_ask(&rates, 0, 7, START_MS);
    for (int i = 0; i < PROCESSES; i++) {
        struct cn_grant grant = cn_rates_ask(&rates, 0, 7, START_MS); /* which waits for the old */

        cn_rates_forget_all(&rates, START_MS);
        assert_false(cn_rates_limit(&rates, 7));
        cn_rates_return(&rates, 0, 7, grant.size);
        rates.rate_all = 100000;
        at_once += granted(0, 7, START_MS, START_MS);
        rates.rate_all = i < PROCESSES - 1 ? 100 : 100000;
    }
    assert_in_range(at_once, 2000,
                    PROCESSES * 2000); /* not a quarter of a second's worth for each */
    assert_in_range(granted(0, 7, START_MS + 1, START_MS + 10000), 990000, 1002000);
    all = 1; /* what was not used stays what it is */
    cn_rates_forget_all(&rates, START_MS);
    assert_int_equal(all, 1);
}

static void the_highest_rate_does_not_overflow(void **state)
{
    const uint64_t late_ms = 1ULL << 50;
    struct cn_grant grant;

    (void)state;
    rates.rate[0] = rates.rate_all = 1000000000000; /* that cyphernetd.conf(5) allows */
    grant = cn_rates_ask(&rates, 0, 0, late_ms);
    assert_int_equal(grant.size, UINT32_MAX);
    assert_int_equal(grant.from_ms, late_ms);
    assert_in_range(granted(0, 0, late_ms, late_ms), 240000000000, 260000000000);
}

static void what_was_promised_can_be_returned_before_it_counts(void **state)
{
    struct cn_grant grant[1000];

    (void)state;
    rates.rate[0] = 1;
    rates.rate_all = 2;
    for (size_t i = 0; i < COUNT(grant); i++)
        grant[i] = cn_rates_ask(&rates, 0, 0, START_MS);
    assert_true(cn_rates_ask(&rates, 0, 0, START_MS).from_ms > START_MS + 900000);
    cn_rates_return(&rates, 0, 0, 1);
    for (size_t i = 0; i < COUNT(grant); i++)
        cn_rates_return(&rates, 0, 0, grant[i].size);
    assert_int_equal(cn_rates_ask(&rates, 0, 0, START_MS).from_ms, START_MS);
    cn_rates_return(&rates, 0, 0, 1);
    assert_int_equal(cn_rates_ask(&rates, 1, 7, START_MS).from_ms, START_MS); /* nor of all */
}

static void what_is_returned_is_there_for_others(void **state)
{
    struct cn_grant grant;

    (void)state;
    rates.rate_all = 200000;
    for (int i = 0; i < 1000; i++) { /* who says a word in each of many calls */
        grant = cn_rates_ask(&rates, 0, 0, START_MS);
        assert_int_equal(grant.from_ms, START_MS);
        cn_rates_return(&rates, 0, 0, grant.size - 1);
    }
    assert_in_range(granted(0, 0, START_MS, START_MS), 24000, 27000);
    cn_rates_return(&rates, 1, 0, 1000000); /* more than he had: his is full, and no more */
    assert_in_range(granted(1, 0, START_MS + 60000, START_MS + 60000), 25000, 27000);
}

static void wiping_is_fine_at_any_time(void **state)
{
    (void)state;
    cn_rates_wipe(&rates);
    cn_rates_wipe(&rates);
    cn_rates_wipe(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(a_grant_is_20_ms_of_the_rate),
        TEST(a_slow_one_is_not_in_crumbs_nor_of_more_than_a_quarter_second),
        TEST(a_quarter_of_a_second_is_the_most_at_once),
        TEST(in_the_long_run_it_comes_to_the_rate),
        TEST(it_is_told_from_when_it_may),
        TEST(each_owner_and_each_class_has_its_own),
        TEST(all_together_have_one_too),
        TEST(beside_many_of_his_own_calls_a_word_waits_but_little),
        TEST(beside_many_calls_of_others_a_word_waits_but_little),
        TEST(who_may_little_has_it_beside_many_who_may_much),
        TEST(it_is_shared_by_who_has_the_same_bucket),
        TEST(of_all_nothing_is_owed_under_another_rate),
        TEST(the_highest_rate_does_not_overflow),
        TEST(what_was_promised_can_be_returned_before_it_counts),
        TEST(what_is_returned_is_there_for_others),
        TEST(wiping_is_fine_at_any_time),
    };

    return cmocka_run_group_tests_name("rates", tests, crypto_setup, crypto_teardown);
}
