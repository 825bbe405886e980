/* no_memory: preloaded into a program, lets an allocation fail (kth.h). */
#include "kth.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILS kth_fails(CALLER, ENOMEM)

EXPORT void *malloc(size_t size)
{
    static void *(*next)(size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    return FAILS ? NULL : next(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    static void *(*next)(size_t count, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "calloc");
    return FAILS ? NULL : next(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    static void *(*next)(void *block, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "realloc");
    return FAILS ? NULL : next(block, size);
}

/* What the program has the C library allocate is its own, too. */
EXPORT char *strdup(const char *text)
{
    static char *(*next)(const char *text);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "strdup");
    return FAILS ? NULL : next(text);
}

EXPORT char *strndup(const char *text, size_t size)
{
    static char *(*next)(const char *text, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "strndup");
    return FAILS ? NULL : next(text, size);
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    static FILE *(*next)(const char *path, const char *mode);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fopen");
    return FAILS ? NULL : next(path, mode);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
    static FILE *(*next)(int fd, const char *mode);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fdopen");
    return FAILS ? NULL : next(fd, mode);
}

EXPORT FILE *open_memstream(char **text, size_t *size)
{
    static FILE *(*next)(char **text, size_t *size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "open_memstream");
    return FAILS ? NULL : next(text, size);
}

EXPORT DIR *opendir(const char *path)
{
    static DIR *(*next)(const char *path);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "opendir");
    return FAILS ? NULL : next(path);
}

EXPORT DIR *fdopendir(int fd)
{
    static DIR *(*next)(int fd);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fdopendir");
    return FAILS ? NULL : next(fd);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    static void *(*next)(void *block, size_t count, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "reallocarray");
    return FAILS ? NULL : next(block, count, size);
}
