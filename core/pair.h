/* pair.h - what two subscribers share once each holds the other's card. PROTOCOL.md 2.10 */
#ifndef CN_PAIR_H
#define CN_PAIR_H

#include "card.h"

enum {
    CN_SAFETY_DIGIT_COUNT = 60,
    CN_SAFETY_TEXT_SIZE = CN_SAFETY_DIGIT_COUNT + 12 /* twelve groups of five, blanks, NUL */
};

/* A: the one with the smaller id. */
enum cn_role { CN_ROLE_A = 'A', CN_ROLE_B = 'B' };

static inline enum cn_role cn_role_other(enum cn_role role)
{
    return role == CN_ROLE_A ? CN_ROLE_B : CN_ROLE_A;
}

/* One struct for each key, so that none can be taken for another. All of SHA-256's size. */
struct cn_tag_key {
    uint8_t bytes[CN_SHA256_SIZE];
};
struct cn_prologue_key { /* K_f1 */
    uint8_t bytes[CN_SHA256_SIZE];
};
struct cn_chain_key { /* K_ck */
    uint8_t bytes[CN_SHA256_SIZE];
};
struct cn_pair_secret { /* S, of which they are made */
    uint8_t bytes[CN_SHA256_SIZE];
};
/* Of a call, of its suite's hash size: what only its two ends know. */
struct cn_resume_secret {
    uint8_t bytes[CN_HASH_SIZE_MAX];
};

struct cn_pair {
    enum cn_role role; /* mine */
    const struct cn_suite *suite;
    struct cn_pair_secret secret;
    struct cn_tag_key tag_key;
    struct cn_prologue_key prologue_key;
    struct cn_chain_key chain_key;
    uint8_t card_a[CN_SHA256_SIZE]; /* hashes of the two cards */
    uint8_t card_b[CN_SHA256_SIZE];
    struct cn_kem_public their_public;
    struct cn_kem_public their_pq_public;
    char safety[CN_SAFETY_TEXT_SIZE]; /* the safety number, "12345 67890 ..." */
};

void cn_pair_wipe(struct cn_pair *pair);

/* CN_E_OWN: theirs is from my identity; CN_E_SERVER: cards of two servers; CN_E_SUITE: no common
 * version or suite; CN_E_KEY: mine is not of this identity, or a zero Diffie-Hellman result. */
CN_MUST_USE enum cn_err cn_pair_create(struct cn_pair *pair, const struct cn_crypto *crypto,
                                       const struct cn_identity *identity,
                                       const struct cn_card *mine, const struct cn_card *theirs);

/* The same two, within a call that goes on after its connection was lost: with keys that nobody has
 * who was not part of it. PROTOCOL.md 6.5 */
CN_MUST_USE enum cn_err cn_pair_resume(struct cn_pair *resumed, const struct cn_crypto *crypto,
                                       const struct cn_pair *pair,
                                       const struct cn_resume_secret *secret);

#endif
