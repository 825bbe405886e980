/* What is kept of a contact's talks, as records make it. PROTOCOL.md 2.19 */
#include "unit.h"

#include "talk/undelivered_book.h"

static struct cn_undelivered_book book;
static char big[CN_TALK_TEXT_SIZE_MAX];

static int begin(void **state)
{
    (void)state;
    cn_undelivered_book_init(&book);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_undelivered_book_wipe(&book);
    assert_null(book.first);
    return 0;
}

static enum cn_err take(int kind, const void *text, size_t size)
{
    return cn_undelivered_book_take(
        &book, &(struct cn_transcript_record) { (enum cn_transcript_kind)kind, 1, text, size });
}

static enum cn_err take_place(int kind, uint8_t id, uint64_t number)
{
    const struct cn_series_place place = { { id }, number };
    uint8_t body[CN_SERIES_PLACE_SIZE];

    cn_series_place_encode(&place, body);
    return take(kind, body, sizeof body);
}

static enum cn_err take_delivered(uint8_t count)
{
    const uint8_t body[8] = { 0, 0, 0, 0, 0, 0, 0, count };

    return take(CN_UNDELIVERED_DELIVERED, body, sizeof body);
}

static void lines_count_on_in_their_series(void **state)
{
    (void)state;
    assert_err(take(CN_UNDELIVERED_BEGIN, "bob", 3), CN_OK);
    assert_err(take_place(CN_UNDELIVERED_SERIES, 1, 7), CN_OK);
    assert_err(take(CN_UNDELIVERED_LINE, "a", 1), CN_OK);
    assert_err(take(CN_UNDELIVERED_LINE, "", 0), CN_OK);
    assert_err(take_place(CN_UNDELIVERED_SERIES, 2, 1), CN_OK);
    assert_err(take(CN_UNDELIVERED_LINE, "c", 1), CN_OK);
    assert_string_equal(book.contact, "bob");
    assert_int_equal(book.count, 3);
    assert_int_equal(book.first->place.number, 7);
    assert_int_equal(book.first->next->place.number, 8);
    assert_int_equal(book.first->next->next->place.id[0], 2);
    assert_err(take_delivered(2), CN_OK);
    assert_int_equal(book.count, 1);
    assert_memory_equal(book.first->text, "c", 1);
    assert_err(take_delivered(2), CN_OK); /* no news */
    assert_err(take_delivered(1), CN_E_FORMAT);
    assert_err(take_delivered(4), CN_E_FORMAT);
    assert_err(take_delivered(3), CN_OK);
    assert_int_equal(book.size, 0);
    assert_err(take(CN_UNDELIVERED_LINE, "d", 1), CN_OK);
    assert_int_equal(book.first->place.number, 2);
}

static void what_makes_no_sense_is_refused(void **state)
{
    uint8_t body[CN_SERIES_PLACE_SIZE + 1] = { 0 };

    (void)state;
    assert_err(take(CN_UNDELIVERED_LINE, "a", 1), CN_E_FORMAT); /* of no series */
    assert_err(take_place(CN_UNDELIVERED_SERIES, 1, 0), CN_E_FORMAT);
    assert_err(take_place(CN_UNDELIVERED_HEARD, 1, UINT64_MAX), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_HEARD, body, sizeof body), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_HEARD, body, sizeof body - 2), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_DELIVERED, body, 7), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_BEGIN, "", 0), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_BEGIN, "a/b", 3), CN_E_FORMAT);
    assert_err(take(CN_UNDELIVERED_BEGIN, big, CN_NAME_SIZE_MAX + 1), CN_E_FORMAT);
    assert_err(take(CN_TRANSCRIPT_END, NULL, 0), CN_E_FORMAT);
    assert_err(take(0, NULL, 0), CN_E_FORMAT);
    assert_int_equal(book.count, 0);
}

static void there_is_an_end_to_what_is_kept(void **state)
{
    enum cn_err err = CN_OK;

    (void)state;
    assert_err(take_place(CN_UNDELIVERED_SERIES, 1, 1), CN_OK);
    while (err == CN_OK)
        err = take(CN_UNDELIVERED_LINE, big, sizeof big);
    assert_err(err, CN_E_LIMIT);
    assert_true(book.size <= CN_UNDELIVERED_SIZE_MAX);
    assert_true(book.size + sizeof big + CN_UNDELIVERED_OVERHEAD_SIZE > CN_UNDELIVERED_SIZE_MAX);
}

static bool has_heard(uint8_t id, uint64_t number)
{
    return cn_undelivered_book_has_heard(&book, &(struct cn_series_place) { { id }, number });
}

static void what_was_heard_is_known(void **state)
{
    (void)state;
    assert_false(has_heard(1, 1));
    assert_err(take_place(CN_UNDELIVERED_HEARD, 1, 5), CN_OK);
    assert_true(has_heard(1, 1) && has_heard(1, 5));
    assert_false(has_heard(1, 6) || has_heard(2, 5));
    assert_err(take_place(CN_UNDELIVERED_HEARD, 1, 6), CN_OK);
    assert_true(has_heard(1, 6));
    assert_int_equal(book.heard_count, 1);
}

static void of_many_series_the_oldest_is_forgotten(void **state)
{
    (void)state;
    for (uint8_t id = 0; id < CN_UNDELIVERED_HEARD_MAX; id++)
        assert_err(take_place(CN_UNDELIVERED_HEARD, id, 1), CN_OK);
    assert_err(take_place(CN_UNDELIVERED_HEARD, 0, 2), CN_OK); /* now the youngest */
    assert_err(take_place(CN_UNDELIVERED_HEARD, 100, 1), CN_OK);
    assert_int_equal(book.heard_count, CN_UNDELIVERED_HEARD_MAX);
    assert_true(has_heard(0, 2) && has_heard(100, 1) && has_heard(2, 1));
    assert_false(has_heard(1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_count_on_in_their_series, begin, end),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(there_is_an_end_to_what_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(what_was_heard_is_known, begin, end),
        cmocka_unit_test_setup_teardown(of_many_series_the_oldest_is_forgotten, begin, end),
    };

    return cmocka_run_group_tests_name("undelivered book", tests, crypto_setup, crypto_teardown);
}
