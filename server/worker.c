#include "worker.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

enum { MESSAGES_PER_TURN = 64 };

#define NO_RECORD UINT32_MAX

/* A pair, as gates hear of it; it outlives the switch's part until the end has been told. */
struct record {
    uint32_t owner[2];
    uint64_t bytes[2];
    enum cn_switch_outcome outcome;
    uint32_t next; /* to be told, or free */
    bool is_open;
    bool is_known; /* to the last gate */
    bool is_queued;
};

struct gate {
    struct cn_watch watch; /* first; fd -1: none */
    struct cn_worker *worker;
    uint64_t number;          /* in the order in which they came */
    struct cn_message answer; /* that did not go yet; nothing more is read until it has */
    bool has_answer;
    bool is_full; /* more is to be told as soon as there is room */
};

struct cn_worker {
    struct cn_loop *loop;
    struct cn_page_map page;
    struct cn_switch *sw;
    struct cn_owners owners;
    struct record *records; /* owned */
    uint32_t record_max;
    uint32_t fresh; /* records from here on were never used */
    uint32_t free;
    uint32_t tell_first, tell_last;
    struct gate gates[CN_CHANNEL_GATES_MAX];
    uint64_t gate_count; /* that have ever come */
    struct gate *last;   /* that came last; NULL: is gone */
    bool is_telling;     /* it has not yet heard of all that there were */
};

static void on_ended(void *context, uint32_t id, const uint64_t bytes[2],
                     enum cn_switch_outcome outcome);
static void gate_ready(struct cn_watch *watch, uint32_t epoll_events);

enum cn_err cn_worker_create(struct cn_worker **worker, struct cn_loop *loop,
                             const struct cn_page_map *page, const struct cn_switch_limits *limits)
{
    struct cn_worker *w = calloc(1, sizeof *w);
    enum cn_err err = CN_E_MEMORY;

    if (!w)
        return CN_E_MEMORY;
    w->loop = loop;
    w->page = *page;
    w->record_max = limits->pairs_max;
    w->free = w->tell_first = w->tell_last = NO_RECORD;
    w->records = calloc(w->record_max, sizeof *w->records);
    for (int i = 0; i < CN_CHANNEL_GATES_MAX; i++)
        w->gates[i] = (struct gate) { .watch = { -1, gate_ready }, .worker = w };
    if (w->records)
        err = cn_owners_init(&w->owners, page->page->owners, page->owner_max);
    if (err == CN_OK)
        err = cn_switch_create(&w->sw, loop, limits, page->page->owners, &page->page->calls,
                               on_ended, w);
    if (err != CN_OK) {
        cn_worker_destroy(w);
        return err;
    }
    *worker = w;
    return CN_OK;
}

static void gate_close(struct gate *gate)
{
    struct cn_worker *w = gate->worker;

    cn_loop_remove(w->loop, &gate->watch);
    close(gate->watch.fd);
    gate->watch.fd = -1;
    gate->has_answer = gate->is_full = false;
    if (w->last == gate)
        w->last = NULL;
}

/* It has gone, or is none. If it is there and cannot be talked to, it believes that its calls have
 * ended, and could have none cut: they are to end, with the process. */
static void gate_fails(struct gate *gate, enum cn_err err)
{
    assert(err != CN_E_SYSTEM);
    gate_close(gate);
}

void cn_worker_destroy(struct cn_worker *worker)
{
    if (!worker)
        return;
    cn_switch_destroy(worker->sw);
    for (int i = 0; i < CN_CHANNEL_GATES_MAX; i++) {
        if (worker->gates[i].watch.fd >= 0)
            gate_close(&worker->gates[i]);
    }
    cn_owners_wipe(&worker->owners);
    free(worker->records);
    free(worker);
}

void cn_worker_limits(struct cn_worker *worker, const struct cn_switch_limits *limits)
{
    cn_switch_limits_set(worker->sw, limits);
}

void cn_worker_share_rate(struct cn_worker *worker, cn_bucket *all)
{
    cn_switch_share_rate(worker->sw, all);
}

void cn_worker_rate(struct cn_worker *worker, uint8_t limits_class, uint64_t rate)
{
    cn_switch_rate_set(worker->sw, limits_class, rate);
}

/* --- records --------------------------------------------------------------------------------- */

static uint32_t record_take(struct cn_worker *w)
{
    uint32_t id = w->free;

    if (id != NO_RECORD)
        w->free = w->records[id].next;
    else if (w->fresh < w->record_max)
        id = w->fresh++;
    return id;
}

static void record_give(struct cn_worker *w, uint32_t id)
{
    for (int i = 0; i < 2; i++)
        cn_owners_give(&w->owners, w->records[id].owner[i]);
    w->records[id] = (struct record) { .next = w->free };
    w->free = id;
}

static void tell_later(struct cn_worker *w, uint32_t id)
{
    struct record *r = &w->records[id];

    if (r->is_queued)
        return;
    r->is_queued = true;
    r->next = NO_RECORD;
    if (w->tell_last != NO_RECORD)
        w->records[w->tell_last].next = id;
    else
        w->tell_first = id;
    w->tell_last = id;
}

static void tell_done(struct cn_worker *w)
{
    struct record *r = &w->records[w->tell_first];

    r->is_queued = false;
    w->tell_first = r->next;
    if (w->tell_first == NO_RECORD)
        w->tell_last = NO_RECORD;
}

static void on_ended(void *context, uint32_t id, const uint64_t bytes[2],
                     enum cn_switch_outcome outcome)
{
    struct cn_worker *w = context;
    struct record *r = &w->records[id];

    r->is_open = false;
    r->bytes[0] = bytes[0];
    r->bytes[1] = bytes[1];
    r->outcome = outcome;
    for (int i = 0; i < 2; i++) {
        w->owners.at[r->owner[i]].joined--;
        w->owners.at[r->owner[i]].bytes -= bytes[i]; /* the gate counts them from now on */
    }
    if (r->is_queued)
        return;
    if (w->last && r->is_known)
        tell_later(w, id);
    else
        record_give(w, id);
}

/* What is to be told of a record; false: nothing. */
static bool report_make(const struct cn_worker *w, uint32_t id, struct cn_message *m)
{
    const struct record *r = &w->records[id];

    if (r->is_open == r->is_known)
        return false; /* it is there and known, or has gone before it was */
    *m = (struct cn_message) { .type = r->is_open ? CN_MESSAGE_PAIR : CN_MESSAGE_ENDED,
                               .pair = id,
                               .outcome = r->outcome,
                               .bytes = { r->bytes[0], r->bytes[1] } };
    for (int i = 0; i < 2; i++) {
        const struct cn_owner *o = &w->owners.at[r->owner[i]];

        m->party[i] = (struct cn_party) { o->who, o->serial, o->limits_class, { 0 } };
    }
    return true;
}

static void gate_watch(struct gate *gate, bool has_answer, bool is_full)
{
    if (gate->has_answer == has_answer && gate->is_full == is_full)
        return;
    gate->has_answer = has_answer;
    gate->is_full = is_full;
    cn_loop_change(gate->worker->loop, &gate->watch,
                   (has_answer ? 0U : EPOLLIN) | (has_answer || is_full ? EPOLLOUT : 0U));
}

/* False: the last gate takes no more just now, or is gone. Answers are not overtaken. */
static bool say_to_last(struct cn_worker *w, const struct cn_message *m)
{
    struct gate *gate = w->last;
    enum cn_err err = CN_E_MORE;

    if (!gate)
        return false;
    if (!gate->has_answer)
        err = cn_channel_send(gate->watch.fd, m, NULL, 0);
    if (err == CN_OK || err == CN_E_MORE)
        gate_watch(gate, gate->has_answer, err == CN_E_MORE);
    else
        gate_fails(gate, err);
    return err == CN_OK;
}

/* Tell the last gate what there is to tell, as far as there is room. Without one, what has ended is
 * forgotten. */
static void tell(struct cn_worker *w)
{
    const struct cn_message told = { .type = CN_MESSAGE_TOLD };

    while (w->tell_first != NO_RECORD) {
        uint32_t id = w->tell_first;
        struct record *r = &w->records[id];
        struct cn_message m;

        if (w->last && report_make(w, id, &m) && !say_to_last(w, &m) && w->last)
            return;
        r->is_known = w->last && r->is_open;
        tell_done(w);
        if (!r->is_open)
            record_give(w, id);
    }
    if (w->is_telling && !say_to_last(w, &told) && w->last)
        return;
    w->is_telling = false;
    if (w->last)
        gate_watch(w->last, w->last->has_answer, false);
}

/* --- gates ----------------------------------------------------------------------------------- */

/* A new gate knows of no pair; those that ended meanwhile are no news to it. */
static void name_all(struct cn_worker *w)
{
    while (w->tell_first != NO_RECORD) {
        uint32_t id = w->tell_first;

        tell_done(w);
        if (!w->records[id].is_open)
            record_give(w, id);
    }
    for (uint32_t id = 0; id < w->fresh; id++) {
        w->records[id].is_known = false;
        if (w->records[id].is_open)
            tell_later(w, id);
    }
    w->is_telling = true;
}

/* A place that is free, or that of the gate that has been leaving for the longest: whom the newest
 * does not hear of, nobody could cut. */
static struct gate *place_for_one(struct cn_worker *w)
{
    struct gate *oldest = w->gates;

    for (struct gate *gate = w->gates; gate < w->gates + CN_CHANNEL_GATES_MAX; gate++) {
        if (gate->watch.fd < 0)
            return gate;
        if (gate->number < oldest->number)
            oldest = gate;
    }
    cn_log_at(CN_LOG_FAILURES, "gate_left", "reason=\"there are too many\"");
    gate_close(oldest);
    return oldest;
}

enum cn_err cn_worker_gate(struct cn_worker *worker, int channel)
{
    struct gate *gate = place_for_one(worker);

    gate->watch.fd = channel;
    gate->number = ++worker->gate_count;
    if (cn_loop_add(worker->loop, &gate->watch, EPOLLIN) != CN_OK) {
        gate->watch.fd = -1;
        return CN_E_SYSTEM;
    }
    if (worker->last) /* it is told nothing any more */
        gate_watch(worker->last, worker->last->has_answer, false);
    worker->last = gate;
    name_all(worker);
    return CN_OK;
}

/* One that blocks would hold up all others. */
static bool may_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || !(flags & O_NONBLOCK);
}

/* Take the pair. On any failure both lines are closed, which the gate is told. */
static void join(struct cn_worker *w, const struct cn_message *m, const int *fds, size_t fd_count,
                 bool is_known, struct cn_message *answer)
{
    bool fine = fd_count == 2 && !may_block(fds[0]) && !may_block(fds[1]);
    uint32_t id = fine ? record_take(w) : NO_RECORD;
    struct cn_switch_end end[2] = { { 0 } };
    struct record r = { .is_open = true, .is_known = is_known, .next = NO_RECORD };
    bool counted[2] = { false };

    *answer = (struct cn_message) { .type = CN_MESSAGE_REFUSED, .ticket = m->ticket };
    for (int i = 0; i < 2 && id != NO_RECORD; i++) {
        r.owner[i] = cn_owners_take(&w->owners, m->party[i].who, m->party[i].serial);
        counted[i] = r.owner[i] != CN_OWNER_NONE;
        if (!counted[i])
            break;
        w->owners.at[r.owner[i]].limits_class = m->party[i].limits_class;
        end[i] = (struct cn_switch_end) { fds[i], r.owner[i] };
    }
    if (counted[0] && counted[1]) {
        w->records[id] = r;
        if (cn_switch_join(w->sw, end, id) == CN_OK) {
            w->owners.at[r.owner[0]].joined++;
            w->owners.at[r.owner[1]].joined++;
            answer->type = CN_MESSAGE_JOINED;
            answer->pair = id;
            if (!is_known)
                tell_later(w, id);
            return;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (counted[i])
            cn_owners_give(&w->owners, r.owner[i]);
    }
    if (id != NO_RECORD) {
        w->records[id] = (struct record) { .next = w->free };
        w->free = id;
    }
    cn_channel_close_fds(fds, fd_count);
}

static void cut(struct cn_worker *w, uint64_t who, struct cn_message *answer)
{
    uint32_t owner = cn_owners_find(&w->owners, who);

    *answer = (struct cn_message) { .type = CN_MESSAGE_CUT, .party = { { .who = who } } };
    if (owner != CN_OWNER_NONE)
        answer->count = cn_switch_cut(w->sw, owner);
}

/* Say the answer, now or as soon as there is room. False: the gate is gone. */
static bool answer_say(struct gate *gate)
{
    enum cn_err err = cn_channel_send(gate->watch.fd, &gate->answer, NULL, 0);

    if (err != CN_OK && err != CN_E_MORE) {
        gate_fails(gate, err);
        return false;
    }
    gate_watch(gate, err == CN_E_MORE, gate->is_full);
    return true;
}

/* The end of a pair is told before the answer to what ended it, unless there is no room. */
static bool gate_hear(struct gate *gate)
{
    struct cn_worker *w = gate->worker;
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err = cn_channel_receive(gate->watch.fd, &m, fds, &fd_count);

    if (err == CN_E_MORE)
        return false;
    if (err == CN_OK && m.type == CN_MESSAGE_JOIN) {
        join(w, &m, fds, fd_count, gate == w->last, &gate->answer);
    } else if (err == CN_OK && m.type == CN_MESSAGE_CUT && fd_count == 0) {
        cut(w, m.party[0].who, &gate->answer);
        tell(w);
    } else {
        cn_channel_close_fds(fds, fd_count);
        gate_fails(gate, err);
        return false;
    }
    if (gate->watch.fd < 0) /* telling found it gone */
        return false;
    return answer_say(gate) && !gate->has_answer;
}

static void gate_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct gate *gate = (struct gate *)(void *)watch;

    (void)epoll_events;
    if (gate->has_answer && (!answer_say(gate) || gate->has_answer))
        return;
    for (int i = 0; i < MESSAGES_PER_TURN && gate_hear(gate); i++)
        ;
}

bool cn_worker_is_idle(const struct cn_worker *worker)
{
    for (int i = 0; i < CN_CHANNEL_GATES_MAX; i++) {
        if (worker->gates[i].watch.fd >= 0 && &worker->gates[i] != worker->last)
            return false;
    }
    return cn_switch_counts(worker->sw).pairs == 0 && worker->tell_first == NO_RECORD;
}

bool cn_worker_turn(struct cn_worker *worker)
{
    bool more = cn_switch_turn(worker->sw);

    tell(worker);
    worker->page.page->calls.pipes = cn_switch_counts(worker->sw).pipes;
    worker->page.page->owners_used = worker->owners.fresh;
    return more;
}
