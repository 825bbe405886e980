/* tunnel.h - connections of other programs carried by a call of CN_CALL_FORWARD; part of
 * <cyphernet.h>, which includes it.
 *
 * Make a tunnel, tell it what to forward or what to allow, and when the call is open let it begin.
 * From then on, in each round: give every event of the call to cn_tunnel_take, call
 * cn_tunnel_process, take the tunnel's events, and wait for its descriptors beside the call's.
 * A tunnel belongs to one call, and to that call's thread; it must be freed before the call.
 *
 * ADDRESSES are as ssh(1) has them: HOST:PORT, or the path of a Unix socket, which begins with a
 * slash. An IPv6 address as HOST or BIND stands in brackets. BIND is localhost (127.0.0.1 and ::1,
 * which no BIND means), an address, or * or nothing for all. PORT 0 to listen at is any. */
#ifndef CYPHERNET_TUNNEL_H
#define CYPHERNET_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyphernet/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_call;
struct cn_detail;
struct cn_event;
struct cn_tunnel;
struct pollfd;

/* What became of a connection; numbers as on the line (PROTOCOL.md 7.5). */
enum cn_tunnel_outcome {
    CN_TUNNEL_GIVEN_UP = 0,    /* by an end, or it just ended */
    CN_TUNNEL_REFUSED = 1,     /* the partner's rules do not allow it */
    CN_TUNNEL_NO_NAME = 2,     /* HOST is not known over there */
    CN_TUNNEL_NO_LISTENER = 3, /* connection refused */
    CN_TUNNEL_UNREACHABLE = 4,
    CN_TUNNEL_TIMED_OUT = 5,
    CN_TUNNEL_BROKEN = 6,   /* the connection was reset */
    CN_TUNNEL_TOO_MANY = 7, /* at once */
    CN_TUNNEL_MALFORMED = 8,
    CN_TUNNEL_TAKEN = 9,   /* somebody listens there already */
    CN_TUNNEL_FAILED = 10, /* otherwise */
    CN_TUNNEL_OUTCOME_COUNT
};

/* "connection refused"; static. */
CN_API const char *cn_tunnel_outcome_text(enum cn_tunnel_outcome outcome);

/* CN_E_MEMORY; CN_E_SYSTEM (errno). */
CN_API CN_MUST_USE enum cn_err cn_tunnel_open(struct cn_tunnel **tunnel);
/* The same for one of several tunnels of a program and a thread: what they hold together
 * (connections and places to listen at, memory) is limited as if they were one. beside is not kept;
 * NULL: alone.
 */
CN_API CN_MUST_USE enum cn_err cn_tunnel_open_beside(struct cn_tunnel **tunnel,
                                                     const struct cn_tunnel *beside);
/* Ends at once what is left: connections are reset, sockets that listen closed, their paths
 * removed. NULL is fine. */
CN_API void cn_tunnel_free(struct cn_tunnel *tunnel);
/* What the last failure was about: what was given, or the address. Never NULL; valid while the
 * tunnel is. */
CN_API const struct cn_detail *cn_tunnel_detail(const struct cn_tunnel *tunnel);

/* What the partner may connect to from here: HOST:PORT, HOST:PORT-PORT, udp: and one of these, or a
 * path; * may stand for HOST or PORT. HOST is compared as the partner has typed it, before it is
 * looked up. Nothing is allowed that was not said. CN_E_FORMAT; CN_E_LIMIT: over 4096; CN_E_MEMORY.
 */
CN_API CN_MUST_USE enum cn_err cn_tunnel_allow(struct cn_tunnel *tunnel, const char *rule);
/* Where the partner may listen here: PORT, BIND:PORT, a range of ports, with udp: before it for
 * datagrams, or a path. Likewise. */
CN_API CN_MUST_USE enum cn_err cn_tunnel_allow_listening(struct cn_tunnel *tunnel,
                                                         const char *rule);

/* Of the caller, before it begins: */

/* Who connects here gets to an address at the partner's: [BIND:]PORT:HOST:HOSTPORT, with a path in
 * place of either half; udp: before it for datagrams. Listens at once; who comes before the tunnel
 * begins waits. CN_E_FORMAT; CN_E_SYSTEM (detail): it cannot listen there; CN_E_MEMORY. */
CN_API CN_MUST_USE enum cn_err cn_tunnel_forward(struct cn_tunnel *tunnel, const char *forward);
/* Who connects there gets to an address here. CN_E_FORMAT; CN_E_MEMORY. */
CN_API CN_MUST_USE enum cn_err cn_tunnel_forward_back(struct cn_tunnel *tunnel,
                                                      const char *forward);
/* A SOCKS 5 proxy at [BIND:]PORT or a path; names are looked up at the partner's. Likewise. */
CN_API CN_MUST_USE enum cn_err cn_tunnel_forward_socks(struct cn_tunnel *tunnel, const char *at);
/* Join two descriptors with an address at the partner's: what comes out of in goes there, and what
 * comes back goes into out, which may be the same. They must not block, or be sockets, and SIGPIPE
 * must be ignored if out is none. If it succeeds they are the tunnel's: out is closed when the
 * partner's end has come. The last event of it is CLOSED, or REFUSED. CN_E_FORMAT. */
CN_API CN_MUST_USE enum cn_err cn_tunnel_join(struct cn_tunnel *tunnel, const char *to, int in,
                                              int out);

/* call is open (CN_EVENT_OPEN). Borrowed from now on. CN_E_USAGE: it is not the caller, and there
 * is something to forward; CN_E_MEMORY; CN_E_LIMIT, CN_E_UNEXPECTED as cn_stream_open; CN_E_SYSTEM.
 */
CN_API CN_MUST_USE enum cn_err cn_tunnel_begin(struct cn_tunnel *tunnel, struct cn_call *call);
/* An event of the call. True: it was about a stream, and nobody else needs to look at it. After
 * CN_EVENT_CLOSED everything has been ended. */
CN_API bool cn_tunnel_take(struct cn_tunnel *tunnel, const struct cn_event *event);
/* Fill up to max entries with descriptors to wait for; the count, 1 at most. */
CN_API size_t cn_tunnel_descriptors(const struct cn_tunnel *tunnel, struct pollfd *descriptors,
                                    size_t max);
/* Milliseconds until cn_tunnel_process is due whatever the descriptors do; -1: never. */
CN_API int cn_tunnel_timeout_ms(const struct cn_tunnel *tunnel);
/* Do what can be done without blocking. Failures come as events. */
CN_API void cn_tunnel_process(struct cn_tunnel *tunnel);
/* End it well: nobody is let in any more, what is still open is reset, the partner learns of it,
 * and the call will be over (CN_EVENT_CLOSED, CN_OK). */
CN_API void cn_tunnel_finish(struct cn_tunnel *tunnel);
/* Connections that are open, or being opened. */
CN_API size_t cn_tunnel_connection_count(const struct cn_tunnel *tunnel);

enum cn_tunnel_event_type {
    CN_TUNNEL_EVENT_NONE = 0,
    CN_TUNNEL_EVENT_LISTENING, /* at that address */
    CN_TUNNEL_EVENT_OPENED,    /* a connection to that address */
    CN_TUNNEL_EVENT_CLOSED,    /* it is over; unless it was cut both ends of it came across */
    CN_TUNNEL_EVENT_REFUSED, /* address cannot be had: outcome; permanent: nor will it be, for what
                              * was to be forwarded from the start */
    CN_TUNNEL_EVENT_ENDED    /* the partner has ended the tunnel well; the call will be over */
};

enum { CN_TUNNEL_ADDRESS_SIZE = 272 };

struct cn_tunnel_event {
    enum cn_tunnel_event_type type;
    enum cn_tunnel_outcome outcome;
    bool back;      /* LISTENING: at the partner's; REFUSED, OPENED, CLOSED: the partner has asked
                     * for it */
    bool to_listen; /* REFUSED: it was to be listened at, not to be connected to */
    bool permanent; /* REFUSED */
    bool cut;       /* CLOSED; outcome says why */
    bool here;      /* CLOSED, REFUSED: from here, as of a program here that fails, or when the call
                     * is over; else by the partner */
    char address[CN_TUNNEL_ADDRESS_SIZE]; /* what a partner asks for is shown with care */
    uint64_t sent;                        /* CLOSED: octets to the partner */
    uint64_t received;                    /* and from it */
};

/* False: none. Of more than 256 that nobody has taken the oldest are forgotten. */
CN_API bool cn_tunnel_next_event(struct cn_tunnel *tunnel, struct cn_tunnel_event *event);

#ifdef __cplusplus
}
#endif

#endif
