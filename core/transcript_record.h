/* transcript_record.h - what was said in talks, as it is kept: records that are only ever added,
 * each under the key of its sitting. PROTOCOL.md 2.18
 *
 * Pure. A record that is changed, left out, put elsewhere or said twice does not open; one that
 * stops short is told from one that is damaged. */
#ifndef CN_TRANSCRIPT_RECORD_H
#define CN_TRANSCRIPT_RECORD_H

#include <cyphernet/transcript.h>

#include "crypto.h"

enum {
    CN_TRANSCRIPT_VERSION = 1,
    CN_TRANSCRIPT_KEY_SIZE = 32,
    CN_TRANSCRIPT_KEY_BODY_SIZE = 1 + CN_TRANSCRIPT_KEY_SIZE, /* in its file */
    CN_TRANSCRIPT_NONCE_SIZE = 32,
    CN_TRANSCRIPT_SITTING_SIZE = 2 + CN_TRANSCRIPT_NONCE_SIZE + CN_AEAD_TAG_SIZE,
    CN_TRANSCRIPT_HEAD_SIZE = 1 + 4,     /* of a record */
    CN_TRANSCRIPT_META_SIZE = 1 + 8 + 4, /* before its text */
    CN_TRANSCRIPT_BLOCK_SIZE = 64,       /* what is sealed is filled up to a multiple */
    CN_TRANSCRIPT_PLAIN_SIZE_MAX =
        (CN_TRANSCRIPT_META_SIZE + CN_TRANSCRIPT_TEXT_SIZE_MAX + CN_TRANSCRIPT_BLOCK_SIZE - 1) /
        CN_TRANSCRIPT_BLOCK_SIZE * CN_TRANSCRIPT_BLOCK_SIZE,
    CN_TRANSCRIPT_PART_SIZE_MAX =
        CN_TRANSCRIPT_HEAD_SIZE + CN_TRANSCRIPT_PLAIN_SIZE_MAX + CN_AEAD_TAG_SIZE
};

struct cn_transcript_key {
    uint8_t bytes[CN_TRANSCRIPT_KEY_SIZE];
};

/* Where who reads or writes is. Zeroed: before the first record, of which nothing is known. It is
 * secret: wipe it. */
struct cn_transcript_place {
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint64_t count;                /* records of this sitting */
    uint8_t tag[CN_AEAD_TAG_SIZE]; /* of the last record */
    bool is_known;                 /* there was one */
    bool is_sitting;
    bool lacks_earlier; /* what was read begins with a sitting that is not the first */
};

/* out: as much as that. A key's file is armoured, TRANSCRIPT KEY. */
void cn_transcript_key_encode(const struct cn_transcript_key *key,
                              uint8_t out[CN_TRANSCRIPT_KEY_BODY_SIZE]);
/* CN_E_VERSION, CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_transcript_key_decode(struct cn_transcript_key *key, const uint8_t *body,
                                                 size_t body_size);

/* Begin a sitting behind what is there; its first record is to be BEGIN. CN_E_RANDOM, CN_E_CRYPTO.
 */
CN_MUST_USE enum cn_err cn_transcript_sit(struct cn_transcript_place *place,
                                          const struct cn_crypto *crypto,
                                          const struct cn_transcript_key *key,
                                          const struct cn_random *random,
                                          uint8_t out[CN_TRANSCRIPT_SITTING_SIZE]);
/* The next record; out holds CN_TRANSCRIPT_PART_SIZE_MAX. CN_E_LIMIT: too much text; CN_E_CRYPTO.
 */
CN_MUST_USE enum cn_err cn_transcript_encode(struct cn_transcript_place *place,
                                             const struct cn_crypto *crypto,
                                             const struct cn_transcript_record *record,
                                             uint8_t *out, size_t *out_size);
/* The next record, over *used octets of in; its text is put into plain, which holds
 * CN_TRANSCRIPT_PLAIN_SIZE_MAX and is secret. CN_E_MORE: it stops short; CN_E_FORMAT, CN_E_VERSION;
 * CN_E_CHECKSUM: changed, or not the next. On failure *place is as it was. */
CN_MUST_USE enum cn_err cn_transcript_decode(struct cn_transcript_place *place,
                                             const struct cn_crypto *crypto,
                                             const struct cn_transcript_key *key,
                                             struct cn_piece in, size_t *used, uint8_t *plain,
                                             struct cn_transcript_record *record);

#endif
