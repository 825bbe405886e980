/* One direction of a talk, as the agent understands it. */
#include "unit.h"

#include "overheard.h"

static const uint8_t talk[] = {
    1, 0, 0, 0, 2, 'h', 'i',                   /* LINE */
    1, 0, 0, 0, 0,                             /* LINE, empty */
    2, 0, 0, 0, 8, 0,   0,   0, 0, 0, 0, 0, 1, /* DELIVERED */
    4, 0, 0, 0, 1, 0,                          /* LEFT */
    3, 0, 0, 0, 8, 0,   0,   0, 0, 0, 0, 0, 1, /* READ */
    4, 0, 0, 0, 1, 1,                          /* LEFT, wanting the end */
};

static void it_is_the_same_in_any_pieces(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof talk; step++) {
        struct cn_overheard o = { 0 };

        for (size_t at = 0; at < sizeof talk; at += step)
            cn_overheard_take(&o, talk + at, at + step < sizeof talk ? step : sizeof talk - at);
        assert_int_equal(o.line_count, 2);
        assert_true(o.left && o.hung_up && !o.broken);
        assert_true(cn_overheard_may_end(&o));
    }
}

static void it_ends_between_messages_after_leaving(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof talk; size++) {
        struct cn_overheard o = { 0 };
        bool may = size == 31 || size == 44 || size == 50;

        cn_overheard_take(&o, talk, size);
        assert_int_equal(cn_overheard_may_end(&o), may);
        assert_int_equal(o.hung_up, size == 50);
    }
}

static void what_is_no_talk_is_broken(void **state)
{
    const uint8_t heads[][5] = { { 0, 0, 0, 0, 0 }, { 5, 0, 0, 0, 1 },  { 1, 0, 1, 0, 1 },
                                 { 2, 0, 0, 0, 7 }, { 3, 0, 0, 0, 9 },  { 4, 0, 0, 0, 0 },
                                 { 4, 0, 0, 0, 2 }, { 1, 255, 0, 0, 0 } };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct cn_overheard o = { .left = true };

        cn_overheard_take(&o, heads[i], sizeof heads[i]);
        assert_true(o.broken);
        assert_false(cn_overheard_may_end(&o));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_same_in_any_pieces),
        cmocka_unit_test(it_ends_between_messages_after_leaving),
        cmocka_unit_test(what_is_no_talk_is_broken),
    };

    return cmocka_run_group_tests_name("overheard", tests, crypto_setup, crypto_teardown);
}
