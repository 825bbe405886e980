/* loop.h - the event loop: epoll, and timers in a heap. Single thread. */
#ifndef CN_LOOP_H
#define CN_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "err.h"

enum { CN_LOOP_EVENTS_PER_TURN = 256 };

/* A descriptor that is waited for, inside its owner's struct. */
struct cn_watch {
    int fd; /* -1: none; owned by the watch's owner */
    void (*ready)(struct cn_watch *watch, uint32_t epoll_events);
};

/* A time that is waited for, likewise. Zeroed at first, fire set. */
struct cn_timer {
    uint64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct cn_timer *timer);
};

/* A timer in the heap, with its time beside it: what is sifted reads no timer that is far away. */
struct cn_due {
    uint64_t due_ms;
    struct cn_timer *timer;
};

struct cn_loop {
    int epoll;
    uint64_t (*clock_ms)(void); /* cn_loop_clock_ms, unless a test has put another there */
    uint64_t now_ms;            /* of the current turn */
    bool more;                  /* after() had more to do */
    struct cn_due *heap;        /* owned; heap[1..timer_count] */
    size_t timer_count;
    size_t timer_max;
    /* done after all events of a turn: returns true if there is more to do at once */
    int (*after)(void *context);
    void *after_context;
    int stopping;
    struct epoll_event event[CN_LOOP_EVENTS_PER_TURN]; /* of the turn in hand */
    int event_count;
};

/* timer_max timers at once. CN_E_MEMORY, CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_loop_init(struct cn_loop *loop, size_t timer_max);
void cn_loop_wipe(struct cn_loop *loop);

/* Wait for epoll_events of watch->fd. CN_E_SYSTEM (ENOSPC, ENOMEM). */
CN_MUST_USE enum cn_err cn_loop_add(struct cn_loop *loop, struct cn_watch *watch,
                                    uint32_t epoll_events);
void cn_loop_change(struct cn_loop *loop, struct cn_watch *watch, uint32_t epoll_events);
/* Before the descriptor is closed or passed on. No event of it is delivered any more, not even one
 * that was gathered already in this turn. */
void cn_loop_remove(struct cn_loop *loop, struct cn_watch *watch);

/* Set, or set anew. The heap has room for timer_max. */
void cn_loop_timer_set(struct cn_loop *loop, struct cn_timer *timer, uint64_t due_ms);
void cn_loop_timer_clear(struct cn_loop *loop, struct cn_timer *timer);

/* Wait for something to happen, or only take what has happened; then timers, then after().
 * CN_E_SYSTEM: epoll failed. */
CN_MUST_USE enum cn_err cn_loop_turn(struct cn_loop *loop, bool wait);
/* Until cn_loop_stop. CN_E_SYSTEM: epoll failed. */
CN_MUST_USE enum cn_err cn_loop_run(struct cn_loop *loop);
void cn_loop_stop(struct cn_loop *loop);

/* Monotonic milliseconds. */
uint64_t cn_loop_clock_ms(void);

#endif
