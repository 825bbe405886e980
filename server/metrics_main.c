/* metrics_main.c - cyphernetd-metrics: answers Prometheus, on this machine only. It sees no page of
 * another process: the supervisor writes the sums into one file in memory when it asks. */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "exposition.h"
#include "sandbox.h"

enum {
    START_FDS = 2, /* sums, listening socket */
    CONNECTIONS_MAX = 16,
    CONNECTION_MEMORY_SIZE = 16384,
    SILENT_S_MAX = 10,
    CONNECTION_MS_MAX = 30000, /* whatever it says */
    ANSWER_MS_MAX = 5000       /* of the supervisor, who may be busy with an upgrade */
};

struct visitor {
    struct cn_timer due; /* first */
    int fd;              /* -1: none; MHD's */
};

struct program {
    struct cn_loop loop;
    struct cn_watch http; /* MHD's own epoll */
    struct cn_timer http_due;
    struct MHD_Daemon *daemon;
    struct visitor visitors[CONNECTIONS_MAX];
    int sums;
    bool answered;
    bool one_left; /* of the visitors, in the run of MHD that goes on */
};

/* The loop reaches it; there is one in a process. */
static struct program program;

/* --- the supervisor -------------------------------------------------------------------------- */

static bool take(const struct cn_message *m, const int *fds, size_t fd_count)
{
    (void)fds;
    (void)fd_count;
    if (m->type == CN_MESSAGE_SUMS)
        program.answered = true;
    return false;
}

static bool sums_ask(struct cn_status *status)
{
    const struct cn_message m = { .type = CN_MESSAGE_SUMS };
    struct pollfd channel = { .fd = CN_CHANNEL_FD, .events = POLLIN };
    uint64_t until_ms = program.loop.clock_ms() + ANSWER_MS_MAX;
    uint64_t now_ms;

    program.answered = false;
    cn_child_say(&m);
    while (!program.answered && (now_ms = program.loop.clock_ms()) < until_ms) {
        (void)poll(&channel, 1, (int)(until_ms - now_ms)); /* EINTR: once more */
        cn_child_hear();
    }
    return program.answered &&
           pread(program.sums, status, sizeof *status, 0) == (ssize_t)sizeof *status;
}

/* --- HTTP ------------------------------------------------------------------------------------ */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned code, const char *text,
                               size_t size, const char *name, const char *value)
{
    /* only copied from: the type wants it so */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (!r)
        return MHD_NO;
    if (MHD_add_response_header(r, name, value) == MHD_YES)
        result = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result respond_short(struct MHD_Connection *c, unsigned code, const char *text)
{
    return respond(c, code, text, strlen(text), MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **request)
{
    static char text[CN_EXPOSITION_SIZE_MAX];
    static struct cn_status status;

    (void)context;
    (void)version;
    (void)upload_data;
    (void)upload_data_size;
    (void)request;
    if (strcmp(url, "/metrics") != 0)
        return respond_short(connection, MHD_HTTP_NOT_FOUND, "There is /metrics.\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "", 0, MHD_HTTP_HEADER_ALLOW,
                       "GET, HEAD");
    if (!sums_ask(&status))
        return respond_short(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "Busy.\n");
    return respond(connection, MHD_HTTP_OK, text, cn_exposition_write(&status, text),
                   MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
}

static void visitor_due(struct cn_timer *timer)
{
    struct visitor *v = (struct visitor *)(void *)timer;

    (void)shutdown(v->fd, SHUT_RDWR); /* MHD finds it ended, and closes it */
}

static void visitor_changed(void *context, struct MHD_Connection *connection, void **mark,
                            enum MHD_ConnectionNotificationCode code)
{
    struct visitor *v = *mark;

    (void)context;
    program.one_left = program.one_left || code == MHD_CONNECTION_NOTIFY_CLOSED;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED && v) {
        cn_loop_timer_clear(&program.loop, &v->due);
        v->fd = -1;
    }
    if (code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    for (v = program.visitors; v < program.visitors + CONNECTIONS_MAX; v++) {
        if (v->fd >= 0)
            continue;
        v->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        v->due.fire = visitor_due;
        cn_loop_timer_set(&program.loop, &v->due, program.loop.now_ms + CONNECTION_MS_MAX);
        *mark = v;
        return;
    }
}

static void http_run(void)
{
    MHD_UNSIGNED_LONG_LONG ms;

    do { /* MHD looks at its full house before it lets go of those who left */
        program.one_left = false;
        (void)MHD_run(program.daemon);
    } while (program.one_left);
    cn_loop_timer_clear(&program.loop, &program.http_due);
    if (MHD_get_timeout(program.daemon, &ms) == MHD_YES)
        cn_loop_timer_set(&program.loop, &program.http_due, program.loop.now_ms + ms);
}

static void http_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    (void)watch;
    (void)epoll_events;
    http_run();
}

static void http_fire(struct cn_timer *timer)
{
    (void)timer;
    http_run();
}

/* --- start ----------------------------------------------------------------------------------- */

static enum cn_err http_start(int listener)
{
    const union MHD_DaemonInfo *info;

    for (int i = 0; i < CONNECTIONS_MAX; i++)
        program.visitors[i].fd = -1;
    program.daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL, answer, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENT_S_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_SIZE, MHD_OPTION_NOTIFY_CONNECTION, visitor_changed, NULL,
        MHD_OPTION_END);
    info = program.daemon ? MHD_get_daemon_info(program.daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return CN_E_SYSTEM;
    program.http = (struct cn_watch) { info->epoll_fd, http_ready };
    program.http_due.fire = http_fire;
    return cn_loop_add(&program.loop, &program.http, EPOLLIN);
}

static enum cn_err start(void)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err;

    cn_child_start("cyphernetd-metrics", &m, fds, &fd_count);
    if (fd_count != START_FDS)
        return CN_E_FORMAT;
    program.sums = fds[0];
    err = cn_loop_init(&program.loop, CONNECTIONS_MAX + 1);
    if (err == CN_OK)
        err = cn_child_listen(&program.loop, take, _exit);
    if (err == CN_OK)
        err = http_start(fds[1]);
    return err == CN_OK ? cn_sandbox_enter(CN_SANDBOX_METRICS) : err;
}

int main(void)
{
    enum cn_err err = start();

    cn_child_begun(err, errno);
    if (err == CN_OK)
        err = cn_loop_run(&program.loop); /* comes back if epoll fails */
    _exit(err == CN_OK ? EXIT_SUCCESS : EXIT_FAILURE);
}
