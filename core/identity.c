#include "identity.h"

#include <assert.h>
#include <string.h>

#include "armor.h"
#include "reader.h"
#include "writer.h"

enum { BODY_SIZE_MAX = 1 + 1 + 2 + CN_KEM_SECRET_SIZE_MAX + CN_MLKEM768_SEED_SIZE };

void cn_identity_wipe(struct cn_identity *identity)
{
    if (identity)
        cn_wipe(identity, sizeof *identity);
    cn_wipe_remains();
}

enum cn_err cn_identity_id(const struct cn_crypto *crypto, const struct cn_kem_public *public,
                           const struct cn_kem_public *pq_public, uint8_t id[CN_ID_SIZE])
{
    const uint8_t kind = (uint8_t) public->kind;
    const struct cn_item items[] = {
        CN_LABEL("id"),
        { CN_ITEM_NUMBER, &kind, sizeof kind },
        { CN_ITEM_PUBLIC, public->bytes, public->size },
        { CN_ITEM_PUBLIC, pq_public->bytes, pq_public->size },
    };

    return cn_hash_items(crypto, CN_SHA256, items, 4, id);
}

/* Everything that follows from the two private keys. */
static enum cn_err complete(struct cn_identity *identity, const struct cn_crypto *crypto)
{
    enum cn_err err = cn_kem_public_of(&identity->secret, &identity->public);

    if (err == CN_OK)
        err = cn_kem_public_of(&identity->pq_secret, &identity->pq_public);
    if (err == CN_OK)
        err = cn_identity_id(crypto, &identity->public, &identity->pq_public, identity->id);
    return err;
}

enum cn_err cn_identity_create(struct cn_identity *identity, const struct cn_crypto *crypto,
                               enum cn_kem kind, const struct cn_random *random)
{
    struct cn_identity i = { 0 };
    enum cn_err err;

    assert(kind == CN_KEM_X25519 || cn_kem_is_rsa(kind));
    err = cn_kem_generate(kind, random, &i.secret);
    if (err == CN_OK)
        err = cn_kem_generate(CN_KEM_MLKEM768, random, &i.pq_secret);
    if (err == CN_OK)
        err = complete(&i, crypto);
    if (err == CN_OK)
        *identity = i;
    cn_identity_wipe(&i);
    return err;
}

enum cn_err cn_identity_encode(const struct cn_identity *identity, const struct cn_crypto *crypto,
                               char *text, size_t text_size_max, size_t *text_size)
{
    uint8_t body[BODY_SIZE_MAX];
    struct cn_writer w = { .at = body, .left = sizeof body };
    enum cn_err err = CN_E_FULL;

    cn_writer_u8(&w, CN_IDENTITY_VERSION);
    cn_writer_u8(&w, (uint8_t)identity->secret.kind);
    cn_writer_u16be(&w, (uint16_t)identity->secret.size);
    cn_writer_bytes(&w, identity->secret.bytes, identity->secret.size);
    cn_writer_bytes(&w, identity->pq_secret.bytes, identity->pq_secret.size);
    if (cn_writer_ok(&w))
        err = cn_armor_encode(crypto, CN_ARMOR_IDENTITY, body, sizeof body - w.left, text,
                              text_size_max, text_size);
    cn_wipe(body, sizeof body);
    return err;
}

static enum cn_err body_decode(struct cn_reader *r, struct cn_identity *i)
{
    uint8_t version = cn_reader_u8(r);
    uint8_t kind = cn_reader_u8(r);

    if (cn_reader_ok(r) && version != CN_IDENTITY_VERSION)
        return CN_E_VERSION;
    if (kind == CN_KEM_NONE || kind >= CN_KEM_MLKEM768)
        return CN_E_FORMAT;
    i->secret.kind = (enum cn_kem)kind;
    i->secret.size = cn_reader_u16be(r);
    if (i->secret.size > sizeof i->secret.bytes)
        return CN_E_FORMAT;
    cn_reader_copy(r, i->secret.bytes, i->secret.size);
    i->pq_secret.kind = CN_KEM_MLKEM768;
    i->pq_secret.size = CN_MLKEM768_SEED_SIZE;
    cn_reader_copy(r, i->pq_secret.bytes, i->pq_secret.size);
    return cn_reader_done(r) ? CN_OK : CN_E_FORMAT;
}

enum cn_err cn_identity_decode(struct cn_identity *identity, const struct cn_crypto *crypto,
                               const char *text, size_t text_size)
{
    uint8_t body[BODY_SIZE_MAX];
    struct cn_identity i = { 0 };
    struct cn_reader r = { .at = body };
    enum cn_err err =
        cn_armor_decode(crypto, CN_ARMOR_IDENTITY, text, text_size, body, sizeof body, &r.left);

    if (err == CN_OK)
        err = body_decode(&r, &i);
    if (err == CN_OK)
        err = complete(&i, crypto);
    if (err == CN_OK)
        *identity = i;
    cn_identity_wipe(&i);
    cn_wipe(body, sizeof body);
    return err;
}
