#include "transcript_record.h"

#include <string.h>

#include "reader.h"
#include "writer.h"

enum { PART_SITTING = 1, PART_RECORD = 2 };

/* --- keys ----------------------------------------------------------------------------------- */

void cn_transcript_key_encode(const struct cn_transcript_key *key,
                              uint8_t out[CN_TRANSCRIPT_KEY_BODY_SIZE])
{
    out[0] = CN_TRANSCRIPT_VERSION;
    memcpy(out + 1, key->bytes, sizeof key->bytes);
}

enum cn_err cn_transcript_key_decode(struct cn_transcript_key *key, const uint8_t *body,
                                     size_t body_size)
{
    if (body_size > 0 && body[0] != CN_TRANSCRIPT_VERSION)
        return CN_E_VERSION;
    if (body_size != CN_TRANSCRIPT_KEY_BODY_SIZE)
        return CN_E_FORMAT;
    memcpy(key->bytes, body + 1, sizeof key->bytes);
    return CN_OK;
}

/* The key of a sitting is of its nonce and of what was before it: a sitting that is left out, or
 * put elsewhere, opens nothing. */
static enum cn_err sitting_key(const struct cn_crypto *crypto, const struct cn_transcript_key *key,
                               const uint8_t nonce[CN_TRANSCRIPT_NONCE_SIZE],
                               const uint8_t before[CN_AEAD_TAG_SIZE],
                               uint8_t out[CN_AEAD_KEY_SIZE])
{
    const struct cn_item items[] = {
        CN_LABEL("transcript"),
        { CN_ITEM_NONCE, nonce, CN_TRANSCRIPT_NONCE_SIZE },
        { CN_ITEM_TAG, before, CN_AEAD_TAG_SIZE },
    };

    return cn_expand(crypto, CN_SHA256, key->bytes, sizeof key->bytes, items, 3, out,
                     CN_AEAD_KEY_SIZE);
}

static void nonce_make(uint64_t count, uint8_t out[CN_AEAD_NONCE_SIZE])
{
    struct cn_writer w = { .at = out, .left = CN_AEAD_NONCE_SIZE };

    cn_writer_u32be(&w, 0);
    cn_writer_u64be(&w, count);
}

/* --- out ------------------------------------------------------------------------------------ */

enum cn_err cn_transcript_sit(struct cn_transcript_place *place, const struct cn_crypto *crypto,
                              const struct cn_transcript_key *key, const struct cn_random *random,
                              uint8_t out[CN_TRANSCRIPT_SITTING_SIZE])
{
    struct cn_transcript_place p = *place;
    uint8_t *nonce = out + 2;
    uint8_t *before = nonce + CN_TRANSCRIPT_NONCE_SIZE;
    enum cn_err err = cn_random_fill(random, nonce, CN_TRANSCRIPT_NONCE_SIZE);

    out[0] = PART_SITTING;
    out[1] = CN_TRANSCRIPT_VERSION;
    memcpy(before, p.tag, sizeof p.tag);
    if (err == CN_OK)
        err = sitting_key(crypto, key, nonce, before, p.key);
    if (err == CN_OK) {
        p.count = 0;
        p.is_sitting = true;
        *place = p;
    }
    cn_wipe(&p, sizeof p);
    return err;
}

static size_t filled_size(size_t text_size)
{
    size_t size = CN_TRANSCRIPT_META_SIZE + text_size + CN_TRANSCRIPT_BLOCK_SIZE - 1;

    return size - size % CN_TRANSCRIPT_BLOCK_SIZE;
}

/* Lay out what is to be sealed, of size octets. */
static void plain_make(const struct cn_transcript_record *record, uint8_t *out, size_t size)
{
    struct cn_writer w = { .at = out, .left = size };

    cn_writer_u8(&w, (uint8_t)record->kind);
    cn_writer_u64be(&w, record->time_s);
    cn_writer_u32be(&w, (uint32_t)record->text_size);
    cn_writer_bytes(&w, record->text, record->text_size);
    memset(w.at, 0, w.left);
}

enum cn_err cn_transcript_encode(struct cn_transcript_place *place, const struct cn_crypto *crypto,
                                 const struct cn_transcript_record *record, uint8_t *out,
                                 size_t *out_size)
{
    const size_t size = filled_size(record->text_size);
    uint8_t *sealed = out + CN_TRANSCRIPT_HEAD_SIZE;
    struct cn_writer head = { .at = out, .left = CN_TRANSCRIPT_HEAD_SIZE };
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    const struct cn_piece piece = { sealed, size };
    struct cn_cipher cipher = { 0 };
    enum cn_err err;

    if (record->text_size > CN_TRANSCRIPT_TEXT_SIZE_MAX)
        return CN_E_LIMIT;
    cn_writer_u8(&head, PART_RECORD);
    cn_writer_u32be(&head, (uint32_t)(size + CN_AEAD_TAG_SIZE));
    plain_make(record, sealed, size);
    nonce_make(place->count, nonce);
    err = cn_cipher_init(&cipher, crypto, CN_CHACHA20POLY1305, place->key, true);
    if (err == CN_OK)
        err = cn_cipher_seal(&cipher, nonce, out, CN_TRANSCRIPT_HEAD_SIZE, &piece, 1, sealed);
    cn_cipher_wipe(&cipher);
    if (err != CN_OK) {
        cn_wipe(sealed, size);
        return err;
    }
    memcpy(place->tag, sealed + size, sizeof place->tag);
    place->is_known = true;
    place->count++;
    *out_size = CN_TRANSCRIPT_HEAD_SIZE + size + CN_AEAD_TAG_SIZE;
    return CN_OK;
}

/* --- in ------------------------------------------------------------------------------------- */

/* The head of a sitting, if one begins here. CN_E_MORE, CN_E_VERSION, CN_E_CHECKSUM. */
static enum cn_err sitting_take(struct cn_transcript_place *p, const struct cn_crypto *crypto,
                                const struct cn_transcript_key *key, struct cn_reader *r)
{
    static const uint8_t first[CN_AEAD_TAG_SIZE] = { 0 };
    const uint8_t *nonce, *before;

    if (r->left == 0 || r->at[0] != PART_SITTING)
        return CN_OK;
    if (r->left >= 2 && r->at[1] != CN_TRANSCRIPT_VERSION)
        return CN_E_VERSION;
    (void)cn_reader_take(r, 2);
    nonce = cn_reader_take(r, CN_TRANSCRIPT_NONCE_SIZE);
    before = cn_reader_take(r, CN_AEAD_TAG_SIZE);
    if (!cn_reader_ok(r))
        return CN_E_MORE;
    if (p->is_known && !cn_equal_ct(before, p->tag, sizeof p->tag))
        return CN_E_CHECKSUM;
    p->lacks_earlier |= !p->is_known && !cn_equal_ct(before, first, sizeof first);
    p->count = 0;
    p->is_sitting = true;
    return sitting_key(crypto, key, nonce, before, p->key);
}

/* Zeros to the end: what fills a record, and what a power cut may leave of one. */
static bool is_blank(const struct cn_reader *r)
{
    for (size_t i = 0; i < r->left; i++) {
        if (r->at[i] != 0)
            return false;
    }
    return true;
}

static enum cn_err plain_take(const uint8_t *plain, size_t size,
                              struct cn_transcript_record *record)
{
    struct cn_reader r = { .at = plain, .left = size };
    struct cn_transcript_record taken;

    taken.kind = (enum cn_transcript_kind)cn_reader_u8(&r);
    taken.time_s = cn_reader_u64be(&r);
    taken.text_size = cn_reader_u32be(&r);
    taken.text = (const char *)cn_reader_take(&r, taken.text_size);
    if (!cn_reader_ok(&r) || filled_size(taken.text_size) != size ||
        taken.kind < CN_TRANSCRIPT_BEGIN || taken.kind >= CN_TRANSCRIPT_KIND_END)
        return CN_E_FORMAT;
    if (!is_blank(&r))
        return CN_E_FORMAT;
    *record = taken;
    return CN_OK;
}

/* What is sealed, in plain. CN_E_CHECKSUM. */
static enum cn_err unseal(const struct cn_transcript_place *p, const struct cn_crypto *crypto,
                          const uint8_t *head, struct cn_piece sealed, uint8_t *plain)
{
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    const struct cn_aead_call call = { .aead = CN_CHACHA20POLY1305,
                                       .key = p->key,
                                       .nonce = nonce,
                                       .aad = head,
                                       .aad_size = CN_TRANSCRIPT_HEAD_SIZE };
    enum cn_err err;

    nonce_make(p->count, nonce);
    err = cn_aead_open(crypto, &call, sealed.bytes, sealed.size, plain);
    return err == CN_E_AUTH ? CN_E_CHECKSUM : err;
}

/* The sealed part of the record that begins here. */
static enum cn_err record_take(struct cn_reader *r, struct cn_piece *sealed)
{
    const bool blank = is_blank(r);
    uint8_t type = cn_reader_u8(r);
    size_t size = cn_reader_u32be(r);

    if (blank)
        return CN_E_MORE;
    if (!cn_reader_ok(r))
        return type == PART_RECORD ? CN_E_MORE : CN_E_FORMAT;
    if (type != PART_RECORD || size <= CN_AEAD_TAG_SIZE ||
        size > CN_TRANSCRIPT_PLAIN_SIZE_MAX + CN_AEAD_TAG_SIZE ||
        (size - CN_AEAD_TAG_SIZE) % CN_TRANSCRIPT_BLOCK_SIZE != 0)
        return CN_E_FORMAT;
    if (r->left < size)
        return CN_E_MORE;
    *sealed = (struct cn_piece) { cn_reader_take(r, size), size };
    return CN_OK;
}

enum cn_err cn_transcript_decode(struct cn_transcript_place *place, const struct cn_crypto *crypto,
                                 const struct cn_transcript_key *key, struct cn_piece in,
                                 size_t *used, uint8_t *plain, struct cn_transcript_record *record)
{
    struct cn_reader r = { .at = in.bytes, .left = in.size };
    struct cn_transcript_place p = *place;
    struct cn_transcript_record taken = { 0 };
    struct cn_piece sealed = { 0 };
    const uint8_t *head = NULL;
    enum cn_err err = sitting_take(&p, crypto, key, &r);

    if (err == CN_OK) {
        head = r.at;
        err = p.is_sitting || is_blank(&r) ? record_take(&r, &sealed) : CN_E_FORMAT;
    }
    if (err == CN_OK)
        err = unseal(&p, crypto, head, sealed, plain);
    if (err == CN_OK)
        err = plain_take(plain, sealed.size - CN_AEAD_TAG_SIZE, &taken);
    if (err == CN_OK && (taken.kind == CN_TRANSCRIPT_BEGIN) != (p.count == 0))
        err = CN_E_FORMAT;
    if (err == CN_OK) {
        memcpy(p.tag, sealed.bytes + sealed.size - CN_AEAD_TAG_SIZE, sizeof p.tag);
        p.is_known = true;
        p.count++;
        *place = p;
        *record = taken;
        *used = in.size - r.left;
    }
    cn_wipe(&p, sizeof p);
    return err;
}
