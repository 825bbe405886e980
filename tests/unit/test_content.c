/* The sum of a file: SHA-256 over those of its blocks. */
#include "unit.h"

#include "content.h"

static uint8_t octets[3 * CN_BLOCK_SIZE];

/* Plainly, by the definition. */
static void sum_plain(const uint8_t *in, size_t size, uint8_t sum[CN_SHA256_SIZE])
{
    uint8_t sums[4 * CN_SHA256_SIZE];
    size_t count = 0;

    for (size_t at = 0; at < size; at += CN_BLOCK_SIZE) {
        size_t some = size - at < CN_BLOCK_SIZE ? size - at : CN_BLOCK_SIZE;

        assert_int_equal(cn_hash_two(&crypto, CN_SHA256, in + at, some, NULL, 0,
                                     sums + CN_SHA256_SIZE * count++),
                         CN_OK);
    }
    assert_int_equal(cn_hash_two(&crypto, CN_SHA256, sums, CN_SHA256_SIZE * count, NULL, 0, sum),
                     CN_OK);
}

static void is_over_the_sums_of_blocks(void **state)
{
    static const size_t sizes[] = {
        0, 1, CN_BLOCK_SIZE - 1, CN_BLOCK_SIZE, CN_BLOCK_SIZE + 1, 3 * CN_BLOCK_SIZE
    };

    (void)state;
    fill(7, octets, sizeof octets);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint8_t got[CN_SHA256_SIZE], wanted[CN_SHA256_SIZE], block[CN_SHA256_SIZE];
        struct cn_content content = { 0 };

        sum_plain(octets, sizes[i], wanted);
        assert_int_equal(cn_content_begin(&content, &crypto), CN_OK);
        for (size_t at = 0; at < sizes[i]; at += CN_BLOCK_SIZE) {
            size_t some = sizes[i] - at < CN_BLOCK_SIZE ? sizes[i] - at : CN_BLOCK_SIZE;

            assert_int_equal(cn_block_sum(&crypto, octets + at, some, block), CN_OK);
            assert_int_equal(cn_content_add(&content, block), CN_OK);
        }
        assert_int_equal(cn_content_end(&content, got), CN_OK);
        assert_memory_equal(got, wanted, sizeof got);
    }
}

static void may_be_begun_again_and_dropped(void **state)
{
    struct cn_content content = { 0 };

    (void)state;
    cn_content_wipe(&content);
    assert_int_equal(cn_content_begin(&content, &crypto), CN_OK);
    assert_int_equal(cn_content_begin(&content, &crypto), CN_OK);
    cn_content_wipe(&content);
    cn_content_wipe(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_over_the_sums_of_blocks),
        cmocka_unit_test(may_be_begun_again_and_dropped),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
