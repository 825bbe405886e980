/* What is decoded is encoded to the same text again, line ends and blank lines aside; and every
 * body comes back. The first octet says which kind is asked for. */
#include "fuzz.h"

#include "armor.h"

enum { TEXT_SIZE_MAX = CN_ARMOR_TEXT_SIZE_MAX };

/* The two texts are equal but for blank lines and carriage returns. */
static bool same_lines(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t i = 0;

    for (size_t at = 0; at < a_size; at++) {
        if (strchr("\r\n \t", a[at]) && a[at] != '\0')
            continue;
        while (i < b_size && strchr("\r\n \t", b[i]) && b[i] != '\0')
            i++;
        if (i == b_size || a[at] != b[i++])
            return false;
    }
    return true;
}

static void text_check(enum cn_armor_kind kind, const char *given, size_t given_size)
{
    static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    static char text[TEXT_SIZE_MAX];
    size_t body_size = 0;
    size_t text_size = 0;

    if (cn_armor_decode(fuzz_crypto(), kind, given, given_size, body, sizeof body, &body_size) !=
        CN_OK)
        return;
    must(cn_armor_kind_of(given, given_size) == kind);
    must(body_size <= sizeof body);
    must(cn_armor_encode(fuzz_crypto(), kind, body, body_size, text, sizeof text, &text_size) ==
         CN_OK);
    must(same_lines(given, given_size, text, text_size));
}

static void body_check(enum cn_armor_kind kind, const uint8_t *given, size_t given_size)
{
    static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    static char text[TEXT_SIZE_MAX];
    size_t body_size = 0;
    size_t text_size = 0;

    if (given_size > sizeof body)
        return;
    must(cn_armor_encode(fuzz_crypto(), kind, given, given_size, text, sizeof text, &text_size) ==
         CN_OK);
    must(cn_armor_decode(fuzz_crypto(), kind, text, text_size, body, sizeof body, &body_size) ==
         CN_OK);
    must(body_size == given_size && memcmp(body, given, given_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    enum cn_armor_kind kind;

    if (in_size == 0)
        return 0;
    kind = (enum cn_armor_kind)(in[0] % CN_ARMOR_KIND_COUNT);
    text_check(kind, (const char *)in + 1, in_size - 1);
    body_check(kind, in + 1, in_size - 1);
    return 0;
}
