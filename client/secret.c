#include "secret.h"

#include <sys/mman.h>
#include <unistd.h>

#include "crypto.h"

/* Whole pages, with one word in front that tells whether they are locked. */
enum { HEAD_SIZE = 64 };

static size_t whole_size(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + HEAD_SIZE + page - 1) / page * page;
}

void *cn_secret_take(size_t size)
{
    size_t whole = whole_size(size);
    unsigned char *block =
        mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        return NULL;
    (void)madvise(block, whole, MADV_DONTDUMP); /* old kernels lack it; cores are off besides */
    block[0] = mlock(block, whole) != 0;
    return block + HEAD_SIZE;
}

void cn_secret_give(void *block, size_t size)
{
    unsigned char *whole = block;

    if (!block)
        return;
    cn_wipe(block, size);
    (void)munmap(whole - HEAD_SIZE, whole_size(size)); /* unlocks too */
}

int cn_secret_unlocked(const void *block)
{
    return ((const unsigned char *)block)[-HEAD_SIZE];
}
