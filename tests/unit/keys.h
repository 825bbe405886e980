/* keys.h - the identities of tests/keys: secret to nobody, and RSA keys are slow to make. */
#ifndef CN_TEST_KEYS_H
#define CN_TEST_KEYS_H

#include <stdio.h>
#include <stdlib.h>

#include "armor.h"
#include "identity.h"

static const char *const identity_files[CN_KEM_COUNT] = {
    [CN_KEM_X25519] = "tests/keys/x25519.identity",
    [CN_KEM_RSA2048] = "tests/keys/rsa2048.identity",
    [CN_KEM_RSA3072] = "tests/keys/rsa3072.identity",
    [CN_KEM_RSA4096] = "tests/keys/rsa4096.identity",
    [CN_KEM_RSA8192] = "tests/keys/rsa8192.identity",
};

static inline size_t identity_text(enum cn_kem kind, char text[CN_ARMOR_TEXT_SIZE_MAX])
{
    FILE *file = fopen(identity_files[kind], "rb");
    size_t size;

    if (!file)
        abort();
    size = fread(text, 1, CN_ARMOR_TEXT_SIZE_MAX, file);
    fclose(file);
    return size;
}

/* Failure aborts. */
static inline void identity_load(const struct cn_crypto *with, enum cn_kem kind,
                                 struct cn_identity *identity)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = identity_text(kind, text);

    if (cn_identity_decode(identity, with, text, size) != CN_OK || identity->public.kind != kind)
        abort();
}

/* Another identity of the same kind: other keys, but the same RSA key, since one is slow to make.
 */
static inline void identity_vary(const struct cn_crypto *with, struct cn_identity *identity)
{
    identity->pq_secret.bytes[0] ^= 1;
    if (identity->secret.kind == CN_KEM_X25519)
        identity->secret.bytes[1] ^= 1;
    if (cn_kem_public_of(&identity->secret, &identity->public) != CN_OK ||
        cn_kem_public_of(&identity->pq_secret, &identity->pq_public) != CN_OK ||
        cn_identity_id(with, &identity->public, &identity->pq_public, identity->id) != CN_OK)
        abort();
}

#endif
