#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t cn_loop_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

enum cn_err cn_loop_init(struct cn_loop *loop, size_t timer_max)
{
    *loop = (struct cn_loop) { .epoll = epoll_create1(EPOLL_CLOEXEC), .timer_max = timer_max };
    if (loop->epoll < 0)
        return CN_E_SYSTEM;
    loop->heap = calloc(timer_max + 1, sizeof(struct cn_timer *));
    if (!loop->heap) {
        close(loop->epoll);
        return CN_E_MEMORY;
    }
    loop->clock_ms = cn_loop_clock_ms;
    loop->now_ms = loop->clock_ms();
    return CN_OK;
}

void cn_loop_wipe(struct cn_loop *loop)
{
    if (!loop)
        return;
    close(loop->epoll);
    free(loop->heap);
    *loop = (struct cn_loop) { .epoll = -1 };
}

enum cn_err cn_loop_add(struct cn_loop *loop, struct cn_watch *watch, uint32_t epoll_events)
{
    struct epoll_event event = { .events = epoll_events, .data.ptr = watch };

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0 ? CN_OK : CN_E_SYSTEM;
}

void cn_loop_change(struct cn_loop *loop, struct cn_watch *watch, uint32_t epoll_events)
{
    struct epoll_event event = { .events = epoll_events, .data.ptr = watch };
    int failed = epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);

    assert(!failed); /* a watch that was added is there */
}

void cn_loop_remove(struct cn_loop *loop, struct cn_watch *watch)
{
    if (watch->fd < 0)
        return;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = 0; i < loop->event_count; i++) {
        if (loop->event[i].data.ptr == watch)
            loop->event[i].data.ptr = NULL;
    }
}

/* --- timers: a binary heap, soonest first --------------------------------------------------- */

static void place(struct cn_loop *loop, struct cn_timer *timer, size_t at)
{
    loop->heap[at] = timer;
    timer->place = at;
}

static void sift_up(struct cn_loop *loop, struct cn_timer *timer, size_t at)
{
    for (; at > 1 && loop->heap[at / 2]->due_ms > timer->due_ms; at /= 2)
        place(loop, loop->heap[at / 2], at);
    place(loop, timer, at);
}

static void sift_down(struct cn_loop *loop, struct cn_timer *timer, size_t at)
{
    for (;;) {
        size_t child = 2 * at;

        if (child < loop->timer_count && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (child > loop->timer_count || loop->heap[child]->due_ms >= timer->due_ms)
            break;
        place(loop, loop->heap[child], at);
        at = child;
    }
    place(loop, timer, at);
}

void cn_loop_timer_clear(struct cn_loop *loop, struct cn_timer *timer)
{
    size_t at = timer->place;
    struct cn_timer *last;

    if (at == 0)
        return;
    timer->place = 0;
    last = loop->heap[loop->timer_count--];
    if (last == timer)
        return;
    sift_down(loop, last, at);
    sift_up(loop, last, last->place);
}

void cn_loop_timer_set(struct cn_loop *loop, struct cn_timer *timer, uint64_t due_ms)
{
    cn_loop_timer_clear(loop, timer);
    assert(loop->timer_count < loop->timer_max);
    timer->due_ms = due_ms;
    sift_up(loop, timer, ++loop->timer_count);
}

static void timers_fire(struct cn_loop *loop)
{
    while (loop->timer_count > 0 && loop->heap[1]->due_ms <= loop->now_ms) {
        struct cn_timer *timer = loop->heap[1];

        cn_loop_timer_clear(loop, timer);
        timer->fire(timer);
    }
}

static int timeout_ms(const struct cn_loop *loop)
{
    uint64_t left;

    if (loop->more)
        return 0;
    if (loop->timer_count == 0)
        return -1;
    if (loop->heap[1]->due_ms <= loop->now_ms)
        return 0;
    left = loop->heap[1]->due_ms - loop->now_ms;
    return left > 60000 ? 60000 : (int)left;
}

enum cn_err cn_loop_turn(struct cn_loop *loop, bool wait)
{
    loop->event_count =
        epoll_wait(loop->epoll, loop->event, CN_LOOP_EVENTS_PER_TURN, wait ? timeout_ms(loop) : 0);
    if (loop->event_count < 0 && errno != EINTR)
        return CN_E_SYSTEM;
    loop->now_ms = loop->clock_ms();
    for (int i = 0; i < loop->event_count; i++) {
        struct cn_watch *watch = loop->event[i].data.ptr;

        if (watch)
            watch->ready(watch, loop->event[i].events);
    }
    loop->event_count = 0;
    timers_fire(loop);
    loop->more = loop->after && loop->after(loop->after_context);
    return CN_OK;
}

enum cn_err cn_loop_run(struct cn_loop *loop)
{
    enum cn_err err = CN_OK;

    while (err == CN_OK && !loop->stopping)
        err = cn_loop_turn(loop, true);
    return err;
}

void cn_loop_stop(struct cn_loop *loop)
{
    loop->stopping = 1;
}
