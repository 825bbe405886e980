#include "status.h"

#include <stdarg.h>
#include <stdio.h>

enum { TAIL_SIZE = 256 }; /* of one subscriber and all that comes behind the last */

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

/* Those for whom there is no room are counted. */
static void add_subscribers(struct text *t, const struct cn_gate *gate)
{
    uint32_t number = 0, waiting, joined;
    uint64_t serial, bytes;
    unsigned left_out = 0;
    const char *comma = "";

    add(t, ",\"subscribers\":[");
    while (cn_gate_next_owner(gate, &number, &serial, &waiting, &joined, &bytes)) {
        if (t->left > TAIL_SIZE)
            add(t, "%s{\"serial\":\"%llu\",\"waiting\":%u,\"joined\":%u,\"bytes\":%llu}", comma,
                (unsigned long long)serial, waiting, joined, (unsigned long long)bytes);
        else
            left_out++;
        comma = ",";
    }
    add(t, "],\"subscribers_left_out\":%u", left_out);
}

void cn_status_write(const struct cn_gate *gate, uint64_t uptime_s, char *reply, size_t size)
{
    static const char *const outcomes[CN_SWITCH_OUTCOME_COUNT] = {
        [CN_SWITCH_DONE] = "done",       [CN_SWITCH_BROKEN] = "broken", [CN_SWITCH_IDLE] = "idle",
        [CN_SWITCH_STALLED] = "stalled", [CN_SWITCH_CUT] = "cut",
    };
    struct text t = { reply, size };
    struct cn_gate_status s;

    cn_gate_status(gate, &s);
    add(&t,
        "{\"v\":1,\"event\":\"status\",\"running\":true,\"uptime_s\":%llu,\"pending\":%u,"
        "\"waiting\":%u,\"joining\":%u,\"calls\":%u,\"calls_total\":%llu,\"bytes\":%llu,"
        "\"pipes\":%u",
        (unsigned long long)uptime_s, s.pending, s.waiting, s.joining, s.calls.pairs,
        (unsigned long long)s.calls.pairs_total, (unsigned long long)s.calls.bytes_total,
        s.calls.pipes);
    for (int i = 0; i < CN_GATE_COUNT_COUNT; i++)
        add(&t, ",\"%s\":%llu", cn_gate_count_name((enum cn_gate_count)i),
            (unsigned long long)s.count[i]);
    for (int i = 0; i < CN_SWITCH_OUTCOME_COUNT; i++)
        add(&t, ",\"ended_%s\":%llu", outcomes[i], (unsigned long long)s.calls.outcome[i]);
    add_subscribers(&t, gate);
    add(&t, "}");
}
