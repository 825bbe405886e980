#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum cn_err check(int fd, bool secret)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return CN_E_SYSTEM;
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return CN_E_SYSTEM;
    }
    if (secret && (st.st_uid != geteuid() || (st.st_mode & 077) != 0))
        return CN_E_OPEN_MODE;
    return CN_OK;
}

enum cn_err cn_file_read(const char *path, bool secret, char *out, size_t size_max, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (secret ? O_NOFOLLOW : 0));
    enum cn_err err = CN_E_SYSTEM;
    size_t have = 0;
    char more = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? CN_E_ABSENT : CN_E_SYSTEM;
    err = check(fd, secret);
    while (err == CN_OK) {
        char *to = have < size_max ? out + have : &more;
        ssize_t got = read(fd, to, have < size_max ? size_max - have : 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = CN_E_SYSTEM;
        if (got > 0 && have == size_max)
            err = CN_E_FULL;
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    if (err == CN_OK)
        *size = have;
    return err;
}

static enum cn_err write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, text, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return CN_E_SYSTEM;
        text += put;
        size -= (size_t)put;
    }
    return fsync(fd) == 0 ? CN_OK : CN_E_SYSTEM;
}

void cn_file_sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd;

    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    fd = open(directory[0] ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

int cn_file_rename_new(int directory, const char *from, const char *to)
{
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* EINVAL, ENOSYS: a file system, or a kernel, that has no such call */
    if ((errno != EINVAL && errno != ENOSYS) || linkat(directory, from, directory, to, 0) != 0)
        return -1;
    return unlinkat(directory, from, 0);
}

enum cn_err cn_file_write(const char *path, bool replace, const char *text, size_t size)
{
    char temporary[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    /* the leading dot: no contact can be called so */
    int length = snprintf(temporary, sizeof temporary, "%.*s.%s.%ld.tmp", (int)(name - path), path,
                          name, (long)getpid());
    enum cn_err err = CN_E_SYSTEM;
    int fd, saved;

    if (length < 0 || (size_t)length >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return CN_E_SYSTEM;
    }
    (void)unlink(temporary); /* of a process of the same number that died */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return CN_E_SYSTEM;
    err = write_all(fd, text, size);
    saved = errno;
    if (close(fd) != 0 && err == CN_OK) {
        err = CN_E_SYSTEM;
        saved = errno;
    }
    if (err == CN_OK &&
        (replace ? rename(temporary, path) : cn_file_rename_new(AT_FDCWD, temporary, path)) != 0) {
        saved = errno;
        err = errno == EEXIST ? CN_E_EXISTS : CN_E_SYSTEM;
    }
    if (err == CN_OK)
        cn_file_sync_directory_of(path);
    else
        (void)unlink(temporary);
    errno = saved;
    return err;
}

enum cn_err cn_file_directories(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);

    if (size >= sizeof part) {
        errno = ENAMETOOLONG;
        return CN_E_SYSTEM;
    }
    memcpy(part, path, size + 1);
    for (char *c = part + 1;; c++) {
        char kept = *c;

        if (kept != '/' && kept != '\0')
            continue;
        *c = '\0';
        if (mkdir(part, 0700) == 0)
            cn_file_sync_directory_of(part);
        else if (errno != EEXIST)
            return CN_E_SYSTEM;
        *c = kept;
        if (kept == '\0')
            return CN_OK;
    }
}
