/* guest.h - a transfer in a call that is a talk's: it has two streams of that call, and the call
 * goes on whatever becomes of it. PROTOCOL.md 7.3 */
#ifndef CN_GUEST_H
#define CN_GUEST_H

#include <cyphernet.h>

#include "message.h"

enum {
    CN_GUEST_CONTROL_KIND = CN_TRANSFER_STREAM_KIND,
    CN_GUEST_DATA_KIND = CN_TRANSFER_STREAM_KIND + 1
};

struct cn_guest_streams {
    struct cn_stream *control, *data; /* NULL: not open */
};

/* The kind of a stream in a talk's call that is `kind` in a call of files. */
static inline uint8_t cn_guest_kind(bool is_guest, uint8_t kind)
{
    return is_guest ? (uint8_t)(kind + CN_GUEST_CONTROL_KIND - CN_MESSAGE_CONTROL_KIND) : kind;
}

/* Give it up: the partner is told why. */
void cn_guest_reset(struct cn_guest_streams streams, enum cn_err why);
/* Why the partner has; CN_OK: he has not. */
enum cn_err cn_guest_reset_err(struct cn_guest_streams streams);
/* Whether the partner's program has read all, and both our ends: nothing of it is left there. */
bool cn_guest_is_read(struct cn_guest_streams streams);
/* Nothing of it is left here; what was not ended is given up. */
void cn_guest_leave(struct cn_guest_streams streams);

#endif
