/* kernel.h - descriptors that kernel.c knows, beside those of net.h and locks.h. */
#ifndef CN_SIM_KERNEL_H
#define CN_SIM_KERNEL_H

#include "locks.h"
#include "net.h"

enum {
    KERNEL_NETWORK_FD = LOCKS_FD_FIRST + LOCKS_FD_COUNT_MAX,
    KERNEL_EPOLL_FIRST = NET_FD_FIRST / 2
};

#endif
