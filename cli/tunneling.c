#include "tunneling.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "connect.h"
#include "signals.h"

enum { LEAVE_MS = 5000 };
enum { REFUSED_TOLD_MAX = 100, EXTRA_SIZE = CN_JSON_MEMBER_SIZE(CN_TUNNEL_ADDRESS_SIZE) + 256 };

void cn_tunneling_prepare(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* best effort: else there are fewer at once */
}

int cn_tunneling_check(const struct cn_tunneling *t, enum cn_err err, const char *form)
{
    const struct cn_detail *detail = cn_tunnel_detail(t->tunnel);

    if (err == CN_OK)
        return CN_EXIT_DONE;
    if (err == CN_E_FORMAT)
        return cn_misuse(t->cli, "'%s' is not %s", detail->about, form);
    if (err != CN_E_SYSTEM) {
        cn_error("%s: %s", detail->about, cn_err_text(err));
        return CN_EXIT_FAILED;
    }
    cn_error("listening at %s: %s", detail->about, strerror(detail->system_error));
    if (detail->system_error == EADDRINUSE)
        cn_hint("something listens there already, or a file of that name is there: choose another");
    if (detail->system_error == EACCES)
        cn_hint("ports below 1024 are for root: choose another");
    return CN_EXIT_FAILED;
}

void cn_tunneling_leave(struct cn_tunneling *t)
{
    cn_tunnel_finish(t->tunnel);
    if (t->leave_ms == 0)
        t->leave_ms = cn_connect_clock_ms() + LEAVE_MS;
}

/* --- what is told ---------------------------------------------------------------------------- */

static const char *const outcome_words[CN_TUNNEL_OUTCOME_COUNT] = {
    [CN_TUNNEL_GIVEN_UP] = "given-up",       [CN_TUNNEL_REFUSED] = "refused",
    [CN_TUNNEL_NO_NAME] = "no-name",         [CN_TUNNEL_NO_LISTENER] = "no-listener",
    [CN_TUNNEL_UNREACHABLE] = "unreachable", [CN_TUNNEL_TIMED_OUT] = "timed-out",
    [CN_TUNNEL_BROKEN] = "broken",           [CN_TUNNEL_TOO_MANY] = "too-many",
    [CN_TUNNEL_MALFORMED] = "malformed",     [CN_TUNNEL_TAKEN] = "taken",
    [CN_TUNNEL_FAILED] = "failed",
};

static void tell_json(const struct cn_tunneling *t, const struct cn_tunnel_event *e,
                      const char *event)
{
    char address[CN_JSON_MEMBER_SIZE(CN_TUNNEL_ADDRESS_SIZE)];
    char extra[EXTRA_SIZE];
    int size = snprintf(extra, sizeof extra, ",%s",
                        cn_json_member(address, sizeof address, "address", e->address));

    if (e->type == CN_TUNNEL_EVENT_LISTENING)
        snprintf(extra + size, sizeof extra - (size_t)size, ",\"back\":%s",
                 e->back ? "true" : "false");
    if (e->type == CN_TUNNEL_EVENT_REFUSED)
        snprintf(extra + size, sizeof extra - (size_t)size,
                 ",\"reason\":\"%s\",\"listen\":%s,\"here\":%s", outcome_words[e->outcome],
                 e->to_listen ? "true" : "false", e->back ? "true" : "false");
    if (e->type == CN_TUNNEL_EVENT_CLOSED)
        snprintf(extra + size, sizeof extra - (size_t)size,
                 ",\"sent\":%llu,\"received\":%llu,\"reason\":\"%s\"", (unsigned long long)e->sent,
                 (unsigned long long)e->received, e->cut ? outcome_words[e->outcome] : "done");
    cn_dial_event(t->cli, &t->dial, event, extra);
}

static void say_listening(const struct cn_tunneling *t, const struct cn_tunnel_event *e)
{
    if (e->back)
        cn_say(t->cli, "%s listens at %s", t->dial.name, e->address);
    else
        cn_say(t->cli, "listening at %s", e->address);
}

/* What the partner may not have, or what could not be had for it. */
static void say_refused_here(const struct cn_tunneling *t, const struct cn_tunnel_event *e)
{
    if (e->outcome == CN_TUNNEL_REFUSED)
        cn_warn("%s asks to %s %s, which is not allowed", t->dial.name,
                e->to_listen ? "listen at" : "connect to", e->address);
    else
        cn_say(t->cli, "%s %s for %s: %s", e->to_listen ? "listening at" : "connecting to",
               e->address, t->dial.name, cn_tunnel_outcome_text(e->outcome));
}

static void say_refused(const struct cn_tunneling *t, const struct cn_tunnel_event *e)
{
    const char *what = e->to_listen ? "listen at" : "connect to";

    if (e->back) { /* it came in over there, and goes to a place of ours */
        cn_error("connecting to %s for %s: %s", e->address, t->dial.name,
                 cn_tunnel_outcome_text(e->outcome));
        return;
    }
    if (e->outcome == CN_TUNNEL_REFUSED)
        cn_error("%s does not let you %s %s", t->dial.name, what, e->address);
    else
        cn_error("%s cannot %s %s: %s", t->dial.name, what, e->address,
                 cn_tunnel_outcome_text(e->outcome));
    if (e->outcome == CN_TUNNEL_REFUSED)
        cn_hint("%s can allow it: cyphernet serve %s --allow%s %s", t->dial.name,
                t->dial.my_name[0] ? t->dial.my_name : "YOUR-NAME", e->to_listen ? "-listen" : "",
                e->address);
}

/* It ends because all does, which is told. */
static bool is_end_of_all(const struct cn_tunnel_event *e)
{
    return e->here && e->outcome == CN_TUNNEL_GIVEN_UP;
}

static void refused(struct cn_tunneling *t, const struct cn_tunnel_event *e)
{
    bool told;

    /* nor is it a refusal that a program here has gone before it was decided */
    t->given_up |= is_end_of_all(e);
    if (is_end_of_all(e) || (e->here && e->outcome == CN_TUNNEL_BROKEN && !t->joined))
        return;
    told = ++t->refused <= REFUSED_TOLD_MAX;

    if (told && t->serving)
        say_refused_here(t, e);
    else if (told)
        say_refused(t, e);
    else if (t->refused == REFUSED_TOLD_MAX + 1)
        cn_warn("%s: what else is refused in this call is not told", t->dial.name);
    if (told)
        tell_json(t, e, "refused");
    if (!e->permanent && !t->joined)
        return;
    t->code = e->outcome == CN_TUNNEL_REFUSED ? CN_EXIT_REFUSED : CN_EXIT_FAILED;
    cn_tunneling_leave(t);
}

static void ended(struct cn_tunneling *t, const struct cn_tunnel_event *e)
{
    if (t->cli->verbose)
        cn_say(t->cli, "%s: %s; %llu octets there, %llu back", e->address,
               e->cut ? cn_tunnel_outcome_text(e->outcome) : "done", (unsigned long long)e->sent,
               (unsigned long long)e->received);
    tell_json(t, e, "closed");
    if (!t->joined)
        return;
    t->given_up |= e->cut && is_end_of_all(e);
    if (e->cut && is_end_of_all(e))
        return;
    if (e->cut && e->here)
        cn_error("standard input or output: %s", cn_tunnel_outcome_text(e->outcome));
    else if (e->cut)
        cn_error("the connection of %s to %s: %s", t->dial.name, e->address,
                 cn_tunnel_outcome_text(e->outcome));
    if (e->cut) {
        t->code = e->here ? CN_EXIT_FAILED : CN_EXIT_INTERRUPTED;
        cn_tunneling_leave(t);
    }
    cn_tunnel_finish(t->tunnel); /* what was sent may take its time to be delivered over there */
}

/* The partner's program was ended: what is said then depends on who wanted something of it. */
static void partner_ended(struct cn_tunneling *t)
{
    if (t->serving || t->code != CN_EXIT_DONE)
        return;
    cn_error("%s serves no more", t->dial.name);
    cn_hint("call again when it does");
    t->code = CN_EXIT_INTERRUPTED;
}

void cn_tunneling_tell(struct cn_tunneling *t)
{
    struct cn_tunnel_event e;

    while (cn_tunnel_next_event(t->tunnel, &e)) {
        switch (e.type) {
        case CN_TUNNEL_EVENT_LISTENING:
            say_listening(t, &e);
            tell_json(t, &e, "listening");
            break;
        case CN_TUNNEL_EVENT_OPENED:
            t->opened++;
            if (t->cli->verbose)
                cn_say(t->cli, "connected with %s", e.address);
            tell_json(t, &e, "opened");
            break;
        case CN_TUNNEL_EVENT_CLOSED:
            ended(t, &e);
            break;
        case CN_TUNNEL_EVENT_REFUSED:
            refused(t, &e);
            break;
        case CN_TUNNEL_EVENT_ENDED:
            partner_ended(t);
            break;
        case CN_TUNNEL_EVENT_NONE:
            break;
        }
    }
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void begin(struct cn_tunneling *t)
{
    enum cn_err err = cn_tunnel_begin(t->tunnel, t->dial.call);

    t->begun = true;
    if (err == CN_OK || err == CN_E_UNEXPECTED) /* it is over already: its end says why */
        return;
    cn_error("beginning the tunnel: %s", cn_err_text(err));
    t->code = CN_EXIT_FAILED;
    cn_call_cancel(t->dial.call, err);
}

static void take_event(struct cn_tunneling *t, const struct cn_event *event)
{
    int code;

    if (cn_tunnel_take(t->tunnel, event))
        return;
    cn_tunneling_tell(t); /* what became of connections goes before the end of the call */
    t->closed |= event->type == CN_EVENT_CLOSED;
    if (t->dial.is_open && event->type == CN_EVENT_CARDS)
        cn_dial_cards(t->cli, &t->dial, event->err);
    if (t->dial.is_open && cn_dial_tell_line(t->cli, &t->dial, event))
        return;
    if (t->dial.is_open && event->type != CN_EVENT_CLOSED)
        return;
    code = t->dial.is_open ? cn_dial_ended(t->cli, &t->dial, event->err)
                           : cn_dial_take(t->cli, &t->dial, event);
    if (t->code == CN_EXIT_DONE)
        t->code = code;
    t->closed |= t->code != CN_EXIT_DONE && !t->dial.is_open;
}

void cn_tunneling_process(struct cn_tunneling *t)
{
    struct cn_event event;

    if (t->dial.is_open && !t->begun)
        begin(t);
    cn_call_process(t->dial.call);
    while (!t->closed && cn_call_next_event(t->dial.call, &event)) {
        take_event(t, &event);
        if (t->dial.is_open && !t->begun && !t->closed)
            begin(t);
    }
    if (!t->closed && t->leave_ms != 0 && cn_connect_clock_ms() >= t->leave_ms) {
        t->closed = true;
        if (t->code == CN_EXIT_DONE)
            t->code = cn_dial_ended(t->cli, &t->dial, CN_E_INTERRUPTED);
    }
    if (t->closed)
        return;
    cn_tunnel_process(t->tunnel);
    cn_tunneling_tell(t);
    cn_call_process(t->dial.call); /* what was put into streams goes now */
}

static void shorten(int *timeout_ms, int due_ms)
{
    if (due_ms >= 0 && (*timeout_ms < 0 || due_ms < *timeout_ms))
        *timeout_ms = due_ms;
}

size_t cn_tunneling_descriptors(struct cn_tunneling *t, struct pollfd *descriptors, int *timeout_ms)
{
    size_t count = cn_call_descriptors(t->dial.call, descriptors, CN_CALL_DESCRIPTORS_MAX);
    uint64_t now_ms = cn_connect_clock_ms();

    if (t->leave_ms != 0)
        shorten(timeout_ms, t->leave_ms > now_ms ? (int)(t->leave_ms - now_ms) : 0);
    shorten(timeout_ms, cn_call_timeout_ms(t->dial.call));
    shorten(timeout_ms, cn_tunnel_timeout_ms(t->tunnel));
    return count + cn_tunnel_descriptors(t->tunnel, descriptors + count, 1);
}

/* signals: NULL, or what ends it. */
static void carry(struct cn_tunneling *t, const struct cn_signals *signals)
{
    int leaving = 0; /* for this signal */

    while (!t->closed) {
        struct pollfd polled[1 + CN_TUNNELING_DESCRIPTOR_COUNT] = { { -1, POLLIN, 0 } };
        int timeout_ms = -1;
        size_t count;
        int number;

        cn_tunneling_process(t);
        if (t->closed)
            break;
        if (signals)
            polled[0].fd = signals->fd;
        count = 1 + cn_tunneling_descriptors(t, polled + 1, &timeout_ms);
        if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
            cn_error("poll: %s", strerror(errno));
            t->code = CN_EXIT_FAILED;
            return;
        }
        number = polled[0].revents ? cn_signals_take(signals) : 0;
        if (number && leaving) {
            t->code = 128 + number;
            return;
        }
        if (number)
            cn_tunneling_leave(t);
        if (number)
            leaving = number;
    }
    if (leaving && t->joined && t->given_up && t->code == CN_EXIT_DONE)
        t->code = 128 + leaving; /* what came does not look complete */
}

int cn_tunneling_call(struct cn_tunneling *t, bool interruptible)
{
    struct cn_signals signals;
    int code = cn_dial(t->cli, &t->dial, CN_CALL_FORWARD, true, false);

    if (code != CN_EXIT_DONE)
        return code;
    if (interruptible && !cn_signals_catch(&signals)) {
        cn_error("catching signals: %s", strerror(errno));
        return CN_EXIT_FAILED;
    }
    carry(t, interruptible ? &signals : NULL);
    cn_dial_over(t->cli, &t->dial, t->code);
    if (interruptible)
        cn_signals_release(&signals);
    return t->code;
}

void cn_tunneling_end(struct cn_tunneling *t)
{
    cn_tunnel_free(t->tunnel);
    t->tunnel = NULL;
    cn_dial_end(&t->dial);
}
