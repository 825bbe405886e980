#include "command_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHILD_PIPE_SIZE = 1024 * 1024,
    END_MS = 5000 /* after SIGTERM; then SIGKILL */
};

/* --- finding -------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        errno = EACCES;
        return false;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

bool cn_child_find(const char *program, char path[PATH_MAX])
{
    const char *places = getenv("PATH");
    int why = ENOENT;

    if (strchr(program, '/') || !program[0]) {
        snprintf(path, PATH_MAX, "%s", program);
        return is_program(path);
    }
    for (const char *at = places ? places : "/usr/bin:/bin"; at; at = *at ? at + 1 : NULL) {
        const char *end = strchrnul(at, ':');
        int length = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - at), at,
                              end > at ? "/" : "./", program);

        at = end;
        if (length > 0 && length < PATH_MAX && is_program(path))
            return true;
        if (errno == EACCES) /* says more than that it is not elsewhere */
            why = EACCES;
    }
    errno = why;
    return false;
}

/* --- running -------------------------------------------------------------------------------- */

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void ends_close(int ends[2])
{
    close_one(&ends[0]);
    close_one(&ends[1]);
}

/* A pipe whose end of ours does not wait. */
static bool pipe_open(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    (void)fcntl(ends[ours], F_SETPIPE_SZ, CHILD_PIPE_SIZE); /* faster if allowed */
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0;
}

/* In the new process, until it is the program, or has said why it is not. */
static void become(const char *path, char **words, const sigset_t *before, const int input[2],
                   const int output[2], int failure, pid_t parent)
{
    int error;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setpgid(0, 0);
    if (getppid() == parent && dup2(input[0], STDIN_FILENO) >= 0 &&
        (output[1] < 0 || dup2(output[1], STDOUT_FILENO) >= 0)) {
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, before, NULL);
        execv(path, words);
    }
    error = errno;
    (void)!write(failure, &error, sizeof error);
    _exit(127);
}

/* What the new process says of itself: nothing, and then it is the program. 0, or errno. */
static int failure_read(int failure)
{
    int error = 0;
    ssize_t got;

    do
        got = read(failure, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof error ? error : 0;
}

static void reap(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
}

static int forked(struct cn_child *child, pid_t pid, int failure)
{
    int error = failure_read(failure); /* by then it has a group of its own */
    int status;

    child->ended = error == 0 ? pidfd_open(pid, 0) : -1;
    if (error == 0 && child->ended < 0) {
        error = errno;
        (void)kill(pid, SIGKILL);
    }
    if (error == 0)
        child->pid = pid;
    else
        reap(pid, &status);
    return error;
}

/* What tells that it was stopped, if there is a terminal that could do so. */
static bool halts_watch(struct cn_child *child)
{
    sigset_t halts;

    child->terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (child->terminal < 0)
        return true;
    signal(SIGCHLD, SIG_DFL); /* ignored, its children would end unasked */
    sigemptyset(&halts);
    sigaddset(&halts, SIGCHLD);
    child->halted = signalfd(-1, &halts, SFD_NONBLOCK | SFD_CLOEXEC);
    return child->halted >= 0 && sigprocmask(SIG_BLOCK, &halts, NULL) == 0;
}

int cn_child_start(struct cn_child *child, const char *path, char **words, const sigset_t *before,
                   bool keep_output)
{
    int input[2] = { -1, -1 }, output[2] = { -1, -1 }, failure[2] = { -1, -1 };
    pid_t parent = getpid();
    pid_t pid = -1;
    int error;

    if (halts_watch(child) && pipe_open(input, 1) && (keep_output || pipe_open(output, 0)) &&
        pipe2(failure, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        become(path, words, before, input, output, failure[1], parent);
    error = errno;
    close_one(&failure[1]);
    if (pid > 0)
        error = forked(child, pid, failure[0]);
    if (child->pid > 0) {
        child->input = input[1];
        child->output = output[0];
        input[1] = output[0] = -1;
        error = cn_keeper_start(&child->keeper, child->pid, child->input);
        if (error != 0)
            cn_child_end(child);
    }
    ends_close(input);
    ends_close(output);
    ends_close(failure);
    return error;
}

void cn_child_input_end(struct cn_child *child)
{
    cn_keeper_let_end(&child->keeper);
    close_one(&child->input);
}

/* --- the terminal --------------------------------------------------------------------------- */

static bool are_in_front(const struct cn_child *child)
{
    return child->terminal >= 0 && tcgetpgrp(child->terminal) == getpgrp();
}

/* To this group, though ours may be behind. */
static void bring_to_front(const struct cn_child *child, pid_t group)
{
    sigset_t refused, before;

    sigemptyset(&refused);
    sigaddset(&refused, SIGTTOU);
    sigprocmask(SIG_BLOCK, &refused, &before);
    (void)tcsetpgrp(child->terminal, group);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void terminal_take_back(struct cn_child *child)
{
    if (child->in_front)
        bring_to_front(child, getpgrp());
    child->in_front = false;
}

/* It was stopped: by the terminal, because it is not in front there, or by the user who typed
 * Ctrl-Z while it was. Whoever else has done it knows why. */
static void stopped(struct cn_child *child, int number)
{
    if (child->terminal < 0 || (number != SIGTTIN && number != SIGTTOU && !child->in_front))
        return;
    terminal_take_back(child);
    if (number == SIGTSTP || !are_in_front(child))
        (void)kill(0, number); /* all of us wait, until the shell lets us go on */
    if (!are_in_front(child))
        return;
    bring_to_front(child, child->pid);
    child->in_front = true;
    (void)kill(-child->pid, SIGCONT);
}

/* --- the end -------------------------------------------------------------------------------- */

bool cn_child_took(struct cn_child *child, int *status)
{
    struct signalfd_siginfo info;

    while (child->halted >= 0 && read(child->halted, &info, sizeof info) > 0)
        ;
    if (child->pid <= 0 || waitpid(child->pid, status, WNOHANG | WUNTRACED) != child->pid)
        return false;
    if (WIFSTOPPED(*status)) {
        stopped(child, WSTOPSIG(*status));
        return false;
    }
    child->interrupted = child->in_front && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGINT;
    terminal_take_back(child);
    child->pid = 0;
    close_one(&child->ended);
    cn_keeper_end(&child->keeper);
    return true;
}

/* Nothing of it is left that could take the end of what we sent for an end of all. */
static bool has_gone(const struct cn_child *child)
{
    struct pollfd leader = { child->ended, POLLIN, 0 };
    struct pollfd unread = { child->input, 0, 0 };

    return poll(&leader, 1, END_MS) == 1 && (child->input < 0 || poll(&unread, 1, END_MS) == 1);
}

void cn_child_signal(const struct cn_child *child, int number)
{
    if (child->pid <= 0)
        return;
    (void)kill(-child->pid, number);
    (void)kill(-child->pid, SIGCONT);
}

void cn_child_end(struct cn_child *child)
{
    int status;

    if (child->pid > 0) {
        cn_child_signal(child, SIGTERM);
        if (!has_gone(child))
            (void)kill(-child->pid, SIGKILL);
        reap(child->pid, &status);
        terminal_take_back(child);
        child->pid = 0;
    }
    cn_keeper_end(&child->keeper);
    close_one(&child->halted);
    close_one(&child->terminal);
    close_one(&child->ended);
    close_one(&child->input);
    close_one(&child->output);
}
