/* net.h - connections between the subscribers and the server, as TCP has them, and what may become
 * of them: octets are late, damaged, or come no more, at any octet.
 *
 * Each end is a descriptor, whose numbers no descriptor of the system has and that are never given
 * twice, so that using one that is closed is seen. kernel.c gives the server's code its system
 * calls on them. */
#ifndef CN_SIM_NET_H
#define CN_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    NET_FD_FIRST = 1 << 20,
    NET_LINK_COUNT_MAX = 2048, /* in one seed */
    NET_MARK_SIZE = 8          /* octets of the mark of what must not be seen on the wire */
};

/* What happens to one direction of a connection. */
enum net_fault {
    NET_FINE = 0,
    NET_FLIP,  /* a bit of one octet */
    NET_STALL, /* what comes from there on is late */
    NET_RESET, /* the connection breaks, and both ends hear so */
    NET_END,   /* both ends hear that it has ended */
    NET_HALF,  /* it breaks, and only the sender hears so */
    NET_DEAF,  /* nothing arrives any more this way */
    NET_DEAD,  /* nor the other way */
    NET_FAULT_COUNT
};

/* "flip"; static. */
const char *net_fault_name(enum net_fault fault);

/* When so many octets have arrived there. */
struct net_plan {
    enum net_fault fault;
    uint64_t at;
    uint64_t more; /* FLIP: which bit; STALL: for how many ms */
};

enum net_way { NET_UP = 0, NET_DOWN = 1 }; /* to the server; from it */

struct net_setup {
    uint64_t latency_ms; /* one way */
    uint64_t jitter_ms;
    uint64_t rate;  /* octets per second each way; 0: no limit */
    size_t size[2]; /* octets on the way and unread, each way */
    size_t slice;   /* octets that one recv gives at most; 0: as many as there are */
    struct net_plan plan[2];
};

enum net_events { NET_IN = 1, NET_OUT = 2, NET_ENDED = 4, NET_BROKEN = 8 };

/* No connection is left from an earlier seed. */
void net_begin(void);
void net_wipe(void);

/* A connection: the subscriber's end in fd[0], the server's in fd[1]. who: in traces. */
void net_connect(const struct net_setup *setup, const char *who, int fd[2]);
static inline bool net_is(int fd)
{
    return fd >= NET_FD_FIRST;
}

/* As the system calls of these names, on descriptors that do not block: errno. */
ssize_t net_send(int fd, const void *octets, size_t size);
ssize_t net_recv(int fd, void *octets, size_t size, bool peek);
int net_shutdown(int fd);
int net_close(int fd);
/* SO_LINGER for no time: the other end will be reset when this one is closed. */
void net_linger_not(int fd);
/* Both. */
void net_abort(int fd);
/* A set of net_events. */
unsigned net_ready(int fd);

/* Nothing passes it any more, and nobody is told. */
void net_kill(int fd);
/* From now on all connections are good ones. */
void net_mend(void);

/* Let arrive what is due. */
void net_advance(void);
/* When something will arrive; UINT64_MAX: nothing is under way. */
uint64_t net_due_ms(void);
/* Connections that this seed has made; and octets that have arrived on the i-th. */
unsigned net_line_count(void);
uint64_t net_octets(unsigned i, enum net_way way);
/* All octets that were sent or read so far. */
uint64_t net_moved(void);

/* The watches of the server's loops: data and events are epoll's. */
struct net_watch {
    int epoll; /* 0: none */
    uint32_t events;
    void *data;
};
struct net_watch *net_watch_of(int fd);
/* The i-th connection's server end that is open; -1: no more. */
int net_server_end(unsigned i);

#endif
