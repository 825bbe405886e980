/* Cards in parts: any number, in any order; one that is missing, damaged or another card's is told.
 */
#include "unit.h"

#include "card_part.h"
#include "keys.h"
#include "seeded.h"

static uint64_t random_state = 45;
static const struct cn_random seeded = { seeded_fill, &random_state };
static const struct cn_server_public server = { { 9, 9, 9 } };
static struct cn_card card, other;
static struct cn_card got;
static char text[32768];
static unsigned missing, count_told;

static int setup(void **state)
{
    const struct cn_card_terms terms = { .made_for = "partner", .server_key = &server };
    struct cn_identity identity;

    if (crypto_setup(state) != 0)
        return -1;
    identity_load(&crypto, CN_KEM_X25519, &identity);
    assert_err(cn_card_create(&card, &crypto, &identity, &terms, &seeded), CN_OK);
    assert_err(cn_card_create(&other, &crypto, &identity, &terms, &seeded), CN_OK);
    return 0;
}

/* Append a part, and an end of line; the new size. */
static size_t put(size_t at, const struct cn_card *from, unsigned index, unsigned count)
{
    size_t size = 0;

    assert_err(cn_card_part_encode(from, &crypto, index, count, text + at, &size), CN_OK);
    text[at + size] = '\n';
    return at + size + 1;
}

static size_t put_all(unsigned count)
{
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size = put(size, &card, i, count);
    return size;
}

static enum cn_err join(size_t size)
{
    return cn_card_from_parts(&got, &crypto, text, size, &missing, &count_told);
}

static void each_part_that_is_missing_is_told(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= CN_CARD_PART_COUNT_MAX; count++) {
        for (unsigned without = 0; without < count; without++) {
            size_t size = 0;

            for (unsigned i = 0; i < count; i++)
                size = i == without ? size : put(size, &card, i, count);
            missing = count_told = 0;
            assert_err(join(size), CN_E_PART);
            assert_int_equal(missing, without + 1);
            assert_int_equal(count_told, count);
        }
    }
}

static void parts_of_two_cards_are_not_joined(void **state)
{
    size_t size;

    (void)state;
    size = put(put(0, &card, 0, 2), &other, 1, 2);
    assert_err(join(size), CN_E_MIXED);
    size = put(put(put(0, &card, 0, 2), &card, 1, 2), &other, 1, 2);
    assert_err(join(size), CN_E_MIXED);
    size = put(put(0, &card, 0, 2), &card, 1, 3);
    assert_err(join(size), CN_E_MIXED);
}

static void what_is_no_part_is_refused(void **state)
{
    static const char *const bad[] = {
        "",       "\n",         "CN",       "CN1",       "CN1/",      "CN1/1",
        "CN1/1:", "CN0/1:BB8",  "CN2/1:BB", "CN1/H:BB8", "CN01/1:B8", "CNH/H:BB8",
        "cn1/1:", "CN1/1:BB8B", "CN1/0:BB", "CN1/1 BB8", "XN1/1:BB8", "CN99999999999999999999/1:"
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        memcpy(text, bad[i], strlen(bad[i]));
        assert_err(join(strlen(bad[i])), CN_E_ARMOR);
    }
}

/* Nothing that is changed on the way is taken: the characters, or their number. */
static void what_is_damaged_is_refused(void **state)
{
    size_t size = put_all(3);

    (void)state;
    for (size_t at = 0; at < size; at++) {
        char kept = text[at];

        if (kept == '\n')
            continue;
        text[at] = kept == 'A' ? 'B' : 'A';
        assert_true(join(size) != CN_OK);
        text[at] = kept;
    }
    for (size_t cut = 1; cut < size - 1; cut += 5)
        assert_true(join(cut) != CN_OK);
    assert_err(join(size), CN_OK);
}

static void any_number_of_parts_joins(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= CN_CARD_PART_COUNT_MAX; count++) {
        size_t first = put(0, &card, 0, count);

        memset(&got, 0, sizeof got);
        assert_true(cn_card_part_begins(text, first));
        assert_err(join(put_all(count)), CN_OK);
        assert_memory_equal(got.hash, card.hash, sizeof got.hash);
        assert_memory_equal(got.body, card.body, card.body_size);
        for (unsigned i = 1; i < count; i++)
            assert_true(put(0, &card, i, count) <= first);
    }
}

static void any_order_will_do_and_one_twice(void **state)
{
    size_t size = put(put(put(put(0, &card, 2, 3), &card, 0, 3), &card, 2, 3), &card, 1, 3);

    (void)state;
    text[size++] = '\r';
    text[size++] = '\n';
    assert_err(join(size), CN_OK);
    assert_memory_equal(got.hash, card.hash, sizeof got.hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_that_is_missing_is_told),
        cmocka_unit_test(parts_of_two_cards_are_not_joined),
        cmocka_unit_test(what_is_no_part_is_refused),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(any_number_of_parts_joins),
        cmocka_unit_test(any_order_will_do_and_one_twice),
    };

    return cmocka_run_group_tests(tests, setup, crypto_teardown);
}
