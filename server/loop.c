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
    loop->heap = calloc(timer_max + 1, sizeof *loop->heap);
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

/* --- timers: a heap, soonest first, of four children each: half as deep as one of two --------- */

enum { CHILDREN = 4 };

static size_t parent_of(size_t at)
{
    return (at - 2) / CHILDREN + 1;
}

static void place(struct cn_loop *loop, struct cn_due due, size_t at)
{
    loop->heap[at] = due;
    due.timer->place = at;
}

static void sift_up(struct cn_loop *loop, struct cn_due due, size_t at)
{
    for (; at > 1 && loop->heap[parent_of(at)].due_ms > due.due_ms; at = parent_of(at))
        place(loop, loop->heap[parent_of(at)], at);
    place(loop, due, at);
}

/* The soonest child of what is at `at`; 0: it has none. */
static size_t soonest_child(const struct cn_loop *loop, size_t at)
{
    size_t child = CHILDREN * (at - 1) + 2;
    size_t end = child + CHILDREN;
    size_t soonest = child;

    if (child > loop->timer_count)
        return 0;
    while (++child < end && child <= loop->timer_count) {
        if (loop->heap[child].due_ms < loop->heap[soonest].due_ms)
            soonest = child;
    }
    return soonest;
}

static void sift_down(struct cn_loop *loop, struct cn_due due, size_t at)
{
    size_t child = soonest_child(loop, at);

    for (; child != 0 && loop->heap[child].due_ms < due.due_ms; child = soonest_child(loop, at)) {
        place(loop, loop->heap[child], at);
        at = child;
    }
    place(loop, due, at);
}

void cn_loop_timer_clear(struct cn_loop *loop, struct cn_timer *timer)
{
    size_t at = timer->place;
    struct cn_due last;

    if (at == 0)
        return;
    timer->place = 0;
    last = loop->heap[loop->timer_count--];
    if (last.timer == timer)
        return;
    if (at > 1 && loop->heap[parent_of(at)].due_ms > last.due_ms)
        sift_up(loop, last, at);
    else
        sift_down(loop, last, at);
}

void cn_loop_timer_set(struct cn_loop *loop, struct cn_timer *timer, uint64_t due_ms)
{
    const struct cn_due due = { due_ms, timer };
    size_t at = timer->place;

    if (at == 0) {
        assert(loop->timer_count < loop->timer_max);
        sift_up(loop, due, ++loop->timer_count);
    } else if (due_ms < timer->due_ms) {
        sift_up(loop, due, at);
    } else {
        sift_down(loop, due, at);
    }
    timer->due_ms = due_ms;
}

static void timers_fire(struct cn_loop *loop)
{
    while (loop->timer_count > 0 && loop->heap[1].due_ms <= loop->now_ms) {
        struct cn_timer *timer = loop->heap[1].timer;

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
    if (loop->heap[1].due_ms <= loop->now_ms)
        return 0;
    left = loop->heap[1].due_ms - loop->now_ms;
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
