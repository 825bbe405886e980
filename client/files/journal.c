#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "home.h"
#include "reader.h"
#include "temporary.h"
#include "writer.h"

enum { FILE_NAME_SIZE = 2 * CN_SHA256_SIZE + 1 };

static const char magic[8] = { 'C', 'N', 'J', 'O', 'U', 'R', 'N', '\n' };

struct cn_journals {
    const struct cn_crypto *crypto; /* borrowed */
    char directory[PATH_MAX];
};

/* --- octets --------------------------------------------------------------------------------- */

static void text_encode(struct cn_writer *w, const char *text)
{
    size_t size = strlen(text);

    cn_writer_u16be(w, (uint16_t)size);
    cn_writer_bytes(w, text, size);
}

size_t cn_journal_encode(const struct cn_journal *journal, uint8_t *out)
{
    struct cn_writer w = { .at = out, .left = CN_JOURNAL_SIZE_MAX };

    cn_writer_bytes(&w, magic, sizeof magic);
    cn_writer_u8(&w, CN_JOURNAL_VERSION);
    text_encode(&w, journal->partner);
    text_encode(&w, journal->place);
    text_encode(&w, journal->name);
    cn_writer_u64be(&w, journal->size);
    cn_writer_u64be(&w, (uint64_t)journal->mtime_s);
    cn_writer_u32be(&w, journal->mtime_ns);
    cn_writer_u64be(&w, journal->identity);
    text_encode(&w, journal->temporary);
    cn_writer_u64be(&w, journal->device);
    cn_writer_u64be(&w, journal->inode);
    cn_writer_u64be(&w, journal->written);
    return CN_JOURNAL_SIZE_MAX - w.left;
}

/* A text of 1 to out_size - 1 octets without NUL. */
static void text_decode(struct cn_reader *r, char *out, size_t out_size)
{
    size_t size = cn_reader_u16be(r);

    if (size == 0 || size >= out_size || size > r->left || memchr(r->at, '\0', size)) {
        r->short_read = true;
        return;
    }
    cn_reader_copy(r, out, size);
    out[size] = '\0';
}

/* What is in it could have been written by cn_journal_store. */
static bool is_sound(const struct cn_journal *j)
{
    return cn_name_valid(j->partner) && j->place[0] == '/' &&
           cn_entry_name_valid(j->name, strlen(j->name)) && j->size <= INT64_MAX &&
           j->mtime_ns <= 999999999 && j->written <= j->size &&
           j->written % CN_JOURNAL_BLOCK_SIZE == 0 &&
           cn_temporary_is(j->temporary, strlen(j->temporary)) && !strchr(j->temporary, '/');
}

enum cn_err cn_journal_decode(struct cn_journal *journal, const uint8_t *in, size_t in_size)
{
    struct cn_journal j = { 0 };
    struct cn_reader r = { .at = in, .left = in_size };
    char begin[sizeof magic];
    uint8_t version;

    cn_reader_copy(&r, begin, sizeof begin);
    version = cn_reader_u8(&r);
    if (!cn_reader_ok(&r) || memcmp(begin, magic, sizeof magic) != 0)
        return CN_E_FORMAT;
    if (version != CN_JOURNAL_VERSION)
        return CN_E_VERSION;
    text_decode(&r, j.partner, sizeof j.partner);
    text_decode(&r, j.place, sizeof j.place);
    text_decode(&r, j.name, sizeof j.name);
    j.size = cn_reader_u64be(&r);
    j.mtime_s = (int64_t)cn_reader_u64be(&r);
    j.mtime_ns = cn_reader_u32be(&r);
    j.identity = cn_reader_u64be(&r);
    text_decode(&r, j.temporary, sizeof j.temporary);
    j.device = cn_reader_u64be(&r);
    j.inode = cn_reader_u64be(&r);
    j.written = cn_reader_u64be(&r);
    if (!cn_reader_done(&r) || !is_sound(&j))
        return CN_E_FORMAT;
    *journal = j;
    return CN_OK;
}

/* --- files ---------------------------------------------------------------------------------- */

enum cn_err cn_journals_open(struct cn_journals **journals, const struct cn_home *home)
{
    struct cn_journals *made = calloc(1, sizeof *made);

    if (!made)
        return CN_E_MEMORY;
    made->crypto = cn_home_crypto(home);
    snprintf(made->directory, sizeof made->directory, "%s/journals",
             home->state[0] ? home->state : home->data);
    *journals = made;
    return CN_OK;
}

void cn_journals_close(struct cn_journals *journals)
{
    free(journals);
}

const char *cn_journals_directory(const struct cn_journals *journals)
{
    return journals->directory;
}

/* Where the journal of a partner, place and name is. */
static enum cn_err path_find(const struct cn_journals *journals, const struct cn_journal *j,
                             char path[PATH_MAX])
{
    const struct cn_item items[] = {
        CN_LABEL("journal"),
        { CN_ITEM_NAME, j->partner, strlen(j->partner) },
        { CN_ITEM_NAME, j->place, strlen(j->place) },
        { CN_ITEM_NAME, j->name, strlen(j->name) },
    };
    uint8_t sum[CN_SHA256_SIZE];
    enum cn_err err =
        cn_hash_items(journals->crypto, CN_SHA256, items, sizeof items / sizeof items[0], sum);
    int size = snprintf(path, PATH_MAX, "%s/", journals->directory);

    if (err != CN_OK)
        return err;
    for (size_t i = 0; i < sizeof sum; i++)
        size += snprintf(path + size, PATH_MAX - (size_t)size, "%02x", sum[i]);
    return CN_OK;
}

static enum cn_err file_load(const char *path, struct cn_journal *journal)
{
    static const size_t size_max = CN_JOURNAL_SIZE_MAX;
    uint8_t text[CN_JOURNAL_SIZE_MAX];
    size_t size = 0;
    enum cn_err err = cn_file_read(path, true, (char *)text, size_max, &size);

    if (err == CN_E_FULL)
        return CN_E_FORMAT;
    return err == CN_OK ? cn_journal_decode(journal, text, size) : err;
}

enum cn_err cn_journal_load(const struct cn_journals *journals, struct cn_journal *journal)
{
    struct cn_journal found;
    char path[PATH_MAX];
    enum cn_err err = path_find(journals, journal, path);

    if (err == CN_OK)
        err = file_load(path, &found);
    if (err != CN_OK)
        return err;
    if (strcmp(found.partner, journal->partner) != 0 || strcmp(found.place, journal->place) != 0 ||
        strcmp(found.name, journal->name) != 0)
        return CN_E_FORMAT;
    *journal = found;
    return CN_OK;
}

enum cn_err cn_journal_store(const struct cn_journals *journals, const struct cn_journal *journal)
{
    uint8_t text[CN_JOURNAL_SIZE_MAX];
    char path[PATH_MAX];
    enum cn_err err = path_find(journals, journal, path);

    if (err == CN_OK)
        err = cn_file_directories(journals->directory);
    if (err == CN_OK)
        err = cn_file_write(path, true, (char *)text, cn_journal_encode(journal, text));
    return err;
}

void cn_journal_remove(const struct cn_journals *journals, const struct cn_journal *journal)
{
    char path[PATH_MAX];

    if (path_find(journals, journal, path) == CN_OK)
        (void)unlink(path);
}

/* One file of the directory; what is no journal, or not where it should be, is passed over. */
static void file_visit(const struct cn_journals *journals, const char *name,
                       cn_journal_visit *visit, void *context)
{
    struct cn_journal journal;
    char path[PATH_MAX], right[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", journals->directory, name);

    if (size < 0 || (size_t)size >= sizeof path || file_load(path, &journal) != CN_OK)
        return;
    if (path_find(journals, &journal, right) == CN_OK && strcmp(path, right) == 0)
        visit(context, &journal);
}

enum cn_err cn_journals_each(const struct cn_journals *journals, cn_journal_visit *visit,
                             void *context)
{
    DIR *dir = opendir(journals->directory);
    struct dirent *found;
    int saved;

    if (!dir)
        return errno == ENOENT ? CN_OK : CN_E_SYSTEM;
    while ((errno = 0, found = readdir(dir))) {
        if (strlen(found->d_name) == FILE_NAME_SIZE - 1)
            file_visit(journals, found->d_name, visit, context);
    }
    saved = errno;
    closedir(dir);
    errno = saved;
    return saved == 0 ? CN_OK : CN_E_SYSTEM;
}
