/* The switch, on TCP over loopback, with a clock of our own: what it must not lose, mix, or hold
 * on to. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seeded.h"
#include "switch.h"

enum { PAIRS = 8, MUCH = 3 * 1024 * 1024 };

static struct cn_loop loop;
static struct cn_switch *sw;
static struct cn_switch_limits limits;
static uint64_t clock_now_ms;
static struct cn_switch_counts counts;

/* What was reported last. */
static unsigned ended_count;
static enum cn_switch_outcome ended_outcome;
static uint64_t ended_bytes[2];
static uint32_t ended_id;

static uint64_t false_clock(void)
{
    return clock_now_ms;
}

static void note_ended(void *context, uint32_t id, const uint64_t bytes[2],
                       enum cn_switch_outcome outcome)
{
    (void)context;
    ended_count++;
    ended_outcome = outcome;
    memcpy(ended_bytes, bytes, sizeof ended_bytes);
    ended_id = id;
}

static int after(void *context)
{
    (void)context;
    return cn_switch_turn(sw);
}

static int begin(void **state)
{
    (void)state;
    clock_now_ms = 1000000;
    counts = (struct cn_switch_counts) { 0 };
    ended_count = 0;
    limits = (struct cn_switch_limits) { .pairs_max = PAIRS,
                                         .pipes_max = 4,
                                         .turn_size = 65536,
                                         .stall_ms = 5000,
                                         .owner_max = 2 * PAIRS };
    if (cn_loop_init(&loop, PAIRS + 2) != CN_OK ||
        cn_switch_create(&sw, &loop, &limits, NULL, &counts, note_ended, NULL) != CN_OK)
        return -1;
    loop.clock_ms = false_clock;
    loop.now_ms = clock_now_ms;
    loop.after = after;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_switch_destroy(sw);
    cn_loop_wipe(&loop);
    return 0;
}

static void with_limits(void **state)
{
    struct cn_switch_limits wanted = limits;

    end(state);
    begin(state);
    limits = wanted;
    cn_switch_destroy(sw);
    assert_err(cn_switch_create(&sw, &loop, &limits, NULL, &counts, note_ended, NULL), CN_OK);
}

/* Let the switch do what there is to do; the kernel delivers within a millisecond or so. */
static void turns(void)
{
    for (int quiet = 0; quiet < 3;) {
        struct pollfd epoll = { loop.epoll, POLLIN, 0 };

        quiet = poll(&epoll, 1, 1) > 0 || loop.more ? 0 : quiet + 1;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
    }
}

static void later(uint64_t ms)
{
    clock_now_ms += ms;
    turns();
}

/* --- ends ------------------------------------------------------------------------------------ */

/* A connection over loopback; out[1] is the side that the switch gets. */
static void connect_pair(int out[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
    out[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(out[0], (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    out[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(out[1] >= 0);
    close(listener);
}

static void join_these(int end[2], const int one[2], const int other[2], uint32_t first_owner)
{
    assert_err(cn_switch_join(sw,
                              (struct cn_switch_end[2]) { { one[1], first_owner },
                                                          { other[1], first_owner + 1 } },
                              first_owner + 7),
               CN_OK);
    end[0] = one[0];
    end[1] = other[0];
    turns();
}

/* Two ends that the switch has joined, of these owners. */
static void join(int end[2], uint32_t first_owner)
{
    int one[2], other[2];

    connect_pair(one);
    connect_pair(other);
    join_these(end, one, other, first_owner);
}

/* Where what is taken counts at once, and not when TCP finds it worth an acknowledgement. */
static void join_unix(int end[2])
{
    int one[2], other[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, one), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    join_these(end, one, other, 0);
}

static int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void put(int fd, const char *words)
{
    assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
    turns();
}

static void gets(int fd, const char *words)
{
    char in[64];
    ssize_t got = recv(fd, in, sizeof in, 0);

    assert_int_equal(got, strlen(words));
    assert_memory_equal(in, words, (size_t)got);
}

static void silent(int fd)
{
    char in;

    assert_int_equal(recv(fd, &in, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void at_its_end(int fd)
{
    char in;

    assert_int_equal(recv(fd, &in, 1, 0), 0);
}

static void is_reset(int fd)
{
    struct pollfd there = { fd, POLLIN, 0 };
    char in;

    assert_int_equal(poll(&there, 1, 5000), 1);
    assert_int_equal(recv(fd, &in, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

/* As much as the far end and all that is between take. */
static size_t stuff(int fd)
{
    static const uint8_t octets[65536];
    size_t sent = 0;

    for (int full = 0; full < 3; full++) {
        ssize_t n;

        while ((n = send(fd, octets, sizeof octets, MSG_NOSIGNAL)) > 0) {
            sent += (size_t)n;
            full = 0;
        }
        turns();
    }
    return sent;
}

/* As many calls as there may be, of owners so far apart, each with as much to move as it takes. */
static void join_all(int end[PAIRS][2], uint32_t step)
{
    for (uint32_t i = 0; i < PAIRS; i++) {
        join(end[i], step * i);
        stuff(end[i][0]);
    }
}

static void close_all(int end[PAIRS][2])
{
    for (int i = 0; i < PAIRS; i++) {
        close(end[i][0]);
        close(end[i][1]);
    }
}

/* Read until the end, or until the reset; how much it was. */
static size_t drain(int fd, bool to_reset)
{
    static uint8_t in[65536];
    size_t size = 0;

    for (int idle = 0; idle < 1000; idle++) {
        ssize_t n = recv(fd, in, sizeof in, 0);

        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            assert_int_equal(n < 0, to_reset);
            return size;
        }
        if (n > 0) {
            size += (size_t)n;
            idle = 0;
        } else {
            turns();
        }
    }
    fail_msg("no end after %zu octets", size);
    return 0;
}

/* Read all that is there or comes by itself; how much it was. */
static size_t drain_now(int fd)
{
    static uint8_t in[65536];
    size_t size = 0;

    for (int idle = 0; idle < 2; idle++) {
        ssize_t n;

        while ((n = recv(fd, in, sizeof in, 0)) > 0) {
            size += (size_t)n;
            idle = 0;
        }
        turns();
    }
    return size;
}

static void hang_up(int end[2])
{
    close(end[0]);
    close(end[1]);
    turns();
    assert_int_equal(cn_switch_counts(sw).pairs, 0);
}

/* The connection breaks: RST. */
static void reset(int fd)
{
    const struct linger hard = { 1, 0 };

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
    turns();
}

/* --- what must arrive ------------------------------------------------------------------------ */

struct stream {
    uint64_t sent_seed, got_seed;
    size_t sent, got;
};

/* Octets that tell their place in the stream. */
static void stream_send(struct stream *s, int fd, uint64_t *dice)
{
    uint8_t octets[32768], size[2];
    uint64_t seed = s->sent_seed;
    size_t want;
    ssize_t n;

    seeded_fill(dice, size, 2);
    want = 1 + (size_t)(size[0] << 8 | size[1]) % sizeof octets;
    if (want > MUCH - s->sent)
        want = MUCH - s->sent;
    seeded_fill(&seed, octets, want);
    n = send(fd, octets, want, MSG_NOSIGNAL);
    if (n <= 0)
        return;
    seeded_fill(&s->sent_seed, octets, (size_t)n);
    s->sent += (size_t)n;
    if (s->sent == MUCH)
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static bool stream_take(struct stream *s, int fd)
{
    static uint8_t octets[65536], wanted[65536];
    ssize_t n = recv(fd, octets, sizeof octets, 0);

    if (n > 0) {
        seeded_fill(&s->got_seed, wanted, (size_t)n);
        assert_memory_equal(octets, wanted, (size_t)n);
        s->got += (size_t)n;
    }
    return n == 0;
}

static void both_ways_arrive_whole(void)
{
    struct stream s[2] = { { 1, 1, 0, 0 }, { 2, 2, 0, 0 } };
    uint64_t dice = 3;
    int fd[2];
    bool over[2] = { false, false };

    join(fd, 0);
    for (unsigned i = 0; i < 1000000 && !(over[0] && over[1]); i++) {
        for (int way = 0; way < 2; way++) {
            if (s[way].sent < MUCH)
                stream_send(&s[way], fd[way], &dice);
            if (!over[way])
                over[way] = stream_take(&s[way], fd[1 - way]);
        }
        clock_now_ms += i % 64 == 0;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
    }
    assert_int_equal(s[0].got, MUCH);
    assert_int_equal(s[1].got, MUCH);
    turns();
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended_outcome, CN_SWITCH_DONE);
    assert_int_equal(ended_bytes[0], MUCH);
    assert_int_equal(ended_bytes[1], MUCH);
    close(fd[0]);
    close(fd[1]);
}

static void all_arrives_in_order_through_pipes(void **state)
{
    (void)state;
    both_ways_arrive_whole();
}

static void all_arrives_in_order_without_a_pipe(void **state)
{
    limits.pipes_max = 0;
    with_limits(state);
    both_ways_arrive_whole();
}

static void all_arrives_in_order_with_one_pipe_for_both_ways(void **state)
{
    limits.pipes_max = 1;
    limits.turn_size = 4096;
    with_limits(state);
    both_ways_arrive_whole();
}

static void all_arrives_in_order_at_a_limited_rate(void **state)
{
    with_limits(state);
    cn_switch_rate_set(sw, 0, 200 * 1000 * 1000);
    both_ways_arrive_whole();
}

/* --- ends of calls --------------------------------------------------------------------------- */

static void half_close_is_passed_on_and_the_other_way_stays_open(void **state)
{
    int fd[2];

    (void)state;
    join(fd, 0);
    put(fd[0], "last");
    assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
    turns();
    gets(fd[1], "last");
    at_its_end(fd[1]);
    put(fd[1], "reply");
    gets(fd[0], "reply");
    assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
    turns();
    at_its_end(fd[0]);
    assert_int_equal(ended_outcome, CN_SWITCH_DONE);
    assert_int_equal(ended_id, 7);
    assert_int_equal(ended_bytes[0], 4);
    assert_int_equal(ended_bytes[1], 5);
    hang_up(fd);
}

static void an_end_comes_behind_all_that_was_sent_before(void **state)
{
    size_t sent;
    int fd[2];

    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        limits.pipes_max = pipes;
        with_limits(state);
        join(fd, 0);
        sent = stuff(fd[0]);
        assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
        turns();
        assert_int_equal(drain(fd[1], false), sent);
        hang_up(fd);
    }
}

/* Both have said their end, and the kernel still has something for who reads late. */
static void what_was_said_before_the_end_arrives_after_it(void **state)
{
    static const uint8_t octets[150000];
    int fd[2];

    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        limits.pipes_max = 4 * pipes;
        with_limits(state);
        join(fd, 0);
        assert_int_equal(send(fd[0], octets, sizeof octets, MSG_NOSIGNAL), sizeof octets);
        turns();
        assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
        assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
        turns();
        assert_int_equal(ended_count, 1);
        assert_int_equal(ended_outcome, CN_SWITCH_DONE);
        assert_int_equal(drain(fd[1], false), sizeof octets);
        hang_up(fd);
    }
}

static void a_reset_is_a_reset_at_the_other_end(void **state)
{
    int fd[2];

    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        limits.pipes_max = pipes;
        with_limits(state);
        for (int i = 0; i < 2; i++) { /* with words on their way, and without */
            join(fd, 0);
            if (i == 1)
                put(fd[0], "last words");
            reset(fd[0]);
            assert_int_equal(ended_outcome, CN_SWITCH_BROKEN);
            if (i == 1)
                gets(fd[1], "last words");
            is_reset(fd[1]);
            close(fd[1]);
        }
        assert_int_equal(cn_switch_counts(sw).pairs, 0);
        assert_int_equal(cn_switch_counts(sw).outcome[CN_SWITCH_BROKEN], 2);
    }
}

/* Nothing more is read there, and nothing is written, so that only epoll can tell. */
static void a_reset_behind_an_end_is_noticed_at_once(void **state)
{
    int fd[2];

    (void)state;
    join(fd, 0);
    assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
    turns();
    at_its_end(fd[1]);
    reset(fd[0]);
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended_outcome, CN_SWITCH_BROKEN);
    assert_int_equal(send(fd[1], "x", 1, MSG_NOSIGNAL), -1);
    close(fd[1]);
}

/* One side has said its end, the other goes on without having said one. */
static void a_reset_by_who_was_still_speaking_is_no_end(void **state)
{
    int fd[2];

    (void)state;
    join(fd, 0);
    assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
    turns();
    at_its_end(fd[0]);
    put(fd[0], "and then");
    reset(fd[0]);
    gets(fd[1], "and then");
    is_reset(fd[1]);
    assert_int_equal(ended_outcome, CN_SWITCH_BROKEN);
    close(fd[1]);
}

/* Who writes is told of it first, and who reads then finds an end. */
static void a_reset_that_writing_finds_is_no_end(void **state)
{
    const struct linger hard = { 1, 0 };
    int fd[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        join(fd, 0);
        assert_int_equal(send(fd[1 - i], "words", 5, MSG_NOSIGNAL), 5);
        assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        close(fd[i]);
        turns();
        assert_int_equal(ended_outcome, CN_SWITCH_BROKEN);
        is_reset(fd[1 - i]);
        close(fd[1 - i]);
    }
}

static void who_goes_while_the_other_speaks_ends_the_call(void **state)
{
    int fd[2];

    (void)state;
    join(fd, 0);
    put(fd[1], "unread");
    close(fd[0]); /* with something unread: a reset */
    turns();
    assert_int_equal(ended_outcome, CN_SWITCH_BROKEN);
    is_reset(fd[1]);
    close(fd[1]);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void who_takes_nothing_is_cut_at_the_stall_limit(void **state)
{
    int fd[2];

    (void)state;
    join_unix(fd);
    stuff(fd[0]);
    for (int ms = 0; ms < 5000; ms += 100) {
        assert_int_equal(ended_count, 0);
        put(fd[1], "x"); /* the other way does not count */
        later(100);
    }
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended_outcome, CN_SWITCH_STALLED);
    hang_up(fd);
}

/* Else the kernel would go on holding octets for an end that takes none. */
/* What waits for it lies in its partner's buffers, and not in those towards it, where what is said
 * next would have to wait behind it on a slow line. */
static void for_who_takes_nothing_little_is_queued(void **state)
{
    int one[2], other[2], fd[2], unsent = 0;

    (void)state;
    connect_pair(one);
    connect_pair(other);
    join_these(fd, one, other, 0);
    assert_true(stuff(fd[0]) > 1000000);
    assert_int_equal(ioctl(other[1], SIOCOUTQNSD, &unsent), 0);
    assert_in_range(unsent, 1, 3 * 131072);
    hang_up(fd);
}

/* Woken for each half of little, a fast line would be slow. */
static void for_who_takes_much_at_once_more_is_queued(void **state)
{
    static uint8_t in[65536];
    int one[2], other[2], fd[2];

    (void)state;
    connect_pair(one);
    connect_pair(other);
    join_these(fd, one, other, 0);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
    assert_int_equal(option(other[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
    stuff(fd[0]);
    drain_now(fd[1]);
    assert_int_equal(option(other[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 2097152);
    stuff(fd[0]);
    for (int i = 0; i < 200 && option(other[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT) != 131072; i++) {
        later(20);
        assert_true(recv(fd[1], in, sizeof in, 0) > 0);
    }
    assert_int_equal(option(other[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
    hang_up(fd);
}

static void what_cannot_be_passed_on_yet_wakes_nobody(void **state)
{
    static const uint8_t octets[65536];
    const int on = 1;
    int one[2], other[2], fd[2], waits = 0;
    struct pollfd epoll;
    unsigned woken = 0;
    size_t sent = 0;

    (void)state;
    connect_pair(one);
    connect_pair(other);
    join_these(fd, one, other, 0);
    assert_int_equal(setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    while (waits == 0) {
        assert_int_equal(send(fd[0], octets, sizeof octets, MSG_NOSIGNAL), sizeof octets);
        sent += sizeof octets;
        turns();
        assert_int_equal(ioctl(one[1], FIONREAD, &waits), 0);
    }
    epoll = (struct pollfd) { loop.epoll, POLLIN, 0 };
    for (int i = 0; i < 50; i++) {
        assert_int_equal(send(fd[0], octets, 1, MSG_NOSIGNAL), 1);
        sent++;
        woken += poll(&epoll, 1, 2) > 0;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
    }
    assert_in_range(woken, 0, 1);
    assert_int_equal(drain_now(fd[1]), sent);
    put(fd[0], "x"); /* it is heard again */
    gets(fd[1], "x");
    hang_up(fd);
}

static void who_stalls_and_its_partner_are_reset(void **state)
{
    size_t sent;
    int fd[2];

    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        limits.pipes_max = pipes;
        with_limits(state);
        join(fd, 0);
        sent = stuff(fd[0]);
        for (int i = 0; i < 10 && ended_count == 0; i++)
            later(5000); /* more than once: TCP acknowledges some of it late */
        assert_int_equal(ended_count, 1);
        assert_int_equal(ended_outcome, CN_SWITCH_STALLED);
        is_reset(fd[0]);
        assert_true(drain(fd[1], true) < sent);
        hang_up(fd);
    }
}

static void who_takes_a_little_now_and_then_is_not_cut(void **state)
{
    static uint8_t in[65536]; /* the kernel counts whole buffers; epoll waits for several */
    int fd[2];

    (void)state;
    join_unix(fd);
    stuff(fd[0]);
    for (int i = 0; i < 12; i++) {
        later(2000);
        assert_int_equal(ended_count, 0);
        later(2000);
        assert_int_equal(ended_count, 0);
        assert_true(recv(fd[1], in, sizeof in, 0) > 0);
        turns();
        (void)recv(fd[1], in, sizeof in, 0);
        stuff(fd[0]);
    }
    later(4999);
    assert_int_equal(ended_count, 0);
    later(1251); /* it is looked at every quarter */
    assert_int_equal(ended_outcome, CN_SWITCH_STALLED);
    hang_up(fd);
}

static void a_stall_under_a_limited_rate_is_found_too(void **state)
{
    int fd[2];

    limits.idle_ms = 100000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 1ULL << 40);
    join_unix(fd);
    stuff(fd[0]);
    later(5000);
    assert_int_equal(ended_outcome, CN_SWITCH_STALLED);
    assert_int_equal(ended_count, 1);
    hang_up(fd);
}

static void silence_ends_a_call_at_the_idle_limit_and_an_octet_either_way_prolongs_it(void **state)
{
    int fd[2];

    limits.idle_ms = 60000;
    with_limits(state);
    join(fd, 0);
    for (int i = 0; i < 4; i++) {
        later(59999);
        assert_int_equal(ended_count, 0);
        put(fd[i % 2], "x");
        gets(fd[1 - i % 2], "x");
    }
    later(59999);
    assert_int_equal(ended_count, 0);
    later(1);
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended_outcome, CN_SWITCH_IDLE);
    is_reset(fd[0]);
    is_reset(fd[1]);
    hang_up(fd);
}

static void new_limits_hold_for_calls_that_are_there(void **state)
{
    int fd[2];

    (void)state;
    join(fd, 0);
    later(1000000);
    assert_int_equal(ended_count, 0);
    limits.idle_ms = 1000500;
    cn_switch_limits_set(sw, &limits);
    later(499);
    assert_int_equal(ended_count, 0);
    later(1);
    assert_int_equal(ended_outcome, CN_SWITCH_IDLE);
    assert_int_equal(ended_count, 1);
    hang_up(fd);
}

/* Several probes before the stall limit, at which the kernel gives a silent peer up. */
static void what_is_asked_of_tcp(void **state)
{
    int one[2], other[2], fd[2];

    limits.stall_ms = 120000;
    with_limits(state);
    connect_pair(one);
    connect_pair(other);
    join_these(fd, one, other, 0);
    for (int i = 0; i < 2; i++) {
        int of_switch = i == 0 ? one[1] : other[1];

        assert_true(option(of_switch, IPPROTO_TCP, TCP_NODELAY));
        assert_true(option(of_switch, SOL_SOCKET, SO_KEEPALIVE));
        assert_int_equal(option(of_switch, IPPROTO_TCP, TCP_KEEPIDLE), 60);
        assert_int_equal(option(of_switch, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    }
    limits.stall_ms = 1;
    cn_switch_limits_set(sw, &limits);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_KEEPIDLE), 1);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_KEEPINTVL), 1);
    limits.stall_ms = UINT64_MAX;
    cn_switch_limits_set(sw, &limits);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_KEEPIDLE), 32767);
    assert_int_equal(option(one[1], IPPROTO_TCP, TCP_KEEPINTVL), 32767);
    hang_up(fd);
}

static unsigned kernel_limit_ms(int fd)
{
    unsigned ms = 0;
    socklen_t size = sizeof ms;

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &size), 0);
    return ms;
}

/* Else the kernel would end a call that the switch lets live. */
static void a_new_stall_limit_is_the_kernels_too(void **state)
{
    int fd[2], one[2], other[2];

    (void)state;
    connect_pair(one);
    connect_pair(other);
    join_these(fd, one, other, 0);
    assert_int_equal(kernel_limit_ms(one[1]), 5000);
    limits.stall_ms = 70000;
    cn_switch_limits_set(sw, &limits);
    assert_int_equal(kernel_limit_ms(one[1]), 70000);
    assert_int_equal(kernel_limit_ms(other[1]), 70000);
    hang_up(fd);
}

/* Ready at once with calls that have much to move, and behind them. */
static void who_talks_does_not_wait_for_bulk(void **state)
{
    int bulk[PAIRS - 1][2], talk[2];
    uint64_t before;

    (void)state;
    for (uint32_t i = 0; i < PAIRS - 1; i++) {
        join(bulk[i], 2 * i);
        stuff(bulk[i][0]);
    }
    join(talk, 2 * PAIRS - 2);
    for (int i = 0; i < PAIRS - 1; i++) {
        static uint8_t in[65536];

        while (recv(bulk[i][1], in, sizeof in, 0) > 0)
            ;
    }
    assert_int_equal(send(talk[0], "now", 3, MSG_NOSIGNAL), 3);
    usleep(10000); /* for the kernel to tell the switch of all of them */
    before = cn_switch_counts(sw).bytes_total;
    assert_err(cn_loop_turn(&loop, false), CN_OK);
    gets(talk[1], "now");
    assert_in_range(cn_switch_counts(sw).bytes_total - before, 1, 3 * limits.turn_size);
    assert_true(loop.more);
    cn_switch_cut(sw, 2 * PAIRS - 2);
    for (uint32_t i = 0; i < PAIRS - 1; i++)
        cn_switch_cut(sw, 2 * i);
    for (int i = 0; i < PAIRS - 1; i++) {
        close(bulk[i][0]);
        close(bulk[i][1]);
    }
    hang_up(talk);
}

static void a_rate_holds_whatever_is_sent_at_once(void **state)
{
    static uint8_t in[1 << 20];
    size_t got = 0;
    int fd[2];

    limits.stall_ms = 1000000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 100000);
    join(fd, 0);
    stuff(fd[0]);
    for (int ms = 0; ms < 10000; ms += 20) {
        ssize_t n;

        while ((n = recv(fd[1], in, sizeof in, 0)) > 0)
            got += (size_t)n;
        clock_now_ms += 20;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
    }
    assert_in_range(got, 900000, 1030000);
    hang_up(fd);
}

/* Octets that the switch moves in that time. */
static uint64_t moved_in(int time_ms)
{
    uint64_t before = cn_switch_counts(sw).bytes_total;

    for (int ms = 0; ms < time_ms; ms += 5) {
        clock_now_ms += 5;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
    }
    return cn_switch_counts(sw).bytes_total - before;
}

static void a_rate_is_one_for_all_calls_of_an_owner(void **state)
{
    int fd[2], other[2];

    limits.stall_ms = 1000000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 100000);
    join(fd, 0);
    join(other, 0);
    stuff(fd[0]);
    stuff(other[0]);
    assert_in_range(moved_in(2000), 180000, 210000);
    assert_int_equal(cn_switch_cut(sw, 0), 2);
    close(other[0]);
    close(other[1]);
    hang_up(fd);
}

static void calls_that_share_a_rate_take_turns(void **state)
{
    enum { CALLS = 5, GRANT = 2000 };
    int fd[CALLS][2];
    size_t got[CALLS] = { 0 };
    static uint8_t in[65536];

    limits.stall_ms = 1000000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 100000);
    for (int i = 0; i < CALLS; i++)
        join(fd[i], 0);
    for (int i = 0; i < CALLS; i++)
        stuff(fd[i][0]);
    (void)moved_in(4000);
    for (int i = 0; i < CALLS; i++)
        while (recv(fd[i][1], in, sizeof in, 0) > 0)
            ;
    (void)moved_in(4000);
    for (int i = 0; i < CALLS; i++) {
        ssize_t n;

        while ((n = recv(fd[i][1], in, sizeof in, 0)) > 0)
            got[i] += (size_t)n;
        assert_in_range(got[i], 4 * 100000 / CALLS - 2 * GRANT, 4 * 100000 / CALLS + 2 * GRANT);
    }
    assert_int_equal(cn_switch_cut(sw, 0), CALLS);
    for (int i = 0; i < CALLS; i++) {
        close(fd[i][0]);
        close(fd[i][1]);
    }
}

/* Each gets leave to send much, and uses little of it. */
static void a_word_in_each_of_many_calls_is_little(void **state)
{
    int fd[PAIRS][2];

    (void)state;
    cn_switch_rate_set(sw, 0, 1000);
    for (int i = 0; i < PAIRS; i++)
        join(fd[i], 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PAIRS; i++) {
            put(fd[i][0], "a word");
            gets(fd[i][1], "a word");
        }
    }
    assert_int_equal(cn_switch_cut(sw, 0), PAIRS);
    close_all(fd);
}

static void all_have_a_rate_together(void **state)
{
    int fd[2], other[2];

    limits.stall_ms = 1000000;
    limits.rate_all = 100000;
    with_limits(state);
    join(fd, 0);
    join(other, 2);
    stuff(fd[0]);
    stuff(other[0]);
    assert_in_range(moved_in(2000), 180000, 210000);
    limits.rate_all = 0; /* and without it all goes at once */
    cn_switch_limits_set(sw, &limits);
    assert_true(drain_now(fd[1]) + drain_now(other[1]) > 2000000);
    assert_int_equal(cn_switch_cut(sw, 0), 1);
    assert_int_equal(cn_switch_cut(sw, 2), 1);
    close(other[0]);
    close(other[1]);
    hang_up(fd);
}

/* Many wait long for what they were promised; nobody holds them to it. */
static void with_a_new_rate_for_all_nobody_waits_for_the_old(void **state)
{
    int fd[PAIRS][2];

    limits.stall_ms = 1000000;
    limits.rate_all = 100;
    with_limits(state);
    join_all(fd, 2);
    assert_true(moved_in(1000) < 200);
    limits.rate_all = 1000000;
    cn_switch_limits_set(sw, &limits);
    assert_in_range(moved_in(1000), 900000, 1300000);
    for (uint32_t i = 0; i < PAIRS; i++) {
        assert_int_equal(cn_switch_cut(sw, 2 * i), 1);
        close(fd[i][0]);
        close(fd[i][1]);
    }
}

static struct cn_switch *others[2];

static int after_both(void *context)
{
    bool more = cn_switch_turn(others[0]);

    (void)context;
    return cn_switch_turn(others[1]) || more;
}

/* Each worker hears of another rate in its own time. */
static void nor_for_what_other_switches_were_promised(void **state)
{
    struct cn_switch_counts counts_of[2] = { { 0 } };
    cn_bucket shared = 0;
    int fd[PAIRS][2];

    limits.stall_ms = 1000000;
    limits.rate_all = 100;
    with_limits(state);
    cn_switch_destroy(sw);
    for (int i = 0; i < 2; i++) {
        assert_err(
            cn_switch_create(&others[i], &loop, &limits, NULL, &counts_of[i], note_ended, NULL),
            CN_OK);
        cn_switch_share_rate(others[i], &shared);
    }
    loop.after = after_both;
    for (uint32_t i = 0; i < PAIRS; i++) {
        sw = others[i % 2];
        join(fd[i], 2 * i);
        stuff(fd[i][0]);
    }
    (void)moved_in(1000);
    assert_in_range(counts_of[0].bytes_total + counts_of[1].bytes_total, 1, 200);
    limits.rate_all = 1000000;
    sw = others[0];
    cn_switch_limits_set(sw, &limits);
    assert_in_range(moved_in(100), 90000, 120000); /* though the other holds promises of the old */
    cn_switch_limits_set(others[1], &limits);
    counts_of[0].bytes_total = counts_of[1].bytes_total = 0;
    (void)moved_in(1000);
    assert_in_range(counts_of[0].bytes_total + counts_of[1].bytes_total, 980000, 1100000);
    assert_in_range(counts_of[1].bytes_total, 400000, 600000);
    cn_switch_destroy(others[1]);
    for (uint32_t i = 0; i < PAIRS; i++) {
        if (i % 2 == 0)
            assert_int_equal(cn_switch_cut(sw, 2 * i), 1);
        close(fd[i][0]);
        close(fd[i][1]);
    }
    loop.after = after; /* what the end of the test destroys is others[0] */
}

static void under_a_new_rate_of_his_own_nobody_waits_for_the_old(void **state)
{
    int fd[PAIRS][2];

    limits.stall_ms = 1000000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 100);
    join_all(fd, 0);
    assert_true(moved_in(1000) < 200);
    cn_switch_rate_set(sw, 0, 1000000);
    assert_in_range(moved_in(1000), 700000, 1300000); /* one grant counts yet */
    assert_int_equal(cn_switch_cut(sw, 0), PAIRS);
    close_all(fd);
}

/* Nor does anybody wait for what those were promised who have gone. */
static void who_goes_leaves_no_debt(void **state)
{
    int fd[PAIRS][2];

    limits.stall_ms = 1000000;
    limits.rate_all = 1000;
    with_limits(state);
    cn_switch_rate_set(sw, 0, 1000);
    join_all(fd, 0);
    (void)moved_in(1000);
    assert_int_equal(cn_switch_cut(sw, 0), PAIRS);
    close_all(fd);
    for (uint32_t owner = 0; owner < 4; owner += 2) { /* his other calls, and those of others */
        join(fd[0], owner);
        assert_int_equal(send(fd[0][0], "a word", 6, MSG_NOSIGNAL), 6);
        turns();
        later(260);
        gets(fd[0][1], "a word");
        assert_int_equal(cn_switch_cut(sw, owner), 1);
        hang_up(fd[0]);
    }
}

/* Between turns nothing is done, nor looked for. */
static void who_has_to_wait_is_woken_just_when_it_may_go_on(void **state)
{
    unsigned turn_count = 0;
    uint64_t before;
    int fd[2];

    limits.stall_ms = 1000000;
    limits.pipes_max = 0; /* which would be looked at each second */
    with_limits(state);
    cn_switch_rate_set(sw, 0, 100000);
    join(fd, 0);
    stuff(fd[0]);
    before = cn_switch_counts(sw).bytes_total;
    while (clock_now_ms < 1000000 + 2000) {
        assert_true(loop.timer_count == 1 && loop.heap[1].due_ms > clock_now_ms);
        clock_now_ms = loop.heap[1].due_ms;
        assert_err(cn_loop_turn(&loop, false), CN_OK);
        drain_now(fd[1]);
        assert_true(cn_switch_counts(sw).bytes_total > before);
        before = cn_switch_counts(sw).bytes_total;
        turn_count++;
    }
    assert_in_range(turn_count, 90, 110);
    assert_int_equal(cn_switch_cut(sw, 0), 1);
    hang_up(fd);
}

static void there_are_only_so_many_pairs_and_the_caller_keeps_what_is_refused(void **state)
{
    int fd[PAIRS][2], one[2], other[2];

    (void)state;
    for (uint32_t i = 0; i < PAIRS; i++)
        join(fd[i], 0);
    connect_pair(one);
    connect_pair(other);
    assert_err(cn_switch_join(sw, (struct cn_switch_end[2]) { { one[1], 0 }, { other[1], 1 } }, 0),
               CN_E_LIMIT);
    assert_int_equal(close(one[1]), 0);
    assert_int_equal(close(other[1]), 0);
    close(one[0]);
    close(other[0]);
    close(fd[0][0]);
    close(fd[0][1]);
    turns();
    join(fd[0], 0);
    close_all(fd);
    turns();
    assert_int_equal(cn_switch_counts(sw).pairs, 0);
}

/* --- who is who ------------------------------------------------------------------------------ */

static void an_owner_is_cut_on_either_end_and_others_are_not(void **state)
{
    int first[2], second[2], third[2];

    (void)state;
    join(first, 0);  /* 0 and 1 */
    join(second, 1); /* 1 and 2 */
    join(third, 2);  /* 2 and 3 */
    assert_int_equal(cn_switch_cut(sw, 1), 2);
    assert_int_equal(ended_count, 2);
    assert_int_equal(ended_outcome, CN_SWITCH_CUT);
    is_reset(first[0]);
    is_reset(second[1]);
    put(third[0], "on");
    gets(third[1], "on");
    close(first[0]);
    close(first[1]);
    close(second[0]);
    close(second[1]);
    hang_up(third);
}

/* A pipe that still held something is never lent again. */
static void what_one_call_left_behind_never_enters_another(void **state)
{
    int fd[2], next[2];

    limits.pipes_max = 2;
    with_limits(state);
    for (int i = 0; i < 20; i++) {
        join(fd, 0);
        stuff(fd[0]);
        assert_int_equal(cn_switch_counts(sw).pipes, 1);
        assert_int_equal(cn_switch_cut(sw, 0), 1);
        assert_int_equal(cn_switch_counts(sw).pipes, 0);
        join(next, 2);
        put(next[0], "mine");
        gets(next[1], "mine");
        put(next[1], "ours");
        gets(next[0], "ours");
        silent(next[0]);
        silent(next[1]);
        close(fd[0]);
        close(fd[1]);
        hang_up(next);
        limits.pipes_max = 2;
        with_limits(state);
    }
}

static void an_idle_call_holds_no_pipe(void **state)
{
    int fd[PAIRS][2];

    limits.pipes_max = 1;
    with_limits(state);
    for (uint32_t i = 0; i < PAIRS; i++) {
        join(fd[i], 0);
        put(fd[i][0], "x");
        gets(fd[i][1], "x");
        put(fd[i][1], "y");
        gets(fd[i][0], "y");
        assert_int_equal(cn_switch_counts(sw).pipes, 1); /* the same for all, never more */
    }
    close_all(fd);
    turns();
}

static void bulk_does_not_hold_up_a_word(void **state)
{
    static uint8_t in[1 << 20];
    int bulk[2], word[2];

    (void)state;
    join(bulk, 0);
    join(word, 2);
    for (int i = 0; i < 50; i++) {
        struct pollfd there = { word[1], POLLIN, 0 };
        uint64_t before;

        while (send(bulk[0], in, sizeof in, MSG_NOSIGNAL) > 0)
            ;
        assert_int_equal(send(word[0], "word", 4, MSG_NOSIGNAL), 4);
        before = cn_switch_counts(sw).bytes_total;
        for (int turn = 0; turn < 100 && poll(&there, 1, 0) == 0; turn++)
            assert_err(cn_loop_turn(&loop, false), CN_OK);
        /* two turns of the bulk at most, since its descriptor may come first */
        assert_true(cn_switch_counts(sw).bytes_total - before <= 3 * limits.turn_size + 4);
        gets(word[1], "word");
        while (recv(bulk[1], in, sizeof in, 0) > 0)
            ;
    }
    close(word[0]);
    close(word[1]);
    turns();
    hang_up(bulk);
}

static void at_rest_nothing_happens(void **state)
{
    struct pollfd epoll;
    int fd[2];

    (void)state;
    join(fd, 0);
    put(fd[0], "x");
    gets(fd[1], "x");
    epoll = (struct pollfd) { loop.epoll, POLLIN, 0 };
    assert_int_equal(poll(&epoll, 1, 20), 0);
    assert_false(loop.more);
    assert_int_equal(counts.pairs, 1);
    later(1000); /* the pipe was needed not long ago */
    assert_int_equal(cn_switch_counts(sw).pipes, 1);
    later(1000);
    assert_int_equal(cn_switch_counts(sw).pipes, 0);
    assert_int_equal(loop.timer_count, 0); /* no idle limit, nobody stalls */
    hang_up(fd);
}

static void destroying_the_switch_ends_all_calls(void **state)
{
    int fd[2], other[2];

    (void)state;
    join(fd, 0);
    join(other, 2);
    stuff(fd[0]);
    cn_switch_destroy(sw);
    sw = NULL;
    assert_int_equal(ended_count, 2);
    assert_int_equal(ended_outcome, CN_SWITCH_CUT);
    is_reset(other[0]);
    close(fd[0]);
    close(fd[1]);
    close(other[0]);
    close(other[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(all_arrives_in_order_through_pipes),
        TEST(all_arrives_in_order_without_a_pipe),
        TEST(all_arrives_in_order_with_one_pipe_for_both_ways),
        TEST(all_arrives_in_order_at_a_limited_rate),
        TEST(half_close_is_passed_on_and_the_other_way_stays_open),
        TEST(an_end_comes_behind_all_that_was_sent_before),
        TEST(what_was_said_before_the_end_arrives_after_it),
        TEST(a_reset_is_a_reset_at_the_other_end),
        TEST(a_reset_behind_an_end_is_noticed_at_once),
        TEST(a_reset_by_who_was_still_speaking_is_no_end),
        TEST(a_reset_that_writing_finds_is_no_end),
        TEST(who_goes_while_the_other_speaks_ends_the_call),
        TEST(who_takes_nothing_is_cut_at_the_stall_limit),
        TEST(for_who_takes_nothing_little_is_queued),
        TEST(for_who_takes_much_at_once_more_is_queued),
        TEST(what_cannot_be_passed_on_yet_wakes_nobody),
        TEST(who_stalls_and_its_partner_are_reset),
        TEST(who_takes_a_little_now_and_then_is_not_cut),
        TEST(a_stall_under_a_limited_rate_is_found_too),
        TEST(silence_ends_a_call_at_the_idle_limit_and_an_octet_either_way_prolongs_it),
        TEST(new_limits_hold_for_calls_that_are_there),
        TEST(what_is_asked_of_tcp),
        TEST(a_new_stall_limit_is_the_kernels_too),
        TEST(who_talks_does_not_wait_for_bulk),
        TEST(a_rate_holds_whatever_is_sent_at_once),
        TEST(a_rate_is_one_for_all_calls_of_an_owner),
        TEST(calls_that_share_a_rate_take_turns),
        TEST(a_word_in_each_of_many_calls_is_little),
        TEST(all_have_a_rate_together),
        TEST(with_a_new_rate_for_all_nobody_waits_for_the_old),
        TEST(nor_for_what_other_switches_were_promised),
        TEST(under_a_new_rate_of_his_own_nobody_waits_for_the_old),
        TEST(who_goes_leaves_no_debt),
        TEST(who_has_to_wait_is_woken_just_when_it_may_go_on),
        TEST(there_are_only_so_many_pairs_and_the_caller_keeps_what_is_refused),
        TEST(an_owner_is_cut_on_either_end_and_others_are_not),
        TEST(what_one_call_left_behind_never_enters_another),
        TEST(an_idle_call_holds_no_pipe),
        TEST(bulk_does_not_hold_up_a_word),
        TEST(at_rest_nothing_happens),
        TEST(destroying_the_switch_ends_all_calls),
    };

    signal(SIGPIPE, SIG_IGN); /* as the server does */
    return cmocka_run_group_tests_name("switch", tests, crypto_setup, crypto_teardown);
}
