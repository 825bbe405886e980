/* Rows: whatever a text holds, no row of it but the first begins without the margin, none is wider
 * than the terminal, and nothing of it is lost. */
#include "unit.h"

#include "rows.h"

static char shown[1 << 20];

/* What text looks like behind a head of that size, on a terminal of so many columns. */
static void put(size_t columns, const char *head, const char *text)
{
    FILE *out = fmemopen(shown, sizeof shown, "w");
    struct cn_rows rows = { out, columns, 0 };

    assert_non_null(out);
    cn_rows_begin(&rows, head, 0);
    cn_rows_put(&rows, text);
    cn_rows_end(&rows);
    assert_int_equal(fclose(out), 0);
}

/* Columns that a row takes at most, on any terminal. */
static size_t width(const char *row, size_t size)
{
    size_t columns = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)row[i];

        if (c < 0x80 || c >= 0xc0)
            columns += c >= 0xe2 ? 2 : 1; /* three octets and more are from U+0800 on */
    }
    return columns;
}

static void check_rows(size_t columns, const char *head, const char *text)
{
    static char back[1 << 20];
    const char *row = shown, *end;
    size_t count = 0;

    put(columns, head, text);
    back[0] = '\0';
    for (; (end = strchr(row, '\n')); row = end + 1, count++) {
        size_t size = (size_t)(end - row);
        size_t skipped = count == 0 ? strlen(head) : strlen(CN_ROWS_MARGIN);

        assert_true(size >= skipped);
        assert_memory_equal(row, count == 0 ? head : CN_ROWS_MARGIN, skipped);
        if (columns > strlen(head) + 8)
            assert_true(width(row, size) < columns);
        strncat(back, row + skipped, size - skipped);
    }
    assert_string_equal(row, "");
    assert_string_equal(back, text);
}

static void no_part_of_a_text_begins_a_row(void **state)
{
    static char text[4096];

    (void)state;
    for (size_t columns = 1; columns < 200; columns++) {
        /* the head of another, at every place */
        for (size_t at = 0; at < 3 * columns; at++) {
            memset(text, 'x', at);
            snprintf(text + at, sizeof text - at, "[14:02:11] ann: pay him");
            check_rows(columns, "[14:02:10] bob: ", text);
        }
    }
}

static void characters_of_two_columns_are_not_cut_nor_too_many(void **state)
{
    static char text[4096];

    (void)state;
    for (size_t columns = 20; columns < 100; columns++) {
        text[0] = '\0';
        for (size_t i = 0; i < 100; i++)
            strcat(text, i % 7 == 0 ? "ü" : i % 3 == 0 ? "世" : "🙂");
        check_rows(columns, "", text);
        check_rows(columns, "[14:02:10] bob: ", text);
    }
}

static void rows_are_broken_at_blanks(void **state)
{
    (void)state;
    put(30, "", "one two three four five six seven eight");
    assert_string_equal(shown, "one two three four five six \n" CN_ROWS_MARGIN "seven eight\n");
    put(30, "", "onetwothreefourfivesixseveneightnine");
    assert_string_equal(shown, "onetwothreefourfivesixsevenei\n" CN_ROWS_MARGIN "ghtnine\n");
}

static void what_is_no_terminal_has_rows_without_end(void **state)
{
    static char text[70000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    put(0, "head ", text);
    assert_int_equal(strlen(shown), 5 + sizeof text - 1 + 1);
}

static void a_long_text_takes_no_long_time(void **state)
{
    static char text[330000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    check_rows(80, "[14:02:10] bob: ", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_part_of_a_text_begins_a_row),
        cmocka_unit_test(characters_of_two_columns_are_not_cut_nor_too_many),
        cmocka_unit_test(rows_are_broken_at_blanks),
        cmocka_unit_test(what_is_no_terminal_has_rows_without_end),
        cmocka_unit_test(a_long_text_takes_no_long_time),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
