/* Key files: written whole or not at all, never over another; read only if they are ours alone. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyfile.h"
#include "outfile.h"

static const uint8_t key[CN_KEYFILE_KEY_SIZE] = { 1, 2, 3 };
static char dir_path[64];
static int dir;

/* Whether we pass for somebody else; the linker puts this before the real geteuid. */
static bool somebody_else;

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return __real_geteuid() + somebody_else;
}

static int begin(void **state)
{
    (void)state;
    somebody_else = false;
    strcpy(dir_path, "/tmp/test_keyfile.XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    dir = open(dir_path, O_RDONLY | O_DIRECTORY);
    return dir < 0 || cn_keyfile_write(&crypto, dir, "key", CN_ARMOR_SERVER_KEY, key) != CN_OK ? -1
                                                                                               : 0;
}

/* Fails if a test, or a failed write, left anything but the names it may. */
static int end(void **state)
{
    static const char *const names[] = { "key", "other", "link", "made" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        unlinkat(dir, names[i], 0);
    close(dir);
    return rmdir(dir_path);
}

static enum cn_err read_as(const char *name, enum cn_armor_kind kind)
{
    uint8_t got[CN_KEYFILE_KEY_SIZE] = { 0xee };
    enum cn_err err = cn_keyfile_read(&crypto, dir, name, kind, got);

    if (err == CN_OK)
        assert_memory_equal(got, key, sizeof key);
    else
        assert_int_equal(got[0], 0xee);
    return err;
}

static enum cn_err read_key(void)
{
    return read_as("key", CN_ARMOR_SERVER_KEY);
}

static void rewrite(const char *text, size_t size)
{
    int fd = openat(dir, "key", O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
}

static size_t contents(char *text, size_t size_max)
{
    int fd = openat(dir, "key", O_RDONLY);
    ssize_t size = read(fd, text, size_max);

    close(fd);
    assert_true(size > 0);
    return (size_t)size;
}

static void a_key_comes_back(void **state)
{
    struct stat st;

    (void)state;
    assert_err(read_key(), CN_OK);
    assert_int_equal(fstatat(dir, "key", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void none_is_written_over_another(void **state)
{
    static const uint8_t other[CN_KEYFILE_KEY_SIZE] = { 9 };

    (void)state;
    assert_err(cn_keyfile_write(&crypto, dir, "key", CN_ARMOR_SERVER_KEY, other), CN_E_EXISTS);
    assert_err(read_key(), CN_OK);
    assert_int_equal(symlinkat("nowhere", dir, "link"), 0);
    assert_err(cn_keyfile_write(&crypto, dir, "link", CN_ARMOR_SERVER_KEY, other), CN_E_EXISTS);
}

static void one_that_is_absent_is_told(void **state)
{
    (void)state;
    assert_err(read_as("other", CN_ARMOR_SERVER_KEY), CN_E_ABSENT);
}

static void one_that_others_may_touch_is_refused(void **state)
{
    (void)state;
    for (mode_t bits = 1; bits < 0100; bits++) {
        assert_int_equal(fchmodat(dir, "key", 0600 | bits, 0), 0);
        assert_err(read_key(), CN_E_OPEN_MODE);
    }
    assert_int_equal(fchmodat(dir, "key", 0400, 0), 0);
    assert_err(read_key(), CN_OK);
    assert_int_equal(fchmodat(dir, "key", 0700, 0), 0);
    assert_err(read_key(), CN_E_OPEN_MODE);
}

static void one_of_another_user_is_refused(void **state)
{
    (void)state;
    somebody_else = true;
    assert_err(read_key(), CN_E_OPEN_MODE);
}

static void one_with_a_second_name_is_refused(void **state)
{
    (void)state;
    assert_int_equal(linkat(dir, "key", dir, "link", 0), 0);
    assert_err(read_key(), CN_E_OPEN_MODE);
}

static void a_link_a_pipe_and_a_directory_are_refused(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("key", dir, "link"), 0);
    assert_err(read_as("link", CN_ARMOR_SERVER_KEY), CN_E_OPEN_MODE);
    assert_int_equal(mkfifoat(dir, "other", 0600), 0);
    assert_err(read_as("other", CN_ARMOR_SERVER_KEY), CN_E_OPEN_MODE);
    assert_err(read_as(".", CN_ARMOR_SERVER_KEY), CN_E_OPEN_MODE);
}

static void another_kind_is_refused(void **state)
{
    (void)state;
    assert_err(read_as("key", CN_ARMOR_OPERATOR_KEY), CN_E_KIND);
    assert_err(read_as("key", CN_ARMOR_ADMISSION_KEY), CN_E_KIND);
}

static void a_public_key_may_be_read_by_all(void **state)
{
    (void)state;
    assert_err(cn_keyfile_write(&crypto, dir, "other", CN_ARMOR_OPERATOR_PUBLIC, key), CN_OK);
    assert_int_equal(fchmodat(dir, "other", 0644, 0), 0);
    assert_err(read_as("other", CN_ARMOR_OPERATOR_PUBLIC), CN_OK);
}

static void every_prefix_is_refused(void **state)
{
    char text[512];
    size_t size = contents(text, sizeof text);

    (void)state;
    for (size_t cut = 0; cut < size - 1; cut++) {
        rewrite(text, cut);
        assert_true(read_key() != CN_OK);
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    char text[512];
    size_t size = contents(text, sizeof text);

    (void)state;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        rewrite(text, size);
        assert_true(read_key() != CN_OK);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
}

static void a_longer_file_is_refused(void **state)
{
    static char text[100000];
    size_t size = contents(text, 512);

    (void)state;
    memset(text + size, '\n', sizeof text - size);
    rewrite(text, 513);
    assert_err(read_key(), CN_E_ARMOR);
    rewrite(text, sizeof text);
    assert_err(read_key(), CN_E_ARMOR);
}

static void another_version_or_length_is_refused(void **state)
{
    static const struct {
        uint8_t version;
        size_t size;
        const char *result;
    } rows[] = {
        { 1, 33, "CN_OK" },       { 0, 33, "CN_E_VERSION" }, { 2, 33, "CN_E_VERSION" },
        { 1, 32, "CN_E_FORMAT" }, { 1, 34, "CN_E_FORMAT" },  { 1, 1, "CN_E_FORMAT" },
        { 1, 0, "CN_E_FORMAT" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t body[40] = { rows[i].version };
        char text[512];
        size_t size = 0;

        memcpy(body + 1, key, sizeof key);
        assert_err(cn_armor_encode(&crypto, CN_ARMOR_SERVER_KEY, body, rows[i].size, text,
                                   sizeof text, &size),
                   CN_OK);
        rewrite(text, size);
        assert_string_equal(err_name(read_key()), rows[i].result);
    }
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct rlimit before, small = { 10, 10 };

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_err(cn_keyfile_write(&crypto, dir, "made", CN_ARMOR_SERVER_KEY, key), CN_E_SYSTEM);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_err(read_as("made", CN_ARMOR_SERVER_KEY), CN_E_ABSENT);
}

static void a_file_that_is_not_kept_never_was(void **state)
{
    struct cn_outfile file;

    (void)state;
    assert_err(cn_outfile_create(&file, dir, "made", 0600), CN_OK);
    assert_err(cn_outfile_write(&file, "text", 4), CN_OK);
    cn_outfile_close(&file);
    assert_int_equal(faccessat(dir, "made", F_OK, 0), -1);
}

/* Were we killed now, nothing would remain. */
static void a_file_that_is_not_kept_has_no_name(void **state)
{
    struct cn_outfile file;
    const struct dirent *entry;
    unsigned count = 0;
    DIR *listing;

    (void)state;
    assert_err(cn_outfile_create(&file, dir, "made", 0600), CN_OK);
    assert_err(cn_outfile_write(&file, "text", 4), CN_OK);
    listing = opendir(dir_path);
    assert_non_null(listing);
    while ((entry = readdir(listing)))
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(listing);
    if (file.temporary[0] == '\0') /* not every file system can */
        assert_int_equal(count, 1);
    assert_err(cn_outfile_keep(&file), CN_OK);
    cn_outfile_close(&file);
    assert_int_equal(faccessat(dir, "made", R_OK, 0), 0);
}

/* The way of file systems that have no nameless files. */
static void a_file_under_a_temporary_name_is_kept_all_the_same(void **state)
{
    struct cn_outfile file;

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_err(cn_outfile_create(&file, dir, round == 0 ? "made" : "other", 0600), CN_OK);
        close(file.fd);
        strcpy(file.temporary, ".temporary");
        file.fd = openat(dir, ".temporary", O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_err(cn_outfile_write(&file, "text", 4), CN_OK);
        strcpy(file.name, "made");
        assert_string_equal(err_name(cn_outfile_keep(&file)), round == 0 ? "CN_OK" : "CN_E_EXISTS");
        cn_outfile_close(&file);
        assert_int_equal(faccessat(dir, ".temporary", F_OK, 0), -1);
    }
}

static void a_file_made_meanwhile_is_not_replaced(void **state)
{
    struct cn_outfile file;
    char text[8] = "";
    int fd;

    (void)state;
    assert_err(cn_outfile_create(&file, dir, "made", 0600), CN_OK);
    assert_err(cn_outfile_write(&file, "mine", 4), CN_OK);
    fd = openat(dir, "made", O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, "theirs", 6), 6);
    assert_err(cn_outfile_keep(&file), CN_E_EXISTS);
    cn_outfile_close(&file);
    assert_int_equal(pread(fd, text, 6, 0), 6);
    assert_string_equal(text, "theirs");
    close(fd);
}

static void names_that_are_none_are_refused(void **state)
{
    static const char *const names[] = { "", ".", "..", "a/", "/", "nowhere/made", "key/made" };
    char longer[NAME_MAX + 2];
    struct cn_outfile file;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_err(cn_outfile_create(&file, dir, names[i], 0600), CN_E_SYSTEM);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_err(cn_outfile_create(&file, dir, longer, 0600), CN_E_SYSTEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_comes_back),
        TEST(none_is_written_over_another),
        TEST(one_that_is_absent_is_told),
        TEST(one_that_others_may_touch_is_refused),
        TEST(one_of_another_user_is_refused),
        TEST(one_with_a_second_name_is_refused),
        TEST(a_link_a_pipe_and_a_directory_are_refused),
        TEST(another_kind_is_refused),
        TEST(a_public_key_may_be_read_by_all),
        TEST(every_prefix_is_refused),
        TEST(every_flipped_bit_is_refused),
        TEST(a_longer_file_is_refused),
        TEST(another_version_or_length_is_refused),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(a_file_that_is_not_kept_never_was),
        TEST(a_file_that_is_not_kept_has_no_name),
        TEST(a_file_under_a_temporary_name_is_kept_all_the_same),
        TEST(a_file_made_meanwhile_is_not_replaced),
        TEST(names_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
