/* The subscriber's files: refused unless they are ours alone and whole, and never half written,
 * whatever system call fails. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cyphernet.h>

#include "file.h"
#include "home.h"
#include "notice.h"

enum { TEXT_SIZE_MAX = 65536 };

/* --- system calls that fail when told; the linker puts these before the real ones ----------- */

enum {
    FAIL_NONE,
    FAIL_WRITE,
    FAIL_FSYNC,
    FAIL_RENAME,
    FAIL_MKDIR,
    FAIL_READ,
    FAIL_NOREPLACE,
    FAIL_READDIR
};

static struct {
    int call;
    int error;
    bool slow;          /* one octet at a time, interrupted before each */
    bool somebody_else; /* what we are for geteuid */
} fault;

static unsigned calls;

static bool faulty(int call)
{
    if (fault.call != call)
        return false;
    errno = fault.error;
    return true;
}

ssize_t __real_write(int fd, const void *in, size_t size);
ssize_t __wrap_write(int fd, const void *in, size_t size);
ssize_t __wrap_write(int fd, const void *in, size_t size)
{
    if (faulty(FAIL_WRITE))
        return -1;
    if (fault.slow && calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, in, fault.slow && size > 0 ? 1 : size);
}

ssize_t __real_read(int fd, void *out, size_t size);
ssize_t __wrap_read(int fd, void *out, size_t size);
ssize_t __wrap_read(int fd, void *out, size_t size)
{
    if (faulty(FAIL_READ))
        return -1;
    if (fault.slow && calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return __real_read(fd, out, fault.slow && size > 0 ? 1 : size);
}

static ino_t synced[64]; /* what has been synced since the test began */
static size_t synced_count;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && synced_count < sizeof synced / sizeof synced[0])
        synced[synced_count++] = st.st_ino;
    return faulty(FAIL_FSYNC) ? -1 : __real_fsync(fd);
}

struct dirent64 *__real_readdir64(DIR *dir);
struct dirent64 *__wrap_readdir64(DIR *dir);
struct dirent64 *__wrap_readdir64(DIR *dir)
{
    return faulty(FAIL_READDIR) ? NULL : __real_readdir64(dir);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return faulty(FAIL_RENAME) ? -1 : __real_rename(from, to);
}

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return faulty(FAIL_RENAME) || (flags && faulty(FAIL_NOREPLACE))
               ? -1
               : __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    return faulty(FAIL_MKDIR) ? -1 : __real_mkdir(path, mode);
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return __real_geteuid() + fault.somebody_else;
}

/* --- a directory for each test -------------------------------------------------------------- */

static char top[64];
static struct cn_home *home;

static void path_of(const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/home/%s", top, name);
}

static int home_setup(void **state)
{
    char path[PATH_MAX];

    (void)state;
    memset(&fault, 0, sizeof fault);
    snprintf(top, sizeof top, "%s", "/tmp/cn-test-home-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    path_of("", path);
    path[strlen(path) - 1] = '\0';
    return cn_home_open(&home, path) == CN_OK ? 0 : -1;
}

static int home_teardown(void **state)
{
    char command[128];

    (void)state;
    memset(&fault, 0, sizeof fault);
    cn_home_close(home);
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

static size_t slurp(const char *name, char *out)
{
    char path[PATH_MAX];
    FILE *file;
    size_t size;

    path_of(name, path);
    file = fopen(path, "rb");
    if (!file)
        return 0;
    size = fread(out, 1, TEXT_SIZE_MAX, file);
    fclose(file);
    return size;
}

/* Entries of a directory of the home, but . and .. */
static int entries(const char *name)
{
    char path[PATH_MAX];
    DIR *dir;
    int count = -2;

    path_of(name, path);
    dir = opendir(path);
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void mode_is(const char *name, mode_t mode)
{
    struct stat st;
    char path[PATH_MAX];

    path_of(name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
}

/* A fingerprint of server number n for subscriber number who. */
static size_t fingerprint_text(uint8_t n, uint8_t who, char text[TEXT_SIZE_MAX])
{
    const struct cn_operator_secret operator_secret = { { n } };
    struct cn_fingerprint f = { .has_secret = true, .address_count = 1 };
    size_t size = 0;

    fill(who, f.secret.bytes, sizeof f.secret.bytes);
    f.server_key.bytes[0] = n;
    f.certificate.serial = who;
    f.certificate.not_before = 1000;
    f.certificate.not_after = 2000;
    snprintf(f.label, sizeof f.label, "somebody");
    snprintf(f.address[0], sizeof f.address[0], "server.example:7473");
    assert_err(cn_x25519_public(f.secret.bytes, f.certificate.admission_key), CN_OK);
    assert_err(cn_certificate_sign(&f.certificate, &operator_secret), CN_OK);
    assert_err(cn_ed25519_public(operator_secret.bytes, f.operator_key.bytes), CN_OK);
    assert_err(cn_fingerprint_encode(&crypto, &f, text, TEXT_SIZE_MAX, &size), CN_OK);
    return size;
}

static void join(struct cn_home *who, uint8_t number)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = fingerprint_text(1, number, text);

    assert_err(cn_home_join(who, text, size, false), CN_OK);
}

/* Another subscriber, in a directory beside. */
static struct cn_home *other_open(const char *name, uint8_t number)
{
    struct cn_home *other = NULL;
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", top, name);
    assert_err(cn_home_open(&other, path), CN_OK);
    join(other, number);
    return other;
}

static size_t offer(struct cn_home *who, const char *name, char text[TEXT_SIZE_MAX])
{
    size_t size = TEXT_SIZE_MAX;

    assert_err(cn_contact_offer(who, name, false, text, &size), CN_OK);
    return size;
}

/* --- places --------------------------------------------------------------------------------- */

static void without_a_place_there_is_no_home(void **state)
{
    struct cn_home *none = NULL;
    char *far;

    (void)state;
    unsetenv("CYPHERNET_HOME");
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    assert_err(cn_home_open(&none, NULL), CN_E_ABSENT);
    setenv("HOME", "relative", 1);
    assert_err(cn_home_open(&none, NULL), CN_E_ABSENT);
    far = malloc(PATH_MAX + 1);
    assert_non_null(far);
    memset(far, 'x', PATH_MAX);
    far[0] = '/';
    far[PATH_MAX] = '\0';
    assert_err(cn_home_open(&none, far), CN_E_ABSENT);
    free(far);
    assert_null(none);
    cn_home_close(NULL);
}

static void opening_writes_nothing(void **state)
{
    const char *kind = "untouched";

    (void)state;
    assert_err(cn_home_identity_kind(home, &kind), CN_E_ABSENT);
    assert_string_equal(kind, "untouched");
    assert_non_null(strstr(cn_home_detail(home)->about, "/home/identity"));
    assert_int_equal(access(top, F_OK), 0);
    assert_int_equal(entries(""), 0);
}

static void everything_is_for_its_owner_alone(void **state)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = sizeof text;
    mode_t old = umask(0);

    (void)state;
    assert_err(cn_home_request(home, text, &size), CN_OK);
    join(home, 1);
    offer(home, "bob", text);
    umask(old);
    mode_is("", 0700);
    mode_is("contacts", 0700);
    mode_is("admission.key", 0600);
    mode_is("identity", 0600);
    mode_is("fingerprint", 0600);
    mode_is("contacts/bob", 0600);
}

/* --- identity ------------------------------------------------------------------------------- */

static bool is_synced(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < synced_count; i++) {
        if (synced[i] == st.st_ino)
            return true;
    }
    return false;
}

static void what_is_made_is_synced_with_the_directories_above(void **state)
{
    static const char *const names[] = { "identity", "fingerprint", "contacts", "contacts/bob" };
    static char text[TEXT_SIZE_MAX];
    char path[PATH_MAX];

    (void)state;
    synced_count = 0;
    join(home, 1);
    offer(home, "bob", text);
    for (size_t i = 0; i < COUNT(names); i++) {
        path_of(names[i], path);
        assert_true(is_synced(path));
    }
    path_of("", path);
    assert_true(is_synced(path));
    assert_true(is_synced(top));
}

static void an_identity_is_made_once(void **state)
{
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    const char *kind = NULL;
    size_t size;

    (void)state;
    assert_err(cn_home_identity_create(home, 1024), CN_E_USAGE);
    assert_err(cn_home_identity_create(home, 1), CN_E_USAGE);
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    size = slurp("identity", before);
    assert_err(cn_home_identity_create(home, 0), CN_E_EXISTS);
    assert_err(cn_home_identity_create(home, 2048), CN_E_EXISTS);
    assert_int_equal(slurp("identity", after), size);
    assert_memory_equal(after, before, size);
    assert_err(cn_home_identity_kind(home, &kind), CN_OK);
    assert_string_equal(kind, "X25519");
}

static enum cn_err failing_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    (void)out;
    (void)size;
    return CN_E_RANDOM;
}

static void without_randomness_nothing_is_written(void **state)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = fingerprint_text(1, 1, text);
    size_t room = sizeof text;

    (void)state;
    home->random.fill = failing_fill;
    assert_err(cn_home_identity_create(home, 0), CN_E_RANDOM);
    assert_err(cn_home_join(home, text, size, false), CN_E_RANDOM);
    assert_err(cn_home_request(home, text, &room), CN_E_RANDOM);
    assert_int_equal(entries(""), 0);
}

/* --- files that are not as they must be ----------------------------------------------------- */

static void a_secret_that_others_may_use_is_refused(void **state)
{
    char path[PATH_MAX];

    (void)state;
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    path_of("identity", path);
    for (mode_t mode = 0; mode < 0100; mode++) {
        const char *kind;

        assert_int_equal(chmod(path, 0600 | mode), 0);
        errno = ENOENT; /* left over: must not be told */
        if (mode == 0) {
            assert_err(cn_home_identity_kind(home, &kind), CN_OK);
            continue;
        }
        assert_err(cn_home_identity_kind(home, &kind), CN_E_OPEN_MODE);
        assert_string_equal(cn_home_detail(home)->about, path);
        assert_int_equal(cn_home_detail(home)->system_error, 0);
    }
}

static void a_secret_of_another_user_is_refused(void **state)
{
    char path[PATH_MAX];
    const char *kind;

    (void)state;
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    path_of("identity", path);
    fault.somebody_else = true;
    assert_err(cn_home_identity_kind(home, &kind), CN_E_OPEN_MODE);
    assert_string_equal(cn_home_detail(home)->about, path);
    fault.somebody_else = false;
    assert_err(cn_home_identity_kind(home, &kind), CN_OK);
}

/* A pipe nobody writes to must not hang us; a link may point anywhere. */
static void what_is_no_plain_file_is_refused(void **state)
{
    char path[PATH_MAX];
    char target[PATH_MAX];
    const char *kind;

    (void)state;
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    path_of("identity", path);
    path_of("elsewhere", target);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_err(cn_home_identity_kind(home, &kind), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_err(cn_home_identity_kind(home, &kind), CN_E_SYSTEM);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_err(cn_home_identity_kind(home, &kind), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EISDIR);
}

static void a_file_is_read_up_to_its_limit_and_no_further(void **state)
{
    char path[PATH_MAX];
    char got[8];
    size_t size = 99;

    (void)state;
    snprintf(path, sizeof path, "%s/file", top);
    assert_err(cn_file_read(path, false, got, sizeof got, &size), CN_E_ABSENT);
    assert_err(cn_file_write(path, false, "12345678", 8), CN_OK);
    assert_err(cn_file_read(path, true, got, 8, &size), CN_OK);
    assert_int_equal(size, 8);
    assert_err(cn_file_read(path, true, got, 7, &size), CN_E_FULL);
    assert_err(cn_file_read(path, true, got, 0, &size), CN_E_FULL);
    assert_err(cn_file_write(path, false, "x", 1), CN_E_EXISTS);
    assert_err(cn_file_write(path, true, "", 0), CN_OK);
    assert_err(cn_file_read(path, true, got, 0, &size), CN_OK);
    assert_int_equal(size, 0);
}

/* --- faults of the system ------------------------------------------------------------------- */

static void nothing_is_half_written_whatever_fails(void **state)
{
    static const struct {
        int call;
        int error;
    } faults[] = {
        { FAIL_WRITE, ENOSPC }, { FAIL_WRITE, EDQUOT }, { FAIL_FSYNC, EIO },
        { FAIL_FSYNC, ENOSPC }, { FAIL_RENAME, EROFS }, { FAIL_RENAME, ENOSPC },
    };
    static char text[TEXT_SIZE_MAX];
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    static char card[TEXT_SIZE_MAX];
    struct cn_home *bob;
    size_t before_size, card_size;

    (void)state;
    join(home, 1);
    bob = other_open("bob", 2);
    card_size = offer(bob, "ann", card);
    offer(home, "bob", text);
    before_size = slurp("contacts/bob", before);
    for (size_t i = 0; i < COUNT(faults); i++) {
        size_t room = sizeof text;

        fault.call = faults[i].call;
        fault.error = faults[i].error;
        assert_err(cn_contact_accept(home, "bob", card, card_size, false), CN_E_SYSTEM);
        assert_int_equal(cn_home_detail(home)->system_error, faults[i].error);
        assert_non_null(strstr(cn_home_detail(home)->about, "contacts/bob"));
        assert_err(cn_contact_offer(home, "bob", true, text, &room), CN_E_SYSTEM);
        assert_err(cn_contact_offer(home, "carol", false, text, &room), CN_E_SYSTEM);
        fault.call = FAIL_NONE;
        assert_int_equal(slurp("contacts/bob", after), before_size);
        assert_memory_equal(after, before, before_size);
        assert_int_equal(entries("contacts"), 1);
    }
    assert_err(cn_contact_accept(home, "bob", card, card_size, false), CN_OK);
    cn_home_close(bob);
}

static void the_first_files_are_whole_or_not_there(void **state)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = fingerprint_text(1, 1, text);

    (void)state;
    for (int call = FAIL_WRITE; call <= FAIL_RENAME; call++) {
        size_t room = sizeof text;
        char request[1024];

        fault.call = call;
        fault.error = ENOSPC;
        room = sizeof request;
        assert_err(cn_home_identity_create(home, 0), CN_E_SYSTEM);
        assert_err(cn_home_join(home, text, size, false), CN_E_SYSTEM);
        assert_err(cn_home_request(home, request, &room), CN_E_SYSTEM);
        fault.call = FAIL_NONE;
        assert_int_equal(entries(""), 0);
    }
}

static void a_file_system_that_only_renames_replaces_nothing_either(void **state)
{
    static const int errors[] = { EINVAL, ENOSYS };
    static char text[TEXT_SIZE_MAX];
    size_t size;

    (void)state;
    join(home, 1); /* makes the directory */
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct cn_home *other = other_open(i == 0 ? "einval" : "enosys", 1);

        fault.call = FAIL_NOREPLACE;
        fault.error = errors[i];
        assert_err(cn_home_identity_create(home, 0), CN_E_EXISTS);
        size = sizeof text;
        assert_err(cn_home_request(other, text, &size), CN_OK);
        offer(home, "ann", text);
        offer(home, "bob", text);
        assert_err(cn_contact_rename(home, "ann", "bob"), CN_E_EXISTS);
        assert_err(cn_contact_rename(home, "ann", "carol"), CN_OK);
        assert_int_equal(entries("contacts"), 2);
        assert_err(cn_contact_remove(home, "carol"), CN_OK);
        fault.call = FAIL_NONE;
        cn_home_close(other);
    }
}

static void a_directory_that_cannot_be_made_is_told(void **state)
{
    (void)state;
    fault.call = FAIL_MKDIR;
    fault.error = EACCES;
    assert_err(cn_home_identity_create(home, 0), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EACCES);
}

static void reading_that_fails_is_told(void **state)
{
    const char *kind;

    (void)state;
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    fault.call = FAIL_READ;
    fault.error = EIO;
    assert_err(cn_home_identity_kind(home, &kind), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EIO);
}

static void contacts_that_cannot_be_listed_are_told(void **state)
{
    static char card[TEXT_SIZE_MAX];
    struct cn_contact_info *list = NULL;
    struct cn_home *bob;
    size_t count = 9, card_size;

    (void)state;
    join(home, 1);
    bob = other_open("bob", 2);
    card_size = offer(bob, "ann", card);
    fault.call = FAIL_READDIR;
    fault.error = EIO;
    assert_err(cn_contact_list(home, &list, &count), CN_OK); /* no contacts yet: nothing to read */
    free(list);
    fault.call = FAIL_NONE;
    assert_err(cn_contact_accept(home, "bob", card, card_size, false), CN_OK);
    fault.call = FAIL_READDIR;
    assert_err(cn_contact_list(home, &list, &count), CN_E_SYSTEM);
    assert_int_equal(cn_home_detail(home)->system_error, EIO);
    /* whether it is known under another name cannot be said */
    assert_err(cn_contact_accept(home, "robert", card, card_size, false), CN_E_SYSTEM);
    fault.call = FAIL_NONE;
    assert_int_equal(entries("contacts"), 1);
    cn_home_close(bob);
}

static void interruptions_and_short_counts_are_no_failures(void **state)
{
    const char *kind;

    (void)state;
    fault.slow = true;
    assert_err(cn_home_identity_create(home, 0), CN_OK);
    assert_err(cn_home_identity_kind(home, &kind), CN_OK);
}

/* --- joining -------------------------------------------------------------------------------- */

static void joining_tells_what_the_fingerprint_says(void **state)
{
    struct cn_admission_info info;

    (void)state;
    assert_err(cn_home_admission(home, &info), CN_E_ABSENT);
    join(home, 7);
    assert_err(cn_home_admission(home, &info), CN_OK);
    assert_string_equal(info.label, "somebody");
    assert_int_equal(info.address_count, 1);
    assert_string_equal(info.address[0], "server.example:7473");
    assert_int_equal(info.serial, 7);
    assert_int_equal(info.not_before, 1000);
    assert_int_equal(info.not_after, 2000);
}

static void a_fingerprint_that_is_refused_leaves_the_one_held(void **state)
{
    static char text[TEXT_SIZE_MAX];
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    size_t size = fingerprint_text(1, 2, text);
    size_t before_size;

    (void)state;
    join(home, 1);
    before_size = slurp("fingerprint", before);
    for (size_t cut = 0; cut < size - 1; cut += 7)
        assert_true(cn_home_join(home, text, cut, false) != CN_OK);
    for (size_t at = 0; at < size; at += 3) {
        text[at] ^= 1;
        assert_true(cn_home_join(home, text, size, false) != CN_OK);
        text[at] ^= 1;
    }
    assert_int_equal(slurp("fingerprint", after), before_size);
    assert_memory_equal(after, before, before_size);
}

/* --- contacts ------------------------------------------------------------------------------- */

static void contacts_come_in_order_and_only_what_is_one(void **state)
{
    static char text[TEXT_SIZE_MAX];
    struct cn_contact_info *list = NULL;
    char path[PATH_MAX];
    size_t count = 9;

    (void)state;
    assert_err(cn_contact_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 0);
    free(list);
    join(home, 1);
    offer(home, "zoe", text);
    offer(home, "Bob", text);
    offer(home, "ann", text);
    path_of("contacts/.left.over.tmp", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_err(cn_contact_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, "Bob");
    assert_string_equal(list[1].name, "ann");
    assert_string_equal(list[2].name, "zoe");
    assert_true(list[0].offered && !list[0].accepted && !list[0].verified);
    assert_string_equal(list[0].safety, "");
    free(list);
}

static void a_contact_that_cannot_be_used_is_listed_with_the_reason(void **state)
{
    static char text[TEXT_SIZE_MAX];
    struct cn_contact_info *list = NULL;
    char path[PATH_MAX];
    size_t count = 9;

    (void)state;
    join(home, 1);
    offer(home, "ann", text);
    offer(home, "bob", text);
    path_of("contacts/ann", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_err(cn_contact_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 2);
    assert_err(list[0].err, CN_E_OPEN_MODE);
    assert_string_equal(list[0].name, "ann");
    assert_false(list[0].offered);
    assert_err(list[1].err, CN_OK);
    assert_true(list[1].offered);
    free(list);

    list = NULL;
    path_of("identity", path);
    assert_int_equal(unlink(path), 0);
    assert_err(cn_contact_list(home, &list, &count), CN_E_ABSENT);
    assert_null(list);
    assert_int_equal(count, 2);
    assert_string_equal(cn_home_detail(home)->about, path);
}

static void a_buffer_that_is_too_small_is_told(void **state)
{
    char small[100];
    size_t size = sizeof small;

    (void)state;
    join(home, 1);
    assert_err(cn_contact_offer(home, "bob", false, small, &size), CN_E_FULL);
    assert_int_equal(size, sizeof small);
    assert_err(cn_home_request(home, small, &size), CN_E_FULL);
    assert_int_equal(size, sizeof small);
}

static enum cn_err pair_of(struct cn_home *h, const char *name, struct cn_pair *pair,
                           bool *verified)
{
    struct cn_fingerprint fingerprint;
    struct cn_identities identities;
    struct cn_contact_pairs pairs = { 0 };
    enum cn_err err;

    assert_err(cn_home_fingerprint(h, &fingerprint), CN_OK);
    assert_err(cn_home_identities(h, &identities), CN_OK);
    err = cn_contact_pairs(h, name, &identities, &fingerprint, &pairs);
    *pair = pairs.now;
    *verified = pairs.verified;
    assert_false(pairs.has_next);
    cn_fingerprint_wipe(&fingerprint);
    cn_identities_wipe(&identities);
    return err;
}

/* What call.c dials with: alike at both ends, and only once both cards are there. */
static void a_pair_needs_both_cards(void **state)
{
    static char mine[TEXT_SIZE_MAX];
    static char theirs[TEXT_SIZE_MAX];
    struct cn_home *bob;
    struct cn_pair one, two;
    size_t size;
    bool verified = true;

    (void)state;
    join(home, 1);
    bob = other_open("bob", 2);
    assert_err(pair_of(home, "bob", &one, &verified), CN_E_ABSENT);
    assert_false(verified);
    size = offer(home, "bob", mine);
    assert_err(pair_of(home, "bob", &one, &verified), CN_E_ABSENT);
    assert_string_equal(cn_home_detail(home)->about, "bob");
    assert_err(cn_contact_accept(bob, "ann", mine, size, false), CN_OK);
    assert_err(pair_of(bob, "ann", &two, &verified), CN_OK);
    size = offer(bob, "ann", theirs);
    assert_err(cn_contact_accept(home, "bob", theirs, size, false), CN_OK);
    assert_err(pair_of(home, "bob", &one, &verified), CN_OK);
    assert_false(verified);
    assert_memory_equal(&one.tag_key, &two.tag_key, sizeof one.tag_key);
    assert_memory_equal(&one.chain_key, &two.chain_key, sizeof one.chain_key);
    assert_string_equal(one.safety, two.safety);
    assert_err(cn_contact_verify(home, "bob"), CN_OK);
    assert_err(pair_of(home, "bob", &one, &verified), CN_OK);
    assert_true(verified);
    cn_home_close(bob);
}

/* --- notices --------------------------------------------------------------------------------- */

/* A notice of server 1's operator for everybody: moved, and with another key. */
static size_t moved_notice(uint64_t number, uint8_t out[CN_NOTICE_SIZE_MAX])
{
    const struct cn_operator_secret operator_secret = { { 1 } };
    struct cn_notice n = { .number = number,
                           .server = { { 1 } },
                           .parts = CN_NOTICE_ADDRESSES | CN_NOTICE_SERVER_KEY,
                           .address_count = 1,
                           .server_key = { { 77 } } };
    size_t size = 0;

    snprintf(n.address[0], sizeof n.address[0], "new.example:%u", (unsigned)number);
    assert_err(cn_notice_make(&n, &operator_secret, out, CN_NOTICE_SIZE_MAX, &size), CN_OK);
    return size;
}

static void a_notice_that_cannot_be_stored_leaves_the_old_fingerprint(void **state)
{
    static const struct {
        int call;
        int error;
    } faults[] = {
        { FAIL_WRITE, ENOSPC },
        { FAIL_FSYNC, EIO },
        { FAIL_RENAME, EROFS },
        { FAIL_READ, EIO },
    };
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    uint8_t notice[CN_NOTICE_SIZE_MAX];
    size_t size = moved_notice(5, notice);
    size_t before_size;

    (void)state;
    join(home, 1);
    before_size = slurp("fingerprint", before);
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct cn_fingerprint f;
        struct cn_notices_taken taken;
        int count = entries("");

        assert_err(cn_home_fingerprint(home, &f), CN_OK);
        fault.call = faults[i].call;
        fault.error = faults[i].error;
        cn_home_notices(home, notice, size, &f, &taken);
        fault.call = FAIL_NONE;
        assert_err(taken.err, CN_E_SYSTEM);
        assert_int_equal(cn_home_detail(home)->system_error, faults[i].error);
        assert_false(taken.stored);
        assert_int_equal(taken.changes, CN_NOTICE_MOVED | CN_NOTICE_REKEYED);
        assert_string_equal(f.address[0], "new.example:5"); /* for this call */
        assert_int_equal(slurp("fingerprint", after), before_size);
        assert_memory_equal(after, before, before_size);
        assert_int_equal(entries(""), count);
        cn_fingerprint_wipe(&f);
    }
}

static void a_notice_is_stored_and_contacts_stay_good(void **state)
{
    static char mine[TEXT_SIZE_MAX];
    static char theirs[TEXT_SIZE_MAX];
    static char again[TEXT_SIZE_MAX];
    uint8_t notice[CN_NOTICE_SIZE_MAX];
    size_t notice_size = moved_notice(5, notice);
    struct cn_fingerprint f;
    struct cn_notices_taken taken;
    struct cn_pair one, two;
    struct cn_home *bob;
    size_t size;
    bool verified;

    (void)state;
    join(home, 1);
    bob = other_open("bob", 2); /* he is not told yet */
    size = offer(home, "bob", mine);
    assert_err(cn_contact_accept(bob, "ann", mine, size, false), CN_OK);
    assert_err(cn_home_fingerprint(home, &f), CN_OK);
    cn_home_notices(home, notice, notice_size, &f, &taken);
    assert_err(taken.err, CN_OK);
    assert_true(taken.stored);
    cn_fingerprint_wipe(&f);
    assert_err(cn_home_fingerprint(home, &f), CN_OK);
    assert_string_equal(f.address[0], "new.example:5");
    assert_int_equal(f.server_key.bytes[0], 77);
    mode_is("fingerprint", 0600);
    assert_int_equal(offer(home, "bob", again), size); /* the card is the same */
    assert_memory_equal(again, mine, size);
    size = offer(bob, "ann", theirs);
    assert_err(cn_contact_accept(home, "bob", theirs, size, false), CN_OK);
    assert_err(pair_of(home, "bob", &one, &verified), CN_OK);
    assert_err(pair_of(bob, "ann", &two, &verified), CN_OK);
    assert_string_equal(one.safety, two.safety);
    cn_home_notices(home, notice, notice_size, &f, &taken); /* the same again */
    assert_err(taken.err, CN_OK);
    assert_int_equal(taken.changes, 0);
    cn_fingerprint_wipe(&f);
    cn_home_close(bob);
}

static void a_notice_changes_nothing_of_another_who_has_joined_meanwhile(void **state)
{
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    uint8_t notice[CN_NOTICE_SIZE_MAX];
    size_t size = moved_notice(5, notice);
    struct cn_notices_taken taken;
    struct cn_fingerprint f;
    size_t before_size;

    (void)state;
    join(home, 1);
    assert_err(cn_home_fingerprint(home, &f), CN_OK);
    join(home, 2);
    before_size = slurp("fingerprint", before);
    cn_home_notices(home, notice, size, &f, &taken);
    assert_int_equal(slurp("fingerprint", after), before_size);
    assert_memory_equal(after, before, before_size);
    cn_fingerprint_wipe(&f);
}

/* What is good is taken up to the first that is not. */
static void what_follows_a_bad_notice_is_not_looked_at(void **state)
{
    uint8_t field[3 * CN_NOTICE_SIZE_MAX];
    size_t first = moved_notice(5, field);
    size_t second = moved_notice(6, field + first);
    size_t third = moved_notice(7, field + first + second);
    struct cn_notices_taken taken;
    struct cn_fingerprint f;

    (void)state;
    join(home, 1);
    assert_err(cn_home_fingerprint(home, &f), CN_OK);
    field[first + second - 1] ^= 1;
    cn_home_notices(home, field, first + second + third, &f, &taken);
    assert_err(taken.err, CN_E_AUTH);
    assert_true(taken.stored);
    assert_int_equal(f.notice_number, 5);
    cn_fingerprint_wipe(&f);
    assert_err(cn_home_fingerprint(home, &f), CN_OK);
    assert_int_equal(f.notice_number, 5);
    for (size_t size = 0; size < third; size++) { /* and rubbish is no notice */
        cn_home_notices(home, field + first + second, size, &f, &taken);
        assert_string_equal(err_name(taken.err), size == 0 ? "CN_OK" : "CN_E_FORMAT");
        assert_int_equal(f.notice_number, 5);
    }
    cn_fingerprint_wipe(&f);
}

/* The first of them that fails decides; none writes anything. */
static void every_refusal_leaves_everything(void **state)
{
    static char text[TEXT_SIZE_MAX];
    static char card[TEXT_SIZE_MAX];
    static char before[TEXT_SIZE_MAX];
    static char after[TEXT_SIZE_MAX];
    struct cn_home *bob;
    size_t size, before_size;

    (void)state;
    join(home, 1);
    bob = other_open("bob", 2);
    size = offer(home, "me", text);
    assert_err(cn_contact_accept(home, "me", text, size, false), CN_E_OWN);
    size = offer(bob, "ann", card);
    assert_err(cn_contact_accept(home, "bob", card, size, false), CN_OK);
    before_size = slurp("contacts/bob", before);
    assert_err(cn_contact_accept(home, "robert", card, size, false), CN_E_KNOWN);
    assert_string_equal(cn_home_detail(home)->about, "bob");
    assert_err(cn_contact_accept(home, "robert", card, size, true), CN_E_KNOWN);
    assert_err(cn_contact_accept(home, "bob", card, size, false), CN_OK);
    size = sizeof card;
    assert_err(cn_contact_offer(bob, "ann", true, card, &size), CN_OK);
    assert_err(cn_contact_accept(home, "bob", card, size, false), CN_E_EXISTS);
    assert_err(cn_contact_accept(home, "b/b", card, size, false), CN_E_NAME);
    for (size_t cut = 0; cut < size - 1; cut += 41)
        assert_true(cn_contact_accept(home, "carol", card, cut, false) != CN_OK);
    assert_int_equal(slurp("contacts/bob", after), before_size);
    assert_memory_equal(after, before, before_size);
    assert_int_equal(entries("contacts"), 2);
    cn_home_close(bob);
}

static void a_random_contact_file_is_refused(void **state)
{
    static char text[TEXT_SIZE_MAX];
    static char good[TEXT_SIZE_MAX];
    struct cn_contact_info info;
    char path[PATH_MAX];
    size_t size;

    (void)state;
    join(home, 1);
    offer(home, "bob", text);
    path_of("contacts/bob", path);
    size = slurp("contacts/bob", good);
    for (size_t at = 0; at < size; at += 17) {
        FILE *file = fopen(path, "r+b");

        assert_non_null(file);
        memcpy(text, good, size);
        text[at] ^= 4;
        assert_int_equal(fwrite(text, 1, size, file), size);
        fclose(file);
        assert_true(cn_contact_show(home, "bob", &info) != CN_OK);
        assert_string_equal(cn_home_detail(home)->about, path);
    }
}

int main(void)
{
#define HOME_TEST(function) cmocka_unit_test_setup_teardown(function, home_setup, home_teardown)
    const struct CMUnitTest tests[] = {
        HOME_TEST(without_a_place_there_is_no_home),
        HOME_TEST(opening_writes_nothing),
        HOME_TEST(everything_is_for_its_owner_alone),
        HOME_TEST(what_is_made_is_synced_with_the_directories_above),
        HOME_TEST(an_identity_is_made_once),
        HOME_TEST(without_randomness_nothing_is_written),
        HOME_TEST(a_secret_that_others_may_use_is_refused),
        HOME_TEST(a_secret_of_another_user_is_refused),
        HOME_TEST(what_is_no_plain_file_is_refused),
        HOME_TEST(a_file_is_read_up_to_its_limit_and_no_further),
        HOME_TEST(nothing_is_half_written_whatever_fails),
        HOME_TEST(the_first_files_are_whole_or_not_there),
        HOME_TEST(a_file_system_that_only_renames_replaces_nothing_either),
        HOME_TEST(a_directory_that_cannot_be_made_is_told),
        HOME_TEST(reading_that_fails_is_told),
        HOME_TEST(contacts_that_cannot_be_listed_are_told),
        HOME_TEST(interruptions_and_short_counts_are_no_failures),
        HOME_TEST(joining_tells_what_the_fingerprint_says),
        HOME_TEST(a_fingerprint_that_is_refused_leaves_the_one_held),
        HOME_TEST(contacts_come_in_order_and_only_what_is_one),
        HOME_TEST(a_contact_that_cannot_be_used_is_listed_with_the_reason),
        HOME_TEST(a_buffer_that_is_too_small_is_told),
        HOME_TEST(a_pair_needs_both_cards),
        HOME_TEST(a_notice_that_cannot_be_stored_leaves_the_old_fingerprint),
        HOME_TEST(a_notice_is_stored_and_contacts_stay_good),
        HOME_TEST(a_notice_changes_nothing_of_another_who_has_joined_meanwhile),
        HOME_TEST(what_follows_a_bad_notice_is_not_looked_at),
        HOME_TEST(every_refusal_leaves_everything),
        HOME_TEST(a_random_contact_file_is_refused),
    };
#undef HOME_TEST

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
