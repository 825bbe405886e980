#include "exposition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t used;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(t->out + t->used, CN_EXPOSITION_SIZE_MAX - t->used, format, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < CN_EXPOSITION_SIZE_MAX - t->used);
    t->used += (size_t)size;
}

/* What begins a metric; the samples come next. */
static void begin(struct text *t, const char *name, const char *type, const char *help)
{
    add(t, "# HELP cyphernet_%s %s\n# TYPE cyphernet_%s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, uint64_t value,
                const char *help)
{
    begin(t, name, type, help);
    add(t, "cyphernet_%s %" PRIu64 "\n", name, value);
}

static void labelled(struct text *t, const char *name, const char *label, const char *word,
                     uint64_t value)
{
    add(t, "cyphernet_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, word, value);
}

/* Counters of the gate that are one metric, with the end of their name as the reason. */
static void reasons(struct text *t, const struct cn_status *s, const char *name,
                    const enum cn_gate_count *counts, size_t count, const char *prefix)
{
    for (size_t i = 0; i < count; i++)
        labelled(t, name, "reason", cn_gate_count_name(counts[i]) + strlen(prefix),
                 s->gate.count[counts[i]]);
}

static void rejected(struct text *t, const struct cn_status *s)
{
    static const enum cn_gate_count counts[] = { CN_GATE_DROPPED_PENDING, CN_GATE_DROPPED_ADDRESS,
                                                 CN_GATE_BAD_HELLO, CN_GATE_HELLO_TIMEOUT };

    begin(t, "connections_rejected_total", "counter",
          "Connections closed before they were admitted, without a word.");
    reasons(t, s, "connections_rejected_total", counts, sizeof counts / sizeof counts[0], "");
}

static void refused(struct text *t, const struct cn_status *s)
{
    static const enum cn_gate_count counts[] = { CN_GATE_REFUSED_EXPIRED,
                                                 CN_GATE_REFUSED_NOT_YET_VALID,
                                                 CN_GATE_REFUSED_REVOKED, CN_GATE_REFUSED_SUSPENDED,
                                                 CN_GATE_REFUSED_OVER_LIMIT };

    begin(t, "admissions_refused_total", "counter",
          "Subscribers who were told that they are not admitted, or not any more.");
    reasons(t, s, "admissions_refused_total", counts, sizeof counts / sizeof counts[0], "refused_");
}

static void closed(struct text *t, const struct cn_status *s)
{
    static const enum cn_gate_count counts[] = {
        CN_GATE_BAD_MESSAGE,  CN_GATE_REPLACED,      CN_GATE_OVERDUE,
        CN_GATE_WAITED_OUT,   CN_GATE_READY_TIMEOUT, CN_GATE_PROLOGUE_TIMEOUT,
        CN_GATE_BAD_PROLOGUE, CN_GATE_LOST,          CN_GATE_CUT
    };

    begin(t, "lines_closed_total", "counter", "Admitted lines that ended before a call.");
    reasons(t, s, "lines_closed_total", counts, sizeof counts / sizeof counts[0], "");
}

static void gate(struct text *t, const struct cn_status *s)
{
    one(t, "connections_accepted_total", "counter", s->gate.count[CN_GATE_ACCEPTED],
        "Connections accepted.");
    rejected(t, s);
    one(t, "lines_admitted_total", "counter", s->gate.count[CN_GATE_ADMITTED], "Lines admitted.");
    refused(t, s);
    closed(t, s);
    one(t, "lines_joined_total", "counter", s->gate.count[CN_GATE_JOINED],
        "Matches made between two waiting lines.");
    begin(t, "lines", "gauge", "Lines at the gate now.");
    labelled(t, "lines", "state", "pending", s->gate.pending);
    labelled(t, "lines", "state", "waiting", s->gate.waiting);
    labelled(t, "lines", "state", "joining", s->gate.joining);
    one(t, "lines_limit", "gauge", s->lines_max, "Lines for which there is room, calls too.");
    one(t, "admitting", "gauge", s->admits, "Whether there is a gate that admits.");
}

static void calls(struct text *t, const struct cn_status *s)
{
    one(t, "calls", "gauge", s->calls.pairs, "Calls now.");
    one(t, "calls_started_total", "counter", s->calls.pairs_total, "Calls so far.");
    begin(t, "calls_ended_total", "counter", "Calls that have ended, and how.");
    for (int i = 0; i < CN_SWITCH_OUTCOME_COUNT; i++)
        labelled(t, "calls_ended_total", "outcome",
                 cn_switch_outcome_name((enum cn_switch_outcome)i), s->calls.outcome[i]);
    one(t, "relayed_bytes_total", "counter", s->calls.bytes_total, "Octets moved in calls.");
    one(t, "pipes", "gauge", s->calls.pipes, "Pipes lent to calls now.");
}

/* One metric with a sample for each worker that runs; value() of it. */
static void of_workers(struct text *t, const struct cn_status *s, const char *name,
                       const char *type, uint64_t (*value)(const struct cn_status_worker *),
                       const char *help)
{
    begin(t, name, type, help);
    for (uint32_t i = 0; i < s->workers; i++)
        add(t, "cyphernet_%s{worker=\"%" PRIu32 "\"} %" PRIu64 "\n", name, s->worker[i].number,
            value(&s->worker[i]));
}

static uint64_t worker_calls(const struct cn_status_worker *w)
{
    return w->calls.pairs;
}

static uint64_t worker_started(const struct cn_status_worker *w)
{
    return w->calls.pairs_total;
}

static uint64_t worker_bytes(const struct cn_status_worker *w)
{
    return w->calls.bytes_total;
}

static uint64_t worker_pipes(const struct cn_status_worker *w)
{
    return w->calls.pipes;
}

static uint64_t worker_draining(const struct cn_status_worker *w)
{
    return w->draining;
}

static void workers(struct text *t, const struct cn_status *s)
{
    one(t, "workers", "gauge", s->workers, "Switch workers now.");
    of_workers(t, s, "worker_calls", "gauge", worker_calls, "Calls of a worker now.");
    of_workers(t, s, "worker_calls_started_total", "counter", worker_started,
               "Calls of a worker so far.");
    of_workers(t, s, "worker_relayed_bytes_total", "counter", worker_bytes,
               "Octets that a worker has moved.");
    of_workers(t, s, "worker_pipes", "gauge", worker_pipes, "Pipes of a worker now.");
    of_workers(t, s, "worker_draining", "gauge", worker_draining,
               "Whether a worker only waits for its last call.");
}

size_t cn_exposition_write(const struct cn_status *status, char out[CN_EXPOSITION_SIZE_MAX])
{
    struct text t = { out, 0 };

    begin(&t, "build_info", "gauge", "The program that runs; always 1.");
    labelled(&t, "build_info", "version", CN_VERSION, 1);
    one(&t, "uptime_seconds", "gauge", status->uptime_s, "How long the server has been running.");
    gate(&t, status);
    calls(&t, status);
    workers(&t, status);
    begin(&t, "process_restarts_total", "counter", "Processes that ended by themselves.");
    labelled(&t, "process_restarts_total", "process", "gate", status->gate_restarts);
    labelled(&t, "process_restarts_total", "process", "switch", status->worker_restarts);
    labelled(&t, "process_restarts_total", "process", "metrics", status->metrics_restarts);
    return t.used;
}
