/* Who is joined with whom: against rules one by one, then against a model that is too simple to be
 * wrong. */
#include "unit.h"

#include "seeded.h"
#include "switchboard.h"

enum { SEAT_MAX = 8, NEVER = 1000000 };

static struct cn_switchboard board;
static struct cn_waiter replaced_last;
static int replaced_count;

static uint64_t seed;
static const struct cn_random seeded = { seeded_fill, &seed };

static int begin(void **state)
{
    (void)state;
    seed = 1;
    replaced_count = 0;
    return cn_switchboard_init(&board, SEAT_MAX, &seeded) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cn_switchboard_wipe(&board);
    return 0;
}

static void on_replaced(void *context, struct cn_waiter *old)
{
    assert_ptr_equal(context, &board);
    assert_int_equal(old->seat_count, 0);
    replaced_last = *old;
    replaced_count++;
}

static struct cn_waiter waiter(uint8_t key)
{
    return (struct cn_waiter) { .admission_key = { key }, .alive_until_ms = NEVER };
}

static struct cn_entry entry(enum cn_mode mode, uint8_t tag)
{
    return (struct cn_entry) { mode, { tag } };
}

static struct cn_waiter *enrol(struct cn_waiter *w, const struct cn_entry *entries, size_t count)
{
    struct cn_match match = { NULL, { 0 } };

    assert_err(cn_switchboard_register(&board, w, entries, count, 0, on_replaced, &board, &match),
               CN_OK);
    return match.partner;
}

static struct cn_waiter *in(struct cn_waiter *w, uint8_t tag)
{
    const struct cn_entry e = entry(CN_MODE_INPUT, tag);

    return enrol(w, &e, 1);
}

static struct cn_waiter *out(struct cn_waiter *w, uint8_t tag)
{
    const struct cn_entry e = entry(CN_MODE_OUTPUT, tag);

    return enrol(w, &e, 1);
}

static struct cn_waiter *back(struct cn_waiter *w, enum cn_mode mode, uint8_t tag)
{
    const struct cn_entry e = entry(mode, tag);
    struct cn_match match = { NULL, { 0 } };

    assert_err(cn_switchboard_return(&board, w, &e, 0, &match), CN_OK);
    return match.partner;
}

/* --- buckets --------------------------------------------------------------------------------- */

enum { MANY = 100000, LONGEST = 32 };

static uint32_t longest_bucket(void)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < board.bucket_count; i++) {
        uint32_t length = 0;

        for (uint32_t seat = board.buckets[i]; seat != CN_SEAT_NONE;
             seat = board.seats[seat].next_in_bucket)
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* Tags as somebody may choose them who does not know the key: at random, or numbers in some place.
 */
static void tags_fill(struct cn_entry *entries, int pattern)
{
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t words[CN_TAG_SIZE / sizeof(uint32_t)] = { 0 };

        if (pattern == 0)
            assert_err(cn_random_fill(&seeded, (uint8_t *)words, sizeof words), CN_OK);
        else if (pattern <= 8)
            words[pattern - 1] = i;
        else if (pattern == 9)
            words[7] = i << 8;
        else if (pattern == 10)
            words[0] = words[7] = i;
        else
            words[i % 8] = 1U << i / 8 % 32 | i << 7;
        entries[i].mode = CN_MODE_INPUT;
        memcpy(entries[i].tag, words, sizeof words);
    }
}

/* Whoever could pile tags up would have the gate walk over all of them, each time. */
static void no_bucket_gets_long_whatever_the_tags(void **state)
{
    struct cn_entry *entries = calloc(MANY, sizeof *entries);

    (void)state;
    assert_non_null(entries);
    seed = 77;
    for (int pattern = 0; pattern <= 11; pattern++) {
        tags_fill(entries, pattern);
        for (uint64_t key = 1; key <= 2; key++) {
            struct cn_waiter w = waiter(1);

            cn_switchboard_wipe(&board);
            seed = key;
            assert_err(cn_switchboard_init(&board, MANY, &seeded), CN_OK);
            assert_null(enrol(&w, entries, MANY));
            assert_in_range(longest_bucket(), 1, LONGEST);
        }
    }
    free(entries);
}

/* --- who is not joined ----------------------------------------------------------------------- */

static void the_same_mode_never_pairs(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2), c = waiter(3), d = waiter(4);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(in(&b, 7));
    assert_null(out(&c, 8));
    assert_null(out(&d, 8));
    assert_int_equal(replaced_count, 0);
}

static void other_tags_never_pair(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2);
    struct cn_entry e = { CN_MODE_INPUT, { 0 } };

    (void)state;
    assert_null(enrol(&a, &e, 1));
    for (size_t bit = 0; bit < 8 * CN_TAG_SIZE; bit++) {
        struct cn_entry other = { CN_MODE_OUTPUT, { 0 } };

        other.tag[bit / 8] = (uint8_t)(1 << bit % 8);
        assert_null(enrol(&b, &other, 1));
    }
    e.mode = CN_MODE_OUTPUT;
    assert_ptr_equal(enrol(&b, &e, 1), &a);
}

static void one_subscriber_never_pairs_with_himself(void **state)
{
    struct cn_waiter a = waiter(1), again = waiter(1), b = waiter(2);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(out(&again, 7));
    assert_int_equal(replaced_count, 0);
    assert_ptr_equal(in(&b, 7), &again);
    assert_int_equal(a.seat_count, 1);
}

static void keys_that_differ_in_one_bit_are_two_subscribers(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * CN_X25519_SIZE; bit++) {
        struct cn_waiter a = waiter(0), b = waiter(0);

        b.admission_key[bit / 8] = (uint8_t)(1 << bit % 8);
        assert_null(in(&a, 7));
        assert_ptr_equal(out(&b, 7), &a);
    }
}

static void one_line_never_pairs_with_itself(void **state)
{
    struct cn_waiter a = waiter(1);
    const struct cn_entry both[] = { entry(CN_MODE_INPUT, 7), entry(CN_MODE_OUTPUT, 7) };

    (void)state;
    assert_null(enrol(&a, both, 2));
    assert_int_equal(a.seat_count, 2);
}

static void who_has_left_is_not_joined(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2);

    (void)state;
    assert_null(in(&a, 7));
    cn_switchboard_leave(&board, &a);
    cn_switchboard_leave(&board, &a);
    assert_null(out(&b, 7));
}

static void who_is_overdue_is_skipped(void **state)
{
    struct cn_waiter dead = waiter(1), alive = waiter(2), b = waiter(3);

    (void)state;
    dead.alive_until_ms = 0; /* the present moment counts as over */
    alive.alive_until_ms = 1;
    assert_null(in(&dead, 7));
    assert_null(in(&alive, 7));
    assert_ptr_equal(out(&b, 7), &alive);
    assert_int_equal(dead.seat_count, 1);
}

static void who_was_joined_is_off_the_board(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2), c = waiter(3);
    const struct cn_entry two[] = { entry(CN_MODE_INPUT, 7), entry(CN_MODE_INPUT, 8) };

    (void)state;
    assert_null(enrol(&a, two, 2));
    assert_ptr_equal(out(&b, 8), &a);
    assert_int_equal(a.seat_count, 0);
    assert_int_equal(b.seat_count, 0);
    assert_null(out(&c, 7));
}

static void an_update_takes_back_what_it_does_not_repeat(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(in(&a, 8));
    assert_null(out(&b, 7));
    assert_ptr_equal(out(&b, 8), &a);
}

static void an_update_to_nothing_waits_for_nobody(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(enrol(&a, NULL, 0));
    assert_int_equal(a.seat_count, 0);
    assert_null(out(&b, 7));
}

/* --- seats ----------------------------------------------------------------------------------- */

static void no_more_seats_than_there_are(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2), c = waiter(3);
    struct cn_entry many[SEAT_MAX + 1];
    struct cn_match match = { &a, { 0 } };

    (void)state;
    for (uint8_t i = 0; i < COUNT(many); i++)
        many[i] = entry(CN_MODE_INPUT, i);
    assert_err(
        cn_switchboard_register(&board, &a, many, COUNT(many), 0, on_replaced, &board, &match),
        CN_E_LIMIT);
    assert_int_equal(a.seat_count, 0);
    assert_null(out(&b, 0));
    cn_switchboard_leave(&board, &b);
    assert_null(enrol(&a, many, SEAT_MAX));
    assert_err(cn_switchboard_register(&board, &b, many, 1, 0, on_replaced, &board, &match),
               CN_E_LIMIT);
    assert_err(cn_switchboard_return(&board, &b, &many[0], 0, &match), CN_E_LIMIT);
    assert_ptr_equal(out(&c, 3), &a); /* a match needs no seat */
    assert_null(enrol(&b, many, SEAT_MAX));
}

static void an_update_may_use_the_seats_it_gives_up(void **state)
{
    struct cn_waiter a = waiter(1);
    struct cn_entry many[SEAT_MAX];

    (void)state;
    for (uint8_t round = 0; round < 3; round++) {
        for (uint8_t i = 0; i < COUNT(many); i++)
            many[i] = entry(CN_MODE_INPUT, (uint8_t)(round * SEAT_MAX + i));
        assert_null(enrol(&a, many, COUNT(many)));
        assert_int_equal(a.seat_count, SEAT_MAX);
    }
}

static void an_entry_twice_counts_once(void **state)
{
    struct cn_waiter a = waiter(1);
    const struct cn_entry twice[] = { entry(CN_MODE_INPUT, 7), entry(CN_MODE_INPUT, 7),
                                      entry(CN_MODE_OUTPUT, 7), entry(CN_MODE_INPUT, 7) };

    (void)state;
    assert_null(enrol(&a, twice, COUNT(twice)));
    assert_int_equal(a.seat_count, 2);
    assert_int_equal(replaced_count, 0);
}

/* As many as a line may have, each of them twice, under which another waits already. */
static void of_thousands_of_entries_each_counts_once(void **state)
{
    static struct cn_entry many[4096];
    struct cn_waiter first = waiter(1), second = waiter(2), caller = waiter(3);
    size_t half = COUNT(many) / 2;

    (void)state;
    cn_switchboard_wipe(&board);
    assert_err(cn_switchboard_init(&board, COUNT(many), &seeded), CN_OK);
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = entry(CN_MODE_INPUT, (uint8_t)(i % half));
        many[i].tag[31] = (uint8_t)(i % half >> 8);
    }
    assert_null(enrol(&first, many, half));
    assert_null(enrol(&second, many, COUNT(many)));
    assert_int_equal(second.seat_count, half);
    many[777].mode = CN_MODE_OUTPUT;
    assert_ptr_equal(enrol(&caller, &many[777], 1), &first);
    assert_ptr_equal(enrol(&caller, &many[777], 1), &second);
    assert_null(enrol(&caller, &many[777], 1));
    assert_int_equal(first.seat_count + second.seat_count, 0);
}

static void randomness_that_fails_is_told(void **state)
{
    struct cn_switchboard none;
    struct cn_switchboard untouched;

    (void)state;
    memset(&none, 0x5a, sizeof none);
    untouched = none;
    assert_err(cn_switchboard_init(&none, SEAT_MAX, &(struct cn_random) { broken_fill, NULL }),
               CN_E_RANDOM);
    assert_memory_equal(&none, &untouched, sizeof none);
}

/* --- who is ---------------------------------------------------------------------------------- */

static void the_match_names_the_entry(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2);
    const struct cn_entry e = entry(CN_MODE_OUTPUT, 7);
    struct cn_match match = { NULL, { 0 } };

    (void)state;
    assert_null(in(&a, 7));
    assert_err(cn_switchboard_register(&board, &b, &e, 1, 0, on_replaced, &board, &match), CN_OK);
    assert_ptr_equal(match.partner, &a);
    assert_int_equal(match.entry.mode, CN_MODE_OUTPUT);
    assert_memory_equal(match.entry.tag, e.tag, CN_TAG_SIZE);
}

static void first_come_first_served(void **state)
{
    struct cn_waiter w[4] = { waiter(1), waiter(2), waiter(3), waiter(4) };
    struct cn_waiter b = waiter(9);

    (void)state;
    for (size_t i = 0; i < COUNT(w); i++)
        assert_null(in(&w[i], 7));
    assert_null(in(&w[1], 7)); /* an update gives up the place */
    cn_switchboard_leave(&board, &w[2]);
    assert_ptr_equal(out(&b, 7), &w[0]);
    assert_ptr_equal(out(&b, 7), &w[3]);
    assert_ptr_equal(out(&b, 7), &w[1]);
    assert_null(out(&b, 7));
}

static void the_smallest_tag_of_several_wins(void **state)
{
    struct cn_waiter w[3] = { waiter(1), waiter(2), waiter(3) };
    struct cn_waiter b = waiter(9);
    const struct cn_entry all[] = { entry(CN_MODE_OUTPUT, 0x80), entry(CN_MODE_OUTPUT, 0x7f),
                                    entry(CN_MODE_OUTPUT, 0xff), entry(CN_MODE_OUTPUT, 0x01) };

    (void)state;
    assert_null(in(&w[0], 0x80));
    assert_null(in(&w[1], 0xff));
    assert_null(in(&w[2], 0x7f));
    assert_ptr_equal(enrol(&b, all, COUNT(all)), &w[2]);
    assert_ptr_equal(enrol(&b, all, COUNT(all)), &w[0]);
    assert_ptr_equal(enrol(&b, all, COUNT(all)), &w[1]);
    assert_null(enrol(&b, all, COUNT(all)));
}

static void the_newer_line_replaces_the_older(void **state)
{
    struct cn_waiter old = waiter(1), other = waiter(2), new = waiter(1), b = waiter(9);
    const struct cn_entry two[] = { entry(CN_MODE_INPUT, 7), entry(CN_MODE_INPUT, 8) };

    (void)state;
    assert_null(enrol(&old, two, 2));
    assert_null(in(&other, 7));
    assert_null(in(&new, 7));
    assert_int_equal(replaced_count, 1);
    assert_int_equal(replaced_last.admission_key[0], 1);
    assert_null(out(&b, 8)); /* the older is off the board altogether */
    assert_ptr_equal(out(&b, 7), &other);
    assert_ptr_equal(out(&b, 7), &new);
}

static void lines_of_one_subscriber_under_other_entries_stay(void **state)
{
    struct cn_waiter a = waiter(1), mode = waiter(1), tag = waiter(1);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(out(&mode, 7));
    assert_null(in(&tag, 8));
    assert_int_equal(replaced_count, 0);
}

static void an_older_line_is_replaced_even_by_one_that_matches(void **state)
{
    struct cn_waiter old = waiter(1), new = waiter(1), b = waiter(2), c = waiter(3);
    const struct cn_entry two[] = { entry(CN_MODE_INPUT, 8), entry(CN_MODE_INPUT, 7) };

    (void)state;
    assert_null(in(&old, 7));
    assert_null(out(&b, 8));
    assert_ptr_equal(enrol(&new, two, 2), &b);
    assert_int_equal(replaced_count, 1);
    assert_null(out(&c, 7));
}

static void who_returns_is_at_the_head(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2), c = waiter(3), d = waiter(4);

    (void)state;
    assert_null(in(&a, 7));
    assert_null(in(&b, 7));
    assert_ptr_equal(out(&c, 7), &a);
    assert_null(back(&a, CN_MODE_INPUT, 7));
    assert_ptr_equal(out(&d, 7), &a);
    assert_ptr_equal(back(&c, CN_MODE_OUTPUT, 7), &b); /* somebody is there already */
}

static void who_returns_under_a_tag_is_not_under_others(void **state)
{
    struct cn_waiter a = waiter(1), b = waiter(2), c = waiter(3);
    const struct cn_entry two[] = { entry(CN_MODE_INPUT, 7), entry(CN_MODE_INPUT, 8) };

    (void)state;
    assert_null(enrol(&a, two, 2));
    assert_ptr_equal(out(&b, 7), &a);
    assert_null(back(&a, CN_MODE_INPUT, 7));
    assert_int_equal(a.seat_count, 1);
    assert_null(out(&c, 8));
}

static void who_returns_does_not_shadow_a_newer_line_of_its_subscriber(void **state)
{
    struct cn_waiter old = waiter(1), b = waiter(2), new = waiter(1), c = waiter(3);
    const struct cn_entry e = entry(CN_MODE_INPUT, 7);
    struct cn_match match;

    (void)state;
    assert_null(in(&old, 7));
    assert_ptr_equal(out(&b, 7), &old);
    assert_null(in(&new, 7));
    assert_err(cn_switchboard_return(&board, &old, &e, 0, &match), CN_E_EXISTS);
    assert_int_equal(old.seat_count, 0);
    assert_ptr_equal(out(&c, 7), &new);
}

/* --- against a model ------------------------------------------------------------------------- */

enum { LINES = 12, ENTRIES_MAX = 4, STEPS = 200000, MODEL_SEATS = 16 };

/* A line as the model knows it; order: who came first, may be negative for who came back. */
struct model_line {
    struct cn_waiter waiter; /* first */
    struct cn_entry entry[ENTRIES_MAX];
    int entry_count;
    long order;
};

static struct model_line model[LINES];
static long model_last, model_head;
static bool model_replaced[LINES], board_replaced[LINES];

static unsigned dice(unsigned sides)
{
    uint8_t bytes[2];

    seeded_fill(&seed, bytes, sizeof bytes);
    return (unsigned)(bytes[0] << 8 | bytes[1]) % sides;
}

static void note_replaced(void *context, struct cn_waiter *old)
{
    (void)context;
    board_replaced[(struct model_line *)(void *)old - model] = true;
}

static int model_seats(void)
{
    int count = 0;

    for (int i = 0; i < LINES; i++)
        count += model[i].entry_count;
    return count;
}

static bool model_has(const struct model_line *line, enum cn_mode mode, const uint8_t *tag)
{
    for (int i = 0; i < line->entry_count; i++) {
        if (line->entry[i].mode == mode && memcmp(line->entry[i].tag, tag, CN_TAG_SIZE) == 0)
            return true;
    }
    return false;
}

/* Who came first of those that match. */
static struct model_line *model_partner(const struct model_line *line, const struct cn_entry *e,
                                        uint64_t now)
{
    enum cn_mode other = e->mode == CN_MODE_INPUT ? CN_MODE_OUTPUT : CN_MODE_INPUT;
    struct model_line *first = NULL;

    for (int i = 0; i < LINES; i++) {
        struct model_line *l = &model[i];

        if (model_has(l, other, e->tag) &&
            l->waiter.admission_key[0] != line->waiter.admission_key[0] &&
            l->waiter.alive_until_ms > now && (!first || l->order < first->order))
            first = l;
    }
    return first;
}

static void model_replace(const struct model_line *line, const struct cn_entry *e)
{
    for (int i = 0; i < LINES; i++) {
        if (&model[i] == line || !model_has(&model[i], e->mode, e->tag) ||
            model[i].waiter.admission_key[0] != line->waiter.admission_key[0])
            continue;
        model[i].entry_count = 0;
        model_replaced[i] = true;
    }
}

/* False: no seats. */
static bool model_register(struct model_line *line, const struct cn_entry *e, int count,
                           uint64_t now, struct model_line **partner)
{
    const struct cn_entry *best = NULL;

    *partner = NULL;
    line->entry_count = 0;
    for (int i = 0; i < count; i++) {
        struct model_line *found;

        model_replace(line, &e[i]);
        found = model_partner(line, &e[i], now);
        if (found && (!best || memcmp(e[i].tag, best->tag, CN_TAG_SIZE) < 0)) {
            best = &e[i];
            *partner = found;
        }
    }
    if (*partner) {
        (*partner)->entry_count = 0;
        return true;
    }
    for (int i = 0; i < count; i++) {
        if (!model_has(line, e[i].mode, e[i].tag))
            line->entry[line->entry_count++] = e[i];
    }
    line->order = ++model_last;
    if (model_seats() <= MODEL_SEATS)
        return true;
    line->entry_count = 0;
    return false;
}

static bool model_has_twin(const struct model_line *line, const struct cn_entry *e)
{
    for (int i = 0; i < LINES; i++) {
        if (&model[i] != line && model_has(&model[i], e->mode, e->tag) &&
            model[i].waiter.admission_key[0] == line->waiter.admission_key[0])
            return true;
    }
    return false;
}

static enum cn_err model_return(struct model_line *line, const struct cn_entry *e, uint64_t now,
                                struct model_line **partner)
{
    if (model_has_twin(line, e))
        return CN_E_EXISTS;
    *partner = model_partner(line, e, now);
    if (*partner)
        (*partner)->entry_count = 0;
    else if (model_seats() == MODEL_SEATS)
        return CN_E_LIMIT;
    else {
        line->entry[0] = *e;
        line->entry_count = 1;
        line->order = --model_head;
    }
    return CN_OK;
}

static void check_against_model(void)
{
    uint32_t free_count = 0;

    for (int i = 0; i < LINES; i++)
        assert_int_equal(model[i].waiter.seat_count, model[i].entry_count);
    assert_memory_equal(model_replaced, board_replaced, sizeof model_replaced);
    for (uint32_t seat = board.free_seat; seat != CN_SEAT_NONE;
         seat = board.seats[seat].next_of_waiter)
        free_count++;
    assert_int_equal(board.seats_used - free_count, model_seats());
}

static void one_step(void)
{
    struct model_line *line = &model[dice(LINES)];
    struct model_line *partner = NULL;
    struct cn_match match = { NULL, { 0 } };
    struct cn_entry e[ENTRIES_MAX];
    int count = (int)dice(ENTRIES_MAX + 1);
    unsigned what = dice(8);
    uint64_t now = dice(3);
    enum cn_err expected, err;

    for (int i = 0; i < count; i++)
        e[i] = entry(dice(2) ? CN_MODE_INPUT : CN_MODE_OUTPUT, (uint8_t)dice(6));
    memset(model_replaced, 0, sizeof model_replaced);
    memset(board_replaced, 0, sizeof board_replaced);
    if (what == 0) {
        line->entry_count = 0;
        cn_switchboard_leave(&board, &line->waiter);
        return;
    }
    line->waiter.alive_until_ms = dice(4);
    if (what == 1 && line->entry_count == 0) {
        e[0] = entry(dice(2) ? CN_MODE_INPUT : CN_MODE_OUTPUT, (uint8_t)dice(6));
        expected = model_return(line, &e[0], now, &partner);
        err = cn_switchboard_return(&board, &line->waiter, &e[0], now, &match);
    } else {
        expected = model_register(line, e, count, now, &partner) ? CN_OK : CN_E_LIMIT;
        err = cn_switchboard_register(&board, &line->waiter, e, (size_t)count, now, note_replaced,
                                      NULL, &match);
    }
    assert_int_equal(err, expected);
    assert_ptr_equal(match.partner, partner ? &partner->waiter : NULL);
}

static void random_operations_agree_with_a_model(void **state)
{
    (void)state;
    cn_switchboard_wipe(&board);
    assert_err(cn_switchboard_init(&board, MODEL_SEATS, &seeded), CN_OK);
    for (int i = 0; i < LINES; i++)
        model[i] = (struct model_line) { .waiter = waiter((uint8_t)(i % 7)) };
    for (int i = 0; i < STEPS; i++) {
        one_step();
        check_against_model();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_bucket_gets_long_whatever_the_tags),
        TEST(the_same_mode_never_pairs),
        TEST(other_tags_never_pair),
        TEST(one_subscriber_never_pairs_with_himself),
        TEST(keys_that_differ_in_one_bit_are_two_subscribers),
        TEST(one_line_never_pairs_with_itself),
        TEST(who_has_left_is_not_joined),
        TEST(who_is_overdue_is_skipped),
        TEST(who_was_joined_is_off_the_board),
        TEST(an_update_takes_back_what_it_does_not_repeat),
        TEST(an_update_to_nothing_waits_for_nobody),
        TEST(no_more_seats_than_there_are),
        TEST(an_update_may_use_the_seats_it_gives_up),
        TEST(an_entry_twice_counts_once),
        TEST(of_thousands_of_entries_each_counts_once),
        TEST(randomness_that_fails_is_told),
        TEST(the_match_names_the_entry),
        TEST(first_come_first_served),
        TEST(the_smallest_tag_of_several_wins),
        TEST(the_newer_line_replaces_the_older),
        TEST(lines_of_one_subscriber_under_other_entries_stay),
        TEST(an_older_line_is_replaced_even_by_one_that_matches),
        TEST(who_returns_is_at_the_head),
        TEST(who_returns_under_a_tag_is_not_under_others),
        TEST(who_returns_does_not_shadow_a_newer_line_of_its_subscriber),
        TEST(random_operations_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
