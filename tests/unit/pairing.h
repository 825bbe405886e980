/* pairing.h - two subscribers who hold each other's cards, for tests of calls. */
#ifndef CN_TEST_PAIRING_H
#define CN_TEST_PAIRING_H

#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "seeded.h"

static inline void *heap_take(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static inline void heap_give(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

static const struct cn_memory heap = { heap_take, heap_give, NULL };

struct subscriber {
    struct cn_identity identity;
    struct cn_card card;
    struct cn_pair pair;
};

/* Two X25519 subscribers of one server; suite 0: all. Failure aborts. */
static inline void pairing_make(struct subscriber two[2], const struct cn_crypto *with,
                                const struct cn_random *random, const enum cn_kem kinds[2],
                                uint16_t suite)
{
    static const struct cn_server_public server = { { 9 } };
    const struct cn_card_terms terms = { "partner", &server, NULL, suite ? &suite : NULL, 1 };
    enum cn_err err = CN_OK;

    for (int i = 0; i < 2 && err == CN_OK; i++) {
        err = cn_identity_create(&two[i].identity, with, kinds[i], random);
        if (err == CN_OK)
            err = cn_card_create(&two[i].card, with, &two[i].identity, &terms, random);
    }
    for (int i = 0; i < 2 && err == CN_OK; i++)
        err = cn_pair_create(&two[i].pair, with, &two[i].identity, &two[i].card, &two[1 - i].card);
    if (err != CN_OK)
        abort();
}

#endif
