/* content.h - the sum of a file: SHA-256 over the SHA-256 sums of its blocks. PROTOCOL.md 7.4
 *
 * So several threads can hash one file, each block can be checked when it arrives, and what is
 * already there can be compared block by block. */
#ifndef CN_CONTENT_H
#define CN_CONTENT_H

#include "message.h"

/* The sum of one block. */
CN_MUST_USE enum cn_err cn_block_sum(const struct cn_crypto *crypto, const uint8_t *in,
                                     size_t in_size, uint8_t sum[CN_SHA256_SIZE]);

/* The sum of a file whose blocks' sums come in order. */
struct cn_content {
    struct cn_digest digest;
};

CN_MUST_USE enum cn_err cn_content_begin(struct cn_content *content,
                                         const struct cn_crypto *crypto);
CN_MUST_USE enum cn_err cn_content_add(struct cn_content *content,
                                       const uint8_t sum[CN_SHA256_SIZE]);
/* The content is wiped. */
CN_MUST_USE enum cn_err cn_content_end(struct cn_content *content, uint8_t sum[CN_SHA256_SIZE]);
/* Zeroed is fine. */
void cn_content_wipe(struct cn_content *content);

#endif
