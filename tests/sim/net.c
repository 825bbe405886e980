#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "sim.h"

enum { PARCEL_COUNT_MAX = 64, SUBSCRIBER = 0, SERVER = 1 };

/* Octets that arrive together. */
struct parcel {
    uint64_t end; /* all before it */
    uint64_t at_ms;
};

/* One direction. */
struct way {
    uint8_t *ring; /* owned: what is under way or unread */
    size_t size;
    uint64_t sent, arrived, read;
    struct parcel parcel[PARCEL_COUNT_MAX]; /* a ring */
    unsigned first, count;
    uint64_t carried_ms; /* the line has carried all by then */
    uint64_t last_ms;    /* when the last of it will arrive */
    bool end_sent, end_arrived;
    uint64_t end_ms;
    bool deaf; /* nothing arrives any more */
    struct net_plan plan;
    uint8_t tail[NET_MARK_SIZE - 1]; /* the last octets sent: what is looked for may be cut */
    size_t tail_size;
};

struct link {
    struct net_setup setup;
    struct way way[2]; /* NET_UP is what the subscriber sends */
    bool closed[2];
    bool lingers_not[2];   /* its closing is a reset */
    bool broken[2];        /* that end knows that it is */
    uint64_t broken_ms[2]; /* when it will; UINT64_MAX: never */
    struct net_watch watch;
    char who[24];
};

static struct link links[NET_LINK_COUNT_MAX];
static unsigned link_count;   /* of this seed */
static unsigned first_number; /* of its first: numbers are never given twice */
static unsigned alive[NET_LINK_COUNT_MAX];
static unsigned alive_count; /* those of which some end is open */
static uint64_t moved;

void net_begin(void)
{
    net_wipe();
    first_number += link_count;
    if (first_number > (1U << 29)) /* for descriptors of 31 bits */
        first_number = 0;
    link_count = alive_count = 0;
}

static void link_free(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        free(link->way[i].ring);
        link->way[i].ring = NULL;
    }
}

void net_wipe(void)
{
    for (unsigned i = 0; i < link_count; i++)
        link_free(&links[i]);
}

/* The connection of a descriptor that is open. */
static struct link *link_of(int fd, int *side)
{
    const unsigned number = ((unsigned)fd - NET_FD_FIRST) / 2 - first_number;

    *side = (fd - NET_FD_FIRST) % 2;
    if (!net_is(fd) || number >= link_count || links[number].closed[*side])
        sim_fail("descriptor %d is used, which is not open", fd);
    return &links[number];
}

static int fd_of(const struct link *link, int side)
{
    return (int)(NET_FD_FIRST + 2 * (first_number + (unsigned)(link - links))) + side;
}

void net_connect(const struct net_setup *setup, const char *who, int fd[2])
{
    struct link *link = &links[link_count];

    if (link_count == NET_LINK_COUNT_MAX)
        sim_fail("%d connections were not enough", NET_LINK_COUNT_MAX);
    memset(link, 0, sizeof *link);
    link->setup = *setup;
    for (int i = 0; i < 2; i++) {
        link->way[i].size = setup->size[i];
        link->way[i].plan = setup->plan[i];
        link->way[i].ring = malloc(setup->size[i]);
        sim_need(link->way[i].ring != NULL);
        link->broken_ms[i] = UINT64_MAX;
        fd[i] = fd_of(link, i);
    }
    strncpy(link->who, who, sizeof link->who - 1);
    alive[alive_count++] = link_count++;
}

/* What a side sends, and what it receives. */
static struct way *from(struct link *link, int side)
{
    return &link->way[side];
}

static struct way *to(struct link *link, int side)
{
    return &link->way[1 - side];
}

/* --- faults ---------------------------------------------------------------------------------- */

/* That end will hear, after a while, that the connection is broken. */
static void break_for(struct link *link, int side, uint64_t delay_ms)
{
    if (link->broken_ms[side] > sim.now_ms + delay_ms)
        link->broken_ms[side] = sim.now_ms + delay_ms;
}

static void drop_parcels(struct way *way)
{
    way->count = 0;
    way->end_ms = UINT64_MAX;
}

static void both_deaf(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        link->way[i].deaf = true;
        drop_parcels(&link->way[i]);
    }
}

const char *net_fault_name(enum net_fault fault)
{
    static const char *const names[NET_FAULT_COUNT] = { "fine", "flip", "stall", "reset",
                                                        "end",  "half", "deaf",  "dead" };

    return names[fault];
}

/* What is to happen when way has got so far. */
static void strike(struct link *link, int sender)
{
    struct way *way = from(link, sender);
    const enum net_fault fault = way->plan.fault;

    sim_trace("%s: %s at octet %llu %s the server", link->who, net_fault_name(fault),
              (unsigned long long)way->arrived, sender == SUBSCRIBER ? "to" : "from");
    way->plan.fault = NET_FINE;
    switch (fault) {
    case NET_FLIP:
        way->ring[way->plan.at % way->size] ^= (uint8_t)(1U << (way->plan.more & 7));
        sim.flips++;
        break;
    case NET_STALL:
        for (unsigned i = 0; i < way->count; i++)
            way->parcel[(way->first + i) % PARCEL_COUNT_MAX].at_ms += way->plan.more;
        way->last_ms = sim.now_ms + way->plan.more;
        break;
    case NET_RESET:
        both_deaf(link);
        break_for(link, SUBSCRIBER, 0);
        break_for(link, SERVER, 0);
        break;
    case NET_END:
        both_deaf(link);
        link->way[0].end_ms = link->way[1].end_ms = sim.now_ms;
        break;
    case NET_HALF:
        both_deaf(link);
        break_for(link, sender, 0);
        break;
    case NET_DEAF:
        way->deaf = true;
        drop_parcels(way);
        break;
    case NET_DEAD:
        both_deaf(link);
        break;
    case NET_FINE:
    case NET_FAULT_COUNT:
        break;
    }
}

void net_kill(int fd)
{
    int side;

    both_deaf(link_of(fd, &side));
}

void net_mend(void)
{
    for (unsigned i = 0; i < link_count; i++) {
        links[i].way[0].plan.fault = NET_FINE;
        links[i].way[1].plan.fault = NET_FINE;
    }
}

/* --- sending --------------------------------------------------------------------------------- */

/* What is marked is known to the two ends of a call alone. */
static void watch_wire(struct link *link, struct way *way, const uint8_t *octets, size_t size)
{
    uint8_t seam[2 * NET_MARK_SIZE];
    const size_t head = size < NET_MARK_SIZE - 1 ? size : NET_MARK_SIZE - 1;

    memcpy(seam, way->tail, way->tail_size);
    memcpy(seam + way->tail_size, octets, head);
    if (memmem(seam, way->tail_size + head, content_mark, NET_MARK_SIZE) ||
        memmem(octets, size, content_mark, NET_MARK_SIZE))
        sim_fail("%s: plaintext on the wire, about octet %llu", link->who,
                 (unsigned long long)way->sent);
    if (size < sizeof way->tail) {
        const size_t keep =
            sizeof way->tail - size < way->tail_size ? sizeof way->tail - size : way->tail_size;

        memmove(way->tail, way->tail + way->tail_size - keep, keep);
        memcpy(way->tail + keep, octets, size);
        way->tail_size = keep + size;
        return;
    }
    memcpy(way->tail, octets + size - sizeof way->tail, sizeof way->tail);
    way->tail_size = sizeof way->tail;
}

static void ring_write(struct way *way, const uint8_t *octets, size_t size)
{
    const size_t at = (size_t)(way->sent % way->size);
    const size_t part = size < way->size - at ? size : way->size - at;

    memcpy(way->ring + at, octets, part);
    memcpy(way->ring, octets + part, size - part);
}

static void dispatch(struct link *link, struct way *way, size_t size)
{
    struct parcel *parcel;
    uint64_t at_ms = sim.now_ms;

    if (link->setup.rate > 0) {
        if (way->carried_ms < at_ms)
            way->carried_ms = at_ms;
        way->carried_ms += size * 1000 / link->setup.rate;
        at_ms = way->carried_ms;
    }
    at_ms += link->setup.latency_ms;
    if (link->setup.jitter_ms > 0)
        at_ms += sim_dice(link->setup.jitter_ms + 1);
    if (at_ms < way->last_ms)
        at_ms = way->last_ms;
    way->last_ms = at_ms;
    if (way->count > 0) {
        parcel = &way->parcel[(way->first + way->count - 1) % PARCEL_COUNT_MAX];
        if (way->count == PARCEL_COUNT_MAX || parcel->at_ms == at_ms) {
            *parcel = (struct parcel) { way->sent, at_ms };
            return;
        }
    }
    parcel = &way->parcel[(way->first + way->count++) % PARCEL_COUNT_MAX];
    *parcel = (struct parcel) { way->sent, at_ms };
}

ssize_t net_send(int fd, const void *octets, size_t size)
{
    int side;
    struct link *link = link_of(fd, &side);
    struct way *way = from(link, side);
    const size_t room = way->size - (size_t)(way->sent - way->read);

    if (link->broken[side] || way->end_sent) {
        errno = link->broken[side] ? ECONNRESET : EPIPE;
        return -1;
    }
    if (size > room)
        size = room;
    if (size == 0) {
        errno = EAGAIN;
        return -1;
    }
    watch_wire(link, way, octets, size);
    ring_write(way, octets, size);
    way->sent += size;
    moved += size;
    if (!way->deaf)
        dispatch(link, way, size);
    return (ssize_t)size;
}

int net_shutdown(int fd)
{
    int side;
    struct link *link = link_of(fd, &side);
    struct way *way = from(link, side);

    if (link->broken[side]) {
        errno = ENOTCONN;
        return -1;
    }
    if (way->end_sent)
        return 0;
    way->end_sent = true;
    way->end_ms = sim.now_ms + link->setup.latency_ms;
    if (way->end_ms < way->last_ms)
        way->end_ms = way->last_ms;
    if (way->deaf)
        way->end_ms = UINT64_MAX;
    return 0;
}

/* --- receiving ------------------------------------------------------------------------------- */

ssize_t net_recv(int fd, void *octets, size_t size, bool peek)
{
    int side;
    struct link *link = link_of(fd, &side);
    struct way *way = to(link, side);
    size_t have = (size_t)(way->arrived - way->read);
    size_t at = (size_t)(way->read % way->size);
    size_t part;

    if (have > 0) {
        if (size > have)
            size = have;
        if (!peek && link->setup.slice > 0 && size > link->setup.slice)
            size = link->setup.slice;
        part = size < way->size - at ? size : way->size - at;
        memcpy(octets, way->ring + at, part);
        memcpy((uint8_t *)octets + part, way->ring, size - part);
        way->read += peek ? 0 : size;
        moved += peek ? 0 : size;
        return (ssize_t)size;
    }
    if (way->end_arrived)
        return 0;
    errno = link->broken[side] ? ECONNRESET : EAGAIN;
    return -1;
}

unsigned net_ready(int fd)
{
    int side;
    struct link *link = link_of(fd, &side);
    const struct way *in = to(link, side);
    const struct way *out = from(link, side);
    unsigned events = 0;

    if (in->arrived > in->read || in->end_arrived || link->broken[side])
        events |= NET_IN;
    if (in->end_arrived || link->broken[side])
        events |= NET_ENDED;
    if (out->sent - out->read < out->size || link->broken[side])
        events |= NET_OUT;
    if (link->broken[side] || (in->end_arrived && out->end_sent))
        events |= NET_BROKEN;
    return events;
}

/* --- closing --------------------------------------------------------------------------------- */

static void reset_other(struct link *link, int side)
{
    if (from(link, side)->deaf)
        return;
    drop_parcels(from(link, side));
    break_for(link, 1 - side, link->setup.latency_ms);
}

static void leave(struct link *link, int side)
{
    link->closed[side] = true;
    if (side == SERVER)
        link->watch = (struct net_watch) { 0 };
    if (link->closed[0] && link->closed[1])
        link_free(link);
}

int net_close(int fd)
{
    int side;
    struct link *link = link_of(fd, &side);

    if (!link->broken[side] &&
        (link->lingers_not[side] || to(link, side)->arrived > to(link, side)->read))
        reset_other(link, side); /* what was not read will not be */
    else
        (void)net_shutdown(fd);
    leave(link, side);
    return 0;
}

void net_linger_not(int fd)
{
    int side;
    struct link *link = link_of(fd, &side);

    link->lingers_not[side] = true;
}

void net_abort(int fd)
{
    net_linger_not(fd);
    (void)net_close(fd);
}

/* --- time ------------------------------------------------------------------------------------ */

/* What has come for one that has closed is answered by a reset. */
static void come(struct link *link, int sender, uint64_t until)
{
    struct way *way = from(link, sender);

    way->arrived = until;
    if (!link->closed[1 - sender])
        return;
    way->read = until;
    if (!to(link, sender)->deaf)
        break_for(link, sender, link->setup.latency_ms);
}

/* One parcel, or as much of it as comes before a fault. */
static void arrive(struct link *link, int sender)
{
    struct way *way = from(link, sender);
    struct parcel *parcel = &way->parcel[way->first];
    const bool struck = way->plan.fault != NET_FINE && way->plan.at < parcel->end;

    if (!struck || way->plan.fault == NET_FLIP) {
        const uint64_t until = parcel->end;

        way->first = (way->first + 1) % PARCEL_COUNT_MAX;
        way->count--;
        if (struck)
            strike(link, sender);
        come(link, sender, until);
        return;
    }
    if (way->plan.at > way->arrived)
        come(link, sender, way->plan.at);
    strike(link, sender);
}

static void way_advance(struct link *link, int sender)
{
    struct way *way = from(link, sender);

    while (way->count > 0 && way->parcel[way->first].at_ms <= sim.now_ms)
        arrive(link, sender);
    if ((way->end_sent || way->deaf) && !way->end_arrived && way->count == 0 &&
        way->end_ms <= sim.now_ms && way->end_ms != 0)
        way->end_arrived = true;
}

void net_advance(void)
{
    for (unsigned i = 0; i < alive_count; i++) {
        struct link *link = &links[alive[i]];

        if (link->closed[0] && link->closed[1]) {
            alive[i--] = alive[--alive_count];
            continue;
        }
        for (int side = 0; side < 2; side++)
            way_advance(link, side);
        for (int side = 0; side < 2; side++) {
            if (link->broken_ms[side] > sim.now_ms || link->broken[side])
                continue;
            link->broken[side] = true;
            drop_parcels(from(link, side));
        }
    }
}

uint64_t net_due_ms(void)
{
    uint64_t due_ms = UINT64_MAX;

    for (unsigned i = 0; i < alive_count; i++) {
        const struct link *link = &links[alive[i]];

        for (int side = 0; side < 2; side++) {
            const struct way *way = &link->way[side];

            if (way->count > 0 && way->parcel[way->first].at_ms < due_ms)
                due_ms = way->parcel[way->first].at_ms;
            if ((way->end_sent || way->deaf) && way->end_ms != 0 && !way->end_arrived &&
                way->count == 0 && way->end_ms < due_ms)
                due_ms = way->end_ms;
            if (!link->broken[side] && link->broken_ms[side] < due_ms)
                due_ms = link->broken_ms[side];
        }
    }
    return due_ms;
}

unsigned net_line_count(void)
{
    return link_count;
}

uint64_t net_octets(unsigned i, enum net_way way)
{
    return i < link_count ? links[i].way[way].arrived : 0;
}

uint64_t net_moved(void)
{
    return moved;
}

struct net_watch *net_watch_of(int fd)
{
    int side;

    return &link_of(fd, &side)->watch;
}

int net_server_end(unsigned i)
{
    for (unsigned at = 0; at < alive_count; at++) {
        const struct link *link = &links[alive[at]];

        if (!link->closed[SERVER] && i-- == 0)
            return fd_of(link, SERVER);
    }
    return -1;
}
