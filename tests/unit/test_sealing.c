/* Setting and removing a passphrase, restoring: whichever file cannot be put into its place,
 * everything can be used, and doing it again finishes it. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include <cyphernet.h>

static const char word[] = "correct horse";
static const char other[] = "battery staple";
static char dir[64];
static struct cn_home *home;
static unsigned until_failure; /* calls that put files into place; 0: none fails */
static bool lasting;           /* and all after it */
static bool no_exchange;       /* as of a file system that cannot */

static bool fails(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    until_failure = lasting;
    errno = EIO;
    return true;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return fails() ? -1 : __real_rename(from, to);
}

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (no_exchange && flags == RENAME_EXCHANGE) {
        errno = EINVAL;
        return -1;
    }
    return fails() ? -1 : __real_renameat2(from_dir, from, to_dir, to, flags);
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* A home with an identity and a request. */
static void begin(void)
{
    static char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;

    snprintf(dir, sizeof dir, "/tmp/cyphernet-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_err(cn_home_open(&home, dir), CN_OK);
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    assert_err(cn_home_request(home, text, &size), CN_OK);
}

static void end(void)
{
    cn_home_close(home);
    assert_int_equal(nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* As by another process, after the power was cut. */
static void open_again(const char *passphrase)
{
    until_failure = 0;
    cn_home_close(home);
    assert_err(cn_home_open(&home, dir), CN_OK);
    assert_err(cn_home_unseal(home, passphrase, strlen(passphrase)), CN_OK);
}

static void all_usable(enum cn_home_sealing_state expected)
{
    static char text[CN_TEXT_SIZE_MAX];
    enum cn_home_sealing_state state = CN_HOME_CHANGING;
    const char *kind = NULL;
    size_t size = sizeof text;

    assert_err(cn_home_identity_kind(home, &kind), CN_OK);
    assert_string_equal(kind, "X25519");
    assert_err(cn_home_request(home, text, &size), CN_OK);
    assert_err(cn_home_sealing(home, &state), CN_OK);
    if (expected != CN_HOME_CHANGING) /* else: any */
        assert_int_equal(state, expected);
}

static enum cn_err seal(void)
{
    return cn_home_seal(home, word, sizeof word - 1);
}

static void a_passphrase_of_no_size_is_refused(void **state)
{
    static char large[CN_PASSPHRASE_MAX + 1];

    (void)state;
    begin();
    assert_err(cn_home_seal(home, word, 0), CN_E_USAGE);
    assert_err(cn_home_seal(home, large, sizeof large), CN_E_USAGE);
    assert_err(seal(), CN_OK);
    assert_err(cn_home_unseal(home, word, 0), CN_E_PASSPHRASE);
    assert_err(cn_home_unseal(home, large, sizeof large), CN_E_PASSPHRASE);
    all_usable(CN_HOME_SEALED);
    end();
}

static void without_the_passphrase_nothing_is_read_or_written(void **state)
{
    static char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;
    const char *kind = NULL;
    char *backup = NULL;

    (void)state;
    begin();
    assert_err(seal(), CN_OK);
    cn_home_close(home);
    assert_err(cn_home_open(&home, dir), CN_OK);
    assert_err(cn_home_identity_kind(home, &kind), CN_E_SEALED);
    assert_err(cn_home_request(home, text, &size), CN_E_SEALED);
    assert_err(cn_home_backup(home, word, sizeof word - 1, &backup, &size), CN_E_SEALED);
    assert_err(cn_home_seal(home, other, sizeof other - 1), CN_E_SEALED);
    assert_err(cn_home_seal_remove(home), CN_E_SEALED);
    assert_null(backup);
    open_again(word);
    all_usable(CN_HOME_SEALED);
    end();
}

/* Another process sets it under the feet of one that is running: that writes nothing plain. */
static void one_that_was_set_meanwhile_is_noticed(void **state)
{
    struct cn_home *running;
    const char *kind = NULL;

    (void)state;
    begin();
    assert_err(cn_home_open(&running, dir), CN_OK);
    assert_err(cn_home_identity_kind(running, &kind), CN_OK);
    assert_err(seal(), CN_OK);
    assert_err(cn_home_identity_kind(running, &kind), CN_E_SEALED);
    assert_err(cn_home_unseal(running, word, sizeof word - 1), CN_OK);
    assert_err(cn_home_seal(home, other, sizeof other - 1), CN_OK);
    assert_err(cn_home_identity_kind(running, &kind), CN_OK); /* the same key, under another */
    assert_err(cn_home_seal_remove(home), CN_OK);
    assert_err(cn_home_identity_kind(running, &kind), CN_OK);
    assert_err(seal(), CN_OK); /* another key */
    assert_err(cn_home_identity_kind(running, &kind), CN_E_SEALED);
    cn_home_close(running);
    end();
}

static void setting_that_is_cut_off_anywhere_can_be_finished(void **state)
{
    enum cn_err err = CN_E_SYSTEM;

    (void)state;
    for (unsigned call = 1; err != CN_OK; call++) {
        begin();
        until_failure = call;
        err = seal();
        assert_true(err == CN_OK || err == CN_E_SYSTEM);
        open_again(word);
        all_usable(CN_HOME_CHANGING);
        assert_err(seal(), CN_OK);
        all_usable(CN_HOME_SEALED);
        assert_true(err != CN_OK || call == 5); /* the key, two files, the key's state */
        end();
    }
}

static void removing_that_is_cut_off_anywhere_can_be_finished(void **state)
{
    enum cn_err err = CN_E_SYSTEM;

    (void)state;
    for (unsigned call = 1; err != CN_OK; call++) {
        begin();
        assert_err(seal(), CN_OK);
        until_failure = call;
        err = cn_home_seal_remove(home);
        assert_true(err == CN_OK || err == CN_E_SYSTEM);
        open_again(word);
        all_usable(CN_HOME_CHANGING);
        assert_err(cn_home_seal_remove(home), CN_OK);
        all_usable(CN_HOME_PLAIN);
        end();
    }
}

static void a_restore_that_fails_changes_nothing(void **state)
{
    struct cn_restore_info info = { 0 };
    struct cn_restore_options options = { .passphrase = word,
                                          .passphrase_size = sizeof word - 1,
                                          .replace = true };
    char *text = NULL;
    enum cn_err err = CN_E_SYSTEM;

    (void)state;
    begin();
    assert_err(cn_home_backup(home, word, sizeof word - 1, &text, &options.text_size), CN_OK);
    options.text = text;
    for (unsigned call = 1; err != CN_OK; call++) {
        until_failure = call;
        err = cn_home_restore(home, &options, &info);
        assert_true(err == CN_OK || (err == CN_E_SYSTEM && info.replaced[0] == '\0'));
        until_failure = 0;
        all_usable(CN_HOME_PLAIN);
    }
    assert_memory_equal(info.replaced, dir, strlen(dir));
    assert_int_equal(nftw(info.replaced, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(text);
    end();
}

/* --- with the preferences elsewhere --------------------------------------------------------- */

enum { TEXT_MAX = 8192 };
static const char preferences_old[] = "proxy = none\n";
static const char preferences_new[] = "suites = SHA512-AES256GCM\n";
static char backup_identity[TEXT_MAX]; /* the texts of the files */
static char old_identity[TEXT_MAX];
static char *backup_text;
static struct cn_restore_options of_backup = { .passphrase = word,
                                               .passphrase_size = sizeof word - 1,
                                               .replace = true };

static const char *in_dir(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* "" if it is not there */
static const char *text_of(const char *directory, const char *name)
{
    static char text[TEXT_MAX];
    char path[4200];
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s%s", directory, name);
    file = fopen(path, "r");
    if (file) {
        size = fread(text, 1, sizeof text - 1, file);
        assert_int_equal(fclose(file), 0);
    }
    text[size] = '\0';
    return text;
}

/* An identity and preferences of which there is a backup, and then others. */
static void begin_apart(void)
{
    snprintf(dir, sizeof dir, "/tmp/cyphernet-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(unsetenv("CYPHERNET_HOME"), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", in_dir("data"), 1), 0);
    assert_int_equal(setenv("XDG_CONFIG_HOME", in_dir("config"), 1), 0);
    assert_err(cn_home_open(&home, NULL), CN_OK);
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    assert_int_equal(mkdir(in_dir("config"), 0700), 0);
    assert_int_equal(mkdir(in_dir("config/cyphernet"), 0700), 0);
    put_text(in_dir("config/cyphernet/config"), preferences_new);
    assert_err(cn_home_backup(home, word, sizeof word - 1, &backup_text, &of_backup.text_size),
               CN_OK);
    of_backup.text = backup_text;
    snprintf(backup_identity, sizeof backup_identity, "%s",
             text_of(in_dir("data/cyphernet/identity"), ""));
    assert_int_equal(unlink(in_dir("data/cyphernet/identity")), 0);
    put_text(in_dir("config/cyphernet/config"), preferences_old);
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    snprintf(old_identity, sizeof old_identity, "%s",
             text_of(in_dir("data/cyphernet/identity"), ""));
    assert_string_not_equal(old_identity, backup_identity);
}

static void end_apart(void)
{
    free(backup_text);
    end();
}

static unsigned entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    assert_int_equal(closedir(directory), 0);
    return count - 2;
}

/* Everything as it was, and nothing beside it. */
static void is_unchanged(void)
{
    assert_string_equal(text_of(in_dir("data/cyphernet/identity"), ""), old_identity);
    assert_string_equal(text_of(in_dir("config/cyphernet/config"), ""), preferences_old);
    assert_int_equal(entries(in_dir("data")), 1);
    assert_int_equal(entries(in_dir("data/cyphernet")), 1);
    assert_int_equal(entries(in_dir("config/cyphernet")), 1);
}

/* The old ones, where they are told to be, and the new home. */
static void is_moved_aside(const struct cn_restore_info *info)
{
    assert_string_equal(text_of(info->replaced, "/identity"), old_identity);
    assert_string_equal(text_of(in_dir("data/cyphernet/identity"), ""), backup_identity);
}

static void is_restored(const struct cn_restore_info *info)
{
    is_moved_aside(info);
    assert_string_equal(text_of(info->preferences, ""), preferences_old);
    assert_string_equal(text_of(in_dir("config/cyphernet/config"), ""), preferences_new);
    assert_int_equal(entries(in_dir("data/cyphernet")), 1);
}

static void a_restore_that_fails_anywhere_once_changes_nothing(void **state)
{
    enum cn_err err = CN_E_SYSTEM;
    unsigned call = 0;

    (void)state;
    begin_apart();
    while (err != CN_OK) {
        struct cn_restore_info info = { 0 };

        until_failure = ++call;
        err = cn_home_restore(home, &of_backup, &info);
        until_failure = 0;
        if (err == CN_OK) {
            is_restored(&info);
        } else {
            assert_err(err, CN_E_SYSTEM);
            assert_int_equal(cn_home_detail(home)->system_error, EIO);
            assert_string_equal(info.replaced, "");
            is_unchanged();
        }
    }
    assert_int_equal(call, 6); /* identity, preferences twice, home, preferences */
    end_apart();
}

/* As of a disk that gives up. */
static void a_restore_that_cannot_be_undone_tells_where_all_is(void **state)
{
    enum cn_err err = CN_E_SYSTEM;
    unsigned half = 0;

    (void)state;
    lasting = true;
    for (unsigned call = 1; err != CN_OK; call++) {
        struct cn_restore_info info = { 0 };

        begin_apart();
        until_failure = call;
        err = cn_home_restore(home, &of_backup, &info);
        until_failure = 0;
        if (err == CN_OK) {
            is_restored(&info);
        } else if (info.preferences[0]) {
            half++;
            is_moved_aside(&info);
            assert_string_equal(text_of(info.preferences, ""), preferences_new);
            assert_string_equal(text_of(in_dir("config/cyphernet/config"), ""), preferences_old);
        } else {
            is_unchanged();
        }
        end_apart();
    }
    lasting = false;
    assert_int_equal(half, 1);
}

static void where_nothing_can_be_exchanged_nothing_is_changed(void **state)
{
    struct cn_restore_info info = { 0 };

    (void)state;
    begin_apart();
    no_exchange = true;
    assert_err(cn_home_restore(home, &of_backup, &info), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EOPNOTSUPP);
    is_unchanged();

    /* an empty home is replaced all the same, but not the preferences */
    assert_int_equal(unlink(in_dir("data/cyphernet/identity")), 0);
    assert_err(cn_home_restore(home, &of_backup, &info), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EOPNOTSUPP);
    assert_string_equal(text_of(in_dir("config/cyphernet/config"), ""), preferences_old);
    assert_int_equal(entries(in_dir("data/cyphernet")), 0);
    assert_int_equal(entries(in_dir("data")), 1);
    assert_int_equal(entries(in_dir("config/cyphernet")), 1);

    assert_int_equal(unlink(in_dir("config/cyphernet/config")), 0);
    assert_err(cn_home_restore(home, &of_backup, &info), CN_OK);
    assert_string_equal(info.replaced, "");
    assert_string_equal(info.preferences, "");
    assert_string_equal(text_of(in_dir("data/cyphernet/identity"), ""), backup_identity);
    assert_string_equal(text_of(in_dir("config/cyphernet/config"), ""), preferences_new);
    assert_int_equal(entries(in_dir("data")), 1);
    no_exchange = false;
    end_apart();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passphrase_of_no_size_is_refused),
        cmocka_unit_test(without_the_passphrase_nothing_is_read_or_written),
        cmocka_unit_test(one_that_was_set_meanwhile_is_noticed),
        cmocka_unit_test(setting_that_is_cut_off_anywhere_can_be_finished),
        cmocka_unit_test(removing_that_is_cut_off_anywhere_can_be_finished),
        cmocka_unit_test(a_restore_that_fails_changes_nothing),
        cmocka_unit_test(a_restore_that_fails_anywhere_once_changes_nothing),
        cmocka_unit_test(a_restore_that_cannot_be_undone_tells_where_all_is),
        cmocka_unit_test(where_nothing_can_be_exchanged_nothing_is_changed),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
