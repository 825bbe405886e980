/* Conversations: what a partner must not say, then two ends that tell each other what became of
 * their lines. PROTOCOL.md 7.3 */
#include "unit.h"

#include "talk/conversation.h"

static struct cn_conversation one, two;
static char big[CN_TALK_TEXT_SIZE_MAX + 1];

static int begin(void **state)
{
    (void)state;
    cn_conversation_init(&one);
    cn_conversation_init(&two);
    memset(big, 'x', sizeof big);
    return 0;
}

/* Hand over octets; how many were taken before an event was due. */
static size_t tell(struct cn_conversation *c, const void *octets, size_t size)
{
    const uint8_t *at = octets;
    size_t left = size;

    while (left > 0) {
        size_t room;
        uint8_t *to = cn_conversation_input(c, &room);

        if (room == 0)
            break;
        room = room < left ? room : left;
        memcpy(to, at, room);
        cn_conversation_received(c, room);
        at += room;
        left -= room;
    }
    return size - left;
}

/* All that from has to say, to the other; the events that this led to. */
static size_t carry(struct cn_conversation *from, struct cn_conversation *to,
                    struct cn_talk_event *events, size_t most)
{
    size_t count = 0, size;
    const uint8_t *out = cn_conversation_output(from, &size);

    for (size_t at = 0; at < size;) {
        at += tell(to, out + at, size - at);
        if (cn_conversation_next(to, &events[count]) == CN_OK)
            assert_true(++count < most);
    }
    cn_conversation_sent(from, size);
    assert_err(cn_conversation_next(to, &events[count]), CN_E_MORE); /* all are dealt with */
    return count;
}

static struct cn_talk_event events[16];

static size_t carry_all(struct cn_conversation *from, struct cn_conversation *to)
{
    return carry(from, to, events, COUNT(events));
}

static void say(struct cn_conversation *c, const char *text)
{
    assert_err(cn_conversation_say(c, text, strlen(text), NULL), CN_OK);
}

/* --- refusals ------------------------------------------------------------------------------- */

struct refusal {
    uint8_t octets[16];
    size_t size;
    enum cn_err err;
};

static void messages_that_make_no_sense(void **state)
{
    static const struct refusal refusals[] = {
        { { 0, 0, 0, 0, 0 }, 5, CN_E_FORMAT },  /* no such type */
        { { 6, 0, 0, 0, 0 }, 5, CN_E_FORMAT },  /* one to come */
        { { 5, 0, 0, 0, 23 }, 5, CN_E_FORMAT }, /* of a series, too short */
        { { 5, 0, 0, 0, 25 }, 5, CN_E_FORMAT },
        { { 255, 0, 0, 0, 0 }, 5, CN_E_FORMAT },
        { { 1, 0, 1, 0, 1 }, 5, CN_E_FORMAT }, /* a line that is too long */
        { { 1, 255, 255, 255, 255 }, 5, CN_E_FORMAT },
        { { 2, 0, 0, 0, 7 }, 5, CN_E_FORMAT }, /* a mark that is too short */
        { { 2, 0, 0, 0, 9 }, 5, CN_E_FORMAT }, /* or too long */
        { { 3, 0, 0, 0, 0 }, 5, CN_E_FORMAT },
        { { 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0 }, 13, CN_E_FORMAT }, /* of no line */
        { { 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2 }, 13, CN_E_FORMAT }, /* of one never said */
        { { 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1 }, 13, CN_E_FORMAT }, /* not delivered */
        { { 4, 0, 0, 0, 0 }, 5, CN_E_FORMAT },                          /* left, but how? */
        { { 4, 0, 0, 0, 1, 2 }, 6, CN_E_FORMAT },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        size_t room;

        begin(NULL);
        say(&one, "a line");
        tell(&one, refusals[i].octets, refusals[i].size);
        assert_int_equal(cn_conversation_next(&one, &events[0]), refusals[i].err);
        assert_int_equal(one.ours.delivered, 0);
        assert_int_equal(one.ours.read, 0);
        if (refusals[i].size == 5) { /* refused by its head alone: nothing more is read */
            (void)cn_conversation_input(&one, &room);
            assert_int_equal(room, 0);
        }
    }
}

/* --- series --------------------------------------------------------------------------------- */

static void lines_have_places_in_their_series(void **state)
{
    const struct cn_series_place places[] = { { { 1 }, 7 }, { { 2 }, 1 } };

    (void)state;
    say(&one, "of none");
    assert_int_equal(carry_all(&one, &two), 1);
    assert_false(two.has_series);
    for (size_t i = 0; i < COUNT(places); i++) {
        assert_err(cn_conversation_begin_series(&one, &places[i]), CN_OK);
        say(&one, "first");
        assert_int_equal(carry_all(&one, &two), 2);
        assert_int_equal(events[0].type, CN_TALK_NONE);
        assert_int_equal(events[1].type, CN_TALK_LINE);
        assert_int_equal(events[1].number, 2 * i + 2);
        assert_memory_equal(&two.series, &places[i], sizeof places[i]);
        say(&one, "second");
        assert_int_equal(carry_all(&one, &two), 1);
        assert_true(cn_series_place_follows(&two.series, &places[i]));
    }
}

static void places_that_cannot_be_are_refused(void **state)
{
    static const uint64_t numbers[] = { 0, (uint64_t)1 << 62, UINT64_MAX };

    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct cn_series_place place = { { 1 }, numbers[i] };
        struct cn_talk_event event;
        const uint8_t *out;
        size_t size;

        begin(state);
        assert_err(cn_conversation_begin_series(&one, &place), CN_OK);
        out = cn_conversation_output(&one, &size);
        assert_int_equal(tell(&two, out, size), size);
        assert_err(cn_conversation_next(&two, &event), CN_E_FORMAT);
        assert_false(two.has_series);
    }
}

static void a_series_after_leaving_is_refused(void **state)
{
    static const uint8_t left[] = { 4, 0, 0, 0, 1, 0 }, series[] = { 5, 0, 0, 0, 24, 1 };

    (void)state;
    tell(&one, left, sizeof left);
    assert_err(cn_conversation_next(&one, &events[0]), CN_OK);
    tell(&one, series, sizeof series);
    assert_err(cn_conversation_next(&one, &events[0]), CN_E_UNEXPECTED);
}

static void a_line_after_leaving_is_refused(void **state)
{
    static const uint8_t left[] = { 4, 0, 0, 0, 1, 0 }, line[] = { 1, 0, 0, 0, 1, 'x' };

    (void)state;
    tell(&one, left, sizeof left);
    assert_err(cn_conversation_next(&one, &events[0]), CN_OK);
    tell(&one, line, sizeof line);
    assert_err(cn_conversation_next(&one, &events[0]), CN_E_UNEXPECTED);
}

static void leaving_twice_is_refused_but_for_hanging_up(void **state)
{
    static const uint8_t left[] = { 4, 0, 0, 0, 1, 0 }, hung_up[] = { 4, 0, 0, 0, 1, 1 };

    (void)state;
    for (int again = 0; again < 3; again++) {
        begin(NULL);
        tell(&one, again == 2 ? hung_up : left, sizeof left);
        assert_err(cn_conversation_next(&one, &events[0]), CN_OK);
        assert_int_equal(events[0].type, again == 2 ? CN_TALK_HUNG_UP : CN_TALK_LEFT);
        tell(&one, again == 0 ? left : hung_up, sizeof left);
        assert_int_equal(cn_conversation_next(&one, &events[0]), again == 1 ? CN_OK : CN_E_FORMAT);
    }
}

static void a_mark_never_goes_back_nor_says_nothing_new(void **state)
{
    uint8_t mark[] = { 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2 };

    (void)state;
    for (uint8_t number = 1; number <= 2; number++) {
        begin(NULL);
        say(&one, "1");
        say(&one, "2");
        mark[12] = 2;
        tell(&one, mark, sizeof mark);
        assert_err(cn_conversation_next(&one, &events[0]), CN_OK);
        mark[12] = number;
        tell(&one, mark, sizeof mark);
        assert_err(cn_conversation_next(&one, &events[0]), CN_E_FORMAT);
        assert_int_equal(one.ours.delivered, 2);
    }
}

static void an_end_that_comes_too_early(void **state)
{
    (void)state;
    assert_err(cn_conversation_end(&one), CN_E_FORMAT); /* nobody has left */
    cn_conversation_leave(&one, false);
    carry_all(&one, &two);
    assert_err(cn_conversation_end(&one), CN_E_FORMAT); /* he has not */
    assert_err(cn_conversation_end(&two), CN_E_FORMAT); /* we have not */
    cn_conversation_leave(&two, false);
    carry_all(&two, &one);
    assert_err(cn_conversation_end(&one), CN_OK);
    assert_err(cn_conversation_end(&two), CN_OK);
    tell(&one, "\1", 1); /* half a message */
    assert_err(cn_conversation_end(&one), CN_E_FORMAT);
}

static void an_end_before_our_lines_are_delivered(void **state)
{
    static const uint8_t left[] = { 4, 0, 0, 0, 1, 0 };
    size_t size;

    (void)state;
    say(&one, "never taken");
    cn_conversation_leave(&one, false);
    (void)cn_conversation_output(&one, &size);
    cn_conversation_sent(&one, size);
    tell(&one, left, sizeof left);
    assert_err(cn_conversation_next(&one, &events[0]), CN_OK);
    assert_err(cn_conversation_end(&one), CN_E_FORMAT);
}

static void what_may_not_be_said(void **state)
{
    uint64_t number = 7;

    (void)state;
    assert_err(cn_conversation_say(&one, "\xff", 1, &number), CN_E_FORMAT);
    assert_err(cn_conversation_say(&one, "cut \xc3", 5, &number), CN_E_FORMAT);
    assert_err(cn_conversation_say(&one, big, sizeof big, &number), CN_E_LIMIT);
    assert_err(cn_conversation_say(&one, big, CN_TALK_TEXT_SIZE_MAX, NULL), CN_OK);
    assert_err(cn_conversation_say(&one, "x", 1, &number), CN_E_FULL);
    cn_conversation_leave(&one, false);
    assert_err(cn_conversation_say(&one, "x", 1, &number), CN_E_UNEXPECTED);
    assert_int_equal(number, 7);
    assert_int_equal(one.ours.said, 1);
}

/* --- how it goes ---------------------------------------------------------------------------- */

static void lines_come_whole_in_order_and_numbered(void **state)
{
    (void)state;
    say(&one, "first");
    say(&one, "");
    say(&one, "two\nlines");
    assert_int_equal(carry_all(&one, &two), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(events[i].type, CN_TALK_LINE);
        assert_int_equal(events[i].number, i + 1);
    }
    assert_int_equal(events[0].text_size, 5);
    assert_int_equal(events[1].text_size, 0);
    assert_int_equal(events[2].text_size, 9);
    assert_memory_equal(events[2].text, "two\nlines", 9);
}

static void octets_come_one_at_a_time(void **state)
{
    const uint8_t *out;
    size_t size;

    (void)state;
    say(&one, "slow");
    out = cn_conversation_output(&one, &size);
    for (size_t i = 0; i < size; i++) {
        assert_err(cn_conversation_next(&two, &events[0]), CN_E_MORE);
        assert_int_equal(tell(&two, out + i, 1), 1);
    }
    assert_err(cn_conversation_next(&two, &events[0]), CN_OK);
    assert_memory_equal(events[0].text, "slow", 4);
    assert_err(cn_conversation_next(&two, &events[0]), CN_E_MORE);
}

static void marks_come_back(void **state)
{
    (void)state;
    say(&one, "1");
    say(&one, "2");
    carry_all(&one, &two);
    assert_int_equal(carry_all(&two, &one), 1); /* both in one */
    assert_int_equal(events[0].type, CN_TALK_DELIVERED);
    assert_int_equal(events[0].number, 2);
    cn_conversation_read(&two, 1);
    cn_conversation_read(&two, 1);
    assert_int_equal(carry_all(&two, &one), 1);
    assert_int_equal(events[0].type, CN_TALK_READ);
    assert_int_equal(events[0].number, 1);
    cn_conversation_read(&two, 99); /* never more than has come */
    assert_int_equal(carry_all(&two, &one), 1);
    assert_int_equal(events[0].number, 2);
    assert_int_equal(carry_all(&two, &one), 0);
}

static void what_is_read_at_once_is_delivered_first(void **state)
{
    (void)state;
    say(&one, "1");
    carry_all(&one, &two);
    cn_conversation_read(&two, 1);
    assert_int_equal(carry_all(&two, &one), 2);
    assert_int_equal(events[0].type, CN_TALK_DELIVERED);
    assert_int_equal(events[1].type, CN_TALK_READ);
}

static void it_is_over_when_both_have_left_and_all_is_told(void **state)
{
    (void)state;
    say(&one, "1");
    cn_conversation_leave(&one, false);
    assert_int_equal(carry_all(&one, &two), 2);
    assert_int_equal(events[1].type, CN_TALK_LEFT);
    assert_false(cn_conversation_is_over(&two)); /* who stays may say more */
    say(&two, "last word");
    cn_conversation_leave(&two, false);
    assert_false(cn_conversation_is_over(&two)); /* it is not sent */
    carry_all(&two, &one);
    assert_true(cn_conversation_is_over(&two));
    assert_err(cn_conversation_end(&one), CN_OK);
    assert_false(cn_conversation_is_over(&one)); /* delivered is not told */
    carry_all(&one, &two);
    assert_true(cn_conversation_is_over(&one));
    assert_err(cn_conversation_end(&two), CN_OK);
    assert_int_equal(one.ours.delivered, 1);
    assert_int_equal(two.ours.delivered, 1);
}

static void who_has_left_may_still_hang_up(void **state)
{
    (void)state;
    cn_conversation_leave(&one, false);
    carry_all(&one, &two);
    cn_conversation_leave(&one, true);
    assert_int_equal(carry_all(&one, &two), 1);
    assert_int_equal(events[0].type, CN_TALK_HUNG_UP);
    cn_conversation_leave(&one, false); /* no way back */
    assert_int_equal(carry_all(&one, &two), 0);
}

static void both_hang_up_at_once(void **state)
{
    (void)state;
    say(&one, "bye");
    say(&two, "so long");
    cn_conversation_leave(&one, true);
    cn_conversation_leave(&two, true);
    assert_int_equal(carry_all(&one, &two), 2);
    assert_int_equal(carry_all(&two, &one), 3); /* and what was delivered */
    assert_int_equal(carry_all(&one, &two), 1);
    assert_true(cn_conversation_is_over(&one));
    assert_true(cn_conversation_is_over(&two));
    assert_err(cn_conversation_end(&one), CN_OK);
    assert_err(cn_conversation_end(&two), CN_OK);
}

static void there_is_always_room_for_what_is_no_line(void **state)
{
    size_t size;

    (void)state;
    say(&two, "1");
    carry_all(&two, &one);
    assert_err(cn_conversation_say(&one, big, CN_TALK_TEXT_SIZE_MAX, NULL), CN_OK);
    (void)cn_conversation_output(&one, &size);
    cn_conversation_read(&one, 1);
    cn_conversation_leave(&one, false);
    (void)cn_conversation_output(&one, &size);
    cn_conversation_leave(&one, true);
    (void)cn_conversation_output(&one, &size);
    assert_true(one.told.delivered == 1 && one.told.read == 1);
    assert_true(one.told.leaving == CN_CONVERSATION_HANGS_UP);
}

static void a_wiped_one_holds_nothing(void **state)
{
    static const struct cn_conversation nothing;

    (void)state;
    say(&one, "secret");
    cn_conversation_wipe(&one);
    assert_memory_equal(&one, &nothing, sizeof nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(messages_that_make_no_sense, begin),
        cmocka_unit_test_setup(a_line_after_leaving_is_refused, begin),
        cmocka_unit_test_setup(leaving_twice_is_refused_but_for_hanging_up, begin),
        cmocka_unit_test_setup(a_mark_never_goes_back_nor_says_nothing_new, begin),
        cmocka_unit_test_setup(an_end_that_comes_too_early, begin),
        cmocka_unit_test_setup(an_end_before_our_lines_are_delivered, begin),
        cmocka_unit_test_setup(what_may_not_be_said, begin),
        cmocka_unit_test_setup(lines_come_whole_in_order_and_numbered, begin),
        cmocka_unit_test_setup(octets_come_one_at_a_time, begin),
        cmocka_unit_test_setup(marks_come_back, begin),
        cmocka_unit_test_setup(lines_have_places_in_their_series, begin),
        cmocka_unit_test_setup(places_that_cannot_be_are_refused, begin),
        cmocka_unit_test_setup(a_series_after_leaving_is_refused, begin),
        cmocka_unit_test_setup(what_is_read_at_once_is_delivered_first, begin),
        cmocka_unit_test_setup(it_is_over_when_both_have_left_and_all_is_told, begin),
        cmocka_unit_test_setup(who_has_left_may_still_hang_up, begin),
        cmocka_unit_test_setup(both_hang_up_at_once, begin),
        cmocka_unit_test_setup(there_is_always_room_for_what_is_no_line, begin),
        cmocka_unit_test_setup(a_wiped_one_holds_nothing, begin),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
