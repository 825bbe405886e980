/* Texts of QR codes that are accepted make the card that they are parts of, and nothing else does;
 * and Base45 says each thing in one way. The input is the text; and once more the body of a card,
 * which is cut into parts here, since the checksum would stop the fuzzer. */
#include "fuzz.h"

#include "armor.h"
#include "card_part.h"

enum { CARD_SIZE_MIN = 1024 /* of what is cut: no card is smaller, for its ML-KEM-768 key */ };

static void refused_check(enum cn_err err)
{
    must(err == CN_E_ARMOR || err == CN_E_MIXED || err == CN_E_PART || err == CN_E_CHECKSUM ||
         err == CN_E_FULL || err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_KEY);
}

static void joined_check(const uint8_t *in, size_t in_size)
{
    static struct cn_card card;
    unsigned missing = 0, count = 0;
    enum cn_err err =
        cn_card_from_parts(&card, fuzz_crypto(), (const char *)in, in_size, &missing, &count);

    if (err == CN_E_PART)
        must(missing >= 1 && missing <= count && count <= CN_CARD_PART_COUNT_MAX);
    if (err != CN_OK)
        refused_check(err);
}

static void base45_check(const uint8_t *in, size_t in_size)
{
    static uint8_t octets[4096];
    static char text[CN_BASE45_TEXT_SIZE(sizeof octets)];
    size_t size = 0;
    enum cn_err err = cn_base45_decode((const char *)in, in_size, octets, sizeof octets, &size);

    if (err != CN_OK) {
        must(err == CN_E_ARMOR || err == CN_E_FULL);
        return;
    }
    cn_base45_encode(octets, size, text);
    must(CN_BASE45_TEXT_SIZE(size) == in_size && memcmp(text, in, in_size) == 0);
}

/* Whatever the body: its parts join to what it is. */
static void parts_check(const uint8_t *in, size_t in_size)
{
    static struct cn_card made, got;
    static char text[CN_CARD_PART_COUNT_MAX * (CN_CARD_PART_TEXT_SIZE_MAX + 1)];
    unsigned count = 1 + in[0] % CN_CARD_PART_COUNT_MAX;
    unsigned missing = 0, told = 0;
    size_t at = 0;
    enum cn_err err;

    memcpy(made.body, in, in_size);
    made.body_size = in_size;
    for (unsigned i = count; i-- > 0;) {
        size_t size = 0;

        must(cn_card_part_encode(&made, fuzz_crypto(), i, count, text + at, &size) == CN_OK);
        text[at + size] = '\n';
        at += size + 1;
    }
    err = cn_card_from_parts(&got, fuzz_crypto(), text, at, &missing, &told);
    must(err == cn_card_decode(&made, fuzz_crypto(), in, in_size));
    must(err != CN_OK || (got.body_size == in_size && memcmp(got.body, in, in_size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    joined_check(in, in_size);
    base45_check(in, in_size);
    if (in_size >= CARD_SIZE_MIN && in_size <= CN_CARD_BODY_SIZE_MAX)
        parts_check(in, in_size);
    return 0;
}
