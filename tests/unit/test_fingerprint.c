/* Fingerprints and requests: whole and consistent, or refused with the reason. */
#include "unit.h"

#include "armor.h"
#include "fingerprint.h"

enum { TEXT_SIZE_MAX = 8192 };

static const struct cn_operator_secret operator_secret = { { 5, 6, 7 } };
static struct cn_fingerprint good;
static char text[TEXT_SIZE_MAX];
static size_t text_size;
static uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX + 64];
static size_t body_size;

static int setup(void **state)
{
    bool ok = crypto_setup(state) == 0;

    good.has_secret = true;
    fill(1, good.secret.bytes, sizeof good.secret.bytes);
    fill(2, good.server_key.bytes, sizeof good.server_key.bytes);
    good.certificate.serial = 42;
    good.certificate.not_before = 1000;
    good.certificate.not_after = 2000;
    strcpy(good.label, "alice");
    good.address_count = 2;
    strcpy(good.address[0], "server.example:7473");
    strcpy(good.address[1], "[2001:db8::1]:7473");
    ok = ok && cn_x25519_public(good.secret.bytes, good.certificate.admission_key) == CN_OK &&
         cn_certificate_sign(&good.certificate, &operator_secret) == CN_OK &&
         cn_ed25519_public(operator_secret.bytes, good.operator_key.bytes) == CN_OK &&
         cn_fingerprint_encode(&crypto, &good, text, sizeof text, &text_size) == CN_OK &&
         cn_armor_decode(&crypto, CN_ARMOR_FINGERPRINT, text, text_size, body, sizeof body,
                         &body_size) == CN_OK;
    return ok ? 0 : -1;
}

static enum cn_err decode(const char *in, size_t size)
{
    struct cn_fingerprint got;

    return cn_fingerprint_decode(&crypto, in, size, &got);
}

/* Armour a body that no encoder of ours would write. */
static enum cn_err decode_body(const uint8_t *in, size_t size)
{
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;

    assert_err(
        cn_armor_encode(&crypto, CN_ARMOR_FINGERPRINT, in, size, made, sizeof made, &made_size),
        CN_OK);
    return decode(made, made_size);
}

static enum cn_err decode_changed(const struct cn_fingerprint *f)
{
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;

    assert_err(cn_fingerprint_encode(&crypto, f, made, sizeof made, &made_size), CN_OK);
    return decode(made, made_size);
}

static void all_of_it_comes_back(void **state)
{
    struct cn_fingerprint got;

    (void)state;
    memset(&got, 0xee, sizeof got);
    assert_err(cn_fingerprint_decode(&crypto, text, text_size, &got), CN_OK);
    assert_int_equal(got.certificate.serial, 42);
    assert_true(got.has_secret);
    assert_memory_equal(got.secret.bytes, good.secret.bytes, 32);
    assert_memory_equal(got.server_key.bytes, good.server_key.bytes, 32);
    assert_memory_equal(got.operator_key.bytes, good.operator_key.bytes, 32);
    assert_string_equal(got.label, "alice");
    assert_int_equal(got.address_count, 2);
    assert_string_equal(got.address[0], "server.example:7473");
    assert_string_equal(got.address[1], "[2001:db8::1]:7473");
}

static void one_without_a_secret_holds_none(void **state)
{
    struct cn_fingerprint bare = good;
    struct cn_fingerprint got;
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;
    uint8_t raw[CN_FINGERPRINT_BODY_SIZE_MAX];
    size_t raw_size = 0;

    (void)state;
    bare.has_secret = false;
    assert_err(cn_fingerprint_encode(&crypto, &bare, made, sizeof made, &made_size), CN_OK);
    assert_err(cn_fingerprint_decode(&crypto, made, made_size, &got), CN_OK);
    assert_false(got.has_secret);
    for (size_t i = 0; i < sizeof got.secret.bytes; i++)
        assert_int_equal(got.secret.bytes[i], 0);
    assert_err(
        cn_armor_decode(&crypto, CN_ARMOR_FINGERPRINT, made, made_size, raw, sizeof raw, &raw_size),
        CN_OK);
    assert_null(memmem(raw, raw_size, good.secret.bytes, sizeof good.secret.bytes));
    assert_non_null(memmem(body, body_size, good.secret.bytes, sizeof good.secret.bytes));
}

static void the_largest_fits(void **state)
{
    struct cn_fingerprint large = good;

    (void)state;
    memset(large.label, 'a', CN_NAME_SIZE_MAX);
    large.label[CN_NAME_SIZE_MAX] = '\0';
    large.address_count = CN_ADDRESS_COUNT_MAX;
    for (size_t i = 0; i < CN_ADDRESS_COUNT_MAX; i++) {
        memset(large.address[i], 'h', CN_ADDRESS_SIZE_MAX);
        memcpy(large.address[i] + CN_ADDRESS_SIZE_MAX - 6, ":65535", 7);
    }
    assert_err(decode_changed(&large), CN_OK);
}

static void every_prefix_of_the_text_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < text_size - 1; size++)
        assert_true(decode(text, size) != CN_OK);
}

static void every_flipped_bit_of_the_text_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < text_size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            text[at] = (char)(text[at] ^ 1 << bit);
            assert_true(decode(text, text_size) != CN_OK);
            text[at] = (char)(text[at] ^ 1 << bit);
        }
    }
    assert_err(decode(text, text_size), CN_OK);
}

static void every_prefix_of_the_body_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < body_size; size++)
        assert_err(decode_body(body, size), CN_E_FORMAT);
}

static void what_follows_the_body_is_refused(void **state)
{
    (void)state;
    body[body_size] = 0;
    assert_err(decode_body(body, body_size), CN_OK);
    assert_err(decode_body(body, body_size + 1), CN_E_FORMAT);
}

static void a_body_longer_than_any_is_refused(void **state)
{
    static uint8_t longer[CN_FINGERPRINT_BODY_SIZE_MAX + 1];

    (void)state;
    memcpy(longer, body, body_size);
    assert_err(decode_body(longer, sizeof longer), CN_E_FULL);
}

static void each_field_is_judged(void **state)
{
    enum {
        SECRET_AT = 1 + CN_CERTIFICATE_SIZE,
        OPERATOR_AT = SECRET_AT + 1 + 32 + 32,
        LABEL_AT = OPERATOR_AT + 32,
        COUNT_AT = LABEL_AT + 1 + 5,
        ADDRESS_AT = COUNT_AT + 1
    };
    static const struct {
        const char *why;
        size_t at;
        uint8_t octet;
        const char *result;
    } rows[] = {
        { "version 0", 0, 0, "CN_E_VERSION" },
        { "version 2, and nothing of it", 0, 2, "CN_E_FORMAT" },
        { "version 3", 0, 3, "CN_E_VERSION" },
        { "version of the certificate", 1, 2, "CN_E_VERSION" },
        { "serial changed", 9, 43, "CN_E_AUTH" },
        { "neither with nor without a secret", SECRET_AT, 2, "CN_E_FORMAT" },
        { "the secret of another", SECRET_AT + 5, 0x55, "CN_E_KEY" },
        { "another operator", OPERATOR_AT + 5, 0x55, "CN_E_AUTH" },
        { "empty label", LABEL_AT, 0, "CN_E_FORMAT" },
        { "a control character in the label", LABEL_AT + 2, '\n', "CN_E_FORMAT" },
        { "a NUL in the label", LABEL_AT + 2, 0, "CN_E_FORMAT" },
        { "a label longer than any", LABEL_AT, CN_NAME_SIZE_MAX + 1, "CN_E_FORMAT" },
        { "no address", COUNT_AT, 0, "CN_E_FORMAT" },
        { "an address too few", COUNT_AT, 1, "CN_E_FORMAT" },
        { "an address too many", COUNT_AT, 3, "CN_E_FORMAT" },
        { "more addresses than any has", COUNT_AT, CN_ADDRESS_COUNT_MAX + 1, "CN_E_FORMAT" },
        { "an address with a space", ADDRESS_AT + 3, ' ', "CN_E_FORMAT" },
        { "an address with a NUL", ADDRESS_AT + 3, 0, "CN_E_FORMAT" },
        { "an address that ends early", ADDRESS_AT, 3, "CN_E_FORMAT" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t changed[sizeof body];
        const char *result;

        memcpy(changed, body, body_size);
        changed[rows[i].at] = rows[i].octet;
        result = err_name(decode_body(changed, body_size));
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("%s: %s", rows[i].why, result);
    }
}

/* What a notice has changed is version 2, and nothing else is. */
static void one_that_a_notice_has_changed_comes_back(void **state)
{
    struct cn_fingerprint noticed = good;
    struct cn_fingerprint got;
    char made[TEXT_SIZE_MAX];
    uint8_t raw[sizeof body];
    size_t made_size = 0;
    size_t raw_size = 0;

    (void)state;
    noticed.notice_number = 0x0123456789abcdef;
    for (int has_first_key = 0; has_first_key < 2; has_first_key++) {
        noticed.has_first_key = has_first_key;
        fill(9, noticed.first_key.bytes, has_first_key ? 32 : 0);
        assert_err(cn_fingerprint_encode(&crypto, &noticed, made, sizeof made, &made_size), CN_OK);
        assert_err(cn_fingerprint_decode(&crypto, made, made_size, &got), CN_OK);
        assert_int_equal(got.notice_number, noticed.notice_number);
        assert_int_equal(got.has_first_key, has_first_key);
        assert_memory_equal(got.first_key.bytes, noticed.first_key.bytes, 32);
        assert_memory_equal(cn_fingerprint_server(&got)->bytes,
                            has_first_key ? noticed.first_key.bytes : good.server_key.bytes, 32);
        assert_err(cn_armor_decode(&crypto, CN_ARMOR_FINGERPRINT, made, made_size, raw, sizeof raw,
                                   &raw_size),
                   CN_OK);
        assert_int_equal(raw[0], CN_FINGERPRINT_VERSION_NOTICED);
        assert_int_equal(raw_size, body_size + 9 + (has_first_key ? 32 : 0));
        for (size_t size = 0; size < raw_size; size++)
            assert_err(decode_body(raw, size), CN_E_FORMAT);
        raw[body_size + 8] = 2;
        assert_err(decode_body(raw, raw_size), CN_E_FORMAT);
        raw[body_size + 8] = (uint8_t)has_first_key;
        memset(raw + body_size, 0, 8); /* number 0: version 1 says that */
        assert_err(decode_body(raw, raw_size), CN_E_FORMAT);
    }
}

static void a_refused_one_changes_nothing(void **state)
{
    struct cn_fingerprint got;
    struct cn_fingerprint before;
    uint8_t changed[sizeof body];
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;

    (void)state;
    memset(&got, 0xee, sizeof got);
    before = got;
    memcpy(changed, body, body_size);
    changed[1 + CN_CERTIFICATE_SIZE + 5] ^= 1; /* the secret: noticed last of all */
    assert_err(cn_armor_encode(&crypto, CN_ARMOR_FINGERPRINT, changed, body_size, made, sizeof made,
                               &made_size),
               CN_OK);
    assert_err(cn_fingerprint_decode(&crypto, made, made_size, &got), CN_E_KEY);
    assert_memory_equal(&got, &before, sizeof got);
}

static void another_kind_is_refused_as_that(void **state)
{
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;
    uint8_t key[CN_X25519_SIZE];

    (void)state;
    assert_err(
        cn_request_encode(&crypto, good.certificate.admission_key, made, sizeof made, &made_size),
        CN_OK);
    assert_err(decode(made, made_size), CN_E_KIND);
    assert_err(cn_request_decode(&crypto, text, text_size, key), CN_E_KIND);
}

static void too_little_room_is_told(void **state)
{
    char made[TEXT_SIZE_MAX];
    size_t made_size = 77;

    (void)state;
    for (size_t room = 0; room < text_size; room++)
        assert_err(cn_fingerprint_encode(&crypto, &good, made, room, &made_size), CN_E_FULL);
    assert_int_equal(made_size, 77);
    assert_err(cn_fingerprint_encode(&crypto, &good, made, text_size, &made_size), CN_OK);
}

static void a_request_comes_back(void **state)
{
    char made[512];
    size_t made_size = 0;
    uint8_t key[CN_X25519_SIZE];

    (void)state;
    assert_err(
        cn_request_encode(&crypto, good.certificate.admission_key, made, sizeof made, &made_size),
        CN_OK);
    assert_err(cn_request_decode(&crypto, made, made_size, key), CN_OK);
    assert_memory_equal(key, good.certificate.admission_key, sizeof key);
    for (size_t size = 0; size < made_size - 1; size++)
        assert_true(cn_request_decode(&crypto, made, size, key) != CN_OK);
    for (size_t at = 0; at < made_size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            made[at] = (char)(made[at] ^ 1 << bit);
            assert_true(cn_request_decode(&crypto, made, made_size, key) != CN_OK);
            made[at] = (char)(made[at] ^ 1 << bit);
        }
    }
}

static enum cn_err request_decode_body(const uint8_t *in, size_t size, uint8_t key[CN_X25519_SIZE])
{
    char made[TEXT_SIZE_MAX];
    size_t made_size = 0;

    assert_err(cn_armor_encode(&crypto, CN_ARMOR_REQUEST, in, size, made, sizeof made, &made_size),
               CN_OK);
    return cn_request_decode(&crypto, made, made_size, key);
}

static void a_request_of_another_shape_is_refused(void **state)
{
    static uint8_t longer[CN_FINGERPRINT_BODY_SIZE_MAX + 1];
    uint8_t request[CN_REQUEST_BODY_SIZE + 1] = { CN_REQUEST_VERSION };
    uint8_t key[CN_X25519_SIZE] = { 0xee };

    (void)state;
    memcpy(request + 1, good.certificate.admission_key, CN_X25519_SIZE);
    for (size_t size = 0; size < CN_REQUEST_BODY_SIZE; size++)
        assert_err(request_decode_body(request, size, key), CN_E_FORMAT);
    assert_err(request_decode_body(request, sizeof request, key), CN_E_FORMAT);
    request[0] = CN_REQUEST_VERSION + 1;
    assert_err(request_decode_body(request, CN_REQUEST_BODY_SIZE, key), CN_E_VERSION);
    longer[0] = CN_REQUEST_VERSION;
    assert_err(request_decode_body(longer, sizeof longer, key), CN_E_FULL);
    assert_int_equal(key[0], 0xee);
}

/* The points of low order, RFC 7748 section 6.1 and its references. */
static void a_request_with_a_key_of_low_order_is_refused(void **state)
{
    static const uint8_t low[][CN_X25519_SIZE] = {
        { 0 },
        { 1 },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
          0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
          0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
        { 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
          0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
          0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(low); i++) {
        uint8_t request[CN_REQUEST_BODY_SIZE] = { CN_REQUEST_VERSION };
        uint8_t key[CN_X25519_SIZE];

        memcpy(request + 1, low[i], CN_X25519_SIZE);
        assert_err(request_decode_body(request, sizeof request, key), CN_E_KEY);
    }
}

#define TIMES_8(a)  a a a a a a a a
#define TIMES_64(a) TIMES_8(TIMES_8(a))

static void names_and_labels(void **state)
{
    static const struct {
        const char *text;
        bool name;
        bool label;
    } rows[] = {
        { "alice", true, true },
        { "a", true, true },
        { "Z9", true, true },
        { "0x", true, true },
        { "a.b_c-d", true, true },
        { "1.2", true, true },
        { "1-", true, true },
        { "12345", true, false },
        { "0", true, false },
        { TIMES_64("a"), true, true },
        { TIMES_64("a") "a", false, false },
        { "", false, false },
        { ".a", false, false },
        { "-a", false, false },
        { "_a", false, false },
        { "a b", false, false },
        { "a/b", false, false },
        { "../a", false, false },
        { "a\n", false, false },
        { "a\x1b", false, false },
        { "b\xc3\xb6", false, false },
        { "a:b", false, false },
        { "a\"b", false, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (cn_name_valid(rows[i].text) != rows[i].name ||
            cn_label_valid(rows[i].text) != rows[i].label)
            fail_msg("%s", rows[i].text);
    }
}

static void addresses(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        { "server.example:7473", true },
        { "192.0.2.1:1", true },
        { "[::1]:65535", true },
        { "[2001:db8::192.0.2.1]:80", true },
        { "a:1", true },
        { "my_host-1.example:9", true },
        { TIMES_64("host") "x:1", false },
        { "server.example", false },
        { "server.example:", false },
        { ":7473", false },
        { "", false },
        { ":", false },
        { "server.example:0", false },
        { "server.example:65536", false },
        { "server.example:100000", false },
        { "server.example:-1", false },
        { "server.example:+1", false },
        { "server.example: 1", false },
        { "server.example:1 ", false },
        { "server.example:0x10", false },
        { "::1:7473", false },
        { "[]:7473", false },
        { "[::1:7473", false },
        { "::1]:7473", false },
        { "[::g]:7473", false },
        { "[::1]7473", false },
        { "[::1]x:7473", false },
        { "[fe80::1%eth0]:7473", false },
        { "a b:1", false },
        { "a/b:1", false },
        { "*:7473", false },
        { "a\n:1", false },
        { "http://a:1", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (cn_address_valid(rows[i].text) != rows[i].valid)
            fail_msg("%s", rows[i].text);
    }
}

static void what_is_a_service_and_what_is_none(void **state)
{
    static const struct {
        const char *text;
        const char *name;
    } rows[] = {
        { "srv:server.example", "server.example" },
        { "srv:a", "a" },
        { "srv:7000x", "7000x" },
        { "srv:_x-1.example", "_x-1.example" },
        { "srv:7000", NULL }, /* the port 7000 of a host of that name */
        { "srv:70000", NULL },
        { "srv:", NULL },
        { "srv", NULL },
        { "SRV:server.example", NULL },
        { "srv:server.example:7000", NULL },
        { "srv:[::1]", NULL },
        { "srv:a b", NULL },
        { "srv:a\n", NULL },
        { "srv:a/b", NULL },
        { "server.example:7000", NULL },
        { "srv:" TIMES_64("host") "x", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *name = cn_address_service(rows[i].text);

        if (!name != !rows[i].name || (name && strcmp(name, rows[i].name) != 0))
            fail_msg("%s", rows[i].text);
        if (name && (cn_address_valid(rows[i].text) || !cn_address_reachable(rows[i].text)))
            fail_msg("%s", rows[i].text);
    }
    assert_true(cn_address_reachable("srv:7000") && cn_address_reachable("[::1]:1"));
    assert_false(cn_address_reachable("srv:70000") || cn_address_reachable("server.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_comes_back),
        cmocka_unit_test(one_without_a_secret_holds_none),
        cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(every_prefix_of_the_text_is_refused),
        cmocka_unit_test(every_flipped_bit_of_the_text_is_refused),
        cmocka_unit_test(every_prefix_of_the_body_is_refused),
        cmocka_unit_test(what_follows_the_body_is_refused),
        cmocka_unit_test(a_body_longer_than_any_is_refused),
        cmocka_unit_test(each_field_is_judged),
        cmocka_unit_test(one_that_a_notice_has_changed_comes_back),
        cmocka_unit_test(a_refused_one_changes_nothing),
        cmocka_unit_test(another_kind_is_refused_as_that),
        cmocka_unit_test(too_little_room_is_told),
        cmocka_unit_test(a_request_comes_back),
        cmocka_unit_test(a_request_of_another_shape_is_refused),
        cmocka_unit_test(a_request_with_a_key_of_low_order_is_refused),
        cmocka_unit_test(names_and_labels),
        cmocka_unit_test(addresses),
        cmocka_unit_test(what_is_a_service_and_what_is_none),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
