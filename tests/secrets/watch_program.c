/* Linked into cyphernet, of which it makes cyphernet_watched: when that ends, it writes to the file
 * WATCH_LEFT what is left in its memory of its secrets, a line each, and of how many pieces. To the
 * file WATCH_KEPT, if that is wanted, it adds them. WATCH_REVERSED: a text that is secret, too,
 * from back to front, lest it be found here. WATCH_PLANT: something is left on purpose. */
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "watch.h"

enum { TEXT_SIZE_MAX = 4096 };

__attribute__((constructor)) static void begin(void)
{
    const char *reversed = getenv("WATCH_REVERSED");
    const size_t size = reversed ? strlen(reversed) : 0;

    if (reversed)
        watch_add_reversed("text", reversed, size);
}

static void look(const char *path)
{
    FILE *out = fopen(path, "ae");
    size_t found;

    if (!out)
        abort();
    found = watch_find(0, out);
    fprintf(out, "%zu of %zu\n", found, watch_count());
    fclose(out);
}

static void keep(const char *path)
{
    FILE *out = fopen(path, "ae");

    if (!out || flock(fileno(out), LOCK_EX) != 0) /* both ends of a call may write */
        abort();
    watch_write(out, "ML-KEM"); /* of which there is very much */
    fclose(out);
}

__attribute__((destructor)) static void end(void)
{
    static uint8_t planted[WATCH_PIECE_SIZE];

    if (getenv("WATCH_PLANT"))
        watch_any(planted);
    if (getenv("WATCH_LEFT"))
        look(getenv("WATCH_LEFT"));
    if (getenv("WATCH_KEPT"))
        keep(getenv("WATCH_KEPT"));
}
