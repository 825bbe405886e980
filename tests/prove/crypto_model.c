/* crypto_model.c - the primitives: each writes all of its result, of any octets, or fails. What it
 * is given it reads to the end, so that a size that is too large is seen. */
#include "any.h"
#include "armor.h"
#include "crypto.h"

#include <string.h>

static void reads(const void *octets, size_t size)
{
    const uint8_t *at = octets;
    volatile uint8_t seen;

    if (size > 0)
        seen = at[0] ^ at[size - 1];
}

static enum cn_err made(uint8_t *out, size_t size, enum cn_err failure)
{
    if (any_bool())
        return failure;
    any_octets(out, size);
    return CN_OK;
}

void cn_wipe(void *secret, size_t size)
{
    if (secret && size > 0)
        memset(secret, 0, size);
}

void cn_wipe_remains(void)
{
}

bool cn_equal_ct(const void *a, const void *b, size_t size)
{
    reads(a, size);
    reads(b, size);
    return any_bool();
}

size_t cn_hash_size(enum cn_hash hash)
{
    return hash == CN_SHA256 ? 32 : 64;
}

static void items_read(const struct cn_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        reads(items[i].bytes, items[i].size);
}

enum cn_err cn_hash_items(const struct cn_crypto *crypto, enum cn_hash hash,
                          const struct cn_item *items, size_t count, uint8_t *out)
{
    (void)crypto;
    items_read(items, count);
    return made(out, cn_hash_size(hash), CN_E_CRYPTO);
}

enum cn_err cn_hash_two(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *a,
                        size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out)
{
    (void)crypto;
    reads(a, a_size);
    reads(b, b_size);
    return made(out, cn_hash_size(hash), CN_E_CRYPTO);
}

enum cn_err cn_hmac(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                    size_t key_size, const uint8_t *in, size_t in_size, uint8_t *out)
{
    (void)crypto;
    reads(key, key_size);
    reads(in, in_size);
    return made(out, cn_hash_size(hash), CN_E_CRYPTO);
}

enum cn_err cn_extract(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *salt,
                       size_t salt_size, const struct cn_item *items, size_t count, uint8_t *out)
{
    (void)crypto;
    reads(salt, salt_size);
    items_read(items, count);
    return made(out, cn_hash_size(hash), CN_E_CRYPTO);
}

enum cn_err cn_expand(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                      size_t key_size, const struct cn_item *items, size_t count, uint8_t *out,
                      size_t out_size)
{
    (void)crypto;
    (void)hash;
    reads(key, key_size);
    items_read(items, count);
    return made(out, out_size, CN_E_CRYPTO);
}

enum cn_err cn_aead_seal(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                         const uint8_t *in, size_t in_size, uint8_t *out)
{
    (void)crypto;
    reads(call->aad, call->aad_size);
    reads(in, in_size);
    return made(out, in_size + CN_AEAD_TAG_SIZE, CN_E_CRYPTO);
}

enum cn_err cn_aead_open(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                         const uint8_t *in, size_t in_size, uint8_t *out)
{
    (void)crypto;
    reads(call->aad, call->aad_size);
    reads(in, in_size);
    return made(out, in_size - CN_AEAD_TAG_SIZE, CN_E_AUTH);
}

enum cn_err cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                           enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE], bool seal)
{
    (void)crypto;
    (void)aead;
    (void)seal;
    reads(key, CN_AEAD_KEY_SIZE);
    cipher->context = NULL;
    return any_bool() ? CN_OK : CN_E_CRYPTO;
}

void cn_cipher_wipe(struct cn_cipher *cipher)
{
    (void)cipher;
}

enum cn_err cn_cipher_open(struct cn_cipher *cipher, const uint8_t nonce[CN_AEAD_NONCE_SIZE],
                           const uint8_t *aad, size_t aad_size, const uint8_t *in, size_t in_size,
                           uint8_t *out)
{
    (void)cipher;
    reads(nonce, CN_AEAD_NONCE_SIZE);
    reads(aad, aad_size);
    reads(in, in_size);
    return made(out, in_size - CN_AEAD_TAG_SIZE, CN_E_AUTH);
}

enum cn_err cn_x25519_public(const uint8_t secret[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE])
{
    reads(secret, CN_X25519_SIZE);
    return made(out, CN_X25519_SIZE, CN_E_CRYPTO);
}

enum cn_err cn_x25519(const uint8_t secret[CN_X25519_SIZE], const uint8_t public[CN_X25519_SIZE],
                      uint8_t out[CN_X25519_SIZE])
{
    reads(secret, CN_X25519_SIZE);
    reads(public, CN_X25519_SIZE);
    return made(out, CN_X25519_SIZE, CN_E_KEY);
}

enum cn_err cn_x25519_key_init(struct cn_x25519_key *key, const uint8_t secret[CN_X25519_SIZE])
{
    memcpy(key->secret, secret, CN_X25519_SIZE);
    return made(key->public, CN_X25519_SIZE, CN_E_CRYPTO);
}

enum cn_err cn_x25519_key_agree(const struct cn_x25519_key *key,
                                const uint8_t public[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE])
{
    return cn_x25519(key->secret, public, out);
}

enum cn_err cn_ed25519_verify(const uint8_t public[CN_ED25519_PUBLIC_SIZE], const uint8_t *in,
                              size_t in_size, const uint8_t signature[CN_ED25519_SIGNATURE_SIZE])
{
    reads(public, CN_ED25519_PUBLIC_SIZE);
    reads(in, in_size);
    reads(signature, CN_ED25519_SIGNATURE_SIZE);
    return any_bool() ? CN_OK : CN_E_AUTH;
}

enum cn_err cn_ed25519_sign(const uint8_t seed[CN_ED25519_SEED_SIZE], const uint8_t *in,
                            size_t in_size, uint8_t out[CN_ED25519_SIGNATURE_SIZE])
{
    reads(seed, CN_ED25519_SEED_SIZE);
    reads(in, in_size);
    return made(out, CN_ED25519_SIGNATURE_SIZE, CN_E_CRYPTO);
}

/* The armour, too: a body of any size that there is room for, of any octets. */
enum cn_err cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                            const char *text, size_t text_size, uint8_t *body, size_t body_size_max,
                            size_t *body_size)
{
    (void)crypto;
    (void)kind;
    reads(text, text_size);
    *body_size = any_size(body_size_max);
    return made(body, body_size_max, CN_E_ARMOR);
}

enum cn_err cn_armor_encode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                            const uint8_t *body, size_t body_size, char *text, size_t text_size_max,
                            size_t *text_size)
{
    (void)crypto;
    (void)kind;
    reads(body, body_size);
    *text_size = any_size(text_size_max);
    return made((uint8_t *)text, text_size_max, CN_E_FULL);
}
