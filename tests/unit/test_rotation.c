/* From one identity to another: whatever fails, wherever a call is cut and whatever a partner says,
 * two who could call each other still can, and in the end under the new cards alone. */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cyphernet.h>

#include "contact.h"
#include "handing.h"
#include "rotation.h"
#include "seeded.h"

enum { TEXT_SIZE_MAX = 65536, PEOPLE = 3, CALLS_MAX = 40 };

/* --- system calls that fail when told; the linker puts these before the real ones ----------- */

static unsigned calls_left; /* until one fails; 0: none does */

static bool faulty(void)
{
    if (calls_left == 0 || --calls_left > 0)
        return false;
    errno = ENOSPC;
    return true;
}

ssize_t __real_write(int fd, const void *in, size_t size);
ssize_t __wrap_write(int fd, const void *in, size_t size);
ssize_t __wrap_write(int fd, const void *in, size_t size)
{
    return faulty() ? -1 : __real_write(fd, in, size);
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd; /* no power is cut here */
    return faulty() ? -1 : 0;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return faulty() ? -1 : __real_rename(from, to);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
    return !strstr(path, ".tmp") && faulty() ? -1 : __real_unlink(path);
}

/* --- people --------------------------------------------------------------------------------- */

static const char *const names[PEOPLE] = { "ann", "bob", "mallory" };
static char top[64];
static struct cn_home *homes[PEOPLE];

static size_t fingerprint_text(uint8_t who, char text[TEXT_SIZE_MAX])
{
    const struct cn_operator_secret operator_secret = { { 1 } };
    struct cn_fingerprint f = { .has_secret = true, .address_count = 1 };
    size_t size = 0;

    fill(who, f.secret.bytes, sizeof f.secret.bytes);
    f.server_key.bytes[0] = 1;
    f.certificate.serial = who;
    f.certificate.not_before = 1000;
    f.certificate.not_after = 2000;
    snprintf(f.label, sizeof f.label, "somebody");
    snprintf(f.address[0], sizeof f.address[0], "server.example:7473");
    assert_err(cn_x25519_public(f.secret.bytes, f.certificate.admission_key), CN_OK);
    assert_err(cn_certificate_sign(&f.certificate, &operator_secret), CN_OK);
    assert_err(cn_ed25519_public(operator_secret.bytes, f.operator_key.bytes), CN_OK);
    assert_err(cn_fingerprint_encode(&crypto, &f, text, TEXT_SIZE_MAX, &size), CN_OK);
    return size;
}

static void card_over(int from, int to)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = sizeof text;

    assert_err(cn_contact_offer(homes[from], names[to], false, text, &size), CN_OK);
    assert_err(cn_contact_accept(homes[to], names[from], text, size, false), CN_OK);
}

/* All know and have verified each other. */
static int begin(void **state)
{
    static char text[TEXT_SIZE_MAX];

    (void)state;
    calls_left = 0;
    snprintf(top, sizeof top, "%s", "/tmp/cn-test-rotation-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    for (uint8_t i = 0; i < PEOPLE; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/%s", top, names[i]);
        assert_err(cn_home_open(&homes[i], path), CN_OK);
        assert_err(cn_home_join(homes[i], text, fingerprint_text(i, text), false), CN_OK);
    }
    for (int i = 0; i < PEOPLE; i++) {
        for (int k = 0; k < PEOPLE; k++) {
            if (i != k)
                card_over(i, k);
        }
    }
    for (int i = 0; i < PEOPLE; i++) {
        for (int k = 0; k < PEOPLE; k++) {
            if (i != k)
                assert_err(cn_contact_verify(homes[i], names[k]), CN_OK);
        }
    }
    return 0;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    calls_left = 0;
    for (int i = 0; i < PEOPLE; i++)
        cn_home_close(homes[i]);
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

static bool has_file(int who, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s/%s", top, names[who], name);
    return access(path, F_OK) == 0;
}

static struct cn_contact_pairs pairs_of(int who, int with)
{
    struct cn_fingerprint fingerprint;
    static struct cn_identities identities; /* pairs point to them */
    struct cn_contact_pairs pairs = { 0 };

    assert_err(cn_home_fingerprint(homes[who], &fingerprint), CN_OK);
    assert_err(cn_home_identities(homes[who], &identities), CN_OK);
    assert_err(cn_contact_pairs(homes[who], names[with], &identities, &fingerprint, &pairs), CN_OK);
    return pairs;
}

static struct cn_contact_info info_of(int who, int with)
{
    struct cn_contact_info info;

    assert_err(cn_contact_show(homes[who], names[with], &info), CN_OK);
    return info;
}

/* --- calls ---------------------------------------------------------------------------------- */

static void *heap_take(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void heap_give(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static const struct cn_memory heap = { heap_take, heap_give, NULL };

struct side {
    int who;
    struct cn_pair pair;
    struct cn_mux mux;
    struct cn_handing handing;
    bool hostile; /* nothing is handed over by itself */
    uint8_t *plain;
};

static struct side sides[2];
static uint64_t now_ms;

static bool same_pair(const struct cn_pair *a, const struct cn_pair *b)
{
    return memcmp(&a->chain_key, &b->chain_key, sizeof a->chain_key) == 0;
}

/* The pairs that two have in common, at least one of which there must be: the first in one's order,
 * or the last. */
static void meet(int one, int other, bool last)
{
    const struct cn_contact_pairs a = pairs_of(one, other), b = pairs_of(other, one);
    const struct cn_pair *const as[] = { &a.now, &a.next }, *const bs[] = { &b.now, &b.next };
    bool met = false;

    for (int i = 0; i <= a.has_next; i++) {
        for (int k = 0; k <= b.has_next; k++) {
            if (!same_pair(as[i], bs[k]) || (met && !last))
                continue;
            met = true;
            sides[0].pair = *as[i];
            sides[1].pair = *bs[k];
        }
    }
    assert_true(met);
}

static void events_take(struct side *s)
{
    struct cn_stream *stream;
    enum cn_event_type type;

    while (!s->hostile && cn_mux_next_event(&s->mux, &stream, &type))
        assert_true(cn_handing_take(&s->handing, stream, type, now_ms));
}

static bool pass(struct side *from, struct side *to)
{
    static struct cn_mux_record record;
    uint8_t *plain;
    size_t size = 0;

    if (!cn_mux_output(&from->mux, now_ms, &record))
        return false;
    plain = malloc(record.wire_size);
    assert_non_null(plain);
    for (size_t i = 0; i < record.piece_count; i++) {
        memcpy(plain + size, record.piece[i].bytes, record.piece[i].size);
        size += record.piece[i].size;
    }
    assert_err(cn_mux_settle(&to->mux), CN_OK);
    free(to->plain);
    to->plain = plain;
    assert_err(cn_mux_input(&to->mux, plain, size, now_ms), CN_OK);
    events_take(to);
    return true;
}

static void call_begin(int one, int other, bool last)
{
    const struct cn_call_limits limits = cn_mux_limits();

    meet(one, other, last);
    for (int i = 0; i < 2; i++) {
        struct side *s = &sides[i];

        s->who = i == 0 ? one : other;
        cn_mux_init(&s->mux, &heap, s->pair.role);
        cn_mux_begin(&s->mux, &limits, now_ms);
        if (!s->hostile)
            cn_handing_begin(&s->handing, homes[s->who], &s->mux, names[i == 0 ? other : one],
                             &s->pair, now_ms);
    }
}

/* Until nothing moves, or so many records have. */
static void call_run(unsigned records)
{
    for (unsigned quiet = 0; quiet < 3 && records > 0; now_ms += 10) {
        bool moved = false;

        for (int i = 0; i < 2 && records > 0; i++) {
            if (pass(&sides[i], &sides[1 - i])) {
                records--;
                moved = true;
            }
        }
        quiet = moved ? 0 : quiet + 1;
    }
}

static void call_end(void)
{
    for (int i = 0; i < 2; i++) {
        struct side *s = &sides[i];

        cn_mux_wipe(&s->mux);
        cn_handing_wipe(&s->handing);
        free(s->plain);
        s->plain = NULL;
        s->hostile = false;
    }
}

static void call(int one, int other, bool last)
{
    call_begin(one, other, last);
    call_run(UINT32_MAX);
    for (int i = 0; i < 2; i++) {
        assert_null(sides[i].handing.mine.stream);
        assert_null(sides[i].handing.theirs.stream);
        assert_int_equal(sides[i].mux.my_count + sides[i].mux.their_count, 0);
    }
    call_end();
}

static void assert_moved(int who, int with)
{
    assert_int_equal(info_of(who, with).moving, CN_MOVING_NOT);
    assert_true(info_of(who, with).verified);
    assert_false(pairs_of(who, with).has_next);
}

static struct cn_identity identity_of(int who)
{
    struct cn_identity identity;

    assert_err(cn_home_identity(homes[who], &identity), CN_OK);
    return identity;
}

/* --- what fails ----------------------------------------------------------------------------- */

/* Some of ann and bob change their identities, in whatever order; calls are cut, disks full. */
static void whatever_fails_two_still_meet_and_move_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        struct cn_identity old[2];
        bool rotates[2];

        if (seed > 1) {
            end(NULL);
            begin(NULL);
        }
        for (int i = 0; i < 2; i++) {
            uint8_t r;

            old[i] = identity_of(i);
            (void)seeded_fill(&random, &r, 1);
            rotates[i] = r % 4 > 0;
        }
        for (int n = 0; n < CALLS_MAX; n++) {
            uint8_t r[6];

            (void)seeded_fill(&random, r, sizeof r);
            for (int i = 0; i < 2; i++) {
                calls_left = r[i] % 3 == 0 ? 1 + r[i] / 3 % 8 : 0;
                if (rotates[i] && (r[2 + i] % 4 == 0 || n == CALLS_MAX / 2) &&
                    cn_home_rotate(homes[i], 0) == CN_OK)
                    rotates[i] = false;
            }
            calls_left = r[4] % 2 == 0 ? 1 + r[4] / 2 % 16 : 0;
            call_begin(r[5] % 2, 1 - r[5] % 2, r[5] % 4 < 2);
            call_run(r[5] % 8 < 4 ? r[5] / 8 % 12 : UINT32_MAX);
            call_end();
            calls_left = 0;
            meet(0, 1, false);
        }
        calls_left = 0;
        for (int n = 0; n < 8; n++)
            call(0, 1, n % 2 == 0);
        for (int i = 0; i < 2; i++) {
            assert_moved(i, 1 - i);
            call(i, 2, false); /* mallory is the only other who knows them */
            call(i, 2, true);
            assert_false(has_file(i, "identity.next"));
        }
        assert_true(same_pair(&sides[0].pair, &sides[1].pair));
        (void)old;
    }
}

static void a_home_that_cannot_be_written_stays_as_it_is(void **state)
{
    (void)state;
    for (unsigned fault = 1; fault <= 2; fault++) {
        calls_left = fault;
        assert_err(cn_home_rotate(homes[0], 0), CN_E_SYSTEM);
        assert_false(has_file(0, "identity.next"));
        calls_left = 0;
        assert_int_equal(info_of(0, 1).moving, CN_MOVING_NOT);
    }
    assert_err(cn_home_rotate(homes[0], 12), CN_E_USAGE);
}

static void cards_that_cannot_be_kept_are_not_answered(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    call_begin(0, 1, false);
    calls_left = 1;
    call_run(UINT32_MAX);
    calls_left = 0;
    assert_true(sides[1].handing.news);
    assert_err(sides[1].handing.err, CN_E_SYSTEM);
    assert_true(sides[0].handing.news);
    assert_err(sides[0].handing.err, CN_E_REFUSED);
    call_end();
    assert_false(pairs_of(0, 1).has_next);
    assert_false(pairs_of(1, 0).has_next);
    call(0, 1, false);
    assert_int_equal(info_of(0, 1).moving, CN_MOVING_NEXT_CALL);
    assert_int_equal(info_of(1, 0).moving, CN_MOVING_NEXT_CALL);
}

/* --- who lies ------------------------------------------------------------------------------- */

/* A call of ann's in which mallory says all by hand, with ann changing her identity or not. */
static struct cn_stream *hostile_begin(void)
{
    struct cn_stream *stream;

    sides[1].hostile = true;
    call_begin(0, 2, false);
    assert_err(cn_mux_open(&sides[1].mux, CN_HANDING_KIND, NULL, 0, &stream), CN_OK);
    return stream;
}

static void say(struct cn_stream *stream, const void *octets, size_t size)
{
    assert_int_equal(cn_stream_write(stream, octets, size), size);
    call_run(UINT32_MAX);
}

static void say_card(struct cn_stream *stream, const struct cn_card *card)
{
    uint8_t head[2] = { (uint8_t)(card->body_size >> 8), (uint8_t)card->body_size };

    assert_int_equal(cn_stream_write(stream, head, sizeof head), sizeof head);
    say(stream, card->body, card->body_size);
}

static void assert_nothing_taken(void)
{
    assert_false(pairs_of(0, 2).has_next);
    assert_false(pairs_of(0, 1).has_next);
    assert_true(info_of(0, 2).verified);
}

static void assert_reset(const struct cn_stream *stream, uint32_t code)
{
    assert_int_equal(cn_stream_state(stream), CN_STREAM_RESET);
    assert_int_equal(cn_stream_reset_code(stream), code);
}

static void what_is_no_card_is_reset(void **state)
{
    static const uint8_t nothing[8];
    static const uint8_t long_size[] = { 0x10, 0x01 };
    static uint8_t garbage[2 + 1000] = { 1000 >> 8, 1000 & 255, 1 };
    static const struct {
        const uint8_t *octets;
        size_t size;
    } rows[] = {
        { nothing, 2 },
        { nothing, 8 },
        { long_size, 2 },
        { garbage, sizeof garbage },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_stream *stream = hostile_begin();

        say(stream, rows[i].octets, rows[i].size);
        assert_reset(stream, CN_HANDING_BAD);
        assert_null(sides[0].handing.theirs.stream);
        call_end();
        assert_nothing_taken();
    }
}

static void a_part_of_a_card_holds_nothing_up_for_long(void **state)
{
    struct cn_stream *stream = hostile_begin();
    static const uint8_t part[100] = { 5 };

    (void)state;
    say(stream, part, sizeof part);
    assert_int_equal(cn_stream_state(stream), CN_STREAM_OPEN);
    assert_true(cn_handing_due_ms(&sides[0].handing) <= now_ms + CN_HANDING_TIMEOUT_MS);
    now_ms = cn_handing_due_ms(&sides[0].handing);
    cn_handing_step(&sides[0].handing, now_ms);
    call_run(UINT32_MAX);
    assert_reset(stream, CN_HANDING_GIVEN_UP);
    assert_true(cn_handing_due_ms(&sides[0].handing) == UINT64_MAX);
    call_end();
    assert_nothing_taken();
}

static void an_end_before_the_card_is_none(void **state)
{
    struct cn_stream *stream = hostile_begin();

    (void)state;
    cn_stream_finish(stream);
    call_run(UINT32_MAX);
    assert_reset(stream, CN_HANDING_BAD);
    call_end();
    assert_nothing_taken();
}

static void only_one_stream_of_a_call_is_listened_to(void **state)
{
    struct cn_stream *first = hostile_begin();
    struct cn_stream *second;

    (void)state;
    call_run(UINT32_MAX);
    assert_err(cn_mux_open(&sides[1].mux, CN_HANDING_KIND, NULL, 0, &second), CN_OK);
    call_run(UINT32_MAX);
    assert_reset(second, CN_HANDING_GIVEN_UP);
    assert_int_equal(cn_stream_state(first), CN_STREAM_OPEN);
    call_end();
}

/* A card of that identity, as mallory could make it. */
static struct cn_card card_of(const struct cn_identity *identity, uint8_t server,
                              const uint8_t *answers)
{
    const struct cn_server_public key = { { server } };
    static struct cn_card answered;
    const struct cn_card_terms terms = { "ann", &key, answers ? &answered : NULL, NULL, 0 };
    struct cn_card card;

    if (answers)
        memcpy(answered.card_id, answers, sizeof answered.card_id);
    assert_err(cn_card_create(&card, &crypto, identity, &terms, cn_home_random(homes[2])), CN_OK);
    return card;
}

static struct cn_contact contact_of(int who, int with)
{
    struct cn_contact contact;

    assert_err(cn_contact_load(homes[who], names[with], &contact), CN_OK);
    return contact;
}

static void cards_that_are_not_the_contacts_to_give_are_refused(void **state)
{
    const struct cn_identity mallory = identity_of(2), ann = identity_of(0), bob = identity_of(1);
    const struct cn_contact of_bob = contact_of(0, 1);
    const struct cn_card cards[] = {
        card_of(&ann, 1, NULL),                           /* hers */
        card_of(&bob, 1, NULL),                           /* bob's keys */
        of_bob.theirs,                                    /* bob's card */
        card_of(&mallory, 2, NULL),                       /* another server's */
        card_of(&mallory, 1, of_bob.mine.card_id),        /* it answers what bob has got */
        card_of(&mallory, 1, (const uint8_t *)"nobodys"), /* or nothing that anybody has */
        contact_of(0, 2).theirs,                          /* the one that is held */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cards); i++) {
        struct cn_stream *stream = hostile_begin();

        say_card(stream, &cards[i]);
        assert_int_equal(cn_stream_state(stream), CN_STREAM_RESET);
        assert_true(sides[0].handing.news && sides[0].handing.err != CN_OK);
        call_end();
        assert_nothing_taken();
    }
}

static void a_hostile_card_replaces_only_its_own(void **state)
{
    const struct cn_identity mallory = identity_of(2);
    const struct cn_contact of_bob = contact_of(0, 1);

    (void)state;
    for (int i = 0; i < 3; i++) { /* one after the other: all but the last are of no use */
        struct cn_card card = card_of(&mallory, 1, NULL);
        struct cn_stream *stream = hostile_begin();

        say_card(stream, &card);
        assert_int_equal(cn_stream_state(stream), CN_STREAM_OPEN);
        assert_true(info_of(0, 2).verified); /* under the pair that there was */
        assert_memory_equal(contact_of(0, 2).theirs_next.hash, card.hash, sizeof card.hash);
        call_end();
    }
    assert_memory_equal(contact_of(0, 1).theirs.hash, of_bob.theirs.hash,
                        sizeof of_bob.theirs.hash);
    assert_false(pairs_of(0, 1).has_next);
    meet(0, 2, false); /* the first is still there */
}

static void who_hands_over_the_keys_of_another_does_not_stop_her(void **state)
{
    struct cn_identities bobs;
    struct cn_card card;
    struct cn_stream *stream;

    (void)state;
    assert_err(cn_home_rotate(homes[1], 0), CN_OK);
    assert_err(cn_home_identities(homes[1], &bobs), CN_OK);
    card = card_of(&bobs.next, 1, NULL); /* mallory has them from a card that bob made for her */
    stream = hostile_begin();
    say_card(stream, &card);
    assert_int_equal(cn_stream_state(stream), CN_STREAM_OPEN);
    call_end();
    call(1, 0, false);
    call(1, 0, true);
    assert_moved(0, 1);
    assert_moved(1, 0);
}

/* Mallory answers ann's card with something else. */
static void a_bad_answer_is_reset(void **state)
{
    static const uint8_t long_size[] = { 0xff, 0xff };
    struct cn_stream *stream;
    enum cn_event_type type;

    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    sides[1].hostile = true;
    call_begin(0, 2, false);
    call_run(UINT32_MAX);
    assert_true(cn_mux_next_event(&sides[1].mux, &stream, &type));
    assert_int_equal(type, CN_EVENT_STREAM);
    say(stream, long_size, sizeof long_size);
    assert_reset(stream, CN_HANDING_BAD);
    call_end();
    assert_nothing_taken();
    assert_int_equal(info_of(0, 2).moving, CN_MOVING_CALL);
}

static void a_call_under_a_pair_that_is_no_more_changes_nothing(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    call_begin(0, 1, false);
    assert_err(cn_contact_remove(homes[0], "bob"), CN_OK);
    call_run(UINT32_MAX);
    call_end();
    assert_false(pairs_of(1, 0).has_next && pairs_of(1, 0).next_held);
    assert_false(has_file(0, "contacts/bob"));
}

/* --- what goes well ------------------------------------------------------------------------- */

static void two_calls_move_a_contact_and_the_last_takes_the_old_identity_away(void **state)
{
    const struct cn_identity old = identity_of(0);
    struct cn_identities both;

    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    assert_err(cn_home_identities(homes[0], &both), CN_OK);
    assert_memory_equal(both.now.id, old.id, sizeof old.id);
    assert_int_equal(info_of(0, 1).moving, CN_MOVING_CALL);
    assert_int_equal(info_of(1, 0).moving, CN_MOVING_NOT);
    assert_err(cn_home_rotate(homes[0], 0), CN_E_EXISTS);
    for (int with = 1; with < PEOPLE; with++) {
        assert_true(has_file(0, "identity.next"));
        call(0, with, false);
        assert_true(pairs_of(0, with).next_held && pairs_of(with, 0).next_held);
        assert_int_equal(info_of(0, with).moving, CN_MOVING_NEXT_CALL);
        call(0, with, false); /* once more under the old pair: nothing is new */
        assert_int_equal(info_of(0, with).moving, CN_MOVING_NEXT_CALL);
        call(0, with, true);
        assert_moved(0, with);
        assert_moved(with, 0);
    }
    assert_false(has_file(0, "identity.next"));
    assert_memory_equal(identity_of(0).id, both.next.id, sizeof old.id);
    assert_err(cn_home_rotate(homes[0], 2048), CN_OK); /* and again */
}

static void both_may_change_at_the_same_time(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    assert_err(cn_home_rotate(homes[1], 0), CN_OK);
    call(0, 1, false);
    call(0, 1, true);
    assert_moved(0, 1);
    assert_moved(1, 0);
    assert_true(info_of(1, 2).moving == CN_MOVING_CALL);
}

/* What is complete comes into use before it is replaced. */
static void who_changes_amid_the_others_change_does_so_afterwards(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    call(0, 1, false);
    assert_err(cn_home_rotate(homes[1], 0), CN_OK);
    call(0, 1, false); /* under the old pair */
    assert_int_equal(info_of(1, 0).moving, CN_MOVING_NEXT_CALL);
    call(0, 1, true); /* the new one, in which bob hands over his */
    assert_int_equal(info_of(0, 1).moving, CN_MOVING_NEXT_CALL);
    assert_int_equal(info_of(1, 0).moving, CN_MOVING_NEXT_CALL);
    call(0, 1, true);
    assert_moved(0, 1);
    assert_moved(1, 0);
}

static void who_is_not_verified_is_left(void **state)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = sizeof text;

    (void)state;
    assert_err(cn_contact_offer(homes[1], "ann", true, text, &size), CN_OK);
    assert_err(cn_contact_accept(homes[0], "bob", text, size, true), CN_OK);
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    assert_int_equal(info_of(0, 1).moving, CN_MOVING_UNVERIFIED);
    call(0, 1, false);
    assert_false(pairs_of(0, 1).has_next);
    assert_err(cn_contact_verify(homes[0], "bob"), CN_OK);
    call(0, 1, false);
    call(0, 1, true);
    assert_moved(0, 1);
    assert_false(info_of(1, 0).verified); /* that is bob's affair, and stays as it was */
}

static void a_card_that_was_only_offered_is_told_and_dropped_in_the_end(void **state)
{
    static char text[TEXT_SIZE_MAX];
    size_t size = sizeof text;
    struct cn_contact_info info;

    (void)state;
    assert_err(cn_contact_offer(homes[0], "carol", false, text, &size), CN_OK);
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    assert_err(cn_contact_show(homes[0], "carol", &info), CN_OK);
    assert_int_equal(info.moving, CN_MOVING_EXCHANGE);
    size = sizeof text;
    assert_err(cn_contact_offer(homes[0], "dave", false, text, &size), CN_OK); /* of the new one */
    assert_err(cn_contact_show(homes[0], "dave", &info), CN_OK);
    assert_int_equal(info.moving, CN_MOVING_NOT);
    call(0, 1, false); /* bob has the new cards, but has not called */
    assert_err(cn_home_rotate_finish(homes[0]), CN_OK);
    assert_false(has_file(0, "identity.next") || has_file(0, "contacts/carol"));
    assert_true(has_file(0, "contacts/dave"));
    assert_moved(0, 1);
    meet(0, 1, false);
    assert_false(info_of(0, 2).offered); /* mallory was left behind */
    assert_true(info_of(0, 2).accepted);
    assert_false(info_of(0, 2).verified);
    assert_err(cn_home_rotate_finish(homes[0]), CN_E_ABSENT);
}

static void finishing_that_fails_goes_on_later(void **state)
{
    (void)state;
    for (unsigned fault = 1; fault < 40; fault++) {
        end(NULL);
        begin(NULL);
        assert_err(cn_home_rotate(homes[0], 0), CN_OK);
        calls_left = fault;
        if (cn_home_rotate_finish(homes[0]) == CN_OK && calls_left > 0) {
            assert_true(fault > 3);
            return;
        }
        calls_left = 0;
        if (has_file(0, "identity.next") && cn_home_rotate_finish(homes[0]) == CN_E_ABSENT)
            assert_err(cn_home_rotate(homes[0], 0), CN_OK); /* both files held the new one */
    }
    fail();
}

static void without_contacts_a_new_identity_replaces_the_old_one_at_once(void **state)
{
    const struct cn_identity old = identity_of(0);
    struct cn_identity fresh;
    bool under_way = true;
    const char *kind;

    (void)state;
    assert_err(cn_contact_remove(homes[0], "bob"), CN_OK);
    assert_err(cn_contact_remove(homes[0], "mallory"), CN_OK);
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    fresh = identity_of(0);
    assert_memory_not_equal(fresh.id, old.id, sizeof old.id);
    assert_err(cn_home_rotation(homes[0], &under_way, &kind), CN_OK);
    assert_false(under_way);
    assert_string_equal(kind, "X25519");
}

static void removing_the_last_who_has_not_moved_ends_it(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    call(0, 1, false);
    call(0, 1, true);
    assert_true(has_file(0, "identity.next"));
    assert_err(cn_contact_remove(homes[0], "mallory"), CN_OK);
    assert_false(has_file(0, "identity.next"));
}

static void a_passphrase_seals_both_identities(void **state)
{
    (void)state;
    assert_err(cn_home_rotate(homes[0], 0), CN_OK);
    assert_err(cn_home_seal(homes[0], "passphrase", 10), CN_OK);
    for (int with = 1; with < PEOPLE; with++) {
        call(0, with, false);
        call(0, with, true);
        assert_moved(0, with);
    }
    assert_false(has_file(0, "identity.next"));
    (void)identity_of(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whatever_fails_two_still_meet_and_move_in_the_end),
        TEST(a_home_that_cannot_be_written_stays_as_it_is),
        TEST(cards_that_cannot_be_kept_are_not_answered),
        TEST(what_is_no_card_is_reset),
        TEST(a_part_of_a_card_holds_nothing_up_for_long),
        TEST(an_end_before_the_card_is_none),
        TEST(only_one_stream_of_a_call_is_listened_to),
        TEST(cards_that_are_not_the_contacts_to_give_are_refused),
        TEST(a_hostile_card_replaces_only_its_own),
        TEST(who_hands_over_the_keys_of_another_does_not_stop_her),
        TEST(a_bad_answer_is_reset),
        TEST(a_call_under_a_pair_that_is_no_more_changes_nothing),
        TEST(two_calls_move_a_contact_and_the_last_takes_the_old_identity_away),
        TEST(both_may_change_at_the_same_time),
        TEST(who_changes_amid_the_others_change_does_so_afterwards),
        TEST(who_is_not_verified_is_left),
        TEST(a_card_that_was_only_offered_is_told_and_dropped_in_the_end),
        TEST(finishing_that_fails_goes_on_later),
        TEST(without_contacts_a_new_identity_replaces_the_old_one_at_once),
        TEST(removing_the_last_who_has_not_moved_ends_it),
        TEST(a_passphrase_seals_both_identities),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
