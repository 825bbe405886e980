/* notices.h - the notices in the registry, and what an operator elsewhere has sent. They are kept
 * in the registry, and the errors are those of registry.h. PROTOCOL.md 2.12, 2.13 */
#ifndef CN_NOTICES_H
#define CN_NOTICES_H

#include "blocklist.h"
#include "noticelist.h"

struct cn_registry;

/* The number of the last notice or list that was issued here or imported; 0: none yet. */
CN_MUST_USE enum cn_err cn_notices_number(struct cn_registry *registry, uint64_t *number);
/* The next one: the time, or one more than the last. Best inside a transaction. */
CN_MUST_USE enum cn_err cn_notices_number_next(struct cn_registry *registry, uint64_t now,
                                               uint64_t *number);

/* One for a subscriber, or (size 0: no more) for everybody, in place of any before. */
CN_MUST_USE enum cn_err cn_notices_hold(struct cn_registry *registry,
                                        const struct cn_held_notice *notice);
CN_MUST_USE enum cn_err cn_notices_hold_common(struct cn_registry *registry,
                                               const struct cn_common_notice *notice);

/* All that are held for subscribers who are not blocked, in the order of admission keys, the newest
 * CN_NOTICE_COUNT_MAX if there are more; and the one for everybody. *held is the caller's to
 * free(). */
CN_MUST_USE enum cn_err cn_notices_read(struct cn_registry *registry, struct cn_held_notice **held,
                                        size_t *count, struct cn_common_notice *common);

/* What an operator elsewhere has sent, in place of what he sent before. CN_E_KNOWN: that was newer,
 * and nothing has changed. */
struct cn_imported {
    uint64_t number;
    const struct cn_blocked *blocked; /* borrowed */
    size_t blocked_count;
    const struct cn_held_notice *held; /* borrowed */
    size_t held_count;
    struct cn_common_notice common;
};

CN_MUST_USE enum cn_err cn_notices_import(struct cn_registry *registry,
                                          const struct cn_imported *imported);

#endif
