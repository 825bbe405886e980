#include "admission.h"

#include <assert.h>
#include <string.h>

static const uint8_t noise_prologue[] = "cyphernet/1 admission";

enum {
    NOISE_PROLOGUE_SIZE = sizeof noise_prologue - 1,
    HELLO_NOISE_SIZE = CN_ADMISSION_SIZE - CN_ADMISSION_MAC_SIZE,
    HELLO_PAYLOAD_SIZE = HELLO_NOISE_SIZE - CN_NOISE_MESSAGE1_EXTRA,
    VERDICT_PAYLOAD_SIZE = CN_ADMISSION_SIZE - CN_NOISE_MESSAGE2_EXTRA
};

_Static_assert((int)CN_CERTIFICATE_SIZE <= (int)HELLO_PAYLOAD_SIZE,
               "a certificate fits in a hello");

void cn_admission_line_wipe(struct cn_admission_line *line)
{
    if (line)
        cn_wipe(line, sizeof *line);
}

void cn_admission_hello_wipe(struct cn_admission_hello *hello)
{
    if (hello)
        cn_wipe(hello, sizeof *hello);
}

void cn_admission_server_wipe(struct cn_admission_server *server)
{
    if (server)
        cn_wipe(server, sizeof *server);
}

/* What a stranger to the server cannot compute; PROTOCOL.md 3.1 */
static enum cn_err mac_key(const struct cn_crypto *crypto, const uint8_t server_key[CN_X25519_SIZE],
                           uint8_t out[CN_SHA256_SIZE])
{
    const struct cn_item items[] = {
        CN_LABEL("mac1"),
        { CN_ITEM_PUBLIC, server_key, CN_X25519_SIZE },
    };

    return cn_hash_items(crypto, CN_SHA256, items, 2, out);
}

static enum cn_err mac1(const struct cn_crypto *crypto, const uint8_t key[CN_SHA256_SIZE],
                        const uint8_t hello[CN_ADMISSION_SIZE], uint8_t out[CN_SHA256_SIZE])
{
    return cn_hmac(crypto, CN_SHA256, key, CN_SHA256_SIZE, hello, HELLO_NOISE_SIZE, out);
}

enum cn_err cn_admission_hello_write(struct cn_noise *noise, const struct cn_crypto *crypto,
                                     const struct cn_fingerprint *fingerprint,
                                     const uint8_t ephemeral[CN_X25519_SIZE],
                                     uint8_t out[CN_ADMISSION_SIZE])
{
    uint8_t payload[HELLO_PAYLOAD_SIZE] = { 0 };
    uint8_t hello[CN_ADMISSION_SIZE];
    uint8_t key[CN_SHA256_SIZE];
    uint8_t mac[CN_SHA256_SIZE];
    struct cn_writer w = { .at = payload, .left = sizeof payload };
    enum cn_err err;

    cn_certificate_encode(&fingerprint->certificate, &w);
    err = cn_noise_initiator_init(noise, crypto, noise_prologue, NOISE_PROLOGUE_SIZE,
                                  fingerprint->secret.bytes, fingerprint->server_key.bytes);
    if (err == CN_OK)
        err = cn_noise_write1(noise, ephemeral, payload, sizeof payload, hello);
    if (err == CN_OK)
        err = mac_key(crypto, fingerprint->server_key.bytes, key);
    if (err == CN_OK)
        err = mac1(crypto, key, hello, mac);
    if (err != CN_OK) {
        cn_noise_wipe(noise);
        return err;
    }
    memcpy(hello + HELLO_NOISE_SIZE, mac, CN_ADMISSION_MAC_SIZE);
    memcpy(out, hello, sizeof hello);
    return CN_OK;
}

enum cn_err cn_admission_server_init(struct cn_admission_server *server,
                                     const struct cn_crypto *crypto,
                                     const struct cn_server_secret *secret)
{
    enum cn_err err = cn_x25519_key_init(&server->key, secret->bytes);

    if (err == CN_OK)
        err = mac_key(crypto, server->key.public, server->mac_key);
    if (err == CN_OK)
        server->crypto = crypto;
    else
        cn_admission_server_wipe(server);
    return err;
}

static enum cn_err hello_certificate(const struct cn_admission_hello *hello, const uint8_t *payload,
                                     struct cn_certificate *certificate)
{
    struct cn_reader r = { .at = payload, .left = HELLO_PAYLOAD_SIZE };
    enum cn_err err = cn_certificate_decode(certificate, &r);

    if (err != CN_OK)
        return err;
    return cn_equal_ct(certificate->admission_key, hello->noise.their_static, CN_X25519_SIZE)
               ? CN_OK
               : CN_E_AUTH;
}

enum cn_err cn_admission_hello_read_checked(const struct cn_admission_server *server,
                                            cn_certificate_check *check, void *context,
                                            const uint8_t in[CN_ADMISSION_SIZE],
                                            struct cn_admission_hello *hello)
{
    struct cn_admission_hello h = { 0 };
    uint8_t payload[HELLO_PAYLOAD_SIZE];
    uint8_t mac[CN_SHA256_SIZE];
    enum cn_err err = mac1(server->crypto, server->mac_key, in, mac);

    if (err == CN_OK && !cn_equal_ct(mac, in + HELLO_NOISE_SIZE, CN_ADMISSION_MAC_SIZE))
        err = CN_E_AUTH;
    if (err == CN_OK)
        err = cn_noise_responder_init(&h.noise, server->crypto, noise_prologue, NOISE_PROLOGUE_SIZE,
                                      &server->key);
    if (err == CN_OK)
        err = cn_noise_read1(&h.noise, in, HELLO_NOISE_SIZE, payload);
    if (err == CN_OK)
        err = hello_certificate(&h, payload, &h.certificate);
    if (err == CN_OK)
        err = check(context, &h.certificate);
    if (err == CN_OK)
        *hello = h;
    cn_admission_hello_wipe(&h);
    return err;
}

struct signers {
    const struct cn_operator_public *operators;
    size_t count;
};

static enum cn_err signed_by_any(void *context, const struct cn_certificate *certificate)
{
    const struct signers *signers = context;

    return cn_certificate_verify_any(certificate, signers->operators, signers->count);
}

enum cn_err cn_admission_hello_read(const struct cn_admission_server *server,
                                    const struct cn_operator_public *operators,
                                    size_t operator_count, const uint8_t in[CN_ADMISSION_SIZE],
                                    struct cn_admission_hello *hello)
{
    struct signers signers = { operators, operator_count };

    return cn_admission_hello_read_checked(server, signed_by_any, &signers, in, hello);
}

static void verdict_encode(const struct cn_admission_verdict *v, struct cn_writer *w)
{
    cn_writer_u8(w, (uint8_t)v->verdict);
    cn_writer_u64be(w, v->server_time);
    cn_writer_u16be(w, v->tag_count_max);
    cn_writer_u32be(w, v->waiting_s);
    cn_writer_u32be(w, v->keep_alive_s);
    cn_writer_u32be(w, v->spread_s);
    cn_writer_u16be(w, v->notice_size);
    cn_writer_bytes(w, v->notice, v->notice_size);
    cn_writer_zeros(w, w->left);
    assert(cn_writer_ok(w));
}

static enum cn_err verdict_decode(struct cn_admission_verdict *verdict, struct cn_reader *r)
{
    struct cn_admission_verdict v = { 0 };
    uint8_t code = cn_reader_u8(r);

    v.server_time = cn_reader_u64be(r);
    v.tag_count_max = cn_reader_u16be(r);
    v.waiting_s = cn_reader_u32be(r);
    v.keep_alive_s = cn_reader_u32be(r);
    v.spread_s = cn_reader_u32be(r);
    v.notice_size = cn_reader_u16be(r);
    if (code >= CN_VERDICT_COUNT || v.notice_size > CN_NOTICE_SIZE_MAX)
        return CN_E_FORMAT;
    if (code == CN_VERDICT_ADMITTED && (v.tag_count_max == 0 || v.keep_alive_s == 0))
        return CN_E_FORMAT;
    cn_reader_copy(r, v.notice, v.notice_size);
    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    v.verdict = (enum cn_verdict)code;
    *verdict = v;
    return CN_OK;
}

enum cn_err cn_admission_verdict_write(struct cn_admission_hello *hello,
                                       const struct cn_admission_verdict *verdict,
                                       const uint8_t ephemeral[CN_X25519_SIZE],
                                       uint8_t out[CN_ADMISSION_SIZE],
                                       struct cn_admission_line *line)
{
    uint8_t payload[VERDICT_PAYLOAD_SIZE];
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_writer w = { .at = payload, .left = sizeof payload };
    enum cn_err err;

    assert(verdict->notice_size <= CN_NOTICE_SIZE_MAX);
    verdict_encode(verdict, &w);
    err = cn_noise_write2(&hello->noise, ephemeral, payload, sizeof payload, message);
    if (err == CN_OK)
        err = cn_noise_split(&hello->noise, &line->receive, &line->send);
    if (err == CN_OK)
        memcpy(out, message, sizeof message);
    else
        cn_admission_line_wipe(line);
    cn_admission_hello_wipe(hello);
    return err;
}

enum cn_err cn_admission_verdict_read(struct cn_noise *noise, const uint8_t in[CN_ADMISSION_SIZE],
                                      struct cn_admission_verdict *verdict,
                                      struct cn_admission_line *line)
{
    uint8_t payload[VERDICT_PAYLOAD_SIZE];
    struct cn_reader r = { .at = payload, .left = sizeof payload };
    struct cn_admission_verdict v;
    enum cn_err err = cn_noise_read2(noise, in, CN_ADMISSION_SIZE, payload);

    if (err == CN_OK)
        err = verdict_decode(&v, &r);
    if (err == CN_OK)
        err = cn_noise_split(noise, &line->send, &line->receive);
    if (err == CN_OK)
        *verdict = v;
    else
        cn_admission_line_wipe(line);
    cn_noise_wipe(noise);
    return err;
}

/* type, more, count, entries, then the field of the type; zero to the end */
static void message_encode(const struct cn_admission_message *m, struct cn_writer *w)
{
    assert(m->entry_count <= CN_ADMISSION_ENTRY_COUNT_MAX);
    cn_writer_u8(w, (uint8_t)m->type);
    cn_writer_u8(w, m->more);
    cn_writer_u16be(w, m->entry_count);
    for (size_t i = 0; i < m->entry_count; i++) {
        cn_writer_u8(w, (uint8_t)m->entry[i].mode);
        cn_writer_bytes(w, m->entry[i].tag, CN_TAG_SIZE);
    }
    if (m->type == CN_ADMISSION_GOAWAY)
        cn_writer_u32be(w, m->spread_s);
    if (m->type == CN_ADMISSION_REFUSED)
        cn_writer_u8(w, (uint8_t)m->reason);
    cn_writer_zeros(w, w->left);
    assert(cn_writer_ok(w));
}

enum cn_err cn_admission_seal(struct cn_admission_line *line, const struct cn_crypto *crypto,
                              const struct cn_admission_message *message,
                              uint8_t out[CN_ADMISSION_SIZE])
{
    uint8_t plain[CN_ADMISSION_PLAIN_SIZE];
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    enum cn_err err;

    message_encode(message, &w);
    err = cn_noise_seal(&line->send, crypto, plain, sizeof plain, out);
    cn_wipe(plain, sizeof plain); /* tags */
    return err;
}

/* How many entries each type holds. */
static const struct {
    uint16_t min;
    uint16_t max;
} entry_counts[CN_ADMISSION_TYPE_COUNT] = {
    [CN_ADMISSION_REGISTER] = { 1, CN_ADMISSION_ENTRY_COUNT_MAX },
    [CN_ADMISSION_UPDATE] = { 1, CN_ADMISSION_ENTRY_COUNT_MAX },
    [CN_ADMISSION_JOINED] = { 1, 1 },
};

static enum cn_err message_decode(struct cn_admission_message *m, struct cn_reader *r)
{
    uint8_t type = cn_reader_u8(r);
    uint8_t more = cn_reader_u8(r);

    m->entry_count = cn_reader_u16be(r);
    if (type == 0 || type >= CN_ADMISSION_TYPE_COUNT || more > 1)
        return CN_E_FORMAT;
    if (m->entry_count < entry_counts[type].min || m->entry_count > entry_counts[type].max)
        return CN_E_FORMAT;
    m->type = (enum cn_admission_type)type;
    m->more = more == 1;
    if (m->more && type != CN_ADMISSION_REGISTER && type != CN_ADMISSION_UPDATE)
        return CN_E_FORMAT;
    for (size_t i = 0; i < m->entry_count; i++) {
        uint8_t mode = cn_reader_u8(r);

        if (mode != CN_MODE_OUTPUT && mode != CN_MODE_INPUT)
            return CN_E_FORMAT;
        m->entry[i].mode = (enum cn_mode)mode;
        cn_reader_copy(r, m->entry[i].tag, CN_TAG_SIZE);
    }
    if (m->type == CN_ADMISSION_GOAWAY)
        m->spread_s = cn_reader_u32be(r);
    if (m->type == CN_ADMISSION_REFUSED) {
        uint8_t reason = cn_reader_u8(r);

        if (reason == CN_VERDICT_ADMITTED || reason >= CN_VERDICT_COUNT)
            return CN_E_FORMAT;
        m->reason = (enum cn_verdict)reason;
    }
    return cn_reader_ok(r) ? CN_OK : CN_E_FORMAT;
}

enum cn_err cn_admission_open(struct cn_admission_line *line, const struct cn_crypto *crypto,
                              const uint8_t in[CN_ADMISSION_SIZE],
                              struct cn_admission_message *message)
{
    uint8_t plain[CN_ADMISSION_PLAIN_SIZE];
    struct cn_reader r = { .at = plain, .left = sizeof plain };
    struct cn_admission_message m = { 0 };
    enum cn_err err = cn_noise_open(&line->receive, crypto, in, CN_ADMISSION_SIZE, plain);

    if (err == CN_OK)
        err = message_decode(&m, &r);
    if (err == CN_OK)
        *message = m;
    cn_wipe(plain, sizeof plain); /* tags */
    cn_wipe(&m, sizeof m);
    return err;
}
