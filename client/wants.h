/* wants.h - what a call waits for: contacts and services, with the pairs that they take. */
#ifndef CN_WANTS_H
#define CN_WANTS_H

#include "home.h"
#include "session.h"

/* A contact that is waited for. */
struct cn_wanted {
    char contact[CN_NAME_SIZE_MAX + 1];
    bool verified;
    struct cn_pair pair;
};

struct cn_wants {
    struct cn_wanted *wanted; /* owned, secret memory: one for each contact */
    size_t wanted_count;
    struct cn_want *want; /* owned: for a session, with the struct cn_wanted as user */
    size_t count;
};

/* Read the contacts' files. asked is not kept. CN_E_USAGE: none, too many, or a bad one;
 * CN_E_MEMORY; errors of cn_contact_pair. */
CN_MUST_USE enum cn_err cn_wants_load(struct cn_wants *wants, struct cn_home *home,
                                      const struct cn_identity *identity,
                                      const struct cn_fingerprint *fingerprint,
                                      const struct cn_call_want *asked, size_t count);
void cn_wants_wipe(struct cn_wants *wants);

const struct cn_wanted *cn_wants_wanted(const struct cn_want *want);
enum cn_call_service cn_wants_service(const struct cn_want *want);

#endif
