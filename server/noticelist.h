/* noticelist.h - the operator's notices that the gate has to deliver. PROTOCOL.md 2.12, 3.2
 *
 * The gate does not look into them: for whom each is, and what it would be good for, is told beside
 * it. */
#ifndef CN_NOTICELIST_H
#define CN_NOTICELIST_H

#include "notice.h"

enum { CN_NOTICE_COUNT_MAX = 100000 }; /* some 30 MB */

/* For one subscriber. */
struct cn_held_notice {
    uint8_t admission_key[CN_X25519_SIZE];
    uint64_t number;
    uint64_t serial; /* of the certificate in it: who has it needs it no more; 0: none */
    uint16_t size;
    uint8_t octets[CN_NOTICE_RENEWAL_SIZE];
};

/* For everybody. */
struct cn_common_notice {
    uint64_t number;
    uint16_t size; /* 0: there is none */
    uint8_t octets[CN_NOTICE_COMMON_SIZE_MAX];
};

struct cn_noticelist {
    struct cn_held_notice *by_key; /* owned */
    size_t count;
    struct cn_common_notice common;
};

/* Copies all, instead of any before. CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_noticelist_set(struct cn_noticelist *list,
                                          const struct cn_held_notice *held, size_t count,
                                          const struct cn_common_notice *common);
void cn_noticelist_wipe(struct cn_noticelist *list);

/* What the holder of this certificate is to be told, in the order of numbers; its size. */
size_t cn_noticelist_pick(const struct cn_noticelist *list, const struct cn_certificate *holder,
                          uint8_t out[CN_NOTICE_SIZE_MAX]);

#endif
