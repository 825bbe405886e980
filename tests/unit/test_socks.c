/* SOCKS 5, the part before a connection: every cut of it, and what is none. */
#include "unit.h"

#include "tunnel/socks.h"

struct outcome {
    enum cn_err err;
    struct cn_terminus to;
    struct cn_socks_answer last; /* that was not empty */
    size_t used;
};

/* Say octets, at most piece of them at once. */
static struct outcome say(const char *octets, size_t size, size_t piece)
{
    struct outcome o = { .err = CN_E_MORE };
    struct cn_socks socks = { 0 };

    while (o.err == CN_E_MORE && o.used < size) {
        size_t some = cn_socks_wanted(&socks);
        struct cn_socks_answer answer;

        assert_true(some > 0);
        some = some < piece ? some : piece;
        some = some < size - o.used ? some : size - o.used;
        o.err = cn_socks_take(&socks, (const uint8_t *)octets + o.used, some, &o.to, &answer);
        o.used += some;
        if (answer.size > 0)
            o.last = answer;
    }
    return o;
}

#define GREETING    "\5\1\0"
#define SAY(octets) say(octets, sizeof octets - 1, SIZE_MAX)

static void assert_to(const struct outcome *o, const char *text)
{
    char out[CN_TERMINUS_TEXT_SIZE];

    assert_err(o->err, CN_OK);
    assert_string_equal(cn_terminus_text(&o->to, out), text);
}

static void every_kind_of_address_in_pieces_of_every_size(void **state)
{
    static const struct {
        const char *octets;
        size_t size;
        const char *text;
    } rows[] = {
        { GREETING "\5\1\0\1\x7f\0\0\1\0\x50more", 13, "127.0.0.1:80" },
        { GREETING "\5\1\0\3\4host\x1f\x90more", 14, "host:8080" },
        { GREETING "\5\1\0\3\1h\0\1more", 11, "h:1" },
        { GREETING "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x16more", 25, "[::1]:22" },
        { "\5\3\2\1\0\5\1\0\3\4host\x1f\x90more", 16, "host:8080" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t piece = 1; piece < 40; piece++) {
            struct outcome o = say(rows[i].octets, rows[i].size + 4, piece);

            assert_to(&o, rows[i].text);
            assert_int_equal(o.used, rows[i].size); /* what follows stays where it is */
            assert_memory_equal(o.last.octets, "\5\0", 2);
        }
        for (size_t size = 0; size < rows[i].size; size++)
            assert_err(say(rows[i].octets, size, SIZE_MAX).err, CN_E_MORE);
    }
}

static void the_longest_name(void **state)
{
    uint8_t octets[3 + 262] = { 5, 1, 0, 5, 1, 0, 3, 255 };
    struct outcome o;

    (void)state;
    memset(octets + 8, 'h', 255);
    octets[sizeof octets - 1] = 1;
    o = say((const char *)octets, sizeof octets, SIZE_MAX);
    assert_err(o.err, CN_OK);
    assert_int_equal(strlen(o.to.name), 255);
}

static void other_methods_are_not_acceptable(void **state)
{
    struct outcome o = SAY("\5\2\1\2");

    (void)state;
    assert_err(o.err, CN_E_FORMAT);
    assert_int_equal(o.last.size, 2);
    assert_memory_equal(o.last.octets, "\5\xff", 2);
    assert_err(SAY("\5\0").err, CN_E_FORMAT);
}

static void other_protocols_are_not_answered(void **state)
{
    const char *const texts[] = { "GET / HTTP/1.1\r\n", "\4\1zz", "\6\1" };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct outcome o = say(texts[i], strlen(texts[i]), SIZE_MAX);

        assert_err(o.err, CN_E_FORMAT);
        assert_int_equal(o.last.size, 0);
        assert_int_equal(o.used, 2);
    }
    assert_err(SAY(GREETING "\4\1\0\1\x7f\0\0\1\0\1").err, CN_E_FORMAT);
}

static void assert_reply(struct outcome o, enum cn_socks_reply reply)
{
    assert_err(o.err, CN_E_FORMAT);
    assert_int_equal(o.last.size, CN_SOCKS_ANSWER_SIZE);
    assert_int_equal(o.last.octets[0], 5);
    assert_int_equal(o.last.octets[1], reply);
}

static void what_cannot_be_had_is_told(void **state)
{
    (void)state;
    assert_reply(SAY(GREETING "\5\2\0\1\x7f\0\0\1\0\1"), CN_SOCKS_NO_SUCH_COMMAND);
    assert_reply(SAY(GREETING "\5\3\0\1\x7f\0\0\1\0\1"), CN_SOCKS_NO_SUCH_COMMAND);
    assert_reply(SAY(GREETING "\5\1\0\2\x7f"), CN_SOCKS_NO_SUCH_ADDRESS);
    assert_reply(SAY(GREETING "\5\1\0\1\x7f\0\0\1\0\0"), CN_SOCKS_HOST_UNREACHABLE);
    assert_reply(SAY(GREETING "\5\1\0\3\0\0\1"), CN_SOCKS_HOST_UNREACHABLE);
    assert_reply(SAY(GREETING "\5\1\0\3\3a\0b\0\1"), CN_SOCKS_HOST_UNREACHABLE);
    assert_reply(SAY(GREETING "\5\1\0\3\2-a\0\1"), CN_SOCKS_HOST_UNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_address_in_pieces_of_every_size),
        cmocka_unit_test(the_longest_name),
        cmocka_unit_test(other_methods_are_not_acceptable),
        cmocka_unit_test(other_protocols_are_not_answered),
        cmocka_unit_test(what_cannot_be_had_is_told),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
