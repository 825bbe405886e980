/* The switch's scheduling policy: SCHED_BATCH while it moves nothing but bulk. */
#include "unit.h"

#include <sched.h>

#include "pace.h"

enum { START_MS = 5000, BULK = CN_PACE_BULK_SIZE };

static struct cn_pace pace;
static uint64_t one_ms, other_ms; /* two pairs */

static int begin(void **state)
{
    const struct sched_param none = { 0 };

    (void)state;
    pace = (struct cn_pace) { 0 };
    one_ms = other_ms = 0;
    return sched_setscheduler(0, SCHED_OTHER, &none);
}

static int policy_at(uint64_t now_ms)
{
    cn_pace_tell(&pace, now_ms);
    return sched_getscheduler(0);
}

static void idle_it_is_like_any_other(void **state)
{
    (void)state;
    assert_int_equal(policy_at(0), SCHED_OTHER);
    assert_int_equal(policy_at(START_MS), SCHED_OTHER);
}

static void bulk_alone_is_batch_until_it_is_long_past(void **state)
{
    (void)state;
    cn_pace_moved(&pace, &one_ms, BULK, START_MS);
    assert_int_equal(policy_at(START_MS), SCHED_BATCH);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS - 1), SCHED_BATCH);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS), SCHED_OTHER);
}

static void what_answers_bulk_is_no_conversation(void **state)
{
    (void)state;
    cn_pace_moved(&pace, &one_ms, BULK, START_MS);
    cn_pace_moved(&pace, &one_ms, 64, START_MS + CN_PACE_MS - 1);
    cn_pace_moved(&pace, &other_ms, 0, START_MS + CN_PACE_MS - 1); /* an end, say */
    assert_int_equal(policy_at(START_MS + CN_PACE_MS - 1), SCHED_BATCH);
}

static void a_conversation_ends_it_at_once(void **state)
{
    (void)state;
    cn_pace_moved(&pace, &one_ms, BULK, START_MS);
    assert_int_equal(policy_at(START_MS), SCHED_BATCH);
    cn_pace_moved(&pace, &other_ms, 1, START_MS + 1);
    assert_int_equal(policy_at(START_MS + 1), SCHED_OTHER);
    cn_pace_moved(&pace, &one_ms, BULK, START_MS + CN_PACE_MS);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS), SCHED_OTHER);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS + 1), SCHED_BATCH);
}

static void a_bulk_line_that_turns_to_talk_ends_it(void **state)
{
    (void)state;
    cn_pace_moved(&pace, &one_ms, BULK, START_MS);
    cn_pace_moved(&pace, &other_ms, BULK, START_MS + CN_PACE_MS);
    cn_pace_moved(&pace, &one_ms, BULK - 1, START_MS + CN_PACE_MS);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS), SCHED_OTHER);
}

static void a_policy_that_somebody_else_chose_stays(void **state)
{
    const struct sched_param none = { 0 };

    (void)state;
    assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
    cn_pace_moved(&pace, &one_ms, BULK, START_MS);
    assert_int_equal(policy_at(START_MS), SCHED_BATCH);
    assert_int_equal(policy_at(START_MS + CN_PACE_MS), SCHED_BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(idle_it_is_like_any_other, begin),
        cmocka_unit_test_setup(bulk_alone_is_batch_until_it_is_long_past, begin),
        cmocka_unit_test_setup(what_answers_bulk_is_no_conversation, begin),
        cmocka_unit_test_setup(a_conversation_ends_it_at_once, begin),
        cmocka_unit_test_setup(a_bulk_line_that_turns_to_talk_ends_it, begin),
        cmocka_unit_test_setup(a_policy_that_somebody_else_chose_stays, begin),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
