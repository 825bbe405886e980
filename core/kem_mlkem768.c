#include <string.h>

#include "kem_mlkem768.h"

enum {
    MODULUS = 3329,
    COEFFICIENTS_SIZE = 1152 /* three polynomials of 256 coefficients of 12 bits; rho follows */
};

const char *cn_kem_mlkem768_source(void)
{
    return cn_mlkem768_source;
}

static enum cn_err generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    uint8_t made[CN_MLKEM768_SEED_SIZE];
    enum cn_err err = cn_random_fill(random, made, sizeof made);

    if (err == CN_OK) {
        memcpy(secret->bytes, made, sizeof made);
        secret->kind = kind;
        secret->size = sizeof made;
    }
    cn_wipe(made, sizeof made);
    return err;
}

static enum cn_err public_of(const struct cn_kem_secret *secret, struct cn_kem_public *public)
{
    uint8_t made[CN_MLKEM768_PUBLIC_SIZE];
    enum cn_err err = CN_E_KEY;

    if (secret->size == CN_MLKEM768_SEED_SIZE)
        err = cn_mlkem768_public(secret->bytes, made);
    if (err != CN_OK)
        return err;
    memcpy(public->bytes, made, sizeof made);
    public->kind = CN_KEM_MLKEM768;
    public->size = sizeof made;
    return CN_OK;
}

/* FIPS 203 7.2: decoding and encoding again must give the same, so no coefficient is 3329 or more.
 */
static enum cn_err check(const struct cn_kem_public *public)
{
    for (size_t at = 0; at < COEFFICIENTS_SIZE; at += 3) {
        const uint8_t *b = public->bytes + at;

        if ((b[0] | (b[1] & 15U) << 8) >= MODULUS || (b[1] >> 4 | b[2] << 4) >= MODULUS)
            return CN_E_KEY;
    }
    return CN_OK;
}

static enum cn_err encapsulate(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    uint8_t coins[CN_MLKEM768_COINS_SIZE];
    enum cn_err err = check(public);

    (void)binding;
    if (err == CN_OK)
        err = cn_random_fill(random, coins, sizeof coins);
    if (err == CN_OK)
        err = cn_mlkem768_encapsulate(public->bytes, coins, ciphertext, shared->bytes);
    cn_wipe(coins, sizeof coins);
    return err;
}

static enum cn_err decapsulate(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    (void)binding;
    (void)random; /* implicit rejection uses the seed's z */
    return cn_mlkem768_decapsulate(secret->bytes, ciphertext, shared->bytes);
}

const struct cn_kem_methods cn_kem_mlkem768 = { generate, public_of, check, encapsulate,
                                                decapsulate };
