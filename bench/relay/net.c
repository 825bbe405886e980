#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, BACKLOG = 4096 };

void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

void give_up(const char *what)
{
    fprintf(stderr, "relay: %s\n", what);
    exit(1);
}

int64_t net_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int prepared(int fd)
{
    const struct timeval patience = { PATIENCE_S, 0 };
    const int on = 1;

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
        die("socket");
    return fd;
}

int net_dial(uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    int fd = prepared(socket(AF_INET, SOCK_STREAM, 0));

    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    return fd;
}

int net_listen(uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    const int on = 1;
    int fd = prepared(socket(AF_INET, SOCK_STREAM, 0)); /* accept waits as patiently */

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, BACKLOG) != 0)
        die("listen");
    return fd;
}

int net_accept(int listener)
{
    int fd = accept(listener, NULL, NULL);

    if (fd < 0)
        die("accept");
    return prepared(fd);
}

void net_write(int fd, const void *octets, size_t size)
{
    const char *from = octets;

    while (size > 0) {
        ssize_t put = write(fd, from, size);

        if (put < 0)
            die("write");
        from += put;
        size -= (size_t)put;
    }
}

void net_read(int fd, void *octets, size_t size)
{
    char *to = octets;

    while (size > 0) {
        ssize_t got = read(fd, to, size);

        if (got < 0)
            die("read");
        if (got == 0)
            give_up("read: the other side has ended");
        to += got;
        size -= (size_t)got;
    }
}

void net_await_end(int fd)
{
    char octet;
    ssize_t got = read(fd, &octet, 1);

    if (got > 0)
        give_up("an octet where an end was to come");
    if (got < 0 && errno != ECONNRESET)
        die("waiting for an end");
}

void net_reset(int fd)
{
    const struct linger none = { 1, 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}
