/* resolve.h - the endpoints that an address means, looked up on a thread, so that nobody waits. */
#ifndef CN_RESOLVE_H
#define CN_RESOLVE_H

#include <sys/socket.h>

#include "env.h"
#include "fingerprint.h"

enum { CN_ENDPOINT_COUNT_MAX = 16 /* of one address; what more there is is left out */ };

struct cn_endpoint {
    struct sockaddr_storage at;
    socklen_t size;
};

/* What a lookup has come to. */
struct cn_resolved {
    const char *reason; /* why there is none, in words; static, or NULL */
    int system_error;   /* likewise, if a system call failed: errno, or 0 */
    size_t count;
    struct cn_endpoint endpoint[CN_ENDPOINT_COUNT_MAX]; /* in the order to try them, the families of
                                                         * each host in turn: RFC 8305 4 */
};

struct cn_resolve; /* a lookup under way */

/* The endpoint of an address that holds no name. False: there is something to look up. */
bool cn_endpoint_literal(const char *address, struct cn_endpoint *endpoint);
/* The host of an endpoint as text; out is ended and returned. */
char *cn_endpoint_text(const struct cn_endpoint *endpoint, char *out, size_t size);

/* Begin to look up an address (valid: HOST:PORT or srv:NAME), which is copied. random is used by
 * the thread, whose life may be longer than ours. CN_E_MEMORY; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_resolve_start(struct cn_resolve **resolve, const char *address,
                                         const struct cn_random *random);
/* Readable once the lookup has ended. */
int cn_resolve_descriptor(const struct cn_resolve *resolve);
/* True: it has ended, *resolved is filled and the lookup is freed. */
bool cn_resolve_take(struct cn_resolve *resolve, struct cn_resolved *resolved);
/* Nobody wants to know any more: frees at once, or as soon as the thread has ended. NULL is fine.
 */
void cn_resolve_forget(struct cn_resolve *resolve);

#endif
