#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "keyfile.h"

enum {
    SAMPLE_MS = 10000,
    HASTE_MS = 1000,      /* who ends so soon after its start is not started again at once */
    START_MS_MAX = 30000, /* sanitizers on a busy machine need a part of it */
    PING_MS = 5000,
    PINGS_MISSED_MAX = 2 /* who has not answered by the second after one is stuck */
};

enum state { NONE = 0, STARTING, RUNNING, LEAVING };

struct child {
    struct cn_watch channel; /* first; fd -1: hung up */
    struct cn_supervisor *supervisor;
    pid_t pid;
    enum cn_role role;
    uint32_t number; /* among those of its role */
    enum state state;
    struct cn_page_map page;
    uint64_t bytes_before[2]; /* as sample has it */
    int page_fd;
    uint64_t started_ms;
    bool pinged; /* and owes the answer */
    uint32_t pings_missed;
    bool owes_limits;  /* there was no room to tell a worker all of them */
    bool drains;       /* a worker that has been told to end when it is idle */
    bool retired;      /* a gate that has nothing left but to cut calls */
    bool ends;         /* and has been told to end */
    const char *fault; /* why it was killed; NULL: it was not, or was leaving anyway */
};

/* What had been counted at a time, for rates. */
struct sample {
    uint64_t ms;
    uint64_t bytes;
    uint64_t admitted;
    uint64_t joined;
};

struct cn_supervisor {
    struct cn_supervisor_setup setup;
    char programs[CN_SPAWN_DIR_SIZE]; /* the directory that has them */
    struct child children[CN_CHILDREN_MAX];
    struct child *gate; /* that admits; NULL: none just now */
    bool gate_is_old;   /* it is another program's, and to be replaced */
    struct cn_switch_limits limits;
    uint64_t rates[CN_CONFIG_CLASS_COUNT];
    int state_fd; /* -1: none yet */
    uint32_t state_number;
    struct cn_timer sampling;
    struct cn_timer pinging;
    struct sample sample[2]; /* the last but one, the last */
    struct cn_timer again;   /* start what is missing */
    bool begun;              /* all have been running once */
    bool leaving;
    enum cn_err failure; /* of one that could not start */
    int failure_errno;
    struct cn_status past; /* what those who have ended counted, and restarts */
};

static void child_ready(struct cn_watch *watch, uint32_t epoll_events);
static void start_missing(struct cn_supervisor *s);
static void ping_fire(struct cn_timer *timer);

static void again_fire(struct cn_timer *timer)
{
    start_missing(
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, again)));
}

static void sample_take(struct cn_supervisor *s)
{
    struct cn_status status;

    cn_supervisor_status(s, &status);
    s->sample[0] =
        s->sample[1].ms > 0 ? s->sample[1] : (struct sample) { .ms = s->setup.loop->now_ms };
    s->sample[1] =
        (struct sample) { s->setup.loop->now_ms, status.calls.bytes_total,
                          status.gate.count[CN_GATE_ADMITTED], status.gate.count[CN_GATE_JOINED] };
    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role != CN_ROLE_SWITCH || !c->page.page)
            continue;
        c->bytes_before[0] = c->bytes_before[1];
        c->bytes_before[1] = c->page.page->calls.bytes_total;
    }
    cn_loop_timer_set(s->setup.loop, &s->sampling, s->setup.loop->now_ms + SAMPLE_MS);
}

static void sample_fire(struct cn_timer *timer)
{
    sample_take(
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, sampling)));
}

static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms > 0 && now > before ? (now - before) * 1000 / ms : 0;
}

static void rates_fill(const struct cn_supervisor *s, struct cn_status *status)
{
    const struct sample *before = &s->sample[0];
    uint64_t ms = s->setup.loop->now_ms - before->ms;

    status->bytes_per_s = rate(status->calls.bytes_total, before->bytes, ms);
    status->admitted_per_s = rate(status->gate.count[CN_GATE_ADMITTED], before->admitted, ms);
    status->joined_per_s = rate(status->gate.count[CN_GATE_JOINED], before->joined, ms);
}

enum cn_err cn_supervisor_create(struct cn_supervisor **supervisor,
                                 const struct cn_supervisor_setup *setup)
{
    struct cn_supervisor *s = calloc(1, sizeof *s);

    if (!s)
        return CN_E_MEMORY;
    s->setup = *setup;
    s->state_fd = -1;
    s->again.fire = again_fire;
    s->sampling.fire = sample_fire;
    s->pinging.fire = ping_fire;
    for (int i = 0; i < CN_CHILDREN_MAX; i++)
        s->children[i] = (struct child) { .channel = { -1, child_ready }, .supervisor = s };
    if (!cn_spawn_find(s->programs)) {
        free(s);
        return CN_E_ABSENT;
    }
    sample_take(s);
    cn_loop_timer_set(s->setup.loop, &s->pinging, s->setup.loop->now_ms + PING_MS);
    *supervisor = s;
    return CN_OK;
}

/* Not one that has been reaped, whose number is another's. */
static void child_kill(const struct child *child)
{
    if (child->pid > 0)
        (void)kill(child->pid, SIGKILL);
}

static void child_end(struct child *child, const char *why)
{
    child->fault = why;
    child_kill(child);
}

/* --- saying ---------------------------------------------------------------------------------- */

/* Who does not take what is said is stuck, or lost: it is ended, and started again like any that
 * ended by itself. */
static void say(struct child *child, const struct cn_message *m, const int *fds, size_t fd_count)
{
    if (child->channel.fd >= 0 && cn_channel_send(child->channel.fd, m, fds, fd_count) != CN_OK)
        child_end(child, "it does not take what it is told");
}

static void say_word(struct child *child, enum cn_message_type type)
{
    const struct cn_message m = { .type = (uint16_t)type };

    say(child, &m, NULL, 0);
}

/* A channel between these two. If there is none to be had the gate is started anew. */
static void connect_two(struct child *gate, struct child *worker)
{
    const struct cn_message to_worker = { .type = CN_MESSAGE_GATE };
    const struct cn_message to_gate = { .type = CN_MESSAGE_WORKER,
                                        .number = (uint32_t)worker->pid,
                                        .draining = worker->state == LEAVING };
    int ends[2];

    if (cn_channel_make(ends) != CN_OK) {
        child_kill(gate);
        return;
    }
    say(worker, &to_worker, &ends[0], 1);
    say(gate, &to_gate, &ends[1], 1);
    cn_channel_close_fds(ends, 2);
}

/* --- starting -------------------------------------------------------------------------------- */

static struct child *child_free(struct cn_supervisor *s)
{
    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == NONE)
            return c;
    }
    errno = EAGAIN;
    return NULL;
}

/* What a child is told first. */
static enum cn_err start_say(struct cn_supervisor *s, int channel, enum cn_role role, int page)
{
    const struct cn_message m = { .type = CN_MESSAGE_START,
                                  .number = s->setup.lines_max,
                                  .log_level = (uint32_t)s->setup.log_level,
                                  .log_style = cn_log_style(),
                                  .limits = s->limits };
    int fds[CN_CHANNEL_FDS_MAX] = { page, -1, s->state_fd };
    enum cn_err err;

    fds[1] = role == CN_ROLE_SWITCH ? s->setup.rate_fd : s->setup.metrics_fd;
    if (role == CN_ROLE_SWITCH)
        return cn_channel_send(channel, &m, fds, 2);
    if (role == CN_ROLE_METRICS)
        return cn_channel_send(channel, &m, fds, 2);
    err = cn_keyfile_open(s->setup.dir_fd, CN_SERVER_KEY_FILE, CN_ARMOR_SERVER_KEY, &fds[1]);
    if (err == CN_OK) {
        err = cn_channel_send(channel, &m, fds, 3);
        close(fds[1]);
    }
    return err;
}

/* The least that none of its role has. */
static uint32_t number_free(const struct cn_supervisor *s, enum cn_role role)
{
    for (uint32_t number = 0;; number++) {
        bool taken = false;

        for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
            taken = taken || (c->state != NONE && c->role == role && c->number == number);
        if (!taken)
            return number;
    }
}

/* What it tells, of its own or of all: to who serves metrics no subscriber's numbers go. */
static enum cn_err page_make(const struct cn_supervisor *s, enum cn_role role, int *page)
{
    /* a gate counts those whose calls other gates handed over, beside those of its own lines */
    if (role != CN_ROLE_METRICS)
        return cn_page_make(page, s->setup.lines_max * (role == CN_ROLE_GATE ? 2 : 1));
    *page = memfd_create("cyphernet-sums", MFD_CLOEXEC);
    return *page >= 0 ? CN_OK : CN_E_SYSTEM;
}

static enum cn_err page_map(struct child *child)
{
    return child->role == CN_ROLE_METRICS ? CN_OK
                                          : cn_page_map(&child->page, child->page_fd, false);
}

static enum cn_err child_start(struct cn_supervisor *s, enum cn_role role)
{
    struct child *c = child_free(s);
    int ends[2] = { -1, -1 };
    int page = -1;
    enum cn_err err = c ? cn_channel_make(ends) : CN_E_SYSTEM;
    pid_t pid = -1;
    int saved;

    if (err == CN_OK)
        err = page_make(s, role, &page);
    if (err == CN_OK)
        err = start_say(s, ends[0], role, page);
    if (err == CN_OK)
        err = cn_spawn(s->programs, role, ends[1], &pid);
    saved = errno;
    if (ends[1] >= 0)
        close(ends[1]);
    if (err != CN_OK) {
        if (ends[0] >= 0)
            close(ends[0]);
        if (page >= 0)
            close(page);
        errno = saved;
        return err;
    }
    *c = (struct child) { .channel = { ends[0], child_ready },
                          .supervisor = s,
                          .pid = pid,
                          .role = role,
                          .number = number_free(s, role),
                          .state = STARTING,
                          .page_fd = page,
                          .started_ms = s->setup.loop->now_ms };
    err = page_map(c);
    if (err == CN_OK)
        err = cn_loop_add(s->setup.loop, &c->channel, EPOLLIN);
    if (err != CN_OK)
        child_kill(c); /* whoever cannot be heard */
    return err;
}

static unsigned count(const struct cn_supervisor *s, enum cn_role role)
{
    unsigned n = 0;

    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        n += c->role == role && (c->state == STARTING || c->state == RUNNING);
    return n;
}

static bool has_workers(const struct cn_supervisor *s)
{
    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state != NONE)
            return true;
    }
    return false;
}

/* While a gate that is to be replaced still admits, there is one more. While calls end there is one
 * that can cut them. */
static bool gate_missing(const struct cn_supervisor *s)
{
    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_GATE && c->state == STARTING)
            return false;
    }
    return s->leaving ? !s->gate && has_workers(s) : !s->gate || s->gate_is_old;
}

static enum cn_err try_start(struct cn_supervisor *s)
{
    enum cn_err err = CN_OK;

    if (gate_missing(s))
        err = child_start(s, CN_ROLE_GATE);
    if (s->leaving)
        return err;
    while (err == CN_OK && count(s, CN_ROLE_SWITCH) < s->setup.workers)
        err = child_start(s, CN_ROLE_SWITCH);
    if (err == CN_OK && s->setup.metrics_fd >= 0 && count(s, CN_ROLE_METRICS) == 0)
        err = child_start(s, CN_ROLE_METRICS);
    return err;
}

static void start_missing(struct cn_supervisor *s)
{
    enum cn_err err = try_start(s);

    if (err == CN_OK)
        return;
    cn_log_at(CN_LOG_FAILURES, "start_failed", "reason=\"%s\"",
              err == CN_E_SYSTEM ? strerror(errno) : cn_err_text(err));
    cn_loop_timer_set(s->setup.loop, &s->again, s->setup.loop->now_ms + HASTE_MS);
}

enum cn_err cn_supervisor_start(struct cn_supervisor *supervisor)
{
    return try_start(supervisor);
}

bool cn_supervisor_has_room(const struct cn_supervisor *supervisor)
{
    uint32_t used = supervisor->setup.workers + 3; /* gate, metrics, one to spare */

    for (const struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++)
        used += c->state != NONE;
    return used <= CN_CHILDREN_MAX;
}

static bool is_starting(const struct cn_supervisor *s)
{
    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == STARTING)
            return true;
    }
    return false;
}

enum cn_err cn_supervisor_started(struct cn_supervisor *supervisor)
{
    struct cn_loop *loop = supervisor->setup.loop;

    while (is_starting(supervisor) && supervisor->failure == CN_OK) {
        if (cn_loop_turn(loop, true) != CN_OK)
            return CN_E_SYSTEM;
    }
    errno = supervisor->failure_errno;
    supervisor->begun = supervisor->failure == CN_OK;
    return supervisor->failure;
}

bool cn_supervisor_admits(const struct cn_supervisor *supervisor)
{
    return supervisor->gate && supervisor->gate->state == RUNNING;
}

void cn_supervisor_go_on(struct cn_supervisor *supervisor)
{
    supervisor->begun = true;
    supervisor->failure = CN_OK;
    cn_loop_timer_set(supervisor->setup.loop, &supervisor->again,
                      supervisor->setup.loop->now_ms + HASTE_MS);
}

/* --- pinging --------------------------------------------------------------------------------- */

/* Pings are counted, not time, which goes on while all are stopped, or the machine is. One for
 * which there is no room counts as well, and is sent later: who begins to take again shall live. */
static void ping(struct child *child)
{
    const struct cn_message m = { .type = CN_MESSAGE_PING };

    if (child->pings_missed == PINGS_MISSED_MAX)
        child_end(child, "it does not answer");
    else
        child->pings_missed++;
    if (!child->pinged && child->channel.fd >= 0)
        child->pinged = cn_channel_send(child->channel.fd, &m, NULL, 0) == CN_OK;
}

static void pinged_back(struct child *child)
{
    child->pinged = false;
    child->pings_missed = 0;
}

static bool answers(const struct child *child)
{
    return child->state == RUNNING && child->pings_missed < PINGS_MISSED_MAX;
}

bool cn_supervisor_serves(const struct cn_supervisor *supervisor)
{
    const struct child *c = supervisor->children;

    while (c < supervisor->children + CN_CHILDREN_MAX && (c->role != CN_ROLE_SWITCH || !answers(c)))
        c++;
    return c < supervisor->children + CN_CHILDREN_MAX && supervisor->gate &&
           answers(supervisor->gate);
}

static void ping_fire(struct cn_timer *timer)
{
    struct cn_supervisor *s =
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, pinging));

    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == RUNNING || c->state == LEAVING)
            ping(c);
        else if (c->state == STARTING && s->setup.loop->now_ms > c->started_ms + START_MS_MAX)
            child_end(c, "it does not begin");
    }
    cn_loop_timer_set(s->setup.loop, timer, s->setup.loop->now_ms + PING_MS);
}

/* --- hearing --------------------------------------------------------------------------------- */

static void state_say(struct child *gate)
{
    const struct cn_supervisor *s = gate->supervisor;
    const struct cn_message m = { .type = CN_MESSAGE_STATE, .ticket = s->state_number };

    say(gate, &m, &s->state_fd, 1);
}

/* Workers that are to leave do so after the gates that may still bring them calls. */
static void workers_drain(struct cn_supervisor *s)
{
    bool gates = s->gate && s->gate_is_old && !s->leaving;

    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        gates |= c->role == CN_ROLE_GATE && c->state == LEAVING && !c->retired;
    for (struct child *c = s->children; !gates && c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state == LEAVING && !c->drains) {
            c->drains = true;
            say_word(c, CN_MESSAGE_DRAIN);
        }
    }
}

static void gate_retire(struct child *gate)
{
    gate->state = LEAVING;
    say_word(gate, CN_MESSAGE_RETIRE);
}

/* But for the one that can cut calls which others have left. */
static void gates_end(struct cn_supervisor *s)
{
    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role != CN_ROLE_GATE || !c->retired || c->ends || (c == s->gate && has_workers(s)))
            continue;
        c->ends = true;
        say_word(c, CN_MESSAGE_END);
    }
}

static void gate_retired(struct child *gate)
{
    gate->retired = true;
    gates_end(gate->supervisor);
    workers_drain(gate->supervisor);
}

static void workers_connect(struct child *gate, enum state state)
{
    struct cn_supervisor *s = gate->supervisor;

    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state == state)
            connect_two(gate, c);
    }
}

/* It admits from now on, and whoever did so far leaves. */
static void gate_begins(struct child *gate)
{
    struct cn_supervisor *s = gate->supervisor;
    const struct cn_message listen = { .type = CN_MESSAGE_LISTEN };
    struct child *before = s->gate;

    s->gate = gate;
    s->gate_is_old = false;
    workers_connect(gate, RUNNING);
    workers_connect(gate, LEAVING);
    for (size_t i = 0; !s->leaving && i < s->setup.listeners->count; i++)
        say(gate, &listen, &s->setup.listeners->fd[i], 1);
    state_say(gate); /* it may have changed since the gate was started */
    if (before)
        gate_retire(before);
    if (s->leaving)
        gate_retire(gate);
    workers_drain(s);
}

/* Limits, and rates of all classes, a few in each message. A worker that is late with its calls is
 * no reason to end them: what it cannot take now it gets, whole, as soon as it can. */
static void limits_say(struct child *worker)
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

static void begins(struct child *child)
{
    child->state = RUNNING;
    if (child->role == CN_ROLE_GATE) {
        gate_begins(child);
        return;
    }
    if (child->role != CN_ROLE_SWITCH)
        return;
    limits_say(child);
    if (child->supervisor->gate)
        connect_two(child->supervisor->gate, child);
}

static void failed(struct child *child, const struct cn_message *m)
{
    struct cn_supervisor *s = child->supervisor;
    enum cn_err err =
        m->outcome != CN_OK && m->outcome < CN_ERR_COUNT ? (enum cn_err)m->outcome : CN_E_FORMAT;

    if (child->state == STARTING) {
        s->failure = err;
        s->failure_errno = (int)m->number;
        if (s->begun)
            cn_log_at(CN_LOG_FAILURES, "start_failed", "program=%s reason=\"%s\"",
                      cn_spawn_name(child->role),
                      err == CN_E_SYSTEM ? strerror((int)m->number) : cn_err_text(err));
    } else if (child == s->gate) {
        s->setup.applied(s->setup.context, m->ticket, err, 0);
    }
}

/* It reads them when it hears that they are there. */
static void sums_write(struct child *metrics)
{
    struct cn_status status;

    cn_supervisor_status(metrics->supervisor, &status);
    status.admitting = NULL;
    memset(status.moving, 0, sizeof status.moving);
    if (pwrite(metrics->page_fd, &status, sizeof status, 0) == (ssize_t)sizeof status)
        say_word(metrics, CN_MESSAGE_SUMS);
}

/* A gate gives a worker up; it may have ended by itself meanwhile. */
static void worker_end(struct cn_supervisor *s, pid_t pid)
{
    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state != NONE && c->role == CN_ROLE_SWITCH && c->pid == pid)
            child_end(c, "it does not answer its gate");
    }
}

/* False: it has hung up, or says what no child of ours says. */
static bool hear(struct child *child)
{
    struct cn_supervisor *s = child->supervisor;
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err = cn_channel_receive(child->channel.fd, &m, fds, &fd_count);

    if (err == CN_E_MORE)
        return true;
    cn_channel_close_fds(fds, fd_count);
    if (err == CN_OK && m.type == CN_MESSAGE_READY && child->state == STARTING)
        begins(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_FAILED)
        failed(child, &m);
    else if (err == CN_OK && m.type == CN_MESSAGE_STATE && child == s->gate)
        s->setup.applied(s->setup.context, m.ticket, CN_OK, m.count);
    else if (err == CN_OK && m.type == CN_MESSAGE_SUMS && child->role == CN_ROLE_METRICS)
        sums_write(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_FAULTY && child->role == CN_ROLE_GATE)
        worker_end(s, (pid_t)m.number);
    else if (err == CN_OK && m.type == CN_MESSAGE_RETIRED && child->state == LEAVING)
        gate_retired(child);
    else if (err == CN_OK && m.type == CN_MESSAGE_PING)
        pinged_back(child);
    else if (err != CN_OK || m.type != CN_MESSAGE_STATE)
        return false;
    return true;
}

static void child_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct child *child = (struct child *)(void *)watch;

    if (epoll_events & EPOLLOUT && child->owes_limits)
        limits_say(child);
    if (hear(child))
        return;
    cn_loop_remove(child->supervisor->setup.loop, watch);
    close(watch->fd);
    watch->fd = -1;
    child_kill(child); /* it is ending anyway */
}

/* --- ending ---------------------------------------------------------------------------------- */

static const char *signal_reason(int signal)
{
    if (signal == SIGSYS)
        return " reason=\"its sandbox forbids what it asked of the system\"";
    return signal == SIGABRT ? " reason=\"it found itself in the wrong, as it has told\"" : "";
}

static void gone_log(const struct child *child, int status)
{
    if (child->fault)
        cn_log_at(CN_LOG_FAILURES, "process_ended", "program=%s reason=\"%s\"",
                  cn_spawn_name(child->role), child->fault);
    else if (WIFSIGNALED(status))
        cn_log_at(CN_LOG_FAILURES, "process_ended", "program=%s signal=%d%s",
                  cn_spawn_name(child->role), WTERMSIG(status), signal_reason(WTERMSIG(status)));
    else
        cn_log_at(CN_LOG_FAILURES, "process_ended", "program=%s code=%d",
                  cn_spawn_name(child->role), WEXITSTATUS(status));
}

static void child_forget(struct child *child)
{
    struct cn_supervisor *s = child->supervisor;

    if (child->channel.fd >= 0) {
        cn_loop_remove(s->setup.loop, &child->channel);
        close(child->channel.fd);
    }
    cn_page_unmap(&child->page);
    close(child->page_fd);
    *child = (struct child) { .channel = { -1, child_ready }, .supervisor = s };
}

static uint64_t *restarts_of(struct cn_supervisor *s, enum cn_role role)
{
    if (role == CN_ROLE_GATE)
        return &s->past.gate_restarts;
    return role == CN_ROLE_SWITCH ? &s->past.worker_restarts : &s->past.metrics_restarts;
}

/* Why it could not start. */
static void last_word(struct child *child)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;

    while (child->channel.fd >= 0 &&
           cn_channel_receive(child->channel.fd, &m, fds, &fd_count) == CN_OK) {
        cn_channel_close_fds(fds, fd_count);
        if (m.type == CN_MESSAGE_FAILED)
            failed(child, &m);
    }
}

static void child_gone(struct child *child, int status)
{
    struct cn_supervisor *s = child->supervisor;
    bool in_haste = s->setup.loop->now_ms < child->started_ms + HASTE_MS;
    bool unexpected = s->leaving ? child == s->gate && !child->ends : child->state != LEAVING;
    bool was_starting = child->state == STARTING;

    child->pid = 0; /* the number may be another's by now */
    if (was_starting)
        last_word(child);
    if ((unexpected || child->fault) && s->failure == CN_OK)
        gone_log(child, status);
    if (was_starting && !s->begun && s->failure == CN_OK) {
        s->failure = CN_E_SYSTEM;
        s->failure_errno = child->fault ? ETIMEDOUT : ENOEXEC;
    }
    if (child->page.page)
        cn_status_add(&s->past, child->page.page, false);
    if (unexpected)
        *restarts_of(s, child->role) += 1;
    if (s->gate == child)
        s->gate = NULL;
    child_forget(child);
    workers_drain(s);
    gates_end(s);
    if (s->begun)
        s->failure = CN_OK;
    if (unexpected && (in_haste || was_starting))
        cn_loop_timer_set(s->setup.loop, &s->again, s->setup.loop->now_ms + HASTE_MS);
    else if (unexpected)
        start_missing(s);
}

/* Metrics are there to the end. */
static bool is_empty(const struct cn_supervisor *s)
{
    for (const struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state != NONE && c->role != CN_ROLE_METRICS)
            return false;
    }
    return true;
}

void cn_supervisor_reap(struct cn_supervisor *supervisor)
{
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        int status = 0;

        if (c->state != NONE && waitpid(c->pid, &status, WNOHANG) == c->pid)
            child_gone(c, status);
    }
    if (supervisor->leaving && is_empty(supervisor))
        supervisor->setup.empty(supervisor->setup.context);
}

void cn_supervisor_leave(struct cn_supervisor *supervisor)
{
    supervisor->leaving = true;
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state != RUNNING && c->state != STARTING)
            continue;
        if (c->role != CN_ROLE_GATE)
            c->state = LEAVING;
        else if (supervisor->gate) /* else it is to cut calls, and retires when it has begun */
            gate_retire(c);
    }
    start_missing(supervisor);
    workers_drain(supervisor);
    cn_supervisor_reap(supervisor);
}

/* A worker is asked first, so that calls end with a reset; who does not hear is killed. */
void cn_supervisor_destroy(struct cn_supervisor *supervisor)
{
    if (!supervisor)
        return;
    cn_loop_timer_clear(supervisor->setup.loop, &supervisor->sampling);
    cn_loop_timer_clear(supervisor->setup.loop, &supervisor->pinging);
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state != NONE && c->role == CN_ROLE_SWITCH)
            say_word(c, CN_MESSAGE_END);
    }
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        const struct timespec moment = { 0, 5000000 };
        int tries = c->role == CN_ROLE_SWITCH ? 200 : 0;

        if (c->state == NONE)
            continue;
        while (waitpid(c->pid, NULL, WNOHANG) == 0) {
            if (tries-- <= 0)
                child_kill(c);
            nanosleep(&moment, NULL);
        }
        child_forget(c);
    }
    if (supervisor->state_fd >= 0)
        close(supervisor->state_fd);
    free(supervisor);
}

/* --- state ----------------------------------------------------------------------------------- */

static struct cn_switch_limits limits_of(const struct cn_supervisor *s,
                                         const struct cn_config *config)
{
    uint32_t workers = s->setup.workers > 0 ? s->setup.workers : 1;

    return (struct cn_switch_limits) {
        .pairs_max = s->setup.lines_max / 2 + 1,
        .owner_max = s->setup.lines_max,
        .pipes_max = config->pipes_max / workers,
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
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state == NONE)
            continue;
        if (c->role == CN_ROLE_SWITCH && c->state != STARTING && c->channel.fd >= 0 && changed)
            limits_say(c);
        else if (c->role == CN_ROLE_GATE && c->state != STARTING) /* else when it begins */
            state_say(c);
    }
    return CN_OK;
}

/* --- taking over ----------------------------------------------------------------------------- */

static void fds_survive(const struct child *c, bool survive)
{
    const int flags = survive ? 0 : FD_CLOEXEC;

    (void)fcntl(c->page_fd, F_SETFD, flags);
    if (c->channel.fd >= 0)
        (void)fcntl(c->channel.fd, F_SETFD, flags);
}

size_t cn_supervisor_heirs(struct cn_supervisor *supervisor, struct cn_heir heirs[CN_CHILDREN_MAX])
{
    size_t n = 0;

    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state == NONE)
            continue;
        heirs[n++] = (struct cn_heir) { .pid = c->pid,
                                        .channel = c->channel.fd,
                                        .page = c->page_fd,
                                        .role = c->role,
                                        .number = c->number,
                                        .leaving = c != supervisor->gate };
        fds_survive(c, true);
    }
    return n;
}

void cn_supervisor_keep(struct cn_supervisor *supervisor)
{
    for (struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state != NONE)
            fds_survive(c, false);
    }
}

enum cn_err cn_supervisor_inherit(struct cn_supervisor *supervisor, const struct cn_status *past,
                                  const struct cn_heir *heirs, size_t count)
{
    struct cn_supervisor *s = supervisor;

    s->past = *past;

    for (size_t i = 0; i < count && i < CN_CHILDREN_MAX; i++) {
        struct child *c = &s->children[i];
        enum cn_err err;

        *c = (struct child) { .channel = { heirs[i].channel, child_ready },
                              .supervisor = s,
                              .pid = heirs[i].pid,
                              .role = heirs[i].role < CN_ROLE_COUNT ? (enum cn_role)heirs[i].role
                                                                    : CN_ROLE_SWITCH,
                              .number = heirs[i].number,
                              .state = heirs[i].leaving ? LEAVING : RUNNING,
                              .page_fd = heirs[i].page };
        fds_survive(c, false);
        err = page_map(c);
        if (err == CN_OK && c->channel.fd >= 0)
            err = cn_loop_add(s->setup.loop, &c->channel, EPOLLIN);
        if (err != CN_OK)
            return err;
        if (c->role == CN_ROLE_METRICS) /* it has nothing to finish */
            child_kill(c);
        if (c->state == RUNNING)
            s->gate = c;
    }
    s->gate_is_old = s->gate != NULL;
    s->sample[1].ms = 0;
    sample_take(s);
    s->sample[0] = s->sample[1];
    for (struct child *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        c->bytes_before[0] = c->bytes_before[1];
    return CN_OK;
}

void cn_supervisor_past(const struct cn_supervisor *supervisor, struct cn_status *status)
{
    *status = supervisor->past;
}

void cn_supervisor_status(const struct cn_supervisor *supervisor, struct cn_status *status)
{
    *status = supervisor->past;
    status->moving_count = 0;
    status->admitting = supervisor->gate ? &supervisor->gate->page : NULL;
    status->admits = cn_supervisor_admits(supervisor);
    status->lines_max = supervisor->setup.lines_max;
    status->uptime_s = (supervisor->setup.loop->now_ms - supervisor->setup.started_ms) / 1000;
    for (const struct child *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state == NONE || !c->page.page)
            continue;
        cn_status_add(status, c->page.page, true);
        if (c->role == CN_ROLE_SWITCH) {
            status->moving[status->moving_count++] = &c->page;
            status->worker[status->workers++] = (struct cn_status_worker) {
                .number = c->number,
                .draining = c->state == LEAVING,
                .bytes_per_s = rate(c->page.page->calls.bytes_total, c->bytes_before[0],
                                    supervisor->setup.loop->now_ms - supervisor->sample[0].ms),
                .calls = c->page.page->calls
            };
        }
    }
    rates_fill(supervisor, status);
}
