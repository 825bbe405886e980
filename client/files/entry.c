#include "entry.h"

#include <stdio.h>
#include <string.h>

enum { EXTENSION_SIZE_MAX = 32 }; /* octets; a longer one is none */

static bool part_valid(const char *part, size_t size)
{
    bool is_dots = part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.'));

    return size > 0 && size <= CN_ENTRY_PART_SIZE_MAX && !is_dots;
}

bool cn_entry_name_valid(const char *name, size_t size)
{
    size_t begin = 0;

    if (size == 0 || size > CN_ENTRY_NAME_SIZE_MAX || memchr(name, '\0', size))
        return false;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && name[i] != '/')
            continue;
        if (i == begin || !part_valid(name + begin, i - begin))
            return false;
        begin = i + 1;
    }
    return true;
}

static bool target_valid(const struct cn_entry *entry)
{
    if (entry->type != CN_ENTRY_LINK)
        return entry->target == NULL && entry->target_size == 0;
    return entry->target && entry->target_size > 0 &&
           entry->target_size <= CN_ENTRY_TARGET_SIZE_MAX &&
           !memchr(entry->target, '\0', entry->target_size);
}

bool cn_entry_valid(const struct cn_entry *entry)
{
    return entry->type >= CN_ENTRY_FILE && entry->type <= CN_ENTRY_LINK && entry->mode <= 0777 &&
           entry->size <= (entry->type == CN_ENTRY_FILE ? INT64_MAX : 0) &&
           entry->filled <= entry->size && entry->mtime_ns <= 999999999 &&
           cn_entry_name_valid(entry->name, entry->name_size) && target_valid(entry);
}

size_t cn_entry_last_part(const char *name, size_t size)
{
    const char *slash = memrchr(name, '/', size);

    return slash ? (size_t)(slash - name) + 1 : 0;
}

/* Where ".ext" begins; the end, if there is none. */
static size_t extension_of(const char *part, size_t size)
{
    const char *dot = memrchr(part, '.', size);

    if (!dot || dot == part || size - (size_t)(dot - part) > EXTENSION_SIZE_MAX)
        return size;
    return (size_t)(dot - part);
}

void cn_entry_numbered(const char *part, unsigned number, char out[CN_ENTRY_PART_SIZE_MAX + 1])
{
    size_t size = strlen(part);
    size_t stem = extension_of(part, size);
    const char *extension = part + stem;
    char mark[16];
    size_t room = (size_t)snprintf(mark, sizeof mark, " (%u)", number) + (size - stem);

    if (stem + room > CN_ENTRY_PART_SIZE_MAX) {
        stem = CN_ENTRY_PART_SIZE_MAX - room;
        while (stem > 1 && ((unsigned char)part[stem] & 0xc0) == 0x80)
            stem--;
    }
    snprintf(out, CN_ENTRY_PART_SIZE_MAX + 1, "%.*s%s%s", (int)stem, part, mark, extension);
}
