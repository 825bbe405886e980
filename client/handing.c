#include "handing.h"

#include <string.h>

#include "reader.h"
#include "rotation.h"
#include "writer.h"

/* --- one stream ----------------------------------------------------------------------------- */

static void handed_end(struct cn_handed *handed, uint32_t code)
{
    if (cn_stream_state(handed->stream) != CN_STREAM_RESET && code != CN_HANDING_GIVEN_UP)
        cn_stream_reset(handed->stream, code);
    cn_stream_release(handed->stream);
    handed->stream = NULL;
}

static void handed_begin(struct cn_handed *handed, struct cn_stream *stream, uint64_t now_ms)
{
    handed->stream = stream;
    handed->until_ms = now_ms + CN_HANDING_TIMEOUT_MS;
    cn_stream_set_priority(stream, CN_PRIORITY_INTERACTIVE);
}

static bool send_card(struct cn_handed *handed, const struct cn_card *card)
{
    uint8_t out[CN_HANDING_SIZE_MAX];
    struct cn_writer w = { .at = out, .left = sizeof out };
    size_t size;
    bool sent;

    cn_writer_u16be(&w, (uint16_t)card->body_size);
    cn_writer_bytes(&w, card->body, card->body_size);
    size = sizeof out - w.left;
    sent = cn_stream_write(handed->stream, out, size) == size; /* a first window holds it */
    cn_wipe(out, sizeof out);
    return sent;
}

/* What has come so far. CN_E_MORE: the card is not whole; CN_E_FORMAT: no card could begin so. */
static enum cn_err receive_card(const struct cn_handing *h, struct cn_handed *handed,
                                struct cn_card *card)
{
    struct cn_reader r = { .at = handed->in };
    size_t size;

    handed->in_size += cn_stream_read(handed->stream, handed->in + handed->in_size,
                                      sizeof handed->in - handed->in_size);
    r.left = handed->in_size;
    size = cn_reader_u16be(&r);
    if (handed->in_size < 2)
        return CN_E_MORE;
    if (size > CN_CARD_BODY_SIZE_MAX || handed->in_size > 2 + size)
        return CN_E_FORMAT;
    if (handed->in_size < 2 + size)
        return CN_E_MORE;
    return cn_card_decode(card, cn_home_crypto(h->home), handed->in + 2, size);
}

/* Nothing more comes. */
static bool is_over(const struct cn_handed *handed)
{
    return cn_stream_state(handed->stream) != CN_STREAM_OPEN;
}

/* Why, if it was not whole. */
static enum cn_err cut_why(const struct cn_handed *handed)
{
    if (cn_stream_state(handed->stream) == CN_STREAM_ENDED)
        return CN_E_FORMAT;
    return cn_stream_reset_code(handed->stream) == CN_HANDING_GIVEN_UP ? CN_E_CANCELLED
                                                                       : CN_E_REFUSED;
}

static void tell(struct cn_handing *h, enum cn_err err)
{
    h->news = true;
    h->err = err;
}

/* --- mine ----------------------------------------------------------------------------------- */

static void mine_begin(struct cn_handing *h, uint64_t now_ms)
{
    struct cn_stream *stream;

    if (cn_mux_open(h->mux, CN_HANDING_KIND, NULL, 0, &stream) != CN_OK)
        return;
    handed_begin(&h->mine, stream, now_ms);
    if (!send_card(&h->mine, &h->mine.card))
        handed_end(&h->mine, CN_HANDING_FAILED);
}

static void mine_look(struct cn_handing *h)
{
    struct cn_card theirs;
    enum cn_err err = receive_card(h, &h->mine, &theirs);

    if (err == CN_OK)
        err = cn_rotation_answered(h->home, h->contact, h->pair, &h->mine.card, &theirs);
    cn_card_wipe(&theirs);
    if (err == CN_E_MORE && !is_over(&h->mine))
        return;
    if (err == CN_OK) {
        cn_stream_finish(h->mine.stream);
        h->mine.taken = true;
        tell(h, CN_OK);
        return;
    }
    if (err == CN_E_MORE)
        err = cut_why(&h->mine);
    if (err != CN_E_CANCELLED && err != CN_E_ABSENT) /* it is made up for in the next call */
        tell(h, err);
    handed_end(&h->mine, cn_err_blame(err) == CN_BLAME_PEER ? CN_HANDING_BAD : CN_HANDING_FAILED);
}

/* --- theirs --------------------------------------------------------------------------------- */

static void theirs_begin(struct cn_handing *h, struct cn_stream *stream, uint64_t now_ms)
{
    if (h->theirs_began) {
        cn_stream_release(stream);
        return;
    }
    h->theirs_began = true;
    handed_begin(&h->theirs, stream, now_ms);
}

static void theirs_answer(struct cn_handing *h)
{
    struct cn_card mine = { 0 };
    enum cn_err err = receive_card(h, &h->theirs, &h->theirs.card);

    if (err == CN_E_MORE && !is_over(&h->theirs))
        return;
    if (err == CN_E_MORE)
        err = cut_why(&h->theirs);
    if (err == CN_OK)
        err = cn_rotation_take(h->home, h->contact, h->pair, &h->theirs.card, &mine);
    if (err == CN_OK && !send_card(&h->theirs, &mine))
        err = CN_E_MEMORY;
    cn_card_wipe(&mine);
    if (err == CN_OK) {
        cn_stream_finish(h->theirs.stream);
        h->theirs.taken = true;
        return;
    }
    if (err != CN_E_CANCELLED && err != CN_E_ABSENT)
        tell(h, err);
    handed_end(&h->theirs, cn_err_blame(err) == CN_BLAME_PEER ? CN_HANDING_BAD : CN_HANDING_FAILED);
}

/* Behind the card nothing may come but the end. */
static void theirs_end(struct cn_handing *h)
{
    size_t size;
    enum cn_err err;

    if (cn_stream_peek(h->theirs.stream, &size) && size > 0) {
        handed_end(&h->theirs, CN_HANDING_BAD);
    } else if (cn_stream_state(h->theirs.stream) == CN_STREAM_ENDED) {
        err = cn_rotation_held(h->home, h->contact, h->pair, &h->theirs.card);
        if (err != CN_E_ABSENT)
            tell(h, err);
        handed_end(&h->theirs, CN_HANDING_GIVEN_UP);
    } else if (is_over(&h->theirs)) {
        handed_end(&h->theirs, CN_HANDING_GIVEN_UP);
    }
}

/* --- both ----------------------------------------------------------------------------------- */

void cn_handing_begin(struct cn_handing *handing, struct cn_home *home, struct cn_mux *mux,
                      const char *contact, const struct cn_pair *pair, uint64_t now_ms)
{
    bool moved, due;
    enum cn_err err;

    *handing = (struct cn_handing) { .home = home, .mux = mux, .contact = contact, .pair = pair };
    err = cn_rotation_opened(home, contact, pair, &moved, &handing->mine.card, &due);
    if (moved || (err != CN_OK && err != CN_E_ABSENT))
        tell(handing, err);
    if (due)
        mine_begin(handing, now_ms);
}

void cn_handing_wipe(struct cn_handing *handing)
{
    cn_wipe(handing, sizeof *handing); /* streams go with the mux */
}

bool cn_handing_take(struct cn_handing *handing, struct cn_stream *stream, enum cn_event_type type,
                     uint64_t now_ms)
{
    if (cn_stream_kind(stream) != CN_HANDING_KIND)
        return false;
    if (type == CN_EVENT_STREAM)
        theirs_begin(handing, stream, now_ms);
    if (type != CN_EVENT_READABLE)
        return true;
    if (stream == handing->mine.stream && !handing->mine.taken)
        mine_look(handing);
    else if (stream == handing->theirs.stream && !handing->theirs.taken)
        theirs_answer(handing);
    if (stream == handing->theirs.stream && handing->theirs.taken)
        theirs_end(handing);
    if (stream == handing->mine.stream && handing->mine.taken && is_over(&handing->mine))
        handed_end(&handing->mine, CN_HANDING_GIVEN_UP);
    return true;
}

void cn_handing_step(struct cn_handing *handing, uint64_t now_ms)
{
    if (handing->mine.stream && now_ms >= handing->mine.until_ms)
        handed_end(&handing->mine, CN_HANDING_GIVEN_UP);
    if (handing->theirs.stream && now_ms >= handing->theirs.until_ms)
        handed_end(&handing->theirs, CN_HANDING_GIVEN_UP);
}

uint64_t cn_handing_due_ms(const struct cn_handing *handing)
{
    uint64_t due = UINT64_MAX;

    if (handing->mine.stream)
        due = handing->mine.until_ms;
    if (handing->theirs.stream && handing->theirs.until_ms < due)
        due = handing->theirs.until_ms;
    return due;
}
