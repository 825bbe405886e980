/* The registry keeps what it was told, refuses what contradicts it, and survives what it finds. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "keyfile.h"
#include "registry.h"
#include "settings.h"

static char dir[64];
static char path[128];
static struct cn_registry *registry;

static const struct cn_settings settings = {
    .listen_count = 2,
    .listen = { "127.0.0.1:7473", "[::1]:7473" },
    .public_count = 1,
    .public_address = { "server.example:443" },
    .operator_count = 2,
    .operators = { { { 1 } }, { { 2 } } },
    .server_key = { { 3 } },
};

/* Each test begins with an empty registry, open. */
static int begin(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_registry.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/%s", dir, CN_REGISTRY_FILE);
    return cn_registry_open(&registry, dir, true) == CN_OK &&
                   cn_settings_write(registry, &settings) == CN_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    char name[160];

    (void)state;
    cn_registry_close(registry);
    registry = NULL;
    unlink(path);
    snprintf(name, sizeof name, "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", path);
    unlink(name);
    return rmdir(dir);
}

static void reopen(void)
{
    cn_registry_close(registry);
    registry = NULL;
    assert_err(cn_registry_open(&registry, dir, false), CN_OK);
}

static struct cn_subscriber subscriber(const char *label, uint64_t serial)
{
    struct cn_subscriber s = { .created_at = 10, .changed_at = 10, .issued_at = 10 };

    strcpy(s.label, label);
    s.certificate.serial = serial;
    s.certificate.not_before = 5;
    s.certificate.not_after = 1000 + serial % 100;
    s.certificate.limits_class = 255;
    fill((uint8_t)serial, s.certificate.admission_key, CN_X25519_SIZE);
    fill((uint8_t)serial, s.certificate.signature, CN_ED25519_SIGNATURE_SIZE);
    return s;
}

static struct cn_subscriber added(const char *label, uint64_t serial)
{
    struct cn_subscriber s = subscriber(label, serial);

    assert_err(cn_registry_add(registry, &s), CN_OK);
    assert_true(s.id > 0);
    return s;
}

static enum cn_err add(const char *label, uint64_t serial, uint8_t key_seed)
{
    struct cn_subscriber s = subscriber(label, serial);

    fill(key_seed, s.certificate.admission_key, CN_X25519_SIZE);
    return cn_registry_add(registry, &s);
}

static size_t count_all(void)
{
    struct cn_subscriber *list = NULL;
    size_t count = 99;

    assert_err(cn_registry_list(registry, &list, &count), CN_OK);
    assert_true((list == NULL) == (count == 0));
    free(list);
    return count;
}

static void settings_come_back(void **state)
{
    struct cn_settings got;

    (void)state;
    reopen();
    memset(&got, 0xee, sizeof got);
    assert_err(cn_settings_read(registry, &got), CN_OK);
    assert_memory_equal(&got, &settings, sizeof got);
}

static void it_is_readable_to_its_owner_alone(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_one_is_not_made_over_it(void **state)
{
    struct cn_registry *other = NULL;

    (void)state;
    added("alice", 1);
    assert_err(cn_registry_open(&other, dir, true), CN_E_EXISTS);
    assert_null(other);
    assert_int_equal(count_all(), 1);
}

static void where_there_is_none_none_is_made(void **state)
{
    struct cn_registry *other = NULL;
    struct stat st;

    (void)state;
    assert_err(cn_registry_open(&other, "/tmp/there/is/no/such/place", false), CN_E_ABSENT);
    assert_err(cn_registry_open(&other, "/tmp/there/is/no/such/place", true), CN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    cn_registry_close(registry);
    registry = NULL;
    assert_int_equal(unlink(path), 0);
    assert_err(cn_registry_open(&other, dir, false), CN_E_ABSENT);
    assert_int_equal(stat(path, &st), -1);
    assert_null(other);
}

static void a_subscriber_comes_back(void **state)
{
    struct cn_subscriber s = added("alice", INT64_MAX);
    struct cn_subscriber got[3];

    (void)state;
    reopen();
    assert_err(cn_registry_find_label(registry, "alice", &got[0]), CN_OK);
    assert_err(cn_registry_find_serial(registry, INT64_MAX, &got[1]), CN_OK);
    assert_err(cn_registry_find_key(registry, s.certificate.admission_key, &got[2]), CN_OK);
    for (size_t i = 0; i < COUNT(got); i++) {
        assert_int_equal(got[i].id, s.id);
        assert_string_equal(got[i].label, "alice");
        assert_int_equal(got[i].status, CN_SUBSCRIBER_ACTIVE);
        assert_int_equal(got[i].created_at, 10);
        assert_int_equal(got[i].issued_at, 10);
        assert_true(got[i].certificate.serial == INT64_MAX);
        assert_int_equal(got[i].certificate.not_before, 5);
        assert_int_equal(got[i].certificate.not_after, s.certificate.not_after);
        assert_int_equal(got[i].certificate.limits_class, 255);
        assert_memory_equal(got[i].certificate.admission_key, s.certificate.admission_key, 32);
        assert_memory_equal(got[i].certificate.signature, s.certificate.signature, 64);
    }
}

static void nobody_is_found_who_is_not_there(void **state)
{
    struct cn_subscriber s = { .id = 99 };

    (void)state;
    added("alice", 1);
    assert_err(cn_registry_find_label(registry, "Alice", &s), CN_E_ABSENT);
    assert_err(cn_registry_find_label(registry, "' OR 1=1 --", &s), CN_E_ABSENT);
    assert_err(cn_registry_find_serial(registry, 2, &s), CN_E_ABSENT);
    assert_err(cn_registry_find_key(registry, (const uint8_t[32]) { 0 }, &s), CN_E_ABSENT);
    assert_err(cn_registry_status_set(registry, 99, CN_SUBSCRIBER_REVOKED, 1), CN_E_ABSENT);
    assert_int_equal(s.id, 99);
}

static void label_key_and_serial_are_taken_once(void **state)
{
    (void)state;
    added("alice", 1);
    assert_err(add("alice", 2, 2), CN_E_EXISTS);
    assert_err(add("bob", 1, 2), CN_E_EXISTS);
    assert_err(add("bob", 2, 1), CN_E_EXISTS);
    assert_int_equal(count_all(), 1); /* nothing half done */
    assert_err(add("bob", 2, 2), CN_OK);
}

static void a_serial_of_zero_is_refused(void **state)
{
    (void)state;
    assert_err(add("alice", 0, 2), CN_E_EXISTS);
    assert_int_equal(count_all(), 0);
}

static void a_label_is_free_again_after_revocation_and_its_key_is_not(void **state)
{
    struct cn_subscriber s = added("alice", 1);
    struct cn_subscriber got;

    (void)state;
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_SUSPENDED, 20), CN_OK);
    assert_err(add("alice", 2, 2), CN_E_EXISTS);
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_REVOKED, 30), CN_OK);
    assert_err(add("alice", 2, 1), CN_E_EXISTS);
    assert_err(add("alice", 2, 2), CN_OK);
    assert_err(cn_registry_find_label(registry, "alice", &got), CN_OK);
    assert_int_equal(got.status, CN_SUBSCRIBER_ACTIVE);
    assert_int_equal(got.certificate.serial, 2);
    assert_err(cn_registry_find_serial(registry, 1, &got), CN_OK);
    assert_int_equal(got.status, CN_SUBSCRIBER_REVOKED);
    assert_int_equal(got.changed_at, 30);
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_ACTIVE, 40), CN_E_EXISTS);
}

static void the_last_of_several_revoked_is_found(void **state)
{
    struct cn_subscriber got;

    (void)state;
    for (uint64_t serial = 1; serial <= 3; serial++) {
        struct cn_subscriber s = added("alice", serial);

        assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_REVOKED, 50), CN_OK);
    }
    assert_err(cn_registry_find_label(registry, "alice", &got), CN_OK);
    assert_int_equal(got.certificate.serial, 3);
}

static void a_renewed_certificate_is_the_latest_and_the_old_one_is_kept(void **state)
{
    struct cn_subscriber s = added("alice", 7);
    struct cn_subscriber got;

    (void)state;
    s.certificate.serial = 3;
    s.certificate.not_after = 9999;
    assert_err(cn_registry_renew(registry, &s), CN_OK);
    assert_err(cn_registry_renew(registry, &s), CN_E_EXISTS);
    assert_err(cn_registry_find_serial(registry, 7, &got), CN_OK);
    assert_int_equal(got.certificate.serial, 3);
    assert_int_equal(got.certificate.not_after, 9999);
    assert_int_equal(count_all(), 1);
}

static void every_certificate_of_the_blocked_is_told(void **state)
{
    struct cn_subscriber alice = added("alice", 7);
    struct cn_subscriber bob = added("bob", 5);
    struct cn_blocked *list = (struct cn_blocked *)8;
    size_t count = 99;

    (void)state;
    added("carol", 9);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 0);
    assert_null(list);
    alice.certificate.serial = 3;
    assert_err(cn_registry_renew(registry, &alice), CN_OK);
    assert_err(cn_registry_status_set(registry, alice.id, CN_SUBSCRIBER_REVOKED, 1), CN_OK);
    assert_err(cn_registry_status_set(registry, bob.id, CN_SUBSCRIBER_SUSPENDED, 1), CN_OK);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 3);
    assert_int_equal(list[0].serial, 3);
    assert_int_equal(list[1].serial, 5);
    assert_int_equal(list[2].serial, 7);
    assert_int_equal(list[0].reason, CN_VERDICT_REVOKED);
    assert_int_equal(list[1].reason, CN_VERDICT_SUSPENDED);
    assert_int_equal(list[2].reason, CN_VERDICT_REVOKED);
    assert_memory_equal(list[0].admission_key, alice.certificate.admission_key, 32);
    assert_memory_equal(list[1].admission_key, bob.certificate.admission_key, 32);
    free(list);
    assert_err(cn_registry_status_set(registry, bob.id, CN_SUBSCRIBER_ACTIVE, 2), CN_OK);
    assert_err(cn_registry_blocked(registry, &list, &count), CN_OK);
    assert_int_equal(count, 2);
    free(list);
}

static void a_withdrawn_certificate_leaves_no_trace(void **state)
{
    struct cn_subscriber s = added("alice", 1);
    struct cn_subscriber got;

    (void)state;
    s.certificate.serial = 2;
    assert_err(cn_registry_renew(registry, &s), CN_OK);
    assert_err(cn_registry_withdraw(registry, 2), CN_OK);
    assert_err(cn_registry_find_label(registry, "alice", &got), CN_OK);
    assert_int_equal(got.certificate.serial, 1);
    assert_err(cn_registry_withdraw(registry, 1), CN_OK);
    assert_int_equal(count_all(), 0);
    assert_err(cn_registry_withdraw(registry, 1), CN_E_ABSENT);
}

static void a_thousand_come_in_order_of_labels(void **state)
{
    struct cn_subscriber *list = NULL;
    size_t count = 0;

    (void)state;
    assert_err(cn_registry_begin(registry), CN_OK);
    for (unsigned i = 0; i < 1000; i++) {
        struct cn_subscriber s;
        char label[16];

        snprintf(label, sizeof label, "s%03u", (i * 7) % 1000);
        s = subscriber(label, i + 1);
        memcpy(s.certificate.admission_key, &i, sizeof i);
        assert_err(cn_registry_add(registry, &s), CN_OK);
        assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_SUSPENDED, 1), CN_OK);
    }
    assert_err(cn_registry_commit(registry), CN_OK);
    assert_err(cn_registry_list(registry, &list, &count), CN_OK);
    assert_int_equal(count, 1000);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(list[i - 1].label, list[i].label) < 0);
    free(list);
}

static void what_is_not_committed_never_was(void **state)
{
    (void)state;
    assert_err(cn_registry_begin(registry), CN_OK);
    added("alice", 1);
    reopen();
    assert_int_equal(count_all(), 0);
}

static void a_reader_sees_only_what_is_committed(void **state)
{
    struct cn_registry *other = NULL;
    struct cn_subscriber *list = NULL;
    size_t count = 99;

    (void)state;
    assert_err(cn_registry_open(&other, dir, false), CN_OK);
    assert_err(cn_registry_begin(registry), CN_OK);
    added("alice", 1);
    assert_err(cn_registry_list(other, &list, &count), CN_OK); /* does not wait, either */
    assert_int_equal(count, 0);
    assert_err(cn_registry_commit(registry), CN_OK);
    assert_err(cn_registry_list(other, &list, &count), CN_OK);
    assert_int_equal(count, 1);
    free(list);
    cn_registry_close(other);
}

static void eight_writers_lose_nothing(void **state)
{
    (void)state;
    cn_registry_close(registry);
    registry = NULL;
    for (unsigned writer = 0; writer < 8; writer++) {
        if (fork() != 0)
            continue;
        for (unsigned i = 0; i < 10; i++) {
            struct cn_registry *mine = NULL;
            char label[16];
            uint64_t serial = writer * 10 + i + 1;
            struct cn_subscriber s;

            snprintf(label, sizeof label, "w%u-%u", writer, i);
            s = subscriber(label, serial);
            if (cn_registry_open(&mine, dir, false) != CN_OK || cn_registry_add(mine, &s) != CN_OK)
                _exit(1);
            if (i % 2 != 0 && cn_registry_withdraw(mine, serial) != CN_OK)
                _exit(2);
            cn_registry_close(mine);
        }
        _exit(0);
    }
    for (unsigned writer = 0; writer < 8; writer++) {
        int status = -1;

        wait(&status);
        assert_int_equal(status, 0);
    }
    assert_err(cn_registry_open(&registry, dir, false), CN_OK);
    assert_int_equal(count_all(), 40);
}

/* Overwrite part of the database file, the log having been folded in. */
static void scribble(off_t at, const void *bytes, size_t size)
{
    int fd;

    cn_registry_close(registry);
    registry = NULL;
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

static void a_file_of_something_else_is_refused(void **state)
{
    static const char text[] = "This is no database at all, whatever its name may say. ........";

    (void)state;
    scribble(0, text, sizeof text);
    assert_err(cn_registry_open(&registry, dir, false), CN_E_FORMAT);
}

static void an_empty_file_is_refused(void **state)
{
    (void)state;
    cn_registry_close(registry);
    registry = NULL;
    assert_int_equal(truncate(path, 0), 0);
    assert_err(cn_registry_open(&registry, dir, false), CN_E_FORMAT);
}

static void a_file_cut_short_is_refused(void **state)
{
    struct cn_settings got;
    enum cn_err err;

    (void)state;
    cn_registry_close(registry);
    registry = NULL;
    assert_int_equal(truncate(path, 4096), 0);
    err = cn_registry_open(&registry, dir, false);
    if (err == CN_OK)
        err = cn_settings_read(registry, &got);
    assert_err(err, CN_E_FORMAT);
}

/* Octets 60 to 63 of the header are user_version, 68 to 71 application_id; big-endian. */
static void a_later_version_is_refused_as_that(void **state)
{
    (void)state;
    scribble(60, (const uint8_t[4]) { 0, 0, 0, 3 }, 4);
    assert_err(cn_registry_open(&registry, dir, false), CN_E_VERSION);
}

static void the_database_of_another_program_is_refused(void **state)
{
    (void)state;
    scribble(68, (const uint8_t[4]) { 1, 2, 3, 4 }, 4);
    assert_err(cn_registry_open(&registry, dir, false), CN_E_FORMAT);
}

static void an_init_that_did_not_finish_is_noticed(void **state)
{
    struct cn_registry *other = NULL;
    struct cn_settings got;

    (void)state;
    cn_registry_close(registry);
    registry = NULL;
    unlink(path);
    assert_err(cn_registry_open(&other, dir, true), CN_OK);
    assert_err(cn_settings_read(other, &got), CN_E_FORMAT);
    cn_registry_close(other);
    assert_err(cn_registry_open(&registry, dir, false), CN_OK);
    assert_err(cn_settings_read(registry, &got), CN_E_FORMAT);
}

/* What somebody with an SQL shell might leave behind. */
static void rows_that_lie_are_refused(void **state)
{
    static const char *const lies[] = {
        "UPDATE subscriber SET label = 'a b'",
        "UPDATE subscriber SET label = ''",
        "UPDATE subscriber SET label = 'a' || char(10)",
        "UPDATE subscriber SET label = hex(zeroblob(33))",
        "UPDATE subscriber SET label = '12345'",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct cn_subscriber *list = NULL;
        size_t count = 99;
        sqlite3 *db;

        if (i == 0)
            added("alice", 1);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, lies[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_err(cn_registry_list(registry, &list, &count), CN_E_FORMAT);
        assert_null(list);
        assert_int_equal(count, 99);
    }
}

static void a_full_disk_is_told_and_loses_nothing(void **state)
{
    struct rlimit before, small = { 4096, 4096 };
    unsigned i = 0;
    enum cn_err err = CN_OK;

    (void)state;
    added("alice", 1);
    reopen();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (; i < 100 && err == CN_OK; i++) {
        char label[16];

        snprintf(label, sizeof label, "s%u", i);
        err = add(label, i + 2, (uint8_t)(i + 2));
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_err(err, CN_E_SYSTEM);
    reopen();
    assert_int_equal(count_all(), i);
}

static void text_of_a_status(void **state)
{
    (void)state;
    assert_string_equal(cn_subscriber_status_name(CN_SUBSCRIBER_ACTIVE), "active");
    assert_string_equal(cn_subscriber_status_name(CN_SUBSCRIBER_SUSPENDED), "suspended");
    assert_string_equal(cn_subscriber_status_name(CN_SUBSCRIBER_REVOKED), "revoked");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_come_back),
        TEST(it_is_readable_to_its_owner_alone),
        TEST(a_second_one_is_not_made_over_it),
        TEST(where_there_is_none_none_is_made),
        TEST(a_subscriber_comes_back),
        TEST(nobody_is_found_who_is_not_there),
        TEST(label_key_and_serial_are_taken_once),
        TEST(a_serial_of_zero_is_refused),
        TEST(a_label_is_free_again_after_revocation_and_its_key_is_not),
        TEST(the_last_of_several_revoked_is_found),
        TEST(a_renewed_certificate_is_the_latest_and_the_old_one_is_kept),
        TEST(every_certificate_of_the_blocked_is_told),
        TEST(a_withdrawn_certificate_leaves_no_trace),
        TEST(a_thousand_come_in_order_of_labels),
        TEST(what_is_not_committed_never_was),
        TEST(a_reader_sees_only_what_is_committed),
        TEST(eight_writers_lose_nothing),
        TEST(a_file_of_something_else_is_refused),
        TEST(an_empty_file_is_refused),
        TEST(a_file_cut_short_is_refused),
        TEST(a_later_version_is_refused_as_that),
        TEST(the_database_of_another_program_is_refused),
        TEST(an_init_that_did_not_finish_is_noticed),
        TEST(rows_that_lie_are_refused),
        TEST(a_full_disk_is_told_and_loses_nothing),
        TEST(text_of_a_status),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
