#include "crypto.h"

#include <assert.h>
#include <limits.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/proverr.h>

#include "writer.h"

enum { ITEMS_SIZE_MAX = 512, ITEM_HEAD_SIZE = 5 };

static const struct {
    const char *name;
    size_t size;
} hashes[CN_HASH_COUNT] = {
    [CN_SHA256] = { "SHA256", 32 },
    [CN_SHA512] = { "SHA512", 64 },
    [CN_BLAKE2B] = { "BLAKE2B-512", 64 },
};

static const char *const aeads[CN_AEAD_COUNT] = {
    [CN_AES256GCM] = "AES-256-GCM",
    [CN_CHACHA20POLY1305] = "ChaCha20-Poly1305",
};

enum cn_err cn_crypto_init(struct cn_crypto *crypto)
{
    struct cn_crypto c = { 0 };
    bool ok = true;

    /* which found no memory when it began: libcrypto 3.0 would follow a pointer to nothing */
    if (!OSSL_LIB_CTX_get0_global_default())
        return CN_E_CRYPTO;
    for (int i = 0; i < CN_HASH_COUNT; i++)
        ok &= (c.hash[i] = EVP_MD_fetch(NULL, hashes[i].name, NULL)) != NULL;
    for (int i = 0; i < CN_AEAD_COUNT; i++)
        ok &= (c.aead[i] = EVP_CIPHER_fetch(NULL, aeads[i], NULL)) != NULL;
    ok &= (c.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) != NULL;
    ok &= (c.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL)) != NULL;
    if (!ok) {
        cn_crypto_wipe(&c);
        return cn_crypto_done(CN_E_CRYPTO);
    }
    *crypto = c;
    return CN_OK;
}

void cn_crypto_wipe(struct cn_crypto *crypto)
{
    if (!crypto)
        return;
    for (int i = 0; i < CN_HASH_COUNT; i++)
        EVP_MD_free(crypto->hash[i]);
    for (int i = 0; i < CN_AEAD_COUNT; i++)
        EVP_CIPHER_free(crypto->aead[i]);
    EVP_MAC_free(crypto->hmac);
    EVP_KDF_free(crypto->hkdf);
    memset(crypto, 0, sizeof *crypto);
}

enum cn_err cn_crypto_done(enum cn_err err)
{
    if (err != CN_OK)
        ERR_clear_error();
    return err;
}

const char *cn_crypto_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

void cn_wipe(void *secret, size_t size)
{
    if (secret && size > 0)
        OPENSSL_cleanse(secret, size);
}

/* A frame of its own, where theirs were. */
__attribute__((noinline)) static void wipe_below(void)
{
    uint8_t below[CN_REMAINS_SIZE];

    cn_wipe(below, sizeof below);
}

void cn_wipe_remains(void)
{
    wipe_below();
    cn_wipe_registers();
}

bool cn_equal_ct(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

void cn_select_ct(uint8_t *out, bool take_a, const uint8_t *a, const uint8_t *b, size_t size)
{
    volatile uint8_t flag = take_a; /* keeps the compiler from turning this into a branch */
    uint8_t mask = (uint8_t)-flag;

    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)((a[i] & mask) | (b[i] & (uint8_t)~mask));
}

void cn_base64_encode(char *out, const void *in, size_t size)
{
    assert(size <= INT_MAX / 2);
    (void)EVP_EncodeBlock((unsigned char *)out, in, (int)size);
}

size_t cn_hash_size(enum cn_hash hash)
{
    assert(hash < CN_HASH_COUNT);
    return hashes[hash].size;
}

/* The five octets before an item. */
static void item_head(const struct cn_item *item, uint8_t head[ITEM_HEAD_SIZE])
{
    struct cn_writer w = { .at = head, .left = ITEM_HEAD_SIZE };

    assert(item->size <= UINT32_MAX);
    cn_writer_u8(&w, (uint8_t)item->type);
    cn_writer_u32be(&w, (uint32_t)item->size);
}

enum cn_err cn_hash_items(const struct cn_crypto *crypto, enum cn_hash hash,
                          const struct cn_item *items, size_t count, uint8_t *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[CN_HASH_SIZE_MAX];
    bool ok = context && EVP_DigestInit_ex2(context, crypto->hash[hash], NULL) == 1;

    for (size_t i = 0; ok && i < count; i++) {
        uint8_t head[ITEM_HEAD_SIZE];

        item_head(&items[i], head);
        ok = EVP_DigestUpdate(context, head, sizeof head) == 1 &&
             EVP_DigestUpdate(context, items[i].bytes, items[i].size) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (ok)
        memcpy(out, digest, hashes[hash].size);
    cn_wipe(digest, sizeof digest);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_hash_two(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *a,
                        size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[CN_HASH_SIZE_MAX];
    bool ok = context && EVP_DigestInit_ex2(context, crypto->hash[hash], NULL) == 1 &&
              EVP_DigestUpdate(context, a, a_size) == 1 &&
              EVP_DigestUpdate(context, b, b_size) == 1 &&
              EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context);
    if (ok)
        memcpy(out, digest, hashes[hash].size);
    cn_wipe(digest, sizeof digest);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_digest_init(struct cn_digest *digest, const struct cn_crypto *crypto,
                           enum cn_hash hash)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || EVP_DigestInit_ex2(context, crypto->hash[hash], NULL) != 1) {
        EVP_MD_CTX_free(context);
        return cn_crypto_done(CN_E_CRYPTO);
    }
    *digest = (struct cn_digest) { context, hash };
    return CN_OK;
}

enum cn_err cn_digest_update(struct cn_digest *digest, const void *in, size_t in_size)
{
    return cn_crypto_done(EVP_DigestUpdate(digest->context, in, in_size) == 1 ? CN_OK
                                                                              : CN_E_CRYPTO);
}

enum cn_err cn_digest_final(struct cn_digest *digest, uint8_t *out)
{
    uint8_t made[CN_HASH_SIZE_MAX];
    bool ok = EVP_DigestFinal_ex(digest->context, made, NULL) == 1;

    if (ok)
        memcpy(out, made, hashes[digest->hash].size);
    cn_wipe(made, sizeof made);
    cn_digest_wipe(digest);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

void cn_digest_wipe(struct cn_digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

static EVP_MAC_CTX *hmac_begin(const struct cn_crypto *crypto, enum cn_hash hash,
                               const uint8_t *key, size_t key_size)
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(crypto->hmac);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         (char *)(uintptr_t)hashes[hash].name, 0),
        OSSL_PARAM_construct_end(),
    };

    if (context && EVP_MAC_init(context, key, key_size, params) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

/* Consumes context, which may be NULL. */
static enum cn_err hmac_end(EVP_MAC_CTX *context, bool ok, enum cn_hash hash, uint8_t *out)
{
    uint8_t mac[CN_HASH_SIZE_MAX];
    size_t size = 0;

    ok = ok && EVP_MAC_final(context, mac, &size, sizeof mac) == 1 && size == hashes[hash].size;
    EVP_MAC_CTX_free(context);
    if (ok)
        memcpy(out, mac, size);
    cn_wipe(mac, sizeof mac);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_hmac(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                    size_t key_size, const uint8_t *in, size_t in_size, uint8_t *out)
{
    EVP_MAC_CTX *context = hmac_begin(crypto, hash, key, key_size);
    bool ok = context && EVP_MAC_update(context, in, in_size) == 1;

    return hmac_end(context, ok, hash, out);
}

enum cn_err cn_extract(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *salt,
                       size_t salt_size, const struct cn_item *items, size_t count, uint8_t *out)
{
    EVP_MAC_CTX *context = hmac_begin(crypto, hash, salt, salt_size);
    bool ok = context != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        uint8_t head[ITEM_HEAD_SIZE];

        item_head(&items[i], head);
        ok = EVP_MAC_update(context, head, sizeof head) == 1 &&
             EVP_MAC_update(context, items[i].bytes, items[i].size) == 1;
    }
    return hmac_end(context, ok, hash, out);
}

static bool items_encode(const struct cn_item *items, size_t count, struct cn_writer *w)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t head[ITEM_HEAD_SIZE];

        item_head(&items[i], head);
        cn_writer_bytes(w, head, sizeof head);
        cn_writer_bytes(w, items[i].bytes, items[i].size);
    }
    return cn_writer_ok(w);
}

enum cn_err cn_expand(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                      size_t key_size, const struct cn_item *items, size_t count, uint8_t *out,
                      size_t out_size)
{
    uint8_t info[ITEMS_SIZE_MAX];
    uint8_t made[4 * CN_HASH_SIZE_MAX];
    struct cn_writer w = { .at = info, .left = sizeof info };
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    EVP_KDF_CTX *context = NULL;
    enum cn_err err = CN_E_CRYPTO;

    assert(out_size <= sizeof made);
    if (!items_encode(items, count, &w)) {
        err = CN_E_FULL;
        goto out;
    }
    context = EVP_KDF_CTX_new(crypto->hkdf);
    if (!context)
        goto out;

    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)hashes[hash].name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, key_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info - w.left),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_KDF_derive(context, made, out_size, params) != 1)
        goto out;
    memcpy(out, made, out_size);
    err = CN_OK;
out:
    EVP_KDF_CTX_free(context);
    cn_wipe(made, sizeof made);
    cn_wipe(info, sizeof info);
    return cn_crypto_done(err);
}

enum cn_err cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                      const struct cn_scrypt_cost *cost, uint8_t out[32])
{
    uint64_t n = UINT64_C(1) << cost->log_n;
    uint64_t memory = 128 * (uint64_t)cost->r * (n + cost->p + 2); /* all that it needs */
    uint8_t made[32];
    bool ok = EVP_PBE_scrypt(passphrase, passphrase_size, salt, 32, n, cost->r, cost->p, memory,
                             made, sizeof made) == 1;

    if (ok)
        memcpy(out, made, sizeof made);
    cn_wipe(made, sizeof made);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                           enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE], bool seal)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    if (!context || EVP_CipherInit_ex2(context, crypto->aead[aead], key, NULL, seal, NULL) != 1) {
        EVP_CIPHER_CTX_free(context);
        return cn_crypto_done(CN_E_CRYPTO);
    }
    cipher->context = context;
    return CN_OK;
}

void cn_cipher_wipe(struct cn_cipher *cipher)
{
    if (!cipher)
        return;
    EVP_CIPHER_CTX_free(cipher->context); /* clears its key */
    cipher->context = NULL;
}

static bool cipher_begin(EVP_CIPHER_CTX *context, const uint8_t nonce[CN_AEAD_NONCE_SIZE],
                         const uint8_t *aad, size_t aad_size)
{
    int size;

    assert(aad_size <= INT_MAX);
    return EVP_CipherInit_ex2(context, NULL, NULL, nonce, -1, NULL) == 1 &&
           (aad_size == 0 || EVP_CipherUpdate(context, NULL, &size, aad, (int)aad_size) == 1);
}

enum cn_err cn_cipher_seal(struct cn_cipher *cipher, const uint8_t nonce[CN_AEAD_NONCE_SIZE],
                           const uint8_t *aad, size_t aad_size, const struct cn_piece *pieces,
                           size_t count, uint8_t *out)
{
    bool ok = cipher_begin(cipher->context, nonce, aad, aad_size);
    int size = 0;

    for (size_t i = 0; ok && i < count; i++) {
        assert(pieces[i].size <= INT_MAX);
        if (pieces[i].size == 0)
            continue;
        ok = EVP_CipherUpdate(cipher->context, out, &size, pieces[i].bytes, (int)pieces[i].size) ==
             1;
        out += pieces[i].size;
    }
    ok = ok && EVP_CipherFinal_ex(cipher->context, out, &size) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, CN_AEAD_TAG_SIZE, out) == 1;
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_cipher_open(struct cn_cipher *cipher, const uint8_t nonce[CN_AEAD_NONCE_SIZE],
                           const uint8_t *aad, size_t aad_size, const uint8_t *in, size_t in_size,
                           uint8_t *out)
{
    uint8_t tag[CN_AEAD_TAG_SIZE];
    int size = 0;

    assert(in_size >= sizeof tag && in_size <= INT_MAX);
    in_size -= sizeof tag;
    memcpy(tag, in + in_size, sizeof tag);
    if (!cipher_begin(cipher->context, nonce, aad, aad_size) ||
        (in_size > 0 && EVP_CipherUpdate(cipher->context, out, &size, in, (int)in_size) != 1) ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1) {
        cn_wipe(out, in_size);
        return cn_crypto_done(CN_E_CRYPTO);
    }
    if (EVP_CipherFinal_ex(cipher->context, out + in_size, &size) != 1) {
        cn_wipe(out, in_size);
        return cn_crypto_done(CN_E_AUTH);
    }
    return CN_OK;
}

enum cn_err cn_aead_seal(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                         const uint8_t *in, size_t in_size, uint8_t *out)
{
    const struct cn_piece piece = { in, in_size };
    struct cn_cipher cipher = { 0 };
    enum cn_err err = cn_cipher_init(&cipher, crypto, call->aead, call->key, true);

    if (err == CN_OK)
        err = cn_cipher_seal(&cipher, call->nonce, call->aad, call->aad_size, &piece, 1, out);
    cn_cipher_wipe(&cipher);
    return cn_crypto_done(err);
}

enum cn_err cn_aead_open(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                         const uint8_t *in, size_t in_size, uint8_t *out)
{
    struct cn_cipher cipher = { 0 };
    enum cn_err err = cn_cipher_init(&cipher, crypto, call->aead, call->key, false);

    if (err == CN_OK)
        err = cn_cipher_open(&cipher, call->nonce, call->aad, call->aad_size, in, in_size, out);
    cn_cipher_wipe(&cipher);
    return cn_crypto_done(err);
}

static enum cn_err public_from_secret(int type, const uint8_t secret[32], uint8_t out[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, secret, 32);
    uint8_t made[32];
    size_t size = sizeof made;
    bool ok = key && EVP_PKEY_get_raw_public_key(key, made, &size) == 1 && size == sizeof made;

    EVP_PKEY_free(key);
    if (ok)
        memcpy(out, made, sizeof made);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_x25519_public(const uint8_t secret[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE])
{
    return public_from_secret(EVP_PKEY_X25519, secret, out);
}

/* Consumes mine, which may be NULL. */
static enum cn_err agree(EVP_PKEY *mine, const uint8_t public[CN_X25519_SIZE],
                         uint8_t out[CN_X25519_SIZE])
{
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public, CN_X25519_SIZE);
    EVP_PKEY_CTX *context = mine ? EVP_PKEY_CTX_new(mine, NULL) : NULL;
    uint8_t shared[CN_X25519_SIZE];
    size_t size = sizeof shared;
    enum cn_err err = CN_E_CRYPTO;

    if (!context || !theirs || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer_ex(context, theirs, 0) != 1)
        goto out;
    if (EVP_PKEY_derive(context, shared, &size) != 1 || size != sizeof shared) {
        /* so libcrypto says that the result would be all zero (RFC 7748 6.1) */
        if (ERR_GET_REASON(ERR_peek_last_error()) == PROV_R_FAILED_DURING_DERIVATION)
            err = CN_E_KEY;
        goto out;
    }
    memcpy(out, shared, sizeof shared);
    err = CN_OK;
out:
    cn_wipe(shared, sizeof shared);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(mine);
    return cn_crypto_done(err);
}

enum cn_err cn_x25519(const uint8_t secret[CN_X25519_SIZE], const uint8_t public[CN_X25519_SIZE],
                      uint8_t out[CN_X25519_SIZE])
{
    return agree(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, CN_X25519_SIZE),
                 public, out);
}

enum cn_err cn_x25519_key_init(struct cn_x25519_key *key, const uint8_t secret[CN_X25519_SIZE])
{
    enum cn_err err = cn_x25519_public(secret, key->public);

    if (err == CN_OK)
        memcpy(key->secret, secret, CN_X25519_SIZE);
    return err;
}

/* With both halves libcrypto does not compute the public one; NULL: it failed. */
static EVP_PKEY *pair_of(const struct cn_x25519_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)key->secret,
                                          CN_X25519_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)key->public,
                                          CN_X25519_SIZE),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    EVP_PKEY *pair = NULL;

    if (context && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &pair, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(context);
    return pair;
}

enum cn_err cn_x25519_key_agree(const struct cn_x25519_key *key,
                                const uint8_t public[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE])
{
    return agree(pair_of(key), public, out);
}

enum cn_err cn_ed25519_public(const uint8_t seed[CN_ED25519_SEED_SIZE],
                              uint8_t out[CN_ED25519_PUBLIC_SIZE])
{
    return public_from_secret(EVP_PKEY_ED25519, seed, out);
}

enum cn_err cn_ed25519_sign(const uint8_t seed[CN_ED25519_SEED_SIZE], const uint8_t *in,
                            size_t in_size, uint8_t out[CN_ED25519_SIGNATURE_SIZE])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CN_ED25519_SEED_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[CN_ED25519_SIGNATURE_SIZE];
    size_t size = sizeof made;
    bool ok = key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(context, made, &size, in, in_size) == 1 && size == sizeof made;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (ok)
        memcpy(out, made, sizeof made);
    return cn_crypto_done(ok ? CN_OK : CN_E_CRYPTO);
}

enum cn_err cn_ed25519_verify(const uint8_t public[CN_ED25519_PUBLIC_SIZE], const uint8_t *in,
                              size_t in_size, const uint8_t signature[CN_ED25519_SIGNATURE_SIZE])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, CN_ED25519_PUBLIC_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum cn_err err = CN_E_CRYPTO;

    if (!key || !context || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1)
        goto out;
    if (EVP_DigestVerify(context, signature, CN_ED25519_SIGNATURE_SIZE, in, in_size) != 1) {
        err = CN_E_AUTH;
        goto out;
    }
    err = CN_OK;
out:
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return cn_crypto_done(err);
}
