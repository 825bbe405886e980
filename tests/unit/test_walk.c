/* The sender's side of a tree: all of it, in one order, told of what is missing, and opened later
 * only if it still is what was listed. */
#include "openat2.h"
#include "tree.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "beneath.h"
#include "range.h"
#include "walk.h"

/* --- what was listed ------------------------------------------------------------------------ */

static struct cn_walk *walk;
static struct cn_filter *filter;
static char problems[2 * PATH_MAX];

static void report(void *context, const char *path, enum cn_walk_problem problem, int error)
{
    static const char *const texts[] = { "unreadable", "special", "too long" };
    size_t size = strlen(problems);
    const char *below = strncmp(path, top, strlen(top)) == 0 ? path + strlen(top) + 1 : path;

    assert_ptr_equal(context, problems);
    assert_true(error == 0 || problem == CN_WALK_UNREADABLE);
    snprintf(problems + size, sizeof problems - size, "%s: %s\n", below, texts[problem]);
}

static int setup(void **state)
{
    problems[0] = '\0';
    openat2_error = 0;
    walk = NULL;
    filter = NULL;
    if (tree_setup(state) != 0 || cn_filter_create(&filter) != CN_OK)
        return -1;
    return cn_walk_create(&walk, filter, report, problems) == CN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    cn_walk_free(walk);
    cn_filter_free(filter);
    return tree_teardown(state);
}

/* All names, one a line, with what they are. */
static const char *listed(void)
{
    static char all[65536];
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    size_t size = 0;

    all[0] = '\0';
    for (uint32_t i = 0; i < cn_walk_count(walk); i++) {
        struct cn_entry entry;

        cn_walk_entry(walk, i, &entry, name);
        assert_true(cn_entry_valid(&entry));
        assert_int_equal(strlen(name), entry.name_size);
        size += (size_t)snprintf(all + size, sizeof all - size, "%s%s%s%s\n", entry.name,
                                 entry.type == CN_ENTRY_DIRECTORY ? "/" : "",
                                 entry.target ? " -> " : "", entry.target ? entry.target : "");
    }
    return all;
}

static uint32_t index_of(const char *wanted)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_entry entry;

    for (uint32_t i = 0; i < cn_walk_count(walk); i++) {
        cn_walk_entry(walk, i, &entry, name);
        if (strcmp(name, wanted) == 0)
            return i;
    }
    fail_msg("%s is not listed", wanted);
    return 0;
}

/* --- refusals ------------------------------------------------------------------------------- */

static void what_is_not_there_is_an_error(void **state)
{
    (void)state;
    assert_err(cn_walk_add(walk, at("nothing")), CN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_err(cn_walk_add(walk, at("nothing/")), CN_E_SYSTEM);
    make_file("file", "");
    assert_err(cn_walk_add(walk, at("file/")), CN_E_SYSTEM);
    assert_int_equal(errno, ENOTDIR);
    assert_err(cn_walk_add(walk, ""), CN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_err(cn_walk_add(walk, "/"), CN_E_NAME);
    assert_int_equal(cn_walk_count(walk), 0);
}

static void a_path_that_is_too_long_is_an_error(void **state)
{
    char *path = malloc(2 * PATH_MAX);

    (void)state;
    assert_non_null(path);
    memset(path, 'x', 2 * PATH_MAX - 1);
    path[2 * PATH_MAX - 1] = '\0';
    assert_err(cn_walk_add(walk, path), CN_E_SYSTEM);
    assert_int_equal(errno, ENAMETOOLONG);
    free(path);
}

static void two_paths_of_one_name_are_an_error(void **state)
{
    (void)state;
    make_directory("a");
    make_directory("b");
    make_file("a/same", "1");
    make_file("b/same", "2");
    assert_err(cn_walk_add(walk, at("a/same")), CN_OK);
    assert_err(cn_walk_add(walk, at("b/same")), CN_E_EXISTS);
}

static void a_device_alone_cannot_be_sent(void **state)
{
    (void)state;
    assert_err(cn_walk_add(walk, "/dev/null"), CN_E_KIND);
}

static void sockets_and_pipes_are_told_of(void **state)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    make_directory("d");
    make_file("d/file", "x");
    assert_int_equal(mkfifo(at("d/pipe"), 0600), 0);
    snprintf(name.sun_path, sizeof name.sun_path, "%s/d/socket", top);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_string_equal(listed(), "d/\nd/file\n");
    assert_non_null(strstr(problems, "d/pipe: special\n"));
    assert_non_null(strstr(problems, "d/socket: special\n"));
}

/* As somebody whom permissions bind. */
static void what_cannot_be_read_is_told_of(void **state)
{
    bool is_root = geteuid() == 0;

    (void)state;
    make_directory("d");
    make_directory("d/closed");
    make_file("d/closed/inside", "x");
    make_file("d/secret", "x");
    make_file("d/file", "x");
    assert_int_equal(chmod(at("d/closed"), 0), 0);
    assert_int_equal(chmod(at("d/secret"), 0200), 0);
    assert_int_equal(chmod(top, 0755), 0);
    if (is_root) {
        assert_int_equal(seteuid(65534), 0);
    }
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_string_equal(listed(), "d/\nd/closed/\nd/file\n");
    assert_string_equal(problems, "d/secret: unreadable\nd/closed: unreadable\n");
    assert_err(cn_walk_add(walk, at("d/secret")), CN_E_SYSTEM);
    assert_int_equal(errno, EACCES);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
}

/* Each directory is made from the one above: no path is that long. */
static void a_name_that_is_too_long_is_told_of(void **state)
{
    char part[CN_ENTRY_PART_SIZE_MAX + 1];
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    memset(part, 'p', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    make_directory("d");
    assert_int_equal(chdir(at("d")), 0);
    for (int i = 0; i < 17; i++) {
        assert_int_equal(mkdir(part, 0700), 0);
        assert_int_equal(chdir(part), 0);
    }
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_int_equal(cn_walk_count(walk), 16); /* d, and 15 times 256 octets below */
    assert_non_null(strstr(problems, "p: too long\n"));
}

/* --- lists ---------------------------------------------------------------------------------- */

static void links_stay_links(void **state)
{
    (void)state;
    make_directory("d");
    make_directory("outside");
    make_file("outside/file", "x");
    make_link("d/out", "../outside");
    make_link("d/nowhere", "no/such");
    make_link("d/loop", ".");
    make_link("top", "outside");
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_err(cn_walk_add(walk, at("top")), CN_OK);
    assert_string_equal(listed(), "d/\nd/loop -> .\nd/nowhere -> no/such\nd/out -> ../outside\n"
                                  "top -> outside\n");
}

static void a_slash_or_dots_name_the_directory_itself(void **state)
{
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char path[32];

    (void)state;
    make_directory("real");
    make_directory("real/in");
    make_file("real/in/file", "x");
    make_link("link", "real");
    assert_err(cn_walk_add(walk, at("link/")), CN_OK);
    assert_string_equal(listed(), "real/\nreal/in/\nreal/in/file\n");
    assert_int_equal(chdir(at("real/in")), 0);
    assert_err(cn_walk_add(walk, "."), CN_OK);
    assert_err(cn_walk_add(walk, ".."), CN_E_EXISTS);
    cn_walk_path(walk, index_of("in/file"), path, sizeof path);
    assert_string_equal(path, "./file");
    cn_walk_path(walk, index_of("in/file"), path, 4);
    assert_string_equal(path, "./f");
    assert_int_equal(fchdir(before), 0);
    close(before);
}

static void the_order_is_of_octets_and_directories_come_first(void **state)
{
    (void)state;
    make_directory("d");
    make_directory("d/b");
    make_directory("d/empty");
    make_file("d/b/2", "");
    make_file("d/b/1", "");
    make_file("d/c", "");
    make_file("d/B", "");
    make_file("d/\xff\xfe", "");
    make_file("d/new\nline", "");
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_string_equal(listed(), "d/\nd/B\nd/b/\nd/c\nd/empty/\nd/new\nline\nd/\xff\xfe\n"
                                  "d/b/1\nd/b/2\n");
    assert_string_equal(problems, "");
}

static void patterns_leave_out(void **state)
{
    (void)state;
    cn_filter_use_gitignore(filter);
    assert_err(cn_filter_exclude(filter, "*.o"), CN_OK);
    assert_err(cn_filter_exclude(filter, "/d/x"), CN_OK);
    make_directory("p");
    make_directory("p/d");
    make_directory("p/.git");
    make_directory("p/build");
    make_file("p/build/thing", "");
    make_file("p/.git/HEAD", "");
    make_file("p/d/x", "");
    make_file("p/d/y", "");
    make_file("p/d/a.o", "");
    make_file("p/.gitignore", "/build/\n*.tmp\n");
    make_file("p/d/.gitignore", "!kept.tmp\n");
    make_file("p/d/kept.tmp", "");
    make_file("p/d/other.tmp", "");
    make_file("q.o", "");
    make_file("last", "");
    assert_err(cn_walk_add(walk, at("p")), CN_OK);
    assert_err(cn_walk_add(walk, at("q.o")), CN_OK);
    assert_err(cn_walk_add(walk, at("last")), CN_OK);
    assert_string_equal(listed(),
                        "p/\np/.gitignore\np/d/\np/d/.gitignore\np/d/kept.tmp\np/d/y\nlast\n");
    assert_int_equal(cn_walk_size(walk), 14 + 10);
}

static void a_gitignore_that_is_no_file_of_patterns_is_none(void **state)
{
    char *large = malloc(CN_FILTER_FILE_SIZE_MAX + 2);

    (void)state;
    assert_non_null(large);
    memset(large, '\n', CN_FILTER_FILE_SIZE_MAX + 1);
    memcpy(large, "file", 4);
    large[CN_FILTER_FILE_SIZE_MAX + 1] = '\0';
    cn_filter_use_gitignore(filter);
    make_directory("a");
    make_directory("b");
    make_directory("c");
    make_directory("c/.gitignore");
    make_file("patterns", "*\n");
    make_link("a/.gitignore", "../patterns");
    make_file("a/file", "");
    make_file("b/.gitignore", large);
    make_file("b/file", "");
    make_file("c/file", "");
    free(large);
    assert_err(cn_walk_add(walk, at("a")), CN_OK);
    assert_err(cn_walk_add(walk, at("b")), CN_OK);
    assert_err(cn_walk_add(walk, at("c")), CN_OK);
    assert_string_equal(listed(),
                        "a/\na/.gitignore -> ../patterns\na/file\nb/\nb/.gitignore\nb/file\n"
                        "c/\nc/.gitignore/\nc/file\n");
    assert_string_equal(problems, "b/.gitignore: unreadable\n");
}

/* --- opening -------------------------------------------------------------------------------- */

static void a_file_is_opened_as_it_was_listed(void **state)
{
    char text[8] = "";
    int fd = -1;

    (void)state;
    make_directory("d");
    make_directory("d/e");
    make_file("d/e/one", "1");
    make_file("two", "2");
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    assert_err(cn_walk_add(walk, at("two")), CN_OK);
    for (int round = 0; round < 2; round++) {
        assert_err(cn_walk_open(walk, index_of("d/e/one"), &fd), CN_OK);
        assert_int_equal(read(fd, text, sizeof text), 1);
        assert_int_equal(text[0], '1');
        assert_true(cn_walk_is_same(walk, index_of("d/e/one"), fd));
        assert_false(cn_walk_is_same(walk, index_of("two"), fd));
        close(fd);
        assert_err(cn_walk_open(walk, index_of("two"), &fd), CN_OK);
        close(fd);
        openat2_error = round ? EPERM : ENOSYS;
    }
}

static void what_has_changed_is_not_opened(void **state)
{
    int fd = -1;

    (void)state;
    make_directory("d");
    make_directory("other");
    make_file("d/grown", "1");
    make_file("d/replaced", "1");
    make_file("d/linked", "1");
    make_file("d/gone", "1");
    make_file("other/grown", "1");
    assert_err(cn_walk_add(walk, at("d")), CN_OK);
    make_file("d/grown", "12");
    assert_int_equal(unlink(at("d/replaced")), 0);
    assert_int_equal(mkfifo(at("d/replaced"), 0600), 0);
    assert_int_equal(unlink(at("d/linked")), 0);
    make_link("d/linked", "/etc/passwd");
    assert_int_equal(unlink(at("d/gone")), 0);
    assert_err(cn_walk_open(walk, index_of("d/grown"), &fd), CN_E_SYSTEM);
    assert_int_equal(errno, ESTALE);
    assert_err(cn_walk_open(walk, index_of("d/replaced"), &fd), CN_E_SYSTEM);
    assert_int_equal(errno, ESTALE);
    assert_err(cn_walk_open(walk, index_of("d/linked"), &fd), CN_E_SYSTEM);
    assert_int_equal(errno, ESTALE);
    assert_err(cn_walk_open(walk, index_of("d/gone"), &fd), CN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fd, -1);
}

/* What is written with the time set back afterwards has been changed all the same. */
static void a_change_behind_the_times_is_noticed(void **state)
{
    struct timespec times[2];
    struct stat before, st;
    int fd = -1;

    (void)state;
    make_file("a", "one");
    make_file("b", "one");
    assert_err(cn_walk_add(walk, at("a")), CN_OK);
    assert_err(cn_walk_add(walk, at("b")), CN_OK);
    assert_err(cn_walk_open(walk, index_of("a"), &fd), CN_OK);
    assert_int_equal(fstat(fd, &before), 0);
    times[0] = times[1] = before.st_mtim;
    do { /* the file system's clock ticks slowly */
        make_file("a", "two");
        assert_int_equal(utimensat(AT_FDCWD, at("a"), times, 0), 0);
        assert_int_equal(chmod(at("b"), 0600), 0);
        assert_int_equal(fstat(fd, &st), 0);
    } while (st.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             st.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    assert_true(st.st_mtim.tv_nsec == times[1].tv_nsec && st.st_size == 3);
    assert_false(cn_walk_is_same(walk, index_of("a"), fd));
    close(fd);
    assert_err(cn_walk_open(walk, index_of("b"), &fd), CN_E_SYSTEM);
    assert_int_equal(errno, ESTALE);
}

static void of_a_file_it_is_known_how_much_is_no_hole(void **state)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    static char text[64 * 1024];
    struct cn_entry entry;
    struct stat st;
    int fd;

    (void)state;
    memset(text, 'x', sizeof text);
    make_file("sparse", "");
    make_file("full", "");
    make_link("link", "nowhere");
    fd = open(at("full"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    close(fd);
    fd = open(at("sparse"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 100 * 1024 * 1024), 0);
    assert_int_equal(pwrite(fd, text, sizeof text, 50 * 1024 * 1024), sizeof text);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    for (size_t i = 0; i < 3; i++)
        assert_err(cn_walk_add(walk, at((const char *const[]) { "full", "link", "sparse" }[i])),
                   CN_OK);
    cn_walk_entry(walk, 0, &entry, name);
    assert_true(entry.filled == sizeof text && cn_entry_valid(&entry));
    cn_walk_entry(walk, 1, &entry, name);
    assert_true(entry.filled == 0 && cn_entry_valid(&entry));
    cn_walk_entry(walk, 2, &entry, name);
    assert_true(entry.filled == (uint64_t)st.st_blocks * 512 && cn_entry_valid(&entry));
}

static void a_directory_that_became_a_link_is_not_entered(void **state)
{
    int fd = -1;

    (void)state;
    for (int round = 0; round < 2; round++) {
        char d[8], in[16];

        snprintf(d, sizeof d, "d%d", round);
        snprintf(in, sizeof in, "d%d/in", round);
        make_directory(d);
        make_directory(in);
        snprintf(in, sizeof in, "d%d/in/file", round);
        make_file(in, "1");
        assert_err(cn_walk_add(walk, at(d)), CN_OK);
        snprintf(in, sizeof in, "d%d/in", round);
        assert_int_equal(rename(at(in), at("moved")), 0);
        make_link(in, "../moved");
        snprintf(in, sizeof in, "d%d/in/file", round);
        assert_err(cn_walk_open(walk, index_of(in), &fd), CN_E_SYSTEM);
        assert_int_equal(errno, ESTALE);
        assert_int_equal(rename(at("moved"), at(round ? "m1" : "m0")), 0);
        openat2_error = ENOSYS;
    }
    assert_int_equal(fd, -1);
}

static void nothing_leads_out_from_beneath(void **state)
{
    static const char *const bad[] = { "..", "../x", "d/..",       "d//e", "/etc",     "d/",
                                       ".",  "out",  "out/passwd", "d/up", "d/file/x", "" };
    int root;

    (void)state;
    make_directory("d");
    make_file("d/file", "");
    make_link("out", "/etc");
    make_link("d/up", "..");
    root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; *bad[i]; i++)
            assert_int_equal(
                cn_beneath_open(root, bad[i], strlen(bad[i]), O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                -1);
        for (size_t size = 0; size <= 6; size += size ? 5 : 1) {
            int fd = cn_beneath_open(root, "d/file", size, O_RDONLY | O_CLOEXEC);

            assert_true(fd >= 0);
            close(fd);
        }
        openat2_error = ENOSYS;
    }
    close(root);
}

/* --- many, and holes ------------------------------------------------------------------------ */

static void a_hundred_thousand_files_are_listed(void **state)
{
    char name[32];
    int fd;

    (void)state;
    make_directory("many");
    for (int i = 0; i < 100000; i++) {
        if (i % 1000 == 0) {
            snprintf(name, sizeof name, "many/%02d", i / 1000);
            make_directory(name);
        }
        snprintf(name, sizeof name, "many/%02d/%03d", i / 1000, i % 1000);
        fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_err(cn_walk_add(walk, at("many")), CN_OK);
    assert_int_equal(cn_walk_count(walk), 100101);
    for (uint32_t i = 101; i < 100101; i += 99) {
        assert_err(cn_walk_open(walk, i, &fd), CN_OK);
        close(fd);
    }
}

static void ranges_leave_out_the_holes(void **state)
{
    const uint64_t mib = 1024 * 1024;
    struct cn_range range = { 0 };
    struct stat st;
    int fd = open(at("sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(pwrite(fd, "x", 1, (off_t)mib), 1);
    assert_int_equal(pwrite(fd, "y", 1, (off_t)(3 * mib)), 1);
    assert_int_equal(ftruncate(fd, (off_t)(5 * mib)), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_err(cn_range_next(fd, 0, 5 * mib, &range), CN_OK);
    assert_int_equal(range.begin, mib);
    assert_true(range.end > mib && range.end < 2 * mib);
    assert_err(cn_range_next(fd, range.end, 5 * mib, &range), CN_OK);
    assert_int_equal(range.begin, 3 * mib);
    assert_err(cn_range_next(fd, range.end, 5 * mib, &range), CN_OK);
    assert_int_equal(range.begin, 5 * mib);
    assert_int_equal(range.end, 5 * mib);
    assert_err(cn_range_next(fd, 0, mib, &range), CN_OK);
    assert_int_equal(range.begin, mib);
    assert_err(cn_range_next(fd, mib, mib + 1, &range), CN_OK);
    assert_int_equal(range.end, mib + 1);
    assert_err(cn_range_next(fd, 9 * mib, 5 * mib, &range), CN_OK);
    assert_int_equal(range.begin, 5 * mib);
    close(fd);
    assert_err(cn_range_next(fd, 0, 5 * mib, &range), CN_E_SYSTEM);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_is_not_there_is_an_error),
        test(a_path_that_is_too_long_is_an_error),
        test(two_paths_of_one_name_are_an_error),
        test(a_device_alone_cannot_be_sent),
        test(sockets_and_pipes_are_told_of),
        test(what_cannot_be_read_is_told_of),
        test(a_name_that_is_too_long_is_told_of),
        test(nothing_leads_out_from_beneath),
        test(what_has_changed_is_not_opened),
        test(a_change_behind_the_times_is_noticed),
        test(of_a_file_it_is_known_how_much_is_no_hole),
        test(a_directory_that_became_a_link_is_not_entered),
        test(links_stay_links),
        test(a_slash_or_dots_name_the_directory_itself),
        test(the_order_is_of_octets_and_directories_come_first),
        test(patterns_leave_out),
        test(a_gitignore_that_is_no_file_of_patterns_is_none),
        test(a_file_is_opened_as_it_was_listed),
        cmocka_unit_test_prestate_setup_teardown(a_hundred_thousand_files_are_listed, setup,
                                                 teardown, top),
        test(ranges_leave_out_the_holes),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
