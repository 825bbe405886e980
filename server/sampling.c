/* sampling.c - what all processes of the supervisor count together, and how fast. */
#include <stddef.h>

#include "subprocess.h"

enum { SAMPLE_MS = 10000 };

static void sample_take(struct cn_supervisor *s)
{
    struct cn_status status;

    cn_supervisor_status(s, &status);
    s->sample[0] =
        s->sample[1].ms > 0 ? s->sample[1] : (struct cn_sample) { .ms = s->setup.loop->now_ms };
    s->sample[1] = (struct cn_sample) { s->setup.loop->now_ms, status.calls.bytes_total,
                                        status.gate.count[CN_GATE_ADMITTED],
                                        status.gate.count[CN_GATE_JOINED] };
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role != CN_ROLE_SWITCH || !c->page.page)
            continue;
        c->bytes_before[0] = c->bytes_before[1];
        c->bytes_before[1] = c->page.page->calls.bytes_total;
    }
    cn_loop_timer_set(s->setup.loop, &s->sampling, s->setup.loop->now_ms + SAMPLE_MS);
}

static void sample_fire(struct cn_timer *timer)
{
    sample_take(
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, sampling)));
}

void cn_sampling_begin(struct cn_supervisor *s)
{
    s->sampling.fire = sample_fire;
    s->sample[1].ms = 0;
    sample_take(s);
    s->sample[0] = s->sample[1];
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        c->bytes_before[0] = c->bytes_before[1];
}

static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms > 0 && now > before ? (now - before) * 1000 / ms : 0;
}

static void rates_fill(const struct cn_supervisor *s, struct cn_status *status)
{
    const struct cn_sample *before = &s->sample[0];
    uint64_t ms = s->setup.loop->now_ms - before->ms;

    status->bytes_per_s = rate(status->calls.bytes_total, before->bytes, ms);
    status->admitted_per_s = rate(status->gate.count[CN_GATE_ADMITTED], before->admitted, ms);
    status->joined_per_s = rate(status->gate.count[CN_GATE_JOINED], before->joined, ms);
}

void cn_supervisor_past(const struct cn_supervisor *supervisor, struct cn_status *status)
{
    *status = supervisor->past;
}

void cn_supervisor_status(const struct cn_supervisor *supervisor, struct cn_status *status)
{
    *status = supervisor->past;
    status->moving_count = 0;
    status->admitting = supervisor->gate ? &supervisor->gate->page : NULL;
    status->admits = cn_supervisor_admits(supervisor);
    status->lines_max = supervisor->setup.lines_max;
    status->uptime_s = (supervisor->setup.loop->now_ms - supervisor->setup.started_ms) / 1000;
    for (const struct cn_subprocess *c = supervisor->children;
         c < supervisor->children + CN_CHILDREN_MAX; c++) {
        if (c->state == CN_SUBPROCESS_NONE || !c->page.page)
            continue;
        cn_status_add(status, c->page.page, true);
        if (c->role == CN_ROLE_SWITCH) {
            status->moving[status->moving_count++] = &c->page;
            status->worker[status->workers++] = (struct cn_status_worker) {
                .number = c->number,
                .draining = c->state == CN_SUBPROCESS_LEAVING,
                .bytes_per_s = rate(c->page.page->calls.bytes_total, c->bytes_before[0],
                                    supervisor->setup.loop->now_ms - supervisor->sample[0].ms),
                .calls = c->page.page->calls
            };
        }
    }
    rates_fill(supervisor, status);
}
