/* contact_file.h - a contact as it is kept: a file with both cards verbatim. PROTOCOL.md 2.11 */
#ifndef CN_CONTACT_FILE_H
#define CN_CONTACT_FILE_H

#include "card.h"
#include "home.h"

enum {
    CN_CONTACT_VERSION = 1,
    CN_CONTACT_VERSION_MOVING = 2, /* with what comes next */
    /* four cards; none has more than 2405 octets, whatever it says */
    CN_CONTACT_BODY_SIZE_MAX = CN_ARMOR_BODY_SIZE_MAX,
    CN_CONTACT_FILE_SIZE_MAX = sizeof "contacts/" + CN_NAME_SIZE_MAX /* of its name, with NUL */
};

struct cn_contact {
    bool has_mine;
    bool has_theirs;
    bool verified; /* never without both */
    struct cn_card mine;
    struct cn_card theirs;
    /* of the pair that comes next, while one of the two changes its identity; never without the two
     * above, and theirs never without mine */
    bool has_mine_next;
    bool has_theirs_next;
    bool next_held; /* by the contact, too: both of them */
    struct cn_card mine_next;
    struct cn_card theirs_next;
};

void cn_contact_wipe(struct cn_contact *contact);
/* The cards of the pair that would come next are of no use any more. */
void cn_contact_drop_next(struct cn_contact *contact);
/* They are the contact's only ones from now on. */
void cn_contact_promote_next(struct cn_contact *contact);

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
