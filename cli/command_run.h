/* command_run.h - a command that is run with its standard input and output joined to us. */
#ifndef CN_COMMAND_RUN_H
#define CN_COMMAND_RUN_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "keeper.h"

struct cn_child {
    pid_t pid;  /* 0: none, or it has ended */
    int ended;  /* readable once it has ended; -1: none; as the next three, owned */
    int output; /* what it writes comes here, without waiting; -1: closed, or not ours */
    int input;  /* what goes here it reads, likewise */
    int halted; /* readable: it may have been stopped, of which cn_child_took learns; -1: cannot */
    int terminal;     /* ours, which it is lent while it wants to read there; -1: there is none */
    bool in_front;    /* it has the terminal now */
    bool interrupted; /* it has ended by Ctrl-C, which went to it and not to us */
    struct cn_keeper keeper; /* ends it if we are killed */
};

#define CN_CHILD_NONE \
    { \
        .ended = -1, .output = -1, .input = -1, .halted = -1, .terminal = -1, \
        .keeper = CN_KEEPER_NONE \
    }

/* Where the program called so is: as it is if there is a slash in it, else the first in PATH.
 * False: errno. */
bool cn_child_find(const char *program, char path[PATH_MAX]);
/* Run path with these words, the last of them NULL. It gets no descriptor of ours but standard
 * error and, if its output is kept here, standard output; and the signal mask before, which the
 * owner restores, since SIGCHLD may be blocked from now on. It has a process group of its own, with
 * all that it starts; if one of them wants to read from our terminal (a password), they have it
 * until they end. 0, or errno. */
int cn_child_start(struct cn_child *child, const char *path, char **words, const sigset_t *before,
                   bool keep_output);
/* All has come: its input ends. */
void cn_child_input_end(struct cn_child *child);
/* True: it has ended, with *status as waitpid has it. */
bool cn_child_took(struct cn_child *child, int *status);
/* To it and its group; those that are stopped go on, so that they hear it. Harmless if there is
 * none.
 */
void cn_child_signal(const struct cn_child *child, int number);
/* End it and its group if it has not ended, before it could take the end of what we sent for an end
 * of all, and close. Harmless if there is none. */
void cn_child_end(struct cn_child *child);

#endif
