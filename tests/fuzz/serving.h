/* serving.h - a server in memory for sessions that are fuzzed: it admits them, and says that they
 * are joined. Failure is a finding. */
#ifndef CN_FUZZ_SERVING_H
#define CN_FUZZ_SERVING_H

#include "../unit/pairing.h"
#include "session.h"

#include "admitting.h"

/* A subscriber's session, and the server's end of its line. */
struct served {
    struct cn_session session;
    struct cn_admission_line line;
    struct cn_entry entry; /* what the subscriber has registered */
};

static uint64_t random_state;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct subscriber two[2];
static struct cn_now now;

/* At the first input; at each, time and randomness begin anew. */
static void serving_begin(void)
{
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };

    random_state = 1;
    now = (struct cn_now) { 1000, 1800000000 };
    if (admitting_make())
        pairing_make(two, fuzz_crypto(), &seeded, kinds, 0);
}

/* want is borrowed for the life of the session. */
static void serving_start(struct served *s, const struct cn_want *want)
{
    const struct cn_session_setup setup = {
        .crypto = fuzz_crypto(),
        .random = &seeded,
        .fingerprint = &fingerprint,
        .want = want,
        .want_count = 1,
    };

    must(cn_session_start(&s->session, &setup, now) == CN_OK);
}

/* Octets from the line. */
static void serving_tell(struct served *s, const uint8_t *in, size_t in_size)
{
    while (in_size > 0 && s->session.state < CN_SESSION_CLOSED) {
        size_t room;
        uint8_t *to = cn_session_input(&s->session, &room);

        if (room == 0)
            break;
        room = room < in_size ? room : in_size;
        memcpy(to, in, room);
        cn_session_received(&s->session, room, now);
        in += room;
        in_size -= room;
        while (cn_session_step(&s->session, now))
            ;
    }
}

/* What the session has said: its next admission message. */
static const uint8_t *serving_heard(struct served *s)
{
    static uint8_t message[CN_ADMISSION_SIZE];
    size_t size;
    const uint8_t *out = cn_session_output(&s->session, &size, now);

    must(size >= sizeof message);
    memcpy(message, out, sizeof message);
    cn_session_sent(&s->session, sizeof message);
    return message;
}

static void serving_admit(struct served *s)
{
    static const uint8_t ephemeral[CN_X25519_SIZE] = { 0, 3 };
    static struct cn_admission_hello hello;
    static struct cn_admission_message m;
    const struct cn_admission_verdict verdict = { .tag_count_max = 16, .keep_alive_s = 60 };
    uint8_t wire[CN_ADMISSION_SIZE];

    must(cn_admission_hello_read(&server, &operator_public, 1, serving_heard(s), &hello) == CN_OK);
    must(cn_admission_verdict_write(&hello, &verdict, ephemeral, wire, &s->line) == CN_OK);
    serving_tell(s, wire, sizeof wire);
    must(s->session.state == CN_SESSION_REGISTER);
    must(cn_admission_open(&s->line, fuzz_crypto(), serving_heard(s), &m) == CN_OK);
    s->entry = m.entry[0];
}

static void serving_join(struct served *s)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_JOINED, .entry_count = 1 };
    uint8_t wire[CN_ADMISSION_SIZE];

    m.entry[0] = s->entry;
    must(cn_admission_seal(&s->line, fuzz_crypto(), &m, wire) == CN_OK);
    serving_tell(s, wire, sizeof wire);
    must(s->session.state == CN_SESSION_PROLOGUE);
}

#endif
