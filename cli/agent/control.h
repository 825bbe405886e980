/* control.h - the agent's end of its socket: who asks for what, and who wants to be left something
 * for as long as he stays connected. demand.h says what is spoken. */
#ifndef CN_AGENT_CONTROL_H
#define CN_AGENT_CONTROL_H

#include <limits.h>

#include "cli.h"
#include "demand.h"

struct pollfd;

enum { CN_CONTROL_ASKER_COUNT = 64, CN_CONTROL_DESCRIPTOR_COUNT = CN_CONTROL_ASKER_COUNT + 1 };

enum cn_asker_state {
    CN_ASKER_NONE = 0,
    CN_ASKER_SPEAKS, /* until due_ms */
    CN_ASKER_ASKS,   /* demand is there, to be answered */
    CN_ASKER_IS_LEFT /* what demand says */
};

struct cn_asker {
    enum cn_asker_state state;
    int fd;
    uint64_t due_ms;
    struct cn_demand demand;
    char line[CN_DEMAND_SIZE_MAX];
    size_t line_size;
};

struct cn_control {
    int listener; /* -1: not open */
    int lock;     /* held as long as the agent lives */
    char path[PATH_MAX];
    bool changed; /* what is left to others, since the owner has looked */
    struct cn_asker asker[CN_CONTROL_ASKER_COUNT];
};

/* CN_E_EXISTS: another agent is there; CN_E_SYSTEM (the home's detail). */
CN_MUST_USE enum cn_err cn_control_open(struct cn_control *control, struct cn_home *home);
/* One that was not opened is fine if it is zeroed but for listener and lock. */
void cn_control_close(struct cn_control *control);
/* Fills CN_CONTROL_DESCRIPTOR_COUNT, and shortens *timeout_ms; then what poll says of them. */
size_t cn_control_descriptors(const struct cn_control *control, struct pollfd *polled,
                              int *timeout_ms);
void cn_control_polled(struct cn_control *control, const struct pollfd *polled);
/* The next who asks, or NULL: answer with one of these. */
struct cn_asker *cn_control_next(struct cn_control *control);
/* A word, and that is all. */
void cn_control_answer(struct cn_asker *asker, const char *reply);
/* He is left what he asks for from now on; then say ok. */
void cn_control_leave(struct cn_control *control, struct cn_asker *asker);
void cn_control_confirm(const struct cn_asker *asker);
/* Say ok, with a descriptor, which is borrowed, unless that is -1; from then on the connection's is
 * the caller's, for what he asks for. */
int cn_control_take(struct cn_asker *asker, int passed);
/* Whether this is left to somebody. */
bool cn_control_is_left(const struct cn_control *control, const char *contact,
                        enum cn_call_service service, bool caller);

#endif
