/* Sessions: two of them and a server in memory. Whatever the server does to the line, a call ends
 * well only if both ends said so, and what is read is what was written. */
#include "unit.h"

#include <cyphernet.h>

#include "keys.h"
#include "pairing.h"
#include "session.h"

enum {
    KEEP_ALIVE_S = 60,
    ASK_SIZE = 5000,     /* octets that the first end sends in the call below */
    REPLY_SIZE = 300,    /* and what comes back */
    LINE_SIZE = 1 << 19, /* octets that a line of the server holds */
    MANY = 2500          /* wants: more tags than out may have messages for at once */
};

static const uint64_t epoch_start_s = 500000ULL * CN_TAG_EPOCH_S;
static uint64_t random_state;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const struct cn_operator_secret operator_secret = { { 1 } };
static const struct cn_server_secret server_secret = { { 2 } };
static struct cn_operator_public operator_public;
static struct cn_admission_server server;
static struct cn_now now;

/* --- subscribers, each with its line at the server ------------------------------------------- */

enum at { AT_HELLO = 0, AT_REGISTER, AT_WAITING, AT_READY, AT_PROLOGUE, AT_HELD, AT_RELAY };

struct octets {
    size_t begin;
    size_t end;
    uint8_t bytes[LINE_SIZE];
};

struct side {
    struct cn_fingerprint fingerprint;
    struct cn_want want[MANY];
    struct cn_session_setup setup;
    struct cn_session session;
    struct cn_mux mux;
    bool carried;
    /* the program: asks, or replies */
    bool asks;
    struct cn_stream *stream;
    uint8_t read[ASK_SIZE + 1];
    size_t read_size;
    bool saw_end;
    uint8_t first_id[CN_CALL_ID_SIZE]; /* of the call, as its first handshake has it */
    /* the server's side */
    enum at at;
    struct cn_admission_line line;
    struct cn_entry registered[MANY * CN_TAG_EPOCH_COUNT_MAX]; /* of the last REGISTER or UPDATE */
    size_t registered_count;
    struct cn_entry listed[MANY * CN_TAG_EPOCH_COUNT_MAX]; /* of which more are to come */
    size_t listed_count;
    bool more;
    unsigned heard[CN_ADMISSION_TYPE_COUNT];
    struct side *partner;
    struct octets in;
    struct octets out;
    uint64_t delivered; /* octets of out that the session has been given */
    uint64_t flip_at;   /* of these, the one to damage; UINT64_MAX: none */
    uint64_t cut_at;    /* deliver no more from here; UINT64_MAX: all */
};

static struct subscriber people[4]; /* 0 and 1 are a pair; 2 and 3 another */
static struct side sides[4];
static struct cn_admission_verdict verdict;
/* how the server misbehaves */
static unsigned rehandshakes; /* a set: the sides that begin one as soon as the call is open */
static bool joins_anybody;    /* without looking at tags */
static bool reflects;         /* hands everyone its own prologue */

/* what fails at the first end's: linked with --wrap=cn_admission_seal and --wrap=cn_record_seal */
static enum failing_call { NOTHING = 0, MESSAGE, RECORD } failing;
static unsigned until_failure; /* calls */

enum cn_err __real_cn_admission_seal(struct cn_admission_line *line, const struct cn_crypto *c,
                                     const struct cn_admission_message *message, uint8_t *out);
enum cn_err __wrap_cn_admission_seal(struct cn_admission_line *line, const struct cn_crypto *c,
                                     const struct cn_admission_message *message, uint8_t *out);
enum cn_err __real_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out);
enum cn_err __wrap_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out);

enum cn_err __wrap_cn_admission_seal(struct cn_admission_line *line, const struct cn_crypto *c,
                                     const struct cn_admission_message *message, uint8_t *out)
{
    if (failing == MESSAGE && line == &sides[0].session.line && until_failure > 0 &&
        --until_failure == 0)
        return CN_E_CRYPTO;
    return __real_cn_admission_seal(line, c, message, out);
}

enum cn_err __wrap_cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                  size_t count, size_t wire_size, uint8_t *out)
{
    if (failing == RECORD && record == &sides[0].session.send && until_failure > 0 &&
        --until_failure == 0)
        return CN_E_CRYPTO;
    return __real_cn_record_seal(record, pieces, count, wire_size, out);
}

static uint8_t asked(size_t at)
{
    return (uint8_t)(at * 7 + at / 256);
}

static int people_setup(void **state)
{
    static const enum cn_kem x25519[2] = { CN_KEM_X25519, CN_KEM_X25519 };

    if (crypto_setup(state) != 0)
        return -1;
    random_state = 99;
    pairing_make(people, &crypto, &seeded, x25519, 0);
    pairing_make(people + 2, &crypto, &seeded, x25519, 0);
    if (cn_ed25519_public(operator_secret.bytes, operator_public.bytes) != CN_OK)
        return -1;
    return cn_admission_server_init(&server, &crypto, &server_secret) == CN_OK ? 0 : -1;
}

static void fingerprint_make(struct cn_fingerprint *f, uint8_t number)
{
    *f = (struct cn_fingerprint) { .has_secret = true };
    f->secret.bytes[0] = number;
    f->certificate.not_after = UINT64_MAX;
    assert_err(cn_x25519_public(f->secret.bytes, f->certificate.admission_key), CN_OK);
    assert_err(cn_x25519_public(server_secret.bytes, f->server_key.bytes), CN_OK);
    assert_err(cn_certificate_sign(&f->certificate, &operator_secret), CN_OK);
}

static void side_wipe(struct side *s)
{
    if (s->mux.memory)
        cn_mux_wipe(&s->mux);
    cn_session_wipe(&s->session);
    memset(s, 0, offsetof(struct side, in));
    s->in.begin = s->in.end = s->out.begin = s->out.end = 0;
    s->delivered = 0;
}

static struct cn_want want_of(const struct subscriber *who, enum cn_service service, void *user)
{
    return (struct cn_want) {
        .pair = &who->pair, .identity = &who->identity, .service = service, .user = user
    };
}

static void side_start(struct side *s, const struct subscriber *who, uint8_t number)
{
    side_wipe(s);
    fingerprint_make(&s->fingerprint, number);
    s->flip_at = s->cut_at = UINT64_MAX;
    s->asks = number % 2 == 0;
    cn_mux_init(&s->mux, &heap, who->pair.role);
    s->want[0] = want_of(who, CN_SERVICE_TALK, NULL);
    s->setup = (struct cn_session_setup) { .crypto = &crypto,
                                           .random = &seeded,
                                           .fingerprint = &s->fingerprint,
                                           .want = s->want,
                                           .want_count = 1 };
    assert_err(cn_session_start(&s->session, &s->setup, now), CN_OK);
}

/* All start anew, the same in every test. */
static int begin(void **state)
{
    (void)state;
    now = (struct cn_now) { 1000000, epoch_start_s + 1000 };
    random_state = 7;
    joins_anybody = reflects = false;
    verdict = (struct cn_admission_verdict) { .verdict = CN_VERDICT_ADMITTED,
                                              .tag_count_max = 16,
                                              .keep_alive_s = KEEP_ALIVE_S,
                                              .spread_s = 5 };
    for (uint8_t i = 0; i < 4; i++)
        side_start(&sides[i], &people[i], i);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        side_wipe(&sides[i]);
    return 0;
}

/* --- the server ------------------------------------------------------------------------------ */

static uint8_t *put(struct octets *o, size_t size)
{
    if (o->begin == o->end)
        o->begin = o->end = 0;
    if (sizeof o->bytes - o->end < size) {
        memmove(o->bytes, o->bytes + o->begin, o->end - o->begin);
        o->end -= o->begin;
        o->begin = 0;
    }
    assert_true(sizeof o->bytes - o->end >= size);
    o->end += size;
    return o->bytes + o->end - size;
}

static const uint8_t *get(struct octets *o, size_t size)
{
    if (o->end - o->begin < size)
        return NULL;
    o->begin += size;
    return o->bytes + o->begin - size;
}

static void tell(struct side *s, const struct cn_admission_message *message)
{
    assert_err(cn_admission_seal(&s->line, &crypto, message, put(&s->out, CN_ADMISSION_SIZE)),
               CN_OK);
}

static void tell_type(struct side *s, enum cn_admission_type type)
{
    tell(s, &(struct cn_admission_message) { .type = type });
}

static void tell_joined(struct side *s, const struct cn_entry *entry)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_JOINED, .entry_count = 1 };

    m.entry[0] = *entry;
    tell(s, &m);
    s->at = AT_READY;
}

/* Which entry of s meets one of t: of several the one with the smallest tag. */
static const struct cn_entry *match(const struct side *s, const struct side *t)
{
    const struct cn_entry *best = NULL;

    for (size_t i = 0; i < s->registered_count; i++) {
        const struct cn_entry *e = &s->registered[i];

        for (size_t k = 0; k < t->registered_count; k++) {
            const struct cn_entry *f = &t->registered[k];
            bool meets = e->mode != f->mode && memcmp(e->tag, f->tag, CN_TAG_SIZE) == 0;

            if ((meets || joins_anybody) && (!best || memcmp(e->tag, best->tag, CN_TAG_SIZE) < 0))
                best = e;
        }
    }
    return best;
}

static void server_join(struct side *s)
{
    for (int i = 0; i < 4; i++) {
        struct side *t = &sides[i];

        if (t == s || t->at != AT_WAITING || !match(s, t))
            continue;
        tell_joined(s, match(s, t));
        tell_joined(t, match(t, s));
        s->partner = t;
        t->partner = s;
        return;
    }
}

static void server_hello(struct side *s, const uint8_t *in)
{
    static const uint8_t ephemeral[CN_X25519_SIZE] = { 5 };
    struct cn_admission_hello hello;

    assert_err(cn_admission_hello_read(&server, &operator_public, 1, in, &hello), CN_OK);
    assert_err(cn_admission_verdict_write(&hello, &verdict, ephemeral,
                                          put(&s->out, CN_ADMISSION_SIZE), &s->line),
               CN_OK);
    s->at = AT_REGISTER;
}

/* Entries, in as many messages as it takes, with no other between. */
static void server_entries(struct side *s, const struct cn_admission_message *m)
{
    if (!s->more)
        s->listed_count = 0;
    assert_in_range(s->listed_count + m->entry_count, 1, COUNT(s->listed));
    memcpy(s->listed + s->listed_count, m->entry, m->entry_count * sizeof m->entry[0]);
    s->listed_count += m->entry_count;
    s->more = m->more;
    if (m->more || s->at == AT_READY)
        return;
    memcpy(s->registered, s->listed, s->listed_count * sizeof s->listed[0]);
    s->registered_count = s->listed_count;
    if (m->type == CN_ADMISSION_UPDATE)
        return;
    s->at = AT_WAITING;
    server_join(s);
    if (s->at == AT_WAITING)
        tell_type(s, CN_ADMISSION_WAITING);
}

static void server_message(struct side *s, const uint8_t *in)
{
    struct cn_admission_message m;

    assert_err(cn_admission_open(&s->line, &crypto, in, &m), CN_OK);
    s->heard[m.type]++;
    if (s->more && s->at != AT_READY)
        assert_int_equal(m.type,
                         s->at == AT_REGISTER ? CN_ADMISSION_REGISTER : CN_ADMISSION_UPDATE);
    switch ((int)m.type) {
    case CN_ADMISSION_REGISTER:
        assert_int_equal(s->at, AT_REGISTER);
        server_entries(s, &m);
        break;
    case CN_ADMISSION_UPDATE:
        server_entries(s, &m);
        break;
    case CN_ADMISSION_KEEP_ALIVE:
        tell_type(s, CN_ADMISSION_KEEP_ALIVE);
        break;
    case CN_ADMISSION_READY:
        assert_int_equal(s->at, AT_READY);
        s->at = AT_PROLOGUE;
        break;
    default:
        fail_msg("a subscriber said %d", (int)m.type);
    }
}

static void server_prologue(struct side *s)
{
    enum { SIZE = CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE };
    struct side *t = s->partner;

    s->at = AT_HELD; /* nothing may come behind it yet */
    assert_int_equal(s->in.end - s->in.begin, SIZE);
    if (t->at != AT_HELD)
        return;
    memcpy(put(&s->out, SIZE), get(reflects ? &s->in : &t->in, SIZE), SIZE);
    memcpy(put(&t->out, SIZE), get(reflects ? &t->in : &s->in, SIZE), SIZE);
    s->at = t->at = AT_RELAY;
}

/* Deal with what a line has said. */
static void server_step(struct side *s)
{
    const uint8_t *in;
    size_t size;

    while (s->at <= AT_READY && (in = get(&s->in, CN_ADMISSION_SIZE))) {
        if (s->at == AT_HELLO)
            server_hello(s, in);
        else
            server_message(s, in);
    }
    if (s->at == AT_PROLOGUE && s->in.end - s->in.begin >= 2 + CN_PROLOGUE_SIZE)
        server_prologue(s);
    if (s->at == AT_HELD)
        assert_int_equal(s->in.end - s->in.begin, 2 + CN_PROLOGUE_SIZE);
    if (s->at == AT_RELAY && (size = s->in.end - s->in.begin) > 0)
        memcpy(put(&s->partner->out, size), get(&s->in, size), size);
}

/* --- the program ----------------------------------------------------------------------------- */

static void program_read(struct side *s)
{
    const size_t size = s->asks ? REPLY_SIZE : ASK_SIZE;

    s->read_size +=
        cn_stream_read(s->stream, s->read + s->read_size, sizeof s->read - s->read_size);
    assert_true(s->read_size <= size);
    for (size_t i = 0; i < s->read_size; i++)
        assert_int_equal(s->read[i], asked(i));
    if (cn_stream_state(s->stream) != CN_STREAM_ENDED || s->saw_end)
        return;
    assert_int_equal(s->read_size, size); /* an end that was not sent is none */
    s->saw_end = true;
}

static bool has_fresh_keys(const struct side *s)
{
    return memcmp(s->first_id, s->session.keys.call_id, sizeof s->first_id) != 0;
}

static void program_write(struct side *s)
{
    const size_t size = s->asks ? ASK_SIZE : REPLY_SIZE;
    uint8_t octets[ASK_SIZE];

    for (size_t i = 0; i < size; i++)
        octets[i] = asked(i);
    assert_int_equal(cn_stream_write(s->stream, octets, size), size);
    cn_stream_finish(s->stream);
}

static void program_step(struct side *s)
{
    struct cn_stream *stream;
    enum cn_event_type type;

    if (s->session.state != CN_SESSION_OPEN)
        return;
    if (!s->carried) {
        cn_session_carry(&s->session, &s->mux, now);
        s->carried = true;
        memcpy(s->first_id, s->session.keys.call_id, sizeof s->first_id);
        if (rehandshakes)
            s->session.rehandshake.octets = rehandshakes & 1U << (s - sides)
                                                ? CN_REHANDSHAKE_OCTETS
                                                : CN_REHANDSHAKE_OCTETS_MIN;
        if (s->asks) {
            assert_err(cn_mux_open(&s->mux, 1, NULL, 0, &s->stream), CN_OK);
            program_write(s);
        }
    }
    while (cn_mux_next_event(&s->mux, &stream, &type)) {
        if (type == CN_EVENT_STREAM) {
            s->stream = stream;
            program_write(s);
        }
    }
    if (s->stream)
        program_read(s);
    if (s->saw_end && (!rehandshakes || has_fresh_keys(s)))
        cn_mux_finish(&s->mux);
}

/* --- turns ----------------------------------------------------------------------------------- */

/* What the session has to say goes to the server. */
static bool side_send(struct side *s)
{
    size_t size;
    const uint8_t *out = cn_session_output(&s->session, &size, now);

    if (size > 0)
        memcpy(put(&s->in, size), out, size);
    cn_session_sent(&s->session, size);
    return size > 0;
}

/* Up to most octets of the server to the session, which does what it can. */
static bool side_receive(struct side *s, size_t most)
{
    size_t size = s->out.end - s->out.begin;
    size_t room;
    uint8_t *to = cn_session_input(&s->session, &room);

    size = size < most ? size : most;
    size = size < room ? size : room;
    if (s->session.state >= CN_SESSION_CLOSED)
        size = 0;
    if (s->delivered + size > s->cut_at)
        size = (size_t)(s->cut_at - s->delivered);
    if (size > 0)
        memcpy(to, get(&s->out, size), size);
    if (s->flip_at >= s->delivered && s->flip_at < s->delivered + size)
        to[s->flip_at - s->delivered] ^= 0x10;
    s->delivered += size;
    if (size > 0)
        cn_session_received(&s->session, size, now);
    while (cn_session_step(&s->session, now))
        program_step(s);
    program_step(s);
    return size > 0;
}

/* Both of a pair, until nothing moves. */
static void run_pair(struct side *pair, size_t most)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            moved |= side_send(&pair[i]);
            server_step(&pair[i]);
            moved |= side_receive(&pair[i], most);
        }
    }
}

/* The same, and what is held back for a few ms. */
static void run_call(size_t most)
{
    for (int i = 0; i < 30 && sides[0].session.state < CN_SESSION_CLOSED; i++) {
        run_pair(sides, most);
        now.ms += 10;
    }
    run_pair(sides, most);
}

/* Until a side is in that state, or nothing moves. */
static void run_until(struct side *s, enum cn_session_state state)
{
    bool moved = true;

    while (moved && s->session.state < state) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            moved |= side_send(&sides[i]);
            server_step(&sides[i]);
            if (s->session.state < state)
                moved |= side_receive(&sides[i], 512);
        }
    }
    assert_int_equal(s->session.state, state);
}

static void assert_failed(const struct side *s, enum cn_err err)
{
    assert_int_equal(s->session.state, CN_SESSION_FAILED);
    assert_string_equal(err_name(s->session.error), err_name(err));
    assert_true(cn_session_deadline_ms(&s->session, now) == UINT64_MAX);
}

/* One line alone, up to WAITING. */
static void wait_alone(struct side *s)
{
    (void)side_send(s);
    server_step(s);
    (void)side_receive(s, SIZE_MAX);
    (void)side_send(s);
    server_step(s);
    (void)side_receive(s, SIZE_MAX);
    assert_int_equal(s->session.state, CN_SESSION_WAITING);
}

/* --- the server refuses, or talks nonsense --------------------------------------------------- */

static void every_verdict_but_admitted_ends_it(void **state)
{
    (void)state;
    for (int code = CN_VERDICT_EXPIRED; code < CN_VERDICT_COUNT; code++) {
        begin(NULL);
        verdict.verdict = (enum cn_verdict)code;
        (void)side_send(&sides[0]);
        server_step(&sides[0]);
        (void)side_receive(&sides[0], SIZE_MAX);
        assert_failed(&sides[0], CN_E_ADMISSION);
        assert_true(sides[0].session.verdict_known);
        assert_int_equal(sides[0].session.verdict.verdict, code);
        assert_false(side_send(&sides[0])); /* it registers nothing */
    }
}

static void a_verdict_of_another_server_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < CN_ADMISSION_SIZE; at += 31) {
        begin(NULL);
        sides[0].flip_at = at;
        (void)side_send(&sides[0]);
        server_step(&sides[0]);
        (void)side_receive(&sides[0], SIZE_MAX);
        assert_failed(&sides[0], CN_E_AUTH);
        assert_false(sides[0].session.verdict_known);
    }
}

static void refused_ends_it(void **state)
{
    (void)state;
    wait_alone(&sides[0]);
    tell(&sides[0], &(struct cn_admission_message) { .type = CN_ADMISSION_REFUSED,
                                                     .reason = CN_VERDICT_SUSPENDED });
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_failed(&sides[0], CN_E_ADMISSION);
    assert_int_equal(sides[0].session.verdict.verdict, CN_VERDICT_SUSPENDED);
}

static void goaway_says_when_to_come_back(void **state)
{
    (void)state;
    wait_alone(&sides[0]);
    tell(&sides[0], &(struct cn_admission_message) { .type = CN_ADMISSION_GOAWAY, .spread_s = 17 });
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_failed(&sides[0], CN_E_INTERRUPTED);
    assert_int_equal(sides[0].session.goaway_spread_s, 17);
}

static void what_only_subscribers_say_is_refused(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER, .entry_count = 1 };

    (void)state;
    m.entry[0].mode = CN_MODE_INPUT;
    for (int i = 0; i < 3; i++) {
        begin(NULL);
        wait_alone(&sides[0]);
        if (i == 2)
            tell_type(&sides[0], CN_ADMISSION_READY);
        else
            tell(&sides[0], &m);
        m.type = CN_ADMISSION_UPDATE;
        (void)side_receive(&sides[0], SIZE_MAX);
        assert_failed(&sides[0], CN_E_UNEXPECTED);
    }
}

static void waiting_comes_once(void **state)
{
    (void)state;
    wait_alone(&sides[0]);
    tell_type(&sides[0], CN_ADMISSION_WAITING);
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_failed(&sides[0], CN_E_UNEXPECTED);
}

static void a_keep_alive_is_no_answer_to_register(void **state)
{
    (void)state;
    run_until(&sides[0], CN_SESSION_REGISTER);
    tell_type(&sides[0], CN_ADMISSION_KEEP_ALIVE);
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_failed(&sides[0], CN_E_UNEXPECTED);
}

static void being_joined_under_a_tag_that_is_not_mine_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct cn_entry entry;

        begin(NULL);
        wait_alone(&sides[0]);
        entry = sides[0].registered[0];
        if (i == 0)
            entry.tag[31] ^= 1;
        else if (i == 1)
            entry.mode = entry.mode == CN_MODE_INPUT ? CN_MODE_OUTPUT : CN_MODE_INPUT;
        else
            assert_err(cn_tag_make(&crypto, &people[0].pair.tag_key, CN_SERVICE_TALK,
                                   now.utc_s / CN_TAG_EPOCH_S + 2, entry.tag),
                       CN_OK);
        tell_joined(&sides[0], &entry);
        (void)side_receive(&sides[0], SIZE_MAX);
        assert_failed(&sides[0], CN_E_FORMAT);
    }
}

static void joining_two_who_are_no_pair_fails_at_both(void **state)
{
    struct side *const strangers = &sides[1]; /* 1 and 2 */

    (void)state;
    joins_anybody = true;
    run_pair(strangers, SIZE_MAX);
    assert_ptr_equal(strangers[0].partner, &strangers[1]);
    for (int i = 0; i < 2; i++)
        assert_failed(&strangers[i], CN_E_AUTH);
}

static void a_prologue_handed_back_to_its_maker_is_refused(void **state)
{
    (void)state;
    reflects = true;
    run_pair(sides, SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_failed(&sides[i], CN_E_AUTH);
}

static void a_prologue_of_another_length_is_refused(void **state)
{
    static const uint8_t heads[][2] = { { 0, 0 }, { 0x0f, 0xff }, { 0x10, 1 }, { 0xff, 0xff } };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        begin(NULL);
        run_until(&sides[0], CN_SESSION_PROLOGUE);
        memcpy(put(&sides[0].out, 2), heads[i], 2);
        (void)side_receive(&sides[0], SIZE_MAX);
        assert_failed(&sides[0], CN_E_AUTH);
    }
}

static void what_was_said_in_an_earlier_call_opens_no_other(void **state)
{
    static struct octets old;

    (void)state;
    /* keep all that came to side 0 behind JOINED */
    run_until(&sides[0], CN_SESSION_PROLOGUE);
    while (sides[0].session.state < CN_SESSION_OPEN) {
        size_t size;

        for (int i = 0; i < 2; i++) {
            (void)side_send(&sides[i]);
            server_step(&sides[i]);
        }
        size = sides[0].out.end - sides[0].out.begin;
        if (size > 0)
            memcpy(put(&old, size), sides[0].out.bytes + sides[0].out.begin, size);
        (void)side_receive(&sides[0], SIZE_MAX);
        (void)side_receive(&sides[1], SIZE_MAX);
    }
    now.ms += 60000;
    for (uint8_t i = 0; i < 2; i++)
        side_start(&sides[i], &people[i], i);
    run_until(&sides[0], CN_SESSION_PROLOGUE);
    sides[0].out = old;
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_failed(&sides[0], CN_E_AUTH);
}

/* --- the line breaks ------------------------------------------------------------------------- */

static void a_line_that_ends_before_close_is_an_interruption(void **state)
{
    (void)state;
    for (int at = CN_SESSION_HELLO; at <= CN_SESSION_OPEN; at++) {
        begin(NULL);
        run_until(&sides[0], (enum cn_session_state)at);
        cn_session_ended(&sides[0].session);
        assert_failed(&sides[0], at == CN_SESSION_HELLO ? CN_E_HUNG_UP : CN_E_INTERRUPTED);
    }
}

static void assert_zeros(const void *octets, size_t size)
{
    const uint8_t *at = octets;

    for (size_t i = 0; i < size; i++)
        assert_int_equal(at[i], 0);
}

static void a_session_that_failed_keeps_no_secret_but_a_calls_that_may_be_open(void **state)
{
    (void)state;
    for (int at = CN_SESSION_HELLO; at <= CN_SESSION_OPEN; at++) {
        const struct cn_session *s = &sides[0].session;

        begin(NULL);
        run_until(&sides[0], (enum cn_session_state)at);
        cn_session_ended(&sides[0].session);
        assert_zeros(&s->noise, sizeof s->noise);
        assert_zeros(&s->line, sizeof s->line);
        assert_zeros(&s->handshake, sizeof s->handshake);
        assert_zeros(&s->send, sizeof s->send);
        assert_zeros(&s->receive, sizeof s->receive);
        assert_zeros(&s->keys.send, sizeof s->keys.send);
        assert_zeros(&s->keys.receive, sizeof s->keys.receive);
        if (at < CN_SESSION_FINISH)
            assert_zeros(&s->keys, sizeof s->keys);
    }
}

static enum cn_err no_random(void *context, uint8_t *out, size_t size)
{
    (void)context;
    (void)out;
    (void)size;
    return CN_E_RANDOM;
}

static void without_randomness_none_begins(void **state)
{
    static const struct cn_random none = { no_random, NULL };
    static struct cn_session session;
    struct cn_session_setup setup = sides[0].setup;

    (void)state;
    setup.random = &none;
    assert_err(cn_session_start(&session, &setup, now), CN_E_RANDOM);
    assert_int_equal(session.state, CN_SESSION_FAILED);
    cn_session_wipe(&session);
}

static void silence_of_the_server_runs_out(void **state)
{
    static const enum cn_session_state states[] = { CN_SESSION_HELLO, CN_SESSION_REGISTER,
                                                    CN_SESSION_PROLOGUE, CN_SESSION_ANSWER,
                                                    CN_SESSION_FINISH };

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        uint64_t start_ms;

        begin(NULL);
        start_ms = now.ms;
        run_until(&sides[0], states[i]);
        assert_true(cn_session_deadline_ms(&sides[0].session, now) <=
                    start_ms + CN_SESSION_ANSWER_TIMEOUT_MS);
        now.ms = start_ms + CN_SESSION_ANSWER_TIMEOUT_MS - 1;
        (void)cn_session_step(&sides[0].session, now);
        assert_int_equal(sides[0].session.state, states[i]);
        now.ms++;
        assert_true(cn_session_step(&sides[0].session, now));
        assert_failed(&sides[0], CN_E_TIMEOUT);
        assert_false(cn_session_step(&sides[0].session, now));
    }
}

static void a_server_that_answers_no_keep_alive_is_given_up(void **state)
{
    uint64_t start_ms;

    (void)state;
    wait_alone(&sides[0]);
    start_ms = now.ms;
    while (sides[0].session.state == CN_SESSION_WAITING) {
        now.ms += 1000;
        (void)cn_session_step(&sides[0].session, now);
        (void)side_send(&sides[0]); /* into the void */
    }
    assert_failed(&sides[0], CN_E_TIMEOUT);
    assert_true(now.ms == start_ms + 3ULL * KEEP_ALIVE_S * 1000);
}

/* How many octets the server says to a side in the call of run_call. */
static uint64_t call_length(int side)
{
    begin(NULL);
    run_call(SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
    return sides[side].delivered;
}

static void no_octet_but_the_last_makes_an_end(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        /* octet by octet, so that each could be the last before a cut */
        begin(NULL);
        for (int idle = 0; idle < 40 && sides[side].session.state < CN_SESSION_CLOSED;) {
            bool moved = false;

            for (int i = 0; i < 2; i++) {
                moved |= side_send(&sides[i]);
                server_step(&sides[i]);
                moved |= side_receive(&sides[i], i == side ? 1 : SIZE_MAX);
                if (sides[side].session.state == CN_SESSION_CLOSED) {
                    assert_true(sides[side].mux.close_received && sides[side].saw_end);
                    assert_int_equal(sides[side].out.begin, sides[side].out.end);
                }
            }
            if (!moved) {
                now.ms += 10;
                idle++;
            }
        }
        assert_int_equal(sides[side].session.state, CN_SESSION_CLOSED);
        assert_true(sides[side].saw_end);
    }
}

static void a_cut_anywhere_is_never_an_end(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        const uint64_t length = call_length(side);

        for (uint64_t cut = 0; cut < length; cut += cut + 3000 < length ? 331 : 41) {
            begin(NULL);
            sides[side].cut_at = cut;
            run_call(SIZE_MAX);
            for (int i = 0; i < 2; i++)
                cn_session_ended(&sides[i].session);
            assert_int_equal(sides[side].session.state, CN_SESSION_FAILED);
        }
    }
}

static void a_damaged_octet_anywhere_is_never_data_and_never_an_end(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        const uint64_t length = call_length(side);

        for (uint64_t flip = 0; flip < length; flip += flip + 3000 < length ? 253 : 37) {
            begin(NULL);
            sides[side].flip_at = flip;
            run_call(SIZE_MAX); /* the program checks what it reads */
            assert_true(sides[side].session.state != CN_SESSION_CLOSED);
            if (sides[side].session.state != CN_SESSION_FAILED) {
                cn_session_ended(&sides[side].session); /* a length: waits for more */
                assert_failed(&sides[side], CN_E_INTERRUPTED);
            }
        }
    }
}

static void every_octet_of_the_first_record_counts(void **state)
{
    const uint64_t finish_at = 3ULL * CN_ADMISSION_SIZE + 2 + CN_PROLOGUE_SIZE + CN_ANSWER_SIZE;

    (void)state;
    for (uint64_t i = 0; i < 256; i++) {
        begin(NULL);
        wait_alone(&sides[0]); /* so that WAITING comes too */
        sides[0].flip_at = finish_at + i;
        run_call(SIZE_MAX);
        assert_false(sides[0].carried);
        assert_int_equal(sides[0].read_size, 0);
    }
}

/* --- what goes well -------------------------------------------------------------------------- */

static void a_call_opens_carries_data_and_closes(void **state)
{
    static const size_t pieces[] = { SIZE_MAX, 1000, 7 };

    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        begin(NULL);
        run_call(pieces[i]);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(sides[k].session.state, CN_SESSION_CLOSED);
            assert_true(sides[k].saw_end);
            assert_ptr_equal(sides[k].session.joined, &sides[k].session.setup.want[0]);
            assert_int_equal(sides[k].heard[CN_ADMISSION_REGISTER], 1);
            assert_int_equal(sides[k].heard[CN_ADMISSION_READY], 1);
            cn_session_ended(&sides[k].session); /* that is how a call ends */
            assert_int_equal(sides[k].session.state, CN_SESSION_CLOSED);
        }
        assert_memory_equal(sides[0].session.keys.call_id, sides[1].session.keys.call_id,
                            CN_CALL_ID_SIZE);
    }
}

static void keys_are_replaced_while_a_call_goes_on(void **state)
{
    static const size_t pieces[] = { SIZE_MAX, 1000, 7 };

    for (size_t i = 0; i < COUNT(pieces); i++) {
        for (rehandshakes = 1; rehandshakes < 4; rehandshakes++) {
            end(state);
            begin(state);
            run_call(pieces[i]);
            for (int k = 0; k < 2; k++) {
                assert_int_equal(sides[k].session.state, CN_SESSION_CLOSED);
                assert_true(sides[k].saw_end && has_fresh_keys(&sides[k]));
                assert_true(sides[k].session.rehandshake.octets < 100000);
            }
            assert_memory_equal(sides[0].session.keys.call_id, sides[1].session.keys.call_id,
                                CN_CALL_ID_SIZE);
            assert_memory_equal(&sides[0].session.keys.chain, &sides[1].session.keys.chain,
                                CN_SHA256_SIZE);
        }
    }
    rehandshakes = 0;
}

/* Cut, or damaged, anywhere in a call that gets fresh keys. */
static void fresh_keys_change_nothing_about_cuts_and_damage(void **state)
{
    uint64_t length;

    rehandshakes = 1;
    for (int side = 0; side < 2; side++) {
        length = call_length(side);
        for (uint64_t at = 0; at < length; at += at + 9000 < length ? 997 : 113) {
            end(state);
            begin(state);
            sides[side].cut_at = at;
            run_call(SIZE_MAX);
            assert_true(sides[side].session.state != CN_SESSION_CLOSED);
            end(state);
            begin(state);
            sides[side].flip_at = at;
            run_call(SIZE_MAX);
            assert_true(sides[side].session.state != CN_SESSION_CLOSED);
        }
    }
    rehandshakes = 0;
}

/* Both open, with nothing under way, but for the octets of this many. */
static void open_with(uint64_t octets)
{
    run_until(&sides[0], CN_SESSION_OPEN);
    run_until(&sides[1], CN_SESSION_OPEN);
    for (int i = 0; i < 2; i++)
        sides[i].session.rehandshake.octets = octets;
}

/* Bulk fills all that there is for a line that takes nothing: whether the partner is there is asked
 * all the same, and nothing is due that cannot be done. */
static void a_line_that_takes_nothing_is_found_dead(void **state)
{
    static const uint8_t zeros[65536];
    struct side *s = &sides[0];
    struct cn_stream *bulk = NULL;
    size_t size, before = 1;
    uint64_t due_ms;

    (void)state;
    open_with(0);
    assert_err(cn_mux_open(&s->mux, 1, NULL, 0, &bulk), CN_OK);
    while (side_send(s))
        ;
    s->mux.ping_out = false;
    s->mux.flight.rate[0] = UINT64_C(1) << 40; /* nothing but the line holds it back */
    bulk->tx_limit = UINT64_C(1) << 40;
    for (size = 0; size != before;) {
        before = size;
        (void)cn_stream_write(bulk, zeros, sizeof zeros);
        (void)cn_session_output(&s->session, &size, now);
    }
    assert_in_range(size, CN_SESSION_OUT_SIZE - 2 * CN_RECORD_SIZE_MAX, CN_SESSION_OUT_SIZE);
    due_ms = cn_session_deadline_ms(&s->session, now);
    assert_true(due_ms == now.ms + CN_MUX_UNACKNOWLEDGED_MS);
    for (int asked = 1; asked <= 2; asked++) {
        now.ms = due_ms;
        assert_false(cn_session_step(&s->session, now));
        (void)cn_session_output(&s->session, &size, now);
        assert_int_equal(size, before + 256U * (unsigned)asked);
        due_ms = cn_session_deadline_ms(&s->session, now);
        assert_true(due_ms == now.ms + CN_MUX_PATIENCE_MS_MAX / 2);
    }
    now.ms = due_ms;
    assert_true(cn_session_step(&s->session, now));
    assert_failed(s, CN_E_TIMEOUT);
}

/* Of two whose line is lost just then, one may have the call open and the other not. */
static void who_has_said_finish_keeps_what_the_call_may_go_on_with(void **state)
{
    static const struct cn_resume_secret none;

    (void)state;
    run_until(&sides[1], CN_SESSION_FINISH);
    while (side_send(&sides[1]))
        server_step(&sides[1]);
    cn_session_ended(&sides[1].session);
    run_until(&sides[0], CN_SESSION_OPEN);
    assert_failed(&sides[1], CN_E_INTERRUPTED);
    assert_true(sides[1].session.finish_sent);
    assert_memory_equal(&sides[1].session.keys.resume, &sides[0].session.keys.resume, sizeof none);
    begin(NULL);
    run_until(&sides[1], CN_SESSION_ANSWER);
    cn_session_ended(&sides[1].session);
    assert_false(sides[1].session.finish_sent);
    assert_memory_equal(&sides[1].session.keys.resume, &none, sizeof none);
}

/* So that both see at once when keys are due. */
static void both_ends_count_what_is_said_and_what_is_heard(void **state)
{
    (void)state;
    run_pair(sides, SIZE_MAX);
    assert_true(sides[0].saw_end && sides[1].saw_end);
    assert_true(sides[0].session.rehandshake.octets > ASK_SIZE + REPLY_SIZE);
    assert_true(sides[0].session.rehandshake.octets == sides[1].session.rehandshake.octets);
}

static void keys_are_not_replaced_too_soon(void **state)
{
    (void)state;
    open_with(0);
    sides[0].session.rehandshake.octets = CN_REHANDSHAKE_OCTETS;
    sides[1].session.rehandshake.octets = CN_REHANDSHAKE_OCTETS_MIN / 2;
    run_pair(sides, SIZE_MAX);
    assert_failed(&sides[1], CN_E_UNEXPECTED);
}

static void keys_are_not_used_for_too_long(void **state)
{
    (void)state;
    open_with(CN_REHANDSHAKE_OCTETS);
    assert_true(side_send(&sides[0])); /* F1, to which nothing is said */
    assert_int_equal(sides[0].session.rehandshake.state, CN_REHANDSHAKE_BEGUN);
    sides[0].session.rehandshake.octets = CN_REHANDSHAKE_OCTETS_MAX;
    assert_true(cn_session_step(&sides[0].session, now));
    assert_failed(&sides[0], CN_E_TIMEOUT);
}

static void time_replaces_keys_too(void **state)
{
    (void)state;
    open_with(0);
    while (side_send(&sides[0]))
        ;
    sides[0].session.rehandshake.octets = CN_REHANDSHAKE_TRAFFIC - 1;
    now.ms += CN_REHANDSHAKE_MS;
    assert_false(cn_rehandshake_is_due(&sides[0].session.rehandshake, now.ms)); /* it was idle */
    sides[0].session.rehandshake.octets = CN_REHANDSHAKE_TRAFFIC;
    assert_true(cn_rehandshake_is_due(&sides[0].session.rehandshake, now.ms));
    assert_true(cn_session_deadline_ms(&sides[0].session, now) <= now.ms);
    assert_true(side_send(&sides[0]));
    assert_int_equal(sides[0].session.rehandshake.state, CN_REHANDSHAKE_BEGUN);
    now.ms += CN_REHANDSHAKE_MS_MAX - CN_REHANDSHAKE_MS;
    assert_true(cn_rehandshake_is_late(&sides[0].session.rehandshake, now.ms));
}

static void keys_of_the_records_are_not_kept_beside_them(void **state)
{
    static const struct cn_traffic_secret none;

    (void)state;
    run_until(&sides[0], CN_SESSION_OPEN);
    assert_memory_equal(&sides[0].session.keys.send, &none, sizeof none);
    assert_memory_equal(&sides[0].session.keys.receive, &none, sizeof none);
}

static void what_follows_the_finish_waits_for_a_mux(void **state)
{
    (void)state;
    run_until(&sides[1], CN_SESSION_FINISH);
    for (int i = 0; i < 10; i++) { /* side 0 goes on and sends, side 1 stays without its program */
        (void)side_send(&sides[0]);
        server_step(&sides[0]);
        (void)side_receive(&sides[0], SIZE_MAX);
        (void)side_send(&sides[1]);
        server_step(&sides[1]);
    }
    {
        struct octets *o = &sides[1].out;
        size_t size = o->end - o->begin;
        size_t room;
        uint8_t *to = cn_session_input(&sides[1].session, &room);

        assert_true(size > 256 && size <= room);
        memcpy(to, get(o, size), size);
        cn_session_received(&sides[1].session, size, now);
    }
    while (cn_session_step(&sides[1].session, now))
        ;
    assert_int_equal(sides[1].session.state, CN_SESSION_OPEN);
    run_call(SIZE_MAX);
    assert_int_equal(sides[1].session.state, CN_SESSION_CLOSED);
}

static void keep_alives_come_after_three_quarters_of_the_interval_to_all_of_it(void **state)
{
    uint64_t last_ms;
    unsigned heard = 0;

    (void)state;
    wait_alone(&sides[0]);
    last_ms = now.ms;
    for (int i = 0; i < 40 * KEEP_ALIVE_S; i++) {
        uint64_t deadline = cn_session_deadline_ms(&sides[0].session, now);

        now.ms += 1000; /* the time of day stands still: no UPDATE */
        assert_true(deadline >= now.ms - 1000);
        (void)cn_session_step(&sides[0].session, now);
        (void)side_send(&sides[0]);
        server_step(&sides[0]);
        (void)side_receive(&sides[0], SIZE_MAX);
        if (sides[0].heard[CN_ADMISSION_KEEP_ALIVE] > heard) {
            heard++;
            assert_in_range(now.ms - last_ms, 45000, 61000);
            last_ms = now.ms;
        }
    }
    assert_int_equal(sides[0].session.state, CN_SESSION_WAITING);
    assert_in_range(heard, 39, 54);
    assert_int_equal(sides[0].heard[CN_ADMISSION_UPDATE], 0);
}

static void assert_registered(const struct side *s, uint64_t first, size_t count)
{
    assert_int_equal(s->registered_count, s->setup.want_count * count);
    for (size_t i = 0; i < s->registered_count; i++) {
        uint8_t tag[CN_TAG_SIZE];

        assert_err(cn_tag_make(&crypto, &people[0].pair.tag_key, s->setup.want[i / count].service,
                               first + i % count, tag),
                   CN_OK);
        assert_memory_equal(s->registered[i].tag, tag, sizeof tag);
    }
}

/* Second by second, with a server that answers. */
static void idle(struct side *s, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        now.ms += 1000;
        now.utc_s++;
        while (cn_session_step(&s->session, now))
            ;
        (void)side_send(s);
        server_step(s);
        (void)side_receive(s, SIZE_MAX);
    }
    assert_int_equal(s->session.state, CN_SESSION_WAITING);
}

static void tags_change_around_the_hour(void **state)
{
    const uint64_t epoch = epoch_start_s / CN_TAG_EPOCH_S;
    struct side *s = &sides[0];

    (void)state;
    wait_alone(s);
    assert_registered(s, epoch, 1);
    idle(s, 1999); /* one second before ten minutes before the hour */
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 0);
    idle(s, 31);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 1);
    assert_registered(s, epoch, 2);
    idle(s, 1169); /* ten minutes after it */
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 1);
    idle(s, 32);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 2);
    assert_registered(s, epoch + 1, 1);
}

/* What makes an owner come back at once must be something to do. */
static void tags_that_change_before_register_is_answered_wait_for_the_answer(void **state)
{
    const uint64_t epoch = epoch_start_s / CN_TAG_EPOCH_S;
    struct side *s = &sides[0];

    (void)state;
    now.utc_s = epoch_start_s + CN_TAG_MARGIN_S - 1;
    (void)side_send(s);
    server_step(s);
    (void)side_receive(s, SIZE_MAX);
    assert_int_equal(s->session.state, CN_SESSION_REGISTER);
    now.utc_s += 10;
    now.ms += 10000;
    assert_false(cn_session_step(&s->session, now));
    assert_true(cn_session_deadline_ms(&s->session, now) > now.ms);
    (void)side_send(s);
    server_step(s);
    assert_registered(s, epoch - 1, 2);
    (void)side_receive(s, SIZE_MAX);
    idle(s, 31);
    assert_registered(s, epoch, 1);
}

static void a_clock_that_is_set_while_waiting_changes_the_tags(void **state)
{
    static const int64_t steps_s[] = { -7200, 7200, -86400 * 365 };

    (void)state;
    for (size_t i = 0; i < COUNT(steps_s); i++) {
        struct side *s = &sides[0];

        begin(NULL);
        wait_alone(s);
        now.utc_s += (uint64_t)steps_s[i];
        idle(s, 31);
        assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 1);
        assert_registered(s, now.utc_s / CN_TAG_EPOCH_S, 1);
        idle(s, 600);
        assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 1);
    }
}

static void a_clock_that_is_set_right_again_in_time_changes_nothing(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    wait_alone(s);
    now.utc_s += 7200;
    (void)cn_session_step(&s->session, now);
    now.utc_s -= 7200;
    idle(s, 60);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 0);
}

static void a_join_that_an_update_crossed_is_taken(void **state)
{
    struct cn_entry old;

    (void)state;
    wait_alone(&sides[0]);
    old = sides[0].registered[0];
    idle(&sides[0], 3600); /* the tag of the epoch before is no longer registered */
    assert_registered(&sides[0], epoch_start_s / CN_TAG_EPOCH_S + 1, 1);
    tell_joined(&sides[0], &old);
    (void)side_receive(&sides[0], SIZE_MAX);
    assert_int_equal(sides[0].session.state, CN_SESSION_PROLOGUE);
}

static void ends_whose_clocks_differ_by_minutes_meet_around_the_hour(void **state)
{
    (void)state;
    now.utc_s = epoch_start_s + CN_TAG_EPOCH_S - 300;
    wait_alone(&sides[0]);
    now.utc_s += 600; /* as side 1 sees it */
    run_call(SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
}

static void the_want_that_was_met_is_the_one_joined(void **state)
{
    static enum cn_service services[] = { CN_SERVICE_TALK, CN_SERVICE_PIPE, CN_SERVICE_FILE,
                                          CN_SERVICE_FORWARD };

    (void)state;
    for (size_t met = 0; met < COUNT(services); met++) {
        struct cn_want *want = sides[0].want;

        begin(NULL);
        for (size_t i = 0; i < COUNT(services); i++) { /* would call and be called */
            want[2 * i] = want[2 * i + 1] = want_of(&people[0], services[i], &services[i]);
            want[2 * i].caller = true;
        }
        sides[0].setup.want_count = 2 * COUNT(services);
        sides[1].want[0].service = services[met];
        for (int i = 0; i < 2; i++)
            assert_err(cn_session_start(&sides[i].session, &sides[i].setup, now), CN_OK);
        run_call(SIZE_MAX);
        for (int i = 0; i < 2; i++)
            assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
        assert_ptr_equal(sides[0].session.joined->user, &services[met]);
        if (!cn_service_symmetric(services[met]))
            assert_true(sides[0].session.joined->caller);
    }
}

static void two_who_both_call_do_not_meet(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        sides[i].want[0].service = CN_SERVICE_FILE;
        sides[i].want[0].caller = true;
        assert_err(cn_session_start(&sides[i].session, &sides[i].setup, now), CN_OK);
    }
    run_pair(sides, SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_WAITING);
}

/* --- many wants on one line ------------------------------------------------------------------ */

/* Side 0 anew, with so many wants: to pipe with its partner, but for the last, which is a talk. */
static void start_with(size_t count)
{
    struct side *s = &sides[0];

    for (size_t i = 0; i < count; i++)
        s->want[i] = want_of(&people[0], CN_SERVICE_PIPE, NULL);
    s->want[count - 1].service = CN_SERVICE_TALK;
    s->setup.want_count = count;
    verdict.tag_count_max = (uint16_t)(count * CN_TAG_EPOCH_COUNT_MAX);
    assert_err(cn_session_start(&s->session, &s->setup, now), CN_OK);
}

static void lists_longer_than_a_message_come_in_several(void **state)
{
    static const size_t counts[] = { 29, 30, 31, 60, 61, 1000, MANY };

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct side *s = &sides[0];

        begin(NULL);
        start_with(counts[i]);
        run_pair(s, SIZE_MAX); /* with side 1, which meets the last */
        assert_int_equal(s->registered_count, counts[i]);
        assert_int_equal(s->heard[CN_ADMISSION_REGISTER],
                         (counts[i] + CN_ADMISSION_ENTRY_COUNT_MAX - 1) /
                             CN_ADMISSION_ENTRY_COUNT_MAX);
        run_call(SIZE_MAX);
        for (int k = 0; k < 2; k++)
            assert_int_equal(sides[k].session.state, CN_SESSION_CLOSED);
        assert_ptr_equal(s->session.joined, &s->want[counts[i] - 1]);
    }
}

static void a_server_that_allows_fewer_is_told_nothing(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    start_with(100);
    verdict.tag_count_max = 199;
    (void)side_send(s);
    server_step(s);
    (void)side_receive(s, SIZE_MAX);
    assert_failed(s, CN_E_LIMIT);
    assert_true(s->session.verdict_known);
    assert_int_equal(cn_want_count_max(&s->session.verdict), 99);
    assert_false(side_send(s));
}

static void one_want_is_always_allowed(void **state)
{
    (void)state;
    verdict.tag_count_max = 1;
    wait_alone(&sides[0]);
    assert_int_equal(cn_want_count_max(&verdict), 1);
}

static void tags_of_many_change_around_the_hour(void **state)
{
    const uint64_t epoch = epoch_start_s / CN_TAG_EPOCH_S;
    struct side *s = &sides[0];

    (void)state;
    start_with(100);
    wait_alone(s);
    assert_registered(s, epoch, 1);
    idle(s, 2030);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 7);
    assert_registered(s, epoch, 2);
    idle(s, 1201);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 7 + 4);
    assert_registered(s, epoch + 1, 1);
    assert_false(s->more);
    assert_in_range(s->heard[CN_ADMISSION_KEEP_ALIVE], 50, 80);
}

/* Side 0 waits with MANY wants, and its line takes no octet while its tags change. */
static void block_in_update(void)
{
    struct side *s = &sides[0];
    size_t size;

    start_with(MANY);
    while (s->session.state < CN_SESSION_WAITING) {
        (void)side_send(s);
        server_step(s);
        (void)side_receive(s, SIZE_MAX);
    }
    now.utc_s += 2030;
    for (int i = 0; i < 31; i++) {
        now.ms += 1000;
        while (cn_session_step(&s->session, now))
            ;
    }
    (void)cn_session_output(&s->session, &size, now);
    assert_int_equal(size, CN_SESSION_LIST_OUT_SIZE); /* and no more, as there is no room */
}

static void a_line_that_takes_nothing_is_given_up_and_not_asked_all_the_time(void **state)
{
    struct side *s = &sides[0];
    uint64_t heard_ms;

    (void)state;
    block_in_update();
    heard_ms = s->session.heard_ms;
    while (s->session.state == CN_SESSION_WAITING) { /* no KEEP_ALIVE comes between */
        assert_true(cn_session_deadline_ms(&s->session, now) > now.ms);
        now.ms = cn_session_deadline_ms(&s->session, now);
        (void)cn_session_step(&s->session, now);
    }
    assert_failed(s, CN_E_TIMEOUT);
    assert_true(now.ms == heard_ms + 3ULL * KEEP_ALIVE_S * 1000);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 0);
}

static void a_line_that_takes_again_gets_the_rest_and_then_keep_alives(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    block_in_update();
    now.ms += KEEP_ALIVE_S * 1000;
    assert_false(cn_session_step(&s->session, now));
    idle(s, 200);
    assert_registered(s, now.utc_s / CN_TAG_EPOCH_S, 2);
    assert_in_range(s->heard[CN_ADMISSION_KEEP_ALIVE], 3, 6);
}

static void being_joined_amid_an_update_goes_well(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    block_in_update();
    assert_err(cn_session_start(&sides[1].session, &sides[1].setup, now), CN_OK);
    for (int i = 0; i < 2; i++) {
        (void)side_send(&sides[1]);
        server_step(&sides[1]);
        (void)side_receive(&sides[1], SIZE_MAX);
    }
    assert_int_equal(sides[1].session.state, CN_SESSION_PROLOGUE);
    (void)side_receive(s, SIZE_MAX);
    assert_int_equal(s->session.state, CN_SESSION_PROLOGUE);
    run_call(SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
    /* what was in out, and no more */
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], CN_SESSION_LIST_OUT_SIZE / CN_ADMISSION_SIZE);
    assert_true(s->more);
}

static void an_answer_before_all_is_registered_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct cn_admission_message joined = { .type = CN_ADMISSION_JOINED, .entry_count = 1 };
        struct side *s = &sides[0];

        begin(NULL);
        start_with(MANY);
        (void)side_send(s);
        server_step(s);
        (void)side_receive(s, SIZE_MAX);
        (void)side_send(s); /* a part */
        server_step(s);
        assert_true(s->more);
        joined.entry[0] = s->listed[0];
        if (i == 0)
            tell(s, &joined);
        else
            tell_type(s, CN_ADMISSION_WAITING);
        (void)side_receive(s, SIZE_MAX);
        assert_failed(s, CN_E_UNEXPECTED);
        assert_false(side_send(s));
    }
}

static void being_refused_amid_a_list_is_heard(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    start_with(MANY);
    (void)side_send(s);
    server_step(s);
    (void)side_receive(s, SIZE_MAX);
    (void)side_send(s);
    server_step(s);
    tell(s, &(struct cn_admission_message) { .type = CN_ADMISSION_REFUSED,
                                             .reason = CN_VERDICT_OVER_LIMIT });
    (void)side_receive(s, SIZE_MAX);
    assert_failed(s, CN_E_ADMISSION);
    assert_int_equal(s->session.verdict.verdict, CN_VERDICT_OVER_LIMIT);
    assert_false(side_send(s));
}

/* Side 0 anew, with wants for both services, some of them late. */
static void start_late(bool first, bool second)
{
    struct side *s = &sides[0];

    s->want[0] = want_of(&people[0], CN_SERVICE_TALK, NULL);
    s->want[1] = want_of(&people[0], CN_SERVICE_PIPE, NULL);
    s->want[0].late = first;
    s->want[1].late = second;
    s->setup.want_count = 2;
    assert_err(cn_session_start(&s->session, &s->setup, now), CN_OK);
}

static void what_is_late_is_registered_after_a_while(void **state)
{
    const uint64_t epoch = epoch_start_s / CN_TAG_EPOCH_S;
    struct side *s = &sides[0];

    (void)state;
    for (int i = 0; i < 2; i++) {
        uint64_t until_ms;

        begin(NULL);
        start_late(i == 0, i == 1);
        until_ms = now.ms + CN_SESSION_LATE_MS;
        wait_alone(s);
        assert_int_equal(s->registered_count, 1);
        assert_true(cn_session_deadline_ms(&s->session, now) == until_ms);
        idle(s, CN_SESSION_LATE_MS / 1000 - 1);
        assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 0);
        idle(s, 1);
        assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 1);
        assert_registered(s, epoch, 1);
        assert_true(cn_session_deadline_ms(&s->session, now) > now.ms + 1000);
        idle(s, 2100); /* they stay when the hour comes */
        assert_registered(s, epoch, 2);
    }
}

static void if_all_are_late_none_is(void **state)
{
    struct side *s = &sides[0];

    (void)state;
    start_late(true, true);
    wait_alone(s);
    assert_registered(s, epoch_start_s / CN_TAG_EPOCH_S, 1);
    idle(s, 60);
    assert_int_equal(s->heard[CN_ADMISSION_UPDATE], 0);
}

static void who_comes_before_is_met_under_what_is_not_late(void **state)
{
    (void)state;
    start_late(true, false); /* side 1 would talk */
    run_pair(sides, SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_WAITING);
    sides[1].want[0].service = CN_SERVICE_PIPE;
    assert_err(cn_session_start(&sides[1].session, &sides[1].setup, now), CN_OK);
    sides[1].at = AT_HELLO;
    run_call(SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
}

static void joined_for_a_witness_a_session_leaves_and_says_nothing(void **state)
{
    struct side *s = &sides[0];
    struct cn_admission_message joined = { .type = CN_ADMISSION_JOINED, .entry_count = 1 };

    (void)state;
    start_late(false, true);
    s->want[1].witness = true;
    wait_alone(s);
    idle(s, CN_SESSION_LATE_MS / 1000);
    assert_registered(s, epoch_start_s / CN_TAG_EPOCH_S, 1);
    joined.entry[0] = s->registered[1];
    tell(s, &joined);
    (void)side_receive(s, SIZE_MAX);
    assert_failed(s, CN_E_ANEW);
    assert_false(side_send(s));
    assert_null(s->session.joined);
}

/* Sides 0 and 1 anew, of which one has an RSA key. */
static void rsa_start(void)
{
    static struct subscriber rsa[2];
    static const struct cn_server_public any = { { 9 } };
    const struct cn_card_terms terms = { "partner", &any, NULL, NULL, 0 };

    identity_load(&crypto, CN_KEM_RSA2048, &rsa[0].identity);
    identity_load(&crypto, CN_KEM_X25519, &rsa[1].identity);
    for (int i = 0; i < 2; i++)
        assert_err(cn_card_create(&rsa[i].card, &crypto, &rsa[i].identity, &terms, &seeded), CN_OK);
    for (uint8_t i = 0; i < 2; i++) {
        assert_err(
            cn_pair_create(&rsa[i].pair, &crypto, &rsa[i].identity, &rsa[i].card, &rsa[1 - i].card),
            CN_OK);
        side_start(&sides[i], &rsa[i], i);
    }
}

/* Both sides hold something back for so long, to the millisecond. */
static void assert_held(enum cn_session_state state, enum at at, unsigned delay_ms)
{
    const uint64_t until_ms = now.ms + delay_ms;

    for (int k = 0; k < 2; k++) {
        run_pair(sides, SIZE_MAX);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(sides[i].session.state, state);
            assert_int_equal(sides[i].at, at);
            assert_true(cn_session_deadline_ms(&sides[i].session, now) == until_ms);
        }
        now.ms = until_ms - 1;
    }
    now.ms = until_ms;
}

static void with_rsa_messages_leave_when_time_tells_no_size(void **state)
{
    (void)state;
    rsa_start();
    assert_held(CN_SESSION_PROLOGUE, AT_READY, CN_PROLOGUE_DELAY_MS);
    assert_held(CN_SESSION_ANSWER, AT_RELAY, CN_ANSWER_DELAY_MS);
    run_call(SIZE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
}

/* A server that has the partner's prologue in hand may pass it before ours has left. */
static void a_prologue_that_comes_early_lets_nothing_out_early(void **state)
{
    enum { SIZE = CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE };
    struct side *s = &sides[0];

    (void)state;
    rsa_start();
    run_pair(sides, SIZE_MAX);
    memcpy(put(&s->out, SIZE), sides[1].session.out + CN_ADMISSION_SIZE, SIZE);
    (void)side_receive(s, SIZE_MAX);
    assert_false(side_send(s));
    assert_int_equal(s->session.state, CN_SESSION_PROLOGUE);
    now.ms += CN_PROLOGUE_DELAY_MS;
    assert_true(side_send(s)); /* READY and F1 */
    assert_int_equal(s->in.end - s->in.begin, CN_ADMISSION_SIZE + SIZE);
    (void)side_receive(s, SIZE_MAX);
    assert_int_equal(s->session.state, CN_SESSION_ANSWER);
    assert_false(side_send(s));
    now.ms += CN_ANSWER_DELAY_MS;
    assert_true(side_send(s));
}

static void a_clock_that_begins_at_0_is_a_clock(void **state)
{
    (void)state;
    now.ms = 0;
    for (uint8_t i = 0; i < 2; i++)
        side_start(&sides[i], &people[i], i);
    run_pair(sides, SIZE_MAX); /* in no time */
    for (int i = 0; i < 2; i++)
        assert_int_equal(sides[i].session.state, CN_SESSION_CLOSED);
}

/* Written at most so many octets at once. */
static void much_data_passes(size_t total, size_t at_once)
{
    uint64_t piece_state = 1;
    size_t written = 0;
    size_t read = 0;

    run_until(&sides[0], CN_SESSION_OPEN);
    run_until(&sides[1], CN_SESSION_OPEN);
    for (int i = 0; i < 2; i++) {
        if (!sides[i].carried)
            cn_session_carry(&sides[i].session, &sides[i].mux, now);
        sides[i].carried = true;
    }

    struct cn_stream *out;
    struct cn_stream *in = NULL;

    assert_err(cn_mux_open(&sides[0].mux, 9, NULL, 0, &out), CN_OK);
    while (read < total) {
        uint8_t octets[2];
        size_t room;
        uint8_t *to = cn_stream_reserve(out, &room);

        room = room < at_once ? room : at_once;
        for (size_t i = 0; to && i < room; i++)
            to[i] = asked(written + i);
        if (to)
            cn_stream_commit(out, room);
        written += room;
        for (int i = 0; i < 2; i++) {
            size_t size, most;

            if (sides[1 - i].out.end - sides[1 - i].out.begin <
                LINE_SIZE / 4) { /* else it is full */
                (void)side_send(&sides[i]);
                server_step(&sides[i]);
            }
            (void)seeded_fill(&piece_state, octets, sizeof octets);
            most = (size_t)octets[0] << 8 | octets[1];
            to = cn_session_input(&sides[i].session, &size);
            size = size < most ? size : most;
            if (size > sides[i].out.end - sides[i].out.begin)
                size = sides[i].out.end - sides[i].out.begin;
            if (size > 0) {
                memcpy(to, get(&sides[i].out, size), size);
                cn_session_received(&sides[i].session, size, now);
            }
            while (cn_session_step(&sides[i].session, now)) {
                struct cn_stream *stream;
                enum cn_event_type type;

                while (cn_mux_next_event(&sides[i].mux, &stream, &type)) {
                    if (i == 1 && cn_stream_kind(stream) == 9)
                        in = stream;
                }
                for (const uint8_t *from; i == 1 && in && (from = cn_stream_peek(in, &size));) {
                    size = size < 40000 ? size : 40000;
                    for (size_t k = 0; k < size; k += 101)
                        assert_int_equal(from[k], asked(read + k));
                    cn_stream_consume(in, size);
                    read += size;
                }
            }
            assert_int_equal(sides[i].session.state, CN_SESSION_OPEN);
        }
        now.ms++;
    }
}

static void much_data_passes_in_pieces_of_any_size(void **state)
{
    (void)state;
    much_data_passes(6 << 20, SIZE_MAX);
}

/* Whose records do not end where the room for them does. */
static void much_data_that_is_written_by_and_by_passes(void **state)
{
    (void)state;
    much_data_passes(2 << 20, 23001);
}

/* --- what fails here -------------------------------------------------------------------------- */

/* All begin anew; the call fails, at the first end, at call `number` of that kind. False: there was
 * none such, and the call went well. */
static bool ends_at(enum failing_call which, unsigned number, enum cn_err err)
{
    end(NULL);
    begin(NULL);
    failing = which;
    until_failure = number;
    rehandshakes = 1;
    run_call(SIZE_MAX);
    rehandshakes = 0;
    failing = NOTHING;
    if (until_failure == 0)
        assert_failed(&sides[0], err);
    else
        assert_int_equal(sides[0].session.state, CN_SESSION_CLOSED);
    return until_failure == 0;
}

static void whatever_cannot_be_said_ends_the_session_with_why(void **state)
{
    static const enum failing_call calls[] = { MESSAGE, RECORD };

    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        unsigned number = 1;

        while (ends_at(calls[i], number, CN_E_CRYPTO))
            number++;
        assert_true(number > 2);
    }
}

static void a_long_list_that_cannot_be_said_ends_the_session(void **state)
{
    (void)state;
    for (unsigned number = 1; number < 3; number++) {
        end(NULL);
        begin(NULL);
        verdict.tag_count_max = MANY * CN_TAG_EPOCH_COUNT_MAX;
        for (size_t i = 1; i < MANY; i++)
            sides[0].want[i] = want_of(&people[0], CN_SERVICE_TALK, NULL);
        sides[0].setup.want_count = MANY;
        cn_session_wipe(&sides[0].session);
        assert_err(cn_session_start(&sides[0].session, &sides[0].setup, now), CN_OK);
        failing = MESSAGE;
        until_failure = number;
        run_pair(sides, SIZE_MAX);
        failing = NOTHING;
        assert_int_equal(until_failure, 0);
        assert_failed(&sides[0], CN_E_CRYPTO);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_verdict_but_admitted_ends_it),
        TEST(a_verdict_of_another_server_is_refused),
        TEST(refused_ends_it),
        TEST(goaway_says_when_to_come_back),
        TEST(what_only_subscribers_say_is_refused),
        TEST(waiting_comes_once),
        TEST(a_keep_alive_is_no_answer_to_register),
        TEST(being_joined_under_a_tag_that_is_not_mine_is_refused),
        TEST(joining_two_who_are_no_pair_fails_at_both),
        TEST(a_prologue_handed_back_to_its_maker_is_refused),
        TEST(a_prologue_of_another_length_is_refused),
        TEST(what_was_said_in_an_earlier_call_opens_no_other),
        TEST(a_line_that_ends_before_close_is_an_interruption),
        TEST(a_session_that_failed_keeps_no_secret_but_a_calls_that_may_be_open),
        TEST(without_randomness_none_begins),
        TEST(silence_of_the_server_runs_out),
        TEST(a_server_that_answers_no_keep_alive_is_given_up),
        TEST(no_octet_but_the_last_makes_an_end),
        TEST(a_cut_anywhere_is_never_an_end),
        TEST(a_damaged_octet_anywhere_is_never_data_and_never_an_end),
        TEST(every_octet_of_the_first_record_counts),
        TEST(a_call_opens_carries_data_and_closes),
        TEST(keys_of_the_records_are_not_kept_beside_them),
        TEST(keys_are_replaced_while_a_call_goes_on),
        TEST(fresh_keys_change_nothing_about_cuts_and_damage),
        TEST(a_line_that_takes_nothing_is_found_dead),
        TEST(who_has_said_finish_keeps_what_the_call_may_go_on_with),
        TEST(both_ends_count_what_is_said_and_what_is_heard),
        TEST(keys_are_not_replaced_too_soon),
        TEST(keys_are_not_used_for_too_long),
        TEST(time_replaces_keys_too),
        TEST(what_follows_the_finish_waits_for_a_mux),
        TEST(keep_alives_come_after_three_quarters_of_the_interval_to_all_of_it),
        TEST(tags_change_around_the_hour),
        TEST(tags_that_change_before_register_is_answered_wait_for_the_answer),
        TEST(a_clock_that_is_set_while_waiting_changes_the_tags),
        TEST(a_clock_that_is_set_right_again_in_time_changes_nothing),
        TEST(a_join_that_an_update_crossed_is_taken),
        TEST(ends_whose_clocks_differ_by_minutes_meet_around_the_hour),
        TEST(the_want_that_was_met_is_the_one_joined),
        TEST(two_who_both_call_do_not_meet),
        TEST(lists_longer_than_a_message_come_in_several),
        TEST(a_server_that_allows_fewer_is_told_nothing),
        TEST(one_want_is_always_allowed),
        TEST(tags_of_many_change_around_the_hour),
        TEST(a_line_that_takes_nothing_is_given_up_and_not_asked_all_the_time),
        TEST(a_line_that_takes_again_gets_the_rest_and_then_keep_alives),
        TEST(being_joined_amid_an_update_goes_well),
        TEST(an_answer_before_all_is_registered_is_refused),
        TEST(being_refused_amid_a_list_is_heard),
        TEST(what_is_late_is_registered_after_a_while),
        TEST(if_all_are_late_none_is),
        TEST(who_comes_before_is_met_under_what_is_not_late),
        TEST(joined_for_a_witness_a_session_leaves_and_says_nothing),
        TEST(with_rsa_messages_leave_when_time_tells_no_size),
        TEST(a_prologue_that_comes_early_lets_nothing_out_early),
        TEST(a_clock_that_begins_at_0_is_a_clock),
        TEST(much_data_passes_in_pieces_of_any_size),
        TEST(much_data_that_is_written_by_and_by_passes),
        TEST(whatever_cannot_be_said_ends_the_session_with_why),
        TEST(a_long_list_that_cannot_be_said_ends_the_session),
    };

    return cmocka_run_group_tests(tests, people_setup, crypto_teardown);
}
