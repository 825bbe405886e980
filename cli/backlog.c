#include "backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t put(void *cookie, const char *text, size_t size)
{
    struct cn_backlog *b = cookie;

    if (b->begin == b->end)
        b->begin = b->end = 0;
    if (size > b->room - b->end) {
        size_t room = 2 * (b->end + size);
        char *more = realloc(b->text, room);

        if (!more) {
            b->error = ENOMEM;
            return 0;
        }
        b->text = more;
        b->room = room;
    }
    memcpy(b->text + b->end, text, size);
    b->end += size;
    return (ssize_t)size;
}

bool cn_backlog_open(struct cn_backlog *backlog, int fd)
{
    static const cookie_io_functions_t functions = { .write = put };

    *backlog = (struct cn_backlog) { .fd = fd };
    backlog->in = fopencookie(backlog, "w", functions);
    return backlog->in != NULL;
}

void cn_backlog_close(struct cn_backlog *backlog)
{
    if (backlog->in)
        fclose(backlog->in);
    free(backlog->text);
    *backlog = (struct cn_backlog) { 0 };
}

bool cn_backlog_flush(struct cn_backlog *backlog)
{
    fflush(backlog->in);
    while (cn_backlog_is_behind(backlog)) {
        ssize_t size =
            write(backlog->fd, backlog->text + backlog->begin, backlog->end - backlog->begin);

        if (size >= 0)
            backlog->begin += (size_t)size;
        else if (errno == EAGAIN)
            return false;
        else if (errno != EINTR)
            backlog->error = errno;
    }
    return true;
}

bool cn_backlog_is_behind(const struct cn_backlog *backlog)
{
    return backlog->error == 0 && backlog->begin < backlog->end;
}
