/* What the server tells of itself: nobody disappears from it unsaid. */
#include "unit.h"

#include <time.h>

#include "rig.h"
#include "status.h"

enum { EVERYBODY = RIG_LINES };

static struct rig rig;
static struct peer peers[EVERYBODY];
static char reply[8192];
static struct cn_status status;

static int begin(void **state)
{
    (void)state;
    rig_init(&rig, &crypto);
    rig_start(&rig);
    for (uint8_t i = 0; i < EVERYBODY; i++)
        peers[i] = peer_register(&rig, i, CN_MODE_INPUT, i);
    status = (struct cn_status) { .admitting = &rig.page };
    cn_status_add(&status, rig.page.page, true);
    cn_status_add(&status, rig.worker_page.page, true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVERYBODY; i++)
        peer_close(&peers[i]);
    rig_stop(&rig);
    return 0;
}

static unsigned occurrences(const char *text, const char *of)
{
    unsigned count = 0;

    for (; (text = strstr(text, of)) != NULL; text++)
        count++;
    return count;
}

static unsigned left_out(void)
{
    static const char name[] = "\"subscribers_left_out\":";
    const char *at = strstr(reply, name);

    assert_non_null(at);
    return (unsigned)strtoul(at + strlen(name), NULL, 10);
}

static void with_room_everybody_is_listed(void **state)
{
    (void)state;
    cn_status_write(&status, 5, reply, sizeof reply);
    assert_int_equal(occurrences(reply, "\"serial\":"), EVERYBODY);
    assert_int_equal(left_out(), 0);
    assert_non_null(strstr(reply, "\"uptime_s\":5,"));
    assert_non_null(strstr(reply, "\"waiting\":32,"));
}

static void who_does_not_fit_is_counted_whatever_the_size(void **state)
{
    unsigned fewest = EVERYBODY;

    (void)state;
    for (size_t size = CN_STATUS_SIZE_MIN; size < sizeof reply; size++) {
        unsigned listed;

        memset(reply, 'x', sizeof reply);
        cn_status_write(&status, UINT64_MAX, reply, size);
        assert_true(strlen(reply) < size);
        assert_int_equal(reply[strlen(reply) - 1], '}');
        assert_int_equal(reply[size], 'x');
        listed = occurrences(reply, "\"serial\":");
        assert_int_equal(listed + left_out(), EVERYBODY);
        if (listed < fewest)
            fewest = listed;
    }
    assert_true(fewest < EVERYBODY);
}

/* A page of count subscribers, each with a line and so many octets. */
static struct cn_page_map crowd(uint32_t count, uint64_t bytes)
{
    struct cn_page_map map;
    int fd;

    assert_err(cn_page_make(&fd, count), CN_OK);
    assert_err(cn_page_map(&map, fd, true), CN_OK);
    close(fd);
    map.page->owners_used = count;
    for (uint32_t i = 0; i < count; i++) /* in no order */
        map.page->owners[i] = (struct cn_owner) {
            .who = (uint64_t)i * 2654435761U % count, .serial = 1 + i, .lines = 1, .bytes = bytes
        };
    return map;
}

/* As many as there may be with calls on as many workers: the supervisor has no time for a look at
 * each worker's for each of them. */
static void what_many_send_is_added_up_in_time(void **state)
{
    enum { MANY = 20011, WORKERS = 64, ROOM = 65536 };
    static char large[ROOM];
    struct cn_page_map gate = crowd(MANY, 1), worker = crowd(MANY, 10);
    clock_t before = clock();

    (void)state;
    status = (struct cn_status) { .admitting = &gate };
    while (status.moving_count < WORKERS)
        status.moving[status.moving_count++] = &worker;
    cn_status_write(&status, 5, large, sizeof large);
    assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
    assert_in_range(occurrences(large, "\"serial\":"), 500, MANY);
    assert_int_equal(occurrences(large, "\"serial\":"), occurrences(large, "\"bytes\":641}"));
    cn_page_unmap(&gate);
    cn_page_unmap(&worker);
}

static void calls_end_with_their_worker_and_are_counted(void **state)
{
    struct cn_page page = { .calls = { .pairs = 3, .pairs_total = 12, .outcome = { 4, 5 } } };

    (void)state;
    status = (struct cn_status) { 0 };
    cn_status_add(&status, &page, true);
    assert_int_equal(status.calls.outcome[CN_SWITCH_BROKEN], 5);
    assert_int_equal(status.calls.pairs, 3);
    status = (struct cn_status) { 0 };
    cn_status_add(&status, &page, false);
    assert_int_equal(status.calls.outcome[CN_SWITCH_DONE], 4);
    assert_int_equal(status.calls.outcome[CN_SWITCH_BROKEN], 8);
    assert_int_equal(status.calls.pairs, 0);
    assert_int_equal(status.calls.pairs_total, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(with_room_everybody_is_listed),
        TEST(who_does_not_fit_is_counted_whatever_the_size),
        TEST(calls_end_with_their_worker_and_are_counted),
        TEST(what_many_send_is_added_up_in_time),
    };

    return cmocka_run_group_tests_name("status", tests, crypto_setup, crypto_teardown);
}
