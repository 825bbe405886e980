/* pipes.h - pipes that are lent to whoever moves octets with splice just now. */
#ifndef CN_PIPES_H
#define CN_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct cn_pipe {
    int fd[2];      /* read end, write end; -1: none lent */
    uint32_t size;  /* octets */
    bool has_grown; /* as far as it may */
};

/* Zeroed at first. */
struct cn_pipes {
    struct cn_pipe *idle; /* owned */
    uint32_t room;        /* for idle ones */
    uint32_t idle_count;
    uint32_t idle_least; /* since cn_pipes_trim: so many were not needed */
    bool refused;        /* since then one that would be worth it was not to be had */
    uint32_t count;      /* lent or idle */
    uint32_t
        count_max; /* may be changed, up to room: those beyond are closed when they come back */
};

/* CN_E_MEMORY */
CN_MUST_USE enum cn_err cn_pipes_init(struct cn_pipes *pipes, uint32_t count_max);
/* All have been given back. */
void cn_pipes_wipe(struct cn_pipes *pipes);

/* An idle pipe, or a new one while there may be more, without blocking; false: none to be had that
 * would be worth it. */
bool cn_pipes_lend(struct cn_pipes *pipes, struct cn_pipe *pipe);
/* To be called about once a second while there are pipes or one was refused: closes those that were
 * not needed since the last time, as others may want what a user may have of pipes, and lets
 * cn_pipes_lend try again. False: there is nothing left to be done by a next time. */
bool cn_pipes_trim(struct cn_pipes *pipes);
/* To 1 MiB instead of 256 KiB, if the system lets us: once a flow fills it. It stays so when it is
 * lent to others. */
void cn_pipes_grow(struct cn_pipe *pipe);
/* Only one that is empty is lent again: else one call's octets would enter another. Fine if none
 * was lent; *pipe is none afterwards. */
void cn_pipes_give(struct cn_pipes *pipes, struct cn_pipe *pipe, bool is_empty);

#endif
