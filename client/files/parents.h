/* parents.h - the directories that entries go into: each looked up once for all that follow. */
#ifndef CN_PARENTS_H
#define CN_PARENTS_H

#include <stddef.h>
#include <stdint.h>

enum { CN_PARENTS_OPEN_MAX = 8 };

struct cn_parents {
    int root; /* descriptor, owned */
    uint64_t root_device;
    struct cn_parent {
        char *path; /* owned; NULL: the slot is free */
        size_t size;
        int fd;
        uint64_t device;
    } slots[CN_PARENTS_OPEN_MAX];
    size_t next; /* the slot that is given up first */
};

/* root: of a directory, owned from here on. -1 and errno. */
int cn_parents_init(struct cn_parents *parents, int root);
/* A descriptor of path[0..size), as cn_beneath_open finds it beneath the root, until the next call;
 * *device, unless NULL, is the one it is on. -1 and errno. */
int cn_parents_open(struct cn_parents *parents, const char *path, size_t size, uint64_t *device);
/* What is open is looked up anew. */
void cn_parents_forget(struct cn_parents *parents);
void cn_parents_wipe(struct cn_parents *parents);

#endif
