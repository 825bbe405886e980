#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader.h"

enum { TEXT_SIZE_MAX = CN_KEYFILE_TEXT_SIZE_MAX };

/* A secret that others may read, or swap under another name, is none. */
static enum cn_err file_check(int fd, enum cn_armor_kind kind)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return CN_E_SYSTEM;
    if (!S_ISREG(st.st_mode))
        return CN_E_OPEN_MODE;
    if (cn_keyfile_is_secret(kind) &&
        (st.st_uid != geteuid() || st.st_nlink != 1 || (st.st_mode & 07177) != 0))
        return CN_E_OPEN_MODE;
    return CN_OK;
}

/* At most size octets, or CN_E_ARMOR if there are more. */
static enum cn_err text_read(int fd, char *text, size_t size_max, size_t *size)
{
    size_t have = 0;

    while (have <= size_max) {
        ssize_t got = read(fd, text + have, size_max + 1 - have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CN_E_SYSTEM;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    if (have > size_max)
        return CN_E_ARMOR;
    *size = have;
    return CN_OK;
}

enum cn_err cn_keyfile_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                              const char *text, size_t text_size, uint8_t key[CN_KEYFILE_KEY_SIZE])
{
    uint8_t body[CN_KEYFILE_BODY_SIZE];
    struct cn_reader r = { .at = body };
    uint8_t version;
    enum cn_err err = cn_armor_decode(crypto, kind, text, text_size, body, sizeof body, &r.left);

    if (err != CN_OK)
        return err == CN_E_FULL ? CN_E_FORMAT : err;
    version = cn_reader_u8(&r);
    if (cn_reader_ok(&r) && version != CN_KEYFILE_VERSION)
        err = CN_E_VERSION;
    else if (r.left != CN_KEYFILE_KEY_SIZE)
        err = CN_E_FORMAT;
    else
        cn_reader_copy(&r, key, CN_KEYFILE_KEY_SIZE);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_keyfile_open(int dir, const char *name, enum cn_armor_kind kind, int *fd)
{
    /* O_NONBLOCK: a pipe under this name must not hold us up */
    int opened = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum cn_err err;
    int saved;

    if (opened < 0 && errno == ENOENT)
        return CN_E_ABSENT;
    if (opened < 0)
        return errno == ELOOP ? CN_E_OPEN_MODE : CN_E_SYSTEM;
    err = file_check(opened, kind);
    if (err == CN_OK) {
        *fd = opened;
        return CN_OK;
    }
    saved = errno;
    close(opened);
    errno = saved;
    return err;
}

enum cn_err cn_keyfile_take(const struct cn_crypto *crypto, int fd, enum cn_armor_kind kind,
                            uint8_t key[CN_KEYFILE_KEY_SIZE])
{
    char text[TEXT_SIZE_MAX + 1];
    size_t text_size = 0;
    enum cn_err err = text_read(fd, text, TEXT_SIZE_MAX, &text_size);

    if (err == CN_OK)
        err = cn_keyfile_decode(crypto, kind, text, text_size, key);
    cn_wipe(text, sizeof text);
    return err;
}

enum cn_err cn_keyfile_read(const struct cn_crypto *crypto, int dir, const char *name,
                            enum cn_armor_kind kind, uint8_t key[CN_KEYFILE_KEY_SIZE])
{
    int fd = -1;
    enum cn_err err = cn_keyfile_open(dir, name, kind, &fd);
    int saved;

    if (err != CN_OK)
        return err;
    err = cn_keyfile_take(crypto, fd, kind, key);
    saved = errno;
    close(fd);
    errno = saved;
    return err;
}
