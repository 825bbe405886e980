#include "range.h"

#include <errno.h>
#include <unistd.h>

enum cn_err cn_range_next(int fd, uint64_t at, uint64_t size, struct cn_range *range)
{
    struct cn_range found = { .begin = size, .end = size };
    off_t offset;

    if (at >= size) {
        *range = found;
        return CN_OK;
    }
    offset = lseek(fd, (off_t)at, SEEK_DATA);
    if (offset < 0 && errno == ENXIO) { /* a hole up to the end */
        *range = found;
        return CN_OK;
    }
    if (offset < 0 && errno != EINVAL && errno != EOPNOTSUPP)
        return CN_E_SYSTEM;
    if (offset < 0)
        found.begin = at;
    else if ((uint64_t)offset < size)
        found.begin = (uint64_t)offset;
    if (offset >= 0 && found.begin < size) {
        offset = lseek(fd, offset, SEEK_HOLE);
        if (offset < 0 && errno != ENXIO) /* ENXIO: it has been cut meanwhile */
            return CN_E_SYSTEM;
        if (offset >= 0 && (uint64_t)offset < size)
            found.end = (uint64_t)offset;
    }
    *range = found;
    return CN_OK;
}
