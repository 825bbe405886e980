#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "random.h"

static const struct cn_outfile closed = { .dir = -1, .fd = -1 };

bool cn_outfile_is_stdout(const struct cn_outfile *file)
{
    return file->dir < 0;
}

/* Split path into directory and name. CN_E_SYSTEM: no name, or too long. */
static enum cn_err path_split(const char *path, char dir[PATH_MAX], char name[NAME_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    size_t dir_size = slash ? (size_t)(last - path) : 0;

    errno = EISDIR;
    if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return CN_E_SYSTEM;
    errno = ENAMETOOLONG;
    if (strlen(last) > NAME_MAX || dir_size >= PATH_MAX)
        return CN_E_SYSTEM;
    memcpy(dir, dir_size > 0 ? path : ".", dir_size > 0 ? dir_size : 1);
    dir[dir_size > 0 ? dir_size : 1] = '\0';
    memcpy(name, last, strlen(last) + 1);
    return CN_OK;
}

static enum cn_err target_absent(const struct cn_outfile *file)
{
    struct stat st;

    if (fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return CN_E_EXISTS;
    return errno == ENOENT ? CN_OK : CN_E_SYSTEM;
}

/* Best a file without a name, of which nothing remains if we are killed. Where the file system has
 * no such thing, a temporary name, which does not hold the target's: that might make it too long.
 */
static enum cn_err temporary_create(struct cn_outfile *file, mode_t mode)
{
    uint8_t salt[8];
    enum cn_err err;
    size_t at;

    file->fd = openat(file->dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    if (file->fd >= 0)
        return CN_OK;
    err = cn_random_fill(&cn_system_random, salt, sizeof salt);
    if (err != CN_OK)
        return err;
    at = (size_t)snprintf(file->temporary, sizeof file->temporary, ".cyphernet-");
    for (size_t i = 0; i < sizeof salt; i++, at += 2)
        snprintf(file->temporary + at, sizeof file->temporary - at, "%02x", salt[i]);
    file->fd = openat(file->dir, file->temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return file->fd < 0 ? CN_E_SYSTEM : CN_OK;
}

enum cn_err cn_outfile_create(struct cn_outfile *file, int dir, const char *path, mode_t mode)
{
    struct cn_outfile f = closed;
    char dir_path[PATH_MAX];
    enum cn_err err;

    if (strcmp(path, "-") == 0) {
        f.fd = STDOUT_FILENO;
        *file = f;
        return CN_OK;
    }
    err = path_split(path, dir_path, f.name);
    if (err != CN_OK)
        return err;
    f.dir = openat(dir, dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f.dir < 0)
        return CN_E_SYSTEM;
    err = target_absent(&f);
    if (err == CN_OK)
        err = temporary_create(&f, mode);
    if (err != CN_OK) {
        int saved = errno;

        close(f.dir);
        errno = saved;
        return err;
    }
    *file = f;
    return CN_OK;
}

enum cn_err cn_outfile_write(struct cn_outfile *file, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t written = write(file->fd, at, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return CN_E_SYSTEM;
        at += written;
        size -= (size_t)written;
    }
    /* EINVAL, EROFS: standard output is something that has no disk behind it */
    if (fsync(file->fd) != 0 &&
        !(cn_outfile_is_stdout(file) && (errno == EINVAL || errno == EROFS)))
        return CN_E_SYSTEM;
    return CN_OK;
}

/* Give the nameless file its name; this never replaces another. */
static int name_link(const struct cn_outfile *f)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
    return linkat(AT_FDCWD, path, f->dir, f->name, AT_SYMLINK_FOLLOW);
}

/* Rename without replacing, on file systems too that have no such call. */
static int name_change(const struct cn_outfile *f)
{
    if (renameat2(f->dir, f->temporary, f->dir, f->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(f->dir, f->temporary, f->dir, f->name, 0) != 0)
        return -1;
    return unlinkat(f->dir, f->temporary, 0);
}

enum cn_err cn_outfile_keep(struct cn_outfile *file)
{
    int saved;

    if (cn_outfile_is_stdout(file))
        return CN_OK;
    if ((file->temporary[0] != '\0' ? name_change(file) : name_link(file)) != 0)
        return errno == EEXIST ? CN_E_EXISTS : CN_E_SYSTEM;
    file->temporary[0] = '\0';
    /* EINVAL: a file system on which a directory cannot be synced */
    if (fsync(file->dir) == 0 || errno == EINVAL)
        return CN_OK;
    saved = errno;
    unlinkat(file->dir, file->name, 0);
    errno = saved;
    return CN_E_SYSTEM;
}

void cn_outfile_close(struct cn_outfile *file)
{
    int saved = errno;

    if (file->fd >= 0 && !cn_outfile_is_stdout(file))
        close(file->fd);
    if (file->dir >= 0 && file->temporary[0] != '\0')
        unlinkat(file->dir, file->temporary, 0);
    if (file->dir >= 0)
        close(file->dir);
    *file = closed;
    errno = saved;
}
