/* kem_model.c - encapsulation, of which the kinds and sizes alone are as they are. */
#include "any.h"
#include "kem.h"
#include "kem_mlkem768.h"

static enum cn_err no_more(enum cn_err failure)
{
    return any_bool() ? CN_OK : failure;
}

static enum cn_err generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    (void)random;
    secret->kind = kind;
    secret->size = any_size(CN_KEM_SECRET_SIZE_MAX);
    any_octets(secret->bytes, sizeof secret->bytes);
    return no_more(CN_E_CRYPTO);
}

static enum cn_err public_of(const struct cn_kem_secret *secret, struct cn_kem_public *public)
{
    public->kind = secret->kind;
    public->size = cn_kem_public_size(secret->kind);
    any_octets(public->bytes, public->size);
    return no_more(CN_E_KEY);
}

static enum cn_err check(const struct cn_kem_public *public)
{
    return public->bytes[0] > public->bytes[public->size - 1] ? CN_OK : CN_E_KEY;
}

static enum cn_err encapsulate(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    (void)binding;
    (void)random;
    any_octets(ciphertext, cn_kem_ciphertext_size(public->kind));
    any_octets(shared->bytes, sizeof shared->bytes);
    return no_more(CN_E_CRYPTO);
}

static enum cn_err decapsulate(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    size_t size = cn_kem_ciphertext_size(secret->kind);
    volatile uint8_t last = size > 0 ? ciphertext[size - 1] : 0;

    (void)last;
    (void)binding;
    (void)random;
    any_octets(shared->bytes, sizeof shared->bytes);
    return no_more(CN_E_CRYPTO);
}

const struct cn_kem_methods cn_kem_rsa = { generate, public_of, check, encapsulate, decapsulate };
const struct cn_kem_methods cn_kem_x25519 = { generate, public_of, check, encapsulate,
                                              decapsulate };

enum cn_err cn_mlkem768_public(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                               uint8_t public[CN_MLKEM768_PUBLIC_SIZE])
{
    (void)seed;
    any_octets(public, CN_MLKEM768_PUBLIC_SIZE);
    return no_more(CN_E_CRYPTO);
}

enum cn_err cn_mlkem768_encapsulate(const uint8_t public[CN_MLKEM768_PUBLIC_SIZE],
                                    const uint8_t coins[CN_MLKEM768_COINS_SIZE],
                                    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    (void)public;
    (void)coins;
    any_octets(ciphertext, CN_MLKEM768_CIPHERTEXT_SIZE);
    any_octets(shared, CN_KEM_SHARED_SIZE);
    return no_more(CN_E_CRYPTO);
}

enum cn_err cn_mlkem768_decapsulate(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                                    const uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    volatile uint8_t last = ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE - 1];

    (void)seed;
    (void)last;
    any_octets(shared, CN_KEM_SHARED_SIZE);
    return no_more(CN_E_CRYPTO);
}

const char cn_mlkem768_source[] = "none";
