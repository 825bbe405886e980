/* Schedules: who goes first, and who gets how much. */
#include "unit.h"

#include "schedule.h"

enum { QUANTUM = 10000 };

static struct cn_schedule schedule;
static struct cn_turn turns[4];
static uint64_t said[4]; /* octets that each has sent */

static int begin(void **state)
{
    (void)state;
    cn_schedule_init(&schedule);
    memset(turns, 0, sizeof turns);
    memset(said, 0, sizeof said);
    for (size_t i = 0; i < COUNT(turns); i++)
        turns[i].priority = CN_PRIORITY_NORMAL;
    return 0;
}

static struct cn_turn *first(void)
{
    return cn_schedule_first(&schedule);
}

/* Whoever's turn it is says as much as it may, piece octets at the most; its number. */
static size_t say(uint64_t piece)
{
    struct cn_turn *turn = first();
    const size_t who = (size_t)(turn - turns);
    const uint64_t share = cn_schedule_share(&schedule, turn);
    const uint64_t size = piece < share ? piece : share;

    assert_non_null(turn);
    assert_true(share > 0);
    cn_schedule_sent(&schedule, turn, size, QUANTUM);
    said[who] += size;
    return who;
}

static void nobody_is_first_of_nobody(void **state)
{
    (void)state;
    assert_null(first());
    cn_schedule_remove(&turns[0]);
    cn_schedule_add(&schedule, &turns[0]);
    cn_schedule_add(&schedule, &turns[0]); /* once */
    assert_ptr_equal(first(), &turns[0]);
    assert_null(cn_schedule_next(&schedule, &turns[0]));
    cn_schedule_remove(&turns[0]);
    assert_null(first());
}

static void priority_comes_first(void **state)
{
    static const enum cn_stream_priority priorities[] = { CN_PRIORITY_BULK, CN_PRIORITY_NORMAL,
                                                          CN_PRIORITY_INTERACTIVE };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        cn_schedule_set_priority(&schedule, &turns[i], priorities[i]);
        cn_schedule_add(&schedule, &turns[i]);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(say(3000), 2);
    assert_ptr_equal(cn_schedule_next(&schedule, &turns[2]), &turns[1]);
    assert_ptr_equal(cn_schedule_next(&schedule, &turns[1]), &turns[0]);
    assert_null(cn_schedule_next(&schedule, &turns[0]));
    cn_schedule_emptied(&schedule, first());
    assert_int_equal(say(3000), 1);
    cn_schedule_set_priority(&schedule, &turns[0], CN_PRIORITY_INTERACTIVE); /* while it waits */
    assert_int_equal(say(3000), 0);
}

static void equals_share_by_octets_whatever_the_size_of_their_pieces(void **state)
{
    static const uint64_t pieces[] = { 65536, 1000, 10, 7777 };

    (void)state;
    for (size_t i = 0; i < COUNT(turns); i++)
        cn_schedule_add(&schedule, &turns[i]);
    for (int i = 0; i < 200000; i++)
        (void)say(pieces[first() - turns]);
    for (size_t i = 1; i < COUNT(turns); i++)
        assert_in_range(said[i], said[0] - 2 * QUANTUM, said[0] + 2 * QUANTUM);
}

static void who_is_alone_may_say_all_but_for_the_beginning(void **state)
{
    (void)state;
    cn_schedule_add(&schedule, &turns[0]);
    assert_true(cn_schedule_share(&schedule, first()) == CN_TURN_FRESH_SIZE);
    (void)say(UINT64_MAX);
    assert_true(cn_schedule_share(&schedule, first()) == UINT64_MAX);
    cn_schedule_add(&schedule, &turns[1]);
    (void)say(UINT64_MAX); /* of the other */
    assert_true(cn_schedule_share(&schedule, first()) == QUANTUM);
}

static void of_several_none_may_say_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cn_schedule_add(&schedule, &turns[i]);
        (void)say(CN_TURN_FRESH_SIZE); /* of each: both are busy */
    }
    for (size_t i = 0; i < 2; i++)
        assert_true(cn_schedule_share(&schedule, &turns[i]) == QUANTUM);
    cn_schedule_add(&schedule, &turns[2]);
    assert_true(cn_schedule_share(&schedule, &turns[2]) == CN_TURN_FRESH_SIZE);
}

static void who_has_said_all_where_nobody_else_is_has_no_turn(void **state)
{
    (void)state;
    cn_schedule_add(&schedule, &turns[0]);
    (void)say(100);
    cn_schedule_emptied(&schedule, first());
    assert_null(first());
}

static void who_was_quiet_goes_before_who_never_is(void **state)
{
    (void)state;
    cn_schedule_add(&schedule, &turns[0]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(say(65536), 0);
    for (int i = 0; i < 3; i++) {
        cn_schedule_add(&schedule, &turns[1]);
        assert_int_equal(say(100), 1);
        cn_schedule_emptied(&schedule, first()); /* behind turn 0, should it come again at once */
        cn_schedule_add(&schedule, &turns[1]);
        assert_int_equal(say(65536), 0);
        assert_ptr_equal(first(), &turns[1]);
        cn_schedule_emptied(&schedule, first()); /* now it is quiet again */
        assert_int_equal(say(65536), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_is_first_of_nobody, begin),
        cmocka_unit_test_setup(priority_comes_first, begin),
        cmocka_unit_test_setup(equals_share_by_octets_whatever_the_size_of_their_pieces, begin),
        cmocka_unit_test_setup(who_is_alone_may_say_all_but_for_the_beginning, begin),
        cmocka_unit_test_setup(of_several_none_may_say_all, begin),
        cmocka_unit_test_setup(who_has_said_all_where_nobody_else_is_has_no_turn, begin),
        cmocka_unit_test_setup(who_was_quiet_goes_before_who_never_is, begin),
    };

    return cmocka_run_group_tests_name("schedule", tests, crypto_setup, crypto_teardown);
}
