#include "armor.h"

#include <assert.h>
#include <string.h>

#include "writer.h"

enum { CHECKSUM_SIZE = CN_ARMOR_CHECKSUM_SIZE, LINE_SIZE = 64 };

#define BEGIN  "-----BEGIN CYPHERNET "
#define END    "-----END CYPHERNET "
#define DASHES "-----"

static const char *const names[CN_ARMOR_KIND_COUNT] = {
    [CN_ARMOR_CARD] = "CARD",
    [CN_ARMOR_FINGERPRINT] = "FINGERPRINT",
    [CN_ARMOR_REQUEST] = "REQUEST",
    [CN_ARMOR_IDENTITY] = "IDENTITY",
    [CN_ARMOR_CONTACT] = "CONTACT",
    [CN_ARMOR_ADMISSION_KEY] = "ADMISSION KEY",
    [CN_ARMOR_SERVER_KEY] = "SERVER KEY",
    [CN_ARMOR_OPERATOR_KEY] = "OPERATOR KEY",
    [CN_ARMOR_OPERATOR_PUBLIC] = "OPERATOR PUBLIC KEY",
    [CN_ARMOR_SERVER_PUBLIC] = "SERVER PUBLIC KEY",
    [CN_ARMOR_REVOCATIONS] = "REVOCATIONS",
    [CN_ARMOR_STORAGE_KEY] = "STORAGE KEY",
    [CN_ARMOR_SEALED_FILE] = "SEALED FILE",
    [CN_ARMOR_BACKUP] = "BACKUP",
    [CN_ARMOR_TRANSCRIPT_KEY] = "TRANSCRIPT KEY",
};

/* Text being read, line by line. */
struct text {
    const char *at;
    size_t left;
};

const char *cn_armor_name(enum cn_armor_kind kind)
{
    assert(kind < CN_ARMOR_KIND_COUNT);
    return names[kind];
}

static size_t body_size_most(enum cn_armor_kind kind)
{
    if (kind == CN_ARMOR_REVOCATIONS)
        return CN_ARMOR_REVOCATIONS_BODY_SIZE_MAX;
    return kind == CN_ARMOR_BACKUP ? CN_ARMOR_BACKUP_BODY_SIZE_MAX : CN_ARMOR_BODY_SIZE_MAX;
}

enum cn_err cn_armor_checksum(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                              const uint8_t *body, size_t body_size, uint8_t out[CHECKSUM_SIZE])
{
    assert(kind < CN_ARMOR_KIND_COUNT);

    const struct cn_item items[] = {
        CN_LABEL("armor"),
        { CN_ITEM_NAME, names[kind], strlen(names[kind]) },
        { CN_ITEM_MESSAGE, body, body_size },
    };
    uint8_t digest[CN_SHA256_SIZE];
    enum cn_err err = cn_hash_items(crypto, CN_SHA256, items, 3, digest);

    if (err == CN_OK)
        memcpy(out, digest, CHECKSUM_SIZE);
    cn_wipe(digest, sizeof digest);
    return err;
}

/* 0xff if low <= value <= high, else 0; all below 256. */
static unsigned between(unsigned value, unsigned low, unsigned high)
{
    return ((low - 1 - value) & (value - high - 1)) >> 8 & 0xff;
}

static char digit_of(unsigned six)
{
    unsigned c = 0;

    c |= between(six, 0, 25) & (six + 'A');
    c |= between(six, 26, 51) & (six - 26 + 'a');
    c |= between(six, 52, 61) & (six - 52 + '0');
    c |= between(six, 62, 62) & '+';
    c |= between(six, 63, 63) & '/';
    return (char)c;
}

/* 0 to 63, or more than 255 for what is no digit. */
static unsigned six_of(char digit)
{
    unsigned c = (unsigned char)digit;
    unsigned six = 0;
    unsigned known = 0;

    six |= between(c, 'A', 'Z') & (c - 'A');
    six |= between(c, 'a', 'z') & (c - 'a' + 26);
    six |= between(c, '0', '9') & (c - '0' + 52);
    six |= between(c, '+', '+') & 62;
    six |= between(c, '/', '/') & 63;
    known = between(c, 'A', 'Z') | between(c, 'a', 'z') | between(c, '0', '9') |
            between(c, '+', '+') | between(c, '/', '/');
    return six | (~known & 0xff) << 8;
}

static void text_put(struct cn_writer *w, const char *text)
{
    cn_writer_bytes(w, text, strlen(text));
}

static void mark_put(struct cn_writer *w, const char *begin, enum cn_armor_kind kind)
{
    text_put(w, begin);
    text_put(w, names[kind]);
    text_put(w, DASHES "\n");
}

/* The size octets of body || check from at on, zero past the end. */
static void triple_at(const uint8_t *body, size_t body_size, const uint8_t *check, size_t at,
                      uint8_t out[3])
{
    for (size_t i = 0; i < 3; i++, at++) {
        out[i] = 0;
        if (at < body_size)
            out[i] = body[at];
        else if (at < body_size + CHECKSUM_SIZE)
            out[i] = check[at - body_size];
    }
}

enum cn_err cn_armor_encode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                            const uint8_t *body, size_t body_size, char *text, size_t text_size_max,
                            size_t *text_size)
{
    struct cn_writer w = { .at = (uint8_t *)text, .left = text_size_max };
    uint8_t check[CHECKSUM_SIZE];
    uint8_t three[3];
    enum cn_err err = cn_armor_checksum(crypto, kind, body, body_size, check);
    size_t column = 0;

    if (err != CN_OK)
        return err;
    if (body_size > body_size_most(kind))
        return CN_E_FULL; /* nobody would read it */
    mark_put(&w, BEGIN, kind);
    for (size_t at = 0; at < body_size + CHECKSUM_SIZE; at += 3) {
        size_t left = body_size + CHECKSUM_SIZE - at;
        uint8_t four[4];

        triple_at(body, body_size, check, at, three);
        four[0] = (uint8_t)digit_of(three[0] >> 2);
        four[1] = (uint8_t)digit_of((three[0] & 3U) << 4 | three[1] >> 4);
        four[2] = left > 1 ? (uint8_t)digit_of((three[1] & 15U) << 2 | three[2] >> 6) : '=';
        four[3] = left > 2 ? (uint8_t)digit_of(three[2] & 63U) : '=';
        cn_writer_bytes(&w, four, sizeof four);
        cn_wipe(four, sizeof four);
        column += 4;
        if (column == LINE_SIZE || left <= 3) {
            text_put(&w, "\n");
            column = 0;
        }
    }
    mark_put(&w, END, kind);
    cn_wipe(three, sizeof three);
    cn_wipe(check, sizeof check);
    if (!cn_writer_ok(&w)) {
        cn_wipe(text, text_size_max);
        return CN_E_FULL;
    }
    *text_size = text_size_max - w.left;
    return CN_OK;
}

/* Take the next line, without its end. False at the end of the text. */
static bool line_next(struct text *text, const char **line, size_t *size)
{
    const char *end;

    if (text->left == 0)
        return false;
    end = memchr(text->at, '\n', text->left);
    *line = text->at;
    *size = end ? (size_t)(end - text->at) : text->left;
    text->left -= end ? *size + 1 : *size;
    text->at += end ? *size + 1 : *size;
    if (*size > 0 && (*line)[*size - 1] == '\r')
        --*size;
    return true;
}

static bool line_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (line[i] != ' ' && line[i] != '\t')
            return false;
    }
    return true;
}

/* True if the line is begin, a name, dashes; *name points into the line. */
static bool line_mark(const char *line, size_t size, const char *begin, const char **name,
                      size_t *name_size)
{
    size_t begin_size = strlen(begin);
    size_t dashes_size = strlen(DASHES);

    if (size < begin_size + dashes_size || memcmp(line, begin, begin_size) != 0 || /* public: */
        memcmp(line + size - dashes_size, DASHES, dashes_size) != 0)               /* public: */
        return false;
    *name = line + begin_size;
    *name_size = size - begin_size - dashes_size;
    return true;
}

static enum cn_armor_kind kind_named(const char *name, size_t size)
{
    for (int kind = 0; kind < CN_ARMOR_KIND_COUNT; kind++) {
        if (strlen(names[kind]) == size && memcmp(names[kind], name, size) == 0) /* public: */
            return (enum cn_armor_kind)kind;
    }
    return CN_ARMOR_KIND_COUNT;
}

/* Find the BEGIN line; what is left of the text follows it. */
static enum cn_armor_kind begin_take(struct text *text)
{
    const char *line, *name;
    size_t size, name_size;

    while (line_next(text, &line, &size)) {
        if (line_blank(line, size))
            continue;
        if (!line_mark(line, size, BEGIN, &name, &name_size))
            break;
        return kind_named(name, name_size);
    }
    return CN_ARMOR_KIND_COUNT;
}

enum cn_armor_kind cn_armor_kind_of(const char *text, size_t text_size)
{
    struct text t = { text, text_size };

    return begin_take(&t);
}

/* One line of base64 into w. *last: it was shorter than a full line or padded. Refuses all but
 * the one encoding of what it says. */
static enum cn_err line_decode(const char *line, size_t size, struct cn_writer *w, bool *last)
{
    const unsigned none = 0;
    size_t padding = 0;
    unsigned bad = 0;

    if (size == 0 || size > LINE_SIZE || size % 4 != 0)
        return CN_E_ARMOR;
    while (padding < 2 && line[size - 1 - padding] == '=')
        padding++;
    *last = size < LINE_SIZE || padding > 0;
    for (size_t at = 0; at < size; at += 4) {
        size_t count = 3 - (at + 4 == size ? padding : 0);
        unsigned bits = 0;

        for (size_t i = 0; i < 4; i++) {
            unsigned six = i <= count ? six_of(line[at + i]) : 0;

            bad |= six & ~63U;
            bits = bits << 6 | (six & 63U);
        }
        bad |= count < 3 ? bits & (0xffffffU >> 8 * count) : 0; /* unused bits are zero */
        for (size_t i = 0; i < count; i++)
            cn_writer_u8(w, (uint8_t)(bits >> (16 - 8 * i)));
    }
    if (!cn_equal_ct(&bad, &none, sizeof bad)) /* of it all, no more is told */
        return CN_E_ARMOR;
    return cn_writer_ok(w) ? CN_OK : CN_E_FULL;
}

/* Decode lines up to and with the END line of this kind. */
static enum cn_err lines_decode(struct text *text, enum cn_armor_kind kind, struct cn_writer *w)
{
    const char *line, *name;
    size_t size, name_size;
    bool last = false;

    while (line_next(text, &line, &size)) {
        enum cn_err err;

        if (line_mark(line, size, END, &name, &name_size))
            return kind_named(name, name_size) == kind ? CN_OK : CN_E_ARMOR;
        if (text->left == 0)
            return CN_E_TRUNCATED; /* the text stops inside the block */
        if (last)
            return CN_E_ARMOR;
        err = line_decode(line, size, w, &last);
        if (err != CN_OK)
            return err;
    }
    return CN_E_TRUNCATED;
}

enum cn_err cn_armor_decode_large(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                  const char *text, size_t text_size, uint8_t *buffer,
                                  size_t buffer_size, size_t *body_size)
{
    struct cn_writer w = { .at = buffer, .left = buffer_size };
    struct text t = { text, text_size };
    uint8_t check[CHECKSUM_SIZE];
    const char *line;
    size_t size;
    enum cn_armor_kind found = begin_take(&t);
    enum cn_err err = CN_E_ARMOR;

    if (found != kind) {
        err = found == CN_ARMOR_KIND_COUNT ? CN_E_ARMOR : CN_E_KIND;
        goto out;
    }
    err = lines_decode(&t, kind, &w);
    if (err != CN_OK)
        goto out;
    err = CN_E_ARMOR;
    while (line_next(&t, &line, &size)) {
        if (!line_blank(line, size))
            goto out;
    }
    size = buffer_size - w.left;
    if (size < CHECKSUM_SIZE)
        goto out;
    size -= CHECKSUM_SIZE;
    err = cn_armor_checksum(crypto, kind, buffer, size, check);
    if (err != CN_OK)
        goto out;
    err = CN_E_CHECKSUM;
    if (!cn_equal_ct(check, buffer + size, CHECKSUM_SIZE))
        goto out;
    err = CN_E_FULL;
    if (size > body_size_most(kind))
        goto out;
    *body_size = size;
    err = CN_OK;
out:
    if (err != CN_OK)
        cn_wipe(buffer, buffer_size);
    return err;
}

enum cn_err cn_armor_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                            const char *text, size_t text_size, uint8_t *body, size_t body_size_max,
                            size_t *body_size)
{
    uint8_t raw[CN_ARMOR_BODY_SIZE_MAX + CHECKSUM_SIZE];
    size_t size = 0;
    enum cn_err err = cn_armor_decode_large(crypto, kind, text, text_size, raw, sizeof raw, &size);

    if (err == CN_OK && size > body_size_max)
        err = CN_E_FULL;
    if (err == CN_OK) {
        memcpy(body, raw, size);
        *body_size = size;
    } else {
        cn_wipe(body, body_size_max);
    }
    cn_wipe(raw, sizeof raw);
    return err;
}
