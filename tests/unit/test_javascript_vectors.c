/* Calls that another implementation has made, tests/interop: both ends of them are played again
 * with its keys, and come to the same. */
#include "unit.h"

#include "armor.h"
#include "calling.h"
#include "frame.h"
#include "record.h"
#include "tag.h"
#include "vectors.h"

static const char path[] = "tests/vectors/javascript.txt";
static const uint64_t epoch = 490000;
static uint64_t random_state = 1;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct vector vector;
static struct end two[2];

/* What the vector calls it: WHAT_NAME, or WHAT_a_NAME of an end. */
static const struct vector_field *told(const char *what, const struct end *end, const char *name)
{
    const char *role = !end ? "" : end->me.pair.role == CN_ROLE_A ? "a_" : "b_";
    const struct vector_field *field;
    char full[64];

    (void)snprintf(full, sizeof full, "%s%s%s%s", what, *what ? "_" : "", role, name);
    field = vector_field(&vector, full);
    if (!field)
        fail_msg("no %s", full);
    return field;
}

static void same(const char *what, const struct end *end, const char *name, const void *octets,
                 size_t size)
{
    const struct vector_field *field = told(what, end, name);

    assert_int_equal(field->size, size);
    assert_memory_equal(field->octets, octets, size);
}

static void put(const char *what, const struct end *end, const char *name, void *octets,
                size_t size)
{
    const struct vector_field *field = told(what, end, name);

    assert_int_equal(field->size, size);
    memcpy(octets, field->octets, size);
}

/* --- the two */

static void identity_take(struct end *end)
{
    const struct vector_field *body = told("", end, "identity");
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size;

    assert_err(cn_armor_encode(&crypto, CN_ARMOR_IDENTITY, body->octets, body->size, text,
                               sizeof text, &size),
               CN_OK);
    assert_err(cn_identity_decode(&end->me.identity, &crypto, text, size), CN_OK);
    same("", end, "id", end->me.identity.id, CN_ID_SIZE);
}

static void ends_take(void)
{
    memset(two, 0, sizeof two);
    for (int i = 0; i < 2; i++) {
        two[i].me.pair.role = i == 0 ? CN_ROLE_A : CN_ROLE_B;
        identity_take(&two[i]);
        assert_err(cn_card_decode(&two[i].me.card, &crypto, told("", &two[i], "card")->octets,
                                  told("", &two[i], "card")->size),
                   CN_OK);
    }
    for (int i = 0; i < 2; i++) {
        const enum cn_role role = two[i].me.pair.role;

        assert_err(cn_pair_create(&two[i].me.pair, &crypto, &two[i].me.identity, &two[i].me.card,
                                  &two[1 - i].me.card),
                   CN_OK);
        assert_int_equal(two[i].me.pair.role, role);
        same("", NULL, "safety", two[i].me.pair.safety, CN_SAFETY_TEXT_SIZE - 1);
    }
    ends_set_up(two, &crypto, &seeded);
}

/* From now on they are the pair of a call that goes on. */
static void ends_follow(const uint8_t *secret)
{
    for (int i = 0; i < 2; i++) {
        struct cn_resume_secret before;
        struct cn_pair pair;

        memcpy(before.bytes, secret, sizeof before.bytes);
        assert_err(cn_pair_resume(&pair, &crypto, &two[i].me.pair, &before), CN_OK);
        two[i].me.pair = pair;
    }
}

static void tag_is(const char *name, enum cn_service service)
{
    uint8_t tag[CN_TAG_SIZE];

    assert_err(cn_tag_make(&crypto, &two[0].me.pair.tag_key, service, epoch, tag), CN_OK);
    same("", NULL, name, tag, sizeof tag);
}

/* --- a handshake */

/* F1 as it was made there, and what was drawn for it. */
static void start(const char *what, struct end *end)
{
    struct cn_handshake *h = &end->handshake;

    assert_err(cn_handshake_start(h, &end->setup, end->prologue), CN_OK);
    same(what, NULL, "h0", h->hash, cn_hash_size(end->me.pair.suite->hash));
    put(what, end, "ephemeral_secret", h->ephemeral.bytes, CN_X25519_SIZE);
    put(what, end, "pq_ephemeral_seed", h->pq_ephemeral.bytes, CN_MLKEM768_SEED_SIZE);
    put(what, end, "t", h->my_token.bytes, CN_KEM_SHARED_SIZE);
    put(what, end, "q", h->my_pq_token.bytes, CN_KEM_SHARED_SIZE);
    put(what, end, "f1", h->prologue, CN_PROLOGUE_SIZE);
}

static void answer(const char *what, struct end *end, const struct end *partner)
{
    struct cn_handshake *h = &end->handshake;
    const size_t size = cn_hash_size(end->me.pair.suite->hash);

    assert_err(cn_handshake_prologue(h, told(what, partner, "f1")->octets, end->answer), CN_OK);
    same(what, NULL, "h1", h->hash, size);
    same(what, NULL, "ck1", h->chain, size);
    put(what, end, "m", h->my_answer.bytes, CN_KEM_SHARED_SIZE);
    put(what, end, "f2", h->answer, CN_ANSWER_SIZE);
}

static void finish(const char *what, struct end *end, const struct end *partner)
{
    struct cn_call_keys *keys = &end->keys;
    const size_t size = cn_hash_size(end->me.pair.suite->hash);

    assert_err(cn_handshake_answer(&end->handshake, told(what, partner, "f2")->octets, keys),
               CN_OK);
    same(what, end, "traffic", keys->send.bytes, size);
    same(what, partner, "traffic", keys->receive.bytes, size);
    same(what, end, "finish", keys->finish_send, CN_FINISH_SIZE);
    same(what, partner, "finish", keys->finish_receive, CN_FINISH_SIZE);
    same(what, NULL, "chain", keys->chain.bytes, size);
    same(what, NULL, "resume", keys->resume.bytes, size);
    same(what, NULL, "exporter", keys->exporter.bytes, size);
    same(what, NULL, "call_id", keys->call_id, CN_CALL_ID_SIZE);
    assert_int_equal(keys->limits.stream_count, 17);
    assert_int_equal(keys->limits.window, 1 << 18);
    assert_int_equal(keys->limits.resume_s, 1200);
}

static void handshake_is(const char *what, enum cn_service service, const uint8_t tag[CN_TAG_SIZE])
{
    for (int i = 0; i < 2; i++) {
        two[i].setup.service = service;
        memcpy(two[i].setup.tag, tag, CN_TAG_SIZE);
        start(what, &two[i]);
    }
    for (int i = 0; i < 2; i++)
        answer(what, &two[i], &two[1 - i]);
    for (int i = 0; i < 2; i++)
        finish(what, &two[i], &two[1 - i]);
}

/* Record 0, and the first of the next generation. */
static void records_are(void)
{
    uint8_t wire[256], ping[16];
    struct cn_writer w = { .at = ping, .left = sizeof ping };
    struct cn_piece piece = { two[0].keys.finish_send, CN_FINISH_SIZE };
    struct cn_record record;

    cn_frame_encode(&(struct cn_frame) { .type = CN_FRAME_PING, .offset = 0x0102030405060708 }, &w);
    assert_err(
        cn_record_init(&record, &crypto, two[0].me.pair.suite, &two[0].keys.send, CN_ROLE_A, true),
        CN_OK);
    for (size_t i = 0; i < CN_RECORD_GENERATION_COUNT; i++) {
        assert_err(cn_record_seal(&record, &piece, 1, sizeof wire, wire), CN_OK);
        if (i == 0)
            same("", NULL, "record_0", wire, sizeof wire);
    }
    piece = (struct cn_piece) { ping, sizeof ping };
    assert_err(cn_record_seal(&record, &piece, 1, sizeof wire, wire), CN_OK);
    same("", NULL, "record_65536", wire, sizeof wire);
    cn_record_wipe(&record);
}

static void a_call_is_the_same(void)
{
    ends_take();
    tag_is("tag", CN_SERVICE_PIPE);
    handshake_is("call", CN_SERVICE_PIPE, told("", NULL, "tag")->octets);
    records_are();

    ends_follow(two[0].keys.resume.bytes);
    tag_is("resumed_tag", CN_SERVICE_RESUME);
    handshake_is("resumed", CN_SERVICE_RESUME, told("", NULL, "resumed_tag")->octets);

    ends_follow(two[0].keys.chain.bytes);
    handshake_is("fresh", CN_SERVICE_REHANDSHAKE, told("resumed", NULL, "call_id")->octets);
}

static void calls_are_the_same(void **state)
{
    FILE *file = fopen(path, "r");
    size_t count = 0;

    (void)state;
    assert_non_null(file);
    for (; vector_next(file, &vector); count++) {
        a_call_is_the_same();
        vector_wipe(&vector);
    }
    vector_wipe(&vector);
    fclose(file);
    assert_int_equal(count, CN_SUITE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_the_same),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
