/* relay: a load for relays. Makes calls through one and measures what it does with them.
 *
 *   relay direct PORT                  no relay: to a listener of our own
 *   relay proxy PORT BACK              a TCP proxy that connects to a listener of our own
 *   relay transit PORT                 magic-wormhole's transit relay
 *   relay strelay PORT                 Syncthing's strelaysrv
 *   relay cyphernet PORT FILE FILE     cyphernetd, with the fingerprints of two subscribers
 *
 * Reads commands from standard input, one a line, words KEY=VALUE behind its name, and answers each
 * with one line of JSON. It ends with its input, or with the first thing that goes wrong.
 *
 *   idle count=N                  make N more calls, which do nothing
 *   pass size=OCTETS              so many there and back through each of these, compared
 *   measure calls=N compare=0|1 probe=0|1 pause_us=N warm_ms=N window_ms=N pids=PID,PID
 *                                 bulk through N calls and 64 octets there and back through one
 *                                 more, for so long; PIDs are the relay's
 *   make makers=N warm_ms=N window_ms=N pids=PID,PID
 *                                 so many processes that make calls and close them */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "sample.h"
#include "traffic.h"

enum { IDLE_COUNT_MAX = 16384, COMMAND_LIMIT_S = 300, BEGIN_LIMIT_S = 30 };

struct command {
    long count, size, calls, compare, probe, pause_us, warm_ms, window_ms, makers;
    struct processes relay;
};

static struct way way;
static struct tally *tally;
static int idle[IDLE_COUNT_MAX][END_COUNT];
static size_t idle_count;

/* --- commands -------------------------------------------------------------------------------- */

static void pids_parse(struct processes *p, const char *text)
{
    char *end;

    for (p->count = 0; p->count < sizeof p->pid / sizeof p->pid[0] && *text; text = end) {
        p->pid[p->count++] = (pid_t)strtol(text, &end, 10);
        if (*end == ',')
            end++;
        else if (*end)
            give_up("pids are numbers with commas between them");
    }
}

static void word_parse(struct command *c, char *word)
{
    const struct {
        const char *name;
        long *value;
    } keys[] = {
        { "count", &c->count },     { "size", &c->size },           { "calls", &c->calls },
        { "compare", &c->compare }, { "probe", &c->probe },         { "pause_us", &c->pause_us },
        { "warm_ms", &c->warm_ms }, { "window_ms", &c->window_ms }, { "makers", &c->makers },
    };
    char *value = strchr(word, '=');

    if (!value)
        give_up("a word of a command is KEY=VALUE");
    *value++ = '\0';
    if (strcmp(word, "pids") == 0) {
        pids_parse(&c->relay, value);
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(word, keys[i].name) == 0) {
            *keys[i].value = strtol(value, NULL, 10);
            return;
        }
    }
    give_up("no such key of a command");
}

static void milliseconds_pass(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

/* --- processes of ours ----------------------------------------------------------------------- */

/* In the child 0. It ends with us. */
static pid_t branch(struct processes *own)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid > 0)
        own->pid[own->count++] = pid;
    else if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    return pid;
}

/* Makers are let finish their calls, so that none is left half made. The others do not end by
 * themselves, unless something went wrong. */
static void end_all(const struct processes *own, bool makers)
{
    bool broke = false;

    atomic_store(&tally->over, true);
    for (size_t i = 1; i < own->count; i++) {
        bool ended = !makers && waitpid(own->pid[i], NULL, WNOHANG) != 0;
        int status = 0;

        if (!makers && !ended)
            (void)kill(own->pid[i], SIGKILL);
        if (!ended)
            (void)waitpid(own->pid[i], &status, 0);
        broke |= ended || (makers && status != 0);
    }
    if (broke)
        give_up("a process of the load has ended early");
}

static void tally_clear(void)
{
    for (size_t i = 0; i < CALL_COUNT_MAX; i++)
        atomic_store(&tally->octets[i], 0);
    for (size_t i = 0; i < MAKER_COUNT_MAX; i++)
        atomic_store(&tally->calls[i], 0);
    atomic_store(&tally->trip_count, 0);
    atomic_store(&tally->over, false);
    atomic_store(&tally->begun, 0);
}

/* --- results --------------------------------------------------------------------------------- */

/* What there is at one moment. */
struct moment {
    struct sample sample;
    uint64_t octets[CALL_COUNT_MAX];
    uint64_t made;
    uint32_t trips;
};

static void moment_take(struct moment *m, const struct processes *relay,
                        const struct processes *own)
{
    m->made = 0;
    sample_take(&m->sample, relay, own);
    for (size_t i = 0; i < CALL_COUNT_MAX; i++)
        m->octets[i] = atomic_load(&tally->octets[i]);
    for (size_t i = 0; i < MAKER_COUNT_MAX; i++)
        m->made += atomic_load(&tally->calls[i]);
    m->trips = atomic_load(&tally->trip_count);
}

static int smaller_first(const void *a, const void *b)
{
    const uint32_t *one = a, *other = b;

    return (*one > *other) - (*one < *other);
}

static void trips_print(uint32_t from, uint32_t to)
{
    static const struct {
        const char *name;
        uint32_t per_thousand;
    } shares[] = { { "p50_us", 500 }, { "p99_us", 990 }, { "p999_us", 999 }, { "max_us", 1000 } };
    uint32_t count = to - from;

    printf(", \"trips\": %" PRIu32, count);
    if (count == 0)
        return;
    qsort(tally->trip_ns + from, count, sizeof tally->trip_ns[0], smaller_first);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        uint64_t at = (uint64_t)count * shares[i].per_thousand / 1000;

        if (at == count)
            at--;
        printf(", \"%s\": %.2f", shares[i].name, tally->trip_ns[from + at] / 1e3);
    }
}

static void octets_print(const struct moment *from, const struct moment *to, size_t calls)
{
    uint64_t all = 0, least = UINT64_MAX, most = 0;

    for (size_t i = 0; i < calls; i++) {
        uint64_t octets = to->octets[i] - from->octets[i];

        all += octets;
        least = octets < least ? octets : least;
        most = octets > most ? octets : most;
    }
    printf(", \"octets\": %" PRIu64 ", \"least\": %" PRIu64 ", \"most\": %" PRIu64, all, least,
           most);
}

static void window_print(const struct sample *from, const struct sample *to)
{
    double tick = 1.0 / (double)sample_ticks_per_second();
    double relay = (double)(to->relay_ticks - from->relay_ticks) * tick;
    double own = (double)(to->own_ticks - from->own_ticks) * tick;
    double busy = (double)(to->busy_ticks - from->busy_ticks) * tick;

    printf("{\"seconds\": %.6f, \"relay_cpu\": %.3f, \"driver_cpu\": %.3f, \"other_cpu\": %.3f, "
           "\"steal_ticks\": %" PRId64,
           (double)(to->at_ns - from->at_ns) / 1e9, relay, own,
           busy > relay + own ? busy - relay - own : 0, to->steal_ticks - from->steal_ticks);
}

/* Let them run for the time that the command says, and print what they did in its window. */
static void window(const struct command *c, const struct processes *own)
{
    static struct moment from, to;

    milliseconds_pass(c->warm_ms);
    moment_take(&from, &c->relay, own);
    milliseconds_pass(c->window_ms);
    moment_take(&to, &c->relay, own);
    end_all(own, c->makers > 0);
    window_print(&from.sample, &to.sample);
    if (c->calls > 0)
        octets_print(&from, &to, (size_t)c->calls);
    if (c->probe)
        trips_print(from.trips, to.trips);
    if (c->makers > 0)
        printf(", \"made\": %" PRIu64, to.made - from.made);
    puts("}");
}

/* --- what the commands do -------------------------------------------------------------------- */

static void do_idle(const struct command *c)
{
    int64_t from = net_now_ns();

    for (long i = 0; i < c->count; i++) {
        if (idle_count == IDLE_COUNT_MAX)
            give_up("idle: too many");
        way.call(&way, idle[idle_count++]);
    }
    printf("{\"calls\": %zu, \"seconds\": %.6f}\n", idle_count,
           (double)(net_now_ns() - from) / 1e9);
}

static void do_pass(const struct command *c)
{
    int64_t from = net_now_ns();

    for (size_t i = 0; i < idle_count; i++) {
        traffic_pass(idle[i][CALLER], idle[i][ANSWERER], (size_t)c->size);
        traffic_pass(idle[i][ANSWERER], idle[i][CALLER], (size_t)c->size);
    }
    printf("{\"calls\": %zu, \"seconds\": %.6f}\n", idle_count,
           (double)(net_now_ns() - from) / 1e9);
}

static void do_measure(const struct command *c)
{
    static int ends[CALL_COUNT_MAX + 1][END_COUNT];
    struct bulk bulk = { (size_t)c->calls, ends, c->compare != 0 };
    struct processes own = { 1, { getpid() } };
    size_t count = bulk.count + 1; /* the last one is the probe's */

    if (c->calls < 0 || c->calls > CALL_COUNT_MAX)
        give_up("measure: too many calls");
    tally_clear();
    for (size_t i = 0; i < count; i++)
        way.call(&way, ends[i]);
    if (c->calls > 0 && branch(&own) == 0)
        traffic_receive(&bulk, tally);
    if (c->calls > 0 && branch(&own) == 0)
        traffic_send(&bulk);
    if (c->probe && branch(&own) == 0)
        traffic_probe(ends[bulk.count], c->pause_us, tally);
    window(c, &own);
    for (size_t i = 0; i < count; i++) {
        net_reset(ends[i][CALLER]);
        net_reset(ends[i][ANSWERER]);
    }
}

static void do_make(const struct command *c)
{
    struct processes own = { 1, { getpid() } };

    if (c->makers < 1 || c->makers > MAKER_COUNT_MAX - 1)
        give_up("make: too many makers");
    tally_clear();
    for (long i = 0; i < c->makers; i++) {
        if (branch(&own) == 0)
            traffic_make_calls(&way, (size_t)i, tally);
    }
    for (int i = 0; atomic_load(&tally->begun) < c->makers && i < BEGIN_LIMIT_S * 100; i++)
        milliseconds_pass(10);
    window(c, &own);
}

static void command_run(char *text)
{
    static const struct {
        const char *name;
        void (*run)(const struct command *);
    } commands[] = {
        { "idle", do_idle },
        { "pass", do_pass },
        { "measure", do_measure },
        { "make", do_make },
    };
    struct command c = { 0 };
    char *left;
    const char *name = strtok_r(text, " \n", &left);

    for (char *w = strtok_r(NULL, " \n", &left); w; w = strtok_r(NULL, " \n", &left))
        word_parse(&c, w);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (name && strcmp(name, commands[i].name) == 0) {
            alarm(COMMAND_LIMIT_S); /* nothing here waits for ever */
            commands[i].run(&c);
            fflush(stdout);
            alarm(0);
            return;
        }
    }
    give_up("no such command");
}

int main(int argc, char **argv)
{
    struct rlimit files;
    char text[1024];

    if (argc < 3)
        give_up("usage: relay WAY PORT ...; see main.c");
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        die("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        die("setrlimit");
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        die("mmap");
    traffic_init();
    way_open(&way, argv + 1);
    if (way.begin)
        way.begin(&way);
    while (fgets(text, sizeof text, stdin))
        command_run(text);
    return 0;
}
