/* opening.c - the directory, and what there is to listen on. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cyphernetd.h"
#include "loopback.h"

enum { DESCRIPTORS_RESERVED = 64 }; /* of each process: listeners, channels, log ... */

int cn_opening_dir(void)
{
    struct stat st;
    const char *path = cn_cyphernetd.dir;

    assert(path);
    cn_cyphernetd.dir_fd = cn_cyphernetd.inherit_fd >= 0
                               ? cn_cyphernetd.inherited.dir
                               : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cn_cyphernetd.dir_fd < 0 || fstat(cn_cyphernetd.dir_fd, &st) != 0 ||
        !realpath(path, cn_cyphernetd.dir_path) || fchdir(cn_cyphernetd.dir_fd) != 0)
        return cn_main_fail_err(CN_E_SYSTEM, path, "`cyphernetctl init` makes the directory");
    cn_cyphernetd.uid = st.st_uid;
    cn_cyphernetd.gid = st.st_gid;
    if (geteuid() != 0 && cn_cyphernetd.uid != geteuid())
        return cn_main_fail("the directory belongs to another user",
                            "run as the owner of the directory, or as root, who becomes the owner");
    return CN_EXIT_DONE;
}

/* Descriptors of each process for lines and pipes. */
static uint64_t room(void)
{
    struct rlimit limit;
    uint64_t most = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        most = limit.rlim_cur;
    }
    return most > DESCRIPTORS_RESERVED ? most - DESCRIPTORS_RESERVED : 0;
}

/* Pipes go first, but for two lines. */
static void lines_fit(uint64_t most)
{
    uint64_t pipes = 2 * (uint64_t)cn_cyphernetd.pipes_max;
    uint64_t lines = most > pipes + 2 ? most - pipes : 2;

    if (lines >= cn_cyphernetd.lines_max)
        return;
    if (!cn_cyphernetd.takes_over)
        cn_log("warning", "text=\"descriptors allow only %llu lines of waiting.lines_max = %u\"",
               (unsigned long long)lines, cn_cyphernetd.lines_max);
    cn_cyphernetd.lines_max = (uint32_t)lines;
}

/* There are as many lines as before, whatever is wanted now. */
static void pipes_fit(uint64_t most)
{
    uint64_t lines = cn_cyphernetd.lines_max;
    uint64_t pipes = most > lines ? (most - lines) / 2 : 0;

    if (pipes >= cn_cyphernetd.pipes_max)
        return;
    cn_log("warning",
           "text=\"descriptors allow only %llu pipes of calls.pipes_max = %u beside %u lines\"",
           (unsigned long long)pipes, cn_cyphernetd.pipes_max, cn_cyphernetd.lines_max);
    cn_cyphernetd.pipes_max = (uint32_t)pipes;
}

void cn_opening_room(void)
{
    cn_cyphernetd.lines_max = cn_cyphernetd.config.lines_max;
    cn_cyphernetd.pipes_max = cn_cyphernetd.config.pipes_max;
    if (cn_cyphernetd.inherit_fd >= 0) {
        cn_cyphernetd.lines_max = cn_cyphernetd.inherited.lines_max;
        pipes_fit(room());
    } else {
        lines_fit(room());
    }
    cn_cyphernetd.started_with.pipes_max = cn_cyphernetd.pipes_max;
    cn_log_at(CN_LOG_DETAILS, "room", "lines=%u", cn_cyphernetd.lines_max);
}

int cn_opening_listeners(const struct cn_settings *settings)
{
    const char *bad = "";
    char what[CN_ADDRESS_SIZE_MAX + 128];
    enum cn_err err;

    for (uint32_t i = 0;
         cn_cyphernetd.inherit_fd >= 0 && i < cn_cyphernetd.inherited.listener_count; i++)
        cn_cyphernetd.listeners.fd[cn_cyphernetd.listeners.count++] =
            cn_cyphernetd.inherited.listener[i];
    if (cn_cyphernetd.inherit_fd >= 0)
        return CN_EXIT_DONE;
    if (!cn_service_listeners(&cn_cyphernetd.listeners, &bad)) {
        snprintf(what, sizeof what, "the socket %s that it was given will not do", bad);
        return cn_main_fail(what, "a ListenStream= with an address and a port, at most 16 in all");
    }
    if (cn_cyphernetd.listeners.count > 0)
        return CN_EXIT_DONE;
    err = cn_listeners_bind(&cn_cyphernetd.listeners, settings, &bad);
    if (err == CN_OK)
        return CN_EXIT_DONE;
    snprintf(what, sizeof what, "cannot listen on %s", bad);
    return cn_main_fail_err(err, what,
                            "is another server running there, or the address not this machine's?");
}

int cn_opening_metrics(void)
{
    const struct cn_upgrade *u = &cn_cyphernetd.inherited;
    const char *wanted = cn_cyphernetd.config.metrics_listen;
    bool upgrades = cn_cyphernetd.inherit_fd >= 0;
    char what[CN_CONFIG_LISTEN_SIZE + 64];
    enum cn_err err;

    memcpy(cn_cyphernetd.metrics_listen, wanted, sizeof cn_cyphernetd.metrics_listen);
    if (upgrades && u->metrics >= 0 && strcmp(u->metrics_listen, wanted) == 0)
        cn_cyphernetd.metrics_fd = u->metrics;
    else if (upgrades && u->metrics >= 0)
        close(u->metrics);
    if (cn_cyphernetd.metrics_fd >= 0 || !wanted[0])
        return CN_EXIT_DONE;
    err = cn_loopback_listen(&cn_cyphernetd.metrics_fd, wanted);
    if (err == CN_OK)
        return CN_EXIT_DONE;
    snprintf(what, sizeof what, "cannot listen on %s for metrics", wanted);
    if (!upgrades)
        return cn_main_fail_err(err, what,
                                "another port, or none, in [metrics] of cyphernetd.conf");
    cn_log("warning", "text=\"%s: %s\"", what, strerror(errno));
    return CN_EXIT_DONE;
}

int cn_opening_metrics_nowhere(void)
{
    const struct sockaddr unnamed = { .sa_family = AF_UNIX };
    int fd;

    if (!cn_cyphernetd.config.metrics_listen[0])
        return CN_EXIT_DONE;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cn_cyphernetd.metrics_fd = fd;
    return fd >= 0 && bind(fd, &unnamed, sizeof unnamed.sa_family) == 0 && listen(fd, 1) == 0
               ? CN_EXIT_DONE
               : cn_main_fail_err(CN_E_SYSTEM, "starting", NULL);
}

int cn_opening_rate(void)
{
    if (cn_cyphernetd.inherit_fd >= 0)
        cn_cyphernetd.rate_fd = cn_cyphernetd.inherited.rate;
    else if (cn_page_bucket_make(&cn_cyphernetd.rate_fd) != CN_OK)
        return cn_main_fail_err(CN_E_SYSTEM, "starting", NULL);
    return CN_EXIT_DONE;
}
