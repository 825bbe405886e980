/* F1 and F2 of a partner, which open to any octets, at an end with an identity of KIND. */
#include "handshake.h"
#include "any.h"

static enum cn_err any_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    any_octets(out, size);
    return any_bool() ? CN_OK : CN_E_RANDOM;
}

static const struct cn_random random = { any_fill, NULL };

int main(void)
{
    static struct cn_identity identity;
    static struct cn_pair pair;
    static struct cn_handshake handshake;
    static uint8_t prologue[CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE];
    static uint8_t answer[CN_ANSWER_SIZE];
    static uint8_t in[CN_PROLOGUE_SIZE];
    const struct cn_crypto crypto = { 0 };
    struct cn_handshake_setup setup = { .crypto = &crypto,
                                        .random = &random,
                                        .identity = &identity,
                                        .pair = &pair,
                                        .service = CN_SERVICE_TALK,
                                        .caller = CN_ROLE_A };
    struct cn_call_keys keys;

    identity.public.kind = KIND;
    identity.public.size = cn_kem_public_size(identity.public.kind);
    identity.secret.kind = identity.public.kind;
    identity.pq_public.kind = CN_KEM_MLKEM768;
    identity.pq_public.size = CN_MLKEM768_PUBLIC_SIZE;
    identity.pq_secret.kind = CN_KEM_MLKEM768;
    identity.pq_secret.size = CN_MLKEM768_SEED_SIZE;
    pair.their_public = identity.public;
    pair.their_pq_public = identity.pq_public;
    pair.role = any_bool() ? CN_ROLE_A : CN_ROLE_B;
    pair.suite = &cn_suites[0];
    any_octets(in, sizeof in);
    if (cn_handshake_start(&handshake, &setup, prologue) != CN_OK)
        return 1;
    if (cn_handshake_prologue(&handshake, in, answer) != CN_OK)
        return 1;
    return cn_handshake_answer(&handshake, in, &keys) != CN_OK;
}
