/* accepting.h - the gate's side of the listening sockets: accept while there is room. */
#ifndef CN_ACCEPTING_H
#define CN_ACCEPTING_H

#include "gate.h"
#include "listener.h"

struct cn_accepting_at {
    struct cn_watch watch; /* first */
    struct cn_accepting *all;
};

struct cn_accepting {
    struct cn_loop *loop; /* borrowed, as is gate */
    struct cn_gate *gate;
    struct cn_accepting_at at[CN_LISTENERS_MAX];
    size_t count;
    bool paused;
    bool paused_told; /* in the log; the next one accepted is told too */
    struct cn_timer resume;
};

void cn_accepting_init(struct cn_accepting *accepting, struct cn_loop *loop, struct cn_gate *gate);
/* Accept there too; owns fd on CN_OK. CN_E_LIMIT, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_accepting_add(struct cn_accepting *accepting, int fd);
/* No more; closes its copies of the sockets. */
void cn_accepting_end(struct cn_accepting *accepting);

#endif
