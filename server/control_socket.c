#include "control_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"

enum { ASKER_COUNT = 8, BACKLOG = 128 };

struct asker {
    struct cn_watch watch; /* first */
    struct cn_timer timer;
    struct cn_control *control;
    uint64_t number;
    bool waits; /* for its answer */
    char request[CN_CONTROL_REQUEST_SIZE_MAX];
    size_t request_size;
};

struct cn_control {
    struct cn_watch watch; /* first */
    struct cn_loop *loop;
    cn_control_answer *answer;
    void *context;
    struct asker askers[ASKER_COUNT];
    uint64_t asker_count; /* that there have ever been */
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
};

/* Whoever has been waiting for a place is told of anew. */
static void asker_close(struct asker *a)
{
    cn_loop_remove(a->control->loop, &a->watch);
    cn_loop_timer_clear(a->control->loop, &a->timer);
    close(a->watch.fd);
    a->watch.fd = -1;
    cn_loop_change(a->control->loop, &a->control->watch, EPOLLIN | EPOLLET);
}

static void asker_timer(struct cn_timer *timer)
{
    asker_close((struct asker *)(void *)((char *)timer - offsetof(struct asker, timer)));
}

/* The reply fits into the socket's buffer: who does not take it at once goes without. */
static void asker_reply(struct asker *a)
{
    struct cn_control *c = a->control;
    size_t size = strlen(c->reply);

    c->reply[size++] = '\n';
    (void)send(a->watch.fd, c->reply, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    asker_close(a);
}

/* Who is to be answered later is not listened to any more. */
static void asker_answer(struct asker *a)
{
    struct cn_control *c = a->control;

    cn_loop_change(c->loop, &a->watch, 0);
    a->waits = true;
    if (c->answer(c->context, a->number, a->request, c->reply, sizeof c->reply - 1))
        asker_reply(a);
}

void cn_control_reply(struct cn_control *control, uint64_t asker, const char *reply)
{
    for (struct asker *a = control->askers; a < control->askers + ASKER_COUNT; a++) {
        if (a->watch.fd < 0 || a->number != asker)
            continue;
        snprintf(control->reply, sizeof control->reply - 1, "%s", reply);
        asker_reply(a);
        return;
    }
}

int cn_control_listener(const struct cn_control *control)
{
    return control->watch.fd;
}

static void asker_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct asker *a = (struct asker *)(void *)watch;
    size_t room = sizeof a->request - 1 - a->request_size;
    ssize_t got = recv(watch->fd, a->request + a->request_size, room, MSG_DONTWAIT);

    (void)epoll_events;
    if (got < 0 && !a->waits && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || a->waits) {
        asker_close(a);
        return;
    }
    a->request_size += (size_t)got;
    a->request[a->request_size] = '\0';
    if (strchr(a->request, '\n') || a->request_size == sizeof a->request - 1)
        asker_answer(a);
}

/* Whether one more may come in: a place is free, or its owner says nothing. Whoever means to ask
 * does so at once: what was said in this turn is heard first. Who waits for an answer gets it. */
static bool has_place(struct cn_control *c)
{
    bool has = false;

    for (struct asker *a = c->askers; a < c->askers + ASKER_COUNT; a++) {
        if (a->watch.fd >= 0 && !a->waits)
            asker_ready(&a->watch, EPOLLIN);
        has = has || a->watch.fd < 0 || !a->waits;
    }
    return has;
}

/* There is one: free, or of who has said nothing for the longest. */
static struct asker *place_for_one(struct cn_control *c)
{
    struct asker *first = NULL;

    for (struct asker *a = c->askers; a < c->askers + ASKER_COUNT; a++) {
        if (a->watch.fd < 0)
            return a;
        if (!a->waits && (!first || a->timer.due_ms < first->timer.due_ms))
            first = a;
    }
    assert(first);
    asker_close(first);
    return first;
}

/* False: it cannot be waited for. */
static bool asker_take(struct cn_control *c, int fd)
{
    struct asker *a = place_for_one(c);

    *a = (struct asker) { .watch = { fd, asker_ready },
                          .timer = { .fire = asker_timer },
                          .control = c,
                          .number = ++c->asker_count };
    if (cn_loop_add(c->loop, &a->watch, EPOLLIN) != CN_OK) {
        a->watch.fd = -1;
        return false;
    }
    cn_loop_timer_set(c->loop, &a->timer, c->loop->now_ms + CN_CONTROL_TIMEOUT_MS);
    return true;
}

/* Told once of those who come (EPOLLET): while there is no place or descriptor for one we do not
 * turn in circles; the next to come brings it in, or the next to go. */
static void control_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct cn_control *c = (struct cn_control *)(void *)watch;
    int fd;

    (void)epoll_events;
    while (has_place(c) &&
           (fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (!asker_take(c, fd))
            close(fd);
    }
}

static int listen_here(void)
{
    const struct sockaddr_un address = { AF_UNIX, CN_CONTROL_SOCKET };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    int failed;
    int saved;

    (void)unlink(CN_CONTROL_SOCKET); /* ENOENT mostly */
    failed = fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
             listen(fd, BACKLOG) != 0;
    saved = errno;
    (void)umask(mask);
    if (!failed)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return -1;
}

enum cn_err cn_control_open(struct cn_control **control, struct cn_loop *loop, int listener,
                            cn_control_answer *answer, void *context)
{
    struct cn_control *c = calloc(1, sizeof *c);

    if (!c)
        return CN_E_MEMORY;
    c->loop = loop;
    c->answer = answer;
    c->context = context;
    for (size_t i = 0; i < ASKER_COUNT; i++)
        c->askers[i].watch.fd = -1;
    c->watch = (struct cn_watch) { listener >= 0 ? listener : listen_here(), control_ready };
    if (c->watch.fd < 0 || cn_loop_add(loop, &c->watch, EPOLLIN | EPOLLET) != CN_OK) {
        int saved = errno;

        if (c->watch.fd >= 0)
            close(c->watch.fd);
        free(c);
        errno = saved;
        return CN_E_SYSTEM;
    }
    *control = c;
    return CN_OK;
}

void cn_control_close(struct cn_control *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < ASKER_COUNT; i++) {
        if (control->askers[i].watch.fd >= 0)
            asker_close(&control->askers[i]);
    }
    cn_loop_remove(control->loop, &control->watch);
    close(control->watch.fd);
    (void)unlink(CN_CONTROL_SOCKET);
    free(control);
}
