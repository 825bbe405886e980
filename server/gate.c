#include "gate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blocklist.h"
#include "blocks.h"
#include "log.h"
#include "people.h"
#include "switchboard.h"

enum {
    OUT_SIZE = 4 * CN_ADMISSION_SIZE, /* messages that a line may be slow to take */
    PROLOGUE_HEAD_SIZE = 2,
    CLOSING_TIMEOUT_MS = 5000,
    HELD_GRACE_MS = 1000, /* that who waits for a slow partner outlasts it */
    ENTRY_LISTS_MAX = 256 /* lines at once whose entries come in several messages */
};

enum line_state {
    LINE_FREE = 0,
    LINE_HELLO,    /* nothing admitted yet */
    LINE_REGISTER, /* the verdict has been sent */
    LINE_WAITING,
    LINE_JOINED, /* JOINED has been sent; READY is awaited */
    LINE_LENGTH, /* READY came; the length of the prologue is awaited */
    LINE_PROLOGUE,
    LINE_HELD, /* its prologue is here; its partner's is awaited */
    LINE_PASSING,
    LINE_CLOSING, /* what is to be said is being said */
    LINE_STATE_COUNT
};

struct line {
    struct cn_watch watch; /* first: ready() gets back from it */
    struct cn_timer timer;
    struct cn_gate *gate;
    enum line_state state;
    struct cn_waiter waiter;
    struct cn_admission_line keys;
    uint64_t serial;
    uint64_t not_after;
    uint32_t owner;              /* UINT32_MAX until registered */
    bool pending;                /* counts against its address */
    bool counts_as_waiting;      /* in its owner */
    uint32_t tags;               /* that count in its owner */
    bool bound;                  /* JOINED was sent: it waits under entry alone from now on */
    bool wants_out;              /* epoll waits for room to write */
    struct cn_entry entry;       /* that it was joined under */
    struct line *partner;        /* while joined */
    uint64_t waits_until_ms;     /* the end of its waiting time */
    uint64_t prologue_until_ms;  /* once JOINED */
    struct sockaddr_in6 address; /* while pending; IPv4 fits too */
    uint8_t *in;                 /* block: a message not yet whole; NULL mostly */
    size_t in_size;
    uint8_t *out; /* block: what could not be sent at once; NULL mostly */
    size_t out_begin, out_end;
    struct cn_entry *entries; /* block: of REGISTER or UPDATE with more to come */
    size_t entry_count;
    uint8_t *prologue; /* block: length and prologue */
    size_t prologue_size;
    size_t passed; /* of the partner's prologue, sent to this line */
    struct line *next, *before;
};

struct cn_gate {
    struct cn_gate_setup setup;
    struct cn_config config;
    struct cn_operator_public operators[CN_OPERATOR_COUNT_MAX];
    size_t operator_count;
    struct cn_blocklist blocked;
    struct cn_switchboard board;
    struct cn_people people;
    struct cn_blocks lines;
    struct cn_blocks messages;
    struct cn_blocks prologues;
    struct cn_blocks entry_lists;
    struct cn_switch *sw;
    struct line *first;
    uint64_t count[CN_GATE_COUNT_COUNT];
    uint32_t in_state[LINE_STATE_COUNT];
    uint32_t pending; /* lines that have not registered */
    void (*room)(void *context);
    void *room_context;
};

static const char *const count_names[CN_GATE_COUNT_COUNT] = {
    [CN_GATE_ACCEPTED] = "accepted",
    [CN_GATE_DROPPED_PENDING] = "dropped_pending",
    [CN_GATE_DROPPED_ADDRESS] = "dropped_address",
    [CN_GATE_BAD_HELLO] = "bad_hello",
    [CN_GATE_HELLO_TIMEOUT] = "hello_timeout",
    [CN_GATE_ADMITTED] = "admitted",
    [CN_GATE_REFUSED_EXPIRED] = "refused_expired",
    [CN_GATE_REFUSED_NOT_YET_VALID] = "refused_not_yet_valid",
    [CN_GATE_REFUSED_REVOKED] = "refused_revoked",
    [CN_GATE_REFUSED_SUSPENDED] = "refused_suspended",
    [CN_GATE_REFUSED_OVER_LIMIT] = "refused_over_limit",
    [CN_GATE_BAD_MESSAGE] = "bad_message",
    [CN_GATE_REPLACED] = "replaced",
    [CN_GATE_OVERDUE] = "overdue",
    [CN_GATE_READY_TIMEOUT] = "ready_timeout",
    [CN_GATE_PROLOGUE_TIMEOUT] = "prologue_timeout",
    [CN_GATE_BAD_PROLOGUE] = "bad_prologue",
    [CN_GATE_LOST] = "lost",
    [CN_GATE_JOINED] = "joined",
    [CN_GATE_HANDED_OVER] = "handed_over",
    [CN_GATE_CUT] = "cut",
};

const char *cn_gate_count_name(enum cn_gate_count count)
{
    assert(count < CN_GATE_COUNT_COUNT);
    return count_names[count];
}

static const enum cn_gate_count refusal_counts[CN_VERDICT_COUNT] = {
    [CN_VERDICT_EXPIRED] = CN_GATE_REFUSED_EXPIRED,
    [CN_VERDICT_NOT_YET_VALID] = CN_GATE_REFUSED_NOT_YET_VALID,
    [CN_VERDICT_REVOKED] = CN_GATE_REFUSED_REVOKED,
    [CN_VERDICT_SUSPENDED] = CN_GATE_REFUSED_SUSPENDED,
    [CN_VERDICT_OVER_LIMIT] = CN_GATE_REFUSED_OVER_LIMIT,
};

static uint64_t utc_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec;
}

static uint64_t now_ms(const struct cn_gate *gate)
{
    return gate->setup.loop->now_ms;
}

/* With log_addresses: what became of a connection. */
static void log_address(const struct cn_gate *gate, enum cn_gate_count why,
                        const struct sockaddr *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    const void *octets = address->sa_family == AF_INET6 ? (const void *)&six->sin6_addr
                                                        : (const void *)&four->sin_addr;

    if (!gate->config.log_addresses)
        return;
    (void)inet_ntop(address->sa_family, octets, host, sizeof host);
    cn_log("connection", "outcome=%s address=%s", cn_gate_count_name(why), host);
}

/* --- life of a line ------------------------------------------------------------------------- */

/* The only writer of line->state. */
static void enter(struct line *line, enum line_state state)
{
    line->gate->in_state[line->state]--;
    line->state = state;
    line->gate->in_state[state]++;
}

static void timer_set(struct line *line, uint64_t seconds)
{
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, now_ms(line->gate) + seconds * 1000);
}

static void pending_end(struct line *line)
{
    if (!line->pending)
        return;
    line->pending = false;
    line->gate->pending--;
    cn_people_source_give(&line->gate->people, (const struct sockaddr *)&line->address);
}

static struct cn_owner *owner_of(struct line *line)
{
    return &line->gate->people.owners[line->owner];
}

static void waiting_end(struct line *line)
{
    if (!line->counts_as_waiting)
        return;
    line->counts_as_waiting = false;
    owner_of(line)->waiting--;
    owner_of(line)->tags -= line->tags;
    line->tags = 0;
}

/* Everything but the descriptor. */
static void line_forget(struct line *line)
{
    struct cn_gate *gate = line->gate;

    cn_loop_remove(gate->setup.loop, &line->watch);
    cn_loop_timer_clear(gate->setup.loop, &line->timer);
    cn_switchboard_leave(&gate->board, &line->waiter);
    pending_end(line);
    waiting_end(line);
    cn_blocks_give(&gate->messages, line->in);
    cn_blocks_give(&gate->messages, line->out);
    cn_blocks_give(&gate->prologues, line->prologue);
    cn_blocks_give(&gate->entry_lists, line->entries);
    if (line->next)
        line->next->before = line->before;
    if (line->before)
        line->before->next = line->next;
    else
        gate->first = line->next;
    gate->in_state[line->state]--;
    cn_wipe(line, sizeof *line);
    cn_blocks_give(&gate->lines, line);
    if (gate->room)
        gate->room(gate->room_context);
}

static void partner_returns(struct line *line);

static void line_close(struct line *line, enum cn_gate_count why);

static void line_end(struct line *line)
{
    struct cn_gate *gate = line->gate;
    struct line *partner = line->partner;
    int fd = line->watch.fd;

    waiting_end(line);
    if (line->owner != UINT32_MAX)
        cn_people_owner_give(&gate->people, line->owner);
    if (partner)
        partner->partner = NULL;
    /* the partner of one who fails comes to no harm, unless part of a prologue has reached it */
    if (partner && partner->state != LINE_PASSING)
        partner_returns(partner);
    else if (partner)
        line_close(partner, CN_GATE_LOST);
    line_forget(line);
    close(fd);
}

static void line_close(struct line *line, enum cn_gate_count why)
{
    line->gate->count[why]++;
    if (line->pending)
        log_address(line->gate, why, (const struct sockaddr *)&line->address);
    line_end(line);
}

/* The connection ended, or broke. */
static void line_lost(struct line *line)
{
    if (line->state == LINE_CLOSING)
        line_end(line); /* why it closes has been counted */
    else
        line_close(line, line->state == LINE_HELLO ? CN_GATE_BAD_HELLO : CN_GATE_LOST);
}

/* --- saying --------------------------------------------------------------------------------- */

static void watch_for(struct line *line, bool in, bool out)
{
    uint32_t events = EPOLLRDHUP | (in ? EPOLLIN : 0U) | (out ? EPOLLOUT : 0U);

    line->wants_out = out;
    cn_loop_change(line->gate->setup.loop, &line->watch, events);
}

static bool reads(const struct line *line)
{
    return line->state < LINE_HELD;
}

/* Send what waits to be sent. False: the connection is broken. EAGAIN, EINTR: later. */
static bool flush(struct line *line)
{
    while (line->out_begin < line->out_end) {
        ssize_t sent = send(line->watch.fd, line->out + line->out_begin,
                            line->out_end - line->out_begin, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (sent < 0)
            return false;
        line->out_begin += (size_t)sent;
    }
    cn_blocks_give(&line->gate->messages, line->out);
    line->out = NULL;
    line->out_begin = line->out_end = 0;
    return true;
}

/* Send these octets, or keep what does not go at once. False: no room, or broken. */
static bool say_bytes(struct line *line, const uint8_t *bytes, size_t size)
{
    size_t sent = 0;

    if (!line->out) {
        ssize_t n = send(line->watch.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        sent = n > 0 ? (size_t)n : 0;
        if (sent == size)
            return true;
        line->out = cn_blocks_take(&line->gate->messages);
        line->out_begin = line->out_end = 0;
    }
    if (!line->out || OUT_SIZE - line->out_end < size - sent)
        return false;
    memcpy(line->out + line->out_end, bytes + sent, size - sent);
    line->out_end += size - sent;
    watch_for(line, reads(line), true);
    return true;
}

static bool say(struct line *line, const struct cn_admission_message *message)
{
    uint8_t out[CN_ADMISSION_SIZE];

    return cn_admission_seal(&line->keys, line->gate->setup.crypto, message, out) == CN_OK &&
           say_bytes(line, out, sizeof out);
}

/* Nothing more is listened to; what was said gets its time to go out. Who has not registered stays
 * pending until it has gone: a hello that is replayed must not win even that. */
static void close_gently(struct line *line, enum cn_gate_count why)
{
    struct cn_gate *gate = line->gate;

    if (!line->out) {
        (void)shutdown(line->watch.fd, SHUT_WR);
    }
    gate->count[why]++;
    if (line->pending)
        log_address(gate, why, (const struct sockaddr *)&line->address);
    cn_switchboard_leave(&gate->board, &line->waiter);
    waiting_end(line);
    enter(line, LINE_CLOSING);
    watch_for(line, true, line->out != NULL);
    cn_loop_timer_set(gate->setup.loop, &line->timer, now_ms(gate) + CLOSING_TIMEOUT_MS);
}

static void refuse(struct line *line, enum cn_verdict reason)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_REFUSED, .reason = reason };

    if (say(line, &m))
        close_gently(line, refusal_counts[reason]);
    else
        line_close(line, refusal_counts[reason]);
}

/* --- admission ------------------------------------------------------------------------------ */

static enum cn_verdict judge(const struct cn_gate *gate, const struct cn_certificate *certificate)
{
    const struct cn_blocked *blocked =
        cn_blocklist_find(&gate->blocked, certificate->serial, certificate->admission_key);
    uint64_t now = utc_s();

    if (blocked)
        return blocked->reason;
    if (now < certificate->not_before)
        return CN_VERDICT_NOT_YET_VALID;
    if (now >= certificate->not_after)
        return CN_VERDICT_EXPIRED;
    return CN_VERDICT_ADMITTED;
}

static void take_hello(struct line *line, const uint8_t in[CN_ADMISSION_SIZE])
{
    struct cn_gate *gate = line->gate;
    struct cn_admission_hello hello;
    struct cn_admission_verdict verdict = {
        .server_time = utc_s(),
        .tag_count_max = (uint16_t)gate->config.tags_per_line,
        .waiting_s = gate->config.waiting_time,
        .keep_alive_s = gate->config.keep_alive,
        .spread_s = gate->config.spread,
    };
    uint8_t ephemeral[CN_X25519_SIZE];
    uint8_t out[CN_ADMISSION_SIZE];
    enum cn_err err = cn_admission_hello_read(gate->setup.server, gate->operators,
                                              gate->operator_count, in, &hello);

    if (err != CN_OK) {
        line_close(line, CN_GATE_BAD_HELLO);
        return;
    }
    line->serial = hello.certificate.serial;
    line->not_after = hello.certificate.not_after;
    memcpy(line->waiter.admission_key, hello.certificate.admission_key, CN_X25519_SIZE);
    verdict.verdict = judge(gate, &hello.certificate);
    err = cn_random_fill(gate->setup.random, ephemeral, sizeof ephemeral);
    if (err == CN_OK)
        err = cn_admission_verdict_write(&hello, &verdict, ephemeral, out, &line->keys);
    cn_wipe(ephemeral, sizeof ephemeral);
    cn_admission_hello_wipe(&hello);
    if (err != CN_OK || !say_bytes(line, out, sizeof out))
        line_close(line, CN_GATE_LOST);
    else if (verdict.verdict != CN_VERDICT_ADMITTED)
        close_gently(line, refusal_counts[verdict.verdict]);
    else {
        enter(line, LINE_REGISTER);
        timer_set(line, gate->config.hello_timeout);
    }
}

/* --- joining -------------------------------------------------------------------------------- */

/* False: it cannot be told; it is to be closed. */
static bool tell_joined(struct line *line)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_JOINED,
                                            .entry_count = 1,
                                            .entry = { line->entry } };

    waiting_end(line);
    line->bound = true;
    line->prologue_until_ms =
        now_ms(line->gate) + (uint64_t)line->gate->config.prologue_timeout * 1000;
    enter(line, LINE_JOINED);
    timer_set(line, line->gate->config.ready_timeout);
    return say(line, &m);
}

static struct line *line_of(struct cn_waiter *waiter)
{
    return (struct line *)(void *)((char *)waiter - offsetof(struct line, waiter));
}

static struct cn_entry opposite_of(const struct cn_entry *entry)
{
    struct cn_entry other = *entry;

    other.mode = entry->mode == CN_MODE_OUTPUT ? CN_MODE_INPUT : CN_MODE_OUTPUT;
    return other;
}

static void pass_prologues(struct line *line);

/* How long a line that has said all waits for its partner's prologue. It is not the one to be late:
 * so it outlasts its partner, and without one it has the time over again. */
static void held_plan(struct line *line)
{
    uint64_t due = now_ms(line->gate) + (uint64_t)line->gate->config.prologue_timeout * 1000;

    if (line->partner)
        due = line->partner->prologue_until_ms + HELD_GRACE_MS;
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, due);
}

/* line and the match's partner belong together from now on. False: there was nobody to be told at
 * the partner's end; it is gone, and line, which has heard nothing, is to look for another. */
static bool join(struct line *line, const struct cn_match *match)
{
    struct line *partner = line_of(match->partner);

    line->entry = match->entry;
    partner->entry = opposite_of(&match->entry);
    if (!partner->bound && !tell_joined(partner)) {
        line_close(partner, CN_GATE_LOST);
        return false;
    }
    line->gate->count[CN_GATE_JOINED]++;
    line->partner = partner;
    partner->partner = line;
    if (!line->bound && !tell_joined(line)) {
        line_close(line, CN_GATE_LOST);
        return true;
    }
    if (partner->state == LINE_HELD)
        held_plan(partner);
    if (line->state == LINE_HELD)
        held_plan(line);
    if (line->state == LINE_HELD && partner->state == LINE_HELD)
        pass_prologues(line);
    return true;
}

/* When a waiting line is to be looked at again: overdue, out of time, or certificate over. */
static void waiting_plan(struct line *line)
{
    uint64_t now = utc_s();
    uint64_t valid_s = line->not_after > now ? line->not_after - now : 0;
    uint64_t due = line->waiter.alive_until_ms;

    /* alive_until_ms is hours away at most, so that a later end need not be computed */
    if (valid_s < UINT32_MAX && now_ms(line->gate) + valid_s * 1000 < due)
        due = now_ms(line->gate) + valid_s * 1000;
    if (line->waits_until_ms < due)
        due = line->waits_until_ms;
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, due);
}

/* A line whose partner failed goes back to the head of its queue, and keeps what it has said. */
static void partner_returns(struct line *line)
{
    struct cn_gate *gate = line->gate;
    struct cn_match match;
    enum cn_err err;

    assert(line->bound);
    if (line->state == LINE_HELD)
        held_plan(line);
    line->waiter.alive_until_ms = line->timer.due_ms;
    do {
        err =
            cn_switchboard_return(&gate->board, &line->waiter, &line->entry, now_ms(gate), &match);
    } while (err == CN_OK && match.partner && !join(line, &match));
    if (err != CN_OK)
        line_close(line, CN_GATE_REFUSED_OVER_LIMIT);
}

static void on_replaced(void *context, struct cn_waiter *old)
{
    (void)context;
    line_close(line_of(old), CN_GATE_REPLACED);
}

static void heard(struct line *line)
{
    uint64_t keep_alive_ms = (uint64_t)line->gate->config.keep_alive * 1000;

    line->waiter.alive_until_ms = now_ms(line->gate) + 2 * keep_alive_ms + 1000;
}

/* The first REGISTER is what admits: everything before could be a replay. */
static void become_owner(struct line *line)
{
    struct cn_gate *gate = line->gate;

    pending_end(line);
    line->owner = cn_people_owner_take(&gate->people, line->waiter.admission_key, line->serial);
    assert(line->owner != UINT32_MAX); /* as many as there are lines */
    gate->count[CN_GATE_ADMITTED]++;
    log_address(gate, CN_GATE_ADMITTED, (const struct sockaddr *)&line->address);
    if (gate->config.waiting_time > 0)
        line->waits_until_ms = now_ms(gate) + (uint64_t)gate->config.waiting_time * 1000;
    if (gate->config.log_subscribers)
        cn_log("admitted", "serial=%llu", (unsigned long long)line->serial);
}

/* Whether its subscriber may have this line wait, under the tags that it has now. */
static bool has_allowance(struct line *line)
{
    const struct cn_config *c = &line->gate->config;
    const struct cn_owner *owner = owner_of(line);

    return owner->waiting + !line->counts_as_waiting <= c->lines_per_subscriber &&
           owner->tags - line->tags + line->waiter.seat_count <= c->tags_per_subscriber;
}

static void register_entries(struct line *line, const struct cn_entry *entries, size_t count)
{
    const struct cn_admission_message waiting = { .type = CN_ADMISSION_WAITING };
    struct cn_gate *gate = line->gate;
    bool first = line->state == LINE_REGISTER;
    struct cn_match match;

    if (first)
        become_owner(line);
    heard(line);
    do {
        if (cn_switchboard_register(&gate->board, &line->waiter, entries, count, now_ms(gate),
                                    on_replaced, gate, &match) != CN_OK) {
            refuse(line, CN_VERDICT_OVER_LIMIT);
            return;
        }
    } while (match.partner && !join(line, &match));
    if (match.partner)
        return;
    if (!has_allowance(line)) {
        refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    if (first) {
        line->counts_as_waiting = true;
        owner_of(line)->waiting++;
        enter(line, LINE_WAITING);
    }
    owner_of(line)->tags += line->waiter.seat_count - line->tags;
    line->tags = line->waiter.seat_count;
    waiting_plan(line);
    if (first && !say(line, &waiting))
        line_close(line, CN_GATE_LOST);
}

/* REGISTER or UPDATE: entries may come in several messages. */
static void take_entries(struct line *line, const struct cn_admission_message *m)
{
    struct cn_gate *gate = line->gate;
    size_t count = line->entry_count + m->entry_count;
    struct cn_entry *list;

    if (count > gate->config.tags_per_line) {
        refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    if (!m->more && line->entry_count == 0) {
        register_entries(line, m->entry, m->entry_count);
        return;
    }
    if (!line->entries)
        line->entries = cn_blocks_take(&gate->entry_lists);
    if (!line->entries) {
        refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    memcpy(line->entries + line->entry_count, m->entry, m->entry_count * sizeof m->entry[0]);
    line->entry_count = count;
    if (m->more)
        return;
    list = line->entries;
    line->entries = NULL;
    line->entry_count = 0;
    register_entries(line, list, count);
    cn_blocks_give(&gate->entry_lists, list);
}

static void take_keep_alive(struct line *line, const struct cn_admission_message *m)
{
    /* between the parts of an UPDATE it would let a list be held for ever */
    if (line->entry_count > 0) {
        line_close(line, CN_GATE_BAD_MESSAGE);
        return;
    }
    heard(line);
    waiting_plan(line);
    /* one that does not read what it is sent gets no more of it */
    if (!line->out && !say(line, m))
        line_close(line, CN_GATE_LOST);
}

/* UPDATE and KEEP_ALIVE that crossed JOINED mean nothing any more. */
static void take_crossing(struct line *line, const struct cn_admission_message *m)
{
    (void)line;
    (void)m;
}

static void take_ready(struct line *line, const struct cn_admission_message *m)
{
    (void)m;
    enter(line, LINE_LENGTH);
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, line->prologue_until_ms);
}

typedef void taker(struct line *line, const struct cn_admission_message *m);

/* What may be said in which state; whatever is absent ends the line. */
static taker *const takers[LINE_STATE_COUNT][CN_ADMISSION_TYPE_COUNT] = {
    [LINE_REGISTER][CN_ADMISSION_REGISTER] = take_entries,

    [LINE_WAITING][CN_ADMISSION_UPDATE] = take_entries,
    [LINE_WAITING][CN_ADMISSION_KEEP_ALIVE] = take_keep_alive,

    [LINE_JOINED][CN_ADMISSION_UPDATE] = take_crossing,
    [LINE_JOINED][CN_ADMISSION_KEEP_ALIVE] = take_crossing,
    [LINE_JOINED][CN_ADMISSION_READY] = take_ready,
};

static void take_message(struct line *line, const uint8_t in[CN_ADMISSION_SIZE])
{
    struct cn_admission_message m;
    taker *take = NULL;

    if (cn_admission_open(&line->keys, line->gate->setup.crypto, in, &m) == CN_OK)
        take = takers[line->state][m.type];
    if (take)
        take(line, &m);
    else
        line_close(line, CN_GATE_BAD_MESSAGE);
}

/* --- prologues ------------------------------------------------------------------------------ */

static void hand_over(struct line *line)
{
    struct cn_gate *gate = line->gate;
    struct line *both[2] = { line, line->partner };
    struct cn_switch_end end[2];

    for (int i = 0; i < 2; i++) {
        end[i] = (struct cn_switch_end) { both[i]->watch.fd, both[i]->owner };
        cn_loop_remove(gate->setup.loop, &both[i]->watch);
    }
    if (cn_switch_join(gate->sw, end) != CN_OK) {
        line->partner->partner = NULL;
        line_close(line->partner, CN_GATE_LOST);
        line->partner = NULL;
        line_close(line, CN_GATE_LOST);
        return;
    }
    gate->count[CN_GATE_HANDED_OVER]++;
    for (int i = 0; i < 2; i++) {
        owner_of(both[i])->joined++; /* its line is counted until the switch reports the end */
        both[i]->watch.fd = -1;
        both[i]->owner = UINT32_MAX;
        both[i]->partner = NULL;
        line_forget(both[i]);
    }
}

/* Send the partner's prologue on to this line. False: this line is gone. */
static bool pass_some(struct line *line)
{
    const struct line *from = line->partner;

    while (!line->out && line->passed < from->prologue_size) {
        ssize_t sent = send(line->watch.fd, from->prologue + line->passed,
                            from->prologue_size - line->passed, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            line_close(line, CN_GATE_LOST);
            return false;
        }
        line->passed += (size_t)sent;
    }
    watch_for(line, false, line->out || line->passed < from->prologue_size);
    return true;
}

static bool passed_all(const struct line *line)
{
    return !line->out && line->passed == line->partner->prologue_size;
}

static void pass_prologues(struct line *line)
{
    struct line *partner = line->partner;

    enter(line, LINE_PASSING);
    enter(partner, LINE_PASSING);
    timer_set(line, line->gate->config.prologue_timeout);
    timer_set(partner, line->gate->config.prologue_timeout);
    if (pass_some(line) && pass_some(partner) && passed_all(line) && passed_all(partner))
        hand_over(line);
}

static void take_length(struct line *line, const uint8_t in[PROLOGUE_HEAD_SIZE])
{
    struct cn_gate *gate = line->gate;
    size_t size = (size_t)in[0] << 8 | in[1];

    if (size == 0 || size > gate->config.prologue_size_max ||
        size > gate->prologues.size - PROLOGUE_HEAD_SIZE) {
        line_close(line, CN_GATE_BAD_PROLOGUE);
        return;
    }
    line->prologue = cn_blocks_take(&gate->prologues);
    if (!line->prologue) {
        line_close(line, CN_GATE_REFUSED_OVER_LIMIT);
        return;
    }
    memcpy(line->prologue, in, PROLOGUE_HEAD_SIZE);
    line->in_size = PROLOGUE_HEAD_SIZE; /* counts what is in prologue from here on */
    line->prologue_size = PROLOGUE_HEAD_SIZE + size;
    enter(line, LINE_PROLOGUE);
}

static void prologue_whole(struct line *line)
{
    enter(line, LINE_HELD);
    held_plan(line);
    watch_for(line, false, line->out != NULL);
    if (line->partner && line->partner->state == LINE_HELD)
        pass_prologues(line);
}

/* --- reading -------------------------------------------------------------------------------- */

enum progress { WENT_ON, BLOCKED, GONE };

/* The size of the message that is read in this state. */
static size_t message_size(const struct line *line)
{
    return line->state == LINE_LENGTH ? PROLOGUE_HEAD_SIZE : CN_ADMISSION_SIZE;
}

static void dispatch(struct line *line, const uint8_t *in)
{
    switch (line->state) {
    case LINE_HELLO:
        take_hello(line, in);
        break;
    case LINE_REGISTER:
    case LINE_WAITING:
    case LINE_JOINED:
        take_message(line, in);
        break;
    case LINE_LENGTH:
        take_length(line, in);
        break;
    case LINE_FREE:
    case LINE_PROLOGUE:
    case LINE_HELD:
    case LINE_PASSING:
    case LINE_CLOSING:
    case LINE_STATE_COUNT:
        assert(false && "not a state that reads messages");
    }
}

/* Receive into to; never a single octet more than asked for. */
static enum progress receive(struct line *line, uint8_t *to, size_t size, size_t *got)
{
    ssize_t n = recv(line->watch.fd, to, size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return BLOCKED;
    if (n <= 0) {
        line_lost(line);
        return GONE;
    }
    *got = (size_t)n;
    return WENT_ON;
}

/* Read one message, or a part of it: whole ones pass through the stack, parts are kept in a block.
 */
static enum progress read_message(struct line *line)
{
    struct cn_gate *gate = line->gate;
    uint8_t whole[CN_ADMISSION_SIZE];
    size_t size = message_size(line);
    size_t got = 0;
    enum progress progress;

    if (line->in)
        memcpy(whole, line->in, line->in_size);
    progress = receive(line, whole + line->in_size, size - line->in_size, &got);
    if (progress != WENT_ON)
        return progress;
    if (line->in_size + got < size) {
        if (!line->in)
            line->in = cn_blocks_take(&gate->messages);
        if (!line->in) {
            line_close(line, CN_GATE_DROPPED_PENDING);
            return GONE;
        }
        memcpy(line->in + line->in_size, whole + line->in_size, got);
        line->in_size += got;
        return WENT_ON;
    }
    cn_blocks_give(&gate->messages, line->in);
    line->in = NULL;
    line->in_size = 0;
    dispatch(line, whole);
    return GONE; /* perhaps: the line may be closed, so look no further in this turn */
}

static enum progress read_prologue(struct line *line)
{
    size_t got = 0;
    enum progress progress =
        receive(line, line->prologue + line->in_size, line->prologue_size - line->in_size, &got);

    if (progress != WENT_ON)
        return progress;
    line->in_size += got;
    if (line->in_size < line->prologue_size)
        return WENT_ON;
    line->in_size = 0;
    prologue_whole(line);
    return GONE;
}

/* A closing line's last words are thrown away, so that its close is no reset; a few in each turn,
 * however many it has. */
static enum progress read_nothing(struct line *line)
{
    uint8_t rest[4 * CN_ADMISSION_SIZE];
    size_t got;

    (void)receive(line, rest, sizeof rest, &got);
    return GONE; /* perhaps */
}

static void readable(struct line *line)
{
    enum progress progress = WENT_ON;

    while (progress == WENT_ON) {
        if (line->state == LINE_PROLOGUE)
            progress = read_prologue(line);
        else if (line->state == LINE_CLOSING)
            progress = read_nothing(line);
        else if (reads(line))
            progress = read_message(line);
        else
            break;
    }
}

/* True: the line is still there. */
static bool writable(struct line *line)
{
    if (!flush(line)) {
        line_close(line, CN_GATE_LOST);
        return false;
    }
    if (line->out)
        return true;
    if (line->state == LINE_CLOSING)
        (void)shutdown(line->watch.fd, SHUT_WR);
    if (line->state == LINE_PASSING) {
        if (!pass_some(line))
            return false;
        if (passed_all(line) && passed_all(line->partner)) {
            hand_over(line);
            return false;
        }
        return true;
    }
    watch_for(line, reads(line) || line->state == LINE_CLOSING, false);
    return true;
}

static void line_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct line *line = (struct line *)(void *)watch;

    if (epoll_events & EPOLLOUT && !writable(line))
        return;
    if (epoll_events & (EPOLLERR | EPOLLHUP) ||
        (epoll_events & EPOLLRDHUP && !reads(line) && line->state != LINE_CLOSING)) {
        line_lost(line);
        return;
    }
    if (epoll_events & (EPOLLIN | EPOLLRDHUP))
        readable(line);
}

static void line_timer(struct cn_timer *timer)
{
    static const enum cn_gate_count reasons[LINE_STATE_COUNT] = {
        [LINE_HELLO] = CN_GATE_HELLO_TIMEOUT,     [LINE_REGISTER] = CN_GATE_HELLO_TIMEOUT,
        [LINE_WAITING] = CN_GATE_OVERDUE,         [LINE_JOINED] = CN_GATE_READY_TIMEOUT,
        [LINE_LENGTH] = CN_GATE_PROLOGUE_TIMEOUT, [LINE_PROLOGUE] = CN_GATE_PROLOGUE_TIMEOUT,
        [LINE_HELD] = CN_GATE_PROLOGUE_TIMEOUT,   [LINE_PASSING] = CN_GATE_PROLOGUE_TIMEOUT,
    };
    struct line *line = (struct line *)(void *)((char *)timer - offsetof(struct line, timer));

    if (line->state == LINE_WAITING && utc_s() >= line->not_after)
        refuse(line, CN_VERDICT_EXPIRED);
    else if (line->state == LINE_CLOSING)
        line_end(line);
    else
        line_close(line, reasons[line->state]);
}

/* --- accepting ------------------------------------------------------------------------------ */

bool cn_gate_has_room(const struct cn_gate *gate)
{
    return gate->lines.used + 2 * cn_switch_counts(gate->sw)->pairs < gate->setup.lines_max;
}

/* Beyond half of what may be pending, drop at random, the more the fuller: a flood then cannot keep
 * everybody else out, as it could if only the late were dropped. */
static bool drop_early(struct cn_gate *gate)
{
    uint32_t half = gate->config.pending_max / 2;
    uint32_t pending = gate->pending;
    uint8_t dice = 0;

    if (pending >= gate->config.pending_max)
        return true;
    if (pending <= half)
        return false;
    if (cn_random_fill(gate->setup.random, &dice, 1) != CN_OK)
        return true;
    return (uint64_t)dice * (gate->config.pending_max - half) < (uint64_t)256 * (pending - half);
}

static bool may_enter(struct cn_gate *gate, const struct sockaddr *address)
{
    if (drop_early(gate)) {
        gate->count[CN_GATE_DROPPED_PENDING]++;
        log_address(gate, CN_GATE_DROPPED_PENDING, address);
        return false;
    }
    if (cn_people_source_lines(&gate->people, address) >= gate->config.pending_per_address) {
        gate->count[CN_GATE_DROPPED_ADDRESS]++;
        log_address(gate, CN_GATE_DROPPED_ADDRESS, address);
        return false;
    }
    return cn_gate_has_room(gate);
}

static void address_keep(struct line *line, const struct sockaddr *address)
{
    size_t size =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    memcpy(&line->address, address, size);
    cn_people_source_take(&line->gate->people, address);
    line->pending = true;
    line->gate->pending++;
}

void cn_gate_accept(struct cn_gate *gate, int fd, const struct sockaddr *address)
{
    const int on = 1;
    struct line *line;

    gate->count[CN_GATE_ACCEPTED]++;
    line = may_enter(gate, address) ? cn_blocks_take(&gate->lines) : NULL;
    if (!line) {
        close(fd);
        return;
    }
    memset(line, 0, sizeof *line);
    line->watch = (struct cn_watch) { fd, line_ready };
    line->timer.fire = line_timer;
    line->gate = gate;
    line->owner = UINT32_MAX;
    line->waits_until_ms = UINT64_MAX;
    if (cn_loop_add(gate->setup.loop, &line->watch, EPOLLIN | EPOLLRDHUP) != CN_OK) {
        cn_blocks_give(&gate->lines, line);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* best effort */
    if (gate->config.congestion_control[0])
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, gate->config.congestion_control,
                         (socklen_t)strlen(gate->config.congestion_control));
    address_keep(line, address);
    line->next = gate->first;
    if (gate->first)
        gate->first->before = line;
    gate->first = line;
    gate->in_state[LINE_FREE]++; /* enter takes it from there */
    enter(line, LINE_HELLO);
    timer_set(line, gate->config.hello_timeout);
}

void cn_gate_on_room(struct cn_gate *gate, void (*room)(void *context), void *context)
{
    gate->room = room;
    gate->room_context = context;
}

/* --- the gate as a whole -------------------------------------------------------------------- */

/* All that the gate hears of a pair that it handed over. */
static void on_ended(void *context, const uint32_t owner[2], const uint64_t bytes[2],
                     enum cn_switch_outcome outcome)
{
    static const char *const outcomes[CN_SWITCH_OUTCOME_COUNT] = {
        [CN_SWITCH_DONE] = "done",       [CN_SWITCH_BROKEN] = "broken", [CN_SWITCH_IDLE] = "idle",
        [CN_SWITCH_STALLED] = "stalled", [CN_SWITCH_CUT] = "cut",
    };
    struct cn_gate *gate = context;
    char who[96] = "";

    if (gate->config.log_subscribers)
        snprintf(who, sizeof who, " serials=%llu,%llu",
                 (unsigned long long)gate->people.owners[owner[0]].serial,
                 (unsigned long long)gate->people.owners[owner[1]].serial);
    cn_log("ended", "outcome=%s bytes=%llu,%llu%s", outcomes[outcome], (unsigned long long)bytes[0],
           (unsigned long long)bytes[1], who);
    for (int i = 0; i < 2; i++) {
        gate->people.owners[owner[i]].joined--;
        cn_people_owner_give(&gate->people, owner[i]);
    }
    if (gate->room)
        gate->room(gate->room_context);
}

static struct cn_switch_limits switch_limits(const struct cn_gate *gate)
{
    return (struct cn_switch_limits) {
        .pairs_max = gate->setup.lines_max / 2 + 1,
        .owner_max = gate->setup.lines_max,
        .pipes_max = gate->config.pipes_max,
        .turn_size = gate->config.turn_size,
        .idle_ms = (uint64_t)gate->config.idle_timeout * 1000,
        .stall_ms = (uint64_t)gate->config.stall_timeout * 1000,
        .owner_rate = gate->config.rate_per_subscriber,
    };
}

enum cn_err cn_gate_create(struct cn_gate **gate, const struct cn_gate_setup *setup)
{
    struct cn_gate *g = calloc(1, sizeof *g);
    struct cn_switch_limits limits;
    enum cn_err err;

    if (!g)
        return CN_E_MEMORY;
    g->setup = *setup;
    g->config = *setup->config;
    limits = switch_limits(g);
    err = cn_switchboard_init(&g->board, g->config.tags_max, setup->random);
    if (err == CN_OK)
        err = cn_people_init(&g->people, setup->lines_max, setup->random);
    if (err == CN_OK)
        err = cn_blocks_init(&g->lines, sizeof(struct line), setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->messages, OUT_SIZE, setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->prologues, PROLOGUE_HEAD_SIZE + g->config.prologue_size_max,
                             setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->entry_lists, g->config.tags_per_line * sizeof(struct cn_entry),
                             ENTRY_LISTS_MAX);
    if (err == CN_OK)
        err = cn_switch_create(&g->sw, setup->loop, &limits, on_ended, g);
    if (err != CN_OK) {
        cn_gate_destroy(g);
        return err;
    }
    *gate = g;
    return CN_OK;
}

void cn_gate_destroy(struct cn_gate *gate)
{
    if (!gate)
        return;
    gate->room = NULL;
    while (gate->first) {
        struct line *line = gate->first;

        if (line->partner)
            line->partner->partner = NULL;
        line->partner = NULL;
        line_close(line, CN_GATE_CUT);
    }
    cn_switch_destroy(gate->sw);
    cn_switchboard_wipe(&gate->board);
    cn_people_wipe(&gate->people);
    cn_blocks_wipe(&gate->lines);
    cn_blocks_wipe(&gate->messages);
    cn_blocks_wipe(&gate->prologues);
    cn_blocks_wipe(&gate->entry_lists);
    cn_blocklist_wipe(&gate->blocked);
    free(gate);
}

void cn_gate_configure(struct cn_gate *gate, const struct cn_config *config)
{
    struct cn_config c = *config;
    struct cn_switch_limits limits;

    if (c.tags_per_line * sizeof(struct cn_entry) > gate->entry_lists.size)
        c.tags_per_line = (uint32_t)(gate->entry_lists.size / sizeof(struct cn_entry));
    gate->config = c;
    limits = switch_limits(gate);
    cn_switch_limits_set(gate->sw, &limits);
}

static uint32_t cut_blocked(struct cn_gate *gate)
{
    uint32_t cut = 0;
    struct line *line = gate->first;

    while (line) {
        struct line *next = line->next;

        if (line->state > LINE_HELLO && line->state < LINE_CLOSING &&
            cn_blocklist_find(&gate->blocked, line->serial, line->waiter.admission_key)) {
            line_close(line, CN_GATE_CUT);
            cut++;
            next = gate->first; /* closing one may have closed or moved others */
        }
        line = next;
    }
    for (uint32_t i = 0; i < gate->people.owner_max; i++) {
        const struct cn_owner *owner = &gate->people.owners[i];

        if (owner->joined > 0 &&
            cn_blocklist_find(&gate->blocked, owner->serial, owner->admission_key)) {
            uint32_t pairs = cn_switch_cut(gate->sw, i);

            gate->count[CN_GATE_CUT] += pairs;
            cut += pairs;
        }
    }
    return cut;
}

enum cn_err cn_gate_registry(struct cn_gate *gate, const struct cn_settings *settings,
                             const struct cn_blocked *blocked, size_t blocked_count, uint32_t *cut)
{
    enum cn_err err = cn_blocklist_set(&gate->blocked, blocked, blocked_count);

    if (err != CN_OK)
        return err;
    memcpy(gate->operators, settings->operators, sizeof gate->operators);
    gate->operator_count = settings->operator_count;
    *cut = cut_blocked(gate);
    return CN_OK;
}

void cn_gate_goaway(struct cn_gate *gate)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_GOAWAY,
                                            .spread_s = gate->config.spread };
    struct line *line = gate->first;

    while (line) {
        struct line *next = line->next;

        if (line->state == LINE_HELLO) {
            line_close(line, CN_GATE_CUT); /* too late to begin */
        } else if (line->state == LINE_WAITING || line->state == LINE_REGISTER) {
            if (say(line, &m))
                close_gently(line, CN_GATE_CUT);
            else
                line_close(line, CN_GATE_CUT);
        }
        line = next;
    }
}

uint32_t cn_gate_busy(const struct cn_gate *gate)
{
    return gate->lines.used + cn_switch_counts(gate->sw)->pairs;
}

void cn_gate_status(const struct cn_gate *gate, struct cn_gate_status *status)
{
    *status = (struct cn_gate_status) {
        .lines = gate->lines.used,
        .pending = gate->pending,
        .waiting = gate->in_state[LINE_WAITING],
        .joining = gate->in_state[LINE_JOINED] + gate->in_state[LINE_LENGTH] +
                   gate->in_state[LINE_PROLOGUE] + gate->in_state[LINE_HELD] +
                   gate->in_state[LINE_PASSING],
        .calls = *cn_switch_counts(gate->sw),
    };
    memcpy(status->count, gate->count, sizeof status->count);
}

bool cn_gate_next_owner(const struct cn_gate *gate, uint32_t *number, uint64_t *serial,
                        uint32_t *waiting, uint32_t *joined)
{
    for (; *number < gate->people.owner_max; ++*number) {
        const struct cn_owner *owner = &gate->people.owners[*number];

        if (owner->lines == 0)
            continue;
        *serial = owner->serial;
        *waiting = owner->waiting;
        *joined = owner->joined;
        ++*number;
        return true;
    }
    return false;
}

bool cn_gate_turn(struct cn_gate *gate)
{
    return cn_switch_turn(gate->sw);
}
