/* What a process of the server is sent by another, which an attacker may have: messages of any size
 * and octets, with any number of descriptors. What is taken is a message of ours, whole; what is
 * not leaves nothing open; and what is sent by us arrives as it was sent. The input is one message
 * after another: how many descriptors go with it (u8; from 8 on: it is one that we send), its size
 * (u16), its first octets; the others are zeros. */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "reader.h"

enum { FDS_MAX = 7, OURS = 8, MESSAGE_COUNT_MAX = 16 };

/* The lowest descriptor that is free: lower than before if something was closed that was not to be.
 */
static int free_fd(void)
{
    int fd = dup(STDERR_FILENO);

    must(fd >= 0);
    close(fd);
    return fd;
}

static void say(int channel, const uint8_t *octets, size_t size, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        char octets[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } ancillary = { .octets = { 0 } };
    struct iovec content = { (void *)(uintptr_t)octets, size };
    struct msghdr header = { .msg_iov = &content, .msg_iovlen = 1 };

    if (fd_count > 0) {
        header.msg_control = &ancillary;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        ancillary.head = (struct cmsghdr) { .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&ancillary.head), fds, fd_count * sizeof(int));
    }
    must(sendmsg(channel, &header, MSG_DONTWAIT) == (ssize_t)size || errno == ETOOMANYREFS);
}

/* Open ends, and none that is a descriptor of ours. */
static void check_taken(const struct cn_message *message, const int *fds, size_t fd_count)
{
    must(message->version == CN_CHANNEL_VERSION);
    must(message->type > 0 && message->type < CN_MESSAGE_COUNT);
    must(fd_count <= CN_CHANNEL_FDS_MAX);
    for (size_t i = 0; i < fd_count; i++)
        must(fds[i] > STDERR_FILENO && close(fds[i]) == 0);
}

static void one(int channel[2], struct cn_reader *r)
{
    static uint8_t octets[UINT16_MAX];
    int fds[FDS_MAX], got[CN_CHANNEL_FDS_MAX];
    const uint8_t kind = cn_reader_u8(r);
    const size_t size = cn_reader_u16be(r) % (2 * sizeof(struct cn_message));
    const size_t given = size < r->left ? size : r->left;
    const size_t fd_count = kind < OURS ? kind : kind % (CN_CHANNEL_FDS_MAX + 1);
    const int before = free_fd();
    struct cn_message message, sent;
    size_t got_count = 0;
    enum cn_err err;

    for (size_t i = 0; i < FDS_MAX; i++)
        fds[i] = channel[0];
    memset(octets, 0, sizeof octets);
    cn_reader_copy(r, octets, given);
    memcpy(&sent, octets, sizeof sent);
    if (kind < OURS)
        say(channel[0], octets, size, fds, fd_count);
    else
        must(cn_channel_send(channel[0], &sent, fds, fd_count) == CN_OK);
    err = cn_channel_receive(channel[1], &message, got, &got_count);
    if (err == CN_OK) {
        if (kind >= OURS) {
            sent.version = CN_CHANNEL_VERSION;
            must(got_count == fd_count && memcmp(&message, &sent, sizeof sent) == 0);
        } else {
            must(size == sizeof message && memcmp(&message, octets, size) == 0);
        }
        check_taken(&message, got, got_count);
    } else {
        must(err == CN_E_HUNG_UP && got_count == 0);
        must(kind < OURS || sent.type == 0 || sent.type >= CN_MESSAGE_COUNT);
    }
    must(free_fd() == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };
    int channel[2];

    must(cn_channel_make(channel) == CN_OK);
    for (int i = 0; i < MESSAGE_COUNT_MAX && r.left > 0; i++)
        one(channel, &r);
    close(channel[0]);
    close(channel[1]);
    return 0;
}
