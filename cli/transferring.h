/* transferring.h - what `send` and `receive` do alike: the loop of a transfer, what it says of each
 * file, and how it ends. */
#ifndef CN_TRANSFERRING_H
#define CN_TRANSFERRING_H

#include "dial.h"
#include "progress.h"
#include "signals.h"

struct cn_transferring {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_sending *sending;     /* one of the two; owned until cn_transferring_end */
    struct cn_receiving *receiving; /* the other is NULL */
    struct cn_progress progress;
    struct cn_signals signals;
    int interrupted;  /* the signal that asks to stop, or 0 */
    bool sends_input; /* standard input is among what is sent */
    bool asks;        /* receiving: the user is to be asked */
    bool is_asking;   /* the answer is awaited on standard input */
    uint64_t stored, unchanged, refused, failed;
    uint64_t stored_size;
    bool has_problems;
    bool finished, closed;
    int code;
};

/* Carry the transfer over dial's call to its end; the exit code. All has been said. */
int cn_transferring_run(struct cn_transferring *t);
/* Free the engines, then the call. */
void cn_transferring_end(struct cn_transferring *t);
/* Take what can be said so far: of sources that were left out. */
void cn_transferring_tell(struct cn_transferring *t);

/* consent.c: show what is offered and ask; then what was answered, which may ask again. */
void cn_consent_ask(struct cn_transferring *t);
void cn_consent_take(struct cn_transferring *t);

#endif
