/* thread.h - threads that nobody waits for, as lookups take: getaddrinfo cannot be stopped. */
#ifndef CN_THREAD_H
#define CN_THREAD_H

/* It takes no signals: those of the process are for the threads of its owner. 0, or errno. */
int cn_thread_start(void *(*run)(void *context), void *context);

#endif
