#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_SIZE_MAX = 2048 };

static bool quiet;
static bool verbose;
static bool colour;

void cn_ctl_say_init(const struct cn_ctl_arguments *arguments)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    quiet = arguments->quiet;
    verbose = arguments->verbose;
    colour = isatty(STDERR_FILENO) && (!no_color || no_color[0] == '\0') && term &&
             strcmp(term, "dumb") != 0;
}

/* One line. Nothing that was quoted from an argument or a file gets to drive the terminal. */
__attribute__((format(printf, 3, 0))) static void say(const char *kind, const char *sgr,
                                                      const char *format, va_list arguments)
{
    char line[TEXT_SIZE_MAX];

    vsnprintf(line, sizeof line, format, arguments);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == '\177')
            *c = '?';
    }
    fputs("cyphernetctl: ", stderr);
    if (kind)
        fprintf(stderr, colour ? "\033[%sm%s:\033[0m " : "%.0s%s: ", sgr, kind);
    fprintf(stderr, "%s\n", line);
}

#define SAY(kind, sgr) \
    do { \
        va_list arguments; \
        va_start(arguments, format); \
        say(kind, sgr, format, arguments); \
        va_end(arguments); \
    } while (0)

void cn_ctl_error(const char *format, ...)
{
    SAY("error", "1;31");
}

void cn_ctl_hint(const char *format, ...)
{
    SAY("hint", "1;36");
}

void cn_ctl_warning(const char *format, ...)
{
    if (!quiet)
        SAY("warning", "1;33");
}

void cn_ctl_note(const char *format, ...)
{
    if (!quiet)
        SAY(NULL, "");
}

void cn_ctl_detail(const char *format, ...)
{
    if (verbose && !quiet)
        SAY(NULL, "");
}

const char *cn_ctl_reason(enum cn_err err)
{
    return err == CN_E_SYSTEM ? strerror(errno) : cn_err_text(err);
}

void cn_ctl_output_error(const char *output, enum cn_err err)
{
    const char *name = strcmp(output, "-") == 0 ? "standard output" : output;
    int number = errno;

    if (err == CN_E_EXISTS) {
        cn_ctl_error("%s is there already", name);
        cn_ctl_hint("nothing has been changed; choose another name, or move it away");
        return;
    }
    cn_ctl_error("%s: %s", name, cn_ctl_reason(err));
    if (number == ENOSPC || number == EFBIG || number == EDQUOT)
        cn_ctl_hint("make room on the disk, or name a file elsewhere");
}

struct cn_ctl_date cn_ctl_date(uint64_t seconds)
{
    struct cn_ctl_date date = { "?" };
    time_t when = (time_t)seconds;
    struct tm utc;

    if (gmtime_r(&when, &utc))
        strftime(date.text, sizeof date.text, "%Y-%m-%d", &utc);
    return date;
}

int cn_ctl_stdout_close(int code)
{
    bool bad = ferror(stdout) != 0;

    if (fclose(stdout) == 0 && !bad)
        return code;
    cn_ctl_error("standard output: %s", errno != 0 ? strerror(errno) : "write error");
    return code == CN_CTL_OK ? CN_CTL_FAILED : code;
}

void cn_ctl_lock(const void *secret, size_t size)
{
    if (mlock(secret, size) != 0)
        cn_ctl_warning("keys are not locked in memory: %s", strerror(errno));
}
