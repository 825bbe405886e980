/* range.h - where a file has octets, and where only a hole. */
#ifndef CN_RANGE_H
#define CN_RANGE_H

#include <stdint.h>

#include "err.h"

struct cn_range {
    uint64_t begin, end; /* offsets; none of it is a hole */
};

/* The first range of data in [at, size) of a file; begin and end are size if there is none. A file
 * system that knows no holes has one range. Moves the descriptor's offset. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_range_next(int fd, uint64_t at, uint64_t size, struct cn_range *range);

#endif
