#include "gate.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hearing.h"
#include "line.h"
#include "log.h"

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
    [CN_GATE_WAITED_OUT] = "waited_out",
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

/* --- accepting ------------------------------------------------------------------------------ */

/* How many lines more there is room for. */
static uint32_t lines_left(const struct cn_gate *gate)
{
    uint32_t used = gate->lines.used + 2 * cn_switch_counts(gate->sw).pairs;

    return used < gate->setup.lines_max ? gate->setup.lines_max - used : 0;
}

bool cn_gate_has_room(const struct cn_gate *gate)
{
    return lines_left(gate) > 0;
}

/* Beyond half of what may be pending, drop at random, the more the fuller: a flood then cannot keep
 * everybody else out, as it could if only the late were dropped. */
static bool drop_early(struct cn_gate *gate)
{
    uint32_t pending = gate->pending;
    uint32_t most = pending + lines_left(gate);
    uint32_t half;
    uint8_t dice = 0;

    if (most > gate->config.pending_max)
        most = gate->config.pending_max;
    half = most / 2;
    if (pending >= most)
        return true;
    if (pending <= half)
        return false;
    if (cn_random_fill(gate->setup.random, &dice, 1) != CN_OK)
        return true;
    return (uint64_t)dice * (most - half) < (uint64_t)256 * (pending - half);
}

static bool may_enter(struct cn_gate *gate, const struct sockaddr *address)
{
    if (drop_early(gate)) {
        gate->count[CN_GATE_DROPPED_PENDING]++;
        cn_line_log_address(gate, CN_GATE_DROPPED_PENDING, address);
        return false;
    }
    if (cn_people_source_lines(&gate->people, address) >= gate->config.pending_per_address) {
        gate->count[CN_GATE_DROPPED_ADDRESS]++;
        cn_line_log_address(gate, CN_GATE_DROPPED_ADDRESS, address);
        return false;
    }
    return cn_gate_has_room(gate);
}

static void address_keep(struct cn_line *line, const struct sockaddr *address)
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
    struct cn_line *line;

    gate->count[CN_GATE_ACCEPTED]++;
    line = may_enter(gate, address) ? cn_blocks_take(&gate->lines) : NULL;
    if (!line) {
        close(fd);
        return;
    }
    memset(line, 0, sizeof *line);
    line->watch = (struct cn_watch) { fd, cn_hearing_ready };
    line->timer.fire = cn_hearing_timer;
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
    gate->in_state[CN_LINE_FREE]++; /* enter takes it from there */
    cn_line_enter(line, CN_LINE_HELLO);
    cn_line_timer_set(line, gate->config.hello_timeout);
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
        gate->people.owners[owner[i]].bytes += bytes[i];
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
        err = cn_blocks_init(&g->lines, sizeof(struct cn_line), setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->messages, CN_LINE_OUT_SIZE, setup->lines_max);
    if (err == CN_OK)
        err =
            cn_blocks_init(&g->prologues, CN_LINE_PROLOGUE_HEAD_SIZE + g->config.prologue_size_max,
                           setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->entry_lists, g->config.tags_per_line * sizeof(struct cn_entry),
                             g->config.lists_max);
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
        struct cn_line *line = gate->first;

        if (line->partner)
            line->partner->partner = NULL;
        line->partner = NULL;
        cn_line_close(line, CN_GATE_CUT);
    }
    cn_switch_destroy(gate->sw);
    cn_switchboard_wipe(&gate->board);
    cn_people_wipe(&gate->people);
    cn_blocks_wipe(&gate->lines);
    cn_blocks_wipe(&gate->messages);
    cn_blocks_wipe(&gate->prologues);
    cn_blocks_wipe(&gate->entry_lists);
    cn_blocklist_wipe(&gate->blocked);
    cn_noticelist_wipe(&gate->notices);
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
    struct cn_line *line = gate->first;

    while (line) {
        struct cn_line *next = line->next;
        const struct cn_blocked *blocked = NULL;

        if (line->state > CN_LINE_HELLO && line->state < CN_LINE_CLOSING)
            blocked = cn_blocklist_find(&gate->blocked, line->serial, line->waiter.admission_key);
        if (blocked && cn_line_hears(line)) {
            cn_line_refuse(line, blocked->reason);
        } else if (blocked) {
            cn_line_close(line, CN_GATE_CUT);
            next = gate->first; /* its partner may have gone too, and whom that one found */
        }
        cut += blocked != NULL;
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

enum cn_err cn_gate_notices(struct cn_gate *gate, const struct cn_held_notice *held, size_t count,
                            const struct cn_common_notice *common)
{
    return cn_noticelist_set(&gate->notices, held, count, common);
}

bool cn_gate_blocks(const struct cn_gate *gate, uint64_t serial)
{
    static const uint8_t nobody[CN_X25519_SIZE] = { 0 };

    return cn_blocklist_find(&gate->blocked, serial, nobody) != NULL;
}

void cn_gate_goaway(struct cn_gate *gate)
{
    struct cn_line *line = gate->first;

    while (line) {
        struct cn_line *next = line->next;

        if (line->state == CN_LINE_HELLO)
            cn_line_close(line, CN_GATE_CUT); /* too late to begin */
        else if (line->state == CN_LINE_DEAF)
            cn_line_end(line);
        else if (cn_line_hears(line))
            cn_line_send_away(line, gate->config.spread, CN_GATE_CUT);
        line = next;
    }
}

uint32_t cn_gate_busy(const struct cn_gate *gate)
{
    return gate->lines.used + cn_switch_counts(gate->sw).pairs;
}

void cn_gate_status(const struct cn_gate *gate, struct cn_gate_status *status)
{
    *status = (struct cn_gate_status) {
        .lines = gate->lines.used,
        .pending = gate->pending,
        .waiting = gate->in_state[CN_LINE_WAITING],
        .joining = gate->in_state[CN_LINE_JOINED] + gate->in_state[CN_LINE_LENGTH] +
                   gate->in_state[CN_LINE_PROLOGUE] + gate->in_state[CN_LINE_HELD] +
                   gate->in_state[CN_LINE_PASSING],
        .calls = cn_switch_counts(gate->sw),
    };
    memcpy(status->count, gate->count, sizeof status->count);
}

bool cn_gate_next_owner(const struct cn_gate *gate, uint32_t *number, uint64_t *serial,
                        uint32_t *waiting, uint32_t *joined, uint64_t *bytes)
{
    for (; *number < gate->people.owner_max; ++*number) {
        const struct cn_owner *owner = &gate->people.owners[*number];

        if (owner->lines == 0)
            continue;
        *serial = owner->serial;
        *waiting = owner->waiting;
        *joined = owner->joined;
        *bytes = owner->bytes;
        ++*number;
        return true;
    }
    return false;
}

bool cn_gate_turn(struct cn_gate *gate)
{
    return cn_switch_turn(gate->sw);
}
