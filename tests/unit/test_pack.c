/* Blocks compressed: what is packed comes back, and whatever else comes writes nowhere else. */
#include "unit.h"

#include "message.h"
#include "pack.h"

static uint8_t in[CN_BLOCK_SIZE], packed[CN_BLOCK_SIZE], out[CN_BLOCK_SIZE + 1];
static struct cn_packer *packer;

static int setup(void **state)
{
    (void)state;
    return cn_packer_open(&packer) == CN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cn_packer_close(packer);
    cn_packer_close(NULL);
    return 0;
}

static void what_is_packed_comes_back(void **state)
{
    static const size_t sizes[] = { 1, 1000, CN_BLOCK_SIZE };

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i / 100);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t size = cn_pack(packer, in, sizes[i], packed, sizeof packed);

        assert_true(size > 0);
        memset(out, 0, sizeof out);
        assert_int_equal(cn_unpack(packer, packed, size, out, sizes[i]), CN_OK);
        assert_memory_equal(out, in, sizes[i]);
        assert_int_equal(cn_unpack(packer, packed, size, out, sizes[i] + 1), CN_E_FORMAT);
        for (size_t less = 0; less < size && less < 100; less++)
            assert_int_equal(cn_unpack(packer, packed, less, out, sizes[i]), CN_E_FORMAT);
    }
}

static void only_what_pays_is_packed(void **state)
{
    (void)state;
    memset(in, 'x', sizeof in);
    assert_true(cn_pack_pays(packer, in, 65536, packed));
    fill(3, in, sizeof in);
    assert_false(cn_pack_pays(packer, in, 65536, packed));
    assert_int_equal(cn_pack(packer, in, 65536, packed, 65536 - 6554), 0);
}

static void a_frame_that_says_more_writes_no_more(void **state)
{
    size_t size;

    (void)state;
    memset(in, 'x', sizeof in);
    size = cn_pack(packer, in, sizeof in, packed, sizeof packed);
    assert_true(size > 0);
    memset(out, 7, sizeof out);
    assert_int_equal(cn_unpack(packer, packed, size, out, 1000), CN_E_FORMAT);
    for (size_t i = 1000; i < sizeof out; i++)
        assert_int_equal(out[i], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_packed_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_pays_is_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_that_says_more_writes_no_more, setup, teardown),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
