/* Names of files from a partner, and of contacts from anywhere: what is accepted stays where it is
 * put, and no temporary file has it. The first octet chooses which; for a file a number follows,
 * under which it is to be kept when its name is taken. */
#include "fuzz.h"

#include <ctype.h>

#include "files/entry.h"
#include "files/temporary.h"
#include "fingerprint.h"

/* By another way than cn_entry_name_valid: all parts, one after the other. */
static bool is_fine(char *name, size_t size)
{
    char *rest = name;
    char *part;

    if (size > CN_ENTRY_NAME_SIZE_MAX || strlen(name) != size)
        return false;
    while ((part = strsep(&rest, "/"))) {
        if (!part[0] || strlen(part) > 255 || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
            return false;
    }
    return true;
}

static void numbered(const char *part, unsigned number)
{
    char other[CN_ENTRY_PART_SIZE_MAX + 1];
    char again[CN_ENTRY_PART_SIZE_MAX + 1];

    if (number < 2 || number == UINT32_MAX)
        return;
    cn_entry_numbered(part, number, other);
    must(cn_entry_name_valid(other, strlen(other)) && !strchr(other, '/'));
    must(!cn_temporary_is(other, strlen(other)));
    cn_entry_numbered(part, number + 1, again);
    must(strcmp(other, again) != 0);
}

static void file_name(const char *name, size_t size, unsigned number)
{
    char *copy = malloc(size + 1);
    uint64_t temporary;
    size_t last;

    must(copy != NULL);
    memcpy(copy, name, size);
    copy[size] = '\0';
    must(is_fine(copy, size) == cn_entry_name_valid(name, size));
    memcpy(copy, name, size);
    if (cn_entry_name_valid(name, size)) {
        last = cn_entry_last_part(name, size);
        must(last < size && !memchr(name + last, '/', size - last));
        must(last == 0 || name[last - 1] == '/');
        must(!cn_temporary_number(copy + last, &temporary) ||
             cn_temporary_is(name + last, size - last));
        numbered(copy + last, number);
    }
    free(copy);
}

static void contact_name(const char *in, size_t in_size)
{
    char *name = malloc(in_size + 1);

    must(name != NULL);
    memcpy(name, in, in_size);
    name[in_size] = '\0';
    if (cn_name_valid(name)) {
        must(strlen(name) <= CN_NAME_SIZE_MAX && isalnum((unsigned char)name[0]));
        must(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             strlen(name));
    }
    must(!cn_label_valid(name) || cn_name_valid(name));
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    unsigned number = 0;

    if (in_size < 1 + sizeof number)
        return 0;
    memcpy(&number, in + 1, sizeof number);
    if (in[0] % 2 == 0)
        file_name((const char *)in + 1 + sizeof number, in_size - 1 - sizeof number, number);
    else
        contact_name((const char *)in + 1, in_size - 1);
    return 0;
}
