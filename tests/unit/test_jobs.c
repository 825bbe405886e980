/* Jobs: each is done just once and told of; stopping waits for what has begun, and begins nothing.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>

#include "jobs.h"

enum { JOB_COUNT = 500, LIMIT_MS = 60000 };

struct work {
    struct cn_job job;
    atomic_int runs;
};

static struct work works[JOB_COUNT];
static atomic_int held;       /* jobs wait until it is 0 */
static int threads_left = -1; /* so many can still be made; -1: any number */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context)
{
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return __real_pthread_create(thread, attributes, start, context);
}

static void work(struct cn_job *job)
{
    struct work *w = (struct work *)job;

    while (atomic_load(&held))
        sched_yield();
    atomic_fetch_add(&w->runs, 1);
}

static int setup(void **state)
{
    (void)state;
    memset(works, 0, sizeof works);
    for (size_t i = 0; i < JOB_COUNT; i++)
        works[i].job.run = work;
    atomic_store(&held, 0);
    threads_left = -1;
    return 0;
}

static void wait_for(struct cn_jobs *jobs, const struct cn_job *job)
{
    while (!job->is_done) {
        struct pollfd p = { cn_jobs_descriptor(jobs), POLLIN, 0 };

        assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
        cn_jobs_reap(jobs);
    }
}

static void each_is_done_just_once(void **state)
{
    struct cn_jobs *jobs = NULL;

    (void)state;
    assert_int_equal(cn_jobs_start(&jobs, 4), CN_OK);
    for (size_t i = 0; i < JOB_COUNT; i++)
        cn_jobs_submit(jobs, &works[i].job);
    for (size_t i = 0; i < JOB_COUNT; i++)
        wait_for(jobs, &works[i].job);
    for (size_t i = 0; i < JOB_COUNT; i++)
        assert_int_equal(atomic_load(&works[i].runs), 1);
    cn_jobs_stop(jobs);
}

static void nothing_is_told_before_it_is_done(void **state)
{
    struct cn_jobs *jobs = NULL;
    struct pollfd p;

    (void)state;
    atomic_store(&held, 1);
    assert_int_equal(cn_jobs_start(&jobs, 1), CN_OK);
    cn_jobs_submit(jobs, &works[0].job);
    p = (struct pollfd) { cn_jobs_descriptor(jobs), POLLIN, 0 };
    assert_int_equal(poll(&p, 1, 0), 0);
    cn_jobs_reap(jobs);
    assert_false(works[0].job.is_done);
    atomic_store(&held, 0);
    wait_for(jobs, &works[0].job);
    assert_int_equal(poll(&p, 1, 0), 0); /* told once */
    cn_jobs_submit(jobs, &works[0].job); /* and may be given again */
    wait_for(jobs, &works[0].job);
    assert_int_equal(atomic_load(&works[0].runs), 2);
    cn_jobs_stop(jobs);
}

static void stopping_begins_nothing_more(void **state)
{
    struct cn_jobs *jobs = NULL;
    int runs = 0;

    (void)state;
    cn_jobs_stop(NULL);
    assert_int_equal(cn_jobs_start(&jobs, 2), CN_OK);
    for (size_t i = 0; i < JOB_COUNT; i++)
        cn_jobs_submit(jobs, &works[i].job);
    cn_jobs_stop(jobs);
    for (size_t i = 0; i < JOB_COUNT; i++) {
        assert_true(atomic_load(&works[i].runs) <= 1);
        runs += atomic_load(&works[i].runs);
    }
    assert_true(runs <= JOB_COUNT);
}

static void one_thread_is_enough_and_none_is_not(void **state)
{
    struct cn_jobs *jobs = NULL;

    (void)state;
    threads_left = 1;
    assert_int_equal(cn_jobs_start(&jobs, 4), CN_OK);
    cn_jobs_submit(jobs, &works[0].job);
    wait_for(jobs, &works[0].job);
    cn_jobs_stop(jobs);
    jobs = NULL;
    assert_int_equal(cn_jobs_start(&jobs, 4), CN_E_SYSTEM);
    assert_int_equal(errno, EAGAIN);
    assert_null(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_is_done_just_once, setup),
        cmocka_unit_test_setup(nothing_is_told_before_it_is_done, setup),
        cmocka_unit_test_setup(stopping_begins_nothing_more, setup),
        cmocka_unit_test_setup(one_thread_is_enough_and_none_is_not, setup),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
