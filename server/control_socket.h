/* control_socket.h - the server's end of DIR/control. control.h says what is spoken there. */
#ifndef CN_CONTROL_SOCKET_H
#define CN_CONTROL_SOCKET_H

#include "err.h"
#include "loop.h"

struct cn_control;

/* What a request is answered with: a JSON object of at most size - 1 octets, no line end. */
typedef void cn_control_answer(void *context, const char *request, char *reply, size_t size);

/* Listen on "control" in the working directory, replacing what an earlier server left there.
 * CN_E_SYSTEM (errno), CN_E_MEMORY. loop is borrowed for the life of the control. */
CN_MUST_USE enum cn_err cn_control_open(struct cn_control **control, struct cn_loop *loop,
                                        cn_control_answer *answer, void *context);
void cn_control_close(struct cn_control *control);

#endif
