/* What the ends of a transfer say: every field comes back, every prefix waits or is refused, and
 * what no end would say is refused. */
#include "unit.h"

#include "message.h"

static struct cn_message given, taken;
static uint8_t out[CN_MESSAGE_CONTROL_SIZE_MAX];

static size_t said(void)
{
    return cn_message_encode(&given, out);
}

static enum cn_err take(size_t size)
{
    uint8_t type = 0;
    size_t body_size = 0;

    assert_int_equal(cn_message_head(out, &type, &body_size), CN_OK);
    return cn_message_decode(&taken, type, out + CN_MESSAGE_HEAD_SIZE, size - CN_MESSAGE_HEAD_SIZE);
}

static void entry_give(enum cn_entry_type type, const char *name, const char *target, uint64_t size)
{
    given.type = CN_MESSAGE_ENTRY;
    given.entry.index = 7;
    given.entry.entry = (struct cn_entry) { .type = type,
                                            .mode = 0751,
                                            .size = size,
                                            .mtime_s = -5,
                                            .mtime_ns = 999999999,
                                            .identity = 0x0102030405060708,
                                            .name = name,
                                            .name_size = strlen(name),
                                            .target = target,
                                            .target_size = target ? strlen(target) : 0 };
}

static void an_entry_comes_back(void **state)
{
    const struct cn_entry *e = &taken.entry.entry;

    (void)state;
    entry_give(CN_ENTRY_LINK, "d/link", "../x", 0);
    assert_int_equal(said(), cn_message_entry_size(&given.entry.entry));
    assert_int_equal(take(said()), CN_OK);
    assert_int_equal(taken.entry.index, 7);
    assert_int_equal(e->type, CN_ENTRY_LINK);
    assert_int_equal(e->mode, 0751);
    assert_true(e->mtime_s == -5 && e->mtime_ns == 999999999);
    assert_true(e->identity == 0x0102030405060708);
    assert_string_equal(e->name, "d/link");
    assert_string_equal(e->target, "../x");
    entry_give(CN_ENTRY_FILE, "x", NULL, CN_MESSAGE_SIZE_UNKNOWN);
    assert_int_equal(take(said()), CN_OK);
    assert_true(e->size == CN_MESSAGE_SIZE_UNKNOWN && !e->target);
    entry_give(CN_ENTRY_FILE, "x", NULL, 12345);
    given.entry.entry.filled = 4096;
    assert_int_equal(take(said()), CN_OK);
    assert_true(e->size == 12345 && e->filled == 4096);
}

static void the_longest_entry_fits(void **state)
{
    static char name[CN_ENTRY_NAME_SIZE_MAX + 2], target[CN_ENTRY_TARGET_SIZE_MAX + 2];

    (void)state;
    memset(name, 'x', CN_ENTRY_NAME_SIZE_MAX);
    memset(target, 'y', CN_ENTRY_TARGET_SIZE_MAX);
    entry_give(CN_ENTRY_LINK, name, target, 0);
    assert_int_equal(take(said()), CN_OK);
    assert_string_equal(taken.entry.name, name);
    assert_string_equal(taken.entry.target, target);
    name[CN_ENTRY_NAME_SIZE_MAX] = 'x';
    entry_give(CN_ENTRY_FILE, name, NULL, 0);
    assert_int_equal(take(said()), CN_E_FORMAT);
    target[CN_ENTRY_TARGET_SIZE_MAX] = 'y';
    entry_give(CN_ENTRY_LINK, "x", target, 0);
    assert_int_equal(take(said()), CN_E_FORMAT);
}

static void entries_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        enum cn_entry_type type;
        const char *target;
        uint64_t size;
    } rows[] = {
        { CN_ENTRY_FILE, "target", 0 },     { CN_ENTRY_FILE, NULL, CN_MESSAGE_SIZE_MAX + 1 },
        { CN_ENTRY_DIRECTORY, NULL, 1 },    { CN_ENTRY_DIRECTORY, "target", 0 },
        { CN_ENTRY_LINK, NULL, 0 },         { CN_ENTRY_LINK, "target", 1 },
        { (enum cn_entry_type)0, NULL, 0 }, { (enum cn_entry_type)4, NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        entry_give(rows[i].type, "x", rows[i].target, rows[i].size);
        assert_int_equal(take(said()), CN_E_FORMAT);
    }
    entry_give(CN_ENTRY_FILE, "x", NULL, 1);
    given.entry.entry.mtime_ns = 1000000000;
    assert_int_equal(take(said()), CN_E_FORMAT);
    entry_give(CN_ENTRY_FILE, "x", NULL, 5); /* no more than there is can be filled */
    given.entry.entry.filled = 6;
    assert_int_equal(take(said()), CN_E_FORMAT);
    entry_give(CN_ENTRY_FILE, "x", NULL, CN_MESSAGE_SIZE_UNKNOWN);
    given.entry.entry.filled = 1;
    assert_int_equal(take(said()), CN_E_FORMAT);
    entry_give(CN_ENTRY_DIRECTORY, "x", NULL, 0);
    given.entry.entry.filled = 1;
    assert_int_equal(take(said()), CN_E_FORMAT);
}

static void answers_come_back(void **state)
{
    (void)state;
    given.type = CN_MESSAGE_ACCEPT;
    given.accept = (struct cn_message_accept) { 9, CN_ACCEPT_COMPARE, 12345, { 1, 2, 3 } };
    assert_int_equal(take(said()), CN_OK);
    assert_true(taken.accept.index == 9 && taken.accept.how == CN_ACCEPT_COMPARE &&
                taken.accept.size == 12345);
    assert_memory_equal(taken.accept.sum, given.accept.sum, sizeof taken.accept.sum);
    given.accept.how = CN_ACCEPT_SEND; /* of half a block */
    assert_int_equal(take(said()), CN_E_FORMAT);
    given.accept.size = 5 * (uint64_t)CN_BLOCK_SIZE;
    assert_int_equal(take(said()), CN_OK);
    given.accept.how = CN_ACCEPT_HOW_COUNT;
    assert_int_equal(take(said()), CN_E_FORMAT);
    given.type = CN_MESSAGE_RESULT;
    given.result = (struct cn_message_result) { 9, 8 };
    assert_int_equal(take(said()), CN_OK);
    assert_true(taken.result.index == 9 && taken.result.outcome == 8);
    given.result.outcome = 9;
    assert_int_equal(take(said()), CN_E_FORMAT);
}

static void an_offer_comes_back(void **state)
{
    (void)state;
    given.type = CN_MESSAGE_OFFER;
    given.offer = (struct cn_message_offer) { 1, 2, 3, 4, 5 };
    assert_int_equal(take(said()), CN_OK);
    assert_memory_equal(&taken.offer, &given.offer, sizeof taken.offer);
    given.type = CN_MESSAGE_ITEM;
    given.item = (struct cn_message_item) { CN_ENTRY_DIRECTORY, 7, 8, "name" };
    assert_int_equal(take(said()), CN_OK);
    assert_int_equal(taken.item.file_count, 7);
    assert_string_equal(taken.item.name, "name");
    given.item.name[0] = '\0';
    assert_int_equal(take(said()), CN_E_FORMAT);
    given.type = CN_MESSAGE_END;
    given.end_count = 11;
    assert_int_equal(take(said()), CN_OK);
    assert_int_equal(taken.end_count, 11);
}

static void every_prefix_and_one_more_are_refused(void **state)
{
    size_t size;

    (void)state;
    for (int type = CN_MESSAGE_OFFER; type < CN_MESSAGE_TYPE_END; type++) {
        given = (struct cn_message) { .type = (enum cn_message_type)type };
        if (type == CN_MESSAGE_ENTRY)
            entry_give(CN_ENTRY_FILE, "x", NULL, 1);
        if (type == CN_MESSAGE_ITEM)
            given.item = (struct cn_message_item) { CN_ENTRY_FILE, 1, 1, "x" };
        size = said();
        assert_int_equal(take(size), CN_OK);
        for (size_t less = CN_MESSAGE_HEAD_SIZE; less < size; less++)
            assert_int_equal(take(less), CN_E_FORMAT);
        out[size] = '\0';
        assert_int_equal(take(size + 1), CN_E_FORMAT);
    }
}

static void heads_that_make_no_sense_are_refused(void **state)
{
    static const uint8_t heads[][CN_MESSAGE_HEAD_SIZE] = {
        { 0, 0, 0, 0, 0 },    { CN_MESSAGE_TYPE_END, 0, 0, 0, 0 },
        { 255, 0, 0, 0, 0 },  { 1, 255, 255, 255, 255 },
        { 1, 0, 0, 0x40, 0 },
    };
    uint8_t type = 0;
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++)
        assert_int_equal(cn_message_head(heads[i], &type, &size), CN_E_FORMAT);
}

static const struct cn_data datas[] = {
    { .type = CN_DATA_BEGIN, .index = 3, .offset = 5 * (uint64_t)CN_BLOCK_SIZE },
    { .type = CN_DATA_PLAIN, .size = CN_BLOCK_SIZE },
    { .type = CN_DATA_PACKED, .size = CN_BLOCK_SIZE, .packed_size = 17 },
    { .type = CN_DATA_HOLE, .size = 1 },
    { .type = CN_DATA_BLOCK, .sum = { 1, 2, 3 } },
    { .type = CN_DATA_DONE, .final_size = 77, .sum = { 4, 5, 6 } },
    { .type = CN_DATA_GONE, .code = CN_GONE_DIFFERS },
};

static void data_comes_back_and_every_prefix_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(datas); i++) {
        struct cn_data d;
        size_t used = 99;
        size_t size = cn_data_encode(&datas[i], out);

        for (size_t less = 0; less < size; less++) {
            assert_int_equal(cn_data_decode(&d, &used, out, less), CN_E_MORE);
            assert_int_equal(used, 99);
        }
        assert_int_equal(cn_data_decode(&d, &used, out, size), CN_OK);
        assert_int_equal(used, size);
        assert_true(d.type == datas[i].type && d.index == datas[i].index &&
                    d.offset == datas[i].offset && d.size == datas[i].size &&
                    d.packed_size == datas[i].packed_size && d.final_size == datas[i].final_size &&
                    d.code == datas[i].code);
        assert_memory_equal(d.sum, datas[i].sum, sizeof d.sum);
    }
}

static void data_beyond_a_block_is_refused(void **state)
{
    static const struct cn_data rows[] = {
        { .type = CN_DATA_PLAIN, .size = 0 },
        { .type = CN_DATA_PLAIN, .size = CN_BLOCK_SIZE + 1 },
        { .type = CN_DATA_PACKED, .size = 0, .packed_size = 1 },
        { .type = CN_DATA_PACKED, .size = CN_BLOCK_SIZE + 1, .packed_size = 1 },
        { .type = CN_DATA_PACKED, .size = 1, .packed_size = 0 },
        { .type = CN_DATA_PACKED, .size = 1, .packed_size = CN_BLOCK_SIZE + 1 },
        { .type = CN_DATA_HOLE, .size = 0 },
        { .type = CN_DATA_HOLE, .size = CN_BLOCK_SIZE + 1 },
        { .type = CN_DATA_BEGIN, .offset = CN_MESSAGE_SIZE_MAX + 1 },
        { .type = CN_DATA_DONE, .final_size = CN_MESSAGE_SIZE_MAX + 1 },
        { .type = CN_DATA_GONE, .code = CN_GONE_CODE_COUNT },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cn_data d;
        size_t used;
        size_t size = cn_data_encode(&rows[i], out);

        assert_int_equal(cn_data_decode(&d, &used, out, size), CN_E_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back),
        cmocka_unit_test(the_longest_entry_fits),
        cmocka_unit_test(entries_that_make_no_sense_are_refused),
        cmocka_unit_test(answers_come_back),
        cmocka_unit_test(an_offer_comes_back),
        cmocka_unit_test(every_prefix_and_one_more_are_refused),
        cmocka_unit_test(heads_that_make_no_sense_are_refused),
        cmocka_unit_test(data_comes_back_and_every_prefix_waits),
        cmocka_unit_test(data_beyond_a_block_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
