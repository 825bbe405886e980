#include "room.h"

#include <stdlib.h>

enum cn_err cn_tunnel_room_enter(struct cn_tunnel_room **room, struct cn_tunnel_room *other)
{
    struct cn_tunnel_room *r = other;
    enum cn_err err = CN_OK;

    if (!r) {
        r = calloc(1, sizeof *r);
        err = r ? cn_resolver_create(&r->resolver) : CN_E_MEMORY;
    }
    if (err != CN_OK) {
        free(r);
        return err;
    }
    r->tunnel_count++;
    *room = r;
    return CN_OK;
}

void cn_tunnel_room_leave(struct cn_tunnel_room *room)
{
    if (!room || --room->tunnel_count > 0)
        return;
    cn_resolver_free(room->resolver);
    free(room);
}
