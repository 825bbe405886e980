/* fingerprint.h - what the operator hands a subscriber: admission to one server. PROTOCOL.md 2.4
 *
 * Holds the certificate, where the server is and which key it has, which operator signs for it,
 * and, when the operator made it (`invite`), the admission key too: then it is a secret. */
#ifndef CN_FINGERPRINT_H
#define CN_FINGERPRINT_H

#include "certificate.h"
#include "crypto.h"
#include "err.h"

enum {
    CN_FINGERPRINT_VERSION = 1,
    CN_FINGERPRINT_VERSION_NOTICED = 2, /* of one that a notice has changed */
    CN_NAME_SIZE_MAX = 64,              /* a NAME or LABEL, its NUL not counted */
    CN_ADDRESS_SIZE_MAX = 255,
    CN_ADDRESS_COUNT_MAX = 8,
    CN_FINGERPRINT_BODY_SIZE_MAX = 4096,
    CN_REQUEST_VERSION = 1,
    CN_REQUEST_BODY_SIZE = 1 + CN_X25519_SIZE
};

/* The subscriber's admission key, X25519 private. */
struct cn_admission_secret {
    uint8_t bytes[CN_X25519_SIZE];
};

/* The server's admission key, X25519 private and public. */
struct cn_server_secret {
    uint8_t bytes[CN_X25519_SIZE];
};

struct cn_server_public {
    uint8_t bytes[CN_X25519_SIZE];
};

struct cn_fingerprint {
    struct cn_certificate certificate;
    bool has_secret;
    struct cn_admission_secret secret; /* zero unless has_secret */
    struct cn_server_public server_key;
    struct cn_operator_public operator_key;
    char label[CN_NAME_SIZE_MAX + 1]; /* the operator's name for the subscriber */
    size_t address_count;             /* 1 to CN_ADDRESS_COUNT_MAX */
    char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1]; /* where the server is */
    uint64_t notice_number; /* of the newest notice that is in it; 0: none, and no first key */
    bool has_first_key;
    struct cn_server_public first_key; /* the server's before a notice changed it, else zeros */
};

void cn_fingerprint_wipe(struct cn_fingerprint *fingerprint);

/* The key by which cards and notices name the server: its first one. Lives in the fingerprint. */
const struct cn_server_public *cn_fingerprint_server(const struct cn_fingerprint *fingerprint);

/* NAME and LABEL: [A-Za-z0-9][A-Za-z0-9._-]{0,63}; a label also holds a non-digit. */
CN_MUST_USE bool cn_name_valid(const char *name);
CN_MUST_USE bool cn_label_valid(const char *label);
/* HOST:PORT with HOST a name, an IPv4 address or an [IPv6 address], and PORT 1 to 65535. */
CN_MUST_USE bool cn_address_valid(const char *address);
/* NAME, in address, if that is srv:NAME: what DNS knows as _cyphernet._tcp.NAME; else NULL. NAME
 * holds a non-digit: srv:7000 is port 7000 of a host. */
CN_MUST_USE const char *cn_address_service(const char *address);
/* Either of these: what a fingerprint may hold. */
CN_MUST_USE bool cn_address_reachable(const char *address);

/* A count octet and so many addresses: 1 to CN_ADDRESS_COUNT_MAX of them. */
void cn_addresses_encode(struct cn_writer *w, size_t count,
                         const char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1]);
/* CN_E_FORMAT; then the results may hold anything. */
CN_MUST_USE enum cn_err
cn_addresses_decode(struct cn_reader *r, size_t *count,
                    char address[CN_ADDRESS_COUNT_MAX][CN_ADDRESS_SIZE_MAX + 1]);

/* Armoured text, as cn_armor_encode. */
CN_MUST_USE enum cn_err cn_fingerprint_encode(const struct cn_crypto *crypto,
                                              const struct cn_fingerprint *fingerprint, char *text,
                                              size_t text_size_max, size_t *text_size);
/* Errors of cn_armor_decode; CN_E_VERSION; CN_E_FORMAT; CN_E_KEY: the secret is not the
 * certificate's; CN_E_AUTH: the certificate is not signed by the operator named. Dates are not
 * judged. *fingerprint is untouched on failure. */
CN_MUST_USE enum cn_err cn_fingerprint_decode(const struct cn_crypto *crypto, const char *text,
                                              size_t text_size, struct cn_fingerprint *fingerprint);

/* A request for admission: the public admission key of one who made it himself. PROTOCOL.md 2.5 */
CN_MUST_USE enum cn_err cn_request_encode(const struct cn_crypto *crypto,
                                          const uint8_t admission_key[CN_X25519_SIZE], char *text,
                                          size_t text_size_max, size_t *text_size);
/* As cn_fingerprint_decode; CN_E_KEY: a key of low order. */
CN_MUST_USE enum cn_err cn_request_decode(const struct cn_crypto *crypto, const char *text,
                                          size_t text_size, uint8_t admission_key[CN_X25519_SIZE]);

#endif
