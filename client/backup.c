/* backup.c - everything of a home in one file, and back. PROTOCOL.md 2.17 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup_file.h"
#include "contact_file.h"
#include "sealing.h"
#include "secret.h"

const char cn_backup_label[] = "cyphernet/1 backup";

static struct cn_seal seal_of(const struct cn_home *home, const char *passphrase, size_t size)
{
    return (struct cn_seal) { .crypto = &home->crypto,
                              .label = cn_backup_label,
                              .passphrase = passphrase,
                              .passphrase_size = size };
}

/* --- out ------------------------------------------------------------------------------------ */

/* The texts of a home, in secret memory, one after the other. */
struct texts {
    uint8_t *block;
    size_t size, used;
};

enum cn_err cn_backup_check(struct cn_home *home, const char *name)
{
    static const char directory[] = CN_CONTACTS_DIRECTORY "/";
    union {
        struct cn_contact contact;
        struct cn_identity identity;
        struct cn_fingerprint fingerprint;
    } *found = calloc(1, sizeof *found);
    enum cn_err err = found ? CN_OK : CN_E_MEMORY;

    if (!found)
        return cn_home_fail(home, err, 0, NULL);
    if (strncmp(name, directory, sizeof directory - 1) == 0)
        err = cn_contact_load(home, name + sizeof directory - 1, &found->contact);
    else if (strcmp(name, CN_IDENTITY_FILE) == 0 || strcmp(name, CN_IDENTITY_NEXT_FILE) == 0)
        err = cn_home_identity_read(home, name, &found->identity);
    else if (strcmp(name, CN_FINGERPRINT_FILE) == 0)
        err = cn_home_fingerprint(home, &found->fingerprint);
    else if (strcmp(name, CN_ADMISSION_KEY_FILE) == 0)
        err = cn_home_admission_key_check(home);
    else if (strcmp(name, CN_TRANSCRIPT_KEY_FILE) == 0)
        err = cn_home_transcript_key_check(home);
    else
        err = cn_home_preferences_check(home);
    cn_wipe(found, sizeof *found);
    free(found);
    return err;
}

static void add(struct cn_backup *backup, const char *name, struct texts *texts, size_t size)
{
    struct cn_backup_entry *entry = &backup->entries[backup->entry_count++];

    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->text = texts->block + texts->used;
    entry->text_size = size;
    texts->used += size;
}

/* CN_E_ABSENT: there is none. */
static enum cn_err add_secret(struct cn_home *home, const char *name, struct cn_backup *backup,
                              struct texts *texts)
{
    size_t size = 0;
    enum cn_err err = cn_home_read(home, name, (char *)texts->block + texts->used,
                                   texts->size - texts->used, &size);

    if (err == CN_OK)
        err = cn_backup_check(home, name);
    if (err == CN_OK)
        add(backup, name, texts, size);
    return err;
}

static enum cn_err add_preferences(struct cn_home *home, struct cn_backup *backup,
                                   struct texts *texts)
{
    size_t size = 0;
    enum cn_err err = cn_home_preferences_read(home, (char *)texts->block + texts->used,
                                               texts->size - texts->used, &size);

    if (err == CN_E_ABSENT)
        return CN_OK;
    if (err == CN_OK)
        err = cn_backup_check(home, CN_PREFERENCES_FILE);
    if (err == CN_OK)
        add(backup, CN_PREFERENCES_FILE, texts, size);
    return err;
}

static int entries_compare(const void *a, const void *b)
{
    return strcmp(((const struct cn_backup_entry *)a)->name,
                  ((const struct cn_backup_entry *)b)->name);
}

static enum cn_err add_all(struct cn_home *home, char **files, size_t count,
                           struct cn_backup *backup, struct texts *texts)
{
    enum cn_err err = CN_OK;

    for (size_t i = 0; err == CN_OK && i < count; i++) {
        err = add_secret(home, files[i], backup, texts);
        if (err == CN_E_ABSENT)
            err = CN_OK;
    }
    if (err == CN_OK)
        err = add_preferences(home, backup, texts);
    qsort(backup->entries, backup->entry_count, sizeof *backup->entries, entries_compare);
    return err;
}

/* Version and sealed body, as armoured text. */
static enum cn_err to_text(struct cn_home *home, const struct cn_backup *backup,
                           struct cn_seal seal, char **text, size_t *text_size)
{
    size_t size = 0;
    size_t text_size_max;
    uint8_t *plain = NULL, *body = NULL;
    char *made = NULL;
    enum cn_err err = CN_E_MEMORY;

    if (!cn_backup_size(backup, &size))
        return cn_home_fail(home, CN_E_LIMIT, 0, NULL);
    text_size_max = (size + 1 + CN_SEAL_OVERHEAD) / 3 * 4 / 64 * 65 + 512;
    plain = cn_secret_take(size);
    body = malloc(1 + size + CN_SEAL_OVERHEAD);
    made = malloc(text_size_max);
    if (plain && body && made) {
        body[0] = CN_BACKUP_VERSION;
        cn_backup_encode(backup, plain);
        err = cn_seal_close(&seal, &home->random, plain, size, body + 1);
    }
    if (err == CN_OK)
        err = cn_armor_encode(&home->crypto, CN_ARMOR_BACKUP, body, 1 + size + CN_SEAL_OVERHEAD,
                              made, text_size_max, text_size);
    if (err == CN_OK)
        *text = made;
    else
        free(made);
    free(body);
    cn_secret_give(plain, size);
    return err == CN_OK ? CN_OK : cn_home_fail(home, err, 0, NULL);
}

enum cn_err cn_home_backup(struct cn_home *home, const char *passphrase, size_t size, char **text,
                           size_t *text_size)
{
    struct cn_backup backup = { 0 };
    struct texts texts = { 0 };
    char **files = NULL;
    size_t count = 0;
    int lock;
    enum cn_err err;

    if (size < 1 || size > CN_PASSPHRASE_SIZE_MAX)
        return cn_home_fail(home, CN_E_USAGE, 0, NULL);
    lock = cn_home_lock(home);
    err = cn_home_secret_files(home, &files, &count);
    if (err != CN_OK)
        goto out;
    texts.size = (count + 1) * CN_ARMOR_TEXT_SIZE_MAX;
    texts.block = cn_secret_take(texts.size);
    backup.entries = calloc(count + 1, sizeof *backup.entries);
    if (!texts.block || !backup.entries) {
        err = cn_home_fail(home, CN_E_MEMORY, 0, NULL);
        goto out;
    }
    err = cn_sealing_on(home, &backup.sealed);
    if (err == CN_OK)
        err = add_all(home, files, count, &backup, &texts);
out:
    cn_home_unlock(lock);
    if (err == CN_OK && backup.entry_count == 0)
        err = cn_home_fail(home, CN_E_ABSENT, 0, home->data);
    if (err == CN_OK)
        err = to_text(home, &backup, seal_of(home, passphrase, size), text, text_size);
    cn_backup_wipe(&backup);
    cn_secret_give(texts.block, texts.size);
    cn_contact_names_free(files, count);
    return err;
}
