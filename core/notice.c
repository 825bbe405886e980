#include "notice.h"

#include <assert.h>
#include <string.h>

static const char label[] = "cyphernet/1 notice";
static const uint8_t everybody[CN_X25519_SIZE] = { 0 };

enum {
    LABEL_SIZE = sizeof label - 1,
    ITEM_HEAD_SIZE = 5,
    HEAD_SIZE = ITEM_HEAD_SIZE + LABEL_SIZE + ITEM_HEAD_SIZE, /* of the signed octets */
    FIELDS_SIZE_MAX = CN_NOTICE_SIZE_MAX - CN_ED25519_SIGNATURE_SIZE,
    SIGNED_SIZE_MAX = HEAD_SIZE + FIELDS_SIZE_MAX
};

static bool key_same(const uint8_t a[CN_X25519_SIZE], const uint8_t b[CN_X25519_SIZE])
{
    return memcmp(a, b, CN_X25519_SIZE) == 0; /* public: */
}

static void fields_encode(const struct cn_notice *n, struct cn_writer *w)
{
    cn_writer_u8(w, CN_NOTICE_VERSION);
    cn_writer_u64be(w, n->number);
    cn_writer_bytes(w, n->server.bytes, sizeof n->server.bytes);
    cn_writer_bytes(w, n->admission_key, sizeof n->admission_key);
    cn_writer_u8(w, n->parts);
    if (n->parts & CN_NOTICE_CERTIFICATE)
        cn_certificate_encode(&n->certificate, w);
    if (n->parts & CN_NOTICE_ADDRESSES)
        cn_addresses_encode(w, n->address_count, n->address);
    if (n->parts & CN_NOTICE_SERVER_KEY)
        cn_writer_bytes(w, n->server_key.bytes, sizeof n->server_key.bytes);
}

/* What the signature covers: the label and the fields, as items. CN_E_FULL */
static enum cn_err signed_encode(const struct cn_notice *notice, uint8_t out[SIGNED_SIZE_MAX],
                                 size_t *size)
{
    struct cn_writer head = { .at = out, .left = HEAD_SIZE };
    struct cn_writer fields = { .at = out + HEAD_SIZE, .left = FIELDS_SIZE_MAX };
    size_t fields_size;

    fields_encode(notice, &fields);
    if (!cn_writer_ok(&fields))
        return CN_E_FULL;
    fields_size = FIELDS_SIZE_MAX - fields.left;
    cn_writer_u8(&head, CN_ITEM_LABEL);
    cn_writer_u32be(&head, LABEL_SIZE);
    cn_writer_bytes(&head, label, LABEL_SIZE);
    cn_writer_u8(&head, CN_ITEM_MESSAGE);
    cn_writer_u32be(&head, (uint32_t)fields_size);
    assert(cn_writer_ok(&head) && head.left == 0);
    *size = HEAD_SIZE + fields_size;
    return CN_OK;
}

enum cn_err cn_notice_make(struct cn_notice *notice,
                           const struct cn_operator_secret *operator_secret, uint8_t *out,
                           size_t size_max, size_t *size)
{
    struct cn_writer w = { .at = out, .left = size_max };
    uint8_t message[SIGNED_SIZE_MAX];
    size_t message_size = 0;
    enum cn_err err = signed_encode(notice, message, &message_size);

    if (err != CN_OK)
        return err;
    if (message_size - HEAD_SIZE + CN_ED25519_SIGNATURE_SIZE > size_max)
        return CN_E_FULL;
    err = cn_ed25519_sign(operator_secret->bytes, message, message_size, notice->signature);
    if (err != CN_OK)
        return err;
    cn_writer_bytes(&w, message + HEAD_SIZE, message_size - HEAD_SIZE);
    cn_writer_bytes(&w, notice->signature, sizeof notice->signature);
    assert(cn_writer_ok(&w));
    *size = size_max - w.left;
    return CN_OK;
}

static bool for_everybody(const struct cn_notice *n)
{
    return key_same(n->admission_key, everybody);
}

static enum cn_err parts_decode(struct cn_notice *n, struct cn_reader *r)
{
    enum cn_err err = CN_OK;

    if (n->parts & CN_NOTICE_CERTIFICATE) {
        err = cn_certificate_decode(&n->certificate, r);
        if (err == CN_OK &&
            (for_everybody(n) || !key_same(n->certificate.admission_key, n->admission_key)))
            err = CN_E_FORMAT;
    }
    if (err == CN_OK && n->parts & CN_NOTICE_ADDRESSES)
        err = cn_addresses_decode(r, &n->address_count, n->address);
    if (n->parts & CN_NOTICE_SERVER_KEY)
        cn_reader_copy(r, n->server_key.bytes, sizeof n->server_key.bytes);
    return err;
}

enum cn_err cn_notice_decode(struct cn_notice *notice, struct cn_reader *r)
{
    struct cn_notice n = { 0 };
    size_t left = r->left;
    uint8_t version = cn_reader_u8(r);
    enum cn_err err;

    n.number = cn_reader_u64be(r);
    cn_reader_copy(r, n.server.bytes, sizeof n.server.bytes);
    cn_reader_copy(r, n.admission_key, sizeof n.admission_key);
    n.parts = cn_reader_u8(r);
    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    if (version != CN_NOTICE_VERSION)
        return CN_E_VERSION;
    if (n.number == 0 || n.parts == 0 || (n.parts & ~CN_NOTICE_PARTS) != 0)
        return CN_E_FORMAT;
    err = parts_decode(&n, r);
    if (err != CN_OK)
        return err;
    cn_reader_copy(r, n.signature, sizeof n.signature);
    if (!cn_reader_ok(r) || left - r->left > CN_NOTICE_SIZE_MAX)
        return CN_E_FORMAT;
    *notice = n;
    return CN_OK;
}

enum cn_err cn_notice_verify(const struct cn_notice *notice,
                             const struct cn_operator_public *operator_public)
{
    uint8_t message[SIGNED_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = signed_encode(notice, message, &size);

    if (err == CN_OK)
        err = cn_ed25519_verify(operator_public->bytes, message, size, notice->signature);
    if (err == CN_OK && notice->parts & CN_NOTICE_CERTIFICATE)
        err = cn_certificate_verify(&notice->certificate, operator_public);
    return err;
}

/* Whether the holder of this fingerprint should believe it. */
static enum cn_err judge(const struct cn_notice *n, const struct cn_fingerprint *f)
{
    if (n->number <= f->notice_number)
        return CN_E_KNOWN;
    if (!key_same(n->server.bytes, cn_fingerprint_server(f)->bytes))
        return CN_E_SERVER;
    if (!for_everybody(n) && !key_same(n->admission_key, f->certificate.admission_key))
        return CN_E_KEY;
    return cn_notice_verify(n, &f->operator_key);
}

enum cn_err cn_notice_take(const struct cn_notice *notice, struct cn_fingerprint *fingerprint)
{
    enum cn_err err = judge(notice, fingerprint);

    if (err != CN_OK)
        return err;
    fingerprint->notice_number = notice->number;
    if (notice->parts & CN_NOTICE_CERTIFICATE)
        fingerprint->certificate = notice->certificate;
    if (notice->parts & CN_NOTICE_ADDRESSES) {
        fingerprint->address_count = notice->address_count;
        memcpy(fingerprint->address, notice->address, sizeof fingerprint->address);
    }
    if (notice->parts & CN_NOTICE_SERVER_KEY) {
        fingerprint->first_key = *cn_fingerprint_server(fingerprint);
        fingerprint->has_first_key = true;
        fingerprint->server_key = notice->server_key;
    }
    return CN_OK;
}
