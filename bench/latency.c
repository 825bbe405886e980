/* latency.c - how long a call takes to come about, seen by who comes second.
 *
 *   latency HOME-A NAME-OF-B HOME-B NAME-OF-A CALLS     prints a line of milliseconds for each
 * call: from dialling to JOINED, from dialling to open at both ends; both programs in one, on one
 * core */
#include <cyphernet.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct end {
    struct cn_home *home;
    struct cn_call *call;
    bool waiting, joined, open, closed;
};

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void begin(struct end *end, const char *contact)
{
    const struct cn_call_options options = { contact, CN_CALL_PIPE, false, 10000 };

    if (cn_call_open(&end->call, end->home, &options) != CN_OK)
        exit(1);
}

static void look(struct end *end)
{
    struct cn_event event;

    if (!end->call)
        return;
    cn_call_process(end->call);
    while (cn_call_next_event(end->call, &event)) {
        end->waiting |= event.type == CN_EVENT_WAITING;
        end->joined |= event.type == CN_EVENT_JOINED;
        end->closed |= event.type == CN_EVENT_CLOSED;
        if (event.type == CN_EVENT_OPEN) {
            end->open = true;
            cn_call_finish(end->call);
        }
    }
}

/* One round of both ends' events. */
static void turn(struct end ends[2])
{
    struct pollfd polled[2 * CN_CALL_DESCRIPTORS_MAX];
    size_t count = 0;
    int timeout = 1000;

    for (int i = 0; i < 2; i++) {
        int due;

        look(&ends[i]);
        if (!ends[i].call)
            continue;
        due = cn_call_timeout_ms(ends[i].call);
        if (due >= 0 && due < timeout)
            timeout = due;
        count += cn_call_descriptors(ends[i].call, polled + count, CN_CALL_DESCRIPTORS_MAX);
    }
    (void)poll(polled, count, timeout);
}

static void measure(struct end ends[2], char **argv)
{
    double from, joined = 0;

    begin(&ends[0], argv[2]);
    while (!ends[0].waiting)
        turn(ends);
    from = now_ms();
    begin(&ends[1], argv[4]);
    while (!ends[0].open || !ends[1].open) {
        turn(ends);
        if (joined == 0 && ends[0].joined && ends[1].joined)
            joined = now_ms();
        if (ends[0].closed || ends[1].closed)
            exit(1);
    }
    printf("%.3f %.3f\n", joined - from, now_ms() - from);
    while (!ends[0].closed || !ends[1].closed)
        turn(ends);
    for (int i = 0; i < 2; i++) {
        cn_call_free(ends[i].call);
        ends[i] = (struct end) { .home = ends[i].home };
    }
}

int main(int argc, char **argv)
{
    struct end ends[2] = { { 0 } };

    if (argc != 6 || cn_home_open(&ends[0].home, argv[1]) != CN_OK ||
        cn_home_open(&ends[1].home, argv[3]) != CN_OK)
        return 2;
    for (long calls = strtol(argv[5], NULL, 10); calls > 0; calls--)
        measure(ends, argv);
    cn_home_close(ends[0].home);
    cn_home_close(ends[1].home);
    return 0;
}
