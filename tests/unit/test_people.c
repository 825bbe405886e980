/* What is counted for subscribers and addresses, beside models that only count. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "people.h"
#include "seeded.h"

enum { OWNER_MAX = 5, STEPS = 100000 };

static struct cn_people people;
static uint64_t seed;
static const struct cn_random seeded = { seeded_fill, &seed };

static int begin(void **state)
{
    (void)state;
    seed = 1;
    return cn_people_init(&people, OWNER_MAX, &seeded) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cn_people_wipe(&people);
    return 0;
}

static unsigned dice(unsigned sides)
{
    uint8_t bytes[2];

    seeded_fill(&seed, bytes, sizeof bytes);
    return (unsigned)(bytes[0] << 8 | bytes[1]) % sides;
}

static uint32_t take(uint8_t name)
{
    const uint8_t key[CN_X25519_SIZE] = { name };

    return cn_people_owner_take(&people, key, name);
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

    return cn_people_source_lines(&people, (const struct sockaddr *)&s);
}

static void come(const char *text)
{
    const struct sockaddr_storage s = address(text);

    cn_people_source_take(&people, (const struct sockaddr *)&s);
}

static void go(const char *text)
{
    const struct sockaddr_storage s = address(text);

    cn_people_source_give(&people, (const struct sockaddr *)&s);
}

/* --- owners ---------------------------------------------------------------------------------- */

static void no_more_owners_than_there_is_room_for(void **state)
{
    uint32_t taken[OWNER_MAX];

    (void)state;
    for (uint8_t i = 0; i < OWNER_MAX; i++)
        taken[i] = take(i);
    assert_int_equal(take(99), UINT32_MAX);
    assert_int_equal(take(3), taken[3]); /* who is known needs no room */
    cn_people_owner_give(&people, taken[3]);
    assert_int_equal(take(99), UINT32_MAX);
    cn_people_owner_give(&people, taken[3]);
    assert_int_equal(take(99), taken[3]);
    assert_int_equal(take(3), UINT32_MAX);
}

static void a_new_owner_starts_from_nothing(void **state)
{
    uint32_t first = take(1);

    (void)state;
    people.owners[first].waiting = 7;
    people.owners[first].joined = 8;
    people.owners[first].tags = 9;
    cn_people_owner_give(&people, first);
    assert_int_equal(take(2), first);
    assert_int_equal(people.owners[first].lines, 1);
    assert_int_equal(people.owners[first].waiting, 0);
    assert_int_equal(people.owners[first].joined, 0);
    assert_int_equal(people.owners[first].tags, 0);
    assert_int_equal(people.owners[first].serial, 2);
}

static void one_key_has_one_number(void **state)
{
    uint32_t a = take(1), b = take(2);

    (void)state;
    assert_int_not_equal(a, b);
    assert_int_equal(take(1), a);
    assert_int_equal(people.owners[a].lines, 2);
    cn_people_owner_give(&people, b);
    assert_int_equal(take(1), a);
    assert_int_equal(people.owners[a].lines, 3);
}

static void owners_agree_with_a_model(void **state)
{
    uint32_t number[8], count[8] = { 0 };

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        uint8_t who = (uint8_t)dice(8);
        uint32_t known = 0;

        for (size_t k = 0; k < COUNT(count); k++)
            known += count[k] > 0;
        if (dice(2) && count[who] < 3) {
            uint32_t got = take(who);

            if (count[who] == 0 && known == OWNER_MAX) {
                assert_int_equal(got, UINT32_MAX);
                continue;
            }
            if (count[who] > 0)
                assert_int_equal(got, number[who]);
            number[who] = got;
            count[who]++;
        } else if (count[who] > 0) {
            cn_people_owner_give(&people, number[who]);
            count[who]--;
        }
        for (size_t k = 0; k < COUNT(count); k++) {
            if (count[k] == 0)
                continue;
            assert_int_equal(people.owners[number[k]].lines, count[k]);
            assert_int_equal(people.owners[number[k]].admission_key[0], k);
        }
    }
}

/* --- sources --------------------------------------------------------------------------------- */

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
    for (int i = 0; i < STEPS / 5; i++) {
        size_t one = dice(COUNT(who));

        if (dice(2) && all < OWNER_MAX) {
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

/* With every slot hit by chance, and full as it gets, the tables must still find everybody. */
static void full_tables_agree_with_a_model(void **state)
{
    enum { MANY = 32 }; /* of 64 slots, the fullest that there is */
    uint32_t number[MANY];

    (void)state;
    for (int round = 0; round < 200; round++) {
        cn_people_wipe(&people);
        assert_err(cn_people_init(&people, MANY, &seeded), CN_OK);
        for (uint8_t i = 0; i < MANY; i++)
            number[i] = take(i);
        for (uint8_t i = 0; i < MANY; i += 2)
            cn_people_owner_give(&people, number[i]);
        for (uint8_t i = 1; i < MANY; i += 2)
            assert_int_equal(take(i), number[i]);
        for (uint8_t i = 0; i < MANY; i += 2)
            assert_int_not_equal(take(i), UINT32_MAX);
        assert_int_equal(take(MANY), UINT32_MAX);
    }
}

static void randomness_that_fails_is_told(void **state)
{
    const struct cn_random broken = { broken_fill, NULL };
    struct cn_people none;

    (void)state;
    assert_err(cn_people_init(&none, OWNER_MAX, &broken), CN_E_RANDOM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_owners_than_there_is_room_for),
        TEST(a_new_owner_starts_from_nothing),
        TEST(one_key_has_one_number),
        TEST(owners_agree_with_a_model),
        TEST(who_never_came_has_no_lines),
        TEST(an_ipv6_network_counts_as_one),
        TEST(an_ipv4_address_is_the_same_in_either_form),
        TEST(sources_agree_with_a_model),
        TEST(full_tables_agree_with_a_model),
        TEST(randomness_that_fails_is_told),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
