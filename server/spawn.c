#include "spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "channel.h"

static const char *const program_names[CN_ROLE_COUNT] = {
    [CN_ROLE_GATE] = "cyphernetd-gate",
    [CN_ROLE_SWITCH] = "cyphernetd-switch",
    [CN_ROLE_METRICS] = "cyphernetd-metrics",
};

const char *cn_spawn_name(enum cn_role role)
{
    return program_names[role];
}

static bool has_all(const char *dir)
{
    char path[CN_SPAWN_DIR_SIZE + 32];

    for (int i = 0; i < CN_ROLE_COUNT; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, program_names[i]);
        if (access(path, X_OK) != 0)
            return false;
    }
    return true;
}

bool cn_spawn_find(char dir[CN_SPAWN_DIR_SIZE])
{
    ssize_t size = readlink("/proc/self/exe", dir, CN_SPAWN_DIR_SIZE - 1);
    char *slash;

    dir[size > 0 ? size : 0] = '\0';
    slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    if (slash && has_all(dir))
        return true;
    snprintf(dir, CN_SPAWN_DIR_SIZE, "%s", CN_LIBEXEC_DIR);
    return has_all(dir);
}

/* In the child: becomes the program, with the channel as CN_CHANNEL_FD. */
static _Noreturn void become(const char *dir, enum cn_role role, int channel)
{
    static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE };
    char path[CN_SPAWN_DIR_SIZE + 32];
    char name[32];
    char *argv[] = { name, NULL };
    sigset_t none;

    snprintf(path, sizeof path, "%s/%s", dir, program_names[role]);
    snprintf(name, sizeof name, "%s", program_names[role]);
    /* what is for the supervisor may reach all of its group */
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    if (channel == CN_CHANNEL_FD)
        (void)fcntl(channel, F_SETFD, 0);
    else if (dup2(channel, CN_CHANNEL_FD) < 0)
        _exit(127);
    /* ours are closed by exec, but who started us may have left some of his */
    (void)close_range(CN_CHANNEL_FD + 1, ~0U, 0);
    execv(path, argv);
    _exit(127);
}

enum cn_err cn_spawn(const char *dir, enum cn_role role, int channel, pid_t *pid)
{
    *pid = fork();
    if (*pid == 0)
        become(dir, role, channel);
    return *pid > 0 ? CN_OK : CN_E_SYSTEM;
}
