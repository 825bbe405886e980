/* happening.h - the events of a transfer that its owner has not taken yet. */
#ifndef CN_HAPPENING_H
#define CN_HAPPENING_H

#include <cyphernet.h>

struct cn_happening; /* one of them */

/* Zeroed, it is ready. */
struct cn_happenings {
    struct cn_happening *first, *last;
    struct cn_happening *taken; /* whose paths the owner may still look at */
    bool lost;                  /* there was no memory for one */
};

/* event's paths are copied. */
void cn_happenings_add(struct cn_happenings *happenings, const struct cn_transfer_event *event);
/* False: none. */
bool cn_happenings_take(struct cn_happenings *happenings, struct cn_transfer_event *event);
static inline bool cn_happenings_any(const struct cn_happenings *happenings)
{
    return happenings->first != NULL;
}
void cn_happenings_wipe(struct cn_happenings *happenings);

#endif
