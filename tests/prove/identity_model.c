/* identity_model.c - the hash of public keys. */
#include "any.h"
#include "identity.h"

enum cn_err cn_identity_id(const struct cn_crypto *crypto, const struct cn_kem_public *public,
                           const struct cn_kem_public *pq_public, uint8_t id[CN_SHA256_SIZE])
{
    volatile uint8_t last = public->bytes[public->size - 1] ^ pq_public->bytes[pq_public->size - 1];

    (void)crypto;
    (void)last;
    any_octets(id, CN_SHA256_SIZE);
    return any_bool() ? CN_OK : CN_E_CRYPTO;
}
