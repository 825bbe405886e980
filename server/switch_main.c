/* switch_main.c - cyphernetd-switch: a switch worker under the supervisor. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "sandbox.h"
#include "worker.h"

enum { GATE_AGAIN_MS = 1000 };

struct program {
    struct cn_loop loop;
    struct cn_page_map page;
    cn_bucket *rate_all;
    struct cn_worker *worker;
    struct cn_timer gate_again; /* asks for it */
    bool gate_missed;           /* there was no descriptor left for the last one */
    bool draining;
};

/* The loop reaches it; there is one in a process. */
static struct program program;

/* Also without a supervisor: nobody could have a call cut any more. */
static void end(int code)
{
    cn_worker_destroy(program.worker); /* what is left is cut */
    _exit(code);
}

static void gate_again_fire(struct cn_timer *timer)
{
    const struct cn_message m = { .type = CN_MESSAGE_GATE };

    (void)timer;
    cn_child_say(&m);
}

/* Calls go on without one that cannot be heard, and can be cut as soon as it can. */
static bool gate_take(const int *fds, size_t fd_count)
{
    if (fd_count == 1 && cn_worker_gate(program.worker, fds[0]) == CN_OK) {
        program.gate_missed = false;
        cn_loop_timer_clear(&program.loop, &program.gate_again);
        return true;
    }
    if (!program.gate_missed)
        cn_log_at(CN_LOG_FAILURES, "gate_missed", "reason=\"no descriptor was left for it\"");
    program.gate_missed = true;
    cn_loop_timer_set(&program.loop, &program.gate_again, program.loop.now_ms + GATE_AGAIN_MS);
    return false;
}

static bool take(const struct cn_message *m, const int *fds, size_t fd_count)
{
    if (m->type == CN_MESSAGE_GATE)
        return gate_take(fds, fd_count);
    if (m->type == CN_MESSAGE_LIMITS)
        cn_worker_limits(program.worker, &m->limits);
    for (uint32_t i = 0; m->type == CN_MESSAGE_RATES && i < CN_CHANNEL_RATES; i++)
        cn_worker_rate(program.worker, (uint8_t)(m->number + i), m->rate[i]);
    if (m->type == CN_MESSAGE_DRAIN)
        program.draining = true;
    if (m->type == CN_MESSAGE_END)
        end(EXIT_SUCCESS);
    return false;
}

static int after(void *context)
{
    bool more = cn_worker_turn(program.worker);

    (void)context;
    if (program.draining && !more && cn_worker_is_idle(program.worker))
        end(EXIT_SUCCESS);
    return more;
}

static enum cn_err start(void)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err;

    cn_child_start("cyphernetd-switch", &m, fds, &fd_count);
    if (fd_count != 2)
        return CN_E_FORMAT;
    err = cn_page_map(&program.page, fds[0], true);
    if (err == CN_OK)
        err = cn_page_bucket_map(&program.rate_all, fds[1]);
    cn_channel_close_fds(fds, fd_count);
    if (err == CN_OK)
        err = cn_loop_init(&program.loop, m.limits.pairs_max + 2);
    if (err == CN_OK)
        err = cn_worker_create(&program.worker, &program.loop, &program.page, &m.limits);
    if (err == CN_OK)
        cn_worker_share_rate(program.worker, program.rate_all);
    program.loop.after = after;
    program.gate_again.fire = gate_again_fire;
    if (err == CN_OK)
        err = cn_child_listen(&program.loop, take, end);
    if (err == CN_OK)
        err = cn_sandbox_enter(CN_SANDBOX_SWITCH);
    return err;
}

int main(void)
{
    enum cn_err err = start();

    cn_child_begun(err, errno);
    if (err == CN_OK)
        err = cn_loop_run(&program.loop); /* comes back if epoll fails */
    end(err == CN_OK ? EXIT_SUCCESS : EXIT_FAILURE);
}
