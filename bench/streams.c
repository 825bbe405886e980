/* streams.c - one call with a stream of bulk and a stream of words, each of which is said back.
 *
 *   streams HOME-A NAME-OF-B HOME-B NAME-OF-A SECONDS WORD-EVERY-MS
 *
 * Prints a line: octets of bulk that B read a second, then milliseconds for each word there and
 * back. Both ends are in this program, on one core. No words with 0. */
#include <cyphernet.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BULK_KIND = 1, WORD_KIND = 2, WORD_SIZE = 60, WORD_COUNT_MAX = 100000 };

struct end {
    struct cn_home *home;
    struct cn_call *call;
    struct cn_stream *bulk, *word;
    bool waiting, open;
};

static struct end ends[2];
static double took_ms[WORD_COUNT_MAX];
static size_t word_count;
static double word_sent_ms; /* 0: none is out */
static double octets;       /* that B has read */

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what)
{
    fprintf(stderr, "streams: %s\n", what);
    exit(1);
}

static void begin(struct end *end, const char *contact)
{
    const struct cn_call_options options = { contact, CN_CALL_PIPE, false, 30000 };

    if (cn_call_open(&end->call, end->home, &options) != CN_OK)
        fail("cn_call_open");
}

static void streams_open(struct end *end)
{
    if (cn_stream_open(end->call, BULK_KIND, NULL, 0, &end->bulk) != CN_OK ||
        cn_stream_open(end->call, WORD_KIND, NULL, 0, &end->word) != CN_OK)
        fail("cn_stream_open");
    cn_stream_set_priority(end->bulk, CN_PRIORITY_BULK);
    cn_stream_set_priority(end->word, CN_PRIORITY_INTERACTIVE);
}

static size_t consume(struct cn_stream *stream)
{
    size_t total = 0, size;

    while (stream && cn_stream_peek(stream, &size)) {
        cn_stream_consume(stream, size);
        total += size;
    }
    return total;
}

static void look(struct end *end)
{
    struct cn_event event;
    size_t words;

    cn_call_process(end->call);
    while (cn_call_next_event(end->call, &event)) {
        end->waiting |= event.type == CN_EVENT_WAITING;
        end->open |= event.type == CN_EVENT_OPEN;
        if (event.type == CN_EVENT_CLOSED)
            fail(cn_err_text(event.err));
        if (event.type == CN_EVENT_STREAM && cn_stream_kind(event.stream) == BULK_KIND)
            end->bulk = event.stream;
        if (event.type == CN_EVENT_STREAM && cn_stream_kind(event.stream) == WORD_KIND) {
            end->word = event.stream;
            cn_stream_set_priority(end->word, CN_PRIORITY_INTERACTIVE);
        }
    }
    words = consume(end->word);
    if (end == &ends[0] && words > 0) {
        took_ms[word_count++] = now_ms() - word_sent_ms;
        word_sent_ms = 0;
    } else if (words > 0) {
        (void)cn_stream_write(end->word, (char[WORD_SIZE]) { 0 }, words);
    }
    octets += (double)consume(end->bulk);
}

static void bulk_write(struct cn_stream *stream)
{
    size_t room;

    for (uint8_t *to = cn_stream_reserve(stream, &room); to;
         to = cn_stream_reserve(stream, &room)) {
        memset(to, 'b', room);
        cn_stream_commit(stream, room);
    }
}

static void turn(double wake_ms)
{
    struct pollfd polled[2 * CN_CALL_DESCRIPTORS_MAX];
    size_t count = 0;
    int timeout = (int)(wake_ms - now_ms()) + 1;

    for (int i = 0; i < 2; i++) {
        int due;

        if (!ends[i].call)
            continue;
        look(&ends[i]);
        due = cn_call_timeout_ms(ends[i].call);
        if (due >= 0 && due < timeout)
            timeout = due;
        count += cn_call_descriptors(ends[i].call, polled + count, CN_CALL_DESCRIPTORS_MAX);
    }
    (void)poll(polled, (nfds_t)count, timeout < 0 ? 0 : timeout);
}

int main(int argc, char **argv)
{
    double seconds, every_ms, from_ms, next_ms;

    if (argc != 7 || cn_home_open(&ends[0].home, argv[1]) != CN_OK ||
        cn_home_open(&ends[1].home, argv[3]) != CN_OK)
        return 2;
    seconds = strtod(argv[5], NULL);
    every_ms = strtod(argv[6], NULL);
    begin(&ends[0], argv[2]);
    while (!ends[0].waiting)
        turn(now_ms() + 1000);
    begin(&ends[1], argv[4]);
    while (!ends[0].open || !ends[1].open)
        turn(now_ms() + 1000);
    streams_open(&ends[0]);
    from_ms = next_ms = now_ms();
    while (now_ms() < from_ms + seconds * 1000) {
        bulk_write(ends[0].bulk);
        if (every_ms > 0 && word_sent_ms == 0 && now_ms() >= next_ms &&
            word_count < WORD_COUNT_MAX) {
            word_sent_ms = now_ms();
            next_ms = word_sent_ms + every_ms;
            (void)cn_stream_write(ends[0].word, (char[WORD_SIZE]) { 0 }, WORD_SIZE);
        }
        turn(every_ms > 0 ? next_ms : now_ms() + 1000);
    }
    printf("%.0f", octets / (now_ms() - from_ms) * 1000);
    for (size_t i = 0; i < word_count; i++)
        printf(" %.1f", took_ms[i]);
    puts("");
    for (int i = 0; i < 2; i++) {
        cn_call_free(ends[i].call);
        cn_home_close(ends[i].home);
    }
    return 0;
}
