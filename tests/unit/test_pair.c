/* Pairs: both ends come to the same keys and safety number, of all kinds; bad pairs are refused. */
#include "unit.h"

#include "keys.h"
#include "pair.h"
#include "seeded.h"
#include "vectors.h"

static uint64_t random_state = 21;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const struct cn_server_public server = { { 9, 9, 9 } };
static const struct cn_server_public other_server = { { 9, 9, 8 } };

struct end {
    struct cn_identity identity;
    struct cn_card card;
    struct cn_pair pair;
};

static void card_make(struct end *e, const uint16_t *suite, size_t suite_count)
{
    const struct cn_card_terms terms = {
        .made_for = "partner", .server_key = &server, .suite = suite, .suite_count = suite_count
    };

    assert_err(cn_card_create(&e->card, &crypto, &e->identity, &terms, &seeded), CN_OK);
}

/* Two identities of tests/keys, and their cards. */
static void ends_make(struct end two[2], enum cn_kem one_kind, enum cn_kem other_kind)
{
    identity_load(&crypto, one_kind, &two[0].identity);
    identity_load(&crypto, other_kind, &two[1].identity);
    if (one_kind == other_kind)
        identity_vary(&crypto, &two[1].identity);
    for (int i = 0; i < 2; i++)
        card_make(&two[i], NULL, 0);
}

/* A failure leaves the pair as it was. */
static enum cn_err pair_one(struct end *me, const struct cn_card *theirs)
{
    struct cn_pair untouched;
    enum cn_err err;

    memset(&me->pair, 0xee, sizeof me->pair);
    untouched = me->pair;
    err = cn_pair_create(&me->pair, &crypto, &me->identity, &me->card, theirs);
    if (err != CN_OK)
        assert_memory_equal(&me->pair, &untouched, sizeof untouched);
    return err;
}

static void pair_both(struct end two[2])
{
    assert_err(pair_one(&two[0], &two[1].card), CN_OK);
    assert_err(pair_one(&two[1], &two[0].card), CN_OK);
}

static void assert_alike(const struct cn_pair *a, const struct cn_pair *b)
{
    assert_ptr_equal(a->suite, b->suite);
    assert_memory_equal(&a->tag_key, &b->tag_key, sizeof a->tag_key);
    assert_memory_equal(&a->prologue_key, &b->prologue_key, sizeof a->prologue_key);
    assert_memory_equal(&a->chain_key, &b->chain_key, sizeof a->chain_key);
    assert_memory_equal(a->card_a, b->card_a, sizeof a->card_a);
    assert_memory_equal(a->card_b, b->card_b, sizeof a->card_b);
    assert_string_equal(a->safety, b->safety);
    assert_int_equal(a->role, cn_role_other(b->role));
}

static void both_ends_come_to_the_same_for_all_kinds(void **state)
{
    (void)state;
    for (int one = CN_KEM_X25519; one <= CN_KEM_RSA8192; one++) {
        for (int other = CN_KEM_X25519; other <= CN_KEM_RSA8192; other++) {
            struct end two[2];

            ends_make(two, (enum cn_kem)one, (enum cn_kem)other);
            pair_both(two);
            assert_alike(&two[0].pair, &two[1].pair);
            assert_memory_equal(two[0].pair.their_public.bytes, two[1].identity.public.bytes,
                                two[1].identity.public.size);
            assert_int_equal(two[0].pair.their_public.kind, other);
            assert_memory_equal(two[0].pair.their_pq_public.bytes, two[1].identity.pq_public.bytes,
                                CN_MLKEM768_PUBLIC_SIZE);
        }
    }
}

static void the_vectors_hold(void **state)
{
    FILE *file = fopen("tests/vectors/pair.txt", "r");
    struct vector v;
    unsigned count = 0;

    (void)state;
    assert_non_null(file);
    while (vector_next(file, &v)) {
        const struct vector_field *mine = vector_field(&v, "mine");
        const struct vector_field *theirs = vector_field(&v, "theirs");
        const uint8_t *suite = vector_octets(&v, "suite", 2);
        struct end me;
        struct cn_card card;

        identity_load(&crypto, (enum cn_kem) * vector_octets(&v, "kind", 1), &me.identity);
        assert_err(cn_card_decode(&me.card, &crypto, mine->octets, mine->size), CN_OK);
        assert_err(cn_card_decode(&card, &crypto, theirs->octets, theirs->size), CN_OK);
        assert_memory_equal(me.card.id, vector_octets(&v, "my_id", CN_ID_SIZE), CN_ID_SIZE);
        assert_memory_equal(card.id, vector_octets(&v, "their_id", CN_ID_SIZE), CN_ID_SIZE);
        assert_err(pair_one(&me, &card), CN_OK);
        assert_int_equal(me.pair.role, *vector_octets(&v, "role", 1));
        assert_int_equal(me.pair.suite->code, suite[0] << 8 | suite[1]);
        assert_memory_equal(me.pair.tag_key.bytes, vector_octets(&v, "tag_key", 32), 32);
        assert_memory_equal(me.pair.prologue_key.bytes, vector_octets(&v, "prologue_key", 32), 32);
        assert_memory_equal(me.pair.chain_key.bytes, vector_octets(&v, "chain_key", 32), 32);
        assert_memory_equal(me.pair.safety, vector_octets(&v, "safety", CN_SAFETY_TEXT_SIZE - 1),
                            CN_SAFETY_TEXT_SIZE - 1);
        vector_wipe(&v);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 6);
}

static void the_safety_number_is_twelve_groups_of_five_digits(void **state)
{
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    pair_both(two);
    assert_int_equal(strlen(two[0].pair.safety), CN_SAFETY_TEXT_SIZE - 1);
    for (size_t i = 0; i < CN_SAFETY_TEXT_SIZE - 1; i++) {
        if (i % 6 == 5)
            assert_int_equal(two[0].pair.safety[i], ' ');
        else
            assert_in_range(two[0].pair.safety[i], '0', '9');
    }
}

/* Whoever changes a card on its way, in any bit, changes the number and all keys. */
static void a_changed_card_changes_everything(void **state)
{
    struct end two[2];
    struct cn_pair good;
    unsigned taken = 0;

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    pair_both(two);
    good = two[0].pair;
    for (size_t bit = 0; bit < 8 * two[1].card.body_size; bit += 3) {
        struct cn_card changed;
        uint8_t body[CN_CARD_BODY_SIZE_MAX];

        memcpy(body, two[1].card.body, two[1].card.body_size);
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (cn_card_decode(&changed, &crypto, body, two[1].card.body_size) != CN_OK ||
            pair_one(&two[0], &changed) != CN_OK)
            continue;
        taken++;
        assert_string_not_equal(two[0].pair.safety, good.safety);
        assert_memory_not_equal(&two[0].pair.tag_key, &good.tag_key, sizeof good.tag_key);
        assert_memory_not_equal(&two[0].pair.prologue_key, &good.prologue_key,
                                sizeof good.prologue_key);
        assert_memory_not_equal(&two[0].pair.chain_key, &good.chain_key, sizeof good.chain_key);
    }
    assert_true(taken > 1000);
}

/* Two X25519 identities: both cards alone, without a private key, do not give the keys. */
static void cards_alone_do_not_give_the_keys_of_an_x25519_pair(void **state)
{
    struct end two[2];
    struct end thief;

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    pair_both(two);
    thief = two[0];
    fill(77, thief.identity.secret.bytes, CN_X25519_SIZE); /* all he has is my public keys */
    assert_err(pair_one(&thief, &two[1].card), CN_OK);
    assert_string_equal(thief.pair.safety, two[0].pair.safety);
    assert_memory_not_equal(&thief.pair.tag_key, &two[0].pair.tag_key, sizeof thief.pair.tag_key);
}

/* --- suites --------------------------------------------------------------------------------- */

/* Who is A follows from the ids: make it the first of the two. */
static void ends_order(struct end two[2])
{
    struct end swap;

    if (memcmp(two[0].identity.id, two[1].identity.id, CN_ID_SIZE) < 0)
        return;
    swap = two[0];
    two[0] = two[1];
    two[1] = swap;
}

static void the_first_of_as_order_that_b_has_is_taken(void **state)
{
    static const struct {
        uint16_t a[4], b[4];
        size_t a_count, b_count;
        uint16_t taken; /* 0: refused */
    } cases[] = {
        { { 1, 2, 3, 4 }, { 4, 3, 2, 1 }, 4, 4, 1 },
        { { 4, 3, 2, 1 }, { 1, 2, 3, 4 }, 4, 4, 4 },
        { { 3, 1 }, { 1 }, 2, 1, 1 },
        { { 2 }, { 1, 2 }, 1, 2, 2 },
        { { 2 }, { 3 }, 1, 1, 0 },
        { { 1, 2 }, { 3, 4 }, 2, 2, 0 },
    };
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    ends_order(two);
    for (size_t i = 0; i < COUNT(cases); i++) {
        card_make(&two[0], cases[i].a, cases[i].a_count);
        card_make(&two[1], cases[i].b, cases[i].b_count);
        if (cases[i].taken == 0) {
            assert_err(pair_one(&two[0], &two[1].card), CN_E_SUITE);
            assert_err(pair_one(&two[1], &two[0].card), CN_E_SUITE);
            continue;
        }
        pair_both(two);
        assert_int_equal(two[0].pair.suite->code, cases[i].taken);
        assert_alike(&two[0].pair, &two[1].pair);
    }
}

/* Both know a suite that we do not: it is passed over, not taken. */
static void suites_nobody_knows_are_ignored(void **state)
{
    static const uint16_t order[] = { 1, 2 };
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    ends_order(two);
    for (int i = 0; i < 2; i++) {
        card_make(&two[i], order, 2);
        two[i].card.suite[0] = 9999;
    }
    pair_both(two);
    assert_int_equal(two[0].pair.suite->code, 2);
    two[0].card.suite[1] = 9998;
    two[1].card.suite[1] = 9998;
    assert_err(pair_one(&two[0], &two[1].card), CN_E_SUITE);
}

static void a_protocol_of_another_version_is_refused(void **state)
{
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    two[1].card.version[0] = 2;
    assert_err(pair_one(&two[0], &two[1].card), CN_E_SUITE);
    two[1].card.version[1] = CN_PROTOCOL_VERSION; /* a later program that still speaks ours */
    two[1].card.version_count = 2;
    assert_err(pair_one(&two[0], &two[1].card), CN_OK);
}

/* --- refusals ------------------------------------------------------------------------------- */

static void my_own_card_is_refused(void **state)
{
    struct end two[2];

    (void)state;
    for (int kind = CN_KEM_X25519; kind <= CN_KEM_RSA2048; kind++) {
        ends_make(two, (enum cn_kem)kind, (enum cn_kem)kind);
        assert_err(pair_one(&two[0], &two[0].card), CN_E_OWN);
        two[1].identity = two[0].identity; /* another card of mine */
        card_make(&two[1], NULL, 0);
        assert_err(pair_one(&two[0], &two[1].card), CN_E_OWN);
    }
}

static void a_card_of_another_server_is_refused(void **state)
{
    const struct cn_card_terms terms = { .made_for = "partner", .server_key = &other_server };
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_RSA2048);
    assert_err(cn_card_create(&two[1].card, &crypto, &two[1].identity, &terms, &seeded), CN_OK);
    assert_err(pair_one(&two[0], &two[1].card), CN_E_SERVER);
    assert_err(pair_one(&two[1], &two[0].card), CN_E_SERVER);
}

static void a_card_that_is_not_of_my_identity_is_refused(void **state)
{
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    two[0].card = two[1].card;
    assert_err(pair_one(&two[0], &two[1].card), CN_E_KEY);
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    identity_vary(&crypto, &two[0].identity);
    assert_err(pair_one(&two[0], &two[1].card), CN_E_KEY);
}

static void a_key_of_low_order_is_refused(void **state)
{
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    memset(two[1].card.public.bytes, 0, CN_X25519_SIZE); /* as if decoding had let it through */
    assert_err(pair_one(&two[0], &two[1].card), CN_E_KEY);
}

static void wiping_leaves_nothing(void **state)
{
    static const struct cn_pair zero;
    struct end two[2];

    (void)state;
    ends_make(two, CN_KEM_X25519, CN_KEM_X25519);
    pair_both(two);
    cn_pair_wipe(NULL);
    cn_pair_wipe(&two[0].pair);
    assert_memory_equal(&two[0].pair, &zero, sizeof zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_come_to_the_same_for_all_kinds),
        cmocka_unit_test(the_vectors_hold),
        cmocka_unit_test(the_safety_number_is_twelve_groups_of_five_digits),
        cmocka_unit_test(a_changed_card_changes_everything),
        cmocka_unit_test(cards_alone_do_not_give_the_keys_of_an_x25519_pair),
        cmocka_unit_test(the_first_of_as_order_that_b_has_is_taken),
        cmocka_unit_test(suites_nobody_knows_are_ignored),
        cmocka_unit_test(a_protocol_of_another_version_is_refused),
        cmocka_unit_test(my_own_card_is_refused),
        cmocka_unit_test(a_card_of_another_server_is_refused),
        cmocka_unit_test(a_card_that_is_not_of_my_identity_is_refused),
        cmocka_unit_test(a_key_of_low_order_is_refused),
        cmocka_unit_test(wiping_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
