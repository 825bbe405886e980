/* srv.h - where DNS says that a service is: SRV records, RFC 2782. No input or output here. */
#ifndef CN_SRV_H
#define CN_SRV_H

#include "fingerprint.h"

enum { CN_SRV_COUNT_MAX = 16 /* what more there is is left out */ };

struct cn_srv {
    uint16_t priority;
    uint16_t weight;
    char address[CN_ADDRESS_SIZE_MAX + 1]; /* HOST:PORT, valid */
};

/* The records of an answer as DNS has it; those whose target cannot be a host's name, or is the
 * root (there is no such service there), are left out, so *count may be 0.
 * CN_E_FORMAT: it is no answer. */
CN_MUST_USE enum cn_err cn_srv_read(const uint8_t *answer, size_t size,
                                    struct cn_srv srv[CN_SRV_COUNT_MAX], size_t *count);
/* Into the order in which to try them: by priority; those of one priority by chance, as their
 * weights say. random: of all values alike. */
void cn_srv_order(struct cn_srv *srv, size_t count, const uint32_t random[CN_SRV_COUNT_MAX]);

#endif
