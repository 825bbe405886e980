/* constant_time: no branch and no address in our code depends on a secret. Under valgrind's
 * memcheck secrets are marked as undefined, and so is whatever is computed of them; memcheck
 * reports each branch and each address that depends on such a value. Counts the reports of each
 * operation.
 *
 *   valgrind --error-limit=no --suppressions=tests/secrets/libcrypto.supp constant_time
 *
 * What libcrypto does with a secret is libcrypto's, and suppressed; PQClean's code is built here,
 * and is not. What is said to the partner, or told to the caller, is marked as defined again where
 * that happens: the functions __wrap_* here, in each of which it says why. */
#include <valgrind/memcheck.h>

#include "checks.h"

#include "admission.h"
#include "armor.h"
#include "base45.h"
#include "calling.h"
#include "fingerprint.h"
#include "record.h"
#include "seal.h"
#include "storage.h"

enum { TEXT_SIZE = CN_ARMOR_TEXT_SIZE_MAX, BODY_SIZE = CN_ARMOR_BODY_SIZE_MAX, PLAIN = 512 };

static uint64_t seed = 1;
static struct end two[2];

/* --- secret, and not ------------------------------------------------------------------------- */

static void hide(const void *octets, size_t size)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(octets, size);
}

static void show(const void *octets, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(octets, size);
}

static enum cn_err hidden_fill(void *context, uint8_t *out, size_t size)
{
    enum cn_err err = seeded_fill(context, out, size);

    hide(out, size);
    return err;
}

static const struct cn_random hidden = { hidden_fill, &seed };
static const struct cn_random seeded = { seeded_fill, &seed };

/* What an operation returns is told. */
static void expect(enum cn_err err, enum cn_err expected)
{
    show(&err, sizeof err);
    need(err == expected);
}

/* Whether two are equal is told; where they differ is not. */
bool __real_cn_equal_ct(const void *a, const void *b, size_t size);
bool __wrap_cn_equal_ct(const void *a, const void *b, size_t size);

bool __wrap_cn_equal_ct(const void *a, const void *b, size_t size)
{
    bool equal = __real_cn_equal_ct(a, b, size);

    show(&equal, sizeof equal);
    return equal;
}

/* What the partner said is read as it says. */
enum cn_err __real_cn_aead_open(const struct cn_crypto *with, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);
enum cn_err __wrap_cn_aead_open(const struct cn_crypto *with, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out);

enum cn_err __wrap_cn_aead_open(const struct cn_crypto *with, const struct cn_aead_call *call,
                                const uint8_t *in, size_t in_size, uint8_t *out)
{
    const enum cn_err err = __real_cn_aead_open(with, call, in, in_size, out);

    show(out, in_size - CN_AEAD_TAG_SIZE);
    return err;
}

/* Where a line of text ends can be seen from its length. */
void *__real_memchr(const void *octets, int octet, size_t size);
void *__wrap_memchr(const void *octets, int octet, size_t size);

void *__wrap_memchr(const void *octets, int octet, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    const uint8_t *found;
    size_t at;

    need(copy);
    memcpy(copy, octets, size);
    show(copy, size);
    found = __real_memchr(copy, octet, size);
    at = found ? (size_t)(found - copy) : size;
    free(copy);
    return at < size ? (uint8_t *)(uintptr_t)octets + at : NULL;
}

/* libcrypto says whether OAEP's padding was good: nobody may learn that. */
int __real_EVP_PKEY_decrypt(void *context, uint8_t *out, size_t *out_size, const uint8_t *in,
                            size_t in_size);
int __wrap_EVP_PKEY_decrypt(void *context, uint8_t *out, size_t *out_size, const uint8_t *in,
                            size_t in_size);

int __wrap_EVP_PKEY_decrypt(void *context, uint8_t *out, size_t *out_size, const uint8_t *in,
                            size_t in_size)
{
    const size_t room = *out_size;
    int good = __real_EVP_PKEY_decrypt(context, out, out_size, in, in_size);

    hide(out, room);
    hide(out_size, sizeof *out_size);
    hide(&good, sizeof good);
    return good;
}

/* scrypt's addresses depend on the passphrase, and are meant to; it takes long, too. */
enum cn_err __wrap_cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                             const struct cn_scrypt_cost *cost, uint8_t out[32]);

enum cn_err __wrap_cn_scrypt(const char *passphrase, size_t passphrase_size, const uint8_t salt[32],
                             const struct cn_scrypt_cost *cost, uint8_t out[32])
{
    (void)cost;
    for (size_t i = 0; i < 32; i++)
        out[i] = salt[i] ^ (uint8_t)passphrase[i % passphrase_size];
    return CN_OK;
}

/* Of a seed of ML-KEM's, rho goes into the public key. FIPS 203, 5.1 */
__attribute__((weak)) void __real_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size);
void __wrap_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size);

void __wrap_sha3_512(uint8_t *out, const uint8_t *in, size_t in_size)
{
    __real_sha3_512(out, in, in_size);
    if (in_size == 33)
        show(out, 32);
}

/* --- keys as text ---------------------------------------------------------------------------- */

/* The characters of an armoured body that are made of nothing but body[from..from + size). Left out
 * are the first and the last two of a line, at which marks, padding and line ends are known. */
static void text_hide(char *text, size_t from, size_t size)
{
    enum { LINE = 64 };
    const char *line = strchr(text, '\n') + 1;

    for (size_t digit = (8 * from + 5) / 6; 6 * (digit + 1) <= 8 * (from + size); digit++) {
        const size_t column = digit % LINE;

        if (column > 0 && column < LINE - 2)
            hide(line + digit / LINE * (LINE + 1) + column, 1);
    }
}

/* Where the secret is within the body of that text. */
static void text_hide_secret(enum cn_armor_kind kind, char *text, size_t text_size,
                             const uint8_t *secret, size_t secret_size)
{
    static uint8_t body[BODY_SIZE];
    const uint8_t *at;
    size_t size;

    text[text_size] = '\0';
    expect(cn_armor_decode(&crypto, kind, text, text_size, body, sizeof body, &size), CN_OK);
    show(body, size);
    at = memmem(body, size, secret, secret_size);
    need(at);
    text_hide(text, (size_t)(at - body), secret_size);
}

/* --- operations ------------------------------------------------------------------------------ */

static void comparing(void)
{
    uint8_t a[64], b[64], out[64];
    bool take;

    for (size_t differ = 0; differ <= sizeof a; differ += 8) {
        memset(a, 1, sizeof a);
        memset(b, 1, sizeof b);
        if (differ < sizeof a)
            b[differ] = 0;
        take = differ % 16 == 0;
        hide(a, sizeof a);
        hide(b, sizeof b);
        hide(&take, sizeof take);
        (void)!cn_equal_ct(a, b, sizeof a);
        cn_select_ct(out, take, a, b, sizeof a);
        cn_wipe(a, sizeof a);
        need(a[0] == 0);
    }
}

static void deriving(void)
{
    static const enum cn_hash hashes[] = { CN_SHA256, CN_SHA512, CN_BLAKE2B };
    uint8_t key[64] = { 1 }, out[64];
    const struct cn_item items[] = { CN_LABEL("test"), { CN_ITEM_SECRET, key, sizeof key } };

    hide(key, sizeof key);
    for (size_t i = 0; i < COUNT(hashes); i++) {
        expect(cn_hash_items(&crypto, hashes[i], items, 2, out), CN_OK);
        expect(cn_hmac(&crypto, hashes[i], key, sizeof key, key, sizeof key, out), CN_OK);
        expect(cn_extract(&crypto, hashes[i], key, sizeof key, items, 2, out), CN_OK);
        expect(cn_expand(&crypto, hashes[i], key, sizeof key, items, 2, out, 64), CN_OK);
    }
}

static void agreeing(void)
{
    const enum cn_kem kinds[] = { CN_KEM_X25519, CN_KEM_MLKEM768 };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        static struct cn_kem_secret secret;
        static struct cn_kem_public public;
        static struct cn_kem_shared shared;
        static uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];
        uint8_t mine[CN_X25519_SIZE], theirs[CN_X25519_SIZE];
        const struct cn_kem_binding sender = { .ephemeral = mine }, receiver = { theirs, NULL, 0 };
        const size_t size = cn_kem_ciphertext_size(kinds[i]);

        expect(cn_random_fill(&hidden, mine, sizeof mine), CN_OK);
        expect(cn_x25519_public(mine, theirs), CN_OK);
        show(theirs, sizeof theirs);
        expect(cn_kem_generate(kinds[i], &hidden, &secret), CN_OK);
        expect(cn_kem_public_of(&secret, &public), CN_OK);
        show(public.bytes, sizeof public.bytes);
        expect(cn_kem_encapsulate(&public, &sender, &hidden, ciphertext, &shared), CN_OK);
        show(ciphertext, size);
        expect(cn_kem_decapsulate(&secret, &receiver, &hidden, ciphertext, size, &shared), CN_OK);
        ciphertext[0] ^= 1; /* implicit rejection */
        expect(cn_kem_decapsulate(&secret, &receiver, &hidden, ciphertext, size, &shared), CN_OK);
    }
}

/* The private numbers in PKCS #8, but the first octet of each, which says whether it is negative.
 */
static void rsa_hide(uint8_t *der, size_t size)
{
    size_t at = 26, number = 0; /* behind the heads of PrivateKeyInfo and RSAPrivateKey, */

    need(size > 64 && der[at + 4] == 0x02);
    at += 4;
    while (at + 2 < size) {
        size_t head = 2, length = der[at + 1];

        if (length > 0x80) {
            head = length == 0x81 ? 3 : 4;
            length = head == 3 ? der[at + 2] : (size_t)der[at + 2] << 8 | der[at + 3];
        }
        if (number++ > 2) /* the version, the modulus and the exponent */
            hide(der + at + head + 1, length - 1);
        at += head + length;
    }
    need(number == 9 && at == size);
}

static void decapsulating_rsa(void)
{
    static struct cn_identity identity;
    static const uint8_t label[] = "label";
    const struct cn_kem_binding binding = { .label = label, .label_size = sizeof label };
    struct cn_kem_shared shared;
    uint8_t ciphertext[CN_KEM_CIPHERTEXT_SIZE_MAX];
    size_t size;

    identity_load(&crypto, CN_KEM_RSA2048, &identity);
    size = cn_kem_ciphertext_size(identity.secret.kind);
    expect(cn_kem_encapsulate(&identity.public, &binding, &hidden, ciphertext, &shared), CN_OK);
    show(ciphertext, size);
    rsa_hide(identity.secret.bytes, identity.secret.size);
    expect(cn_kem_decapsulate(&identity.secret, &binding, &hidden, ciphertext, size, &shared),
           CN_OK);
    ciphertext[size - 1] ^= 1; /* OAEP fails */
    expect(cn_kem_decapsulate(&identity.secret, &binding, &hidden, ciphertext, size, &shared),
           CN_OK);
    expect(cn_kem_public_of(&identity.secret, &identity.public), CN_OK);
    cn_identity_wipe(&identity);
}

static void parsing_an_identity(void)
{
    static struct cn_identity identity;
    static char text[TEXT_SIZE + 1];
    static const enum cn_kem kinds[] = { CN_KEM_X25519, CN_KEM_RSA2048 };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        size_t size;

        identity_load(&crypto, kinds[i], &identity);
        hide(identity.pq_secret.bytes, identity.pq_secret.size);
        if (kinds[i] == CN_KEM_X25519)
            hide(identity.secret.bytes, identity.secret.size);
        else
            rsa_hide(identity.secret.bytes, identity.secret.size);
        expect(cn_identity_encode(&identity, &crypto, text, sizeof text, &size), CN_OK);

        identity_load(&crypto, kinds[i], &identity);
        show(text, sizeof text);
        if (kinds[i] == CN_KEM_X25519)
            text_hide_secret(CN_ARMOR_IDENTITY, text, size, identity.secret.bytes,
                             identity.secret.size);
        else /* its last number, and more is not hidden at once here */
            text_hide_secret(CN_ARMOR_IDENTITY, text, size,
                             identity.secret.bytes + identity.secret.size - 127, 127);
        text_hide_secret(CN_ARMOR_IDENTITY, text, size, identity.pq_secret.bytes,
                         identity.pq_secret.size);
        expect(cn_identity_decode(&identity, &crypto, text, size), CN_OK);
        show(text, sizeof text);
    }
}

/* The nonce of a card, as text and as a QR code has it. */
static void parsing_a_card(void)
{
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };
    static char text[TEXT_SIZE + 1], digits[2 * CN_CARD_BODY_SIZE_MAX];
    static struct cn_card card;
    static uint8_t body[CN_CARD_BODY_SIZE_MAX];
    size_t size;

    ends_make(two, &crypto, &seeded, kinds, 0);
    card = two[0].me.card;
    expect(cn_card_to_text(&card, &crypto, text, TEXT_SIZE, &size), CN_OK);
    text_hide_secret(CN_ARMOR_CARD, text, size, card.pair_nonce, sizeof card.pair_nonce);
    expect(cn_card_from_text(&card, &crypto, text, size), CN_OK);
    cn_base45_encode(card.body, card.body_size, digits);
    expect(cn_base45_decode(digits, card.body_size / 2 * 3 + card.body_size % 2 * 2, body,
                            sizeof body, &size),
           CN_OK);
}

static void parsing_an_admission_key(void)
{
    static const struct cn_operator_secret operator_secret = { { 2 } };
    static const struct cn_server_secret server_secret = { { 3 } };
    static char text[TEXT_SIZE + 1];
    struct cn_fingerprint f = { .has_secret = true,
                                .secret = { { 1, 2, 3, 4, 5, 6 } },
                                .label = "somebody",
                                .address_count = 1,
                                .address = { "localhost:1" } };
    size_t size;

    f.certificate.not_after = UINT64_MAX;
    expect(cn_x25519_public(f.secret.bytes, f.certificate.admission_key), CN_OK);
    expect(cn_x25519_public(server_secret.bytes, f.server_key.bytes), CN_OK);
    expect(cn_ed25519_public(operator_secret.bytes, f.operator_key.bytes), CN_OK);
    expect(cn_certificate_sign(&f.certificate, &operator_secret), CN_OK);
    expect(cn_fingerprint_encode(&crypto, &f, text, TEXT_SIZE, &size), CN_OK);
    text_hide_secret(CN_ARMOR_FINGERPRINT, text, size, f.secret.bytes, sizeof f.secret.bytes);
    expect(cn_fingerprint_decode(&crypto, text, size, &f), CN_OK);
}

static void signing(void)
{
    struct cn_operator_secret secret = { { 2 } };
    struct cn_certificate certificate = { .serial = 1 };

    hide(secret.bytes, sizeof secret.bytes);
    expect(cn_certificate_sign(&certificate, &secret), CN_OK);
}

/* Both ends of a handshake, of which all is hidden but what they say. */
static void secrets_hide(struct end *end)
{
    struct cn_identity *identity = &end->me.identity;
    struct cn_pair *pair = &end->me.pair;

    if (identity->secret.kind == CN_KEM_X25519)
        hide(identity->secret.bytes, identity->secret.size);
    else
        rsa_hide(identity->secret.bytes, identity->secret.size);
    hide(identity->pq_secret.bytes, identity->pq_secret.size);
    hide(&pair->secret, sizeof pair->secret);
    hide(&pair->tag_key, sizeof pair->tag_key);
    hide(&pair->prologue_key, sizeof pair->prologue_key);
    hide(&pair->chain_key, sizeof pair->chain_key);
}

static void hear_prologue(struct end *end, const struct end *from, enum cn_err expected)
{
    static struct end copy;
    static uint8_t f1[CN_PROLOGUE_SIZE];

    memcpy(f1, prologue_of(from), sizeof f1);
    f1[sizeof f1 - 1] ^= expected == CN_OK ? 0 : 1;
    copy = *end;
    expect(cn_handshake_prologue(&copy.handshake, f1, copy.answer), expected);
    if (expected == CN_OK)
        *end = copy;
}

static void shake_hands(const enum cn_kem kinds[2], const struct cn_suite *suite)
{
    ends_make(two, &crypto, &hidden, kinds, suite->code);
    for (int i = 0; i < 2; i++) {
        secrets_hide(&two[i]);
        expect(cn_handshake_start(&two[i].handshake, &two[i].setup, two[i].prologue), CN_OK);
        show(two[i].prologue, sizeof two[i].prologue);
        show(two[i].handshake.prologue, sizeof two[i].handshake.prologue);
    }
    for (int i = 0; i < 2; i++) {
        hear_prologue(&two[i], &two[1 - i], CN_E_AUTH);
        hear_prologue(&two[i], &two[1 - i], CN_OK);
        show(two[i].answer, sizeof two[i].answer);
        show(two[i].handshake.answer, sizeof two[i].handshake.answer);
    }
    for (int i = 0; i < 2; i++)
        expect(cn_handshake_answer(&two[i].handshake, two[1 - i].answer, &two[i].keys), CN_OK);
}

static void shaking_hands(void)
{
    static const enum cn_kem kinds[][2] = { { CN_KEM_X25519, CN_KEM_X25519 },
                                            { CN_KEM_RSA2048, CN_KEM_X25519 } };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        for (size_t k = 0; k < CN_SUITE_COUNT; k++)
            shake_hands(kinds[i], &cn_suites[k]);
    }
}

static void pairing(void)
{
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };
    static struct cn_resume_secret resume = { { 1 } };
    static struct cn_pair pair;
    uint8_t tag[CN_TAG_SIZE];

    ends_make(two, &crypto, &seeded, kinds, 0);
    hide(two[0].me.identity.secret.bytes, CN_X25519_SIZE);
    for (int i = 0; i < 2; i++)
        hide(two[i].me.card.pair_nonce, CN_PAIR_NONCE_SIZE);
    expect(cn_pair_create(&pair, &crypto, &two[0].me.identity, &two[0].me.card, &two[1].me.card),
           CN_OK);
    expect(cn_tag_make(&crypto, &pair.tag_key, CN_SERVICE_TALK, 1, tag), CN_OK);
    hide(&resume, sizeof resume);
    expect(cn_pair_resume(&pair, &crypto, &pair, &resume), CN_OK);
}

static void sealing_records(void)
{
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        struct cn_traffic_secret secret = { { 1 } };
        struct cn_record sender, receiver;
        uint8_t text[PLAIN] = { 1 }, wire[1024];
        const struct cn_piece piece = { text, sizeof text };
        const uint8_t *plain;
        size_t size, used;

        hide(&secret, sizeof secret);
        hide(text, sizeof text);
        expect(cn_record_init(&sender, &crypto, &cn_suites[i], &secret, CN_ROLE_A, true), CN_OK);
        expect(cn_record_init(&receiver, &crypto, &cn_suites[i], &secret, CN_ROLE_A, false), CN_OK);
        sender.counter = receiver.counter = CN_RECORD_GENERATION_COUNT - 2;
        for (int k = 0; k < 4; k++) {
            expect(cn_record_seal(&sender, &piece, 1, sizeof wire, wire), CN_OK);
            show(wire, sizeof wire);
            wire[sizeof wire - 1] ^= k == 3;
            expect(cn_record_open(&receiver, wire, sizeof wire, &plain, &size, &used),
                   k == 3 ? CN_E_AUTH : CN_OK);
        }
        cn_record_wipe(&sender);
        cn_record_wipe(&receiver);
    }
}

/* Both sides, in which the subscriber's and the server's keys are hidden. */
static void admitting(void)
{
    struct cn_operator_secret operator_secret = { { 2 } };
    struct cn_operator_public operator_key;
    struct cn_server_secret server_secret = { { 3 } };
    struct cn_fingerprint f = { .has_secret = true, .secret = { { 1 } } };
    struct cn_admission_verdict verdict = { .tag_count_max = 1, .keep_alive_s = 60 };
    struct cn_admission_message message = { .type = CN_ADMISSION_KEEP_ALIVE };
    struct cn_admission_server server;
    struct cn_admission_hello hello;
    struct cn_admission_line line, other;
    struct cn_noise noise;
    uint8_t ephemeral[CN_X25519_SIZE], wire[CN_ADMISSION_SIZE];

    f.certificate.not_after = UINT64_MAX;
    expect(cn_x25519_public(f.secret.bytes, f.certificate.admission_key), CN_OK);
    expect(cn_x25519_public(server_secret.bytes, f.server_key.bytes), CN_OK);
    expect(cn_ed25519_public(operator_secret.bytes, operator_key.bytes), CN_OK);
    expect(cn_certificate_sign(&f.certificate, &operator_secret), CN_OK);
    hide(&f.secret, sizeof f.secret);
    hide(&server_secret, sizeof server_secret);
    expect(cn_admission_server_init(&server, &crypto, &server_secret), CN_OK);
    expect(cn_random_fill(&hidden, ephemeral, sizeof ephemeral), CN_OK);
    expect(cn_admission_hello_write(&noise, &crypto, &f, ephemeral, wire), CN_OK);
    show(wire, sizeof wire);
    expect(cn_admission_hello_read(&server, &operator_key, 1, wire, &hello), CN_OK);
    expect(cn_random_fill(&hidden, ephemeral, sizeof ephemeral), CN_OK);
    expect(cn_admission_verdict_write(&hello, &verdict, ephemeral, wire, &line), CN_OK);
    show(wire, sizeof wire);
    expect(cn_admission_verdict_read(&noise, wire, &verdict, &other), CN_OK);
    expect(cn_admission_seal(&other, &crypto, &message, wire), CN_OK);
    show(wire, sizeof wire);
    expect(cn_admission_open(&line, &crypto, wire, &message), CN_OK);
}

/* Files under a passphrase. */
static void sealing_files(void)
{
    static char text[TEXT_SIZE], out[BODY_SIZE], passphrase[] = "a passphrase";
    struct cn_seal seal = { .crypto = &crypto,
                            .passphrase = passphrase,
                            .passphrase_size = sizeof passphrase - 1 };
    struct cn_storage storage;
    struct cn_storage_key key;
    uint8_t plain[PLAIN] = { 1 };
    const struct cn_piece piece = { plain, sizeof plain };
    size_t size, out_size;

    hide(passphrase, sizeof passphrase - 1);
    expect(cn_storage_create(&storage, &key, &seeded), CN_OK);
    hide(&key, sizeof key);
    hide(plain, sizeof plain);
    expect(cn_storage_say(&storage, &crypto, &key, CN_STORAGE_SEALED), CN_OK);
    expect(cn_storage_lock(&storage, &key, seal, &seeded), CN_OK);
    show(&storage, sizeof storage);
    expect(cn_storage_open(&storage, &key, seal), CN_OK);
    hide(&key, sizeof key);
    expect(cn_sealed_file_encode(&crypto, &key, &seeded, "name", piece, text, sizeof text, &size),
           CN_OK);
    show(text, size);
    expect(cn_sealed_file_decode(&crypto, &key, "name",
                                 (struct cn_piece) { (const uint8_t *)text, size }, out, sizeof out,
                                 &out_size),
           CN_OK);
}

/* --- controls: what must be reported --------------------------------------------------------- */

static volatile uint8_t sink;

static void comparing_until_they_differ(void)
{
    uint8_t a[16] = { 1 }, b[16] = { 1 };
    size_t same = 0;

    hide(a, sizeof a);
    while (same < sizeof a && a[same] == b[same])
        same++;
    sink = (uint8_t)same;
}

static void looking_up_in_a_table(void)
{
    static const uint8_t table[256] = { 1 };
    uint8_t secret = 7;

    hide(&secret, sizeof secret);
    sink = table[secret];
}

static void telling_whether_oaep_was_good(void)
{
    uint8_t out[256], in[256] = { 1 };
    size_t size = sizeof out;

    if (__wrap_EVP_PKEY_decrypt(NULL, out, &size, in, sizeof in) == 1)
        sink = 1;
}

static const struct {
    const char *name;
    void (*run)(void);
    bool leaks;
} operations[] = {
    { "a comparison that stops where they differ", comparing_until_they_differ, true },
    { "a look into a table", looking_up_in_a_table, true },
    { "a branch on what OAEP says", telling_whether_oaep_was_good, true },
    { "comparing, selecting, wiping", comparing, false },
    { "hashes, HMAC, HKDF", deriving, false },
    { "X25519 and ML-KEM-768, and a bad ciphertext", agreeing, false },
    { "RSA-OAEP, its failure, and the key's numbers", decapsulating_rsa, false },
    { "identities from and to text", parsing_an_identity, false },
    { "cards from and to text and QR codes", parsing_a_card, false },
    { "fingerprints with an admission key", parsing_an_admission_key, false },
    { "signing a certificate", signing, false },
    { "what a pair shares, tags, going on", pairing, false },
    { "handshakes, and one that is spoilt", shaking_hands, false },
    { "records, a new generation, and a forged one", sealing_records, false },
    { "admission, both sides", admitting, false },
    { "files under a passphrase", sealing_files, false },
};

int main(int argc, char **argv)
{
    numbers_take(argc, argv, NULL, 0);
    if (!RUNNING_ON_VALGRIND) {
        fputs("constant_time: error: this is to run under valgrind\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < COUNT(operations); i++) {
        const unsigned before = (unsigned)VALGRIND_COUNT_ERRORS;
        unsigned reports;

        operations[i].run();
        reports = (unsigned)VALGRIND_COUNT_ERRORS - before;
        check(operations[i].leaks == (reports > 0), "%s: %u reports%s", operations[i].name, reports,
              operations[i].leaks ? ", as there have to be" : "");
    }
    return checks_end();
}
