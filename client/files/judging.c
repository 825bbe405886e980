#include "receiving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "home.h"
#include "place.h"

enum {
    LARGE_COUNT_MAX = 16,          /* parts of files of more than a block that are open at once */
    STORE_COUNT = 8192,            /* files together, or */
    STORE_SIZE = 64 * 1024 * 1024, /* octets, or */
    STORE_MS = 1000,               /* after so long */
    STORE_IDLE_MS = 20,            /* when nothing is coming that they could wait for */
    COMPARE_COUNT_MAX = 8 /* of what is there, for one entry: the sender reads it each time */
};

_Static_assert((int)CN_BLOCK_SIZE == (int)CN_PART_BLOCK_SIZE, "parts go on by blocks");

/* --- outcomes ------------------------------------------------------------------------------- */

static enum cn_transfer_outcome outcome_of(enum cn_err err, int system_error)
{
    if (err == CN_E_EXISTS || /* of it, or of a directory that it is to be in */
        (err == CN_E_SYSTEM && (system_error == ENOTDIR || system_error == ELOOP)))
        return CN_TRANSFER_EXISTS;
    if (err == CN_E_FORMAT || err == CN_E_NAME)
        return CN_TRANSFER_BAD_NAME;
    if (err == CN_E_LIMIT || err == CN_E_TRUNCATED)
        return CN_TRANSFER_MISMATCH;
    if (err == CN_E_SYSTEM &&
        (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG))
        return CN_TRANSFER_DISK_FULL;
    return CN_TRANSFER_FAILED;
}

void cn_judging_release(struct cn_receiving *r, struct cn_receiving_file *file)
{
    if (file->slot_count > 0 || !file->part)
        return;
    cn_part_close(file->part, file->keeps);
    free(file->part);
    file->part = NULL;
    if (file->is_large)
        r->large_count--;
    file->is_large = false;
}

/* The path that it is stored under, if that is another than its name. */
static const char *stored_as(const struct cn_receiving_file *file,
                             char out[CN_ENTRY_NAME_SIZE_MAX + CN_ENTRY_PART_SIZE_MAX + 1])
{
    const size_t last = cn_entry_last_part(file->entry.name, file->entry.name_size);

    memcpy(out, file->entry.name, last);
    if (file->outcome == CN_TRANSFER_UNCHANGED && file->there.number > 0)
        cn_entry_numbered(file->entry.name + last, file->there.number, out + last);
    else if (file->part && file->part->stored[0])
        memcpy(out + last, file->part->stored, strlen(file->part->stored) + 1);
    else
        return NULL;
    return strcmp(out, file->entry.name) == 0 ? NULL : out;
}

void cn_judging_over(struct cn_receiving *r, uint32_t index, enum cn_transfer_outcome outcome)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    char path[CN_ENTRY_NAME_SIZE_MAX + CN_ENTRY_PART_SIZE_MAX + 1];

    if (file->state == CN_RECEIVING_OVER)
        return;
    cn_receiving_set_state(r, file, CN_RECEIVING_OVER);
    file->outcome = outcome;
    r->over_count++;
    if (!file->size_unknown && file->entry.size > file->counted)
        cn_receiving_count(r, file, file->entry.size - file->counted);
    cn_happenings_add(&r->happenings,
                      &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_OVER,
                                                    .path = file->entry.name,
                                                    .stored_as = stored_as(file, path),
                                                    .kind = (enum cn_transfer_kind)file->entry.type,
                                                    .size = file->entry.size,
                                                    .outcome = outcome });
    cn_arriving_drop(r, index);
    cn_content_wipe(&file->content);
    cn_judging_release(r, file);
    cn_receiving_due(r, index);
}

void cn_judging_failed(struct cn_receiving *r, uint32_t index, enum cn_err err, int system_error)
{
    enum cn_transfer_outcome outcome = outcome_of(err, system_error);

    if (outcome == CN_TRANSFER_FAILED)
        cn_receiving_problem(r, cn_receiving_file_at(r, index)->entry.name, err, system_error);
    cn_judging_over(r, index, outcome);
}

bool cn_judging_open(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    struct cn_part *part = file->part ? file->part : calloc(1, sizeof *part);
    enum cn_err err = part ? CN_OK : CN_E_MEMORY;
    int system_error = 0;

    if (file->part)
        return true;
    if (err == CN_OK) {
        cn_part_init(part);
        err = cn_part_open(part, r->place, &file->entry);
        system_error = errno;
    }
    if (err == CN_OK) {
        file->part = part;
        return true;
    }
    free(part);
    cn_judging_failed(r, index, err, system_error);
    return false;
}

/* --- what is there already ------------------------------------------------------------------ */

/* All of the next block, or what there is of it. */
static ssize_t block_read(int fd, uint8_t *block, size_t size, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, block + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static enum cn_err check_blocks(struct cn_checking *c, uint8_t *block, struct cn_content *before)
{
    enum cn_err err = CN_OK;

    for (uint64_t at = 0; err == CN_OK && at < c->size;) {
        size_t size = c->size - at < CN_BLOCK_SIZE ? (size_t)(c->size - at) : CN_BLOCK_SIZE;
        uint8_t sum[CN_SHA256_SIZE];

        if (atomic_load(c->cancelled))
            return CN_E_CANCELLED;
        if (block_read(c->fd, block, size, at) != (ssize_t)size)
            return CN_E_TRUNCATED;
        err = cn_block_sum(c->crypto, block, size, sum);
        if (err == CN_OK)
            err = cn_content_add(&c->content, sum);
        if (err == CN_OK)
            err = cn_content_add(before, sum);
        at += size;
    }
    return err;
}

static void check_run(struct cn_job *job)
{
    struct cn_checking *c = (struct cn_checking *)job;
    uint8_t *block = malloc(c->size < CN_BLOCK_SIZE ? (size_t)c->size + 1 : CN_BLOCK_SIZE);
    struct cn_content before = { 0 };

    c->err = block ? cn_content_begin(&c->content, c->crypto) : CN_E_MEMORY;
    if (c->err == CN_OK)
        c->err = cn_content_begin(&before, c->crypto);
    if (c->err == CN_OK)
        c->err = check_blocks(c, block, &before);
    if (c->err == CN_OK)
        c->err = cn_content_end(&before, c->sum);
    cn_content_wipe(&before);
    free(block);
}

void cn_judging_check_drop(struct cn_receiving_file *file)
{
    struct cn_checking *c = file->checking;

    if (!c)
        return;
    cn_content_wipe(&c->content);
    if (file->how == CN_ACCEPT_COMPARE)
        close(c->fd);
    free(c);
    file->checking = NULL;
}

static void accept_say(struct cn_receiving *r, uint32_t index)
{
    cn_receiving_set_state(r, cn_receiving_file_at(r, index), CN_RECEIVING_ACCEPT_DUE);
    cn_receiving_due(r, index);
}

/* It has been hashed. */
static void check_end(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    struct cn_checking *c = file->checking;
    bool good = c->err == CN_OK;
    enum cn_err err = CN_OK;

    if (good) {
        file->have_size = c->size;
        memcpy(file->have_sum, c->sum, sizeof file->have_sum);
        file->content = c->content;
        c->content = (struct cn_content) { 0 };
    }
    cn_judging_check_drop(file);
    if (!good && file->how == CN_ACCEPT_COMPARE) {
        cn_judging_differs(r, index);
        return;
    }
    if (!good)
        err = cn_part_restart(file->part);
    if (err != CN_OK)
        cn_judging_failed(r, index, err, errno);
    else
        accept_say(r, index);
}

/* Hash size octets of fd, then say that they are there. False: no memory; fd is as it was. */
static bool check_begin(struct cn_receiving *r, uint32_t index, int fd, uint64_t size,
                        enum cn_accept_how how)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    struct cn_checking *c = calloc(1, sizeof *c);

    if (!c)
        return false;
    c->job.run = check_run;
    c->crypto = cn_home_crypto(r->home);
    c->cancelled = &r->cancelled;
    c->fd = fd;
    c->size = size;
    file->checking = c;
    file->how = how;
    cn_receiving_set_state(r, file, CN_RECEIVING_CHECKING);
    if (size <= CN_INLINE_SIZE) {
        check_run(&c->job);
        check_end(r, index);
        return true;
    }
    r->is_checking = true;
    r->checking_index = index;
    cn_jobs_submit(r->jobs, &c->job);
    return true;
}

/* A file of this name and size, or one that has got a number, is there, and may be the same: with
 * another time, say. */
static bool compare_begin(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    const unsigned last = r->conflict == CN_CONFLICT_RENAME ? CN_PLACE_NUMBER_MAX : 0;

    while (!file->size_unknown && file->next_compared <= last &&
           file->compare_count < COMPARE_COUNT_MAX) {
        enum cn_err err;
        int fd = -1;

        file->there.number = file->next_compared++;
        err = cn_place_look(r->place, &file->entry, &file->there, &fd);
        if (err == CN_E_ABSENT)
            return false;
        if (err != CN_OK)
            continue;
        file->compare_count++;
        if (check_begin(r, index, fd, file->entry.size, CN_ACCEPT_COMPARE))
            return true;
        close(fd);
    }
    return false;
}

/* --- judging -------------------------------------------------------------------------------- */

static bool is_wanted(const struct cn_receiving *r, const char *name)
{
    size_t top = strcspn(name, "/");

    for (uint32_t i = 0; r->picks && i < r->item_count; i++) {
        if (r->wanted[i] && strlen(r->items[i].name) == top &&
            strncmp(r->items[i].name, name, top) == 0)
            return true;
    }
    return !r->picks;
}

static void verified(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);

    if (r->verified_count == 0)
        r->verified_since_ms = cn_connect_clock_ms();
    r->verified[r->verified_count++] = index;
    r->verified_size += file->entry.size;
    cn_receiving_set_state(r, file, CN_RECEIVING_VERIFIED);
}

static void accept_file(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);

    file->how = CN_ACCEPT_SEND;
    file->have_size = 0;
    memset(file->have_sum, 0, sizeof file->have_sum);
    cn_content_wipe(&file->content);
    if (file->entry.size > CN_BLOCK_SIZE) {
        if (!cn_judging_open(r, index))
            return;
        file->is_large = true;
        r->large_count++;
        if (file->part->written > 0 && file->part->written % CN_BLOCK_SIZE == 0 &&
            check_begin(r, index, file->part->fd, file->part->written, CN_ACCEPT_SEND))
            return;
    }
    accept_say(r, index);
}

static void judge_file(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    enum cn_err err = cn_place_judge(r->place, &file->entry, &file->there);
    int system_error = errno;

    if (err == CN_OK && file->there.is_same)
        cn_judging_unchanged(r, index);
    else if ((err == CN_E_EXISTS || (err == CN_OK && r->conflict != CN_CONFLICT_SKIP)) &&
             compare_begin(r, index))
        return;
    else if (err != CN_OK)
        cn_judging_failed(r, index, err, system_error);
    else
        accept_file(r, index);
}

static void judge(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    enum cn_err err;

    if (!is_wanted(r, file->entry.name)) {
        cn_judging_over(r, index, CN_TRANSFER_UNWANTED);
        return;
    }
    if (file->entry.type == CN_ENTRY_FILE) {
        judge_file(r, index);
        return;
    }
    errno = 0;
    err = cn_place_judge(r->place, &file->entry, &file->there);
    if (err == CN_OK && file->entry.type == CN_ENTRY_DIRECTORY) /* it gets its time in the end */
        err = cn_place_make_directory(r->place, &file->entry);
    else if (err == CN_OK && !file->there.is_same)
        err = cn_place_make_link(r->place, &file->entry);
    if (err != CN_OK)
        cn_judging_failed(r, index, err, errno);
    else if (file->there.is_same)
        cn_judging_unchanged(r, index);
    else
        verified(r, index);
}

void cn_judging_unchanged(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    enum cn_err err = cn_place_align(r->place, &file->entry, &file->there);

    if (err != CN_OK)
        cn_receiving_problem(r, file->entry.name, err, errno);
    cn_judging_over(r, index, CN_TRANSFER_UNCHANGED);
}

void cn_judging_differs(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);

    r->done -= file->counted;
    file->counted = 0;
    cn_content_wipe(&file->content);
    cn_receiving_set_state(r, file, CN_RECEIVING_TOLD);
    if (r->again_count++ == 0)
        r->again_first = index;
    else
        cn_receiving_file_at(r, r->again_last)->next_again = index;
    r->again_last = index;
}

static void judge_again(struct cn_receiving *r)
{
    const uint32_t index = r->again_first;

    r->again_first = cn_receiving_file_at(r, index)->next_again;
    r->again_count--;
    judge_file(r, index);
}

void cn_judging_process(struct cn_receiving *r)
{
    if (r->is_checking && cn_receiving_file_at(r, r->checking_index)->checking->job.is_done) {
        r->is_checking = false;
        check_end(r, r->checking_index);
    }
    while (!r->finished && !r->is_checking && r->large_count < LARGE_COUNT_MAX) {
        if (r->again_count > 0)
            judge_again(r);
        else if (r->is_decided && r->judged < r->told)
            judge(r, r->judged++);
        else
            return;
    }
}

/* --- storing -------------------------------------------------------------------------------- */

void cn_judging_verified(struct cn_receiving *r, uint32_t index)
{
    struct cn_receiving_file *file = cn_receiving_file_at(r, index);
    enum cn_err err = cn_part_seal(file->part);

    if (err != CN_OK)
        cn_judging_failed(r, index, err, errno);
    else
        verified(r, index);
}

int cn_judging_timeout_ms(const struct cn_receiving *r)
{
    const bool idle = r->coming_count == 0;
    uint64_t until_ms, now_ms;

    if (r->verified_count == 0 || r->batch.is_busy)
        return -1;
    if (r->verified_count >= STORE_COUNT || r->verified_size >= STORE_SIZE ||
        (idle && r->ended && r->judged == r->told) ||
        (idle && r->told - r->first == CN_WINDOW_COUNT_MAX))
        return 0;
    until_ms = r->verified_since_ms + (idle ? STORE_IDLE_MS : STORE_MS);
    now_ms = cn_connect_clock_ms();
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static void batch_wait(struct cn_job *job)
{
    struct cn_batch *batch = (struct cn_batch *)job;

    cn_storing_wait(&batch->storing);
    batch->has_waited = true;
}

/* All that is verified becomes the batch. */
static void batch_begin(struct cn_receiving *r)
{
    struct cn_batch *batch = &r->batch;
    size_t part_count = 0;

    for (uint32_t i = 0; i < r->verified_count; i++) {
        struct cn_receiving_file *file = cn_receiving_file_at(r, r->verified[i]);

        batch->index[i] = r->verified[i];
        if (file->part)
            batch->parts[part_count++] = file->part;
    }
    batch->count = r->verified_count;
    batch->job.run = batch_wait;
    batch->is_busy = true;
    r->verified_count = 0;
    r->verified_size = 0;
    cn_storing_begin(&batch->storing, r->place, batch->parts, part_count);
}

static void batch_end(struct cn_receiving *r)
{
    struct cn_batch *batch = &r->batch;

    cn_storing_end(&batch->storing);
    batch->is_busy = false;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct cn_receiving_file *file = cn_receiving_file_at(r, batch->index[i]);
        enum cn_err err = file->part ? file->part->err : batch->storing.err;

        if (err != CN_OK)
            cn_judging_failed(r, batch->index[i], err,
                              file->part ? file->part->error : batch->storing.error);
        else
            cn_judging_over(r, batch->index[i], CN_TRANSFER_STORED);
    }
}

/* It has waited; true: it has to wait once more. */
static bool batch_advance(struct cn_receiving *r)
{
    struct cn_batch *batch = &r->batch;

    if (batch->storing.is_named) {
        batch_end(r);
        return false;
    }
    cn_storing_name(&batch->storing);
    return true;
}

static void batch_submit(struct cn_receiving *r)
{
    r->batch.job.is_done = false;
    r->batch.has_waited = false;
    cn_jobs_submit(r->jobs, &r->batch.job);
}

void cn_judging_store(struct cn_receiving *r)
{
    if (r->batch.is_busy && r->batch.job.is_done && batch_advance(r))
        batch_submit(r);
    if (r->batch.is_busy || cn_judging_timeout_ms(r) != 0)
        return;
    batch_begin(r);
    batch_submit(r);
}

static void batch_finish(struct cn_receiving *r)
{
    do {
        if (!r->batch.has_waited)
            batch_wait(&r->batch.job);
        r->batch.has_waited = false;
    } while (batch_advance(r));
}

void cn_judging_store_all(struct cn_receiving *r)
{
    if (r->batch.is_busy)
        batch_finish(r);
    if (r->verified_count == 0)
        return;
    batch_begin(r);
    r->batch.has_waited = false;
    batch_finish(r);
}
