/* armor.h - armoured text: how keys, cards and fingerprints are kept and handed over.
 * PROTOCOL.md 2.1
 *
 *   -----BEGIN CYPHERNET CARD-----
 *   base64, lines of 64 characters, of: body || checksum
 *   -----END CYPHERNET CARD-----
 *
 * The checksum is 8 octets of SHA-256 over the kind and the body: it tells damage, not forgery.
 * Base64 is done in time that does not depend on the octets, since some bodies are secret. */
#ifndef CN_ARMOR_H
#define CN_ARMOR_H

#include "crypto.h"
#include "err.h"

enum cn_armor_kind {
    CN_ARMOR_CARD = 0,
    CN_ARMOR_FINGERPRINT,
    CN_ARMOR_REQUEST,
    CN_ARMOR_IDENTITY,
    CN_ARMOR_CONTACT,
    CN_ARMOR_ADMISSION_KEY,
    CN_ARMOR_SERVER_KEY,
    CN_ARMOR_OPERATOR_KEY,
    CN_ARMOR_OPERATOR_PUBLIC,
    CN_ARMOR_SERVER_PUBLIC,
    CN_ARMOR_REVOCATIONS,
    CN_ARMOR_STORAGE_KEY,
    CN_ARMOR_SEALED_FILE,
    CN_ARMOR_BACKUP,
    CN_ARMOR_TRANSCRIPT_KEY,
    CN_ARMOR_KIND_COUNT
};

enum {
    CN_ARMOR_BODY_SIZE_MAX = 16384, /* of all kinds but two: */
    CN_ARMOR_REVOCATIONS_BODY_SIZE_MAX = 16777216,
    CN_ARMOR_BACKUP_BODY_SIZE_MAX = 16777216,
    CN_ARMOR_CHECKSUM_SIZE = 8,
    /* Upper bound of the text of a body, its final NUL not counted. */
    CN_ARMOR_TEXT_SIZE_MAX = (CN_ARMOR_BODY_SIZE_MAX + 8 + 2) / 3 * 4 / 64 * 65 + 256
};

/* "CARD", "FINGERPRINT", ...: the words of the BEGIN line; static. */
const char *cn_armor_name(enum cn_armor_kind kind);

/* text gets no NUL. CN_E_FULL: text_size_max is too small, or the body too large. */
CN_MUST_USE enum cn_err cn_armor_encode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                        const uint8_t *body, size_t body_size, char *text,
                                        size_t text_size_max, size_t *text_size);

/* The strict opposite. Blank lines around the block and CR LF line ends are accepted, nothing else.
 * CN_E_ARMOR:     no block of ours, or something beside it, or not base64;
 * CN_E_KIND:      a block of another kind (cn_armor_kind_of tells which);
 * CN_E_TRUNCATED: the text stops before the END line;
 * CN_E_CHECKSUM:  damaged;
 * CN_E_FULL:      the body is longer than body_size_max.
 * On failure body has been wiped and *body_size is untouched. */
CN_MUST_USE enum cn_err cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                        const char *text, size_t text_size, uint8_t *body,
                                        size_t body_size_max, size_t *body_size);

/* The same for a kind whose bodies are large, in the caller's memory: buffer needs
 * CN_ARMOR_CHECKSUM_SIZE octets more than the body. It is wiped on failure. */
CN_MUST_USE enum cn_err cn_armor_decode_large(const struct cn_crypto *crypto,
                                              enum cn_armor_kind kind, const char *text,
                                              size_t text_size, uint8_t *buffer, size_t buffer_size,
                                              size_t *body_size);

/* The checksum of a body, for who hands it over in another way. */
CN_MUST_USE enum cn_err cn_armor_checksum(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                          const uint8_t *body, size_t body_size,
                                          uint8_t out[CN_ARMOR_CHECKSUM_SIZE]);

/* The kind a text says it is; CN_ARMOR_KIND_COUNT if it is none of ours. */
enum cn_armor_kind cn_armor_kind_of(const char *text, size_t text_size);

#endif
