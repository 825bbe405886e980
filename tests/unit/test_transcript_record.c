/* Records of a transcript: what is changed, cut, left out, repeated or put elsewhere is noticed, at
 * whichever octet. PROTOCOL.md 2.18 */
#include "unit.h"

#include "seeded.h"
#include "transcript_record.h"

enum { RECORD_COUNT = 6 };

static uint64_t random_state = 11;
static const struct cn_random seeded = { seeded_fill, &random_state };
static struct cn_transcript_key key;
static uint8_t octets[1 << 20];
static size_t size;
static size_t begins[RECORD_COUNT + 1]; /* of each record; a sitting's head is of its first */
static uint8_t plain[CN_TRANSCRIPT_PLAIN_SIZE_MAX];

static const struct cn_transcript_record records[RECORD_COUNT] = {
    { CN_TRANSCRIPT_BEGIN, 100, "bob", 3 },      { CN_TRANSCRIPT_SAID, 101, "hello", 5 },
    { CN_TRANSCRIPT_HEARD, 102, "\0\n\xff", 3 }, { CN_TRANSCRIPT_END, 103, "", 0 },
    { CN_TRANSCRIPT_BEGIN, 200, "bob", 3 },      { CN_TRANSCRIPT_HEARD, 201, "again", 5 },
};

/* Two sittings, the second without an end. */
static int begin(void **state)
{
    struct cn_transcript_place place = { 0 };

    if (crypto_setup(state) != 0)
        return -1;
    fill(1, key.bytes, sizeof key.bytes);
    size = 0;
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        size_t put = 0;

        begins[i] = size;
        if (records[i].kind == CN_TRANSCRIPT_BEGIN) {
            assert_err(cn_transcript_sit(&place, &crypto, &key, &seeded, octets + size), CN_OK);
            size += CN_TRANSCRIPT_SITTING_SIZE;
        }
        assert_err(cn_transcript_encode(&place, &crypto, &records[i], octets + size, &put), CN_OK);
        size += put;
    }
    begins[RECORD_COUNT] = size;
    return 0;
}

/* How many records can be read; *err: why not more. At the end of it, CN_OK. */
static size_t read_all(const uint8_t *in, size_t in_size, enum cn_err *err)
{
    struct cn_transcript_place place = { 0 };
    size_t at = 0, count = 0;

    for (*err = CN_OK; at < in_size; count++) {
        struct cn_transcript_record record;
        size_t used = 0;

        *err =
            cn_transcript_decode(&place, &crypto, &key, (struct cn_piece) { in + at, in_size - at },
                                 &used, plain, &record);
        if (*err != CN_OK)
            return count;
        at += used;
    }
    return count;
}

static void what_was_put_in_comes_out(void **state)
{
    struct cn_transcript_place place = { 0 };
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        struct cn_transcript_record got;
        size_t used = 0;

        assert_int_equal(at, begins[i]);
        assert_err(cn_transcript_decode(&place, &crypto, &key,
                                        (struct cn_piece) { octets + at, size - at }, &used, plain,
                                        &got),
                   CN_OK);
        assert_int_equal(got.kind, records[i].kind);
        assert_int_equal(got.time_s, records[i].time_s);
        assert_int_equal(got.text_size, records[i].text_size);
        if (got.text_size > 0)
            assert_memory_equal(got.text, records[i].text, got.text_size);
        at += used;
    }
    assert_int_equal(at, size);
    assert_false(place.lacks_earlier);
}

static void an_octet_that_is_changed_is_noticed(void **state)
{
    enum cn_err err;

    (void)state;
    for (size_t at = 0; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            size_t count;

            octets[at] ^= (uint8_t)(1U << bit);
            count = read_all(octets, size, &err);
            octets[at] ^= (uint8_t)(1U << bit);
            assert_true(err != CN_OK);
            assert_true(begins[count] <= at); /* and nothing of it is believed */
        }
    }
}

static void wherever_it_stops_short_what_is_whole_is_read(void **state)
{
    enum cn_err err;

    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        size_t count = read_all(octets, cut, &err);

        assert_true(begins[count] <= cut && cut < begins[count + 1]);
        if (begins[count] == cut)
            assert_err(err, CN_OK);
        else
            assert_err(err, CN_E_MORE);
    }
}

/* As a power cut may leave it. */
static void zeros_at_the_end_are_what_was_not_written(void **state)
{
    static uint8_t cut[1 << 20];
    enum cn_err err;

    (void)state;
    memcpy(cut, octets, size);
    memset(cut + size, 0, 300);
    assert_int_equal(read_all(cut, size + 300, &err), RECORD_COUNT);
    assert_err(err, CN_E_MORE);
    cut[size + 299] = 1;
    assert_int_equal(read_all(cut, size + 300, &err), RECORD_COUNT);
    assert_err(err, CN_E_FORMAT);
}

/* The octets without records from to to. */
static size_t without(uint8_t *out, size_t from, size_t to)
{
    memcpy(out, octets, begins[from]);
    memcpy(out + begins[from], octets + begins[to], size - begins[to]);
    return size - (begins[to] - begins[from]);
}

static void a_record_that_is_left_out_is_noticed(void **state)
{
    static uint8_t less[1 << 20];
    enum cn_err err;

    (void)state;
    for (size_t from = 0; from < RECORD_COUNT; from++) {
        for (size_t to = from + 1; to < RECORD_COUNT; to++) {
            size_t less_size = without(less, from, to);

            if (from == 0 && to == 4)
                continue; /* all of the first sitting: below */
            assert_int_equal(read_all(less, less_size, &err), from);
            assert_true(err == CN_E_CHECKSUM || err == CN_E_FORMAT);
        }
    }
}

static void what_was_before_is_missed(void **state)
{
    struct cn_transcript_place place = { 0 };
    struct cn_transcript_record record;
    size_t used;

    (void)state;
    assert_err(cn_transcript_decode(&place, &crypto, &key,
                                    (struct cn_piece) { octets + begins[4], size - begins[4] },
                                    &used, plain, &record),
               CN_OK);
    assert_true(place.lacks_earlier);
}

static void records_in_another_order_are_noticed(void **state)
{
    static uint8_t other[1 << 20];
    const size_t first = begins[4], second = size - begins[4];
    const size_t one = begins[2] - begins[1], two = begins[3] - begins[2];
    enum cn_err err;

    (void)state;
    memcpy(other, octets + first, second); /* sittings */
    memcpy(other + second, octets, first);
    assert_int_equal(read_all(other, size, &err), 2);
    assert_err(err, CN_E_CHECKSUM);
    memcpy(other, octets, size); /* records */
    memcpy(other + begins[1], octets + begins[2], two);
    memcpy(other + begins[1] + two, octets + begins[1], one);
    assert_int_equal(read_all(other, size, &err), 1);
    assert_err(err, CN_E_CHECKSUM);
    memcpy(other + begins[2], octets + begins[1], size - begins[1]); /* one twice */
    memcpy(other, octets, begins[2]);
    assert_int_equal(read_all(other, size + one, &err), 2);
    assert_err(err, CN_E_CHECKSUM);
}

static void another_key_reads_nothing(void **state)
{
    enum cn_err err;

    (void)state;
    key.bytes[31] ^= 1;
    assert_int_equal(read_all(octets, size, &err), 0);
    key.bytes[31] ^= 1;
    assert_err(err, CN_E_CHECKSUM);
}

static void texts_of_every_size(void **state)
{
    static char text[CN_TRANSCRIPT_TEXT_SIZE_MAX + 1];
    static uint8_t out[CN_TRANSCRIPT_SITTING_SIZE + 2 * CN_TRANSCRIPT_PART_SIZE_MAX];
    static const size_t sizes[] = { 0, 1, 50, 51, 52, 63, 64, 65, 1000, 65535, 65536, 65537 };
    struct cn_transcript_record record = { CN_TRANSCRIPT_BEGIN, 1, text, 0 };

    (void)state;
    fill(3, (uint8_t *)text, sizeof text);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct cn_transcript_place place = { 0 }, reader = { 0 };
        struct cn_transcript_record got;
        size_t put = 0, used = 0;

        record.text_size = sizes[i];
        assert_err(cn_transcript_sit(&place, &crypto, &key, &seeded, out), CN_OK);
        if (sizes[i] > CN_TRANSCRIPT_TEXT_SIZE_MAX) {
            assert_err(cn_transcript_encode(&place, &crypto, &record,
                                            out + CN_TRANSCRIPT_SITTING_SIZE, &put),
                       CN_E_LIMIT);
            continue;
        }
        assert_err(
            cn_transcript_encode(&place, &crypto, &record, out + CN_TRANSCRIPT_SITTING_SIZE, &put),
            CN_OK);
        assert_true(put <= CN_TRANSCRIPT_PART_SIZE_MAX);
        assert_int_equal((put - CN_TRANSCRIPT_HEAD_SIZE - CN_AEAD_TAG_SIZE) % 64, 0);
        assert_err(cn_transcript_decode(&reader, &crypto, &key,
                                        (struct cn_piece) { out, CN_TRANSCRIPT_SITTING_SIZE + put },
                                        &used, plain, &got),
                   CN_OK);
        assert_int_equal(got.text_size, sizes[i]);
        assert_memory_equal(got.text, text, sizes[i]);
    }
}

static void a_sitting_needs_randomness(void **state)
{
    static const struct cn_random broken = { broken_fill, NULL };
    struct cn_transcript_place place = { 0 };
    uint8_t out[CN_TRANSCRIPT_SITTING_SIZE];

    (void)state;
    assert_err(cn_transcript_sit(&place, &crypto, &key, &broken, out), CN_E_RANDOM);
    assert_false(place.is_sitting);
}

static void keys_in_their_file(void **state)
{
    uint8_t body[CN_TRANSCRIPT_KEY_BODY_SIZE];
    struct cn_transcript_key got = { { 0 } };

    (void)state;
    cn_transcript_key_encode(&key, body);
    for (size_t cut = 0; cut < sizeof body; cut++)
        assert_err(cn_transcript_key_decode(&got, body, cut), CN_E_FORMAT);
    body[0]++;
    assert_err(cn_transcript_key_decode(&got, body, sizeof body), CN_E_VERSION);
    body[0]--;
    assert_err(cn_transcript_key_decode(&got, body, sizeof body), CN_OK);
    assert_memory_equal(got.bytes, key.bytes, sizeof got.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_octet_that_is_changed_is_noticed),
        cmocka_unit_test(wherever_it_stops_short_what_is_whole_is_read),
        cmocka_unit_test(zeros_at_the_end_are_what_was_not_written),
        cmocka_unit_test(a_record_that_is_left_out_is_noticed),
        cmocka_unit_test(what_was_before_is_missed),
        cmocka_unit_test(records_in_another_order_are_noticed),
        cmocka_unit_test(another_key_reads_nothing),
        cmocka_unit_test(a_sitting_needs_randomness),
        cmocka_unit_test(texts_of_every_size),
        cmocka_unit_test(keys_in_their_file),
        cmocka_unit_test(what_was_put_in_comes_out),
    };

    return cmocka_run_group_tests(tests, begin, crypto_teardown);
}
