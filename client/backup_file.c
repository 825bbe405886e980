#include "backup_file.h"

#include <stdlib.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

enum { FLAG_SEALED = 1, HEAD_SIZE = 1 + 4, ENTRY_HEAD_SIZE = 1 + 4 };

void cn_backup_wipe(struct cn_backup *backup)
{
    if (!backup)
        return;
    free(backup->entries);
    memset(backup, 0, sizeof *backup);
}

bool cn_backup_size(const struct cn_backup *backup, size_t *size)
{
    size_t sum = HEAD_SIZE;

    for (size_t i = 0; i < backup->entry_count; i++)
        sum += ENTRY_HEAD_SIZE + strlen(backup->entries[i].name) + backup->entries[i].text_size;
    *size = sum;
    return backup->entry_count <= CN_BACKUP_ENTRY_COUNT_MAX && sum <= CN_BACKUP_SIZE_MAX;
}

void cn_backup_encode(const struct cn_backup *backup, uint8_t *out)
{
    struct cn_writer w = { .at = out, .left = CN_BACKUP_SIZE_MAX };

    cn_writer_u8(&w, backup->sealed ? FLAG_SEALED : 0);
    cn_writer_u32be(&w, (uint32_t)backup->entry_count);
    for (size_t i = 0; i < backup->entry_count; i++) {
        const struct cn_backup_entry *entry = &backup->entries[i];

        cn_writer_u8(&w, (uint8_t)strlen(entry->name));
        cn_writer_bytes(&w, entry->name, strlen(entry->name));
        cn_writer_u32be(&w, (uint32_t)entry->text_size);
        cn_writer_bytes(&w, entry->text, entry->text_size);
    }
}

/* The only names that restoring may write to. */
static bool name_ours(const char *name)
{
    static const char *const others[] = { CN_ADMISSION_KEY_FILE, CN_PREFERENCES_FILE,
                                          CN_FINGERPRINT_FILE,   CN_IDENTITY_FILE,
                                          CN_IDENTITY_NEXT_FILE, CN_TRANSCRIPT_KEY_FILE };
    const char directory[] = CN_CONTACTS_DIRECTORY "/";

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(name, others[i]) == 0)
            return true;
    }
    return strncmp(name, directory, sizeof directory - 1) == 0 &&
           cn_name_valid(name + sizeof directory - 1);
}

static bool entry_decode(struct cn_reader *r, struct cn_backup_entry *entry)
{
    size_t size = cn_reader_u8(r);

    if (size >= sizeof entry->name)
        return false;
    cn_reader_copy(r, entry->name, size);
    entry->text_size = cn_reader_u32be(r);
    entry->text = cn_reader_take(r, entry->text_size);
    return cn_reader_ok(r) && strlen(entry->name) == size && name_ours(entry->name);
}

/* Names rise, and so none is there twice. */
static bool entries_decode(struct cn_reader *r, struct cn_backup *b, size_t count)
{
    for (; b->entry_count < count; b->entry_count++) {
        struct cn_backup_entry *entry = &b->entries[b->entry_count];

        if (!entry_decode(r, entry) ||
            (b->entry_count > 0 && strcmp(entry[-1].name, entry->name) >= 0))
            return false;
    }
    return cn_reader_done(r);
}

enum cn_err cn_backup_decode(struct cn_backup *backup, const uint8_t *body, size_t body_size)
{
    struct cn_reader r = { .at = body, .left = body_size };
    struct cn_backup b = { 0 };
    uint8_t flags = cn_reader_u8(&r);
    size_t count = cn_reader_u32be(&r);

    /* so many cannot be there in so few octets, and are not made room for */
    if (!cn_reader_ok(&r) || flags > FLAG_SEALED || count > CN_BACKUP_ENTRY_COUNT_MAX ||
        count > r.left / ENTRY_HEAD_SIZE)
        return CN_E_FORMAT;
    b.sealed = flags & FLAG_SEALED;
    b.entries = calloc(count + 1, sizeof *b.entries);
    if (!b.entries)
        return CN_E_MEMORY;
    if (!entries_decode(&r, &b, count)) {
        cn_backup_wipe(&b);
        return CN_E_FORMAT;
    }
    *backup = b;
    return CN_OK;
}
