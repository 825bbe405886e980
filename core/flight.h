/* flight.h - how much of a call's data may be under way. PROTOCOL.md 6.6
 *
 * What is sent beyond what the line carries in a round trip waits in buffers on the way, and
 * everything that is said later waits behind it. So bulk is held to rate x (round trip + 50 ms):
 * the line stays full, and a word beside it is late by those 50 ms at the most. The rate is what
 * the partner's RECEIVED show, as BBR measures it (draft-ietf-ccwg-bbr): the greatest of the last
 * seconds, whose end only counts while enough is under way to show what the line carries. */
#ifndef CN_FLIGHT_H
#define CN_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CN_FLIGHT_START_SIZE = 64 * 1024, /* octets, until a rate is known */
    CN_FLIGHT_LEAST_SIZE = 8 * 1024,
    CN_FLIGHT_QUEUE_MS = 50,
    CN_FLIGHT_SPAN_MS = 5000, /* a rate counts for one to two of these */
    CN_FLIGHT_MARK_COUNT_MAX = 32
};

/* How things were when something was sent. */
struct cn_flight_mark {
    uint64_t sent; /* up to and with it */
    uint64_t at_ms;
    uint64_t delivered;
    uint64_t delivered_ms;
    bool counts; /* there was enough under way: what comes of it is the line's rate */
};

struct cn_flight {
    uint64_t sent; /* octets, from the beginning */
    uint64_t delivered;
    uint64_t delivered_ms; /* when that last grew, or something was sent with nothing under way */
    struct cn_flight_mark mark[CN_FLIGHT_MARK_COUNT_MAX]; /* a ring */
    unsigned first, count;
    uint64_t marked_ms;
    uint64_t rate[2];    /* octets a second; the greatest of this span, and of the one before */
    uint64_t span_ms;    /* when this span began */
    bool span_counts;    /* a sample of the line is in it */
    bool full;           /* the rate has stopped growing, or a queue has: the line is full */
    unsigned flat;       /* rounds in which the rate did not grow */
    unsigned late;       /* acknowledgements in a row that had waited in a queue */
    uint64_t round_sent; /* the round is over when this is delivered */
    uint64_t round_rate; /* the greatest before it */
    bool round_counts;
};

/* All of it zero is the beginning of a connection. */

/* size octets of data have gone into a record. rtt_ms: the smallest round trip; UINT64_MAX: not
 * known. */
void cn_flight_sent(struct cn_flight *flight, uint64_t size, uint64_t rtt_ms, uint64_t now_ms);
/* They have arrived. */
void cn_flight_delivered(struct cn_flight *flight, uint64_t size, uint64_t rtt_ms, uint64_t now_ms);
/* Nobody will say whether they have. */
void cn_flight_forget(struct cn_flight *flight, uint64_t size);

/* Octets a second; 0: not known. */
uint64_t cn_flight_rate(const struct cn_flight *flight);
/* Whether bulk has to wait. rtt_ms as above. */
bool cn_flight_is_full(const struct cn_flight *flight, uint64_t rtt_ms);
/* The size on the wire of records for bulk: one takes the line for 10 ms at the most, if it can. */
size_t cn_flight_record_size(const struct cn_flight *flight);

#endif
