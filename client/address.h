/* address.h - HOST:PORT of a fingerprint, as sockets want it. */
#ifndef CN_ADDRESS_H
#define CN_ADDRESS_H

#include <netdb.h>

/* address must be valid (cn_address_valid). 0, and *found for freeaddrinfo, with one at least; or a
 * code for gai_strerror. Blocks while names are looked up. */
int cn_address_resolve(const char *address, struct addrinfo **found);

#endif
