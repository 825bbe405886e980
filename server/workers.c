#include "workers.h"

#include <stdlib.h>
#include <unistd.h>

enum { MESSAGES_PER_TURN = 256 };

#define NO_PAIR UINT32_MAX

enum pair_state { FREE = 0, QUEUED, SENT, OPEN };

struct pair {
    uint32_t owner[2];
    int fd[2]; /* until the worker has them */
    enum pair_state state;
    uint32_t next; /* free, or queued */
    uint32_t worker;
};

struct worker {
    struct cn_watch watch; /* first; fd -1: none */
    struct cn_workers *all;
    uint32_t *pair_of; /* owned: by the worker's number of a pair, ours + 1 */
    uint32_t pairs;    /* that it has, or is to have */
    uint32_t in_flight;
    uint32_t cuts_said, cuts_answered;
    bool draining;
    bool is_full; /* its channel: EPOLLOUT tells when it is not */
};

struct cn_workers {
    struct cn_workers_setup setup;
    struct pair *pairs; /* owned */
    uint32_t pair_max;
    uint32_t fresh;
    uint32_t free;
    uint32_t queue_first, queue_last;
    uint32_t pair_count, handing_count;
    uint64_t *cuts; /* owned: who is to be cut; the same for all workers */
    uint32_t cut_max, cut_count, cut_pairs;
    uint8_t *homes; /* owned: of each owner with a call, the worker that got his last, + 1 */
    bool together;
    struct worker workers[CN_WORKERS_MAX];
};

static void worker_ready(struct cn_watch *watch, uint32_t epoll_events);

enum cn_err cn_workers_create(struct cn_workers **workers, const struct cn_workers_setup *setup)
{
    struct cn_workers *w = calloc(1, sizeof *w);

    if (!w)
        return CN_E_MEMORY;
    w->setup = *setup;
    w->pair_max = 2 * setup->pairs_max; /* of other gates, too */
    w->free = w->queue_first = w->queue_last = NO_PAIR;
    for (int i = 0; i < CN_WORKERS_MAX; i++)
        w->workers[i] = (struct worker) { .watch = { -1, worker_ready }, .all = w };
    w->pairs = calloc(w->pair_max, sizeof *w->pairs);
    w->cut_max =
        setup->owners->count_max + 2 * w->pair_max; /* all at once, and again as they appear */
    w->cuts = calloc(w->cut_max, sizeof *w->cuts);
    w->homes = calloc(setup->owners->count_max, sizeof *w->homes);
    if (!w->pairs || !w->cuts || !w->homes) {
        cn_workers_destroy(w);
        return CN_E_MEMORY;
    }
    *workers = w;
    return CN_OK;
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

    pair_end(w, pair, nothing, CN_SWITCH_BROKEN);
}

/* --- saying ---------------------------------------------------------------------------------- */

static void worker_close(struct worker *worker);

/* False: it takes no more just now, or is gone. */
static bool say(struct worker *worker, const struct cn_message *m, const int *fds, size_t fd_count)
{
    enum cn_err err = cn_channel_send(worker->watch.fd, m, fds, fd_count);

    if (err == CN_OK)
        return true;
    if (err != CN_E_MORE) {
        worker_close(worker);
        return false;
    }
    worker->is_full = true;
    cn_loop_change(worker->all->setup.loop, &worker->watch, EPOLLIN | EPOLLOUT);
    return false;
}

static bool takes_pairs(const struct worker *worker)
{
    return worker->watch.fd >= 0 && !worker->draining;
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

/* That is to take this pair; NULL: none can now. */
static struct worker *worker_choose(struct cn_workers *w, const struct pair *pair)
{
    struct worker *best = worker_at_home(w, pair);

    if (best)
        return takes_one_now(best) ? best : NULL;
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

/* False: not now. */
static bool hand_over(struct cn_workers *w, struct worker *worker, uint32_t number)
{
    struct pair *pair = &w->pairs[number];
    const struct cn_message m = {
        .type = CN_MESSAGE_JOIN,
        .ticket = number,
        .party = { party_of(w, pair->owner[0]), party_of(w, pair->owner[1]) },
    };

    if (!say(worker, &m, pair->fd, 2))
        return false;
    pair->state = SENT;
    worker_gets(worker, pair);
    worker->in_flight++;
    return true;
}

static void queue_run(struct cn_workers *w)
{
    struct worker *worker;

    while (w->queue_first != NO_PAIR &&
           (worker = worker_choose(w, &w->pairs[w->queue_first])) != NULL) {
        uint32_t number = w->queue_first;
        uint32_t next = w->pairs[number].next;

        if (!hand_over(w, worker, number))
            continue; /* that worker is full or gone by now */
        w->queue_first = next;
        if (next == NO_PAIR)
            w->queue_last = NO_PAIR;
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
    if (workers->queue_last != NO_PAIR)
        workers->pairs[workers->queue_last].next = number;
    else
        workers->queue_first = number;
    workers->queue_last = number;
    queue_run(workers);
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

bool cn_workers_has_cut(const struct cn_workers *workers)
{
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (workers->workers[i].watch.fd >= 0 &&
            workers->workers[i].cuts_answered < workers->cut_count)
            return false;
    }
    return true;
}

static void cuts_look(struct cn_workers *w)
{
    uint32_t count = w->cut_pairs;

    if (w->cut_count == 0 || !cn_workers_has_cut(w))
        return;
    for (int i = 0; i < CN_WORKERS_MAX; i++)
        w->workers[i].cuts_said = w->workers[i].cuts_answered = 0;
    w->cut_count = w->cut_pairs = 0;
    if (w->setup.was_cut)
        w->setup.was_cut(w->setup.context, count);
}

/* Pairs that no worker has yet. */
static void queue_cut(struct cn_workers *w, uint32_t owner)
{
    static const uint64_t nothing[2] = { 0 };
    uint32_t number = w->queue_first;

    w->queue_first = w->queue_last = NO_PAIR;
    while (number != NO_PAIR) {
        struct pair *pair = &w->pairs[number];
        uint32_t next = pair->next;

        if (pair->owner[0] == owner || pair->owner[1] == owner) {
            pair_end(w, pair, nothing, CN_SWITCH_CUT);
            w->cut_pairs++;
        } else {
            if (w->queue_last != NO_PAIR)
                w->pairs[w->queue_last].next = number;
            else
                w->queue_first = number;
            w->queue_last = number;
            pair->next = NO_PAIR;
        }
        number = next;
    }
}

/* Those that do not answer any more: their calls end with them. */
static void late_close(struct cn_workers *w)
{
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (w->workers[i].watch.fd >= 0 && w->workers[i].cuts_answered < w->cut_count)
            worker_close(&w->workers[i]);
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
        queue_cut(workers, owner);
    for (int i = 0; i < CN_WORKERS_MAX; i++) {
        if (workers->workers[i].watch.fd >= 0)
            cuts_say(&workers->workers[i]);
    }
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
    worker->all->cut_pairs += m->count;
    return true;
}

static bool take(struct worker *worker, const struct cn_message *m)
{
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
        return true;
    case CN_MESSAGE_START:
    case CN_MESSAGE_LISTEN:
    case CN_MESSAGE_WORKER:
    case CN_MESSAGE_STATE:
    case CN_MESSAGE_RETIRE:
    case CN_MESSAGE_READY:
    case CN_MESSAGE_FAILED:
    case CN_MESSAGE_GATE:
    case CN_MESSAGE_LIMITS:
    case CN_MESSAGE_RATES:
    case CN_MESSAGE_DRAIN:
    case CN_MESSAGE_END:
    case CN_MESSAGE_JOIN:
    case CN_MESSAGE_SUMS:
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
    *worker = (struct worker) { .watch = { -1, worker_ready }, .all = w };
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
        if (err == CN_OK) {
            cn_channel_close_fds(fds, fd_count);
            if (!take(worker, &m))
                err = CN_E_HUNG_UP;
        }
    }
    if (watch->fd >= 0 && err != CN_OK && err != CN_E_MORE)
        worker_close(worker);
    cuts_say(worker);
    cuts_look(w);
    queue_run(w);
}

enum cn_err cn_workers_add(struct cn_workers *workers, int channel, bool draining)
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
    worker->draining = draining;
    worker->cuts_said = worker->cuts_answered = 0;
    if (cn_loop_add(workers->setup.loop, &worker->watch, EPOLLIN) != CN_OK) {
        free(worker->pair_of);
        *worker = (struct worker) { .watch = { -1, worker_ready }, .all = workers };
        return CN_E_SYSTEM;
    }
    cuts_say(worker);
    queue_run(workers);
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
