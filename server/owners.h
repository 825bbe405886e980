/* owners.h - what is counted for each subscriber who has a line: a fixed table with open
 * addressing, whose index is his number within the process.
 *
 * Between processes a subscriber is `who`: 64 bits that only the gates can tell from his admission
 * key (gate.h), so that a switch worker knows calls of the same subscriber and nothing of him. */
#ifndef CN_OWNERS_H
#define CN_OWNERS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define CN_OWNER_NONE UINT32_MAX

/* A subscriber with at least one line. */
struct cn_owner {
    uint64_t who;
    uint64_t serial;  /* of a certificate of his */
    uint64_t bytes;   /* that he sent: a worker counts those of calls, a gate those of ended ones */
    uint32_t lines;   /* of any state: while more than 0 the number is taken */
    uint32_t waiting; /* lines that count against the limit */
    uint32_t tags;    /* of those lines, likewise */
    uint32_t lists;   /* of entries of which more are to come, likewise */
    uint32_t joined;
    uint8_t limits_class;
};

struct cn_owners {
    struct cn_owner *at; /* [count_max], of the caller: others may read it, see page.h */
    uint32_t count_max;
    uint32_t *slots;     /* owned: hash table of index + 1; 0: empty */
    uint32_t slot_count; /* a power of two */
    uint32_t *free;      /* owned: stack of numbers that were given back */
    uint32_t free_count;
    uint32_t fresh; /* numbers from here on were never taken, nor their owners touched */
};

/* at: count_max zeroed owners, which outlive the table. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_owners_init(struct cn_owners *owners, struct cn_owner *at,
                                       uint32_t count_max);
void cn_owners_wipe(struct cn_owners *owners);

/* The number of this subscriber, with one line more; CN_OWNER_NONE: the table is full. */
uint32_t cn_owners_take(struct cn_owners *owners, uint64_t who, uint64_t serial);
/* One line fewer; at none the number is free again. */
void cn_owners_give(struct cn_owners *owners, uint32_t number);
/* CN_OWNER_NONE: has no line. */
uint32_t cn_owners_find(const struct cn_owners *owners, uint64_t who);

#endif
