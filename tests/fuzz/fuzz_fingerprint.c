/* A fingerprint that is accepted is consistent, and is encoded to the same body again. The input is
 * the body: we put the armour around it, since the checksum would stop the fuzzer. */
#include "fuzz.h"

#include "armor.h"
#include "fingerprint.h"

static void accepted_check(const struct cn_fingerprint *f, const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    size_t text_size = 0;
    size_t body_size = 0;

    must(cn_label_valid(f->label));
    must(f->address_count >= 1 && f->address_count <= CN_ADDRESS_COUNT_MAX);
    for (size_t i = 0; i < f->address_count; i++)
        must(cn_address_reachable(f->address[i]));
    must(cn_certificate_verify(&f->certificate, &f->operator_key) == CN_OK);
    must(cn_fingerprint_encode(fuzz_crypto(), f, text, sizeof text, &text_size) == CN_OK);
    must(cn_armor_decode(fuzz_crypto(), CN_ARMOR_FINGERPRINT, text, text_size, body, sizeof body,
                         &body_size) == CN_OK);
    must(body_size == in_size && memcmp(body, in, in_size) == 0); /* no second encoding */
}

/* The signature is mended, too, with a key that everybody knows: else no input that the fuzzer
 * makes of another would get past it. */
static void signature_mend(uint8_t *body, size_t body_size)
{
    static const struct cn_operator_secret secret = { { 1 } };
    struct cn_reader r = { .at = body + 1, .left = body_size - 1 };
    struct cn_certificate c;
    size_t operator_at = 1 + CN_CERTIFICATE_SIZE + 1 + CN_X25519_SIZE;

    if (body_size < 1 + CN_CERTIFICATE_SIZE + 1 || cn_certificate_decode(&c, &r) != CN_OK)
        return;
    operator_at += body[1 + CN_CERTIFICATE_SIZE] == 1 ? CN_X25519_SIZE : 0;
    if (body_size < operator_at + CN_ED25519_PUBLIC_SIZE)
        return;
    must(cn_ed25519_public(secret.bytes, body + operator_at) == CN_OK);
    must(cn_certificate_sign(&c, &secret) == CN_OK);
    memcpy(body + 1 + CN_CERTIFICATE_SIZE - CN_ED25519_SIGNATURE_SIZE, c.signature,
           CN_ED25519_SIGNATURE_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    static uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX + 1];
    struct cn_fingerprint f;
    size_t text_size = 0;

    if (in_size > sizeof body)
        return 0;
    memcpy(body, in, in_size);
    if (in_size > 0)
        signature_mend(body, in_size);
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_FINGERPRINT, body, in_size, text, sizeof text,
                         &text_size) == CN_OK);
    if (cn_fingerprint_decode(fuzz_crypto(), text, text_size, &f) == CN_OK) {
        accepted_check(&f, body, in_size);
        cn_fingerprint_wipe(&f);
    }
    return 0;
}
