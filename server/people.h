/* people.h - what is counted for each subscriber, and for each source address. PROTOCOL.md 3
 *
 * Two fixed tables with open addressing: owners, by admission key, whose index is the opaque number
 * that the switch knows; and sources, by IPv4 address or IPv6 /64, for lines not yet admitted. */
#ifndef CN_PEOPLE_H
#define CN_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "crypto.h"

/* A subscriber with at least one line. */
struct cn_owner {
    uint8_t admission_key[CN_X25519_SIZE];
    uint64_t serial;
    uint32_t lines;   /* of any state: while more than 0 the number is taken */
    uint32_t waiting; /* lines that count against the limit */
    uint32_t tags;    /* of those lines, likewise */
    uint32_t lists;   /* of entries of which more are to come, likewise */
    uint32_t joined;
    uint64_t bytes;       /* that it sent in calls which have ended, since the number was taken */
    uint8_t limits_class; /* of the certificate that came last */
};

struct cn_source {
    uint8_t prefix[8]; /* IPv4 mapped to 4 octets and zeros, or the first 64 bits of IPv6 */
    bool is_ipv6;
    uint32_t lines; /* not yet admitted; 0: the slot is free */
};

struct cn_people {
    struct cn_owner *owners; /* owned */
    uint32_t owner_max;
    uint32_t *owner_slots; /* owned: hash table of index + 1; 0: empty */
    uint32_t *owner_free;  /* owned: stack of free numbers */
    uint32_t owner_free_count;
    struct cn_source *sources; /* owned: hash table itself */
    uint32_t slot_count;       /* of both tables; a power of two */
    uint64_t key[9];           /* of the hash; secret */
};

/* owner_max: lines at once, since nobody else has an entry. CN_E_MEMORY, CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_people_init(struct cn_people *people, uint32_t owner_max,
                                       const struct cn_random *random);
void cn_people_wipe(struct cn_people *people);

/* The number of this subscriber, with one line more; UINT32_MAX: the table is full. */
uint32_t cn_people_owner_take(struct cn_people *people, const uint8_t admission_key[CN_X25519_SIZE],
                              uint64_t serial);
/* One line fewer; at none the number is free again. */
void cn_people_owner_give(struct cn_people *people, uint32_t owner);

/* The lines of an address that are not yet admitted. At most owner_max are taken at once. */
uint32_t cn_people_source_lines(const struct cn_people *people, const struct sockaddr *address);
void cn_people_source_take(struct cn_people *people, const struct sockaddr *address);
void cn_people_source_give(struct cn_people *people, const struct sockaddr *address);

#endif
