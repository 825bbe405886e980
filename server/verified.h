/* verified.h - which certificates the operators are known to have signed: a subscriber who comes
 * back is admitted without verifying its signature again, which costs as much as three agreements.
 *
 * A fixed number of digests of whole certificates, signature included, in sets; a new one drives
 * out the one of its set that was asked for longest ago. Only what was verified gets in, so that
 * nobody without an operator's signature drives out anybody. Dates and revocation are not judged
 * here: they are others' business each time. */
#ifndef CN_VERIFIED_H
#define CN_VERIFIED_H

#include "certificate.h"
#include "settings.h"

enum { CN_VERIFIED_PER_SET = 8 };

/* 256 octets; the one asked for last comes first. All zero: none. */
struct cn_verified_set {
    uint8_t digest[CN_VERIFIED_PER_SET][CN_SHA256_SIZE];
};

struct cn_verified {
    const struct cn_crypto *crypto; /* borrowed */
    struct cn_operator_public operators[CN_OPERATOR_COUNT_MAX];
    size_t operator_count;
    struct cn_verified_set *sets; /* owned */
    uint32_t set_count;
    bool used; /* else nothing was ever put in, and no page of sets was touched */
};

/* Room for twice count certificates, 64 octets for each of count. No operator counts yet.
 * CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_verified_init(struct cn_verified *verified,
                                         const struct cn_crypto *crypto, uint32_t count);
void cn_verified_wipe(struct cn_verified *verified);
/* Whose signatures count from now on (copied). If they are others than before, all is forgotten. */
void cn_verified_operators_set(struct cn_verified *verified,
                               const struct cn_operator_public *operators, size_t count);
/* A cn_certificate_check; context is a struct cn_verified. CN_OK: one of the operators signed it.
 * CN_E_AUTH: none did. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_verified_check(void *context, const struct cn_certificate *certificate);

#endif
