/* wants.h - what a call waits for: contacts and services, with the pairs that they take. */
#ifndef CN_WANTS_H
#define CN_WANTS_H

#include <time.h>

#include "home.h"
#include "session.h"

/* A pair that is waited for: of a contact that changes its identity, or with which ours changes,
 * there are two. */
struct cn_wanted {
    struct cn_wanted *link; /* the one before */
    char contact[CN_NAME_SIZE_MAX + 1];
    bool verified;
    bool late; /* the contact has the next pair for sure: this one is for the worst case */
    const struct cn_identity *identity;
    struct cn_pair pair;
};

struct cn_wants {
    struct cn_call_want *asked; /* owned, names too */
    size_t asked_count;
    struct cn_wanted *wanted; /* owned, each in secret memory; the last */
    struct cn_want *want; /* owned: for a session, with the struct cn_wanted as user; there is room
                           * for one more than count */
    size_t count;         /* asked_count, and more if some take two pairs */
    struct cn_identities *identities; /* owned, secret memory: whose pairs they are */
    struct timespec contacts_at;      /* when contacts were changed last, as far as we know */
    bool unlocked;                    /* some of it may be swapped out */
};

/* Read the contacts' files. asked is not kept. CN_E_USAGE: none, too many, or a bad one;
 * CN_E_MEMORY; errors of cn_home_identities and cn_contact_pairs. */
CN_MUST_USE enum cn_err cn_wants_load(struct cn_wants *wants, struct cn_home *home,
                                      const struct cn_fingerprint *fingerprint,
                                      const struct cn_call_want *asked, size_t count);
void cn_wants_wipe(struct cn_wants *wants);
/* Whether the files say something else by now: then *fresh is what they say, for cn_wants_replace.
 * Cheap if no contact has been touched. What cannot be read now has not changed. */
bool cn_wants_look(struct cn_wants *wants, struct cn_home *home,
                   const struct cn_fingerprint *fingerprint, struct cn_wants *fresh);
/* No session may use them any more. */
void cn_wants_replace(struct cn_wants *wants, struct cn_wants *fresh);

const struct cn_wanted *cn_wants_wanted(const struct cn_want *want);
enum cn_call_service cn_wants_service(const struct cn_want *want);

#endif
