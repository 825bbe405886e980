/* checks.h - what the programs of tests/secrets share: numbers on the command line, and a count of
 * what held. Exit code 0: all of it; 1: not all; 2: misuse. */
#ifndef CN_TEST_CHECKS_H
#define CN_TEST_CHECKS_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct cn_crypto crypto;
static unsigned checks_passed, checks_failed;

/* --NAME NUMBER */
struct number {
    const char *name;
    uint64_t *value;
};

/* A failure here is the test's own. */
static inline void need(bool fine)
{
    if (!fine)
        abort();
}

static inline void numbers_take(int argc, char **argv, const struct number *numbers, size_t count)
{
    for (int i = 1; i < argc; i += 2) {
        size_t at = 0;
        char *end;

        while (at < count && strcmp(argv[i], numbers[at].name) != 0)
            at++;
        errno = 0;
        if (at < count && i + 1 < argc)
            *numbers[at].value = strtoull(argv[i + 1], &end, 10);
        if (at == count || i + 1 == argc || errno || *end || !*argv[i + 1] || *argv[i + 1] == '-') {
            fprintf(stderr, "usage: %s", argv[0]);
            for (at = 0; at < count; at++)
                fprintf(stderr, " [%s N]", numbers[at].name);
            fputs("\n", stderr);
            exit(2);
        }
    }
    need(cn_crypto_init(&crypto) == CN_OK);
}

/* Counts one, and tells it. */
__attribute__((format(printf, 2, 3))) static inline void check(bool holds, const char *format, ...)
{
    va_list words;

    va_start(words, format);
    fputs(holds ? "ok     " : "FAILED ", stdout);
    vprintf(format, words);
    fputs("\n", stdout);
    fflush(stdout);
    va_end(words);
    if (holds)
        checks_passed++;
    else
        checks_failed++;
}

static inline int checks_end(void)
{
    cn_crypto_wipe(&crypto);
    printf("%u passed, %u failed\n", checks_passed, checks_failed);
    return checks_failed > 0;
}

#endif
