/* waiting.c - locks on octets of a file that holds nothing, one octet for each contact, service and
 * side. They end with the process, however that ends. */
#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "file.h"

#define WAITING_FILE "waiting"

/* FNV-1a. Two that fall on one octet make a watcher wait in vain, and nothing else. */
static off_t octet_of(const struct cn_call_want *want)
{
    uint64_t hash = 0xcbf29ce484222325U;

    hash = (hash ^ (uint64_t)want->service) * 0x100000001b3U;
    hash = (hash ^ (uint64_t)want->caller) * 0x100000001b3U;
    for (const char *c = want->contact; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3U;
    return (off_t)(hash >> 2);
}

/* Another holds it? What fails otherwise, as where a file system has no locks, guards nothing. */
static bool hold(int waiting, short type, const struct cn_call_want *want)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

    lock.l_start = octet_of(want);
    return waiting == CN_WAITING_NONE || fcntl(waiting, F_OFD_SETLK, &lock) == 0 ||
           (errno != EAGAIN && errno != EACCES);
}

int cn_waiting_open(const struct cn_home *home)
{
    char path[PATH_MAX];

    if (!home->state[0] || cn_file_directories(home->state) != CN_OK)
        return CN_WAITING_NONE;
    snprintf(path, sizeof path, "%s/%s", home->state, WAITING_FILE);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool cn_waiting_hold(int waiting, const struct cn_call_want *wants, size_t count)
{
    bool held = true;

    for (size_t i = 0; i < count; i++)
        held = hold(waiting, F_RDLCK, &wants[i]) && held;
    return held;
}

bool cn_waiting_hold_alone(int waiting, const struct cn_call_want *want)
{
    return hold(waiting, F_WRLCK, want);
}
