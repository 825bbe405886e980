/* frame.h - what the plaintext of a record holds, one after the other. PROTOCOL.md 6.2
 *
 *   type (1) | zero (1) | body size (2) | stream (4) | body
 *
 * Stream 0 is the call itself. Type PADDING (0) ends the record: the rest is zeros. */
#ifndef CN_FRAME_H
#define CN_FRAME_H

#include "err.h"
#include "reader.h"
#include "writer.h"

enum cn_frame_type {
    CN_FRAME_PADDING = 0,
    CN_FRAME_OPEN = 1,     /* kind (1), parameters */
    CN_FRAME_DATA = 2,     /* offset (8), octets, at least one */
    CN_FRAME_RECEIVED = 3, /* offset (8) of the next expected octet; the end counts as one */
    CN_FRAME_DURABLE = 4,  /* offset (8): all below it is on disk */
    CN_FRAME_WINDOW = 5,   /* offset (8): all below it may be sent */
    CN_FRAME_FIN = 6,      /* offset (8): how many octets there were */
    CN_FRAME_RESET = 7,    /* code (4): the stream is given up */
    CN_FRAME_PING = 8,     /* token (8) */
    CN_FRAME_PONG = 9,     /* token (8) of the PING */
    CN_FRAME_REHANDSHAKE = 10,
    CN_FRAME_SWITCH = 11,
    CN_FRAME_RESUME = 12, /* of a stream: how far it is; of the call: that is all */
    CN_FRAME_CLOSE = 13,  /* code (4): 0 done, else why not; the last frame of its direction */
    CN_FRAME_TYPE_COUNT
};

enum {
    CN_FRAME_HEAD_SIZE = 8,
    CN_FRAME_DATA_HEAD_SIZE = CN_FRAME_HEAD_SIZE + 8,
    CN_FRAME_PARAMETERS_SIZE_MAX = 1024,
    CN_FRAME_RESUME_SIZE = 1 + 8 + 8 + 8 + 4 /* octets of the body, at most */
};

struct cn_frame {
    enum cn_frame_type type;
    uint32_t stream;
    uint64_t offset; /* or token */
    uint32_t code;
    uint8_t kind;
    const uint8_t
        *bytes; /* OPEN: parameters; DATA: octets; REHANDSHAKE, RESUME: all of it; borrowed */
    size_t size;
};

/* Append a frame; for DATA only its head: the octets follow elsewhere. Sticky failure as writer.h.
 */
void cn_frame_encode(const struct cn_frame *frame, struct cn_writer *w);

/* Take the next frame. CN_OK: filled; PADDING means that no more follows.
 * CN_E_FORMAT: not a frame of version 1. frame->bytes points into the reader's input. */
CN_MUST_USE enum cn_err cn_frame_decode(struct cn_frame *frame, struct cn_reader *r);

#endif
