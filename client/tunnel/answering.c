#include "engine.h"

#include "datagrams.h"

static void refuse(struct cn_tunnel *t, struct cn_stream *stream, const struct cn_terminus *place,
                   bool to_listen)
{
    struct cn_tunnel_event *event = cn_tunnel_tell(t, CN_TUNNEL_EVENT_REFUSED, place);

    event->outcome = CN_TUNNEL_REFUSED;
    event->back = true;
    event->to_listen = to_listen;
    cn_tunnel_drop_stream(stream, CN_TUNNEL_REFUSED);
}

/* --- each kind ------------------------------------------------------------------------------- */

static bool connect_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    struct cn_terminus to;

    if (cn_terminus_decode(&to, r, false) != CN_OK || to.form == CN_TERMINUS_UDP)
        return false;
    if (cn_allow_permits(&t->allow, &to))
        cn_connection_reach(t, stream, &to, true);
    else
        refuse(t, stream, &to, false);
    return true;
}

static bool datagrams_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    struct cn_terminus to;

    if (cn_terminus_decode(&to, r, false) != CN_OK || to.form != CN_TERMINUS_UDP)
        return false;
    if (cn_allow_permits(&t->allow, &to))
        cn_flow_reach(t, stream, &to);
    else
        refuse(t, stream, &to, false);
    return true;
}

static bool listen_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    uint32_t number = cn_reader_u32be(r);
    struct cn_terminus at;

    if (cn_terminus_decode(&at, r, true) != CN_OK || cn_door_find(t, CN_DOOR_LENT, number))
        return false;
    if (cn_allow_permits(&t->allow_listening, &at))
        cn_door_lend(t, stream, number, &at);
    else
        refuse(t, stream, &at, true);
    return true;
}

/* Somebody has come in where the partner listens for us. */
static bool incoming_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    struct cn_door *door = cn_door_find(t, CN_DOOR_BACK, cn_reader_u32be(r));

    if (!cn_reader_done(r) || !door || !door->stream)
        return false;
    if (door->to.form == CN_TERMINUS_UDP)
        cn_flow_reach(t, stream, &door->to);
    else
        cn_connection_reach(t, stream, &door->to, true);
    return true;
}

static bool control_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    if (!cn_reader_done(r) || t->control || cn_call_is_caller(t->call))
        return false;
    t->control = stream;
    cn_stream_set_user(stream, &t->control_owner);
    return true;
}

static bool ask_take(struct cn_tunnel *t, struct cn_stream *stream, struct cn_reader *r)
{
    const uint8_t yes = 0;
    struct cn_terminus to;

    if (cn_terminus_decode(&to, r, false) != CN_OK)
        return false;
    if (!cn_allow_permits(&t->allow, &to)) {
        refuse(t, stream, &to, false);
    } else if (cn_stream_write(stream, &yes, 1) < 1) {
        cn_tunnel_drop_stream(stream, CN_TUNNEL_TOO_MANY);
    } else {
        cn_stream_finish(stream);
        cn_stream_set_user(stream, &t->drain_owner);
    }
    return true;
}

void cn_answer(struct cn_tunnel *tunnel, struct cn_stream *stream)
{
    static bool (*const takers[])(struct cn_tunnel *, struct cn_stream *, struct cn_reader *) = {
        [CN_TUNNEL_CONNECT] = connect_take,   [CN_TUNNEL_LISTEN] = listen_take,
        [CN_TUNNEL_INCOMING] = incoming_take, [CN_TUNNEL_DATAGRAMS] = datagrams_take,
        [CN_TUNNEL_CONTROL] = control_take,   [CN_TUNNEL_ASK] = ask_take,
    };
    uint8_t kind = cn_stream_kind(stream);
    struct cn_reader r = { 0 };

    r.at = cn_stream_parameters(stream, &r.left);
    if (tunnel->finishing || tunnel->ending || kind >= sizeof takers / sizeof takers[0] ||
        !takers[kind])
        cn_tunnel_drop_stream(stream, CN_TUNNEL_GIVEN_UP);
    else if (!takers[kind](tunnel, stream, &r))
        cn_tunnel_drop_stream(stream, CN_TUNNEL_MALFORMED);
}
