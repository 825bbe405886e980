/* call.c - a call as <cyphernet.h> offers it: a socket to the server, and sessions over it until
 * one has been carried to its end. The protocol itself is core/session.c. */
#include "calling.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "network.h"
#include "secret.h"
#include "waiting.h"

enum {
    LOOK_MS = 10000,       /* another program may take cards while we wait */
    LEAVE_MS = 5000,       /* after cancelling, for the partner to hear why */
    FIRST_ANSWER_MS = 6000 /* the server's, however short the wait: it may take 5 s to hang up */
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

struct cn_now cn_calling_now(void)
{
    return (struct cn_now) { cn_connect_clock_ms(), (uint64_t)time(NULL) };
}

void cn_calling_tell(struct cn_call *call, enum cn_event_type type, enum cn_err err)
{
    if (call->event_count ==
        CN_CALL_EVENT_COUNT_MAX) { /* an owner that does not look: the oldest goes */
        memmove(call->event, call->event + 1, sizeof call->event - sizeof call->event[0]);
        call->event_count--;
    }
    call->event[call->event_count++] = (struct cn_event) { type, NULL, err };
}

void cn_calling_break(struct cn_call *call)
{
    const struct linger hard = { .l_onoff = 1, .l_linger = 0 };

    /* before that both ends may still have to hear why a handshake fails */
    if (call->socket >= 0 && call->secrets->session.mux)
        (void)setsockopt(call->socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    cn_calling_close(call);
}

void cn_calling_unwait(struct cn_call *call)
{
    if (call->waiting != CN_WAITING_NONE)
        close(call->waiting);
    call->waiting = CN_WAITING_NONE;
    call->watching = call->waits_aside = false;
}

void cn_calling_close(struct cn_call *call)
{
    if (call->socket >= 0)
        close(call->socket);
    call->socket = -1;
    cn_connect_close(&call->connect);
}

void cn_calling_end(struct cn_call *call, enum cn_err err)
{
    if (call->state == CALL_OVER)
        return;
    if (call->confirming) /* it has ended well, whatever happens */
        err = CN_OK;
    if (err == CN_OK || call->state == CALL_LEAVING || cn_calling_close_told(&call->mux))
        cn_calling_close(call);
    else
        cn_calling_break(call);
    if (call->network >= 0)
        close(call->network);
    call->network = -1;
    cn_calling_unwait(call);
    call->state = CALL_OVER;
    call->error = err;
    cn_calling_tell(call, CN_EVENT_CLOSED, err);
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
    c->waiting = CN_WAITING_NONE;
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
    c->waiting = cn_waiting_open(home);
    c->waits_aside = !cn_waiting_hold(c->waiting, c->wants.asked, c->wants.asked_count);
    now = cn_calling_now();
    c->wait_until_ms = wait_ms < 0 ? UINT64_MAX : now.ms + (uint64_t)wait_ms;
    c->first_until_ms = now.ms + FIRST_ANSWER_MS;
    c->retry_delay_ms = CN_CALL_RETRY_MS_MIN;
    c->state = CALL_PAUSED;                 /* connecting is due at once */
    cn_mux_init(&c->mux, &heap, CN_ROLE_A); /* or B: with whom it is, is not known yet */
    *call = c;
    return CN_OK;
}

void cn_call_free(struct cn_call *call)
{
    if (!call)
        return;
    cn_calling_close(call);
    if (call->network >= 0)
        close(call->network);
    cn_calling_unwait(call);
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

/* --- running -------------------------------------------------------------------------------- */

/* The end of a call that was open: said by both, or by one with a reason. */
static void running_end(struct cn_call *call, struct cn_now now)
{
    const struct cn_mux *mux = &call->mux;
    size_t left;

    (void)cn_session_output(&call->secrets->session, &left, now);
    if (cn_calling_close_told(mux) && !cn_mux_has_event(mux))
        cn_calling_end(call, cn_calling_closed_error(mux->close_received_code));
    else if (mux->close_sent && mux->close_code != 0 && left == 0)
        cn_calling_leave(call);
    else if (call->leave_ms != 0 && now.ms >= call->leave_ms)
        cn_calling_end(call, CN_E_CANCELLED);
    else if (call->secrets->session.mux && cn_mux_is_closed(mux) && left == 0)
        cn_calling_confirm(call, now); /* on this line; on one that was lost before tells nothing */
}

/* While nobody has come: a line for the pairs that there are now, or one that watches, too. The
 * session sees whether the clock was set, of which no poll tells. */
static bool look(struct cn_call *call, struct cn_now now)
{
    if (call->secrets->session.state != CN_SESSION_WAITING || now.ms < call->look_ms)
        return false;
    call->look_ms = now.ms + LOOK_MS;
    if (call->waits_aside)
        call->waits_aside =
            !cn_waiting_hold(call->waiting, call->wants.asked, call->wants.asked_count);
    if (call->watching || !(call->open ? cn_calling_watch(call, now) : cn_calling_renew(call)))
        return false;
    if (call->open)
        cn_calling_break(call);
    else
        cn_calling_tell(call, CN_EVENT_RETRY, CN_OK);
    cn_calling_dial(call, now);
    return true;
}

/* A session that has just come so far carries the streams. */
static void carry(struct cn_call *call, struct cn_now now)
{
    struct call_secrets *s = call->secrets;
    bool can_resume;

    if (s->session.state != CN_SESSION_OPEN || s->session.mux)
        return;
    cn_calling_unwait(call);
    if (call->resuming) {
        cn_session_carry(&s->session, &call->mux, now);
        call->lost = false;
        cn_calling_tell(call, CN_EVENT_RESUMED, CN_OK);
        return;
    }
    if (s->session.joined->service == CN_SERVICE_RESUME) { /* the partner has had it open before */
        call->met = call->perhaps;
        can_resume = true;
        cn_mux_begin(&call->mux, &call->limits, now.ms);
    } else {
        call->met = s->session.joined;
        can_resume = cn_calling_keep(call, call->met);
    }
    call->open = true;
    cn_mux_set_role(&call->mux, call->met->pair->role);
    cn_calling_tell_states(call, now); /* before all that comes on it, even if it fails with that */
    cn_session_carry(&s->session, &call->mux, now);
    cn_handing_begin(&s->handing, call->home, &call->mux, cn_wants_wanted(call->met)->contact,
                     call->met->pair, now.ms);
    if (call->limits.resume_s < call->resume_s)
        call->resume_s = call->limits.resume_s;
    if (!can_resume)
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

static void running_process(struct cn_call *call, struct cn_now now)
{
    struct cn_session *session = &call->secrets->session;

    if (call->open)
        cn_handing_step(&call->secrets->handing, now.ms);
    if (look(call, now))
        return;
    /* events that lend octets of the record in hand come first: the owner looks before the next */
    while (running_step(call, now)) {
        if (call->mux.borrower || session->state == CN_SESSION_FAILED)
            break;
    }
    if (!call->mux.borrower && session->state < CN_SESSION_CLOSED && cn_calling_read(call, now)) {
        while (!call->mux.borrower && running_step(call, now))
            ;
    }
    cn_calling_tell_states(call, now);
    if (session->state != CN_SESSION_FAILED && !cn_calling_write(call, now) &&
        session->state == CN_SESSION_CLOSED) { /* where nobody reads on to find that out */
        cn_calling_unconfirmed(call, now);
        return;
    }
    if (call->open)
        cn_calling_tell_quiet(call, now);
    if (call->open)
        running_end(call, now);
    if (call->state == CALL_RUNNING && session->state == CN_SESSION_FAILED)
        cn_calling_failed(call, now);
}

/* Being joined counts as the partner's coming. */
static bool waits(const struct cn_call *call)
{
    return !call->open && !(call->state == CALL_RUNNING && call->told >= CN_SESSION_PROLOGUE);
}

/* The time for waiting is over: who did not come, the partner or the server? A server that has not
 * failed has time for its first answer. */
static void check_wait(struct cn_call *call, struct cn_now now)
{
    if (call->lost && now.ms >= call->lost_until_ms)
        cn_calling_end(call, CN_E_INTERRUPTED);
    if (call->lost && call->leave_ms != 0 && now.ms >= call->leave_ms)
        cn_calling_end(call, CN_E_CANCELLED);
    if (call->state == CALL_OVER || !waits(call) || now.ms < call->wait_until_ms)
        return;
    if (call->told >= CN_SESSION_WAITING && call->failure == CN_OK)
        cn_calling_end(call, CN_E_TIMEOUT);
    else if (call->failure != CN_OK)
        cn_calling_end(call, cn_err_blame(call->failure) == CN_BLAME_SYSTEM ? call->failure
                                                                            : CN_E_TIMEOUT);
    else if (now.ms >= call->first_until_ms)
        cn_calling_end(call, CN_E_UNREACHABLE);
}

void cn_call_process(struct cn_call *call)
{
    struct cn_now now = cn_calling_now();

    if (call->state == CALL_OVER)
        return;
    if (cn_network_changed(call->network))
        cn_calling_network_changed(call, now);
    if (call->state == CALL_PAUSED && now.ms >= call->retry_ms)
        cn_calling_dial(call, now);
    else if (call->state == CALL_CONNECTING)
        cn_calling_took(call, cn_connect_step(&call->connect, now.ms), now);
    if (call->state == CALL_RUNNING)
        running_process(call, now);
    if (call->state == CALL_LEAVING)
        cn_calling_leaving(call, now);
    if (call->state == CALL_CONFIRMING)
        cn_calling_confirming(call, now);
    check_wait(call, now);
    cn_calling_tell_lost(call, now);
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
        (void)cn_session_output(&call->secrets->session, &left, cn_calling_now());
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
    struct cn_now now = cn_calling_now();
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
        if (call->secrets->session.state == CN_SESSION_WAITING && call->look_ms < due)
            due = call->look_ms;
        if (call->secrets->session.state == CN_SESSION_OPEN && !call->quiet &&
            cn_mux_quiet_ms(&call->mux, CN_CALL_QUIET_MS) < due)
            due = cn_mux_quiet_ms(&call->mux, CN_CALL_QUIET_MS);
    }
    if (call->leave_ms != 0 && call->leave_ms < due)
        due = call->leave_ms;
    if (call->lost && call->lost_until_ms < due)
        due = call->lost_until_ms;
    if (call->lost && call->lost_tell_ms < due)
        due = call->lost_tell_ms;
    if (waits(call) && call->wait_until_ms < due)
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
        if (!cn_handing_take(&call->secrets->handing, event->stream, event->type,
                             cn_calling_now().ms))
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
    uint64_t until_ms = timeout_ms < 0 ? UINT64_MAX : cn_calling_now().ms + (uint64_t)timeout_ms;

    for (;;) {
        struct pollfd p[CN_CALL_DESCRIPTORS_MAX];
        size_t count;
        int due_ms;
        uint64_t now_ms;

        cn_call_process(call);
        if (cn_call_next_event(call, event))
            return CN_OK;
        now_ms = cn_calling_now().ms;
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

void cn_call_set_watch(struct cn_call *call)
{
    call->watches = true;
}

bool cn_call_narrow(struct cn_call *call)
{
    if (!call->perhaps || call->open)
        return false;
    call->narrowed = true;
    call->wait_until_ms = cn_calling_now().ms + (uint64_t)call->limits.resume_s * 1000;
    return true;
}

void cn_call_finish(struct cn_call *call)
{
    cn_mux_finish(&call->mux);
}

void cn_call_cancel(struct cn_call *call, enum cn_err why)
{
    unsigned code = cn_err_close_code(why);

    if (!call->open || call->state == CALL_OVER) {
        cn_calling_end(call, CN_E_CANCELLED);
        return;
    }
    if (call->confirming || call->state == CALL_CONFIRMING) {
        cn_calling_end(call, CN_OK);
        return;
    }
    cn_mux_close(&call->mux, code ? code : cn_err_close_code(CN_E_CANCELLED));
    call->leave_ms = cn_calling_now().ms + LEAVE_MS;
    call->lost_tell_ms = UINT64_MAX; /* its owner knows how that ends */
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
