#include "fingerprint.h"

#include <string.h>

#include "armor.h"

static const char alphanumeric[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";

void cn_fingerprint_wipe(struct cn_fingerprint *fingerprint)
{
    if (fingerprint)
        cn_wipe(fingerprint, sizeof *fingerprint);
}

const struct cn_server_public *cn_fingerprint_server(const struct cn_fingerprint *fingerprint)
{
    return fingerprint->has_first_key ? &fingerprint->first_key : &fingerprint->server_key;
}

bool cn_name_valid(const char *name)
{
    static const char also[] = "._-";
    size_t size = strlen(name);

    if (size == 0 || size > CN_NAME_SIZE_MAX || !strchr(alphanumeric, name[0]))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!strchr(alphanumeric, name[i]) && !strchr(also, name[i]))
            return false;
    }
    return true;
}

bool cn_label_valid(const char *label)
{
    return cn_name_valid(label) && strspn(label, digits) != strlen(label);
}

static bool port_valid(const char *port)
{
    size_t size = strlen(port);
    unsigned value = 0;

    if (size == 0 || size > 5 || strspn(port, digits) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        value = value * 10 + (unsigned)(port[i] - '0');
    return value >= 1 && value <= 65535;
}

bool cn_address_valid(const char *address)
{
    static const char in_brackets[] = "0123456789abcdefABCDEF:.";
    size_t size = strlen(address);
    const char *colon = strrchr(address, ':');
    size_t host_size;

    if (size > CN_ADDRESS_SIZE_MAX || !colon || colon == address || !port_valid(colon + 1))
        return false;
    host_size = (size_t)(colon - address);
    if (address[0] == '[')
        return host_size > 2 && address[host_size - 1] == ']' &&
               strspn(address + 1, in_brackets) == host_size - 2;
    for (size_t i = 0; i < host_size; i++) {
        if (!strchr(alphanumeric, address[i]) && !strchr(".-_", address[i]))
            return false;
    }
    return true;
}

const char *cn_address_service(const char *address)
{
    static const char prefix[] = "srv:";
    const char *name = address + sizeof prefix - 1;

    if (strncmp(address, prefix, sizeof prefix - 1) != 0 || strlen(address) > CN_ADDRESS_SIZE_MAX ||
        strspn(name, digits) == strlen(name))
        return NULL;
    for (const char *c = name; *c; c++) {
        if (!strchr(alphanumeric, *c) && !strchr(".-_", *c))
            return NULL;
    }
    return name;
}

bool cn_address_reachable(const char *address)
{
    return cn_address_valid(address) || cn_address_service(address);
}

static void short_text_encode(struct cn_writer *w, const char *text)
{
    cn_writer_u8(w, (uint8_t)strlen(text));
    cn_writer_bytes(w, text, strlen(text));
}

/* A length octet and that many octets, none of them NUL, into out[size_max + 1]. */
static bool short_text_decode(struct cn_reader *r, char *out, size_t size_max)
{
    size_t size = cn_reader_u8(r);

    if (size > size_max)
        return false;
    cn_reader_copy(r, out, size);
    out[size] = '\0';
    return cn_reader_ok(r) && !memchr(out, '\0', size);
}

void cn_addresses_encode(struct cn_writer *w, size_t count,
                         const char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1])
{
    cn_writer_u8(w, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        short_text_encode(w, address[i]);
}

enum cn_err cn_addresses_decode(struct cn_reader *r, size_t *count,
                                char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1])
{
    *count = cn_reader_u8(r);
    if (*count == 0 || *count > CN_ADDRESS_COUNT_MAX)
        return CN_E_FORMAT;
    for (size_t i = 0; i < *count; i++) {
        if (!short_text_decode(r, address[i], CN_ADDRESS_SIZE_MAX) ||
            !cn_address_reachable(address[i]))
            return CN_E_FORMAT;
    }
    return CN_OK;
}

/* What version 2 has more than version 1. */
static void noticed_encode(struct cn_writer *w, const struct cn_fingerprint *f)
{
    cn_writer_u64be(w, f->notice_number);
    cn_writer_u8(w, f->has_first_key);
    if (f->has_first_key)
        cn_writer_bytes(w, f->first_key.bytes, sizeof f->first_key.bytes);
}

static bool noticed_decode(struct cn_reader *r, struct cn_fingerprint *f)
{
    uint8_t has_first_key;

    f->notice_number = cn_reader_u64be(r);
    has_first_key = cn_reader_u8(r);
    f->has_first_key = has_first_key == 1;
    if (f->has_first_key)
        cn_reader_copy(r, f->first_key.bytes, sizeof f->first_key.bytes);
    return f->notice_number > 0 && has_first_key <= 1;
}

enum cn_err cn_fingerprint_encode(const struct cn_crypto *crypto,
                                  const struct cn_fingerprint *fingerprint, char *text,
                                  size_t text_size_max, size_t *text_size)
{
    uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX];
    struct cn_writer w = { .at = body, .left = sizeof body };
    enum cn_err err = CN_E_FULL;

    cn_writer_u8(&w, fingerprint->notice_number > 0 ? CN_FINGERPRINT_VERSION_NOTICED
                                                    : CN_FINGERPRINT_VERSION);
    cn_certificate_encode(&fingerprint->certificate, &w);
    cn_writer_u8(&w, fingerprint->has_secret);
    if (fingerprint->has_secret)
        cn_writer_bytes(&w, fingerprint->secret.bytes, sizeof fingerprint->secret.bytes);
    cn_writer_bytes(&w, fingerprint->server_key.bytes, sizeof fingerprint->server_key.bytes);
    cn_writer_bytes(&w, fingerprint->operator_key.bytes, sizeof fingerprint->operator_key.bytes);
    short_text_encode(&w, fingerprint->label);
    cn_addresses_encode(&w, fingerprint->address_count, fingerprint->address);
    if (fingerprint->notice_number > 0)
        noticed_encode(&w, fingerprint);
    if (cn_writer_ok(&w))
        err = cn_armor_encode(crypto, CN_ARMOR_FINGERPRINT, body, sizeof body - w.left, text,
                              text_size_max, text_size);
    cn_wipe(body, sizeof body);
    return err;
}

static enum cn_err body_decode(struct cn_reader *r, struct cn_fingerprint *f)
{
    uint8_t version = cn_reader_u8(r);
    uint8_t has_secret;
    enum cn_err err;

    if (cn_reader_ok(r) && version != CN_FINGERPRINT_VERSION &&
        version != CN_FINGERPRINT_VERSION_NOTICED)
        return CN_E_VERSION;
    err = cn_certificate_decode(&f->certificate, r);
    if (err != CN_OK)
        return err;
    has_secret = cn_reader_u8(r);
    f->has_secret = has_secret == 1;
    if (f->has_secret)
        cn_reader_copy(r, f->secret.bytes, sizeof f->secret.bytes);
    cn_reader_copy(r, f->server_key.bytes, sizeof f->server_key.bytes);
    cn_reader_copy(r, f->operator_key.bytes, sizeof f->operator_key.bytes);
    if (has_secret > 1 || !short_text_decode(r, f->label, CN_NAME_SIZE_MAX) ||
        !cn_label_valid(f->label))
        return CN_E_FORMAT;
    err = cn_addresses_decode(r, &f->address_count, f->address);
    if (err != CN_OK)
        return err;
    if (version == CN_FINGERPRINT_VERSION_NOTICED && !noticed_decode(r, f))
        return CN_E_FORMAT;
    return cn_reader_done(r) ? CN_OK : CN_E_FORMAT;
}

/* The certificate is the operator's, and the secret the certificate's. */
static enum cn_err keys_check(const struct cn_fingerprint *f)
{
    uint8_t public[CN_X25519_SIZE];
    enum cn_err err = cn_certificate_verify(&f->certificate, &f->operator_key);

    if (err != CN_OK || !f->has_secret)
        return err;
    err = cn_x25519_public(f->secret.bytes, public);
    if (err != CN_OK)
        return err;
    return cn_equal_ct(public, f->certificate.admission_key, sizeof public) ? CN_OK : CN_E_KEY;
}

enum cn_err cn_fingerprint_decode(const struct cn_crypto *crypto, const char *text,
                                  size_t text_size, struct cn_fingerprint *fingerprint)
{
    uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX];
    struct cn_fingerprint f = { 0 };
    struct cn_reader r = { .at = body };
    enum cn_err err =
        cn_armor_decode(crypto, CN_ARMOR_FINGERPRINT, text, text_size, body, sizeof body, &r.left);

    if (err != CN_OK)
        goto out;
    err = body_decode(&r, &f);
    if (err != CN_OK)
        goto out;
    err = keys_check(&f);
    if (err != CN_OK)
        goto out;
    *fingerprint = f;
    err = CN_OK;
out:
    cn_fingerprint_wipe(&f);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_request_encode(const struct cn_crypto *crypto,
                              const uint8_t admission_key[CN_X25519_SIZE], char *text,
                              size_t text_size_max, size_t *text_size)
{
    uint8_t body[CN_REQUEST_BODY_SIZE];
    struct cn_writer w = { .at = body, .left = sizeof body };

    cn_writer_u8(&w, CN_REQUEST_VERSION);
    cn_writer_bytes(&w, admission_key, CN_X25519_SIZE);
    return cn_armor_encode(crypto, CN_ARMOR_REQUEST, body, sizeof body, text, text_size_max,
                           text_size);
}

enum cn_err cn_request_decode(const struct cn_crypto *crypto, const char *text, size_t text_size,
                              uint8_t admission_key[CN_X25519_SIZE])
{
    static const uint8_t any_secret[CN_X25519_SIZE] = { 1 };
    uint8_t body[CN_FINGERPRINT_BODY_SIZE_MAX];
    uint8_t key[CN_X25519_SIZE];
    uint8_t shared[CN_X25519_SIZE];
    struct cn_reader r = { .at = body };
    uint8_t version;
    enum cn_err err =
        cn_armor_decode(crypto, CN_ARMOR_REQUEST, text, text_size, body, sizeof body, &r.left);

    if (err != CN_OK)
        return err;
    version = cn_reader_u8(&r);
    if (cn_reader_ok(&r) && version != CN_REQUEST_VERSION)
        return CN_E_VERSION;
    cn_reader_copy(&r, key, sizeof key);
    if (!cn_reader_done(&r))
        return CN_E_FORMAT;
    err = cn_x25519(any_secret, key, shared); /* only to find out whether the key is one */
    if (err == CN_OK)
        memcpy(admission_key, key, sizeof key);
    return err;
}
