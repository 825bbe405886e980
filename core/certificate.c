#include "certificate.h"

#include <assert.h>

static const char label[] = "cyphernet/1 certificate";

enum {
    LABEL_SIZE = sizeof label - 1,
    FIELDS_SIZE = CN_CERTIFICATE_SIZE - CN_ED25519_SIGNATURE_SIZE,
    ITEM_HEAD_SIZE = 5,
    SIGNED_SIZE = 2 * ITEM_HEAD_SIZE + LABEL_SIZE + FIELDS_SIZE
};

static void fields_encode(const struct cn_certificate *c, struct cn_writer *w)
{
    cn_writer_u8(w, CN_CERTIFICATE_VERSION);
    cn_writer_u64be(w, c->serial);
    cn_writer_bytes(w, c->admission_key, sizeof c->admission_key);
    cn_writer_u64be(w, c->not_before);
    cn_writer_u64be(w, c->not_after);
    cn_writer_u8(w, c->limits_class);
}

/* The label and the fields, as items: what the signature covers. */
static void signed_encode(const struct cn_certificate *c, uint8_t out[SIGNED_SIZE])
{
    struct cn_writer w = { .at = out, .left = SIGNED_SIZE };

    cn_writer_u8(&w, CN_ITEM_LABEL);
    cn_writer_u32be(&w, LABEL_SIZE);
    cn_writer_bytes(&w, label, LABEL_SIZE);
    cn_writer_u8(&w, CN_ITEM_MESSAGE);
    cn_writer_u32be(&w, FIELDS_SIZE);
    fields_encode(c, &w);
    assert(cn_writer_ok(&w) && w.left == 0);
}

enum cn_err cn_certificate_sign(struct cn_certificate *certificate,
                                const struct cn_operator_secret *operator_secret)
{
    uint8_t message[SIGNED_SIZE];

    signed_encode(certificate, message);
    return cn_ed25519_sign(operator_secret->bytes, message, sizeof message, certificate->signature);
}

enum cn_err cn_certificate_verify(const struct cn_certificate *certificate,
                                  const struct cn_operator_public *operator_public)
{
    uint8_t message[SIGNED_SIZE];

    signed_encode(certificate, message);
    return cn_ed25519_verify(operator_public->bytes, message, sizeof message,
                             certificate->signature);
}

enum cn_err cn_certificate_verify_any(const struct cn_certificate *certificate,
                                      const struct cn_operator_public *operators,
                                      size_t operator_count)
{
    enum cn_err err = CN_E_AUTH;

    for (size_t i = 0; i < operator_count && err == CN_E_AUTH; i++)
        err = cn_certificate_verify(certificate, &operators[i]);
    return err;
}

void cn_certificate_encode(const struct cn_certificate *certificate, struct cn_writer *w)
{
    fields_encode(certificate, w);
    cn_writer_bytes(w, certificate->signature, sizeof certificate->signature);
}

enum cn_err cn_certificate_decode(struct cn_certificate *certificate, struct cn_reader *r)
{
    struct cn_certificate c = { 0 };
    uint8_t version = cn_reader_u8(r);

    c.serial = cn_reader_u64be(r);
    cn_reader_copy(r, c.admission_key, sizeof c.admission_key);
    c.not_before = cn_reader_u64be(r);
    c.not_after = cn_reader_u64be(r);
    c.limits_class = cn_reader_u8(r);
    cn_reader_copy(r, c.signature, sizeof c.signature);
    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    if (version != CN_CERTIFICATE_VERSION)
        return CN_E_VERSION;
    if (c.not_after <= c.not_before)
        return CN_E_FORMAT;
    *certificate = c;
    return CN_OK;
}
