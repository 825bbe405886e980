#include "call.h"

#include <stdio.h>
#include <string.h>

#include "faults.h"
#include "mux_check.h"
#include "net.h"
#include "server.h"
#include "sim.h"

enum { NEVER_LOST_S = 1000000, FILE_SIZE_MAX = 60000 };

struct call calls[CALL_COUNT_MAX];
unsigned call_count;

/* --- beginning ------------------------------------------------------------------------------- */

static bool is_receiver(const struct call *call, int end)
{
    return call->course.is_file && end != call->caller;
}

static void end_start(struct call *call, int i)
{
    static const char *const names[2] = { "alice", "bob" };
    const struct subscriber *who = &call->people[i];
    struct side *end = &call->end[i];
    struct owner_setup setup = { .person = i,
                                 .who = who,
                                 .want = { names[1 - i], call->service, i == call->caller },
                                 .resume_s = call->resume_s[i],
                                 .wait_ms = call->wait_ms[i],
                                 .watches = call->course.is_file };

    snprintf(setup.name, sizeof setup.name, "%s %d%.*s", names[i], (int)(call - calls) + 1,
             (int)end->starts, "''''''''");
    end->starts++;
    end->restart_ms = 0;
    owner_begin(&end->owner, &setup);
    memset(&end->program, 0, sizeof end->program);
    end->program.course = &call->course;
    end->program.owner = &end->owner;
    end->program.other = &call->end[1 - i].program;
    end->program.side = i == call->caller ? 0 : 1;
    end->program.disk = is_receiver(call, i) ? &call->disk : NULL;
    end->program.far_disk = call->course.is_file && i == call->caller ? &call->disk : NULL;
    end->program.file_size = call->file_size;
}

/* What the two say, and how fast. */
static void course_roll(struct course *c)
{
    const uint64_t kind = sim_dice(8);
    uint64_t most;

    *c = (struct course) { .stream_count = { 1, 0 }, .key = sim.seed };
    if (kind < 3) { /* a pipe */
        c->size_max = sim_spread(0, 100000);
    } else if (kind < 5) { /* a talk */
        c->size_max = sim_spread(0, 4000);
        c->write_ms[0] = c->write_ms[1] = sim_spread(10, 3000);
    } else if (kind < 7) { /* as a tunnel: many streams */
        c->stream_count[0] = (unsigned)sim_dice(PROGRAM_STREAM_COUNT_MAX + 1);
        c->stream_count[1] = (unsigned)sim_dice(PROGRAM_STREAM_COUNT_MAX + 1);
        c->size_max = sim_spread(0, 40000);
        c->loser = sim_chance(2) ? 3 : 0;
    } else {
        c->is_file = true;
    }
    if (sim_chance(40))
        c->size_max = sim_spread(0, 2000000);
    most = c->is_file ? FILE_SIZE_MAX : c->size_max;
    for (int i = 0; i < 2; i++) {
        if (sim_chance(6))
            c->read_ms[i] = sim_spread(1, 2000);
    }
    c->write_size = 1 + c->size_max / 10 + sim_spread(0, 400);
    c->read_size = 1 + sim_spread(most / 8, most);
}

static const struct subscriber *people_roll(void)
{
    static const enum people_keys keys[] = { PEOPLE_X25519, PEOPLE_MIXED, PEOPLE_RSA };

    return people(sim_chance(25) ? keys[1 + sim_dice(2)] : PEOPLE_X25519,
                  (uint16_t)(1 + sim_dice(PEOPLE_SUITE_COUNT)));
}

static void call_roll(struct call *call, enum cn_call_service service, const struct subscriber *who)
{
    call->service = service;
    call->people = who;
    course_roll(&call->course);
    call->course.key += (uint64_t)service << 32;
    call->caller = (int)sim_dice(2);
    if (service == CN_CALL_PIPE || service == CN_CALL_TALK)
        call->caller = call->people[0].pair.role == CN_ROLE_A ? 0 : 1;
    call->file_size = sim_spread(0, FILE_SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        call->resume_s[i] = NEVER_LOST_S;
        call->wait_ms[i] = UINT64_MAX;
        /* who begins anew is found out, who gives up may never be */
        if (sim_chance(12) ||
            (weather.is_fatal && (weather.somebody_gives_up || !call->course.is_file))) {
            call->resume_s[i] = (uint32_t)sim_spread(0, 60);
            call->may_be_lost = true;
        }
        if (sim_chance(12)) {
            call->wait_ms[i] = sim_spread(0, 30000);
            call->resume_s[i] = (uint32_t)sim_spread(0, 60);
            call->may_be_lost = true;
        }
    }
    disk_begin(&call->disk, call->file_size);
}

static void call_start(struct call *call)
{
    for (int i = 0; i < 2; i++)
        end_start(call, i);
    if (sim_chance(3)) /* one of them comes later */
        call->end[sim_dice(2)].owner.frozen_until_ms = sim.now_ms + sim_spread(1, 5000);
    call->bystander_of = (int)sim_dice(2);
    if (!call->course.is_file || sim_chance(2))
        return;
    call->end[1 - call->bystander_of].kill_after_ms = sim_chance(2) ? 0 : sim_spread(0, 20000);
    bystander_begin(&call->bystander, sim_spread(0, 30000));
}

static void script(struct call *call)
{
    call->service = CN_CALL_PIPE;
    call->people = people(PEOPLE_X25519, 1);
    call->course = (struct course) { .stream_count = { 1, 0 }, .size_max = 600, .key = 7 };
    call->caller = call->people[0].pair.role == CN_ROLE_A ? 0 : 1;
    call->may_be_lost = weather.is_fatal;
    for (int i = 0; i < 2; i++) {
        call->resume_s[i] = weather.is_fatal ? 60 : NEVER_LOST_S;
        call->wait_ms[i] = UINT64_MAX;
    }
    for (int i = 0; i < 2; i++)
        end_start(call, i);
}

void calls_begin(bool scripted)
{
    static const enum cn_call_service services[] = { CN_CALL_FILE, CN_CALL_FORWARD };
    const struct subscriber *who;

    for (unsigned i = 0; i < CALL_COUNT_MAX; i++)
        memset(&calls[i], 0, offsetof(struct call, end));
    for (unsigned i = 0; i < CALL_COUNT_MAX; i++) {
        bystander_begin(&calls[i].bystander, UINT64_MAX);
        for (int end = 0; end < 2; end++) {
            struct side *e = &calls[i].end[end];

            e->killed = e->cancelled = e->memory_failed = e->random_failed = false;
            e->restart_ms = 0;
            e->kill_after_ms = e->kill_ms = UINT64_MAX;
            e->starts = 0;
            e->told = CN_E_MORE;
        }
    }
    call_count = scripted || !sim_chance(4) ? 1 : 2;
    if (scripted) {
        script(&calls[0]);
        return;
    }
    who = people_roll();
    for (unsigned i = 0; i < call_count; i++) {
        call_roll(&calls[i],
                  sim_chance(2) ? services[i]
                  : i == 0      ? CN_CALL_PIPE
                                : CN_CALL_TALK,
                  who);
        call_start(&calls[i]);
    }
}

void calls_wipe(void)
{
    for (unsigned i = 0; i < call_count; i++) {
        owner_wipe(&calls[i].end[0].owner);
        owner_wipe(&calls[i].end[1].owner);
        bystander_wipe(&calls[i].bystander);
    }
}

/* --- what is done to an end ------------------------------------------------------------------ */

static void note_failures(struct side *end)
{
    end->memory_failed |= end->owner.memory_failed;
    end->random_failed |= end->owner.random_failed;
}

void call_kill(struct call *call, int i, uint64_t restart_ms)
{
    struct side *end = &call->end[i];

    if (end->killed || end->restart_ms > 0 || owner_is_over(&end->owner))
        return;
    sim_trace("%s: killed", end->owner.setup.name);
    note_failures(end);
    owner_wipe(&end->owner);
    call->may_be_lost = true;
    if (is_receiver(call, i))
        disk_crash(&call->disk);
    if (call->course.is_file)
        end->restart_ms = sim.now_ms + restart_ms;
    else
        end->killed = true;
}

void call_cancel(struct call *call, int i)
{
    struct side *end = &call->end[i];

    if (end->killed || end->restart_ms > 0 || owner_is_over(&end->owner))
        return;
    sim_trace("%s: its user gives up", end->owner.setup.name);
    end->cancelled = true;
    call->may_be_lost = true;
    owner_cancel(&end->owner, CN_E_CANCELLED);
}

/* --- life ------------------------------------------------------------------------------------ */

static bool is_alive(const struct side *end)
{
    return !end->killed && end->restart_ms == 0 && end->owner.call;
}

/* A transfer of files that was interrupted is begun anew by its users. */
static void look_closed(struct call *call, int i)
{
    struct side *end = &call->end[i];

    if (!end->program.over || end->told != CN_E_MORE)
        return;
    note_failures(end);
    if (call->course.is_file && end->owner.error != CN_OK && !end->cancelled &&
        !call->end[1 - i].cancelled && end->starts < 6) {
        end->told = CN_E_MORE;
        owner_wipe(&end->owner);
        if (is_receiver(call, i))
            disk_crash(&call->disk);
        end->restart_ms = sim.now_ms + 1000;
        return;
    }
    end->told = end->owner.error;
}

static bool end_is_ready(struct call *call, int i)
{
    struct side *end = &call->end[i];

    if (end->restart_ms > 0)
        return sim.now_ms >= end->restart_ms;
    if (sim.now_ms >= end->kill_ms)
        return true;
    if (!is_alive(end) || sim.now_ms < end->owner.frozen_until_ms)
        return false;
    return owner_is_ready(&end->owner) || program_due_ms(&end->program) <= sim.now_ms;
}

static void end_step(struct call *call, int i)
{
    struct side *end = &call->end[i];

    if (end->restart_ms > 0) {
        end_start(call, i);
        sim_trace("%s: begins", end->owner.setup.name);
    }
    if (sim.now_ms >= end->kill_ms) {
        end->kill_ms = UINT64_MAX;
        call_kill(call, i, sim_spread(1, 60000));
        return;
    }
    owner_process(&end->owner);
    if (owner_is_open(&end->owner) && end->kill_after_ms != UINT64_MAX) {
        end->kill_ms = sim.now_ms + end->kill_after_ms;
        end->kill_after_ms = UINT64_MAX;
    }
    program_step(&end->program);
    look_closed(call, i);
}

static uint64_t end_due_ms(struct call *call, int i)
{
    struct side *end = &call->end[i];
    uint64_t due_ms;

    if (end->restart_ms > 0)
        return end->restart_ms;
    if (!is_alive(end))
        return UINT64_MAX;
    due_ms = owner_due_ms(&end->owner);
    if (program_due_ms(&end->program) < due_ms)
        due_ms = program_due_ms(&end->program);
    if (end->kill_ms < due_ms)
        due_ms = end->kill_ms;
    if (end->owner.frozen_until_ms > sim.now_ms)
        return end->owner.frozen_until_ms;
    return due_ms;
}

bool call_process_is_ready(struct call *call, int process)
{
    return process < 2 ? end_is_ready(call, process)
                       : bystander_is_ready(&call->bystander, &call->end[call->bystander_of].owner);
}

void call_process_step(struct call *call, int process)
{
    if (process < 2)
        end_step(call, process);
    else
        bystander_step(&call->bystander, &call->end[call->bystander_of].owner);
}

uint64_t call_process_due_ms(struct call *call, int process)
{
    return process < 2 ? end_due_ms(call, process)
                       : bystander_due_ms(&call->bystander, &call->end[call->bystander_of].owner);
}

/* --- the oracle ------------------------------------------------------------------------------ */

void call_check(struct call *call)
{
    const struct owner *a = &call->end[0].owner, *b = &call->end[1].owner;

    for (int i = 0; i < 2; i++) {
        const struct owner *o = &call->end[i].owner;
        const struct cn_call *c = o->call;
        const char *wrong;

        if (!is_alive(&call->end[i]))
            continue;
        wrong = mux_wrong(&c->mux, c->lost || c->state != CALL_RUNNING || !c->secrets->session.mux);
        if (!wrong && mux_octets(&c->mux) != o->octets)
            wrong = "memory that nobody has";
        if (wrong)
            sim_fail("%s: %s", o->setup.name, wrong);
    }
    if (!call->course.is_file && owner_is_open(a) && owner_is_open(b) &&
        memcmp(&a->call->secrets->exporter, &b->call->secrets->exporter,
               sizeof a->call->secrets->exporter) != 0)
        sim_fail("call %d: its ends have met others", (int)(call - calls) + 1);
}

void call_check_told(const struct call *call)
{
    for (int i = 0; i < 2; i++) {
        const struct side *end = &call->end[i];
        const char *untold;

        if (!is_alive(end) || sim.now_ms < end->owner.frozen_until_ms)
            continue;
        untold = program_untold(&end->program);
        if (untold)
            sim_fail("%s: %s", end->owner.setup.name, untold);
    }
}

static bool end_is_over(const struct call *call, int i)
{
    const struct side *end = &call->end[i], *other = &call->end[1 - i];

    if (end->restart_ms > 0)
        return false;
    if (end->killed || end->told != CN_E_MORE)
        return true;
    /* nobody is there any more for whom it waits */
    return !owner_is_open(&end->owner) && !owner_is_over(&end->owner) &&
           (other->killed || (other->told != CN_E_MORE && other->restart_ms == 0));
}

bool call_is_over(const struct call *call)
{
    return end_is_over(call, 0) && end_is_over(call, 1);
}

/* What it may have been told, with a reason. */
static bool may_be_told(const struct call *call, int i)
{
    const struct side *end = &call->end[i], *other = &call->end[1 - i];
    const bool failed =
        other->memory_failed || other->random_failed || end->memory_failed || end->random_failed;

    switch ((int)end->told) {
    case CN_OK:
        return true;
    case CN_E_MORE: /* it is killed, or waits for nobody */
        return end->killed || call->may_be_lost || failed;
    case CN_E_MEMORY:
        return end->memory_failed;
    case CN_E_RANDOM:
        return end->random_failed;
    case CN_E_CANCELLED:
        return end->cancelled || end->memory_failed;
    case CN_E_INTERRUPTED:
        return call->may_be_lost || failed;
    case CN_E_ANEW:
        return call->course.is_file && (other->starts > 1 || other->restart_ms > 0);
    case CN_E_TIMEOUT:
    case CN_E_UNREACHABLE:
    case CN_E_HUNG_UP:
    case CN_E_AUTH:
        return call->wait_ms[i] != UINT64_MAX && !owner_is_open(&end->owner);
    default:
        return false;
    }
}

void call_judge(struct call *call)
{
    for (int i = 0; i < 2; i++) {
        const struct side *end = &call->end[i];
        const char *missing = NULL;

        if (!may_be_told(call, i))
            sim_fail("%s: told without a reason: %s", end->owner.setup.name,
                     cn_err_text(end->told));
        if (end->told != CN_OK)
            continue;
        if (!call->course.is_file)
            missing = program_missing(&end->program);
        else if (!call->disk.done)
            missing = "the file is not on disk";
        if (missing)
            sim_fail("%s: told that all is well, but %s", end->owner.setup.name, missing);
    }
}
