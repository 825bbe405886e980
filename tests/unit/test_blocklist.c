/* The list of the blocked: who is found, and that a new list is taken whole or not at all. */
#include "unit.h"

#include "blocklist.h"

enum { MANY = 200 };

static struct cn_blocklist list;
static int malloc_fails_at; /* 0: never */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (malloc_fails_at > 0 && --malloc_fails_at == 0)
        return NULL;
    return __real_malloc(size);
}

static int begin(void **state)
{
    (void)state;
    list = (struct cn_blocklist) { 0 };
    malloc_fails_at = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_blocklist_wipe(&list);
    return 0;
}

static struct cn_blocked blocked(uint64_t serial, uint8_t key, enum cn_verdict reason)
{
    struct cn_blocked b = { .serial = serial, .reason = reason };

    fill(key, (uint8_t *)&b.who, sizeof b.who);
    return b;
}

/* Why the holder of this certificate is refused; ADMITTED: he is not. */
static enum cn_verdict reason_of(uint64_t serial, uint8_t key)
{
    const struct cn_blocked wanted = blocked(serial, key, CN_VERDICT_ADMITTED);
    const struct cn_blocked *found = cn_blocklist_find(&list, serial, wanted.who);

    return found ? found->reason : CN_VERDICT_ADMITTED;
}

static void take(const struct cn_blocked *all, size_t count)
{
    assert_err(cn_blocklist_set(&list, all, count), CN_OK);
}

static void on_an_empty_list_is_nobody(void **state)
{
    (void)state;
    assert_int_equal(reason_of(0, 0), CN_VERDICT_ADMITTED); /* never set */
    take(NULL, 0);
    assert_int_equal(reason_of(0, 0), CN_VERDICT_ADMITTED);
    assert_int_equal(reason_of(UINT64_MAX, 1), CN_VERDICT_ADMITTED);
}

static void who_differs_a_little_is_not_found(void **state)
{
    struct cn_blocked one = blocked(1000, 7, CN_VERDICT_REVOKED);

    (void)state;
    take(&one, 1);
    for (size_t bit = 0; bit < 8 * sizeof one.who; bit++) {
        struct cn_blocked other = one;

        other.who ^= 1ULL << bit;
        assert_null(cn_blocklist_find(&list, 999, other.who));
        assert_null(cn_blocklist_find(&list, 1001, other.who));
        assert_null(cn_blocklist_find(&list, 1000 | 1ULL << 63, other.who));
    }
}

static void memory_that_fails_leaves_the_list_as_it_was(void **state)
{
    struct cn_blocked old = blocked(1, 1, CN_VERDICT_REVOKED);
    struct cn_blocked new = blocked(2, 2, CN_VERDICT_REVOKED);

    (void)state;
    take(&old, 1);
    for (int at = 1; at <= 2; at++) {
        malloc_fails_at = at;
        assert_err(cn_blocklist_set(&list, &new, 1), CN_E_MEMORY);
        assert_int_equal(malloc_fails_at, 0);
        assert_int_equal(reason_of(1, 1), CN_VERDICT_REVOKED);
        assert_int_equal(reason_of(2, 2), CN_VERDICT_ADMITTED);
    }
}

static void a_certificate_is_found_whatever_key_it_shows(void **state)
{
    struct cn_blocked one = blocked(5, 1, CN_VERDICT_SUSPENDED);

    (void)state;
    take(&one, 1);
    assert_int_equal(reason_of(5, 200), CN_VERDICT_SUSPENDED);
}

static void a_key_is_found_under_a_serial_that_nobody_knows(void **state)
{
    struct cn_blocked one = blocked(5, 1, CN_VERDICT_REVOKED);

    (void)state;
    take(&one, 1);
    assert_int_equal(reason_of(0, 1), CN_VERDICT_REVOKED);
    assert_int_equal(reason_of(UINT64_MAX, 1), CN_VERDICT_REVOKED);
}

static void the_serial_says_more_than_the_key(void **state)
{
    const struct cn_blocked two[] = { blocked(5, 1, CN_VERDICT_SUSPENDED),
                                      blocked(6, 2, CN_VERDICT_REVOKED) };

    (void)state;
    take(two, 2);
    assert_int_equal(reason_of(5, 2), CN_VERDICT_SUSPENDED);
    assert_int_equal(reason_of(6, 1), CN_VERDICT_REVOKED);
}

static void all_certificates_of_one_key_are_found(void **state)
{
    struct cn_blocked renewed[5];

    (void)state;
    for (uint8_t i = 0; i < 5; i++)
        renewed[i] = blocked(10 + i, 1, CN_VERDICT_REVOKED);
    take(renewed, 5);
    for (uint64_t serial = 10; serial < 15; serial++)
        assert_int_equal(reason_of(serial, 99), CN_VERDICT_REVOKED);
    assert_int_equal(reason_of(15, 99), CN_VERDICT_ADMITTED);
    assert_int_equal(reason_of(15, 1), CN_VERDICT_REVOKED);
}

static void of_many_each_is_found_and_nobody_else(void **state)
{
    struct cn_blocked many[MANY];

    (void)state;
    for (uint8_t i = 0; i < MANY; i++) /* serials ascend, keys do as they like */
        many[i] = blocked(2ULL * i, i, i % 3 ? CN_VERDICT_REVOKED : CN_VERDICT_SUSPENDED);
    take(many, MANY);
    memset(many, 0, sizeof many); /* it was copied */
    for (uint8_t i = 0; i < MANY; i++) {
        enum cn_verdict reason = i % 3 ? CN_VERDICT_REVOKED : CN_VERDICT_SUSPENDED;

        assert_int_equal(reason_of(2ULL * i, 255), reason);
        assert_int_equal(reason_of(2ULL * i + 1, i), reason);
        assert_int_equal(reason_of(2ULL * i + 1, 255), CN_VERDICT_ADMITTED);
    }
}

static void a_new_list_takes_the_place_of_the_old(void **state)
{
    const struct cn_blocked old[] = { blocked(1, 1, CN_VERDICT_SUSPENDED),
                                      blocked(2, 2, CN_VERDICT_SUSPENDED) };
    struct cn_blocked new = blocked(2, 2, CN_VERDICT_REVOKED);

    (void)state;
    take(old, 2);
    take(&new, 1);
    assert_int_equal(reason_of(1, 1), CN_VERDICT_ADMITTED);
    assert_int_equal(reason_of(2, 2), CN_VERDICT_REVOKED);
    take(NULL, 0);
    assert_int_equal(reason_of(2, 2), CN_VERDICT_ADMITTED);
}

static void wiping_is_fine_at_any_time(void **state)
{
    struct cn_blocked one = blocked(1, 1, CN_VERDICT_REVOKED);

    (void)state;
    cn_blocklist_wipe(NULL);
    cn_blocklist_wipe(&list);
    take(&one, 1);
    cn_blocklist_wipe(&list);
    cn_blocklist_wipe(&list);
    assert_int_equal(reason_of(1, 1), CN_VERDICT_ADMITTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(on_an_empty_list_is_nobody),
        TEST(who_differs_a_little_is_not_found),
        TEST(memory_that_fails_leaves_the_list_as_it_was),
        TEST(a_certificate_is_found_whatever_key_it_shows),
        TEST(a_key_is_found_under_a_serial_that_nobody_knows),
        TEST(the_serial_says_more_than_the_key),
        TEST(all_certificates_of_one_key_are_found),
        TEST(of_many_each_is_found_and_nobody_else),
        TEST(a_new_list_takes_the_place_of_the_old),
        TEST(wiping_is_fine_at_any_time),
    };

    return cmocka_run_group_tests_name("blocklist", tests, crypto_setup, crypto_teardown);
}
