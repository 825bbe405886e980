/* storage.h - the key under which a subscriber's files lie, itself under a passphrase.
 * PROTOCOL.md 2.16
 *
 * A passphrase is changed by writing one file; what takes it on or off goes through all files, and
 * may be interrupted: until it is done files are taken sealed and plain. */
#ifndef CN_STORAGE_H
#define CN_STORAGE_H

#include "armor.h"
#include "seal.h"

enum {
    CN_STORAGE_VERSION = 1,
    CN_STORAGE_KEY_SIZE = 32,
    CN_STORAGE_ID_SIZE = 16,
    CN_STORAGE_TAG_SIZE = 32,
    CN_STORAGE_SEALED_SIZE = CN_STORAGE_KEY_SIZE + CN_SEAL_OVERHEAD,
    CN_STORAGE_BODY_SIZE =
        1 + CN_STORAGE_ID_SIZE + 1 + CN_STORAGE_TAG_SIZE + CN_STORAGE_SEALED_SIZE,
    CN_SEALED_FILE_VERSION = 1,
    CN_SEALED_FILE_NONCE_SIZE = 32,
    CN_SEALED_FILE_OVERHEAD = 1 + CN_SEALED_FILE_NONCE_SIZE + CN_AEAD_TAG_SIZE,
    CN_SEALED_FILE_SIZE_MAX = CN_ARMOR_BODY_SIZE_MAX - CN_SEALED_FILE_OVERHEAD
};

enum cn_storage_state {
    CN_STORAGE_CHANGING = 1, /* files are sealed or plain */
    CN_STORAGE_SEALED = 2    /* every file is sealed */
};

struct cn_storage_key {
    uint8_t bytes[CN_STORAGE_KEY_SIZE];
};

/* The file that holds the key; nothing in it is secret. */
struct cn_storage {
    uint8_t id[CN_STORAGE_ID_SIZE]; /* random: tells one key from another */
    enum cn_storage_state state;
    uint8_t tag[CN_STORAGE_TAG_SIZE]; /* by the key, over the state */
    uint8_t sealed[CN_STORAGE_SEALED_SIZE];
};

/* Armoured text. Errors of cn_armor_encode and cn_armor_decode; CN_E_VERSION; CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_storage_encode(const struct cn_storage *storage,
                                          const struct cn_crypto *crypto, char *text,
                                          size_t text_size_max, size_t *text_size);
CN_MUST_USE enum cn_err cn_storage_decode(struct cn_storage *storage,
                                          const struct cn_crypto *crypto, const char *text,
                                          size_t text_size);

/* A new key and its id. CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_storage_create(struct cn_storage *storage, struct cn_storage_key *key,
                                          const struct cn_random *random);
/* Put the key under a passphrase, whose label is filled in. Errors of cn_seal_close. */
CN_MUST_USE enum cn_err cn_storage_lock(struct cn_storage *storage,
                                        const struct cn_storage_key *key, struct cn_seal seal,
                                        const struct cn_random *random);
/* And take it out. Errors of cn_seal_open; CN_E_CHECKSUM: the state is not what the key said. */
CN_MUST_USE enum cn_err cn_storage_open(const struct cn_storage *storage,
                                        struct cn_storage_key *key, struct cn_seal seal);
/* Say a state. CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_storage_say(struct cn_storage *storage, const struct cn_crypto *crypto,
                                       const struct cn_storage_key *key,
                                       enum cn_storage_state state);

/* A file under the key, bound to its name inside the home. in_size is at most
 * CN_SEALED_FILE_SIZE_MAX, else CN_E_FULL. CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_sealed_file_encode(const struct cn_crypto *crypto,
                                              const struct cn_storage_key *key,
                                              const struct cn_random *random, const char *name,
                                              struct cn_piece in, char *text, size_t text_size_max,
                                              size_t *text_size);
/* Errors of cn_armor_decode; CN_E_VERSION; CN_E_FORMAT; CN_E_FULL: out is too small; CN_E_CHECKSUM:
 * another key, another name, or forged. On failure out has been wiped. */
CN_MUST_USE enum cn_err cn_sealed_file_decode(const struct cn_crypto *crypto,
                                              const struct cn_storage_key *key, const char *name,
                                              struct cn_piece text, char *out, size_t out_size_max,
                                              size_t *out_size);

#endif
