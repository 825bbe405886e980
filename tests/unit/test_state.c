/* What the supervisor hands to a gate comes back whole, and anything else is none. */
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

static struct cn_config config = { .keep_alive = 7 };
static struct cn_settings settings = { .operator_count = 1 };
static struct cn_who_secret who_secret;

/* A state with so many blocked, and so many notices. */
static int made(size_t blocked_count, size_t held_count)
{
    static struct cn_blocked blocked[5];
    static struct cn_held_notice held[5];
    static const struct cn_common_notice common = { .number = 9, .size = 3 };
    const struct cn_state_parts parts = { &config,       &settings, &who_secret, blocked,
                                          blocked_count, held,      held_count,  &common };
    int fd = -1;

    for (size_t i = 0; i < COUNT(blocked); i++) {
        blocked[i].serial = 100 + i;
        held[i].number = 200 + i;
        fill((uint8_t)i, held[i].octets, sizeof held[i].octets);
    }
    assert_err(cn_state_make(&fd, &parts), CN_OK);
    return fd;
}

static void it_comes_back_whole_whatever_it_holds(void **state)
{
    (void)state;
    for (size_t blocked = 0; blocked < 5; blocked++) {
        for (size_t held = 0; held < 5; held++) {
            int fd = made(blocked, held);
            const struct cn_state *s = cn_state_map(fd);
            const struct cn_held_notice *notices;

            assert_non_null(s);
            assert_int_equal(s->config.keep_alive, 7);
            assert_int_equal(s->settings.operator_count, 1);
            assert_int_equal(s->blocked_count, blocked);
            for (size_t i = 0; i < blocked; i++)
                assert_int_equal(s->blocked[i].serial, 100 + i);
            notices = cn_state_held(s);
            assert_int_equal(s->held_count, held);
            assert_int_equal(s->common.number, 9);
            for (size_t i = 0; i < held; i++) {
                uint8_t octets[sizeof notices[i].octets];

                fill((uint8_t)i, octets, sizeof octets);
                assert_int_equal(notices[i].number, 200 + i);
                assert_memory_equal(notices[i].octets, octets, sizeof octets);
            }
            cn_state_unmap(s);
            close(fd);
        }
    }
    cn_state_unmap(NULL);
}

/* The octets of a state with one element of each kind, changed, in a file that is sealed or not. */
static int changed(size_t at, uint8_t octet, long cut, int seals)
{
    int from = made(1, 1);
    int fd = memfd_create("test", MFD_ALLOW_SEALING);
    off_t size = lseek(from, 0, SEEK_END);
    uint8_t *octets = malloc((size_t)size + 64);

    assert_non_null(octets);
    memset(octets, 0, (size_t)size + 64);
    assert_int_equal(pread(from, octets, (size_t)size, 0), size);
    octets[at] = octet;
    assert_int_equal(write(fd, octets, (size_t)(size - cut)), size - cut);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    free(octets);
    close(from);
    return fd;
}

static void anything_else_is_none(void **state)
{
    enum { ALL = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };
    static const struct {
        const char *why;
        size_t at;
        uint8_t octet;
        long cut;
        int seals;
    } rows[] = {
        { "more blocked than there are", offsetof(struct cn_state, blocked_count), 2, 0, ALL },
        { "fewer", offsetof(struct cn_state, blocked_count), 0, 0, ALL },
        { "very many", offsetof(struct cn_state, blocked_count) + 7, 0xff, 0, ALL },
        { "more notices", offsetof(struct cn_state, held_count), 2, 0, ALL },
        { "fewer notices", offsetof(struct cn_state, held_count), 0, 0, ALL },
        { "very many notices", offsetof(struct cn_state, held_count) + 7, 0xff, 0, ALL },
        { "a common notice larger than any", offsetof(struct cn_state, common.size) + 1, 0xff, 0,
          ALL },
        { "of an older program", 0, CN_STATE_VERSION - 1, 0, ALL },
        { "of a later program", 0, CN_STATE_VERSION + 1, 0, ALL },
        { "cut", 0, CN_STATE_VERSION, 1, ALL },
        { "longer", 0, CN_STATE_VERSION, -8, ALL },
        { "not sealed", 0, CN_STATE_VERSION, 0, F_SEAL_WRITE | F_SEAL_SEAL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int fd = changed(rows[i].at, rows[i].octet, rows[i].cut, rows[i].seals);

        if (cn_state_map(fd))
            fail_msg("%s", rows[i].why);
        close(fd);
    }
}

static void what_is_no_file_is_none(void **state)
{
    int ends[2];

    (void)state;
    assert_null(cn_state_map(-1));
    assert_int_equal(pipe(ends), 0);
    assert_null(cn_state_map(ends[0]));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back_whole_whatever_it_holds),
        cmocka_unit_test(anything_else_is_none),
        cmocka_unit_test(what_is_no_file_is_none),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
