/* Admission: both sides agree on all they say; a stranger, a liar and a replay get nowhere. */
#include "unit.h"

#include "admission.h"
#include "armor.h"
#include "vectors.h"

enum {
    NOISE_SIZE = CN_ADMISSION_SIZE - CN_ADMISSION_MAC_SIZE,
    PAYLOAD_SIZE = NOISE_SIZE - CN_NOISE_MESSAGE1_EXTRA,
    VERDICT_PAYLOAD_SIZE = CN_ADMISSION_SIZE - CN_NOISE_MESSAGE2_EXTRA
};

static const uint8_t noise_prologue[] = "cyphernet/1 admission";
static const struct cn_operator_secret operator_secret = { { 5, 6, 7 } };
/* the low bits of the first octet do not count in a private key */
static const uint8_t client_ephemeral[CN_X25519_SIZE] = { 0, 21 };
static const uint8_t server_ephemeral[CN_X25519_SIZE] = { 0, 22 };

static struct cn_operator_public operator_public;
static struct cn_fingerprint fingerprint;
static struct cn_admission_server server;

/* Public key operations so far. */
static unsigned keys_made, agreements, verifications;

enum cn_err __real_cn_x25519_key_init(struct cn_x25519_key *key, const uint8_t *secret);
enum cn_err __wrap_cn_x25519_key_init(struct cn_x25519_key *key, const uint8_t *secret);
enum cn_err __real_cn_x25519_key_agree(const struct cn_x25519_key *key, const uint8_t *public,
                                       uint8_t *out);
enum cn_err __wrap_cn_x25519_key_agree(const struct cn_x25519_key *key, const uint8_t *public,
                                       uint8_t *out);
enum cn_err __real_cn_ed25519_verify(const uint8_t *public, const uint8_t *in, size_t in_size,
                                     const uint8_t *signature);
enum cn_err __wrap_cn_ed25519_verify(const uint8_t *public, const uint8_t *in, size_t in_size,
                                     const uint8_t *signature);

enum cn_err __wrap_cn_x25519_key_init(struct cn_x25519_key *key, const uint8_t *secret)
{
    keys_made++;
    return __real_cn_x25519_key_init(key, secret);
}

enum cn_err __wrap_cn_x25519_key_agree(const struct cn_x25519_key *key, const uint8_t *public,
                                       uint8_t *out)
{
    agreements++;
    return __real_cn_x25519_key_agree(key, public, out);
}

enum cn_err __wrap_cn_ed25519_verify(const uint8_t *public, const uint8_t *in, size_t in_size,
                                     const uint8_t *signature)
{
    verifications++;
    return __real_cn_ed25519_verify(public, in, in_size, signature);
}

static void fingerprint_make(struct cn_fingerprint *f, uint8_t seed)
{
    static const struct cn_server_secret server_secret = { { 0, 77 } };

    memset(f, 0, sizeof *f);
    f->has_secret = true;
    fill(seed, f->secret.bytes, sizeof f->secret.bytes);
    f->certificate.serial = seed;
    f->certificate.not_before = 1000;
    f->certificate.not_after = 2000;
    f->operator_key = operator_public;
    if (cn_x25519_public(f->secret.bytes, f->certificate.admission_key) != CN_OK ||
        cn_x25519_public(server_secret.bytes, f->server_key.bytes) != CN_OK ||
        cn_certificate_sign(&f->certificate, &operator_secret) != CN_OK)
        abort();
}

static int setup(void **state)
{
    static const struct cn_server_secret server_secret = { { 0, 77 } };

    if (crypto_setup(state) != 0 ||
        cn_ed25519_public(operator_secret.bytes, operator_public.bytes) != CN_OK)
        return -1;
    fingerprint_make(&fingerprint, 1);
    return cn_admission_server_init(&server, &crypto, &server_secret) == CN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    cn_admission_server_wipe(&server);
    return crypto_teardown(state);
}

static void hello_write(struct cn_noise *noise, uint8_t out[CN_ADMISSION_SIZE])
{
    assert_err(cn_admission_hello_write(noise, &crypto, &fingerprint, client_ephemeral, out),
               CN_OK);
}

static enum cn_err hello_read(const uint8_t in[CN_ADMISSION_SIZE], struct cn_admission_hello *hello)
{
    return cn_admission_hello_read(&server, &operator_public, 1, in, hello);
}

static enum cn_err hello_judge(const uint8_t in[CN_ADMISSION_SIZE])
{
    struct cn_admission_hello hello;

    return hello_read(in, &hello);
}

/* What one who knows the server's public key puts at the end of what he likes. */
static void mac_write(uint8_t hello[CN_ADMISSION_SIZE])
{
    const struct cn_item items[] = {
        CN_LABEL("mac1"),
        { CN_ITEM_PUBLIC, fingerprint.server_key.bytes, CN_X25519_SIZE },
    };
    uint8_t key[CN_SHA256_SIZE];
    uint8_t mac[CN_SHA256_SIZE];

    assert_err(cn_hash_items(&crypto, CN_SHA256, items, 2, key), CN_OK);
    assert_err(cn_hmac(&crypto, CN_SHA256, key, sizeof key, hello, NOISE_SIZE, mac), CN_OK);
    memcpy(hello + NOISE_SIZE, mac, CN_ADMISSION_MAC_SIZE);
}

/* A hello whose payload is any that the holder of `secret` likes. */
static void hello_forge(const uint8_t *secret, const uint8_t payload[PAYLOAD_SIZE],
                        uint8_t out[CN_ADMISSION_SIZE])
{
    struct cn_noise noise;

    assert_err(cn_noise_initiator_init(&noise, &crypto, noise_prologue, sizeof noise_prologue - 1,
                                       secret, fingerprint.server_key.bytes),
               CN_OK);
    assert_err(cn_noise_write1(&noise, client_ephemeral, payload, PAYLOAD_SIZE, out), CN_OK);
    mac_write(out);
}

static void hello_forge_certificate(const uint8_t *secret, const struct cn_certificate *certificate,
                                    uint8_t out[CN_ADMISSION_SIZE])
{
    uint8_t payload[PAYLOAD_SIZE] = { 0 };
    struct cn_writer w = { .at = payload, .left = sizeof payload };

    cn_certificate_encode(certificate, &w);
    hello_forge(secret, payload, out);
}

static const struct cn_admission_verdict admitted = {
    .verdict = CN_VERDICT_ADMITTED,
    .server_time = 0x0102030405060708,
    .tag_count_max = 256,
    .waiting_s = 86400,
    .keep_alive_s = 60,
    .spread_s = 30,
    .notice_size = 3,
    .notice = { 1, 2, 3 },
};

/* A whole admission: the two ends of one line. */
static void admit(struct cn_admission_line *subscriber, struct cn_admission_line *at_server)
{
    struct cn_admission_verdict verdict;
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    hello_write(&noise, message);
    assert_err(hello_read(message, &hello), CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &admitted, server_ephemeral, message, at_server),
               CN_OK);
    assert_err(cn_admission_verdict_read(&noise, message, &verdict, subscriber), CN_OK);
}

static void the_server_learns_who_says_hello(void **state)
{
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    assert_err(hello_read(message, &hello), CN_OK);
    assert_int_equal(hello.certificate.serial, 1);
    assert_memory_equal(hello.certificate.admission_key, fingerprint.certificate.admission_key,
                        CN_X25519_SIZE);
    assert_int_equal(hello.certificate.not_after, 2000);
}

static void a_hello_shows_nothing_of_the_certificate(void **state)
{
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    assert_null(memmem(message, sizeof message, fingerprint.certificate.admission_key, 8));
    assert_null(memmem(message, sizeof message, fingerprint.certificate.signature, 8));
    assert_null(memmem(message, sizeof message, fingerprint.server_key.bytes, 8));
}

static void every_flipped_bit_of_a_hello_is_refused(void **state)
{
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(hello_judge(message), CN_E_AUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_err(hello_judge(message), CN_OK);
}

static void every_flipped_bit_under_a_good_mac_is_refused(void **state)
{
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    for (size_t bit = 0; bit < 8 * (size_t)NOISE_SIZE; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        mac_write(message);
        assert_err(hello_judge(message), CN_E_AUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void costs(unsigned keys, unsigned agreed, unsigned verified)
{
    assert_int_equal(keys_made, keys);
    assert_int_equal(agreements, agreed);
    assert_int_equal(verifications, verified);
    keys_made = agreements = verifications = 0;
}

static void a_bad_hello_costs_no_more_than_what_it_gets_past(void **state)
{
    struct cn_certificate forged = fingerprint.certificate;
    struct cn_fingerprint other;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    fingerprint_make(&other, 2);
    hello_write(&noise, message);
    message[40] ^= 1;
    costs(keys_made, agreements, verifications);
    assert_err(hello_judge(message), CN_E_AUTH);
    costs(0, 0, 0); /* mac1 */
    mac_write(message);
    assert_err(hello_judge(message), CN_E_AUTH);
    costs(0, 1, 0); /* s */
    hello_forge_certificate(other.secret.bytes, &fingerprint.certificate, message);
    costs(keys_made, agreements, verifications);
    assert_err(hello_judge(message), CN_E_AUTH);
    costs(0, 2, 0); /* another's */
    forged.signature[0] ^= 1;
    hello_forge_certificate(fingerprint.secret.bytes, &forged, message);
    costs(keys_made, agreements, verifications);
    assert_err(hello_judge(message), CN_E_AUTH);
    costs(0, 2, 1);
}

static void an_admission_costs_five_operations_and_a_verification(void **state)
{
    struct cn_admission_line line;
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    costs(keys_made, agreements, verifications);
    assert_err(hello_read(message, &hello), CN_OK);
    costs(0, 2, 1);
    assert_err(cn_admission_verdict_write(&hello, &admitted, server_ephemeral, message, &line),
               CN_OK);
    costs(1, 2, 0);
}

static void a_refused_hello_leaves_nothing(void **state)
{
    struct cn_admission_hello hello;
    struct cn_admission_hello before;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    memset(&hello, 0xee, sizeof hello);
    before = hello;
    hello_write(&noise, message);
    message[200] ^= 1;
    mac_write(message);
    assert_err(hello_read(message, &hello), CN_E_AUTH);
    assert_memory_equal(&hello, &before, sizeof hello);
}

static void a_hello_for_another_server_is_refused(void **state)
{
    static const struct cn_server_secret other_secret = { { 0, 78 } };
    struct cn_admission_server other;
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    assert_err(cn_admission_server_init(&other, &crypto, &other_secret), CN_OK);
    hello_write(&noise, message);
    assert_err(cn_admission_hello_read(&other, &operator_public, 1, message, &hello), CN_E_AUTH);
}

static void the_certificate_of_another_is_refused(void **state)
{
    struct cn_fingerprint other;
    uint8_t message[CN_ADMISSION_SIZE];

    (void)state;
    fingerprint_make(&other, 2);
    hello_forge_certificate(other.secret.bytes, &other.certificate, message);
    assert_err(hello_judge(message), CN_OK); /* the forger's tools work */
    hello_forge_certificate(other.secret.bytes, &fingerprint.certificate, message);
    assert_err(hello_judge(message), CN_E_AUTH);
}

static void a_certificate_changed_in_any_bit_is_refused(void **state)
{
    uint8_t payload[PAYLOAD_SIZE] = { 0 };
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_writer w = { .at = payload, .left = sizeof payload };

    (void)state;
    cn_certificate_encode(&fingerprint.certificate, &w);
    for (size_t bit = 0; bit < 8 * (size_t)CN_CERTIFICATE_SIZE; bit++) {
        enum cn_err err;

        payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
        hello_forge(fingerprint.secret.bytes, payload, message);
        err = hello_judge(message);
        assert_true(err == CN_E_AUTH || err == CN_E_VERSION || err == CN_E_FORMAT);
        payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void only_operators_of_the_list_count(void **state)
{
    static const struct cn_operator_secret other_secret = { { 99 } };
    struct cn_operator_public both[2];
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    assert_err(cn_ed25519_public(other_secret.bytes, both[0].bytes), CN_OK);
    both[1] = operator_public;
    hello_write(&noise, message);
    assert_err(cn_admission_hello_read(&server, both, 0, message, &hello), CN_E_AUTH);
    assert_err(cn_admission_hello_read(&server, both, 1, message, &hello), CN_E_AUTH);
    assert_err(cn_admission_hello_read(&server, both, 2, message, &hello), CN_OK);
}

static void an_ephemeral_of_low_order_is_refused(void **state)
{
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    memset(message, 0, CN_X25519_SIZE);
    mac_write(message);
    assert_err(hello_judge(message), CN_E_KEY);
}

static void the_verdict_comes_back(void **state)
{
    (void)state;
    for (int code = 0; code < CN_VERDICT_COUNT; code++) {
        struct cn_admission_verdict sent = admitted;
        struct cn_admission_verdict got;
        struct cn_admission_line a, b;
        struct cn_admission_hello hello;
        uint8_t message[CN_ADMISSION_SIZE];
        struct cn_noise noise;

        sent.verdict = (enum cn_verdict)code;
        sent.notice_size = code == 1 ? CN_NOTICE_SIZE_MAX : (uint16_t)code;
        fill(9, sent.notice, sizeof sent.notice);
        hello_write(&noise, message);
        assert_err(hello_read(message, &hello), CN_OK);
        assert_err(cn_admission_verdict_write(&hello, &sent, server_ephemeral, message, &b), CN_OK);
        memset(&got, 0xee, sizeof got);
        assert_err(cn_admission_verdict_read(&noise, message, &got, &a), CN_OK);
        assert_int_equal(got.verdict, code);
        assert_int_equal(got.server_time, sent.server_time);
        assert_int_equal(got.tag_count_max, sent.tag_count_max);
        assert_int_equal(got.waiting_s, sent.waiting_s);
        assert_int_equal(got.keep_alive_s, sent.keep_alive_s);
        assert_int_equal(got.spread_s, sent.spread_s);
        assert_int_equal(got.notice_size, sent.notice_size);
        assert_memory_equal(got.notice, sent.notice, sent.notice_size);
    }
}

static void every_flipped_bit_of_a_verdict_is_refused(void **state)
{
    struct cn_admission_verdict verdict = { .server_time = 5 };
    struct cn_admission_line a, b;
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    assert_err(hello_read(message, &hello), CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &admitted, server_ephemeral, message, &b), CN_OK);
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        struct cn_noise fresh = noise;

        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cn_admission_verdict_read(&fresh, message, &verdict, &a), CN_E_AUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(verdict.server_time, 5);
}

static void a_verdict_that_makes_no_sense_is_refused(void **state)
{
    enum { COUNT_AT = 1 + 8, KEEP_ALIVE_AT = COUNT_AT + 2 + 4, NOTICE_AT = KEEP_ALIVE_AT + 8 };
    static const struct {
        const char *why;
        uint8_t verdict;
        uint8_t tag_count;
        uint8_t keep_alive;
        uint16_t notice_size;
        const char *result;
    } rows[] = {
        { "good", 0, 1, 1, 0, "CN_OK" },
        { "the largest notice", 0, 1, 1, CN_NOTICE_SIZE_MAX, "CN_OK" },
        { "refused, so without limits", 3, 0, 0, 0, "CN_OK" },
        { "no such verdict", CN_VERDICT_COUNT, 1, 1, 0, "CN_E_FORMAT" },
        { "no such verdict", 0xff, 1, 1, 0, "CN_E_FORMAT" },
        { "admitted with no tags", 0, 0, 1, 0, "CN_E_FORMAT" },
        { "admitted without keep-alive", 0, 1, 0, 0, "CN_E_FORMAT" },
        { "a notice longer than any", 0, 1, 1, CN_NOTICE_SIZE_MAX + 1, "CN_E_FORMAT" },
        { "a notice longer than the message", 0, 1, 1, 0xffff, "CN_E_FORMAT" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t payload[VERDICT_PAYLOAD_SIZE] = { rows[i].verdict };
        struct cn_admission_verdict verdict;
        struct cn_admission_line line;
        struct cn_admission_hello hello;
        uint8_t message[CN_ADMISSION_SIZE];
        struct cn_noise noise;
        const char *result;

        payload[COUNT_AT + 1] = rows[i].tag_count;
        payload[KEEP_ALIVE_AT + 3] = rows[i].keep_alive;
        payload[NOTICE_AT] = (uint8_t)(rows[i].notice_size >> 8);
        payload[NOTICE_AT + 1] = (uint8_t)rows[i].notice_size;
        hello_write(&noise, message);
        assert_err(hello_read(message, &hello), CN_OK);
        assert_err(
            cn_noise_write2(&hello.noise, server_ephemeral, payload, sizeof payload, message),
            CN_OK);
        result = err_name(cn_admission_verdict_read(&noise, message, &verdict, &line));
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("%s: %s", rows[i].why, result);
    }
}

static void a_false_server_cannot_answer(void **state)
{
    static const struct cn_server_secret false_secret = { { 0, 79 } };
    struct cn_admission_verdict verdict;
    struct cn_admission_line line;
    struct cn_admission_hello hello;
    uint8_t message[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    hello_write(&noise, message);
    assert_err(hello_read(message, &hello), CN_OK);
    /* it saw the hello and knows all but the server's key */
    memcpy(hello.noise.my_static.secret, false_secret.bytes, CN_X25519_SIZE);
    memset(hello.noise.chaining_key, 0, sizeof hello.noise.chaining_key);
    assert_err(cn_admission_verdict_write(&hello, &admitted, server_ephemeral, message, &line),
               CN_OK);
    assert_err(cn_admission_verdict_read(&noise, message, &verdict, &line), CN_E_AUTH);
}

static void a_replayed_hello_registers_nothing(void **state)
{
    static const uint8_t other_ephemeral[CN_X25519_SIZE] = { 0, 23 };
    struct cn_admission_message message = { .type = CN_ADMISSION_REGISTER, .entry_count = 1 };
    struct cn_admission_line subscriber, first, second;
    struct cn_admission_verdict verdict;
    struct cn_admission_hello hello;
    uint8_t said[CN_ADMISSION_SIZE];
    uint8_t answer[CN_ADMISSION_SIZE];
    uint8_t registers[CN_ADMISSION_SIZE];
    struct cn_noise noise;

    (void)state;
    message.entry[0].mode = CN_MODE_INPUT;
    hello_write(&noise, said);
    assert_err(hello_read(said, &hello), CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &admitted, server_ephemeral, answer, &first),
               CN_OK);
    assert_err(cn_admission_verdict_read(&noise, answer, &verdict, &subscriber), CN_OK);
    assert_err(cn_admission_seal(&subscriber, &crypto, &message, registers), CN_OK);

    /* the eavesdropper says all of it again */
    assert_err(hello_read(said, &hello), CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &admitted, other_ephemeral, answer, &second),
               CN_OK);
    assert_err(cn_admission_open(&second, &crypto, registers, &message), CN_E_AUTH);
    assert_err(cn_admission_open(&first, &crypto, registers, &message), CN_OK);
}

static void every_type_comes_back_both_ways(void **state)
{
    struct cn_admission_line subscriber, at_server;

    (void)state;
    admit(&subscriber, &at_server);
    for (int type = CN_ADMISSION_REGISTER; type < CN_ADMISSION_TYPE_COUNT; type++) {
        bool tells_entries = type == CN_ADMISSION_REGISTER || type == CN_ADMISSION_UPDATE;
        struct cn_admission_message sent = { .type = (enum cn_admission_type)type };
        uint8_t message[CN_ADMISSION_SIZE];

        sent.more = tells_entries;
        sent.entry_count = tells_entries                 ? CN_ADMISSION_ENTRY_COUNT_MAX
                           : type == CN_ADMISSION_JOINED ? 1
                                                         : 0;
        for (size_t i = 0; i < sent.entry_count; i++) {
            sent.entry[i].mode = i % 2 ? CN_MODE_INPUT : CN_MODE_OUTPUT;
            fill((uint8_t)i, sent.entry[i].tag, CN_TAG_SIZE);
        }
        if (type == CN_ADMISSION_GOAWAY)
            sent.spread_s = 0x01020304;
        if (type == CN_ADMISSION_REFUSED)
            sent.reason = CN_VERDICT_OVER_LIMIT;
        for (int way = 0; way < 2; way++) {
            struct cn_admission_message got;

            memset(&got, 0xee, sizeof got);
            assert_err(cn_admission_seal(way ? &at_server : &subscriber, &crypto, &sent, message),
                       CN_OK);
            assert_err(cn_admission_open(way ? &subscriber : &at_server, &crypto, message, &got),
                       CN_OK);
            assert_int_equal(got.type, type);
            assert_int_equal(got.more, sent.more);
            assert_int_equal(got.entry_count, sent.entry_count);
            assert_memory_equal(got.entry, sent.entry, sizeof sent.entry);
            assert_int_equal(got.spread_s, sent.spread_s);
            assert_int_equal(got.reason, sent.reason);
        }
    }
}

static void every_flipped_bit_of_a_message_is_refused(void **state)
{
    struct cn_admission_message keep_alive = { .type = CN_ADMISSION_KEEP_ALIVE };
    struct cn_admission_message got = { .spread_s = 5 };
    struct cn_admission_line subscriber, at_server;
    uint8_t message[CN_ADMISSION_SIZE];

    (void)state;
    admit(&subscriber, &at_server);
    assert_err(cn_admission_seal(&subscriber, &crypto, &keep_alive, message), CN_OK);
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cn_admission_open(&at_server, &crypto, message, &got), CN_E_AUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(got.spread_s, 5);
    assert_err(cn_admission_open(&at_server, &crypto, message, &got), CN_OK);
}

static void a_message_counts_once_in_order_and_one_way(void **state)
{
    struct cn_admission_message keep_alive = { .type = CN_ADMISSION_KEEP_ALIVE };
    struct cn_admission_message got;
    struct cn_admission_line subscriber, at_server;
    uint8_t one[CN_ADMISSION_SIZE];
    uint8_t two[CN_ADMISSION_SIZE];

    (void)state;
    admit(&subscriber, &at_server);
    assert_err(cn_admission_seal(&subscriber, &crypto, &keep_alive, one), CN_OK);
    assert_err(cn_admission_seal(&subscriber, &crypto, &keep_alive, two), CN_OK);
    assert_err(cn_admission_open(&subscriber, &crypto, one, &got), CN_E_AUTH); /* sent back */
    assert_err(cn_admission_open(&at_server, &crypto, two, &got), CN_E_AUTH);
    assert_err(cn_admission_open(&at_server, &crypto, one, &got), CN_OK);
    assert_err(cn_admission_open(&at_server, &crypto, one, &got), CN_E_AUTH);
    assert_err(cn_admission_open(&at_server, &crypto, two, &got), CN_OK);
}

static void authentic_nonsense_is_refused(void **state)
{
    static const struct {
        const char *why;
        uint8_t plain[6]; /* type, more, count, then the first octets behind them */
        const char *result;
    } rows[] = {
        { "one entry", { CN_ADMISSION_REGISTER, 0, 0, 1, CN_MODE_INPUT }, "CN_OK" },
        { "keep-alive", { CN_ADMISSION_KEEP_ALIVE }, "CN_OK" },
        { "type 0", { 0 }, "CN_E_FORMAT" },
        { "type unknown", { CN_ADMISSION_TYPE_COUNT }, "CN_E_FORMAT" },
        { "type 255", { 255 }, "CN_E_FORMAT" },
        { "more is 2", { CN_ADMISSION_REGISTER, 2, 0, 1, CN_MODE_INPUT }, "CN_E_FORMAT" },
        { "more than fit",
          { CN_ADMISSION_REGISTER, 0, 0, CN_ADMISSION_ENTRY_COUNT_MAX + 1, CN_MODE_INPUT },
          "CN_E_FORMAT" },
        { "65535 entries", { CN_ADMISSION_UPDATE, 0, 255, 255, CN_MODE_INPUT }, "CN_E_FORMAT" },
        { "REGISTER of nothing", { CN_ADMISSION_REGISTER, 0, 0, 0 }, "CN_E_FORMAT" },
        { "UPDATE to nothing", { CN_ADMISSION_UPDATE, 0, 0, 0 }, "CN_E_FORMAT" },
        { "JOINED with nothing", { CN_ADMISSION_JOINED, 0, 0, 0 }, "CN_E_FORMAT" },
        { "JOINED with two", { CN_ADMISSION_JOINED, 0, 0, 2, CN_MODE_INPUT }, "CN_E_FORMAT" },
        { "JOINED, more", { CN_ADMISSION_JOINED, 1, 0, 1, CN_MODE_INPUT }, "CN_E_FORMAT" },
        { "READY, more", { CN_ADMISSION_READY, 1 }, "CN_E_FORMAT" },
        { "READY with an entry", { CN_ADMISSION_READY, 0, 0, 1, CN_MODE_INPUT }, "CN_E_FORMAT" },
        { "WAITING with an entry",
          { CN_ADMISSION_WAITING, 0, 0, 1, CN_MODE_INPUT },
          "CN_E_FORMAT" },
        { "mode 0", { CN_ADMISSION_REGISTER, 0, 0, 1, 0 }, "CN_E_FORMAT" },
        { "mode 3", { CN_ADMISSION_REGISTER, 0, 0, 1, 3 }, "CN_E_FORMAT" },
        { "second entry of no mode",
          { CN_ADMISSION_REGISTER, 0, 0, 2, CN_MODE_INPUT },
          "CN_E_FORMAT" },
        { "REFUSED, yet admitted",
          { CN_ADMISSION_REFUSED, 0, 0, 0, CN_VERDICT_ADMITTED },
          "CN_E_FORMAT" },
        { "REFUSED for no known reason",
          { CN_ADMISSION_REFUSED, 0, 0, 0, CN_VERDICT_COUNT },
          "CN_E_FORMAT" },
        { "REFUSED", { CN_ADMISSION_REFUSED, 0, 0, 0, CN_VERDICT_REVOKED }, "CN_OK" },
    };
    struct cn_admission_line subscriber, at_server;

    (void)state;
    admit(&subscriber, &at_server);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t plain[CN_ADMISSION_PLAIN_SIZE] = { 0 };
        uint8_t message[CN_ADMISSION_SIZE];
        struct cn_admission_message got;
        const char *result;

        memcpy(plain, rows[i].plain, sizeof rows[i].plain);
        assert_err(cn_noise_seal(&subscriber.send, &crypto, plain, sizeof plain, message), CN_OK);
        result = err_name(cn_admission_open(&at_server, &crypto, message, &got));
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("%s: %s", rows[i].why, result);
    }
}

static uint64_t number_of(const struct vector *v, const char *name, size_t size)
{
    struct cn_reader r = { .at = vector_octets(v, name, size), .left = size };

    return cn_reader_be(&r, size);
}

/* A field of any length, as text. */
static void text_of(const struct vector *v, const char *name, char *out)
{
    const struct vector_field *f = vector_field(v, name);

    assert_non_null(f);
    memcpy(out, f->octets, f->size);
    out[f->size] = '\0';
}

static void fingerprint_of(const struct vector *v, struct cn_fingerprint *f)
{
    struct cn_operator_secret secret;

    memset(f, 0, sizeof *f);
    f->has_secret = true;
    memcpy(secret.bytes, vector_octets(v, "operator_seed", 32), 32);
    memcpy(f->secret.bytes, vector_octets(v, "admission_secret", 32), 32);
    memcpy(f->server_key.bytes, vector_octets(v, "server_public", 32), 32);
    memcpy(f->operator_key.bytes, vector_octets(v, "operator_public", 32), 32);
    f->certificate.serial = number_of(v, "serial", 8);
    f->certificate.not_before = number_of(v, "not_before", 8);
    f->certificate.not_after = number_of(v, "not_after", 8);
    f->certificate.limits_class = (uint8_t)number_of(v, "limits_class", 1);
    assert_err(cn_x25519_public(f->secret.bytes, f->certificate.admission_key), CN_OK);
    assert_err(cn_certificate_sign(&f->certificate, &secret), CN_OK);
    text_of(v, "label", f->label);
    f->address_count = 2;
    text_of(v, "address_0", f->address[0]);
    text_of(v, "address_1", f->address[1]);
}

/* The armour's body is that field. */
static void body_is(const struct vector *v, const char *name, enum cn_armor_kind kind,
                    const char *text, size_t text_size)
{
    const struct vector_field *f = vector_field(v, name);
    uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX];
    size_t size = 0;

    assert_non_null(f);
    assert_err(cn_armor_decode(&crypto, kind, text, text_size, body, sizeof body, &size), CN_OK);
    assert_int_equal(size, f->size);
    assert_memory_equal(body, f->octets, size);
}

static void files_are_as_in(const struct vector *v, const struct cn_fingerprint *f)
{
    uint8_t certificate[CN_CERTIFICATE_SIZE];
    struct cn_writer w = { .at = certificate, .left = sizeof certificate };
    char text[8192];
    size_t size = 0;

    cn_certificate_encode(&f->certificate, &w);
    assert_memory_equal(certificate, vector_octets(v, "certificate", sizeof certificate),
                        sizeof certificate);
    assert_err(cn_fingerprint_encode(&crypto, f, text, sizeof text, &size), CN_OK);
    body_is(v, "fingerprint", CN_ARMOR_FINGERPRINT, text, size);
    assert_err(cn_request_encode(&crypto, f->certificate.admission_key, text, sizeof text, &size),
               CN_OK);
    body_is(v, "request", CN_ARMOR_REQUEST, text, size);
}

/* Seal what the vector encrypts, by way of our own message; open it at the other side. */
static void message_is_as_in(const struct vector *v, const char *name,
                             struct cn_admission_line *from, struct cn_admission_line *to)
{
    struct cn_admission_line reader = *to;
    struct cn_admission_message m;
    uint8_t plain[CN_ADMISSION_PLAIN_SIZE];
    uint8_t out[CN_ADMISSION_SIZE];
    const uint8_t *wire = vector_octets(v, name, CN_ADMISSION_SIZE);
    char plain_name[64];

    snprintf(plain_name, sizeof plain_name, "%s_plain", name);
    assert_err(cn_admission_open(&reader, &crypto, wire, &m), CN_OK);
    assert_err(cn_noise_open(&to->receive, &crypto, wire, CN_ADMISSION_SIZE, plain), CN_OK);
    assert_memory_equal(plain, vector_octets(v, plain_name, sizeof plain), sizeof plain);
    assert_err(cn_admission_seal(from, &crypto, &m, out), CN_OK);
    assert_memory_equal(out, wire, sizeof out);
}

static void the_line_is_as_in(const struct vector *v, const struct cn_fingerprint *f)
{
    struct cn_admission_line subscriber, at_server;
    struct cn_admission_verdict verdict;
    struct cn_admission_server s;
    struct cn_admission_hello hello;
    struct cn_server_secret secret;
    uint8_t out[CN_ADMISSION_SIZE];
    uint8_t plain[VERDICT_PAYLOAD_SIZE];
    struct cn_noise noise, copy;

    memcpy(secret.bytes, vector_octets(v, "server_secret", 32), 32);
    assert_err(cn_admission_server_init(&s, &crypto, &secret), CN_OK);
    assert_err(
        cn_admission_hello_write(&noise, &crypto, f, vector_octets(v, "init_ephemeral", 32), out),
        CN_OK);
    assert_memory_equal(out, vector_octets(v, "hello", sizeof out), sizeof out);
    assert_err(cn_admission_hello_read(&s, &f->operator_key, 1, out, &hello), CN_OK);

    copy = noise;
    assert_err(cn_noise_read2(&copy, vector_octets(v, "verdict", sizeof out), sizeof out, plain),
               CN_OK);
    assert_memory_equal(plain, vector_octets(v, "verdict_plain", sizeof plain), sizeof plain);
    assert_err(cn_admission_verdict_read(&noise, vector_octets(v, "verdict", sizeof out), &verdict,
                                         &subscriber),
               CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &verdict, vector_octets(v, "resp_ephemeral", 32),
                                          out, &at_server),
               CN_OK);
    assert_memory_equal(out, vector_octets(v, "verdict", sizeof out), sizeof out);

    message_is_as_in(v, "register", &subscriber, &at_server);
    message_is_as_in(v, "waiting", &at_server, &subscriber);
    message_is_as_in(v, "keep_alive", &subscriber, &at_server);
    message_is_as_in(v, "joined", &at_server, &subscriber);
    message_is_as_in(v, "ready", &subscriber, &at_server);
}

static void it_speaks_as_the_vectors(void **state)
{
    FILE *file = fopen("tests/vectors/admission.txt", "r");
    struct cn_fingerprint f;
    struct vector v;
    unsigned count = 0;

    (void)state;
    assert_non_null(file);
    for (; vector_next(file, &v); count++) {
        fingerprint_of(&v, &f);
        files_are_as_in(&v, &f);
        the_line_is_as_in(&v, &f);
        vector_wipe(&v);
    }
    fclose(file);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_speaks_as_the_vectors),
        cmocka_unit_test(the_server_learns_who_says_hello),
        cmocka_unit_test(a_hello_shows_nothing_of_the_certificate),
        cmocka_unit_test(every_flipped_bit_of_a_hello_is_refused),
        cmocka_unit_test(every_flipped_bit_under_a_good_mac_is_refused),
        cmocka_unit_test(a_bad_hello_costs_no_more_than_what_it_gets_past),
        cmocka_unit_test(an_admission_costs_five_operations_and_a_verification),
        cmocka_unit_test(a_refused_hello_leaves_nothing),
        cmocka_unit_test(a_hello_for_another_server_is_refused),
        cmocka_unit_test(the_certificate_of_another_is_refused),
        cmocka_unit_test(a_certificate_changed_in_any_bit_is_refused),
        cmocka_unit_test(only_operators_of_the_list_count),
        cmocka_unit_test(an_ephemeral_of_low_order_is_refused),
        cmocka_unit_test(the_verdict_comes_back),
        cmocka_unit_test(every_flipped_bit_of_a_verdict_is_refused),
        cmocka_unit_test(a_verdict_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_false_server_cannot_answer),
        cmocka_unit_test(a_replayed_hello_registers_nothing),
        cmocka_unit_test(every_type_comes_back_both_ways),
        cmocka_unit_test(every_flipped_bit_of_a_message_is_refused),
        cmocka_unit_test(a_message_counts_once_in_order_and_one_way),
        cmocka_unit_test(authentic_nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
