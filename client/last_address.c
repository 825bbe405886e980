/* last_address.c - which of the server's addresses worked last, so that the next call begins there.
 */
#include <stdio.h>
#include <string.h>

#include "file.h"
#include "home.h"

#define LAST_ADDRESS_FILE "last-address"

static void path_of(const struct cn_home *home, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", home->state, LAST_ADDRESS_FILE);
}

size_t cn_home_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint)
{
    char text[CN_ADDRESS_SIZE_MAX + 1];
    char path[PATH_MAX];
    size_t size = 0;

    path_of(home, path);
    if (fingerprint->address_count < 2 || !home->state[0] ||
        cn_file_read(path, false, text, sizeof text, &size) != CN_OK || size == 0)
        return 0;
    for (size_t i = 0; i < fingerprint->address_count; i++) {
        const char *address = fingerprint->address[i];

        if (strlen(address) == size - 1 && memcmp(address, text, size - 1) == 0)
            return i;
    }
    return 0;
}

void cn_home_set_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint,
                              size_t index)
{
    char line[CN_ADDRESS_SIZE_MAX + 2];
    char path[PATH_MAX];
    int size = snprintf(line, sizeof line, "%s\n", fingerprint->address[index]);

    if (fingerprint->address_count < 2 || !home->state[0] ||
        cn_home_last_address(home, fingerprint) == index)
        return;
    path_of(home, path);
    if (cn_file_directories(home->state) == CN_OK)
        (void)!cn_file_write(path, true, line, (size_t)size);
}
