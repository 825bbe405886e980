/* call_resume.c - what becomes of a call when its line is lost, and how its end is confirmed.
 * PROTOCOL.md 6.4, 6.5 */
#include "calling.h"

#include <errno.h>
#include <sys/socket.h>

#include "network.h"
#include "verdict.h"
#include "waiting.h"

enum {
    LEAVE_MS = 5000,                 /* for the partner to close its side */
    RECONNECTING_MS = 4000,          /* to tell that, for the first time */
    WATCH_AGAIN_MS = 60000,          /* after another of ours came to wait where we watched */
    CONFIRM_MS = 600000,             /* to tell a partner whose line was lost that all is done */
    HANDSHAKE_FAILURE_COUNT_MAX = 5, /* who does not wait for ever gives up after so many */
    ANEW_COUNT =
        6 /* lines on which a partner waits elsewhere, and not here: as long as delays get */
};

/* What the partner's CLOSE with this code means. */
enum cn_err cn_calling_closed_error(uint32_t code)
{
    return code == cn_err_close_code(CN_E_REFUSED) ? CN_E_REFUSED : CN_E_INTERRUPTED;
}

/* The partner has given the call up and said why. */
bool cn_calling_close_told(const struct cn_mux *mux)
{
    return mux->close_received && mux->close_received_code != 0;
}

/* Not admitted, but another time we may be: with the certificate that came with the verdict, or
 * with one that comes with the next, if ours has expired while we waited. */
static bool admission_is_renewed(const struct cn_call *call)
{
    const struct cn_session *session = &call->secrets->session;

    if (session->error != CN_E_ADMISSION)
        return false;
    if (call->told >= CN_SESSION_REGISTER)
        return session->verdict.verdict == CN_VERDICT_EXPIRED;
    return (session->verdict.verdict == CN_VERDICT_EXPIRED ||
            session->verdict.verdict == CN_VERDICT_NOT_YET_VALID) &&
           call->note.notices & CN_NOTICE_RENEWED;
}

bool cn_calling_keep(struct cn_call *call, const struct cn_want *met)
{
    struct call_secrets *s = call->secrets;

    s->exporter = s->session.keys.exporter;
    call->limits = s->session.keys.limits;
    return call->resume_s > 0 && call->limits.resume_s > 0 &&
           cn_pair_resume(&s->resumed, cn_home_crypto(call->home), met->pair,
                          &s->session.keys.resume) == CN_OK;
}

/* Our Finish is out, and the partner's has not come: it may have the call open, and then waits for
 * nothing else. */
static void keep_perhaps(struct cn_call *call)
{
    const struct cn_session *session = &call->secrets->session;
    const struct cn_want *joined = session->joined;

    if (!call->open && session->finish_sent && joined && joined->service != CN_SERVICE_RESUME)
        call->perhaps = cn_calling_keep(call, joined) ? joined : NULL;
}

/* The next sessions are for this call alone; and, where that was asked for, to see whether somebody
 * of the partner's waits for another. */
static enum cn_err resume_prepare(struct cn_call *call)
{
    struct call_secrets *s = call->secrets;

    call->again[0] = (struct cn_want) { .pair = &s->resumed,
                                        .identity = call->met->identity,
                                        .service = CN_SERVICE_RESUME,
                                        .caller = cn_want_calls(call->met) };
    call->again[1] = *call->met;
    call->again[1].late = call->again[1].witness = true;
    call->anew_count = 0;
    call->resuming = true;
    return cn_mux_settle(&call->mux); /* what is lent lies in the session */
}

/* The line of a call that is open is lost, and nothing else: it goes on on another. */
static void lose(struct cn_call *call, enum cn_err err, uint64_t most_ms, struct cn_now now)
{
    enum cn_err failed = resume_prepare(call);

    if (failed != CN_OK) {
        cn_calling_end(call, failed);
        return;
    }
    /* perhaps the line is only slow; a few of them show it */
    call->mux.patience_ms = call->mux.moved ? CN_MUX_PATIENCE_MS : 2 * call->mux.patience_ms;
    if (call->mux.patience_ms > CN_MUX_PATIENCE_MS_MAX)
        call->mux.patience_ms = CN_MUX_PATIENCE_MS_MAX;
    call->quiet = false;
    call->lost = true;
    call->lost_since_ms = now.ms;
    call->lost_tell_ms = now.ms + RECONNECTING_MS;
    call->lost_until_ms = most_ms == UINT64_MAX ? UINT64_MAX : now.ms + most_ms;
    call->retry_delay_ms = CN_CALL_RETRY_MS_MIN;
    cn_calling_retry(call, err, now);
    cn_calling_tell(call, CN_EVENT_LOST, call->confirming ? CN_OK : err);
}

static uint64_t resume_most_ms(const struct cn_call *call)
{
    return call->resume_s == UINT32_MAX ? UINT64_MAX : (uint64_t)call->resume_s * 1000;
}

/* What goes wrong on the way is no reason to give up a call; what the partner itself does is. */
static bool is_loss(const struct cn_call *call, enum cn_err err)
{
    return call->resume_s != 0 && (err == CN_E_INTERRUPTED || err == CN_E_HUNG_UP ||
                                   err == CN_E_TIMEOUT || err == CN_E_AUTH);
}

/* That no other line helps against. */
static bool is_ours(enum cn_err err)
{
    return err == CN_E_CRYPTO || err == CN_E_RANDOM || err == CN_E_MEMORY;
}

/* What the partner has begun anew, and does not come back to. All that it had is confirmed, or it
 * will not be. */
static void began_anew(struct cn_call *call, struct cn_now now)
{
    if (++call->anew_count < ANEW_COUNT)
        cn_calling_retry(call, CN_E_ANEW, now);
    else
        cn_calling_end(call, CN_E_ANEW);
}

bool cn_calling_watch(struct cn_call *call, struct cn_now now)
{
    struct cn_call_want want;

    if (!call->resuming || !call->watches || call->want_count_max < 2 || now.ms < call->watch_ms)
        return false;
    want = (struct cn_call_want) { cn_wants_wanted(call->met)->contact, cn_wants_service(call->met),
                                   cn_want_calls(call->met) };
    if (call->waiting == CN_WAITING_NONE)
        call->waiting = cn_waiting_open(call->home);
    call->watching = cn_waiting_hold_alone(call->waiting, &want);
    return call->watching;
}

/* Refused, though what is refused may be the witness: another program of ours waits there, or the
 * server has no room for one entry more. */
static bool watched_in_vain(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    const int refusal = call->note.refusal;
    const bool in_vain = call->watching && err == CN_E_ADMISSION &&
                         (refusal == CN_REFUSAL_REPLACED || refusal == CN_REFUSAL_OVER_LIMIT);

    if (!in_vain)
        return false;
    cn_calling_unwait(call);
    call->watch_ms = now.ms + WATCH_AGAIN_MS;
    return true;
}

/* A session of a call that is open: of one that is lost, whatever is no failure of ours, and no
 * refusal, is tried again. */
static void open_failed(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    const bool again = admission_is_renewed(call) || (err != CN_E_ADMISSION && !is_ours(err)) ||
                       watched_in_vain(call, err, now);

    if (err != CN_E_ANEW)
        call->anew_count = 0;
    if (cn_calling_close_told(&call->mux))
        cn_calling_end(call, cn_calling_closed_error(call->mux.close_received_code));
    else if (call->lost && !call->secrets->session.verdict_known && !is_ours(err) &&
             cn_calling_elsewhere(call, now))
        return;
    else if (call->lost && err == CN_E_ANEW)
        began_anew(call, now);
    else if (call->lost && again)
        cn_calling_retry(call, err, now);
    else if (!call->lost && is_loss(call, err))
        lose(call, err, resume_most_ms(call), now);
    else
        cn_calling_end(call, is_ours(err) ? err : CN_E_INTERRUPTED);
}

/* One of ours that only watches has come in our place, of which it did not know when we came: our
 * next line drives it out, for long enough to hold that place. */
static bool replaced_by_watcher(struct cn_call *call)
{
    if (!call->waits_aside || call->secrets->session.error != CN_E_ADMISSION ||
        call->note.refusal != CN_REFUSAL_REPLACED)
        return false;
    call->waits_aside = !cn_waiting_hold(call->waiting, call->wants.asked, call->wants.asked_count);
    return true;
}

/* A session that failed: is it over, or tried again? */
void cn_calling_failed(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;
    enum cn_err err = session->error;
    bool shaking = session->joined != NULL;

    keep_perhaps(call);
    cn_calling_note_verdict(call, now);
    if (err == CN_E_HUNG_UP)
        (void)cn_home_fail(call->home, err, 0,
                           call->secrets->fingerprint.address[call->address_index]);
    if (call->open) {
        open_failed(call, err, now);
    } else if (admission_is_renewed(call) || replaced_by_watcher(call)) {
        cn_calling_retry(call, err, now);
    } else if (err == CN_E_ADMISSION || err == CN_E_CRYPTO || err == CN_E_RANDOM ||
               err == CN_E_MEMORY || (err == CN_E_LIMIT && !shaking)) {
        cn_calling_end(call, err);
    } else if (!session->verdict_known && cn_calling_elsewhere(call, now)) {
        return;
    } else if (shaking && cn_err_blame(err) == CN_BLAME_PEER && err != CN_E_INTERRUPTED &&
               err != CN_E_TIMEOUT && call->wait_until_ms != UINT64_MAX &&
               ++call->handshake_failures >= HANDSHAKE_FAILURE_COUNT_MAX) {
        cn_calling_end(call, CN_E_AUTH);
    } else {
        cn_calling_retry(call, err, now);
    }
}

/* Our CLOSE has been sent, with why we give up. To close a socket that still has octets to be read
 * resets the connection, which may overtake what was sent: read on until the partner has closed. */
void cn_calling_leave(struct cn_call *call)
{
    (void)shutdown(call->socket, SHUT_WR);
    call->state = CALL_LEAVING;
}

/* What the partner said before it heard is of no use any more. CN_OK: it has closed its side;
 * CN_E_MORE: not yet; CN_E_INTERRUPTED: the line is lost. */
static enum cn_err read_to_end(const struct cn_call *call)
{
    uint8_t octets[16384];
    ssize_t got = 1;

    for (int i = 0; i < 64 && got > 0; i++)
        got = recv(call->socket, octets, sizeof octets, 0);
    if (got == 0)
        return CN_OK;
    return got > 0 || errno == EAGAIN || errno == EINTR ? CN_E_MORE : CN_E_INTERRUPTED;
}

void cn_calling_leaving(struct cn_call *call, struct cn_now now)
{
    if (read_to_end(call) != CN_E_MORE || now.ms >= call->leave_ms)
        cn_calling_end(call, CN_E_CANCELLED);
}

/* Both have said CLOSE. That the partner knows so too is known when it has closed its side. */
void cn_calling_confirm(struct cn_call *call, struct cn_now now)
{
    if (call->resume_s == 0) {
        cn_calling_end(call, CN_OK);
        return;
    }
    (void)shutdown(call->socket, SHUT_WR);
    call->state = CALL_CONFIRMING;
    call->leave_ms = now.ms + LEAVE_MS;
}

void cn_calling_unconfirmed(struct cn_call *call, struct cn_now now)
{
    const uint64_t most_ms = resume_most_ms(call);

    call->leave_ms = 0;
    call->confirming = true;
    lose(call, CN_E_INTERRUPTED, most_ms < CONFIRM_MS ? most_ms : CONFIRM_MS, now);
    call->lost_tell_ms = UINT64_MAX; /* how long that takes is nothing to worry about */
}

void cn_calling_confirming(struct cn_call *call, struct cn_now now)
{
    enum cn_err err = read_to_end(call);

    if (err == CN_OK)
        cn_calling_end(call, CN_OK);
    else if (err != CN_E_MORE || now.ms >= call->leave_ms)
        cn_calling_unconfirmed(call, now);
}

/* A partner that is silent where it should not be, and one that is not so any more. */
void cn_calling_tell_quiet(struct cn_call *call, struct cn_now now)
{
    const bool quiet = call->secrets->session.state == CN_SESSION_OPEN &&
                       now.ms >= cn_mux_quiet_ms(&call->mux, CN_CALL_QUIET_MS);

    if (call->quiet && now.ms - call->mux.heard_ms >= CN_CALL_QUIET_MS)
        return; /* even if it is not asked any more, after CLOSE or when the line is given up */
    if (quiet != call->quiet)
        cn_calling_tell(call, quiet ? CN_EVENT_QUIET : CN_EVENT_HEARD, CN_OK);
    call->quiet = quiet;
}

/* Again whenever it has taken twice as long. */
void cn_calling_tell_lost(struct cn_call *call, struct cn_now now)
{
    if (!call->lost || call->state == CALL_OVER || now.ms < call->lost_tell_ms)
        return;
    cn_calling_tell(call, CN_EVENT_RECONNECTING, call->failure);
    call->lost_tell_ms = now.ms + (now.ms - call->lost_since_ms);
}

/* The network of this machine has changed: what could not be reached may be, now; and a line that
 * stood may be dead. */
void cn_calling_network_changed(struct cn_call *call, struct cn_now now)
{
    if (call->lost && call->state == CALL_PAUSED) {
        call->retry_delay_ms = CN_CALL_RETRY_MS_MIN;
        call->retry_ms = now.ms;
    } else if (call->state == CALL_RUNNING && !cn_network_has_address_of(call->socket)) {
        cn_session_ended(&call->secrets->session);
    } else if (call->state == CALL_RUNNING) {
        call->mux.ping_due_ms = now.ms;
    }
}
