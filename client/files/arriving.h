/* arriving.h - the data stream, as it comes: blocks that workers hash and write. */
#ifndef CN_ARRIVING_H
#define CN_ARRIVING_H

#include <cyphernet.h>

#include "jobs.h"
#include "message.h"
#include "pack.h"
#include "part.h"
#include "reading.h"

enum { CN_ARRIVING_SLOT_COUNT = 8 };

enum cn_arriving_stage { CN_ARRIVING_FILLING, CN_ARRIVING_HASHING, CN_ARRIVING_WRITING };

/* A block on its way from the stream to its file. */
struct cn_arriving_slot {
    struct cn_job job; /* first: unpacking and hashing */
    const struct cn_crypto *crypto;
    const uint8_t *zeros_sum;
    enum cn_arriving_stage stage;
    uint32_t index; /* of the file */
    bool is_stale;  /* not wanted any more */
    uint8_t *bytes; /* CN_BLOCK_SIZE of them; owned */
    uint32_t size;  /* of these, there */
    struct cn_run run[CN_RUN_COUNT_MAX];
    unsigned run_count;
    uint8_t *packed;      /* CN_BLOCK_SIZE of them, once something compressed came; owned */
    uint32_t packed_size; /* 0: bytes are there */
    uint32_t packed_there;
    struct cn_packer *packer; /* owned; NULL until then */
    bool has_expected;
    uint8_t expected[CN_SHA256_SIZE]; /* what the sender says */
    uint8_t sum[CN_SHA256_SIZE];
    enum cn_err err;
};

/* Blocks of one file, in order, being written. */
struct cn_arriving_writer {
    struct cn_job job; /* first */
    struct cn_part *part;
    const struct cn_arriving_slot *slot[CN_ARRIVING_SLOT_COUNT];
    unsigned count;
    bool is_busy;
    uint32_t index; /* of the file */
    enum cn_err err;
    int system_error;
};

struct cn_arriving {
    struct cn_stream *stream; /* borrowed; NULL until the sender opens it */
    uint8_t head[CN_DATA_HEAD_SIZE_MAX];
    size_t head_size;
    struct cn_data data; /* the message in hand */
    uint32_t follows;    /* octets of it that have not come */
    bool in_file;        /* between BEGIN and DONE or GONE */
    bool ignores;        /* of a file that is not wanted any more */
    uint32_t index;      /* of the file */
    uint64_t at;         /* octets of it that are in slots, or past them */
    struct cn_arriving_slot slot[CN_ARRIVING_SLOT_COUNT];
    unsigned first, count; /* in use, in a circle; only the last may be FILLING */
    struct cn_arriving_writer writer;
    uint8_t zeros_sum[CN_SHA256_SIZE];
    uint64_t moved; /* octets of files that came */
    char current[CN_ENTRY_NAME_SIZE_MAX + 1];
    uint64_t current_size, current_at;
};

struct cn_receiving;

CN_MUST_USE enum cn_err cn_arriving_begin(struct cn_receiving *r);
/* Take what has come, as far as there is room, and move on what was taken. */
void cn_arriving_process(struct cn_receiving *r);
/* Milliseconds until that has something to do though nothing came; -1: never. */
int cn_arriving_timeout_ms(const struct cn_receiving *r);
/* The file is not wanted any more. */
void cn_arriving_drop(struct cn_receiving *r, uint32_t index);
/* Nothing of it is left. After the workers have stopped. */
void cn_arriving_wipe(struct cn_receiving *r);

#endif
