#include "switch.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moving.h"
#include "pace.h"
#include "pipes.h"
#include "rates.h"

enum {
    LATER_MS = 20,  /* until a pair that has to pause goes on */
    TRIM_MS = 1000, /* pipes */
    KEEPALIVE_S_MAX = 32767
};

#define EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct pair;

struct end {
    struct cn_watch watch; /* first: ready() gets back from it */
    struct pair *pair;
    uint32_t owner;
    bool muted;  /* epoll does not tell of what comes from it, of which we know */
    bool failed; /* epoll says so; reading or writing finds out why */
};

struct pair {
    struct end end[2];
    struct cn_way way[2];      /* way[i] goes from end[i] to end[1 - i] */
    struct cn_grant credit[2]; /* of end[i], where there are rates: 0 octets: none yet */
    struct cn_timer timer;
    struct cn_switch *sw;
    struct pair *next, *before; /* in use, or free by next */
    struct pair *next_ready;
    struct queue *queue; /* in which it is ready; NULL: it is not */
    uint32_t id;         /* of whoever joined it */
    uint64_t resume_ms;  /* then it goes on by itself; 0: it need not */
    uint64_t active_ms;  /* the last octet */
    uint64_t bulk_ms;    /* for the pace */
};

/* Linked by next_ready. */
struct queue {
    struct pair *first, *last;
};

struct cn_switch {
    struct cn_loop *loop;
    struct cn_switch_limits limits;
    struct cn_owner *owners;
    cn_switch_ended *ended;
    void *context;
    struct pair *pairs; /* owned: the pool */
    struct pair *free;
    uint32_t fresh; /* pairs never used yet start here */
    struct pair *first;
    struct queue talk, bulk; /* ready; who moves bulk waits for who talks */
    struct cn_pipes pipes;
    struct cn_timer trim; /* runs while there are any */
    struct cn_rates rates;
    cn_bucket all; /* unless one is shared */
    struct cn_pace pace;
    struct cn_switch_counts *counts; /* of the caller */
    uint8_t copy[CN_COPY_SIZE];
};

static void trim_plan(struct cn_switch *sw)
{
    if (sw->trim.place == 0)
        cn_loop_timer_set(sw->loop, &sw->trim, sw->loop->now_ms + TRIM_MS);
}

static void trim_fire(struct cn_timer *timer)
{
    struct cn_switch *sw =
        (struct cn_switch *)(void *)((char *)timer - offsetof(struct cn_switch, trim));

    if (cn_pipes_trim(&sw->pipes))
        trim_plan(sw);
}

enum cn_err cn_switch_create(struct cn_switch **sw, struct cn_loop *loop,
                             const struct cn_switch_limits *limits, struct cn_owner *owners,
                             struct cn_switch_counts *counts, cn_switch_ended *ended, void *context)
{
    struct cn_switch *s = calloc(1, sizeof *s);
    enum cn_err err;

    if (!s)
        return CN_E_MEMORY;
    s->loop = loop;
    s->limits = *limits;
    s->owners = owners;
    s->counts = counts;
    s->trim.fire = trim_fire;
    s->ended = ended;
    s->context = context;
    s->pairs = calloc(limits->pairs_max, sizeof *s->pairs);
    err = s->pairs ? CN_OK : CN_E_MEMORY;
    if (err == CN_OK)
        err = cn_pipes_init(&s->pipes, limits->pipes_max);
    if (err == CN_OK)
        err = cn_rates_init(&s->rates, limits->owner_max, &s->all);
    if (err != CN_OK) {
        cn_switch_destroy(s);
        return err;
    }
    s->rates.rate_all = limits->rate_all;
    *sw = s;
    return CN_OK;
}

struct cn_switch_counts cn_switch_counts(const struct cn_switch *sw)
{
    struct cn_switch_counts counts = *sw->counts;

    counts.pipes = sw->pipes.count;
    return counts;
}

/* --- rates ----------------------------------------------------------------------------------- */

static uint8_t class_of(const struct pair *pair, int i)
{
    const struct cn_switch *sw = pair->sw;

    return sw->owners ? sw->owners[pair->end[i].owner].limits_class : 0;
}

/* Octets that may be taken from an end at once; 0: from when its credit counts. A whole turn's, and
 * not what is left of it: the last would be small. */
static size_t may_take(struct pair *pair, int i)
{
    struct cn_grant *credit = &pair->credit[i];
    struct cn_switch *sw = pair->sw;

    if (!cn_rates_limit(&sw->rates, class_of(pair, i)))
        return sw->limits.turn_size;
    if (credit->size == 0)
        *credit = cn_rates_ask(&sw->rates, pair->end[i].owner, class_of(pair, i), sw->loop->now_ms);
    if (credit->from_ms > sw->loop->now_ms)
        return 0;
    return credit->size < sw->limits.turn_size ? credit->size : sw->limits.turn_size;
}

static void spend(struct pair *pair, int i, uint64_t size)
{
    struct cn_grant *credit = &pair->credit[i];

    credit->size -= size < credit->size ? (uint32_t)size : credit->size;
}

/* Who does not need it now leaves it to other calls of its owner. */
static void credit_return(struct pair *pair, int i)
{
    struct cn_grant *credit = &pair->credit[i];

    if (credit->size > 0)
        cn_rates_return(&pair->sw->rates, pair->end[i].owner, class_of(pair, i), credit->size);
    credit->size = 0;
}

/* --- pairs ----------------------------------------------------------------------------------- */

static void queue_push(struct queue *queue, struct pair *pair)
{
    pair->next_ready = NULL;
    if (queue->last)
        queue->last->next_ready = pair;
    else
        queue->first = pair;
    queue->last = pair;
    pair->queue = queue;
}

static struct pair *queue_pop(struct queue *queue)
{
    struct pair *pair = queue->first;

    queue->first = pair->next_ready;
    if (!queue->first)
        queue->last = NULL;
    pair->queue = NULL;
    return pair;
}

static void queue_remove(struct pair *pair)
{
    struct pair **link = &pair->queue->first;
    struct pair *before = NULL;

    while (*link != pair) {
        before = *link;
        link = &before->next_ready;
    }
    *link = pair->next_ready;
    if (pair->queue->last == pair)
        pair->queue->last = before;
    pair->queue = NULL;
}

static void ready_push(struct pair *pair)
{
    struct cn_switch *sw = pair->sw;

    if (!pair->queue)
        queue_push(cn_pace_is_bulk(pair->bulk_ms, sw->loop->now_ms) ? &sw->bulk : &sw->talk, pair);
}

/* An end that neither side said is not to look like one: it is a reset, which a socket of ours says
 * by itself however we come to close it. What the kernel still holds for a far end that takes
 * nothing goes with it. */
static void reset_on_close(int fd, bool reset)
{
    const struct linger hard = { .l_onoff = reset, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static void end_close(struct end *end, enum cn_switch_outcome outcome)
{
    if (outcome == CN_SWITCH_DONE)
        reset_on_close(end->watch.fd, false);
    close(end->watch.fd);
}

static void pair_end(struct pair *pair, enum cn_switch_outcome outcome)
{
    struct cn_switch *sw = pair->sw;
    const uint32_t id = pair->id;
    const uint64_t bytes[2] = { pair->way[0].bytes, pair->way[1].bytes };

    sw->counts->pairs--; /* told before it is seen */
    sw->counts->outcome[outcome]++;
    for (int i = 0; i < 2; i++) {
        credit_return(pair, i);
        cn_way_rest(&pair->way[i], &sw->pipes);
        cn_loop_remove(sw->loop, &pair->end[i].watch);
        end_close(&pair->end[i], outcome);
    }
    cn_loop_timer_clear(sw->loop, &pair->timer);
    if (pair->queue)
        queue_remove(pair);
    if (pair->next)
        pair->next->before = pair->before;
    if (pair->before)
        pair->before->next = pair->next;
    else
        sw->first = pair->next;
    pair->next = sw->free;
    sw->free = pair;
    sw->ended(sw->context, id, bytes, outcome);
}

void cn_switch_destroy(struct cn_switch *sw)
{
    if (!sw)
        return;
    while (sw->first)
        pair_end(sw->first, CN_SWITCH_CUT);
    cn_loop_timer_clear(sw->loop, &sw->trim);
    cn_pipes_wipe(&sw->pipes);
    cn_rates_wipe(&sw->rates);
    free(sw->pairs);
    free(sw);
}

uint32_t cn_switch_cut(struct cn_switch *sw, uint32_t owner)
{
    struct pair *pair = sw->first;
    uint32_t count = 0;

    while (pair) {
        struct pair *next = pair->next;

        if (pair->end[0].owner == owner || pair->end[1].owner == owner) {
            pair_end(pair, CN_SWITCH_CUT);
            count++;
        }
        pair = next;
    }
    return count;
}

/* --- moving ---------------------------------------------------------------------------------- */

/* While it is known that something is there, and it cannot be passed on yet, epoll would tell of
 * each segment that comes: thousands of times a second, for nothing. Who is heard again is told of
 * at once if something is there. */
static void end_hear(struct cn_switch *sw, struct end *end, bool what_comes)
{
    cn_loop_change(sw->loop, &end->watch, what_comes ? EVENTS : EVENTS & ~(uint32_t)EPOLLIN);
    end->muted = !what_comes;
}

static void count_moved(struct pair *pair, int i, uint64_t size)
{
    struct cn_switch *sw = pair->sw;

    pair->active_ms = sw->loop->now_ms;
    sw->counts->bytes_total += size;
    if (sw->owners)
        sw->owners[pair->end[i].owner].bytes += size;
}

static void resume_at(struct pair *pair, uint64_t ms)
{
    if (pair->resume_ms == 0 || ms < pair->resume_ms)
        pair->resume_ms = ms;
}

/* The next that is to be done for a way that goes on; most: octets that it may take. */
static enum cn_moved way_step(struct pair *pair, int i, size_t most, int *broken)
{
    struct cn_switch *sw = pair->sw;
    struct cn_way *way = &pair->way[i];
    const uint64_t passed = way->bytes, taken = way->bytes + way->in_pipe;
    enum cn_moved moved = way->in_pipe > 0
                              ? cn_way_pass(way, sw->loop->now_ms)
                              : cn_way_take(way, &sw->pipes, sw->copy, most, sw->loop->now_ms);

    if (moved == CN_MOVED_BROKEN && *broken == 0)
        *broken = errno;
    if (way->bytes > passed)
        count_moved(pair, i, way->bytes - passed);
    spend(pair, i, way->bytes + way->in_pipe - taken);
    if (sw->pipes.count > 0 || sw->pipes.refused)
        trim_plan(sw);
    if (!way->readable && pair->end[i].muted)
        end_hear(sw, &pair->end[i], true);
    return moved;
}

/* Move one way until it blocks, ends, or has had its turn. True: the turn ran out, there is more.
 */
static bool way_turn(struct pair *pair, int i, int *broken)
{
    struct cn_switch *sw = pair->sw;
    struct cn_way *way = &pair->way[i];
    const uint64_t until = way->bytes + sw->limits.turn_size;

    while (way->in_pipe > 0 || (way->readable && !way->ended)) {
        size_t most = 0;
        enum cn_moved moved;

        if (way->in_pipe == 0 && way->bytes >= until)
            return true;
        if (way->in_pipe == 0)
            most = may_take(pair, i);
        if (way->in_pipe == 0 && most == 0) {
            resume_at(pair, pair->credit[i].from_ms);
            break;
        }
        if (!way->writable && (way->in_pipe > 0 || way->pipe.fd[0] < 0))
            return false;
        moved = way_step(pair, i, most, broken);
        if (moved == CN_MOVED_LATER)
            resume_at(pair, sw->loop->now_ms + LATER_MS);
        if (moved == CN_MOVED_BROKEN || moved == CN_MOVED_LATER)
            return false;
    }
    if (way->ended && way->in_pipe == 0 && !way->done)
        cn_way_end(way, &sw->pipes);
    cn_way_rest(way, &sw->pipes);
    return false;
}

static uint64_t stall_look_ms(const struct pair *pair, const struct cn_way *way)
{
    uint64_t stall_ms = pair->sw->limits.stall_ms;
    uint64_t next_ms = pair->sw->loop->now_ms + stall_ms / 4;

    return way->blocked_ms + stall_ms < next_ms ? way->blocked_ms + stall_ms : next_ms;
}

/* When the pair goes on by itself, or its limits are to be looked at again. */
static void timer_plan(struct pair *pair)
{
    struct cn_loop *loop = pair->sw->loop;
    const struct cn_switch_limits *l = &pair->sw->limits;
    uint64_t due = pair->resume_ms > 0 ? pair->resume_ms : UINT64_MAX;

    if (l->idle_ms > 0 && pair->active_ms + l->idle_ms < due)
        due = pair->active_ms + l->idle_ms;
    for (int i = 0; i < 2; i++) {
        const struct cn_way *way = &pair->way[i];

        if (way->blocked_ms > 0 && stall_look_ms(pair, way) < due)
            due = stall_look_ms(pair, way);
    }
    if (due == UINT64_MAX)
        cn_loop_timer_clear(loop, &pair->timer);
    else
        cn_loop_timer_set(loop, &pair->timer, due > loop->now_ms ? due : loop->now_ms + 1);
}

/* A timer that comes too early finds that out by itself; one that would come too late does not. */
static bool timer_is_late(const struct pair *pair)
{
    if (pair->resume_ms > 0 && (pair->timer.place == 0 || pair->timer.due_ms > pair->resume_ms))
        return true;
    for (int i = 0; i < 2; i++) {
        const struct cn_way *way = &pair->way[i];

        if (way->blocked_ms > 0 &&
            (pair->timer.place == 0 || pair->timer.due_ms > stall_look_ms(pair, way)))
            return true;
    }
    return false;
}

/* An end that failed when nothing was to be read from it any more, and nothing to be written. */
static bool failed_unnoticed(const struct pair *pair)
{
    return (pair->end[0].failed && pair->way[0].done) || (pair->end[1].failed && pair->way[1].done);
}

static void pair_turn(struct pair *pair)
{
    struct cn_switch *sw = pair->sw;
    uint64_t before = sw->counts->bytes_total;
    int broken = 0; /* errno of the first failure */
    bool more = false;

    pair->resume_ms = 0; /* unless that turns out anew */
    /* a socket tells of its failure once: whoever reads there after that finds an end, which is
     * none */
    for (int i = 0; i < 2 && !broken; i++) {
        bool goes_on = way_turn(pair, i, &broken);

        if (!goes_on && pair->credit[i].from_ms <= sw->loop->now_ms)
            credit_return(pair, i);
        more |= goes_on;
    }
    cn_pace_moved(&sw->pace, &pair->bulk_ms, (size_t)(sw->counts->bytes_total - before),
                  sw->loop->now_ms);
    if (pair->way[0].done && pair->way[1].done)
        pair_end(pair, CN_SWITCH_DONE);
    else if (broken == ETIMEDOUT) /* TCP_USER_TIMEOUT is the stall limit too */
        pair_end(pair, CN_SWITCH_STALLED);
    else if (broken || failed_unnoticed(pair))
        pair_end(pair, CN_SWITCH_BROKEN);
    else if (more)
        ready_push(pair);
    else if (timer_is_late(pair))
        timer_plan(pair);
}

static void end_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct end *end = (struct end *)(void *)watch;
    struct pair *pair = end->pair;
    int i = end == &pair->end[0] ? 0 : 1;

    if ((epoll_events & EPOLLIN) && pair->way[i].readable && !pair->queue && !end->muted)
        end_hear(pair->sw, end, false);
    /* EPOLLRDHUP and EPOLLHUP are hints: reading finds out what they mean */
    if (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        pair->way[i].readable = true;
    if (epoll_events & EPOLLERR)
        end->failed = true;
    if (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        pair->way[1 - i].writable = true;
    ready_push(pair);
}

static bool is_stalled(struct pair *pair)
{
    const uint64_t now_ms = pair->sw->loop->now_ms, stall_ms = pair->sw->limits.stall_ms;

    return cn_way_stalls(&pair->way[0], now_ms, stall_ms) ||
           cn_way_stalls(&pair->way[1], now_ms, stall_ms);
}

static void timer_fire(struct cn_timer *timer)
{
    struct pair *pair = (struct pair *)(void *)((char *)timer - offsetof(struct pair, timer));
    const struct cn_switch *sw = pair->sw;

    if (pair->resume_ms > 0 && sw->loop->now_ms >= pair->resume_ms) {
        pair->resume_ms = 0;
        ready_push(pair);
    }
    if (is_stalled(pair)) {
        pair_end(pair, CN_SWITCH_STALLED);
        return;
    }
    if (sw->limits.idle_ms > 0 && sw->loop->now_ms >= pair->active_ms + sw->limits.idle_ms) {
        pair_end(pair, CN_SWITCH_IDLE);
        return;
    }
    timer_plan(pair);
}

/* The stall limit is the kernel's too, which gives a silent peer up at the first probe that is not
 * answered by then: so the first of several is sent well before. */
static int keepalive_s(unsigned ms)
{
    unsigned s = ms / 1000;

    if (s == 0)
        return 1;
    return s < KEEPALIVE_S_MAX ? (int)s : KEEPALIVE_S_MAX;
}

static void socket_tune(const struct cn_switch *sw, int fd)
{
    const int on = 1;
    const unsigned stall_ms =
        sw->limits.stall_ms < 1000000000 ? (unsigned)sw->limits.stall_ms : 1000000000U;
    const int after_s = keepalive_s(stall_ms / 2), every_s = keepalive_s(stall_ms / 8);

    /* best effort; a live peer that does not read is cut by the stall limit, so must be this */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after_s, sizeof after_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
}

/* A rate is about to change: nobody waits any more for what was promised under the one before. */
static void promises_end(struct cn_switch *sw)
{
    for (struct pair *pair = sw->first; pair; pair = pair->next) {
        for (int i = 0; i < 2; i++)
            credit_return(pair, i);
        ready_push(pair);
    }
}

void cn_switch_share_rate(struct cn_switch *sw, cn_bucket *all)
{
    sw->rates.all = all;
}

void cn_switch_rate_set(struct cn_switch *sw, uint8_t limits_class, uint64_t rate)
{
    if (sw->rates.rate[limits_class] == rate)
        return;
    promises_end(sw);
    sw->rates.rate[limits_class] = rate;
}

void cn_switch_limits_set(struct cn_switch *sw, const struct cn_switch_limits *limits)
{
    struct cn_switch_limits l = *limits;

    l.pairs_max = sw->limits.pairs_max;
    l.owner_max = sw->limits.owner_max;
    if (l.pipes_max > sw->pipes.room)
        l.pipes_max = sw->pipes.room;
    if (l.rate_all != sw->limits.rate_all) {
        cn_rates_forget_all(&sw->rates, sw->loop->now_ms);
        promises_end(sw);
    }
    sw->limits = l;
    sw->rates.rate_all = l.rate_all;
    sw->pipes.count_max = l.pipes_max;
    for (struct pair *pair = sw->first; pair; pair = pair->next) {
        for (int i = 0; i < 2; i++)
            socket_tune(sw, pair->end[i].watch.fd);
        timer_plan(pair);
    }
}

/* Those that are ready now, each once, until octets have been moved; who has more to do queues up
 * behind. */
static void queue_turn(struct cn_switch *sw, struct queue *queue, uint64_t octets)
{
    const uint64_t until = sw->counts->bytes_total + octets;
    const struct pair *last = queue->last;
    struct pair *pair = NULL;

    while (pair != last && queue->first && sw->counts->bytes_total < until) {
        pair = queue_pop(queue);
        pair_turn(pair);
    }
}

bool cn_switch_turn(struct cn_switch *sw)
{
    queue_turn(sw, &sw->talk, UINT32_MAX);
    queue_turn(sw, &sw->bulk, sw->limits.turn_size); /* then see who talks by now */
    cn_pace_tell(&sw->pace, sw->loop->now_ms);
    return sw->talk.first || sw->bulk.first;
}

static struct pair *pair_take(struct cn_switch *sw)
{
    struct pair *pair = sw->free;

    if (pair)
        sw->free = pair->next;
    else if (sw->fresh < sw->limits.pairs_max)
        pair = &sw->pairs[sw->fresh++];
    return pair;
}

enum cn_err cn_switch_join(struct cn_switch *sw, const struct cn_switch_end end[2], uint32_t id)
{
    struct pair *pair = pair_take(sw);

    if (!pair)
        return CN_E_LIMIT;
    memset(pair, 0, sizeof *pair);
    pair->sw = sw;
    pair->id = id;
    pair->active_ms = sw->loop->now_ms;
    pair->timer.fire = timer_fire;
    for (int i = 0; i < 2; i++) {
        assert(end[i].owner < sw->limits.owner_max);
        pair->end[i] =
            (struct end) { .watch = { end[i].fd, end_ready }, .pair = pair, .owner = end[i].owner };
        cn_way_begin(&pair->way[i], end[i].fd, end[1 - i].fd);
    }
    for (int i = 0; i < 2; i++) {
        socket_tune(sw, end[i].fd);
        if (cn_loop_add(sw->loop, &pair->end[i].watch, EVENTS) == CN_OK)
            continue;
        if (i == 1)
            cn_loop_remove(sw->loop, &pair->end[0].watch);
        pair->next = sw->free;
        sw->free = pair;
        return CN_E_SYSTEM;
    }
    pair->next = sw->first;
    if (sw->first)
        sw->first->before = pair;
    sw->first = pair;
    for (int i = 0; i < 2; i++)
        reset_on_close(end[i].fd, true);
    sw->counts->pairs++;
    sw->counts->pairs_total++;
    timer_plan(pair);
    ready_push(pair);
    return CN_OK;
}
