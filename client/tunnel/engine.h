/* engine.h - what the parts of a tunnel share: the tunnel itself, its doors, where connections come
 * in, and its connections, each joined to a stream. PROTOCOL.md 7.5
 *
 *   tunnel.c      what <cyphernet/tunnel.h> offers; events; whose turn it is
 *   answering.c   what the partner asks for, by the rules
 *   door.c        places that are listened at, here or at the partner's
 *   connection.c  one connection, from its first octet to its end
 *   datagrams.c   the same for datagrams
 *   room.c        what several tunnels hold together */
#ifndef CN_ENGINE_H
#define CN_ENGINE_H

#include <cyphernet.h>

#include "allow.h"
#include "binding.h"
#include "reach.h"
#include "resolver.h"
#include "room.h"
#include "socks.h"
#include "terminus.h"
#include "watch.h"

enum { CN_TUNNEL_EVENT_COUNT_MAX = 256 };

/* Kinds of streams. */
enum cn_tunnel_kind {
    CN_TUNNEL_CONNECT = 1,   /* parameters: a place */
    CN_TUNNEL_LISTEN = 2,    /* u32 number, a place to listen at */
    CN_TUNNEL_INCOMING = 3,  /* u32 number */
    CN_TUNNEL_DATAGRAMS = 4, /* a place */
    CN_TUNNEL_CONTROL = 5,
    CN_TUNNEL_ASK = 6 /* a place */
};

/* The user of each stream: what its events go to. First in its struct. */
struct cn_owner {
    void (*take)(struct cn_owner *owner, const struct cn_event *event);
};

enum cn_connection_state {
    CN_CONNECTION_GREETING, /* a SOCKS client says where it wants to go */
    CN_CONNECTION_ASKED,    /* the partner connects for us */
    CN_CONNECTION_REACHING, /* we connect for the partner */
    CN_CONNECTION_RUNNING,
    CN_CONNECTION_DEAD /* to be freed at the end of the round */
};

struct cn_connection {
    struct cn_owner owner;
    struct cn_tunnel *tunnel;
    struct cn_connection *next;
    struct cn_connection *before;
    enum cn_connection_state state;
    struct cn_terminus to;
    bool back;                /* the partner has asked for it */
    bool asked;               /* the stream is ours, and begins with the partner's status */
    struct cn_stream *stream; /* NULL while greeting */
    struct cn_watch in;       /* of a socket: for both directions */
    struct cn_watch out;      /* fd -1: in is for both */
    struct cn_socks *socks;   /* owned; NULL: it is none */
    struct cn_reach *reach;   /* owned, while reaching */
    uint64_t outstanding;     /* its part of the tunnel's */
    bool here;                /* it is ended from here, not by the partner */
    bool up_done;             /* what came here has ended, and the partner knows */
    bool up_full;             /* the stream takes no more for now */
    bool down_done;           /* what comes from the partner has ended, and the program knows */
    bool down_full;           /* the program takes no more for now */
    uint64_t due_ms;
};

enum { CN_DOOR_ANSWER_SIZE = 3 }; /* 0, port (2) */

enum cn_door_kind {
    CN_DOOR_FORWARD,
    CN_DOOR_SOCKS,
    CN_DOOR_BACK, /* at the partner's, for us */
    CN_DOOR_LENT, /* here, for the partner */
    CN_DOOR_DATAGRAMS
};

struct cn_door {
    struct cn_owner owner;
    struct cn_tunnel *tunnel;
    struct cn_door *next;
    enum cn_door_kind kind;
    bool dead; /* to be freed at the end of the round */
    struct cn_terminus at;
    struct cn_terminus to;
    uint32_t number; /* of BACK and LENT: the caller's */
    struct cn_binding binding;
    struct cn_watch watch[CN_BINDING_SOCKET_COUNT_MAX];
    struct cn_stream *stream; /* on which the partner is asked whether it would, or to listen */
    uint8_t answer[CN_DOOR_ANSWER_SIZE]; /* that comes there */
    size_t answer_size;
    struct cn_flows *flows; /* owned; of DATAGRAMS */
};

struct cn_tunnel {
    struct cn_call *call;    /* borrowed; NULL until it begins, and when the call is over */
    struct cn_call *sharing; /* borrowed: the same, until the tunnel is freed */
    struct cn_tunnel_room *room;
    struct cn_detail detail;
    int epoll;
    struct cn_watch resolver_watch;
    struct cn_allow allow;
    struct cn_allow allow_listening;
    struct cn_door *doors;
    struct cn_connection *connections;
    struct cn_connection *dead;
    struct cn_connection *joined; /* in connections: the one of cn_tunnel_join, or NULL */
    struct cn_terminus join_to;
    int join_in, join_out; /* -1: there is none */
    size_t connection_count;
    struct cn_flow *flows;
    struct cn_flow *dead_flows;
    uint32_t next_number;
    bool paused;    /* nobody is let in until there is room again */
    bool ending;    /* the partner will open no more; what is open comes to its end */
    bool finishing; /* all is over, and only has to be said */
    bool sweep_due; /* doors have died */
    struct cn_stream *control;
    struct cn_owner control_owner;
    struct cn_owner drain_owner; /* of streams that only have to end */
    uint64_t due_ms;
    uint64_t resume_ms; /* while paused */
    struct cn_tunnel_event events[CN_TUNNEL_EVENT_COUNT_MAX];
    size_t event_first;
    size_t event_count;
};

/* tunnel.c */
struct cn_tunnel_event *cn_tunnel_tell(struct cn_tunnel *tunnel, enum cn_tunnel_event_type type,
                                       const struct cn_terminus *address);
void cn_tunnel_due(struct cn_tunnel *tunnel, uint64_t at_ms);
/* Give a stream up with a code, and forget it. */
void cn_tunnel_drop_stream(struct cn_stream *stream, enum cn_tunnel_outcome code);
/* The code of a stream that the partner has reset. */
enum cn_tunnel_outcome cn_tunnel_stream_outcome(const struct cn_stream *stream);
/* No more connections for now; again when one ends, or after a while. */
void cn_tunnel_pause(struct cn_tunnel *tunnel);
void cn_tunnel_resume(struct cn_tunnel *tunnel);
CN_MUST_USE enum cn_err cn_tunnel_stream_open(struct cn_tunnel *tunnel, enum cn_tunnel_kind kind,
                                              const struct cn_terminus *place,
                                              const uint32_t *number, struct cn_owner *owner,
                                              struct cn_stream **stream);

/* answering.c: the partner has opened a stream. */
void cn_answer(struct cn_tunnel *tunnel, struct cn_stream *stream);

/* door.c */
/* Listen there; the door is the tunnel's. CN_E_SYSTEM (errno), CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_door_open(struct cn_tunnel *tunnel, enum cn_door_kind kind,
                                     const struct cn_terminus *at, const struct cn_terminus *to,
                                     struct cn_door **door);
/* The tunnel begins: let in who comes, and ask the partner for what is needed of it. */
CN_MUST_USE enum cn_err cn_door_begin(struct cn_door *door);
void cn_door_close(struct cn_door *door);
void cn_door_free(struct cn_door *door);
/* Listen, or not, at its sockets. */
void cn_door_watch(struct cn_door *door, bool wanted);
struct cn_door *cn_door_find(struct cn_tunnel *tunnel, enum cn_door_kind kind, uint32_t number);
/* The partner has asked for it on this stream. */
void cn_door_lend(struct cn_tunnel *tunnel, struct cn_stream *stream, uint32_t number,
                  const struct cn_terminus *at);

/* connection.c. A connection is the tunnel's. */
/* Somebody has come in at a door; fd is owned. */
void cn_connection_accept(struct cn_door *door, int fd);
CN_MUST_USE enum cn_err cn_connection_join(struct cn_tunnel *tunnel);
/* Connect to a place for the partner, which waits on this stream. */
void cn_connection_reach(struct cn_tunnel *tunnel, struct cn_stream *stream,
                         const struct cn_terminus *to, bool back);
/* Its time has come. */
void cn_connection_expire(struct cn_connection *connection, uint64_t now_ms);
/* End it, here and at the partner's, as a reset. */
void cn_connection_cut(struct cn_connection *connection, enum cn_tunnel_outcome code);
/* Move on what cannot be waited for. */
void cn_connection_turn(struct cn_connection *connection);
void cn_connection_free(struct cn_connection *connection);

#endif
