#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "connect.h"

enum { DELAY_MS_MIN = 1000, DELAY_DOUBLINGS_MAX = 8 /* about four minutes */ };

struct cn_pending *cn_pending_find(const struct cn_agent *agent, const char *id)
{
    for (size_t i = 0; i < agent->pending_count; i++) {
        if (strcmp(agent->pending[i].id, id) == 0)
            return &agent->pending[i];
    }
    return NULL;
}

static bool pending_add(struct cn_agent *agent, const struct cn_delivery *delivery)
{
    struct cn_pending *more = realloc(agent->pending, (agent->pending_count + 1) * sizeof more[0]);

    if (!more)
        return false;
    agent->pending = more;
    more[agent->pending_count] = (struct cn_pending) { .found = true };
    memcpy(more[agent->pending_count].id, delivery->id, sizeof delivery->id);
    memcpy(more[agent->pending_count].contact, delivery->contact, sizeof delivery->contact);
    agent->pending_count++;
    return true;
}

static void forget_others(struct cn_agent *agent)
{
    size_t kept = 0;

    for (size_t i = 0; i < agent->pending_count; i++) {
        if (agent->pending[i].found)
            agent->pending[kept++] = agent->pending[i];
    }
    agent->pending_count = kept;
}

void cn_pending_read(struct cn_agent *agent)
{
    struct cn_delivery *list = NULL;
    size_t count = 0;
    enum cn_err err = cn_queue_list(agent->cli->home, &list, &count);

    agent->queue_stale = err != CN_OK;
    if (err != CN_OK) {
        cn_waiting_again(agent, err, "reading the queue");
        return;
    }
    for (size_t i = 0; i < agent->pending_count; i++)
        agent->pending[i].found = false;
    for (size_t i = 0; i < count; i++) {
        struct cn_pending *known = cn_pending_find(agent, list[i].id);

        if (list[i].failed[0])
            continue;
        if (known) {
            known->found = true;
            memcpy(known->contact, list[i].contact, sizeof known->contact);
        } else {
            agent->queue_stale |= !pending_add(agent, &list[i]);
        }
    }
    if (agent->queue_stale)
        cn_waiting_again(agent, CN_E_MEMORY, "reading the queue");
    cn_queue_free(list, count);
    forget_others(agent);
    agent->wants_stale = true;
}

struct cn_pending *cn_pending_next(const struct cn_agent *agent, const char *contact)
{
    uint64_t now_ms = cn_connect_clock_ms();

    for (size_t i = 0; i < agent->pending_count; i++) {
        struct cn_pending *p = &agent->pending[i];

        if (!p->under_way && now_ms >= p->due_ms && strcmp(p->contact, contact) == 0)
            return p;
    }
    return NULL;
}

void cn_pending_delay(struct cn_agent *agent, struct cn_pending *pending)
{
    unsigned doublings =
        pending->failures < DELAY_DOUBLINGS_MAX ? pending->failures : DELAY_DOUBLINGS_MAX;

    pending->failures++;
    pending->due_ms = cn_connect_clock_ms() + ((uint64_t)DELAY_MS_MIN << doublings);
    agent->wants_stale = true;
}

uint64_t cn_pending_due_ms(const struct cn_agent *agent)
{
    uint64_t now_ms = cn_connect_clock_ms();
    uint64_t due_ms = UINT64_MAX;

    for (size_t i = 0; i < agent->pending_count; i++) {
        const struct cn_pending *p = &agent->pending[i];

        if (p->due_ms > now_ms && p->due_ms < due_ms)
            due_ms = p->due_ms;
    }
    return due_ms;
}
