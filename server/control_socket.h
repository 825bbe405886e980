/* control_socket.h - the server's end of DIR/control. control.h says what is spoken there. */
#ifndef CN_CONTROL_SOCKET_H
#define CN_CONTROL_SOCKET_H

#include <stdbool.h>

#include "err.h"
#include "loop.h"

struct cn_control;

/* What a request is answered with: a JSON object of at most size - 1 octets, no line end. False:
 * cn_control_reply comes later. */
typedef bool cn_control_answer(void *context, uint64_t asker, const char *request, char *reply,
                               size_t size);

/* Listen on "control" in the working directory, replacing what an earlier server left there; or go
 * on with listener, which is such a socket, if it is not -1. CN_E_SYSTEM (errno), CN_E_MEMORY. loop
 * is borrowed for the life of the control. */
CN_MUST_USE enum cn_err cn_control_open(struct cn_control **control, struct cn_loop *loop,
                                        int listener, cn_control_answer *answer, void *context);
void cn_control_close(struct cn_control *control);
/* The answer to one who has waited for it; he may have gone. */
void cn_control_reply(struct cn_control *control, uint64_t asker, const char *reply);
/* The socket, still the control's. */
int cn_control_listener(const struct cn_control *control);

#endif
