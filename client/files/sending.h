/* sending.h - the sender's end of a transfer. PROTOCOL.md 7.4
 *
 * listing.c lists what there is, sending.c says what it is (control stream), and feeding.c reads
 * what the receiver has accepted, ahead of need, and puts it on the data stream, one file after the
 * other.
 */
#ifndef CN_SENDING_H
#define CN_SENDING_H

#include <cyphernet.h>

#include <stdatomic.h>

#include "content.h"
#include "dialogue.h"
#include "happening.h"
#include "reading.h"
#include "walk.h"

enum { CN_SENDING_SLOT_COUNT = 8, CN_SENDING_THREAD_COUNT = 2 };

enum cn_sending_state {
    CN_SENDING_TOLD,     /* the receiver has to decide */
    CN_SENDING_ACCEPTED, /* in the queue */
    CN_SENDING_READING,  /* blocks of it are being read, or on their way to the stream */
    CN_SENDING_SENT,     /* all of it is on the stream; the result is awaited */
    CN_SENDING_GIVEN_UP, /* so is that; the receiver has to confirm it */
    CN_SENDING_OVER
};

/* An entry that the receiver has not answered for. */
struct cn_sending_file {
    enum cn_sending_state state;
    enum cn_entry_type type;
    enum cn_transfer_outcome outcome; /* once OVER */
    uint64_t size;
    uint64_t counted; /* octets of it that progress has counted as done */
    size_t message_size;
    struct cn_message_accept accept;
    int fd;              /* while READING, else -1 */
    unsigned slot_count; /* in which blocks of it are */
    bool sparse;
    bool packs;       /* a sample says that compressing pays */
    bool packs_known; /* whether it does */
};

/* A block on its way from a file to the stream. */
struct cn_sending_slot {
    struct cn_reading reading; /* first: of a job */
    uint32_t index;            /* of the file */
    bool is_first, is_last;    /* block; of standard input the last is known once it is read */
    bool is_stale;             /* not wanted any more */
    int step;                  /* feeding.c: what is to be said of it next */
    unsigned run_at;           /* of its runs, the next */
};

/* The file whose blocks are put on the stream. */
struct cn_feeding_file {
    uint32_t index;
    struct cn_content content;
    struct cn_content before; /* of what the receiver says that it has */
    uint64_t at;              /* octets dealt with */
    bool begun;               /* BEGIN is said, and neither DONE nor GONE */
    bool gone_due;            /* GONE has to be */
};

struct cn_feeding {
    struct cn_stream *stream; /* borrowed; NULL until it is open */
    struct cn_sending_slot slot[CN_SENDING_SLOT_COUNT];
    unsigned first, count; /* slots in use, in a circle */
    bool is_reading;       /* a file is being read, or may have to be again */
    bool read_all;         /* to its end */
    uint32_t index;        /* that one */
    uint64_t read_at;
    struct cn_feeding_file file;
    uint8_t zeros_sum[CN_SHA256_SIZE];
    uint8_t head[3 * CN_DATA_HEAD_SIZE_MAX]; /* what the stream had no room for; then */
    size_t head_begin, head_end;
    const uint8_t *from; /* of a slot */
    size_t left;
    uint64_t moved;                           /* octets of files */
    char current[CN_ENTRY_NAME_SIZE_MAX + 1]; /* the name of the last that was begun */
    uint64_t current_size, current_at;
};

/* The one way over all that is to be sent, by whichever thread. */
struct cn_listing {
    struct cn_job job; /* first */
    struct cn_sending *sending;
    struct cn_sending_options options; /* what it points to is borrowed */
    atomic_bool cancelled;
    enum cn_err err; /* once it is done, with what goes into the home's detail */
    int system_error;
    const char *about; /* borrowed */
};

struct cn_sending {
    struct cn_home *home; /* borrowed */
    struct cn_listing listing;
    struct cn_call *call; /* borrowed; NULL until it has begun */
    bool is_guest;        /* the call is a talk's */
    bool compress;
    const char *input_name; /* borrowed; NULL: standard input is not sent */
    struct cn_filter *filter;
    struct cn_walk *walk;
    struct cn_jobs *jobs;
    int cancel[2]; /* pipe: closing its end 1 ends a read of standard input */
    struct cn_happenings happenings;
    struct cn_message_offer offer;
    struct cn_message_item *items; /* CN_MESSAGE_ITEM_COUNT_MAX of them */
    uint32_t count;                /* of entries */
    bool problems;

    struct cn_dialogue control;
    struct cn_message message; /* the one in hand */
    bool offer_told;
    uint32_t items_told;
    uint32_t told;      /* entries */
    uint32_t answered;  /* all before it are over */
    size_t window_size; /* octets of the messages in between */
    bool end_told;
    struct cn_sending_file *files; /* CN_WINDOW_COUNT_MAX of them, in a circle */
    uint32_t *queue;               /* the same: accepted, in that order */
    uint32_t queue_first, queue_count;
    uint32_t over_count;
    uint64_t done; /* octets, see cn_transfer_progress */
    bool finished; /* or broken */
    struct cn_feeding feeding;
};

/* index: from answered up to told. */
static inline struct cn_sending_file *cn_sending_file_at(struct cn_sending *s, uint32_t index)
{
    return &s->files[index % CN_WINDOW_COUNT_MAX];
}

static inline bool cn_sending_is_input(const struct cn_sending *s, uint32_t index)
{
    return s->input_name && index + 1 == s->count;
}

/* What is at index, as the receiver is told; name holds CN_ENTRY_NAME_SIZE_MAX + 1. */
void cn_sending_entry(const struct cn_sending *s, uint32_t index, struct cn_entry *entry,
                      char *name);
/* It cannot go on: err, of the partner's making (CN_E_FORMAT) or ours. */
void cn_sending_break(struct cn_sending *s, enum cn_err err);
/* Something about an entry that its user should know. */
void cn_sending_problem_of(struct cn_sending *s, const char *path, enum cn_transfer_reason reason,
                           int system_error);
void cn_sending_problem(struct cn_sending *s, uint32_t index, enum cn_transfer_reason reason,
                        int system_error);
/* A read of standard input that waits ends. */
void cn_sending_cancel_input(struct cn_sending *s);
/* size octets of a file more are done with. */
void cn_sending_count(struct cn_sending *s, struct cn_sending_file *file, uint64_t size);

/* --- listing.c ------------------------------------------------------------------------------ */

/* Here and now; errors as of cn_sending_open. */
CN_MUST_USE enum cn_err cn_listing_run(struct cn_sending *s);
/* By a thread: see cn_sending_listed. */
void cn_listing_begin(struct cn_sending *s);

/* For an owner who has other things to do than to wait for a large tree: cn_sending_open, but that
 * it is a thread that looks what there is. Options stay borrowed until cn_sending_listed says that
 * it has, before which nothing but descriptors may be asked for, and the transfer be freed. There
 * is no standard input. CN_E_MEMORY, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_sending_open_later(struct cn_sending **sending, struct cn_home *home,
                                              const struct cn_sending_options *options);
/* CN_E_MORE: not yet. CN_OK: it may begin. Else why nothing is sent, as of cn_sending_open. */
CN_MUST_USE enum cn_err cn_sending_listed(struct cn_sending *sending);

/* --- feeding.c ------------------------------------------------------------------------------ */

CN_MUST_USE enum cn_err cn_feeding_begin(struct cn_sending *s);
/* Read ahead, and put on the stream what there is room for. */
void cn_feeding_process(struct cn_sending *s);
/* Octets that are said, and that the stream has not taken yet. */
uint64_t cn_feeding_unsaid(const struct cn_sending *s);
/* Whether a block is being read that the stream could take. */
bool cn_feeding_waits_for_source(const struct cn_sending *s);
/* The receiver wants no more of a file that is READING. */
void cn_feeding_drop(struct cn_sending *s, uint32_t index);
void cn_feeding_wipe(struct cn_sending *s);

#endif
