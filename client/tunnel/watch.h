/* watch.h - descriptors that a tunnel waits for, in one epoll set: what a round costs follows from
 * who is ready, not from how many there are. */
#ifndef CN_WATCH_H
#define CN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* In its owner's struct, which must stay until the round in which it is ended is over. */
struct cn_watch {
    int fd; /* borrowed; -1: none */
    void *owner;
    void (*ready)(struct cn_watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR ... */
    uint32_t wanted;                                        /* EPOLLIN, EPOLLOUT */
    bool registered;                                        /* in the set */
    bool always; /* a file: never waited for, ready whenever it is wanted */
};

/* Wait for these events from now on; 0: for none, but for errors. What cannot be waited for counts
 * as ready: *always. False: errno. */
bool cn_watch_want(int epoll, struct cn_watch *watch, uint32_t events);
/* Out of the set, whatever happened to it; before fd is closed. */
void cn_watch_end(int epoll, struct cn_watch *watch);
/* An error or end was told that nobody wants to hear now: do not tell it again and again. */
void cn_watch_park(int epoll, struct cn_watch *watch);

#endif
