/* proxy_setting.h - which proxy leads to the server, as an URL and NO_PROXY say it. No input or
 * output here. */
#ifndef CN_PROXY_SETTING_H
#define CN_PROXY_SETTING_H

#include "fingerprint.h"

enum cn_proxy_kind { CN_PROXY_NONE = 0, CN_PROXY_SOCKS5, CN_PROXY_HTTP };

enum {
    CN_PROXY_USER_SIZE_MAX = 255,    /* RFC 1929 2; likewise the password */
    CN_PROXY_SPARED_SIZE_MAX = 4095, /* of NO_PROXY */
    CN_PROXY_NAME_SIZE = CN_ADDRESS_SIZE_MAX + 16
};

struct cn_proxy_setting {
    enum cn_proxy_kind kind;
    char address[CN_ADDRESS_SIZE_MAX + 1]; /* HOST:PORT, valid */
    bool has_user;
    char user[CN_PROXY_USER_SIZE_MAX + 1];
    char password[CN_PROXY_USER_SIZE_MAX + 1];
    char spared[CN_PROXY_SPARED_SIZE_MAX + 1]; /* what NO_PROXY says */
};

/* [SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/], as curl takes it: SCHEME is socks5h, socks5 or http,
 * which is also the one that may be missing; the port is 1080 if it is missing. User and password
 * may hold %XX. *spared is left as it is. CN_E_FORMAT, and then nothing is changed. */
CN_MUST_USE enum cn_err cn_proxy_setting_parse(struct cn_proxy_setting *setting, const char *url);
/* The URL without user and password; out is returned. */
char *cn_proxy_setting_name(const struct cn_proxy_setting *setting, char out[CN_PROXY_NAME_SIZE]);
/* Whether the proxy is for this address (HOST:PORT or srv:NAME). It is not where NO_PROXY names its
 * host, as curl understands that, and never for this machine itself. */
bool cn_proxy_setting_applies(const struct cn_proxy_setting *setting, const char *address);
void cn_proxy_setting_wipe(struct cn_proxy_setting *setting);

#endif
