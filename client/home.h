/* home.h - what the library's own files need of a home. The rest is in <cyphernet.h>. */
#ifndef CN_HOME_H
#define CN_HOME_H

#include <cyphernet.h>

#include "env.h"
#include "fingerprint.h"
#include "identity.h"
#include "pair.h"

/* Borrowed for the life of the home. */
const struct cn_crypto *cn_home_crypto(const struct cn_home *home);
const struct cn_random *cn_home_random(const struct cn_home *home);

/* Remember what a failure is about; about may be NULL. Returns err. */
enum cn_err cn_home_fail(struct cn_home *home, enum cn_err err, int system_error,
                         const char *about);

/* Read from the files, whole and checked, into structs that the caller wipes. Errors as in
 * <cyphernet.h>; CN_E_ABSENT: there is none. */
CN_MUST_USE enum cn_err cn_home_fingerprint(struct cn_home *home,
                                            struct cn_fingerprint *fingerprint);
CN_MUST_USE enum cn_err cn_home_identity(struct cn_home *home, struct cn_identity *identity);
/* CN_E_ABSENT: no such contact, or not both cards are there. */
CN_MUST_USE enum cn_err cn_contact_pair(struct cn_home *home, const char *name,
                                        struct cn_pair *pair, bool *verified);

#endif
