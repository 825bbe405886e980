/* slow_line.c - a line of a given rate and delay, for bytes of TCP connections:
 *
 *   slow_line LISTEN_PORT TO_PORT OCTETS_PER_SECOND DELAY_US
 *
 * Both ports are of 127.0.0.1. Each direction has that rate, for all connections together, and
 * everything takes the delay besides; a connection takes the round trip that TCP's own handshake
 * needs to open. What comes faster than it leaves is taken in until a tenth
 * of a second's worth waits; then the sender has to wait, as at a network card. Says "ready", and
 * ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_SIZE_MIN = 1448, PIECE_SIZE_MAX = 65536, EVENT_COUNT = 64, WAY_COUNT_MAX = 2048 };

struct piece {
    struct piece *next;
    int64_t due_ns; /* when it arrives */
    size_t size, done;
    uint8_t bytes[];
};

/* One direction of one connection. */
struct way {
    int from, to;
    int line;        /* 0: to the server, 1: from it */
    int64_t open_ns; /* nothing is sent before */
    bool ended, over;
    struct piece *first, *last;
    struct way *back;
};

static struct way *ways[WAY_COUNT_MAX];
static int way_count;
static int64_t free_ns[2]; /* when each line has nothing more to send */
static double ns_per_octet;
static size_t piece_size; /* what passes in a millisecond: it arrives as one */
static int64_t delay_ns;
static int poller;

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd };
    const int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static struct way *way_add(int from, int to, int line)
{
    struct way *way = calloc(1, sizeof *way);

    if (!way || way_count == WAY_COUNT_MAX)
        fail("ways");
    *way =
        (struct way) { .from = from, .to = to, .line = line, .open_ns = now_ns() + 2 * delay_ns };
    ways[way_count++] = way;
    return way;
}

static void take(int listener, const struct sockaddr_in *server)
{
    int from, to;

    while ((from = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct way *there, *back;

        to = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (to < 0)
            fail("socket");
        if (connect(to, (const struct sockaddr *)server, sizeof *server) != 0 &&
            errno != EINPROGRESS)
            fail("connect");
        there = way_add(from, to, 0);
        back = way_add(to, from, 1);
        there->back = back;
        back->back = there;
        watch(from);
        watch(to);
    }
}

/* Take in what the line can send within a tenth of a second. */
static bool way_read(struct way *w, int64_t now)
{
    struct piece *p;
    ssize_t got;

    if (w->ended || free_ns[w->line] > now + 100000000)
        return false;
    p = malloc(sizeof *p + piece_size);
    if (!p)
        fail("malloc");
    got = read(w->from, p->bytes, piece_size);
    if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
        free(p);
        return false;
    }
    *p = (struct piece) { .size = got > 0 ? (size_t)got : 0 };
    w->ended = got <= 0;
    if (free_ns[w->line] < now)
        free_ns[w->line] = now;
    free_ns[w->line] += (int64_t)((double)p->size * ns_per_octet);
    p->due_ns = (free_ns[w->line] > w->open_ns ? free_ns[w->line] : w->open_ns) + delay_ns;
    if (w->last)
        w->last->next = p;
    else
        w->first = p;
    w->last = p;
    return true;
}

static bool way_write(struct way *w, int64_t now)
{
    struct piece *p = w->first;
    ssize_t put;

    if (!p || p->due_ns > now)
        return false;
    if (p->size == 0) {
        (void)shutdown(w->to, SHUT_WR);
        w->over = true;
    } else {
        put = send(w->to, p->bytes + p->done, p->size - p->done, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return false;
        p->done += put > 0 ? (size_t)put : p->size - p->done; /* nobody is there any more */
        if (p->done < p->size)
            return true;
    }
    w->first = p->next;
    if (!w->first)
        w->last = NULL;
    free(p);
    return true;
}

static void ways_close(void)
{
    for (int i = 0; i < way_count; i++) {
        struct way *w = ways[i];

        if (!w->over || !w->back->over || w->line != 0)
            continue;
        close(w->from);
        close(w->to);
        for (int k = way_count - 1; k >= 0; k--) {
            if (ways[k] == w || ways[k] == w->back)
                ways[k] = ways[--way_count];
        }
        free(w->back);
        free(w);
        i = -1;
    }
}

/* Nanoseconds until something is due; -1: nothing is. */
static int64_t ways_move(void)
{
    int64_t next = -1, now = now_ns();

    for (bool moved = true; moved;) {
        moved = false;
        now = now_ns();
        for (int i = 0; i < way_count; i++) {
            moved |= way_read(ways[i], now);
            moved |= way_write(ways[i], now);
        }
    }
    ways_close();
    for (int i = 0; i < way_count; i++) {
        const int64_t full = free_ns[ways[i]->line] - 100000000;
        int64_t due = ways[i]->first ? ways[i]->first->due_ns : INT64_MAX;

        if (!ways[i]->ended && full > now && full < due)
            due = full;
        if (due == INT64_MAX)
            continue;
        due = due > now ? due - now : 1000000; /* whoever does not take it is watched */
        if (next < 0 || due < next)
            next = due;
    }
    return next;
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = { .sin_family = AF_INET }, server;
    struct epoll_event event = { .events = EPOLLIN, .data.fd = STDIN_FILENO };
    const int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (argc != 5) {
        fprintf(stderr, "usage: slow_line LISTEN_PORT TO_PORT OCTETS_PER_SECOND DELAY_US\n");
        return 2;
    }
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server = here;
    here.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    ns_per_octet = 1e9 / strtod(argv[3], NULL);
    piece_size = (size_t)(strtod(argv[3], NULL) / 1000);
    piece_size = piece_size < PIECE_SIZE_MIN ? PIECE_SIZE_MIN : piece_size;
    piece_size = piece_size > PIECE_SIZE_MAX ? PIECE_SIZE_MAX : piece_size;
    delay_ns = strtoll(argv[4], NULL, 10) * 1000;
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) != 0 ||
        listen(listener, 64) != 0)
        fail("listen");
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        fail("epoll");
    event.data.fd = listener;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("epoll");
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENT_COUNT];
        const int64_t ns = ways_move();
        const struct timespec wait = { ns / 1000000000, ns % 1000000000 };
        const int count = epoll_pwait2(poller, events, EVENT_COUNT, ns < 0 ? NULL : &wait, NULL);

        for (int i = 0; i < count; i++) {
            uint8_t octets[256];

            if (events[i].data.fd == listener)
                take(listener, &server);
            else if (events[i].data.fd == STDIN_FILENO &&
                     read(STDIN_FILENO, octets, sizeof octets) <= 0)
                return 0;
        }
    }
}
