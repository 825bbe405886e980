/* What core/ makes, takes and derives is remembered by watch.h. Each function here is called in
 * place of the one it is named after (--wrap, meson.build), calls it, and looks at what came out.
 */
#include <string.h>

#include "armor.h"
#include "crypto.h"
#include "identity.h"
#include "kem.h"
#include "kem_mlkem768.h"
#include "reader.h"
#include "watch.h"

/* --- derived --------------------------------------------------------------------------------- */

/* Whether that label makes what all may know. */
static bool is_public(const struct cn_item *items, size_t count)
{
    static const char *const labels[] = { "cyphernet/1 tag", "cyphernet/1 call id" };

    for (size_t i = 0; count > 0 && i < sizeof labels / sizeof labels[0]; i++) {
        if (items[0].size == strlen(labels[i]) &&
            memcmp(items[0].bytes, labels[i], items[0].size) == 0)
            return true;
    }
    return false;
}

/* What goes into a hash as a secret is one. */
static void items_add(const struct cn_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].type == CN_ITEM_SECRET)
            watch_add("shared secret", items[i].bytes, items[i].size);
    }
}

enum cn_err __real_cn_expand(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                             size_t key_size, const struct cn_item *items, size_t count,
                             uint8_t *out, size_t out_size);
enum cn_err __wrap_cn_expand(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                             size_t key_size, const struct cn_item *items, size_t count,
                             uint8_t *out, size_t out_size);

enum cn_err __wrap_cn_expand(const struct cn_crypto *crypto, enum cn_hash hash, const uint8_t *key,
                             size_t key_size, const struct cn_item *items, size_t count,
                             uint8_t *out, size_t out_size)
{
    enum cn_err err;

    watch_add("key", key, key_size);
    err = __real_cn_expand(crypto, hash, key, key_size, items, count, out, out_size);
    if (err == CN_OK && !is_public(items, count))
        watch_add("expanded", out, out_size);
    return err;
}

enum cn_err __real_cn_extract(const struct cn_crypto *crypto, enum cn_hash hash,
                              const uint8_t *salt, size_t salt_size, const struct cn_item *items,
                              size_t count, uint8_t *out);
enum cn_err __wrap_cn_extract(const struct cn_crypto *crypto, enum cn_hash hash,
                              const uint8_t *salt, size_t salt_size, const struct cn_item *items,
                              size_t count, uint8_t *out);

enum cn_err __wrap_cn_extract(const struct cn_crypto *crypto, enum cn_hash hash,
                              const uint8_t *salt, size_t salt_size, const struct cn_item *items,
                              size_t count, uint8_t *out)
{
    enum cn_err err;

    items_add(items, count);
    err = __real_cn_extract(crypto, hash, salt, salt_size, items, count, out);
    if (err == CN_OK)
        watch_add("extracted", out, cn_hash_size(hash));
    return err;
}

enum cn_err __real_cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                             const struct cn_scrypt_cost *cost, uint8_t out[32]);
enum cn_err __wrap_cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                             const struct cn_scrypt_cost *cost, uint8_t out[32]);

enum cn_err __wrap_cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                             const struct cn_scrypt_cost *cost, uint8_t out[32])
{
    enum cn_err err = __real_cn_scrypt(passphrase, passphrase_size, salt, cost, out);

    watch_add("passphrase", passphrase, passphrase_size);
    if (err == CN_OK)
        watch_add("scrypt", out, 32);
    return err;
}

/* --- AEAD ------------------------------------------------------------------------------------ */

enum cn_err __real_cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                                  enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE],
                                  bool seal);
enum cn_err __wrap_cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                                  enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE],
                                  bool seal);

enum cn_err __wrap_cn_cipher_init(struct cn_cipher *cipher, const struct cn_crypto *crypto,
                                  enum cn_aead aead, const uint8_t key[CN_AEAD_KEY_SIZE], bool seal)
{
    watch_add("record key", key, CN_AEAD_KEY_SIZE);
    return __real_cn_cipher_init(cipher, crypto, aead, key, seal);
}

enum cn_err __real_cn_aead_seal(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);
enum cn_err __wrap_cn_aead_seal(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);

enum cn_err __wrap_cn_aead_seal(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out)
{
    watch_add("AEAD key", call->key, CN_AEAD_KEY_SIZE);
    return __real_cn_aead_seal(crypto, call, in, in_size, out);
}

enum cn_err __real_cn_aead_open(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);
enum cn_err __wrap_cn_aead_open(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);

enum cn_err __wrap_cn_aead_open(const struct cn_crypto *crypto, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out)
{
    watch_add("AEAD key", call->key, CN_AEAD_KEY_SIZE);
    return __real_cn_aead_open(crypto, call, in, in_size, out);
}

/* --- X25519 ---------------------------------------------------------------------------------- */

enum cn_err __real_cn_x25519(const uint8_t secret[CN_X25519_SIZE],
                             const uint8_t public[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE]);
enum cn_err __wrap_cn_x25519(const uint8_t secret[CN_X25519_SIZE],
                             const uint8_t public[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE]);

enum cn_err __wrap_cn_x25519(const uint8_t secret[CN_X25519_SIZE],
                             const uint8_t public[CN_X25519_SIZE], uint8_t out[CN_X25519_SIZE])
{
    enum cn_err err = __real_cn_x25519(secret, public, out);

    watch_add("X25519 private key", secret, CN_X25519_SIZE);
    if (err == CN_OK)
        watch_add("X25519 shared secret", out, CN_X25519_SIZE);
    return err;
}

enum cn_err __real_cn_x25519_key_init(struct cn_x25519_key *key,
                                      const uint8_t secret[CN_X25519_SIZE]);
enum cn_err __wrap_cn_x25519_key_init(struct cn_x25519_key *key,
                                      const uint8_t secret[CN_X25519_SIZE]);

enum cn_err __wrap_cn_x25519_key_init(struct cn_x25519_key *key,
                                      const uint8_t secret[CN_X25519_SIZE])
{
    watch_add("X25519 private key", secret, CN_X25519_SIZE);
    return __real_cn_x25519_key_init(key, secret);
}

enum cn_err __real_cn_x25519_key_agree(const struct cn_x25519_key *key,
                                       const uint8_t public[CN_X25519_SIZE],
                                       uint8_t out[CN_X25519_SIZE]);
enum cn_err __wrap_cn_x25519_key_agree(const struct cn_x25519_key *key,
                                       const uint8_t public[CN_X25519_SIZE],
                                       uint8_t out[CN_X25519_SIZE]);

enum cn_err __wrap_cn_x25519_key_agree(const struct cn_x25519_key *key,
                                       const uint8_t public[CN_X25519_SIZE],
                                       uint8_t out[CN_X25519_SIZE])
{
    enum cn_err err = __real_cn_x25519_key_agree(key, public, out);

    if (err == CN_OK)
        watch_add("X25519 shared secret", out, CN_X25519_SIZE);
    return err;
}

/* --- KEMs ------------------------------------------------------------------------------------ */

/* The numbers d, p, q and what goes with them in the RSAPrivateKey (RFC 8017 A.1.2) within PKCS #8:
 * all but the first three, which are the version, the modulus and the exponent. */
static void rsa_add(const uint8_t *der, size_t size)
{
    enum { SEQUENCE = 0x30, INTEGER = 0x02, OCTETS = 0x04, PUBLIC_COUNT = 4 };
    struct cn_reader r = { .at = der, .left = size };
    unsigned number = 0;
    bool inside = false; /* PKCS #8 */

    while (r.left > 0 && cn_reader_ok(&r)) {
        const uint8_t type = cn_reader_u8(&r);
        size_t length = cn_reader_u8(&r);

        if (length == 0x81)
            length = cn_reader_u8(&r);
        else if (length == 0x82)
            length = cn_reader_u16be(&r);
        if (length > r.left)
            return;
        if (type == OCTETS)
            inside = true;
        if (type == OCTETS || (type == SEQUENCE && (inside || number == 0)))
            continue;                                     /* look into it */
        if (type == INTEGER && ++number > PUBLIC_COUNT) { /* that of PKCS #8, too, has a version */
            watch_add("RSA private key", r.at + (r.at[0] == 0), length - (r.at[0] == 0));
            watch_add_reversed("RSA private key", r.at, length);
        }
        (void)cn_reader_take(&r, length);
    }
}

static void secret_add(const struct cn_kem_secret *secret)
{
    if (cn_kem_is_rsa(secret->kind))
        rsa_add(secret->bytes, secret->size);
    else
        watch_add(cn_kem_name(secret->kind), secret->bytes, secret->size);
}

enum cn_err __real_cn_kem_generate(enum cn_kem kind, const struct cn_random *random,
                                   struct cn_kem_secret *secret);
enum cn_err __wrap_cn_kem_generate(enum cn_kem kind, const struct cn_random *random,
                                   struct cn_kem_secret *secret);

enum cn_err __wrap_cn_kem_generate(enum cn_kem kind, const struct cn_random *random,
                                   struct cn_kem_secret *secret)
{
    enum cn_err err = __real_cn_kem_generate(kind, random, secret);

    if (err == CN_OK)
        secret_add(secret);
    return err;
}

enum cn_err __real_cn_kem_public_of(const struct cn_kem_secret *secret,
                                    struct cn_kem_public *public);
enum cn_err __wrap_cn_kem_public_of(const struct cn_kem_secret *secret,
                                    struct cn_kem_public *public);

enum cn_err __wrap_cn_kem_public_of(const struct cn_kem_secret *secret,
                                    struct cn_kem_public *public)
{
    secret_add(secret);
    return __real_cn_kem_public_of(secret, public);
}

enum cn_err __real_cn_kem_encapsulate(const struct cn_kem_public *public,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, uint8_t *ciphertext,
                                      struct cn_kem_shared *shared);
enum cn_err __wrap_cn_kem_encapsulate(const struct cn_kem_public *public,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, uint8_t *ciphertext,
                                      struct cn_kem_shared *shared);

enum cn_err __wrap_cn_kem_encapsulate(const struct cn_kem_public *public,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, uint8_t *ciphertext,
                                      struct cn_kem_shared *shared)
{
    enum cn_err err = __real_cn_kem_encapsulate(public, binding, random, ciphertext, shared);

    if (err == CN_OK)
        watch_add("encapsulated", shared->bytes, sizeof shared->bytes);
    return err;
}

enum cn_err __real_cn_kem_decapsulate(const struct cn_kem_secret *secret,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, const uint8_t *ciphertext,
                                      size_t ciphertext_size, struct cn_kem_shared *shared);
enum cn_err __wrap_cn_kem_decapsulate(const struct cn_kem_secret *secret,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, const uint8_t *ciphertext,
                                      size_t ciphertext_size, struct cn_kem_shared *shared);

enum cn_err __wrap_cn_kem_decapsulate(const struct cn_kem_secret *secret,
                                      const struct cn_kem_binding *binding,
                                      const struct cn_random *random, const uint8_t *ciphertext,
                                      size_t ciphertext_size, struct cn_kem_shared *shared)
{
    enum cn_err err =
        __real_cn_kem_decapsulate(secret, binding, random, ciphertext, ciphertext_size, shared);

    if (err == CN_OK)
        watch_add("decapsulated", shared->bytes, sizeof shared->bytes);
    return err;
}

/* --- within ML-KEM-768, if it is PQClean's --------------------------------------------------- */

enum { KEY_INPUT_SIZE = 33, HALF = 32, SECRET_VECTOR_SIZE = 1152, NTT_SIZE = 3 * 256 * 2 };

__attribute__((weak)) void __real_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size);
void __wrap_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size);

/* FIPS 203's G: of a seed, rho, which is public, and sigma; else of m and a hash of the public key,
 * the shared secret and coins. */
void __wrap_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size)
{
    __real_sha3_512(out, in, in_size);
    watch_add("ML-KEM seed or message", in, HALF);
    if (in_size == KEY_INPUT_SIZE)
        watch_add("ML-KEM sigma", out + HALF, HALF);
    else
        watch_add("ML-KEM secret and coins", out, 2 * HALF);
}

__attribute__((weak)) void __real_shake256(uint8_t *out, size_t out_size, const uint8_t *in,
                                           size_t in_size);
void __wrap_shake256(uint8_t *out, size_t out_size, const uint8_t *in, size_t in_size);

void __wrap_shake256(uint8_t *out, size_t out_size, const uint8_t *in, size_t in_size)
{
    __real_shake256(out, out_size, in, in_size);
    watch_add("ML-KEM noise", out, out_size);
}

/* s, or r, as it is multiplied. */
__attribute__((weak)) void __real_PQCLEAN_MLKEM768_CLEAN_polyvec_ntt(void *vector);
void __wrap_PQCLEAN_MLKEM768_CLEAN_polyvec_ntt(void *vector);

void __wrap_PQCLEAN_MLKEM768_CLEAN_polyvec_ntt(void *vector)
{
    __real_PQCLEAN_MLKEM768_CLEAN_polyvec_ntt(vector);
    watch_add("ML-KEM vector", vector, NTT_SIZE);
}

__attribute__((weak)) int
__real_PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(uint8_t *public, uint8_t *secret,
                                                        const uint8_t *coins);
int __wrap_PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(uint8_t *public, uint8_t *secret,
                                                            const uint8_t *coins);

int __wrap_PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(uint8_t *public, uint8_t *secret,
                                                            const uint8_t *coins)
{
    const int failed =
        __real_PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(public, secret, coins);

    watch_add("ML-KEM private key", secret, SECRET_VECTOR_SIZE);
    return failed;
}

/* --- files ----------------------------------------------------------------------------------- */

enum cn_err __real_cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                   const char *text, size_t text_size, uint8_t *body,
                                   size_t body_size_max, size_t *body_size);
enum cn_err __wrap_cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                   const char *text, size_t text_size, uint8_t *body,
                                   size_t body_size_max, size_t *body_size);

/* The text of what is secret from its first to its last character; but an RSA key's begins with
 * what is public. */
enum cn_err __wrap_cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                   const char *text, size_t text_size, uint8_t *body,
                                   size_t body_size_max, size_t *body_size)
{
    enum cn_err err =
        __real_cn_armor_decode(crypto, kind, text, text_size, body, body_size_max, body_size);
    const char *line = memchr(text, '\n', text_size);
    const size_t left = line ? text_size - (size_t)(line + 1 - text) : 0;

    if (err == CN_OK && left > 0 &&
        (kind == CN_ARMOR_IDENTITY || kind == CN_ARMOR_TRANSCRIPT_KEY ||
         kind == CN_ARMOR_ADMISSION_KEY))
        watch_add("armoured text", line + 1, left);
    return err;
}
