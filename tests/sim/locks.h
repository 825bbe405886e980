/* locks.h - the file of each home in which client/waiting.c holds its places: open(2) of it, and
 * locks of the open file description on single octets, as fcntl(2) has them. */
#ifndef CN_SIM_LOCKS_H
#define CN_SIM_LOCKS_H

#include <fcntl.h>
#include <stdbool.h>

enum { LOCKS_FD_FIRST = 1 << 18, LOCKS_FD_COUNT_MAX = 64 };

static inline bool locks_is(int fd)
{
    return fd >= LOCKS_FD_FIRST && fd < LOCKS_FD_FIRST + LOCKS_FD_COUNT_MAX;
}

int locks_open(int home);
/* As fcntl with F_OFD_SETLK: 0, or -1 and errno. */
int locks_set(int fd, const struct flock *lock);
void locks_close(int fd);

#endif
