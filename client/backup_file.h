/* backup_file.h - what is inside a backup: files of a home, by name. PROTOCOL.md 2.17 */
#ifndef CN_BACKUP_FILE_H
#define CN_BACKUP_FILE_H

#include "home.h"

enum {
    CN_BACKUP_VERSION = 1,
    CN_BACKUP_ENTRY_COUNT_MAX = 8192,
    CN_BACKUP_SIZE_MAX = CN_ARMOR_BACKUP_BODY_SIZE_MAX - 1 - CN_SEAL_OVERHEAD
};

struct cn_backup_entry {
    char name[CN_NAME_SIZE_MAX + sizeof CN_CONTACTS_DIRECTORY "/"];
    const uint8_t *text; /* borrowed */
    size_t text_size;
};

struct cn_backup {
    bool sealed;                     /* the home had a passphrase */
    struct cn_backup_entry *entries; /* owned; names rise */
    size_t entry_count;
};

extern const char cn_backup_label[]; /* under which it is sealed */

/* Whether the file of that name, inside a home, can be used: what cannot is neither put into a
 * backup nor restored. Errors of reading it. */
CN_MUST_USE enum cn_err cn_backup_check(struct cn_home *home, const char *name);

void cn_backup_wipe(struct cn_backup *backup);

/* Octets that it takes, and they; false: too many entries, or too large. */
bool cn_backup_size(const struct cn_backup *backup, size_t *size);
void cn_backup_encode(const struct cn_backup *backup, uint8_t *out);
/* The entries point into body. CN_E_FORMAT: also names that are none of ours, twice, or not in
 * order; CN_E_MEMORY. *backup is untouched on failure. */
CN_MUST_USE enum cn_err cn_backup_decode(struct cn_backup *backup, const uint8_t *body,
                                         size_t body_size);

#endif
