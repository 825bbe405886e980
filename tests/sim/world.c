#include "world.h"

#include <stdio.h>
#include <string.h>

#include "call.h"
#include "faults.h"
#include "people.h"
#include "server.h"
#include "sim.h"

enum {
    FINISH_MS = 900000, /* once nothing goes wrong any more, all has ended by then */
    EMPTY_MS = 700000,  /* once all has ended, the server has forgotten it by then */
    TURN_COUNT_MAX =
        1000, /* in one millisecond, without an octet: that is going round in circles */
    CHECK_EVERY = 16
};

void world_init(void)
{
    people_init();
    server_init(people_crypto());
}

/* --- turns ----------------------------------------------------------------------------------- */

/* Whoever can do something does. */
static bool turn(void)
{
    const unsigned processes = CALL_PROCESS_COUNT * call_count;
    const unsigned first = (unsigned)sim_dice(processes);
    bool moved = false;

    for (unsigned i = 0; i < processes; i++) {
        const unsigned at = (first + i) % processes;
        struct call *call = &calls[at / CALL_PROCESS_COUNT];

        if (!call_process_is_ready(call, (int)(at % CALL_PROCESS_COUNT)))
            continue;
        call_process_step(call, (int)(at % CALL_PROCESS_COUNT));
        moved = true;
    }
    if (server_is_ready()) {
        server_turn();
        moved = true;
    }
    return moved;
}

static void check_all(void)
{
    for (unsigned i = 0; i < call_count; i++)
        call_check(&calls[i]);
}

static void say_stuck(void)
{
    if (server_is_ready())
        sim_trace("the server has something to do");
    size_t size = strlen(sim.about);

    for (unsigned i = 0; i < call_count; i++) {
        for (int end = 0; end < 2; end++) {
            const struct owner *o = &calls[i].end[end].owner;

            if (!o->call)
                continue;
            size += (size_t)snprintf(sim.about + size, sizeof sim.about - size,
                                     ", %s: state %d, session %d%s", o->setup.name,
                                     (int)o->call->state, (int)o->call->secrets->session.state,
                                     call_process_is_ready(&calls[i], end) ? ", ready" : "");
        }
    }
}

/* All that happens at this moment. */
static void moment(void)
{
    uint64_t moved = net_moved();
    unsigned turns = 0, idle = 0;

    net_advance();
    while (turn()) {
        if (turns++ % CHECK_EVERY == 0)
            check_all();
        idle = net_moved() == moved ? idle + 1 : 0;
        moved = net_moved();
        if (idle > TURN_COUNT_MAX) {
            say_stuck();
            sim_fail("somebody goes round in circles");
        }
        net_advance();
    }
    check_all();
    for (unsigned i = 0; i < call_count; i++)
        call_check_told(&calls[i]);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ms(void)
{
    uint64_t due_ms = least(net_due_ms(), server_due_ms());

    due_ms = least(due_ms, faults_due_ms());
    for (unsigned i = 0; i < call_count; i++) {
        for (int process = 0; process < CALL_PROCESS_COUNT; process++)
            due_ms = least(due_ms, call_process_due_ms(&calls[i], process));
    }
    return due_ms;
}

static bool all_over(void)
{
    for (unsigned i = 0; i < call_count; i++) {
        if (!call_is_over(&calls[i]))
            return false;
    }
    return true;
}

/* Until all has ended. */
static void live(void)
{
    uint64_t until_ms = UINT64_MAX;

    for (;;) {
        uint64_t due_ms;

        moment();
        if (faults_are_over() && until_ms == UINT64_MAX)
            until_ms = sim.now_ms + FINISH_MS;
        if (all_over())
            return;
        due_ms = next_ms();
        if (due_ms >= until_ms) {
            say_stuck();
            sim_fail("nothing went wrong for %d s, and a call has not ended", FINISH_MS / 1000);
        }
        if (due_ms > sim.now_ms)
            sim.now_ms = due_ms;
        if (sim.now_ms >= faults_due_ms())
            faults_happen();
    }
}

/* Nobody is there any more; the server finds out. */
static void leave(void)
{
    const uint64_t until_ms = sim.now_ms + EMPTY_MS;

    while (!faults_are_over())
        faults_happen();
    calls_wipe();
    call_count = 0;
    while (server_busy() > 0) {
        uint64_t due_ms;

        net_advance();
        while (server_is_ready()) {
            server_turn();
            net_advance();
        }
        due_ms = least(net_due_ms(), server_due_ms());
        if (server_busy() > 0 && due_ms >= until_ms)
            sim_fail("the server still has %u lines of nobody", server_busy());
        if (due_ms > sim.now_ms && due_ms != UINT64_MAX)
            sim.now_ms = due_ms;
    }
}

static void run(struct world_sum *sum)
{
    uint64_t ended_ms = weather.until_ms;

    live();
    sum->took_ms = sim.now_ms > ended_ms ? sim.now_ms - ended_ms : 0;
    for (unsigned i = 0; i < call_count; i++) {
        call_judge(&calls[i]);
        for (int end = 0; end < 2; end++)
            sum->resumes += calls[i].end[end].owner.resumes;
    }
    sum->lines += net_line_count();
    for (unsigned line = 0; line < 2; line++) {
        for (unsigned way = 0; way < 2; way++)
            sum->octets[line][way] = net_octets(line, (enum net_way)way);
    }
    leave();
    server_wipe();
    net_wipe();
}

void world_run(uint64_t seed, struct world_sum *sum)
{
    sim_begin(seed);
    net_begin();
    server_begin();
    faults_begin();
    calls_begin(false);
    run(sum);
}

void world_script(int line, const struct net_plan plan[2], struct world_sum *sum)
{
    const enum net_way hurt = plan[NET_UP].fault != NET_FINE ? NET_UP : NET_DOWN;

    sim_begin(0);
    snprintf(sim.about, sizeof sim.about, ", --case %s,%d,%s,%llu",
             net_fault_name(plan[hurt].fault), line, hurt == NET_UP ? "up" : "down",
             (unsigned long long)plan[hurt].at);
    net_begin();
    server_begin();
    faults_begin_calm(line, plan);
    calls_begin(true);
    run(sum);
}
