/* rotation.h - from one identity to the next, contact by contact: what becomes of the files. The
 * cards themselves go through calls, handing.h. PROTOCOL.md 7.6
 *
 * At every moment both ends have a pair in common: a new one is on both disks before either end
 * stops to wait under the old one. pair is that of the call in which something is said; if it is
 * not the contact's any more, nothing is done: CN_E_ABSENT. All of these take the home's lock;
 * failures are remembered. */
#ifndef CN_ROTATION_H
#define CN_ROTATION_H

#include "contact_file.h"

/* A call is open on this pair. If it is the next one, it is the contact's only one from now on:
 * *moved. *due: my next card is to be handed over, in *card. */
CN_MUST_USE enum cn_err cn_rotation_opened(struct cn_home *home, const char *name,
                                           const struct cn_pair *pair, bool *moved,
                                           struct cn_card *card, bool *due);
/* The contact's next card came: keep it, and answer with mine. The errors of cn_contact_accept. */
CN_MUST_USE enum cn_err cn_rotation_take(struct cn_home *home, const char *name,
                                         const struct cn_pair *pair, const struct cn_card *theirs,
                                         struct cn_card *mine);
/* The answer to mine came: who answers has kept both. */
CN_MUST_USE enum cn_err cn_rotation_answered(struct cn_home *home, const char *name,
                                             const struct cn_pair *pair, const struct cn_card *mine,
                                             const struct cn_card *theirs);
/* The contact has kept the answer. */
CN_MUST_USE enum cn_err cn_rotation_held(struct cn_home *home, const char *name,
                                         const struct cn_pair *pair, const struct cn_card *theirs);

/* A contact is gone: if no other needs the old identity, that goes, too. The home is locked. */
void cn_rotation_settle(struct cn_home *home);

/* How far a contact has come. */
enum cn_contact_moving cn_rotation_moving(const struct cn_identities *identities,
                                          const struct cn_contact *contact);

#endif
