/* session_keys.c - fresh keys of an open session: the records that rehandshake.h is about.
 * PROTOCOL.md 6.7 */
#include "session_inside.h"

#include <string.h>

#include "reader.h"
#include "writer.h"

static void rehandshake_look_done(struct cn_session *s, uint64_t now_ms)
{
    if (!cn_rehandshake_is_done(&s->rehandshake))
        return;
    s->keys.chain = s->rehandshake.keys.chain;
    memcpy(s->keys.call_id, s->rehandshake.keys.call_id, sizeof s->keys.call_id);
    cn_rehandshake_done(&s->rehandshake, now_ms);
}

static enum cn_err send_frame(struct cn_session *s, enum cn_frame_type type, const uint8_t *bytes,
                              size_t size)
{
    uint8_t plain[CN_FRAME_HEAD_SIZE + CN_PROLOGUE_SIZE];
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    struct cn_piece piece = { plain, 0 };

    cn_frame_encode(&(struct cn_frame) { .type = type, .bytes = bytes, .size = size }, &w);
    piece.size = sizeof plain - w.left;
    return cn_session_send_record(s, &piece, 1, cn_record_wire_size(piece.size));
}

enum cn_err cn_session_keys_say(struct cn_session *s, uint64_t now_ms)
{
    struct cn_rehandshake *re = &s->rehandshake;
    const struct cn_handshake_setup before = cn_session_handshake_setup(s, s->joined);
    const uint8_t *message = NULL;
    size_t size = 0;
    enum cn_err err = CN_OK;

    if (s->mux->close_sent || !cn_session_out_takes_records(s))
        return CN_OK;
    if (cn_rehandshake_is_due(re, now_ms))
        err = cn_rehandshake_begin(re, &(struct cn_rehandshake_setup) { &before, &s->keys });
    if (err != CN_OK)
        return err;
    switch (cn_rehandshake_next(re, now_ms, &message, &size)) {
    case CN_REHANDSHAKE_NOTHING:
        return CN_OK;
    case CN_REHANDSHAKE_PROLOGUE:
    case CN_REHANDSHAKE_ANSWER:
        return send_frame(s, CN_FRAME_REHANDSHAKE, message, size);
    case CN_REHANDSHAKE_SWITCH:
        err = send_frame(s, CN_FRAME_SWITCH, NULL, 0);
        if (err == CN_OK)
            err = cn_session_send_keys(s, &re->keys);
        rehandshake_look_done(s, now_ms);
        return err;
    }
    return CN_OK;
}

bool cn_session_keys_are(const uint8_t *plain, size_t size)
{
    return size > 0 && (plain[0] == CN_FRAME_REHANDSHAKE || plain[0] == CN_FRAME_SWITCH);
}

enum cn_err cn_session_keys_take(struct cn_session *s, const uint8_t *plain, size_t size,
                                 uint64_t now_ms)
{
    const struct cn_handshake_setup before = cn_session_handshake_setup(s, s->joined);
    struct cn_reader r = { .at = plain, .left = size };
    struct cn_frame frame;
    struct cn_frame padding = { .type = CN_FRAME_TYPE_COUNT };
    enum cn_err err = cn_frame_decode(&frame, &r);

    if (err == CN_OK)
        err = cn_frame_decode(&padding, &r);
    if (err != CN_OK || padding.type != CN_FRAME_PADDING)
        return CN_E_FORMAT;
    if (s->mux->close_received)
        return CN_E_UNEXPECTED;
    s->mux->heard_ms = now_ms;
    if (frame.type == CN_FRAME_REHANDSHAKE)
        return cn_rehandshake_take(&s->rehandshake,
                                   &(struct cn_rehandshake_setup) { &before, &s->keys },
                                   frame.bytes, frame.size, now_ms);
    err = cn_rehandshake_take_switch(&s->rehandshake);
    return err == CN_OK ? cn_session_receive_keys(s, &s->rehandshake.keys) : err;
}

enum cn_err cn_session_keys_take_finish(struct cn_session *s, const uint8_t *plain, size_t size,
                                        uint64_t now_ms)
{
    if (size < CN_FINISH_SIZE)
        return CN_E_FORMAT;
    if (!cn_equal_ct(plain, s->rehandshake.keys.finish_receive, CN_FINISH_SIZE))
        return CN_E_AUTH;
    s->rehandshake.receive_finished = true;
    rehandshake_look_done(s, now_ms);
    return CN_OK;
}
