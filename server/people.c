#include "people.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

enum cn_err cn_people_init(struct cn_people *people, uint32_t owner_max,
                           const struct cn_random *random)
{
    struct cn_people p = { .owner_max = owner_max, .slot_count = 64 };
    enum cn_err err = cn_random_fill(random, (uint8_t *)p.key, sizeof p.key);

    if (err != CN_OK)
        return err;
    while (p.slot_count < 2 * owner_max)
        p.slot_count *= 2;
    p.owners = calloc(owner_max, sizeof *p.owners);
    p.owner_slots = calloc(p.slot_count, sizeof *p.owner_slots);
    p.owner_free = calloc(owner_max, sizeof *p.owner_free);
    p.sources = calloc(p.slot_count, sizeof *p.sources);
    if (!p.owners || !p.owner_slots || !p.owner_free || !p.sources) {
        cn_people_wipe(&p);
        return CN_E_MEMORY;
    }
    for (uint32_t i = 0; i < owner_max; i++)
        p.owner_free[i] = owner_max - 1 - i;
    p.owner_free_count = owner_max;
    *people = p;
    return CN_OK;
}

void cn_people_wipe(struct cn_people *people)
{
    if (!people)
        return;
    free(people->owners);
    free(people->owner_slots);
    free(people->owner_free);
    free(people->sources);
    cn_wipe(people, sizeof *people);
}

/* As in switchboard.c: multilinear, so that nobody can choose keys that share a slot. */
static uint32_t slot_of(const struct cn_people *people, const uint8_t *key, size_t size)
{
    uint64_t sum = people->key[8];

    for (size_t i = 0; i < size / 4; i++) {
        uint32_t word;

        memcpy(&word, key + 4 * i, sizeof word);
        sum += people->key[i] * word;
    }
    return (uint32_t)(sum >> 32) & (people->slot_count - 1);
}

static uint32_t next_slot(const struct cn_people *people, uint32_t slot)
{
    return (slot + 1) & (people->slot_count - 1);
}

/* --- owners ---------------------------------------------------------------------------------- */

/* The slot that holds this key, or the empty one where it would go. */
static uint32_t owner_slot(const struct cn_people *people, const uint8_t key[CN_X25519_SIZE])
{
    uint32_t slot = slot_of(people, key, CN_X25519_SIZE);

    while (people->owner_slots[slot] != 0 &&
           memcmp(people->owners[people->owner_slots[slot] - 1].admission_key, key,
                  CN_X25519_SIZE) != 0)
        slot = next_slot(people, slot);
    return slot;
}

uint32_t cn_people_owner_take(struct cn_people *people, const uint8_t admission_key[CN_X25519_SIZE],
                              uint64_t serial)
{
    uint32_t slot = owner_slot(people, admission_key);
    struct cn_owner *owner;

    if (people->owner_slots[slot] == 0) {
        if (people->owner_free_count == 0)
            return UINT32_MAX;
        people->owner_slots[slot] = people->owner_free[--people->owner_free_count] + 1;
        owner = &people->owners[people->owner_slots[slot] - 1];
        *owner = (struct cn_owner) { .serial = serial };
        memcpy(owner->admission_key, admission_key, CN_X25519_SIZE);
    }
    owner = &people->owners[people->owner_slots[slot] - 1];
    owner->lines++;
    return people->owner_slots[slot] - 1;
}

/* Close the gap at slot: whatever was pushed past it by others moves back. */
static void owner_slot_clear(struct cn_people *people, uint32_t slot)
{
    uint32_t next = next_slot(people, slot);

    people->owner_slots[slot] = 0;
    for (; people->owner_slots[next] != 0; next = next_slot(people, next)) {
        uint32_t index = people->owner_slots[next];

        people->owner_slots[next] = 0;
        people->owner_slots[owner_slot(people, people->owners[index - 1].admission_key)] = index;
    }
}

void cn_people_owner_give(struct cn_people *people, uint32_t owner)
{
    struct cn_owner *o = &people->owners[owner];

    assert(o->lines > 0);
    if (--o->lines > 0)
        return;
    owner_slot_clear(people, owner_slot(people, o->admission_key));
    people->owner_free[people->owner_free_count++] = owner;
}

/* --- sources --------------------------------------------------------------------------------- */

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

static uint32_t source_slot(const struct cn_people *people, const struct cn_source *s)
{
    uint32_t slot = slot_of(people, s->prefix, sizeof s->prefix);

    while (people->sources[slot].lines > 0 &&
           (people->sources[slot].is_ipv6 != s->is_ipv6 ||
            memcmp(people->sources[slot].prefix, s->prefix, sizeof s->prefix) != 0))
        slot = next_slot(people, slot);
    return slot;
}

uint32_t cn_people_source_lines(const struct cn_people *people, const struct sockaddr *address)
{
    const struct cn_source s = source_of(address);

    return people->sources[source_slot(people, &s)].lines;
}

void cn_people_source_take(struct cn_people *people, const struct sockaddr *address)
{
    struct cn_source s = source_of(address);
    struct cn_source *slot = &people->sources[source_slot(people, &s)];

    s.lines = slot->lines + 1;
    *slot = s;
}

void cn_people_source_give(struct cn_people *people, const struct sockaddr *address)
{
    const struct cn_source s = source_of(address);
    uint32_t slot = source_slot(people, &s);
    uint32_t next;

    assert(people->sources[slot].lines > 0);
    if (--people->sources[slot].lines > 0)
        return;
    for (next = next_slot(people, slot); people->sources[next].lines > 0;
         next = next_slot(people, next)) {
        struct cn_source moved = people->sources[next];

        people->sources[next].lines = 0;
        people->sources[source_slot(people, &moved)] = moved;
    }
}
