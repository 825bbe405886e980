/* What processes say to each other, and to a process that says it wrong. */
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "failing_channels.h"

static int ends[2];
static const struct cn_message word = { .type = CN_MESSAGE_DRAIN };

static int begin(void **state)
{
    (void)state;
    failing = 0;
    return cn_channel_make(ends) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
    return 0;
}

static enum cn_err hear(struct cn_message *m, int fds[CN_CHANNEL_FDS_MAX], size_t *count)
{
    return cn_channel_receive(ends[1], m, fds, count);
}

static void a_message_comes_as_it_was_sent(void **state)
{
    struct cn_message sent = { .type = CN_MESSAGE_JOIN, .ticket = 7, .pair = 8 }, got;
    int fds[CN_CHANNEL_FDS_MAX], pipe_ends[2];
    size_t count;
    char octet;

    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    sent.party[1].who = 99;
    assert_err(cn_channel_send(ends[0], &sent, pipe_ends, 2), CN_OK);
    assert_err(cn_channel_send(ends[0], &word, NULL, 0), CN_OK);
    assert_err(hear(&got, fds, &count), CN_OK);
    sent.version = CN_CHANNEL_VERSION;
    assert_memory_equal(&got, &sent, sizeof got);
    assert_int_equal(count, 2);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &octet, 1), 1);
    cn_channel_close_fds(fds, 2);
    cn_channel_close_fds(pipe_ends, 2);
    assert_err(hear(&got, fds, &count), CN_OK);
    assert_int_equal(got.type, CN_MESSAGE_DRAIN);
    assert_int_equal(count, 0);
    assert_err(hear(&got, fds, &count), CN_E_MORE);
}

static void who_has_gone_is_told(void **state)
{
    struct cn_message got;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    (void)state;
    assert_err(cn_channel_send(ends[0], &word, NULL, 0), CN_OK);
    close(ends[0]);
    ends[0] = -1;
    assert_err(hear(&got, fds, &count), CN_OK); /* its last word */
    assert_err(hear(&got, fds, &count), CN_E_HUNG_UP);
    assert_err(cn_channel_send(ends[1], &word, NULL, 0), CN_E_HUNG_UP);
}

static void what_is_no_message_of_ours_ends_the_channel(void **state)
{
    static uint8_t octets[sizeof(struct cn_message) + 1];
    struct cn_message m = { .version = CN_CHANNEL_VERSION, .type = CN_MESSAGE_DRAIN };
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;

    (void)state;
    memcpy(octets, &m, sizeof m);
    for (size_t size = 1; size <= sizeof octets; size++) {
        assert_int_equal(send(ends[0], octets, size, 0), size);
        assert_int_equal(hear(&m, fds, &count), size == sizeof m ? CN_OK : CN_E_HUNG_UP);
    }
    for (int type = 0; type < 65536; type += type < CN_MESSAGE_COUNT + 2 ? 1 : 997) {
        m = (struct cn_message) { .version = CN_CHANNEL_VERSION, .type = (uint16_t)type };
        assert_int_equal(send(ends[0], &m, sizeof m, 0), sizeof m);
        assert_int_equal(hear(&m, fds, &count),
                         type > 0 && type < CN_MESSAGE_COUNT ? CN_OK : CN_E_HUNG_UP);
    }
    for (int version = 0; version < 3; version++) {
        m = (struct cn_message) { .version = (uint16_t)version, .type = CN_MESSAGE_DRAIN };
        assert_int_equal(send(ends[0], &m, sizeof m, 0), sizeof m);
        assert_int_equal(hear(&m, fds, &count),
                         version == CN_CHANNEL_VERSION ? CN_OK : CN_E_HUNG_UP);
    }
}

/* Whoever takes no more is told of, and what was said before is whole. */
static void a_full_channel_takes_no_more(void **state)
{
    struct cn_message m = word;
    int fds[CN_CHANNEL_FDS_MAX];
    size_t count;
    uint32_t said = 0, heard = 0;

    (void)state;
    do
        m.number = said;
    while (cn_channel_send(ends[0], &m, NULL, 0) == CN_OK && ++said < 1000000);
    assert_in_range(said, 64, 999999);
    for (; hear(&m, fds, &count) == CN_OK; heard++)
        assert_int_equal(m.number, heard);
    assert_int_equal(heard, said);
}

/* More descriptors than any message of ours has. */
static void no_more_descriptors_come_than_there_may(void **state)
{
    int many[CN_CHANNEL_FDS_MAX + 1] = { 0 };
    union {
        struct cmsghdr head;
        char octets[CMSG_SPACE(sizeof many)];
    } ancillary = { { CMSG_LEN(sizeof many), SOL_SOCKET, SCM_RIGHTS } };
    struct cn_message m = { .version = CN_CHANNEL_VERSION, .type = CN_MESSAGE_DRAIN };
    struct iovec octets = { &m, sizeof m };
    const struct msghdr header = { .msg_iov = &octets,
                                   .msg_iovlen = 1,
                                   .msg_control = &ancillary,
                                   .msg_controllen = CMSG_LEN(sizeof many) };
    int fds[CN_CHANNEL_FDS_MAX + 2];
    size_t count;
    int next = dup(0);

    (void)state;
    close(next);
    memcpy(CMSG_DATA(&ancillary.head), many, sizeof many);
    fds[CN_CHANNEL_FDS_MAX] = -7;
    assert_int_equal(sendmsg(ends[0], &header, 0), sizeof m);
    assert_err(hear(&m, fds, &count), CN_OK);
    assert_int_equal(count, CN_CHANNEL_FDS_MAX);
    assert_int_equal(fds[CN_CHANNEL_FDS_MAX], -7);
    cn_channel_close_fds(fds, count);
    assert_int_equal(dup(0), next); /* nor is one left open */
    close(next);
}

/* At the limit a message comes without those for which there is no room; none is lost to nobody. */
static void without_room_fewer_descriptors_come(void **state)
{
    struct rlimit limit, low;
    struct cn_message m;
    int fds[CN_CHANNEL_FDS_MAX], two[2] = { ends[0], ends[1] };
    size_t count;
    int next = dup(0);

    (void)state;
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_err(cn_channel_send(ends[0], &word, two, 2), CN_OK);
    low = limit;
    low.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_err(hear(&m, fds, &count), CN_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count, 1);
    cn_channel_close_fds(fds, count);
    assert_int_equal(dup(0), next);
    close(next);
}

/* Whoever has said or heard nothing tries again; else nobody is there, or all is lost. */
static void what_the_kernel_refuses_for_a_while_is_no_end(void **state)
{
    static const struct {
        int number;
        enum cn_err err;
    } cases[] = {
        { EAGAIN, CN_E_MORE },        { EINTR, CN_E_MORE },        { ENOBUFS, CN_E_MORE },
        { ENOMEM, CN_E_MORE },        { ETOOMANYREFS, CN_E_MORE }, { EPIPE, CN_E_HUNG_UP },
        { ECONNRESET, CN_E_HUNG_UP }, { EPERM, CN_E_SYSTEM },      { EBADF, CN_E_SYSTEM },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cn_message m;
        int fds[CN_CHANNEL_FDS_MAX];
        size_t count = 7;

        failing = cases[i].number;
        assert_int_equal(cn_channel_send(ends[0], &word, NULL, 0), cases[i].err);
        assert_int_equal(hear(&m, fds, &count), cases[i].err);
        assert_int_equal(count, 0);
        failing = 0;
        assert_err(hear(&m, fds, &count), CN_E_MORE);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_comes_as_it_was_sent),
        TEST(who_has_gone_is_told),
        TEST(what_is_no_message_of_ours_ends_the_channel),
        TEST(a_full_channel_takes_no_more),
        TEST(no_more_descriptors_come_than_there_may),
        TEST(without_room_fewer_descriptors_come),
        TEST(what_the_kernel_refuses_for_a_while_is_no_end),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
