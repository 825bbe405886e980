/* hearing.h - what a line says, from the hello to the prologue. PROTOCOL.md 3 */
#ifndef CN_HEARING_H
#define CN_HEARING_H

#include "line.h"

/* For line->watch and line->timer. */
void cn_hearing_ready(struct cn_watch *watch, uint32_t epoll_events);
void cn_hearing_timer(struct cn_timer *timer);

#endif
