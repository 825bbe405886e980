/* secret_watch: preloaded into a program, writes to the file SECRET_WATCH, when the program ends,
 * in how many places of its memory that can be written the text is whose reverse SECRET_REVERSED
 * is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count(const char *from, const char *to, const char *reversed)
{
    size_t size = strlen(reversed);
    size_t found = 0;

    for (; from + size <= to; from++) {
        size_t same = 0;

        while (same < size && from[same] == reversed[size - 1 - same])
            same++;
        found += same == size;
    }
    return found;
}

__attribute__((destructor)) static void look(void)
{
    const char *reversed = getenv("SECRET_REVERSED");
    const char *path = getenv("SECRET_WATCH");
    FILE *maps = reversed && path ? fopen("/proc/self/maps", "re") : NULL;
    FILE *out = maps ? fopen(path, "we") : NULL;
    char line[512], mode[5];
    unsigned long begin, end;
    size_t found = 0;

    if (!out)
        abort();
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, mode) == 3 && strncmp(mode, "rw", 2) == 0)
            found += count((const char *)begin, (const char *)end, reversed);
    }
    fprintf(out, "%zu\n", found);
    fclose(out);
    fclose(maps);
}
