/* Rendezvous tags: alike at both ends, unlike for all else, and both neighbours near a boundary. */
#include "unit.h"

#include "tag.h"
#include "vectors.h"

static const struct cn_tag_key key = { { 1, 2, 3 } };

static void tag(enum cn_service service, uint64_t epoch, uint8_t out[CN_TAG_SIZE])
{
    assert_err(cn_tag_make(&crypto, &key, service, epoch, out), CN_OK);
}

static void the_same_always_gives_the_same(void **state)
{
    uint8_t one[CN_TAG_SIZE];
    uint8_t two[CN_TAG_SIZE];

    (void)state;
    tag(CN_SERVICE_PIPE, 500000, one);
    tag(CN_SERVICE_PIPE, 500000, two);
    assert_memory_equal(one, two, sizeof one);
}

/* All services in neighbouring epochs, and far ones. */
static void nothing_else_gives_the_same(void **state)
{
    static const uint64_t epochs[] = { 0, 1, 499999, 500000, 500001, 1ULL << 32, UINT64_MAX };
    uint8_t all[COUNT(epochs) * CN_SERVICE_COUNT][CN_TAG_SIZE];
    struct cn_tag_key other = key;
    uint8_t foreign[CN_TAG_SIZE];
    size_t count = 0;

    (void)state;
    for (int service = CN_SERVICE_TALK; service < CN_SERVICE_COUNT; service++) {
        for (size_t e = 0; e < COUNT(epochs); e++)
            tag((enum cn_service)service, epochs[e], all[count++]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(all[i], all[k], CN_TAG_SIZE);
    }
    other.bytes[31] ^= 0x80;
    assert_err(cn_tag_make(&crypto, &other, CN_SERVICE_TALK, 0, foreign), CN_OK);
    for (size_t i = 0; i < count; i++)
        assert_memory_not_equal(all[i], foreign, CN_TAG_SIZE);
}

/* By another implementation of PROTOCOL.md 1.2 and 4, over HKDF of a common library. */
static void the_vectors_hold(void **state)
{
    FILE *file = fopen("tests/vectors/tag.txt", "r");
    struct vector v;
    unsigned count = 0;

    (void)state;
    assert_non_null(file);
    while (vector_next(file, &v)) {
        const struct vector_field *name = vector_field(&v, "service");
        const uint8_t *number = vector_octets(&v, "epoch", 8);
        struct cn_tag_key k;
        uint64_t epoch = 0;
        uint8_t got[CN_TAG_SIZE];
        int service = CN_SERVICE_TALK;

        memcpy(k.bytes, vector_octets(&v, "key", sizeof k.bytes), sizeof k.bytes);
        for (size_t i = 0; i < 8; i++)
            epoch = epoch << 8 | number[i];
        while (strcmp(cn_service_name((enum cn_service)service), (const char *)name->octets) != 0)
            service++; /* an unknown one stops the program */
        assert_err(cn_tag_make(&crypto, &k, (enum cn_service)service, epoch, got), CN_OK);
        assert_memory_equal(got, vector_octets(&v, "tag", sizeof got), sizeof got);
        vector_wipe(&v);
        count++;
    }
    fclose(file);
    assert_true(count >= 8);
}

static void services_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(cn_service_name(CN_SERVICE_TALK), "talk");
    assert_string_equal(cn_service_name(CN_SERVICE_PIPE), "pipe");
    assert_string_equal(cn_service_name(CN_SERVICE_FILE), "file");
    assert_string_equal(cn_service_name(CN_SERVICE_FORWARD), "forward");
    assert_true(cn_service_symmetric(CN_SERVICE_TALK));
    assert_true(cn_service_symmetric(CN_SERVICE_PIPE));
    assert_false(cn_service_symmetric(CN_SERVICE_FILE));
    assert_false(cn_service_symmetric(CN_SERVICE_FORWARD));
}

static void near_a_boundary_both_neighbours_are_waited_for(void **state)
{
    static const struct {
        uint64_t utc_s;
        size_t count;
        uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX];
    } cases[] = {
        { 0, 1, { 0 } },
        { 599, 1, { 0 } }, /* nothing before the first */
        { 600, 1, { 0 } },
        { 2999, 1, { 0 } },
        { 3000, 2, { 0, 1 } },
        { 3599, 2, { 0, 1 } },
        { 3600, 2, { 0, 1 } },
        { 3600 + 599, 2, { 0, 1 } },
        { 3600 + 600, 1, { 1 } },
        { 3600 + 2999, 1, { 1 } },
        { 3600 + 3000, 2, { 1, 2 } },
        { 1795453200, 2, { 498736, 498737 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t epoch[CN_TAG_EPOCH_COUNT_MAX] = { 0 };

        assert_int_equal(cn_tag_epochs(cases[i].utc_s, epoch), cases[i].count);
        assert_memory_equal(epoch, cases[i].epoch, cases[i].count * sizeof epoch[0]);
    }
}

/* Clocks up to ten minutes apart, whatever the time, share an epoch. */
static void clocks_ten_minutes_apart_meet(void **state)
{
    (void)state;
    for (uint64_t now = 7200; now < 3 * 7200; now += 13) {
        for (uint64_t off = 0; off <= CN_TAG_MARGIN_S; off += 61) {
            uint64_t one[CN_TAG_EPOCH_COUNT_MAX];
            uint64_t two[CN_TAG_EPOCH_COUNT_MAX];
            size_t ones = cn_tag_epochs(now, one);
            size_t twos = cn_tag_epochs(now + off, two);
            bool meet = false;

            for (size_t i = 0; i < ones * twos; i++)
                meet = meet || one[i / twos] == two[i % twos];
            assert_true(meet);
        }
    }
}

/* The answer is the same until the moment that is told, and another from then on. */
static void the_change_is_told_to_the_second(void **state)
{
    (void)state;
    for (uint64_t now = 36000; now < 36000 + 3601; now++) {
        uint64_t before[CN_TAG_EPOCH_COUNT_MAX] = { 0 };
        uint64_t last[CN_TAG_EPOCH_COUNT_MAX] = { 0 };
        uint64_t after[CN_TAG_EPOCH_COUNT_MAX] = { 0 };
        uint64_t change = now + cn_tag_epochs_change_s(now);

        assert_true(change > now);
        cn_tag_epochs(now, before);
        cn_tag_epochs(change - 1, last);
        cn_tag_epochs(change, after);
        assert_memory_equal(before, last, sizeof before);
        assert_memory_not_equal(before, after, sizeof before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_always_gives_the_same),
        cmocka_unit_test(nothing_else_gives_the_same),
        cmocka_unit_test(the_vectors_hold),
        cmocka_unit_test(services_have_their_names),
        cmocka_unit_test(near_a_boundary_both_neighbours_are_waited_for),
        cmocka_unit_test(clocks_ten_minutes_apart_meet),
        cmocka_unit_test(the_change_is_told_to_the_second),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
