/* transcript.c - transcripts as <cyphernet/transcript.h> offers them: two files for each contact,
 * of which one is added to and the other is the older. PROTOCOL.md 2.18 */
#include <cyphernet/transcript.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "contact_file.h"
#include "file.h"
#include "secret.h"
#include "transcript_file.h"
#include "transcript_record.h"

enum { FILE_SIZE_MAX = 8 << 20 /* octets */ };

#define OLDER "~" /* which no contact's name holds */

/* Kept in locked memory. */
struct secrets {
    struct cn_transcript_key key;
    struct cn_transcript_place place;
    uint8_t plain[CN_TRANSCRIPT_PLAIN_SIZE_MAX];
    char name[CN_NAME_SIZE_MAX + 1]; /* of the last BEGIN */
};

struct cn_transcript {
    struct cn_home *home; /* borrowed */
    struct secrets *secrets;
    char path[PATH_MAX], older[PATH_MAX];
    char contact[CN_NAME_SIZE_MAX + 1];
    int fd;
    uint64_t size; /* of the file */
    bool is_dirty, has_failed;
    uint8_t out[CN_TRANSCRIPT_SITTING_SIZE + CN_TRANSCRIPT_PART_SIZE_MAX];
};

static void paths_make(const struct cn_home *home, const char *contact, char path[PATH_MAX],
                       char older[PATH_MAX])
{
    char name[sizeof CN_TRANSCRIPTS_DIRECTORY "/" OLDER + CN_NAME_SIZE_MAX];

    snprintf(name, sizeof name, CN_TRANSCRIPTS_DIRECTORY "/%s", contact);
    cn_home_path(home, name, path);
    snprintf(name, sizeof name, CN_TRANSCRIPTS_DIRECTORY "/%s" OLDER, contact);
    cn_home_path(home, name, older);
}

/* --- the key -------------------------------------------------------------------------------- */

enum cn_err cn_transcript_key_read(struct cn_home *home, struct cn_transcript_key *key)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX], path[PATH_MAX];
    uint8_t body[CN_TRANSCRIPT_KEY_BODY_SIZE];
    size_t size = 0;
    enum cn_err err = cn_home_read(home, CN_TRANSCRIPT_KEY_FILE, text, sizeof text, &size);

    cn_home_path(home, CN_TRANSCRIPT_KEY_FILE, path);
    if (err == CN_E_ABSENT)
        return cn_home_fail(home, err, 0, path);
    if (err == CN_OK) {
        err = cn_armor_decode(&home->crypto, CN_ARMOR_TRANSCRIPT_KEY, text, size, body, sizeof body,
                              &size);
        if (err == CN_OK)
            err = cn_transcript_key_decode(key, body, size);
        if (err != CN_OK)
            err = cn_home_fail(home, cn_home_text_err(err), 0, path);
    }
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_home_transcript_key_check(struct cn_home *home)
{
    struct cn_transcript_key key;
    enum cn_err err = cn_transcript_key_read(home, &key);

    cn_wipe(&key, sizeof key);
    return err;
}

static enum cn_err key_make(struct cn_home *home, struct cn_transcript_key *key)
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    uint8_t body[CN_TRANSCRIPT_KEY_BODY_SIZE];
    size_t size = 0;
    enum cn_err err = cn_random_fill(&home->random, key->bytes, sizeof key->bytes);

    cn_transcript_key_encode(key, body);
    if (err == CN_OK)
        err = cn_armor_encode(&home->crypto, CN_ARMOR_TRANSCRIPT_KEY, body, sizeof body, text,
                              sizeof text, &size);
    err = err == CN_OK ? cn_home_write(home, CN_TRANSCRIPT_KEY_FILE, false, text, size)
                       : cn_home_fail(home, err, 0, NULL);
    cn_wipe(text, sizeof text);
    cn_wipe(body, sizeof body);
    return err;
}

enum cn_err cn_transcript_key_have(struct cn_home *home, struct cn_transcript_key *key)
{
    int lock = cn_home_lock(home);
    enum cn_err err = cn_transcript_key_read(home, key);

    if (err == CN_E_ABSENT)
        err = key_make(home, key);
    cn_home_unlock(lock);
    return err;
}

/* --- reading -------------------------------------------------------------------------------- */

/* What is done with each record; show NULL: nothing. */
struct reading {
    struct cn_home *home;
    struct secrets *secrets;
    cn_transcript_show *show;
    void *context;
    bool is_enough;
    size_t whole_size; /* octets of the last file up to where it stops short */
    struct cn_transcript_state state;
};

/* The name that a sitting begins with; of one that is longer than any, nothing. */
static void name_note(struct secrets *s, const struct cn_transcript_record *record)
{
    if (record->kind != CN_TRANSCRIPT_BEGIN)
        return;
    memset(s->name, 0, sizeof s->name);
    if (record->text_size < sizeof s->name)
        memcpy(s->name, record->text, record->text_size);
}

/* CN_E_MORE: it stops short. */
static enum cn_err parts_read(struct reading *r, const uint8_t *octets, size_t size)
{
    enum cn_err err = CN_OK;

    r->whole_size = 0;
    while (err == CN_OK && r->whole_size < size && !r->is_enough) {
        const struct cn_piece in = { octets + r->whole_size, size - r->whole_size };
        struct cn_transcript_record record;
        size_t used = 0;

        err = cn_transcript_decode(&r->secrets->place, &r->home->crypto, &r->secrets->key, in,
                                   &used, r->secrets->plain, &record);
        if (err != CN_OK)
            break;
        name_note(r->secrets, &record);
        r->is_enough = r->show && !r->show(r->context, &record);
        r->whole_size += used;
    }
    r->state.lacks_earlier |= r->secrets->place.lacks_earlier;
    cn_wipe(r->secrets->plain, sizeof r->secrets->plain);
    return err;
}

/* CN_E_ABSENT: there is none, and nothing is remembered. */
static enum cn_err file_read(struct reading *r, const char *path)
{
    const size_t size_max = FILE_SIZE_MAX + 2 * CN_TRANSCRIPT_PART_SIZE_MAX;
    uint8_t *octets = malloc(size_max);
    size_t size = 0;
    int error = 0;
    enum cn_err err = CN_E_MEMORY;

    if (octets)
        err = cn_file_read(path, true, (char *)octets, size_max, &size);
    error = err == CN_E_SYSTEM ? errno : 0;
    if (err == CN_OK)
        err = parts_read(r, octets, size);
    else if (err == CN_E_FULL)
        err = CN_E_FORMAT;
    free(octets);
    if (err == CN_E_MORE) {
        r->state.is_cut = true;
        err = CN_OK;
    }
    return err == CN_OK || err == CN_E_ABSENT ? err : cn_home_fail(r->home, err, error, path);
}

/* A file that is damaged hides no later one, but then it is not known what should follow it. */
static enum cn_err files_read(struct reading *r, const char *path, const char *older)
{
    enum cn_err older_err = file_read(r, older), err;

    if (older_err != CN_OK && older_err != CN_E_ABSENT && older_err != CN_E_CHECKSUM &&
        older_err != CN_E_FORMAT)
        return older_err;
    if (older_err == CN_E_CHECKSUM || older_err == CN_E_FORMAT || r->state.is_cut)
        memset(&r->secrets->place, 0, sizeof r->secrets->place);
    err = file_read(r, path);
    if (err != CN_OK && err != CN_E_ABSENT)
        return err;
    if (older_err == CN_E_CHECKSUM || older_err == CN_E_FORMAT)
        return cn_home_fail(r->home, older_err, 0, older);
    return older_err == CN_OK ? CN_OK : err;
}

enum cn_err cn_transcript_read(struct cn_home *home, const char *contact, cn_transcript_show *show,
                               void *context, struct cn_transcript_state *state)
{
    char path[PATH_MAX], older[PATH_MAX];
    struct reading r = { .home = home, .show = show, .context = context };
    enum cn_err err;

    if (!cn_name_valid(contact))
        return cn_home_fail(home, CN_E_NAME, 0, contact);
    paths_make(home, contact, path, older);
    if (!cn_transcript_exists(home, contact))
        return cn_home_fail(home, CN_E_ABSENT, 0, contact);
    r.secrets = cn_secret_take(sizeof *r.secrets);
    err = r.secrets ? cn_transcript_key_read(home, &r.secrets->key)
                    : cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    if (err == CN_OK)
        err = files_read(&r, path, older);
    if (err == CN_OK && !r.secrets->name[0]) /* not a record that is whole */
        err = cn_home_fail(home, CN_E_ABSENT, 0, contact);
    if (err == CN_OK && !r.is_enough && strcmp(r.secrets->name, contact) != 0)
        err = cn_home_fail(home, CN_E_NAME, 0, path);
    cn_secret_give(r.secrets, sizeof *r.secrets);
    *state = r.state;
    return err;
}

bool cn_transcript_exists(const struct cn_home *home, const char *contact)
{
    char path[PATH_MAX], older[PATH_MAX];

    if (!cn_name_valid(contact))
        return false;
    paths_make(home, contact, path, older);
    return access(path, F_OK) == 0 || access(older, F_OK) == 0;
}

/* --- writing -------------------------------------------------------------------------------- */

static enum cn_err failed(struct cn_transcript *t, enum cn_err err)
{
    t->has_failed = true;
    return cn_home_fail(t->home, err, err == CN_E_SYSTEM ? errno : 0, t->path);
}

/* In one piece, so that a crash cuts the last record and no other. What stops short is taken back,
 * so that what follows it is found. */
static enum cn_err append(struct cn_transcript *t, size_t size)
{
    size_t at = 0;

    while (at < size) {
        ssize_t put = write(t->fd, t->out + at, size - at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int error = errno;

            (void)!ftruncate(t->fd, (off_t)t->size);
            errno = error;
            return failed(t, CN_E_SYSTEM);
        }
        at += (size_t)put;
    }
    t->size += size;
    t->is_dirty = true;
    return CN_OK;
}

static enum cn_err record_add(struct cn_transcript *t, size_t before, enum cn_transcript_kind kind,
                              const char *text, size_t text_size)
{
    const struct cn_transcript_record record = { kind, (uint64_t)time(NULL), text, text_size };
    size_t size = 0;
    enum cn_err err =
        cn_transcript_encode(&t->secrets->place, &t->home->crypto, &record, t->out + before, &size);

    return err == CN_OK ? append(t, before + size) : failed(t, err);
}

/* A sitting begins with whose it is, in the same piece. */
static enum cn_err sit(struct cn_transcript *t)
{
    enum cn_err err = cn_transcript_sit(&t->secrets->place, &t->home->crypto, &t->secrets->key,
                                        &t->home->random, t->out);

    if (err != CN_OK)
        return failed(t, err);
    return record_add(t, CN_TRANSCRIPT_SITTING_SIZE, CN_TRANSCRIPT_BEGIN, t->contact,
                      strlen(t->contact));
}

/* One program at a time adds to it. */
static enum cn_err file_open(struct cn_transcript *t, int flags)
{
    struct stat st;
    bool is_ours;

    t->fd = open(t->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_CREAT | flags,
                 0600);
    if (t->fd < 0 || fstat(t->fd, &st) != 0)
        return failed(t, CN_E_SYSTEM);
    is_ours = S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
    if (!is_ours)
        return failed(t, CN_E_OPEN_MODE);
    t->size = (uint64_t)st.st_size;
    return flock(t->fd, LOCK_EX | LOCK_NB) == 0 ? CN_OK : failed(t, CN_E_SYSTEM);
}

/* When there is no room for another record: what is there is the older half. */
static enum cn_err turn_over(struct cn_transcript *t)
{
    enum cn_err err;

    if (fsync(t->fd) != 0 || rename(t->path, t->older) != 0)
        return failed(t, CN_E_SYSTEM);
    close(t->fd);
    err = file_open(t, O_EXCL);
    cn_file_sync_directory_of(t->path);
    return err == CN_OK ? sit(t) : err;
}

static enum cn_err directory_make(struct cn_home *home)
{
    char path[PATH_MAX];

    cn_home_path(home, CN_TRANSCRIPTS_DIRECTORY, path);
    return cn_file_directories(path) == CN_OK ? CN_OK
                                              : cn_home_fail(home, CN_E_SYSTEM, errno, path);
}

/* Check all that is there, and go behind it. whose: the name that it must have, if any. */
static enum cn_err go_behind(struct cn_transcript *t, const char *whose,
                             struct cn_transcript_state *state)
{
    struct reading r = { .home = t->home, .secrets = t->secrets };
    enum cn_err err = files_read(&r, t->path, t->older);

    if (err != CN_OK && err != CN_E_ABSENT)
        return err;
    if (t->secrets->name[0] && strcmp(t->secrets->name, whose) != 0)
        return cn_home_fail(t->home, CN_E_NAME, 0, t->path);
    if (r.whole_size < t->size && ftruncate(t->fd, (off_t)r.whole_size) != 0)
        return failed(t, CN_E_SYSTEM);
    t->size = r.whole_size;
    if (state)
        *state = r.state;
    return CN_OK;
}

/* The transcript that lies under the name `whose`, to be added to as that of `contact`. */
static enum cn_err open_as(struct cn_transcript **transcript, struct cn_home *home,
                           const char *whose, const char *contact,
                           struct cn_transcript_state *state)
{
    struct cn_transcript *t = calloc(1, sizeof *t);
    enum cn_err err = CN_E_MEMORY;

    if (t) {
        t->home = home;
        t->fd = -1;
        snprintf(t->contact, sizeof t->contact, "%s", contact);
        paths_make(home, whose, t->path, t->older);
        t->secrets = cn_secret_take(sizeof *t->secrets);
    }
    if (!t || !t->secrets) {
        free(t);
        return cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    }
    err = cn_transcript_key_have(home, &t->secrets->key);
    if (err == CN_OK)
        err = directory_make(home);
    if (err == CN_OK)
        err = file_open(t, 0);
    if (err == CN_OK)
        err = go_behind(t, whose, state);
    if (err == CN_OK)
        err = sit(t);
    if (err == CN_OK) {
        *transcript = t;
        return CN_OK;
    }
    t->has_failed = true;
    cn_transcript_close(t);
    return err;
}

enum cn_err cn_transcript_open(struct cn_transcript **transcript, struct cn_home *home,
                               const char *contact, struct cn_transcript_state *state)
{
    struct cn_contact_info info;
    enum cn_err err = cn_contact_show(home, contact, &info);

    return err == CN_OK ? open_as(transcript, home, contact, contact, state) : err;
}

enum cn_err cn_transcript_add(struct cn_transcript *transcript, enum cn_transcript_kind kind,
                              const char *text, size_t text_size)
{
    struct cn_transcript *t = transcript;
    enum cn_err err = CN_OK;

    if (text_size > CN_TRANSCRIPT_TEXT_SIZE_MAX)
        return CN_E_LIMIT;
    if (t->has_failed)
        return CN_E_SYSTEM;
    if (t->size + CN_TRANSCRIPT_PART_SIZE_MAX > FILE_SIZE_MAX)
        err = turn_over(t);
    return err == CN_OK ? record_add(t, 0, kind, text, text_size) : err;
}

enum cn_err cn_transcript_sync(struct cn_transcript *transcript)
{
    struct cn_transcript *t = transcript;

    if (!t->is_dirty || t->has_failed)
        return CN_OK;
    t->is_dirty = false;
    return fdatasync(t->fd) == 0 ? CN_OK : failed(t, CN_E_SYSTEM);
}

void cn_transcript_close(struct cn_transcript *transcript)
{
    struct cn_transcript *t = transcript;

    if (!t)
        return;
    if (!t->has_failed && record_add(t, 0, CN_TRANSCRIPT_END, NULL, 0) == CN_OK)
        (void)fdatasync(t->fd);
    if (t->fd >= 0)
        close(t->fd);
    cn_secret_give(t->secrets, sizeof *t->secrets);
    cn_wipe(t->out, sizeof t->out);
    free(t);
}

/* --- of contacts ---------------------------------------------------------------------------- */

/* A sitting says whose it is from now on; then the files go under that name. */
enum cn_err cn_transcript_rename(struct cn_home *home, const char *old_name, const char *new_name)
{
    char path[PATH_MAX], older[PATH_MAX], new_path[PATH_MAX], new_older[PATH_MAX];
    struct cn_transcript *t = NULL;
    enum cn_err err;

    if (!cn_transcript_exists(home, old_name))
        return CN_OK;
    paths_make(home, old_name, path, older);
    paths_make(home, new_name, new_path, new_older);
    if (cn_transcript_exists(home, new_name))
        return cn_home_fail(home, CN_E_EXISTS, 0, new_path);
    err = open_as(&t, home, old_name, new_name, NULL);
    if (err != CN_OK)
        return err;
    cn_transcript_close(t);
    if (rename(path, new_path) != 0 || (rename(older, new_older) != 0 && errno != ENOENT))
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    return CN_OK;
}

enum cn_err cn_transcript_remove(struct cn_home *home, const char *name)
{
    char path[PATH_MAX], older[PATH_MAX];

    paths_make(home, name, path, older);
    if ((unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR) ||
        (unlink(older) != 0 && errno != ENOENT && errno != ENOTDIR))
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    return CN_OK;
}
