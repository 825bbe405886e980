/* The partner of a tunnel opens streams of any kind with anything, says anything on them in any
 * pieces, and takes what it likes, while programs here send and receive datagrams. Each stream is
 * owned or given up, once; what a program gets is what was said between two heads, whole; what the
 * partner gets is one whole datagram after another, in the order in which they came, though some
 * may be lost; and in the end nothing is counted or held. Connections, whose octets are not looked
 * at, and doors are not made. The input is what happens, one octet for what and one for which
 * stream, source or flow; see `steps`. */
#include "fuzz.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "connect.h"
#include "stream.h"
#include "tunnel/datagrams.h"

enum {
    LINE_COUNT = 16,
    SOURCE_COUNT = 4,
    STEP_COUNT_MAX = 512,
    SAID_SIZE_MAX = 1 << 17,
    TAKEN_SIZE_MAX = 1 << 20,
    DATAGRAM_COUNT_MAX = 256, /* a datagram holds its number in each octet */
    DOOR_NUMBER = 7
};

/* A stream, and what its two ends know of it. */
struct line {
    struct cn_stream stream; /* only the name of it: nothing in there is used */
    bool used, released, reset, ended, ours;
    uint8_t kind;
    uint8_t parameters[256];
    size_t parameters_size;
    void *user;
    uint8_t said[SAID_SIZE_MAX]; /* by the partner */
    size_t said_size, read_size;
    size_t heard_size;             /* of that, what programs have got, with heads */
    uint8_t taken[TAKEN_SIZE_MAX]; /* by the partner */
    size_t taken_size, room;
    int program; /* the other end of its socket; -1: none */
};

static struct line lines[LINE_COUNT];
static struct cn_tunnel tunnel;
static struct cn_tunnel_room room;
static struct cn_door door;
static struct cn_tunnel_event told;
static int sources[SOURCE_COUNT];
static uint64_t clock_ms;
static size_t datagram_sizes[DATAGRAM_COUNT_MAX];
static size_t datagram_count;
static enum cn_err reach_err;
static int reached_socket;

static struct line *line_of(const struct cn_stream *stream)
{
    struct line *l = (struct line *)(uintptr_t)stream;

    must(l->used && !l->released);
    return l;
}

/* --- streams -------------------------------------------------------------------------------- */

static struct line *line_new(uint8_t kind)
{
    for (struct line *l = lines; l < lines + LINE_COUNT; l++) {
        if (l->used)
            continue;
        l->used = true;
        l->kind = kind;
        return l;
    }
    return NULL;
}

uint8_t cn_stream_kind(const struct cn_stream *stream)
{
    return line_of(stream)->kind;
}

const void *cn_stream_parameters(const struct cn_stream *stream, size_t *size)
{
    *size = line_of(stream)->parameters_size;
    return line_of(stream)->parameters;
}

void cn_stream_set_user(struct cn_stream *stream, void *user)
{
    line_of(stream)->user = user;
}

size_t cn_stream_write(struct cn_stream *stream, const void *data, size_t size)
{
    struct line *l = line_of(stream);
    const size_t left = sizeof l->taken - l->taken_size;
    size_t done = size < l->room ? size : l->room;

    done = done < left ? done : left;
    memcpy(l->taken + l->taken_size, data, done);
    l->taken_size += done;
    l->room -= done;
    return done;
}

size_t cn_stream_read(struct cn_stream *stream, void *data, size_t size)
{
    struct line *l = line_of(stream);
    const size_t left = l->said_size - l->read_size;
    const size_t done = size < left ? size : left;

    memcpy(data, l->said + l->read_size, done);
    l->read_size += done;
    return done;
}

enum cn_stream_state cn_stream_state(const struct cn_stream *stream)
{
    const struct line *l = line_of(stream);

    if (l->reset)
        return CN_STREAM_RESET;
    return l->ended && l->read_size == l->said_size ? CN_STREAM_ENDED : CN_STREAM_OPEN;
}

void cn_stream_progress(const struct cn_stream *stream, struct cn_stream_progress *progress)
{
    const struct line *l = line_of(stream);

    *progress =
        (struct cn_stream_progress) { .written = l->taken_size, .received = l->taken_size / 2 };
}

void cn_stream_finish(struct cn_stream *stream)
{
    (void)line_of(stream);
}

void cn_stream_reset(struct cn_stream *stream, uint32_t code)
{
    (void)line_of(stream);
    must(code < CN_TUNNEL_OUTCOME_COUNT);
}

void cn_stream_release(struct cn_stream *stream)
{
    line_of(stream)->released = true;
}

void cn_stream_hold_little(struct cn_stream *stream, uint64_t most)
{
    (void)line_of(stream);
    must(most > 0);
}

/* --- the other parts of a tunnel ------------------------------------------------------------ */

uint64_t cn_connect_clock_ms(void)
{
    return clock_ms;
}

bool cn_call_is_caller(const struct cn_call *call)
{
    (void)call;
    return false;
}

struct cn_tunnel_event *cn_tunnel_tell(struct cn_tunnel *t, enum cn_tunnel_event_type type,
                                       const struct cn_terminus *address)
{
    char text[CN_TERMINUS_TEXT_SIZE];

    must(t == &tunnel && type == CN_TUNNEL_EVENT_REFUSED);
    must(strlen(cn_terminus_text(address, text)) > 0);
    return &told;
}

void cn_tunnel_due(struct cn_tunnel *t, uint64_t at_ms)
{
    must(t == &tunnel && at_ms >= clock_ms);
}

void cn_tunnel_drop_stream(struct cn_stream *stream, enum cn_tunnel_outcome code)
{
    cn_stream_reset(stream, (uint32_t)code);
    cn_stream_release(stream);
}

enum cn_tunnel_outcome cn_tunnel_stream_outcome(const struct cn_stream *stream)
{
    return line_of(stream)->reset ? CN_TUNNEL_BROKEN : CN_TUNNEL_GIVEN_UP;
}

enum cn_err cn_tunnel_stream_open(struct cn_tunnel *t, enum cn_tunnel_kind kind,
                                  const struct cn_terminus *place, const uint32_t *number,
                                  struct cn_owner *owner, struct cn_stream **stream)
{
    struct line *l = line_new((uint8_t)kind);

    must(t == &tunnel && kind == CN_TUNNEL_DATAGRAMS && place && !number);
    if (!l)
        return CN_E_LIMIT;
    l->ours = true;
    l->user = owner;
    *stream = &l->stream;
    return CN_OK;
}

void cn_connection_reach(struct cn_tunnel *t, struct cn_stream *stream,
                         const struct cn_terminus *to, bool back)
{
    must(t == &tunnel && to->form != CN_TERMINUS_UDP && back);
    cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
}

struct cn_door *cn_door_find(struct cn_tunnel *t, enum cn_door_kind kind, uint32_t number)
{
    static struct cn_stream asked;
    static struct cn_door back = { .to = { CN_TERMINUS_UDP, 9, "localhost" }, .stream = &asked };

    must(t == &tunnel);
    return kind == CN_DOOR_BACK && number == DOOR_NUMBER ? &back : NULL;
}

void cn_door_lend(struct cn_tunnel *t, struct cn_stream *stream, uint32_t number,
                  const struct cn_terminus *at)
{
    must(t == &tunnel && number <= UINT32_MAX && strlen(at->name) > 0);
    cn_tunnel_drop_stream(stream, CN_TUNNEL_TAKEN);
}

void cn_reach_start(struct cn_reach *reach, const struct cn_terminus *place, uint64_t now_ms)
{
    must(place->form == CN_TERMINUS_UDP && place->port > 0 && now_ms == clock_ms);
    reach->outcome = CN_TUNNEL_UNREACHABLE;
}

enum cn_err cn_reach_step(struct cn_reach *reach, uint64_t now_ms)
{
    (void)reach;
    must(now_ms == clock_ms);
    return reach_err;
}

int cn_reach_take(struct cn_reach *reach)
{
    int ends[2];

    (void)reach;
    must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    reached_socket = ends[1];
    return ends[0];
}

void cn_reach_end(struct cn_reach *reach)
{
    must(reach->outcome == CN_TUNNEL_UNREACHABLE);
}

/* --- programs ------------------------------------------------------------------------------- */

/* What the partner has said next, between two heads, is what a program gets. A partner that answers
 * begins with a status. */
static void hear_one(struct line *l, const uint8_t *got, size_t size)
{
    const uint8_t *head;

    if (l->ours && l->heard_size == 0)
        must(l->said[l->heard_size++] == 0);
    head = l->said + l->heard_size;
    must(l->read_size - l->heard_size >= 2 + size);
    must(((size_t)head[0] << 8 | head[1]) == size && memcmp(head + 2, got, size) == 0);
    l->heard_size += 2 + size;
}

static void hear(struct line *l, int program)
{
    static uint8_t got[UINT16_MAX + 1];
    ssize_t size;

    while (program >= 0 && (size = recv(program, got, sizeof got, MSG_DONTWAIT)) >= 0)
        hear_one(l, got, (size_t)size);
}

/* A source has one flow at a time, and so one stream of ours: the last. */
static struct line *line_of_source(size_t source)
{
    for (size_t i = LINE_COUNT; i > 0; i--) {
        if (lines[i - 1].used && lines[i - 1].ours && lines[i - 1].program == sources[source])
            return &lines[i - 1];
    }
    return NULL;
}

static void hear_all(void)
{
    for (struct line *l = lines; l < lines + LINE_COUNT; l++) {
        if (l->used && !l->ours)
            hear(l, l->program);
    }
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        if (line_of_source(i))
            hear(line_of_source(i), sources[i]);
    }
}

/* All octets of it are its number. */
static void datagram_send(int from, const struct sockaddr_un *to, socklen_t to_size, size_t size)
{
    static uint8_t octets[UINT16_MAX];

    if (datagram_count == DATAGRAM_COUNT_MAX)
        return;
    memset(octets, (int)datagram_count, size);
    if (sendto(from, octets, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
               to_size) >= 0)
        datagram_sizes[datagram_count++] = size;
}

/* One whole datagram after another, but for the last, in the order of their numbers. */
static void check_taken(const struct line *l)
{
    struct cn_reader r = { .at = l->taken, .left = l->taken_size };
    size_t last = 0;

    if (!l->ours)
        must(l->taken_size == 0 || cn_reader_u8(&r) == 0);
    while (r.left > 2) {
        const size_t size = cn_reader_u16be(&r);
        const size_t there = size < r.left ? size : r.left;
        const uint8_t *octets = cn_reader_take(&r, there);

        if (size == 0 || !octets)
            continue;
        must(octets[0] >= last && octets[0] < datagram_count && datagram_sizes[octets[0]] == size);
        last = octets[0];
        for (size_t i = 1; i < there; i++)
            must(octets[i] == octets[0]);
    }
}

/* --- what happens --------------------------------------------------------------------------- */

static void tell_owner(struct line *l)
{
    struct cn_owner *owner = l->released ? NULL : l->user;

    if (owner && owner->take)
        owner->take(owner, NULL);
}

static void open_step(struct line *unused, uint8_t kind, struct cn_reader *r)
{
    const size_t wanted = cn_reader_u8(r);
    const size_t size = wanted < r->left ? wanted : r->left;
    struct line *l = line_new(kind);

    (void)unused;
    if (!l)
        return;
    cn_reader_copy(r, l->parameters, size);
    l->parameters_size = size;
    l->room = 1;
    reached_socket = -1;
    cn_answer(&tunnel, &l->stream);
    l->program = reached_socket;
    must(l->released || l->user);
}

static void say_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    const size_t left = sizeof l->said - l->said_size;
    size_t size = much < r->left ? much : r->left;

    size = size < left ? size : left;
    if (!l->used || l->released || l->ended || l->reset)
        return;
    cn_reader_copy(r, l->said + l->said_size, size);
    l->said_size += size;
    tell_owner(l);
}

/* As many octets as only large datagrams have. */
static void say_much_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    const size_t size = (size_t)much * 257;

    (void)r;
    if (!l->used || l->released || l->ended || l->reset || size > sizeof l->said - l->said_size)
        return;
    memset(l->said + l->said_size, much, size);
    l->said_size += size;
    tell_owner(l);
}

static void end_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    (void)r;
    if (!l->used || l->released)
        return;
    l->ended = true;
    l->reset = l->reset || much % 2 == 1;
    tell_owner(l);
}

static void take_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    (void)r;
    l->room += (size_t)much * much;
    tell_owner(l);
}

static void program_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    (void)r;
    if (l->used && !l->ours && l->program >= 0)
        datagram_send(l->program, NULL, 0, (size_t)much * much);
}

static void source_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    const size_t source = (size_t)(l - lines) % SOURCE_COUNT;
    const int socket_of_door = door.binding.socket[0];
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    bool before[LINE_COUNT];

    (void)r;
    for (size_t i = 0; i < LINE_COUNT; i++)
        before[i] = lines[i].used;
    must(getsockname(socket_of_door, (struct sockaddr *)&address, &size) == 0);
    datagram_send(sources[source], &address, size, (size_t)much * much);
    cn_flows_receive(door.flows, socket_of_door);
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (lines[i].used && !before[i])
            lines[i].program = sources[source];
    }
}

static void turn_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    struct epoll_event events[LINE_COUNT];
    int count = epoll_wait(tunnel.epoll, events, LINE_COUNT, 0);

    (void)l;
    (void)r;
    for (int i = 0; i < count; i++) {
        struct cn_watch *watch = events[i].data.ptr;

        if (watch->fd >= 0)
            watch->ready(watch, events[i].events);
    }
    clock_ms += (uint64_t)much * much * 4;
    (void)cn_flows_expire(&tunnel, clock_ms);
    cn_flows_sweep(&tunnel);
}

static void reach_step(struct line *l, uint8_t much, struct cn_reader *r)
{
    static const enum cn_err errs[] = { CN_OK, CN_E_UNREACHABLE, CN_E_MORE };

    (void)l;
    (void)r;
    reach_err = errs[much % 3];
}

static void (*const steps[])(struct line *l, uint8_t much, struct cn_reader *r) = {
    open_step,    say_step,    say_much_step, end_step,   take_step,
    program_step, source_step, turn_step,     reach_step,
};

/* --- all of it ------------------------------------------------------------------------------ */

static int datagram_socket(void)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    /* an address of no octets: the kernel finds one that is in no directory */
    must(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    return fd;
}

static void begin(void)
{
    static struct cn_owner nobody;

    for (struct line *l = lines; l < lines + LINE_COUNT; l++) {
        memset(l, 0, offsetof(struct line, said));
        l->said_size = l->read_size = l->heard_size = l->taken_size = l->room = 0;
        l->program = -1;
    }
    memset(&tunnel, 0, sizeof tunnel);
    memset(&room, 0, sizeof room);
    memset(&door, 0, sizeof door);
    clock_ms = 1000;
    datagram_count = 0;
    reach_err = CN_OK;
    tunnel.room = &room;
    tunnel.control_owner = tunnel.drain_owner = nobody;
    tunnel.epoll = epoll_create1(EPOLL_CLOEXEC);
    must(tunnel.epoll >= 0);
    must(cn_allow_add(&tunnel.allow, "udp:localhost:*") == CN_OK);
    must(cn_allow_add(&tunnel.allow, "localhost:1-9") == CN_OK);
    must(cn_allow_add_listening(&tunnel.allow_listening, "9") == CN_OK);
    door.tunnel = &tunnel;
    door.kind = CN_DOOR_DATAGRAMS;
    door.to = (struct cn_terminus) { CN_TERMINUS_UDP, 9, "localhost" };
    door.binding.count = 1;
    door.binding.socket[0] = datagram_socket();
    must(cn_flows_create(&door.flows, &door) == CN_OK);
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        sources[i] = datagram_socket();
}

static void end(void)
{
    cn_flows_cut(&tunnel);
    cn_flows_free(door.flows);
    cn_flows_sweep(&tunnel);
    must(room.flow_count == 0 && room.outstanding == 0 && room.waiting == 0);
    for (struct line *l = lines; l < lines + LINE_COUNT; l++) {
        if (!l->used)
            continue;
        if (l->kind == CN_TUNNEL_DATAGRAMS || l->kind == CN_TUNNEL_INCOMING) {
            must(l->released);
            check_taken(l);
        }
        if (!l->ours && l->program >= 0)
            close(l->program);
    }
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        close(sources[i]);
    close(door.binding.socket[0]);
    close(tunnel.epoll);
    cn_allow_wipe(&tunnel.allow);
    cn_allow_wipe(&tunnel.allow_listening);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };

    begin();
    for (int i = 0; i < STEP_COUNT_MAX && r.left > 0; i++) {
        const uint8_t what = cn_reader_u8(&r);
        const uint8_t which = what / (sizeof steps / sizeof steps[0]);
        const uint8_t much = cn_reader_u8(&r);

        steps[what % (sizeof steps / sizeof steps[0])](&lines[which % LINE_COUNT], much, &r);
        hear_all();
    }
    end();
    return 0;
}
