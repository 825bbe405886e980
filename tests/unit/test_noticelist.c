/* The gate finds what a subscriber is to be told, and nothing that is another's. */
#include "unit.h"

#include "noticelist.h"

static bool no_memory;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

static struct cn_held_notice held_of(uint8_t who, uint64_t number, uint64_t serial)
{
    struct cn_held_notice n = { .number = number, .serial = serial, .size = 3 };

    memset(n.admission_key, who, sizeof n.admission_key);
    memset(n.octets, who, n.size);
    return n;
}

static size_t pick(const struct cn_noticelist *list, uint8_t who, uint64_t serial, uint8_t *out)
{
    struct cn_certificate c = { .serial = serial };

    memset(c.admission_key, who, sizeof c.admission_key);
    return cn_noticelist_pick(list, &c, out);
}

static void an_empty_list_says_nothing(void **state)
{
    struct cn_noticelist list = { 0 };
    const struct cn_common_notice none = { 0 };
    uint8_t out[CN_NOTICE_SIZE_MAX];

    (void)state;
    assert_int_equal(pick(&list, 1, 1, out), 0);
    assert_err(cn_noticelist_set(&list, NULL, 0, &none), CN_OK);
    assert_int_equal(pick(&list, 1, 1, out), 0);
    cn_noticelist_wipe(&list);
    cn_noticelist_wipe(NULL);
}

static void each_gets_his_own_and_the_common_one_in_order(void **state)
{
    const struct cn_held_notice held[] = { held_of(9, 50, 1), held_of(3, 70, 2),
                                           held_of(200, 60, 3) };
    const struct cn_common_notice common = { .number = 60, .size = 2, .octets = { 'c', 'c' } };
    struct cn_noticelist list = { 0 };
    uint8_t out[CN_NOTICE_SIZE_MAX];

    (void)state;
    assert_err(cn_noticelist_set(&list, held, COUNT(held), &common), CN_OK);
    assert_int_equal(pick(&list, 9, 77, out), 5);
    assert_memory_equal(out,
                        "\x09\x09\x09"
                        "cc",
                        5);
    assert_int_equal(pick(&list, 3, 77, out), 5);
    assert_memory_equal(out, "cc\x03\x03\x03", 5);
    assert_int_equal(pick(&list, 4, 77, out), 2); /* a stranger */
    cn_noticelist_wipe(&list);
}

static void who_has_the_certificate_is_not_told_again(void **state)
{
    const struct cn_held_notice held[] = { held_of(9, 50, 11), held_of(3, 70, 0) };
    const struct cn_common_notice none = { 0 };
    struct cn_noticelist list = { 0 };
    uint8_t out[CN_NOTICE_SIZE_MAX];

    (void)state;
    assert_err(cn_noticelist_set(&list, held, COUNT(held), &none), CN_OK);
    assert_int_equal(pick(&list, 9, 11, out), 0);
    assert_int_equal(pick(&list, 9, 12, out), 3);
    assert_int_equal(pick(&list, 3, 0, out), 3); /* no certificate is in it */
    cn_noticelist_wipe(&list);
}

static void the_largest_two_fit(void **state)
{
    struct cn_held_notice held = held_of(1, 1, 1);
    struct cn_common_notice common = { .number = 2, .size = CN_NOTICE_COMMON_SIZE_MAX };
    struct cn_noticelist list = { 0 };
    uint8_t out[CN_NOTICE_SIZE_MAX];

    (void)state;
    held.size = CN_NOTICE_RENEWAL_SIZE;
    assert_err(cn_noticelist_set(&list, &held, 1, &common), CN_OK);
    assert_int_equal(pick(&list, 1, 2, out), CN_NOTICE_SIZE_MAX);
    cn_noticelist_wipe(&list);
}

static void without_memory_the_old_list_stays(void **state)
{
    const struct cn_held_notice held = held_of(1, 1, 1);
    const struct cn_common_notice none = { 0 };
    struct cn_noticelist list = { 0 };
    uint8_t out[CN_NOTICE_SIZE_MAX];

    (void)state;
    assert_err(cn_noticelist_set(&list, &held, 1, &none), CN_OK);
    no_memory = true;
    assert_err(cn_noticelist_set(&list, &held, 0, &none), CN_E_MEMORY);
    no_memory = false;
    assert_int_equal(pick(&list, 1, 2, out), 3);
    cn_noticelist_wipe(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_says_nothing),
        cmocka_unit_test(each_gets_his_own_and_the_common_one_in_order),
        cmocka_unit_test(who_has_the_certificate_is_not_told_again),
        cmocka_unit_test(the_largest_two_fit),
        cmocka_unit_test(without_memory_the_old_list_stays),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
