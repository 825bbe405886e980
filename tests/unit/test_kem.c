/* Key encapsulation: both ends agree, published vectors hold, bad keys are refused, and a bad
 * ciphertext is answered with a secret that nobody else has. */
#include "unit.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "kem_mlkem768.h"
#include "keys.h"
#include "seeded.h"
#include "vectors.h"

static uint64_t random_state = 1;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const uint8_t ephemeral_secret[CN_X25519_SIZE] = { 3, 1, 4 };
static const uint8_t label[] = "a label";

/* What one end, and the other, bind to: the same but for X25519's ephemeral. */
static uint8_t ephemeral_public[CN_X25519_SIZE];
static const struct cn_kem_binding sender = { ephemeral_secret, label, sizeof label };
static const struct cn_kem_binding receiver = { ephemeral_public, label, sizeof label };

static int setup(void **state)
{
    bool ok =
        crypto_setup(state) == 0 && cn_x25519_public(ephemeral_secret, ephemeral_public) == CN_OK;

    return ok ? 0 : -1;
}

static enum cn_err failing_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    (void)out;
    (void)size;
    return CN_E_RANDOM;
}

static const struct cn_random failing = { failing_fill, NULL };

/* A key of each kind: a committed one where making it is slow. */
static void key_of(enum cn_kem kind, struct cn_kem_secret *secret, struct cn_kem_public *public)
{
    struct cn_identity identity;

    if (cn_kem_is_rsa(kind)) {
        identity_load(&crypto, kind, &identity);
        *secret = identity.secret;
    } else {
        assert_err(cn_kem_generate(kind, &seeded, secret), CN_OK);
    }
    assert_err(cn_kem_public_of(secret, public), CN_OK);
}

static void both_ends_agree_for_every_kind(void **state)
{
    (void)state;
    for (int kind = CN_KEM_X25519; kind < CN_KEM_COUNT; kind++) {
        struct cn_kem_secret secret;
        struct cn_kem_public public;
        struct cn_kem_shared one;
        struct cn_kem_shared two;
        uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];

        key_of((enum cn_kem)kind, &secret, &public);
        assert_err(cn_kem_check(&public), CN_OK);
        assert_int_equal(public.size, cn_kem_public_size((enum cn_kem)kind));
        assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &one), CN_OK);
        assert_err(cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext,
                                      cn_kem_ciphertext_size((enum cn_kem)kind), &two),
                   CN_OK);
        assert_memory_equal(one.bytes, two.bytes, CN_KEM_SHARED_SIZE);
    }
}

static void a_fresh_rsa_key_has_exactly_its_size(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;

    (void)state;
    assert_err(cn_kem_generate(CN_KEM_RSA2048, &seeded, &secret), CN_OK);
    assert_int_equal(secret.kind, CN_KEM_RSA2048);
    assert_err(cn_kem_public_of(&secret, &public), CN_OK);
    assert_int_equal(public.size, 256);
    assert_true(public.bytes[0] & 0x80);
}

static void names_and_sizes_are_those_of_the_protocol(void **state)
{
    (void)state;
    assert_string_equal(cn_kem_name(CN_KEM_RSA8192), "RSA-8192");
    assert_string_equal(cn_kem_name(CN_KEM_X25519), "X25519");
    assert_int_equal(cn_kem_rsa_of(3072), CN_KEM_RSA3072);
    assert_int_equal(cn_kem_rsa_of(0), CN_KEM_NONE);
    assert_int_equal(cn_kem_rsa_of(1024), CN_KEM_NONE);
    assert_true(cn_kem_is_rsa(CN_KEM_RSA2048));
    assert_false(cn_kem_is_rsa(CN_KEM_X25519));
    assert_false(cn_kem_is_rsa(CN_KEM_MLKEM768));
    assert_true(strlen(cn_kem_mlkem768_source()) > 0);
    for (int kind = CN_KEM_X25519; kind < CN_KEM_COUNT; kind++) {
        assert_in_range(cn_kem_public_size((enum cn_kem)kind), 32, CN_KEM_PUBLIC_SIZE_MAX);
        assert_in_range(cn_kem_ciphertext_size((enum cn_kem)kind), 0, CN_KEM_CIPHERTEXT_SIZE_MAX);
    }
}

/* RFC 7748 6.1 */
static void x25519_gives_the_published_secret(void **state)
{
    static const uint8_t alice[] = {
        0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
        0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
        0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
    };
    static const uint8_t bob[] = {
        0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61,
        0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78,
        0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f,
    };
    static const uint8_t both[] = {
        0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72, 0x8e, 0x3b,
        0xf4, 0x80, 0x35, 0x0f, 0x25, 0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1,
        0x9e, 0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42,
    };
    const struct cn_kem_binding binding = { .ephemeral = alice };
    struct cn_kem_public public = { .kind = CN_KEM_X25519, .size = sizeof bob };
    struct cn_kem_shared shared;

    (void)state;
    memcpy(public.bytes, bob, sizeof bob);
    assert_err(cn_kem_encapsulate(&public, &binding, &seeded, NULL, &shared), CN_OK);
    assert_memory_equal(shared.bytes, both, sizeof both);
}

/* The points of order 1, 2, 4 and 8, and their forms that are not reduced. RFC 7748 6.1, 7 */
static void x25519_keys_of_low_order_are_refused(void **state)
{
    static const char *const low[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(low); i++) {
        struct cn_kem_public public = { .kind = CN_KEM_X25519, .size = CN_X25519_SIZE };
        struct cn_kem_binding binding = { .ephemeral = public.bytes };
        struct cn_kem_secret secret;
        struct cn_kem_public unused;
        struct cn_kem_shared shared;

        for (size_t at = 0; at < CN_X25519_SIZE; at++) {
            unsigned value;

            assert_int_equal(sscanf(low[i] + 2 * at, "%2x", &value), 1);
            public.bytes[at] = (uint8_t)value;
        }
        assert_err(cn_kem_check(&public), CN_E_KEY);
        assert_err(cn_kem_encapsulate(&public, &sender, &seeded, NULL, &shared), CN_E_KEY);
        key_of(CN_KEM_X25519, &secret, &unused);
        assert_err(cn_kem_decapsulate(&secret, &binding, &seeded, NULL, 0, &shared), CN_E_KEY);
    }
}

/* --- RSA ------------------------------------------------------------------------------------ */

static void rsa_opens_what_others_sealed_and_shows_no_failure(void **state)
{
    FILE *file = fopen("tests/vectors/rsa_oaep.txt", "r");
    struct vector v;
    unsigned good = 0;
    unsigned bad = 0;

    (void)state;
    assert_non_null(file);
    while (vector_next(file, &v)) {
        const uint8_t *bits = vector_octets(&v, "bits", 2);
        const struct vector_field *oaep_label = vector_field(&v, "label");
        const struct vector_field *ciphertext = vector_field(&v, "ciphertext");
        const struct vector_field *shared = vector_field(&v, "shared");
        const struct vector_field *message = vector_field(&v, "message");
        const struct cn_kem_binding binding = { .label = oaep_label->octets,
                                                .label_size = oaep_label->size };
        struct cn_identity identity;
        struct cn_kem_shared got;

        identity_load(&crypto, cn_kem_rsa_of((unsigned)bits[0] << 8 | bits[1]), &identity);
        memset(&got, 0, sizeof got);
        assert_err(cn_kem_decapsulate(&identity.secret, &binding, &seeded, ciphertext->octets,
                                      ciphertext->size, &got),
                   CN_OK);
        if (shared) {
            assert_memory_equal(got.bytes, shared->octets, sizeof got.bytes);
            good++;
        } else {
            static const struct cn_kem_shared zero;

            assert_memory_not_equal(got.bytes, message->octets,
                                    message->size < 31 ? message->size + 1 : 31);
            assert_memory_not_equal(got.bytes, zero.bytes, sizeof got.bytes);
            bad++;
        }
        vector_wipe(&v);
    }
    fclose(file);
    assert_int_equal(good, 9);
    assert_true(bad >= 10);
}

/* The secret of a refused ciphertext is another each time: it is drawn, not derived. */
static void every_flipped_bit_of_an_rsa_ciphertext_gives_another_secret(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_shared sent;
    struct cn_kem_shared last = { { 0 } };
    uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];

    (void)state;
    key_of(CN_KEM_RSA2048, &secret, &public);
    assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &sent), CN_OK);
    for (size_t bit = 0; bit < 8 * public.size; bit += 29) {
        struct cn_kem_shared got;

        ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, public.size, &got),
                   CN_OK);
        assert_memory_not_equal(got.bytes, sent.bytes, sizeof got.bytes);
        assert_memory_not_equal(got.bytes, last.bytes, sizeof got.bytes);
        last = got;
        ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void another_label_gives_another_secret(void **state)
{
    static const uint8_t other[] = "a lobel";
    const struct cn_kem_binding wrong = { NULL, other, sizeof other };
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_shared sent;
    struct cn_kem_shared got;
    uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];

    (void)state;
    key_of(CN_KEM_RSA2048, &secret, &public);
    assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &sent), CN_OK);
    assert_err(cn_kem_decapsulate(&secret, &wrong, &seeded, ciphertext, public.size, &got), CN_OK);
    assert_memory_not_equal(got.bytes, sent.bytes, sizeof got.bytes);
}

static void an_rsa_modulus_that_is_even_or_short_is_refused(void **state)
{
    (void)state;
    for (int kind = CN_KEM_RSA2048; kind <= CN_KEM_RSA8192; kind++) {
        struct cn_kem_secret secret;
        struct cn_kem_public public;
        struct cn_kem_public bad;

        key_of((enum cn_kem)kind, &secret, &public);
        bad = public;
        bad.bytes[bad.size - 1] &= 0xfe;
        assert_err(cn_kem_check(&bad), CN_E_KEY);
        bad = public;
        bad.bytes[0] &= 0x7f;
        assert_err(cn_kem_check(&bad), CN_E_KEY);
        bad = public;
        bad.size--;
        assert_err(cn_kem_check(&bad), CN_E_KEY);
        memset(bad.bytes, 0, sizeof bad.bytes);
        bad.size = public.size;
        assert_err(cn_kem_check(&bad), CN_E_KEY);
    }
}

/* A private key that says it is of another size, or is none, or is not whole. */
static void a_private_key_of_another_kind_is_refused(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_public untouched;

    (void)state;
    key_of(CN_KEM_RSA3072, &secret, &public);
    for (int kind = CN_KEM_NONE; kind < CN_KEM_COUNT; kind++) {
        if (kind == CN_KEM_RSA3072)
            continue;
        secret.kind = (enum cn_kem)kind;
        assert_err(cn_kem_public_of(&secret, &untouched), CN_E_KEY);
    }
    secret.kind = CN_KEM_RSA3072;
    for (size_t size = 0; size < secret.size; size += size < 64 ? 1 : 61) {
        struct cn_kem_secret cut = secret;

        cut.size = size;
        assert_err(cn_kem_public_of(&cut, &untouched), CN_E_KEY);
    }
    secret.size++;
    assert_err(cn_kem_public_of(&secret, &untouched), CN_E_KEY);
}

/* PrivateKeyInfo ::= SEQUENCE { INTEGER 0, AlgorithmIdentifier rsaEncryption, OCTET STRING }, and
 * not the RSAPrivateKey in it. RFC 5208 5 */
static void an_rsa_private_key_is_kept_as_pkcs8_alone(void **state)
{
    static const uint8_t algorithm[] = {
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
        0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x04, 0x82
    };
    const size_t inner_at = 4 + sizeof algorithm + 2;
    struct cn_kem_secret secret;
    struct cn_kem_public public;

    (void)state;
    assert_err(cn_kem_generate(CN_KEM_RSA2048, &seeded, &secret), CN_OK);
    assert_memory_equal(secret.bytes + 4, algorithm, sizeof algorithm);
    memmove(secret.bytes, secret.bytes + inner_at, secret.size - inner_at);
    secret.size -= inner_at;
    assert_err(cn_kem_public_of(&secret, &public), CN_E_KEY);
}

/* --- ML-KEM-768 ----------------------------------------------------------------------------- */

/* --- failures ------------------------------------------------------------------------------- */

/* How many blocks libcrypto still gets; then it gets none. */
static size_t blocks_left = SIZE_MAX;

static void *scarce_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (blocks_left == 0)
        return NULL;
    blocks_left -= blocks_left == SIZE_MAX ? 0 : 1;
    return malloc(size);
}

static void *scarce_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return blocks_left == 0 ? NULL : realloc(block, size);
}

static void scarce_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

enum op { GENERATE, PUBLIC_OF, CHECK, ENCAPSULATE, DECAPSULATE, OP_COUNT };

/* What an operation works with. */
struct work {
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_shared shared;
    uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];
};

static enum cn_err work_do(struct work *w, enum op op, const struct cn_random *random)
{
    enum cn_kem kind = w->public.kind;

    switch (op) {
    case GENERATE:
        return cn_kem_generate(kind, random, &w->secret);
    case PUBLIC_OF:
        return cn_kem_public_of(&w->secret, &w->public);
    case CHECK:
        return cn_kem_check(&w->public);
    case ENCAPSULATE:
        return cn_kem_encapsulate(&w->public, &sender, random, w->ciphertext, &w->shared);
    case DECAPSULATE:
        return cn_kem_decapsulate(&w->secret, &receiver, random, w->ciphertext,
                                  cn_kem_ciphertext_size(kind), &w->shared);
    case OP_COUNT:
        break;
    }
    return CN_E_UNEXPECTED;
}

/* Whoever has no memory says so: it is not the key that is bad. */
static void libcrypto_without_memory_is_nobodys_fault(void **state)
{
    static const enum cn_kem kinds[] = { CN_KEM_X25519, CN_KEM_MLKEM768 };
    static struct work w, before;
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        for (int op = 0; op < OP_COUNT; op++) {
            enum cn_err err = CN_E_CRYPTO;

            memset(&w, 7, sizeof w);
            key_of(kinds[i], &w.secret, &w.public);
            assert_err(work_do(&w, ENCAPSULATE, &seeded), CN_OK);
            before = w;
            for (size_t blocks = 0; err != CN_OK; blocks++) {
                blocks_left = blocks;
                err = work_do(&w, (enum op)op, &seeded);
                blocks_left = SIZE_MAX;
                assert_int_equal(ERR_peek_error(), 0);
                if (err == CN_OK)
                    break;
                failures++;
                assert_err(err, CN_E_CRYPTO);
                assert_memory_equal(&w, &before, sizeof w);
            }
        }
    }
    assert_true(failures > 0);
}

static void no_randomness_makes_no_key(void **state)
{
    static const enum cn_kem kinds[] = { CN_KEM_X25519, CN_KEM_MLKEM768 };
    static const struct cn_kem_secret none;
    static struct cn_kem_secret secret;

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        memset(&secret, 0, sizeof secret);
        assert_err(cn_kem_generate(kinds[i], &failing, &secret), CN_E_RANDOM);
        assert_memory_equal(&secret, &none, sizeof none);
    }
}

/* An error that is left in libcrypto's queue is found by the next who looks. */
static void refusals_leave_nothing_in_the_queue_of_libcrypto(void **state)
{
    static struct work w;

    (void)state;
    for (int kind = CN_KEM_X25519; kind < CN_KEM_COUNT; kind++) {
        key_of((enum cn_kem)kind, &w.secret, &w.public);
        w.secret.size--;
        (void)!cn_kem_public_of(&w.secret, &w.public);
        memset(w.public.bytes, 0xff, sizeof w.public.bytes);
        (void)!work_do(&w, CHECK, &seeded);
        memset(w.public.bytes, 0, sizeof w.public.bytes);
        (void)!work_do(&w, CHECK, &seeded);
        (void)!work_do(&w, ENCAPSULATE, &seeded);
        (void)!work_do(&w, DECAPSULATE, &seeded);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void assert_arena_is_wiped(void)
{
    size_t size;
    const uint8_t *octets = cn_mlkem768_arena(&size);

    for (size_t i = 0; i < size; i++)
        assert_int_equal(octets[i], 0);
}

static void mlkem768_leaves_no_secret_behind(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_shared one, two;
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];

    (void)state;
    key_of(CN_KEM_MLKEM768, &secret, &public);
    assert_arena_is_wiped();
    assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &one), CN_OK);
    assert_arena_is_wiped();
    assert_err(cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, sizeof ciphertext, &two),
               CN_OK);
    assert_arena_is_wiped();
    ciphertext[0] ^= 1;
    assert_err(cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, sizeof ciphertext, &two),
               CN_OK);
    assert_arena_is_wiped();
}

/* One hash over 100 keys, encapsulations and rejections, as published with Go's crypto/mlkem
 * (TestAccumulated): the input is SHAKE128 of nothing, the output SHAKE128 of all results. */
static void mlkem768_gives_the_published_results(void **state)
{
    enum { ROUNDS = 100, ROUND_SIZE = 64 + 32 + CN_MLKEM768_CIPHERTEXT_SIZE };
    static const uint8_t expected[32] = {
        0x11, 0x14, 0xb1, 0xb6, 0x69, 0x9e, 0xd1, 0x91, 0x73, 0x4f, 0xa3,
        0x39, 0x37, 0x6a, 0xfa, 0x7e, 0x28, 0x5c, 0x9e, 0x6a, 0xcf, 0x6f,
        0xf0, 0x17, 0x7d, 0x34, 0x66, 0x96, 0xce, 0x56, 0x44, 0x15,
    };
    static uint8_t stream[ROUNDS * ROUND_SIZE];
    EVP_MD_CTX *in = EVP_MD_CTX_new();
    EVP_MD_CTX *out = EVP_MD_CTX_new();
    uint8_t got[32];

    (void)state;
    assert_true(EVP_DigestInit_ex(in, EVP_shake128(), NULL) == 1);
    assert_true(EVP_DigestFinalXOF(in, stream, sizeof stream) == 1);
    assert_true(EVP_DigestInit_ex(out, EVP_shake128(), NULL) == 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        const uint8_t *at = stream + i * ROUND_SIZE;
        struct cn_kem_secret secret = { .kind = CN_KEM_MLKEM768, .size = CN_MLKEM768_SEED_SIZE };
        struct cn_kem_public public;
        struct cn_kem_shared sent;
        struct cn_kem_shared opened;
        uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];

        memcpy(secret.bytes, at, CN_MLKEM768_SEED_SIZE);
        assert_err(cn_kem_public_of(&secret, &public), CN_OK);
        assert_err(cn_mlkem768_encapsulate(public.bytes, at + 64, ciphertext, sent.bytes), CN_OK);
        assert_err(
            cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, sizeof ciphertext, &opened),
            CN_OK);
        assert_memory_equal(opened.bytes, sent.bytes, sizeof sent.bytes);
        assert_err(
            cn_kem_decapsulate(&secret, &receiver, &seeded, at + 96, sizeof ciphertext, &opened),
            CN_OK);
        EVP_DigestUpdate(out, public.bytes, public.size);
        EVP_DigestUpdate(out, ciphertext, sizeof ciphertext);
        EVP_DigestUpdate(out, sent.bytes, sizeof sent.bytes);
        EVP_DigestUpdate(out, opened.bytes, sizeof opened.bytes);
    }
    assert_true(EVP_DigestFinalXOF(out, got, sizeof got) == 1);
    EVP_MD_CTX_free(in);
    EVP_MD_CTX_free(out);
    assert_memory_equal(got, expected, sizeof expected);
}

/* Write coefficient i of the key, 12 bits, low ones first. FIPS 203 4.2.1 */
static void coefficient_set(uint8_t *key, size_t i, unsigned value)
{
    uint8_t *b = key + i / 2 * 3;

    if (i % 2 == 0) {
        b[0] = (uint8_t)value;
        b[1] = (uint8_t)((b[1] & 0xf0) | value >> 8);
    } else {
        b[1] = (uint8_t)((b[1] & 0x0f) | (value & 15) << 4);
        b[2] = (uint8_t)(value >> 4);
    }
}

/* FIPS 203 7.2: at every one of the 768 places. */
static void a_coefficient_that_is_not_below_3329_is_refused(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;

    (void)state;
    key_of(CN_KEM_MLKEM768, &secret, &public);
    for (size_t i = 0; i < 768; i++) {
        struct cn_kem_public bad = public;
        struct cn_kem_shared shared;
        uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];

        coefficient_set(bad.bytes, i, 3328);
        assert_err(cn_kem_check(&bad), CN_OK);
        coefficient_set(bad.bytes, i, 3329);
        assert_err(cn_kem_check(&bad), CN_E_KEY);
        assert_err(cn_kem_encapsulate(&bad, &sender, &seeded, ciphertext, &shared), CN_E_KEY);
        coefficient_set(bad.bytes, i, 4095);
        assert_err(cn_kem_check(&bad), CN_E_KEY);
        coefficient_set(bad.bytes, i, 3330);
        assert_err(cn_kem_check(&bad), CN_E_KEY);
    }
}

static void an_mlkem768_seed_or_key_of_another_size_is_refused(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;

    (void)state;
    key_of(CN_KEM_MLKEM768, &secret, &public);
    secret.size--;
    assert_err(cn_kem_public_of(&secret, &public), CN_E_KEY);
    public.size--;
    assert_err(cn_kem_check(&public), CN_E_KEY);
}

static void a_changed_mlkem768_ciphertext_gives_another_secret(void **state)
{
    struct cn_kem_secret secret;
    struct cn_kem_public public;
    struct cn_kem_shared sent;
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];

    (void)state;
    key_of(CN_KEM_MLKEM768, &secret, &public);
    assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &sent), CN_OK);
    for (size_t bit = 0; bit < 8 * sizeof ciphertext; bit += 37) {
        struct cn_kem_shared got;

        ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(
            cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, sizeof ciphertext, &got),
            CN_OK);
        assert_memory_not_equal(got.bytes, sent.bytes, sizeof got.bytes);
        ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* --- all kinds ------------------------------------------------------------------------------ */

static void a_ciphertext_of_another_size_is_refused(void **state)
{
    (void)state;
    for (int kind = CN_KEM_X25519; kind < CN_KEM_COUNT; kind++) {
        struct cn_kem_secret secret;
        struct cn_kem_public public;
        struct cn_kem_shared shared;
        uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX + 1] = { 0 };
        size_t good = cn_kem_ciphertext_size((enum cn_kem)kind);

        key_of((enum cn_kem)kind, &secret, &public);
        for (size_t size = 0; size <= sizeof ciphertext; size++) {
            if (size != good)
                assert_err(
                    cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, size, &shared),
                    CN_E_FORMAT);
        }
    }
}

static void a_kind_nobody_knows_is_refused(void **state)
{
    const int kinds[] = { CN_KEM_NONE, CN_KEM_COUNT, 255 };

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct cn_kem_secret secret = { .kind = (enum cn_kem)kinds[i] };
        struct cn_kem_public public = { .kind = (enum cn_kem)kinds[i] };
        struct cn_kem_shared shared;
        uint8_t ciphertext[1] = { 0 };

        assert_err(cn_kem_check(&public), CN_E_KEY);
        assert_err(cn_kem_public_of(&secret, &public), CN_E_KEY);
        assert_err(cn_kem_encapsulate(&public, &sender, &seeded, ciphertext, &shared), CN_E_KEY);
        assert_err(cn_kem_decapsulate(&secret, &receiver, &seeded, ciphertext, 0, &shared),
                   CN_E_KEY);
    }
}

/* X25519 draws nothing to encapsulate: the ephemeral is there already. */
static void without_randomness_nothing_is_made(void **state)
{
    const enum cn_kem kinds[] = { CN_KEM_RSA2048, CN_KEM_MLKEM768 };

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct cn_kem_secret secret;
        struct cn_kem_public public;
        struct cn_kem_shared shared;
        uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];

        key_of(kinds[i], &secret, &public);
        assert_err(cn_kem_encapsulate(&public, &sender, &failing, ciphertext, &shared),
                   CN_E_RANDOM);
    }
    {
        struct cn_kem_secret secret;

        assert_err(cn_kem_generate(CN_KEM_X25519, &failing, &secret), CN_E_RANDOM);
        assert_err(cn_kem_generate(CN_KEM_MLKEM768, &failing, &secret), CN_E_RANDOM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree_for_every_kind),
        cmocka_unit_test(a_fresh_rsa_key_has_exactly_its_size),
        cmocka_unit_test(names_and_sizes_are_those_of_the_protocol),
        cmocka_unit_test(x25519_gives_the_published_secret),
        cmocka_unit_test(x25519_keys_of_low_order_are_refused),
        cmocka_unit_test(rsa_opens_what_others_sealed_and_shows_no_failure),
        cmocka_unit_test(every_flipped_bit_of_an_rsa_ciphertext_gives_another_secret),
        cmocka_unit_test(another_label_gives_another_secret),
        cmocka_unit_test(an_rsa_modulus_that_is_even_or_short_is_refused),
        cmocka_unit_test(a_private_key_of_another_kind_is_refused),
        cmocka_unit_test(an_rsa_private_key_is_kept_as_pkcs8_alone),
        cmocka_unit_test(libcrypto_without_memory_is_nobodys_fault),
        cmocka_unit_test(no_randomness_makes_no_key),
        cmocka_unit_test(refusals_leave_nothing_in_the_queue_of_libcrypto),
        cmocka_unit_test(mlkem768_leaves_no_secret_behind),
        cmocka_unit_test(mlkem768_gives_the_published_results),
        cmocka_unit_test(a_coefficient_that_is_not_below_3329_is_refused),
        cmocka_unit_test(an_mlkem768_seed_or_key_of_another_size_is_refused),
        cmocka_unit_test(a_changed_mlkem768_ciphertext_gives_another_secret),
        cmocka_unit_test(a_ciphertext_of_another_size_is_refused),
        cmocka_unit_test(a_kind_nobody_knows_is_refused),
        cmocka_unit_test(without_randomness_nothing_is_made),
    };

    /* before libcrypto takes any */
    if (CRYPTO_set_mem_functions(scarce_malloc, scarce_realloc, scarce_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
