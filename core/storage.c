#include "storage.h"

#include <string.h>

#include "reader.h"
#include "writer.h"

static const char storage_label[] = "cyphernet/1 storage key";
static const uint8_t zeros[CN_AEAD_NONCE_SIZE]; /* the nonce: each key seals once */

/* --- the key's file ------------------------------------------------------------------------- */

enum cn_err cn_storage_encode(const struct cn_storage *storage, const struct cn_crypto *crypto,
                              char *text, size_t text_size_max, size_t *text_size)
{
    uint8_t body[CN_STORAGE_BODY_SIZE];
    struct cn_writer w = { .at = body, .left = sizeof body };

    cn_writer_u8(&w, CN_STORAGE_VERSION);
    cn_writer_bytes(&w, storage->id, sizeof storage->id);
    cn_writer_u8(&w, (uint8_t)storage->state);
    cn_writer_bytes(&w, storage->tag, sizeof storage->tag);
    cn_writer_bytes(&w, storage->sealed, sizeof storage->sealed);
    return cn_armor_encode(crypto, CN_ARMOR_STORAGE_KEY, body, sizeof body, text, text_size_max,
                           text_size);
}

static enum cn_err body_decode(struct cn_storage *s, struct cn_reader *r)
{
    uint8_t version = cn_reader_u8(r);
    uint8_t state;

    if (cn_reader_ok(r) && version != CN_STORAGE_VERSION)
        return CN_E_VERSION;
    cn_reader_copy(r, s->id, sizeof s->id);
    state = cn_reader_u8(r);
    cn_reader_copy(r, s->tag, sizeof s->tag);
    cn_reader_copy(r, s->sealed, sizeof s->sealed);
    if (!cn_reader_done(r) || (state != CN_STORAGE_CHANGING && state != CN_STORAGE_SEALED))
        return CN_E_FORMAT;
    s->state = (enum cn_storage_state)state;
    return CN_OK;
}

enum cn_err cn_storage_decode(struct cn_storage *storage, const struct cn_crypto *crypto,
                              const char *text, size_t text_size)
{
    uint8_t body[CN_STORAGE_BODY_SIZE + 1];
    struct cn_storage s = { 0 };
    struct cn_reader r = { .at = body };
    enum cn_err err =
        cn_armor_decode(crypto, CN_ARMOR_STORAGE_KEY, text, text_size, body, sizeof body, &r.left);

    if (err == CN_OK)
        err = body_decode(&s, &r);
    if (err == CN_OK)
        *storage = s;
    return err == CN_E_FULL ? CN_E_FORMAT : err;
}

enum cn_err cn_storage_create(struct cn_storage *storage, struct cn_storage_key *key,
                              const struct cn_random *random)
{
    enum cn_err err = cn_random_fill(random, storage->id, sizeof storage->id);

    return err == CN_OK ? cn_random_fill(random, key->bytes, sizeof key->bytes) : err;
}

static enum cn_err tag_make(const struct cn_storage *storage, const struct cn_crypto *crypto,
                            const struct cn_storage_key *key, enum cn_storage_state state,
                            uint8_t tag[CN_STORAGE_TAG_SIZE])
{
    const uint8_t number = (uint8_t)state;
    const struct cn_item items[] = {
        CN_LABEL("storage state"),
        { CN_ITEM_NONCE, storage->id, sizeof storage->id },
        { CN_ITEM_NUMBER, &number, sizeof number },
    };

    return cn_expand(crypto, CN_SHA256, key->bytes, sizeof key->bytes, items, 3, tag,
                     CN_STORAGE_TAG_SIZE);
}

enum cn_err cn_storage_lock(struct cn_storage *storage, const struct cn_storage_key *key,
                            struct cn_seal seal, const struct cn_random *random)
{
    seal.label = storage_label;
    return cn_seal_close(&seal, random, key->bytes, sizeof key->bytes, storage->sealed);
}

enum cn_err cn_storage_open(const struct cn_storage *storage, struct cn_storage_key *key,
                            struct cn_seal seal)
{
    struct cn_storage_key k;
    uint8_t tag[CN_STORAGE_TAG_SIZE];
    enum cn_err err;

    seal.label = storage_label;
    err = cn_seal_open(&seal, storage->sealed, sizeof storage->sealed, k.bytes);
    if (err == CN_OK)
        err = tag_make(storage, seal.crypto, &k, storage->state, tag);
    if (err == CN_OK && !cn_equal_ct(tag, storage->tag, sizeof tag))
        err = CN_E_CHECKSUM;
    if (err == CN_OK)
        *key = k;
    cn_wipe(&k, sizeof k);
    return err;
}

enum cn_err cn_storage_say(struct cn_storage *storage, const struct cn_crypto *crypto,
                           const struct cn_storage_key *key, enum cn_storage_state state)
{
    enum cn_err err = tag_make(storage, crypto, key, state, storage->tag);

    if (err == CN_OK)
        storage->state = state;
    return err;
}

/* --- files under the key -------------------------------------------------------------------- */

static enum cn_err file_key(const struct cn_crypto *crypto, const struct cn_storage_key *key,
                            const char *name, const uint8_t nonce[CN_SEALED_FILE_NONCE_SIZE],
                            uint8_t out[CN_AEAD_KEY_SIZE])
{
    const struct cn_item items[] = {
        CN_LABEL("sealed file"),
        { CN_ITEM_NONCE, nonce, CN_SEALED_FILE_NONCE_SIZE },
        { CN_ITEM_NAME, name, strlen(name) },
    };

    return cn_expand(crypto, CN_SHA256, key->bytes, sizeof key->bytes, items, 3, out,
                     CN_AEAD_KEY_SIZE);
}

enum cn_err cn_sealed_file_encode(const struct cn_crypto *crypto, const struct cn_storage_key *key,
                                  const struct cn_random *random, const char *name,
                                  struct cn_piece in, char *text, size_t text_size_max,
                                  size_t *text_size)
{
    uint8_t body[CN_ARMOR_BODY_SIZE_MAX] = { CN_SEALED_FILE_VERSION };
    uint8_t *nonce = body + 1;
    uint8_t made[CN_AEAD_KEY_SIZE];
    const struct cn_aead_call call = { .aead = CN_CHACHA20POLY1305, .key = made, .nonce = zeros };
    enum cn_err err = CN_E_FULL;

    if (in.size > CN_SEALED_FILE_SIZE_MAX)
        return err;
    err = cn_random_fill(random, nonce, CN_SEALED_FILE_NONCE_SIZE);
    if (err == CN_OK)
        err = file_key(crypto, key, name, nonce, made);
    if (err == CN_OK)
        err = cn_aead_seal(crypto, &call, in.bytes, in.size, nonce + CN_SEALED_FILE_NONCE_SIZE);
    if (err == CN_OK)
        err = cn_armor_encode(crypto, CN_ARMOR_SEALED_FILE, body, in.size + CN_SEALED_FILE_OVERHEAD,
                              text, text_size_max, text_size);
    cn_wipe(made, sizeof made);
    return err;
}

enum cn_err cn_sealed_file_decode(const struct cn_crypto *crypto, const struct cn_storage_key *key,
                                  const char *name, struct cn_piece text, char *out,
                                  size_t out_size_max, size_t *out_size)
{
    uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
    uint8_t made[CN_AEAD_KEY_SIZE];
    const struct cn_aead_call call = { .aead = CN_CHACHA20POLY1305, .key = made, .nonce = zeros };
    const uint8_t *nonce = body + 1;
    size_t size = 0;
    enum cn_err err = cn_armor_decode(crypto, CN_ARMOR_SEALED_FILE, (const char *)text.bytes,
                                      text.size, body, sizeof body, &size);

    if (err == CN_OK && size > 0 && body[0] != CN_SEALED_FILE_VERSION)
        err = CN_E_VERSION;
    if (err == CN_OK && size < CN_SEALED_FILE_OVERHEAD)
        err = CN_E_FORMAT;
    if (err == CN_OK && size - CN_SEALED_FILE_OVERHEAD > out_size_max)
        err = CN_E_FULL;
    if (err == CN_OK)
        err = file_key(crypto, key, name, nonce, made);
    if (err == CN_OK)
        err = cn_aead_open(crypto, &call, nonce + CN_SEALED_FILE_NONCE_SIZE,
                           size - 1 - CN_SEALED_FILE_NONCE_SIZE, (uint8_t *)out);
    cn_wipe(made, sizeof made);
    if (err != CN_OK) {
        cn_wipe(out, out_size_max);
        return err == CN_E_AUTH ? CN_E_CHECKSUM : err;
    }
    *out_size = size - CN_SEALED_FILE_OVERHEAD;
    return CN_OK;
}
