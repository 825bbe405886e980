/* answer_delivery.c - the contact has come, and gets what `send --later` put into the queue. */
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "dial.h"
#include "files/sending.h"
#include "progress.h"

#define GIVEN_UP "; it is not tried again"

struct answer_delivery {
    struct cn_delivery delivery; /* owned */
    struct cn_sending *sending;  /* owned */
    uint64_t sent, there, failed;
    uint64_t sent_size;
    char first_failure[256];
    bool has_begun;                       /* all is listed; else that is under way, or: */
    char unsent[CN_DELIVERY_REASON_SIZE]; /* why nothing can be sent */
    bool is_shortage;                     /* which may pass */
    bool finished;
    enum cn_err err;
};

/* It is not tried again, and `cyphernet queue` says why. */
static void give_up(struct cn_agent_call *c, struct cn_delivery *delivery, const char *why)
{
    struct cn_home *home = c->agent->cli->home;
    enum cn_err err;

    snprintf(delivery->failed, sizeof delivery->failed, "%.500s", why);
    err = cn_queue_replace(home, delivery);
    if (err != CN_OK && err != CN_E_ABSENT)
        (void)cn_fail(c->agent->cli, err, "writing the queue");
    c->agent->queue_stale = true;
}

/* What is wrong with the source. */
static void source_text(struct cn_agent_call *c, enum cn_err err, char *out, size_t size)
{
    const struct cn_detail *detail = cn_home_detail(c->agent->cli->home);

    if (err == CN_E_SYSTEM)
        snprintf(out, size, "%.300s: %s", detail->about, strerror(detail->system_error));
    else if (err == CN_E_ABSENT)
        snprintf(out, size, "nothing is left to send");
    else
        snprintf(out, size, "%.300s%s%s", detail->about, detail->about[0] ? ": " : "",
                 cn_err_text(err));
}

/* It may go well another time, whatever is to be sent. */
static bool is_shortage(struct cn_agent_call *c, enum cn_err err)
{
    return err == CN_E_MEMORY ||
           (err == CN_E_SYSTEM &&
            cn_is_shortage(cn_home_detail(c->agent->cli->home)->system_error));
}

/* Nothing can be sent, for a reason of ours. */
static void unsent(struct cn_agent_call *c, struct cn_delivery *delivery,
                   struct cn_pending *pending, const char *why, bool again)
{
    const char *id = pending ? pending->id : delivery->id;

    if (again && pending)
        cn_pending_delay(c->agent, pending);
    else if (!again && delivery)
        give_up(c, delivery, why);
    cn_agent_call_tell(c, CN_HISTORY_FAILED, "%s: %s%s", id, why, again ? "" : GIVEN_UP);
}

static bool begin_failed(struct cn_agent_call *c, struct answer_delivery *a,
                         struct cn_pending *pending, enum cn_err err)
{
    char why[CN_DELIVERY_REASON_SIZE];

    source_text(c, err, why, sizeof why);
    unsent(c, a && a->delivery.id[0] ? &a->delivery : NULL, pending, why, is_shortage(c, err));
    cn_call_cancel(c->call, CN_E_CANCELLED);
    pending->under_way = false;
    if (a) {
        cn_sending_free(a->sending);
        cn_delivery_wipe(&a->delivery);
    }
    free(a);
    c->agent->queue_stale = true;
    return false;
}

static bool begin(struct cn_agent_call *c)
{
    struct cn_home *home = c->agent->cli->home;
    struct cn_pending *pending = cn_pending_next(c->agent, c->contact);
    struct answer_delivery *a = calloc(1, sizeof *a);
    enum cn_err err = a ? cn_queue_read(home, pending->id, &a->delivery) : CN_E_MEMORY;

    pending->under_way = true;
    c->agent->wants_stale = true;
    if (err == CN_OK) {
        const struct cn_sending_options options = { .paths = a->delivery.paths,
                                                    .path_count = a->delivery.path_count,
                                                    .excludes = a->delivery.excludes,
                                                    .exclude_count = a->delivery.exclude_count,
                                                    .gitignore = a->delivery.gitignore,
                                                    .compress = a->delivery.compress };

        err = cn_sending_open_later(&a->sending, home, &options);
    }
    if (err != CN_OK)
        return begin_failed(c, a, pending, err);
    c->work = a;
    return true;
}

static void failure_take(struct answer_delivery *a, const char *path, const char *what)
{
    if (a->failed++ == 0)
        snprintf(a->first_failure, sizeof a->first_failure, "%.100s: %s", path, what);
}

static void transfer_event_take(struct answer_delivery *a, const struct cn_transfer_event *event)
{
    switch (event->type) {
    case CN_TRANSFER_EVENT_OVER:
        if (event->outcome == CN_TRANSFER_STORED) {
            a->sent++;
            a->sent_size += event->kind == CN_TRANSFER_FILE ? event->size : 0;
        } else if (event->outcome == CN_TRANSFER_UNCHANGED) {
            a->there++;
        } else if (event->outcome != CN_TRANSFER_WITHDRAWN) { /* of which a problem has told */
            failure_take(a, event->path, cn_transfer_outcome_text(event->outcome));
        }
        break;
    case CN_TRANSFER_EVENT_PROBLEM:
        failure_take(a, event->path,
                     event->system_error ? strerror(event->system_error)
                                         : "changed, or no file, directory or link");
        break;
    case CN_TRANSFER_EVENT_FINISHED:
        a->finished = true;
        break;
    case CN_TRANSFER_EVENT_BROKEN:
        a->err = event->err;
        break;
    case CN_TRANSFER_EVENT_NONE:
    case CN_TRANSFER_EVENT_OFFERED:
    case CN_TRANSFER_EVENT_BEGUN:
        break;
    }
}

/* As soon as all is listed. */
static void send_begin(struct cn_agent_call *c, struct answer_delivery *a)
{
    enum cn_err err = cn_sending_listed(a->sending);

    if (err == CN_E_MORE)
        return;
    if (err == CN_OK)
        err = cn_sending_begin(a->sending, c->call);
    a->has_begun = err == CN_OK;
    if (a->has_begun)
        return;
    source_text(c, err, a->unsent, sizeof a->unsent);
    a->is_shortage = is_shortage(c, err);
    cn_call_cancel(c->call, CN_E_CANCELLED);
}

static void send_process(struct answer_delivery *a)
{
    struct cn_transfer_event event;

    cn_sending_process(a->sending);
    while (cn_sending_next_event(a->sending, &event))
        transfer_event_take(a, &event);
}

/* `cyphernet queue cancel` while it is under way. */
static void cancel_if_taken_away(struct cn_agent_call *c, const struct answer_delivery *a)
{
    if (!cn_pending_find(c->agent, a->delivery.id) && !a->finished)
        cn_call_cancel(c->call, CN_E_CANCELLED);
}

static void process(struct cn_agent_call *c)
{
    struct answer_delivery *a = c->work;
    struct cn_event event;

    cancel_if_taken_away(c, a);
    cn_call_process(c->call);
    while (!c->over && cn_call_next_event(c->call, &event)) {
        if (a->has_begun)
            (void)cn_sending_take(a->sending, &event);
        else if (event.type == CN_EVENT_STREAM) /* the receiver opens none */
            cn_stream_release(event.stream);
        c->over = event.type == CN_EVENT_CLOSED;
        if (c->over && a->err == CN_OK)
            a->err = event.err;
    }
    if (!c->over && !a->has_begun && !a->unsent[0])
        send_begin(c, a);
    if (a->has_begun)
        send_process(a);
}

static size_t descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms)
{
    struct answer_delivery *a = c->work;
    size_t count = cn_sending_descriptors(a->sending, polled, 1);

    if (a->has_begun)
        cn_agent_shorten(timeout_ms, cn_sending_timeout_ms(a->sending));
    return count + cn_agent_call_descriptors(c, polled + count, timeout_ms);
}

static void delivered(struct cn_agent_call *c, struct answer_delivery *a)
{
    struct cn_home *home = c->agent->cli->home;
    enum cn_err err = cn_queue_remove(home, a->delivery.id);

    if (err != CN_OK && err != CN_E_ABSENT)
        (void)cn_fail(c->agent->cli, err, "taking what is delivered out of the queue");
    c->agent->queue_stale = true;
}

/* The call was over before all was there: some of this is not worth another one. */
static void cut(struct cn_agent_call *c, struct answer_delivery *a, struct cn_pending *pending,
                const char *so_far)
{
    const char *why = a->err == CN_E_REFUSED  ? "refused by the partner"
                      : a->err == CN_E_FORMAT ? "the partner said something that makes no sense"
                                              : NULL;
    size_t used;

    cn_agent_call_tell_end(c, a->err, so_far);
    if (!why) {
        if (pending)
            cn_pending_delay(c->agent, pending);
        return;
    }
    give_up(c, &a->delivery, why);
    used = strlen(c->what);
    snprintf(c->what + used, sizeof c->what - used, GIVEN_UP);
}

static void end(struct cn_agent_call *c)
{
    struct answer_delivery *a = c->work;
    struct cn_pending *pending = cn_pending_find(c->agent, a->delivery.id);
    struct cn_transfer_progress p = { 0 };
    char so_far[CN_HISTORY_WHAT_SIZE - 160], size[32];

    if (a->has_begun)
        cn_sending_progress(a->sending, &p);
    snprintf(so_far, sizeof so_far, "%s: %llu of %llu delivered, %s; %.400s%s", a->delivery.id,
             (unsigned long long)(a->sent + a->there), (unsigned long long)p.entry_count,
             cn_size_text(size, (double)a->sent_size), a->delivery.paths[0],
             a->delivery.path_count > 1 ? " and others" : "");
    if (pending)
        pending->under_way = false;
    c->agent->wants_stale = true;
    if (a->unsent[0]) {
        unsent(c, &a->delivery, pending, a->unsent, a->is_shortage);
    } else if (a->err == CN_OK && a->failed == 0) {
        delivered(c, a);
        cn_agent_call_tell(c, CN_HISTORY_DONE, "%s", so_far);
    } else if (a->err == CN_OK) {
        give_up(c, &a->delivery, a->first_failure);
        cn_agent_call_tell(c, CN_HISTORY_FAILED, "%.500s; %s" GIVEN_UP, so_far, a->first_failure);
    } else {
        cut(c, a, pending, so_far);
    }
    cn_sending_free(a->sending);
    cn_delivery_wipe(&a->delivery);
    free(a);
}

const struct cn_answer cn_answer_delivery = {
    .service = "deliver",
    .begin = begin,
    .process = process,
    .descriptors = descriptors,
    .leave = cn_agent_call_leave,
    .end = end,
};
