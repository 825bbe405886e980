/* answer_talk.c - a talk is held until the user attaches to it; from then on his `talk` has it.
 *
 * What the partner says meanwhile is kept in memory, as octets of the stream, so that the partner
 * is told that it was delivered only once it was. PROTOCOL.md 7.3 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "connect.h"
#include "crypto.h"
#include "dial.h"
#include "notifying.h"
#include "overheard.h"
#include "socket.h"

enum {
    STREAM_KIND = 1,
    RESET_REFUSED = 5,          /* of files that come in a talk: PROTOCOL.md 7.3 */
    KEPT_SIZE_MAX = 256 * 1024, /* more is held back by the stream's window */
    PASS_SIZE = 16 * 1024
};

struct answer_talk {
    struct cn_stream *stream; /* NULL until either end has opened it */
    uint8_t *kept;            /* owned, and wiped */
    size_t kept_size, kept_passed;
    struct cn_overheard theirs, ours;
    int fd;                  /* of the user's talk; -1: it is held, or its user has gone */
    int news_fd;             /* where he is told of the line; -1: nowhere */
    enum cn_event_type line; /* the last of it: RESUMED, too, says that it is well */
    enum cn_err line_err;
    bool was_attached; /* some time */
    bool fd_full;
    bool theirs_ended, ours_ended; /* and that was passed on */
    uint64_t until_ms;             /* as long as it is held */
    enum cn_err err;               /* once over */
};

/* --- beginning ------------------------------------------------------------------------------ */

static void stream_use(struct answer_talk *a, struct cn_stream *stream)
{
    a->stream = stream;
    cn_stream_set_priority(stream, CN_PRIORITY_INTERACTIVE);
}

static void answer_free(struct answer_talk *a)
{
    if (!a)
        return;
    if (a->fd >= 0)
        close(a->fd);
    if (a->news_fd >= 0)
        close(a->news_fd);
    if (a->kept)
        cn_wipe(a->kept, KEPT_SIZE_MAX);
    free(a->kept);
    free(a);
}

static struct answer_talk *answer_make(const struct cn_rule *rule)
{
    struct answer_talk *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->fd = a->news_fd = -1;
    a->kept = malloc(KEPT_SIZE_MAX);
    a->until_ms = cn_connect_clock_ms() + (uint64_t)rule->talk_hold_s * 1000;
    if (a->kept)
        return a;
    answer_free(a);
    return NULL;
}

static bool begin(struct cn_agent_call *c)
{
    const struct cn_rule *rule = cn_agent_rule(c->agent, c->contact);
    struct answer_talk *a = answer_make(rule);
    struct cn_stream *stream = NULL;
    enum cn_err err = a ? CN_OK : CN_E_MEMORY;

    if (err == CN_OK && cn_call_is_caller(c->call))
        err = cn_stream_open(c->call, STREAM_KIND, NULL, 0, &stream);
    if (err == CN_E_UNEXPECTED) /* it is over already: CLOSED says why */
        err = CN_OK;
    if (err != CN_OK) {
        answer_free(a);
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "it cannot begin: %s", cn_err_text(err));
        cn_call_cancel(c->call, err);
        return false;
    }
    if (stream)
        stream_use(a, stream);
    c->work = a;
    cn_say(c->agent->cli, "%s calls for a talk: cyphernet talk %s --answer", c->contact,
           c->contact);
    if (rule->talk == CN_RULE_TALK_NOTIFY)
        cn_notifying_start(&c->agent->notifying, rule->notify, c->contact);
    return true;
}

/* --- passing on ----------------------------------------------------------------------------- */

/* From the stream into what is kept, as long as there is room. */
static void keep(struct answer_talk *a)
{
    while (a->kept_size < KEPT_SIZE_MAX) {
        size_t size =
            cn_stream_read(a->stream, a->kept + a->kept_size, KEPT_SIZE_MAX - a->kept_size);

        if (size == 0)
            return;
        cn_overheard_take(&a->theirs, a->kept + a->kept_size, size);
        a->kept_size += size;
    }
}

/* The user's talk is no more, and the partner has to know. */
static void cut(struct cn_agent_call *c, struct answer_talk *a)
{
    cn_call_cancel(c->call, CN_E_CANCELLED);
    close(a->fd);
    a->fd = -1;
}

/* How many of them the user's talk takes. */
static size_t give(struct cn_agent_call *c, struct answer_talk *a, const uint8_t *octets,
                   size_t size)
{
    ssize_t put = send(a->fd, octets, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (put < 0 && errno != EAGAIN && errno != EINTR)
        cut(c, a);
    a->fd_full = put < (ssize_t)size;
    return put > 0 ? (size_t)put : 0;
}

static void pass_theirs(struct cn_agent_call *c, struct answer_talk *a)
{
    size_t size;
    const uint8_t *octets;

    a->fd_full = false;
    if (a->kept_passed < a->kept_size)
        a->kept_passed += give(c, a, a->kept + a->kept_passed, a->kept_size - a->kept_passed);
    while (a->fd >= 0 && !a->fd_full && (octets = cn_stream_peek(a->stream, &size))) {
        size_t passed = give(c, a, octets, size);

        cn_overheard_take(&a->theirs, octets, passed);
        cn_stream_consume(a->stream, passed);
    }
    if (a->fd >= 0 && !a->fd_full && cn_stream_state(a->stream) == CN_STREAM_ENDED &&
        !a->theirs_ended) {
        a->theirs_ended = true;
        (void)shutdown(a->fd, SHUT_WR);
    }
}

/* The user's talk has ended: well, if it has said so in the conversation. */
static void ours_ended(struct cn_agent_call *c, struct answer_talk *a)
{
    if (!cn_overheard_may_end(&a->ours)) {
        cut(c, a);
        return;
    }
    a->ours_ended = true;
    cn_stream_finish(a->stream);
}

static void pass_ours(struct cn_agent_call *c, struct answer_talk *a)
{
    size_t room;
    uint8_t *to;

    while (a->fd >= 0 && !a->ours_ended && (to = cn_stream_reserve(a->stream, &room))) {
        ssize_t got = recv(a->fd, to, room < PASS_SIZE ? room : PASS_SIZE, MSG_DONTWAIT);

        if (got > 0) {
            cn_overheard_take(&a->ours, to, (size_t)got);
            cn_stream_commit(a->stream, (size_t)got);
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            ours_ended(c, a);
        }
    }
}

/* --- holding -------------------------------------------------------------------------------- */

static bool is_held(const struct answer_talk *a)
{
    return !a->was_attached && a->until_ms != 0;
}

/* Nobody takes it, or will be heard any more. The partner learns it by the end of the call. */
static void hold(struct cn_agent_call *c, struct answer_talk *a)
{
    keep(a);
    if (a->theirs.broken)
        cn_call_cancel(c->call, CN_E_FORMAT);
    else if (a->theirs.hung_up || cn_stream_state(a->stream) != CN_STREAM_OPEN)
        cn_call_cancel(c->call, CN_E_REFUSED);
    else
        return;
    a->until_ms = 0;
}

/* Who does not read goes without. */
static void news_tell(const struct answer_talk *a, enum cn_event_type type, enum cn_err err)
{
    const uint8_t news[CN_LINE_NEWS_SIZE] = { (uint8_t)type, (uint8_t)err };

    if (a->news_fd >= 0)
        (void)cn_socket_send(a->news_fd, news, sizeof news, -1);
}

static void event_take(struct cn_agent_call *c, struct answer_talk *a, const struct cn_event *event)
{
    if (cn_dial_is_line(event->type)) {
        if (event->type != CN_EVENT_RECONNECTING) {
            a->line = event->type;
            a->line_err = event->err;
        }
        news_tell(a, event->type, event->err);
    } else if (event->type == CN_EVENT_CLOSED) {
        c->over = true;
        a->err = event->err;
    } else if (event->type == CN_EVENT_STREAM && !a->stream &&
               cn_stream_kind(event->stream) == STREAM_KIND) {
        stream_use(a, event->stream);
    } else if (event->type == CN_EVENT_STREAM) {
        cn_stream_reset(event->stream, RESET_REFUSED); /* who attaches has what is said only */
        cn_stream_release(event->stream);
    }
}

static void stream_process(struct cn_agent_call *c, struct answer_talk *a)
{
    if (is_held(a)) {
        hold(c, a);
    } else if (a->fd >= 0) {
        pass_theirs(c, a);
        pass_ours(c, a);
        if (a->fd >= 0 && cn_stream_state(a->stream) == CN_STREAM_RESET)
            cn_call_cancel(c->call, CN_E_CANCELLED);
        else if (a->theirs_ended && a->ours_ended)
            cn_call_finish(c->call);
    }
}

static void process(struct cn_agent_call *c)
{
    struct answer_talk *a = c->work;
    struct cn_event event;

    cn_call_process(c->call);
    while (!c->over && cn_call_next_event(c->call, &event))
        event_take(c, a, &event);
    if (!c->over && is_held(a) && cn_connect_clock_ms() >= a->until_ms) {
        a->until_ms = 0;
        cn_call_cancel(c->call, CN_E_REFUSED);
    }
    if (a->stream && !c->over)
        stream_process(c, a);
    if (!c->over)
        cn_call_process(c->call); /* what was put into the stream goes now */
}

static size_t descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    struct answer_talk *a = c->work;
    uint64_t now_ms = cn_connect_clock_ms();
    short wanted = 0;
    size_t room;

    if (is_held(a))
        cn_agent_shorten(timeout_ms, a->until_ms > now_ms ? (int)(a->until_ms - now_ms) : 0);
    if (a->fd >= 0 && a->stream && !a->ours_ended && cn_stream_reserve(a->stream, &room))
        wanted |= POLLIN;
    if (a->fd >= 0 && a->fd_full)
        wanted |= POLLOUT;
    polled[0] = (struct pollfd) { wanted ? a->fd : -1, wanted, 0 };
    return 1 + cn_agent_call_descriptors(c, polled + 1, timeout_ms);
}

static void leave(struct cn_agent_call *c)
{
    struct answer_talk *a = c->work;

    cn_call_cancel(c->call, is_held(a) ? CN_E_REFUSED : CN_E_CANCELLED);
    a->until_ms = 0;
}

static void end(struct cn_agent_call *c)
{
    struct answer_talk *a = c->work;
    char so_far[128], lines[CN_COUNT_TEXT_SIZE];

    cn_count_text(lines, a->theirs.line_count, "line");
    snprintf(so_far, sizeof so_far, "%s came, %llu went", lines,
             (unsigned long long)a->ours.line_count);
    if (!a->was_attached)
        cn_agent_call_tell(c, CN_HISTORY_MISSED, "nobody answered; %s %s lost", lines,
                           a->theirs.line_count == 1 ? "is" : "are");
    else if (a->err == CN_OK)
        cn_agent_call_tell(c, CN_HISTORY_DONE, "%s", so_far);
    else
        cn_agent_call_tell_end(c, a->err, so_far);
    answer_free(a);
}

const struct cn_answer cn_answer_talk = {
    .service = "talk",
    .begin = begin,
    .process = process,
    .descriptors = descriptors,
    .leave = leave,
    .end = end,
};

/* --- attaching ------------------------------------------------------------------------------ */

static struct answer_talk *held_find(const struct cn_agent *agent, const char *contact)
{
    for (size_t i = 0; i < agent->call_count; i++) {
        const struct cn_agent_call *c = agent->call[i];

        if (c->answer == &cn_answer_talk && strcmp(c->contact, contact) == 0 && is_held(c->work))
            return c->work;
    }
    return NULL;
}

bool cn_answer_talk_attach(struct cn_agent *agent, struct cn_asker *asker)
{
    struct answer_talk *a = held_find(agent, asker->demand.contact);
    int ends[2] = { -1, -1 };

    if (!a)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        ends[0] = ends[1] = -1; /* no more descriptors: he is told nothing of the line */
    a->news_fd = ends[0];
    a->fd = cn_control_take(asker, ends[1]);
    a->was_attached = true;
    if (ends[1] >= 0)
        close(ends[1]);
    if (a->line == CN_EVENT_LOST || a->line == CN_EVENT_QUIET)
        news_tell(a, a->line, a->line_err);
    return true;
}
