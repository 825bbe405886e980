/* signals.h - SIGINT, SIGTERM and SIGHUP as something to poll for, so that what is under way can be
 * ended well. One that was ignored when we began stays ignored, as nohup wants it. */
#ifndef CN_SIGNALS_H
#define CN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct cn_signals {
    int fd; /* readable: there is one */
    sigset_t before;
};

/* False: errno. */
bool cn_signals_catch(struct cn_signals *signals);
/* The number of one that has come; 0: none. */
int cn_signals_take(const struct cn_signals *signals);
/* As it was before. What has come meanwhile and was not taken is dropped. */
void cn_signals_release(struct cn_signals *signals);

#endif
