/* A certificate that was cut, changed or signed by another is refused. */
#include "unit.h"

#include "certificate.h"

static const struct cn_operator_secret operator_secret = { { 1, 2, 3 } };
static struct cn_operator_public operator_public;
static struct cn_certificate good;
static uint8_t wire[CN_CERTIFICATE_SIZE];

static int setup(void **state)
{
    struct cn_writer w = { .at = wire, .left = sizeof wire };

    if (crypto_setup(state) != 0 ||
        cn_ed25519_public(operator_secret.bytes, operator_public.bytes) != CN_OK)
        return -1;
    good = (struct cn_certificate) {
        .serial = 0x0123456789abcdef, .not_before = 1000, .not_after = 2000, .limits_class = 7
    };
    fill(1, good.admission_key, sizeof good.admission_key);
    if (cn_certificate_sign(&good, &operator_secret) != CN_OK)
        return -1;
    cn_certificate_encode(&good, &w);
    return cn_writer_ok(&w) && w.left == 0 ? 0 : -1;
}

static enum cn_err decode(const uint8_t *in, size_t size, struct cn_certificate *out)
{
    struct cn_reader r = { .at = in, .left = size };

    return cn_certificate_decode(out, &r);
}

static void it_comes_back_whole_and_verifies(void **state)
{
    struct cn_certificate got = { 0 };

    (void)state;
    assert_err(decode(wire, sizeof wire, &got), CN_OK);
    assert_int_equal(got.serial, good.serial);
    assert_memory_equal(got.admission_key, good.admission_key, sizeof good.admission_key);
    assert_int_equal(got.not_before, 1000);
    assert_int_equal(got.not_after, 2000);
    assert_int_equal(got.limits_class, 7);
    assert_memory_equal(got.signature, good.signature, sizeof good.signature);
    assert_err(cn_certificate_verify(&got, &operator_public), CN_OK);
}

static void what_follows_is_left_to_the_reader(void **state)
{
    uint8_t more[CN_CERTIFICATE_SIZE + 3];
    struct cn_reader r = { .at = more, .left = sizeof more };
    struct cn_certificate got;

    (void)state;
    memcpy(more, wire, sizeof wire);
    assert_err(cn_certificate_decode(&got, &r), CN_OK);
    assert_int_equal(r.left, 3);
}

static void every_prefix_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof wire; size++) {
        struct cn_certificate got = { .serial = 99 };

        assert_err(decode(wire, size, &got), CN_E_FORMAT);
        assert_int_equal(got.serial, 99);
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof wire; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct cn_certificate got = { 0 };
            uint8_t changed[sizeof wire];
            enum cn_err err;

            memcpy(changed, wire, sizeof wire);
            changed[at] ^= (uint8_t)(1 << bit);
            err = decode(changed, sizeof changed, &got);
            if (at == 0)
                assert_err(err, CN_E_VERSION);
            else if (err == CN_OK)
                assert_err(cn_certificate_verify(&got, &operator_public), CN_E_AUTH);
            else
                assert_err(err, CN_E_FORMAT); /* ends before it begins */
        }
    }
}

static void one_that_ends_before_it_begins_is_refused(void **state)
{
    static const struct {
        uint64_t not_before;
        uint64_t not_after;
        const char *result;
    } rows[] = {
        { 5, 5, "CN_E_FORMAT" },          { 5, 4, "CN_E_FORMAT" },    { 5, 6, "CN_OK" },
        { UINT64_MAX, 0, "CN_E_FORMAT" }, { 0, UINT64_MAX, "CN_OK" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_certificate c = good;
        struct cn_certificate got;
        uint8_t out[CN_CERTIFICATE_SIZE];
        struct cn_writer w = { .at = out, .left = sizeof out };

        c.not_before = rows[i].not_before;
        c.not_after = rows[i].not_after;
        cn_certificate_encode(&c, &w);
        assert_string_equal(err_name(decode(out, sizeof out, &got)), rows[i].result);
    }
}

static void another_operators_is_refused(void **state)
{
    static const struct cn_operator_secret other = { { 1, 2, 4 } };
    struct cn_certificate forged = good;

    (void)state;
    assert_err(cn_certificate_sign(&forged, &other), CN_OK);
    assert_err(cn_certificate_verify(&forged, &operator_public), CN_E_AUTH);
}

static void a_bad_operator_key_verifies_nothing(void **state)
{
    struct cn_operator_public bad;

    (void)state;
    for (int octet = 0; octet < 256; octet++) {
        memset(&bad, octet, sizeof bad);
        assert_true(cn_certificate_verify(&good, &bad) != CN_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back_whole_and_verifies),
        cmocka_unit_test(what_follows_is_left_to_the_reader),
        cmocka_unit_test(every_prefix_is_refused_and_changes_nothing),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(one_that_ends_before_it_begins_is_refused),
        cmocka_unit_test(another_operators_is_refused),
        cmocka_unit_test(a_bad_operator_key_verifies_nothing),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
