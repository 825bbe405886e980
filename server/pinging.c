/* pinging.c - the supervisor asks whether they live. */
#include "subprocess.h"

enum {
    START_MS_MAX = 30000, /* sanitizers on a busy machine need a part of it */
    PING_MS = 5000,
    PINGS_MISSED_MAX = 2 /* who has not answered by the second after one is stuck */
};

/* Pings are counted, not time, which goes on while all are stopped, or the machine is. One for
 * which there is no room counts as well, and is sent later: who begins to take again shall live. */
static void ping(struct cn_subprocess *child)
{
    const struct cn_message m = { .type = CN_MESSAGE_PING };

    if (child->pings_missed == PINGS_MISSED_MAX)
        cn_subprocess_end(child, "it does not answer");
    else
        child->pings_missed++;
    if (!child->pinged && child->channel.fd >= 0)
        child->pinged = cn_channel_send(child->channel.fd, &m, NULL, 0) == CN_OK;
}

void cn_pinging_answered(struct cn_subprocess *child)
{
    child->pinged = false;
    child->pings_missed = 0;
}

static bool answers(const struct cn_subprocess *child)
{
    return child->state == CN_SUBPROCESS_RUNNING && child->pings_missed < PINGS_MISSED_MAX;
}

bool cn_supervisor_serves(const struct cn_supervisor *supervisor)
{
    const struct cn_subprocess *c = supervisor->children;

    while (c < supervisor->children + CN_CHILDREN_MAX && (c->role != CN_ROLE_SWITCH || !answers(c)))
        c++;
    return c < supervisor->children + CN_CHILDREN_MAX && supervisor->gate &&
           answers(supervisor->gate);
}

static void ping_fire(struct cn_timer *timer)
{
    struct cn_supervisor *s =
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, pinging));

    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state > CN_SUBPROCESS_STARTING)
            ping(c);
        else if (c->state == CN_SUBPROCESS_STARTING &&
                 s->setup.loop->now_ms > c->started_ms + START_MS_MAX)
            cn_subprocess_end(c, "it does not begin");
    }
    cn_loop_timer_set(s->setup.loop, timer, s->setup.loop->now_ms + PING_MS);
}

void cn_pinging_begin(struct cn_supervisor *s)
{
    s->pinging.fire = ping_fire;
    cn_loop_timer_set(s->setup.loop, &s->pinging, s->setup.loop->now_ms + PING_MS);
}
