/* What is counted for addresses, beside a model that only counts; and what is remembered. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "seeded.h"
#include "sources.h"

enum { LINES_MAX = 5, STEPS = 20000 };

static struct cn_sources sources;
static uint64_t seed;
static const struct cn_random seeded = { seeded_fill, &seed };

static int begin(void **state)
{
    (void)state;
    seed = 1;
    return cn_sources_init(&sources, LINES_MAX, &seeded) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cn_sources_wipe(&sources);
    return 0;
}

static unsigned dice(unsigned sides)
{
    uint8_t bytes[2];

    seeded_fill(&seed, bytes, sizeof bytes);
    return (unsigned)(bytes[0] << 8 | bytes[1]) % sides;
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage s = { 0 };
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&s;
    struct sockaddr_in *four = (struct sockaddr_in *)&s;

    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1)
        six->sin6_family = AF_INET6;
    else if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
        four->sin_family = AF_INET;
    else
        fail_msg("no address: %s", text);
    six->sin6_port = (in_port_t)dice(65536); /* at the same place in both, and of no account */
    return s;
}

static uint32_t lines(const char *text)
{
    const struct sockaddr_storage s = address(text);

    return cn_sources_lines(&sources, (const struct sockaddr *)&s);
}

static void come(const char *text)
{
    const struct sockaddr_storage s = address(text);

    cn_sources_take(&sources, (const struct sockaddr *)&s);
}

static void go(const char *text)
{
    const struct sockaddr_storage s = address(text);

    cn_sources_give(&sources, (const struct sockaddr *)&s);
}

static void who_never_came_has_no_lines(void **state)
{
    (void)state;
    assert_int_equal(lines("192.0.2.1"), 0);
    assert_int_equal(lines("2001:db8::1"), 0);
    come("192.0.2.1");
    assert_int_equal(lines("192.0.2.2"), 0);
    assert_int_equal(lines("2001:db8::1"), 0);
    assert_int_equal(lines("c000:201::"), 0); /* the same first octets */
}

static void an_ipv6_network_counts_as_one(void **state)
{
    (void)state;
    come("2001:db8:0:1::1");
    come("2001:db8:0:1:ffff:ffff:ffff:ffff");
    assert_int_equal(lines("2001:db8:0:1:8000::"), 2);
    assert_int_equal(lines("2001:db8:0:2::1"), 0);
}

static void an_ipv4_address_is_the_same_in_either_form(void **state)
{
    (void)state;
    come("::ffff:192.0.2.1");
    come("192.0.2.1");
    assert_int_equal(lines("192.0.2.1"), 2);
    assert_int_equal(lines("::ffff:192.0.2.1"), 2);
    assert_int_equal(lines("::ffff:192.0.2.2"), 0);
    go("192.0.2.1");
    go("192.0.2.1");
    assert_int_equal(lines("::ffff:192.0.2.1"), 0);
}

static void sources_agree_with_a_model(void **state)
{
    static const char *const who[] = { "192.0.2.1",  "192.0.2.2",       "192.0.2.3",
                                       "2001:db8::", "2001:db8:0:1::7", "2001:db8:0:2::" };
    uint32_t count[COUNT(who)] = { 0 };
    uint32_t all = 0;

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        size_t one = dice(COUNT(who));

        if (dice(2) && all < LINES_MAX) {
            come(who[one]);
            count[one]++;
            all++;
        } else if (count[one] > 0) {
            go(who[one]);
            count[one]--;
            all--;
        }
        for (size_t k = 0; k < COUNT(who); k++)
            assert_int_equal(lines(who[k]), count[k]);
    }
}

static enum cn_standing standing(const char *text)
{
    const struct sockaddr_storage s = address(text);

    return cn_sources_standing(&sources, (const struct sockaddr *)&s);
}

static void learn(const char *text, enum cn_standing as)
{
    const struct sockaddr_storage s = address(text);

    cn_sources_learn(&sources, (const struct sockaddr *)&s, as);
}

static void an_address_has_the_standing_that_was_learnt_last(void **state)
{
    static const enum cn_standing learnt[] = { CN_STANDING_KNOWN,    CN_STANDING_SUSPECT,
                                               CN_STANDING_STRANGER, CN_STANDING_SUSPECT,
                                               CN_STANDING_KNOWN,    CN_STANDING_STRANGER };

    (void)state;
    assert_int_equal(standing("192.0.2.1"), CN_STANDING_STRANGER);
    for (size_t i = 0; i < COUNT(learnt); i++) {
        learn("192.0.2.1", learnt[i]);
        assert_int_equal(standing("::ffff:192.0.2.1"), learnt[i]);
        assert_int_equal(standing("c000:201::"), CN_STANDING_STRANGER);
    }
    learn("2001:db8:0:1::1", CN_STANDING_KNOWN);
    assert_int_equal(standing("2001:db8:0:1:ffff::"), CN_STANDING_KNOWN);
    assert_int_equal(standing("2001:db8:0:2::1"), CN_STANDING_STRANGER);
}

/* However many there are: they take each other's places, and nobody else's. */
static void suspects_do_not_make_others_forgotten(void **state)
{
    char text[INET6_ADDRSTRLEN];

    (void)state;
    learn("192.0.2.1", CN_STANDING_KNOWN);
    for (int i = 0; i < 10000; i++) {
        snprintf(text, sizeof text, "2001:db8:0:%x::", (unsigned)i);
        learn(text, CN_STANDING_SUSPECT);
        assert_int_equal(standing(text), CN_STANDING_SUSPECT);
    }
    assert_int_equal(standing("192.0.2.1"), CN_STANDING_KNOWN);
}

static void randomness_that_fails_is_told(void **state)
{
    const struct cn_random broken = { broken_fill, NULL };
    struct cn_sources none;

    (void)state;
    assert_err(cn_sources_init(&none, LINES_MAX, &broken), CN_E_RANDOM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_never_came_has_no_lines),
        TEST(an_ipv6_network_counts_as_one),
        TEST(an_ipv4_address_is_the_same_in_either_form),
        TEST(sources_agree_with_a_model),
        TEST(an_address_has_the_standing_that_was_learnt_last),
        TEST(suspects_do_not_make_others_forgotten),
        TEST(randomness_that_fails_is_told),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
