#include "rates.h"

#include <stdlib.h>

enum { BURST_MS = 250 }; /* of an owner's rate may pass at once */

struct cn_bucket {
    uint64_t tokens; /* thousandths of an octet, so that the slowest rate comes to something */
    uint64_t filled_ms;
};

enum cn_err cn_rates_init(struct cn_rates *rates, uint32_t owner_max)
{
    *rates = (struct cn_rates) { .buckets = calloc(owner_max, sizeof *rates->buckets) };
    return rates->buckets ? CN_OK : CN_E_MEMORY;
}

void cn_rates_wipe(struct cn_rates *rates)
{
    if (!rates)
        return;
    free(rates->buckets);
    *rates = (struct cn_rates) { 0 };
}

size_t cn_rates_left(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, uint64_t now_ms)
{
    struct cn_bucket *b = &rates->buckets[owner];
    uint64_t full = rates->rate[limits_class] * BURST_MS + 1000;
    uint64_t since_ms = now_ms - b->filled_ms;

    if (rates->rate[limits_class] == 0)
        return SIZE_MAX;
    if (since_ms > 1000)
        since_ms = 1000;
    b->tokens += rates->rate[limits_class] * since_ms;
    b->filled_ms = now_ms;
    if (b->tokens > full)
        b->tokens = full;
    return b->tokens / 1000;
}

void cn_rates_spend(struct cn_rates *rates, uint32_t owner, uint8_t limits_class, size_t size)
{
    struct cn_bucket *b = &rates->buckets[owner];
    uint64_t spent = (uint64_t)size * 1000;

    if (rates->rate[limits_class] > 0)
        b->tokens -= spent < b->tokens ? spent : b->tokens;
}
