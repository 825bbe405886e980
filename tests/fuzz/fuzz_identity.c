/* An identity that is accepted has good public keys and is encoded to the same body again. The
 * input is the body: we put the armour around it, since the checksum would stop the fuzzer. */
#include "fuzz.h"

#include "armor.h"
#include "identity.h"

static void accepted_check(const struct cn_identity *identity, const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    size_t text_size = 0;
    size_t body_size = 0;

    must(identity->public.kind == identity->secret.kind);
    must(identity->public.size == cn_kem_public_size(identity->public.kind));
    must(identity->pq_public.kind == CN_KEM_MLKEM768);
    must(cn_kem_check(&identity->pq_public) == CN_OK);
    must(cn_kem_check(&identity->public) == CN_OK);
    must(cn_identity_encode(identity, fuzz_crypto(), text, sizeof text, &text_size) == CN_OK);
    must(cn_armor_decode(fuzz_crypto(), CN_ARMOR_IDENTITY, text, text_size, body, sizeof body,
                         &body_size) == CN_OK);
    must(body_size == in_size && memcmp(body, in, in_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_identity identity;
    size_t text_size = 0;
    enum cn_err err;

    if (in_size > CN_ARMOR_BODY_SIZE_MAX)
        return 0;
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_IDENTITY, in, in_size, text, sizeof text,
                         &text_size) == CN_OK);
    err = cn_identity_decode(&identity, fuzz_crypto(), text, text_size);
    if (err == CN_OK)
        accepted_check(&identity, in, in_size);
    else
        must(err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_KEY || err == CN_E_FULL);
    cn_identity_wipe(&identity);
    return 0;
}
