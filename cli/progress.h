/* progress.h - how a transfer is going: bars on a terminal, plain lines elsewhere. */
#ifndef CN_PROGRESS_H
#define CN_PROGRESS_H

#include "bar.h"
#include "cli.h"

enum { CN_PROGRESS_PATH_SIZE = 4097 + 256 };

struct cn_progress {
    const struct cn_cli *cli;
    struct cn_transfer_progress now;  /* without pointers */
    char path[CN_PROGRESS_PATH_SIZE]; /* of the file under way; empty: none */
    char name[128];                   /* the same, printable */
    bool sends;
    int64_t began_ms;
    int64_t drawn_ms;
    int64_t rate_ms; /* the rate is measured since then */
    uint64_t rate_moved;
    double rate;      /* octets per second, smoothed */
    int64_t moved_ms; /* when something moved last */
    bool is_stalled;  /* and has been told */
    bool bar;
    unsigned drawn_lines;
    bool is_away; /* for another line, and to come back */
};

void cn_progress_begin(struct cn_progress *progress, const struct cn_cli *cli, bool sends);
/* So far it is; draws at most ten times a second, and what has been cleared at once. */
void cn_progress_update(struct cn_progress *progress, const struct cn_transfer_progress *now);
/* In place of it while our user is asked: nothing can move. */
void cn_progress_hold(struct cn_progress *progress);
/* For how long nothing has moved. */
int64_t cn_progress_still_ms(const struct cn_progress *progress);
/* Until cn_progress_update is due; -1: never. */
int cn_progress_timeout_ms(const struct cn_progress *progress);
/* Take the bars away, for another line. */
void cn_progress_clear(struct cn_progress *progress);
/* All is done: a full bar stays, so that one sees how it went. */
void cn_progress_end(struct cn_progress *progress, const struct cn_transfer_progress *now);
/* Since it began; never 0. */
double cn_progress_seconds(const struct cn_progress *progress);
/* Under --json: what became of a file, directory or link. */
void cn_progress_outcome(const struct cn_cli *cli, const struct cn_transfer_event *event);
/* Likewise what went wrong with one; text: the reason, as it is said. */
void cn_progress_problem(const struct cn_cli *cli, const struct cn_transfer_event *event,
                         const char *text);

#endif
