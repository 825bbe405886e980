#include "supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subprocess.h"

enum cn_err cn_supervisor_create(struct cn_supervisor **supervisor,
                                 const struct cn_supervisor_setup *setup)
{
    struct cn_supervisor *s = calloc(1, sizeof *s);

    if (!s)
        return CN_E_MEMORY;
    s->setup = *setup;
    s->state_fd = -1;
    s->state_number = s->state_applied = setup->state_number;
    for (int i = 0; i < CN_CHILDREN_MAX; i++)
        s->children[i] =
            (struct cn_subprocess) { .channel = { -1, cn_supervisor_hear }, .supervisor = s };
    if (!cn_spawn_find(s->programs)) {
        free(s);
        return CN_E_ABSENT;
    }
    cn_sampling_begin(s);
    cn_pinging_begin(s);
    *supervisor = s;
    return CN_OK;
}

uint32_t cn_supervisor_state_number(const struct cn_supervisor *supervisor)
{
    return supervisor->state_number;
}

bool cn_supervisor_admits(const struct cn_supervisor *supervisor)
{
    return supervisor->gate && supervisor->gate->state == CN_SUBPROCESS_RUNNING;
}

/* A channel between these two. If there is none to be had the gate is started anew. */
static void connect_two(struct cn_subprocess *gate, struct cn_subprocess *worker)
{
    const struct cn_message to_worker = { .type = CN_MESSAGE_GATE };
    const struct cn_message to_gate = { .type = CN_MESSAGE_WORKER,
                                        .number = (uint32_t)worker->pid,
                                        .draining = worker->state == CN_SUBPROCESS_LEAVING };
    int ends[2];

    if (cn_channel_make(ends) != CN_OK) {
        cn_subprocess_kill(gate);
        return;
    }
    cn_subprocess_say(worker, &to_worker, &ends[0], 1);
    cn_subprocess_say(gate, &to_gate, &ends[1], 1);
    cn_channel_close_fds(ends, 2);
}

/* It has missed one. If there is none now, the next one's start brings it. */
static void gate_again(struct cn_subprocess *worker)
{
    if (worker->supervisor->gate)
        connect_two(worker->supervisor->gate, worker);
}

/* Likewise: a gate, of the worker of that pid, if it has not ended meanwhile. */
static void worker_again(struct cn_subprocess *gate, pid_t pid)
{
    struct cn_supervisor *s = gate->supervisor;

    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state >= CN_SUBPROCESS_RUNNING && c->role == CN_ROLE_SWITCH && c->pid == pid)
            connect_two(gate, c);
    }
}

static void state_say(struct cn_subprocess *gate)
{
    const struct cn_supervisor *s = gate->supervisor;
    const struct cn_message m = { .type = CN_MESSAGE_STATE, .ticket = s->state_number };

    cn_subprocess_say(gate, &m, &s->state_fd, 1);
}

void cn_supervisor_workers_drain(struct cn_supervisor *s)
{
    bool gates = s->gate && s->gate_is_old && !s->leaving;

    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        gates |= c->role == CN_ROLE_GATE && c->state == CN_SUBPROCESS_LEAVING && !c->retired;
    for (struct cn_subprocess *c = s->children; !gates && c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state == CN_SUBPROCESS_LEAVING && !c->drains) {
            c->drains = true;
            cn_subprocess_say_word(c, CN_MESSAGE_DRAIN);
        }
    }
}

void cn_supervisor_gate_retire(struct cn_subprocess *gate)
{
    gate->state = CN_SUBPROCESS_LEAVING;
    cn_subprocess_say_word(gate, CN_MESSAGE_RETIRE);
}

void cn_supervisor_gates_end(struct cn_supervisor *s)
{
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role != CN_ROLE_GATE || !c->retired || c->ends ||
            (c == s->gate && cn_subprocess_has_workers(s)))
            continue;
        c->ends = true;
        cn_subprocess_say_word(c, CN_MESSAGE_END);
    }
}

static void gate_retired(struct cn_subprocess *gate)
{
    gate->retired = true;
    cn_supervisor_gates_end(gate->supervisor);
    cn_supervisor_workers_drain(gate->supervisor);
}

static void workers_connect(struct cn_subprocess *gate, enum cn_subprocess_state state)
{
    struct cn_supervisor *s = gate->supervisor;

    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state == state)
            connect_two(gate, c);
    }
}

/* It admits from now on, and whoever did so far leaves. */
static void gate_begins(struct cn_subprocess *gate)
{
    struct cn_supervisor *s = gate->supervisor;
    const struct cn_message listen = { .type = CN_MESSAGE_LISTEN };
    struct cn_subprocess *before = s->gate;

    s->gate = gate;
    s->gate_is_old = false;
    workers_connect(gate, CN_SUBPROCESS_RUNNING);
    workers_connect(gate, CN_SUBPROCESS_LEAVING);
    for (size_t i = 0; !s->leaving && i < s->setup.listeners->count; i++)
        cn_subprocess_say(gate, &listen, &s->setup.listeners->fd[i], 1);
    state_say(gate); /* it may have changed since the gate was started */
    if (before)
        cn_supervisor_gate_retire(before);
    if (s->leaving)
        cn_supervisor_gate_retire(gate);
    cn_supervisor_workers_drain(s);
}

/* Limits, and rates of all classes, a few in each message. A worker that is late with its calls is
 * no reason to end them: what it cannot take now it gets, whole, as soon as it can. */
static void limits_say(struct cn_subprocess *worker)
{
    const struct cn_supervisor *s = worker->supervisor;
    struct cn_message m = { .type = CN_MESSAGE_LIMITS, .limits = s->limits };
    enum cn_err err = cn_channel_send(worker->channel.fd, &m, NULL, 0);

    m.type = CN_MESSAGE_RATES;
    for (uint32_t i = 0; err == CN_OK && i < CN_CONFIG_CLASS_COUNT; i += CN_CHANNEL_RATES) {
        m.number = i;
        memcpy(m.rate, s->rates + i, sizeof m.rate);
        err = cn_channel_send(worker->channel.fd, &m, NULL, 0);
    }
    worker->owes_limits = err == CN_E_MORE;
    cn_loop_change(s->setup.loop, &worker->channel,
                   EPOLLIN | (worker->owes_limits ? EPOLLOUT : 0U));
}

static void worker_begins(struct cn_subprocess *worker)
{
    struct cn_supervisor *s = worker->supervisor;

    limits_say(worker);
    if (s->gate)
        connect_two(s->gate, worker);
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == CN_SUBPROCESS_READY) {
            c->state = CN_SUBPROCESS_RUNNING;
            gate_begins(c);
        }
    }
}

static bool has_worker(const struct cn_supervisor *s)
{
    const struct cn_subprocess *c = s->children;

    while (c < s->children + CN_CHILDREN_MAX &&
           (c->role != CN_ROLE_SWITCH || c->state != CN_SUBPROCESS_RUNNING))
        c++;
    return c < s->children + CN_CHILDREN_MAX;
}

/* A gate takes over from none that could still hand calls over, while it could not itself. */
static void begins(struct cn_subprocess *child)
{
    struct cn_supervisor *s = child->supervisor;
    bool waits = child->role == CN_ROLE_GATE && s->gate && !s->leaving && !has_worker(s);

    child->state = waits ? CN_SUBPROCESS_READY : CN_SUBPROCESS_RUNNING;
    if (child->role == CN_ROLE_SWITCH)
        worker_begins(child);
    else if (child->role == CN_ROLE_GATE && !waits)
        gate_begins(child);
}

/* In all gates: those that leave have lines, too. While there is none that admits, calls are not
 * cut yet. */
void cn_supervisor_state_look(struct cn_supervisor *s)
{
    uint32_t number = s->state_number;

    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_GATE && c->state >= CN_SUBPROCESS_RUNNING &&
            c->state_number < number)
            number = c->state_number;
    }
    if (!s->gate || number <= s->state_applied)
        return;
    s->state_applied = number;
    s->setup.applied(s->setup.context, number, s->state_err, s->cut);
    s->state_err = CN_OK;
    s->cut = 0;
}

/* The gate has this one in force, and so many lines and calls ended by it. */
static void state_applied(struct cn_subprocess *gate, const struct cn_message *m)
{
    gate->state_number = m->ticket;
    gate->supervisor->cut += m->count;
    cn_supervisor_state_look(gate->supervisor);
}

void cn_supervisor_failed(struct cn_subprocess *child, const struct cn_message *m)
{
    struct cn_supervisor *s = child->supervisor;
    enum cn_err err =
        m->outcome != CN_OK && m->outcome < CN_ERR_COUNT ? (enum cn_err)m->outcome : CN_E_FORMAT;

    if (child->state == CN_SUBPROCESS_STARTING) {
        s->failure = err;
        s->failure_errno = (int)m->number;
        if (s->begun)
            cn_log_at(CN_LOG_FAILURES, "start_failed", "program=%s reason=\"%s\"",
                      cn_spawn_name(child->role),
                      err == CN_E_SYSTEM ? strerror((int)m->number) : cn_err_text(err));
    } else if (child->role == CN_ROLE_GATE) {
        s->state_err = err;
        state_applied(child, m);
    }
}

/* It reads them when it hears that they are there. */
static void sums_write(struct cn_subprocess *metrics)
{
    struct cn_status status;

    cn_supervisor_status(metrics->supervisor, &status);
    status.admitting = NULL;
    memset(status.moving, 0, sizeof status.moving);
    if (pwrite(metrics->page_fd, &status, sizeof status, 0) == (ssize_t)sizeof status)
        cn_subprocess_say_word(metrics, CN_MESSAGE_SUMS);
}

/* A gate gives a worker up; it may have ended by itself meanwhile. */
static void worker_end(struct cn_supervisor *s, pid_t pid)
{
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state != CN_SUBPROCESS_NONE && c->role == CN_ROLE_SWITCH && c->pid == pid)
            cn_subprocess_end(c, "it does not answer its gate");
    }
}

/* False: it has hung up, or says what no child of ours says. */
static bool hear(struct cn_subprocess *child)
{
    struct cn_supervisor *s = child->supervisor;
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err = cn_channel_receive(child->channel.fd, &m, fds, &fd_count);

    if (err == CN_E_MORE)
        return true;
    cn_channel_close_fds(fds, fd_count);
    if (err == CN_OK && m.type == CN_MESSAGE_READY && child->state == CN_SUBPROCESS_STARTING)
        begins(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_FAILED)
        cn_supervisor_failed(child, &m);
    else if (err == CN_OK && m.type == CN_MESSAGE_STATE && child->role == CN_ROLE_GATE)
        state_applied(child, &m);
    else if (err == CN_OK && m.type == CN_MESSAGE_SUMS && child->role == CN_ROLE_METRICS)
        sums_write(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_FAULTY && child->role == CN_ROLE_GATE)
        worker_end(s, (pid_t)m.number);
    else if (err == CN_OK && m.type == CN_MESSAGE_GATE && child->role == CN_ROLE_SWITCH)
        gate_again(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_WORKER && child->role == CN_ROLE_GATE)
        worker_again(child, (pid_t)m.number);
    else if (err == CN_OK && m.type == CN_MESSAGE_RETIRED && child->state == CN_SUBPROCESS_LEAVING)
        gate_retired(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_PING)
        cn_pinging_answered(child);
    else
        return false;
    return true;
}

void cn_supervisor_hear(struct cn_watch *watch, uint32_t epoll_events)
{
    struct cn_subprocess *child = (struct cn_subprocess *)(void *)watch;

    if (epoll_events & EPOLLOUT && child->owes_limits)
        limits_say(child);
    if (hear(child))
        return;
    cn_loop_remove(child->supervisor->setup.loop, watch);
    close(watch->fd);
    watch->fd = -1;
    cn_subprocess_kill(child); /* it is ending anyway */
}

static struct cn_switch_limits limits_of(const struct cn_supervisor *s,
                                         const struct cn_config *config)
{
    uint32_t workers = s->setup.workers > 0 ? s->setup.workers : 1;
    uint32_t pipes =
        config->pipes_max < s->setup.pipes_max ? config->pipes_max : s->setup.pipes_max;

    return (struct cn_switch_limits) {
        .pairs_max = s->setup.lines_max / 2 + 1,
        .owner_max = s->setup.lines_max,
        .pipes_max = pipes / workers,
        .turn_size = config->turn_size,
        .idle_ms = (uint64_t)config->idle_timeout * 1000,
        .stall_ms = (uint64_t)config->stall_timeout * 1000,
        .rate_all = config->rate_all,
    };
}

static bool are_same(const struct cn_switch_limits *a, const struct cn_switch_limits *b)
{
    return a->pairs_max == b->pairs_max && a->owner_max == b->owner_max &&
           a->pipes_max == b->pipes_max && a->turn_size == b->turn_size &&
           a->idle_ms == b->idle_ms && a->stall_ms == b->stall_ms && a->rate_all == b->rate_all;
}

enum cn_err cn_supervisor_state(struct cn_supervisor *supervisor,
                                const struct cn_state_parts *parts, uint32_t *number)
{
    struct cn_state_parts all = *parts;
    uint64_t rates[CN_CONFIG_CLASS_COUNT];
    struct cn_switch_limits limits;
    bool changed;
    int fd = -1;
    enum cn_err err;

    all.who_secret = supervisor->setup.who_secret;
    err = cn_state_make(&fd, &all);
    if (err != CN_OK)
        return err;
    if (supervisor->state_fd >= 0)
        close(supervisor->state_fd);
    supervisor->state_fd = fd;
    *number = ++supervisor->state_number;
    limits = limits_of(supervisor, parts->config);
    for (int k = 0; k < CN_CONFIG_CLASS_COUNT; k++)
        rates[k] = cn_config_class(parts->config, (uint8_t)k).rate_per_subscriber;
    changed = !are_same(&limits, &supervisor->limits) ||
              memcmp(rates, supervisor->rates, sizeof rates) != 0;
    supervisor->limits = limits;
    memcpy(supervisor->rates, rates, sizeof rates);
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state < CN_SUBPROCESS_RUNNING) /* it gets it when it begins */
            continue;
        if (c->role == CN_ROLE_SWITCH && c->channel.fd >= 0 && changed)
            limits_say(c);
        else if (c->role == CN_ROLE_GATE)
            state_say(c);
    }
    return CN_OK;
}
