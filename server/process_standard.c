/* process_standard.c - apart, since it opens files, which not every process may. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "process.h"

bool cn_process_standard_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}
