/* A command of a rule, in words that no shell has read. */
#include "unit.h"

#include "command_line.h"

static void splits_to(const char *text, const char *const *expected)
{
    char **words = NULL;
    size_t i = 0;

    assert_err(cn_command_line_split(text, &words), CN_OK);
    for (; expected[i]; i++)
        assert_string_equal(words[i], expected[i]);
    assert_null(words[i]);
    free(words);
}

static void blanks_part_words(void **state)
{
    (void)state;
    splits_to("  notify-send \t a  b ", (const char *const[]) { "notify-send", "a", "b", NULL });
}

static void quotes_keep_blanks_and_each_other(void **state)
{
    (void)state;
    splits_to("x 'a b' \"c 'd' e\" f'g'\"h\"",
              (const char *const[]) { "x", "a b", "c 'd' e", "fgh", NULL });
}

static void an_empty_word_is_a_word(void **state)
{
    (void)state;
    splits_to("x '' \"\"", (const char *const[]) { "x", "", "", NULL });
}

static void what_a_shell_would_understand_is_left_alone(void **state)
{
    (void)state;
    splits_to(
        "x $(id) `id` $HOME a\\ b * >y &",
        (const char *const[]) { "x", "$(id)", "`id`", "$HOME", "a\\", "b", "*", ">y", "&", NULL });
}

static void no_word_and_half_a_quote_are_refused(void **state)
{
    const char *const texts[] = { "", " ", "\t", "'", "x 'y", "\"x", "x 'y\"", "''", "'' x" };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char **words = NULL;

        assert_err(cn_command_line_split(texts[i], &words), CN_E_FORMAT);
        assert_null(words);
    }
}

static void the_contact_is_put_in(void **state)
{
    static char program[] = "x", both[] = "%n and %n", percent[] = "100%%n", other[] = "%d%",
                none[] = "";
    char *const words[] = { program, both, percent, other, none, NULL };
    char **made = cn_command_line_for(words, "ann");

    (void)state;
    assert_string_equal(made[0], "x");
    assert_string_equal(made[1], "ann and ann");
    assert_string_equal(made[2], "100%n");
    assert_string_equal(made[3], "%d%");
    assert_string_equal(made[4], "");
    assert_null(made[5]);
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_part_words),
        cmocka_unit_test(quotes_keep_blanks_and_each_other),
        cmocka_unit_test(an_empty_word_is_a_word),
        cmocka_unit_test(what_a_shell_would_understand_is_left_alone),
        cmocka_unit_test(no_word_and_half_a_quote_are_refused),
        cmocka_unit_test(the_contact_is_put_in),
    };

    return cmocka_run_group_tests_name("command_line", tests, crypto_setup, crypto_teardown);
}
