/* What is counted for subscribers, beside a model that only counts. */
#include "unit.h"

#include <stdlib.h>

#include "owners.h"
#include "seeded.h"

enum { OWNER_MAX = 5, MANY = 32, STEPS = 100000 };

static struct cn_owner memory[MANY];
static struct cn_owners owners;
static uint64_t seed;

static int begin_with(uint32_t count_max)
{
    memset(memory, 0, sizeof memory);
    return cn_owners_init(&owners, memory, count_max) == CN_OK ? 0 : -1;
}

static int begin(void **state)
{
    (void)state;
    seed = 1;
    return begin_with(OWNER_MAX);
}

static int end(void **state)
{
    (void)state;
    cn_owners_wipe(&owners);
    return 0;
}

static unsigned dice(unsigned sides)
{
    uint8_t bytes[2];

    seeded_fill(&seed, bytes, sizeof bytes);
    return (unsigned)(bytes[0] << 8 | bytes[1]) % sides;
}

/* Few of these differ in their low bits: they push each other along. */
static uint64_t who(uint8_t name)
{
    return (uint64_t)name << 8 | (name & 3);
}

static uint32_t take(uint8_t name)
{
    return cn_owners_take(&owners, who(name), name);
}

static void who_has_no_line_is_not_found(void **state)
{
    uint32_t first = take(1);

    (void)state;
    assert_int_equal(cn_owners_find(&owners, who(1)), first);
    assert_int_equal(cn_owners_find(&owners, who(2)), CN_OWNER_NONE);
    assert_int_equal(cn_owners_find(&owners, who(5)), CN_OWNER_NONE);
    cn_owners_give(&owners, first);
    assert_int_equal(cn_owners_find(&owners, who(1)), CN_OWNER_NONE);
}

static void no_more_owners_than_there_is_room_for(void **state)
{
    uint32_t taken[OWNER_MAX];

    (void)state;
    for (uint8_t i = 0; i < OWNER_MAX; i++)
        taken[i] = take(i);
    assert_int_equal(take(99), CN_OWNER_NONE);
    assert_int_equal(take(3), taken[3]); /* who is known needs no room */
    cn_owners_give(&owners, taken[3]);
    assert_int_equal(take(99), CN_OWNER_NONE);
    cn_owners_give(&owners, taken[3]);
    assert_int_equal(take(99), taken[3]);
    assert_int_equal(take(3), CN_OWNER_NONE);
}

static void a_new_owner_starts_from_nothing(void **state)
{
    uint32_t first = take(1);

    (void)state;
    owners.at[first].waiting = 7;
    owners.at[first].joined = 8;
    owners.at[first].tags = 9;
    cn_owners_give(&owners, first);
    assert_int_equal(take(2), first);
    assert_int_equal(owners.at[first].lines, 1);
    assert_int_equal(owners.at[first].waiting, 0);
    assert_int_equal(owners.at[first].joined, 0);
    assert_int_equal(owners.at[first].tags, 0);
    assert_int_equal(owners.at[first].serial, 2);
}

static void one_key_has_one_number(void **state)
{
    uint32_t a = take(1), b = take(2);

    (void)state;
    assert_int_not_equal(a, b);
    assert_int_equal(take(1), a);
    assert_int_equal(owners.at[a].lines, 2);
    cn_owners_give(&owners, b);
    assert_int_equal(take(1), a);
    assert_int_equal(owners.at[a].lines, 3);
}

static void owners_agree_with_a_model(void **state)
{
    uint32_t number[8], count[8] = { 0 };

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        uint8_t one = (uint8_t)dice(8);
        uint32_t known = 0;

        for (size_t k = 0; k < COUNT(count); k++)
            known += count[k] > 0;
        if (dice(2) && count[one] < 3) {
            uint32_t got = take(one);

            if (count[one] == 0 && known == OWNER_MAX) {
                assert_int_equal(got, CN_OWNER_NONE);
                continue;
            }
            if (count[one] > 0)
                assert_int_equal(got, number[one]);
            number[one] = got;
            count[one]++;
        } else if (count[one] > 0) {
            cn_owners_give(&owners, number[one]);
            count[one]--;
        }
        for (size_t k = 0; k < COUNT(count); k++) {
            if (count[k] == 0)
                continue;
            assert_int_equal(owners.at[number[k]].lines, count[k]);
            assert_int_equal(owners.at[number[k]].who, who((uint8_t)k));
        }
    }
}

/* With every slot hit by chance, the table, half full, must still find everybody. */
static void a_full_table_agrees_with_a_model(void **state)
{
    uint32_t number[MANY];

    (void)state;
    for (int round = 0; round < 200; round++) {
        cn_owners_wipe(&owners);
        assert_int_equal(begin_with(MANY), 0);
        for (uint8_t i = 0; i < MANY; i++)
            number[i] = take(i);
        for (uint8_t i = 0; i < MANY; i += 2)
            cn_owners_give(&owners, number[i]);
        for (uint8_t i = 1; i < MANY; i += 2)
            assert_int_equal(take(i), number[i]);
        for (uint8_t i = 0; i < MANY; i += 2)
            assert_int_not_equal(take(i), CN_OWNER_NONE);
        assert_int_equal(take(MANY), CN_OWNER_NONE);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_no_line_is_not_found),    TEST(no_more_owners_than_there_is_room_for),
        TEST(a_new_owner_starts_from_nothing), TEST(one_key_has_one_number),
        TEST(owners_agree_with_a_model),       TEST(a_full_table_agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
