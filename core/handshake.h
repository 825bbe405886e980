/* handshake.h - agreeing the keys of a call: one procedure for both ends. PROTOCOL.md 5
 *
 *   each end, at once:          F1, the prologue: ephemeral keys, a token for the partner's keys
 *   each end, on the other's F1: F2, the answer: proves that it opened the token
 *
 * Opening F2 authenticates the partner. What comes out are the keys of the records; the Finish in
 * record 0 proves to each end that the other has them too. */
#ifndef CN_HANDSHAKE_H
#define CN_HANDSHAKE_H

#include "pair.h"
#include "tag.h"

enum {
    CN_PROLOGUE_SIZE = 4096, /* F1, without the two octets of length before it */
    CN_PROLOGUE_HEAD_SIZE = 2,
    CN_ANSWER_SIZE = 1280, /* F2 */
    CN_FINISH_SIZE = 32,
    CN_CALL_ID_SIZE = 32,
    /* if an identity is RSA, lest the time that it takes tell the key's size */
    CN_PROLOGUE_DELAY_MS = 10, /* F1 leaves so long after JOINED came, at the earliest */
    CN_ANSWER_DELAY_MS = 100   /* F2 so long after the partner's F1 */
};

/* Secrets of one call; each of the suite's hash size. */
struct cn_traffic_secret {
    uint8_t bytes[CN_HASH_SIZE_MAX];
};
struct cn_chain_secret {
    uint8_t bytes[CN_HASH_SIZE_MAX];
};
struct cn_exporter_secret {
    uint8_t bytes[CN_HASH_SIZE_MAX];
};

/* What each end tells the other in F2. */
struct cn_call_limits {
    uint32_t stream_count; /* streams that the partner may have open at once */
    uint64_t window;       /* octets that it may send on each before it hears WINDOW */
    uint32_t resume_s;     /* for how long to go on after the connection is lost */
};

/* What a handshake is about; all but the tag borrowed, until the handshake is wiped. */
struct cn_handshake_setup {
    const struct cn_crypto *crypto;
    const struct cn_random *random;
    const struct cn_identity *identity;
    const struct cn_pair *pair;
    enum cn_service service;
    enum cn_role caller;
    uint8_t tag[CN_TAG_SIZE]; /* that matched */
    struct cn_call_limits limits;
};

/* The outcome. */
struct cn_call_keys {
    struct cn_traffic_secret send;
    struct cn_traffic_secret receive;
    uint8_t finish_send[CN_FINISH_SIZE]; /* what record 0 holds */
    uint8_t finish_receive[CN_FINISH_SIZE];
    struct cn_chain_secret chain;   /* for REHANDSHAKE */
    struct cn_resume_secret resume; /* for RESUME */
    struct cn_exporter_secret exporter;
    uint8_t call_id[CN_CALL_ID_SIZE];
    uint32_t capabilities; /* the partner's; unknown bits are to be ignored */
    struct cn_call_limits limits;
};

enum cn_handshake_state {
    CN_HANDSHAKE_NEW = 0,
    CN_HANDSHAKE_PROLOGUE, /* F1 made; the partner's is awaited */
    CN_HANDSHAKE_ANSWER,   /* F2 made; the partner's is awaited */
    CN_HANDSHAKE_DONE,     /* keys handed out, secrets wiped */
    CN_HANDSHAKE_FAILED    /* likewise wiped */
};

struct cn_handshake {
    enum cn_handshake_state state;
    struct cn_handshake_setup setup;
    uint8_t hash[CN_HASH_SIZE_MAX];  /* h0, then h1, then h2 */
    uint8_t chain[CN_HASH_SIZE_MAX]; /* ck1 */
    struct cn_kem_secret ephemeral;  /* X25519 */
    struct cn_kem_secret pq_ephemeral;
    struct cn_kem_public their_pq_ephemeral;
    struct cn_kem_shared my_token; /* t, made for the partner */
    struct cn_kem_shared my_pq_token;
    struct cn_kem_shared my_answer; /* m, made for the partner */
    uint32_t their_capabilities;
    uint8_t prologue[CN_PROLOGUE_SIZE]; /* F1 and F2 as sent, for the transcript */
    uint8_t answer[CN_ANSWER_SIZE];
};

void cn_handshake_wipe(struct cn_handshake *handshake);
void cn_call_keys_wipe(struct cn_call_keys *keys);

/* Make F1. out gets the length and the prologue, as they go on the wire. CN_E_RANDOM, CN_E_CRYPTO,
 * CN_E_KEY. Failure of this or the next two: the handshake has failed and is wiped. */
CN_MUST_USE enum cn_err cn_handshake_start(struct cn_handshake *handshake,
                                           const struct cn_handshake_setup *setup,
                                           uint8_t out[CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE]);
/* Take the partner's F1, make F2. CN_E_AUTH: not made by one who has the pair's secret;
 * CN_E_FORMAT, CN_E_KEY: made by such a one, but wrong. */
CN_MUST_USE enum cn_err cn_handshake_prologue(struct cn_handshake *handshake,
                                              const uint8_t in[CN_PROLOGUE_SIZE],
                                              uint8_t out[CN_ANSWER_SIZE]);
/* Whether the delays above are to be kept. Once started. */
bool cn_handshake_is_rsa(const struct cn_handshake *handshake);
/* Take the partner's F2. CN_OK: the partner is authentic. CN_E_AUTH, CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_handshake_answer(struct cn_handshake *handshake,
                                            const uint8_t in[CN_ANSWER_SIZE],
                                            struct cn_call_keys *keys);

#endif
