#include "transferring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { GUEST_TOLD_COUNT_MAX = 16 };

/* --- the two engines ------------------------------------------------------------------------ */

static bool next_event(struct cn_transferring *t, struct cn_transfer_event *event)
{
    return t->sending ? cn_sending_next_event(t->sending, event)
                      : cn_receiving_next_event(t->receiving, event);
}

static void engine_take(struct cn_transferring *t, const struct cn_event *event)
{
    if (t->sending)
        (void)cn_sending_take(t->sending, event); /* there is nobody else who could want it */
    else
        (void)cn_receiving_take(t->receiving, event);
}

static void engine_process(struct cn_transferring *t)
{
    if (t->sending)
        cn_sending_process(t->sending);
    else
        cn_receiving_process(t->receiving);
}

static int engine_timeout_ms(const struct cn_transferring *t)
{
    return t->sending ? cn_sending_timeout_ms(t->sending) : cn_receiving_timeout_ms(t->receiving);
}

static size_t engine_descriptors(const struct cn_transferring *t, struct pollfd *polled)
{
    return t->sending ? cn_sending_descriptors(t->sending, polled, 1)
                      : cn_receiving_descriptors(t->receiving, polled, 1);
}

static void look(const struct cn_transferring *t, struct cn_transfer_progress *progress)
{
    if (t->sending)
        cn_sending_progress(t->sending, progress);
    else
        cn_receiving_progress(t->receiving, progress);
}

/* --- what is said --------------------------------------------------------------------------- */

static const char *reason_text(const struct cn_transfer_event *event)
{
    switch (event->reason) {
    case CN_TRANSFER_REASON_SYSTEM:
        return strerror(event->system_error);
    case CN_TRANSFER_REASON_CHANGED:
        return "changed after it was offered";
    case CN_TRANSFER_REASON_SPECIAL:
        return "left out: no file, directory or link";
    case CN_TRANSFER_REASON_NAME:
        return "left out: its path is too long";
    case CN_TRANSFER_REASON_NO_MEMORY:
        return "no memory";
    case CN_TRANSFER_REASON_LIBRARY:
        break;
    }
    return "a library failed";
}

static void tell_problem(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    t->has_problems = true;
    cn_progress_problem(t->cli, event, reason_text(event));
    cn_error("%s: %s", event->path, reason_text(event));
    if (event->reason == CN_TRANSFER_REASON_CHANGED)
        cn_hint("send it again when nothing writes to it: what is there already is skipped");
}

static const char *receiver_text(enum cn_transfer_outcome outcome)
{
    switch (outcome) {
    case CN_TRANSFER_EXISTS:
        return "not taken: a file of this name exists here";
    case CN_TRANSFER_DISK_FULL:
        return "not taken: the disk is full";
    case CN_TRANSFER_FAILED:
        return "could not be written";
    case CN_TRANSFER_STORED:
    case CN_TRANSFER_BAD_NAME:
    case CN_TRANSFER_MISMATCH:
    case CN_TRANSFER_WITHDRAWN:
    case CN_TRANSFER_UNCHANGED:
    case CN_TRANSFER_UNWANTED:
    case CN_TRANSFER_OUTCOME_COUNT:
        break;
    }
    return cn_transfer_outcome_text(outcome);
}

/* Why it is not there. */
static void tell_refusal(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    bool sends = t->sending != NULL;

    if (event->outcome == CN_TRANSFER_UNWANTED && !sends)
        return; /* as its user said */
    if (event->outcome == CN_TRANSFER_WITHDRAWN && sends)
        return; /* the reason has been told */
    cn_error("%s: %s", event->path,
             sends ? cn_transfer_outcome_text(event->outcome) : receiver_text(event->outcome));
    if (event->outcome == CN_TRANSFER_EXISTS && t->is_guest)
        cn_hint("`cyphernet talk --on-conflict rename` %s keeps both", sends ? "there" : "here");
    else if (event->outcome == CN_TRANSFER_EXISTS && sends)
        cn_hint("%s can run `cyphernet receive --overwrite`, or you rename it", t->dial.name);
    else if (event->outcome == CN_TRANSFER_EXISTS && !t->cli->overwrite)
        cn_hint("--overwrite replaces it, --on-conflict rename keeps both, -d DIR puts it "
                "elsewhere");
    if (event->outcome == CN_TRANSFER_DISK_FULL && !sends)
        cn_hint("make room, and have it sent again");
}

enum { SPEED_TEXT_SIZE = 96 };

/* How long so many octets took, and how fast that was; or that most of them were holes, or there
 * already, which says nothing of the line. */
static const char *speed_text(const struct cn_transferring *t, uint64_t size, uint64_t moved,
                              char out[SPEED_TEXT_SIZE])
{
    double seconds = cn_progress_seconds(&t->progress);
    char octets[32];

    if (moved < size / 2)
        snprintf(out, SPEED_TEXT_SIZE, " in %.1f s, of which %s had to be sent", seconds,
                 cn_size_text(octets, (double)moved));
    else
        snprintf(out, SPEED_TEXT_SIZE, " in %.1f s, %s/s", seconds,
                 cn_size_text(octets, (double)moved / seconds));
    return out;
}

/* How long the only file took, and how fast that was; of several that is told in the end. */
static const char *time_text(struct cn_transferring *t, char out[SPEED_TEXT_SIZE])
{
    struct cn_transfer_progress p;

    look(t, &p);
    out[0] = '\0';
    if (p.entry_count != 1)
        return out;
    cn_progress_end(&t->progress, &p);
    return speed_text(t, t->stored_size, p.moved, out);
}

/* Beside a talk many files are told of by their number only. */
static bool is_one_of_many(const struct cn_transferring *t)
{
    struct cn_transfer_progress p;

    look(t, &p);
    return t->is_guest && !t->cli->verbose && p.entry_count > GUEST_TOLD_COUNT_MAX;
}

static void tell_stored(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    const char *verb = t->sending ? "sent" : "received";
    char size[32], time[SPEED_TEXT_SIZE];

    if (is_one_of_many(t))
        return;
    if (event->outcome == CN_TRANSFER_UNCHANGED) {
        if (t->cli->verbose || event->kind == CN_TRANSFER_FILE)
            cn_say(t->cli, "%s: there already%s%s", event->path, event->stored_as ? ", as " : "",
                   event->stored_as ? event->stored_as : "");
        return;
    }
    if (event->kind != CN_TRANSFER_FILE) {
        if (t->cli->verbose)
            cn_say(t->cli, "%s %s", verb, event->path);
        return;
    }
    cn_say(t->cli, "%s %s: %s%s%s%s", verb, event->path, cn_size_text(size, (double)event->size),
           time_text(t, time), event->stored_as ? ", as " : "",
           event->stored_as ? event->stored_as : "");
}

static void tell_over(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    cn_progress_outcome(t->cli, event);
    switch (event->outcome) {
    case CN_TRANSFER_STORED:
        t->stored++;
        t->stored_size += event->kind == CN_TRANSFER_FILE ? event->size : 0;
        tell_stored(t, event);
        return;
    case CN_TRANSFER_UNCHANGED:
        t->unchanged++;
        tell_stored(t, event);
        return;
    case CN_TRANSFER_EXISTS:
    case CN_TRANSFER_BAD_NAME:
    case CN_TRANSFER_UNWANTED:
        t->refused++;
        break;
    case CN_TRANSFER_DISK_FULL:
    case CN_TRANSFER_MISMATCH:
    case CN_TRANSFER_FAILED:
    case CN_TRANSFER_WITHDRAWN:
    case CN_TRANSFER_OUTCOME_COUNT:
        t->failed++;
        break;
    }
    if (event->outcome == CN_TRANSFER_UNWANTED && !t->sending)
        t->refused--;
    tell_refusal(t, event);
}

/* In a talk it may end alone. */
static bool tell_ended(struct cn_transferring *t, enum cn_err err)
{
    if (err == CN_E_REFUSED)
        cn_say(t->cli, "%s does not want it", t->dial.name);
    else if (err == CN_E_INTERRUPTED)
        cn_say(t->cli, "%s has given it up; what has come is kept, and goes on another time",
               t->dial.name);
    else if (err == CN_E_LIMIT)
        cn_say(t->cli, "%s takes no files now; try again", t->dial.name);
    else if (err == CN_E_SYSTEM)
        cn_error("it failed at %s", t->dial.name);
    else
        return false;
    t->code = err == CN_E_REFUSED ? CN_EXIT_REFUSED : CN_EXIT_FAILED;
    return true;
}

static void tell_broken(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    t->broken = true;
    if (t->is_guest && tell_ended(t, event->err))
        return;
    if (event->err == CN_E_FORMAT)
        cn_error("%s said something that makes no sense", t->dial.name);
    else
        cn_error("it cannot go on: %s", cn_err_text(event->err));
    t->code = CN_EXIT_FAILED;
}

static void tell(struct cn_transferring *t, const struct cn_transfer_event *event)
{
    if (event->type == CN_TRANSFER_EVENT_BEGUN) {
        if (event->resumed > 0 && event->size > 0) {
            char size[32];

            cn_progress_clear(&t->progress);
            cn_say(t->cli, "%s: goes on after %s", event->path,
                   cn_size_text(size, (double)event->resumed));
        }
        return;
    }
    cn_progress_clear(&t->progress);
    switch (event->type) {
    case CN_TRANSFER_EVENT_OFFERED:
        if (t->offered)
            t->offered(t);
        else
            cn_consent_ask(t);
        break;
    case CN_TRANSFER_EVENT_OVER:
        tell_over(t, event);
        break;
    case CN_TRANSFER_EVENT_PROBLEM:
        tell_problem(t, event);
        break;
    case CN_TRANSFER_EVENT_FINISHED:
        t->finished = true;
        break;
    case CN_TRANSFER_EVENT_BROKEN:
        tell_broken(t, event);
        break;
    case CN_TRANSFER_EVENT_NONE:
    case CN_TRANSFER_EVENT_BEGUN:
        break;
    }
}

void cn_transferring_tell(struct cn_transferring *t)
{
    struct cn_transfer_event event;

    while (next_event(t, &event))
        tell(t, &event);
}

void cn_transferring_tell_total(struct cn_transferring *t)
{
    struct cn_transfer_progress p;
    char size[32], speed[SPEED_TEXT_SIZE], unchanged[64] = "";

    look(t, &p);
    if (p.entry_count < 2)
        return;
    if (t->refused == 0 && t->failed == 0)
        cn_progress_end(&t->progress, &p);
    if (t->unchanged > 0)
        snprintf(unchanged, sizeof unchanged, "; %llu there already",
                 (unsigned long long)t->unchanged);
    cn_say(t->cli, "%s %llu of %llu, %s%s%s", t->sending ? "sent" : "received",
           (unsigned long long)t->stored, (unsigned long long)p.entry_count,
           cn_size_text(size, (double)t->stored_size),
           speed_text(t, t->stored_size, p.moved, speed), unchanged);
}

/* It ended before its end: what is whole, and what is kept for another time. */
static void tell_rest(struct cn_transferring *t)
{
    const uint64_t kept = t->receiving ? cn_receiving_end(t->receiving) : 0;
    struct cn_transfer_progress p;
    unsigned long long good, count;
    char size[32];

    cn_transferring_tell(t); /* what has been stored in the end */
    look(t, &p);
    good = t->stored + t->unchanged;
    count = p.entry_count;
    if (count == 0 || t->finished)
        return;
    if (t->sending)
        cn_hint("%llu of %llu are known to be there; the same command sends the rest%s", good,
                count, t->sends_input ? ", and standard input from its beginning" : "");
    else if (kept > 0)
        cn_hint("%llu of %llu are here, and %s of what was on its way; the same command goes on "
                "where this one was",
                good, count, cn_size_text(size, (double)kept));
    else
        cn_hint("%llu of %llu are here; the same command receives the rest", good, count);
}

/* Its program was ended, and has been started again. */
static void tell_anew(struct cn_transferring *t)
{
    cn_transferring_tell(t); /* what has been stored in the end */
    cn_say(t->cli, "%s has begun anew; going on with what is there already", t->dial.name);
    cn_dial_event(t->cli, &t->dial, "anew", "");
}

/* --- the loop ------------------------------------------------------------------------------- */

static void take_call_event(struct cn_transferring *t, const struct cn_event *event)
{
    char text[CN_LINE_TEXT_SIZE];

    engine_take(t, event);
    if (event->type == CN_EVENT_CARDS) {
        cn_progress_clear(&t->progress);
        cn_dial_cards(t->cli, &t->dial, event->err);
    }
    if (cn_dial_line(t->cli, &t->dial, event, text)) {
        cn_progress_clear(&t->progress);
        cn_say(t->cli, "%s", text);
    }
    if (event->type != CN_EVENT_CLOSED)
        return;
    t->closed = true;
    cn_progress_clear(&t->progress);
    t->anew = event->err == CN_E_ANEW && t->code == CN_EXIT_DONE && !t->sends_input;
    if (t->anew)
        t->code = CN_EXIT_INTERRUPTED;
    else if (t->code == CN_EXIT_DONE)
        t->code = cn_dial_ended(t->cli, &t->dial, event->err);
}

static int sooner_ms(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void wait_for_more(struct cn_transferring *t)
{
    struct pollfd polled[3 + CN_CALL_DESCRIPTORS_MAX] = {
        { t->signals.fd, POLLIN, 0 },
        { t->is_asking ? STDIN_FILENO : -1, POLLIN, 0 },
    };
    size_t count = 2;
    int timeout_ms = sooner_ms(sooner_ms(cn_call_timeout_ms(t->dial.call), engine_timeout_ms(t)),
                               cn_progress_timeout_ms(&t->progress));

    count += engine_descriptors(t, polled + count);
    count += cn_call_descriptors(t->dial.call, polled + count, CN_CALL_DESCRIPTORS_MAX);
    if (poll(polled, (nfds_t)count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
        cn_error("poll: %s", strerror(errno));
        t->code = CN_EXIT_FAILED;
        t->closed = true;
        return;
    }
    if (polled[0].revents)
        t->interrupted = cn_signals_take(&t->signals);
    if (polled[1].revents)
        cn_consent_take(t);
}

static void loop(struct cn_transferring *t)
{
    while (!t->closed && !t->interrupted) {
        struct cn_transfer_progress p;
        struct cn_event event;

        cn_call_process(t->dial.call);
        while (!t->closed && cn_call_next_event(t->dial.call, &event))
            take_call_event(t, &event);
        engine_process(t);
        cn_transferring_tell(t);
        if (t->closed)
            break;
        look(t, &p);
        if (t->is_asking)
            cn_progress_hold(&t->progress);
        else if (t->code == CN_EXIT_DONE && !t->finished && t->dial.lost_ms == 0)
            cn_progress_update(&t->progress, &p);
        wait_for_more(t);
    }
    cn_progress_clear(&t->progress);
    if (t->interrupted)
        cn_dial_leave(&t->dial);
    if (t->interrupted || (t->code == CN_EXIT_INTERRUPTED && !t->anew))
        tell_rest(t);
}

static enum cn_err begin(struct cn_transferring *t)
{
    return t->sending ? cn_sending_begin(t->sending, t->dial.call)
                      : cn_receiving_begin(t->receiving, t->dial.call);
}

int cn_transferring_code(const struct cn_transferring *t)
{
    if (t->interrupted)
        return 128 + t->interrupted;
    if (t->code != CN_EXIT_DONE)
        return t->code;
    if (t->failed > 0 || t->has_problems || (t->refused > 0 && t->receiving))
        return CN_EXIT_FAILED;
    return t->refused > 0 ? CN_EXIT_REFUSED : CN_EXIT_DONE;
}

int cn_transferring_run(struct cn_transferring *t)
{
    enum cn_err err = begin(t);
    int code;

    if (err != CN_OK) {
        code = cn_fail(t->cli, err, "beginning");
        cn_dial_over(t->cli, &t->dial, code);
        return code;
    }
    if (!cn_signals_catch(&t->signals)) { /* so that what has come is kept as it should be */
        cn_error("signals: %s", strerror(errno));
        cn_dial_over(t->cli, &t->dial, CN_EXIT_FAILED);
        return CN_EXIT_FAILED;
    }
    cn_progress_begin(&t->progress, t->cli, t->sending != NULL);
    loop(t);
    code = cn_transferring_code(t);
    if (t->finished)
        cn_transferring_tell_total(t);
    if (t->anew)
        tell_anew(t);
    else
        cn_dial_over(t->cli, &t->dial, code);
    cn_transferring_end(t);
    cn_signals_release(&t->signals);
    return code;
}

void cn_transferring_end(struct cn_transferring *t)
{
    cn_sending_free(t->sending);
    cn_receiving_free(t->receiving);
    t->sending = NULL;
    t->receiving = NULL;
    cn_dial_end(&t->dial);
}
