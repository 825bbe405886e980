#include "joining.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { HELD_GRACE_MS = 1000 }; /* that who waits for a slow partner outlasts it */

/* --- joining -------------------------------------------------------------------------------- */

/* False: it cannot be told; it is to be closed. */
static bool tell_joined(struct cn_line *line)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_JOINED,
                                            .entry_count = 1,
                                            .entry = { line->entry } };

    cn_line_waiting_end(line);
    line->bound = true;
    line->prologue_until_ms =
        cn_gate_now_ms(line->gate) + (uint64_t)line->gate->config.prologue_timeout * 1000;
    cn_line_enter(line, CN_LINE_JOINED);
    cn_line_timer_set(line, line->gate->config.ready_timeout);
    return cn_line_say(line, &m);
}

static struct cn_entry opposite_of(const struct cn_entry *entry)
{
    struct cn_entry other = *entry;

    other.mode = entry->mode == CN_MODE_OUTPUT ? CN_MODE_INPUT : CN_MODE_OUTPUT;
    return other;
}

static void pass_prologues(struct cn_line *line);

/* How long a line that has said all waits for its partner's prologue. It is not the one to be late:
 * so it outlasts its partner, and without one it has the time over again. */
static void held_plan(struct cn_line *line)
{
    uint64_t due =
        cn_gate_now_ms(line->gate) + (uint64_t)line->gate->config.prologue_timeout * 1000;

    if (line->partner)
        due = line->partner->prologue_until_ms + HELD_GRACE_MS;
    cn_loop_timer_set(line->gate->setup.loop, &line->timer, due);
}

bool cn_joining_begin(struct cn_line *line, const struct cn_match *match)
{
    struct cn_line *partner = cn_line_of(match->partner);

    line->entry = match->entry;
    partner->entry = opposite_of(&match->entry);
    if (!partner->bound && !tell_joined(partner)) {
        cn_line_close(partner, CN_GATE_LOST);
        return false;
    }
    line->gate->count[CN_GATE_JOINED]++;
    line->partner = partner;
    partner->partner = line;
    if (!line->bound && !tell_joined(line)) {
        cn_line_close(line, CN_GATE_LOST);
        return true;
    }
    if (partner->state == CN_LINE_HELD)
        held_plan(partner);
    if (line->state == CN_LINE_HELD)
        held_plan(line);
    if (line->state == CN_LINE_HELD && partner->state == CN_LINE_HELD)
        pass_prologues(line);
    return true;
}

void cn_joining_partner_returns(struct cn_line *line)
{
    struct cn_gate *gate = line->gate;
    struct cn_match match;
    enum cn_err err;

    assert(line->bound);
    if (line->state == CN_LINE_HELD)
        held_plan(line);
    line->waiter.alive_until_ms = UINT64_MAX; /* no keep-alive is owed: its timer ends it */
    do {
        err = cn_switchboard_return(&gate->board, &line->waiter, &line->entry, cn_gate_now_ms(gate),
                                    &match);
    } while (err == CN_OK && match.partner && !cn_joining_begin(line, &match));
    if (err != CN_OK)
        cn_line_close(line, err == CN_E_EXISTS ? CN_GATE_REPLACED : CN_GATE_REFUSED_OVER_LIMIT);
}

/* --- prologues ------------------------------------------------------------------------------ */

static void hand_over(struct cn_line *line)
{
    struct cn_gate *gate = line->gate;
    struct cn_line *both[2] = { line, line->partner };
    const int fd[2] = { line->watch.fd, line->partner->watch.fd };
    const uint32_t owner[2] = { line->owner, line->partner->owner };

    for (int i = 0; i < 2; i++) /* a descriptor that was passed on still raises events */
        cn_loop_remove(gate->setup.loop, &both[i]->watch);
    if (!cn_workers_join(gate->workers, fd, owner)) {
        line->partner->partner = NULL;
        cn_line_close(line->partner, CN_GATE_LOST);
        line->partner = NULL;
        cn_line_close(line, CN_GATE_LOST);
        return;
    }
    gate->count[CN_GATE_HANDED_OVER]++;
    for (int i = 0; i < 2; i++) {
        both[i]->watch.fd = -1; /* its owner's line counts for the pair from here on */
        both[i]->owner = CN_OWNER_NONE;
        both[i]->partner = NULL;
        cn_line_forget(both[i]);
    }
}

/* Send the partner's prologue on to this line. False: this line is gone. */
static bool pass_some(struct cn_line *line)
{
    const struct cn_line *from = line->partner;

    while (!line->out && line->passed < from->prologue_size) {
        ssize_t sent = send(line->watch.fd, from->prologue + line->passed,
                            from->prologue_size - line->passed, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            cn_line_close(line, CN_GATE_LOST);
            return false;
        }
        line->passed += (size_t)sent;
    }
    cn_line_watch(line, false, line->out || line->passed < from->prologue_size);
    return true;
}

static bool passed_all(const struct cn_line *line)
{
    return !line->out && line->passed == line->partner->prologue_size;
}

static void pass_prologues(struct cn_line *line)
{
    struct cn_line *partner = line->partner;

    cn_line_enter(line, CN_LINE_PASSING);
    cn_line_enter(partner, CN_LINE_PASSING);
    cn_line_timer_set(line, line->gate->config.prologue_timeout);
    cn_line_timer_set(partner, line->gate->config.prologue_timeout);
    if (pass_some(line) && pass_some(partner) && passed_all(line) && passed_all(partner))
        hand_over(line);
}

bool cn_joining_pass(struct cn_line *line)
{
    if (!pass_some(line))
        return false;
    if (!passed_all(line) || !passed_all(line->partner))
        return true;
    hand_over(line);
    return false;
}

void cn_joining_take_length(struct cn_line *line, const uint8_t in[CN_LINE_PROLOGUE_HEAD_SIZE])
{
    struct cn_gate *gate = line->gate;
    size_t size = (size_t)in[0] << 8 | in[1];

    if (size == 0 || size > gate->config.prologue_size_max ||
        size > gate->prologues.size - CN_LINE_PROLOGUE_HEAD_SIZE) {
        cn_line_close(line, CN_GATE_BAD_PROLOGUE);
        return;
    }
    line->prologue = cn_blocks_take(&gate->prologues);
    if (!line->prologue) {
        cn_line_close(line, CN_GATE_REFUSED_OVER_LIMIT);
        return;
    }
    memcpy(line->prologue, in, CN_LINE_PROLOGUE_HEAD_SIZE);
    line->in_size = CN_LINE_PROLOGUE_HEAD_SIZE; /* counts what is in prologue from here on */
    line->prologue_size = CN_LINE_PROLOGUE_HEAD_SIZE + size;
    cn_line_enter(line, CN_LINE_PROLOGUE);
}

void cn_joining_prologue_whole(struct cn_line *line)
{
    cn_line_enter(line, CN_LINE_HELD);
    held_plan(line);
    cn_line_watch(line, false, line->out != NULL);
    if (line->partner && line->partner->state == CN_LINE_HELD)
        pass_prologues(line);
}
