#include "temporary.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BEGIN ".cyphernet-"
#define END   ".part"

enum { DIGIT_COUNT = CN_TEMPORARY_NAME_SIZE - sizeof BEGIN - sizeof END + 1 };

void cn_temporary_name(uint64_t number, char out[CN_TEMPORARY_NAME_SIZE])
{
    snprintf(out, CN_TEMPORARY_NAME_SIZE, BEGIN "%016llx" END, (unsigned long long)number);
}

bool cn_temporary_is(const char *part, size_t size)
{
    const size_t begin = sizeof BEGIN - 1;
    const size_t end = sizeof END - 1;

    if (size != begin + DIGIT_COUNT + end || strncasecmp(part, BEGIN, begin) != 0 ||
        strncasecmp(part + size - end, END, end) != 0)
        return false;
    for (size_t i = 0; i < DIGIT_COUNT; i++) {
        if (!isxdigit((unsigned char)part[begin + i]))
            return false;
    }
    return true;
}

bool cn_temporary_number(const char *name, uint64_t *number)
{
    char again[CN_TEMPORARY_NAME_SIZE];

    if (!cn_temporary_is(name, strlen(name)))
        return false;
    *number = strtoull(name + sizeof BEGIN - 1, NULL, 16);
    cn_temporary_name(*number, again);
    return strcmp(name, again) == 0;
}
