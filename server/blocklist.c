#include "blocklist.h"

#include <stdlib.h>
#include <string.h>

static int serial_order(const void *a, const void *b)
{
    uint64_t x = ((const struct cn_blocked *)a)->serial;
    uint64_t y = ((const struct cn_blocked *)b)->serial;

    return (x > y) - (x < y);
}

static int who_order(const void *a, const void *b)
{
    uint64_t x = ((const struct cn_blocked *)a)->who;
    uint64_t y = ((const struct cn_blocked *)b)->who;

    return (x > y) - (x < y);
}

static struct cn_blocked *copy_in_order(const struct cn_blocked *blocked, size_t count,
                                        int order(const void *, const void *))
{
    struct cn_blocked *copy = malloc((count + 1) * sizeof *copy);

    if (copy && count > 0) {
        memcpy(copy, blocked, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, order);
    }
    return copy;
}

enum cn_err cn_blocklist_set(struct cn_blocklist *list, const struct cn_blocked *blocked,
                             size_t count)
{
    struct cn_blocklist l = { copy_in_order(blocked, count, serial_order),
                              copy_in_order(blocked, count, who_order), count };

    if (!l.by_serial || !l.by_who) {
        cn_blocklist_wipe(&l);
        return CN_E_MEMORY;
    }
    cn_blocklist_wipe(list);
    *list = l;
    return CN_OK;
}

void cn_blocklist_wipe(struct cn_blocklist *list)
{
    if (!list)
        return;
    free(list->by_serial);
    free(list->by_who);
    *list = (struct cn_blocklist) { 0 };
}

const struct cn_blocked *cn_blocklist_find(const struct cn_blocklist *list, uint64_t serial,
                                           uint64_t who)
{
    struct cn_blocked wanted = { .serial = serial, .who = who };
    const struct cn_blocked *found;

    if (list->count == 0)
        return NULL;
    found = bsearch(&wanted, list->by_serial, list->count, sizeof wanted, serial_order);
    if (!found)
        found = bsearch(&wanted, list->by_who, list->count, sizeof wanted, who_order);
    return found;
}
