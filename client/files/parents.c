#include "parents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"

int cn_parents_init(struct cn_parents *parents, int root)
{
    struct stat st;

    if (fstat(root, &st) != 0)
        return -1;
    *parents = (struct cn_parents) { .root = root, .root_device = st.st_dev };
    return 0;
}

static void slot_close(struct cn_parent *slot)
{
    if (slot->path)
        close(slot->fd);
    free(slot->path);
    *slot = (struct cn_parent) { 0 };
}

static struct cn_parent *slot_find(struct cn_parents *parents, const char *path, size_t size)
{
    for (size_t i = 0; i < CN_PARENTS_OPEN_MAX; i++) {
        struct cn_parent *slot = &parents->slots[i];

        if (slot->path && slot->size == size && memcmp(slot->path, path, size) == 0)
            return slot;
    }
    return NULL;
}

static struct cn_parent *slot_open(struct cn_parents *parents, const char *path, size_t size)
{
    struct cn_parent made = { .size = size };
    struct cn_parent *slot;
    struct stat st;
    int saved;

    made.fd = cn_beneath_open(parents->root, path, size, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made.fd < 0)
        return NULL;
    made.path = strndup(path, size);
    if (!made.path || fstat(made.fd, &st) != 0) {
        saved = errno;
        free(made.path);
        close(made.fd);
        errno = saved;
        return NULL;
    }
    made.device = st.st_dev;
    slot = &parents->slots[parents->next];
    parents->next = (parents->next + 1) % CN_PARENTS_OPEN_MAX;
    slot_close(slot);
    *slot = made;
    return slot;
}

int cn_parents_open(struct cn_parents *parents, const char *path, size_t size, uint64_t *device)
{
    const struct cn_parent *slot = NULL;

    if (size > 0) {
        slot = slot_find(parents, path, size);
        if (!slot)
            slot = slot_open(parents, path, size);
        if (!slot)
            return -1;
    }
    if (device)
        *device = slot ? slot->device : parents->root_device;
    return slot ? slot->fd : parents->root;
}

void cn_parents_forget(struct cn_parents *parents)
{
    for (size_t i = 0; i < CN_PARENTS_OPEN_MAX; i++)
        slot_close(&parents->slots[i]);
}

void cn_parents_wipe(struct cn_parents *parents)
{
    cn_parents_forget(parents);
    if (parents->root >= 0)
        close(parents->root);
    parents->root = -1;
}
