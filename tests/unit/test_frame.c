/* Frames: every type there and back; whatever else is refused. */
#include "unit.h"

#include "frame.h"

enum { SIZE_MAX_OF_TEST = 70000 };

static uint8_t octets[SIZE_MAX_OF_TEST];
static uint8_t encoded[SIZE_MAX_OF_TEST];

static const uint8_t parameters[CN_FRAME_PARAMETERS_SIZE_MAX];

/* One of each, with its size on the wire. */
static const struct {
    struct cn_frame frame;
    size_t size;
} samples[] = {
    { { .type = CN_FRAME_OPEN, .stream = 1, .kind = 255, .bytes = parameters, .size = 3 }, 12 },
    { { .type = CN_FRAME_OPEN, .stream = 2, .kind = 1 }, 9 },
    { { .type = CN_FRAME_DATA, .stream = 7, .offset = 5, .bytes = parameters, .size = 4 }, 20 },
    { { .type = CN_FRAME_RECEIVED, .stream = UINT32_MAX, .offset = UINT64_MAX }, 16 },
    { { .type = CN_FRAME_DURABLE, .stream = 1, .offset = 0 }, 16 },
    { { .type = CN_FRAME_WINDOW, .stream = 1, .offset = 1 }, 16 },
    { { .type = CN_FRAME_FIN, .stream = 1, .offset = 0x0102030405060708 }, 16 },
    { { .type = CN_FRAME_RESET, .stream = 1, .code = 0xfffffffe }, 12 },
    { { .type = CN_FRAME_PING, .offset = 9 }, 16 },
    { { .type = CN_FRAME_PONG, .offset = 9 }, 16 },
    { { .type = CN_FRAME_REHANDSHAKE, .bytes = parameters, .size = 10 }, 18 },
    { { .type = CN_FRAME_SWITCH }, 8 },
    { { .type = CN_FRAME_RESUME, .bytes = parameters, .size = 10 }, 18 },
    { { .type = CN_FRAME_CLOSE, .code = 7 }, 12 },
};

/* Octets of DATA follow its head. */
static size_t encode(const struct cn_frame *frame)
{
    struct cn_writer w = { .at = encoded, .left = sizeof encoded };

    cn_frame_encode(frame, &w);
    if (frame->type == CN_FRAME_DATA)
        cn_writer_bytes(&w, frame->bytes, frame->size);
    assert_true(cn_writer_ok(&w));
    return sizeof encoded - w.left;
}

/* In memory of exactly its size, so that sanitizers see a read past the end. */
static enum cn_err decode(size_t size, struct cn_frame *frame, size_t *left)
{
    uint8_t *exact = malloc(size + 1);
    struct cn_reader r = { .at = exact, .left = size };
    struct cn_frame untouched;
    enum cn_err err;

    assert_non_null(exact);
    memcpy(exact, encoded, size);
    memset(&untouched, 0xee, sizeof untouched);
    *frame = untouched;
    err = cn_frame_decode(frame, &r);
    if (err != CN_OK)
        assert_memory_equal(frame, &untouched, sizeof untouched);
    if (err == CN_OK && frame->size > 0)
        frame->bytes = encoded + (frame->bytes - exact);
    *left = r.left;
    free(exact);
    return err;
}

static enum cn_err try_decode(size_t size)
{
    struct cn_frame frame;
    size_t left;

    return decode(size, &frame, &left);
}

/* A frame by hand: type, size of the body as stated, stream; the body is zeros. */
static enum cn_err made_try(unsigned type, size_t body_size, uint32_t stream)
{
    struct cn_writer w = { .at = encoded, .left = sizeof encoded };

    cn_writer_u8(&w, (uint8_t)type);
    cn_writer_u8(&w, 0);
    cn_writer_u16be(&w, (uint16_t)body_size);
    cn_writer_u32be(&w, stream);
    cn_writer_zeros(&w, body_size);
    return try_decode(CN_FRAME_HEAD_SIZE + body_size);
}

static void every_beginning_of_a_frame_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = encode(&samples[i].frame);

        for (size_t cut = 1; cut < size; cut++)
            assert_err(try_decode(cut), CN_E_FORMAT);
    }
}

static void unknown_types_are_refused(void **state)
{
    (void)state;
    for (unsigned type = CN_FRAME_TYPE_COUNT; type < 256; type++) {
        for (size_t size = 0; size < 20; size++) {
            assert_err(made_try(type, size, 0), CN_E_FORMAT);
            assert_err(made_try(type, size, 1), CN_E_FORMAT);
        }
    }
}

static void the_second_octet_must_be_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = encode(&samples[i].frame);

        for (unsigned value = 1; value < 256; value++) {
            encoded[1] = (uint8_t)value;
            assert_err(try_decode(size), CN_E_FORMAT);
        }
    }
}

static void the_wrong_kind_of_stream_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = encode(&samples[i].frame);

        if (samples[i].frame.type == CN_FRAME_RESUME) /* of either */
            continue;
        if (samples[i].frame.stream == 0)
            encoded[7] = 1;
        else
            memset(encoded + 4, 0, 4);
        assert_err(try_decode(size), CN_E_FORMAT);
    }
}

/* Of bodies of 0 to 40 octets, those that a type takes. */
static void bodies_of_other_sizes_are_refused(void **state)
{
    static const struct {
        enum cn_frame_type type;
        size_t least;
        size_t most;
    } fits[] = {
        { CN_FRAME_OPEN, 1, 40 },        { CN_FRAME_DATA, 9, 40 },  { CN_FRAME_RECEIVED, 8, 8 },
        { CN_FRAME_DURABLE, 8, 8 },      { CN_FRAME_WINDOW, 8, 8 }, { CN_FRAME_FIN, 8, 8 },
        { CN_FRAME_RESET, 4, 4 },        { CN_FRAME_PING, 8, 8 },   { CN_FRAME_PONG, 8, 8 },
        { CN_FRAME_REHANDSHAKE, 0, 40 }, { CN_FRAME_SWITCH, 0, 0 }, { CN_FRAME_RESUME, 0, 40 },
        { CN_FRAME_CLOSE, 4, 4 },
    };

    (void)state;
    assert_int_equal(COUNT(fits), CN_FRAME_TYPE_COUNT - 1);
    for (size_t i = 0; i < COUNT(fits); i++) {
        const uint32_t stream = fits[i].type < CN_FRAME_PING ? 1 : 0;

        for (size_t size = 0; size <= 40; size++) {
            if (size >= fits[i].least && size <= fits[i].most)
                assert_err(made_try(fits[i].type, size, stream), CN_OK);
            else
                assert_err(made_try(fits[i].type, size, stream), CN_E_FORMAT);
        }
    }
}

static void more_parameters_than_1024_octets_are_refused(void **state)
{
    (void)state;
    assert_err(made_try(CN_FRAME_OPEN, 1 + 1024, 1), CN_OK);
    assert_err(made_try(CN_FRAME_OPEN, 1 + 1025, 1), CN_E_FORMAT);
    assert_err(made_try(CN_FRAME_OPEN, UINT16_MAX, 1), CN_E_FORMAT);
}

static void a_frame_without_room_is_not_encoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = samples[i].size;

        if (samples[i].frame.type == CN_FRAME_DATA)
            size -= samples[i].frame.size;
        for (size_t room = 0; room <= size; room++) {
            struct cn_writer w = { .at = encoded, .left = room };

            cn_frame_encode(&samples[i].frame, &w);
            assert_int_equal(cn_writer_ok(&w), room == size);
        }
    }
}

static void every_type_comes_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        const struct cn_frame *want = &samples[i].frame;
        struct cn_frame got;
        size_t left;
        size_t size = encode(want);

        assert_int_equal(size, samples[i].size);
        memset(encoded + size, 0xaa, 3); /* the next one is left alone */
        assert_err(decode(size + 3, &got, &left), CN_OK);
        assert_int_equal(left, 3);
        assert_int_equal(got.type, want->type);
        assert_int_equal(got.stream, want->stream);
        assert_true(got.offset == want->offset);
        assert_int_equal(got.code, want->code);
        assert_int_equal(got.kind, want->kind);
        assert_int_equal(got.size, want->size);
        if (want->size > 0)
            assert_memory_equal(got.bytes, want->bytes, want->size);
    }
}

static void the_largest_data_frame_comes_through(void **state)
{
    struct cn_frame frame = {
        .type = CN_FRAME_DATA, .stream = 1, .bytes = octets, .size = UINT16_MAX - 8
    };
    struct cn_frame got;
    size_t left;

    (void)state;
    fill(1, octets, sizeof octets);
    assert_err(decode(encode(&frame), &got, &left), CN_OK);
    assert_int_equal(got.size, frame.size);
    assert_memory_equal(got.bytes, octets, frame.size);
}

static void padding_and_the_end_say_that_no_more_follows(void **state)
{
    (void)state;
    for (size_t size = 0; size < 20; size++) {
        struct cn_frame got;
        size_t left;

        memset(encoded, 0x55, sizeof encoded);
        encoded[0] = 0;
        assert_err(decode(size, &got, &left), CN_OK);
        assert_int_equal(got.type, CN_FRAME_PADDING);
        assert_int_equal(got.size, 0);
        assert_null(got.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beginning_of_a_frame_is_refused),
        cmocka_unit_test(unknown_types_are_refused),
        cmocka_unit_test(the_second_octet_must_be_zero),
        cmocka_unit_test(the_wrong_kind_of_stream_is_refused),
        cmocka_unit_test(bodies_of_other_sizes_are_refused),
        cmocka_unit_test(more_parameters_than_1024_octets_are_refused),
        cmocka_unit_test(a_frame_without_room_is_not_encoded),
        cmocka_unit_test(every_type_comes_through),
        cmocka_unit_test(the_largest_data_frame_comes_through),
        cmocka_unit_test(padding_and_the_end_say_that_no_more_follows),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
