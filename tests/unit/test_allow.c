/* What a partner may have: what is listed, as it is typed, and nothing else. */
#include "unit.h"

#include "tunnel/allow.h"

static struct cn_allow allow;

static int teardown(void **state)
{
    (void)state;
    cn_allow_wipe(&allow);
    return 0;
}

static bool permits(const char *text)
{
    struct cn_terminus e;

    assert_int_equal(cn_terminus_parse(&e, text), CN_OK);
    return cn_allow_permits(&allow, &e);
}

static bool permits_listening(const char *text)
{
    struct cn_terminus e;

    assert_int_equal(cn_terminus_parse_listening(&e, text), CN_OK);
    return cn_allow_permits(&allow, &e);
}

static void nothing_is_allowed_at_first(void **state)
{
    (void)state;
    assert_false(permits("localhost:1"));
    assert_false(permits("/a"));
    assert_false(permits_listening("1"));
}

static void what_is_no_rule_is_refused(void **state)
{
    const char *const texts[] = {
        "",      "h",     "h:",        ":1",      "h:0",   "h:1-", "h:-1",
        "h:2-1", "h:0-1", "h:1-65536", "h:1-2-3", "h:*-2", "*",    "*x:1",
        "h:1:2", "::1:1", "[*]:1",     "udp:/a",  "h:[1]", "a/b",  "h:1 "
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_err(cn_allow_add(&allow, texts[i]), CN_E_FORMAT);
    assert_int_equal(allow.count, 0);
}

static void ranges_hold_both_their_ends(void **state)
{
    (void)state;
    assert_err(cn_allow_add(&allow, "h:10-20"), CN_OK);
    assert_false(permits("h:9"));
    assert_true(permits("h:10"));
    assert_true(permits("h:20"));
    assert_false(permits("h:21"));
    assert_false(permits("i:10"));
    assert_false(permits("udp:h:10"));
}

static void hosts_are_what_was_typed_but_for_capitals(void **state)
{
    (void)state;
    assert_err(cn_allow_add(&allow, "Example.org:*"), CN_OK);
    assert_true(permits("example.ORG:1"));
    assert_true(permits("example.org:65535"));
    assert_false(permits("example.org.:1"));
    assert_false(permits("www.example.org:1"));
    assert_false(permits("xample.org:1"));
}

static void a_star_is_every_host_and_no_path(void **state)
{
    (void)state;
    assert_err(cn_allow_add(&allow, "*:80"), CN_OK);
    assert_true(permits("h:80"));
    assert_true(permits("[::1]:80"));
    assert_false(permits("h:81"));
    assert_false(permits("/a"));
    assert_err(cn_allow_add(&allow, "udp:*:*"), CN_OK);
    assert_true(permits("udp:h:81"));
    assert_false(permits("h:81"));
}

static void paths_are_the_same_octet_for_octet(void **state)
{
    (void)state;
    assert_err(cn_allow_add(&allow, "/run/a"), CN_OK);
    assert_true(permits("/run/a"));
    assert_false(permits("/run/A"));
    assert_false(permits("/run//a"));
    assert_false(permits("/run/a/"));
}

static void where_it_may_listen(void **state)
{
    (void)state;
    assert_err(cn_allow_add_listening(&allow, "8000-8001"), CN_OK);
    assert_err(cn_allow_add_listening(&allow, "127.0.0.2:*"), CN_OK);
    assert_true(permits_listening("8000"));
    assert_true(permits_listening("localhost:8001"));
    assert_false(permits_listening("8002"));
    assert_false(permits_listening("*:8000"));
    assert_false(permits_listening("127.0.0.1:8000"));
    assert_true(permits_listening("127.0.0.2:0"));
    assert_false(permits_listening("0"));
    assert_err(cn_allow_add_listening(&allow, ":9000"), CN_OK);
    assert_true(permits_listening("*:9000"));
    assert_true(permits_listening("[::1]:9000"));
    assert_err(cn_allow_add_listening(&allow, "/b"), CN_OK);
    assert_true(permits_listening("/b"));
    assert_err(cn_allow_add_listening(&allow, "host:1"), CN_E_FORMAT);
    assert_err(cn_allow_add_listening(&allow, "udp:/c"), CN_E_FORMAT);
    assert_err(cn_allow_add_listening(&allow, "udp:"), CN_E_FORMAT);
    assert_err(cn_allow_add_listening(&allow, "1:2:3"), CN_E_FORMAT);
}

static void where_it_may_take_datagrams(void **state)
{
    const struct cn_terminus datagrams = { CN_TERMINUS_UDP, 53, "localhost" };
    const struct cn_terminus connections = { CN_TERMINUS_TCP, 53, "localhost" };

    (void)state;
    assert_err(cn_allow_add_listening(&allow, "*:*"), CN_OK);
    assert_false(cn_allow_permits(&allow, &datagrams));
    cn_allow_wipe(&allow);
    assert_err(cn_allow_add_listening(&allow, "udp:50-53"), CN_OK);
    assert_true(cn_allow_permits(&allow, &datagrams));
    assert_false(cn_allow_permits(&allow, &connections));
}

static void there_is_an_end_of_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < CN_ALLOW_RULE_COUNT_MAX; i++)
        assert_err(cn_allow_add(&allow, "h:1"), CN_OK);
    assert_err(cn_allow_add(&allow, "h:1"), CN_E_LIMIT);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_allowed_at_first),
        TEST(what_is_no_rule_is_refused),
        TEST(ranges_hold_both_their_ends),
        TEST(hosts_are_what_was_typed_but_for_capitals),
        TEST(a_star_is_every_host_and_no_path),
        TEST(paths_are_the_same_octet_for_octet),
        TEST(where_it_may_listen),
        TEST(where_it_may_take_datagrams),
        TEST(there_is_an_end_of_rules),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
