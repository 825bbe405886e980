#include "page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static size_t size_of(uint32_t owner_max)
{
    return sizeof(struct cn_page) + (size_t)owner_max * sizeof(struct cn_owner);
}

/* Memory to share, zeroed, whose size nobody can change. */
static enum cn_err memory_make(int *fd, const char *name, size_t size)
{
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return CN_E_SYSTEM;
    if (ftruncate(made, (off_t)size) != 0 || fcntl(made, F_ADD_SEALS, SEALS) != 0) {
        close(made);
        return CN_E_SYSTEM;
    }
    *fd = made;
    return CN_OK;
}

/* Of least octets or more: *size. */
static enum cn_err memory_map(void **memory, size_t *size, int fd, size_t least, bool writable)
{
    const int rights = PROT_READ | (writable ? PROT_WRITE : 0);
    const int seals = fcntl(fd, F_GET_SEALS); /* -1: of a file that can have none */
    struct stat st;
    void *at;

    if (fstat(fd, &st) != 0)
        return CN_E_SYSTEM;
    if (seals < 0 || (seals & SEALS) != SEALS || st.st_size < (off_t)least)
        return CN_E_FORMAT;
    at = mmap(NULL, (size_t)st.st_size, rights, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return CN_E_SYSTEM;
    *memory = at;
    *size = (size_t)st.st_size;
    return CN_OK;
}

enum cn_err cn_page_make(int *fd, uint32_t owner_max)
{
    const uint32_t version = CN_PAGE_VERSION;
    int made = -1;
    enum cn_err err = memory_make(&made, "cyphernet-page", size_of(owner_max));

    if (err != CN_OK)
        return err;
    if (pwrite(made, &version, sizeof version, 0) != (ssize_t)sizeof version) {
        close(made);
        return CN_E_SYSTEM;
    }
    *fd = made;
    return CN_OK;
}

enum cn_err cn_page_map(struct cn_page_map *map, int fd, bool writable)
{
    size_t size;
    void *at;
    enum cn_err err = memory_map(&at, &size, fd, size_of(0), writable);

    if (err != CN_OK)
        return err;
    if (((struct cn_page *)at)->version != CN_PAGE_VERSION) {
        munmap(at, size);
        return CN_E_VERSION;
    }
    *map = (struct cn_page_map) { at, (uint32_t)((size - size_of(0)) / sizeof(struct cn_owner)) };
    return CN_OK;
}

uint32_t cn_page_owners(const struct cn_page_map *map)
{
    uint32_t used = map->page->owners_used;

    return used < map->owner_max ? used : map->owner_max;
}

void cn_page_unmap(struct cn_page_map *map)
{
    if (map->page)
        munmap(map->page, size_of(map->owner_max));
    *map = (struct cn_page_map) { 0 };
}

enum cn_err cn_page_bucket_make(int *fd)
{
    return memory_make(fd, "cyphernet-rate", sizeof(cn_bucket));
}

enum cn_err cn_page_bucket_map(cn_bucket **bucket, int fd)
{
    size_t size;
    void *at;
    enum cn_err err = memory_map(&at, &size, fd, sizeof(cn_bucket), true);

    if (err == CN_OK)
        *bucket = at;
    return err;
}
