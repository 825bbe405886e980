#include "arriving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "home.h"
#include "receiving.h"

static struct cn_arriving_slot *slot_at(struct cn_arriving *a, unsigned i)
{
    return &a->slot[(a->first + i) % CN_ARRIVING_SLOT_COUNT];
}

/* --- what workers do ------------------------------------------------------------------------ */

static void slot_run(struct cn_job *job)
{
    struct cn_arriving_slot *slot = (struct cn_arriving_slot *)job;

    slot->err = CN_OK;
    if (slot->packed_size > 0) {
        if (!slot->packer)
            slot->err = cn_packer_open(&slot->packer);
        if (slot->err == CN_OK)
            slot->err =
                cn_unpack(slot->packer, slot->packed, slot->packed_size, slot->bytes, slot->size);
    }
    if (slot->err != CN_OK)
        return;
    if (slot->size == CN_BLOCK_SIZE && slot->run_count == 1 && slot->run[0].hole)
        memcpy(slot->sum, slot->zeros_sum, sizeof slot->sum);
    else
        slot->err = cn_block_sum(slot->crypto, slot->bytes, slot->size, slot->sum);
    if (slot->err == CN_OK && slot->has_expected &&
        memcmp(slot->sum, slot->expected, sizeof slot->sum) != 0)
        slot->err = CN_E_CHECKSUM;
}

static enum cn_err slot_write(struct cn_part *part, const struct cn_arriving_slot *slot)
{
    const uint8_t *from = slot->bytes;
    enum cn_err err = CN_OK;

    for (unsigned i = 0; err == CN_OK && i < slot->run_count; i++) {
        err = slot->run[i].hole ? cn_part_skip(part, slot->run[i].size)
                                : cn_part_write(part, from, slot->run[i].size);
        from += slot->run[i].size;
    }
    return err;
}

/* The disk is kept busy from the start: so to wait for it in the end does not take long. */
static void writer_run(struct cn_job *job)
{
    struct cn_arriving_writer *w = (struct cn_arriving_writer *)job;
    const uint64_t before = w->part->written;

    w->err = CN_OK;
    for (unsigned i = 0; w->err == CN_OK && i < w->count; i++)
        w->err = slot_write(w->part, w->slot[i]);
    w->system_error = errno;
    if (w->err != CN_OK || w->part->written < CN_BLOCK_SIZE)
        return;
    (void)sync_file_range(w->part->fd, (off_t)before, (off_t)(w->part->written - before),
                          SYNC_FILE_RANGE_WRITE); /* a hint */
    cn_part_checkpoint(w->part, (int64_t)cn_connect_clock_ms());
}

/* --- blocks --------------------------------------------------------------------------------- */

static void slot_release(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_receiving_file *file = cn_receiving_file_at(r, slot_at(a, 0)->index);

    file->slot_count--;
    if (file->state == CN_RECEIVING_OVER)
        cn_judging_release(r, file);
    a->first = (a->first + 1) % CN_ARRIVING_SLOT_COUNT;
    a->count--;
}

/* The block that is being filled; NULL: all are in use. */
static struct cn_arriving_slot *filling(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_arriving_slot *slot = a->count > 0 ? slot_at(a, a->count - 1) : NULL;

    if (slot && slot->stage == CN_ARRIVING_FILLING)
        return slot;
    if (a->count == CN_ARRIVING_SLOT_COUNT)
        return NULL;
    slot = slot_at(a, a->count);
    if (!slot->bytes)
        slot->bytes = malloc(CN_BLOCK_SIZE);
    if (!slot->bytes) {
        cn_receiving_break(r, CN_E_MEMORY);
        return NULL;
    }
    a->count++;
    slot->stage = CN_ARRIVING_FILLING;
    slot->index = a->index;
    slot->is_stale = false;
    slot->size = 0;
    slot->run_count = 0;
    slot->packed_size = slot->packed_there = 0;
    slot->has_expected = false;
    cn_receiving_file_at(r, a->index)->slot_count++;
    return slot;
}

/* The octets of the block in hand, 0 if there is none. */
static uint32_t filled(struct cn_arriving *a)
{
    const struct cn_arriving_slot *slot = a->count > 0 ? slot_at(a, a->count - 1) : NULL;

    return slot && slot->stage == CN_ARRIVING_FILLING ? slot->size : 0;
}

/* size more octets of the block are known; holes that would take too many runs become octets. */
static void run_add(struct cn_arriving_slot *slot, uint32_t size, bool hole)
{
    struct cn_run *last = slot->run_count > 0 ? &slot->run[slot->run_count - 1] : NULL;

    if (last && slot->run_count == CN_RUN_COUNT_MAX) {
        last->hole = false;
        last->size += size;
    } else if (last && last->hole == hole) {
        last->size += size;
    } else {
        slot->run[slot->run_count++] = (struct cn_run) { size, hole };
    }
    slot->size += size;
}

/* The block is whole, or the file's last. */
static void hash(struct cn_receiving *r, const uint8_t *expected)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_arriving_slot *slot = slot_at(a, a->count - 1);

    slot->stage = CN_ARRIVING_HASHING;
    slot->job.run = slot_run;
    slot->job.is_done = false;
    slot->crypto = cn_home_crypto(r->home);
    slot->zeros_sum = a->zeros_sum;
    slot->has_expected = expected != NULL;
    if (expected)
        memcpy(slot->expected, expected, sizeof slot->expected);
    if (slot->size > CN_INLINE_SIZE) {
        cn_jobs_submit(r->jobs, &slot->job);
        return;
    }
    slot_run(&slot->job);
    slot->job.is_done = true;
}

void cn_arriving_drop(struct cn_receiving *r, uint32_t index)
{
    struct cn_arriving *a = &r->arriving;

    for (unsigned i = 0; i < a->count; i++) {
        struct cn_arriving_slot *slot = slot_at(a, i);

        if (slot->index != index)
            continue;
        slot->is_stale = true;
        if (slot->stage == CN_ARRIVING_FILLING) { /* nothing more comes to it */
            slot->stage = CN_ARRIVING_HASHING;
            slot->job.is_done = true;
        }
    }
    if (a->in_file && a->index == index)
        a->ignores = true;
}

/* A block has been hashed: what it means for its file. False: it is over. */
static bool slot_judge(struct cn_receiving *r, struct cn_arriving_slot *slot)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, slot->index);

    if (slot->err == CN_OK)
        slot->err = cn_content_add(&file->content, slot->sum);
    if (slot->err == CN_OK)
        return true;
    if (slot->err == CN_E_FORMAT || slot->err == CN_E_CHECKSUM)
        cn_judging_over(r, slot->index, CN_TRANSFER_MISMATCH);
    else
        cn_judging_failed(r, slot->index, slot->err, 0);
    return false;
}

/* All that came of a file is written. */
static void file_end(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    uint8_t sum[CN_SHA256_SIZE];

    if (file->state != CN_RECEIVING_WHOLE || file->slot_count > 0)
        return;
    if (cn_content_end(&file->content, sum) != CN_OK)
        cn_judging_failed(r, index, CN_E_CRYPTO, 0);
    else if (memcmp(sum, file->sum, sizeof sum) != 0)
        cn_judging_over(r, index, CN_TRANSFER_MISMATCH);
    else if (file->how == CN_ACCEPT_COMPARE)
        cn_judging_unchanged(r, index);
    else
        cn_judging_verified(r, index);
}

static void writer_end(struct cn_receiving *r)
{
    struct cn_arriving_writer *w = &r->arriving.writer;
    const uint32_t index = w->index;

    w->is_busy = false;
    if (w->err != CN_OK && cn_receiving_file_at(r, index)->state != CN_RECEIVING_OVER)
        cn_judging_failed(r, index, w->err, w->system_error);
    for (unsigned i = 0; i < w->count; i++)
        slot_release(r);
    file_end(r, index);
}

/* Write the blocks at the front that are hashed and of one file. False: there is none. */
static bool writer_begin(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_arriving_writer *w = &a->writer;
    struct cn_receiving_file *file;
    uint32_t size = 0;

    w->count = 0;
    w->index = slot_at(a, 0)->index;
    file = cn_receiving_file_at(r, w->index);
    for (unsigned i = 0; i < a->count; i++) {
        struct cn_arriving_slot *slot = slot_at(a, i);

        if (slot->index != w->index || slot->is_stale || slot->stage != CN_ARRIVING_HASHING ||
            !slot->job.is_done || !slot_judge(r, slot))
            break;
        slot->stage = CN_ARRIVING_WRITING;
        w->slot[w->count++] = slot;
        size += slot->size;
    }
    if (w->count == 0 || file->state == CN_RECEIVING_OVER)
        return false;
    w->part = file->part;
    w->job.run = writer_run;
    w->is_busy = true;
    if (file->size_unknown)
        file->entry.size = w->part->written + size;
    if (size > CN_INLINE_SIZE) {
        w->job.is_done = false;
        cn_jobs_submit(r->jobs, &w->job);
    } else {
        writer_run(&w->job);
        w->job.is_done = true;
    }
    return true;
}

/* The part of the file that is coming, while nothing is there to be written to it; NULL: none. */
static const struct cn_part *resting(const struct cn_receiving *r)
{
    const struct cn_arriving *a = &r->arriving;
    const bool idle = a->count == 0 || a->slot[a->first].stage == CN_ARRIVING_FILLING;

    if (!idle || !a->in_file || a->ignores || a->writer.is_busy)
        return NULL;
    return cn_receiving_file_at(r, a->index)->part;
}

int cn_arriving_timeout_ms(const struct cn_receiving *r)
{
    const struct cn_part *part = resting(r);
    const uint64_t due_ms = part ? cn_part_due_ms(part) : UINT64_MAX;
    const uint64_t now_ms = cn_connect_clock_ms();

    if (due_ms == UINT64_MAX)
        return -1;
    return due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
}

/* Nothing comes: what has come is noted all the same. */
static void rest_note(struct cn_receiving *r)
{
    struct cn_arriving_writer *w = &r->arriving.writer;

    if (cn_arriving_timeout_ms(r) != 0)
        return;
    w->count = 0;
    w->index = r->arriving.index;
    w->part = cn_receiving_file_at(r, w->index)->part;
    w->job.run = writer_run;
    w->job.is_done = false;
    w->is_busy = true;
    cn_jobs_submit(r->jobs, &w->job);
}

/* Move on the blocks at the front. */
static void advance(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;

    for (;;) {
        struct cn_arriving_slot *slot = slot_at(a, 0);

        if (a->writer.is_busy) {
            if (!a->writer.job.is_done)
                return;
            writer_end(r);
        } else if (a->count == 0 || slot->stage == CN_ARRIVING_FILLING || !slot->job.is_done) {
            rest_note(r);
            return;
        } else if (slot->is_stale) {
            slot_release(r);
        } else if (!writer_begin(r) && !slot->is_stale) {
            return;
        }
    }
}

/* --- messages ------------------------------------------------------------------------------- */

static void offence(struct cn_receiving *r)
{
    cn_receiving_break(r, CN_E_FORMAT);
}

/* What is there of an earlier run is not what the sender has: from the start. */
static bool start_again(struct cn_receiving *r, struct cn_receiving_file *file)
{
    enum cn_err err = cn_part_restart(file->part);
    int system_error = errno;

    if (err == CN_OK)
        err = cn_content_begin(&file->content, cn_home_crypto(r->home));
    if (err != CN_OK)
        cn_judging_failed(r, r->arriving.index, err, system_error);
    return err == CN_OK;
}

static void begun(struct cn_receiving *r, struct cn_receiving_file *file)
{
    struct cn_arriving *a = &r->arriving;

    memcpy(a->current, file->entry.name, file->entry.name_size + 1);
    a->current_size = file->size_unknown ? CN_MESSAGE_SIZE_UNKNOWN : file->entry.size;
    a->current_at = a->at;
    cn_receiving_count(r, file, a->at);
    cn_happenings_add(&r->happenings, &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_BEGUN,
                                                                    .path = file->entry.name,
                                                                    .kind = CN_TRANSFER_FILE,
                                                                    .size = a->current_size,
                                                                    .resumed = a->at });
}

static void take_begin(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_receiving_file *file = cn_receiving_file_at(r, a->data.index);
    bool compares;

    if (a->in_file || a->data.index >= r->told) {
        offence(r);
        return;
    }
    a->in_file = true;
    a->index = a->data.index;
    a->at = a->data.offset;
    a->ignores = a->index < r->first || file->state == CN_RECEIVING_OVER;
    if (a->ignores) /* we have refused it meanwhile */
        return;
    compares = file->how == CN_ACCEPT_COMPARE;
    if (file->state != CN_RECEIVING_ACCEPTED || (a->at != 0 && a->at != file->have_size)) {
        offence(r);
        return;
    }
    cn_receiving_set_state(r, file, CN_RECEIVING_COMING);
    if (compares)
        return;
    if (file->have_size == 0 && cn_content_begin(&file->content, cn_home_crypto(r->home)) != CN_OK)
        cn_judging_failed(r, a->index, CN_E_CRYPTO, 0);
    else if (cn_judging_open(r, a->index) && a->at == 0 && file->part->written > 0 &&
             !start_again(r, file))
        return;
    if (file->state == CN_RECEIVING_COMING)
        begun(r, file);
}

/* size octets more are about to come. False: they must not, or there is no room for them yet. */
static bool take_more(struct cn_receiving *r, uint32_t size, bool *wait)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_receiving_file *file = cn_receiving_file_at(r, a->index);

    *wait = false;
    if (!a->in_file ||
        (!a->ignores && (file->how == CN_ACCEPT_COMPARE || size > CN_BLOCK_SIZE - filled(a)))) {
        offence(r);
        return false;
    }
    if (a->ignores)
        return true;
    if (!file->size_unknown && size > file->entry.size - a->at) { /* more than it said */
        cn_judging_over(r, a->index, CN_TRANSFER_MISMATCH);
        return true;
    }
    if (!filling(r)) {
        *wait = true;
        return false;
    }
    a->at += size;
    a->current_at = a->at;
    a->moved += a->data.type == CN_DATA_HOLE ? 0 : size;
    cn_receiving_count(r, file, size);
    return true;
}

static bool packed_begin(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_arriving_slot *slot;

    if (a->ignores)
        return true;
    slot = slot_at(a, a->count - 1);
    if (slot->size > 0) { /* a block is compressed as a whole, or not at all */
        offence(r);
        return false;
    }
    if (!slot->packed)
        slot->packed = malloc(CN_BLOCK_SIZE);
    if (!slot->packed) {
        cn_receiving_break(r, CN_E_MEMORY);
        return false;
    }
    slot->packed_size = a->data.packed_size;
    run_add(slot, a->data.size, false);
    return true;
}

/* A message that brings octets, or stands for some. False: there is no room yet. */
static bool take_octets(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    bool wait;

    if (!take_more(r, a->data.size, &wait))
        return !wait;
    if (a->data.type == CN_DATA_PACKED && !packed_begin(r))
        return true;
    if (!a->ignores && a->data.type != CN_DATA_PACKED) {
        struct cn_arriving_slot *slot = slot_at(a, a->count - 1);

        if (slot->packed_size > 0) {
            offence(r);
            return true;
        }
        if (a->data.type == CN_DATA_HOLE) {
            if (a->data.size < CN_BLOCK_SIZE) /* the sum of a full one is known */
                memset(slot->bytes + slot->size, 0, a->data.size);
            run_add(slot, a->data.size, true);
        }
    }
    a->follows = cn_data_follows(&a->data);
    return true;
}

static void take_block(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;

    if (!a->in_file || (!a->ignores && filled(a) != CN_BLOCK_SIZE))
        offence(r);
    else if (!a->ignores)
        hash(r, a->data.sum);
}

static void take_done(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_receiving_file *file = cn_receiving_file_at(r, a->index);

    if (!a->in_file || (!a->ignores && filled(a) == CN_BLOCK_SIZE)) {
        offence(r);
        return;
    }
    a->in_file = false;
    if (a->ignores)
        return;
    if (a->data.final_size != a->at || (!file->size_unknown && a->at != file->entry.size)) {
        cn_judging_over(r, a->index, CN_TRANSFER_MISMATCH);
        return;
    }
    memcpy(file->sum, a->data.sum, sizeof file->sum);
    cn_receiving_set_state(r, file, CN_RECEIVING_WHOLE);
    if (filled(a) > 0)
        hash(r, NULL);
    else
        file_end(r, a->index);
}

static void take_gone(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;

    if (!a->in_file) {
        offence(r);
        return;
    }
    a->in_file = false;
    if (a->ignores)
        return;
    if (a->data.code != CN_GONE_DIFFERS)
        cn_judging_over(r, a->index, CN_TRANSFER_WITHDRAWN);
    else if (cn_receiving_file_at(r, a->index)->how != CN_ACCEPT_COMPARE)
        offence(r);
    else
        cn_judging_differs(r, a->index);
}

/* False: there is no room for it yet. */
static bool take_message(struct cn_receiving *r)
{
    switch (r->arriving.data.type) {
    case CN_DATA_BEGIN:
        take_begin(r);
        break;
    case CN_DATA_PLAIN:
    case CN_DATA_PACKED:
    case CN_DATA_HOLE:
        return take_octets(r);
    case CN_DATA_BLOCK:
        take_block(r);
        break;
    case CN_DATA_DONE:
        take_done(r);
        break;
    case CN_DATA_GONE:
        take_gone(r);
        break;
    case CN_DATA_TYPE_END:
        break;
    }
    return true;
}

/* --- the stream ----------------------------------------------------------------------------- */

/* The octets that follow the head of a message. False: no more of them have come. */
static bool octets_read(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    struct cn_arriving_slot *slot;
    size_t size;
    const uint8_t *from = cn_stream_peek(a->stream, &size);
    uint32_t some;

    if (!from)
        return false;
    some = size < a->follows ? (uint32_t)size : a->follows;
    if (!a->ignores) {
        slot = slot_at(a, a->count - 1);
        if (a->data.type == CN_DATA_PACKED) {
            memcpy(slot->packed + slot->packed_there, from, some);
            slot->packed_there += some;
        } else {
            memcpy(slot->bytes + slot->size, from, some);
            run_add(slot, some, false);
        }
    }
    cn_stream_consume(a->stream, some);
    a->follows -= some;
    return true;
}

/* The head of the next message. False: it is not all there, or there is no room for more. */
static bool head_read(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    size_t used = 0;
    enum cn_err err = cn_data_decode(&a->data, &used, a->head, a->head_size);

    while (err == CN_E_MORE && cn_stream_read(a->stream, a->head + a->head_size, 1) == 1) {
        a->head_size++;
        err = cn_data_decode(&a->data, &used, a->head, a->head_size);
    }
    if (err == CN_E_FORMAT)
        offence(r);
    if (err != CN_OK || !take_message(r))
        return false;
    a->head_size = 0;
    return true;
}

enum cn_err cn_arriving_begin(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    uint8_t *zeros = calloc(1, CN_BLOCK_SIZE);
    enum cn_err err = CN_E_MEMORY;

    if (zeros)
        err = cn_block_sum(cn_home_crypto(r->home), zeros, CN_BLOCK_SIZE, a->zeros_sum);
    free(zeros);
    return err;
}

void cn_arriving_process(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;
    bool more = a->stream != NULL;

    while (more && !r->finished) {
        advance(r);
        more = a->follows > 0 ? octets_read(r) : head_read(r);
    }
    if (!r->finished)
        advance(r);
}

void cn_arriving_wipe(struct cn_receiving *r)
{
    struct cn_arriving *a = &r->arriving;

    for (unsigned i = 0; i < CN_ARRIVING_SLOT_COUNT; i++) {
        free(a->slot[i].bytes);
        free(a->slot[i].packed);
        cn_packer_close(a->slot[i].packer);
    }
}
