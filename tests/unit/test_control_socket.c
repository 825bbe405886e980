/* DIR/control: who asks gets one answer, who does not gets none, and has his place until another
 * needs it.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "control_socket.h"

enum { PLACES = 8, TIMERS = 16 };

static struct cn_loop loop;
static struct cn_control *control;
static char dir[64];
static int home = -1; /* the directory that the tests run in */
static uint64_t clock_now_ms;
static unsigned answered;
static uint64_t waiting[4 * PLACES]; /* for their answers */
static size_t waiting_count;
static bool epoll_is_full;

int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (epoll_is_full && operation == EPOLL_CTL_ADD) {
        errno = ENOSPC;
        return -1;
    }
    return __real_epoll_ctl(epoll, operation, fd, event);
}

static uint64_t false_clock(void)
{
    return clock_now_ms;
}

/* But "later". */
static bool answer(void *context, uint64_t asker, const char *request, char *reply, size_t size)
{
    assert_ptr_equal(context, &loop);
    if (strcmp(request, "later\n") == 0) {
        waiting[waiting_count++] = asker;
        return false;
    }
    answered++;
    snprintf(reply, size, "you said %s", request);
    reply[strcspn(reply, "\n")] = '\0';
    return true;
}

static int begin(void **state)
{
    (void)state;
    answered = 0;
    waiting_count = 0;
    epoll_is_full = false;
    clock_now_ms = 1000;
    strcpy(dir, "/tmp/test_control.XXXXXX");
    home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (home < 0 || !mkdtemp(dir) || chdir(dir) != 0 || cn_loop_init(&loop, TIMERS) != CN_OK)
        return -1;
    loop.clock_ms = false_clock;
    loop.now_ms = clock_now_ms;
    return cn_control_open(&control, &loop, -1, answer, &loop) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    int failed;

    (void)state;
    cn_control_close(control);
    cn_loop_wipe(&loop);
    failed = access(CN_CONTROL_SOCKET, F_OK) == 0 || fchdir(home) != 0 || rmdir(dir) != 0;
    close(home);
    return failed;
}

static void turns(void)
{
    for (int i = 0; i < 4; i++)
        assert_err(cn_loop_turn(&loop, false), CN_OK);
}

static int asker(void)
{
    const struct sockaddr_un address = { AF_UNIX, CN_CONTROL_SOCKET };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    turns();
    return fd;
}

static void say(int fd, const char *words)
{
    assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
    turns();
}

static void hears(int fd, const char *words)
{
    char in[256];
    ssize_t got = recv(fd, in, sizeof in, 0);

    assert_int_equal(got, strlen(words));
    assert_memory_equal(in, words, (size_t)got);
    assert_int_equal(recv(fd, in, 1, 0), 0); /* and no more */
    close(fd);
}

static void was_closed(int fd)
{
    char in;

    assert_int_equal(recv(fd, &in, 1, 0), 0);
    close(fd);
}

static bool is_silent(int fd)
{
    char in;

    return recv(fd, &in, 1, 0) < 0 && errno == EAGAIN;
}

static void who_says_nothing_is_closed_in_time(void **state)
{
    int fd = asker();

    (void)state;
    clock_now_ms += CN_CONTROL_TIMEOUT_MS - 1;
    turns();
    assert_true(is_silent(fd));
    clock_now_ms++;
    turns();
    was_closed(fd);
    assert_int_equal(answered, 0);
}

static void who_goes_in_the_middle_gets_no_answer(void **state)
{
    int fd = asker();

    (void)state;
    say(fd, "stat");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turns();
    was_closed(fd);
    assert_int_equal(answered, 0);
}

static void a_request_without_an_end_is_cut_at_its_limit(void **state)
{
    char words[CN_CONTROL_REQUEST_SIZE_MAX];
    char expected[128];
    int fd = asker();

    (void)state;
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    snprintf(expected, sizeof expected, "you said %s\n", words);
    say(fd, words);
    hears(fd, expected);
}

static void who_says_nothing_for_the_longest_gives_way_and_the_rest_stay(void **state)
{
    int fd[PLACES];
    int one_more;

    (void)state;
    for (int i = 0; i < PLACES; i++) {
        fd[i] = asker();
        clock_now_ms++;
    }
    say(fd[0], "hello\n");
    hears(fd[0], "you said hello\n");
    fd[0] = asker(); /* the last to come, in the first place */
    one_more = asker();
    was_closed(fd[1]);
    say(one_more, "me too\n");
    hears(one_more, "you said me too\n");
    for (int i = 0; i < PLACES; i++) {
        if (i == 1)
            continue;
        say(fd[i], "well\n");
        hears(fd[i], "you said well\n");
    }
}

static void one_that_cannot_be_waited_for_takes_no_place(void **state)
{
    int fd;

    (void)state;
    epoll_is_full = true;
    for (int i = 0; i < 2 * PLACES; i++)
        was_closed(asker());
    epoll_is_full = false;
    fd = asker();
    say(fd, "hello\n");
    hears(fd, "you said hello\n");
}

static void a_request_in_pieces_is_one_request(void **state)
{
    int fd = asker();

    (void)state;
    say(fd, "he");
    say(fd, "llo");
    assert_true(is_silent(fd));
    say(fd, "\n");
    hears(fd, "you said hello\n");
    assert_int_equal(answered, 1);
}

static void several_at_once_are_all_answered(void **state)
{
    const struct sockaddr_un address = { AF_UNIX, CN_CONTROL_SOCKET };
    int fd[PLACES + 1]; /* and one more than there are places */

    (void)state;
    for (int i = 0; i <= PLACES; i++) { /* they all come in one turn */
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd[i], (const struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(send(fd[i], "hello\n", 6, MSG_NOSIGNAL), 6);
    }
    turns();
    for (int i = 0; i <= PLACES; i++)
        hears(fd[i], "you said hello\n");
}

/* The server is busy: others wait outside, and come in as these go. */
static void who_waits_for_his_answer_gives_way_to_nobody(void **state)
{
    int fd[3 * PLACES];

    (void)state;
    for (int i = 0; i < 3 * PLACES; i++) {
        fd[i] = asker();
        say(fd[i], "later\n");
        clock_now_ms++;
    }
    assert_int_equal(waiting_count, PLACES);
    for (int i = 0; i < 3 * PLACES; i++) {
        assert_in_range(i, 0, waiting_count - 1);
        assert_true(is_silent(fd[i]));
        cn_control_reply(control, waiting[i], "done");
        turns();
        hears(fd[i], "done\n");
    }
}

static void who_says_nothing_gives_way_among_those_who_wait(void **state)
{
    int fd[PLACES], silent = asker(), one_more;

    (void)state;
    for (int i = 1; i < PLACES; i++) {
        clock_now_ms++;
        fd[i] = asker();
        say(fd[i], "later\n");
    }
    one_more = asker();
    was_closed(silent);
    say(one_more, "hello\n");
    hears(one_more, "you said hello\n");
    for (int i = 1; i < PLACES; i++) {
        assert_true(is_silent(fd[i]));
        cn_control_reply(control, waiting[i - 1], "done");
        hears(fd[i], "done\n");
    }
}

static void nobody_else_may_ask(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(CN_CONTROL_SOCKET, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(who_says_nothing_is_closed_in_time),
        TEST(who_goes_in_the_middle_gets_no_answer),
        TEST(a_request_without_an_end_is_cut_at_its_limit),
        TEST(who_says_nothing_for_the_longest_gives_way_and_the_rest_stay),
        TEST(one_that_cannot_be_waited_for_takes_no_place),
        TEST(a_request_in_pieces_is_one_request),
        TEST(several_at_once_are_all_answered),
        TEST(who_waits_for_his_answer_gives_way_to_nobody),
        TEST(who_says_nothing_gives_way_among_those_who_wait),
        TEST(nobody_else_may_ask),
    };

    return cmocka_run_group_tests_name("control_socket", tests, crypto_setup, crypto_teardown);
}
