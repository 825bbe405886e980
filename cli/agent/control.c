#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"
#include "file.h"
#include "home.h"
#include "socket.h"

enum { SPEAKS_MS = 5000, ACCEPTED_PER_ROUND = 16 };

/* Wherever the sockets of two agents of one home would be, there is one lock. */
static enum cn_err lock_take(struct cn_control *control, struct cn_home *home)
{
    char path[PATH_MAX];

    cn_home_path(home, "agent.lock", path);
    if (cn_file_directories(home->data) != CN_OK)
        return cn_home_fail(home, CN_E_SYSTEM, errno, home->data);
    control->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (control->lock < 0)
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    if (flock(control->lock, LOCK_EX | LOCK_NB) == 0)
        return CN_OK;
    return cn_home_fail(home, errno == EWOULDBLOCK ? CN_E_EXISTS : CN_E_SYSTEM, errno, path);
}

enum cn_err cn_control_open(struct cn_control *control, struct cn_home *home)
{
    enum cn_err err;

    *control = (struct cn_control) { .listener = -1, .lock = -1 };
    err = lock_take(control, home);
    if (err != CN_OK) {
        cn_control_close(control);
        return err;
    }
    cn_socket_path(home, control->path);
    control->listener = cn_socket_listen(control->path);
    if (control->listener >= 0)
        return CN_OK;
    err = cn_home_fail(home, CN_E_SYSTEM, errno, control->path);
    cn_control_close(control);
    return err;
}

static void asker_close(struct cn_control *control, struct cn_asker *asker)
{
    control->changed |= asker->state == CN_ASKER_IS_LEFT;
    close(asker->fd);
    asker->state = CN_ASKER_NONE;
}

void cn_control_close(struct cn_control *control)
{
    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        if (control->asker[i].state != CN_ASKER_NONE)
            asker_close(control, &control->asker[i]);
    }
    if (control->listener >= 0) {
        (void)unlink(control->path); /* one that stays is replaced by the next */
        close(control->listener);
    }
    if (control->lock >= 0)
        close(control->lock);
    control->listener = control->lock = -1;
}

size_t cn_control_descriptors(const struct cn_control *control, struct pollfd *polled,
                              int *timeout_ms)
{
    uint64_t now_ms = cn_connect_clock_ms();

    polled[0] = (struct pollfd) { control->listener, POLLIN, 0 };
    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        const struct cn_asker *a = &control->asker[i];

        polled[1 + i] = (struct pollfd) { a->state != CN_ASKER_NONE ? a->fd : -1, POLLIN, 0 };
        if (a->state == CN_ASKER_SPEAKS) {
            int due_ms = a->due_ms > now_ms ? (int)(a->due_ms - now_ms) : 0;

            *timeout_ms = *timeout_ms < 0 || due_ms < *timeout_ms ? due_ms : *timeout_ms;
        }
    }
    return CN_CONTROL_DESCRIPTOR_COUNT;
}

/* It fits into the socket's buffer: who does not take it at once goes without. */
static void reply_send(const struct cn_asker *asker, const char *reply, int passed)
{
    char line[CN_REPLY_SIZE_MAX];
    int size = snprintf(line, sizeof line, "%s\n", reply);

    if (size > 0 && (size_t)size < sizeof line)
        (void)cn_socket_send(asker->fd, line, (size_t)size, passed);
}

void cn_control_answer(struct cn_asker *asker, const char *reply)
{
    reply_send(asker, reply, -1);
    close(asker->fd);
    asker->state = CN_ASKER_NONE;
}

void cn_control_confirm(const struct cn_asker *asker)
{
    reply_send(asker, "ok", -1);
}

void cn_control_leave(struct cn_control *control, struct cn_asker *asker)
{
    asker->state = CN_ASKER_IS_LEFT;
    control->changed = true;
}

int cn_control_take(struct cn_asker *asker, int passed)
{
    reply_send(asker, "ok", passed);
    asker->state = CN_ASKER_NONE;
    return asker->fd;
}

/* A line is whole, or never will be. */
static void line_take(struct cn_asker *a)
{
    const char *end = memchr(a->line, '\n', a->line_size);
    enum cn_err err = CN_E_FORMAT;

    if (!end && a->line_size < sizeof a->line)
        return;
    /* nobody speaks on before he was answered */
    if (end && end + 1 == a->line + a->line_size)
        err = cn_demand_decode(&a->demand, a->line, (size_t)(end - a->line));
    a->state = CN_ASKER_ASKS;
    if (err == CN_E_VERSION)
        cn_control_answer(a, "error another version: restart the agent");
    else if (err != CN_OK)
        cn_control_answer(a, "error not understood");
}

static void asker_read(struct cn_control *control, struct cn_asker *a)
{
    char more;
    ssize_t got = a->state == CN_ASKER_SPEAKS
                      ? recv(a->fd, a->line + a->line_size, sizeof a->line - a->line_size, 0)
                      : recv(a->fd, &more, 1, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || a->state != CN_ASKER_SPEAKS) { /* gone, or speaks when he has nothing to say */
        asker_close(control, a);
        return;
    }
    a->line_size += (size_t)got;
    line_take(a);
}

static struct cn_asker *place_find(struct cn_control *control)
{
    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        if (control->asker[i].state == CN_ASKER_NONE)
            return &control->asker[i];
    }
    return NULL;
}

static void askers_accept(struct cn_control *control)
{
    for (int i = 0; i < ACCEPTED_PER_ROUND; i++) {
        int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct cn_asker *a = fd >= 0 ? place_find(control) : NULL;

        if (fd < 0)
            return;
        if (!a || !cn_socket_is_ours(fd)) {
            close(fd);
            continue;
        }
        *a = (struct cn_asker) { .state = CN_ASKER_SPEAKS,
                                 .fd = fd,
                                 .due_ms = cn_connect_clock_ms() + SPEAKS_MS };
    }
}

void cn_control_polled(struct cn_control *control, const struct pollfd *polled)
{
    uint64_t now_ms = cn_connect_clock_ms();

    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        struct cn_asker *a = &control->asker[i];

        if (a->state != CN_ASKER_NONE && polled[1 + i].revents)
            asker_read(control, a);
        if (a->state == CN_ASKER_SPEAKS && now_ms >= a->due_ms)
            asker_close(control, a);
    }
    if (polled[0].revents)
        askers_accept(control);
}

struct cn_asker *cn_control_next(struct cn_control *control)
{
    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        if (control->asker[i].state == CN_ASKER_ASKS)
            return &control->asker[i];
    }
    return NULL;
}

bool cn_control_is_left(const struct cn_control *control, const char *contact,
                        enum cn_call_service service, bool caller)
{
    bool symmetric = service == CN_CALL_TALK || service == CN_CALL_PIPE;

    for (size_t i = 0; i < CN_CONTROL_ASKER_COUNT; i++) {
        const struct cn_asker *a = &control->asker[i];

        if (a->state == CN_ASKER_IS_LEFT && a->demand.service == service &&
            (symmetric || a->demand.caller == caller) && strcmp(a->demand.contact, contact) == 0)
            return true;
    }
    return false;
}
