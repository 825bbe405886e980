/* Identities: all kinds come back whole from their text; anything changed is refused. */
#include "unit.h"

#include "identity.h"
#include "keys.h"
#include "seeded.h"

static uint64_t random_state = 7;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct cn_identity good; /* X25519 */
static char text[CN_ARMOR_TEXT_SIZE_MAX];
static size_t text_size;
static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
static size_t body_size;

static int setup(void **state)
{
    bool ok = crypto_setup(state) == 0 &&
              cn_identity_create(&good, &crypto, CN_KEM_X25519, &seeded) == CN_OK &&
              cn_identity_encode(&good, &crypto, text, sizeof text, &text_size) == CN_OK &&
              cn_armor_decode(&crypto, CN_ARMOR_IDENTITY, text, text_size, body, sizeof body,
                              &body_size) == CN_OK;

    return ok ? 0 : -1;
}

static enum cn_err decode(const char *in, size_t size)
{
    struct cn_identity got;

    return cn_identity_decode(&got, &crypto, in, size);
}

/* A body in the armour of an identity, whatever is in it. */
static enum cn_err decode_body(const uint8_t *in, size_t size)
{
    static char made[CN_ARMOR_TEXT_SIZE_MAX];
    size_t made_size = 0;

    assert_err(cn_armor_encode(&crypto, CN_ARMOR_IDENTITY, in, size, made, sizeof made, &made_size),
               CN_OK);
    return decode(made, made_size);
}

static void every_kind_comes_back_whole(void **state)
{
    (void)state;
    for (int kind = CN_KEM_X25519; kind <= CN_KEM_RSA8192; kind++) {
        struct cn_identity one;
        struct cn_identity two;
        char again[CN_ARMOR_TEXT_SIZE_MAX];
        char file[CN_ARMOR_TEXT_SIZE_MAX];
        size_t again_size = 0;

        identity_load(&crypto, (enum cn_kem)kind, &one);
        assert_err(cn_identity_encode(&one, &crypto, again, sizeof again, &again_size), CN_OK);
        assert_int_equal(again_size, identity_text((enum cn_kem)kind, file));
        assert_memory_equal(again, file, again_size);
        assert_err(cn_identity_decode(&two, &crypto, again, again_size), CN_OK);
        assert_memory_equal(one.id, two.id, CN_ID_SIZE);
        assert_int_equal(two.public.size, cn_kem_public_size((enum cn_kem)kind));
        assert_int_equal(two.pq_public.kind, CN_KEM_MLKEM768);
        assert_err(cn_kem_check(&two.public), CN_OK);
        assert_err(cn_kem_check(&two.pq_public), CN_OK);
    }
}

static void two_identities_are_never_the_same(void **state)
{
    struct cn_identity other;

    (void)state;
    assert_err(cn_identity_create(&other, &crypto, CN_KEM_X25519, &seeded), CN_OK);
    assert_memory_not_equal(other.id, good.id, CN_ID_SIZE);
    assert_memory_not_equal(other.pq_public.bytes, good.pq_public.bytes, good.pq_public.size);
}

static void either_public_key_decides_the_id(void **state)
{
    struct cn_kem_public changed;
    uint8_t id[CN_ID_SIZE];

    (void)state;
    assert_err(cn_identity_id(&crypto, &good.public, &good.pq_public, id), CN_OK);
    assert_memory_equal(id, good.id, sizeof id);
    changed = good.public;
    changed.bytes[31] ^= 1;
    assert_err(cn_identity_id(&crypto, &changed, &good.pq_public, id), CN_OK);
    assert_memory_not_equal(id, good.id, sizeof id);
    changed = good.pq_public;
    changed.bytes[1183] ^= 1;
    assert_err(cn_identity_id(&crypto, &good.public, &changed, id), CN_OK);
    assert_memory_not_equal(id, good.id, sizeof id);
}

static void every_prefix_of_the_text_is_refused_and_changes_nothing(void **state)
{
    struct cn_identity got;
    struct cn_identity untouched;

    (void)state;
    memset(&got, 0xee, sizeof got);
    untouched = got;
    for (size_t size = 0; size < text_size - 1; size++) {
        assert_true(cn_identity_decode(&got, &crypto, text, size) != CN_OK);
        assert_memory_equal(&got, &untouched, sizeof got);
    }
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

static void every_other_version_is_refused(void **state)
{
    (void)state;
    for (int version = 0; version < 256; version++) {
        body[0] = (uint8_t)version;
        if (version == CN_IDENTITY_VERSION)
            assert_err(decode_body(body, body_size), CN_OK);
        else
            assert_err(decode_body(body, body_size), CN_E_VERSION);
    }
    body[0] = CN_IDENTITY_VERSION;
}

/* A key of one kind does not pass for another. */
static void every_other_kind_is_refused(void **state)
{
    uint8_t kept = body[1];

    (void)state;
    for (int kind = 0; kind < 256; kind++) {
        enum cn_err err;

        body[1] = (uint8_t)kind;
        err = decode_body(body, body_size);
        assert_int_equal(err == CN_OK, kind == kept);
        assert_true(err == CN_OK || err == CN_E_FORMAT || err == CN_E_KEY);
    }
    body[1] = kept;
}

static void a_body_of_any_other_size_is_refused(void **state)
{
    static uint8_t longer[CN_ARMOR_BODY_SIZE_MAX];

    (void)state;
    for (size_t size = 0; size < body_size; size++)
        assert_true(decode_body(body, size) != CN_OK);
    memcpy(longer, body, body_size);
    assert_err(decode_body(longer, body_size + 1), CN_E_FORMAT);
    assert_true(decode_body(longer, 8000) != CN_OK);
}

/* The size of the classical key is a field of its own: every value of it. */
static void a_key_that_says_another_size_is_refused(void **state)
{
    uint8_t kept[2] = { body[2], body[3] };

    (void)state;
    for (unsigned size = 0; size < 65536; size += size < 300 ? 1 : 97) {
        body[2] = (uint8_t)(size >> 8);
        body[3] = (uint8_t)size;
        if (size != CN_X25519_SIZE)
            assert_true(decode_body(body, body_size) != CN_OK);
    }
    memcpy(body + 2, kept, sizeof kept);
}

/* Bits flipped in an RSA identity's body: refused, or another whole identity; never a crash. */
static void an_rsa_identity_with_a_flipped_bit_is_refused_or_another(void **state)
{
    static char file[CN_ARMOR_TEXT_SIZE_MAX];
    static uint8_t rsa[CN_ARMOR_BODY_SIZE_MAX];
    struct cn_identity whole;
    size_t rsa_size = 0;
    unsigned refused = 0;

    (void)state;
    identity_load(&crypto, CN_KEM_RSA2048, &whole);
    assert_err(cn_armor_decode(&crypto, CN_ARMOR_IDENTITY, file,
                               identity_text(CN_KEM_RSA2048, file), rsa, sizeof rsa, &rsa_size),
               CN_OK);
    for (size_t at = 0; at < rsa_size; at += at < 64 ? 1 : 7) {
        static char made[CN_ARMOR_TEXT_SIZE_MAX];
        struct cn_identity got;
        size_t made_size = 0;

        rsa[at] ^= 0x04;
        assert_err(cn_armor_encode(&crypto, CN_ARMOR_IDENTITY, rsa, rsa_size, made, sizeof made,
                                   &made_size),
                   CN_OK);
        if (cn_identity_decode(&got, &crypto, made, made_size) != CN_OK)
            refused++;
        else
            assert_memory_not_equal(&got, &whole, sizeof got);
        rsa[at] ^= 0x04;
    }
    assert_true(refused > 32);
}

static void a_text_buffer_that_is_too_small_gets_nothing_whole(void **state)
{
    char small[128];
    size_t size = 99;

    (void)state;
    assert_err(cn_identity_encode(&good, &crypto, small, sizeof small, &size), CN_E_FULL);
    assert_int_equal(size, 99);
}

static enum cn_err failing_fill(void *context, uint8_t *out, size_t size)
{
    unsigned *left = context;

    memset(out, 1, size);
    return (*left)-- > 0 ? CN_OK : CN_E_RANDOM;
}

/* Randomness that fails at the first, and at the second draw. */
static void without_randomness_there_is_no_identity(void **state)
{
    (void)state;
    for (unsigned draws = 0; draws < 2; draws++) {
        unsigned left = draws;
        const struct cn_random failing = { failing_fill, &left };
        struct cn_identity got;
        struct cn_identity untouched;

        memset(&got, 0xee, sizeof got);
        untouched = got;
        assert_err(cn_identity_create(&got, &crypto, CN_KEM_X25519, &failing), CN_E_RANDOM);
        assert_memory_equal(&got, &untouched, sizeof got);
    }
}

static void wiping_leaves_nothing(void **state)
{
    static const struct cn_identity zero;
    struct cn_identity i = good;

    (void)state;
    cn_identity_wipe(NULL);
    cn_identity_wipe(&i);
    assert_memory_equal(&i, &zero, sizeof i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_whole),
        cmocka_unit_test(two_identities_are_never_the_same),
        cmocka_unit_test(either_public_key_decides_the_id),
        cmocka_unit_test(every_prefix_of_the_text_is_refused_and_changes_nothing),
        cmocka_unit_test(every_flipped_bit_of_the_text_is_refused),
        cmocka_unit_test(every_other_version_is_refused),
        cmocka_unit_test(every_other_kind_is_refused),
        cmocka_unit_test(a_body_of_any_other_size_is_refused),
        cmocka_unit_test(a_key_that_says_another_size_is_refused),
        cmocka_unit_test(an_rsa_identity_with_a_flipped_bit_is_refused_or_another),
        cmocka_unit_test(a_text_buffer_that_is_too_small_gets_nothing_whole),
        cmocka_unit_test(without_randomness_there_is_no_identity),
        cmocka_unit_test(wiping_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
