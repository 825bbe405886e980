/* call.h - what other parts of the library ask of a call, beside <cyphernet.h>. */
#ifndef CN_CALL_H
#define CN_CALL_H

#include <cyphernet.h>

/* What arrives in several calls, and is not read, shall take no more memory than one call may: *sum
 * is theirs, begins with 0, and is borrowed until it is taken back with NULL, before the call is
 * freed. What each stream may hold whatever others do is not in it. */
void cn_call_share_extra(struct cn_call *call, uint64_t *sum);

/* After CN_EVENT_RETRY: if the partner may have the call open all the same, wait for it to come
 * back to that, and for nothing else any more. False: it has not. */
bool cn_call_narrow(struct cn_call *call);

#endif
