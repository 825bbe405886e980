#include "record.h"

#include <assert.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

enum { AAD_SIZE = CN_RECORD_HEAD_SIZE + 4 + 1, PIECE_COUNT_MAX = 32 };

static const size_t wire_sizes[] = { 256, 1024, 4096, 16384, CN_RECORD_SIZE_MAX };

/* Expand(secret, label) */
static enum cn_err expand(const struct cn_record *record, struct cn_item label, uint8_t *out,
                          size_t out_size)
{
    return cn_expand(record->crypto, record->suite->hash, record->secret.bytes,
                     cn_hash_size(record->suite->hash), &label, 1, out, out_size);
}

/* Key and IV of the secret in place; the cipher is made anew. */
static enum cn_err rekey(struct cn_record *record)
{
    uint8_t key[CN_AEAD_KEY_SIZE];
    enum cn_err err = expand(record, (struct cn_item)CN_LABEL("key"), key, sizeof key);

    if (err == CN_OK)
        err = expand(record, (struct cn_item)CN_LABEL("iv"), record->iv, sizeof record->iv);
    cn_cipher_wipe(&record->cipher);
    if (err == CN_OK)
        err = cn_cipher_init(&record->cipher, record->crypto, record->suite->aead, key,
                             record->seals);
    cn_wipe(key, sizeof key);
    return err;
}

enum cn_err cn_record_init(struct cn_record *record, const struct cn_crypto *crypto,
                           const struct cn_suite *suite, const struct cn_traffic_secret *secret,
                           enum cn_role role, bool seals)
{
    struct cn_record r = {
        .crypto = crypto, .suite = suite, .secret = *secret, .role = role, .seals = seals
    };
    enum cn_err err = rekey(&r);

    if (err == CN_OK)
        *record = r;
    else
        cn_record_wipe(&r);
    cn_wipe(&r.secret, sizeof r.secret);
    return err;
}

void cn_record_wipe(struct cn_record *record)
{
    if (!record)
        return;
    cn_cipher_wipe(&record->cipher);
    cn_wipe(record, sizeof *record);
    cn_wipe_remains();
}

size_t cn_record_wire_size(size_t plain_size)
{
    size_t i = 0;

    assert(plain_size <= CN_RECORD_PLAIN_SIZE_MAX);
    while (wire_sizes[i] < plain_size + CN_RECORD_EXTRA_SIZE)
        i++;
    return wire_sizes[i];
}

static void aad_make(const struct cn_record *record, size_t length, uint8_t aad[AAD_SIZE])
{
    struct cn_writer w = { .at = aad, .left = AAD_SIZE };

    cn_writer_u16be(&w, (uint16_t)length);
    cn_writer_u32be(&w, record->generation);
    cn_writer_u8(&w, (uint8_t)record->role);
}

/* IV XOR (32 zero bits, counter) */
static void nonce_make(const struct cn_record *record, uint8_t nonce[CN_AEAD_NONCE_SIZE])
{
    memcpy(nonce, record->iv, CN_AEAD_NONCE_SIZE);
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(record->counter >> (56 - 8 * i));
}

/* One record is done: count it, and at the end of a generation take the next secret. */
static enum cn_err advance(struct cn_record *record)
{
    struct cn_traffic_secret next;
    enum cn_err err;

    if (++record->counter < CN_RECORD_GENERATION_COUNT)
        return CN_OK;
    err = expand(record, (struct cn_item)CN_LABEL("next"), next.bytes,
                 cn_hash_size(record->suite->hash));
    if (err == CN_OK) {
        memcpy(record->secret.bytes, next.bytes, cn_hash_size(record->suite->hash));
        record->counter = 0;
        record->generation++;
        err = rekey(record);
    }
    cn_wipe(&next, sizeof next);
    return err;
}

enum cn_err cn_record_seal(struct cn_record *record, const struct cn_piece *pieces, size_t count,
                           size_t wire_size, uint8_t *out)
{
    struct cn_piece all[PIECE_COUNT_MAX + 1];
    uint8_t aad[AAD_SIZE];
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    struct cn_writer head = { .at = out, .left = CN_RECORD_HEAD_SIZE };
    size_t plain_size = wire_size - CN_RECORD_EXTRA_SIZE;
    size_t used = 0;
    enum cn_err err;

    assert(count <= PIECE_COUNT_MAX && wire_size > CN_RECORD_EXTRA_SIZE &&
           wire_size <= CN_RECORD_SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        all[i] = pieces[i];
        used += pieces[i].size;
    }
    assert(used <= plain_size);
    /* the padding is written where its ciphertext will go */
    memset(out + CN_RECORD_HEAD_SIZE + used, 0, plain_size - used);
    all[count] = (struct cn_piece) { out + CN_RECORD_HEAD_SIZE + used, plain_size - used };

    cn_writer_u16be(&head, (uint16_t)(wire_size - CN_RECORD_HEAD_SIZE));
    aad_make(record, wire_size - CN_RECORD_HEAD_SIZE, aad);
    nonce_make(record, nonce);
    err = cn_cipher_seal(&record->cipher, nonce, aad, sizeof aad, all, count + 1,
                         out + CN_RECORD_HEAD_SIZE);
    return err == CN_OK ? advance(record) : err;
}

enum cn_err cn_record_open(struct cn_record *record, uint8_t *in, size_t in_size,
                           const uint8_t **plain, size_t *plain_size, size_t *used)
{
    struct cn_reader r = { .at = in, .left = in_size };
    size_t length = cn_reader_u16be(&r);
    uint8_t *body;
    uint8_t aad[AAD_SIZE];
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    enum cn_err err;

    if (!cn_reader_ok(&r))
        return CN_E_MORE;
    if (length <= CN_AEAD_TAG_SIZE)
        return CN_E_FORMAT;
    if (r.left < length)
        return CN_E_MORE;
    body = in + CN_RECORD_HEAD_SIZE;
    aad_make(record, length, aad);
    nonce_make(record, nonce);
    err = cn_cipher_open(&record->cipher, nonce, aad, sizeof aad, body, length, body);
    if (err == CN_OK)
        err = advance(record);
    if (err != CN_OK)
        return err;
    *plain = body;
    *plain_size = length - CN_AEAD_TAG_SIZE;
    *used = CN_RECORD_HEAD_SIZE + length;
    return CN_OK;
}
