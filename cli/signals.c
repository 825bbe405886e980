#include "signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

bool cn_signals_catch(struct cn_signals *signals)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction present;
    sigset_t caught;

    sigemptyset(&caught);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (sigaction(numbers[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&caught, numbers[i]);
    }
    signals->fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
    return signals->fd >= 0 && sigprocmask(SIG_BLOCK, &caught, &signals->before) == 0;
}

int cn_signals_take(const struct cn_signals *signals)
{
    struct signalfd_siginfo info;

    return read(signals->fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

void cn_signals_release(struct cn_signals *signals)
{
    while (cn_signals_take(signals) != 0)
        continue; /* it came when all was over, and would end us with another code */
    close(signals->fd);
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
}
