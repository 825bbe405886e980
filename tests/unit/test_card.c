/* Cards: verbatim, whole and with good keys, or refused. */
#include "unit.h"

#include "armor.h"
#include "card.h"
#include "keys.h"
#include "seeded.h"

static uint64_t random_state = 11;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const struct cn_server_public server = { { 9, 9, 9 } };
static struct cn_identity identity; /* X25519 */
static struct cn_card good;
static char text[CN_ARMOR_TEXT_SIZE_MAX];
static size_t text_size;

/* Where the fields of good are. PROTOCOL.md 2.9 */
enum {
    AT_VERSION_COUNT = 1,
    AT_VERSION = 2,
    AT_SUITE_COUNT = 3,
    AT_SUITE = 4,
    AT_KIND = AT_SUITE + 2 * CN_SUITE_COUNT,
    AT_PUBLIC = AT_KIND + 1,
    AT_PQ_PUBLIC = AT_PUBLIC + CN_X25519_SIZE,
    AT_NONCE = AT_PQ_PUBLIC + CN_MLKEM768_PUBLIC_SIZE,
    AT_NAME_SIZE = AT_NONCE + CN_PAIR_NONCE_SIZE,
    AT_NAME = AT_NAME_SIZE + 1,
    AT_CARD_ID = AT_NAME + 3,
    AT_ANSWERS = AT_CARD_ID + CN_CARD_ID_SIZE,
    AT_SERVER = AT_ANSWERS + CN_CARD_ID_SIZE,
    BODY_SIZE = AT_SERVER + CN_X25519_SIZE
};

static const struct cn_card_terms terms = { .made_for = "bob", .server_key = &server };

static int setup(void **state)
{
    bool ok = crypto_setup(state) == 0;

    identity_load(&crypto, CN_KEM_X25519, &identity);
    ok = ok && cn_card_create(&good, &crypto, &identity, &terms, &seeded) == CN_OK &&
         cn_card_to_text(&good, &crypto, text, sizeof text, &text_size) == CN_OK;
    return ok ? 0 : -1;
}

/* Refused or not, *card is whole or untouched. */
static enum cn_err decode(const uint8_t *body, size_t size)
{
    struct cn_card got;
    struct cn_card untouched;
    enum cn_err err;

    memset(&got, 0xee, sizeof got);
    untouched = got;
    err = cn_card_decode(&got, &crypto, body, size);
    if (err != CN_OK)
        assert_memory_equal(&got, &untouched, sizeof got);
    return err;
}

/* good with one octet changed. */
static enum cn_err decode_with(size_t at, uint8_t value)
{
    struct cn_card changed = good;

    changed.body[at] = value;
    return decode(changed.body, changed.body_size);
}

static void its_body_is_laid_out_as_the_protocol_says(void **state)
{
    static const uint8_t head[] = { 1, 1, 1, 4, 0, 1, 0, 2, 0, 3, 0, 4, CN_KEM_X25519 };
    static const uint8_t none[CN_CARD_ID_SIZE];

    (void)state;
    assert_int_equal(good.body_size, BODY_SIZE);
    assert_memory_equal(good.body, head, sizeof head);
    assert_memory_equal(good.body + AT_PUBLIC, identity.public.bytes, identity.public.size);
    assert_memory_equal(good.body + AT_PQ_PUBLIC, identity.pq_public.bytes,
                        identity.pq_public.size);
    assert_memory_equal(good.body + AT_NONCE, good.pair_nonce, CN_PAIR_NONCE_SIZE);
    assert_memory_equal(good.body + AT_NAME_SIZE, "\3bob", 4);
    assert_memory_equal(good.body + AT_CARD_ID, good.card_id, CN_CARD_ID_SIZE);
    assert_memory_equal(good.body + AT_ANSWERS, none, CN_CARD_ID_SIZE);
    assert_memory_equal(good.body + AT_SERVER, server.bytes, sizeof server.bytes);
    assert_memory_equal(good.id, identity.id, CN_ID_SIZE);
}

static void every_kind_comes_back_whole_from_text(void **state)
{
    (void)state;
    for (int kind = CN_KEM_X25519; kind <= CN_KEM_RSA8192; kind++) {
        struct cn_identity i;
        struct cn_card card;
        struct cn_card got;
        char made[CN_ARMOR_TEXT_SIZE_MAX];
        size_t made_size = 0;

        identity_load(&crypto, (enum cn_kem)kind, &i);
        assert_err(cn_card_create(&card, &crypto, &i, &terms, &seeded), CN_OK);
        assert_err(cn_card_to_text(&card, &crypto, made, sizeof made, &made_size), CN_OK);
        assert_err(cn_card_from_text(&got, &crypto, made, made_size), CN_OK);
        assert_memory_equal(&got, &card, sizeof got);
    }
}

static void no_two_cards_share_a_nonce_or_an_id(void **state)
{
    struct cn_card other;

    (void)state;
    assert_err(cn_card_create(&other, &crypto, &identity, &terms, &seeded), CN_OK);
    assert_memory_not_equal(other.pair_nonce, good.pair_nonce, sizeof good.pair_nonce);
    assert_memory_not_equal(other.card_id, good.card_id, sizeof good.card_id);
    assert_memory_not_equal(other.hash, good.hash, sizeof good.hash);
    assert_memory_equal(other.id, good.id, sizeof good.id);
}

static void a_card_in_reply_names_the_card_it_answers(void **state)
{
    const struct cn_card_terms reply = { .made_for = "ann",
                                         .server_key = &server,
                                         .answers = &good };
    struct cn_card card;

    (void)state;
    assert_err(cn_card_create(&card, &crypto, &identity, &reply, &seeded), CN_OK);
    assert_memory_equal(card.answers, good.card_id, CN_CARD_ID_SIZE);
    assert_err(decode(card.body, card.body_size), CN_OK);
}

static void the_suites_are_in_the_order_asked_for(void **state)
{
    static const uint16_t order[] = { 4, 1 };
    const struct cn_card_terms two = {
        .made_for = "ann", .server_key = &server, .suite = order, .suite_count = COUNT(order)
    };
    struct cn_card card;

    (void)state;
    assert_err(cn_card_create(&card, &crypto, &identity, &two, &seeded), CN_OK);
    assert_int_equal(card.suite_count, 2);
    assert_memory_equal(card.body + AT_SUITE_COUNT, "\2\0\4\0\1", 5);
}

static void terms_that_make_no_card_are_refused(void **state)
{
    static const uint16_t unknown[] = { 1, 77 };
    static const uint16_t known[CN_CARD_LIST_SIZE_MAX + 1] = { 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                               1, 1, 1, 1, 1, 1, 1, 1 };
    static const char *const names[] = { "",        ".bob",     "-bob",     "bob/ann",
                                         "bob ann", "b\x1b[2J", "b\xc3\xb6" };
    struct cn_card card;
    struct cn_card_terms bad = terms;

    (void)state;
    bad.suite = unknown;
    bad.suite_count = 2;
    assert_err(cn_card_create(&card, &crypto, &identity, &bad, &seeded), CN_E_SUITE);
    bad.suite = known;
    bad.suite_count = COUNT(known);
    assert_err(cn_card_create(&card, &crypto, &identity, &bad, &seeded), CN_E_SUITE);
    bad.suite_count = 0;
    assert_err(cn_card_create(&card, &crypto, &identity, &bad, &seeded), CN_E_SUITE);
    for (size_t i = 0; i < COUNT(names); i++) {
        bad = terms;
        bad.made_for = names[i];
        assert_err(cn_card_create(&card, &crypto, &identity, &bad, &seeded), CN_E_NAME);
    }
}

/* --- refusals ------------------------------------------------------------------------------- */

static void every_prefix_of_the_body_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < good.body_size; size++)
        assert_err(decode(good.body, size), CN_E_FORMAT);
}

static void an_octet_more_is_refused(void **state)
{
    static uint8_t longer[CN_CARD_BODY_SIZE_MAX + 1];

    (void)state;
    memcpy(longer, good.body, good.body_size);
    assert_err(decode(longer, good.body_size + 1), CN_E_FORMAT);
    assert_err(decode(longer, CN_CARD_BODY_SIZE_MAX), CN_E_FORMAT);
    assert_err(decode(longer, sizeof longer), CN_E_FORMAT);
}

/* Without the checksum: refused, or a card whose hash, and so the safety number, is another. */
static void every_flipped_bit_of_the_body_is_refused_or_seen(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * good.body_size; bit++) {
        struct cn_card got;

        good.body[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (cn_card_decode(&got, &crypto, good.body, good.body_size) == CN_OK) {
            assert_memory_not_equal(got.hash, good.hash, sizeof got.hash);
            assert_memory_equal(got.body, good.body, good.body_size);
        }
        good.body[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void every_prefix_of_the_text_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < text_size - 1; size++) {
        struct cn_card got;

        assert_true(cn_card_from_text(&got, &crypto, text, size) != CN_OK);
    }
}

static void every_flipped_bit_of_the_text_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < text_size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct cn_card got;

            text[at] = (char)(text[at] ^ 1 << bit);
            assert_true(cn_card_from_text(&got, &crypto, text, text_size) != CN_OK);
            text[at] = (char)(text[at] ^ 1 << bit);
        }
    }
}

static void every_other_version_is_refused(void **state)
{
    (void)state;
    for (int version = 0; version < 256; version++) {
        if (version == CN_CARD_VERSION)
            assert_err(decode_with(0, (uint8_t)version), CN_OK);
        else
            assert_err(decode_with(0, (uint8_t)version), CN_E_VERSION);
    }
}

static void counts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    for (int count = 0; count < 256; count++) {
        if (count == 0 || count > CN_CARD_LIST_SIZE_MAX) /* else what follows may fit by chance */
            assert_true(decode_with(AT_VERSION_COUNT, (uint8_t)count) != CN_OK);
        if (count != CN_SUITE_COUNT)
            assert_true(decode_with(AT_SUITE_COUNT, (uint8_t)count) != CN_OK);
        if (count != 3)
            assert_true(decode_with(AT_NAME_SIZE, (uint8_t)count) != CN_OK);
        if (count != CN_KEM_X25519)
            assert_true(decode_with(AT_KIND, (uint8_t)count) != CN_OK);
    }
}

/* A card of a later program: it is kept, whatever it offers besides. */
static void versions_and_suites_nobody_knows_are_kept(void **state)
{
    struct cn_card got;

    (void)state;
    good.body[AT_VERSION] = 200;
    good.body[AT_SUITE] = 0xfe;
    assert_err(cn_card_decode(&got, &crypto, good.body, good.body_size), CN_OK);
    assert_int_equal(got.version[0], 200);
    assert_int_equal(got.suite[0], 0xfe01);
    good.body[AT_VERSION] = CN_PROTOCOL_VERSION;
    good.body[AT_SUITE] = 0;
}

/* Every octet in every place of the name: valid names only, so it is safe to print. */
static void a_name_that_is_none_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++) {
        for (int octet = 0; octet < 256; octet++) {
            char name[] = "bob";
            enum cn_err err = decode_with(AT_NAME + at, (uint8_t)octet);

            name[at] = (char)octet;
            assert_int_equal(err == CN_OK, strlen(name) == 3 && cn_name_valid(name));
        }
    }
}

static void a_bad_key_is_refused(void **state)
{
    struct cn_card bad = good;

    (void)state;
    memset(bad.body + AT_PUBLIC, 0, CN_X25519_SIZE); /* of low order */
    assert_err(decode(bad.body, bad.body_size), CN_E_KEY);
    for (size_t at = 0; at < 1152; at += 3) { /* 3329 = 0xd01, as first and as second of a pair */
        bad = good;
        bad.body[AT_PQ_PUBLIC + at] = 0x01;
        bad.body[AT_PQ_PUBLIC + at + 1] = (uint8_t)((bad.body[AT_PQ_PUBLIC + at + 1] & 0xf0) | 0xd);
        assert_err(decode(bad.body, bad.body_size), CN_E_KEY);
        bad = good;
        bad.body[AT_PQ_PUBLIC + at + 1] =
            (uint8_t)((bad.body[AT_PQ_PUBLIC + at + 1] & 0x0f) | 0x10);
        bad.body[AT_PQ_PUBLIC + at + 2] = 0xd0;
        assert_err(decode(bad.body, bad.body_size), CN_E_KEY);
    }
}

static void an_rsa_card_with_a_bad_modulus_is_refused(void **state)
{
    (void)state;
    for (int kind = CN_KEM_RSA2048; kind <= CN_KEM_RSA8192; kind++) {
        struct cn_identity i;
        struct cn_card card;

        identity_load(&crypto, (enum cn_kem)kind, &i);
        assert_err(cn_card_create(&card, &crypto, &i, &terms, &seeded), CN_OK);
        card.body[AT_PUBLIC] &= 0x7f;
        assert_err(decode(card.body, card.body_size), CN_E_KEY);
        card.body[AT_PUBLIC] |= 0x80;
        assert_err(decode(card.body, card.body_size), CN_OK);
        card.body[AT_PUBLIC + i.public.size - 1] &= 0xfe;
        assert_err(decode(card.body, card.body_size), CN_E_KEY);
        for (size_t size = 0; size < card.body_size; size++)
            assert_err(decode(card.body, size), CN_E_FORMAT);
    }
}

static void another_kind_of_file_is_told_as_such(void **state)
{
    char file[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = identity_text(CN_KEM_X25519, file);
    struct cn_card got;

    (void)state;
    assert_err(cn_card_from_text(&got, &crypto, file, size), CN_E_KIND);
}

static enum cn_err failing_fill(void *context, uint8_t *out, size_t size)
{
    unsigned *left = context;

    memset(out, 1, size);
    return (*left)-- > 0 ? CN_OK : CN_E_RANDOM;
}

static void without_randomness_there_is_no_card(void **state)
{
    (void)state;
    for (unsigned draws = 0; draws < 2; draws++) {
        unsigned left = draws;
        const struct cn_random failing = { failing_fill, &left };
        struct cn_card card;

        assert_err(cn_card_create(&card, &crypto, &identity, &terms, &failing), CN_E_RANDOM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_body_is_laid_out_as_the_protocol_says),
        cmocka_unit_test(every_kind_comes_back_whole_from_text),
        cmocka_unit_test(no_two_cards_share_a_nonce_or_an_id),
        cmocka_unit_test(a_card_in_reply_names_the_card_it_answers),
        cmocka_unit_test(the_suites_are_in_the_order_asked_for),
        cmocka_unit_test(terms_that_make_no_card_are_refused),
        cmocka_unit_test(every_prefix_of_the_body_is_refused),
        cmocka_unit_test(an_octet_more_is_refused),
        cmocka_unit_test(every_flipped_bit_of_the_body_is_refused_or_seen),
        cmocka_unit_test(every_prefix_of_the_text_is_refused),
        cmocka_unit_test(every_flipped_bit_of_the_text_is_refused),
        cmocka_unit_test(every_other_version_is_refused),
        cmocka_unit_test(counts_that_do_not_fit_are_refused),
        cmocka_unit_test(versions_and_suites_nobody_knows_are_kept),
        cmocka_unit_test(a_name_that_is_none_is_refused),
        cmocka_unit_test(a_bad_key_is_refused),
        cmocka_unit_test(an_rsa_card_with_a_bad_modulus_is_refused),
        cmocka_unit_test(another_kind_of_file_is_told_as_such),
        cmocka_unit_test(without_randomness_there_is_no_card),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
