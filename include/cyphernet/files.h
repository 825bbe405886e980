/* files.h - files, directories and links over a call of CN_CALL_FILE; part of <cyphernet.h>.
 *
 * Who sends opens a *sending* from paths, calls, and gives it the call; who receives opens a
 * *receiving* for a directory likewise. From then on both are driven beside the call: wait for the
 * descriptors of both, or until the sooner of both times is over, call cn_call_process, hand each
 * of the call's events to cn_sending_take, call cn_sending_process, and take its own events.
 * cn_call_finish and cn_call_cancel are called by them: what is left to the owner is to wait for
 * CN_EVENT_CLOSED, and to free sending or receiving before the call. They are used by the thread
 * that uses their home, and have threads of their own beside it, which touch files only.
 *
 * Files may also go in the call of a talk (<cyphernet/talk.h>), beside what is said, in one
 * transfer each way at a time: see cn_sending_join. */
#ifndef CN_FILES_H
#define CN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyphernet/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_home;
struct cn_call;
struct cn_event;
struct pollfd;
struct cn_sending;
struct cn_receiving;

/* In the call of a talk: the kind of the stream that begins a transfer. */
enum { CN_TRANSFER_STREAM_KIND = 2 };

enum cn_transfer_kind { CN_TRANSFER_FILE = 1, CN_TRANSFER_DIRECTORY = 2, CN_TRANSFER_LINK = 3 };

/* What became of a file, directory or link. */
enum cn_transfer_outcome {
    CN_TRANSFER_STORED = 0,    /* whole, verified, and on disk under its name */
    CN_TRANSFER_EXISTS = 1,    /* refused: the name is taken at the receiver */
    CN_TRANSFER_BAD_NAME = 2,  /* refused: it would lead elsewhere, or is no name there */
    CN_TRANSFER_DISK_FULL = 3, /* of the receiver */
    CN_TRANSFER_MISMATCH = 4,  /* what arrived is not what was sent */
    CN_TRANSFER_FAILED = 5,    /* something else failed at the receiver */
    CN_TRANSFER_WITHDRAWN = 6, /* by the sender: it changed, or could not be read */
    CN_TRANSFER_UNCHANGED = 7, /* the receiver has the same already */
    CN_TRANSFER_UNWANTED = 8,  /* refused by the receiver's user */
    CN_TRANSFER_OUTCOME_COUNT
};

/* As the end of "NAME: ...", said by the sender; static. */
CN_API const char *cn_transfer_outcome_text(enum cn_transfer_outcome outcome);

/* What keeps a transfer from going on, as far as known at this end. */
enum cn_transfer_wait {
    CN_TRANSFER_WAITS_NOT = 0,
    CN_TRANSFER_WAITS_CONSENT, /* nobody has decided yet at the receiver */
    CN_TRANSFER_WAITS_SOURCE,  /* reading at the sender */
    CN_TRANSFER_WAITS_LINE,    /* the line, or the partner's program, takes nothing */
    CN_TRANSFER_WAITS_DISK,    /* writing at the receiver */
    CN_TRANSFER_WAITS_PARTNER  /* the partner has to say something */
};

enum cn_transfer_event_type {
    CN_TRANSFER_EVENT_NONE = 0,
    CN_TRANSFER_EVENT_OFFERED,  /* receiving: all that can be told of it before it comes is there */
    CN_TRANSFER_EVENT_BEGUN,    /* octets of a file are about to be sent, or to come */
    CN_TRANSFER_EVENT_OVER,     /* outcome */
    CN_TRANSFER_EVENT_PROBLEM,  /* reason (and system_error) about path, which is left out, or will
                                 * be over soon; the rest goes on */
    CN_TRANSFER_EVENT_FINISHED, /* everything is over, and both know; CLOSED comes */
    CN_TRANSFER_EVENT_BROKEN    /* err: it cannot go on, and the call is being cancelled.
                                 * CN_E_FORMAT: the partner said something that makes no sense.
                                 * The call of a talk goes on; there also CN_E_REFUSED: by the
                                 * partner's user; CN_E_INTERRUPTED: the partner has given it up;
                                 * CN_E_LIMIT: he does not take another now; CN_E_SYSTEM: it failed
                                 * there */
};

enum cn_transfer_reason {
    CN_TRANSFER_REASON_SYSTEM = 0, /* system_error */
    CN_TRANSFER_REASON_CHANGED,    /* the source is not what was offered any more */
    CN_TRANSFER_REASON_SPECIAL,    /* no file, directory or link: a device, a socket, a FIFO */
    CN_TRANSFER_REASON_NAME,       /* its path is too long */
    CN_TRANSFER_REASON_NO_MEMORY,
    CN_TRANSFER_REASON_LIBRARY /* libcrypto or zstd failed */
};

struct cn_transfer_event {
    enum cn_transfer_event_type type;
    const char *path; /* as it is, or shall be, below the receiver's directory; any octets but NUL.
                       * Valid until the next event is taken */
    const char *stored_as; /* receiving, OVER: under another path than path; else NULL. Likewise */
    enum cn_transfer_kind kind;
    uint64_t size;    /* octets; UINT64_MAX: unknown */
    uint64_t resumed; /* BEGUN: so many were there already */
    enum cn_transfer_outcome outcome;
    enum cn_transfer_reason reason;
    int system_error; /* errno */
    enum cn_err err;
};

/* How far it is. */
struct cn_transfer_progress {
    uint64_t entry_count; /* of files, directories and links, as was offered */
    uint64_t over_count;  /* of these */
    uint64_t size;        /* octets of all files, as was offered; UINT64_MAX: one's are not known */
    uint64_t done;        /* of these: over there, there before, or not to come */
    uint64_t moved;       /* octets of files that have gone over the line; without holes */
    uint64_t file_size;   /* of the file under way; UINT64_MAX: unknown */
    uint64_t file_done;
    const char *file; /* its path, or NULL; valid until the next use of the transfer */
    enum cn_transfer_wait wait;
};

/* --- Sending -------------------------------------------------------------------------------- */

struct cn_sending_options {
    const char *const *paths; /* as for open(2); "-": standard input; borrowed until it is freed */
    size_t path_count;
    const char *const *excludes; /* patterns as in a .gitignore; borrowed until it is freed */
    size_t exclude_count;
    bool gitignore;         /* leave out what .gitignore files below the paths name */
    bool compress;          /* files of which a sample shows that it saves a tenth */
    const char *input_name; /* what standard input is called there; NULL: "stdin" */
};

/* Look at all that is named, and count it. CN_E_SYSTEM: one cannot be read; CN_E_USAGE: one is no
 * file, directory or link, or "-" is named twice; CN_E_NAME: one has no name to arrive under;
 * CN_E_EXISTS: two would arrive under one name; CN_E_ABSENT: nothing is left to send; CN_E_CONFIG:
 * a pattern; CN_E_MEMORY. The home's detail says which. */
CN_API CN_MUST_USE enum cn_err cn_sending_open(struct cn_sending **sending, struct cn_home *home,
                                               const struct cn_sending_options *options);
/* Over this call, which is open; borrowed until the sending is freed. CN_E_MEMORY, CN_E_SYSTEM. */
CN_API CN_MUST_USE enum cn_err cn_sending_begin(struct cn_sending *sending, struct cn_call *call);
/* The same in the call of a talk: it has streams of its own there, to take events of no other, and
 * the call goes on when it is over. One at a time: from FINISHED or BROKEN on, or when it was freed
 * before, which gives it up, the next may begin. CN_E_LIMIT, too: of streams. */
CN_API CN_MUST_USE enum cn_err cn_sending_join(struct cn_sending *sending, struct cn_call *call);
CN_API void cn_sending_free(struct cn_sending *sending); /* NULL is fine */
CN_API size_t cn_sending_descriptors(const struct cn_sending *sending, struct pollfd *descriptors,
                                     size_t max);
CN_API int cn_sending_timeout_ms(const struct cn_sending *sending);
/* True: it was the transfer's, and needs no other look. CLOSED is always the owner's, too. */
CN_API bool cn_sending_take(struct cn_sending *sending, const struct cn_event *event);
CN_API void cn_sending_process(struct cn_sending *sending);
CN_API bool cn_sending_next_event(struct cn_sending *sending, struct cn_transfer_event *event);
CN_API void cn_sending_progress(const struct cn_sending *sending,
                                struct cn_transfer_progress *progress);

/* --- Receiving ------------------------------------------------------------------------------ */

enum cn_receiving_conflict {
    CN_CONFLICT_SKIP = 0, /* what is there stays, and what comes is refused */
    CN_CONFLICT_RENAME,   /* what comes gets a number */
    CN_CONFLICT_OVERWRITE /* what comes takes its place: a file a file's or link's */
};

struct cn_receiving_options {
    const char *directory; /* borrowed until it is freed; NULL: the present one */
    const char *contact;   /* who sends: what was interrupted goes on only with the same; copied */
    enum cn_receiving_conflict conflict;
    bool ask; /* nothing comes until cn_receiving_decide is called after OFFERED */
};

/* CN_E_SYSTEM: the directory (detail); CN_E_MEMORY. */
CN_API CN_MUST_USE enum cn_err cn_receiving_open(struct cn_receiving **receiving,
                                                 struct cn_home *home,
                                                 const struct cn_receiving_options *options);
CN_API CN_MUST_USE enum cn_err cn_receiving_begin(struct cn_receiving *receiving,
                                                  struct cn_call *call);
/* The same in the call of a talk, when CN_EVENT_STREAM has told of a stream of the kind
 * CN_TRANSFER_STREAM_KIND: hand it that event next. */
CN_API CN_MUST_USE enum cn_err cn_receiving_join(struct cn_receiving *receiving,
                                                 struct cn_call *call);
/* Nothing more comes: what is whole and verified is stored, and what has come of others is kept for
 * the next time, as far as it can go on then: so many octets. Of what is stored there are events
 * yet; besides these, its progress and to free it nothing is left to do. Again, it says the same.
 */
CN_API uint64_t cn_receiving_end(struct cn_receiving *receiving);
/* After cn_receiving_end, if that was not called. NULL is fine. */
CN_API void cn_receiving_free(struct cn_receiving *receiving);
CN_API size_t cn_receiving_descriptors(const struct cn_receiving *receiving,
                                       struct pollfd *descriptors, size_t max);
CN_API int cn_receiving_timeout_ms(const struct cn_receiving *receiving);
CN_API bool cn_receiving_take(struct cn_receiving *receiving, const struct cn_event *event);
CN_API void cn_receiving_process(struct cn_receiving *receiving);
CN_API bool cn_receiving_next_event(struct cn_receiving *receiving,
                                    struct cn_transfer_event *event);
CN_API void cn_receiving_progress(const struct cn_receiving *receiving,
                                  struct cn_transfer_progress *progress);

/* What is offered. */
struct cn_transfer_offer {
    uint64_t file_count;
    uint64_t directory_count;
    uint64_t link_count;
    uint64_t size;     /* octets of all files whose size is known */
    size_t item_count; /* what the sender named */
    size_t told_count; /* of these, the first so many are told of one by one */
};

struct cn_transfer_item {
    const char *name; /* any octets but NUL; valid while the receiving is */
    enum cn_transfer_kind kind;
    uint64_t file_count; /* in it */
    uint64_t size;       /* octets of these; UINT64_MAX: unknown */
};

/* False: it has not been told yet. */
CN_API bool cn_receiving_offer(const struct cn_receiving *receiving,
                               struct cn_transfer_offer *offer);
/* index: below told_count. */
CN_API void cn_receiving_item(const struct cn_receiving *receiving, size_t index,
                              struct cn_transfer_item *item);
/* Take these items, by index: the rest is refused as unwanted. wanted NULL: all of them; then those
 * that were not told of come, too. No item: the call is refused; of a talk, only the transfer. */
CN_API void cn_receiving_decide(struct cn_receiving *receiving, const bool *wanted,
                                size_t wanted_count);

#ifdef __cplusplus
}
#endif

#endif
