/* What is said to proxies, and what is made of their answers: whole, octet by octet, and hostile.
 */
#include "unit.h"

#include "proxy.h"

static struct cn_proxy_setting setting;
static struct cn_proxy proxy;

/* Size and octets of a text that may hold NULs. */
#define OCTETS(text) (const uint8_t *)(text), sizeof(text) - 1

static void begin(enum cn_proxy_kind kind, const char *user, const char *password,
                  const char *target)
{
    memset(&setting, 0, sizeof setting);
    setting.kind = kind;
    setting.has_user = user != NULL;
    snprintf(setting.user, sizeof setting.user, "%s", user ? user : "");
    snprintf(setting.password, sizeof setting.password, "%s", password ? password : "");
    cn_proxy_start(&proxy, &setting, target);
}

/* It says just this, and then waits. */
static void says(const uint8_t *octets, size_t size)
{
    size_t got;
    const uint8_t *out = cn_proxy_output(&proxy, &got);

    assert_int_equal(got, size);
    assert_memory_equal(out, octets, size);
    for (size_t i = 0; i < size; i++) /* however little goes at once */
        cn_proxy_sent(&proxy, 1);
    (void)cn_proxy_output(&proxy, &got);
    assert_int_equal(got, 0);
}

static enum cn_err hears(const uint8_t *octets, size_t size)
{
    return cn_proxy_input(&proxy, octets, size);
}

/* The same octet by octet: every one but the last asks for more. */
static enum cn_err hears_slowly(const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        assert_err(hears(octets + i, 1), CN_E_MORE);
    return hears(octets + size - 1, 1);
}

/* --- SOCKS5 */

static void socks(const char *target)
{
    begin(CN_PROXY_SOCKS5, NULL, NULL, target);
    says(OCTETS("\5\1\0"));
}

static void socks_asked(const char *target)
{
    size_t size;

    socks(target);
    assert_err(hears_slowly(OCTETS("\5\0")), CN_E_MORE);
    (void)cn_proxy_output(&proxy, &size);
    cn_proxy_sent(&proxy, size);
}

static void socks_connects_to_a_name_as_it_is(void **state)
{
    (void)state;
    socks("server.example:7000");
    assert_err(hears_slowly(OCTETS("\5\0")), CN_E_MORE);
    says(OCTETS("\5\1\0\3\16server.example\x1b\x58"));
    assert_err(hears_slowly(OCTETS("\5\0\0\1\1\2\3\4\5\6")), CN_OK);
}

static void socks_connects_to_literals(void **state)
{
    (void)state;
    socks("192.0.2.1:1");
    assert_err(hears(OCTETS("\5\0")), CN_E_MORE);
    says(OCTETS("\5\1\0\1\xc0\0\2\1\0\1"));
    assert_err(hears_slowly(OCTETS("\5\0\0\3\3abc\0\0")), CN_OK);
    socks("[2001:db8::1]:65535");
    assert_err(hears(OCTETS("\5\0")), CN_E_MORE);
    says(OCTETS("\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff"));
    assert_err(hears_slowly(OCTETS("\5\0\0\4aaaabbbbccccdddd\0\0")), CN_OK);
}

static void socks_longest_of_all_fits(void **state)
{
    static char target[CN_ADDRESS_SIZE_MAX + 1];
    static uint8_t reply[4 + 1 + 255 + 2] = { 5, 0, 0, 3, 255 };
    static char longest[CN_PROXY_USER_SIZE_MAX + 1];

    (void)state;
    memset(longest, 'u', CN_PROXY_USER_SIZE_MAX);
    snprintf(target, sizeof target, "%.*s:7000", CN_ADDRESS_SIZE_MAX - 5, longest);
    begin(CN_PROXY_SOCKS5, longest, longest, target);
    cn_proxy_sent(&proxy, 4);
    assert_err(hears(OCTETS("\5\2")), CN_E_MORE);
    cn_proxy_sent(&proxy, 3 + 2 * 255);
    assert_err(hears(OCTETS("\1\0")), CN_E_MORE);
    cn_proxy_sent(&proxy, 7 + CN_ADDRESS_SIZE_MAX - 5);
    assert_err(hears_slowly(reply, sizeof reply), CN_OK);
    begin(CN_PROXY_HTTP, longest, longest, target);
    assert_err(hears_slowly(OCTETS("H")), CN_E_PROXY); /* it has not been asked yet */
}

static void socks_with_user_and_password(void **state)
{
    (void)state;
    begin(CN_PROXY_SOCKS5, "me", "secret", "a:1");
    says(OCTETS("\5\2\0\2"));
    assert_err(hears_slowly(OCTETS("\5\2")), CN_E_MORE);
    says(OCTETS("\1\2me\6secret"));
    assert_err(hears_slowly(OCTETS("\1\0")), CN_E_MORE);
    says(OCTETS("\5\1\0\3\1a\0\1"));
    assert_err(hears_slowly(OCTETS("\5\0\0\1\0\0\0\0\0\0")), CN_OK);
}

static void socks_that_wants_no_user_gets_none(void **state)
{
    (void)state;
    begin(CN_PROXY_SOCKS5, "me", "secret", "a:1");
    says(OCTETS("\5\2\0\2"));
    assert_err(hears(OCTETS("\5\0")), CN_E_MORE);
    says(OCTETS("\5\1\0\3\1a\0\1"));
}

static void socks_refusals(void **state)
{
    static const struct {
        const char *user;
        const char *first, *second; /* what it says; NULL: no more */
        size_t second_size;
        const char *reason;
    } rows[] = {
        { NULL, "\5\xff", NULL, 0, "it wants a user and a password" },
        { "me", "\5\xff", NULL, 0, "it does not take our user and password" },
        { "me", "\5\2", "\1\1", 2, "it does not take our user and password" },
        { NULL, "\5\2", NULL, 0, "its answer makes no sense" }, /* was not offered */
        { NULL, "\5\1", NULL, 0, "its answer makes no sense" },
        { NULL, "\4", NULL, 0, "it is no SOCKS5 proxy" },
        { NULL, "HTTP/1.1 400", NULL, 0, "it is no SOCKS5 proxy" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size;

        begin(CN_PROXY_SOCKS5, rows[i].user, "secret", "a:1");
        (void)cn_proxy_output(&proxy, &size);
        cn_proxy_sent(&proxy, size);
        if (rows[i].second) {
            assert_err(hears((const uint8_t *)rows[i].first, strlen(rows[i].first)), CN_E_MORE);
            (void)cn_proxy_output(&proxy, &size);
            cn_proxy_sent(&proxy, size);
            assert_err(hears((const uint8_t *)rows[i].second, rows[i].second_size), CN_E_PROXY);
        } else {
            assert_err(hears((const uint8_t *)rows[i].first, strlen(rows[i].first)), CN_E_PROXY);
        }
        assert_string_equal(proxy.reason, rows[i].reason);
        assert_err(hears(OCTETS("\5")), CN_E_PROXY); /* and so it stays */
    }
}

static void socks_replies(void **state)
{
    (void)state;
    for (unsigned code = 1; code < 256; code++) {
        const uint8_t reply[] = { 5, (uint8_t)code }; /* the rest is not waited for */

        socks_asked("a:1");
        if (code >= 3 && code <= 6)
            assert_err(hears_slowly(reply, 2), CN_E_UNREACHABLE);
        else
            assert_err(hears_slowly(reply, 2), CN_E_PROXY);
        assert_true(strlen(proxy.reason) > 10);
    }
    socks_asked("a:1");
    assert_err(hears_slowly(OCTETS("\4")), CN_E_PROXY);
    socks_asked("a:1");
    assert_err(hears_slowly(OCTETS("\5\0\0\2")), CN_E_PROXY); /* no such kind of address */
}

static void socks_that_says_too_much(void **state)
{
    (void)state;
    socks("a:1");
    assert_err(hears(OCTETS("\5\0\5")), CN_E_PROXY); /* the request is not even sent */
    socks_asked("a:1");
    assert_err(hears(OCTETS("\5\0\0\1\0\0\0\0\0\0!")), CN_E_PROXY);
    begin(CN_PROXY_SOCKS5, NULL, NULL, "a:1");
    assert_err(hears(OCTETS("\5\0")), CN_E_PROXY); /* before it was asked */
    begin(CN_PROXY_SOCKS5, NULL, NULL, "a:1");
    assert_err(hears(OCTETS("")), CN_E_MORE);
}

/* --- HTTP */

static void http(void)
{
    begin(CN_PROXY_HTTP, NULL, NULL, "server.example:7000");
    says(OCTETS("CONNECT server.example:7000 HTTP/1.1\r\nHost: server.example:7000\r\n\r\n"));
}

static void http_connects(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n",
        "HTTP/1.1 204 \r\nVia: one\r\nX: \r\r\n\r\n",
        "HTTP/1.1 299 with bare ends\nVia: one\n\n",
        "HTTP/1.1 100 wait\r\n\r\nHTTP/1.1 103 yet\r\nA: b\r\n\r\nHTTP/1.1 200 now\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        http();
        assert_err(hears_slowly((const uint8_t *)answers[i], strlen(answers[i])), CN_OK);
        http();
        assert_err(hears((const uint8_t *)answers[i], strlen(answers[i])), CN_OK);
    }
}

static void http_with_user_and_password(void **state)
{
    (void)state;
    begin(CN_PROXY_HTTP, "Aladdin", "open sesame", "[::1]:1"); /* of RFC 7617 2 */
    says(OCTETS("CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n"
                "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
    assert_err(hears_slowly(OCTETS("HTTP/1.1 200 OK\r\n\r\n")), CN_OK);
}

static void http_refusals(void **state)
{
    static const struct {
        const char *user, *answer;
        enum cn_err err;
        const char *reason;
    } rows[] = {
        { NULL, "HTTP/1.1 407 who?\r\nA: b\r\n\r\n", CN_E_PROXY, "it wants a user and a password" },
        { "me", "HTTP/1.1 407 who?\r\n\r\n", CN_E_PROXY, "it does not take our user and password" },
        { NULL, "HTTP/1.1 403 no\r\n\r\n", CN_E_PROXY, "its rules do not allow it" },
        { NULL, "HTTP/1.1 405 no\r\n\r\n", CN_E_PROXY, "it answers 405" },
        { NULL, "HTTP/1.1 301 there\r\n\r\n", CN_E_PROXY, "it answers 301" },
        { NULL, "HTTP/1.1 101 other\r\n\r\n", CN_E_PROXY, "it answers 101" },
        { NULL, "HTTP/1.1 500 ill\r\n\r\n", CN_E_PROXY, "it answers 500" },
        { NULL, "HTTP/1.1 502 no\r\n\r\n", CN_E_UNREACHABLE,
          "it answers 502: nothing comes from there" },
        { NULL, "HTTP/1.1 504 no\r\n\r\n", CN_E_UNREACHABLE,
          "it answers 504: nothing comes from there" },
        { NULL, "HTTP/2 200 OK\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.x 200 OK\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1200 OK\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1 20\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1 2000\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1 099 x\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1 2a0 x\r\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "HTTP/1.1\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "\r", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "\n", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "\5", CN_E_PROXY, "it is no HTTP proxy" },
        { NULL, "SSH-2.0-x", CN_E_PROXY, "it is no HTTP proxy" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size;

        begin(CN_PROXY_HTTP, rows[i].user, "secret", "a:1");
        (void)cn_proxy_output(&proxy, &size);
        cn_proxy_sent(&proxy, size);
        assert_int_equal(hears((const uint8_t *)rows[i].answer, strlen(rows[i].answer)),
                         rows[i].err);
        assert_string_equal(proxy.reason, rows[i].reason);
    }
}

static void http_that_does_not_end(void **state)
{
    static const char *const begins[] = { "HTTP/1.1 ",
                                          "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n" };

    (void)state;
    for (size_t i = 0; i < COUNT(begins); i++) {
        size_t left = CN_PROXY_ANSWER_SIZE_MAX - strlen(begins[i]);

        http();
        assert_err(hears((const uint8_t *)begins[i], strlen(begins[i])), CN_E_MORE);
        while (left-- > 0)
            assert_err(hears(OCTETS("y")), CN_E_MORE);
        assert_err(hears(OCTETS("y")), CN_E_PROXY);
        assert_string_equal(proxy.reason, "its answer does not end");
    }
    http(); /* nor does it forget what came before */
    for (size_t size = 0; size + 19 <= CN_PROXY_ANSWER_SIZE_MAX; size += 19)
        assert_err(hears(OCTETS("HTTP/1.1 100 go\r\n\r\n")), CN_E_MORE);
    assert_err(hears(OCTETS("HTTP/1.1 200 OK\r\n\r\n")), CN_E_PROXY);
}

static void http_that_says_too_much(void **state)
{
    (void)state;
    http();
    assert_err(hears(OCTETS("HTTP/1.1 200 OK\r\n\r\n!")), CN_E_PROXY);
    begin(CN_PROXY_HTTP, NULL, NULL, "a:1");
    cn_proxy_sent(&proxy, 1);
    assert_err(hears(OCTETS("HTTP/1.1 200 OK\r\n\r\n")), CN_E_PROXY); /* before it was asked */
}

static void nothing_secret_stays(void **state)
{
    static const struct cn_proxy none;

    (void)state;
    begin(CN_PROXY_HTTP, "me", "secret", "a:1");
    cn_proxy_wipe(&proxy);
    assert_memory_equal(&proxy, &none, sizeof none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socks_connects_to_a_name_as_it_is),
        cmocka_unit_test(socks_connects_to_literals),
        cmocka_unit_test(socks_longest_of_all_fits),
        cmocka_unit_test(socks_with_user_and_password),
        cmocka_unit_test(socks_that_wants_no_user_gets_none),
        cmocka_unit_test(socks_refusals),
        cmocka_unit_test(socks_replies),
        cmocka_unit_test(socks_that_says_too_much),
        cmocka_unit_test(http_connects),
        cmocka_unit_test(http_with_user_and_password),
        cmocka_unit_test(http_refusals),
        cmocka_unit_test(http_that_does_not_end),
        cmocka_unit_test(http_that_says_too_much),
        cmocka_unit_test(nothing_secret_stays),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
