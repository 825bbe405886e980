/* fake_secret.c - in place of client/secret.c: nothing is locked. */
#include "secret.h"

#include <stdlib.h>

#include "crypto.h"
#include "owner.h"
#include "sim.h"

enum { KEPT_COUNT_MAX = 16 };

/* Those that were given back: the next one of that size is such a one, which has its pages. */
static struct kept {
    void *block;
    size_t size;
} kept[KEPT_COUNT_MAX];
static unsigned kept_count;

static void *kept_take(size_t size)
{
    for (unsigned i = 0; i < kept_count; i++) {
        void *block = kept[i].block;

        if (kept[i].size != size)
            continue;
        kept[i] = kept[--kept_count];
        return block;
    }
    return NULL;
}

void *cn_secret_take(size_t size)
{
    void *block = kept_take(size);

    if (!block)
        block = calloc(1, size);
    sim_need(block != NULL);
    owner_running()->secret_octets += size;
    return block;
}

void cn_secret_give(void *block, size_t size)
{
    if (!block)
        return;
    cn_wipe(block, size);
    owner_running()->secret_octets -= size;
    if (kept_count < KEPT_COUNT_MAX)
        kept[kept_count++] = (struct kept) { block, size };
    else
        free(block);
}

int cn_secret_unlocked(const void *block)
{
    (void)block;
    return 0;
}
