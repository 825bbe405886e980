/* notify.h - what the supervisor tells a service manager, and the sockets that it is given by one:
 * the protocols of sd_notify(3) and sd_listen_fds(3), which come through the environment. */
#ifndef CN_NOTIFY_H
#define CN_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum {
    CN_NOTIFY_PATH_SIZE = 108, /* of sun_path */
    CN_NOTIFY_TEXT_SIZE = 512,
    CN_NOTIFY_SOCKETS_MAX = 32,
    CN_NOTIFY_NAME_SIZE = 64
};

/* A descriptor that the manager has opened, and what its unit calls it; "" if it has no name. */
struct cn_notify_socket {
    int fd;
    char name[CN_NOTIFY_NAME_SIZE]; /* a longer one is cut */
};

struct cn_notify {
    char path[CN_NOTIFY_PATH_SIZE]; /* "": nobody listens; '@' stands for an abstract name's NUL */
    uint64_t watchdog_us;           /* it wants to hear of us within this; 0: it does not */
    size_t socket_count;
    struct cn_notify_socket socket[CN_NOTIFY_SOCKETS_MAX]; /* closed on exec; the caller's */
};

/* Take what the environment says out of it, so that no child speaks in our name. CN_E_FORMAT: it
 * says what no manager does; nothing has been taken then but the variables. */
CN_MUST_USE enum cn_err cn_notify_take(struct cn_notify *notify);
/* Put it back, for the program that takes our place; the sockets are not among it. False: no
 * memory. */
bool cn_notify_give(const struct cn_notify *notify);

/* As cn_notify_take leaves it. */
void cn_notify_forget(void);

/* Lines of VARIABLE=value. A manager that does not listen hinders nobody for long, and is no
 * failure. */
void cn_notify_say(const struct cn_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* That another program begins in our place, which says READY=1 next. */
void cn_notify_reloading(const struct cn_notify *notify);

/* Whether fd, of family AF_UNIX or not, is a stream socket that listens. */
bool cn_notify_listens(int fd, bool local);

#endif
