#include "network.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int cn_network_watch(void)
{
    const struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
                                        .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                                     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof groups) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool cn_network_changed(int fd)
{
    char what[4096];
    bool changed = false;

    if (fd < 0)
        return false;
    for (;;) {
        ssize_t size = recv(fd, what, sizeof what, MSG_TRUNC);

        if (size < 0 && errno != ENOBUFS) /* that: more than it could keep */
            return changed;
        changed = true;
    }
}

static bool is_same(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
                      &((const struct sockaddr_in *)(const void *)b)->sin_addr,
                      sizeof(struct in_addr)) == 0;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

/* All of 127.0.0.0/8 is ours, but only one of it is listed. */
static bool is_loopback(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

bool cn_network_has_address_of(int socket)
{
    struct sockaddr_storage own = { 0 };
    socklen_t size = sizeof own;
    struct ifaddrs *all;
    bool found = false;

    if (getsockname(socket, (struct sockaddr *)&own, &size) < 0 || getifaddrs(&all) < 0)
        return true;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        found = i->ifa_addr && is_same(i->ifa_addr, &own);
    freeifaddrs(all);
    return found || is_loopback(&own) || (own.ss_family != AF_INET && own.ss_family != AF_INET6);
}
