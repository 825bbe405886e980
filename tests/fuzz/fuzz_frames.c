/* A partner who says anything, to a program that does anything. The input is a script: an octet
 * says what is next, a record (u16 size, octets), or something that the program or the clock does.
 * The mux refuses it or stays within its limits. */
#include "fuzz.h"

#include "../unit/pairing.h"
#include "mux.h"
#include "reader.h"

enum { STEP_COUNT_MAX = 2000, PLAIN_SIZE_MAX = 2048 };

struct script {
    struct cn_reader r;
    struct cn_mux mux;
    uint8_t *plain; /* of the last record */
    uint64_t now_ms;
};

/* A record, in memory of exactly its size. False: the connection is over. */
static bool record(struct script *s)
{
    size_t size = cn_reader_u16be(&s->r) % PLAIN_SIZE_MAX;
    uint8_t *plain;

    if (size > s->r.left)
        size = s->r.left;
    plain = malloc(size + 1);
    if (!plain || cn_mux_settle(&s->mux) != CN_OK) {
        free(plain);
        return false;
    }
    cn_reader_copy(&s->r, plain, size);
    free(s->plain);
    s->plain = plain;
    return cn_mux_input(&s->mux, plain, size, s->now_ms) == CN_OK;
}

static void output(struct script *s)
{
    static struct cn_mux_record record;
    static uint8_t plain[CN_RECORD_SIZE_MAX];
    size_t size = 0;

    if (!cn_mux_output(&s->mux, s->now_ms, &record))
        return;
    must(record.piece_count > 0 && record.piece_count <= CN_MUX_PIECE_COUNT_MAX);
    for (size_t i = 0; i < record.piece_count; i++) {
        must(record.piece[i].size <= sizeof plain - size);
        memcpy(plain + size, record.piece[i].bytes, record.piece[i].size);
        size += record.piece[i].size;
    }
    must(record.wire_size <= CN_RECORD_SIZE_MAX && size + CN_RECORD_EXTRA_SIZE <= record.wire_size);
}

/* One that the program has not released; NULL: none. */
static struct cn_stream *pick(struct script *s)
{
    unsigned skip = cn_reader_u8(&s->r) % 8;

    for (struct cn_link *at = cn_list_first(&s->mux.all); at; at = cn_list_next(&s->mux.all, at)) {
        struct cn_stream *stream = CN_LIST_MEMBER(at, struct cn_stream, in_all);

        if (!stream->released && skip-- == 0)
            return stream;
    }
    return NULL;
}

static void program(struct script *s, uint8_t what)
{
    static const uint8_t zeros[65536];
    struct cn_stream *stream = pick(s);
    size_t size;

    if (!stream)
        return;
    switch (what % 7) {
    case 0:
        (void)cn_stream_write(stream, zeros, cn_reader_u16be(&s->r));
        break;
    case 1:
        for (const uint8_t *at = cn_stream_peek(stream, &size); at;
             at = cn_stream_peek(stream, &size))
            cn_stream_consume(stream, (size + 1) / 2);
        break;
    case 2:
        cn_stream_finish(stream);
        break;
    case 3:
        cn_stream_reset(stream, what);
        break;
    case 4:
        cn_stream_release(stream);
        break;
    case 5:
        cn_stream_set_priority(stream, what / 7 % CN_PRIORITY_COUNT);
        break;
    default:
        cn_stream_set_durable(stream, stream->rx.begin);
    }
}

static bool step(struct script *s)
{
    uint8_t what = cn_reader_u8(&s->r);
    struct cn_stream *stream;
    enum cn_event_type type;

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        return record(s);
    case 3:
        output(s);
        break;
    case 4:
        (void)!cn_mux_open(&s->mux, 1, NULL, 0, &stream);
        break;
    case 5:
        s->now_ms += what;
        while (cn_mux_next_event(&s->mux, &stream, &type))
            ;
        break;
    case 6:
        if (what == 6)
            cn_mux_finish(&s->mux);
        else if (what == 14)
            cn_mux_close(&s->mux, 6);
        else if (what == 22 && cn_mux_settle(&s->mux) == CN_OK)
            cn_mux_resume(&s->mux, s->now_ms);
        break;
    default:
        program(s, what / 8);
    }
    return true;
}

/* Within its limits, and what it counts is what its streams hold. */
static void check(const struct cn_mux *mux)
{
    uint64_t under_way = 0, extra = 0;
    uint32_t mine = 0, theirs = 0;

    for (struct cn_link *at = cn_list_first(&mux->all); at; at = cn_list_next(&mux->all, at)) {
        const struct cn_stream *s = CN_LIST_MEMBER(at, struct cn_stream, in_all);

        under_way += s->reset ? 0 : s->tx_sent - s->tx.begin;
        extra += s->rx_extra;
        mine += s->mine && !s->over;
        theirs += !s->mine && !s->over;
        if (mux->resume != CN_MUX_TALKING)
            continue;
        must(s->open_due || cn_list_has(&s->turn.link) ||
             (cn_stream_sendable(s) == 0 && !cn_stream_fin_due(s)));
        must(cn_list_has(&s->in_control) ||
             (!s->open_due && !s->reset_due && !s->rx_durable_due && !cn_stream_window_due(s)));
    }
    must(mux->flight.sent - mux->flight.delivered == under_way && mux->rx_extra == extra);
    must(mux->my_count == mine && mux->their_count == theirs);
    must(extra <= CN_MUX_EXTRA_SIZE_MAX && theirs <= CN_MUX_STREAM_COUNT_MAX);
    must(mux->rx_pool.used_size <= CN_MUX_RX_SIZE_MAX &&
         mux->tx_pool.used_size <= CN_MUX_TX_SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct script s;
    const struct cn_call_limits limits = cn_mux_limits();

    s = (struct script) { .r = { .at = in, .left = in_size }, .now_ms = 1000 };
    cn_mux_init(&s.mux, &heap, CN_ROLE_A);
    cn_mux_begin(&s.mux, &limits, s.now_ms);
    for (int i = 0; i < STEP_COUNT_MAX && s.r.left > 0 && step(&s); i++)
        check(&s.mux);
    cn_mux_wipe(&s.mux);
    free(s.plain);
    s.plain = NULL;
    return 0;
}
