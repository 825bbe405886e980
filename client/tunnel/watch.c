#include "watch.h"

#include <errno.h>
#include <sys/epoll.h>

bool cn_watch_want(int epoll, struct cn_watch *watch, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = watch };

    if (watch->always || (watch->registered && watch->wanted == events) ||
        (!watch->registered && events == 0)) {
        watch->wanted = events;
        return true;
    }
    if (epoll_ctl(epoll, watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd, &e) != 0) {
        if (errno != EPERM) /* regular files, and devices that never wait */
            return false;
        watch->always = true;
    } else {
        watch->registered = true;
    }
    watch->wanted = events;
    return true;
}

void cn_watch_end(int epoll, struct cn_watch *watch)
{
    cn_watch_park(epoll, watch);
    watch->fd = -1;
}

void cn_watch_park(int epoll, struct cn_watch *watch)
{
    struct epoll_event none = { 0 };

    if (watch->registered)
        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, &none);
    watch->registered = false;
    watch->wanted = 0;
}
