/* What a program that takes the server over finds, whatever it is: it is refused, or can be gone
 * through to its end, and comes out as it was when it is handed on. The file is closed in any case.
 * The input: octets of the file that are there (u32), then places (u16) and what is there (u32);
 * the rest is as our own program would write it. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader.h"
#include "upgrade.h"

/* None of these is open. */
enum { FD_FIRST = 900 };

static void make(struct cn_upgrade *upgrade)
{
    memset(upgrade, 0, sizeof *upgrade);
    upgrade->version = CN_UPGRADE_VERSION;
    upgrade->size = sizeof *upgrade;
    upgrade->dir = upgrade->control = upgrade->rate = FD_FIRST;
    upgrade->metrics = -1;
    for (size_t i = 0; i < CN_LISTENERS_MAX; i++)
        upgrade->listener[i] = FD_FIRST + (int)i;
}

static int file_make(const struct cn_upgrade *upgrade, size_t size)
{
    int fd = memfd_create("upgrade", MFD_CLOEXEC);
    const size_t there = size < sizeof *upgrade ? size : sizeof *upgrade;

    must(fd >= 0 && pwrite(fd, upgrade, there, 0) == (ssize_t)there);
    return fd;
}

static void check(struct cn_upgrade *taken, const struct cn_upgrade *upgrade)
{
    struct cn_upgrade again;
    int fd;

    must(memcmp(taken, upgrade, sizeof *taken) == 0);
    must(taken->heir_count <= CN_CHILDREN_MAX && taken->listener_count <= CN_LISTENERS_MAX);
    cn_upgrade_keep(taken);
    must(cn_upgrade_write(taken, &fd) == CN_OK);
    must(cn_upgrade_read(&again, fd) == CN_OK && memcmp(&again, upgrade, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_upgrade upgrade, taken;
    struct cn_reader r = { .at = in, .left = in_size };
    const size_t size = cn_reader_u32be(&r);
    int fd;
    enum cn_err err;

    make(&upgrade);
    while (r.left > 0) {
        const size_t place = cn_reader_u16be(&r) * sizeof(uint32_t) % sizeof upgrade;
        const uint32_t value = cn_reader_u32be(&r);

        memcpy((char *)&upgrade + place, &value, sizeof value);
    }
    fd = file_make(&upgrade, size);
    memset(&taken, 0, sizeof taken);
    err = cn_upgrade_read(&taken, fd);
    must(fcntl(fd, F_GETFD) < 0);
    if (err == CN_OK)
        check(&taken, &upgrade);
    else
        must(err == CN_E_VERSION);
    return 0;
}
