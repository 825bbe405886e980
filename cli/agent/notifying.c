#include "notifying.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "command_line.h"

/* Our signals are blocked, or ignored, for reasons of our own. */
static int attributes_make(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;
    int error;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &usual);
    if (error == 0)
        error =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return error;
}

static int actions_make(posix_spawn_file_actions_t *actions)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
    return error;
}

/* 0, or errno. */
static int run(pid_t *pid, char **words)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    int error = posix_spawnattr_init(&attributes);

    if (error != 0)
        return error;
    error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = attributes_make(&attributes);
        if (error == 0)
            error = actions_make(&actions);
        if (error == 0)
            error = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return error;
}

void cn_notifying_start(struct cn_notifying *notifying, char *const *words, const char *contact)
{
    char **made = cn_command_line_for(words, contact);
    pid_t pid = 0;
    int error = ENOMEM;

    if (made)
        error = notifying->count < CN_NOTIFYING_COUNT_MAX ? run(&pid, made) : EAGAIN;
    free(made);
    if (error != 0) {
        cn_warn("%s: %s", words[0], strerror(error));
        return;
    }
    notifying->one[notifying->count].pid = pid;
    notifying->one[notifying->count++].ended = pidfd_open(pid, 0); /* -1: it is asked each time */
}

size_t cn_notifying_descriptors(const struct cn_notifying *notifying, struct pollfd *polled)
{
    for (size_t i = 0; i < notifying->count; i++)
        polled[i] = (struct pollfd) { notifying->one[i].ended, POLLIN, 0 };
    return notifying->count;
}

void cn_notifying_process(struct cn_notifying *notifying)
{
    for (size_t i = notifying->count; i > 0; i--) {
        int status;

        if (waitpid(notifying->one[i - 1].pid, &status, WNOHANG) == 0)
            continue;
        if (notifying->one[i - 1].ended >= 0)
            close(notifying->one[i - 1].ended);
        notifying->one[i - 1] = notifying->one[--notifying->count];
    }
}

void cn_notifying_forget(struct cn_notifying *notifying)
{
    for (size_t i = 0; i < notifying->count; i++) {
        if (notifying->one[i].ended >= 0)
            close(notifying->one[i].ended);
    }
    notifying->count = 0;
}
