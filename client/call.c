/* call.c - a call as <cyphernet.h> offers it: a socket to the server, and sessions over it until
 * one has been carried to its end. The protocol itself is core/session.c. */
#include <cyphernet.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "connect.h"
#include "handing.h"
#include "home.h"
#include "network.h"
#include "secret.h"
#include "session.h"
#include "verdict.h"
#include "wants.h"

enum {
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 30000,
    STEADY_MS = 10000, /* a line that stood for so long begins the delays anew */
    LOOK_MS = 10000,   /* another program may take cards while we wait */
    LEAVE_MS = 5000,   /* after cancelling, for the partner to hear why */
    QUIET_MS = 1500,   /* after a PING, which goes out after a second without an acknowledgement */
    CONFIRM_MS = 600000,    /* to tell a partner whose line was lost that all is done */
    FIRST_ANSWER_MS = 6000, /* the server's, however short the wait: it may take 5 s to hang up */
    HANDSHAKE_FAILURE_COUNT_MAX = 5, /* who does not wait for ever gives up after so many */
    EVENT_COUNT_MAX = 8              /* of the call itself, not yet taken */
};

enum call_state {
    CALL_CONNECTING, /* to whichever of the server's addresses answers first */
    CALL_RUNNING,    /* a session is on the line */
    CALL_PAUSED,     /* until retry_ms */
    CALL_LEAVING,    /* our CLOSE is on its way; until the partner has it, or leave_ms */
    CALL_CONFIRMING, /* both have said CLOSE: until the partner is known to know, or leave_ms */
    CALL_OVER
};

/* What is secret, in locked memory. */
struct call_secrets {
    struct cn_fingerprint fingerprint;
    struct cn_fingerprint next; /* that the next line begins with: a notice has changed it */
    struct cn_pair resumed;     /* once open: with the keys of this call alone */
    struct cn_exporter_secret exporter; /* likewise */
    struct cn_session session;
    struct cn_handing handing; /* once open */
    struct cn_proxy_setting proxy;
};

struct cn_call {
    struct cn_home *home; /* borrowed */
    struct call_secrets *secrets;
    struct cn_wants wants;
    const struct cn_want *met; /* once open: which of them it is */
    struct cn_want again;      /* when it resumes */
    enum call_state state;
    enum cn_err error;         /* once OVER */
    bool open;                 /* some session got that far */
    bool resuming;             /* sessions are not the call's first */
    bool lost;                 /* the line is, and another is sought until lost_until_ms */
    uint64_t lost_until_ms;    /* UINT64_MAX: without limit */
    uint32_t resume_s;         /* how long the owner would seek; once open, the partner too */
    bool quiet;                /* it was told that the partner is */
    bool confirming;           /* all is done here; only that the partner knows is missing */
    int socket;                /* -1: none */
    int network;               /* tells of changes, once open; -1: nothing does */
    struct cn_connect connect; /* while CONNECTING */
    size_t address_index;      /* of the fingerprint's: where the line goes */
    size_t first_address;      /* likewise: where the next one is tried first */
    char server[CN_ADDRESS_SIZE_MAX + CN_PROXY_NAME_SIZE + 16]; /* where the line goes, in words */
    size_t unheard_count;   /* of them, in this round: connected, but the server did not answer */
    uint64_t line_since_ms; /* when its session began */
    uint64_t look_ms;       /* while it waits: when to look whether contacts have changed */
    uint64_t retry_ms;
    uint64_t retry_delay_ms;
    uint64_t leave_ms;       /* once cancelled: when it is over whatever the line does; else 0 */
    uint64_t wait_until_ms;  /* UINT64_MAX: without limit */
    uint64_t first_until_ms; /* until then only a failure says that the server cannot be reached */
    enum cn_err failure;     /* why the last line was lost; CN_OK once one waits */
    unsigned handshake_failures;
    size_t want_count_max;      /* that the server allows; 0: not known yet */
    bool has_next;              /* secrets->next */
    bool notices_taken;         /* of this session's verdict */
    enum cn_session_state told; /* the session state that events were made for */
    struct cn_mux mux;
    struct cn_admission_note note;
    struct cn_event event[EVENT_COUNT_MAX];
    size_t event_count;
};

static const struct cn_memory heap;

static void *heap_take(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void heap_give(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static const struct cn_memory heap = { heap_take, heap_give, NULL };

static struct cn_now now_get(void)
{
    return (struct cn_now) { cn_connect_clock_ms(), (uint64_t)time(NULL) };
}

static void tell(struct cn_call *call, enum cn_event_type type, enum cn_err err)
{
    if (call->event_count == EVENT_COUNT_MAX) { /* an owner that does not look: the oldest goes */
        memmove(call->event, call->event + 1, sizeof call->event - sizeof call->event[0]);
        call->event_count--;
    }
    call->event[call->event_count++] = (struct cn_event) { type, NULL, err };
}

static void line_close(struct cn_call *call)
{
    if (call->socket >= 0)
        close(call->socket);
    call->socket = -1;
    cn_connect_close(&call->connect);
}

static void end(struct cn_call *call, enum cn_err err)
{
    if (call->state == CALL_OVER)
        return;
    line_close(call);
    if (call->network >= 0)
        close(call->network);
    call->network = -1;
    call->state = CALL_OVER;
    call->error = err;
    tell(call, CN_EVENT_CLOSED, err);
}

/* --- opening -------------------------------------------------------------------------------- */

static enum cn_err secrets_load(struct cn_call *call, struct cn_home *home,
                                const struct cn_call_want *wants, size_t count)
{
    struct call_secrets *s = call->secrets;
    enum cn_err err = cn_home_fingerprint(home, &s->fingerprint);

    if (err == CN_OK)
        err = cn_home_proxy(home, &s->proxy);
    if (err == CN_OK)
        err = cn_wants_load(&call->wants, home, &s->fingerprint, wants, count);
    return err;
}

enum cn_err cn_call_open(struct cn_call **call, struct cn_home *home,
                         const struct cn_call_options *options)
{
    const struct cn_call_want want = { options->contact, options->service, options->caller };

    return cn_call_open_any(call, home, &want, 1, options->wait_ms);
}

enum cn_err cn_call_open_any(struct cn_call **call, struct cn_home *home,
                             const struct cn_call_want *wants, size_t count, int64_t wait_ms)
{
    struct cn_call *c = calloc(1, sizeof *c);
    struct cn_now now;
    enum cn_err err;

    if (!c)
        return CN_E_MEMORY;
    c->home = home;
    c->socket = c->network = -1;
    c->connect = (struct cn_connect)CN_CONNECT_NONE;
    c->secrets = cn_secret_take(sizeof *c->secrets);
    err = c->secrets ? secrets_load(c, home, wants, count) : CN_E_MEMORY;
    if (err != CN_OK) {
        cn_call_free(c);
        return err;
    }
    c->first_address = cn_home_last_address(home, &c->secrets->fingerprint);
    c->note.not_after = c->secrets->fingerprint.certificate.not_after;
    c->note.unlocked = cn_secret_unlocked(c->secrets) || c->wants.unlocked;
    now = now_get();
    c->wait_until_ms = wait_ms < 0 ? UINT64_MAX : now.ms + (uint64_t)wait_ms;
    c->first_until_ms = now.ms + FIRST_ANSWER_MS;
    c->retry_delay_ms = RETRY_MS_MIN;
    c->state = CALL_PAUSED;                 /* connecting is due at once */
    cn_mux_init(&c->mux, &heap, CN_ROLE_A); /* or B: with whom it is, is not known yet */
    *call = c;
    return CN_OK;
}

void cn_call_free(struct cn_call *call)
{
    if (!call)
        return;
    line_close(call);
    if (call->network >= 0)
        close(call->network);
    if (call->secrets) {
        cn_session_wipe(&call->secrets->session);
        cn_secret_give(call->secrets, sizeof *call->secrets);
    }
    cn_wants_wipe(&call->wants);
    if (call->mux.memory)
        cn_mux_wipe(&call->mux);
    cn_wipe(call, sizeof *call);
    free(call);
}

/* --- connecting ----------------------------------------------------------------------------- */

/* Wait a little, and a little longer each time, and dial again. */
static void retry(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    uint8_t random[2] = { 0, 0 };
    uint64_t spread_ms = (uint64_t)call->secrets->session.goaway_spread_s * 1000;
    uint64_t delay_ms = call->retry_delay_ms;

    line_close(call);
    if (call->told >= CN_SESSION_WAITING && now.ms - call->line_since_ms >= STEADY_MS)
        delay_ms = call->retry_delay_ms = RETRY_MS_MIN;
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
        tell(call, CN_EVENT_RETRY, err);
}

static void session_begin(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;
    struct cn_session_setup setup = {
        .crypto = cn_home_crypto(call->home),
        .random = cn_home_random(call->home),
        .fingerprint = &call->secrets->fingerprint,
        .want = call->resuming ? &call->again : call->wants.want,
        .want_count = call->resuming ? 1 : call->wants.count,
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
        end(call, err);
        return;
    }
    call->state = CALL_RUNNING;
}

/* What connecting has come to. */
static void connecting_took(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    call->state = CALL_CONNECTING;
    if (err == CN_OK) {
        call->address_index = call->connect.address_index;
        call->socket = cn_connect_take(&call->connect);
        session_begin(call, now);
    } else if (err != CN_E_MORE) {
        retry(call, err, now);
    }
}

/* Whoever answers there is not the server, or not well. Another address, one of those that are left
 * in this round, is tried at once, like one that cannot be connected. False: there is none. */
static bool connecting_elsewhere(struct cn_call *call, struct cn_now now)
{
    const struct cn_fingerprint *f = &call->secrets->fingerprint;

    call->first_address = (call->address_index + 1) % f->address_count;
    if (++call->unheard_count >= f->address_count)
        return false;
    line_close(call);
    connecting_took(call,
                    cn_connect_start(&call->connect, call->home, f, &call->secrets->proxy,
                                     call->first_address, f->address_count - call->unheard_count,
                                     now.ms),
                    now);
    return true;
}

/* If another program has taken cards meanwhile, the line that stands is of no use. */
static bool wants_renew(struct cn_call *call)
{
    struct cn_wants fresh;

    if (call->open || !cn_wants_look(&call->wants, call->home, &call->secrets->fingerprint, &fresh))
        return false;
    line_close(call);
    cn_session_wipe(&call->secrets->session);
    cn_wants_replace(&call->wants, &fresh);
    return true;
}

static void connecting_begin(struct cn_call *call, struct cn_now now)
{
    struct cn_fingerprint *f = &call->secrets->fingerprint;

    if (call->has_next) {
        *f = call->secrets->next;
        call->first_address = cn_home_last_address(call->home, f);
    }
    call->has_next = false;
    call->unheard_count = 0;
    (void)wants_renew(call);
    connecting_took(call,
                    cn_connect_start(&call->connect, call->home, f, &call->secrets->proxy,
                                     call->first_address, f->address_count, now.ms),
                    now);
}

/* --- running -------------------------------------------------------------------------------- */

/* EAGAIN and EINTR: later. EOF and errors: the line is lost. */
static bool line_read(struct cn_call *call, struct cn_now now)
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

/* False: nothing that is said on it now will be heard. */
static bool line_write(struct cn_call *call, struct cn_now now)
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
        return errno != EPIPE && errno != ECONNRESET && errno != ETIMEDOUT;
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
        tell(call, CN_EVENT_NOTICE, taken.err);
}

static void note_verdict(struct cn_call *call, struct cn_now now)
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
static void tell_states(struct cn_call *call, struct cn_now now)
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
            note_verdict(call, now);
            note_address(call);
        }
        if (!call->resuming)
            tell(call, rows[i].event, CN_OK);
    }
    call->told = state;
    if (state >= CN_SESSION_WAITING)
        call->failure = CN_OK;
}

/* What the partner's CLOSE with this code means. */
static enum cn_err closed_error(uint32_t code)
{
    return code == cn_err_close_code(CN_E_REFUSED) ? CN_E_REFUSED : CN_E_INTERRUPTED;
}

/* The partner has given the call up and said why. */
static bool close_told(const struct cn_mux *mux)
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

/* The next sessions are for this call alone. */
static enum cn_err resume_prepare(struct cn_call *call)
{
    struct call_secrets *s = call->secrets;

    call->again = (struct cn_want) { .pair = &s->resumed,
                                     .identity = call->met->identity,
                                     .service = CN_SERVICE_RESUME,
                                     .caller = cn_want_calls(call->met) };
    call->resuming = true;
    return cn_mux_settle(&call->mux); /* what is lent lies in the session */
}

/* The line of a call that is open is lost, and nothing else: it goes on on another. */
static void lose(struct cn_call *call, enum cn_err err, uint64_t most_ms, struct cn_now now)
{
    enum cn_err failed = resume_prepare(call);

    if (failed != CN_OK) {
        end(call, failed);
        return;
    }
    /* perhaps the line is only slow; a few of them show it */
    call->mux.patience_ms = call->mux.moved ? CN_MUX_PATIENCE_MS : 2 * call->mux.patience_ms;
    if (call->mux.patience_ms > CN_MUX_PATIENCE_MS_MAX)
        call->mux.patience_ms = CN_MUX_PATIENCE_MS_MAX;
    call->quiet = false;
    call->lost = true;
    call->lost_until_ms = most_ms == UINT64_MAX ? UINT64_MAX : now.ms + most_ms;
    call->retry_delay_ms = RETRY_MS_MIN;
    retry(call, err, now);
    tell(call, CN_EVENT_LOST, err);
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

/* A session of a call that is open: of one that is lost, whatever is no failure of ours, and no
 * refusal, is tried again. */
static void open_failed(struct cn_call *call, enum cn_err err, struct cn_now now)
{
    const bool again = admission_is_renewed(call) || (err != CN_E_ADMISSION && !is_ours(err));

    if (close_told(&call->mux))
        end(call, closed_error(call->mux.close_received_code));
    else if (call->lost && !call->secrets->session.verdict_known && !is_ours(err) &&
             connecting_elsewhere(call, now))
        return;
    else if (call->lost && again)
        retry(call, err, now);
    else if (!call->lost && is_loss(call, err))
        lose(call, err, resume_most_ms(call), now);
    else
        end(call, is_ours(err) ? err : CN_E_INTERRUPTED);
}

/* A session that failed: is it over, or tried again? */
static void session_failed(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;
    enum cn_err err = session->error;
    bool shaking = session->joined != NULL;

    note_verdict(call, now);
    if (err == CN_E_HUNG_UP)
        (void)cn_home_fail(call->home, err, 0,
                           call->secrets->fingerprint.address[call->address_index]);
    if (call->open) {
        open_failed(call, err, now);
    } else if (admission_is_renewed(call)) {
        retry(call, err, now);
    } else if (err == CN_E_ADMISSION || err == CN_E_CRYPTO || err == CN_E_RANDOM ||
               err == CN_E_MEMORY || (err == CN_E_LIMIT && !shaking)) {
        end(call, err);
    } else if (!session->verdict_known && connecting_elsewhere(call, now)) {
        return;
    } else if (shaking && cn_err_blame(err) == CN_BLAME_PEER && err != CN_E_INTERRUPTED &&
               err != CN_E_TIMEOUT && call->wait_until_ms != UINT64_MAX &&
               ++call->handshake_failures >= HANDSHAKE_FAILURE_COUNT_MAX) {
        end(call, CN_E_AUTH);
    } else {
        retry(call, err, now);
    }
}

/* Our CLOSE has been sent, with why we give up. To close a socket that still has octets to be read
 * resets the connection, which may overtake what was sent: read on until the partner has closed. */
static void leave(struct cn_call *call)
{
    (void)shutdown(call->socket, SHUT_WR);
    call->state = CALL_LEAVING;
}

static void leaving_process(struct cn_call *call, struct cn_now now)
{
    uint8_t octets[16384];
    ssize_t got = 1;

    for (int i = 0; i < 64 && got > 0; i++)
        got = recv(call->socket, octets, sizeof octets, 0);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) {
        if (now.ms < call->leave_ms)
            return;
    }
    end(call, CN_E_CANCELLED);
}

/* Both have said CLOSE. That the partner knows so too is known when it has closed its side. */
static void confirm(struct cn_call *call, struct cn_now now)
{
    if (call->resume_s == 0) {
        end(call, CN_OK);
        return;
    }
    (void)shutdown(call->socket, SHUT_WR);
    call->state = CALL_CONFIRMING;
    call->leave_ms = now.ms + LEAVE_MS;
}

/* The line broke before that was known. */
static void confirm_again(struct cn_call *call, struct cn_now now)
{
    uint64_t most_ms = resume_most_ms(call);

    call->leave_ms = 0;
    call->confirming = true;
    if (call->resume_s == 0)
        end(call, CN_OK);
    else
        lose(call, CN_E_INTERRUPTED, most_ms < CONFIRM_MS ? most_ms : CONFIRM_MS, now);
}

static void confirming_process(struct cn_call *call, struct cn_now now)
{
    uint8_t octet;
    ssize_t got = recv(call->socket, &octet, sizeof octet, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR) && now.ms < call->leave_ms)
        return;
    if (got >= 0) {
        end(call, CN_OK);
        return;
    }
    confirm_again(call, now);
}

/* The end of a call that was open: said by both, or by one with a reason, on this connection. */
static void running_end(struct cn_call *call, struct cn_now now)
{
    const struct cn_mux *mux = &call->mux;
    const bool carries = call->secrets->session.mux != NULL;
    size_t left;

    (void)cn_session_output(&call->secrets->session, &left, now);
    if (carries && close_told(mux) && !cn_mux_has_event(mux))
        end(call, closed_error(mux->close_received_code));
    else if (carries && mux->close_sent && mux->close_code != 0 && left == 0)
        leave(call);
    else if (call->leave_ms != 0 && now.ms >= call->leave_ms)
        end(call, CN_E_CANCELLED);
    else if (carries && cn_mux_is_closed(mux) && left == 0)
        confirm(call, now);
}

/* While nobody has come: a line for the pairs that there are now. */
static bool look(struct cn_call *call, struct cn_now now)
{
    if (call->secrets->session.state != CN_SESSION_WAITING || now.ms < call->look_ms)
        return false;
    call->look_ms = now.ms + LOOK_MS;
    if (!wants_renew(call))
        return false;
    tell(call, CN_EVENT_RETRY, CN_OK);
    connecting_begin(call, now);
    return true;
}

/* A session that has just come so far carries the streams. */
static void carry(struct cn_call *call, struct cn_now now)
{
    struct call_secrets *s = call->secrets;

    if (s->session.state != CN_SESSION_OPEN || s->session.mux)
        return;
    if (call->resuming) {
        cn_session_carry(&s->session, &call->mux, now);
        call->lost = false;
        tell(call, CN_EVENT_RESUMED, CN_OK);
        return;
    }
    call->met = s->session.joined;
    call->open = true;
    cn_mux_set_role(&call->mux, call->met->pair->role);
    cn_session_carry(&s->session, &call->mux, now);
    s->exporter = s->session.keys.exporter;
    cn_handing_begin(&s->handing, call->home, &call->mux, cn_wants_wanted(call->met)->contact,
                     call->met->pair, now.ms);
    if (s->session.keys.limits.resume_s < call->resume_s)
        call->resume_s = s->session.keys.limits.resume_s;
    if (cn_pair_resume(&s->resumed, cn_home_crypto(call->home), call->met->pair,
                       &s->session.keys.resume) != CN_OK)
        call->resume_s = 0;
    if (call->resume_s == 0)
        return;
    call->mux.patience_ms = CN_MUX_PATIENCE_MS;
    call->network = cn_network_watch();
}

static bool running_step(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;

    if (!cn_session_step(session, now))
        return false;
    carry(call, now);
    return true;
}

/* A partner that is silent where it should not be, and one that is not so any more. */
static void tell_quiet(struct cn_call *call, struct cn_now now)
{
    const bool quiet = call->secrets->session.state == CN_SESSION_OPEN &&
                       now.ms >= cn_mux_quiet_ms(&call->mux, QUIET_MS);

    if (quiet != call->quiet)
        tell(call, quiet ? CN_EVENT_QUIET : CN_EVENT_HEARD, CN_OK);
    call->quiet = quiet;
}

static void running_process(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;

    if (call->open)
        cn_handing_step(&call->secrets->handing, now.ms);
    else if (look(call, now))
        return;
    /* events that lend octets of the record in hand come first: the owner looks before the next */
    while (running_step(call, now)) {
        if (call->mux.borrower || session->state == CN_SESSION_FAILED)
            break;
    }
    if (!call->mux.borrower && session->state < CN_SESSION_CLOSED && line_read(call, now)) {
        while (!call->mux.borrower && running_step(call, now))
            ;
    }
    tell_states(call, now);
    if (session->state != CN_SESSION_FAILED && !line_write(call, now) &&
        session->state == CN_SESSION_CLOSED) { /* our CLOSE did not get out */
        confirm_again(call, now);
        return;
    }
    if (call->open)
        tell_quiet(call, now);
    if (call->open)
        running_end(call, now);
    if (call->state == CALL_RUNNING && session->state == CN_SESSION_FAILED)
        session_failed(call, now);
}

/* The time for waiting is over: who did not come, the partner or the server? Being joined counts as
 * the partner's coming; a server that has not failed has time for its first answer. */
static void check_wait(struct cn_call *call, struct cn_now now)
{
    bool joined = call->state == CALL_RUNNING && call->told >= CN_SESSION_PROLOGUE;

    if (call->lost && now.ms >= call->lost_until_ms)
        end(call, call->confirming ? CN_OK : CN_E_INTERRUPTED);
    if (call->lost && call->leave_ms != 0 && now.ms >= call->leave_ms)
        end(call, CN_E_CANCELLED);
    if (call->state == CALL_OVER || call->open || joined || now.ms < call->wait_until_ms)
        return;
    if (call->told >= CN_SESSION_WAITING && call->failure == CN_OK)
        end(call, CN_E_TIMEOUT);
    else if (call->failure != CN_OK)
        end(call, cn_err_blame(call->failure) == CN_BLAME_SYSTEM ? call->failure : CN_E_TIMEOUT);
    else if (now.ms >= call->first_until_ms)
        end(call, CN_E_UNREACHABLE);
}

/* The network of this machine has changed: what could not be reached may be, now; and a line that
 * stood may be dead. */
static void network_changed(struct cn_call *call, struct cn_now now)
{
    if (call->lost && call->state == CALL_PAUSED) {
        call->retry_delay_ms = RETRY_MS_MIN;
        call->retry_ms = now.ms;
    } else if (call->state == CALL_RUNNING && !cn_network_has_address_of(call->socket)) {
        cn_session_ended(&call->secrets->session);
    } else if (call->state == CALL_RUNNING) {
        call->mux.ping_due_ms = now.ms;
    }
}

void cn_call_process(struct cn_call *call)
{
    struct cn_now now = now_get();

    if (call->state == CALL_OVER)
        return;
    if (cn_network_changed(call->network))
        network_changed(call, now);
    if (call->state == CALL_PAUSED && now.ms >= call->retry_ms)
        connecting_begin(call, now);
    else if (call->state == CALL_CONNECTING)
        connecting_took(call, cn_connect_step(&call->connect, now.ms), now);
    if (call->state == CALL_RUNNING)
        running_process(call, now);
    if (call->state == CALL_LEAVING)
        leaving_process(call, now);
    if (call->state == CALL_CONFIRMING)
        confirming_process(call, now);
    check_wait(call, now);
}

/* --- waiting -------------------------------------------------------------------------------- */

_Static_assert((int)CN_CONNECT_AT_ONCE_MAX + 1 <= (int)CN_CALL_DESCRIPTORS_MAX,
               "as cyphernet.h promises");

static size_t line_descriptors(struct cn_call *call, struct pollfd *descriptors, size_t max)
{
    short wanted = POLLIN;
    size_t left;

    if (max == 0 || call->state == CALL_PAUSED || call->state == CALL_OVER)
        return 0;
    if (call->state == CALL_CONNECTING)
        return cn_connect_descriptors(&call->connect, descriptors, max);
    if (call->state == CALL_RUNNING) {
        (void)cn_session_output(&call->secrets->session, &left, now_get());
        if (left > 0)
            wanted |= POLLOUT;
    }
    descriptors[0] = (struct pollfd) { call->socket, wanted, 0 };
    return 1;
}

size_t cn_call_descriptors(struct cn_call *call, struct pollfd *descriptors, size_t max)
{
    size_t count = line_descriptors(call, descriptors, max);

    if (call->network >= 0 && count < max)
        descriptors[count++] = (struct pollfd) { call->network, POLLIN, 0 };
    return count;
}

/* Whole octets wait in the session, which no poll will tell about. */
static bool has_input(const struct cn_call *call)
{
    const struct cn_session *s = &call->secrets->session;

    return s->in_end > s->in_begin && call->mux.borrower;
}

int cn_call_timeout_ms(const struct cn_call *call)
{
    struct cn_now now = now_get();
    uint64_t due = UINT64_MAX;

    if (call->event_count > 0 || cn_mux_has_event(&call->mux) || call->secrets->handing.news)
        return 0;
    if (call->state == CALL_OVER)
        return -1;
    if (call->state == CALL_PAUSED)
        due = call->retry_ms;
    if (call->state == CALL_CONNECTING)
        due = cn_connect_due_ms(&call->connect);
    if (call->state == CALL_RUNNING) {
        if (has_input(call))
            return 0;
        due = cn_session_deadline_ms(&call->secrets->session, now);
        if (call->open && cn_handing_due_ms(&call->secrets->handing) < due)
            due = cn_handing_due_ms(&call->secrets->handing);
        if (!call->open && call->secrets->session.state == CN_SESSION_WAITING &&
            call->look_ms < due)
            due = call->look_ms;
        if (call->secrets->session.state == CN_SESSION_OPEN && !call->quiet &&
            cn_mux_quiet_ms(&call->mux, QUIET_MS) < due)
            due = cn_mux_quiet_ms(&call->mux, QUIET_MS);
    }
    if (call->leave_ms != 0 && call->leave_ms < due)
        due = call->leave_ms;
    if (call->lost && call->lost_until_ms < due)
        due = call->lost_until_ms;
    if (!call->open && call->wait_until_ms < due)
        due = now.ms < call->wait_until_ms ? call->wait_until_ms : call->first_until_ms;
    if (due == UINT64_MAX)
        return -1;
    if (due <= now.ms)
        return 0;
    return due - now.ms > 3600000 ? 3600000 : (int)(due - now.ms);
}

/* But for those of streams that are no affair of the owner's. */
static bool stream_event(struct cn_call *call, struct cn_event *event)
{
    while (cn_mux_next_event(&call->mux, &event->stream, &event->type)) {
        if (!cn_handing_take(&call->secrets->handing, event->stream, event->type, now_get().ms))
            return true;
    }
    return false;
}

static bool cards_event(struct cn_call *call, struct cn_event *event)
{
    struct cn_handing *handing = &call->secrets->handing;

    if (!handing->news)
        return false;
    handing->news = false;
    *event = (struct cn_event) { CN_EVENT_CARDS, NULL, handing->err };
    return true;
}

bool cn_call_next_event(struct cn_call *call, struct cn_event *event)
{
    struct cn_event e = { CN_EVENT_NONE, NULL, CN_OK };

    if (call->event_count > 0 && call->event[0].type != CN_EVENT_CLOSED) {
        e = call->event[0];
    } else if (stream_event(call, &e) || cards_event(call, &e)) {
        *event = e;
        return true;
    } else if (call->event_count > 0) {
        e = call->event[0]; /* CLOSED is the last */
    } else {
        return false;
    }
    call->event_count--;
    memmove(call->event, call->event + 1, call->event_count * sizeof call->event[0]);
    *event = e;
    return true;
}

enum cn_err cn_call_wait(struct cn_call *call, int timeout_ms, struct cn_event *event)
{
    uint64_t until_ms = timeout_ms < 0 ? UINT64_MAX : now_get().ms + (uint64_t)timeout_ms;

    for (;;) {
        struct pollfd p[CN_CALL_DESCRIPTORS_MAX];
        size_t count;
        int due_ms;
        uint64_t now_ms;

        cn_call_process(call);
        if (cn_call_next_event(call, event))
            return CN_OK;
        now_ms = now_get().ms;
        if (now_ms >= until_ms)
            return CN_E_TIMEOUT;
        due_ms = cn_call_timeout_ms(call);
        if (until_ms != UINT64_MAX && (due_ms < 0 || (uint64_t)due_ms > until_ms - now_ms))
            due_ms = (int)(until_ms - now_ms);
        count = cn_call_descriptors(call, p, CN_CALL_DESCRIPTORS_MAX);
        if (poll(p, count, due_ms) < 0 && errno != EINTR && errno != EAGAIN)
            return cn_home_fail(call->home, CN_E_SYSTEM, errno, "poll");
    }
}

/* --- the rest ------------------------------------------------------------------------------- */

void cn_call_share_extra(struct cn_call *call, uint64_t *sum)
{
    cn_mux_share_extra(&call->mux, sum);
}

void cn_call_set_resume(struct cn_call *call, uint32_t seconds)
{
    if (!call->open)
        call->resume_s = seconds;
}

void cn_call_finish(struct cn_call *call)
{
    cn_mux_finish(&call->mux);
}

void cn_call_cancel(struct cn_call *call, enum cn_err why)
{
    unsigned code = cn_err_close_code(why);

    if (!call->open || call->state == CALL_OVER) {
        end(call, CN_E_CANCELLED);
        return;
    }
    if (call->confirming || call->state == CALL_CONFIRMING) {
        end(call, CN_OK);
        return;
    }
    cn_mux_close(&call->mux, code ? code : cn_err_close_code(CN_E_CANCELLED));
    call->leave_ms = now_get().ms + LEAVE_MS;
}

/* The one that it was joined for, or the only one; NULL: it is not known yet. */
static const struct cn_want *met(const struct cn_call *call)
{
    const struct cn_want *joined = call->met ? call->met : call->secrets->session.joined;

    return joined || call->wants.asked_count > 1 ? joined : call->wants.want;
}

const char *cn_call_contact(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? cn_wants_wanted(want)->contact : NULL;
}

enum cn_call_service cn_call_service(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? cn_wants_service(want) : 0;
}

size_t cn_call_wants_max(const struct cn_call *call)
{
    /* any of them may be one that takes two */
    return call->wants.count > call->wants.asked_count ? call->want_count_max / 2
                                                       : call->want_count_max;
}

const char *cn_call_suite(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? want->pair->suite->name : NULL;
}

const char *cn_call_server(const struct cn_call *call)
{
    return call->server;
}

bool cn_call_is_caller(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want && cn_want_calls(want);
}

bool cn_call_verified(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want && cn_wants_wanted(want)->verified;
}

const struct cn_admission_note *cn_call_admission_note(const struct cn_call *call)
{
    return &call->note;
}

enum cn_err cn_call_export(const struct cn_call *call, uint8_t out[32])
{
    const struct cn_item label = CN_LABEL("export");
    const struct cn_suite *suite;

    if (!call->open)
        return CN_E_UNEXPECTED;
    suite = met(call)->pair->suite;
    return cn_expand(cn_home_crypto(call->home), suite->hash, call->secrets->exporter.bytes,
                     cn_hash_size(suite->hash), &label, 1, out, 32);
}

enum cn_err cn_stream_open(struct cn_call *call, uint8_t kind, const void *parameters,
                           size_t parameters_size, struct cn_stream **stream)
{
    if (kind == 0 || kind == CN_HANDING_KIND || parameters_size > CN_FRAME_PARAMETERS_SIZE_MAX)
        return CN_E_USAGE;
    if (!call->open || (call->state != CALL_RUNNING && !call->lost))
        return CN_E_UNEXPECTED;
    return cn_mux_open(&call->mux, kind, parameters, parameters_size, stream);
}
