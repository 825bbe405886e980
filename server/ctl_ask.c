#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Connect by a relative name: the whole one may be too long for an address. */
static int connect_in(int dir)
{
    const struct sockaddr_un address = { AF_UNIX, CN_CONTROL_SOCKET };
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = s >= 0 && fchdir(dir) == 0 &&
                connect(s, (const struct sockaddr *)&address, sizeof address) == 0;
    int saved = errno;

    if (before >= 0) {
        if (fchdir(before) != 0)
            cn_ctl_warning("cannot go back to the directory we came from");
        close(before);
    }
    if (!good && s >= 0)
        close(s);
    errno = saved;
    return good ? s : -1;
}

static enum cn_err wait_for(int s, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd p = { .fd = s, .events = events };
        int64_t left = deadline - now_ms();
        int got = left > 0 ? poll(&p, 1, (int)left) : 0;

        if (got > 0)
            return CN_OK;
        if (got == 0)
            return CN_E_TIMEOUT;
        if (errno != EINTR)
            return CN_E_SYSTEM;
    }
}

/* What a failed system call on the line means. */
static enum cn_err line_err(void)
{
    return errno == ECONNRESET || errno == EPIPE ? CN_E_HUNG_UP : CN_E_SYSTEM;
}

/* The server reads the whole of so short a line in one piece or dies. */
static enum cn_err request_send(int s, const char *request, int64_t deadline)
{
    enum cn_err err = wait_for(s, POLLOUT, deadline);
    size_t size = strlen(request);

    if (err != CN_OK)
        return err;
    return send(s, request, size, MSG_NOSIGNAL) == (ssize_t)size ? CN_OK : line_err();
}

/* One line, without its end. */
static enum cn_err reply_receive(int s, char *reply, size_t size_max, int64_t deadline)
{
    size_t have = 0;

    while (have < size_max) {
        enum cn_err err = wait_for(s, POLLIN, deadline);
        ssize_t got;
        char *end;

        if (err != CN_OK)
            return err;
        got = recv(s, reply + have, size_max - have, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return line_err();
        if (got == 0)
            return CN_E_HUNG_UP; /* it ended before the line did */
        end = memchr(reply + have, '\n', (size_t)got);
        have += (size_t)got;
        if (end) {
            *end = '\0';
            return strlen(reply) == (size_t)(end - reply) ? CN_OK : CN_E_FORMAT;
        }
    }
    return CN_E_FORMAT;
}

/* What the reply is: the event asked for, an error, or nonsense. */
static enum cn_err reply_judge(const char *reply, const char *event)
{
    struct cn_ctl_member m;

    if (!cn_ctl_json_find(reply, "event", &m))
        return CN_E_FORMAT;
    if (m.value_size == strlen(event) && strncmp(m.value, event, m.value_size) == 0)
        return CN_OK;
    return cn_ctl_json_find(reply, "text", &m) && m.is_text ? CN_E_REFUSED : CN_E_FORMAT;
}

const char *cn_ctl_ask_reason(enum cn_err err, char *reply)
{
    struct cn_ctl_member m;

    if (err != CN_E_REFUSED || !cn_ctl_json_find(reply, "text", &m))
        return cn_ctl_reason(err);
    reply[m.value - reply + (ptrdiff_t)m.value_size] = '\0';
    return m.value;
}

static enum cn_err ask_once(int dir, const char *request, const char *event, char *reply,
                            size_t reply_size_max, int64_t deadline)
{
    int s = connect_in(dir);
    enum cn_err err;
    int saved;

    if (s < 0) /* no socket, or one that a dead server left */
        return errno == ENOENT || errno == ECONNREFUSED ? CN_E_ABSENT : CN_E_SYSTEM;
    err = request_send(s, request, deadline);
    if (err == CN_OK)
        err = reply_receive(s, reply, reply_size_max, deadline);
    if (err == CN_OK)
        err = reply_judge(reply, event);
    saved = errno;
    close(s);
    errno = saved;
    return err;
}

enum cn_err cn_ctl_ask(int dir, const char *request, const char *event, char *reply,
                       size_t reply_size_max)
{
    const int64_t deadline = now_ms() + CN_CONTROL_TIMEOUT_MS;
    enum cn_err err = ask_once(dir, request, event, reply, reply_size_max, deadline);

    /* another program may have taken over just then, or none; asking again changes nothing */
    if (err == CN_E_HUNG_UP)
        err = ask_once(dir, request, event, reply, reply_size_max, deadline);
    return err;
}
