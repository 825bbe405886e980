#include "verified.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum cn_err cn_verified_init(struct cn_verified *verified, const struct cn_crypto *crypto,
                             uint32_t count)
{
    const uint32_t set_count = count / (CN_VERIFIED_PER_SET / 2) + 1;

    *verified = (struct cn_verified) { .crypto = crypto,
                                       .sets = calloc(set_count, sizeof *verified->sets),
                                       .set_count = set_count };
    return verified->sets ? CN_OK : CN_E_MEMORY;
}

void cn_verified_wipe(struct cn_verified *verified)
{
    if (!verified)
        return;
    free(verified->sets);
    *verified = (struct cn_verified) { 0 };
}

void cn_verified_operators_set(struct cn_verified *verified,
                               const struct cn_operator_public *operators, size_t count)
{
    const size_t size = count * sizeof *operators;

    assert(count <= CN_OPERATOR_COUNT_MAX);
    if (count == verified->operator_count && memcmp(operators, verified->operators, size) == 0)
        return;
    memcpy(verified->operators, operators, size);
    verified->operator_count = count;
    if (verified->used)
        memset(verified->sets, 0, verified->set_count * sizeof *verified->sets);
    verified->used = false;
}

/* Nobody chooses what this is for a certificate that gets in: its signature is in it. */
static struct cn_verified_set *set_of(const struct cn_verified *verified,
                                      const uint8_t digest[CN_SHA256_SIZE])
{
    uint32_t word;

    memcpy(&word, digest, sizeof word);
    return &verified->sets[(uint64_t)word * verified->set_count >> 32];
}

/* Where it is in the set; CN_VERIFIED_PER_SET: nowhere. */
static size_t find(const struct cn_verified_set *set, const uint8_t digest[CN_SHA256_SIZE])
{
    size_t at = 0;

    while (at < CN_VERIFIED_PER_SET && memcmp(set->digest[at], digest, CN_SHA256_SIZE) != 0)
        at++;
    return at;
}

/* To the front; what came before the place `at` moves back by one, over what was there. */
static void put_first(struct cn_verified_set *set, size_t at, const uint8_t digest[CN_SHA256_SIZE])
{
    memmove(set->digest[1], set->digest[0], at * CN_SHA256_SIZE);
    memcpy(set->digest[0], digest, CN_SHA256_SIZE);
}

enum cn_err cn_verified_check(void *context, const struct cn_certificate *certificate)
{
    struct cn_verified *verified = context;
    struct cn_verified_set *set;
    uint8_t octets[CN_CERTIFICATE_SIZE];
    uint8_t digest[CN_SHA256_SIZE];
    struct cn_writer w = { .at = octets, .left = sizeof octets };
    size_t at;
    enum cn_err err;

    cn_certificate_encode(certificate, &w);
    assert(cn_writer_ok(&w) && w.left == 0);
    err = cn_hash_two(verified->crypto, CN_SHA256, octets, sizeof octets, NULL, 0, digest);
    if (err != CN_OK)
        return err;
    set = set_of(verified, digest);
    at = find(set, digest);
    if (at == CN_VERIFIED_PER_SET) {
        err = cn_certificate_verify_any(certificate, verified->operators, verified->operator_count);
        at = CN_VERIFIED_PER_SET - 1;
    }
    if (err != CN_OK)
        return err;
    put_first(set, at, digest);
    verified->used = true;
    return CN_OK;
}
