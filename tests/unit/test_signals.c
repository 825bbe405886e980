/* Signals that are waited for like anything else. */
#include "unit.h"

#include <signal.h>
#include <unistd.h>

#include "signals.h"

static void one_that_comes_is_taken_once(void **state)
{
    struct cn_signals s;

    (void)state;
    assert_true(cn_signals_catch(&s));
    assert_int_equal(cn_signals_take(&s), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(cn_signals_take(&s), SIGTERM);
    assert_int_equal(cn_signals_take(&s), 0);
    cn_signals_release(&s);
}

static void one_that_comes_too_late_does_not_end_the_program(void **state)
{
    struct cn_signals s;

    (void)state;
    assert_true(cn_signals_catch(&s));
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    cn_signals_release(&s);
}

static void what_was_ignored_stays_so(void **state)
{
    struct cn_signals s;

    (void)state;
    assert_true(signal(SIGHUP, SIG_IGN) != SIG_ERR);
    assert_true(cn_signals_catch(&s));
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(cn_signals_take(&s), 0);
    cn_signals_release(&s);
    assert_true(signal(SIGHUP, SIG_DFL) != SIG_ERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_comes_is_taken_once),
        cmocka_unit_test(one_that_comes_too_late_does_not_end_the_program),
        cmocka_unit_test(what_was_ignored_stays_so),
    };

    return cmocka_run_group_tests_name("signals", tests, crypto_setup, crypto_teardown);
}
