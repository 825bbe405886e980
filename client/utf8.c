#include "utf8.h"

#include <string.h>

/* By the number of octets behind the first. */
static const struct {
    unsigned char mask, lead;
    uint32_t least;
} forms[CN_UTF8_SIZE_MAX] = {
    { 0x80, 0x00, 0 },
    { 0xe0, 0xc0, 0x80 },
    { 0xf0, 0xe0, 0x800 },
    { 0xf8, 0xf0, 0x10000 },
};

/* CN_UTF8_SIZE_MAX: none. */
static size_t form_of(unsigned char first)
{
    size_t more = 0;

    while (more < CN_UTF8_SIZE_MAX && (first & forms[more].mask) != forms[more].lead)
        more++;
    return more;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t cn_utf8_decode(const char *text, size_t left, uint32_t *code)
{
    size_t more = left > 0 ? form_of((unsigned char)text[0]) : CN_UTF8_SIZE_MAX;
    uint32_t value;

    if (more >= left || more == CN_UTF8_SIZE_MAX)
        return 0;
    value = (unsigned char)text[0] & (unsigned char)~forms[more].mask;
    for (size_t i = 1; i <= more; i++) {
        if (!continues(text[i]))
            return 0;
        value = value << 6 | ((unsigned char)text[i] & 0x3fU);
    }
    if (value < forms[more].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return more + 1;
}

bool cn_utf8_is_begun(const char *text, size_t size)
{
    char whole[CN_UTF8_SIZE_MAX];
    size_t more = form_of((unsigned char)text[0]);
    uint32_t code;

    if (more == CN_UTF8_SIZE_MAX || size > more)
        return false;
    /* of the octets that could follow, the highest and the lowest tell whether any will do */
    memcpy(whole, text, size);
    memset(whole + size, 0xbf, sizeof whole - size);
    if (cn_utf8_decode(whole, more + 1, &code) > 0)
        return true;
    memset(whole + size, 0x80, sizeof whole - size);
    return cn_utf8_decode(whole, more + 1, &code) > 0;
}

size_t cn_utf8_encode(uint32_t code, char out[CN_UTF8_SIZE_MAX])
{
    size_t more = 0;

    while (more + 1 < CN_UTF8_SIZE_MAX && code >= forms[more + 1].least)
        more++;
    out[0] = (char)(forms[more].lead | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

bool cn_utf8_is_valid(const char *text, size_t size)
{
    uint32_t code;

    for (size_t at = 0; at < size;) {
        size_t n = cn_utf8_decode(text + at, size - at, &code);

        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

size_t cn_utf8_cut(const char *text, size_t size)
{
    size_t back = 1;

    while (back < CN_UTF8_SIZE_MAX && back < size && continues(text[size - back]))
        back++;
    if (back > size || !cn_utf8_is_begun(text + size - back, back))
        return size;
    return size - back;
}
