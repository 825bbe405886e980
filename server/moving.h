/* moving.h - one way of a call: octets from one socket to another, through a pipe that is lent for
 * as long as there are any, or copied where none is to be had. */
#ifndef CN_MOVING_H
#define CN_MOVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipes.h"

enum { CN_COPY_SIZE = 65536 };

struct cn_way {
    int from, to; /* borrowed; they do not block */
    struct cn_pipe pipe;
    uint32_t in_pipe;    /* octets */
    int queued;          /* octets on their way to the far end when it was blocked */
    uint64_t bytes;      /* moved */
    uint64_t blocked_ms; /* since when the far end takes nothing; 0: it does */
    bool readable;       /* as far as we know; whoever hears of more sets both */
    bool writable;
    bool fast;  /* the far end */
    bool ended; /* the source said its end */
    bool done;  /* and the far end has been told */
};

enum cn_moved {
    CN_MOVED,
    CN_MOVED_NOTHING, /* for now: it is not readable, or not writable */
    CN_MOVED_LATER,   /* try again in a while: nothing tells when */
    CN_MOVED_BROKEN   /* errno */
};

void cn_way_begin(struct cn_way *way, int from, int to);
/* From a source that is readable, when nothing is in the pipe, and if none is lent yet the far end
 * is writable: at most so many octets, one or more, into a pipe, or by way of copy right on to the
 * far end. May find the end. */
enum cn_moved cn_way_take(struct cn_way *way, struct cn_pipes *pipes, uint8_t copy[CN_COPY_SIZE],
                          size_t most, uint64_t now_ms);
/* What is in the pipe, to a far end that is writable. */
enum cn_moved cn_way_pass(struct cn_way *way, uint64_t now_ms);
/* Once everything before the end has passed, so does that. */
void cn_way_end(struct cn_way *way, struct cn_pipes *pipes);
/* Give the pipe back. What is still in it is lost. */
void cn_way_rest(struct cn_way *way, struct cn_pipes *pipes);
/* The far end has taken nothing for so long. To be asked now and then: who takes little at a time
 * is not seen by epoll, which waits until a third of the kernel's buffer is free. */
bool cn_way_stalls(struct cn_way *way, uint64_t now_ms, uint64_t stall_ms);

#endif
