/* The event loop: timers beside a model that sorts, and events that must not be delivered. */
#include "unit.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"
#include "seeded.h"

enum { TIMERS = 24, STEPS = 100000 };

static struct cn_loop loop;
static struct cn_timer timers[TIMERS];
static int fired[TIMERS * 4];
static size_t fired_count;
static uint64_t seed;

static unsigned dice(unsigned sides)
{
    uint8_t bytes[2];

    seeded_fill(&seed, bytes, sizeof bytes);
    return (unsigned)(bytes[0] << 8 | bytes[1]) % sides;
}

static void note_fired(struct cn_timer *timer)
{
    assert_int_equal(timer->place, 0);
    if (fired_count < COUNT(fired))
        fired[fired_count] = (int)(timer - timers);
    fired_count++;
}

static int stop_after(void *context)
{
    (void)context;
    cn_loop_stop(&loop);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    seed = 1;
    fired_count = 0;
    for (size_t i = 0; i < TIMERS; i++)
        timers[i] = (struct cn_timer) { .fire = note_fired };
    if (cn_loop_init(&loop, TIMERS) != CN_OK)
        return -1;
    loop.after = stop_after;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_loop_wipe(&loop);
    return 0;
}

/* One turn. With a timer that is due, or the turn would wait. */
static void turn(void)
{
    loop.stopping = 0;
    assert_err(cn_loop_run(&loop), CN_OK);
}

/* --- timers ---------------------------------------------------------------------------------- */

static void a_timer_that_was_cleared_does_not_fire(void **state)
{
    (void)state;
    cn_loop_timer_clear(&loop, &timers[0]); /* never set */
    cn_loop_timer_set(&loop, &timers[0], 1);
    cn_loop_timer_set(&loop, &timers[1], 2);
    cn_loop_timer_clear(&loop, &timers[0]);
    cn_loop_timer_clear(&loop, &timers[0]);
    turn();
    assert_int_equal(fired_count, 1);
    assert_int_equal(fired[0], 1);
    assert_int_equal(loop.timer_count, 0);
}

static void a_timer_does_not_fire_before_its_time(void **state)
{
    uint64_t due = cn_loop_clock_ms() + 30;

    (void)state;
    cn_loop_timer_set(&loop, &timers[0], due);
    while (fired_count == 0)
        turn();
    assert_true(loop.now_ms >= due);
    assert_int_equal(fired_count, 1);
}

static void the_last_moment_of_all_is_far_away(void **state)
{
    (void)state;
    cn_loop_timer_set(&loop, &timers[0], UINT64_MAX);
    cn_loop_timer_set(&loop, &timers[1], 0);
    turn();
    assert_int_equal(fired_count, 1);
    assert_int_equal(fired[0], 1);
    assert_int_not_equal(timers[0].place, 0);
}

static void fire_and_set_again(struct cn_timer *timer)
{
    note_fired(timer);
    if (fired_count < 3)
        cn_loop_timer_set(&loop, timer, loop.now_ms);
}

static void a_timer_may_set_itself(void **state)
{
    (void)state;
    timers[0].fire = fire_and_set_again;
    cn_loop_timer_set(&loop, &timers[0], 1);
    turn();
    assert_int_equal(fired_count, 3);
}

static void fire_and_clear_next(struct cn_timer *timer)
{
    note_fired(timer);
    cn_loop_timer_clear(&loop, timer + 1);
}

static void a_timer_may_clear_another_that_is_due(void **state)
{
    (void)state;
    timers[0].fire = fire_and_clear_next;
    for (size_t i = 0; i < 3; i++)
        cn_loop_timer_set(&loop, &timers[i], i);
    turn();
    assert_int_equal(fired_count, 2);
    assert_int_equal(fired[1], 2);
}

static void check_heap(const uint64_t due[TIMERS])
{
    size_t count = 0;

    for (size_t i = 0; i < TIMERS; i++) {
        if (due[i] == 0) {
            assert_int_equal(timers[i].place, 0);
            continue;
        }
        count++;
        assert_ptr_equal(loop.heap[timers[i].place].timer, &timers[i]);
        assert_int_equal(loop.heap[timers[i].place].due_ms, due[i]);
        assert_int_equal(timers[i].due_ms, due[i]);
        if (timers[i].place > 1)
            assert_true(loop.heap[(timers[i].place - 2) / 4 + 1].due_ms <= due[i]);
    }
    assert_int_equal(loop.timer_count, count);
}

/* All due timers, soonest first; those of one moment in any order. */
static void check_fired(uint64_t due[TIMERS])
{
    size_t count = 0;
    uint64_t last = 0;

    for (size_t i = 0; i < TIMERS; i++)
        count += due[i] > 0 && due[i] <= loop.now_ms;
    assert_int_equal(fired_count, count);
    for (size_t i = 0; i < fired_count; i++) {
        assert_true(due[fired[i]] >= last);
        last = due[fired[i]];
        due[fired[i]] = 0;
    }
}

static void timers_agree_with_a_model(void **state)
{
    uint64_t due[TIMERS] = { 0 };
    uint64_t far = cn_loop_clock_ms() + 1000000000;

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        size_t one = dice(TIMERS);

        if (dice(3)) {
            due[one] = dice(8) ? far + dice(50) : 1 + dice(50);
            cn_loop_timer_set(&loop, &timers[one], due[one]);
        } else {
            due[one] = 0;
            cn_loop_timer_clear(&loop, &timers[one]);
        }
        check_heap(due);
        if (loop.timer_count == 0 || loop.heap[1].due_ms >= far || dice(20))
            continue;
        fired_count = 0;
        turn();
        check_fired(due);
        check_heap(due);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

struct bell {
    struct cn_watch watch; /* first */
    struct bell *removes;
    int rung;
};

static void rung(struct cn_watch *watch, uint32_t epoll_events)
{
    struct bell *b = (struct bell *)(void *)watch;

    assert_true(epoll_events & EPOLLIN);
    b->rung++;
    if (b->removes)
        cn_loop_remove(&loop, &b->removes->watch);
}

static struct bell bell(void)
{
    struct bell b = { .watch = { eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), rung } };

    assert_true(b.watch.fd >= 0);
    return b;
}

static void an_event_of_a_watch_removed_in_its_turn_is_not_delivered(void **state)
{
    struct bell a = bell(), b = bell();

    (void)state;
    a.removes = &b;
    b.removes = &a;
    assert_err(cn_loop_add(&loop, &a.watch, EPOLLIN), CN_OK);
    assert_err(cn_loop_add(&loop, &b.watch, EPOLLIN), CN_OK);
    turn();
    assert_int_equal(a.rung + b.rung, 1);
    close(a.watch.fd);
    close(b.watch.fd);
}

static void a_watch_without_a_descriptor_is_refused(void **state)
{
    struct cn_watch none = { -1, rung };

    (void)state;
    assert_err(cn_loop_add(&loop, &none, EPOLLIN), CN_E_SYSTEM);
    assert_int_equal(errno, EBADF);
    cn_loop_remove(&loop, &none);
}

static void what_is_not_wanted_any_more_is_not_delivered(void **state)
{
    struct bell a = bell();

    (void)state;
    assert_err(cn_loop_add(&loop, &a.watch, EPOLLIN), CN_OK);
    cn_loop_change(&loop, &a.watch, 0);
    cn_loop_timer_set(&loop, &timers[0], 0);
    turn();
    assert_int_equal(a.rung, 0);
    cn_loop_change(&loop, &a.watch, EPOLLIN);
    turn();
    assert_int_equal(a.rung, 1);
    close(a.watch.fd);
}

static int turns_left;

static int more_to_do(void *context)
{
    (void)context;
    if (--turns_left == 0)
        cn_loop_stop(&loop);
    return turns_left;
}

static void work_left_over_is_not_waited_for(void **state)
{
    (void)state;
    loop.after = more_to_do;
    cn_loop_timer_set(&loop, &timers[0], 0); /* ends the first wait; there is nothing to end more */
    turns_left = 3;
    turn();
    assert_int_equal(turns_left, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_timer_that_was_cleared_does_not_fire),
        TEST(a_timer_does_not_fire_before_its_time),
        TEST(the_last_moment_of_all_is_far_away),
        TEST(a_timer_may_set_itself),
        TEST(a_timer_may_clear_another_that_is_due),
        TEST(timers_agree_with_a_model),
        TEST(an_event_of_a_watch_removed_in_its_turn_is_not_delivered),
        TEST(a_watch_without_a_descriptor_is_refused),
        TEST(what_is_not_wanted_any_more_is_not_delivered),
        TEST(work_left_over_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
