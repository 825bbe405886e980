#include "leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"

/* Whether it is what the journal says. */
static bool fits(const struct stat *st, const struct cn_journal *journal)
{
    return S_ISREG(st->st_mode) && st->st_ino == journal->inode && st->st_dev == journal->device &&
           st->st_uid == geteuid();
}

static enum cn_err check_and_lock(int parent, const struct cn_journal *journal, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !fits(&st, journal))
        return CN_E_ABSENT;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            errno = EBUSY;
        return errno == EBUSY ? CN_E_SYSTEM : CN_E_ABSENT;
    }
    /* whoever had the lock may have given the file its own name meanwhile */
    if (fstatat(parent, journal->temporary, &st, AT_SYMLINK_NOFOLLOW) != 0 || !fits(&st, journal))
        return CN_E_ABSENT;
    return CN_OK;
}

/* As cn_leftover_open, however long it is. */
static enum cn_err part_open(int parent, const struct cn_journal *journal, int *fd)
{
    int opened = openat(parent, journal->temporary, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum cn_err err;
    int saved;

    if (opened < 0)
        return CN_E_ABSENT;
    err = check_and_lock(parent, journal, opened);
    if (err == CN_OK) {
        *fd = opened;
        return CN_OK;
    }
    saved = errno;
    close(opened);
    errno = saved;
    return err;
}

enum cn_err cn_leftover_open(int parent, const struct cn_journal *journal, int *fd)
{
    enum cn_err err = part_open(parent, journal, fd);
    struct stat st;

    if (err != CN_OK || (fstat(*fd, &st) == 0 && (uint64_t)st.st_size >= journal->written))
        return err;
    close(*fd);
    *fd = -1;
    return CN_E_TRUNCATED;
}

/* The directory that the part is in; -1: it is not there. */
static int parent_open(const struct cn_journal *journal)
{
    size_t last = cn_entry_last_part(journal->name, strlen(journal->name));
    int root = open(journal->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int parent;

    if (root < 0)
        return -1;
    parent = cn_beneath_open(root, journal->name, last > 0 ? last - 1 : 0,
                             O_PATH | O_DIRECTORY | O_CLOEXEC);
    close(root);
    return parent;
}

enum cn_leftover_state cn_leftover_state(const struct cn_journal *journal)
{
    int parent = parent_open(journal);
    enum cn_err err = CN_E_ABSENT;
    int fd = -1;

    if (parent >= 0) {
        err = part_open(parent, journal, &fd);
        close(parent);
    }
    if (fd >= 0)
        close(fd);
    return err == CN_OK         ? CN_LEFTOVER_IDLE
           : err == CN_E_SYSTEM ? CN_LEFTOVER_BUSY
                                : CN_LEFTOVER_GONE;
}

enum cn_err cn_leftover_remove(const struct cn_journals *journals, const struct cn_journal *journal)
{
    int parent = parent_open(journal);
    enum cn_err err = CN_E_ABSENT;
    int fd = -1;
    int saved;

    if (parent >= 0) {
        err = part_open(parent, journal, &fd);
        if (err == CN_OK && unlinkat(parent, journal->temporary, 0) != 0)
            err = CN_E_SYSTEM;
        saved = errno;
        close(parent);
        if (fd >= 0)
            close(fd);
        errno = saved;
    }
    if (err == CN_E_SYSTEM)
        return err;
    cn_journal_remove(journals, journal);
    return CN_OK;
}
