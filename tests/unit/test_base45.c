/* Base45: the examples of RFC 9285; every octet comes back; what no encoder writes is refused. */
#include "unit.h"

#include "base45.h"

static uint8_t out[512];

static enum cn_err decode(const char *text, size_t *size)
{
    return cn_base45_decode(text, strlen(text), out, sizeof out, size);
}

static void what_is_not_base45_is_refused(void **state)
{
    /* a length of 3n + 1, letters that are none, numbers that are too large: RFC 9285 6 */
    static const char *const bad[] = { "B", "BB8B", "bb8", "B\tB", "BB\x80", "GGW", ":::", "::" };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t size = 99;

        assert_err(decode(bad[i], &size), CN_E_ARMOR);
        assert_int_equal(size, 99);
    }
}

static void what_has_no_room_is_refused(void **state)
{
    size_t size = 99;

    (void)state;
    assert_err(cn_base45_decode("BB8BB8", 6, out, 3, &size), CN_E_FULL);
    assert_int_equal(size, 99);
}

static void the_examples_of_the_rfc(void **state)
{
    static const struct {
        const char *octets, *text;
    } examples[] = { { "AB", "BB8" },
                     { "Hello!!", "%69 VD92EX0" },
                     { "base-45", "UJCLQE7W581" },
                     { "ietf!", "QED8WEX0" },
                     { "", "" } };

    (void)state;
    for (size_t i = 0; i < COUNT(examples); i++) {
        size_t octets_size = strlen(examples[i].octets);
        size_t size = 0;
        char text[64];

        assert_int_equal(CN_BASE45_TEXT_SIZE(octets_size), strlen(examples[i].text));
        cn_base45_encode((const uint8_t *)examples[i].octets, octets_size, text);
        assert_memory_equal(text, examples[i].text, strlen(examples[i].text));
        assert_err(decode(examples[i].text, &size), CN_OK);
        assert_int_equal(size, octets_size);
        assert_memory_equal(out, examples[i].octets, size);
    }
}

static void all_pairs_of_octets_come_back(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 65536; value++) {
        const uint8_t in[2] = { (uint8_t)(value >> 8), (uint8_t)value };
        size_t size = 0;
        char text[3];

        cn_base45_encode(in, 2, text);
        assert_err(cn_base45_decode(text, 3, out, sizeof out, &size), CN_OK);
        assert_memory_equal(out, in, 2);
        if (value < 256) {
            cn_base45_encode(in + 1, 1, text);
            assert_err(cn_base45_decode(text, 2, out, sizeof out, &size), CN_OK);
            assert_int_equal(out[0], value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_base45_is_refused),
        cmocka_unit_test(what_has_no_room_is_refused),
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(all_pairs_of_octets_come_back),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
