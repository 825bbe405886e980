#include "wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "secret.h"

static const enum cn_service services[] = {
    [CN_CALL_TALK] = CN_SERVICE_TALK,
    [CN_CALL_PIPE] = CN_SERVICE_PIPE,
    [CN_CALL_FILE] = CN_SERVICE_FILE,
    [CN_CALL_FORWARD] = CN_SERVICE_FORWARD,
};

/* --- what is asked for ---------------------------------------------------------------------- */

static bool all_valid(const struct cn_call_want *asked, size_t count)
{
    if (count == 0 || count > CN_CALL_WANTS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!asked[i].contact || asked[i].service < CN_CALL_TALK ||
            asked[i].service > CN_CALL_FORWARD)
            return false;
    }
    return true;
}

static enum cn_err asked_copy(struct cn_wants *wants, const struct cn_call_want *asked,
                              size_t count)
{
    wants->asked = calloc(count, sizeof *wants->asked);
    if (!wants->asked)
        return CN_E_MEMORY;
    for (; wants->asked_count < count; wants->asked_count++) {
        const char *contact = strdup(asked[wants->asked_count].contact);

        if (!contact)
            return CN_E_MEMORY;
        wants->asked[wants->asked_count] = asked[wants->asked_count];
        wants->asked[wants->asked_count].contact = contact;
    }
    return CN_OK;
}

static void asked_free(struct cn_wants *wants)
{
    for (size_t i = 0; i < wants->asked_count; i++)
        free((void *)(uintptr_t)wants->asked[i].contact);
    free(wants->asked);
}

/* --- what that takes ------------------------------------------------------------------------ */

static struct cn_wanted *wanted_add(struct cn_wants *wants, const char *contact,
                                    const struct cn_contact_pairs *pairs, bool next)
{
    struct cn_wanted *wanted = cn_secret_take(sizeof *wanted);

    if (!wanted)
        return NULL;
    snprintf(wanted->contact, sizeof wanted->contact, "%s", contact);
    wanted->link = wants->wanted;
    wanted->verified = pairs->verified;
    wanted->late = !next && pairs->has_next && pairs->next_held;
    wanted->identity = next ? pairs->next_identity : pairs->identity;
    wanted->pair = next ? pairs->next : pairs->now;
    wants->wanted = wanted;
    wants->unlocked |= cn_secret_unlocked(wanted) != 0;
    return wanted;
}

/* The last of that contact; NULL: there is none yet. Who asks has those of one side by side,
 * mostly.
 */
static struct cn_wanted *wanted_find(const struct cn_wants *wants, const char *contact)
{
    struct cn_wanted *at = wants->wanted;

    while (at && strcmp(at->contact, contact) != 0)
        at = at->link;
    return at;
}

static enum cn_err wanted_load(struct cn_wants *wants, struct cn_home *home,
                               const struct cn_fingerprint *fingerprint, const char *contact)
{
    struct cn_contact_pairs pairs;
    enum cn_err err;

    if (wanted_find(wants, contact))
        return CN_OK;
    err = cn_contact_pairs(home, contact, wants->identities, fingerprint, &pairs);
    if (err != CN_OK)
        return err;
    if (!wanted_add(wants, contact, &pairs, false) ||
        (pairs.has_next && !wanted_add(wants, contact, &pairs, true)))
        err = CN_E_MEMORY;
    cn_wipe(&pairs, sizeof pairs);
    return err;
}

static void want_add(struct cn_wants *wants, const struct cn_call_want *asked,
                     struct cn_wanted *wanted)
{
    wants->want[wants->count++] = (struct cn_want) { .pair = &wanted->pair,
                                                     .identity = wanted->identity,
                                                     .service = services[asked->service],
                                                     .caller = asked->caller,
                                                     .late = wanted->late,
                                                     .user = wanted };
}

static enum cn_err want_load(struct cn_wants *wants, struct cn_home *home,
                             const struct cn_fingerprint *fingerprint,
                             const struct cn_call_want *asked)
{
    enum cn_err err = wanted_load(wants, home, fingerprint, asked->contact);
    struct cn_wanted *last;

    if (err != CN_OK)
        return err;
    last = wanted_find(wants, asked->contact);
    want_add(wants, asked, last);
    if (last->link && strcmp(last->link->contact, last->contact) == 0)
        want_add(wants, asked, last->link);
    return CN_OK;
}

static struct timespec contacts_changed(const struct cn_home *home)
{
    char path[PATH_MAX];
    struct stat st;

    cn_home_path(home, CN_CONTACTS_DIRECTORY, path);
    return stat(path, &st) == 0 ? st.st_mtim : (struct timespec) { 0 };
}

static enum cn_err pairs_load(struct cn_wants *wants, struct cn_home *home,
                              const struct cn_fingerprint *fingerprint)
{
    enum cn_err err;

    wants->contacts_at = contacts_changed(home);
    wants->identities = cn_secret_take(sizeof *wants->identities);
    wants->want = calloc(2 * wants->asked_count + 1, sizeof *wants->want);
    if (!wants->identities || !wants->want)
        return CN_E_MEMORY;
    wants->unlocked = cn_secret_unlocked(wants->identities) != 0;
    err = cn_home_identities(home, wants->identities);
    for (size_t i = 0; err == CN_OK && i < wants->asked_count; i++)
        err = want_load(wants, home, fingerprint, &wants->asked[i]);
    return err;
}

static void pairs_wipe(struct cn_wants *wants)
{
    struct cn_wanted *link;

    for (struct cn_wanted *at = wants->wanted; at; at = link) {
        link = at->link;
        cn_secret_give(at, sizeof *at);
    }
    cn_secret_give(wants->identities, sizeof *wants->identities);
    free(wants->want);
}

/* --- both ----------------------------------------------------------------------------------- */

enum cn_err cn_wants_load(struct cn_wants *wants, struct cn_home *home,
                          const struct cn_fingerprint *fingerprint,
                          const struct cn_call_want *asked, size_t count)
{
    enum cn_err err;

    if (!all_valid(asked, count))
        return CN_E_USAGE;
    err = asked_copy(wants, asked, count);
    return err == CN_OK ? pairs_load(wants, home, fingerprint) : err;
}

void cn_wants_wipe(struct cn_wants *wants)
{
    pairs_wipe(wants);
    asked_free(wants);
    *wants = (struct cn_wants) { 0 };
}

static bool wants_equal(const struct cn_wants *a, const struct cn_wants *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct cn_wanted *one = a->want[i].user, *other = b->want[i].user;

        if (memcmp(&one->pair.chain_key, &other->pair.chain_key, sizeof one->pair.chain_key) != 0 ||
            one->late != other->late || one->verified != other->verified)
            return false;
    }
    return true;
}

bool cn_wants_look(struct cn_wants *wants, struct cn_home *home,
                   const struct cn_fingerprint *fingerprint, struct cn_wants *fresh)
{
    const struct timespec now = contacts_changed(home);
    struct cn_wants made = { .asked = wants->asked, .asked_count = wants->asked_count };

    if (now.tv_sec == wants->contacts_at.tv_sec && now.tv_nsec == wants->contacts_at.tv_nsec)
        return false;
    wants->contacts_at = now;
    if (pairs_load(&made, home, fingerprint) != CN_OK || wants_equal(wants, &made)) {
        pairs_wipe(&made);
        return false;
    }
    *fresh = made;
    return true;
}

void cn_wants_replace(struct cn_wants *wants, struct cn_wants *fresh)
{
    pairs_wipe(wants);
    *wants = *fresh;
    *fresh = (struct cn_wants) { 0 };
}

const struct cn_wanted *cn_wants_wanted(const struct cn_want *want)
{
    return want->user;
}

enum cn_call_service cn_wants_service(const struct cn_want *want)
{
    enum cn_call_service service = CN_CALL_TALK;

    while (services[service] != want->service)
        service++;
    return service;
}
