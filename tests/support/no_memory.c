/* no_memory: preloaded into a program, counts what the program named NO_MEMORY_PROGRAM allocates,
 * in the file NO_MEMORY_COUNTS, and lets allocation NO_MEMORY_AT of these fail; with NO_MEMORY_OWN,
 * of those alone that the program itself asks for, and no library in its stead; with NO_MEMORY_BUT,
 * of none that a library asks for in whose name this stands. The file is mapped before the program
 * shuts itself in. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct counts {
    _Atomic uint64_t asked, failed;
};

struct range {
    uintptr_t begin, end;
};

static struct counts *counts; /* NULL: this program is not meant, or has not begun */
static struct range own, but;
static const char *but_name;
static bool own_only;
static uint64_t at;

static void range_of(const struct dl_phdr_info *info, struct range *range)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            range->begin = info->dlpi_addr + part->p_vaddr;
            range->end = range->begin + part->p_memsz;
        }
    }
}

/* The first is the program. */
static int look_at(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (own.end == 0)
        range_of(info, &own);
    else if (but_name && strstr(info->dlpi_name, but_name))
        range_of(info, &but);
    return 0;
}

static bool within(const struct range *range, const void *where)
{
    return (uintptr_t)where >= range->begin && (uintptr_t)where < range->end;
}

static uint64_t number_of(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *program = getenv("NO_MEMORY_PROGRAM");
    const char *path = getenv("NO_MEMORY_COUNTS");
    void *mapped;
    int fd;

    if (!program || !path || strcmp(program, program_invocation_short_name) != 0)
        return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    mapped = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        abort();
    close(fd);
    own_only = getenv("NO_MEMORY_OWN") != NULL;
    at = number_of(getenv("NO_MEMORY_AT"));
    but_name = getenv("NO_MEMORY_BUT");
    dl_iterate_phdr(look_at, NULL);
    counts = mapped;
}

static bool fails(const void *caller)
{
    if (!counts || (own_only && !within(&own, caller)) || within(&but, caller))
        return false;
    if (atomic_fetch_add(&counts->asked, 1) + 1 != at)
        return false;
    atomic_fetch_add(&counts->failed, 1);
    errno = ENOMEM;
    return true;
}

#define FAILS fails(__builtin_return_address(0))

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
