/* switchboard.c - what a waiting line takes and what joining takes, however many wait: all that the
 * gate keeps and looks up for a line, without sockets and ciphers, which cost each line the same.
 *
 *   switchboard LINES TAGS    prints one object of JSON: octets of memory for each waiting line,
 *                             nanoseconds to come and wait, and to join one who waits */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "line.h"

enum { TAGS_MAX = 64, SAMPLES = 20000, VISITOR = 1 };

/* What the gate has. */
static struct cn_blocks lines;
static struct cn_owners owners;
static struct cn_sources sources;
static struct cn_switchboard board;
static struct cn_verified verified;
static struct cn_loop loop;
static struct cn_line **waiting; /* ours, to choose from */

static uint64_t seed = 1;

static enum cn_err fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        out[i] = (uint8_t)(seed >> 56);
    }
    return CN_OK;
}

static const struct cn_random random_source = { fill, NULL };

/* A failure is the bench's own. */
static void need(bool fine)
{
    if (!fine)
        abort();
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Our share of what is resident, octets. */
static long long resident(void)
{
    FILE *rollup = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long long kib = -1;

    need(rollup != NULL);
    while (fgets(line, sizeof line, rollup)) {
        if (strncmp(line, "Pss:", 4) == 0)
            kib = strtoll(line + 4, NULL, 10);
    }
    fclose(rollup);
    return kib * 1024;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* The same each time: so a line comes back as who it was. */
static void entries_of(uint32_t number, struct cn_entry *entries, size_t count)
{
    seed = 0x9e3779b97f4a7c15U * (number + 1U);
    for (size_t i = 0; i < count; i++) {
        entries[i].mode = CN_MODE_INPUT;
        need(fill(NULL, entries[i].tag, CN_TAG_SIZE) == CN_OK);
    }
}

static void replaced(void *context, struct cn_waiter *old)
{
    (void)context;
    (void)old;
    need(false);
}

/* Accepted and admitted: what hearing.c does with it, but for saying anything. */
static struct cn_line *line_come(uint32_t number, uint32_t address)
{
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = address };
    struct cn_line *line = cn_blocks_take(&lines);

    need(line != NULL);
    memset(line, 0, sizeof *line);
    memcpy(&line->address, &from, sizeof from);
    cn_sources_take(&sources, (const struct sockaddr *)&line->address);
    memcpy(line->waiter.admission_key, &number, sizeof number);
    cn_sources_give(&sources, (const struct sockaddr *)&line->address);
    line->who = number * 0x9e3779b97f4a7c15; /* as evenly as a MAC would */
    line->owner = cn_owners_take(&owners, line->who, number);
    line->waiter.alive_until_ms = UINT64_MAX;
    return line;
}

static void line_go(struct cn_line *line)
{
    cn_loop_timer_clear(&loop, &line->timer);
    cn_owners_give(&owners, line->owner);
    cn_blocks_give(&lines, line);
}

static struct cn_waiter *line_register(struct cn_line *line, const struct cn_entry *entries,
                                       size_t count, uint64_t due_ms)
{
    struct cn_match match;

    need(cn_switchboard_register(&board, &line->waiter, entries, count, 1, replaced, NULL,
                                 &match) == CN_OK);
    cn_loop_timer_set(&loop, &line->timer, due_ms);
    return match.partner;
}

/* Times of lines that come within two minutes are as far apart. */
static uint64_t due_of(uint32_t number)
{
    return 1000 + number * 7919U % 120000;
}

static void line_wait(uint32_t number, size_t tag_count)
{
    struct cn_entry entries[TAGS_MAX];
    struct cn_line *line = line_come(number + VISITOR, number * 2654435761U);

    entries_of(number, entries, tag_count);
    need(line_register(line, entries, tag_count, due_of(number)) == NULL);
    waiting[number] = line;
}

/* --- measuring ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double joined[SAMPLES], came[SAMPLES];

/* One comes who knows the line's last tag; both go, and the line comes back. */
static void sample(size_t i, uint32_t number, size_t tag_count)
{
    struct cn_entry entries[TAGS_MAX];
    struct cn_line *line = waiting[number];
    struct cn_line *visitor;
    double began;

    entries_of(number, entries, tag_count);
    entries[0] = entries[tag_count - 1];
    entries[0].mode = CN_MODE_OUTPUT;
    began = now_ns();
    visitor = line_come(VISITOR - 1, 1);
    need(line_register(visitor, entries, 1, 500) == &line->waiter);
    cn_loop_timer_set(&loop, &line->timer, 500);
    joined[i] = now_ns() - began;
    line_go(visitor);
    line_go(line);
    began = now_ns();
    line_wait(number, tag_count);
    came[i] = now_ns() - began;
}

static void pools_init(uint32_t line_count, uint32_t tag_count)
{
    struct cn_crypto unused;

    need(cn_blocks_init(&lines, sizeof(struct cn_line), line_count + 1) == CN_OK);
    need(cn_owners_init(&owners, calloc(line_count + 1, sizeof *owners.at), line_count + 1) ==
         CN_OK);
    need(cn_sources_init(&sources, line_count + 1, &random_source) == CN_OK);
    need(cn_switchboard_init(&board, line_count * tag_count + 1, &random_source) == CN_OK);
    need(cn_verified_init(&verified, &unused, line_count) == CN_OK);
    need(cn_loop_init(&loop, line_count + 1) == CN_OK);
}

int main(int argc, char **argv)
{
    uint32_t line_count = argc == 3 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    size_t tag_count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    long long before, after;

    if (line_count == 0 || line_count > 10000000 || tag_count == 0 || tag_count > TAGS_MAX)
        return 2;
    waiting = malloc(line_count * sizeof *waiting);
    need(waiting != NULL);
    memset(waiting, 1, line_count * sizeof *waiting);
    memset(joined, 1, sizeof joined);
    memset(came, 1, sizeof came);
    before = resident();
    pools_init(line_count, (uint32_t)tag_count);
    for (uint32_t i = 0; i < line_count; i++)
        line_wait(i, tag_count);
    memset(verified.sets, 1, verified.set_count * sizeof *verified.sets); /* as if all were known */
    after = resident();
    for (size_t i = 0; i < SAMPLES; i++) {
        uint32_t number;

        seed = i * 0x2545f4914f6cdd1dU;
        need(fill(NULL, (uint8_t *)&number, sizeof number) == CN_OK);
        sample(i, number % line_count, tag_count);
    }
    qsort(joined, SAMPLES, sizeof *joined, compare);
    qsort(came, SAMPLES, sizeof *came, compare);
    printf("{\"lines\": %u, \"tags\": %zu, \"octets_per_line\": %.0f, \"join_ns_p50\": %.0f, "
           "\"join_ns_p99\": %.0f, \"wait_ns_p50\": %.0f, \"wait_ns_p99\": %.0f}\n",
           line_count, tag_count, (double)(after - before) / line_count, joined[SAMPLES / 2],
           joined[SAMPLES * 99 / 100], came[SAMPLES / 2], came[SAMPLES * 99 / 100]);
    return 0;
}
