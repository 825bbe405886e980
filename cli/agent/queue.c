#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "home.h"

static const char head[] = "cyphernet delivery 1\n";
static const char id_letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 of them */

/* --- one delivery as text: the head, then KEY=VALUE, each ended by a NUL -------------------- */

static void put(FILE *out, const char *key, const char *value)
{
    fprintf(out, "%s=%s%c", key, value, '\0');
}

enum cn_err cn_delivery_encode(const struct cn_delivery *delivery, char **text, size_t *size)
{
    char number[32];
    char *made = NULL;
    size_t made_size = 0;
    FILE *out = open_memstream(&made, &made_size);

    if (!out)
        return CN_E_MEMORY;
    fputs(head, out);
    snprintf(number, sizeof number, "%llu", (unsigned long long)delivery->when_s);
    put(out, "contact", delivery->contact);
    put(out, "when", number);
    if (delivery->gitignore)
        put(out, "gitignore", "1");
    if (delivery->compress)
        put(out, "compress", "1");
    if (delivery->failed[0])
        put(out, "failed", delivery->failed);
    for (size_t i = 0; i < delivery->exclude_count; i++)
        put(out, "exclude", delivery->excludes[i]);
    for (size_t i = 0; i < delivery->path_count; i++)
        put(out, "path", delivery->paths[i]);
    if (fclose(out) != 0 || made_size > CN_DELIVERY_TEXT_SIZE_MAX) {
        enum cn_err err = made_size > CN_DELIVERY_TEXT_SIZE_MAX ? CN_E_LIMIT : CN_E_MEMORY;

        free(made);
        return err;
    }
    *text = made;
    *size = made_size;
    return CN_OK;
}

static bool number_take(const char *value, uint64_t *number)
{
    char *end;

    if (value[0] < '0' || value[0] > '9')
        return false;
    errno = 0;
    *number = strtoull(value, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool text_take(const char *value, char *out, size_t size)
{
    size_t length = strlen(value);

    if (length == 0 || length >= size || out[0])
        return false;
    memcpy(out, value, length + 1);
    return true;
}

static bool flag_take(const char *value, bool *flag)
{
    *flag = strcmp(value, "1") == 0;
    return *flag;
}

/* Paths come first among the fields, and behind field_max of them excludes. False: no such key, or
 * not such a value. */
static bool field_take(struct cn_delivery *d, const char *field, size_t field_max)
{
    const char *value = strchr(field, '=');
    size_t size = value ? (size_t)(value - field) : 0;

    if (size == 0)
        return false;
    value++;
    if (size == 7 && memcmp(field, "contact", size) == 0)
        return cn_name_valid(value) && text_take(value, d->contact, sizeof d->contact);
    if (size == 4 && memcmp(field, "when", size) == 0)
        return number_take(value, &d->when_s);
    if (size == 9 && memcmp(field, "gitignore", size) == 0)
        return flag_take(value, &d->gitignore);
    if (size == 8 && memcmp(field, "compress", size) == 0)
        return flag_take(value, &d->compress);
    if (size == 6 && memcmp(field, "failed", size) == 0)
        return text_take(value, d->failed, sizeof d->failed);
    if (size == 7 && memcmp(field, "exclude", size) == 0) {
        d->fields[field_max + d->exclude_count++] = value;
        return true;
    }
    if (size == 4 && memcmp(field, "path", size) == 0) {
        d->fields[d->path_count++] = value;
        return value[0] == '/';
    }
    return false;
}

enum cn_err cn_delivery_decode(struct cn_delivery *delivery, char *text, size_t size)
{
    struct cn_delivery d = { 0 };
    const char *end = text + size;
    const char *field = text + sizeof head - 1;
    size_t count = 0;
    bool good = true;

    if (size < sizeof head - 1 || memcmp(text, head, sizeof head - 3) != 0 ||
        (field < end && end[-1] != '\0'))
        return CN_E_FORMAT;
    if (memcmp(text, head, sizeof head - 1) != 0)
        return CN_E_VERSION;
    for (const char *c = field; c < end; c++)
        count += *c == '\0';
    d.fields = calloc(2 * count + 1, sizeof d.fields[0]);
    if (!d.fields)
        return CN_E_MEMORY;
    for (; good && field < end; field += strlen(field) + 1)
        good = field_take(&d, field, count);
    if (!good || !d.contact[0] || d.path_count == 0) {
        free(d.fields);
        return CN_E_FORMAT;
    }
    d.paths = d.fields;
    d.excludes = d.fields + count;
    d.text = text;
    *delivery = d;
    return CN_OK;
}

void cn_delivery_wipe(struct cn_delivery *delivery)
{
    free(delivery->text);
    free(delivery->fields);
    *delivery = (struct cn_delivery) { 0 };
}

bool cn_delivery_id_valid(const char *id)
{
    return strlen(id) == CN_DELIVERY_ID_SIZE - 1 && strspn(id, id_letters) == strlen(id);
}

/* --- files ---------------------------------------------------------------------------------- */

void cn_queue_directory(const struct cn_home *home, char *out)
{
    cn_home_path(home, "queue", out);
}

static void path_of(const struct cn_home *home, const char *id, char out[PATH_MAX])
{
    char name[16];

    snprintf(name, sizeof name, "queue/%s", id);
    cn_home_path(home, name, out);
}

static enum cn_err failed(struct cn_home *home, enum cn_err err, const char *path)
{
    return cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, path);
}

static enum cn_err id_make(struct cn_home *home, char id[CN_DELIVERY_ID_SIZE])
{
    uint8_t random[CN_DELIVERY_ID_SIZE - 1];
    enum cn_err err = cn_random_fill(cn_home_random(home), random, sizeof random);

    if (err != CN_OK)
        return cn_home_fail(home, err, 0, NULL);
    for (size_t i = 0; i < sizeof random; i++)
        id[i] = id_letters[random[i] % (sizeof id_letters - 1)];
    id[sizeof random] = '\0';
    return CN_OK;
}

static enum cn_err store(struct cn_home *home, const struct cn_delivery *delivery, bool replace)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    enum cn_err err = cn_delivery_encode(delivery, &text, &size);

    if (err != CN_OK)
        return cn_home_fail(home, err, 0, NULL);
    cn_queue_directory(home, path);
    err = cn_file_directories(path);
    if (err == CN_OK) {
        path_of(home, delivery->id, path);
        err = cn_file_write(path, replace, text, size);
    }
    free(text);
    return err == CN_OK ? CN_OK : failed(home, err, path);
}

static bool is_full(struct cn_home *home)
{
    struct cn_delivery *list = NULL;
    size_t count = 0;

    if (cn_queue_list(home, &list, &count) == CN_OK)
        cn_queue_free(list, count);
    return count >= CN_DELIVERY_COUNT_MAX;
}

enum cn_err cn_queue_add(struct cn_home *home, struct cn_delivery *delivery)
{
    enum cn_err err = is_full(home) ? cn_home_fail(home, CN_E_LIMIT, 0, NULL) : CN_E_EXISTS;

    while (err == CN_E_EXISTS) {
        err = id_make(home, delivery->id);
        if (err == CN_OK)
            err = store(home, delivery, false);
    }
    return err;
}

enum cn_err cn_queue_replace(struct cn_home *home, const struct cn_delivery *delivery)
{
    char path[PATH_MAX];

    path_of(home, delivery->id, path);
    if (access(path, F_OK) != 0)
        return failed(home, CN_E_ABSENT, path);
    return store(home, delivery, true);
}

enum cn_err cn_queue_remove(struct cn_home *home, const char *id)
{
    char path[PATH_MAX];

    path_of(home, id, path);
    if (unlink(path) != 0)
        return failed(home, errno == ENOENT || errno == ENOTDIR ? CN_E_ABSENT : CN_E_SYSTEM, path);
    cn_file_sync_directory_of(path);
    return CN_OK;
}

enum cn_err cn_queue_read(struct cn_home *home, const char *id, struct cn_delivery *delivery)
{
    char path[PATH_MAX];
    char *text = malloc(CN_DELIVERY_TEXT_SIZE_MAX);
    char *less;
    size_t size = 0;
    enum cn_err err;

    path_of(home, id, path);
    if (!text)
        return cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    err = cn_file_read(path, true, text, CN_DELIVERY_TEXT_SIZE_MAX, &size);
    less = err == CN_OK ? realloc(text, size + 1) : NULL;
    text = less ? less : text;
    if (err == CN_OK)
        err = cn_delivery_decode(delivery, text, size);
    if (err != CN_OK) {
        free(text);
        return failed(home, cn_home_text_err(err), path);
    }
    memcpy(delivery->id, id, sizeof delivery->id);
    return CN_OK;
}

static int by_age(const void *a, const void *b)
{
    const struct cn_delivery *x = a, *y = b;

    if (x->when_s != y->when_s)
        return x->when_s < y->when_s ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* What the directory says; one that vanishes meanwhile is none. */
static enum cn_err entry_add(struct cn_home *home, const char *id, struct cn_delivery **list,
                             size_t *count)
{
    struct cn_delivery d = { 0 };
    struct cn_delivery *more;
    enum cn_err err = cn_queue_read(home, id, &d);

    if (err == CN_E_ABSENT)
        return CN_OK;
    if (err == CN_E_MEMORY)
        return err;
    if (err != CN_OK) {
        memcpy(d.id, id, sizeof d.id);
        snprintf(d.failed, sizeof d.failed, "%s",
                 err == CN_E_SYSTEM ? strerror(home->detail.system_error) : cn_err_text(err));
    }
    more = realloc(*list, (*count + 1) * sizeof **list);
    if (!more) {
        cn_delivery_wipe(&d);
        return cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    }
    *list = more;
    more[(*count)++] = d;
    return CN_OK;
}

enum cn_err cn_queue_list(struct cn_home *home, struct cn_delivery **list, size_t *count)
{
    struct cn_delivery *found = NULL;
    size_t found_count = 0;
    char path[PATH_MAX];
    DIR *directory;
    struct dirent *entry;
    enum cn_err err = CN_OK;

    cn_queue_directory(home, path);
    directory = opendir(path);
    if (!directory && errno != ENOENT)
        return failed(home, CN_E_SYSTEM, path);
    while (directory && err == CN_OK && (entry = readdir(directory))) {
        if (cn_delivery_id_valid(entry->d_name))
            err = entry_add(home, entry->d_name, &found, &found_count);
    }
    if (directory)
        closedir(directory);
    if (err != CN_OK) {
        cn_queue_free(found, found_count);
        return err;
    }
    if (found_count > 1)
        qsort(found, found_count, sizeof found[0], by_age);
    *list = found;
    *count = found_count;
    return CN_OK;
}

void cn_queue_free(struct cn_delivery *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cn_delivery_wipe(&list[i]);
    free(list);
}

enum cn_err cn_queue_rename(struct cn_home *home, const char *old_name, const char *new_name,
                            size_t *count)
{
    struct cn_delivery *list = NULL;
    size_t list_count = 0;
    enum cn_err err = cn_queue_list(home, &list, &list_count);

    *count = 0;
    for (size_t i = 0; i < list_count && err == CN_OK; i++) {
        if (strcmp(list[i].contact, old_name) != 0)
            continue;
        snprintf(list[i].contact, sizeof list[i].contact, "%s", new_name);
        err = cn_queue_replace(home, &list[i]);
        *count += err == CN_OK;
        if (err == CN_E_ABSENT) /* it has been delivered, or taken away */
            err = CN_OK;
    }
    cn_queue_free(list, list_count);
    return err;
}

size_t cn_queue_count(struct cn_home *home, const char *contact)
{
    struct cn_delivery *list = NULL;
    size_t list_count = 0, count = 0;

    if (cn_queue_list(home, &list, &list_count) != CN_OK)
        return 0;
    for (size_t i = 0; i < list_count; i++)
        count += strcmp(list[i].contact, contact) == 0;
    cn_queue_free(list, list_count);
    return count;
}
