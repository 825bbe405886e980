/* status.h - how the server is doing, as a JSON object for cyphernetctl. cyphernetd(8) */
#ifndef CN_STATUS_H
#define CN_STATUS_H

#include "gate.h"

enum { CN_STATUS_SIZE_MIN = 2048 };

/* Ended by a NUL; size is CN_STATUS_SIZE_MIN or more. Subscribers for whom there is no room are
 * left out, and counted. */
void cn_status_write(const struct cn_gate *gate, uint64_t uptime_s, char *reply, size_t size);

#endif
