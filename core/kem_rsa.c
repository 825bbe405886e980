#include <limits.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "kem.h"

enum { RSA_EXPONENT = 65537 };

static enum cn_err generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    EVP_PKEY *key = EVP_RSA_gen(cn_kem_public_size(kind) * 8);
    PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
    uint8_t *der = NULL;
    int size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
    enum cn_err err = CN_E_CRYPTO;

    (void)random; /* libcrypto draws its own */
    if (size > 0 && (size_t)size <= sizeof secret->bytes) {
        memcpy(secret->bytes, der, (size_t)size);
        secret->kind = kind;
        secret->size = (size_t)size;
        err = CN_OK;
    }
    if (der)
        OPENSSL_clear_free(der, size > 0 ? (size_t)size : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(key);
    return cn_crypto_done(err);
}

/* NULL: not a whole PKCS #8 RSA key. */
static EVP_PKEY *secret_parse(const struct cn_kem_secret *secret)
{
    const uint8_t *at = secret->bytes;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)secret->size);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    if (key && at == secret->bytes + secret->size && EVP_PKEY_is_a(key, "RSA"))
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static enum cn_err check(const struct cn_kem_public *public)
{
    bool whole = (public->bytes[0] & 0x80) != 0;
    bool odd = (public->bytes[public->size - 1] & 1) != 0;

    return whole && odd ? CN_OK : CN_E_KEY;
}

static enum cn_err public_of(const struct cn_kem_secret *secret, struct cn_kem_public *public)
{
    EVP_PKEY *key = secret_parse(secret);
    BIGNUM *n = NULL;
    BIGNUM *e = NULL;
    struct cn_kem_public p = { .kind = secret->kind, .size = cn_kem_public_size(secret->kind) };
    enum cn_err err = CN_E_KEY;

    if (!key || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1 ||
        !BN_is_word(e, RSA_EXPONENT) || BN_num_bits(n) != (int)(p.size * 8))
        goto out;
    if (BN_bn2binpad(n, p.bytes, (int)p.size) != (int)p.size)
        goto out;
    err = check(&p);
    if (err != CN_OK)
        goto out;
    *public = p;
    err = CN_OK;
out:
    BN_free(n);
    BN_free(e);
    EVP_PKEY_free(key);
    return cn_crypto_done(err);
}

/* NULL when libcrypto fails. */
static EVP_PKEY *public_parse(const struct cn_kem_public *public)
{
    EVP_PKEY *key = NULL;
    BIGNUM *n = BN_bin2bn(public->bytes, (int)public->size, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);

    if (n && builder && context && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_uint(builder, OSSL_PKEY_PARAM_RSA_E, RSA_EXPONENT) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    if (!params || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    return key;
}

/* OAEP with SHA-256, MGF1-SHA-256 and the binding's label, on an initialised context. */
static bool oaep_set(EVP_PKEY_CTX *context, const struct cn_kem_binding *binding)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE,
                                         (char *)(uintptr_t) "oaep", 0),
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST,
                                         (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST,
                                         (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
                                          (void *)(uintptr_t)binding->label, binding->label_size),
        OSSL_PARAM_construct_end(),
    };

    return EVP_PKEY_CTX_set_params(context, params) == 1;
}

static enum cn_err encapsulate(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    struct cn_kem_shared made;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = NULL;
    size_t size = public->size;
    enum cn_err err = cn_random_fill(random, made.bytes, sizeof made.bytes);

    if (err != CN_OK)
        goto out;
    err = CN_E_CRYPTO;
    key = public_parse(public);
    context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    if (!context || EVP_PKEY_encrypt_init(context) != 1 || !oaep_set(context, binding) ||
        EVP_PKEY_encrypt(context, ciphertext, &size, made.bytes, sizeof made.bytes) != 1 ||
        size != public->size)
        goto out;
    *shared = made;
    err = CN_OK;
out:
    cn_wipe(&made, sizeof made);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return cn_crypto_done(err);
}

static enum cn_err decapsulate(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    uint8_t opened[CN_KEM_PUBLIC_SIZE_MAX] = { 0 };
    struct cn_kem_shared nobodys;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = NULL;
    size_t size = sizeof opened;
    bool good;
    /* drawn first and always, so that failure takes no other path than success */
    enum cn_err err = cn_random_fill(random, nobodys.bytes, sizeof nobodys.bytes);

    if (err != CN_OK)
        goto out;
    err = CN_E_CRYPTO;
    key = secret_parse(secret);
    context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    if (!context || EVP_PKEY_decrypt_init(context) != 1 || !oaep_set(context, binding))
        goto out;
    good = EVP_PKEY_decrypt(context, opened, &size, ciphertext,
                            cn_kem_ciphertext_size(secret->kind)) == 1;
    good &= size == sizeof shared->bytes;
    cn_select_ct(shared->bytes, good, opened, nobodys.bytes, sizeof shared->bytes);
    ERR_clear_error(); /* good or not */
    err = CN_OK;
out:
    cn_wipe(opened, sizeof opened);
    cn_wipe(&nobodys, sizeof nobodys);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return cn_crypto_done(err);
}

const struct cn_kem_methods cn_kem_rsa = { generate, public_of, check, encapsulate, decapsulate };
