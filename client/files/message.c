#include "message.h"

#include <string.h>

#include <cyphernet.h>

#include "reader.h"
#include "writer.h"

/* --- the control stream --------------------------------------------------------------------- */

enum { ENTRY_FIXED_SIZE = 4 + 1 + 4 + 8 + 8 + 8 + 4 + 8 + 2 };

size_t cn_message_entry_size(const struct cn_entry *entry)
{
    return CN_MESSAGE_HEAD_SIZE + ENTRY_FIXED_SIZE + entry->name_size + entry->target_size;
}

static void offer_encode(const struct cn_message *m, struct cn_writer *w)
{
    cn_writer_u32be(w, m->offer.file_count);
    cn_writer_u32be(w, m->offer.directory_count);
    cn_writer_u32be(w, m->offer.link_count);
    cn_writer_u64be(w, m->offer.size);
    cn_writer_u32be(w, m->offer.item_count);
}

static void item_encode(const struct cn_message *m, struct cn_writer *w)
{
    cn_writer_u8(w, (uint8_t)m->item.type);
    cn_writer_u32be(w, m->item.file_count);
    cn_writer_u64be(w, m->item.size);
    cn_writer_bytes(w, m->item.name, strlen(m->item.name));
}

static void entry_encode(const struct cn_message *m, struct cn_writer *w)
{
    const struct cn_entry *e = &m->entry.entry;

    cn_writer_u32be(w, m->entry.index);
    cn_writer_u8(w, (uint8_t)e->type);
    cn_writer_u32be(w, e->mode);
    cn_writer_u64be(w, e->size);
    cn_writer_u64be(w, e->filled);
    cn_writer_u64be(w, (uint64_t)e->mtime_s);
    cn_writer_u32be(w, e->mtime_ns);
    cn_writer_u64be(w, e->identity);
    cn_writer_u16be(w, (uint16_t)e->name_size);
    cn_writer_bytes(w, e->name, e->name_size);
    cn_writer_bytes(w, e->target, e->target_size);
}

static void end_encode(const struct cn_message *m, struct cn_writer *w)
{
    cn_writer_u32be(w, m->end_count);
}

static void accept_encode(const struct cn_message *m, struct cn_writer *w)
{
    cn_writer_u32be(w, m->accept.index);
    cn_writer_u8(w, (uint8_t)m->accept.how);
    cn_writer_u64be(w, m->accept.size);
    cn_writer_bytes(w, m->accept.sum, sizeof m->accept.sum);
}

static void result_encode(const struct cn_message *m, struct cn_writer *w)
{
    cn_writer_u32be(w, m->result.index);
    cn_writer_u8(w, m->result.outcome);
}

/* Each: false if a field has no meaning; what is missing or too much is judged afterwards. */

static bool offer_decode(struct cn_message *m, struct cn_reader *r)
{
    m->offer.file_count = cn_reader_u32be(r);
    m->offer.directory_count = cn_reader_u32be(r);
    m->offer.link_count = cn_reader_u32be(r);
    m->offer.size = cn_reader_u64be(r);
    m->offer.item_count = cn_reader_u32be(r);
    return true;
}

/* The next size octets as text; false: no room, or a NUL among them. */
static bool text_decode(struct cn_reader *r, size_t size, char *text, size_t room)
{
    if (size >= room)
        return false;
    cn_reader_copy(r, text, size);
    text[size] = '\0';
    return !memchr(text, '\0', size);
}

static bool type_decode(struct cn_reader *r, enum cn_entry_type *type)
{
    uint8_t octet = cn_reader_u8(r);

    *type = (enum cn_entry_type)octet;
    return octet >= CN_ENTRY_FILE && octet <= CN_ENTRY_LINK;
}

static bool item_decode(struct cn_message *m, struct cn_reader *r)
{
    if (!type_decode(r, &m->item.type))
        return false;
    m->item.file_count = cn_reader_u32be(r);
    m->item.size = cn_reader_u64be(r);
    return text_decode(r, r->left, m->item.name, sizeof m->item.name) && m->item.name[0];
}

/* Of a file. */
static bool size_makes_sense(const struct cn_entry *entry)
{
    if (entry->size == CN_MESSAGE_SIZE_UNKNOWN)
        return entry->filled == 0;
    return entry->size <= CN_MESSAGE_SIZE_MAX && entry->filled <= entry->size;
}

/* Whether the name may be made is not judged here: that is refused, not an offence. */
static bool entry_decode(struct cn_message *m, struct cn_reader *r)
{
    struct cn_message_entry *e = &m->entry;

    e->entry = (struct cn_entry) { .name = e->name };
    e->index = cn_reader_u32be(r);
    if (!type_decode(r, &e->entry.type))
        return false;
    e->entry.mode = cn_reader_u32be(r) & 0777;
    e->entry.size = cn_reader_u64be(r);
    e->entry.filled = cn_reader_u64be(r);
    e->entry.mtime_s = (int64_t)cn_reader_u64be(r);
    e->entry.mtime_ns = cn_reader_u32be(r);
    e->entry.identity = cn_reader_u64be(r);
    e->entry.name_size = cn_reader_u16be(r);
    if (!text_decode(r, e->entry.name_size, e->name, sizeof e->name))
        return false;
    e->entry.target_size = r->left;
    if (!text_decode(r, r->left, e->target, sizeof e->target) || e->entry.mtime_ns > 999999999)
        return false;
    if (e->entry.type == CN_ENTRY_LINK)
        e->entry.target = e->target;
    if (e->entry.type != CN_ENTRY_FILE)
        return e->entry.size == 0 && e->entry.filled == 0 &&
               (e->entry.type == CN_ENTRY_LINK) == (e->entry.target_size > 0);
    return e->entry.target_size == 0 && size_makes_sense(&e->entry);
}

static bool end_decode(struct cn_message *m, struct cn_reader *r)
{
    m->end_count = cn_reader_u32be(r);
    return true;
}

static bool accept_decode(struct cn_message *m, struct cn_reader *r)
{
    uint8_t how;

    m->accept.index = cn_reader_u32be(r);
    how = cn_reader_u8(r);
    m->accept.how = (enum cn_accept_how)how;
    m->accept.size = cn_reader_u64be(r);
    cn_reader_copy(r, m->accept.sum, sizeof m->accept.sum);
    return how < CN_ACCEPT_HOW_COUNT && m->accept.size <= CN_MESSAGE_SIZE_MAX &&
           (how == CN_ACCEPT_COMPARE || m->accept.size % CN_BLOCK_SIZE == 0);
}

static bool result_decode(struct cn_message *m, struct cn_reader *r)
{
    m->result.index = cn_reader_u32be(r);
    m->result.outcome = cn_reader_u8(r);
    return m->result.outcome < CN_TRANSFER_OUTCOME_COUNT;
}

static const struct {
    void (*encode)(const struct cn_message *, struct cn_writer *);
    bool (*decode)(struct cn_message *, struct cn_reader *);
} control_types[CN_MESSAGE_TYPE_END] = {
    [CN_MESSAGE_OFFER] = { offer_encode, offer_decode },
    [CN_MESSAGE_ITEM] = { item_encode, item_decode },
    [CN_MESSAGE_ENTRY] = { entry_encode, entry_decode },
    [CN_MESSAGE_END] = { end_encode, end_decode },
    [CN_MESSAGE_ACCEPT] = { accept_encode, accept_decode },
    [CN_MESSAGE_RESULT] = { result_encode, result_decode },
};

size_t cn_message_encode(const struct cn_message *message, uint8_t out[CN_MESSAGE_CONTROL_SIZE_MAX])
{
    struct cn_writer head = { .at = out, .left = CN_MESSAGE_HEAD_SIZE };
    struct cn_writer w = { .at = out + CN_MESSAGE_HEAD_SIZE,
                           .left = CN_MESSAGE_CONTROL_SIZE_MAX - CN_MESSAGE_HEAD_SIZE };

    control_types[message->type].encode(message, &w);
    cn_writer_u8(&head, (uint8_t)message->type);
    cn_writer_u32be(&head, (uint32_t)(w.at - out) - CN_MESSAGE_HEAD_SIZE);
    return (size_t)(w.at - out);
}

enum cn_err cn_message_head(const uint8_t head[CN_MESSAGE_HEAD_SIZE], uint8_t *type, size_t *size)
{
    struct cn_reader r = { .at = head, .left = CN_MESSAGE_HEAD_SIZE };
    uint8_t t = cn_reader_u8(&r);
    uint32_t s = cn_reader_u32be(&r);

    if (t < CN_MESSAGE_OFFER || t >= CN_MESSAGE_TYPE_END ||
        s > CN_MESSAGE_CONTROL_SIZE_MAX - CN_MESSAGE_HEAD_SIZE)
        return CN_E_FORMAT;
    *type = t;
    *size = s;
    return CN_OK;
}

enum cn_err cn_message_decode(struct cn_message *message, uint8_t type, const uint8_t *body,
                              size_t size)
{
    struct cn_reader r = { .at = body, .left = size };

    if (type < CN_MESSAGE_OFFER || type >= CN_MESSAGE_TYPE_END)
        return CN_E_FORMAT;
    message->type = (enum cn_message_type)type;
    return control_types[type].decode(message, &r) && cn_reader_done(&r) ? CN_OK : CN_E_FORMAT;
}

/* --- the data stream ------------------------------------------------------------------------ */

/* Octets of the body before those that follow. */
static const uint8_t data_fixed_size[CN_DATA_TYPE_END] = {
    [CN_DATA_BEGIN] = 4 + 8,
    [CN_DATA_PLAIN] = 0,
    [CN_DATA_PACKED] = 4,
    [CN_DATA_HOLE] = 4,
    [CN_DATA_BLOCK] = CN_SHA256_SIZE,
    [CN_DATA_DONE] = 8 + CN_SHA256_SIZE,
    [CN_DATA_GONE] = 1,
};

size_t cn_data_encode(const struct cn_data *data, uint8_t out[CN_DATA_HEAD_SIZE_MAX])
{
    struct cn_writer w = { .at = out, .left = CN_DATA_HEAD_SIZE_MAX };

    cn_writer_u8(&w, (uint8_t)data->type);
    cn_writer_u32be(&w, data_fixed_size[data->type] + cn_data_follows(data));
    switch (data->type) {
    case CN_DATA_BEGIN:
        cn_writer_u32be(&w, data->index);
        cn_writer_u64be(&w, data->offset);
        break;
    case CN_DATA_PACKED:
    case CN_DATA_HOLE:
        cn_writer_u32be(&w, data->size);
        break;
    case CN_DATA_BLOCK:
        cn_writer_bytes(&w, data->sum, sizeof data->sum);
        break;
    case CN_DATA_DONE:
        cn_writer_u64be(&w, data->final_size);
        cn_writer_bytes(&w, data->sum, sizeof data->sum);
        break;
    case CN_DATA_GONE:
        cn_writer_u8(&w, (uint8_t)data->code);
        break;
    case CN_DATA_PLAIN:
    case CN_DATA_TYPE_END:
        break;
    }
    return (size_t)(w.at - out);
}

/* Whether a body of this size can be of this type. */
static bool data_size_fits(uint8_t type, uint32_t size)
{
    uint32_t fixed = data_fixed_size[type];

    if (type == CN_DATA_PLAIN)
        return size > 0 && size <= CN_BLOCK_SIZE;
    if (type == CN_DATA_PACKED)
        return size > fixed && size <= fixed + CN_BLOCK_SIZE;
    return size == fixed;
}

static bool data_fields(struct cn_data *data, struct cn_reader *r, uint32_t size)
{
    uint8_t code;

    switch (data->type) {
    case CN_DATA_BEGIN:
        data->index = cn_reader_u32be(r);
        data->offset = cn_reader_u64be(r);
        return data->offset <= CN_MESSAGE_SIZE_MAX;
    case CN_DATA_PLAIN:
        data->size = size;
        return true;
    case CN_DATA_PACKED:
        data->packed_size = size - data_fixed_size[CN_DATA_PACKED];
        data->size = cn_reader_u32be(r);
        return data->size > 0 && data->size <= CN_BLOCK_SIZE;
    case CN_DATA_HOLE:
        data->size = cn_reader_u32be(r);
        return data->size > 0 && data->size <= CN_BLOCK_SIZE;
    case CN_DATA_BLOCK:
        cn_reader_copy(r, data->sum, sizeof data->sum);
        return true;
    case CN_DATA_DONE:
        data->final_size = cn_reader_u64be(r);
        cn_reader_copy(r, data->sum, sizeof data->sum);
        return data->final_size <= CN_MESSAGE_SIZE_MAX;
    case CN_DATA_GONE:
        code = cn_reader_u8(r);
        data->code = (enum cn_gone_code)code;
        return code < CN_GONE_CODE_COUNT;
    case CN_DATA_TYPE_END:
        break;
    }
    return false;
}

enum cn_err cn_data_decode(struct cn_data *data, size_t *used, const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };
    struct cn_data d = { 0 };
    uint8_t type = cn_reader_u8(&r);
    uint32_t size = cn_reader_u32be(&r);

    if (!cn_reader_ok(&r))
        return CN_E_MORE;
    if (type < CN_DATA_BEGIN || type >= CN_DATA_TYPE_END || !data_size_fits(type, size))
        return CN_E_FORMAT;
    if (r.left < data_fixed_size[type])
        return CN_E_MORE;
    d.type = (enum cn_data_type)type;
    if (!data_fields(&d, &r, size))
        return CN_E_FORMAT;
    *data = d;
    *used = (size_t)(r.at - in);
    return CN_OK;
}
