/* What addresses mean: names and services are looked up on a thread, of DNS that says what we want.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <unistd.h>

#include "resolve.h"
#include "writer.h"

/* --- the system's resolver, as we want it */

static int dns;               /* the socket of our DNS server */
static struct sockaddr_in at; /* and where it is */
static char families[32];     /* of the host mixed.test, in this order: "664"; empty: not known */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
void __real_freeaddrinfo(struct addrinfo *found);
void __wrap_freeaddrinfo(struct addrinfo *found);
int __real___res_ninit(res_state state);
int __wrap___res_ninit(res_state state);

/* The last octet of each address is its number in the list, from 1 on. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    struct addrinfo **next = found;

    if (strcmp(host, "mixed.test") != 0)
        return __real_getaddrinfo(host, port, hints, found);
    if (!families[0])
        return EAI_NONAME;
    for (size_t i = 0; families[i]; i++) {
        char text[32];
        struct addrinfo numeric = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };

        snprintf(text, sizeof text, families[i] == '6' ? "2001:db8::%zx" : "192.0.2.%zu", i + 1);
        assert_int_equal(__real_getaddrinfo(text, port, &numeric, next), 0);
        next = &(*next)->ai_next;
    }
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *found)
{
    while (found) {
        struct addrinfo *next = found->ai_next;

        found->ai_next = NULL;
        __real_freeaddrinfo(found);
        found = next;
    }
}

int __wrap___res_ninit(res_state state)
{
    int failed = __real___res_ninit(state);

    state->nscount = 1;
    state->nsaddr_list[0] = at;
    state->retrans = 1;
    state->retry = 1;
    return failed;
}

/* --- asking */

static enum cn_err counting(void *context, uint8_t *out, size_t size)
{
    (void)context;
    memset(out, 0, size);
    return CN_OK;
}

static enum cn_err failing(void *context, uint8_t *out, size_t size)
{
    (void)context;
    (void)out;
    (void)size;
    return CN_E_RANDOM;
}

static struct cn_random chance;
static struct cn_resolved resolved;

static void take(struct cn_resolve *resolve)
{
    struct pollfd p = { cn_resolve_descriptor(resolve), POLLIN, 0 };

    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_true(cn_resolve_take(resolve, &resolved));
}

static void look_up(const char *address)
{
    struct cn_resolve *resolve;

    assert_err(cn_resolve_start(&resolve, address, &chance), CN_OK);
    take(resolve);
}

/* Their numbers in the list, as a text. */
static const char *order(void)
{
    static char letters[CN_ENDPOINT_COUNT_MAX + 1];

    for (size_t i = 0; i < resolved.count; i++) {
        char host[64];

        cn_endpoint_text(&resolved.endpoint[i], host, sizeof host);
        letters[i] = host[strlen(host) - 1];
    }
    letters[resolved.count] = '\0';
    return letters;
}

/* --- hosts */

static void literals_are_not_looked_up(void **state)
{
    struct cn_endpoint endpoint;
    char host[64];

    (void)state;
    assert_true(cn_endpoint_literal("192.0.2.1:7000", &endpoint));
    assert_int_equal(ntohs(((struct sockaddr_in *)&endpoint.at)->sin_port), 7000);
    assert_string_equal(cn_endpoint_text(&endpoint, host, sizeof host), "192.0.2.1");
    assert_true(cn_endpoint_literal("[2001:DB8:0::1]:7000", &endpoint));
    assert_int_equal(endpoint.at.ss_family, AF_INET6);
    assert_string_equal(cn_endpoint_text(&endpoint, host, sizeof host), "2001:db8::1");
    assert_false(cn_endpoint_literal("localhost:7000", &endpoint));
    assert_false(cn_endpoint_literal("srv:localhost", &endpoint));
}

static void families_take_turns(void **state)
{
    static const struct {
        const char *families, *order;
    } rows[] = {
        { "6", "1" },       { "44", "12" },         { "64", "12" },
        { "6644", "1324" }, { "666644", "152634" }, { "4446", "1423" },
        { "4666", "1234" }, { "646464", "123456" }, { "6666666666666644444444", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(families, sizeof families, "%s", rows[i].families);
        look_up("mixed.test:7");
        if (rows[i].order)
            assert_string_equal(order(), rows[i].order);
        else
            assert_int_equal(resolved.count, CN_ENDPOINT_COUNT_MAX);
    }
}

static void a_name_that_is_not_there_is_said(void **state)
{
    (void)state;
    families[0] = '\0';
    look_up("mixed.test:7");
    assert_int_equal(resolved.count, 0);
    assert_string_equal(resolved.reason, gai_strerror(EAI_NONAME));
}

/* --- services */

/* Answer the query that has come: these octets stand behind the question. */
static void dns_answer(uint16_t flags, uint16_t answers, const void *records, size_t size)
{
    uint8_t message[4096];
    struct pollfd p = { dns, POLLIN, 0 };
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    struct cn_writer w = { .at = message + 2, .left = 10 };
    size_t question;
    ssize_t got;

    do { /* what nobody waits for any more is passed over */
        assert_int_equal(poll(&p, 1, 60000), 1);
        got = recvfrom(dns, message, sizeof message, 0, (struct sockaddr *)&from, &from_size);
        assert_true(got > 12);
    } while (strcmp((char *)message + 12, "\12_cyphernet\4_tcp\4name\4test") != 0);
    question = strlen((char *)message + 12) + 5; /* its name's labels, type and class */
    cn_writer_u16be(&w, flags);
    cn_writer_u16be(&w, 1);
    cn_writer_u16be(&w, answers);
    cn_writer_zeros(&w, 4);
    memcpy(message + 12 + question, records, size);
    size += 12 + question;
    assert_int_equal(sendto(dns, message, size, 0, (struct sockaddr *)&from, from_size), size);
}

#define RECORD(size, data) "\xc0\x0c\0\41\0\1\0\0\0\0\0" size data
#define MIXED              "\5mixed\4test\0"

static void look_up_service(uint16_t flags, uint16_t answers, const void *records, size_t size)
{
    struct cn_resolve *resolve;

    assert_err(cn_resolve_start(&resolve, "srv:name.test", &chance), CN_OK);
    dns_answer(flags, answers, records, size);
    take(resolve);
}

static void services_go_by_priority(void **state)
{
    static const char records[] =
        RECORD("\22", "\0\2\0\0\0\7" MIXED) RECORD("\21", "\0\1\0\0\0\5\11localhost\0");

    (void)state;
    snprintf(families, sizeof families, "64");
    look_up_service(0x8180, 2, records, sizeof records - 1);
    assert_null(resolved.reason);
    assert_true(resolved.count >= 3);
    assert_int_equal(ntohs(((struct sockaddr_in *)&resolved.endpoint[0].at)->sin_port), 5);
    assert_int_equal(
        ntohs(((struct sockaddr_in *)&resolved.endpoint[resolved.count - 1].at)->sin_port), 7);
}

static void a_target_that_is_not_there_is_passed_over(void **state)
{
    static const char records[] =
        RECORD("\22", "\0\1\0\0\0\7" MIXED) RECORD("\21", "\0\2\0\0\0\5\11localhost\0");

    (void)state;
    families[0] = '\0';
    look_up_service(0x8180, 2, records, sizeof records - 1);
    assert_null(resolved.reason);
    assert_true(resolved.count >= 1);
    look_up_service(0x8180, 1, records, 12 + 18);
    assert_int_equal(resolved.count, 0);
    assert_string_equal(resolved.reason, gai_strerror(EAI_NONAME));
}

static void what_dns_says_instead_is_said(void **state)
{
    (void)state;
    look_up_service(0x8183, 0, "", 0); /* no such name */
    assert_string_equal(resolved.reason, "there are no SRV records of _cyphernet._tcp for it");
    look_up_service(0x8180, 0, "", 0); /* nothing of that type */
    assert_string_equal(resolved.reason, "there are no SRV records of _cyphernet._tcp for it");
    look_up_service(0x8180, 1, RECORD("\7", "\0\0\0\0\0\0\0"), 12 + 7);
    assert_string_equal(resolved.reason, "DNS says that there is no such service");
    chance.fill = failing;
    look_up_service(0x8180, 1, RECORD("\22", "\0\2\0\0\0\7" MIXED), 12 + 18);
    assert_string_equal(resolved.reason, cn_err_text(CN_E_RANDOM));
    chance.fill = counting;
}

static void dns_that_does_not_answer_is_said(void **state)
{
    (void)state;
    look_up("srv:other.test");
    assert_int_equal(resolved.count, 0);
    assert_string_equal(resolved.reason, "DNS does not answer");
}

/* --- who does not wait */

static void a_lookup_may_be_forgotten(void **state)
{
    struct cn_resolve *resolve;
    char octet[512];
    int ready;

    (void)state;
    assert_err(cn_resolve_start(&resolve, "srv:name.test", &chance), CN_OK);
    assert_false(cn_resolve_take(resolve, &resolved)); /* nobody has answered */
    ready = dup(cn_resolve_descriptor(resolve));
    cn_resolve_forget(resolve);
    dns_answer(0x8183, 0, "", 0);
    assert_int_equal(read(ready, octet, 1), 0); /* the thread has ended */
    close(ready);
    cn_resolve_forget(NULL);
}

static void one_that_has_ended_may_be_forgotten(void **state)
{
    struct cn_resolve *resolve;
    struct pollfd p = { -1, POLLIN, 0 };

    (void)state;
    assert_err(cn_resolve_start(&resolve, "mixed.test:7", &chance), CN_OK);
    p.fd = cn_resolve_descriptor(resolve);
    assert_int_equal(poll(&p, 1, 60000), 1);
    cn_resolve_forget(resolve);
    assert_int_equal(fcntl(p.fd, F_GETFD), -1);
}

static int setup(void **state)
{
    socklen_t size = sizeof at;

    at = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    dns = socket(AF_INET, SOCK_DGRAM, 0);
    chance.fill = counting;
    return bind(dns, (struct sockaddr *)&at, sizeof at) == 0 &&
                   getsockname(dns, (struct sockaddr *)&at, &size) == 0
               ? crypto_setup(state)
               : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_not_looked_up),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(a_name_that_is_not_there_is_said),
        cmocka_unit_test(services_go_by_priority),
        cmocka_unit_test(a_target_that_is_not_there_is_passed_over),
        cmocka_unit_test(what_dns_says_instead_is_said),
        cmocka_unit_test(dns_that_does_not_answer_is_said),
        cmocka_unit_test(a_lookup_may_be_forgotten),
        cmocka_unit_test(one_that_has_ended_may_be_forgotten),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
