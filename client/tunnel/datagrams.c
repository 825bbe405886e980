#include "datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "connect.h"
#include "stream.h"

enum {
    DATAGRAM_SIZE_MAX = 65535,
    HEAD_SIZE = 2,
    WAITING_SIZE_MAX = 1024 * 1024,         /* of a flow */
    WAITING_MS_MAX = 200,                   /* what is older comes too late */
    UNSENT_SIZE_MAX = 8 * 1024,             /* behind which the next would have to wait */
    OUTSTANDING_SIZE_MAX = 4 * 1024 * 1024, /* not received by the partner yet, of a flow */
    RECEIVE_COUNT_MAX = 1024, /* of a socket in one round: what it cannot hold is not the oldest */
    SOCKET_BUFFER_SIZE = 1024 * 1024,
    BUCKET_COUNT = 64,
    STATUS_CONNECTED = 0
};

struct datagram {
    struct datagram *next;
    uint64_t came_ms;
    size_t size; /* with its head */
    size_t sent; /* of that */
    uint8_t octets[];
};

struct cn_flow {
    struct cn_owner owner;
    struct cn_tunnel *tunnel;
    struct cn_flow *next; /* of the tunnel's */
    struct cn_flow *before;
    struct cn_terminus to;
    struct cn_stream *stream;
    struct cn_flows *flows; /* where they come in; NULL: at the other end */
    struct cn_flow *next_by_source;
    struct sockaddr_storage source;
    socklen_t source_size;
    struct cn_watch socket; /* the flow's own, or fd is that of the door */
    struct cn_reach *reach; /* owned, while the place is looked up */
    bool running;
    bool dead;
    struct datagram *waiting; /* for the stream */
    struct datagram *last;
    size_t waiting_size;
    uint64_t outstanding;    /* its part of the room's */
    uint8_t head[HEAD_SIZE]; /* of the datagram that arrives */
    size_t head_size;
    uint8_t *body; /* owned */
    size_t body_size;
    size_t body_wanted;
    uint64_t due_ms;
};

struct cn_flows {
    struct cn_door *door;
    struct cn_flow *by_source[BUCKET_COUNT];
};

static void owner_take(struct cn_owner *owner, const struct cn_event *event);
static void ready(struct cn_watch *watch, uint32_t events);

/* What a socket has no room for is lost, and that is the newest; as much as the system allows. */
static void socket_widen(int socket)
{
    const int size = SOCKET_BUFFER_SIZE;

    (void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

/* --- one flow -------------------------------------------------------------------------------- */

static void touch(struct cn_flow *flow)
{
    flow->due_ms = cn_connect_clock_ms() + CN_FLOW_IDLE_MS;
    cn_tunnel_due(flow->tunnel, flow->due_ms);
}

static struct cn_flow *flow_new(struct cn_tunnel *tunnel, int fd)
{
    struct cn_flow *flow = calloc(1, sizeof *flow);

    if (!flow)
        return NULL;
    flow->owner.take = owner_take;
    flow->tunnel = tunnel;
    flow->socket = (struct cn_watch) { .fd = fd, .owner = flow, .ready = ready };
    flow->next = tunnel->flows;
    if (flow->next)
        flow->next->before = flow;
    tunnel->flows = flow;
    tunnel->room->flow_count++;
    touch(flow);
    return flow;
}

static void waiting_count(struct cn_flow *flow, size_t less, size_t more)
{
    flow->waiting_size += more - less;
    flow->tunnel->room->waiting += more - less;
}

static void waiting_drop(struct cn_flow *flow)
{
    struct datagram *first = flow->waiting;

    flow->waiting = first->next;
    if (!flow->waiting)
        flow->last = NULL;
    waiting_count(flow, first->size, 0);
    free(first);
}

static struct cn_flow **by_source(struct cn_flows *flows, const struct sockaddr_storage *source,
                                  socklen_t size)
{
    const uint8_t *octets = (const uint8_t *)source;
    uint32_t hash = 2166136261U; /* FNV-1a */
    struct cn_flow **link;

    for (socklen_t i = 0; i < size; i++)
        hash = (hash ^ octets[i]) * 16777619U;
    link = &flows->by_source[(hash ^ hash >> 16) % BUCKET_COUNT];
    while (*link && ((*link)->source_size != size || memcmp(&(*link)->source, source, size) != 0))
        link = &(*link)->next_by_source;
    return link;
}

/* Its stream has been dealt with already. */
static void end(struct cn_flow *flow, enum cn_tunnel_outcome outcome)
{
    struct cn_tunnel *t = flow->tunnel;
    int own = flow->flows ? -1 : flow->socket.fd;
    struct cn_tunnel_event *event;

    flow->dead = true;
    if (!flow->running) {
        event = cn_tunnel_tell(t, CN_TUNNEL_EVENT_REFUSED, &flow->to);
        event->outcome = outcome;
        event->back = !flow->flows;
    }
    if (flow->stream)
        cn_stream_release(flow->stream);
    flow->stream = NULL;
    if (flow->flows)
        *by_source(flow->flows, &flow->source, flow->source_size) = flow->next_by_source;
    cn_watch_end(t->epoll, &flow->socket);
    if (flow->reach)
        cn_reach_end(flow->reach);
    free(flow->reach);
    flow->reach = NULL;
    if (own >= 0)
        close(own);
    while (flow->waiting)
        waiting_drop(flow);
    free(flow->body);
    flow->body = NULL;
    if (flow->before)
        flow->before->next = flow->next;
    else
        t->flows = flow->next;
    if (flow->next)
        flow->next->before = flow->before;
    flow->next = t->dead_flows;
    t->dead_flows = flow;
    t->room->outstanding -= flow->outstanding;
    t->room->flow_count--;
}

static void cut(struct cn_flow *flow, enum cn_tunnel_outcome code)
{
    if (flow->dead)
        return;
    if (flow->stream)
        cn_stream_reset(flow->stream, (uint32_t)code);
    end(flow, code);
}

void cn_flows_sweep(struct cn_tunnel *tunnel)
{
    while (tunnel->dead_flows) {
        struct cn_flow *flow = tunnel->dead_flows;

        tunnel->dead_flows = flow->next;
        free(flow);
    }
}

void cn_flows_cut(struct cn_tunnel *tunnel)
{
    while (tunnel->flows) {
        tunnel->flows->running = true; /* nobody needs to hear of it */
        cut(tunnel->flows, CN_TUNNEL_GIVEN_UP);
    }
}

uint64_t cn_flows_expire(struct cn_tunnel *tunnel, uint64_t now_ms)
{
    uint64_t due_ms = UINT64_MAX;
    struct cn_flow *next;

    for (struct cn_flow *flow = tunnel->flows; flow; flow = next) {
        next = flow->next;
        if (now_ms >= flow->due_ms)
            cut(flow, flow->running ? CN_TUNNEL_GIVEN_UP : CN_TUNNEL_TIMED_OUT);
        else if (flow->due_ms < due_ms)
            due_ms = flow->due_ms;
    }
    return due_ms;
}

/* --- to the partner -------------------------------------------------------------------------- */

static void count_outstanding(struct cn_flow *flow)
{
    struct cn_stream_progress p;

    cn_stream_progress(flow->stream, &p);
    flow->tunnel->room->outstanding -= flow->outstanding;
    flow->outstanding = p.written - p.received;
    flow->tunnel->room->outstanding += flow->outstanding;
}

static bool stream_has_room(struct cn_flow *flow)
{
    count_outstanding(flow);
    return flow->outstanding < OUTSTANDING_SIZE_MAX &&
           flow->tunnel->room->outstanding < CN_TUNNEL_OUTSTANDING_SIZE;
}

/* But for one of which a part is on its way, and the newest. */
static void drop_old(struct cn_flow *flow, uint64_t now_ms)
{
    while (flow->waiting && flow->waiting->next && flow->waiting->sent == 0 &&
           now_ms - flow->waiting->came_ms > WAITING_MS_MAX)
        waiting_drop(flow);
}

static void flush(struct cn_flow *flow)
{
    drop_old(flow, cn_connect_clock_ms());
    while (flow->waiting && (flow->waiting->sent > 0 || stream_has_room(flow))) {
        struct datagram *d = flow->waiting;

        d->sent += cn_stream_write(flow->stream, d->octets + d->sent, d->size - d->sent);
        if (d->sent < d->size)
            return;
        waiting_drop(flow);
    }
}

/* The oldest go, but for one of which a part is on its way. */
static void make_room(struct cn_flow *flow)
{
    while (flow->waiting && (flow->waiting_size > WAITING_SIZE_MAX ||
                             flow->tunnel->room->waiting > CN_TUNNEL_WAITING_SIZE)) {
        struct datagram *first = flow->waiting;
        struct datagram *second = first->next;

        if (first->sent == 0) {
            waiting_drop(flow);
            continue;
        }
        if (!second)
            return;
        first->next = second->next;
        if (!first->next)
            flow->last = first;
        waiting_count(flow, second->size, 0);
        free(second);
    }
}

static void send_on(struct cn_flow *flow, const uint8_t *octets, size_t size)
{
    struct datagram *d = malloc(sizeof *d + HEAD_SIZE + size);
    struct cn_writer w;

    if (!d)
        return; /* it is lost, as datagrams may be */
    *d = (struct datagram) { .size = HEAD_SIZE + size, .came_ms = cn_connect_clock_ms() };
    w = (struct cn_writer) { .at = d->octets, .left = d->size };
    cn_writer_u16be(&w, (uint16_t)size);
    cn_writer_bytes(&w, octets, size);
    if (flow->last)
        flow->last->next = d;
    else
        flow->waiting = d;
    flow->last = d;
    waiting_count(flow, 0, d->size);
    flush(flow);
    make_room(flow);
    touch(flow);
}

/* --- from the partner ------------------------------------------------------------------------ */

static void deliver(struct cn_flow *flow)
{
    ssize_t done;

    if (flow->flows)
        done = sendto(flow->socket.fd, flow->body, flow->body_size, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (const struct sockaddr *)&flow->source, flow->source_size);
    else
        done = send(flow->socket.fd, flow->body, flow->body_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0)
        return; /* whatever it is, this one is lost */
}

/* One datagram; false: not all of it has come. */
static bool datagram_take(struct cn_flow *flow)
{
    struct cn_reader r = { .at = flow->head, .left = HEAD_SIZE };

    if (flow->head_size < HEAD_SIZE) {
        flow->head_size +=
            cn_stream_read(flow->stream, flow->head + flow->head_size, HEAD_SIZE - flow->head_size);
        if (flow->head_size < HEAD_SIZE)
            return false;
        flow->body_wanted = cn_reader_u16be(&r);
        flow->body_size = 0;
        flow->body = malloc(flow->body_wanted + 1);
        if (!flow->body) {
            cut(flow, CN_TUNNEL_FAILED);
            return false;
        }
    }
    flow->body_size += cn_stream_read(flow->stream, flow->body + flow->body_size,
                                      flow->body_wanted - flow->body_size);
    if (flow->body_size < flow->body_wanted)
        return false;
    deliver(flow);
    free(flow->body);
    flow->body = NULL;
    flow->head_size = 0;
    return true;
}

static void receive_all(struct cn_flow *flow)
{
    uint8_t status;

    if (flow->flows && !flow->running) {
        if (cn_stream_read(flow->stream, &status, 1) == 0)
            return;
        if (status != STATUS_CONNECTED) {
            cut(flow, CN_TUNNEL_MALFORMED);
            return;
        }
        flow->running = true;
    }
    while (flow->running && !flow->dead && datagram_take(flow))
        touch(flow);
}

static void owner_take(struct cn_owner *owner, const struct cn_event *event)
{
    struct cn_flow *flow = (struct cn_flow *)owner;

    (void)event;
    if (cn_stream_state(flow->stream) == CN_STREAM_RESET) {
        end(flow, cn_tunnel_stream_outcome(flow->stream));
        return;
    }
    receive_all(flow);
    if (flow->dead)
        return;
    if (cn_stream_state(flow->stream) == CN_STREAM_ENDED)
        cut(flow, CN_TUNNEL_GIVEN_UP);
    else
        flush(flow);
}

/* --- where they come in ----------------------------------------------------------------------- */

enum cn_err cn_flows_create(struct cn_flows **flows, struct cn_door *door)
{
    *flows = calloc(1, sizeof **flows);
    if (!*flows)
        return CN_E_MEMORY;
    (*flows)->door = door;
    for (size_t i = 0; i < door->binding.count; i++)
        socket_widen(door->binding.socket[i]);
    return CN_OK;
}

void cn_flows_free(struct cn_flows *flows)
{
    if (!flows)
        return;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        while (flows->by_source[i])
            cut(flows->by_source[i], CN_TUNNEL_GIVEN_UP);
    }
    free(flows);
}

static bool is_full(const struct cn_tunnel *tunnel)
{
    return tunnel->room->flow_count >= CN_TUNNEL_FLOW_COUNT_MAX;
}

/* Who has been silent for the longest makes room. */
static void silent_cut(struct cn_tunnel *tunnel)
{
    struct cn_flow *silent = tunnel->flows;

    for (struct cn_flow *flow = tunnel->flows; flow; flow = flow->next) {
        if (flow->due_ms < silent->due_ms)
            silent = flow;
    }
    if (silent)
        cut(silent, CN_TUNNEL_TOO_MANY);
}

static struct cn_flow *flow_open(struct cn_flows *flows, int fd,
                                 const struct sockaddr_storage *source, socklen_t size)
{
    const struct cn_door *door = flows->door;
    bool lent = door->kind == CN_DOOR_LENT;
    struct cn_tunnel *t = door->tunnel;
    struct cn_flow *flow = NULL;

    if (is_full(t))
        silent_cut(t);
    if (!is_full(t)) /* with those of other tunnels */
        flow = flow_new(t, fd);
    if (!flow)
        return NULL;
    flow->flows = flows;
    flow->to = lent ? door->at : door->to;
    flow->source_size = size;
    memcpy(&flow->source, source, size);
    *by_source(flows, source, size) = flow;
    if (cn_tunnel_stream_open(t, lent ? CN_TUNNEL_INCOMING : CN_TUNNEL_DATAGRAMS,
                              lent ? NULL : &flow->to, lent ? &door->number : NULL, &flow->owner,
                              &flow->stream) != CN_OK) {
        end(flow, CN_TUNNEL_TOO_MANY);
        return NULL;
    }
    cn_stream_hold_little(flow->stream, UNSENT_SIZE_MAX);
    return flow;
}

void cn_flows_receive(struct cn_flows *flows, int socket)
{
    uint8_t octets[DATAGRAM_SIZE_MAX];

    for (int i = 0; i < RECEIVE_COUNT_MAX; i++) {
        struct sockaddr_storage source = { 0 };
        socklen_t size = sizeof source;
        struct cn_flow *flow;
        ssize_t got = recvfrom(socket, octets, sizeof octets, MSG_DONTWAIT,
                               (struct sockaddr *)&source, &size);

        if (got < 0)
            return;
        flow = *by_source(flows, &source, size);
        if (!flow)
            flow = flow_open(flows, socket, &source, size);
        if (flow)
            send_on(flow, octets, (size_t)got);
    }
}

/* --- the other end --------------------------------------------------------------------------- */

static void reached(struct cn_flow *flow)
{
    const uint8_t status = STATUS_CONNECTED;
    enum cn_err err = cn_reach_step(flow->reach, cn_connect_clock_ms());

    if (err == CN_E_MORE)
        return;
    if (err != CN_OK) {
        cut(flow, flow->reach->outcome);
        return;
    }
    flow->socket.fd = cn_reach_take(flow->reach);
    socket_widen(flow->socket.fd);
    free(flow->reach);
    flow->reach = NULL;
    if (!cn_watch_want(flow->tunnel->epoll, &flow->socket, EPOLLIN) ||
        cn_stream_write(flow->stream, &status, 1) < 1) {
        cut(flow, CN_TUNNEL_FAILED);
        return;
    }
    flow->running = true;
    receive_all(flow);
}

static void looked_up(void *owner)
{
    reached(owner);
}

static void ready(struct cn_watch *watch, uint32_t events)
{
    struct cn_flow *flow = watch->owner;
    uint8_t octets[DATAGRAM_SIZE_MAX];

    (void)events;
    for (int i = 0; i < RECEIVE_COUNT_MAX && !flow->dead; i++) {
        ssize_t got = recv(watch->fd, octets, sizeof octets, MSG_DONTWAIT);

        if (got >= 0)
            send_on(flow, octets, (size_t)got);
        else if (errno != ECONNREFUSED) /* of one that was sent: it is lost */
            return;
    }
}

void cn_flow_reach(struct cn_tunnel *tunnel, struct cn_stream *stream, const struct cn_terminus *to)
{
    struct cn_flow *flow = NULL;

    if (!is_full(tunnel))
        flow = flow_new(tunnel, -1);
    if (!flow) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
        return;
    }
    flow->to = *to;
    flow->stream = stream;
    cn_stream_set_user(stream, &flow->owner);
    cn_stream_hold_little(stream, UNSENT_SIZE_MAX);
    flow->reach = malloc(sizeof *flow->reach);
    if (!flow->reach) {
        cut(flow, CN_TUNNEL_FAILED);
        return;
    }
    *flow->reach = (struct cn_reach) { .resolver = tunnel->room->resolver,
                                       .owner = flow,
                                       .looked_up = looked_up };
    cn_reach_start(flow->reach, to, cn_connect_clock_ms());
    reached(flow);
}
