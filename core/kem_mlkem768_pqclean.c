#include <assert.h>

#include <api.h>
#include <randombytes.h>

#include "kem_mlkem768.h"

enum { SECRET_SIZE = PQCLEAN_MLKEM768_CLEAN_CRYPTO_SECRETKEYBYTES };

_Static_assert((int)PQCLEAN_MLKEM768_CLEAN_CRYPTO_PUBLICKEYBYTES == (int)CN_MLKEM768_PUBLIC_SIZE,
               "FIPS 203");
_Static_assert((int)PQCLEAN_MLKEM768_CLEAN_CRYPTO_CIPHERTEXTBYTES ==
                   (int)CN_MLKEM768_CIPHERTEXT_SIZE,
               "FIPS 203");

/* api.h leaves these two out. */
int PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(uint8_t *pk, uint8_t *sk,
                                                     const uint8_t *coins);
int PQCLEAN_MLKEM768_CLEAN_crypto_kem_enc_derand(uint8_t *ct, uint8_t *ss, const uint8_t *pk,
                                                 const uint8_t *coins);

const char cn_mlkem768_source[] = "PQClean ml-kem-768/clean";

/* PQClean's functions that draw randomness are linked but never called. */
int randombytes(uint8_t *output, size_t n)
{
    (void)output;
    (void)n;
    assert(false && "the core draws no randomness");
    return -1;
}

enum cn_err cn_mlkem768_public(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                               uint8_t public[CN_MLKEM768_PUBLIC_SIZE])
{
    uint8_t secret[SECRET_SIZE];
    int failed = PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(public, secret, seed);

    cn_wipe(secret, sizeof secret);
    return failed ? CN_E_CRYPTO : CN_OK;
}

enum cn_err cn_mlkem768_encapsulate(const uint8_t public[CN_MLKEM768_PUBLIC_SIZE],
                                    const uint8_t coins[CN_MLKEM768_COINS_SIZE],
                                    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    return PQCLEAN_MLKEM768_CLEAN_crypto_kem_enc_derand(ciphertext, shared, public, coins)
               ? CN_E_CRYPTO
               : CN_OK;
}

enum cn_err cn_mlkem768_decapsulate(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                                    const uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    uint8_t public[CN_MLKEM768_PUBLIC_SIZE];
    uint8_t secret[SECRET_SIZE];
    int failed = PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(public, secret, seed) ||
                 PQCLEAN_MLKEM768_CLEAN_crypto_kem_dec(shared, ciphertext, secret);

    cn_wipe(secret, sizeof secret);
    return failed ? CN_E_CRYPTO : CN_OK;
}
