/* network.h - when this machine's addresses or routes change, and whether a socket's is still
 * there. rtnetlink(7) */
#ifndef CN_NETWORK_H
#define CN_NETWORK_H

#include <stdbool.h>

/* A descriptor that becomes readable with every change; -1: there is none to be had, and time alone
 * will tell. */
int cn_network_watch(void);
/* Whether something has changed since the last time. fd -1: never. */
bool cn_network_changed(int fd);
/* False: the address that this socket is bound to belongs to none of our interfaces any more, so
 * that nothing can come to it. */
bool cn_network_has_address_of(int socket);

#endif
