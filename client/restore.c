/* restore.c - a backup back into a home: made whole beside it, then put in its place at once.
 * PROTOCOL.md 2.17 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_file.h"
#include "file.h"
#include "sealing.h"
#include "secret.h"

/* --- what is in it -------------------------------------------------------------------------- */

struct opened {
    struct cn_backup backup; /* points into plain */
    uint8_t *plain;          /* secret memory */
    size_t plain_size;
};

static void opened_wipe(struct opened *opened)
{
    cn_backup_wipe(&opened->backup);
    cn_secret_give(opened->plain, opened->plain_size);
}

/* body: version || sealed */
static enum cn_err body_open(struct opened *opened, struct cn_seal seal, const uint8_t *body,
                             size_t body_size)
{
    enum cn_err err = CN_E_MEMORY;

    if (body_size == 0)
        return CN_E_FORMAT;
    if (body[0] != CN_BACKUP_VERSION)
        return CN_E_VERSION;
    if (body_size <= 1 + CN_SEAL_OVERHEAD)
        return CN_E_FORMAT;
    opened->plain_size = body_size - 1 - CN_SEAL_OVERHEAD;
    opened->plain = cn_secret_take(opened->plain_size);
    if (opened->plain)
        err = cn_seal_open(&seal, body + 1, body_size - 1, opened->plain);
    return err == CN_OK ? cn_backup_decode(&opened->backup, opened->plain, opened->plain_size)
                        : err;
}

static enum cn_err text_open(struct opened *opened, struct cn_seal seal, const char *text,
                             size_t text_size)
{
    size_t room = text_size / 4 * 3 + 3 + CN_ARMOR_CHECKSUM_SIZE;
    uint8_t *body = malloc(room);
    size_t size = 0;
    enum cn_err err = CN_E_MEMORY;

    seal.label = cn_backup_label;
    if (body)
        err =
            cn_armor_decode_large(seal.crypto, CN_ARMOR_BACKUP, text, text_size, body, room, &size);
    if (err == CN_OK)
        err = body_open(opened, seal, body, size);
    free(body);
    return err;
}

/* --- where it goes -------------------------------------------------------------------------- */

static bool is_there(const char *directory, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* CN_E_EXISTS: something would be lost. */
static enum cn_err place_check(struct cn_home *home, const struct cn_backup *backup)
{
    static const char *const ours[] = { CN_ADMISSION_KEY_FILE, CN_FINGERPRINT_FILE,
                                        CN_IDENTITY_FILE,      CN_IDENTITY_NEXT_FILE,
                                        CN_STORAGE_FILE,       CN_TRANSCRIPT_KEY_FILE };
    char path[PATH_MAX];
    char **names;
    size_t count;
    enum cn_err err = cn_contact_names(home, &names, &count);

    if (err != CN_OK)
        return err;
    cn_contact_names_free(names, count);
    if (count > 0) {
        cn_home_path(home, CN_CONTACTS_DIRECTORY, path);
        return cn_home_fail(home, CN_E_EXISTS, 0, path);
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (is_there(home->data, ours[i], path))
            return cn_home_fail(home, CN_E_EXISTS, 0, path);
    }
    for (size_t i = 0; i < backup->entry_count; i++) {
        if (strcmp(backup->entries[i].name, CN_PREFERENCES_FILE) == 0 &&
            is_there(home->config, CN_PREFERENCES_FILE, path))
            return cn_home_fail(home, CN_E_EXISTS, 0, path);
    }
    return CN_OK;
}

/* --- beside it ------------------------------------------------------------------------------ */

struct staging {
    struct cn_home *home;       /* a home of its own */
    char place[PATH_MAX];       /* what it is to replace */
    char dir[PATH_MAX];         /* where it is */
    char preferences[PATH_MAX]; /* their new file, if they lie elsewhere; else empty */
};

/* The directory that the home's path leads to, and an empty one beside it. */
static enum cn_err staging_begin(struct cn_home *home, struct staging *staging)
{
    static const char template[] = ".restored-XXXXXX";
    char parent[PATH_MAX];
    char *slash;
    enum cn_err err;

    if (!realpath(home->data, staging->place))
        snprintf(staging->place, sizeof staging->place, "%s", home->data);
    snprintf(parent, sizeof parent, "%s", staging->place);
    slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        err = cn_file_directories(parent);
        if (err != CN_OK)
            return cn_home_fail(home, err, errno, parent);
    }
    if (strlen(staging->place) + sizeof template > sizeof staging->dir)
        return cn_home_fail(home, CN_E_SYSTEM, ENAMETOOLONG, staging->place);
    memcpy(staging->dir, staging->place, strlen(staging->place));
    memcpy(staging->dir + strlen(staging->place), template, sizeof template);
    if (!mkdtemp(staging->dir)) {
        staging->dir[0] = '\0';
        return cn_home_fail(home, CN_E_SYSTEM, errno, parent);
    }
    return cn_home_open(&staging->home, staging->dir);
}

static enum cn_err write_preferences_apart(struct cn_home *home, struct staging *staging,
                                           const struct cn_backup_entry *entry)
{
    enum cn_err err = cn_file_directories(home->config);
    int fd = -1;

    if (err == CN_OK) {
        snprintf(staging->preferences, sizeof staging->preferences,
                 "%s/" CN_PREFERENCES_FILE ".restored-XXXXXX", home->config);
        fd = mkstemp(staging->preferences);
    }
    if (fd < 0) {
        staging->preferences[0] = '\0';
        return cn_home_fail(staging->home, CN_E_SYSTEM, errno, home->config);
    }
    close(fd);
    err = cn_file_write(staging->preferences, true, (const char *)entry->text, entry->text_size);
    return err == CN_OK ? CN_OK : cn_home_fail(staging->home, err, errno, staging->preferences);
}

static enum cn_err write_preferences(struct cn_home *home, struct staging *staging,
                                     const struct cn_backup_entry *entry)
{
    char path[PATH_MAX];
    enum cn_err err;

    /* checked where they are */
    cn_home_path(staging->home, CN_PREFERENCES_FILE, path);
    err = cn_file_write(path, false, (const char *)entry->text, entry->text_size);
    if (err != CN_OK)
        return cn_home_fail(staging->home, err, errno, path);
    return strcmp(home->config, home->data) == 0 ? CN_OK
                                                 : write_preferences_apart(home, staging, entry);
}

static enum cn_err staging_fill(struct cn_home *home, struct staging *staging,
                                const struct cn_backup *backup)
{
    enum cn_err err = CN_OK;

    for (size_t i = 0; err == CN_OK && i < backup->entry_count; i++) {
        const struct cn_backup_entry *entry = &backup->entries[i];

        if (strcmp(entry->name, CN_PREFERENCES_FILE) == 0)
            err = write_preferences(home, staging, entry);
        else
            err = cn_home_write(staging->home, entry->name, false, (const char *)entry->text,
                                entry->text_size);
    }
    for (size_t i = 0; err == CN_OK && i < backup->entry_count; i++)
        err = cn_backup_check(staging->home, backup->entries[i].name);
    return err;
}

/* Whatever was put there goes again; only while staging->dir is the new one. */
static void staging_drop(const struct staging *staging, const struct cn_backup *backup)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < backup->entry_count; i++) {
        cn_home_path(staging->home, backup->entries[i].name, path);
        (void)unlink(path);
    }
    cn_home_path(staging->home, CN_STORAGE_FILE, path);
    (void)unlink(path);
    cn_home_path(staging->home, CN_CONTACTS_DIRECTORY, path);
    (void)rmdir(path);
    (void)rmdir(staging->dir);
    if (staging->preferences[0])
        (void)unlink(staging->preferences);
}

/* --- and into its place --------------------------------------------------------------------- */

enum placed {
    PLACED_NOT,
    PLACED_ALONE,     /* nothing was there, or an empty directory */
    PLACED_EXCHANGED, /* what was there is now where the new one was */
};

/* At once, or not at all: PLACED_NOT, and errno. */
static enum placed place(const char *from, const char *to)
{
    struct stat st;
    bool can_exchange, nothing_lost;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
        return PLACED_EXCHANGED;
    can_exchange = errno != EINVAL && errno != ENOSYS; /* the file system, and the kernel */
    if (can_exchange && errno != ENOENT)
        return PLACED_NOT;
    /* of directories rename() replaces only an empty one */
    nothing_lost = lstat(to, &st) == 0 ? S_ISDIR(st.st_mode) : errno == ENOENT;
    if (nothing_lost && rename(from, to) == 0)
        return PLACED_ALONE;
    if (!can_exchange)
        errno = EOPNOTSUPP;
    return PLACED_NOT;
}

/* The opposite. False: all is still as place() left it. */
static bool place_undo(const struct staging *staging, enum placed placed, bool was)
{
    if (placed == PLACED_EXCHANGED)
        return renameat2(AT_FDCWD, staging->dir, AT_FDCWD, staging->place, RENAME_EXCHANGE) == 0;
    if (rename(staging->place, staging->dir) != 0)
        return false;
    (void)(was && mkdir(staging->place, 0700));
    return true;
}

/* CN_E_SYSTEM: all is as it was. */
static enum cn_err place_preferences(struct cn_home *home, const struct staging *staging,
                                     struct cn_restore_info *info)
{
    char path[PATH_MAX];
    enum placed placed;

    if (!staging->preferences[0])
        return CN_OK;
    snprintf(path, sizeof path, "%s/" CN_PREFERENCES_FILE, home->config);
    placed = place(staging->preferences, path);
    if (placed == PLACED_NOT)
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    if (placed == PLACED_EXCHANGED)
        snprintf(info->preferences, sizeof info->preferences, "%s", staging->preferences);
    cn_home_path(home, CN_PREFERENCES_FILE, path);
    (void)unlink(path); /* the copy that was checked */
    return CN_OK;
}

/* If it fails, *in_place says whether the new one could not be taken away again; else staging->dir
 * is the new one. */
static enum cn_err commit(struct cn_home *home, const struct staging *staging,
                          struct cn_restore_info *info, bool *in_place)
{
    bool was = access(staging->place, F_OK) == 0;
    enum placed placed = place(staging->dir, staging->place);
    enum cn_err err;

    if (placed == PLACED_NOT)
        return cn_home_fail(home, CN_E_SYSTEM, errno, staging->place);
    cn_file_sync_directory_of(staging->place);
    err = place_preferences(home, staging, info);
    if (err != CN_OK && place_undo(staging, placed, was)) {
        cn_file_sync_directory_of(staging->place);
        return err;
    }
    *in_place = true;
    cn_sealing_forget(home);
    if (placed == PLACED_EXCHANGED && rmdir(staging->dir) != 0)
        snprintf(info->replaced, sizeof info->replaced, "%s", staging->dir);
    if (err != CN_OK)
        snprintf(info->preferences, sizeof info->preferences, "%s", staging->preferences);
    return err;
}

static enum cn_err put(struct cn_home *home, const struct cn_backup *backup, struct cn_seal seal,
                       struct cn_restore_info *info)
{
    struct staging staging = { 0 };
    bool in_place = false;
    enum cn_err err = staging_begin(home, &staging);

    if (err != CN_OK) {
        (void)(staging.dir[0] && rmdir(staging.dir));
        return err;
    }
    if (backup->sealed)
        err = cn_home_seal(staging.home, seal.passphrase, seal.passphrase_size);
    if (err == CN_OK)
        err = staging_fill(home, &staging, backup);
    if (err == CN_OK)
        err = commit(home, &staging, info, &in_place);
    else
        home->detail = staging.home->detail;
    if (err != CN_OK && !in_place)
        staging_drop(&staging, backup);
    cn_home_close(staging.home);
    return err;
}

static size_t contacts_count(const struct cn_backup *backup)
{
    size_t count = 0;

    for (size_t i = 0; i < backup->entry_count; i++)
        count += strchr(backup->entries[i].name, '/') != NULL;
    return count;
}

enum cn_err cn_home_restore(struct cn_home *home, const struct cn_restore_options *options,
                            struct cn_restore_info *info)
{
    const struct cn_seal seal = { .crypto = &home->crypto,
                                  .passphrase = options->passphrase,
                                  .passphrase_size = options->passphrase_size };
    struct opened opened = { 0 };
    struct cn_restore_info made = { 0 };
    int lock = cn_home_lock(home);
    enum cn_err err = CN_E_PASSPHRASE;

    if (seal.passphrase_size >= 1 && seal.passphrase_size <= CN_PASSPHRASE_SIZE_MAX)
        err = text_open(&opened, seal, options->text, options->text_size);
    err = cn_home_fail(home, cn_home_text_err(err), 0, NULL);
    if (err == CN_OK && !options->replace)
        err = place_check(home, &opened.backup);
    if (err == CN_OK)
        err = put(home, &opened.backup, seal, &made);
    cn_home_unlock(lock);
    if (err == CN_OK || made.preferences[0]) {
        made.contact_count = contacts_count(&opened.backup);
        made.sealed = opened.backup.sealed;
        *info = made;
    }
    opened_wipe(&opened);
    return err;
}
