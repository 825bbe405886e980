/* Where a tunnel begins and ends, as it is typed and as it goes over the line. */
#include "unit.h"

#include "tunnel/terminus.h"

static char host_255[256], host_256[257], path_107[108], path_108[109];

static int setup(void **state)
{
    memset(host_255, 'h', 255);
    memset(host_256, 'h', 256);
    memset(path_107, '/', 107);
    memset(path_108, '/', 108);
    return crypto_setup(state);
}

static void what_is_no_address_is_refused(void **state)
{
    const char *const texts[] = {
        "",      ":",      "a:",     ":1",       "a:0",     "a:65536", "a:-1",       "a:+1",
        "a: 1",  "a:1 ",   "a:1x",   "a:000001", "a b:1",   "a\n:1",   "-a:1",       "a:1:2",
        "::1:1", "[::1:1", "[::1]",  "[::1]1",   "[]:1",    "[a b]:1", "a:[1]",      "*:1",
        "/",     "[/a]",   "udp:/a", "udp:a",    "UDP:a:1", "a/b",     "\xc3\xa4:1", "[a%b]:1",
    };
    struct cn_terminus e = { .port = 77 };
    char text[300];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_err(cn_terminus_parse(&e, texts[i]), CN_E_FORMAT);
    snprintf(text, sizeof text, "%s:1", host_256);
    assert_err(cn_terminus_parse(&e, text), CN_E_FORMAT);
    assert_err(cn_terminus_parse(&e, path_108), CN_E_FORMAT);
    assert_int_equal(e.port, 77);
}

static void an_address_is_as_it_was_typed(void **state)
{
    const char *const texts[] = { "localhost:22",   "127.0.0.1:65535",
                                  "[::1]:1",        "[fe80::1%eth0]:80",
                                  "udp:a_b-c.d:53", "udp:[::]:1",
                                  "[udp]:1",        "udp:[udp]:1",
                                  "/a b:c",         path_107 };
    char out[CN_TERMINUS_TEXT_SIZE];
    char text[300];
    struct cn_terminus e;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (strchr(texts[i], ':') && texts[i][0] == '/')
            continue; /* a colon divides: below */
        assert_err(cn_terminus_parse(&e, texts[i]), CN_OK);
        assert_string_equal(cn_terminus_text(&e, out), texts[i]);
    }
    snprintf(text, sizeof text, "udp:%s:65535", host_255);
    assert_err(cn_terminus_parse(&e, text), CN_OK);
    assert_string_equal(cn_terminus_text(&e, out), text);
    assert_err(cn_terminus_parse(&e, "/a:b"), CN_E_FORMAT);
}

static void where_to_listen(void **state)
{
    static const struct {
        const char *text, *name;
        int port;
    } rows[] = {
        { "8080", "localhost", 8080 },
        { "0", "localhost", 0 },
        { ":1", "*", 1 },
        { "*:1", "*", 1 },
        { "localhost:1", "localhost", 1 },
        { "[::1]:1", "::1", 1 },
        { "127.0.0.2:65535", "127.0.0.2", 65535 },
        { "/a", "/a", 0 },
    };
    const char *const bad[] = { "",        "x",     "65536", "host:1", "1:2:3", "[]:1", "[::1]",
                                "127.1:1", "udp:1", "*",     "1-2",    "a/b",   "/" };
    struct cn_terminus e;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_err(cn_terminus_parse_listening(&e, rows[i].text), CN_OK);
        assert_string_equal(e.name, rows[i].name);
        assert_int_equal(e.port, rows[i].port);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_err(cn_terminus_parse_listening(&e, bad[i]), CN_E_FORMAT);
}

static void both_halves_of_a_forward(void **state)
{
    static const struct {
        const char *text, *from, *to;
    } rows[] = {
        { "1:h:2", "localhost:1", "h:2" },
        { "*:1:h:2", "*:1", "h:2" },
        { ":1:h:2", "*:1", "h:2" },
        { "[::1]:1:[::2]:2", "[::1]:1", "[::2]:2" },
        { "1:[::2]:2", "localhost:1", "[::2]:2" },
        { "/a:h:2", "/a", "h:2" },
        { "/a:/b", "/a", "/b" },
        { "1:/b", "localhost:1", "/b" },
        { "127.0.0.1:1:/b", "127.0.0.1:1", "/b" },
        { "udp:1:h:2", "udp:localhost:1", "udp:h:2" },
        { "udp:*:1:h:2", "udp:*:1", "udp:h:2" },
    };
    char from[CN_TERMINUS_TEXT_SIZE], to[CN_TERMINUS_TEXT_SIZE];
    struct cn_forward f;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_err(cn_forward_parse(&f, rows[i].text), CN_OK);
        assert_string_equal(cn_terminus_text(&f.from, from), rows[i].from);
        assert_string_equal(cn_terminus_text(&f.to, to), rows[i].to);
    }
}

static void what_goes_over_the_line_comes_back(void **state)
{
    const char *const texts[] = { "localhost:22", "[::1]:1", "udp:h:53", "/a/b", path_107 };
    uint8_t octets[CN_TERMINUS_ENCODED_SIZE_MAX];
    struct cn_terminus e, again;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cn_writer w = { .at = octets, .left = sizeof octets };
        struct cn_reader r = { .at = octets };

        assert_err(cn_terminus_parse(&e, texts[i]), CN_OK);
        cn_terminus_encode(&e, &w);
        r.left = sizeof octets - w.left;
        assert_err(cn_terminus_decode(&again, &r, false), CN_OK);
        assert_memory_equal(&e, &again, sizeof e);
    }
}

static void what_a_partner_may_not_say_is_refused(void **state)
{
    static const struct {
        const char *octets;
        size_t size;
        bool listening;
    } rows[] = {
        { "", 0, false },
        { "\1\0", 2, false },
        { "\1\0\1", 3, false },
        { "\0\0\1h", 4, false },
        { "\4\0\1h", 4, false },
        { "\1\0\0h", 4, false },
        { "\1\0\1h\0i", 6, false },
        { "\1\0\1h i", 6, false },
        { "\1\0\1-h", 5, false },
        { "\1\0\1h/i", 6, false },
        { "\1\0\1*", 4, false },
        { "\1\0\1\x1b[", 5, false },
        { "\2\0\0a", 4, false },
        { "\2\0\1/a", 5, false },
        { "\2\0\0/", 4, false },
        { "\2\0\0/a\0b", 7, false },
        { "\1\0\1host", 7, true },
        { "\1\0\1", 3, true },
        { "\1\0\1*\0", 5, true },
        { "\1\0\1"
          "127.0.0.1\0x",
          14, true },
    };
    struct cn_terminus e;
    uint8_t long_host[3 + 256] = { 1, 0, 1 };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_reader r = { .at = (const uint8_t *)rows[i].octets, .left = rows[i].size };

        assert_err(cn_terminus_decode(&e, &r, rows[i].listening), CN_E_FORMAT);
    }
    memset(long_host + 3, 'h', 256);
    assert_err(cn_terminus_decode(
                   &e, &(struct cn_reader) { .at = long_host, .left = sizeof long_host }, false),
               CN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(an_address_is_as_it_was_typed),
        cmocka_unit_test(where_to_listen),
        cmocka_unit_test(both_halves_of_a_forward),
        cmocka_unit_test(what_goes_over_the_line_comes_back),
        cmocka_unit_test(what_a_partner_may_not_say_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
