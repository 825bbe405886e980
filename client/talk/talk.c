/* talk.c - a conversation as <cyphernet/talk.h> offers it: one stream of a call. */
#include <cyphernet/talk.h>

#include <stdlib.h>

#include "conversation.h"

enum { STREAM_KIND = 1 };

struct cn_talk {
    struct cn_call *call;     /* borrowed */
    struct cn_stream *stream; /* NULL until either end has opened it */
    struct cn_conversation said;
    bool finished; /* our end is said */
    bool over;     /* ended or broken: nothing more comes */
};

static void stream_use(struct cn_talk *talk, struct cn_stream *stream)
{
    talk->stream = stream;
    cn_stream_set_priority(stream, CN_PRIORITY_INTERACTIVE);
}

enum cn_err cn_talk_open(struct cn_talk **talk, struct cn_call *call)
{
    struct cn_talk *t = calloc(1, sizeof *t);
    struct cn_stream *stream = NULL;
    enum cn_err err = CN_OK;

    if (!t)
        return CN_E_MEMORY;
    t->call = call;
    cn_conversation_init(&t->said);
    if (cn_call_is_caller(call))
        err = cn_stream_open(call, STREAM_KIND, NULL, 0, &stream);
    if (err != CN_OK) {
        free(t);
        return err;
    }
    if (stream)
        stream_use(t, stream);
    *talk = t;
    return CN_OK;
}

void cn_talk_free(struct cn_talk *talk)
{
    if (!talk)
        return;
    cn_conversation_wipe(&talk->said);
    free(talk);
}

/* Hand over what the stream takes; then, if nothing can follow, our end. */
static void flush(struct cn_talk *talk)
{
    while (talk->stream && !talk->finished && !talk->over) {
        size_t size;
        const uint8_t *out = cn_conversation_output(&talk->said, &size);
        size_t taken = cn_stream_write(talk->stream, out, size);

        cn_conversation_sent(&talk->said, taken);
        if (taken < size)
            return;
        if (size == 0 && !cn_conversation_is_over(&talk->said))
            return;
        if (size == 0) {
            cn_stream_finish(talk->stream);
            talk->finished = true;
        }
    }
}

bool cn_talk_take(struct cn_talk *talk, const struct cn_event *event)
{
    if (event->type == CN_EVENT_STREAM && !talk->stream &&
        cn_stream_kind(event->stream) == STREAM_KIND)
        stream_use(talk, event->stream);
    if (!event->stream || event->stream != talk->stream)
        return false;
    flush(talk);
    return true;
}

static void over(struct cn_talk *talk, enum cn_talk_event_type type, struct cn_talk_event *event)
{
    talk->over = true;
    *event = (struct cn_talk_event) { type, 0, NULL, 0 };
    if (type == CN_TALK_ENDED)
        cn_call_finish(talk->call);
    else
        cn_call_cancel(talk->call, CN_E_FORMAT);
}

/* The next event, after reading as much as it takes. CN_E_MORE: there is none for now. */
static enum cn_err next(struct cn_talk *talk, struct cn_talk_event *event)
{
    for (;;) {
        enum cn_err err = cn_conversation_next(&talk->said, event);
        size_t room;
        uint8_t *in;

        if (err != CN_E_MORE)
            return err;
        in = cn_conversation_input(&talk->said, &room);
        room = cn_stream_read(talk->stream, in, room);
        if (room == 0)
            return CN_E_MORE;
        cn_conversation_received(&talk->said, room);
    }
}

bool cn_talk_next_event(struct cn_talk *talk, struct cn_talk_event *event)
{
    enum cn_stream_state state;
    enum cn_err err;

    if (!talk->stream || talk->over)
        return false;
    err = next(talk, event);
    flush(talk);
    if (err == CN_OK)
        return true;
    state = cn_stream_state(talk->stream);
    if (err != CN_E_MORE || state == CN_STREAM_RESET ||
        (state == CN_STREAM_ENDED && cn_conversation_end(&talk->said) != CN_OK))
        over(talk, CN_TALK_BROKEN, event);
    else if (state == CN_STREAM_ENDED && talk->finished)
        over(talk, CN_TALK_ENDED, event);
    return talk->over;
}

enum cn_err cn_talk_say(struct cn_talk *talk, const char *text, size_t size, uint64_t *number)
{
    enum cn_err err = cn_conversation_say(&talk->said, text, size, number);

    flush(talk);
    return err;
}

void cn_talk_read(struct cn_talk *talk, uint64_t number)
{
    cn_conversation_read(&talk->said, number);
    flush(talk);
}

void cn_talk_leave(struct cn_talk *talk, bool hang_up)
{
    cn_conversation_leave(&talk->said, hang_up);
    flush(talk);
}

bool cn_talk_is_sent(const struct cn_talk *talk)
{
    return cn_conversation_is_sent(&talk->said);
}
