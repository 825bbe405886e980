/* Memory for secrets: zeroed, locked or said not to be, wiped before it goes. */
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "secret.h"

/* --- system calls that fail or are watched when told; the linker puts these before the real ones
 */

static bool lock_refused;
static bool map_refused;
static size_t locked_size;
static bool gone_was_wiped;

int __wrap_mlock(const void *block, size_t size);
int __wrap_mlock(const void *block, size_t size)
{
    (void)block;
    locked_size = size;
    errno = ENOMEM;
    return lock_refused ? -1 : 0;
}

void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return map_refused ? MAP_FAILED : __real_mmap64(at, size, protection, flags, fd, offset);
}

int __real_munmap(void *block, size_t size);
int __wrap_munmap(void *block, size_t size);
int __wrap_munmap(void *block, size_t size)
{
    const unsigned char *octet = block;

    gone_was_wiped = true;
    for (size_t i = 64; i < size; i++) /* behind the head, which holds no secret */
        gone_was_wiped &= octet[i] == 0;
    return __real_munmap(block, size);
}

static void it_is_zeroed_and_can_be_written(void **state)
{
    static const size_t sizes[] = { 1, 100, 4032, 4033, 100000 };

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        unsigned char *block = cn_secret_take(sizes[i]);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(block[at], 0);
        memset(block, 0xee, sizes[i]);
        cn_secret_give(block, sizes[i]);
        assert_true(gone_was_wiped);
    }
}

static void all_of_it_is_locked(void **state)
{
    void *block;

    (void)state;
    block = cn_secret_take(10000);
    assert_non_null(block);
    assert_false(cn_secret_unlocked(block));
    assert_true(locked_size >= 10000);
    assert_int_equal(locked_size % (size_t)sysconf(_SC_PAGESIZE), 0);
    cn_secret_give(block, 10000);
}

static void a_refused_lock_is_told_and_no_failure(void **state)
{
    unsigned char *block;

    (void)state;
    lock_refused = true;
    block = cn_secret_take(100);
    lock_refused = false;
    assert_non_null(block);
    assert_true(cn_secret_unlocked(block));
    memset(block, 0xee, 100);
    assert_true(cn_secret_unlocked(block)); /* what is written does not change it */
    cn_secret_give(block, 100);
    assert_true(gone_was_wiped);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    map_refused = true;
    assert_null(cn_secret_take(100));
    map_refused = false;
    cn_secret_give(NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_zeroed_and_can_be_written),
        cmocka_unit_test(all_of_it_is_locked),
        cmocka_unit_test(a_refused_lock_is_told_and_no_failure),
        cmocka_unit_test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
