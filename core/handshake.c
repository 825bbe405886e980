#include "handshake.h"

#include <assert.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

enum {
    NONCE_SIZE = 32,
    PROLOGUE_PLAIN_SIZE = CN_PROLOGUE_SIZE - NONCE_SIZE - CN_AEAD_TAG_SIZE,
    ANSWER_PLAIN_SIZE = CN_ANSWER_SIZE - CN_AEAD_TAG_SIZE,
    OAEP_LABEL_SIZE_MAX = CN_HASH_SIZE_MAX
};

static const char protocol_name[] = "cyphernet/1 call";
static const uint8_t zero_nonce[CN_AEAD_NONCE_SIZE];

void cn_handshake_wipe(struct cn_handshake *handshake)
{
    if (handshake)
        cn_wipe(handshake, sizeof *handshake);
    cn_wipe_remains();
}

void cn_call_keys_wipe(struct cn_call_keys *keys)
{
    if (keys)
        cn_wipe(keys, sizeof *keys);
    cn_wipe_remains();
}

static enum cn_err fail(struct cn_handshake *handshake, enum cn_err err)
{
    cn_handshake_wipe(handshake);
    handshake->state = CN_HANDSHAKE_FAILED;
    return err;
}

static const struct cn_suite *suite_of(const struct cn_handshake *hs)
{
    return hs->setup.pair->suite;
}

static size_t hash_size_of(const struct cn_handshake *hs)
{
    return cn_hash_size(suite_of(hs)->hash);
}

/* The two messages of a flight in the order A, B. */
static void in_role_order(const struct cn_handshake *hs, const uint8_t *mine, const uint8_t *theirs,
                          const uint8_t *out[2])
{
    bool i_am_a = hs->setup.pair->role == CN_ROLE_A;

    out[0] = i_am_a ? mine : theirs;
    out[1] = i_am_a ? theirs : mine;
}

/* h0 = H(protocol, suite, card_A, card_B, caller role, service, tag). PROTOCOL.md 5.1 */
static enum cn_err hash_start(struct cn_handshake *hs)
{
    const struct cn_pair *pair = hs->setup.pair;
    const char *service = cn_service_name(hs->setup.service);
    const uint8_t caller = (uint8_t)hs->setup.caller;
    const uint8_t code[2] = { (uint8_t)(pair->suite->code >> 8), (uint8_t)pair->suite->code };
    const struct cn_item items[] = {
        { CN_ITEM_LABEL, protocol_name, sizeof protocol_name - 1 },
        { CN_ITEM_NUMBER, code, sizeof code },
        { CN_ITEM_CARD, pair->card_a, sizeof pair->card_a },
        { CN_ITEM_CARD, pair->card_b, sizeof pair->card_b },
        { CN_ITEM_ROLE, &caller, sizeof caller },
        { CN_ITEM_NAME, service, strlen(service) },
        { CN_ITEM_TAG, hs->setup.tag, sizeof hs->setup.tag },
    };

    return cn_hash_items(hs->setup.crypto, pair->suite->hash, items, 7, hs->hash);
}

/* h' = H(h, flight_A, flight_B) */
static enum cn_err hash_flight(struct cn_handshake *hs, const uint8_t *mine, const uint8_t *theirs,
                               size_t size)
{
    const uint8_t *flights[2];

    in_role_order(hs, mine, theirs, flights);

    const struct cn_item items[] = {
        { CN_ITEM_HASH, hs->hash, hash_size_of(hs) },
        { CN_ITEM_MESSAGE, flights[0], size },
        { CN_ITEM_MESSAGE, flights[1], size },
    };

    return cn_hash_items(hs->setup.crypto, suite_of(hs)->hash, items, 3, hs->hash);
}

/* Key of role's F1: Expand(K_f1, label, role, n, h0). */
static enum cn_err prologue_key(const struct cn_handshake *hs, enum cn_role role,
                                const uint8_t nonce[NONCE_SIZE], uint8_t key[CN_AEAD_KEY_SIZE])
{
    const uint8_t r = (uint8_t)role;
    const struct cn_item items[] = {
        CN_LABEL("prologue"),
        { CN_ITEM_ROLE, &r, sizeof r },
        { CN_ITEM_NONCE, nonce, NONCE_SIZE },
        { CN_ITEM_HASH, hs->hash, hash_size_of(hs) },
    };
    const struct cn_prologue_key *k = &hs->setup.pair->prologue_key;

    return cn_expand(hs->setup.crypto, suite_of(hs)->hash, k->bytes, sizeof k->bytes, items, 4, key,
                     CN_AEAD_KEY_SIZE);
}

/* Additional data of role's F1: h0, role. */
static size_t prologue_aad(const struct cn_handshake *hs, enum cn_role role,
                           uint8_t aad[CN_HASH_SIZE_MAX + 1])
{
    size_t size = hash_size_of(hs);

    memcpy(aad, hs->hash, size);
    aad[size] = (uint8_t)role;
    return size + 1;
}

/* label = H(label, h0, role): binds an OAEP ciphertext to its place. */
static enum cn_err oaep_label(const struct cn_handshake *hs, enum cn_role role,
                              uint8_t label[OAEP_LABEL_SIZE_MAX])
{
    const uint8_t r = (uint8_t)role;
    const struct cn_item items[] = {
        CN_LABEL("oaep"),
        { CN_ITEM_HASH, hs->hash, hash_size_of(hs) },
        { CN_ITEM_ROLE, &r, sizeof r },
    };

    return cn_hash_items(hs->setup.crypto, suite_of(hs)->hash, items, 3, label);
}

/* Fresh ephemerals, and the tokens for the partner's long-term keys, into the content of F1. */
static enum cn_err prologue_content(struct cn_handshake *hs, struct cn_writer *w)
{
    const struct cn_pair *pair = hs->setup.pair;
    const struct cn_random *random = hs->setup.random;
    uint8_t label[OAEP_LABEL_SIZE_MAX];
    struct cn_kem_binding binding = { hs->ephemeral.bytes, label, hash_size_of(hs) };
    struct cn_kem_public public;
    uint8_t key_data[CN_KEM_CIPHERTEXT_SIZE_MAX];
    size_t key_data_size = cn_kem_ciphertext_size(pair->their_public.kind);
    uint8_t pq_data[CN_MLKEM768_CIPHERTEXT_SIZE];
    enum cn_err err;

    cn_writer_u8(w, CN_PROTOCOL_VERSION);
    cn_writer_u32be(w, 0); /* capabilities: none defined */
    err = cn_kem_generate(CN_KEM_X25519, random, &hs->ephemeral);
    if (err == CN_OK)
        err = cn_kem_public_of(&hs->ephemeral, &public);
    if (err != CN_OK)
        return err;
    cn_writer_bytes(w, public.bytes, public.size);

    err = cn_kem_generate(CN_KEM_MLKEM768, random, &hs->pq_ephemeral);
    if (err == CN_OK)
        err = cn_kem_public_of(&hs->pq_ephemeral, &public);
    if (err != CN_OK)
        return err;
    cn_writer_bytes(w, public.bytes, public.size);

    err = oaep_label(hs, pair->role, label);
    if (err == CN_OK)
        err = cn_kem_encapsulate(&pair->their_public, &binding, random, key_data, &hs->my_token);
    if (err == CN_OK)
        err =
            cn_kem_encapsulate(&pair->their_pq_public, &binding, random, pq_data, &hs->my_pq_token);
    if (err != CN_OK)
        return err;
    cn_writer_u16be(w, (uint16_t)key_data_size);
    cn_writer_bytes(w, key_data, key_data_size);
    cn_writer_bytes(w, pq_data, sizeof pq_data);
    cn_writer_zeros(w, w->left);
    return cn_writer_ok(w) ? CN_OK : CN_E_FULL;
}

enum cn_err cn_handshake_start(struct cn_handshake *handshake,
                               const struct cn_handshake_setup *setup,
                               uint8_t out[CN_PROLOGUE_HEAD_SIZE + CN_PROLOGUE_SIZE])
{
    uint8_t plain[PROLOGUE_PLAIN_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t aad[CN_HASH_SIZE_MAX + 1];
    uint8_t *f1 = handshake->prologue;
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    struct cn_writer head = { .at = out, .left = CN_PROLOGUE_HEAD_SIZE };
    struct cn_aead_call call = { setup->pair->suite->aead, key, zero_nonce, aad, 0 };
    enum cn_err err;

    memset(handshake, 0, sizeof *handshake);
    handshake->setup = *setup;
    err = hash_start(handshake);
    if (err == CN_OK)
        err = prologue_content(handshake, &w);
    if (err == CN_OK)
        err = cn_random_fill(setup->random, f1, NONCE_SIZE);
    if (err == CN_OK)
        err = prologue_key(handshake, setup->pair->role, f1, key);
    if (err == CN_OK) {
        call.aad_size = prologue_aad(handshake, setup->pair->role, aad);
        err = cn_aead_seal(setup->crypto, &call, plain, sizeof plain, f1 + NONCE_SIZE);
    }
    cn_wipe(plain, sizeof plain);
    cn_wipe(key, sizeof key);
    if (err != CN_OK)
        return fail(handshake, err);
    cn_writer_u16be(&head, CN_PROLOGUE_SIZE);
    memcpy(out + CN_PROLOGUE_HEAD_SIZE, f1, CN_PROLOGUE_SIZE);
    handshake->state = CN_HANDSHAKE_PROLOGUE;
    return CN_OK;
}

/* What the partner's F1 says. */
struct prologue {
    struct cn_kem_public ephemeral;
    struct cn_kem_public pq_ephemeral;
    size_t key_data_size;
    uint8_t key_data[CN_KEM_CIPHERTEXT_SIZE_MAX];
    uint8_t pq_data[CN_MLKEM768_CIPHERTEXT_SIZE];
};

static enum cn_err prologue_decode(struct cn_handshake *hs, struct prologue *p, struct cn_reader *r)
{
    uint8_t version = cn_reader_u8(r);
    enum cn_err err;

    hs->their_capabilities = cn_reader_u32be(r);
    p->ephemeral.kind = CN_KEM_X25519;
    p->ephemeral.size = CN_X25519_SIZE;
    cn_reader_copy(r, p->ephemeral.bytes, CN_X25519_SIZE);
    p->pq_ephemeral.kind = CN_KEM_MLKEM768;
    p->pq_ephemeral.size = CN_MLKEM768_PUBLIC_SIZE;
    cn_reader_copy(r, p->pq_ephemeral.bytes, CN_MLKEM768_PUBLIC_SIZE);
    p->key_data_size = cn_reader_u16be(r);
    if (version != CN_PROTOCOL_VERSION ||
        p->key_data_size != cn_kem_ciphertext_size(hs->setup.identity->public.kind) ||
        p->key_data_size > sizeof p->key_data)
        return CN_E_FORMAT;
    cn_reader_copy(r, p->key_data, p->key_data_size);
    cn_reader_copy(r, p->pq_data, sizeof p->pq_data);
    if (!cn_reader_ok(r))
        return CN_E_FORMAT;
    err = cn_kem_check(&p->ephemeral);
    return err == CN_OK ? cn_kem_check(&p->pq_ephemeral) : err;
}

static enum cn_err prologue_open(struct cn_handshake *hs, const uint8_t in[CN_PROLOGUE_SIZE],
                                 struct prologue *p)
{
    enum cn_role role = cn_role_other(hs->setup.pair->role);
    uint8_t plain[PROLOGUE_PLAIN_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t aad[CN_HASH_SIZE_MAX + 1];
    struct cn_reader r = { .at = plain, .left = sizeof plain };
    struct cn_aead_call call = { suite_of(hs)->aead, key, zero_nonce, aad,
                                 prologue_aad(hs, role, aad) };
    enum cn_err err = prologue_key(hs, role, in, key);

    if (err == CN_OK)
        err = cn_aead_open(hs->setup.crypto, &call, in + NONCE_SIZE, CN_PROLOGUE_SIZE - NONCE_SIZE,
                           plain);
    if (err == CN_OK)
        err = prologue_decode(hs, p, &r);
    cn_wipe(plain, sizeof plain);
    cn_wipe(key, sizeof key);
    return err;
}

/* ck1 = Extract(K_ck, DH(e_A, e_B), t_A, t_B, q_A, q_B), with h1 already in place. */
static enum cn_err chain_start(struct cn_handshake *hs, const uint8_t dh[CN_X25519_SIZE],
                               const struct cn_kem_shared *their_token,
                               const struct cn_kem_shared *their_pq_token)
{
    const uint8_t *tokens[2];
    const uint8_t *pq_tokens[2];

    in_role_order(hs, hs->my_token.bytes, their_token->bytes, tokens);
    in_role_order(hs, hs->my_pq_token.bytes, their_pq_token->bytes, pq_tokens);

    const struct cn_item items[] = {
        { CN_ITEM_SECRET, dh, CN_X25519_SIZE },
        { CN_ITEM_SECRET, tokens[0], CN_KEM_SHARED_SIZE },
        { CN_ITEM_SECRET, tokens[1], CN_KEM_SHARED_SIZE },
        { CN_ITEM_SECRET, pq_tokens[0], CN_KEM_SHARED_SIZE },
        { CN_ITEM_SECRET, pq_tokens[1], CN_KEM_SHARED_SIZE },
    };
    const struct cn_chain_key *k = &hs->setup.pair->chain_key;

    return cn_extract(hs->setup.crypto, suite_of(hs)->hash, k->bytes, sizeof k->bytes, items, 5,
                      hs->chain);
}

/* Open the tokens that the partner made for us, and mix everything: h1 and ck1. */
static enum cn_err tokens_open(struct cn_handshake *hs, const struct prologue *p,
                               const uint8_t in[CN_PROLOGUE_SIZE])
{
    const struct cn_identity *me = hs->setup.identity;
    uint8_t label[OAEP_LABEL_SIZE_MAX];
    struct cn_kem_binding binding = { p->ephemeral.bytes, label, hash_size_of(hs) };
    struct cn_kem_shared token;
    struct cn_kem_shared pq_token;
    uint8_t dh[CN_X25519_SIZE];
    enum cn_err err = oaep_label(hs, cn_role_other(hs->setup.pair->role), label);

    if (err == CN_OK)
        err = cn_kem_decapsulate(&me->secret, &binding, hs->setup.random, p->key_data,
                                 p->key_data_size, &token);
    if (err == CN_OK)
        err = cn_kem_decapsulate(&me->pq_secret, &binding, hs->setup.random, p->pq_data,
                                 sizeof p->pq_data, &pq_token);
    if (err == CN_OK)
        err = cn_x25519(hs->ephemeral.bytes, p->ephemeral.bytes, dh);
    if (err == CN_OK)
        err = hash_flight(hs, hs->prologue, in, CN_PROLOGUE_SIZE);
    if (err == CN_OK)
        err = chain_start(hs, dh, &token, &pq_token);
    cn_wipe(&token, sizeof token);
    cn_wipe(&pq_token, sizeof pq_token);
    cn_wipe(dh, sizeof dh);
    return err;
}

/* Key of role's F2: Expand(ck1, label, role, h1). */
static enum cn_err answer_key(const struct cn_handshake *hs, enum cn_role role,
                              uint8_t key[CN_AEAD_KEY_SIZE])
{
    const uint8_t r = (uint8_t)role;
    const struct cn_item items[] = {
        CN_LABEL("answer"),
        { CN_ITEM_ROLE, &r, sizeof r },
        { CN_ITEM_HASH, hs->hash, hash_size_of(hs) },
    };

    return cn_expand(hs->setup.crypto, suite_of(hs)->hash, hs->chain, hash_size_of(hs), items, 3,
                     key, CN_AEAD_KEY_SIZE);
}

static enum cn_err answer_make(struct cn_handshake *hs)
{
    uint8_t plain[ANSWER_PLAIN_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];
    struct cn_kem_binding none = { 0 };
    struct cn_writer w = { .at = plain, .left = sizeof plain };
    struct cn_aead_call call = { suite_of(hs)->aead, key, zero_nonce, hs->hash, hash_size_of(hs) };
    enum cn_err err = cn_kem_encapsulate(&hs->their_pq_ephemeral, &none, hs->setup.random,
                                         ciphertext, &hs->my_answer);

    if (err == CN_OK)
        err = answer_key(hs, hs->setup.pair->role, key);
    if (err == CN_OK) {
        cn_writer_bytes(&w, ciphertext, sizeof ciphertext);
        cn_writer_u32be(&w, hs->setup.limits.stream_count);
        cn_writer_u64be(&w, hs->setup.limits.window);
        cn_writer_u32be(&w, hs->setup.limits.resume_s);
        cn_writer_zeros(&w, w.left);
        err = cn_aead_seal(hs->setup.crypto, &call, plain, sizeof plain, hs->answer);
    }
    cn_wipe(plain, sizeof plain);
    cn_wipe(key, sizeof key);
    return err;
}

enum cn_err cn_handshake_prologue(struct cn_handshake *handshake,
                                  const uint8_t in[CN_PROLOGUE_SIZE], uint8_t out[CN_ANSWER_SIZE])
{
    struct prologue p;
    enum cn_err err = CN_E_UNEXPECTED;

    if (handshake->state == CN_HANDSHAKE_PROLOGUE)
        err = prologue_open(handshake, in, &p);
    if (err == CN_OK)
        err = tokens_open(handshake, &p, in);
    if (err != CN_OK)
        return fail(handshake, err);
    handshake->their_pq_ephemeral = p.pq_ephemeral;
    cn_wipe(&handshake->ephemeral, sizeof handshake->ephemeral);
    cn_wipe(&handshake->my_token, sizeof handshake->my_token);
    cn_wipe(&handshake->my_pq_token, sizeof handshake->my_pq_token);
    err = answer_make(handshake);
    if (err != CN_OK)
        return fail(handshake, err);
    memcpy(out, handshake->answer, CN_ANSWER_SIZE);
    handshake->state = CN_HANDSHAKE_ANSWER;
    return CN_OK;
}

bool cn_handshake_is_rsa(const struct cn_handshake *handshake)
{
    return cn_kem_is_rsa(handshake->setup.identity->public.kind) ||
           cn_kem_is_rsa(handshake->setup.pair->their_public.kind);
}

/* Expand(ck2, label[, role], h2) */
static enum cn_err keys_expand(const struct cn_handshake *hs, struct cn_item label,
                               enum cn_role role, uint8_t *out, size_t out_size)
{
    const uint8_t r = (uint8_t)role;
    const struct cn_item items[] = {
        label,
        { CN_ITEM_ROLE, &r, role ? sizeof r : 0 },
        { CN_ITEM_HASH, hs->hash, hash_size_of(hs) },
    };

    return cn_expand(hs->setup.crypto, suite_of(hs)->hash, hs->chain, hash_size_of(hs), items, 3,
                     out, out_size);
}

/* HMAC(Expand(ck2, "finish", role, h2), h2), cut to 32 octets. */
static enum cn_err finish_make(const struct cn_handshake *hs, enum cn_role role,
                               uint8_t out[CN_FINISH_SIZE])
{
    uint8_t key[CN_HASH_SIZE_MAX];
    uint8_t mac[CN_HASH_SIZE_MAX];
    size_t size = hash_size_of(hs);
    enum cn_err err = keys_expand(hs, (struct cn_item)CN_LABEL("finish"), role, key, size);

    if (err == CN_OK)
        err = cn_hmac(hs->setup.crypto, suite_of(hs)->hash, key, size, hs->hash, size, mac);
    if (err == CN_OK)
        memcpy(out, mac, CN_FINISH_SIZE);
    cn_wipe(key, sizeof key);
    cn_wipe(mac, sizeof mac);
    return err;
}

/* Everything that comes out, with ck2 and h2 in place. */
static enum cn_err keys_derive(const struct cn_handshake *hs, struct cn_call_keys *keys)
{
    const enum cn_role me = hs->setup.pair->role;
    const enum cn_role them = cn_role_other(me);
    const size_t size = hash_size_of(hs);
    const enum cn_role nobody = (enum cn_role)0;
    const struct {
        struct cn_item label;
        enum cn_role role;
        uint8_t *out;
        size_t out_size;
    } wanted[] = {
        { CN_LABEL("traffic"), me, keys->send.bytes, size },
        { CN_LABEL("traffic"), them, keys->receive.bytes, size },
        { CN_LABEL("chain"), nobody, keys->chain.bytes, size },
        { CN_LABEL("resume"), nobody, keys->resume.bytes, size },
        { CN_LABEL("exporter"), nobody, keys->exporter.bytes, size },
        { CN_LABEL("call id"), nobody, keys->call_id, CN_CALL_ID_SIZE },
    };
    enum cn_err err = CN_OK;

    for (size_t i = 0; err == CN_OK && i < sizeof wanted / sizeof wanted[0]; i++)
        err = keys_expand(hs, wanted[i].label, wanted[i].role, wanted[i].out, wanted[i].out_size);
    if (err == CN_OK)
        err = finish_make(hs, me, keys->finish_send);
    if (err == CN_OK)
        err = finish_make(hs, them, keys->finish_receive);
    return err;
}

/* ck2 = Extract(ck1, m_A, m_B) */
static enum cn_err chain_continue(struct cn_handshake *hs, const struct cn_kem_shared *their_answer)
{
    const uint8_t *answers[2];

    in_role_order(hs, hs->my_answer.bytes, their_answer->bytes, answers);

    const struct cn_item items[] = {
        { CN_ITEM_SECRET, answers[0], CN_KEM_SHARED_SIZE },
        { CN_ITEM_SECRET, answers[1], CN_KEM_SHARED_SIZE },
    };

    return cn_extract(hs->setup.crypto, suite_of(hs)->hash, hs->chain, hash_size_of(hs), items, 2,
                      hs->chain);
}

static enum cn_err answer_open(struct cn_handshake *hs, const uint8_t in[CN_ANSWER_SIZE],
                               struct cn_call_limits *limits)
{
    uint8_t plain[ANSWER_PLAIN_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];
    struct cn_kem_shared their_answer;
    struct cn_kem_binding none = { 0 };
    struct cn_reader r = { .at = plain, .left = sizeof plain };
    struct cn_aead_call call = { suite_of(hs)->aead, key, zero_nonce, hs->hash, hash_size_of(hs) };
    enum cn_err err = answer_key(hs, cn_role_other(hs->setup.pair->role), key);

    if (err == CN_OK)
        err = cn_aead_open(hs->setup.crypto, &call, in, CN_ANSWER_SIZE, plain);
    if (err == CN_OK) {
        cn_reader_copy(&r, ciphertext, sizeof ciphertext);
        limits->stream_count = cn_reader_u32be(&r);
        limits->window = cn_reader_u64be(&r);
        limits->resume_s = cn_reader_u32be(&r);
        assert(cn_reader_ok(&r));
        err = cn_kem_decapsulate(&hs->pq_ephemeral, &none, hs->setup.random, ciphertext,
                                 sizeof ciphertext, &their_answer);
    }
    if (err == CN_OK)
        err = hash_flight(hs, hs->answer, in, CN_ANSWER_SIZE);
    if (err == CN_OK)
        err = chain_continue(hs, &their_answer);
    cn_wipe(plain, sizeof plain);
    cn_wipe(key, sizeof key);
    cn_wipe(&their_answer, sizeof their_answer);
    return err;
}

enum cn_err cn_handshake_answer(struct cn_handshake *handshake, const uint8_t in[CN_ANSWER_SIZE],
                                struct cn_call_keys *keys)
{
    struct cn_call_keys k = { .capabilities = handshake->their_capabilities };
    enum cn_err err = CN_E_UNEXPECTED;

    if (handshake->state == CN_HANDSHAKE_ANSWER)
        err = answer_open(handshake, in, &k.limits);
    if (err == CN_OK)
        err = keys_derive(handshake, &k);
    if (err == CN_OK)
        *keys = k;
    cn_call_keys_wipe(&k);
    if (err != CN_OK)
        return fail(handshake, err);
    cn_handshake_wipe(handshake);
    handshake->state = CN_HANDSHAKE_DONE;
    return CN_OK;
}
