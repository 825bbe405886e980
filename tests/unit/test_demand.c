/* What is asked of the agent over its socket. */
#include "unit.h"

#include "demand.h"

static void what_is_encoded_is_decoded(void **state)
{
    const struct cn_demand rows[] = {
        { .kind = CN_DEMAND_HERE },
        { CN_DEMAND_LEAVE, "bob", CN_CALL_TALK, false },
        { CN_DEMAND_LEAVE, "bob.2_x-y", CN_CALL_PIPE, true },
        { CN_DEMAND_LEAVE, "b", CN_CALL_FILE, true },
        { CN_DEMAND_LEAVE, "b", CN_CALL_FORWARD, false },
        { .kind = CN_DEMAND_ATTACH, .contact = "bob" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[CN_DEMAND_SIZE_MAX];
        struct cn_demand d = { 0 };

        cn_demand_encode(&rows[i], line);
        assert_int_equal(line[strlen(line) - 1], '\n');
        assert_err(cn_demand_decode(&d, line, strlen(line) - 1), CN_OK);
        assert_int_equal(d.kind, rows[i].kind);
        assert_string_equal(d.contact, rows[i].contact);
        assert_int_equal(d.service, rows[i].service);
        assert_int_equal(d.caller, rows[i].caller);
    }
}

static void the_longest_name_fits(void **state)
{
    struct cn_demand d = { .kind = CN_DEMAND_LEAVE, .service = CN_CALL_FORWARD };
    char line[CN_DEMAND_SIZE_MAX];

    (void)state;
    memset(d.contact, 'x', 64);
    cn_demand_encode(&d, line);
    assert_err(cn_demand_decode(&d, line, strlen(line) - 1), CN_OK);
    assert_int_equal(strlen(d.contact), 64);
}

static void anything_else_is_refused(void **state)
{
    const char *const lines[] = {
        "",
        "1",
        "1 ",
        " 1 here",
        "1  here",
        "1 here ",
        "1 here x",
        "1 HERE",
        "1 leave",
        "1 leave bob",
        "1 leave bob file",
        "1 leave bob file both",
        "1 leave bob mail answer",
        "1 leave bob file answer x",
        "1 leave ../bob file answer",
        "1 leave -bob file answer",
        "1 attach",
        "1 attach a/b",
        "1 attach bob x",
        "1 attach xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "1 attach bob\r",
        "1 attach bob\x1b",
    };
    struct cn_demand d = { 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_err(cn_demand_decode(&d, lines[i], strlen(lines[i])), CN_E_FORMAT);
    assert_err(cn_demand_decode(&d, "1 here\0x", 8), CN_E_FORMAT);
    assert_int_equal(d.kind, 0);
}

static void a_later_version_is_told_from_nonsense(void **state)
{
    struct cn_demand d = { 0 };

    (void)state;
    assert_err(cn_demand_decode(&d, "2 here", 6), CN_E_VERSION);
    assert_err(cn_demand_decode(&d, "2 something else of a later day", 20), CN_E_VERSION);
}

static void a_line_that_is_too_long_is_refused(void **state)
{
    char line[2 * CN_DEMAND_SIZE_MAX];
    struct cn_demand d = { 0 };

    (void)state;
    memset(line, 'x', sizeof line);
    for (size_t size = CN_DEMAND_SIZE_MAX; size < sizeof line; size++)
        assert_err(cn_demand_decode(&d, line, size), CN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_later_version_is_told_from_nonsense),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests_name("demand", tests, crypto_setup, crypto_teardown);
}
