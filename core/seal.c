#include "seal.h"

#include <assert.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

enum {
    LOG_N =
        17, /* with r = 8 and p = 1: 128 MiB, which a small machine has and a guesser pays for */
    LOG_N_MIN = 14,
    LOG_N_MAX = 18,
    BLOCK_R = 8,
    LANES_P = 1,
    LANES_P_MAX = 4,
    LABEL_SIZE_MAX = 64
};

static const uint8_t nonce[CN_AEAD_NONCE_SIZE]; /* zeros: each key seals once */

struct head {
    struct cn_scrypt_cost cost;
    uint8_t salt[CN_SEAL_SALT_SIZE];
};

static void head_encode(const struct head *head, uint8_t out[CN_SEAL_HEAD_SIZE])
{
    struct cn_writer w = { .at = out, .left = CN_SEAL_HEAD_SIZE };

    cn_writer_u8(&w, (uint8_t)head->cost.log_n);
    cn_writer_u8(&w, (uint8_t)head->cost.r);
    cn_writer_u8(&w, (uint8_t)head->cost.p);
    cn_writer_bytes(&w, head->salt, sizeof head->salt);
}

static bool head_decode(struct head *head, const uint8_t in[CN_SEAL_HEAD_SIZE])
{
    struct cn_reader r = { .at = in, .left = CN_SEAL_HEAD_SIZE };

    head->cost.log_n = cn_reader_u8(&r);
    head->cost.r = cn_reader_u8(&r);
    head->cost.p = cn_reader_u8(&r);
    cn_reader_copy(&r, head->salt, sizeof head->salt);
    return cn_reader_done(&r) && head->cost.log_n >= LOG_N_MIN && head->cost.log_n <= LOG_N_MAX &&
           head->cost.r == BLOCK_R && head->cost.p >= 1 && head->cost.p <= LANES_P_MAX;
}

static enum cn_err key_make(const struct cn_seal *seal, const struct head *head,
                            uint8_t key[CN_AEAD_KEY_SIZE])
{
    assert(seal->passphrase_size >= 1 && seal->passphrase_size <= CN_PASSPHRASE_SIZE_MAX);
    return cn_scrypt(seal->passphrase, seal->passphrase_size, head->salt, &head->cost, key);
}

/* label || head */
static size_t aad_make(const struct cn_seal *seal, const uint8_t head[CN_SEAL_HEAD_SIZE],
                       uint8_t out[LABEL_SIZE_MAX + CN_SEAL_HEAD_SIZE])
{
    size_t size = strlen(seal->label);

    assert(size <= LABEL_SIZE_MAX);
    memcpy(out, seal->label, size);
    memcpy(out + size, head, CN_SEAL_HEAD_SIZE);
    return size + CN_SEAL_HEAD_SIZE;
}

enum cn_err cn_seal_close(const struct cn_seal *seal, const struct cn_random *random,
                          const uint8_t *in, size_t in_size, uint8_t *out)
{
    struct head head = { .cost = { LOG_N, BLOCK_R, LANES_P } };
    uint8_t aad[LABEL_SIZE_MAX + CN_SEAL_HEAD_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    struct cn_aead_call call = {
        .aead = CN_CHACHA20POLY1305, .key = key, .nonce = nonce, .aad = aad
    };
    enum cn_err err = cn_random_fill(random, head.salt, sizeof head.salt);

    if (err == CN_OK)
        err = key_make(seal, &head, key);
    if (err == CN_OK) {
        head_encode(&head, out);
        call.aad_size = aad_make(seal, out, aad);
        err = cn_aead_seal(seal->crypto, &call, in, in_size, out + CN_SEAL_HEAD_SIZE);
    }
    cn_wipe(key, sizeof key);
    return err;
}

enum cn_err cn_seal_open(const struct cn_seal *seal, const uint8_t *in, size_t in_size,
                         uint8_t *out)
{
    struct head head;
    uint8_t aad[LABEL_SIZE_MAX + CN_SEAL_HEAD_SIZE];
    uint8_t key[CN_AEAD_KEY_SIZE];
    struct cn_aead_call call = {
        .aead = CN_CHACHA20POLY1305, .key = key, .nonce = nonce, .aad = aad
    };
    enum cn_err err;

    if (in_size < CN_SEAL_OVERHEAD || !head_decode(&head, in))
        return CN_E_FORMAT;
    err = key_make(seal, &head, key);
    if (err == CN_OK) {
        call.aad_size = aad_make(seal, in, aad);
        err = cn_aead_open(seal->crypto, &call, in + CN_SEAL_HEAD_SIZE, in_size - CN_SEAL_HEAD_SIZE,
                           out);
    }
    cn_wipe(key, sizeof key);
    return err == CN_E_AUTH ? CN_E_PASSPHRASE : err;
}
