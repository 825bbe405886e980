/* A notice is believed by whom it is for, in order, and changes nothing otherwise. */
#include "unit.h"

#include "notice.h"
#include "vectors.h"

static const struct cn_operator_secret operator_secret = { { 5, 6, 7 } };
static struct cn_fingerprint mine; /* before any notice */
static struct cn_notice whole;     /* with all parts */
static uint8_t wire[CN_NOTICE_SIZE_MAX];
static size_t wire_size;

static void certificate_make(struct cn_certificate *c, uint64_t serial,
                             const uint8_t admission_key[CN_X25519_SIZE])
{
    *c = (struct cn_certificate) { .serial = serial, .not_before = 3000, .not_after = 4000 };
    memcpy(c->admission_key, admission_key, CN_X25519_SIZE);
    assert_err(cn_certificate_sign(c, &operator_secret), CN_OK);
}

static int setup(void **state)
{
    if (crypto_setup(state) != 0)
        return -1;
    mine.has_secret = true;
    fill(1, mine.secret.bytes, sizeof mine.secret.bytes);
    fill(2, mine.server_key.bytes, sizeof mine.server_key.bytes);
    if (cn_x25519_public(mine.secret.bytes, mine.certificate.admission_key) != CN_OK ||
        cn_ed25519_public(operator_secret.bytes, mine.operator_key.bytes) != CN_OK)
        return -1;
    mine.certificate.serial = 42;
    mine.certificate.not_before = 1000;
    mine.certificate.not_after = 2000;
    if (cn_certificate_sign(&mine.certificate, &operator_secret) != CN_OK)
        return -1;
    strcpy(mine.label, "alice");
    mine.address_count = 1;
    strcpy(mine.address[0], "old.example:7473");

    whole.number = 1000;
    whole.server = mine.server_key;
    memcpy(whole.admission_key, mine.certificate.admission_key, CN_X25519_SIZE);
    whole.parts = CN_NOTICE_PARTS;
    certificate_make(&whole.certificate, 43, whole.admission_key);
    whole.address_count = 2;
    strcpy(whole.address[0], "new.example:7473");
    strcpy(whole.address[1], "[2001:db8::1]:7473");
    fill(3, whole.server_key.bytes, sizeof whole.server_key.bytes);
    return cn_notice_make(&whole, &operator_secret, wire, sizeof wire, &wire_size) == CN_OK ? 0
                                                                                            : -1;
}

static enum cn_err decode(const uint8_t *in, size_t size, struct cn_notice *out)
{
    struct cn_reader r = { .at = in, .left = size };

    return cn_notice_decode(out, &r);
}

/* Sign, encode, decode and take: what a subscriber does who is sent this. */
static enum cn_err sent(const struct cn_notice *notice, const struct cn_operator_secret *secret,
                        struct cn_fingerprint *f)
{
    struct cn_notice n = *notice;
    uint8_t out[CN_NOTICE_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_notice_make(&n, secret, out, sizeof out, &size);

    if (err == CN_OK)
        err = decode(out, size, &n);
    return err == CN_OK ? cn_notice_take(&n, f) : err;
}

/* It is refused, and the fingerprint is what it was. */
static void assert_refused(const char *expected, enum cn_err err, const struct cn_fingerprint *f,
                           const struct cn_fingerprint *before)
{
    assert_string_equal(err_name(err), expected);
    assert_memory_equal(f, before, sizeof *f);
}

static void every_prefix_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t size = 0; size < wire_size; size++) {
        struct cn_notice got = { .number = 99 };

        assert_err(decode(wire, size, &got), CN_E_FORMAT);
        assert_int_equal(got.number, 99);
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * wire_size; bit++) {
        uint8_t changed[sizeof wire];
        struct cn_fingerprint f = mine;
        struct cn_notice got;

        memcpy(changed, wire, sizeof wire);
        changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (decode(changed, wire_size, &got) != CN_OK)
            continue;
        assert_true(cn_notice_take(&got, &f) != CN_OK);
        assert_true(cn_notice_verify(&got, &mine.operator_key) == CN_E_AUTH);
        assert_memory_equal(&f, &mine, sizeof f);
    }
}

static void each_field_is_judged(void **state)
{
    enum {
        NUMBER_AT = 1,
        SERVER_AT = NUMBER_AT + 8,
        KEY_AT = SERVER_AT + 32,
        PARTS_AT = KEY_AT + 32,
        CERTIFICATE_AT = PARTS_AT + 1,
        COUNT_AT = CERTIFICATE_AT + CN_CERTIFICATE_SIZE,
        ADDRESS_AT = COUNT_AT + 1
    };
    static const struct {
        const char *why;
        size_t at;
        uint8_t octet;
        const char *result;
    } rows[] = {
        { "version 0", 0, 0, "CN_E_VERSION" },
        { "version 2", 0, 2, "CN_E_VERSION" },
        { "for another than its certificate", KEY_AT, 0x55, "CN_E_FORMAT" },
        { "no part", PARTS_AT, 0, "CN_E_FORMAT" },
        { "a part that is unknown", PARTS_AT, 15, "CN_E_FORMAT" },
        { "a certificate of a later version", CERTIFICATE_AT, 2, "CN_E_VERSION" },
        { "no address", COUNT_AT, 0, "CN_E_FORMAT" },
        { "more addresses than any has", COUNT_AT, CN_ADDRESS_COUNT_MAX + 1, "CN_E_FORMAT" },
        { "an address with a space", ADDRESS_AT + 3, ' ', "CN_E_FORMAT" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t changed[sizeof wire];
        struct cn_notice got;
        const char *result;

        memcpy(changed, wire, sizeof wire);
        changed[rows[i].at] = rows[i].octet;
        result = err_name(decode(changed, wire_size, &got));
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("%s: %s", rows[i].why, result);
    }
}

static void number_0_is_refused(void **state)
{
    struct cn_notice none = whole;
    struct cn_fingerprint f = mine;

    (void)state;
    none.number = 0;
    assert_refused("CN_E_FORMAT", sent(&none, &operator_secret, &f), &f, &mine);
}

static void a_certificate_for_everybody_is_refused(void **state)
{
    static const uint8_t zeros[CN_X25519_SIZE] = { 0 };
    struct cn_notice all = whole;
    struct cn_fingerprint f = mine;

    (void)state;
    memset(all.admission_key, 0, sizeof all.admission_key);
    assert_refused("CN_E_FORMAT", sent(&all, &operator_secret, &f), &f, &mine);
    certificate_make(&all.certificate, 44, zeros);
    assert_refused("CN_E_FORMAT", sent(&all, &operator_secret, &f), &f, &mine);
}

static void another_operators_is_refused(void **state)
{
    static const struct cn_operator_secret other = { { 5, 6, 8 } };
    struct cn_fingerprint f = mine;

    (void)state;
    assert_refused("CN_E_AUTH", sent(&whole, &other, &f), &f, &mine);
}

static void one_with_another_operators_certificate_is_refused(void **state)
{
    static const struct cn_operator_secret other = { { 5, 6, 8 } };
    struct cn_notice n = whole;
    struct cn_fingerprint f = mine;

    (void)state;
    assert_err(cn_certificate_sign(&n.certificate, &other), CN_OK);
    assert_refused("CN_E_AUTH", sent(&n, &operator_secret, &f), &f, &mine);
}

static void one_for_another_server_is_refused(void **state)
{
    struct cn_notice n = whole;
    struct cn_fingerprint f = mine;

    (void)state;
    n.server.bytes[31] ^= 1;
    assert_refused("CN_E_SERVER", sent(&n, &operator_secret, &f), &f, &mine);
}

static void one_for_another_subscriber_is_refused(void **state)
{
    struct cn_notice n = whole;
    struct cn_fingerprint f = mine;

    (void)state;
    n.admission_key[31] ^= 1;
    certificate_make(&n.certificate, 44, n.admission_key);
    assert_refused("CN_E_KEY", sent(&n, &operator_secret, &f), &f, &mine);
}

static void all_its_parts_are_taken(void **state)
{
    struct cn_fingerprint f = mine;

    (void)state;
    assert_err(sent(&whole, &operator_secret, &f), CN_OK);
    assert_int_equal(f.notice_number, 1000);
    assert_int_equal(f.certificate.serial, 43);
    assert_int_equal(f.address_count, 2);
    assert_string_equal(f.address[0], "new.example:7473");
    assert_string_equal(f.address[1], "[2001:db8::1]:7473");
    assert_memory_equal(f.server_key.bytes, whole.server_key.bytes, 32);
    assert_memory_equal(cn_fingerprint_server(&f)->bytes, mine.server_key.bytes, 32);
    assert_memory_equal(f.secret.bytes, mine.secret.bytes, 32);
    assert_string_equal(f.label, "alice");
}

static void a_part_leaves_the_others_alone(void **state)
{
    static const enum cn_notice_part parts[] = { CN_NOTICE_CERTIFICATE, CN_NOTICE_ADDRESSES,
                                                 CN_NOTICE_SERVER_KEY };

    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct cn_fingerprint f = mine;
        struct cn_notice n = whole;

        n.parts = (uint8_t)parts[i];
        if (parts[i] != CN_NOTICE_CERTIFICATE)
            memset(n.admission_key, 0, sizeof n.admission_key); /* for everybody */
        assert_err(sent(&n, &operator_secret, &f), CN_OK);
        assert_int_equal(f.certificate.serial, parts[i] == CN_NOTICE_CERTIFICATE ? 43 : 42);
        assert_int_equal(f.address_count, parts[i] == CN_NOTICE_ADDRESSES ? 2 : 1);
        assert_int_equal(f.has_first_key, parts[i] == CN_NOTICE_SERVER_KEY);
    }
}

static void the_same_again_and_an_older_one_are_known(void **state)
{
    struct cn_fingerprint f = mine;
    struct cn_fingerprint taken;
    struct cn_notice n = whole;

    (void)state;
    assert_err(sent(&whole, &operator_secret, &f), CN_OK);
    taken = f;
    assert_refused("CN_E_KNOWN", sent(&whole, &operator_secret, &f), &f, &taken);
    n.number = 999;
    certificate_make(&n.certificate, 50, n.admission_key);
    assert_refused("CN_E_KNOWN", sent(&n, &operator_secret, &f), &f, &taken);
    n.number = 1001;
    assert_err(sent(&n, &operator_secret, &f), CN_OK);
    assert_int_equal(f.certificate.serial, 50);
}

/* Cards name the first key for ever, and so do notices. */
static void the_server_keeps_its_name_when_its_key_changes_twice(void **state)
{
    struct cn_fingerprint f = mine;
    struct cn_notice n = whole;

    (void)state;
    assert_err(sent(&whole, &operator_secret, &f), CN_OK);
    n.number++;
    n.server_key.bytes[0] ^= 1;
    assert_err(sent(&n, &operator_secret, &f), CN_OK);
    assert_memory_equal(f.server_key.bytes, n.server_key.bytes, 32);
    assert_memory_equal(cn_fingerprint_server(&f)->bytes, mine.server_key.bytes, 32);
    n.number++;
    n.server = whole.server_key; /* a later key is not its name */
    assert_err(sent(&n, &operator_secret, &f), CN_E_SERVER);
}

static void too_much_to_say_is_told(void **state)
{
    struct cn_notice n = whole;
    uint8_t out[CN_NOTICE_SIZE_MAX];
    size_t size = 77;

    (void)state;
    for (size_t room = 0; room < wire_size; room++)
        assert_err(cn_notice_make(&n, &operator_secret, out, room, &size), CN_E_FULL);
    n.address_count = CN_ADDRESS_COUNT_MAX;
    for (size_t i = 0; i < CN_ADDRESS_COUNT_MAX; i++) {
        memset(n.address[i], 'h', CN_ADDRESS_SIZE_MAX);
        memcpy(n.address[i] + CN_ADDRESS_SIZE_MAX - 6, ":65535", 7);
    }
    assert_err(cn_notice_make(&n, &operator_secret, out, sizeof out, &size), CN_E_FULL);
    assert_int_equal(size, 77);
}

static void several_follow_one_another(void **state)
{
    uint8_t two[2 * CN_NOTICE_SIZE_MAX];
    struct cn_reader r = { .at = two, .left = 2 * wire_size };
    struct cn_notice got;

    (void)state;
    memcpy(two, wire, wire_size);
    memcpy(two + wire_size, wire, wire_size);
    assert_err(cn_notice_decode(&got, &r), CN_OK);
    assert_int_equal(r.left, wire_size);
    assert_err(cn_notice_decode(&got, &r), CN_OK);
    assert_true(cn_reader_done(&r));
}

static void a_renewal_has_the_size_that_is_said(void **state)
{
    struct cn_notice n = whole;
    uint8_t out[CN_NOTICE_RENEWAL_SIZE];
    size_t size = 0;

    (void)state;
    n.parts = CN_NOTICE_CERTIFICATE;
    assert_err(cn_notice_make(&n, &operator_secret, out, sizeof out, &size), CN_OK);
    assert_int_equal(size, CN_NOTICE_RENEWAL_SIZE);
}

/* Made by another implementation: tests/interop/test_notice_vectors.py. */
static void the_vectors_are_made_and_read(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        uint8_t parts;
        bool for_everybody;
    } rows[] = {
        { "renewal", 1731000000, CN_NOTICE_CERTIFICATE, false },
        { "move", 1731000001, CN_NOTICE_ADDRESSES, true },
        { "rekey", 1731000002, CN_NOTICE_SERVER_KEY, true },
        { "all", 1731000003, CN_NOTICE_PARTS, false },
    };
    FILE *file = fopen("tests/vectors/notice.txt", "r");
    struct vector v = { 0 };
    struct cn_operator_secret secret;

    (void)state;
    assert_non_null(file);
    assert_true(vector_next(file, &v));
    memcpy(secret.bytes, vector_field(&v, "operator_seed")->octets, sizeof secret.bytes);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct vector_field *f = vector_field(&v, rows[i].name);
        struct cn_fingerprint fingerprint = { .address_count = 1 };
        uint8_t again[CN_NOTICE_SIZE_MAX];
        struct cn_notice n;
        size_t size = 0;

        assert_err(decode(f->octets, f->size, &n), CN_OK);
        assert_int_equal(n.number, rows[i].number);
        assert_int_equal(n.parts, rows[i].parts);
        assert_err(cn_notice_make(&n, &secret, again, sizeof again, &size), CN_OK);
        assert_int_equal(size, f->size);
        assert_memory_equal(again, f->octets, size);
        memcpy(fingerprint.server_key.bytes, vector_field(&v, "server")->octets, 32);
        memcpy(fingerprint.operator_key.bytes, vector_field(&v, "operator_public")->octets, 32);
        assert_string_equal(err_name(cn_notice_take(&n, &fingerprint)),
                            rows[i].for_everybody ? "CN_OK" : "CN_E_KEY");
        memcpy(fingerprint.certificate.admission_key, vector_field(&v, "admission_key")->octets,
               32);
        assert_string_equal(err_name(cn_notice_take(&n, &fingerprint)),
                            rows[i].for_everybody ? "CN_E_KNOWN" : "CN_OK");
    }
    vector_wipe(&v);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_refused_and_changes_nothing),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(each_field_is_judged),
        cmocka_unit_test(number_0_is_refused),
        cmocka_unit_test(a_certificate_for_everybody_is_refused),
        cmocka_unit_test(another_operators_is_refused),
        cmocka_unit_test(one_with_another_operators_certificate_is_refused),
        cmocka_unit_test(one_for_another_server_is_refused),
        cmocka_unit_test(one_for_another_subscriber_is_refused),
        cmocka_unit_test(all_its_parts_are_taken),
        cmocka_unit_test(a_part_leaves_the_others_alone),
        cmocka_unit_test(the_same_again_and_an_older_one_are_known),
        cmocka_unit_test(the_server_keeps_its_name_when_its_key_changes_twice),
        cmocka_unit_test(too_much_to_say_is_told),
        cmocka_unit_test(several_follow_one_another),
        cmocka_unit_test(a_renewal_has_the_size_that_is_said),
        cmocka_unit_test(the_vectors_are_made_and_read),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
