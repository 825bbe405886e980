#include "rates.h"

#include <stdlib.h>

enum {
    GRANTS_PER_S = 50,
    GRANT_US = 1000000 / GRANTS_PER_S,
    GRANT_SIZE_MIN = 512, /* octets: it would not pay to wake up for less */
    BURST_US = 250000     /* of a rate that was not used may pass at once */
};

enum cn_err cn_rates_init(struct cn_rates *rates, uint32_t owner_max, cn_bucket *all)
{
    *rates = (struct cn_rates) { .owners = calloc(owner_max, sizeof *rates->owners), .all = all };
    return rates->owners ? CN_OK : CN_E_MEMORY;
}

void cn_rates_wipe(struct cn_rates *rates)
{
    if (!rates)
        return;
    free(rates->owners);
    *rates = (struct cn_rates) { 0 };
}

bool cn_rates_limit(const struct cn_rates *rates, uint8_t limits_class)
{
    return rates->rate[limits_class] > 0 || rates->rate_all > 0;
}

/* Never more than a quarter of a second's worth, but for the octet that it has to be. The longer
 * the line of those who wait, the less each gets, by the square: so it grows with the cube root of
 * their number only, and a word waits but little behind many who have much to send. */
static uint32_t grant_size(const cn_bucket *bucket, uint64_t rate, uint64_t now_us)
{
    const uint64_t until = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t size = rate / GRANTS_PER_S;

    if (size > UINT32_MAX)
        size = UINT32_MAX;
    if (until > now_us + GRANT_US)
        size = size * GRANT_US / (until - now_us) * GRANT_US / (until - now_us);
    if (size < GRANT_SIZE_MIN)
        size = rate / 4 < GRANT_SIZE_MIN ? rate / 4 : GRANT_SIZE_MIN;
    return size > 0 ? (uint32_t)size : 1;
}

/* Promise size octets; from when they count: microseconds. */
static uint64_t promise(cn_bucket *bucket, uint64_t rate, uint32_t size, uint64_t now_us)
{
    uint64_t before = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t from;

    do {
        from = before + BURST_US < now_us ? now_us - BURST_US : before;
    } while (!atomic_compare_exchange_weak_explicit(bucket, &before,
                                                    from + (uint64_t)size * 1000000 / rate,
                                                    memory_order_relaxed, memory_order_relaxed));
    return from;
}

struct cn_grant cn_rates_ask(struct cn_rates *rates, uint32_t owner, uint8_t limits_class,
                             uint64_t now_ms)
{
    const uint64_t own = rates->rate[limits_class], all = rates->rate_all, now_us = now_ms * 1000;
    struct cn_grant grant = { UINT32_MAX, now_ms };
    uint64_t from_us = 0;

    if (own > 0)
        grant.size = grant_size(&rates->owners[owner], own, now_us);
    if (all > 0) {
        uint32_t size = grant_size(rates->all, all, now_us);

        if (size < grant.size)
            grant.size = size;
    }
    if (own > 0)
        from_us = promise(&rates->owners[owner], own, grant.size, now_us);
    if (all > 0) {
        uint64_t all_us = promise(rates->all, all, grant.size, now_us);

        if (all_us > from_us)
            from_us = all_us;
    }
    if (from_us > now_us)
        grant.from_ms = (from_us + 999) / 1000;
    return grant;
}

void cn_rates_forget_all(struct cn_rates *rates, uint64_t now_ms)
{
    uint64_t before = atomic_load_explicit(rates->all, memory_order_relaxed);

    /* each process does it in its turn, so none may give what was not used, which comes once */
    while (before > now_ms * 1000 &&
           !atomic_compare_exchange_weak_explicit(rates->all, &before, now_ms * 1000,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    rates->rate_all = 0;
}

static void take_back(cn_bucket *bucket, uint64_t rate, uint32_t size)
{
    uint64_t before = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t less = (uint64_t)size * 1000000 / rate;

    while (!atomic_compare_exchange_weak_explicit(bucket, &before,
                                                  before > less ? before - less : 0,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void cn_rates_return(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, uint32_t size)
{
    if (rates->rate[limits_class] > 0)
        take_back(&rates->owners[owner], rates->rate[limits_class], size);
    if (rates->rate_all > 0)
        take_back(rates->all, rates->rate_all, size);
}
