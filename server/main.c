/* main.c - cyphernetd: start, signals, configuration, and the end. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "cyphernetd.h"
#include "hint.h"
#include "keyfile.h"
#include "log.h"
#include "process.h"
#include "random.h"
#include "registry.h"

enum { PATIENCE_STEP_MS = 500, PATIENCE_STEPS = 120 };

struct cn_cyphernetd cn_cyphernetd = {
    .dir_fd = -1, .inherit_fd = -1, .rate_fd = -1, .metrics_fd = -1, .signals = { .fd = -1 }
};

int cn_main_fail(const char *what, const char *hint)
{
    fprintf(stderr, "cyphernetd: error: %s\n", what);
    if (hint)
        fprintf(stderr, "cyphernetd: hint: %s\n", hint);
    return CN_EXIT_FAILED;
}

int cn_main_fail_err(enum cn_err err, const char *about, const char *hint)
{
    int number = errno;
    char what[512];

    snprintf(what, sizeof what, "%s: %s", about,
             err == CN_E_SYSTEM ? strerror(number) : cn_err_text(err));
    if (!hint && err == CN_E_SYSTEM)
        hint = cn_hint_system(number);
    if (!hint && err == CN_E_MEMORY)
        hint = "allow it more memory, or lower lines_max and tags_max in cyphernetd.conf";
    return cn_main_fail(what, hint);
}

/* --- signals -------------------------------------------------------------------------------- */

static void shutdown_fire(struct cn_timer *timer)
{
    (void)timer;
    cn_loop_stop(&cn_cyphernetd.loop);
}

static void on_empty(void *context)
{
    (void)context;
    cn_loop_stop(&cn_cyphernetd.loop);
}

static void shutdown_begin(void)
{
    struct cn_status status;

    if (cn_cyphernetd.ending) { /* asked twice: at once */
        cn_loop_stop(&cn_cyphernetd.loop);
        return;
    }
    cn_cyphernetd.ending = true;
    cn_supervisor_status(cn_cyphernetd.supervisor, &status);
    cn_log("ending", "calls=%u",
           status.gate.joining / 2 + status.gate.handing + status.calls.pairs);
    cn_service_stopping();
    cn_listeners_close(&cn_cyphernetd.listeners);
    cn_loop_timer_set(&cn_cyphernetd.loop, &cn_cyphernetd.shutdown,
                      cn_cyphernetd.loop.now_ms +
                          (uint64_t)cn_cyphernetd.config.shutdown_timeout * 1000);
    cn_supervisor_leave(cn_cyphernetd.supervisor);
}

static void signals_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct signalfd_siginfo info;

    (void)epoll_events;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            cn_reloading_all();
        else if (info.ssi_signo == SIGUSR2)
            cn_upgrading_begin();
        else if (info.ssi_signo == SIGCHLD)
            cn_supervisor_reap(cn_cyphernetd.supervisor);
        else
            shutdown_begin();
    }
}

static void signals_fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR2);
    sigaddset(set, SIGCHLD);
}

/* Until signals_open they wait: SIGHUP would end us, for good under a service manager, to which
 * that is no failure. */
static bool signals_hold(void)
{
    sigset_t set;

    signals_fill(&set);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0;
}

static bool signals_open(void)
{
    sigset_t set;

    signals_fill(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    signal(SIGPIPE, SIG_IGN);
    cn_cyphernetd.signals =
        (struct cn_watch) { signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), signals_ready };
    return cn_cyphernetd.signals.fd >= 0 &&
           cn_loop_add(&cn_cyphernetd.loop, &cn_cyphernetd.signals, EPOLLIN) == CN_OK;
}

/* --- start ---------------------------------------------------------------------------------- */

/* Root acts as the owner of DIR, so that whatever is made there belongs to him. */
static bool act_as_owner(void)
{
    return geteuid() != 0 || (setegid(cn_cyphernetd.gid) == 0 && seteuid(cn_cyphernetd.uid) == 0);
}

static bool act_as_started(uid_t started)
{
    return geteuid() == started || (seteuid(started) == 0 && setegid(getgid()) == 0);
}

/* For good, when started by root and DIR is not root's. */
static bool become_owner(uid_t started)
{
    if (started != 0)
        return true;
    if (cn_cyphernetd.uid == 0) {
        if (!cn_cyphernetd.only_checks)
            cn_log("warning",
                   "text=\"runs as root, as the directory is root's: chown it to another\"");
        return true;
    }
    return setgroups(0, NULL) == 0 &&
           setresgid(cn_cyphernetd.gid, cn_cyphernetd.gid, cn_cyphernetd.gid) == 0 &&
           setresuid(cn_cyphernetd.uid, cn_cyphernetd.uid, cn_cyphernetd.uid) == 0;
}

/* Left by the program before us, or made. */
static int secret_make(void)
{
    enum cn_err err = CN_OK;

    if (cn_cyphernetd.inherit_fd >= 0)
        cn_cyphernetd.who_secret = cn_cyphernetd.inherited.who_secret;
    else
        err = cn_random_fill(&cn_system_random, cn_cyphernetd.who_secret.bytes,
                             sizeof cn_cyphernetd.who_secret.bytes);
    return err == CN_OK ? CN_EXIT_DONE : cn_main_fail_err(err, "starting", NULL);
}

/* Why the key will not do, or the programs that need it could not start. */
static int start_failed(enum cn_err err)
{
    int number = errno;

    if (err == CN_E_OPEN_MODE)
        return cn_main_fail(
            CN_SERVER_KEY_FILE ": others may get at it, or it has a second name",
            "chmod 600 server.key; it must be a plain file of the directory's owner");
    if (err == CN_E_AUTH)
        return cn_main_fail(
            CN_SERVER_KEY_FILE " is not the key that this server's fingerprints name",
            "put back the server.key that `cyphernetctl init` made; a new one needs new "
            "fingerprints");
    errno = number;
    return cn_main_fail_err(
        err, err == CN_E_SYSTEM || err == CN_E_MEMORY ? "starting" : CN_SERVER_KEY_FILE, NULL);
}

static int programs_check(void)
{
    char dir[CN_SPAWN_DIR_SIZE];

    return cn_spawn_find(dir)
               ? CN_EXIT_DONE
               : cn_main_fail("its other programs are not beside it, nor in " CN_LIBEXEC_DIR,
                              "install them all together");
}

/* The gate reads it; whether it will be able to is told here. */
static int key_check(void)
{
    int fd = -1;
    enum cn_err err =
        cn_keyfile_open(cn_cyphernetd.dir_fd, CN_SERVER_KEY_FILE, CN_ARMOR_SERVER_KEY, &fd);

    if (err == CN_OK)
        close(fd);
    return err == CN_OK ? CN_EXIT_DONE : start_failed(err);
}

static int registry_load(struct cn_registry_content *content)
{
    enum cn_err err = cn_reloading_registry(content);
    int number = errno;
    char what[512];

    if (err == CN_OK)
        return CN_EXIT_DONE;
    snprintf(what, sizeof what, CN_REGISTRY_FILE ": %s", cn_hint_registry_reason(err, number));
    return cn_main_fail(what, cn_hint_registry(err, number));
}

static uint32_t workers_wanted(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (cn_cyphernetd.config.workers > 0)
        return cn_cyphernetd.config.workers;
    return cores < 1 ? 1 : cores > CN_CONFIG_WORKERS_MAX ? CN_CONFIG_WORKERS_MAX : (uint32_t)cores;
}

static int supervisor_open(const struct cn_registry_content *content)
{
    const struct cn_supervisor_setup setup = { .loop = &cn_cyphernetd.loop,
                                               .listeners = &cn_cyphernetd.listeners,
                                               .who_secret = &cn_cyphernetd.who_secret,
                                               .dir_fd = cn_cyphernetd.dir_fd,
                                               .rate_fd = cn_cyphernetd.rate_fd,
                                               .metrics_fd = cn_cyphernetd.metrics_fd,
                                               .lines_max = cn_cyphernetd.lines_max,
                                               .pipes_max = cn_cyphernetd.pipes_max,
                                               .workers = cn_cyphernetd.workers,
                                               .started_ms = cn_cyphernetd.started_ms,
                                               .state_number = cn_cyphernetd.inherited.state_number,
                                               .log_level = cn_log_level(),
                                               .applied = cn_requests_applied,
                                               .empty = on_empty };
    enum cn_err err = cn_supervisor_create(&cn_cyphernetd.supervisor, &setup);
    uint32_t number;

    if (err == CN_OK && cn_cyphernetd.inherit_fd >= 0)
        err =
            cn_supervisor_inherit(cn_cyphernetd.supervisor, &cn_cyphernetd.inherited.past,
                                  cn_cyphernetd.inherited.heir, cn_cyphernetd.inherited.heir_count);
    if (err == CN_OK)
        err = cn_reloading_apply(content, &number);
    if (err == CN_OK)
        err = cn_supervisor_start(cn_cyphernetd.supervisor);
    if (err == CN_OK)
        err = cn_supervisor_started(cn_cyphernetd.supervisor);
    if (err != CN_OK && cn_cyphernetd.inherit_fd >= 0) {
        /* what runs goes on: calls are worth more than a new program */
        (void)start_failed(err);
        cn_supervisor_go_on(cn_cyphernetd.supervisor);
        cn_cyphernetd.is_incomplete = true;
        return CN_EXIT_DONE;
    }
    return err == CN_OK ? CN_EXIT_DONE : start_failed(err);
}

static int ready_say(void)
{
    char where[4096], about[64];

    if (cn_cyphernetd.is_incomplete) {
        cn_log_at(CN_LOG_FAILURES, "upgrade_failed",
                  "kept=gate reason=\"its other programs do not start; they are tried again\"");
        return CN_EXIT_DONE;
    }
    if (cn_cyphernetd.inherit_fd >= 0) {
        snprintf(about, sizeof about, "version=" CN_VERSION " processes=%u",
                 cn_cyphernetd.inherited.heir_count);
        cn_reloading_tell("upgraded", about);
        return CN_EXIT_DONE;
    }
    cn_listeners_describe(&cn_cyphernetd.listeners, where, sizeof where);
    printf("cyphernetd: ready on %s\n", where);
    return fflush(stdout) == 0 ? CN_EXIT_DONE
                               : cn_main_fail_err(CN_E_SYSTEM, "standard output", NULL);
}

/* All that can be found out without becoming the server. */
static int prepare(struct cn_registry_content *content)
{
    char what[CN_CONFIG_WHAT_SIZE];
    enum cn_err err;
    int code = cn_opening_dir();

    if (code != CN_EXIT_DONE)
        return code;
    if (!cn_cyphernetd.only_checks && flock(cn_cyphernetd.dir_fd, LOCK_EX | LOCK_NB) != 0)
        return cn_main_fail("another cyphernetd serves this directory",
                            "cyphernetctl status asks it");
    if (!act_as_owner())
        return cn_main_fail_err(CN_E_SYSTEM, "becoming the directory's owner", NULL);
    cn_process_harden();
    if (!cn_reloading_config(&cn_cyphernetd.config, what))
        return cn_main_fail(what, "cyphernetd.conf(5) describes every key");
    cn_cyphernetd.started_with = cn_cyphernetd.config;
    if (cn_cyphernetd.inherit_fd >= 0)
        cn_cyphernetd.started_with.lines_max = cn_cyphernetd.inherited.lines_wanted;
    cn_log_style_set((cn_cyphernetd.config.log_json ? CN_LOG_JSON : 0) |
                     (cn_log_is_journal() ? CN_LOG_JOURNAL : 0));
    err = cn_crypto_init(&cn_cyphernetd.crypto);
    if (err != CN_OK)
        return cn_main_fail_err(err, "libcrypto", NULL);
    code = programs_check();
    if (code == CN_EXIT_DONE)
        code = secret_make();
    if (code == CN_EXIT_DONE)
        code = key_check();
    return code == CN_EXIT_DONE ? registry_load(content) : code;
}

/* A program that has taken calls over does not end them for a file that cannot be read just now. */
static int prepare_patiently(struct cn_registry_content *content)
{
    const struct timespec step = { 0, PATIENCE_STEP_MS * 1000000 };
    int code = prepare(content);

    for (int i = 0; code != CN_EXIT_DONE && cn_cyphernetd.inherit_fd >= 0 && i < PATIENCE_STEPS;
         i++) {
        nanosleep(&step, NULL);
        cn_reloading_wipe(content);
        cn_crypto_wipe(&cn_cyphernetd.crypto);
        code = prepare(content);
    }
    return code;
}

/* What the other programs need to begin. */
static int ground_lay(uid_t started)
{
    enum cn_err err = cn_loop_init(&cn_cyphernetd.loop, CN_CHILDREN_MAX + 64);

    if (err != CN_OK)
        return cn_main_fail_err(err, "starting", NULL);
    cn_cyphernetd.shutdown.fire = shutdown_fire;
    cn_opening_room();
    cn_cyphernetd.workers = workers_wanted();
    cn_cyphernetd.started_ms = cn_cyphernetd.inherit_fd >= 0 ? cn_cyphernetd.inherited.started_ms
                                                             : cn_cyphernetd.loop.now_ms;
    return act_as_started(started) ? CN_EXIT_DONE
                                   : cn_main_fail_err(CN_E_SYSTEM, "changing the user", NULL);
}

static int owner_become(uid_t started)
{
    if (!become_owner(started))
        return cn_main_fail_err(CN_E_SYSTEM, "becoming the directory's owner", NULL);
    cn_process_harden();
    if (!signals_open())
        return cn_main_fail_err(CN_E_SYSTEM, "starting", NULL);
    return cn_opening_rate();
}

/* One of each, which begin as they would, but nobody can reach them. */
static int rehearse(const struct cn_registry_content *content, uid_t started)
{
    int code = ground_lay(started);

    cn_cyphernetd.workers = 1;
    if (code == CN_EXIT_DONE)
        code = owner_become(started);
    if (code == CN_EXIT_DONE)
        code = cn_opening_metrics_nowhere();
    return code == CN_EXIT_DONE ? supervisor_open(content) : code;
}

static int start_with(const struct cn_registry_content *content, uid_t started)
{
    int code = ground_lay(started);

    if (code == CN_EXIT_DONE)
        code = cn_opening_listeners(&content->settings);
    if (code == CN_EXIT_DONE)
        code = owner_become(started);
    if (code == CN_EXIT_DONE)
        code = cn_opening_metrics();
    if (code != CN_EXIT_DONE)
        return code;
    cn_service_watch();
    if (cn_control_open(&cn_cyphernetd.control, &cn_cyphernetd.loop,
                        cn_cyphernetd.inherit_fd >= 0 ? cn_cyphernetd.inherited.control : -1,
                        cn_requests_answer, NULL) != CN_OK)
        return cn_main_fail_err(CN_E_SYSTEM, CN_CONTROL_SOCKET, NULL);
    code = supervisor_open(content);
    if (code != CN_EXIT_DONE)
        return code;
    code = ready_say();
    if (code != CN_EXIT_DONE)
        return code;
    cn_service_ready();
    cn_cyphernetd.begun = true;
    if (cn_cyphernetd.upgrade_wanted)
        cn_upgrading_begin();
    return CN_EXIT_DONE;
}

static int start(void)
{
    uid_t started = geteuid();
    struct cn_registry_content content = { 0 };
    int code;

    if (!signals_hold())
        return cn_main_fail_err(CN_E_SYSTEM, "signals", NULL);
    if (cn_cyphernetd.inherit_fd >= 0) {
        enum cn_err err = cn_upgrade_read(&cn_cyphernetd.inherited, cn_cyphernetd.inherit_fd);

        if (err != CN_OK)
            return cn_main_fail_err(err, "what the program before left", NULL);
        cn_upgrade_keep(&cn_cyphernetd.inherited);
    }
    code = prepare_patiently(&content);
    if (code == CN_EXIT_DONE)
        code =
            cn_cyphernetd.only_checks ? rehearse(&content, started) : start_with(&content, started);
    cn_reloading_wipe(&content);
    return code;
}

static void stop(void)
{
    cn_control_close(cn_cyphernetd.control);
    cn_supervisor_destroy(cn_cyphernetd.supervisor);
    cn_listeners_close(&cn_cyphernetd.listeners);
    if (cn_cyphernetd.metrics_fd >= 0)
        close(cn_cyphernetd.metrics_fd);
    if (cn_cyphernetd.rate_fd >= 0)
        close(cn_cyphernetd.rate_fd);
    if (cn_cyphernetd.loop.heap)
        cn_loop_wipe(&cn_cyphernetd.loop);
    cn_crypto_wipe(&cn_cyphernetd.crypto);
    cn_wipe(&cn_cyphernetd.who_secret, sizeof cn_cyphernetd.who_secret);
    cn_wipe(&cn_cyphernetd.inherited, sizeof cn_cyphernetd.inherited);
    if (cn_cyphernetd.signals.fd >= 0)
        close(cn_cyphernetd.signals.fd);
    if (cn_cyphernetd.dir_fd >= 0)
        close(cn_cyphernetd.dir_fd);
}

int main(int argc, char **argv)
{
    bool told = false;
    int code;

    if (!cn_process_standard_fill())
        return CN_EXIT_FAILED;
    code = cn_options_take(argc, argv, &told);
    if (code != CN_EXIT_DONE || told)
        return code;
    if (cn_notify_take(&cn_cyphernetd.notify) != CN_OK)
        return cn_main_fail(
            "what a service manager should have said cannot be understood",
            "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS ...: unset what nobody meant");
    cn_process_harden();
    if (readlink("/proc/self/exe", cn_cyphernetd.program, sizeof cn_cyphernetd.program - 1) < 0)
        return cn_main_fail_err(CN_E_SYSTEM, "/proc", NULL);
    code = start();
    if (cn_cyphernetd.only_checks) {
        cn_supervisor_destroy(cn_cyphernetd.supervisor);
        return code;
    }
    if (code == CN_EXIT_DONE && cn_loop_run(&cn_cyphernetd.loop) != CN_OK)
        code = cn_main_fail_err(CN_E_SYSTEM, "epoll", NULL);
    if (code == CN_EXIT_DONE)
        cn_log("ended_all", NULL);
    stop();
    return code;
}
