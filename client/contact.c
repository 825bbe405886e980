/* contact.c - contacts: offering, taking and keeping cards. PROTOCOL.md 2.9 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "card_part.h"
#include "contact.h"
#include "file.h"
#include "rotation.h"
#include "sealing.h"
#include "talk/transcript_file.h"
#include "talk/undelivered.h"
#include "words.h"

/* --- all of them ---------------------------------------------------------------------------- */

enum cn_err cn_contact_visit(struct cn_home *home, const char *but, cn_contact_visitor *visit,
                             void *context)
{
    struct cn_contact *contact = malloc(sizeof *contact);
    char **names;
    size_t count;
    enum cn_err err = contact ? cn_contact_names(home, &names, &count) : CN_E_MEMORY;

    if (err != CN_OK) {
        free(contact);
        return err;
    }
    for (size_t i = 0; err == CN_OK && i < count; i++) {
        if (but && strcmp(names[i], but) == 0)
            continue;
        err = cn_contact_load(home, names[i], contact);
        if (err == CN_OK)
            err = visit(home, names[i], contact, context);
        cn_contact_wipe(contact);
    }
    cn_contact_names_free(names, count);
    free(contact);
    return err;
}

/* --- offering ------------------------------------------------------------------------------- */

/* Whether my card, or the contact's, is for another server than the one joined now. */
static bool elsewhere(const struct cn_card *card, const struct cn_fingerprint *fingerprint)
{
    return memcmp(card->server_key.bytes, cn_fingerprint_server(fingerprint)->bytes,
                  sizeof card->server_key.bytes) != 0;
}

static enum cn_err mine_stale(struct cn_home *home, const struct cn_contact *contact, bool *stale)
{
    struct cn_fingerprint fingerprint = { 0 };
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);

    *stale = err == CN_OK && (!contact->has_mine || elsewhere(&contact->mine, &fingerprint));
    cn_fingerprint_wipe(&fingerprint);
    return err;
}

enum cn_err cn_contact_card(struct cn_home *home, const char *name,
                            const struct cn_identity *identity,
                            const struct cn_fingerprint *fingerprint, const struct cn_card *answers,
                            struct cn_card *card)
{
    uint16_t suite[CN_CARD_LIST_SIZE_MAX];
    size_t suite_count = 0;
    enum cn_err err = cn_home_suites(home, suite, CN_CARD_LIST_SIZE_MAX, &suite_count);
    const struct cn_card_terms terms = {
        .made_for = name,
        .server_key = cn_fingerprint_server(fingerprint),
        .answers = answers,
        .suite = suite_count > 0 ? suite : NULL,
        .suite_count = suite_count,
    };

    return err == CN_OK ? cn_card_create(card, &home->crypto, identity, &terms, &home->random)
                        : err;
}

/* Make my card for this contact. A card of the contact's for another server is of no use any more.
 */
static enum cn_err mine_make(struct cn_home *home, const char *name, struct cn_contact *contact)
{
    struct cn_fingerprint fingerprint = { 0 };
    struct cn_identities identities = { 0 };
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);

    if (err == CN_OK)
        err = cn_home_identities(home, &identities);
    if (err == CN_OK && contact->has_theirs && elsewhere(&contact->theirs, &fingerprint)) {
        cn_card_wipe(&contact->theirs);
        contact->has_theirs = false;
    }
    if (err == CN_OK)
        err = cn_contact_card(home, name, identities.has_next ? &identities.next : &identities.now,
                              &fingerprint, contact->has_theirs ? &contact->theirs : NULL,
                              &contact->mine);
    contact->has_mine |= err == CN_OK;
    contact->verified = false; /* the safety number is another */
    cn_contact_drop_next(contact);
    cn_fingerprint_wipe(&fingerprint);
    cn_identities_wipe(&identities);
    return err;
}

enum cn_err cn_contact_offer(struct cn_home *home, const char *name, bool fresh, char *text,
                             size_t *text_size)
{
    struct cn_contact contact;
    bool stale = false;
    int lock = cn_home_lock(home);
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_E_ABSENT)
        err = CN_OK;
    if (err == CN_OK)
        err = mine_stale(home, &contact, &stale);
    if (err == CN_OK && (fresh || stale)) {
        err = mine_make(home, name, &contact);
        if (err == CN_OK)
            err = cn_contact_store(home, name, &contact);
    }
    cn_home_unlock(lock);
    if (err == CN_OK)
        err = cn_card_to_text(&contact.mine, &home->crypto, text, *text_size, text_size);
    cn_contact_wipe(&contact);
    return err;
}

enum cn_err cn_contact_offer_part(struct cn_home *home, const char *name, unsigned index,
                                  unsigned count, char *text, size_t *text_size)
{
    struct cn_contact contact;
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_OK && !contact.has_mine)
        err = cn_home_fail(home, CN_E_ABSENT, 0, name);
    if (err == CN_OK && (index >= count || count > CN_CARD_PART_COUNT_MAX))
        err = cn_home_fail(home, CN_E_USAGE, 0, NULL);
    if (err == CN_OK && *text_size < CN_CARD_PART_TEXT_SIZE_MAX)
        err = cn_home_fail(home, CN_E_FULL, 0, NULL);
    if (err == CN_OK)
        err = cn_card_part_encode(&contact.mine, &home->crypto, index, count, text, text_size);
    cn_contact_wipe(&contact);
    return err;
}

/* --- accepting ------------------------------------------------------------------------------ */

struct clash {
    const struct cn_card *card;
};

/* Whether it answers a card that I made for this contact. */
static bool answers_mine(const struct cn_contact *contact, const struct cn_card *card)
{
    return (contact->has_mine &&
            memcmp(contact->mine.card_id, card->answers, sizeof card->answers) == 0) ||
           (contact->has_mine_next &&
            memcmp(contact->mine_next.card_id, card->answers, sizeof card->answers) == 0);
}

/* Under another name: the same card, or another of the same identity, or my card that it answers.
 */
static enum cn_err clash_visit(struct cn_home *home, const char *name,
                               const struct cn_contact *contact, void *context)
{
    static const uint8_t none[CN_CARD_ID_SIZE];
    const struct cn_card *card = ((struct clash *)context)->card;

    if (contact->has_theirs && (memcmp(contact->theirs.hash, card->hash, sizeof card->hash) == 0 ||
                                memcmp(contact->theirs.id, card->id, sizeof card->id) == 0))
        return cn_home_fail(home, CN_E_KNOWN, 0, name);
    if (memcmp(card->answers, none, sizeof none) != 0 && answers_mine(contact, card))
        return cn_home_fail(home, CN_E_USAGE, 0, name);
    return CN_OK;
}

/* A card that answers one of mine must answer the one that I have for this contact. */
static enum cn_err answers_check(struct cn_home *home, const struct cn_contact *contact,
                                 const struct cn_card *card)
{
    static const uint8_t none[CN_CARD_ID_SIZE];

    if (memcmp(card->answers, none, sizeof none) == 0 || answers_mine(contact, card))
        return CN_OK;
    return cn_home_fail(home, CN_E_USAGE, 0, NULL);
}

static bool held(const struct cn_contact *contact, const struct cn_card *card)
{
    return contact->has_theirs && memcmp(contact->theirs.hash, card->hash, sizeof card->hash) == 0;
}

enum cn_err cn_contact_check_card(struct cn_home *home, const char *name,
                                  const struct cn_contact *contact, const struct cn_card *card)
{
    struct cn_fingerprint fingerprint = { 0 };
    struct cn_identities identities = { 0 };
    struct clash clash = { card };
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);

    if (err == CN_OK)
        err = cn_home_identities(home, &identities);
    if (err == CN_OK && cn_identities_of(&identities, card))
        err = cn_home_fail(home, CN_E_OWN, 0, NULL);
    if (err == CN_OK && elsewhere(card, &fingerprint))
        err = cn_home_fail(home, CN_E_SERVER, 0, NULL);
    if (err == CN_OK)
        err = cn_contact_visit(home, name, clash_visit, &clash);
    if (err == CN_OK && !held(contact, card))
        err = answers_check(home, contact, card);
    cn_fingerprint_wipe(&fingerprint);
    cn_identities_wipe(&identities);
    return err;
}

/* Failures are remembered: about the identity's file, or about name's cards. */
static enum cn_err pair_make(struct cn_home *home, const char *name,
                             const struct cn_contact *contact, struct cn_pair *pair)
{
    struct cn_identities identities;
    const struct cn_identity *identity;
    enum cn_err err = cn_home_identities(home, &identities);

    if (err != CN_OK)
        return err;
    identity = cn_identities_of(&identities, &contact->mine);
    err = identity ? cn_pair_create(pair, &home->crypto, identity, &contact->mine, &contact->theirs)
                   : CN_E_KEY;
    cn_identities_wipe(&identities);
    if (err != CN_OK)
        (void)cn_home_fail(home, err, 0, name);
    return err;
}

/* Put the card in, and see that the two make a pair. */
static enum cn_err theirs_take(struct cn_home *home, const char *name, struct cn_contact *contact,
                               const struct cn_card *card)
{
    struct cn_pair pair;
    bool stale = false;
    enum cn_err err = mine_stale(home, contact, &stale);

    contact->theirs = *card;
    contact->has_theirs = true;
    contact->verified = false;
    cn_contact_drop_next(contact);
    if (err == CN_OK && stale)
        err = mine_make(home, name, contact);
    if (err == CN_OK)
        err = pair_make(home, name, contact, &pair);
    if (err != CN_OK)
        return err;
    cn_pair_wipe(&pair);
    return cn_contact_store(home, name, contact);
}

/* Armoured, or the parts of QR codes. */
static enum cn_err text_decode(struct cn_home *home, const char *text, size_t text_size,
                               struct cn_card *card)
{
    unsigned missing = 0, count = 0;
    char part[64] = "";
    enum cn_err err;

    if (!cn_card_part_begins(text, text_size)) {
        err = cn_card_from_text(card, &home->crypto, text, text_size);
        return cn_home_fail(home, cn_home_text_err(err), 0, NULL);
    }
    err = cn_card_from_parts(card, &home->crypto, text, text_size, &missing, &count);
    if (err == CN_E_PART)
        snprintf(part, sizeof part, "part %u of %u", missing, count);
    return cn_home_fail(home, cn_home_text_err(err), 0, part);
}

enum cn_err cn_contact_accept(struct cn_home *home, const char *name, const char *text,
                              size_t text_size, bool replace)
{
    struct cn_contact contact;
    struct cn_card card = { 0 };
    int lock = cn_home_lock(home);
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_E_ABSENT)
        err = CN_OK;
    if (err != CN_OK)
        goto out;
    err = text_decode(home, text, text_size, &card);
    if (err == CN_OK)
        err = cn_contact_check_card(home, name, &contact, &card);
    if (err == CN_OK && held(&contact, &card))
        goto out;
    if (err == CN_OK && contact.has_theirs && !replace)
        err = cn_home_fail(home, CN_E_EXISTS, 0, name);
    if (err == CN_OK)
        err = theirs_take(home, name, &contact, &card);
out:
    cn_home_unlock(lock);
    cn_contact_wipe(&contact);
    cn_card_wipe(&card);
    return err;
}

/* --- telling -------------------------------------------------------------------------------- */

_Static_assert(sizeof((struct cn_contact_info *)0)->words >= CN_SAFETY_WORDS_SIZE, "room");

static enum cn_contact_moving moving_of(struct cn_home *home, const struct cn_contact *contact)
{
    const struct cn_detail detail = home->detail;
    struct cn_identities identities;
    enum cn_contact_moving moving = CN_MOVING_NOT;

    if (cn_home_identities(home, &identities) != CN_OK) {
        home->detail = detail; /* whoever needs them will tell */
        return moving;
    }
    moving = cn_rotation_moving(&identities, contact);
    cn_identities_wipe(&identities);
    return moving;
}

static enum cn_err info_fill(struct cn_home *home, const char *name,
                             const struct cn_contact *contact, struct cn_contact_info *info)
{
    struct cn_contact_info filled = { .offered = contact->has_mine,
                                      .accepted = contact->has_theirs,
                                      .verified = contact->verified,
                                      .moving = moving_of(home, contact) };
    struct cn_pair pair;
    enum cn_err err;

    snprintf(filled.name, sizeof filled.name, "%s", name);
    if (contact->has_theirs) {
        snprintf(filled.made_for, sizeof filled.made_for, "%s", contact->theirs.made_for);
        snprintf(filled.kind, sizeof filled.kind, "%s", cn_kem_name(contact->theirs.public.kind));
    }
    if (contact->has_mine && contact->has_theirs) {
        err = pair_make(home, name, contact, &pair);
        if (err != CN_OK)
            return err;
        snprintf(filled.suite, sizeof filled.suite, "%s", pair.suite->name);
        snprintf(filled.safety, sizeof filled.safety, "%s", pair.safety);
        cn_words_of_safety(pair.safety, filled.words);
        cn_pair_wipe(&pair);
    }
    *info = filled;
    return CN_OK;
}

enum cn_err cn_contact_show(struct cn_home *home, const char *name, struct cn_contact_info *info)
{
    struct cn_contact contact;
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_OK)
        err = info_fill(home, name, &contact, info);
    cn_contact_wipe(&contact);
    return err;
}

/* Show each of these; how many there still are. */
static size_t show_all(struct cn_home *home, char **names, size_t count,
                       struct cn_contact_info *info)
{
    size_t shown = 0;

    for (size_t i = 0; i < count; i++) {
        struct cn_contact_info one = { 0 };

        snprintf(one.name, sizeof one.name, "%s", names[i]);
        one.err = cn_contact_show(home, names[i], &one);
        if (one.err != CN_E_ABSENT) /* removed meanwhile */
            info[shown++] = one;
    }
    return shown;
}

enum cn_err cn_contact_list(struct cn_home *home, struct cn_contact_info **list, size_t *count)
{
    struct cn_contact_info *info;
    const char *kind;
    char **names;
    size_t name_count;
    enum cn_err err = cn_contact_names(home, &names, &name_count);

    if (err != CN_OK)
        return err;
    info = calloc(name_count + 1, sizeof *info); /* with none, too, there is something to free */
    err = info ? CN_OK : CN_E_MEMORY;
    if (err == CN_OK && name_count > 0)
        err = cn_home_identity_kind(home, &kind); /* what all need is told once */
    if (err == CN_OK) {
        *count = show_all(home, names, name_count, info);
        *list = info;
    } else {
        free(info);
    }
    cn_contact_names_free(names, name_count);
    return err;
}

enum cn_err cn_contact_verify(struct cn_home *home, const char *name)
{
    struct cn_contact contact;
    int lock = cn_home_lock(home);
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_OK && (!contact.has_mine || !contact.has_theirs))
        err = cn_home_fail(home, CN_E_ABSENT, 0, name);
    if (err == CN_OK && !contact.verified) {
        contact.verified = true;
        err = cn_contact_store(home, name, &contact);
    }
    cn_home_unlock(lock);
    cn_contact_wipe(&contact);
    return err;
}

/* Whoever reads a contact and writes it back under the lock must not bring it back. */
static enum cn_err moved(struct cn_home *home, int failed, const char *path, const char *name)
{
    if (failed == 0) {
        cn_file_sync_directory_of(path);
        return CN_OK;
    }
    if (errno == ENOENT)
        return cn_home_fail(home, CN_E_ABSENT, 0, name);
    return cn_home_fail(home, CN_E_SYSTEM, errno, path);
}

static enum cn_err rename_plain(struct cn_home *home, const char *old_file, const char *new_file)
{
    char old_path[PATH_MAX], new_path[PATH_MAX];

    cn_home_path(home, old_file, old_path);
    cn_home_path(home, new_file, new_path);
    if (cn_file_rename_new(AT_FDCWD, old_path, new_path) != 0)
        return errno == EEXIST ? CN_E_EXISTS : moved(home, -1, old_path, old_file);
    return moved(home, 0, old_path, old_file);
}

/* What is sealed is bound to its name. */
static enum cn_err rename_sealed(struct cn_home *home, const char *old_file, const char *new_file)
{
    char path[PATH_MAX];
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_home_read(home, old_file, text, sizeof text, &size);

    cn_home_path(home, old_file, path);
    if (err == CN_OK)
        err = cn_home_write(home, new_file, false, text, size);
    cn_wipe(text, sizeof text);
    return err == CN_OK ? moved(home, unlink(path), path, old_file) : err;
}

static enum cn_err rename_contact(struct cn_home *home, const char *old_name, const char *new_name)
{
    char old_file[CN_CONTACT_FILE_SIZE_MAX], new_file[CN_CONTACT_FILE_SIZE_MAX];
    bool sealed = false;
    enum cn_err err;
    int lock;

    cn_contact_file(old_name, old_file);
    cn_contact_file(new_name, new_file);
    lock = cn_home_lock(home);
    err = cn_sealing_on(home, &sealed);
    if (err == CN_OK)
        err = sealed ? rename_sealed(home, old_file, new_file)
                     : rename_plain(home, old_file, new_file);
    cn_home_unlock(lock);
    if (err == CN_E_ABSENT)
        return cn_home_fail(home, err, 0, old_name);
    if (err == CN_E_EXISTS)
        return cn_home_fail(home, err, 0, new_name);
    return err;
}

/* What is kept of talks goes first: it can be put back. */
enum cn_err cn_contact_rename(struct cn_home *home, const char *old_name, const char *new_name)
{
    bool undelivered_too;
    enum cn_err err;
    struct cn_detail detail;

    if (!cn_name_valid(old_name) || !cn_name_valid(new_name))
        return cn_home_fail(home, CN_E_NAME, 0, cn_name_valid(old_name) ? new_name : old_name);
    err = cn_transcript_rename(home, old_name, new_name);
    if (err != CN_OK)
        return err;
    err = cn_undelivered_rename(home, old_name, new_name);
    undelivered_too = err == CN_OK;
    if (err == CN_OK)
        err = rename_contact(home, old_name, new_name);
    if (err == CN_OK)
        return CN_OK;
    detail = home->detail;
    if (cn_transcript_rename(home, new_name, old_name) == CN_OK &&
        (!undelivered_too || cn_undelivered_rename(home, new_name, old_name) == CN_OK))
        home->detail = detail;
    return err;
}

enum cn_err cn_contact_unlink(struct cn_home *home, const char *name)
{
    char file[CN_CONTACT_FILE_SIZE_MAX];
    char path[PATH_MAX];

    cn_contact_file(name, file);
    cn_home_path(home, file, path);
    return moved(home, unlink(path), path, name);
}

enum cn_err cn_contact_remove(struct cn_home *home, const char *name)
{
    enum cn_err err;
    int lock;

    if (!cn_name_valid(name))
        return cn_home_fail(home, CN_E_NAME, 0, name);
    lock = cn_home_lock(home);
    err = cn_contact_unlink(home, name);
    if (err == CN_OK)
        cn_rotation_settle(home);
    cn_home_unlock(lock);
    if (err == CN_OK)
        err = cn_transcript_remove(home, name);
    return err == CN_OK ? cn_undelivered_remove(home, name) : err;
}

/* --- for calls ------------------------------------------------------------------------------ */

static enum cn_err pair_of(struct cn_home *home, const struct cn_identity *identity,
                           const struct cn_card *mine, const struct cn_card *theirs,
                           struct cn_pair *pair)
{
    return identity ? cn_pair_create(pair, &home->crypto, identity, mine, theirs) : CN_E_KEY;
}

/* Both cards must be there, and for the server that we would dial. */
static enum cn_err pairs_make(struct cn_home *home, const struct cn_contact *contact,
                              const struct cn_identities *identities,
                              const struct cn_fingerprint *fingerprint,
                              struct cn_contact_pairs *pairs)
{
    enum cn_err err;

    if (!contact->has_mine || !contact->has_theirs)
        return CN_E_ABSENT;
    if (elsewhere(&contact->mine, fingerprint))
        return CN_E_SERVER;
    pairs->verified = contact->verified;
    pairs->identity = cn_identities_of(identities, &contact->mine);
    err = pair_of(home, pairs->identity, &contact->mine, &contact->theirs, &pairs->now);
    if (err != CN_OK || !contact->has_theirs_next)
        return err;
    pairs->has_next = true;
    pairs->next_held = contact->next_held;
    pairs->next_identity = cn_identities_of(identities, &contact->mine_next);
    return pair_of(home, pairs->next_identity, &contact->mine_next, &contact->theirs_next,
                   &pairs->next);
}

enum cn_err cn_contact_pairs(struct cn_home *home, const char *name,
                             const struct cn_identities *identities,
                             const struct cn_fingerprint *fingerprint,
                             struct cn_contact_pairs *pairs)
{
    struct cn_contact contact;
    struct cn_contact_pairs made = { 0 };
    enum cn_err err = cn_contact_load(home, name, &contact);

    if (err == CN_OK) {
        err = pairs_make(home, &contact, identities, fingerprint, &made);
        if (err != CN_OK)
            err = cn_home_fail(home, err, 0, name);
    }
    if (err == CN_OK)
        *pairs = made;
    cn_wipe(&made, sizeof made);
    cn_contact_wipe(&contact);
    return err;
}

struct server_search {
    const struct cn_server_public *server;
    bool other;
};

static enum cn_err server_visit(struct cn_home *home, const char *name,
                                const struct cn_contact *contact, void *context)
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
    enum cn_err err = cn_contact_visit(home, NULL, server_visit, &search);

    *other = search.other;
    return err;
}
