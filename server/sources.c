#include "sources.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

enum cn_err cn_sources_init(struct cn_sources *sources, uint32_t count_max,
                            const struct cn_random *random)
{
    struct cn_sources s = { .slot_count = 4096 };
    enum cn_err err = cn_random_fill(random, (uint8_t *)s.key, sizeof s.key);

    if (err != CN_OK)
        return err;
    while (s.slot_count < 2 * count_max)
        s.slot_count *= 2;
    s.slots = calloc(s.slot_count, sizeof *s.slots);
    for (int i = 0; i < CN_STANDING_COUNT; i++) {
        s.marks[i] = calloc(s.slot_count, sizeof *s.marks[i]);
        if (!s.marks[i])
            err = CN_E_MEMORY;
    }
    if (!s.slots)
        err = CN_E_MEMORY;
    if (err == CN_OK)
        *sources = s;
    else
        cn_sources_wipe(&s);
    return err;
}

void cn_sources_wipe(struct cn_sources *sources)
{
    free(sources->slots);
    for (int i = 0; i < CN_STANDING_COUNT; i++)
        free(sources->marks[i]);
    cn_wipe(sources, sizeof *sources);
}

/* As in switchboard.c: multilinear, so that nobody can choose addresses that share a slot. */
static uint32_t hash(const uint64_t key[4], const struct cn_source *s)
{
    uint64_t sum = key[2] + (s->is_ipv6 ? key[3] : 0);

    for (size_t i = 0; i < 2; i++) {
        uint32_t word;

        memcpy(&word, s->prefix + 4 * i, sizeof word);
        sum += key[i] * word;
    }
    return (uint32_t)(sum >> 32);
}

static uint32_t slot_of(const struct cn_sources *sources, const struct cn_source *s)
{
    return hash(sources->key[0], s) & (sources->slot_count - 1);
}

static uint32_t next_slot(const struct cn_sources *sources, uint32_t slot)
{
    return (slot + 1) & (sources->slot_count - 1);
}

/* An IPv4 address; the /64 of an IPv6 address, or the IPv4 address mapped into one. */
static struct cn_source source_of(const struct sockaddr *address)
{
    struct cn_source s = { 0 };

    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)address;

        if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
            memcpy(s.prefix, a->sin6_addr.s6_addr + 12, 4);
        } else {
            memcpy(s.prefix, a->sin6_addr.s6_addr, sizeof s.prefix);
            s.is_ipv6 = true;
        }
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)address;

        memcpy(s.prefix, &a->sin_addr, 4);
    }
    return s;
}

static uint32_t source_slot(const struct cn_sources *sources, const struct cn_source *s)
{
    uint32_t slot = slot_of(sources, s);

    while (sources->slots[slot].lines > 0 &&
           (sources->slots[slot].is_ipv6 != s->is_ipv6 ||
            memcmp(sources->slots[slot].prefix, s->prefix, sizeof s->prefix) != 0))
        slot = next_slot(sources, slot);
    return slot;
}

uint32_t cn_sources_lines(const struct cn_sources *sources, const struct sockaddr *address)
{
    const struct cn_source s = source_of(address);

    return sources->slots[source_slot(sources, &s)].lines;
}

void cn_sources_take(struct cn_sources *sources, const struct sockaddr *address)
{
    struct cn_source s = source_of(address);
    struct cn_source *slot = &sources->slots[source_slot(sources, &s)];

    s.lines = slot->lines + 1;
    *slot = s;
}

void cn_sources_give(struct cn_sources *sources, const struct sockaddr *address)
{
    const struct cn_source s = source_of(address);
    uint32_t slot = source_slot(sources, &s);
    uint32_t next;

    assert(sources->slots[slot].lines > 0);
    if (--sources->slots[slot].lines > 0)
        return;
    for (next = next_slot(sources, slot); sources->slots[next].lines > 0;
         next = next_slot(sources, next)) {
        struct cn_source moved = sources->slots[next];

        sources->slots[next].lines = 0;
        sources->slots[source_slot(sources, &moved)] = moved;
    }
}

/* Never 0. */
static uint32_t mark_of(const struct cn_sources *sources, const struct cn_source *s)
{
    return hash(sources->key[1], s) | 1;
}

enum cn_standing cn_sources_standing(const struct cn_sources *sources,
                                     const struct sockaddr *address)
{
    const struct cn_source s = source_of(address);
    const uint32_t slot = slot_of(sources, &s);
    const uint32_t mark = mark_of(sources, &s);

    if (sources->marks[CN_STANDING_KNOWN][slot] == mark)
        return CN_STANDING_KNOWN;
    return sources->marks[CN_STANDING_SUSPECT][slot] == mark ? CN_STANDING_SUSPECT
                                                             : CN_STANDING_STRANGER;
}

void cn_sources_learn(struct cn_sources *sources, const struct sockaddr *address,
                      enum cn_standing standing)
{
    const struct cn_source s = source_of(address);
    const uint32_t slot = slot_of(sources, &s);
    const uint32_t mark = mark_of(sources, &s);

    for (int i = 0; i < CN_STANDING_COUNT; i++) {
        if (sources->marks[i][slot] == mark)
            sources->marks[i][slot] = 0;
    }
    sources->marks[standing][slot] = mark;
}
