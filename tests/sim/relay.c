/* relay.c - in place of server/workers.c and the switch workers: takes pairs from gates, moves
 * their octets, and passes on ends and breaks as PROTOCOL.md 3.4 and 3.5 say. The real switch
 * stands on splice and is tested with real sockets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "server.h"
#include "sim.h"
#include "workers.h"

enum { PAIR_COUNT_MAX = 64, IDLE_MS = 600000, STALL_MS = 300000, TURN_SIZE = 65536 };

struct cn_workers {
    struct cn_workers_setup setup;
};

struct pair {
    bool used;
    struct cn_workers *of; /* NULL: its gate is gone */
    int fd[2];
    uint32_t owner[2];
    uint64_t bytes[2];      /* that came from each end */
    bool ended[2];          /* said its end, and the other was told */
    uint64_t moved_ms;      /* when the last octet passed */
    uint64_t blocked_ms[2]; /* since then that end takes nothing; 0: it does */
};

static struct pair pairs[PAIR_COUNT_MAX];

/* --- pairs ----------------------------------------------------------------------------------- */

static void pair_forget(struct pair *p, enum cn_switch_outcome outcome)
{
    struct cn_workers *w = p->of;

    p->used = false;
    if (!w)
        return;
    w->setup.ended(w->setup.context, p->owner, p->bytes, outcome);
    for (int i = 0; i < 2; i++) {
        w->setup.owners->at[p->owner[i]].joined--;
        cn_owners_give(w->setup.owners, p->owner[i]);
    }
}

/* Both ended well, or so that it looks like no end. */
static void pair_end(struct pair *p, enum cn_switch_outcome outcome)
{
    for (int i = 0; i < 2; i++) {
        if (outcome == CN_SWITCH_DONE)
            (void)net_close(p->fd[i]);
        else
            net_abort(p->fd[i]);
    }
    sim_trace("server: a call ends: %s", outcome == CN_SWITCH_DONE     ? "done"
                                         : outcome == CN_SWITCH_BROKEN ? "broken"
                                                                       : "idle");
    pair_forget(p, outcome);
}

enum moved { MOVED, NOTHING, BROKEN };

/* What one end has said, to the other. */
static enum moved move(struct pair *p, int end)
{
    static uint8_t octets[TURN_SIZE];
    const int from = p->fd[end], to = p->fd[1 - end];
    ssize_t seen, put;

    if (p->ended[end])
        return NOTHING;
    seen = net_recv(from, octets, sizeof octets, true);
    if (seen < 0)
        return errno == EAGAIN ? NOTHING : BROKEN;
    if (seen == 0) {
        p->ended[end] = true;
        return net_shutdown(to) == 0 ? MOVED : BROKEN;
    }
    put = net_send(to, octets, (size_t)seen);
    if (put < 0 && errno == EAGAIN && p->blocked_ms[1 - end] == 0)
        p->blocked_ms[1 - end] = sim.now_ms;
    if (put < 0)
        return errno == EAGAIN ? NOTHING : BROKEN;
    p->blocked_ms[1 - end] = 0;
    for (size_t left = (size_t)put; left > 0;) { /* a slice of it at a time */
        const ssize_t got = net_recv(from, octets, left, false);

        sim_need(got > 0);
        left -= (size_t)got;
    }
    p->bytes[end] += (uint64_t)put;
    p->moved_ms = sim.now_ms;
    return MOVED;
}

static bool is_broken(const struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        /* ended both ways is no break */
        if (net_ready(p->fd[i]) & NET_BROKEN && !(p->ended[0] && p->ended[1]))
            return true;
    }
    return false;
}

static uint64_t pair_due_ms(const struct pair *p)
{
    uint64_t due_ms = p->moved_ms + IDLE_MS;

    for (int i = 0; i < 2; i++) {
        if (p->blocked_ms[i] > 0 && p->blocked_ms[i] + STALL_MS < due_ms)
            due_ms = p->blocked_ms[i] + STALL_MS;
    }
    return due_ms;
}

static bool can_move(const struct pair *p, int end)
{
    return !p->ended[end] && net_ready(p->fd[end]) & NET_IN && net_ready(p->fd[1 - end]) & NET_OUT;
}

static bool pair_is_ready(const struct pair *p)
{
    return p->used && (can_move(p, 0) || can_move(p, 1) || is_broken(p) ||
                       (p->ended[0] && p->ended[1]) || sim.now_ms >= pair_due_ms(p));
}

static void pair_turn(struct pair *p)
{
    enum moved moved[2] = { MOVED, MOVED };

    while (moved[0] == MOVED || moved[1] == MOVED) {
        for (int end = 0; end < 2; end++) {
            moved[end] = move(p, end);
            if (moved[end] == BROKEN) {
                pair_end(p, CN_SWITCH_BROKEN);
                return;
            }
        }
    }
    if (p->ended[0] && p->ended[1])
        pair_end(p, CN_SWITCH_DONE);
    else if (is_broken(p))
        pair_end(p, CN_SWITCH_BROKEN);
    else if (sim.now_ms >= pair_due_ms(p))
        pair_end(p, CN_SWITCH_IDLE);
}

void relay_begin(void)
{
    memset(pairs, 0, sizeof pairs);
}

bool relay_is_ready(void)
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (pair_is_ready(&pairs[i]))
            return true;
    }
    return false;
}

void relay_turn(void)
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (pair_is_ready(&pairs[i]))
            pair_turn(&pairs[i]);
    }
}

uint64_t relay_due_ms(void)
{
    uint64_t due_ms = UINT64_MAX;

    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (pairs[i].used && pair_due_ms(&pairs[i]) < due_ms)
            due_ms = pair_due_ms(&pairs[i]);
    }
    return due_ms;
}

void relay_kill(bool silently)
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (!pairs[i].used)
            continue;
        for (int end = 0; end < 2; end++) {
            if (silently)
                net_kill(pairs[i].fd[end]);
            net_abort(pairs[i].fd[end]);
        }
        pair_forget(&pairs[i], CN_SWITCH_BROKEN);
    }
}

unsigned relay_count(void)
{
    unsigned count = 0;

    for (int i = 0; i < PAIR_COUNT_MAX; i++)
        count += pairs[i].used;
    return count;
}

/* --- as the gate has it: workers.h ------------------------------------------------------------ */

enum cn_err cn_workers_create(struct cn_workers **workers, const struct cn_workers_setup *setup)
{
    struct cn_workers *w = calloc(1, sizeof *w);

    if (!w)
        return CN_E_MEMORY;
    w->setup = *setup;
    *workers = w;
    return CN_OK;
}

void cn_workers_destroy(struct cn_workers *workers)
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (pairs[i].used && pairs[i].of == workers)
            pairs[i].of = NULL; /* they do not notice */
    }
    free(workers);
}

enum cn_err cn_workers_add(struct cn_workers *workers, int channel, uint32_t number, bool draining)
{
    (void)workers;
    (void)channel;
    (void)number;
    (void)draining;
    return CN_E_LIMIT;
}

void cn_workers_keep_together(struct cn_workers *workers, bool together)
{
    (void)workers;
    (void)together;
}

bool cn_workers_join(struct cn_workers *workers, const int fd[2], const uint32_t owner[2])
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        if (pairs[i].used)
            continue;
        pairs[i] = (struct pair) { .used = true,
                                   .of = workers,
                                   .fd = { fd[0], fd[1] },
                                   .owner = { owner[0], owner[1] },
                                   .moved_ms = sim.now_ms };
        for (int end = 0; end < 2; end++)
            workers->setup.owners->at[owner[end]].joined++;
        sim_trace("server: a call begins");
        return true;
    }
    return false;
}

void cn_workers_cut(struct cn_workers *workers, uint64_t who)
{
    for (int i = 0; i < PAIR_COUNT_MAX; i++) {
        const struct pair *p = &pairs[i];

        if (p->used && p->of == workers &&
            (workers->setup.owners->at[p->owner[0]].who == who ||
             workers->setup.owners->at[p->owner[1]].who == who))
            pair_end(&pairs[i], CN_SWITCH_CUT);
    }
}

void cn_workers_leave(struct cn_workers *workers)
{
    (void)workers;
}

bool cn_workers_has_cut(const struct cn_workers *workers)
{
    (void)workers;
    return true;
}

uint32_t cn_workers_pairs(const struct cn_workers *workers)
{
    uint32_t count = 0;

    for (int i = 0; i < PAIR_COUNT_MAX; i++)
        count += pairs[i].used && pairs[i].of == workers;
    return count;
}

uint32_t cn_workers_handing(const struct cn_workers *workers)
{
    (void)workers;
    return 0;
}
