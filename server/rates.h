/* rates.h - how many octets each owner may still move: a token bucket for each number. */
#ifndef CN_RATES_H
#define CN_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { CN_RATES_CLASSES = 256 };

/* Zeroed at first. */
struct cn_rates {
    struct cn_bucket *buckets;       /* owned: one for each owner number */
    uint64_t rate[CN_RATES_CLASSES]; /* octets per second; 0: no limit. May be changed */
};

/* Owner numbers are below owner_max; nobody is limited yet. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_rates_init(struct cn_rates *rates, uint32_t owner_max);
void cn_rates_wipe(struct cn_rates *rates);

/* How many octets an owner may move now; SIZE_MAX: no limit. */
size_t cn_rates_left(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, uint64_t now_ms);
/* It has moved so many. */
void cn_rates_spend(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, size_t size);

#endif
