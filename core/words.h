/* words.h - a safety number in words, to be read aloud. PROTOCOL.md 2.10 */
#ifndef CN_WORDS_H
#define CN_WORDS_H

#include "pair.h"

enum {
    CN_WORD_COUNT = 2048,
    CN_WORD_SIZE_MAX = 8,
    CN_SAFETY_WORD_COUNT = 19, /* 2048^19 is more than 10^60 */
    CN_SAFETY_WORDS_SIZE = CN_SAFETY_WORD_COUNT * (CN_WORD_SIZE_MAX + 1) /* blanks, NUL */
};

extern const char cn_words[CN_WORD_COUNT][CN_WORD_SIZE_MAX + 1];

/* The same number: safety is struct cn_pair's. */
void cn_words_of_safety(const char safety[CN_SAFETY_TEXT_SIZE], char out[CN_SAFETY_WORDS_SIZE]);

#endif
