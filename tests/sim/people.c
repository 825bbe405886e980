#include "people.h"

#include "sim.h"

static struct cn_crypto crypto;
static struct subscriber *made[PEOPLE_KEYS_COUNT][PEOPLE_SUITE_COUNT];

void people_init(void)
{
    sim_need(cn_crypto_init(&crypto) == CN_OK);
}

const struct cn_crypto *people_crypto(void)
{
    return &crypto;
}

static struct subscriber *make(enum people_keys keys, uint16_t suite)
{
    static const enum cn_kem kinds[PEOPLE_KEYS_COUNT][2] = {
        [PEOPLE_X25519] = { CN_KEM_X25519, CN_KEM_X25519 },
        [PEOPLE_MIXED] = { CN_KEM_X25519, CN_KEM_RSA2048 },
        [PEOPLE_RSA] = { CN_KEM_RSA2048, CN_KEM_RSA2048 },
    };
    uint64_t state = suite;
    const struct cn_random seeded = { seeded_fill, &state };
    struct subscriber *two = calloc(2, sizeof *two);

    sim_need(two != NULL);
    subscribers_load(two, &crypto, &seeded, kinds[keys], suite);
    return two;
}

const struct subscriber *people(enum people_keys keys, uint16_t suite)
{
    struct subscriber **two = &made[keys][suite - 1];

    if (!*two)
        *two = make(keys, suite);
    return *two;
}
