/* record.h - what passes the joined line after the handshake: AEAD records. PROTOCOL.md 6.1
 *
 *   u16 length of what follows (17 or more) | ciphertext | tag (16)
 *
 * Each direction has its own secret. After exactly 2^16 records the direction goes on to its next
 * generation: new secret, key and IV, counter 0; nothing announces it. */
#ifndef CN_RECORD_H
#define CN_RECORD_H

#include "handshake.h"

enum {
    CN_RECORD_HEAD_SIZE = 2,
    CN_RECORD_EXTRA_SIZE = CN_RECORD_HEAD_SIZE + CN_AEAD_TAG_SIZE,
    CN_RECORD_SIZE_MAX = 65536, /* on the wire, all of it; the size of bulk records */
    CN_RECORD_PLAIN_SIZE_MAX = CN_RECORD_SIZE_MAX - CN_RECORD_EXTRA_SIZE,
    CN_RECORD_GENERATION_COUNT = 65536 /* records in a generation */
};

/* One direction. */
struct cn_record {
    const struct cn_crypto *crypto; /* borrowed */
    const struct cn_suite *suite;
    struct cn_cipher cipher;
    struct cn_traffic_secret secret;
    uint8_t iv[CN_AEAD_NONCE_SIZE];
    uint64_t counter; /* of the next record, in its generation */
    uint32_t generation;
    enum cn_role role; /* of the sender */
    bool seals;
};

/* secret is copied. role: the sender's. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_record_init(struct cn_record *record, const struct cn_crypto *crypto,
                                       const struct cn_suite *suite,
                                       const struct cn_traffic_secret *secret, enum cn_role role,
                                       bool seals);
void cn_record_wipe(struct cn_record *record);

/* The smallest padded size on the wire that holds so many octets of plaintext: 256, 1024, 4096,
 * 16384 or 65536. plain_size is at most CN_RECORD_PLAIN_SIZE_MAX. */
size_t cn_record_wire_size(size_t plain_size);

/* Seal the pieces, in order, and zeros up to wire_size, into out[0..wire_size). CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_record_seal(struct cn_record *record, const struct cn_piece *pieces,
                                       size_t count, size_t wire_size, uint8_t *out);

/* Open the record at the start of in, in place: *plain points into in.
 * CN_OK: *used octets of in were the record. CN_E_MORE: not all there yet.
 * CN_E_FORMAT: impossible length; CN_E_AUTH: forged. The connection is dead then. */
CN_MUST_USE enum cn_err cn_record_open(struct cn_record *record, uint8_t *in, size_t in_size,
                                       const uint8_t **plain, size_t *plain_size, size_t *used);

#endif
