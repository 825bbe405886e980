/* keyfile_write.c - apart from reading, since the gate only reads. */
#include "keyfile.h"
#include "outfile.h"
#include "writer.h"

enum cn_err cn_keyfile_write(const struct cn_crypto *crypto, int dir, const char *name,
                             enum cn_armor_kind kind, const uint8_t key[CN_KEYFILE_KEY_SIZE])
{
    uint8_t body[CN_KEYFILE_BODY_SIZE];
    struct cn_writer w = { .at = body, .left = sizeof body };
    struct cn_outfile file;
    char text[CN_KEYFILE_TEXT_SIZE_MAX];
    size_t text_size = 0;
    enum cn_err err;

    cn_writer_u8(&w, CN_KEYFILE_VERSION);
    cn_writer_bytes(&w, key, CN_KEYFILE_KEY_SIZE);
    err = cn_armor_encode(crypto, kind, body, sizeof body, text, sizeof text, &text_size);
    if (err == CN_OK)
        err = cn_outfile_create(&file, dir, name, cn_keyfile_is_secret(kind) ? 0600 : 0644);
    if (err == CN_OK) {
        err = cn_outfile_write(&file, text, text_size);
        if (err == CN_OK)
            err = cn_outfile_keep(&file);
        cn_outfile_close(&file);
    }
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}
