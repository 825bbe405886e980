/* Names that are looked up on threads: with those that take long, and are not wanted any more. */
#include "unit.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "tunnel/resolver.h"

enum { LIMIT_MS = 60000 };

/* --- the system's resolver, which says nothing until it is told to --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;         /* nobody is answered */
static size_t asking;     /* threads that are in it */
static size_t asked;      /* times, in all */
static size_t live;       /* lookups that have been allocated, and not freed */
static void *known[4096]; /* which those are */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *block);
void __wrap_free(void *block);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    (void)host;
    pthread_mutex_lock(&mutex);
    asking++;
    asked++;
    pthread_cond_broadcast(&changed);
    while (held)
        pthread_cond_wait(&changed, &mutex);
    asking--;
    pthread_mutex_unlock(&mutex);
    return __real_getaddrinfo("127.0.0.1", port, hints, found);
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = __real_calloc(count, size);

    if (size != sizeof(struct cn_lookup) || !block)
        return block;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!known[i]) {
            known[i] = block;
            live++;
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

void __wrap_free(void *block)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; block && i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == block) {
            known[i] = NULL;
            live--;
            pthread_cond_broadcast(&changed);
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
    __real_free(block);
}

static void hold(bool wanted)
{
    pthread_mutex_lock(&mutex);
    held = wanted;
    asked = wanted ? 0 : asked;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* Until that many are. */
static void wait_for(const size_t *what, size_t count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIMIT_MS / 1000;
    pthread_mutex_lock(&mutex);
    while (*what != count)
        assert_int_equal(pthread_cond_timedwait(&changed, &mutex, &until), 0);
    pthread_mutex_unlock(&mutex);
}

static size_t now(const size_t *what)
{
    size_t count;

    pthread_mutex_lock(&mutex);
    count = *what;
    pthread_mutex_unlock(&mutex);
    return count;
}

/* --- asking --- */

static struct cn_lookup *ask(struct cn_resolver *r, void *user)
{
    return cn_resolver_ask(r, "slow.example", 80, SOCK_STREAM, user);
}

/* All threads have something to do that takes long. */
static void keep_busy(struct cn_resolver *r, struct cn_lookup *kept[CN_RESOLVER_THREAD_COUNT_MAX])
{
    for (size_t i = 0; i < CN_RESOLVER_THREAD_COUNT_MAX; i++) {
        kept[i] = ask(r, NULL);
        assert_non_null(kept[i]);
    }
    wait_for(&asking, CN_RESOLVER_THREAD_COUNT_MAX);
}

static struct cn_lookup *next(struct cn_resolver *r)
{
    struct pollfd p = { cn_resolver_descriptor(r), POLLIN, 0 };
    struct cn_lookup *lookup;

    while (!(lookup = cn_resolver_next(r)))
        assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
    return lookup;
}

static void test_names_are_handed_back(void **state)
{
    struct cn_resolver *r;
    int users[100];
    bool seen[100] = { false };

    (void)state;
    assert_int_equal(cn_resolver_create(&r), CN_OK);
    for (size_t i = 0; i < 100; i++)
        assert_non_null(ask(r, &users[i]));
    for (size_t i = 0; i < 100; i++) {
        struct cn_lookup *lookup = next(r);
        size_t number = (size_t)((int *)lookup->user - users);

        assert_false(seen[number]);
        seen[number] = true;
        assert_int_equal(lookup->found_count, 1);
        free(lookup);
    }
    assert_null(cn_resolver_next(r));
    cn_resolver_free(r);
}

static void test_what_is_cancelled_is_not_kept(void **state)
{
    struct cn_lookup *kept[CN_RESOLVER_THREAD_COUNT_MAX];
    struct cn_resolver *r;

    (void)state;
    hold(true);
    assert_int_equal(cn_resolver_create(&r), CN_OK);
    keep_busy(r, kept);
    for (size_t i = 0; i < 10000; i++) {
        struct cn_lookup *lookup = ask(r, NULL);

        assert_non_null(lookup);
        cn_resolver_cancel(r, lookup);
    }
    for (size_t i = 0; i < CN_RESOLVER_THREAD_COUNT_MAX; i++)
        cn_resolver_cancel(r, kept[i]);
    assert_int_equal(now(&live), CN_RESOLVER_THREAD_COUNT_MAX);
    hold(false);
    wait_for(&live, 0);
    assert_int_equal(now(&asked), CN_RESOLVER_THREAD_COUNT_MAX);
    assert_null(cn_resolver_next(r));
    cn_resolver_free(r);
}

/* From the middle, from both ends, and after it is done. */
static void test_what_is_cancelled_leaves_the_others(void **state)
{
    struct cn_lookup *kept[CN_RESOLVER_THREAD_COUNT_MAX], *asked_for[9];
    struct cn_resolver *r;
    size_t numbers[9], sum = 0;

    (void)state;
    hold(true);
    assert_int_equal(cn_resolver_create(&r), CN_OK);
    keep_busy(r, kept);
    for (size_t i = 0; i < 9; i++) {
        numbers[i] = i;
        asked_for[i] = ask(r, &numbers[i]);
        assert_non_null(asked_for[i]);
    }
    cn_resolver_cancel(r, asked_for[4]);
    cn_resolver_cancel(r, asked_for[0]);
    cn_resolver_cancel(r, asked_for[8]);
    cn_resolver_cancel(r, asked_for[3]);
    for (size_t i = 0; i < CN_RESOLVER_THREAD_COUNT_MAX; i++)
        cn_resolver_cancel(r, kept[i]);
    cn_resolver_cancel(r, NULL);
    hold(false);
    for (size_t i = 0; i < 4; i++) {
        struct cn_lookup *lookup = next(r);

        sum += *(size_t *)lookup->user;
        free(lookup);
        if (i == 0)
            wait_for(&asked, CN_RESOLVER_THREAD_COUNT_MAX + 5);
    }
    wait_for(&live, 1);
    for (size_t i = 1; i < 8; i++) { /* whichever is left of 1, 2, 5, 6 and 7 */
        if (i != 3 && i != 4 && sum + i == 1 + 2 + 5 + 6 + 7)
            cn_resolver_cancel(r, asked_for[i]);
    }
    wait_for(&live, 0);
    assert_null(cn_resolver_next(r));
    cn_resolver_free(r);
}

static void test_there_is_an_end_to_what_waits(void **state)
{
    static struct cn_lookup *waiting[CN_RESOLVER_ASKED_COUNT_MAX];
    struct cn_lookup *kept[CN_RESOLVER_THREAD_COUNT_MAX];
    struct cn_resolver *r;

    (void)state;
    hold(true);
    assert_int_equal(cn_resolver_create(&r), CN_OK);
    keep_busy(r, kept);
    for (size_t i = 0; i < CN_RESOLVER_ASKED_COUNT_MAX; i++) {
        waiting[i] = ask(r, NULL);
        assert_non_null(waiting[i]);
    }
    assert_null(ask(r, NULL));
    cn_resolver_cancel(r, waiting[1000]);
    waiting[1000] = ask(r, NULL);
    assert_non_null(waiting[1000]);
    assert_null(ask(r, NULL));
    cn_resolver_free(r); /* as one whose tunnel is over */
    hold(false);
    wait_for(&live, 0);
    assert_int_equal(now(&asked), CN_RESOLVER_THREAD_COUNT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_handed_back),
        cmocka_unit_test(test_what_is_cancelled_is_not_kept),
        cmocka_unit_test(test_what_is_cancelled_leaves_the_others),
        cmocka_unit_test(test_there_is_an_end_to_what_waits),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
