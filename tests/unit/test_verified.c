/* What is known of certificates: a signature that was verified is not verified again, and no other
 * counts for one that was. */
#include "unit.h"

#include "verified.h"

enum { COUNT_MAX = 16, SETS = COUNT_MAX / (CN_VERIFIED_PER_SET / 2) + 1 };

static const struct cn_operator_secret ours = { { 1 } };
static const struct cn_operator_secret others = { { 2 } };

static struct cn_operator_public operators[2]; /* ours, others */
static struct cn_verified verified;
static unsigned verifications;

enum cn_err __real_cn_certificate_verify_any(const struct cn_certificate *certificate,
                                             const struct cn_operator_public *operators,
                                             size_t operator_count);
enum cn_err __wrap_cn_certificate_verify_any(const struct cn_certificate *certificate,
                                             const struct cn_operator_public *operators,
                                             size_t operator_count);

enum cn_err __wrap_cn_certificate_verify_any(const struct cn_certificate *certificate,
                                             const struct cn_operator_public *of, size_t count)
{
    verifications++;
    return __real_cn_certificate_verify_any(certificate, of, count);
}

static int setup(void **state)
{
    return crypto_setup(state) == 0 && cn_ed25519_public(ours.bytes, operators[0].bytes) == CN_OK &&
                   cn_ed25519_public(others.bytes, operators[1].bytes) == CN_OK
               ? 0
               : -1;
}

static int begin(void **state)
{
    (void)state;
    if (cn_verified_init(&verified, &crypto, COUNT_MAX) != CN_OK)
        return -1;
    cn_verified_operators_set(&verified, operators, 1);
    verifications = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_verified_wipe(&verified);
    return 0;
}

static struct cn_certificate signed_by(const struct cn_operator_secret *operator_secret,
                                       uint64_t serial)
{
    struct cn_certificate c = { .serial = serial, .not_before = 10, .not_after = 20 };

    assert_err(cn_certificate_sign(&c, operator_secret), CN_OK);
    return c;
}

static enum cn_err check(const struct cn_certificate *certificate)
{
    return cn_verified_check(&verified, certificate);
}

/* Good, and verified just now or known. */
static void is_new(const struct cn_certificate *c)
{
    unsigned before = verifications;

    assert_err(check(c), CN_OK);
    assert_int_equal(verifications, before + 1);
}

static void is_known(const struct cn_certificate *c)
{
    unsigned before = verifications;

    assert_err(check(c), CN_OK);
    assert_int_equal(verifications, before);
}

static void a_bad_signature_is_refused_each_time(void **state)
{
    const struct cn_certificate forged = signed_by(&others, 1);

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        assert_err(check(&forged), CN_E_AUTH);
        assert_int_equal(verifications, i); /* and not remembered either way */
    }
}

static void a_known_certificate_changed_in_any_bit_is_refused(void **state)
{
    struct cn_certificate c = signed_by(&ours, 1);
    uint8_t octets[CN_CERTIFICATE_SIZE];
    struct cn_writer w = { .at = octets, .left = sizeof octets };

    (void)state;
    is_new(&c);
    cn_certificate_encode(&c, &w);
    for (size_t bit = 8; bit < 8 * sizeof octets; bit++) { /* from behind the version */
        struct cn_reader r = { .at = octets, .left = sizeof octets };
        struct cn_certificate changed;

        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (cn_certificate_decode(&changed, &r) == CN_OK)
            assert_err(check(&changed), CN_E_AUTH);
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    is_known(&c);
}

/* As if the set held what it would take to be fooled by a part of a digest. */
static void a_digest_counts_only_as_a_whole(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);

    (void)state;
    is_new(&c);
    for (size_t bit = 0; bit < 8 * (size_t)CN_SHA256_SIZE; bit++) {
        for (size_t set = 0; set < SETS; set++)
            verified.sets[set].digest[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
        is_new(&c);
        for (size_t set = 0; set < SETS; set++)
            memset(&verified.sets[set], 0, sizeof verified.sets[set]);
        is_new(&c);
    }
}

static void nobody_is_known_before_somebody_signs(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);

    (void)state;
    cn_verified_operators_set(&verified, operators, 0);
    assert_err(check(&c), CN_E_AUTH);
}

static void a_known_certificate_is_not_verified_again(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);
    const struct cn_certificate d = signed_by(&ours, 2);

    (void)state;
    is_new(&c);
    is_known(&c);
    is_new(&d);
    is_known(&c);
    is_known(&d);
}

static void the_same_operators_change_nothing(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);

    (void)state;
    is_new(&c);
    cn_verified_operators_set(&verified, operators, 1);
    is_known(&c);
}

static void other_operators_forget_all(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);
    const struct cn_certificate theirs = signed_by(&others, 2);

    (void)state;
    is_new(&c);
    cn_verified_operators_set(&verified, &operators[1], 1);
    assert_err(check(&c), CN_E_AUTH);
    is_new(&theirs);
    cn_verified_operators_set(&verified, operators, 2); /* one more */
    is_new(&c);
    is_new(&theirs);
    cn_verified_operators_set(&verified, operators, 1); /* one less */
    is_new(&c);
    assert_err(check(&theirs), CN_E_AUTH);
}

static void who_was_asked_for_longest_ago_is_driven_out(void **state)
{
    struct cn_certificate c[CN_VERIFIED_PER_SET + 1];

    (void)state;
    verified.set_count = 1; /* all in one */
    for (size_t i = 0; i < CN_VERIFIED_PER_SET; i++) {
        c[i] = signed_by(&ours, i);
        is_new(&c[i]);
    }
    is_known(&c[0]); /* so that the second is now the one */
    c[CN_VERIFIED_PER_SET] = signed_by(&ours, CN_VERIFIED_PER_SET);
    is_new(&c[CN_VERIFIED_PER_SET]);
    for (size_t i = 0; i <= CN_VERIFIED_PER_SET; i++) {
        if (i != 1)
            is_known(&c[i]);
    }
    is_new(&c[1]);
}

static void bad_signatures_drive_nobody_out(void **state)
{
    const struct cn_certificate c = signed_by(&ours, 1);

    (void)state;
    is_new(&c);
    for (uint64_t serial = 2; serial < 200; serial++) {
        const struct cn_certificate forged = signed_by(&others, serial);

        assert_err(check(&forged), CN_E_AUTH);
    }
    is_known(&c);
}

static void as_many_as_there_is_room_for_are_known(void **state)
{
    struct cn_certificate c[COUNT_MAX];
    unsigned before;

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        c[i] = signed_by(&ours, i);
        is_new(&c[i]);
    }
    before = verifications;
    for (size_t i = 0; i < COUNT(c); i++)
        assert_err(check(&c[i]), CN_OK);
    assert_in_range(verifications - before, 0, 1); /* sets are filled by chance */
}

static void a_subscriber_takes_64_octets(void **state)
{
    (void)state;
    assert_true(SETS * sizeof(struct cn_verified_set) <= 64 * COUNT_MAX + 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bad_signature_is_refused_each_time, begin, end),
        cmocka_unit_test_setup_teardown(a_known_certificate_changed_in_any_bit_is_refused, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_digest_counts_only_as_a_whole, begin, end),
        cmocka_unit_test_setup_teardown(nobody_is_known_before_somebody_signs, begin, end),
        cmocka_unit_test_setup_teardown(a_known_certificate_is_not_verified_again, begin, end),
        cmocka_unit_test_setup_teardown(the_same_operators_change_nothing, begin, end),
        cmocka_unit_test_setup_teardown(other_operators_forget_all, begin, end),
        cmocka_unit_test_setup_teardown(who_was_asked_for_longest_ago_is_driven_out, begin, end),
        cmocka_unit_test_setup_teardown(bad_signatures_drive_nobody_out, begin, end),
        cmocka_unit_test_setup_teardown(as_many_as_there_is_room_for_are_known, begin, end),
        cmocka_unit_test(a_subscriber_takes_64_octets),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
