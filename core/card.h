/* card.h - what a subscriber hands one contact in person. PROTOCOL.md 2.9
 *
 * A card is a secret of two people: it holds public keys, and the nonce that only the two know. */
#ifndef CN_CARD_H
#define CN_CARD_H

#include "fingerprint.h"
#include "identity.h"
#include "suite.h"

enum {
    CN_CARD_VERSION = 1,     /* of the format */
    CN_PROTOCOL_VERSION = 1, /* of the call */
    CN_CARD_ID_SIZE = 8,
    CN_PAIR_NONCE_SIZE = 32,
    CN_CARD_LIST_SIZE_MAX = 16, /* versions, and suites, that a card names */
    CN_CARD_BODY_SIZE_MAX = 4096
};

struct cn_card {
    uint8_t version[CN_CARD_LIST_SIZE_MAX]; /* of the protocol, as listed, unknown ones too */
    size_t version_count;
    uint16_t suite[CN_CARD_LIST_SIZE_MAX]; /* in the owner's order, unknown ones too */
    size_t suite_count;
    struct cn_kem_public public;
    struct cn_kem_public pq_public;
    uint8_t pair_nonce[CN_PAIR_NONCE_SIZE];
    char made_for[CN_NAME_SIZE_MAX + 1]; /* the owner's name for who gets it */
    uint8_t card_id[CN_CARD_ID_SIZE];    /* random: tells this card from others */
    uint8_t answers[CN_CARD_ID_SIZE];    /* card_id of the card it answers; zero: none */
    struct cn_server_public server_key;

    uint8_t id[CN_ID_SIZE];              /* of the owner's public keys */
    uint8_t hash[CN_SHA256_SIZE];        /* card_X = SHA-256 over the body */
    uint8_t body[CN_CARD_BODY_SIZE_MAX]; /* verbatim: what is stored and hashed */
    size_t body_size;
};

void cn_card_wipe(struct cn_card *card);

/* What a new card says besides the identity's keys; all borrowed. */
struct cn_card_terms {
    const char *made_for;
    const struct cn_server_public *server_key;
    const struct cn_card *answers; /* the partner's card, if it is held already, or NULL */
    const uint16_t *suite;         /* NULL: all, in the order of cn_suites */
    size_t suite_count;
};

/* CN_E_NAME, CN_E_SUITE (unknown or none), CN_E_RANDOM, CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_card_create(struct cn_card *card, const struct cn_crypto *crypto,
                                       const struct cn_identity *identity,
                                       const struct cn_card_terms *terms,
                                       const struct cn_random *random);

/* The body, as stored and as in a QR code. CN_E_VERSION; CN_E_FORMAT; CN_E_KEY: a bad key.
 * *card is untouched on failure. */
CN_MUST_USE enum cn_err cn_card_decode(struct cn_card *card, const struct cn_crypto *crypto,
                                       const uint8_t *body, size_t body_size);

/* Armoured text. Errors of cn_armor_encode, cn_armor_decode and cn_card_decode. */
CN_MUST_USE enum cn_err cn_card_to_text(const struct cn_card *card, const struct cn_crypto *crypto,
                                        char *text, size_t text_size_max, size_t *text_size);
CN_MUST_USE enum cn_err cn_card_from_text(struct cn_card *card, const struct cn_crypto *crypto,
                                          const char *text, size_t text_size);

#endif
