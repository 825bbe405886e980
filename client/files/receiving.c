#include "receiving.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "home.h"
#include "place.h"

/* --- what happens --------------------------------------------------------------------------- */

static struct cn_guest_streams streams_of(const struct cn_receiving *r)
{
    return (struct cn_guest_streams) { r->control.stream, r->arriving.stream };
}

/* The sender is told why nothing more is taken. */
static void cancel(struct cn_receiving *r, enum cn_err why)
{
    r->finished = true;
    if (r->is_guest)
        cn_guest_reset(streams_of(r), why);
    else
        cn_call_cancel(r->call, why);
}

void cn_receiving_break(struct cn_receiving *r, enum cn_err err)
{
    if (r->finished)
        return;
    cn_happenings_add(&r->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_BROKEN, .err = err });
    cancel(r, err);
}

void cn_receiving_problem(struct cn_receiving *r, const char *path, enum cn_err err,
                          int system_error)
{
    cn_happenings_add(
        &r->happenings,
        &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_PROBLEM,
                                      .path = path,
                                      .reason = err == CN_E_SYSTEM   ? CN_TRANSFER_REASON_SYSTEM
                                                : err == CN_E_MEMORY ? CN_TRANSFER_REASON_NO_MEMORY
                                                                     : CN_TRANSFER_REASON_LIBRARY,
                                      .system_error = system_error,
                                      .err = err });
}

void cn_receiving_count(struct cn_receiving *r, struct cn_receiving_file *file, uint64_t size)
{
    file->counted += size;
    r->done += size;
}

void cn_receiving_due(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);

    if (file->is_due)
        return;
    file->is_due = true;
    r->due[(r->due_first + r->due_count++) % CN_WINDOW_COUNT_MAX] = index;
}

static bool is_coming(enum cn_receiving_state state)
{
    return state >= CN_RECEIVING_CHECKING && state <= CN_RECEIVING_WHOLE;
}

void cn_receiving_set_state(struct cn_receiving *r, struct cn_receiving_file *file,
                            enum cn_receiving_state state)
{
    r->coming_count -= is_coming(file->state);
    r->coming_count += is_coming(state);
    file->state = state;
}

/* --- opening -------------------------------------------------------------------------------- */

static enum cn_err place_open(struct cn_receiving *r, const char *path)
{
    static const enum cn_place_policy policies[] = {
        [CN_CONFLICT_SKIP] = CN_PLACE_KEEP,
        [CN_CONFLICT_RENAME] = CN_PLACE_RENAME,
        [CN_CONFLICT_OVERWRITE] = CN_PLACE_OVERWRITE,
    };
    struct cn_place_options options = { .policy = policies[r->conflict],
                                        .random = cn_home_random(r->home),
                                        .partner = r->contact };
    enum cn_err err = CN_E_SYSTEM;

    if (access(path, W_OK) == 0) {
        err = cn_journals_open(&r->journals, r->home);
        options.journals = r->journals;
        if (err == CN_OK)
            err = cn_place_open(&r->place, path, &options);
    }
    return err == CN_E_SYSTEM ? cn_home_fail(r->home, err, errno, path) : err;
}

enum cn_err cn_receiving_open(struct cn_receiving **receiving, struct cn_home *home,
                              const struct cn_receiving_options *options)
{
    struct cn_receiving *r = calloc(1, sizeof *r);
    enum cn_err err = CN_E_MEMORY;

    if (!r)
        return CN_E_MEMORY;
    r->home = home;
    r->conflict = options->conflict;
    r->is_decided = !options->ask;
    r->contact = strdup(options->contact);
    r->files = calloc(CN_WINDOW_COUNT_MAX, sizeof *r->files);
    r->due = calloc(CN_WINDOW_COUNT_MAX, sizeof *r->due);
    r->verified = calloc(CN_WINDOW_COUNT_MAX, sizeof *r->verified);
    r->batch.index = calloc(CN_WINDOW_COUNT_MAX, sizeof *r->batch.index);
    r->batch.parts = calloc(CN_WINDOW_COUNT_MAX, sizeof(struct cn_part *));
    if (r->contact && r->files && r->due && r->verified && r->batch.index && r->batch.parts)
        err = place_open(r, options->directory ? options->directory : ".");
    if (err != CN_OK) {
        cn_receiving_free(r);
        return err;
    }
    *receiving = r;
    return CN_OK;
}

static void tree_finish(struct cn_receiving *r)
{
    if (r->tree_finished)
        return;
    r->tree_finished = true;
    if (cn_place_finish(r->place) != CN_OK)
        cn_receiving_problem(r, ".", CN_E_SYSTEM, errno);
}

/* What has come whole is stored, the rest kept for another time. */
static void files_end(struct cn_receiving *r)
{
    cn_judging_store_all(r);
    for (; r->first < r->told; r->first++) {
        struct cn_receiving_file *file = cn_receiving_file_at(r, r->first);

        if (file->part) {
            r->kept += cn_part_close(file->part, file->state != CN_RECEIVING_OVER || file->keeps);
            free(file->part);
        }
        cn_judging_check_drop(file);
        cn_content_wipe(&file->content);
        free(file->text);
    }
    tree_finish(r); /* as far as it came */
}

uint64_t cn_receiving_end(struct cn_receiving *receiving)
{
    struct cn_receiving *r = receiving;

    atomic_store(&r->cancelled, true);
    cn_jobs_stop(r->jobs);
    r->jobs = NULL;
    r->finished = true;
    if (r->place)
        files_end(r);
    return r->kept;
}

void cn_receiving_free(struct cn_receiving *receiving)
{
    struct cn_receiving *r = receiving;

    if (!r)
        return;
    (void)cn_receiving_end(r);
    cn_arriving_wipe(r);
    cn_happenings_wipe(&r->happenings);
    cn_place_close(r->place);
    cn_journals_close(r->journals);
    free(r->contact);
    free(r->items);
    free(r->items_left);
    free(r->files);
    free(r->due);
    free(r->verified);
    free(r->batch.index);
    free(r->batch.parts);
    if (r->is_guest)
        cn_guest_leave(streams_of(r));
    free(r);
}

/* --- what the sender says ------------------------------------------------------------------- */

static uint32_t items_expected(const struct cn_receiving *r)
{
    return r->offer.item_count < CN_MESSAGE_ITEM_COUNT_MAX ? r->offer.item_count
                                                           : CN_MESSAGE_ITEM_COUNT_MAX;
}

/* All that is told before the entries is there. */
static void offered(struct cn_receiving *r)
{
    if (r->offered && r->item_count == items_expected(r))
        cn_happenings_add(&r->happenings,
                          &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_OFFERED,
                                                        .size = r->offer.size });
}

static bool take_offer(struct cn_receiving *r)
{
    if (r->offered)
        return false;
    r->offered = true;
    r->offer = r->left = r->message.offer;
    r->items = calloc(items_expected(r) + 1, sizeof *r->items);
    r->items_left = calloc(items_expected(r) + 1, sizeof *r->items_left);
    if (!r->items || !r->items_left)
        cn_receiving_break(r, CN_E_MEMORY);
    offered(r);
    return true;
}

static bool take_item(struct cn_receiving *r)
{
    if (!r->offered || r->item_count == items_expected(r))
        return false;
    r->items[r->item_count] = r->items_left[r->item_count] = r->message.item;
    r->has_unknown |= r->message.item.size == CN_MESSAGE_SIZE_UNKNOWN;
    r->item_count++;
    offered(r);
    return true;
}

static bool take_from(uint32_t *count, uint64_t *left, uint64_t size)
{
    if (*count == 0 || size > *left)
        return false;
    --*count;
    *left -= size;
    return true;
}

/* Whether an item that was shown says that such an entry will come; it is taken off that. */
static bool take_off_item(struct cn_message_item *item, const struct cn_entry *entry, bool is_top)
{
    const bool unknown = entry->type == CN_ENTRY_FILE && entry->size == CN_MESSAGE_SIZE_UNKNOWN;
    uint64_t none = 0;

    if (is_top && item->type != entry->type)
        return false;
    if (unknown || item->size == CN_MESSAGE_SIZE_UNKNOWN)
        return unknown && is_top && item->size == CN_MESSAGE_SIZE_UNKNOWN &&
               take_from(&item->file_count, &none, 0);
    return entry->type != CN_ENTRY_FILE || take_from(&item->file_count, &item->size, entry->size);
}

/* Nothing comes but what was offered, to the number and the octet: a user may have been asked. */
static bool take_off_offer(struct cn_receiving *r, const struct cn_entry *entry, const char *name)
{
    const size_t top = strcspn(name, "/");
    const bool unknown = entry->type == CN_ENTRY_FILE && entry->size == CN_MESSAGE_SIZE_UNKNOWN;
    uint32_t *const counts[] = { [CN_ENTRY_FILE] = &r->left.file_count,
                                 [CN_ENTRY_DIRECTORY] = &r->left.directory_count,
                                 [CN_ENTRY_LINK] = &r->left.link_count };

    if (!take_from(counts[entry->type], &r->left.size, unknown ? 0 : entry->size))
        return false;
    for (uint32_t i = 0; i < r->item_count; i++) {
        if (strlen(r->items[i].name) == top && strncmp(r->items[i].name, name, top) == 0)
            return take_off_item(&r->items_left[i], entry, name[top] == '\0');
    }
    return r->item_count < r->offer.item_count && !unknown; /* of those that were not shown */
}

static bool take_entry(struct cn_receiving *r)
{
    const struct cn_entry *entry = &r->message.entry.entry;
    struct cn_receiving_file *file = cn_receiving_file_at(r, r->told);
    size_t size = cn_message_entry_size(entry);

    if (!r->offered || r->item_count < items_expected(r) || r->ended ||
        r->message.entry.index != r->told || r->told - r->first == CN_WINDOW_COUNT_MAX ||
        r->window_size + size > CN_WINDOW_SIZE_MAX || r->told == CN_ENTRY_COUNT_MAX ||
        !take_off_offer(r, entry, r->message.entry.name))
        return false;
    *file = (struct cn_receiving_file) { .entry = *entry, .message_size = size };
    file->text = malloc(entry->name_size + entry->target_size + 2);
    if (!file->text) {
        cn_receiving_break(r, CN_E_MEMORY);
        return true;
    }
    memcpy(file->text, r->message.entry.name, entry->name_size + 1);
    memcpy(file->text + entry->name_size + 1, r->message.entry.target, entry->target_size + 1);
    file->entry.name = file->text;
    if (entry->target)
        file->entry.target = file->text + entry->name_size + 1;
    if (entry->type == CN_ENTRY_FILE && entry->size == CN_MESSAGE_SIZE_UNKNOWN) {
        file->size_unknown = true;
        file->entry.size = 0;
    }
    r->window_size += size;
    r->told++;
    return true;
}

static bool take_end(struct cn_receiving *r)
{
    if (!r->offered || r->ended || r->message.end_count != r->told || r->left.file_count > 0 ||
        r->left.directory_count > 0 || r->left.link_count > 0 || r->left.size > 0)
        return false;
    r->ended = true;
    return true;
}

static bool take_message(struct cn_receiving *r)
{
    switch (r->message.type) {
    case CN_MESSAGE_OFFER:
        return take_offer(r);
    case CN_MESSAGE_ITEM:
        return take_item(r);
    case CN_MESSAGE_ENTRY:
        return take_entry(r);
    case CN_MESSAGE_END:
        return take_end(r);
    case CN_MESSAGE_ACCEPT:
    case CN_MESSAGE_RESULT:
    case CN_MESSAGE_TYPE_END:
        break;
    }
    return false;
}

static void listen(struct cn_receiving *r)
{
    enum cn_err err;

    while (!r->finished && r->control.stream &&
           (err = cn_dialogue_take(&r->control, &r->message)) != CN_E_MORE) {
        if (err != CN_OK || !take_message(r))
            cn_receiving_break(r, CN_E_FORMAT);
    }
}

/* --- what is said --------------------------------------------------------------------------- */

static bool accept_say(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    struct cn_message_accept *accept = &r->message.accept;

    r->message.type = CN_MESSAGE_ACCEPT;
    accept->index = index;
    accept->how = file->how;
    accept->size = file->have_size;
    memcpy(accept->sum, file->have_sum, sizeof accept->sum);
    if (!cn_dialogue_put(&r->control, &r->message))
        return false;
    cn_receiving_set_state(r, file, CN_RECEIVING_ACCEPTED);
    return true;
}

static bool result_say(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);

    r->message.type = CN_MESSAGE_RESULT;
    r->message.result.index = index;
    r->message.result.outcome = (uint8_t)file->outcome;
    file->result_told = cn_dialogue_put(&r->control, &r->message);
    return file->result_told;
}

/* Entries at the front whose results are told, and of which nothing is in hand, are forgotten. */
static void forget(struct cn_receiving *r)
{
    while (r->first < r->told) {
        struct cn_receiving_file *file = cn_receiving_file_at(r, r->first);

        if (!file->result_told || file->slot_count > 0)
            return;
        free(file->text);
        file->text = NULL;
        r->window_size -= file->message_size;
        r->first++;
    }
}

static void speak(struct cn_receiving *r)
{
    (void)cn_dialogue_flush(&r->control); /* nothing else may follow for long */
    while (r->control.stream && r->due_count > 0) {
        uint32_t index = r->due[r->due_first];
        struct cn_receiving_file *file = cn_receiving_file_at(r, index);

        if (file->state == CN_RECEIVING_ACCEPT_DUE ? !accept_say(r, index) : !result_say(r, index))
            break;
        file->is_due = false;
        r->due_first = (r->due_first + 1) % CN_WINDOW_COUNT_MAX;
        r->due_count--;
    }
    forget(r);
}

/* --- the call ------------------------------------------------------------------------------- */

enum cn_err cn_receiving_join(struct cn_receiving *receiving, struct cn_call *call)
{
    receiving->is_guest = true;
    return cn_receiving_begin(receiving, call);
}

enum cn_err cn_receiving_begin(struct cn_receiving *receiving, struct cn_call *call)
{
    struct cn_receiving *r = receiving;
    enum cn_err err = cn_jobs_start(&r->jobs, CN_RECEIVING_THREAD_COUNT);

    r->call = call;
    return err == CN_OK ? cn_arriving_begin(r) : err;
}

size_t cn_receiving_descriptors(const struct cn_receiving *receiving, struct pollfd *descriptors,
                                size_t max)
{
    if (max == 0 || !receiving->jobs)
        return 0;
    descriptors[0] =
        (struct pollfd) { .fd = cn_jobs_descriptor(receiving->jobs), .events = POLLIN };
    return 1;
}

int cn_receiving_timeout_ms(const struct cn_receiving *receiving)
{
    const int judging_ms = cn_judging_timeout_ms(receiving);
    const int arriving_ms = cn_arriving_timeout_ms(receiving);

    if (cn_happenings_any(&receiving->happenings))
        return 0;
    if (receiving->finished)
        return -1;
    return judging_ms < 0 || (arriving_ms >= 0 && arriving_ms < judging_ms) ? arriving_ms
                                                                            : judging_ms;
}

static void take_stream(struct cn_receiving *r, struct cn_stream *stream)
{
    uint8_t kind = cn_stream_kind(stream);

    if (kind == CN_MESSAGE_CONTROL_KIND && !r->control.stream) {
        r->control.stream = stream;
    } else if (kind == CN_MESSAGE_DATA_KIND && !r->arriving.stream) {
        r->arriving.stream = stream;
        cn_stream_finish(stream); /* nothing goes back on it */
    } else if (kind > CN_MESSAGE_DATA_KIND) {
        cn_stream_release(stream); /* of a version to come: resets it */
    } else {
        cn_receiving_break(r, CN_E_FORMAT);
    }
}

/* True: it was the transfer's. */
static bool guest_take(struct cn_receiving *r, const struct cn_event *event)
{
    struct cn_stream *stream = event->stream;
    bool is_new = event->type == CN_EVENT_STREAM && !r->finished;

    if (!stream)
        return false;
    if (is_new && cn_stream_kind(stream) == CN_GUEST_CONTROL_KIND && !r->control.stream) {
        r->control.stream = stream;
    } else if (is_new && cn_stream_kind(stream) == CN_GUEST_DATA_KIND && r->control.stream &&
               !r->arriving.stream) {
        r->arriving.stream = stream;
        cn_stream_finish(stream);
    }
    return stream == r->control.stream || stream == r->arriving.stream;
}

bool cn_receiving_take(struct cn_receiving *receiving, const struct cn_event *event)
{
    struct cn_receiving *r = receiving;

    if (event->type == CN_EVENT_CLOSED) {
        r->finished = true;
        return false;
    }
    if (r->is_guest)
        return guest_take(r, event);
    if (event->type == CN_EVENT_STREAM && !r->finished)
        take_stream(r, event->stream);
    return event->stream != NULL;
}

/* Whether octets of a file have to come yet. */
static bool awaits(struct cn_receiving *r)
{
    for (uint32_t i = r->first; r->coming_count > 0 && i < r->told; i++) {
        enum cn_receiving_state state = cn_receiving_file_at(r, i)->state;

        if (is_coming(state) && state != CN_RECEIVING_WHOLE)
            return true;
    }
    return false;
}

/* Why it cannot go on: the sender's end of a stream has come too early, or is none. */
static enum cn_err cut_err(struct cn_receiving *r)
{
    const struct cn_stream *control = r->control.stream;
    const struct cn_stream *data = r->arriving.stream;
    enum cn_err err = cn_guest_reset_err(streams_of(r));

    if (err != CN_OK)
        return r->is_guest ? err : CN_E_FORMAT;
    if (control && cn_stream_state(control) == CN_STREAM_ENDED &&
        (!r->ended || r->control.in_size > 0))
        return CN_E_FORMAT;
    if (data && cn_stream_state(data) == CN_STREAM_ENDED &&
        (r->arriving.in_file || r->arriving.head_size > 0 || awaits(r)))
        return CN_E_FORMAT;
    return CN_OK;
}

static void end(struct cn_receiving *r)
{
    if (!r->ended || r->first < r->told || !cn_dialogue_flush(&r->control))
        return;
    tree_finish(r);
    cn_stream_finish(r->control.stream);
    if (cn_stream_state(r->control.stream) != CN_STREAM_ENDED ||
        (r->arriving.stream && cn_stream_state(r->arriving.stream) != CN_STREAM_ENDED))
        return;
    r->finished = true;
    cn_happenings_add(&r->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_FINISHED });
    if (!r->is_guest)
        cn_call_finish(r->call);
}

void cn_receiving_process(struct cn_receiving *receiving)
{
    struct cn_receiving *r = receiving;
    enum cn_err err;

    cn_jobs_reap(r->jobs);
    if (r->finished)
        return;
    listen(r);
    if (!r->finished)
        cn_judging_process(r);
    if (!r->finished)
        cn_arriving_process(r);
    if (!r->finished)
        cn_judging_process(r); /* what has just turned out to be another */
    if (!r->finished)
        cn_judging_store(r);
    if (!r->finished && r->happenings.lost)
        cn_receiving_break(r, CN_E_MEMORY);
    err = r->finished ? CN_OK : cut_err(r);
    if (err != CN_OK)
        cn_receiving_break(r, err);
    if (!r->finished)
        speak(r);
    if (!r->finished)
        end(r);
}

bool cn_receiving_next_event(struct cn_receiving *receiving, struct cn_transfer_event *event)
{
    return cn_happenings_take(&receiving->happenings, event);
}

static enum cn_transfer_wait waits_for(const struct cn_receiving *r)
{
    if (r->offered && !r->is_decided)
        return CN_TRANSFER_WAITS_CONSENT;
    if (r->arriving.writer.is_busy || r->is_checking || r->batch.is_busy)
        return CN_TRANSFER_WAITS_DISK;
    return r->coming_count > 0 ? CN_TRANSFER_WAITS_LINE : CN_TRANSFER_WAITS_PARTNER;
}

void cn_receiving_progress(const struct cn_receiving *receiving,
                           struct cn_transfer_progress *progress)
{
    const struct cn_receiving *r = receiving;

    *progress = (struct cn_transfer_progress) {
        .entry_count =
            (uint64_t)r->offer.file_count + r->offer.directory_count + r->offer.link_count,
        .over_count = r->over_count,
        .size = r->has_unknown ? UINT64_MAX : r->offer.size,
        .done = r->done,
        .moved = r->arriving.moved,
        .file = r->arriving.current[0] ? r->arriving.current : NULL,
        .file_size = r->arriving.current_size,
        .file_done = r->arriving.current_at,
        .wait = waits_for(r),
    };
}

/* --- consent -------------------------------------------------------------------------------- */

bool cn_receiving_offer(const struct cn_receiving *receiving, struct cn_transfer_offer *offer)
{
    const struct cn_receiving *r = receiving;

    if (!r->offered || r->item_count < items_expected(r))
        return false;
    *offer = (struct cn_transfer_offer) {
        .file_count = r->offer.file_count,
        .directory_count = r->offer.directory_count,
        .link_count = r->offer.link_count,
        .size = r->offer.size,
        .item_count = r->offer.item_count,
        .told_count = r->item_count,
    };
    return true;
}

void cn_receiving_item(const struct cn_receiving *receiving, size_t index,
                       struct cn_transfer_item *item)
{
    const struct cn_message_item *i = &receiving->items[index];

    *item = (struct cn_transfer_item) { .name = i->name,
                                        .kind = (enum cn_transfer_kind)i->type,
                                        .file_count = i->file_count,
                                        .size = i->size };
}

void cn_receiving_decide(struct cn_receiving *receiving, const bool *wanted, size_t wanted_count)
{
    struct cn_receiving *r = receiving;
    bool any = wanted == NULL;

    for (size_t i = 0; wanted && i < wanted_count && i < CN_MESSAGE_ITEM_COUNT_MAX; i++) {
        r->wanted[i] = wanted[i];
        any |= wanted[i];
    }
    r->picks = wanted != NULL;
    r->is_decided = true;
    if (!any && !r->finished)
        cancel(r, CN_E_REFUSED);
}
