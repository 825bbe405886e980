/* A switch worker between gates that come and go, and the gate's side of workers that lie. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failing_channels.h"
#include "worker.h"
#include "workers.h"

enum { PAIRS = CN_WORKERS_IN_FLIGHT_MAX / 2 + 8, OWNERS = 2 * PAIRS };

static struct cn_loop loop;
static struct cn_page_map page;
static struct cn_worker *worker;
static uint64_t clock_now_ms;
static const struct cn_switch_limits limits = {
    .pairs_max = PAIRS, .pipes_max = 2, .turn_size = 65536, .stall_ms = 5000, .owner_max = OWNERS
};

static uint64_t false_clock(void)
{
    return clock_now_ms;
}

static int after(void *context)
{
    (void)context;
    return worker && cn_worker_turn(worker);
}

static void turns(void)
{
    for (int i = 0; i < 8 || loop.more; i++)
        assert_err(cn_loop_turn(&loop, false), CN_OK);
}

static int begin(void **state)
{
    int fd;

    (void)state;
    clock_now_ms = 1000000;
    failing = 0;
    if (cn_page_make(&fd, OWNERS) != CN_OK || cn_page_map(&page, fd, true) != CN_OK ||
        cn_loop_init(&loop, PAIRS + 1) != CN_OK)
        return -1;
    close(fd);
    loop.clock_ms = false_clock;
    loop.now_ms = clock_now_ms;
    loop.after = after;
    return cn_worker_create(&worker, &loop, &page, &limits) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cn_worker_destroy(worker);
    worker = NULL;
    cn_loop_wipe(&loop);
    cn_page_unmap(&page);
    return 0;
}

/* --- the worker ------------------------------------------------------------------------------ */

/* The gate's end of a new channel. */
static int gate_comes(void)
{
    int ends[2];

    assert_err(cn_channel_make(ends), CN_OK);
    assert_err(cn_worker_gate(worker, ends[0]), CN_OK);
    turns();
    return ends[1];
}

static struct cn_message hears(int gate, enum cn_message_type type)
{
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    turns();
    assert_err(cn_channel_receive(gate, &m, fds, &count), CN_OK);
    assert_int_equal(m.type, type);
    assert_int_equal(count, 0);
    return m;
}

static void hears_nothing(int gate)
{
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    turns();
    assert_err(cn_channel_receive(gate, &m, fds, &count), CN_E_MORE);
}

/* Two lines of these owners; their far ends. */
static void says_join(int gate, int ends[2], uint64_t one, uint64_t other, uint32_t ticket)
{
    struct cn_message m = { .type = CN_MESSAGE_JOIN, .ticket = ticket };
    int a[2], b[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    m.party[0] = (struct cn_party) { .who = one, .serial = one + 1, .limits_class = 3 };
    m.party[1] = (struct cn_party) { .who = other, .serial = other + 1 };
    assert_err(cn_channel_send(gate, &m, (int[2]) { a[1], b[1] }, 2), CN_OK);
    close(a[1]);
    close(b[1]);
    ends[0] = a[0];
    ends[1] = b[0];
    turns();
}

static void are_joined(const int ends[2])
{
    char octet = 0;

    assert_int_equal(send(ends[0], "x", 1, 0), 1);
    turns();
    assert_int_equal(recv(ends[1], &octet, 1, 0), 1);
    assert_int_equal(octet, 'x');
}

static bool has_ended(int fd)
{
    char octet;

    return recv(fd, &octet, 1, 0) == 0 || errno != EAGAIN;
}

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void says_cut(int gate, uint64_t who)
{
    const struct cn_message m = { .type = CN_MESSAGE_CUT, .party = { { .who = who } } };

    assert_err(cn_channel_send(gate, &m, NULL, 0), CN_OK);
}

static void a_pair_is_joined_and_its_end_told(void **state)
{
    int gate = gate_comes(), ends[2];
    struct cn_message joined, ended;

    (void)state;
    (void)hears(gate, CN_MESSAGE_TOLD);
    says_join(gate, ends, 100, 200, 77);
    joined = hears(gate, CN_MESSAGE_JOINED);
    assert_int_equal(joined.ticket, 77);
    are_joined(ends);
    hears_nothing(gate);
    close_both(ends);
    ended = hears(gate, CN_MESSAGE_ENDED);
    assert_int_equal(ended.pair, joined.pair);
    assert_int_equal(ended.outcome, CN_SWITCH_DONE);
    assert_int_equal(ended.bytes[0], 1);
    assert_int_equal(ended.bytes[1], 0);
    assert_true(cn_worker_is_idle(worker));
    close(gate);
}

static void a_new_gate_hears_of_all_pairs_and_may_cut_them(void **state)
{
    int old = gate_comes(), new, one[2], other[2];
    struct cn_message m;

    (void)state;
    (void)hears(old, CN_MESSAGE_TOLD);
    says_join(old, one, 100, 200, 1);
    (void)hears(old, CN_MESSAGE_JOINED);
    close(old); /* it was killed */
    turns();
    are_joined(one);
    new = gate_comes();
    m = hears(new, CN_MESSAGE_PAIR);
    assert_int_equal(m.party[0].who, 100);
    assert_int_equal(m.party[0].serial, 101);
    assert_int_equal(m.party[0].limits_class, 3);
    assert_int_equal(m.party[1].who, 200);
    (void)hears(new, CN_MESSAGE_TOLD);
    says_join(new, other, 100, 300, 2);
    (void)hears(new, CN_MESSAGE_JOINED);
    says_cut(new, 100);
    turns();
    assert_true(has_ended(one[0]) && has_ended(one[1]) && has_ended(other[0]));
    for (int i = 0; i < 2; i++)
        assert_int_equal(hears(new, CN_MESSAGE_ENDED).outcome, CN_SWITCH_CUT);
    assert_int_equal(hears(new, CN_MESSAGE_CUT).count, 2);
    close_both(one);
    close_both(other);
    close(new);
}

/* It goes on handing over what it had begun; the other hears of that. */
static void of_two_gates_the_last_hears_of_the_pairs_of_both(void **state)
{
    int old = gate_comes(), new = gate_comes(), ends[2];
    struct cn_message joined;

    (void)state;
    (void)hears(old, CN_MESSAGE_TOLD);
    (void)hears(new, CN_MESSAGE_TOLD);
    says_join(old, ends, 100, 200, 5);
    joined = hears(old, CN_MESSAGE_JOINED);
    assert_int_equal(hears(new, CN_MESSAGE_PAIR).pair, joined.pair);
    assert_false(cn_worker_is_idle(worker));
    close_both(ends);
    assert_int_equal(hears(new, CN_MESSAGE_ENDED).pair, joined.pair);
    hears_nothing(old);
    assert_false(cn_worker_is_idle(worker)); /* it may bring more */
    close(old);
    turns();
    assert_true(cn_worker_is_idle(worker));
    close(new);
}

/* Whoever is revoked is cut by the newest, however many have not left yet. */
static void the_newest_of_many_gates_hears_of_all_pairs(void **state)
{
    enum { MANY = 3 * CN_CHANNEL_GATES_MAX };
    int gates[MANY], ends[2], fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m;
    size_t count;

    (void)state;
    gates[0] = gate_comes();
    (void)hears(gates[0], CN_MESSAGE_TOLD);
    says_join(gates[0], ends, 100, 200, 1);
    (void)hears(gates[0], CN_MESSAGE_JOINED);
    for (int i = 1; i < MANY; i++) {
        gates[i] = gate_comes();
        assert_int_equal(hears(gates[i], CN_MESSAGE_PAIR).party[1].who, 200);
        (void)hears(gates[i], CN_MESSAGE_TOLD);
    }
    for (int i = MANY - CN_CHANNEL_GATES_MAX; i < MANY; i++)
        hears_nothing(gates[i]);
    assert_err(cn_channel_receive(gates[MANY - CN_CHANNEL_GATES_MAX - 1], &m, fds, &count),
               CN_E_HUNG_UP);
    says_cut(gates[MANY - 1], 100);
    (void)hears(gates[MANY - 1], CN_MESSAGE_ENDED);
    assert_int_equal(hears(gates[MANY - 1], CN_MESSAGE_CUT).count, 1);
    assert_true(has_ended(ends[0]) && has_ended(ends[1]));
    close_both(ends);
    for (int i = 0; i < MANY; i++)
        close(gates[i]);
}

static void without_a_gate_nothing_piles_up(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        int gate = gate_comes(), ends[PAIRS][2];

        (void)hears(gate, CN_MESSAGE_TOLD);
        for (uint32_t i = 0; i < PAIRS; i++) {
            says_join(gate, ends[i], 2 * i, 2 * i + 1, i);
            (void)hears(gate, CN_MESSAGE_JOINED);
        }
        close(gate);
        turns();
        for (int i = 0; i < PAIRS; i++)
            close_both(ends[i]);
        turns();
        assert_true(cn_worker_is_idle(worker));
    }
    for (int i = 0; i < OWNERS; i++)
        assert_int_equal(page.page->owners[i].lines, 0);
}

/* Its channel is full: what it missed comes when it listens again, and nothing is lost. */
static void a_gate_that_does_not_listen_is_told_later(void **state)
{
    int gate = gate_comes(), ends[2];
    uint32_t joined = 0, ended = 0, fds_count = 0;
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    (void)state;
    (void)hears(gate, CN_MESSAGE_TOLD);
    for (uint32_t i = 0; i < 2000; i++) {
        says_join(gate, ends, 1, 2, i);
        close_both(ends);
        turns();
        if (page.page->calls.pairs_total == fds_count)
            break; /* it waits for us */
        fds_count = (uint32_t)page.page->calls.pairs_total;
    }
    assert_in_range(fds_count, 20, 1999);
    for (int quiet = 0; quiet < 3;) {
        turns();
        if (cn_channel_receive(gate, &m, fds, &count) != CN_OK) {
            quiet++;
            continue;
        }
        joined += m.type == CN_MESSAGE_JOINED;
        ended += m.type == CN_MESSAGE_ENDED;
        quiet = 0;
    }
    assert_int_equal(joined, page.page->calls.pairs_total);
    assert_int_equal(ended, joined);
    assert_true(cn_worker_is_idle(worker));
    close(gate);
}

static void beyond_its_room_a_pair_is_refused(void **state)
{
    int gate = gate_comes(), ends[PAIRS + 1][2];

    (void)state;
    (void)hears(gate, CN_MESSAGE_TOLD);
    for (uint32_t i = 0; i < PAIRS; i++) {
        says_join(gate, ends[i], i, i, i);
        (void)hears(gate, CN_MESSAGE_JOINED);
    }
    says_join(gate, ends[PAIRS], 1, 2, 99);
    assert_int_equal(hears(gate, CN_MESSAGE_REFUSED).ticket, 99);
    assert_true(has_ended(ends[PAIRS][0]) && has_ended(ends[PAIRS][1]));
    for (int i = 0; i <= PAIRS; i++)
        close_both(ends[i]);
    turns();
    close(gate);
}

static void a_line_that_would_block_is_refused(void **state)
{
    int gate = gate_comes(), blocking[2], calm[2];

    (void)state;
    (void)hears(gate, CN_MESSAGE_TOLD);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, blocking), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, calm), 0);
    for (uint32_t i = 0; i < 2; i++) {
        const int fds[2] = { i == 0 ? blocking[1] : calm[1], i == 0 ? calm[1] : blocking[1] };
        const struct cn_message m = { .type = CN_MESSAGE_JOIN, .ticket = i };

        assert_err(cn_channel_send(gate, &m, fds, 2), CN_OK);
        assert_int_equal(hears(gate, CN_MESSAGE_REFUSED).ticket, i);
    }
    assert_true(cn_worker_is_idle(worker));
    close_both(blocking);
    close_both(calm);
    close(gate);
}

static void a_gate_that_says_what_no_gate_says_is_hung_up_on(void **state)
{
    (void)state;
    for (int type = 1; type < CN_MESSAGE_COUNT; type++) {
        const struct cn_message m = { .type = (uint16_t)type };
        int gate = gate_comes(), fds[CN_CHANNEL_FDS_MAX];
        struct cn_message got;
        size_t count;

        (void)hears(gate, CN_MESSAGE_TOLD);
        assert_err(cn_channel_send(gate, &m, NULL, 0), CN_OK);
        turns();
        if (type == CN_MESSAGE_JOIN)
            (void)hears(gate, CN_MESSAGE_REFUSED); /* it had no sockets */
        else if (type == CN_MESSAGE_CUT)
            (void)hears(gate, CN_MESSAGE_CUT);
        else
            assert_err(cn_channel_receive(gate, &got, fds, &count), CN_E_HUNG_UP);
        close(gate);
        turns();
    }
    assert_true(cn_worker_is_idle(worker));
}

static void a_gate_that_cannot_be_told_for_lack_of_memory_is_told_later(void **state)
{
    int gate = gate_comes(), ends[2];

    (void)state;
    (void)hears(gate, CN_MESSAGE_TOLD);
    says_join(gate, ends, 1, 2, 7);
    assert_int_equal(hears(gate, CN_MESSAGE_JOINED).ticket, 7);
    failing = ENOMEM;
    close_both(ends);
    turns();
    assert_int_equal(page.page->calls.pairs, 0);
    failing = 0;
    (void)hears(gate, CN_MESSAGE_ENDED);
    close(gate);
}

/* Which lets go of its calls: nobody could have them cut. */
static void with_a_gate_that_cannot_be_talked_to_the_process_ends(void **state)
{
    const struct cn_message m = { .type = CN_MESSAGE_CUT };

    (void)state;
    for (int hearing = 0; hearing < 2; hearing++) {
        int gate = gate_comes(), status = 0;
        pid_t child;

        (void)hears(gate, CN_MESSAGE_TOLD);
        if (hearing)
            assert_err(cn_channel_send(gate, &m, NULL, 0), CN_OK);
        child = fork();
        if (child == 0) {
            close(STDERR_FILENO);
            failing = EPERM;
            if (!hearing) /* it names its pairs, and that those are all */
                assert_err(cn_worker_gate(worker, dup(gate)), CN_OK);
            turns();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        close(gate);
        turns();
    }
}

/* --- the gate's side ------------------------------------------------------------------------- */

static struct cn_owner owner_memory[OWNERS];
static struct cn_owners owners;
static struct cn_workers *workers;
static unsigned ended_count, untaken_count, cut_count, cut_told;
static uint32_t faulty; /* the worker that was called so last, by its end of the channel */

static void note_ended(void *context, const uint32_t owner[2], const uint64_t bytes[2],
                       enum cn_switch_outcome outcome)
{
    (void)context;
    (void)owner;
    (void)bytes;
    (void)outcome;
    ended_count++;
}

static void note_untaken(void *context)
{
    (void)context;
    untaken_count++;
}

/* Whoever appears is blocked. */
static void note_appeared(void *context, const struct cn_party party[2])
{
    (void)context;
    cn_workers_cut(workers, party[0].who);
}

static void note_cut(void *context, uint32_t count)
{
    (void)context;
    cut_count = count;
    cut_told++;
}

static void note_faulty(uint32_t number)
{
    faulty = number;
}

/* A gate's side with nobody behind it but the test. */
static int begin_gate(void **state)
{
    const struct cn_workers_setup setup = { .loop = &loop,
                                            .owners = &owners,
                                            .pairs_max = PAIRS,
                                            .appeared = note_appeared,
                                            .ended = note_ended,
                                            .untaken = note_untaken,
                                            .was_cut = note_cut,
                                            .faulty = note_faulty };

    memset(owner_memory, 0, sizeof owner_memory);
    ended_count = untaken_count = cut_count = cut_told = faulty = 0;
    if (begin(state) != 0)
        return -1;
    cn_worker_destroy(worker);
    worker = NULL;
    return cn_owners_init(&owners, owner_memory, OWNERS) == CN_OK &&
                   cn_workers_create(&workers, &setup) == CN_OK
               ? 0
               : -1;
}

static int end_gate(void **state)
{
    cn_workers_destroy(workers);
    cn_owners_wipe(&owners);
    return end(state);
}

/* The worker's end. */
static int worker_comes_silently(void)
{
    int ends[2];

    assert_err(cn_channel_make(ends), CN_OK);
    assert_err(cn_workers_add(workers, ends[0], (uint32_t)ends[1], false), CN_OK);
    return ends[1];
}

/* One that has no pairs to name. */
static int worker_comes(bool draining)
{
    const struct cn_message told = { .type = CN_MESSAGE_TOLD };
    int ends[2];

    assert_err(cn_channel_make(ends), CN_OK);
    assert_err(cn_workers_add(workers, ends[0], (uint32_t)ends[1], draining), CN_OK);
    assert_err(cn_channel_send(ends[1], &told, NULL, 0), CN_OK);
    turns();
    return ends[1];
}

/* Two lines that are handed over; their far ends. */
static void hand_over(int ends[2], uint64_t one, uint64_t other)
{
    const uint32_t owner[2] = { cn_owners_take(&owners, one, one),
                                cn_owners_take(&owners, other, other) };
    int a[2], b[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    assert_true(cn_workers_join(workers, (int[2]) { a[1], b[1] }, owner));
    ends[0] = a[0];
    ends[1] = b[0];
}

/* The next JOIN that came to this worker, whose sockets it closes; false: none. */
static bool takes_join(int end, struct cn_message *m)
{
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    turns();
    if (cn_channel_receive(end, m, fds, &count) != CN_OK)
        return false;
    assert_int_equal(m->type, CN_MESSAGE_JOIN);
    assert_int_equal(count, 2);
    cn_channel_close_fds(fds, count);
    return true;
}

static void says(int end, const struct cn_message *m)
{
    assert_err(cn_channel_send(end, m, NULL, 0), CN_OK);
    turns();
}

static bool is_hung_up(int end)
{
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    turns();
    return cn_channel_receive(end, &m, fds, &count) == CN_E_HUNG_UP;
}

static void nobody_is_counted(void)
{
    assert_int_equal(cn_workers_pairs(workers), 0);
    assert_int_equal(cn_workers_handing(workers), 0);
    assert_int_equal(loop.timer_count, 0);
    for (int i = 0; i < OWNERS; i++) {
        assert_int_equal(owner_memory[i].lines, 0);
        assert_int_equal(owner_memory[i].joined, 0);
    }
}

static void a_pair_waits_for_a_worker(void **state)
{
    int ends[2], end;
    struct cn_message m;

    (void)state;
    hand_over(ends, 1, 2);
    assert_int_equal(cn_workers_handing(workers), 1);
    end = worker_comes(true);
    assert_false(takes_join(end, &m));
    close(end);
    end = worker_comes(false);
    assert_true(takes_join(end, &m));
    assert_int_equal(m.party[0].who, 1);
    says(end, &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket, .pair = 3 });
    assert_int_equal(cn_workers_handing(workers), 0);
    assert_int_equal(cn_workers_pairs(workers), 1);
    assert_true(has_ended(ends[0])); /* no copy of it is left */
    says(end, &(struct cn_message) { .type = CN_MESSAGE_ENDED, .pair = 3 });
    assert_int_equal(ended_count, 1);
    nobody_is_counted();
    close_both(ends);
    close(end);
}

static void the_pairs_of_a_worker_that_goes_have_ended(void **state)
{
    int ends[3][2], end = worker_comes(false), other = worker_comes(false);
    struct cn_message m;

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        hand_over(ends[i], 1, 10 + i);
    assert_true(takes_join(end, &m));
    says(end, &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket, .pair = 0 });
    assert_true(takes_join(other, &m));
    close(end);
    turns();
    assert_int_equal(ended_count, 2); /* of the second it had not said anything yet */
    assert_int_equal(untaken_count, 1);
    assert_int_equal(faulty, 0); /* it has ended, and is to be replaced anyway */
    assert_int_equal(cn_workers_pairs(workers), 1);
    close(other);
    turns();
    nobody_is_counted();
    for (int i = 0; i < 3; i++)
        close_both(ends[i]);
}

static void what_a_worker_cannot_know_ends_it(void **state)
{
    static const struct cn_message lies[] = {
        { .type = CN_MESSAGE_JOINED, .ticket = 1 },
        { .type = CN_MESSAGE_JOINED, .ticket = UINT32_MAX },
        { .type = CN_MESSAGE_JOINED, .ticket = 0, .pair = PAIRS },
        { .type = CN_MESSAGE_JOINED, .ticket = 0, .pair = UINT32_MAX },
        { .type = CN_MESSAGE_REFUSED, .ticket = 1 },
        { .type = CN_MESSAGE_PAIR, .pair = PAIRS },
        { .type = CN_MESSAGE_ENDED, .outcome = CN_SWITCH_OUTCOME_COUNT },
        { .type = CN_MESSAGE_CUT, .count = 1 },
        { .type = CN_MESSAGE_TOLD },
        { .type = CN_MESSAGE_JOIN },
        { .type = CN_MESSAGE_START },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++) {
        int end = worker_comes(false), ends[2];
        struct cn_message m;

        hand_over(ends, 1, 2);
        assert_true(takes_join(end, &m));
        assert_int_equal(m.ticket, 0);
        says(end, &lies[i]);
        assert_true(is_hung_up(end));
        assert_int_equal(faulty, end);
        nobody_is_counted();
        close_both(ends);
        close(end);
    }
}

static bool is_said_by_workers(int type)
{
    return type == CN_MESSAGE_JOINED || type == CN_MESSAGE_REFUSED || type == CN_MESSAGE_CUT ||
           type == CN_MESSAGE_PAIR || type == CN_MESSAGE_TOLD || type == CN_MESSAGE_ENDED;
}

static void what_no_worker_says_ends_it(void **state)
{
    (void)state;
    for (int type = 1; type < CN_MESSAGE_COUNT; type++) {
        const struct cn_message m = { .type = (uint16_t)type };
        int end;

        if (is_said_by_workers(type))
            continue;
        end = worker_comes(false);
        says(end, &m);
        assert_true(is_hung_up(end));
        assert_int_equal(faulty, end);
        close(end);
    }
}

/* Twice the same pair, as JOINED or PAIR. */
static void a_pair_that_is_there_already_is_a_lie(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct cn_message pair = { .type = CN_MESSAGE_PAIR,
                                         .pair = 5,
                                         .party = { { .who = 8 }, { .who = 9 } } };
        int end = worker_comes(false), ends[2];
        struct cn_message m;

        says(end, &pair);
        assert_int_equal(cn_workers_pairs(workers), 1);
        assert_int_equal(hears(end, CN_MESSAGE_CUT).party[0].who, 8);
        says(end, &(struct cn_message) { .type = CN_MESSAGE_CUT });
        hand_over(ends, 1, 2);
        assert_true(takes_join(end, &m));
        m = (struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket, .pair = 5 };
        says(end, i == 0 ? &pair : &m);
        assert_true(is_hung_up(end));
        nobody_is_counted();
        close_both(ends);
        close(end);
    }
}

/* Its calls go on meanwhile, and those to be cut are cut. */
static void a_worker_that_cannot_be_told_for_lack_of_memory_is_told_later(void **state)
{
    int ends[2], end = worker_comes(false);
    struct cn_message m;

    (void)state;
    failing = ENOMEM;
    hand_over(ends, 1, 2);
    cn_workers_cut(workers, 3);
    for (int i = 0; i < 10; i++) {
        assert_err(cn_loop_turn(&loop, false), CN_OK);
        assert_int_equal(faulty, 0);
        assert_int_equal(ended_count, 0);
    }
    failing = 0;
    assert_int_equal(hears(end, CN_MESSAGE_CUT).party[0].who, 3);
    assert_true(takes_join(end, &m));
    says(end, &(struct cn_message) { .type = CN_MESSAGE_CUT });
    assert_true(cn_workers_has_cut(workers));
    close_both(ends);
    close(end);
}

/* To say what, and to hear. */
static void a_worker_that_cannot_be_talked_to_is_to_be_ended(void **state)
{
    (void)state;
    for (int hearing = 0; hearing < 2; hearing++) {
        int ends[2], end = worker_comes(false);
        struct cn_message m;

        faulty = 0;
        hand_over(ends, 1, 2);
        assert_true(takes_join(end, &m));
        m = (struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket, .pair = 3 };
        says(end, &m);
        assert_int_equal(cn_workers_pairs(workers), 1);
        m = (struct cn_message) { .type = CN_MESSAGE_ENDED, .pair = 3 };
        if (hearing)
            assert_err(cn_channel_send(end, &m, NULL, 0), CN_OK);
        failing = EPERM;
        if (!hearing)
            cn_workers_cut(workers, 1);
        turns();
        failing = 0;
        assert_int_equal(faulty, end);
        assert_true(is_hung_up(end));
        assert_true(cn_workers_has_cut(workers));
        nobody_is_counted();
        close_both(ends);
        close(end);
    }
}

static void a_cut_is_told_when_all_workers_have_done_it(void **state)
{
    int one = worker_comes(false), other = worker_comes(true), ends[2];
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    (void)state;
    hand_over(ends, 1, 2);
    assert_true(takes_join(one, &m));
    cn_workers_cut(workers, 1);
    assert_false(cn_workers_has_cut(workers));
    turns();
    assert_err(cn_channel_receive(one, &m, fds, &count), CN_OK);
    assert_int_equal(m.type, CN_MESSAGE_CUT);
    assert_int_equal(m.party[0].who, 1);
    says(one, &(struct cn_message) { .type = CN_MESSAGE_CUT, .count = 3 });
    assert_int_equal(cut_told, 0);
    close(other); /* its calls have gone with it */
    turns();
    assert_int_equal(cut_told, 1);
    assert_int_equal(cut_count, 3);
    assert_true(cn_workers_has_cut(workers));
    close_both(ends);
    close(one);
}

/* Whoever is blocked may still appear. */
static void a_cut_is_not_done_until_all_pairs_have_been_named(void **state)
{
    const struct cn_message told = { .type = CN_MESSAGE_TOLD };
    int one = worker_comes_silently(), other = worker_comes_silently(), third;

    (void)state;
    assert_false(cn_workers_has_cut(workers));
    says(one, &told);
    assert_false(cn_workers_has_cut(workers));
    says(other, &(struct cn_message) { .type = CN_MESSAGE_PAIR, .party = { { .who = 8 } } });
    says(other, &told);
    assert_false(cn_workers_has_cut(workers));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hears(i ? other : one, CN_MESSAGE_CUT).party[0].who, 8);
        assert_false(cn_workers_has_cut(workers));
        says(i ? other : one, &(struct cn_message) { .type = CN_MESSAGE_CUT, .count = 1 });
    }
    assert_true(cn_workers_has_cut(workers));
    third = worker_comes_silently();
    assert_false(cn_workers_has_cut(workers));
    close(third); /* its pairs have gone with it */
    turns();
    assert_true(cn_workers_has_cut(workers));
    third = worker_comes_silently();
    cn_workers_leave(workers); /* it tells another gate */
    assert_true(cn_workers_has_cut(workers));
    close(one);
    close(other);
    close(third);
}

/* Time goes on as it does for who is awake. */
static void time_passes(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 250) {
        clock_now_ms += 250;
        turns();
    }
}

static void a_worker_that_takes_no_pair_is_left_in_time(void **state)
{
    int end = worker_comes(false), ends[2];
    struct cn_message m;

    (void)state;
    hand_over(ends, 1, 2);
    assert_true(takes_join(end, &m));
    time_passes(CN_CHANNEL_ANSWER_MS / 2);
    assert_int_equal(faulty, 0);
    says(end, &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket });
    time_passes(3 * CN_CHANNEL_ANSWER_MS); /* it owes nothing */
    assert_int_equal(faulty, 0);
    hand_over(ends, 1, 2);
    time_passes(CN_CHANNEL_ANSWER_MS - 250);
    assert_int_equal(faulty, 0);
    time_passes(CN_CHANNEL_ANSWER_MS / 2);
    assert_int_equal(faulty, end);
    assert_true(takes_join(end, &m));
    assert_true(is_hung_up(end));
    assert_int_equal(ended_count, 2);
    nobody_is_counted();
    close_both(ends);
    close(end);
}

static void a_pair_that_no_worker_is_there_to_take_ends_in_time(void **state)
{
    int ends[2], end;
    struct cn_message m;

    (void)state;
    hand_over(ends, 1, 2);
    time_passes(2 * CN_CHANNEL_ANSWER_MS);
    assert_int_equal(ended_count, 0);
    end = worker_comes(false);
    assert_true(takes_join(end, &m));
    close(end);
    close_both(ends);
    turns();
    assert_int_equal(ended_count, 1);
    assert_int_equal(untaken_count, 1);
    hand_over(ends, 1, 2);
    time_passes(3 * CN_CHANNEL_ANSWER_MS);
    assert_int_equal(ended_count, 2);
    assert_int_equal(untaken_count, 2);
    assert_true(has_ended(ends[0]) && has_ended(ends[1]));
    nobody_is_counted();
    close_both(ends);
}

/* One that answers all else, too. */
/* Two ends of a connection. */
static void connection(int ends[2])
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (const struct sockaddr *)&here, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&here, &size), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (const struct sockaddr *)&here, size), 0);
    ends[1] = accept(listener, NULL, NULL);
    assert_true(ends[1] >= 0);
    close(listener);
}

/* Nobody said an end. */
static void a_pair_that_nobody_took_is_reset(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        const uint32_t owner[2] = { cn_owners_take(&owners, 1, 1), cn_owners_take(&owners, 2, 2) };
        int one[2], other[2];
        char octet;

        connection(one);
        connection(other);
        assert_true(cn_workers_join(workers, (int[2]) { one[1], other[1] }, owner));
        if (cut)
            cn_workers_cut(workers, 1);
        else
            time_passes(3 * CN_CHANNEL_ANSWER_MS);
        assert_int_equal(recv(one[0], &octet, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_int_equal(recv(other[0], &octet, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        close(one[0]);
        close(other[0]);
        turns();
    }
}

static void a_worker_that_cuts_nobody_is_left_in_time(void **state)
{
    int one = worker_comes(false), other = worker_comes(true), ends[16][2];
    struct cn_message m;

    (void)state;
    cn_workers_cut(workers, 7);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hears(i == 0 ? one : other, CN_MESSAGE_CUT).party[0].who, 7);
    says(one, &(struct cn_message) { .type = CN_MESSAGE_CUT, .count = 2 });
    for (uint32_t i = 0; i < 2; i++) {
        hand_over(ends[i], 1, 2);
        assert_true(takes_join(one, &m));
        says(one,
             &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket, .pair = i });
        time_passes(CN_CHANNEL_ANSWER_MS / 2 - 250);
        assert_int_equal(cut_told, 0);
    }
    time_passes(CN_CHANNEL_ANSWER_MS / 2);
    assert_int_equal(faulty, other);
    assert_int_equal(cut_told, 1);
    assert_int_equal(cut_count, 2);
    assert_int_equal(cn_workers_pairs(workers), 2); /* those of the other go on */
    assert_true(is_hung_up(other));
    for (int i = 0; i < 2; i++)
        close_both(ends[i]);
    close(one);
    close(other);
}

/* All of them stood still, and so did we: that is nobody's fault. */
static void a_worker_that_does_not_name_its_pairs_is_left_in_time(void **state)
{
    int end = worker_comes_silently();

    (void)state;
    time_passes(CN_CHANNEL_ANSWER_MS - 250);
    says(end, &(struct cn_message) { .type = CN_MESSAGE_PAIR, .party = { { .who = 8 } } });
    (void)hears(end, CN_MESSAGE_CUT);
    says(end, &(struct cn_message) { .type = CN_MESSAGE_CUT });
    time_passes(CN_CHANNEL_ANSWER_MS - 250);
    assert_int_equal(faulty, 0);
    time_passes(CN_CHANNEL_ANSWER_MS / 2);
    assert_int_equal(faulty, end);
    nobody_is_counted();
    close(end);
}

static void a_leap_of_the_clock_is_no_silence(void **state)
{
    int end = worker_comes(false), ends[2];
    struct cn_message m;

    (void)state;
    hand_over(ends, 1, 2);
    assert_true(takes_join(end, &m));
    clock_now_ms += 100 * CN_CHANNEL_ANSWER_MS;
    turns();
    assert_int_equal(faulty, 0);
    says(end, &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket });
    time_passes(2 * CN_CHANNEL_ANSWER_MS);
    assert_int_equal(cn_workers_pairs(workers), 1);
    close_both(ends);
    close(end);
}

/* More cuts than there can be subscribers: those that answer none are left at once. */
static void who_answers_no_cut_of_very_many_is_left(void **state)
{
    int one = worker_comes(false), other = worker_comes(false);
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    (void)state;
    for (uint64_t i = 0; faulty == 0; i++) {
        assert_in_range(i, 0, 1000);
        cn_workers_cut(workers, i);
        turns();
        while (cn_channel_receive(one, &m, fds, &count) == CN_OK)
            says(one, &(struct cn_message) { .type = CN_MESSAGE_CUT, .count = 1 });
    }
    assert_int_equal(faulty, other);
    assert_int_equal(cut_told, 2); /* with the one for which there was no room */
    assert_int_equal(cut_count, 1);
    close(one);
    close(other);
}

static void who_is_cut_while_no_worker_is_there_is_cut_here(void **state)
{
    int ends[3][2];

    (void)state;
    hand_over(ends[0], 1, 2);
    hand_over(ends[1], 3, 4);
    hand_over(ends[2], 5, 1);
    cn_workers_cut(workers, 1);
    assert_true(has_ended(ends[0][0]) && has_ended(ends[2][1]) && !has_ended(ends[1][0]));
    assert_int_equal(cn_workers_pairs(workers), 1);
    for (int i = 0; i < 3; i++)
        close_both(ends[i]);
}

static void with_limits_a_subscriber_has_one_worker(void **state)
{
    int one = worker_comes(false), other = worker_comes(false), ends[4][2];
    struct cn_message m;

    (void)state;
    cn_workers_keep_together(workers, true);
    for (uint64_t i = 0; i < 3; i++)
        hand_over(ends[i], 1, 10 + i);
    hand_over(ends[3], 20, 21);
    for (int i = 0; i < 3; i++)
        assert_true(takes_join(one, &m));
    assert_false(takes_join(one, &m));
    assert_true(takes_join(other, &m));
    for (int i = 0; i < 4; i++)
        close_both(ends[i]);
    close(one);
    close(other);
}

/* Who waits for it holds up nobody else; and goes elsewhere when it is late. */
static void a_home_that_does_not_answer_holds_up_nobody(void **state)
{
    int one = worker_comes(false), other = worker_comes(false);
    int ends[CN_WORKERS_IN_FLIGHT_MAX + 1][2], far[2];
    struct cn_message m;

    (void)state;
    cn_workers_keep_together(workers, true);
    for (uint64_t i = 0; i < COUNT(ends); i++)
        hand_over(ends[i], 1, 1000 + i % 4);
    for (size_t i = 0; i < CN_WORKERS_IN_FLIGHT_MAX; i++)
        assert_true(takes_join(one, &m));
    hand_over(far, 5, 6);
    assert_true(takes_join(other, &m));
    assert_int_equal(m.party[0].who, 5);
    says(other, &(struct cn_message) { .type = CN_MESSAGE_JOINED, .ticket = m.ticket });
    assert_false(takes_join(other, &m));
    time_passes(CN_CHANNEL_ANSWER_MS - 250);
    assert_int_equal(faulty, 0);
    assert_true(takes_join(other, &m));
    assert_int_equal(m.party[0].who, 1);
    cn_workers_cut(workers, 1);
    for (size_t i = 0; i < COUNT(ends); i++)
        close_both(ends[i]);
    close_both(far);
    close(one);
    close(other);
}

static void who_waits_for_his_home_is_cut_there(void **state)
{
    int end = worker_comes(false), ends[CN_WORKERS_IN_FLIGHT_MAX + 2][2];
    struct cn_message m;

    (void)state;
    cn_workers_keep_together(workers, true);
    for (uint64_t i = 0; i < COUNT(ends); i++)
        hand_over(ends[i], 1, 2 + i % 2);
    while (takes_join(end, &m))
        ;
    cn_workers_cut(workers, 2);
    assert_true(has_ended(ends[CN_WORKERS_IN_FLIGHT_MAX][0]));
    assert_false(has_ended(ends[CN_WORKERS_IN_FLIGHT_MAX + 1][0]));
    assert_int_equal(ended_count, 1);
    for (size_t i = 0; i < COUNT(ends); i++)
        close_both(ends[i]);
    close(end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define GATE(name) cmocka_unit_test_setup_teardown(name, begin_gate, end_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pair_is_joined_and_its_end_told),
        TEST(a_new_gate_hears_of_all_pairs_and_may_cut_them),
        TEST(of_two_gates_the_last_hears_of_the_pairs_of_both),
        TEST(the_newest_of_many_gates_hears_of_all_pairs),
        TEST(without_a_gate_nothing_piles_up),
        TEST(a_gate_that_does_not_listen_is_told_later),
        TEST(beyond_its_room_a_pair_is_refused),
        TEST(a_line_that_would_block_is_refused),
        TEST(a_gate_that_says_what_no_gate_says_is_hung_up_on),
        TEST(a_gate_that_cannot_be_told_for_lack_of_memory_is_told_later),
        TEST(with_a_gate_that_cannot_be_talked_to_the_process_ends),
        GATE(a_pair_waits_for_a_worker),
        GATE(the_pairs_of_a_worker_that_goes_have_ended),
        GATE(what_a_worker_cannot_know_ends_it),
        GATE(what_no_worker_says_ends_it),
        GATE(a_pair_that_is_there_already_is_a_lie),
        GATE(a_worker_that_cannot_be_told_for_lack_of_memory_is_told_later),
        GATE(a_worker_that_cannot_be_talked_to_is_to_be_ended),
        GATE(a_cut_is_told_when_all_workers_have_done_it),
        GATE(a_cut_is_not_done_until_all_pairs_have_been_named),
        GATE(a_worker_that_does_not_name_its_pairs_is_left_in_time),
        GATE(a_worker_that_takes_no_pair_is_left_in_time),
        GATE(a_pair_that_no_worker_is_there_to_take_ends_in_time),
        GATE(a_pair_that_nobody_took_is_reset),
        GATE(a_worker_that_cuts_nobody_is_left_in_time),
        GATE(a_leap_of_the_clock_is_no_silence),
        GATE(who_answers_no_cut_of_very_many_is_left),
        GATE(who_is_cut_while_no_worker_is_there_is_cut_here),
        GATE(with_limits_a_subscriber_has_one_worker),
        GATE(a_home_that_does_not_answer_holds_up_nobody),
        GATE(who_waits_for_his_home_is_cut_there),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
