#include "card.h"

#include <string.h>

#include "armor.h"
#include "reader.h"
#include "writer.h"

void cn_card_wipe(struct cn_card *card)
{
    if (card)
        cn_wipe(card, sizeof *card);
}

static enum cn_err suites_take(struct cn_card *card, const struct cn_card_terms *terms)
{
    card->suite_count = terms->suite ? terms->suite_count : CN_SUITE_COUNT;
    if (card->suite_count == 0 || card->suite_count > CN_CARD_LIST_SIZE_MAX)
        return CN_E_SUITE;
    for (size_t i = 0; i < card->suite_count; i++) {
        card->suite[i] = terms->suite ? terms->suite[i] : cn_suites[i].code;
        if (!cn_suite_by_code(card->suite[i]))
            return CN_E_SUITE;
    }
    return CN_OK;
}

static void body_encode(struct cn_card *card)
{
    struct cn_writer w = { .at = card->body, .left = sizeof card->body };
    size_t name_size = strlen(card->made_for);

    cn_writer_u8(&w, CN_CARD_VERSION);
    cn_writer_u8(&w, (uint8_t)card->version_count);
    cn_writer_bytes(&w, card->version, card->version_count);
    cn_writer_u8(&w, (uint8_t)card->suite_count);
    for (size_t i = 0; i < card->suite_count; i++)
        cn_writer_u16be(&w, card->suite[i]);
    cn_writer_u8(&w, (uint8_t)card->public.kind);
    cn_writer_bytes(&w, card->public.bytes, card->public.size);
    cn_writer_bytes(&w, card->pq_public.bytes, card->pq_public.size);
    cn_writer_bytes(&w, card->pair_nonce, sizeof card->pair_nonce);
    cn_writer_u8(&w, (uint8_t)name_size);
    cn_writer_bytes(&w, card->made_for, name_size);
    cn_writer_bytes(&w, card->card_id, sizeof card->card_id);
    cn_writer_bytes(&w, card->answers, sizeof card->answers);
    cn_writer_bytes(&w, card->server_key.bytes, sizeof card->server_key.bytes);
    card->body_size = sizeof card->body - w.left;
}

/* What follows from the fields and the body. */
static enum cn_err complete(struct cn_card *card, const struct cn_crypto *crypto)
{
    const struct cn_item items[] = {
        CN_LABEL("card"),
        { CN_ITEM_CARD, card->body, card->body_size },
    };
    enum cn_err err = cn_identity_id(crypto, &card->public, &card->pq_public, card->id);

    return err == CN_OK ? cn_hash_items(crypto, CN_SHA256, items, 2, card->hash) : err;
}

enum cn_err cn_card_create(struct cn_card *card, const struct cn_crypto *crypto,
                           const struct cn_identity *identity, const struct cn_card_terms *terms,
                           const struct cn_random *random)
{
    struct cn_card c = { .version = { CN_PROTOCOL_VERSION }, .version_count = 1 };
    enum cn_err err = suites_take(&c, terms);

    if (err != CN_OK)
        return err;
    if (!cn_name_valid(terms->made_for))
        return CN_E_NAME;
    memcpy(c.made_for, terms->made_for, strlen(terms->made_for));
    c.public = identity->public;
    c.pq_public = identity->pq_public;
    c.server_key = *terms->server_key;
    if (terms->answers)
        memcpy(c.answers, terms->answers->card_id, sizeof c.answers);
    err = cn_random_fill(random, c.pair_nonce, sizeof c.pair_nonce);
    if (err == CN_OK)
        err = cn_random_fill(random, c.card_id, sizeof c.card_id);
    if (err == CN_OK) {
        body_encode(&c);
        err = complete(&c, crypto);
    }
    if (err == CN_OK)
        *card = c;
    cn_card_wipe(&c);
    return err;
}

static bool lists_decode(struct cn_card *c, struct cn_reader *r)
{
    c->version_count = cn_reader_u8(r);
    if (c->version_count == 0 || c->version_count > CN_CARD_LIST_SIZE_MAX)
        return false;
    cn_reader_copy(r, c->version, c->version_count);
    c->suite_count = cn_reader_u8(r);
    if (c->suite_count == 0 || c->suite_count > CN_CARD_LIST_SIZE_MAX)
        return false;
    for (size_t i = 0; i < c->suite_count; i++)
        c->suite[i] = cn_reader_u16be(r);
    return cn_reader_ok(r);
}

static bool keys_decode(struct cn_card *c, struct cn_reader *r)
{
    uint8_t kind = cn_reader_u8(r);

    if (kind == CN_KEM_NONE || kind >= CN_KEM_MLKEM768)
        return false;
    c->public.kind = (enum cn_kem)kind;
    c->public.size = cn_kem_public_size(c->public.kind);
    cn_reader_copy(r, c->public.bytes, c->public.size);
    c->pq_public.kind = CN_KEM_MLKEM768;
    c->pq_public.size = CN_MLKEM768_PUBLIC_SIZE;
    cn_reader_copy(r, c->pq_public.bytes, c->pq_public.size);
    return cn_reader_ok(r);
}

static bool name_decode(struct cn_card *c, struct cn_reader *r)
{
    size_t size = cn_reader_u8(r);

    if (size > CN_NAME_SIZE_MAX)
        return false;
    cn_reader_copy(r, c->made_for, size);
    return cn_reader_ok(r) && !memchr(c->made_for, '\0', size) && cn_name_valid(c->made_for);
}

static enum cn_err body_decode(struct cn_card *c, struct cn_reader *r)
{
    uint8_t version = cn_reader_u8(r);
    enum cn_err err;

    if (cn_reader_ok(r) && version != CN_CARD_VERSION)
        return CN_E_VERSION;
    if (!lists_decode(c, r) || !keys_decode(c, r))
        return CN_E_FORMAT;
    cn_reader_copy(r, c->pair_nonce, sizeof c->pair_nonce);
    if (!name_decode(c, r))
        return CN_E_FORMAT;
    cn_reader_copy(r, c->card_id, sizeof c->card_id);
    cn_reader_copy(r, c->answers, sizeof c->answers);
    cn_reader_copy(r, c->server_key.bytes, sizeof c->server_key.bytes);
    if (!cn_reader_done(r))
        return CN_E_FORMAT;
    err = cn_kem_check(&c->public);
    return err == CN_OK ? cn_kem_check(&c->pq_public) : err;
}

enum cn_err cn_card_decode(struct cn_card *card, const struct cn_crypto *crypto,
                           const uint8_t *body, size_t body_size)
{
    struct cn_card c = { 0 };
    struct cn_reader r = { .at = body, .left = body_size };
    enum cn_err err = CN_E_FORMAT;

    if (body_size > sizeof c.body)
        goto out;
    memcpy(c.body, body, body_size);
    c.body_size = body_size;
    err = body_decode(&c, &r);
    if (err == CN_OK)
        err = complete(&c, crypto);
    if (err == CN_OK)
        *card = c;
out:
    cn_card_wipe(&c);
    return err;
}

enum cn_err cn_card_to_text(const struct cn_card *card, const struct cn_crypto *crypto, char *text,
                            size_t text_size_max, size_t *text_size)
{
    return cn_armor_encode(crypto, CN_ARMOR_CARD, card->body, card->body_size, text, text_size_max,
                           text_size);
}

enum cn_err cn_card_from_text(struct cn_card *card, const struct cn_crypto *crypto,
                              const char *text, size_t text_size)
{
    uint8_t body[CN_CARD_BODY_SIZE_MAX];
    size_t body_size = 0;
    enum cn_err err =
        cn_armor_decode(crypto, CN_ARMOR_CARD, text, text_size, body, sizeof body, &body_size);

    if (err == CN_OK)
        err = cn_card_decode(card, crypto, body, body_size);
    cn_wipe(body, sizeof body);
    return err;
}
