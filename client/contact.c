/* contact.c - contacts: one file each, holding both cards verbatim. PROTOCOL.md 2.9, 2.11 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "card.h"
#include "file.h"
#include "home.h"
#include "reader.h"
#include "writer.h"

enum {
    CONTACT_VERSION = 1,
    CONTACT_BODY_SIZE_MAX = 1 + 1 + 2 + 2 + 2 * CN_CARD_BODY_SIZE_MAX,
    CONTACT_NAME_SIZE_MAX = sizeof "contacts/" + CN_NAME_SIZE_MAX
};

struct contact {
    bool has_mine;
    bool has_theirs;
    bool verified;
    struct cn_card mine;
    struct cn_card theirs;
};

static void contact_wipe(struct contact *contact)
{
    cn_wipe(contact, sizeof *contact);
}

static void file_of(const char *name, char out[CONTACT_NAME_SIZE_MAX])
{
    snprintf(out, CONTACT_NAME_SIZE_MAX, "contacts/%s", name);
}

/* --- the file ------------------------------------------------------------------------------- */

static enum cn_err card_decode(struct cn_home *home, struct cn_reader *r, struct cn_card *card,
                               bool *has)
{
    size_t size = cn_reader_u16be(r);
    const uint8_t *body = cn_reader_take(r, size);

    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    *has = size > 0;
    return size > 0 ? cn_card_decode(card, &home->crypto, body, size) : CN_OK;
}

static enum cn_err body_decode(struct cn_home *home, struct cn_reader *r, struct contact *contact)
{
    uint8_t version = cn_reader_u8(r);
    uint8_t verified = cn_reader_u8(r);
    enum cn_err err;

    if (cn_reader_ok(r) && version != CONTACT_VERSION)
        return CN_E_VERSION;
    if (verified > 1)
        return CN_E_FORMAT;
    contact->verified = verified == 1;
    err = card_decode(home, r, &contact->mine, &contact->has_mine);
    if (err == CN_OK)
        err = card_decode(home, r, &contact->theirs, &contact->has_theirs);
    return err == CN_OK && !cn_reader_done(r) ? CN_E_FORMAT : err;
}

/* CN_E_ABSENT leaves an empty contact. */
static enum cn_err contact_load(struct cn_home *home, const char *name, struct contact *contact)
{
    char file[CONTACT_NAME_SIZE_MAX];
    char path[PATH_MAX];
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t body[CONTACT_BODY_SIZE_MAX];
    struct cn_reader r = { .at = body };
    size_t size = 0;
    enum cn_err err;

    memset(contact, 0, sizeof *contact);
    if (!cn_name_valid(name))
        return cn_home_fail(home, CN_E_NAME, 0, name);
    file_of(name, file);
    err = cn_home_read(home, file, text, sizeof text, &size);
    if (err == CN_E_ABSENT)
        return cn_home_fail(home, err, 0, name);
    if (err == CN_OK) {
        err = cn_armor_decode(&home->crypto, CN_ARMOR_CONTACT, text, size, body, sizeof body,
                              &r.left);
        if (err == CN_OK)
            err = body_decode(home, &r, contact);
        cn_home_path(home, file, path);
        if (err != CN_OK)
            (void)cn_home_fail(home, err, 0, path);
    }
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    if (err != CN_OK)
        contact_wipe(contact);
    return err;
}

static void card_encode(struct cn_writer *w, const struct cn_card *card, bool has)
{
    size_t size = has ? card->body_size : 0;

    cn_writer_u16be(w, (uint16_t)size);
    cn_writer_bytes(w, card->body, size);
}

static enum cn_err contact_store(struct cn_home *home, const char *name,
                                 const struct contact *contact)
{
    char file[CONTACT_NAME_SIZE_MAX];
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t body[CONTACT_BODY_SIZE_MAX];
    struct cn_writer w = { .at = body, .left = sizeof body };
    size_t size = 0;
    enum cn_err err;

    file_of(name, file);
    cn_writer_u8(&w, CONTACT_VERSION);
    cn_writer_u8(&w, contact->verified);
    card_encode(&w, &contact->mine, contact->has_mine);
    card_encode(&w, &contact->theirs, contact->has_theirs);
    err = cn_writer_ok(&w) ? cn_armor_encode(&home->crypto, CN_ARMOR_CONTACT, body,
                                             sizeof body - w.left, text, sizeof text, &size)
                           : CN_E_FULL;
    if (err == CN_OK)
        err = cn_home_write(home, file, true, text, size);
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}

/* --- all of them ---------------------------------------------------------------------------- */

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* The names of all contacts, in order; for names_free. Other files in there are none of ours. */
static enum cn_err names_list(struct cn_home *home, char ***names, size_t *count)
{
    char path[PATH_MAX];
    struct dirent *entry;
    char **list = NULL;
    size_t have = 0;
    DIR *dir;

    cn_home_path(home, "contacts", path);
    *names = NULL;
    *count = 0;
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? CN_OK : cn_home_fail(home, CN_E_SYSTEM, errno, path);
    while ((entry = readdir(dir))) {
        char **more;

        if (!cn_name_valid(entry->d_name))
            continue;
        more = realloc(list, (have + 1) * sizeof *list);
        if (more)
            list = more;
        if (!more || !(list[have] = strdup(entry->d_name))) {
            names_free(list, have);
            closedir(dir);
            return CN_E_MEMORY;
        }
        have++;
    }
    closedir(dir);
    if (have > 0)
        qsort(list, have, sizeof *list, names_compare);
    *names = list;
    *count = have;
    return CN_OK;
}

/* Call visit with every contact but one, until it answers otherwise than CN_OK. */
typedef enum cn_err visitor(struct cn_home *home, const char *name, const struct contact *contact,
                            void *context);

static enum cn_err visit_others(struct cn_home *home, const char *but, visitor *visit,
                                void *context)
{
    struct contact *contact = malloc(sizeof *contact);
    char **names;
    size_t count;
    enum cn_err err = contact ? names_list(home, &names, &count) : CN_E_MEMORY;

    if (err != CN_OK) {
        free(contact);
        return err;
    }
    for (size_t i = 0; err == CN_OK && i < count; i++) {
        if (but && strcmp(names[i], but) == 0)
            continue;
        err = contact_load(home, names[i], contact);
        if (err == CN_OK)
            err = visit(home, names[i], contact, context);
        contact_wipe(contact);
    }
    names_free(names, count);
    free(contact);
    return err;
}

/* --- offering ------------------------------------------------------------------------------- */

/* Make my card for this contact. */
static enum cn_err mine_make(struct cn_home *home, const char *name, struct contact *contact)
{
    struct cn_fingerprint fingerprint = { 0 };
    struct cn_identity identity = { 0 };
    uint16_t suite[CN_CARD_LIST_SIZE_MAX];
    size_t suite_count = 0;
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);

    if (err == CN_OK)
        err = cn_home_identity(home, &identity);
    if (err == CN_OK)
        err = cn_home_suites(home, suite, CN_CARD_LIST_SIZE_MAX, &suite_count);
    if (err == CN_OK) {
        const struct cn_card_terms terms = {
            .made_for = name,
            .server_key = &fingerprint.server_key,
            .answers = contact->has_theirs ? &contact->theirs : NULL,
            .suite = suite_count > 0 ? suite : NULL,
            .suite_count = suite_count,
        };

        err = cn_card_create(&contact->mine, &home->crypto, &identity, &terms, &home->random);
    }
    contact->has_mine |= err == CN_OK;
    cn_fingerprint_wipe(&fingerprint);
    cn_identity_wipe(&identity);
    return err;
}

enum cn_err cn_contact_offer(struct cn_home *home, const char *name, bool fresh, char *text,
                             size_t *text_size)
{
    struct contact contact;
    enum cn_err err = contact_load(home, name, &contact);

    if (err == CN_E_ABSENT)
        err = CN_OK;
    if (err == CN_OK && (fresh || !contact.has_mine)) {
        contact.verified = false; /* the safety number is another */
        err = mine_make(home, name, &contact);
        if (err == CN_OK)
            err = contact_store(home, name, &contact);
    }
    if (err == CN_OK)
        err = cn_card_to_text(&contact.mine, &home->crypto, text, *text_size, text_size);
    contact_wipe(&contact);
    return err;
}

/* --- accepting ------------------------------------------------------------------------------ */

struct clash {
    const struct cn_card *card;
};

/* Under another name: the same card, or another of the same identity, or my card that it answers.
 */
static enum cn_err clash_visit(struct cn_home *home, const char *name,
                               const struct contact *contact, void *context)
{
    static const uint8_t none[CN_CARD_ID_SIZE];
    const struct cn_card *card = ((struct clash *)context)->card;

    if (contact->has_theirs && (memcmp(contact->theirs.hash, card->hash, sizeof card->hash) == 0 ||
                                memcmp(contact->theirs.id, card->id, sizeof card->id) == 0))
        return cn_home_fail(home, CN_E_KNOWN, 0, name);
    if (contact->has_mine && memcmp(card->answers, none, sizeof none) != 0 &&
        memcmp(contact->mine.card_id, card->answers, sizeof card->answers) == 0)
        return cn_home_fail(home, CN_E_USAGE, 0, name);
    return CN_OK;
}

/* A card that answers one of mine must answer the one that I have for this contact. */
static enum cn_err answers_check(struct cn_home *home, const struct contact *contact,
                                 const struct cn_card *card)
{
    static const uint8_t none[CN_CARD_ID_SIZE];

    if (memcmp(card->answers, none, sizeof none) == 0 ||
        (contact->has_mine &&
         memcmp(contact->mine.card_id, card->answers, sizeof card->answers) == 0))
        return CN_OK;
    return cn_home_fail(home, CN_E_USAGE, 0, NULL);
}

static enum cn_err theirs_check(struct cn_home *home, const char *name,
                                const struct contact *contact, const struct cn_card *card)
{
    struct cn_fingerprint fingerprint = { 0 };
    struct cn_identity identity = { 0 };
    struct clash clash = { card };
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);

    if (err == CN_OK)
        err = cn_home_identity(home, &identity);
    if (err == CN_OK && memcmp(card->id, identity.id, sizeof card->id) == 0)
        err = cn_home_fail(home, CN_E_OWN, 0, NULL);
    if (err == CN_OK && memcmp(card->server_key.bytes, fingerprint.server_key.bytes,
                               sizeof card->server_key.bytes) != 0)
        err = cn_home_fail(home, CN_E_SERVER, 0, NULL);
    if (err == CN_OK)
        err = visit_others(home, name, clash_visit, &clash);
    if (err == CN_OK)
        err = answers_check(home, contact, card);
    cn_fingerprint_wipe(&fingerprint);
    cn_identity_wipe(&identity);
    return err;
}

/* Failures are remembered: about the identity's file, or about name's cards. */
static enum cn_err pair_make(struct cn_home *home, const char *name, const struct contact *contact,
                             struct cn_pair *pair)
{
    struct cn_identity identity;
    enum cn_err err = cn_home_identity(home, &identity);

    if (err != CN_OK)
        return err;
    err = cn_pair_create(pair, &home->crypto, &identity, &contact->mine, &contact->theirs);
    cn_identity_wipe(&identity);
    return err == CN_OK ? CN_OK : cn_home_fail(home, err, 0, name);
}

/* Put the card in, and see that the two make a pair. */
static enum cn_err theirs_take(struct cn_home *home, const char *name, struct contact *contact,
                               const struct cn_card *card)
{
    struct cn_pair pair;
    enum cn_err err = CN_OK;

    contact->theirs = *card;
    contact->has_theirs = true;
    contact->verified = false;
    if (!contact->has_mine)
        err = mine_make(home, name, contact);
    if (err == CN_OK)
        err = pair_make(home, name, contact, &pair);
    if (err != CN_OK)
        return err;
    cn_pair_wipe(&pair);
    return contact_store(home, name, contact);
}

enum cn_err cn_contact_accept(struct cn_home *home, const char *name, const char *text,
                              size_t text_size, bool replace)
{
    struct contact contact;
    struct cn_card card;
    enum cn_err err = contact_load(home, name, &contact);

    if (err == CN_E_ABSENT)
        err = CN_OK;
    if (err != CN_OK)
        return err;
    err = cn_card_from_text(&card, &home->crypto, text, text_size);
    (void)cn_home_fail(home, err, 0, NULL);
    if (err == CN_OK)
        err = theirs_check(home, name, &contact, &card);
    if (err == CN_OK && contact.has_theirs &&
        memcmp(contact.theirs.hash, card.hash, sizeof card.hash) == 0)
        goto out; /* held already */
    if (err == CN_OK && contact.has_theirs && !replace)
        err = cn_home_fail(home, CN_E_EXISTS, 0, name);
    if (err == CN_OK)
        err = theirs_take(home, name, &contact, &card);
out:
    contact_wipe(&contact);
    cn_card_wipe(&card);
    return err;
}

/* --- telling -------------------------------------------------------------------------------- */

static enum cn_err info_fill(struct cn_home *home, const char *name, const struct contact *contact,
                             struct cn_contact_info *info)
{
    struct cn_pair pair;
    enum cn_err err;

    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", name);
    info->offered = contact->has_mine;
    info->accepted = contact->has_theirs;
    info->verified = contact->verified;
    if (contact->has_theirs) {
        snprintf(info->made_for, sizeof info->made_for, "%s", contact->theirs.made_for);
        snprintf(info->kind, sizeof info->kind, "%s", cn_kem_name(contact->theirs.public.kind));
    }
    if (!contact->has_mine || !contact->has_theirs)
        return CN_OK;
    err = pair_make(home, name, contact, &pair);
    if (err != CN_OK)
        return err;
    snprintf(info->suite, sizeof info->suite, "%s", pair.suite->name);
    snprintf(info->safety, sizeof info->safety, "%s", pair.safety);
    cn_pair_wipe(&pair);
    return CN_OK;
}

enum cn_err cn_contact_show(struct cn_home *home, const char *name, struct cn_contact_info *info)
{
    struct contact contact;
    enum cn_err err = contact_load(home, name, &contact);

    if (err == CN_OK)
        err = info_fill(home, name, &contact, info);
    contact_wipe(&contact);
    return err;
}

struct listing {
    struct cn_contact_info *list;
    size_t count;
};

static enum cn_err list_visit(struct cn_home *home, const char *name, const struct contact *contact,
                              void *context)
{
    struct listing *l = context;
    struct cn_contact_info *more = realloc(l->list, (l->count + 1) * sizeof *more);

    if (!more)
        return CN_E_MEMORY;
    l->list = more;
    return info_fill(home, name, contact, &l->list[l->count++]);
}

enum cn_err cn_contact_list(struct cn_home *home, struct cn_contact_info **list, size_t *count)
{
    struct listing l = { 0 };
    enum cn_err err = visit_others(home, NULL, list_visit, &l);

    if (err != CN_OK) {
        free(l.list);
        return err;
    }
    *list = l.list;
    *count = l.count;
    return CN_OK;
}

enum cn_err cn_contact_verify(struct cn_home *home, const char *name)
{
    struct contact contact;
    enum cn_err err = contact_load(home, name, &contact);

    if (err == CN_OK && (!contact.has_mine || !contact.has_theirs))
        err = cn_home_fail(home, CN_E_ABSENT, 0, name);
    if (err == CN_OK && !contact.verified) {
        contact.verified = true;
        err = contact_store(home, name, &contact);
    }
    contact_wipe(&contact);
    return err;
}

enum cn_err cn_contact_rename(struct cn_home *home, const char *old_name, const char *new_name)
{
    char old_file[CONTACT_NAME_SIZE_MAX], new_file[CONTACT_NAME_SIZE_MAX];
    char old_path[PATH_MAX], new_path[PATH_MAX];

    if (!cn_name_valid(old_name) || !cn_name_valid(new_name))
        return cn_home_fail(home, CN_E_NAME, 0, cn_name_valid(old_name) ? new_name : old_name);
    file_of(old_name, old_file);
    file_of(new_name, new_file);
    cn_home_path(home, old_file, old_path);
    cn_home_path(home, new_file, new_path);
    if (renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, RENAME_NOREPLACE) == 0) {
        cn_file_sync_directory_of(new_path);
        return CN_OK;
    }
    if (errno == EEXIST)
        return cn_home_fail(home, CN_E_EXISTS, 0, new_name);
    if (errno == ENOENT)
        return cn_home_fail(home, CN_E_ABSENT, 0, old_name);
    return cn_home_fail(home, CN_E_SYSTEM, errno, old_path);
}

enum cn_err cn_contact_remove(struct cn_home *home, const char *name)
{
    char file[CONTACT_NAME_SIZE_MAX];
    char path[PATH_MAX];

    if (!cn_name_valid(name))
        return cn_home_fail(home, CN_E_NAME, 0, name);
    file_of(name, file);
    cn_home_path(home, file, path);
    if (unlink(path) == 0) {
        cn_file_sync_directory_of(path);
        return CN_OK;
    }
    if (errno == ENOENT)
        return cn_home_fail(home, CN_E_ABSENT, 0, name);
    return cn_home_fail(home, CN_E_SYSTEM, errno, path);
}

/* --- for calls ------------------------------------------------------------------------------ */

enum cn_err cn_contact_pair(struct cn_home *home, const char *name, struct cn_pair *pair,
                            bool *verified)
{
    struct contact contact;
    enum cn_err err = contact_load(home, name, &contact);

    if (err == CN_OK && (!contact.has_mine || !contact.has_theirs))
        err = cn_home_fail(home, CN_E_ABSENT, 0, name);
    if (err == CN_OK)
        err = pair_make(home, name, &contact, pair);
    *verified = err == CN_OK && contact.verified;
    contact_wipe(&contact);
    return err;
}

struct server_search {
    const struct cn_server_public *server;
    bool other;
};

static enum cn_err server_visit(struct cn_home *home, const char *name,
                                const struct contact *contact, void *context)
{
    struct server_search *search = context;

    (void)home;
    (void)name;
    if (contact->has_mine && memcmp(contact->mine.server_key.bytes, search->server->bytes,
                                    sizeof search->server->bytes) != 0)
        search->other = true;
    return CN_OK;
}

enum cn_err cn_contact_other_server(struct cn_home *home, const struct cn_server_public *server,
                                    bool *other)
{
    struct server_search search = { server, false };
    enum cn_err err = visit_others(home, NULL, server_visit, &search);

    *other = search.other;
    return err;
}
