/* contact.h - what contact.c does for others who deal with cards. */
#ifndef CN_CONTACT_H
#define CN_CONTACT_H

#include "contact_file.h"

/* Call visit with every contact but one (NULL: with all), until it answers otherwise than CN_OK. */
typedef enum cn_err cn_contact_visitor(struct cn_home *home, const char *name,
                                       const struct cn_contact *contact, void *context);
CN_MUST_USE enum cn_err cn_contact_visit(struct cn_home *home, const char *but,
                                         cn_contact_visitor *visit, void *context);

/* A card for this contact, of one of the identities, as the preferences say. answers may be NULL.
 * Errors of cn_home_suites and cn_card_create. */
CN_MUST_USE enum cn_err cn_contact_card(struct cn_home *home, const char *name,
                                        const struct cn_identity *identity,
                                        const struct cn_fingerprint *fingerprint,
                                        const struct cn_card *answers, struct cn_card *card);
/* Its file goes. CN_E_ABSENT, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_contact_unlink(struct cn_home *home, const char *name);
/* Whether a card that comes from this contact may be one of its: errors of cn_contact_accept. */
CN_MUST_USE enum cn_err cn_contact_check_card(struct cn_home *home, const char *name,
                                              const struct cn_contact *contact,
                                              const struct cn_card *card);

#endif
