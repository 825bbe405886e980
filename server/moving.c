#include "moving.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    /* Octets that the kernel takes ahead of what it may send. What is said behind them waits for
     * them; but each half of them wakes us, so lines that send half within a millisecond, 64 MB/s,
     * are given more, until they need FAST_MS for half of that. */
    UNSENT = 128 * 1024,
    UNSENT_FAST = 2048 * 1024,
    FAST_MS = 16
};

static void unsent_set(const struct cn_way *way)
{
    const int size = way->fast ? UNSENT_FAST : UNSENT;

    (void)setsockopt(way->to, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &size, sizeof size); /* best effort */
}

void cn_way_begin(struct cn_way *way, int from, int to)
{
    *way = (struct cn_way) {
        .from = from, .to = to, .pipe.fd = { -1, -1 }, .readable = true, .writable = true
    };
    unsent_set(way);
}

/* After EAGAIN epoll tells when it is time again; after EINTR, ENOBUFS and ENOMEM it does not,
 * since as far as it knows nothing was in the way. */
static enum cn_moved moved_of(ssize_t result)
{
    if (result >= 0)
        return CN_MOVED;
    if (errno == EAGAIN)
        return CN_MOVED_NOTHING;
    return errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? CN_MOVED_LATER : CN_MOVED_BROKEN;
}

/* Octets that the kernel holds for the far end, which has not acknowledged them. */
static int queued(const struct cn_way *way)
{
    int size = 0;

    return ioctl(way->to, SIOCOUTQ, &size) == 0 ? size : 0; /* 0: no socket any more */
}

static void blocked(struct cn_way *way, uint64_t now_ms)
{
    way->writable = false;
    if (way->blocked_ms > 0)
        return;
    way->blocked_ms = now_ms;
    way->queued = queued(way);
}

static void passed(struct cn_way *way, size_t size, uint64_t now_ms)
{
    bool was_fast = way->fast;

    way->bytes += size;
    if (way->blocked_ms == 0)
        return;
    way->fast = now_ms - way->blocked_ms < (was_fast ? FAST_MS : 1);
    way->blocked_ms = 0;
    if (way->fast != was_fast)
        unsent_set(way);
}

enum cn_moved cn_way_pass(struct cn_way *way, uint64_t now_ms)
{
    ssize_t size = splice(way->pipe.fd[0], NULL, way->to, NULL, way->in_pipe,
                          SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    enum cn_moved moved = moved_of(size);

    if (size == 0)
        moved = CN_MOVED_NOTHING;
    if (moved == CN_MOVED_NOTHING)
        blocked(way, now_ms);
    if (moved == CN_MOVED) {
        way->in_pipe -= (uint32_t)size;
        passed(way, (size_t)size, now_ms);
    }
    return moved;
}

/* The pipe is empty, so EAGAIN can only mean that the source has nothing. */
static enum cn_moved fill(struct cn_way *way, size_t most)
{
    size_t want = most < way->pipe.size ? most : way->pipe.size;
    ssize_t size =
        splice(way->from, NULL, way->pipe.fd[1], NULL, want, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    enum cn_moved moved = moved_of(size);

    if (moved == CN_MOVED_NOTHING)
        way->readable = false;
    if (moved != CN_MOVED)
        return moved;
    way->ended = size == 0;
    way->in_pipe = (uint32_t)size;
    if (way->in_pipe >= way->pipe.size / 2)
        cn_pipes_grow(&way->pipe);
    return CN_MOVED;
}

/* Look at what is there, send what the far end takes, and take away just that, so that nothing has
 * to be kept between turns. */
static enum cn_moved copy_on(struct cn_way *way, uint8_t copy[CN_COPY_SIZE], size_t most,
                             uint64_t now_ms)
{
    size_t want = most < CN_COPY_SIZE ? most : CN_COPY_SIZE;
    ssize_t seen = recv(way->from, copy, want, MSG_PEEK | MSG_DONTWAIT);
    enum cn_moved moved = moved_of(seen);
    ssize_t sent;

    if (moved == CN_MOVED_NOTHING)
        way->readable = false;
    if (moved != CN_MOVED)
        return moved;
    way->ended = seen == 0;
    if (way->ended)
        return CN_MOVED;
    sent = send(way->to, copy, (size_t)seen, MSG_DONTWAIT | MSG_NOSIGNAL);
    moved = moved_of(sent);
    if (moved == CN_MOVED_NOTHING)
        blocked(way, now_ms);
    if (moved != CN_MOVED)
        return moved;
    if (recv(way->from, copy, (size_t)sent, MSG_DONTWAIT) != sent) {
        errno = EIO; /* what was seen must be there */
        return CN_MOVED_BROKEN;
    }
    passed(way, (size_t)sent, now_ms);
    return CN_MOVED;
}

enum cn_moved cn_way_take(struct cn_way *way, struct cn_pipes *pipes, uint8_t copy[CN_COPY_SIZE],
                          size_t most, uint64_t now_ms)
{
    if (way->pipe.fd[0] >= 0 || cn_pipes_lend(pipes, &way->pipe))
        return fill(way, most);
    return copy_on(way, copy, most, now_ms);
}

void cn_way_end(struct cn_way *way, struct cn_pipes *pipes)
{
    (void)shutdown(way->to, SHUT_WR); /* ENOTCONN: the far end is gone: its own way finds out */
    way->done = true;
    cn_way_rest(way, pipes);
}

void cn_way_rest(struct cn_way *way, struct cn_pipes *pipes)
{
    cn_pipes_give(pipes, &way->pipe, way->in_pipe == 0);
    way->in_pipe = 0;
}

bool cn_way_stalls(struct cn_way *way, uint64_t now_ms, uint64_t stall_ms)
{
    int now;

    if (way->blocked_ms == 0)
        return false;
    now = queued(way);
    if (now < way->queued)
        way->blocked_ms = now_ms;
    way->queued = now;
    return now_ms >= way->blocked_ms + stall_ms;
}
