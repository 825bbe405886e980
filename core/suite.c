#include "suite.h"

#include <string.h>

const struct cn_suite cn_suites[CN_SUITE_COUNT] = {
    { 1, "SHA256-AES256GCM", CN_SHA256, CN_AES256GCM },
    { 2, "SHA256-CHACHA20POLY1305", CN_SHA256, CN_CHACHA20POLY1305 },
    { 3, "SHA512-AES256GCM", CN_SHA512, CN_AES256GCM },
    { 4, "BLAKE2B-CHACHA20POLY1305", CN_BLAKE2B, CN_CHACHA20POLY1305 },
};

const struct cn_suite *cn_suite_by_code(uint16_t code)
{
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        if (cn_suites[i].code == code)
            return &cn_suites[i];
    }
    return NULL;
}

const struct cn_suite *cn_suite_by_name(const char *name)
{
    for (size_t i = 0; i < CN_SUITE_COUNT; i++) {
        if (strcmp(cn_suites[i].name, name) == 0)
            return &cn_suites[i];
    }
    return NULL;
}
