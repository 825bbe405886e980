#include "owners.h"

#include <assert.h>
#include <stdlib.h>

enum cn_err cn_owners_init(struct cn_owners *owners, struct cn_owner *at, uint32_t count_max)
{
    struct cn_owners o = { .at = at, .count_max = count_max, .slot_count = 64 };

    while (o.slot_count < 2 * count_max)
        o.slot_count *= 2;
    o.slots = calloc(o.slot_count, sizeof *o.slots);
    o.free = calloc(count_max, sizeof *o.free);
    if (!o.slots || !o.free) {
        cn_owners_wipe(&o);
        return CN_E_MEMORY;
    }
    *owners = o;
    return CN_OK;
}

void cn_owners_wipe(struct cn_owners *owners)
{
    if (!owners)
        return;
    free(owners->slots);
    free(owners->free);
    *owners = (struct cn_owners) { 0 };
}

/* The slot that holds who, or the empty one where it would go. Nobody can choose his low bits. */
static uint32_t slot_of(const struct cn_owners *owners, uint64_t who)
{
    uint32_t slot = (uint32_t)who & (owners->slot_count - 1);

    while (owners->slots[slot] != 0 && owners->at[owners->slots[slot] - 1].who != who)
        slot = (slot + 1) & (owners->slot_count - 1);
    return slot;
}

uint32_t cn_owners_find(const struct cn_owners *owners, uint64_t who)
{
    return owners->slots[slot_of(owners, who)] - 1; /* of an empty slot CN_OWNER_NONE */
}

uint32_t cn_owners_take(struct cn_owners *owners, uint64_t who, uint64_t serial)
{
    uint32_t slot = slot_of(owners, who);
    uint32_t number = owners->slots[slot] - 1;

    if (number == CN_OWNER_NONE) {
        if (owners->free_count > 0)
            number = owners->free[--owners->free_count];
        else if (owners->fresh < owners->count_max)
            number = owners->fresh++;
        else
            return CN_OWNER_NONE;
        owners->slots[slot] = number + 1;
        owners->at[number] = (struct cn_owner) { .who = who, .serial = serial };
    }
    owners->at[number].lines++;
    return number;
}

/* Close the gap at slot: whatever was pushed past it by others moves back. */
static void slot_clear(struct cn_owners *owners, uint32_t slot)
{
    const uint32_t mask = owners->slot_count - 1;

    owners->slots[slot] = 0;
    for (uint32_t next = (slot + 1) & mask; owners->slots[next] != 0; next = (next + 1) & mask) {
        uint32_t index = owners->slots[next];

        owners->slots[next] = 0;
        owners->slots[slot_of(owners, owners->at[index - 1].who)] = index;
    }
}

void cn_owners_give(struct cn_owners *owners, uint32_t number)
{
    struct cn_owner *o = &owners->at[number];

    assert(o->lines > 0);
    if (--o->lines > 0)
        return;
    slot_clear(owners, slot_of(owners, o->who));
    owners->free[owners->free_count++] = number;
}
