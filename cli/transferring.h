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
    int interrupted;                            /* the signal that asks to stop, or 0 */
    bool sends_input;                           /* standard input is among what is sent */
    bool asks;                                  /* receiving: the user is to be asked */
    bool is_asking;                             /* the answer is awaited on standard input */
    bool is_guest;                              /* of a talk, whose call it is */
    void (*offered)(struct cn_transferring *t); /* NULL: cn_consent_ask */
    void *owner;                                /* whoever set that */
    uint64_t stored, unchanged, refused, failed;
    uint64_t stored_size;
    bool has_problems;
    bool finished, closed;
    bool broken; /* it cannot go on */
    bool anew;   /* nor this call: the partner has begun another, in which all else can */
    int code;
};

enum { CN_CONSENT_ITEM_COUNT_MAX = 256 };

/* Carry the transfer over dial's call to its end; the exit code. All has been said. If anew is set
 * then, the same is to be done once more, in a call of its own. */
int cn_transferring_run(struct cn_transferring *t);
/* Free the engines, then the call. */
void cn_transferring_end(struct cn_transferring *t);
/* Take what can be said so far: of sources that were left out. */
void cn_transferring_tell(struct cn_transferring *t);

/* Of all of it, if it is more than one thing. */
void cn_transferring_tell_total(struct cn_transferring *t);
/* What became of it. */
int cn_transferring_code(const struct cn_transferring *t);

/* cmd_send.c: what is wrong with what was to be sent; the exit code. */
int cn_send_cannot(struct cn_cli *cli, enum cn_err err);
/* cmd_receive.c: what --on-conflict and --overwrite say; false: nothing that there is. */
bool cn_conflict_read(struct cn_cli *cli, enum cn_receiving_conflict *conflict);
/* With the directory, or else; the exit code. */
int cn_receive_cannot(struct cn_cli *cli, enum cn_err err);

/* consent.c: the offer as JSON, and as one line a thing, by cn_tell. */
void cn_consent_say_json(struct cn_transferring *t, const struct cn_transfer_offer *offer);
void cn_consent_items_tell(const struct cn_transferring *t, const struct cn_transfer_offer *offer);
/* "1 3-5", of count things; text is taken apart. False: that is not what it says. */
bool cn_consent_picks_read(char *text, size_t count, bool wanted[CN_CONSENT_ITEM_COUNT_MAX]);
/* consent.c: show what is offered and ask; then what was answered, which may ask again. */
void cn_consent_ask(struct cn_transferring *t);
void cn_consent_take(struct cn_transferring *t);

#endif
