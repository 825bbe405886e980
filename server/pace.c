#include "pace.h"

#include <sched.h>

static bool is_recent(uint64_t then_ms, uint64_t now_ms)
{
    return then_ms > 0 && now_ms < then_ms + CN_PACE_MS;
}

bool cn_pace_is_bulk(uint64_t bulk_ms, uint64_t now_ms)
{
    return is_recent(bulk_ms, now_ms);
}

void cn_pace_moved(struct cn_pace *pace, uint64_t *bulk_ms, size_t size, uint64_t now_ms)
{
    if (size >= CN_PACE_BULK_SIZE)
        *bulk_ms = pace->bulk_ms = now_ms;
    else if (size > 0 && !cn_pace_is_bulk(*bulk_ms, now_ms)) /* else what answers bulk: windows */
        pace->talk_ms = now_ms;
}

void cn_pace_tell(struct cn_pace *pace, uint64_t now_ms)
{
    const struct sched_param none = { 0 };
    bool batch = is_recent(pace->bulk_ms, now_ms) && !is_recent(pace->talk_ms, now_ms);

    if (batch == pace->is_batch)
        return;
    pace->is_batch = batch;
    /* a policy that somebody else chose stays */
    if (batch)
        pace->is_told =
            sched_getscheduler(0) == SCHED_OTHER && sched_setscheduler(0, SCHED_BATCH, &none) == 0;
    else if (pace->is_told)
        (void)sched_setscheduler(0, SCHED_OTHER, &none);
}
