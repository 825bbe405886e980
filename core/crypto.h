/* crypto.h - the cryptographic primitives, all of them libcrypto's.
 *
 * Sizes are octets. Every function returns CN_E_CRYPTO when libcrypto fails and
 * leaves its results untouched then. Outputs may not overlap inputs unless it
 * says so. Nothing here keeps a pointer that it was given. */
#ifndef CN_CRYPTO_H
#define CN_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env.h"
#include "err.h"

enum {
    CN_SHA256_SIZE = 32,
    CN_HASH_SIZE_MAX = 64,
    CN_AEAD_KEY_SIZE = 32,
    CN_AEAD_NONCE_SIZE = 12,
    CN_AEAD_TAG_SIZE = 16,
    CN_X25519_SIZE = 32, /* private key, public key and shared secret */
    CN_ED25519_SEED_SIZE = 32,
    CN_ED25519_PUBLIC_SIZE = 32,
    CN_ED25519_SIGNATURE_SIZE = 64
};

enum cn_hash { CN_SHA256 = 0, CN_SHA512, CN_BLAKE2B, CN_HASH_COUNT };
enum cn_aead { CN_AES256GCM = 0, CN_CHACHA20POLY1305, CN_AEAD_COUNT };

/* Algorithms, fetched once. Read-only after init, so threads may share one. */
struct cn_crypto {
    struct evp_md_st *hash[CN_HASH_COUNT];
    struct evp_cipher_st *aead[CN_AEAD_COUNT];
    struct evp_mac_st *hmac;
    struct evp_kdf_st *hkdf;
};

CN_MUST_USE enum cn_err cn_crypto_init(struct cn_crypto *crypto);
void cn_crypto_wipe(struct cn_crypto *crypto);
/* err, after libcrypto's error queue was emptied if it is one. The last word of whatever called
 * libcrypto: what is left there grows, and is taken by another for the cause of its own failure. */
CN_MUST_USE enum cn_err cn_crypto_done(enum cn_err err);
/* The name and version of the library in use; static. */
const char *cn_crypto_library(void);

/* Overwrite; never optimised away. NULL and size 0 are fine. */
void cn_wipe(void *secret, size_t size);
/* What the functions that were called from here left in registers and on the stack, of which it is
 * CN_REMAINS_SIZE octets: libcrypto, PQClean and memcpy do not wipe theirs. */
enum { CN_REMAINS_SIZE = 32768 };
void cn_wipe_remains(void);
/* The vector registers: registers_*.c, of which the build takes one. For cn_wipe_remains. */
void cn_wipe_registers(void);
/* In time that depends on size alone. */
CN_MUST_USE bool cn_equal_ct(const void *a, const void *b, size_t size);
/* out = take_a ? a : b, without a branch or an address that depends on take_a. */
void cn_select_ct(uint8_t *out, bool take_a, const uint8_t *a, const uint8_t *b, size_t size);

/* RFC 4648 4, padded, as a text of CN_BASE64_SIZE(size) octets, its NUL included. */
#define CN_BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
void cn_base64_encode(char *out, const void *in, size_t size);

size_t cn_hash_size(enum cn_hash hash);

/* What goes into a hash or a KDF: a sequence of items, each a type octet, a u32
 * length and the octets, so no two sequences share an encoding. PROTOCOL.md 1.2 */
enum cn_item_type {
    CN_ITEM_LABEL = 1,
    CN_ITEM_HASH = 2,
    CN_ITEM_PUBLIC = 3,
    CN_ITEM_SECRET = 4,
    CN_ITEM_NONCE = 5,
    CN_ITEM_CARD = 6,
    CN_ITEM_ROLE = 7,
    CN_ITEM_NAME = 8,
    CN_ITEM_TAG = 9,
    CN_ITEM_NUMBER = 10,
    CN_ITEM_MESSAGE = 11
};

struct cn_item {
    enum cn_item_type type;
    const void *bytes; /* borrowed; may be NULL when size is 0: the item is absent */
    size_t size;
};

/* A label: the ASCII text without its final NUL. */
#define CN_LABEL(text) \
    { \
        CN_ITEM_LABEL, "cyphernet/1 " text, sizeof("cyphernet/1 " text) - 1 \
    }

/* out = H(items); hash_size octets. */
CN_MUST_USE enum cn_err cn_hash_items(const struct cn_crypto *crypto, enum cn_hash hash,
                                      const struct cn_item *items, size_t count, uint8_t *out);
/* out = H(a, b), plainly one after the other; hash_size octets; out may be a or b. For what Noise
 * and file hashing fix; anything of ours goes through cn_hash_items. */
CN_MUST_USE enum cn_err cn_hash_two(const struct cn_crypto *crypto, enum cn_hash hash,
                                    const uint8_t *a, size_t a_size, const uint8_t *b,
                                    size_t b_size, uint8_t *out);
/* A hash over octets that come bit by bit. */
struct cn_digest {
    struct evp_md_ctx_st *context; /* owned */
    enum cn_hash hash;
};

CN_MUST_USE enum cn_err cn_digest_init(struct cn_digest *digest, const struct cn_crypto *crypto,
                                       enum cn_hash hash);
CN_MUST_USE enum cn_err cn_digest_update(struct cn_digest *digest, const void *in, size_t in_size);
/* out gets hash_size octets; the digest is wiped. */
CN_MUST_USE enum cn_err cn_digest_final(struct cn_digest *digest, uint8_t *out);
void cn_digest_wipe(struct cn_digest *digest);

/* out = HMAC(key, in); hash_size octets. RFC 2104. */
CN_MUST_USE enum cn_err cn_hmac(const struct cn_crypto *crypto, enum cn_hash hash,
                                const uint8_t *key, size_t key_size, const uint8_t *in,
                                size_t in_size, uint8_t *out);
/* out = HMAC(key, items); hash_size octets. With salt as key this is HKDF-Extract, RFC 5869 2.2.
 * out may be key. */
CN_MUST_USE enum cn_err cn_extract(const struct cn_crypto *crypto, enum cn_hash hash,
                                   const uint8_t *salt, size_t salt_size,
                                   const struct cn_item *items, size_t count, uint8_t *out);
/* out = HKDF-Expand(key, items, out_size), RFC 5869 2.3. No items: empty info. The encoded items
 * take at most 512 octets, else CN_E_FULL. out may be key. */
CN_MUST_USE enum cn_err cn_expand(const struct cn_crypto *crypto, enum cn_hash hash,
                                  const uint8_t *key, size_t key_size, const struct cn_item *items,
                                  size_t count, uint8_t *out, size_t out_size);

/* What scrypt is to cost: N = 2^log_n, r and p of RFC 7914. 128 * r * N octets of memory. */
struct cn_scrypt_cost {
    unsigned log_n, r, p;
};

/* 32 octets of scrypt, RFC 7914; salt has 32, too. CN_E_CRYPTO, also for want of memory. */
CN_MUST_USE enum cn_err cn_scrypt(const char *passphrase, size_t passphrase_size,
                                  const uint8_t salt[32], const struct cn_scrypt_cost *cost,
                                  uint8_t out[32]);

/* One direction of an AEAD under one key. */
struct cn_cipher {
    struct evp_cipher_ctx_st *context; /* owned */
};

struct cn_piece {
    const uint8_t *bytes; /* borrowed */
    size_t size;
};

CN_MUST_USE enum cn_err cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                                       enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE],
                                       bool seal);
void cn_cipher_wipe(struct cn_cipher *cipher);
/* out = ciphertext of all pieces in order, then the tag. A piece may lie where its ciphertext goes.
 */
CN_MUST_USE enum cn_err cn_cipher_seal(struct cn_cipher *cipher,
                                       const uint8_t nonce[CN_AEAD_NONCE_SIZE], const uint8_t *aad,
                                       size_t aad_size, const struct cn_piece *pieces, size_t count,
                                       uint8_t *out);
/* in = ciphertext and tag, in_size >= 16; out gets in_size - 16 octets and may be in.
 * CN_E_AUTH: forged; out has been wiped. */
CN_MUST_USE enum cn_err cn_cipher_open(struct cn_cipher *cipher,
                                       const uint8_t nonce[CN_AEAD_NONCE_SIZE], const uint8_t *aad,
                                       size_t aad_size, const uint8_t *in, size_t in_size,
                                       uint8_t *out);

/* The same for a key used once. */
struct cn_aead_call {
    enum cn_aead aead;
    const uint8_t *key;   /* CN_AEAD_KEY_SIZE */
    const uint8_t *nonce; /* CN_AEAD_NONCE_SIZE */
    const uint8_t *aad;
    size_t aad_size;
};

CN_MUST_USE enum cn_err cn_aead_seal(const struct cn_crypto *crypto,
                                     const struct cn_aead_call *call, const uint8_t *in,
                                     size_t in_size, uint8_t *out);
CN_MUST_USE enum cn_err cn_aead_open(const struct cn_crypto *crypto,
                                     const struct cn_aead_call *call, const uint8_t *in,
                                     size_t in_size, uint8_t *out);

/* RFC 7748. Any 32 octets are a private key. */
CN_MUST_USE enum cn_err cn_x25519_public(const uint8_t secret[CN_X25519_SIZE],
                                         uint8_t out[CN_X25519_SIZE]);
/* CN_E_KEY: the public key is of low order (the result would be all zero). */
CN_MUST_USE enum cn_err cn_x25519(const uint8_t secret[CN_X25519_SIZE],
                                  const uint8_t public[CN_X25519_SIZE],
                                  uint8_t out[CN_X25519_SIZE]);
/* A private key with its public key, which costs as much to find as an agreement: for keys that
 * agree more than once, or whose public half is needed anyway. Wipe with cn_wipe. */
struct cn_x25519_key {
    uint8_t secret[CN_X25519_SIZE];
    uint8_t public[CN_X25519_SIZE];
};

CN_MUST_USE enum cn_err cn_x25519_key_init(struct cn_x25519_key *key,
                                           const uint8_t secret[CN_X25519_SIZE]);
/* As cn_x25519 with key->secret. */
CN_MUST_USE enum cn_err cn_x25519_key_agree(const struct cn_x25519_key *key,
                                            const uint8_t public[CN_X25519_SIZE],
                                            uint8_t out[CN_X25519_SIZE]);

/* RFC 8032. Any 32 octets are a seed. */
CN_MUST_USE enum cn_err cn_ed25519_public(const uint8_t seed[CN_ED25519_SEED_SIZE],
                                          uint8_t out[CN_ED25519_PUBLIC_SIZE]);
CN_MUST_USE enum cn_err cn_ed25519_sign(const uint8_t seed[CN_ED25519_SEED_SIZE], const uint8_t *in,
                                        size_t in_size, uint8_t out[CN_ED25519_SIGNATURE_SIZE]);
/* CN_E_AUTH: the signature is not this key's over in. */
CN_MUST_USE enum cn_err cn_ed25519_verify(const uint8_t public[CN_ED25519_PUBLIC_SIZE],
                                          const uint8_t *in, size_t in_size,
                                          const uint8_t signature[CN_ED25519_SIGNATURE_SIZE]);

#endif
