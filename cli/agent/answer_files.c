/* answer_files.c - what the contact sends goes into the directory that the rules say, if it is not
 * too large. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.h"
#include "command_line.h"
#include "progress.h"

struct answer_files {
    struct cn_receiving *receiving; /* owned */
    char *directory;                /* owned */
    uint64_t size_max;
    char name[1024]; /* of the only thing that is offered, to be shown; empty: several */
    uint64_t stored, unchanged, failed;
    uint64_t stored_size;
    char first_failure[256];
    char refused[128]; /* why all of it was; empty: it was not */
    bool finished;
    bool lost; /* the line is */
    enum cn_err err;
};

/* Where they go: ~ and %n have been put in. NULL: no memory. */
static char *directory_make(const char *rule, const char *contact)
{
    const char *user = getenv("HOME");
    char *words[] = { NULL, NULL };
    char **made;
    char *directory = NULL;
    char *whole = NULL;

    if (rule[0] != '~')
        user = NULL;
    if (user)
        rule += 2; /* else it is no directory, which is told when it is opened */
    if (asprintf(&whole, "%s%s%s", user ? user : "", user ? "/" : "", rule) < 0)
        return NULL;
    words[0] = whole;
    made = cn_command_line_for(words, contact);
    if (made)
        directory = strdup(made[0]);
    if (directory && strcmp(directory, whole) != 0)
        (void)mkdir(directory, 0700); /* the contact's own; what fails is told when it is opened */
    free(made);
    free(whole);
    return directory;
}

static bool begin_failed(struct cn_agent_call *c, struct answer_files *a, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(c->agent->cli->home);

    if (err == CN_E_SYSTEM)
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "%s: %s", detail->about,
                           strerror(detail->system_error));
    else
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "it cannot begin: %s", cn_err_text(err));
    cn_call_cancel(c->call, CN_E_SYSTEM);
    if (a) {
        cn_receiving_free(a->receiving);
        free(a->directory);
    }
    free(a);
    return false;
}

/* A contact who sends anew while we still seek him was ended and started again, or finds that out
 * of us: what he had begun to send may go on here. */
static void replace_lost(const struct cn_agent_call *c)
{
    for (size_t i = 0; i < c->agent->call_count; i++) {
        struct cn_agent_call *other = c->agent->call[i];
        struct answer_files *a = other->work;

        if (other == c || other->answer != &cn_answer_files || !a->lost ||
            strcmp(other->contact, c->contact) != 0)
            continue;
        a->err = CN_E_ANEW;
        other->over = true;
    }
}

static bool begin(struct cn_agent_call *c)
{
    const struct cn_rule *rule = cn_agent_rule(c->agent, c->contact);
    struct answer_files *a = calloc(1, sizeof *a);
    enum cn_err err = CN_E_MEMORY;

    if (a)
        a->directory = directory_make(rule->receive, c->contact);
    if (a && a->directory) {
        const struct cn_receiving_options options = { .directory = a->directory,
                                                      .contact = c->contact,
                                                      .conflict = rule->on_conflict,
                                                      .ask = true };

        a->size_max = rule->has_receive_max ? rule->receive_max : UINT64_MAX;
        err = cn_receiving_open(&a->receiving, c->agent->cli->home, &options);
    }
    if (err == CN_OK)
        err = cn_receiving_begin(a->receiving, c->call);
    if (err != CN_OK)
        return begin_failed(c, a, err);
    c->work = a;
    replace_lost(c);
    return true;
}

/* Of an offer that has a limit the size must be known. */
static bool has_unknown_size(const struct answer_files *a, const struct cn_transfer_offer *offer)
{
    for (size_t i = 0; i < offer->told_count; i++) {
        struct cn_transfer_item item;

        cn_receiving_item(a->receiving, i, &item);
        if (item.size == UINT64_MAX)
            return true;
    }
    return false;
}

static void offer_judge(struct cn_agent_call *c, struct answer_files *a)
{
    const bool none[1] = { false };
    struct cn_transfer_offer offer;
    struct cn_transfer_item item;
    char size[32], files[CN_COUNT_TEXT_SIZE];

    if (!cn_receiving_offer(a->receiving, &offer))
        return;
    cn_size_text(size, (double)offer.size);
    if (offer.size > a->size_max)
        snprintf(a->refused, sizeof a->refused, "%s are more than receive_max allows", size);
    else if (a->size_max != UINT64_MAX && has_unknown_size(a, &offer))
        snprintf(a->refused, sizeof a->refused, "of unknown size, and receive_max is set");
    if (offer.item_count == 1 && offer.told_count == 1) {
        cn_receiving_item(a->receiving, 0, &item);
        cn_printable(a->name, sizeof a->name, item.name, strlen(item.name));
    }
    if (a->refused[0])
        cn_receiving_decide(a->receiving, none, 1);
    else
        cn_receiving_decide(a->receiving, NULL, 0);
    if (c->agent->cli->verbose)
        cn_say(c->agent->cli, "%s offers %s, %s", c->contact,
               cn_count_text(files, offer.file_count, "file"), size);
}

/* A sender that had offered less. */
static void size_judge(struct cn_agent_call *c, struct answer_files *a)
{
    struct cn_transfer_progress p;

    if (a->size_max == UINT64_MAX || a->refused[0])
        return;
    cn_receiving_progress(a->receiving, &p);
    if (p.moved <= a->size_max)
        return;
    snprintf(a->refused, sizeof a->refused, "more came than was offered, and receive_max allows");
    cn_call_cancel(c->call, CN_E_REFUSED);
}

static void event_over(struct answer_files *a, const struct cn_transfer_event *event)
{
    if (event->outcome == CN_TRANSFER_STORED) {
        a->stored++;
        a->stored_size += event->kind == CN_TRANSFER_FILE ? event->size : 0;
    } else if (event->outcome == CN_TRANSFER_UNCHANGED) {
        a->unchanged++;
    } else if (event->outcome != CN_TRANSFER_UNWANTED) {
        if (a->failed++ == 0)
            snprintf(a->first_failure, sizeof a->first_failure, "%.100s: %s", event->path,
                     cn_transfer_outcome_text(event->outcome));
    }
}

static void transfer_event_take(struct cn_agent_call *c, struct answer_files *a,
                                const struct cn_transfer_event *event)
{
    switch (event->type) {
    case CN_TRANSFER_EVENT_OFFERED:
        offer_judge(c, a);
        break;
    case CN_TRANSFER_EVENT_OVER:
        event_over(a, event);
        break;
    case CN_TRANSFER_EVENT_FINISHED:
        a->finished = true;
        break;
    case CN_TRANSFER_EVENT_BROKEN:
        a->err = event->err;
        break;
    case CN_TRANSFER_EVENT_PROBLEM: /* it is over soon, with an outcome */
    case CN_TRANSFER_EVENT_NONE:
    case CN_TRANSFER_EVENT_BEGUN:
        break;
    }
}

static void transfer_events_take(struct cn_agent_call *c, struct answer_files *a)
{
    struct cn_transfer_event event;

    while (cn_receiving_next_event(a->receiving, &event))
        transfer_event_take(c, a, &event);
}

static void process(struct cn_agent_call *c)
{
    struct answer_files *a = c->work;
    struct cn_event event;

    cn_call_process(c->call);
    while (!c->over && cn_call_next_event(c->call, &event)) {
        (void)cn_receiving_take(a->receiving, &event);
        c->over = event.type == CN_EVENT_CLOSED;
        a->lost = event.type == CN_EVENT_LOST || (a->lost && event.type != CN_EVENT_RESUMED);
        if (c->over && a->err == CN_OK)
            a->err = event.err;
    }
    cn_receiving_process(a->receiving);
    transfer_events_take(c, a);
    if (!c->over)
        size_judge(c, a);
}

static size_t descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    struct answer_files *a = c->work;
    size_t count = cn_receiving_descriptors(a->receiving, polled, 1);

    cn_agent_shorten(timeout_ms, cn_receiving_timeout_ms(a->receiving));
    return count + cn_agent_call_descriptors(c, polled + count, timeout_ms);
}

/* "photo.jpg, 3.1 MB, into /home/bob/in", "12 of 13, 40 MB, into ..." */
static void so_far_make(const struct answer_files *a, char *out, size_t size)
{
    struct cn_transfer_progress p;
    char octets[32], number[64], unchanged[64] = "";

    cn_receiving_progress(a->receiving, &p);
    cn_size_text(octets, (double)a->stored_size);
    snprintf(number, sizeof number, "%llu of %llu", (unsigned long long)a->stored,
             (unsigned long long)p.entry_count);
    if (a->unchanged > 0)
        snprintf(unchanged, sizeof unchanged, ", %llu there already",
                 (unsigned long long)a->unchanged);
    snprintf(out, size, "%.200s%s%s, %s%s, into %.400s", a->name, a->name[0] ? ": " : "", number,
             octets, unchanged, a->directory);
}

static void end(struct cn_agent_call *c)
{
    struct answer_files *a = c->work;
    char so_far[CN_HISTORY_WHAT_SIZE - 160];

    so_far_make(a, so_far, sizeof so_far);
    if (a->refused[0])
        cn_agent_call_tell(c, CN_HISTORY_REFUSED, "%.200s%s%s", a->name, a->name[0] ? ": " : "",
                           a->refused);
    else if (a->err != CN_OK)
        cn_agent_call_tell_end(c, a->err, so_far);
    else if (a->failed > 0)
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "%.600s; %s", so_far, a->first_failure);
    else
        cn_agent_call_tell(c, CN_HISTORY_DONE, "%s", so_far);
    cn_receiving_free(a->receiving);
    free(a->directory);
    free(a);
}

const struct cn_answer cn_answer_files = {
    .service = "files",
    .begin = begin,
    .process = process,
    .descriptors = descriptors,
    .leave = cn_agent_call_leave,
    .end = end,
};
