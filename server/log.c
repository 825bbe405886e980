#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 1024, LINE_ROOM = 2 * LINE_SIZE_MAX + 256 };

static enum cn_log_level level = CN_LOG_EVENTS;
static uint32_t style;
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

/* --- JSON ------------------------------------------------------------------------------------ */

/* A line being made; what does not fit is left out, but for the room that is kept for its end. */
struct out {
    char *line;
    size_t used;
};

static void put(struct out *o, const char *text, size_t size)
{
    for (size_t i = 0; i < size && o->used < LINE_ROOM; i++)
        o->line[o->used++] = text[i];
}

static void put_quoted(struct out *o, const char *text, size_t size)
{
    put(o, "\"", 1);
    for (size_t i = 0; i < size && o->used < LINE_SIZE_MAX * 2; i++) {
        if (text[i] == '"' || text[i] == '\\')
            put(o, "\\", 1);
        put(o, (unsigned char)text[i] < 127 ? &text[i] : "?", 1);
    }
    put(o, "\"", 1);
}

static bool is_number(const char *text, size_t size)
{
    return size > 0 && size < 16 && strspn(text, "0123456789") >= size &&
           (text[0] != '0' || size == 1);
}

/* Whether the quote at text ends a value: nothing follows, or another key. What was quoted may have
 * quotes in it. */
static bool is_end(const char *text)
{
    size_t name;

    if (text[0] != '"' || text[1] != ' ')
        return text[0] == '"' && !text[1];
    name = strspn(text + 2, "abcdefghijklmnopqrstuvwxyz_");
    return name > 0 && text[2 + name] == '=';
}

/* The value at text: up to the next blank, or the quote that ends it. */
static size_t value_put(struct out *o, const char *text)
{
    size_t size = strcspn(text, " ");

    if (text[0] != '"') {
        if (is_number(text, size))
            put(o, text, size);
        else
            put_quoted(o, text, size);
        return size;
    }
    for (size = 1; text[size] && !is_end(text + size); size++)
        ;
    put_quoted(o, text + 1, size - 1);
    return text[size] ? size + 1 : size;
}

static size_t json_make(char *line, size_t used, const char *event, const char *text)
{
    struct out o = { line, used };

    put(&o, "{\"v\":1,\"event\":", 15);
    put_quoted(&o, event, strlen(event));
    while (*text && o.used < LINE_SIZE_MAX * 2) {
        size_t name = strcspn(text, "= ");

        put(&o, ",", 1);
        put_quoted(&o, text, name);
        put(&o, ":", 1);
        text += name;
        text += *text == '=';
        text += value_put(&o, text);
        text += strspn(text, " ");
    }
    put(&o, "}\n", 2);
    return o.used;
}

/* --- lines ----------------------------------------------------------------------------------- */

static int priority(enum cn_log_level at, const char *event)
{
    static const int of_level[] = {
        [CN_LOG_FAILURES] = 3, [CN_LOG_EVENTS] = 6, [CN_LOG_DETAILS] = 7
    };

    return strcmp(event, "warning") == 0 ? 4 : of_level[at];
}

/* Returns its size. line has room for LINE_ROOM. */
static size_t line_make(char *line, enum cn_log_level at, const char *event, const char *text)
{
    int used = 0;

    if (style & CN_LOG_JOURNAL)
        used = snprintf(line, LINE_ROOM, "<%d>", priority(at, event));
    if (style & CN_LOG_JSON)
        return json_make(line, (size_t)used, event, text);
    used += snprintf(line + used, LINE_ROOM - (size_t)used, "cyphernetd: event=%.64s%s%s\n", event,
                     text[0] ? " " : "", text);
    return (size_t)used;
}

/* Say how many lines were lost. False: there is still no room. */
static bool lost_tell(void)
{
    char line[LINE_ROOM];
    char text[64];

    if (lost == 0)
        return true;
    snprintf(text, sizeof text, "lines=%lu", lost);
    if (!line_write(line, line_make(line, CN_LOG_FAILURES, "log_lost", text)))
        return false;
    lost = 0;
    return true;
}

static void vlog(enum cn_log_level at, const char *event, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void vlog(enum cn_log_level at, const char *event, const char *format, va_list args)
{
    char text[LINE_SIZE_MAX] = "";
    char line[LINE_ROOM];

    if (format && vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    if (!lost_tell() || !line_write(line, line_make(line, at, event, text)))
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

void cn_log_style_set(uint32_t wanted)
{
    style = wanted;
}

uint32_t cn_log_style(void)
{
    return style;
}

bool cn_log_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, own) == 0;
}

void cn_log_at(enum cn_log_level at, const char *event, const char *format, ...)
{
    va_list args;

    if (at > level)
        return;
    va_start(args, format);
    vlog(at, event, format, args);
    va_end(args);
}
