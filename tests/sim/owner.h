/* owner.h - who owns a call at one end: dials, dials again, and says how it ended. It follows
 * client/call.c, function by function, on connections of net.h and in the simulator's time. */
#ifndef CN_SIM_OWNER_H
#define CN_SIM_OWNER_H

#include <cyphernet.h>

#include "pair.h"
#include "session.h"

enum { OWNER_EVENT_COUNT_MAX = 8, OWNER_NAME_SIZE = 24 };

enum owner_state {
    OWNER_CONNECTING,
    OWNER_RUNNING,
    OWNER_PAUSED,
    OWNER_LEAVING,
    OWNER_CONFIRMING,
    OWNER_OVER
};

struct owner_setup {
    char name[OWNER_NAME_SIZE]; /* in traces */
    int person;                 /* whose fingerprint it has */
    struct cn_want want;
    uint32_t resume_s;
    uint64_t wait_ms; /* UINT64_MAX: without limit */
};

struct owner {
    struct owner_setup setup;
    struct cn_want want[2]; /* of a line: the call, and that call's going on */
    struct cn_pair resumed;
    struct cn_exporter_secret exporter;
    struct cn_call_limits limits; /* likewise of the first handshake */
    bool perhaps_open;            /* at the partner; not here */
    enum owner_state state;
    enum cn_err error; /* once OVER */
    bool open, lost;
    uint64_t lost_until_ms;
    uint32_t resume_s;
    bool quiet, confirming;
    int fd;                /* -1: none */
    uint64_t connected_ms; /* while CONNECTING: when it is known */
    uint64_t line_since_ms, look_ms, retry_ms, retry_delay_ms, leave_ms, wait_until_ms;
    uint64_t first_until_ms;
    enum cn_err failure;
    unsigned handshake_failures;
    enum cn_session_state told;
    struct cn_event event[OWNER_EVENT_COUNT_MAX];
    size_t event_count;

    /* its process and machine */
    struct cn_random random;
    struct cn_memory memory;
    size_t octets;                       /* of memory, taken and not given back */
    uint64_t memory_fails, random_fails; /* so many times from now; 0: never */
    bool memory_failed, random_failed;   /* it has */
    int64_t ahead_ms, ahead_s;           /* its clocks, of the world's */
    bool date_was_set;
    uint64_t frozen_until_ms; /* the machine sleeps */
    unsigned resumes;         /* so many times a call went on */

    struct cn_mux mux;
    struct cn_session session;
};

void owner_begin(struct owner *owner, const struct owner_setup *setup);
/* The process dies; its descriptors are closed for it. Fine after the end, too. */
void owner_wipe(struct owner *owner);

/* Whether the process would wake up now. */
bool owner_is_ready(struct owner *owner);
void owner_process(struct owner *owner);
/* When it would by itself, by the world's clock; UINT64_MAX: never. */
uint64_t owner_due_ms(struct owner *owner);
bool owner_next_event(struct owner *owner, struct cn_event *event);

void owner_finish(struct owner *owner);
void owner_cancel(struct owner *owner, enum cn_err why);
/* The machine's network has changed: its line is dead, and it knows. */
void owner_network_changed(struct owner *owner);

struct cn_now owner_now(const struct owner *owner);

#endif
