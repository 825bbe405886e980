#include "revocations.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "armor.h"

static const char label[] = "cyphernet/1 revocations";

enum {
    LABEL_SIZE = sizeof label - 1,
    ITEM_HEAD_SIZE = 5,
    SIGNED_SIZE = 2 * ITEM_HEAD_SIZE + LABEL_SIZE + CN_SHA256_SIZE,
    HEAD_SIZE = 1 + 8 + CN_ED25519_PUBLIC_SIZE + CN_X25519_SIZE,
    BLOCKED_SIZE = 8 + CN_X25519_SIZE + 1,
    NOTICE_HEAD_SIZE = 2
};

static const uint8_t everybody[CN_X25519_SIZE] = { 0 };

void cn_revocations_wipe(struct cn_revocations *revocations)
{
    if (!revocations)
        return;
    free(revocations->blocked);
    free(revocations->held);
    *revocations = (struct cn_revocations) { 0 };
}

/* What the signature covers: the label and a hash of the fields, as items. */
static enum cn_err signed_encode(const struct cn_crypto *crypto, const uint8_t *fields, size_t size,
                                 uint8_t out[SIGNED_SIZE])
{
    const struct cn_item items[] = { CN_LABEL("revocations"), { CN_ITEM_MESSAGE, fields, size } };
    struct cn_writer w = { .at = out, .left = SIGNED_SIZE };
    uint8_t hash[CN_SHA256_SIZE];
    enum cn_err err = cn_hash_items(crypto, CN_SHA256, items, 2, hash);

    if (err != CN_OK)
        return err;
    cn_writer_u8(&w, CN_ITEM_LABEL);
    cn_writer_u32be(&w, LABEL_SIZE);
    cn_writer_bytes(&w, label, LABEL_SIZE);
    cn_writer_u8(&w, CN_ITEM_HASH);
    cn_writer_u32be(&w, sizeof hash);
    cn_writer_bytes(&w, hash, sizeof hash);
    assert(cn_writer_ok(&w) && w.left == 0);
    return CN_OK;
}

/* --- encoding -------------------------------------------------------------------------------- */

static size_t fields_size(const struct cn_revocations *r)
{
    size_t size = HEAD_SIZE + 4 + r->blocked_count * BLOCKED_SIZE + 4;

    if (r->common.size > 0)
        size += NOTICE_HEAD_SIZE + r->common.size;
    for (size_t i = 0; i < r->held_count; i++)
        size += (size_t)NOTICE_HEAD_SIZE + r->held[i].size;
    return size;
}

static void notice_encode(struct cn_writer *w, const uint8_t *octets, uint16_t size)
{
    cn_writer_u16be(w, size);
    cn_writer_bytes(w, octets, size);
}

static void fields_encode(const struct cn_revocations *r, struct cn_writer *w)
{
    cn_writer_u8(w, CN_REVOCATIONS_VERSION);
    cn_writer_u64be(w, r->number);
    cn_writer_bytes(w, r->operator_key.bytes, sizeof r->operator_key.bytes);
    cn_writer_bytes(w, r->server.bytes, sizeof r->server.bytes);
    cn_writer_u32be(w, (uint32_t)r->blocked_count);
    for (size_t i = 0; i < r->blocked_count; i++) {
        cn_writer_u64be(w, r->blocked[i].serial);
        cn_writer_bytes(w, r->blocked[i].admission_key, CN_X25519_SIZE);
        cn_writer_u8(w, (uint8_t)r->blocked[i].reason);
    }
    cn_writer_u32be(w, (uint32_t)(r->held_count + (r->common.size > 0)));
    if (r->common.size > 0)
        notice_encode(w, r->common.octets, r->common.size);
    for (size_t i = 0; i < r->held_count; i++)
        notice_encode(w, r->held[i].octets, r->held[i].size);
}

static enum cn_err body_encode(const struct cn_crypto *crypto, const struct cn_revocations *r,
                               const struct cn_operator_secret *operator_secret, uint8_t *body,
                               size_t body_size)
{
    struct cn_writer w = { .at = body, .left = body_size - CN_ED25519_SIGNATURE_SIZE };
    uint8_t message[SIGNED_SIZE];
    enum cn_err err;

    fields_encode(r, &w);
    assert(cn_writer_ok(&w) && w.left == 0);
    err = signed_encode(crypto, body, body_size - CN_ED25519_SIGNATURE_SIZE, message);
    return err == CN_OK ? cn_ed25519_sign(operator_secret->bytes, message, sizeof message, w.at)
                        : err;
}

enum cn_err cn_revocations_encode(const struct cn_crypto *crypto,
                                  const struct cn_revocations *revocations,
                                  const struct cn_operator_secret *operator_secret, char **text,
                                  size_t *text_size)
{
    size_t body_size = fields_size(revocations) + CN_ED25519_SIGNATURE_SIZE;
    size_t text_size_max = (body_size + CN_ARMOR_CHECKSUM_SIZE + 2) / 3 * 4 / 64 * 65 + 512;
    uint8_t *body;
    char *made;
    enum cn_err err = CN_E_MEMORY;

    if (body_size > CN_ARMOR_REVOCATIONS_BODY_SIZE_MAX)
        return CN_E_FULL;
    body = malloc(body_size);
    made = malloc(text_size_max);
    if (body && made)
        err = body_encode(crypto, revocations, operator_secret, body, body_size);
    if (err == CN_OK)
        err = cn_armor_encode(crypto, CN_ARMOR_REVOCATIONS, body, body_size, made, text_size_max,
                              text_size);
    free(body);
    if (err == CN_OK)
        *text = made;
    else
        free(made);
    return err;
}

/* --- decoding -------------------------------------------------------------------------------- */

static enum cn_err blocked_decode(struct cn_revocations *out, struct cn_reader *r)
{
    uint64_t last = 0;

    out->blocked_count = cn_reader_u32be(r);
    if (!cn_reader_ok(r) || out->blocked_count > r->left / BLOCKED_SIZE)
        return CN_E_FORMAT;
    out->blocked = calloc(out->blocked_count + 1, sizeof *out->blocked);
    if (!out->blocked)
        return CN_E_MEMORY;
    for (size_t i = 0; i < out->blocked_count; i++) {
        struct cn_blocked *b = &out->blocked[i];
        uint8_t reason;

        b->serial = cn_reader_u64be(r);
        cn_reader_copy(r, b->admission_key, sizeof b->admission_key);
        reason = cn_reader_u8(r);
        if (b->serial <= last || b->serial > INT64_MAX ||
            (reason != CN_VERDICT_REVOKED && reason != CN_VERDICT_SUSPENDED))
            return CN_E_FORMAT;
        b->reason = (enum cn_verdict)reason;
        last = b->serial;
    }
    return CN_OK;
}

/* The next one, whole, and by this operator for this server. */
static enum cn_err notice_decode(const struct cn_revocations *list, struct cn_reader *r,
                                 struct cn_notice *notice, const uint8_t **octets, uint16_t *size)
{
    struct cn_reader one = { .left = cn_reader_u16be(r) };
    enum cn_err err;

    *size = (uint16_t)one.left;
    *octets = one.at = cn_reader_take(r, one.left);
    if (!cn_reader_ok(r) || one.left == 0)
        return CN_E_FORMAT;
    err = cn_notice_decode(notice, &one);
    if (err != CN_OK)
        return err;
    if (!cn_reader_done(&one) || notice->number > INT64_MAX ||
        memcmp(notice->server.bytes, list->server.bytes, sizeof list->server.bytes) != 0)
        return CN_E_FORMAT;
    return cn_notice_verify(notice, &list->operator_key);
}

static bool common_take(struct cn_common_notice *out, const struct cn_notice *n,
                        const uint8_t *octets, uint16_t size)
{
    if (size > sizeof out->octets)
        return false;
    out->number = n->number;
    out->size = size;
    memcpy(out->octets, octets, size);
    return true;
}

static bool held_take(struct cn_held_notice *out, const struct cn_notice *n, const uint8_t *octets,
                      uint16_t size)
{
    if (size > sizeof out->octets || n->certificate.serial > INT64_MAX)
        return false;
    memcpy(out->admission_key, n->admission_key, sizeof out->admission_key);
    out->number = n->number;
    out->serial = n->certificate.serial;
    out->size = size;
    memcpy(out->octets, octets, size);
    return true;
}

static enum cn_err notices_decode(struct cn_revocations *out, struct cn_reader *r)
{
    size_t count = cn_reader_u32be(r);

    if (!cn_reader_ok(r) || count > (size_t)CN_NOTICE_COUNT_MAX + 1 ||
        count > r->left / (NOTICE_HEAD_SIZE + CN_NOTICE_FRAME_SIZE))
        return CN_E_FORMAT;
    out->held = calloc(count + 1, sizeof *out->held);
    if (!out->held)
        return CN_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct cn_notice n;
        const uint8_t *octets;
        uint16_t size;
        bool taken;
        enum cn_err err = notice_decode(out, r, &n, &octets, &size);

        if (err != CN_OK)
            return err;
        if (memcmp(n.admission_key, everybody, sizeof everybody) == 0)
            taken = i == 0 && common_take(&out->common, &n, octets, size);
        else
            taken = (out->held_count == 0 || memcmp(out->held[out->held_count - 1].admission_key,
                                                    n.admission_key, CN_X25519_SIZE) < 0) &&
                    held_take(&out->held[out->held_count++], &n, octets, size);
        if (!taken)
            return CN_E_FORMAT;
    }
    return CN_OK;
}

/* The signature first: nothing else is looked at of what is not the operator's. */
static enum cn_err signature_check(const struct cn_crypto *crypto, const uint8_t *body,
                                   size_t body_size)
{
    uint8_t message[SIGNED_SIZE];
    size_t size = body_size - CN_ED25519_SIGNATURE_SIZE;
    enum cn_err err = signed_encode(crypto, body, size, message);

    return err == CN_OK ? cn_ed25519_verify(body + 1 + 8, message, sizeof message, body + size)
                        : err;
}

static enum cn_err body_decode(const struct cn_crypto *crypto, const uint8_t *body,
                               size_t body_size, struct cn_revocations *out)
{
    struct cn_reader r = { .at = body, .left = body_size };
    uint8_t version = cn_reader_u8(&r);
    enum cn_err err;

    if (cn_reader_ok(&r) && version != CN_REVOCATIONS_VERSION)
        return CN_E_VERSION;
    if (body_size < HEAD_SIZE + 4 + 4 + CN_ED25519_SIGNATURE_SIZE)
        return CN_E_FORMAT;
    err = signature_check(crypto, body, body_size);
    if (err != CN_OK)
        return err;
    r.left -= CN_ED25519_SIGNATURE_SIZE;
    out->number = cn_reader_u64be(&r);
    cn_reader_copy(&r, out->operator_key.bytes, sizeof out->operator_key.bytes);
    cn_reader_copy(&r, out->server.bytes, sizeof out->server.bytes);
    if (out->number == 0 || out->number > INT64_MAX)
        return CN_E_FORMAT;
    err = blocked_decode(out, &r);
    if (err == CN_OK)
        err = notices_decode(out, &r);
    if (err == CN_OK && !cn_reader_done(&r))
        err = CN_E_FORMAT;
    return err;
}

enum cn_err cn_revocations_decode(const struct cn_crypto *crypto, const char *text,
                                  size_t text_size, struct cn_revocations *revocations)
{
    size_t buffer_size = text_size / 4 * 3 + 3; /* base64 is no shorter */
    uint8_t *buffer = malloc(buffer_size);
    struct cn_revocations out = { 0 };
    size_t body_size = 0;
    enum cn_err err = buffer ? cn_armor_decode_large(crypto, CN_ARMOR_REVOCATIONS, text, text_size,
                                                     buffer, buffer_size, &body_size)
                             : CN_E_MEMORY;

    if (err == CN_OK)
        err = body_decode(crypto, buffer, body_size, &out);
    free(buffer);
    if (err == CN_OK)
        *revocations = out;
    else
        cn_revocations_wipe(&out);
    return err;
}
