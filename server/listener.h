/* listener.h - the listening sockets, which the supervisor holds. */
#ifndef CN_LISTENER_H
#define CN_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

enum { CN_LISTENERS_MAX = 2 * CN_LISTEN_COUNT_MAX }; /* * listens twice: IPv6 and IPv4 */

struct cn_listeners {
    int fd[CN_LISTENERS_MAX]; /* owned */
    size_t count;
};

/* Bind all addresses of the settings. CN_E_SYSTEM: bad says which failed, and errno why;
 * CN_E_NAME: bad could not be resolved. Nothing stays open on failure. */
CN_MUST_USE enum cn_err cn_listeners_bind(struct cn_listeners *listeners,
                                          const struct cn_settings *settings, const char **bad);
/* Take over a listening socket. False: there is no room, or errno. */
bool cn_listener_take(struct cn_listeners *listeners, int fd);
void cn_listeners_close(struct cn_listeners *listeners);
/* "127.0.0.1:7000, [::1]:7000", with the ports that were bound. */
void cn_listeners_describe(const struct cn_listeners *listeners, char *out, size_t size);

#endif
