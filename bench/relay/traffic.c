#include "traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

enum {
    /* The period of what is sent is prime, so that no block moved by a power of two fits. */
    PATTERN_SIZE = 1048573,
    PIECE_SIZE = 256 * 1024,
    CHEAP_PIECE_SIZE = 1 << 20,
    SHIFT = 7919, /* by which the pattern of each call is ahead of that of the one before */
    READY_COUNT_MAX = 64,
    PATIENCE_MS = 30000
};

/* The pattern, and its beginning again. */
static uint8_t pattern[PATTERN_SIZE + PIECE_SIZE];
static int pattern_file;
static uint8_t piece[CHEAP_PIECE_SIZE];

void traffic_init(void)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof pattern; i++) {
        state = state * 1664525 + 1013904223; /* any that has no short period */
        pattern[i] = i < PATTERN_SIZE ? (uint8_t)(state >> 24) : pattern[i - PATTERN_SIZE];
    }
    pattern_file = memfd_create("pattern", MFD_CLOEXEC);
    if (pattern_file < 0)
        die("memfd_create");
    net_write(pattern_file, pattern, PATTERN_SIZE);
}

/* --- bulk ------------------------------------------------------------------------------------ */

struct flow {
    int fd;
    size_t at; /* in the pattern */
};

/* Watch that end of all calls; flow i belongs to call i. */
static int flows_open(const struct bulk *bulk, int end, uint32_t events, struct flow *flow)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        die("epoll_create1");
    for (size_t i = 0; i < bulk->count; i++) {
        struct epoll_event event = { .events = events, .data.u64 = i };

        flow[i] = (struct flow) { bulk->ends[i][end], i * SHIFT % PATTERN_SIZE };
        if (fcntl(flow[i].fd, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, flow[i].fd, &event) != 0)
            die("epoll_ctl");
    }
    return epoll;
}

static size_t flows_wait(int epoll, struct epoll_event ready[READY_COUNT_MAX])
{
    int count = epoll_wait(epoll, ready, READY_COUNT_MAX, PATIENCE_MS);

    if (count < 0)
        die("epoll_wait");
    if (count == 0)
        give_up("bulk has come to a halt");
    return (size_t)count;
}

static void flow_send(struct flow *flow, bool compares)
{
    off_t at = (off_t)flow->at;
    ssize_t put = compares ? send(flow->fd, pattern + flow->at, PIECE_SIZE, MSG_NOSIGNAL)
                           : sendfile(flow->fd, pattern_file, &at, (size_t)(PATTERN_SIZE - at));

    if (put < 0 && errno != EAGAIN)
        die("send");
    if (put > 0)
        flow->at = (flow->at + (size_t)put) % PATTERN_SIZE;
}

void traffic_send(const struct bulk *bulk)
{
    static struct flow flow[CALL_COUNT_MAX];
    int epoll = flows_open(bulk, CALLER, EPOLLOUT, flow);

    for (;;) {
        struct epoll_event ready[READY_COUNT_MAX];
        size_t count = flows_wait(epoll, ready);

        for (size_t i = 0; i < count; i++)
            flow_send(&flow[ready[i].data.u64], bulk->compares);
    }
}

static size_t flow_receive(struct flow *flow, bool compares)
{
    ssize_t got = recv(flow->fd, piece, compares ? PIECE_SIZE : CHEAP_PIECE_SIZE,
                       compares ? MSG_DONTWAIT : MSG_DONTWAIT | MSG_TRUNC);

    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got < 0)
        die("recv");
    if (got == 0)
        give_up("recv: a call has ended");
    if (compares && memcmp(piece, pattern + flow->at, (size_t)got) != 0)
        give_up("recv: other octets than were sent");
    flow->at = (flow->at + (size_t)got) % PATTERN_SIZE;
    return (size_t)got;
}

void traffic_receive(const struct bulk *bulk, struct tally *tally)
{
    static struct flow flow[CALL_COUNT_MAX];
    int epoll = flows_open(bulk, ANSWERER, EPOLLIN, flow);

    for (;;) {
        struct epoll_event ready[READY_COUNT_MAX];
        size_t count = flows_wait(epoll, ready);

        for (size_t i = 0; i < count; i++) {
            size_t call = ready[i].data.u64;

            atomic_fetch_add_explicit(&tally->octets[call],
                                      flow_receive(&flow[call], bulk->compares),
                                      memory_order_relaxed);
        }
    }
}

void traffic_pass(int from, int to, size_t size)
{
    struct flow out = { from, 0 };
    size_t sent = 0, received = 0;

    while (received < size) {
        struct pollfd wait[] = { { to, POLLIN, 0 }, { from, POLLOUT, 0 } };
        struct flow in = { to, received % PATTERN_SIZE };
        ssize_t put;

        if (poll(wait, sent < size ? 2 : 1, PATIENCE_MS) <= 0)
            give_up("a call has come to a halt");
        if (sent < size && wait[1].revents) {
            size_t left = size - sent;

            put = send(out.fd, pattern + sent % PATTERN_SIZE, left < PIECE_SIZE ? left : PIECE_SIZE,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
            if (put < 0 && errno != EAGAIN)
                die("send");
            sent += put > 0 ? (size_t)put : 0;
        }
        if (wait[0].revents)
            received += flow_receive(&in, true);
    }
}

/* --- conversation ---------------------------------------------------------------------------- */

static int64_t trip(const int ends[END_COUNT])
{
    uint8_t octets[TRIP_SIZE] = { 1 };
    int64_t from = net_now_ns();

    net_write(ends[CALLER], octets, sizeof octets);
    net_read(ends[ANSWERER], octets, sizeof octets);
    net_write(ends[ANSWERER], octets, sizeof octets);
    net_read(ends[CALLER], octets, sizeof octets);
    return net_now_ns() - from;
}

void traffic_probe(const int ends[END_COUNT], int64_t pause_us, struct tally *tally)
{
    const struct timespec pause = { pause_us / 1000000, pause_us % 1000000 * 1000 };
    uint32_t count = 0;

    /* what is measured is how long the relay makes it wait, not the load that shares its core */
    (void)setpriority(PRIO_PROCESS, 0, -20); /* if we may */
    for (;;) {
        int64_t ns = trip(ends);

        if (count < TRIP_COUNT_MAX) {
            tally->trip_ns[count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
            atomic_store(&tally->trip_count, count);
        }
        if (pause_us > 0)
            nanosleep(&pause, NULL);
    }
}

void traffic_make_calls(const struct way *way, size_t maker, struct tally *tally)
{
    if (way->begin)
        way->begin(way);
    atomic_fetch_add(&tally->begun, 1);
    while (!atomic_load(&tally->over)) {
        int ends[END_COUNT];

        way->call(way, ends);
        traffic_pass(ends[CALLER], ends[ANSWERER], 1);
        net_reset(ends[ANSWERER]);
        if (way->listener >= 0)
            net_await_end(ends[CALLER]); /* who has the other end may not have read yet */
        net_reset(ends[CALLER]);
        atomic_fetch_add(&tally->calls[maker], 1);
    }
    _exit(0);
}
