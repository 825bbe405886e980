/* talk.c - a conversation as <cyphernet/talk.h> offers it: over one stream of a call. */
#include <cyphernet/talk.h>

#include <poll.h>
#include <stdlib.h>

#include "undelivered.h"
#include "wire.h"

enum { STREAM_KIND = 1 };

struct cn_talk {
    struct cn_wire wire;
    struct cn_conversation said;
    bool finished;               /* our end is said */
    bool over;                   /* ended or broken: nothing more comes */
    struct cn_undelivered *kept; /* borrowed; NULL: nothing is */
    struct cn_series_place last; /* line that was said, if one of a series was */
    bool has_begun;              /* with lines of its own series */
    bool leaves, hangs_up;       /* when all that is kept is said */
    bool has_heard;              /* a line of a series, which is with the owner */
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

/* --- what is kept --------------------------------------------------------------------------- */

/* Say the oldest line that is not said; false: there is none, or no room. */
static bool kept_say(struct cn_talk *talk, uint64_t *number)
{
    const struct cn_undelivered_line *line = talk->kept ? cn_undelivered_unsaid(talk->kept) : NULL;

    if (!line || cn_conversation_may_say(&talk->said, line->text, line->size) != CN_OK)
        return false;
    if (!cn_series_place_follows(&line->place, &talk->last)) {
        if (cn_conversation_begin_series(&talk->said, &line->place) != CN_OK)
            return false;
        talk->last = line->place;
        talk->last.number--;
    }
    if (cn_conversation_say(&talk->said, line->text, line->size, number) != CN_OK)
        return false;
    talk->last = line->place;
    cn_undelivered_said(talk->kept);
    return true;
}

static bool has_unsaid(const struct cn_talk *talk)
{
    return talk->kept && cn_undelivered_unsaid(talk->kept);
}

/* Also if nothing is ever said: so the partner knows that it will hear nothing of before again. */
static void own_series_say(struct cn_talk *talk)
{
    struct cn_series_place own;

    if (!talk->kept || talk->has_begun || has_unsaid(talk))
        return;
    cn_undelivered_own(talk->kept, &own);
    if (cn_conversation_begin_series(&talk->said, &own) != CN_OK)
        return;
    own.number--;
    talk->last = own;
    talk->has_begun = true;
}

/* As much of it as there is room for; who wants to leave does so behind that. */
static void kept_say_all(struct cn_talk *talk)
{
    while (kept_say(talk, NULL))
        ;
    own_series_say(talk);
    if (talk->leaves && !has_unsaid(talk) && (!talk->kept || talk->has_begun))
        cn_conversation_leave(&talk->said, talk->hangs_up);
}

/* The owner has come back for more: it has dealt with the last one. */
static void heard_note(struct cn_talk *talk)
{
    if (talk->has_heard)
        cn_undelivered_heard(talk->kept, &talk->said.series);
    talk->has_heard = false;
}

/* What becomes of it; false: it is not for the owner, who has it already, or has nothing to do. */
static bool event_take(struct cn_talk *talk, const struct cn_talk_event *event)
{
    if (event->type == CN_TALK_DELIVERED && talk->kept)
        cn_undelivered_delivered(talk->kept, event->number);
    if (event->type == CN_TALK_NONE && talk->kept)
        cn_undelivered_partner_keeps(talk->kept);
    if (event->type == CN_TALK_LINE && talk->kept && talk->said.has_series) {
        if (cn_undelivered_has_heard(talk->kept, &talk->said.series))
            return false;
        talk->has_heard = true;
    }
    return event->type != CN_TALK_NONE;
}

void cn_talk_keep(struct cn_talk *talk, struct cn_undelivered *undelivered)
{
    talk->kept = undelivered;
}

/* --- the wire ------------------------------------------------------------------------------- */

/* Hand over what is taken; then, if nothing can follow, our end. */
static void flush(struct cn_talk *talk)
{
    while (cn_wire_is_there(&talk->wire) && !talk->finished && !talk->over) {
        size_t size, taken;
        const uint8_t *out;

        kept_say_all(talk);
        out = cn_conversation_output(&talk->said, &size);
        taken = talk->wire.functions->write(&talk->wire, out, size);
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
        enum cn_err err;
        size_t room;
        uint8_t *in;

        heard_note(talk);
        err = cn_conversation_next(&talk->said, event);
        if (err == CN_OK && !event_take(talk, event))
            continue;
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
    enum cn_err err;

    if (talk->leaves)
        return CN_E_UNEXPECTED;
    flush(talk); /* first what is older */
    err = cn_conversation_may_say(&talk->said, text, size);
    if (err == CN_OK && talk->kept && (has_unsaid(talk) || !talk->has_begun))
        err = CN_E_FULL;
    if (err == CN_OK && talk->kept) {
        err = cn_undelivered_add(talk->kept, text, size);
        if (err == CN_OK)
            (void)kept_say(talk, number); /* there is room: nothing else was said meanwhile */
    } else if (err == CN_OK) {
        err = cn_conversation_say(&talk->said, text, size, number);
    }
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
    talk->leaves = true;
    talk->hangs_up |= hang_up;
    kept_say_all(talk);
    flush(talk);
}

bool cn_talk_is_sent(const struct cn_talk *talk)
{
    return !has_unsaid(talk) && cn_conversation_is_sent(&talk->said);
}
