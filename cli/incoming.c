#include "incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "file.h"
#include "hasher.h"
#include "home.h"

/* --- what this call has stored -------------------------------------------------------------- */

static int inodes_compare(const void *a, const void *b)
{
    const ino_t *one = a;
    const ino_t *other = b;

    return (*one > *other) - (*one < *other);
}

/* Remember what fd is open on. */
static bool stored_add(struct cn_place *place, int fd)
{
    ino_t *inode = malloc(sizeof *inode);
    struct stat st;
    void *node;

    if (!inode || fstat(fd, &st) != 0) {
        free(inode);
        return false;
    }
    *inode = st.st_ino;
    node = tsearch(inode, &place->stored, inodes_compare);
    if (!node || *(ino_t **)node != inode)
        free(inode);
    return node != NULL;
}

/* Whether a name may be given, or offered: it leads to no file that must stay. */
static bool is_free(const struct cn_place *place, const char *name)
{
    struct stat st;

    if (fstatat(place->directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    return place->overwrite && !tfind(&st.st_ino, &place->stored, inodes_compare);
}

void cn_place_wipe(struct cn_place *place)
{
    tdestroy(place->stored, free);
    place->stored = NULL;
}

void cn_incoming_init(struct cn_incoming *incoming, struct cn_place *place)
{
    *incoming = (struct cn_incoming) { .place = place, .fd = -1 };
}

/* --- judging -------------------------------------------------------------------------------- */

static bool is_directory(int directory, const char *name)
{
    struct stat st;

    return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool disk_has(int directory, uint64_t size)
{
    struct statvfs fs;

    if (fstatvfs(directory, &fs) != 0)
        return true; /* unknown: writing will tell */
    return (uint64_t)fs.f_bavail * fs.f_frsize >= size;
}

bool cn_incoming_judge(const struct cn_place *place, const struct cn_transfer_message *offered,
                       enum cn_transfer_outcome *refusal)
{
    const char *name = offered->name;

    if (!cn_transfer_name_valid(name, strlen(name)) || is_directory(place->directory, name))
        *refusal = CN_TRANSFER_BAD_NAME;
    else if (!is_free(place, name))
        *refusal = CN_TRANSFER_EXISTS;
    else if (!disk_has(place->directory, offered->size))
        *refusal = CN_TRANSFER_DISK_FULL;
    else
        return true;
    return false;
}

/* --- writing -------------------------------------------------------------------------------- */

/* The name is of our own making: nothing that the partner said is ever opened. */
static bool temporary_open(struct cn_incoming *in, const struct cn_home *home)
{
    uint8_t random[8];

    errno = EIO;
    if (cn_random_fill(cn_home_random(home), random, sizeof random) != CN_OK)
        return false;
    snprintf(in->temporary, sizeof in->temporary,
             ".cyphernet-%02x%02x%02x%02x%02x%02x%02x%02x.part", random[0], random[1], random[2],
             random[3], random[4], random[5], random[6], random[7]);
    in->fd = openat(in->place->directory, in->temporary,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (in->fd < 0)
        in->temporary[0] = '\0';
    return in->fd >= 0;
}

bool cn_incoming_open(struct cn_incoming *incoming, const struct cn_home *home, uint64_t size)
{
    if (!temporary_open(incoming, home))
        return false;
    /* finds out now whether the disk holds it; where that is not supported, writing will */
    if (size > 0 && fallocate(incoming->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return false;
    return cn_hasher_start(&incoming->hasher, cn_home_crypto(home), incoming->fd) == CN_OK;
}

ssize_t cn_incoming_write(struct cn_incoming *incoming, const uint8_t *from, size_t size)
{
    ssize_t put;

    do {
        put = pwrite(incoming->fd, from, size, (off_t)incoming->written);
    } while (put < 0 && errno == EINTR);
    if (put < 0)
        return -1;
    incoming->written += (uint64_t)put;
    cn_hasher_advance(incoming->hasher, incoming->written);
    return put;
}

void cn_incoming_seal(struct cn_incoming *incoming)
{
    cn_hasher_limit(incoming->hasher, incoming->written);
}

/* --- verifying and keeping ------------------------------------------------------------------ */

bool cn_incoming_is_hashed(const struct cn_incoming *incoming)
{
    return cn_hasher_is_done(incoming->hasher);
}

bool cn_incoming_sum(struct cn_incoming *incoming, uint8_t sum[CN_TRANSFER_SUM_SIZE])
{
    enum cn_err err = cn_hasher_finish(incoming->hasher, incoming->written, sum);

    incoming->hasher = NULL;
    return err == CN_OK;
}

bool cn_incoming_set_attributes(const struct cn_incoming *incoming,
                                const struct cn_transfer_message *offered)
{
    const struct timespec times[2] = {
        { .tv_nsec = UTIME_NOW },
        { .tv_sec = (time_t)offered->mtime_s, .tv_nsec = (long)offered->mtime_ns },
    };

    return fchmod(incoming->fd, offered->mode & 0777) == 0 && futimens(incoming->fd, times) == 0;
}

bool cn_incoming_sync(const struct cn_incoming *incoming)
{
    return fsync(incoming->fd) == 0;
}

bool cn_incoming_name(struct cn_incoming *incoming, const char *name)
{
    struct cn_place *place = incoming->place;
    int failed;

    if (!is_free(place, name)) {
        errno = EEXIST;
        return false;
    }
    if (place->overwrite && !stored_add(place, incoming->fd))
        return false;
    failed = place->overwrite
                 ? renameat(place->directory, incoming->temporary, place->directory, name)
                 : cn_file_rename_new(place->directory, incoming->temporary, name);
    if (failed)
        return false;
    incoming->temporary[0] = '\0';
    return true;
}

void cn_incoming_close(struct cn_incoming *incoming)
{
    cn_hasher_cancel(incoming->hasher);
    incoming->hasher = NULL;
    if (incoming->fd >= 0)
        close(incoming->fd);
    incoming->fd = -1;
    if (incoming->temporary[0])
        (void)unlinkat(incoming->place->directory, incoming->temporary, 0);
    incoming->temporary[0] = '\0';
}
