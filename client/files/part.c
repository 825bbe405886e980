#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftover.h"

enum {
    WRITE_OUT_SIZE =
        8 * 1024 * 1024, /* octets: so much is on its way to the disk before it is synced */
    ALONE_COUNT = 4      /* up to so many parts are synced one by one */
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

static enum cn_err part_create(struct cn_part *part, int parent)
{
    struct stat st;

    cn_temporary_name(part->place->next_temporary++, part->temporary);
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
    /* finds out now whether the disk holds it; where that is not supported, writing will */
    part->reserved = fallocate(part->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)part->entry->size) == 0;
    return part->reserved || (errno != ENOSPC && errno != EDQUOT && errno != EFBIG) ? CN_OK
                                                                                    : CN_E_SYSTEM;
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
    if (!is_of(&j, part->entry)) {
        err = cn_leftover_remove(journals, &j);
        return err == CN_E_SYSTEM && errno == EBUSY ? err : CN_E_ABSENT;
    }
    err = cn_leftover_open(parent, &j, &part->fd);
    if (err == CN_E_ABSENT)
        cn_journal_remove(journals, &j);
    if (err != CN_OK)
        return err;
    part->has_journal = true;
    part->device = j.device;
    part->inode = j.inode;
    part->written = part->noted = j.written;
    memcpy(part->temporary, j.temporary, sizeof part->temporary);
    part->reserved = true; /* it may be */
    return ftruncate(part->fd, (off_t)j.written) == 0 ? CN_OK : CN_E_SYSTEM;
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
        cn_part_close(part, false);
        errno = saved;
    }
    return err;
}

enum cn_err cn_part_restart(struct cn_part *part)
{
    if (ftruncate(part->fd, 0) != 0)
        return CN_E_SYSTEM;
    part->written = part->noted = 0;
    return CN_OK;
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

    if (whole <= part->noted || (!part->has_journal && !journal_is_free(part)))
        return;
    if (fdatasync(part->fd) != 0)
        return;
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

static void journal_forget(struct cn_part *part)
{
    struct cn_journal j = { 0 };

    if (!part->has_journal)
        return;
    journal_begin(part, &j);
    cn_journal_remove(part->place->options.journals, &j);
    part->has_journal = false;
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
    if (fchmod(part->fd, entry->mode & 0777) != 0 || futimens(part->fd, times) != 0)
        return CN_E_SYSTEM;
    if (!part->is_large) /* else the lock is held until it has its name */
        fd_close(part);
    return CN_OK;
}

static void outcome_set(struct cn_part *part, enum cn_err err)
{
    part->err = err;
    part->error = err == CN_OK ? 0 : errno;
}

/* One part, whatever file system it is on. */
static bool part_sync(const struct cn_part *part, int parent)
{
    int fd = part->fd;
    bool good;
    int saved;

    if (fd < 0)
        fd = openat(parent, part->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    good = fd >= 0 && fsync(fd) == 0;
    saved = errno;
    if (fd >= 0 && fd != part->fd)
        close(fd);
    errno = saved;
    return good;
}

/* The directory that a part is in; *is_elsewhere: on another file system than the place. */
static int parent_find(const struct cn_part *part, bool *is_elsewhere)
{
    const struct cn_entry *entry = part->entry;
    struct cn_parents *parents = &part->place->parents;
    size_t last = cn_entry_last_part(entry->name, entry->name_size);
    uint64_t device = parents->root_device;
    int parent = cn_parents_open(parents, entry->name, last > 0 ? last - 1 : 0, &device);

    *is_elsewhere = device != parents->root_device;
    return parent;
}

/* Sync it, unless all of its file system has been, and give it its name. */
static void part_name(struct cn_part *part, bool is_synced)
{
    const struct cn_entry *entry = part->entry;
    bool is_elsewhere;
    int parent = parent_find(part, &is_elsewhere);
    enum cn_err err = CN_E_SYSTEM;

    if (parent >= 0 && ((is_synced && !is_elsewhere) || part_sync(part, parent)))
        err = cn_place_name(part->place, parent, part->temporary,
                            entry->name + cn_entry_last_part(entry->name, entry->name_size),
                            part->stored);
    if (err == CN_OK)
        part->temporary[0] = '\0';
    else
        part->stored[0] = '\0';
    outcome_set(part, err);
}

/* The name that it got is on disk. */
static void name_sync(struct cn_part *part, bool is_synced)
{
    bool is_elsewhere;
    int parent = parent_find(part, &is_elsewhere);

    if (is_synced && !is_elsewhere)
        return;
    /* EINVAL: a file system that syncs no directories */
    if (parent < 0 || (fsync(parent) != 0 && errno != EINVAL))
        outcome_set(part, CN_E_SYSTEM);
}

void cn_part_store(struct cn_place *place, struct cn_part *const *parts, size_t count)
{
    bool together = count > ALONE_COUNT && syncfs(place->parents.root) == 0;
    bool was_dirty = place->is_dirty;

    cn_parents_forget(&place->parents);
    for (size_t i = 0; i < count; i++)
        part_name(parts[i], together);
    if (together || was_dirty)
        together = cn_place_sync(place) == CN_OK;
    for (size_t i = 0; i < count; i++) {
        if (parts[i]->err != CN_OK)
            continue;
        name_sync(parts[i], together);
        if (parts[i]->err == CN_OK)
            journal_forget(parts[i]);
        fd_close(parts[i]);
    }
    if (count > 0)
        place->is_dirty = false;
    cn_parents_forget(&place->parents);
}

/* Leave what can go on. False: it cannot. */
static bool part_keep(struct cn_part *part)
{
    if (!can_go_on(part) || part->fd < 0)
        return false;
    (void)fchmod(part->fd, 0600); /* what was sealed could not be opened for writing again */
    progress_note(part);
    return part->has_journal && part->noted > 0;
}

void cn_part_close(struct cn_part *part, bool keep)
{
    int saved = errno;

    if (part->temporary[0] && !(keep && part_keep(part))) {
        int parent = cn_place_parent(part->place, part->entry, NULL);

        if (parent >= 0)
            (void)unlinkat(parent, part->temporary, 0);
        journal_forget(part);
    }
    part->temporary[0] = '\0';
    fd_close(part);
    errno = saved;
}
