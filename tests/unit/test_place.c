/* The receiver's side of a tree: nothing leads out of its directory, nothing that was there is
 * lost, what is not whole never looks so, and what was interrupted goes on only as the same file.
 */
#include "openat2.h"
#include "tree.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cyphernet.h>

#include "home.h"
#include "leftover.h"
#include "storing.h"

enum { MIB = 1024 * 1024, MTIME_S = 1000000000, MTIME_NS = 123456789 };

/* --- system calls that fail when told ------------------------------------------------------- */

static struct {
    int syncfs, fsync, fdatasync; /* an errno, or 0 */
} fails;

static unsigned syncs;

/* The disk itself is not asked: a hundred thousand files would take minutes under a sanitizer. */
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    (void)fd;
    syncs++;
    errno = fails.syncfs;
    return fails.syncfs ? -1 : 0;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    syncs++;
    errno = fails.fsync;
    return fails.fsync ? -1 : __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    errno = fails.fdatasync;
    return fails.fdatasync ? -1 : __real_fdatasync(fd);
}

/* --- a place for each test ------------------------------------------------------------------ */

static struct cn_home *home;
static struct cn_journals *journals;
static struct cn_place *place;

static void place_again(enum cn_place_policy policy)
{
    const struct cn_place_options options = {
        .policy = policy, .random = cn_home_random(home), .journals = journals, .partner = "ann"
    };

    cn_place_close(place);
    place = NULL;
    assert_err(cn_place_open(&place, at("in"), &options), CN_OK);
}

static int setup(void **state)
{
    memset(&fails, 0, sizeof fails);
    openat2_error = 0;
    if (tree_setup(state) != 0 || cn_home_open(&home, at("home")) != CN_OK)
        return -1;
    journals = NULL;
    place = NULL;
    make_directory("in");
    make_directory("outside");
    make_file("outside/file", "theirs");
    assert_err(cn_journals_open(&journals, home), CN_OK);
    place_again(CN_PLACE_KEEP);
    return 0;
}

/* What is in a directory, but . and .. */
static unsigned count_in(const char *path)
{
    DIR *dir = opendir(at(path));
    unsigned count = 0;
    struct dirent *found;

    assert_non_null(dir);
    while ((found = readdir(dir)))
        count += strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static int teardown(void **state)
{
    assert_int_equal(count_in("outside"), 1);
    file_is("outside/file", "theirs");
    memset(&fails, 0, sizeof fails);
    cn_place_close(place);
    cn_journals_close(journals);
    cn_home_close(home);
    return tree_teardown(state);
}

static struct cn_entry entry_of(enum cn_entry_type type, const char *name, uint64_t size)
{
    return (struct cn_entry) { .type = type,
                               .mode = type == CN_ENTRY_DIRECTORY ? 0755 : 0640,
                               .size = size,
                               .filled = size,
                               .mtime_s = MTIME_S,
                               .mtime_ns = MTIME_NS,
                               .identity = 7,
                               .name = name,
                               .name_size = strlen(name) };
}

static enum cn_err directory(const char *name)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_DIRECTORY, name, 0);

    return cn_place_make_directory(place, &entry);
}

static enum cn_err make_it_link(const char *name, const char *target)
{
    struct cn_entry entry = entry_of(CN_ENTRY_LINK, name, 0);

    entry.target = target;
    entry.target_size = strlen(target);
    return cn_place_make_link(place, &entry);
}

static enum cn_err judged(const struct cn_entry *entry)
{
    struct cn_there there;

    return cn_place_judge(place, entry, &there);
}

/* All of a file, as far as it goes. stored, unless NULL, gets the name. */
static enum cn_err receive(const char *name, const char *text, char *stored)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, name, strlen(text));
    struct cn_part part;
    struct cn_part *parts[] = { &part };
    enum cn_err err = judged(&entry);

    if (err != CN_OK)
        return err;
    cn_part_init(&part);
    err = cn_part_open(&part, place, &entry);
    if (err == CN_OK)
        err = cn_part_write(&part, text, strlen(text));
    if (err == CN_OK)
        err = cn_part_seal(&part);
    if (err == CN_OK) {
        cn_storing_all(place, parts, 1);
        err = part.err;
        errno = part.error;
    }
    if (stored)
        snprintf(stored, CN_ENTRY_PART_SIZE_MAX + 1, "%s", part.stored);
    cn_part_close(&part, false);
    return err;
}

/* --- hostile names -------------------------------------------------------------------------- */

static void names_that_lead_out_are_refused(void **state)
{
    static const char *const bad[] = { "..",     ".",     "/",    "/etc/x", "../x", "a/..",
                                       "a/../b", "a/./b", "a//b", "a/",     "" };
    static char large[CN_ENTRY_NAME_SIZE_MAX + 2];
    struct cn_entry entry;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_err(directory(bad[i]), CN_E_FORMAT);
        assert_err(make_it_link(bad[i], "x"), CN_E_FORMAT);
        assert_err(receive(bad[i], "x", NULL), CN_E_FORMAT);
    }
    memset(large, 'x', 256);
    assert_err(receive(large, "x", NULL), CN_E_FORMAT);
    for (size_t i = 0; i < CN_ENTRY_NAME_SIZE_MAX; i += 2)
        memcpy(large + i, "x/", 2);
    large[CN_ENTRY_NAME_SIZE_MAX] = 'x';
    assert_err(receive(large, "x", NULL), CN_E_FORMAT);
    entry = entry_of(CN_ENTRY_FILE, "a\0b", 0);
    entry.name_size = 3;
    assert_err(judged(&entry), CN_E_FORMAT);
    assert_int_equal(count_in("in"), 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 0);

    (void)state;
    entry.mode = 04755;
    assert_err(judged(&entry), CN_E_FORMAT);
    entry = entry_of(CN_ENTRY_FILE, "a", (uint64_t)INT64_MAX + 1);
    assert_err(judged(&entry), CN_E_FORMAT);
    entry = entry_of(CN_ENTRY_DIRECTORY, "a", 1);
    assert_err(judged(&entry), CN_E_FORMAT);
    entry = entry_of((enum cn_entry_type)4, "a", 0);
    assert_err(judged(&entry), CN_E_FORMAT);
    entry = entry_of((enum cn_entry_type)0, "a", 0);
    assert_err(judged(&entry), CN_E_FORMAT);
    entry = entry_of(CN_ENTRY_FILE, "a", 0);
    entry.mtime_ns = 1000000000;
    assert_err(judged(&entry), CN_E_FORMAT);
    assert_err(make_it_link("a", ""), CN_E_FORMAT);
    entry = entry_of(CN_ENTRY_LINK, "a", 0);
    assert_err(judged(&entry), CN_E_FORMAT);
    entry.target = "a\0b";
    entry.target_size = 3;
    assert_err(judged(&entry), CN_E_FORMAT);
    entry.type = CN_ENTRY_FILE;
    assert_err(judged(&entry), CN_E_FORMAT);
}

static void names_of_our_temporaries_are_refused(void **state)
{
    (void)state;
    assert_err(receive(".cyphernet-0123456789abcdef.part", "x", NULL), CN_E_NAME);
    assert_err(receive(".Cyphernet-0123456789abcdef.Part", "x", NULL), CN_E_NAME);
    assert_err(directory(".cyphernet-0123456789abcdef.part"), CN_E_NAME);
    assert_err(receive(".cyphernet-0123456789abcde.part", "x", NULL), CN_OK);
    /* as one of 12 digits would be called if its name were taken */
    assert_err(receive(".cyphernet-0123456789ab (2).part", "x", NULL), CN_OK);
}

static void what_is_in_no_directory_is_refused(void **state)
{
    (void)state;
    assert_err(receive("missing/a", "x", NULL), CN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_err(receive("file", "x", NULL), CN_OK);
    assert_err(receive("file/a", "x", NULL), CN_E_SYSTEM);
    assert_int_equal(errno, ENOTDIR);
    assert_err(directory("file/a"), CN_E_SYSTEM);
}

/* --- links that lead out -------------------------------------------------------------------- */

static void a_link_of_this_call_is_no_directory(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        const char *link = round ? "l1" : "l0";
        char in[16], deep[32];

        snprintf(in, sizeof in, "%s/new", link);
        snprintf(deep, sizeof deep, "%s/../outside/new", link);
        assert_err(make_it_link(link, at("outside")), CN_OK);
        assert_err(directory(link), CN_E_EXISTS);
        assert_err(directory(in), CN_E_SYSTEM);
        assert_true(errno == ELOOP || errno == ENOTDIR);
        assert_err(receive(in, "x", NULL), CN_E_SYSTEM);
        assert_err(make_it_link(in, "x"), CN_E_SYSTEM);
        assert_err(receive(deep, "x", NULL), CN_E_FORMAT);
        openat2_error = ENOSYS;
    }
}

static void a_link_inside_is_no_directory_either(void **state)
{
    (void)state;
    assert_err(directory("d"), CN_OK);
    assert_err(make_it_link("up", "d"), CN_OK);
    assert_err(make_it_link("d/root", ".."), CN_OK);
    assert_err(receive("up/a", "x", NULL), CN_E_SYSTEM);
    assert_err(receive("d/root/a", "x", NULL), CN_E_SYSTEM);
    assert_int_equal(count_in("in/d"), 1);
}

/* Where the part lies when the way to it is turned elsewhere: not there either. */
static void a_directory_that_becomes_a_link_is_not_followed(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "d/new", 1);
    struct cn_part part;
    struct cn_part *parts[] = { &part };

    (void)state;
    assert_err(directory("d"), CN_OK);
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_write(&part, "x", 1), CN_OK);
    assert_err(cn_part_seal(&part), CN_OK);
    assert_int_equal(rename(at("in/d"), at("moved")), 0);
    make_link("in/d", "../outside");
    cn_storing_all(place, parts, 1);
    assert_err(part.err, CN_E_SYSTEM);
    assert_true(part.error == ELOOP || part.error == ENOTDIR);
    assert_string_equal(part.stored, "");
    cn_part_close(&part, false);
    assert_err(receive("d/more", "x", NULL), CN_E_SYSTEM);
    assert_err(cn_place_finish(place), CN_E_SYSTEM); /* the directory is not there any more */
}

static void overwriting_does_not_go_through_a_link(void **state)
{
    struct stat st;

    (void)state;
    place_again(CN_PLACE_OVERWRITE);
    make_link("in/a", "../outside/file");
    make_link("in/b", "../outside");
    assert_err(receive("a", "new", NULL), CN_OK);
    assert_err(receive("b", "new", NULL), CN_OK);
    file_is("in/a", "new");
    assert_int_equal(lstat(at("in/b"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* --- conflicts ------------------------------------------------------------------------------ */

static void nothing_becomes_another_kind_of_thing(void **state)
{
    (void)state;
    make_directory("in/d");
    make_file("in/d/mine", "mine");
    make_file("in/f", "mine");
    make_link("in/l", "f");
    assert_int_equal(mkfifo(at("in/p"), 0600), 0);
    for (int policy = CN_PLACE_KEEP; policy <= CN_PLACE_OVERWRITE; policy++) {
        place_again((enum cn_place_policy)policy);
        assert_err(directory("f"), CN_E_EXISTS);
        assert_err(directory("l"), CN_E_EXISTS);
        assert_err(directory("p"), CN_E_EXISTS);
        if (policy == CN_PLACE_RENAME)
            continue;
        assert_err(receive("d", "x", NULL), CN_E_EXISTS);
        assert_err(make_it_link("d", "x"), CN_E_EXISTS);
        assert_err(receive("p", "x", NULL), CN_E_EXISTS);
        assert_err(make_it_link("p", "x"), CN_E_EXISTS);
    }
    file_is("in/d/mine", "mine");
    file_is("in/f", "mine");
}

static void what_is_there_stays(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "late", 3);
    struct cn_part part;
    struct cn_part *parts[] = { &part };

    (void)state;
    make_file("in/a", "mine");
    make_link("in/l", "nowhere");
    assert_err(receive("a", "new", NULL), CN_E_EXISTS);
    assert_err(receive("l", "new", NULL), CN_E_EXISTS);
    assert_err(make_it_link("a", "x"), CN_E_EXISTS);
    assert_err(make_it_link("l", "x"), CN_E_EXISTS);
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_write(&part, "new", 3), CN_OK);
    assert_err(cn_part_seal(&part), CN_OK);
    make_file("in/late", "mine");
    cn_storing_all(place, parts, 1);
    assert_err(part.err, CN_E_EXISTS);
    cn_part_close(&part, true);
    file_is("in/a", "mine");
    file_is("in/late", "mine");
    assert_int_equal(count_in("in"), 3);
}

static void a_taken_name_gets_a_number(void **state)
{
    static char large[CN_ENTRY_PART_SIZE_MAX + 1];
    char stored[CN_ENTRY_PART_SIZE_MAX + 1];

    (void)state;
    place_again(CN_PLACE_RENAME);
    make_file("in/a.tar.gz", "mine");
    make_file("in/.hidden", "mine");
    make_directory("in/d");
    assert_err(receive("a.tar.gz", "one", stored), CN_OK);
    assert_string_equal(stored, "a.tar (1).gz");
    assert_err(receive("a.tar.gz", "two", stored), CN_OK);
    assert_string_equal(stored, "a.tar (2).gz");
    assert_err(receive(".hidden", "one", stored), CN_OK);
    assert_string_equal(stored, ".hidden (1)");
    assert_err(receive("d", "one", stored), CN_OK);
    assert_string_equal(stored, "d (1)");
    assert_err(make_it_link("d", "x"), CN_OK);
    assert_true(is_there("in/d (2)"));
    memset(large, 'x', 250);
    memcpy(large + 247, "\xc3\xa4.txt", 6); /* 253 octets; the cut would be within the character */
    assert_err(receive(large, "one", stored), CN_OK);
    assert_err(receive(large, "two", stored), CN_OK);
    assert_int_equal(strlen(stored), 247 + 4 + 4);
    memset(large, 'x', 249);
    memcpy(large + 249, "\xc3\xa4.txt", 6);
    assert_err(receive(large, "one", stored), CN_OK);
    assert_err(receive(large, "two", stored), CN_OK);
    assert_int_equal(strlen(stored), 247 + 4 + 4);
    assert_string_equal(stored + 246, "x (2).txt");
    file_is("in/a.tar.gz", "mine");
}

static void what_has_got_a_number_before_is_known(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a.txt", 3);
    struct cn_there there;

    (void)state;
    place_again(CN_PLACE_RENAME);
    make_file("in/a.txt", "mine");
    make_link("in/l", "mine");
    assert_err(receive("a.txt", "one", NULL), CN_OK);
    make_file("in/a (2).txt", "his");
    assert_err(cn_place_judge(place, &entry, &there), CN_OK);
    assert_true(there.is_same && there.number == 1);
    assert_int_equal(rename(at("in/a (1).txt"), at("in/a (3).txt")), 0);
    make_file("in/a (1).txt", "his");
    assert_err(cn_place_judge(place, &entry, &there), CN_OK);
    assert_true(there.is_same && there.number == 3);
    assert_int_equal(unlink(at("in/a (2).txt")), 0); /* not looked for behind a gap */
    assert_err(cn_place_judge(place, &entry, &there), CN_OK);
    assert_false(there.is_same);
    for (int i = 0; i < 3; i++)
        assert_err(make_it_link("l", "his"), CN_OK);
    assert_true(is_there("in/l (1)"));
    assert_false(is_there("in/l (2)"));
    place_again(CN_PLACE_KEEP);
    assert_err(cn_place_judge(place, &entry, &there), CN_E_EXISTS);
}

static void what_this_call_has_stored_is_not_overwritten(void **state)
{
    (void)state;
    place_again(CN_PLACE_OVERWRITE);
    make_file("in/a", "old");
    assert_err(receive("a", "first", NULL), CN_OK);
    assert_err(receive("a", "second", NULL), CN_E_EXISTS);
    assert_int_equal(link(at("in/a"), at("in/spelt otherwise")), 0);
    assert_err(receive("spelt otherwise", "second", NULL), CN_E_EXISTS);
    assert_err(make_it_link("a", "x"), CN_E_EXISTS);
    assert_err(make_it_link("l", "x"), CN_OK);
    assert_err(receive("l", "second", NULL), CN_E_EXISTS);
    file_is("in/a", "first");
}

static void what_has_not_changed_is_known(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 5);
    struct cn_there there = { 0 };

    (void)state;
    assert_err(receive("a", "first", NULL), CN_OK);
    for (int policy = CN_PLACE_KEEP; policy <= CN_PLACE_OVERWRITE; policy++) {
        place_again((enum cn_place_policy)policy);
        assert_err(cn_place_judge(place, &entry, &there), CN_OK);
        assert_true(there.is_same);
    }
    entry.size = entry.filled = 4;
    assert_err(cn_place_judge(place, &entry, &there), CN_OK);
    assert_false(there.is_same);
    entry.size = entry.filled = 5;
    for (uint32_t ns = MTIME_NS - 1; ns <= MTIME_NS + 1; ns += 2) {
        entry.mtime_ns = ns;
        assert_err(cn_place_judge(place, &entry, &there), CN_OK);
        assert_false(there.is_same);
    }
    entry.mtime_ns = MTIME_NS;
    entry.mtime_s++;
    assert_err(cn_place_judge(place, &entry, &there), CN_OK);
    assert_false(there.is_same);
    place_again(CN_PLACE_KEEP);
    assert_err(make_it_link("l", "somewhere"), CN_OK);
    assert_err(make_it_link("l", "somewhere"), CN_OK);
    assert_err(make_it_link("l", "somewhere else"), CN_E_EXISTS);
}

/* --- disks and permissions ------------------------------------------------------------------ */

static void a_file_is_as_long_as_was_said(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 4);
    struct cn_part part;

    (void)state;
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_write(&part, "12345", 5), CN_E_LIMIT);
    assert_err(cn_part_write(&part, "123", 3), CN_OK);
    assert_err(cn_part_seal(&part), CN_E_TRUNCATED);
    assert_err(cn_part_skip(&part, 2), CN_E_LIMIT);
    assert_err(cn_part_skip(&part, UINT64_MAX), CN_E_LIMIT);
    assert_err(cn_part_write(&part, "4", 1), CN_OK);
    assert_err(cn_part_write(&part, "5", 1), CN_E_LIMIT);
    assert_err(cn_part_seal(&part), CN_OK);
    cn_part_close(&part, false);
    assert_int_equal(count_in("in"), 0);
}

static void a_full_disk_leaves_nothing(void **state)
{
    static char text[64 * 1024];
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "full/large", 2 * MIB);
    struct cn_part part;
    enum cn_err err = CN_OK;

    (void)state;
    assert_err(directory("full"), CN_OK);
    if (mount("none", at("in/full"), "tmpfs", 0, "size=256k") != 0) {
        print_message("no file system can be mounted here: %s\n", strerror(errno));
        skip();
    }
    cn_place_close(place); /* which has not seen the mount */
    place = NULL;
    place_again(CN_PLACE_KEEP);
    assert_err(cn_part_open(&part, place, &entry), CN_E_SYSTEM);
    assert_int_equal(errno, ENOSPC);
    entry.size = entry.filled = 512 * 1024;
    assert_err(judged(&entry), CN_OK);
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    for (int i = 0; i < 8 && err == CN_OK; i++)
        err = cn_part_write(&part, text, sizeof text);
    assert_err(err, CN_E_SYSTEM);
    assert_int_equal(errno, ENOSPC);
    cn_part_close(&part, true);
    assert_int_equal(count_in("in/full"), 0);
    assert_err(receive("full/small", "fits", NULL), CN_OK);
    file_is("in/full/small", "fits");
    cn_place_close(place);
    place = NULL;
    assert_int_equal(umount(at("in/full")), 0);
}

/* 0: one that holds a little; else it is not allowed here. */
static int small_disk(const char *path)
{
    int made = mount("none", at(path), "tmpfs", 0, "size=256k");

    if (made != 0)
        print_message("no file system can be mounted here: %s\n", strerror(errno));
    return made;
}

static void holes_need_no_room(void **state)
{
    static char text[64 * 1024];
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "full/sparse", 100 * MIB);
    struct cn_part part;
    struct cn_part *parts[] = { &part };

    (void)state;
    assert_err(directory("full"), CN_OK);
    if (small_disk("in/full") != 0)
        skip();
    place_again(CN_PLACE_KEEP);
    entry.filled = 2 * MIB;
    assert_err(cn_part_open(&part, place, &entry), CN_E_SYSTEM);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(count_in("in/full"), 0);
    entry.filled = sizeof text;
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_skip(&part, 50 * MIB), CN_OK);
    assert_err(cn_part_write(&part, text, sizeof text), CN_OK);
    assert_err(cn_part_skip(&part, 50 * MIB - sizeof text), CN_OK);
    assert_err(cn_part_seal(&part), CN_OK);
    cn_storing_all(place, parts, 1);
    assert_err(part.err, CN_OK);
    (void)cn_part_close(&part, false);
    cn_place_close(place);
    place = NULL;
    assert_int_equal(umount(at("in/full")), 0);
}

static void what_cannot_be_written_to_is_told(void **state)
{
    bool is_root = geteuid() == 0;

    (void)state;
    make_directory("in/closed");
    make_file("in/closed/mine", "mine");
    assert_int_equal(chmod(at("in/closed"), 0555), 0);
    assert_int_equal(chmod(top, 0755), 0);
    if (is_root) {
        assert_int_equal(seteuid(65534), 0);
    }
    assert_err(receive("closed/a", "x", NULL), CN_E_SYSTEM);
    assert_int_equal(errno, EACCES);
    assert_err(directory("closed/d"), CN_E_SYSTEM);
    assert_err(make_it_link("closed/l", "x"), CN_E_SYSTEM);
    assert_err(directory("closed"), CN_OK); /* it is there */
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(count_in("in/closed"), 1);
}

static void what_is_not_on_disk_gets_no_name(void **state)
{
    char name[8][2];
    struct cn_entry entry[8];
    struct cn_part part[8];
    struct cn_part *parts[8];

    (void)state;
    fails.fsync = EIO;
    assert_err(receive("a", "x", NULL), CN_E_SYSTEM);
    assert_int_equal(errno, EIO);
    assert_int_equal(count_in("in"), 0);
    fails.syncfs = ENOSYS;
    for (int i = 0; i < 8; i++) {
        snprintf(name[i], sizeof name[i], "%d", i);
        entry[i] = entry_of(CN_ENTRY_FILE, name[i], 0);
        assert_err(cn_part_open(&part[i], place, &entry[i]), CN_OK);
        assert_err(cn_part_seal(&part[i]), CN_OK);
        parts[i] = &part[i];
    }
    cn_storing_all(place, parts, 8);
    for (int i = 0; i < 8; i++)
        assert_err(part[i].err, CN_E_SYSTEM);
    fails.fsync = 0; /* then one by one */
    syncs = 0;
    cn_storing_all(place, parts, 8);
    assert_true(syncs > 8);
    for (int i = 0; i < 8; i++) {
        assert_err(part[i].err, CN_OK);
        cn_part_close(&part[i], false);
    }
    assert_int_equal(count_in("in"), 8);
}

/* --- attributes ----------------------------------------------------------------------------- */

static void mode_is(const char *path, mode_t mode, bool has_time)
{
    struct stat st;

    assert_int_equal(lstat(at(path), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_mtim.tv_sec == MTIME_S && st.st_mtim.tv_nsec == MTIME_NS, has_time);
}

static void permissions_and_times_are_kept(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_DIRECTORY, "closed", 0);

    (void)state;
    entry.mode = 0500;
    umask(077);
    make_directory("in/mine");
    assert_int_equal(chmod(at("in/mine"), 02700), 0);
    assert_err(cn_place_make_directory(place, &entry), CN_OK);
    assert_err(directory("closed/d"), CN_OK);
    assert_err(directory("mine"), CN_OK);
    assert_err(directory("mine/d"), CN_OK);
    assert_err(receive("closed/d/a", "x", NULL), CN_OK);
    assert_err(receive("closed/a", "x", NULL), CN_OK);
    assert_err(make_it_link("closed/l", "x"), CN_OK);
    assert_err(cn_place_finish(place), CN_OK);
    mode_is("in/closed", 0500, true);
    mode_is("in/closed/d", 0755, true);
    mode_is("in/closed/a", 0640, true);
    mode_is("in/closed/d/a", 0640, true);
    mode_is("in/closed/l", 0777, true);
    mode_is("in/mine", 02700, true);   /* opened to nobody */
    mode_is("in/mine/d", 02755, true); /* in which the group is inherited */
    assert_err(cn_place_finish(place), CN_OK);
}

/* What is there under the name has the content of the entry, as comparing has shown. */
static enum cn_err aligned(const struct cn_entry *entry)
{
    struct cn_there there = { 0 };
    int fd = -1;

    assert_err(cn_place_look(place, entry, &there, &fd), CN_OK);
    close(fd);
    return cn_place_align(place, entry, &there);
}

static void what_is_the_same_gets_its_mode_and_time(void **state)
{
    static const struct {
        enum cn_place_policy policy;
        mode_t is, sent, becomes;
    } rows[] = {
        { CN_PLACE_OVERWRITE, 0600, 0644, 0644 }, { CN_PLACE_OVERWRITE, 0666, 0755, 0755 },
        { CN_PLACE_KEEP, 0600, 0666, 0600 },      { CN_PLACE_KEEP, 0644, 0755, 0744 },
        { CN_PLACE_KEEP, 0777, 0640, 0640 },      { CN_PLACE_RENAME, 0640, 0666, 0640 },
        { CN_PLACE_KEEP, 04755, 0644, 04644 },
    };
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 4);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        place_again(rows[i].policy);
        make_file("in/a", "same");
        assert_int_equal(chmod(at("in/a"), rows[i].is), 0);
        entry.mode = rows[i].sent;
        assert_err(aligned(&entry), CN_OK);
        mode_is("in/a", rows[i].becomes, true);
        assert_err(aligned(&entry), CN_OK); /* nothing is left to do */
        assert_int_equal(unlink(at("in/a")), 0);
    }
}

static void what_is_another_by_now_stays_as_it_is(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 4);
    struct cn_there there = { 0 };
    int fd = -1;

    (void)state;
    assert_err(cn_place_look(place, &entry, &there, &fd), CN_E_ABSENT);
    make_directory("in/a");
    assert_err(cn_place_look(place, &entry, &there, &fd), CN_E_KIND);
    assert_int_equal(rmdir(at("in/a")), 0);
    make_link("in/a", "../outside/file");
    assert_err(cn_place_look(place, &entry, &there, &fd), CN_E_KIND);
    assert_int_equal(unlink(at("in/a")), 0);
    make_file("in/a", "longer");
    assert_err(cn_place_look(place, &entry, &there, &fd), CN_E_KIND);
    make_file("in/a", "same");
    assert_int_equal(chmod(at("in/a"), 0604), 0);
    assert_err(cn_place_look(place, &entry, &there, &fd), CN_OK);
    close(fd);
    there.mtime.tv_sec--; /* it has been written to since */
    assert_err(cn_place_align(place, &entry, &there), CN_OK);
    mode_is("in/a", 0604, false);
    assert_int_equal(unlink(at("in/a")), 0);
    assert_err(cn_place_align(place, &entry, &there), CN_OK);
    make_link("in/a", "../outside/file");
    assert_err(cn_place_align(place, &entry, &there), CN_E_SYSTEM);
    assert_int_equal(errno, ELOOP);
}

static void odd_names_are_kept(void **state)
{
    static char large[CN_ENTRY_PART_SIZE_MAX + 1];

    (void)state;
    memset(large, '\xff', CN_ENTRY_PART_SIZE_MAX);
    assert_err(receive(large, "255", NULL), CN_OK);
    assert_err(receive("\xfe\n\x1b[31m", "odd", NULL), CN_OK);
    assert_err(receive("...", "dots", NULL), CN_OK);
    assert_err(receive("-rf *", "", NULL), CN_OK);
    assert_err(receive("a.part", "", NULL), CN_OK);
    assert_int_equal(count_in("in"), 5);
}

/* --- holes ---------------------------------------------------------------------------------- */

static void holes_stay_holes(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "sparse", 64 * MIB);
    struct cn_part part;
    struct cn_part *parts[] = { &part };
    char text[3] = "";
    struct stat st;
    int fd;

    (void)state;
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_skip(&part, 32 * MIB), CN_OK);
    assert_err(cn_part_write(&part, "xy", 2), CN_OK);
    assert_err(cn_part_skip(&part, 0), CN_OK);
    assert_err(cn_part_skip(&part, 32 * MIB - 2), CN_OK);
    assert_int_equal(fstat(part.fd, &st), 0);
    assert_int_equal(st.st_size, 64 * MIB);
    assert_err(cn_part_seal(&part), CN_OK);
    cn_storing_all(place, parts, 1);
    assert_err(part.err, CN_OK);
    cn_part_close(&part, false);
    fd = open(at("in/sparse"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 64 * MIB);
    assert_true(st.st_blocks < 2 * MIB / 512);
    assert_int_equal(pread(fd, text, 3, 32 * MIB), 3);
    assert_memory_equal(text, "xy\0", 3);
    close(fd);
}

/* --- going on later ------------------------------------------------------------------------- */

static uint8_t large_text[3 * MIB + 5];

/* Begin a file of that text, and write its first octets. */
static void begin(struct cn_part *part, const struct cn_entry *entry, size_t size)
{
    fill(1, large_text, sizeof large_text);
    assert_err(cn_part_open(part, place, entry), CN_OK);
    assert_true(part->written <= size);
    assert_err(cn_part_write(part, large_text + part->written, size - (size_t)part->written),
               CN_OK);
}

static void finish(struct cn_part *part)
{
    struct cn_part *parts[] = { part };
    static uint8_t have[sizeof large_text];
    int fd;

    assert_err(
        cn_part_write(part, large_text + part->written, sizeof large_text - (size_t)part->written),
        CN_OK);
    assert_err(cn_part_seal(part), CN_OK);
    cn_storing_all(place, parts, 1);
    assert_err(part->err, CN_OK);
    cn_part_close(part, true);
    fd = open(at("in/large"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, have, sizeof have), sizeof have);
    close(fd);
    assert_memory_equal(have, large_text, sizeof have);
}

static void count_journal(void *context, const struct cn_journal *journal)
{
    unsigned *count = context;

    (void)journal;
    ++*count;
}

static unsigned journal_count(void)
{
    unsigned count = 0;

    assert_err(cn_journals_each(journals, count_journal, &count), CN_OK);
    return count;
}

static struct cn_journal the_journal;

static void take_journal(void *context, const struct cn_journal *journal)
{
    (void)context;
    the_journal = *journal;
}

static void what_was_interrupted_goes_on(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin(&part, &entry, 2 * MIB + MIB / 2);
    cn_part_close(&part, true);
    assert_int_equal(journal_count(), 1);
    assert_int_equal(count_in("in"), 1);
    assert_false(is_there("in/large"));
    place_again(CN_PLACE_KEEP);
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_int_equal(part.written, 2 * MIB);
    finish(&part);
    assert_int_equal(journal_count(), 0);
    assert_int_equal(count_in("in"), 1);
}

static void only_the_same_file_goes_on(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    for (int change = 0; change < 5; change++) {
        struct cn_entry other = entry;

        begin(&part, &entry, 2 * MIB);
        cn_part_close(&part, true);
        assert_int_equal(journal_count(), 1);
        other.size += change == 0;
        other.filled += change == 0;
        other.mtime_s += change == 1;
        other.mtime_ns += change == 2;
        other.identity += change == 3;
        if (change == 4)
            place->options.partner = "eve";
        assert_err(cn_part_open(&part, place, &other), CN_OK);
        assert_int_equal(part.written, 0);
        cn_part_close(&part, true);
        assert_int_equal(count_in("in"), change == 4); /* the old one is gone, if it was ann's */
        assert_int_equal(journal_count(), change == 4);
    }
}

static void a_part_that_was_tampered_with_does_not_go_on(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;
    char name[64];

    (void)state;
    for (int how = 0; how < 4; how++) {
        begin(&part, &entry, 2 * MIB);
        cn_part_close(&part, true);
        assert_err(cn_journals_each(journals, take_journal, NULL), CN_OK);
        snprintf(name, sizeof name, "in/%s", the_journal.temporary);
        if (how == 0) {
            assert_int_equal(truncate(at(name), 2 * MIB - 1), 0);
        } else {
            assert_int_equal(rename(at(name), at("in/kept")), 0);
        }
        if (how == 1)
            make_file(name, "another");
        if (how == 2)
            make_link(name, "kept");
        assert_err(cn_part_open(&part, place, &entry), CN_OK);
        assert_int_equal(part.written, 0);
        assert_string_not_equal(part.temporary, the_journal.temporary);
        cn_part_close(&part, false);
        assert_int_equal(journal_count(), 0);
        (void)unlink(at(name));
        (void)unlink(at("in/kept"));
    }
}

static void two_do_not_write_one_part(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_entry newer = entry;
    struct cn_part part, other;

    (void)state;
    newer.mtime_s++;
    begin(&part, &entry, 2 * MIB);
    cn_part_checkpoint(&part, 1000);
    cn_part_checkpoint(&part, 2000);
    assert_int_equal(journal_count(), 1);
    assert_err(cn_part_open(&other, place, &entry), CN_E_SYSTEM);
    assert_int_equal(errno, EBUSY);
    assert_err(cn_part_open(&other, place, &newer), CN_E_SYSTEM);
    assert_int_equal(errno, EBUSY);
    assert_err(cn_journals_each(journals, take_journal, NULL), CN_OK);
    assert_int_equal(cn_leftover_state(&the_journal), CN_LEFTOVER_BUSY);
    assert_err(cn_leftover_remove(journals, &the_journal), CN_E_SYSTEM);
    assert_int_equal(errno, EBUSY);
    finish(&part);
}

/* Who began before the other was noted is not noted as long as that one goes on. */
static void of_two_that_began_together_one_goes_on(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part first, second;

    (void)state;
    begin(&first, &entry, 2 * MIB);
    begin(&second, &entry, 3 * MIB);
    cn_part_checkpoint(&first, 1);
    cn_part_checkpoint(&first, 2000);
    cn_part_close(&second, true);
    assert_int_equal(count_in("in"), 1);
    cn_part_close(&first, true);
    begin(&first, &entry, 2 * MIB);
    assert_int_equal(first.noted, 2 * MIB);
    finish(&first);
    assert_int_equal(count_in("in"), 1);
}

static void checkpoints_are_a_second_apart(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin(&part, &entry, MIB);
    cn_part_checkpoint(&part, 5000);
    cn_part_checkpoint(&part, 5999);
    assert_int_equal(journal_count(), 0);
    cn_part_checkpoint(&part, 6000);
    assert_int_equal(part.noted, MIB);
    assert_err(cn_part_write(&part, large_text + MIB, MIB), CN_OK);
    cn_part_checkpoint(&part, 6999);
    assert_int_equal(part.noted, MIB);
    cn_part_checkpoint(&part, 7000);
    assert_int_equal(part.noted, 2 * MIB);
    assert_err(cn_part_restart(&part), CN_OK);
    assert_int_equal(part.written, 0);
    assert_int_equal(journal_count(), 0); /* what it told of is not there any more */
    assert_err(cn_part_write(&part, large_text, MIB), CN_OK);
    cn_part_checkpoint(&part, 8000);
    assert_int_equal(journal_count(), 1);
    assert_int_equal(part.noted, MIB);
    finish(&part);
}

/* One of which the first octets arrive, and cannot be synced. */
static void begin_unsynced(struct cn_part *part, const struct cn_entry *entry, int error)
{
    begin(part, entry, MIB);
    cn_part_checkpoint(part, 1000);
    fails.fdatasync = error;
    cn_part_checkpoint(part, 2000);
    assert_int_equal(journal_count(), 0);
    fails.fdatasync = 0;
}

/* Of what was dropped the system tells once; a sync after that goes well. */
static void what_a_checkpoint_could_not_write_is_never_whole(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin_unsynced(&part, &entry, EIO);
    assert_err(cn_part_write(&part, large_text + MIB, sizeof large_text - MIB), CN_OK);
    cn_part_checkpoint(&part, 3000);
    assert_int_equal(journal_count(), 0);
    assert_err(cn_part_seal(&part), CN_E_SYSTEM);
    assert_int_equal(errno, EIO);
    assert_int_equal(cn_part_close(&part, true), 0);
    assert_int_equal(count_in("in"), 0);
}

static void a_checkpoint_that_a_signal_ends_harms_nothing(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin_unsynced(&part, &entry, EINTR);
    cn_part_checkpoint(&part, 3000);
    assert_int_equal(journal_count(), 1);
    finish(&part);
}

static void what_begins_again_may_be_whole(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin_unsynced(&part, &entry, EIO);
    assert_err(cn_part_restart(&part), CN_OK);
    assert_err(cn_part_write(&part, large_text, MIB), CN_OK);
    finish(&part);
}

static void what_cannot_go_on_is_removed(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", sizeof large_text);
    struct cn_part part;

    (void)state;
    begin(&part, &entry, MIB - 1); /* not one whole block */
    cn_part_close(&part, true);
    assert_int_equal(count_in("in"), 0);
    begin(&part, &entry, 2 * MIB); /* not wanted */
    cn_part_checkpoint(&part, 1);
    cn_part_checkpoint(&part, 2000);
    assert_int_equal(journal_count(), 1);
    cn_part_close(&part, false);
    assert_int_equal(count_in("in"), 0);
    assert_int_equal(journal_count(), 0);
    entry.size = entry.filled = MIB - 1; /* small */
    begin(&part, &entry, MIB - 2);
    cn_part_close(&part, true);
    assert_int_equal(count_in("in"), 0);
    place->options.journals = NULL;
    entry.size = entry.filled = sizeof large_text;
    begin(&part, &entry, 2 * MIB);
    cn_part_close(&part, true);
    assert_int_equal(count_in("in"), 0);
    cn_part_init(&part);
    cn_part_close(&part, true);
}

static void leftovers_are_listed_and_removed(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "d/large", sizeof large_text);
    struct cn_part part;

    (void)state;
    assert_err(directory("d"), CN_OK);
    begin(&part, &entry, 2 * MIB);
    cn_part_close(&part, true);
    assert_err(cn_journals_each(journals, take_journal, NULL), CN_OK);
    assert_string_equal(the_journal.partner, "ann");
    assert_string_equal(the_journal.name, "d/large");
    assert_int_equal(the_journal.written, 2 * MIB);
    assert_int_equal(cn_leftover_state(&the_journal), CN_LEFTOVER_IDLE);
    assert_err(cn_leftover_remove(journals, &the_journal), CN_OK);
    assert_int_equal(journal_count(), 0);
    assert_int_equal(count_in("in/d"), 0);
    begin(&part, &entry, 2 * MIB);
    cn_part_close(&part, true);
    assert_err(cn_journals_each(journals, take_journal, NULL), CN_OK);
    assert_int_equal(rename(at("in"), at("elsewhere")), 0);
    assert_int_equal(cn_leftover_state(&the_journal), CN_LEFTOVER_GONE);
    assert_err(cn_leftover_remove(journals, &the_journal), CN_OK);
    assert_int_equal(journal_count(), 0);
}

static void what_is_kept_holds_no_room_for_the_rest(void **state)
{
    struct cn_entry entry = entry_of(CN_ENTRY_FILE, "large", 64 * MIB);
    struct cn_part part;
    char name[64];
    struct stat st;

    (void)state;
    begin(&part, &entry, 2 * MIB);
    snprintf(name, sizeof name, "in/%s", part.temporary);
    assert_int_equal(cn_part_close(&part, true), 2 * MIB);
    assert_int_equal(stat(at(name), &st), 0);
    assert_true(st.st_blocks < 4 * MIB / 512);
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_int_equal(cn_part_close(&part, false), 0);
    assert_int_equal(count_in("in"), 0);
}

/* --- what a kill leaves --------------------------------------------------------------------- */

/* A call that makes parts, and is killed. */
static void killed_while(void (*making)(void))
{
    const struct cn_place_options options = { .policy = CN_PLACE_KEEP,
                                              .random = cn_home_random(home),
                                              .journals = journals,
                                              .partner = "ann" };
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        place = NULL;
        if (cn_place_open(&place, at("in"), &options) != CN_OK)
            _exit(1);
        making();
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void small_and_large_made(void)
{
    static const char *const names[] = { "d/e/one", "d/e/two", "d/three", "four" };
    const struct cn_entry large = entry_of(CN_ENTRY_FILE, "d/large", sizeof large_text);
    static struct cn_part part;

    if (directory("d") != CN_OK || directory("d/e") != CN_OK)
        _exit(1);
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct cn_entry entry = entry_of(CN_ENTRY_FILE, names[i], 4);

        if (cn_part_open(&part, place, &entry) != CN_OK ||
            cn_part_write(&part, "text", 4) != CN_OK || cn_part_seal(&part) != CN_OK)
            _exit(1);
    }
    if (cn_part_open(&part, place, &large) != CN_OK ||
        cn_part_write(&part, large_text, 2 * MIB) != CN_OK)
        _exit(1);
    cn_part_checkpoint(&part, 1);
    cn_part_checkpoint(&part, 2000);
    if (!part.has_journal || cn_part_open(&part, place,
                                          &(struct cn_entry) { .type = CN_ENTRY_FILE,
                                                               .size = 4 * MIB,
                                                               .filled = 4 * MIB,
                                                               .name = "unnoted",
                                                               .name_size = 7 }) != CN_OK)
        _exit(1);
}

static void what_a_killed_call_left_is_removed_by_the_next(void **state)
{
    const struct cn_place_options eve = { .policy = CN_PLACE_KEEP,
                                          .random = cn_home_random(home),
                                          .journals = journals,
                                          .partner = "eve" };
    struct cn_place *other = NULL;

    (void)state;
    killed_while(small_and_large_made);
    assert_int_equal(count_in("in/d/e"), 2);
    assert_int_equal(count_in("in"), 3);
    make_file("in/d/e/.cyphernet-0123456789abcdef.part", "of another");
    make_file("in/d/e/mine", "mine");
    assert_err(cn_place_open(&other, at("in"), &eve), CN_OK);
    cn_place_close(other);
    assert_int_equal(count_in("in/d/e"), 4);
    place_again(CN_PLACE_KEEP);
    assert_int_equal(count_in("in/d/e"), 2);
    file_is("in/d/e/mine", "mine");
    assert_int_equal(count_in("in/d"), 2); /* the part of the large file has a journal */
    assert_int_equal(count_in("in"), 1);
    assert_int_equal(journal_count(), 1);
    assert_int_equal(count_in("home/journals"), 1);
}

static void what_a_call_that_lives_has_stays(void **state)
{
    const struct cn_entry entry = entry_of(CN_ENTRY_FILE, "a", 4);
    const struct cn_place_options options = { .policy = CN_PLACE_KEEP,
                                              .random = cn_home_random(home),
                                              .journals = journals,
                                              .partner = "ann" };
    struct cn_place *other = NULL;
    struct cn_part part;
    struct cn_part *parts[] = { &part };

    (void)state;
    assert_err(cn_part_open(&part, place, &entry), CN_OK);
    assert_err(cn_part_write(&part, "text", 4), CN_OK);
    assert_err(cn_part_seal(&part), CN_OK);
    assert_err(cn_place_open(&other, at("in"), &options), CN_OK);
    cn_place_close(other);
    cn_storing_all(place, parts, 1);
    assert_err(part.err, CN_OK);
    (void)cn_part_close(&part, false);
    file_is("in/a", "text");
}

static void nothing_is_swept_but_what_is_called_so(void **state)
{
    static const char *const trails[] = { "", "cyphernet trail 1", "nonsense" };
    char name[64];

    (void)state;
    assert_true(mkdir(at("home"), 0700) == 0 && mkdir(at("home/journals"), 0700) == 0);
    for (size_t i = 0; i < COUNT(trails); i++) {
        snprintf(name, sizeof name, "home/journals/trail-%zu", i);
        make_file(name, trails[i]);
    }
    make_link("home/journals/trail-link", "../../outside/file");
    place_again(CN_PLACE_KEEP);
    assert_int_equal(count_in("home/journals"), COUNT(trails) + 1);
}

/* --- many ----------------------------------------------------------------------------------- */

static void a_hundred_thousand_files_are_stored(void **state)
{
    enum { TOGETHER = 1000 };
    static char names[TOGETHER][16];
    static struct cn_entry entries[TOGETHER];
    static struct cn_part parts[TOGETHER];
    static struct cn_part *pointers[TOGETHER];
    char name[8];

    (void)state;
    assert_err(receive("first", "", NULL), CN_OK); /* makes the directory for journals, too */
    syncs = 0;
    for (int d = 0; d < 100; d++) {
        snprintf(name, sizeof name, "%02d", d);
        assert_err(directory(name), CN_OK);
        for (int i = 0; i < TOGETHER; i++) {
            snprintf(names[i], sizeof names[i], "%02d/%03d", d, i);
            entries[i] = entry_of(CN_ENTRY_FILE, names[i], 5);
            assert_err(judged(&entries[i]), CN_OK);
            assert_err(cn_part_open(&parts[i], place, &entries[i]), CN_OK);
            assert_err(cn_part_write(&parts[i], names[i], 5), CN_OK);
            assert_err(cn_part_seal(&parts[i]), CN_OK);
            pointers[i] = &parts[i];
        }
        cn_storing_all(place, pointers, TOGETHER);
        for (int i = 0; i < TOGETHER; i++) {
            assert_err(parts[i].err, CN_OK);
            cn_part_close(&parts[i], false);
        }
    }
    assert_err(cn_place_finish(place), CN_OK);
    assert_int_equal(syncs, 201);
    for (int d = 0; d < 100; d++) {
        snprintf(names[0], sizeof names[0], "in/%02d", d);
        assert_int_equal(count_in(names[0]), TOGETHER);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(names_that_lead_out_are_refused),
        test(what_makes_no_sense_is_refused),
        test(names_of_our_temporaries_are_refused),
        test(what_is_in_no_directory_is_refused),
        test(a_link_of_this_call_is_no_directory),
        test(a_link_inside_is_no_directory_either),
        test(a_directory_that_becomes_a_link_is_not_followed),
        test(overwriting_does_not_go_through_a_link),
        test(nothing_becomes_another_kind_of_thing),
        test(what_is_there_stays),
        test(a_taken_name_gets_a_number),
        test(what_has_got_a_number_before_is_known),
        test(what_this_call_has_stored_is_not_overwritten),
        test(what_has_not_changed_is_known),
        test(a_file_is_as_long_as_was_said),
        test(a_full_disk_leaves_nothing),
        test(holes_need_no_room),
        test(what_cannot_be_written_to_is_told),
        test(what_is_not_on_disk_gets_no_name),
        test(permissions_and_times_are_kept),
        test(what_is_the_same_gets_its_mode_and_time),
        test(what_is_another_by_now_stays_as_it_is),
        test(odd_names_are_kept),
        test(holes_stay_holes),
        test(what_was_interrupted_goes_on),
        test(only_the_same_file_goes_on),
        test(a_part_that_was_tampered_with_does_not_go_on),
        test(two_do_not_write_one_part),
        test(of_two_that_began_together_one_goes_on),
        test(checkpoints_are_a_second_apart),
        test(what_a_checkpoint_could_not_write_is_never_whole),
        test(a_checkpoint_that_a_signal_ends_harms_nothing),
        test(what_begins_again_may_be_whole),
        test(what_cannot_go_on_is_removed),
        test(leftovers_are_listed_and_removed),
        test(what_is_kept_holds_no_room_for_the_rest),
        test(what_a_killed_call_left_is_removed_by_the_next),
        test(what_a_call_that_lives_has_stays),
        test(nothing_is_swept_but_what_is_called_so),
        cmocka_unit_test_prestate_setup_teardown(a_hundred_thousand_files_are_stored, setup,
                                                 teardown, top),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
