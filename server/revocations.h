/* revocations.h - what an operator whose key is elsewhere hands the server: who is refused, and
 * what subscribers are to be told. PROTOCOL.md 2.13 */
#ifndef CN_REVOCATIONS_H
#define CN_REVOCATIONS_H

#include "blocklist.h"
#include "noticelist.h"

enum { CN_REVOCATIONS_VERSION = 1 };

struct cn_revocations {
    uint64_t number;
    struct cn_operator_public operator_key;
    struct cn_server_public server;
    struct cn_blocked *blocked; /* owned, as the next; serials rise */
    size_t blocked_count;
    struct cn_held_notice *held; /* admission keys rise */
    size_t held_count;
    struct cn_common_notice common;
};

/* NULL, or zeroed: fine. */
void cn_revocations_wipe(struct cn_revocations *revocations);

/* Armoured text, signed; *text is the caller's to free(). CN_E_FULL: more than a file may hold;
 * CN_E_MEMORY, CN_E_CRYPTO. */
CN_MUST_USE enum cn_err cn_revocations_encode(const struct cn_crypto *crypto,
                                              const struct cn_revocations *revocations,
                                              const struct cn_operator_secret *operator_secret,
                                              char **text, size_t *text_size);
/* Errors of cn_armor_decode; CN_E_VERSION; CN_E_FORMAT; CN_E_AUTH: it, or a notice in it, is not
 * signed by the operator that it names; CN_E_MEMORY. Whether that operator is to be believed, and
 * the server is this one, is for the caller. *revocations is untouched on failure; wipe it. */
CN_MUST_USE enum cn_err cn_revocations_decode(const struct cn_crypto *crypto, const char *text,
                                              size_t text_size, struct cn_revocations *revocations);

#endif
