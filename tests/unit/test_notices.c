/* The registry keeps notices and what an operator elsewhere sent, whole, and never goes back. */
#include "unit.h"

#include <sqlite3.h>
#include <unistd.h>

#include "keyfile.h"
#include "notices.h"
#include "registry.h"

static char dir[64];
static char path[128];
static struct cn_registry *registry;

static int begin(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_notices.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/%s", dir, CN_REGISTRY_FILE);
    return cn_registry_open(&registry, dir, true) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    static const char *const tails[] = { "", "-wal", "-shm" };

    (void)state;
    cn_registry_close(registry);
    for (size_t i = 0; i < COUNT(tails); i++) {
        char name[160];

        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
    return rmdir(dir);
}

static struct cn_held_notice held_of(uint8_t who, uint64_t number)
{
    struct cn_held_notice n = { .number = number, .serial = who, .size = CN_NOTICE_RENEWAL_SIZE };

    memset(n.admission_key, who, sizeof n.admission_key);
    fill(who, n.octets, n.size);
    return n;
}

static struct cn_subscriber subscriber_of(uint8_t who, const char *label)
{
    struct cn_subscriber s = { .created_at = 1, .changed_at = 1, .issued_at = 1 };

    snprintf(s.label, sizeof s.label, "%s", label);
    s.certificate.serial = who;
    s.certificate.not_after = 9;
    memset(s.certificate.admission_key, who, sizeof s.certificate.admission_key);
    return s;
}

/* How many are held, and whose is the first. */
static size_t count_held(uint8_t *first)
{
    struct cn_held_notice *held = NULL;
    struct cn_common_notice common;
    size_t count = 0;

    assert_err(cn_notices_read(registry, &held, &count, &common), CN_OK);
    *first = count > 0 ? held[0].admission_key[0] : 0;
    free(held);
    return count;
}

static void numbers_rise_whatever_the_clock_does(void **state)
{
    uint64_t number = 99;

    (void)state;
    assert_err(cn_notices_number(registry, &number), CN_OK);
    assert_int_equal(number, 0);
    assert_err(cn_notices_number_next(registry, 1000, &number), CN_OK);
    assert_int_equal(number, 1000);
    assert_err(cn_notices_number_next(registry, 1000, &number), CN_OK);
    assert_int_equal(number, 1001);
    assert_err(cn_notices_number_next(registry, 5, &number), CN_OK);
    assert_int_equal(number, 1002);
    assert_err(cn_notices_number(registry, &number), CN_OK);
    assert_int_equal(number, 1002);
}

static void the_newest_of_each_comes_back(void **state)
{
    const struct cn_held_notice first = held_of(7, 10);
    const struct cn_held_notice newer = held_of(7, 12);
    const struct cn_held_notice other = held_of(3, 11);
    struct cn_held_notice *held = NULL;
    struct cn_common_notice common;
    size_t count = 0;

    (void)state;
    assert_err(cn_notices_hold(registry, &first), CN_OK);
    assert_err(cn_notices_hold(registry, &other), CN_OK);
    assert_err(cn_notices_hold(registry, &newer), CN_OK);
    assert_err(cn_notices_read(registry, &held, &count, &common), CN_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(held[0].octets, other.octets, sizeof other.octets);
    assert_int_equal(held[1].number, 12);
    assert_int_equal(held[1].serial, 7);
    assert_int_equal(held[1].size, CN_NOTICE_RENEWAL_SIZE);
    assert_int_equal(common.size, 0);
    free(held);
}

/* All but those put first; and the one that is renewed once more is the newest. */
static void of_too_many_the_newest_come_back_in_order(void **state)
{
    enum { MANY = CN_NOTICE_COUNT_MAX + 3 };
    struct cn_held_notice n = held_of(0, 0), *held = NULL;
    struct cn_common_notice common;
    size_t count = 0;

    (void)state;
    assert_err(cn_registry_begin(registry), CN_OK);
    for (uint32_t i = 0; i <= MANY; i++) {
        uint32_t who = 1 + i % MANY;

        n.number = 1 + i;
        memcpy(n.admission_key, &who, sizeof who);
        assert_err(cn_notices_hold(registry, &n), CN_OK);
    }
    assert_err(cn_registry_commit(registry), CN_OK);
    assert_err(cn_notices_read(registry, &held, &count, &common), CN_OK);
    assert_int_equal(count, CN_NOTICE_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(held[i].number > 4);
        assert_true(i == 0 || memcmp(held[i - 1].admission_key, held[i].admission_key,
                                     sizeof held[i].admission_key) < 0);
    }
    free(held);
}

static void the_common_one_is_kept_apart(void **state)
{
    struct cn_common_notice move = { .number = 20, .size = CN_NOTICE_COMMON_SIZE_MAX };
    struct cn_common_notice common;
    struct cn_held_notice *held = NULL;
    size_t count = 99;

    (void)state;
    fill(4, move.octets, move.size);
    assert_err(cn_notices_hold_common(registry, &move), CN_OK);
    assert_err(cn_notices_read(registry, &held, &count, &common), CN_OK);
    assert_int_equal(count, 0);
    assert_int_equal(common.number, 20);
    assert_int_equal(common.size, CN_NOTICE_COMMON_SIZE_MAX);
    assert_memory_equal(common.octets, move.octets, move.size);
    move.size = 0;
    assert_err(cn_notices_hold_common(registry, &move), CN_OK);
    assert_err(cn_notices_read(registry, &held, &count, &common), CN_OK);
    assert_int_equal(common.size, 0);
    free(held);
}

static void who_is_blocked_is_told_nothing(void **state)
{
    const struct cn_held_notice notice = held_of(7, 10);
    struct cn_subscriber s = subscriber_of(7, "alice");
    uint8_t first;

    (void)state;
    assert_err(cn_registry_add(registry, &s), CN_OK);
    assert_err(cn_notices_hold(registry, &notice), CN_OK);
    assert_int_equal(count_held(&first), 1);
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_SUSPENDED, 2), CN_OK);
    assert_int_equal(count_held(&first), 0);
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_ACTIVE, 3), CN_OK);
    assert_int_equal(count_held(&first), 1);
}

static void a_notice_larger_than_any_is_no_notice(void **state)
{
    sqlite3 *db;
    struct cn_held_notice *held = NULL;
    struct cn_common_notice common;
    size_t count = 0;

    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO notice VALUES (randomblob(32), 1, 1, zeroblob(769))",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_err(cn_notices_read(registry, &held, &count, &common), CN_E_FORMAT);
    assert_null(held);
}

static void what_is_imported_replaces_what_was(void **state)
{
    struct cn_blocked blocked[] = {
        { .serial = 5, .admission_key = { 5 }, .reason = CN_VERDICT_REVOKED },
        { .serial = 6, .admission_key = { 6 }, .reason = CN_VERDICT_SUSPENDED }
    };
    const struct cn_held_notice notice = held_of(7, 10);
    struct cn_imported imported = {
        .number = 100, .blocked = blocked, .blocked_count = 2, .held = &notice, .held_count = 1
    };
    struct cn_blocked *list = NULL;
    size_t count = 0;
    uint8_t first;

    (void)state;
    assert_err(cn_notices_import(registry, &imported), CN_OK);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].serial, 5);
    assert_int_equal(list[0].reason, CN_VERDICT_REVOKED);
    assert_int_equal(list[1].reason, CN_VERDICT_SUSPENDED);
    assert_int_equal(list[1].admission_key[0], 6);
    free(list);
    assert_int_equal(count_held(&first), 1);

    imported = (struct cn_imported) { .number = 101, .blocked = blocked, .blocked_count = 1 };
    assert_err(cn_notices_import(registry, &imported), CN_OK);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 1);
    free(list);
    assert_int_equal(count_held(&first), 0);
}

static void an_older_list_changes_nothing(void **state)
{
    struct cn_blocked blocked = { .serial = 5,
                                  .admission_key = { 5 },
                                  .reason = CN_VERDICT_REVOKED };
    struct cn_imported imported = { .number = 100, .blocked = &blocked, .blocked_count = 1 };
    struct cn_blocked *list = NULL;
    size_t count = 0;

    (void)state;
    assert_err(cn_notices_import(registry, &imported), CN_OK);
    imported.number = 99;
    imported.blocked_count = 0;
    assert_err(cn_notices_import(registry, &imported), CN_E_KNOWN);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 1);
    free(list);
    imported.number = 100; /* the same again */
    imported.blocked_count = 1;
    assert_err(cn_notices_import(registry, &imported), CN_OK);
}

static void a_list_that_cannot_be_kept_changes_nothing(void **state)
{
    struct cn_blocked blocked[] = {
        { .serial = 5, .admission_key = { 5 }, .reason = CN_VERDICT_REVOKED },
        { .serial = 5, .admission_key = { 6 }, .reason = CN_VERDICT_REVOKED }
    };
    struct cn_imported imported = { .number = 100, .blocked = blocked, .blocked_count = 1 };
    struct cn_blocked *list = NULL;
    size_t count = 0;

    (void)state;
    assert_err(cn_notices_import(registry, &imported), CN_OK);
    imported.number = 101;
    imported.blocked_count = 2; /* one serial twice */
    assert_err(cn_notices_import(registry, &imported), CN_E_EXISTS);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 1);
    free(list);
    imported.number = 100; /* the number has not changed either */
    imported.blocked_count = 1;
    assert_err(cn_notices_import(registry, &imported), CN_OK);
}

/* As a registry of version 1 would be: without what version 2 added. */
static void a_registry_of_version_1_is_upgraded(void **state)
{
    struct cn_subscriber s = subscriber_of(7, "alice");
    struct cn_subscriber found;
    uint64_t number = 99;
    sqlite3 *db;

    (void)state;
    assert_err(cn_registry_add(registry, &s), CN_OK);
    cn_registry_close(registry);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE notice; DROP TABLE imported; DROP TABLE counter;"
                                  "PRAGMA user_version = 1;",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    for (int i = 0; i < 2; i++) {
        assert_err(cn_registry_open(&registry, dir, false), CN_OK);
        assert_err(cn_notices_number(registry, &number), CN_OK);
        assert_int_equal(number, 0);
        assert_err(cn_registry_find_label(registry, "alice", &found), CN_OK);
        if (i == 0)
            cn_registry_close(registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_rise_whatever_the_clock_does, begin, end),
        cmocka_unit_test_setup_teardown(the_newest_of_each_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(of_too_many_the_newest_come_back_in_order, begin, end),
        cmocka_unit_test_setup_teardown(the_common_one_is_kept_apart, begin, end),
        cmocka_unit_test_setup_teardown(who_is_blocked_is_told_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_notice_larger_than_any_is_no_notice, begin, end),
        cmocka_unit_test_setup_teardown(what_is_imported_replaces_what_was, begin, end),
        cmocka_unit_test_setup_teardown(an_older_list_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_list_that_cannot_be_kept_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_registry_of_version_1_is_upgraded, begin, end),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
