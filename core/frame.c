#include "frame.h"

#include <assert.h>

/* What the body of each type is. */
enum body { NO_SUCH = 0, NOTHING, OFFSET, CODE, KIND_AND_BYTES, OFFSET_AND_BYTES, ANY };

enum whose { OF_STREAM = 0, OF_CALL, OF_EITHER };

static const struct {
    enum body body;
    enum whose whose; /* OF_CALL: stream 0 */
} types[CN_FRAME_TYPE_COUNT] = {
    [CN_FRAME_OPEN] = { KIND_AND_BYTES, OF_STREAM },
    [CN_FRAME_DATA] = { OFFSET_AND_BYTES, OF_STREAM },
    [CN_FRAME_RECEIVED] = { OFFSET, OF_STREAM },
    [CN_FRAME_DURABLE] = { OFFSET, OF_STREAM },
    [CN_FRAME_WINDOW] = { OFFSET, OF_STREAM },
    [CN_FRAME_FIN] = { OFFSET, OF_STREAM },
    [CN_FRAME_RESET] = { CODE, OF_STREAM },
    [CN_FRAME_PING] = { OFFSET, OF_CALL },
    [CN_FRAME_PONG] = { OFFSET, OF_CALL },
    [CN_FRAME_REHANDSHAKE] = { ANY, OF_CALL },
    [CN_FRAME_SWITCH] = { NOTHING, OF_CALL },
    [CN_FRAME_RESUME] = { ANY, OF_EITHER },
    [CN_FRAME_CLOSE] = { CODE, OF_CALL },
};

static size_t fixed_size(enum body body)
{
    static const size_t sizes[] = {
        [NO_SUCH] = 0,        [NOTHING] = 0,          [OFFSET] = 8, [CODE] = 4,
        [KIND_AND_BYTES] = 1, [OFFSET_AND_BYTES] = 8, [ANY] = 0,
    };

    return sizes[body];
}

static bool has_bytes(enum body body)
{
    return body == KIND_AND_BYTES || body == OFFSET_AND_BYTES || body == ANY;
}

void cn_frame_encode(const struct cn_frame *frame, struct cn_writer *w)
{
    enum body body = types[frame->type].body;

    assert(body != NO_SUCH && fixed_size(body) + frame->size <= UINT16_MAX);
    cn_writer_u8(w, (uint8_t)frame->type);
    cn_writer_u8(w, 0);
    cn_writer_u16be(w, (uint16_t)(fixed_size(body) + frame->size));
    cn_writer_u32be(w, frame->stream);
    if (body == OFFSET || body == OFFSET_AND_BYTES)
        cn_writer_u64be(w, frame->offset);
    if (body == CODE)
        cn_writer_u32be(w, frame->code);
    if (body == KIND_AND_BYTES)
        cn_writer_u8(w, frame->kind);
    if (has_bytes(body) && frame->type != CN_FRAME_DATA)
        cn_writer_bytes(w, frame->bytes, frame->size);
}

static bool stream_fits(enum cn_frame_type type, uint32_t stream)
{
    enum whose whose = types[type].whose;

    return whose == OF_EITHER || (whose == OF_CALL) == (stream == 0);
}

static bool body_fits(enum cn_frame_type type, size_t size)
{
    enum body body = types[type].body;

    if (type == CN_FRAME_DATA)
        return size > fixed_size(body);
    if (type == CN_FRAME_OPEN)
        return size >= fixed_size(body) && size <= fixed_size(body) + CN_FRAME_PARAMETERS_SIZE_MAX;
    return has_bytes(body) || size == fixed_size(body);
}

enum cn_err cn_frame_decode(struct cn_frame *frame, struct cn_reader *r)
{
    struct cn_frame f = { .type = CN_FRAME_PADDING };
    uint8_t type, zero;
    size_t size;
    enum body body;

    if (r->left == 0 || r->at[0] == CN_FRAME_PADDING) {
        *frame = f;
        return CN_OK;
    }
    type = cn_reader_u8(r);
    zero = cn_reader_u8(r);
    size = cn_reader_u16be(r);
    f.stream = cn_reader_u32be(r);
    if (!cn_reader_ok(r) || type >= CN_FRAME_TYPE_COUNT || zero != 0 || size > r->left)
        return CN_E_FORMAT;
    f.type = (enum cn_frame_type)type;
    body = types[type].body;
    if (!stream_fits(f.type, f.stream) || !body_fits(f.type, size))
        return CN_E_FORMAT;
    if (body == OFFSET || body == OFFSET_AND_BYTES)
        f.offset = cn_reader_u64be(r);
    if (body == CODE)
        f.code = cn_reader_u32be(r);
    if (body == KIND_AND_BYTES)
        f.kind = cn_reader_u8(r);
    f.size = size - fixed_size(body);
    f.bytes = cn_reader_take(r, f.size);
    assert(cn_reader_ok(r));
    *frame = f;
    return CN_OK;
}
