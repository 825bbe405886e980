/* UTF-8: every character has one form, and nothing else is one. */
#include "unit.h"

#include "utf8.h"

static void what_is_no_character_is_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3",
        "\xc3(",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe4\xb8",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint32_t code = 7;

        assert_int_equal(cn_utf8_decode(bad[i], strlen(bad[i]), &code), 0);
        assert_int_equal(code, 7);
        assert_false(cn_utf8_is_valid(bad[i], strlen(bad[i])));
    }
    assert_int_equal(cn_utf8_decode("", 0, NULL), 0);
    assert_true(cn_utf8_is_valid("", 0));
}

static void every_character_comes_back(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[CN_UTF8_SIZE_MAX];
        size_t size = cn_utf8_encode(code, text);
        uint32_t again = 0;
        bool surrogate = code >= 0xd800 && code <= 0xdfff;

        assert_int_equal(cn_utf8_decode(text, size, &again), surrogate ? 0 : size);
        assert_true(surrogate || again == code);
        assert_int_equal(cn_utf8_decode(text, size - 1, &again), 0);
        for (size_t begun = 1; begun <= size; begun++)
            assert_true(surrogate || cn_utf8_is_begun(text, begun) == (begun < size));
    }
}

static void what_cannot_become_a_character_is_not_begun(void **state)
{
    static const char *const bad[] = { "\x80",     "\xc0",     "\xc1",         "\xe0\x80",
                                       "\xed\xa0", "\xf4\x90", "\xf0\x8f\xbf", "\xf5",
                                       "\xff",     "a",        "\xc3\xa9" };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(cn_utf8_is_begun(bad[i], strlen(bad[i])));
}

static void a_cut_is_between_characters(void **state)
{
    static const char text[] = "a\xc3\xa9\xe4\xb8\x96\xf0\x9f\x99\x82";
    static const size_t cut[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10 };

    (void)state;
    for (size_t size = 0; size < COUNT(cut); size++)
        assert_int_equal(cn_utf8_cut(text, size), cut[size]);
    assert_int_equal(cn_utf8_cut("\x80\x80\x80\x80\x80", 5), 5);
    assert_int_equal(cn_utf8_cut("\xff", 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_character_is_refused),
        cmocka_unit_test(every_character_comes_back),
        cmocka_unit_test(what_cannot_become_a_character_is_not_begun),
        cmocka_unit_test(a_cut_is_between_characters),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
