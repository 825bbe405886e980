#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "beneath.h"
#include "file.h"
#include "temporary.h"

enum {
    ROOM_SIZE = 1024 * 1024, /* octets: for smaller files nobody asks whether there is room */
    MADE_NAMES_SIZE_MAX = 64 * 1024 * 1024,
    NUMBER_MAX = 999
};

enum cn_err cn_place_open(struct cn_place **place, const char *path,
                          const struct cn_place_options *options)
{
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cn_place *made;
    enum cn_err err;
    int saved;

    if (root < 0)
        return CN_E_SYSTEM;
    made = calloc(1, sizeof *made);
    if (!made) {
        close(root);
        return CN_E_MEMORY;
    }
    made->options = *options;
    made->path = realpath(path, NULL);
    err = cn_random_fill(options->random, (uint8_t *)&made->next_temporary,
                         sizeof made->next_temporary);
    if (err == CN_OK && (!made->path || cn_parents_init(&made->parents, root) != 0))
        err = CN_E_SYSTEM;
    if (err == CN_OK) {
        *place = made;
        return CN_OK;
    }
    saved = errno;
    close(root);
    free(made->path);
    free(made);
    errno = saved;
    return err;
}

void cn_place_close(struct cn_place *place)
{
    if (!place)
        return;
    cn_parents_wipe(&place->parents);
    cn_arena_wipe(&place->arena);
    tdestroy(place->stored, free);
    free(place->made);
    free(place->path);
    free(place);
}

/* --- what this call has stored, when it may overwrite --------------------------------------- */

struct stored {
    uint64_t device, inode;
};

static int stored_compare(const void *a, const void *b)
{
    const struct stored *one = a;
    const struct stored *other = b;

    if (one->inode != other->inode)
        return one->inode < other->inode ? -1 : 1;
    return (one->device > other->device) - (one->device < other->device);
}

static bool stored_has(const struct cn_place *place, const struct stat *st)
{
    const struct stored key = { st->st_dev, st->st_ino };

    return tfind(&key, &place->stored, stored_compare) != NULL;
}

/* Remember what is at name. */
static enum cn_err stored_add(struct cn_place *place, int parent, const char *name)
{
    struct stored *key;
    struct stat st;
    void *node;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return CN_E_SYSTEM;
    key = malloc(sizeof *key);
    if (!key)
        return CN_E_MEMORY;
    *key = (struct stored) { st.st_dev, st.st_ino };
    node = tsearch(key, &place->stored, stored_compare);
    if (!node || *(struct stored **)node != key)
        free(key);
    return node ? CN_OK : CN_E_MEMORY;
}

/* --- judging -------------------------------------------------------------------------------- */

int cn_place_parent(struct cn_place *place, const struct cn_entry *entry, const char **last)
{
    size_t at = cn_entry_last_part(entry->name, entry->name_size);

    if (last)
        *last = entry->name + at;
    return cn_parents_open(&place->parents, entry->name, at > 0 ? at - 1 : 0, NULL);
}

/* What the file system makes of 999999999 nanoseconds says how exact its times are. */
static void grain_learn(struct cn_place *place)
{
    const struct timespec times[2] = { { 0, UTIME_OMIT }, { 1, 999999999 } };
    char name[CN_TEMPORARY_NAME_SIZE];
    struct stat st;
    int fd;

    place->grain_ns = 1;
    cn_temporary_name(place->next_temporary++, name);
    fd = openat(place->parents.root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0600);
    if (fd < 0)
        return;
    (void)unlinkat(place->parents.root, name, 0);
    if (futimens(fd, times) == 0 && fstat(fd, &st) == 0 && st.st_mtim.tv_sec == 1)
        place->grain_ns = 1000000000 - (uint32_t)st.st_mtim.tv_nsec;
    close(fd);
}

static bool times_agree(struct cn_place *place, const struct stat *st, const struct cn_entry *entry)
{
    uint32_t there_ns = (uint32_t)st->st_mtim.tv_nsec;

    if (st->st_mtim.tv_sec != entry->mtime_s || there_ns > entry->mtime_ns)
        return false;
    if (there_ns == entry->mtime_ns)
        return true;
    if (!place->grain_ns)
        grain_learn(place);
    return there_ns == entry->mtime_ns - entry->mtime_ns % place->grain_ns;
}

static bool is_same_link(int parent, const char *last, const struct cn_entry *entry)
{
    char target[CN_ENTRY_TARGET_SIZE_MAX + 1];
    ssize_t size = readlinkat(parent, last, target, sizeof target);

    return size >= 0 && (size_t)size == entry->target_size &&
           memcmp(target, entry->target, entry->target_size) == 0;
}

/* What is there already. */
static enum cn_err judge_existing(struct cn_place *place, int parent, const char *last,
                                  const struct cn_entry *entry, const struct stat *st,
                                  bool *is_unchanged)
{
    enum cn_place_policy policy = place->options.policy;

    if (entry->type == CN_ENTRY_DIRECTORY)
        return S_ISDIR(st->st_mode) ? CN_OK : CN_E_EXISTS;
    if (entry->type == CN_ENTRY_FILE && S_ISREG(st->st_mode) &&
        (uint64_t)st->st_size == entry->size && times_agree(place, st, entry))
        *is_unchanged = true;
    if (entry->type == CN_ENTRY_LINK && S_ISLNK(st->st_mode) && is_same_link(parent, last, entry))
        *is_unchanged = true;
    if (*is_unchanged || policy == CN_PLACE_RENAME)
        return CN_OK;
    if (policy == CN_PLACE_OVERWRITE && (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode)) &&
        !stored_has(place, st))
        return CN_OK;
    return CN_E_EXISTS;
}

static bool has_room(int parent, uint64_t size)
{
    struct statvfs fs;

    if (size < ROOM_SIZE || fstatvfs(parent, &fs) != 0)
        return true; /* writing will tell */
    return (uint64_t)fs.f_bavail * fs.f_frsize >= size;
}

enum cn_err cn_place_judge(struct cn_place *place, const struct cn_entry *entry, bool *is_unchanged)
{
    const char *last;
    struct stat st;
    int parent;

    *is_unchanged = false;
    if (!cn_entry_valid(entry))
        return CN_E_FORMAT;
    parent = cn_place_parent(place, entry, &last);
    if (cn_temporary_is(last, strlen(last)))
        return CN_E_NAME;
    if (parent < 0)
        return CN_E_SYSTEM;
    if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        enum cn_err err = judge_existing(place, parent, last, entry, &st, is_unchanged);

        if (err != CN_OK || *is_unchanged)
            return err;
    } else if (errno != ENOENT) {
        return CN_E_SYSTEM;
    }
    if (!has_room(parent, entry->size)) {
        errno = ENOSPC;
        return CN_E_SYSTEM;
    }
    return CN_OK;
}

/* --- names ---------------------------------------------------------------------------------- */

static enum cn_err name_err(void)
{
    return errno == EEXIST || errno == EISDIR ? CN_E_EXISTS : CN_E_SYSTEM;
}

/* Under the first number that is free. */
static enum cn_err name_numbered(int parent, const char *temporary, const char *last,
                                 char stored[CN_ENTRY_PART_SIZE_MAX + 1])
{
    for (unsigned number = 1; number <= NUMBER_MAX; number++) {
        cn_entry_numbered(last, number, stored);
        if (cn_file_rename_new(parent, temporary, stored) == 0)
            return CN_OK;
        if (errno != EEXIST)
            return CN_E_SYSTEM;
    }
    return CN_E_EXISTS;
}

/* In the place of what is there, if that may go. */
static enum cn_err name_over(struct cn_place *place, int parent, const char *temporary,
                             const char *last)
{
    struct stat st;

    if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        ((!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) || stored_has(place, &st)))
        return CN_E_EXISTS;
    return renameat(parent, temporary, parent, last) == 0 ? CN_OK : name_err();
}

enum cn_err cn_place_name(struct cn_place *place, int parent, const char *temporary,
                          const char *last, char stored[CN_ENTRY_PART_SIZE_MAX + 1])
{
    enum cn_err err = CN_OK;

    memcpy(stored, last, strlen(last) + 1);
    if (place->options.policy == CN_PLACE_OVERWRITE)
        err = name_over(place, parent, temporary, last);
    else if (cn_file_rename_new(parent, temporary, last) != 0)
        err = name_err();
    if (err == CN_E_EXISTS && place->options.policy == CN_PLACE_RENAME)
        err = name_numbered(parent, temporary, last, stored);
    if (err == CN_OK) {
        place->is_dirty = true;
        if (place->options.policy == CN_PLACE_OVERWRITE)
            err = stored_add(place, parent, stored);
    }
    return err;
}

/* Something was made in the directory of an entry. */
static enum cn_err mark_dirty(struct cn_place *place, const struct cn_entry *entry)
{
    size_t last = cn_entry_last_part(entry->name, entry->name_size);
    uint64_t device;
    int parent = cn_parents_open(&place->parents, entry->name, last > 0 ? last - 1 : 0, &device);

    place->is_dirty = true;
    if (parent < 0)
        return CN_E_SYSTEM;
    /* a mount of its own: cn_place_sync does not sync it */
    return device == place->parents.root_device || fsync(parent) == 0 || errno == EINVAL
               ? CN_OK
               : CN_E_SYSTEM;
}

/* --- directories ---------------------------------------------------------------------------- */

static enum cn_err made_add(struct cn_place *place, const struct cn_entry *entry, bool is_new)
{
    struct cn_made made = { .name_size = entry->name_size,
                            .mtime_s = entry->mtime_s,
                            .mtime_ns = entry->mtime_ns,
                            .mode = (uint16_t)entry->mode,
                            .is_new = is_new };

    if (place->made_size + entry->name_size > MADE_NAMES_SIZE_MAX)
        return CN_OK;
    if (place->made_count == place->made_capacity) {
        size_t wanted = place->made_capacity ? place->made_capacity * 2 : 64;
        struct cn_made *grown = reallocarray(place->made, wanted, sizeof *grown);

        if (!grown)
            return CN_E_MEMORY;
        place->made = grown;
        place->made_capacity = wanted;
    }
    made.name = cn_arena_text(&place->arena, entry->name, entry->name_size);
    if (!made.name)
        return CN_E_MEMORY;
    place->made[place->made_count++] = made;
    place->made_size += entry->name_size;
    return CN_OK;
}

enum cn_err cn_place_make_directory(struct cn_place *place, const struct cn_entry *entry)
{
    bool is_unchanged;
    enum cn_err err = cn_place_judge(place, entry, &is_unchanged);
    bool is_new = false;
    const char *last;
    struct stat st;
    int parent;

    if (err != CN_OK)
        return err;
    parent = cn_place_parent(place, entry, &last);
    if (parent < 0)
        return CN_E_SYSTEM;
    if (mkdirat(parent, last, (entry->mode & 0777) | 0700) == 0)
        is_new = true;
    else if (errno != EEXIST)
        return CN_E_SYSTEM;
    else if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return CN_E_EXISTS;
    if (is_new && (err = mark_dirty(place, entry)) != CN_OK)
        return err;
    return made_add(place, entry, is_new);
}

static bool attributes_set(const struct cn_place *place, const struct cn_made *made)
{
    const struct timespec times[2] = { { 0, UTIME_OMIT },
                                       { (time_t)made->mtime_s, (long)made->mtime_ns } };
    int fd = cn_beneath_open(place->parents.root, made->name, made->name_size,
                             O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    bool good = fd >= 0;
    int saved;

    if (good && made->is_new) /* that a directory gives its group to what is in it is inherited */
        good = fstat(fd, &st) == 0 && fchmod(fd, (st.st_mode & S_ISGID) | made->mode) == 0;
    if (good) /* EPERM: somebody else's, that we may write to */
        good = futimens(fd, times) == 0 || (!made->is_new && errno == EPERM);
    saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return good;
}

enum cn_err cn_place_finish(struct cn_place *place)
{
    int error = 0;

    cn_parents_forget(&place->parents);
    for (size_t i = place->made_count; i-- > 0;) {
        place->is_dirty = true;
        if (!attributes_set(place, &place->made[i]) && error == 0)
            error = errno;
    }
    place->made_count = 0;
    place->made_size = 0;
    cn_arena_wipe(&place->arena);
    if (cn_place_sync(place) != CN_OK && error == 0)
        error = errno;
    errno = error;
    return error == 0 ? CN_OK : CN_E_SYSTEM;
}

enum cn_err cn_place_sync(struct cn_place *place)
{
    if (place->is_dirty && syncfs(place->parents.root) != 0)
        return CN_E_SYSTEM;
    place->is_dirty = false;
    return CN_OK;
}

/* --- links ---------------------------------------------------------------------------------- */

/* Nobody ever sees another thing under its name than the old one or the new. */
enum cn_err cn_place_make_link(struct cn_place *place, const struct cn_entry *entry)
{
    const struct timespec times[2] = { { 0, UTIME_OMIT },
                                       { (time_t)entry->mtime_s, (long)entry->mtime_ns } };
    char temporary[CN_TEMPORARY_NAME_SIZE];
    char stored[CN_ENTRY_PART_SIZE_MAX + 1];
    bool is_unchanged;
    enum cn_err err = cn_place_judge(place, entry, &is_unchanged);
    const char *last;
    int parent, saved;

    if (err != CN_OK || is_unchanged)
        return err;
    cn_temporary_name(place->next_temporary++, temporary);
    parent = cn_place_parent(place, entry, &last);
    if (parent < 0 || symlinkat(entry->target, parent, temporary) != 0)
        return CN_E_SYSTEM;
    (void)utimensat(parent, temporary, times, AT_SYMLINK_NOFOLLOW); /* not every file system can */
    err = cn_place_name(place, parent, temporary, last, stored);
    if (err != CN_OK) {
        saved = errno;
        (void)unlinkat(parent, temporary, 0);
        errno = saved;
        return err;
    }
    return mark_dirty(place, entry);
}
