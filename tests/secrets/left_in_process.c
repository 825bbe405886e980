/* left_in_process PIECES PID...: whether pieces that cyphernet_watched kept are in the memory of
 * other processes; tells which. Exit code 0: none; 1: some; 2: misuse, or one cannot be looked at.
 */
#include <stdlib.h>

#include "watch.h"

int main(int argc, char **argv)
{
    FILE *pieces = argc > 2 ? fopen(argv[1], "re") : NULL;
    size_t found = 0;

    if (!pieces || !watch_read(pieces))
        return 2;
    fclose(pieces);
    for (int i = 2; i < argc; i++) {
        const size_t here = watch_find((pid_t)strtol(argv[i], NULL, 10), stdout);

        if (here == SIZE_MAX)
            return 2;
        found += here;
    }
    printf("%zu of %zu\n", found, watch_count());
    return found > 0;
}
