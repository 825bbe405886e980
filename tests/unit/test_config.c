/* cyphernetd.conf: what is refused, and that a refusal names the line and changes nothing. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

static char complaint[CN_CONFIG_COMPLAINT_SIZE];

static enum cn_err parse(const char *text, struct cn_config *config)
{
    struct cn_config before;
    enum cn_err err;

    memset(config, 0x5a, sizeof *config);
    before = *config;
    memset(complaint, 'x', sizeof complaint);
    err = cn_config_parse(config, text, complaint);
    assert_non_null(memchr(complaint, '\0', sizeof complaint));
    if (err != CN_OK)
        assert_memory_equal(config, &before, sizeof before);
    return err;
}

/* Refused with exactly these words. */
static void refused(const char *text, const char *why)
{
    struct cn_config config;

    assert_err(parse(text, &config), CN_E_FORMAT);
    assert_string_equal(complaint, why);
}

static struct cn_config taken(const char *text)
{
    struct cn_config config;

    if (parse(text, &config) != CN_OK)
        fail_msg("refused: %s", complaint);
    return config;
}

/* --- what is refused ------------------------------------------------------------------------- */

static void unknown_keys_are_refused(void **state)
{
    (void)state;
    refused("[server]\nport = 1\n",
            "line 2: [server] port: no such key; cyphernetd.conf(5) lists them all");
    refused("[calls]\nhello_timeout = 1\n",
            "line 2: [calls] hello_timeout: no such key; cyphernetd.conf(5) lists them all");
    refused("hello_timeout = 1\n",
            "line 1: [] hello_timeout: no such key; cyphernetd.conf(5) lists them all");
    refused("[admission]\nhello_timeou = 1\n",
            "line 2: [admission] hello_timeou: no such key; cyphernetd.conf(5) lists them all");
    refused("[admission]\nHELLO_TIMEOUT = 1\n",
            "line 2: [admission] HELLO_TIMEOUT: no such key; cyphernetd.conf(5) lists them all");
    refused("[adm]\nission.hello_timeout = 1\n",
            "line 2: [adm] ission.hello_timeout: no such key; cyphernetd.conf(5) lists them all");
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "",   "-1",   "+1",  "0x10",       "1.5",
                                       "5s", "five", "1 2", "1e3",        " ",
                                       "\t", "0",    "61",  "4294967297", "18446744073709551617" };
    char text[128];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[admission]\nhello_timeout = %s\n", bad[i]);
        refused(text, "line 2: [admission] hello_timeout: must be a number from 1 to 60");
    }
}

static void answers_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "", "1", "0", "y", "yes please", "maybe" };
    char text[128];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[server]\nlog_addresses = %s\n", bad[i]);
        refused(text, "line 2: [server] log_addresses: must be yes or no");
    }
}

static void words_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "Cubic", "a b",      "a/b",
                                       "../x",  "\xc3\xa4", "a2345678901234567890123456789012" };
    char text[128];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[calls]\ncongestion_control = %s\n", bad[i]);
        refused(text, "line 2: [calls] congestion_control: must be a plain word of at most 31 "
                      "characters");
    }
}

static void a_key_twice_is_refused(void **state)
{
    (void)state;
    refused("[admission]\nhello_timeout = 1\n[calls]\nidle_timeout = 3\n[admission]\n"
            "hello_timeout = 1\n",
            "line 6: [admission] hello_timeout: is set twice; remove one");
}

static void a_line_that_is_nothing_is_refused(void **state)
{
    static const char why[] = "line 2: neither [section], key = value, nor a comment";

    (void)state;
    refused("[server]\nlog_addresses\n", why);
    refused("[server]\n[server\n", why);
    refused("[server]\n#!\n= 5\n",
            "line 3: [server] : no such key; cyphernetd.conf(5) lists them all");
}

static void the_first_of_several_errors_is_told(void **state)
{
    (void)state;
    refused("[server]\nrubbish\nport = 1\n",
            "line 2: neither [section], key = value, nor a comment");
    refused("[server]\nport = 1\nrubbish\nbus = 1\n",
            "line 2: [server] port: no such key; cyphernetd.conf(5) lists them all");
}

static void a_continued_line_is_refused(void **state)
{
    (void)state;
    refused("[admission]\nhello_timeout = 1\n 2\n",
            "line 3: [admission] hello_timeout: is set twice; remove one");
}

static void a_long_line_is_refused_whatever_it_says(void **state)
{
    char text[2048];

    (void)state;
    for (size_t pad = 150; pad < 1000; pad++) {
        /* what comes behind the padding must not be taken for a line of its own */
        snprintf(text, sizeof text, "[calls]\nidle_timeout = 5 ;%*sstall_timeout = 7\n", (int)pad,
                 "");
        if (pad <= 163) {
            assert_int_equal(taken(text).stall_timeout, 300);
        } else {
            refused(text, "line 2: is longer than 198 characters");
        }
    }
}

static void what_is_shown_of_a_file_is_harmless(void **state)
{
    char text[256] = "[a\x1b[2J\x07]\n\xff\x01";

    (void)state;
    memset(text + strlen(text), 'n', 100);
    strcat(text, " = 1\n");
    refused(text,
            "line 2: [a?[2J?] ??nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: "
            "no such key; cyphernetd.conf(5) lists them all");
}

/* --- what is taken --------------------------------------------------------------------------- */

static void an_empty_file_gives_the_defaults(void **state)
{
    struct cn_config defaults, got;

    (void)state;
    cn_config_defaults(&defaults);
    got = taken("");
    assert_memory_equal(&got, &defaults, sizeof got);
    got = taken("\n\n; a comment\n# another\n[server]\n[calls]\n");
    assert_memory_equal(&got, &defaults, sizeof got);
    assert_int_equal(defaults.hello_timeout, 5);
    assert_int_equal(defaults.keep_alive, 60);
    assert_int_equal(defaults.ready_timeout, 3);
    assert_false(defaults.log_addresses);
    assert_false(defaults.log_subscribers);
}

static void bounds_are_inside(void **state)
{
    (void)state;
    assert_int_equal(taken("[admission]\nhello_timeout = 1\n").hello_timeout, 1);
    assert_int_equal(taken("[admission]\nhello_timeout = 60\n").hello_timeout, 60);
    assert_int_equal(taken("[calls]\nrate_per_subscriber = 1000000000000\n").rate_per_subscriber,
                     1000000000000);
    assert_int_equal(taken("[calls]\nrate_all = 1000000000000\n").rate_all, 1000000000000);
    refused("[calls]\nrate_per_subscriber = 1000000000001\n",
            "line 2: [calls] rate_per_subscriber: must be a number from 0 to 1000000000000");
}

static void answers_have_three_spellings(void **state)
{
    (void)state;
    assert_true(taken("[server]\nlog_addresses = yes\n").log_addresses);
    assert_true(taken("[server]\nlog_addresses = ON\n").log_addresses);
    assert_true(taken("[server]\nlog_addresses: true ; really\n").log_addresses);
    assert_false(taken("[server]\nlog_addresses = off\n").log_addresses);
    assert_string_equal(taken("[calls]\ncongestion_control = bbr\n").congestion_control, "bbr");
    assert_string_equal(taken("[calls]\ncongestion_control =\n").congestion_control, "");
}

/* Every key sets one field and no other: each is given the value 4096 or yes, which all take. */
static void every_key_sets_a_field_of_its_own(void **state)
{
    struct cn_config got[64], defaults;
    size_t count = 0;

    (void)state;
    cn_config_defaults(&defaults);
    for (; cn_config_key(count); count++) {
        static const char *const values[] = {
            "4096", "1", "60", "yes", "abc", "7", "a.sock", "json"
        };
        const char *dot = strchr(cn_config_key(count), '.');
        char text[128];
        size_t i = 0;

        for (; i < COUNT(values); i++) {
            snprintf(text, sizeof text, "[%.*s]\n%s = %s\n", (int)(dot - cn_config_key(count)),
                     cn_config_key(count), dot + 1, values[i]);
            if (parse(text, &got[count]) == CN_OK &&
                memcmp(&got[count], &defaults, sizeof defaults) != 0)
                break;
        }
        assert_true(i < COUNT(values));
        for (size_t other = 0; other < count; other++)
            assert_memory_not_equal(&got[other], &got[count], sizeof got[other]);
    }
    assert_int_equal(count, 31);
    assert_null(cn_config_key(count + 1));
}

static void metrics_are_for_this_machine_alone(void **state)
{
    static const char *const fine[] = { "127.0.0.1:1", "127.255.0.9:65535", "[::1]:9473",
                                        "m.sock" };
    static const char *const bad[] = {
        "0.0.0.0:9473", "10.0.0.1:9473",  "[::]:9473",    "[::2]:1",        "::1:9473",
        "*:9473",       "localhost:9473", "127.0.0.1",    "127.0.0.1:0",    "127.0.0.1:65536",
        "127.0.0.1:1x", "127.0.0.1:",     ":9473",        "9473",           "registry.db",
        ".sock",        "a/b.sock",       "../up.sock",   "/run/all.sock",  "[127.0.0.1]:1",
        "128.0.0.1:1",  "[]:1",           "127.0.0.1:+1", "127.0.0.1:0001",
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < COUNT(fine); i++) {
        snprintf(text, sizeof text, "[metrics]\nlisten = %s\n", fine[i]);
        assert_string_equal(taken(text).metrics_listen, fine[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[metrics]\nlisten = %s\n", bad[i]);
        assert_err(parse(text, &(struct cn_config) { 0 }), CN_E_FORMAT);
        assert_non_null(strstr(complaint, "must be 127.x.y.z:PORT, [::1]:PORT or NAME.sock"));
    }
}

/* --- limits classes -------------------------------------------------------------------------- */

static void a_class_has_what_it_sets_and_else_what_all_have(void **state)
{
    struct cn_config c = taken("[class.7]\nlines_per_subscriber = 5\n"
                               "[waiting]\ntags_per_subscriber = 77\n"
                               "[class.255]\ntags_per_subscriber = 6\nlists_per_subscriber = 3\n"
                               "[calls]\nrate_per_subscriber = 1000\n"
                               "[class.7]\nrate_per_subscriber = 0\n"
                               "lines_max_per_subscriber = 2048\n");
    static const struct {
        uint8_t class;
        struct cn_class_limits limits;
    } rows[] = {
        { 0, { 1024, 32, 77, 4, 1000 } },
        { 1, { 1024, 32, 77, 4, 1000 } },
        { 7, { 2048, 5, 77, 4, 0 } },
        { 255, { 1024, 32, 6, 3, 1000 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_class_limits got = cn_config_class(&c, rows[i].class);

        assert_int_equal(got.lines_max_per_subscriber, rows[i].limits.lines_max_per_subscriber);
        assert_int_equal(got.lines_per_subscriber, rows[i].limits.lines_per_subscriber);
        assert_int_equal(got.tags_per_subscriber, rows[i].limits.tags_per_subscriber);
        assert_int_equal(got.lists_per_subscriber, rows[i].limits.lists_per_subscriber);
        assert_int_equal(got.rate_per_subscriber, rows[i].limits.rate_per_subscriber);
    }
}

static void what_is_no_class_is_refused(void **state)
{
    static const char *const bad[] = {
        "0", "256", "00", "01", "-1", "+1", "1x", "", "1.2", "4294967297", "99999999999999999999"
    };
    char text[128], why[160];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[class.%s]\nlines_per_subscriber = 5\n", bad[i]);
        snprintf(why, sizeof why,
                 "line 2: [class.%s] lines_per_subscriber: limits classes are class.1 to class.255",
                 bad[i]);
        refused(text, why);
    }
}

static void what_a_class_cannot_set_is_refused(void **state)
{
    (void)state;
    refused("[class.1]\nkeep_alive = 5\n",
            "line 2: [class.1] keep_alive: no such key; cyphernetd.conf(5) lists them all");
    refused("[class]\nlines_per_subscriber = 5\n",
            "line 2: [class] lines_per_subscriber: no such key; cyphernetd.conf(5) lists them all");
    refused("[class.1]\nlines_per_subscriber = 0\n",
            "line 2: [class.1] lines_per_subscriber: must be a number from 1 to 1000000");
    refused("[class.1]\nlines_per_subscriber = 1\n[class.2]\nlines_per_subscriber = 1\n"
            "[class.1]\nlines_per_subscriber = 1\n",
            "line 6: [class.1] lines_per_subscriber: is set twice; remove one");
}

/* --- the manual ------------------------------------------------------------------------------ */

#define MANUAL "docs/man/cyphernetd.conf.5.scd" /* tests run in the root of the project */

static char manual[65536];

static int manual_read(void **state)
{
    FILE *file = fopen(MANUAL, "rb");
    size_t size = 0;

    (void)state;
    if (file) {
        size = fread(manual, 1, sizeof manual - 1, file);
        fclose(file);
    }
    manual[size] = '\0';
    return size > 0 && size < sizeof manual - 1 ? 0 : -1;
}

/* What [section] of the manual says under key; fails if it says nothing. */
static const char *manual_entry(const char *section, size_t section_size, const char *key)
{
    char heading[64] = "\n# ", entry[64];
    const char *at, *end, *found;

    for (size_t i = 0; i < section_size; i++)
        heading[3 + i] = (char)(section[i] - 'a' + 'A');
    snprintf(entry, sizeof entry, "\n*%s*\n\t", key);
    at = strstr(manual, heading);
    if (!at)
        fail_msg("the manual has no section%s", heading + 2);
    end = strstr(at + 1, "\n# ");
    found = strstr(at, entry);
    if (!found || !end || found > end)
        fail_msg("the manual's section%s has no %s", heading + 2, key);
    return found + strlen(entry);
}

/* "[section]\nkey = value\n" for a key "section.key". */
static const char *setting(const char *name, const char *value)
{
    static char text[256];
    const char *dot = strchr(name, '.');

    snprintf(text, sizeof text, "[%.*s]\n%s = %s\n", (int)(dot - name), name, dot + 1, value);
    return text;
}

static enum cn_err set_number(const char *name, unsigned long long value)
{
    struct cn_config config;
    char digits[32];

    snprintf(digits, sizeof digits, "%llu", value);
    return parse(setting(name, digits), &config);
}

static void is_the_default(const char *name, const char *value)
{
    struct cn_config defaults, got = taken(setting(name, value));

    cn_config_defaults(&defaults);
    if (memcmp(&got, &defaults, sizeof got) != 0)
        fail_msg("the manual says that the default of %s is %s", name, value);
}

static void the_manual_tells_default_and_bounds_of_every_key(void **state)
{
    const char *name;

    (void)state;
    for (size_t i = 0; (name = cn_config_key(i)); i++) {
        const char *dot = strchr(name, '.');
        const char *said = manual_entry(name, (size_t)(dot - name), dot + 1);
        unsigned long long min, max;
        char preset[32];

        if (sscanf(said, "%*[^,.;], %llu to %llu; default %31[0-9]", &min, &max, preset) == 3) {
            is_the_default(name, preset);
            assert_err(set_number(name, min), CN_OK);
            assert_err(set_number(name, max), CN_OK);
            assert_err(set_number(name, min - 1), CN_E_FORMAT); /* below 0: beyond all bounds */
            assert_err(set_number(name, max + 1), CN_E_FORMAT);
        } else if (sscanf(said, "Truth value; default *%31[a-z]*", preset) == 1) {
            is_the_default(name, preset);
        } else if (strncmp(said, "A word of at most 31 characters", 31) == 0) {
            assert_non_null(strstr(said, "; default: none"));
            is_the_default(name, "");
            taken(setting(name, "abcdefghijklmnopqrstuvwxyz01234"));
            assert_err(
                parse(setting(name, "abcdefghijklmnopqrstuvwxyz012345"), &(struct cn_config) { 0 }),
                CN_E_FORMAT);
        } else if (sscanf(said, "One of *text* and *json*; default *%31[a-z]*", preset) == 1) {
            is_the_default(name, preset);
            assert_true(taken(setting(name, "json")).log_json);
            assert_err(parse(setting(name, "JSON"), &(struct cn_config) { 0 }), CN_E_FORMAT);
        } else if (strncmp(said, "A loopback address", 18) == 0) {
            assert_non_null(strstr(said, "; default: none"));
            is_the_default(name, "");
        } else {
            fail_msg("the manual does not tell what %s may be: %.60s", name, said);
        }
    }
}

/* A value other than it began with. */
static bool restarts(size_t i, unsigned long long value)
{
    struct cn_config started, wanted;
    char digits[32];

    cn_config_defaults(&started);
    snprintf(digits, sizeof digits, "%llu", value);
    wanted = taken(setting(cn_config_key(i), digits));
    return cn_config_needs_restart(i, &started, &wanted);
}

static void the_manual_tells_which_keys_take_a_restart(void **state)
{
    unsigned fixed = 0;
    const char *name;

    (void)state;
    for (size_t i = 0; (name = cn_config_key(i)); i++) {
        const char *dot = strchr(name, '.');
        const char *said = manual_entry(name, (size_t)(dot - name), dot + 1);
        const char *next = strstr(said, "\n\n");
        const char *word = strstr(said, "Fixed");
        unsigned long long min, max, preset;
        bool upwards;

        if (sscanf(said, "%*[^,.;], %llu to %llu; default %llu", &min, &max, &preset) != 3)
            continue;
        if (word && next && word > next)
            word = NULL;
        upwards = word && strncmp(word + strlen("Fixed"), ".", 1) != 0;
        assert_false(restarts(i, preset));
        if (restarts(i, max) != (word != NULL) ||
            (preset > min && restarts(i, min) != (word && !upwards)))
            fail_msg("the manual does not tell whether %s takes a restart", name);
        fixed += word != NULL;
    }
    assert_int_equal(fixed, 7);
}

static void the_manual_tells_of_no_key_that_is_not_there(void **state)
{
    size_t entries = 0, keys = 0;

    (void)state;
    for (const char *at = manual; (at = strstr(at, "*\n\t")); at++)
        entries++;
    while (cn_config_key(keys))
        keys++;
    assert_int_equal(entries, keys);
}

/* --- the file -------------------------------------------------------------------------------- */

static char path[] = "/tmp/test_config.XXXXXX";

static int begin(void **state)
{
    int fd;

    (void)state;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
    (void)state;
    return unlink(path);
}

static enum cn_err read_these(const void *octets, size_t size, struct cn_config *config)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(octets, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return cn_config_read(config, path, complaint);
}

static void a_file_that_is_none_is_told(void **state)
{
    static char big[65537];
    struct cn_config config;

    (void)state;
    assert_err(cn_config_read(&config, "/nowhere/at/all", complaint), CN_E_ABSENT);
    assert_err(cn_config_read(&config, "/", complaint), CN_E_FORMAT);
    assert_string_equal(complaint, "not a regular file");
    assert_err(read_these("[server]\n\0port", 14, &config), CN_E_FORMAT);
    assert_string_equal(complaint, "not a configuration file: it holds a NUL octet");
    memset(big, '\n', sizeof big);
    assert_err(read_these(big, sizeof big, &config), CN_E_FORMAT);
    assert_string_equal(complaint, "not a configuration file: over 64 KiB");
    assert_err(read_these(big, sizeof big - 1, &config), CN_OK);
}

/* Nor is its writer waited for. */
static void a_pipe_is_no_configuration_file(void **state)
{
    struct cn_config config;

    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_err(cn_config_read(&config, path, complaint), CN_E_FORMAT);
    alarm(0);
    assert_string_equal(complaint, "not a regular file");
}

static void a_file_cut_anywhere_is_read_or_refused(void **state)
{
    static const char text[] = "[admission]\nhello_timeout = 9\n[server]\nlog_addresses = yes\n";
    struct cn_config config;

    (void)state;
    for (size_t size = 0; size < sizeof text; size++) {
        enum cn_err err = read_these(text, size, &config);

        assert_true(err == CN_OK || (err == CN_E_FORMAT && complaint[0]));
    }
    assert_true(config.log_addresses);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys_are_refused),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(words_that_are_none_are_refused),
        cmocka_unit_test(a_key_twice_is_refused),
        cmocka_unit_test(a_line_that_is_nothing_is_refused),
        cmocka_unit_test(the_first_of_several_errors_is_told),
        cmocka_unit_test(a_continued_line_is_refused),
        cmocka_unit_test(a_long_line_is_refused_whatever_it_says),
        cmocka_unit_test(what_is_shown_of_a_file_is_harmless),
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(bounds_are_inside),
        cmocka_unit_test(answers_have_three_spellings),
        cmocka_unit_test(a_class_has_what_it_sets_and_else_what_all_have),
        cmocka_unit_test(what_is_no_class_is_refused),
        cmocka_unit_test(what_a_class_cannot_set_is_refused),
        cmocka_unit_test(every_key_sets_a_field_of_its_own),
        cmocka_unit_test(metrics_are_for_this_machine_alone),
        cmocka_unit_test_setup(the_manual_tells_default_and_bounds_of_every_key, manual_read),
        cmocka_unit_test_setup(the_manual_tells_which_keys_take_a_restart, manual_read),
        cmocka_unit_test_setup(the_manual_tells_of_no_key_that_is_not_there, manual_read),
        FILE_TEST(a_file_that_is_none_is_told),
        FILE_TEST(a_pipe_is_no_configuration_file),
        FILE_TEST(a_file_cut_anywhere_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
