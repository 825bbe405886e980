/* connect.h - a connection to the server: its addresses one after the other, without waiting for
 * any. Only looking up a name blocks. */
#ifndef CN_CONNECT_H
#define CN_CONNECT_H

#include "home.h"

struct addrinfo;

enum { CN_CONNECT_TIMEOUT_MS = 10000 }; /* for each address */

struct cn_connect {
    struct cn_home *home;                     /* borrowed: hears what failed */
    const struct cn_fingerprint *fingerprint; /* borrowed: its addresses */
    size_t next;                              /* of these, the next to look up ... */
    size_t end;                               /* ... and where to stop */
    struct addrinfo *found;                   /* owned: of the one before */
    struct addrinfo *at;                      /* in found: the one being tried, or NULL */
    uint64_t until_ms;                        /* for this one */
    int socket;                               /* owned; -1: none */
};

/* None under way. */
#define CN_CONNECT_NONE \
    { \
        .socket = -1 \
    }

/* Milliseconds that go on while the machine sleeps. */
uint64_t cn_connect_clock_ms(void);

/* Try addresses [first, end) of the fingerprint. Returns as cn_connect_step does. */
CN_MUST_USE enum cn_err cn_connect_start(struct cn_connect *c, struct cn_home *home,
                                         const struct cn_fingerprint *fingerprint, size_t first,
                                         size_t end, uint64_t now_ms);
/* CN_OK: connected; cn_connect_take hands the socket out, in non-blocking mode.
 * CN_E_MORE: not decided; again when the socket is writable, or at until_ms.
 * CN_E_UNREACHABLE: none of the addresses answers; the home's detail says why the last did not. */
CN_MUST_USE enum cn_err cn_connect_step(struct cn_connect *c, uint64_t now_ms);
/* The connected socket, which is the caller's from now on. */
int cn_connect_take(struct cn_connect *c);
/* Give up what is under way. Harmless if nothing is. */
void cn_connect_close(struct cn_connect *c);

#endif
