/* base45.h - octets in the 45 characters that a QR code packs tightest. RFC 9285
 *
 * In time that depends on sizes alone, since what is shown as a code may be secret. */
#ifndef CN_BASE45_H
#define CN_BASE45_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Characters for size octets. */
#define CN_BASE45_TEXT_SIZE(size) ((size) / 2 * 3 + (size) % 2 * 2)

/* out holds CN_BASE45_TEXT_SIZE(in_size) characters; no NUL is added. */
void cn_base45_encode(const uint8_t *in, size_t in_size, char *out);
/* The strict opposite. CN_E_ARMOR: not Base45; CN_E_FULL: more than out_size_max octets. On failure
 * out has been wiped and *out_size is untouched. */
CN_MUST_USE enum cn_err cn_base45_decode(const char *text, size_t text_size, uint8_t *out,
                                         size_t out_size_max, size_t *out_size);

#endif
