#include "program.h"

#include <string.h>

#include "content.h"
#include "sim.h"

enum { KIND = 1, HEAD_SIZE = 8, TELL_MS = 3000 };

#define NAME(p) ((p)->owner->setup.name)

/* --- streams --------------------------------------------------------------------------------- */

static uint64_t key_of(const struct program *p, int writer, uint32_t stream)
{
    return content_key(p->course->key, (uint64_t)writer, p->course->is_file ? 0 : stream);
}

static struct flow *flow_of(struct program *p, const struct cn_stream *stream)
{
    if (stream->id >= PROGRAM_FLOW_COUNT_MAX)
        sim_fail("%s: stream %u, which nobody has opened", NAME(p), (unsigned)stream->id);
    return &p->flow[stream->id];
}

static void flow_begin(struct program *p, struct cn_stream *stream)
{
    struct flow *f = flow_of(p, stream);

    if (f->begun)
        sim_fail("%s: stream %u comes twice", NAME(p), (unsigned)stream->id);
    f->begun = true;
    cn_stream_set_user(stream, f);
    f->stream = stream;
    f->size = p->course->size_max > 0 ? sim_spread(0, p->course->size_max) : 0;
    f->loser = !p->course->is_file && sim_chance(p->course->loser);
    if (sim_chance(4))
        cn_stream_set_priority(stream, (enum cn_stream_priority)sim_dice(CN_PRIORITY_COUNT));
    if (!p->course->is_file)
        return;
    if (!p->disk) {
        f->size = UINT64_MAX; /* until it is known how far the receiver is */
        return;
    }
    f->size = HEAD_SIZE;
    f->base = p->disk->stored;
    for (int i = 0; i < HEAD_SIZE; i++)
        f->head[i] = (uint8_t)(f->base >> 8 * (HEAD_SIZE - 1 - i));
}

static void open_next(struct program *p)
{
    struct cn_stream *stream = NULL;
    uint8_t parameters[32];
    enum cn_err err;

    sim_fill(parameters, sizeof parameters);
    err = owner_stream_open(p->owner, KIND, parameters, sim_dice(sizeof parameters), &stream);
    if (err != CN_OK) {
        if (err != CN_E_MEMORY || !p->owner->memory_failed)
            sim_fail("%s: a stream cannot be opened: %s", NAME(p), cn_err_text(err));
        owner_cancel(p->owner, err);
        p->opened = p->course->stream_count[p->side];
        return;
    }
    p->opened++;
    flow_begin(p, stream);
}

static void octets_make(const struct program *p, const struct flow *f, uint8_t *to, size_t size)
{
    if (p->disk)
        memcpy(to, f->head + f->written, size);
    else
        content_fill(key_of(p, p->side, f->stream->id), f->base + f->written, to, size);
}

/* Up to most octets. */
static void flow_write(struct program *p, struct flow *f, uint64_t most)
{
    while (f->stream && f->size != UINT64_MAX && !f->full && f->written < f->size && most > 0) {
        size_t room;
        uint8_t *to = cn_stream_reserve(f->stream, &room);

        if (!to) {
            f->full = true;
            return;
        }
        room = room < most ? room : (size_t)most;
        room = room < f->size - f->written ? room : (size_t)(f->size - f->written);
        octets_make(p, f, to, room);
        cn_stream_commit(f->stream, room);
        f->written += room;
        most -= room;
    }
    if (f->stream && f->written == f->size && !f->finished) {
        cn_stream_finish(f->stream);
        f->finished = true;
    }
}

/* How far the receiver of a file is. */
static void take_head(struct program *p, struct flow *f, const uint8_t *from, size_t size)
{
    if (f->read + size > HEAD_SIZE)
        sim_fail("%s: more than a head came from who receives", NAME(p));
    memcpy(f->head + f->read, from, size);
    if (f->read + size < HEAD_SIZE)
        return;
    f->base = 0;
    for (int i = 0; i < HEAD_SIZE; i++)
        f->base = f->base << 8 | f->head[i];
    if (f->base > p->file_size)
        sim_fail("%s: who receives has more than the file", NAME(p));
    f->size = p->file_size - f->base;
}

static void take_octets(struct program *p, struct flow *f, const uint8_t *from, size_t size)
{
    const struct flow *far = &p->other->flow[f->stream->id];
    const uint64_t offset = f->base + f->read;
    const size_t same = content_match(key_of(p, 1 - p->side, f->stream->id), offset, from, size);

    if (same < size)
        sim_fail("%s: octet %llu of stream %u is not what was sent", NAME(p),
                 (unsigned long long)(offset + same), (unsigned)f->stream->id);
    if (!p->course->is_file && f->read + size > far->written)
        sim_fail("%s: more came on stream %u than was sent", NAME(p), (unsigned)f->stream->id);
}

static void store(struct program *p, struct flow *f, size_t size)
{
    if (p->disk->stored != f->base + f->read)
        sim_fail("%s: octets of a file out of place", NAME(p));
    p->disk->stored += size;
    if (sim.bug == SIM_BUG_DURABLE)
        cn_stream_set_durable(f->stream, f->read + size);
    if (!sim_chance(3))
        return;
    disk_sync(p->disk, false);
    if (p->disk->durable > f->base)
        cn_stream_set_durable(f->stream, p->disk->durable - f->base);
}

static void flow_read(struct program *p, struct flow *f, uint64_t most)
{
    while (f->stream && f->readable && most > 0) {
        size_t size;
        const uint8_t *from = cn_stream_peek(f->stream, &size);

        if (!from) {
            f->readable = false;
            return;
        }
        size = size < most ? size : (size_t)most;
        if (p->course->is_file && !p->disk)
            take_head(p, f, from, size);
        else
            take_octets(p, f, from, size);
        cn_stream_consume(f->stream, size);
        if (p->disk)
            store(p, f, size);
        f->read += size;
        most -= size;
    }
}

static void flow_ended(struct program *p, struct flow *f)
{
    const struct flow *far = &p->other->flow[f->stream->id];

    f->ended = true;
    if (p->disk) {
        if (p->disk->stored != p->disk->size)
            sim_fail("%s: the file ended after %llu of %llu octets", NAME(p),
                     (unsigned long long)p->disk->stored, (unsigned long long)p->disk->size);
        if (!p->disk->done)
            disk_sync(p->disk, true);
        if (f->read > 0)
            cn_stream_set_durable(f->stream, f->read);
        return;
    }
    if (p->course->is_file)
        return;
    if (f->read != far->written || far->written != far->size)
        sim_fail("%s: stream %u ended after %llu octets, of %llu that were sent", NAME(p),
                 (unsigned)f->stream->id, (unsigned long long)f->read,
                 (unsigned long long)far->written);
}

/* Forget it once nothing can come of it, as a program should. */
static void flow_look(struct program *p, struct flow *f)
{
    enum cn_stream_state state;

    if (!f->stream)
        return;
    if (f->loser && sim_chance(8)) {
        f->loser = false;
        f->given_up = true;
        if (sim_chance(2))
            cn_stream_reset(f->stream, 7);
    }
    state = cn_stream_state(f->stream);
    if (state == CN_STREAM_ENDED && !f->ended)
        flow_ended(p, f);
    if (state == CN_STREAM_RESET) {
        f->was_reset = true;
        if (!f->given_up && !p->other->flow[f->stream->id].given_up)
            sim_fail("%s: stream %u was reset, which nobody gave up", NAME(p),
                     (unsigned)f->stream->id);
    }
    if (state == CN_STREAM_OPEN || (state == CN_STREAM_ENDED && !f->finished)) {
        if (!f->given_up)
            return;
        f->was_reset = true; /* an end that is released unread is a reset */
    }
    cn_stream_release(f->stream);
    f->stream = NULL;
}

/* What the sender of a file has been told to be on disk is there. */
static void durable_check(const struct program *p)
{
    const struct flow *f = &p->flow[p->owner->call->mux.role == CN_ROLE_A ? 1 : 2];
    struct cn_stream_progress progress;

    if (!p->far_disk || !f->stream || f->size == UINT64_MAX)
        return;
    cn_stream_progress(f->stream, &progress);
    if (progress.durable > 0 && f->base + progress.durable > p->far_disk->durable)
        sim_fail("%s: %llu octets are said to be on disk, of which %llu are", NAME(p),
                 (unsigned long long)(f->base + progress.durable),
                 (unsigned long long)p->far_disk->durable);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool all_is_done(const struct program *p)
{
    unsigned begun = 0;

    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++) {
        if (p->flow[i].stream)
            return false;
        begun += p->flow[i].begun;
    }
    return begun == p->course->stream_count[0] + p->course->stream_count[1];
}

/* That all has arrived, and only the partner's knowing so is missing, is true, and stays so. */
static void told_done(struct program *p)
{
    if (!all_is_done(p))
        sim_fail("%s: told that all has arrived, and it has not", NAME(p));
    p->done = true;
}

static void told_lost(struct program *p, bool lost)
{
    if (p->lost == lost)
        sim_fail("%s: told %s twice", NAME(p), lost ? "LOST" : "RESUMED");
    p->lost = lost;
    p->quiet = false;
    p->lost_ms = owner_now(p->owner).ms;
    p->reconnecting_ms = p->lost_ms + 4000;
}

/* Not at once, and less and less often. */
static void told_reconnecting(struct program *p, enum cn_err err)
{
    const uint64_t now_ms = owner_now(p->owner).ms;

    if (!p->lost)
        sim_fail("%s: told RECONNECTING, and the line is not lost", NAME(p));
    if (p->done)
        sim_fail("%s: told RECONNECTING, and all is done", NAME(p));
    if (now_ms < p->reconnecting_ms)
        sim_fail("%s: told RECONNECTING too soon", NAME(p));
    p->reconnecting_ms = now_ms + (now_ms - p->lost_ms);
    sim_trace("%s: told that the line is lost still: %s", NAME(p), cn_err_text(err));
}

static void told_quiet(struct program *p, bool quiet)
{
    if (p->quiet == quiet || p->lost)
        sim_fail("%s: told %s %s", NAME(p), quiet ? "QUIET" : "HEARD",
                 p->lost ? "while the line is lost" : "twice");
    if (!quiet && p->owner->heard_ms < p->quiet_ms)
        sim_fail("%s: told HEARD, and has heard nothing", NAME(p));
    p->quiet = quiet;
    p->quiet_ms = owner_now(p->owner).ms;
}

static void event_take(struct program *p, const struct cn_event *e)
{
    struct flow *f;

    if (p->over)
        sim_fail("%s: an event after CLOSED", NAME(p));
    switch (e->type) {
    case CN_EVENT_STREAM:
        flow_begin(p, e->stream);
        return;
    case CN_EVENT_READABLE:
    case CN_EVENT_WRITABLE:
    case CN_EVENT_PROGRESS:
        f = flow_of(p, e->stream);
        if (f->stream != e->stream)
            sim_fail("%s: an event of stream %u, which was released", NAME(p),
                     (unsigned)e->stream->id);
        f->readable |= e->type == CN_EVENT_READABLE;
        f->full &= e->type != CN_EVENT_WRITABLE;
        return;
    case CN_EVENT_LOST:
        told_lost(p, true);
        if (e->err == CN_OK)
            told_done(p);
        sim_trace("%s: told that the line is lost: %s", NAME(p), cn_err_text(e->err));
        return;
    case CN_EVENT_RECONNECTING:
        told_reconnecting(p, e->err);
        return;
    case CN_EVENT_RESUMED:
        told_lost(p, false);
        sim_trace("%s: told that it goes on", NAME(p));
        return;
    case CN_EVENT_QUIET:
        sim_trace("%s: told that the partner is quiet", NAME(p));
        told_quiet(p, true);
        return;
    case CN_EVENT_HEARD:
        told_quiet(p, false);
        return;
    case CN_EVENT_CLOSED:
        if (p->done && e->err != CN_OK)
            sim_fail("%s: all was done, and it ended with: %s", NAME(p), cn_err_text(e->err));
        p->over = true;
        return;
    case CN_EVENT_NONE:
    case CN_EVENT_CONNECTED:
    case CN_EVENT_WAITING:
    case CN_EVENT_RETRY:
    case CN_EVENT_JOINED:
    case CN_EVENT_OPEN:
    case CN_EVENT_NOTICE:
    case CN_EVENT_CARDS:
        return;
    }
}

/* --- steps ----------------------------------------------------------------------------------- */

static bool may_open(const struct program *p)
{
    const struct cn_call *c = p->owner->call;

    return c->open && (c->state == CALL_RUNNING || c->lost) && !c->confirming &&
           !c->mux.close_received && !c->mux.close_sent &&
           p->opened < p->course->stream_count[p->side];
}

static void write_all(struct program *p)
{
    const uint64_t pace_ms = p->course->write_ms[p->side];

    if (sim.now_ms < p->write_ms)
        return;
    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++)
        flow_write(p, &p->flow[i], pace_ms > 0 ? sim_dice(p->course->write_size + 1) : UINT64_MAX);
    p->write_ms = pace_ms > 0 ? sim.now_ms + 1 + sim_dice(pace_ms) : 0;
}

static void read_all(struct program *p)
{
    const uint64_t pace_ms = p->course->read_ms[p->side];

    if (sim.now_ms < p->read_ms)
        return;
    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++)
        flow_read(p, &p->flow[i], pace_ms > 0 ? sim_dice(p->course->read_size + 1) : UINT64_MAX);
    p->read_ms = pace_ms > 0 ? sim.now_ms + 1 + sim_dice(pace_ms) : 0;
}

void program_step(struct program *program)
{
    struct cn_event event;

    while (owner_next_event(program->owner, &event))
        event_take(program, &event);
    if (!owner_is_open(program->owner) || program->over)
        return;
    if (may_open(program))
        open_next(program);
    read_all(program);
    write_all(program);
    durable_check(program);
    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++)
        flow_look(program, &program->flow[i]);
    if (all_is_done(program))
        owner_finish(program->owner);
}

uint64_t program_due_ms(const struct program *program)
{
    uint64_t due_ms = UINT64_MAX;

    if (!owner_is_open(program->owner) || program->over)
        return UINT64_MAX;
    if (may_open(program))
        return 0;
    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++) {
        const struct flow *f = &program->flow[i];

        if (!f->stream)
            continue;
        if (f->size != UINT64_MAX && !f->full && !f->finished && program->write_ms < due_ms)
            due_ms = program->write_ms;
        if (f->readable && program->read_ms < due_ms)
            due_ms = program->read_ms;
    }
    return due_ms;
}

const char *program_missing(const struct program *program)
{
    for (int i = 0; i < PROGRAM_FLOW_COUNT_MAX; i++) {
        const struct flow *f = &program->flow[i];
        const struct flow *far = &program->other->flow[i];

        if (f->was_reset || far->was_reset || f->given_up || far->given_up)
            continue;
        if (f->begun != far->begun)
            return "a stream never came";
        if (f->begun && !f->ended)
            return "the end of a stream was not read";
        if (f->begun && !f->finished)
            return "not all was written";
    }
    return NULL;
}

const char *program_untold(const struct program *p)
{
    const struct cn_call *c = p->owner->call;
    const bool carries = c->state == CALL_RUNNING && c->secrets->session.mux;

    if (!owner_is_open(p->owner) || owner_is_over(p->owner))
        return NULL;
    if ((c->state == CALL_CONNECTING || c->state == CALL_PAUSED) && !p->lost)
        return "the line is lost, and LOST was not told";
    if (carries && p->lost)
        return "a line carries, and RESUMED was not told";
    if (!p->lost && !p->quiet && owner_stalled_ms(p->owner) >= TELL_MS)
        return "nothing was heard for 3 s, and QUIET was not told";
    return NULL;
}
