/* switch_main.c - cyphernetd-switch: a switch worker under the supervisor. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "sandbox.h"
#include "worker.h"

struct program {
    struct cn_loop loop;
    struct cn_page_map page;
    cn_bucket *rate_all;
    struct cn_worker *worker;
    bool draining;
};

/* The loop reaches it; there is one in a process. */
static struct program program;

/* Also without a supervisor, or with a gate that cannot be heard: nobody could have a call cut any
 * more. */
static void end(int code)
{
    cn_worker_destroy(program.worker); /* what is left is cut */
    _exit(code);
}

static bool take(const struct cn_message *m, const int *fds, size_t fd_count)
{
    if (m->type == CN_MESSAGE_GATE) {
        if (fd_count == 1 && cn_worker_gate(program.worker, fds[0]) == CN_OK)
            return true;
        end(EXIT_FAILURE);
    }
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
        err = cn_loop_init(&program.loop, m.limits.pairs_max + 1);
    if (err == CN_OK)
        err = cn_worker_create(&program.worker, &program.loop, &program.page, &m.limits);
    if (err == CN_OK)
        cn_worker_share_rate(program.worker, program.rate_all);
    program.loop.after = after;
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
