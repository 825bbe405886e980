#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"

/* The same with openat alone: each part from a descriptor of the one before, never through a link.
 */
static int open_by_parts(int directory, char *path, int flags)
{
    int at = directory;

    for (;;) {
        char *slash = strchr(path, '/');
        int fd, saved;

        if (slash)
            *slash = '\0';
        fd = openat(at, path, (slash ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags) | O_NOFOLLOW);
        saved = errno;
        if (at != directory)
            close(at);
        errno = saved;
        if (fd < 0 || !slash)
            return fd;
        at = fd;
        path = slash + 1;
    }
}

int cn_beneath_open(int directory, const char *path, size_t size, int flags)
{
    struct open_how how = {
        .flags = (unsigned)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    char copy[PATH_MAX] = ".";
    long fd;

    if (size >= sizeof copy) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (size > 0 && !cn_entry_name_valid(path, size)) {
        errno = EINVAL;
        return -1;
    }
    if (size > 0) {
        memcpy(copy, path, size);
        copy[size] = '\0';
    }
    do {
        fd = syscall(SYS_openat2, directory, copy, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    /* ENOSYS: a kernel before 5.6; EPERM: a sandbox that does not know the call */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return open_by_parts(directory, copy, flags);
    return (int)fd;
}
