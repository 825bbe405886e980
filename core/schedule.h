/* schedule.h - whose data goes next, among the streams that have some. PROTOCOL.md 6.6
 *
 * By priority first. Among equals it is fair by octets (deficit round robin), but whoever was quiet
 * until now goes before those who always have something, with a little: a conversation does not
 * wait for the bulk beside it, though nobody has said which is which. */
#ifndef CN_SCHEDULE_H
#define CN_SCHEDULE_H

#include <cyphernet.h>
#include <stdint.h>

#include "list.h"

enum {
    CN_PRIORITY_COUNT = CN_PRIORITY_BULK + 1,
    CN_TURN_FRESH_SIZE = 4096 /* octets that one who was quiet may say before the others */
};

/* A stream's place. */
struct cn_turn {
    struct cn_link link;
    enum cn_stream_priority priority;
    bool fresh;   /* was quiet until it was added */
    int64_t left; /* octets that it may send before the next one's turn */
};

struct cn_schedule {
    struct cn_list fresh[CN_PRIORITY_COUNT];
    struct cn_list busy[CN_PRIORITY_COUNT];
};

void cn_schedule_init(struct cn_schedule *schedule);
/* It has something to send. Nothing changes if it is there already. */
void cn_schedule_add(struct cn_schedule *schedule, struct cn_turn *turn);
/* Harmless if it is not there. */
void cn_schedule_remove(struct cn_turn *turn);
void cn_schedule_set_priority(struct cn_schedule *schedule, struct cn_turn *turn,
                              enum cn_stream_priority priority);
/* Whose turn it is; NULL: nobody's. */
struct cn_turn *cn_schedule_first(const struct cn_schedule *schedule);
/* And who would be next after that one; NULL: nobody. */
struct cn_turn *cn_schedule_next(const struct cn_schedule *schedule, const struct cn_turn *turn);
/* Octets that whose turn it is may send now: more if nobody else waits with its priority. */
uint64_t cn_schedule_share(const struct cn_schedule *schedule, const struct cn_turn *turn);
/* It has sent size octets. quantum: what each gets when it has used up what was left to it. */
void cn_schedule_sent(struct cn_schedule *schedule, struct cn_turn *turn, uint64_t size,
                      uint64_t quantum);
/* It has nothing more. Who was fresh is not so again before its round is over. */
void cn_schedule_emptied(struct cn_schedule *schedule, struct cn_turn *turn);

#endif
