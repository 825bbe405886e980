/* child.h - what every process under the supervisor does at its start and end. */
#ifndef CN_CHILD_H
#define CN_CHILD_H

#include "channel.h"
#include "loop.h"

/* Harden the process, and wait for START, which comes at once. The process ends if it does not, or
 * if nobody but a supervisor could have started it. The descriptors are the caller's. */
void cn_child_start(const char *program, struct cn_message *start, int fds[CN_CHANNEL_FDS_MAX],
                    size_t *fd_count);
/* Whether it keeps the descriptors; else they are closed. */
typedef bool cn_child_take(const struct cn_message *message, const int *fds, size_t fd_count);

/* From now on take is given what the supervisor says, but for pings, in turns of the loop. Once
 * nobody is there any more, end ends the process. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_child_listen(struct cn_loop *loop, cn_child_take *take,
                                        void (*end)(int code));
/* What has been said so far, without waiting for the loop. */
void cn_child_hear(void);
/* To the supervisor, who takes little at a time but takes it at once: without one the process ends.
 */
void cn_child_say(const struct cn_message *message);
/* READY, or FAILED and why (errno). */
void cn_child_begun(enum cn_err err, int number);

#endif
