#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

enum {
    TAIL_SIZE = 320, /* of one subscriber and all that comes behind the last */
    LISTED_MAX = CN_CONTROL_REPLY_SIZE_MAX / 48 /* none takes less */
};

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
    if (!is_running) { /* the calls that it still had have ended with it */
        status->calls.outcome[CN_SWITCH_BROKEN] += page->calls.pairs;
        return;
    }
    status->gate.lines += page->gate.lines;
    status->gate.pending += page->gate.pending;
    status->gate.waiting += page->gate.waiting;
    status->gate.joining += page->gate.joining;
    status->gate.handing += page->gate.handing;
    status->calls.pairs += page->calls.pairs;
    status->calls.pipes += page->calls.pipes;
}

/* One who is listed, to be found by who he is. */
struct place {
    uint64_t who;
    size_t listed;
};

static int by_who(const void *a, const void *b)
{
    const struct place *one = a, *other = b;

    return (one->who > other->who) - (one->who < other->who);
}

/* What these have sent in calls that go on is added: one look at each page, whatever their number.
 */
static void bytes_add(const struct cn_status *status, struct cn_owner *owners, size_t count)
{
    static struct place places[LISTED_MAX];

    for (size_t i = 0; i < count; i++)
        places[i] = (struct place) { owners[i].who, i };
    qsort(places, count, sizeof places[0], by_who);
    for (size_t i = 0; i < status->moving_count; i++) {
        const struct cn_page_map *map = status->moving[i];

        for (uint32_t k = 0; k < cn_page_owners(map); k++) {
            const struct cn_owner owner = map->page->owners[k];
            const struct place key = { .who = owner.who };
            const struct place *found = bsearch(&key, places, count, sizeof places[0], by_who);

            if (owner.lines > 0 && found)
                owners[found->listed].bytes += owner.bytes;
        }
    }
}

/* Those for whom there is no room are counted. */
static void add_subscribers(struct text *t, const struct cn_status *status)
{
    static struct cn_owner listed[LISTED_MAX];
    const struct cn_page_map *map = status->admitting;
    size_t count = 0, fit = 0;
    unsigned all = 0;

    for (uint32_t i = 0; map && i < cn_page_owners(map); i++) {
        const struct cn_owner owner = map->page->owners[i];

        all += owner.lines > 0;
        if (owner.lines > 0 && count < LISTED_MAX)
            listed[count++] = owner;
    }
    bytes_add(status, listed, count);
    add(t, ",\"subscribers\":[");
    for (; fit < count && t->left > TAIL_SIZE; fit++) {
        const struct cn_owner *owner = &listed[fit];

        add(t, "%s{\"serial\":\"%llu\",\"waiting\":%u,\"joined\":%u,\"bytes\":%llu}",
            fit > 0 ? "," : "", (unsigned long long)owner->serial, owner->waiting, owner->joined,
            (unsigned long long)owner->bytes);
    }
    add(t, "],\"subscribers_left_out\":%u", all - (unsigned)fit);
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
