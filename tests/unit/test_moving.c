/* One way of a call: what each step does, and what it makes of failures. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moving.h"

static struct cn_pipes pipes;
static struct cn_way way;
static int from, to; /* the far sides of the way's own */
static uint8_t copy[CN_COPY_SIZE];
static int fails; /* errno of the next splices and sends; 0: they do as always */

ssize_t __real_splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size,
                      unsigned flags);
ssize_t __wrap_splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size,
                      unsigned flags);
ssize_t __real_send(int fd, const void *octets, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *octets, size_t size, int flags);

ssize_t __wrap_splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags)
{
    if (fails == 0)
        return __real_splice(in, in_at, out, out_at, size, flags);
    errno = fails;
    return -1;
}

ssize_t __wrap_send(int fd, const void *octets, size_t size, int flags)
{
    if (fails == 0)
        return __real_send(fd, octets, size, flags);
    errno = fails;
    return -1;
}

static void begin(uint32_t pipes_max)
{
    const int room = 200000;
    int one[2], other[2];

    assert_err(cn_pipes_init(&pipes, pipes_max), CN_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, one), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    assert_int_equal(setsockopt(one[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    from = one[0];
    to = other[0];
    cn_way_begin(&way, one[1], other[1]);
    fails = 0;
}

static void end(void)
{
    cn_way_rest(&way, &pipes);
    cn_pipes_wipe(&pipes);
    close(way.from);
    close(way.to);
    close(from);
    close(to);
}

static enum cn_moved take(size_t most)
{
    return cn_way_take(&way, &pipes, copy, most, 7);
}

static void a_pipe_that_a_flow_fills_grows(void **state)
{
    static const uint8_t octets[140000];

    (void)state;
    begin(1);
    for (int i = 0; i < 2; i++) { /* little does not */
        size_t size = i == 0 ? 1000 : sizeof octets;

        assert_int_equal(send(from, octets, size, 0), size);
        while (way.in_pipe == 0 && take(SIZE_MAX) == CN_MOVED)
            continue;
        assert_int_equal(way.pipe.size, way.in_pipe >= 131072 ? 1048576 : 262144);
        while (way.in_pipe > 0) {
            (void)cn_way_pass(&way, 7);
            while (recv(to, copy, sizeof copy, 0) > 0)
                continue;
        }
    }
    end();
}

static void no_more_is_taken_than_may_be(void **state)
{
    (void)state;
    for (uint32_t pipes_max = 0; pipes_max < 2; pipes_max++) {
        begin(pipes_max);
        assert_int_equal(send(from, "abcdef", 6, 0), 6);
        assert_int_equal(take(4), CN_MOVED);
        if (pipes_max > 0)
            assert_int_equal(cn_way_pass(&way, 7), CN_MOVED);
        assert_int_equal(way.bytes, 4);
        assert_int_equal(recv(to, copy, sizeof copy, 0), 4);
        assert_memory_equal(copy, "abcd", 4);
        end();
    }
}

static void failures_are_told_apart(void **state)
{
    static const struct {
        int error;
        enum cn_moved moved;
    } cases[] = {
        { EAGAIN, CN_MOVED_NOTHING },    { EINTR, CN_MOVED_LATER },
        { ENOBUFS, CN_MOVED_LATER },     { ENOMEM, CN_MOVED_LATER },
        { ETIMEDOUT, CN_MOVED_BROKEN },  { EPIPE, CN_MOVED_BROKEN },
        { ECONNRESET, CN_MOVED_BROKEN },
    };

    (void)state;
    for (uint32_t pipes_max = 0; pipes_max < 2; pipes_max++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            enum cn_moved moved;

            begin(pipes_max);
            assert_int_equal(send(from, "abc", 3, 0), 3);
            if (pipes_max > 0)
                assert_int_equal(take(3), CN_MOVED);
            fails = cases[i].error;
            moved = pipes_max > 0 ? cn_way_pass(&way, 7) : take(3);
            assert_int_equal(moved, cases[i].moved);
            assert_int_equal(errno, cases[i].error);
            assert_int_equal(way.writable, moved != CN_MOVED_NOTHING);
            assert_int_equal(way.blocked_ms, moved == CN_MOVED_NOTHING ? 7 : 0);
            fails = 0; /* nothing was lost */
            assert_int_equal(pipes_max > 0 ? cn_way_pass(&way, 8) : (way.writable = true, take(3)),
                             CN_MOVED);
            assert_int_equal(way.blocked_ms, 0);
            assert_int_equal(recv(to, copy, sizeof copy, 0), 3);
            end();
        }
    }
}

static void an_end_is_found_and_passed_on(void **state)
{
    (void)state;
    for (uint32_t pipes_max = 0; pipes_max < 2; pipes_max++) {
        begin(pipes_max);
        assert_int_equal(shutdown(from, SHUT_WR), 0);
        assert_int_equal(take(3), CN_MOVED);
        assert_true(way.ended && !way.done);
        cn_way_end(&way, &pipes);
        assert_true(way.done);
        assert_int_equal(way.pipe.fd[0], -1);
        assert_int_equal(recv(to, copy, 1, 0), 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_that_a_flow_fills_grows),
        cmocka_unit_test(no_more_is_taken_than_may_be),
        cmocka_unit_test(failures_are_told_apart),
        cmocka_unit_test(an_end_is_found_and_passed_on),
    };

    return cmocka_run_group_tests_name("moving", tests, crypto_setup, crypto_teardown);
}
