#include "who.h"

#include <string.h>

enum cn_err cn_who(const struct cn_crypto *crypto, const struct cn_who_secret *secret,
                   const uint8_t admission_key[CN_X25519_SIZE], uint64_t *who)
{
    uint8_t out[CN_SHA256_SIZE];
    enum cn_err err = cn_hmac(crypto, CN_SHA256, secret->bytes, sizeof secret->bytes, admission_key,
                              CN_X25519_SIZE, out);

    if (err == CN_OK)
        memcpy(who, out, sizeof *who);
    return err;
}
