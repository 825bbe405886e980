/* hasher.h - SHA-256 of a file on a thread of its own, following the file as it is written or read.
 *
 * The thread reads the file itself, so what is hashed is what the file holds. */
#ifndef CN_HASHER_H
#define CN_HASHER_H

#include <stdint.h>

#include "crypto.h"
#include "err.h"

struct cn_hasher;

/* fd must be readable; it is duplicated. crypto is borrowed. CN_E_MEMORY, CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_hasher_start(struct cn_hasher **hasher, const struct cn_crypto *crypto,
                                        int fd);
/* The file holds its final octets up to offset. */
void cn_hasher_advance(struct cn_hasher *hasher, uint64_t offset);
/* The file will hold size octets in all, and does already below what was said last. */
void cn_hasher_limit(struct cn_hasher *hasher, uint64_t size);
/* Whether cn_hasher_finish would not have to wait. */
bool cn_hasher_is_done(struct cn_hasher *hasher);
/* Hash up to size, then stop: waits, and frees the hasher. CN_E_SYSTEM (errno): could not be read;
 * CN_E_TRUNCATED: the file is shorter. */
CN_MUST_USE enum cn_err cn_hasher_finish(struct cn_hasher *hasher, uint64_t size,
                                         uint8_t out[CN_SHA256_SIZE]);
/* Stop and free; NULL is fine. */
void cn_hasher_cancel(struct cn_hasher *hasher);

#endif
