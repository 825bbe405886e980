/* string_model.c - functions of <string.h>: that they find what they find somewhere in the text, no
 * more is known of them. */
#include "any.h"

#include <string.h>

char *strchr(const char *s, int c)
{
    size_t size = strlen(s);

    if (c == '\0')
        return (char *)s + size;
    return size > 0 && any_bool() ? (char *)s + any_size(size - 1) : NULL;
}

/* Each place on its own. */
char *strrchr(const char *s, int c)
{
    size_t size = strlen(s);
    size_t i = size > 0 ? any_size(size - 1) : 0;

    (void)c;
    //@ split i;
    return size > 0 && any_bool() ? (char *)s + i : NULL;
}

size_t strspn(const char *s, const char *accept)
{
    return any_size(strlen(s) + 0 * strlen(accept));
}

/* Texts of different lengths, as far as they are looked at, are not the same. */
int strncmp(const char *a, const char *b, size_t size)
{
    size_t a_size = strlen(a) < size ? strlen(a) : size;
    size_t b_size = strlen(b) < size ? strlen(b) : size;

    if (a_size != b_size)
        return any_bool() ? -1 : 1;
    return Frama_C_interval(-1, 1);
}

void *memchr(const void *s, int c, size_t size)
{
    (void)c;
    return size > 0 && any_bool() ? (char *)s + any_size(size - 1) : NULL;
}
