/* process.h - what both programs of the server see to before they touch a key. */
#ifndef CN_PROCESS_H
#define CN_PROCESS_H

#include <stdbool.h>

/* A standard descriptor that is closed must not become a key file or a line, to which we would then
 * print. What takes its place fails as it would: EBADF. False: end at once, there is nowhere to say
 * why. */
bool cn_process_standard_fill(void);
/* Nobody else shall read our memory: no core, no debugger of the same user. Best effort. Before the
 * first key is read, and again after each change of user, at which the kernel may take it back. */
void cn_process_harden(void);
/* Keys pass over the stack below the caller: that part of it shall not reach the swap space. False:
 * refused (errno). */
bool cn_process_stack_lock(void);

#endif
