#include "transfer.h"

#include <string.h>

#include "reader.h"
#include "writer.h"

enum { HEAD_SIZE = 5 };

bool cn_transfer_name_valid(const char *name, size_t size)
{
    return size > 0 && size <= CN_TRANSFER_NAME_SIZE_MAX && !memchr(name, '/', size) &&
           !memchr(name, '\0', size) && !(size == 1 && name[0] == '.') &&
           !(size == 2 && name[0] == '.' && name[1] == '.');
}

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
    };

    return texts[outcome];
}

static void body_encode(const struct cn_transfer_message *m, struct cn_writer *w)
{
    cn_writer_u32be(w, m->index);
    switch (m->type) {
    case CN_TRANSFER_FILE:
        cn_writer_u64be(w, m->size);
        cn_writer_u32be(w, m->mode);
        cn_writer_u64be(w, (uint64_t)m->mtime_s);
        cn_writer_u32be(w, m->mtime_ns);
        cn_writer_bytes(w, m->name, strlen(m->name));
        break;
    case CN_TRANSFER_SUM:
        cn_writer_bytes(w, m->sum, sizeof m->sum);
        break;
    case CN_TRANSFER_RESULT:
        cn_writer_u8(w, (uint8_t)m->outcome);
        break;
    case CN_TRANSFER_END:
    case CN_TRANSFER_ACCEPT:
        break;
    }
}

bool cn_control_flush(struct cn_control *control)
{
    control->out_begin += cn_stream_write(control->stream, control->out + control->out_begin,
                                          control->out_end - control->out_begin);
    return control->out_begin == control->out_end;
}

bool cn_control_put(struct cn_control *control, const struct cn_transfer_message *message)
{
    struct cn_writer w = { .at = control->out + HEAD_SIZE,
                           .left = sizeof control->out - HEAD_SIZE };
    struct cn_writer head = { .at = control->out, .left = HEAD_SIZE };

    if (!cn_control_flush(control))
        return false;
    body_encode(message, &w);
    cn_writer_u8(&head, (uint8_t)message->type);
    cn_writer_u32be(&head, (uint32_t)(w.at - control->out - HEAD_SIZE));
    control->out_begin = 0;
    control->out_end = (size_t)(w.at - control->out);
    (void)cn_control_flush(control);
    return true;
}

static bool body_decode(struct cn_transfer_message *m, struct cn_reader *r)
{
    uint8_t outcome;
    size_t size;

    m->index = cn_reader_u32be(r);
    switch (m->type) {
    case CN_TRANSFER_FILE:
        m->size = cn_reader_u64be(r);
        m->mode = cn_reader_u32be(r);
        m->mtime_s = (int64_t)cn_reader_u64be(r);
        m->mtime_ns = cn_reader_u32be(r);
        size = r->left;
        if (!cn_reader_ok(r) || size > CN_TRANSFER_NAME_SIZE_MAX || m->size > INT64_MAX ||
            m->mtime_ns > 999999999)
            return false;
        cn_reader_copy(r, m->name, size);
        return memchr(m->name, '\0', size) == NULL;
    case CN_TRANSFER_SUM:
        cn_reader_copy(r, m->sum, sizeof m->sum);
        break;
    case CN_TRANSFER_RESULT:
        outcome = cn_reader_u8(r);
        if (outcome >= CN_TRANSFER_OUTCOME_COUNT)
            return false;
        m->outcome = (enum cn_transfer_outcome)outcome;
        break;
    case CN_TRANSFER_END:
    case CN_TRANSFER_ACCEPT:
        break;
    }
    return cn_reader_done(r);
}

/* Have at least size octets in in. */
static bool have(struct cn_control *control, size_t size)
{
    if (control->in_size < size)
        control->in_size += cn_stream_read(control->stream, control->in + control->in_size,
                                           size - control->in_size);
    return control->in_size >= size;
}

enum cn_err cn_control_take(struct cn_control *control, struct cn_transfer_message *message)
{
    struct cn_transfer_message m = { 0 };
    struct cn_reader r = { .at = control->in, .left = HEAD_SIZE };
    uint8_t type;
    size_t size;

    if (!have(control, HEAD_SIZE))
        return CN_E_MORE;
    type = cn_reader_u8(&r);
    size = cn_reader_u32be(&r);
    if (type < CN_TRANSFER_FILE || type > CN_TRANSFER_RESULT ||
        size > sizeof control->in - HEAD_SIZE)
        return CN_E_FORMAT;
    if (!have(control, HEAD_SIZE + size))
        return CN_E_MORE;
    m.type = (enum cn_transfer_type)type;
    r.left = size;
    control->in_size = 0;
    if (!body_decode(&m, &r))
        return CN_E_FORMAT;
    *message = m;
    return CN_OK;
}
