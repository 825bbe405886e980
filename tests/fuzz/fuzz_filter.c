/* Patterns of any octets end, and leave the same out each time. The input: a .gitignore, a NUL, a
 * path. */
#include "fuzz.h"

#include "filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    const char *text = (const char *)in;
    const char *path = memrchr(text, '\0', in_size);
    struct cn_filter *filter = NULL;
    size_t size, part;
    const char *slash;
    bool excludes;

    if (!path || in_size > 4096)
        return 0;
    path++;
    size = in_size - (size_t)(path - text);
    slash = memrchr(path, '/', size);
    part = slash ? (size_t)(slash - path) + 1 : 0;
    must(cn_filter_create(&filter) == CN_OK);
    must(cn_filter_enter(filter, 0, text, (size_t)(path - 1 - text)) == CN_OK);
    excludes = cn_filter_excludes(filter, path, size, part, true, false);
    cn_filter_leave(filter);
    must(cn_filter_enter(filter, 0, text, (size_t)(path - 1 - text)) == CN_OK);
    must(cn_filter_excludes(filter, path, size, part, true, false) == excludes);
    cn_filter_free(filter);
    return 0;
}
