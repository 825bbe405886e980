#include "sending.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "home.h"

enum step { STEP_JUDGE, STEP_RUNS, STEP_BLOCK, STEP_END, STEP_OVER };

static struct cn_sending_slot *slot_at(struct cn_feeding *f, unsigned i)
{
    return &f->slot[(f->first + i) % CN_SENDING_SLOT_COUNT];
}

/* --- the stream ----------------------------------------------------------------------------- */

/* Move on what waits; true: nothing waits. */
static bool flush(struct cn_feeding *f)
{
    size_t put;

    f->head_begin +=
        cn_stream_write(f->stream, f->head + f->head_begin, f->head_end - f->head_begin);
    if (f->head_begin < f->head_end)
        return false;
    f->head_begin = f->head_end = 0;
    put = cn_stream_write(f->stream, f->from, f->left);
    f->from += put;
    f->left -= put;
    return f->left == 0;
}

/* Nothing waits, or a head without octets. */
static void say(struct cn_feeding *f, const struct cn_data *data, const uint8_t *octets)
{
    f->head_end += cn_data_encode(data, f->head + f->head_end);
    f->from = octets;
    f->left = cn_data_follows(data);
}

static void begin_say(struct cn_sending *s, struct cn_sending_file *file, uint64_t offset)
{
    struct cn_feeding *f = &s->feeding;
    const struct cn_data data = { .type = CN_DATA_BEGIN, .index = f->file.index, .offset = offset };
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_entry entry;

    say(f, &data, NULL);
    f->file.begun = true;
    if (file->accept.how == CN_ACCEPT_COMPARE) /* nothing comes */
        return;
    cn_sending_entry(s, f->file.index, &entry, name);
    memcpy(f->current, name, entry.name_size + 1);
    f->current_size = file->size;
    f->current_at = offset;
    cn_happenings_add(&s->happenings, &(struct cn_transfer_event) { .type = CN_TRANSFER_EVENT_BEGUN,
                                                                    .path = name,
                                                                    .kind = CN_TRANSFER_FILE,
                                                                    .size = file->size,
                                                                    .resumed = offset });
}

static void gone_say(struct cn_feeding *f, enum cn_gone_code code)
{
    say(f, &(struct cn_data) { .type = CN_DATA_GONE, .code = code }, NULL);
    f->file.begun = false;
}

/* --- giving up ------------------------------------------------------------------------------ */

static void reading_end(struct cn_sending *s, uint32_t index)
{
    if (s->feeding.is_reading && s->feeding.index == index)
        s->feeding.is_reading = false;
}

static void slots_stale(struct cn_sending *s, uint32_t index)
{
    for (unsigned i = 0; i < s->feeding.count; i++) {
        struct cn_sending_slot *slot = slot_at(&s->feeding, i);

        if (slot->index == index)
            slot->is_stale = true;
    }
}

/* The receiver is told in place of the rest. */
static void give_up(struct cn_sending *s, uint32_t index, enum cn_gone_code code)
{
    struct cn_feeding *f = &s->feeding;
    struct cn_sending_file *file = cn_sending_file_at(s, index);

    slots_stale(s, index);
    reading_end(s, index);
    if (!f->file.begun)
        say(f, &(struct cn_data) { .type = CN_DATA_BEGIN, .index = index }, NULL);
    gone_say(f, code);
    file->state = code == CN_GONE_DIFFERS ? CN_SENDING_TOLD : CN_SENDING_GIVEN_UP;
    s->done -= file->counted;
    file->counted = 0;
}

static void changed(struct cn_sending *s, uint32_t index)
{
    cn_sending_problem(s, index, CN_TRANSFER_REASON_CHANGED, 0);
    give_up(s, index, CN_GONE_CHANGED);
}

static void unreadable(struct cn_sending *s, const struct cn_sending_slot *slot)
{
    const struct cn_reading *r = &slot->reading;

    if (r->err == CN_E_SYSTEM && r->system_error == ESTALE) {
        changed(s, slot->index);
        return;
    }
    cn_sending_problem(s, slot->index,
                       r->err == CN_E_SYSTEM   ? CN_TRANSFER_REASON_SYSTEM
                       : r->err == CN_E_MEMORY ? CN_TRANSFER_REASON_NO_MEMORY
                                               : CN_TRANSFER_REASON_LIBRARY,
                       r->system_error);
    give_up(s, slot->index, CN_GONE_UNREADABLE);
}

/* --- reading ahead -------------------------------------------------------------------------- */

static struct cn_sending_slot *slot_add(struct cn_sending *s, uint32_t index)
{
    struct cn_feeding *f = &s->feeding;
    struct cn_sending_slot *slot = slot_at(f, f->count);

    f->count++;
    slot->index = index;
    slot->is_stale = false;
    slot->is_first = slot->is_last = false;
    slot->step = STEP_JUDGE;
    slot->run_at = 0;
    cn_sending_file_at(s, index)->slot_count++;
    return slot;
}

static void file_close(struct cn_sending_file *file)
{
    if (file->fd > STDIN_FILENO)
        close(file->fd);
    file->fd = -1;
}

static void slot_release(struct cn_sending *s, struct cn_sending_slot *slot)
{
    struct cn_feeding *f = &s->feeding;
    struct cn_sending_file *file = cn_sending_file_at(s, slot->index);

    file->slot_count--;
    if (file->slot_count == 0 && !(f->is_reading && f->index == slot->index))
        file_close(file);
    f->first = (f->first + 1) % CN_SENDING_SLOT_COUNT;
    f->count--;
}

void cn_feeding_drop(struct cn_sending *s, uint32_t index)
{
    struct cn_feeding *f = &s->feeding;

    slots_stale(s, index);
    reading_end(s, index);
    if (f->file.begun && f->file.index == index)
        f->file.gone_due = true;
    if (cn_sending_is_input(s, index))
        cn_sending_cancel_input(s);
    if (cn_sending_file_at(s, index)->slot_count == 0)
        file_close(cn_sending_file_at(s, index));
}

static bool source_open(struct cn_sending *s, struct cn_sending_file *file, int *system_error)
{
    struct stat st;

    if (cn_sending_is_input(s, s->feeding.index)) {
        file->fd = STDIN_FILENO;
        return true;
    }
    if (cn_walk_open(s->walk, s->feeding.index, &file->fd) != CN_OK) {
        *system_error = errno;
        file->fd = -1;
        return false;
    }
    file->sparse = fstat(file->fd, &st) == 0 && st.st_blocks * 512 < st.st_size;
    if (file->size > CN_BLOCK_SIZE)
        (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
    return true;
}

/* The file that was accepted next; false: there is none. */
static bool reading_begin(struct cn_sending *s)
{
    struct cn_feeding *f = &s->feeding;

    while (s->queue_count > 0) {
        uint32_t index = s->queue[s->queue_first];
        struct cn_sending_file *file = cn_sending_file_at(s, index);
        int system_error = 0;

        s->queue_first = (s->queue_first + 1) % CN_WINDOW_COUNT_MAX;
        s->queue_count--;
        if (index < s->answered || file->state != CN_SENDING_ACCEPTED)
            continue; /* refused meanwhile */
        f->index = index;
        f->read_at = 0;
        f->read_all = false;
        file->state = CN_SENDING_READING;
        f->is_reading = source_open(s, file, &system_error);
        if (!f->is_reading) { /* told in its turn */
            struct cn_sending_slot *slot = slot_add(s, index);

            slot->is_first = true;
            slot->reading.err = CN_E_SYSTEM;
            slot->reading.system_error = system_error;
            slot->reading.job.is_done = true;
        }
        return f->is_reading;
    }
    return false;
}

/* While it is not known whether it begins with what the receiver has. */
static bool may_be_read_again(const struct cn_feeding *f, const struct cn_sending_file *file)
{
    return file->accept.size > 0 && !(f->file.begun && f->file.index == f->index);
}

/* Begin to read one more block; false: there is none to read now, or no room. */
static bool read_ahead(struct cn_sending *s)
{
    struct cn_feeding *f = &s->feeding;
    struct cn_sending_file *file;
    struct cn_sending_slot *slot;
    const unsigned before = f->count;
    bool input;

    if (f->count == CN_SENDING_SLOT_COUNT)
        return false;
    if (!f->is_reading && !reading_begin(s))
        return f->count > before;
    file = cn_sending_file_at(s, f->index);
    input = cn_sending_is_input(s, f->index);
    if (f->read_all || (input && file->slot_count > 0) ||
        (s->compress && f->read_at > 0 && !file->packs_known)) /* the first block will tell */
        return false;
    slot = slot_add(s, f->index);
    slot->is_first = f->read_at == 0;
    slot->reading.offset = f->read_at;
    slot->reading.size = CN_BLOCK_SIZE;
    if (!input && file->size - f->read_at < CN_BLOCK_SIZE)
        slot->reading.size = (uint32_t)(file->size - f->read_at);
    slot->reading.how = (struct cn_reading_how) {
        .crypto = cn_home_crypto(s->home),
        .zeros_sum = f->zeros_sum,
        .fd = file->fd,
        .cancel = input ? s->cancel[0] : -1,
        .sparse = file->sparse,
        .sample = s->compress && slot->is_first,
        .pack = file->packs,
    };
    f->read_at += slot->reading.size;
    slot->is_last = !input && f->read_at == file->size;
    f->read_all = slot->is_last;
    if (f->read_all && !may_be_read_again(f, file))
        f->is_reading = false;
    if (!input && slot->reading.size <= CN_INLINE_SIZE) {
        cn_reading_run(&slot->reading.job);
        slot->reading.job.is_done = true;
    } else {
        cn_jobs_submit(s->jobs, &slot->reading.job);
    }
    return true;
}

/* --- from blocks to the stream -------------------------------------------------------------- */

static bool sums_begin(struct cn_sending *s, uint32_t index)
{
    struct cn_feeding_file *ff = &s->feeding.file;
    const struct cn_crypto *crypto = cn_home_crypto(s->home);

    ff->index = index;
    ff->at = 0;
    ff->begun = false;
    return cn_content_begin(&ff->content, crypto) == CN_OK &&
           cn_content_begin(&ff->before, crypto) == CN_OK;
}

/* What the receiver says that it has is not what the file begins with. */
static void read_again(struct cn_sending *s, struct cn_sending_file *file)
{
    slots_stale(s, s->feeding.file.index);
    s->feeding.read_at = 0;
    s->feeding.read_all = false;
    memset(&file->accept, 0, sizeof file->accept);
    s->done -= file->counted;
    file->counted = 0;
}

/* A block that the receiver says it has. */
static void compare(struct cn_sending *s, struct cn_sending_slot *slot,
                    struct cn_sending_file *file)
{
    struct cn_feeding_file *ff = &s->feeding.file;
    const struct cn_message_accept *accept = &file->accept;
    uint8_t sum[CN_SHA256_SIZE];
    bool same;

    cn_sending_count(s, file, slot->reading.got);
    slot->step = STEP_OVER;
    if (slot->reading.got > 0 && cn_content_add(&ff->before, slot->reading.sum) != CN_OK) {
        cn_sending_break(s, CN_E_CRYPTO);
        return;
    }
    if (ff->at < accept->size && !slot->is_last)
        return;
    if (cn_content_end(&ff->before, sum) != CN_OK) {
        cn_sending_break(s, CN_E_CRYPTO);
        return;
    }
    same = ff->at == accept->size && memcmp(sum, accept->sum, sizeof sum) == 0;
    if (!same && accept->how == CN_ACCEPT_COMPARE) {
        give_up(s, slot->index, CN_GONE_DIFFERS);
    } else if (!same) {
        read_again(s, file);
    } else {
        begin_say(s, file, accept->size);
        if (slot->is_last)
            slot->step = STEP_END;
        if (s->feeding.read_all)
            reading_end(s, slot->index);
    }
}

static void judge(struct cn_sending *s, struct cn_sending_slot *slot, struct cn_sending_file *file)
{
    const struct cn_reading *r = &slot->reading;
    struct cn_feeding_file *ff = &s->feeding.file;
    bool input = cn_sending_is_input(s, slot->index);

    if (slot->is_first && !sums_begin(s, slot->index)) {
        cn_sending_break(s, CN_E_CRYPTO);
        return;
    }
    if (r->err != CN_OK) {
        unreadable(s, slot);
        return;
    }
    if (slot->is_first) {
        file->packs = r->pays;
        file->packs_known = true;
    }
    /* what is sent is one state of it; of the last block that is asked in the end */
    if (!input && (r->got < r->size ||
                   (!slot->is_last && !cn_walk_is_same(s->walk, slot->index, file->fd)))) {
        changed(s, slot->index);
        return;
    }
    if (input) {
        slot->is_last = r->got < r->size;
        if (slot->is_last)
            reading_end(s, slot->index);
    }
    if (r->got > 0 && cn_content_add(&ff->content, r->sum) != CN_OK) {
        cn_sending_break(s, CN_E_CRYPTO);
        return;
    }
    ff->at += r->got;
    if (!ff->begun && (file->accept.how == CN_ACCEPT_COMPARE || file->accept.size > 0)) {
        compare(s, slot, file);
        return;
    }
    if (!ff->begun)
        begin_say(s, file, 0);
    slot->step = STEP_RUNS;
}

static void runs_say(struct cn_sending *s, struct cn_sending_slot *slot,
                     struct cn_sending_file *file)
{
    struct cn_feeding *f = &s->feeding;
    const struct cn_reading *r = &slot->reading;
    struct cn_data data = { .type = CN_DATA_PLAIN };
    const uint8_t *from = r->bytes;

    if (slot->run_at == r->run_count) {
        slot->step = STEP_BLOCK;
        return;
    }
    for (unsigned i = 0; i < slot->run_at; i++)
        from += r->run[i].size;
    data.size = r->run[slot->run_at].size;
    if (r->run[slot->run_at].hole) {
        data.type = CN_DATA_HOLE;
    } else if (r->packed_size > 0) {
        data.type = CN_DATA_PACKED;
        data.packed_size = r->packed_size;
        from = r->packed;
    }
    say(f, &data, from);
    f->moved += data.type == CN_DATA_HOLE ? 0 : data.size;
    f->current_at += data.size;
    cn_sending_count(s, file, data.size);
    slot->run_at++;
}

static void block_say(struct cn_sending *s, struct cn_sending_slot *slot)
{
    struct cn_data data = { .type = CN_DATA_BLOCK };

    slot->step = slot->is_last ? STEP_END : STEP_OVER;
    if (slot->reading.got < CN_BLOCK_SIZE)
        return;
    memcpy(data.sum, slot->reading.sum, sizeof data.sum);
    say(&s->feeding, &data, NULL);
}

static void end_say(struct cn_sending *s, struct cn_sending_slot *slot,
                    struct cn_sending_file *file)
{
    struct cn_feeding *f = &s->feeding;
    struct cn_data data = { .type = CN_DATA_DONE, .final_size = f->file.at };

    slot->step = STEP_OVER;
    if (!cn_sending_is_input(s, slot->index) && !cn_walk_is_same(s->walk, slot->index, file->fd)) {
        changed(s, slot->index);
        return;
    }
    if (cn_content_end(&f->file.content, data.sum) != CN_OK) {
        cn_sending_break(s, CN_E_CRYPTO);
        return;
    }
    say(f, &data, NULL);
    f->file.begun = false;
    file->state = CN_SENDING_SENT;
}

/* One message of it, or what stands for one. */
static void slot_say(struct cn_sending *s, struct cn_sending_slot *slot)
{
    struct cn_sending_file *file = cn_sending_file_at(s, slot->index);

    switch ((enum step)slot->step) {
    case STEP_JUDGE:
        judge(s, slot, file);
        break;
    case STEP_RUNS:
        runs_say(s, slot, file);
        break;
    case STEP_BLOCK:
        block_say(s, slot);
        break;
    case STEP_END:
        end_say(s, slot, file);
        break;
    case STEP_OVER:
        break;
    }
}

/* Put on the stream what is read and has room. */
static void feed(struct cn_sending *s)
{
    struct cn_feeding *f = &s->feeding;

    while (!s->finished && flush(f)) {
        struct cn_sending_slot *slot = slot_at(f, 0);

        if (f->file.gone_due) {
            f->file.gone_due = false;
            gone_say(f, CN_GONE_CHANGED);
        } else if (f->count == 0 || !slot->reading.job.is_done) {
            return;
        } else if (slot->is_stale || slot->step == STEP_OVER) {
            slot_release(s, slot);
        } else {
            slot_say(s, slot);
        }
    }
}

enum cn_err cn_feeding_begin(struct cn_sending *s)
{
    struct cn_feeding *f = &s->feeding;
    enum cn_err err = CN_OK;

    for (unsigned i = 0; err == CN_OK && i < CN_SENDING_SLOT_COUNT; i++)
        err = cn_reading_init(&f->slot[i].reading);
    if (err != CN_OK)
        return err;
    memset(f->slot[0].reading.bytes, 0, CN_BLOCK_SIZE);
    return cn_block_sum(cn_home_crypto(s->home), f->slot[0].reading.bytes, CN_BLOCK_SIZE,
                        f->zeros_sum);
}

void cn_feeding_process(struct cn_sending *s)
{
    do {
        feed(s);
    } while (!s->finished && read_ahead(s));
}

uint64_t cn_feeding_unsaid(const struct cn_sending *s)
{
    return s->feeding.head_end - s->feeding.head_begin + s->feeding.left;
}

bool cn_feeding_waits_for_source(const struct cn_sending *s)
{
    const struct cn_feeding *f = &s->feeding;

    return f->count > 0 && f->left == 0 && !f->slot[f->first].reading.job.is_done;
}

void cn_feeding_wipe(struct cn_sending *s)
{
    struct cn_feeding *f = &s->feeding;

    for (unsigned i = 0; i < CN_SENDING_SLOT_COUNT; i++)
        cn_reading_wipe(&f->slot[i].reading);
    cn_content_wipe(&f->file.content);
    cn_content_wipe(&f->file.before);
    for (uint32_t i = s->answered; s->files && i < s->told; i++)
        file_close(cn_sending_file_at(s, i));
}
