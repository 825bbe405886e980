#include <assert.h>
#include <stdalign.h>

#include <api.h>
#include <randombytes.h>

#include "kem_mlkem768.h"

enum { SECRET_SIZE = PQCLEAN_MLKEM768_CLEAN_CRYPTO_SECRETKEYBYTES };

_Static_assert((int)PQCLEAN_MLKEM768_CLEAN_CRYPTO_PUBLICKEYBYTES == (int)CN_MLKEM768_PUBLIC_SIZE,
               "FIPS 203");
_Static_assert((int)PQCLEAN_MLKEM768_CLEAN_CRYPTO_CIPHERTEXTBYTES ==
                   (int)CN_MLKEM768_CIPHERTEXT_SIZE,
               "FIPS 203");

/* api.h leaves these two out. */
int PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(uint8_t *pk, uint8_t *sk,
                                                     const uint8_t *coins);
int PQCLEAN_MLKEM768_CLEAN_crypto_kem_enc_derand(uint8_t *ct, uint8_t *ss, const uint8_t *pk,
                                                 const uint8_t *coins);

const char cn_mlkem768_source[] = "PQClean ml-kem-768/clean";

/* PQClean takes the states of Keccak, which absorb secrets, from malloc, does not wipe them, and
 * calls exit when there are none. It is compiled with these three instead (core/meson.build). It
 * holds one or two states at a time. */
enum { STATE_SIZE = 208, STATE_COUNT = 4 };

void *cn_mlkem768_take(size_t size);
void cn_mlkem768_give(void *state);
_Noreturn void cn_mlkem768_exit(int status);

struct state {
    alignas(max_align_t) uint8_t bytes[STATE_SIZE];
};

static _Thread_local struct {
    struct state state[STATE_COUNT];
    bool used[STATE_COUNT];
} arena;

void *cn_mlkem768_take(size_t size)
{
    assert(size <= STATE_SIZE);
    for (size_t i = 0; i < STATE_COUNT; i++) {
        if (arena.used[i])
            continue;
        arena.used[i] = true;
        return &arena.state[i];
    }
    assert(false && "PQClean holds more states than it did");
    return NULL;
}

void cn_mlkem768_give(void *state)
{
    for (size_t i = 0; i < STATE_COUNT; i++) {
        if (state != &arena.state[i])
            continue;
        cn_wipe(&arena.state[i], sizeof arena.state[i]);
        arena.used[i] = false;
    }
}

_Noreturn void cn_mlkem768_exit(int status)
{
    (void)status;
    assert(false && "cn_mlkem768_take never fails");
}

const void *cn_mlkem768_arena(size_t *size)
{
    *size = sizeof arena;
    return &arena;
}

/* PQClean's functions that draw randomness are linked but never called. */
int randombytes(uint8_t *output, size_t n)
{
    (void)output;
    (void)n;
    assert(false && "the core draws no randomness");
    return -1;
}

enum cn_err cn_mlkem768_public(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                               uint8_t public[CN_MLKEM768_PUBLIC_SIZE])
{
    uint8_t secret[SECRET_SIZE];
    int failed = PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(public, secret, seed);

    cn_wipe(secret, sizeof secret);
    cn_wipe_remains();
    return failed ? CN_E_CRYPTO : CN_OK;
}

enum cn_err cn_mlkem768_encapsulate(const uint8_t public[CN_MLKEM768_PUBLIC_SIZE],
                                    const uint8_t coins[CN_MLKEM768_COINS_SIZE],
                                    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    int failed = PQCLEAN_MLKEM768_CLEAN_crypto_kem_enc_derand(ciphertext, shared, public, coins);

    cn_wipe_remains();
    return failed ? CN_E_CRYPTO : CN_OK;
}

enum cn_err cn_mlkem768_decapsulate(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                                    const uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                    uint8_t shared[CN_KEM_SHARED_SIZE])
{
    uint8_t public[CN_MLKEM768_PUBLIC_SIZE];
    uint8_t secret[SECRET_SIZE];
    int failed = PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(public, secret, seed) ||
                 PQCLEAN_MLKEM768_CLEAN_crypto_kem_dec(shared, ciphertext, secret);

    cn_wipe(secret, sizeof secret);
    cn_wipe_remains();
    return failed ? CN_E_CRYPTO : CN_OK;
}
