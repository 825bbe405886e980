/* Safety numbers in words: as many as numbers, each with words of its own; and the list is the one
 * that PROTOCOL.md 2.10 names. */
#include "unit.h"

#include "words.h"

static const char *words_of(const char *safety)
{
    static char out[CN_SAFETY_WORDS_SIZE];

    cn_words_of_safety(safety, out);
    return out;
}

static void the_list_is_that_of_bip_39(void **state)
{
    static const uint8_t known[CN_SHA256_SIZE] = { 0x2f, 0x5e, 0xed, 0x53, 0xa4, 0x72, 0x7b, 0x4b,
                                                   0xf8, 0x88, 0x0d, 0x8f, 0x3f, 0x19, 0x9e, 0xfc,
                                                   0x90, 0xe5, 0x85, 0x03, 0x64, 0x6d, 0x9f, 0xf8,
                                                   0xef, 0xf3, 0xa2, 0xed, 0x3b, 0x24, 0xdb, 0xda };
    struct cn_digest digest;
    uint8_t made[CN_SHA256_SIZE];

    (void)state;
    assert_err(cn_digest_init(&digest, &crypto, CN_SHA256), CN_OK);
    for (size_t i = 0; i < CN_WORD_COUNT; i++) {
        assert_err(cn_digest_update(&digest, cn_words[i], strlen(cn_words[i])), CN_OK);
        assert_err(cn_digest_update(&digest, "\n", 1), CN_OK);
    }
    assert_err(cn_digest_final(&digest, made), CN_OK);
    assert_memory_equal(made, known, sizeof made);
}

#define NOUGHTS(count) "00000 00000 00000 00000 00000 00000 00000 00000 00000 00000 " count

static void numbers_are_written_to_the_base_of_the_list(void **state)
{
    (void)state;
    assert_string_equal(words_of(NOUGHTS("00000 00000")),
                        "abandon abandon abandon abandon abandon abandon abandon abandon abandon "
                        "abandon abandon abandon abandon abandon abandon abandon abandon abandon "
                        "abandon");
    assert_non_null(strstr(words_of(NOUGHTS("00000 02047")), "abandon abandon zoo"));
    assert_non_null(strstr(words_of(NOUGHTS("00000 02048")), "abandon ability abandon"));
    assert_non_null(strstr(words_of(NOUGHTS("00041 94303")), "abandon zoo zoo"));
    /* 10^60 - 1, by another implementation */
    assert_string_equal(words_of("99999 99999 99999 99999 99999 99999 99999 99999 99999 99999 "
                                 "99999 99999"),
                        "able large top champion rubber mass meat buddy raise anger myth grain "
                        "man dumb zoo zoo zoo zoo "
                        "zoo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_is_that_of_bip_39),
        cmocka_unit_test(numbers_are_written_to_the_base_of_the_list),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
