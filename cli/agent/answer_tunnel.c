/* answer_tunnel.c - what the contact may reach from here: cli/tunneling.c, with the rules of
 * agent.conf. */
#include <stdlib.h>

#include "agent.h"
#include "tunneling.h"

static enum cn_err rules_add(struct cn_tunnel *tunnel, const struct cn_rule *rule)
{
    enum cn_err err = CN_OK;

    for (size_t i = 0; i < rule->allow_count && err == CN_OK; i++)
        err = cn_tunnel_allow(tunnel, rule->allow[i]);
    for (size_t i = 0; i < rule->allow_listen_count && err == CN_OK; i++)
        err = cn_tunnel_allow_listening(tunnel, rule->allow_listen[i]);
    return err;
}

static bool begin(struct cn_agent_call *c)
{
    struct cn_tunneling *t = calloc(1, sizeof *t);
    enum cn_err err = t ? cn_tunnel_open(&t->tunnel) : CN_E_MEMORY;

    if (err == CN_OK)
        err = rules_add(t->tunnel, cn_agent_rule(c->agent, c->contact));
    if (err != CN_OK) {
        if (t)
            cn_tunnel_free(t->tunnel);
        free(t);
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "it cannot begin: %s", cn_err_text(err));
        cn_call_cancel(c->call, CN_E_SYSTEM);
        return false;
    }
    t->cli = c->agent->cli;
    t->serving = true;
    t->dial =
        (struct cn_dial) { .call = c->call, .name = c->contact, .is_open = true, .events_fd = -1 };
    c->work = t;
    return true;
}

static void process(struct cn_agent_call *c)
{
    struct cn_tunneling *t = c->work;

    cn_tunneling_process(t);
    c->over = t->closed;
}

static size_t descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    return cn_tunneling_descriptors(c->work, polled, timeout_ms);
}

static void leave(struct cn_agent_call *c)
{
    struct cn_tunneling *t = c->work;

    if (t->begun)
        cn_tunneling_leave(t);
    else
        cn_call_cancel(c->call, CN_E_CANCELLED);
}

static void end(struct cn_agent_call *c)
{
    struct cn_tunneling *t = c->work;
    enum cn_history_outcome outcome = CN_HISTORY_DONE;
    char connections[CN_COUNT_TEXT_SIZE];

    if (t->code != CN_EXIT_DONE)
        outcome = t->code == CN_EXIT_INTERRUPTED ? CN_HISTORY_INTERRUPTED : CN_HISTORY_FAILED;
    cn_agent_call_tell(c, outcome, "%s, %u refused",
                       cn_count_text(connections, t->opened, "connection"), t->refused);
    t->dial.call = NULL; /* the agent's */
    cn_tunnel_free(t->tunnel);
    free(t);
}

const struct cn_answer cn_answer_tunnel = {
    .service = "tunnel",
    .begin = begin,
    .process = process,
    .descriptors = descriptors,
    .leave = leave,
    .end = end,
};
