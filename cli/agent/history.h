/* history.h - what came of each call, for people: a line on standard error, the same with its time
 * in the file `history` of mode 0600, and under --json an event on standard output. */
#ifndef CN_HISTORY_H
#define CN_HISTORY_H

#include "cli.h"

enum { CN_HISTORY_FILE_SIZE_MAX = 1 << 20, CN_HISTORY_WHAT_SIZE = 1024 };

enum cn_history_outcome {
    CN_HISTORY_DONE = 0,
    CN_HISTORY_REFUSED,
    CN_HISTORY_FAILED,
    CN_HISTORY_INTERRUPTED,
    CN_HISTORY_MISSED,
    CN_HISTORY_OUTCOME_COUNT
};

struct cn_history {
    const struct cn_cli *cli; /* borrowed */
    char path[4096];
    int told_error; /* errno: that it cannot be written has been said */
};

struct cn_history_line {
    const char *contact;
    const char *service; /* a word */
    enum cn_history_outcome outcome;
    const char *what; /* may hold anything: it is shown with care */
};

/* Nothing is opened yet. */
void cn_history_open(struct cn_history *history, const struct cn_cli *cli);
/* A file that is full becomes `history.1`, in place of an older one. One that cannot be written is
 * told of, and hinders nothing. */
void cn_history_tell(struct cn_history *history, const struct cn_history_line *line);

#endif
