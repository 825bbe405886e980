/* The figures of Project Wycheproof, through the interfaces that all else of ours goes through:
 * tests/vectors/wycheproof_*.txt. What ours does not take was left out there. */
#include "unit.h"

#include "kem.h"
#include "vectors.h"

enum { OCTETS_MAX = 8192 };

/* Of the vector at hand, for the one who reads that it failed. */
static const char *file_name;
static unsigned number;

static void must(bool holds, const char *what)
{
    if (!holds)
        fail_msg("%s, number %u: %s", file_name, number, what);
}

static void must_match(const struct vector_field *expected, const uint8_t *got, size_t got_size,
                       const char *what)
{
    must(expected && expected->size == got_size && memcmp(expected->octets, got, got_size) == 0,
         what);
}

/* Give each vector of the file to check, which ends the test where it does not hold. */
static void each_of(const char *path, unsigned count, void (*check)(const struct vector *v))
{
    FILE *file = fopen(path, "r");
    unsigned seen = 0;
    struct vector v;

    assert_non_null(file);
    file_name = path;
    for (; vector_next(file, &v); seen++) {
        const uint8_t *octets = vector_octets(&v, "number", 2);

        number = (unsigned)octets[0] << 8 | octets[1];
        check(&v);
        vector_wipe(&v);
    }
    fclose(file);
    assert_int_equal(seen, count);
}

/* The field, which must be there. */
static const struct vector_field *field(const struct vector *v, const char *name)
{
    const struct vector_field *f = vector_field(v, name);

    must(f != NULL, name);
    return f;
}

static enum cn_hash hash_of(const struct vector *v)
{
    return vector_octets(v, "hash", 1)[0] == 0 ? CN_SHA256 : CN_SHA512;
}

/* A random source that says what it is told to; context: the octets, exactly so many as are asked
 * for. */
static enum cn_err told_fill(void *context, uint8_t *out, size_t size)
{
    const struct vector_field *octets = context;

    if (octets->size != size)
        return CN_E_RANDOM;
    memcpy(out, octets->octets, size);
    return CN_OK;
}

/* --- X25519 and Ed25519 --------------------------------------------------------------------- */

/* The same agreement as a KEM, from both ends. */
static void x25519_kem(const uint8_t *secret, const uint8_t *public,
                       const struct vector_field *shared)
{
    const struct cn_random random = { told_fill, NULL }; /* which it does not ask */
    struct cn_kem_secret kem_secret = { .kind = CN_KEM_X25519, .size = CN_X25519_SIZE };
    struct cn_kem_public kem_public = { .kind = CN_KEM_X25519, .size = CN_X25519_SIZE };
    const struct cn_kem_binding sender = { .ephemeral = secret };
    const struct cn_kem_binding receiver = { .ephemeral = public };
    enum cn_err expected = shared ? CN_OK : CN_E_KEY;
    struct cn_kem_shared one = { { 0 } };
    struct cn_kem_shared two = { { 0 } };

    memcpy(kem_secret.bytes, secret, CN_X25519_SIZE);
    memcpy(kem_public.bytes, public, CN_X25519_SIZE);
    must(cn_kem_check(&kem_public) == expected, "check");
    must(cn_kem_encapsulate(&kem_public, &sender, &random, NULL, &one) == expected, "encapsulate");
    must(cn_kem_decapsulate(&kem_secret, &receiver, &random, NULL, 0, &two) == expected,
         "decapsulate");
    if (shared) {
        must_match(shared, one.bytes, sizeof one.bytes, "encapsulated");
        must_match(shared, two.bytes, sizeof two.bytes, "decapsulated");
    }
}

static void x25519(const struct vector *v)
{
    const uint8_t *secret = vector_octets(v, "secret", CN_X25519_SIZE);
    const uint8_t *public = vector_octets(v, "public", CN_X25519_SIZE);
    const struct vector_field *shared = vector_field(v, "shared");
    enum cn_err expected = shared ? CN_OK : CN_E_KEY;
    struct cn_x25519_key key;
    uint8_t made[CN_X25519_SIZE] = { 0 };
    uint8_t again[CN_X25519_SIZE] = { 0 };

    must(cn_x25519(secret, public, made) == expected, "agreement");
    must(cn_x25519_key_init(&key, secret) == CN_OK, "key");
    must(cn_x25519_key_agree(&key, public, again) == expected, "agreement of a kept key");
    if (shared) {
        must_match(shared, made, sizeof made, "shared");
        must_match(shared, again, sizeof again, "shared of a kept key");
    }
    x25519_kem(secret, public, shared);
}

static void x25519_agrees_or_refuses(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_x25519.txt", 518, x25519);
}

static void ed25519(const struct vector *v)
{
    const struct vector_field *message = field(v, "message");

    must(cn_ed25519_verify(vector_octets(v, "public", CN_ED25519_PUBLIC_SIZE), message->octets,
                           message->size,
                           vector_octets(v, "signature", CN_ED25519_SIGNATURE_SIZE)) ==
             (vector_field(v, "valid") ? CN_OK : CN_E_AUTH),
         "signature");
}

static void ed25519_verifies_or_refuses(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_ed25519.txt", 139, ed25519);
}

/* --- AEAD ----------------------------------------------------------------------------------- */

/* Sealed whole, and in two pieces by a cipher that is kept. */
static void seals(const struct cn_aead_call *call, const struct vector_field *message,
                  const struct vector_field *ciphertext)
{
    size_t half = message->size / 2;
    const struct cn_piece pieces[] = { { message->octets, half },
                                       { message->octets + half, message->size - half } };
    uint8_t out[OCTETS_MAX];
    struct cn_cipher cipher;

    must(cn_aead_seal(&crypto, call, message->octets, message->size, out) == CN_OK, "seal");
    must_match(ciphertext, out, message->size + CN_AEAD_TAG_SIZE, "sealed");
    memset(out, 0, sizeof out);
    must(cn_cipher_init(&cipher, &crypto, call->aead, call->key, true) == CN_OK, "cipher");
    must(cn_cipher_seal(&cipher, call->nonce, call->aad, call->aad_size, pieces, COUNT(pieces),
                        out) == CN_OK,
         "seal pieces");
    must_match(ciphertext, out, message->size + CN_AEAD_TAG_SIZE, "sealed in pieces");
    cn_cipher_wipe(&cipher);
}

static void aead(enum cn_aead aead, const struct vector *v)
{
    const struct vector_field *aad = field(v, "aad");
    const struct vector_field *ciphertext = field(v, "ciphertext");
    const struct vector_field *message = vector_field(v, "message");
    const struct cn_aead_call call = { aead, vector_octets(v, "key", CN_AEAD_KEY_SIZE),
                                       vector_octets(v, "nonce", CN_AEAD_NONCE_SIZE), aad->octets,
                                       aad->size };
    uint8_t out[OCTETS_MAX];
    enum cn_err err;

    must(ciphertext->size >= CN_AEAD_TAG_SIZE && ciphertext->size <= sizeof out, "size");
    memset(out, 0xa5, sizeof out);
    err = cn_aead_open(&crypto, &call, ciphertext->octets, ciphertext->size, out);
    must(err == (message ? CN_OK : CN_E_AUTH), "open");
    if (message) {
        must_match(message, out, ciphertext->size - CN_AEAD_TAG_SIZE, "opened");
        seals(&call, message, ciphertext);
        return;
    }
    for (size_t i = 0; i < ciphertext->size - CN_AEAD_TAG_SIZE; i++)
        must(out[i] == 0, "what was forged is wiped");
}

static void aes_gcm(const struct vector *v)
{
    aead(CN_AES256GCM, v);
}

static void aes_gcm_seals_and_opens_or_refuses(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_aes_gcm.txt", 66, aes_gcm);
}

static void chacha20_poly1305(const struct vector *v)
{
    aead(CN_CHACHA20POLY1305, v);
}

static void chacha20_poly1305_seals_and_opens_or_refuses(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_chacha20_poly1305.txt", 316, chacha20_poly1305);
}

/* --- HMAC and HKDF -------------------------------------------------------------------------- */

static void hmac(const struct vector *v)
{
    const struct vector_field *key = field(v, "key");
    const struct vector_field *message = field(v, "message");
    size_t size = cn_hash_size(hash_of(v));
    const uint8_t *tag = vector_octets(v, "tag", size);
    uint8_t made[CN_HASH_SIZE_MAX];

    must(cn_hmac(&crypto, hash_of(v), key->octets, key->size, message->octets, message->size,
                 made) == CN_OK,
         "hmac");
    must(cn_equal_ct(made, tag, size) == (vector_field(v, "valid") != NULL), "tag");
}

static void hmac_makes_the_tag_or_another(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_hmac.txt", 174, hmac);
}

/* RFC 5869 2.2 is HMAC with the salt as key; where the salt is empty, a key of zeros is the same.
 */
static void hkdf(const struct vector *v)
{
    const struct vector_field *salt = field(v, "salt");
    const struct vector_field *secret = field(v, "secret");
    const struct vector_field *expected = field(v, "made");
    uint8_t extracted[CN_HASH_SIZE_MAX];
    uint8_t made[4 * CN_HASH_SIZE_MAX];

    must(expected->size <= sizeof made, "size");
    must(cn_hmac(&crypto, hash_of(v), salt->octets, salt->size, secret->octets, secret->size,
                 extracted) == CN_OK,
         "extract");
    must(cn_expand(&crypto, hash_of(v), extracted, cn_hash_size(hash_of(v)), NULL, 0, made,
                   expected->size) == CN_OK,
         "expand");
    must_match(expected, made, expected->size, "made");
}

static void hkdf_makes_what_it_should(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_hkdf.txt", 61, hkdf);
}

/* --- RSA-OAEP ------------------------------------------------------------------------------- */

static struct cn_kem_secret rsa_key; /* of this vector and the following */

static void rsa_oaep(const struct vector *v)
{
    static uint8_t nobodys_octets[CN_KEM_SHARED_SIZE];
    static struct vector_field nobodys = { .octets = nobodys_octets, .size = CN_KEM_SHARED_SIZE };
    const struct cn_random random = { told_fill, &nobodys };
    const struct vector_field *key = vector_field(v, "key");
    const uint8_t *bits = vector_octets(v, "bits", 2);
    const struct vector_field *label = field(v, "label");
    const struct vector_field *ciphertext = field(v, "ciphertext");
    const struct vector_field *shared = vector_field(v, "shared");
    const struct cn_kem_binding binding = { .label = label->octets, .label_size = label->size };
    struct cn_kem_public public;
    struct cn_kem_shared got = { { 0 } };
    enum cn_err err;

    fill((uint8_t)number, nobodys_octets, sizeof nobodys_octets);
    if (key) {
        must(key->size <= sizeof rsa_key.bytes, "size of the key");
        rsa_key.kind = cn_kem_rsa_of((unsigned)bits[0] << 8 | bits[1]);
        rsa_key.size = key->size;
        memcpy(rsa_key.bytes, key->octets, key->size);
    }
    must(cn_kem_public_of(&rsa_key, &public) == CN_OK && cn_kem_check(&public) == CN_OK, "key");
    err =
        cn_kem_decapsulate(&rsa_key, &binding, &random, ciphertext->octets, ciphertext->size, &got);
    if (ciphertext->size != cn_kem_ciphertext_size(rsa_key.kind)) {
        must(!shared && err == CN_E_FORMAT, "size of the ciphertext");
        return;
    }
    must(err == CN_OK, "decapsulate");
    must_match(shared ? shared : &nobodys, got.bytes, sizeof got.bytes, "shared");
}

static void rsa_oaep_opens_or_shows_no_failure(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_rsa_oaep.txt", 123, rsa_oaep);
}

/* --- ML-KEM-768 ----------------------------------------------------------------------------- */

static void must_have_sha256(const struct vector *v, const char *name, const uint8_t *octets,
                             size_t size)
{
    uint8_t digest[CN_SHA256_SIZE];

    must(cn_hash_two(&crypto, CN_SHA256, octets, size, NULL, 0, digest) == CN_OK, "digest");
    must_match(vector_field(v, name), digest, sizeof digest, name);
}

static void mlkem768_encapsulates(const struct vector *v, const struct vector_field *key)
{
    const struct cn_random random = { told_fill, (void *)(uintptr_t)field(v, "coins") };
    const struct cn_kem_binding nothing = { 0 };
    const struct vector_field *shared = vector_field(v, "shared");
    enum cn_err expected = shared ? CN_OK : CN_E_KEY;
    struct cn_kem_public public = { .kind = CN_KEM_MLKEM768, .size = key->size };
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];
    struct cn_kem_shared made;

    memcpy(public.bytes, key->octets,
           key->size < sizeof public.bytes ? key->size : sizeof public.bytes);
    must(cn_kem_check(&public) == expected, "check");
    must(cn_kem_encapsulate(&public, &nothing, &random, ciphertext, &made) == expected,
         "encapsulate");
    if (shared) {
        must_have_sha256(v, "ciphertext_sha256", ciphertext, sizeof ciphertext);
        must_match(shared, made.bytes, sizeof made.bytes, "encapsulated");
    }
}

static void mlkem768_decapsulates(const struct vector *v, const struct cn_kem_secret *secret,
                                  const struct vector_field *ciphertext)
{
    const struct cn_random random = { told_fill, NULL }; /* which it does not ask */
    const struct cn_kem_binding nothing = { 0 };
    const struct vector_field *shared = vector_field(v, "shared");
    struct cn_kem_shared made = { { 0 } };

    if (!shared) {
        must(cn_kem_decapsulate(secret, &nothing, &random, ciphertext->octets, ciphertext->size,
                                &made) == CN_E_FORMAT,
             "size of the ciphertext");
        return;
    }
    must(cn_kem_decapsulate(secret, &nothing, &random, ciphertext->octets, ciphertext->size,
                            &made) == CN_OK,
         "decapsulate");
    must_match(shared, made.bytes, sizeof made.bytes, "decapsulated");
}

static void mlkem768(const struct vector *v)
{
    const struct vector_field *seed = vector_field(v, "seed");
    const struct vector_field *ciphertext = vector_field(v, "ciphertext");
    struct cn_kem_secret secret = { .kind = CN_KEM_MLKEM768 };
    struct cn_kem_public public;

    if (!seed) {
        mlkem768_encapsulates(v, field(v, "public"));
        return;
    }
    must(seed->size <= sizeof secret.bytes, "size of the seed");
    secret.size = seed->size;
    memcpy(secret.bytes, seed->octets, seed->size);
    if (seed->size != CN_MLKEM768_SEED_SIZE) {
        must(!vector_field(v, "shared") && cn_kem_public_of(&secret, &public) == CN_E_KEY,
             "size of the seed");
        return;
    }
    must(cn_kem_public_of(&secret, &public) == CN_OK, "key");
    must_have_sha256(v, "public_sha256", public.bytes, public.size);
    if (ciphertext)
        mlkem768_decapsulates(v, &secret, ciphertext);
}

static void mlkem768_agrees_or_refuses(void **state)
{
    (void)state;
    each_of("tests/vectors/wycheproof_mlkem768.txt", 558, mlkem768);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_agrees_or_refuses),
        cmocka_unit_test(ed25519_verifies_or_refuses),
        cmocka_unit_test(aes_gcm_seals_and_opens_or_refuses),
        cmocka_unit_test(chacha20_poly1305_seals_and_opens_or_refuses),
        cmocka_unit_test(hmac_makes_the_tag_or_another),
        cmocka_unit_test(hkdf_makes_what_it_should),
        cmocka_unit_test(rsa_oaep_opens_or_shows_no_failure),
        cmocka_unit_test(mlkem768_agrees_or_refuses),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
