/* tag.h - rendezvous tags: how two lines find each other and nobody else can. PROTOCOL.md 4 */
#ifndef CN_TAG_H
#define CN_TAG_H

#include "admission.h"
#include "pair.h"

enum { CN_TAG_EPOCH_S = 3600, CN_TAG_MARGIN_S = 600, CN_TAG_EPOCH_COUNT_MAX = 2 };

enum cn_service {
    CN_SERVICE_TALK = 1,
    CN_SERVICE_PIPE = 2,
    CN_SERVICE_FILE = 3,
    CN_SERVICE_FORWARD = 4,
    CN_SERVICE_RESUME = 5,      /* no service of its own: a call of any goes on */
    CN_SERVICE_REHANDSHAKE = 6, /* within one; it has no tags */
    CN_SERVICE_COUNT
};

/* "talk", "pipe", "file", "forward", "resume", "rehandshake": as it stands in tags and in h0;
 * static. */
const char *cn_service_name(enum cn_service service);
/* True for services typed alike at both ends, where role A is the caller. */
bool cn_service_symmetric(enum cn_service service);

/* tag = Expand(K_tag, label, service, epoch) */
CN_MUST_USE enum cn_err cn_tag_make(const struct cn_crypto *crypto, const struct cn_tag_key *key,
                                    enum cn_service service, uint64_t epoch,
                                    uint8_t tag[CN_TAG_SIZE]);

/* The epochs to wait under at utc_s: one, or within 10 minutes of a boundary both neighbours,
 * the earlier first. Returns how many. */
size_t cn_tag_epochs(uint64_t utc_s, uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX]);
/* Seconds from utc_s until cn_tag_epochs answers otherwise; 1 or more. */
uint64_t cn_tag_epochs_change_s(uint64_t utc_s);

#endif
