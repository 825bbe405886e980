/* Keys: what a terminal may send, whole and in pieces. */
#include "unit.h"

#include "keyboard.h"

static struct cn_keyboard keys;
static struct cn_key key;

static int begin(void **state)
{
    (void)state;
    memset(&keys, 0, sizeof keys);
    return 0;
}

static void send(const char *octets, size_t size)
{
    size_t room;
    char *to = cn_keyboard_input(&keys, &room);

    assert_true(size <= room);
    memcpy(to, octets, size);
    cn_keyboard_received(&keys, size);
}

#define SEND(octets) send(octets, sizeof(octets) - 1)

static void expect(enum cn_key_type type)
{
    assert_true(cn_keyboard_next(&keys, &key));
    assert_int_equal(key.type, type);
}

static void expect_none(void)
{
    assert_false(cn_keyboard_next(&keys, &key));
}

static void what_is_not_utf8_is_told(void **state)
{
    (void)state;
    SEND("\xff"
         "a\xc3(\xc0\x80");
    expect(CN_KEY_NOT_UTF8);
    expect(CN_KEY_CHARACTER);
    expect(CN_KEY_NOT_UTF8);
    expect(CN_KEY_CHARACTER);
    assert_int_equal(key.code, '(');
    expect(CN_KEY_NOT_UTF8);
    expect(CN_KEY_NOT_UTF8);
    expect_none();
}

static void sequences_that_mean_nothing_leave_nothing_behind(void **state)
{
    static const char *const sequences[] = { "\033[Z", "\033[1;5A",  "\033[15~",
                                             "\033OP", "\033[?1;2c", "\033[<0;1;1M" };

    (void)state;
    for (size_t i = 0; i < COUNT(sequences); i++) {
        send(sequences[i], strlen(sequences[i]));
        expect(CN_KEY_OTHER);
        expect_none();
    }
}

static void a_sequence_without_an_end_is_given_up(void **state)
{
    (void)state;
    SEND("\033[");
    for (int i = 0; i < 40; i++)
        SEND("1");
    expect(CN_KEY_OTHER);
    while (cn_keyboard_next(&keys, &key))
        ;
    assert_int_equal(keys.in_size, 0);
}

static void control_characters_that_mean_nothing(void **state)
{
    (void)state;
    SEND("\x16\x12\x00\x1d\t");
    for (int i = 0; i < 5; i++)
        expect(CN_KEY_OTHER);
    expect_none();
}

static void a_paste_that_is_too_long_is_refused_whole(void **state)
{
    char part[1000];

    (void)state;
    memset(part, 'x', sizeof part);
    SEND("\033[200~");
    expect(CN_KEY_OTHER);
    for (int i = 0; i < 70; i++) {
        send(part, sizeof part);
        expect_none();
    }
    SEND("\033[201~y");
    expect(CN_KEY_PASTE_TOO_LONG);
    expect(CN_KEY_CHARACTER);
    SEND("\033[200~short\033[201~");
    expect(CN_KEY_OTHER);
    expect(CN_KEY_PASTE);
    assert_int_equal(key.text_size, 5);
}

static void a_paste_that_is_not_utf8_is_refused_whole(void **state)
{
    (void)state;
    SEND("\033[200~good \xff bad\033[201~");
    expect(CN_KEY_OTHER);
    expect(CN_KEY_NOT_UTF8);
    expect_none();
}

static void characters(void **state)
{
    (void)state;
    SEND("a\xc3\xa9\xe4\xb8\x96\xf0\x9f\x99\x82");
    expect(CN_KEY_CHARACTER);
    assert_int_equal(key.code, 'a');
    expect(CN_KEY_CHARACTER);
    assert_int_equal(key.code, 0xe9);
    expect(CN_KEY_CHARACTER);
    assert_int_equal(key.code, 0x4e16);
    expect(CN_KEY_CHARACTER);
    assert_int_equal(key.code, 0x1f642);
    expect_none();
}

static void editing(void **state)
{
    (void)state;
    SEND("\033[D\033[1;5C\033b\x7f\r\x04\x15\033[A\033OB");
    expect(CN_KEY_EDIT);
    assert_true(key.code == 2 && !key.meta);
    expect(CN_KEY_EDIT);
    assert_true(key.code == 'f' && key.meta);
    expect(CN_KEY_EDIT);
    assert_true(key.code == 'b' && key.meta);
    expect(CN_KEY_EDIT);
    assert_int_equal(key.code, 0x7f);
    expect(CN_KEY_ENTER);
    expect(CN_KEY_END);
    expect(CN_KEY_DISCARD);
    expect(CN_KEY_PREVIOUS);
    expect(CN_KEY_NEXT);
    expect_none();
}

/* They are keys like others, so that they are none in a paste. */
static void what_ends_or_stops_a_program(void **state)
{
    (void)state;
    SEND("\x03\x1c\x1a\033[200~\x03\x1c\x1a\033[201~");
    expect(CN_KEY_INTERRUPT);
    expect(CN_KEY_QUIT);
    expect(CN_KEY_STOP);
    expect(CN_KEY_OTHER);
    expect(CN_KEY_PASTE);
    assert_int_equal(key.text_size, 0);
}

static void escape_before_another_key_is_forgotten(void **state)
{
    (void)state;
    SEND("\033");
    expect_none();
    SEND("\rx");
    expect(CN_KEY_OTHER);
    expect(CN_KEY_ENTER);
    expect(CN_KEY_CHARACTER);
}

static void everything_in_pieces_is_as_whole(void **state)
{
    static const char all[] = "a\xf0\x9f\x99\x82\033[3~\033[200~x\r\ny\rz\n\tend\033[201~\033OAq";
    static const enum cn_key_type types[] = { CN_KEY_CHARACTER, CN_KEY_CHARACTER, CN_KEY_EDIT,
                                              CN_KEY_OTHER,     CN_KEY_PASTE,     CN_KEY_PREVIOUS,
                                              CN_KEY_CHARACTER };
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof all - 1; i++) {
        send(all + i, 1);
        while (cn_keyboard_next(&keys, &key)) {
            assert_int_equal(key.type, types[count++]);
            if (key.type == CN_KEY_PASTE) {
                assert_int_equal(key.text_size, 10);
                assert_memory_equal(key.text, "x\ny\nz\n\tend", 10);
            }
        }
    }
    assert_int_equal(count, COUNT(types));
}

static void a_paste_keeps_no_control_characters(void **state)
{
    (void)state;
    SEND("\033[200~a\033[31mb\x07\x7f\x03"
         "c\r\r\n\n\033[201~");
    expect(CN_KEY_OTHER);
    expect(CN_KEY_PASTE);
    assert_int_equal(key.text_size, 10);
    assert_memory_equal(key.text, "a[31mbc\n\n\n", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_utf8_is_told, begin),
        cmocka_unit_test_setup(sequences_that_mean_nothing_leave_nothing_behind, begin),
        cmocka_unit_test_setup(a_sequence_without_an_end_is_given_up, begin),
        cmocka_unit_test_setup(control_characters_that_mean_nothing, begin),
        cmocka_unit_test_setup(a_paste_that_is_too_long_is_refused_whole, begin),
        cmocka_unit_test_setup(a_paste_that_is_not_utf8_is_refused_whole, begin),
        cmocka_unit_test_setup(characters, begin),
        cmocka_unit_test_setup(editing, begin),
        cmocka_unit_test_setup(what_ends_or_stops_a_program, begin),
        cmocka_unit_test_setup(escape_before_another_key_is_forgotten, begin),
        cmocka_unit_test_setup(everything_in_pieces_is_as_whole, begin),
        cmocka_unit_test_setup(a_paste_keeps_no_control_characters, begin),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
