#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagrams.h"

enum { ACCEPT_COUNT_MAX = 16 }; /* in one round */

static void owner_take(struct cn_owner *owner, const struct cn_event *event);
static void ready(struct cn_watch *watch, uint32_t events);

static enum cn_err bind_at(struct cn_door *door)
{
    int error = cn_binding_open(&door->binding, &door->at);

    if (error != 0) {
        errno = error;
        return CN_E_SYSTEM;
    }
    if (door->at.form != CN_TERMINUS_UNIX)
        door->at.port = door->binding.port;
    for (size_t i = 0; i < door->binding.count; i++)
        door->watch[i] =
            (struct cn_watch) { .fd = door->binding.socket[i], .owner = door, .ready = ready };
    return CN_OK;
}

enum cn_err cn_door_open(struct cn_tunnel *tunnel, enum cn_door_kind kind,
                         const struct cn_terminus *at, const struct cn_terminus *to,
                         struct cn_door **door)
{
    struct cn_door *d = calloc(1, sizeof *d);
    enum cn_err err = d ? CN_OK : CN_E_MEMORY;

    if (!d)
        return err;
    *d = (struct cn_door) { .owner = { owner_take }, .tunnel = tunnel, .kind = kind, .at = *at };
    if (to)
        d->to = *to;
    if (kind != CN_DOOR_BACK)
        err = bind_at(d);
    if (err == CN_OK && d->binding.count > 0 && at->form == CN_TERMINUS_UDP)
        err = cn_flows_create(&d->flows, d);
    if (err != CN_OK) {
        cn_door_free(d);
        return err;
    }
    d->next = tunnel->doors;
    tunnel->doors = d;
    *door = d;
    return CN_OK;
}

void cn_door_free(struct cn_door *door)
{
    int error = errno;

    cn_flows_free(door->flows);
    cn_binding_close(&door->binding);
    free(door);
    errno = error;
}

void cn_door_close(struct cn_door *door)
{
    if (door->dead)
        return;
    door->dead = true;
    door->tunnel->sweep_due = true;
    if (door->kind == CN_DOOR_LENT)
        door->tunnel->room->lent_count--;
    if (door->stream)
        cn_stream_release(door->stream);
    door->stream = NULL;
    for (size_t i = 0; i < door->binding.count; i++)
        cn_watch_end(door->tunnel->epoll, &door->watch[i]);
    cn_flows_free(door->flows);
    door->flows = NULL;
    cn_binding_close(&door->binding);
}

struct cn_door *cn_door_find(struct cn_tunnel *tunnel, enum cn_door_kind kind, uint32_t number)
{
    struct cn_door *door = tunnel->doors;

    while (door && (door->dead || door->kind != kind || door->number != number))
        door = door->next;
    return door;
}

void cn_door_watch(struct cn_door *door, bool wanted)
{
    for (size_t i = 0; i < door->binding.count && !door->dead; i++) {
        if (!cn_watch_want(door->tunnel->epoll, &door->watch[i], wanted ? EPOLLIN : 0))
            cn_tunnel_pause(door->tunnel); /* and try again */
    }
}

/* --- here ------------------------------------------------------------------------------------ */

static void accept_some(struct cn_door *door, int listener)
{
    struct cn_tunnel *t = door->tunnel;

    for (int i = 0; i < ACCEPT_COUNT_MAX && !door->dead; i++) {
        int fd;

        if (t->room->connection_count >= CN_TUNNEL_ACCEPTED_COUNT_MAX) {
            cn_tunnel_pause(t);
            return;
        }
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            cn_connection_accept(door, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            cn_tunnel_pause(t);
            return;
        } /* ECONNABORTED, EINTR and what else accept passes on: the next one */
    }
}

static void ready(struct cn_watch *watch, uint32_t events)
{
    struct cn_door *door = watch->owner;

    (void)events;
    if (door->dead)
        return;
    if (door->flows)
        cn_flows_receive(door->flows, watch->fd);
    else
        accept_some(door, watch->fd);
}

/* --- what the partner says of it -------------------------------------------------------------- */

enum cn_err cn_door_begin(struct cn_door *door)
{
    struct cn_tunnel *t = door->tunnel;
    enum cn_err err;

    cn_door_watch(door, !t->paused);
    if (door->kind == CN_DOOR_SOCKS || door->kind == CN_DOOR_LENT)
        return CN_OK;
    if (door->kind == CN_DOOR_BACK) {
        door->number = t->next_number++;
        return cn_tunnel_stream_open(t, CN_TUNNEL_LISTEN, &door->at, &door->number, &door->owner,
                                     &door->stream);
    }
    err = cn_tunnel_stream_open(t, CN_TUNNEL_ASK, &door->to, NULL, &door->owner, &door->stream);
    if (err == CN_OK)
        cn_stream_finish(door->stream);
    return err;
}

static void refused(struct cn_door *door, enum cn_tunnel_outcome outcome)
{
    bool back = door->kind == CN_DOOR_BACK;
    struct cn_tunnel_event *event =
        cn_tunnel_tell(door->tunnel, CN_TUNNEL_EVENT_REFUSED, back ? &door->at : &door->to);

    event->outcome = outcome;
    event->to_listen = back;
    event->permanent = true;
    cn_door_close(door);
}

/* Of a place to listen at: which port it has become. */
static void listening(struct cn_door *door)
{
    struct cn_reader r = { .at = door->answer, .left = sizeof door->answer };

    if (door->answer_size == sizeof door->answer)
        return;
    door->answer_size += cn_stream_read(door->stream, door->answer + door->answer_size,
                                        sizeof door->answer - door->answer_size);
    if (door->answer_size < sizeof door->answer)
        return;
    if (cn_reader_u8(&r) != 0) {
        refused(door, CN_TUNNEL_MALFORMED);
        return;
    }
    door->at.port = cn_reader_u16be(&r);
    cn_tunnel_tell(door->tunnel, CN_TUNNEL_EVENT_LISTENING, &door->at)->back = true;
}

/* Of an address that is to be connected to: it would be allowed. */
static void answered(struct cn_door *door)
{
    uint8_t status = 0;

    if (cn_stream_read(door->stream, &status, 1) == 1 && status != 0) {
        refused(door, CN_TUNNEL_MALFORMED);
        return;
    }
    if (cn_stream_state(door->stream) != CN_STREAM_ENDED)
        return;
    cn_stream_release(door->stream);
    door->stream = NULL;
}

static void owner_take(struct cn_owner *owner, const struct cn_event *event)
{
    struct cn_door *door = (struct cn_door *)owner;
    enum cn_stream_state state = cn_stream_state(door->stream);

    if (event->type != CN_EVENT_READABLE)
        return;
    if (door->kind == CN_DOOR_LENT) {
        if (state != CN_STREAM_OPEN)
            cn_door_close(door);
    } else if (state == CN_STREAM_RESET) {
        refused(door, cn_tunnel_stream_outcome(door->stream));
    } else if (door->kind != CN_DOOR_BACK) {
        answered(door);
    } else if (state == CN_STREAM_ENDED) {
        refused(door, CN_TUNNEL_GIVEN_UP);
    } else {
        listening(door);
    }
}

/* --- for the partner -------------------------------------------------------------------------- */

static enum cn_tunnel_outcome outcome_of(enum cn_err err, int error)
{
    if (err != CN_E_SYSTEM)
        return CN_TUNNEL_FAILED;
    if (error == EADDRINUSE)
        return CN_TUNNEL_TAKEN;
    return error == EMFILE || error == ENFILE ? CN_TUNNEL_TOO_MANY : CN_TUNNEL_FAILED;
}

void cn_door_lend(struct cn_tunnel *tunnel, struct cn_stream *stream, uint32_t number,
                  const struct cn_terminus *at)
{
    uint8_t answer[CN_DOOR_ANSWER_SIZE] = { 0 };
    struct cn_writer w = { .at = answer + 1, .left = sizeof answer - 1 };
    struct cn_door *door;
    enum cn_err err = CN_E_LIMIT;

    if (tunnel->room->lent_count >= CN_TUNNEL_LENT_COUNT_MAX) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
        return;
    }
    err = cn_door_open(tunnel, CN_DOOR_LENT, at, NULL, &door);
    if (err != CN_OK) {
        enum cn_tunnel_outcome outcome = outcome_of(err, errno);
        struct cn_tunnel_event *event = cn_tunnel_tell(tunnel, CN_TUNNEL_EVENT_REFUSED, at);

        event->outcome = outcome;
        event->back = true;
        event->to_listen = true;
        cn_tunnel_drop_stream(stream, outcome);
        return;
    }
    tunnel->room->lent_count++;
    door->number = number;
    door->stream = stream;
    cn_stream_set_user(stream, &door->owner);
    cn_writer_u16be(&w, door->at.port);
    cn_tunnel_tell(tunnel, CN_TUNNEL_EVENT_LISTENING, &door->at);
    cn_door_watch(door, !tunnel->paused);
    if (cn_stream_write(stream, answer, sizeof answer) < sizeof answer) {
        cn_stream_reset(stream, CN_TUNNEL_TOO_MANY);
        cn_door_close(door);
    }
}
