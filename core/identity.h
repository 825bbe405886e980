/* identity.h - a subscriber's long-term keys. PROTOCOL.md 2.8 */
#ifndef CN_IDENTITY_H
#define CN_IDENTITY_H

#include "kem.h"

enum { CN_ID_SIZE = 32, CN_IDENTITY_VERSION = 1 };

struct cn_identity {
    struct cn_kem_secret secret; /* X25519 or RSA */
    struct cn_kem_public public;
    struct cn_kem_secret pq_secret; /* ML-KEM-768 */
    struct cn_kem_public pq_public;
    uint8_t id[CN_ID_SIZE]; /* hash of the public keys */
};

void cn_identity_wipe(struct cn_identity *identity);

/* kind: X25519 or an RSA kind. Slow for RSA. CN_E_RANDOM, CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_identity_create(struct cn_identity *identity,
                                           const struct cn_crypto *crypto, enum cn_kem kind,
                                           const struct cn_random *random);

/* id_X = SHA-256 over X's public keys. */
CN_MUST_USE enum cn_err cn_identity_id(const struct cn_crypto *crypto,
                                       const struct cn_kem_public *public,
                                       const struct cn_kem_public *pq_public,
                                       uint8_t id[CN_ID_SIZE]);

/* Armoured text, as cn_armor_encode. It is secret. */
CN_MUST_USE enum cn_err cn_identity_encode(const struct cn_identity *identity,
                                           const struct cn_crypto *crypto, char *text,
                                           size_t text_size_max, size_t *text_size);
/* Errors of cn_armor_decode; CN_E_VERSION; CN_E_FORMAT; CN_E_KEY. *identity is untouched on
 * failure. */
CN_MUST_USE enum cn_err cn_identity_decode(struct cn_identity *identity,
                                           const struct cn_crypto *crypto, const char *text,
                                           size_t text_size);

#endif
