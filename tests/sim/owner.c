#include "owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "net.h"
#include "people.h"
#include "server.h"
#include "sim.h"

/* As in client/call.c. */
enum {
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 30000,
    STEADY_MS = 10000,
    LOOK_MS = 10000,
    LEAVE_MS = 5000,
    QUIET_MS = 1500,
    CONFIRM_MS = 600000,
    FIRST_ANSWER_MS = 6000,
    HANDSHAKE_FAILURE_COUNT_MAX = 5
};

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

/* --- events ---------------------------------------------------------------------------------- */

static void tell(struct owner *o, enum cn_event_type type, enum cn_err err)
{
    if (o->event_count == OWNER_EVENT_COUNT_MAX) {
        memmove(o->event, o->event + 1, sizeof o->event - sizeof o->event[0]);
        o->event_count--;
    }
    o->event[o->event_count++] = (struct cn_event) { type, NULL, err };
}

static void line_close(struct owner *o)
{
    if (o->fd >= 0)
        (void)net_close(o->fd);
    o->fd = -1;
}

/* The end of a connection tells a partner who has said CLOSE that we have it: one that is given up
 * is not to look like that. */
static void line_break(struct owner *o)
{
    if (o->fd >= 0)
        net_abort(o->fd);
    o->fd = -1;
}

/* The partner has given the call up and said why. */
static bool close_told(const struct cn_mux *mux)
{
    return mux->close_received && mux->close_received_code != 0;
}

static void end(struct owner *o, enum cn_err err)
{
    if (o->state == OWNER_OVER)
        return;
    if (sim.bug == SIM_BUG_CUT_IS_END && err == CN_E_INTERRUPTED)
        err = CN_OK;
    if (err == CN_OK || close_told(&o->mux) || o->state == OWNER_LEAVING)
        line_close(o);
    else
        line_break(o);
    o->state = OWNER_OVER;
    o->error = err;
    tell(o, CN_EVENT_CLOSED, err);
    sim_trace("%s: over: %s", o->setup.name, cn_err_text(err));
}

void owner_begin(struct owner *owner, const struct owner_setup *setup)
{
    memset(owner, 0, offsetof(struct owner, session));
    owner->setup = *setup;
    owner->fd = -1;
    owner->random = (struct cn_random) { random_fill, owner };
    owner->memory = (struct cn_memory) { memory_take, memory_give, owner };
    owner->want[0] = setup->want;
    owner->resume_s = setup->resume_s;
    owner->retry_delay_ms = RETRY_MS_MIN;
    owner->state = OWNER_PAUSED;
    owner->session.state = CN_SESSION_HELLO;
    owner->session.goaway_spread_s = 0;
    owner->session.verdict_known = false;
    owner->session.mux = NULL;
    owner->session.out_begin = owner->session.out_end = 0;
    owner->first_until_ms = owner_now(owner).ms + FIRST_ANSWER_MS;
    owner->wait_until_ms =
        setup->wait_ms == UINT64_MAX ? UINT64_MAX : owner_now(owner).ms + setup->wait_ms;
    cn_mux_init(&owner->mux, &owner->memory, CN_ROLE_A);
}

void owner_wipe(struct owner *owner)
{
    if (!owner->mux.memory)
        return;
    line_close(owner);
    owner->state = OWNER_OVER;
    cn_mux_wipe(&owner->mux);
    cn_record_wipe(&owner->session.send);
    cn_record_wipe(&owner->session.receive);
    cn_handshake_wipe(&owner->session.handshake);
    owner->mux.memory = NULL;
    if (owner->octets != 0)
        sim_fail("%s: %zu octets of memory were not given back", owner->setup.name, owner->octets);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void retry(struct owner *o, enum cn_err err, struct cn_now now)
{
    uint8_t random[2] = { 0, 0 };
    const uint64_t spread_ms = (uint64_t)o->session.goaway_spread_s * 1000;
    uint64_t delay_ms = o->retry_delay_ms;

    line_break(o);
    if (o->told >= CN_SESSION_WAITING && now.ms - o->line_since_ms >= STEADY_MS)
        delay_ms = o->retry_delay_ms = RETRY_MS_MIN;
    if (cn_random_fill(&o->random, random, sizeof random) != CN_OK)
        random[0] = random[1] = 0;
    if (spread_ms > 0)
        delay_ms = spread_ms * (random[0] * 256U + random[1]) / 65536;
    else
        delay_ms += delay_ms * random[0] / 512;
    o->session.goaway_spread_s = 0;
    o->retry_delay_ms *= 2;
    if (o->retry_delay_ms > RETRY_MS_MAX)
        o->retry_delay_ms = RETRY_MS_MAX;
    o->retry_ms = sim.bug == SIM_BUG_STUCK && o->lost ? UINT64_MAX : now.ms + delay_ms;
    o->state = OWNER_PAUSED;
    o->failure = err;
    if (!o->open)
        tell(o, CN_EVENT_RETRY, err);
    sim_trace("%s: dials again in %llu ms: %s", o->setup.name, (unsigned long long)delay_ms,
              cn_err_text(err));
}

static void session_begin(struct owner *o, struct cn_now now)
{
    struct cn_session_setup setup = {
        .crypto = people_crypto(),
        .random = &o->random,
        .fingerprint = server_fingerprint(o->setup.person),
        .want = o->open ? &o->want[1] : &o->want[0],
        .want_count = o->perhaps_open ? 2 : 1,
        .resume_s = o->resume_s,
    };
    enum cn_err err;

    cn_record_wipe(&o->session.send);
    cn_record_wipe(&o->session.receive);
    err = cn_session_start(&o->session, &setup, now);
    o->told = CN_SESSION_HELLO;
    o->line_since_ms = now.ms;
    o->look_ms = now.ms + LOOK_MS;
    if (err != CN_OK) {
        end(o, err);
        return;
    }
    o->state = OWNER_RUNNING;
}

static void connecting_begin(struct owner *o, struct cn_now now)
{
    o->state = OWNER_CONNECTING;
    o->connected_ms = now.ms + faults_connect_ms();
}

static void connecting_took(struct owner *o, struct cn_now now)
{
    struct net_setup setup;
    int fd[2];

    if (now.ms < o->connected_ms)
        return;
    if (!server_is_up()) {
        retry(o, CN_E_UNREACHABLE, now);
        return;
    }
    faults_plan(&setup);
    net_connect(&setup, o->setup.name, fd);
    o->fd = fd[0];
    server_accept(fd[1], o->setup.person);
    session_begin(o, now);
}

/* --- running --------------------------------------------------------------------------------- */

static bool line_read(struct owner *o, struct cn_now now)
{
    size_t room;
    uint8_t *to = cn_session_input(&o->session, &room);
    ssize_t got;

    if (room == 0)
        return false;
    got = net_recv(o->fd, to, room, false);
    if (got > 0) {
        cn_session_received(&o->session, (size_t)got, now);
        return true;
    }
    if (got < 0 && errno == EAGAIN)
        return false;
    cn_session_ended(&o->session);
    return false;
}

/* False: it is broken, and nobody reads on to find that out. */
static bool line_write(struct owner *o, struct cn_now now)
{
    for (;;) {
        size_t size;
        const uint8_t *octets = cn_session_output(&o->session, &size, now);
        ssize_t put;

        if (size == 0)
            return true;
        put = net_send(o->fd, octets, size);
        if (put <= 0)
            return errno == EAGAIN || o->session.state != CN_SESSION_CLOSED;
        cn_session_sent(&o->session, (size_t)put);
        if ((size_t)put < size)
            return true;
    }
}

static void tell_states(struct owner *o)
{
    static const struct {
        enum cn_session_state state;
        enum cn_event_type event;
        const char *name;
    } rows[] = {
        { CN_SESSION_REGISTER, CN_EVENT_CONNECTED, "admitted" },
        { CN_SESSION_WAITING, CN_EVENT_WAITING, "waits" },
        { CN_SESSION_PROLOGUE, CN_EVENT_JOINED, "joined" },
        { CN_SESSION_OPEN, CN_EVENT_OPEN, "open" },
    };
    const enum cn_session_state state = o->session.state;

    if (state == o->told || state >= CN_SESSION_CLOSED)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].state <= o->told || rows[i].state > state)
            continue;
        sim_trace("%s: %s", o->setup.name, rows[i].name);
        if (!o->lost)
            tell(o, rows[i].event, CN_OK);
    }
    o->told = state;
    if (state >= CN_SESSION_WAITING)
        o->failure = CN_OK;
}

static enum cn_err closed_error(uint32_t code)
{
    return code == cn_err_close_code(CN_E_REFUSED) ? CN_E_REFUSED : CN_E_INTERRUPTED;
}

/* What the call goes on with, of its first handshake. */
static void resume_prepare(struct owner *o)
{
    const struct cn_call_keys *keys = &o->session.keys;

    o->exporter = keys->exporter;
    o->limits = keys->limits;
    if (keys->limits.resume_s < o->resume_s)
        o->resume_s = keys->limits.resume_s;
    if (cn_pair_resume(&o->resumed, people_crypto(), o->setup.want.pair, &keys->resume) != CN_OK)
        o->resume_s = 0;
    o->want[1] = (struct cn_want) { .pair = &o->resumed,
                                    .identity = o->setup.want.identity,
                                    .service = CN_SERVICE_RESUME,
                                    .caller = cn_want_calls(&o->setup.want) };
}

static void lose(struct owner *o, enum cn_err err, uint64_t most_ms, struct cn_now now)
{
    enum cn_err failed = cn_mux_settle(&o->mux);

    if (failed != CN_OK) {
        end(o, failed);
        return;
    }
    o->mux.patience_ms = o->mux.moved ? CN_MUX_PATIENCE_MS : 2 * o->mux.patience_ms;
    if (o->mux.patience_ms > CN_MUX_PATIENCE_MS_MAX)
        o->mux.patience_ms = CN_MUX_PATIENCE_MS_MAX;
    o->quiet = false;
    o->lost = true;
    o->lost_until_ms = most_ms == UINT64_MAX ? UINT64_MAX : now.ms + most_ms;
    o->retry_delay_ms = RETRY_MS_MIN;
    retry(o, err, now);
    tell(o, CN_EVENT_LOST, err);
}

static uint64_t resume_most_ms(const struct owner *o)
{
    return o->resume_s == UINT32_MAX ? UINT64_MAX : (uint64_t)o->resume_s * 1000;
}

static bool is_loss(const struct owner *o, enum cn_err err)
{
    return o->resume_s != 0 && (err == CN_E_INTERRUPTED || err == CN_E_HUNG_UP ||
                                err == CN_E_TIMEOUT || err == CN_E_AUTH);
}

static bool is_ours(enum cn_err err)
{
    return err == CN_E_CRYPTO || err == CN_E_RANDOM || err == CN_E_MEMORY;
}

static void open_failed(struct owner *o, enum cn_err err, struct cn_now now)
{
    if (close_told(&o->mux))
        end(o, closed_error(o->mux.close_received_code));
    else if (o->lost && err != CN_E_ADMISSION && !is_ours(err))
        retry(o, err, now);
    else if (!o->lost && is_loss(o, err))
        lose(o, err, resume_most_ms(o), now);
    else
        end(o, is_ours(err) ? err : CN_E_INTERRUPTED);
}

static void session_failed(struct owner *o, struct cn_now now)
{
    const enum cn_err err = o->session.error;
    const bool shaking = o->session.joined != NULL;

    /* the partner may have it open: then it waits for nothing else */
    if (!o->open && o->session.finish_sent && o->session.joined == &o->want[0] && o->resume_s > 0) {
        resume_prepare(o);
        o->perhaps_open = o->resume_s > 0;
    }
    if (o->open) {
        open_failed(o, err, now);
    } else if (err == CN_E_ADMISSION || err == CN_E_CRYPTO || err == CN_E_RANDOM ||
               err == CN_E_MEMORY || (err == CN_E_LIMIT && !shaking)) {
        end(o, err);
    } else if (shaking && cn_err_blame(err) == CN_BLAME_PEER && err != CN_E_INTERRUPTED &&
               err != CN_E_TIMEOUT && o->wait_until_ms != UINT64_MAX &&
               ++o->handshake_failures >= HANDSHAKE_FAILURE_COUNT_MAX) {
        end(o, CN_E_AUTH);
    } else {
        retry(o, err, now);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static void leave(struct owner *o)
{
    (void)net_shutdown(o->fd);
    o->state = OWNER_LEAVING;
}

static void leaving_process(struct owner *o, struct cn_now now)
{
    static uint8_t octets[16384];
    ssize_t got = 1;

    for (int i = 0; i < 64 && got > 0; i++)
        got = net_recv(o->fd, octets, sizeof octets, false);
    if (got > 0 || (got < 0 && errno == EAGAIN)) {
        if (now.ms < o->leave_ms)
            return;
    }
    end(o, CN_E_CANCELLED);
}

static void confirm(struct owner *o, struct cn_now now)
{
    if (o->resume_s == 0) {
        end(o, CN_OK);
        return;
    }
    (void)net_shutdown(o->fd);
    o->state = OWNER_CONFIRMING;
    o->leave_ms = now.ms + LEAVE_MS;
}

/* Both have said CLOSE, and whether the partner has ours is not known. */
static void unconfirmed(struct owner *o, struct cn_now now)
{
    const uint64_t most_ms = resume_most_ms(o);

    o->leave_ms = 0;
    o->confirming = true;
    lose(o, CN_E_INTERRUPTED, most_ms < CONFIRM_MS ? most_ms : CONFIRM_MS, now);
}

static void confirming_process(struct owner *o, struct cn_now now)
{
    uint8_t octet;
    ssize_t got = net_recv(o->fd, &octet, sizeof octet, false);

    if (got < 0 && errno == EAGAIN && now.ms < o->leave_ms)
        return;
    if (got >= 0)
        end(o, CN_OK);
    else
        unconfirmed(o, now);
}

static void running_end(struct owner *o, struct cn_now now)
{
    const struct cn_mux *mux = &o->mux;
    size_t left;

    (void)cn_session_output(&o->session, &left, now);
    if (close_told(mux) && !cn_mux_has_event(mux))
        end(o, closed_error(mux->close_received_code));
    else if (mux->close_sent && mux->close_code != 0 && left == 0)
        leave(o);
    else if (o->leave_ms != 0 && now.ms >= o->leave_ms)
        end(o, CN_E_CANCELLED);
    else if (o->session.mux && cn_mux_is_closed(mux) && left == 0) /* on this line, too */
        confirm(o, now);
}

static void carry(struct owner *o, struct cn_now now)
{
    const bool resumes = o->session.joined && o->session.joined == &o->want[1];

    if (o->session.state != CN_SESSION_OPEN || o->session.mux)
        return;
    if (!o->open) {
        if (!resumes)
            resume_prepare(o);
        cn_mux_set_role(&o->mux, o->setup.want.pair->role);
        cn_mux_begin(&o->mux, &o->limits, now.ms);
        o->open = true;
        o->perhaps_open = false;
        if (o->resume_s > 0)
            o->mux.patience_ms = CN_MUX_PATIENCE_MS;
    }
    cn_session_carry(&o->session, &o->mux, now);
    faults_rehandshake(&o->session);
    o->resumes += resumes;
    if (o->lost)
        tell(o, CN_EVENT_RESUMED, CN_OK);
    o->lost = false;
}

static bool running_step(struct owner *o, struct cn_now now)
{
    if (!cn_session_step(&o->session, now))
        return false;
    carry(o, now);
    return true;
}

static void tell_quiet(struct owner *o, struct cn_now now)
{
    const bool quiet =
        o->session.state == CN_SESSION_OPEN && now.ms >= cn_mux_quiet_ms(&o->mux, QUIET_MS);

    if (quiet != o->quiet)
        tell(o, quiet ? CN_EVENT_QUIET : CN_EVENT_HEARD, CN_OK);
    o->quiet = quiet;
}

/* Both ends are honest and keys are fresh: nothing authentic is ever wrong, and nothing is forged
 * that nobody has damaged. */
static void failure_check(const struct owner *o)
{
    const enum cn_err err = o->session.error;

    if (o->session.state != CN_SESSION_FAILED)
        return;
    if (err == CN_E_FORMAT && !o->session.joined && o->date_was_set)
        return; /* JOINED names a tag of hours ago */
    if (err == CN_E_FORMAT || err == CN_E_LIMIT || err == CN_E_FULL || err == CN_E_KEY ||
        err == CN_E_UNEXPECTED || err == CN_E_CRYPTO)
        sim_fail("%s: %s%s", o->setup.name, cn_err_text(err),
                 o->session.mux ? ", from an honest partner" : "");
    if (err == CN_E_AUTH && sim.flips == 0)
        sim_fail("%s: not authentic, though nothing was damaged", o->setup.name);
}

static void running_process(struct owner *o, struct cn_now now)
{
    if (o->session.state == CN_SESSION_WAITING && now.ms >= o->look_ms)
        o->look_ms = now.ms + LOOK_MS;
    while (running_step(o, now)) {
        if (o->mux.borrower || o->session.state == CN_SESSION_FAILED)
            break;
    }
    if (!o->mux.borrower && o->session.state < CN_SESSION_CLOSED && line_read(o, now)) {
        while (!o->mux.borrower && running_step(o, now))
            ;
    }
    failure_check(o);
    tell_states(o);
    if (o->session.state != CN_SESSION_FAILED && !line_write(o, now)) {
        unconfirmed(o, now);
        return;
    }
    if (o->open)
        tell_quiet(o, now);
    if (o->open)
        running_end(o, now);
    if (o->state == OWNER_RUNNING && o->session.state == CN_SESSION_FAILED)
        session_failed(o, now);
}

/* Being joined counts as the partner's coming. */
static bool waits(const struct owner *o)
{
    return !o->open && !(o->state == OWNER_RUNNING && o->told >= CN_SESSION_PROLOGUE);
}

static void check_wait(struct owner *o, struct cn_now now)
{
    if (o->lost && now.ms >= o->lost_until_ms)
        end(o, o->confirming ? CN_OK : CN_E_INTERRUPTED);
    if (o->lost && o->leave_ms != 0 && now.ms >= o->leave_ms)
        end(o, CN_E_CANCELLED);
    if (o->state == OWNER_OVER || !waits(o) || now.ms < o->wait_until_ms)
        return;
    if (o->told >= CN_SESSION_WAITING && o->failure == CN_OK)
        end(o, CN_E_TIMEOUT);
    else if (o->failure != CN_OK)
        end(o, cn_err_blame(o->failure) == CN_BLAME_SYSTEM ? o->failure : CN_E_TIMEOUT);
    else if (now.ms >= o->first_until_ms)
        end(o, CN_E_UNREACHABLE);
}

void owner_network_changed(struct owner *owner)
{
    if (owner->fd >= 0)
        net_kill(owner->fd);
    if (owner->lost && owner->state == OWNER_PAUSED) {
        owner->retry_delay_ms = RETRY_MS_MIN;
        owner->retry_ms = owner_now(owner).ms;
    } else if (owner->state == OWNER_RUNNING && owner->open) {
        cn_session_ended(&owner->session);
        owner_process(owner);
    }
}

void owner_process(struct owner *owner)
{
    const struct cn_now now = owner_now(owner);

    if (owner->state == OWNER_OVER)
        return;
    if (owner->state == OWNER_PAUSED && now.ms >= owner->retry_ms)
        connecting_begin(owner, now);
    else if (owner->state == OWNER_CONNECTING)
        connecting_took(owner, now);
    if (owner->state == OWNER_RUNNING)
        running_process(owner, now);
    if (owner->state == OWNER_LEAVING)
        leaving_process(owner, now);
    if (owner->state == OWNER_CONFIRMING)
        confirming_process(owner, now);
    check_wait(owner, now);
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool line_is_ready(struct owner *o)
{
    unsigned ready;
    size_t left;

    if (o->fd < 0)
        return false;
    ready = net_ready(o->fd);
    if (ready & (NET_IN | NET_BROKEN))
        return true;
    if (o->state != OWNER_RUNNING)
        return false;
    (void)cn_session_output(&o->session, &left, owner_now(o));
    return left > 0 && ready & NET_OUT;
}

/* By its own clock. */
static uint64_t due_ms(const struct owner *o, struct cn_now now)
{
    uint64_t due = UINT64_MAX;

    if (o->state == OWNER_PAUSED)
        due = o->retry_ms;
    if (o->state == OWNER_CONNECTING)
        due = o->connected_ms;
    if (o->state == OWNER_RUNNING) {
        if (o->session.in_end > o->session.in_begin && o->mux.borrower)
            return 0;
        due = cn_session_deadline_ms(&o->session, now);
        if (o->session.state == CN_SESSION_WAITING && o->look_ms < due)
            due = o->look_ms;
        if (o->session.state == CN_SESSION_OPEN && !o->quiet &&
            cn_mux_quiet_ms(&o->mux, QUIET_MS) < due)
            due = cn_mux_quiet_ms(&o->mux, QUIET_MS);
    }
    if (o->leave_ms != 0 && o->leave_ms < due)
        due = o->leave_ms;
    if (o->lost && o->lost_until_ms < due)
        due = o->lost_until_ms;
    if (waits(o) && o->wait_until_ms < due)
        due = now.ms < o->wait_until_ms ? o->wait_until_ms : o->first_until_ms;
    return due;
}

uint64_t owner_due_ms(struct owner *owner)
{
    uint64_t due = owner->state == OWNER_OVER ? UINT64_MAX : due_ms(owner, owner_now(owner));

    if (due != UINT64_MAX)
        due = (int64_t)due > owner->ahead_ms ? (uint64_t)((int64_t)due - owner->ahead_ms) : 0;
    return due > owner->frozen_until_ms ? due : owner->frozen_until_ms;
}

bool owner_is_ready(struct owner *owner)
{
    if (sim.now_ms < owner->frozen_until_ms)
        return false;
    if (owner->event_count > 0 || cn_mux_has_event(&owner->mux))
        return true;
    return owner->state != OWNER_OVER &&
           (owner_due_ms(owner) <= sim.now_ms || line_is_ready(owner));
}

bool owner_next_event(struct owner *owner, struct cn_event *event)
{
    struct cn_event e = { CN_EVENT_NONE, NULL, CN_OK };

    if (owner->event_count > 0 && owner->event[0].type != CN_EVENT_CLOSED) {
        e = owner->event[0];
    } else if (cn_mux_next_event(&owner->mux, &e.stream, &e.type)) {
        *event = e;
        return true;
    } else if (owner->event_count > 0) {
        e = owner->event[0];
    } else {
        return false;
    }
    owner->event_count--;
    memmove(owner->event, owner->event + 1, owner->event_count * sizeof owner->event[0]);
    *event = e;
    return true;
}

void owner_finish(struct owner *owner)
{
    cn_mux_finish(&owner->mux);
}

void owner_cancel(struct owner *owner, enum cn_err why)
{
    const unsigned code = cn_err_close_code(why);

    if (!owner->open || owner->state == OWNER_OVER) {
        end(owner, CN_E_CANCELLED);
        return;
    }
    if (owner->confirming || owner->state == OWNER_CONFIRMING) {
        end(owner, CN_OK);
        return;
    }
    cn_mux_close(&owner->mux, code ? code : cn_err_close_code(CN_E_CANCELLED));
    owner->leave_ms = owner_now(owner).ms + LEAVE_MS;
}
