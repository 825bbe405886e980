#include "workers.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGES_PER_TURN = 256,
    TICK_MS = CN_CHANNEL_ANSWER_MS / 4,
    TICKS_LATE = 2, /* one that owes answers so long is given no more */
    TICKS_STUCK = CN_CHANNEL_ANSWER_MS / TICK_MS + 1, /* the first may come at once */
    TICKS_ALONE = 2 * TICKS_STUCK                     /* another worker has time to start */
};

#define NO_PAIR UINT32_MAX

enum pair_state { FREE = 0, QUEUED, SENT, OPEN };

struct pair {
    uint32_t owner[2];
    int fd[2]; /* until the worker has them */
    enum pair_state state;
    uint32_t next; /* free, or queued */
    uint32_t worker;
};

/* Of pairs, in the order in which they came. */
struct queue {
    uint32_t first, last; /* NO_PAIR: none */
};

struct worker {
    struct cn_watch watch; /* first; fd -1: none */
    struct cn_workers *all;
    struct queue queue; /* pairs that are to be here, where others of their owners are */
    uint32_t *pair_of;  /* owned: by the worker's number of a pair, ours + 1 */
    uint32_t pairs;     /* that it has, or is to have */
    uint32_t in_flight;
    uint32_t cuts_said, cuts_answered;
    uint32_t number;
    uint32_t ticks; /* that it owes answers; counted, since time goes on while all are stopped */
    bool has_taken, has_cut; /* some answers came since the last tick */
    bool is_telling;         /* it has not yet named all pairs that there were when it came */
    bool draining;
    bool is_full; /* its channel: EPOLLOUT tells when it is not */
};

struct cn_workers {
    struct cn_workers_setup setup;
    struct pair *pairs; /* owned */
    uint32_t pair_max;
    uint32_t fresh;
    uint32_t free;
    struct queue queue; /* that are at home nowhere */
    uint32_t pair_count, handing_count;
    uint64_t *cuts; /* owned: who is to be cut; the same for all workers */
    uint32_t cut_max, cut_count, cut_pairs;
    uint32_t telling_count; /* of workers */
    bool leaves;            /* another gate hears of pairs */
    uint8_t *homes; /* owned: of each owner with a call, the worker that got his last, + 1 */
    bool together;
    uint32_t ticks_alone; /* that pairs wait and no worker is there to take any */
    struct cn_timer tick;
    struct worker workers[CN_WORKERS_MAX];
};

static void worker_ready(struct cn_watch *watch, uint32_t epoll_events);
static void tick_fire(struct cn_timer *timer);

static const struct queue no_pairs = { NO_PAIR, NO_PAIR };

static struct worker no_worker(struct cn_workers *w)
{
    return (struct worker) { .watch = { -1, worker_ready }, .all = w, .queue = no_pairs };
}

enum cn_err cn_workers_create(struct cn_workers **workers, const struct cn_workers_setup *setup)
{
    struct cn_workers *w = calloc(1, sizeof *w);

    if (!w)
        return CN_E_MEMORY;
    w->setup = *setup;
    w->pair_max = 2 * setup->pairs_max; /* of other gates, too */
    w->free = NO_PAIR;
    w->queue = no_pairs;
    for (int i = 0; i < CN_WORKERS_MAX; i++)
        w->workers[i] = no_worker(w);
    w->pairs = calloc(w->pair_max, sizeof *w->pairs);
    w->cut_max =
        setup->owners->count_max + 2 * w->pair_max; /* all at once, and again as they appear */
    w->cuts = calloc(w->cut_max, sizeof *w->cuts);
    w->homes = calloc(setup->owners->count_max, sizeof *w->homes);
    if (!w->pairs || !w->cuts || !w->homes) {
        cn_workers_destroy(w);
        return CN_E_MEMORY;
    }
    w->tick.fire = tick_fire;
    *workers = w;
    return CN_OK;
}

/* Time is counted while a worker owes something, or is to get something. */
static void tick_look(struct cn_workers *w)
{
    bool owed = w->handing_count > 0 || w->cut_count > 0 || w->telling_count > 0;

    if (owed && w->tick.place == 0)
        cn_loop_timer_set(w->setup.loop, &w->tick, w->setup.loop->now_ms + TICK_MS);
    if (owed)
        return;
    cn_loop_timer_clear(w->setup.loop, &w->tick);
    for (struct worker *worker = w->workers; worker < w->workers + CN_WORKERS_MAX; worker++) {
        worker->ticks = 0;
        worker->has_taken = worker->has_cut = false;
    }
}

/* --- pairs ----------------------------------------------------------------------------------- */

static struct pair *pair_take(struct cn_workers *w)
{
    uint32_t number = w->free;

    if (number != NO_PAIR)
        w->free = w->pairs[number].next;
    else if (w->fresh < w->pair_max)
        number = w->fresh++;
    if (number == NO_PAIR)
        return NULL;
    w->pairs[number] = (struct pair) { .fd = { -1, -1 }, .next = NO_PAIR };
    w->pair_count++;
    return &w->pairs[number];
}

static void fds_close(struct cn_workers *w, struct pair *pair)
{
    if (pair->fd[0] < 0)
        return;
    close(pair->fd[0]);
    close(pair->fd[1]);
    pair->fd[0] = pair->fd[1] = -1;
    w->handing_count--;
}

static void pair_end(struct cn_workers *w, struct pair *pair, const uint64_t bytes[2],
                     enum cn_switch_outcome outcome)
{
    const uint32_t owner[2] = { pair->owner[0], pair->owner[1] };
    const struct linger hard = { .l_onoff = 1, .l_linger = 0 };

    /* an end that neither said is not to look like one, here as in the switch */
    for (int i = 0; i < 2 && pair->fd[i] >= 0; i++)
        (void)setsockopt(pair->fd[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fds_close(w, pair);
    *pair = (struct pair) { .state = FREE, .next = w->free };
    w->free = (uint32_t)(pair - w->pairs);
    w->pair_count--;
    if (w->setup.ended)
        w->setup.ended(w->setup.context, owner, bytes, outcome);
    for (int i = 0; i < 2; i++) {
        if (--w->setup.owners->at[owner[i]].joined == 0)
            w->homes[owner[i]] = 0;
        cn_owners_give(w->setup.owners, owner[i]);
    }
}

static void pair_break(struct cn_workers *w, struct pair *pair)
{
    static const uint64_t nothing[2] = { 0 };

    if (pair->state != OPEN && w->setup.untaken)
        w->setup.untaken(w->setup.context);
    pair_end(w, pair, nothing, CN_SWITCH_BROKEN);
}

/* Behind all that are in it, which makes it the last. */
static void queue_put(struct cn_workers *w, struct queue *queue, uint32_t number)
{
    if (queue->last != NO_PAIR)
        w->pairs[queue->last].next = number;
    else
        queue->first = number;
    queue->last = number;
    w->pairs[number].next = NO_PAIR;
}

/* The first, of a queue that has one. */
static uint32_t queue_take(struct cn_workers *w, struct queue *queue)
{
    uint32_t number = queue->first;

    queue->first = w->pairs[number].next;
    if (queue->first == NO_PAIR)
        queue->last = NO_PAIR;
    return number;
}

static void queue_move(struct cn_workers *w, struct queue *from, struct queue *to)
{
    while (from->first != NO_PAIR)
        queue_put(w, to, queue_take(w, from));
}

/* --- saying ---------------------------------------------------------------------------------- */

static void worker_close(struct worker *worker);

/* Its calls end with it. */
static void worker_faulty(struct worker *worker)
{
    struct cn_workers *w = worker->all;

    if (w->setup.faulty)
        w->setup.faulty(worker->number);
    worker_close(worker);
}

/* It has gone; or it cannot be talked to though it is there, and would go on with calls that nobody
 * could have cut. */
static void worker_fails(struct worker *worker, enum cn_err err)
{
    if (err == CN_E_HUNG_UP)
        worker_close(worker);
    else
        worker_faulty(worker);
}

/* False: it takes no more just now, or is gone. */
static bool say(struct worker *worker, const struct cn_message *m, const int *fds, size_t fd_count)
{
    enum cn_err err = cn_channel_send(worker->watch.fd, m, fds, fd_count);

    if (err == CN_OK)
        return true;
    if (err != CN_E_MORE) {
        worker_fails(worker, err);
        return false;
    }
    worker->is_full = true;
    cn_loop_change(worker->all->setup.loop, &worker->watch, EPOLLIN | EPOLLOUT);
    return false;
}

static bool takes_pairs(const struct worker *worker)
{
    return worker->watch.fd >= 0 && !worker->draining && worker->ticks < TICKS_LATE;
}

static bool takes_one_now(const struct worker *worker)
{
    return takes_pairs(worker) && !worker->is_full && worker->in_flight < CN_WORKERS_IN_FLIGHT_MAX;
}

/* Where an owner of the pair has other calls; NULL: nowhere. */
static struct worker *worker_at_home(struct cn_workers *w, const struct pair *pair)
{
    for (int i = 0; w->together && i < 2; i++) {
        uint8_t home = w->homes[pair->owner[i]];

        if (home > 0 && takes_pairs(&w->workers[home - 1]))
            return &w->workers[home - 1];
    }
    return NULL;
}

/* That is to take this pair, though perhaps not now; NULL: none can. */
static struct worker *worker_choose(struct cn_workers *w, const struct pair *pair)
{
    struct worker *best = worker_at_home(w, pair);

    if (best)
        return best;
    for (struct worker *one = w->workers; one < w->workers + CN_WORKERS_MAX; one++) {
        if (takes_one_now(one) && (!best || one->pairs < best->pairs))
            best = one;
    }
    return best;
}

void cn_workers_keep_together(struct cn_workers *workers, bool together)
{
    workers->together = together;
}

/* The worker has the pair, or is about to. */
static void worker_gets(struct worker *worker, struct pair *pair)
{
    struct cn_workers *w = worker->all;

    pair->worker = (uint32_t)(worker - w->workers);
    worker->pairs++;
    for (int i = 0; i < 2; i++)
        w->homes[pair->owner[i]] = (uint8_t)(pair->worker + 1);
}

static struct cn_party party_of(const struct cn_workers *w, uint32_t owner)
{
    const struct cn_owner *o = &w->setup.owners->at[owner];

    return (struct cn_party) { o->who, o->serial, o->limits_class, { 0 } };
}

/* The first of the queue, which it stays if the worker is full or gone by now. */
static void hand_over(struct cn_workers *w, struct worker *worker, struct queue *queue)
{
    uint32_t number = queue->first;
    struct pair *pair = &w->pairs[number];
    const struct cn_message m = {
        .type = CN_MESSAGE_JOIN,
        .ticket = number,
        .party = { party_of(w, pair->owner[0]), party_of(w, pair->owner[1]) },
    };

    if (!say(worker, &m, pair->fd, 2))
        return;
    (void)queue_take(w, queue);
    pair->state = SENT;
    worker_gets(worker, pair);
    worker->in_flight++;
}

/* Who waits for the worker where he has calls holds up nobody else. */
static void queue_run(struct cn_workers *w)
{
    struct worker *worker;

    for (worker = w->workers; worker < w->workers + CN_WORKERS_MAX; worker++) {
        while (worker->queue.first != NO_PAIR && takes_one_now(worker))
            hand_over(w, worker, &worker->queue);
    }
    while (w->queue.first != NO_PAIR &&
           (worker = worker_choose(w, &w->pairs[w->queue.first])) != NULL) {
        if (takes_one_now(worker))
            hand_over(w, worker, &w->queue);
        else
            queue_put(w, &worker->queue, queue_take(w, &w->queue));
    }
}

bool cn_workers_join(struct cn_workers *workers, const int fd[2], const uint32_t owner[2])
{
    struct pair *pair = pair_take(workers);
    uint32_t number;

    if (!pair)
        return false;
    number = (uint32_t)(pair - workers->pairs);
    pair->state = QUEUED;
    workers->handing_count++;
    for (int i = 0; i < 2; i++) {
        pair->fd[i] = fd[i];
        pair->owner[i] = owner[i];
        workers->setup.owners->at[owner[i]].joined++;
    }
    queue_put(workers, &workers->queue, number);
    queue_run(workers);
    tick_look(workers);
    return true;
}

/* --- cutting --------------------------------------------------------------------------------- */

static void cuts_say(struct worker *worker)
{
    struct cn_workers *w = worker->all;

    while (worker->watch.fd >= 0 && !worker->is_full && worker->cuts_said < w->cut_count) {
        const struct cn_message m = { .type = CN_MESSAGE_CUT,
                                      .party = { { .who = w->cuts[worker->cuts_said] } } };

        if (say(worker, &m, NULL, 0))
            worker->cuts_said++;
    }
}

static bool cuts_are_answered(const struct cn_workers *w)
{
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (w->workers[i].watch.fd >= 0 && w->workers[i].cuts_answered < w->cut_count)
            return false;
    }
    return true;
}

bool cn_workers_has_cut(const struct cn_workers *workers)
{
    return workers->telling_count == 0 && cuts_are_answered(workers);
}

static void cuts_look(struct cn_workers *w)
{
    uint32_t count = w->cut_pairs;

    if (w->cut_count == 0 || !cuts_are_answered(w))
        return;
    for (int i = 0; i < CN_WORKERS_MAX; i++)
        w->workers[i].cuts_said = w->workers[i].cuts_answered = 0;
    w->cut_count = w->cut_pairs = 0;
    if (w->setup.was_cut)
        w->setup.was_cut(w->setup.context, count);
}

/* Pairs that no worker has yet. */
static void queue_cut(struct cn_workers *w, struct queue *queue, uint32_t owner)
{
    static const uint64_t nothing[2] = { 0 };
    struct queue all = *queue;

    *queue = no_pairs;
    while (all.first != NO_PAIR) {
        uint32_t number = queue_take(w, &all);
        struct pair *pair = &w->pairs[number];

        if (pair->owner[0] == owner || pair->owner[1] == owner) {
            pair_end(w, pair, nothing, CN_SWITCH_CUT);
            w->cut_pairs++;
        } else {
            queue_put(w, queue, number);
        }
    }
}

/* Those that do not answer any more. */
static void late_close(struct cn_workers *w)
{
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (w->workers[i].watch.fd >= 0 && w->workers[i].cuts_answered < w->cut_count)
            worker_faulty(&w->workers[i]);
    }
    cuts_look(w);
}

void cn_workers_cut(struct cn_workers *workers, uint64_t who)
{
    uint32_t owner = cn_owners_find(workers->setup.owners, who);

    if (workers->cut_count == workers->cut_max)
        late_close(workers);
    workers->cuts[workers->cut_count++] = who;
    if (owner != CN_OWNER_NONE)
        queue_cut(workers, &workers->queue, owner);
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (owner != CN_OWNER_NONE)
            queue_cut(workers, &workers->workers[i].queue, owner);
        if (workers->workers[i].watch.fd >= 0)
            cuts_say(&workers->workers[i]);
    }
    tick_look(workers);
}

static void told(struct worker *worker)
{
    worker->all->telling_count -= worker->is_telling;
    worker->is_telling = false;
}

void cn_workers_leave(struct cn_workers *workers)
{
    workers->leaves = true;
    for (int i = 0; i < CN_WORKERS_MAX; i++)
        told(&workers->workers[i]);
}

/* --- hearing --------------------------------------------------------------------------------- */

/* The pair with this number of the worker's; NULL: it has none such. */
static struct pair *pair_of(struct worker *worker, uint32_t number)
{
    uint32_t ours = number < worker->all->setup.pairs_max ? worker->pair_of[number] : 0;

    return ours > 0 ? &worker->all->pairs[ours - 1] : NULL;
}

/* All that a worker says is checked: false is a lie. */
static bool take_answer(struct worker *worker, const struct cn_message *m)
{
    struct cn_workers *w = worker->all;
    struct pair *pair = m->ticket < w->fresh ? &w->pairs[m->ticket] : NULL;

    if (!pair || pair->state != SENT || pair->worker != (uint32_t)(worker - w->workers))
        return false;
    if (m->type == CN_MESSAGE_JOINED &&
        (m->pair >= w->setup.pairs_max || worker->pair_of[m->pair] != 0))
        return false;
    worker->in_flight--;
    worker->has_taken = true;
    if (m->type == CN_MESSAGE_REFUSED) {
        worker->pairs--;
        pair_break(w, pair);
        return true;
    }
    fds_close(w, pair);
    pair->state = OPEN;
    worker->pair_of[m->pair] = m->ticket + 1;
    return true;
}

static bool take_pair(struct worker *worker, const struct cn_message *m)
{
    struct cn_workers *w = worker->all;
    struct cn_owners *owners = w->setup.owners;
    struct pair *pair;

    if (m->pair >= w->setup.pairs_max || worker->pair_of[m->pair] != 0)
        return false;
    worker->has_cut = true; /* it is at work */
    if (w->setup.appeared)
        w->setup.appeared(w->setup.context, m->party);
    if (worker->watch.fd < 0)
        return true; /* that found it gone */
    pair = pair_take(w);
    if (!pair)
        return true; /* more than there may be: it ends unseen */
    for (int i = 0; i < 2; i++) {
        pair->owner[i] = cn_owners_take(owners, m->party[i].who, m->party[i].serial);
        if (pair->owner[i] == CN_OWNER_NONE) {
            if (i == 1)
                cn_owners_give(owners, pair->owner[0]);
            *pair = (struct pair) { .next = w->free };
            w->free = (uint32_t)(pair - w->pairs);
            w->pair_count--;
            return true;
        }
    }
    for (int i = 0; i < 2; i++) {
        owners->at[pair->owner[i]].joined++;
        owners->at[pair->owner[i]].limits_class = m->party[i].limits_class;
    }
    pair->state = OPEN;
    worker_gets(worker, pair);
    worker->pair_of[m->pair] = (uint32_t)(pair - w->pairs) + 1;
    return true;
}

static bool take_end(struct worker *worker, const struct cn_message *m)
{
    struct pair *pair = pair_of(worker, m->pair);

    if (m->outcome >= CN_SWITCH_OUTCOME_COUNT)
        return false;
    if (!pair)
        return true; /* one for which there was no room */
    worker->pair_of[m->pair] = 0;
    worker->pairs--;
    pair_end(worker->all, pair, m->bytes, (enum cn_switch_outcome)m->outcome);
    return true;
}

static bool take_cut(struct worker *worker, const struct cn_message *m)
{
    if (worker->cuts_answered >= worker->cuts_said)
        return false;
    worker->cuts_answered++;
    worker->has_cut = true;
    worker->all->cut_pairs += m->count;
    return true;
}

static bool take_told(struct worker *worker)
{
    bool expected = worker->is_telling || worker->all->leaves;

    told(worker);
    return expected;
}

static bool take(struct worker *worker, const struct cn_message *m)
{
    assert(worker->pair_of); /* it is there */
    switch ((enum cn_message_type)m->type) {
    case CN_MESSAGE_JOINED:
    case CN_MESSAGE_REFUSED:
        return take_answer(worker, m);
    case CN_MESSAGE_PAIR:
        return take_pair(worker, m);
    case CN_MESSAGE_ENDED:
        return take_end(worker, m);
    case CN_MESSAGE_CUT:
        return take_cut(worker, m);
    case CN_MESSAGE_TOLD:
        return take_told(worker);
    case CN_MESSAGE_START:
    case CN_MESSAGE_LISTEN:
    case CN_MESSAGE_WORKER:
    case CN_MESSAGE_STATE:
    case CN_MESSAGE_RETIRE:
    case CN_MESSAGE_RETIRED:
    case CN_MESSAGE_READY:
    case CN_MESSAGE_FAILED:
    case CN_MESSAGE_GATE:
    case CN_MESSAGE_LIMITS:
    case CN_MESSAGE_RATES:
    case CN_MESSAGE_DRAIN:
    case CN_MESSAGE_END:
    case CN_MESSAGE_JOIN:
    case CN_MESSAGE_SUMS:
    case CN_MESSAGE_FAULTY:
    case CN_MESSAGE_PING:
    case CN_MESSAGE_COUNT:
        break;
    }
    return false;
}

/* The worker has gone, and its pairs with it. */
static void worker_close(struct worker *worker)
{
    struct cn_workers *w = worker->all;
    uint32_t me = (uint32_t)(worker - w->workers);

    cn_loop_remove(w->setup.loop, &worker->watch);
    close(worker->watch.fd);
    free(worker->pair_of);
    told(worker);
    queue_move(w, &worker->queue, &w->queue);
    *worker = no_worker(w);
    for (struct pair *pair = w->pairs; pair < w->pairs + w->fresh; pair++) {
        if ((pair->state == SENT || pair->state == OPEN) && pair->worker == me)
            pair_break(w, pair);
    }
    cuts_look(w);
}

static void worker_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct worker *worker = (struct worker *)(void *)watch;
    struct cn_workers *w = worker->all;
    struct cn_message m = { 0 };
    int fds[CN_CHANNEL_FDS_MAX];
    size_t fd_count;
    enum cn_err err = CN_OK;

    if (worker->is_full && epoll_events & EPOLLOUT) {
        worker->is_full = false;
        cn_loop_change(w->setup.loop, watch, EPOLLIN);
    }
    /* what is heard may lead to something being said, which may find the worker gone */
    for (int i = 0; i < MESSAGES_PER_TURN && err == CN_OK && watch->fd >= 0; i++) {
        err = cn_channel_receive(watch->fd, &m, fds, &fd_count);
        if (err != CN_OK)
            break;
        cn_channel_close_fds(fds, fd_count);
        if (!take(worker, &m) && watch->fd >= 0)
            worker_faulty(worker);
    }
    if (watch->fd >= 0 && err != CN_OK && err != CN_E_MORE)
        worker_fails(worker, err);
    cuts_say(worker);
    cuts_look(w);
    queue_run(w);
    tick_look(w);
}

static bool is_late(const struct worker *worker)
{
    return worker->watch.fd >= 0 &&
           ((worker->in_flight > 0 && !worker->has_taken) ||
            ((worker->cuts_answered < worker->all->cut_count || worker->is_telling) &&
             !worker->has_cut));
}

/* Pairs do not wait for ever for workers that cannot be had. */
static void queue_tick(struct cn_workers *w)
{
    bool alone = w->queue.first != NO_PAIR;

    for (int i = 0; i < CN_WORKERS_MAX; i++)
        alone = alone && !takes_pairs(&w->workers[i]);
    w->ticks_alone = alone ? w->ticks_alone + 1 : 0;
    while (w->ticks_alone >= TICKS_ALONE && w->queue.first != NO_PAIR)
        pair_break(w, &w->pairs[queue_take(w, &w->queue)]);
}

static void tick_fire(struct cn_timer *timer)
{
    struct cn_workers *w =
        (struct cn_workers *)(void *)((char *)timer - offsetof(struct cn_workers, tick));

    for (struct worker *worker = w->workers; worker < w->workers + CN_WORKERS_MAX; worker++) {
        worker->ticks = is_late(worker) ? worker->ticks + 1 : 0;
        worker->has_taken = worker->has_cut = false;
        if (worker->ticks >= TICKS_LATE)
            queue_move(w, &worker->queue, &w->queue);
        if (worker->ticks >= TICKS_STUCK)
            worker_faulty(worker);
    }
    queue_run(w);
    queue_tick(w);
    tick_look(w);
}

enum cn_err cn_workers_add(struct cn_workers *workers, int channel, uint32_t number, bool draining)
{
    struct worker *worker = workers->workers;

    while (worker < workers->workers + CN_WORKERS_MAX && worker->watch.fd >= 0)
        worker++;
    if (worker == workers->workers + CN_WORKERS_MAX)
        return CN_E_LIMIT;
    worker->pair_of = calloc(workers->setup.pairs_max, sizeof *worker->pair_of);
    if (!worker->pair_of)
        return CN_E_MEMORY;
    worker->watch.fd = channel;
    worker->number = number;
    worker->draining = draining;
    worker->is_telling = !workers->leaves;
    if (cn_loop_add(workers->setup.loop, &worker->watch, EPOLLIN) != CN_OK) {
        free(worker->pair_of);
        *worker = no_worker(workers);
        return CN_E_SYSTEM;
    }
    workers->telling_count += worker->is_telling;
    cuts_say(worker);
    queue_run(workers);
    tick_look(workers);
    return CN_OK;
}

uint32_t cn_workers_pairs(const struct cn_workers *workers)
{
    return workers->pair_count;
}

uint32_t cn_workers_handing(const struct cn_workers *workers)
{
    return workers->handing_count;
}

void cn_workers_destroy(struct cn_workers *workers)
{
    if (!workers)
        return;
    cn_loop_timer_clear(workers->setup.loop, &workers->tick);
    workers->setup.ended = NULL;
    workers->setup.was_cut = NULL;
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        struct worker *worker = &workers->workers[i];

        if (worker->watch.fd < 0)
            continue;
        cn_loop_remove(workers->setup.loop, &worker->watch);
        close(worker->watch.fd);
        free(worker->pair_of);
    }
    for (uint32_t i = 0; i < workers->fresh; i++)
        fds_close(workers, &workers->pairs[i]);
    free(workers->pairs);
    free(workers->cuts);
    free(workers->homes);
    free(workers);
}
