/* failing_channels.h - channels that fail when a test wants it: linked with --wrap=sendmsg and
 * --wrap=recvmsg. */
#ifndef CN_FAILING_CHANNELS_H
#define CN_FAILING_CHANNELS_H

#include <errno.h>
#include <sys/socket.h>

ssize_t __real_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *header, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags);

static int failing; /* errno of both; 0: they do not fail */

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
    errno = failing;
    return failing ? -1 : __real_sendmsg(fd, header, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags)
{
    errno = failing;
    return failing ? -1 : __real_recvmsg(fd, header, flags);
}

#endif
