/* receiving.h - the receiver's end of a transfer. PROTOCOL.md 7.4
 *
 * receiving.c hears what there is and answers (control stream); judging.c decides what shall come,
 * looks at what is there already, and stores what has come; arriving.c takes the data stream, whose
 * blocks are hashed and written by workers. */
#ifndef CN_RECEIVING_H
#define CN_RECEIVING_H

#include <cyphernet.h>

#include <stdatomic.h>

#include "arriving.h"
#include "content.h"
#include "dialogue.h"
#include "happening.h"
#include "jobs.h"
#include "part.h"
#include "place.h"
#include "storing.h"

enum { CN_RECEIVING_THREAD_COUNT = 4 }; /* one of them may wait for the disk */

enum cn_receiving_state {
    CN_RECEIVING_TOLD,       /* to be judged */
    CN_RECEIVING_CHECKING,   /* what is there of it is being hashed */
    CN_RECEIVING_ACCEPT_DUE, /* to be said */
    CN_RECEIVING_ACCEPTED,   /* the sender has to begin */
    CN_RECEIVING_COMING,     /* on the data stream now */
    CN_RECEIVING_WHOLE,      /* all has come, and not all is written */
    CN_RECEIVING_VERIFIED,   /* to be stored, together with others */
    CN_RECEIVING_OVER        /* the result is to be said, or has been */
};

/* What is there already, hashed on a worker's thread. */
struct cn_checking {
    struct cn_job job; /* first */
    const struct cn_crypto *crypto;
    atomic_bool *cancelled;    /* stop */
    int fd;                    /* owned if it is compared, else the part's */
    uint64_t size;             /* octets to be hashed */
    struct cn_content content; /* goes on */
    uint8_t sum[CN_SHA256_SIZE];
    enum cn_err err; /* CN_E_TRUNCATED: there are fewer */
};

/* What is verified and gets its names, while the rest goes on; the disk is waited for on a worker's
 * thread. */
struct cn_batch {
    struct cn_job job; /* first */
    struct cn_storing storing;
    uint32_t *index;        /* of its entries; CN_WINDOW_COUNT_MAX of them */
    struct cn_part **parts; /* of those that are files; the same */
    uint32_t count;
    bool is_busy;
    bool has_waited; /* the worker's: what it was to wait for is over */
};

/* An entry whose result the sender does not have yet. */
struct cn_receiving_file {
    enum cn_receiving_state state;
    enum cn_transfer_outcome outcome; /* once OVER */
    struct cn_entry entry;            /* name and target in text */
    char *text;                       /* owned */
    size_t message_size;
    bool size_unknown; /* entry.size follows what comes */
    bool is_large;     /* its part is open from the time that it is accepted */
    bool is_due;       /* in the queue of what is to be said */
    bool result_told;
    bool keeps;             /* its part, for another time */
    struct cn_there there;  /* what is there already; number: what is compared now */
    unsigned next_compared; /* the number that is to be looked at after that */
    unsigned compare_count; /* of what has turned out to be another */
    uint32_t next_again;    /* the index of who is to be judged anew after it */
    enum cn_accept_how how;
    uint64_t have_size;
    uint8_t have_sum[CN_SHA256_SIZE];
    struct cn_checking *checking; /* owned, or NULL */
    struct cn_part *part;         /* owned, or NULL */
    struct cn_content content;    /* of what has come and what was there */
    unsigned slot_count;          /* in which blocks of it are */
    uint8_t sum[CN_SHA256_SIZE];  /* what the sender says, once WHOLE */
    uint64_t counted;             /* octets that progress counts as done */
};

struct cn_receiving {
    struct cn_home *home; /* borrowed */
    struct cn_call *call; /* borrowed; NULL until it has begun */
    bool is_guest;        /* the call is a talk's */
    char *contact;
    enum cn_receiving_conflict conflict;
    struct cn_journals *journals;
    struct cn_place *place;
    struct cn_jobs *jobs;
    struct cn_happenings happenings;
    atomic_bool cancelled; /* workers shall stop */

    bool is_decided;
    bool picks; /* only these items */
    bool wanted[CN_MESSAGE_ITEM_COUNT_MAX];

    struct cn_dialogue control;
    struct cn_message message; /* the one in hand */
    bool offered;
    struct cn_message_offer offer;
    struct cn_message_item *items; /* as many as there are */
    uint32_t item_count;           /* told so far */
    bool has_unknown;              /* an item without known size is among them */
    struct cn_message_offer left;  /* of the offer, what no entry has been told of yet */
    struct cn_message_item *items_left;
    uint32_t told; /* entries */
    uint32_t judged;
    uint32_t first;     /* all before it are over, and their results told; they are forgotten */
    size_t window_size; /* octets of the messages in between */
    bool ended;         /* END came: told is final */
    struct cn_receiving_file *files; /* CN_WINDOW_COUNT_MAX of them, in a circle */
    uint32_t *due;                   /* the same: what there is something to say of */
    uint32_t due_first, due_count;

    unsigned large_count;                          /* parts of large files that are open */
    uint32_t again_first, again_last, again_count; /* which are to be judged anew */
    bool is_checking;                              /* one at a time */
    uint32_t checking_index;                       /* that one */
    uint32_t coming_count; /* files that are accepted and neither verified nor over */
    uint32_t *verified;    /* CN_WINDOW_COUNT_MAX of them, in the order in which they became so */
    uint32_t verified_count;
    struct cn_batch batch;
    uint64_t verified_size;
    uint64_t verified_since_ms;
    uint32_t over_count;
    uint64_t done; /* octets, see cn_transfer_progress */
    bool tree_finished;
    uint64_t kept; /* octets, of files that go on another time */
    bool finished; /* or broken */
    struct cn_arriving arriving;
};

/* index: from first up to told. */
static inline struct cn_receiving_file *cn_receiving_file_at(const struct cn_receiving *r,
                                                             uint32_t index)
{
    return &r->files[index % CN_WINDOW_COUNT_MAX];
}

/* There is something to say of it. */
void cn_receiving_due(struct cn_receiving *r, uint32_t index);
/* It cannot go on: err, of the partner's making (CN_E_FORMAT) or ours. */
void cn_receiving_break(struct cn_receiving *r, enum cn_err err);
void cn_receiving_problem(struct cn_receiving *r, const char *path, enum cn_err err,
                          int system_error);
/* size octets of a file more are done with. */
void cn_receiving_count(struct cn_receiving *r, struct cn_receiving_file *file, uint64_t size);
void cn_receiving_set_state(struct cn_receiving *r, struct cn_receiving_file *file,
                            enum cn_receiving_state state);

/* --- judging.c ------------------------------------------------------------------------------ */

/* Judge what has been told, as far as it can be done now. */
void cn_judging_process(struct cn_receiving *r);
/* Store what is verified, if there is enough of it or it is time, and go on with what is being
 * stored. */
void cn_judging_store(struct cn_receiving *r);
/* All that is verified, here and now: the workers have stopped. */
void cn_judging_store_all(struct cn_receiving *r);
/* Milliseconds until cn_judging_store is due; -1: never. */
int cn_judging_timeout_ms(const struct cn_receiving *r);
/* It is over: the outcome is to be said. Its part goes as soon as no block of it is in hand. */
void cn_judging_over(struct cn_receiving *r, uint32_t index, enum cn_transfer_outcome outcome);
/* err, and errno if it is CN_E_SYSTEM, of keeping a file: tells its user, and over. */
void cn_judging_failed(struct cn_receiving *r, uint32_t index, enum cn_err err, int system_error);
/* What is there already is the same: over. */
void cn_judging_unchanged(struct cn_receiving *r, uint32_t index);
/* The sender says that it is not what is there: it will be judged anew. */
void cn_judging_differs(struct cn_receiving *r, uint32_t index);
/* Open its part, if it is not. False: it is over. */
bool cn_judging_open(struct cn_receiving *r, uint32_t index);
/* All of it is written and its sum is right. */
void cn_judging_verified(struct cn_receiving *r, uint32_t index);
/* What was being hashed of it is not wanted any more; its worker has stopped, or has not begun. */
void cn_judging_check_drop(struct cn_receiving_file *file);
/* Let go of what the file has open, if no block of it is in hand. */
void cn_judging_release(struct cn_receiving *r, struct cn_receiving_file *file);

#endif
