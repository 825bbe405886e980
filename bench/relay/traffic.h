/* traffic.h - what goes through the calls. Each of these is a process of its own, but traffic_pass;
 * they write what they have done to a tally that all share. */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "way.h"

enum { CALL_COUNT_MAX = 1024, TRIP_COUNT_MAX = 4 << 20, MAKER_COUNT_MAX = 64, TRIP_SIZE = 64 };

struct tally {
    _Atomic uint64_t octets[CALL_COUNT_MAX]; /* received, by call */
    _Atomic uint64_t calls[MAKER_COUNT_MAX]; /* made, by process */
    _Atomic uint32_t begun;                  /* processes that can make calls now */
    _Atomic bool over;                       /* to those who make calls: no more */
    _Atomic uint32_t trip_count;
    uint32_t trip_ns[TRIP_COUNT_MAX];
};

struct bulk {
    size_t count;
    int (*ends)[END_COUNT];
    bool compares; /* every octet is written by the sender, read and compared by the receiver;
                      else the sender uses sendfile, and the receiver throws away */
};

/* Before any of the others. */
void traffic_init(void);

_Noreturn void traffic_send(const struct bulk *bulk);
_Noreturn void traffic_receive(const struct bulk *bulk, struct tally *tally);
/* Octets there and back, one after the other. */
_Noreturn void traffic_probe(const int ends[END_COUNT], int64_t pause_us, struct tally *tally);
/* Make calls, pass an octet through each, close it; until it is over. maker: which of those who do
 * so. Behind a proxy one may get the other end of another's call. */
_Noreturn void traffic_make_calls(const struct way *way, size_t maker, struct tally *tally);

/* So many octets from one end to the other, compared. */
void traffic_pass(int from, int to, size_t size);

#endif
