/* reading.h - one block of a source: read, hashed, and compressed if that is wanted, by a worker.
 */
#ifndef CN_READING_H
#define CN_READING_H

#include "content.h"
#include "jobs.h"
#include "pack.h"

enum { CN_RUN_COUNT_MAX = 16 };

/* A stretch of a block: octets, or a hole. */
struct cn_run {
    uint32_t size;
    bool hole;
};

/* How a source's blocks are read. */
struct cn_reading_how {
    const struct cn_crypto *crypto; /* borrowed */
    const uint8_t *zeros_sum;       /* of a full block of zeros; borrowed */
    int fd;                         /* borrowed */
    int cancel;  /* a descriptor: when it is readable, a read of a stream ends; -1 for files */
    bool sparse; /* look for holes */
    bool sample; /* find out whether compressing pays, and compress if it does */
    bool pack;   /* compress */
};

struct cn_reading {
    struct cn_job job; /* first: cn_reading_run gets it */
    struct cn_reading_how how;
    uint64_t offset;
    uint32_t size; /* wanted: CN_BLOCK_SIZE at most */

    uint8_t *bytes;           /* CN_BLOCK_SIZE of them; owned */
    uint8_t *packed;          /* the same, once something was compressed; owned */
    struct cn_packer *packer; /* owned; NULL until then */

    uint32_t got; /* fewer than wanted: there are no more */
    struct cn_run run[CN_RUN_COUNT_MAX];
    unsigned run_count;
    uint32_t packed_size; /* 0: not compressed */
    bool pays;            /* of a sample */
    uint8_t sum[CN_SHA256_SIZE];
    enum cn_err err; /* CN_E_SYSTEM: system_error; CN_E_CANCELLED; CN_E_CRYPTO, CN_E_MEMORY */
    int system_error;
};

/* Take memory. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_reading_init(struct cn_reading *reading);
void cn_reading_wipe(struct cn_reading *reading); /* zeroed is fine */
/* Do it, here and now. */
void cn_reading_run(struct cn_job *job);

#endif
