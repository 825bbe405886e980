/* Records: what one end seals the other opens, in order, once, unchanged; all else is refused. */
#include "unit.h"

#include "record.h"

static const size_t wire_sizes[] = { 256, 1024, 4096, 16384, CN_RECORD_SIZE_MAX };
static uint8_t plain[CN_RECORD_PLAIN_SIZE_MAX];
static uint8_t wire[CN_RECORD_SIZE_MAX];
static uint8_t copy[CN_RECORD_SIZE_MAX + 2];

/* A sender and its receiver. */
struct direction {
    struct cn_record out;
    struct cn_record in;
};

static struct cn_traffic_secret secret_of(uint8_t seed)
{
    struct cn_traffic_secret secret;

    fill(seed, secret.bytes, sizeof secret.bytes);
    return secret;
}

static void begin(struct direction *d, const struct cn_suite *suite)
{
    const struct cn_traffic_secret secret = secret_of(1);

    assert_err(cn_record_init(&d->out, &crypto, suite, &secret, CN_ROLE_A, true), CN_OK);
    assert_err(cn_record_init(&d->in, &crypto, suite, &secret, CN_ROLE_A, false), CN_OK);
}

static void end(struct direction *d)
{
    cn_record_wipe(&d->out);
    cn_record_wipe(&d->in);
}

/* Seal the first size octets of plain into wire; how many octets that takes there. */
static size_t seal(struct cn_record *record, size_t size)
{
    const struct cn_piece piece = { plain, size };
    size_t wire_size = cn_record_wire_size(size);

    assert_err(cn_record_seal(record, &piece, 1, wire_size, wire), CN_OK);
    return wire_size;
}

/* Open what is in wire, without changing it; octets that are no part of it may follow. */
static enum cn_err open_copy(struct cn_record *record, size_t wire_size, const uint8_t **opened,
                             size_t *opened_size)
{
    size_t used = 0;
    enum cn_err err;

    memcpy(copy, wire, wire_size);
    err = cn_record_open(record, copy, wire_size, opened, opened_size, &used);
    if (err == CN_OK)
        assert_int_equal(used, wire_size);
    return err;
}

static enum cn_err try_open(struct cn_record *record, size_t wire_size)
{
    const uint8_t *opened;
    size_t opened_size;

    return open_copy(record, wire_size, &opened, &opened_size);
}

/* --- forgeries ------------------------------------------------------------------------------- */

static void a_record_with_any_octet_changed_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        struct direction d;
        size_t size;

        begin(&d, &cn_suites[i]);
        size = seal(&d.out, 100);
        memset(wire + size, 0, sizeof wire - size); /* so that no length asks for more */
        for (size_t at = 0; at < size; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                wire[at] ^= (uint8_t)(1U << bit);
                assert_err(try_open(&d.in, sizeof wire), CN_E_AUTH);
                wire[at] ^= (uint8_t)(1U << bit);
            }
        }
        assert_err(try_open(&d.in, size), CN_OK);
        end(&d);
    }
}

static void a_record_cut_anywhere_asks_for_more(void **state)
{
    struct direction d;
    size_t size;

    (void)state;
    begin(&d, &cn_suites[0]);
    size = seal(&d.out, 300);
    for (size_t cut = 0; cut < size; cut++) {
        assert_err(try_open(&d.in, cut), CN_E_MORE);
        assert_int_equal(d.in.counter, 0);
    }
    assert_err(try_open(&d.in, size), CN_OK);
    end(&d);
}

static void a_length_that_holds_no_octet_is_refused_at_once(void **state)
{
    struct direction d;

    (void)state;
    begin(&d, &cn_suites[0]);
    memset(wire, 0, sizeof wire);
    for (unsigned length = 0; length < 17; length++) {
        wire[1] = (uint8_t)length;
        assert_err(try_open(&d.in, 1), CN_E_MORE);
        assert_err(try_open(&d.in, 2), CN_E_FORMAT);
        assert_err(try_open(&d.in, 100), CN_E_FORMAT);
    }
    wire[1] = 17;
    assert_err(try_open(&d.in, 2), CN_E_MORE);
    assert_err(try_open(&d.in, 100), CN_E_AUTH);
    end(&d);
}

static void a_replayed_record_is_refused(void **state)
{
    struct direction d;
    size_t size;

    (void)state;
    begin(&d, &cn_suites[0]);
    size = seal(&d.out, 10);
    assert_err(try_open(&d.in, size), CN_OK);
    assert_err(try_open(&d.in, size), CN_E_AUTH);
    end(&d);
}

static void a_record_before_its_turn_is_refused(void **state)
{
    struct direction d;
    size_t size;

    (void)state;
    begin(&d, &cn_suites[1]);
    (void)seal(&d.out, 10); /* lost */
    size = seal(&d.out, 10);
    assert_err(try_open(&d.in, size), CN_E_AUTH);
    end(&d);
}

static void records_of_the_other_role_are_refused(void **state)
{
    const struct cn_traffic_secret secret = secret_of(1);
    struct cn_record other;
    struct direction d;
    size_t size;

    (void)state;
    begin(&d, &cn_suites[0]);
    assert_err(cn_record_init(&other, &crypto, &cn_suites[0], &secret, CN_ROLE_B, false), CN_OK);
    size = seal(&d.out, 10);
    assert_err(try_open(&other, size), CN_E_AUTH);
    assert_err(try_open(&d.in, size), CN_OK);
    cn_record_wipe(&other);
    end(&d);
}

static void records_under_another_secret_or_suite_are_refused(void **state)
{
    const struct cn_traffic_secret same = secret_of(1);
    const struct cn_traffic_secret other = secret_of(2);

    (void)state;
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        struct direction d;
        struct cn_record in;
        size_t size;

        begin(&d, &cn_suites[i]);
        size = seal(&d.out, 10);
        assert_err(cn_record_init(&in, &crypto, &cn_suites[i], &other, CN_ROLE_A, false), CN_OK);
        assert_err(try_open(&in, size), CN_E_AUTH);
        cn_record_wipe(&in);
        for (size_t k = 0; k < CN_SUITE_COUNT; k++) {
            if (k == i)
                continue;
            assert_err(cn_record_init(&in, &crypto, &cn_suites[k], &same, CN_ROLE_A, false), CN_OK);
            assert_err(try_open(&in, size), CN_E_AUTH);
            cn_record_wipe(&in);
        }
        end(&d);
    }
}

/* --- what passes ----------------------------------------------------------------------------- */

static void every_size_comes_through_every_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        struct direction d;

        begin(&d, &cn_suites[i]);
        for (size_t k = 0; k < COUNT(wire_sizes); k++) {
            const size_t most = wire_sizes[k] - CN_RECORD_EXTRA_SIZE;
            const size_t least = k == 0 ? 0 : wire_sizes[k - 1] - CN_RECORD_EXTRA_SIZE + 1;
            const size_t sizes[] = { least, most };

            for (size_t n = 0; n < COUNT(sizes); n++) {
                const uint8_t *opened;
                size_t opened_size;

                fill((uint8_t)(k + n), plain, sizeof plain);
                assert_int_equal(seal(&d.out, sizes[n]), wire_sizes[k]);
                assert_int_equal(wire[0] << 8 | wire[1], wire_sizes[k] - CN_RECORD_HEAD_SIZE);
                assert_err(open_copy(&d.in, wire_sizes[k], &opened, &opened_size), CN_OK);
                assert_int_equal(opened_size, most);
                assert_memory_equal(opened, plain, sizes[n]);
                for (size_t at = sizes[n]; at < most; at++)
                    assert_int_equal(opened[at], 0); /* padding */
            }
        }
        end(&d);
    }
}

static void records_of_unpadded_sizes_are_taken(void **state)
{
    struct direction d;

    (void)state;
    begin(&d, &cn_suites[0]);
    for (size_t size = 1; size < 300; size++) {
        const struct cn_piece piece = { plain, size };

        assert_err(cn_record_seal(&d.out, &piece, 1, size + CN_RECORD_EXTRA_SIZE, wire), CN_OK);
        assert_err(try_open(&d.in, size + CN_RECORD_EXTRA_SIZE), CN_OK);
    }
    end(&d);
}

static void pieces_come_one_after_the_other(void **state)
{
    struct direction d;
    const uint8_t *opened;
    size_t opened_size;
    struct cn_piece pieces[32];
    size_t total = 0;

    (void)state;
    fill(3, plain, sizeof plain);
    begin(&d, &cn_suites[2]);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pieces[i] = (struct cn_piece) { plain + total, i * 7 };
        total += i * 7;
    }
    assert_err(cn_record_seal(&d.out, pieces, COUNT(pieces), 4096, wire), CN_OK);
    assert_err(open_copy(&d.in, 4096, &opened, &opened_size), CN_OK);
    assert_memory_equal(opened, plain, total);
    end(&d);
}

static void records_that_came_together_are_opened_one_by_one(void **state)
{
    static uint8_t both[256 + 1024];
    struct direction d;
    const uint8_t *opened;
    size_t opened_size;
    size_t used;

    (void)state;
    begin(&d, &cn_suites[0]);
    (void)seal(&d.out, 10);
    memcpy(both, wire, 256);
    (void)seal(&d.out, 500);
    memcpy(both + 256, wire, 1024);
    assert_err(cn_record_open(&d.in, both, sizeof both, &opened, &opened_size, &used), CN_OK);
    assert_int_equal(used, 256);
    assert_ptr_equal(opened, both + 2);
    assert_err(cn_record_open(&d.in, both + used, sizeof both - used, &opened, &opened_size, &used),
               CN_OK);
    assert_int_equal(used, 1024);
    assert_memory_equal(opened, plain, 500);
    end(&d);
}

/* --- generations ----------------------------------------------------------------------------- */

/* secret = Expand(secret, "next") */
static void secret_advance(const struct cn_suite *suite, struct cn_traffic_secret *secret)
{
    const struct cn_item next = CN_LABEL("next");
    size_t size = cn_hash_size(suite->hash);

    assert_err(cn_expand(&crypto, suite->hash, secret->bytes, size, &next, 1, secret->bytes, size),
               CN_OK);
}

static void a_generation_has_exactly_65536_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < CN_SUITE_COUNT; i += 3) {
        struct cn_traffic_secret secret = secret_of(1);
        struct cn_record later;
        struct direction d;
        size_t size = 0;

        begin(&d, &cn_suites[i]);
        for (uint32_t n = 0; n < 65536; n++) {
            assert_int_equal(d.out.generation, 0);
            assert_int_equal(d.in.generation, 0);
            size = seal(&d.out, 1);
            assert_err(try_open(&d.in, size), CN_OK);
        }
        assert_int_equal(d.out.generation, 1);
        assert_int_equal(d.out.counter, 0);
        assert_int_equal(d.in.generation, 1);
        assert_int_equal(d.in.counter, 0);
        assert_err(try_open(&d.in, size), CN_E_AUTH); /* the last of the generation before */

        size = seal(&d.out, 1);
        assert_err(try_open(&d.in, size), CN_OK);
        secret_advance(&cn_suites[i], &secret);
        assert_err(cn_record_init(&later, &crypto, &cn_suites[i], &secret, CN_ROLE_A, false),
                   CN_OK);
        assert_err(try_open(&later, size), CN_E_AUTH); /* the generation is authenticated */
        later.generation = 1;
        assert_err(try_open(&later, size), CN_OK);
        cn_record_wipe(&later);
        end(&d);
    }
}

static void the_secret_of_a_generation_is_gone_after_it(void **state)
{
    const struct cn_traffic_secret secret = secret_of(1);
    struct direction d;

    (void)state;
    begin(&d, &cn_suites[0]);
    d.out.counter = d.in.counter = CN_RECORD_GENERATION_COUNT - 1;
    assert_err(try_open(&d.in, seal(&d.out, 1)), CN_OK);
    assert_int_equal(d.out.generation, 1);
    assert_memory_not_equal(d.out.secret.bytes, secret.bytes, CN_SHA256_SIZE);
    assert_memory_equal(d.in.secret.bytes, d.out.secret.bytes, CN_SHA256_SIZE);
    end(&d);
}

static void wiping_leaves_nothing(void **state)
{
    static const struct cn_record blank;
    struct direction d;

    (void)state;
    begin(&d, &cn_suites[0]);
    end(&d);
    assert_memory_equal(&d.out, &blank, sizeof blank);
    cn_record_wipe(&d.out);
    cn_record_wipe(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_with_any_octet_changed_is_refused),
        cmocka_unit_test(a_record_cut_anywhere_asks_for_more),
        cmocka_unit_test(a_length_that_holds_no_octet_is_refused_at_once),
        cmocka_unit_test(a_replayed_record_is_refused),
        cmocka_unit_test(a_record_before_its_turn_is_refused),
        cmocka_unit_test(records_of_the_other_role_are_refused),
        cmocka_unit_test(records_under_another_secret_or_suite_are_refused),
        cmocka_unit_test(every_size_comes_through_every_suite),
        cmocka_unit_test(records_of_unpadded_sizes_are_taken),
        cmocka_unit_test(pieces_come_one_after_the_other),
        cmocka_unit_test(records_that_came_together_are_opened_one_by_one),
        cmocka_unit_test(a_generation_has_exactly_65536_records),
        cmocka_unit_test(the_secret_of_a_generation_is_gone_after_it),
        cmocka_unit_test(wiping_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
