/* A card that is accepted is whole, safe to print, comes back from its text, and makes a pair or is
 * refused for a reason. The input is the body. */
#include "fuzz.h"

#include "armor.h"
#include "pair.h"

static enum cn_err ones_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    memset(out, 1, size);
    return CN_OK;
}

static const struct cn_random ones = { ones_fill, NULL };

/* Made at the first input; the same each time. */
static const struct cn_identity *fuzz_identity(void)
{
    static struct cn_identity identity;
    static bool made;

    if (!made)
        must(cn_identity_create(&identity, fuzz_crypto(), CN_KEM_X25519, &ones) == CN_OK);
    made = true;
    return &identity;
}

static void pair_check(const struct cn_card *theirs)
{
    const struct cn_card_terms terms = { .made_for = "partner", .server_key = &theirs->server_key };
    struct cn_card mine;
    struct cn_pair pair;
    enum cn_err err;

    must(cn_card_create(&mine, fuzz_crypto(), fuzz_identity(), &terms, &ones) == CN_OK);
    err = cn_pair_create(&pair, fuzz_crypto(), fuzz_identity(), &mine, theirs);
    must(err == CN_OK || err == CN_E_SUITE || err == CN_E_OWN);
    must(err != CN_OK || (pair.suite && strlen(pair.safety) == CN_SAFETY_TEXT_SIZE - 1));
}

static void accepted_check(const struct cn_card *card, const uint8_t *in, size_t in_size)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_card again;
    size_t text_size = 0;

    must(card->body_size == in_size && memcmp(card->body, in, in_size) == 0);
    must(card->version_count >= 1 && card->version_count <= CN_CARD_LIST_SIZE_MAX);
    must(card->suite_count >= 1 && card->suite_count <= CN_CARD_LIST_SIZE_MAX);
    must(cn_name_valid(card->made_for));
    must(cn_kem_check(&card->public) == CN_OK && cn_kem_check(&card->pq_public) == CN_OK);
    must(cn_card_to_text(card, fuzz_crypto(), text, sizeof text, &text_size) == CN_OK);
    must(cn_card_from_text(&again, fuzz_crypto(), text, text_size) == CN_OK);
    must(memcmp(&again, card, sizeof again) == 0);
    pair_check(card);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_card card;
    enum cn_err err = cn_card_decode(&card, fuzz_crypto(), in, in_size);

    if (err == CN_OK)
        accepted_check(&card, in, in_size);
    else
        must(err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_KEY);
    return 0;
}
