/* SRV records: what is read of an answer, and the order that chance and RFC 2782 make of them. */
#include "unit.h"

#include "srv.h"
#include "writer.h"

static struct cn_srv srv[CN_SRV_COUNT_MAX];
static size_t count;
static uint8_t answer[4096];
static struct cn_writer w;

/* The question for _cyphernet._tcp.a, and how many answers follow. */
static void answer_begin(uint16_t answers)
{
    static const char question[] = "\12_cyphernet\4_tcp\1a\0\0\41\0\1";

    w = (struct cn_writer) { .at = answer, .left = sizeof answer };
    cn_writer_u16be(&w, 0x1234);
    cn_writer_u16be(&w, 0x8180);
    cn_writer_u16be(&w, 1);
    cn_writer_u16be(&w, answers);
    cn_writer_zeros(&w, 4);
    cn_writer_bytes(&w, question, sizeof question - 1);
}

static void record(uint16_t type, uint16_t class, const void *data, size_t size)
{
    cn_writer_u16be(&w, 0xc00c); /* the name of the question */
    cn_writer_u16be(&w, type);
    cn_writer_u16be(&w, class);
    cn_writer_zeros(&w, 4);
    cn_writer_u16be(&w, (uint16_t)size);
    cn_writer_bytes(&w, data, size);
}

#define SRV(data) record(33, 1, data, sizeof(data) - 1)

static size_t answer_size(void)
{
    return sizeof answer - w.left;
}

static void records_are_read(void **state)
{
    (void)state;
    answer_begin(4);
    SRV("\0\12\0\5\x1b\x58\6server\7example\0");
    record(16, 1, "\3txt", 4);             /* another type */
    record(33, 3, "\0\1\0\1\0\7\1b\0", 9); /* another class */
    SRV("\0\0\377\377\0\1\3two\300\34");   /* compressed */
    assert_err(cn_srv_read(answer, answer_size(), srv, &count), CN_OK);
    assert_int_equal(count, 2);
    assert_int_equal(srv[0].priority, 10);
    assert_int_equal(srv[0].weight, 5);
    assert_string_equal(srv[0].address, "server.example:7000");
    assert_int_equal(srv[1].weight, 65535);
    assert_string_equal(srv[1].address, "two.a:1");
}

static void what_cannot_be_a_target_is_left_out(void **state)
{
    (void)state;
    answer_begin(7);
    SRV("\0\0\0\0\0\1\0");    /* the root: no such service */
    SRV("\0\0\0\0\0\0\1b\0"); /* port 0 */
    SRV("\0\0\0\0\0\1\3b c\0");
    SRV("\0\0\0\0\0\1\2b\n\0");
    SRV("\0\0\0\0\0\1\3b:1\0");
    SRV("\0\0\0\0");
    SRV("\0\0\0\0\0\1\1b\0\0"); /* more than a name */
    assert_err(cn_srv_read(answer, answer_size(), srv, &count), CN_OK);
    assert_int_equal(count, 0);
}

static void every_prefix_is_refused_or_holds_less(void **state)
{
    (void)state;
    answer_begin(2);
    SRV("\0\12\0\5\x1b\x58\6server\7example\0");
    SRV("\0\12\0\5\x1b\x58\5other\7example\0");
    for (size_t size = 0; size < answer_size(); size++) {
        uint8_t *exact = malloc(size ? size : 1);

        assert_non_null(exact);
        memcpy(exact, answer, size);
        count = 99;
        assert_err(cn_srv_read(exact, size, srv, &count), CN_E_FORMAT);
        assert_int_equal(count, 99);
        free(exact);
    }
    assert_err(cn_srv_read(answer, answer_size(), srv, &count), CN_OK);
    assert_int_equal(count, 2);
    assert_err(cn_srv_read(answer, 65536, srv, &count), CN_E_FORMAT);
}

static void more_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    answer_begin(CN_SRV_COUNT_MAX + 5);
    for (size_t i = 0; i < CN_SRV_COUNT_MAX + 5; i++)
        SRV("\0\12\0\5\x1b\x58\1b\0");
    assert_err(cn_srv_read(answer, answer_size(), srv, &count), CN_OK);
    assert_int_equal(count, CN_SRV_COUNT_MAX);
}

/* The order as a text of the first letters. */
static const char *ordered(const char *rows, uint32_t chance)
{
    static char letters[CN_SRV_COUNT_MAX + 1];
    uint32_t random[CN_SRV_COUNT_MAX];

    memset(srv, 0, sizeof srv);
    for (count = 0; *rows; count++, rows += 3) { /* letter, priority, weight */
        srv[count].address[0] = rows[0];
        srv[count].priority = (uint16_t)(rows[1] - '0');
        srv[count].weight = (uint16_t)(rows[2] - '0');
    }
    for (size_t i = 0; i < CN_SRV_COUNT_MAX; i++)
        random[i] = chance;
    cn_srv_order(srv, count, random);
    for (size_t i = 0; i < count; i++)
        letters[i] = srv[i].address[0];
    letters[count] = '\0';
    return letters;
}

static void priorities_go_first(void **state)
{
    (void)state;
    assert_string_equal(ordered("a30b20c10", 0), "cba");
    assert_string_equal(ordered("a30b20c10", UINT32_MAX), "cba");
    assert_string_equal(ordered("a29b11c29d10", 0), "dbac"); /* no weight: only if chance is 0 */
    assert_string_equal(ordered("a11b10", 1U << 31), "ab");
    assert_string_equal(ordered("a00", UINT32_MAX), "a");
    assert_string_equal(ordered("", 0), "");
}

static void weights_are_chances(void **state)
{
    unsigned first[3] = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        first[ordered("a11b13c10", i * (UINT32_MAX / 1000))[0] - 'a']++;
    assert_in_range(first[0], 150, 250); /* RFC 2782: of 0 to the sum, both included */
    assert_in_range(first[1], 550, 650);
    assert_in_range(first[2], 150, 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read),
        cmocka_unit_test(what_cannot_be_a_target_is_left_out),
        cmocka_unit_test(every_prefix_is_refused_or_holds_less),
        cmocka_unit_test(more_than_there_is_room_for_are_left_out),
        cmocka_unit_test(priorities_go_first),
        cmocka_unit_test(weights_are_chances),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
