/* listener.h - the listening sockets: bind them, accept while the gate has room. */
#ifndef CN_LISTENER_H
#define CN_LISTENER_H

#include "gate.h"
#include "settings.h"

struct cn_listener {
    struct cn_watch watch; /* first */
    struct cn_listeners *all;
};

struct cn_listeners {
    struct cn_loop *loop;                                 /* borrowed */
    struct cn_gate *gate;                                 /* borrowed, from cn_listeners_start on */
    struct cn_listener listener[2 * CN_LISTEN_COUNT_MAX]; /* * listens twice: IPv6 and IPv4 */
    size_t count;
    bool paused;
    bool paused_told; /* in the log; the next one accepted is told too */
    struct cn_timer resume;
};

/* Bind all addresses of the settings. CN_E_SYSTEM: bad says which failed, and errno why;
 * CN_E_NAME: bad could not be resolved. Nothing stays open on failure. */
CN_MUST_USE enum cn_err cn_listeners_bind(struct cn_listeners *listeners, struct cn_loop *loop,
                                          const struct cn_settings *settings, const char **bad);
/* Begin to accept, for this gate. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_listeners_start(struct cn_listeners *listeners, struct cn_gate *gate);
void cn_listeners_close(struct cn_listeners *listeners);
/* "127.0.0.1:7000, [::1]:7000", with the ports that were bound. */
void cn_listeners_describe(const struct cn_listeners *listeners, char *out, size_t size);

#endif
