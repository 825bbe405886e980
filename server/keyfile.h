/* keyfile.h - the key files in the server's directory. PROTOCOL.md 2.6
 *
 * Armour around: version (1 octet), key (32 octets). Both programs read them, cyphernetctl writes
 * them. */
#ifndef CN_KEYFILE_H
#define CN_KEYFILE_H

#include <stdbool.h>

#include "armor.h"
#include "certificate.h"
#include "err.h"
#include "fingerprint.h"

enum {
    CN_KEYFILE_VERSION = 1,
    CN_KEYFILE_KEY_SIZE = 32,
    CN_KEYFILE_BODY_SIZE = 33,
    CN_KEYFILE_TEXT_SIZE_MAX = 512 /* it has about 160 */
};

#define CN_SERVER_KEY_FILE      "server.key"
#define CN_SERVER_PUBLIC_FILE   "server.pub"
#define CN_OPERATOR_KEY_FILE    "operator.key"
#define CN_OPERATOR_PUBLIC_FILE "operator.pub"
#define CN_REGISTRY_FILE        "registry.db"

/* dir: descriptor of the directory, or AT_FDCWD for a path.
 * CN_E_ABSENT; CN_E_OPEN_MODE: not a regular file of this user with one name and mode 0600 or less
 * (asked of secret keys only); errors of cn_armor_decode; CN_E_VERSION; CN_E_FORMAT; CN_E_SYSTEM
 * (errno). key is untouched on failure. */
CN_MUST_USE enum cn_err cn_keyfile_read(const struct cn_crypto *crypto, int dir, const char *name,
                                        enum cn_armor_kind kind, uint8_t key[CN_KEYFILE_KEY_SIZE]);
/* The same in two steps, of which the second may be another process's: *fd is the caller's. */
CN_MUST_USE enum cn_err cn_keyfile_open(int dir, const char *name, enum cn_armor_kind kind,
                                        int *fd);
CN_MUST_USE enum cn_err cn_keyfile_take(const struct cn_crypto *crypto, int fd,
                                        enum cn_armor_kind kind, uint8_t key[CN_KEYFILE_KEY_SIZE]);

static inline bool cn_keyfile_is_secret(enum cn_armor_kind kind)
{
    return kind != CN_ARMOR_OPERATOR_PUBLIC && kind != CN_ARMOR_SERVER_PUBLIC;
}

/* The same of a text that is at hand: the errors of its contents alone. */
CN_MUST_USE enum cn_err cn_keyfile_decode(const struct cn_crypto *crypto, enum cn_armor_kind kind,
                                          const char *text, size_t text_size,
                                          uint8_t key[CN_KEYFILE_KEY_SIZE]);
/* Never replaces: CN_E_EXISTS; CN_E_SYSTEM (errno). Mode 0600, a public key 0644. */
CN_MUST_USE enum cn_err cn_keyfile_write(const struct cn_crypto *crypto, int dir, const char *name,
                                         enum cn_armor_kind kind,
                                         const uint8_t key[CN_KEYFILE_KEY_SIZE]);

#endif
