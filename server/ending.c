/* ending.c - processes of the supervisor end, by themselves or since all are to. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "subprocess.h"

static const char *signal_reason(int signal)
{
    if (signal == SIGSYS)
        return " reason=\"its sandbox forbids what it asked of the system\"";
    return signal == SIGABRT ? " reason=\"it found itself in the wrong, as it has told\"" : "";
}

static void gone_log(const struct cn_subprocess *child, int status)
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

static uint64_t *restarts_of(struct cn_supervisor *s, enum cn_role role)
{
    if (role == CN_ROLE_GATE)
        return &s->past.gate_restarts;
    return role == CN_ROLE_SWITCH ? &s->past.worker_restarts : &s->past.metrics_restarts;
}

/* Why it could not start. */
static void last_word(struct cn_subprocess *child)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;

    while (child->channel.fd >= 0 &&
           cn_channel_receive(child->channel.fd, &m, fds, &fd_count) == CN_OK) {
        cn_channel_close_fds(fds, fd_count);
        if (m.type == CN_MESSAGE_FAILED)
            cn_supervisor_failed(child, &m);
    }
}

/* Whether it is the gate that is to cut calls while they end. */
static bool cuts(const struct cn_subprocess *child)
{
    const struct cn_supervisor *s = child->supervisor;

    return child->role == CN_ROLE_GATE && !child->ends && (child == s->gate || !s->gate);
}

static void child_gone(struct cn_subprocess *child, int status)
{
    struct cn_supervisor *s = child->supervisor;
    bool in_haste = s->setup.loop->now_ms < child->started_ms + CN_SUBPROCESS_HASTE_MS;
    bool unexpected = s->leaving ? cuts(child) : child->state != CN_SUBPROCESS_LEAVING;
    bool was_starting = child->state == CN_SUBPROCESS_STARTING;
    bool cut = child->role == CN_ROLE_SWITCH && status != 0; /* also while it was leaving */

    child->pid = 0; /* the number may be another's by now */
    if (was_starting)
        last_word(child);
    if ((unexpected || cut || child->fault) && s->failure == CN_OK)
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
    cn_subprocess_forget(child);
    cn_supervisor_state_look(s);
    cn_supervisor_workers_drain(s);
    cn_supervisor_gates_end(s);
    if (s->begun)
        s->failure = CN_OK;
    if (unexpected && (in_haste || was_starting))
        cn_starting_later(s);
    else if (unexpected)
        cn_starting_missing(s);
}

/* Metrics are there to the end. */
static bool is_empty(const struct cn_supervisor *s)
{
    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state != CN_SUBPROCESS_NONE && c->role != CN_ROLE_METRICS)
            return false;
    }
    return true;
}

void cn_supervisor_reap(struct cn_supervisor *supervisor)
{
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        int status = 0;

        if (c->state != CN_SUBPROCESS_NONE && waitpid(c->pid, &status, WNOHANG) == c->pid)
            child_gone(c, status);
    }
    if (supervisor->leaving && is_empty(supervisor))
        supervisor->setup.empty(supervisor->setup.context);
}

void cn_supervisor_leave(struct cn_supervisor *supervisor)
{
    supervisor->leaving = true;
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state == CN_SUBPROCESS_NONE || c->state == CN_SUBPROCESS_LEAVING)
            continue;
        if (c->role != CN_ROLE_GATE)
            c->state = CN_SUBPROCESS_LEAVING;
        else if (supervisor->gate) /* else it is to cut calls, and retires when it has begun */
            cn_supervisor_gate_retire(c);
    }
    cn_starting_missing(supervisor);
    cn_supervisor_workers_drain(supervisor);
    cn_supervisor_reap(supervisor);
}

/* A worker is asked first, so that calls end with a reset; who does not hear is killed. */
void cn_supervisor_destroy(struct cn_supervisor *supervisor)
{
    if (!supervisor)
        return;
    cn_loop_timer_clear(supervisor->setup.loop, &supervisor->sampling);
    cn_loop_timer_clear(supervisor->setup.loop, &supervisor->pinging);
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state != CN_SUBPROCESS_NONE && c->role == CN_ROLE_SWITCH)
            cn_subprocess_say_word(c, CN_MESSAGE_END);
    }
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        const struct timespec moment = { 0, 5000000 };
        int tries = c->role == CN_ROLE_SWITCH ? 200 : 0;

        if (c->state == CN_SUBPROCESS_NONE)
            continue;
        while (waitpid(c->pid, NULL, WNOHANG) == 0) {
            if (tries-- <= 0)
                cn_subprocess_kill(c);
            nanosleep(&moment, NULL);
        }
        cn_subprocess_forget(c);
    }
    if (supervisor->state_fd >= 0)
        close(supervisor->state_fd);
    free(supervisor);
}
