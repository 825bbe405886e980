#include <assert.h>
#include <string.h>

#include "kem.h"

static enum cn_err generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    uint8_t made[CN_X25519_SIZE];
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
    enum cn_err err = CN_E_KEY;

    if (secret->size == CN_X25519_SIZE)
        err = cn_x25519_public(secret->bytes, public->bytes);
    if (err != CN_OK)
        return err;
    public->kind = CN_KEM_X25519;
    public->size = CN_X25519_SIZE;
    return CN_OK;
}

/* Any private key finds out a public key of low order. */
static enum cn_err check(const struct cn_kem_public *public)
{
    static const uint8_t any_secret[CN_X25519_SIZE] = { 1 };
    uint8_t shared[CN_X25519_SIZE];

    return cn_x25519(any_secret, public->bytes, shared);
}

static enum cn_err encapsulate(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    (void)random;
    (void)ciphertext; /* empty */
    assert(binding->ephemeral);
    return cn_x25519(binding->ephemeral, public->bytes, shared->bytes);
}

static enum cn_err decapsulate(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    (void)random;
    (void)ciphertext;
    assert(binding->ephemeral);
    return cn_x25519(secret->bytes, binding->ephemeral, shared->bytes);
}

const struct cn_kem_methods cn_kem_x25519 = { generate, public_of, check, encapsulate,
                                              decapsulate };
