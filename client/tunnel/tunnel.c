#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "call.h"
#include "connect.h"
#include "datagrams.h"

enum {
    READY_COUNT_MAX = 128, /* in one round */
    PAUSE_MS = 200,
    DUE_STEP_MS = 50 /* times are looked at that often at most */
};

const char *cn_tunnel_outcome_text(enum cn_tunnel_outcome outcome)
{
    static const char *const texts[CN_TUNNEL_OUTCOME_COUNT] = {
        [CN_TUNNEL_GIVEN_UP] = "given up",
        [CN_TUNNEL_REFUSED] = "not allowed",
        [CN_TUNNEL_NO_NAME] = "no such name",
        [CN_TUNNEL_NO_LISTENER] = "connection refused",
        [CN_TUNNEL_UNREACHABLE] = "cannot be reached",
        [CN_TUNNEL_TIMED_OUT] = "timed out",
        [CN_TUNNEL_BROKEN] = "the connection was reset",
        [CN_TUNNEL_TOO_MANY] = "too many at once",
        [CN_TUNNEL_MALFORMED] = "not understood",
        [CN_TUNNEL_TAKEN] = "somebody listens there already",
        [CN_TUNNEL_FAILED] = "failed",
    };

    return texts[outcome];
}

/* --- for the parts ---------------------------------------------------------------------------- */

struct cn_tunnel_event *cn_tunnel_tell(struct cn_tunnel *tunnel, enum cn_tunnel_event_type type,
                                       const struct cn_terminus *address)
{
    struct cn_tunnel_event *event;
    char text[CN_TERMINUS_TEXT_SIZE] = "";

    if (tunnel->event_count == CN_TUNNEL_EVENT_COUNT_MAX) { /* an owner that does not look */
        tunnel->event_first = (tunnel->event_first + 1) % CN_TUNNEL_EVENT_COUNT_MAX;
        tunnel->event_count--;
    }
    event =
        &tunnel->events[(tunnel->event_first + tunnel->event_count++) % CN_TUNNEL_EVENT_COUNT_MAX];
    *event = (struct cn_tunnel_event) { .type = type };
    if (address)
        snprintf(event->address, sizeof event->address, "%s", cn_terminus_text(address, text));
    return event;
}

void cn_tunnel_due(struct cn_tunnel *tunnel, uint64_t at_ms)
{
    if (at_ms < tunnel->due_ms)
        tunnel->due_ms = at_ms;
}

enum cn_tunnel_outcome cn_tunnel_stream_outcome(const struct cn_stream *stream)
{
    uint32_t code = cn_stream_reset_code(stream);

    return code < CN_TUNNEL_OUTCOME_COUNT ? (enum cn_tunnel_outcome)code : CN_TUNNEL_FAILED;
}

void cn_tunnel_drop_stream(struct cn_stream *stream, enum cn_tunnel_outcome code)
{
    cn_stream_reset(stream, (uint32_t)code);
    cn_stream_release(stream);
}

static void doors_watch(struct cn_tunnel *tunnel, bool wanted)
{
    for (struct cn_door *door = tunnel->doors; door; door = door->next)
        cn_door_watch(door, wanted);
}

void cn_tunnel_pause(struct cn_tunnel *tunnel)
{
    if (tunnel->paused)
        return;
    tunnel->paused = true;
    tunnel->resume_ms = cn_connect_clock_ms() + PAUSE_MS;
    cn_tunnel_due(tunnel, tunnel->resume_ms);
    doors_watch(tunnel, false);
}

void cn_tunnel_resume(struct cn_tunnel *tunnel)
{
    if (!tunnel->paused)
        return;
    tunnel->paused = false;
    doors_watch(tunnel, true);
}

enum cn_err cn_tunnel_stream_open(struct cn_tunnel *tunnel, enum cn_tunnel_kind kind,
                                  const struct cn_terminus *place, const uint32_t *number,
                                  struct cn_owner *owner, struct cn_stream **stream)
{
    uint8_t parameters[4 + CN_TERMINUS_ENCODED_SIZE_MAX];
    struct cn_writer w = { .at = parameters, .left = sizeof parameters };
    enum cn_err err;

    if (!tunnel->call)
        return CN_E_UNEXPECTED;
    if (number)
        cn_writer_u32be(&w, *number);
    if (place)
        cn_terminus_encode(place, &w);
    err = cn_stream_open(tunnel->call, (uint8_t)kind, parameters, (size_t)(w.at - parameters),
                         stream);
    if (err == CN_OK)
        cn_stream_set_user(*stream, owner);
    return err;
}

/* --- opening --------------------------------------------------------------------------------- */

static void resolved(struct cn_watch *watch, uint32_t events)
{
    struct cn_tunnel *t = watch->owner;
    struct cn_lookup *lookup;

    (void)events;
    while ((lookup = cn_resolver_next(t->room->resolver)))
        cn_reach_looked_up(lookup);
}

static void control_taken(struct cn_owner *owner, const struct cn_event *event);
static void drain_taken(struct cn_owner *owner, const struct cn_event *event);

enum cn_err cn_tunnel_open(struct cn_tunnel **tunnel)
{
    return cn_tunnel_open_beside(tunnel, NULL);
}

enum cn_err cn_tunnel_open_beside(struct cn_tunnel **tunnel, const struct cn_tunnel *beside)
{
    struct cn_tunnel *t = calloc(1, sizeof *t);
    enum cn_err err;

    if (!t)
        return CN_E_MEMORY;
    t->join_in = t->join_out = -1;
    t->due_ms = UINT64_MAX;
    t->control_owner.take = control_taken;
    t->drain_owner.take = drain_taken;
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    err = t->epoll < 0 ? CN_E_SYSTEM : cn_tunnel_room_enter(&t->room, beside ? beside->room : NULL);
    if (err == CN_OK) {
        t->resolver_watch = (struct cn_watch) { .fd = cn_resolver_descriptor(t->room->resolver),
                                                .owner = t,
                                                .ready = resolved };
        if (!cn_watch_want(t->epoll, &t->resolver_watch, EPOLLIN))
            err = CN_E_SYSTEM;
    }
    if (err != CN_OK) {
        cn_tunnel_free(t);
        return err;
    }
    *tunnel = t;
    return CN_OK;
}

const struct cn_detail *cn_tunnel_detail(const struct cn_tunnel *tunnel)
{
    return &tunnel->detail;
}

/* What a text that was given has come to; what it was about if not. */
static enum cn_err said(struct cn_tunnel *tunnel, enum cn_err err, const char *about)
{
    if (err == CN_OK)
        return err;
    tunnel->detail.system_error = err == CN_E_SYSTEM ? errno : 0;
    snprintf(tunnel->detail.about, sizeof tunnel->detail.about, "%s", about);
    return err;
}

enum cn_err cn_tunnel_allow(struct cn_tunnel *tunnel, const char *rule)
{
    return said(tunnel, cn_allow_add(&tunnel->allow, rule), rule);
}

enum cn_err cn_tunnel_allow_listening(struct cn_tunnel *tunnel, const char *rule)
{
    return said(tunnel, cn_allow_add_listening(&tunnel->allow_listening, rule), rule);
}

static enum cn_err door_add(struct cn_tunnel *tunnel, enum cn_door_kind kind,
                            const struct cn_forward *forward)
{
    char text[CN_TERMINUS_TEXT_SIZE];
    struct cn_door *door;
    enum cn_err err = cn_door_open(tunnel, kind, &forward->from, &forward->to, &door);

    if (err == CN_OK && kind != CN_DOOR_BACK)
        (void)cn_tunnel_tell(tunnel, CN_TUNNEL_EVENT_LISTENING, &door->at);
    return said(tunnel, err, cn_terminus_text(&forward->from, text));
}

enum cn_err cn_tunnel_forward(struct cn_tunnel *tunnel, const char *forward)
{
    struct cn_forward f;

    if (cn_forward_parse(&f, forward) != CN_OK)
        return said(tunnel, CN_E_FORMAT, forward);
    return door_add(tunnel, f.from.form == CN_TERMINUS_UDP ? CN_DOOR_DATAGRAMS : CN_DOOR_FORWARD,
                    &f);
}

enum cn_err cn_tunnel_forward_back(struct cn_tunnel *tunnel, const char *forward)
{
    struct cn_forward f;

    if (cn_forward_parse(&f, forward) != CN_OK)
        return said(tunnel, CN_E_FORMAT, forward);
    return door_add(tunnel, CN_DOOR_BACK, &f);
}

enum cn_err cn_tunnel_forward_socks(struct cn_tunnel *tunnel, const char *at)
{
    struct cn_forward f = { .to = { .form = CN_TERMINUS_TCP } };

    if (cn_terminus_parse_listening(&f.from, at) != CN_OK)
        return said(tunnel, CN_E_FORMAT, at);
    return door_add(tunnel, CN_DOOR_SOCKS, &f);
}

enum cn_err cn_tunnel_join(struct cn_tunnel *tunnel, const char *to, int in, int out)
{
    struct cn_terminus place;

    if (cn_terminus_parse(&place, to) != CN_OK || place.form == CN_TERMINUS_UDP)
        return said(tunnel, CN_E_FORMAT, to);
    tunnel->join_to = place;
    tunnel->join_in = in;
    tunnel->join_out = out;
    return CN_OK;
}

enum cn_err cn_tunnel_begin(struct cn_tunnel *tunnel, struct cn_call *call)
{
    bool caller = cn_call_is_caller(call);
    enum cn_err err = CN_OK;

    if (!caller && (tunnel->doors || tunnel->join_out >= 0))
        return CN_E_USAGE;
    tunnel->call = tunnel->sharing = call;
    cn_call_share_extra(call, &tunnel->room->unread);
    if (caller)
        err = cn_tunnel_stream_open(tunnel, CN_TUNNEL_CONTROL, NULL, NULL, &tunnel->control_owner,
                                    &tunnel->control);
    for (struct cn_door *door = tunnel->doors; door && err == CN_OK; door = door->next)
        err = cn_door_begin(door);
    if (err == CN_OK && tunnel->join_out >= 0)
        err = cn_connection_join(tunnel);
    return err;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Of what has died in this round nobody speaks any more. */
static void sweep(struct cn_tunnel *tunnel)
{
    struct cn_door **door = &tunnel->doors;

    while (tunnel->dead) {
        struct cn_connection *c = tunnel->dead;

        tunnel->dead = c->next;
        cn_connection_free(c);
    }
    while (tunnel->sweep_due && *door) {
        struct cn_door *dead = *door;

        if (dead->dead) {
            *door = dead->next;
            cn_door_free(dead);
        } else {
            door = &dead->next;
        }
    }
    tunnel->sweep_due = false;
    cn_flows_sweep(tunnel);
}

/* Nobody is let in any more. */
static void doors_close(struct cn_tunnel *tunnel)
{
    for (struct cn_door *door = tunnel->doors; door; door = door->next)
        cn_door_close(door);
    cn_flows_cut(tunnel);
}

static void end_all(struct cn_tunnel *tunnel)
{
    doors_close(tunnel);
    while (tunnel->connections)
        cn_connection_cut(tunnel->connections, CN_TUNNEL_GIVEN_UP);
}

void cn_tunnel_finish(struct cn_tunnel *tunnel)
{
    if (tunnel->finishing || !tunnel->call)
        return;
    tunnel->finishing = true;
    end_all(tunnel);
    if (tunnel->control)
        cn_stream_finish(tunnel->control);
    cn_call_finish(tunnel->call);
}

void cn_tunnel_free(struct cn_tunnel *tunnel)
{
    if (!tunnel)
        return;
    end_all(tunnel);
    sweep(tunnel);
    if (tunnel->join_in >= 0)
        close(tunnel->join_in);
    if (tunnel->join_out >= 0 && tunnel->join_out != tunnel->join_in)
        close(tunnel->join_out);
    if (tunnel->sharing)
        cn_call_share_extra(tunnel->sharing, NULL);
    cn_watch_end(tunnel->epoll, &tunnel->resolver_watch);
    cn_tunnel_room_leave(tunnel->room);
    cn_allow_wipe(&tunnel->allow);
    cn_allow_wipe(&tunnel->allow_listening);
    if (tunnel->epoll >= 0)
        close(tunnel->epoll);
    free(tunnel);
}

/* The partner has ended the tunnel; a reset of this stream is as good as its end. */
static void control_taken(struct cn_owner *owner, const struct cn_event *event)
{
    struct cn_tunnel *t =
        (struct cn_tunnel *)(void *)((char *)owner - offsetof(struct cn_tunnel, control_owner));
    size_t size;

    (void)event;
    while (cn_stream_peek(t->control, &size)) /* nothing is said on it yet */
        cn_stream_consume(t->control, size);
    if (cn_stream_state(t->control) == CN_STREAM_OPEN || t->finishing || t->ending)
        return;
    (void)cn_tunnel_tell(t, CN_TUNNEL_EVENT_ENDED, NULL);
    t->ending = true;
    doors_close(t);
}

static void drain_taken(struct cn_owner *owner, const struct cn_event *event)
{
    size_t size;

    (void)owner;
    if (cn_stream_state(event->stream) != CN_STREAM_OPEN || cn_stream_peek(event->stream, &size))
        cn_stream_release(event->stream);
}

/* What the partner has finished may still be on its way to a program of ours. */
static void look_over(struct cn_tunnel *tunnel)
{
    if (tunnel->ending && tunnel->connection_count == 0)
        cn_tunnel_finish(tunnel);
}

/* --- rounds ---------------------------------------------------------------------------------- */

bool cn_tunnel_take(struct cn_tunnel *tunnel, const struct cn_event *event)
{
    struct cn_owner *owner;

    if (event->type == CN_EVENT_CLOSED) {
        end_all(tunnel);
        tunnel->call = NULL;
    }
    if (!event->stream)
        return false;
    if (event->type == CN_EVENT_STREAM) {
        cn_answer(tunnel, event->stream);
    } else {
        owner = cn_stream_user(event->stream);
        if (owner)
            owner->take(owner, event);
    }
    look_over(tunnel);
    return true;
}

size_t cn_tunnel_descriptors(const struct cn_tunnel *tunnel, struct pollfd *descriptors, size_t max)
{
    if (max == 0 || !tunnel->call)
        return 0;
    descriptors[0] = (struct pollfd) { tunnel->epoll, POLLIN, 0 };
    return 1;
}

static bool joined_is_ready(const struct cn_tunnel *tunnel)
{
    const struct cn_connection *c = tunnel->joined;

    return c && c->in.always && c->in.wanted;
}

int cn_tunnel_timeout_ms(const struct cn_tunnel *tunnel)
{
    uint64_t now_ms = cn_connect_clock_ms();

    if (tunnel->event_count > 0 || joined_is_ready(tunnel))
        return 0;
    if (!tunnel->call || tunnel->due_ms == UINT64_MAX)
        return -1;
    return tunnel->due_ms <= now_ms ? 0 : (int)(tunnel->due_ms - now_ms);
}

/* Whose time has come; and when it is the next one's. */
static void expire(struct cn_tunnel *tunnel)
{
    uint64_t now_ms = cn_connect_clock_ms();
    struct cn_connection *next;

    if (now_ms < tunnel->due_ms)
        return;
    tunnel->due_ms = UINT64_MAX;
    if (tunnel->paused && now_ms >= tunnel->resume_ms)
        cn_tunnel_resume(tunnel);
    else if (tunnel->paused)
        cn_tunnel_due(tunnel, tunnel->resume_ms);
    for (struct cn_connection *c = tunnel->connections; c; c = next) {
        next = c->next;
        cn_connection_expire(c, now_ms);
        if (c->state != CN_CONNECTION_DEAD)
            cn_tunnel_due(tunnel, c->due_ms);
    }
    cn_tunnel_due(tunnel, cn_flows_expire(tunnel, now_ms));
    if (tunnel->due_ms < now_ms + DUE_STEP_MS)
        tunnel->due_ms = now_ms + DUE_STEP_MS;
}

void cn_tunnel_process(struct cn_tunnel *tunnel)
{
    struct epoll_event ready[READY_COUNT_MAX];
    int count;

    if (!tunnel->call)
        return;
    count = epoll_wait(tunnel->epoll, ready, READY_COUNT_MAX, 0); /* EINTR: the next time */
    for (int i = 0; i < count; i++) {
        struct cn_watch *watch = ready[i].data.ptr;

        if (watch->fd >= 0) /* else it was ended in this round */
            watch->ready(watch, ready[i].events);
    }
    if (joined_is_ready(tunnel))
        cn_connection_turn(tunnel->joined);
    expire(tunnel);
    sweep(tunnel);
    look_over(tunnel);
}

size_t cn_tunnel_connection_count(const struct cn_tunnel *tunnel)
{
    return tunnel->connection_count;
}

bool cn_tunnel_next_event(struct cn_tunnel *tunnel, struct cn_tunnel_event *event)
{
    if (tunnel->event_count == 0)
        return false;
    *event = tunnel->events[tunnel->event_first];
    tunnel->event_first = (tunnel->event_first + 1) % CN_TUNNEL_EVENT_COUNT_MAX;
    tunnel->event_count--;
    return true;
}
