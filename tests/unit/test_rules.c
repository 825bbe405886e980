/* agent.conf: what is answered, and nothing else. */
#include "unit.h"

#include "rules.h"

static struct cn_rules rules;

static int teardown(void **state)
{
    (void)state;
    cn_rules_wipe(&rules);
    return 0;
}

static void takes(const char *text)
{
    char complaint[CN_RULES_COMPLAINT_SIZE];

    cn_rules_wipe(&rules);
    if (cn_rules_parse(&rules, text, complaint) != CN_OK)
        fail_msg("%s", complaint);
    assert_string_equal(complaint, "");
}

/* Says so, and leaves what there was. */
static void refuses(const char *text, const char *said)
{
    char complaint[CN_RULES_COMPLAINT_SIZE];
    struct cn_rules before = rules;

    assert_err(cn_rules_parse(&rules, text, complaint), CN_E_FORMAT);
    if (!strstr(complaint, said))
        fail_msg("'%s' is not in '%s'", said, complaint);
    assert_memory_equal(&before, &rules, sizeof rules);
}

static bool answers(const char *contact, bool verified, enum cn_call_service service)
{
    const struct cn_rule *rule = cn_rules_find(&rules, contact, verified);

    return rule && cn_rule_answers(rule, service);
}

static void nothing_is_answered_that_no_rule_says(void **state)
{
    (void)state;
    takes("");
    assert_null(cn_rules_find(&rules, "ann", true));
    takes("# nothing\n; at all\n[ann]\n");
    for (int service = CN_CALL_TALK; service <= CN_CALL_FORWARD; service++)
        assert_false(answers("ann", true, (enum cn_call_service)service));
}

static void each_rule_answers_its_service(void **state)
{
    static const struct {
        const char *text;
        enum cn_call_service service;
    } rows[] = {
        { "[ann]\nreceive = /in\n", CN_CALL_FILE },
        { "[ann]\nallow = localhost:22\n", CN_CALL_FORWARD },
        { "[ann]\nallow_listen = 8080\n", CN_CALL_FORWARD },
        { "[ann]\ntalk = refuse\n", CN_CALL_TALK },
        { "[ann]\ntalk = hold\n", CN_CALL_TALK },
        { "[ann]\ntalk = notify\nnotify = x\n", CN_CALL_TALK },
        { "[ann]\npipe = cat\n", CN_CALL_PIPE },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        takes(rows[i].text);
        for (int service = CN_CALL_TALK; service <= CN_CALL_FORWARD; service++)
            assert_int_equal(answers("ann", false, (enum cn_call_service)service),
                             service == (int)rows[i].service);
    }
}

static void a_section_of_its_own_is_all_that_holds_for_a_contact(void **state)
{
    (void)state;
    takes("[*]\nreceive = /all\ntalk = hold\n[ann]\npipe = cat\n[bob]\n");
    assert_false(answers("ann", true, CN_CALL_FILE));
    assert_true(answers("ann", true, CN_CALL_PIPE));
    assert_false(answers("bob", true, CN_CALL_FILE));
    assert_true(answers("carl", true, CN_CALL_FILE));
    assert_false(answers("carl", true, CN_CALL_PIPE));
}

static void who_is_not_verified_needs_a_section_of_his_own(void **state)
{
    (void)state;
    takes("[*]\nreceive = /all\n[ann]\nreceive = /in\n");
    assert_true(answers("ann", false, CN_CALL_FILE));
    assert_false(answers("carl", false, CN_CALL_FILE));
}

static void a_long_name_is_not_cut(void **state)
{
    char text[256], name[65];

    (void)state;
    memset(name, 'x', 64);
    name[64] = '\0';
    snprintf(text, sizeof text, "[%s]\npipe = cat\n", name);
    takes(text);
    assert_true(answers(name, false, CN_CALL_PIPE));
    name[63] = 'y';
    assert_false(answers(name, false, CN_CALL_PIPE));
    name[50] = '\0';
    assert_false(answers(name, false, CN_CALL_PIPE));
}

static void values_are_read(void **state)
{
    const struct cn_rule *rule;

    (void)state;
    takes("[ann]\r\nreceive = ~/in/%n\r\nreceive_max = 2G\non_conflict=rename\n"
          "allow = localhost:22\nallow = *:80-90\nallow_listen = 8080\n"
          "talk = notify\ntalk_hold = 60\nnotify = notify-send 'Cypher Net' \"%n calls\"\n");
    rule = cn_rules_find(&rules, "ann", false);
    assert_string_equal(rule->receive, "~/in/%n");
    assert_true(rule->has_receive_max);
    assert_int_equal(rule->receive_max, 2000000000);
    assert_int_equal(rule->on_conflict, CN_CONFLICT_RENAME);
    assert_int_equal(rule->allow_count, 2);
    assert_string_equal(rule->allow[1], "*:80-90");
    assert_string_equal(rule->allow_listen[0], "8080");
    assert_int_equal(rule->talk_hold_s, 60);
    assert_string_equal(rule->notify[1], "Cypher Net");
    assert_string_equal(rule->notify[2], "%n calls");
    assert_null(rule->notify[3]);
}

static void sizes_are_octets(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
    } rows[] = {
        { "0", 0 }, { "1", 1 }, { "5K", 5000 }, { "7M", 7000000 }, { "3T", 3000000000000 }
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[128];

        snprintf(text, sizeof text, "[ann]\nreceive = /in\nreceive_max = %s\n", rows[i].text);
        takes(text);
        assert_int_equal(cn_rules_find(&rules, "ann", false)->receive_max, rows[i].size);
    }
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } rows[] = {
        { "pipe = cat\n", "line 1: [] pipe: belongs into a section" },
        { "[ann]\npip = cat\n", "line 2: [ann] pip: no such rule" },
        { "[ann]\n\npipe\n", "line 3" },
        { "[ann\npipe = cat\n", "line 1" },
        { "[ann] x\n", "line 1" },
        { "[an n]\n", "line 1" },
        { "[]\npipe = cat\n", "line 1" },
        { "[../x]\n", "line 1" },
        { "[**]\n", "line 1" },
        { "[ann]\n[bob]\n[ann]\n", "line 3: [ann] section: there are two" },
        { "[ann]\npipe = cat\npipe = dog\n", "line 3: [ann] pipe: is set twice" },
        { "[ann]\nreceive = in\n", "line 2: [ann] receive: must be a directory" },
        { "[ann]\nreceive =\n", "line 2: [ann] receive" },
        { "[ann]\nreceive = /in\nreceive = /in\n", "line 3" },
        { "[ann]\nreceive = /in\nreceive_max = 2 G\n", "line 3" },
        { "[ann]\nreceive = /in\nreceive_max = -1\n", "line 3" },
        { "[ann]\nreceive = /in\nreceive_max = 2GB\n", "line 3" },
        { "[ann]\nreceive = /in\nreceive_max = 99999999999999T\n", "line 3" },
        { "[ann]\nreceive = /in\non_conflict = ask\n", "line 3" },
        { "[ann]\nreceive_max = 1\n", "means nothing without receive" },
        { "[ann]\nallow = localhost\n", "line 2: [ann] allow: must be HOST:PORT" },
        { "[ann]\nallow = *\n", "line 2" },
        { "[ann]\nallow_listen = x:y:z\n", "line 2" },
        { "[ann]\ntalk = yes\n", "line 2: [ann] talk: must be refuse, hold or notify" },
        { "[ann]\ntalk = notify\n", "wants a command" },
        { "[ann]\ntalk = hold\nnotify = x\n", "with talk = notify only" },
        { "[ann]\ntalk = refuse\ntalk_hold = 5\n", "talk_hold" },
        { "[ann]\ntalk = hold\ntalk_hold = 0\n", "line 3" },
        { "[ann]\npipe = 'cat\n", "line 2: [ann] pipe: must be a command" },
        { "[ann]\npipe =\n", "line 2" },
        { "[ann]\npipe = sh -c 'a ; b'\n", "line 2: has a semicolon" },
        { "[ann]\npipe = cat\n [bob]\n", "line 3: begins with a blank" },
        { "[ann]\nallow = a:1\n b:2\n", "line 3: begins with a blank" },
    };

    (void)state;
    takes("[ann]\nreceive = /in\n");
    for (size_t i = 0; i < COUNT(rows); i++)
        refuses(rows[i].text, rows[i].said);
}

static void a_long_line_is_refused_and_not_cut(void **state)
{
    char text[1024] = "[ann]\npipe = ";

    (void)state;
    memset(text + strlen(text), 'x', 500);
    strncat(text, "\n", 2);
    refuses(text, "line 2: is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_answered_that_no_rule_says, teardown),
        cmocka_unit_test_teardown(each_rule_answers_its_service, teardown),
        cmocka_unit_test_teardown(a_section_of_its_own_is_all_that_holds_for_a_contact, teardown),
        cmocka_unit_test_teardown(who_is_not_verified_needs_a_section_of_his_own, teardown),
        cmocka_unit_test_teardown(a_long_name_is_not_cut, teardown),
        cmocka_unit_test_teardown(values_are_read, teardown),
        cmocka_unit_test_teardown(sizes_are_octets, teardown),
        cmocka_unit_test_teardown(what_is_wrong_is_said_with_its_line, teardown),
        cmocka_unit_test_teardown(a_long_line_is_refused_and_not_cut, teardown),
    };

    return cmocka_run_group_tests_name("rules", tests, crypto_setup, crypto_teardown);
}
