/* suite.h - cipher suites: a hash (with its HMAC and HKDF) and an AEAD. PROTOCOL.md 2.6 */
#ifndef CN_SUITE_H
#define CN_SUITE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto.h"

enum { CN_SUITE_COUNT = 4 };

struct cn_suite {
    uint16_t code; /* on the wire */
    const char *name;
    enum cn_hash hash;
    enum cn_aead aead;
};

/* All of them, in the order in which a card offers them by default. */
extern const struct cn_suite cn_suites[CN_SUITE_COUNT];

/* NULL: not known. */
const struct cn_suite *cn_suite_by_code(uint16_t code);
const struct cn_suite *cn_suite_by_name(const char *name);

#endif
