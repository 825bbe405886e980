/* Secrets under a passphrase: another passphrase, another name, another key or one changed octet
 * opens nothing; a file cannot ask for more work than is allowed. */
#include "unit.h"

#include "seeded.h"
#include "storage.h"

static uint64_t random_state = 7;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const uint8_t hello[] = "hello, this is a secret";
static char text[CN_ARMOR_TEXT_SIZE_MAX];
static uint8_t sealed[sizeof hello + CN_SEAL_OVERHEAD];
static uint8_t out[sizeof hello];
static char file[CN_ARMOR_TEXT_SIZE_MAX];

static struct cn_seal seal_of(const char *label, const char *passphrase)
{
    return (struct cn_seal) { &crypto, label, passphrase, strlen(passphrase) };
}

static enum cn_err open_as(const char *label, const char *passphrase, size_t size)
{
    const struct cn_seal seal = seal_of(label, passphrase);

    return cn_seal_open(&seal, sealed, size, out);
}

static void seal_hello(void)
{
    const struct cn_seal seal = seal_of("cyphernet/1 test", "correct horse");

    assert_err(cn_seal_close(&seal, &seeded, hello, sizeof hello, sealed), CN_OK);
}

static void another_passphrase_or_use_opens_nothing(void **state)
{
    (void)state;
    seal_hello();
    memset(out, 1, sizeof out);
    assert_err(open_as("cyphernet/1 test", "correct hors", sizeof sealed), CN_E_PASSPHRASE);
    assert_err(open_as("cyphernet/1 test", "correct horse ", sizeof sealed), CN_E_PASSPHRASE);
    assert_err(open_as("cyphernet/1 tess", "correct horse", sizeof sealed), CN_E_PASSPHRASE);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
    assert_err(open_as("cyphernet/1 test", "correct horse", sizeof sealed), CN_OK);
    assert_memory_equal(out, hello, sizeof hello);
}

/* These are judged before any work is done. */
static void more_or_less_work_than_is_allowed_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = { { 0, 0 }, { 0, 13 }, { 0, 19 },  { 0, 63 }, { 0, 255 }, { 1, 0 },
                { 1, 7 }, { 1, 9 },  { 1, 255 }, { 2, 0 },  { 2, 5 },   { 2, 255 } };

    (void)state;
    seal_hello();
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t kept = sealed[bad[i].at];

        sealed[bad[i].at] = bad[i].value;
        assert_err(open_as("cyphernet/1 test", "correct horse", sizeof sealed), CN_E_FORMAT);
        sealed[bad[i].at] = kept;
    }
    for (size_t size = 0; size < CN_SEAL_OVERHEAD; size++)
        assert_err(open_as("cyphernet/1 test", "correct horse", size), CN_E_FORMAT);
}

static void what_is_changed_or_cut_opens_nothing(void **state)
{
    static const size_t places[] = {
        0, 2, 3, CN_SEAL_HEAD_SIZE - 1, CN_SEAL_HEAD_SIZE, sizeof sealed - 1
    };

    (void)state;
    seal_hello();
    for (size_t i = 0; i < COUNT(places); i++) {
        sealed[places[i]] ^= 3; /* of 17 it makes 18, of 1 it makes 2: allowed, and other work */
        assert_err(open_as("cyphernet/1 test", "correct horse", sizeof sealed), CN_E_PASSPHRASE);
        sealed[places[i]] ^= 3;
    }
    assert_err(open_as("cyphernet/1 test", "correct horse", sizeof sealed - 1), CN_E_PASSPHRASE);
}

/* --- the storage key ------------------------------------------------------------------------ */

static void storage_make(struct cn_storage *storage, struct cn_storage_key *key)
{
    assert_err(cn_storage_create(storage, key, &seeded), CN_OK);
    assert_err(cn_storage_say(storage, &crypto, key, CN_STORAGE_SEALED), CN_OK);
    assert_err(cn_storage_lock(storage, key, seal_of(NULL, "correct horse"), &seeded), CN_OK);
}

static void a_state_that_the_key_did_not_say_is_noticed(void **state)
{
    struct cn_storage storage = { 0 };
    struct cn_storage_key key, got = { { 0 } };

    (void)state;
    storage_make(&storage, &key);
    storage.state = CN_STORAGE_CHANGING;
    assert_err(cn_storage_open(&storage, &got, seal_of(NULL, "correct horse")), CN_E_CHECKSUM);
    storage.state = CN_STORAGE_SEALED;
    storage.id[0] ^= 1;
    assert_err(cn_storage_open(&storage, &got, seal_of(NULL, "correct horse")), CN_E_CHECKSUM);
    storage.id[0] ^= 1;
    assert_err(cn_storage_open(&storage, &got, seal_of(NULL, "incorrect")), CN_E_PASSPHRASE);
    assert_err(cn_storage_open(&storage, &got, seal_of(NULL, "correct horse")), CN_OK);
    assert_memory_equal(&got, &key, sizeof key);
}

static void the_keys_file_says_one_thing_in_one_way(void **state)
{
    struct cn_storage storage = { 0 }, got;
    struct cn_storage_key key;
    uint8_t body[CN_STORAGE_BODY_SIZE + 1];
    size_t size = 0, body_size = 0;

    (void)state;
    storage_make(&storage, &key);
    assert_err(cn_storage_encode(&storage, &crypto, text, sizeof text, &size), CN_OK);
    assert_err(cn_storage_decode(&got, &crypto, text, size), CN_OK);
    assert_memory_equal(&got, &storage, sizeof got);
    assert_err(
        cn_armor_decode(&crypto, CN_ARMOR_STORAGE_KEY, text, size, body, sizeof body, &body_size),
        CN_OK);
    for (size_t cut = 0; cut <= sizeof body; cut++) {
        assert_err(
            cn_armor_encode(&crypto, CN_ARMOR_STORAGE_KEY, body, cut, text, sizeof text, &size),
            CN_OK);
        if (cut != body_size)
            assert_err(cn_storage_decode(&got, &crypto, text, size), CN_E_FORMAT);
    }
    body[0] = 2;
    assert_err(
        cn_armor_encode(&crypto, CN_ARMOR_STORAGE_KEY, body, body_size, text, sizeof text, &size),
        CN_OK);
    assert_err(cn_storage_decode(&got, &crypto, text, size), CN_E_VERSION);
}

/* --- files ---------------------------------------------------------------------------------- */

static struct cn_piece hello_file(const struct cn_storage_key *key)
{
    const struct cn_piece in = { hello, sizeof hello };
    size_t size = 0;

    assert_err(
        cn_sealed_file_encode(&crypto, key, &seeded, "contacts/bob", in, text, sizeof text, &size),
        CN_OK);
    return (struct cn_piece) { (const uint8_t *)text, size };
}

static enum cn_err file_open(const struct cn_storage_key *key, const char *name, struct cn_piece in,
                             size_t room, size_t *size)
{
    return cn_sealed_file_decode(&crypto, key, name, in, file, room, size);
}

static void a_file_opens_with_its_key_and_under_its_name_only(void **state)
{
    const struct cn_storage_key key = { { 1 } };
    const struct cn_storage_key other = { { 2 } };
    struct cn_piece in = hello_file(&key);
    size_t size = 99;

    (void)state;
    assert_err(file_open(&other, "contacts/bob", in, sizeof file, &size), CN_E_CHECKSUM);
    assert_err(file_open(&key, "contacts/carl", in, sizeof file, &size), CN_E_CHECKSUM);
    assert_err(file_open(&key, "contacts/bob", in, sizeof hello - 1, &size), CN_E_FULL);
    assert_int_equal(size, 99);
    assert_err(file_open(&key, "contacts/bob", in, sizeof hello, &size), CN_OK);
    assert_int_equal(size, sizeof hello);
    assert_memory_equal(file, hello, sizeof hello);
}

/* With the armour's checksum made anew, as whoever changes a file on purpose does. */
static void every_changed_octet_of_a_file_is_noticed(void **state)
{
    const struct cn_storage_key key = { { 1 } };
    struct cn_piece in = hello_file(&key);
    uint8_t body[512];
    size_t body_size = 0, size = 0, got = 0;

    (void)state;
    assert_err(cn_armor_decode(&crypto, CN_ARMOR_SEALED_FILE, text, in.size, body, sizeof body,
                               &body_size),
               CN_OK);
    for (size_t at = 0; at < body_size; at++) {
        body[at] ^= 0x40;
        assert_err(cn_armor_encode(&crypto, CN_ARMOR_SEALED_FILE, body, body_size, text,
                                   sizeof text, &size),
                   CN_OK);
        in.size = size;
        if (at == 0)
            assert_err(file_open(&key, "contacts/bob", in, sizeof file, &got), CN_E_VERSION);
        else
            assert_err(file_open(&key, "contacts/bob", in, sizeof file, &got), CN_E_CHECKSUM);
        body[at] ^= 0x40;
    }
    for (size_t cut = 0; cut < body_size; cut++) {
        assert_err(
            cn_armor_encode(&crypto, CN_ARMOR_SEALED_FILE, body, cut, text, sizeof text, &size),
            CN_OK);
        in.size = size;
        assert_true(file_open(&key, "contacts/bob", in, sizeof file, &got) != CN_OK);
    }
}

static void a_file_that_is_too_large_is_not_sealed(void **state)
{
    static uint8_t large[CN_SEALED_FILE_SIZE_MAX + 1];
    const struct cn_storage_key key = { { 1 } };
    struct cn_piece in = { large, sizeof large };
    size_t size = 99;

    (void)state;
    assert_err(cn_sealed_file_encode(&crypto, &key, &seeded, "x", in, text, sizeof text, &size),
               CN_E_FULL);
    in.size--;
    assert_err(cn_sealed_file_encode(&crypto, &key, &seeded, "x", in, text, sizeof text, &size),
               CN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_passphrase_or_use_opens_nothing),
        cmocka_unit_test(more_or_less_work_than_is_allowed_is_refused),
        cmocka_unit_test(what_is_changed_or_cut_opens_nothing),
        cmocka_unit_test(a_state_that_the_key_did_not_say_is_noticed),
        cmocka_unit_test(the_keys_file_says_one_thing_in_one_way),
        cmocka_unit_test(a_file_opens_with_its_key_and_under_its_name_only),
        cmocka_unit_test(every_changed_octet_of_a_file_is_noticed),
        cmocka_unit_test(a_file_that_is_too_large_is_not_sealed),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
