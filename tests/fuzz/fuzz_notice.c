/* A notice that is decoded has no second encoding, and one that is taken leaves a fingerprint that
 * could be written and read again. The input is what a verdict holds: notices, one after another.
 * Signatures are mended with a key that everybody knows. */
#include "fuzz.h"

#include "armor.h"
#include "notice.h"

static const struct cn_operator_secret operator_secret = { { 1 } };
static const uint8_t admission_secret[CN_X25519_SIZE] = { 2 };
static const struct cn_server_public server_key = { { 3 } };

static void fingerprint_make(struct cn_fingerprint *f)
{
    *f = (struct cn_fingerprint) { .has_secret = true, .server_key = server_key };
    memcpy(f->secret.bytes, admission_secret, sizeof admission_secret);
    must(cn_x25519_public(admission_secret, f->certificate.admission_key) == CN_OK);
    must(cn_ed25519_public(operator_secret.bytes, f->operator_key.bytes) == CN_OK);
    f->certificate.not_after = 1;
    must(cn_certificate_sign(&f->certificate, &operator_secret) == CN_OK);
    strcpy(f->label, "a");
    f->address_count = 1;
    strcpy(f->address[0], "h:1");
}

static void fingerprint_check(const struct cn_fingerprint *f)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_fingerprint again;
    size_t size = 0;

    must(cn_fingerprint_encode(fuzz_crypto(), f, text, sizeof text, &size) == CN_OK);
    must(cn_fingerprint_decode(fuzz_crypto(), text, size, &again) == CN_OK);
    must(again.notice_number == f->notice_number);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_fingerprint f;
    struct cn_reader r = { .at = in, .left = in_size };
    struct cn_notice n;

    fingerprint_make(&f);
    while (r.left > 0) {
        const uint8_t *begin = r.at;
        uint8_t out[CN_NOTICE_SIZE_MAX];
        uint64_t before = f.notice_number;
        size_t size = 0;

        if (cn_notice_decode(&n, &r) != CN_OK)
            break;
        if (n.parts & CN_NOTICE_CERTIFICATE)
            must(cn_certificate_sign(&n.certificate, &operator_secret) == CN_OK);
        must(cn_notice_make(&n, &operator_secret, out, sizeof out, &size) == CN_OK);
        must(size == (size_t)(r.at - begin)); /* but for the signatures it is the same */
        must(memcmp(out, begin, CN_NOTICE_FRAME_SIZE - CN_ED25519_SIGNATURE_SIZE) == 0);
        if (cn_notice_take(&n, &f) != CN_OK)
            continue;
        must(f.notice_number > before);
        fingerprint_check(&f);
    }
    return 0;
}
