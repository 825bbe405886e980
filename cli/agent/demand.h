/* demand.h - what is said over the agent's socket: a line each way, and for ATTACH what follows.
 *
 *   1 here                              is an agent there?
 *   1 leave NAME SERVICE call|answer    as long as this connection stands the agent does not wait
 *                                       for NAME's SERVICE, which the asker is about to do himself
 *   1 attach NAME                       the talk with NAME that is held, if there is one: after
 * `ok` the octets of its stream, both ways
 *
 * The answer is `ok`, `none` or `error TEXT`. With the `ok` to ATTACH comes, by SCM_RIGHTS, a
 * socket of type SOCK_SEQPACKET, on which the agent tells what happens to the call's line: each
 * packet is an octet for an enum cn_event_type, QUIET, HEARD, LOST, RECONNECTING or RESUMED, and
 * one for its enum cn_err. It may be missing. */
#ifndef CN_DEMAND_H
#define CN_DEMAND_H

#include <cyphernet.h>

enum { CN_DEMAND_SIZE_MAX = 128, CN_REPLY_SIZE_MAX = 256 }; /* with the line's end */
enum { CN_LINE_NEWS_SIZE = 2 };

enum cn_demand_kind { CN_DEMAND_HERE = 1, CN_DEMAND_LEAVE, CN_DEMAND_ATTACH };

struct cn_demand {
    enum cn_demand_kind kind;
    char contact[65];             /* LEAVE, ATTACH */
    enum cn_call_service service; /* LEAVE */
    bool caller;                  /* LEAVE */
};

/* A line without its end. CN_E_FORMAT; CN_E_VERSION. */
CN_MUST_USE enum cn_err cn_demand_decode(struct cn_demand *demand, const char *line, size_t size);
/* With the line's end, and a NUL. */
void cn_demand_encode(const struct cn_demand *demand, char out[CN_DEMAND_SIZE_MAX]);

/* "talk", "pipe", "file" or "forward"; static. */
const char *cn_demand_service(enum cn_call_service service);

#endif
