/* Which proxy an URL means, and which hosts NO_PROXY spares. */
#include "unit.h"

#include "proxy_setting.h"

#define TIMES_4(text)  text text text text
#define TIMES_64(text) TIMES_4(TIMES_4(TIMES_4(text)))

static void urls(void **state)
{
    static const struct {
        const char *url;
        enum cn_proxy_kind kind;
        const char *address, *user, *password, *name;
    } rows[] = {
        { "socks5h://127.0.0.1:9050", CN_PROXY_SOCKS5, "127.0.0.1:9050", NULL, "",
          "socks5h://127.0.0.1:9050" },
        { "SOCKS5://tor", CN_PROXY_SOCKS5, "tor:1080", NULL, "", "socks5h://tor:1080" },
        { "http://proxy.example:3128/", CN_PROXY_HTTP, "proxy.example:3128", NULL, "",
          "http://proxy.example:3128" },
        { "proxy:8080", CN_PROXY_HTTP, "proxy:8080", NULL, "", "http://proxy:8080" },
        { "proxy", CN_PROXY_HTTP, "proxy:1080", NULL, "", "http://proxy:1080" },
        { "http://[::1]:3128", CN_PROXY_HTTP, "[::1]:3128", NULL, "", "http://[::1]:3128" },
        { "http://[::1]", CN_PROXY_HTTP, "[::1]:1080", NULL, "", "http://[::1]:1080" },
        { "http://me:secret@p:1", CN_PROXY_HTTP, "p:1", "me", "secret", "http://p:1" },
        { "http://me:s@e:c@p:1", CN_PROXY_HTTP, "p:1", "me", "s@e:c", "http://p:1" },
        { "socks5://me@p:1", CN_PROXY_SOCKS5, "p:1", "me", "", "socks5h://p:1" },
        { "socks5://m%3ae:%41%c3%A4%25@p:1", CN_PROXY_SOCKS5, "p:1", "m:e", "A\xc3\xa4%",
          "socks5h://p:1" },
        { "http://" TIMES_64("uuu") ":" TIMES_64("ppp") "@p:1", CN_PROXY_HTTP, "p:1",
          TIMES_64("uuu"), TIMES_64("ppp"), "http://p:1" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_proxy_setting s = { 0 };
        char name[CN_PROXY_NAME_SIZE];

        if (cn_proxy_setting_parse(&s, rows[i].url) != CN_OK)
            fail_msg("%s", rows[i].url);
        assert_int_equal(s.kind, rows[i].kind);
        assert_string_equal(s.address, rows[i].address);
        assert_int_equal(s.has_user, rows[i].user != NULL);
        assert_string_equal(s.user, rows[i].user ? rows[i].user : "");
        assert_string_equal(s.password, rows[i].password);
        assert_string_equal(cn_proxy_setting_name(&s, name), rows[i].name);
    }
}

static void what_is_no_url(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "http://",
        "http:///",
        "https://p:1",
        "socks4://p:1",
        "socks5h:/p:1",
        "http://p:0",
        "http://p:65536",
        "http://p:",
        "http://p:1/path",
        "http://p:1?x",
        "http://a b:1",
        "http://::1:80",
        "http://[::1",
        "http://[::1]x",
        "http://@p:1",
        "http://:secret@p:1",
        "http://me%@p:1",
        "http://me%4@p:1",
        "http://me%4g@p:1",
        "http://me%00@p:1",
        "http://me%0a@p:1",
        "http://me:%7f@p:1",
        "http://m%3ae:x@p:1", /* which no proxy could tell from me:... */
        "http://" TIMES_64("uuuu") "@p:1",
        "http://me:" TIMES_64("pppp") "@p:1",
        "http://" TIMES_64("host") ":1",
        "http://p:1\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_proxy_setting s = { .address = "as it was" };

        if (cn_proxy_setting_parse(&s, rows[i]) != CN_E_FORMAT)
            fail_msg("%s", rows[i]);
        assert_string_equal(s.address, "as it was");
        assert_int_equal(s.kind, CN_PROXY_NONE);
    }
}

static bool applies(const char *spared, const char *address)
{
    static struct cn_proxy_setting s;

    s.kind = CN_PROXY_HTTP;
    snprintf(s.spared, sizeof s.spared, "%s", spared);
    return cn_proxy_setting_applies(&s, address);
}

static void what_is_spared(void **state)
{
    static const struct {
        const char *spared, *address;
        bool applies;
    } rows[] = {
        { "", "server.example:7", true },
        { "*", "server.example:7", false },
        { "*", "192.0.2.1:7", false },
        { " *", "server.example:7", true }, /* as curl: alone, or nothing */
        { "example", "server.example:7", false },
        { ".example", "server.example:7", false },
        { "EXAMPLE.", "server.Example.:7", false },
        { "server.example", "server.example:7", false },
        { "server.example", "srv:server.example", false },
        { "example", "srv:server.example", false },
        { "ver.example", "server.example:7", true },
        { "other.server.example", "server.example:7", true },
        { "a,b, example ,c", "server.example:7", false },
        { "a\tb example", "server.example:7", false },
        { ",, ,", "server.example:7", true },
        { ".", "server.example:7", true },
        { "server.example:7", "server.example:7", true }, /* no ports, as curl */
        { "192.0.2.1", "192.0.2.1:7", false },
        { "192.0.2.10", "192.0.2.1:7", true },
        { "2.1", "192.0.2.1:7", true },
        { "192.0.2.0/24", "192.0.2.1:7", false },
        { "192.0.2.0/31", "192.0.2.1:7", false },
        { "192.0.2.0/32", "192.0.2.1:7", true },
        { "0.0.0.0/0", "192.0.2.1:7", false },
        { "192.0.2.0/", "192.0.2.1:7", true },
        { "192.0.2.0/33", "192.0.2.1:7", true },
        { "192.0.2.0/99999999999999999999", "192.0.2.1:7", true },
        { "192.0.2.0/x", "192.0.2.1:7", true },
        { "0.0.0.0/0", "server.example:7", true },
        { "::/0", "192.0.2.1:7", true },
        { "2001:db8::1", "[2001:db8:0::1]:7", false },
        { "[2001:db8::1]", "[2001:db8::1]:7", false },
        { "2001:db8::/33", "[2001:db8:7fff::1]:7", false },
        { "2001:db8::/33", "[2001:db8:8000::1]:7", true },
        { "", "127.0.0.1:7", false }, /* never for this machine */
        { "", "127.9.9.9:7", false },
        { "", "[::1]:7", false },
        { "", "LOCALHOST:7", false },
        { "", "localhost.example:7", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (applies(rows[i].spared, rows[i].address) != rows[i].applies)
            fail_msg("%s: %s", rows[i].spared, rows[i].address);
    }
}

static void none_applies_to_nothing(void **state)
{
    static const struct cn_proxy_setting none;

    (void)state;
    assert_false(cn_proxy_setting_applies(&none, "server.example:7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(what_is_no_url),
        cmocka_unit_test(what_is_spared),
        cmocka_unit_test(none_applies_to_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
