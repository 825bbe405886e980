/* kernel.c - the system calls of the server's code and the client's, on the connections of net.h
 * and the locks of locks.h, and in the simulator's time. Linked with --wrap: on descriptors of the
 * system they do what they always do. */
#include "kernel.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "owner.h"
#include "server.h"
#include "sim.h"

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
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
time_t __wrap_time(time_t *out);

ssize_t __wrap_recv(int fd, void *octets, size_t size, int flags)
{
    struct owner *owner = owner_running();
    ssize_t got;

    if (!net_is(fd))
        return __real_recv(fd, octets, size, flags);
    got = net_recv(fd, octets, size, flags & MSG_PEEK);
    if (got > 0 && owner)
        owner->heard_ms = owner_now(owner).ms;
    return got;
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
    struct owner *owner = owner_running();

    if (fd < LOCKS_FD_FIRST)
        return __real_close(fd);
    if (owner)
        owner->descriptors--;
    if (net_is(fd))
        return net_close(fd);
    if (locks_is(fd))
        locks_close(fd);
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    if (!net_is(fd))
        return __real_setsockopt(fd, level, name, value, size);
    if (level == SOL_SOCKET && name == SO_LINGER)
        net_linger_not(fd);
    return 0;
}

/* Of the client nothing is opened but where a home has its locks. */
int __wrap_open64(const char *path, int flags, ...)
{
    struct owner *owner = owner_running();
    va_list list;
    int mode;

    va_start(list, flags);
    mode = va_arg(list, int);
    va_end(list);
    if (!owner)
        return __real_open64(path, flags, mode);
    owner->descriptors++;
    return locks_open(owner->setup.person);
}

int __wrap_fcntl64(int fd, int command, ...)
{
    va_list list;
    void *argument;

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    if (!locks_is(fd))
        return __real_fcntl64(fd, command, argument);
    sim_need(command == F_OFD_SETLK);
    return locks_set(fd, argument);
}

int __wrap_epoll_create1(int flags)
{
    static int made;

    (void)flags;
    return KERNEL_EPOLL_FIRST + made++ % KERNEL_EPOLL_FIRST;
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

time_t __wrap_time(time_t *out)
{
    const struct owner *owner = owner_running();
    const uint64_t utc_s = owner ? owner_now(owner).utc_s : server_utc_s();

    if (out)
        *out = (time_t)utc_s;
    return (time_t)utc_s;
}
