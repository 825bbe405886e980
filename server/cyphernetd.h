/* cyphernetd.h - the supervisor's program, in seven files: main.c starts and ends it, options.c
 * takes the command line, opening.c the directory and what there is to listen on, reloading.c reads
 * configuration and registry, requests.c answers cyphernetctl, upgrading.c hands over to another
 * program, service.c speaks with a service manager. Nobody else includes this. */
#ifndef CN_CYPHERNETD_H
#define CN_CYPHERNETD_H

#include <limits.h>
#include <sys/types.h>

#include "control_socket.h"
#include "listener.h"
#include "notify.h"
#include "supervisor.h"
#include "upgrade.h"

enum {
    CN_EXIT_DONE = 0,
    CN_EXIT_FAILED = 1,
    CN_EXIT_USAGE = 2,
    CN_CONFIG_WHAT_SIZE = CN_CONFIG_COMPLAINT_SIZE + 64,
    CN_REQUESTS_MAX = 32 /* that wait for a state to come into force */
};

/* Somebody who waits for that. */
struct cn_request {
    uint32_t number;
    uint64_t asker; /* 0: nobody, it is only logged */
    bool serial_blocked;
    size_t blocked_count;
};

/* What is read from the registry. */
struct cn_registry_content {
    struct cn_settings settings;
    struct cn_blocked *blocked; /* owned, as is held */
    size_t blocked_count;
    struct cn_held_notice *held;
    size_t held_count;
    struct cn_common_notice common;
};

struct cn_cyphernetd {
    const char *dir;
    char dir_path[PATH_MAX]; /* the same from the root */
    char program[PATH_MAX];  /* that this process runs */
    bool only_checks;        /* whether it could start */
    bool takes_over;         /* from one that runs, if it does: that one's lines are in force */
    int inherit_fd;          /* what a program before us left; -1: nothing */
    struct cn_upgrade inherited;
    int dir_fd;
    uid_t uid; /* of the owner of DIR: who we run as */
    gid_t gid;
    struct cn_crypto crypto;
    struct cn_who_secret who_secret;
    struct cn_config config;
    struct cn_config started_with;
    struct cn_loop loop;
    uint32_t lines_max;
    uint32_t pipes_max;
    uint32_t workers;
    struct cn_supervisor *supervisor;
    struct cn_listeners listeners;
    int rate_fd;                                /* the bucket that workers share */
    int metrics_fd;                             /* listens for them; -1: none */
    char metrics_listen[CN_CONFIG_LISTEN_SIZE]; /* there; empty: none, or we were given it */
    struct cn_control *control;
    struct cn_watch signals;
    struct cn_timer shutdown;
    struct cn_notify notify; /* who started us, if it wants to hear of us */
    struct cn_timer service;
    bool begun;          /* it is ready */
    bool is_incomplete;  /* it has taken over, but the others do not start */
    bool upgrade_wanted; /* as soon as it is */
    bool ending;
    uint64_t started_ms;
    struct cn_request requests[CN_REQUESTS_MAX];
    size_t request_count;
};

/* Signals and control reach it through their watches; there is one in a process. */
extern struct cn_cyphernetd cn_cyphernetd;

/* --- main.c ---------------------------------------------------------------------------------- */

/* Tell what is wrong, and if hint is not NULL what to do: CN_EXIT_FAILED. */
int cn_main_fail(const char *what, const char *hint);
/* About a thing (errno); without a hint of the caller's the error may have one. */
int cn_main_fail_err(enum cn_err err, const char *about, const char *hint);

/* --- options.c ------------------------------------------------------------------------------- */

/* CN_EXIT_DONE: go on. Anything else, or told: exit with it. */
int cn_options_take(int argc, char **argv, bool *told);

/* --- opening.c: CN_EXIT_DONE, or what to exit with ------------------------------------------- */

int cn_opening_dir(void);
int cn_opening_listeners(const struct cn_settings *settings);
/* Another program's socket is kept if it is where it should be. That it cannot be had any more is
 * then no reason to end: calls go on. */
int cn_opening_metrics(void);
/* A socket that has no name in its place, to see whether who serves them can begin. */
int cn_opening_metrics_nowhere(void);
/* Workers that go on under us go on sharing it. */
int cn_opening_rate(void);
/* As many lines as there may be descriptors for, each taking one, and calls pipes beside; as many
 * pipes as there may be beside the lines of a program before us. */
void cn_opening_room(void);

/* --- reloading.c ----------------------------------------------------------------------------- */

/* /etc/cyphernet/cyphernetd.conf, else DIR/cyphernetd.conf, else the built-in values. False: what
 * says why. */
bool cn_reloading_config(struct cn_config *config, char what[CN_CONFIG_WHAT_SIZE]);
/* Opened anew each time: another file may have taken its place, brought back from a backup, say.
 * Errors of registry.h, CN_E_CRYPTO. content is to be wiped in any case. */
CN_MUST_USE enum cn_err cn_reloading_registry(struct cn_registry_content *content);
void cn_reloading_wipe(struct cn_registry_content *content);
/* Have it come into force, with the configuration; as cn_supervisor_state. */
CN_MUST_USE enum cn_err cn_reloading_apply(const struct cn_registry_content *content,
                                           uint32_t *number);
/* The configuration is in force, but for what takes another start; about comes before that. */
void cn_reloading_tell(const char *event, const char *about);
/* Read all again, and have it come into force. What came of it is logged. */
void cn_reloading_all(void);

/* --- requests.c ------------------------------------------------------------------------------ */

/* Read the registry and have it come into force, with the configuration; whoever asked, if anybody,
 * is told then whether the serial is blocked. */
void cn_requests_registry(uint64_t asker, uint64_t serial);
/* For the supervisor and the control socket. */
void cn_requests_applied(void *context, uint32_t number, enum cn_err err, uint32_t cut);
bool cn_requests_answer(void *context, uint64_t asker, const char *request, char *reply,
                        size_t size);

/* --- upgrading.c ----------------------------------------------------------------------------- */

/* Start our program anew in this process's place, if it says that it could begin. Comes back only
 * if not, and then nothing has changed. */
void cn_upgrading_begin(void);
/* Whether listeners and the like stay open over exec. */
void cn_upgrading_survive(bool survive);

/* --- service.c ------------------------------------------------------------------------------- */

/* From now on it is told that we live, and how we are. */
void cn_service_watch(void);
void cn_service_ready(void);
void cn_service_stopping(void);
/* The listening sockets that it has given us, if any. False: bad is the name of one that is none,
 * or too many. */
bool cn_service_listeners(struct cn_listeners *listeners, const char **bad);

#endif
