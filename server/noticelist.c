#include "noticelist.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Public keys: the time that this takes tells nothing that is secret. */
static int key_order(const void *a, const void *b)
{
    return memcmp(((const struct cn_held_notice *)a)->admission_key,
                  ((const struct cn_held_notice *)b)->admission_key, CN_X25519_SIZE);
}

enum cn_err cn_noticelist_set(struct cn_noticelist *list, const struct cn_held_notice *held,
                              size_t count, const struct cn_common_notice *common)
{
    struct cn_noticelist l = { .by_key = malloc((count + 1) * sizeof *held),
                               .count = count,
                               .common = *common };

    if (!l.by_key)
        return CN_E_MEMORY;
    if (count > 0) {
        memcpy(l.by_key, held, count * sizeof *held);
        qsort(l.by_key, count, sizeof *held, key_order);
    }
    cn_noticelist_wipe(list);
    *list = l;
    return CN_OK;
}

void cn_noticelist_wipe(struct cn_noticelist *list)
{
    if (!list)
        return;
    free(list->by_key);
    *list = (struct cn_noticelist) { 0 };
}

static const struct cn_held_notice *find(const struct cn_noticelist *list,
                                         const struct cn_certificate *holder)
{
    struct cn_held_notice wanted = { .number = 0 };
    const struct cn_held_notice *found = NULL;

    memcpy(wanted.admission_key, holder->admission_key, CN_X25519_SIZE);
    if (list->count > 0)
        found = bsearch(&wanted, list->by_key, list->count, sizeof wanted, key_order);
    return found && (found->serial == 0 || found->serial != holder->serial) ? found : NULL;
}

static void put(struct cn_writer *w, const uint8_t *octets, size_t size)
{
    cn_writer_bytes(w, octets, size);
    assert(cn_writer_ok(w));
}

size_t cn_noticelist_pick(const struct cn_noticelist *list, const struct cn_certificate *holder,
                          uint8_t out[CN_NOTICE_SIZE_MAX])
{
    const struct cn_held_notice *own = find(list, holder);
    const struct cn_common_notice *common = &list->common;
    struct cn_writer w = { .at = out, .left = CN_NOTICE_SIZE_MAX };

    if (own && own->number < common->number)
        put(&w, own->octets, own->size);
    put(&w, common->octets, common->size);
    if (own && own->number >= common->number)
        put(&w, own->octets, own->size);
    return CN_NOTICE_SIZE_MAX - w.left;
}
