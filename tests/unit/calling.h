/* calling.h - two ends of a handshake, step by step, for tests of calls. */
#ifndef CN_TEST_CALLING_H
#define CN_TEST_CALLING_H

#include "handshake.h"
#include "keys.h"
#include "pairing.h"

enum {
    PROLOGUE_WIRE_SIZE = CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE,
    PROLOGUE_NONCE_SIZE = 32,
    PROLOGUE_PLAIN_SIZE = CN_PROLOGUE_SIZE - PROLOGUE_NONCE_SIZE - CN_AEAD_TAG_SIZE
};

/* Where the fields of F1's content lie. */
enum {
    AT_VERSION = 0,
    AT_CAPABILITIES = 1,
    AT_EPHEMERAL = 5,
    AT_PQ_EPHEMERAL = AT_EPHEMERAL + CN_X25519_SIZE,
    AT_KEY_DATA_SIZE = AT_PQ_EPHEMERAL + CN_MLKEM768_PUBLIC_SIZE,
    AT_KEY_DATA = AT_KEY_DATA_SIZE + 2
};

/* One end, and what it has said. */
struct end {
    struct subscriber me;
    struct cn_handshake_setup setup;
    struct cn_handshake handshake;
    struct cn_call_keys keys;
    uint8_t prologue[PROLOGUE_WIRE_SIZE];
    uint8_t answer[CN_ANSWER_SIZE];
};

static inline const uint8_t *prologue_of(const struct end *end)
{
    return end->prologue + CN_PROLOGUE_HEAD_SIZE;
}

/* Two subscribers of these kinds, each with its own card for the other. Failure aborts, here and
 * below. */
static inline void subscribers_load(struct subscriber two[2], const struct cn_crypto *with,
                                    const struct cn_random *random, const enum cn_kem kinds[2],
                                    uint16_t suite)
{
    static const struct cn_server_public server = { { 9 } };
    const struct cn_card_terms terms = { "partner", &server, NULL, suite ? &suite : NULL, 1 };

    for (int i = 0; i < 2; i++)
        identity_load(with, kinds[i], &two[i].identity);
    if (kinds[0] == kinds[1])
        identity_vary(with, &two[1].identity);
    for (int i = 0; i < 2; i++) {
        if (cn_card_create(&two[i].card, with, &two[i].identity, &terms, random) != CN_OK)
            abort();
    }
    for (int i = 0; i < 2; i++) {
        if (cn_pair_create(&two[i].pair, with, &two[i].identity, &two[i].card, &two[1 - i].card) !=
            CN_OK)
            abort();
    }
}

/* The same terms for both: a file from whoever is role A. */
static inline void ends_set_up(struct end two[2], const struct cn_crypto *with,
                               const struct cn_random *random)
{
    for (int i = 0; i < 2; i++) {
        two[i].setup = (struct cn_handshake_setup) { .crypto = with,
                                                     .random = random,
                                                     .identity = &two[i].me.identity,
                                                     .pair = &two[i].me.pair,
                                                     .service = CN_SERVICE_FILE,
                                                     .caller = CN_ROLE_A,
                                                     .limits = { 10 + (uint32_t)i, 1000, 70 } };
        memset(two[i].setup.tag, 7, sizeof two[i].setup.tag);
    }
}

static inline void ends_make(struct end two[2], const struct cn_crypto *with,
                             const struct cn_random *random, const enum cn_kem kinds[2],
                             uint16_t suite)
{
    struct subscriber *pair = calloc(2, sizeof *pair);

    if (!pair)
        abort();
    subscribers_load(pair, with, random, kinds, suite);
    for (int i = 0; i < 2; i++) {
        memset(&two[i], 0, sizeof two[i]);
        two[i].me = pair[i];
    }
    free(pair);
    ends_set_up(two, with, random);
}

static inline void ends_start(struct end two[2])
{
    for (int i = 0; i < 2; i++) {
        if (cn_handshake_start(&two[i].handshake, &two[i].setup, two[i].prologue) != CN_OK)
            abort();
    }
}

static inline void ends_answer(struct end two[2])
{
    for (int i = 0; i < 2; i++) {
        if (cn_handshake_prologue(&two[i].handshake, prologue_of(&two[1 - i]), two[i].answer) !=
            CN_OK)
            abort();
    }
}

static inline void ends_finish(struct end two[2])
{
    for (int i = 0; i < 2; i++) {
        if (cn_handshake_answer(&two[i].handshake, two[1 - i].answer, &two[i].keys) != CN_OK)
            abort();
    }
}

/* --- what is in a prologue, for one who has the pair's secret -----------------------------------
 */

/* The key of an F1 with that nonce, from an end that has sent one and had no answer; the rest goes
 * into call. */
static inline void prologue_key_of(const struct end *from, const uint8_t *nonce,
                                   uint8_t key[CN_AEAD_KEY_SIZE], uint8_t aad[CN_HASH_SIZE_MAX + 1],
                                   struct cn_aead_call *call)
{
    static const uint8_t zeros[CN_AEAD_NONCE_SIZE];
    const struct cn_pair *pair = from->setup.pair;
    const uint8_t role = (uint8_t)pair->role;
    const uint8_t *h0 = from->handshake.hash;
    const size_t hash_size = cn_hash_size(pair->suite->hash);
    const struct cn_item items[] = {
        CN_LABEL("prologue"),
        { CN_ITEM_ROLE, &role, 1 },
        { CN_ITEM_NONCE, nonce, PROLOGUE_NONCE_SIZE },
        { CN_ITEM_HASH, h0, hash_size },
    };

    memcpy(aad, h0, hash_size);
    aad[hash_size] = role;
    *call = (struct cn_aead_call) { pair->suite->aead, key, zeros, aad, hash_size + 1 };
    if (cn_expand(from->setup.crypto, pair->suite->hash, pair->prologue_key.bytes, CN_SHA256_SIZE,
                  items, 4, key, CN_AEAD_KEY_SIZE) != CN_OK)
        abort();
}

/* What an end said, opened. */
static inline void prologue_unseal(const struct end *from, uint8_t plain[PROLOGUE_PLAIN_SIZE])
{
    const uint8_t *f1 = prologue_of(from);
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t aad[CN_HASH_SIZE_MAX + 1];
    struct cn_aead_call call;

    prologue_key_of(from, f1, key, aad, &call);
    if (cn_aead_open(from->setup.crypto, &call, f1 + PROLOGUE_NONCE_SIZE,
                     CN_PROLOGUE_SIZE - PROLOGUE_NONCE_SIZE, plain) != CN_OK)
        abort();
}

/* Another content in its place, under the same key. */
static inline void prologue_seal(const struct end *from, const uint8_t plain[PROLOGUE_PLAIN_SIZE],
                                 uint8_t f1[CN_PROLOGUE_SIZE])
{
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t aad[CN_HASH_SIZE_MAX + 1];
    struct cn_aead_call call;

    memcpy(f1, prologue_of(from), PROLOGUE_NONCE_SIZE);
    prologue_key_of(from, f1, key, aad, &call);
    if (cn_aead_seal(from->setup.crypto, &call, plain, PROLOGUE_PLAIN_SIZE,
                     f1 + PROLOGUE_NONCE_SIZE) != CN_OK)
        abort();
}

#endif
