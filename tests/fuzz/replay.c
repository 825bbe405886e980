/* Feeds every file of a directory to a fuzz target, so that a corpus is a test under any compiler.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

enum { FILE_SIZE_MAX = 1 << 20 };

/* In memory of exactly its size, so that a read past the end is seen. */
static void replay(const char *path)
{
    static uint8_t content[FILE_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    uint8_t *exact;
    size_t size;

    if (!file) {
        perror(path);
        exit(1);
    }
    size = fread(content, 1, sizeof content, file);
    fclose(file);
    exact = malloc(size > 0 ? size : 1);
    if (!exact)
        exit(1);
    memcpy(exact, content, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        const struct dirent *entry;
        char path[4096];

        if (!dir) {
            perror(argv[i]);
            return 1;
        }
        while ((entry = readdir(dir))) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            replay(path);
            count++;
        }
        closedir(dir);
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
