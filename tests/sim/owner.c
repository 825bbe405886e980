#include "owner.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "sim.h"

static struct owner *running;

struct owner *owner_running(void)
{
    return running;
}

struct owner *owner_pause(void)
{
    struct owner *was = running;

    running = NULL;
    return was;
}

void owner_go_on(struct owner *owner)
{
    running = owner;
}

struct cn_now owner_now(const struct owner *owner)
{
    const uint64_t utc_s = SIM_START_UTC_S + (sim.now_ms - SIM_START_MS) / 1000;

    return (struct cn_now) { (uint64_t)((int64_t)sim.now_ms + owner->ahead_ms),
                             (uint64_t)((int64_t)utc_s + owner->ahead_s) };
}

/* --- what a process has ---------------------------------------------------------------------- */

static void *memory_take(void *context, size_t size)
{
    struct owner *o = context;

    if (o->memory_fails > 0 && --o->memory_fails == 0) {
        sim_trace("%s: no memory", o->setup.name);
        o->memory_failed = true;
        return NULL;
    }
    o->octets += size;
    return malloc(size);
}

static void memory_give(void *context, void *block, size_t size)
{
    struct owner *o = context;

    o->octets -= size;
    free(block);
}

/* Linked with --wrap: the streams of a call take the memory of its owner. */
void __real_cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role);
void __wrap_cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role);
void __wrap_cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role)
{
    __real_cn_mux_init(mux, running ? &running->memory : memory, role);
}

static enum cn_err random_fill(void *context, uint8_t *out, size_t size)
{
    struct owner *o = context;

    if (o->random_fails > 0 && --o->random_fails == 0) {
        sim_trace("%s: no randomness", o->setup.name);
        o->random_failed = true;
        return CN_E_RANDOM;
    }
    sim_fill(out, size);
    return CN_OK;
}

void owner_begin(struct owner *owner, const struct owner_setup *setup)
{
    static const char *const homes[] = { "alice", "bob" };
    const int64_t wait_ms = setup->wait_ms == UINT64_MAX ? -1 : (int64_t)setup->wait_ms;

    memset(owner, 0, sizeof *owner);
    owner->setup = *setup;
    owner->home.random = (struct cn_random) { random_fill, owner };
    strcpy(owner->home.state, homes[setup->person]);
    owner->memory = (struct cn_memory) { memory_take, memory_give, owner };
    running = owner;
    sim_need(cn_call_open_any(&owner->call, &owner->home, &setup->want, 1, wait_ms) == CN_OK);
    cn_call_set_resume(owner->call, setup->resume_s);
    if (setup->watches)
        cn_call_set_watch(owner->call);
    running = NULL;
}

void owner_wipe(struct owner *owner)
{
    if (!owner->call)
        return;
    running = owner;
    cn_call_free(owner->call);
    running = NULL;
    owner->call = NULL;
    if (owner->octets != 0 || owner->secret_octets != 0)
        sim_fail("%s: %zu octets of memory were not given back", owner->setup.name,
                 owner->octets + owner->secret_octets);
    if (owner->descriptors != 0)
        sim_fail("%s: %u descriptors were not closed", owner->setup.name, owner->descriptors);
}

bool owner_is_open(const struct owner *owner)
{
    return owner->call && owner->call->open;
}

bool owner_is_over(const struct owner *owner)
{
    return !owner->call || owner->call->state == CALL_OVER;
}

/* --- running --------------------------------------------------------------------------------- */

/* Both ends are honest and keys are fresh: nothing authentic is ever wrong, and nothing is forged
 * that nobody has damaged. */
static void failure_check(const struct owner *o)
{
    const struct cn_session *session = &o->call->secrets->session;
    const enum cn_err err = session->error;

    if (session->state != CN_SESSION_FAILED)
        return;
    if (err == CN_E_FORMAT && !session->joined && o->date_was_set)
        return; /* JOINED names a tag of hours ago */
    if (err == CN_E_FORMAT || err == CN_E_LIMIT || err == CN_E_FULL || err == CN_E_KEY ||
        err == CN_E_UNEXPECTED || err == CN_E_CRYPTO)
        sim_fail("%s: %s%s", o->setup.name, cn_err_text(err),
                 session->mux ? ", from an honest partner" : "");
    if (err == CN_E_AUTH && sim.flips == 0)
        sim_fail("%s: not authentic, though nothing was damaged", o->setup.name);
}

/* What became of its line. */
static void say_line(const struct owner *o, enum call_state was, enum cn_session_state told)
{
    static const struct {
        enum cn_session_state state;
        const char *name;
    } rows[] = { { CN_SESSION_REGISTER, "admitted" },
                 { CN_SESSION_WAITING, "waits" },
                 { CN_SESSION_PROLOGUE, "joined" },
                 { CN_SESSION_OPEN, "open" } };
    const struct cn_call *call = o->call;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].state > told && rows[i].state <= call->told)
            sim_trace("%s: %s", o->setup.name, rows[i].name);
    }
    if (call->state == was)
        return;
    if (call->state == CALL_PAUSED)
        sim_trace("%s: dials again in %llu ms: %s", o->setup.name,
                  (unsigned long long)(call->retry_ms - owner_now(o).ms),
                  cn_err_text(call->failure));
    if (call->state == CALL_OVER)
        sim_trace("%s: over: %s", o->setup.name, cn_err_text(call->error));
}

static void outstanding_note(struct owner *o)
{
    const struct cn_mux *mux = &o->call->mux;
    const bool outstanding =
        mux->resume != CN_MUX_TALKING || mux->flight.sent > mux->flight.delivered;

    if (!o->call->secrets->session.mux || !outstanding)
        o->asked_ms = 0;
    else if (o->asked_ms == 0)
        o->asked_ms = owner_now(o).ms;
}

void owner_process(struct owner *owner)
{
    const enum call_state was = owner->call->state;
    const enum cn_session_state told = owner->call->told;

    running = owner;
    cn_call_process(owner->call);
    running = NULL;
    failure_check(owner);
    say_line(owner, was, told);
    outstanding_note(owner);
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool is_ready(const struct owner *o, const struct pollfd *p)
{
    unsigned ready;

    if (!net_is(p->fd))
        return o->network_changed;
    ready = net_ready(p->fd);
    return ready & NET_BROKEN || (ready & NET_IN && p->events & POLLIN) ||
           (ready & NET_OUT && p->events & POLLOUT);
}

uint64_t owner_due_ms(struct owner *owner)
{
    uint64_t due_ms = UINT64_MAX;
    int timeout_ms;

    if (!owner->call)
        return UINT64_MAX;
    running = owner;
    timeout_ms = cn_call_timeout_ms(owner->call);
    running = NULL;
    if (timeout_ms >= 0)
        due_ms = sim.now_ms + (uint64_t)timeout_ms;
    return due_ms > owner->frozen_until_ms ? due_ms : owner->frozen_until_ms;
}

bool owner_is_ready(struct owner *owner)
{
    struct pollfd p[CN_CALL_DESCRIPTORS_MAX];
    size_t count;

    if (!owner->call || sim.now_ms < owner->frozen_until_ms)
        return false;
    if (owner_due_ms(owner) <= sim.now_ms)
        return true;
    running = owner;
    count = cn_call_descriptors(owner->call, p, CN_CALL_DESCRIPTORS_MAX);
    running = NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_ready(owner, &p[i]))
            return true;
    }
    return false;
}

bool owner_next_event(struct owner *owner, struct cn_event *event)
{
    bool some;

    running = owner;
    some = cn_call_next_event(owner->call, event);
    running = NULL;
    if (some && event->type == CN_EVENT_CLOSED)
        owner->error = event->err;
    owner->resumes += some && event->type == CN_EVENT_RESUMED;
    return some;
}

/* --- what it does, and what is done to it ---------------------------------------------------- */

enum cn_err owner_stream_open(struct owner *owner, uint8_t kind, const void *parameters,
                              size_t size, struct cn_stream **stream)
{
    return cn_stream_open(owner->call, kind, parameters, size, stream);
}

void owner_finish(struct owner *owner)
{
    cn_call_finish(owner->call);
}

void owner_cancel(struct owner *owner, enum cn_err why)
{
    running = owner;
    cn_call_cancel(owner->call, why);
    running = NULL;
}

void owner_leap(struct owner *owner, uint64_t by_ms)
{
    owner->ahead_ms += (int64_t)by_ms;
    owner->leapt_ms = owner_now(owner).ms;
}

void owner_network_changes(struct owner *owner, bool line_dies, bool address_goes)
{
    if (owner->call->socket >= 0 && (line_dies || address_goes))
        net_kill(owner->call->socket);
    owner->network_changed = true;
    owner->address_is_gone = address_goes;
}

/* --- for the oracle -------------------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t owner_stalled_ms(struct owner *owner)
{
    const struct cn_call *call = owner->call;
    const uint64_t now_ms = owner_now(owner).ms;
    uint64_t since_ms;

    if (!owner_is_open(owner) || owner_is_over(owner) || call->mux.close_sent ||
        call->mux.close_received || call->leave_ms != 0 || owner->asked_ms == 0)
        return 0;
    since_ms = later(owner->asked_ms, later(owner->heard_ms, owner->leapt_ms));
    since_ms = later(since_ms, (uint64_t)((int64_t)owner->frozen_until_ms + owner->ahead_ms));
    return now_ms > since_ms ? now_ms - since_ms : 0;
}
