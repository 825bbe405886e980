/* entry.h - a file, directory or symbolic link of a tree, as the two ends say it to each other. */
#ifndef CN_ENTRY_H
#define CN_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CN_ENTRY_NAME_SIZE_MAX = 4096,   /* octets of a name, which is a path */
    CN_ENTRY_PART_SIZE_MAX = 255,    /* octets of one part of it, between slashes */
    CN_ENTRY_TARGET_SIZE_MAX = 4095, /* octets of what a symbolic link points to */
    CN_ENTRY_COUNT_MAX = 1000000     /* of one transfer */
};

enum cn_entry_type { CN_ENTRY_FILE = 1, CN_ENTRY_DIRECTORY = 2, CN_ENTRY_LINK = 3 };

struct cn_entry {
    enum cn_entry_type type;
    uint32_t mode;   /* permission bits, at most 0777 */
    uint64_t size;   /* octets; of a directory or link: 0 */
    uint64_t filled; /* of these, what is no hole, as far as its sender knows */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t identity;  /* of a file: other for another file of this name, size and time; opaque */
    const char *name;   /* borrowed; with a NUL after it */
    size_t name_size;   /* octets, without the NUL */
    const char *target; /* of a link, else NULL; borrowed; with a NUL after it */
    size_t target_size;
};

/* Parts of 1 to 255 octets without NUL, none "." nor "..", with one slash between two; 4096 in all.
 */
bool cn_entry_name_valid(const char *name, size_t size);
/* All of it is as said above: nothing that comes from a partner is used before this. */
bool cn_entry_valid(const struct cn_entry *entry);
/* Where the last part of a valid name begins. */
size_t cn_entry_last_part(const char *name, size_t size);
/* Another last part for one that is taken: "a.txt" and 2 make "a (2).txt". What is too long for it
 * is cut before that, between two characters if it is UTF-8. */
void cn_entry_numbered(const char *part, unsigned number, char out[CN_ENTRY_PART_SIZE_MAX + 1]);

#endif
