#include "engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"

enum {
    TURN_SIZE = 256 * 1024,           /* octets of one connection in one round */
    OUTSTANDING_SIZE_MIN = 16 * 1024, /* of CN_TUNNEL_OUTSTANDING_SIZE, for each at least */
    GREETING_TIMEOUT_MS = 30000,
    STATUS_CONNECTED = 0
};

static void owner_take(struct cn_owner *owner, const struct cn_event *event);
static void ready(struct cn_watch *watch, uint32_t events);

static struct cn_connection *connection_new(struct cn_tunnel *tunnel,
                                            enum cn_connection_state state, int fd)
{
    struct cn_connection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->owner.take = owner_take;
    c->tunnel = tunnel;
    c->state = state;
    c->in = (struct cn_watch) { .fd = fd, .owner = c, .ready = ready };
    c->out = (struct cn_watch) { .fd = -1, .owner = c, .ready = ready };
    c->due_ms = UINT64_MAX;
    c->next = tunnel->connections;
    if (c->next)
        c->next->before = c;
    tunnel->connections = c;
    tunnel->connection_count++;
    tunnel->room->connection_count++;
    return c;
}

void cn_connection_free(struct cn_connection *c)
{
    if (c->reach)
        cn_reach_end(c->reach);
    free(c->reach);
    free(c->socks);
    free(c);
}

static int fd_out(const struct cn_connection *c)
{
    return c->out.fd >= 0 ? c->out.fd : c->in.fd;
}

static void due(struct cn_connection *c, uint64_t at_ms)
{
    c->due_ms = at_ms;
    cn_tunnel_due(c->tunnel, at_ms);
}

/* --- the end --------------------------------------------------------------------------------- */

static void reach_end(struct cn_connection *c)
{
    if (!c->reach)
        return;
    cn_reach_end(c->reach);
    free(c->reach);
    c->reach = NULL;
    c->tunnel->room->reaching_count--;
}

/* Whoever is at the other end of a connection that was cut must not take that for an end. */
static void close_socket(int fd, bool cut)
{
    const struct linger at_once = { 1, 0 };

    if (cut)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* Of one that has a descriptor of its own for that direction. */
static void out_close(struct cn_connection *c)
{
    int fd = c->out.fd;

    cn_watch_end(c->tunnel->epoll, &c->out);
    (void)shutdown(fd, SHUT_WR); /* ENOTSOCK: it is none */
    close(fd);
}

static void tell_end(struct cn_connection *c, enum cn_tunnel_outcome outcome, bool cut)
{
    bool was_open = c->state == CN_CONNECTION_RUNNING;
    struct cn_tunnel_event *event;
    struct cn_stream_progress progress = { 0 };

    if (c->state == CN_CONNECTION_GREETING)
        return;
    event = cn_tunnel_tell(c->tunnel, was_open ? CN_TUNNEL_EVENT_CLOSED : CN_TUNNEL_EVENT_REFUSED,
                           &c->to);
    event->outcome = outcome;
    event->back = c->back;
    event->cut = cut;
    event->here = c->here;
    if (!was_open)
        return;
    cn_stream_progress(c->stream, &progress);
    event->sent = progress.written - (c->asked ? 0 : 1); /* the status */
    event->received = progress.read - (c->asked ? 1 : 0);
}

/* The stream has been dealt with already. */
static void end(struct cn_connection *c, enum cn_tunnel_outcome outcome, bool cut)
{
    struct cn_tunnel *t = c->tunnel;
    int fd = c->in.fd;

    if (c->state == CN_CONNECTION_DEAD)
        return;
    tell_end(c, outcome, cut);
    c->state = CN_CONNECTION_DEAD;
    if (c->stream)
        cn_stream_release(c->stream);
    c->stream = NULL;
    cn_watch_end(t->epoll, &c->in);
    if (c->out.fd >= 0)
        out_close(c);
    if (c->reach)
        reach_end(c);
    else if (fd >= 0)
        close_socket(fd, cut);
    if (c->before)
        c->before->next = c->next;
    else
        t->connections = c->next;
    if (c->next)
        c->next->before = c->before;
    if (t->joined == c)
        t->joined = NULL;
    c->next = t->dead;
    t->dead = c;
    t->room->outstanding -= c->outstanding;
    t->room->connection_count--;
    t->connection_count--;
    cn_tunnel_resume(t);
}

static enum cn_socks_reply reply_of(enum cn_tunnel_outcome outcome)
{
    static const enum cn_socks_reply replies[CN_TUNNEL_OUTCOME_COUNT] = {
        [CN_TUNNEL_GIVEN_UP] = CN_SOCKS_FAILED,
        [CN_TUNNEL_REFUSED] = CN_SOCKS_NOT_ALLOWED,
        [CN_TUNNEL_NO_NAME] = CN_SOCKS_HOST_UNREACHABLE,
        [CN_TUNNEL_NO_LISTENER] = CN_SOCKS_CONNECTION_REFUSED,
        [CN_TUNNEL_UNREACHABLE] = CN_SOCKS_HOST_UNREACHABLE,
        [CN_TUNNEL_TIMED_OUT] = CN_SOCKS_TIMED_OUT,
        [CN_TUNNEL_BROKEN] = CN_SOCKS_FAILED,
        [CN_TUNNEL_TOO_MANY] = CN_SOCKS_FAILED,
        [CN_TUNNEL_MALFORMED] = CN_SOCKS_FAILED,
        [CN_TUNNEL_TAKEN] = CN_SOCKS_FAILED,
        [CN_TUNNEL_FAILED] = CN_SOCKS_FAILED,
    };

    return replies[outcome];
}

/* A few octets into a socket that nothing was written to before. */
static bool answer(struct cn_connection *c, const struct cn_socks_answer *a)
{
    return a->size == 0 ||
           send(c->in.fd, a->octets, a->size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)a->size;
}

/* What was asked for cannot be had. A SOCKS client is told why. */
static void refused(struct cn_connection *c, enum cn_tunnel_outcome outcome)
{
    struct cn_socks_answer a;

    if (!c->socks) {
        end(c, outcome, true);
        return;
    }
    cn_socks_answer(reply_of(outcome), &a);
    end(c, outcome, !answer(c, &a));
}

void cn_connection_cut(struct cn_connection *c, enum cn_tunnel_outcome code)
{
    c->here = true;
    if (c->stream)
        cn_stream_reset(c->stream, (uint32_t)code);
    end(c, code, true);
}

static void look_over(struct cn_connection *c)
{
    if (c->up_done && c->down_done)
        end(c, CN_TUNNEL_GIVEN_UP, false);
}

/* --- from the program to the partner ---------------------------------------------------------- */

/* Written and not yet received by the partner. */
static void count_outstanding(struct cn_connection *c)
{
    struct cn_stream_progress p;

    cn_stream_progress(c->stream, &p);
    c->tunnel->room->outstanding -= c->outstanding;
    c->outstanding = p.written - p.received;
    c->tunnel->room->outstanding += c->outstanding;
}

/* Each may have as much outstanding as is left for all, so that of n that are busy each has one
 * part in n + 1, however many are idle, and those that nobody reads from leave room for others. */
static uint8_t *room_for(struct cn_connection *c, size_t *room)
{
    uint64_t all, max;
    uint8_t *to;

    count_outstanding(c);
    all = c->tunnel->room->outstanding;
    max = all < CN_TUNNEL_OUTSTANDING_SIZE ? CN_TUNNEL_OUTSTANDING_SIZE - all : 0;
    if (max < OUTSTANDING_SIZE_MIN)
        max = OUTSTANDING_SIZE_MIN;
    if (c->outstanding >= max)
        return NULL;
    to = cn_stream_reserve(c->stream, room);
    if (to && *room > max - c->outstanding)
        *room = (size_t)(max - c->outstanding);
    return to;
}

static ssize_t get(const struct cn_connection *c, uint8_t *to, size_t room)
{
    ssize_t got = recv(c->in.fd, to, room, MSG_DONTWAIT);

    return got < 0 && errno == ENOTSOCK ? read(c->in.fd, to, room) : got;
}

static void pump_up(struct cn_connection *c)
{
    for (size_t moved = 0; !c->up_done && moved < TURN_SIZE;) {
        size_t room;
        uint8_t *to = room_for(c, &room);
        ssize_t got;

        c->up_full = !to;
        if (!to)
            return;
        got = get(c, to, room);
        if (got > 0) {
            cn_stream_commit(c->stream, (size_t)got);
            moved += (size_t)got;
            if ((size_t)got < room)
                return;
        } else if (got == 0 || errno == EBADF) { /* EBADF: closed before we began */
            cn_stream_finish(c->stream);
            c->up_done = true;
            look_over(c);
        } else if (errno == EAGAIN || errno == EINTR) {
            return;
        } else { /* ECONNRESET, ETIMEDOUT, EIO: none of them is an end */
            cn_connection_cut(c, CN_TUNNEL_BROKEN);
        }
        if (c->state == CN_CONNECTION_DEAD)
            return;
    }
}

/* --- from the partner to the program ---------------------------------------------------------- */

static ssize_t put(const struct cn_connection *c, const uint8_t *from, size_t size)
{
    ssize_t done = send(fd_out(c), from, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    return done < 0 && errno == ENOTSOCK ? write(fd_out(c), from, size) : done;
}

static void down_end(struct cn_connection *c)
{
    c->down_done = true;
    if (c->out.fd >= 0)
        out_close(c);
    else
        (void)shutdown(c->in.fd, SHUT_WR); /* ENOTCONN: it has gone, as will be read */
    look_over(c);
}

static void pump_down(struct cn_connection *c)
{
    const uint8_t *from;
    size_t size;

    while (!c->down_full && (from = cn_stream_peek(c->stream, &size))) {
        ssize_t done = put(c, from, size);

        if (done >= 0) {
            cn_stream_consume(c->stream, (size_t)done);
            c->down_full = (size_t)done < size;
        } else if (errno == EAGAIN) {
            c->down_full = true;
        } else if (errno != EINTR) {
            cn_connection_cut(c, CN_TUNNEL_BROKEN);
            return;
        }
    }
    if (!c->down_done && cn_stream_state(c->stream) == CN_STREAM_ENDED)
        down_end(c);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void opened(struct cn_connection *c)
{
    c->state = CN_CONNECTION_RUNNING;
    cn_tunnel_tell(c->tunnel, CN_TUNNEL_EVENT_OPENED, &c->to)->back = c->back;
}

/* The partner's first octet: connected. */
static void status_take(struct cn_connection *c)
{
    struct cn_socks_answer a;
    uint8_t status;

    if (cn_stream_read(c->stream, &status, 1) == 0) {
        if (cn_stream_state(c->stream) == CN_STREAM_ENDED)
            cn_connection_cut(c, CN_TUNNEL_MALFORMED);
        return;
    }
    if (status != STATUS_CONNECTED) {
        cn_connection_cut(c, CN_TUNNEL_MALFORMED);
        return;
    }
    opened(c);
    if (!c->socks)
        return;
    cn_socks_answer(CN_SOCKS_GRANTED, &a);
    if (!answer(c, &a))
        cn_connection_cut(c, CN_TUNNEL_BROKEN);
}

/* Ask the partner. door: the one that somebody came in by, when it was the partner who wanted it.
 */
static void ask(struct cn_connection *c, const struct cn_door *door)
{
    enum cn_err err;

    c->state = CN_CONNECTION_ASKED;
    c->asked = true;
    err = door ? cn_tunnel_stream_open(c->tunnel, CN_TUNNEL_INCOMING, NULL, &door->number,
                                       &c->owner, &c->stream)
               : cn_tunnel_stream_open(c->tunnel, CN_TUNNEL_CONNECT, &c->to, NULL, &c->owner,
                                       &c->stream);
    if (err != CN_OK)
        refused(c, err == CN_E_LIMIT ? CN_TUNNEL_TOO_MANY : CN_TUNNEL_FAILED);
}

/* To close a socket that has octets to be read resets it, which may overtake what was answered. */
static void drain(struct cn_connection *c)
{
    uint8_t octets[CN_SOCKS_IN_SIZE];

    (void)shutdown(c->in.fd, SHUT_WR);
    while (recv(c->in.fd, octets, sizeof octets, MSG_DONTWAIT) == (ssize_t)sizeof octets)
        ;
}

static void greeting_read(struct cn_connection *c)
{
    uint8_t in[CN_SOCKS_IN_SIZE];
    struct cn_socks_answer a;
    enum cn_err err = CN_E_MORE;

    while (err == CN_E_MORE) {
        ssize_t got = recv(c->in.fd, in, cn_socks_wanted(c->socks), MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            end(c, CN_TUNNEL_GIVEN_UP, true);
            return;
        }
        err = cn_socks_take(c->socks, in, (size_t)got, &c->to, &a);
        if (!answer(c, &a) || (err != CN_E_MORE && err != CN_OK)) {
            drain(c);
            end(c, CN_TUNNEL_MALFORMED, false);
            return;
        }
    }
    due(c, UINT64_MAX);
    ask(c, NULL);
}

/* --- reaching -------------------------------------------------------------------------------- */

/* Best effort; none of it is for a path. */
static void tune(int socket)
{
    const int on = 1;

    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void reached(struct cn_connection *c)
{
    const uint8_t status = STATUS_CONNECTED;

    c->in.fd = cn_reach_take(c->reach);
    reach_end(c);
    c->due_ms = UINT64_MAX;
    tune(c->in.fd);
    if (cn_stream_write(c->stream, &status, 1) == 1)
        opened(c);
    else /* no memory for it in the call */
        cn_connection_cut(c, CN_TUNNEL_TOO_MANY);
}

static void reach_step(struct cn_connection *c)
{
    enum cn_err err;

    cn_watch_end(c->tunnel->epoll, &c->in); /* the next attempt has another socket */
    err = cn_reach_step(c->reach, cn_connect_clock_ms());
    if (err == CN_OK) {
        reached(c);
    } else if (err == CN_E_MORE) {
        c->in.fd = c->reach->socket;
        due(c, cn_reach_due_ms(c->reach));
    } else {
        cn_connection_cut(c, c->reach->outcome);
    }
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static bool up_wanted(const struct cn_connection *c)
{
    return !c->up_done && !c->up_full &&
           (c->state == CN_CONNECTION_RUNNING || (c->state == CN_CONNECTION_ASKED && !c->socks));
}

/* Wait for what can be used. */
static void watch(struct cn_connection *c)
{
    int epoll = c->tunnel->epoll;
    uint32_t in = up_wanted(c) || c->state == CN_CONNECTION_GREETING ? EPOLLIN : 0;
    uint32_t out = c->down_full || c->state == CN_CONNECTION_REACHING ? EPOLLOUT : 0;
    bool good;

    if (c->state == CN_CONNECTION_DEAD || c->in.fd < 0)
        return;
    if (c->out.fd < 0)
        good = cn_watch_want(epoll, &c->in, in | out);
    else
        good = cn_watch_want(epoll, &c->in, in) && cn_watch_want(epoll, &c->out, out);
    if (!good)
        cn_connection_cut(c, CN_TUNNEL_FAILED);
}

/* Whatever it can do now. */
static void run(struct cn_connection *c)
{
    if (c->state == CN_CONNECTION_ASKED)
        status_take(c);
    if (c->state == CN_CONNECTION_RUNNING)
        pump_down(c);
    if (up_wanted(c))
        pump_up(c);
    watch(c);
}

static void ready(struct cn_watch *w, uint32_t events)
{
    struct cn_connection *c = w->owner;
    bool failed = events & (EPOLLERR | EPOLLHUP);

    if (c->state == CN_CONNECTION_DEAD)
        return;
    if (c->state == CN_CONNECTION_REACHING) {
        reach_step(c);
    } else if (c->state == CN_CONNECTION_GREETING) {
        greeting_read(c);
    } else if (events & (EPOLLIN | EPOLLOUT) || (failed && up_wanted(c) && w == &c->in)) {
        if (events & (EPOLLOUT | EPOLLERR))
            c->down_full = false;
    } else if (events & EPOLLERR) {
        cn_connection_cut(c, CN_TUNNEL_BROKEN);
    } else if (failed) {
        cn_watch_park(c->tunnel->epoll, w);
        return;
    }
    run(c);
}

/* The partner has given it up, and said why. */
static void reset_taken(struct cn_connection *c)
{
    enum cn_tunnel_outcome outcome = cn_tunnel_stream_outcome(c->stream);

    if (c->state == CN_CONNECTION_ASKED)
        refused(c, outcome);
    else
        end(c, outcome, true);
}

static void owner_take(struct cn_owner *owner, const struct cn_event *event)
{
    struct cn_connection *c = (struct cn_connection *)owner;

    if (cn_stream_state(c->stream) == CN_STREAM_RESET) {
        reset_taken(c);
        return;
    }
    count_outstanding(c);
    if (event->type == CN_EVENT_PROGRESS && !c->up_full)
        return;
    if (event->type != CN_EVENT_READABLE)
        c->up_full = false;
    run(c);
}

void cn_connection_turn(struct cn_connection *c)
{
    run(c);
}

void cn_connection_expire(struct cn_connection *c, uint64_t now_ms)
{
    if (now_ms < c->due_ms)
        return;
    c->due_ms = UINT64_MAX;
    if (c->state == CN_CONNECTION_REACHING) {
        reach_step(c);
        watch(c);
    } else if (c->state == CN_CONNECTION_GREETING) {
        end(c, CN_TUNNEL_TIMED_OUT, true);
    }
}

/* --- beginnings ------------------------------------------------------------------------------ */

void cn_connection_accept(struct cn_door *door, int fd)
{
    struct cn_connection *c = connection_new(door->tunnel, CN_CONNECTION_GREETING, fd);

    if (c && door->kind == CN_DOOR_SOCKS)
        c->socks = calloc(1, sizeof *c->socks);
    if (!c || (door->kind == CN_DOOR_SOCKS && !c->socks)) {
        if (c)
            end(c, CN_TUNNEL_FAILED, true);
        else
            close_socket(fd, true);
        return;
    }
    tune(fd);
    if (c->socks) {
        due(c, cn_connect_clock_ms() + GREETING_TIMEOUT_MS);
    } else {
        c->to = door->kind == CN_DOOR_LENT ? door->at : door->to;
        ask(c, door->kind == CN_DOOR_LENT ? door : NULL);
    }
    watch(c);
}

enum cn_err cn_connection_join(struct cn_tunnel *tunnel)
{
    struct cn_connection *c = connection_new(tunnel, CN_CONNECTION_ASKED, tunnel->join_in);

    if (!c)
        return CN_E_MEMORY;
    c->to = tunnel->join_to;
    if (tunnel->join_out != tunnel->join_in)
        c->out.fd = tunnel->join_out;
    tunnel->join_in = tunnel->join_out = -1;
    tunnel->joined = c;
    ask(c, NULL);
    watch(c);
    return CN_OK;
}

static void looked_up(void *owner)
{
    struct cn_connection *c = owner;

    reach_step(c);
    run(c);
}

void cn_connection_reach(struct cn_tunnel *tunnel, struct cn_stream *stream,
                         const struct cn_terminus *to, bool back)
{
    struct cn_connection *c;

    if (tunnel->room->reaching_count >= CN_TUNNEL_REACHING_COUNT_MAX ||
        tunnel->room->connection_count >= CN_TUNNEL_CONNECTION_COUNT_MAX) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
        return;
    }
    c = connection_new(tunnel, CN_CONNECTION_REACHING, -1);
    if (!c) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_FAILED);
        return;
    }
    c->stream = stream;
    c->to = *to;
    c->back = back;
    cn_stream_set_user(stream, &c->owner);
    c->reach = malloc(sizeof *c->reach);
    if (!c->reach) {
        cn_connection_cut(c, CN_TUNNEL_FAILED);
        return;
    }
    tunnel->room->reaching_count++;
    *c->reach = (struct cn_reach) { .resolver = tunnel->room->resolver,
                                    .owner = c,
                                    .looked_up = looked_up };
    cn_reach_start(c->reach, to, cn_connect_clock_ms());
    looked_up(c);
}
