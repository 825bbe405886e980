/* unit.h - what every unit test begins with. */
#ifndef CN_TEST_UNIT_H
#define CN_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The tests of one program share one struct cn_crypto, made by its group's setup. */
static struct cn_crypto crypto;

static int crypto_setup(void **state)
{
    (void)state;
    return cn_crypto_init(&crypto) == CN_OK ? 0 : -1;
}

static int crypto_teardown(void **state)
{
    (void)state;
    cn_crypto_wipe(&crypto);
    return 0;
}

/* Octets that are the same in every run, different for every seed. */
static inline void fill(uint8_t seed, uint8_t *out, size_t size)
{
    uint32_t state = seed + 1U;

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525U + 1013904223U;
        out[i] = (uint8_t)(state >> 24);
    }
}

#define assert_err(expression, expected) assert_string_equal(err_name(expression), #expected)

static inline const char *err_name(enum cn_err err)
{
#define ERR_NAME(name, blame, code, text) \
    case name: \
        return #name;
    switch (err) {
        CN_ERR_TABLE(ERR_NAME)
    case CN_ERR_COUNT:
        break;
    }
#undef ERR_NAME
    return "no error of ours";
}

#endif
