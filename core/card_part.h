/* card_part.h - a card as the texts of one or several QR codes. PROTOCOL.md 2.14 */
#ifndef CN_CARD_PART_H
#define CN_CARD_PART_H

#include "base45.h"
#include "card.h"

enum {
    CN_CARD_PART_COUNT_MAX = 16,
    CN_CARD_PART_TAG_SIZE = 4,
    CN_CARD_PART_CHECK_SIZE = 8, /* of the whole, as armour has it */
    CN_CARD_PART_TEXT_SIZE_MAX =
        sizeof "CN1/3:" - 1 +
        CN_BASE45_TEXT_SIZE(CN_CARD_PART_TAG_SIZE + CN_CARD_BODY_SIZE_MAX + CN_CARD_PART_CHECK_SIZE)
};

/* Part `index`, from 0, of `count`, 1 to CN_CARD_PART_COUNT_MAX; none is longer than part 0. text
 * holds CN_CARD_PART_TEXT_SIZE_MAX and gets no NUL. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_card_part_encode(const struct cn_card *card,
                                            const struct cn_crypto *crypto, unsigned index,
                                            unsigned count, char *text, size_t *text_size);

/* Whether a text begins as a part does. */
bool cn_card_part_begins(const char *text, size_t text_size);

/* Join parts, each on a line, in any order; the same one twice does no harm. CN_E_ARMOR: something
 * is no part; CN_E_MIXED: they are of different cards; CN_E_PART: *missing, from 1, of *count is
 * not among them; CN_E_CHECKSUM: damaged; errors of cn_card_decode. *card is untouched on failure,
 * and *missing and *count unless it is CN_E_PART. */
CN_MUST_USE enum cn_err cn_card_from_parts(struct cn_card *card, const struct cn_crypto *crypto,
                                           const char *text, size_t text_size, unsigned *missing,
                                           unsigned *count);

#endif
