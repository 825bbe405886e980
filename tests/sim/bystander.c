#include "bystander.h"

#include <stdio.h>

#include "sim.h"

void bystander_begin(struct bystander *bystander, uint64_t delay_ms)
{
    bystander->delay_ms = delay_ms;
    bystander->come_ms = 0;
}

void bystander_wipe(struct bystander *bystander)
{
    owner_wipe(&bystander->owner);
}

static bool is_lost(const struct owner *end)
{
    return end->call && end->call->lost;
}

/* Once in a seed. */
static bool may_come(const struct bystander *b, const struct owner *end)
{
    return !b->owner.call && b->delay_ms != UINT64_MAX && is_lost(end);
}

static void come(struct bystander *b, const struct owner *end)
{
    struct owner_setup setup = end->setup;

    snprintf(setup.name, sizeof setup.name, "bystander of %.9s", end->setup.name);
    setup.resume_s = 0;
    setup.wait_ms = UINT64_MAX;
    setup.watches = false;
    owner_begin(&b->owner, &setup);
    b->delay_ms = UINT64_MAX;
    b->leave_ms = sim.now_ms + sim_spread(1, 60000);
    sim_trace("%s: waits for the same", setup.name);
}

static bool is_to_leave(const struct bystander *b, const struct owner *end)
{
    return b->owner.call && (sim.now_ms >= b->leave_ms || !is_lost(end));
}

bool bystander_is_ready(struct bystander *bystander, const struct owner *end)
{
    if (may_come(bystander, end))
        return bystander->come_ms == 0 || sim.now_ms >= bystander->come_ms;
    return is_to_leave(bystander, end) || owner_is_ready(&bystander->owner);
}

/* Whoever meets it meets nobody for long; nobody else may end it. */
static void events_take(struct bystander *b)
{
    struct cn_event event;
    bool leaves = false;

    while (owner_next_event(&b->owner, &event)) {
        if (event.type == CN_EVENT_CLOSED && b->owner.call->note.refusal == CN_REFUSAL_REPLACED)
            sim_fail("%s: driven out by who only watches", b->owner.setup.name);
        leaves |= event.type == CN_EVENT_CLOSED || event.type == CN_EVENT_JOINED;
    }
    if (leaves)
        b->leave_ms = sim.now_ms;
}

void bystander_step(struct bystander *bystander, const struct owner *end)
{
    struct owner *o = &bystander->owner;

    if (may_come(bystander, end) && bystander->come_ms == 0) {
        bystander->come_ms = sim.now_ms + bystander->delay_ms;
    } else if (may_come(bystander, end)) {
        come(bystander, end);
    } else if (is_to_leave(bystander, end)) {
        sim_trace("%s: leaves", o->setup.name);
        owner_wipe(o);
    } else {
        owner_process(o);
        events_take(bystander);
    }
}

uint64_t bystander_due_ms(struct bystander *bystander, const struct owner *end)
{
    uint64_t due_ms;

    if (may_come(bystander, end))
        return bystander->come_ms;
    if (!bystander->owner.call)
        return UINT64_MAX;
    due_ms = owner_due_ms(&bystander->owner);
    return due_ms < bystander->leave_ms ? due_ms : bystander->leave_ms;
}
