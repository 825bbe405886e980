/* Talks over a descriptor, behind which another program would have the call: the other end is
 * another talk here, or says what it likes. */
#include "unit.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cyphernet/talk.h>

static int ends[2];
static struct cn_talk *one, *two;
static struct cn_talk_event event;
static char big[CN_TALK_TEXT_SIZE_MAX];

static int begin(void **state)
{
    const int small = 4096;

    (void)state;
    memset(big, 'x', sizeof big);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    return cn_talk_open_descriptor(&one, ends[0]) == CN_OK &&
                   cn_talk_open_descriptor(&two, ends[1]) == CN_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    cn_talk_free(one);
    cn_talk_free(two);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
    return 0;
}

/* The next event of one of them, which the other makes room for. */
static void next(struct cn_talk *talk, struct cn_talk *other, enum cn_talk_event_type type)
{
    for (int turn = 0; turn < 10000; turn++) {
        cn_talk_process(other);
        cn_talk_process(talk);
        if (cn_talk_next_event(talk, &event)) {
            assert_int_equal(event.type, type);
            return;
        }
    }
    fail_msg("no event");
}

static void what_is_said_is_heard_and_marked(void **state)
{
    uint64_t number = 0;

    (void)state;
    assert_false(cn_talk_next_event(one, &event)); /* and nobody was waited for */
    assert_err(cn_talk_say(one, "hello", 5, &number), CN_OK);
    assert_int_equal(number, 1);
    next(two, one, CN_TALK_LINE);
    assert_int_equal(event.number, 1);
    assert_int_equal(event.text_size, 5);
    assert_memory_equal(event.text, "hello", 5);
    assert_false(cn_talk_next_event(two, &event));
    next(one, two, CN_TALK_DELIVERED);
    cn_talk_read(two, 1);
    next(one, two, CN_TALK_READ);
}

static void both_leave(void **state)
{
    (void)state;
    cn_talk_leave(one, false);
    next(two, one, CN_TALK_LEFT);
    assert_err(cn_talk_say(two, "last word", 9, NULL), CN_OK);
    next(one, two, CN_TALK_LINE);
    cn_talk_leave(two, true);
    next(one, two, CN_TALK_HUNG_UP);
    next(two, one, CN_TALK_DELIVERED);
    next(two, one, CN_TALK_ENDED);
    next(one, two, CN_TALK_ENDED);
    assert_false(cn_talk_next_event(one, &event));
}

/* More than the socket takes at once. */
static void a_long_text_goes_in_pieces(void **state)
{
    struct pollfd polled;

    (void)state;
    assert_err(cn_talk_say(one, big, sizeof big, NULL), CN_OK);
    assert_false(cn_talk_is_sent(one));
    assert_int_equal(cn_talk_descriptors(one, &polled, 1), 1);
    assert_int_equal(polled.fd, ends[0]);
    assert_int_equal(polled.events, POLLIN | POLLOUT);
    next(two, one, CN_TALK_LINE);
    assert_int_equal(event.text_size, sizeof big);
    assert_memory_equal(event.text, big, sizeof big);
    assert_true(cn_talk_is_sent(one));
    assert_int_equal(cn_talk_descriptors(one, &polled, 1), 1);
    assert_int_equal(polled.events, POLLIN);
}

static void an_end_without_leaving_is_an_interruption(void **state)
{
    (void)state;
    assert_err(cn_talk_say(one, "last", 4, NULL), CN_OK);
    close(ends[0]);
    ends[0] = -1;
    next(two, two, CN_TALK_LINE); /* what had come is not lost */
    next(two, two, CN_TALK_INTERRUPTED);
    assert_false(cn_talk_next_event(two, &event));
}

static void an_end_after_we_left_and_before_we_said_all_is_an_interruption(void **state)
{
    (void)state;
    cn_talk_leave(two, false);
    next(one, two, CN_TALK_LEFT);
    assert_err(cn_talk_say(two, "x", 1, NULL), CN_E_UNEXPECTED);
    close(ends[0]);
    ends[0] = -1;
    next(two, two, CN_TALK_INTERRUPTED);
}

static void what_makes_no_sense_breaks_it(void **state)
{
    static const uint8_t nonsense[] = { 9, 0, 0, 0, 0 };

    (void)state;
    assert_int_equal(send(ends[0], nonsense, sizeof nonsense, 0), sizeof nonsense);
    next(two, two, CN_TALK_BROKEN);
    assert_int_equal(cn_talk_descriptors(two, &(struct pollfd) { 0 }, 1), 0);
}

static void an_end_in_the_middle_of_a_message_is_an_interruption(void **state)
{
    static const uint8_t half[] = { 1, 0, 0, 0, 5, 'h', 'e' };

    (void)state;
    assert_int_equal(send(ends[0], half, sizeof half, 0), sizeof half);
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    next(two, two, CN_TALK_INTERRUPTED);
}

#define TALK_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TALK_TEST(an_end_without_leaving_is_an_interruption),
        TALK_TEST(an_end_after_we_left_and_before_we_said_all_is_an_interruption),
        TALK_TEST(an_end_in_the_middle_of_a_message_is_an_interruption),
        TALK_TEST(what_makes_no_sense_breaks_it),
        TALK_TEST(what_is_said_is_heard_and_marked),
        TALK_TEST(a_long_text_goes_in_pieces),
        TALK_TEST(both_leave),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
