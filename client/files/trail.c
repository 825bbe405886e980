#include "trail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "beneath.h"
#include "file.h"

#define MAGIC "cyphernet trail 1"
#define NAME  "trail-"

enum {
    DIGIT_COUNT = 16,
    FORGOTTEN_S = 90 * 86400,
    HEAD_SIZE_MAX = sizeof MAGIC + CN_NAME_SIZE_MAX + 1 + PATH_MAX + DIGIT_COUNT + 1
};

struct cn_trail {
    const struct cn_journals *journals; /* borrowed */
    struct cn_trail_head head;
    char path[PATH_MAX];
    int fd; /* -1: nothing has been noted, or it cannot be */
    bool is_begun, has_last;
    size_t size;                           /* octets that it has */
    char last[CN_ENTRY_NAME_SIZE_MAX + 1]; /* what was noted */
};

/* --- what is in the file -------------------------------------------------------------------- */

/* The text at in[*at]; NULL: none that ends. */
static const char *text_take(const char *in, size_t in_size, size_t *at)
{
    const char *text = in + *at;
    const char *end = memchr(text, '\0', in_size - *at);

    if (!end)
        return NULL;
    *at = (size_t)(end - in) + 1;
    return text;
}

static bool number_read(const char *text, uint64_t *number)
{
    char again[DIGIT_COUNT + 1];

    *number = strtoull(text, NULL, 16);
    snprintf(again, sizeof again, "%016llx", (unsigned long long)*number);
    return strcmp(text, again) == 0;
}

enum cn_err cn_trail_decode(struct cn_trail_head *head, size_t *used, const char *in,
                            size_t in_size)
{
    struct cn_trail_head h = { 0 };
    size_t at = 0;
    const char *magic = text_take(in, in_size, &at);
    const char *first = NULL;

    if (!magic || strcmp(magic, MAGIC) != 0)
        return CN_E_FORMAT;
    h.partner = text_take(in, in_size, &at);
    if (h.partner)
        h.place = text_take(in, in_size, &at);
    if (h.place)
        first = text_take(in, in_size, &at);
    if (!first || !number_read(first, &h.first) || !cn_name_valid(h.partner) || h.place[0] != '/' ||
        strlen(h.place) >= PATH_MAX)
        return CN_E_FORMAT;
    *head = h;
    *used = at;
    return CN_OK;
}

/* Of a call, by its first number. False: longer than a path may be. */
static bool path_make(const struct cn_journals *journals, const char *name, char path[PATH_MAX])
{
    int size = snprintf(path, PATH_MAX, "%s/%s", cn_journals_directory(journals), name);

    return size > 0 && size < PATH_MAX;
}

/* --- leaving one ---------------------------------------------------------------------------- */

enum cn_err cn_trail_begin(struct cn_trail **trail, const struct cn_journals *journals,
                           const struct cn_trail_head *head)
{
    struct cn_trail *made = calloc(1, sizeof *made);

    if (!made)
        return CN_E_MEMORY;
    made->journals = journals;
    made->head = *head;
    made->fd = -1;
    *trail = made;
    return CN_OK;
}

/* All of it at once, or nothing more is written. */
static void put(struct cn_trail *t, const char *text, size_t size)
{
    if (t->fd < 0)
        return;
    if (write(t->fd, text, size) != (ssize_t)size) {
        if (ftruncate(t->fd, (off_t)t->size) != 0)
            t->size = CN_TRAIL_SIZE_MAX; /* nothing more is written */
        return;
    }
    t->size += size;
}

/* It is locked before there is anything in it that another call could take for a dead one's. */
static void file_begin(struct cn_trail *t)
{
    char head[HEAD_SIZE_MAX];
    char name[sizeof NAME + DIGIT_COUNT];
    int size = snprintf(head, sizeof head, MAGIC "%c%s%c%s%c%016llx", 0, t->head.partner, 0,
                        t->head.place, 0, (unsigned long long)t->head.first);

    t->is_begun = true;
    snprintf(name, sizeof name, NAME "%016llx", (unsigned long long)t->head.first);
    if (size < 0 || size >= (int)sizeof head || !path_make(t->journals, name, t->path) ||
        cn_file_directories(cn_journals_directory(t->journals)) != CN_OK)
        return;
    t->fd = open(t->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (t->fd < 0)
        return;
    (void)flock(t->fd, LOCK_EX | LOCK_NB); /* where that cannot be done nobody sweeps, either */
    put(t, head, (size_t)size + 1);
}

void cn_trail_note(struct cn_trail *trail, const char *directory, size_t size)
{
    if (!trail || size > CN_ENTRY_NAME_SIZE_MAX ||
        (trail->has_last && strlen(trail->last) == size &&
         memcmp(trail->last, directory, size) == 0))
        return;
    if (!trail->is_begun)
        file_begin(trail);
    memcpy(trail->last, directory, size);
    trail->last[size] = '\0';
    trail->has_last = true;
    if (trail->size + size < CN_TRAIL_SIZE_MAX)
        put(trail, trail->last, size + 1);
}

void cn_trail_end(struct cn_trail *trail)
{
    if (!trail)
        return;
    if (trail->fd >= 0) {
        (void)unlink(trail->path);
        close(trail->fd);
    }
    free(trail);
}

/* --- sweeping ------------------------------------------------------------------------------- */

struct sweep {
    const struct cn_journals *journals;
    const char *partner, *place;
    int root;                                   /* of the place */
    char (*journalled)[CN_TEMPORARY_NAME_SIZE]; /* parts that stay */
    size_t journalled_count;
    bool failed; /* not all of these are known */
};

static void journalled_add(void *context, const struct cn_journal *journal)
{
    struct sweep *s = context;
    char(*grown)[CN_TEMPORARY_NAME_SIZE] =
        reallocarray(s->journalled, s->journalled_count + 1, sizeof *grown);

    if (!grown) {
        s->failed = true;
        return;
    }
    memcpy(grown[s->journalled_count++], journal->temporary, sizeof *grown);
    s->journalled = grown;
}

static bool is_journalled(const struct sweep *s, const char *name)
{
    for (size_t i = 0; i < s->journalled_count; i++) {
        if (strcmp(s->journalled[i], name) == 0)
            return true;
    }
    return false;
}

/* Whether name in directory is a temporary file of the call that numbered from first. */
static bool is_left(const struct sweep *s, int directory, const char *name, uint64_t first)
{
    uint64_t number;
    struct stat st;

    return cn_temporary_number(name, &number) && number - first < CN_TRAIL_NUMBER_COUNT &&
           !is_journalled(s, name) && fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_uid == geteuid() && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
}

static void directory_sweep(const struct sweep *s, const char *path, uint64_t first)
{
    int fd = cn_beneath_open(s->root, path, strlen(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *found;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((found = readdir(dir))) {
        if (is_left(s, fd, found->d_name, first))
            (void)unlinkat(fd, found->d_name, 0);
    }
    closedir(dir);
}

/* Nobody has come back to its directory since. */
static bool is_forgotten(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_mtime < time(NULL) - FORGOTTEN_S;
}

/* in: what the trail of a call says that lives no more. True: it is not needed any longer. */
static bool trail_follow(const struct sweep *s, const char *in, size_t in_size)
{
    struct cn_trail_head head;
    size_t at = 0;
    const char *directory;

    if (cn_trail_decode(&head, &at, in, in_size) != CN_OK ||
        strcmp(head.partner, s->partner) != 0 || strcmp(head.place, s->place) != 0)
        return false;
    while ((directory = text_take(in, in_size, &at)))
        directory_sweep(s, directory, head.first);
    return true;
}

/* Whoever holds its lock lives. */
static void file_sweep(const struct sweep *s, const char *name, char *in)
{
    char path[PATH_MAX];
    size_t size = 0;
    int fd;

    if (!path_make(s->journals, name, path))
        return;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        cn_file_read(path, true, in, CN_TRAIL_SIZE_MAX, &size) == CN_OK &&
        (trail_follow(s, in, size) || is_forgotten(fd)))
        (void)unlink(path);
    close(fd);
}

static void files_sweep(struct sweep *s)
{
    DIR *dir = opendir(cn_journals_directory(s->journals));
    char *in = NULL;
    struct dirent *found;

    while (dir && !s->failed && (found = readdir(dir))) {
        if (strncmp(found->d_name, NAME, sizeof NAME - 1) != 0)
            continue;
        if (!in) { /* there is one, of a call that was killed or that goes on */
            in = malloc(CN_TRAIL_SIZE_MAX);
            s->failed = !in || cn_journals_each(s->journals, journalled_add, s) != CN_OK;
        }
        if (in && !s->failed)
            file_sweep(s, found->d_name, in);
    }
    free(in);
    if (dir)
        closedir(dir);
}

void cn_trail_sweep(const struct cn_journals *journals, const char *partner, const char *place)
{
    struct sweep s = { .journals = journals, .partner = partner, .place = place };

    s.root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s.root < 0)
        return;
    files_sweep(&s);
    free(s.journalled);
    close(s.root);
}
