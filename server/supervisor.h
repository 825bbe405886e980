/* supervisor.h - the processes of the server: starts gate and switch workers, restarts who fails,
 * replaces all of them by another program while calls go on.
 *
 * One gate admits, others may be leaving; a worker that is leaving ends with its last call. The
 * supervisor holds the listening sockets and everything that is read from files, but never looks
 * at the server's key, which the gate reads through a descriptor. */
#ifndef CN_SUPERVISOR_H
#define CN_SUPERVISOR_H

#include <sys/types.h>

#include "listener.h"
#include "log.h"
#include "loop.h"
#include "spawn.h"
#include "state.h"
#include "status.h"

enum { CN_CHILDREN_MAX = 96 };

struct cn_supervisor;

/* A process under way, so that another program can take it over. */
struct cn_heir {
    int32_t pid;
    int32_t channel;
    int32_t page;
    uint32_t role;
    uint32_t leaving;
    uint32_t number;
};

struct cn_supervisor_setup {
    struct cn_loop *loop; /* borrowed, as all here */
    const struct cn_listeners *listeners;
    const struct cn_who_secret *who_secret;
    int dir_fd;     /* of the server's key */
    int rate_fd;    /* the bucket that workers share (page.h); borrowed */
    int metrics_fd; /* a listening socket, borrowed; -1: no metrics */
    uint32_t lines_max;
    uint32_t pipes_max; /* of all workers, whatever a configuration wants later */
    uint32_t workers;   /* that there are to be */
    uint64_t started_ms;
    uint32_t state_number; /* the last that another program gave; 0: there was none */
    enum cn_log_level log_level;
    /* The state of that number is in force, or not (err): so many lines and calls were cut. It is
     * once all gates have it, and know of all calls. */
    void (*applied)(void *context, uint32_t number, enum cn_err err, uint32_t cut);
    /* No process is left, of which the last was to leave. */
    void (*empty)(void *context);
    void *context;
};

/* CN_E_MEMORY; CN_E_ABSENT: the programs are not where they should be. */
CN_MUST_USE enum cn_err cn_supervisor_create(struct cn_supervisor **supervisor,
                                             const struct cn_supervisor_setup *setup);
/* Ends whoever is left at once, and waits for it. */
void cn_supervisor_destroy(struct cn_supervisor *supervisor);

/* What has been read, but for the secret, for gates and workers of now and later; *number for
 * applied. CN_E_SYSTEM: nothing has changed. */
CN_MUST_USE enum cn_err cn_supervisor_state(struct cn_supervisor *supervisor,
                                            const struct cn_state_parts *parts, uint32_t *number);
/* The last that was given. */
uint32_t cn_supervisor_state_number(const struct cn_supervisor *supervisor);
/* Take these over, and what others counted before: the gates among them leave as soon as there is
 * another, the workers with their last call. */
CN_MUST_USE enum cn_err cn_supervisor_inherit(struct cn_supervisor *supervisor,
                                              const struct cn_status *past,
                                              const struct cn_heir *heirs, size_t count);
/* Who is there to be taken over; their descriptors stay open over exec from now on. */
size_t cn_supervisor_heirs(struct cn_supervisor *supervisor, struct cn_heir heirs[CN_CHILDREN_MAX]);
/* They do not, since exec failed. */
void cn_supervisor_keep(struct cn_supervisor *supervisor);

/* Start a gate, and the workers. CN_E_SYSTEM: fork or such. */
CN_MUST_USE enum cn_err cn_supervisor_start(struct cn_supervisor *supervisor);
/* Whether as many again could be started, by a program that takes over, and be heard by workers. */
bool cn_supervisor_has_room(const struct cn_supervisor *supervisor);
/* Until each of them runs or one could not start. CN_OK: all do. Else what it said (errno). */
CN_MUST_USE enum cn_err cn_supervisor_started(struct cn_supervisor *supervisor);

/* Whether there is a gate that admits. */
bool cn_supervisor_admits(const struct cn_supervisor *supervisor);
/* And it has answered of late, as has a worker. */
bool cn_supervisor_serves(const struct cn_supervisor *supervisor);
/* If not: go on with those who run, and try again to start the others. */
void cn_supervisor_go_on(struct cn_supervisor *supervisor);

/* Reap who has ended: at SIGCHLD. */
void cn_supervisor_reap(struct cn_supervisor *supervisor);
/* Send everybody who waits away; calls may end by themselves. */
void cn_supervisor_leave(struct cn_supervisor *supervisor);
/* What those who have ended counted; and together with those who run. */
void cn_supervisor_past(const struct cn_supervisor *supervisor, struct cn_status *status);
void cn_supervisor_status(const struct cn_supervisor *supervisor, struct cn_status *status);

#endif
