#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void cn_log(const char *event, const char *format, ...)
{
    char line[1024] = "";
    va_list args;

    va_start(args, format);
    if (format && vsnprintf(line, sizeof line, format, args) < 0)
        line[0] = '\0';
    va_end(args);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    fprintf(stderr, "cyphernetd: event=%s%s%s\n", event, line[0] ? " " : "", line);
}
