/* A page of shared memory: its size is fixed, and it is of this program, or it is none. */
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page.h"

enum { OWNERS = 3, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

/* A file of that size and version. */
static int made(off_t size, uint32_t version, int seals)
{
    int fd = memfd_create("test", MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, size), 0);
    if (size >= (off_t)sizeof version)
        assert_int_equal(pwrite(fd, &version, sizeof version, 0), sizeof version);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* What comes of mapping it, which must leave what there was. */
static enum cn_err mapped(int fd)
{
    struct cn_page_map map = { NULL, 77 };
    enum cn_err err = cn_page_map(&map, fd, true);

    assert_null(map.page);
    assert_int_equal(map.owner_max, 77);
    close(fd);
    return err;
}

static void what_is_no_page_of_ours_is_refused(void **state)
{
    const off_t size = sizeof(struct cn_page);

    (void)state;
    assert_err(mapped(-1), CN_E_SYSTEM);
    assert_err(mapped(made(0, CN_PAGE_VERSION, SEALS)), CN_E_FORMAT);
    assert_err(mapped(made(size - 1, CN_PAGE_VERSION, SEALS)), CN_E_FORMAT);
    assert_err(mapped(made(size, CN_PAGE_VERSION, F_SEAL_SHRINK)), CN_E_FORMAT);
    assert_err(mapped(made(size, CN_PAGE_VERSION - 1, SEALS)), CN_E_VERSION);
    assert_err(mapped(made(size, CN_PAGE_VERSION + 1, SEALS)), CN_E_VERSION);
}

/* Whoever writes it cannot make a reader look behind its end. */
static void two_see_the_same(void **state)
{
    struct cn_page_map ours, theirs;
    int fd;

    (void)state;
    assert_err(cn_page_make(&fd, OWNERS), CN_OK);
    assert_err(cn_page_map(&ours, fd, true), CN_OK);
    assert_err(cn_page_map(&theirs, fd, false), CN_OK);
    assert_int_equal(theirs.owner_max, OWNERS);
    ours.page->owners_used = 2;
    ours.page->owners[1].who = 9;
    assert_int_equal(cn_page_owners(&theirs), 2);
    assert_int_equal(theirs.page->owners[1].who, 9);
    ours.page->owners_used = UINT32_MAX;
    assert_int_equal(cn_page_owners(&theirs), OWNERS);
    assert_int_not_equal(ftruncate(fd, 0), 0);
    cn_page_unmap(&ours);
    cn_page_unmap(&theirs);
    cn_page_unmap(&theirs);
    close(fd);
}

static void a_bucket_is_one_for_all_and_keeps_its_size(void **state)
{
    cn_bucket *ours, *theirs = NULL;
    int fd;

    (void)state;
    assert_err(cn_page_bucket_make(&fd), CN_OK);
    assert_err(cn_page_bucket_map(&ours, fd), CN_OK);
    assert_err(cn_page_bucket_map(&theirs, fd), CN_OK);
    assert_int_equal(*ours, 0);
    *ours = 7;
    assert_int_equal(*theirs, 7);
    assert_int_not_equal(ftruncate(fd, 0), 0);
    close(fd);
    theirs = NULL;
    assert_err(cn_page_bucket_map(&theirs, -1), CN_E_SYSTEM);
    fd = made(1, CN_PAGE_VERSION, SEALS);
    assert_err(cn_page_bucket_map(&theirs, fd), CN_E_FORMAT);
    assert_null(theirs);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_page_of_ours_is_refused),
        cmocka_unit_test(two_see_the_same),
        cmocka_unit_test(a_bucket_is_one_for_all_and_keeps_its_size),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
