/* subprocess.h - a process under the supervisor, and the supervisor itself: what its files stand
 * on. Nobody else includes this. */
#ifndef CN_SUBPROCESS_H
#define CN_SUBPROCESS_H

#include "channel.h"
#include "supervisor.h"

enum { CN_SUBPROCESS_HASTE_MS = 1000 }; /* who ends so soon is not started again at once */

enum cn_subprocess_state {
    CN_SUBPROCESS_NONE = 0,
    CN_SUBPROCESS_STARTING,
    CN_SUBPROCESS_READY, /* a gate, but there is no worker yet, and another that admits */
    CN_SUBPROCESS_RUNNING,
    CN_SUBPROCESS_LEAVING
};

struct cn_subprocess {
    struct cn_watch channel; /* first; fd -1: hung up */
    struct cn_supervisor *supervisor;
    pid_t pid;
    enum cn_role role;
    uint32_t number; /* among those of its role */
    enum cn_subprocess_state state;
    struct cn_page_map page;
    uint64_t bytes_before[2]; /* as sample has it */
    int page_fd;
    uint64_t started_ms;
    bool pinged; /* and owes the answer */
    uint32_t pings_missed;
    uint32_t state_number; /* that a gate has in force; 0: none yet */
    bool owes_limits;      /* there was no room to tell a worker all of them */
    bool drains;           /* a worker that has been told to end when it is idle */
    bool retired;          /* a gate that has nothing left but to cut calls */
    bool ends;             /* and has been told to end */
    const char *fault;     /* why it was killed; NULL: it was not, or was leaving anyway */
};

/* What had been counted at a time, for rates. */
struct cn_sample {
    uint64_t ms;
    uint64_t bytes;
    uint64_t admitted;
    uint64_t joined;
};

struct cn_supervisor {
    struct cn_supervisor_setup setup;
    char programs[CN_SPAWN_DIR_SIZE]; /* the directory that has them */
    struct cn_subprocess children[CN_CHILDREN_MAX];
    struct cn_subprocess *gate; /* that admits; NULL: none just now */
    bool gate_is_old;           /* it is another program's, and to be replaced */
    struct cn_switch_limits limits;
    uint64_t rates[CN_CONFIG_CLASS_COUNT];
    int state_fd; /* -1: none yet */
    uint32_t state_number, state_applied;
    enum cn_err state_err; /* of a gate that could not take it */
    uint32_t cut;          /* by all gates, since the last was applied */
    struct cn_timer sampling;
    struct cn_timer pinging;
    struct cn_sample sample[2]; /* the last but one, the last */
    struct cn_timer again;      /* start what is missing */
    bool begun;                 /* all have been running once */
    bool leaving;
    enum cn_err failure; /* of one that could not start */
    int failure_errno;
    struct cn_status past; /* what those who have ended counted, and restarts */
};

/* --- subprocess.c ---------------------------------------------------------------------------- */

/* At once; not one that has been reaped, whose number is another's. */
void cn_subprocess_kill(const struct cn_subprocess *child);
/* Likewise, and the log shall tell why. It is replaced as one that ended by itself. */
void cn_subprocess_end(struct cn_subprocess *child, const char *why);
/* Who does not take what is said is stuck, or lost: it is ended. */
void cn_subprocess_say(struct cn_subprocess *child, const struct cn_message *m, const int *fds,
                       size_t fd_count);
void cn_subprocess_say_word(struct cn_subprocess *child, enum cn_message_type type);
/* The page of page_fd, to be read. As cn_page_map. */
CN_MUST_USE enum cn_err cn_subprocess_map(struct cn_subprocess *child);
/* Whether there is any, in whatever state. */
bool cn_subprocess_has_workers(const struct cn_supervisor *s);
/* It has gone: its place is free. */
void cn_subprocess_forget(struct cn_subprocess *child);

/* --- starting.c ------------------------------------------------------------------------------ */

/* Start whoever is missing, now and until it succeeds. */
void cn_starting_missing(struct cn_supervisor *s);
/* The same a little later. */
void cn_starting_later(struct cn_supervisor *s);

/* --- pinging.c ------------------------------------------------------------------------------- */

/* Ping all, from now on. */
void cn_pinging_begin(struct cn_supervisor *s);
/* The answer to a ping came. */
void cn_pinging_answered(struct cn_subprocess *child);

/* --- sampling.c ------------------------------------------------------------------------------ */

/* Take samples, from now on; nothing counts that was counted before. */
void cn_sampling_begin(struct cn_supervisor *s);

/* --- supervisor.c ---------------------------------------------------------------------------- */

/* Of a watch of a child's channel. */
void cn_supervisor_hear(struct cn_watch *watch, uint32_t epoll_events);
/* It says why it could not start, or that a state did not come into force. */
void cn_supervisor_failed(struct cn_subprocess *child, const struct cn_message *m);
/* Whether a state is in force by now. */
void cn_supervisor_state_look(struct cn_supervisor *s);
/* Send its lines away, for good. */
void cn_supervisor_gate_retire(struct cn_subprocess *gate);
/* Gates that have done so end, but for one that can cut calls which others have left. */
void cn_supervisor_gates_end(struct cn_supervisor *s);
/* Workers that are to leave do so after the gates that may still bring them calls. */
void cn_supervisor_workers_drain(struct cn_supervisor *s);

#endif
