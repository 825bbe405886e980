#include "noise.h"

#include <assert.h>
#include <string.h>

static const char protocol_name[] = "Noise_IK_25519_ChaChaPoly_SHA256";

_Static_assert(sizeof protocol_name - 1 == CN_SHA256_SIZE, "the name is the first hash, unhashed");

/* 32 zero bits, then the counter little-endian: the ChaChaPoly nonce of Noise 12.3. */
static void nonce_encode(uint64_t nonce, uint8_t out[CN_AEAD_NONCE_SIZE])
{
    memset(out, 0, CN_AEAD_NONCE_SIZE);
    for (size_t i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(nonce >> 8 * i);
}

void cn_noise_wipe(struct cn_noise *noise)
{
    if (noise)
        cn_wipe(noise, sizeof *noise);
}

/* HKDF of Noise 4.3 with two outputs; either output may be the chaining key. */
static enum cn_err hkdf(const struct cn_crypto *crypto, const uint8_t chaining_key[CN_SHA256_SIZE],
                        const uint8_t *in, size_t in_size, uint8_t out1[CN_SHA256_SIZE],
                        uint8_t out2[CN_SHA256_SIZE])
{
    uint8_t extracted[CN_SHA256_SIZE];
    uint8_t both[2 * CN_SHA256_SIZE];
    enum cn_err err =
        cn_hmac(crypto, CN_SHA256, chaining_key, CN_SHA256_SIZE, in, in_size, extracted);

    if (err == CN_OK)
        err = cn_expand(crypto, CN_SHA256, extracted, sizeof extracted, NULL, 0, both, sizeof both);
    if (err == CN_OK) {
        memcpy(out1, both, CN_SHA256_SIZE);
        memcpy(out2, both + CN_SHA256_SIZE, CN_SHA256_SIZE);
    }
    cn_wipe(extracted, sizeof extracted);
    cn_wipe(both, sizeof both);
    return err;
}

static enum cn_err mix_key(struct cn_noise *noise, const struct cn_x25519_key *mine,
                           const uint8_t theirs[CN_X25519_SIZE])
{
    uint8_t shared[CN_X25519_SIZE];
    enum cn_err err = cn_x25519_key_agree(mine, theirs, shared);

    if (err == CN_OK)
        err = hkdf(noise->crypto, noise->chaining_key, shared, sizeof shared, noise->chaining_key,
                   noise->key);
    noise->nonce = 0;
    cn_wipe(shared, sizeof shared);
    return err;
}

static enum cn_err mix_hash(struct cn_noise *noise, const uint8_t *in, size_t in_size)
{
    return cn_hash_two(noise->crypto, CN_SHA256, noise->hash, sizeof noise->hash, in, in_size,
                       noise->hash);
}

static struct cn_aead_call aead_of(const struct cn_noise *noise,
                                   const uint8_t nonce[CN_AEAD_NONCE_SIZE])
{
    return (struct cn_aead_call) { CN_CHACHA20POLY1305, noise->key, nonce, noise->hash,
                                   sizeof noise->hash };
}

/* out gets in_size + 16 octets. */
static enum cn_err encrypt_and_hash(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                                    uint8_t *out)
{
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    struct cn_aead_call call = aead_of(noise, nonce);
    enum cn_err err;

    nonce_encode(noise->nonce++, nonce);
    err = cn_aead_seal(noise->crypto, &call, in, in_size, out);
    return err == CN_OK ? mix_hash(noise, out, in_size + CN_AEAD_TAG_SIZE) : err;
}

/* out gets in_size - 16 octets. */
static enum cn_err decrypt_and_hash(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                                    uint8_t *out)
{
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    struct cn_aead_call call = aead_of(noise, nonce);
    enum cn_err err;

    nonce_encode(noise->nonce++, nonce);
    err = cn_aead_open(noise->crypto, &call, in, in_size, out);
    return err == CN_OK ? mix_hash(noise, in, in_size) : err;
}

static enum cn_err noise_init(struct cn_noise *noise, const struct cn_crypto *crypto,
                              const uint8_t *prologue, size_t prologue_size)
{
    memset(noise, 0, sizeof *noise);
    noise->crypto = crypto;
    memcpy(noise->hash, protocol_name, sizeof noise->hash);
    memcpy(noise->chaining_key, protocol_name, sizeof noise->chaining_key);
    return mix_hash(noise, prologue, prologue_size);
}

enum cn_err cn_noise_initiator_init(struct cn_noise *noise, const struct cn_crypto *crypto,
                                    const uint8_t *prologue, size_t prologue_size,
                                    const uint8_t static_secret[CN_X25519_SIZE],
                                    const uint8_t their_static[CN_X25519_SIZE])
{
    enum cn_err err = noise_init(noise, crypto, prologue, prologue_size);

    if (err == CN_OK)
        err = cn_x25519_key_init(&noise->my_static, static_secret);
    if (err != CN_OK)
        return err;
    memcpy(noise->their_static, their_static, CN_X25519_SIZE);
    return mix_hash(noise, their_static, CN_X25519_SIZE);
}

enum cn_err cn_noise_responder_init(struct cn_noise *noise, const struct cn_crypto *crypto,
                                    const uint8_t *prologue, size_t prologue_size,
                                    const struct cn_x25519_key *my_static)
{
    enum cn_err err = noise_init(noise, crypto, prologue, prologue_size);

    if (err != CN_OK)
        return err;
    noise->my_static = *my_static;
    return mix_hash(noise, my_static->public, CN_X25519_SIZE);
}

/* Token e, written: the public key goes to out[0..32). */
static enum cn_err ephemeral_write(struct cn_noise *noise, const uint8_t ephemeral[CN_X25519_SIZE],
                                   uint8_t *out)
{
    enum cn_err err = cn_x25519_key_init(&noise->my_ephemeral, ephemeral);

    if (err != CN_OK)
        return err;
    memcpy(out, noise->my_ephemeral.public, CN_X25519_SIZE);
    return mix_hash(noise, out, CN_X25519_SIZE);
}

static enum cn_err ephemeral_read(struct cn_noise *noise, const uint8_t *in)
{
    memcpy(noise->their_ephemeral, in, CN_X25519_SIZE);
    return mix_hash(noise, in, CN_X25519_SIZE);
}

enum cn_err cn_noise_write1(struct cn_noise *noise, const uint8_t ephemeral[CN_X25519_SIZE],
                            const uint8_t *payload, size_t payload_size, uint8_t *out)
{
    enum cn_err err = ephemeral_write(noise, ephemeral, out);

    if (err == CN_OK)
        err = mix_key(noise, &noise->my_ephemeral, noise->their_static); /* es */
    if (err == CN_OK)
        err = encrypt_and_hash(noise, noise->my_static.public, CN_X25519_SIZE,
                               out + CN_X25519_SIZE); /* s */
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_static, noise->their_static); /* ss */
    if (err == CN_OK)
        err = encrypt_and_hash(noise, payload, payload_size,
                               out + CN_NOISE_MESSAGE1_EXTRA - CN_AEAD_TAG_SIZE);
    return err;
}

enum cn_err cn_noise_read1(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                           uint8_t *payload)
{
    const size_t payload_at = CN_NOISE_MESSAGE1_EXTRA - CN_AEAD_TAG_SIZE;
    enum cn_err err;

    if (in_size < CN_NOISE_MESSAGE1_EXTRA)
        return CN_E_FORMAT;
    err = ephemeral_read(noise, in);
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_static, noise->their_ephemeral); /* es */
    if (err == CN_OK)
        err = decrypt_and_hash(noise, in + CN_X25519_SIZE, CN_X25519_SIZE + CN_AEAD_TAG_SIZE,
                               noise->their_static); /* s */
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_static, noise->their_static); /* ss */
    if (err == CN_OK)
        err = decrypt_and_hash(noise, in + payload_at, in_size - payload_at, payload);
    return err;
}

enum cn_err cn_noise_write2(struct cn_noise *noise, const uint8_t ephemeral[CN_X25519_SIZE],
                            const uint8_t *payload, size_t payload_size, uint8_t *out)
{
    enum cn_err err = ephemeral_write(noise, ephemeral, out);

    if (err == CN_OK)
        err = mix_key(noise, &noise->my_ephemeral, noise->their_ephemeral); /* ee */
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_ephemeral, noise->their_static); /* se */
    if (err == CN_OK)
        err = encrypt_and_hash(noise, payload, payload_size, out + CN_X25519_SIZE);
    return err;
}

enum cn_err cn_noise_read2(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                           uint8_t *payload)
{
    enum cn_err err;

    if (in_size < CN_NOISE_MESSAGE2_EXTRA)
        return CN_E_FORMAT;
    err = ephemeral_read(noise, in);
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_ephemeral, noise->their_ephemeral); /* ee */
    if (err == CN_OK)
        err = mix_key(noise, &noise->my_static, noise->their_ephemeral); /* se */
    if (err == CN_OK)
        err = decrypt_and_hash(noise, in + CN_X25519_SIZE, in_size - CN_X25519_SIZE, payload);
    return err;
}

enum cn_err cn_noise_split(const struct cn_noise *noise, struct cn_noise_cipher *from_initiator,
                           struct cn_noise_cipher *from_responder)
{
    enum cn_err err =
        hkdf(noise->crypto, noise->chaining_key, NULL, 0, from_initiator->key, from_responder->key);

    from_initiator->nonce = 0;
    from_responder->nonce = 0;
    return err;
}

enum cn_err cn_noise_seal(struct cn_noise_cipher *cipher, const struct cn_crypto *crypto,
                          const uint8_t *in, size_t in_size, uint8_t *out)
{
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    struct cn_aead_call call = { CN_CHACHA20POLY1305, cipher->key, nonce, NULL, 0 };
    enum cn_err err;

    assert(cipher->nonce < UINT64_MAX); /* the last nonce is reserved, Noise 5.1 */
    nonce_encode(cipher->nonce, nonce);
    err = cn_aead_seal(crypto, &call, in, in_size, out);
    if (err == CN_OK)
        cipher->nonce++;
    return err;
}

enum cn_err cn_noise_open(struct cn_noise_cipher *cipher, const struct cn_crypto *crypto,
                          const uint8_t *in, size_t in_size, uint8_t *out)
{
    uint8_t nonce[CN_AEAD_NONCE_SIZE];
    struct cn_aead_call call = { CN_CHACHA20POLY1305, cipher->key, nonce, NULL, 0 };
    enum cn_err err;

    assert(cipher->nonce < UINT64_MAX);
    nonce_encode(cipher->nonce, nonce);
    err = cn_aead_open(crypto, &call, in, in_size, out);
    if (err == CN_OK)
        cipher->nonce++;
    return err;
}
