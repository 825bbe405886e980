#include "wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"

static const enum cn_service services[] = {
    [CN_CALL_TALK] = CN_SERVICE_TALK,
    [CN_CALL_PIPE] = CN_SERVICE_PIPE,
    [CN_CALL_FILE] = CN_SERVICE_FILE,
    [CN_CALL_FORWARD] = CN_SERVICE_FORWARD,
};

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

/* The last before i with the same contact; i: there is none. Whoever asks has those of one contact
 * side by side, mostly. */
static size_t same_before(const struct cn_call_want *asked, size_t i)
{
    for (size_t k = i; k-- > 0;) {
        if (strcmp(asked[k].contact, asked[i].contact) == 0)
            return k;
    }
    return i;
}

static size_t contact_count(const struct cn_call_want *asked, size_t count)
{
    size_t contacts = 0;

    for (size_t i = 0; i < count; i++)
        contacts += same_before(asked, i) == i;
    return contacts;
}

static enum cn_err wanted_load(struct cn_wanted *wanted, struct cn_home *home,
                               const struct cn_identity *identity,
                               const struct cn_fingerprint *fingerprint, const char *contact)
{
    snprintf(wanted->contact, sizeof wanted->contact, "%s", contact);
    return cn_contact_pair(home, contact, identity, fingerprint, &wanted->pair, &wanted->verified);
}

enum cn_err cn_wants_load(struct cn_wants *wants, struct cn_home *home,
                          const struct cn_identity *identity,
                          const struct cn_fingerprint *fingerprint,
                          const struct cn_call_want *asked, size_t count)
{
    enum cn_err err = CN_OK;

    if (!all_valid(asked, count))
        return CN_E_USAGE;
    wants->wanted_count = contact_count(asked, count);
    wants->wanted = cn_secret_take(wants->wanted_count * sizeof *wants->wanted);
    wants->want = calloc(count, sizeof *wants->want);
    wants->count = count;
    if (!wants->wanted || !wants->want)
        return CN_E_MEMORY;
    for (size_t i = 0, next = 0; err == CN_OK && i < count; i++) {
        const size_t same = same_before(asked, i);
        struct cn_wanted *wanted = same < i ? wants->want[same].user : &wants->wanted[next++];

        if (same == i)
            err = wanted_load(wanted, home, identity, fingerprint, asked[i].contact);
        wants->want[i] =
            (struct cn_want) { &wanted->pair, services[asked[i].service], asked[i].caller, wanted };
    }
    return err;
}

void cn_wants_wipe(struct cn_wants *wants)
{
    cn_secret_give(wants->wanted, wants->wanted_count * sizeof *wants->wanted);
    free(wants->want);
    *wants = (struct cn_wants) { 0 };
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
