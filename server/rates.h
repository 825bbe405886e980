/* rates.h - how many octets each owner may move, and all together: token buckets.
 *
 * A bucket is one number: the time at which all that was promised from it will have come in (GCRA,
 * ITU-T I.371). Who has nothing left asks for a grant and is told from when it counts; what he is
 * promised nobody else gets. So calls that share a rate take turns, each waits just as long as it
 * must, and nobody has to look whether there is something again. */
#ifndef CN_RATES_H
#define CN_RATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { CN_RATES_CLASSES = 256 };

/* When everything that was promised is in: microseconds. Shared memory, if processes share a rate;
 * zeroed at first. */
typedef _Atomic uint64_t cn_bucket;

/* Zeroed at first. */
struct cn_rates {
    cn_bucket *owners;               /* owned: one for each owner number */
    cn_bucket *all;                  /* borrowed */
    uint64_t rate[CN_RATES_CLASSES]; /* octets per second; 0: no limit. May be changed */
    uint64_t rate_all;               /* of all owners together, likewise */
};

/* What may be moved, and from when. */
struct cn_grant {
    uint32_t size; /* octets, 1 or more */
    uint64_t from_ms;
};

/* Owner numbers are below owner_max; nobody is limited yet. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_rates_init(struct cn_rates *rates, uint32_t owner_max, cn_bucket *all);
void cn_rates_wipe(struct cn_rates *rates);

/* Whether owners of this class need grants at all. */
bool cn_rates_limit(const struct cn_rates *rates, uint8_t limits_class);
/* The next 20 ms' worth of an owner's rate, or of that of all, if that is less; less still, while
 * many wait. */
struct cn_grant cn_rates_ask(struct cn_rates *rates, uint32_t owner, uint8_t limits_class,
                             uint64_t now_ms);
/* The rate of all is about to change: nobody waits for what was promised of it, to whichever
 * process, and nothing of that is to be returned to it. Until rate_all is set again there is none.
 */
void cn_rates_forget_all(struct cn_rates *rates, uint64_t now_ms);
/* Of a grant, size octets are not needed after all. The rates are those of when it was asked for.
 */
void cn_rates_return(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, uint32_t size);

#endif
