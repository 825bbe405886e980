/* message.h - what the two ends of a transfer say to each other. PROTOCOL.md 7.4
 *
 * A control stream goes both ways, a data stream from the sender to the receiver. On both:
 *
 *   type (1) | size of the body (4) | body */
#ifndef CN_MESSAGE_H
#define CN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "entry.h"
#include "err.h"

enum {
    CN_MESSAGE_CONTROL_KIND = 1, /* of the streams */
    CN_MESSAGE_DATA_KIND = 2,
    CN_MESSAGE_HEAD_SIZE = 5,
    CN_MESSAGE_CONTROL_SIZE_MAX = 16384,
    CN_MESSAGE_ITEM_COUNT_MAX = 256,
    CN_BLOCK_SIZE = 1024 * 1024, /* what is hashed, and resumed by */
    CN_INLINE_SIZE = 64 * 1024,  /* to deal with less at once costs less than to hand it on */
    CN_DATA_HEAD_SIZE_MAX = CN_MESSAGE_HEAD_SIZE + 8 + CN_SHA256_SIZE,
    CN_WINDOW_COUNT_MAX = 16384,         /* entries, from the first without RESULT to the last */
    CN_WINDOW_SIZE_MAX = 2 * 1024 * 1024 /* octets of their messages together */
};

#define CN_MESSAGE_SIZE_UNKNOWN UINT64_MAX
#define CN_MESSAGE_SIZE_MAX     ((uint64_t)INT64_MAX)

/* --- the control stream --------------------------------------------------------------------- */

enum cn_message_type {
    CN_MESSAGE_OFFER = 1, /* sender: counts of all; just once, first */
    CN_MESSAGE_ITEM,      /* sender: one of what was named; as many as OFFER says, 256 at most */
    CN_MESSAGE_ENTRY,     /* sender: a file, directory or link; in the order of indexes */
    CN_MESSAGE_END,       /* sender: how many entries there were */
    CN_MESSAGE_ACCEPT,    /* receiver: the file shall come, but for what is there */
    CN_MESSAGE_RESULT,    /* receiver: what became of the entry; just one for each */
    CN_MESSAGE_TYPE_END
};

enum cn_accept_how {
    CN_ACCEPT_SEND = 0, /* from size on if its content up to there has this sum, else all of it */
    CN_ACCEPT_COMPARE,  /* nothing; only say whether size and sum are those of all of it */
    CN_ACCEPT_HOW_COUNT
};

struct cn_message_offer {
    uint32_t file_count;
    uint32_t directory_count;
    uint32_t link_count;
    uint64_t size;       /* octets of all files whose size is known */
    uint32_t item_count; /* what was named, of which 256 at most are told */
};

struct cn_message_item {
    enum cn_entry_type type;
    uint32_t file_count;
    uint64_t size;
    char name[CN_ENTRY_PART_SIZE_MAX + 1];
};

/* Decoded, entry's name and target are those beside it: not to be copied. */
struct cn_message_entry {
    uint32_t index;
    struct cn_entry entry; /* of standard input the size is CN_MESSAGE_SIZE_UNKNOWN */
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    char target[CN_ENTRY_TARGET_SIZE_MAX + 1];
};

struct cn_message_accept {
    uint32_t index;
    enum cn_accept_how how;
    uint64_t size;               /* octets that are there: whole blocks, or 0; of COMPARE: all */
    uint8_t sum[CN_SHA256_SIZE]; /* of these, as of a file; if size is 0: zeros */
};

struct cn_message_result {
    uint32_t index;
    uint8_t outcome; /* enum cn_transfer_outcome */
};

struct cn_message {
    enum cn_message_type type;
    union {
        struct cn_message_offer offer;
        struct cn_message_item item;
        struct cn_message_entry entry;
        uint32_t end_count;
        struct cn_message_accept accept;
        struct cn_message_result result;
    };
};

/* Octets that an entry's message has on the stream. */
size_t cn_message_entry_size(const struct cn_entry *entry);
/* Write it, with its head, into out; the octets written. */
size_t cn_message_encode(const struct cn_message *message,
                         uint8_t out[CN_MESSAGE_CONTROL_SIZE_MAX]);
/* What head begins: type and size of the body. CN_E_FORMAT: no such type, or longer than any. */
CN_MUST_USE enum cn_err cn_message_head(const uint8_t head[CN_MESSAGE_HEAD_SIZE], uint8_t *type,
                                        size_t *size);
/* CN_E_FORMAT: *message is undefined then. */
CN_MUST_USE enum cn_err cn_message_decode(struct cn_message *message, uint8_t type,
                                          const uint8_t *body, size_t size);

/* --- the data stream ------------------------------------------------------------------------ */

enum cn_data_type {
    CN_DATA_BEGIN = 1, /* the file, and where in it; all up to DONE or GONE is about this one */
    CN_DATA_PLAIN,     /* its next octets, in one block */
    CN_DATA_PACKED,    /* the same, compressed */
    CN_DATA_HOLE,      /* zeros that need not be stored, in one block */
    CN_DATA_BLOCK,     /* the sum of the block that this completes; after each full one */
    CN_DATA_DONE,      /* its size and its sum */
    CN_DATA_GONE,      /* it was given up */
    CN_DATA_TYPE_END
};

enum cn_gone_code {
    CN_GONE_CHANGED = 0,
    CN_GONE_UNREADABLE,
    CN_GONE_DIFFERS, /* the answer to CN_ACCEPT_COMPARE: the receiver decides anew */
    CN_GONE_CODE_COUNT
};

/* What stands before the octets of a data message, if it has any. */
struct cn_data {
    enum cn_data_type type;
    uint32_t index;              /* BEGIN */
    uint64_t offset;             /* BEGIN: what ACCEPT said, or 0 */
    uint32_t size;               /* HOLE, PLAIN, PACKED: of the file's octets; never 0 */
    uint32_t packed_size;        /* PACKED: of the octets that follow */
    uint64_t final_size;         /* DONE */
    uint8_t sum[CN_SHA256_SIZE]; /* BLOCK, DONE */
    enum cn_gone_code code;      /* GONE */
};

/* Octets of the file, or compressed ones, that follow what cn_data_decode takes. */
static inline uint32_t cn_data_follows(const struct cn_data *data)
{
    return data->type == CN_DATA_PLAIN    ? data->size
           : data->type == CN_DATA_PACKED ? data->packed_size
                                          : 0;
}

/* The head; how many octets. */
size_t cn_data_encode(const struct cn_data *data, uint8_t out[CN_DATA_HEAD_SIZE_MAX]);
/* Read the head at the start of in. CN_OK: *used octets of it. CN_E_MORE: it is not all there.
 * CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_data_decode(struct cn_data *data, size_t *used, const uint8_t *in,
                                       size_t in_size);

#endif
