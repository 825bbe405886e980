#include "faults.h"

#include "call.h"
#include "rehandshake.h"
#include "server.h"
#include "sim.h"

enum { EVENT_COUNT_MAX = 6, HANDSHAKE_SIZE = 12000 };

enum event_type {
    /* of the server */
    SERVER_IS_KILLED = 0,
    SERVER_STARTS,
    SERVER_IS_UPGRADED,
    SERVER_GATE_DIES,
    SERVER_RANDOM_FAILS,
    SERVER_CLOCK_JUMPS,
    /* of an end of a call */
    END_SLEEPS,
    END_CLOCK_LEAPS,
    END_UTC_JUMPS,
    END_NETWORK_CHANGES,
    /* that it may not outlive */
    END_MEMORY_FAILS,
    END_RANDOM_FAILS,
    END_IS_KILLED,
    END_CANCELS,
    EVENT_TYPE_COUNT
};

struct event {
    uint64_t at_ms;
    enum event_type type;
};

struct weather weather;
static struct event events[2 * EVENT_COUNT_MAX];
static unsigned event_count;
static bool stopped;
static int line_number; /* of this seed's */

static void event_add(uint64_t at_ms, enum event_type type)
{
    if (event_count < sizeof events / sizeof events[0])
        events[event_count++] = (struct event) { at_ms, type };
}

static void begin(void)
{
    event_count = 0;
    stopped = false;
    line_number = 0;
}

void faults_begin_calm(int line, const struct net_plan plan[2])
{
    begin();
    weather = (struct weather) { .latency_ms = 1,
                                 .buffer_size = 1 << 16,
                                 .until_ms = sim.now_ms,
                                 .is_calm = true,
                                 .is_fatal = plan[0].fault == NET_END || plan[1].fault == NET_END,
                                 .planned_line = line,
                                 .plan = { plan[0], plan[1] } };
}

void faults_begin(void)
{
    static const unsigned counts[] = { 0, 0, 0, 0, 1, 1, 2, EVENT_COUNT_MAX };
    const uint64_t lasts_ms = sim_spread(10, 60000);

    weather = (struct weather) { .latency_ms = sim_chance(3) ? 0 : sim_spread(0, 400),
                                 .jitter_ms = sim_chance(2) ? 0 : sim_spread(0, 50),
                                 .rate = sim_chance(3) ? 5000 + sim_spread(0, 1 << 24) : 0,
                                 .buffer_size = (size_t)sim_spread(1024, 1 << 17),
                                 .slices = sim_chance(8),
                                 .line_fault = sim_chance(5) ? 0 : 1 + sim_dice(4),
                                 .ends_are_forged = sim_chance(8),
                                 .event_count = counts[sim_dice(8)],
                                 .until_ms = sim.now_ms + lasts_ms,
                                 .rehandshake_size = sim_chance(10) ? sim_spread(1, 200000) : 0 };
    begin();
    for (unsigned i = 0; i < weather.event_count; i++)
        event_add(sim.now_ms + sim_spread(0, lasts_ms),
                  (enum event_type)sim_dice(EVENT_TYPE_COUNT));
    weather.is_fatal = weather.ends_are_forged;
    for (unsigned i = 0; i < event_count; i++)
        weather.is_fatal |= events[i].type >= END_MEMORY_FAILS;
    weather.somebody_gives_up = weather.ends_are_forged;
    for (unsigned i = 0; i < event_count; i++)
        weather.somebody_gives_up |= events[i].type == END_CANCELS;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Somewhere in what is said before the call is open, near where a message ends, or later. */
static uint64_t fault_at(void)
{
    static const uint64_t ends[] = { 1024, 2048, 3072, 3074, 7170, 8450, 8706, 5122, 9474 };
    const uint64_t kind = sim_dice(4);

    if (kind == 0)
        return ends[sim_dice(sizeof ends / sizeof ends[0])] + sim_dice(5) - 2;
    if (kind == 1)
        return sim_dice(HANDSHAKE_SIZE);
    return 8700 + (kind == 2 ? sim_dice(6000) : sim_spread(0, 100000));
}

static struct net_plan plan_make(void)
{
    struct net_plan plan = { NET_FINE, 0, 0 };

    if (stopped || !sim_chance(weather.line_fault))
        return plan;
    plan.fault = (enum net_fault)(1 + sim_dice(NET_FAULT_COUNT - 1));
    if (plan.fault == NET_END && !weather.ends_are_forged)
        plan.fault = NET_RESET;
    plan.at = fault_at();
    plan.more = plan.fault == NET_STALL ? sim_spread(1, 20000) : sim_dice(8);
    return plan;
}

void faults_plan(struct net_setup *setup)
{
    *setup = (struct net_setup) { .latency_ms = weather.latency_ms,
                                  .jitter_ms = weather.jitter_ms,
                                  .rate = weather.rate };
    line_number++;
    for (int i = 0; i < 2; i++) {
        setup->size[i] = weather.buffer_size;
        if (!weather.is_calm)
            setup->plan[i] = plan_make();
        else if (line_number == weather.planned_line)
            setup->plan[i] = weather.plan[i];
    }
    if (weather.slices)
        setup->slice = (size_t)sim_spread(1, 2000);
}

uint64_t faults_connect_ms(void)
{
    if (!stopped && !weather.is_calm && sim_chance(40))
        return sim_dice(10000);
    return 2 * weather.latency_ms;
}

void faults_rehandshake(struct cn_session *session)
{
    if (weather.rehandshake_size > 0)
        session->rehandshake.octets = CN_REHANDSHAKE_OCTETS - weather.rehandshake_size;
}

/* --- what else happens ----------------------------------------------------------------------- */

static void at_server(enum event_type type)
{
    if (type == SERVER_IS_KILLED) {
        server_kill(sim_chance(4));
        event_add(sim.now_ms + sim_spread(0, 20000), SERVER_STARTS);
    } else if (type == SERVER_STARTS) {
        server_start();
    } else if (type == SERVER_IS_UPGRADED) {
        server_upgrade();
    } else if (type == SERVER_GATE_DIES) {
        server_gate_dies();
    } else if (type == SERVER_RANDOM_FAILS) {
        server_random_fails(1 + sim_dice(3));
    } else {
        server_clock_set((int64_t)sim_dice(200000) - 100000);
    }
}

static void at_end(enum event_type type, struct call *call, int i)
{
    struct side *end = &call->end[i];
    struct owner *o = &end->owner;
    /* who sleeps for longer than ends wait to be confirmed may find nobody */
    const uint64_t much = sim_spread(1, weather.is_fatal ? 7200000 : 90000);

    if (owner_is_over(o))
        return;
    if (type == END_SLEEPS) {
        sim_trace("%s: sleeps for %llu ms", o->setup.name, (unsigned long long)much);
        o->frozen_until_ms = sim.now_ms + much;
    } else if (type == END_CLOCK_LEAPS) {
        sim_trace("%s: the clock leaps %llu ms", o->setup.name, (unsigned long long)much);
        owner_leap(o, much);
    } else if (type == END_UTC_JUMPS) {
        o->ahead_s = (int64_t)sim_dice(14400) - 7200;
        o->date_was_set = true;
        sim_trace("%s: the date is set %lld s ahead", o->setup.name, (long long)o->ahead_s);
    } else if (type == END_NETWORK_CHANGES) {
        const bool dies = sim_chance(2), goes = sim_chance(2);

        sim_trace("%s: the network changes%s%s", o->setup.name,
                  dies ? ", nothing passes its line" : "", goes ? ", its address is gone" : "");
        owner_network_changes(o, dies, goes);
    } else if (type == END_MEMORY_FAILS) {
        o->memory_fails = 1 + sim_dice(12);
    } else if (type == END_RANDOM_FAILS) {
        o->random_fails = 1 + sim_dice(12);
    } else if (type == END_IS_KILLED) {
        call_kill(call, i, sim_spread(1, 20000));
    } else {
        call_cancel(call, i);
    }
}

static unsigned next_event(void)
{
    unsigned next = 0;

    for (unsigned i = 1; i < event_count; i++) {
        if (events[i].at_ms < events[next].at_ms)
            next = i;
    }
    return next;
}

uint64_t faults_due_ms(void)
{
    if (stopped)
        return UINT64_MAX;
    return event_count > 0 && events[next_event()].at_ms < weather.until_ms
               ? events[next_event()].at_ms
               : weather.until_ms;
}

static void stop(void)
{
    stopped = true;
    if (weather.is_calm)
        return;
    sim_trace("from now on nothing goes wrong");
    net_mend();
    server_start();
    server_clock_set(0);
    server_random_fails(0);
    for (unsigned i = 0; i < call_count; i++) {
        for (int end = 0; end < 2; end++) {
            struct owner *o = &calls[i].end[end].owner;

            o->ahead_s = 0;
            o->memory_fails = o->random_fails = 0;
            if (o->frozen_until_ms > sim.now_ms)
                o->frozen_until_ms = sim.now_ms;
        }
    }
}

void faults_happen(void)
{
    const unsigned i = next_event();
    struct event event;

    if (event_count == 0 || events[i].at_ms > sim.now_ms || events[i].at_ms >= weather.until_ms) {
        stop();
        return;
    }
    event = events[i];
    events[i] = events[--event_count];
    if (event.type < END_SLEEPS)
        at_server(event.type);
    else
        at_end(event.type, &calls[sim_dice(call_count)], (int)sim_dice(2));
}

bool faults_are_over(void)
{
    return stopped;
}
