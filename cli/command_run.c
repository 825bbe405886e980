#include "command_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
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
    if (getppid() == parent && dup2(input[0], STDIN_FILENO) >= 0 &&
        dup2(output[1], STDOUT_FILENO) >= 0) {
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
    int error = failure_read(failure);
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

int cn_child_start(struct cn_child *child, const char *path, char **words, const sigset_t *before)
{
    int input[2] = { -1, -1 }, output[2] = { -1, -1 }, failure[2] = { -1, -1 };
    pid_t parent = getpid();
    pid_t pid = -1;
    int error;

    if (pipe_open(input, 1) && pipe_open(output, 0) && pipe2(failure, O_CLOEXEC) == 0)
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
    }
    ends_close(input);
    ends_close(output);
    ends_close(failure);
    return error;
}

bool cn_child_took(struct cn_child *child, int *status)
{
    if (child->pid <= 0 || waitpid(child->pid, status, WNOHANG) != child->pid)
        return false;
    child->pid = 0;
    close_one(&child->ended);
    return true;
}

void cn_child_signal(const struct cn_child *child, int number)
{
    if (child->pid <= 0)
        return;
    (void)kill(child->pid, number);
    (void)kill(child->pid, SIGCONT);
}

void cn_child_end(struct cn_child *child)
{
    struct pollfd p = { child->ended, POLLIN, 0 };
    int status;

    if (child->pid > 0) {
        cn_child_signal(child, SIGTERM);
        if (poll(&p, 1, END_MS) != 1)
            (void)kill(child->pid, SIGKILL);
        reap(child->pid, &status);
        child->pid = 0;
    }
    close_one(&child->ended);
    close_one(&child->input);
    close_one(&child->output);
}
