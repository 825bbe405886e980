/* allow.h - what a partner may connect to, and where it may listen. Nothing unless it is listed;
 * names are compared as they are typed, before anybody resolves them. */
#ifndef CN_ALLOW_H
#define CN_ALLOW_H

#include "terminus.h"

enum { CN_ALLOW_RULE_COUNT_MAX = 4096 };

struct cn_allow_rule {
    enum cn_terminus_form form;
    uint16_t first; /* port */
    uint16_t last;
    char name[CN_TERMINUS_NAME_SIZE_MAX + 1]; /* "*": any host, or any place to listen at */
};

/* Zeroed: nothing is allowed. */
struct cn_allow {
    struct cn_allow_rule *rules; /* owned */
    size_t count;
};

void cn_allow_wipe(struct cn_allow *allow);

/* HOST:PORT[-PORT], where * may stand for the host or the ports; udp: before it; or a path.
 * CN_E_FORMAT; CN_E_LIMIT; CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_allow_add(struct cn_allow *allow, const char *text);
/* [BIND:]PORT[-PORT], udp: before it, likewise; or a path. BIND * allows every place to listen at.
 */
CN_MUST_USE enum cn_err cn_allow_add_listening(struct cn_allow *allow, const char *text);

bool cn_allow_permits(const struct cn_allow *allow, const struct cn_terminus *place);

#endif
