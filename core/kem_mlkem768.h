/* kem_mlkem768.h - ML-KEM-768 (FIPS 203) with its randomness as arguments. For kem_mlkem768.c only.
 *
 * Two files fill this in and the build takes one: kem_mlkem768_openssl.c where libcrypto is 3.5 or
 * newer, else kem_mlkem768_pqclean.c. Neither checks keys: kem_mlkem768.c does. */
#ifndef CN_KEM_MLKEM768_H
#define CN_KEM_MLKEM768_H

#include "kem.h"

enum { CN_MLKEM768_COINS_SIZE = 32 };

extern const char cn_mlkem768_source[];

/* What this thread's operations work in: *size octets, all of them zeros between two operations, 0
 * if libcrypto does it. For tests. */
const void *cn_mlkem768_arena(size_t *size);

CN_MUST_USE enum cn_err cn_mlkem768_public(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                                           uint8_t public[CN_MLKEM768_PUBLIC_SIZE]);
CN_MUST_USE enum cn_err cn_mlkem768_encapsulate(const uint8_t public[CN_MLKEM768_PUBLIC_SIZE],
                                                const uint8_t coins[CN_MLKEM768_COINS_SIZE],
                                                uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                                                uint8_t shared[CN_KEM_SHARED_SIZE]);
CN_MUST_USE enum cn_err
cn_mlkem768_decapsulate(const uint8_t seed[CN_MLKEM768_SEED_SIZE],
                        const uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE],
                        uint8_t shared[CN_KEM_SHARED_SIZE]);

#endif
