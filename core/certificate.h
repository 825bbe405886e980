/* certificate.h - what the operator signs for a subscriber's admission key. PROTOCOL.md 2.3 */
#ifndef CN_CERTIFICATE_H
#define CN_CERTIFICATE_H

#include "crypto.h"
#include "err.h"
#include "reader.h"
#include "writer.h"

enum {
    CN_CERTIFICATE_VERSION = 1,
    /* version, serial, admission key, not-before, not-after, limits class, signature */
    CN_CERTIFICATE_SIZE = 1 + 8 + CN_X25519_SIZE + 8 + 8 + 1 + CN_ED25519_SIGNATURE_SIZE
};

/* The operator's signing key: an Ed25519 seed. Wipe with cn_wipe. */
struct cn_operator_secret {
    uint8_t bytes[CN_ED25519_SEED_SIZE];
};

struct cn_operator_public {
    uint8_t bytes[CN_ED25519_PUBLIC_SIZE];
};

struct cn_certificate {
    uint64_t serial;
    uint8_t admission_key[CN_X25519_SIZE]; /* public */
    uint64_t not_before;                   /* UTC, seconds since 1970; first valid second */
    uint64_t not_after;                    /* first second no longer valid */
    uint8_t limits_class;                  /* 0: the server's defaults */
    uint8_t signature[CN_ED25519_SIGNATURE_SIZE];
};

/* Sets the signature. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_certificate_sign(struct cn_certificate *certificate,
                                            const struct cn_operator_secret *operator_secret);
/* CN_E_AUTH: not signed by this operator. Says nothing about dates. */
CN_MUST_USE enum cn_err cn_certificate_verify(const struct cn_certificate *certificate,
                                              const struct cn_operator_public *operator_public);
/* CN_OK: signed by one of these. CN_E_AUTH: by none. */
CN_MUST_USE enum cn_err cn_certificate_verify_any(const struct cn_certificate *certificate,
                                                  const struct cn_operator_public *operators,
                                                  size_t operator_count);
/* What answers the same for an owner who knows the operators. */
typedef enum cn_err cn_certificate_check(void *context, const struct cn_certificate *certificate);

void cn_certificate_encode(const struct cn_certificate *certificate, struct cn_writer *w);
/* CN_E_FORMAT: cut short, or not_after <= not_before; CN_E_VERSION. Does not verify. */
CN_MUST_USE enum cn_err cn_certificate_decode(struct cn_certificate *certificate,
                                              struct cn_reader *r);

#endif
