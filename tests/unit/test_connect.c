/* Connections to the server: several attempts at once, of which the first that is connected wins.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"

static struct cn_home home;
static struct cn_fingerprint fingerprint;
static struct cn_proxy_setting setting;
static struct cn_connect connection = CN_CONNECT_NONE;

static enum cn_err random_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    return getrandom(out, size, 0) == (ssize_t)size ? CN_OK : CN_E_RANDOM;
}

static void name_add(const char *address)
{
    snprintf(fingerprint.address[fingerprint.address_count++], CN_ADDRESS_SIZE_MAX + 1, "%s",
             address);
}

/* A socket of 127.0.0.1 on a port of its own, listening or merely bound; its address is added. */
static int local_add(bool listens)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    char address[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    assert_true(!listens || listen(fd, 8) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(a.sin_port));
    name_add(address);
    return fd;
}

enum { CROWD_COUNT = 16 };

struct silent {
    int listener;
    int crowd[CROWD_COUNT];
};

/* A listener whose queue is full answers nobody, as a host behind a filter. */
static void silent_add(struct silent *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t size = sizeof a;

    s->listener = local_add(true);
    assert_int_equal(listen(s->listener, 0), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &size), 0);
    for (size_t i = 0; i < CROWD_COUNT; i++) {
        s->crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(s->crowd[i], (struct sockaddr *)&a, sizeof a);
    }
}

static void silent_close(struct silent *s)
{
    for (size_t i = 0; i < CROWD_COUNT; i++)
        close(s->crowd[i]);
    close(s->listener);
}

static enum cn_err start(size_t first, size_t count, uint64_t now_ms)
{
    return cn_connect_start(&connection, &home, &fingerprint, &setting, first, count, now_ms);
}

/* Wait for descriptors alone: the clock stands. */
static enum cn_err finish(enum cn_err err, uint64_t now_ms)
{
    while (err == CN_E_MORE) {
        struct pollfd p[CN_CONNECT_AT_ONCE_MAX];
        size_t count = cn_connect_descriptors(&connection, p, COUNT(p));

        assert_true(poll(p, count, 20000) > 0);
        err = cn_connect_step(&connection, now_ms);
    }
    return err;
}

static enum cn_err connect_all(uint64_t now_ms)
{
    return finish(start(0, fingerprint.address_count, now_ms), now_ms);
}

/* How many attempts are in this state. */
static size_t in_state(enum cn_attempt_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++)
        count += connection.attempt[i].state == state;
    return count;
}

static int begin(void **state)
{
    (void)state;
    memset(&home, 0, sizeof home);
    memset(&setting, 0, sizeof setting);
    home.random.fill = random_fill;
    fingerprint.address_count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_connect_close(&connection);
    cn_connect_close(&connection); /* harmless */
    return connection.socket == -1 && in_state(CN_ATTEMPT_NONE) == CN_CONNECT_AT_ONCE_MAX ? 0 : -1;
}

/* --- without a proxy */

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
    assert_err(start(0, 1, 0), CN_E_MORE); /* nobody waits */
    assert_int_equal(in_state(CN_ATTEMPT_RESOLVING), 1);
    assert_err(finish(CN_E_MORE, 0), CN_E_UNREACHABLE);
    assert_non_null(strstr(home.detail.about, "no-such-host.invalid:7: "));
}

static void the_endpoint_of_a_name_is_said(void **state)
{
    int closed = local_add(false);
    char name[CN_ADDRESS_SIZE_MAX + 1];

    (void)state;
    snprintf(name, sizeof name, "localhost%s", strrchr(fingerprint.address[0], ':'));
    name_add(name);
    assert_err(finish(start(1, 1, 0), 0), CN_E_UNREACHABLE);
    assert_true(strncmp(home.detail.about, name, strlen(name)) == 0);
    assert_non_null(strstr(home.detail.about, " at "));
    close(closed);
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
    assert_int_equal(connection.address_index, 2);
    fd = cn_connect_take(&connection);
    assert_true(fd >= 0);
    assert_int_equal(connection.socket, -1); /* it is ours now */
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    assert_int_equal(ntohs(peer.sin_port),
                     strtol(strrchr(fingerprint.address[2], ':') + 1, NULL, 10));
    close(fd);
    close(open);
    close(closed);
}

static int option_of(int socket, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(socket, level, name, &value, &size), 0);
    return value;
}

static void a_path_that_is_gone_is_found_out_while_nothing_is_said(void **state)
{
    int listener = local_add(true), socket;

    (void)state;
    assert_int_equal(connect_all(1000), CN_OK);
    socket = cn_connect_take(&connection);
    assert_true(option_of(socket, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option_of(socket, IPPROTO_TCP, TCP_KEEPIDLE), CN_CONNECT_PROBE_S);
    assert_int_equal(option_of(socket, IPPROTO_TCP, TCP_KEEPINTVL), CN_CONNECT_PROBE_S);
    assert_int_equal(option_of(socket, IPPROTO_TCP, TCP_KEEPCNT), CN_CONNECT_PROBE_COUNT);
    close(socket);
    close(listener);
}

static void one_that_says_nothing_does_not_hold_up_the_next(void **state)
{
    struct silent silent;
    int open;

    (void)state;
    silent_add(&silent);
    open = local_add(true);
    assert_err(start(0, 2, 1000), CN_E_MORE);
    assert_int_equal(cn_connect_due_ms(&connection), 1000 + CN_CONNECT_NEXT_MS);
    assert_err(cn_connect_step(&connection, 1000 + CN_CONNECT_NEXT_MS - 1), CN_E_MORE);
    assert_int_equal(in_state(CN_ATTEMPT_CONNECTING), 1);
    assert_err(finish(cn_connect_step(&connection, 1000 + CN_CONNECT_NEXT_MS), 1250), CN_OK);
    assert_int_equal(connection.address_index, 1);
    assert_int_equal(in_state(CN_ATTEMPT_NONE), CN_CONNECT_AT_ONCE_MAX); /* the other is given up */
    silent_close(&silent);
    close(open);
}

static void who_says_nothing_has_its_time(void **state)
{
    struct silent silent;

    (void)state;
    silent_add(&silent);
    assert_err(start(0, 1, 1000), CN_E_MORE);
    assert_int_equal(cn_connect_due_ms(&connection), 1000 + CN_CONNECT_TIMEOUT_MS);
    assert_err(cn_connect_step(&connection, 1000 + CN_CONNECT_TIMEOUT_MS - 1), CN_E_MORE);
    assert_err(cn_connect_step(&connection, 1000 + CN_CONNECT_TIMEOUT_MS), CN_E_UNREACHABLE);
    assert_int_equal(home.detail.system_error, ETIMEDOUT);
    assert_string_equal(home.detail.about, fingerprint.address[0]);
    silent_close(&silent);
}

static void no_more_are_tried_at_once_than_there_is_room_for(void **state)
{
    struct silent silent;
    struct cn_candidate candidate;

    (void)state;
    silent_add(&silent);
    assert_err(start(0, 1, 0), CN_E_MORE);
    candidate = connection.attempt[0].candidate;
    for (size_t i = 0; i < CN_CONNECT_AT_ONCE_MAX; i++)
        connection.queue[connection.queue_count++] = candidate;
    for (uint64_t ms = 1; ms <= CN_CONNECT_AT_ONCE_MAX + 1; ms++)
        assert_err(cn_connect_step(&connection, ms * CN_CONNECT_NEXT_MS), CN_E_MORE);
    assert_int_equal(in_state(CN_ATTEMPT_CONNECTING), CN_CONNECT_AT_ONCE_MAX);
    assert_int_equal(connection.queue_count, 1);
    assert_int_equal(cn_connect_due_ms(&connection), CN_CONNECT_TIMEOUT_MS);
    silent_close(&silent);
}

static void only_the_addresses_asked_for_are_tried(void **state)
{
    int open = local_add(true), closed = local_add(false);

    (void)state;
    assert_err(start(1, 0, 0), CN_E_UNREACHABLE);
    assert_int_equal(home.detail.about[0], '\0'); /* none was tried */
    assert_err(finish(start(1, 1, 0), 0), CN_E_UNREACHABLE);
    assert_string_equal(home.detail.about, fingerprint.address[1]);
    close(open);
    close(closed);
}

static void behind_the_last_address_comes_the_first(void **state)
{
    int open = local_add(true), closed = local_add(false);

    (void)state;
    assert_err(finish(start(1, 2, 0), 0), CN_OK);
    assert_int_equal(connection.address_index, 0);
    close(open);
    close(closed);
}

static void a_call_given_up_while_a_name_is_looked_up_leaves_nothing(void **state)
{
    (void)state;
    name_add("no-such-host.invalid:7");
    assert_err(start(0, 1, 0), CN_E_MORE);
    cn_connect_close(&connection);
    assert_int_equal(in_state(CN_ATTEMPT_RESOLVING), 0);
}

/* --- through a proxy */

static void proxy_is(enum cn_proxy_kind kind, size_t address_index)
{
    setting.kind = kind;
    snprintf(setting.address, sizeof setting.address, "%s", fingerprint.address[address_index]);
}

static void a_service_is_not_asked_dns_for_where_there_is_a_proxy(void **state)
{
    int open = local_add(true);

    (void)state;
    proxy_is(CN_PROXY_SOCKS5, 0);
    name_add("srv:server.example");
    assert_err(start(1, 1, 0), CN_E_PROXY);
    assert_non_null(strstr(home.detail.about, "srv:server.example through socks5h://127.0.0.1:"));
    assert_non_null(strstr(home.detail.about, "DNS is not asked"));
    close(open);
}

static void a_proxy_that_is_not_there_is_said(void **state)
{
    int closed = local_add(false);

    (void)state;
    proxy_is(CN_PROXY_HTTP, 0);
    name_add("server.invalid:7000");
    assert_err(finish(start(1, 1, 0), 0), CN_E_PROXY);
    assert_int_equal(home.detail.system_error, ECONNREFUSED);
    assert_non_null(strstr(home.detail.about, "server.invalid:7000 through http://127.0.0.1:"));
    close(closed);
}

/* The proxy's end of the connection under way, once it has been asked. */
static int proxy_asked(int listener)
{
    char octets[512];
    int fd = -1;

    while (fd < 0) {
        struct pollfd p[CN_CONNECT_AT_ONCE_MAX];

        (void)poll(p, cn_connect_descriptors(&connection, p, COUNT(p)), 100);
        assert_err(cn_connect_step(&connection, 0), CN_E_MORE);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
    while (recv(fd, octets, sizeof octets, 0) < 0) {
        struct pollfd p = { fd, POLLIN, 0 };

        assert_err(cn_connect_step(&connection, 0), CN_E_MORE);
        (void)poll(&p, 1, 100);
    }
    return fd;
}

static int asked(const char *address)
{
    int proxy = local_add(true);
    int fd;

    assert_int_equal(fcntl(proxy, F_SETFL, O_NONBLOCK), 0);
    proxy_is(CN_PROXY_HTTP, fingerprint.address_count - 1);
    name_add(address);
    assert_err(start(fingerprint.address_count - 1, 1, 0), CN_E_MORE);
    fd = proxy_asked(proxy);
    close(proxy);
    return fd;
}

static void a_proxy_connects_us(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    int fd = asked("server.invalid:7000");

    (void)state;
    assert_int_equal(in_state(CN_ATTEMPT_ASKING), 1);
    assert_int_equal(send(fd, answer, strlen(answer), 0), strlen(answer));
    assert_err(finish(CN_E_MORE, 0), CN_OK);
    assert_int_equal(connection.address_index, 1);
    close(fd);
}

static void a_proxy_that_hangs_up_is_said(void **state)
{
    int fd = asked("server.invalid:7000");

    (void)state;
    close(fd);
    assert_err(finish(CN_E_MORE, 0), CN_E_PROXY);
    assert_non_null(strstr(home.detail.about, "it hung up"));
}

static void a_proxy_that_says_no_is_said(void **state)
{
    static const char answer[] = "HTTP/1.1 503 no\r\n\r\n";
    int fd = asked("server.invalid:7000");

    (void)state;
    assert_int_equal(send(fd, answer, strlen(answer), 0), strlen(answer));
    assert_err(finish(CN_E_MORE, 0), CN_E_UNREACHABLE);
    assert_non_null(strstr(home.detail.about, "it answers 503"));
    close(fd);
}

static void a_proxy_has_its_time(void **state)
{
    int fd = asked("server.invalid:7000");

    (void)state;
    assert_int_equal(cn_connect_due_ms(&connection), CN_CONNECT_PROXY_MS);
    assert_err(cn_connect_step(&connection, CN_CONNECT_PROXY_MS - 1), CN_E_MORE);
    assert_err(cn_connect_step(&connection, CN_CONNECT_PROXY_MS), CN_E_PROXY);
    assert_int_equal(home.detail.system_error, ETIMEDOUT);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_that_answers_is_said_with_the_last_reason),
        TEST(a_name_that_means_nothing_is_said),
        TEST(the_endpoint_of_a_name_is_said),
        TEST(the_first_that_answers_is_taken),
        TEST(a_path_that_is_gone_is_found_out_while_nothing_is_said),
        TEST(one_that_says_nothing_does_not_hold_up_the_next),
        TEST(who_says_nothing_has_its_time),
        TEST(no_more_are_tried_at_once_than_there_is_room_for),
        TEST(only_the_addresses_asked_for_are_tried),
        TEST(behind_the_last_address_comes_the_first),
        TEST(a_call_given_up_while_a_name_is_looked_up_leaves_nothing),
        TEST(a_service_is_not_asked_dns_for_where_there_is_a_proxy),
        TEST(a_proxy_that_is_not_there_is_said),
        TEST(a_proxy_connects_us),
        TEST(a_proxy_that_hangs_up_is_said),
        TEST(a_proxy_that_says_no_is_said),
        TEST(a_proxy_has_its_time),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
