/* settings.h - what `cyphernetctl init` fixed for a server: addresses, and whose signatures count.
 * It is kept in the registry, and the errors are those of registry.h. */
#ifndef CN_SETTINGS_H
#define CN_SETTINGS_H

#include "certificate.h"
#include "err.h"
#include "fingerprint.h"

enum {
    CN_LISTEN_COUNT_MAX = 8,
    CN_OPERATOR_COUNT_MAX = 4,
};

struct cn_registry;

struct cn_settings {
    size_t listen_count; /* 1 to CN_LISTEN_COUNT_MAX; HOST may be * here */
    char listen[CN_LISTEN_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1];
    size_t public_count; /* 1 to CN_ADDRESS_COUNT_MAX: what goes into fingerprints */
    char public_address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1];
    size_t operator_count; /* 1 to CN_OPERATOR_COUNT_MAX: whose certificates count */
    struct cn_operator_public operators[CN_OPERATOR_COUNT_MAX];
    struct cn_server_public server_key; /* of DIR/server.key */
};

/* CN_E_FORMAT also if `cyphernetctl init` did not get to its end. */
CN_MUST_USE enum cn_err cn_settings_read(struct cn_registry *registry,
                                         struct cn_settings *settings);
/* In place of any that are there; best inside a transaction. */
CN_MUST_USE enum cn_err cn_settings_write(struct cn_registry *registry,
                                          const struct cn_settings *settings);

#endif
