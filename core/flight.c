#include "flight.h"

#include "record.h"

enum {
    RTT_UNKNOWN_MS = 100,
    MARK_MS = 2,    /* between marks, on short round trips */
    FLAT_COUNT = 3, /* rounds without growth by a quarter: the line is full */
    LATE_COUNT = 2,
    RECEIVED_MS = 20, /* that an acknowledgement may take besides */
    RECORD_MS = 10
};

static uint64_t under_way(const struct cn_flight *f)
{
    return f->sent - f->delivered;
}

uint64_t cn_flight_rate(const struct cn_flight *flight)
{
    return flight->rate[0] > flight->rate[1] ? flight->rate[0] : flight->rate[1];
}

/* Marks are as far apart as the ring holds them, however long they are under way. */
static bool mark_due(const struct cn_flight *f, uint64_t now_ms)
{
    const uint64_t took_ms = now_ms - f->delivered_ms;
    const uint64_t apart_ms = MARK_MS + took_ms / (CN_FLIGHT_MARK_COUNT_MAX / 2);

    return f->count == 0 ||
           (f->count < CN_FLIGHT_MARK_COUNT_MAX && now_ms >= f->marked_ms + apart_ms);
}

/* More than what a line of the rate that we know carries in a round trip, or waits for if that is
 * short. */
static bool is_enough(const struct cn_flight *f, uint64_t rtt_ms)
{
    const uint64_t ms = rtt_ms > CN_FLIGHT_QUEUE_MS ? rtt_ms : (rtt_ms + CN_FLIGHT_QUEUE_MS) / 2;

    return rtt_ms != UINT64_MAX && under_way(f) >= cn_flight_rate(f) / 1000 * ms;
}

void cn_flight_sent(struct cn_flight *flight, uint64_t size, uint64_t rtt_ms, uint64_t now_ms)
{
    bool counts;

    if (size == 0)
        return;
    if (under_way(flight) == 0)
        flight->delivered_ms = now_ms;
    flight->sent += size;
    counts = is_enough(flight, rtt_ms);
    flight->round_counts |= counts;
    if (!mark_due(flight, now_ms))
        return;
    flight->mark[(flight->first + flight->count++) % CN_FLIGHT_MARK_COUNT_MAX] =
        (struct cn_flight_mark) { flight->sent, now_ms, flight->delivered, flight->delivered_ms,
                                  counts };
    flight->marked_ms = now_ms;
}

static void rate_take(struct cn_flight *f, const struct cn_flight_mark *m, uint64_t now_ms)
{
    const uint64_t took_ms = now_ms > m->delivered_ms ? now_ms - m->delivered_ms : 1;
    const uint64_t rate = (f->delivered - m->delivered) * 1000 / took_ms;

    if (now_ms - f->span_ms >= CN_FLIGHT_SPAN_MS && f->span_counts) {
        f->rate[1] = f->rate[0];
        f->rate[0] = 0;
        f->span_ms = now_ms;
        f->span_counts = false;
    }
    f->span_counts |= m->counts;
    if (rate > f->rate[0])
        f->rate[0] = rate;
}

/* A queue that is as long as it may be says the same as a rate that does not grow, and sooner. */
static void delay_take(struct cn_flight *f, uint64_t took_ms, uint64_t rtt_ms)
{
    if (rtt_ms == UINT64_MAX || took_ms < rtt_ms + CN_FLIGHT_QUEUE_MS + RECEIVED_MS)
        f->late = 0;
    else
        f->full |= ++f->late >= LATE_COUNT;
}

/* Once a round trip: does the rate still grow with what is under way? */
static void round_take(struct cn_flight *f)
{
    const uint64_t rate = cn_flight_rate(f);

    if (f->delivered < f->round_sent)
        return;
    if (rate >= f->round_rate + f->round_rate / 4) {
        f->round_rate = rate;
        f->flat = 0;
    } else if (f->round_counts) {
        f->full |= ++f->flat >= FLAT_COUNT;
    }
    f->round_sent = f->sent;
    f->round_counts = false;
}

void cn_flight_delivered(struct cn_flight *flight, uint64_t size, uint64_t rtt_ms, uint64_t now_ms)
{
    const struct cn_flight_mark *last = NULL;

    if (size == 0)
        return;
    flight->delivered += size;
    while (flight->count > 0 && flight->mark[flight->first].sent <= flight->delivered) {
        last = &flight->mark[flight->first];
        flight->first = (flight->first + 1) % CN_FLIGHT_MARK_COUNT_MAX;
        flight->count--;
    }
    if (last) {
        rate_take(flight, last, now_ms);
        delay_take(flight, now_ms - last->at_ms, rtt_ms);
        round_take(flight);
    }
    flight->delivered_ms = now_ms;
}

void cn_flight_forget(struct cn_flight *flight, uint64_t size)
{
    flight->delivered += size;
    for (unsigned i = 0; i < flight->count; i++)
        flight->mark[(flight->first + i) % CN_FLIGHT_MARK_COUNT_MAX].delivered += size;
}

bool cn_flight_is_full(const struct cn_flight *flight, uint64_t rtt_ms)
{
    const uint64_t ms = (rtt_ms == UINT64_MAX ? RTT_UNKNOWN_MS : rtt_ms) + CN_FLIGHT_QUEUE_MS;
    const uint64_t rate = cn_flight_rate(flight);
    uint64_t limit = rate / 1000 * ms;

    if (!flight->full)
        limit *= 2;
    if (rate == 0)
        limit = CN_FLIGHT_START_SIZE;
    if (limit < CN_FLIGHT_LEAST_SIZE)
        limit = CN_FLIGHT_LEAST_SIZE;
    return under_way(flight) >= limit;
}

size_t cn_flight_record_size(const struct cn_flight *flight)
{
    static const size_t sizes[] = { CN_RECORD_SIZE_MAX, 16384, 4096 };
    const uint64_t rate = cn_flight_rate(flight);
    size_t i = rate == 0 ? 1 : 0;

    while (rate > 0 && i + 1 < sizeof sizes / sizeof sizes[0] && sizes[i] > rate * RECORD_MS / 1000)
        i++;
    return sizes[i];
}
