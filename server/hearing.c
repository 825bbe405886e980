#include "hearing.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "joining.h"
#include "log.h"

enum { MINUTE_MS = 60000, HELLOS_PER_TURN = 16 };

static uint64_t utc_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec;
}

/* --- admission ------------------------------------------------------------------------------ */

static enum cn_verdict judge(const struct cn_gate *gate, const struct cn_certificate *certificate,
                             uint64_t who)
{
    const struct cn_blocked *blocked = cn_blocklist_find(&gate->blocked, certificate->serial, who);
    uint64_t now = utc_s();

    if (blocked)
        return blocked->reason;
    if (now < certificate->not_before)
        return CN_VERDICT_NOT_YET_VALID;
    if (now >= certificate->not_after)
        return CN_VERDICT_EXPIRED;
    return CN_VERDICT_ADMITTED;
}

/* Who is, or could be admitted; nobody else has anything to gain from them. */
static bool hears_notices(enum cn_verdict verdict)
{
    return verdict == CN_VERDICT_ADMITTED || verdict == CN_VERDICT_EXPIRED ||
           verdict == CN_VERDICT_NOT_YET_VALID;
}

/* It ends when a hello that is not whole would, by the timer that runs, and stays pending: else the
 * size of a hello could be measured from outside. */
static void go_deaf(struct cn_line *line)
{
    line->gate->count[CN_GATE_BAD_HELLO]++;
    cn_line_log_address(line->gate, CN_GATE_BAD_HELLO, (const struct sockaddr *)&line->address);
    cn_line_enter(line, CN_LINE_DEAF);
}

static void take_hello(struct cn_line *line, const uint8_t in[CN_ADMISSION_SIZE])
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
    enum cn_err err = cn_admission_hello_read_checked(gate->setup.server, cn_verified_check,
                                                      &gate->verified, in, &hello);

    if (err != CN_OK) {
        go_deaf(line);
        return;
    }
    line->keep_alive_s = verdict.keep_alive_s;
    line->serial = hello.certificate.serial;
    line->not_after = hello.certificate.not_after;
    line->limits_class = hello.certificate.limits_class;
    memcpy(line->waiter.admission_key, hello.certificate.admission_key, CN_X25519_SIZE);
    err =
        cn_who(gate->setup.crypto, gate->setup.who_secret, line->waiter.admission_key, &line->who);
    verdict.verdict = judge(gate, &hello.certificate, line->who);
    if (hears_notices(verdict.verdict))
        verdict.notice_size =
            (uint16_t)cn_noticelist_pick(&gate->notices, &hello.certificate, verdict.notice);
    if (err == CN_OK)
        err = cn_random_fill(gate->setup.random, ephemeral, sizeof ephemeral);
    if (err == CN_OK)
        err = cn_admission_verdict_write(&hello, &verdict, ephemeral, out, &line->keys);
    cn_wipe(ephemeral, sizeof ephemeral);
    cn_admission_hello_wipe(&hello);
    if (err != CN_OK || !cn_line_say_octets(line, out, sizeof out))
        cn_line_close(line, CN_GATE_LOST);
    else if (verdict.verdict != CN_VERDICT_ADMITTED)
        cn_line_close_gently(line, cn_line_refusal_count(verdict.verdict));
    else {
        cn_line_enter(line, CN_LINE_REGISTER);
        cn_line_pending_begin(line, line->pending);
    }
}

/* --- registering ---------------------------------------------------------------------------- */

/* When a waiting line is to be looked at again: overdue, out of time, certificate or UPDATE over.
 */
static void waiting_plan(struct cn_line *line)
{
    uint64_t now = utc_s();
    uint64_t valid_s = line->not_after > now ? line->not_after - now : 0;
    uint64_t due = line->waiter.alive_until_ms;

    /* alive_until_ms is hours away at most, so that a later end need not be computed */
    if (valid_s < CN_OWNER_NONE && cn_gate_now_ms(line->gate) + valid_s * 1000 < due)
        due = cn_gate_now_ms(line->gate) + valid_s * 1000;
    if (line->waits_until_ms < due)
        due = line->waits_until_ms;
    if (line->entries && line->entries_until_ms < due)
        due = line->entries_until_ms;
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, due);
}

static void on_replaced(void *context, struct cn_waiter *old)
{
    struct cn_line *line = cn_line_of(old);

    (void)context;
    if (cn_line_hears(line))
        cn_line_refuse(line, CN_VERDICT_REPLACED);
    else /* it was joined before, and given back */
        cn_line_close(line, CN_GATE_REPLACED);
}

static void heard(struct cn_line *line)
{
    uint64_t keep_alive_ms = (uint64_t)line->keep_alive_s * 1000;

    line->waiter.alive_until_ms = cn_gate_now_ms(line->gate) + 2 * keep_alive_ms + 1000;
}

/* Of its owner's class, which is that of his line that came last. */
static struct cn_class_limits limits_of(struct cn_line *line)
{
    return cn_config_class(&line->gate->config, cn_line_owner(line)->limits_class);
}

/* The first REGISTER, or part of it, is what admits: everything before could be a replay. */
static bool become_owner(struct cn_line *line)
{
    struct cn_gate *gate = line->gate;

    cn_line_pending_end(line, CN_STANDING_KNOWN);
    line->owner = cn_owners_take(&gate->owners, line->who, line->serial);
    if (line->owner == CN_OWNER_NONE) { /* so many have calls that earlier gates handed over */
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return false;
    }
    cn_line_owner(line)->limits_class = line->limits_class;
    if (cn_line_owner(line)->lines > limits_of(line).lines_max_per_subscriber) {
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return false;
    }
    gate->count[CN_GATE_ADMITTED]++;
    cn_line_log_address(gate, CN_GATE_ADMITTED, (const struct sockaddr *)&line->address);
    if (gate->config.waiting_time > 0)
        line->waits_until_ms = cn_gate_now_ms(gate) + (uint64_t)gate->config.waiting_time * 1000;
    if (gate->config.log_subscribers)
        cn_log("admitted", "serial=%llu", (unsigned long long)line->serial);
    return true;
}

/* Whether its subscriber may have this line wait, under the tags that it has now. */
static bool has_allowance(struct cn_line *line)
{
    const struct cn_owner *owner = cn_line_owner(line);
    const struct cn_class_limits l = limits_of(line);

    return owner->waiting + !line->counts_as_waiting <= l.lines_per_subscriber &&
           owner->tags - line->tags + line->waiter.seat_count <= l.tags_per_subscriber;
}

/* So many UPDATEs a minute, and as many at once. */
static bool may_update(struct cn_line *line)
{
    uint64_t now_ms = cn_gate_now_ms(line->gate);

    if (line->updates_until_ms < now_ms)
        line->updates_until_ms = now_ms;
    line->updates_until_ms += MINUTE_MS / line->gate->config.updates_per_minute;
    return line->updates_until_ms <= now_ms + MINUTE_MS;
}

static void register_entries(struct cn_line *line, const struct cn_entry *entries, size_t count)
{
    const struct cn_admission_message waiting = { .type = CN_ADMISSION_WAITING };
    struct cn_gate *gate = line->gate;
    bool first = line->state == CN_LINE_REGISTER;
    struct cn_match match;

    if (!first && !may_update(line)) {
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    heard(line);
    do {
        if (cn_switchboard_register(&gate->board, &line->waiter, entries, count,
                                    cn_gate_now_ms(gate), on_replaced, gate, &match) != CN_OK) {
            cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
            return;
        }
    } while (match.partner && !cn_joining_begin(line, &match));
    if (match.partner)
        return;
    if (!has_allowance(line)) {
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    if (first) {
        line->counts_as_waiting = true;
        cn_line_owner(line)->waiting++;
        cn_line_enter(line, CN_LINE_WAITING);
    }
    cn_line_owner(line)->tags += line->waiter.seat_count - line->tags;
    line->tags = line->waiter.seat_count;
    waiting_plan(line);
    if (first && !cn_line_say(line, &waiting))
        cn_line_close(line, CN_GATE_LOST);
}

/* Whether there is a list for entries of which more are to come. There are few, so nobody has many.
 */
static bool list_take(struct cn_line *line)
{
    struct cn_gate *gate = line->gate;

    if (line->entries)
        return true;
    if (cn_line_owner(line)->lists < limits_of(line).lists_per_subscriber)
        line->entries = cn_blocks_take(&gate->entry_lists);
    if (!line->entries)
        return false;
    cn_line_owner(line)->lists++;
    line->entries_until_ms = cn_gate_now_ms(gate) + (uint64_t)gate->config.hello_timeout * 1000;
    if (line->state == CN_LINE_WAITING)
        waiting_plan(line); /* few lists, so they are not lent for long */
    return true;
}

/* REGISTER or UPDATE: entries may come in several messages. */
static void take_entries(struct cn_line *line, const struct cn_admission_message *m)
{
    struct cn_gate *gate = line->gate;
    size_t count = line->entry_count + m->entry_count;
    struct cn_entry *list;

    if (count > gate->config.tags_per_line) {
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    if (line->owner == CN_OWNER_NONE && !become_owner(line))
        return;
    if (!m->more && !line->entries) {
        register_entries(line, m->entry, m->entry_count);
        return;
    }
    if (!list_take(line)) {
        cn_line_refuse(line, CN_VERDICT_OVER_LIMIT);
        return;
    }
    memcpy(line->entries + line->entry_count, m->entry, m->entry_count * sizeof m->entry[0]);
    line->entry_count = count;
    if (m->more)
        return;
    list = line->entries;
    line->entries = NULL;
    line->entry_count = 0;
    cn_line_owner(line)->lists--;
    register_entries(line, list, count);
    cn_blocks_give(&gate->entry_lists, list);
}

static void take_keep_alive(struct cn_line *line, const struct cn_admission_message *m)
{
    /* between the parts of an UPDATE it would let a list be held for ever */
    if (line->entries) {
        cn_line_close(line, CN_GATE_BAD_MESSAGE);
        return;
    }
    heard(line);
    waiting_plan(line);
    /* one that does not read what it is sent gets no more of it */
    if (!line->out && !cn_line_say(line, m))
        cn_line_close(line, CN_GATE_LOST);
}

/* UPDATE and KEEP_ALIVE that crossed JOINED mean nothing any more. */
static void take_crossing(struct cn_line *line, const struct cn_admission_message *m)
{
    (void)line;
    (void)m;
}

static void take_ready(struct cn_line *line, const struct cn_admission_message *m)
{
    (void)m;
    cn_line_enter(line, CN_LINE_LENGTH);
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, line->prologue_until_ms);
}

typedef void taker(struct cn_line *line, const struct cn_admission_message *m);

/* What may be said in which state; whatever is absent ends the line. */
static taker *const takers[CN_LINE_STATE_COUNT][CN_ADMISSION_TYPE_COUNT] = {
    [CN_LINE_REGISTER][CN_ADMISSION_REGISTER] = take_entries,

    [CN_LINE_WAITING][CN_ADMISSION_UPDATE] = take_entries,
    [CN_LINE_WAITING][CN_ADMISSION_KEEP_ALIVE] = take_keep_alive,

    [CN_LINE_JOINED][CN_ADMISSION_UPDATE] = take_crossing,
    [CN_LINE_JOINED][CN_ADMISSION_KEEP_ALIVE] = take_crossing,
    [CN_LINE_JOINED][CN_ADMISSION_READY] = take_ready,
};

static void take_message(struct cn_line *line, const uint8_t in[CN_ADMISSION_SIZE])
{
    struct cn_admission_message m;
    taker *take = NULL;

    if (cn_admission_open(&line->keys, line->gate->setup.crypto, in, &m) == CN_OK)
        take = takers[line->state][m.type];
    if (take)
        take(line, &m);
    else
        cn_line_close(line, CN_GATE_BAD_MESSAGE);
}

/* --- reading -------------------------------------------------------------------------------- */

enum progress { WENT_ON, BLOCKED, GONE };

/* The size of the message that is read in this state. */
static size_t message_size(const struct cn_line *line)
{
    return line->state == CN_LINE_LENGTH ? CN_LINE_PROLOGUE_HEAD_SIZE : CN_ADMISSION_SIZE;
}

static void dispatch(struct cn_line *line, const uint8_t *in)
{
    switch (line->state) {
    case CN_LINE_HELLO:
        take_hello(line, in);
        break;
    case CN_LINE_REGISTER:
    case CN_LINE_WAITING:
    case CN_LINE_JOINED:
        take_message(line, in);
        break;
    case CN_LINE_LENGTH:
        cn_joining_take_length(line, in);
        break;
    case CN_LINE_FREE:
    case CN_LINE_PROLOGUE:
    case CN_LINE_HELD:
    case CN_LINE_PASSING:
    case CN_LINE_CLOSING:
    case CN_LINE_DEAF:
    case CN_LINE_STATE_COUNT:
        assert(false && "not a state that reads messages");
    }
}

/* Receive into to; never a single octet more than asked for. */
static enum progress receive(struct cn_line *line, uint8_t *to, size_t size, size_t *got)
{
    ssize_t n = recv(line->watch.fd, to, size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return BLOCKED;
    if (n <= 0) {
        cn_line_lost(line);
        return GONE;
    }
    *got = (size_t)n;
    return WENT_ON;
}

/* Read one message, or a part of it: whole ones pass through the stack, parts are kept in a block.
 */
static enum progress read_message(struct cn_line *line)
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
            line->in = cn_blocks_take(&gate->parts);
        if (!line->in) {
            cn_line_close(line, CN_GATE_DROPPED_PENDING);
            return GONE;
        }
        memcpy(line->in + line->in_size, whole + line->in_size, got);
        line->in_size += got;
        return WENT_ON;
    }
    cn_blocks_give(&gate->parts, line->in);
    line->in = NULL;
    line->in_size = 0;
    dispatch(line, whole);
    return GONE; /* perhaps: the line may be closed, so look no further in this turn */
}

static enum progress read_prologue(struct cn_line *line)
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
    cn_joining_prologue_whole(line);
    return GONE;
}

/* What is said is thrown away, so that the close is no reset; a little in each turn, however much
 * there is. */
static enum progress read_nothing(struct cn_line *line)
{
    uint8_t rest[4 * CN_ADMISSION_SIZE];
    size_t got;

    (void)receive(line, rest, sizeof rest, &got);
    return GONE; /* perhaps */
}

/* Those of one standing cannot take the time of those of another, nor of who has been admitted or
 * just comes. What has to wait is read in a later turn. */
static bool may_be_heard(struct cn_line *line)
{
    return line->state != CN_LINE_HELLO || line->pending->heard++ < HELLOS_PER_TURN;
}

static void readable(struct cn_line *line)
{
    enum progress progress = may_be_heard(line) ? WENT_ON : BLOCKED;

    while (progress == WENT_ON) {
        if (line->state == CN_LINE_PROLOGUE)
            progress = read_prologue(line);
        else if (cn_line_discards(line))
            progress = read_nothing(line);
        else if (cn_line_reads(line))
            progress = read_message(line);
        else
            break;
    }
}

/* True: the line is still there. */
static bool writable(struct cn_line *line)
{
    if (!cn_line_flush(line)) {
        cn_line_lost(line);
        return false;
    }
    if (line->out)
        return true;
    if (line->state == CN_LINE_CLOSING)
        (void)shutdown(line->watch.fd, SHUT_WR);
    if (line->state == CN_LINE_PASSING)
        return cn_joining_pass(line);
    cn_line_watch(line, cn_line_reads(line) || cn_line_discards(line), false);
    return true;
}

void cn_hearing_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct cn_line *line = (struct cn_line *)(void *)watch;

    if (epoll_events & EPOLLOUT && !writable(line))
        return;
    if (epoll_events & (EPOLLERR | EPOLLHUP) ||
        (epoll_events & EPOLLRDHUP && !cn_line_reads(line) && !cn_line_discards(line))) {
        cn_line_lost(line);
        return;
    }
    if (epoll_events & (EPOLLIN | EPOLLRDHUP))
        readable(line);
}

/* One of the ends that were planned for has come; or none, if the clock was set back. */
static void waiting_over(struct cn_line *line)
{
    uint64_t now_ms = cn_gate_now_ms(line->gate);

    if (now_ms >= line->waiter.alive_until_ms)
        cn_line_close(line, CN_GATE_OVERDUE);
    else if (utc_s() >= line->not_after)
        cn_line_refuse(line, CN_VERDICT_EXPIRED);
    else if (now_ms >= line->waits_until_ms)
        cn_line_send_away(line, 0, CN_GATE_WAITED_OUT); /* it may come back at once */
    else if (line->entries && now_ms >= line->entries_until_ms)
        cn_line_close(line, CN_GATE_OVERDUE);
    else
        waiting_plan(line);
}

void cn_hearing_timer(struct cn_timer *timer)
{
    static const enum cn_gate_count reasons[CN_LINE_STATE_COUNT] = {
        [CN_LINE_HELLO] = CN_GATE_HELLO_TIMEOUT,       [CN_LINE_REGISTER] = CN_GATE_HELLO_TIMEOUT,
        [CN_LINE_JOINED] = CN_GATE_READY_TIMEOUT,      [CN_LINE_LENGTH] = CN_GATE_PROLOGUE_TIMEOUT,
        [CN_LINE_PROLOGUE] = CN_GATE_PROLOGUE_TIMEOUT, [CN_LINE_HELD] = CN_GATE_PROLOGUE_TIMEOUT,
        [CN_LINE_PASSING] = CN_GATE_PROLOGUE_TIMEOUT,
    };
    struct cn_line *line =
        (struct cn_line *)(void *)((char *)timer - offsetof(struct cn_line, timer));

    if (line->state == CN_LINE_WAITING)
        waiting_over(line);
    else if (cn_line_discards(line))
        cn_line_end(line);
    else
        cn_line_close(line, reasons[line->state]);
}
