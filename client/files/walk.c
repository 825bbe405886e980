#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "beneath.h"

#define TOP UINT32_MAX /* the parent of what was given */

enum { CAPACITY_MIN = 32 /* of arrays that grow */ };

struct node {
    const char *name; /* its last part; of a link, the target comes after its NUL */
    uint64_t size;    /* of a link: of its target */
    uint64_t filled;  /* of these, what is no hole */
    uint64_t device, inode;
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
    uint32_t parent;
    uint16_t mode;
    uint8_t type; /* enum cn_entry_type */
};

/* A given path: its nodes are those from first on, up to the next root's. */
struct root {
    const char *given;      /* without slashes at its end */
    const char *directory;  /* what it is in */
    uint64_t device, inode; /* of that */
    uint32_t first;
};

/* What is left to be entered of one directory. */
struct pending {
    uint32_t next, end;
};

struct cn_walk {
    struct cn_filter *filter; /* borrowed, or NULL */
    cn_walk_report *report;
    void *context;
    const atomic_bool *cancelled; /* borrowed; NULL: never */
    struct node *nodes;
    uint32_t count;
    size_t capacity;
    struct root *roots;
    uint32_t root_count;
    size_t root_capacity;
    void *names; /* of roots; tsearch's */
    struct cn_arena arena;
    uint64_t size;
    /* open, or -1: what root open_root is in, and directory open_parent */
    int root_fd, parent_fd;
    uint32_t open_root, open_parent;
    struct pending *stack; /* the directories above, and this one */
    size_t depth, stack_capacity;
    char path[CN_ENTRY_NAME_SIZE_MAX + 1]; /* of the directory that is listed */
    size_t path_size;
};

enum cn_err cn_walk_create(struct cn_walk **walk, struct cn_filter *filter, cn_walk_report *report,
                           void *context)
{
    struct cn_walk *made = calloc(1, sizeof *made);

    if (!made)
        return CN_E_MEMORY;
    made->filter = filter;
    made->report = report;
    made->context = context;
    made->root_fd = made->parent_fd = -1;
    *walk = made;
    return CN_OK;
}

void cn_walk_set_cancelled(struct cn_walk *walk, const atomic_bool *cancelled)
{
    walk->cancelled = cancelled;
}

static void name_keep(void *name)
{
    (void)name; /* it is the arena's */
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void cn_walk_free(struct cn_walk *walk)
{
    if (!walk)
        return;
    descriptor_close(&walk->root_fd);
    descriptor_close(&walk->parent_fd);
    tdestroy(walk->names, name_keep);
    cn_arena_wipe(&walk->arena);
    free(walk->stack);
    free(walk->roots);
    free(walk->nodes);
    free(walk);
}

/* --- names ---------------------------------------------------------------------------------- */

/* The root that a node is of. */
static uint32_t root_of(const struct cn_walk *walk, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = walk->root_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (walk->roots[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The name on the wire, which is also the path from what its root is in; returns its size. */
static size_t name_build(const struct cn_walk *walk, uint32_t index,
                         char name[CN_ENTRY_NAME_SIZE_MAX + 1])
{
    size_t total = 0;
    size_t end;

    for (uint32_t i = index; i != TOP; i = walk->nodes[i].parent)
        total += strlen(walk->nodes[i].name) + (walk->nodes[i].parent != TOP);
    end = total;
    name[end] = '\0';
    for (uint32_t i = index; i != TOP; i = walk->nodes[i].parent) {
        size_t size = strlen(walk->nodes[i].name);

        end -= size;
        memcpy(name + end, walk->nodes[i].name, size);
        if (walk->nodes[i].parent != TOP)
            name[--end] = '/';
    }
    return total;
}

/* As the user would write it: the given path, then what is below. */
static void path_show(const struct root *root, const char *name, char *out, size_t size)
{
    const char *below = strchr(name, '/');

    snprintf(out, size, "%s%s", root->given, below ? below : "");
}

/* Tell of what is called name in the directory that is listed; NULL: of that itself. */
static void problem(const struct cn_walk *walk, const char *name, enum cn_walk_problem what,
                    int error)
{
    const struct root *root = &walk->roots[walk->root_count - 1];
    char path[PATH_MAX + CN_ENTRY_NAME_SIZE_MAX + 1];
    char shown[PATH_MAX + CN_ENTRY_NAME_SIZE_MAX + NAME_MAX + 2];

    path_show(root, walk->path, path, sizeof path);
    snprintf(shown, sizeof shown, "%s%s%s", path, name ? "/" : "", name ? name : "");
    walk->report(walk->context, shown, what, error);
}

/* --- nodes ---------------------------------------------------------------------------------- */

/* The array with room for one more behind count; NULL: no memory, and it is as it was. */
static void *with_room(void *array, size_t count, size_t *capacity, size_t element_size)
{
    size_t wanted = *capacity ? *capacity + *capacity / 2 : CAPACITY_MIN;
    void *grown;

    if (count < *capacity)
        return array;
    grown = reallocarray(array, wanted, element_size);
    if (grown)
        *capacity = wanted;
    return grown;
}

static enum cn_err node_add(struct cn_walk *walk, const struct node *node)
{
    struct node *nodes;

    if (walk->count == CN_ENTRY_COUNT_MAX)
        return CN_E_LIMIT;
    nodes = with_room(walk->nodes, walk->count, &walk->capacity, sizeof *nodes);
    if (!nodes)
        return CN_E_MEMORY;
    walk->nodes = nodes;
    nodes[walk->count++] = *node;
    if (node->type == CN_ENTRY_FILE)
        walk->size += node->size;
    return CN_OK;
}

/* The name, and the target of a link, into the arena. CN_E_SYSTEM: the link cannot be read. */
static enum cn_err strings_keep(struct cn_walk *walk, struct node *node, int directory,
                                const char *name)
{
    size_t size = strlen(name) + 1;
    char both[NAME_MAX + 1 + CN_ENTRY_TARGET_SIZE_MAX + 1];
    ssize_t target = 0;

    memcpy(both, name, size);
    if (node->type == CN_ENTRY_LINK) {
        target = readlinkat(directory, name, both + size, CN_ENTRY_TARGET_SIZE_MAX + 1);
        if (target > CN_ENTRY_TARGET_SIZE_MAX)
            errno = ENAMETOOLONG;
        if (target < 0 || target > CN_ENTRY_TARGET_SIZE_MAX)
            return CN_E_SYSTEM;
        both[size + (size_t)target] = '\0';
        node->size = (uint64_t)target;
        size += (size_t)target + 1;
    }
    node->name = cn_arena_copy(&walk->arena, both, size);
    return node->name ? CN_OK : CN_E_MEMORY;
}

/* 0: neither file nor directory nor link. */
static uint8_t type_of(mode_t mode)
{
    return S_ISREG(mode)   ? CN_ENTRY_FILE
           : S_ISDIR(mode) ? CN_ENTRY_DIRECTORY
           : S_ISLNK(mode) ? CN_ENTRY_LINK
                           : 0;
}

/* Whether a file may be read; most are known by their mode. */
static bool is_readable(int directory, const char *name, mode_t mode)
{
    return (mode & 0444) == 0444 ||
           faccessat(directory, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

static uint64_t filled_of(const struct stat *st)
{
    const uint64_t held = (uint64_t)st->st_blocks * 512;

    if (!S_ISREG(st->st_mode))
        return 0;
    return held < (uint64_t)st->st_size ? held : (uint64_t)st->st_size;
}

/* List name in directory. CN_E_KIND, CN_E_SYSTEM: it cannot be sent. */
static enum cn_err node_take(struct cn_walk *walk, int directory, const char *name,
                             const struct stat *st, uint32_t parent)
{
    struct node node = {
        .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
        .filled = filled_of(st),
        .device = st->st_dev,
        .inode = st->st_ino,
        .mtime_s = st->st_mtim.tv_sec,
        .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
        .ctime_s = st->st_ctim.tv_sec,
        .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
        .parent = parent,
        .mode = st->st_mode & 0777,
        .type = type_of(st->st_mode),
    };
    enum cn_err err;

    if (!node.type)
        return CN_E_KIND;
    if (node.type == CN_ENTRY_FILE && !is_readable(directory, name, st->st_mode))
        return CN_E_SYSTEM;
    err = strings_keep(walk, &node, directory, name);
    return err == CN_OK ? node_add(walk, &node) : err;
}

/* --- directories ---------------------------------------------------------------------------- */

static bool is_left_out(struct cn_walk *walk, const char *name, size_t name_size, bool is_directory)
{
    char path[CN_ENTRY_NAME_SIZE_MAX + 1];
    const char *slash = strchr(walk->path, '/');
    size_t size = 0;

    if (!walk->filter)
        return false;
    if (slash) {
        size = walk->path_size - (size_t)(slash + 1 - walk->path);
        memcpy(path, slash + 1, size);
        path[size++] = '/';
    }
    memcpy(path + size, name, name_size);
    return cn_filter_excludes(walk->filter, path, size + name_size, size, is_directory, false);
}

/* One name of the directory that is listed, whose index is parent. */
static enum cn_err name_take(struct cn_walk *walk, int directory, const char *name, uint32_t parent)
{
    size_t name_size = strlen(name);
    struct stat st;
    enum cn_err err = CN_E_SYSTEM;

    if (walk->path_size + 1 + name_size > CN_ENTRY_NAME_SIZE_MAX ||
        name_size > CN_ENTRY_PART_SIZE_MAX) {
        problem(walk, name, CN_WALK_TOO_LONG, 0);
        return CN_OK;
    }
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (is_left_out(walk, name, name_size, S_ISDIR(st.st_mode)))
            return CN_OK;
        err = node_take(walk, directory, name, &st, parent);
    }
    if (err == CN_E_KIND)
        problem(walk, name, CN_WALK_SPECIAL, 0);
    else if (err == CN_E_SYSTEM && errno != ENOENT) /* ENOENT: it has been removed meanwhile */
        problem(walk, name, CN_WALK_UNREADABLE, errno);
    return err == CN_E_KIND || err == CN_E_SYSTEM ? CN_OK : err;
}

static enum cn_err names_take(struct cn_walk *walk, DIR *dir, uint32_t parent)
{
    enum cn_err err = CN_OK;
    struct dirent *found;

    while (err == CN_OK && (errno = 0, found = readdir(dir))) {
        if (walk->cancelled && atomic_load(walk->cancelled))
            err = CN_E_CANCELLED;
        else if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            err = name_take(walk, dirfd(dir), found->d_name, parent);
    }
    if (err == CN_OK && errno != 0)
        problem(walk, NULL, CN_WALK_UNREADABLE, errno);
    return err;
}

static int nodes_compare(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->name, ((const struct node *)b)->name);
}

/* Up to CN_FILTER_FILE_SIZE_MAX octets; false and errno. */
static bool gitignore_read(int fd, char *text, size_t *size)
{
    ssize_t got;

    *size = 0;
    do {
        got = read(fd, text + *size, CN_FILTER_FILE_SIZE_MAX + 1 - *size);
        if (got > 0)
            *size += (size_t)got;
    } while (got > 0 && *size <= CN_FILTER_FILE_SIZE_MAX);
    if (got > 0)
        errno = EFBIG;
    return got == 0;
}

/* *text, for free, and *size of the .gitignore of a directory; NULL: there is none. */
static enum cn_err gitignore_take(struct cn_walk *walk, int directory, char **text, size_t *size)
{
    int fd = openat(directory, ".gitignore", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0) {
        if (errno != ENOENT && errno != ELOOP) /* ELOOP: a link, which git does not follow */
            problem(walk, ".gitignore", CN_WALK_UNREADABLE, errno);
        return CN_OK;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *text = malloc(CN_FILTER_FILE_SIZE_MAX + 1);
        if (*text && !gitignore_read(fd, *text, size)) {
            problem(walk, ".gitignore", CN_WALK_UNREADABLE, errno);
            *size = 0;
        }
        if (!*text) {
            close(fd);
            return CN_E_MEMORY;
        }
    }
    close(fd);
    return CN_OK;
}

/* What the directory that is listed leaves out of itself. */
static enum cn_err filter_enter(struct cn_walk *walk, int directory)
{
    const char *slash = strchr(walk->path, '/');
    size_t path_size = slash ? walk->path_size - (size_t)(slash - walk->path) : 0;
    char *text = NULL;
    size_t size = 0;
    enum cn_err err;

    if (!walk->filter || !cn_filter_uses_gitignore(walk->filter))
        return CN_OK;
    err = gitignore_take(walk, directory, &text, &size);
    if (err == CN_OK)
        err = cn_filter_enter(walk->filter, path_size, text, size);
    free(text);
    return err;
}

static void filter_leave(struct cn_walk *walk)
{
    if (walk->filter && cn_filter_uses_gitignore(walk->filter))
        cn_filter_leave(walk->filter);
}

static enum cn_err pending_push(struct cn_walk *walk, uint32_t begin)
{
    struct pending *stack =
        with_room(walk->stack, walk->depth, &walk->stack_capacity, sizeof *stack);

    if (!stack)
        return CN_E_MEMORY;
    walk->stack = stack;
    stack[walk->depth++] = (struct pending) { begin, walk->count };
    return CN_OK;
}

/* All that is in a directory, sorted, and onto the stack. CN_E_SYSTEM: it cannot be opened. */
static enum cn_err directory_list(struct cn_walk *walk, uint32_t index)
{
    uint32_t begin = walk->count;
    enum cn_err err;
    DIR *dir;
    int fd;

    walk->path_size = name_build(walk, index, walk->path);
    fd = cn_beneath_open(walk->root_fd, walk->path, walk->path_size,
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return CN_E_SYSTEM;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return CN_E_MEMORY;
    }
    err = filter_enter(walk, fd);
    if (err == CN_OK)
        err = names_take(walk, dir, index);
    closedir(dir);
    if (err != CN_OK)
        return err;
    if (walk->count > begin)
        qsort(walk->nodes + begin, walk->count - begin, sizeof *walk->nodes, nodes_compare);
    return pending_push(walk, begin);
}

/* Enter every directory that has been listed and not been entered. */
static enum cn_err directories_enter(struct cn_walk *walk)
{
    while (walk->depth > 0) {
        struct pending *top = &walk->stack[walk->depth - 1];
        uint32_t index = top->next;
        enum cn_err err = CN_OK;

        if (index == top->end) {
            walk->depth--;
            filter_leave(walk);
            continue;
        }
        top->next++;
        if (walk->nodes[index].type == CN_ENTRY_DIRECTORY)
            err = directory_list(walk, index);
        if (err == CN_E_SYSTEM)
            problem(walk, NULL, CN_WALK_UNREADABLE, errno);
        else if (err != CN_OK)
            return err;
    }
    return CN_OK;
}

/* --- what is given -------------------------------------------------------------------------- */

static bool is_dots(const char *part)
{
    return strcmp(part, ".") == 0 || strcmp(part, "..") == 0;
}

/* A path that names a directory whatever it leads through: its real path. Else a copy without
 * change. NULL and errno. */
static char *path_resolve(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *part = slash ? slash + 1 : path;

    return *part == '\0' || is_dots(part) ? realpath(path, NULL) : strdup(path);
}

/* What a root is in, opened once for all that follow each other. */
static bool root_open(struct cn_walk *walk, uint32_t index)
{
    const struct root *root = &walk->roots[index];
    struct stat st;
    int fd;

    if (walk->root_fd >= 0 && walk->roots[walk->open_root].directory == root->directory) {
        walk->open_root = index;
        return true;
    }
    fd = open(root->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 ||
        (root->inode && (st.st_ino != root->inode || st.st_dev != root->device))) {
        close(fd);
        errno = ESTALE;
        return false;
    }
    descriptor_close(&walk->root_fd);
    walk->root_fd = fd;
    walk->open_root = index;
    return true;
}

/* directory[0..size) in the arena; that of the root before, if it is the same. */
static const char *directory_keep(struct cn_walk *walk, const char *directory, size_t size)
{
    const char *before = walk->root_count ? walk->roots[walk->root_count - 1].directory : "";
    char text[PATH_MAX];

    if (size == 0) {
        directory = ".";
        size = 1;
    }
    if (size >= sizeof text)
        return NULL;
    if (strlen(before) == size && memcmp(before, directory, size) == 0)
        return before;
    memcpy(text, directory, size);
    text[size] = '\0';
    return cn_arena_copy(&walk->arena, text, size + 1);
}

static enum cn_err root_add(struct cn_walk *walk, const char *given, const char *directory,
                            size_t directory_size)
{
    struct root root = { .first = walk->count };
    struct root *roots =
        with_room(walk->roots, walk->root_count, &walk->root_capacity, sizeof *roots);
    size_t size = strlen(given);
    struct stat st;

    while (size > 1 && given[size - 1] == '/')
        size--;
    if (!roots)
        return CN_E_MEMORY;
    walk->roots = roots;
    root.directory = directory_keep(walk, directory, directory_size);
    root.given = cn_arena_text(&walk->arena, given, size);
    if (!root.directory || !root.given)
        return CN_E_MEMORY;
    walk->roots[walk->root_count++] = root;
    if (!root_open(walk, walk->root_count - 1) || fstat(walk->root_fd, &st) != 0)
        return CN_E_SYSTEM;
    walk->roots[walk->root_count - 1].device = st.st_dev;
    walk->roots[walk->root_count - 1].inode = st.st_ino;
    return CN_OK;
}

static int texts_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The root's own entry. Nothing is added if it is left out. */
static enum cn_err top_take(struct cn_walk *walk, const char *name)
{
    size_t size = strlen(name);
    enum cn_err err;
    struct stat st;
    void *found;

    if (fstatat(walk->root_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return CN_E_SYSTEM;
    if (walk->filter && cn_filter_excludes(walk->filter, name, size, 0, S_ISDIR(st.st_mode), true))
        return CN_OK;
    err = node_take(walk, walk->root_fd, name, &st, TOP);
    if (err != CN_OK)
        return err;
    name = walk->nodes[walk->count - 1].name;
    found = tsearch(name, &walk->names, texts_compare);
    if (!found)
        return CN_E_MEMORY;
    return *(const char **)found == name ? CN_OK : CN_E_EXISTS;
}

enum cn_err cn_walk_add(struct cn_walk *walk, const char *path)
{
    uint32_t first = walk->count;
    char *resolved = NULL;
    const char *slash;
    const char *name;
    enum cn_err err;

    errno = ENAMETOOLONG;
    if (strlen(path) < PATH_MAX)
        resolved = path_resolve(path);
    if (!resolved)
        return errno == ENOMEM ? CN_E_MEMORY : CN_E_SYSTEM;
    slash = strrchr(resolved, '/');
    name = slash ? slash + 1 : resolved;
    err = cn_entry_name_valid(name, strlen(name)) ? CN_OK : CN_E_NAME;
    if (err == CN_OK)
        err = root_add(walk, path, resolved, slash ? (size_t)(slash - resolved) + 1 : 0);
    if (err == CN_OK)
        err = top_take(walk, name);
    free(resolved);
    if (err == CN_OK && walk->count > first && walk->nodes[first].type == CN_ENTRY_DIRECTORY)
        err = directory_list(walk, first);
    return err == CN_OK ? directories_enter(walk) : err;
}

/* --- afterwards ----------------------------------------------------------------------------- */

uint32_t cn_walk_count(const struct cn_walk *walk)
{
    return walk->count;
}

uint64_t cn_walk_size(const struct cn_walk *walk)
{
    return walk->size;
}

/* Tells files apart without saying where they are; constants of splitmix64. */
static uint64_t identity_of(const struct node *node)
{
    uint64_t x = node->inode + node->device * 0x9e3779b97f4a7c15U;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

void cn_walk_entry(const struct cn_walk *walk, uint32_t index, struct cn_entry *entry,
                   char name[CN_ENTRY_NAME_SIZE_MAX + 1])
{
    const struct node *node = &walk->nodes[index];
    bool is_link = node->type == CN_ENTRY_LINK;

    *entry = (struct cn_entry) {
        .type = (enum cn_entry_type)node->type,
        .mode = node->mode,
        .size = is_link ? 0 : node->size,
        .filled = node->filled,
        .mtime_s = node->mtime_s,
        .mtime_ns = node->mtime_ns,
        .identity = node->type == CN_ENTRY_FILE ? identity_of(node) : 0,
        .name = name,
        .name_size = name_build(walk, index, name),
        .target = is_link ? node->name + strlen(node->name) + 1 : NULL,
        .target_size = is_link ? (size_t)node->size : 0,
    };
}

void cn_walk_path(const struct cn_walk *walk, uint32_t index, char *out, size_t size)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];

    name_build(walk, index, name);
    path_show(&walk->roots[root_of(walk, index)], name, out, size);
}

bool cn_walk_is_same(const struct cn_walk *walk, uint32_t index, int fd)
{
    const struct node *node = &walk->nodes[index];
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == node->size &&
           st.st_mtim.tv_sec == node->mtime_s && (uint32_t)st.st_mtim.tv_nsec == node->mtime_ns &&
           st.st_ctim.tv_sec == node->ctime_s && (uint32_t)st.st_ctim.tv_nsec == node->ctime_ns &&
           st.st_ino == node->inode && st.st_dev == node->device;
}

/* What a node is in; -1 and errno. */
static int parent_open(struct cn_walk *walk, uint32_t index)
{
    uint32_t parent = walk->nodes[index].parent;
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    size_t size;

    if (parent != TOP && walk->parent_fd >= 0 && walk->open_parent == parent)
        return walk->parent_fd;
    if (!root_open(walk, root_of(walk, index)))
        return -1;
    if (parent == TOP)
        return walk->root_fd;
    descriptor_close(&walk->parent_fd);
    size = name_build(walk, parent, name);
    walk->parent_fd = cn_beneath_open(walk->root_fd, name, size, O_PATH | O_DIRECTORY | O_CLOEXEC);
    walk->open_parent = parent;
    return walk->parent_fd;
}

enum cn_err cn_walk_open(struct cn_walk *walk, uint32_t index, int *fd)
{
    int directory = parent_open(walk, index);
    int opened = -1;

    if (directory >= 0)
        opened = openat(directory, walk->nodes[index].name,
                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (opened < 0) {
        /* a link, or no directory, where there was none: what was listed is gone */
        if (errno == ELOOP || errno == ENOTDIR || errno == ENXIO)
            errno = ESTALE;
        return CN_E_SYSTEM;
    }
    if (!cn_walk_is_same(walk, index, opened)) {
        close(opened);
        errno = ESTALE;
        return CN_E_SYSTEM;
    }
    *fd = opened;
    return CN_OK;
}
