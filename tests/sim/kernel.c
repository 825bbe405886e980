/* kernel.c - the system calls of the server's code, on the connections of net.h and in the
 * simulator's time. Linked with --wrap: on descriptors of the system they do what they always do.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "server.h"
#include "sim.h"

enum { EPOLL_FIRST = NET_FD_FIRST / 2 };

ssize_t __real_recv(int fd, void *octets, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *octets, size_t size, int flags);
ssize_t __real_send(int fd, const void *octets, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *octets, size_t size, int flags);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

ssize_t __wrap_recv(int fd, void *octets, size_t size, int flags)
{
    return net_is(fd) ? net_recv(fd, octets, size, flags & MSG_PEEK)
                      : __real_recv(fd, octets, size, flags);
}

ssize_t __wrap_send(int fd, const void *octets, size_t size, int flags)
{
    return net_is(fd) ? net_send(fd, octets, size) : __real_send(fd, octets, size, flags);
}

int __wrap_shutdown(int fd, int how)
{
    return net_is(fd) ? net_shutdown(fd) : __real_shutdown(fd, how);
}

int __wrap_close(int fd)
{
    if (net_is(fd))
        return net_close(fd);
    return fd >= EPOLL_FIRST ? 0 : __real_close(fd);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return net_is(fd) ? 0 : __real_setsockopt(fd, level, name, value, size);
}

int __wrap_epoll_create1(int flags)
{
    static int made;

    (void)flags;
    return EPOLL_FIRST + made++ % EPOLL_FIRST;
}

int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    struct net_watch *watch = net_watch_of(fd);

    if ((what == EPOLL_CTL_ADD) != (watch->epoll == 0)) {
        errno = watch->epoll == 0 ? ENOENT : EEXIST;
        return -1;
    }
    *watch = what == EPOLL_CTL_DEL ? (struct net_watch) { 0 }
                                   : (struct net_watch) { epoll, event->events, event->data.ptr };
    return 0;
}

static uint32_t events_of(int fd, uint32_t wanted)
{
    const unsigned ready = net_ready(fd);
    uint32_t events = 0;

    events |= ready & NET_IN ? (uint32_t)EPOLLIN : 0;
    events |= ready & NET_OUT ? (uint32_t)EPOLLOUT : 0;
    events |= ready & NET_ENDED ? (uint32_t)EPOLLRDHUP : 0;
    events &= wanted;
    events |= ready & NET_BROKEN ? (uint32_t)(EPOLLHUP | EPOLLERR) : 0;
    return events;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    int found = 0;
    int fd;

    (void)timeout_ms;
    for (unsigned i = 0; found < count && (fd = net_server_end(i)) >= 0; i++) {
        const struct net_watch *watch = net_watch_of(fd);
        const uint32_t ready = watch->epoll == epoll ? events_of(fd, watch->events) : 0;

        if (ready)
            events[found++] = (struct epoll_event) { ready, { .ptr = watch->data } };
    }
    return found;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (clock == CLOCK_REALTIME)
        *out = (struct timespec) { .tv_sec = (time_t)server_utc_s() };
    else
        *out = (struct timespec) { .tv_sec = (time_t)(sim.now_ms / 1000),
                                   .tv_nsec = (long)(sim.now_ms % 1000) * 1000000 };
    return 0;
}
