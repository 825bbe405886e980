/* Handshakes: two ends that hold each other's cards come to the same keys; nobody else does. */
#include "unit.h"

#include "calling.h"
#include "reader.h"
#include "writer.h"

static const enum cn_kem x25519[2] = { CN_KEM_X25519, CN_KEM_X25519 };
static uint64_t random_state = 5;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct end two[2];

static int two_setup(void **state)
{
    (void)state;
    random_state = 5;
    ends_make(two, &crypto, &seeded, x25519, 0);
    ends_start(two);
    return 0;
}

static void assert_wiped(const struct cn_handshake *handshake, enum cn_handshake_state state)
{
    static struct cn_handshake blank;

    blank.state = state;
    assert_memory_equal(handshake, &blank, sizeof blank);
}

/* What this end says to a prologue, without letting it change. */
static enum cn_err prologue_try(const struct end *end, const uint8_t *in)
{
    static struct cn_handshake copy;
    uint8_t untouched[CN_ANSWER_SIZE];
    uint8_t out[CN_ANSWER_SIZE];
    enum cn_err err;

    memset(untouched, 0xee, sizeof untouched);
    memcpy(out, untouched, sizeof out);
    copy = end->handshake;
    err = cn_handshake_prologue(&copy, in, out);
    if (err != CN_OK) {
        assert_wiped(&copy, CN_HANDSHAKE_FAILED);
        assert_memory_equal(out, untouched, sizeof out);
    }
    return err;
}

static enum cn_err answer_try(const struct end *end, const uint8_t *in)
{
    static struct cn_handshake copy;
    struct cn_call_keys untouched;
    struct cn_call_keys keys;
    enum cn_err err;

    memset(&untouched, 0xee, sizeof untouched);
    keys = untouched;
    copy = end->handshake;
    err = cn_handshake_answer(&copy, in, &keys);
    if (err != CN_OK) {
        assert_wiped(&copy, CN_HANDSHAKE_FAILED);
        assert_memory_equal(&keys, &untouched, sizeof keys);
    }
    return err;
}

/* --- forgeries ------------------------------------------------------------------------------- */

static void a_prologue_with_any_octet_changed_is_refused(void **state)
{
    static uint8_t forged[CN_PROLOGUE_SIZE];

    (void)state;
    memcpy(forged, prologue_of(&two[1]), sizeof forged);
    for (size_t i = 0; i < sizeof forged; i++) {
        forged[i] ^= (uint8_t)(1U << i % 8);
        assert_err(prologue_try(&two[0], forged), CN_E_AUTH);
        forged[i] ^= (uint8_t)(1U << i % 8);
    }
    assert_err(prologue_try(&two[0], forged), CN_OK);
}

static void an_answer_with_any_octet_changed_is_refused(void **state)
{
    uint8_t forged[CN_ANSWER_SIZE];

    (void)state;
    ends_answer(two);
    memcpy(forged, two[1].answer, sizeof forged);
    for (size_t i = 0; i < sizeof forged; i++) {
        forged[i] ^= (uint8_t)(1U << i % 8);
        assert_err(answer_try(&two[0], forged), CN_E_AUTH);
        forged[i] ^= (uint8_t)(1U << i % 8);
    }
    assert_err(answer_try(&two[0], forged), CN_OK);
}

static void zeros_and_noise_are_refused(void **state)
{
    static uint8_t in[CN_PROLOGUE_SIZE];

    (void)state;
    memset(in, 0, sizeof in);
    assert_err(prologue_try(&two[0], in), CN_E_AUTH);
    fill(9, in, sizeof in);
    assert_err(prologue_try(&two[0], in), CN_E_AUTH);
    ends_answer(two);
    assert_err(answer_try(&two[0], in), CN_E_AUTH);
    memset(in, 0, sizeof in);
    assert_err(answer_try(&two[0], in), CN_E_AUTH);
}

static void ends_own_octets_are_refused_when_reflected(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_err(prologue_try(&two[i], prologue_of(&two[i])), CN_E_AUTH);
    ends_answer(two);
    for (int i = 0; i < 2; i++)
        assert_err(answer_try(&two[i], two[i].answer), CN_E_AUTH);
}

/* Both ends in the same call but for what change() does to the second. */
static void assert_estranged(void (*change)(struct cn_handshake_setup *setup))
{
    change(&two[1].setup);
    ends_start(two);
    for (int i = 0; i < 2; i++)
        assert_err(prologue_try(&two[i], prologue_of(&two[1 - i])), CN_E_AUTH);
}

static void change_tag(struct cn_handshake_setup *setup)
{
    setup->tag[31] ^= 1;
}

static void change_caller(struct cn_handshake_setup *setup)
{
    setup->caller = cn_role_other(setup->caller);
}

static void change_service(struct cn_handshake_setup *setup)
{
    setup->service = CN_SERVICE_PIPE;
}

static void another_tag_at_one_end_is_refused(void **state)
{
    (void)state;
    assert_estranged(change_tag);
}

static void another_caller_at_one_end_is_refused(void **state)
{
    (void)state;
    assert_estranged(change_caller);
}

static void another_service_at_one_end_is_refused(void **state)
{
    (void)state;
    assert_estranged(change_service);
}

static void prologues_of_another_pair_of_the_same_people_are_refused(void **state)
{
    static struct end others[2];

    (void)state;
    ends_make(others, &crypto, &seeded, x25519, 0); /* the same identities, other cards */
    ends_start(others);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(others[i].me.identity.id, two[i].me.identity.id, CN_ID_SIZE);
        assert_err(prologue_try(&two[i], prologue_of(&others[1 - i])), CN_E_AUTH);
        assert_err(prologue_try(&two[i], prologue_of(&others[i])), CN_E_AUTH);
    }
}

static void who_has_both_cards_but_no_key_does_not_complete(void **state)
{
    static struct end thief; /* plays role of two[1], which it has the pair's secrets of */

    (void)state;
    thief.me = two[1].me;
    identity_vary(&crypto, &thief.me.identity);
    thief.me.identity.secret.bytes[5] ^= 1;
    thief.setup = two[1].setup;
    thief.setup.identity = &thief.me.identity;
    thief.setup.pair = &thief.me.pair;
    assert_err(cn_handshake_start(&thief.handshake, &thief.setup, thief.prologue), CN_OK);
    assert_err(cn_handshake_prologue(&two[0].handshake, prologue_of(&thief), two[0].answer), CN_OK);
    assert_err(cn_handshake_prologue(&thief.handshake, prologue_of(&two[0]), thief.answer), CN_OK);
    assert_err(answer_try(&two[0], thief.answer), CN_E_AUTH);
    assert_err(answer_try(&thief, two[0].answer), CN_E_AUTH);
}

static void who_lacks_one_of_the_two_keys_does_not_complete(void **state)
{
    (void)state;
    for (int classical = 0; classical < 2; classical++) {
        static struct end thief;

        two_setup(NULL);
        thief.me = two[1].me;
        if (classical)
            thief.me.identity.secret.bytes[5] ^= 1;
        else
            thief.me.identity.pq_secret.bytes[5] ^= 1;
        thief.setup = two[1].setup;
        thief.setup.identity = &thief.me.identity;
        assert_err(cn_handshake_start(&thief.handshake, &thief.setup, thief.prologue), CN_OK);
        assert_err(cn_handshake_prologue(&two[0].handshake, prologue_of(&thief), two[0].answer),
                   CN_OK);
        assert_err(cn_handshake_prologue(&thief.handshake, prologue_of(&two[0]), thief.answer),
                   CN_OK);
        assert_err(answer_try(&two[0], thief.answer), CN_E_AUTH);
    }
}

static void a_replayed_handshake_does_not_complete(void **state)
{
    static struct end old;

    (void)state;
    ends_answer(two);
    ends_finish(two);
    old = two[1];
    ends_start(two);
    assert_err(cn_handshake_prologue(&two[0].handshake, prologue_of(&old), two[0].answer), CN_OK);
    assert_err(answer_try(&two[0], old.answer), CN_E_AUTH);
}

static void answers_of_another_handshake_of_the_same_pair_are_refused(void **state)
{
    static struct end again[2];

    (void)state;
    memcpy(again, two, sizeof again);
    ends_start(again);
    ends_answer(two);
    ends_answer(again);
    for (int i = 0; i < 2; i++)
        assert_err(answer_try(&two[i], again[1 - i].answer), CN_E_AUTH);
}

/* --- prologues of one who has the pair's secret ---------------------------------------------- */

/* Open what an end said, let change() at its content, seal it again. */
static void prologue_edit(const struct end *from, uint8_t f1[CN_PROLOGUE_SIZE],
                          void (*change)(uint8_t *plain))
{
    static uint8_t plain[PROLOGUE_PLAIN_SIZE];

    prologue_unseal(from, plain);
    change(plain);
    prologue_seal(from, plain, f1);
}

static enum cn_err edited_try(void (*change)(uint8_t *plain))
{
    static uint8_t f1[CN_PROLOGUE_SIZE];

    prologue_edit(&two[1], f1, change);
    return prologue_try(&two[0], f1);
}

static void edit_nothing(uint8_t *plain)
{
    (void)plain;
}

static void edit_version(uint8_t *plain)
{
    plain[AT_VERSION] = 2;
}

static void edit_ephemeral_to_zero(uint8_t *plain)
{
    memset(plain + AT_EPHEMERAL, 0, CN_X25519_SIZE);
}

static void edit_pq_coefficient(uint8_t *plain)
{
    plain[AT_PQ_EPHEMERAL] = 0x01; /* 3329, of twelve bits */
    plain[AT_PQ_EPHEMERAL + 1] = (plain[AT_PQ_EPHEMERAL + 1] & 0xf0) | 0x0d;
}

static void edit_last_pq_coefficient(uint8_t *plain)
{
    plain[AT_PQ_EPHEMERAL + 1151] = 0xff;
    plain[AT_PQ_EPHEMERAL + 1150] |= 0xf0;
}

static void edit_key_data_size(uint8_t *plain)
{
    plain[AT_KEY_DATA_SIZE] = 1; /* 256, as for RSA-2048 */
}

static void edit_key_data_size_to_most(uint8_t *plain)
{
    plain[AT_KEY_DATA_SIZE] = 0xff;
    plain[AT_KEY_DATA_SIZE + 1] = 0xff;
}

static void edit_key_data(uint8_t *plain)
{
    plain[AT_KEY_DATA] ^= 1; /* X25519: pq data; RSA: the OAEP ciphertext */
}

static void edit_key_data_to_ones(uint8_t *plain)
{
    memset(plain + AT_KEY_DATA, 0xff, 256); /* RSA: larger than the modulus */
}

static void edit_capabilities(uint8_t *plain)
{
    plain[AT_CAPABILITIES] = 0x80;
    plain[AT_CAPABILITIES + 3] = 0x01;
}

static void edit_padding(uint8_t *plain)
{
    memset(plain + PROLOGUE_PLAIN_SIZE - 100, 0x55, 100);
}

static void sealed_nonsense_is_refused(void **state)
{
    (void)state;
    assert_err(edited_try(edit_nothing), CN_OK);
    assert_err(edited_try(edit_version), CN_E_FORMAT);
    assert_err(edited_try(edit_key_data_size), CN_E_FORMAT);
    assert_err(edited_try(edit_key_data_size_to_most), CN_E_FORMAT);
    assert_err(edited_try(edit_ephemeral_to_zero), CN_E_KEY);
    assert_err(edited_try(edit_pq_coefficient), CN_E_KEY);
    assert_err(edited_try(edit_last_pq_coefficient), CN_E_KEY);
}

/* The second end's prologue is edited under way; both ends answer, neither opens the other's. */
static void assert_noticed_at_the_answer(void (*change)(uint8_t *plain))
{
    static uint8_t f1[CN_PROLOGUE_SIZE];

    prologue_edit(&two[1], f1, change);
    assert_err(cn_handshake_prologue(&two[0].handshake, f1, two[0].answer), CN_OK);
    assert_err(cn_handshake_prologue(&two[1].handshake, prologue_of(&two[0]), two[1].answer),
               CN_OK);
    for (int i = 0; i < 2; i++)
        assert_err(answer_try(&two[i], two[1 - i].answer), CN_E_AUTH);
}

static void data_that_does_not_decapsulate_shows_at_the_answer_only(void **state)
{
    (void)state;
    assert_noticed_at_the_answer(edit_key_data);
    two_setup(NULL);
    assert_noticed_at_the_answer(edit_padding); /* the transcript differs */
}

static void bad_oaep_shows_at_the_answer_only(void **state)
{
    static void (*const edits[])(uint8_t *) = { edit_key_data, edit_key_data_to_ones };

    (void)state;
    for (int kind = CN_KEM_RSA2048; kind <= CN_KEM_RSA8192; kind++) {
        for (size_t i = 0; i < COUNT(edits); i++) {
            const enum cn_kem kinds[2] = { (enum cn_kem)kind, CN_KEM_X25519 };

            ends_make(two, &crypto, &seeded, kinds, 0);
            ends_start(two);
            assert_noticed_at_the_answer(edits[i]);
        }
    }
}

static void capabilities_and_padding_that_nobody_knows_are_ignored(void **state)
{
    static void (*const edits[])(uint8_t *) = { edit_capabilities, edit_padding };

    (void)state;
    for (size_t i = 0; i < COUNT(edits); i++) {
        static uint8_t f1[CN_PROLOGUE_SIZE];

        two_setup(NULL);
        prologue_edit(&two[1], f1, edits[i]); /* and this end says so from the start */
        memcpy(two[1].prologue + CN_PROLOGUE_HEAD_SIZE, f1, sizeof f1);
        memcpy(two[1].handshake.prologue, f1, sizeof f1);
        ends_answer(two);
        ends_finish(two);
        assert_memory_equal(two[0].keys.call_id, two[1].keys.call_id, CN_CALL_ID_SIZE);
        assert_int_equal(two[0].keys.capabilities, i == 0 ? 0x80000001 : 0);
        assert_int_equal(two[1].keys.capabilities, 0);
    }
}

/* --- order and secrets ----------------------------------------------------------------------- */

static void steps_out_of_order_are_refused(void **state)
{
    static struct end other;

    (void)state;
    assert_err(answer_try(&two[0], two[1].answer), CN_E_UNEXPECTED); /* before the prologue */
    other.handshake.state = CN_HANDSHAKE_NEW;
    assert_err(prologue_try(&other, prologue_of(&two[1])), CN_E_UNEXPECTED);
    assert_err(answer_try(&other, two[1].answer), CN_E_UNEXPECTED);
    ends_answer(two);
    assert_err(prologue_try(&two[0], prologue_of(&two[1])), CN_E_UNEXPECTED); /* twice */
    ends_finish(two);
    assert_err(prologue_try(&two[0], prologue_of(&two[1])), CN_E_UNEXPECTED); /* after the end */
    assert_err(answer_try(&two[0], two[1].answer), CN_E_UNEXPECTED);
    other.handshake.state = CN_HANDSHAKE_FAILED;
    assert_err(prologue_try(&other, prologue_of(&two[1])), CN_E_UNEXPECTED);
    assert_err(answer_try(&other, two[1].answer), CN_E_UNEXPECTED);
}

static void nothing_secret_is_left_when_it_is_done(void **state)
{
    (void)state;
    ends_answer(two);
    ends_finish(two);
    for (int i = 0; i < 2; i++)
        assert_wiped(&two[i].handshake, CN_HANDSHAKE_DONE);
}

static void tokens_are_wiped_once_they_are_mixed_in(void **state)
{
    static const struct cn_kem_secret no_secret;
    static const struct cn_kem_shared no_token;

    (void)state;
    ends_answer(two);
    assert_memory_equal(&two[0].handshake.ephemeral, &no_secret, sizeof no_secret);
    assert_memory_equal(&two[0].handshake.my_token, &no_token, sizeof no_token);
    assert_memory_equal(&two[0].handshake.my_pq_token, &no_token, sizeof no_token);
}

static void keys_can_be_wiped(void **state)
{
    static const struct cn_call_keys blank;

    (void)state;
    ends_answer(two);
    ends_finish(two);
    cn_call_keys_wipe(&two[0].keys);
    assert_memory_equal(&two[0].keys, &blank, sizeof blank);
    cn_call_keys_wipe(NULL);
    cn_handshake_wipe(NULL);
}

/* Fails when so many draws have been made. */
struct dry {
    unsigned left;
};

static enum cn_err dry_fill(void *context, uint8_t *out, size_t size)
{
    struct dry *dry = context;

    if (dry->left == 0)
        return CN_E_RANDOM;
    dry->left--;
    return seeded_fill(&random_state, out, size);
}

static void a_source_that_runs_dry_fails_it(void **state)
{
    unsigned draws = 0;
    enum cn_err err;

    (void)state;
    do {
        struct dry dry = { draws };
        struct cn_random random = { dry_fill, &dry };

        two[0].setup.random = &random;
        err = cn_handshake_start(&two[0].handshake, &two[0].setup, two[0].prologue);
        if (err == CN_OK)
            err = cn_handshake_prologue(&two[0].handshake, prologue_of(&two[1]), two[0].answer);
        if (err != CN_OK) {
            assert_err(err, CN_E_RANDOM);
            assert_wiped(&two[0].handshake, CN_HANDSHAKE_FAILED);
        }
        draws++;
    } while (err != CN_OK);
    assert_true(draws > 4); /* two ephemerals, a token, the nonce, and one in the answer */
}

/* --- what comes out -------------------------------------------------------------------------- */

static bool same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static void assert_agreed(const struct cn_call_keys *a, const struct cn_call_keys *b, size_t size)
{
    assert_memory_equal(a->send.bytes, b->receive.bytes, size);
    assert_memory_equal(a->receive.bytes, b->send.bytes, size);
    assert_memory_equal(a->finish_send, b->finish_receive, CN_FINISH_SIZE);
    assert_memory_equal(a->finish_receive, b->finish_send, CN_FINISH_SIZE);
    assert_memory_equal(a->chain.bytes, b->chain.bytes, size);
    assert_memory_equal(a->resume.bytes, b->resume.bytes, size);
    assert_memory_equal(a->exporter.bytes, b->exporter.bytes, size);
    assert_memory_equal(a->call_id, b->call_id, CN_CALL_ID_SIZE);
    assert_int_equal(a->limits.stream_count, 11);
    assert_int_equal(b->limits.stream_count, 10);
    assert_int_equal(a->limits.window, 1000);
    assert_int_equal(a->limits.resume_s, 70);
}

/* Secrets of one handshake that must all differ. */
static void assert_distinct(const struct cn_call_keys *k)
{
    const uint8_t *all[] = { k->send.bytes,  k->receive.bytes, k->finish_send, k->finish_receive,
                             k->chain.bytes, k->resume.bytes,  k->call_id,     k->exporter.bytes };

    for (size_t i = 0; i < COUNT(all); i++) {
        for (size_t j = 0; j < i; j++)
            assert_false(same(all[i], all[j], 32));
    }
}

static void all_kinds_and_suites_come_to_the_same_keys(void **state)
{
    (void)state;
    for (int one = CN_KEM_X25519; one <= CN_KEM_RSA8192; one++) {
        for (int other = CN_KEM_X25519; other <= CN_KEM_RSA8192; other++) {
            const enum cn_kem kinds[2] = { (enum cn_kem)one, (enum cn_kem)other };

            for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
                const struct cn_suite *suite = &cn_suites[i];

                /* sizes do not depend on the kind: they are the arrays' */
                ends_make(two, &crypto, &seeded, kinds, suite->code);
                ends_start(two);
                for (int k = 0; k < 2; k++) {
                    assert_ptr_equal(two[k].me.pair.suite, suite);
                    assert_int_equal(two[k].prologue[0] << 8 | two[k].prologue[1],
                                     CN_PROLOGUE_SIZE);
                    assert_int_equal(cn_handshake_is_rsa(&two[k].handshake),
                                     one != CN_KEM_X25519 || other != CN_KEM_X25519);
                }
                ends_answer(two);
                ends_finish(two);
                assert_agreed(&two[0].keys, &two[1].keys, cn_hash_size(suite->hash));
                assert_distinct(&two[0].keys);
            }
        }
    }
}

static void who_answers_first_makes_no_difference(void **state)
{
    (void)state;
    /* this end has the whole of the other's before it says anything */
    assert_err(cn_handshake_prologue(&two[1].handshake, prologue_of(&two[0]), two[1].answer),
               CN_OK);
    assert_err(cn_handshake_prologue(&two[0].handshake, prologue_of(&two[1]), two[0].answer),
               CN_OK);
    assert_err(cn_handshake_answer(&two[0].handshake, two[1].answer, &two[0].keys), CN_OK);
    assert_err(cn_handshake_answer(&two[1].handshake, two[0].answer, &two[1].keys), CN_OK);
    assert_agreed(&two[0].keys, &two[1].keys, 32);
}

static void no_two_handshakes_share_anything(void **state)
{
    static struct end again[2];

    (void)state;
    memcpy(again, two, sizeof again);
    ends_answer(two);
    ends_finish(two);
    ends_start(again);
    ends_answer(again);
    ends_finish(again);
    assert_false(same(again[0].prologue + 2, two[0].prologue + 2, PROLOGUE_NONCE_SIZE));
    assert_false(same(again[0].keys.send.bytes, two[0].keys.send.bytes, 32));
    assert_false(same(again[0].keys.chain.bytes, two[0].keys.chain.bytes, 32));
    assert_false(same(again[0].keys.exporter.bytes, two[0].keys.exporter.bytes, 32));
    assert_false(same(again[0].keys.call_id, two[0].keys.call_id, CN_CALL_ID_SIZE));
}

#define TEST(name) cmocka_unit_test_setup(name, two_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_prologue_with_any_octet_changed_is_refused),
        TEST(an_answer_with_any_octet_changed_is_refused),
        TEST(zeros_and_noise_are_refused),
        TEST(ends_own_octets_are_refused_when_reflected),
        TEST(another_tag_at_one_end_is_refused),
        TEST(another_caller_at_one_end_is_refused),
        TEST(another_service_at_one_end_is_refused),
        TEST(prologues_of_another_pair_of_the_same_people_are_refused),
        TEST(who_has_both_cards_but_no_key_does_not_complete),
        TEST(who_lacks_one_of_the_two_keys_does_not_complete),
        TEST(a_replayed_handshake_does_not_complete),
        TEST(answers_of_another_handshake_of_the_same_pair_are_refused),
        TEST(sealed_nonsense_is_refused),
        TEST(data_that_does_not_decapsulate_shows_at_the_answer_only),
        TEST(bad_oaep_shows_at_the_answer_only),
        TEST(capabilities_and_padding_that_nobody_knows_are_ignored),
        TEST(steps_out_of_order_are_refused),
        TEST(nothing_secret_is_left_when_it_is_done),
        TEST(tokens_are_wiped_once_they_are_mixed_in),
        TEST(keys_can_be_wiped),
        TEST(a_source_that_runs_dry_fails_it),
        TEST(all_kinds_and_suites_come_to_the_same_keys),
        TEST(who_answers_first_makes_no_difference),
        TEST(no_two_handshakes_share_anything),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
