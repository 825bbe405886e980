/* keeper.h - a process that outlives us by a moment, if we are killed: it holds the input of a
 * command that we run, so that this does not end there as if all had come, until it has ended the
 * command and all that it has started. */
#ifndef CN_KEEPER_H
#define CN_KEEPER_H

#include <sys/types.h>

struct cn_keeper {
    pid_t pid; /* 0: none */
    int line;  /* ours: what comes over it, or its end; -1: none */
};

#define CN_KEEPER_NONE \
    { \
        .line = -1 \
    }

/* What such a process is called: argv[0], before the number of the group. It has nothing of ours
 * but this, and its main is: */
#define CN_KEEPER_NAME "cyphernet-keep"
void cn_keeper_run(const char *group);

/* For the process group of a command whose input, of which we write this end, it holds from now on.
 * 0, or errno. */
int cn_keeper_start(struct cn_keeper *keeper, pid_t group, int input);
/* All has come: the input may end. Harmless without one. */
void cn_keeper_let_end(const struct cn_keeper *keeper);
/* The command is over: so is the keeper. Harmless without one. */
void cn_keeper_end(struct cn_keeper *keeper);

#endif
