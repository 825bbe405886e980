#include "storing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

static void outcome_set(struct cn_part *part, enum cn_err err)
{
    part->err = err;
    part->error = err == CN_OK ? 0 : errno;
}

/* What is small has been closed when it was sealed. */
static void part_open(struct cn_part *part)
{
    bool is_elsewhere;
    int parent = parent_find(part, &is_elsewhere);

    if (part->fd < 0 && parent >= 0)
        part->fd = openat(parent, part->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    outcome_set(part, part->fd >= 0 ? CN_OK : CN_E_SYSTEM);
}

void cn_storing_begin(struct cn_storing *storing, struct cn_place *place,
                      struct cn_part *const *parts, size_t count)
{
    *storing = (struct cn_storing) {
        .place = place,
        .parts = parts,
        .count = count,
        .root = place->parents.root,
        .together = count > CN_STORING_ALONE_COUNT,
        .was_dirty = place->is_dirty,
        .parents = { -1, -1, -1, -1 },
    };
    cn_parents_forget(&place->parents);
    for (size_t i = 0; i < count; i++) {
        if (storing->together)
            outcome_set(parts[i], CN_OK);
        else
            part_open(parts[i]);
    }
}

/* --- waiting for the disk ------------------------------------------------------------------- */

static void data_wait(struct cn_storing *s)
{
    if (s->together) {
        s->is_synced = syncfs(s->root) == 0;
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->parts[i]->err == CN_OK && fsync(s->parts[i]->fd) != 0)
            outcome_set(s->parts[i], CN_E_SYSTEM);
    }
    s->is_synced = true;
}

static void names_wait(struct cn_storing *s)
{
    s->is_synced = true;
    if (s->together || s->was_dirty) {
        s->is_synced = syncfs(s->root) == 0;
        s->error = errno;
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        /* EINVAL: a file system that syncs no directories */
        if (s->parents[i] >= 0 && fsync(s->parents[i]) != 0 && errno != EINVAL)
            outcome_set(s->parts[i], CN_E_SYSTEM);
    }
}

void cn_storing_wait(struct cn_storing *storing)
{
    if (storing->is_named)
        names_wait(storing);
    else
        data_wait(storing);
}

/* --- names ---------------------------------------------------------------------------------- */

/* One of those on another file system, or of all if that could not be synced. */
static bool part_sync(const struct cn_part *part, int parent)
{
    int fd = openat(parent, part->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return good;
}

/* Unless it could not be synced. The directory that it is in is kept for the sync of one alone. */
static void part_name(struct cn_storing *s, size_t i)
{
    struct cn_part *part = s->parts[i];
    const struct cn_entry *entry = part->entry;
    bool is_elsewhere;
    int parent = parent_find(part, &is_elsewhere);
    enum cn_err err = CN_E_SYSTEM;

    if (parent >= 0 && (!s->together || (s->is_synced && !is_elsewhere) || part_sync(part, parent)))
        err = cn_place_name(s->place, parent, part->temporary,
                            entry->name + cn_entry_last_part(entry->name, entry->name_size),
                            part->stored);
    if (err == CN_OK)
        part->temporary[0] = '\0';
    else
        part->stored[0] = '\0';
    outcome_set(part, err);
    if (err == CN_OK && !s->together)
        s->parents[i] = fcntl(parent, F_DUPFD_CLOEXEC, 0);
}

void cn_storing_name(struct cn_storing *storing)
{
    struct cn_storing *s = storing;

    cn_parents_forget(&s->place->parents);
    for (size_t i = 0; i < s->count; i++) {
        if (s->parts[i]->err == CN_OK)
            part_name(s, i);
    }
    s->is_named = true;
    s->place->is_dirty = false; /* but for what is made from now on */
}

/* Of one whose file system, or directory, has not been synced. */
static void name_sync(struct cn_part *part)
{
    bool is_elsewhere;
    int parent = parent_find(part, &is_elsewhere);

    if (parent < 0 || (fsync(parent) != 0 && errno != EINVAL))
        outcome_set(part, CN_E_SYSTEM);
}

static void part_end(struct cn_storing *s, size_t i)
{
    struct cn_part *part = s->parts[i];
    bool is_elsewhere;

    if (part->err == CN_OK && (s->together || s->was_dirty)) {
        (void)parent_find(part, &is_elsewhere);
        if (is_elsewhere || !s->is_synced)
            name_sync(part);
    } else if (part->err == CN_OK && s->parents[i] < 0) {
        name_sync(part); /* no descriptor was left to keep it */
    }
    cn_part_stored(part);
}

void cn_storing_end(struct cn_storing *storing)
{
    struct cn_storing *s = storing;

    cn_parents_forget(&s->place->parents);
    for (size_t i = 0; i < s->count; i++)
        part_end(s, i);
    for (size_t i = 0; i < CN_STORING_ALONE_COUNT; i++) {
        if (s->parents[i] >= 0)
            close(s->parents[i]);
    }
    s->err = s->is_synced ? CN_OK : CN_E_SYSTEM;
    s->place->is_dirty |= !s->is_synced;
    cn_parents_forget(&s->place->parents);
}

void cn_storing_all(struct cn_place *place, struct cn_part *const *parts, size_t count)
{
    struct cn_storing s;

    cn_storing_begin(&s, place, parts, count);
    cn_storing_wait(&s);
    cn_storing_name(&s);
    cn_storing_wait(&s);
    cn_storing_end(&s);
}
