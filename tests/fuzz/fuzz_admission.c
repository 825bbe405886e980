/* Whatever the other side says under the right keys: refused, or a message that makes sense and is
 * sealed to the same octets again. The first octet says which message the rest is. */
#include "fuzz.h"

#include "admission.h"

static const struct cn_server_secret server_secret = { { 0, 1 } };
static const struct cn_operator_secret operator_secret = { { 0, 2 } };
static const uint8_t ephemeral[CN_X25519_SIZE] = { 0, 3 };

static struct cn_operator_public operator_public;
static struct cn_admission_server server;
static struct cn_fingerprint fingerprint;

static void make(void)
{
    static bool made;

    if (made)
        return;
    made = true;
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

/* A hello of 1024 octets straight from the network. */
static void hello(const uint8_t *in, size_t in_size)
{
    uint8_t message[CN_ADMISSION_SIZE] = { 0 };
    struct cn_admission_hello h;

    memcpy(message, in, in_size < sizeof message ? in_size : sizeof message);
    must(cn_admission_hello_read(&server, &operator_public, 1, message, &h) != CN_OK);
}

static void verdict(const uint8_t *in, size_t in_size)
{
    uint8_t payload[CN_ADMISSION_SIZE - CN_NOISE_MESSAGE2_EXTRA] = { 0 };
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_admission_verdict v;
    struct cn_admission_line line;
    struct cn_admission_hello h;
    struct cn_noise noise;

    must(cn_admission_hello_write(&noise, fuzz_crypto(), &fingerprint, ephemeral, message) ==
         CN_OK);
    must(cn_admission_hello_read(&server, &operator_public, 1, message, &h) == CN_OK);
    memcpy(payload, in, in_size < sizeof payload ? in_size : sizeof payload);
    must(cn_noise_write2(&h.noise, ephemeral, payload, sizeof payload, message) == CN_OK);
    if (cn_admission_verdict_read(&noise, message, &v, &line) != CN_OK)
        return;
    must(v.verdict < CN_VERDICT_COUNT && v.notice_size <= CN_NOTICE_SIZE_MAX);
    must(v.verdict != CN_VERDICT_ADMITTED || (v.tag_count_max > 0 && v.keep_alive_s > 0));
}

/* The octets that the message of these fields is made of, in front of the padding. */
static size_t fields_size(const struct cn_admission_message *m)
{
    return 4 + (size_t)m->entry_count * CN_ENTRY_SIZE + (m->type == CN_ADMISSION_GOAWAY ? 4 : 0) +
           (m->type == CN_ADMISSION_REFUSED ? 1 : 0);
}

static void message(const uint8_t *in, size_t in_size)
{
    uint8_t plain[CN_ADMISSION_PLAIN_SIZE] = { 0 };
    uint8_t again[CN_ADMISSION_PLAIN_SIZE];
    uint8_t wire[CN_ADMISSION_SIZE];
    struct cn_admission_line ours = { 0 };
    struct cn_noise_cipher cipher = { 0 };
    struct cn_admission_message m;

    memcpy(plain, in, in_size < sizeof plain ? in_size : sizeof plain);
    must(cn_noise_seal(&cipher, fuzz_crypto(), plain, sizeof plain, wire) == CN_OK);
    if (cn_admission_open(&ours, fuzz_crypto(), wire, &m) != CN_OK)
        return;
    must(m.entry_count <= CN_ADMISSION_ENTRY_COUNT_MAX);
    must(cn_admission_seal(&ours, fuzz_crypto(), &m, wire) == CN_OK);
    cipher.nonce = 0;
    must(cn_noise_open(&cipher, fuzz_crypto(), wire, sizeof wire, again) == CN_OK);
    must(memcmp(plain, again, fields_size(&m)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    if (in_size == 0)
        return 0;
    make();
    if (in[0] % 3 == 0)
        hello(in + 1, in_size - 1);
    else if (in[0] % 3 == 1)
        verdict(in + 1, in_size - 1);
    else
        message(in + 1, in_size - 1);
    return 0;
}
