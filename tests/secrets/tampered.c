/* tampered: what somebody on the way does to a call. Every bit of every octet of a handshake is
 * flipped, for each two kinds of identities, and none of it is accepted; nor are edited records.
 *
 *   tampered [--stride N] [--sealed-stride N] [--records N] [--seed N]
 *
 * Each N-th bit of what passes the line, of what one who has both cards can change within F1, and
 * so many records. The server's octets, and the length before F1, are for sim --exhaustive. */
#include "checks.h"

#include "calling.h"
#include "record.h"

enum { SEALED_RSA_BITS = 1024, RECORD_COUNT = 64, RECORD_SIZE = 1024 };

static uint64_t stride = 1, sealed_stride = 1, record_edits = 1000000, seed = 1;
static struct cn_random seeded = { seeded_fill, &seed };
static struct end two[2];

static const char *name_of(int end)
{
    return cn_kem_name(two[end].me.identity.public.kind);
}

static void flip(uint8_t *octets, uint64_t bit)
{
    octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

/* --- on the line ----------------------------------------------------------------------------- */

/* What this end says to a flight, without letting it change. Out and keys stay as they were. */
static enum cn_err hear(const struct end *end, const uint8_t *flight, bool is_answer)
{
    static struct cn_handshake handshake;
    static uint8_t answer[CN_ANSWER_SIZE];
    static struct cn_call_keys keys;
    enum cn_err err;

    handshake = end->handshake;
    err = is_answer ? cn_handshake_answer(&handshake, flight, &keys)
                    : cn_handshake_prologue(&handshake, flight, answer);
    if (err != CN_OK)
        need(handshake.state == CN_HANDSHAKE_FAILED);
    cn_handshake_wipe(&handshake);
    return err;
}

/* Each bit of what an end sent; how many its partner accepted. */
static uint64_t flight_flip(int from, bool is_answer, uint64_t *runs)
{
    static uint8_t flight[CN_PROLOGUE_SIZE];
    const size_t size = is_answer ? CN_ANSWER_SIZE : CN_PROLOGUE_SIZE;
    uint64_t accepted = 0;

    memcpy(flight, is_answer ? two[from].answer : prologue_of(&two[from]), size);
    for (uint64_t bit = seed % stride; bit < 8 * size; bit += stride) {
        flip(flight, bit);
        accepted += hear(&two[1 - from], flight, is_answer) != CN_E_AUTH;
        flip(flight, bit);
        ++*runs;
    }
    return accepted + (hear(&two[1 - from], flight, is_answer) != CN_OK); /* as it was sent */
}

/* Both ways of both flights. */
static void handshake_flip(const enum cn_kem kinds[2], const struct cn_suite *suite)
{
    uint64_t runs = 0, accepted = 0;

    ends_make(two, &crypto, &seeded, kinds, suite->code);
    ends_start(two);
    for (int from = 0; from < 2; from++)
        accepted += flight_flip(from, false, &runs);
    ends_answer(two);
    for (int from = 0; from < 2; from++)
        accepted += flight_flip(from, true, &runs);
    check(accepted == 0, "%s and %s, %s: %ju flipped bits, %ju accepted", name_of(0), name_of(1),
          suite->name, (uintmax_t)runs, (uintmax_t)accepted);
}

/* --- within F1 ------------------------------------------------------------------------------- */

/* The second end's F1 has come to the first with another content. Either the first refuses it, or
 * neither opens what the other answers. */
static bool is_found_out(const uint8_t f1[CN_PROLOGUE_SIZE])
{
    static struct end first;
    enum cn_err err;

    first = two[0];
    err = cn_handshake_prologue(&first.handshake, f1, first.answer);
    if (err != CN_OK)
        return err == CN_E_FORMAT || err == CN_E_KEY;
    return hear(&first, two[1].answer, true) == CN_E_AUTH &&
           hear(&two[1], first.answer, true) == CN_E_AUTH;
}

/* Bits of the second end's content from `from` on to `to`. */
static void content_flip(const enum cn_kem kinds[2], size_t from, size_t to, uint64_t step)
{
    static uint8_t plain[PROLOGUE_PLAIN_SIZE], f1[CN_PROLOGUE_SIZE];
    static struct end sent;
    uint64_t runs = 0, accepted = 0;

    ends_make(two, &crypto, &seeded, kinds, 0);
    ends_start(two);
    sent = two[1];
    prologue_unseal(&sent, plain);
    need(cn_handshake_prologue(&two[1].handshake, prologue_of(&two[0]), two[1].answer) == CN_OK);
    for (uint64_t bit = 8 * from + seed % step; bit < 8 * to; bit += step) {
        flip(plain, bit);
        prologue_seal(&sent, plain, f1);
        accepted += !is_found_out(f1);
        flip(plain, bit);
        runs++;
    }
    prologue_seal(&sent, plain, f1);
    accepted += is_found_out(f1); /* as it was sent */
    check(accepted == 0, "within what %s sends %s: %ju flipped bits, %ju accepted", name_of(1),
          name_of(0), (uintmax_t)runs, (uintmax_t)accepted);
}

/* All of it once; of RSA's ciphertext, whose opening takes long, some of each size. */
static void contents_flip(void)
{
    const enum cn_kem plain[2] = { CN_KEM_X25519, CN_KEM_X25519 };

    content_flip(plain, 0, PROLOGUE_PLAIN_SIZE, sealed_stride);
    for (int kind = CN_KEM_RSA2048; kind <= CN_KEM_RSA8192; kind++) {
        const enum cn_kem kinds[2] = { (enum cn_kem)kind, CN_KEM_X25519 };
        const size_t size = cn_kem_ciphertext_size(kinds[0]);

        content_flip(kinds, AT_KEY_DATA, AT_KEY_DATA + size,
                     sealed_stride * 8 * size / SEALED_RSA_BITS);
    }
}

/* --- records --------------------------------------------------------------------------------- */

static uint8_t sealed[RECORD_COUNT][RECORD_SIZE], other_way[RECORD_SIZE];

static uint64_t any(uint64_t below)
{
    uint8_t octets[8];
    uint64_t value = 0;

    (void)seeded_fill(&seed, octets, sizeof octets);
    for (size_t i = 0; i < sizeof octets; i++)
        value = value << 8 | octets[i];
    return value % below;
}

static void length_set(uint8_t *record, uint64_t length)
{
    record[0] = (uint8_t)(length >> 8);
    record[1] = (uint8_t)length;
}

/* One of many ways to make it another one; not the same, whatever comes up. */
static void record_edit(uint8_t record[RECORD_SIZE], size_t at)
{
    uint64_t from;

    switch (any(7)) {
    case 0:
        flip(record, any(8 * RECORD_SIZE));
        break;
    case 1: /* some octets, nonsense */
        from = any(RECORD_SIZE);
        (void)seeded_fill(&seed, record + from, any(RECORD_SIZE - from) + 1);
        break;
    case 2: /* shorter */
        length_set(record, any(RECORD_SIZE - 2));
        break;
    case 3: /* another one, before its time or again */
        memcpy(record, sealed[(at + 1 + any(RECORD_COUNT - 1)) % RECORD_COUNT], RECORD_SIZE);
        break;
    case 4: /* what this end said itself */
        memcpy(record, other_way, RECORD_SIZE);
        break;
    case 5: /* the tag of another */
        memcpy(record + RECORD_SIZE - CN_AEAD_TAG_SIZE,
               sealed[(at + 1) % RECORD_COUNT] + RECORD_SIZE - CN_AEAD_TAG_SIZE, CN_AEAD_TAG_SIZE);
        break;
    default: /* any length, so that more may be waited for, or none be possible */
        length_set(record, any(65536));
        break;
    }
    if (memcmp(record, sealed[at], RECORD_SIZE) == 0)
        flip(record, any(8 * RECORD_SIZE));
}

static bool record_is_taken(struct cn_record *receiver, uint8_t record[RECORD_SIZE])
{
    const uint8_t *plain;
    size_t plain_size, used;

    return cn_record_open(receiver, record, RECORD_SIZE, &plain, &plain_size, &used) == CN_OK;
}

/* So many edits of each of a few records in a row, and then the record itself. */
static void records_edit(const struct cn_suite *suite, uint64_t count)
{
    const struct cn_traffic_secret one = { { 1 } }, other = { { 2 } };
    const struct cn_piece piece = { (const uint8_t *)suite->name, strlen(suite->name) };
    struct cn_record sender, receiver, mine;
    uint64_t runs = 0, accepted = 0;

    need(cn_record_init(&sender, &crypto, suite, &one, CN_ROLE_A, true) == CN_OK &&
         cn_record_init(&receiver, &crypto, suite, &one, CN_ROLE_A, false) == CN_OK &&
         cn_record_init(&mine, &crypto, suite, &other, CN_ROLE_B, true) == CN_OK &&
         cn_record_seal(&mine, &piece, 1, RECORD_SIZE, other_way) == CN_OK);
    for (size_t i = 0; i < RECORD_COUNT; i++)
        need(cn_record_seal(&sender, &piece, 1, RECORD_SIZE, sealed[i]) == CN_OK);
    for (size_t at = 0; at < RECORD_COUNT; at++) {
        uint8_t record[RECORD_SIZE];

        for (uint64_t i = 0; i <= count / RECORD_COUNT; i++, runs++) {
            memcpy(record, sealed[at], sizeof record);
            record_edit(record, at);
            accepted += record_is_taken(&receiver, record);
        }
        memcpy(record, sealed[at], sizeof record);
        accepted += !record_is_taken(&receiver, record); /* as it was sent */
    }
    check(accepted == 0, "%s: %ju edited records, %ju accepted", suite->name, (uintmax_t)runs,
          (uintmax_t)accepted);
    cn_record_wipe(&sender);
    cn_record_wipe(&receiver);
    cn_record_wipe(&mine);
}

int main(int argc, char **argv)
{
    const struct number numbers[] = { { "--stride", &stride },
                                      { "--sealed-stride", &sealed_stride },
                                      { "--records", &record_edits },
                                      { "--seed", &seed } };
    size_t suite = 0;

    numbers_take(argc, argv, numbers, COUNT(numbers));
    need(stride > 0 && sealed_stride > 0);
    printf("seed %ju\n", (uintmax_t)seed);
    for (int one = CN_KEM_X25519; one <= CN_KEM_RSA8192; one++) {
        for (int other = one; other <= CN_KEM_RSA8192; other++) {
            const enum cn_kem kinds[2] = { (enum cn_kem)one, (enum cn_kem)other };

            handshake_flip(kinds, &cn_suites[suite++ % CN_SUITE_COUNT]);
        }
    }
    contents_flip();
    for (size_t i = 0; i < CN_SUITE_COUNT; i++)
        records_edit(&cn_suites[i], record_edits / CN_SUITE_COUNT);
    return checks_end();
}
