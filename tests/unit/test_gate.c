/* The gate, in this process and with a clock of our own: what each state refuses, and that who
 * fails harms nobody else. */
#include "unit.h"

#include <netinet/tcp.h>
#include <time.h>

#include "rig.h"

static struct rig rig;
static time_t utc_s; /* 0: what it is */

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int failed = __real_clock_gettime(clock, out);

    if (failed == 0 && clock == CLOCK_REALTIME && utc_s != 0)
        out->tv_sec = utc_s;
    return failed;
}

static int begin(void **state)
{
    (void)state;
    utc_s = 0;
    rig_init(&rig, &crypto);
    rig_start(&rig);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* Other limits, which make a gate of its own. */
static void restart(void)
{
    rig_stop(&rig);
    rig_start(&rig);
}

static void nobody_is_left(void)
{
    struct cn_gate_status s = rig_status(&rig);

    assert_int_equal(s.lines, 0);
    assert_int_equal(s.pending, 0);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.joining, 0);
}

/* --- what each state refuses ----------------------------------------------------------------- */

enum stage { ADMITTED, WAITING, JOINED, STAGE_COUNT };

static const char allowed[STAGE_COUNT][CN_ADMISSION_TYPE_COUNT] = {
    [ADMITTED][CN_ADMISSION_REGISTER] = 1,  [WAITING][CN_ADMISSION_UPDATE] = 1,
    [WAITING][CN_ADMISSION_KEEP_ALIVE] = 1, [JOINED][CN_ADMISSION_UPDATE] = 1,
    [JOINED][CN_ADMISSION_KEEP_ALIVE] = 1,  [JOINED][CN_ADMISSION_READY] = 1,
};

/* A line in that stage; its partner, if it has one. */
static struct peer staged(enum stage stage, struct peer *partner)
{
    struct peer p;

    *partner = (struct peer) { .fd = -1 };
    if (stage == JOINED) {
        peer_pair(&rig, &p, partner);
        return p;
    }
    if (stage == ADMITTED)
        return peer_admit(&rig, 1);
    p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    return p;
}

static void drop(struct peer *one, struct peer *other)
{
    peer_close(one);
    peer_close(other);
    rig_turn(&rig);
    nobody_is_left();
}

static void every_message_that_is_not_allowed_ends_the_line(void **state)
{
    (void)state;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        for (int type = 1; type < CN_ADMISSION_TYPE_COUNT; type++) {
            uint64_t bad = rig_count(&rig, CN_GATE_BAD_MESSAGE);
            struct peer partner;
            struct peer p = staged((enum stage)stage, &partner);

            peer_say(&rig, &p, (enum cn_admission_type)type, CN_MODE_INPUT, 7);
            rig_turn(&rig);
            assert_int_equal(peer_state(&p) != ENDED, allowed[stage][type]);
            assert_int_equal(rig_count(&rig, CN_GATE_BAD_MESSAGE) - bad, !allowed[stage][type]);
            if (partner.fd >= 0)
                assert_int_equal(peer_state(&partner), OPEN);
            drop(&p, &partner);
        }
    }
}

static void a_forged_message_ends_the_line_without_an_octet(void **state)
{
    uint8_t forged[CN_ADMISSION_SIZE];

    (void)state;
    fill(1, forged, sizeof forged);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        struct peer partner;
        struct peer p = staged((enum stage)stage, &partner);

        peer_raw(&p, forged, sizeof forged);
        rig_turn(&rig);
        assert_int_equal(peer_state(&p), ENDED);
        if (partner.fd >= 0)
            assert_int_equal(peer_state(&partner), OPEN);
        drop(&p, &partner);
    }
}

static void a_message_cut_short_at_any_octet_is_no_message(void **state)
{
    (void)state;
    for (size_t size = 1; size < CN_ADMISSION_SIZE; size += 31) {
        const struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER,
                                                .entry_count = 1,
                                                .entry = { { CN_MODE_INPUT, { 7 } } } };
        struct peer p = peer_admit(&rig, 1);
        uint8_t out[CN_ADMISSION_SIZE];

        assert_err(cn_admission_seal(&p.line, &crypto, &m, out), CN_OK);
        peer_raw(&p, out, size);
        rig_turn(&rig);
        assert_int_equal(rig_status(&rig).waiting, 0);
        peer_close(&p);
        rig_turn(&rig);
        nobody_is_left();
    }
}

static void a_message_in_single_octets_is_one_message(void **state)
{
    const struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER,
                                            .entry_count = 1,
                                            .entry = { { CN_MODE_INPUT, { 7 } } } };
    struct peer p = peer_admit(&rig, 1);
    uint8_t out[CN_ADMISSION_SIZE];

    (void)state;
    assert_err(cn_admission_seal(&p.line, &crypto, &m, out), CN_OK);
    for (size_t i = 0; i < sizeof out; i++) {
        peer_raw(&p, out + i, 1);
        rig_turn(&rig);
    }
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    peer_close(&p);
}

static void messages_sent_at_once_are_taken_one_by_one(void **state)
{
    struct peer p = peer_admit(&rig, 1);

    (void)state;
    peer_say(&rig, &p, CN_ADMISSION_REGISTER, CN_MODE_INPUT, 7);
    peer_say(&rig, &p, CN_ADMISSION_UPDATE, CN_MODE_INPUT, 8);
    peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_KEEP_ALIVE);
    assert_int_equal(peer_state(&p), OPEN);
    peer_close(&p);
}

static void a_keep_alive_amid_an_update_ends_the_line(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_UPDATE,
                                      .more = true,
                                      .entry_count = 1,
                                      .entry = { { CN_MODE_INPUT, { 8 } } } };
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    peer_message(&rig, &p, &m);
    peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
    rig_turn(&rig);
    assert_int_equal(peer_state(&p), ENDED);
    peer_close(&p);
}

/* --- a bad hello ------------------------------------------------------------------------------ */

/* So many octets that are no hello, or begin like none. */
static struct peer rubbish(size_t size, uint8_t address)
{
    static uint8_t octets[8 * CN_ADMISSION_SIZE];
    struct peer p = peer_connect(&rig, 1, address);

    fill(1, octets, sizeof octets);
    assert_true(peer_raw(&p, octets, size));
    rig_turn(&rig);
    return p;
}

/* Else whoever looks for servers could measure the hello. */
static void a_bad_hello_of_any_size_ends_like_one_that_is_not_whole(void **state)
{
    static const size_t sizes[] = { 1, CN_ADMISSION_SIZE - 1, CN_ADMISSION_SIZE,
                                    CN_ADMISSION_SIZE + 1, 8 * CN_ADMISSION_SIZE };
    uint8_t octet;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct peer p = rubbish(sizes[i], 1);

        assert_true(peer_raw(&p, "more", 4));
        rig_later(&rig, 4999);
        assert_int_equal(peer_state(&p), OPEN);
        rig_later(&rig, 1);
        assert_int_equal(recv(p.fd, &octet, 1, 0), 0); /* an end, and no reset */
        peer_close(&p);
        nobody_is_left();
    }
    assert_int_equal(rig_count(&rig, CN_GATE_HELLO_TIMEOUT), 1);
    assert_int_equal(rig_count(&rig, CN_GATE_BAD_HELLO), COUNT(sizes) - 1); /* "more" made 1027 */
}

static void who_said_a_bad_hello_and_hangs_up_is_gone_and_counted_once(void **state)
{
    struct peer p = rubbish(CN_ADMISSION_SIZE, 1);

    (void)state;
    peer_close(&p);
    rig_turn(&rig);
    nobody_is_left();
    assert_int_equal(rig_count(&rig, CN_GATE_BAD_HELLO), 1);
    assert_int_equal(rig_count(&rig, CN_GATE_LOST), 0);
}

static void who_said_a_bad_hello_is_pending_until_it_has_gone(void **state)
{
    struct peer p, another;

    (void)state;
    rig.config.pending_per_address = 1;
    restart();
    p = rubbish(CN_ADMISSION_SIZE, 9);
    assert_int_equal(rig_status(&rig).pending, 1);
    another = peer_connect(&rig, 2, 9);
    assert_int_equal(peer_state(&another), ENDED);
    drop(&p, &another);
}

static void who_said_a_bad_hello_does_not_delay_the_end(void **state)
{
    struct peer p = rubbish(CN_ADMISSION_SIZE, 1);

    (void)state;
    cn_gate_goaway(rig.gate);
    assert_int_equal(peer_state(&p), ENDED);
    assert_int_equal(cn_gate_busy(rig.gate), 0);
    peer_close(&p);
}

/* --- before REGISTER: nothing counts --------------------------------------------------------- */

static struct peer expired(uint8_t who, uint8_t address)
{
    struct peer p = peer_connect(&rig, who, address);

    p.fingerprint.certificate.not_after = 1;
    rig_need(cn_certificate_sign(&p.fingerprint.certificate, &rig.operator_secret) == CN_OK);
    peer_hello(&rig, &p);
    assert_int_equal(peer_verdict(&p), CN_VERDICT_EXPIRED);
    return p;
}

/* A certificate valid from 1000000 up to, and not at, 1000100. */
static struct peer valid_a_while(time_t now)
{
    struct peer p = peer_connect(&rig, 1, 1);

    p.fingerprint.certificate.not_before = 1000000;
    p.fingerprint.certificate.not_after = 1000100;
    assert_err(cn_certificate_sign(&p.fingerprint.certificate, &rig.operator_secret), CN_OK);
    utc_s = now;
    peer_hello(&rig, &p);
    return p;
}

static void a_certificate_is_valid_from_its_first_second_to_the_one_before_its_end(void **state)
{
    static const struct {
        time_t now;
        enum cn_verdict verdict;
    } rows[] = {
        { 999999, CN_VERDICT_NOT_YET_VALID },
        { 1000000, CN_VERDICT_ADMITTED },
        { 1000099, CN_VERDICT_ADMITTED },
        { 1000100, CN_VERDICT_EXPIRED },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct peer p = valid_a_while(rows[i].now);

        assert_int_equal(peer_verdict(&p), rows[i].verdict);
        peer_close(&p);
    }
}

/* How many octets of notices its verdict holds. */
static size_t notices_heard(struct peer *p, enum cn_verdict verdict)
{
    uint8_t in[CN_ADMISSION_SIZE];
    struct cn_admission_verdict got;

    peer_hello(&rig, p);
    assert_true(peer_take(p, in, sizeof in));
    assert_err(cn_admission_verdict_read(&p->noise, in, &got, &p->line), CN_OK);
    assert_int_equal(got.verdict, verdict);
    peer_close(p);
    return got.notice_size;
}

/* Valid between these times. */
static struct peer valid(uint64_t not_before, uint64_t not_after)
{
    struct peer p = peer_connect(&rig, 1, 1);

    p.fingerprint.certificate.not_before = not_before;
    p.fingerprint.certificate.not_after = not_after;
    assert_err(cn_certificate_sign(&p.fingerprint.certificate, &rig.operator_secret), CN_OK);
    return p;
}

static void notices_are_for_those_who_are_or_could_be_admitted(void **state)
{
    struct cn_held_notice held = { .number = 5, .serial = 99, .size = 260 };
    const struct cn_common_notice common = { .number = 6, .size = 100 };
    struct cn_blocked blocked = { .serial = 1, .reason = CN_VERDICT_SUSPENDED };
    struct peer p;
    uint32_t cut;

    (void)state;
    utc_s = 1000;
    p = valid(0, 2000);
    memcpy(held.admission_key, p.fingerprint.certificate.admission_key, CN_X25519_SIZE);
    assert_err(cn_gate_notices(rig.gate, &held, 1, &common), CN_OK);
    assert_int_equal(notices_heard(&p, CN_VERDICT_ADMITTED), 360);
    p = valid(0, 1000);
    assert_int_equal(notices_heard(&p, CN_VERDICT_EXPIRED), 360);
    p = valid(1001, 2000);
    assert_int_equal(notices_heard(&p, CN_VERDICT_NOT_YET_VALID), 360);
    p = peer_connect(&rig, 2, 2); /* another subscriber */
    assert_int_equal(notices_heard(&p, CN_VERDICT_ADMITTED), 100);
    held.serial = 1; /* he has it */
    assert_err(cn_gate_notices(rig.gate, &held, 1, &common), CN_OK);
    p = valid(0, 2000);
    assert_int_equal(notices_heard(&p, CN_VERDICT_ADMITTED), 100);
    held.serial = 99;
    assert_err(cn_gate_notices(rig.gate, &held, 1, &common), CN_OK);
    memcpy(blocked.admission_key, held.admission_key, CN_X25519_SIZE);
    assert_err(cn_gate_registry(rig.gate, &rig.settings, &blocked, 1, &cut), CN_OK);
    p = valid(0, 2000);
    assert_int_equal(notices_heard(&p, CN_VERDICT_SUSPENDED), 0);
}

static void who_waits_is_sent_away_at_the_second_its_certificate_ends(void **state)
{
    struct peer p = valid_a_while(1000000);
    struct cn_admission_message m;

    (void)state;
    assert_int_equal(peer_verdict(&p), CN_VERDICT_ADMITTED);
    peer_say(&rig, &p, CN_ADMISSION_REGISTER, CN_MODE_INPUT, 7);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    utc_s += 99;
    rig_later(&rig, 99999);
    assert_int_equal(peer_state(&p), OPEN);
    utc_s += 1;
    rig_later(&rig, 1);
    assert_int_equal(peer_hear(&rig, &p, &m), CN_ADMISSION_REFUSED);
    assert_int_equal(m.reason, CN_VERDICT_EXPIRED);
    assert_int_equal(peer_state(&p), ENDED);
    peer_close(&p);
}

static void who_was_refused_in_the_verdict_is_pending_until_it_has_gone(void **state)
{
    struct peer first, second, third;

    (void)state;
    rig.config.pending_per_address = 2;
    restart();
    first = expired(1, 9);
    second = expired(2, 9);
    assert_int_equal(rig_status(&rig).pending, 2);
    third = peer_connect(&rig, 3, 9);
    assert_int_equal(peer_state(&third), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_DROPPED_ADDRESS), 1);
    peer_close(&first);
    rig_turn(&rig);
    peer_close(&third);
    third = peer_connect(&rig, 3, 9);
    assert_int_equal(peer_state(&third), OPEN);
    peer_close(&second);
    peer_close(&third);
    rig_turn(&rig);
    nobody_is_left();
}

static void who_was_refused_counts_once(void **state)
{
    struct peer p = expired(1, 1);

    (void)state;
    peer_close(&p);
    rig_turn(&rig);
    assert_int_equal(rig_count(&rig, CN_GATE_REFUSED_EXPIRED), 1);
    assert_int_equal(rig_count(&rig, CN_GATE_LOST), 0);
}

static void who_was_refused_and_stays_is_closed_in_time(void **state)
{
    struct peer p = expired(1, 1);

    (void)state;
    rig_later(&rig, 5001);
    assert_int_equal(peer_state(&p), ENDED);
    nobody_is_left();
    peer_close(&p);
}

static int unread_by_the_gate(const struct peer *p)
{
    int unread = -1;

    assert_int_equal(ioctl(p->fd, TIOCOUTQ, &unread), 0);
    return unread;
}

/* Else the gate would read for as long as somebody can write. */
static void gets_no_more_than_its_turn(struct peer *p)
{
    static const uint8_t words[4096];
    int before;

    while (peer_raw(p, words, sizeof words))
        ;
    before = unread_by_the_gate(p);
    assert_err(cn_loop_turn(&rig.loop, false), CN_OK);
    assert_true(unread_by_the_gate(p) > before / 2);
    peer_close(p);
}

static void who_is_not_listened_to_and_speaks_on_gets_no_more_than_its_turn(void **state)
{
    struct peer refused = expired(1, 1);
    struct peer bad = rubbish(CN_ADMISSION_SIZE, 1);

    (void)state;
    gets_no_more_than_its_turn(&refused);
    gets_no_more_than_its_turn(&bad);
}

static void a_hello_alone_changes_nothing(void **state)
{
    struct peer waiting = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct peer again = peer_admit(&rig, 1);

    (void)state;
    assert_int_equal(rig_count(&rig, CN_GATE_ADMITTED), 1);
    assert_int_equal(peer_hear(&rig, &waiting, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_state(&waiting), OPEN);
    rig_later(&rig, 5001);
    assert_int_equal(peer_state(&again), ENDED);
    assert_int_equal(peer_state(&waiting), OPEN);
    assert_int_equal(rig_count(&rig, CN_GATE_HELLO_TIMEOUT), 1);
    drop(&waiting, &again);
}

/* --- joining --------------------------------------------------------------------------------- */

static void a_pair_is_handed_over_when_both_prologues_have_been_written(void **state)
{
    struct peer a, b;
    char octets[3] = "";

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 16384, 'a');
    assert_int_equal(peer_state(&b), OPEN);
    peer_ready(&rig, &b, 1, 'b');
    assert_true(peer_has_prologue(&a, 1, 'b'));
    assert_true(peer_has_prologue(&b, 16384, 'a'));
    assert_int_equal(rig_count(&rig, CN_GATE_HANDED_OVER), 1);
    assert_true(peer_raw(&a, "xyz", 3));
    rig_turn(&rig);
    assert_true(peer_take(&b, (uint8_t *)octets, 3));
    assert_memory_equal(octets, "xyz", 3);
    drop(&a, &b);
    assert_int_equal(rig_calls(&rig), 0);
}

/* What is sent behind the prologue is the switch's to move. */
static void nothing_is_read_past_the_prologue(void **state)
{
    struct peer a, b;
    char octets[6];

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    assert_true(peer_raw(&a, "\0\3abcbehind", 11));
    rig_turn(&rig);
    peer_ready(&rig, &b, 1, 'b');
    assert_true(peer_has_prologue(&a, 1, 'b'));
    assert_true(peer_take(&b, (uint8_t *)octets, 5));
    assert_memory_equal(octets, "\0\3abc", 5);
    assert_true(peer_take(&b, (uint8_t *)octets, 6));
    assert_memory_equal(octets, "behind", 6);
    drop(&a, &b);
}

static void prologues_of_no_length_and_too_long_ones_end_their_line_alone(void **state)
{
    static const uint8_t heads[][2] = { { 0, 0 }, { 0x40, 1 }, { 0xff, 0xff } };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct peer a, b;

        peer_pair(&rig, &a, &b);
        peer_ready(&rig, &b, 10, 'b');
        peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
        peer_raw(&a, heads[i], 2);
        rig_turn(&rig);
        assert_int_equal(peer_state(&a), ENDED);
        assert_int_equal(peer_state(&b), OPEN);
        assert_int_equal(rig_count(&rig, CN_GATE_BAD_PROLOGUE), i + 1);
        drop(&a, &b);
    }
}

static void who_is_not_ready_in_time_is_dropped_and_its_partner_is_first_in_its_queue(void **state)
{
    struct peer a, b, late, again;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &b, 10, 'b');
    late = peer_register(&rig, 3, CN_MODE_OUTPUT, 7);
    assert_int_equal(peer_hear(&rig, &late, NULL), CN_ADMISSION_WAITING);
    rig_later(&rig, 2999);
    assert_int_equal(peer_state(&a), OPEN);
    rig_later(&rig, 2);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_READY_TIMEOUT), 1);
    assert_int_equal(peer_state(&b), OPEN);
    again = peer_register(&rig, 4, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &again, NULL), CN_ADMISSION_JOINED);
    peer_ready(&rig, &again, 5, 'c');
    assert_true(peer_has_prologue(&again, 10, 'b')); /* and not late's, which came after b */
    assert_true(peer_has_prologue(&b, 5, 'c'));
    assert_int_equal(peer_state(&late), OPEN);
    peer_close(&late);
    peer_close(&again);
    drop(&a, &b);
}

static void a_slow_prologue_costs_who_sends_it_and_not_its_partner(void **state)
{
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a'); /* at once */
    rig_later(&rig, 2900);
    peer_say(&rig, &b, CN_ADMISSION_READY, CN_MODE_INPUT, 0); /* just in time */
    rig_later(&rig, 7099);
    assert_int_equal(peer_state(&b), OPEN);
    rig_later(&rig, 2);
    assert_int_equal(peer_state(&b), ENDED); /* ten seconds after JOINED */
    assert_int_equal(peer_state(&a), OPEN);
    assert_int_equal(rig_count(&rig, CN_GATE_PROLOGUE_TIMEOUT), 1);
    rig_later(&rig, 10001); /* without a partner it waits on for a while only */
    assert_int_equal(peer_state(&a), ENDED);
    nobody_is_left();
    drop(&a, &b);
}

/* Octet by octet, so many milliseconds for each, of a prologue of this size. */
static void trickle(struct peer *p, size_t size, uint64_t ms)
{
    const uint8_t head[2] = { (uint8_t)(size >> 8), (uint8_t)size };

    for (size_t i = 0; i < size + sizeof head; i++) {
        peer_raw(p, i < sizeof head ? &head[i] : (const uint8_t *)"a", 1);
        rig_later(&rig, ms);
    }
}

static void prologues_in_single_octets_are_passed_whole(void **state)
{
    static const size_t sizes[] = { 1, 2, 255, 256, 16384 };

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct peer a, b;

        peer_pair(&rig, &a, &b);
        peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
        rig_turn(&rig);
        peer_ready(&rig, &b, 16384, 'b');
        trickle(&a, sizes[i], 0);
        assert_true(peer_has_prologue(&b, sizes[i], 'a'));
        assert_true(peer_has_prologue(&a, 16384, 'b'));
        drop(&a, &b);
    }
    assert_int_equal(rig_count(&rig, CN_GATE_HANDED_OVER), COUNT(sizes));
}

/* READY is the last word of the admission, and may come in pieces with what is behind it. */
static void a_ready_in_single_octets_and_a_prologue_behind_it_are_told_apart(void **state)
{
    const struct cn_admission_message ready = { .type = CN_ADMISSION_READY };
    uint8_t out[CN_ADMISSION_SIZE + 2 + 3] = { 0 };
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &b, 1, 'b');
    assert_err(cn_admission_seal(&a.line, &crypto, &ready, out), CN_OK);
    memcpy(out + CN_ADMISSION_SIZE, "\0\3aaa", 5);
    for (size_t i = 0; i < sizeof out; i += 2) { /* the boundaries lie within pieces */
        peer_raw(&a, out + i, i + 2 <= sizeof out ? 2 : 1);
        rig_turn(&rig);
    }
    assert_true(peer_has_prologue(&b, 3, 'a'));
    assert_true(peer_has_prologue(&a, 1, 'b'));
    drop(&a, &b);
}

static void a_prologue_may_come_slowly_until_its_limit(void **state)
{
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &b, 10, 'b');
    peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    rig_turn(&rig);
    trickle(&a, 97, 101); /* 99 octets in 9999 ms */
    assert_int_equal(rig_count(&rig, CN_GATE_HANDED_OVER), 1);
    assert_true(peer_has_prologue(&b, 97, 'a'));
    assert_true(peer_has_prologue(&a, 10, 'b'));
    drop(&a, &b);
}

static void no_octet_of_a_prologue_prolongs_its_time(void **state)
{
    struct peer a, b, c;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &b, 10, 'b');
    peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    rig_turn(&rig);
    peer_raw(&a, "\0", 1);
    for (int ms = 0; ms < 9900; ms += 100) {
        assert_int_equal(peer_state(&a), OPEN);
        peer_raw(&a, "\377", 1); /* of 255 octets, and 98 of them come */
        rig_later(&rig, 100);
    }
    rig_later(&rig, 101);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_PROLOGUE_TIMEOUT), 1);
    assert_int_equal(peer_state(&b), OPEN); /* it is not the one to be late */
    c = peer_register(&rig, 3, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &c, NULL), CN_ADMISSION_JOINED);
    peer_ready(&rig, &c, 1, 'c');
    assert_true(peer_has_prologue(&b, 1, 'c'));
    assert_true(peer_has_prologue(&c, 10, 'b'));
    peer_close(&c);
    drop(&a, &b);
}

/* Both are late, neither is given back to anybody. */
static void two_slow_prologues_end_both_lines(void **state)
{
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_say(&rig, &a, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    peer_say(&rig, &b, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    rig_turn(&rig);
    peer_raw(&a, "\0\5aaaa", 6);
    peer_raw(&b, "\0", 1);
    rig_later(&rig, 10001);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(peer_state(&b), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_PROLOGUE_TIMEOUT), 2);
    drop(&a, &b);
}

static void who_has_a_new_partner_waits_for_its_prologue(void **state)
{
    struct peer a, b, c;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a');
    peer_close(&b);
    rig_later(&rig, 9000);
    c = peer_register(&rig, 3, CN_MODE_OUTPUT, 7);
    assert_int_equal(peer_hear(&rig, &c, NULL), CN_ADMISSION_JOINED);
    rig_later(&rig, 2500);
    assert_int_equal(peer_state(&a), OPEN);
    peer_ready(&rig, &c, 3, 'c');
    assert_true(peer_has_prologue(&a, 3, 'c'));
    assert_true(peer_has_prologue(&c, 10, 'a'));
    drop(&a, &c);
}

/* Whoever lost a connection unnoticed has come again meanwhile: the new line is the one to join. */
static void who_is_given_back_gives_way_to_a_newer_line_of_its_subscriber(void **state)
{
    struct peer a, b, newer, other_mode, c;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a');
    other_mode = peer_register(&rig, 1, CN_MODE_OUTPUT, 7);
    newer = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &other_mode, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &newer, NULL), CN_ADMISSION_WAITING);
    peer_close(&b);
    rig_turn(&rig);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_REPLACED), 1);
    assert_int_equal(peer_state(&other_mode), OPEN);
    c = peer_register(&rig, 3, CN_MODE_OUTPUT, 7);
    assert_int_equal(peer_hear(&rig, &c, NULL), CN_ADMISSION_JOINED);
    assert_int_equal(peer_hear(&rig, &newer, NULL), CN_ADMISSION_JOINED);
    peer_close(&a);
    peer_close(&other_mode);
    drop(&newer, &c);
}

/* After READY the next octets are the partner's: a word of ours would be taken for them. */
static void who_was_given_back_and_is_replaced_then_gets_no_octet(void **state)
{
    struct peer a, b, newer;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a');
    peer_close(&b);
    rig_turn(&rig);
    newer = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &newer, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_REPLACED), 1);
    drop(&a, &newer);
}

/* Given back before its READY came, or after it, and met past the deadline of READY. */
static void who_was_given_back_is_matched_for_as_long_as_it_is_there(void **state)
{
    (void)state;
    for (int ready_first = 0; ready_first < 2; ready_first++) {
        struct peer a, b, c;

        peer_pair(&rig, &a, &b);
        if (ready_first)
            peer_ready(&rig, &a, 10, 'a');
        peer_close(&b);
        rig_turn(&rig);
        if (!ready_first)
            peer_ready(&rig, &a, 10, 'a');
        rig_later(&rig, 4000);
        c = peer_register(&rig, 3, CN_MODE_OUTPUT, 7);
        assert_int_equal(peer_hear(&rig, &c, NULL), CN_ADMISSION_JOINED);
        peer_ready(&rig, &c, 3, 'c');
        assert_true(peer_has_prologue(&a, 3, 'c'));
        assert_true(peer_has_prologue(&c, 10, 'a'));
        drop(&a, &c);
    }
}

static void who_has_got_a_part_of_a_prologue_ends_with_its_partner(void **state)
{
    struct peer a, b;

    (void)state;
    rig.config.prologue_size_max = 65535;
    restart();
    peer_pair(&rig, &a, &b);
    for (int size = 1; setsockopt(a.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0;)
        ;
    peer_ready(&rig, &a, 1, 'a');
    peer_ready(&rig, &b, 65535, 'b');
    assert_true(rig_count(&rig, CN_GATE_HANDED_OVER) == 1 || rig_status(&rig).joining == 2);
    peer_close(&b);
    rig_later(&rig, 10001);
    nobody_is_left();
    peer_close(&a);
}

/* The partner has gone, and the gate finds out only when it speaks to it. */
static void a_dead_partner_costs_no_registration(void **state)
{
    struct cn_admission_message both = { .type = CN_ADMISSION_REGISTER,
                                         .entry_count = 2,
                                         .entry = { { CN_MODE_OUTPUT, { 7 } },
                                                    { CN_MODE_OUTPUT, { 8 } } } };
    struct peer dead = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct peer p = peer_admit(&rig, 2);
    struct peer later;
    struct cn_admission_message joined;

    (void)state;
    assert_int_equal(peer_hear(&rig, &dead, NULL), CN_ADMISSION_WAITING);
    peer_message(&rig, &p, &both);
    peer_close(&dead); /* comes behind the REGISTER */
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    later = peer_register(&rig, 3, CN_MODE_INPUT, 8);
    assert_int_equal(peer_hear(&rig, &later, NULL), CN_ADMISSION_JOINED);
    assert_int_equal(peer_hear(&rig, &p, &joined), CN_ADMISSION_JOINED);
    assert_int_equal(joined.entry[0].tag[0], 8);
    drop(&p, &later);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void silence_ends_a_waiting_line_and_keep_alives_do_not(void **state)
{
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    for (int i = 0; i < 20; i++) {
        rig_later(&rig, 60000);
        peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
        rig_turn(&rig);
        assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_KEEP_ALIVE);
    }
    rig_later(&rig, 120999);
    assert_int_equal(peer_state(&p), OPEN);
    rig_later(&rig, 2);
    assert_int_equal(peer_state(&p), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_OVERDUE), 1);
    peer_close(&p);
}

/* It goes on at the rate that its verdict told it. */
static void a_shorter_keep_alive_is_none_for_lines_that_are_there(void **state)
{
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct cn_config config = rig.config;
    struct peer later;

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    config.keep_alive = 1;
    cn_gate_configure(rig.gate, &config);
    later = peer_register(&rig, 2, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &later, NULL), CN_ADMISSION_WAITING);
    rig_later(&rig, 3001);
    assert_int_equal(peer_state(&later), ENDED);
    for (int i = 0; i < 3; i++) {
        peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
        rig_turn(&rig);
        assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_KEEP_ALIVE);
        rig_later(&rig, 60000);
        assert_int_equal(peer_state(&p), OPEN);
    }
    drop(&p, &later);
}

static void waiting_time_ends_a_line_that_is_alive(void **state)
{
    struct cn_admission_message m;
    struct peer p;

    (void)state;
    rig.config.waiting_time = 100;
    restart();
    p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    rig_later(&rig, 60000);
    peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
    rig_later(&rig, 39999);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_KEEP_ALIVE);
    assert_int_equal(peer_state(&p), OPEN);
    rig_later(&rig, 2);
    assert_int_equal(peer_hear(&rig, &p, &m), CN_ADMISSION_GOAWAY);
    assert_int_equal(m.spread_s, 0); /* it may come back at once */
    assert_int_equal(peer_state(&p), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_WAITED_OUT), 1);
    assert_int_equal(rig_status(&rig).waiting, 0);
    peer_close(&p);
}

static void who_is_silent_when_its_waiting_time_is_over_hears_nothing(void **state)
{
    struct peer p;

    (void)state;
    rig.config.waiting_time = 121;
    restart();
    p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    rig_later(&rig, 121000);
    assert_int_equal(peer_state(&p), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_OVERDUE), 1);
    peer_close(&p);
}

/* Our time goes on and UTC does not, as if it had been set back. */
static void a_certificate_ends_by_the_clock_and_not_by_the_time_that_has_passed(void **state)
{
    struct peer p = peer_connect(&rig, 1, 1);

    (void)state;
    p.fingerprint.certificate.not_after = (uint64_t)time(NULL) + 1000;
    assert_err(cn_certificate_sign(&p.fingerprint.certificate, &rig.operator_secret), CN_OK);
    peer_hello(&rig, &p);
    assert_int_equal(peer_verdict(&p), CN_VERDICT_ADMITTED);
    peer_say(&rig, &p, CN_ADMISSION_REGISTER, CN_MODE_INPUT, 7);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    for (int ms = 0; ms < 2000000; ms += 50000) {
        rig_later(&rig, 50000);
        assert_int_equal(peer_state(&p), OPEN);
        peer_say(&rig, &p, CN_ADMISSION_KEEP_ALIVE, CN_MODE_INPUT, 0);
        rig_turn(&rig);
        assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_KEEP_ALIVE);
    }
    peer_close(&p);
}

/* The certificate's end, as it was planned for, comes amid an UPDATE; the clock has been set back.
 */
static void a_clock_that_is_set_back_ends_no_valid_line_amid_an_update(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_UPDATE,
                                      .more = true,
                                      .entry_count = 1,
                                      .entry = { { CN_MODE_INPUT, { 8 } } } };
    struct peer p = valid_a_while(1000097);

    (void)state;
    assert_int_equal(peer_verdict(&p), CN_VERDICT_ADMITTED);
    peer_say(&rig, &p, CN_ADMISSION_REGISTER, CN_MODE_INPUT, 7);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    peer_message(&rig, &p, &m);
    rig_turn(&rig);
    utc_s = 1000050;
    rig_later(&rig, 4999);
    assert_int_equal(peer_state(&p), OPEN);
    m.more = false;
    peer_message(&rig, &p, &m);
    rig_later(&rig, 40000);
    assert_int_equal(peer_state(&p), OPEN);
    peer_close(&p);
}

static void waiting_time_begins_anew_for_who_comes_back(void **state)
{
    struct peer p, partner;

    (void)state;
    rig.config.waiting_time = 50;
    restart();
    for (int i = 0; i < 3; i++) {
        p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
        assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
        rig_later(&rig, 49999);
        assert_int_equal(peer_state(&p), OPEN);
        rig_later(&rig, 1);
        assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_GOAWAY);
        peer_close(&p);
        rig_turn(&rig);
    }
    peer_pair(&rig, &p, &partner);
    drop(&p, &partner);
}

/* How many of these UPDATEs, one each so many milliseconds, are taken before one is refused. */
static unsigned updates_taken(struct peer *p, unsigned most, uint64_t ms)
{
    struct cn_admission_message m;
    unsigned taken = 0;

    for (; taken < most; taken++) {
        rig_later(&rig, ms);
        peer_say(&rig, p, CN_ADMISSION_UPDATE, CN_MODE_INPUT, (uint8_t)taken);
        rig_turn(&rig);
        if (peer_state(p) != OPEN)
            break;
    }
    if (taken < most) {
        assert_int_equal(peer_hear(&rig, p, &m), CN_ADMISSION_REFUSED);
        assert_int_equal(m.reason, CN_VERDICT_OVER_LIMIT);
        assert_int_equal(peer_state(p), ENDED);
    }
    return taken;
}

static void too_many_updates_at_once_end_the_line_and_no_other(void **state)
{
    struct peer other = peer_register(&rig, 1, CN_MODE_OUTPUT, 77);
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &other, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(updates_taken(&p, 100, 0), 30);
    assert_int_equal(rig_count(&rig, CN_GATE_REFUSED_OVER_LIMIT), 1);
    assert_int_equal(updates_taken(&other, 30, 0), 30); /* each line has its own */
    drop(&p, &other);
}

static void updates_at_an_even_rate_are_taken_for_ever_and_faster_ones_are_not(void **state)
{
    struct peer even = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct peer fast;
    unsigned taken;

    (void)state;
    assert_int_equal(peer_hear(&rig, &even, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(updates_taken(&even, 30, 0), 30);
    assert_int_equal(updates_taken(&even, 200, 2000), 200);
    rig_later(&rig, 60000);
    assert_int_equal(updates_taken(&even, 31, 0),
                     30); /* after a minute as many at once as at first */
    fast = peer_register(&rig, 2, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &fast, NULL), CN_ADMISSION_WAITING);
    taken = updates_taken(&fast, 200, 1000);
    assert_in_range(taken, 58, 60); /* thirty, and one for each two seconds until then */
    drop(&even, &fast);
}

static void an_update_that_is_never_whole_ends_the_line_in_time(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_UPDATE,
                                      .more = true,
                                      .entry_count = 1,
                                      .entry = { { CN_MODE_INPUT, { 8 } } } };
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    for (int i = 0; i < 5; i++) { /* no part prolongs it */
        assert_int_equal(peer_state(&p), OPEN);
        peer_message(&rig, &p, &m);
        rig_turn(&rig);
        rig_later(&rig, 999);
    }
    assert_int_equal(peer_state(&p), OPEN);
    rig_later(&rig, 5);
    assert_int_equal(peer_state(&p), ENDED);
    peer_close(&p);
}

static void an_update_in_parts_that_is_whole_in_time_ends_nothing(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_UPDATE,
                                      .more = true,
                                      .entry_count = 1,
                                      .entry = { { CN_MODE_INPUT, { 8 } } } };
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    peer_message(&rig, &p, &m);
    rig_turn(&rig);
    rig_later(&rig, 4999);
    m.more = false;
    peer_message(&rig, &p, &m);
    rig_turn(&rig);
    rig_later(&rig, 100000);
    assert_int_equal(peer_state(&p), OPEN);
    peer_close(&p);
}

static void an_update_in_parts_counts_once(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_UPDATE,
                                      .more = true,
                                      .entry_count = 1,
                                      .entry = { { CN_MODE_INPUT, { 8 } } } };
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    for (int part = 0; part < 100; part++) {
        peer_message(&rig, &p, &m);
        rig_turn(&rig);
    }
    assert_int_equal(updates_taken(&p, 31, 0), 30);
    peer_close(&p);
}

/* Entries of which more are to come: what the gate answers, or CN_ADMISSION_TYPE_COUNT if nothing.
 */
static enum cn_admission_type begin_list(struct peer *p, enum cn_admission_type type, uint8_t tag)
{
    struct cn_admission_message m = {
        .type = type, .more = true, .entry_count = 1, .entry = { { CN_MODE_INPUT, { tag } } }
    };

    peer_message(&rig, p, &m);
    rig_turn(&rig);
    return peer_hear(&rig, p, NULL);
}

static void a_subscriber_with_many_unfinished_lists_denies_them_to_nobody_else(void **state)
{
    struct peer p[3], other;

    (void)state;
    rig.config.lists_max = 4;
    rig.config.lists_per_subscriber = 2;
    restart();
    for (uint8_t i = 0; i < 3; i++) {
        p[i] = peer_admit(&rig, 1);
        assert_int_equal(begin_list(&p[i], CN_ADMISSION_REGISTER, i),
                         i < 2 ? CN_ADMISSION_TYPE_COUNT : CN_ADMISSION_REFUSED);
    }
    other = peer_register(&rig, 2, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &other, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(begin_list(&other, CN_ADMISSION_UPDATE, 8), CN_ADMISSION_TYPE_COUNT);
    assert_int_equal(peer_state(&other), OPEN);
    peer_close(&p[0]); /* which makes room for another */
    peer_close(&p[2]);
    rig_turn(&rig);
    p[0] = peer_admit(&rig, 1);
    assert_int_equal(begin_list(&p[0], CN_ADMISSION_REGISTER, 9), CN_ADMISSION_TYPE_COUNT);
    assert_int_equal(peer_state(&p[0]), OPEN);
    rig_later(&rig, 5001); /* nor are they held for long */
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(peer_state(&p[i]), ENDED);
        peer_close(&p[i]);
    }
    peer_close(&other);
    rig_turn(&rig);
    nobody_is_left();
}

static void there_are_so_many_unfinished_lists_and_no_more(void **state)
{
    struct peer p[3];

    (void)state;
    rig.config.lists_max = 2;
    restart();
    for (uint8_t i = 0; i < 3; i++) {
        p[i] = peer_admit(&rig, i);
        assert_int_equal(begin_list(&p[i], CN_ADMISSION_REGISTER, i),
                         i < 2 ? CN_ADMISSION_TYPE_COUNT : CN_ADMISSION_REFUSED);
    }
    for (uint8_t i = 0; i < 3; i++)
        peer_close(&p[i]);
}

/* What crossed JOINED means nothing any more, and holds nothing. */
static void who_is_joined_amid_an_update_gives_its_list_back(void **state)
{
    struct peer a, b, again;

    (void)state;
    rig.config.lists_max = 1;
    restart();
    a = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &a, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(begin_list(&a, CN_ADMISSION_UPDATE, 8), CN_ADMISSION_TYPE_COUNT);
    b = peer_register(&rig, 2, CN_MODE_OUTPUT, 7);
    assert_int_equal(peer_hear(&rig, &a, NULL), CN_ADMISSION_JOINED);
    again = peer_admit(&rig, 3);
    assert_int_equal(begin_list(&again, CN_ADMISSION_REGISTER, 9), CN_ADMISSION_TYPE_COUNT);
    assert_int_equal(peer_state(&again), OPEN);
    peer_close(&again);
    drop(&a, &b);
}

static void a_subscriber_has_only_so_many_tags_over_all_its_lines(void **state)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER };
    struct cn_admission_message said;
    struct peer first, second, other;

    (void)state;
    rig.config.tags_per_subscriber = 40;
    restart();
    for (uint8_t i = 0; i < 30; i++)
        m.entry[m.entry_count++] = (struct cn_entry) { CN_MODE_INPUT, { 100, i } };
    first = peer_admit(&rig, 1);
    peer_message(&rig, &first, &m);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &first, NULL), CN_ADMISSION_WAITING);
    for (uint8_t i = 0; i < 30; i++)
        m.entry[i].tag[0] = 101;
    second = peer_admit(&rig, 1);
    peer_message(&rig, &second, &m);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &second, &said), CN_ADMISSION_REFUSED);
    assert_int_equal(said.reason, CN_VERDICT_OVER_LIMIT);
    other = peer_admit(&rig, 2);
    peer_message(&rig, &other, &m);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &other, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_state(&first), OPEN);
    /* an UPDATE replaces: no more than before is no more than allowed */
    m.type = CN_ADMISSION_UPDATE;
    peer_message(&rig, &first, &m);
    rig_turn(&rig);
    assert_int_equal(peer_state(&first), OPEN);
    peer_close(&other);
    drop(&first, &second);
}

static void too_many_waiting_lines_are_refused_and_the_rest_stay(void **state)
{
    struct peer p[3];

    (void)state;
    rig.config.lines_per_subscriber = 2;
    restart();
    for (uint8_t i = 0; i < 3; i++)
        p[i] = peer_register(&rig, 1, CN_MODE_INPUT, i);
    assert_int_equal(peer_hear(&rig, &p[0], NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &p[1], NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &p[2], NULL), CN_ADMISSION_REFUSED);
    assert_int_equal(peer_state(&p[0]), OPEN);
    peer_close(&p[0]);
    drop(&p[1], &p[2]);
}

static void the_same_subscriber_again_replaces_its_line(void **state)
{
    struct peer old = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct peer other_mode = peer_register(&rig, 1, CN_MODE_OUTPUT, 7);
    struct peer new = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct cn_admission_message said;

    (void)state;
    assert_int_equal(peer_hear(&rig, &old, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &old, &said), CN_ADMISSION_REFUSED);
    assert_int_equal(said.reason, CN_VERDICT_REPLACED);
    assert_int_equal(peer_state(&old), ENDED);
    assert_int_equal(peer_hear(&rig, &other_mode, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_state(&other_mode), OPEN);
    assert_int_equal(rig_count(&rig, CN_GATE_REPLACED), 1);
    peer_close(&old);
    drop(&other_mode, &new);
}

/* --- the registry, the end ------------------------------------------------------------------- */

static void hears_that_it_is_revoked(struct peer *p)
{
    struct cn_admission_message m;

    assert_int_equal(peer_hear(&rig, p, &m), CN_ADMISSION_REFUSED);
    assert_int_equal(m.reason, CN_VERDICT_REVOKED);
    assert_int_equal(peer_state(p), ENDED);
}

static struct cn_blocked blocked(const struct peer *p, uint64_t serial)
{
    return rig_blocked(&rig, &p->fingerprint, serial, CN_VERDICT_REVOKED);
}

static uint32_t block_these(const struct cn_blocked *list, size_t count)
{
    uint32_t cut = 99;

    rig.calls_cut = 99;
    assert_err(cn_gate_registry(rig.gate, &rig.settings, list, count, &cut), CN_OK);
    rig_turn(&rig);
    return cut + rig.calls_cut;
}

static uint32_t block(const struct peer *p, uint64_t serial)
{
    const struct cn_blocked one = blocked(p, serial);

    return block_these(&one, 1);
}

static void who_is_blocked_is_cut_whatever_it_is_doing(void **state)
{
    (void)state;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        struct peer partner;
        struct peer p = staged((enum stage)stage, &partner);

        assert_int_equal(block(&p, 1), 1);
        if (stage == JOINED) /* Noise may have ended there: it hears when it comes again */
            assert_int_equal(peer_state(&p), ENDED);
        else
            hears_that_it_is_revoked(&p);
        if (partner.fd >= 0)
            assert_int_equal(peer_state(&partner), OPEN);
        drop(&p, &partner);
        assert_int_equal(block(&p, 99), 0); /* the next stage is not blocked from the start */
        rig_stop(&rig);
        rig_start(&rig);
    }
}

static void among_many_that_wait_only_the_blocked_are_cut(void **state)
{
    struct cn_blocked list[RIG_LINES / 2];
    struct peer p[RIG_LINES];

    (void)state;
    for (uint8_t i = 0; i < RIG_LINES; i++) {
        p[i] = peer_register(&rig, (uint8_t)(i + 1), CN_MODE_INPUT, i);
        assert_int_equal(peer_hear(&rig, &p[i], NULL), CN_ADMISSION_WAITING);
        if (i % 2)
            list[i / 2] = blocked(&p[i], i + 1U);
    }
    assert_int_equal(block_these(list, COUNT(list)), COUNT(list));
    for (uint8_t i = 0; i < RIG_LINES; i++) {
        if (i % 2)
            hears_that_it_is_revoked(&p[i]);
        else
            assert_int_equal(peer_state(&p[i]), OPEN);
        peer_close(&p[i]);
    }
    rig_turn(&rig);
    nobody_is_left();
}

/* The partner of one that is cut goes back, and finds others who are to be cut, while the list of
 * lines, last come first, is gone through. */
static void the_blocked_may_be_joined_with_one_another_on_their_way_out(void **state)
{
    struct peer p[4] = { peer_admit(&rig, 1), peer_admit(&rig, 2) };
    struct cn_blocked list[4];

    (void)state;
    p[2] = peer_register(&rig, 3, CN_MODE_OUTPUT, 7);
    p[3] = peer_register(&rig, 4, CN_MODE_INPUT, 7);
    for (uint8_t i = 0; i < 2; i++) {
        peer_say(&rig, &p[i], CN_ADMISSION_REGISTER, CN_MODE_INPUT, 7);
        rig_turn(&rig);
        assert_int_equal(peer_hear(&rig, &p[i], NULL), CN_ADMISSION_WAITING);
    }
    for (uint8_t i = 0; i < 4; i++)
        list[i] = blocked(&p[i], i + 1U);
    assert_int_equal(block_these(list, COUNT(list)), 4);
    assert_int_equal(rig_count(&rig, CN_GATE_JOINED), 2);
    for (uint8_t i = 0; i < 4; i++)
        peer_close(&p[i]);
    rig_turn(&rig);
    nobody_is_left();
}

/* The partner of one that is cut is closed with it, as a newer line of its own waits there, and is
 * the very one that would be looked at next. */
static void the_blocked_behind_a_line_that_goes_with_another_are_cut(void **state)
{
    struct peer behind = peer_register(&rig, 3, CN_MODE_INPUT, 9);
    struct cn_blocked list[2];
    struct peer p, partner, newer;

    (void)state;
    peer_pair(&rig, &partner, &p); /* 1, and then 2, who is looked at first */
    newer = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &newer, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_hear(&rig, &behind, NULL), CN_ADMISSION_WAITING);
    list[0] = blocked(&p, 2);
    list[1] = blocked(&behind, 3);
    assert_int_equal(block_these(list, COUNT(list)), 2);
    assert_int_equal(peer_state(&p), ENDED);
    assert_int_equal(peer_state(&partner), ENDED);
    assert_int_equal(peer_state(&newer), OPEN);
    hears_that_it_is_revoked(&behind);
    peer_close(&behind);
    peer_close(&p);
    drop(&partner, &newer);
}

static void the_partner_of_the_blocked_is_joined_with_the_next_who_waits(void **state)
{
    struct peer a, b, next;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &b, 10, 'b');
    next = peer_register(&rig, 3, CN_MODE_INPUT, 7);
    assert_int_equal(peer_hear(&rig, &next, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(block(&a, 1), 1);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(peer_hear(&rig, &next, NULL), CN_ADMISSION_JOINED);
    peer_ready(&rig, &next, 5, 'n');
    assert_true(peer_has_prologue(&b, 5, 'n'));
    assert_true(peer_has_prologue(&next, 10, 'b'));
    peer_close(&next);
    drop(&a, &b);
}

static void of_a_subscriber_all_lines_are_cut_whatever_they_are_doing(void **state)
{
    struct peer admitted = peer_admit(&rig, 1);
    struct peer waiting = peer_register(&rig, 1, CN_MODE_INPUT, 9);
    struct peer silent = peer_connect(&rig, 1, 1); /* who knows whose it is */
    struct peer a, b, joined, partner;

    (void)state;
    assert_int_equal(peer_hear(&rig, &waiting, NULL), CN_ADMISSION_WAITING);
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a');
    peer_ready(&rig, &b, 10, 'b');
    peer_pair(&rig, &joined, &partner);
    assert_int_equal(block(&waiting, 1), 4);
    hears_that_it_is_revoked(&admitted);
    hears_that_it_is_revoked(&waiting);
    assert_int_equal(peer_state(&joined), ENDED);
    assert_int_equal(peer_state(&silent), OPEN);
    assert_int_equal(peer_state(&partner), OPEN);
    assert_int_equal(rig_calls(&rig), 0);
    peer_hello(&rig, &silent);
    assert_int_equal(peer_verdict(&silent), CN_VERDICT_REVOKED);
    peer_close(&admitted);
    peer_close(&waiting);
    peer_close(&silent);
    peer_close(&a);
    peer_close(&b);
    drop(&joined, &partner);
}

static void a_call_of_the_blocked_is_cut_at_both_ends(void **state)
{
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    peer_ready(&rig, &a, 10, 'a');
    peer_ready(&rig, &b, 10, 'b');
    assert_true(peer_has_prologue(&a, 10, 'b'));
    assert_true(peer_has_prologue(&b, 10, 'a'));
    assert_int_equal(block(&b, 2), 1);
    assert_int_equal(peer_state(&a), ENDED);
    assert_int_equal(peer_state(&b), ENDED);
    drop(&a, &b);
}

/* A certificate that the registry has lost, say: the key is the subscriber's all the same. */
static void the_key_of_the_blocked_is_blocked_under_any_serial(void **state)
{
    struct peer p = peer_register(&rig, 1, CN_MODE_INPUT, 7);
    struct peer again;

    (void)state;
    assert_int_equal(peer_hear(&rig, &p, NULL), CN_ADMISSION_WAITING);
    assert_int_equal(block(&p, 12345), 1);
    hears_that_it_is_revoked(&p);
    again = peer_connect(&rig, 1, 1);
    peer_hello(&rig, &again);
    assert_int_equal(peer_verdict(&again), CN_VERDICT_REVOKED);
    drop(&p, &again);
}

static enum cn_verdict verdict_at(time_t now)
{
    struct peer p = valid_a_while(now);
    enum cn_verdict verdict = peer_verdict(&p);

    peer_close(&p);
    rig_turn(&rig);
    return verdict;
}

/* The gate remembers whose signature was good, and nothing else of it. */
static void whose_certificate_is_known_is_judged_anew(void **state)
{
    struct cn_settings other = rig.settings;
    struct cn_blocked suspended = { .serial = 1, .reason = CN_VERDICT_SUSPENDED };
    uint32_t cut;

    (void)state;
    assert_int_equal(verdict_at(1000000), CN_VERDICT_ADMITTED);
    assert_int_equal(verdict_at(999999), CN_VERDICT_NOT_YET_VALID);
    assert_int_equal(verdict_at(1000100), CN_VERDICT_EXPIRED);
    (void)block_these(&suspended, 1);
    assert_int_equal(verdict_at(1000000), CN_VERDICT_SUSPENDED);
    (void)block_these(NULL, 0);
    assert_int_equal(verdict_at(1000000), CN_VERDICT_ADMITTED);
    fill(1, other.operators[0].bytes, sizeof other.operators[0].bytes);
    assert_err(cn_gate_registry(rig.gate, &other, NULL, 0, &cut), CN_OK);
    assert_int_equal(verdict_at(1000000), CN_VERDICT_COUNT); /* no answer */
    assert_int_equal(rig_count(&rig, CN_GATE_BAD_HELLO), 1);
}

static void goaway_reaches_waiting_lines_and_lines_that_join_go_on(void **state)
{
    struct peer silent = peer_connect(&rig, 9, 9);
    struct peer waiting = peer_register(&rig, 3, CN_MODE_INPUT, 9);
    struct cn_admission_message m;
    struct peer a, b;

    (void)state;
    peer_pair(&rig, &a, &b);
    assert_int_equal(peer_hear(&rig, &waiting, NULL), CN_ADMISSION_WAITING);
    cn_gate_goaway(rig.gate);
    rig_turn(&rig);
    assert_int_equal(peer_hear(&rig, &waiting, &m), CN_ADMISSION_GOAWAY);
    assert_int_equal(m.spread_s, rig.config.spread);
    assert_int_equal(peer_state(&waiting), ENDED);
    assert_int_equal(peer_state(&silent), ENDED); /* it will come back by itself */
    peer_ready(&rig, &a, 10, 'a');
    peer_ready(&rig, &b, 10, 'b');
    assert_true(peer_has_prologue(&a, 10, 'b'));
    peer_close(&waiting);
    peer_close(&silent);
    rig_turn(&rig);
    assert_int_equal(rig_calls(&rig), 1);
    drop(&a, &b);
    assert_int_equal(rig_calls(&rig), 0);
    assert_int_equal(cn_gate_busy(rig.gate), 0);
}

/* --- sockets --------------------------------------------------------------------------------- */

/* A connection over loopback; the gate's end is out[1]. */
static void connect_tcp(int out[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
    out[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(out[0], (struct sockaddr *)&a, sizeof a), 0);
    out[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(out[1] >= 0);
    close(listener);
}

static void congestion_control_of(int fd, char out[CN_CONFIG_WORD_SIZE])
{
    socklen_t size = CN_CONFIG_WORD_SIZE;

    memset(out, 0, CN_CONFIG_WORD_SIZE);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &size), 0);
}

static void lines_get_the_congestion_control_that_is_asked_for(void **state)
{
    const struct sockaddr_in from = { .sin_family = AF_INET };
    char systems[CN_CONFIG_WORD_SIZE], got[CN_CONFIG_WORD_SIZE];
    const char *other;
    int plain[2], asked[2];

    (void)state;
    connect_tcp(plain);
    connect_tcp(asked);
    congestion_control_of(plain[1], systems);
    other = strcmp(systems, "reno") == 0 ? "cubic" : "reno"; /* which every system has */
    cn_gate_accept(rig.gate, plain[1], (const struct sockaddr *)&from);
    snprintf(rig.config.congestion_control, CN_CONFIG_WORD_SIZE, "%s", other);
    cn_gate_configure(rig.gate, &rig.config);
    cn_gate_accept(rig.gate, asked[1], (const struct sockaddr *)&from);
    congestion_control_of(plain[1], got);
    assert_string_equal(got, systems);
    congestion_control_of(asked[1], got);
    assert_string_equal(got, other);
    close(plain[0]);
    close(asked[0]);
    rig_turn(&rig);
    nobody_is_left();
}

/* --- room ------------------------------------------------------------------------------------ */

/* Of lines from there, none of which has registered, the first is closed when another comes. */
static void first_makes_room(struct peer *first, uint8_t address)
{
    struct peer other;

    rig_later(&rig, 1);
    other = peer_connect(&rig, 9, address);
    assert_int_equal(peer_state(first), ENDED);
    assert_int_equal(peer_state(&other), OPEN);
    peer_close(first);
    *first = other;
}

static void who_would_be_late_first_makes_room(void **state)
{
    struct peer p[4];

    (void)state;
    rig.config.pending_max = COUNT(p);
    restart();
    for (uint8_t i = 0; i < COUNT(p); i++)
        p[i] = peer_connect(&rig, i, i);
    for (uint8_t i = 0; i < COUNT(p); i++) {
        first_makes_room(&p[i], i);
        assert_int_equal(rig_status(&rig).pending, COUNT(p));
        assert_int_equal(rig_count(&rig, CN_GATE_DROPPED_PENDING), i + 1U);
    }
    for (uint8_t i = 0; i < COUNT(p); i++)
        peer_close(&p[i]);
    rig_turn(&rig);
    nobody_is_left();
}

static void who_came_in_this_turn_is_looked_at_before_it_makes_room(void **state)
{
    struct peer p, late;

    (void)state;
    rig.config.pending_max = 1;
    restart();
    p = peer_connect(&rig, 1, 1);
    late = peer_connect(&rig, 2, 2);
    assert_int_equal(peer_state(&p), OPEN);
    assert_int_equal(peer_state(&late), ENDED);
    assert_int_equal(rig_count(&rig, CN_GATE_DROPPED_PENDING), 1);
    peer_close(&late);
    late = p;
    first_makes_room(&p, 3);
    drop(&p, &late);
}

static void who_has_its_verdict_is_not_the_first_any_more(void **state)
{
    struct peer p, silent;

    (void)state;
    rig.config.pending_max = 2;
    restart();
    p = peer_connect(&rig, 1, 1);
    silent = peer_connect(&rig, 2, 2);
    peer_hello(&rig, &p);
    assert_int_equal(peer_verdict(&p), CN_VERDICT_ADMITTED);
    first_makes_room(&silent, 3);
    assert_int_equal(peer_state(&p), OPEN);
    first_makes_room(&p, 4);
    drop(&p, &silent);
}

/* Else it could be seen that it was a hello. */
static void who_said_a_bad_hello_makes_room_when_it_would_without(void **state)
{
    struct peer p, silent;

    (void)state;
    rig.config.pending_max = 2;
    restart();
    p = rubbish(CN_ADMISSION_SIZE, 1);
    silent = peer_connect(&rig, 2, 2);
    first_makes_room(&p, 3);
    assert_int_equal(peer_state(&silent), OPEN);
    assert_int_equal(rig_count(&rig, CN_GATE_BAD_HELLO), 1);
    assert_int_equal(rig_count(&rig, CN_GATE_DROPPED_PENDING), 0);
    drop(&p, &silent);
}

enum { KNOWN = 1, SUSPECT, STRANGER, OTHER_STRANGER };

/* From KNOWN somebody has registered, SUSPECT has said a bad hello. */
static void standings_are_learnt(void)
{
    struct peer known = peer_register(&rig, KNOWN, CN_MODE_INPUT, 7);
    struct peer suspect = rubbish(CN_ADMISSION_SIZE, SUSPECT);

    drop(&known, &suspect);
}

static void those_of_one_standing_make_no_room_for_those_of_another(void **state)
{
    struct peer known, suspect, stranger;

    (void)state;
    rig.config.pending_max = 1;
    restart();
    standings_are_learnt();
    known = peer_connect(&rig, 1, KNOWN);
    suspect = peer_connect(&rig, 1, SUSPECT);
    stranger = peer_connect(&rig, 1, STRANGER);
    first_makes_room(&known, KNOWN);
    first_makes_room(&suspect, SUSPECT);
    first_makes_room(&stranger, OTHER_STRANGER);
    assert_int_equal(rig_status(&rig).pending, 3);
    assert_int_equal(peer_state(&known), OPEN);
    assert_int_equal(peer_state(&suspect), OPEN);
    peer_close(&known);
    drop(&suspect, &stranger);
}

static void the_last_line_from_an_address_is_what_counts(void **state)
{
    struct peer p, other;

    (void)state;
    rig.config.pending_max = 1;
    restart();
    standings_are_learnt();
    p = rubbish(CN_ADMISSION_SIZE, KNOWN);
    other = peer_register(&rig, 2, CN_MODE_INPUT, 7);
    drop(&p, &other);
    p = peer_connect(&rig, 1, KNOWN);
    other = peer_connect(&rig, 1, SUSPECT);
    assert_int_equal(peer_state(&p), OPEN); /* each has become what the other was */
    first_makes_room(&p, KNOWN);
    drop(&p, &other);
}

static void who_made_room_before_it_was_heard_is_no_suspect(void **state)
{
    struct peer p, suspect;

    (void)state;
    rig.config.pending_max = 1;
    restart();
    standings_are_learnt();
    p = peer_connect(&rig, 1, STRANGER);
    first_makes_room(&p, OTHER_STRANGER);
    suspect = peer_connect(&rig, 1, SUSPECT);
    first_makes_room(&p, STRANGER);
    assert_int_equal(peer_state(&suspect), OPEN);
    drop(&p, &suspect);
}

/* So many hellos of strangers in a turn that one has to wait; one of who is known does not. */
static void hellos_of_strangers_do_not_delay_those_of_who_is_known(void **state)
{
    struct peer strangers[17], known;
    uint8_t hello[CN_ADMISSION_SIZE];
    size_t answered = 0;

    (void)state;
    standings_are_learnt();
    for (uint8_t i = 0; i < COUNT(strangers); i++) {
        strangers[i] = peer_connect(&rig, i, (uint8_t)(100 + i));
        peer_make_hello(&rig, &strangers[i], hello);
        assert_true(peer_raw(&strangers[i], hello, sizeof hello));
    }
    known = peer_connect(&rig, KNOWN, KNOWN);
    peer_make_hello(&rig, &known, hello);
    assert_true(peer_raw(&known, hello, sizeof hello));
    assert_err(cn_loop_turn(&rig.loop, false), CN_OK);
    assert_int_equal(peer_state(&known), SPEAKS);
    for (uint8_t i = 0; i < COUNT(strangers); i++)
        answered += peer_state(&strangers[i]) == SPEAKS;
    assert_int_equal(answered, COUNT(strangers) - 1);
    rig_turn(&rig);
    for (uint8_t i = 0; i < COUNT(strangers); i++) {
        assert_int_equal(peer_verdict(&strangers[i]), CN_VERDICT_ADMITTED);
        peer_close(&strangers[i]);
    }
    peer_close(&known);
    rig_turn(&rig);
    nobody_is_left();
}

/* Registered lines keep their places; of others those of the worst standing go first. */
static void a_full_gate_makes_room_among_those_who_have_not_registered(void **state)
{
    struct peer waiting[RIG_LINES - 2], suspect, stranger, known;

    (void)state;
    standings_are_learnt();
    for (uint8_t i = 0; i < COUNT(waiting); i++) {
        waiting[i] = peer_register(&rig, i, CN_MODE_INPUT, i);
        assert_int_equal(peer_hear(&rig, &waiting[i], NULL), CN_ADMISSION_WAITING);
    }
    stranger = peer_connect(&rig, 1, 100);
    suspect = rubbish(CN_ADMISSION_SIZE, 101);
    peer_close(&suspect);
    rig_turn(&rig);
    suspect = peer_connect(&rig, 1, 101);
    assert_true(cn_gate_has_room(rig.gate));
    rig_later(&rig, 1);
    known = peer_connect(&rig, 1, KNOWN);
    assert_int_equal(peer_state(&suspect), ENDED);
    assert_int_equal(peer_state(&stranger), OPEN);
    first_makes_room(&stranger, KNOWN); /* which is no stranger */
    peer_close(&suspect);
    suspect = peer_connect(&rig, 1, 101);
    assert_int_equal(peer_state(&suspect), ENDED); /* there is none whose place it could have */
    for (uint8_t i = 0; i < COUNT(waiting); i++) {
        assert_int_equal(peer_state(&waiting[i]), OPEN);
        peer_close(&waiting[i]);
    }
    assert_int_equal(peer_state(&known), OPEN);
    peer_close(&known);
    drop(&suspect, &stranger);
}

/* And before those, whoever was refused though he had registered: he goes by himself, or late. */
static void a_full_gate_makes_room_first_among_those_who_are_leaving(void **state)
{
    struct peer p[RIG_LINES], late[RIG_LINES];

    (void)state;
    p[0] = peer_connect(&rig, 1, 100);
    for (uint8_t i = 1; i < RIG_LINES; i++)
        p[i] = peer_register(&rig, 1, CN_MODE_INPUT, 7); /* each replaces the one before */
    assert_int_equal(rig_status(&rig).lines, RIG_LINES);
    assert_int_equal(rig_count(&rig, CN_GATE_REPLACED), RIG_LINES - 2);
    assert_int_equal(rig_status(&rig).pending, 1);
    rig_later(&rig, 1);
    for (uint8_t i = 2; i < RIG_LINES; i++) {
        assert_true(cn_gate_has_room(rig.gate));
        late[i] = peer_register(&rig, i, CN_MODE_INPUT, i);
        assert_int_equal(peer_hear(&rig, &late[i], NULL), CN_ADMISSION_WAITING);
    }
    assert_int_equal(rig_status(&rig).lines, RIG_LINES);
    assert_int_equal(peer_state(&p[0]), OPEN);
    first_makes_room(&p[0], 101);
    assert_int_equal(peer_hear(&rig, &p[RIG_LINES - 1], NULL), CN_ADMISSION_WAITING);
    assert_int_equal(peer_state(&p[RIG_LINES - 1]), OPEN);
    for (uint8_t i = 0; i < RIG_LINES; i++) {
        peer_close(&p[i]);
        if (i > 1)
            peer_close(&late[i]);
    }
    rig_turn(&rig);
    nobody_is_left();
}

static unsigned rooms;

static void note_room(void *context)
{
    (void)context;
    rooms++;
}

static void a_full_gate_says_when_there_is_room_again(void **state)
{
    struct peer p[RIG_LINES];

    (void)state;
    rooms = 0;
    for (uint8_t i = 0; i < RIG_LINES; i++) {
        assert_true(cn_gate_has_room(rig.gate));
        p[i] = peer_register(&rig, i, CN_MODE_INPUT, i);
    }
    assert_false(cn_gate_has_room(rig.gate));
    cn_gate_on_room(rig.gate, note_room, NULL);
    for (uint8_t i = 0; i < RIG_LINES; i++)
        peer_close(&p[i]);
    rig_turn(&rig);
    assert_int_equal(rooms, RIG_LINES);
    assert_true(cn_gate_has_room(rig.gate));
    nobody_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(every_message_that_is_not_allowed_ends_the_line),
        TEST(a_forged_message_ends_the_line_without_an_octet),
        TEST(a_message_cut_short_at_any_octet_is_no_message),
        TEST(a_message_in_single_octets_is_one_message),
        TEST(messages_sent_at_once_are_taken_one_by_one),
        TEST(a_keep_alive_amid_an_update_ends_the_line),
        TEST(a_bad_hello_of_any_size_ends_like_one_that_is_not_whole),
        TEST(who_said_a_bad_hello_and_hangs_up_is_gone_and_counted_once),
        TEST(who_said_a_bad_hello_is_pending_until_it_has_gone),
        TEST(who_said_a_bad_hello_does_not_delay_the_end),
        TEST(a_certificate_is_valid_from_its_first_second_to_the_one_before_its_end),
        TEST(who_waits_is_sent_away_at_the_second_its_certificate_ends),
        TEST(notices_are_for_those_who_are_or_could_be_admitted),
        TEST(who_was_refused_in_the_verdict_is_pending_until_it_has_gone),
        TEST(who_was_refused_counts_once),
        TEST(who_was_refused_and_stays_is_closed_in_time),
        TEST(who_is_not_listened_to_and_speaks_on_gets_no_more_than_its_turn),
        TEST(a_hello_alone_changes_nothing),
        TEST(a_pair_is_handed_over_when_both_prologues_have_been_written),
        TEST(nothing_is_read_past_the_prologue),
        TEST(prologues_of_no_length_and_too_long_ones_end_their_line_alone),
        TEST(who_is_not_ready_in_time_is_dropped_and_its_partner_is_first_in_its_queue),
        TEST(a_slow_prologue_costs_who_sends_it_and_not_its_partner),
        TEST(prologues_in_single_octets_are_passed_whole),
        TEST(a_ready_in_single_octets_and_a_prologue_behind_it_are_told_apart),
        TEST(a_prologue_may_come_slowly_until_its_limit),
        TEST(no_octet_of_a_prologue_prolongs_its_time),
        TEST(two_slow_prologues_end_both_lines),
        TEST(who_has_a_new_partner_waits_for_its_prologue),
        TEST(who_is_given_back_gives_way_to_a_newer_line_of_its_subscriber),
        TEST(who_was_given_back_and_is_replaced_then_gets_no_octet),
        TEST(who_was_given_back_is_matched_for_as_long_as_it_is_there),
        TEST(who_has_got_a_part_of_a_prologue_ends_with_its_partner),
        TEST(a_dead_partner_costs_no_registration),
        TEST(silence_ends_a_waiting_line_and_keep_alives_do_not),
        TEST(a_shorter_keep_alive_is_none_for_lines_that_are_there),
        TEST(waiting_time_ends_a_line_that_is_alive),
        TEST(who_is_silent_when_its_waiting_time_is_over_hears_nothing),
        TEST(a_certificate_ends_by_the_clock_and_not_by_the_time_that_has_passed),
        TEST(a_clock_that_is_set_back_ends_no_valid_line_amid_an_update),
        TEST(waiting_time_begins_anew_for_who_comes_back),
        TEST(too_many_updates_at_once_end_the_line_and_no_other),
        TEST(updates_at_an_even_rate_are_taken_for_ever_and_faster_ones_are_not),
        TEST(an_update_that_is_never_whole_ends_the_line_in_time),
        TEST(an_update_in_parts_that_is_whole_in_time_ends_nothing),
        TEST(an_update_in_parts_counts_once),
        TEST(a_subscriber_with_many_unfinished_lists_denies_them_to_nobody_else),
        TEST(there_are_so_many_unfinished_lists_and_no_more),
        TEST(who_is_joined_amid_an_update_gives_its_list_back),
        TEST(a_subscriber_has_only_so_many_tags_over_all_its_lines),
        TEST(too_many_waiting_lines_are_refused_and_the_rest_stay),
        TEST(the_same_subscriber_again_replaces_its_line),
        TEST(who_is_blocked_is_cut_whatever_it_is_doing),
        TEST(among_many_that_wait_only_the_blocked_are_cut),
        TEST(the_blocked_may_be_joined_with_one_another_on_their_way_out),
        TEST(the_blocked_behind_a_line_that_goes_with_another_are_cut),
        TEST(the_partner_of_the_blocked_is_joined_with_the_next_who_waits),
        TEST(of_a_subscriber_all_lines_are_cut_whatever_they_are_doing),
        TEST(a_call_of_the_blocked_is_cut_at_both_ends),
        TEST(the_key_of_the_blocked_is_blocked_under_any_serial),
        TEST(whose_certificate_is_known_is_judged_anew),
        TEST(goaway_reaches_waiting_lines_and_lines_that_join_go_on),
        TEST(lines_get_the_congestion_control_that_is_asked_for),
        TEST(who_would_be_late_first_makes_room),
        TEST(who_came_in_this_turn_is_looked_at_before_it_makes_room),
        TEST(who_has_its_verdict_is_not_the_first_any_more),
        TEST(who_said_a_bad_hello_makes_room_when_it_would_without),
        TEST(those_of_one_standing_make_no_room_for_those_of_another),
        TEST(the_last_line_from_an_address_is_what_counts),
        TEST(who_made_room_before_it_was_heard_is_no_suspect),
        TEST(hellos_of_strangers_do_not_delay_those_of_who_is_known),
        TEST(a_full_gate_makes_room_among_those_who_have_not_registered),
        TEST(a_full_gate_makes_room_first_among_those_who_are_leaving),
        TEST(a_full_gate_says_when_there_is_room_again),
    };

    return cmocka_run_group_tests_name("gate", tests, crypto_setup, crypto_teardown);
}
