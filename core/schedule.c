#include "schedule.h"

#include <assert.h>

static struct cn_turn *turn_of(struct cn_link *link)
{
    return link ? CN_LIST_MEMBER(link, struct cn_turn, link) : NULL;
}

void cn_schedule_init(struct cn_schedule *schedule)
{
    for (unsigned i = 0; i < CN_PRIORITY_COUNT; i++) {
        cn_list_init(&schedule->fresh[i]);
        cn_list_init(&schedule->busy[i]);
    }
}

void cn_schedule_add(struct cn_schedule *schedule, struct cn_turn *turn)
{
    if (cn_list_has(&turn->link))
        return;
    turn->fresh = true;
    turn->left = CN_TURN_FRESH_SIZE;
    cn_list_append(&schedule->fresh[turn->priority], &turn->link);
}

void cn_schedule_remove(struct cn_turn *turn)
{
    cn_list_remove(&turn->link);
}

void cn_schedule_set_priority(struct cn_schedule *schedule, struct cn_turn *turn,
                              enum cn_stream_priority priority)
{
    const bool has_data = cn_list_has(&turn->link);

    cn_list_remove(&turn->link);
    turn->priority = priority;
    if (has_data)
        cn_schedule_add(schedule, turn);
}

/* The first of those after a list of a priority: fresh 0, busy 0, fresh 1, ... */
static struct cn_turn *first_from(const struct cn_schedule *schedule, unsigned list)
{
    for (unsigned i = list; i < 2 * CN_PRIORITY_COUNT; i++) {
        const struct cn_list *at = i % 2 ? &schedule->busy[i / 2] : &schedule->fresh[i / 2];

        if (cn_list_first(at))
            return turn_of(cn_list_first(at));
    }
    return NULL;
}

struct cn_turn *cn_schedule_first(const struct cn_schedule *schedule)
{
    return first_from(schedule, 0);
}

static const struct cn_list *list_of(const struct cn_schedule *schedule, const struct cn_turn *turn)
{
    return turn->fresh ? &schedule->fresh[turn->priority] : &schedule->busy[turn->priority];
}

struct cn_turn *cn_schedule_next(const struct cn_schedule *schedule, const struct cn_turn *turn)
{
    struct cn_link *next = cn_list_next(list_of(schedule, turn), &turn->link);

    return next ? turn_of(next)
                : first_from(schedule, 2 * turn->priority + (turn->fresh ? 1U : 2U));
}

uint64_t cn_schedule_share(const struct cn_schedule *schedule, const struct cn_turn *turn)
{
    const bool alone = cn_list_first(&schedule->busy[turn->priority]) == &turn->link &&
                       !cn_list_next(&schedule->busy[turn->priority], &turn->link);

    return alone ? UINT64_MAX : (uint64_t)turn->left;
}

void cn_schedule_sent(struct cn_schedule *schedule, struct cn_turn *turn, uint64_t size,
                      uint64_t quantum)
{
    assert(quantum > 0);
    if (size < (uint64_t)turn->left) {
        turn->left -= (int64_t)size;
        return;
    }
    turn->left = (int64_t)quantum;
    turn->fresh = false;
    cn_list_move(&schedule->busy[turn->priority], &turn->link);
}

void cn_schedule_emptied(struct cn_schedule *schedule, struct cn_turn *turn)
{
    struct cn_list *busy = &schedule->busy[turn->priority];

    if (turn->fresh && cn_list_first(busy)) {
        turn->fresh = false;
        cn_list_move(busy, &turn->link);
    } else {
        cn_list_remove(&turn->link);
    }
}
