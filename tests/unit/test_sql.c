/* Whichever call of SQLite fails, what was asked for fails, and the registry is as it was. */
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include <sqlite3.h>

#include "keyfile.h"
#include "notices.h"
#include "registry.h"
#include "settings.h"

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);
int __real_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **statement,
                              const char **tail);
int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **statement,
                              const char **tail);
int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *context, char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *context, char **message);

static unsigned until_failure; /* calls; 0: none fails */
static bool failed;

static bool fails(void)
{
    bool now = until_failure > 0 && --until_failure == 0;

    failed |= now;
    return now;
}

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
    return fails() ? SQLITE_IOERR : __real_sqlite3_step(statement);
}

int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **statement,
                              const char **tail)
{
    if (!fails())
        return __real_sqlite3_prepare_v2(db, sql, size, statement, tail);
    *statement = NULL;
    return SQLITE_IOERR;
}

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *context, char **message)
{
    return fails() ? SQLITE_IOERR : __real_sqlite3_exec(db, sql, row, context, message);
}

static char dir[64];
static char path[128];
static struct cn_registry *registry;

static void files_remove(void)
{
    static const char *const tails[] = { "", "-wal", "-shm" };

    for (size_t i = 0; i < COUNT(tails); i++) {
        char name[160];

        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
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

static struct cn_held_notice held_of(uint8_t who, uint64_t number)
{
    struct cn_held_notice n = { .number = number, .serial = who, .size = CN_NOTICE_RENEWAL_SIZE };

    memset(n.admission_key, who, sizeof n.admission_key);
    return n;
}

static const struct cn_settings settings = {
    .listen_count = 1,
    .listen = { "127.0.0.1:7473" },
    .public_count = 1,
    .public_address = { "server.example:443" },
    .operator_count = 2,
    .operators = { { { 1 } }, { { 2 } } },
    .server_key = { { 3 } },
};

/* Somebody is in it, and somebody has been shut out. */
static void made(void)
{
    struct cn_subscriber s = subscriber_of(1, "ann");
    struct cn_held_notice notice = held_of(1, 5);
    struct cn_common_notice common = { .number = 4, .size = 3 };

    assert_err(cn_registry_open(&registry, dir, true), CN_OK);
    assert_err(cn_settings_write(registry, &settings), CN_OK);
    assert_err(cn_registry_add(registry, &s), CN_OK);
    s = subscriber_of(2, "bob");
    assert_err(cn_registry_add(registry, &s), CN_OK);
    assert_err(cn_registry_status_set(registry, s.id, CN_SUBSCRIBER_SUSPENDED, 2), CN_OK);
    assert_err(cn_notices_hold(registry, &notice), CN_OK);
    assert_err(cn_notices_hold_common(registry, &common), CN_OK);
}

static int begin(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_sql.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/%s", dir, CN_REGISTRY_FILE);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* --- what is asked for ---------------------------------------------------------------------- */

static enum cn_err add(void)
{
    struct cn_subscriber s = subscriber_of(3, "carl");

    return cn_registry_add(registry, &s);
}

static enum cn_err renew(void)
{
    struct cn_subscriber s;
    enum cn_err err = cn_registry_find_label(registry, "ann", &s);

    s.certificate.serial = 77;
    return err == CN_OK ? cn_registry_renew(registry, &s) : err;
}

static enum cn_err withdraw(void)
{
    return cn_registry_withdraw(registry, 1);
}

static enum cn_err status_set(void)
{
    return cn_registry_status_set(registry, 1, CN_SUBSCRIBER_REVOKED, 3);
}

static enum cn_err list(void)
{
    struct cn_subscriber *all = NULL;
    size_t count = 0;
    enum cn_err err = cn_registry_list(registry, &all, &count);

    free(all);
    assert_int_equal(count, err == CN_OK ? 2 : 0);
    return err;
}

static enum cn_err blocked(void)
{
    struct cn_blocked *all = NULL;
    size_t count = 0;
    enum cn_err err = cn_registry_blocked(registry, &all, &count);

    free(all);
    assert_int_equal(count, err == CN_OK ? 1 : 0);
    return err;
}

static enum cn_err find(void)
{
    static const uint8_t key[CN_X25519_SIZE] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    struct cn_subscriber s;
    enum cn_err err = cn_registry_find_serial(registry, 1, &s);

    return err == CN_OK ? cn_registry_find_key(registry, key, &s) : err;
}

static enum cn_err settings_read(void)
{
    struct cn_settings got;

    return cn_settings_read(registry, &got);
}

static enum cn_err settings_write(void)
{
    return cn_settings_write(registry, &settings);
}

static enum cn_err number_next(void)
{
    uint64_t number = 0;

    return cn_notices_number_next(registry, 1000, &number);
}

static enum cn_err hold(void)
{
    const struct cn_held_notice notice = held_of(1, 6);
    const struct cn_common_notice none = { .number = 7 };
    enum cn_err err = cn_notices_hold(registry, &notice);

    return err == CN_OK ? cn_notices_hold_common(registry, &none) : err;
}

static enum cn_err notices_read(void)
{
    struct cn_held_notice *held = NULL;
    struct cn_common_notice common = { 0 };
    size_t count = 0;
    enum cn_err err = cn_notices_read(registry, &held, &count, &common);

    free(held);
    assert_int_equal(count, err == CN_OK ? 1 : 0);
    return err;
}

static enum cn_err import(void)
{
    const struct cn_blocked shut[] = { { .serial = 5, .reason = CN_VERDICT_REVOKED } };
    const struct cn_held_notice notice = held_of(7, 10);
    const struct cn_imported imported = { .number = 100,
                                          .blocked = shut,
                                          .blocked_count = 1,
                                          .held = &notice,
                                          .held_count = 1,
                                          .common = { .number = 9, .size = 2 } };

    return cn_notices_import(registry, &imported);
}

/* --- all that is in the file ---------------------------------------------------------------- */

struct dump {
    char text[32768];
    size_t size;
};

static int cell_put(void *context, int count, char **values, char **names)
{
    struct dump *dump = context;

    for (int i = 0; i < count; i++) {
        int size = snprintf(dump->text + dump->size, sizeof dump->text - dump->size, "%s=%s;",
                            names[i], values[i] ? values[i] : "NULL");

        assert_true(size > 0 && (size_t)size < sizeof dump->text - dump->size);
        dump->size += (size_t)size;
    }
    return 0;
}

/* As another process sees it. */
static void dump_make(struct dump *dump)
{
    static const char *const tables[] = { "SELECT * FROM address",
                                          "SELECT hex(public_key) FROM operator",
                                          "SELECT hex(public_key) FROM server",
                                          "SELECT label, status, changed_at FROM subscriber",
                                          "SELECT serial, subscriber FROM certificate",
                                          "SELECT * FROM counter",
                                          "SELECT number, serial FROM notice",
                                          "SELECT serial, status FROM imported" };
    sqlite3 *db = NULL;

    dump->size = 0;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < COUNT(tables); i++)
        assert_int_equal(__real_sqlite3_exec(db, tables[i], cell_put, dump, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* False: there was no such call, and it did what it was asked for. */
static bool fails_at(unsigned number, enum cn_err (*ask)(void))
{
    static struct dump before, after;
    enum cn_err err;

    dump_make(&before);
    failed = false;
    until_failure = number;
    errno = 0;
    err = ask();
    until_failure = 0;
    if (failed) {
        assert_err(err, CN_E_SYSTEM);
        assert_int_not_equal(errno, 0);
    } else {
        assert_err(err, CN_OK);
    }
    if (failed && ask != hold && ask != settings_write) { /* which are several */
        dump_make(&after);
        assert_string_equal(before.text, after.text);
        assert_err(cn_registry_begin(registry), CN_OK); /* none is left open */
        assert_err(cn_registry_commit(registry), CN_OK);
    }
    return failed;
}

static void whichever_call_fails(void **state)
{
    static enum cn_err (*const asked[])(void) = {
        add,           renew,          withdraw,    status_set, list,         blocked, find,
        settings_read, settings_write, number_next, hold,       notices_read, import,
    };
    (void)state;
    for (size_t i = 0; i < COUNT(asked); i++) {
        unsigned number = 1;

        made();
        while (fails_at(number, asked[i]))
            number++;
        assert_true(number > 1);
        cn_registry_close(registry);
        registry = NULL;
        files_remove();
    }
}

static void closed(void)
{
    cn_registry_close(registry);
    registry = NULL;
}

/* How many calls it takes, each of which failed once. */
static unsigned opened(bool create)
{
    unsigned number = 0;

    do {
        failed = false;
        until_failure = ++number;
        if (cn_registry_open(&registry, dir, create) == CN_OK)
            assert_false(failed);
        else
            assert_null(registry);
        until_failure = 0;
        closed();
        if (create)
            files_remove();
    } while (failed);
    return number;
}

static void whichever_call_fails_none_is_made_and_none_is_opened(void **state)
{
    (void)state;
    assert_true(opened(true) > 3);
    made();
    closed();
    assert_true(opened(false) > 3);
    files_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whichever_call_fails, begin, end),
        cmocka_unit_test_setup_teardown(whichever_call_fails_none_is_made_and_none_is_opened, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
