/* talk.c - a conversation as <cyphernet/talk.h> offers it: over one stream of a call. */
#include <cyphernet/talk.h>

#include <poll.h>
#include <stdlib.h>

#include "conversation.h"
#include "wire.h"

enum { STREAM_KIND = 1 };

struct cn_talk {
    struct cn_wire wire;
    struct cn_conversation said;
    bool finished; /* our end is said */
    bool over;     /* ended or broken: nothing more comes */
};

static void stream_use(struct cn_talk *talk, struct cn_stream *stream)
{
    talk->wire.stream = stream;
    cn_stream_set_priority(stream, CN_PRIORITY_INTERACTIVE);
}

static struct cn_talk *talk_make(void)
{
    struct cn_talk *talk = calloc(1, sizeof *talk);

    if (talk)
        cn_conversation_init(&talk->said);
    return talk;
}

enum cn_err cn_talk_open_descriptor(struct cn_talk **talk, int fd)
{
    struct cn_talk *t = talk_make();

    if (!t)
        return CN_E_MEMORY;
    cn_wire_of_descriptor(&t->wire, fd);
    *talk = t;
    return CN_OK;
}

enum cn_err cn_talk_open(struct cn_talk **talk, struct cn_call *call)
{
    struct cn_talk *t = talk_make();
    struct cn_stream *stream = NULL;
    enum cn_err err = CN_OK;

    if (!t)
        return CN_E_MEMORY;
    cn_wire_of_call(&t->wire, call);
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

/* Hand over what is taken; then, if nothing can follow, our end. */
static void flush(struct cn_talk *talk)
{
    while (cn_wire_is_there(&talk->wire) && !talk->finished && !talk->over) {
        size_t size;
        const uint8_t *out = cn_conversation_output(&talk->said, &size);
        size_t taken = talk->wire.functions->write(&talk->wire, out, size);

        cn_conversation_sent(&talk->said, taken);
        if (taken < size)
            return;
        if (size == 0 && !cn_conversation_is_over(&talk->said))
            return;
        if (size == 0) {
            talk->wire.functions->finish(&talk->wire);
            talk->finished = true;
        }
    }
}

bool cn_talk_take(struct cn_talk *talk, const struct cn_event *event)
{
    if (event->type == CN_EVENT_STREAM && !talk->wire.stream &&
        cn_stream_kind(event->stream) == STREAM_KIND)
        stream_use(talk, event->stream);
    if (!event->stream || event->stream != talk->wire.stream)
        return false;
    flush(talk);
    return true;
}

void cn_talk_process(struct cn_talk *talk)
{
    flush(talk);
}

size_t cn_talk_descriptors(const struct cn_talk *talk, struct pollfd *descriptors, size_t max)
{
    const struct cn_wire *wire = &talk->wire;
    short wanted = wire->has_ended ? 0 : POLLIN;

    if (max == 0 || wire->fd < 0 || talk->over)
        return 0;
    if (wire->is_full)
        wanted |= POLLOUT;
    descriptors[0] = (struct pollfd) { wanted ? wire->fd : -1, wanted, 0 };
    return 1;
}

static void over(struct cn_talk *talk, enum cn_talk_event_type type, struct cn_talk_event *event)
{
    talk->over = true;
    *event = (struct cn_talk_event) { type, 0, NULL, 0 };
    if (talk->wire.call && type == CN_TALK_ENDED)
        cn_call_finish(talk->wire.call);
    else if (talk->wire.call)
        cn_call_cancel(talk->wire.call, CN_E_FORMAT);
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
        room = talk->wire.functions->read(&talk->wire, in, room);
        if (room == 0)
            return CN_E_MORE;
        cn_conversation_received(&talk->said, room);
    }
}

/* Nothing more comes for now, or ever. */
static void end_look(struct cn_talk *talk, struct cn_talk_event *event)
{
    enum cn_stream_state state = talk->wire.functions->state(&talk->wire);
    bool is_whole = state == CN_STREAM_ENDED && cn_conversation_end(&talk->said) == CN_OK;

    if (is_whole && talk->finished)
        over(talk, CN_TALK_ENDED, event);
    else if (state != CN_STREAM_OPEN && !is_whole) /* who has the stream may have lost the call */
        over(talk, talk->wire.call ? CN_TALK_BROKEN : CN_TALK_INTERRUPTED, event);
}

bool cn_talk_next_event(struct cn_talk *talk, struct cn_talk_event *event)
{
    enum cn_err err;

    if (!cn_wire_is_there(&talk->wire) || talk->over)
        return false;
    err = next(talk, event);
    flush(talk);
    if (err == CN_OK)
        return true;
    if (err == CN_E_MORE)
        end_look(talk, event);
    else
        over(talk, CN_TALK_BROKEN, event);
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
