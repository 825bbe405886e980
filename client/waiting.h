/* waiting.h - what the calls of a home wait for, seen by all its programs: at the server a line
 * takes the place of another that waits for the same, and who only watches must not. */
#ifndef CN_WAITING_H
#define CN_WAITING_H

#include "home.h"

enum { CN_WAITING_NONE = -1 };

/* A descriptor to hold places with; close it to leave them. CN_WAITING_NONE: there is nowhere to
 * keep them, and nothing is guarded. */
int cn_waiting_open(const struct cn_home *home);
/* As one of those that wait. False: of some of them a watcher is there, which our line drives out:
 * once more, later. */
bool cn_waiting_hold(int waiting, const struct cn_call_want *wants, size_t count);
/* As the only one. False: others wait. */
bool cn_waiting_hold_alone(int waiting, const struct cn_call_want *want);

#endif
