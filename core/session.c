#include "session.h"

#include "reader.h"
#include "writer.h"

#include <assert.h>
#include <string.h>

enum { UPDATE_SPREAD_MS = 30000 };

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

static void enter(struct cn_session *s, enum cn_session_state state, uint64_t deadline_ms)
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
}

/* Room for a whole admission message or answer at the end of out, or NULL. */
static uint8_t *out_room(struct cn_session *s, size_t size)
{
    if (sizeof s->out - s->out_end < size)
        return NULL;
    return s->out + s->out_end;
}

/* Whether any record fits, and PINGs behind it. */
static bool out_takes_records(const struct cn_session *s)
{
    return sizeof s->out - s->out_end >= CN_RECORD_SIZE_MAX + CN_SESSION_PING_OUT_SIZE;
}

static bool out_takes_ping(const struct cn_session *s)
{
    return sizeof s->out - s->out_end >= cn_record_wire_size(0);
}

static enum cn_err send_message(struct cn_session *s, const struct cn_admission_message *message)
{
    uint8_t *out = out_room(s, CN_ADMISSION_SIZE);
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

/* --- waiting --------------------------------------------------------------------------------- */

bool cn_want_calls(const struct cn_want *want)
{
    return cn_service_symmetric(want->service) ? want->pair->role == CN_ROLE_A : want->caller;
}

size_t cn_want_count_max(const struct cn_admission_verdict *verdict)
{
    size_t count = verdict->tag_count_max / CN_TAG_EPOCH_COUNT_MAX;

    return count > 0 ? count : 1;
}

static enum cn_mode mode_of(const struct cn_want *want)
{
    return cn_want_calls(want) ? CN_MODE_OUTPUT : CN_MODE_INPUT;
}

static enum cn_role caller_of(const struct cn_want *want)
{
    return cn_want_calls(want) ? want->pair->role : cn_role_other(want->pair->role);
}

/* A random number below range; 0 if range is. */
static enum cn_err jitter(struct cn_session *s, uint64_t range, uint64_t *out)
{
    uint8_t bytes[4];
    enum cn_err err = cn_random_fill(s->setup.random, bytes, sizeof bytes);
    uint64_t value =
        (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];

    *out = err == CN_OK && range > 0 ? value % range : 0;
    return err;
}

static const struct cn_want *listed(const struct cn_session *s)
{
    return &s->setup.want[s->list_sent / s->epoch_count];
}

/* Those whose time has not come. */
static void list_skip(struct cn_session *s)
{
    while (s->list_sent < s->list_count && listed(s)->late && !s->late_in)
        s->list_sent++;
}

/* REGISTER or UPDATE with every want's tags of the epochs that hold now: list_step sends it. */
static void list_begin(struct cn_session *s, enum cn_admission_type type, uint64_t utc_s)
{
    s->epoch_count = cn_tag_epochs(utc_s, s->epoch);
    s->update_due_ms = UINT64_MAX;
    s->list_type = type;
    s->list_sent = 0;
    s->list_count = s->setup.want_count * s->epoch_count;
    list_skip(s);
}

/* Nothing else may be said before the rest of it, but for READY: PROTOCOL.md 3.3. */
static bool list_is_begun(const struct cn_session *s)
{
    return s->list_sent < s->list_count;
}

/* Its next message. */
static enum cn_err list_step(struct cn_session *s)
{
    struct cn_admission_message m = { .type = s->list_type };
    enum cn_err err = CN_OK;

    while (err == CN_OK && list_is_begun(s) && m.entry_count < CN_ADMISSION_ENTRY_COUNT_MAX) {
        const struct cn_want *want = listed(s);
        uint64_t epoch = s->epoch[s->list_sent % s->epoch_count];
        struct cn_entry *entry = &m.entry[m.entry_count++];

        entry->mode = mode_of(want);
        err = cn_tag_make(s->setup.crypto, &want->pair->tag_key, want->service, epoch, entry->tag);
        s->list_sent++;
        list_skip(s);
    }
    m.more = list_is_begun(s);
    if (err == CN_OK)
        err = send_message(s, &m);
    cn_wipe(&m, sizeof m);
    return err;
}

/* Whether the tags registered are those of now. The clock may have been set since. */
static bool tags_hold(const struct cn_session *s, uint64_t utc_s)
{
    uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX];
    size_t count = cn_tag_epochs(utc_s, epoch);

    if (count != s->epoch_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (epoch[i] != s->epoch[i])
            return false;
    }
    return true;
}

/* UPDATE once the tags have changed: not at once, lest all subscribers speak at the same time. */
static enum cn_err step_tags(struct cn_session *s, struct cn_now now, bool *done)
{
    uint64_t delay_ms;
    enum cn_err err;

    if (now.ms >= s->late_due_ms) {
        s->late_due_ms = UINT64_MAX;
        s->late_in = true;
        *done = true;
        list_begin(s, CN_ADMISSION_UPDATE, now.utc_s);
        return CN_OK;
    }
    if (tags_hold(s, now.utc_s)) {
        s->update_due_ms = UINT64_MAX;
        return CN_OK;
    }
    if (s->update_due_ms == UINT64_MAX) {
        err = jitter(s, UPDATE_SPREAD_MS, &delay_ms);
        s->update_due_ms = now.ms + delay_ms;
        return err;
    }
    if (now.ms < s->update_due_ms)
        return CN_OK;
    *done = true;
    list_begin(s, CN_ADMISSION_UPDATE, now.utc_s);
    return CN_OK;
}

static uint64_t tags_deadline_ms(const struct cn_session *s, struct cn_now now)
{
    uint64_t due_ms = now.ms + cn_tag_epochs_change_s(now.utc_s) * 1000;

    if (s->state != CN_SESSION_WAITING || list_is_begun(s))
        return UINT64_MAX;
    if (!tags_hold(s, now.utc_s))
        due_ms = s->update_due_ms != UINT64_MAX ? s->update_due_ms : now.ms;
    return due_ms < s->late_due_ms ? due_ms : s->late_due_ms;
}

/* The next keep-alive: after three quarters of the interval to all of it. */
static enum cn_err plan_keep_alive(struct cn_session *s, uint64_t now_ms)
{
    uint64_t interval_ms = (uint64_t)s->verdict.keep_alive_s * 1000;
    uint64_t less;
    enum cn_err err = jitter(s, interval_ms / 4, &less);

    s->keep_alive_due_ms = now_ms + interval_ms - less;
    return err;
}

/* If all were late, none would be. */
static void plan_late(struct cn_session *s, uint64_t now_ms)
{
    size_t late = 0;

    for (size_t i = 0; i < s->setup.want_count; i++)
        late += s->setup.want[i].late;
    s->late_in = late == 0 || late == s->setup.want_count;
    s->late_due_ms = s->late_in ? UINT64_MAX : now_ms + CN_SESSION_LATE_MS;
}

static enum cn_err take_verdict(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    enum cn_err err = cn_admission_verdict_read(&s->noise, in, &s->verdict, &s->line);

    if (err != CN_OK)
        return err;
    s->verdict_known = true;
    if (s->verdict.verdict != CN_VERDICT_ADMITTED)
        return CN_E_ADMISSION;
    if (s->setup.want_count > cn_want_count_max(&s->verdict))
        return CN_E_LIMIT;
    enter(s, CN_SESSION_REGISTER, now.ms + CN_SESSION_ANSWER_TIMEOUT_MS);
    plan_late(s, now.ms);
    list_begin(s, CN_ADMISSION_REGISTER, now.utc_s);
    return plan_keep_alive(s, now.ms);
}

static const struct cn_want *want_of(struct cn_session *s, const struct cn_entry *entry,
                                     uint64_t utc_s)
{
    uint64_t now = utc_s / CN_TAG_EPOCH_S;
    uint8_t tag[CN_TAG_SIZE];

    for (size_t i = 0; i < s->setup.want_count; i++) {
        const struct cn_want *want = &s->setup.want[i];

        if (mode_of(want) != entry->mode)
            continue;
        /* a tag of ours may be one epoch old or early, and an UPDATE may have crossed JOINED */
        for (uint64_t epoch = now > 0 ? now - 1 : 0; epoch <= now + 1; epoch++) {
            if (cn_tag_make(s->setup.crypto, &want->pair->tag_key, want->service, epoch, tag) ==
                    CN_OK &&
                cn_equal_ct(tag, entry->tag, sizeof tag))
                return want;
        }
    }
    return NULL;
}

/* If an identity is RSA, what out has from here on leaves no earlier than so much later. */
static void hold(struct cn_session *s, size_t from, uint64_t now_ms, unsigned delay_ms)
{
    if (!cn_handshake_is_rsa(&s->handshake))
        return;
    s->held_at = from;
    s->held_until_ms = now_ms + delay_ms;
}

static bool is_held(const struct cn_session *s, uint64_t now_ms)
{
    return now_ms < s->held_until_ms;
}

/* But for the tag. */
static struct cn_handshake_setup handshake_setup(const struct cn_session *s,
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

/* READY and the prologue behind it. */
static enum cn_err take_joined(struct cn_session *s, const struct cn_entry *entry,
                               struct cn_now now)
{
    const struct cn_admission_message ready = { .type = CN_ADMISSION_READY };
    const struct cn_want *want = want_of(s, entry, now.utc_s);
    struct cn_handshake_setup setup;
    const size_t ready_at = s->out_end;
    uint8_t *out;
    enum cn_err err;

    if (!want)
        return CN_E_FORMAT; /* not a tag of ours */
    if (want->witness)
        return CN_E_ANEW;
    setup = handshake_setup(s, want);
    memcpy(setup.tag, entry->tag, sizeof setup.tag);
    s->list_sent = s->list_count; /* what is left of an UPDATE has no meaning any more */
    err = send_message(s, &ready);
    if (err != CN_OK)
        return err;
    cn_admission_line_wipe(&s->line);
    out = out_room(s, CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE);
    if (!out)
        return CN_E_FULL;
    err = cn_handshake_start(&s->handshake, &setup, out);
    if (err != CN_OK)
        return err;
    s->out_end += CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE;
    hold(s, ready_at, now.ms, CN_PROLOGUE_DELAY_MS);
    s->joined = want;
    enter(s, CN_SESSION_PROLOGUE, now.ms + CN_SESSION_ANSWER_TIMEOUT_MS);
    return CN_OK;
}

static enum cn_err take_admission(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    struct cn_admission_message m;
    enum cn_err err = cn_admission_open(&s->line, s->setup.crypto, in, &m);

    if (err != CN_OK)
        return err;
    s->heard_ms = now.ms;
    switch (m.type) {
    case CN_ADMISSION_WAITING:
        if (s->state != CN_SESSION_REGISTER || list_is_begun(s))
            return CN_E_UNEXPECTED;
        enter(s, CN_SESSION_WAITING, UINT64_MAX);
        return CN_OK;
    case CN_ADMISSION_KEEP_ALIVE: /* no answer to REGISTER */
        return s->state == CN_SESSION_WAITING ? CN_OK : CN_E_UNEXPECTED;
    case CN_ADMISSION_JOINED:
        if (s->state == CN_SESSION_REGISTER && list_is_begun(s))
            return CN_E_UNEXPECTED;
        if (s->state == CN_SESSION_REGISTER)
            enter(s, CN_SESSION_WAITING, UINT64_MAX);
        return take_joined(s, &m.entry[0], now);
    case CN_ADMISSION_GOAWAY:
        s->goaway_spread_s = m.spread_s;
        return CN_E_INTERRUPTED;
    case CN_ADMISSION_REFUSED:
        s->verdict.verdict = m.reason;
        return CN_E_ADMISSION;
    case CN_ADMISSION_REGISTER:
    case CN_ADMISSION_UPDATE:
    case CN_ADMISSION_READY:
    case CN_ADMISSION_TYPE_COUNT:
        break;
    }
    return CN_E_UNEXPECTED;
}

/* --- shaking hands --------------------------------------------------------------------------- */

static enum cn_err take_prologue(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    uint8_t *out = out_room(s, CN_ANSWER_SIZE);
    enum cn_err err = out ? cn_handshake_prologue(&s->handshake, in, out) : CN_E_FULL;

    if (err != CN_OK)
        return err;
    hold(s, s->out_end, now.ms, CN_ANSWER_DELAY_MS);
    s->out_end += CN_ANSWER_SIZE;
    enter(s, CN_SESSION_ANSWER, s->deadline_ms);
    return CN_OK;
}

/* Send one record that holds these octets. */
static enum cn_err send_record(struct cn_session *s, const struct cn_piece *pieces, size_t count,
                               size_t wire_size)
{
    uint8_t *out = out_room(s, wire_size);
    enum cn_err err = out ? cn_record_seal(&s->send, pieces, count, wire_size, out) : CN_E_FULL;

    if (err == CN_OK)
        s->out_end += wire_size;
    s->rehandshake.octets += wire_size;
    return err;
}

/* From the next record on, this end's have these keys; the first is the Finish. */
static enum cn_err send_keys(struct cn_session *s, const struct cn_call_keys *keys)
{
    const struct cn_pair *pair = s->joined->pair;
    const struct cn_piece finish = { keys->finish_send, sizeof keys->finish_send };
    enum cn_err err;

    cn_record_wipe(&s->send);
    err = cn_record_init(&s->send, s->setup.crypto, pair->suite, &keys->send, pair->role, true);
    return err == CN_OK ? send_record(s, &finish, 1, cn_record_wire_size(finish.size)) : err;
}

static enum cn_err receive_keys(struct cn_session *s, const struct cn_call_keys *keys)
{
    const struct cn_pair *pair = s->joined->pair;

    cn_record_wipe(&s->receive);
    return cn_record_init(&s->receive, s->setup.crypto, pair->suite, &keys->receive,
                          cn_role_other(pair->role), false);
}

/* The keys are there: send our Finish. */
static enum cn_err take_answer(struct cn_session *s, const uint8_t *in)
{
    enum cn_err err = cn_handshake_answer(&s->handshake, in, &s->keys);

    if (err == CN_OK)
        err = receive_keys(s, &s->keys);
    if (err == CN_OK)
        err = send_keys(s, &s->keys);
    cn_wipe(&s->keys.send, sizeof s->keys.send);
    cn_wipe(&s->keys.receive, sizeof s->keys.receive);
    if (err != CN_OK)
        return err;
    s->finish_sent = true;
    enter(s, CN_SESSION_FINISH, s->deadline_ms);
    return CN_OK;
}

static enum cn_err take_finish(struct cn_session *s, const uint8_t *plain, size_t size)
{
    if (size < CN_FINISH_SIZE)
        return CN_E_FORMAT;
    if (!cn_equal_ct(plain, s->keys.finish_receive, CN_FINISH_SIZE))
        return CN_E_AUTH;
    enter(s, CN_SESSION_OPEN, UINT64_MAX);
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

/* --- fresh keys ------------------------------------------------------------------------------ */

static void rehandshake_look_done(struct cn_session *s, uint64_t now_ms)
{
    if (!cn_rehandshake_is_done(&s->rehandshake))
        return;
    s->keys.chain = s->rehandshake.keys.chain;
    memcpy(s->keys.call_id, s->rehandshake.keys.call_id, sizeof s->keys.call_id);
    cn_rehandshake_done(&s->rehandshake, now_ms);
}

static enum cn_err send_frame(struct cn_session *s, enum cn_frame_type type, const uint8_t *bytes,
                              size_t size)
{
    uint8_t plain[CN_FRAME_HEAD_SIZE + CN_PROLOGUE_SIZE];
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    struct cn_piece piece = { plain, 0 };

    cn_frame_encode(&(struct cn_frame) { .type = type, .bytes = bytes, .size = size }, &w);
    piece.size = sizeof plain - w.left;
    return send_record(s, &piece, 1, cn_record_wire_size(piece.size));
}

/* What is to be said of it, if there is room for a record. */
static enum cn_err rehandshake_say(struct cn_session *s, uint64_t now_ms)
{
    struct cn_rehandshake *re = &s->rehandshake;
    const struct cn_handshake_setup before = handshake_setup(s, s->joined);
    const uint8_t *message = NULL;
    size_t size = 0;
    enum cn_err err = CN_OK;

    if (s->mux->close_sent || !out_takes_records(s))
        return CN_OK;
    if (cn_rehandshake_is_due(re, now_ms))
        err = cn_rehandshake_begin(re, &(struct cn_rehandshake_setup) { &before, &s->keys });
    if (err != CN_OK)
        return err;
    switch (cn_rehandshake_next(re, now_ms, &message, &size)) {
    case CN_REHANDSHAKE_NOTHING:
        return CN_OK;
    case CN_REHANDSHAKE_PROLOGUE:
    case CN_REHANDSHAKE_ANSWER:
        return send_frame(s, CN_FRAME_REHANDSHAKE, message, size);
    case CN_REHANDSHAKE_SWITCH:
        err = send_frame(s, CN_FRAME_SWITCH, NULL, 0);
        if (err == CN_OK)
            err = send_keys(s, &re->keys);
        rehandshake_look_done(s, now_ms);
        return err;
    }
    return CN_OK;
}

/* A frame of it is alone in its record. */
static bool is_of_rehandshake(const uint8_t *plain, size_t size)
{
    return size > 0 && (plain[0] == CN_FRAME_REHANDSHAKE || plain[0] == CN_FRAME_SWITCH);
}

static enum cn_err take_rehandshake(struct cn_session *s, const uint8_t *plain, size_t size,
                                    uint64_t now_ms)
{
    const struct cn_handshake_setup before = handshake_setup(s, s->joined);
    struct cn_reader r = { .at = plain, .left = size };
    struct cn_frame frame;
    struct cn_frame padding = { .type = CN_FRAME_TYPE_COUNT };
    enum cn_err err = cn_frame_decode(&frame, &r);

    if (err == CN_OK)
        err = cn_frame_decode(&padding, &r);
    if (err != CN_OK || padding.type != CN_FRAME_PADDING)
        return CN_E_FORMAT;
    if (s->mux->close_received)
        return CN_E_UNEXPECTED;
    s->mux->heard_ms = now_ms;
    if (frame.type == CN_FRAME_REHANDSHAKE)
        return cn_rehandshake_take(&s->rehandshake,
                                   &(struct cn_rehandshake_setup) { &before, &s->keys },
                                   frame.bytes, frame.size, now_ms);
    err = cn_rehandshake_take_switch(&s->rehandshake);
    return err == CN_OK ? receive_keys(s, &s->rehandshake.keys) : err;
}

static enum cn_err take_next_finish(struct cn_session *s, const uint8_t *plain, size_t size,
                                    uint64_t now_ms)
{
    if (size < CN_FINISH_SIZE)
        return CN_E_FORMAT;
    if (!cn_equal_ct(plain, s->rehandshake.keys.finish_receive, CN_FINISH_SIZE))
        return CN_E_AUTH;
    s->rehandshake.receive_finished = true;
    rehandshake_look_done(s, now_ms);
    return CN_OK;
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
        return take_next_finish(s, plain, plain_size, now.ms);
    if (is_of_rehandshake(plain, plain_size))
        return take_rehandshake(s, plain, plain_size, now.ms);
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
        return in ? take_verdict(s, in, now) : CN_E_MORE;
    case CN_SESSION_REGISTER:
    case CN_SESSION_WAITING:
        in = in_take(s, CN_ADMISSION_SIZE);
        return in ? take_admission(s, in, now) : CN_E_MORE;
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

static bool is_waiting(const struct cn_session *s)
{
    return s->state == CN_SESSION_REGISTER || s->state == CN_SESSION_WAITING;
}

/* When a server that has said nothing is given up. */
static uint64_t silence_until_ms(const struct cn_session *s)
{
    return s->heard_ms + (uint64_t)s->verdict.keep_alive_s * 1000 * CN_SESSION_KEEP_ALIVE_GRACE;
}

static enum cn_err step_waiting(struct cn_session *s, struct cn_now now, bool *done)
{
    const struct cn_admission_message alive = { .type = CN_ADMISSION_KEEP_ALIVE };
    enum cn_err err = CN_OK;

    if (now.ms >= silence_until_ms(s))
        return CN_E_TIMEOUT;
    if (list_is_begun(s))
        return CN_OK;
    if (s->state == CN_SESSION_WAITING)
        err = step_tags(s, now, done);
    if (list_is_begun(s))
        return err;
    if (err == CN_OK && now.ms >= s->keep_alive_due_ms) {
        err = send_message(s, &alive);
        if (err == CN_OK)
            err = plan_keep_alive(s, now.ms);
        *done = true;
    }
    return err;
}

static enum cn_err step_time(struct cn_session *s, struct cn_now now, bool *done)
{
    if (now.ms >= s->deadline_ms || (s->mux && (cn_mux_is_dead(s->mux, now.ms) ||
                                                cn_rehandshake_is_late(&s->rehandshake, now.ms))))
        return CN_E_TIMEOUT;
    return is_waiting(s) ? step_waiting(s, now, done) : CN_OK;
}

bool cn_session_step(struct cn_session *session, struct cn_now now)
{
    bool done = false;
    enum cn_err err;

    if (session->state >= CN_SESSION_CLOSED)
        return false;
    err = step_time(session, now, &done);
    /* what answers something that we have not said yet waits until we have */
    if (err == CN_OK && !is_held(session, now.ms)) {
        err = step_input(session, now);
        done |= err == CN_OK;
        if (err == CN_E_MORE)
            err = sizeof session->in - session->in_begin < CN_RECORD_SIZE_MAX ? in_compact(session)
                                                                              : CN_OK;
    }
    if (err == CN_OK && session->mux && cn_mux_is_closed(session->mux))
        enter(session, CN_SESSION_CLOSED, UINT64_MAX);
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
    const bool takes_all = out_takes_records(s);
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
    if (is_waiting(session) && list_is_begun(session)) {
        other = silence_until_ms(session);
    } else if (is_waiting(session)) {
        other = tags_deadline_ms(session, now);
        if (session->keep_alive_due_ms < other)
            other = session->keep_alive_due_ms;
    } else if (is_held(session, now.ms)) {
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
    if (out_takes_records(s))
        return cn_mux_output(s->mux, now_ms, &s->record);
    return out_takes_ping(s) && cn_mux_output_ping(s->mux, now_ms, &s->record);
}

const uint8_t *cn_session_output(struct cn_session *session, size_t *size, struct cn_now now)
{
    while (list_is_begun(session) && session->out_end < CN_SESSION_LIST_OUT_SIZE) {
        enum cn_err err = list_step(session);

        if (err != CN_OK)
            fail(session, err);
    }
    if (session->state == CN_SESSION_OPEN && session->mux) {
        enum cn_err err = rehandshake_say(session, now.ms);

        if (err != CN_OK)
            fail(session, err);
    }
    while (session->state == CN_SESSION_OPEN && session->mux && next_record(session, now.ms)) {
        enum cn_err err = send_record(session, session->record.piece, session->record.piece_count,
                                      session->record.wire_size);

        if (err != CN_OK)
            fail(session, err);
    }
    *size = (is_held(session, now.ms) ? session->held_at : session->out_end) - session->out_begin;
    return session->out + session->out_begin;
}

void cn_session_sent(struct cn_session *session, size_t size)
{
    assert(size <= session->out_end - session->out_begin);
    session->out_begin += size;
    if (session->out_begin == session->out_end)
        session->out_begin = session->out_end = 0;
}
