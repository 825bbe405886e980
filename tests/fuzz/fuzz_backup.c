/* What is inside a backup: accepted in one way only, and no name leads out of the home. The input
 * is what was sealed. */
#include "fuzz.h"

#include "backup_file.h"

static void names_check(const struct cn_backup *backup)
{
    for (size_t i = 0; i < backup->entry_count; i++) {
        const char *name = backup->entries[i].name;
        const char *slash = strchr(name, '/');

        must(name[0] != '/' && name[0] != '.' && !strstr(name, "../"));
        must(!slash || (strncmp(name, "contacts/", 9) == 0 && cn_name_valid(slash + 1)));
        must(i == 0 || strcmp(backup->entries[i - 1].name, name) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_backup backup = { 0 };
    uint8_t *out;
    size_t size = 0;
    enum cn_err err = cn_backup_decode(&backup, in, in_size);

    if (err != CN_OK) {
        must(err == CN_E_FORMAT);
        return 0;
    }
    names_check(&backup);
    must(cn_backup_size(&backup, &size) && size == in_size);
    out = malloc(size);
    must(out != NULL);
    cn_backup_encode(&backup, out);
    must(memcmp(out, in, in_size) == 0);
    free(out);
    cn_backup_wipe(&backup);
    return 0;
}
