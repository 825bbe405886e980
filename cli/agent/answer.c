#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

size_t cn_agent_call_descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    cn_agent_shorten(timeout_ms, cn_call_timeout_ms(c->call));
    return cn_call_descriptors(c->call, polled, CN_CALL_DESCRIPTORS_MAX);
}

void cn_agent_call_leave(struct cn_agent_call *c)
{
    cn_call_cancel(c->call, CN_E_CANCELLED);
}

void cn_agent_call_tell(struct cn_agent_call *c, enum cn_history_outcome outcome,
                        const char *format, ...)
{
    va_list args;

    c->outcome = outcome;
    va_start(args, format);
    (void)vsnprintf(c->what, sizeof c->what, format, args);
    va_end(args);
}

void cn_agent_call_tell_end(struct cn_agent_call *c, enum cn_err err, const char *so_far)
{
    if (err == CN_E_REFUSED)
        cn_agent_call_tell(c, CN_HISTORY_REFUSED, "%s; refused by %s", so_far, c->contact);
    else if (err == CN_E_CANCELLED)
        cn_agent_call_tell(c, CN_HISTORY_INTERRUPTED, "%s; given up here", so_far);
    else if (err == CN_E_ANEW)
        cn_agent_call_tell(c, CN_HISTORY_INTERRUPTED, "%s; begun anew by %s", so_far, c->contact);
    else if (err == CN_E_INTERRUPTED)
        cn_agent_call_tell(c, CN_HISTORY_INTERRUPTED, "%s; the call was interrupted", so_far);
    else
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "%s; %s", so_far, cn_err_text(err));
}

const struct cn_rule *cn_agent_rule(const struct cn_agent *agent, const char *contact)
{
    for (size_t i = 0; i < agent->contact_count; i++) {
        const struct cn_contact_info *info = &agent->contact[i];

        if (strcmp(info->name, contact) == 0)
            return cn_rules_find(&agent->rules, contact, info->verified);
    }
    return NULL;
}

/* --- refusing ------------------------------------------------------------------------------- */

static bool refusal_begin(struct cn_agent_call *c)
{
    cn_agent_call_tell(c, CN_HISTORY_REFUSED,
                       c->agent->ending ? "the agent is ending" : "as the rules say");
    cn_call_cancel(c->call, CN_E_REFUSED);
    return true;
}

static void refusal_process(struct cn_agent_call *c)
{
    struct cn_event event;

    cn_call_process(c->call);
    while (!c->over && cn_call_next_event(c->call, &event))
        c->over = event.type == CN_EVENT_CLOSED;
}

static void refusal_leave(struct cn_agent_call *c)
{
    (void)c; /* it is as good as over */
}

static void refusal_end(struct cn_agent_call *c)
{
    (void)c;
}

const struct cn_answer cn_answer_refusal = {
    .service = NULL, /* that of what is refused */
    .begin = refusal_begin,
    .process = refusal_process,
    .descriptors = cn_agent_call_descriptors,
    .leave = refusal_leave,
    .end = refusal_end,
};

/* --- choosing ------------------------------------------------------------------------------- */

static const struct cn_answer *const answers[] = {
    [CN_CALL_TALK] = &cn_answer_talk,
    [CN_CALL_PIPE] = &cn_answer_pipe,
    [CN_CALL_FILE] = &cn_answer_files,
    [CN_CALL_FORWARD] = &cn_answer_tunnel,
};

/* By the rules that hold now, which may be others than when it was waited for. */
static const struct cn_answer *answer_of(const struct cn_agent_call *c)
{
    const struct cn_rule *rule = cn_agent_rule(c->agent, c->contact);

    if (c->agent->ending)
        return &cn_answer_refusal;
    if (c->service == CN_CALL_FILE && c->caller)
        return cn_pending_next(c->agent, c->contact) ? &cn_answer_delivery : &cn_answer_refusal;
    if (!rule || !cn_rule_answers(rule, c->service))
        return &cn_answer_refusal;
    if (c->service == CN_CALL_TALK && rule->talk == CN_RULE_TALK_REFUSE)
        return &cn_answer_refusal;
    return answers[c->service];
}

void cn_answer_begin(struct cn_agent_call *c)
{
    const struct cn_answer *answer = answer_of(c);

    c->polled = NULL; /* it was of other descriptors */
    c->kind = answer == &cn_answer_refusal ? answers[c->service]->service : answer->service;
    /* where it cannot be begun nothing is left to be done but the end */
    c->answer = answer->begin(c) ? answer : &cn_answer_refusal;
}

void cn_agent_call_end(struct cn_agent_call *c)
{
    if (c->answer) {
        c->answer->end(c);
        cn_history_tell(&c->agent->history,
                        &(struct cn_history_line) { c->contact, c->kind, c->outcome, c->what });
    }
    cn_call_free(c->call);
    free(c);
}
