/* contact_file.h - a contact as it is kept: a file with both cards verbatim. PROTOCOL.md 2.11 */
#ifndef CN_CONTACT_FILE_H
#define CN_CONTACT_FILE_H

#include "card.h"
#include "home.h"

enum {
    CN_CONTACT_VERSION = 1,
    CN_CONTACT_BODY_SIZE_MAX = 1 + 1 + 2 + 2 + 2 * CN_CARD_BODY_SIZE_MAX,
    CN_CONTACT_FILE_SIZE_MAX = sizeof "contacts/" + CN_NAME_SIZE_MAX /* of its name, with NUL */
};

struct cn_contact {
    bool has_mine;
    bool has_theirs;
    bool verified; /* never without both */
    struct cn_card mine;
    struct cn_card theirs;
};

void cn_contact_wipe(struct cn_contact *contact);

/* body holds CN_CONTACT_BODY_SIZE_MAX octets; returns how many are used. */
size_t cn_contact_encode(const struct cn_contact *contact, uint8_t *body);
/* CN_E_VERSION, CN_E_FORMAT, CN_E_KEY. *contact is untouched on failure. */
CN_MUST_USE enum cn_err cn_contact_decode(struct cn_contact *contact,
                                          const struct cn_crypto *crypto, const uint8_t *body,
                                          size_t body_size);

/* Its file, inside the data directory. name must be valid. */
void cn_contact_file(const char *name, char out[CN_CONTACT_FILE_SIZE_MAX]);
/* Errors of reading files; CN_E_NAME; CN_E_ABSENT: there is none. All are remembered, and leave
 * *contact empty. */
CN_MUST_USE enum cn_err cn_contact_load(struct cn_home *home, const char *name,
                                        struct cn_contact *contact);
/* Makes or replaces the file. Errors of writing files. */
CN_MUST_USE enum cn_err cn_contact_store(struct cn_home *home, const char *name,
                                         const struct cn_contact *contact);

#endif
