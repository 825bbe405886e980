/* A partner who has the pair's secret and says anything in F1, or in F2: sealed under the right key
 * it is refused, or the handshake goes on. The first octet says which of the two the rest is. */
#include "fuzz.h"

#include "../unit/pairing.h"
#include "handshake.h"

enum { NONCE_SIZE = 32 };

static uint64_t random_state = 1;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct subscriber two[2];
static struct cn_handshake started;  /* of two[0], which waits for F1 */
static struct cn_handshake answered; /* and later for F2 */

static void make(void)
{
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };
    static struct cn_handshake other;
    static uint8_t f1[2][CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE];
    uint8_t f2[CN_ANSWER_SIZE];

    if (started.state != CN_HANDSHAKE_NEW)
        return;
    pairing_make(two, fuzz_crypto(), &seeded, kinds, 0);
    for (int i = 0; i < 2; i++) {
        const struct cn_handshake_setup setup = { .crypto = fuzz_crypto(),
                                                  .random = &seeded,
                                                  .identity = &two[i].identity,
                                                  .pair = &two[i].pair,
                                                  .service = CN_SERVICE_TALK,
                                                  .caller = CN_ROLE_A };

        must(cn_handshake_start(i == 0 ? &started : &other, &setup, f1[i]) == CN_OK);
    }
    answered = started;
    must(cn_handshake_prologue(&answered, f1[1] + CN_PROLOGUE_HEAD_SIZE, f2) == CN_OK);
}

/* Expand(key, label, role of the partner, [nonce], hash) */
static void key_make(const struct cn_handshake *h, const uint8_t *from, struct cn_item label,
                     const uint8_t *nonce, uint8_t key[CN_AEAD_KEY_SIZE])
{
    const uint8_t role = (uint8_t)cn_role_other(two[0].pair.role);
    const size_t hash_size = cn_hash_size(two[0].pair.suite->hash);
    const struct cn_item prologue[] = { label,
                                        { CN_ITEM_ROLE, &role, 1 },
                                        { CN_ITEM_NONCE, nonce, NONCE_SIZE },
                                        { CN_ITEM_HASH, h->hash, hash_size } };
    const struct cn_item answer[] = { label,
                                      { CN_ITEM_ROLE, &role, 1 },
                                      { CN_ITEM_HASH, h->hash, hash_size } };

    must(cn_expand(fuzz_crypto(), two[0].pair.suite->hash, from, CN_SHA256_SIZE,
                   nonce ? prologue : answer, nonce ? 4 : 3, key, CN_AEAD_KEY_SIZE) == CN_OK);
}

static void seal(const uint8_t *key, const uint8_t *aad, size_t aad_size, const uint8_t *plain,
                 size_t size, uint8_t *out)
{
    static const uint8_t nonce[CN_AEAD_NONCE_SIZE];
    const struct cn_aead_call call = { two[0].pair.suite->aead, key, nonce, aad, aad_size };

    must(cn_aead_seal(fuzz_crypto(), &call, plain, size, out) == CN_OK);
}

static void prologue(const uint8_t *in, size_t in_size)
{
    static struct cn_handshake h;
    const size_t hash_size = cn_hash_size(two[0].pair.suite->hash);
    uint8_t plain[CN_PROLOGUE_SIZE - NONCE_SIZE - CN_AEAD_TAG_SIZE] = { 0 };
    uint8_t f1[CN_PROLOGUE_SIZE] = { 0 };
    uint8_t f2[CN_ANSWER_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t aad[CN_HASH_SIZE_MAX + 1];
    enum cn_err err;

    h = started;
    memcpy(plain, in, in_size < sizeof plain ? in_size : sizeof plain);
    key_make(&h, two[0].pair.prologue_key.bytes, (struct cn_item)CN_LABEL("prologue"), f1, key);
    memcpy(aad, h.hash, hash_size);
    aad[hash_size] = (uint8_t)cn_role_other(two[0].pair.role);
    seal(key, aad, hash_size + 1, plain, sizeof plain, f1 + NONCE_SIZE);
    err = cn_handshake_prologue(&h, f1, f2);
    must(err == CN_OK || err == CN_E_FORMAT || err == CN_E_KEY);
    must(h.state == (err == CN_OK ? CN_HANDSHAKE_ANSWER : CN_HANDSHAKE_FAILED));
    must(err != CN_OK || (plain[0] == CN_PROTOCOL_VERSION && plain[1221] == 0 && plain[1222] == 0));
}

static void answer(const uint8_t *in, size_t in_size)
{
    static struct cn_handshake h;
    uint8_t plain[CN_ANSWER_SIZE - CN_AEAD_TAG_SIZE] = { 0 };
    uint8_t f2[CN_ANSWER_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    struct cn_call_keys keys;

    h = answered;
    memcpy(plain, in, in_size < sizeof plain ? in_size : sizeof plain);
    key_make(&h, h.chain, (struct cn_item)CN_LABEL("answer"), NULL, key);
    seal(key, h.hash, cn_hash_size(two[0].pair.suite->hash), plain, sizeof plain, f2);
    must(cn_handshake_answer(&h, f2, &keys) == CN_OK);
    must(keys.limits.stream_count == ((uint32_t)plain[1088] << 24 | (uint32_t)plain[1089] << 16 |
                                      (uint32_t)plain[1090] << 8 | plain[1091]));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    if (in_size == 0)
        return 0;
    make();
    if (in[0] % 2 == 0)
        prologue(in + 1, in_size - 1);
    else
        answer(in + 1, in_size - 1);
    return 0;
}
