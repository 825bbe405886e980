/* pack.h - blocks of files, compressed each by itself, with zstd. */
#ifndef CN_PACK_H
#define CN_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct cn_packer;

/* For use by one thread at a time. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_packer_open(struct cn_packer **packer);
void cn_packer_close(struct cn_packer *packer); /* NULL is fine */
/* Compress in into out; how many octets that are, 0 if they would be more than size_max. */
size_t cn_pack(struct cn_packer *packer, const uint8_t *in, size_t in_size, uint8_t *out,
               size_t size_max);
/* Whether compressing data like this sample saves enough to be worth while: a tenth. scratch has
 * room for in_size. */
bool cn_pack_pays(struct cn_packer *packer, const uint8_t *in, size_t in_size, uint8_t *scratch);
/* Restore just out_size octets; nothing is ever written behind them, whatever in says.
 * CN_E_FORMAT: it holds something else. */
CN_MUST_USE enum cn_err cn_unpack(struct cn_packer *packer, const uint8_t *in, size_t in_size,
                                  uint8_t *out, size_t out_size);

#endif
