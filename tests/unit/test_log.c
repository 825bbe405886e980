/* The log: a line that is read, and nobody who waits for one that is not. */
#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static int standard_error = -1;
static int reader = -1;

/* Standard error is one end of this from now on. */
static void log_to(const int ends[2])
{
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static int begin(void **state)
{
    (void)state;
    standard_error = dup(STDERR_FILENO);
    alarm(60); /* for a log that waits for its reader */
    return standard_error < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    alarm(0);
    close(reader);
    if (dup2(standard_error, STDERR_FILENO) < 0)
        return -1;
    close(standard_error);
    return 0;
}

/* All that is there to be read. */
static char *said(void)
{
    static char all[1 << 20];
    size_t have = 0;
    ssize_t got;

    while ((got = read(reader, all + have, sizeof all - 1 - have)) > 0)
        have += (size_t)got;
    all[have] = '\0';
    return all;
}

static void a_pipe(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    log_to(ends);
}

static void nothing_that_was_quoted_drives_a_terminal(void **state)
{
    (void)state;
    a_pipe();
    cn_log("odd", "text=\"%s\"", "a\033[1m\n\177b");
    assert_string_equal(said(), "cyphernetd: event=odd text=\"a?[1m??b\"\n");
}

static void a_line_that_is_too_long_is_cut_and_ended(void **state)
{
    static char text[5000];

    (void)state;
    a_pipe();
    memset(text, 'a', sizeof text - 1);
    cn_log("long", "%s", text);
    assert_in_range(strlen(said()), 1000, 1100);
    cn_log("next", NULL);
    assert_string_equal(said(), "cyphernetd: event=next\n");
}

/* Returns how many lines came before nothing more was taken. */
static unsigned nobody_reads(void)
{
    const unsigned lines = 20000;
    unsigned came = 0;
    char want[64];
    char *at;

    for (unsigned i = 0; i < lines; i++)
        cn_log("count", "i=%u", i);
    at = said();
    for (; *at; at += strlen(want)) { /* whole lines, and none left out in between */
        snprintf(want, sizeof want, "cyphernetd: event=count i=%u\n", came);
        if (strncmp(at, want, strlen(want)) != 0)
            fail_msg("%.80s", at);
        came++;
    }
    assert_in_range(came, 1, lines - 1);
    return lines - came;
}

static void what_nobody_reads_is_lost_counted_and_waited_for_by_nobody(void **state)
{
    char want[128];
    unsigned lost;

    (void)state;
    a_pipe();
    lost = nobody_reads();
    cn_log("again", NULL);
    snprintf(want, sizeof want, "cyphernetd: event=log_lost lines=%u\ncyphernetd: event=again\n",
             lost);
    assert_string_equal(said(), want);
    cn_log("once", NULL); /* it is told once */
    assert_string_equal(said(), "cyphernetd: event=once\n");
}

/* As a service manager gives one. */
static void a_socket_that_nobody_reads_is_no_hindrance_either(void **state)
{
    char want[128];
    int ends[2];
    unsigned lost;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    log_to(ends);
    lost = nobody_reads();
    cn_log("again", NULL);
    snprintf(want, sizeof want, "cyphernetd: event=log_lost lines=%u\ncyphernetd: event=again\n",
             lost);
    assert_string_equal(said(), want);
}

static void a_line_of_json_has_numbers_and_words(void **state)
{
    (void)state;
    a_pipe();
    cn_log_style_set(CN_LOG_JSON);
    cn_log("bare", NULL);
    cn_log("ended", "outcome=done bytes=%d,%d zero=0 serial=%s n=7", 1, 2, "2670520222615522745");
    cn_log("odd", "text=\"%s\" after=1 empty= octal=010", "a \"b\" \\ c\n\xff");
    assert_string_equal(
        said(), "{\"v\":1,\"event\":\"bare\"}\n"
                "{\"v\":1,\"event\":\"ended\",\"outcome\":\"done\",\"bytes\":\"1,2\",\"zero\":0,"
                "\"serial\":\"2670520222615522745\",\"n\":7}\n"
                "{\"v\":1,\"event\":\"odd\",\"text\":\"a \\\"b\\\" \\\\ c??\",\"after\":1,"
                "\"empty\":\"\",\"octal\":\"010\"}\n");
    cn_log_style_set(0);
}

static void a_line_of_json_that_is_too_long_is_still_one(void **state)
{
    static char text[5000];
    char *line;

    (void)state;
    a_pipe();
    cn_log_style_set(CN_LOG_JSON);
    memset(text, '"', sizeof text - 1);
    cn_log("long", "text=%s", text);
    line = said();
    assert_in_range(strlen(line), 1000, 2200);
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
    cn_log_style_set(0);
}

static void the_journal_hears_of_priorities(void **state)
{
    (void)state;
    a_pipe();
    cn_log_style_set(CN_LOG_JOURNAL);
    cn_log_level_set(CN_LOG_DETAILS);
    cn_log_at(CN_LOG_FAILURES, "bad", NULL);
    cn_log("warning", "text=\"w\"");
    cn_log("event", NULL);
    cn_log_at(CN_LOG_DETAILS, "detail", NULL);
    cn_log_style_set(CN_LOG_JOURNAL | CN_LOG_JSON);
    cn_log("both", NULL);
    assert_string_equal(said(),
                        "<3>cyphernetd: event=bad\n<4>cyphernetd: event=warning text=\"w\"\n"
                        "<6>cyphernetd: event=event\n<7>cyphernetd: event=detail\n"
                        "<6>{\"v\":1,\"event\":\"both\"}\n");
    cn_log_style_set(0);
    cn_log_level_set(CN_LOG_EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(nothing_that_was_quoted_drives_a_terminal),
        TEST(a_line_that_is_too_long_is_cut_and_ended),
        TEST(what_nobody_reads_is_lost_counted_and_waited_for_by_nobody),
        TEST(a_socket_that_nobody_reads_is_no_hindrance_either),
        TEST(a_line_of_json_has_numbers_and_words),
        TEST(a_line_of_json_that_is_too_long_is_still_one),
        TEST(the_journal_hears_of_priorities),
    };

    return cmocka_run_group_tests_name("log", tests, crypto_setup, crypto_teardown);
}
