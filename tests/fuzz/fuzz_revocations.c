/* A list that is accepted has no second encoding. The input is the body; signatures, its own and
 * those of the first notices, are mended with a key that everybody knows. */
#include "fuzz.h"

#include "armor.h"
#include "revocations.h"

enum { SIZE_MAX_HERE = 4096 };

static const struct cn_operator_secret operator_secret = { { 1 } };

static void sign(const uint8_t *fields, size_t size, uint8_t *signature)
{
    const struct cn_item items[] = { CN_LABEL("revocations"), { CN_ITEM_MESSAGE, fields, size } };
    static const char label[] = "cyphernet/1 revocations";
    uint8_t message[128];
    struct cn_writer w = { .at = message, .left = sizeof message };
    uint8_t hash[CN_SHA256_SIZE];

    must(cn_hash_items(fuzz_crypto(), CN_SHA256, items, 2, hash) == CN_OK);
    cn_writer_u8(&w, CN_ITEM_LABEL);
    cn_writer_u32be(&w, sizeof label - 1);
    cn_writer_bytes(&w, label, sizeof label - 1);
    cn_writer_u8(&w, CN_ITEM_HASH);
    cn_writer_u32be(&w, sizeof hash);
    cn_writer_bytes(&w, hash, sizeof hash);
    must(cn_ed25519_sign(operator_secret.bytes, message, sizeof message - w.left, signature) ==
         CN_OK);
}

/* One notice, in place. */
static void notice_mend(uint8_t *at, size_t size)
{
    struct cn_reader r = { .at = at, .left = size };
    struct cn_notice n;

    if (cn_notice_decode(&n, &r) != CN_OK)
        return;
    if (n.parts & CN_NOTICE_CERTIFICATE)
        must(cn_certificate_sign(&n.certificate, &operator_secret) == CN_OK);
    must(cn_notice_make(&n, &operator_secret, at, size, &size) == CN_OK);
}

static void mend(uint8_t *body, size_t body_size)
{
    enum { HEAD_SIZE = 1 + 8 + 32 + 32 };
    size_t size = body_size - CN_ED25519_SIGNATURE_SIZE;
    struct cn_reader r = { .at = body, .left = size };
    size_t count;

    must(cn_ed25519_public(operator_secret.bytes, body + 9) == CN_OK);
    (void)cn_reader_take(&r, HEAD_SIZE);
    (void)cn_reader_take(&r, cn_reader_u32be(&r) * (size_t)41);
    count = cn_reader_u32be(&r);
    for (size_t i = 0; i < count && i < 8 && cn_reader_ok(&r); i++) {
        size_t notice_size = cn_reader_u16be(&r);
        size_t at = size - r.left;

        if (cn_reader_take(&r, notice_size))
            notice_mend(body + at, notice_size);
    }
    sign(body, size, body + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static uint8_t body[SIZE_MAX_HERE];
    static uint8_t again[SIZE_MAX_HERE + 8];
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_revocations list = { 0 };
    size_t text_size = 0;
    size_t again_size = 0;
    char *made;

    if (in_size > sizeof body)
        return 0;
    memcpy(body, in, in_size);
    if (in_size >= 1 + 8 + 32 + 32 + CN_ED25519_SIGNATURE_SIZE)
        mend(body, in_size);
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_REVOCATIONS, body, in_size, text, sizeof text,
                         &text_size) == CN_OK);
    if (cn_revocations_decode(fuzz_crypto(), text, text_size, &list) != CN_OK)
        return 0;
    must(cn_revocations_encode(fuzz_crypto(), &list, &operator_secret, &made, &text_size) == CN_OK);
    must(cn_armor_decode_large(fuzz_crypto(), CN_ARMOR_REVOCATIONS, made, text_size, again,
                               sizeof again, &again_size) == CN_OK);
    must(again_size == in_size && memcmp(again, body, in_size) == 0);
    free(made);
    cn_revocations_wipe(&list);
    return 0;
}
