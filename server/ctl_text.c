#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum cn_err cn_ctl_text_read(const char *path, char *text, size_t size_max, size_t *size)
{
    bool from_stdin = strcmp(path, "-") == 0;
    int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    enum cn_err err = CN_OK;
    size_t have = 0;

    if (fd < 0)
        return CN_E_SYSTEM;
    for (;;) {
        ssize_t got = read(fd, text + have, size_max - have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = CN_E_SYSTEM;
        if (got <= 0)
            break;
        have += (size_t)got;
        if (have == size_max) {
            err = CN_E_LIMIT;
            break;
        }
    }
    if (!from_stdin)
        close(fd);
    *size = have;
    return err;
}
