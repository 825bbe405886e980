/* transfer.h - what `send` and `receive` say to each other. PROTOCOL.md 7.4
 *
 * The sender opens one control stream, on which both sides say messages, and for each file that the
 * receiver accepts one data stream, which holds the file's octets and nothing else.
 *
 *   type (1) | size of the body (4) | body */
#ifndef CN_TRANSFER_H
#define CN_TRANSFER_H

#include <cyphernet.h>

enum {
    CN_TRANSFER_CONTROL_KIND = 1,
    CN_TRANSFER_DATA_KIND = 2, /* parameters: the file's index (4) */
    CN_TRANSFER_NAME_SIZE_MAX = 255,
    CN_TRANSFER_SUM_SIZE = 32, /* SHA-256 */
    CN_TRANSFER_MESSAGE_SIZE_MAX = 512,
    CN_TRANSFER_FILE_COUNT_MAX = 1000000,
    CN_TRANSFER_OFFER_COUNT_MAX = 1024 /* files from the first without RESULT to the last offered */
};

enum cn_transfer_type {
    CN_TRANSFER_FILE = 1,   /* sender: index, size, mode, mtime, name; in the order of indexes */
    CN_TRANSFER_END = 2,    /* sender: how many files there were */
    CN_TRANSFER_SUM = 3,    /* sender: index, SHA-256 of the whole file */
    CN_TRANSFER_ACCEPT = 4, /* receiver: index */
    CN_TRANSFER_RESULT = 5  /* receiver: index, outcome; refused files get one instead of ACCEPT */
};

enum cn_transfer_outcome {
    CN_TRANSFER_STORED = 0, /* whole, verified, on disk under its name */
    CN_TRANSFER_EXISTS = 1, /* refused: there is a file of this name */
    CN_TRANSFER_BAD_NAME = 2,
    CN_TRANSFER_DISK_FULL = 3,
    CN_TRANSFER_MISMATCH = 4,  /* what arrived is not what the sender has */
    CN_TRANSFER_FAILED = 5,    /* another failure of the receiver's system */
    CN_TRANSFER_WITHDRAWN = 6, /* the sender gave it up */
    CN_TRANSFER_OUTCOME_COUNT
};

struct cn_transfer_message {
    enum cn_transfer_type type;
    uint32_t index; /* END: the count */
    uint64_t size;
    uint32_t mode; /* permission bits */
    int64_t mtime_s;
    uint32_t mtime_ns;
    char name[CN_TRANSFER_NAME_SIZE_MAX + 1];
    uint8_t sum[CN_TRANSFER_SUM_SIZE];
    enum cn_transfer_outcome outcome;
};

/* Messages of a control stream, in and out. */
struct cn_control {
    struct cn_stream *stream; /* borrowed */
    uint8_t in[CN_TRANSFER_MESSAGE_SIZE_MAX];
    size_t in_size;
    uint8_t out[CN_TRANSFER_MESSAGE_SIZE_MAX]; /* one message that the stream had no room for */
    size_t out_begin, out_end;
};

/* Say one; false: the last has not gone out yet, try again later. */
bool cn_control_put(struct cn_control *control, const struct cn_transfer_message *message);
/* Move on what waits. True: nothing waits. */
bool cn_control_flush(struct cn_control *control);
/* CN_OK: *message is the next one. CN_E_MORE: it is not all there. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_control_take(struct cn_control *control,
                                        struct cn_transfer_message *message);

/* A name that may be made in a directory: no slash, no NUL, not "." nor "..", 1 to 255 octets. */
bool cn_transfer_name_valid(const char *name, size_t size);
/* What an outcome means, as the end of "NAME: ..."; static. */
const char *cn_transfer_outcome_text(enum cn_transfer_outcome outcome);

#endif
