#include "rotation.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "contact.h"
#include "file.h"

/* --- how far it has come -------------------------------------------------------------------- */

static bool is_of(const struct cn_card *card, const struct cn_identity *identity)
{
    return memcmp(card->id, identity->id, sizeof card->id) == 0;
}

/* Whether a contact needs the old identity. */
static bool needs_old(const struct cn_identities *identities, const struct cn_contact *contact)
{
    return contact->has_mine && !is_of(&contact->mine, &identities->next);
}

enum cn_contact_moving cn_rotation_moving(const struct cn_identities *identities,
                                          const struct cn_contact *contact)
{
    if (contact->has_theirs_next)
        return CN_MOVING_NEXT_CALL;
    if (!identities->has_next || !needs_old(identities, contact))
        return CN_MOVING_NOT;
    if (!contact->has_theirs)
        return CN_MOVING_EXCHANGE;
    return contact->verified ? CN_MOVING_CALL : CN_MOVING_UNVERIFIED;
}

static enum cn_err old_visit(struct cn_home *home, const char *name,
                             const struct cn_contact *contact, void *context)
{
    (void)name;
    return needs_old(context, contact) ? cn_home_fail(home, CN_E_EXISTS, 0, NULL) : CN_OK;
}

static enum cn_err next_unlink(struct cn_home *home)
{
    char path[PATH_MAX];

    cn_home_path(home, CN_IDENTITY_NEXT_FILE, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    return CN_OK;
}

/* If no contact needs the old identity any more, the new one takes its place. */
static enum cn_err settle(struct cn_home *home)
{
    struct cn_identities identities = { 0 };
    enum cn_err err = cn_home_identities(home, &identities);

    if (err == CN_OK && identities.has_next) {
        err = cn_contact_visit(home, NULL, old_visit, &identities);
        if (err == CN_OK)
            err = cn_home_identity_store(home, CN_IDENTITY_FILE, &identities.next);
        identities.next_is_now = err == CN_OK;
    }
    if (identities.next_is_now) /* now, or before we were interrupted */
        err = next_unlink(home);
    cn_identities_wipe(&identities);
    return err == CN_E_EXISTS ? CN_OK : err;
}

void cn_rotation_settle(struct cn_home *home)
{
    (void)settle(home); /* else with the next */
}

/* --- a contact ------------------------------------------------------------------------------ */

static bool pair_is(const struct cn_pair *pair, const struct cn_card *mine,
                    const struct cn_card *theirs)
{
    const struct cn_card *a = pair->role == CN_ROLE_A ? mine : theirs;
    const struct cn_card *b = pair->role == CN_ROLE_A ? theirs : mine;

    return memcmp(a->hash, pair->card_a, sizeof a->hash) == 0 &&
           memcmp(b->hash, pair->card_b, sizeof b->hash) == 0;
}

static bool same(const struct cn_card *a, const struct cn_card *b)
{
    return memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

/* What is known of the contact of a call, while the home is locked. */
struct at {
    struct cn_home *home;
    const char *name;
    int lock;
    struct cn_contact contact;
    struct cn_identities identities;
};

static enum cn_err at_begin(struct at *at, struct cn_home *home, const char *name)
{
    enum cn_err err;

    memset(at, 0, sizeof *at);
    at->home = home;
    at->name = name;
    at->lock = cn_home_lock(home);
    err = cn_contact_load(home, name, &at->contact);
    return err == CN_OK ? cn_home_identities(home, &at->identities) : err;
}

static void at_end(struct at *at)
{
    cn_home_unlock(at->lock);
    cn_contact_wipe(&at->contact);
    cn_identities_wipe(&at->identities);
}

static bool is_pair_now(const struct at *at, const struct cn_pair *pair)
{
    return at->contact.has_mine && at->contact.has_theirs &&
           pair_is(pair, &at->contact.mine, &at->contact.theirs);
}

static bool is_pair_next(const struct at *at, const struct cn_pair *pair)
{
    return at->contact.has_theirs_next &&
           pair_is(pair, &at->contact.mine_next, &at->contact.theirs_next);
}

/* My next card, of the identity that comes next if the contact may move there. */
static enum cn_err mine_next_make(struct at *at, const struct cn_card *answers)
{
    struct cn_contact *c = &at->contact;
    const struct cn_identities *ids = &at->identities;
    const bool moves = ids->has_next && (c->verified || is_of(&c->mine, &ids->next));
    struct cn_fingerprint fingerprint = { 0 };
    enum cn_err err = cn_home_fingerprint(at->home, &fingerprint);

    if (err == CN_OK)
        err = cn_contact_card(at->home, at->name, moves ? &ids->next : &ids->now, &fingerprint,
                              answers, &c->mine_next);
    c->has_mine_next |= err == CN_OK;
    cn_fingerprint_wipe(&fingerprint);
    return err;
}

/* Whether mine is to be handed over; made, if it was not yet. What is complete, and of the old
 * identity, comes into use first. */
static enum cn_err mine_due(struct at *at, bool *due)
{
    struct cn_contact *c = &at->contact;
    enum cn_err err;

    *due = false;
    if (!at->identities.has_next || !c->verified || !needs_old(&at->identities, c))
        return CN_OK;
    if (!c->has_mine_next) {
        err = mine_next_make(at, &c->theirs);
        if (err == CN_OK)
            err = cn_contact_store(at->home, at->name, c);
        if (err != CN_OK)
            return err;
    }
    *due = is_of(&c->mine_next, &at->identities.next);
    return CN_OK;
}

enum cn_err cn_rotation_opened(struct cn_home *home, const char *name, const struct cn_pair *pair,
                               bool *moved, struct cn_card *card, bool *due)
{
    struct at at;
    enum cn_err err = at_begin(&at, home, name);

    *moved = *due = false;
    if (err == CN_OK && is_pair_next(&at, pair)) {
        cn_contact_promote_next(&at.contact);
        err = cn_contact_store(home, name, &at.contact);
        *moved = err == CN_OK;
    }
    if (err == CN_OK && (at.identities.next_is_now ||
                         (at.identities.has_next && !needs_old(&at.identities, &at.contact))))
        err = settle(home); /* it may have been the last, now or before we were interrupted */
    if (err == CN_OK && !is_pair_now(&at, pair))
        err = CN_E_ABSENT;
    if (err == CN_OK && at.contact.next_held) { /* and does not use it: put back from a backup? */
        at.contact.next_held = false;
        err = cn_contact_store(home, name, &at.contact);
    }
    if (err == CN_OK)
        err = mine_due(&at, due);
    if (*due)
        *card = at.contact.mine_next;
    at_end(&at);
    return err;
}

/* Put it in, and see that it makes a pair with mine. */
static enum cn_err theirs_next_take(struct at *at, const struct cn_card *theirs)
{
    struct cn_contact *c = &at->contact;
    const struct cn_identity *identity = cn_identities_of(&at->identities, &c->mine_next);
    struct cn_pair pair;
    enum cn_err err =
        identity ? cn_pair_create(&pair, &at->home->crypto, identity, &c->mine_next, theirs)
                 : CN_E_KEY;

    if (err != CN_OK)
        return cn_home_fail(at->home, err, 0, at->name);
    cn_pair_wipe(&pair);
    c->theirs_next = *theirs;
    c->has_theirs_next = true;
    return CN_OK;
}

static enum cn_err theirs_check(struct at *at, const struct cn_card *theirs)
{
    if (same(theirs, &at->contact.theirs))
        return cn_home_fail(at->home, CN_E_EXISTS, 0, at->name);
    return cn_contact_check_card(at->home, at->name, &at->contact, theirs);
}

enum cn_err cn_rotation_take(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs, struct cn_card *mine)
{
    struct at at;
    enum cn_err err = at_begin(&at, home, name);

    if (err == CN_OK && !is_pair_now(&at, pair))
        err = CN_E_ABSENT;
    if (err != CN_OK || (at.contact.has_theirs_next && same(theirs, &at.contact.theirs_next)))
        goto out; /* kept already; the answer was lost */
    err = theirs_check(&at, theirs);
    if (err == CN_OK && !at.contact.has_mine_next)
        err = mine_next_make(&at, theirs);
    if (err == CN_OK)
        err = theirs_next_take(&at, theirs);
    at.contact.next_held = false;
    if (err == CN_OK)
        err = cn_contact_store(home, name, &at.contact);
out:
    if (err == CN_OK)
        *mine = at.contact.mine_next;
    at_end(&at);
    return err;
}

enum cn_err cn_rotation_answered(struct cn_home *home, const char *name, const struct cn_pair *pair,
                                 const struct cn_card *mine, const struct cn_card *theirs)
{
    struct at at;
    enum cn_err err = at_begin(&at, home, name);

    if (err == CN_OK && (!is_pair_now(&at, pair) || !at.contact.has_mine_next ||
                         !same(mine, &at.contact.mine_next)))
        err = CN_E_ABSENT;
    if (err == CN_OK && !(at.contact.has_theirs_next && same(theirs, &at.contact.theirs_next))) {
        err = theirs_check(&at, theirs);
        if (err == CN_OK)
            err = theirs_next_take(&at, theirs);
    }
    if (err == CN_OK) {
        at.contact.next_held = true;
        err = cn_contact_store(home, name, &at.contact);
    }
    at_end(&at);
    return err;
}

enum cn_err cn_rotation_held(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs)
{
    struct at at;
    enum cn_err err = at_begin(&at, home, name);

    if (err == CN_OK && (!is_pair_now(&at, pair) || !at.contact.has_theirs_next ||
                         !same(theirs, &at.contact.theirs_next)))
        err = CN_E_ABSENT;
    if (err == CN_OK && !at.contact.next_held) {
        at.contact.next_held = true;
        err = cn_contact_store(home, name, &at.contact);
    }
    at_end(&at);
    return err;
}

/* --- what users do -------------------------------------------------------------------------- */

enum cn_err cn_home_rotate(struct cn_home *home, unsigned rsa_bits)
{
    enum cn_kem kind = rsa_bits == 0 ? CN_KEM_X25519 : cn_kem_rsa_of(rsa_bits);
    struct cn_identities identities = { 0 };
    char path[PATH_MAX];
    int lock;
    enum cn_err err;

    if (kind == CN_KEM_NONE)
        return cn_home_fail(home, CN_E_USAGE, 0, NULL);
    lock = cn_home_lock(home);
    err = settle(home); /* what was interrupted */
    if (err == CN_OK)
        err = cn_home_identities(home, &identities);
    cn_home_path(home, CN_IDENTITY_NEXT_FILE, path);
    if (err == CN_OK && identities.has_next)
        err = cn_home_fail(home, CN_E_EXISTS, 0, path);
    if (err == CN_OK)
        err = cn_home_identity_make(home, CN_IDENTITY_NEXT_FILE, kind);
    if (err == CN_OK)
        (void)settle(home); /* nobody may know the old one */
    cn_home_unlock(lock);
    cn_identities_wipe(&identities);
    return err;
}

static enum cn_err drop_visit(struct cn_home *home, const char *name,
                              const struct cn_contact *contact, void *context)
{
    const struct cn_identities *identities = context;
    struct cn_contact c = *contact;
    enum cn_err err;

    if (!needs_old(identities, contact))
        return CN_OK;
    if (c.has_theirs_next && is_of(&c.mine_next, &identities->next)) {
        cn_contact_promote_next(&c);
    } else {
        cn_contact_drop_next(&c);
        cn_card_wipe(&c.mine);
        c.has_mine = c.verified = false;
    }
    err = c.has_mine || c.has_theirs ? cn_contact_store(home, name, &c)
                                     : cn_contact_unlink(home, name);
    cn_contact_wipe(&c);
    return err;
}

enum cn_err cn_home_rotate_finish(struct cn_home *home)
{
    struct cn_identities identities = { 0 };
    int lock = cn_home_lock(home);
    enum cn_err err = cn_home_identities(home, &identities);

    if (err == CN_OK && !identities.has_next)
        err = cn_home_fail(home, CN_E_ABSENT, 0, CN_IDENTITY_NEXT_FILE);
    if (err == CN_OK)
        err = cn_contact_visit(home, NULL, drop_visit, &identities);
    if (err == CN_OK)
        err = settle(home);
    cn_home_unlock(lock);
    cn_identities_wipe(&identities);
    return err;
}

enum cn_err cn_home_rotation(struct cn_home *home, bool *under_way, const char **kind)
{
    struct cn_identities identities = { 0 };
    enum cn_err err = cn_home_identities(home, &identities);

    if (err != CN_OK)
        return err;
    *under_way = identities.has_next;
    *kind =
        cn_kem_name(identities.has_next ? identities.next.public.kind : identities.now.public.kind);
    cn_identities_wipe(&identities);
    return CN_OK;
}
