/* Which argument, or which option's value, the last word of a line is. */
#include "unit.h"

#include "completion.h"

static const struct cn_completion_option options[] = {
    { "quiet", 'q', NULL }, { "output", 'o', "FILE" }, { "wait", 0, "SECONDS" }, { "new", 0, NULL }
};

static struct cn_completion sought(const char *const *words, size_t word_count)
{
    const struct cn_completion_line line = { words, word_count, options, COUNT(options) };
    struct cn_completion c;

    cn_completion_seek(&line, &c);
    return c;
}

#define SOUGHT(...) \
    sought((const char *const[]) { __VA_ARGS__ }, COUNT(((const char *const[]) { __VA_ARGS__ })))

static void an_argument_is_counted(void **state)
{
    struct cn_completion c = SOUGHT("-q", "send", "--wait", "5", "--wait=5", "bob", "-", "");

    (void)state;
    assert_null(c.value_of);
    assert_true(c.options);
    assert_int_equal(c.argument_count, 3);
    assert_int_equal(c.first, 1);
    assert_string_equal(c.begun, "");
    assert_int_equal(SOUGHT("").argument_count, 0);
    assert_int_equal(SOUGHT("sen").argument_count, 0);
}

static void behind_two_dashes_nothing_is_an_option(void **state)
{
    struct cn_completion c = SOUGHT("--", "-o", "--wait", "--output=x");

    (void)state;
    assert_null(c.value_of);
    assert_false(c.options);
    assert_int_equal(c.argument_count, 2);
    assert_string_equal(c.begun, "--output=x");
}

static void a_value_is_that_of_its_option(void **state)
{
    (void)state;
    assert_ptr_equal(SOUGHT("-o", "x").value_of, &options[1]);
    assert_ptr_equal(SOUGHT("-qo", "x").value_of, &options[1]);
    assert_ptr_equal(SOUGHT("--output", "--").value_of, &options[1]);
    assert_ptr_equal(SOUGHT("--wait", "").value_of, &options[2]);
    assert_ptr_equal(SOUGHT("--output=x").value_of, &options[1]);
    assert_string_equal(SOUGHT("--output=x").begun, "x");
    assert_string_equal(SOUGHT("--output=").begun, "");
    assert_null(SOUGHT("-ox", "x").value_of);
    assert_null(SOUGHT("-q", "x").value_of);
    assert_null(SOUGHT("-z", "x").value_of);
    assert_null(SOUGHT("--outpu", "x").value_of);
    assert_null(SOUGHT("--outputs", "x").value_of);
    assert_null(SOUGHT("--none=x").value_of);
    assert_null(SOUGHT("-o", "x", "y").value_of);
}

/* Of that usage line, without what is behind the name. */
static const char *called(const char *usage, size_t index)
{
    static char text[32];
    const char *name;

    if (!cn_completion_argument(usage, index, &name))
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(name, " ]."), name);
    return text;
}

static void a_usage_line_names_arguments(void **state)
{
    const char *send = "send NAME PATH... [--exclude GLOB] [-- COMMAND]";

    (void)state;
    assert_string_equal(called(send, 0), "NAME");
    assert_string_equal(called(send, 1), "PATH");
    assert_string_equal(called("forward NAME [-L FROM:TO]... [-R FROM:TO]...", 0), "NAME");
    assert_null(called("forward NAME [-L FROM:TO]... [-R FROM:TO]...", 1));
    assert_string_equal(called("send NAME PATH...", 7), "PATH");
    assert_string_equal(called("pipe NAME [-n] [-- COMMAND...]", 1), "COMMAND");
    assert_string_equal(called("pipe NAME [-n] [-- COMMAND...]", 5), "COMMAND");
    assert_string_equal(called("receive [-d DIR] [--on HOW | --overwrite] NAME", 0), "NAME");
    assert_string_equal(called("join [FILE|-] [--replace]", 0), "FILE|-");
    assert_string_equal(called("invite LABEL [--days N] -o FILE", 0), "LABEL");
    assert_null(called("invite LABEL [--days N] -o FILE", 1));
    assert_null(called("init --listen HOST:PORT... [--public HOST:PORT]", 0));
    assert_null(called("contact offer|accept ...", 0));
    assert_null(called("version", 0));
    assert_null(called("", 0));
    assert_null(called("[", 0));
    assert_null(called("-", 0));
}

static void a_name_is_known_by_its_first_word(void **state)
{
    (void)state;
    assert_true(cn_completion_is("FILE", "FILE"));
    assert_true(cn_completion_is("FILE|-] [--replace]", "FILE"));
    assert_true(cn_completion_is("PATH... [--wait SECONDS]", "PATH"));
    assert_false(cn_completion_is("FILES", "FILE"));
    assert_false(cn_completion_is("FIL", "FILE"));
    assert_false(cn_completion_is("", "FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_argument_is_counted),
        cmocka_unit_test(behind_two_dashes_nothing_is_an_option),
        cmocka_unit_test(a_value_is_that_of_its_option),
        cmocka_unit_test(a_usage_line_names_arguments),
        cmocka_unit_test(a_name_is_known_by_its_first_word),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
