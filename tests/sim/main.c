/* The simulator's program: README. Exit code 0: nothing is wrong; 1: something is; 2: misuse. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bugs.h"
#include "sim.h"
#include "world.h"

enum { PROCESS_COUNT_MAX = 64, BUG_SEED_COUNT = 4000 };

struct options {
    uint64_t seeds;
    uint64_t first;
    bool one; /* seed, told in full */
    bool exhaustive;
    const char *a_case; /* of these, told in full */
    uint64_t stride;
    bool bugs;
    enum sim_bug bug;
};

static const char usage[] =
    "usage: sim [--seeds N] [--first S]          seeds S to S + N - 1; at first 1000 from 1\n"
    "       sim --seed S                         one, told in full\n"
    "       sim --exhaustive [--stride N]        a short call, hurt at every octet, or every N-th\n"
    "       sim --case FAULT,LINE,up|down,OCTET  one of these, told in full\n"
    "       sim --bugs                           whether each bug that is put in is seen\n"
    "       --bug NAME                           put one in\n";

static int misuse(void)
{
    fputs(usage, stderr);
    return 2;
}

static double seconds(void)
{
    struct timespec t;

    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- several processes ----------------------------------------------------------------------- */

/* What part `at` of `count` does; what it counts it adds to sum. */
typedef void part(const struct options *o, unsigned at, unsigned count, struct world_sum *sum,
                  uint64_t *done);

struct told {
    struct world_sum sum;
    uint64_t done;
};

static void sum_add(struct world_sum *sum, const struct world_sum *other)
{
    sum->resumes += other->resumes;
    sum->lines += other->lines;
    if (other->took_ms > sum->took_ms)
        sum->took_ms = other->took_ms;
}

static void child(part *work, const struct options *o, unsigned at, unsigned count, int out)
{
    struct told told = { 0 };

    work(o, at, count, &told.sum, &told.done);
    sim_need(write(out, &told, sizeof told) == (ssize_t)sizeof told);
    exit(0);
}

/* As many as there are cores; how many failed. */
static int fork_all(part *work, const struct options *o, struct told *all)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned count = cores < 1                   ? 1
                           : cores > PROCESS_COUNT_MAX ? PROCESS_COUNT_MAX
                                                       : (unsigned)cores;
    int ends[2], failed = 0, status;
    struct told told;

    memset(all, 0, sizeof *all);
    sim_need(pipe(ends) == 0);
    fflush(stdout);
    for (unsigned i = 0; i < count; i++) {
        const pid_t pid = fork();

        sim_need(pid >= 0);
        if (pid == 0)
            child(work, o, i, count, ends[1]);
    }
    close(ends[1]);
    for (unsigned i = 0; i < count; i++) {
        sim_need(wait(&status) > 0);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        if (WIFSIGNALED(status))
            fprintf(stderr, "sim: error: a process died of signal %d\n", WTERMSIG(status));
    }
    while (read(ends[0], &told, sizeof told) == (ssize_t)sizeof told) {
        sum_add(&all->sum, &told.sum);
        all->done += told.done;
    }
    close(ends[0]);
    return failed;
}

/* --- seeds ----------------------------------------------------------------------------------- */

static void run_seeds(const struct options *o, unsigned at, unsigned count, struct world_sum *sum,
                      uint64_t *done)
{
    for (uint64_t i = at; i < o->seeds; i += count) {
        struct world_sum one = { 0 };

        world_run(o->first + i, &one);
        sum_add(sum, &one);
        ++*done;
    }
}

static int say_seeds(const struct options *o)
{
    const double since = seconds();
    struct told all;
    const int failed = fork_all(run_seeds, o, &all);
    const double took = seconds() - since;

    printf("seeds from %llu: %.1f s, %.0f a second; %llu lines, of which %llu resumed a call; the "
           "last "
           "call ended %.1f s after the last fault\n%llu passed, %d failed\n",
           (unsigned long long)o->first, took, (double)all.done / took,
           (unsigned long long)all.sum.lines, (unsigned long long)all.sum.resumes,
           (double)all.sum.took_ms / 1000, (unsigned long long)all.done, failed);
    return failed > 0;
}

/* --- every octet ----------------------------------------------------------------------------- */

/* One fault at one octet of one way of one of the two first lines. */
static void run_fault(enum net_fault fault, int line, enum net_way way, uint64_t at,
                      struct world_sum *sum)
{
    struct net_plan plan[2] = { { NET_FINE, 0, 0 }, { NET_FINE, 0, 0 } };

    plan[way] = (struct net_plan) { fault, at, at % 8 };
    world_script(line, plan, sum);
}

/* Beside every stride-th octet those are tried where a message begins or ends, but for one. */
static bool is_edge(uint64_t at)
{
    static const uint64_t edges[] = {
        0, 1024, 2048, 3072, 3074, 7168, 7170, 8448, 8450, 8704, 8706
    };

    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (at + 1 >= edges[i] && at <= edges[i] + 1)
            return true;
    }
    return false;
}

static bool case_read(const char *text, enum net_fault *fault, int *line, enum net_way *way,
                      unsigned long long *octet)
{
    char name[8], direction[8];

    if (sscanf(text, "%7[a-z],%d,%7[a-z],%llu", name, line, direction, octet) != 4)
        return false;
    *way = strcmp(direction, "up") == 0 ? NET_UP : NET_DOWN;
    for (*fault = NET_FINE; *fault < NET_FAULT_COUNT; *fault = (enum net_fault)(*fault + 1)) {
        if (strcmp(name, net_fault_name(*fault)) == 0)
            return true;
    }
    return false;
}

static int say_case(const struct options *o)
{
    unsigned long long octet;
    struct world_sum sum = { 0 };
    enum net_fault fault;
    enum net_way way;
    int line;

    if (!case_read(o->a_case, &fault, &line, &way, &octet))
        return misuse();
    sim.verbose = true;
    run_fault(fault, line, way, octet, &sum);
    printf("1 passed, 0 failed\n");
    return 0;
}

/* The cases are numbered through; each process takes every count-th. Which octets a stride takes
 * depends on the case alone: way, line and fault shift it, and nothing else. */
static void run_exhaustive(const struct options *o, unsigned at, unsigned count,
                           struct world_sum *sum, uint64_t *done)
{
    static const enum net_fault faults[] = { NET_RESET, NET_END, NET_FLIP, NET_DEAD };
    struct world_sum whole = { 0 };
    uint64_t number = 0, shift = 0;

    run_fault(NET_FINE, 0, NET_UP, 0, &whole); /* how long the lines are */
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        for (unsigned k = 0; k < 4; k++, shift += 5) {
            for (uint64_t octet = 0; octet < whole.octets[k / 2][k % 2]; octet++) {
                struct world_sum one = { 0 };

                if ((octet + shift) % o->stride != 0 && !is_edge(octet))
                    continue;
                if (number++ % count != at)
                    continue;
                run_fault(faults[i], (int)(k / 2) + 1, (enum net_way)(k % 2), octet, &one);
                sum_add(sum, &one);
                ++*done;
            }
        }
    }
}

static int say_exhaustive(const struct options *o)
{
    const double since = seconds();
    struct told all;
    const int failed = fork_all(run_exhaustive, o, &all);
    const double took = seconds() - since;

    printf(
        "the short call, hurt at every octet, or every %llu-th: %.1f s; %llu lines, of which %llu "
        "resumed a call\n%llu passed, %d failed\n",
        (unsigned long long)o->stride, took, (unsigned long long)all.sum.lines,
        (unsigned long long)all.sum.resumes, (unsigned long long)all.done, failed);
    return failed > 0;
}

/* --- the oracle itself ----------------------------------------------------------------------- */

/* Looks for a seed that fails with this bug in. */
static pid_t look_for(enum sim_bug bug, const struct options *o)
{
    const pid_t pid = fork();
    struct world_sum sum = { 0 };
    uint64_t done = 0;

    sim_need(pid >= 0);
    if (pid > 0)
        return pid;
    sim_need(freopen("/dev/null", "w", stderr) != NULL);
    sim.bug = bug;
    run_seeds(o, 0, 1, &sum, &done);
    exit(0);
}

static bool is_seen(pid_t pid)
{
    int status;

    sim_need(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static int say_bugs(const struct options *o)
{
    pid_t pids[SIM_BUG_COUNT];
    int unseen = 0;

    for (int bug = SIM_BUG_NONE + 1; bug < SIM_BUG_COUNT; bug++)
        pids[bug] = look_for((enum sim_bug)bug, o);
    for (int bug = SIM_BUG_NONE + 1; bug < SIM_BUG_COUNT; bug++) {
        const bool seen = is_seen(pids[bug]);

        printf("%-8s %s: %s\n", seen ? "seen" : "NOT SEEN", bugs_name((enum sim_bug)bug),
               bugs_about((enum sim_bug)bug));
        unseen += !seen;
    }
    printf("%d passed, %d failed\n", SIM_BUG_COUNT - 1 - unseen, unseen);
    return unseen > 0;
}

/* --- options --------------------------------------------------------------------------------- */

static bool number_read(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool option_take(struct options *o, int option)
{
    switch (option) {
    case 'n':
        return number_read(optarg, &o->seeds);
    case 'f':
        return number_read(optarg, &o->first);
    case 's':
        o->one = true;
        o->seeds = 1;
        return number_read(optarg, &o->first);
    case 'e':
        o->exhaustive = true;
        return true;
    case 't':
        return number_read(optarg, &o->stride) && o->stride > 0;
    case 'c':
        o->a_case = optarg;
        return true;
    case 'B':
        o->bugs = true;
        o->seeds = BUG_SEED_COUNT;
        return true;
    case 'b':
        return bugs_find(optarg, &o->bug);
    default:
        return false;
    }
}

static int say_seed(const struct options *o)
{
    struct world_sum sum = { 0 };
    uint64_t done = 0;

    sim.verbose = true;
    run_seeds(o, 0, 1, &sum, &done);
    printf("1 passed, 0 failed\n");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        { "seeds", required_argument, NULL, 'n' },
        { "first", required_argument, NULL, 'f' },
        { "seed", required_argument, NULL, 's' },
        { "exhaustive", no_argument, NULL, 'e' },
        { "stride", required_argument, NULL, 't' },
        { "case", required_argument, NULL, 'c' },
        { "bugs", no_argument, NULL, 'B' },
        { "bug", required_argument, NULL, 'b' },
        { NULL, 0, NULL, 0 },
    };
    struct options o = { .seeds = 1000, .first = 1, .stride = 1 };
    int option;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (!option_take(&o, option))
            return misuse();
    }
    if (optind < argc)
        return misuse();
    world_init();
    sim.bug = o.bug;
    return o.bugs         ? say_bugs(&o)
           : o.a_case     ? say_case(&o)
           : o.exhaustive ? say_exhaustive(&o)
           : o.one        ? say_seed(&o)
                          : say_seeds(&o);
}
