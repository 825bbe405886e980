/* backlog.h - what is to be shown, for a descriptor that may take it later; nothing waits for it.
 */
#ifndef CN_BACKLOG_H
#define CN_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cn_backlog {
    FILE *in;  /* write what is to be shown here */
    int fd;    /* borrowed */
    int error; /* errno: why it takes no more; 0 */
    char *text;
    size_t begin, end, room;
};

/* backlog must stay where it is until the close. False: no memory. */
bool cn_backlog_open(struct cn_backlog *backlog, int fd);
/* What waits is lost. One that was not opened is fine. */
void cn_backlog_close(struct cn_backlog *backlog);
/* Hand out what the descriptor takes. False: something waits. */
bool cn_backlog_flush(struct cn_backlog *backlog);
/* Whether something waits, of what was flushed. */
bool cn_backlog_is_behind(const struct cn_backlog *backlog);

#endif
