/* process.h - what both programs of the server see to before they touch a key. */
#ifndef CN_PROCESS_H
#define CN_PROCESS_H

#include <stdbool.h>

/* A standard descriptor that is closed must not become a key file or a line, to which we would then
 * print. What takes its place fails as it would: EBADF. False: end at once, there is nowhere to say
 * why. */
bool cn_process_standard_fill(void);

#endif
