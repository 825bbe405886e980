#include "watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLOT_COUNT = 1 << 20,
    PIECES_MAX = SLOT_COUNT / 2,
    FILTER_BITS = 24,
    CHUNK_SIZE = 1 << 16,
    WHAT_SIZE = 24,
    DISTINCT_MIN = 8,
    TOLD_MAX = 12
};

struct piece {
    uint8_t octets[WATCH_PIECE_SIZE];
    uint32_t at; /* in its secret */
    char what[WHAT_SIZE];
};

/* One mapping, in which the search does not look. */
struct store {
    struct piece slot[SLOT_COUNT];          /* by their first eight octets; what[0] is 0: free */
    uint32_t order[PIECES_MAX];             /* the slots that are used, as they came */
    uint64_t filter[1 << FILTER_BITS >> 6]; /* one bit for each that may be there */
    uint8_t chunk[CHUNK_SIZE + WATCH_PIECE_SIZE];
    size_t count;
};

static struct store *store;

static void open_store(void)
{
    if (store)
        return;
    store = mmap(NULL, sizeof *store, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (store == MAP_FAILED)
        abort();
    (void)madvise(store, sizeof *store, MADV_DONTFORK);
}

static uint64_t hash_of(const uint8_t *octets)
{
    uint64_t value;

    memcpy(&value, octets, sizeof value);
    return value * 0x9e3779b97f4a7c15U;
}

static size_t slot_of(uint64_t hash)
{
    return hash >> 44; /* 20 bits */
}

static size_t bit_of(uint64_t hash)
{
    return hash >> (64 - FILTER_BITS);
}

/* NULL: it is not there. */
static const struct piece *look_up(const uint8_t *octets)
{
    const uint64_t hash = hash_of(octets);
    const size_t bit = bit_of(hash);

    if (!(store->filter[bit / 64] >> bit % 64 & 1))
        return NULL;
    for (size_t at = slot_of(hash); store->slot[at].what[0]; at = (at + 1) % SLOT_COUNT) {
        if (memcmp(store->slot[at].octets, octets, WATCH_PIECE_SIZE) == 0)
            return &store->slot[at];
    }
    return NULL;
}

static bool is_plain(const uint8_t *octets)
{
    unsigned distinct = 0;

    for (size_t i = 0; i < WATCH_PIECE_SIZE; i++)
        distinct += memchr(octets, octets[i], i) == NULL;
    return distinct < DISTINCT_MIN;
}

static void piece_add(const char *what, uint32_t place, const uint8_t *octets)
{
    const uint64_t hash = hash_of(octets);
    const size_t bit = bit_of(hash);
    size_t at = slot_of(hash);

    if (is_plain(octets) || look_up(octets))
        return;
    if (store->count == PIECES_MAX)
        abort();
    while (store->slot[at].what[0])
        at = (at + 1) % SLOT_COUNT;
    for (size_t i = 0; i < WATCH_PIECE_SIZE; i++) /* not through a register that keeps it */
        ((volatile uint8_t *)store->slot[at].octets)[i] = octets[i];
    store->slot[at].at = place;
    snprintf(store->slot[at].what, WHAT_SIZE, "%s", what);
    store->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    store->order[store->count++] = (uint32_t)at;
}

void watch_add(const char *what, const void *octets, size_t size)
{
    open_store();
    for (size_t at = 0; at + WATCH_PIECE_SIZE <= size; at += WATCH_PIECE_SIZE)
        piece_add(what, (uint32_t)at, (const uint8_t *)octets + at);
}

void watch_add_reversed(const char *what, const void *octets, size_t size)
{
    const uint8_t *from = octets;

    open_store();
    for (size_t at = 0; at + WATCH_PIECE_SIZE <= size; at += WATCH_PIECE_SIZE) {
        for (size_t i = 0; i < WATCH_PIECE_SIZE; i++)
            store->chunk[i] = from[size - 1 - at - i];
        piece_add(what, (uint32_t)at, store->chunk);
    }
}

size_t watch_count(void)
{
    return store ? store->count : 0;
}

void watch_any(uint8_t out[WATCH_PIECE_SIZE])
{
    if (watch_count() > 0)
        memcpy(out, store->slot[store->order[0]].octets, WATCH_PIECE_SIZE);
}

void watch_forget(void)
{
    if (store)
        (void)munmap(store, sizeof *store);
    store = NULL;
}

/* --- the search ------------------------------------------------------------------------------ */

struct search {
    int memory; /* of another process; -1: this one's */
    FILE *out;
    size_t found;
};

struct region {
    uint64_t begin, end;
    char name[256];
};

static void tell(struct search *search, const struct region *region, uint64_t at,
                 const struct piece *piece)
{
    if (search->out && search->found++ < TOLD_MAX)
        fprintf(search->out, "left: %s, from octet %" PRIu32 " on, at %" PRIx64 " in %s\n",
                piece->what, piece->at, at, region->name[0] ? region->name : "memory");
    else if (!search->out)
        search->found++;
}

/* Size octets that lie at address `at` of the process. */
static void look(struct search *search, const struct region *region, uint64_t at,
                 const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i + WATCH_PIECE_SIZE <= size; i++) {
        const struct piece *piece = look_up(octets + i);

        if (piece)
            tell(search, region, at + i, piece);
    }
}

/* Chunks that overlap, so that no piece lies between two. Pages that are not there are passed by.
 */
static void look_across(struct search *search, const struct region *region)
{
    for (uint64_t at = region->begin; at < region->end; at += CHUNK_SIZE) {
        size_t size = sizeof store->chunk;
        ssize_t got;

        if (size > region->end - at)
            size = (size_t)(region->end - at);
        got = pread(search->memory, store->chunk, size, (off_t)at);
        if (got > 0)
            look(search, region, at, store->chunk, (size_t)got);
    }
}

static bool is_store(const struct region *region)
{
    const uint64_t at = (uint64_t)(uintptr_t)store;

    return at >= region->begin && at < region->end;
}

static void look_around_store(struct search *search, const struct region *region)
{
    const uint64_t begin = (uint64_t)(uintptr_t)store;
    const uint64_t end = (begin + sizeof *store + 4095) & ~UINT64_C(4095);

    look(search, region, region->begin, (const uint8_t *)(uintptr_t)region->begin,
         (size_t)(begin - region->begin));
    look(search, region, end, (const uint8_t *)(uintptr_t)end, (size_t)(region->end - end));
}

static void look_at(struct search *search, const struct region *region)
{
    if (search->memory >= 0)
        look_across(search, region);
    else if (is_store(region))
        look_around_store(search, region);
    else
        look(search, region, region->begin, (const uint8_t *)(uintptr_t)region->begin,
             (size_t)(region->end - region->begin));
}

/* The kernel puts all registers on the stack for a handler of a signal: there they are searched. */
static struct search *in_hand;
static FILE *maps;

static void look_everywhere(int number)
{
    static char line[512];
    static struct region region;
    char mode[5];

    (void)number;
    while (fgets(line, sizeof line, maps)) {
        region.name[0] = '\0';
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %255s", &region.begin,
                   &region.end, mode, region.name) >= 3 &&
            strncmp(mode, "rw", 2) == 0)
            look_at(in_hand, &region);
    }
}

size_t watch_find(pid_t pid, FILE *out)
{
    const struct sigaction handle = { .sa_handler = look_everywhere };
    struct sigaction before;
    struct search search = { -1, out, 0 };
    char path[64];

    open_store();
    snprintf(path, sizeof path, pid ? "/proc/%ld/mem" : "/dev/null", (long)pid);
    search.memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, pid ? "/proc/%ld/maps" : "/proc/self/maps", (long)pid);
    maps = fopen(path, "re");
    if (search.memory < 0 || !maps)
        return SIZE_MAX;
    if (!pid) {
        close(search.memory);
        search.memory = -1;
    }
    in_hand = &search;
    if (sigaction(SIGUSR2, &handle, &before) != 0 || raise(SIGUSR2) != 0 ||
        sigaction(SIGUSR2, &before, NULL) != 0)
        abort();
    fclose(maps);
    if (search.memory >= 0)
        close(search.memory);
    return search.found;
}

/* --- handing over ---------------------------------------------------------------------------- */

void watch_write(FILE *out, const char *but)
{
    for (size_t i = 0; i < watch_count(); i++) {
        const struct piece *piece = &store->slot[store->order[i]];

        if (strncmp(piece->what, but, strlen(but)) == 0)
            continue;
        fprintf(out, "%s\t%" PRIu32 "\t", piece->what, piece->at);
        for (size_t at = 0; at < WATCH_PIECE_SIZE; at++)
            fprintf(out, "%02x", piece->octets[at]);
        fputs("\n", out);
    }
}

bool watch_read(FILE *in)
{
    char line[256], what[WHAT_SIZE], digits[2 * WATCH_PIECE_SIZE + 1];
    uint32_t at;

    open_store();
    while (fgets(line, sizeof line, in)) {
        uint8_t octets[WATCH_PIECE_SIZE];

        if (sscanf(line, "%23[^\t]\t%" SCNu32 "\t%32[0-9a-f]", what, &at, digits) != 3)
            return false;
        for (size_t i = 0; i < WATCH_PIECE_SIZE; i++) {
            const char two[3] = { digits[2 * i], digits[2 * i + 1], '\0' };

            octets[i] = (uint8_t)strtoul(two, NULL, 16);
        }
        piece_add(what, at, octets);
    }
    return !ferror(in);
}
