#include "sealing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "secret.h"

/* --- the key -------------------------------------------------------------------------------- */

/* CN_E_ABSENT: no passphrase was set. Other failures are remembered. */
static enum cn_err storage_read(struct cn_home *home, struct cn_storage *storage)
{
    char path[PATH_MAX];
    char text[1024];
    size_t size = 0;
    enum cn_err err;

    cn_home_path(home, CN_STORAGE_FILE, path);
    err = cn_file_read(path, true, text, sizeof text, &size);
    if (err == CN_OK)
        err = cn_storage_decode(storage, &home->crypto, text, size);
    if (err == CN_OK || err == CN_E_ABSENT)
        return err;
    return cn_home_fail(home, cn_home_text_err(err), err == CN_E_SYSTEM ? errno : 0, path);
}

static enum cn_err storage_write(struct cn_home *home, const struct cn_storage *storage,
                                 bool replace)
{
    char path[PATH_MAX];
    char text[1024];
    size_t size = 0;
    enum cn_err err = cn_storage_encode(storage, &home->crypto, text, sizeof text, &size);

    cn_home_path(home, CN_STORAGE_FILE, path);
    if (err == CN_OK)
        err = cn_file_directories(home->data);
    if (err == CN_OK)
        err = cn_file_write(path, replace, text, size);
    return err == CN_OK ? CN_OK : cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, path);
}

void cn_sealing_forget(struct cn_home *home)
{
    cn_secret_give(home->storage_key, sizeof *home->storage_key);
    home->storage_key = NULL;
    home->all_sealed = false;
}

/* Keep a key. CN_E_MEMORY. */
static enum cn_err remember(struct cn_home *home, const struct cn_storage *storage,
                            const struct cn_storage_key *key)
{
    struct cn_storage_key *kept = cn_secret_take(sizeof *kept);

    if (!kept)
        return cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    cn_sealing_forget(home);
    *kept = *key;
    home->storage_key = kept;
    memcpy(home->storage_id, storage->id, sizeof home->storage_id);
    home->all_sealed = storage->state == CN_STORAGE_SEALED;
    return CN_OK;
}

/* The key that the files are under now, as another process may have changed it; NULL: they are
 * plain. CN_E_SEALED: one that we do not have. */
static enum cn_err key_now(struct cn_home *home, const struct cn_storage_key **key)
{
    struct cn_storage storage = { 0 };
    enum cn_err err = storage_read(home, &storage);

    if (err == CN_E_ABSENT) {
        *key = NULL;
        return CN_OK;
    }
    if (err != CN_OK)
        return err;
    if (!home->storage_key || memcmp(storage.id, home->storage_id, sizeof storage.id) != 0)
        return cn_home_fail(home, CN_E_SEALED, 0, NULL);
    *key = home->storage_key;
    return CN_OK;
}

/* --- files ---------------------------------------------------------------------------------- */

static enum cn_err take_plain(struct cn_piece raw, char *text, size_t text_size_max,
                              size_t *text_size)
{
    if (raw.size > text_size_max)
        return CN_E_FULL;
    memcpy(text, raw.bytes, raw.size);
    *text_size = raw.size;
    return CN_OK;
}

enum cn_err cn_sealing_open(struct cn_home *home, const char *name, struct cn_piece raw, char *text,
                            size_t text_size_max, size_t *text_size, bool *told)
{
    bool sealed = cn_armor_kind_of((const char *)raw.bytes, raw.size) == CN_ARMOR_SEALED_FILE;
    const struct cn_storage_key *key = NULL;
    enum cn_err err = key_now(home, &key);

    *told = err != CN_OK;
    if (err != CN_OK)
        return err;
    if (sealed && !key)
        return CN_E_SEALED;
    if (!sealed)
        return key && home->all_sealed ? CN_E_KIND
                                       : take_plain(raw, text, text_size_max, text_size);
    return cn_sealed_file_decode(&home->crypto, key, name, raw, text, text_size_max, text_size);
}

enum cn_err cn_sealing_close(struct cn_home *home, const char *name, struct cn_piece text,
                             char *out, size_t *out_size, bool *told)
{
    const struct cn_storage_key *key = NULL;
    enum cn_err err = key_now(home, &key);

    *told = err != CN_OK;
    if (err != CN_OK)
        return err;
    if (!key || home->unsealing)
        return take_plain(text, out, CN_ARMOR_TEXT_SIZE_MAX, out_size);
    return cn_sealed_file_encode(&home->crypto, key, &home->random, name, text, out,
                                 CN_ARMOR_TEXT_SIZE_MAX, out_size);
}

enum cn_err cn_sealing_on(struct cn_home *home, bool *on)
{
    const struct cn_storage_key *key = NULL;
    enum cn_err err = key_now(home, &key);

    *on = err == CN_OK && key;
    return err;
}

/* Write a file as it is to be from now on, if there is one. */
static enum cn_err convert_one(struct cn_home *home, const char *name)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_home_read(home, name, text, sizeof text, &size);

    if (err == CN_OK)
        err = cn_home_write(home, name, true, text, size);
    cn_wipe(text, sizeof text);
    return err == CN_E_ABSENT ? CN_OK : err;
}

static enum cn_err convert_all(struct cn_home *home)
{
    char **files;
    size_t count;
    enum cn_err err = cn_home_secret_files(home, &files, &count);

    if (err != CN_OK)
        return err;
    for (size_t i = 0; err == CN_OK && i < count; i++)
        err = convert_one(home, files[i]);
    cn_contact_names_free(files, count);
    return err;
}

/* --- what users do -------------------------------------------------------------------------- */

static bool passphrase_fits(size_t size)
{
    return size >= 1 && size <= CN_PASSPHRASE_SIZE_MAX;
}

static struct cn_seal seal_of(const struct cn_home *home, const char *passphrase, size_t size)
{
    return (struct cn_seal) { .crypto = &home->crypto,
                              .passphrase = passphrase,
                              .passphrase_size = size };
}

enum cn_err cn_home_sealing(struct cn_home *home, enum cn_home_sealing_state *state)
{
    struct cn_storage storage = { 0 };
    enum cn_err err = storage_read(home, &storage);

    if (err != CN_OK && err != CN_E_ABSENT)
        return err;
    if (err == CN_E_ABSENT)
        *state = CN_HOME_PLAIN;
    else
        *state = storage.state == CN_STORAGE_SEALED ? CN_HOME_SEALED : CN_HOME_CHANGING;
    return CN_OK;
}

enum cn_err cn_home_unseal(struct cn_home *home, const char *passphrase, size_t size)
{
    struct cn_storage storage = { 0 };
    struct cn_storage_key key = { 0 };
    enum cn_err err = storage_read(home, &storage);

    if (err != CN_OK)
        return err == CN_E_ABSENT ? CN_OK : err;
    if (!passphrase_fits(size))
        return cn_home_fail(home, CN_E_PASSPHRASE, 0, NULL);
    err = cn_storage_open(&storage, &key, seal_of(home, passphrase, size));
    if (err == CN_OK) {
        err = remember(home, &storage, &key);
    } else {
        char path[PATH_MAX];

        cn_home_path(home, CN_STORAGE_FILE, path);
        err = cn_home_fail(home, err, 0, err == CN_E_PASSPHRASE ? NULL : path);
    }
    cn_wipe(&key, sizeof key);
    return err;
}

/* A new key, with which no file is sealed yet. */
static enum cn_err begin(struct cn_home *home, struct cn_storage *storage, struct cn_seal seal)
{
    struct cn_storage_key key = { 0 };
    enum cn_err err = cn_storage_create(storage, &key, &home->random);

    if (err == CN_OK)
        err = cn_storage_say(storage, &home->crypto, &key, CN_STORAGE_CHANGING);
    if (err == CN_OK)
        err = cn_storage_lock(storage, &key, seal, &home->random);
    if (err == CN_OK)
        err = storage_write(home, storage, false);
    if (err == CN_OK)
        err = remember(home, storage, &key);
    cn_wipe(&key, sizeof key);
    return err;
}

/* The key that there is, under another passphrase. */
static enum cn_err lock_again(struct cn_home *home, struct cn_storage *storage, struct cn_seal seal)
{
    const struct cn_storage_key *key = NULL;
    enum cn_err err = key_now(home, &key);

    if (err == CN_OK && !key)
        err = cn_home_fail(home, CN_E_SEALED, 0, NULL);
    if (err == CN_OK)
        err = cn_storage_lock(storage, key, seal, &home->random);
    return err == CN_OK ? storage_write(home, storage, true) : err;
}

static enum cn_err say(struct cn_home *home, struct cn_storage *storage,
                       enum cn_storage_state state)
{
    enum cn_err err = cn_storage_say(storage, &home->crypto, home->storage_key, state);

    if (err == CN_OK)
        err = storage_write(home, storage, true);
    if (err == CN_OK)
        home->all_sealed = state == CN_STORAGE_SEALED;
    return err;
}

enum cn_err cn_home_seal(struct cn_home *home, const char *passphrase, size_t size)
{
    struct cn_storage storage = { 0 };
    enum cn_err err;
    int lock;

    if (!passphrase_fits(size))
        return cn_home_fail(home, CN_E_USAGE, 0, NULL);
    lock = cn_home_lock(home);
    err = storage_read(home, &storage);
    if (err == CN_E_ABSENT)
        err = begin(home, &storage, seal_of(home, passphrase, size));
    else if (err == CN_OK)
        err = lock_again(home, &storage, seal_of(home, passphrase, size));
    if (err == CN_OK && storage.state == CN_STORAGE_CHANGING) {
        err = convert_all(home);
        if (err == CN_OK)
            err = say(home, &storage, CN_STORAGE_SEALED);
    }
    cn_home_unlock(lock);
    return err;
}

/* With all files plain, the key is of no more use. */
static enum cn_err end(struct cn_home *home)
{
    char path[PATH_MAX];

    cn_home_path(home, CN_STORAGE_FILE, path);
    if (unlink(path) != 0)
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    cn_sealing_forget(home);
    return CN_OK;
}

enum cn_err cn_home_seal_remove(struct cn_home *home)
{
    struct cn_storage storage = { 0 };
    const struct cn_storage_key *key = NULL;
    int lock = cn_home_lock(home);
    enum cn_err err = storage_read(home, &storage);

    if (err == CN_OK)
        err = key_now(home, &key);
    if (err == CN_OK)
        err = say(home, &storage, CN_STORAGE_CHANGING);
    if (err == CN_OK) {
        home->unsealing = true;
        err = convert_all(home);
        home->unsealing = false;
    }
    if (err == CN_OK)
        err = end(home);
    cn_home_unlock(lock);
    return err == CN_E_ABSENT ? CN_OK : err;
}
