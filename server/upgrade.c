#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "state.h"

enum { CHECK_TRIES = 2000, CHECK_STEP_MS = 10 };

void cn_upgrade_word(char word[CN_UPGRADE_WORD_SIZE])
{
    snprintf(word, CN_UPGRADE_WORD_SIZE, "%d.%zu-%d.%zu-%d.%zu-%d.%zu", CN_UPGRADE_VERSION,
             sizeof(struct cn_upgrade), CN_CHANNEL_VERSION, sizeof(struct cn_message),
             CN_PAGE_VERSION, sizeof(struct cn_page), CN_STATE_VERSION, sizeof(struct cn_state));
}

bool cn_upgrade_check(const char *program, char *const argv[])
{
    const struct timespec step = { 0, CHECK_STEP_MS * 1000000 };
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        execv(program, argv);
        _exit(127);
    }
    for (int i = 0; pid > 0 && i < CHECK_TRIES; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        nanosleep(&step, NULL);
    }
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    return false;
}

enum cn_err cn_upgrade_write(struct cn_upgrade *upgrade, int *fd)
{
    int made = memfd_create("cyphernet-upgrade", 0);

    upgrade->version = CN_UPGRADE_VERSION;
    upgrade->size = sizeof *upgrade;
    if (made >= 0 && pwrite(made, upgrade, sizeof *upgrade, 0) == (ssize_t)sizeof *upgrade) {
        *fd = made;
        return CN_OK;
    }
    if (made >= 0)
        close(made);
    return CN_E_SYSTEM;
}

enum cn_err cn_upgrade_read(struct cn_upgrade *upgrade, int fd)
{
    ssize_t size = pread(fd, upgrade, sizeof *upgrade, 0);

    close(fd);
    if (size < 0)
        return CN_E_SYSTEM;
    return size == (ssize_t)sizeof *upgrade && upgrade->version == CN_UPGRADE_VERSION &&
                   upgrade->size == sizeof *upgrade && upgrade->heir_count <= CN_CHILDREN_MAX &&
                   upgrade->listener_count <= CN_LISTENERS_MAX
               ? CN_OK
               : CN_E_VERSION;
}

static void close_on_exec(int fd)
{
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void cn_upgrade_keep(const struct cn_upgrade *upgrade)
{
    close_on_exec(upgrade->dir);
    close_on_exec(upgrade->control);
    close_on_exec(upgrade->rate);
    close_on_exec(upgrade->metrics);
    for (uint32_t i = 0; i < upgrade->listener_count; i++)
        close_on_exec(upgrade->listener[i]);
    for (uint32_t i = 0; i < upgrade->heir_count; i++) {
        close_on_exec(upgrade->heir[i].channel);
        close_on_exec(upgrade->heir[i].page);
    }
}
