#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent.h"
#include "connect.h"
#include "dial.h"

enum {
    AGENT_RESUME_S = 600, /* a place among its calls is not kept for longer */
    DELAY_MS_MIN = 500,
    DELAY_DOUBLINGS_MAX = 9, /* four minutes */
    STEADY_MS = 10000,       /* a line that stood for so long begins the delays anew */
    AGAIN_MS = 2000          /* until what could not be read is read again */
};

/* --- what is wanted ------------------------------------------------------------------------- */

struct wants {
    struct cn_agent_want *want; /* owned */
    size_t count;
};

static bool want_add(struct cn_agent *agent, struct wants *wants, const char *contact,
                     enum cn_call_service service, bool caller)
{
    struct cn_agent_want *more;

    if (cn_control_is_left(&agent->control, contact, service, caller))
        return true;
    more = realloc(wants->want, (wants->count + 1) * sizeof more[0]);
    if (!more)
        return false;
    wants->want = more;
    more[wants->count] = (struct cn_agent_want) { .service = service, .caller = caller };
    snprintf(more[wants->count++].contact, sizeof more->contact, "%s", contact);
    return true;
}

/* Somebody has come for it, and has not proven yet to be the contact. */
static bool delivery_begins(const struct cn_agent *agent, const char *contact)
{
    for (size_t i = 0; i < agent->call_count; i++) {
        const struct cn_agent_call *c = agent->call[i];

        if (!c->answer && c->service == CN_CALL_FILE && c->caller &&
            strcmp(c->contact, contact) == 0)
            return true;
    }
    return false;
}

static size_t calls_of(const struct cn_agent *agent, const char *contact)
{
    size_t count = 0;

    for (size_t i = 0; i < agent->call_count; i++)
        count += strcmp(agent->call[i]->contact, contact) == 0;
    return count;
}

static bool contact_wants(struct cn_agent *agent, struct wants *wants,
                          const struct cn_contact_info *info)
{
    const struct cn_rule *rule = cn_rules_find(&agent->rules, info->name, info->verified);
    bool fine = true;

    for (int service = CN_CALL_TALK; rule && fine && service <= CN_CALL_FORWARD; service++) {
        if (cn_rule_answers(rule, (enum cn_call_service)service))
            fine = want_add(agent, wants, info->name, (enum cn_call_service)service, false);
    }
    if (fine && cn_pending_next(agent, info->name) && !delivery_begins(agent, info->name))
        fine = want_add(agent, wants, info->name, CN_CALL_FILE, true);
    return fine;
}

/* False: no memory. */
static bool wants_make(struct cn_agent *agent, struct wants *wants)
{
    *wants = (struct wants) { 0 };
    for (size_t i = 0; i < agent->contact_count; i++) {
        const struct cn_contact_info *info = &agent->contact[i];

        if (info->err != CN_OK || !info->offered || !info->accepted || agent->unusable[i] ||
            calls_of(agent, info->name) >= CN_AGENT_CALLS_EACH_MAX)
            continue;
        if (!contact_wants(agent, wants, info))
            return false;
    }
    return true;
}

/* --- lines ---------------------------------------------------------------------------------- */

static void line_close(struct cn_agent_line *line)
{
    if (line->call)
        cn_agent_call_end(line->call);
    line->call = NULL;
}

static void line_drop(struct cn_agent_line *line)
{
    line_close(line);
    free(line->want);
    *line = (struct cn_agent_line) { 0 };
}

/* Not at once: a little later each time, and not all agents of a server at one time. */
static void line_delay(struct cn_agent_line *line)
{
    bool was_steady = line->since_ms != 0 && cn_connect_clock_ms() - line->since_ms >= STEADY_MS;
    unsigned failures = was_steady ? 0 : line->failures;
    unsigned doublings = failures < DELAY_DOUBLINGS_MAX ? failures : DELAY_DOUBLINGS_MAX;
    uint64_t delay_ms = (uint64_t)DELAY_MS_MIN << doublings;
    uint8_t random = 128;

    (void)!getrandom(&random, sizeof random, 0); /* else it is merely not jittered */
    line->failures++;
    line->since_ms = 0;
    line->open_ms = cn_connect_clock_ms() + delay_ms / 2 + delay_ms * random / 256;
}

/* The contact that a failure is about: it alone is left out, until contacts change. */
static bool contact_leave_out(struct cn_agent *agent)
{
    const char *about = cn_home_detail(agent->cli->home)->about;
    const char *slash = strrchr(about, '/');
    const char *name = slash ? slash + 1 : about;

    for (size_t i = 0; i < agent->contact_count; i++) {
        if (strcmp(agent->contact[i].name, name) != 0 || agent->unusable[i])
            continue;
        agent->unusable[i] = true;
        return true;
    }
    return false;
}

static void open_failed(struct cn_agent *agent, struct cn_agent_line *line, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(agent->cli->home);
    bool starved =
        err == CN_E_MEMORY || (err == CN_E_SYSTEM && cn_is_shortage(detail->system_error));

    line_delay(line);
    if (starved) {
        if (!agent->told_starved)
            cn_warn("no room for another call until one ends: too many files are open, or memory "
                    "is short");
        agent->told_starved = true;
        return;
    }
    (void)cn_fail(agent->cli, err, "waiting");
    if (contact_leave_out(agent)) {
        agent->wants_stale = true;
        line->failures = 0;
        line->open_ms = 0;
    }
}

static struct cn_agent_call *call_make(struct cn_agent *agent)
{
    struct cn_agent_call *c = calloc(1, sizeof *c);

    if (c)
        c->agent = agent;
    return c;
}

static void line_open(struct cn_agent *agent, struct cn_agent_line *line)
{
    struct cn_call_want *wants = calloc(line->want_count, sizeof wants[0]);
    struct cn_agent_call *c = cn_has_room() ? call_make(agent) : NULL;
    enum cn_err err = wants && c ? CN_OK : CN_E_MEMORY;

    for (size_t i = 0; wants && i < line->want_count; i++)
        wants[i] = (struct cn_call_want) { line->want[i].contact, line->want[i].service,
                                           line->want[i].caller };
    if (err == CN_OK)
        err = cn_call_open_any(&c->call, agent->cli->home, wants, line->want_count, -1);
    free(wants);
    if (err == CN_OK) {
        cn_call_set_resume(c->call, AGENT_RESUME_S);
        line->call = c;
        return;
    }
    free(c);
    open_failed(agent, line, err);
}

static bool wants_equal(const struct cn_agent_line *line, const struct cn_agent_want *want,
                        size_t count)
{
    if (line->want_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct cn_agent_want *a = &line->want[i], *b = &want[i];

        if (a->service != b->service || a->caller != b->caller ||
            strcmp(a->contact, b->contact) != 0)
            return false;
    }
    return true;
}

/* What a line waits for is another from now on. A call that somebody has come to already goes on.
 * False: no memory, all is as it was. */
static bool line_set(struct cn_agent *agent, struct cn_agent_line *line,
                     const struct cn_agent_want *want, size_t count)
{
    struct cn_agent_want *copy;

    if (!want || count == 0 || (wants_equal(line, want, count) && !agent->reopen))
        return true;
    copy = malloc(count * sizeof copy[0]);
    if (!copy)
        return false;
    memcpy(copy, want, count * sizeof copy[0]);
    line_drop(line);
    line->want = copy;
    line->want_count = count;
    return true;
}

/* False: not all, for want of memory. */
static bool lines_share(struct cn_agent *agent, const struct wants *wants)
{
    size_t each = agent->line_want_count;
    size_t count = (wants->count + each - 1) / each;
    bool fine = true;

    if (count > CN_AGENT_LINE_COUNT_MAX) {
        cn_warn("there is more to wait for than the server allows: some is left out");
        cn_hint("give less to [*], or fewer contacts sections of their own");
        count = CN_AGENT_LINE_COUNT_MAX;
    }
    while (agent->line_count > count)
        line_drop(&agent->line[--agent->line_count]);
    while (agent->line_count < count)
        agent->line[agent->line_count++] = (struct cn_agent_line) { 0 };
    for (size_t i = 0; i < count; i++) {
        size_t begin = i * each;
        size_t size = wants->count - begin < each ? wants->count - begin : each;

        fine &= line_set(agent, &agent->line[i], wants->want + begin, size);
    }
    agent->reopen &= !fine;
    if (wants->count > 0 || agent->contacts_stale || agent->queue_stale)
        return fine;
    if (!agent->told_waiting)
        cn_say(agent->cli,
               "there is nothing to wait for: no rule answers a contact, and nothing is "
               "queued");
    agent->told_waiting = true;
    return fine;
}

/* --- contacts ------------------------------------------------------------------------------- */

void cn_waiting_again(struct cn_agent *agent, enum cn_err err, const char *what)
{
    if (!agent->told_starved)
        (void)cn_fail(agent->cli, err, what);
    agent->told_starved = true;
    agent->again_ms = cn_connect_clock_ms() + AGAIN_MS;
}

static void contacts_read(struct cn_agent *agent)
{
    struct cn_contact_info *list = NULL;
    size_t count = 0;
    enum cn_err err = cn_contact_list(agent->cli->home, &list, &count);
    bool *unusable = err == CN_OK ? calloc(count + 1, sizeof unusable[0]) : NULL;

    agent->contacts_stale = !unusable;
    if (!unusable) {
        cn_waiting_again(agent, err == CN_OK ? CN_E_MEMORY : err, "reading the contacts");
        free(list);
        return;
    }
    free(agent->contact);
    free(agent->unusable);
    agent->contact = list;
    agent->contact_count = count;
    agent->unusable = unusable;
    agent->wants_stale = agent->reopen = true;
    agent->told_waiting = false;
}

/* --- rounds --------------------------------------------------------------------------------- */

static void wants_update(struct cn_agent *agent)
{
    struct wants wants;

    agent->control.changed = false;
    agent->wants_stale = !wants_make(agent, &wants) || !lines_share(agent, &wants);
    if (agent->wants_stale) /* until then as they are */
        cn_waiting_again(agent, CN_E_MEMORY, "waiting");
    agent->wants_due_ms = cn_pending_due_ms(agent);
    free(wants.want);
}

static bool has_place(const struct cn_agent *agent)
{
    return agent->call_count + agent->line_count <= CN_AGENT_CALL_COUNT_MAX;
}

void cn_waiting_update(struct cn_agent *agent)
{
    uint64_t now_ms = cn_connect_clock_ms();
    bool may_read = now_ms >= agent->again_ms;

    if (agent->ending)
        return;
    if (agent->contacts_stale && may_read)
        contacts_read(agent);
    if (agent->queue_stale && may_read)
        cn_pending_read(agent);
    if ((agent->wants_stale && may_read) || agent->control.changed || now_ms >= agent->wants_due_ms)
        wants_update(agent);
    for (size_t i = 0; i < agent->line_count; i++) {
        struct cn_agent_line *line = &agent->line[i];

        if (!line->call && line->want_count > 0 && now_ms >= line->open_ms && has_place(agent))
            line_open(agent, line);
    }
}

/* The server, or the way to it. */
static void lost(struct cn_agent *agent, const struct cn_event *event)
{
    const char *about = cn_home_detail(agent->cli->home)->about;
    bool no_server =
        event->err == CN_E_UNREACHABLE || event->err == CN_E_HUNG_UP || event->err == CN_E_PROXY;

    if (event->err == CN_OK) /* cards were replaced */
        return;
    if (!agent->told_lost && no_server && about[0])
        cn_warn("%s: %s; trying again", about, cn_err_text(event->err));
    else if (!agent->told_lost)
        cn_say(agent->cli, "the line was lost (%s); trying again", cn_err_text(event->err));
    agent->told_lost = true;
    agent->told_waiting = false;
}

/* Refused, with no hope in trying again soon. */
static bool is_final(int refusal)
{
    return refusal == CN_REFUSAL_REVOKED || refusal == CN_REFUSAL_EXPIRED;
}

static void closed(struct cn_agent *agent, struct cn_agent_line *line, enum cn_err err)
{
    int refusal = cn_call_admission_note(line->call->call)->refusal;
    size_t wants_max = cn_call_wants_max(line->call->call);

    if (err == CN_E_LIMIT && wants_max > 0 && wants_max < agent->line_want_count) {
        agent->line_want_count = wants_max;
        agent->wants_stale = true;
        line_close(line);
        return;
    }
    if (err != CN_E_ADMISSION) {
        cn_error("waiting: %s", cn_err_text(err));
    } else if (line->failures == 0 || is_final(refusal)) {
        cn_error("%s", cn_refusal_what(refusal));
        cn_hint("%s", cn_refusal_hint(refusal));
    }
    if (err == CN_E_ADMISSION && is_final(refusal)) {
        agent->code = CN_EXIT_NOT_ADMITTED;
        agent->ending = true;
    }
    line_close(line);
    line_delay(line);
}

/* Somebody has come: the line becomes a call, and another waits in its place. */
static void joined(struct cn_agent *agent, struct cn_agent_line *line)
{
    struct cn_agent_call *c = line->call;

    c->joined = true;
    c->service = cn_call_service(c->call);
    c->caller = cn_call_is_caller(c->call);
    snprintf(c->contact, sizeof c->contact, "%s", cn_call_contact(c->call));
    agent->call[agent->call_count++] = c;
    agent->wants_stale = true; /* there may be nothing else to be delivered, or no more room */
    line->call = NULL;
    line->since_ms = 0;
}

static void tell_waiting(struct cn_agent *agent)
{
    char contacts[CN_COUNT_TEXT_SIZE];
    const char *before = "";
    size_t count = 0;

    for (size_t i = 0; i < agent->line_count; i++) {
        for (size_t k = 0; k < agent->line[i].want_count; k++) {
            const char *contact = agent->line[i].want[k].contact;

            count += strcmp(contact, before) != 0; /* those of one stand side by side */
            before = contact;
        }
    }
    if (!agent->told_waiting && (count != agent->told_waiting_count || agent->told_lost))
        cn_say(agent->cli, "waiting for %s", cn_count_text(contacts, count, "contact"));
    agent->told_waiting_count = count;
    agent->told_waiting = true;
    agent->told_lost = agent->told_starved = false;
}

static void event_take(struct cn_agent *agent, struct cn_agent_line *line,
                       const struct cn_event *event)
{
    const struct cn_dial dial = { .call = line->call->call, .name = "*", .events_fd = -1 };

    switch (event->type) {
    case CN_EVENT_WAITING:
        line->since_ms = cn_connect_clock_ms();
        tell_waiting(agent);
        break;
    case CN_EVENT_RETRY:
        lost(agent, event);
        break;
    case CN_EVENT_NOTICE:
        cn_tell_notices(agent->cli, &dial);
        break;
    case CN_EVENT_JOINED:
        joined(agent, line);
        break;
    case CN_EVENT_CLOSED:
        closed(agent, line, event->err);
        break;
    case CN_EVENT_NONE:
    case CN_EVENT_QUIET:
    case CN_EVENT_HEARD:
    case CN_EVENT_LOST:
    case CN_EVENT_RECONNECTING:
    case CN_EVENT_RESUMED:
    case CN_EVENT_CONNECTED:
    case CN_EVENT_OPEN:
    case CN_EVENT_STREAM:
    case CN_EVENT_READABLE:
    case CN_EVENT_WRITABLE:
    case CN_EVENT_PROGRESS:
    case CN_EVENT_CARDS:
        break;
    }
}

void cn_waiting_process(struct cn_agent *agent)
{
    for (size_t i = 0; i < agent->line_count; i++) {
        struct cn_agent_line *line = &agent->line[i];
        struct cn_event event;

        if (line->call)
            cn_call_process(line->call->call);
        while (line->call && cn_call_next_event(line->call->call, &event))
            event_take(agent, line, &event);
    }
}

int cn_waiting_timeout_ms(const struct cn_agent *agent)
{
    uint64_t now_ms = cn_connect_clock_ms();
    uint64_t due_ms = agent->wants_due_ms;
    int timeout_ms = -1;

    if ((agent->contacts_stale || agent->queue_stale || agent->wants_stale) &&
        agent->again_ms < due_ms)
        due_ms = agent->again_ms;
    for (size_t i = 0; i < agent->line_count; i++) {
        const struct cn_agent_line *line = &agent->line[i];

        if (line->call)
            cn_agent_shorten(&timeout_ms, cn_call_timeout_ms(line->call->call));
        else if (line->want_count > 0 && has_place(agent) && line->open_ms < due_ms)
            due_ms = line->open_ms;
    }
    if (due_ms != UINT64_MAX)
        cn_agent_shorten(&timeout_ms, due_ms > now_ms ? (int)(due_ms - now_ms) : 0);
    return timeout_ms;
}

void cn_waiting_end(struct cn_agent *agent)
{
    while (agent->line_count > 0)
        line_drop(&agent->line[--agent->line_count]);
}
