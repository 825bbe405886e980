/* datagrams.h - datagrams through a tunnel. Each source that sends to a door has a flow of its own,
 * which is a stream: size (u16), octets. What the line cannot take at once is kept for a moment,
 * and the oldest is dropped: a datagram that comes late is worth less than one that is lost. */
#ifndef CN_DATAGRAMS_H
#define CN_DATAGRAMS_H

#include "engine.h"

enum { CN_FLOW_IDLE_MS = 180000 };

/* The flows of a door. */
CN_MUST_USE enum cn_err cn_flows_create(struct cn_flows **flows, struct cn_door *door);
/* Ends them; NULL is fine. */
void cn_flows_free(struct cn_flows *flows);
/* Datagrams have come at this socket of the door. */
void cn_flows_receive(struct cn_flows *flows, int socket);

/* The partner has opened a flow to that place. */
void cn_flow_reach(struct cn_tunnel *tunnel, struct cn_stream *stream,
                   const struct cn_terminus *to);

/* End the flows whose time has come; when it is the next one's. */
uint64_t cn_flows_expire(struct cn_tunnel *tunnel, uint64_t now_ms);
/* End all. */
void cn_flows_cut(struct cn_tunnel *tunnel);
/* Free those that have ended in this round. */
void cn_flows_sweep(struct cn_tunnel *tunnel);

#endif
