#include "kem.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    const struct cn_kem_methods *methods;
    unsigned rsa_bits; /* 0: not RSA */
    size_t public_size;
    size_t ciphertext_size;
} kems[CN_KEM_COUNT] = {
    [CN_KEM_NONE] = { "none", NULL, 0, 0, 0 },
    [CN_KEM_X25519] = { "X25519", &cn_kem_x25519, 0, CN_X25519_SIZE, 0 },
    [CN_KEM_RSA2048] = { "RSA-2048", &cn_kem_rsa, 2048, 256, 256 },
    [CN_KEM_RSA3072] = { "RSA-3072", &cn_kem_rsa, 3072, 384, 384 },
    [CN_KEM_RSA4096] = { "RSA-4096", &cn_kem_rsa, 4096, 512, 512 },
    [CN_KEM_RSA8192] = { "RSA-8192", &cn_kem_rsa, 8192, 1024, 1024 },
    [CN_KEM_MLKEM768] = { "ML-KEM-768", &cn_kem_mlkem768, 0, CN_MLKEM768_PUBLIC_SIZE,
                          CN_MLKEM768_CIPHERTEXT_SIZE },
};

static bool kind_known(enum cn_kem kind)
{
    return kind > CN_KEM_NONE && kind < CN_KEM_COUNT;
}

const char *cn_kem_name(enum cn_kem kind)
{
    assert(kind < CN_KEM_COUNT);
    return kems[kind].name;
}

bool cn_kem_is_rsa(enum cn_kem kind)
{
    assert(kind < CN_KEM_COUNT);
    return kems[kind].rsa_bits != 0;
}

enum cn_kem cn_kem_rsa_of(unsigned bits)
{
    for (int kind = CN_KEM_NONE + 1; kind < CN_KEM_COUNT; kind++) {
        if (bits != 0 && kems[kind].rsa_bits == bits)
            return (enum cn_kem)kind;
    }
    return CN_KEM_NONE;
}

size_t cn_kem_public_size(enum cn_kem kind)
{
    assert(kind < CN_KEM_COUNT);
    return kems[kind].public_size;
}

size_t cn_kem_ciphertext_size(enum cn_kem kind)
{
    assert(kind < CN_KEM_COUNT);
    return kems[kind].ciphertext_size;
}

enum cn_err cn_kem_generate(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret)
{
    assert(kind_known(kind));
    return kems[kind].methods->generate(kind, random, secret);
}

enum cn_err cn_kem_public_of(const struct cn_kem_secret *secret, struct cn_kem_public *public)
{
    if (!kind_known(secret->kind) || secret->size > sizeof secret->bytes)
        return CN_E_KEY;
    return kems[secret->kind].methods->public_of(secret, public);
}

enum cn_err cn_kem_check(const struct cn_kem_public *public)
{
    if (!kind_known(public->kind) || public->size != kems[public->kind].public_size)
        return CN_E_KEY;
    return kems[public->kind].methods->check(public);
}

enum cn_err cn_kem_encapsulate(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared)
{
    if (!kind_known(public->kind) || public->size != kems[public->kind].public_size)
        return CN_E_KEY;
    return kems[public->kind].methods->encapsulate(public, binding, random, ciphertext, shared);
}

enum cn_err cn_kem_decapsulate(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, size_t ciphertext_size,
                               struct cn_kem_shared *shared)
{
    if (!kind_known(secret->kind))
        return CN_E_KEY;
    if (ciphertext_size != kems[secret->kind].ciphertext_size)
        return CN_E_FORMAT;
    return kems[secret->kind].methods->decapsulate(secret, binding, random, ciphertext, shared);
}
