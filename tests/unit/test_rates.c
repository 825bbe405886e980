/* What owners may still move: never more than the rate, from the slowest to the highest. */
#include "unit.h"

#include "rates.h"

enum { OWNERS = 4, START_MS = 5000 };

static struct cn_rates rates;

static int begin(void **state)
{
    (void)state;
    if (cn_rates_init(&rates, OWNERS) != CN_OK)
        return -1;
    rates.rate[0] = 1000;
    rates.rate[255] = 10;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_rates_wipe(&rates);
    return 0;
}

static void who_has_spent_all_has_nothing_left(void **state)
{
    (void)state;
    cn_rates_spend(&rates, 0, 0, cn_rates_left(&rates, 0, 0, START_MS));
    assert_int_equal(cn_rates_left(&rates, 0, 0, START_MS), 0);
    cn_rates_spend(&rates, 0, 0, 1000000); /* more than it had is no debt */
    assert_int_equal(cn_rates_left(&rates, 0, 0, START_MS + 100), 100);
}

static void a_quarter_of_a_second_is_the_most_at_once(void **state)
{
    (void)state;
    for (uint64_t later_ms = 0; later_ms < 1000000; later_ms = 10 * later_ms + 1)
        assert_int_equal(cn_rates_left(&rates, 0, 0, START_MS + later_ms), 251); /* and an octet */
}

static void a_class_has_a_rate_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(cn_rates_left(&rates, 0, 255, START_MS), 3); /* and an octet */
    assert_int_equal(cn_rates_left(&rates, 1, 0, START_MS), 251);
    assert_true(cn_rates_left(&rates, 2, 7, START_MS) == SIZE_MAX);
}

static void in_small_steps_it_comes_to_the_rate(void **state)
{
    static const uint64_t steps_ms[] = { 1, 7, 20, 249 };

    (void)state;
    for (size_t i = 0; i < COUNT(steps_ms); i++) {
        uint64_t now_ms = START_MS + 1000000 * i, until_ms = now_ms + 100 * 1000;
        size_t moved = 0;

        cn_rates_spend(&rates, 0, 0, cn_rates_left(&rates, 0, 0, now_ms));
        while ((now_ms += steps_ms[i]) <= until_ms) {
            size_t left = cn_rates_left(&rates, 0, 0, now_ms);

            cn_rates_spend(&rates, 0, 0, left);
            moved += left;
        }
        assert_in_range(moved, 99700, 100001);
    }
}

static void each_owner_has_his_own(void **state)
{
    (void)state;
    cn_rates_spend(&rates, 1, 0, cn_rates_left(&rates, 1, 0, START_MS));
    assert_int_equal(cn_rates_left(&rates, 1, 0, START_MS), 0);
    assert_int_equal(cn_rates_left(&rates, 0, 0, START_MS), 251);
    assert_int_equal(cn_rates_left(&rates, 2, 0, START_MS), 251);
}

static void the_slowest_rate_is_an_octet_a_second(void **state)
{
    (void)state;
    rates.rate[0] = 1;
    cn_rates_spend(&rates, 0, 0, cn_rates_left(&rates, 0, 0, START_MS));
    for (uint64_t ms = START_MS; ms < START_MS + 3000; ms += 10)
        assert_int_equal(cn_rates_left(&rates, 0, 0, ms), ms < START_MS + 1000 ? 0 : 1);
}

static void the_highest_rate_does_not_overflow(void **state)
{
    (void)state;
    rates.rate[0] = 1000000000000; /* that cyphernetd.conf(5) allows */
    assert_int_equal(cn_rates_left(&rates, 0, 0, UINT64_MAX), 250000000001);
    cn_rates_spend(&rates, 0, 0, 250000000000);
    assert_int_equal(cn_rates_left(&rates, 0, 0, UINT64_MAX), 1);
}

static void without_a_limit_nothing_counts(void **state)
{
    (void)state;
    rates.rate[0] = 0;
    assert_true(cn_rates_left(&rates, 0, 0, START_MS) == SIZE_MAX);
    cn_rates_spend(&rates, 0, 0, SIZE_MAX / 2000);
    assert_true(cn_rates_left(&rates, 0, 0, START_MS) == SIZE_MAX);
    rates.rate[0] = 1000; /* and a limit that comes later begins anew */
    assert_int_equal(cn_rates_left(&rates, 0, 0, START_MS), 251);
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
        TEST(who_has_spent_all_has_nothing_left),
        TEST(a_quarter_of_a_second_is_the_most_at_once),
        TEST(in_small_steps_it_comes_to_the_rate),
        TEST(a_class_has_a_rate_of_its_own),
        TEST(each_owner_has_his_own),
        TEST(the_slowest_rate_is_an_octet_a_second),
        TEST(the_highest_rate_does_not_overflow),
        TEST(without_a_limit_nothing_counts),
        TEST(wiping_is_fine_at_any_time),
    };

    return cmocka_run_group_tests_name("rates", tests, crypto_setup, crypto_teardown);
}
