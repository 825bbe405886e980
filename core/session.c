#include "session_inside.h"

#include <assert.h>
#include <string.h>

/* No secret waits for the owner's next start. The keys of a call that is open, or may be at the
 * partner's, outlive its connection (PROTOCOL.md 5.4, 6.5). */
static void fail(struct cn_session *s, enum cn_err err)
{
    cn_noise_wipe(&s->noise);
    cn_admission_line_wipe(&s->line);
    cn_handshake_wipe(&s->handshake);
    cn_record_wipe(&s->send);
    cn_record_wipe(&s->receive);
    cn_rehandshake_wipe(&s->rehandshake);
    s->list_sent = s->list_count = 0;
    if (!s->finish_sent)
        cn_call_keys_wipe(&s->keys);
    s->state = CN_SESSION_FAILED;
    s->error = err;
}

void cn_session_enter(struct cn_session *s, enum cn_session_state state, uint64_t deadline_ms)
{
    assert(s->state != CN_SESSION_FAILED && state > s->state);
    s->state = state;
    s->deadline_ms = deadline_ms;
}

void cn_session_wipe(struct cn_session *session)
{
    if (!session)
        return;
    cn_record_wipe(&session->send);
    cn_record_wipe(&session->receive);
    cn_wipe(session, sizeof *session);
    cn_wipe_remains();
}

uint8_t *cn_session_out_room(struct cn_session *s, size_t size)
{
    if (sizeof s->out - s->out_end < size)
        return NULL;
    return s->out + s->out_end;
}

/* Whether any record fits, and PINGs behind it. */
bool cn_session_out_takes_records(const struct cn_session *s)
{
    return sizeof s->out - s->out_end >= CN_RECORD_SIZE_MAX + CN_SESSION_PING_OUT_SIZE;
}

static bool out_takes_ping(const struct cn_session *s)
{
    return sizeof s->out - s->out_end >= cn_record_wire_size(0);
}

enum cn_err cn_session_send_message(struct cn_session *s,
                                    const struct cn_admission_message *message)
{
    uint8_t *out = cn_session_out_room(s, CN_ADMISSION_SIZE);
    enum cn_err err = out ? cn_admission_seal(&s->line, s->setup.crypto, message, out) : CN_E_FULL;

    if (err == CN_OK)
        s->out_end += CN_ADMISSION_SIZE;
    return err;
}

enum cn_err cn_session_start(struct cn_session *session, const struct cn_session_setup *setup,
                             struct cn_now now)
{
    uint8_t ephemeral[CN_X25519_SIZE];
    enum cn_err err;

    assert(setup->want_count > 0);
    memset(session, 0, offsetof(struct cn_session, in));
    session->setup = *setup;
    session->heard_ms = now.ms;
    session->deadline_ms = now.ms + CN_SESSION_ANSWER_TIMEOUT_MS;
    err = cn_random_fill(setup->random, ephemeral, sizeof ephemeral);
    if (err == CN_OK)
        err = cn_admission_hello_write(&session->noise, setup->crypto, setup->fingerprint,
                                       ephemeral, session->out);
    if (err == CN_OK)
        session->out_end = CN_ADMISSION_SIZE;
    else
        fail(session, err);
    cn_wipe(ephemeral, sizeof ephemeral);
    return err;
}

/* --- shaking hands --------------------------------------------------------------------------- */

void cn_session_hold(struct cn_session *s, size_t from, uint64_t now_ms, unsigned delay_ms)
{
    if (!cn_handshake_is_rsa(&s->handshake))
        return;
    s->held_at = from;
    s->held_until_ms = now_ms + delay_ms;
}

bool cn_session_is_held(const struct cn_session *s, uint64_t now_ms)
{
    return now_ms < s->held_until_ms;
}

static enum cn_role caller_of(const struct cn_want *want)
{
    return cn_want_calls(want) ? want->pair->role : cn_role_other(want->pair->role);
}

struct cn_handshake_setup cn_session_handshake_setup(const struct cn_session *s,
                                                     const struct cn_want *want)
{
    struct cn_handshake_setup setup = {
        .crypto = s->setup.crypto,
        .random = s->setup.random,
        .identity = want->identity,
        .pair = want->pair,
        .service = want->service,
        .caller = caller_of(want),
        .limits = cn_mux_limits(),
    };

    setup.limits.resume_s = s->setup.resume_s;
    return setup;
}

enum cn_err cn_session_send_record(struct cn_session *s, const struct cn_piece *pieces,
                                   size_t count, size_t wire_size)
{
    uint8_t *out = cn_session_out_room(s, wire_size);
    enum cn_err err = out ? cn_record_seal(&s->send, pieces, count, wire_size, out) : CN_E_FULL;

    if (err == CN_OK)
        s->out_end += wire_size;
    s->rehandshake.octets += wire_size;
    return err;
}

enum cn_err cn_session_send_keys(struct cn_session *s, const struct cn_call_keys *keys)
{
    const struct cn_pair *pair = s->joined->pair;
    const struct cn_piece finish = { keys->finish_send, sizeof keys->finish_send };
    enum cn_err err;

    cn_record_wipe(&s->send);
    err = cn_record_init(&s->send, s->setup.crypto, pair->suite, &keys->send, pair->role, true);
    return err == CN_OK ? cn_session_send_record(s, &finish, 1, cn_record_wire_size(finish.size))
                        : err;
}

enum cn_err cn_session_receive_keys(struct cn_session *s, const struct cn_call_keys *keys)
{
    const struct cn_pair *pair = s->joined->pair;

    cn_record_wipe(&s->receive);
    return cn_record_init(&s->receive, s->setup.crypto, pair->suite, &keys->receive,
                          cn_role_other(pair->role), false);
}

static enum cn_err take_prologue(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    uint8_t *out = cn_session_out_room(s, CN_ANSWER_SIZE);
    enum cn_err err = out ? cn_handshake_prologue(&s->handshake, in, out) : CN_E_FULL;

    if (err != CN_OK)
        return err;
    cn_session_hold(s, s->out_end, now.ms, CN_ANSWER_DELAY_MS);
    s->out_end += CN_ANSWER_SIZE;
    cn_session_enter(s, CN_SESSION_ANSWER, s->deadline_ms);
    return CN_OK;
}

/* The keys are there: send our Finish. */
static enum cn_err take_answer(struct cn_session *s, const uint8_t *in)
{
    enum cn_err err = cn_handshake_answer(&s->handshake, in, &s->keys);

    if (err == CN_OK)
        err = cn_session_receive_keys(s, &s->keys);
    if (err == CN_OK)
        err = cn_session_send_keys(s, &s->keys);
    cn_wipe(&s->keys.send, sizeof s->keys.send);
    cn_wipe(&s->keys.receive, sizeof s->keys.receive);
    if (err != CN_OK)
        return err;
    s->finish_sent = true;
    cn_session_enter(s, CN_SESSION_FINISH, s->deadline_ms);
    return CN_OK;
}

static enum cn_err take_finish(struct cn_session *s, const uint8_t *plain, size_t size)
{
    if (size < CN_FINISH_SIZE)
        return CN_E_FORMAT;
    if (!cn_equal_ct(plain, s->keys.finish_receive, CN_FINISH_SIZE))
        return CN_E_AUTH;
    cn_session_enter(s, CN_SESSION_OPEN, UINT64_MAX);
    return CN_OK;
}

void cn_session_carry(struct cn_session *session, struct cn_mux *mux, struct cn_now now)
{
    assert(session->state == CN_SESSION_OPEN && !session->mux);
    session->mux = mux;
    cn_rehandshake_done(&session->rehandshake, now.ms);
    if (session->joined->service == CN_SERVICE_RESUME)
        cn_mux_resume(mux, now.ms);
    else
        cn_mux_begin(mux, &session->keys.limits, now.ms);
}

/* --- input ----------------------------------------------------------------------------------- */

uint8_t *cn_session_input(struct cn_session *session, size_t *size)
{
    size_t room, until;

    if (session->in_begin == session->in_end && (!session->mux || !session->mux->borrower))
        session->in_begin = session->in_end = 0;
    /* whole bulk records, counted from the first: then the last does not end in the next round,
     * and its beginning need not be moved */
    room = sizeof session->in - session->in_begin;
    until = session->in_begin + room - room % CN_RECORD_SIZE_MAX;
    *size = until > session->in_end ? until - session->in_end : 0;
    return session->in + session->in_end;
}

void cn_session_received(struct cn_session *session, size_t size, struct cn_now now)
{
    assert(size <= sizeof session->in - session->in_end);
    session->in_end += size;
    session->heard_ms = now.ms;
}

/* Make room behind what is not dealt with. Octets lent to a stream are copied out first. */
static enum cn_err in_compact(struct cn_session *s)
{
    enum cn_err err = s->mux ? cn_mux_settle(s->mux) : CN_OK;

    memmove(s->in, s->in + s->in_begin, s->in_end - s->in_begin);
    s->in_end -= s->in_begin;
    s->in_begin = 0;
    return err;
}

/* The octets of the next message of a fixed size, which count as dealt with; NULL: not all here. */
static const uint8_t *in_take(struct cn_session *s, size_t size)
{
    const uint8_t *message = s->in + s->in_begin;

    if (s->in_end - s->in_begin < size)
        return NULL;
    s->in_begin += size;
    return message;
}

static enum cn_err step_record(struct cn_session *s, struct cn_now now)
{
    const uint8_t *plain;
    size_t plain_size, used;
    enum cn_err err = s->mux ? cn_mux_settle(s->mux) : CN_OK;

    if (err == CN_OK)
        err = cn_record_open(&s->receive, s->in + s->in_begin, s->in_end - s->in_begin, &plain,
                             &plain_size, &used);
    if (err == CN_E_FORMAT)
        err = CN_E_AUTH; /* not what the partner sent: a length that it never has */
    if (err != CN_OK)
        return err;
    s->in_begin += used;
    s->rehandshake.octets += used;
    if (s->state == CN_SESSION_FINISH)
        return take_finish(s, plain, plain_size);
    if (s->rehandshake.receive_switched && !s->rehandshake.receive_finished)
        return cn_session_keys_take_finish(s, plain, plain_size, now.ms);
    if (cn_session_keys_are(plain, plain_size))
        return cn_session_keys_take(s, plain, plain_size, now.ms);
    return cn_mux_input(s->mux, plain, plain_size, now.ms);
}

static enum cn_err step_prologue(struct cn_session *s, struct cn_now now)
{
    const uint8_t *head = s->in + s->in_begin;
    const uint8_t *in;

    if (s->in_end - s->in_begin < CN_PROLOGUE_HEAD_SIZE)
        return CN_E_MORE;
    if ((head[0] << 8 | head[1]) != CN_PROLOGUE_SIZE)
        return CN_E_AUTH; /* no partner of ours sends another size */
    in = in_take(s, CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE);
    return in ? take_prologue(s, in + CN_PROLOGUE_HEAD_SIZE, now) : CN_E_MORE;
}

/* Deal with one message. CN_E_MORE: it is not all there. */
static enum cn_err step_input(struct cn_session *s, struct cn_now now)
{
    const uint8_t *in;

    switch (s->state) {
    case CN_SESSION_HELLO:
        in = in_take(s, CN_ADMISSION_SIZE);
        return in ? cn_session_take_verdict(s, in, now) : CN_E_MORE;
    case CN_SESSION_REGISTER:
    case CN_SESSION_WAITING:
        in = in_take(s, CN_ADMISSION_SIZE);
        return in ? cn_session_take_admission(s, in, now) : CN_E_MORE;
    case CN_SESSION_PROLOGUE:
        return step_prologue(s, now);
    case CN_SESSION_ANSWER:
        in = in_take(s, CN_ANSWER_SIZE);
        return in ? take_answer(s, in) : CN_E_MORE;
    case CN_SESSION_OPEN:
        if (!s->mux)
            return CN_E_MORE; /* until the owner gives it one */
        return step_record(s, now);
    case CN_SESSION_FINISH:
        return step_record(s, now);
    case CN_SESSION_CLOSED:
    case CN_SESSION_FAILED:
        break;
    }
    return CN_E_MORE;
}

/* --- time ------------------------------------------------------------------------------------ */

static enum cn_err step_time(struct cn_session *s, struct cn_now now, bool *done)
{
    if (now.ms >= s->deadline_ms || (s->mux && (cn_mux_is_dead(s->mux, now.ms) ||
                                                cn_rehandshake_is_late(&s->rehandshake, now.ms))))
        return CN_E_TIMEOUT;
    return cn_session_is_waiting(s) ? cn_session_step_waiting(s, now, done) : CN_OK;
}

bool cn_session_step(struct cn_session *session, struct cn_now now)
{
    bool done = false;
    enum cn_err err;

    if (session->state >= CN_SESSION_CLOSED)
        return false;
    err = step_time(session, now, &done);
    /* what answers something that we have not said yet waits until we have */
    if (err == CN_OK && !cn_session_is_held(session, now.ms)) {
        err = step_input(session, now);
        done |= err == CN_OK;
        if (err == CN_E_MORE)
            err = sizeof session->in - session->in_begin < CN_RECORD_SIZE_MAX ? in_compact(session)
                                                                              : CN_OK;
    }
    if (err == CN_OK && session->mux && cn_mux_is_closed(session->mux))
        cn_session_enter(session, CN_SESSION_CLOSED, UINT64_MAX);
    if (err != CN_OK)
        fail(session, err);
    return done || err != CN_OK;
}

void cn_session_ended(struct cn_session *session)
{
    if (session->state < CN_SESSION_CLOSED)
        fail(session, session->state == CN_SESSION_HELLO ? CN_E_HUNG_UP : CN_E_INTERRUPTED);
}

/* What is to be said, but for a PING, waits for the line to take what has been said. */
static uint64_t open_deadline_ms(const struct cn_session *s, uint64_t now_ms)
{
    const bool takes_all = cn_session_out_takes_records(s);
    uint64_t deadline = takes_all ? cn_mux_deadline_ms(s->mux) : cn_mux_dead_ms(s->mux);
    uint64_t other = UINT64_MAX;

    if (s->mux->close_sent)
        return deadline;
    if (takes_all)
        other = cn_rehandshake_deadline_ms(&s->rehandshake, now_ms);
    else if (out_takes_ping(s))
        other = cn_mux_ping_ms(s->mux);
    return other < deadline ? other : deadline;
}

uint64_t cn_session_deadline_ms(const struct cn_session *session, struct cn_now now)
{
    uint64_t deadline = session->deadline_ms;
    uint64_t other = UINT64_MAX;

    if (session->state >= CN_SESSION_CLOSED)
        return UINT64_MAX;
    if (cn_session_is_waiting(session) && cn_session_list_is_begun(session)) {
        other = cn_session_silence_until_ms(session);
    } else if (cn_session_is_waiting(session)) {
        other = cn_session_tags_deadline_ms(session, now);
        if (session->keep_alive_due_ms < other)
            other = session->keep_alive_due_ms;
    } else if (cn_session_is_held(session, now.ms)) {
        other = session->held_until_ms;
    } else if (session->mux) {
        other = open_deadline_ms(session, now.ms);
    }
    return other < deadline ? other : deadline;
}

/* --- output ---------------------------------------------------------------------------------- */

/* A line that takes no more must still be asked whether it is one. */
static bool next_record(struct cn_session *s, uint64_t now_ms)
{
    if (cn_session_out_takes_records(s))
        return cn_mux_output(s->mux, now_ms, &s->record);
    return out_takes_ping(s) && cn_mux_output_ping(s->mux, now_ms, &s->record);
}

const uint8_t *cn_session_output(struct cn_session *session, size_t *size, struct cn_now now)
{
    while (cn_session_list_is_begun(session) && session->out_end < CN_SESSION_LIST_OUT_SIZE) {
        enum cn_err err = cn_session_list_step(session);

        if (err != CN_OK)
            fail(session, err);
    }
    if (session->state == CN_SESSION_OPEN && session->mux) {
        enum cn_err err = cn_session_keys_say(session, now.ms);

        if (err != CN_OK)
            fail(session, err);
    }
    while (session->state == CN_SESSION_OPEN && session->mux && next_record(session, now.ms)) {
        enum cn_err err = cn_session_send_record(
            session, session->record.piece, session->record.piece_count, session->record.wire_size);

        if (err != CN_OK)
            fail(session, err);
    }
    *size = (cn_session_is_held(session, now.ms) ? session->held_at : session->out_end) -
            session->out_begin;
    return session->out + session->out_begin;
}

void cn_session_sent(struct cn_session *session, size_t size)
{
    assert(size <= session->out_end - session->out_begin);
    session->out_begin += size;
    if (session->out_begin == session->out_end)
        session->out_begin = session->out_end = 0;
}
