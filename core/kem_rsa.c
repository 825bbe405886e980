#include <limits.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "kem.h"
#include "reader.h"
#include "writer.h"

enum { RSA_EXPONENT = 65537 };

/* --- a private key from its DER: not by d2i_, whose decoders leave copies in free blocks --------
 */

enum {
    DER_INTEGER = 0x02,
    DER_OCTETS = 0x04,
    DER_SEQUENCE = 0x30,
    NUMBER_COUNT = 8,
    NUMBERS_SIZE_MAX = CN_KEM_SECRET_SIZE_MAX
};

/* An RSAPrivateKey after its version, in this order. RFC 8017 A.1.2 */
static const char *const number_names[NUMBER_COUNT] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* The numbers in the machine's order, as libcrypto takes them. */
struct numbers {
    OSSL_PARAM params[NUMBER_COUNT + 1];
    uint8_t octets[NUMBERS_SIZE_MAX];
};

static const uint8_t version[] = { 0 };                                        /* of both */
static const uint8_t algorithm[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, /* rsaEncryption */
                                     0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };

/* What is in the next value, if it is of that type and its length is encoded as DER wants it. */
static struct cn_reader der_take(struct cn_reader *r, uint8_t type)
{
    const bool typed = cn_reader_u8(r) == type;
    const size_t first = cn_reader_u8(r);
    const size_t octets = first > 0x80 && first <= 0x82 ? first - 0x80 : 0;
    const size_t size = octets ? (size_t)cn_reader_be(r, octets) : first;
    const bool shortest = octets == 0 ? first < 0x80 : size >> (octets == 1 ? 7 : 8) > 0;
    struct cn_reader value = { .at = r->at, .left = size };

    (void)cn_reader_take(r, size);
    r->short_read |= !typed || !shortest;
    value.short_read = !cn_reader_ok(r);
    return value;
}

static bool der_is(struct cn_reader *r, uint8_t type, const uint8_t *octets, size_t size)
{
    const struct cn_reader value = der_take(r, type);

    return cn_reader_ok(&value) && value.left == size &&
           memcmp(value.at, octets, size) == 0; /* public: versions and the algorithm */
}

/* One number; room has as many octets as it takes there. */
static bool number_take(struct cn_reader *r, const char *name, uint8_t *room, OSSL_PARAM *param)
{
    const struct cn_reader value = der_take(r, DER_INTEGER);
    BIGNUM *number = NULL;
    bool ok = cn_reader_ok(&value) && value.left > 0 && value.at[0] < 0x80;

    if (ok)
        number = BN_bin2bn(value.at, (int)value.left, NULL);
    ok = number && BN_bn2nativepad(number, room, (int)value.left) == (int)value.left;
    BN_clear_free(number);
    *param = OSSL_PARAM_construct_BN(name, room, value.left);
    return ok;
}

/* PrivateKeyInfo, RFC 5208 5: version 0, rsaEncryption, an RSAPrivateKey of version 0, no
 * attributes. */
static bool numbers_take(const struct cn_kem_secret *secret, struct numbers *numbers)
{
    struct cn_reader r = { .at = secret->bytes, .left = secret->size };
    struct cn_reader info = der_take(&r, DER_SEQUENCE);
    bool ok = cn_reader_done(&r) && der_is(&info, DER_INTEGER, version, sizeof version) &&
              der_is(&info, DER_SEQUENCE, algorithm, sizeof algorithm);
    struct cn_reader octets = der_take(&info, DER_OCTETS);
    struct cn_reader key = der_take(&octets, DER_SEQUENCE);
    uint8_t *room = numbers->octets;

    ok = ok && cn_reader_done(&info) && cn_reader_done(&octets) &&
         der_is(&key, DER_INTEGER, version, sizeof version);
    for (size_t i = 0; ok && i < NUMBER_COUNT; i++) {
        ok = number_take(&key, number_names[i], room, &numbers->params[i]);
        room += ok ? numbers->params[i].data_size : 0;
    }
    numbers->params[NUMBER_COUNT] = OSSL_PARAM_construct_end();
    return ok && cn_reader_done(&key);
}

/* NULL: not a whole PKCS #8 RSA key. */
static EVP_PKEY *secret_parse(const struct cn_kem_secret *secret)
{
    struct numbers numbers;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    if (!numbers_take(secret, &numbers) || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, numbers.params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    cn_wipe(&numbers, sizeof numbers);
    return key;
}

static size_t der_size(size_t size)
{
    return size + (size < 0x80 ? 2 : size < 0x100 ? 3 : 4);
}

static void der_head(struct cn_writer *w, uint8_t type, size_t size)
{
    cn_writer_u8(w, type);
    if (size >= 0x80)
        cn_writer_u8(w, size < 0x100 ? 0x81 : 0x82);
    if (size < 0x100)
        cn_writer_u8(w, (uint8_t)size);
    else
        cn_writer_u16be(w, (uint16_t)size);
}

static void der_put(struct cn_writer *w, uint8_t type, const uint8_t *octets, size_t size)
{
    der_head(w, type, size);
    cn_writer_bytes(w, octets, size);
}

/* One number of the key; behind a zero, if it would be negative without. */
static bool number_put(struct cn_writer *w, const EVP_PKEY *key, const char *name)
{
    uint8_t octets[1 + CN_KEM_PUBLIC_SIZE_MAX];
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &number) == 1;
    const int size = ok ? BN_num_bits(number) / 8 + 1 : 0;

    ok = ok && (size_t)size <= sizeof octets && BN_bn2binpad(number, octets, size) == size;
    if (ok)
        der_put(w, DER_INTEGER, octets, (size_t)size);
    BN_clear_free(number);
    cn_wipe(octets, sizeof octets);
    return ok;
}

/* As numbers_take takes it. */
static bool secret_make(const EVP_PKEY *key, struct cn_kem_secret *secret)
{
    const size_t head_size = der_size(sizeof version) + der_size(sizeof algorithm);
    uint8_t content[CN_KEM_SECRET_SIZE_MAX];
    struct cn_writer w = { .at = content, .left = sizeof content };
    struct cn_writer out = { .at = secret->bytes, .left = sizeof secret->bytes };
    bool ok = key != NULL;
    size_t size;

    der_put(&w, DER_INTEGER, version, sizeof version);
    for (size_t i = 0; ok && i < NUMBER_COUNT; i++)
        ok = number_put(&w, key, number_names[i]);
    size = sizeof content - w.left;
    der_head(&out, DER_SEQUENCE, head_size + der_size(der_size(size)));
    der_put(&out, DER_INTEGER, version, sizeof version);
    der_put(&out, DER_SEQUENCE, algorithm, sizeof algorithm);
    der_head(&out, DER_OCTETS, der_size(size));
    der_put(&out, DER_SEQUENCE, content, size);
    secret->size = sizeof secret->bytes - out.left;
    cn_wipe(content, sizeof content);
    return ok && cn_writer_ok(&w) && cn_writer_ok(&out);
}

static enum cn_err generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    struct cn_kem_secret made = { .kind = kind };
    EVP_PKEY *key = EVP_RSA_gen(cn_kem_public_size(kind) * 8);
    const bool ok = secret_make(key, &made);

    (void)random; /* libcrypto draws its own */
    if (ok)
        *secret = made;
    cn_wipe(&made, sizeof made);
    EVP_PKEY_free(key);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
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
