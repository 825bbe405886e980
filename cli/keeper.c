#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HEARS = STDIN_FILENO, /* its end of the line */
    HOLDS = STDOUT_FILENO,
    PATIENCE_MS = 5000, /* after SIGTERM; then SIGKILL */
    LOOK_MS = 20
};

/* What comes over the line; its end without a word: we were killed. */
enum { LET_END = 'e', OVER = 'o' };

/* --- in the other process ------------------------------------------------------------------- */

static void group_end(pid_t group)
{
    (void)kill(-group, SIGTERM);
    (void)kill(-group, SIGCONT); /* one that is stopped hears it, too */
    for (int ms = 0; ms < PATIENCE_MS && kill(-group, 0) == 0; ms += LOOK_MS)
        (void)poll(NULL, 0, LOOK_MS);
    (void)kill(-group, SIGKILL);
}

static void keep(pid_t group)
{
    char word = 0;
    ssize_t got;

    for (;;) {
        got = read(HEARS, &word, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 1 && word == LET_END)
            (void)close(HOLDS);
        else
            break;
    }
    if (got != 1)
        group_end(group);
}

void cn_keeper_run(const char *group)
{
    const long number = strtol(group, NULL, 10);

    (void)prctl(PR_SET_NAME, CN_KEEPER_NAME);
    if (number > 1 && number <= INT_MAX) /* else it would be all */
        keep((pid_t)number);
}

/* Nothing else of ours is open there, no signal of the terminal reaches it, and our memory, with
 * keys in it that we shall forget before it ends, is not its own. */
static void become(pid_t group, int hears, int input)
{
    char number[16], name[] = CN_KEEPER_NAME;
    char *words[] = { name, number, NULL };
    int mine = fcntl(hears, F_DUPFD, STDERR_FILENO + 1);
    int held = fcntl(input, F_DUPFD, STDERR_FILENO + 1);

    snprintf(number, sizeof number, "%d", (int)group);
    (void)setsid();
    if (mine >= 0 && held >= 0 && dup2(mine, HEARS) >= 0 && dup2(held, HOLDS) >= 0 &&
        close_range(STDERR_FILENO, ~0U, 0) == 0)
        (void)execv("/proc/self/exe", words);
    _exit(1);
}

/* --- ours ----------------------------------------------------------------------------------- */

int cn_keeper_start(struct cn_keeper *keeper, pid_t group, int input)
{
    sigset_t all, before;
    int line[2];
    pid_t pid;
    int error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0)
        return errno;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* for good, there */
    pid = fork();
    if (pid == 0)
        become(group, line[1], input);
    error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(line[1]);
    if (pid < 0) {
        close(line[0]);
        return error;
    }
    *keeper = (struct cn_keeper) { pid, line[0] };
    return 0;
}

static void say(const struct cn_keeper *keeper, char word)
{
    if (keeper->line >= 0)
        (void)!send(keeper->line, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void cn_keeper_let_end(const struct cn_keeper *keeper)
{
    say(keeper, LET_END);
}

void cn_keeper_end(struct cn_keeper *keeper)
{
    int status;

    if (keeper->pid <= 0)
        return;
    say(keeper, OVER);
    close(keeper->line);
    while (waitpid(keeper->pid, &status, 0) < 0 && errno == EINTR)
        ;
    *keeper = (struct cn_keeper)CN_KEEPER_NONE;
}
