/* answer_pipe.c - a pipe to a command of the rules: cli/piping.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "command_line.h"
#include "connect.h"
#include "piping.h"
#include "progress.h"

enum { END_MS = 5000 /* for the command, after SIGTERM; then SIGKILL */ };

struct answer_pipe {
    struct cn_piping piping;
    char **words;     /* owned */
    uint64_t kill_ms; /* 0: it may go on; UINT64_MAX: it has been */
};

/* errno, or 0. */
static int begin_command(struct cn_agent_call *c, struct answer_pipe *a, const char *program)
{
    char path[PATH_MAX];

    if (!a->words)
        return ENOMEM;
    if (!cn_child_find(program, path))
        return errno;
    cn_piping_command(&a->piping, path, a->words, &c->agent->signals.before, false);
    cn_piping_begin(&a->piping);
    return 0;
}

static bool begin(struct cn_agent_call *c)
{
    const struct cn_rule *rule = cn_agent_rule(c->agent, c->contact);
    struct answer_pipe *a = calloc(1, sizeof *a);
    int error = ENOMEM;

    if (a) {
        a->words = cn_command_line_for(rule->pipe, c->contact);
        a->piping = (struct cn_piping) {
            .cli = c->agent->cli,
            .dial = { .call = c->call, .name = c->contact, .is_open = true, .events_fd = -1 },
            .in = -1,
            .out = -1,
            .child = CN_CHILD_NONE,
        };
        error = begin_command(c, a, rule->pipe[0]);
    }
    if (error == 0) {
        c->work = a;
        return true;
    }
    cn_agent_call_tell(c, CN_HISTORY_FAILED, "%s: %s", rule->pipe[0], strerror(error));
    cn_call_cancel(c->call, CN_E_SYSTEM);
    if (a)
        free(a->words);
    free(a);
    return false;
}

/* The call is over, and the command is not: it is ended before it could take the end of what came
 * for an end of all, and not waited for without doing anything else. */
static void command_end(struct answer_pipe *a)
{
    struct cn_child *child = &a->piping.child;
    uint64_t now_ms = cn_connect_clock_ms();
    int status;

    if (cn_child_took(child, &status))
        return;
    if (a->kill_ms == 0) {
        cn_child_signal(child, SIGTERM);
        a->kill_ms = now_ms + END_MS;
    } else if (now_ms >= a->kill_ms) {
        cn_child_signal(child, SIGKILL);
        a->kill_ms = UINT64_MAX;
    }
}

static void process(struct cn_agent_call *c)
{
    struct answer_pipe *a = c->work;
    struct cn_piping *p = &a->piping;

    if (!p->closed && c->polled)
        cn_piping_polled(p, c->polled);
    if (!p->closed)
        cn_piping_process(p);
    if (p->closed && p->child.pid > 0)
        command_end(a);
    c->over = p->closed && p->child.pid <= 0;
}

static size_t descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    struct answer_pipe *a = c->work;
    uint64_t now_ms = cn_connect_clock_ms();

    if (!a->piping.closed)
        return cn_piping_descriptors(&a->piping, polled, timeout_ms);
    if (a->kill_ms != UINT64_MAX)
        cn_agent_shorten(timeout_ms, a->kill_ms > now_ms ? (int)(a->kill_ms - now_ms) : 0);
    polled[0] = (struct pollfd) { a->piping.child.ended, POLLIN, 0 };
    return 1;
}

static void end(struct cn_agent_call *c)
{
    struct answer_pipe *a = c->work;
    struct cn_piping *p = &a->piping;
    char in[32], out[32];

    cn_size_text(in, (double)p->received);
    cn_size_text(out, (double)p->sent);
    if (p->code == CN_EXIT_DONE)
        cn_agent_call_tell(c, CN_HISTORY_DONE, "%s: %s came, %s went", a->words[0], in, out);
    else
        cn_agent_call_tell(
            c, p->code == CN_EXIT_INTERRUPTED ? CN_HISTORY_INTERRUPTED : CN_HISTORY_FAILED,
            "%s: %s came, %s went, and it is not complete", a->words[0], in, out);
    cn_child_end(&p->child); /* closes what is left; it has ended, unless we do too */
    free(a->words);
    free(a);
}

const struct cn_answer cn_answer_pipe = {
    .service = "pipe",
    .begin = begin,
    .process = process,
    .descriptors = descriptors,
    .leave = cn_agent_call_leave,
    .end = end,
};
