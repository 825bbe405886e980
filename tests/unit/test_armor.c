/* One text says one body; every other text is refused, and says why. */
#include "unit.h"

#include "armor.h"

static char text[CN_ARMOR_TEXT_SIZE_MAX];
static uint8_t body[CN_ARMOR_BODY_SIZE_MAX];
static uint8_t got[CN_ARMOR_BODY_SIZE_MAX];

static size_t encode(enum cn_armor_kind kind, size_t body_size)
{
    size_t size = 0;

    fill((uint8_t)body_size, body, body_size);
    assert_err(cn_armor_encode(&crypto, kind, body, body_size, text, sizeof text, &size), CN_OK);
    return size;
}

static enum cn_err decode(const char *in, size_t size)
{
    size_t got_size = 0;

    return cn_armor_decode(&crypto, CN_ARMOR_CARD, in, size, got, sizeof got, &got_size);
}

/* decode of a NUL-terminated text, pasted from pieces */
#define DECODE(in) decode(in, strlen(in))

static void the_text_of_a_body_never_changes(void **state)
{
    static const uint8_t hello[] = "hello";
    size_t size = 0;

    (void)state;
    assert_err(cn_armor_encode(&crypto, CN_ARMOR_CARD, hello, 5, text, sizeof text, &size), CN_OK);
    text[size] = '\0';
    assert_string_equal(text, "-----BEGIN CYPHERNET CARD-----\n"
                              "aGVsbG+mbpB4dhvKKg==\n"
                              "-----END CYPHERNET CARD-----\n");
}

static void every_body_comes_back(void **state)
{
    (void)state;
    for (size_t body_size = 0; body_size < 300; body_size++) {
        size_t size = encode(CN_ARMOR_CARD, body_size);
        size_t got_size = 9999;

        assert_err(cn_armor_decode(&crypto, CN_ARMOR_CARD, text, size, got, body_size, &got_size),
                   CN_OK);
        assert_int_equal(got_size, body_size);
        assert_memory_equal(got, body, body_size);
    }
}

static void the_largest_body_comes_back_and_a_larger_one_is_refused(void **state)
{
    static uint8_t larger[CN_ARMOR_BODY_SIZE_MAX + 1];
    static char long_text[2 * CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = encode(CN_ARMOR_CARD, CN_ARMOR_BODY_SIZE_MAX);

    (void)state;
    assert_err(decode(text, size), CN_OK);
    assert_memory_equal(got, body, CN_ARMOR_BODY_SIZE_MAX);
    assert_err(cn_armor_encode(&crypto, CN_ARMOR_CARD, larger, sizeof larger, long_text,
                               sizeof long_text, &size),
               CN_E_FULL);
}

static void a_text_with_too_long_a_body_is_refused(void **state)
{
    static char long_text[2 * CN_ARMOR_TEXT_SIZE_MAX];
    size_t at = (size_t)sprintf(long_text, "-----BEGIN CYPHERNET CARD-----\n");

    (void)state;
    for (int line = 0; line < 400; line++, at += 65) {
        memset(long_text + at, 'A', 64);
        long_text[at + 64] = '\n';
    }
    strcpy(long_text + at, "-----END CYPHERNET CARD-----\n");
    assert_err(DECODE(long_text), CN_E_FULL);
}

static void every_kind_comes_back_as_itself_only(void **state)
{
    (void)state;
    for (int kind = 0; kind < CN_ARMOR_KIND_COUNT; kind++) {
        size_t size = encode((enum cn_armor_kind)kind, 33);

        assert_int_equal(cn_armor_kind_of(text, size), kind);
        for (int other = 0; other < CN_ARMOR_KIND_COUNT; other++) {
            size_t got_size = 0;
            enum cn_err err = cn_armor_decode(&crypto, (enum cn_armor_kind)other, text, size, got,
                                              sizeof got, &got_size);

            assert_string_equal(err_name(err), other == kind ? "CN_OK" : "CN_E_KIND");
        }
    }
}

static void the_words_of_another_kind_do_not_make_it_that_kind(void **state)
{
    static const char begin[] = "-----BEGIN CYPHERNET REQUEST-----";
    static const char end[] = "-----END CYPHERNET REQUEST-----\n";
    char forged[512];
    size_t size = encode(CN_ARMOR_CARD, 33);
    const char *base64 = memchr(text, '\n', size);
    const char *stop = strstr(base64, "-----END");
    size_t got_size = 0;
    int forged_size;

    (void)state;
    forged_size =
        snprintf(forged, sizeof forged, "%s%.*s%s", begin, (int)(stop - base64), base64, end);
    assert_err(cn_armor_decode(&crypto, CN_ARMOR_REQUEST, forged, (size_t)forged_size, got,
                               sizeof got, &got_size),
               CN_E_CHECKSUM);
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t body_size = 33; body_size < 60; body_size++) {
        size_t size = encode(CN_ARMOR_CARD, body_size);

        for (size_t cut = 0; cut < size - 1; cut++) {
            enum cn_err err = decode(text, cut);

            assert_true(err == CN_E_ARMOR || err == CN_E_TRUNCATED);
        }
        assert_err(decode(text, size - 1), CN_OK); /* all but the last line end */
    }
}

static void a_cut_inside_the_block_is_called_that(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 300);
    size_t begin_size = strlen("-----BEGIN CYPHERNET CARD-----");

    (void)state;
    for (size_t cut = begin_size; cut < size - 1; cut++)
        assert_err(decode(text, cut), CN_E_TRUNCATED);
}

static void every_flipped_bit_is_noticed(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);

    (void)state;
    for (size_t at = 0; at < size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            text[at] = (char)(text[at] ^ 1 << bit);
            assert_true(decode(text, size) != CN_OK);
            text[at] = (char)(text[at] ^ 1 << bit);
        }
    }
    assert_err(decode(text, size), CN_OK);
}

static void every_octet_left_out_or_doubled_is_noticed(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);
    char changed[512];

    (void)state;
    for (size_t at = 0; at < size - 1; at++) {
        memcpy(changed, text, at);
        memcpy(changed + at, text + at + 1, size - at - 1);
        assert_true(decode(changed, size - 1) != CN_OK);
        if (text[at] == '\n' && at > size - 2)
            continue;
        memcpy(changed, text, at + 1);
        memcpy(changed + at + 1, text + at, size - at);
        assert_true(decode(changed, size + 1) != CN_OK);
    }
}

static void line_ends_of_other_systems_are_taken(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);
    char changed[1024];
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n')
            changed[at++] = '\r';
        changed[at++] = text[i];
    }
    assert_err(decode(changed, at), CN_OK);
    assert_memory_equal(got, body, 100);
}

static void lone_carriage_returns_are_no_line_ends(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n')
            text[i] = '\r';
    }
    assert_true(decode(text, size) != CN_OK);
}

static void blank_lines_around_are_taken_and_text_is_not(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        const char *result;
    } rows[] = {
        { "\n\n", "\n", "CN_OK" },         { " \t\r\n", "  \n\t", "CN_OK" },
        { "Hello,\n", "", "CN_E_ARMOR" },  { " ", "", "CN_E_ARMOR" },
        { "", "regards\n", "CN_E_ARMOR" }, { "", "-----BEGIN CYPHERNET CARD-----\n", "CN_E_ARMOR" },
        { "\v\n", "", "CN_E_ARMOR" },      { "\xef\xbb\xbf", "", "CN_E_ARMOR" },
    };
    size_t size = encode(CN_ARMOR_CARD, 100);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char whole[1024];
        int whole_size = snprintf(whole, sizeof whole, "%s%.*s%s", rows[i].before, (int)size, text,
                                  rows[i].after);

        assert_string_equal(err_name(decode(whole, (size_t)whole_size)), rows[i].result);
    }
}

static void a_nul_anywhere_is_refused(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);

    (void)state;
    for (size_t at = 0; at < size; at++) {
        char kept = text[at];

        text[at] = '\0';
        assert_true(decode(text, size) != CN_OK);
        text[at] = kept;
    }
    text[size] = '\0';
    assert_err(decode(text, size + 1), CN_E_ARMOR);
}

#define B         "-----BEGIN CYPHERNET CARD-----\n"
#define E         "-----END CYPHERNET CARD-----\n"
#define FULL_LINE "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

static void only_the_one_encoding_is_taken(void **state)
{
    static const struct {
        const char *why;
        const char *in;
    } rows[] = {
        { "not base64", B "QUFBQUFB*UFB\n" E },
        { "url alphabet", B "QUFBQUFB-UFB\n" E },
        { "padding left out", B "QUFBQUFBQUE\n" E },
        { "unused bits, one octet", B "QUFBQUFBQR==\n" E },
        { "unused bits, two octets", B "QUFBQUFBQUF=\n" E },
        { "padding of three", B "QUFBQUFBQ===\n" E },
        { "padding in the middle", B "QUE=QUFBQUFB\n" E },
        { "padding, then more", B "QUE=\nQUFBQUFB\n" E },
        { "nothing but padding", B "====\n" E },
        { "a short line before the last", B "QUFB\nQUFBQUFB\n" E },
        { "a line too long", B FULL_LINE "QUFB\n" E },
        { "a blank line inside", B FULL_LINE "\n\nQUFB\n" E },
        { "a blank line first", B "\n" FULL_LINE "\n" E },
        { "a space at the end", B "QUFBQUFBQUFB \n" E },
        { "a space at the start", B " QUFBQUFBQUFB\n" E },
        { "the end of another kind", B "QUFBQUFBQUFB\n-----END CYPHERNET REQUEST-----\n" },
        { "a second beginning", B B "QUFBQUFBQUFB\n" E },
        { "no room for a checksum", B "QUFB\n" E },
        { "nothing at all", B E },
        { "an unknown kind", "-----BEGIN CYPHERNET PASTRY-----\nQUFBQUFBQUFB\n"
                             "-----END CYPHERNET PASTRY-----\n" },
        { "no kind", "-----BEGIN CYPHERNET -----\nQUFBQUFBQUFB\n-----END CYPHERNET -----\n" },
        { "somebody else's", "-----BEGIN PRIVATE KEY-----\nQUFBQUFBQUFB\n"
                             "-----END PRIVATE KEY-----\n" },
        { "dashes alone", "----------\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (DECODE(rows[i].in) != CN_E_ARMOR)
            fail_msg("%s: %s", rows[i].why, err_name(DECODE(rows[i].in)));
    }
    assert_err(DECODE(B "QUFBQUFBQUFB\n" E), CN_E_CHECKSUM); /* the rows fail for their reason */
}

static void too_little_room_is_told_and_leaves_nothing(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);
    size_t got_size = 77;
    size_t text_size = 77;

    (void)state;
    memset(got, 0xee, 99);
    assert_err(cn_armor_decode(&crypto, CN_ARMOR_CARD, text, size, got, 99, &got_size), CN_E_FULL);
    assert_int_equal(got_size, 77);
    for (size_t i = 0; i < 99; i++)
        assert_int_equal(got[i], 0);
    assert_err(cn_armor_encode(&crypto, CN_ARMOR_CARD, body, 100, text, size, &text_size), CN_OK);
    assert_int_equal(text_size, size);
    text_size = 77;
    for (size_t less = 0; less < size; less++) {
        assert_err(cn_armor_encode(&crypto, CN_ARMOR_CARD, body, 100, text, less, &text_size),
                   CN_E_FULL);
        assert_int_equal(text_size, 77);
    }
}

static void a_refused_text_leaves_no_body_behind(void **state)
{
    size_t size = encode(CN_ARMOR_CARD, 100);
    size_t got_size = 77;

    (void)state;
    text[60] = text[60] == 'A' ? 'B' : 'A';
    memset(got, 0xee, sizeof got);
    assert_err(cn_armor_decode(&crypto, CN_ARMOR_CARD, text, size, got, sizeof got, &got_size),
               CN_E_CHECKSUM);
    assert_int_equal(got_size, 77);
    for (size_t i = 0; i < sizeof got; i++)
        assert_int_equal(got[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_body_never_changes),
        cmocka_unit_test(every_body_comes_back),
        cmocka_unit_test(the_largest_body_comes_back_and_a_larger_one_is_refused),
        cmocka_unit_test(a_text_with_too_long_a_body_is_refused),
        cmocka_unit_test(every_kind_comes_back_as_itself_only),
        cmocka_unit_test(the_words_of_another_kind_do_not_make_it_that_kind),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(a_cut_inside_the_block_is_called_that),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(every_octet_left_out_or_doubled_is_noticed),
        cmocka_unit_test(line_ends_of_other_systems_are_taken),
        cmocka_unit_test(lone_carriage_returns_are_no_line_ends),
        cmocka_unit_test(blank_lines_around_are_taken_and_text_is_not),
        cmocka_unit_test(a_nul_anywhere_is_refused),
        cmocka_unit_test(only_the_one_encoding_is_taken),
        cmocka_unit_test(too_little_room_is_told_and_leaves_nothing),
        cmocka_unit_test(a_refused_text_leaves_no_body_behind),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
