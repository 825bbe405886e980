/* seal.h - secrets under a passphrase. PROTOCOL.md 2.15 */
#ifndef CN_SEAL_H
#define CN_SEAL_H

#include "crypto.h"

enum {
    CN_PASSPHRASE_SIZE_MAX = 1024,
    CN_SEAL_SALT_SIZE = 32,
    CN_SEAL_HEAD_SIZE = 3 + CN_SEAL_SALT_SIZE,
    CN_SEAL_OVERHEAD = CN_SEAL_HEAD_SIZE + CN_AEAD_TAG_SIZE
};

/* What sealing depends on besides the octets; all borrowed. */
struct cn_seal {
    const struct cn_crypto *crypto;
    const char *label; /* "cyphernet/1 ...": what is sealed, so that nothing is taken for another */
    const char *passphrase;
    size_t passphrase_size; /* 1 to CN_PASSPHRASE_SIZE_MAX */
};

/* out gets in_size + CN_SEAL_OVERHEAD octets. Takes 128 MiB for a while, and a third of a second.
 * CN_E_RANDOM; CN_E_CRYPTO, also for want of memory. */
CN_MUST_USE enum cn_err cn_seal_close(const struct cn_seal *seal, const struct cn_random *random,
                                      const uint8_t *in, size_t in_size, uint8_t *out);
/* out gets in_size - CN_SEAL_OVERHEAD octets. CN_E_FORMAT: too short, or it asks for more or less
 * work than 2.15 allows; CN_E_PASSPHRASE: another passphrase, or forged; out has been wiped then.
 */
CN_MUST_USE enum cn_err cn_seal_open(const struct cn_seal *seal, const uint8_t *in, size_t in_size,
                                     uint8_t *out);

#endif
