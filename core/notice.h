/* notice.h - what the operator tells subscribers through the server's verdicts: a renewed
 * certificate, new addresses, a new key of the server. PROTOCOL.md 2.12
 *
 * Signed by the operator, so that nobody else can make one, the server neither; numbered, so that
 * an old one never undoes a newer one; bound to one server, and to one subscriber or to all. */
#ifndef CN_NOTICE_H
#define CN_NOTICE_H

#include "certificate.h"
#include "crypto.h"
#include "err.h"
#include "fingerprint.h"

enum {
    CN_NOTICE_VERSION = 1,
    CN_NOTICE_SIZE_MAX = 768, /* of all notices in one verdict together */
    /* version, number, server, admission key, parts, signature: what each has */
    CN_NOTICE_FRAME_SIZE = 1 + 8 + CN_X25519_SIZE + CN_X25519_SIZE + 1 + CN_ED25519_SIGNATURE_SIZE,
    CN_NOTICE_RENEWAL_SIZE = CN_NOTICE_FRAME_SIZE + CN_CERTIFICATE_SIZE,
    /* One for everybody leaves room for a renewal beside it. */
    CN_NOTICE_COMMON_SIZE_MAX = CN_NOTICE_SIZE_MAX - CN_NOTICE_RENEWAL_SIZE
};

/* What it holds; the values are those on the wire, or-ed. */
enum cn_notice_part {
    CN_NOTICE_CERTIFICATE = 1,
    CN_NOTICE_ADDRESSES = 2,
    CN_NOTICE_SERVER_KEY = 4,
    CN_NOTICE_PARTS = 7
};

struct cn_notice {
    uint64_t number;                       /* greater than that of any earlier one; not 0 */
    struct cn_server_public server;        /* its first key, as cn_fingerprint_server */
    uint8_t admission_key[CN_X25519_SIZE]; /* whom it is for; zeros: everybody */
    uint8_t parts;                         /* 1 or more of enum cn_notice_part */
    struct cn_certificate certificate;     /* zeros unless it is a part, as the next */
    size_t address_count;
    char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1];
    struct cn_server_public server_key;
    uint8_t signature[CN_ED25519_SIGNATURE_SIZE];
};

/* Sign and encode. CN_E_FULL: it would be longer than size_max; CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_notice_make(struct cn_notice *notice,
                                       const struct cn_operator_secret *operator_secret,
                                       uint8_t *out, size_t size_max, size_t *size);
/* The next of those in r. CN_E_FORMAT, CN_E_VERSION. Does not verify; *notice is untouched on
 * failure. */
CN_MUST_USE enum cn_err cn_notice_decode(struct cn_notice *notice, struct cn_reader *r);
/* CN_E_AUTH: not signed by this operator, or its certificate is not. */
CN_MUST_USE enum cn_err cn_notice_verify(const struct cn_notice *notice,
                                         const struct cn_operator_public *operator_public);

/* Take it into the fingerprint, whose operator must have signed it. CN_E_KNOWN: it, or a newer one,
 * is in there; CN_E_SERVER: for another server; CN_E_KEY: for another subscriber; CN_E_AUTH. On
 * failure nothing has changed. */
CN_MUST_USE enum cn_err cn_notice_take(const struct cn_notice *notice,
                                       struct cn_fingerprint *fingerprint);

#endif
