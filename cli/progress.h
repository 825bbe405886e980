/* progress.h - how a transfer is going: a bar on a terminal, plain lines elsewhere. */
#ifndef CN_PROGRESS_H
#define CN_PROGRESS_H

#include "cli.h"
#include "transfer.h"

struct cn_progress {
    const struct cn_cli *cli;
    char name[128]; /* printable */
    uint64_t total; /* octets */
    uint64_t done;
    int64_t began_ms;
    int64_t drawn_ms;
    int64_t rate_ms; /* the rate is measured since then */
    uint64_t rate_done;
    double rate; /* octets per second, smoothed */
    bool bar;
    bool is_drawn;
};

/* Begin; name is copied. */
void cn_progress_begin(struct cn_progress *progress, const struct cn_cli *cli, const char *name,
                       uint64_t total);
/* So much is done; draws at most ten times a second. */
void cn_progress_update(struct cn_progress *progress, uint64_t done);
/* Take the bar away, for another line; it comes back with the next update. */
void cn_progress_clear(struct cn_progress *progress);
/* The last word, with verb ("sent", "received"). */
void cn_progress_end(struct cn_progress *progress, const char *verb);
/* Under --json: what became of a file. */
void cn_progress_outcome(const struct cn_cli *cli, const char *name, uint64_t size,
                         enum cn_transfer_outcome outcome);
/* "12.3 MB"; out holds 32. Returns out. */
char *cn_size_text(char *out, double size);

#endif
