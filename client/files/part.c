#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "leftover.h"

enum {
    WRITE_OUT_SIZE =
        8 * 1024 * 1024 /* octets: so much is on its way to the disk before it is synced */
};

void cn_part_init(struct cn_part *part)
{
    *part = (struct cn_part) { .fd = -1 };
}

static bool can_go_on(const struct cn_part *part)
{
    return part->place->options.journals && part->is_large;
}

/* What its journal is called after. */
static void journal_begin(const struct cn_part *part, struct cn_journal *j)
{
    const struct cn_entry *entry = part->entry;

    snprintf(j->partner, sizeof j->partner, "%s", part->place->options.partner);
    snprintf(j->place, sizeof j->place, "%s", part->place->path);
    memcpy(j->name, entry->name, entry->name_size + 1);
}

static bool is_of(const struct cn_journal *j, const struct cn_entry *entry)
{
    return j->size == entry->size && j->mtime_s == entry->mtime_s &&
           j->mtime_ns == entry->mtime_ns && j->identity == entry->identity;
}

/* --- beginning ------------------------------------------------------------------------------ */

static bool is_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Find out now whether the disk holds what is to come. Where there are holes nothing is reserved:
 * that would fill them; and where that is not supported writing will tell. */
static enum cn_err room_take(struct cn_part *part)
{
    const struct cn_entry *entry = part->entry;
    const uint64_t left = entry->size - part->written;
    uint64_t wanted, has;
    struct statvfs fs;
    struct stat st;

    if (entry->filled == entry->size && left > 0) {
        part->reserved =
            fallocate(part->fd, FALLOC_FL_KEEP_SIZE, (off_t)part->written, (off_t)left) == 0;
        if (part->reserved || is_no_room(errno))
            return part->reserved ? CN_OK : CN_E_SYSTEM;
    }
    if (fstat(part->fd, &st) != 0 || fstatvfs(part->fd, &fs) != 0)
        return CN_E_SYSTEM;
    has = (uint64_t)st.st_blocks * 512;
    wanted = entry->filled > has ? entry->filled - has : 0;
    if ((uint64_t)fs.f_bavail * fs.f_frsize >= wanted)
        return CN_OK;
    errno = ENOSPC;
    return CN_E_SYSTEM;
}

static enum cn_err part_create(struct cn_part *part, int parent)
{
    struct stat st;

    cn_place_temporary(part->place, part->entry, part->temporary);
    part->fd =
        openat(parent, part->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (part->fd < 0) {
        part->temporary[0] = '\0';
        return CN_E_SYSTEM;
    }
    if (!part->is_large)
        return CN_OK;
    (void)flock(part->fd, LOCK_EX | LOCK_NB); /* nobody else knows it; not every file system can */
    if (fstat(part->fd, &st) != 0)
        return CN_E_SYSTEM;
    part->device = st.st_dev;
    part->inode = st.st_ino;
    return room_take(part);
}

/* Go on with what is there of an earlier run. CN_E_ABSENT: nothing is, any more. */
static enum cn_err part_continue(struct cn_part *part, int parent)
{
    const struct cn_journals *journals = part->place->options.journals;
    struct cn_journal j = { 0 };
    enum cn_err err;

    journal_begin(part, &j);
    err = cn_journal_load(journals, &j);
    if (err != CN_OK)
        return CN_E_ABSENT;
    if (is_of(&j, part->entry))
        err = cn_leftover_open(parent, &j, &part->fd);
    else
        err = CN_E_ABSENT;
    if (err == CN_E_ABSENT || err == CN_E_TRUNCATED) {
        err = cn_leftover_remove(journals, &j);
        return err == CN_E_SYSTEM && errno == EBUSY ? err : CN_E_ABSENT;
    }
    if (err != CN_OK)
        return err;
    part->has_journal = true;
    part->device = j.device;
    part->inode = j.inode;
    part->written = part->noted = j.written;
    memcpy(part->temporary, j.temporary, sizeof part->temporary);
    if (ftruncate(part->fd, (off_t)j.written) != 0) /* what was reserved goes back */
        return CN_E_SYSTEM;
    return room_take(part);
}

enum cn_err cn_part_open(struct cn_part *part, struct cn_place *place, const struct cn_entry *entry)
{
    int parent = cn_place_parent(place, entry, NULL);
    enum cn_err err = CN_E_ABSENT;
    int saved;

    if (parent < 0)
        return CN_E_SYSTEM;
    *part = (struct cn_part) {
        .place = place, .entry = entry, .fd = -1, .is_large = entry->size >= CN_PART_BLOCK_SIZE
    };
    if (can_go_on(part))
        err = part_continue(part, parent);
    if (err == CN_E_ABSENT)
        err = part_create(part, parent);
    if (err != CN_OK) {
        saved = errno;
        cn_part_close(part, true); /* what is there of an earlier run stays */
        errno = saved;
    }
    return err;
}

/* --- writing -------------------------------------------------------------------------------- */

/* Whether so many octets more are what was offered. */
static bool has_space(const struct cn_part *part, uint64_t size)
{
    return size <= part->entry->size && part->written <= part->entry->size - size;
}

/* Let the disk begin, so that a sync has little to wait for. */
static void write_out(const struct cn_part *part, uint64_t before)
{
    uint64_t from = before - before % WRITE_OUT_SIZE;
    uint64_t to = part->written - part->written % WRITE_OUT_SIZE;

    if (to > from)
        (void)sync_file_range(part->fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}

enum cn_err cn_part_write(struct cn_part *part, const void *from, size_t size)
{
    const uint8_t *at = from;
    uint64_t before = part->written;

    if (!has_space(part, size))
        return CN_E_LIMIT;
    while (size > 0) {
        ssize_t put = pwrite(part->fd, at, size, (off_t)part->written);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return CN_E_SYSTEM;
        at += put;
        size -= (size_t)put;
        part->written += (uint64_t)put;
    }
    write_out(part, before);
    return CN_OK;
}

enum cn_err cn_part_skip(struct cn_part *part, uint64_t size)
{
    uint64_t end = part->written + size;

    if (!has_space(part, size))
        return CN_E_LIMIT;
    if (ftruncate(part->fd, (off_t)end) != 0)
        return CN_E_SYSTEM;
    if (part->reserved && size > 0) /* what was reserved for it goes back; else it stays reserved */
        (void)fallocate(part->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)part->written,
                        (off_t)size);
    part->written = end;
    return CN_OK;
}

/* --- going on later ------------------------------------------------------------------------- */

/* Another process may have begun the same file after us; then only one can go on later. */
static bool journal_is_free(const struct cn_part *part)
{
    struct cn_journal j = { 0 };

    journal_begin(part, &j);
    return cn_journal_load(part->place->options.journals, &j) != CN_OK ||
           cn_leftover_state(&j) != CN_LEFTOVER_BUSY;
}

/* Sync what is written, and note it. */
static void progress_note(struct cn_part *part)
{
    uint64_t whole = part->written - part->written % CN_PART_BLOCK_SIZE;
    struct cn_journal j = { .size = part->entry->size,
                            .mtime_s = part->entry->mtime_s,
                            .mtime_ns = part->entry->mtime_ns,
                            .identity = part->entry->identity,
                            .device = part->device,
                            .inode = part->inode,
                            .written = whole };

    if (whole <= part->noted || part->sync_error != 0 ||
        (!part->has_journal && !journal_is_free(part)))
        return;
    if (fdatasync(part->fd) != 0) {
        part->sync_error = errno == EINTR ? 0 : errno;
        return;
    }
    journal_begin(part, &j);
    memcpy(j.temporary, part->temporary, sizeof j.temporary);
    if (cn_journal_store(part->place->options.journals, &j) != CN_OK)
        return;
    part->has_journal = true;
    part->noted = whole;
}

void cn_part_checkpoint(struct cn_part *part, int64_t now_ms)
{
    if (!can_go_on(part))
        return;
    if (part->next_ms == 0)
        part->next_ms = now_ms + CN_PART_CHECKPOINT_MS;
    if (now_ms < part->next_ms)
        return;
    progress_note(part);
    part->next_ms = now_ms + CN_PART_CHECKPOINT_MS;
}

uint64_t cn_part_due_ms(const struct cn_part *part)
{
    const bool any = can_go_on(part) && part->written - part->noted >= CN_PART_BLOCK_SIZE;

    return any && part->next_ms != 0 ? (uint64_t)part->next_ms : UINT64_MAX;
}

static void journal_forget(struct cn_part *part)
{
    struct cn_journal j = { 0 };

    if (!part->has_journal)
        return;
    journal_begin(part, &j);
    cn_journal_remove(part->place->options.journals, &j);
    part->has_journal = false;
}

enum cn_err cn_part_restart(struct cn_part *part)
{
    journal_forget(part); /* first: it would say that there is what is taken away here */
    part->noted = 0;
    if (ftruncate(part->fd, 0) != 0)
        return CN_E_SYSTEM;
    part->written = 0;
    part->sync_error = 0; /* of what is not wanted any more */
    return CN_OK;
}

/* --- keeping -------------------------------------------------------------------------------- */

static void fd_close(struct cn_part *part)
{
    if (part->fd >= 0)
        close(part->fd);
    part->fd = -1;
}

enum cn_err cn_part_seal(struct cn_part *part)
{
    const struct cn_entry *entry = part->entry;
    const struct timespec times[2] = { { 0, UTIME_NOW },
                                       { (time_t)entry->mtime_s, (long)entry->mtime_ns } };

    if (part->written != entry->size)
        return CN_E_TRUNCATED;
    if (part->sync_error != 0) {
        errno = part->sync_error;
        return CN_E_SYSTEM;
    }
    if (fchmod(part->fd, entry->mode & 0777) != 0 || futimens(part->fd, times) != 0)
        return CN_E_SYSTEM;
    if (!part->is_large) /* else the lock is held until it has its name */
        fd_close(part);
    return CN_OK;
}

void cn_part_stored(struct cn_part *part)
{
    if (part->err == CN_OK)
        journal_forget(part);
    if (part->err == CN_OK || !part->is_large)
        fd_close(part);
}

/* Leave what can go on. False: it cannot. */
static bool part_keep(struct cn_part *part)
{
    if (!can_go_on(part) || part->fd < 0)
        return false;
    (void)fchmod(part->fd, 0600); /* what was sealed could not be opened for writing again */
    part->reserved = part->reserved && ftruncate(part->fd, (off_t)part->written) != 0;
    progress_note(part);
    return part->has_journal && part->noted > 0;
}

uint64_t cn_part_close(struct cn_part *part, bool keep)
{
    int saved = errno;
    bool kept = part->temporary[0] && keep && part_keep(part);

    if (part->temporary[0] && !kept) {
        int parent = cn_place_parent(part->place, part->entry, NULL);

        if (parent >= 0)
            (void)unlinkat(parent, part->temporary, 0);
        journal_forget(part);
    }
    part->temporary[0] = '\0';
    fd_close(part);
    errno = saved;
    return kept ? part->noted : 0;
}
