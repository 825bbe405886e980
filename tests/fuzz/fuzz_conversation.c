/* A partner who says anything: marks stay within what was said, lines within their size, and what
 * is accepted has no second encoding. The first octet says how many lines we have said. */
#include "fuzz.h"

#include "talk/conversation.h"

static struct cn_conversation c, again;

/* Lines that are taken can be said again, in the same octets, if they are UTF-8. */
static void say_again(const struct cn_talk_event *event)
{
    size_t size;
    const uint8_t *out;

    cn_conversation_init(&again);
    if (cn_conversation_say(&again, event->text, event->text_size, NULL) != CN_OK)
        return;
    out = cn_conversation_output(&again, &size);
    must(size == c.in_size && memcmp(out, c.in, size) == 0);
}

static void check(const struct cn_talk_event *event)
{
    must((event->type == CN_TALK_NONE) == (c.in[0] == CN_CONVERSATION_SERIES && c.has_series));
    must(c.ours.read <= c.ours.delivered && c.ours.delivered <= c.ours.said);
    if (event->type != CN_TALK_LINE)
        return;
    must(event->number == c.theirs.said && event->text_size <= CN_TALK_TEXT_SIZE_MAX);
    say_again(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_talk_event event;
    size_t size;

    if (in_size == 0)
        return 0;
    cn_conversation_init(&c);
    for (uint8_t said = 0; said < in[0] % 8; said++)
        must(cn_conversation_say(&c, "x", 1, NULL) == CN_OK);
    for (size_t at = 1; at < in_size;) {
        size_t room;
        uint8_t *to = cn_conversation_input(&c, &room);
        enum cn_err err;

        must(room > 0);
        room = room < in_size - at ? room : in_size - at;
        memcpy(to, in + at, room);
        cn_conversation_received(&c, room);
        at += room;
        err = cn_conversation_next(&c, &event);
        if (err != CN_OK && err != CN_E_MORE)
            break;
        if (err == CN_OK)
            check(&event);
        (void)cn_conversation_output(&c, &size);
        must(size <= CN_CONVERSATION_OUT_SIZE);
        cn_conversation_sent(&c, size);
    }
    if (cn_conversation_end(&c) == CN_OK)
        must(c.ours.delivered == c.ours.said && c.theirs.leaving != CN_CONVERSATION_STAYS);
    return 0;
}
