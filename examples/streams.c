/* streams.c - several streams in one call: a word, and much else, of which the word is first.
 *
 *   streams NAME                   at both ends; each sends both, and tells what it got */
#include <cyphernet.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KIND_WORD = 1, KIND_BULK = 2, BULK_SIZE = 8 << 20, STREAM_COUNT = 2 };

static char ours[] = "ours"; /* marks the streams on which nothing comes back */

struct talk {
    struct cn_call *call;
    struct cn_stream *bulk; /* ours */
    int ended;              /* of the partner's streams */
};

/* As much as there is room for, written in place. WRITABLE comes when there is more. */
static void bulk_write(struct cn_stream *stream)
{
    struct cn_stream_progress progress;
    uint8_t *room;
    size_t size;

    for (;;) {
        cn_stream_progress(stream, &progress);
        if (progress.written == BULK_SIZE) {
            cn_stream_finish(stream);
            return;
        }
        room = cn_stream_reserve(stream, &size);
        if (size == 0)
            return;
        if (size > BULK_SIZE - progress.written)
            size = (size_t)(BULK_SIZE - progress.written);
        memset(room, 'x', size);
        cn_stream_commit(stream, size);
    }
}

/* The partner is there: one stream for what somebody waits for, one for what may take its time. */
static enum cn_err begin(struct talk *talk)
{
    struct cn_stream *word;
    enum cn_err err = cn_stream_open(talk->call, KIND_BULK, "ballast", 7, &talk->bulk);

    if (err == CN_OK)
        err = cn_stream_open(talk->call, KIND_WORD, "a word", 6, &word);
    if (err != CN_OK)
        return err;
    cn_stream_set_user(talk->bulk, ours);
    cn_stream_set_user(word, ours);
    cn_stream_set_priority(talk->bulk, CN_PRIORITY_BULK);
    cn_stream_set_priority(word, CN_PRIORITY_INTERACTIVE);
    bulk_write(talk->bulk);
    if (cn_stream_write(word, "hello", 5) < 5)
        return CN_E_FULL; /* a fresh stream has room for that */
    cn_stream_finish(word);
    return CN_OK;
}

/* Count what has arrived, and say so at its end. What is not consumed holds the partner back. */
static void take(struct talk *talk, struct cn_stream *stream)
{
    struct cn_stream_progress progress;
    const void *name;
    size_t size;

    while (cn_stream_peek(stream, &size))
        cn_stream_consume(stream, size);
    if (cn_stream_state(stream) != CN_STREAM_ENDED || cn_stream_user(stream) == ours)
        return;
    cn_stream_progress(stream, &progress);
    name = cn_stream_parameters(stream, &size);
    cn_stream_finish(stream); /* nothing goes back on it */
    printf("%.*s: %" PRIu64 " octets\n", (int)size, (const char *)name, progress.read);
    if (++talk->ended == STREAM_COUNT)
        cn_call_finish(talk->call);
}

static enum cn_err hold(struct talk *talk)
{
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    enum cn_err err = CN_OK;

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        err = cn_call_wait(talk->call, -1, &event);
        if (err == CN_OK && event.type == CN_EVENT_OPEN)
            err = begin(talk);
        else if (event.type == CN_EVENT_WRITABLE && event.stream == talk->bulk)
            bulk_write(talk->bulk);
        else if (event.type == CN_EVENT_READABLE)
            take(talk, event.stream);
        else if (event.type == CN_EVENT_CLOSED)
            err = event.err;
    }
    return err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    struct talk talk = { NULL, NULL, 0 };
    enum cn_err err = argc == 2 ? cn_home_open(&home, NULL) : CN_E_USAGE;

    if (err == CN_OK) {
        const struct cn_call_options options = { argv[1], CN_CALL_PIPE, false, -1 };

        err = cn_call_open(&talk.call, home, &options);
        if (err == CN_OK)
            err = hold(&talk);
        cn_call_free(talk.call);
        cn_home_close(home);
    }
    if (err != CN_OK)
        fprintf(stderr, "streams: %s\n", cn_err_text(err));
    return err != CN_OK;
}
