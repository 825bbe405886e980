/* kem.h - key encapsulation: one interface, three kinds. PROTOCOL.md 2.7
 *
 * X25519 as the handshake uses it: the sender's ephemeral key, which it sends anyway, is the
 * ciphertext, so the ciphertext proper is empty. RSA is RSA-OAEP (RFC 8017 7.1) with SHA-256, MGF1
 * with SHA-256 and a label, of 32 random octets. ML-KEM-768 is FIPS 203.
 *
 * RSA key making and OAEP padding draw their randomness inside libcrypto, which takes none from us;
 * all else comes from the cn_random given. Failure leaves keys untouched. */
#ifndef CN_KEM_H
#define CN_KEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "env.h"
#include "err.h"

enum cn_kem {
    CN_KEM_NONE = 0,
    CN_KEM_X25519 = 1,
    CN_KEM_RSA2048 = 2,
    CN_KEM_RSA3072 = 3,
    CN_KEM_RSA4096 = 4,
    CN_KEM_RSA8192 = 5,
    CN_KEM_MLKEM768 = 6,
    CN_KEM_COUNT
};

enum {
    CN_KEM_SHARED_SIZE = 32,
    CN_MLKEM768_SEED_SIZE = 64, /* FIPS 203's d || z: how the private key is kept */
    CN_MLKEM768_PUBLIC_SIZE = 1184,
    CN_MLKEM768_CIPHERTEXT_SIZE = 1088,
    CN_KEM_PUBLIC_SIZE_MAX = 1184,
    CN_KEM_CIPHERTEXT_SIZE_MAX = 1088,
    CN_KEM_SECRET_SIZE_MAX = 5120 /* RSA-8192 as PKCS #8 DER takes 4.7 KiB */
};

/* X25519: the key. RSA: the modulus, big-endian, exactly its size; the exponent is 65537.
 * ML-KEM-768: the encapsulation key. */
struct cn_kem_public {
    enum cn_kem kind;
    size_t size;
    uint8_t bytes[CN_KEM_PUBLIC_SIZE_MAX];
};

/* X25519: the key. RSA: PKCS #8 DER. ML-KEM-768: the seed. Wipe with cn_wipe. */
struct cn_kem_secret {
    enum cn_kem kind;
    size_t size;
    uint8_t bytes[CN_KEM_SECRET_SIZE_MAX];
};

struct cn_kem_shared {
    uint8_t bytes[CN_KEM_SHARED_SIZE];
};

/* What encapsulation is bound to besides the key; all borrowed. */
struct cn_kem_binding {
    const uint8_t
        *ephemeral;       /* X25519: sender's ephemeral, private to it, public to the receiver */
    const uint8_t *label; /* RSA: the OAEP label */
    size_t label_size;
};

/* "X25519", "RSA-3072", ...; static. */
const char *cn_kem_name(enum cn_kem kind);
bool cn_kem_is_rsa(enum cn_kem kind);
/* The kind of an RSA key of so many bits, or CN_KEM_NONE. */
enum cn_kem cn_kem_rsa_of(unsigned bits);
size_t cn_kem_public_size(enum cn_kem kind);
size_t cn_kem_ciphertext_size(enum cn_kem kind);
/* Where ML-KEM-768 comes from, for `version`; static. */
const char *cn_kem_mlkem768_source(void);

/* A fresh private key. Slow for RSA. CN_E_RANDOM, CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_kem_generate(enum cn_kem kind, const struct cn_random *random,
                                        struct cn_kem_secret *secret);
/* The public key of a private one. CN_E_KEY: not a key of the kind it says; CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_kem_public_of(const struct cn_kem_secret *secret,
                                         struct cn_kem_public *public);
/* CN_E_KEY: wrong size; X25519 of low order; RSA modulus even or not exactly its size; an ML-KEM
 * coefficient of 3329 or more (FIPS 203 7.2). To be asked of every key from outside. */
CN_MUST_USE enum cn_err cn_kem_check(const struct cn_kem_public *public);

/* ciphertext gets cn_kem_ciphertext_size octets. CN_E_KEY, CN_E_RANDOM, CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_kem_encapsulate(const struct cn_kem_public *public,
                                           const struct cn_kem_binding *binding,
                                           const struct cn_random *random, uint8_t *ciphertext,
                                           struct cn_kem_shared *shared);
/* A bad RSA or ML-KEM ciphertext of the right size gives CN_OK and a secret nobody else has, in the
 * same time (implicit rejection). CN_E_FORMAT: wrong size; CN_E_KEY: X25519 ephemeral of low order.
 */
CN_MUST_USE enum cn_err cn_kem_decapsulate(const struct cn_kem_secret *secret,
                                           const struct cn_kem_binding *binding,
                                           const struct cn_random *random,
                                           const uint8_t *ciphertext, size_t ciphertext_size,
                                           struct cn_kem_shared *shared);

/* One kind, for kem.c only: each kem_*.c fills one. */
struct cn_kem_methods {
    enum cn_err (*generate)(enum cn_kem kind, const struct cn_random *random,
                            struct cn_kem_secret *secret);
    enum cn_err (*public_of)(const struct cn_kem_secret *secret, struct cn_kem_public *public);
    enum cn_err (*check)(const struct cn_kem_public *public);
    enum cn_err (*encapsulate)(const struct cn_kem_public *public,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               uint8_t *ciphertext, struct cn_kem_shared *shared);
    enum cn_err (*decapsulate)(const struct cn_kem_secret *secret,
                               const struct cn_kem_binding *binding, const struct cn_random *random,
                               const uint8_t *ciphertext, struct cn_kem_shared *shared);
};

extern const struct cn_kem_methods cn_kem_x25519;
extern const struct cn_kem_methods cn_kem_rsa;
extern const struct cn_kem_methods cn_kem_mlkem768;

#endif
