/* A key file of the server: text, and once more as a body in our armour, since the checksum would
 * stop the fuzzer. What is accepted is one key of the kind that was asked for. The first octet of
 * the input says which that is. */
#include "fuzz.h"

#include "keyfile.h"

enum { HEAD_SIZE = CN_KEYFILE_BODY_SIZE - CN_KEYFILE_KEY_SIZE };

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t key[CN_KEYFILE_KEY_SIZE];
    enum cn_armor_kind kind;
    size_t text_size = 0;
    enum cn_err err;

    if (in_size == 0)
        return 0;
    kind = (enum cn_armor_kind)(in[0] % CN_ARMOR_KIND_COUNT);
    in++;
    in_size--;
    if (cn_keyfile_decode(fuzz_crypto(), kind, (const char *)in, in_size, key) == CN_OK)
        must(cn_armor_kind_of((const char *)in, in_size) == kind);
    if (in_size > CN_ARMOR_BODY_SIZE_MAX)
        return 0;
    must(cn_armor_encode(fuzz_crypto(), kind, in, in_size, text, sizeof text, &text_size) == CN_OK);
    err = cn_keyfile_decode(fuzz_crypto(), kind, text, text_size, key);
    must((err == CN_OK) == (in_size == CN_KEYFILE_BODY_SIZE && in[0] == CN_KEYFILE_VERSION));
    must(err != CN_OK || memcmp(key, in + HEAD_SIZE, sizeof key) == 0);
    return 0;
}
