/* command_run.h - a command that is run with its standard input and output joined to us. */
#ifndef CN_COMMAND_RUN_H
#define CN_COMMAND_RUN_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct cn_child {
    pid_t pid;  /* 0: none, or it has ended */
    int ended;  /* readable once it has ended; -1: none; as the next two, owned */
    int output; /* what it writes comes here, without waiting; -1: closed */
    int input;  /* what goes here it reads, likewise */
};

#define CN_CHILD_NONE \
    { \
        .ended = -1, .output = -1, .input = -1 \
    }

/* Where the program called so is: as it is if there is a slash in it, else the first in PATH.
 * False: errno. */
bool cn_child_find(const char *program, char path[PATH_MAX]);
/* Run path with these words, the last of them NULL. It gets no descriptor of ours but standard
 * error, and the signal mask before. It is sent SIGTERM when we are killed. 0, or
 * errno. */
int cn_child_start(struct cn_child *child, const char *path, char **words, const sigset_t *before);
/* True: it has ended, with *status as waitpid has it. */
bool cn_child_took(struct cn_child *child, int *status);
/* One that is stopped goes on, so that it hears it. Harmless if there is none. */
void cn_child_signal(const struct cn_child *child, int number);
/* End it if it has not ended, before it could take the end of what we sent for an end of all, and
 * close. Harmless if there is none. */
void cn_child_end(struct cn_child *child);

#endif
