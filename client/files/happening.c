#include "happening.h"

#include <stdlib.h>
#include <string.h>

struct cn_happening {
    struct cn_happening *next;
    struct cn_transfer_event event;
    char text[]; /* the event's paths */
};

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copy text, if there is one, to *to, and go behind it. */
static const char *text_copy(char **to, const char *text)
{
    char *copy = *to;

    if (!text)
        return NULL;
    memcpy(copy, text, strlen(text) + 1);
    *to += strlen(text) + 1;
    return copy;
}

void cn_happenings_add(struct cn_happenings *happenings, const struct cn_transfer_event *event)
{
    struct cn_happening *h =
        malloc(sizeof *h + text_size(event->path) + text_size(event->stored_as));
    char *to;

    if (!h) {
        happenings->lost = true;
        return;
    }
    to = h->text;
    h->next = NULL;
    h->event = *event;
    h->event.path = text_copy(&to, event->path);
    h->event.stored_as = text_copy(&to, event->stored_as);
    if (happenings->last)
        happenings->last->next = h;
    else
        happenings->first = h;
    happenings->last = h;
}

bool cn_happenings_take(struct cn_happenings *happenings, struct cn_transfer_event *event)
{
    struct cn_happening *h = happenings->first;

    if (!h)
        return false;
    free(happenings->taken);
    happenings->taken = h;
    happenings->first = h->next;
    if (!h->next)
        happenings->last = NULL;
    *event = h->event;
    return true;
}

void cn_happenings_wipe(struct cn_happenings *happenings)
{
    struct cn_transfer_event event;

    while (cn_happenings_take(happenings, &event))
        ;
    free(happenings->taken);
    *happenings = (struct cn_happenings) { 0 };
}
