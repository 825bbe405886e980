/* A server that says anything, at once or behind what an honest one says, plainly or sealed: no
 * call opens, no session closes well. The first octet says how far the honest one comes. */
#include "fuzz.h"

#include "../unit/pairing.h"
#include "session.h"

static const struct cn_server_secret server_secret = { { 0, 1 } };
static const struct cn_operator_secret operator_secret = { { 0, 2 } };
static const uint8_t ephemeral[CN_X25519_SIZE] = { 0, 3 };
static const struct cn_now now = { 1000, 1800000000 };

static uint64_t random_state;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct subscriber two[2];
static struct cn_operator_public operator_public;
static struct cn_admission_server server;
static struct cn_fingerprint fingerprint;
static struct cn_session session;
static struct cn_admission_line line; /* the server's */
static struct cn_entry entry;         /* what the subscriber has registered */

static void make(void)
{
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };

    if (fingerprint.has_secret)
        return;
    pairing_make(two, fuzz_crypto(), &seeded, kinds, 0);
    fingerprint.has_secret = true;
    fingerprint.secret.bytes[1] = 4;
    fingerprint.certificate.not_after = 1;
    must(cn_x25519_public(fingerprint.secret.bytes, fingerprint.certificate.admission_key) ==
         CN_OK);
    must(cn_x25519_public(server_secret.bytes, fingerprint.server_key.bytes) == CN_OK);
    must(cn_certificate_sign(&fingerprint.certificate, &operator_secret) == CN_OK);
    must(cn_ed25519_public(operator_secret.bytes, operator_public.bytes) == CN_OK);
    must(cn_admission_server_init(&server, fuzz_crypto(), &server_secret) == CN_OK);
}

static void tell(const uint8_t *in, size_t in_size)
{
    while (in_size > 0 && session.state < CN_SESSION_CLOSED) {
        size_t room;
        uint8_t *to = cn_session_input(&session, &room);

        if (room == 0)
            break;
        room = room < in_size ? room : in_size;
        memcpy(to, in, room);
        cn_session_received(&session, room, now);
        in += room;
        in_size -= room;
        while (cn_session_step(&session, now))
            ;
    }
}

/* What the session has said: its next admission message. */
static const uint8_t *heard(void)
{
    static uint8_t message[CN_ADMISSION_SIZE];
    size_t size;
    const uint8_t *out = cn_session_output(&session, &size, now);

    must(size >= sizeof message);
    memcpy(message, out, sizeof message);
    cn_session_sent(&session, sizeof message);
    return message;
}

static void tell_message(const struct cn_admission_message *message)
{
    uint8_t wire[CN_ADMISSION_SIZE];

    must(cn_admission_seal(&line, fuzz_crypto(), message, wire) == CN_OK);
    tell(wire, sizeof wire);
}

static void admit(void)
{
    static struct cn_admission_hello hello;
    static struct cn_admission_message m;
    const struct cn_admission_verdict verdict = { .tag_count_max = 16, .keep_alive_s = 60 };
    uint8_t wire[CN_ADMISSION_SIZE];

    must(cn_admission_hello_read(&server, &operator_public, 1, heard(), &hello) == CN_OK);
    must(cn_admission_verdict_write(&hello, &verdict, ephemeral, wire, &line) == CN_OK);
    tell(wire, sizeof wire);
    must(session.state == CN_SESSION_REGISTER);
    must(cn_admission_open(&line, fuzz_crypto(), heard(), &m) == CN_OK);
    entry = m.entry[0];
}

static void join(void)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_JOINED, .entry_count = 1 };

    m.entry[0] = entry;
    tell_message(&m);
    must(session.state == CN_SESSION_PROLOGUE);
}

/* The input as plaintext of messages. */
static void tell_sealed(const uint8_t *in, size_t in_size)
{
    while (in_size > 0 && session.state < CN_SESSION_PROLOGUE) {
        uint8_t plain[CN_ADMISSION_PLAIN_SIZE] = { 0 };
        uint8_t wire[CN_ADMISSION_SIZE];
        size_t size = in_size < sizeof plain ? in_size : sizeof plain;

        memcpy(plain, in, size);
        in += size;
        in_size -= size;
        must(cn_noise_seal(&line.send, fuzz_crypto(), plain, sizeof plain, wire) == CN_OK);
        tell(wire, sizeof wire);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    if (in_size == 0)
        return 0;
    random_state = 1;
    make();

    const struct cn_want want = { .pair = &two[0].pair,
                                  .identity = &two[0].identity,
                                  .service = CN_SERVICE_TALK };
    const struct cn_session_setup setup = {
        .crypto = fuzz_crypto(),
        .random = &seeded,
        .fingerprint = &fingerprint,
        .want = &want,
        .want_count = 1,
    };

    must(cn_session_start(&session, &setup, now) == CN_OK);
    if (in[0] % 4 > 0)
        admit();
    if (in[0] % 4 == 3)
        join();
    if (in[0] % 4 == 2)
        tell_sealed(in + 1, in_size - 1);
    else
        tell(in + 1, in_size - 1);
    must(session.state < CN_SESSION_ANSWER || session.state == CN_SESSION_FAILED);
    cn_session_wipe(&session);
    return 0;
}
