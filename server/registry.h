/* registry.h - who may use the server: the operator's SQLite database, DIR/registry.db.
 *
 * A subscriber is a label and an admission key; each certificate issued to him is kept. Nothing in
 * here is secret, though it tells who the subscribers are. cyphernetctl writes it while cyphernetd
 * reads it (WAL).
 *
 * Errors of every function: CN_E_SYSTEM (errno says why: ENOSPC, EACCES, EROFS, EBUSY, EIO ...),
 * CN_E_FORMAT (damaged, or no registry of ours), CN_E_MEMORY. */
#ifndef CN_REGISTRY_H
#define CN_REGISTRY_H

#include "blocklist.h"
#include "certificate.h"
#include "err.h"
#include "fingerprint.h"

struct cn_registry;

/* create: the database must not be there yet (CN_E_EXISTS), and holds no settings afterwards.
 * Else CN_E_ABSENT: there is none; CN_E_VERSION: made by a later program.
 * On CN_OK *registry is owned by the caller, who closes it. */
CN_MUST_USE enum cn_err cn_registry_open(struct cn_registry **registry, const char *dir,
                                         bool create);
/* Undoes what has not been committed. NULL is fine. */
void cn_registry_close(struct cn_registry *registry);

/* Between these two nobody else writes. Every change below is inside, or is a transaction itself.
 */
CN_MUST_USE enum cn_err cn_registry_begin(struct cn_registry *registry);
CN_MUST_USE enum cn_err cn_registry_commit(struct cn_registry *registry);

/* All who are blocked, in the order of serials. *list is the caller's to free(), NULL if *count is
 * 0. */
CN_MUST_USE enum cn_err cn_registry_blocked(struct cn_registry *registry, struct cn_blocked **list,
                                            size_t *count);

enum cn_subscriber_status {
    CN_SUBSCRIBER_ACTIVE = 0,
    CN_SUBSCRIBER_SUSPENDED = 1,
    CN_SUBSCRIBER_REVOKED = 2,
    CN_SUBSCRIBER_STATUS_COUNT
};

/* "active", "suspended", "revoked"; static. */
const char *cn_subscriber_status_name(enum cn_subscriber_status status);

struct cn_subscriber {
    uint64_t id; /* of the registry alone */
    char label[CN_NAME_SIZE_MAX + 1];
    enum cn_subscriber_status status;
    uint64_t created_at;               /* UTC, seconds since 1970 */
    uint64_t changed_at;               /* of the status */
    uint64_t issued_at;                /* of the certificate */
    struct cn_certificate certificate; /* the latest, with the admission key */
};

/* Everybody, revoked ones too, in the order of labels; ownership as above. */
CN_MUST_USE enum cn_err cn_registry_list(struct cn_registry *registry, struct cn_subscriber **list,
                                         size_t *count);

/* CN_E_ABSENT. Of several with this label the one that is not revoked, else the last one revoked.
 */
CN_MUST_USE enum cn_err cn_registry_find_label(struct cn_registry *registry, const char *label,
                                               struct cn_subscriber *subscriber);
/* CN_E_ABSENT. By any certificate ever issued to him. */
CN_MUST_USE enum cn_err cn_registry_find_serial(struct cn_registry *registry, uint64_t serial,
                                                struct cn_subscriber *subscriber);
/* CN_E_ABSENT. */
CN_MUST_USE enum cn_err cn_registry_find_key(struct cn_registry *registry,
                                             const uint8_t admission_key[CN_X25519_SIZE],
                                             struct cn_subscriber *subscriber);

/* A new subscriber with his first certificate; sets the id. CN_E_EXISTS: the label (of somebody not
 * revoked), the admission key or the serial is taken. */
CN_MUST_USE enum cn_err cn_registry_add(struct cn_registry *registry,
                                        struct cn_subscriber *subscriber);
/* A further certificate, subscriber->certificate. CN_E_EXISTS: the serial is taken. */
CN_MUST_USE enum cn_err cn_registry_renew(struct cn_registry *registry,
                                          const struct cn_subscriber *subscriber);
/* Forget a certificate that nobody ever got, and a subscriber who had no other. */
CN_MUST_USE enum cn_err cn_registry_withdraw(struct cn_registry *registry, uint64_t serial);
CN_MUST_USE enum cn_err cn_registry_status_set(struct cn_registry *registry, uint64_t id,
                                               enum cn_subscriber_status status, uint64_t now);

#endif
