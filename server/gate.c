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

/* --- accepting ------------------------------------------------------------------------------ */

/* How many lines more there is room for. */
static uint32_t lines_left(const struct cn_gate *gate)
{
    uint32_t used = gate->lines.used + 2 * cn_workers_pairs(gate->workers);

    return used < gate->setup.lines_max ? gate->setup.lines_max - used : 0;
}

static uint32_t pending_count(const struct cn_gate *gate)
{
    uint32_t count = 0;

    for (int i = 0; i < CN_STANDING_COUNT; i++)
        count += gate->pending[i].count;
    return count;
}

bool cn_gate_has_room(const struct cn_gate *gate)
{
    return lines_left(gate) > 0 || gate->leaving.count > 0 || pending_count(gate) > 0;
}

/* Who would be late first goes, unless it came in this turn: a subscriber has said all long before
 * that, and a flood drives out itself. Whose hello was not looked at yet is not the worse for it.
 */
static bool drop_first(struct cn_gate *gate, enum cn_standing standing)
{
    struct cn_line *line = gate->pending[standing].first;
    struct sockaddr_in6 address;
    enum cn_line_state state;

    if (!line || line->pending_since_ms >= cn_gate_now_ms(gate))
        return false;
    address = line->address;
    state = line->state;
    if (cn_line_discards(line)) /* why it closes has been counted */
        cn_line_end(line);
    else
        cn_line_close(line, CN_GATE_DROPPED_PENDING);
    if (state == CN_LINE_HELLO)
        cn_sources_learn(&gate->sources, (const struct sockaddr *)&address, standing);
    return true;
}

/* For one more of that standing; in a full gate those make room first who have been told that they
 * are to leave, then those of a worse one. */
static bool room_make(struct cn_gate *gate, enum cn_standing standing)
{
    while (gate->pending[standing].count >= gate->config.pending_max) {
        if (!drop_first(gate, standing))
            return false;
    }
    while (gate->leaving.first && lines_left(gate) == 0)
        cn_line_end(gate->leaving.first);
    for (int i = 0; i <= (int)standing && lines_left(gate) == 0; i++)
        (void)drop_first(gate, (enum cn_standing)i);
    return lines_left(gate) > 0;
}

static bool may_enter(struct cn_gate *gate, enum cn_standing standing,
                      const struct sockaddr *address)
{
    enum cn_gate_count why;

    if (cn_sources_lines(&gate->sources, address) >= gate->config.pending_per_address)
        why = CN_GATE_DROPPED_ADDRESS;
    else if (!room_make(gate, standing))
        why = CN_GATE_DROPPED_PENDING;
    else
        return true;
    gate->count[why]++;
    cn_line_log_address(gate, why, address);
    return false;
}

static void address_keep(struct cn_line *line, const struct sockaddr *address)
{
    size_t size =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    memcpy(&line->address, address, size);
}

void cn_gate_accept(struct cn_gate *gate, int fd, const struct sockaddr *address)
{
    const int on = 1;
    const enum cn_standing standing = cn_sources_standing(&gate->sources, address);
    struct cn_line *line;

    gate->count[CN_GATE_ACCEPTED]++;
    line = may_enter(gate, standing, address) ? cn_blocks_take(&gate->lines) : NULL;
    if (!line) {
        close(fd);
        return;
    }
    memset(line, 0, sizeof *line);
    line->watch = (struct cn_watch) { fd, cn_hearing_ready };
    line->timer.fire = cn_hearing_timer;
    line->gate = gate;
    line->owner = CN_OWNER_NONE;
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
    cn_line_pending_begin(line, &gate->pending[standing]);
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
    struct cn_gate *gate = context;
    char who[96] = "";

    if (gate->config.log_subscribers)
        snprintf(who, sizeof who, " serials=%llu,%llu",
                 (unsigned long long)gate->owners.at[owner[0]].serial,
                 (unsigned long long)gate->owners.at[owner[1]].serial);
    cn_log("ended", "outcome=%s bytes=%llu,%llu%s", cn_switch_outcome_name(outcome),
           (unsigned long long)bytes[0], (unsigned long long)bytes[1], who);
    for (int i = 0; i < 2; i++)
        gate->owners.at[owner[i]].bytes += bytes[i];
    if (gate->room)
        gate->room(gate->room_context);
}

/* Two lines that never got their call. */
static void on_untaken(void *context)
{
    struct cn_gate *gate = context;

    gate->count[CN_GATE_LOST] += 2;
}

/* Who was blocked while there was no gate to cut his calls. */
static void on_appeared(void *context, const struct cn_party party[2])
{
    struct cn_gate *gate = context;

    for (int i = 0; i < 2; i++) {
        if (cn_blocklist_find(&gate->blocked, party[i].serial, party[i].who))
            cn_workers_cut(gate->workers, party[i].who);
    }
}

static void on_cut(void *context, uint32_t count)
{
    struct cn_gate *gate = context;

    gate->count[CN_GATE_CUT] += count;
    gate->calls_cut += count;
}

void cn_gate_on_cut(struct cn_gate *gate, void (*was_cut)(void *context, uint32_t count),
                    void *context)
{
    gate->was_cut = was_cut;
    gate->was_cut_context = context;
}

enum cn_err cn_gate_create(struct cn_gate **gate, const struct cn_gate_setup *setup)
{
    struct cn_gate *g = calloc(1, sizeof *g);
    struct cn_workers_setup workers;
    enum cn_err err;

    if (!g)
        return CN_E_MEMORY;
    g->setup = *setup;
    g->config = *setup->config;
    g->count = setup->page->page->gate.count;
    workers = (struct cn_workers_setup) { .loop = setup->loop,
                                          .owners = &g->owners,
                                          .pairs_max = setup->lines_max / 2 + 1,
                                          .appeared = on_appeared,
                                          .ended = on_ended,
                                          .untaken = on_untaken,
                                          .was_cut = on_cut,
                                          .context = g,
                                          .faulty = setup->worker_faulty };
    err = cn_switchboard_init(&g->board, g->config.tags_max, setup->random);
    if (err == CN_OK)
        err = cn_owners_init(&g->owners, setup->page->page->owners, setup->page->owner_max);
    if (err == CN_OK)
        err = cn_sources_init(&g->sources, setup->lines_max, setup->random);
    if (err == CN_OK)
        err = cn_verified_init(&g->verified, setup->crypto, setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->lines, sizeof(struct cn_line), setup->lines_max);
    if (err == CN_OK)
        err = cn_blocks_init(&g->parts, CN_ADMISSION_SIZE, setup->lines_max);
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
        err = cn_workers_create(&g->workers, &workers);
    if (err != CN_OK) {
        cn_gate_destroy(g);
        return err;
    }
    cn_gate_configure(g, setup->config);
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
    cn_workers_destroy(gate->workers);
    cn_switchboard_wipe(&gate->board);
    cn_owners_wipe(&gate->owners);
    cn_sources_wipe(&gate->sources);
    cn_verified_wipe(&gate->verified);
    cn_blocks_wipe(&gate->lines);
    cn_blocks_wipe(&gate->parts);
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

    if (c.tags_per_line * sizeof(struct cn_entry) > gate->entry_lists.size)
        c.tags_per_line = (uint32_t)(gate->entry_lists.size / sizeof(struct cn_entry));
    gate->config = c;
    cn_workers_keep_together(gate->workers, cn_config_has_rates(&c));
}

static uint32_t cut_blocked(struct cn_gate *gate)
{
    uint32_t cut = 0;
    struct cn_line *line;

    /* with one that is closed its partner may go too, and whom that one found */
    for (gate->next_judged = gate->first; (line = gate->next_judged) != NULL;) {
        const struct cn_blocked *blocked = NULL;

        gate->next_judged = line->next;
        if (line->state > CN_LINE_HELLO && line->state < CN_LINE_CLOSING)
            blocked = cn_blocklist_find(&gate->blocked, line->serial, line->who);
        if (blocked && cn_line_hears(line))
            cn_line_refuse(line, blocked->reason);
        else if (blocked)
            cn_line_close(line, CN_GATE_CUT);
        cut += blocked != NULL;
    }
    return cut;
}

static void cut_calls(struct cn_gate *gate)
{
    for (uint32_t i = 0; i < gate->owners.fresh; i++) {
        const struct cn_owner *owner = &gate->owners.at[i];

        if (owner->joined > 0 && cn_blocklist_find(&gate->blocked, owner->serial, owner->who))
            cn_workers_cut(gate->workers, owner->who);
    }
    gate->is_cutting = true;
}

enum cn_err cn_gate_registry(struct cn_gate *gate, const struct cn_settings *settings,
                             const struct cn_blocked *blocked, size_t blocked_count, uint32_t *cut)
{
    enum cn_err err = cn_blocklist_set(&gate->blocked, blocked, blocked_count);

    if (err != CN_OK)
        return err;
    cn_verified_operators_set(&gate->verified, settings->operators, settings->operator_count);
    *cut = cut_blocked(gate);
    cut_calls(gate);
    return CN_OK;
}

enum cn_err cn_gate_notices(struct cn_gate *gate, const struct cn_held_notice *held, size_t count,
                            const struct cn_common_notice *common)
{
    return cn_noticelist_set(&gate->notices, held, count, common);
}

enum cn_err cn_gate_worker(struct cn_gate *gate, int channel, uint32_t number, bool draining)
{
    return cn_workers_add(gate->workers, channel, number, draining);
}

void cn_gate_goaway(struct cn_gate *gate)
{
    struct cn_line *line = gate->first;

    cn_workers_leave(gate->workers);
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
    return gate->lines.used + cn_workers_handing(gate->workers);
}

void cn_gate_status(const struct cn_gate *gate, struct cn_gate_status *status)
{
    *status = (struct cn_gate_status) {
        .lines = gate->lines.used,
        .pending = pending_count(gate),
        .waiting = gate->in_state[CN_LINE_WAITING],
        .joining = gate->in_state[CN_LINE_JOINED] + gate->in_state[CN_LINE_LENGTH] +
                   gate->in_state[CN_LINE_PROLOGUE] + gate->in_state[CN_LINE_HELD] +
                   gate->in_state[CN_LINE_PASSING],
        .handing = cn_workers_handing(gate->workers),
    };
    memcpy(status->count, gate->count, sizeof status->count);
}

void cn_gate_turn(struct cn_gate *gate)
{
    uint32_t count = gate->calls_cut;
    struct cn_gate_status status;

    cn_gate_status(gate, &status);
    gate->setup.page->page->gate = status;
    gate->setup.page->page->owners_used = gate->owners.fresh;
    for (int i = 0; i < CN_STANDING_COUNT; i++)
        gate->pending[i].heard = 0;
    if (!gate->is_cutting || !cn_workers_has_cut(gate->workers))
        return;
    gate->is_cutting = false;
    gate->calls_cut = 0;
    if (gate->was_cut)
        gate->was_cut(gate->was_cut_context, count);
}
