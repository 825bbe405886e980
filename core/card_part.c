#include "card_part.h"

#include <assert.h>
#include <string.h>

#include "armor.h"
#include "writer.h"

enum {
    WHOLE_SIZE_MAX = CN_CARD_BODY_SIZE_MAX + CN_CARD_PART_CHECK_SIZE,
    PART_SIZE_MAX = CN_CARD_PART_TAG_SIZE + WHOLE_SIZE_MAX
};

static const char numbers[] = "123456789ABCDEFG";

_Static_assert(sizeof numbers - 1 == CN_CARD_PART_COUNT_MAX, "one for each");
_Static_assert((int)CN_CARD_PART_CHECK_SIZE == (int)CN_ARMOR_CHECKSUM_SIZE, "as armour has it");

/* body || checksum */
static enum cn_err whole_make(const struct cn_card *card, const struct cn_crypto *crypto,
                              uint8_t whole[WHOLE_SIZE_MAX])
{
    memcpy(whole, card->body, card->body_size);
    return cn_armor_checksum(crypto, CN_ARMOR_CARD, card->body, card->body_size,
                             whole + card->body_size);
}

/* "CN1/3:"; of both numbers one character, so that no part is longer than the first. */
static void head_put(struct cn_writer *w, unsigned index, unsigned count)
{
    cn_writer_bytes(w, "CN", 2);
    cn_writer_u8(w, (uint8_t)numbers[index]);
    cn_writer_u8(w, '/');
    cn_writer_u8(w, (uint8_t)numbers[count - 1]);
    cn_writer_u8(w, ':');
}

/* Octets of each part but the last; an odd one would cost a character. */
static size_t each_size(size_t whole_size, unsigned count)
{
    assert(count >= 1 && count <= CN_CARD_PART_COUNT_MAX);
    return ((whole_size + count - 1) / count + 1) / 2 * 2;
}

enum cn_err cn_card_part_encode(const struct cn_card *card, const struct cn_crypto *crypto,
                                unsigned index, unsigned count, char *text, size_t *text_size)
{
    struct cn_writer w = { .at = (uint8_t *)text, .left = CN_CARD_PART_TEXT_SIZE_MAX };
    uint8_t whole[WHOLE_SIZE_MAX];
    uint8_t part[PART_SIZE_MAX];
    size_t size = card->body_size + CN_CARD_PART_CHECK_SIZE;
    size_t each = each_size(size, count);
    size_t begin = index * each;
    size_t left, used;
    enum cn_err err = whole_make(card, crypto, whole);

    assert(index < count && begin < size);
    if (err == CN_OK) {
        left = size - begin;
        used = CN_CARD_PART_TAG_SIZE + (left < each ? left : each);
        memcpy(part, whole + card->body_size, CN_CARD_PART_TAG_SIZE);
        memcpy(part + CN_CARD_PART_TAG_SIZE, whole + begin, used - CN_CARD_PART_TAG_SIZE);
        head_put(&w, index, count);
        cn_base45_encode(part, used, (char *)w.at);
        *text_size = CN_CARD_PART_TEXT_SIZE_MAX - w.left + CN_BASE45_TEXT_SIZE(used);
    }
    cn_wipe(whole, sizeof whole);
    cn_wipe(part, sizeof part);
    return err;
}

/* --- joining -------------------------------------------------------------------------------- */

struct line {
    const char *at; /* borrowed; NULL: there is none */
    size_t size;
};

struct parts {
    struct line part[CN_CARD_PART_COUNT_MAX]; /* what stands behind the colon */
    unsigned count;                           /* 0: not known yet */
};

/* Take 1 to 16; 0: there is none. */
static unsigned number_take(struct line *line)
{
    const char *number = line->size > 0 && line->at[0] ? strchr(numbers, line->at[0]) : NULL;

    if (!number)
        return 0;
    line->at++;
    line->size--;
    return (unsigned)(number - numbers) + 1;
}

static bool mark_take(struct line *line, char mark)
{
    if (line->size == 0 || line->at[0] != mark)
        return false;
    line->at++;
    line->size--;
    return true;
}

/* The first line of text; false: there is none. */
static bool line_take(struct line *text, struct line *line)
{
    const char *end;

    if (text->size == 0)
        return false;
    end = memchr(text->at, '\n', text->size);
    line->at = text->at;
    line->size = end ? (size_t)(end - text->at) : text->size;
    text->at += line->size + (end ? 1 : 0);
    text->size -= line->size + (end ? 1 : 0);
    if (line->size > 0 && line->at[line->size - 1] == '\r')
        line->size--;
    return true;
}

static enum cn_err part_put(struct parts *parts, struct line line)
{
    unsigned index, count;
    struct line *held;

    if (!mark_take(&line, 'C') || !mark_take(&line, 'N'))
        return CN_E_ARMOR;
    index = number_take(&line);
    if (index == 0 || !mark_take(&line, '/'))
        return CN_E_ARMOR;
    count = number_take(&line);
    if (index > count || !mark_take(&line, ':'))
        return CN_E_ARMOR;
    if (parts->count > 0 && parts->count != count)
        return CN_E_MIXED;
    parts->count = count;
    held = &parts->part[index - 1];
    if (held->at && (held->size != line.size || !cn_equal_ct(held->at, line.at, line.size)))
        return CN_E_MIXED;
    *held = line;
    return CN_OK;
}

static enum cn_err parts_find(struct parts *parts, const char *text, size_t text_size)
{
    struct line left = { text, text_size };
    struct line line;
    enum cn_err err = CN_OK;

    while (err == CN_OK && line_take(&left, &line)) {
        if (line.size > 0)
            err = part_put(parts, line);
    }
    return err == CN_OK && parts->count == 0 ? CN_E_ARMOR : err;
}

/* One after the other into whole; *size octets. */
static enum cn_err parts_join(const struct parts *parts, uint8_t whole[WHOLE_SIZE_MAX],
                              size_t *size)
{
    struct cn_writer w = { .at = whole, .left = WHOLE_SIZE_MAX };
    uint8_t part[PART_SIZE_MAX];
    uint8_t tag[CN_CARD_PART_TAG_SIZE];
    enum cn_err err = CN_OK;

    for (unsigned i = 0; err == CN_OK && i < parts->count; i++) {
        size_t part_size = 0;

        err =
            cn_base45_decode(parts->part[i].at, parts->part[i].size, part, sizeof part, &part_size);
        if (err == CN_OK && part_size <= sizeof tag)
            err = CN_E_ARMOR;
        if (err != CN_OK)
            break;
        if (i == 0)
            memcpy(tag, part, sizeof tag);
        else if (!cn_equal_ct(tag, part, sizeof tag))
            err = CN_E_MIXED;
        cn_writer_bytes(&w, part + sizeof tag, part_size - sizeof tag);
    }
    cn_wipe(part, sizeof part);
    if (err != CN_OK)
        return err;
    *size = WHOLE_SIZE_MAX - w.left;
    return cn_writer_ok(&w) && *size > CN_CARD_PART_CHECK_SIZE ? CN_OK : CN_E_ARMOR;
}

static enum cn_err whole_check(const struct cn_crypto *crypto, const uint8_t *whole,
                               size_t body_size)
{
    uint8_t check[CN_CARD_PART_CHECK_SIZE];
    enum cn_err err = cn_armor_checksum(crypto, CN_ARMOR_CARD, whole, body_size, check);

    if (err == CN_OK && !cn_equal_ct(check, whole + body_size, sizeof check))
        err = CN_E_CHECKSUM;
    return err;
}

bool cn_card_part_begins(const char *text, size_t text_size)
{
    struct line line = { text, text_size };

    return mark_take(&line, 'C') && mark_take(&line, 'N') && number_take(&line) > 0;
}

enum cn_err cn_card_from_parts(struct cn_card *card, const struct cn_crypto *crypto,
                               const char *text, size_t text_size, unsigned *missing,
                               unsigned *count)
{
    uint8_t whole[WHOLE_SIZE_MAX];
    struct parts parts = { 0 };
    size_t size = 0;
    enum cn_err err = parts_find(&parts, text, text_size);

    for (unsigned i = 0; err == CN_OK && i < parts.count; i++) {
        if (parts.part[i].at)
            continue;
        *missing = i + 1;
        *count = parts.count;
        err = CN_E_PART;
    }
    if (err == CN_OK)
        err = parts_join(&parts, whole, &size);
    if (err == CN_OK)
        err = whole_check(crypto, whole, size - CN_CARD_PART_CHECK_SIZE);
    if (err == CN_OK)
        err = cn_card_decode(card, crypto, whole, size - CN_CARD_PART_CHECK_SIZE);
    cn_wipe(whole, sizeof whole);
    return err;
}
