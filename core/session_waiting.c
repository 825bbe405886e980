/* session_waiting.c - a session from the verdict to JOINED: what is registered, when it changes,
 * and keeping the line alive. PROTOCOL.md 3.2 to 3.5 */
#include "session_inside.h"

enum { UPDATE_SPREAD_MS = 30000 };

bool cn_want_calls(const struct cn_want *want)
{
    return cn_service_symmetric(want->service) ? want->pair->role == CN_ROLE_A : want->caller;
}

size_t cn_want_count_max(const struct cn_admission_verdict *verdict)
{
    size_t count = verdict->tag_count_max / CN_TAG_EPOCH_COUNT_MAX;

    return count > 0 ? count : 1;
}

static enum cn_mode mode_of(const struct cn_want *want)
{
    return cn_want_calls(want) ? CN_MODE_OUTPUT : CN_MODE_INPUT;
}

/* A random number below range; 0 if range is. */
static enum cn_err jitter(struct cn_session *s, uint64_t range, uint64_t *out)
{
    uint8_t bytes[4];
    enum cn_err err = cn_random_fill(s->setup.random, bytes, sizeof bytes);
    uint64_t value =
        (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];

    *out = err == CN_OK && range > 0 ? value % range : 0;
    return err;
}

static const struct cn_want *listed(const struct cn_session *s)
{
    return &s->setup.want[s->list_sent / s->epoch_count];
}

/* Those whose time has not come. */
static void list_skip(struct cn_session *s)
{
    while (s->list_sent < s->list_count && listed(s)->late && !s->late_in)
        s->list_sent++;
}

/* REGISTER or UPDATE with every want's tags of the epochs that hold now: list_step sends it. */
static void list_begin(struct cn_session *s, enum cn_admission_type type, uint64_t utc_s)
{
    s->epoch_count = cn_tag_epochs(utc_s, s->epoch);
    s->update_due_ms = UINT64_MAX;
    s->list_type = type;
    s->list_sent = 0;
    s->list_count = s->setup.want_count * s->epoch_count;
    list_skip(s);
}

bool cn_session_list_is_begun(const struct cn_session *s)
{
    return s->list_sent < s->list_count;
}

enum cn_err cn_session_list_step(struct cn_session *s)
{
    struct cn_admission_message m = { .type = s->list_type };
    enum cn_err err = CN_OK;

    while (err == CN_OK && cn_session_list_is_begun(s) &&
           m.entry_count < CN_ADMISSION_ENTRY_COUNT_MAX) {
        const struct cn_want *want = listed(s);
        uint64_t epoch = s->epoch[s->list_sent % s->epoch_count];
        struct cn_entry *entry = &m.entry[m.entry_count++];

        entry->mode = mode_of(want);
        err = cn_tag_make(s->setup.crypto, &want->pair->tag_key, want->service, epoch, entry->tag);
        s->list_sent++;
        list_skip(s);
    }
    m.more = cn_session_list_is_begun(s);
    if (err == CN_OK)
        err = cn_session_send_message(s, &m);
    cn_wipe(&m, sizeof m);
    return err;
}

/* Whether the tags registered are those of now. The clock may have been set since. */
static bool tags_hold(const struct cn_session *s, uint64_t utc_s)
{
    uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX];
    size_t count = cn_tag_epochs(utc_s, epoch);

    if (count != s->epoch_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (epoch[i] != s->epoch[i])
            return false;
    }
    return true;
}

/* UPDATE once the tags have changed: not at once, lest all subscribers speak at the same time. */
static enum cn_err step_tags(struct cn_session *s, struct cn_now now, bool *done)
{
    uint64_t delay_ms;
    enum cn_err err;

    if (now.ms >= s->late_due_ms) {
        s->late_due_ms = UINT64_MAX;
        s->late_in = true;
        *done = true;
        list_begin(s, CN_ADMISSION_UPDATE, now.utc_s);
        return CN_OK;
    }
    if (tags_hold(s, now.utc_s)) {
        s->update_due_ms = UINT64_MAX;
        return CN_OK;
    }
    if (s->update_due_ms == UINT64_MAX) {
        err = jitter(s, UPDATE_SPREAD_MS, &delay_ms);
        s->update_due_ms = now.ms + delay_ms;
        return err;
    }
    if (now.ms < s->update_due_ms)
        return CN_OK;
    *done = true;
    list_begin(s, CN_ADMISSION_UPDATE, now.utc_s);
    return CN_OK;
}

uint64_t cn_session_tags_deadline_ms(const struct cn_session *s, struct cn_now now)
{
    uint64_t due_ms = now.ms + cn_tag_epochs_change_s(now.utc_s) * 1000;

    if (s->state != CN_SESSION_WAITING || cn_session_list_is_begun(s))
        return UINT64_MAX;
    if (!tags_hold(s, now.utc_s))
        due_ms = s->update_due_ms != UINT64_MAX ? s->update_due_ms : now.ms;
    return due_ms < s->late_due_ms ? due_ms : s->late_due_ms;
}

/* The next keep-alive: after three quarters of the interval to all of it. */
static enum cn_err plan_keep_alive(struct cn_session *s, uint64_t now_ms)
{
    uint64_t interval_ms = (uint64_t)s->verdict.keep_alive_s * 1000;
    uint64_t less;
    enum cn_err err = jitter(s, interval_ms / 4, &less);

    s->keep_alive_due_ms = now_ms + interval_ms - less;
    return err;
}

/* If all were late, none would be. */
static void plan_late(struct cn_session *s, uint64_t now_ms)
{
    size_t late = 0;

    for (size_t i = 0; i < s->setup.want_count; i++)
        late += s->setup.want[i].late;
    s->late_in = late == 0 || late == s->setup.want_count;
    s->late_due_ms = s->late_in ? UINT64_MAX : now_ms + CN_SESSION_LATE_MS;
}

enum cn_err cn_session_take_verdict(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    enum cn_err err = cn_admission_verdict_read(&s->noise, in, &s->verdict, &s->line);

    if (err != CN_OK)
        return err;
    s->verdict_known = true;
    if (s->verdict.verdict != CN_VERDICT_ADMITTED)
        return CN_E_ADMISSION;
    if (s->setup.want_count > cn_want_count_max(&s->verdict))
        return CN_E_LIMIT;
    cn_session_enter(s, CN_SESSION_REGISTER, now.ms + CN_SESSION_ANSWER_TIMEOUT_MS);
    plan_late(s, now.ms);
    list_begin(s, CN_ADMISSION_REGISTER, now.utc_s);
    return plan_keep_alive(s, now.ms);
}

static const struct cn_want *want_of(struct cn_session *s, const struct cn_entry *entry,
                                     uint64_t utc_s)
{
    uint64_t now = utc_s / CN_TAG_EPOCH_S;
    uint8_t tag[CN_TAG_SIZE];

    for (size_t i = 0; i < s->setup.want_count; i++) {
        const struct cn_want *want = &s->setup.want[i];

        if (mode_of(want) != entry->mode)
            continue;
        /* a tag of ours may be one epoch old or early, and an UPDATE may have crossed JOINED */
        for (uint64_t epoch = now > 0 ? now - 1 : 0; epoch <= now + 1; epoch++) {
            if (cn_tag_make(s->setup.crypto, &want->pair->tag_key, want->service, epoch, tag) ==
                    CN_OK &&
                cn_equal_ct(tag, entry->tag, sizeof tag))
                return want;
        }
    }
    return NULL;
}

/* READY and the prologue behind it. */
static enum cn_err take_joined(struct cn_session *s, const struct cn_entry *entry,
                               struct cn_now now)
{
    const struct cn_admission_message ready = { .type = CN_ADMISSION_READY };
    const struct cn_want *want = want_of(s, entry, now.utc_s);
    struct cn_handshake_setup setup;
    const size_t ready_at = s->out_end;
    uint8_t *out;
    enum cn_err err;

    if (!want)
        return CN_E_FORMAT; /* not a tag of ours */
    if (want->witness)
        return CN_E_ANEW;
    setup = cn_session_handshake_setup(s, want);
    memcpy(setup.tag, entry->tag, sizeof setup.tag);
    s->list_sent = s->list_count; /* what is left of an UPDATE has no meaning any more */
    err = cn_session_send_message(s, &ready);
    if (err != CN_OK)
        return err;
    cn_admission_line_wipe(&s->line);
    out = cn_session_out_room(s, CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE);
    if (!out)
        return CN_E_FULL;
    err = cn_handshake_start(&s->handshake, &setup, out);
    if (err != CN_OK)
        return err;
    s->out_end += CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE;
    cn_session_hold(s, ready_at, now.ms, CN_PROLOGUE_DELAY_MS);
    s->joined = want;
    cn_session_enter(s, CN_SESSION_PROLOGUE, now.ms + CN_SESSION_ANSWER_TIMEOUT_MS);
    return CN_OK;
}

enum cn_err cn_session_take_admission(struct cn_session *s, const uint8_t *in, struct cn_now now)
{
    struct cn_admission_message m;
    enum cn_err err = cn_admission_open(&s->line, s->setup.crypto, in, &m);

    if (err != CN_OK)
        return err;
    s->heard_ms = now.ms;
    switch (m.type) {
    case CN_ADMISSION_WAITING:
        if (s->state != CN_SESSION_REGISTER || cn_session_list_is_begun(s))
            return CN_E_UNEXPECTED;
        cn_session_enter(s, CN_SESSION_WAITING, UINT64_MAX);
        return CN_OK;
    case CN_ADMISSION_KEEP_ALIVE: /* no answer to REGISTER */
        return s->state == CN_SESSION_WAITING ? CN_OK : CN_E_UNEXPECTED;
    case CN_ADMISSION_JOINED:
        if (s->state == CN_SESSION_REGISTER && cn_session_list_is_begun(s))
            return CN_E_UNEXPECTED;
        if (s->state == CN_SESSION_REGISTER)
            cn_session_enter(s, CN_SESSION_WAITING, UINT64_MAX);
        return take_joined(s, &m.entry[0], now);
    case CN_ADMISSION_GOAWAY:
        s->goaway_spread_s = m.spread_s;
        return CN_E_INTERRUPTED;
    case CN_ADMISSION_REFUSED:
        s->verdict.verdict = m.reason;
        return CN_E_ADMISSION;
    case CN_ADMISSION_REGISTER:
    case CN_ADMISSION_UPDATE:
    case CN_ADMISSION_READY:
    case CN_ADMISSION_TYPE_COUNT:
        break;
    }
    return CN_E_UNEXPECTED;
}

bool cn_session_is_waiting(const struct cn_session *s)
{
    return s->state == CN_SESSION_REGISTER || s->state == CN_SESSION_WAITING;
}

/* When a server that has said nothing is given up. */
uint64_t cn_session_silence_until_ms(const struct cn_session *s)
{
    return s->heard_ms + (uint64_t)s->verdict.keep_alive_s * 1000 * CN_SESSION_KEEP_ALIVE_GRACE;
}

enum cn_err cn_session_step_waiting(struct cn_session *s, struct cn_now now, bool *done)
{
    const struct cn_admission_message alive = { .type = CN_ADMISSION_KEEP_ALIVE };
    enum cn_err err = CN_OK;

    if (now.ms >= cn_session_silence_until_ms(s))
        return CN_E_TIMEOUT;
    if (cn_session_list_is_begun(s))
        return CN_OK;
    if (s->state == CN_SESSION_WAITING)
        err = step_tags(s, now, done);
    if (cn_session_list_is_begun(s))
        return err;
    if (err == CN_OK && now.ms >= s->keep_alive_due_ms) {
        err = cn_session_send_message(s, &alive);
        if (err == CN_OK)
            err = plan_keep_alive(s, now.ms);
        *done = true;
    }
    return err;
}
