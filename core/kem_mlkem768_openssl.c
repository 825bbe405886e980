#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "kem_mlkem768.h"

/* Written out, so that this file also compiles where the headers are older than 3.5. */
#define NAME        "ML-KEM-768"
#define PARAM_SEED  "seed"
#define PARAM_COINS "ikme"

const char cn_mlkem768_source[] = "OpenSSL";

const void *cn_mlkem768_arena(size_t *size)
{
    *size = 0;
    return NULL;
}

static EVP_PKEY *key_from(const char *param, const uint8_t *bytes, size_t size, int selection)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(param, (void *)(uintptr_t)bytes, size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, NAME, NULL);
    EVP_PKEY *key = NULL;

    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, selection, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

enum cn_err cn_mlkem768_public(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                               uint8_t public[CN_MLKEM768_PUBLIC_SIZE])
{
    EVP_PKEY *key = key_from(PARAM_SEED, seed, CN_MLKEM768_SEED_SIZE, EVP_PKEY_KEYPAIR);
    size_t size = 0;
    bool ok = key &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, public,
                                              CN_MLKEM768_PUBLIC_SIZE, &size) == 1 &&
              size == CN_MLKEM768_PUBLIC_SIZE;

    EVP_PKEY_free(key);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_mlkem768_encapsulate(const uint8_t public[CN_MLKEM768_PUBLIC_SIZE],
                                    const uint8_t coins[CN_MLKEM768_COINS_SIZE],
                                    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(PARAM_COINS, (void *)(uintptr_t)coins,
                                          CN_MLKEM768_COINS_SIZE),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key =
        key_from(OSSL_PKEY_PARAM_PUB_KEY, public, CN_MLKEM768_PUBLIC_SIZE, EVP_PKEY_PUBLIC_KEY);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    size_t ciphertext_size = CN_MLKEM768_CIPHERTEXT_SIZE;
    size_t shared_size = CN_KEM_SHARED_SIZE;
    bool ok =
        context && EVP_PKEY_encapsulate_init(context, params) == 1 &&
        EVP_PKEY_encapsulate(context, ciphertext, &ciphertext_size, shared, &shared_size) == 1 &&
        ciphertext_size == CN_MLKEM768_CIPHERTEXT_SIZE && shared_size == CN_KEM_SHARED_SIZE;

    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_mlkem768_decapsulate(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                                    const uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    EVP_PKEY *key = key_from(PARAM_SEED, seed, CN_MLKEM768_SEED_SIZE, EVP_PKEY_KEYPAIR);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    size_t size = CN_KEM_SHARED_SIZE;
    bool ok = context && EVP_PKEY_decapsulate_init(context, NULL) == 1 &&
              EVP_PKEY_decapsulate(context, shared, &size, ciphertext,
                                   CN_MLKEM768_CIPHERTEXT_SIZE) == 1 &&
              size == CN_KEM_SHARED_SIZE;

    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}
