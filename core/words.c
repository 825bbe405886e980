#include "words.h"

#include <string.h>

enum { GROUP_COUNT = 12, GROUP_MODULUS = 100000 };

/* Twelve groups of five digits, the most significant first. */
static void groups_read(const char *safety, unsigned group[GROUP_COUNT])
{
    for (size_t i = 0; i < GROUP_COUNT; i++, safety++) {
        group[i] = 0;
        for (; *safety >= '0' && *safety <= '9'; safety++)
            group[i] = group[i] * 10 + (unsigned)(*safety - '0');
    }
}

/* Divide by the number of words; the remainder. */
static unsigned groups_divide(unsigned group[GROUP_COUNT])
{
    unsigned rest = 0;

    for (size_t i = 0; i < GROUP_COUNT; i++) {
        unsigned value = rest * GROUP_MODULUS + group[i];

        group[i] = value / CN_WORD_COUNT;
        rest = value % CN_WORD_COUNT;
    }
    return rest;
}

void cn_words_of_safety(const char safety[CN_SAFETY_TEXT_SIZE], char out[CN_SAFETY_WORDS_SIZE])
{
    unsigned group[GROUP_COUNT];
    unsigned word[CN_SAFETY_WORD_COUNT];

    groups_read(safety, group);
    for (size_t i = CN_SAFETY_WORD_COUNT; i-- > 0;)
        word[i] = groups_divide(group);
    for (size_t i = 0; i < CN_SAFETY_WORD_COUNT; i++) {
        size_t size = strlen(cn_words[word[i]]);

        memcpy(out, cn_words[word[i]], size);
        out += size;
        *out++ = i + 1 < CN_SAFETY_WORD_COUNT ? ' ' : '\0';
    }
}
