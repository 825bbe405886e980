#include "accepting.h"

#include <errno.h>
#include <unistd.h>

#include "log.h"

enum { ACCEPTS_PER_TURN = 128, RESUME_MS = 100 };

static void pause_accepting(struct cn_accepting *a)
{
    if (a->paused)
        return;
    a->paused = true;
    for (size_t i = 0; i < a->count; i++)
        cn_loop_change(a->loop, &a->at[i].watch, 0);
    if (!a->paused_told)
        cn_log("accepting_paused", NULL);
    a->paused_told = true;
}

static void resume_accepting(struct cn_accepting *a)
{
    if (!a->paused)
        return;
    a->paused = false;
    cn_loop_timer_clear(a->loop, &a->resume);
    for (size_t i = 0; i < a->count; i++)
        cn_loop_change(a->loop, &a->at[i].watch, EPOLLIN);
}

static void on_room(void *context)
{
    struct cn_accepting *a = context;

    if (a->paused && !a->resume.place && cn_gate_has_room(a->gate))
        resume_accepting(a);
}

static void on_resume(struct cn_timer *timer)
{
    struct cn_accepting *a =
        (struct cn_accepting *)(void *)((char *)timer - offsetof(struct cn_accepting, resume));

    resume_accepting(a);
}

static void listener_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct cn_accepting *a = ((struct cn_accepting_at *)(void *)watch)->all;

    (void)epoll_events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd;

        if (!cn_gate_has_room(a->gate)) {
            pause_accepting(a);
            return;
        }
        fd = accept4(watch->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (a->paused_told)
                cn_log("accepting_resumed", NULL);
            a->paused_told = false;
            cn_gate_accept(a->gate, fd, (const struct sockaddr *)&address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* somebody else took the descriptors: look again in a while, without spinning */
            pause_accepting(a);
            cn_loop_timer_set(a->loop, &a->resume, a->loop->now_ms + RESUME_MS);
        }
        return; /* EAGAIN: all taken; ECONNABORTED and the like: that one has gone */
    }
}

void cn_accepting_init(struct cn_accepting *a, struct cn_loop *loop, struct cn_gate *gate)
{
    *a = (struct cn_accepting) { .loop = loop, .gate = gate, .resume = { .fire = on_resume } };
    cn_gate_on_room(gate, on_room, a);
}

enum cn_err cn_accepting_add(struct cn_accepting *a, int fd)
{
    struct cn_accepting_at *at = &a->at[a->count];

    if (a->count == CN_LISTENERS_MAX)
        return CN_E_LIMIT;
    *at = (struct cn_accepting_at) { { fd, listener_ready }, a };
    if (cn_loop_add(a->loop, &at->watch, a->paused ? 0 : EPOLLIN) != CN_OK)
        return CN_E_SYSTEM;
    a->count++;
    return CN_OK;
}

void cn_accepting_end(struct cn_accepting *a)
{
    for (size_t i = 0; i < a->count; i++) {
        cn_loop_remove(a->loop, &a->at[i].watch);
        close(a->at[i].watch.fd);
    }
    cn_loop_timer_clear(a->loop, &a->resume);
    a->count = 0;
    a->paused = false;
    cn_gate_on_room(a->gate, NULL, NULL);
}
