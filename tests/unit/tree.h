/* tree.h - a directory for each test, with what the test puts there. */
#ifndef CN_TEST_TREE_H
#define CN_TEST_TREE_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64];

/* A path below the test's directory; four stay valid. */
static inline const char *at(const char *path)
{
    static char ring[4][2 * PATH_MAX];
    static unsigned next;
    char *out = ring[next++ % 4];

    snprintf(out, sizeof ring[0], "%s/%s", top, path);
    return out;
}

/* In memory, if *state says so and the machine can: where a hundred thousand files are made in no
 * time. */
static inline int tree_setup(void **state)
{
    bool in_memory = *state && access("/dev/shm", W_OK) == 0;

    umask(022);
    snprintf(top, sizeof top, "%s/cn-test-tree-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    return mkdtemp(top) ? 0 : -1;
}

static inline int tree_teardown(void **state)
{
    char command[256];

    (void)state;
    snprintf(command, sizeof command, "chmod -R u+rwx '%s'; rm -rf '%s'", top, top);
    return system(command) == 0 ? 0 : -1;
}

static inline void make_directory(const char *path)
{
    assert_int_equal(mkdir(at(path), 0755), 0);
}

static inline void make_file(const char *path, const char *text)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static inline void make_link(const char *path, const char *target)
{
    assert_int_equal(symlink(target, at(path)), 0);
}

static inline void file_is(const char *path, const char *text)
{
    char have[256] = "";
    FILE *file = fopen(at(path), "rb");

    assert_non_null(file);
    have[fread(have, 1, sizeof have - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(have, text);
}

static inline bool is_there(const char *path)
{
    struct stat st;

    return lstat(at(path), &st) == 0;
}

#endif
