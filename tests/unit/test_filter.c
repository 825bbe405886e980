/* What patterns leave out. That they mean what git takes them to mean is compared with git itself
 * in tests/cli/test_gitignore.py. */
#include "unit.h"

#include <time.h>

#include "filter.h"

static bool matches(const char *pattern, const char *text)
{
    return cn_glob_matches(pattern, strlen(pattern), text, strlen(text));
}

static void what_is_no_pattern_is_refused(void **state)
{
    struct cn_filter *filter = NULL;
    char *large = malloc(CN_FILTER_PATTERN_SIZE_MAX + 2);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', CN_FILTER_PATTERN_SIZE_MAX + 1);
    large[CN_FILTER_PATTERN_SIZE_MAX + 1] = '\0';
    assert_err(cn_filter_create(&filter), CN_OK);
    assert_err(cn_filter_exclude(filter, ""), CN_E_NAME);
    assert_err(cn_filter_exclude(filter, large), CN_E_NAME);
    assert_err(cn_filter_exclude(filter, large + 1), CN_OK);
    assert_err(cn_filter_exclude(filter, "/"), CN_OK); /* matches nothing */
    assert_err(cn_filter_exclude(filter, "!"), CN_OK);
    assert_false(cn_filter_excludes(filter, "a", 1, 0, true, false));
    cn_filter_free(filter);
    cn_filter_free(NULL);
    free(large);
}

static void a_pattern_that_does_not_end_matches_nothing(void **state)
{
    static const char *const broken[] = { "[",        "[a", "[]",  "[!]", "[a-",  "[[:alpha:]",
                                          "[[:no:]]", "\\", "a\\", "[\\", "[a-\\" };
    static const char *const texts[] = { "[", "a", "]", "!", "", "a\\", "\\", "[a" };

    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        for (size_t j = 0; j < COUNT(texts); j++)
            assert_false(matches(broken[i], texts[j]));
    }
}

static void patterns_match_what_they_should(void **state)
{
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        { "a", "a", "b" },
        { "*", "anything", "with/slash" },
        { "*.o", "a.o", "a.oo" },
        { "*.o", ".o", "d/a.o" },
        { "a?c", "abc", "a/c" },
        { "a*b*c", "aXbYbc", "acb" },
        { "[a-c]x", "bx", "dx" },
        { "[!a-c]x", "dx", "bx" },
        { "[^a]", "b", "a" },
        { "[^a]", "]", "/" },
        { "[]-a]", "^", "b" },
        { "[a-]", "-", "b" },
        { "[--0]", ".", "1" },
        { "[\\]]", "]", "\\" },
        { "[[:digit:]-z]", "-", "a" },
        { "[[:upper:]]", "Q", "q" },
        { "[[:x]", ":", "y" },
        { "\\*", "*", "a" },
        { "\\a", "a", "\\a" },
        { "**/a", "a", "ba" },
        { "**/a", "x/y/a", "x/y/ba" },
        { "a/**", "a/b/c", "a" },
        { "a/**/b", "a/b", "ab" },
        { "a/**/b", "a/x/y/b", "a/xb" },
        { "a**b", "axxb", "ax/b" },
        { "**/a/*/b", "x/a/a/q/b", "x/a/b" },
        { "*/b", "a/b", "a/a/b" },
        { "\xff*", "\xff\xfe", "\xfe" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!matches(cases[i].pattern, cases[i].yes) || matches(cases[i].pattern, cases[i].no))
            fail_msg("%s: %s, %s", cases[i].pattern, cases[i].yes, cases[i].no);
    }
}

/* Each of these takes a matcher that tries all ways longer than the world has been there; here the
 * program simply ends. */
static void no_pattern_takes_exponential_time(void **state)
{
    static char pattern[4097], text[4097];

    (void)state;
    for (size_t i = 0; i < 2048; i++)
        memcpy(pattern + 2 * i, "*a", 2);
    memset(text, 'a', 4095);
    text[4095] = 'b';
    assert_false(matches(pattern, text));
    for (size_t i = 0; i < 819; i++)
        memcpy(pattern + 5 * i, "**/a/", 5);
    pattern[4095] = 'c';
    pattern[4096] = '\0';
    for (size_t i = 0; i < 2048; i++)
        memcpy(text + 2 * i, "a/", 2);
    text[4095] = 'b';
    assert_false(matches(pattern, text));
}

static bool excludes(const struct cn_filter *filter, const char *path, bool is_directory)
{
    const char *slash = strrchr(path, '/');

    return cn_filter_excludes(filter, path, strlen(path), slash ? (size_t)(slash + 1 - path) : 0,
                              is_directory, false);
}

static void the_command_line_decides_over_files(void **state)
{
    static const char text[] = "*.o\n!keep.o\nb/\n";
    struct cn_filter *filter = NULL;

    (void)state;
    assert_err(cn_filter_create(&filter), CN_OK);
    cn_filter_use_gitignore(filter);
    assert_err(cn_filter_exclude(filter, "!x.o"), CN_OK);
    assert_err(cn_filter_exclude(filter, "/only/here"), CN_OK);
    assert_err(cn_filter_enter(filter, 0, text, sizeof text - 1), CN_OK);
    assert_true(excludes(filter, "a.o", false));
    assert_false(excludes(filter, "keep.o", false));
    assert_false(excludes(filter, "x.o", false));
    assert_true(excludes(filter, "b", true));
    assert_false(excludes(filter, "b", false));
    assert_true(excludes(filter, "only/here", false));
    assert_false(excludes(filter, "not/only/here", false));
    assert_true(excludes(filter, ".git", true));
    assert_err(cn_filter_enter(filter, 4, "!*.o\n/top\n", 10), CN_OK);
    assert_false(excludes(filter, "sub/a.o", false));
    assert_true(excludes(filter, "sub/top", false));
    assert_false(excludes(filter, "sub/deep/top", false));
    cn_filter_leave(filter);
    assert_true(excludes(filter, "sub/a.o", false));
    cn_filter_free(filter); /* with a directory that was not left */
}

static void lines_are_read_as_git_reads_them(void **state)
{
    static const char text[] = "\xef\xbb\xbf"
                               "first\r\n# no\n\n\\#yes\n\\!loud\nblank  \nkept\\ \n"
                               "cut\0rest\nlast";
    struct cn_filter *filter = NULL;

    (void)state;
    assert_err(cn_filter_create(&filter), CN_OK);
    assert_err(cn_filter_enter(filter, 0, text, sizeof text - 1), CN_OK);
    assert_true(excludes(filter, "first", false));
    assert_false(excludes(filter, "# no", false));
    assert_true(excludes(filter, "#yes", false));
    assert_true(excludes(filter, "!loud", false));
    assert_true(excludes(filter, "blank", false));
    assert_true(excludes(filter, "kept ", false));
    assert_true(excludes(filter, "cut", false));
    assert_false(excludes(filter, "rest", false));
    assert_true(excludes(filter, "last", false));
    cn_filter_free(filter);
}

static void a_given_path_is_matched_by_its_name_only(void **state)
{
    struct cn_filter *filter = NULL;

    (void)state;
    assert_err(cn_filter_create(&filter), CN_OK);
    cn_filter_use_gitignore(filter);
    assert_err(cn_filter_exclude(filter, "*.o"), CN_OK);
    assert_err(cn_filter_exclude(filter, "/a"), CN_OK);
    assert_true(cn_filter_excludes(filter, "x.o", 3, 0, false, true));
    assert_false(cn_filter_excludes(filter, "a", 1, 0, false, true));
    assert_false(cn_filter_excludes(filter, ".git", 4, 0, true, true));
    cn_filter_free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(a_pattern_that_does_not_end_matches_nothing),
        cmocka_unit_test(no_pattern_takes_exponential_time),
        cmocka_unit_test(patterns_match_what_they_should),
        cmocka_unit_test(the_command_line_decides_over_files),
        cmocka_unit_test(lines_are_read_as_git_reads_them),
        cmocka_unit_test(a_given_path_is_matched_by_its_name_only),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
