#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "file.h"
#include "temporary.h"

enum { MADE_NAMES_SIZE_MAX = 64 * 1024 * 1024 };

static enum cn_err trail_begin(struct cn_place *place)
{
    const struct cn_place_options *options = &place->options;
    const struct cn_trail_head head = { options->partner, place->path, place->next_temporary };

    if (!options->journals)
        return CN_OK;
    cn_trail_sweep(options->journals, options->partner, place->path);
    return cn_trail_begin(&place->trail, options->journals, &head);
}

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
    if (err == CN_OK && !made->path)
        err = CN_E_SYSTEM;
    if (err == CN_OK)
        err = trail_begin(made);
    if (err == CN_OK && cn_parents_init(&made->parents, root) != 0)
        err = CN_E_SYSTEM;
    if (err == CN_OK) {
        *place = made;
        return CN_OK;
    }
    saved = errno;
    close(root);
    cn_trail_end(made->trail);
    free(made->path);
    free(made);
    errno = saved;
    return err;
}

void cn_place_close(struct cn_place *place)
{
    if (!place)
        return;
    cn_trail_end(place->trail);
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

static void there_set(struct cn_there *there, const struct stat *st)
{
    there->mtime = st->st_mtim;
    there->mode = st->st_mode;
}

/* Whether st, of name in parent, is the entry. */
static bool is_same(struct cn_place *place, int parent, const char *name,
                    const struct cn_entry *entry, const struct stat *st)
{
    if (entry->type == CN_ENTRY_FILE)
        return S_ISREG(st->st_mode) && (uint64_t)st->st_size == entry->size &&
               times_agree(place, st, entry);
    return S_ISLNK(st->st_mode) && is_same_link(parent, name, entry);
}

/* Whether an earlier call, to which the name was taken as well, gave it a number. */
static void copy_find(struct cn_place *place, int parent, const char *last,
                      const struct cn_entry *entry, struct cn_there *there)
{
    char name[CN_ENTRY_PART_SIZE_MAX + 1];
    struct stat st;

    for (unsigned number = 1; number <= CN_PLACE_NUMBER_MAX && !there->is_same; number++) {
        cn_entry_numbered(last, number, name);
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return;
        if (!is_same(place, parent, name, entry, &st))
            continue;
        *there = (struct cn_there) { .is_same = true, .number = number };
        there_set(there, &st);
    }
}

/* What is there already. */
static enum cn_err judge_existing(struct cn_place *place, int parent, const char *last,
                                  const struct cn_entry *entry, const struct stat *st,
                                  struct cn_there *there)
{
    enum cn_place_policy policy = place->options.policy;

    if (entry->type == CN_ENTRY_DIRECTORY) {
        there->is_same = S_ISDIR(st->st_mode);
        return there->is_same ? CN_OK : CN_E_EXISTS;
    }
    there->is_same = is_same(place, parent, last, entry, st);
    there_set(there, st);
    if (!there->is_same && policy == CN_PLACE_RENAME)
        copy_find(place, parent, last, entry, there);
    if (there->is_same || policy == CN_PLACE_RENAME)
        return CN_OK;
    if (policy == CN_PLACE_OVERWRITE && (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode)) &&
        !stored_has(place, st))
        return CN_OK;
    return CN_E_EXISTS;
}

enum cn_err cn_place_judge(struct cn_place *place, const struct cn_entry *entry,
                           struct cn_there *there)
{
    const char *last;
    struct stat st;
    int parent;

    *there = (struct cn_there) { 0 };
    if (!cn_entry_valid(entry))
        return CN_E_FORMAT;
    parent = cn_place_parent(place, entry, &last);
    if (cn_temporary_is(last, strlen(last)))
        return CN_E_NAME;
    if (parent < 0)
        return CN_E_SYSTEM;
    if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return judge_existing(place, parent, last, entry, &st, there);
    return errno == ENOENT ? CN_OK : CN_E_SYSTEM;
}

/* --- what is there and the same ------------------------------------------------------------- */

/* Open what has the name of the entry, or that name with a number. -1 and errno. */
static int there_open(struct cn_place *place, const struct cn_entry *entry, unsigned number,
                      struct stat *st)
{
    char name[CN_ENTRY_PART_SIZE_MAX + 1];
    const char *last;
    int parent = cn_place_parent(place, entry, &last);
    int fd;

    if (parent < 0)
        return -1;
    if (number > 0)
        cn_entry_numbered(last, number, name);
    fd = openat(parent, number > 0 ? name : last,
                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) == 0)
        return fd;
    close(fd);
    return -1;
}

enum cn_err cn_place_look(struct cn_place *place, const struct cn_entry *entry,
                          struct cn_there *there, int *fd)
{
    struct stat st;
    int opened = there_open(place, entry, there->number, &st);

    if (opened < 0)
        return errno == ENOENT                    ? CN_E_ABSENT
               : errno == ELOOP || errno == ENXIO ? CN_E_KIND
                                                  : CN_E_SYSTEM;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != entry->size) {
        close(opened);
        return CN_E_KIND;
    }
    there_set(there, &st);
    *fd = opened;
    return CN_OK;
}

/* Unless what is there may be replaced, a partner opens nothing of ours to others. */
static mode_t mode_wanted(const struct cn_place *place, const struct cn_entry *entry, mode_t is)
{
    const mode_t others = place->options.policy == CN_PLACE_OVERWRITE ? 0077 : is & 0077;

    return (is & 07000) | (entry->mode & (0700 | others));
}

static bool link_align(struct cn_place *place, const struct cn_entry *entry, unsigned number,
                       const struct timespec times[2])
{
    char name[CN_ENTRY_PART_SIZE_MAX + 1];
    const char *last;
    int parent = cn_place_parent(place, entry, &last);

    if (number > 0)
        cn_entry_numbered(last, number, name);
    return parent >= 0 &&
           utimensat(parent, number > 0 ? name : last, times, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool file_align(struct cn_place *place, const struct cn_entry *entry,
                       const struct cn_there *there, const struct timespec times[2])
{
    struct stat st;
    int fd = there_open(place, entry, there->number, &st);
    bool good = fd >= 0;
    int saved;

    if (good && S_ISREG(st.st_mode) && (uint64_t)st.st_size == entry->size &&
        st.st_mtim.tv_sec == there->mtime.tv_sec && st.st_mtim.tv_nsec == there->mtime.tv_nsec)
        good = fchmod(fd, mode_wanted(place, entry, st.st_mode) & 07777) == 0 &&
               futimens(fd, times) == 0;
    saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return good;
}

enum cn_err cn_place_align(struct cn_place *place, const struct cn_entry *entry,
                           const struct cn_there *there)
{
    const struct timespec times[2] = { { 0, UTIME_OMIT },
                                       { (time_t)entry->mtime_s, (long)entry->mtime_ns } };
    const struct stat st = { .st_mtim = there->mtime };
    const bool is_link = entry->type == CN_ENTRY_LINK;

    if (entry->type == CN_ENTRY_DIRECTORY) /* see cn_place_finish */
        return CN_OK;
    if (times_agree(place, &st, entry) &&
        (is_link || mode_wanted(place, entry, there->mode) == (there->mode & 07777)))
        return CN_OK;
    place->is_dirty = true;
    if (is_link ? link_align(place, entry, there->number, times)
                : file_align(place, entry, there, times))
        return CN_OK;
    /* somebody else's, or gone; and not every file system keeps the time of a link */
    return errno == EPERM || errno == EACCES || errno == ENOENT || is_link ? CN_OK : CN_E_SYSTEM;
}

/* --- names ---------------------------------------------------------------------------------- */

static enum cn_err name_err(void)
{
    return errno == EEXIST || errno == EISDIR ? CN_E_EXISTS : CN_E_SYSTEM;
}

void cn_place_temporary(struct cn_place *place, const struct cn_entry *entry,
                        char name[CN_TEMPORARY_NAME_SIZE])
{
    size_t last = cn_entry_last_part(entry->name, entry->name_size);

    cn_temporary_name(place->next_temporary++, name);
    cn_trail_note(place->trail, entry->name, last > 0 ? last - 1 : 0);
}

/* Under the first number that is free. */
static enum cn_err name_numbered(int parent, const char *temporary, const char *last,
                                 char stored[CN_ENTRY_PART_SIZE_MAX + 1])
{
    for (unsigned number = 1; number <= CN_PLACE_NUMBER_MAX; number++) {
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
    struct cn_there there;
    enum cn_err err = cn_place_judge(place, entry, &there);
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
    struct cn_there there;
    enum cn_err err = cn_place_judge(place, entry, &there);
    const char *last;
    int parent, saved;

    if (err != CN_OK || there.is_same)
        return err;
    cn_place_temporary(place, entry, temporary);
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
