/* net.h - sockets of the load driver, all on loopback. Whatever fails ends the program: a bench
 * has nothing to save. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *what);     /* with errno */
_Noreturn void give_up(const char *what); /* without */

int64_t net_now_ns(void);

/* Blocking sockets without delay; none waits longer than half a minute. */
int net_dial(uint16_t port);
int net_listen(uint16_t port);
int net_accept(int listener);
void net_write(int fd, const void *octets, size_t size);
void net_read(int fd, void *octets, size_t size);
/* Wait until the other side has ended it. */
void net_await_end(int fd);
/* Without a FIN, and so without a port that is kept for a minute. */
void net_reset(int fd);

#endif
