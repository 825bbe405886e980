/* Whatever the other side says under the right keys: refused, or a message that makes sense and is
 * sealed to the same octets again. The first octet says which message the rest is. */
#include "admitting.h"

enum { HELLO_NOISE_SIZE = CN_ADMISSION_SIZE - CN_ADMISSION_MAC_SIZE };

static const uint8_t ephemeral[CN_X25519_SIZE] = { 0, 3 };

/* A hello of 1024 octets straight from the network. */
static void hello(const uint8_t *in, size_t in_size)
{
    uint8_t message[CN_ADMISSION_SIZE] = { 0 };
    struct cn_admission_hello h;

    memcpy(message, in, in_size < sizeof message ? in_size : sizeof message);
    must(cn_admission_hello_read(&server, &operator_public, 1, message, &h) != CN_OK);
}

static enum cn_err hello_told(uint8_t message[CN_ADMISSION_SIZE], struct cn_admission_hello *h)
{
    uint8_t mac[CN_SHA256_SIZE];

    must(cn_hmac(fuzz_crypto(), CN_SHA256, server.mac_key, sizeof server.mac_key, message,
                 HELLO_NOISE_SIZE, mac) == CN_OK);
    memcpy(message + HELLO_NOISE_SIZE, mac, CN_ADMISSION_MAC_SIZE);
    return cn_admission_hello_read(&server, &operator_public, 1, message, h);
}

/* One from somebody who knows the server's public key, and no more. */
static void hello_of_stranger(const uint8_t *in, size_t in_size)
{
    uint8_t message[CN_ADMISSION_SIZE] = { 0 };
    struct cn_admission_hello h;

    memcpy(message, in, in_size < HELLO_NOISE_SIZE ? in_size : HELLO_NOISE_SIZE);
    must(hello_told(message, &h) != CN_OK);
}

/* The input as what a subscriber shows under its own key; the operator signs whatever it is. */
static void hello_of_subscriber(const uint8_t *in, size_t in_size)
{
    uint8_t payload[HELLO_NOISE_SIZE - CN_NOISE_MESSAGE1_EXTRA] = { 0 };
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_reader r = { .at = payload, .left = sizeof payload };
    struct cn_writer w = { .at = payload, .left = sizeof payload };
    struct cn_certificate certificate;
    struct cn_admission_hello h;
    struct cn_noise noise;
    enum cn_err expected, err;

    memcpy(payload, in, in_size < sizeof payload ? in_size : sizeof payload);
    expected = cn_certificate_decode(&certificate, &r);
    if (expected == CN_OK) {
        must(cn_certificate_sign(&certificate, &operator_secret) == CN_OK);
        cn_certificate_encode(&certificate, &w);
        if (memcmp(certificate.admission_key, fingerprint.certificate.admission_key,
                   CN_X25519_SIZE) != 0)
            expected = CN_E_AUTH;
    }
    must(cn_noise_initiator_init(&noise, fuzz_crypto(), (const uint8_t *)"cyphernet/1 admission",
                                 21, fingerprint.secret.bytes,
                                 fingerprint.server_key.bytes) == CN_OK);
    must(cn_noise_write1(&noise, ephemeral, payload, sizeof payload, message) == CN_OK);
    err = hello_told(message, &h);
    must(err == expected);
    must(err != CN_OK || h.certificate.serial == certificate.serial);
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
    static void (*const ways[])(const uint8_t *in, size_t in_size) = { hello, verdict, message,
                                                                       hello_of_stranger,
                                                                       hello_of_subscriber };

    if (in_size == 0)
        return 0;
    (void)admitting_make();
    ways[in[0] % (sizeof ways / sizeof ways[0])](in + 1, in_size - 1);
    return 0;
}
