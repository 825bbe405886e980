/* Connections to the server: its addresses one after the other, without waiting. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"

static struct cn_home home;
static struct cn_fingerprint fingerprint;
static struct cn_connect connection = CN_CONNECT_NONE;

/* A socket of 127.0.0.1 on a port of its own, listening or merely bound; its address is added. */
static int local_add(bool listens)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    assert_true(!listens || listen(fd, 8) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(fingerprint.address[fingerprint.address_count++], CN_ADDRESS_SIZE_MAX, "127.0.0.1:%u",
             ntohs(a.sin_port));
    return fd;
}

static void name_add(const char *address)
{
    snprintf(fingerprint.address[fingerprint.address_count++], CN_ADDRESS_SIZE_MAX, "%s", address);
}

static enum cn_err connect_all(uint64_t now_ms)
{
    enum cn_err err =
        cn_connect_start(&connection, &home, &fingerprint, 0, fingerprint.address_count, now_ms);

    while (err == CN_E_MORE) {
        struct pollfd p = { connection.socket, POLLOUT, 0 };

        assert_int_equal(poll(&p, 1, 10000), 1);
        err = cn_connect_step(&connection, now_ms);
    }
    return err;
}

static int begin(void **state)
{
    (void)state;
    memset(&home, 0, sizeof home);
    fingerprint.address_count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_connect_close(&connection);
    cn_connect_close(&connection); /* harmless */
    return connection.socket == -1 && !connection.found ? 0 : -1;
}

static void none_that_answers_is_said_with_the_last_reason(void **state)
{
    int first = local_add(false), second = local_add(false);

    (void)state;
    assert_err(connect_all(0), CN_E_UNREACHABLE);
    assert_int_equal(home.detail.system_error, ECONNREFUSED);
    assert_string_equal(home.detail.about, fingerprint.address[1]);
    assert_int_equal(connection.socket, -1);
    close(first);
    close(second);
}

static void a_name_that_means_nothing_is_said(void **state)
{
    (void)state;
    name_add("no-such-host.invalid:7");
    assert_err(connect_all(0), CN_E_UNREACHABLE);
    assert_string_equal(home.detail.about, "no-such-host.invalid:7");
}

static void the_first_that_answers_is_taken(void **state)
{
    int closed = local_add(false), open;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int fd;

    (void)state;
    name_add("no-such-host.invalid:7");
    open = local_add(true);
    assert_err(connect_all(0), CN_OK);
    fd = cn_connect_take(&connection);
    assert_true(fd >= 0);
    assert_int_equal(connection.socket, -1); /* it is ours now */
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    assert_int_equal(ntohs(peer.sin_port), atoi(strrchr(fingerprint.address[2], ':') + 1));
    close(fd);
    close(open);
    close(closed);
}

/* A listener whose queue is full answers nobody, as a host behind a filter. */
static void one_that_says_nothing_is_left_after_its_time(void **state)
{
    int silent = local_add(true), crowd[16], open;
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t size = sizeof a;

    (void)state;
    assert_int_equal(listen(silent, 0), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&a, &size), 0);
    for (size_t i = 0; i < COUNT(crowd); i++) {
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(crowd[i], (struct sockaddr *)&a, sizeof a);
    }
    open = local_add(true);
    assert_err(cn_connect_start(&connection, &home, &fingerprint, 0, 2, 1000), CN_E_MORE);
    assert_true(connection.until_ms == 1000 + CN_CONNECT_TIMEOUT_MS);
    assert_err(cn_connect_step(&connection, connection.until_ms - 1), CN_E_MORE);
    assert_int_not_equal(cn_connect_step(&connection, connection.until_ms), CN_E_UNREACHABLE);
    assert_int_equal(home.detail.system_error, ETIMEDOUT);
    assert_string_equal(home.detail.about, fingerprint.address[0]);
    assert_int_equal(connection.next, 2);
    for (size_t i = 0; i < COUNT(crowd); i++)
        close(crowd[i]);
    close(silent);
    close(open);
}

static void only_the_addresses_asked_for_are_tried(void **state)
{
    int open = local_add(true), closed = local_add(false);

    (void)state;
    assert_err(cn_connect_start(&connection, &home, &fingerprint, 1, 1, 0), CN_E_UNREACHABLE);
    assert_int_equal(home.detail.about[0], '\0'); /* none was tried */
    close(open);
    close(closed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_that_answers_is_said_with_the_last_reason),
        TEST(a_name_that_means_nothing_is_said),
        TEST(the_first_that_answers_is_taken),
        TEST(one_that_says_nothing_is_left_after_its_time),
        TEST(only_the_addresses_asked_for_are_tried),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
