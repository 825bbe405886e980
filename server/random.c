#include "random.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

static enum cn_err system_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(out, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CN_E_RANDOM;
        out += got;
        size -= (size_t)got;
    }
    return CN_OK;
}

const struct cn_random cn_system_random = { system_fill, NULL };
