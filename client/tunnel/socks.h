/* socks.h - what a local program says to a SOCKS 5 proxy before its connection begins (RFC 1928).
 *
 * Pure: octets in, octets to answer out. It never takes more octets than the handshake has, so that
 * what follows stays where it is. CONNECT without authentication; names are passed on as they are.
 */
#ifndef CN_SOCKS_H
#define CN_SOCKS_H

#include "terminus.h"

enum {
    CN_SOCKS_IN_SIZE = 262, /* a request with the longest name */
    CN_SOCKS_ANSWER_SIZE = 10
};

/* Numbers as in RFC 1928, 6. */
enum cn_socks_reply {
    CN_SOCKS_GRANTED = 0,
    CN_SOCKS_FAILED = 1,
    CN_SOCKS_NOT_ALLOWED = 2,
    CN_SOCKS_HOST_UNREACHABLE = 4,
    CN_SOCKS_CONNECTION_REFUSED = 5,
    CN_SOCKS_TIMED_OUT = 6, /* "TTL expired" */
    CN_SOCKS_NO_SUCH_COMMAND = 7,
    CN_SOCKS_NO_SUCH_ADDRESS = 8
};

/* Zeroed, it is ready. */
struct cn_socks {
    bool greeted;
    size_t size; /* octets in in */
    uint8_t in[CN_SOCKS_IN_SIZE];
};

/* What has to be sent now; size 0: nothing. */
struct cn_socks_answer {
    size_t size;
    uint8_t octets[CN_SOCKS_ANSWER_SIZE];
};

/* How many octets it would take next: 1 or more. */
size_t cn_socks_wanted(const struct cn_socks *socks);
/* Take up to that many. CN_E_MORE: go on. CN_OK: *to is wanted; answer with cn_socks_reply when it
 * is decided. CN_E_FORMAT: close, once *answer is sent. */
CN_MUST_USE enum cn_err cn_socks_take(struct cn_socks *socks, const uint8_t *in, size_t size,
                                      struct cn_terminus *to, struct cn_socks_answer *answer);
void cn_socks_answer(enum cn_socks_reply reply, struct cn_socks_answer *answer);

#endif
