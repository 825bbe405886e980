#include "status.h"

#include <stdarg.h>
#include <stdio.h>

enum { TAIL_SIZE = 320 }; /* of one subscriber and all that comes behind the last */

/* Text being put together; what does not fit is left out. */
struct text {
    char *at;
    size_t left;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= t->left) {
        *t->at = '\0';
        return;
    }
    t->at += size;
    t->left -= (size_t)size;
}

void cn_status_add(struct cn_status *status, const struct cn_page *page, bool is_running)
{
    for (int i = 0; i < CN_GATE_COUNT_COUNT; i++)
        status->gate.count[i] += page->gate.count[i];
    status->calls.pairs_total += page->calls.pairs_total;
    status->calls.bytes_total += page->calls.bytes_total;
    for (int i = 0; i < CN_SWITCH_OUTCOME_COUNT; i++)
        status->calls.outcome[i] += page->calls.outcome[i];
    if (!is_running)
        return;
    status->gate.lines += page->gate.lines;
    status->gate.pending += page->gate.pending;
    status->gate.waiting += page->gate.waiting;
    status->gate.joining += page->gate.joining;
    status->gate.handing += page->gate.handing;
    status->calls.pairs += page->calls.pairs;
    status->calls.pipes += page->calls.pipes;
}

/* What somebody has sent in calls that go on. */
static uint64_t bytes_of(const struct cn_status *status, uint64_t who)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < status->moving_count; i++) {
        const struct cn_page_map *map = status->moving[i];

        for (uint32_t k = 0; k < map->owner_max; k++) {
            if (map->page->owners[k].lines > 0 && map->page->owners[k].who == who)
                bytes += map->page->owners[k].bytes;
        }
    }
    return bytes;
}

/* Those for whom there is no room are counted. */
static void add_subscribers(struct text *t, const struct cn_status *status)
{
    const struct cn_page_map *map = status->admitting;
    unsigned left_out = 0;
    const char *comma = "";

    add(t, ",\"subscribers\":[");
    for (uint32_t i = 0; map && i < map->owner_max; i++) {
        const struct cn_owner owner = map->page->owners[i];
        uint64_t bytes;

        if (owner.lines == 0)
            continue;
        if (t->left > TAIL_SIZE) {
            bytes = owner.bytes + bytes_of(status, owner.who);
            add(t, "%s{\"serial\":\"%llu\",\"waiting\":%u,\"joined\":%u,\"bytes\":%llu}", comma,
                (unsigned long long)owner.serial, owner.waiting, owner.joined,
                (unsigned long long)bytes);
        } else {
            left_out++;
        }
        comma = ",";
    }
    add(t, "],\"subscribers_left_out\":%u", left_out);
}

static void add_workers(struct text *t, const struct cn_status *s)
{
    add(t, ",\"worker_list\":[");
    for (uint32_t i = 0; i < s->workers && i < CN_STATUS_WORKERS_MAX && t->left > TAIL_SIZE; i++) {
        const struct cn_status_worker *w = &s->worker[i];

        add(t,
            "%s{\"number\":%u,\"draining\":%s,\"calls\":%u,\"calls_total\":%llu,\"bytes\":%llu,"
            "\"bytes_per_s\":%llu,\"pipes\":%u}",
            i > 0 ? "," : "", w->number, w->draining ? "true" : "false", w->calls.pairs,
            (unsigned long long)w->calls.pairs_total, (unsigned long long)w->calls.bytes_total,
            (unsigned long long)w->bytes_per_s, w->calls.pipes);
    }
    add(t, "]");
}

void cn_status_write(const struct cn_status *s, uint64_t uptime_s, char *reply, size_t size)
{
    struct text t = { reply, size };

    add(&t,
        "{\"v\":1,\"event\":\"status\",\"running\":true,\"uptime_s\":%llu,\"pending\":%u,"
        "\"waiting\":%u,\"joining\":%u,\"calls\":%u,\"calls_total\":%llu,\"bytes\":%llu,"
        "\"pipes\":%u,\"workers\":%u,\"gate_restarts\":%llu,\"worker_restarts\":%llu,"
        "\"metrics_restarts\":%llu,\"bytes_per_s\":%llu,\"admitted_per_s\":%llu,"
        "\"joined_per_s\":%llu",
        (unsigned long long)uptime_s, s->gate.pending, s->gate.waiting, s->gate.joining,
        s->calls.pairs, (unsigned long long)s->calls.pairs_total,
        (unsigned long long)s->calls.bytes_total, s->calls.pipes, s->workers,
        (unsigned long long)s->gate_restarts, (unsigned long long)s->worker_restarts,
        (unsigned long long)s->metrics_restarts, (unsigned long long)s->bytes_per_s,
        (unsigned long long)s->admitted_per_s, (unsigned long long)s->joined_per_s);
    for (int i = 0; i < CN_GATE_COUNT_COUNT; i++)
        add(&t, ",\"%s\":%llu", cn_gate_count_name((enum cn_gate_count)i),
            (unsigned long long)s->gate.count[i]);
    for (int i = 0; i < CN_SWITCH_OUTCOME_COUNT; i++)
        add(&t, ",\"ended_%s\":%llu", cn_switch_outcome_name((enum cn_switch_outcome)i),
            (unsigned long long)s->calls.outcome[i]);
    add_workers(&t, s);
    add_subscribers(&t, s);
    add(&t, "}");
}
