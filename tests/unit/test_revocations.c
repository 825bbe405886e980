/* A list of an operator elsewhere: whole, his, and in order, or refused. */
#include "unit.h"

#include "armor.h"
#include "revocations.h"
#include "vectors.h"

enum { BODY_SIZE_MAX = 4096 };

static const struct cn_operator_secret operator_secret = { { 5, 6, 7 } };
static const struct cn_server_public server = { { 3 } };
static struct cn_blocked blocked[3];
static struct cn_held_notice held[2];
static struct cn_revocations good;
static uint8_t body[BODY_SIZE_MAX];
static size_t body_size;

static void renewal_make(struct cn_held_notice *out, uint8_t who, uint64_t number)
{
    struct cn_notice n = { .number = number, .server = server, .parts = CN_NOTICE_CERTIFICATE };
    size_t size = 0;

    *out = (struct cn_held_notice) { .number = number, .serial = who };
    memset(n.admission_key, who, sizeof n.admission_key);
    memset(n.certificate.admission_key, who, sizeof n.certificate.admission_key);
    memset(out->admission_key, who, sizeof out->admission_key);
    n.certificate.serial = who;
    n.certificate.not_after = 9;
    if (cn_certificate_sign(&n.certificate, &operator_secret) != CN_OK ||
        cn_notice_make(&n, &operator_secret, out->octets, sizeof out->octets, &size) != CN_OK)
        abort();
    out->size = (uint16_t)size;
}

static void move_make(struct cn_common_notice *out, const struct cn_operator_secret *secret)
{
    struct cn_notice n = { .number = 60, .server = server, .parts = CN_NOTICE_ADDRESSES };
    size_t size = 0;

    n.address_count = 1;
    strcpy(n.address[0], "new.example:7473");
    if (cn_notice_make(&n, secret, out->octets, sizeof out->octets, &size) != CN_OK)
        abort();
    out->number = n.number;
    out->size = (uint16_t)size;
}

/* The body that the encoder makes of a list. */
static size_t encode(const struct cn_revocations *list, const struct cn_operator_secret *secret,
                     uint8_t out[BODY_SIZE_MAX])
{
    char *text = NULL;
    size_t text_size = 0;
    size_t size = 0;

    assert_err(cn_revocations_encode(&crypto, list, secret, &text, &text_size), CN_OK);
    assert_err(cn_armor_decode_large(&crypto, CN_ARMOR_REVOCATIONS, text, text_size, out,
                                     BODY_SIZE_MAX, &size),
               CN_OK);
    free(text);
    return size;
}

static enum cn_err decode_body(const uint8_t *in, size_t size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_revocations got = { .number = 99 };
    size_t text_size = 0;
    enum cn_err err;

    assert_err(
        cn_armor_encode(&crypto, CN_ARMOR_REVOCATIONS, in, size, text, sizeof text, &text_size),
        CN_OK);
    err = cn_revocations_decode(&crypto, text, text_size, &got);
    if (err == CN_OK)
        cn_revocations_wipe(&got);
    else
        assert_int_equal(got.number, 99);
    return err;
}

static int setup(void **state)
{
    if (crypto_setup(state) != 0 ||
        cn_ed25519_public(operator_secret.bytes, good.operator_key.bytes) != CN_OK)
        return -1;
    for (uint8_t i = 0; i < COUNT(blocked); i++) {
        blocked[i].serial = 10U + i;
        memset(blocked[i].admission_key, i, sizeof blocked[i].admission_key);
        blocked[i].reason = i == 1 ? CN_VERDICT_SUSPENDED : CN_VERDICT_REVOKED;
    }
    renewal_make(&held[0], 7, 50);
    renewal_make(&held[1], 200, 40);
    good.number = 100;
    good.server = server;
    good.blocked = blocked;
    good.blocked_count = COUNT(blocked);
    good.held = held;
    good.held_count = COUNT(held);
    move_make(&good.common, &operator_secret);
    body_size = encode(&good, &operator_secret, body);
    return 0;
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < body_size; size++)
        assert_true(decode_body(body, size) != CN_OK);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * body_size; bit += 3) {
        enum cn_err err;

        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
        err = decode_body(body, body_size);
        assert_true(err == CN_E_AUTH || err == CN_E_VERSION);
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_err(decode_body(body, body_size), CN_OK);
}

/* Each is signed by the operator, but is no list all the same. */
static void what_is_out_of_order_or_range_is_refused(void **state)
{
    struct cn_blocked b[COUNT(blocked)];
    struct cn_held_notice h[COUNT(held)];
    uint8_t made[BODY_SIZE_MAX];
    struct cn_revocations list = good;

    (void)state;
    list.blocked = b;
    list.held = h;
    memcpy(h, held, sizeof h);
    memcpy(b, blocked, sizeof b);
    b[2].serial = b[1].serial;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    b[2].serial = b[1].serial - 1;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    b[2].serial = (uint64_t)INT64_MAX + 1;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    memcpy(b, blocked, sizeof b);
    b[0].serial = 0;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    memcpy(b, blocked, sizeof b);
    b[0].reason = CN_VERDICT_EXPIRED;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    memcpy(b, blocked, sizeof b);
    h[0] = held[1];
    h[1] = held[0];
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    h[0] = held[0];
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    h[1] = held[1];
    list.number = 0;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
    list.number = good.number;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_OK);
}

static void a_notice_of_another_operator_or_server_is_refused(void **state)
{
    static const struct cn_operator_secret other = { { 8 } };
    struct cn_revocations list = good;
    uint8_t made[BODY_SIZE_MAX];

    (void)state;
    move_make(&list.common, &other);
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_AUTH);
    list = good;
    list.server.bytes[5] ^= 1;
    assert_err(decode_body(made, encode(&list, &operator_secret, made)), CN_E_FORMAT);
}

static void one_signed_by_another_than_it_names_is_refused(void **state)
{
    static const struct cn_operator_secret other = { { 8 } };
    uint8_t made[BODY_SIZE_MAX];

    (void)state;
    assert_err(decode_body(made, encode(&good, &other, made)), CN_E_AUTH);
}

static void all_of_it_comes_back(void **state)
{
    struct cn_revocations got = { 0 };
    char *text = NULL;
    size_t text_size = 0;

    (void)state;
    assert_err(cn_revocations_encode(&crypto, &good, &operator_secret, &text, &text_size), CN_OK);
    assert_err(cn_revocations_decode(&crypto, text, text_size, &got), CN_OK);
    free(text);
    assert_int_equal(got.number, 100);
    assert_memory_equal(got.server.bytes, server.bytes, sizeof server.bytes);
    assert_memory_equal(got.operator_key.bytes, good.operator_key.bytes, 32);
    assert_int_equal(got.blocked_count, 3);
    for (size_t i = 0; i < COUNT(blocked); i++) {
        assert_int_equal(got.blocked[i].serial, blocked[i].serial);
        assert_int_equal(got.blocked[i].reason, blocked[i].reason);
        assert_memory_equal(got.blocked[i].admission_key, blocked[i].admission_key, 32);
    }
    assert_int_equal(got.held_count, 2);
    for (size_t i = 0; i < COUNT(held); i++) {
        assert_int_equal(got.held[i].number, held[i].number);
        assert_int_equal(got.held[i].serial, held[i].serial);
        assert_int_equal(got.held[i].size, held[i].size);
        assert_memory_equal(got.held[i].octets, held[i].octets, held[i].size);
    }
    assert_int_equal(got.common.number, 60);
    assert_memory_equal(got.common.octets, good.common.octets, good.common.size);
    cn_revocations_wipe(&got);
}

static void a_long_list_fits_and_one_too_long_is_told(void **state)
{
    enum { MANY = 100000, TOO_MANY = 410000 };
    struct cn_revocations list = good;
    struct cn_revocations got = { 0 };
    char *text = NULL;
    size_t size = 0;

    (void)state;
    list.held_count = 0;
    list.blocked = calloc(TOO_MANY, sizeof *list.blocked);
    assert_non_null(list.blocked);
    for (size_t i = 0; i < TOO_MANY; i++)
        list.blocked[i] = (struct cn_blocked) { .serial = i + 1, .reason = CN_VERDICT_REVOKED };
    list.blocked_count = MANY;
    assert_err(cn_revocations_encode(&crypto, &list, &operator_secret, &text, &size), CN_OK);
    assert_err(cn_revocations_decode(&crypto, text, size, &got), CN_OK);
    assert_int_equal(got.blocked_count, MANY);
    cn_revocations_wipe(&got);
    free(text);
    list.blocked_count = TOO_MANY;
    assert_err(cn_revocations_encode(&crypto, &list, &operator_secret, &text, &size), CN_E_FULL);
    free(list.blocked);
}

/* Made by another implementation: tests/interop/test_notice_vectors.py. */
static void the_vector_is_read_and_made_again(void **state)
{
    FILE *file = fopen("tests/vectors/notice.txt", "r");
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_revocations got = { 0 };
    const struct vector_field *f;
    struct vector v = { 0 };
    struct cn_operator_secret secret;
    uint8_t made[BODY_SIZE_MAX];
    size_t size = 0;

    (void)state;
    assert_non_null(file);
    assert_true(vector_next(file, &v));
    f = vector_field(&v, "revocations");
    memcpy(secret.bytes, vector_field(&v, "operator_seed")->octets, sizeof secret.bytes);
    assert_err(cn_armor_encode(&crypto, CN_ARMOR_REVOCATIONS, f->octets, f->size, text, sizeof text,
                               &size),
               CN_OK);
    assert_err(cn_revocations_decode(&crypto, text, size, &got), CN_OK);
    assert_int_equal(got.number, 1731000004);
    assert_int_equal(got.blocked_count, 2);
    assert_int_equal(got.blocked[1].reason, CN_VERDICT_SUSPENDED);
    assert_int_equal(got.held_count, 1);
    assert_int_equal(got.held[0].serial, 0x0102030405060708);
    assert_int_equal(got.common.number, 1731000001);
    assert_int_equal(encode(&got, &secret, made), f->size);
    assert_memory_equal(made, f->octets, f->size);
    cn_revocations_wipe(&got);
    vector_wipe(&v);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(what_is_out_of_order_or_range_is_refused),
        cmocka_unit_test(a_notice_of_another_operator_or_server_is_refused),
        cmocka_unit_test(one_signed_by_another_than_it_names_is_refused),
        cmocka_unit_test(all_of_it_comes_back),
        cmocka_unit_test(a_long_list_fits_and_one_too_long_is_told),
        cmocka_unit_test(the_vector_is_read_and_made_again),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
