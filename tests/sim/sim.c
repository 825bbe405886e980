#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim sim;

void sim_begin(uint64_t seed)
{
    sim.seed = seed;
    sim.random_state = seed;
    sim.now_ms = SIM_START_MS;
    sim.flips = 0;
    sim.about[0] = '\0';
}

/* SplitMix64 (Steele, Lea, Flood 2014): seeds that are neighbours have nothing in common. */
static uint64_t next(void)
{
    uint64_t z = sim.random_state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t sim_dice(uint64_t sides)
{
    return next() % sides;
}

bool sim_chance(uint64_t one_in)
{
    return one_in > 0 && sim_dice(one_in) == 0;
}

uint64_t sim_spread(uint64_t least, uint64_t most)
{
    uint64_t range = most - least;
    uint64_t powers = 0;

    while (powers < 63 && range >> powers > 0)
        powers++;
    range = powers > 0 ? range >> sim_dice(powers) : 0;
    return least + sim_dice(range + 1);
}

void sim_fill(uint8_t *out, size_t size)
{
    while (size > 0) {
        uint64_t some = next();
        size_t part = size < sizeof some ? size : sizeof some;

        memcpy(out, &some, part);
        out += part;
        size -= part;
    }
}

static void say_time(FILE *to)
{
    const uint64_t ms = sim.now_ms - SIM_START_MS;

    fprintf(to, "%6llu.%03llu  ", (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

void sim_trace(const char *format, ...)
{
    va_list list;

    if (!sim.verbose)
        return;
    say_time(stdout);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

/* The commit that a seed belongs to: with another one it may be another story. */
static void commit_read(char commit[64])
{
    FILE *git = popen("git describe --always --dirty --abbrev=12 2>/dev/null", "r");

    snprintf(commit, 64, "unknown");
    if (!git)
        return;
    if (fgets(commit, 64, git))
        commit[strcspn(commit, "\n")] = '\0';
    pclose(git);
}

void sim_fail(const char *format, ...)
{
    char commit[64];
    va_list list;

    commit_read(commit);
    fflush(stdout);
    fprintf(stderr, "sim: error: seed %llu, commit %s%s: ", (unsigned long long)sim.seed, commit,
            sim.about);
    say_time(stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    if (sim.seed > 0)
        fprintf(stderr, "\nsim: hint: at that commit ./run sim --seed %llu tells all of it\n",
                (unsigned long long)sim.seed);
    else
        fprintf(stderr, "\nsim: hint: at that commit ./run sim with that --case tells all of it\n");
    exit(1);
}

void sim_need(bool fine)
{
    if (!fine)
        abort();
}
