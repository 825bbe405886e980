/* session.h - one connection of one end of a call, from hello to CLOSE. PROTOCOL.md 3, 5, 6
 *
 * Pure: octets from the server in, octets for it out, with the time of each step. It registers all
 * that its owner wants, is joined for one of them, shakes hands, and then carries the owner's mux.
 * When the connection is lost the owner makes another session. */
#ifndef CN_SESSION_H
#define CN_SESSION_H

#include "admission.h"
#include "handshake.h"
#include "mux.h"
#include "record.h"
#include "rehandshake.h"
#include "tag.h"

enum {
    CN_SESSION_IN_SIZE = 4 * CN_RECORD_SIZE_MAX,
    CN_SESSION_PING_OUT_SIZE = 1024, /* of out, for whether the partner is there */
    CN_SESSION_OUT_SIZE = 4 * CN_RECORD_SIZE_MAX + CN_SESSION_PING_OUT_SIZE,
    CN_SESSION_LIST_OUT_SIZE =
        CN_RECORD_SIZE_MAX, /* of it for REGISTER and UPDATE: READY finds room whatever waits */
    CN_SESSION_ANSWER_TIMEOUT_MS =
        30000, /* from the verdict's request, or from JOINED, to Finish */
    CN_SESSION_LATE_MS = 10000,
    CN_SESSION_KEEP_ALIVE_GRACE = 3 /* times the interval without a word: the line is dead */
};

struct cn_now {
    uint64_t ms;    /* monotonic */
    uint64_t utc_s; /* seconds since 1970 */
};

/* A call that this end would take. Pointers are borrowed for the life of the session. */
struct cn_want {
    const struct cn_pair *pair;
    const struct cn_identity *identity; /* of this end, in the pair */
    enum cn_service service;
    bool caller;
    bool witness; /* joined for it, the session fails with CN_E_ANEW and the line is to be closed:
                   * the partner returns to where it waited (3.4) */
    bool late;    /* not waited for before the line has waited for CN_SESSION_LATE_MS without it */
    void *user;   /* the owner's */
};

/* Whether this end is the one who calls. */
bool cn_want_calls(const struct cn_want *want);
/* How many wants a server that said so lets one line have: each takes a tag, and near the hour two.
 * One is always allowed. */
size_t cn_want_count_max(const struct cn_admission_verdict *verdict);

enum cn_session_state {
    CN_SESSION_HELLO = 0, /* sent; the verdict is awaited */
    CN_SESSION_REGISTER,  /* sent; WAITING is awaited */
    CN_SESSION_WAITING,
    CN_SESSION_PROLOGUE, /* joined; F1 sent or held back, the partner's is awaited */
    CN_SESSION_ANSWER,   /* F2 sent or held back; the partner's is awaited */
    CN_SESSION_FINISH,   /* keys are there; the partner's Finish is awaited */
    CN_SESSION_OPEN,
    CN_SESSION_CLOSED, /* both said CLOSE */
    CN_SESSION_FAILED  /* error says why */
};

struct cn_session_setup {
    const struct cn_crypto *crypto; /* all borrowed for the life of the session */
    const struct cn_random *random;
    const struct cn_fingerprint *fingerprint;
    const struct cn_want *want;
    uint32_t resume_s; /* for how long we would go on after the connection is lost; 0: not at all */
    size_t want_count; /* 1 or more; CN_E_LIMIT once the verdict allows fewer */
};

struct cn_session {
    enum cn_session_state state;
    enum cn_err error; /* once FAILED */
    struct cn_session_setup setup;
    struct cn_noise noise;
    struct cn_admission_line line;
    struct cn_admission_verdict verdict; /* once past HELLO, and when refused */
    bool verdict_known;
    uint32_t goaway_spread_s; /* after GOAWAY, else 0 */
    uint64_t deadline_ms;     /* of the state; UINT64_MAX: none */
    uint64_t keep_alive_due_ms;
    uint64_t heard_ms;
    uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX]; /* whose tags are registered */
    size_t epoch_count;
    enum cn_admission_type list_type; /* REGISTER or UPDATE: entries, of which */
    size_t list_sent;                 /* so many have been looked at, */
    size_t list_count;                /* of so many */
    uint64_t late_due_ms;             /* UINT64_MAX: nothing is late, or all is in */
    bool late_in;
    uint64_t update_due_ms; /* UINT64_MAX: they are the right ones, as far as is known */
    const struct cn_want *joined;
    struct cn_handshake handshake;
    struct cn_call_keys keys;
    bool finish_sent; /* the partner may have opened the call of these keys, whatever comes of us */
    struct cn_record send;
    struct cn_record receive;
    struct cn_rehandshake rehandshake; /* once OPEN */
    struct cn_mux *mux;                /* borrowed, from cn_session_carry on */

    size_t in_begin; /* what has come and is not dealt with: in[in_begin..in_end) */
    size_t in_end;
    size_t out_begin; /* what is to be sent: out[out_begin..out_end) */
    size_t out_end;
    size_t held_at; /* out from here on may not leave before held_until_ms */
    uint64_t held_until_ms;
    struct cn_mux_record record;
    uint8_t in[CN_SESSION_IN_SIZE];
    uint8_t out[CN_SESSION_OUT_SIZE];
};

/* The connection stands: say hello. The session should lie in locked memory. CN_E_RANDOM, CN_E_KEY,
 * CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_session_start(struct cn_session *session,
                                         const struct cn_session_setup *setup, struct cn_now now);
void cn_session_wipe(struct cn_session *session);

/* Where octets from the server go: *size of room, 0 when the owner must step first. */
uint8_t *cn_session_input(struct cn_session *session, size_t *size);
/* size octets were put there. */
void cn_session_received(struct cn_session *session, size_t size, struct cn_now now);
/* Do what is due: one message or record at the most, so that the owner can look in between. True if
 * something was done, so that it may pay to call again. */
bool cn_session_step(struct cn_session *session, struct cn_now now);
/* The server closed its side, or the connection broke. */
void cn_session_ended(struct cn_session *session);

/* What is to be sent: *size octets. Makes records of what the mux has, or messages of what is to be
 * registered, when there is room. */
const uint8_t *cn_session_output(struct cn_session *session, size_t *size, struct cn_now now);
void cn_session_sent(struct cn_session *session, size_t size);

/* When cn_session_step has something to do by itself; UINT64_MAX: never. */
uint64_t cn_session_deadline_ms(const struct cn_session *session, struct cn_now now);

/* In state OPEN, once: the mux to carry. */
void cn_session_carry(struct cn_session *session, struct cn_mux *mux, struct cn_now now);

#endif
