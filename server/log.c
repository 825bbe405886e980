#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 1024 };

static enum cn_log_level level = CN_LOG_EVENTS;
static unsigned long lost; /* lines, since the last that was written */

/* One line, whole or not at all: who does not read the log must not stop the calls. A pipe that
 * poll calls writable takes PIPE_BUF octets, a socket likewise more than a line. Standard error may
 * be others' too, so it stays blocking. */
static bool line_write(const char *line, size_t size)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
        return false;
    return write(STDERR_FILENO, line, size) == (ssize_t)size; /* ENOSPC, EPIPE: lost too */
}

/* Say how many lines were lost. False: there is still no room. */
static bool lost_tell(void)
{
    char line[LINE_SIZE_MAX];
    int size;

    if (lost == 0)
        return true;
    size = snprintf(line, sizeof line, "cyphernetd: event=log_lost lines=%lu\n", lost);
    if (!line_write(line, (size_t)size))
        return false;
    lost = 0;
    return true;
}

static void vlog(const char *event, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void vlog(const char *event, const char *format, va_list args)
{
    char text[LINE_SIZE_MAX] = "";
    char line[LINE_SIZE_MAX + 128];
    int size;

    if (format && vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    size = snprintf(line, sizeof line, "cyphernetd: event=%.64s%s%s\n", event, text[0] ? " " : "",
                    text);
    if (!lost_tell() || !line_write(line, (size_t)size))
        lost++;
}

void cn_log_level_set(enum cn_log_level wanted)
{
    level = wanted;
}

enum cn_log_level cn_log_level(void)
{
    return level;
}

void cn_log_at(enum cn_log_level at, const char *event, const char *format, ...)
{
    va_list args;

    if (at > level)
        return;
    va_start(args, format);
    vlog(event, format, args);
    va_end(args);
}
