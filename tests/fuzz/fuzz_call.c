/* A partner who has shaken hands and holds the keys: its records are sealed as they should be, and
 * hold anything. The input is a script of what happens between two ends: an octet says what is
 * next, a record of the partner's (u16 size, octets), octets on the line, what an honest one says,
 * the clock, fresh keys. Nothing but what was said wrongly ends a call. */
#include "serving.h"

#include "mux.h"
#include "reader.h"

enum { STEP_COUNT_MAX = 400, PLAIN_SIZE_MAX = 2048, IDLE_ROUNDS = 8 };

struct side {
    struct served served;
    struct cn_want want;
    struct cn_mux mux;
    struct cn_stream *stream; /* of its program */
};

static struct side me, partner;
static struct cn_session my_shaken, partner_shaken; /* as the handshake left them */
static uint8_t partner_finish[CN_RECORD_SIZE_MAX];
static size_t partner_finish_size;
static bool lied; /* the partner or the line, since the call was opened */

static void side_start(struct side *s, const struct subscriber *who)
{
    s->want = (struct cn_want) { .pair = &who->pair,
                                 .identity = &who->identity,
                                 .service = CN_SERVICE_TALK };
    s->stream = NULL;
    serving_start(&s->served, &s->want);
    serving_admit(&s->served);
    serving_join(&s->served);
    (void)serving_heard(&s->served); /* READY */
}

static void side_wipe(struct side *s)
{
    cn_mux_wipe(&s->mux);
    cn_session_wipe(&s->served.session);
}

static bool is_open(const struct side *s)
{
    return s->served.session.state == CN_SESSION_OPEN;
}

/* All that one end has to say goes to the other. */
static void speak(struct side *from, struct side *to)
{
    static uint8_t said[CN_SESSION_OUT_SIZE];
    size_t size;
    const uint8_t *out = cn_session_output(&from->served.session, &size, now);

    memcpy(said, out, size);
    cn_session_sent(&from->served.session, size);
    serving_tell(&to->served, said, size);
}

/* Once: to where each has the other's F2. What is done here with every input would be nearly all
 * that is done. */
static void handshake(void)
{
    const uint8_t *said;
    size_t size;

    if (partner_finish_size > 0)
        return;
    side_start(&me, &two[0]);
    side_start(&partner, &two[1]);
    speak(&partner, &me); /* F1 */
    speak(&me, &partner); /* F1, F2 */
    said = cn_session_output(&partner.served.session, &size, now);
    must(size > CN_ANSWER_SIZE && size - CN_ANSWER_SIZE <= sizeof partner_finish);
    partner_finish_size = size - CN_ANSWER_SIZE;
    memcpy(partner_finish, said + CN_ANSWER_SIZE, partner_finish_size);
    serving_tell(&me.served, said, CN_ANSWER_SIZE);
    cn_session_sent(&partner.served.session, size);
    must(me.served.session.state == CN_SESSION_FINISH);
    must(partner.served.session.state == CN_SESSION_FINISH);
    my_shaken = me.served.session;
    partner_shaken = partner.served.session;
}

/* The same keys in a context of its own. */
static void record_again(struct cn_record *record)
{
    const uint64_t counter = record->counter;
    const struct cn_traffic_secret secret = record->secret;

    must(cn_record_init(record, fuzz_crypto(), record->suite, &secret, record->role,
                        record->seals) == CN_OK);
    record->counter = counter;
}

static void side_again(struct side *s, const struct subscriber *who,
                       const struct cn_session *shaken)
{
    s->served.session = *shaken;
    s->stream = NULL;
    record_again(&s->served.session.send);
    record_again(&s->served.session.receive);
    cn_mux_init(&s->mux, &heap, who->pair.role);
}

static void open_call(void)
{
    serving_tell(&me.served, partner_finish, partner_finish_size);
    speak(&me, &partner); /* Finish */
    must(is_open(&me) && is_open(&partner));
    cn_session_carry(&me.served.session, &me.mux, now);
    cn_session_carry(&partner.served.session, &partner.mux, now);
    lied = false;
}

/* Sealed under the key of the partner's next record. */
static void lie(const uint8_t *plain, size_t size)
{
    static uint8_t wire[CN_RECORD_SIZE_MAX];
    const struct cn_piece piece = { plain, size };
    size_t wire_size = cn_record_wire_size(size);

    if (partner.served.session.state >= CN_SESSION_CLOSED)
        return;
    lied = true;
    must(cn_record_seal(&partner.served.session.send, &piece, 1, wire_size, wire) == CN_OK);
    serving_tell(&me.served, wire, wire_size);
}

/* In memory of exactly its size; sealed, or as it is. */
static void octets(struct cn_reader *r, bool sealed)
{
    size_t size = cn_reader_u16be(r) % PLAIN_SIZE_MAX;
    uint8_t *plain;

    if (size > r->left)
        size = r->left;
    plain = malloc(size + 1);
    must(plain != NULL);
    cn_reader_copy(r, plain, size);
    if (sealed) {
        lie(plain, size);
    } else if (size > 0) {
        lied = true;
        serving_tell(&me.served, plain, size);
    }
    free(plain);
}

/* What comes in is thrown away. */
static void program(struct side *s, uint8_t what)
{
    static const uint8_t zeros[5000];
    struct cn_stream *stream;
    enum cn_event_type type;
    size_t size;

    if (!is_open(s))
        return;
    while (cn_mux_next_event(&s->mux, &stream, &type))
        ;
    if (what == 0 && !s->stream)
        (void)!cn_mux_open(&s->mux, 1, NULL, 0, &s->stream);
    else if (what == 1 && s->stream)
        (void)cn_stream_write(s->stream, zeros, sizeof zeros);
    else if (what == 2)
        cn_mux_finish(&s->mux);
    for (struct cn_link *at = cn_list_first(&s->mux.all); at; at = cn_list_next(&s->mux.all, at)) {
        stream = CN_LIST_MEMBER(at, struct cn_stream, in_all);
        while (!stream->released && cn_stream_peek(stream, &size))
            cn_stream_consume(stream, size);
    }
}

/* So much that one end begins to ask for fresh keys, unless that is under way. */
static void much_passes(struct side *first, struct side *second)
{
    struct cn_rehandshake *one = &first->served.session.rehandshake;
    struct cn_rehandshake *other = &second->served.session.rehandshake;

    if (one->state != CN_REHANDSHAKE_NONE || other->state != CN_REHANDSHAKE_NONE)
        return;
    one->octets = CN_REHANDSHAKE_OCTETS;
    if (other->octets < CN_REHANDSHAKE_OCTETS_MIN)
        other->octets = CN_REHANDSHAKE_OCTETS_MIN;
}

static void step(struct cn_reader *r)
{
    uint8_t what = cn_reader_u8(r);
    struct side *who = what & 0x80 ? &me : &partner;
    struct side *other = who == &me ? &partner : &me;

    switch (what % 8) {
    case 0:
    case 1:
        octets(r, true);
        break;
    case 2:
        octets(r, false);
        break;
    case 3:
        speak(who, other);
        break;
    case 4:
        now.ms += 1000 * (1 + what / 8 % 16U);
        while (cn_session_step(&me.served.session, now))
            ;
        while (cn_session_step(&partner.served.session, now))
            ;
        break;
    case 5:
        much_passes(who, other);
        break;
    default:
        program(who, what / 8 % 4);
    }
}

/* An end that was told nothing wrong goes on, unless time has passed it by. */
static void check(const struct side *s)
{
    const struct cn_session *session = &s->served.session;

    must(session->state >= CN_SESSION_OPEN);
    must(session->state != CN_SESSION_FAILED || session->error != CN_OK);
    must(session->state != CN_SESSION_FAILED || lied || session->error == CN_E_TIMEOUT);
    must(session->state != CN_SESSION_OPEN ||
         session->mux->rx_pool.used_size <= CN_MUX_RX_SIZE_MAX);
}

static bool may_speak(const struct side *s)
{
    return is_open(s) && !s->mux.close_sent;
}

/* With nobody who lies, fresh keys come into use, and the call goes on. */
static void goes_on(void)
{
    for (int i = 0; i < IDLE_ROUNDS; i++) {
        speak(&partner, &me);
        speak(&me, &partner);
    }
    check(&me);
    check(&partner);
    if (!lied && may_speak(&me) && may_speak(&partner))
        must(me.served.session.rehandshake.octets < CN_REHANDSHAKE_OCTETS_MIN &&
             partner.served.session.rehandshake.octets < CN_REHANDSHAKE_OCTETS_MIN);
}

/* In place of the Finish, which proves that it is the partner. */
static void other_finish(struct cn_reader *r)
{
    partner.served.session.send.counter = 0;
    octets(r, true);
    must(me.served.session.state == CN_SESSION_FAILED);
    must(me.served.session.error == CN_E_AUTH);
}

static void call(struct cn_reader *r, bool fresh_keys_are_due)
{
    open_call();
    if (fresh_keys_are_due)
        much_passes(&partner, &me);
    for (int i = 0; i < STEP_COUNT_MAX && r->left > 0 && is_open(&me); i++) {
        step(r);
        check(&me);
    }
    goes_on();
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };
    uint8_t how = cn_reader_u8(&r);

    serving_begin();
    handshake();
    side_again(&me, &two[0], &my_shaken);
    side_again(&partner, &two[1], &partner_shaken);
    if (how % 4 == 2)
        other_finish(&r);
    else
        call(&r, how % 4 == 1);
    side_wipe(&me);
    side_wipe(&partner);
    return 0;
}
