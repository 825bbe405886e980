/* blocklist.h - whom the gate refuses: certificates by serial, and their holders.
 * PROTOCOL.md 3.2 */
#ifndef CN_BLOCKLIST_H
#define CN_BLOCKLIST_H

#include "admission.h"

/* A certificate whose holder is to be refused, and his joined lines cut. */
struct cn_blocked {
    uint64_t serial;
    uint8_t admission_key[CN_X25519_SIZE];
    uint64_t who;           /* who.h; of the admission key */
    enum cn_verdict reason; /* CN_VERDICT_REVOKED or CN_VERDICT_SUSPENDED */
};

struct cn_blocklist {
    struct cn_blocked *by_serial; /* owned */
    struct cn_blocked *by_who;    /* owned; the same in another order */
    size_t count;
};

/* Copies the list, instead of any before. CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_blocklist_set(struct cn_blocklist *list,
                                         const struct cn_blocked *blocked, size_t count);
void cn_blocklist_wipe(struct cn_blocklist *list);

/* By the serial, else by the holder, since a certificate may be one that the registry does not
 * know; NULL: not blocked. Lives until the list changes. */
const struct cn_blocked *cn_blocklist_find(const struct cn_blocklist *list, uint64_t serial,
                                           uint64_t who);

#endif
