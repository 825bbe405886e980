/* call_line.c - a call's line to the server: dialling, what the server says when it admits us, and
 * octets for the session and of it. */
#include "calling.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "secret.h"
#include "verdict.h"

enum {
    RETRY_MS_MAX = 30000,
    STEADY_MS = 10000, /* a line that stood for so long begins the delays anew */
    LOOK_MS = 10000    /* another program may take cards while we wait */
};

/* Wait a little, and a little longer each time, and dial again. */
void cn_calling_retry(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    uint8_t random[2] = { 0, 0 };
    uint64_t spread_ms = (uint64_t)call->secrets->session.goaway_spread_s * 1000;
    uint64_t delay_ms = call->retry_delay_ms;

    cn_calling_break(call);
    if (call->told >= CN_SESSION_WAITING && now.ms - call->line_since_ms >= STEADY_MS)
        delay_ms = call->retry_delay_ms = CN_CALL_RETRY_MS_MIN;
    /* without randomness the delay is merely not jittered */
    if (cn_random_fill(cn_home_random(call->home), random, sizeof random) != CN_OK)
        random[0] = random[1] = 0;
    if (spread_ms > 0)
        delay_ms = spread_ms * (random[0] * 256U + random[1]) / 65536;
    else
        delay_ms += delay_ms * random[0] / 512;
    call->secrets->session.goaway_spread_s = 0;
    call->retry_delay_ms *= 2;
    if (call->retry_delay_ms > RETRY_MS_MAX)
        call->retry_delay_ms = RETRY_MS_MAX;
    call->retry_ms = now.ms + delay_ms;
    call->state = CALL_PAUSED;
    call->failure = err;
    if (!call->open)
        cn_calling_tell(call, CN_EVENT_RETRY, err);
}

/* Of a call that is not open: how many wants, in call->wants. */
static size_t wants_prepare(struct cn_call *call)
{
    const struct cn_want *perhaps = call->perhaps;
    const size_t count = call->wants.count;

    if (!perhaps || (count >= call->want_count_max && !call->narrowed))
        return count;
    call->wants.want[count] = (struct cn_want) { .pair = &call->secrets->resumed,
                                                 .identity = perhaps->identity,
                                                 .service = CN_SERVICE_RESUME,
                                                 .caller = cn_want_calls(perhaps),
                                                 .user = perhaps->user };
    return call->narrowed ? 1 : count + 1;
}

static void session_begin(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;
    const bool watches = call->watching || cn_calling_watch(call, now);
    struct cn_session_setup setup = {
        .crypto = cn_home_crypto(call->home),
        .random = cn_home_random(call->home),
        .fingerprint = &call->secrets->fingerprint,
        .want = call->resuming   ? call->again
                : call->narrowed ? call->wants.want + call->wants.count
                                 : call->wants.want,
        .want_count = call->resuming ? 1 + (size_t)watches : wants_prepare(call),
    };
    enum cn_err err;

    setup.resume_s = call->resume_s;
    cn_session_wipe(session); /* an earlier one may have come as far as its keys */
    err = cn_session_start(session, &setup, now);
    call->told = CN_SESSION_HELLO;
    call->notices_taken = false;
    call->note.notices = 0;
    call->note.notice_err = CN_OK;
    call->note.notices_unstored = false;
    call->line_since_ms = now.ms;
    call->look_ms = now.ms + LOOK_MS;
    if (err != CN_OK) {
        cn_calling_end(call, err);
        return;
    }
    call->state = CALL_RUNNING;
}

/* What connecting has come to. */
void cn_calling_took(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    call->state = CALL_CONNECTING;
    if (err == CN_OK) {
        call->address_index = call->connect.address_index;
        call->socket = cn_connect_take(&call->connect);
        session_begin(call, now);
    } else if (err != CN_E_MORE) {
        cn_calling_retry(call, err, now);
    }
}

/* Whoever answers there is not the server, or not well. Another address, one of those that are left
 * in this round, is tried at once, like one that cannot be connected. False: there is none. */
bool cn_calling_elsewhere(struct cn_call *call, struct cn_now now)
{
    const struct cn_fingerprint *f = &call->secrets->fingerprint;

    call->first_address = (call->address_index + 1) % f->address_count;
    if (++call->unheard_count >= f->address_count)
        return false;
    cn_calling_close(call);
    cn_calling_took(call,
                    cn_connect_start(&call->connect, call->home, f, &call->secrets->proxy,
                                     call->first_address, f->address_count - call->unheard_count,
                                     now.ms),
                    now);
    return true;
}

/* If another program has taken cards meanwhile, the line that stands is of no use. */
bool cn_calling_renew(struct cn_call *call)
{
    struct cn_wants fresh;

    if (call->open || call->narrowed ||
        !cn_wants_look(&call->wants, call->home, &call->secrets->fingerprint, &fresh))
        return false;
    cn_calling_close(call);
    cn_session_wipe(&call->secrets->session);
    cn_wants_replace(&call->wants, &fresh);
    call->perhaps = NULL;
    cn_pair_wipe(&call->secrets->resumed);
    cn_wipe(&call->secrets->exporter, sizeof call->secrets->exporter);
    return true;
}

void cn_calling_dial(struct cn_call *call, struct cn_now now)
{
    struct cn_fingerprint *f = &call->secrets->fingerprint;

    if (call->has_next) {
        *f = call->secrets->next;
        call->first_address = cn_home_last_address(call->home, f);
    }
    call->has_next = false;
    call->unheard_count = 0;
    (void)cn_calling_renew(call);
    cn_calling_took(call,
                    cn_connect_start(&call->connect, call->home, f, &call->secrets->proxy,
                                     call->first_address, f->address_count, now.ms),
                    now);
}

/* --- running -------------------------------------------------------------------------------- */

/* EAGAIN and EINTR: later. EOF and errors: the line is lost. */
bool cn_calling_read(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;
    size_t room;
    uint8_t *to = cn_session_input(session, &room);
    ssize_t got;

    if (room == 0)
        return false;
    got = recv(call->socket, to, room, 0);
    if (got > 0) {
        cn_session_received(session, (size_t)got, now);
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    cn_session_ended(session);
    return false;
}

bool cn_calling_write(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;

    for (;;) {
        size_t size;
        const uint8_t *from = cn_session_output(session, &size, now);
        ssize_t put;

        if (size == 0)
            return true;
        put = send(call->socket, from, size, MSG_NOSIGNAL);
        if (put > 0) {
            cn_session_sent(session, (size_t)put);
            if ((size_t)put < size)
                return true;
            continue;
        }
        /* EPIPE, ECONNRESET: what can still be read is read first; the end is found there */
        return errno == EAGAIN || errno == EINTR;
    }
}

/* The line that stands goes on with the fingerprint that it began with. */
static void take_notices(struct cn_call *call)
{
    struct call_secrets *s = call->secrets;
    struct cn_notices_taken taken;

    call->notices_taken = true;
    if (s->session.verdict.notice_size == 0)
        return;
    s->next = s->fingerprint;
    cn_home_notices(call->home, s->session.verdict.notice, s->session.verdict.notice_size, &s->next,
                    &taken);
    call->has_next = true;
    call->note.not_after = s->next.certificate.not_after;
    call->note.notices = taken.changes;
    call->note.notice_err = taken.err;
    call->note.notices_unstored = !taken.stored;
    if (taken.changes != 0 || taken.err != CN_OK)
        cn_calling_tell(call, CN_EVENT_NOTICE, taken.err);
}

void cn_calling_note_verdict(struct cn_call *call, struct cn_now now)
{
    const struct cn_session *session = &call->secrets->session;

    if (!session->verdict_known)
        return;
    if (!call->notices_taken)
        take_notices(call);
    call->want_count_max = cn_want_count_max(&session->verdict);
    call->note.clock_ahead_s = (int64_t)now.utc_s - (int64_t)session->verdict.server_time;
    call->note.refusal = (int)cn_refusal_of(session->verdict.verdict);
}

/* The server has admitted us where this line goes: here the next one begins, of any call. */
static void note_address(struct cn_call *call)
{
    const struct call_secrets *s = call->secrets;
    const char *address = s->fingerprint.address[call->address_index];
    bool proxied = cn_proxy_setting_applies(&s->proxy, address);
    char proxy[CN_PROXY_NAME_SIZE];

    snprintf(call->server, sizeof call->server, "%s%s%s", address, proxied ? " through " : "",
             proxied ? cn_proxy_setting_name(&s->proxy, proxy) : "");
    call->first_address = call->address_index;
    cn_home_set_last_address(call->home, &s->fingerprint, call->address_index);
}

/* The events that the session's states stand for. */
void cn_calling_tell_states(struct cn_call *call, struct cn_now now)
{
    static const struct {
        enum cn_session_state state;
        enum cn_event_type event;
    } rows[] = {
        { CN_SESSION_REGISTER, CN_EVENT_CONNECTED },
        { CN_SESSION_WAITING, CN_EVENT_WAITING },
        { CN_SESSION_PROLOGUE, CN_EVENT_JOINED },
        { CN_SESSION_OPEN, CN_EVENT_OPEN },
    };
    enum cn_session_state state = call->secrets->session.state;

    if (state == call->told || state >= CN_SESSION_CLOSED)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].state <= call->told || rows[i].state > state)
            continue;
        if (rows[i].state == CN_SESSION_REGISTER) {
            cn_calling_note_verdict(call, now);
            note_address(call);
        }
        if (!call->resuming)
            cn_calling_tell(call, rows[i].event, CN_OK);
    }
    call->told = state;
    if (state >= CN_SESSION_WAITING)
        call->failure = CN_OK;
}
