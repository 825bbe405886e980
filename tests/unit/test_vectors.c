/* Calls from fixed seeds: tests/vectors/call.txt holds every step of them, for other
 * implementations too. CYPHERNET_VECTORS=write in the environment writes the file anew. */
#include "unit.h"

#include "calling.h"
#include "frame.h"
#include "record.h"
#include "tag.h"
#include "vectors.h"

static const char path[] = "tests/vectors/call.txt";
static const uint64_t epoch = 490000;
static FILE *file;
static bool writing;
static struct vector expected;
static uint64_t random_state;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct end two[2];

static int file_setup(void **state)
{
    const char *wish = getenv("CYPHERNET_VECTORS");

    writing = wish && strcmp(wish, "write") == 0;
    file = fopen(path, writing ? "w" : "r");
    if (!file || crypto_setup(state) != 0)
        return -1;
    if (writing)
        fputs("# Calls: everything that two ends come to, by suite. a and b are the roles; file "
              "from\n"
              "# A to B. Made by tests/unit/test_vectors.c with CYPHERNET_VECTORS=write; "
              "tests/interop\n"
              "# makes it again, in Python, from PROTOCOL.md alone.\n",
              file);
    return 0;
}

static int file_teardown(void **state)
{
    bool left = !writing && vector_next(file, &expected);

    vector_wipe(&expected);
    return fclose(file) == 0 && !left ? crypto_teardown(state) : -1;
}

static void vector_begin(void)
{
    if (writing)
        fputc('\n', file);
    else
        assert_true(vector_next(file, &expected));
}

/* Write the field, or compare it. */
static void field(const char *name, const void *octets, size_t size)
{
    const uint8_t *at = octets;

    if (!writing) {
        const struct vector_field *f = vector_field(&expected, name);

        if (!f)
            fail_msg("no %s", name);
        assert_int_equal(f->size, size);
        assert_memory_equal(f->octets, octets, size);
        return;
    }
    fprintf(file, "%s =", name);
    for (size_t i = 0; i < size; i++)
        fprintf(file, "%s%02x", i == 0 ? " " : "", at[i]);
    fputc('\n', file);
}

/* A field of one end: a_name or b_name. */
static void field_of(const struct end *end, const char *name, const void *octets, size_t size)
{
    char full[64];

    (void)snprintf(full, sizeof full, "%c_%s", end->me.pair.role == CN_ROLE_A ? 'a' : 'b', name);
    field(full, octets, size);
}

static void cards_tell(const struct cn_suite *suite)
{
    const uint8_t code[2] = { 0, (uint8_t)suite->code };
    uint8_t tag[CN_TAG_SIZE];

    field("suite", code, sizeof code);
    for (int i = 0; i < 2; i++) {
        const struct subscriber *me = &two[i].me;
        const uint8_t kind = (uint8_t)me->identity.public.kind;

        field_of(&two[i], "kind", &kind, 1);
        field_of(&two[i], "id", me->identity.id, sizeof me->identity.id);
        field_of(&two[i], "card", me->card.body, me->card.body_size);
        field_of(&two[i], "card_hash", me->card.hash, sizeof me->card.hash);
    }
    for (int service = CN_SERVICE_TALK; service <= CN_SERVICE_FORWARD; service++) {
        char name[32];

        (void)snprintf(name, sizeof name, "tag_%s_%u", cn_service_name((enum cn_service)service),
                       (unsigned)epoch);
        assert_err(
            cn_tag_make(&crypto, &two[0].me.pair.tag_key, (enum cn_service)service, epoch, tag),
            CN_OK);
        field(name, tag, sizeof tag);
    }
    field("prologue_key", two[0].me.pair.prologue_key.bytes, CN_SHA256_SIZE);
    field("chain_key", two[0].me.pair.chain_key.bytes, CN_SHA256_SIZE);
    field("safety", two[0].me.pair.safety, CN_SAFETY_TEXT_SIZE - 1);
}

/* Record 0, the Finish, and record 1, a PING. */
static void records_tell(const struct end *end)
{
    const struct cn_pair *pair = &end->me.pair;
    uint8_t wire[256];
    uint8_t ping[16];
    struct cn_writer w = { .at = ping, .left = sizeof ping };
    const struct cn_piece pieces[2] = { { end->keys.finish_send, CN_FINISH_SIZE },
                                        { ping, sizeof ping } };
    struct cn_record record;

    cn_frame_encode(&(struct cn_frame) { .type = CN_FRAME_PING, .offset = 0x0102030405060708 }, &w);
    assert_err(cn_record_init(&record, &crypto, pair->suite, &end->keys.send, pair->role, true),
               CN_OK);
    for (int i = 0; i < 2; i++) {
        assert_err(cn_record_seal(&record, &pieces[i], 1, sizeof wire, wire), CN_OK);
        field_of(end, i == 0 ? "record_0" : "record_1", wire, sizeof wire);
    }
    cn_record_wipe(&record);
}

/* The keys of the pair in the call that goes on: with the resume secret, and with the chain secret.
 */
static void within_tell(const char *name, const struct cn_resume_secret *secret)
{
    struct cn_pair pair;
    uint8_t tag[CN_TAG_SIZE];
    char full[32];

    assert_err(cn_pair_resume(&pair, &crypto, &two[0].me.pair, secret), CN_OK);
    assert_err(cn_tag_make(&crypto, &pair.tag_key, CN_SERVICE_RESUME, epoch, tag), CN_OK);
    (void)snprintf(full, sizeof full, "%s_tag_%u", name, (unsigned)epoch);
    field(full, tag, sizeof tag);
    (void)snprintf(full, sizeof full, "%s_prologue_key", name);
    field(full, pair.prologue_key.bytes, CN_SHA256_SIZE);
    (void)snprintf(full, sizeof full, "%s_chain_key", name);
    field(full, pair.chain_key.bytes, CN_SHA256_SIZE);
}

static void call_tell(const struct cn_suite *suite)
{
    const size_t size = cn_hash_size(suite->hash);
    struct cn_resume_secret chain;

    for (int i = 0; i < 2; i++) {
        two[i].setup.limits = (struct cn_call_limits) { 4096, 1 << 20, 3600 };
        assert_err(
            cn_tag_make(&crypto, &two[i].me.pair.tag_key, CN_SERVICE_FILE, epoch, two[i].setup.tag),
            CN_OK);
    }
    ends_start(two);
    field("h0", two[0].handshake.hash, size);
    for (int i = 0; i < 2; i++) {
        const struct cn_handshake *h = &two[i].handshake;

        field_of(&two[i], "static_secret", two[i].me.identity.secret.bytes, CN_X25519_SIZE);
        field_of(&two[i], "pq_static_seed", two[i].me.identity.pq_secret.bytes,
                 CN_MLKEM768_SEED_SIZE);
        field_of(&two[i], "ephemeral_secret", h->ephemeral.bytes, CN_X25519_SIZE);
        field_of(&two[i], "pq_ephemeral_seed", h->pq_ephemeral.bytes, CN_MLKEM768_SEED_SIZE);
        field_of(&two[i], "t", h->my_token.bytes, CN_KEM_SHARED_SIZE);
        field_of(&two[i], "q", h->my_pq_token.bytes, CN_KEM_SHARED_SIZE);
        field_of(&two[i], "f1", prologue_of(&two[i]), CN_PROLOGUE_SIZE);
    }
    ends_answer(two);
    field("h1", two[0].handshake.hash, size);
    field("ck1", two[0].handshake.chain, size);
    for (int i = 0; i < 2; i++) {
        field_of(&two[i], "m", two[i].handshake.my_answer.bytes, CN_KEM_SHARED_SIZE);
        field_of(&two[i], "f2", two[i].answer, CN_ANSWER_SIZE);
    }
    ends_finish(two);
    for (int i = 0; i < 2; i++) {
        field_of(&two[i], "traffic", two[i].keys.send.bytes, size);
        field_of(&two[i], "finish", two[i].keys.finish_send, CN_FINISH_SIZE);
        records_tell(&two[i]);
    }
    field("chain", two[0].keys.chain.bytes, size);
    field("resume", two[0].keys.resume.bytes, size);
    field("exporter", two[0].keys.exporter.bytes, size);
    field("call_id", two[0].keys.call_id, CN_CALL_ID_SIZE);
    within_tell("resumed", &two[0].keys.resume);
    memcpy(chain.bytes, two[0].keys.chain.bytes, sizeof chain.bytes);
    within_tell("rehandshake", &chain);
}

/* Of RSA nothing beyond the cards: its tokens are drawn inside libcrypto. */
static void calls_are_as_written(void **state)
{
    static const enum cn_kem kinds[][2] = { { CN_KEM_X25519, CN_KEM_X25519 },
                                            { CN_KEM_RSA2048, CN_KEM_X25519 } };

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
            random_state = 1000 + i;
            ends_make(two, &crypto, &seeded, kinds[k], cn_suites[i].code);
            vector_begin();
            cards_tell(&cn_suites[i]);
            if (k == 0)
                call_tell(&cn_suites[i]);
            vector_wipe(&expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_as_written),
    };

    return cmocka_run_group_tests(tests, file_setup, file_teardown);
}
