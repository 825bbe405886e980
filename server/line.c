#include "line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "joining.h"
#include "log.h"

enum { CLOSING_TIMEOUT_MS = 5000 };

enum cn_gate_count cn_line_refusal_count(enum cn_verdict reason)
{
    static const enum cn_gate_count counts[CN_VERDICT_COUNT] = {
        [CN_VERDICT_EXPIRED] = CN_GATE_REFUSED_EXPIRED,
        [CN_VERDICT_NOT_YET_VALID] = CN_GATE_REFUSED_NOT_YET_VALID,
        [CN_VERDICT_REVOKED] = CN_GATE_REFUSED_REVOKED,
        [CN_VERDICT_SUSPENDED] = CN_GATE_REFUSED_SUSPENDED,
        [CN_VERDICT_OVER_LIMIT] = CN_GATE_REFUSED_OVER_LIMIT,
        [CN_VERDICT_REPLACED] = CN_GATE_REPLACED,
    };

    return counts[reason];
}

void cn_line_log_address(const struct cn_gate *gate, enum cn_gate_count why,
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

void cn_line_enter(struct cn_line *line, enum cn_line_state state)
{
    line->gate->in_state[line->state]--;
    line->state = state;
    line->gate->in_state[state]++;
}

void cn_line_timer_set(struct cn_line *line, uint64_t seconds)
{
    cn_loop_timer_set(line->gate->setup.loop, &line->timer,
                      cn_gate_now_ms(line->gate) + seconds * 1000);
}

static void list_leave(struct cn_line *line)
{
    struct cn_pending *pending = line->pending;

    if (line->later)
        line->later->earlier = line->earlier;
    else
        pending->last = line->earlier;
    if (line->earlier)
        line->earlier->later = line->later;
    else
        pending->first = line->later;
    pending->count--;
    line->pending = NULL;
}

static void list_enter(struct cn_line *line, struct cn_pending *pending)
{
    line->pending = pending;
    line->later = NULL;
    line->earlier = pending->last;
    if (pending->last)
        pending->last->later = line;
    else
        pending->first = line;
    pending->last = line;
    pending->count++;
}

void cn_line_pending_begin(struct cn_line *line, struct cn_pending *pending)
{
    if (line->pending)
        list_leave(line);
    else
        cn_sources_take(&line->gate->sources, (const struct sockaddr *)&line->address);
    list_enter(line, pending);
    line->pending_since_ms = cn_gate_now_ms(line->gate);
    cn_line_timer_set(line, line->gate->config.hello_timeout);
}

void cn_line_pending_end(struct cn_line *line, enum cn_standing standing)
{
    const struct sockaddr *address = (const struct sockaddr *)&line->address;
    const struct cn_pending *pending = line->pending;

    if (!pending)
        return;
    list_leave(line);
    if (pending == &line->gate->leaving)
        return;
    cn_sources_give(&line->gate->sources, address);
    cn_sources_learn(&line->gate->sources, address, standing);
}

static void list_end(struct cn_line *line)
{
    if (!line->entries)
        return;
    cn_blocks_give(&line->gate->entry_lists, line->entries);
    line->entries = NULL;
    line->entry_count = 0;
    cn_line_owner(line)->lists--;
}

void cn_line_waiting_end(struct cn_line *line)
{
    list_end(line);
    if (!line->counts_as_waiting)
        return;
    line->counts_as_waiting = false;
    cn_line_owner(line)->waiting--;
    cn_line_owner(line)->tags -= line->tags;
    line->tags = 0;
}

static void owner_end(struct cn_line *line)
{
    cn_line_waiting_end(line);
    if (line->owner != CN_OWNER_NONE)
        cn_owners_give(&line->gate->owners, line->owner);
    line->owner = CN_OWNER_NONE;
}

void cn_line_forget(struct cn_line *line)
{
    struct cn_gate *gate = line->gate;

    cn_loop_remove(gate->setup.loop, &line->watch);
    cn_loop_timer_clear(gate->setup.loop, &line->timer);
    cn_switchboard_leave(&gate->board, &line->waiter);
    cn_line_pending_end(line, CN_STANDING_SUSPECT);
    cn_line_waiting_end(line);
    cn_blocks_give(&gate->parts, line->in);
    cn_blocks_give(&gate->messages, line->out);
    cn_blocks_give(&gate->prologues, line->prologue);
    if (gate->next_judged == line)
        gate->next_judged = line->next;
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

void cn_line_end(struct cn_line *line)
{
    struct cn_line *partner = line->partner;
    int fd = line->watch.fd;

    owner_end(line);
    if (partner)
        partner->partner = NULL;
    /* the partner of one who fails comes to no harm, unless part of a prologue has reached it */
    if (partner && partner->state != CN_LINE_PASSING)
        cn_joining_partner_returns(partner);
    else if (partner)
        cn_line_close(partner, CN_GATE_LOST);
    cn_line_forget(line);
    close(fd);
}

void cn_line_close(struct cn_line *line, enum cn_gate_count why)
{
    line->gate->count[why]++;
    if (line->pending)
        cn_line_log_address(line->gate, why, (const struct sockaddr *)&line->address);
    cn_line_end(line);
}

void cn_line_lost(struct cn_line *line)
{
    if (cn_line_discards(line))
        cn_line_end(line); /* why it closes has been counted */
    else
        cn_line_close(line, line->state == CN_LINE_HELLO ? CN_GATE_BAD_HELLO : CN_GATE_LOST);
}

/* --- saying --------------------------------------------------------------------------------- */

void cn_line_watch(struct cn_line *line, bool in, bool out)
{
    uint32_t events = EPOLLRDHUP | (in ? EPOLLIN : 0U) | (out ? EPOLLOUT : 0U);

    line->wants_out = out;
    cn_loop_change(line->gate->setup.loop, &line->watch, events);
}

bool cn_line_reads(const struct cn_line *line)
{
    return line->state < CN_LINE_HELD;
}

bool cn_line_discards(const struct cn_line *line)
{
    return line->state == CN_LINE_CLOSING || line->state == CN_LINE_DEAF;
}

bool cn_line_flush(struct cn_line *line)
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

bool cn_line_say_octets(struct cn_line *line, const uint8_t *bytes, size_t size)
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
    if (!line->out || CN_LINE_OUT_SIZE - line->out_end < size - sent)
        return false;
    memcpy(line->out + line->out_end, bytes + sent, size - sent);
    line->out_end += size - sent;
    cn_line_watch(line, cn_line_reads(line), true);
    return true;
}

bool cn_line_say(struct cn_line *line, const struct cn_admission_message *message)
{
    uint8_t out[CN_ADMISSION_SIZE];

    return cn_admission_seal(&line->keys, line->gate->setup.crypto, message, out) == CN_OK &&
           cn_line_say_octets(line, out, sizeof out);
}

/* Nothing more is listened to; what was said gets its time to go out. Who has not registered stays
 * pending until it has gone: a hello that is replayed must not win even that. Who has counts no
 * more in its owner, and makes room for anybody: one who is refused again and again must not fill
 * the gate with lines that stay. */
void cn_line_close_gently(struct cn_line *line, enum cn_gate_count why)
{
    struct cn_gate *gate = line->gate;

    gate->count[why]++;
    if (!line->out)
        (void)shutdown(line->watch.fd, SHUT_WR);
    if (line->pending)
        cn_line_log_address(gate, why, (const struct sockaddr *)&line->address);
    cn_switchboard_leave(&gate->board, &line->waiter);
    owner_end(line);
    if (!line->pending)
        list_enter(line, &gate->leaving);
    cn_line_enter(line, CN_LINE_CLOSING);
    cn_line_watch(line, true, line->out != NULL);
    cn_loop_timer_set(gate->setup.loop, &line->timer, cn_gate_now_ms(gate) + CLOSING_TIMEOUT_MS);
}

static void say_last(struct cn_line *line, const struct cn_admission_message *message,
                     enum cn_gate_count why)
{
    if (cn_line_say(line, message))
        cn_line_close_gently(line, why);
    else
        cn_line_close(line, why);
}

void cn_line_refuse(struct cn_line *line, enum cn_verdict reason)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_REFUSED, .reason = reason };

    say_last(line, &m, cn_line_refusal_count(reason));
}

void cn_line_send_away(struct cn_line *line, uint32_t spread_s, enum cn_gate_count why)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_GOAWAY, .spread_s = spread_s };

    say_last(line, &m, why);
}
