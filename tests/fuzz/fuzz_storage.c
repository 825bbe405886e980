/* What is sealed: the key's file says what it says in one way only; a file that is changed never
 * opens. The input is the body of the one or the other. */
#include "fuzz.h"

#include "storage.h"

static char text[CN_ARMOR_TEXT_SIZE_MAX];

static void storage_check(size_t text_size, const uint8_t *in, size_t in_size)
{
    static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    struct cn_storage storage;
    size_t body_size = 0;
    enum cn_err err = cn_storage_decode(&storage, fuzz_crypto(), text, text_size);

    if (err != CN_OK) {
        must(err == CN_E_VERSION || err == CN_E_FORMAT);
        return;
    }
    must(cn_storage_encode(&storage, fuzz_crypto(), text, sizeof text, &text_size) == CN_OK);
    must(cn_armor_decode(fuzz_crypto(), CN_ARMOR_STORAGE_KEY, text, text_size, body, sizeof body,
                         &body_size) == CN_OK);
    must(body_size == in_size && memcmp(body, in, in_size) == 0);
}

static void file_check(size_t text_size)
{
    static char out[CN_ARMOR_TEXT_SIZE_MAX];
    static const struct cn_storage_key key;
    const struct cn_piece piece = { (const uint8_t *)text, text_size };
    size_t size = 0;
    enum cn_err err =
        cn_sealed_file_decode(fuzz_crypto(), &key, "contacts/bob", piece, out, sizeof out, &size);

    must(err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_CHECKSUM);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    size_t size = 0;

    if (in_size > CN_ARMOR_BODY_SIZE_MAX)
        return 0;
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_STORAGE_KEY, in, in_size, text, sizeof text,
                         &size) == CN_OK);
    storage_check(size, in, in_size);
    must(cn_armor_encode(fuzz_crypto(), CN_ARMOR_SEALED_FILE, in, in_size, text, sizeof text,
                         &size) == CN_OK);
    file_check(size);
    return 0;
}
