/* loopback.h - an address at which only this machine can ask. */
#ifndef CN_LOOPBACK_H
#define CN_LOOPBACK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "err.h"

enum { CN_LOOPBACK_TEXT_SIZE = 64 }; /* with the NUL */

struct cn_loopback {
    struct sockaddr_storage address;
    socklen_t size;
};

/* 127.x.y.z:PORT, [::1]:PORT, or NAME.sock, a file in the working directory; no names of hosts.
 * False: text is none of these. */
bool cn_loopback_parse(struct cn_loopback *loopback, const char *text);
/* A socket that listens there, does not block and is closed on exec; a socket's file that was left
 * there is replaced. *fd is the caller's. CN_E_FORMAT: text is no such address; CN_E_SYSTEM
 * (errno). */
CN_MUST_USE enum cn_err cn_loopback_listen(int *fd, const char *text);

#endif
