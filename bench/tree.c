/* Files per second of both ends of a tree, without a line between them: tree DIR [FILES [OCTETS]]
 * makes so many files in DIR/from through cn_place, lists and opens them through cn_walk, and
 * stores them again in DIR/to, a thousand together as receiving does. DIR must exist; what it made
 * there stays. */
#include <cyphernet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "home.h"
#include "storing.h"
#include "walk.h"

enum { IN_DIRECTORY = 1000, TOGETHER = 1024, OCTETS_MAX = 1024 * 1024 };

static struct cn_home *home;
static uint8_t octets[OCTETS_MAX];

static void check(enum cn_err err, const char *what)
{
    if (err == CN_OK)
        return;
    perror(what);
    exit(1);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void tell(const char *what, unsigned count, double since)
{
    double took = seconds() - since;

    printf("%-28s %8u  %7.3f s  %9.0f a second\n", what, count, took, count / took);
}

struct batch {
    struct cn_part part[TOGETHER];
    struct cn_entry entry[TOGETHER];
    char name[TOGETHER][CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_part *parts[TOGETHER];
    size_t count;
};

static void batch_store(struct batch *b, struct cn_place *place)
{
    cn_storing_all(place, b->parts, b->count);
    for (size_t i = 0; i < b->count; i++) {
        check(b->part[i].err, "store");
        cn_part_close(&b->part[i], false);
    }
    b->count = 0;
}

/* One entry, of which the octets are at hand. */
static void take(struct batch *b, struct cn_place *place, const struct cn_entry *entry)
{
    struct cn_there there;

    if (entry->type == CN_ENTRY_DIRECTORY) {
        check(cn_place_make_directory(place, entry), "directory");
        return;
    }
    b->entry[b->count] = *entry;
    b->entry[b->count].name = b->name[b->count];
    memcpy(b->name[b->count], entry->name, entry->name_size + 1);
    b->parts[b->count] = &b->part[b->count];
    check(cn_place_judge(place, &b->entry[b->count], &there), "judge");
    check(cn_part_open(b->parts[b->count], place, &b->entry[b->count]), "open");
    check(cn_part_write(b->parts[b->count], octets, entry->size), "write");
    check(cn_part_seal(b->parts[b->count]), "seal");
    if (++b->count == TOGETHER)
        batch_store(b, place);
}

static struct cn_place *place_begin(const char *directory, const char *name)
{
    const struct cn_place_options options = { .random = cn_home_random(home) };
    struct cn_place *place = NULL;
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (mkdir(path, 0755) != 0)
        perror(path);
    check(cn_place_open(&place, path, &options), path);
    return place;
}

static void make(struct batch *b, const char *directory, unsigned count, uint64_t size)
{
    struct cn_place *place = place_begin(directory, "from");
    double since = seconds();
    char name[64];

    for (unsigned i = 0; i < count; i++) {
        struct cn_entry entry = { .mode = 0755, .name = name, .mtime_s = 1000000000 };

        entry.type = CN_ENTRY_DIRECTORY;
        entry.name_size = (size_t)snprintf(name, sizeof name, "%04u", i / IN_DIRECTORY);
        if (i % IN_DIRECTORY == 0)
            take(b, place, &entry);
        entry.type = CN_ENTRY_FILE;
        entry.mode = 0644;
        entry.size = entry.filled = size;
        entry.name_size =
            (size_t)snprintf(name, sizeof name, "%04u/file-%06u", i / IN_DIRECTORY, i);
        take(b, place, &entry);
    }
    batch_store(b, place);
    check(cn_place_finish(place), "finish");
    tell("stored", count, since);
    cn_place_close(place);
}

static void problem(void *context, const char *path, enum cn_walk_problem what, int error)
{
    (void)context;
    fprintf(stderr, "%s: %d %d\n", path, (int)what, error);
}

static void copy(struct batch *b, const char *directory)
{
    struct cn_walk *walk = NULL;
    char path[PATH_MAX], name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_place *place;
    double since = seconds();

    snprintf(path, sizeof path, "%s/from", directory);
    check(cn_walk_create(&walk, NULL, problem, NULL), "walk");
    check(cn_walk_add(walk, path), path);
    tell("listed", cn_walk_count(walk), since);
    place = place_begin(directory, "to");
    since = seconds();
    for (uint32_t i = 0; i < cn_walk_count(walk); i++) {
        struct cn_entry entry;
        int fd = -1;

        cn_walk_entry(walk, i, &entry, name);
        if (entry.type != CN_ENTRY_FILE)
            continue;
        check(cn_walk_open(walk, i, &fd), name);
        if (pread(fd, octets, entry.size, 0) != (ssize_t)entry.size ||
            !cn_walk_is_same(walk, i, fd))
            perror(name);
        close(fd);
    }
    tell("opened, read and compared", cn_walk_count(walk), since);
    since = seconds();
    for (uint32_t i = 0; i < cn_walk_count(walk); i++) {
        struct cn_entry entry;

        cn_walk_entry(walk, i, &entry, name);
        take(b, place, &entry);
    }
    batch_store(b, place);
    check(cn_place_finish(place), "finish");
    tell("stored as listed", cn_walk_count(walk), since);
    cn_place_close(place);
    cn_walk_free(walk);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    unsigned long size = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    struct batch *b = calloc(1, sizeof *b);

    if (argc < 2 || !b || count > CN_ENTRY_COUNT_MAX || size > sizeof octets) {
        fprintf(stderr, "usage: tree DIR [FILES [OCTETS OF EACH]]\n");
        return 2;
    }
    check(cn_home_open(&home, argv[1]), "home");
    make(b, argv[1], (unsigned)count, size);
    copy(b, argv[1]);
    cn_home_close(home);
    free(b);
    return 0;
}
