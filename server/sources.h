/* sources.h - how many lines of each source address are not yet admitted. PROTOCOL.md 3
 *
 * A fixed table with open addressing, by IPv4 address or IPv6 /64. */
#ifndef CN_SOURCES_H
#define CN_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "env.h"
#include "err.h"

struct cn_source {
    uint8_t prefix[8]; /* IPv4 mapped to 4 octets and zeros, or the first 64 bits of IPv6 */
    bool is_ipv6;
    uint32_t lines; /* not yet admitted; 0: the slot is free */
};

struct cn_sources {
    struct cn_source *slots; /* owned */
    uint32_t slot_count;     /* a power of two */
    uint64_t key[3];         /* of the hash; secret, so nobody can pile up in a slot */
};

/* count_max: lines not yet admitted at once. CN_E_MEMORY, CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_sources_init(struct cn_sources *sources, uint32_t count_max,
                                        const struct cn_random *random);
void cn_sources_wipe(struct cn_sources *sources);

/* The lines of an address; one more, one fewer. */
uint32_t cn_sources_lines(const struct cn_sources *sources, const struct sockaddr *address);
void cn_sources_take(struct cn_sources *sources, const struct sockaddr *address);
void cn_sources_give(struct cn_sources *sources, const struct sockaddr *address);

#endif
