/* who.h - a subscriber, as the server's processes name him to each other: 64 bits that cannot be
 * told from his admission key without the supervisor's secret, which only gates have. */
#ifndef CN_WHO_H
#define CN_WHO_H

#include "crypto.h"

/* Drawn by the supervisor once in its life; wipe with cn_wipe. */
struct cn_who_secret {
    uint8_t bytes[32];
};

/* HMAC-SHA-256, cut. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_who(const struct cn_crypto *crypto, const struct cn_who_secret *secret,
                               const uint8_t admission_key[CN_X25519_SIZE], uint64_t *who);

#endif
