/* proxy.h - asking a proxy for a connection to the server: SOCKS5 (RFC 1928, 1929) or HTTP CONNECT
 * (RFC 9110 9.3.6). Octets in, octets out. Names go to the proxy as they are. */
#ifndef CN_PROXY_H
#define CN_PROXY_H

#include "proxy_setting.h"

enum {
    CN_PROXY_OUT_SIZE_MAX = 2048,
    CN_PROXY_IN_SIZE_MAX = 512,
    CN_PROXY_ANSWER_SIZE_MAX = 16384, /* of an HTTP answer in all */
    CN_PROXY_REASON_SIZE = 64
};

enum cn_proxy_state {
    CN_PROXY_GREETED = 0, /* SOCKS5: which method? */
    CN_PROXY_AUTHENTICATING,
    CN_PROXY_REQUESTED, /* SOCKS5: connected? */
    CN_PROXY_ASKED,     /* HTTP: connected? */
    CN_PROXY_CONNECTED,
    CN_PROXY_FAILED
};

/* One request. Holds what is secret of its setting: wipe it. */
struct cn_proxy {
    const struct cn_proxy_setting *setting; /* borrowed */
    const char *target;                     /* borrowed: HOST:PORT, valid */
    enum cn_proxy_state state;
    char reason[CN_PROXY_REASON_SIZE]; /* once FAILED */
    uint8_t out[CN_PROXY_OUT_SIZE_MAX];
    size_t out_begin, out_end;
    uint8_t in[CN_PROXY_IN_SIZE_MAX]; /* SOCKS5: the message so far; HTTP: the line so far, cut */
    size_t in_size;
    size_t answer_size; /* HTTP: octets so far */
    size_t line_size;   /* HTTP: of the line so far */
    unsigned status;    /* HTTP: of the answer under way; 0: its first line is not whole */
};

/* Begin: there is something to send. */
void cn_proxy_start(struct cn_proxy *proxy, const struct cn_proxy_setting *setting,
                    const char *target);
/* What is to be sent: *size octets, 0 if none. */
const uint8_t *cn_proxy_output(const struct cn_proxy *proxy, size_t *size);
void cn_proxy_sent(struct cn_proxy *proxy, size_t size);
/* Take what the proxy says. CN_OK: it has connected us, and what follows is the server's;
 * CN_E_MORE: not yet; CN_E_UNREACHABLE: it does not reach the server; CN_E_PROXY: another failure,
 * its own or of what we asked; reason says more of both. Octets behind its answer cannot be the
 * server's, which speaks second: CN_E_PROXY. */
CN_MUST_USE enum cn_err cn_proxy_input(struct cn_proxy *proxy, const uint8_t *octets, size_t size);
void cn_proxy_wipe(struct cn_proxy *proxy);

#endif
