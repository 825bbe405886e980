/* binding.h - sockets that listen at a place, and addresses as the kernel wants them. */
#ifndef CN_BINDING_H
#define CN_BINDING_H

#include "terminus.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { CN_BINDING_SOCKET_COUNT_MAX = 2 };

/* The size of the address, or 0: it is none. Zone indexes of IPv6 are not taken. */
socklen_t cn_address_numeric(struct sockaddr_storage *out, const char *name, uint16_t port);
/* path is one that CN_TERMINUS_PATH_SIZE_MAX allows. */
socklen_t cn_address_unix(struct sockaddr_storage *out, const char *path);

/* "localhost" and "*" are two sockets, one for each IP version that there is. */
struct cn_binding {
    int socket[CN_BINDING_SOCKET_COUNT_MAX]; /* owned */
    size_t count;
    uint16_t port;    /* that they have got */
    const char *path; /* borrowed, while it is ours to remove; or NULL */
    dev_t device;     /* of the socket at path */
    ino_t inode;
};

/* Listen, or for CN_TERMINUS_UDP receive, there, without blocking. place is borrowed as long as the
 * binding is open. 0, or an errno. A path gets mode 0600. */
CN_MUST_USE int cn_binding_open(struct cn_binding *binding, const struct cn_terminus *place);
/* A path is removed, unless something else is there by now. */
void cn_binding_close(struct cn_binding *binding);

#endif
