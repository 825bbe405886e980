/* Pipes that are lent: never more than may be, and never one that holds something. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipes.h"

enum { MAX = 3 };

static struct cn_pipes pipes;

static int begin(void **state)
{
    (void)state;
    return cn_pipes_init(&pipes, MAX) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    cn_pipes_wipe(&pipes);
    return 0;
}

static struct cn_pipe lent(void)
{
    struct cn_pipe p;

    assert_true(cn_pipes_lend(&pipes, &p));
    return p;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void no_more_are_lent_than_there_may_be(void **state)
{
    struct cn_pipe p[MAX], none;

    (void)state;
    for (int i = 0; i < MAX; i++)
        p[i] = lent();
    assert_false(cn_pipes_lend(&pipes, &none));
    assert_int_equal(none.fd[0], -1);
    assert_int_equal(none.fd[1], -1);
    cn_pipes_give(&pipes, &none, true); /* which is nothing */
    assert_int_equal(pipes.count, MAX);
    for (int i = 0; i < MAX; i++)
        cn_pipes_give(&pipes, &p[i], true);
    assert_int_equal(pipes.count, MAX); /* idle */
}

static void of_none_there_is_none_to_be_had(void **state)
{
    struct cn_pipes no;
    struct cn_pipe p;

    (void)state;
    assert_err(cn_pipes_init(&no, 0), CN_OK);
    assert_false(cn_pipes_lend(&no, &p));
    cn_pipes_wipe(&no);
    cn_pipes_wipe(&no);
    cn_pipes_wipe(NULL);
}

static void one_that_holds_something_is_never_lent_again(void **state)
{
    struct cn_pipe p = lent();
    int fd[2] = { p.fd[0], p.fd[1] };
    char octet;

    (void)state;
    assert_int_equal(write(p.fd[1], "x", 1), 1);
    cn_pipes_give(&pipes, &p, false);
    assert_int_equal(p.fd[0], -1);
    assert_false(is_open(fd[0]));
    assert_false(is_open(fd[1]));
    assert_int_equal(pipes.count, 0);
    p = lent();
    assert_int_equal(read(p.fd[0], &octet, 1), -1);
    assert_int_equal(errno, EAGAIN);
    cn_pipes_give(&pipes, &p, true);
}

static void an_empty_one_is_lent_again(void **state)
{
    struct cn_pipe p = lent();
    int fd = p.fd[0];

    (void)state;
    assert_true(p.size >= 4096);
    cn_pipes_give(&pipes, &p, true);
    p = lent();
    assert_int_equal(p.fd[0], fd);
    assert_int_equal(pipes.count, 1);
    cn_pipes_give(&pipes, &p, true);
}

/* At the second look: at the first nobody knows how long it has been idle. */
static void one_that_is_not_needed_is_closed(void **state)
{
    struct cn_pipe p = lent(), q = lent();
    int fd = q.fd[0];

    (void)state;
    assert_true(cn_pipes_trim(&pipes));
    cn_pipes_give(&pipes, &p, true);
    cn_pipes_give(&pipes, &q, true);
    assert_true(cn_pipes_trim(&pipes));
    assert_int_equal(pipes.count, 2);
    q = lent();
    assert_int_equal(q.fd[0], fd);
    cn_pipes_give(&pipes, &q, true);
    assert_true(cn_pipes_trim(&pipes)); /* one was, however shortly */
    assert_int_equal(pipes.count, 1);
    assert_false(cn_pipes_trim(&pipes));
    assert_int_equal(pipes.count, 0);
    assert_false(is_open(fd));
    assert_false(cn_pipes_trim(&pipes));
}

/* Asking for what the system refuses takes as long as getting it. */
static void what_was_refused_is_not_asked_for_again_at_once(void **state)
{
    struct rlimit old, few;
    struct cn_pipe p;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit) { 0, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_false(cn_pipes_lend(&pipes, &p));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_false(cn_pipes_lend(&pipes, &p));
    assert_false(cn_pipes_trim(&pipes));
    p = lent();
    cn_pipes_give(&pipes, &p, true);
}

static void one_that_has_grown_stays_so(void **state)
{
    struct cn_pipe p = lent();

    (void)state;
    assert_int_equal(p.size, 256 * 1024);
    cn_pipes_grow(&p);
    assert_int_equal(p.size, 1024 * 1024);
    assert_int_equal(fcntl(p.fd[0], F_GETPIPE_SZ), 1024 * 1024);
    cn_pipes_give(&pipes, &p, true);
    p = lent();
    assert_int_equal(p.size, 1024 * 1024);
    cn_pipes_grow(&p);
    assert_int_equal(p.size, 1024 * 1024);
    cn_pipes_give(&pipes, &p, true);
}

/* Who is not root gets 64 MiB of pipes, and then none that is worth it. As a child: its exit code.
 */
static int with_many_pipes(void)
{
    enum { MANY = 80 };
    struct cn_pipes many;
    struct cn_pipe p[MANY];
    unsigned count = 0;

    if ((geteuid() == 0 && setuid(65534) != 0) || cn_pipes_init(&many, MANY) != CN_OK)
        return 2;
    for (int i = 0; i < MANY; i++) {
        if (!cn_pipes_lend(&many, &p[i]))
            continue;
        cn_pipes_grow(&p[i]);
        if (p[i].size != (uint32_t)fcntl(p[i].fd[1], F_GETPIPE_SZ) || p[i].size < 65536)
            return 4;
        count++;
    }
    return count > 32 && count <= 64 + 1 && many.count == count ? 0 : 5;
}

static void small_ones_are_not_lent(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        _exit(with_many_pipes());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void fewer_from_now_on_are_fewer_when_they_come_back(void **state)
{
    struct cn_pipe p[MAX], none;

    (void)state;
    for (int i = 0; i < MAX; i++)
        p[i] = lent();
    pipes.count_max = 1;
    assert_false(cn_pipes_lend(&pipes, &none));
    for (int i = 0; i < MAX; i++)
        cn_pipes_give(&pipes, &p[i], true);
    assert_int_equal(pipes.count, 1);
    p[0] = lent();
    assert_false(cn_pipes_lend(&pipes, &none));
    cn_pipes_give(&pipes, &p[0], true);
}

static void idle_ones_are_closed_in_the_end(void **state)
{
    struct cn_pipe p = lent();
    int fd[2] = { p.fd[0], p.fd[1] };

    (void)state;
    cn_pipes_give(&pipes, &p, true);
    assert_true(is_open(fd[0]));
    cn_pipes_wipe(&pipes);
    assert_false(is_open(fd[0]));
    assert_false(is_open(fd[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(no_more_are_lent_than_there_may_be),
        TEST(of_none_there_is_none_to_be_had),
        TEST(one_that_holds_something_is_never_lent_again),
        TEST(an_empty_one_is_lent_again),
        TEST(one_that_is_not_needed_is_closed),
        TEST(what_was_refused_is_not_asked_for_again_at_once),
        TEST(one_that_has_grown_stays_so),
        TEST(small_ones_are_not_lent),
        TEST(fewer_from_now_on_are_fewer_when_they_come_back),
        TEST(idle_ones_are_closed_in_the_end),
    };

    return cmocka_run_group_tests_name("pipes", tests, crypto_setup, crypto_teardown);
}
