/* What a service manager says through the environment, and what it is told. */
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

static struct cn_notify notify;
static char path[64];
static int manager = -1;

static const char *const variables[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                         "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES" };

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
    notify = (struct cn_notify) { 0 };
    snprintf(path, sizeof path, "/tmp/cn-notify-%d", (int)getpid());
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (manager >= 0)
        close(manager);
    manager = -1;
    unlink(path);
    return 0;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void set_pid(const char *name, int pid)
{
    char text[16];

    snprintf(text, sizeof text, "%d", pid);
    set(name, text);
}

/* The manager's end, at this path or abstract name. */
static void listen_at(const char *where)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t size = strlen(where);

    memcpy(at.sun_path, where, size);
    if (where[0] == '@')
        at.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (const struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    set("NOTIFY_SOCKET", where);
}

static const char *heard(void)
{
    static char text[1024];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void without_a_manager_nothing_is_said(void **state)
{
    (void)state;
    assert_err(cn_notify_take(&notify), CN_OK);
    assert_string_equal(notify.path, "");
    assert_int_equal(notify.watchdog_us, 0);
    assert_int_equal(notify.socket_count, 0);
    cn_notify_say(&notify, "READY=1");
    assert_true(cn_notify_give(&notify));
    assert_null(getenv("NOTIFY_SOCKET"));
}

static void what_no_manager_says_is_refused_and_forgotten(void **state)
{
    static const char *const bad[][2] = {
        { "NOTIFY_SOCKET", "relative" },
        { "WATCHDOG_USEC", "" },
        { "WATCHDOG_USEC", "-1" },
        { "WATCHDOG_USEC", "1s" },
        { "WATCHDOG_PID", "me" },
        { "LISTEN_FDS", "x" },
        { "LISTEN_FDS", "1 " },
        { "LISTEN_PID", "99999999999999999999" },
        { "NOTIFY_SOCKET", "/a23456789/123456789/123456789/123456789/123456789/123456789/123456789/"
                           "123456789/123456789/123456789/1234567" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        set(bad[i][0], bad[i][1]);
        assert_err(cn_notify_take(&notify), CN_E_FORMAT);
        assert_null(getenv(bad[i][0]));
        assert_string_equal(notify.path, "");
    }
}

static void more_sockets_than_there_is_room_for_are_refused(void **state)
{
    char count[16];

    (void)state;
    snprintf(count, sizeof count, "%d", CN_NOTIFY_SOCKETS_MAX + 1);
    set_pid("LISTEN_PID", getpid());
    set("LISTEN_FDS", count);
    assert_err(cn_notify_take(&notify), CN_E_FORMAT);
    assert_int_equal(notify.socket_count, 0);
}

static void what_is_another_process_s_is_left_alone(void **state)
{
    (void)state;
    set_pid("LISTEN_PID", getpid() + 1);
    set("LISTEN_FDS", "2");
    set_pid("WATCHDOG_PID", getpid() + 1);
    set("WATCHDOG_USEC", "1000000");
    assert_err(cn_notify_take(&notify), CN_OK);
    assert_int_equal(notify.socket_count, 0);
    assert_int_equal(notify.watchdog_us, 0);
    assert_null(getenv("LISTEN_FDS"));
}

static void what_is_said_arrives(const char *where)
{
    listen_at(where);
    assert_err(cn_notify_take(&notify), CN_OK);
    assert_null(getenv("NOTIFY_SOCKET"));
    cn_notify_say(&notify, "READY=1\nSTATUS=%d calls", 5);
    assert_string_equal(heard(), "READY=1\nSTATUS=5 calls");
    cn_notify_say(&notify, "STATUS=%0600d", 1); /* longer than anything of ours: not half of it */
    assert_string_equal(heard(), "");
}

static void a_manager_at_a_path_is_told(void **state)
{
    (void)state;
    what_is_said_arrives(path);
}

static void a_manager_with_an_abstract_name_is_told(void **state)
{
    (void)state;
    path[0] = '@';
    what_is_said_arrives(path);
}

static void reloading_tells_the_time(void **state)
{
    uint64_t us = 0;

    (void)state;
    listen_at(path);
    assert_err(cn_notify_take(&notify), CN_OK);
    cn_notify_reloading(&notify);
    assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "\nSTATUS=", &us), 1);
    assert_true(us > 0);
}

static void a_manager_that_does_not_read_hinders_nobody_for_long(void **state)
{
    (void)state;
    alarm(60);
    listen_at(path);
    assert_err(cn_notify_take(&notify), CN_OK);
    for (int i = 0; i < 20; i++) /* more than a socket keeps */
        cn_notify_say(&notify, "WATCHDOG=1");
    assert_string_equal(heard(), "WATCHDOG=1");
    alarm(0);
}

static void the_program_that_takes_our_place_finds_it_again(void **state)
{
    struct cn_notify again = { 0 };

    (void)state;
    listen_at(path);
    set("WATCHDOG_USEC", "60000000");
    set_pid("WATCHDOG_PID", getpid());
    assert_err(cn_notify_take(&notify), CN_OK);
    assert_true(cn_notify_give(&notify));
    assert_err(cn_notify_take(&again), CN_OK);
    assert_string_equal(again.path, path);
    assert_int_equal(again.watchdog_us, 60000000);
}

/* Descriptors 3 and 4 become these; who uses them already is put back. */
static void given(int first, int second)
{
    int saved[2] = { fcntl(3, F_DUPFD_CLOEXEC, 10), fcntl(4, F_DUPFD_CLOEXEC, 10) };

    first = fcntl(first, F_DUPFD_CLOEXEC, 10);
    second = fcntl(second, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(first, 3), 3);
    assert_int_equal(dup2(second, 4), 4);
    set_pid("LISTEN_PID", getpid());
    set("LISTEN_FDS", "2");
    assert_err(cn_notify_take(&notify), CN_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(3 + i, F_GETFD), FD_CLOEXEC);
        if (saved[i] >= 0)
            dup2(saved[i], 3 + i);
        else
            close(3 + i);
    }
    close(first);
    close(second);
}

static void sockets_come_with_their_names(void **state)
{
    int any = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    set("LISTEN_FDNAMES", "one:metrics");
    given(any, any);
    assert_int_equal(notify.socket_count, 2);
    assert_int_equal(notify.socket[0].fd, 3);
    assert_int_equal(notify.socket[1].fd, 4);
    assert_string_equal(notify.socket[0].name, "one");
    assert_string_equal(notify.socket[1].name, "metrics");
    set("LISTEN_FDNAMES", "alone");
    given(any, any);
    assert_string_equal(notify.socket[0].name, "alone");
    assert_string_equal(notify.socket[1].name, "");
    close(any);
}

static void only_a_stream_that_listens_will_do(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_false(cn_notify_listens(-1, false));
    assert_false(cn_notify_listens(STDIN_FILENO, false));
    assert_false(cn_notify_listens(udp, false));
    assert_false(cn_notify_listens(tcp, false));
    assert_int_equal(bind(tcp, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(tcp, 1), 0);
    assert_true(cn_notify_listens(tcp, false));
    assert_false(cn_notify_listens(tcp, true));
    assert_int_equal(
        bind(local, (struct sockaddr *)&(sa_family_t) { AF_UNIX }, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(local, 1), 0);
    assert_true(cn_notify_listens(local, true));
    assert_false(cn_notify_listens(local, false));
    close(tcp);
    close(udp);
    close(local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(without_a_manager_nothing_is_said),
        TEST(what_no_manager_says_is_refused_and_forgotten),
        TEST(more_sockets_than_there_is_room_for_are_refused),
        TEST(what_is_another_process_s_is_left_alone),
        TEST(a_manager_at_a_path_is_told),
        TEST(a_manager_with_an_abstract_name_is_told),
        TEST(reloading_tells_the_time),
        TEST(a_manager_that_does_not_read_hinders_nobody_for_long),
        TEST(the_program_that_takes_our_place_finds_it_again),
        TEST(sockets_come_with_their_names),
        TEST(only_a_stream_that_listens_will_do),
    };

    return cmocka_run_group_tests_name("notify", tests, crypto_setup, crypto_teardown);
}
