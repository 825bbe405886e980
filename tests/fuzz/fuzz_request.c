/* A request that is accepted holds exactly one key; as text, and as a body in our armour. */
#include "fuzz.h"

#include "armor.h"
#include "fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t key[CN_X25519_SIZE];
    size_t text_size = 0;
    enum cn_err err;

    (void)!cn_request_decode(fuzz_crypto(), (const char *)in, in_size, key);
    if (in_size > CN_FINGERPRINT_BODY_SIZE_MAX)
        return 0;
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_REQUEST, in, in_size, text, sizeof text,
                         &text_size) == CN_OK);
    err = cn_request_decode(fuzz_crypto(), text, text_size, key);
    if (err == CN_OK)
        must(in_size == CN_REQUEST_BODY_SIZE && in[0] == CN_REQUEST_VERSION &&
             memcmp(key, in + 1, sizeof key) == 0);
    else
        must(err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_KEY);
    return 0;
}
