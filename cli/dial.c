#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "agent/asking.h"
#include "connect.h"

enum { SHARED_MS_MIN = 50, SHARED_MS_MAX = 5000 }; /* before one that was replaced comes back */
enum { LEAVE_MS = 1000 };
enum { CALL_DESCRIPTOR_COUNT = 8 }; /* that one takes to come to wait, with some to spare */
enum {
    CALLER_WAIT_S = 600,
    CLOCK_TEXT_SIZE = CN_SPAN_TEXT_SIZE + 16,
    EXTRA_SIZE_MAX = 4096 /* octets of an event's further members */
};

void cn_dial_event(const struct cn_cli *cli, const struct cn_dial *dial, const char *event,
                   const char *extra)
{
    char contact[CN_JSON_MEMBER_SIZE(256)]; /* it may be anything, and then there is none */
    char line[sizeof contact + EXTRA_SIZE_MAX];
    int size = snprintf(line, sizeof line, "{\"v\":1,\"event\":\"%s\",%s%s}\n", event,
                        cn_json_member(contact, sizeof contact, "contact", dial->name), extra);

    if (size < 0 || (size_t)size >= sizeof line)
        return;
    if (dial->events_fd >= 0 && write(dial->events_fd, line, (size_t)size) < 0 && errno != EAGAIN)
        cn_warn("events cannot be written: %s", strerror(errno));
    if (cli->json && dial->events_fd < 0) {
        fputs(line, stdout);
        fflush(stdout);
    }
}

void cn_dial_stream(const struct cn_dial *dial, uint8_t kind, struct cn_stream **stream, int *code)
{
    enum cn_err err = cn_stream_open(dial->call, kind, NULL, 0, stream);

    if (err == CN_OK || err == CN_E_UNEXPECTED)
        return;
    cn_error("opening the call's stream: %s", cn_err_text(err));
    cn_hint("call again");
    *code = CN_EXIT_FAILED;
    cn_call_cancel(dial->call, err);
}

void cn_dial_over(const struct cn_cli *cli, const struct cn_dial *dial, int code)
{
    static const char *const reasons[] = {
        [CN_EXIT_FAILED] = "failed",
        [CN_EXIT_USAGE] = "usage",
        [CN_EXIT_NOT_AUTHENTIC] = "not-authentic",
        [CN_EXIT_UNREACHABLE] = "unreachable",
        [CN_EXIT_INTERRUPTED] = "interrupted",
        [CN_EXIT_NO_PARTNER] = "no-partner",
        [CN_EXIT_NOT_ADMITTED] = "not-admitted",
        [CN_EXIT_REFUSED] = "refused",
    };
    char extra[64];

    if (code == CN_EXIT_DONE) {
        cn_dial_event(cli, dial, "done", ",\"code\":0");
        return;
    }
    snprintf(extra, sizeof extra, ",\"code\":%d,\"reason\":\"%s\"", code,
             (size_t)code < sizeof reasons / sizeof reasons[0] ? reasons[code] : "signal");
    cn_dial_event(cli, dial, "failed", extra);
}

void cn_span_text(int64_t seconds, char out[CN_SPAN_TEXT_SIZE])
{
    int64_t n = seconds < 0 ? -seconds : seconds;
    const char *unit = n == 1 ? "second" : "seconds";

    if (n >= 2 * 86400) {
        n /= 86400;
        unit = "days";
    } else if (n >= 2 * 3600) {
        n /= 3600;
        unit = "hours";
    } else if (n >= 120) {
        n /= 60;
        unit = "minutes";
    }
    snprintf(out, CN_SPAN_TEXT_SIZE, "%lld %s", (long long)n, unit);
}

/* "2 hours ahead of"; false: it is right, or unknown. */
static bool clock_is_off(const struct cn_dial *dial, char by[CLOCK_TEXT_SIZE])
{
    int64_t ahead = cn_call_admission_note(dial->call)->clock_ahead_s;
    char span[CN_SPAN_TEXT_SIZE];

    if (ahead < CN_CLOCK_OFF_S && ahead > -CN_CLOCK_OFF_S)
        return false;
    cn_span_text(ahead, span);
    snprintf(by, CLOCK_TEXT_SIZE, "%s %s", span, ahead > 0 ? "ahead of" : "behind");
    return true;
}

static void tell_clock(const struct cn_dial *dial)
{
    char by[CLOCK_TEXT_SIZE];

    if (clock_is_off(dial, by))
        cn_warn("your clock is %s the server's; if it is off by more than ten minutes you may not "
                "find %s",
                by, dial->name);
}

static const struct {
    const char *what;
    const char *hint;
} refusals[] = {
    [CN_REFUSAL_NONE] = { "the server refuses you", "ask its operator" },
    [CN_REFUSAL_EXPIRED] = { "your fingerprint has expired",
                             "ask the server's operator to renew it" },
    [CN_REFUSAL_NOT_YET_VALID] = { "your fingerprint is not valid yet",
                                   "is the server's clock right? ask its operator" },
    [CN_REFUSAL_REVOKED] = { "the operator has revoked your fingerprint",
                             "ask the server's operator for a new one" },
    [CN_REFUSAL_SUSPENDED] = { "the operator has suspended you", "ask the server's operator" },
    [CN_REFUSAL_OVER_LIMIT] = { "too many of your lines wait at the server already",
                                "end some of your other calls, or ask the operator for more" },
    [CN_REFUSAL_REPLACED] = { "another program of yours waits for the same now, in place of this "
                              "one",
                              "one is enough: end the one that you do not need" },
};

const char *cn_refusal_what(int refusal)
{
    return refusals[refusal].what;
}

const char *cn_refusal_hint(int refusal)
{
    return refusals[refusal].hint;
}

static int refused(const struct cn_dial *dial)
{
    const struct cn_admission_note *note = cn_call_admission_note(dial->call);

    cn_error("%s", cn_refusal_what(note->refusal));
    cn_hint("%s", cn_refusal_hint(note->refusal));
    tell_clock(dial);
    return CN_EXIT_NOT_ADMITTED;
}

static void hint_partner(const struct cn_dial *dial)
{
    cn_hint("%s must run: cyphernet %s %s", dial->name, dial->partner_command,
            dial->my_name[0] ? dial->my_name : "YOUR-NAME");
}

/* An open call, of ours or of our agent's: for good. */
static int interrupted(const struct cn_dial *dial, enum cn_err err)
{
    const int refusal = dial->call ? cn_call_admission_note(dial->call)->refusal : CN_REFUSAL_NONE;

    if (err == CN_E_ANEW)
        cn_error("%s has begun anew: this call cannot go on", dial->name);
    else if (refusal != CN_REFUSAL_NONE)
        cn_error("the call with %s cannot go on: %s", dial->name, cn_refusal_what(refusal));
    else
        cn_error("the call with %s was interrupted before its end", dial->name);
    cn_hint("what was not confirmed may be missing at the other end; %s",
            refusal != CN_REFUSAL_NONE ? cn_refusal_hint(refusal) : "call again");
    return CN_EXIT_INTERRUPTED;
}

int cn_dial_ended(struct cn_cli *cli, struct cn_dial *dial, enum cn_err err)
{
    char by[CLOCK_TEXT_SIZE];

    if (err == CN_OK)
        return CN_EXIT_DONE;
    if (err == CN_E_ADMISSION)
        return refused(dial);
    if (err == CN_E_TIMEOUT && !dial->is_open) {
        cn_error("%s did not come in time", dial->name);
        if (clock_is_off(dial, by))
            cn_hint("your clock is %s the server's, and of two whose clocks differ by more than "
                    "ten minutes neither finds the other: is it right?",
                    by);
        hint_partner(dial);
        cn_hint("if that was so, one of you has an older card of the other: compare the numbers of "
                "`cyphernet contact verify` at both ends");
        return CN_EXIT_NO_PARTNER;
    }
    if (err == CN_E_AUTH) {
        cn_error("whoever answers in place of %s is not authentic", dial->name);
        cn_hint("compare `cyphernet contact verify %s` at both ends; if the numbers differ, "
                "exchange new cards; if they are equal, the server is at fault",
                dial->name);
        return CN_EXIT_NOT_AUTHENTIC;
    }
    if (err == CN_E_INTERRUPTED || err == CN_E_ANEW)
        return interrupted(dial, err);
    if (err == CN_E_REFUSED) {
        cn_error("%s refused", dial->name);
        return CN_EXIT_REFUSED;
    }
    return cn_fail(cli, err, "the call failed");
}

/* Of now. */
static int64_t lost_seconds(const struct cn_dial *dial)
{
    return (int64_t)(cn_connect_clock_ms() - dial->lost_ms + 500) / 1000;
}

static void reconnecting(const struct cn_cli *cli, const struct cn_dial *dial, enum cn_err err,
                         char text[CN_LINE_TEXT_SIZE])
{
    const int64_t seconds = lost_seconds(dial);
    char span[CN_SPAN_TEXT_SIZE];
    char members[64];

    cn_span_text(seconds, span);
    if (err == CN_OK)
        snprintf(text, CN_LINE_TEXT_SIZE, "the line was lost %s ago; waiting for %s", span,
                 dial->name);
    else
        snprintf(text, CN_LINE_TEXT_SIZE, "the line to %s was lost %s ago; reconnecting (%s)",
                 dial->name, span, cn_err_text(err));
    snprintf(members, sizeof members, ",\"seconds\":%lld,\"waiting\":%s", (long long)seconds,
             err == CN_OK ? "true" : "false");
    cn_dial_event(cli, dial, "reconnecting", members);
}

static void resumed_text(const struct cn_dial *dial, char text[CN_LINE_TEXT_SIZE])
{
    const int64_t seconds = lost_seconds(dial);
    char span[CN_SPAN_TEXT_SIZE];

    cn_span_text(seconds, span);
    snprintf(text, CN_LINE_TEXT_SIZE, "resumed%s%s, nothing is lost", seconds > 0 ? " after " : "",
             seconds > 0 ? span : "");
}

bool cn_dial_is_line(enum cn_event_type type)
{
    return type == CN_EVENT_QUIET || type == CN_EVENT_HEARD || type == CN_EVENT_LOST ||
           type == CN_EVENT_RECONNECTING || type == CN_EVENT_RESUMED;
}

bool cn_dial_line(const struct cn_cli *cli, struct cn_dial *dial, const struct cn_event *event,
                  char text[CN_LINE_TEXT_SIZE])
{
    switch ((int)event->type) {
    case CN_EVENT_QUIET:
        snprintf(text, CN_LINE_TEXT_SIZE, "nothing is heard of %s", dial->name);
        cn_dial_event(cli, dial, "quiet", "");
        return true;
    case CN_EVENT_HEARD:
        snprintf(text, CN_LINE_TEXT_SIZE, "%s is heard again", dial->name);
        cn_dial_event(cli, dial, "heard", "");
        return true;
    case CN_EVENT_LOST:
        dial->lost_ms = cn_connect_clock_ms();
        if (event->err == CN_OK)
            snprintf(text, CN_LINE_TEXT_SIZE,
                     "all has arrived; the line to %s was lost before %s could know, and is sought "
                     "for that",
                     dial->name, dial->name);
        else
            snprintf(text, CN_LINE_TEXT_SIZE, "the line to %s is lost; reconnecting", dial->name);
        cn_dial_event(cli, dial, "lost", event->err == CN_OK ? ",\"done\":true" : "");
        return true;
    case CN_EVENT_RECONNECTING:
        reconnecting(cli, dial, event->err, text);
        return true;
    case CN_EVENT_RESUMED:
        resumed_text(dial, text);
        dial->lost_ms = 0;
        cn_dial_event(cli, dial, "resumed", "");
        return true;
    default:
        return false;
    }
}

bool cn_dial_tell_line(const struct cn_cli *cli, struct cn_dial *dial, const struct cn_event *event)
{
    char text[CN_LINE_TEXT_SIZE];

    if (!cn_dial_line(cli, dial, event, text))
        return false;
    cn_say(cli, "%s", text);
    return true;
}

static void opened(struct cn_cli *cli, struct cn_dial *dial)
{
    dial->is_open = true;
    cn_say(cli, "connected with %s", dial->name);
    if (cli->verbose)
        cn_say(cli, "suite: %s", cn_call_suite(dial->call));
    if (!cn_call_verified(dial->call))
        cn_warn("%s is not verified yet: compare the safety number (`cyphernet contact verify %s`)",
                dial->name, dial->name);
    cn_dial_event(cli, dial, "open",
                  cn_call_verified(dial->call) ? ",\"verified\":true" : ",\"verified\":false");
}

static bool is_shortage(const struct cn_cli *cli, enum cn_err err)
{
    return err == CN_E_MEMORY ||
           (err == CN_E_SYSTEM && cn_is_shortage(cn_home_detail(cli->home)->system_error));
}

void cn_dial_cards(struct cn_cli *cli, const struct cn_dial *dial, enum cn_err err)
{
    struct cn_contact_info info;
    char about[sizeof cn_home_detail(cli->home)->about];

    if (err != CN_OK && is_shortage(cli, err))
        return; /* there may be none at all: another call has the room to look */
    if (err != CN_OK) {
        snprintf(about, sizeof about, "%s", cn_home_detail(cli->home)->about);
        cn_warn("the new cards of %s and you could not be exchanged: %s%s%s; the next call tries "
                "again",
                dial->name, about, about[0] ? ": " : "", cn_err_text(err));
    } else if (cn_contact_show(cli->home, dial->name, &info) == CN_OK) {
        cn_say(cli,
               info.moving == CN_MOVING_NEXT_CALL ? "%s and you have new cards, for the next call"
                                                  : "%s and you use new cards from now on",
               dial->name);
    }
    cn_dial_event(cli, dial, "cards", err == CN_OK ? ",\"good\":true" : ",\"good\":false");
}

/* A server whose gate is being replaced hangs up on whoever meets the old one, and the next is
 * there already: that is told only if it happens again. */
static bool meets_the_next(struct cn_dial *dial, enum cn_err err)
{
    bool first = err == CN_E_HUNG_UP && !dial->was_connected && !dial->was_hung_up;

    dial->was_hung_up |= first;
    return first;
}

int cn_dial_take(struct cn_cli *cli, struct cn_dial *dial, const struct cn_event *event)
{
    bool no_server =
        event->err == CN_E_UNREACHABLE || event->err == CN_E_HUNG_UP || event->err == CN_E_PROXY;

    switch (event->type) {
    case CN_EVENT_CONNECTED:
        if (!dial->was_connected)
            tell_clock(dial);
        dial->was_connected = true;
        if (cli->verbose)
            cn_say(cli, "the server: %s", cn_call_server(dial->call));
        cn_dial_event(cli, dial, "connected", "");
        return CN_EXIT_DONE;
    case CN_EVENT_WAITING:
        if (!dial->again)
            cn_say(cli, "waiting for %s ...", dial->name);
        dial->was_waiting = true;
        cn_dial_event(cli, dial, "waiting", "");
        return CN_EXIT_DONE;
    case CN_EVENT_RETRY:
        cn_dial_event(cli, dial, "retry", "");
        dial->is_lost = dial->was_joined;
        if (meets_the_next(dial, event->err))
            return CN_EXIT_DONE;
        if (no_server && !dial->was_connected && !dial->patient)
            return cn_fail(cli, event->err, "calling the server");
        if (event->err == CN_OK)
            return CN_EXIT_DONE;
        if (event->err == CN_E_AUTH)
            cn_warn("somebody who is not %s answered in place of %s; trying again", dial->name,
                    dial->name);
        else if (no_server && !dial->was_connected)
            cn_say(cli, "%s: %s; trying again", cn_home_detail(cli->home)->about,
                   cn_err_text(event->err));
        else if (cli->verbose || no_server)
            cn_say(cli, "the line was lost (%s); trying again", cn_err_text(event->err));
        return CN_EXIT_DONE;
    case CN_EVENT_NOTICE:
        cn_tell_notices(cli, dial);
        return CN_EXIT_DONE;
    case CN_EVENT_OPEN:
        opened(cli, dial);
        return CN_EXIT_DONE;
    case CN_EVENT_CLOSED:
        return cn_dial_ended(cli, dial, event->err);
    case CN_EVENT_JOINED:
        dial->was_joined = true;
        return CN_EXIT_DONE;
    case CN_EVENT_CARDS:
        cn_dial_cards(cli, dial, event->err);
        return CN_EXIT_DONE;
    case CN_EVENT_NONE:
    case CN_EVENT_STREAM:
    case CN_EVENT_READABLE:
    case CN_EVENT_WRITABLE:
    case CN_EVENT_PROGRESS:
        break;
    case CN_EVENT_QUIET:
    case CN_EVENT_HEARD:
    case CN_EVENT_LOST:
    case CN_EVENT_RECONNECTING:
    case CN_EVENT_RESUMED:
        (void)cn_dial_tell_line(cli, dial, event);
        break;
    }
    return CN_EXIT_DONE;
}

static int not_ready(struct cn_cli *cli, enum cn_err err, const char *name)
{
    struct cn_contact_info info;
    int code = CN_EXIT_FAILED;

    if (err == CN_E_ABSENT && cn_contact_show(cli->home, name, &info) == CN_OK &&
        !(info.offered && info.accepted)) {
        cn_error("%s: the cards are not exchanged yet", name);
        cn_hint(info.accepted ? "hand over yours: cyphernet contact offer %s -o FILE"
                              : "take the other's card: cyphernet contact accept %s FILE",
                name);
        return code;
    }
    if (cn_is_no_contact(cli, err, name))
        return cn_no_contact(name);
    return cn_fail(cli, err, "calling");
}

static bool wait_time(struct cn_cli *cli, bool answer, int64_t *ms)
{
    *ms = answer ? -1 : (int64_t)CALLER_WAIT_S * 1000;
    return !cli->wait || cn_seconds(cli->wait, ms);
}

/* CN_EXIT_DONE, or what is wrong has been said. */
static int times_read(struct cn_cli *cli, bool answer, int64_t *wait_ms, int64_t *resume_ms)
{
    if (!wait_time(cli, answer, wait_ms))
        return cn_misuse(cli, "--wait wants " CN_SECONDS_TEXT);
    if (cli->resume_for && !cn_seconds(cli->resume_for, resume_ms))
        return cn_misuse(cli, "--resume-for wants " CN_SECONDS_TEXT);
    return CN_EXIT_DONE;
}

int cn_dial_check(struct cn_cli *cli, const struct cn_dial *dial, bool answer)
{
    struct cn_contact_info info;
    int64_t wait_ms, resume_ms;

    if (cn_contact_show(cli->home, dial->name, &info) == CN_E_NAME)
        return not_ready(cli, CN_E_NAME, dial->name);
    return times_read(cli, answer, &wait_ms, &resume_ms);
}

/* Of one that dials again: what is left of the time that it had at first. */
static void wait_shorten(struct cn_dial *dial, int64_t *ms)
{
    uint64_t now_ms = cn_connect_clock_ms();

    if (dial->wait_until_ms == 0)
        dial->wait_until_ms = now_ms + (uint64_t)*ms;
    *ms = dial->wait_until_ms > now_ms ? (int64_t)(dial->wait_until_ms - now_ms) : 0;
}

int cn_dial_events(struct cn_cli *cli, struct cn_dial *dial)
{
    int fd = -1;

    dial->events_fd = -1;
    if (!cli->events)
        return CN_EXIT_DONE;
    if (!cn_descriptor(cli->events, &fd))
        return cn_misuse(cli, "--events wants an open file descriptor");
    if (fd == STDIN_FILENO || fd == STDOUT_FILENO)
        return cn_misuse(cli, "--events wants another descriptor than 0 and 1, which are for what "
                              "is sent and received");
    dial->events_fd = fd;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* it is not for commands that we run */
    return CN_EXIT_DONE;
}

bool cn_is_shortage(int system_error)
{
    return system_error == EMFILE || system_error == ENFILE || system_error == ENOMEM;
}

bool cn_has_room(void)
{
    int fd[CALL_DESCRIPTOR_COUNT];
    int count = 0;
    int error = 0;

    while (count < CALL_DESCRIPTOR_COUNT && error == 0) {
        fd[count] = eventfd(0, EFD_CLOEXEC);
        if (fd[count] >= 0)
            count++;
        else
            error = errno;
    }
    while (count > 0)
        close(fd[--count]);
    return !cn_is_shortage(error);
}

int cn_dial_start(struct cn_cli *cli, struct cn_dial *dial, enum cn_call_service service,
                  bool caller, bool answer)
{
    struct cn_call_options options = { dial->name, service, caller, 0 };
    int64_t resume_ms = (dial->resume_s ? dial->resume_s : CN_RESUME_S) * 1000;
    struct cn_contact_info info;
    enum cn_err err;
    int code = cn_dial_events(cli, dial);

    if (code != CN_EXIT_DONE)
        return code;
    dial->patient = answer;
    code = times_read(cli, answer, &options.wait_ms, &resume_ms);
    if (code != CN_EXIT_DONE) {
        cn_dial_over(cli, dial, code);
        return code;
    }
    if (dial->shared)
        wait_shorten(dial, &options.wait_ms);
    cn_tell_expiry(cli);
    if (service != CN_CALL_FORWARD || !caller) /* which no agent waits for */
        cn_asking_leave(cli, dial->name, service, caller);
    err = cn_call_open(&dial->call, cli->home, &options);
    dial->is_starved = err != CN_OK && dial->can_starve && is_shortage(cli, err);
    if (dial->is_starved)
        return CN_EXIT_FAILED;
    if (err != CN_OK) {
        code = not_ready(cli, err, dial->name);
        cn_dial_over(cli, dial, code);
        return code;
    }
    cn_call_set_resume(dial->call, (uint32_t)((resume_ms + 999) / 1000));
    if (dial->watches)
        cn_call_set_watch(dial->call);
    if (cn_call_admission_note(dial->call)->unlocked && !cli->told_unlocked)
        cn_warn(CN_WARN_UNLOCKED);
    if (cn_contact_show(cli->home, dial->name, &info) == CN_OK)
        snprintf(dial->my_name, sizeof dial->my_name, "%s", info.made_for);
    return code;
}

static bool is_replaced(const struct cn_dial *dial, const struct cn_event *event)
{
    return dial->shared && event->type == CN_EVENT_CLOSED && event->err == CN_E_ADMISSION &&
           cn_call_admission_note(dial->call)->refusal == CN_REFUSAL_REPLACED;
}

/* The server lets one of my programs wait for a contact at a time. The partner takes one after the
 * other, so that it is our turn soon; if it is not there at all, we take turns in waiting. */
static void give_way(struct cn_dial *dial, int *pause_ms)
{
    uint8_t random = 0;

    cn_dial_end(dial);
    dial->again = dial->was_waiting;
    if (getrandom(&random, sizeof random, 0) < 0)
        random = 128; /* then it is merely not jittered */
    (void)poll(NULL, 0, *pause_ms / 2 + *pause_ms * random / 256);
    *pause_ms = 2 * *pause_ms < SHARED_MS_MAX ? 2 * *pause_ms : SHARED_MS_MAX;
}

int cn_dial(struct cn_cli *cli, struct cn_dial *dial, enum cn_call_service service, bool caller,
            bool answer)
{
    int pause_ms = SHARED_MS_MIN;
    int code = cn_dial_start(cli, dial, service, caller, answer);

    if (code != CN_EXIT_DONE)
        return code;
    while (code == CN_EXIT_DONE && !dial->is_open) {
        struct cn_event event;
        enum cn_err err = cn_call_wait(dial->call, -1, &event);

        if (err == CN_OK && is_replaced(dial, &event)) {
            give_way(dial, &pause_ms);
            code = cn_dial_start(cli, dial, service, caller, answer);
            if (code != CN_EXIT_DONE)
                return code;
        } else {
            code = err == CN_OK ? cn_dial_take(cli, dial, &event) : cn_fail(cli, err, "waiting");
        }
    }
    if (code != CN_EXIT_DONE) {
        cn_dial_over(cli, dial, code);
        cn_dial_end(dial);
    }
    return code;
}

void cn_dial_tell_untold(const struct cn_dial *dial)
{
    if (dial->lost_ms != 0)
        cn_hint("%s could not be told, and may wait for the line to come back", dial->name);
}

void cn_dial_leave(struct cn_dial *dial)
{
    const uint64_t until_ms = cn_connect_clock_ms() + LEAVE_MS;
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    uint64_t now_ms = until_ms - LEAVE_MS;
    enum cn_err err = CN_OK;

    cn_call_cancel(dial->call, CN_E_CANCELLED);
    while (err == CN_OK && event.type != CN_EVENT_CLOSED && now_ms < until_ms) {
        err = cn_call_wait(dial->call, (int)(until_ms - now_ms), &event);
        if (event.type == CN_EVENT_RESUMED)
            dial->lost_ms = 0;
        now_ms = cn_connect_clock_ms();
    }
    cn_dial_tell_untold(dial);
}

void cn_dial_end(struct cn_dial *dial)
{
    cn_call_free(dial->call);
    dial->call = NULL;
}
