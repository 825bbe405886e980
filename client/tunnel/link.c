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
    TURN_SIZE = 256 * 1024,              /* octets of one link in one round */
    OUTSTANDING_SIZE = 16 * 1024 * 1024, /* not yet received by the partner, of all links ... */
    OUTSTANDING_SIZE_MIN = 16 * 1024,    /* ... and of each at least */
    GREETING_TIMEOUT_MS = 30000,
    STATUS_CONNECTED = 0
};

static void owner_take(struct cn_owner *owner, const struct cn_event *event);
static void ready(struct cn_watch *watch, uint32_t events);

static struct cn_link *link_new(struct cn_tunnel *tunnel, enum cn_link_state state, int fd)
{
    struct cn_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->owner.take = owner_take;
    link->tunnel = tunnel;
    link->state = state;
    link->in = (struct cn_watch) { .fd = fd, .owner = link, .ready = ready };
    link->out = (struct cn_watch) { .fd = -1, .owner = link, .ready = ready };
    link->due_ms = UINT64_MAX;
    link->next = tunnel->links;
    if (link->next)
        link->next->before = link;
    tunnel->links = link;
    tunnel->link_count++;
    return link;
}

void cn_link_free(struct cn_link *link)
{
    if (link->reach)
        cn_reach_end(link->reach);
    free(link->reach);
    free(link->socks);
    free(link);
}

static int fd_out(const struct cn_link *link)
{
    return link->out.fd >= 0 ? link->out.fd : link->in.fd;
}

static void due(struct cn_link *link, uint64_t at_ms)
{
    link->due_ms = at_ms;
    cn_tunnel_due(link->tunnel, at_ms);
}

/* --- the end --------------------------------------------------------------------------------- */

static void reach_end(struct cn_link *link)
{
    if (!link->reach)
        return;
    cn_reach_end(link->reach);
    free(link->reach);
    link->reach = NULL;
    link->tunnel->reaching_count--;
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
static void out_close(struct cn_link *link)
{
    int fd = link->out.fd;

    cn_watch_end(link->tunnel->epoll, &link->out);
    (void)shutdown(fd, SHUT_WR); /* ENOTSOCK: it is none */
    close(fd);
}

static void tell_end(struct cn_link *link, enum cn_tunnel_outcome outcome, bool cut)
{
    bool was_open = link->state == CN_LINK_RUNNING;
    struct cn_tunnel_event *event;
    struct cn_stream_progress progress = { 0 };

    if (link->state == CN_LINK_GREETING)
        return;
    event = cn_tunnel_tell(link->tunnel,
                           was_open ? CN_TUNNEL_EVENT_CLOSED : CN_TUNNEL_EVENT_REFUSED, &link->to);
    event->outcome = outcome;
    event->back = link->back;
    event->cut = cut;
    if (!was_open)
        return;
    cn_stream_progress(link->stream, &progress);
    event->sent = progress.written - (link->asked ? 0 : 1); /* the status */
    event->received = progress.read - (link->asked ? 1 : 0);
}

/* The stream has been dealt with already. */
static void end(struct cn_link *link, enum cn_tunnel_outcome outcome, bool cut)
{
    struct cn_tunnel *t = link->tunnel;
    int fd = link->in.fd;

    if (link->state == CN_LINK_DEAD)
        return;
    tell_end(link, outcome, cut);
    link->state = CN_LINK_DEAD;
    if (link->stream)
        cn_stream_release(link->stream);
    link->stream = NULL;
    cn_watch_end(t->epoll, &link->in);
    if (link->out.fd >= 0)
        out_close(link);
    if (link->reach)
        reach_end(link);
    else if (fd >= 0)
        close_socket(fd, cut);
    if (link->before)
        link->before->next = link->next;
    else
        t->links = link->next;
    if (link->next)
        link->next->before = link->before;
    if (t->joined == link)
        t->joined = NULL;
    link->next = t->dead;
    t->dead = link;
    t->link_count--;
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
static bool answer(struct cn_link *link, const struct cn_socks_answer *a)
{
    return a->size == 0 ||
           send(link->in.fd, a->octets, a->size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)a->size;
}

/* What was asked for cannot be had. A SOCKS client is told why. */
static void refused(struct cn_link *link, enum cn_tunnel_outcome outcome)
{
    struct cn_socks_answer a;

    if (!link->socks) {
        end(link, outcome, true);
        return;
    }
    cn_socks_answer(reply_of(outcome), &a);
    end(link, outcome, !answer(link, &a));
}

void cn_link_cut(struct cn_link *link, enum cn_tunnel_outcome code)
{
    if (link->stream)
        cn_stream_reset(link->stream, (uint32_t)code);
    end(link, code, true);
}

static void look_over(struct cn_link *link)
{
    if (link->up_done && link->down_done)
        end(link, CN_TUNNEL_GIVEN_UP, false);
}

/* --- from the program to the partner ---------------------------------------------------------- */

/* Links share what may be under way, so that those that nobody reads from leave room for others. */
static uint64_t outstanding_max(const struct cn_tunnel *tunnel)
{
    uint64_t share = OUTSTANDING_SIZE / (tunnel->link_count + 1);

    return share > OUTSTANDING_SIZE_MIN ? share : OUTSTANDING_SIZE_MIN;
}

static uint8_t *room_for(struct cn_link *link, size_t *room)
{
    uint64_t max = outstanding_max(link->tunnel);
    struct cn_stream_progress p;
    uint8_t *to;

    cn_stream_progress(link->stream, &p);
    if (p.written - p.received >= max)
        return NULL;
    to = cn_stream_reserve(link->stream, room);
    if (to && *room > max - (p.written - p.received))
        *room = (size_t)(max - (p.written - p.received));
    return to;
}

static ssize_t get(const struct cn_link *link, uint8_t *to, size_t room)
{
    ssize_t got = recv(link->in.fd, to, room, MSG_DONTWAIT);

    return got < 0 && errno == ENOTSOCK ? read(link->in.fd, to, room) : got;
}

static void pump_up(struct cn_link *link)
{
    for (size_t moved = 0; !link->up_done && moved < TURN_SIZE;) {
        size_t room;
        uint8_t *to = room_for(link, &room);
        ssize_t got;

        link->up_full = !to;
        if (!to)
            return;
        got = get(link, to, room);
        if (got > 0) {
            cn_stream_commit(link->stream, (size_t)got);
            moved += (size_t)got;
            if ((size_t)got < room)
                return;
        } else if (got == 0 || errno == EBADF) { /* EBADF: closed before we began */
            cn_stream_finish(link->stream);
            link->up_done = true;
            look_over(link);
        } else if (errno == EAGAIN || errno == EINTR) {
            return;
        } else { /* ECONNRESET, ETIMEDOUT, EIO: none of them is an end */
            cn_link_cut(link, CN_TUNNEL_BROKEN);
        }
        if (link->state == CN_LINK_DEAD)
            return;
    }
}

/* --- from the partner to the program ---------------------------------------------------------- */

static ssize_t put(const struct cn_link *link, const uint8_t *from, size_t size)
{
    ssize_t done = send(fd_out(link), from, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    return done < 0 && errno == ENOTSOCK ? write(fd_out(link), from, size) : done;
}

static void down_end(struct cn_link *link)
{
    link->down_done = true;
    if (link->out.fd >= 0)
        out_close(link);
    else
        (void)shutdown(link->in.fd, SHUT_WR); /* ENOTCONN: it has gone, as will be read */
    look_over(link);
}

static void pump_down(struct cn_link *link)
{
    const uint8_t *from;
    size_t size;

    while (!link->down_full && (from = cn_stream_peek(link->stream, &size))) {
        ssize_t done = put(link, from, size);

        if (done >= 0) {
            cn_stream_consume(link->stream, (size_t)done);
            link->down_full = (size_t)done < size;
        } else if (errno == EAGAIN) {
            link->down_full = true;
        } else if (errno != EINTR) {
            cn_link_cut(link, CN_TUNNEL_BROKEN);
            return;
        }
    }
    if (!link->down_done && cn_stream_state(link->stream) == CN_STREAM_ENDED)
        down_end(link);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void opened(struct cn_link *link)
{
    link->state = CN_LINK_RUNNING;
    cn_tunnel_tell(link->tunnel, CN_TUNNEL_EVENT_OPENED, &link->to)->back = link->back;
}

/* The partner's first octet: connected. */
static void status_take(struct cn_link *link)
{
    struct cn_socks_answer a;
    uint8_t status;

    if (cn_stream_read(link->stream, &status, 1) == 0) {
        if (cn_stream_state(link->stream) == CN_STREAM_ENDED)
            cn_link_cut(link, CN_TUNNEL_MALFORMED);
        return;
    }
    if (status != STATUS_CONNECTED) {
        cn_link_cut(link, CN_TUNNEL_MALFORMED);
        return;
    }
    opened(link);
    if (!link->socks)
        return;
    cn_socks_answer(CN_SOCKS_GRANTED, &a);
    if (!answer(link, &a))
        cn_link_cut(link, CN_TUNNEL_BROKEN);
}

/* Ask the partner. door: the one that somebody came in by, when it was the partner who wanted it.
 */
static void ask(struct cn_link *link, const struct cn_door *door)
{
    enum cn_err err;

    link->state = CN_LINK_ASKED;
    link->asked = true;
    err = door ? cn_tunnel_stream_open(link->tunnel, CN_TUNNEL_INCOMING, NULL, &door->number,
                                       &link->owner, &link->stream)
               : cn_tunnel_stream_open(link->tunnel, CN_TUNNEL_CONNECT, &link->to, NULL,
                                       &link->owner, &link->stream);
    if (err != CN_OK)
        refused(link, err == CN_E_LIMIT ? CN_TUNNEL_TOO_MANY : CN_TUNNEL_FAILED);
}

/* To close a socket that has octets to be read resets it, which may overtake what was answered. */
static void drain(struct cn_link *link)
{
    uint8_t octets[CN_SOCKS_IN_SIZE];

    (void)shutdown(link->in.fd, SHUT_WR);
    while (recv(link->in.fd, octets, sizeof octets, MSG_DONTWAIT) == (ssize_t)sizeof octets)
        ;
}

static void greeting_read(struct cn_link *link)
{
    uint8_t in[CN_SOCKS_IN_SIZE];
    struct cn_socks_answer a;
    enum cn_err err = CN_E_MORE;

    while (err == CN_E_MORE) {
        ssize_t got = recv(link->in.fd, in, cn_socks_wanted(link->socks), MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            end(link, CN_TUNNEL_GIVEN_UP, true);
            return;
        }
        err = cn_socks_take(link->socks, in, (size_t)got, &link->to, &a);
        if (!answer(link, &a) || (err != CN_E_MORE && err != CN_OK)) {
            drain(link);
            end(link, CN_TUNNEL_MALFORMED, false);
            return;
        }
    }
    due(link, UINT64_MAX);
    ask(link, NULL);
}

/* --- reaching -------------------------------------------------------------------------------- */

/* Best effort; none of it is for a path. */
static void tune(int socket)
{
    const int on = 1;

    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void reached(struct cn_link *link)
{
    const uint8_t status = STATUS_CONNECTED;

    link->in.fd = cn_reach_take(link->reach);
    reach_end(link);
    link->due_ms = UINT64_MAX;
    tune(link->in.fd);
    if (cn_stream_write(link->stream, &status, 1) == 1)
        opened(link);
    else /* no memory for it in the call */
        cn_link_cut(link, CN_TUNNEL_TOO_MANY);
}

static void reach_step(struct cn_link *link)
{
    enum cn_err err;

    cn_watch_end(link->tunnel->epoll, &link->in); /* the next attempt has another socket */
    err = cn_reach_step(link->reach, cn_connect_clock_ms());
    if (err == CN_OK) {
        reached(link);
    } else if (err == CN_E_MORE) {
        link->in.fd = link->reach->socket;
        due(link, cn_reach_due_ms(link->reach));
    } else {
        cn_link_cut(link, link->reach->outcome);
    }
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static bool up_wanted(const struct cn_link *link)
{
    return !link->up_done && !link->up_full &&
           (link->state == CN_LINK_RUNNING || (link->state == CN_LINK_ASKED && !link->socks));
}

/* Wait for what can be used. */
static void watch(struct cn_link *link)
{
    int epoll = link->tunnel->epoll;
    uint32_t in = up_wanted(link) || link->state == CN_LINK_GREETING ? EPOLLIN : 0;
    uint32_t out = link->down_full || link->state == CN_LINK_REACHING ? EPOLLOUT : 0;
    bool good;

    if (link->state == CN_LINK_DEAD || link->in.fd < 0)
        return;
    if (link->out.fd < 0)
        good = cn_watch_want(epoll, &link->in, in | out);
    else
        good = cn_watch_want(epoll, &link->in, in) && cn_watch_want(epoll, &link->out, out);
    if (!good)
        cn_link_cut(link, CN_TUNNEL_FAILED);
}

/* Whatever it can do now. */
static void run(struct cn_link *link)
{
    if (link->state == CN_LINK_ASKED)
        status_take(link);
    if (link->state == CN_LINK_RUNNING)
        pump_down(link);
    if (up_wanted(link))
        pump_up(link);
    watch(link);
}

static void ready(struct cn_watch *w, uint32_t events)
{
    struct cn_link *link = w->owner;
    bool failed = events & (EPOLLERR | EPOLLHUP);

    if (link->state == CN_LINK_DEAD)
        return;
    if (link->state == CN_LINK_REACHING) {
        reach_step(link);
    } else if (link->state == CN_LINK_GREETING) {
        greeting_read(link);
    } else if (events & (EPOLLIN | EPOLLOUT) || (failed && up_wanted(link) && w == &link->in)) {
        if (events & (EPOLLOUT | EPOLLERR))
            link->down_full = false;
    } else if (events & EPOLLERR) {
        cn_link_cut(link, CN_TUNNEL_BROKEN);
    } else if (failed) {
        cn_watch_park(link->tunnel->epoll, w);
        return;
    }
    run(link);
}

/* The partner has given it up, and said why. */
static void reset_taken(struct cn_link *link)
{
    enum cn_tunnel_outcome outcome = cn_tunnel_stream_outcome(link->stream);

    if (link->state == CN_LINK_ASKED)
        refused(link, outcome);
    else
        end(link, outcome, true);
}

static void owner_take(struct cn_owner *owner, const struct cn_event *event)
{
    struct cn_link *link = (struct cn_link *)owner;

    if (cn_stream_state(link->stream) == CN_STREAM_RESET) {
        reset_taken(link);
        return;
    }
    if (event->type == CN_EVENT_PROGRESS && !link->up_full)
        return;
    if (event->type != CN_EVENT_READABLE)
        link->up_full = false;
    run(link);
}

void cn_link_turn(struct cn_link *link)
{
    run(link);
}

void cn_link_expire(struct cn_link *link, uint64_t now_ms)
{
    if (now_ms < link->due_ms)
        return;
    link->due_ms = UINT64_MAX;
    if (link->state == CN_LINK_REACHING) {
        reach_step(link);
        watch(link);
    } else if (link->state == CN_LINK_GREETING) {
        end(link, CN_TUNNEL_TIMED_OUT, true);
    }
}

/* --- beginnings ------------------------------------------------------------------------------ */

void cn_link_accept(struct cn_door *door, int fd)
{
    struct cn_link *link = link_new(door->tunnel, CN_LINK_GREETING, fd);

    if (link && door->kind == CN_DOOR_SOCKS)
        link->socks = calloc(1, sizeof *link->socks);
    if (!link || (door->kind == CN_DOOR_SOCKS && !link->socks)) {
        if (link)
            end(link, CN_TUNNEL_FAILED, true);
        else
            close_socket(fd, true);
        return;
    }
    tune(fd);
    if (link->socks) {
        due(link, cn_connect_clock_ms() + GREETING_TIMEOUT_MS);
    } else {
        link->to = door->kind == CN_DOOR_LENT ? door->at : door->to;
        ask(link, door->kind == CN_DOOR_LENT ? door : NULL);
    }
    watch(link);
}

enum cn_err cn_link_join(struct cn_tunnel *tunnel)
{
    struct cn_link *link = link_new(tunnel, CN_LINK_ASKED, tunnel->join_in);

    if (!link)
        return CN_E_MEMORY;
    link->to = tunnel->join_to;
    if (tunnel->join_out != tunnel->join_in)
        link->out.fd = tunnel->join_out;
    tunnel->join_in = tunnel->join_out = -1;
    tunnel->joined = link;
    ask(link, NULL);
    watch(link);
    return CN_OK;
}

static void looked_up(void *owner)
{
    struct cn_link *link = owner;

    reach_step(link);
    run(link);
}

void cn_link_reach(struct cn_tunnel *tunnel, struct cn_stream *stream, const struct cn_endpoint *to,
                   bool back)
{
    struct cn_link *link;

    if (tunnel->reaching_count >= CN_TUNNEL_REACHING_COUNT_MAX ||
        tunnel->link_count >= CN_TUNNEL_LINK_COUNT_MAX) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
        return;
    }
    link = link_new(tunnel, CN_LINK_REACHING, -1);
    if (!link) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_FAILED);
        return;
    }
    link->stream = stream;
    link->to = *to;
    link->back = back;
    cn_stream_set_user(stream, &link->owner);
    link->reach = malloc(sizeof *link->reach);
    if (!link->reach) {
        cn_link_cut(link, CN_TUNNEL_FAILED);
        return;
    }
    tunnel->reaching_count++;
    *link->reach =
        (struct cn_reach) { .resolver = tunnel->resolver, .owner = link, .looked_up = looked_up };
    cn_reach_start(link->reach, to, cn_connect_clock_ms());
    looked_up(link);
}
