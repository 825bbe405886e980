/* many_streams NAME COUNT: one end of a call in which each end opens COUNT streams, all of them
 * open at once. Of ten that are opened seven carry octets of their own both ways to their ends, two
 * are never read by the partner, and one is given up as soon as all is written. What is not read
 * stays so until all else is over. Does only what events tell. Fails if an octet is another, or an
 * end is where none should be; else prints how many there were of each, and the memory that it
 * took, in KiB. The home is that of the environment. */
#include <cyphernet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WHOLE_KIND = 1,
    UNREAD_KIND,
    LOST_KIND,
    COUNT_MAX = 1024,
    LOST_CODE = 9,
    UNREAD_CODE = 10,
    UNREAD_SIZE = 100000,
    WINDOW_SIZE = 16384 /* PROTOCOL.md 6.3: the first */
};

struct flow {
    struct cn_stream *stream;
    uint8_t number; /* of its octets */
    bool mine;
    bool stopped; /* as much has arrived as may, unread */
    size_t size, written, read;
};

static struct cn_call *call;
static struct flow flows[2 * COUNT_MAX];
static unsigned count, flow_count, open_count, theirs_count;
static unsigned busy_count, flowing_count; /* of mine: not over; to be unread, not stopped yet */
static unsigned whole_count, unread_count, lost_count;

static void fail(const char *what)
{
    fprintf(stderr, "many_streams: %s\n", what);
    exit(1);
}

static uint8_t octet(const struct flow *f, bool of_opener, size_t at)
{
    return (uint8_t)(f->number + (of_opener ? 0U : 101U) + at * 7 + (at >> 8) * 31);
}

static uint8_t kind_of(unsigned number)
{
    return number % 10 < 7 ? WHOLE_KIND : number % 10 < 9 ? UNREAD_KIND : LOST_KIND;
}

static struct flow *begin(struct cn_stream *stream, bool mine, uint8_t number)
{
    struct flow *f = &flows[flow_count++];

    if (flow_count > 2 * COUNT_MAX)
        fail("more streams than there should be");
    *f = (struct flow) { .stream = stream, .mine = mine, .number = number };
    f->size = 1000 + 150 * (size_t)number + (mine ? 0 : 77);
    if (cn_stream_kind(stream) == UNREAD_KIND)
        f->size = mine ? UNREAD_SIZE : 0;
    cn_stream_set_user(stream, f);
    cn_stream_set_priority(stream, (enum cn_stream_priority)(number % (CN_PRIORITY_BULK + 1)));
    open_count++;
    busy_count += mine && cn_stream_kind(stream) != UNREAD_KIND;
    flowing_count += mine && cn_stream_kind(stream) == UNREAD_KIND;
    return f;
}

static void end(struct flow *f)
{
    busy_count -= f->mine && cn_stream_kind(f->stream) != UNREAD_KIND;
    cn_stream_release(f->stream);
    f->stream = NULL;
    open_count--;
}

/* All of it only when all streams are open, here and there. */
static size_t may_write(const struct flow *f)
{
    return theirs_count == count ? f->size : f->size / 2;
}

static void write_some(struct flow *f)
{
    while (f->stream && f->written < may_write(f)) {
        size_t room;
        uint8_t *to = cn_stream_reserve(f->stream, &room);

        if (!to)
            return;
        if (room > may_write(f) - f->written)
            room = may_write(f) - f->written;
        for (size_t i = 0; i < room; i++)
            to[i] = octet(f, f->mine, f->written + i);
        cn_stream_commit(f->stream, room);
        f->written += room;
    }
    if (!f->stream || f->written < f->size || theirs_count < count)
        return;
    if (cn_stream_kind(f->stream) == LOST_KIND && f->mine) {
        cn_stream_reset(f->stream, LOST_CODE);
        lost_count++;
        end(f);
    } else {
        cn_stream_finish(f->stream);
    }
}

static void read_some(struct flow *f)
{
    const uint8_t *from;
    size_t size;

    if (cn_stream_kind(f->stream) == UNREAD_KIND && !f->mine)
        return;
    while ((from = cn_stream_peek(f->stream, &size))) {
        for (size_t i = 0; i < size; i++) {
            if (from[i] != octet(f, !f->mine, f->read + i))
                fail("another octet");
        }
        cn_stream_consume(f->stream, size);
        f->read += size;
    }
}

static size_t partners_size(const struct flow *f)
{
    return cn_stream_kind(f->stream) == UNREAD_KIND
               ? 0
               : 1000 + 150 * (size_t)f->number + (f->mine ? 77 : 0);
}

static void was_reset(struct flow *f)
{
    const uint8_t kind = cn_stream_kind(f->stream);
    const uint32_t code = cn_stream_reset_code(f->stream);

    if (f->mine ||
        !((kind == LOST_KIND && code == LOST_CODE) || (kind == UNREAD_KIND && code == UNREAD_CODE)))
        fail("a reset that nobody meant");
    if (kind == UNREAD_KIND)
        unread_count++;
    else
        lost_count++;
    end(f);
}

/* A window has arrived of what nobody reads; more of it can not even be written. */
static void progressed(struct flow *f)
{
    struct cn_stream_progress progress;

    if (!f->stream || !f->mine || cn_stream_kind(f->stream) != UNREAD_KIND || f->stopped)
        return;
    cn_stream_progress(f->stream, &progress);
    if (progress.received > WINDOW_SIZE || f->written > 3 * WINDOW_SIZE)
        fail("more than the window of a stream that nobody reads");
    f->stopped = progress.received == WINDOW_SIZE;
    flowing_count -= f->stopped;
}

static void unread_end(void)
{
    for (unsigned i = 0; i < flow_count; i++) {
        if (flows[i].stream && flows[i].mine) {
            cn_stream_reset(flows[i].stream, UNREAD_CODE);
            unread_count++;
            end(&flows[i]);
        }
    }
}

static void look(struct flow *f)
{
    if (!f->stream)
        return;
    read_some(f);
    if (cn_stream_state(f->stream) == CN_STREAM_RESET) {
        was_reset(f);
    } else if (cn_stream_state(f->stream) == CN_STREAM_ENDED && f->written == f->size &&
               cn_stream_kind(f->stream) == WHOLE_KIND) {
        if (f->read != partners_size(f))
            fail("an end too early");
        whole_count++;
        end(f);
    }
}

static void streams_open(void)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t number = (uint8_t)i;
        struct cn_stream *stream;

        if (cn_stream_open(call, kind_of(i), &number, 1, &stream) != CN_OK)
            fail("cn_stream_open");
        write_some(begin(stream, true, number));
    }
}

static void partners_stream(struct cn_stream *stream)
{
    size_t size;
    const uint8_t *number = cn_stream_parameters(stream, &size);

    if (size != 1)
        fail("other parameters");
    theirs_count++;
    write_some(begin(stream, false, *number));
    if (theirs_count < count)
        return;
    for (unsigned i = 0; i < flow_count; i++) {
        write_some(&flows[i]);
        look(&flows[i]);
    }
}

static void take(const struct cn_event *event)
{
    struct flow *f = event->stream ? cn_stream_user(event->stream) : NULL;

    if (event->type == CN_EVENT_OPEN)
        streams_open();
    else if (event->type == CN_EVENT_STREAM)
        partners_stream(event->stream);
    else if (event->type == CN_EVENT_READABLE)
        look(f);
    else if (event->type == CN_EVENT_PROGRESS)
        progressed(f);
    if (event->type == CN_EVENT_WRITABLE) {
        write_some(f);
        look(f);
    }
    if (theirs_count < count || flow_count < 2 * count)
        return;
    if (busy_count == 0 && flowing_count == 0)
        unread_end();
    if (open_count == 0)
        cn_call_finish(call);
}

static long peak_kib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    if (status)
        (void)fclose(status);
    return kib;
}

int main(int argc, char **argv)
{
    const char *where = getenv("CYPHERNET_HOME");
    struct cn_call_options options = { NULL, CN_CALL_PIPE, false, 60000 };
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    struct cn_home *home;

    if (argc != 3 || !where || (count = (unsigned)strtoul(argv[2], NULL, 10)) > COUNT_MAX)
        return 2;
    options.contact = argv[1];
    if (cn_home_open(&home, where) != CN_OK || cn_call_open(&call, home, &options) != CN_OK)
        fail("the home, or the contact");
    while (event.type != CN_EVENT_CLOSED) {
        if (cn_call_wait(call, 60000, &event) != CN_OK)
            fail("nothing happened for a minute");
        take(&event);
    }
    if (event.err != CN_OK)
        fail(cn_err_text(event.err));
    printf("{\"whole\": %u, \"unread\": %u, \"lost\": %u, \"peak_kib\": %ld}\n", whole_count,
           unread_count, lost_count, peak_kib());
    cn_call_free(call);
    cn_home_close(home);
    return 0;
}
