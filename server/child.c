#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "process.h"

enum { START_MS = 10000 };

/* The loop reaches it through the watch; there is one in a process. */
static struct {
    struct cn_watch watch;
    cn_child_take *take;
    void (*end)(int code);
} supervisor;

void cn_child_start(const char *program, struct cn_message *start, int fds[CN_CHANNEL_FDS_MAX],
                    size_t *fd_count)
{
    struct pollfd channel = { .fd = CN_CHANNEL_FD, .events = POLLIN };

    cn_process_harden();
    if (fcntl(CN_CHANNEL_FD, F_SETFD, FD_CLOEXEC) != 0 || poll(&channel, 1, START_MS) != 1 ||
        cn_channel_receive(CN_CHANNEL_FD, start, fds, fd_count) != CN_OK ||
        start->type != CN_MESSAGE_START) {
        fprintf(stderr, "%s: error: it is cyphernetd that starts this program\n", program);
        exit(2);
    }
    cn_log_level_set((enum cn_log_level)start->log_level);
    cn_log_style_set(start->log_style);
}

void cn_child_hear(void)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err;

    while ((err = cn_channel_receive(CN_CHANNEL_FD, &m, fds, &fd_count)) == CN_OK) {
        if (m.type == CN_MESSAGE_PING)
            cn_child_say(&m);
        if (!supervisor.take(&m, fds, fd_count))
            cn_channel_close_fds(fds, fd_count);
    }
    if (err != CN_E_MORE)
        supervisor.end(EXIT_FAILURE);
}

static void supervisor_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    (void)watch;
    (void)epoll_events;
    cn_child_hear();
}

enum cn_err cn_child_listen(struct cn_loop *loop, cn_child_take *take, void (*end)(int code))
{
    supervisor.watch = (struct cn_watch) { CN_CHANNEL_FD, supervisor_ready };
    supervisor.take = take;
    supervisor.end = end;
    return cn_loop_add(loop, &supervisor.watch, EPOLLIN);
}

void cn_child_say(const struct cn_message *message)
{
    if (cn_channel_send(CN_CHANNEL_FD, message, NULL, 0) != CN_OK)
        _exit(EXIT_FAILURE);
}

void cn_child_begun(enum cn_err err, int number)
{
    const struct cn_message m = { .type = err == CN_OK ? CN_MESSAGE_READY : CN_MESSAGE_FAILED,
                                  .outcome = (uint32_t)err,
                                  .number = (uint32_t)number };

    cn_child_say(&m);
}
