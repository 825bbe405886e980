/* A trail that is accepted names somebody and an absolute directory, and is as it would be written.
 */
#include "fuzz.h"

#include <stdio.h>

#include "trail.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_trail_head head;
    size_t used = 0;
    enum cn_err err = cn_trail_decode(&head, &used, (const char *)in, in_size);
    char again[64 + CN_NAME_SIZE_MAX + PATH_MAX];
    int size;

    if (err != CN_OK) {
        must(err == CN_E_FORMAT);
        return 0;
    }
    must(used <= in_size && in[used - 1] == '\0');
    must(cn_name_valid(head.partner) && head.place[0] == '/');
    size = snprintf(again, sizeof again, "cyphernet trail 1%c%s%c%s%c%016llx", 0, head.partner, 0,
                    head.place, 0, (unsigned long long)head.first);
    must((size_t)size + 1 == used && memcmp(again, in, used) == 0);
    return 0;
}
