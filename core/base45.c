#include "base45.h"

#include "crypto.h"

enum { BASE = 45, UNKNOWN = 0x100 };

static const char digits[BASE + 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/* All ones if a == b, else 0; both below 2^31. */
static unsigned same(unsigned a, unsigned b)
{
    return (unsigned)(((int64_t)(a ^ b) - 1) >> 32);
}

static char digit_of(unsigned value)
{
    unsigned c = 0;

    for (unsigned i = 0; i < BASE; i++)
        c |= same(value, i) & (unsigned char)digits[i];
    return (char)c;
}

/* 0 to 44, or UNKNOWN. */
static unsigned value_of(char digit)
{
    unsigned value = UNKNOWN;

    for (unsigned i = 0; i < BASE; i++)
        value ^= same((unsigned char)digit, (unsigned char)digits[i]) & (UNKNOWN ^ i);
    return value;
}

void cn_base45_encode(const uint8_t *in, size_t in_size, char *out)
{
    for (; in_size >= 2; in += 2, in_size -= 2) {
        unsigned value = (unsigned)in[0] << 8 | in[1];

        *out++ = digit_of(value % BASE);
        *out++ = digit_of(value / BASE % BASE);
        *out++ = digit_of(value / BASE / BASE);
    }
    if (in_size == 1) {
        *out++ = digit_of(in[0] % BASE);
        *out = digit_of(in[0] / BASE);
    }
}

/* count characters, the least first; more than 65535 if one is none of ours. */
static unsigned number_of(const char *text, size_t count)
{
    unsigned number = 0;
    unsigned unknown = 0;

    while (count-- > 0) {
        unsigned value = value_of(text[count]);

        unknown |= value & UNKNOWN;
        number = number * BASE + (value & ~(unsigned)UNKNOWN);
    }
    return number | unknown << 16;
}

enum cn_err cn_base45_decode(const char *text, size_t text_size, uint8_t *out, size_t out_size_max,
                             size_t *out_size)
{
    const unsigned none = 0;
    size_t size = text_size / 3 * 2 + text_size % 3 / 2;
    unsigned bad = text_size % 3 == 1;
    size_t at = 0;
    bool good;

    if (size > out_size_max || bad)
        goto out;
    for (; text_size >= 3; text += 3, text_size -= 3) {
        unsigned number = number_of(text, 3);

        bad |= number >> 16;
        out[at++] = (uint8_t)(number >> 8);
        out[at++] = (uint8_t)number;
    }
    if (text_size == 2) {
        unsigned number = number_of(text, 2);

        bad |= number >> 8;
        out[at++] = (uint8_t)number;
    }
out:
    good = cn_equal_ct(&bad, &none, sizeof bad); /* of it all, no more is told */
    if (!good || size > out_size_max) {
        cn_wipe(out, out_size_max);
        return good ? CN_E_FULL : CN_E_ARMOR;
    }
    *out_size = size;
    return CN_OK;
}
