#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cyphernetd.h"

void cn_upgrading_survive(bool survive)
{
    const int flags = survive ? 0 : FD_CLOEXEC;

    (void)fcntl(cn_cyphernetd.dir_fd, F_SETFD, flags);
    (void)fcntl(cn_cyphernetd.rate_fd, F_SETFD, flags);
    (void)fcntl(cn_control_listener(cn_cyphernetd.control), F_SETFD, flags);
    if (cn_cyphernetd.metrics_fd >= 0)
        (void)fcntl(cn_cyphernetd.metrics_fd, F_SETFD, flags);
    for (size_t i = 0; i < cn_cyphernetd.listeners.count; i++)
        (void)fcntl(cn_cyphernetd.listeners.fd[i], F_SETFD, flags);
}

static void upgrade_fill(struct cn_upgrade *u)
{
    struct cn_status status;

    cn_supervisor_past(cn_cyphernetd.supervisor, &status);
    *u = (struct cn_upgrade) { .who_secret = cn_cyphernetd.who_secret,
                               .started_ms = cn_cyphernetd.started_ms,
                               .lines_max = cn_cyphernetd.lines_max,
                               .lines_wanted = cn_cyphernetd.started_with.lines_max,
                               .state_number = cn_supervisor_state_number(cn_cyphernetd.supervisor),
                               .dir = cn_cyphernetd.dir_fd,
                               .rate = cn_cyphernetd.rate_fd,
                               .metrics = cn_cyphernetd.metrics_fd,
                               .control = cn_control_listener(cn_cyphernetd.control),
                               .listener_count = (uint32_t)cn_cyphernetd.listeners.count,
                               .past = status };
    memcpy(u->metrics_listen, cn_cyphernetd.metrics_listen, sizeof u->metrics_listen);
    for (size_t i = 0; i < cn_cyphernetd.listeners.count; i++)
        u->listener[i] = cn_cyphernetd.listeners.fd[i];
    u->heir_count = (uint32_t)cn_supervisor_heirs(cn_cyphernetd.supervisor, u->heir);
}

/* In this process's place. Returns only if that failed, and then nothing has changed. */
static void upgrade_run(void)
{
    static struct cn_upgrade u;
    char dir_word[] = "--dir", inherit_word[] = "--inherit", level[] = "-q";
    char number[16];
    char *argv[] = {
        cn_cyphernetd.program, dir_word, cn_cyphernetd.dir_path, inherit_word, number, NULL, NULL
    };
    int fd = -1;

    if (cn_log_level() != CN_LOG_EVENTS)
        argv[5] = level;
    if (cn_log_level() == CN_LOG_DETAILS)
        level[1] = 'v';
    upgrade_fill(&u);
    if (cn_upgrade_write(&u, &fd) == CN_OK) {
        cn_upgrading_survive(true);
        snprintf(number, sizeof number, "%d", fd);
        if (cn_notify_give(&cn_cyphernetd.notify))
            execv(cn_cyphernetd.program, argv);
        cn_notify_forget();
        close(fd);
    }
    cn_log_at(CN_LOG_FAILURES, "upgrade_failed", "kept=old reason=\"%s\"", strerror(errno));
    cn_upgrading_survive(false);
    cn_supervisor_keep(cn_cyphernetd.supervisor);
    cn_wipe(&u, sizeof u);
}

void cn_upgrading_begin(void)
{
    char dir_word[] = "--dir", check_word[] = "--check", takes_word[] = "--takes-over";
    char word[CN_UPGRADE_WORD_SIZE];
    char *argv[] = {
        cn_cyphernetd.program, dir_word, cn_cyphernetd.dir_path, check_word, takes_word, word, NULL
    };

    cn_cyphernetd.upgrade_wanted = !cn_cyphernetd.begun;
    if (cn_cyphernetd.ending || !cn_cyphernetd.begun)
        return;
    if (!cn_supervisor_has_room(cn_cyphernetd.supervisor)) {
        cn_log_at(CN_LOG_FAILURES, "upgrade_failed",
                  "kept=old reason=\"processes of earlier programs have not left yet\"");
        return;
    }
    cn_upgrade_word(word);
    cn_notify_reloading(&cn_cyphernetd.notify);
    if (cn_upgrade_check(cn_cyphernetd.program, argv))
        upgrade_run();
    else
        cn_log_at(CN_LOG_FAILURES, "upgrade_failed", "kept=old reason=\"%s --check says why\"",
                  cn_cyphernetd.program);
    cn_service_ready();
}
