/* sources.h - how many lines of each source address are not yet admitted, and what became of those
 * that were there before. PROTOCOL.md 3
 *
 * Fixed tables, by IPv4 address or IPv6 /64. That of lines has open addressing. What is remembered
 * has one place for each address, which the next that falls into it takes. */
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

/* By the last line from there that was admitted, or ended before it was. */
enum cn_standing {
    CN_STANDING_SUSPECT = 0, /* ended */
    CN_STANDING_STRANGER,    /* none is remembered */
    CN_STANDING_KNOWN,       /* admitted */
    CN_STANDING_COUNT
};

struct cn_sources {
    struct cn_source *slots; /* owned */
    uint32_t slot_count;     /* a power of two */
    /* owned; by slots, the mark of an address of this standing; 0: of none. They are apart, since
     * anybody can be suspect as often as he likes */
    uint32_t *marks[CN_STANDING_COUNT];
    uint64_t key[2][4]; /* of slot and mark; secret, so nobody can choose one */
};

/* count_max: lines not yet admitted at once. CN_E_MEMORY, CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_sources_init(struct cn_sources *sources, uint32_t count_max,
                                        const struct cn_random *random);
void cn_sources_wipe(struct cn_sources *sources);

/* The lines of an address; one more, one fewer. */
uint32_t cn_sources_lines(const struct cn_sources *sources, const struct sockaddr *address);
void cn_sources_take(struct cn_sources *sources, const struct sockaddr *address);
void cn_sources_give(struct cn_sources *sources, const struct sockaddr *address);

enum cn_standing cn_sources_standing(const struct cn_sources *sources,
                                     const struct sockaddr *address);
/* From now on it has this one. */
void cn_sources_learn(struct cn_sources *sources, const struct sockaddr *address,
                      enum cn_standing standing);

#endif
