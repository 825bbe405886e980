#include "contact_file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

void cn_contact_wipe(struct cn_contact *contact)
{
    if (contact)
        cn_wipe(contact, sizeof *contact);
}

void cn_contact_drop_next(struct cn_contact *contact)
{
    cn_card_wipe(&contact->mine_next);
    cn_card_wipe(&contact->theirs_next);
    contact->has_mine_next = contact->has_theirs_next = contact->next_held = false;
}

void cn_contact_promote_next(struct cn_contact *contact)
{
    assert(contact->has_mine_next && contact->has_theirs_next);
    contact->mine = contact->mine_next;
    contact->theirs = contact->theirs_next;
    cn_contact_drop_next(contact);
}

static void card_encode(struct cn_writer *w, const struct cn_card *card, bool has)
{
    size_t size = has ? card->body_size : 0;

    cn_writer_u16be(w, (uint16_t)size);
    cn_writer_bytes(w, card->body, size);
}

size_t cn_contact_encode(const struct cn_contact *contact, uint8_t *body)
{
    struct cn_writer w = { .at = body, .left = CN_CONTACT_BODY_SIZE_MAX };

    cn_writer_u8(&w, contact->has_mine_next ? CN_CONTACT_VERSION_MOVING : CN_CONTACT_VERSION);
    cn_writer_u8(&w, contact->verified);
    card_encode(&w, &contact->mine, contact->has_mine);
    card_encode(&w, &contact->theirs, contact->has_theirs);
    if (contact->has_mine_next) {
        card_encode(&w, &contact->mine_next, true);
        card_encode(&w, &contact->theirs_next, contact->has_theirs_next);
        cn_writer_u8(&w, contact->next_held);
    }
    assert(cn_writer_ok(&w));
    return CN_CONTACT_BODY_SIZE_MAX - w.left;
}

static enum cn_err card_decode(const struct cn_crypto *crypto, struct cn_reader *r,
                               struct cn_card *card, bool *has)
{
    size_t size = cn_reader_u16be(r);
    const uint8_t *body = cn_reader_take(r, size);

    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    *has = size > 0;
    return size > 0 ? cn_card_decode(card, crypto, body, size) : CN_OK;
}

static enum cn_err next_decode(struct cn_contact *c, const struct cn_crypto *crypto,
                               struct cn_reader *r)
{
    uint8_t held;
    enum cn_err err = card_decode(crypto, r, &c->mine_next, &c->has_mine_next);

    if (err == CN_OK)
        err = card_decode(crypto, r, &c->theirs_next, &c->has_theirs_next);
    if (err != CN_OK)
        return err;
    held = cn_reader_u8(r);
    c->next_held = held == 1;
    if (held > 1 || !c->has_mine || !c->has_theirs || !c->has_mine_next ||
        (c->next_held && !c->has_theirs_next))
        return CN_E_FORMAT;
    return CN_OK;
}

static enum cn_err body_decode(struct cn_contact *c, const struct cn_crypto *crypto,
                               struct cn_reader *r)
{
    uint8_t version = cn_reader_u8(r);
    uint8_t verified = cn_reader_u8(r);
    enum cn_err err;

    if (cn_reader_ok(r) && version != CN_CONTACT_VERSION && version != CN_CONTACT_VERSION_MOVING)
        return CN_E_VERSION;
    err = card_decode(crypto, r, &c->mine, &c->has_mine);
    if (err == CN_OK)
        err = card_decode(crypto, r, &c->theirs, &c->has_theirs);
    if (err == CN_OK && version == CN_CONTACT_VERSION_MOVING)
        err = next_decode(c, crypto, r);
    if (err != CN_OK)
        return err;
    c->verified = verified == 1;
    if (verified > 1 || (c->verified && !(c->has_mine && c->has_theirs)))
        return CN_E_FORMAT;
    return cn_reader_done(r) ? CN_OK : CN_E_FORMAT;
}

enum cn_err cn_contact_decode(struct cn_contact *contact, const struct cn_crypto *crypto,
                              const uint8_t *body, size_t body_size)
{
    struct cn_contact c = { 0 };
    struct cn_reader r = { .at = body, .left = body_size };
    enum cn_err err = body_decode(&c, crypto, &r);

    if (err == CN_OK)
        *contact = c;
    cn_contact_wipe(&c);
    return err;
}

void cn_contact_file(const char *name, char out[CN_CONTACT_FILE_SIZE_MAX])
{
    snprintf(out, CN_CONTACT_FILE_SIZE_MAX, CN_CONTACTS_DIRECTORY "/%s", name);
}

enum cn_err cn_contact_load(struct cn_home *home, const char *name, struct cn_contact *contact)
{
    char file[CN_CONTACT_FILE_SIZE_MAX];
    char path[PATH_MAX];
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t body[CN_CONTACT_BODY_SIZE_MAX];
    size_t size = 0;
    enum cn_err err;

    memset(contact, 0, sizeof *contact);
    if (!cn_name_valid(name))
        return cn_home_fail(home, CN_E_NAME, 0, name);
    cn_contact_file(name, file);
    err = cn_home_read(home, file, text, sizeof text, &size);
    if (err == CN_E_ABSENT)
        return cn_home_fail(home, err, 0, name);
    if (err == CN_OK) {
        err =
            cn_armor_decode(&home->crypto, CN_ARMOR_CONTACT, text, size, body, sizeof body, &size);
        if (err == CN_OK)
            err = cn_contact_decode(contact, &home->crypto, body, size);
        cn_home_path(home, file, path);
        if (err != CN_OK)
            err = cn_home_fail(home, cn_home_text_err(err), 0, path);
    }
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_contact_store(struct cn_home *home, const char *name,
                             const struct cn_contact *contact)
{
    char file[CN_CONTACT_FILE_SIZE_MAX];
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t body[CN_CONTACT_BODY_SIZE_MAX];
    size_t body_size = cn_contact_encode(contact, body);
    size_t size = 0;
    enum cn_err err =
        cn_armor_encode(&home->crypto, CN_ARMOR_CONTACT, body, body_size, text, sizeof text, &size);

    cn_contact_file(name, file);
    if (err == CN_OK)
        err = cn_home_write(home, file, true, text, size);
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}
