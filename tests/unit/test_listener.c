/* Binding the addresses that a name has: those that this machine has must do, and at least one. */
#include "unit.h"

#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include "listener.h"

enum { ADDRESSES_MAX = 3 };

static struct cn_listeners listeners;
static struct sockaddr_in address[ADDRESSES_MAX];
static struct addrinfo found[ADDRESSES_MAX];
static const char *bad;

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    assert_string_equal(host, "name");
    assert_string_equal(port, "1");
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    *out = found;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    assert_ptr_equal(list, found);
}

static int begin(void **state)
{
    (void)state;
    bad = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    cn_listeners_close(&listeners);
    return 0;
}

static const uint32_t here = INADDR_LOOPBACK;
static const uint32_t elsewhere = 0xf0000001; /* 240.0.0.1, which no machine has */

/* What comes of a name with these addresses; a port of 0 is any. */
static enum cn_err bind_to(size_t count, const struct sockaddr_in *addresses)
{
    static const struct cn_settings settings = { .listen_count = 1, .listen = { "name:1" } };

    for (size_t i = 0; i < count; i++) {
        address[i] = addresses[i];
        found[i] = (struct addrinfo) { .ai_family = addresses[i].sin_family,
                                       .ai_addr = (struct sockaddr *)&address[i],
                                       .ai_addrlen = sizeof address[i],
                                       .ai_next = i + 1 < count ? &found[i + 1] : NULL };
    }
    return cn_listeners_bind(&listeners, &settings, &bad);
}

static struct sockaddr_in at(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in) { .sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(host) };
}

static void a_name_without_an_address_of_this_machine_is_told(void **state)
{
    const struct sockaddr_in two[] = { at(elsewhere, 0), at(elsewhere + 1, 0) };

    (void)state;
    assert_err(bind_to(2, two), CN_E_SYSTEM);
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_string_equal(bad, "name:1");
    assert_int_equal(listeners.count, 0);
}

/* localhost is ::1 too in many a machine's hosts, where IPv6 is off. */
static void an_address_that_is_not_there_is_passed_over_wherever_it_stands(void **state)
{
    const struct sockaddr_in first[] = { at(elsewhere, 0), at(here, 0) };
    const struct sockaddr_in last[] = { at(here, 0), at(elsewhere, 0) };

    (void)state;
    assert_err(bind_to(2, first), CN_OK);
    assert_int_equal(listeners.count, 1);
    cn_listeners_close(&listeners);
    assert_err(bind_to(2, last), CN_OK);
    assert_int_equal(listeners.count, 1);
}

static void a_family_that_is_not_there_is_passed_over(void **state)
{
    const struct sockaddr_in two[] = { { .sin_family = AF_MAX - 1 }, at(here, 0) };

    (void)state;
    assert_err(bind_to(1, two), CN_E_SYSTEM);
    assert_int_equal(errno, EAFNOSUPPORT);
    assert_err(bind_to(2, two), CN_OK);
    assert_int_equal(listeners.count, 1);
}

static void a_port_in_use_is_told_whatever_else_works(void **state)
{
    struct sockaddr_in three[] = { at(elsewhere, 0), at(here, 0), at(here, 0) };
    socklen_t size = sizeof three[2];
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(taken, (struct sockaddr *)&three[2], size), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&three[2], &size), 0);
    assert_err(bind_to(3, three), CN_E_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(listeners.count, 0);
    close(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(a_name_without_an_address_of_this_machine_is_told),
        TEST(an_address_that_is_not_there_is_passed_over_wherever_it_stands),
        TEST(a_family_that_is_not_there_is_passed_over),
        TEST(a_port_in_use_is_told_whatever_else_works),
    };

    return cmocka_run_group_tests_name("listener", tests, crypto_setup, crypto_teardown);
}
