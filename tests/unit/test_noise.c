/* Our Noise IK speaks as the public vectors do, and takes nothing that was changed. */
#include "unit.h"

#include "noise.h"
#include "vectors.h"

enum { MESSAGE_SIZE_MAX = 512 };

static const uint8_t prologue[] = "test";
/* the low bits of the first octet do not count in a private key */
static const uint8_t init_static[CN_X25519_SIZE] = { 0, 1 };
static const uint8_t init_ephemeral[CN_X25519_SIZE] = { 0, 2 };
static const uint8_t resp_static[CN_X25519_SIZE] = { 0, 3 };
static const uint8_t resp_ephemeral[CN_X25519_SIZE] = { 0, 4 };
static const uint8_t payload[] = { 10, 20, 30 };
static struct cn_x25519_key resp_key;

enum {
    MESSAGE1_SIZE = sizeof payload + CN_NOISE_MESSAGE1_EXTRA,
    MESSAGE2_SIZE = sizeof payload + CN_NOISE_MESSAGE2_EXTRA
};

static int setup(void **state)
{
    return crypto_setup(state) == 0 && cn_x25519_key_init(&resp_key, resp_static) == CN_OK ? 0 : -1;
}

static void initiator(struct cn_noise *noise)
{
    assert_err(cn_noise_initiator_init(noise, &crypto, prologue, sizeof prologue, init_static,
                                       resp_key.public),
               CN_OK);
}

static void responder(struct cn_noise *noise)
{
    assert_err(cn_noise_responder_init(noise, &crypto, prologue, sizeof prologue, &resp_key),
               CN_OK);
}

/* Both messages of one handshake between the two above. */
static void handshake(struct cn_noise *i, struct cn_noise *r, uint8_t message1[MESSAGE1_SIZE],
                      uint8_t message2[MESSAGE2_SIZE])
{
    uint8_t got[sizeof payload];

    initiator(i);
    responder(r);
    assert_err(cn_noise_write1(i, init_ephemeral, payload, sizeof payload, message1), CN_OK);
    assert_err(cn_noise_read1(r, message1, MESSAGE1_SIZE, got), CN_OK);
    assert_err(cn_noise_write2(r, resp_ephemeral, payload, sizeof payload, message2), CN_OK);
}

/* Fields of message number `number`, which the vector may not have. */
static bool message_of(const struct vector *v, unsigned number, const struct vector_field **plain,
                       const struct vector_field **cipher)
{
    char name[64];

    snprintf(name, sizeof name, "payload_%u", number);
    *plain = vector_field(v, name);
    snprintf(name, sizeof name, "ciphertext_%u", number);
    *cipher = vector_field(v, name);
    return *plain && *cipher;
}

static void transport_is_as_in(const struct vector *v, struct cn_noise_cipher send[2],
                               struct cn_noise_cipher receive[2])
{
    const struct vector_field *plain, *cipher;
    uint8_t out[MESSAGE_SIZE_MAX];

    for (unsigned number = 2; message_of(v, number, &plain, &cipher); number++) {
        unsigned from = number % 2;

        assert_int_equal(cipher->size, plain->size + CN_AEAD_TAG_SIZE);
        assert_err(cn_noise_seal(&send[from], &crypto, plain->octets, plain->size, out), CN_OK);
        assert_memory_equal(out, cipher->octets, cipher->size);
        assert_err(cn_noise_open(&receive[from], &crypto, cipher->octets, cipher->size, out),
                   CN_OK);
        assert_memory_equal(out, plain->octets, plain->size);
    }
}

static void speaks_as(const struct vector *v)
{
    const struct vector_field *p = vector_field(v, "prologue");
    const struct vector_field *hash = vector_field(v, "handshake_hash");
    const struct vector_field *plain, *cipher;
    struct cn_noise_cipher send[2];
    struct cn_noise_cipher receive[2];
    struct cn_noise i, r;
    struct cn_x25519_key remote;
    uint8_t out[MESSAGE_SIZE_MAX];

    assert_err(cn_x25519_key_init(&remote, vector_octets(v, "resp_static", CN_X25519_SIZE)), CN_OK);
    assert_err(cn_noise_initiator_init(&i, &crypto, p->octets, p->size,
                                       vector_octets(v, "init_static", CN_X25519_SIZE),
                                       remote.public),
               CN_OK);
    assert_err(cn_noise_responder_init(&r, &crypto, p->octets, p->size, &remote), CN_OK);

    assert_true(message_of(v, 0, &plain, &cipher));
    assert_int_equal(cipher->size, plain->size + CN_NOISE_MESSAGE1_EXTRA);
    assert_err(cn_noise_write1(&i, vector_octets(v, "init_ephemeral", CN_X25519_SIZE),
                               plain->octets, plain->size, out),
               CN_OK);
    assert_memory_equal(out, cipher->octets, cipher->size);
    assert_err(cn_noise_read1(&r, cipher->octets, cipher->size, out), CN_OK);
    assert_memory_equal(out, plain->octets, plain->size);

    assert_true(message_of(v, 1, &plain, &cipher));
    assert_int_equal(cipher->size, plain->size + CN_NOISE_MESSAGE2_EXTRA);
    assert_err(cn_noise_write2(&r, vector_octets(v, "resp_ephemeral", CN_X25519_SIZE),
                               plain->octets, plain->size, out),
               CN_OK);
    assert_memory_equal(out, cipher->octets, cipher->size);
    assert_err(cn_noise_read2(&i, cipher->octets, cipher->size, out), CN_OK);
    assert_memory_equal(out, plain->octets, plain->size);

    assert_memory_equal(i.hash, r.hash, sizeof i.hash);
    if (hash)
        assert_memory_equal(i.hash, hash->octets, sizeof i.hash);
    assert_err(cn_noise_split(&i, &send[0], &receive[1]), CN_OK);
    assert_err(cn_noise_split(&r, &receive[0], &send[1]), CN_OK);
    transport_is_as_in(v, send, receive);
}

static void it_speaks_as_every_public_vector(void **state)
{
    FILE *file = fopen("tests/vectors/noise_ik.txt", "r");
    struct vector v;
    unsigned count = 0;

    (void)state;
    assert_non_null(file);
    for (; vector_next(file, &v); count++) {
        speaks_as(&v);
        vector_wipe(&v);
    }
    fclose(file);
    assert_int_equal(count, 7);
}

static void every_flipped_bit_of_message_1_is_refused(void **state)
{
    uint8_t message1[MESSAGE1_SIZE];
    uint8_t message2[MESSAGE2_SIZE];
    uint8_t got[sizeof payload];
    struct cn_noise i, r;

    (void)state;
    handshake(&i, &r, message1, message2);
    for (size_t bit = 0; bit < 8 * sizeof message1; bit++) {
        message1[bit / 8] ^= (uint8_t)(1 << bit % 8);
        responder(&r);
        assert_err(cn_noise_read1(&r, message1, sizeof message1, got), CN_E_AUTH);
        message1[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void every_flipped_bit_of_message_2_is_refused(void **state)
{
    uint8_t message1[MESSAGE1_SIZE];
    uint8_t message2[MESSAGE2_SIZE];
    uint8_t got[sizeof payload];
    struct cn_noise i, r;

    (void)state;
    handshake(&i, &r, message1, message2);
    for (size_t bit = 0; bit < 8 * sizeof message2; bit++) {
        struct cn_noise fresh = i;

        message2[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cn_noise_read2(&fresh, message2, sizeof message2, got), CN_E_AUTH);
        message2[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_err(cn_noise_read2(&i, message2, sizeof message2, got), CN_OK);
}

static void every_shorter_message_is_refused(void **state)
{
    uint8_t message1[MESSAGE1_SIZE];
    uint8_t message2[MESSAGE2_SIZE];
    uint8_t got[sizeof payload];
    struct cn_noise i, r;

    (void)state;
    handshake(&i, &r, message1, message2);
    for (size_t size = 0; size < sizeof message1; size++) {
        responder(&r);
        assert_true(cn_noise_read1(&r, message1, size, got) != CN_OK);
    }
    for (size_t size = 0; size < sizeof message2; size++) {
        struct cn_noise fresh = i;

        assert_true(cn_noise_read2(&fresh, message2, size, got) != CN_OK);
    }
}

static void another_prologue_key_or_ephemeral_is_refused(void **state)
{
    static const uint8_t other[CN_X25519_SIZE] = { 0, 9 };
    uint8_t message1[MESSAGE1_SIZE];
    uint8_t message2[MESSAGE2_SIZE];
    uint8_t got[sizeof payload];
    struct cn_x25519_key other_key;
    struct cn_noise i, r;

    (void)state;
    assert_err(cn_x25519_key_init(&other_key, other), CN_OK);
    handshake(&i, &r, message1, message2);
    assert_err(cn_noise_responder_init(&r, &crypto, other, 5, &resp_key), CN_OK);
    assert_err(cn_noise_read1(&r, message1, sizeof message1, got), CN_E_AUTH);
    assert_err(cn_noise_responder_init(&r, &crypto, prologue, sizeof prologue, &other_key), CN_OK);
    assert_err(cn_noise_read1(&r, message1, sizeof message1, got), CN_E_AUTH);
    initiator(&i); /* the same, but with another ephemeral: the answer is not for this one */
    assert_err(cn_noise_write1(&i, other, payload, sizeof payload, message1), CN_OK);
    assert_err(cn_noise_read2(&i, message2, sizeof message2, got), CN_E_AUTH);
}

static void the_responder_learns_who_it_was(void **state)
{
    uint8_t message1[MESSAGE1_SIZE];
    uint8_t message2[MESSAGE2_SIZE];
    uint8_t public[CN_X25519_SIZE];
    struct cn_noise i, r;

    (void)state;
    handshake(&i, &r, message1, message2);
    assert_err(cn_x25519_public(init_static, public), CN_OK);
    assert_memory_equal(r.their_static, public, sizeof public);
}

static void a_result_of_zero_aborts(void **state)
{
    static const uint8_t low[2][CN_X25519_SIZE] = { { 0 }, { 1 } };
    uint8_t message1[MESSAGE1_SIZE] = { 0 };
    uint8_t message2[MESSAGE2_SIZE] = { 0 };
    uint8_t got[sizeof payload];
    struct cn_noise i, r;

    (void)state;
    for (size_t row = 0; row < COUNT(low); row++) {
        assert_err(
            cn_noise_initiator_init(&i, &crypto, prologue, sizeof prologue, init_static, low[row]),
            CN_OK);
        assert_err(cn_noise_write1(&i, init_ephemeral, payload, sizeof payload, message1),
                   CN_E_KEY);
        responder(&r);
        memcpy(message1, low[row], CN_X25519_SIZE);
        assert_err(cn_noise_read1(&r, message1, sizeof message1, got), CN_E_KEY);
        initiator(&i);
        assert_err(cn_noise_write1(&i, init_ephemeral, payload, sizeof payload, message1), CN_OK);
        memcpy(message2, low[row], CN_X25519_SIZE);
        assert_err(cn_noise_read2(&i, message2, sizeof message2, got), CN_E_KEY);
    }
}

static void transport(struct cn_noise_cipher *send, struct cn_noise_cipher *receive)
{
    memset(send, 7, sizeof *send);
    send->nonce = 0;
    *receive = *send;
}

static void transport_messages_come_once_and_in_order(void **state)
{
    struct cn_noise_cipher send, receive;
    uint8_t one[sizeof payload + CN_AEAD_TAG_SIZE];
    uint8_t two[sizeof payload + CN_AEAD_TAG_SIZE];
    uint8_t got[sizeof payload];

    (void)state;
    transport(&send, &receive);
    assert_err(cn_noise_seal(&send, &crypto, payload, sizeof payload, one), CN_OK);
    assert_err(cn_noise_seal(&send, &crypto, payload, sizeof payload, two), CN_OK);
    assert_memory_not_equal(one, two, sizeof one);
    assert_err(cn_noise_open(&receive, &crypto, two, sizeof two, got), CN_E_AUTH);
    assert_err(cn_noise_open(&receive, &crypto, one, sizeof one, got), CN_OK);
    assert_err(cn_noise_open(&receive, &crypto, one, sizeof one, got), CN_E_AUTH);
    assert_err(cn_noise_open(&receive, &crypto, two, sizeof two, got), CN_OK);
}

static void every_flipped_bit_of_a_transport_message_is_refused(void **state)
{
    struct cn_noise_cipher send, receive;
    uint8_t message[sizeof payload + CN_AEAD_TAG_SIZE];
    uint8_t got[sizeof payload];

    (void)state;
    transport(&send, &receive);
    assert_err(cn_noise_seal(&send, &crypto, payload, sizeof payload, message), CN_OK);
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cn_noise_open(&receive, &crypto, message, sizeof message, got), CN_E_AUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_err(cn_noise_open(&receive, &crypto, message, sizeof message, got), CN_OK);
    assert_memory_equal(got, payload, sizeof payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_speaks_as_every_public_vector),
        cmocka_unit_test(every_flipped_bit_of_message_1_is_refused),
        cmocka_unit_test(every_flipped_bit_of_message_2_is_refused),
        cmocka_unit_test(every_shorter_message_is_refused),
        cmocka_unit_test(another_prologue_key_or_ephemeral_is_refused),
        cmocka_unit_test(the_responder_learns_who_it_was),
        cmocka_unit_test(a_result_of_zero_aborts),
        cmocka_unit_test(transport_messages_come_once_and_in_order),
        cmocka_unit_test(every_flipped_bit_of_a_transport_message_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
