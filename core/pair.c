#include "pair.h"

#include <string.h>

static const uint8_t salt_label[] = "cyphernet/1 pair";
static const uint8_t safety_label[] = "cyphernet/1 safety";

enum { GROUP_COUNT = 12, GROUP_BYTES = 5, GROUP_DIGITS = 5, GROUP_MODULUS = 100000 };

_Static_assert((int)CN_SAFETY_DIGIT_COUNT == (int)GROUP_COUNT * (int)GROUP_DIGITS, "sixty digits");

void cn_pair_wipe(struct cn_pair *pair)
{
    if (pair)
        cn_wipe(pair, sizeof *pair);
    cn_wipe_remains();
}

static bool lists_suite(const struct cn_card *card, uint16_t code)
{
    for (size_t i = 0; i < card->suite_count; i++) {
        if (card->suite[i] == code)
            return true;
    }
    return false;
}

/* The first suite of A's order that B has too and that we know; NULL: none. */
static const struct cn_suite *suite_common(const struct cn_card *a, const struct cn_card *b)
{
    for (size_t i = 0; i < a->suite_count; i++) {
        const struct cn_suite *suite = cn_suite_by_code(a->suite[i]);

        if (suite && lists_suite(b, suite->code))
            return suite;
    }
    return NULL;
}

static bool lists_version(const struct cn_card *card)
{
    return memchr(card->version, CN_PROTOCOL_VERSION, card->version_count) != NULL;
}

/* K = Expand(S, label) */
static enum cn_err key_expand(const struct cn_crypto *crypto, const uint8_t s[CN_SHA256_SIZE],
                              struct cn_item label, uint8_t out[CN_SHA256_SIZE])
{
    return cn_expand(crypto, CN_SHA256, s, CN_SHA256_SIZE, &label, 1, out, CN_SHA256_SIZE);
}

/* The three keys, of S. */
static enum cn_err keys_derive(struct cn_pair *pair, const struct cn_crypto *crypto)
{
    const uint8_t *s = pair->secret.bytes;
    enum cn_err err =
        key_expand(crypto, s, (struct cn_item)CN_LABEL("tag key"), pair->tag_key.bytes);

    if (err == CN_OK)
        err = key_expand(crypto, s, (struct cn_item)CN_LABEL("prologue key"),
                         pair->prologue_key.bytes);
    if (err == CN_OK)
        err = key_expand(crypto, s, (struct cn_item)CN_LABEL("chain key"), pair->chain_key.bytes);
    return err;
}

/* S = Extract(Extract(label, nonce_A, nonce_B), card_A, card_B, dh). dh is empty unless both
 * identities are X25519. */
static enum cn_err secret_derive(struct cn_pair *pair, const struct cn_crypto *crypto,
                                 const struct cn_card *a, const struct cn_card *b,
                                 const uint8_t *dh, size_t dh_size)
{
    const struct cn_item nonces[] = {
        { CN_ITEM_NONCE, a->pair_nonce, sizeof a->pair_nonce },
        { CN_ITEM_NONCE, b->pair_nonce, sizeof b->pair_nonce },
    };
    const struct cn_item cards[] = {
        { CN_ITEM_CARD, a->hash, sizeof a->hash },
        { CN_ITEM_CARD, b->hash, sizeof b->hash },
        { CN_ITEM_SECRET, dh, dh_size },
    };
    uint8_t *s = pair->secret.bytes;
    enum cn_err err =
        cn_extract(crypto, CN_SHA256, salt_label, sizeof salt_label - 1, nonces, 2, s);

    if (err == CN_OK)
        err = cn_extract(crypto, CN_SHA256, s, sizeof pair->secret.bytes, cards, 3, s);
    return err;
}

/* Twelve groups of five digits over both cards. */
static enum cn_err safety_make(struct cn_pair *pair, const struct cn_crypto *crypto)
{
    const struct cn_item cards[] = {
        { CN_ITEM_CARD, pair->card_a, sizeof pair->card_a },
        { CN_ITEM_CARD, pair->card_b, sizeof pair->card_b },
    };
    uint8_t key[CN_SHA256_SIZE];
    uint8_t bytes[GROUP_COUNT * GROUP_BYTES];
    enum cn_err err =
        cn_extract(crypto, CN_SHA256, safety_label, sizeof safety_label - 1, cards, 2, key);

    if (err == CN_OK)
        err = cn_expand(crypto, CN_SHA256, key, sizeof key, NULL, 0, bytes, sizeof bytes);
    for (size_t group = 0; err == CN_OK && group < GROUP_COUNT; group++) {
        char *out = pair->safety + group * (GROUP_DIGITS + 1);
        uint64_t value = 0;

        for (size_t i = 0; i < GROUP_BYTES; i++)
            value = value << 8 | bytes[group * GROUP_BYTES + i];
        value %= GROUP_MODULUS;
        for (size_t i = GROUP_DIGITS; i-- > 0; value /= 10)
            out[i] = (char)('0' + value % 10);
        out[GROUP_DIGITS] = group + 1 < GROUP_COUNT ? ' ' : '\0';
    }
    cn_wipe(key, sizeof key);
    cn_wipe(bytes, sizeof bytes);
    return err;
}

static enum cn_err cards_check(const struct cn_identity *identity, const struct cn_card *mine,
                               const struct cn_card *theirs)
{
    if (!cn_equal_ct(mine->id, identity->id, CN_ID_SIZE))
        return CN_E_KEY;
    if (cn_equal_ct(theirs->id, mine->id, CN_ID_SIZE))
        return CN_E_OWN;
    if (!cn_equal_ct(theirs->server_key.bytes, mine->server_key.bytes, CN_X25519_SIZE))
        return CN_E_SERVER;
    return lists_version(mine) && lists_version(theirs) ? CN_OK : CN_E_SUITE;
}

enum cn_err cn_pair_create(struct cn_pair *pair, const struct cn_crypto *crypto,
                           const struct cn_identity *identity, const struct cn_card *mine,
                           const struct cn_card *theirs)
{
    bool mine_first = memcmp(mine->id, theirs->id, CN_ID_SIZE) < 0; /* public: ids */
    const struct cn_card *a = mine_first ? mine : theirs;
    const struct cn_card *b = mine_first ? theirs : mine;
    struct cn_pair p = { .role = mine_first ? CN_ROLE_A : CN_ROLE_B,
                         .their_public = theirs->public,
                         .their_pq_public = theirs->pq_public };
    uint8_t dh[CN_X25519_SIZE];
    size_t dh_size = 0;
    enum cn_err err = cards_check(identity, mine, theirs);

    if (err != CN_OK)
        goto out;
    p.suite = suite_common(a, b);
    err = CN_E_SUITE;
    if (!p.suite)
        goto out;
    memcpy(p.card_a, a->hash, sizeof p.card_a);
    memcpy(p.card_b, b->hash, sizeof p.card_b);
    if (a->public.kind == CN_KEM_X25519 && b->public.kind == CN_KEM_X25519) {
        err = cn_x25519(identity->secret.bytes, theirs->public.bytes, dh);
        if (err != CN_OK)
            goto out;
        dh_size = sizeof dh;
    }
    err = secret_derive(&p, crypto, a, b, dh, dh_size);
    if (err == CN_OK)
        err = keys_derive(&p, crypto);
    if (err == CN_OK)
        err = safety_make(&p, crypto);
    if (err == CN_OK)
        *pair = p;
out:
    cn_wipe(dh, sizeof dh);
    cn_pair_wipe(&p);
    return err;
}

enum cn_err cn_pair_resume(struct cn_pair *resumed, const struct cn_crypto *crypto,
                           const struct cn_pair *pair, const struct cn_resume_secret *secret)
{
    const struct cn_item item = { CN_ITEM_SECRET, secret->bytes, cn_hash_size(pair->suite->hash) };
    struct cn_pair p = *pair;
    enum cn_err err = cn_extract(crypto, CN_SHA256, pair->secret.bytes, sizeof pair->secret.bytes,
                                 &item, 1, p.secret.bytes);

    if (err == CN_OK)
        err = keys_derive(&p, crypto);
    if (err == CN_OK)
        *resumed = p;
    cn_pair_wipe(&p);
    return err;
}
