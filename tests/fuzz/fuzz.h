/* fuzz.h - what every fuzz target begins with: one input, no leak, abort() is a finding. */
#ifndef CN_FUZZ_H
#define CN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size);

/* Made at the first input, never freed: reachable to the end. */
static inline const struct cn_crypto *fuzz_crypto(void)
{
    static struct cn_crypto crypto;
    static bool made;

    if (!made && cn_crypto_init(&crypto) != CN_OK)
        abort();
    made = true;
    return &crypto;
}

/* A statement that must hold whatever the input. */
static inline void must(bool holds)
{
    if (!holds)
        abort();
}

#endif
