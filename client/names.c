/* names.c - which files there are: contacts by name, and all that hold secrets. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "home.h"

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void cn_contact_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Add the names that are in dir, as far as they can be read. CN_E_MEMORY, CN_E_SYSTEM (errno). */
static enum cn_err names_read(DIR *dir, char ***names, size_t *count)
{
    struct dirent *entry;

    while (errno = 0, (entry = readdir(dir))) {
        char **more;

        if (!cn_name_valid(entry->d_name))
            continue;
        more = realloc(*names, (*count + 1) * sizeof *more);
        if (!more)
            return CN_E_MEMORY;
        *names = more;
        more[*count] = strdup(entry->d_name);
        if (!more[*count])
            return CN_E_MEMORY;
        ++*count;
    }
    return errno == 0 ? CN_OK : CN_E_SYSTEM;
}

/* Other files in there are none of ours. */
enum cn_err cn_contact_names(struct cn_home *home, char ***names, size_t *count)
{
    char path[PATH_MAX];
    char **list = NULL;
    size_t have = 0;
    enum cn_err err;
    int failure;
    DIR *dir;

    cn_home_path(home, CN_CONTACTS_DIRECTORY, path);
    *names = NULL;
    *count = 0;
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? CN_OK : cn_home_fail(home, CN_E_SYSTEM, errno, path);
    err = names_read(dir, &list, &have);
    failure = err == CN_E_SYSTEM ? errno : 0;
    closedir(dir);
    if (err != CN_OK) {
        cn_contact_names_free(list, have);
        return cn_home_fail(home, err, failure, path);
    }
    if (have > 0)
        qsort(list, have, sizeof *list, names_compare);
    *names = list;
    *count = have;
    return CN_OK;
}

static enum cn_err file_add(char **files, size_t *count, const char *directory, const char *name)
{
    if (asprintf(&files[*count], "%s%s", directory, name) < 0)
        return CN_E_MEMORY;
    ++*count;
    return CN_OK;
}

enum cn_err cn_home_secret_files(struct cn_home *home, char ***files, size_t *count)
{
    static const char *const others[] = { CN_ADMISSION_KEY_FILE, CN_FINGERPRINT_FILE,
                                          CN_IDENTITY_FILE, CN_IDENTITY_NEXT_FILE,
                                          CN_TRANSCRIPT_KEY_FILE };
    size_t others_count = sizeof others / sizeof others[0];
    size_t contact_count = 0, have = 0;
    char **contacts, **list;
    enum cn_err err = cn_contact_names(home, &contacts, &contact_count);

    if (err != CN_OK)
        return err;
    list = calloc(contact_count + others_count, sizeof *list);
    err = list ? CN_OK : CN_E_MEMORY;
    for (size_t i = 0; err == CN_OK && i < contact_count; i++)
        err = file_add(list, &have, CN_CONTACTS_DIRECTORY "/", contacts[i]);
    for (size_t i = 0; err == CN_OK && i < others_count; i++)
        err = file_add(list, &have, "", others[i]);
    cn_contact_names_free(contacts, contact_count);
    if (err != CN_OK) {
        cn_contact_names_free(list, have);
        return cn_home_fail(home, err, 0, NULL);
    }
    *files = list;
    *count = have;
    return CN_OK;
}
