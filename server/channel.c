#include "channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for a message's descriptors. */
union ancillary {
    struct cmsghdr head;
    char octets[CMSG_SPACE(CN_CHANNEL_FDS_MAX * sizeof(int))];
};

enum cn_err cn_channel_make(int fd[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0
               ? CN_OK
               : CN_E_SYSTEM;
}

static enum cn_err failure(void)
{
    /* ETOOMANYREFS: too many descriptors are on their way. Where the kernel has no memory just now,
     * epoll still tells that there is room: whoever waits for that tries again. */
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ||
        errno == ETOOMANYREFS)
        return CN_E_MORE;
    return errno == EPIPE || errno == ECONNRESET ? CN_E_HUNG_UP : CN_E_SYSTEM;
}

enum cn_err cn_channel_send(int channel, const struct cn_message *message, const int *fds,
                            size_t fd_count)
{
    struct cn_message m = *message;
    struct iovec octets = { &m, sizeof m };
    union ancillary ancillary;
    struct msghdr header = { .msg_iov = &octets, .msg_iovlen = 1 };

    m.version = CN_CHANNEL_VERSION;
    if (fd_count > 0) {
        memset(&ancillary, 0, sizeof ancillary);
        header.msg_control = &ancillary;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        ancillary.head = (struct cmsghdr) { .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&ancillary.head), fds, fd_count * sizeof(int));
    }
    return sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof m ? CN_OK
                                                                                       : failure();
}

void cn_channel_close_fds(const int *fds, size_t count)
{
    const struct linger none = { 0 };

    for (size_t i = 0; i < count; i++) {
        /* a socket from elsewhere could have been made to hold up whoever closes it */
        (void)setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(fds[i]);
    }
}

static size_t fds_take(struct msghdr *header, int fds[CN_CHANNEL_FDS_MAX])
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(header);
    size_t count = 0;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    assert(count <= CN_CHANNEL_FDS_MAX); /* the kernel was told of no more room */
    if (count > 0)
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    return count;
}

enum cn_err cn_channel_receive(int channel, struct cn_message *message, int fds[CN_CHANNEL_FDS_MAX],
                               size_t *fd_count)
{
    struct iovec octets = { message, sizeof *message };
    union ancillary ancillary;
    struct msghdr header = { .msg_iov = &octets,
                             .msg_iovlen = 1,
                             .msg_control = &ancillary,
                             /* CMSG_SPACE would have room for one more */
                             .msg_controllen = CMSG_LEN(CN_CHANNEL_FDS_MAX * sizeof(int)) };
    ssize_t size = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *fd_count = 0;
    if (size < 0)
        return failure();
    *fd_count = fds_take(&header, fds);
    if (size == (ssize_t)sizeof *message && message->version == CN_CHANNEL_VERSION &&
        !(header.msg_flags & MSG_TRUNC) && message->type > 0 && message->type < CN_MESSAGE_COUNT)
        return CN_OK;
    cn_channel_close_fds(fds, *fd_count);
    *fd_count = 0;
    return CN_E_HUNG_UP;
}
