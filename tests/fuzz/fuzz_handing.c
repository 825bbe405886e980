/* A partner who says anything on the streams that carry the cards of another identity. The input is
 * a script: its first octet says what becomes of a card that comes, and each after it what is next,
 * a record (u16 size, octets) or a card that is good. A card is only ever taken whole and once in
 * each direction, and when its time is over no stream is left. */
#include "fuzz.h"

#include "../unit/pairing.h"
#include "frame.h"
#include "handing.h"
#include "reader.h"
#include "rotation.h"

enum { STEP_COUNT_MAX = 200, PLAIN_SIZE_MAX = 4096 };

struct script {
    struct cn_reader r;
    struct cn_mux mux;
    struct cn_handing handing;
    struct cn_card card; /* a good one */
    bool due;            /* one of ours is to be handed over */
    enum cn_err outcome; /* of keeping one */
    unsigned taken, answered, held;
    uint64_t now_ms;
};

static struct script s;

/* --- what the files would say --------------------------------------------------------------- */

const struct cn_crypto *cn_home_crypto(const struct cn_home *home)
{
    (void)home;
    return fuzz_crypto();
}

enum cn_err cn_rotation_opened(struct cn_home *home, const char *name, const struct cn_pair *pair,
                               bool *moved, struct cn_card *card, bool *due)
{
    (void)home, (void)name, (void)pair;
    *moved = false;
    *due = s.due;
    *card = s.card;
    return CN_OK;
}

static void whole(const struct cn_card *card)
{
    struct cn_card again;

    must(cn_card_decode(&again, fuzz_crypto(), card->body, card->body_size) == CN_OK);
    cn_card_wipe(&again);
}

enum cn_err cn_rotation_take(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs, struct cn_card *mine)
{
    (void)home, (void)name, (void)pair;
    whole(theirs);
    must(s.taken++ == 0);
    if (s.outcome == CN_OK)
        *mine = s.card;
    return s.outcome;
}

enum cn_err cn_rotation_answered(struct cn_home *home, const char *name, const struct cn_pair *pair,
                                 const struct cn_card *mine, const struct cn_card *theirs)
{
    (void)home, (void)name, (void)pair, (void)mine;
    whole(theirs);
    must(s.due && s.answered++ == 0);
    return s.outcome;
}

enum cn_err cn_rotation_held(struct cn_home *home, const char *name, const struct cn_pair *pair,
                             const struct cn_card *theirs)
{
    (void)home, (void)name, (void)pair;
    whole(theirs);
    must(s.taken == 1 && s.outcome == CN_OK && s.held++ == 0);
    return s.outcome;
}

/* --- what the partner says ------------------------------------------------------------------ */

/* In memory of exactly its size. False: the connection is over. */
static bool record(const uint8_t *octets, size_t size)
{
    uint8_t *plain = malloc(size + 1);
    bool good = plain && cn_mux_settle(&s.mux) == CN_OK;

    if (good) {
        memcpy(plain, octets, size);
        good =
            cn_mux_input(&s.mux, plain, size, s.now_ms) == CN_OK && cn_mux_settle(&s.mux) == CN_OK;
    }
    free(plain);
    return good;
}

static bool raw(void)
{
    uint8_t plain[PLAIN_SIZE_MAX];
    size_t size = cn_reader_u16be(&s.r) % PLAIN_SIZE_MAX;

    if (size > s.r.left)
        size = s.r.left;
    cn_reader_copy(&s.r, plain, size);
    return record(plain, size);
}

/* On its own stream, or as the answer on ours: both ends count theirs by twos. */
static bool good_card(bool answers, bool opens, bool ends)
{
    uint8_t plain[PLAIN_SIZE_MAX];
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    const uint32_t stream = answers ? 1 : 2;
    const size_t size = 2 + s.card.body_size;

    if (opens)
        cn_frame_encode(
            &(struct cn_frame) { .type = CN_FRAME_OPEN, .stream = stream, .kind = CN_HANDING_KIND },
            &w);
    cn_frame_encode(&(struct cn_frame) { .type = CN_FRAME_DATA, .stream = stream, .size = size },
                    &w);
    cn_writer_u16be(&w, (uint16_t)s.card.body_size);
    cn_writer_bytes(&w, s.card.body, s.card.body_size);
    if (ends)
        cn_frame_encode(
            &(struct cn_frame) { .type = CN_FRAME_FIN, .stream = stream, .offset = size }, &w);
    return record(plain, sizeof plain - w.left);
}

static void events(void)
{
    struct cn_stream *stream;
    enum cn_event_type type;

    while (cn_mux_next_event(&s.mux, &stream, &type)) {
        if (!cn_handing_take(&s.handing, stream, type, s.now_ms) && type == CN_EVENT_STREAM)
            cn_stream_release(stream);
    }
}

static void output(void)
{
    static struct cn_mux_record out;

    for (int i = 0; i < 8 && cn_mux_output(&s.mux, s.now_ms, &out); i++) {
        if (cn_mux_settle(&s.mux) != CN_OK)
            return;
    }
}

static bool step(void)
{
    uint8_t what = cn_reader_u8(&s.r);

    switch (what % 8) {
    case 0:
    case 1:
        return raw();
    case 2:
        return good_card(what & 8, what & 16, what & 32);
    case 3:
        output();
        return true;
    case 4:
        s.now_ms += what * 256;
        cn_handing_step(&s.handing, s.now_ms);
        return true;
    default:
        events();
        return true;
    }
}

static void make_card(void)
{
    static struct subscriber two[2];
    static const enum cn_kem kinds[2] = { CN_KEM_X25519, CN_KEM_X25519 };
    uint64_t seed = 1;
    const struct cn_random random = { seeded_fill, &seed };

    if (two[0].card.body_size == 0)
        pairing_make(two, fuzz_crypto(), &random, kinds, 0);
    s.card = two[0].card;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static const enum cn_err outcomes[] = { CN_OK, CN_E_AUTH, CN_E_SYSTEM, CN_E_ABSENT };
    const struct cn_call_limits limits = cn_mux_limits();
    uint8_t first = in_size > 0 ? in[0] : 0;

    s = (struct script) { .r = { .at = in, .left = in_size },
                          .due = first & 4,
                          .outcome = outcomes[first & 3],
                          .now_ms = 1000 };
    (void)cn_reader_u8(&s.r);
    make_card();
    cn_mux_init(&s.mux, &heap, CN_ROLE_A);
    cn_mux_begin(&s.mux, &limits, s.now_ms);
    cn_handing_begin(&s.handing, NULL, &s.mux, "partner", NULL, s.now_ms);
    for (int i = 0; i < STEP_COUNT_MAX && s.r.left > 0 && step(); i++)
        must(s.handing.mine.in_size <= CN_HANDING_SIZE_MAX &&
             s.handing.theirs.in_size <= CN_HANDING_SIZE_MAX);
    s.now_ms += CN_HANDING_TIMEOUT_MS;
    cn_handing_step(&s.handing, s.now_ms);
    must(!s.handing.mine.stream && !s.handing.theirs.stream);
    must(cn_handing_due_ms(&s.handing) == UINT64_MAX);
    cn_handing_wipe(&s.handing);
    cn_mux_wipe(&s.mux);
    return 0;
}
