/* A file of the queue. What was understood can be written again, and means the same. */
#include "fuzz.h"

#include "queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_delivery d = { 0 }, again = { 0 };
    char *copy = malloc(in_size + 1);
    size_t size = 0;

    must(copy != NULL);
    memcpy(copy, in, in_size);
    if (cn_delivery_decode(&d, copy, in_size) != CN_OK) {
        must(!d.text);
        free(copy);
        return 0;
    }
    must(d.path_count > 0 && d.contact[0]);
    must(cn_delivery_encode(&d, &copy, &size) == CN_OK);
    must(cn_delivery_decode(&again, copy, size) == CN_OK);
    must(again.path_count == d.path_count && again.exclude_count == d.exclude_count);
    for (size_t i = 0; i < d.path_count; i++)
        must(d.paths[i][0] == '/' && strcmp(d.paths[i], again.paths[i]) == 0);
    cn_delivery_wipe(&d);
    cn_delivery_wipe(&again);
    return 0;
}
