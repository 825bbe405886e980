/* noise.h - Noise_IK_25519_ChaChaPoly_SHA256, revision 34: the handshake of admission.
 *
 *   <- s
 *   ...
 *   -> e, es, s, ss     message 1
 *   <- e, ee, se        message 2
 *
 * One struct serves both roles. A failed call leaves the state unusable: wipe it. */
#ifndef CN_NOISE_H
#define CN_NOISE_H

#include "crypto.h"
#include "err.h"

enum {
    /* What a message is longer than its payload. */
    CN_NOISE_MESSAGE1_EXTRA = CN_X25519_SIZE + CN_X25519_SIZE + CN_AEAD_TAG_SIZE + CN_AEAD_TAG_SIZE,
    CN_NOISE_MESSAGE2_EXTRA = CN_X25519_SIZE + CN_AEAD_TAG_SIZE
};

struct cn_noise {
    const struct cn_crypto *crypto; /* borrowed */
    uint8_t hash[CN_SHA256_SIZE];
    uint8_t chaining_key[CN_SHA256_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint64_t nonce;
    struct cn_x25519_key my_static;
    struct cn_x25519_key my_ephemeral;
    uint8_t their_static[CN_X25519_SIZE];
    uint8_t their_ephemeral[CN_X25519_SIZE];
};

/* One direction after the handshake. */
struct cn_noise_cipher {
    uint8_t key[CN_AEAD_KEY_SIZE];
    uint64_t nonce; /* of the next message */
};

void cn_noise_wipe(struct cn_noise *noise);

/* Static keys are copied. */
CN_MUST_USE enum cn_err cn_noise_initiator_init(struct cn_noise *noise,
                                                const struct cn_crypto *crypto,
                                                const uint8_t *prologue, size_t prologue_size,
                                                const uint8_t static_secret[CN_X25519_SIZE],
                                                const uint8_t their_static[CN_X25519_SIZE]);
CN_MUST_USE enum cn_err cn_noise_responder_init(struct cn_noise *noise,
                                                const struct cn_crypto *crypto,
                                                const uint8_t *prologue, size_t prologue_size,
                                                const struct cn_x25519_key *my_static);

/* out gets payload_size + CN_NOISE_MESSAGE1_EXTRA octets. ephemeral: 32 fresh random octets,
 * copied. CN_E_KEY: a Diffie-Hellman result is zero. */
CN_MUST_USE enum cn_err cn_noise_write1(struct cn_noise *noise,
                                        const uint8_t ephemeral[CN_X25519_SIZE],
                                        const uint8_t *payload, size_t payload_size, uint8_t *out);
/* payload gets in_size - CN_NOISE_MESSAGE1_EXTRA octets; their_static is set.
 * CN_E_AUTH, CN_E_KEY, CN_E_FORMAT (too short). */
CN_MUST_USE enum cn_err cn_noise_read1(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                                       uint8_t *payload);
CN_MUST_USE enum cn_err cn_noise_write2(struct cn_noise *noise,
                                        const uint8_t ephemeral[CN_X25519_SIZE],
                                        const uint8_t *payload, size_t payload_size, uint8_t *out);
CN_MUST_USE enum cn_err cn_noise_read2(struct cn_noise *noise, const uint8_t *in, size_t in_size,
                                       uint8_t *payload);

/* After message 2: the initiator's sending key and the responder's. Wipe noise next. */
CN_MUST_USE enum cn_err cn_noise_split(const struct cn_noise *noise,
                                       struct cn_noise_cipher *from_initiator,
                                       struct cn_noise_cipher *from_responder);

/* out gets in_size + 16 octets. */
CN_MUST_USE enum cn_err cn_noise_seal(struct cn_noise_cipher *cipher,
                                      const struct cn_crypto *crypto, const uint8_t *in,
                                      size_t in_size, uint8_t *out);
/* out gets in_size - 16 octets. CN_E_AUTH: forged, and the nonce has not moved. */
CN_MUST_USE enum cn_err cn_noise_open(struct cn_noise_cipher *cipher,
                                      const struct cn_crypto *crypto, const uint8_t *in,
                                      size_t in_size, uint8_t *out);

#endif
