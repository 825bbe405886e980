/* The line of a transfer: it fits whatever terminal there is, and what matters most stays longest.
 */
#include "unit.h"

#include "bar.h"

enum { MB = 1000 * 1000 };

static char out[CN_BAR_SIZE_MAX];

/* Columns, as bar.c counts them. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text; text++) {
        const unsigned char octet = (unsigned char)*text;

        width += octet < 0x80 || octet >= 0xc0; /* the first of a character */
        width += octet >= 0xe0;
    }
    return width;
}

static const char *drawn(const char *name, uint64_t done, uint64_t total, int columns)
{
    const struct cn_bar bar = { name, done, total, 2.5 * MB };

    return cn_bar_text(&bar, columns, out);
}

static void it_is_never_wider_than_the_terminal(void **state)
{
    static const char *const names[] = {
        "",
        "a",
        "holiday.tar",
        "Grüße-世界-世界-世界-世界-世界-世界.bin",
        "世世世世世世世世世世世世世世世世世世世世世世世世世世世世",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    };
    static const uint64_t totals[] = { 0, 1, 40 * MB, UINT64_MAX };

    (void)state;
    for (size_t n = 0; n < COUNT(names); n++) {
        for (size_t t = 0; t < COUNT(totals); t++) {
            for (int columns = -1; columns < 300; columns++) {
                int width = width_of(drawn(names[n], 30 * MB, totals[t], columns));

                assert_true(width < columns || width <= 1);
            }
        }
    }
}

static void what_matters_most_stays_longest(void **state)
{
    static const struct {
        int columns;
        const char *line;
    } rows[] = {
        { 80, "holiday.tar      [=======>               ]  33%   10.0 MB    2.5 MB/s  0:08" },
        { 66, "holiday.tar      [===>     ]  33%   10.0 MB    2.5 MB/s  0:08" },
        { 60, "holiday.tar       33%   10.0 MB    2.5 MB/s  0:08" },
        { 46, "holiday.  33%   10.0 MB    2.5 MB/s  0:08" },
        { 45, "holiday.tar       33%    2.5 MB/s  0:08" },
        { 40, "holiday.tar   33%    2.5 MB/s  0:08" },
        { 35, "holiday.tar       33%  0:08" },
        { 23, "holiday.tar       33%" },
        { 14, "holiday.  33%" },
        { 9, "hol  33%" },
        { 4, "  3" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(drawn("holiday.tar", 10 * MB, 30 * MB, rows[i].columns), rows[i].line);
}

static void without_a_total_there_is_neither_part_nor_time(void **state)
{
    (void)state;
    assert_string_equal(drawn("stdin", 10 * MB, UINT64_MAX, 80),
                        "stdin              10.0 MB    2.5 MB/s");
    assert_string_equal(drawn("stdin", 10 * MB, UINT64_MAX, 25), "stdin            10.0 MB");
}

static void a_wide_line_has_room_for_the_name(void **state)
{
    const char *name = "a name of 40 columns, and a little more!";

    (void)state;
    assert_non_null(strstr(drawn(name, 1, 2, 200), name));
    assert_null(strstr(drawn(name, 1, 2, 80), name));
}

static void it_is_full_in_the_end_and_not_before(void **state)
{
    (void)state;
    assert_non_null(strstr(drawn("x", 999, 1000, 80), ">]  99%"));
    assert_non_null(strstr(drawn("x", 1000, 1000, 80), "=] 100%"));
    assert_non_null(strstr(drawn("x", 2000, 1000, 80), "=] 100%")); /* more than was said */
    assert_non_null(strstr(drawn("x", 0, 0, 80), "=] 100%"));
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_string_equal(cn_bar_cut("ab世c", 3, out), "ab");
    assert_string_equal(cn_bar_cut("ab世c", 4, out), "ab世");
    assert_string_equal(cn_bar_cut("ab世c", 5, out), "ab世c");
    assert_string_equal(cn_bar_cut("ab", 0, out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_never_wider_than_the_terminal),
        cmocka_unit_test(what_matters_most_stays_longest),
        cmocka_unit_test(without_a_total_there_is_neither_part_nor_time),
        cmocka_unit_test(a_wide_line_has_room_for_the_name),
        cmocka_unit_test(it_is_full_in_the_end_and_not_before),
        cmocka_unit_test(a_text_is_cut_between_characters),
    };

    return cmocka_run_group_tests_name("bar", tests, crypto_setup, crypto_teardown);
}
