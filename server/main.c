/* main.c - cyphernetd: start, signals, configuration, and the end. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "control_socket.h"
#include "gate.h"
#include "hint.h"
#include "keyfile.h"
#include "listener.h"
#include "log.h"
#include "notices.h"
#include "process.h"
#include "random.h"
#include "registry.h"
#include "status.h"

#define DIR_DEFAULT   "/var/lib/cyphernet"
#define CONFIG_SYSTEM "/etc/cyphernet/cyphernetd.conf"
#define CONFIG_LOCAL  "cyphernetd.conf"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    CONFIG_WHAT_SIZE = CN_CONFIG_COMPLAINT_SIZE + 64,
    DESCRIPTORS_RESERVED = 64 /* listeners, control, registry, log ... */
};

struct server {
    const char *dir;
    int dir_fd;
    uid_t uid; /* of the owner of DIR: who we run as */
    gid_t gid;
    struct cn_crypto crypto;
    struct cn_admission_server admission;
    struct cn_config config;
    struct cn_config started_with;
    struct cn_settings settings;
    struct cn_loop loop;
    struct cn_gate *gate;
    struct cn_listeners listeners;
    struct cn_control *control;
    struct cn_watch signals;
    struct cn_timer shutdown;
    bool ending;
    uint64_t started_ms;
};

/* Signals and control reach the server through their watches; there is one in a process. */
static struct server server = { .dir_fd = -1, .signals = { .fd = -1 } };

static int fail(const char *what, const char *hint)
{
    fprintf(stderr, "cyphernetd: error: %s\n", what);
    if (hint)
        fprintf(stderr, "cyphernetd: hint: %s\n", hint);
    return EXIT_FAILED;
}

/* Without a hint of the caller's the error may have one. */
static int fail_err(enum cn_err err, const char *about, const char *hint)
{
    int number = errno;
    char what[512];

    snprintf(what, sizeof what, "%s: %s", about,
             err == CN_E_SYSTEM ? strerror(number) : cn_err_text(err));
    if (!hint && err == CN_E_SYSTEM)
        hint = cn_hint_system(number);
    if (!hint && err == CN_E_MEMORY)
        hint = "allow it more memory, or lower lines_max and tags_max in cyphernetd.conf";
    return fail(what, hint);
}

/* --- configuration and registry ------------------------------------------------------------- */

/* /etc/cyphernet/cyphernetd.conf, else DIR/cyphernetd.conf, else the built-in values. False: what
 * says why. */
static bool config_load(struct cn_config *config, char what[CONFIG_WHAT_SIZE])
{
    static const char *const paths[] = { CONFIG_SYSTEM, CONFIG_LOCAL };
    char complaint[CN_CONFIG_COMPLAINT_SIZE];

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        enum cn_err err = cn_config_read(config, paths[i], complaint);

        if (err == CN_OK) {
            cn_log_at(CN_LOG_DETAILS, "configuration", "file=%s", paths[i]);
            return true;
        }
        if (err == CN_E_ABSENT)
            continue;
        snprintf(what, CONFIG_WHAT_SIZE, "%s: %s", paths[i],
                 err == CN_E_FORMAT ? complaint : strerror(errno));
        return false;
    }
    cn_config_defaults(config);
    cn_log_at(CN_LOG_DETAILS, "configuration", "file=none");
    return true;
}

/* Opened anew each time: another file may have taken its place, brought back from a backup, say. */
static enum cn_err registry_apply(uint32_t *cut, size_t *blocked_count)
{
    struct cn_registry *registry = NULL;
    struct cn_blocked *blocked = NULL;
    struct cn_held_notice *held = NULL;
    struct cn_common_notice common;
    size_t held_count = 0;
    enum cn_err err = cn_registry_open(&registry, ".", false);

    if (err == CN_OK)
        err = cn_settings_read(registry, &server.settings);
    if (err == CN_OK)
        err = cn_registry_blocked(registry, &blocked, blocked_count);
    if (err == CN_OK)
        err = cn_notices_read(registry, &held, &held_count, &common);
    if (err == CN_OK)
        err = cn_gate_notices(server.gate, held, held_count, &common);
    if (err == CN_OK)
        err = cn_gate_registry(server.gate, &server.settings, blocked, *blocked_count, cut);
    free(blocked);
    free(held);
    cn_registry_close(registry);
    return err;
}

/* The same while we run: what came of it is logged. */
static enum cn_err registry_reload(uint32_t *cut, size_t *blocked_count)
{
    enum cn_err err = registry_apply(cut, blocked_count);

    if (err == CN_OK)
        cn_log("registry", "blocked=%zu cut=%u", *blocked_count, *cut);
    else
        cn_log_at(CN_LOG_FAILURES, "registry_failed", "reason=\"%s\"",
                  cn_hint_registry_reason(err, errno));
    return err;
}

/* --- control -------------------------------------------------------------------------------- */

/* SERIAL, and the end of the line. */
static bool serial_take(const char *text, uint64_t *serial)
{
    char *end;

    *serial = strtoull(text, &end, 10);
    return end > text && strcmp(end, "\n") == 0;
}

static void answer_registry(uint64_t serial, char *reply, size_t size)
{
    uint32_t cut = 0;
    size_t blocked = 0;
    enum cn_err err = registry_reload(&cut, &blocked);

    if (err == CN_OK)
        snprintf(reply, size,
                 "{\"v\":1,\"event\":\"registry\",\"blocked\":%zu,\"cut\":%u,"
                 "\"serial_blocked\":%d}",
                 blocked, cut, cn_gate_blocks(server.gate, serial));
    else
        snprintf(reply, size, "{\"v\":1,\"event\":\"error\",\"text\":\"registry: %s\"}",
                 cn_hint_registry_reason(err, errno));
}

static void answer(void *context, const char *request, char *reply, size_t size)
{
    const size_t prefix = strlen(CN_CONTROL_REGISTRY);
    uint64_t serial;

    (void)context;
    if (strncmp(request, CN_CONTROL_REGISTRY, prefix) == 0 &&
        serial_take(request + prefix, &serial))
        answer_registry(serial, reply, size);
    else if (strcmp(request, CN_CONTROL_STATUS) == 0)
        cn_status_write(server.gate, (server.loop.now_ms - server.started_ms) / 1000, reply, size);
    else
        snprintf(reply, size, "{\"v\":1,\"event\":\"error\",\"text\":\"no such request\"}");
}

/* --- signals -------------------------------------------------------------------------------- */

static void shutdown_fire(struct cn_timer *timer)
{
    (void)timer;
    cn_loop_stop(&server.loop);
}

static void shutdown_begin(void)
{
    if (server.ending) { /* asked twice: at once */
        cn_loop_stop(&server.loop);
        return;
    }
    server.ending = true;
    cn_log("ending", "calls=%u", cn_gate_busy(server.gate));
    cn_listeners_close(&server.listeners);
    cn_gate_goaway(server.gate);
    cn_loop_timer_set(&server.loop, &server.shutdown,
                      server.loop.now_ms + (uint64_t)server.config.shutdown_timeout * 1000);
}

/* The configuration is in force, but for what takes another start. */
static void reload_tell(void)
{
    char keys[512] = "";
    const char *key;

    for (size_t i = 0; (key = cn_config_key(i)) != NULL; i++) {
        size_t size = strlen(keys);

        if (cn_config_needs_restart(i, &server.started_with, &server.config))
            snprintf(keys + size, sizeof keys - size, "%s%s", size > 0 ? "," : "", key);
    }
    if (keys[0])
        cn_log("reloaded", "needs_restart=%s", keys);
    else
        cn_log("reloaded", NULL);
}

static void reload(void)
{
    struct cn_config config;
    char what[CONFIG_WHAT_SIZE];
    uint32_t cut = 0;
    size_t blocked = 0;

    if (!config_load(&config, what)) {
        cn_log_at(CN_LOG_FAILURES, "reload_failed", "kept=old reason=\"%s\"", what);
        return;
    }
    server.config = config;
    cn_gate_configure(server.gate, &config);
    reload_tell();
    (void)registry_reload(&cut, &blocked); /* it has said so */
}

static void signals_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct signalfd_siginfo info;

    (void)epoll_events;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            reload();
        else
            shutdown_begin();
    }
}

/* Until signals_open a SIGHUP waits: it would end us, for good under a service manager, to which
 * that is no failure. */
static bool reload_hold(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0;
}

static bool signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    signal(SIGPIPE, SIG_IGN);
    server.signals =
        (struct cn_watch) { signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), signals_ready };
    return server.signals.fd >= 0 && cn_loop_add(&server.loop, &server.signals, EPOLLIN) == CN_OK;
}

/* --- start ---------------------------------------------------------------------------------- */

static int dir_open(void)
{
    struct stat st;

    assert(server.dir);
    server.dir_fd = open(server.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server.dir_fd < 0 || fstat(server.dir_fd, &st) != 0 || fchdir(server.dir_fd) != 0)
        return fail_err(CN_E_SYSTEM, server.dir, "`cyphernetctl init` makes the directory");
    server.uid = st.st_uid;
    server.gid = st.st_gid;
    if (geteuid() != 0 && server.uid != geteuid())
        return fail("the directory belongs to another user",
                    "run as the owner of the directory, or as root, who becomes the owner");
    return EXIT_DONE;
}

/* Root acts as the owner of DIR, so that whatever is made there belongs to him. */
static bool act_as_owner(void)
{
    return geteuid() != 0 || (setegid(server.gid) == 0 && seteuid(server.uid) == 0);
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
    if (server.uid == 0) {
        cn_log("warning", "text=\"runs as root, as the directory is root's: chown it to another\"");
        return true;
    }
    return setgroups(0, NULL) == 0 && setresgid(server.gid, server.gid, server.gid) == 0 &&
           setresuid(server.uid, server.uid, server.uid) == 0;
}

/* Before any key is read. */
static void harden(void)
{
    cn_process_harden();
    if (!cn_process_stack_lock() || mlock(&server.admission, sizeof server.admission) != 0)
        cn_log("warning", "text=\"the server's key cannot be locked into memory: %s\"",
               strerror(errno));
}

static int key_load(void)
{
    struct cn_server_secret secret;
    enum cn_err err = cn_keyfile_read(&server.crypto, server.dir_fd, CN_SERVER_KEY_FILE,
                                      CN_ARMOR_SERVER_KEY, secret.bytes);

    if (err == CN_OK)
        err = cn_admission_server_init(&server.admission, &server.crypto, &secret);
    cn_wipe(&secret, sizeof secret);
    if (err == CN_E_OPEN_MODE)
        return fail(CN_SERVER_KEY_FILE ": others may get at it, or it has a second name",
                    "chmod 600 server.key; it must be a plain file of the directory's owner");
    return err == CN_OK ? EXIT_DONE : fail_err(err, CN_SERVER_KEY_FILE, NULL);
}

/* As many lines as there may be descriptors for, each taking one, and calls pipes beside. */
static uint32_t lines_max(void)
{
    uint32_t lines = server.config.lines_max;
    struct rlimit limit;
    uint64_t reserved = DESCRIPTORS_RESERVED + 2 * (uint64_t)server.config.pipes_max;
    uint64_t most = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        most = limit.rlim_cur;
    }
    most = most > reserved + 2 ? most - reserved : 2;
    if (most < lines) {
        cn_log("warning", "text=\"descriptors allow only %llu lines of waiting.lines_max = %u\"",
               (unsigned long long)most, lines);
        lines = (uint32_t)most;
    }
    cn_log_at(CN_LOG_DETAILS, "room", "lines=%u", lines);
    return lines;
}

static bool turn_after(void)
{
    bool more = cn_gate_turn(server.gate);

    if (server.ending && cn_gate_busy(server.gate) == 0)
        cn_loop_stop(&server.loop);
    return more;
}

static int after(void *context)
{
    (void)context;
    return turn_after();
}

static int gate_open(void)
{
    struct cn_gate_setup setup = { &server.loop,      &server.crypto, &cn_system_random,
                                   &server.admission, &server.config, lines_max() };
    enum cn_err err = cn_loop_init(&server.loop, 2 * (size_t)setup.lines_max + 64);

    server.shutdown.fire = shutdown_fire;
    if (err == CN_OK)
        err = cn_gate_create(&server.gate, &setup);
    if (err != CN_OK)
        return fail_err(err, "starting", NULL);
    server.loop.after = after;
    server.started_ms = server.loop.now_ms;
    return EXIT_DONE;
}

static int registry_load(void)
{
    uint32_t cut;
    size_t blocked;
    enum cn_err err = registry_apply(&cut, &blocked);
    int number = errno;
    char what[512];

    if (err == CN_OK)
        return EXIT_DONE;
    snprintf(what, sizeof what, CN_REGISTRY_FILE ": %s", cn_hint_registry_reason(err, number));
    return fail(what, cn_hint_registry(err, number));
}

/* Else nobody who holds a fingerprint could say a hello that is understood, and hear why. */
static int key_check(void)
{
    struct cn_server_public mine;
    enum cn_err err = cn_x25519_public(server.admission.secret.bytes, mine.bytes);

    if (err != CN_OK)
        return fail_err(err, CN_SERVER_KEY_FILE, NULL);
    if (!cn_equal_ct(mine.bytes, server.settings.server_key.bytes, sizeof mine.bytes))
        return fail(CN_SERVER_KEY_FILE " is not the key that this server's fingerprints name",
                    "put back the server.key that `cyphernetctl init` made; a new one needs new "
                    "fingerprints");
    return EXIT_DONE;
}

static int listeners_open(void)
{
    const char *bad = "";
    char what[CN_ADDRESS_SIZE_MAX + 128];
    enum cn_err err = cn_listeners_bind(&server.listeners, &server.loop, &server.settings, &bad);

    if (err == CN_OK)
        return EXIT_DONE;
    snprintf(what, sizeof what, "cannot listen on %s", bad);
    return fail_err(err, what,
                    "is another server running there, or the address not this machine's?");
}

static int ready_say(void)
{
    char where[4096];

    cn_listeners_describe(&server.listeners, where, sizeof where);
    printf("cyphernetd: ready on %s\n", where);
    return fflush(stdout) == 0 ? EXIT_DONE : fail_err(CN_E_SYSTEM, "standard output", NULL);
}

static int start(void)
{
    uid_t started = geteuid();
    char what[CONFIG_WHAT_SIZE];
    enum cn_err err;
    int code;

    if (!reload_hold())
        return fail_err(CN_E_SYSTEM, "signals", NULL);
    code = dir_open();
    if (code != EXIT_DONE)
        return code;
    if (flock(server.dir_fd, LOCK_EX | LOCK_NB) != 0)
        return fail("another cyphernetd serves this directory", "cyphernetctl status asks it");
    if (!act_as_owner())
        return fail_err(CN_E_SYSTEM, "becoming the directory's owner", NULL);
    cn_process_harden();
    if (!config_load(&server.config, what))
        return fail(what, "cyphernetd.conf(5) describes every key");
    server.started_with = server.config;
    err = cn_crypto_init(&server.crypto);
    if (err != CN_OK)
        return fail_err(err, "libcrypto", NULL);
    code = key_load();
    if (code == EXIT_DONE)
        code = gate_open();
    if (code == EXIT_DONE)
        code = registry_load();
    if (code == EXIT_DONE)
        code = key_check();
    if (code != EXIT_DONE)
        return code;
    if (!act_as_started(started))
        return fail_err(CN_E_SYSTEM, "changing the user", NULL);
    cn_process_harden();
    code = listeners_open();
    if (code != EXIT_DONE)
        return code;
    if (!become_owner(started))
        return fail_err(CN_E_SYSTEM, "becoming the directory's owner", NULL);
    cn_process_harden();
    if (cn_control_open(&server.control, &server.loop, answer, NULL) != CN_OK)
        return fail_err(CN_E_SYSTEM, CN_CONTROL_SOCKET, NULL);
    if (!signals_open() || cn_listeners_start(&server.listeners, server.gate) != CN_OK)
        return fail_err(CN_E_SYSTEM, "starting", NULL);
    return ready_say();
}

static void stop(void)
{
    cn_control_close(server.control);
    if (server.listeners.count > 0)
        cn_listeners_close(&server.listeners);
    cn_gate_destroy(server.gate);
    if (server.loop.heap)
        cn_loop_wipe(&server.loop);
    cn_admission_server_wipe(&server.admission);
    cn_crypto_wipe(&server.crypto);
    if (server.signals.fd >= 0)
        close(server.signals.fd);
    if (server.dir_fd >= 0)
        close(server.dir_fd);
}

static void help(void)
{
    puts("usage: cyphernetd [--dir DIR] [-q|-v]\n\n"
         "The central server: joins the lines of two subscribers, and cannot read them.\n"
         "Runs in the foreground and prints one line when it is ready.\n\n"
         "  --dir DIR      the server's directory (default " DIR_DEFAULT ")\n"
         "  -q, --quiet    log nothing but failures\n"
         "  -v, --verbose  log more\n"
         "  -h, --help     tell this\n"
         "  --version      tell the version\n\n"
         "SIGHUP reads configuration and registry again. SIGTERM sends waiting lines away, lets\n"
         "calls end for a while, and exits. `cyphernetctl init` makes the directory.");
}

static int misuse(const char *before, const char *word, const char *after)
{
    char text[512];

    snprintf(text, sizeof text, "%s%s%s", before, word, after);
    (void)fail(text, "cyphernetd --help");
    return EXIT_USAGE;
}

/* EXIT_DONE: go on. Anything else, or told: exit with it. */
static int options_take(int argc, char **argv, bool *told)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' }, { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },   { "quiet", no_argument, NULL, 'q' },
        { "verbose", no_argument, NULL, 'v' },   { NULL, 0, NULL, 0 },
    };
    int option;

    server.dir = DIR_DEFAULT;
    while ((option = getopt_long(argc, argv, ":hqv", options, NULL)) != -1) {
        const char letter[] = { '-', (char)optopt, '\0' };

        *told = option == 'h' || option == 'V';
        if (option == 'd')
            server.dir = optarg;
        else if (option == 'q')
            cn_log_level_set(CN_LOG_FAILURES);
        else if (option == 'v')
            cn_log_level_set(CN_LOG_DETAILS);
        else if (option == 'h')
            help();
        else if (option == 'V')
            puts("cyphernetd " CN_VERSION);
        else if (option == ':')
            return misuse("", argv[optind - 1], " needs a value");
        else /* a letter that is none, or a word */
            return misuse("there is no option ",
                          optopt && !strchr("dhVqv", optopt) ? letter : argv[optind - 1], "");
        if (*told)
            return EXIT_DONE;
    }
    return optind < argc ? misuse("there is no argument ", argv[optind], "") : EXIT_DONE;
}

int main(int argc, char **argv)
{
    bool told = false;
    int code;

    if (!cn_process_standard_fill())
        return EXIT_FAILED;
    code = options_take(argc, argv, &told);
    if (code != EXIT_DONE || told)
        return code;
    harden();
    code = start();
    if (code == EXIT_DONE && cn_loop_run(&server.loop) != CN_OK)
        code = fail_err(CN_E_SYSTEM, "epoll", NULL);
    if (code == EXIT_DONE)
        cn_log("ended_all", NULL);
    stop();
    return code;
}
