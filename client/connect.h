/* connect.h - a connection to the server, whichever of its addresses gives one first, without
 * waiting for any: RFC 8305, and through a proxy where one is wanted.
 *
 * Addresses are looked up and tried in their order. While none has answered, the next attempt
 * begins after a little time, or at once when one has failed; the first that is connected wins. */
#ifndef CN_CONNECT_H
#define CN_CONNECT_H

#include "home.h"
#include "proxy.h"
#include "resolve.h"

struct pollfd;

enum {
    CN_CONNECT_TIMEOUT_MS = 10000, /* for each attempt: to connect ... */
    CN_CONNECT_LOOKUP_MS = 15000,  /* ... for each lookup ... */
    CN_CONNECT_PROXY_MS = 45000, /* ... and for a proxy's answer: Tor may have to build a circuit */
    CN_CONNECT_NEXT_MS = 250,    /* between attempts: RFC 8305 5 ... */
    CN_CONNECT_PROXY_NEXT_MS = 5000, /* ... and while a proxy is at it */
    CN_CONNECT_PROBE_S = 15,    /* of silence, after which TCP asks whether the path is there ... */
    CN_CONNECT_PROBE_COUNT = 2, /* ... so often, as far apart, before it says that it is not */
    CN_CONNECT_AT_ONCE_MAX = 8,
    CN_CONNECT_QUEUE_SIZE = 32
};

enum cn_attempt_state {
    CN_ATTEMPT_NONE = 0,
    CN_ATTEMPT_RESOLVING,
    CN_ATTEMPT_CONNECTING,
    CN_ATTEMPT_ASKING /* the proxy */
};

/* One endpoint, of the server or of the proxy for it. */
struct cn_candidate {
    size_t address_index;
    bool proxied;
    struct cn_endpoint endpoint;
};

struct cn_attempt {
    enum cn_attempt_state state;
    struct cn_candidate candidate; /* RESOLVING: endpoint is not known yet */
    uint64_t until_ms;
    struct cn_resolve *resolve; /* owned; RESOLVING */
    int socket;                 /* owned; CONNECTING, ASKING */
    struct cn_proxy proxy;      /* ASKING */
};

struct cn_connect {
    struct cn_home *home;                     /* borrowed: hears what failed */
    const struct cn_fingerprint *fingerprint; /* borrowed: its addresses */
    const struct cn_proxy_setting *setting;   /* borrowed */
    size_t next;                              /* of the addresses, the next to begin with ... */
    size_t left;                              /* ... and how many are left to begin with */
    uint64_t next_ms;                         /* when the next attempt is due */
    enum cn_err error;                        /* of the last that failed; CN_OK: none has */
    struct cn_candidate queue[CN_CONNECT_QUEUE_SIZE]; /* known, not tried yet */
    size_t queue_count;
    struct cn_attempt attempt[CN_CONNECT_AT_ONCE_MAX];
    int socket;           /* owned: connected; -1: none */
    size_t address_index; /* where it leads */
};

/* None under way. */
#define CN_CONNECT_NONE \
    { \
        .socket = -1 \
    }

/* Milliseconds that go on while the machine sleeps. */
uint64_t cn_connect_clock_ms(void);

/* Try count addresses of the fingerprint, from first on, behind the last of them the first again.
 * Returns as cn_connect_step does. */
CN_MUST_USE enum cn_err cn_connect_start(struct cn_connect *c, struct cn_home *home,
                                         const struct cn_fingerprint *fingerprint,
                                         const struct cn_proxy_setting *setting, size_t first,
                                         size_t count, uint64_t now_ms);
/* CN_OK: connected; cn_connect_take hands the socket out, in non-blocking mode.
 * CN_E_MORE: not decided; again when a descriptor is ready, or at cn_connect_due_ms.
 * CN_E_UNREACHABLE, CN_E_PROXY: no address is left; the home's detail says why the last failed. */
CN_MUST_USE enum cn_err cn_connect_step(struct cn_connect *c, uint64_t now_ms);
/* Fill up to max entries, CN_CONNECT_AT_ONCE_MAX at most; the count. */
size_t cn_connect_descriptors(const struct cn_connect *c, struct pollfd *descriptors, size_t max);
uint64_t cn_connect_due_ms(const struct cn_connect *c);
/* The connected socket, which is the caller's from now on. */
int cn_connect_take(struct cn_connect *c);
/* Give up what is under way. Harmless if nothing is. */
void cn_connect_close(struct cn_connect *c);

#endif
