/* rehandshake.h - fresh keys within a connection: the handshake of handshake.h, in records.
 * PROTOCOL.md 6.7
 *
 * Either end begins, or both at once, which is one; then each ends its direction's old key with
 * SWITCH and begins the new one with Finish. The session seals, opens and counts. */
#ifndef CN_REHANDSHAKE_H
#define CN_REHANDSHAKE_H

#include "handshake.h"

/* Octets of records under the same keys, of both directions together, after which they are
 * replaced; after which nobody may have begun to; and after which it is too late. */
#define CN_REHANDSHAKE_OCTETS     (UINT64_C(1) << 30)
#define CN_REHANDSHAKE_OCTETS_MIN (CN_REHANDSHAKE_OCTETS / 2)
#define CN_REHANDSHAKE_OCTETS_MAX (CN_REHANDSHAKE_OCTETS * 2)
enum {
    CN_REHANDSHAKE_MS = 120000, /* the same in time, if so much has passed: */
    CN_REHANDSHAKE_MS_MIN = CN_REHANDSHAKE_MS / 2,
    CN_REHANDSHAKE_MS_MAX = CN_REHANDSHAKE_MS * 2,
    CN_REHANDSHAKE_TRAFFIC = 65536
};

enum cn_rehandshake_state {
    CN_REHANDSHAKE_NONE = 0,
    CN_REHANDSHAKE_BEGUN,    /* F1 is made; the partner's is awaited */
    CN_REHANDSHAKE_ANSWERED, /* F2 is made; the partner's is awaited */
    CN_REHANDSHAKE_KEYS      /* they are there; until both directions use them */
};

/* What is to be said next; of the flights, the octets. */
enum cn_rehandshake_word {
    CN_REHANDSHAKE_NOTHING = 0,
    CN_REHANDSHAKE_PROLOGUE,
    CN_REHANDSHAKE_ANSWER,
    CN_REHANDSHAKE_SWITCH /* and then, under keys.send, keys.finish_send */
};

struct cn_rehandshake {
    enum cn_rehandshake_state state;
    struct cn_pair pair; /* with S' */
    struct cn_handshake handshake;
    struct cn_call_keys keys; /* the next ones, in state KEYS */
    bool prologue_due, answer_due;
    bool send_switched;
    bool receive_switched; /* SWITCH has come: the next record is the Finish */
    bool receive_finished;
    uint64_t answer_due_ms; /* not before */
    uint64_t octets;        /* under the present keys */
    uint64_t since_ms;      /* these are in use */
    uint8_t prologue[CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE];
    uint8_t answer[CN_ANSWER_SIZE];
};

/* What the handshake before was about, and what came of it; borrowed while one is under way. */
struct cn_rehandshake_setup {
    const struct cn_handshake_setup *before;
    const struct cn_call_keys *keys;
};

/* Fresh keys are in use from now on: the connection's first, or those of keys, which are wiped. */
void cn_rehandshake_done(struct cn_rehandshake *re, uint64_t now_ms);
void cn_rehandshake_wipe(struct cn_rehandshake *re);
/* Whether it is time to begin. */
bool cn_rehandshake_is_due(const struct cn_rehandshake *re, uint64_t now_ms);
/* Whether one has been under way for too long: the keys must not be used any more. */
bool cn_rehandshake_is_late(const struct cn_rehandshake *re, uint64_t now_ms);
/* When one of these will be so, or something held back may be said; UINT64_MAX: never. */
uint64_t cn_rehandshake_deadline_ms(const struct cn_rehandshake *re, uint64_t now_ms);

/* Begin. Errors of cn_handshake_start. */
CN_MUST_USE enum cn_err cn_rehandshake_begin(struct cn_rehandshake *re,
                                             const struct cn_rehandshake_setup *setup);
/* The partner's F1 or F2. CN_E_UNEXPECTED: none now, or too soon; CN_E_FORMAT: neither; errors of
 * the handshake. */
CN_MUST_USE enum cn_err cn_rehandshake_take(struct cn_rehandshake *re,
                                            const struct cn_rehandshake_setup *setup,
                                            const uint8_t *message, size_t size, uint64_t now_ms);
/* The partner's SWITCH. CN_E_UNEXPECTED. */
CN_MUST_USE enum cn_err cn_rehandshake_take_switch(struct cn_rehandshake *re);
/* What goes next; it counts as said. *message: the octets of a flight, until the next use. */
enum cn_rehandshake_word cn_rehandshake_next(struct cn_rehandshake *re, uint64_t now_ms,
                                             const uint8_t **message, size_t *size);
/* Whether both directions use the next keys. */
bool cn_rehandshake_is_done(const struct cn_rehandshake *re);

#endif
