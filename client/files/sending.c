#include "sending.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "home.h"

const char *cn_transfer_outcome_text(enum cn_transfer_outcome outcome)
{
    static const char *const texts[CN_TRANSFER_OUTCOME_COUNT] = {
        [CN_TRANSFER_STORED] = "stored",
        [CN_TRANSFER_EXISTS] = "a file of this name exists there",
        [CN_TRANSFER_BAD_NAME] = "not a name for a file",
        [CN_TRANSFER_DISK_FULL] = "the receiver's disk is full",
        [CN_TRANSFER_MISMATCH] = "what arrived is not what was sent",
        [CN_TRANSFER_FAILED] = "the receiver could not write it",
        [CN_TRANSFER_WITHDRAWN] = "the sender gave it up",
        [CN_TRANSFER_UNCHANGED] = "there already",
        [CN_TRANSFER_UNWANTED] = "the receiver does not want it",
    };

    return texts[outcome];
}

static struct cn_guest_streams streams_of(const struct cn_sending *s)
{
    return (struct cn_guest_streams) { s->control.stream, s->feeding.stream };
}

/* --- opening -------------------------------------------------------------------------------- */

/* NULL: no memory. */
static struct cn_sending *make(struct cn_home *home, const struct cn_sending_options *options)
{
    struct cn_sending *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->home = home;
    s->compress = options->compress;
    s->cancel[0] = s->cancel[1] = -1;
    s->listing.sending = s;
    s->listing.options = *options;
    s->items = calloc(CN_MESSAGE_ITEM_COUNT_MAX, sizeof *s->items);
    s->files = calloc(CN_WINDOW_COUNT_MAX, sizeof *s->files);
    s->queue = calloc(CN_WINDOW_COUNT_MAX, sizeof *s->queue);
    if (s->items && s->files && s->queue)
        return s;
    cn_sending_free(s);
    return NULL;
}

enum cn_err cn_sending_open(struct cn_sending **sending, struct cn_home *home,
                            const struct cn_sending_options *options)
{
    struct cn_sending *s = make(home, options);
    enum cn_err err = s ? cn_listing_run(s) : CN_E_MEMORY;

    if (err != CN_OK) {
        cn_sending_free(s);
        return err;
    }
    *sending = s;
    return CN_OK;
}

enum cn_err cn_sending_open_later(struct cn_sending **sending, struct cn_home *home,
                                  const struct cn_sending_options *options)
{
    struct cn_sending *s = make(home, options);
    enum cn_err err = s ? cn_jobs_start(&s->jobs, CN_SENDING_THREAD_COUNT) : CN_E_MEMORY;

    if (err == CN_E_SYSTEM)
        err = cn_home_fail(home, err, errno, "threads");
    if (err != CN_OK) {
        cn_sending_free(s);
        return err;
    }
    cn_listing_begin(s);
    *sending = s;
    return CN_OK;
}

void cn_sending_cancel_input(struct cn_sending *s)
{
    if (s->cancel[1] >= 0)
        close(s->cancel[1]);
    s->cancel[1] = -1;
}

void cn_sending_free(struct cn_sending *sending)
{
    struct cn_sending *s = sending;

    if (!s)
        return;
    atomic_store(&s->listing.cancelled, true);
    cn_sending_cancel_input(s);
    cn_jobs_stop(s->jobs);
    cn_feeding_wipe(s);
    if (s->cancel[0] >= 0)
        close(s->cancel[0]);
    cn_happenings_wipe(&s->happenings);
    cn_walk_free(s->walk);
    cn_filter_free(s->filter);
    free(s->items);
    free(s->files);
    free(s->queue);
    if (s->is_guest)
        cn_guest_leave(streams_of(s));
    free(s);
}

void cn_sending_entry(const struct cn_sending *s, uint32_t index, struct cn_entry *entry,
                      char *name)
{
    struct timespec now = { 0, 0 };

    if (!cn_sending_is_input(s, index)) {
        cn_walk_entry(s->walk, index, entry, name);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    memcpy(name, s->input_name, strlen(s->input_name) + 1);
    *entry = (struct cn_entry) { .type = CN_ENTRY_FILE,
                                 .mode = 0600,
                                 .size = CN_MESSAGE_SIZE_UNKNOWN,
                                 .mtime_s = now.tv_sec,
                                 .mtime_ns = (uint32_t)now.tv_nsec,
                                 .name = name,
                                 .name_size = strlen(name) };
}

/* --- what happens --------------------------------------------------------------------------- */

void cn_sending_problem_of(struct cn_sending *s, const char *path, enum cn_transfer_reason reason,
                           int system_error)
{
    s->problems = true;
    cn_happenings_add(&s->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_PROBLEM,
                                                    .path = path,
                                                    .reason = reason,
                                                    .system_error = system_error });
}

void cn_sending_break(struct cn_sending *s, enum cn_err err)
{
    if (s->finished)
        return;
    s->finished = true;
    cn_happenings_add(&s->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_BROKEN, .err = err });
    if (s->is_guest)
        cn_guest_reset(streams_of(s), err);
    else
        cn_call_cancel(s->call, err);
}

void cn_sending_problem(struct cn_sending *s, uint32_t index, enum cn_transfer_reason reason,
                        int system_error)
{
    char path[2 * CN_ENTRY_NAME_SIZE_MAX];

    if (cn_sending_is_input(s, index))
        strncpy(path, "-", sizeof path);
    else
        cn_walk_path(s->walk, index, path, sizeof path);
    cn_sending_problem_of(s, path, reason, system_error);
}

void cn_sending_count(struct cn_sending *s, struct cn_sending_file *file, uint64_t size)
{
    file->counted += size;
    s->done += size;
}

static void over(struct cn_sending *s, uint32_t index)
{
    struct cn_sending_file *file = cn_sending_file_at(s, index);
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_entry entry;

    cn_sending_entry(s, index, &entry, name);
    if (file->size != CN_MESSAGE_SIZE_UNKNOWN)
        cn_sending_count(s, file, file->size - file->counted);
    s->over_count++;
    cn_happenings_add(&s->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_OVER,
                                                    .path = name,
                                                    .kind = (enum cn_transfer_kind)entry.type,
                                                    .size = file->size == CN_MESSAGE_SIZE_UNKNOWN
                                                                ? file->counted
                                                                : file->size,
                                                    .outcome = file->outcome });
}

/* --- what is said --------------------------------------------------------------------------- */

static bool offer_say(struct cn_sending *s)
{
    if (!s->offer_told) {
        s->message.type = CN_MESSAGE_OFFER;
        s->message.offer = s->offer;
        s->offer_told = cn_dialogue_put(&s->control, &s->message);
    }
    while (s->offer_told && s->items_told < s->offer.item_count &&
           s->items_told < CN_MESSAGE_ITEM_COUNT_MAX) {
        s->message.type = CN_MESSAGE_ITEM;
        s->message.item = s->items[s->items_told];
        if (!cn_dialogue_put(&s->control, &s->message))
            return false;
        s->items_told++;
    }
    return s->offer_told;
}

/* The next entry; false: no room, or the receiver has enough to deal with. */
static bool entry_say(struct cn_sending *s)
{
    struct cn_message_entry *e = &s->message.entry;
    struct cn_sending_file *file = cn_sending_file_at(s, s->told);
    size_t size;

    if (s->told - s->answered == CN_WINDOW_COUNT_MAX || !cn_dialogue_flush(&s->control))
        return false;
    s->message.type = CN_MESSAGE_ENTRY;
    e->index = s->told;
    cn_sending_entry(s, s->told, &e->entry, e->name);
    size = cn_message_entry_size(&e->entry);
    if (s->window_size + size > CN_WINDOW_SIZE_MAX || !cn_dialogue_put(&s->control, &s->message))
        return false;
    *file = (struct cn_sending_file) {
        .type = e->entry.type, .size = e->entry.size, .message_size = size, .fd = -1
    };
    s->window_size += size;
    s->told++;
    return true;
}

static void speak(struct cn_sending *s)
{
    (void)cn_dialogue_flush(&s->control); /* nothing else may follow for long */
    if (!offer_say(s))
        return;
    while (s->told < s->count && entry_say(s))
        ;
    if (s->told == s->count && !s->end_told) {
        s->message.type = CN_MESSAGE_END;
        s->message.end_count = s->count;
        s->end_told = cn_dialogue_put(&s->control, &s->message);
    }
}

/* --- what the receiver says ----------------------------------------------------------------- */

/* What is in the queue and has been refused since goes. */
static void queue_clean(struct cn_sending *s)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->queue_count; i++) {
        uint32_t index = s->queue[(s->queue_first + i) % CN_WINDOW_COUNT_MAX];

        if (index >= s->answered && cn_sending_file_at(s, index)->state == CN_SENDING_ACCEPTED)
            s->queue[(s->queue_first + kept++) % CN_WINDOW_COUNT_MAX] = index;
    }
    s->queue_count = kept;
}

static bool take_accept(struct cn_sending *s, const struct cn_message_accept *accept)
{
    struct cn_sending_file *file;

    if (accept->index < s->answered || accept->index >= s->told)
        return false;
    file = cn_sending_file_at(s, accept->index);
    if (file->state != CN_SENDING_TOLD || file->type != CN_ENTRY_FILE ||
        (file->size == CN_MESSAGE_SIZE_UNKNOWN ? accept->size > 0 || accept->how != CN_ACCEPT_SEND
                                               : accept->size > file->size))
        return false;
    file->accept = *accept;
    file->state = CN_SENDING_ACCEPTED;
    if (s->queue_count == CN_WINDOW_COUNT_MAX)
        queue_clean(s);
    s->queue[(s->queue_first + s->queue_count++) % CN_WINDOW_COUNT_MAX] = accept->index;
    return true;
}

/* Whether the receiver can have come to this. */
static bool result_fits(const struct cn_sending_file *file, enum cn_transfer_outcome outcome)
{
    if (file->state == CN_SENDING_OVER)
        return false;
    if (outcome == CN_TRANSFER_STORED)
        return file->type != CN_ENTRY_FILE || file->state == CN_SENDING_SENT;
    if (outcome == CN_TRANSFER_WITHDRAWN)
        return file->state == CN_SENDING_GIVEN_UP;
    if (outcome == CN_TRANSFER_UNCHANGED)
        return file->state == CN_SENDING_TOLD || file->state == CN_SENDING_SENT;
    return true;
}

/* Entries at the front that are over, and of which nothing is being read, are forgotten. */
static void forget(struct cn_sending *s)
{
    while (s->answered < s->told) {
        const struct cn_sending_file *file = cn_sending_file_at(s, s->answered);

        if (file->state != CN_SENDING_OVER || file->slot_count > 0)
            return;
        s->window_size -= file->message_size;
        s->answered++;
    }
}

static bool take_result(struct cn_sending *s, const struct cn_message_result *result)
{
    enum cn_transfer_outcome outcome = (enum cn_transfer_outcome)result->outcome;
    struct cn_sending_file *file;

    if (result->index < s->answered || result->index >= s->told)
        return false;
    file = cn_sending_file_at(s, result->index);
    if (!result_fits(file, outcome))
        return false;
    if (file->state == CN_SENDING_READING)
        cn_feeding_drop(s, result->index);
    file->state = CN_SENDING_OVER;
    file->outcome = outcome;
    over(s, result->index);
    forget(s);
    return true;
}

static void listen(struct cn_sending *s)
{
    enum cn_err err;

    while (!s->finished && (err = cn_dialogue_take(&s->control, &s->message)) != CN_E_MORE) {
        if (err == CN_OK && s->message.type == CN_MESSAGE_ACCEPT
                ? !take_accept(s, &s->message.accept)
                : err != CN_OK || s->message.type != CN_MESSAGE_RESULT ||
                      !take_result(s, &s->message.result))
            cn_sending_break(s, CN_E_FORMAT);
    }
}

/* --- the call ------------------------------------------------------------------------------- */

static enum cn_err stream_open(struct cn_sending *s, uint8_t kind, struct cn_stream **stream)
{
    return cn_stream_open(s->call, cn_guest_kind(s->is_guest, kind), NULL, 0, stream);
}

enum cn_err cn_sending_join(struct cn_sending *sending, struct cn_call *call)
{
    sending->is_guest = true;
    return cn_sending_begin(sending, call);
}

enum cn_err cn_sending_begin(struct cn_sending *sending, struct cn_call *call)
{
    struct cn_sending *s = sending;
    enum cn_err err = s->jobs ? CN_OK : cn_jobs_start(&s->jobs, CN_SENDING_THREAD_COUNT);

    s->call = call;
    if (err == CN_OK)
        err = cn_feeding_begin(s);
    if (err == CN_OK)
        err = stream_open(s, CN_MESSAGE_CONTROL_KIND, &s->control.stream);
    if (err == CN_OK)
        err = stream_open(s, CN_MESSAGE_DATA_KIND, &s->feeding.stream);
    if (err == CN_OK) /* what is said goes before it */
        cn_stream_set_priority(s->feeding.stream, CN_PRIORITY_BULK);
    if (err == CN_E_UNEXPECTED) { /* the call is over already: CLOSED says why */
        s->finished = true;
        err = CN_OK;
    }
    return err;
}

size_t cn_sending_descriptors(const struct cn_sending *sending, struct pollfd *descriptors,
                              size_t max)
{
    if (max == 0 || !sending->jobs)
        return 0;
    descriptors[0] = (struct pollfd) { .fd = cn_jobs_descriptor(sending->jobs), .events = POLLIN };
    return 1;
}

int cn_sending_timeout_ms(const struct cn_sending *sending)
{
    return cn_happenings_any(&sending->happenings) ? 0 : -1;
}

bool cn_sending_take(struct cn_sending *sending, const struct cn_event *event)
{
    struct cn_sending *s = sending;

    if (event->type == CN_EVENT_CLOSED) {
        s->finished = true;
        return false;
    }
    if (s->is_guest)
        return event->stream &&
               (event->stream == s->control.stream || event->stream == s->feeding.stream);
    if (event->type == CN_EVENT_STREAM) /* the receiver opens none */
        cn_stream_release(event->stream);
    return event->stream != NULL;
}

/* Why it cannot go on: the receiver's end of a stream has come too early, or is none. */
static enum cn_err cut_err(const struct cn_sending *s)
{
    enum cn_err err = cn_guest_reset_err(streams_of(s));

    if (err != CN_OK)
        return s->is_guest ? err : CN_E_FORMAT;
    if (cn_stream_state(s->control.stream) == CN_STREAM_ENDED &&
        (!s->end_told || s->over_count < s->count || s->control.in_size > 0))
        return CN_E_FORMAT;
    return CN_OK;
}

static void end(struct cn_sending *s)
{
    if (!s->end_told || s->over_count < s->count || s->feeding.count > 0 ||
        !cn_dialogue_flush(&s->control) || s->feeding.head_end > 0 || s->feeding.left > 0)
        return;
    cn_stream_finish(s->control.stream);
    cn_stream_finish(s->feeding.stream);
    if (cn_stream_state(s->control.stream) != CN_STREAM_ENDED ||
        (s->is_guest && !cn_guest_is_read(streams_of(s))))
        return;
    s->finished = true;
    cn_happenings_add(&s->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_FINISHED });
    if (!s->is_guest)
        cn_call_finish(s->call);
}

void cn_sending_process(struct cn_sending *sending)
{
    struct cn_sending *s = sending;
    enum cn_err err;

    cn_jobs_reap(s->jobs);
    if (s->finished)
        return;
    listen(s);
    err = s->finished ? CN_OK : cut_err(s);
    if (err != CN_OK)
        cn_sending_break(s, err);
    if (!s->finished)
        speak(s);
    if (!s->finished)
        cn_feeding_process(s);
    if (!s->finished && s->happenings.lost)
        cn_sending_break(s, CN_E_MEMORY);
    forget(s);
    if (!s->finished)
        end(s);
}

bool cn_sending_next_event(struct cn_sending *sending, struct cn_transfer_event *event)
{
    return cn_happenings_take(&sending->happenings, event);
}

static enum cn_transfer_wait waits_for(const struct cn_sending *s, uint64_t unacknowledged)
{
    if (s->over_count == 0 && s->told > 0 && s->queue_count == 0 && s->feeding.count == 0 &&
        s->feeding.moved == 0)
        return CN_TRANSFER_WAITS_CONSENT;
    if (unacknowledged > 0)
        return CN_TRANSFER_WAITS_LINE;
    if (cn_feeding_waits_for_source(s))
        return CN_TRANSFER_WAITS_SOURCE;
    return s->over_count < s->count ? CN_TRANSFER_WAITS_DISK : CN_TRANSFER_WAITS_PARTNER;
}

void cn_sending_progress(const struct cn_sending *sending, struct cn_transfer_progress *progress)
{
    const struct cn_sending *s = sending;
    struct cn_stream_progress p = { 0 };
    const uint64_t at = s->feeding.current_at;
    uint64_t on_its_way;

    if (s->feeding.stream)
        cn_stream_progress(s->feeding.stream, &p);
    on_its_way = p.written - p.received + cn_feeding_unsaid(s);
    *progress = (struct cn_transfer_progress) {
        .entry_count = s->count,
        .over_count = s->over_count,
        .size = s->input_name ? UINT64_MAX : s->offer.size,
        .done = s->done - (on_its_way < s->done ? on_its_way : s->done),
        .moved = s->feeding.moved - (on_its_way < s->feeding.moved ? on_its_way : s->feeding.moved),
        .file = s->feeding.current[0] ? s->feeding.current : NULL,
        .file_size = s->feeding.current_size,
        .file_done = at - (on_its_way < at ? on_its_way : at),
        .wait = waits_for(s, on_its_way),
    };
}
