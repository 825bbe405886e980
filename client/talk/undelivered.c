/* undelivered.c - lines that the partner has not taken, as <cyphernet/talk.h> offers them: a file
 * of each contact, which is added to, and written anew when it has too much in it that is over.
 * PROTOCOL.md 2.19 */
#include "undelivered.h"

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
#include "writer.h"

enum {
    FILE_SIZE_MAX = 64 << 20, /* octets */
    OVER_SIZE_MAX = 1 << 20,  /* of what is over, before the file is written anew */
    OPEN_TRIES = 16
};

/* Kept in locked memory. */
struct secrets {
    struct cn_transcript_key key;
    struct cn_transcript_place place;
    uint8_t plain[CN_TRANSCRIPT_PLAIN_SIZE_MAX];
};

struct cn_undelivered {
    struct cn_home *home; /* borrowed */
    struct secrets *secrets;
    char contact[CN_NAME_SIZE_MAX + 1];
    char path[PATH_MAX];
    int fd;        /* -1: there is no file yet */
    uint64_t size; /* of the file */
    bool is_dirty;
    bool has_key;
    enum cn_err failure; /* of keeping; after it nothing is written any more */
    int failure_errno;
    bool told;
    struct cn_undelivered_book book;
    uint64_t delivered;                       /* of the lines that were said in this talk */
    const struct cn_undelivered_line *unsaid; /* borrowed of the book; NULL: all are said */
    /* What is new is of a series of this talk, whatever is on the disk: so a file that was put back
     * as it was once makes no two lines the same. */
    struct cn_series_place own;
    bool has_series;    /* of what is added, in the book and the file */
    bool partner_keeps; /* it has said of what series its lines are */
    uint8_t out[CN_TRANSCRIPT_SITTING_SIZE + CN_TRANSCRIPT_PART_SIZE_MAX];
};

static void path_make(const struct cn_home *home, const char *contact, char path[PATH_MAX])
{
    char name[sizeof CN_UNDELIVERED_DIRECTORY "/" + CN_NAME_SIZE_MAX];

    snprintf(name, sizeof name, CN_UNDELIVERED_DIRECTORY "/%s", contact);
    cn_home_path(home, name, path);
}

/* --- writing -------------------------------------------------------------------------------- */

static void fail(struct cn_undelivered *u, enum cn_err err)
{
    u->failure = err;
    u->failure_errno = err == CN_E_SYSTEM ? errno : 0;
}

static enum cn_err write_all(int fd, const uint8_t *octets, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, octets, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return CN_E_SYSTEM;
        octets += put;
        size -= (size_t)put;
    }
    return CN_OK;
}

/* In one piece, so that a crash cuts the last record and no other; what stops short is taken back.
 */
static enum cn_err record_put(struct cn_undelivered *u, size_t before,
                              enum cn_undelivered_kind kind, const void *text, size_t text_size)
{
    const struct cn_transcript_record record = { (enum cn_transcript_kind)kind,
                                                 (uint64_t)time(NULL), text, text_size };
    size_t size = 0;
    enum cn_err err =
        cn_transcript_encode(&u->secrets->place, &u->home->crypto, &record, u->out + before, &size);

    if (err == CN_OK)
        err = write_all(u->fd, u->out, before + size);
    if (err == CN_E_SYSTEM) {
        int error = errno;

        (void)!ftruncate(u->fd, (off_t)u->size);
        errno = error;
    }
    if (err != CN_OK)
        return err;
    u->size += before + size;
    u->is_dirty = true;
    return CN_OK;
}

static enum cn_err place_put(struct cn_undelivered *u, enum cn_undelivered_kind kind,
                             const struct cn_series_place *place)
{
    uint8_t body[CN_SERIES_PLACE_SIZE];

    cn_series_place_encode(place, body);
    return record_put(u, 0, kind, body, sizeof body);
}

/* A sitting begins with whose it is, in the same piece. */
static enum cn_err sit(struct cn_undelivered *u)
{
    enum cn_err err = cn_transcript_sit(&u->secrets->place, &u->home->crypto, &u->secrets->key,
                                        &u->home->random, u->out);

    return err == CN_OK ? record_put(u, CN_TRANSCRIPT_SITTING_SIZE, CN_UNDELIVERED_BEGIN,
                                     u->contact, strlen(u->contact))
                        : err;
}

/* What is there is of this key alone: a transcript cannot be taken for it. */
static enum cn_err key_derive(struct cn_undelivered *u, const struct cn_transcript_key *key)
{
    const struct cn_item label = CN_LABEL("undelivered");

    return cn_expand(&u->home->crypto, CN_SHA256, key->bytes, sizeof key->bytes, &label, 1,
                     u->secrets->key.bytes, sizeof u->secrets->key.bytes);
}

static enum cn_err key_have(struct cn_undelivered *u, bool make)
{
    struct cn_transcript_key key;
    enum cn_err err =
        make ? cn_transcript_key_have(u->home, &key) : cn_transcript_key_read(u->home, &key);

    if (err == CN_OK)
        err = key_derive(u, &key);
    u->has_key = err == CN_OK;
    cn_wipe(&key, sizeof key);
    return err;
}

/* For one program at a time; where a file system has no locks nothing is guarded. */
static enum cn_err lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ? CN_OK : CN_E_SYSTEM;
}

/* All that is kept, into a file that is empty. */
static enum cn_err book_put(struct cn_undelivered *u)
{
    static const struct cn_series_place none = { { 0 }, 0 };
    const struct cn_series_place *last = &none;
    enum cn_err err = sit(u);

    for (size_t i = 0; err == CN_OK && i < u->book.heard_count; i++)
        err = place_put(u, CN_UNDELIVERED_HEARD, &u->book.heard[i]);
    for (const struct cn_undelivered_line *l = u->book.first; err == CN_OK && l; l = l->next) {
        if (!cn_series_place_follows(&l->place, last))
            err = place_put(u, CN_UNDELIVERED_SERIES, &l->place);
        if (err == CN_OK)
            err = record_put(u, 0, CN_UNDELIVERED_LINE, l->text, l->size);
        last = &l->place;
    }
    if (err == CN_OK && u->has_series && !cn_series_place_follows(&u->book.next, last))
        err = place_put(u, CN_UNDELIVERED_SERIES, &u->book.next);
    return err;
}

static enum cn_err temporary_make(struct cn_undelivered *u, char temporary[PATH_MAX])
{
    char name[sizeof CN_UNDELIVERED_DIRECTORY "/..tmp" + CN_NAME_SIZE_MAX + 24];

    cn_home_path(u->home, CN_UNDELIVERED_DIRECTORY, temporary);
    if (cn_file_directories(temporary) != CN_OK)
        return CN_E_SYSTEM;
    snprintf(name, sizeof name, CN_UNDELIVERED_DIRECTORY "/.%s.%ld.tmp", u->contact,
             (long)getpid());
    cn_home_path(u->home, name, temporary);
    (void)unlink(temporary); /* of a process that died */
    u->fd = open(temporary, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return u->fd >= 0 ? lock(u->fd) : CN_E_SYSTEM;
}

/* Where there was no file, none may have come meanwhile: it is another program's. */
static enum cn_err temporary_name(const struct cn_undelivered *u, const char *temporary,
                                  bool is_first)
{
    if (is_first ? cn_file_rename_new(AT_FDCWD, temporary, u->path) == 0
                 : rename(temporary, u->path) == 0)
        return CN_OK;
    if (is_first && errno == EEXIST)
        errno = EWOULDBLOCK;
    return CN_E_SYSTEM;
}

/* The file anew, whole or not at all; on failure the old one is used on. */
static enum cn_err file_renew(struct cn_undelivered *u)
{
    const int old_fd = u->fd;
    const uint64_t old_size = u->size;
    const struct cn_transcript_place old_place = u->secrets->place;
    char temporary[PATH_MAX];
    enum cn_err err;
    int error;

    memset(&u->secrets->place, 0, sizeof u->secrets->place);
    u->size = 0;
    err = temporary_make(u, temporary);
    if (err == CN_OK)
        err = book_put(u);
    if (err == CN_OK && fsync(u->fd) != 0)
        err = CN_E_SYSTEM;
    if (err == CN_OK)
        err = temporary_name(u, temporary, old_fd < 0);
    if (err == CN_OK) {
        cn_file_sync_directory_of(u->path);
        if (old_fd >= 0)
            close(old_fd);
        u->book.delivered = 0;
        u->is_dirty = false;
        return CN_OK;
    }
    error = errno;
    (void)unlink(temporary);
    if (u->fd >= 0)
        close(u->fd);
    u->fd = old_fd;
    u->size = old_size;
    u->secrets->place = old_place;
    errno = error;
    return err;
}

/* Before something is added. False: nothing is kept. */
static bool is_kept(struct cn_undelivered *u)
{
    enum cn_err err = CN_OK;

    if (u->failure != CN_OK)
        return false;
    if (!u->has_key)
        err = key_have(u, true);
    if (err == CN_OK && u->fd < 0)
        err = file_renew(u);
    if (err != CN_OK)
        fail(u, err);
    return err == CN_OK;
}

/* What is over goes, when there is much of it. */
static void file_look_over(struct cn_undelivered *u)
{
    if (u->failure == CN_OK && u->fd >= 0 && u->size > 2 * u->book.size + OVER_SIZE_MAX) {
        enum cn_err err = file_renew(u);

        if (err != CN_OK)
            fail(u, err);
    }
}

/* --- reading -------------------------------------------------------------------------------- */

/* CN_E_MORE: it stops short, *whole octets are good. */
static enum cn_err records_read(struct cn_undelivered *u, const uint8_t *octets, size_t size,
                                size_t *whole)
{
    enum cn_err err = CN_OK;

    *whole = 0;
    while (err == CN_OK && *whole < size) {
        const struct cn_piece in = { octets + *whole, size - *whole };
        struct cn_transcript_record record;
        size_t used = 0;

        err = cn_transcript_decode(&u->secrets->place, &u->home->crypto, &u->secrets->key, in,
                                   &used, u->secrets->plain, &record);
        if (err == CN_OK)
            err = cn_undelivered_book_take(&u->book, &record);
        *whole += err == CN_OK ? used : 0;
    }
    cn_wipe(u->secrets->plain, sizeof u->secrets->plain);
    if (err == CN_OK && u->secrets->place.lacks_earlier)
        err = CN_E_CHECKSUM;
    return err;
}

static enum cn_err octets_read(int fd, uint8_t *octets, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t got = pread(fd, octets + have, size - have, (off_t)have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO;
        if (got <= 0)
            return CN_E_SYSTEM;
        have += (size_t)got;
    }
    return CN_OK;
}

/* All that is there, and the place behind it. */
static enum cn_err file_read(struct cn_undelivered *u)
{
    uint8_t *octets;
    size_t whole = 0;
    enum cn_err err;

    if (u->size > FILE_SIZE_MAX)
        return CN_E_FORMAT;
    octets = malloc(u->size + 1);
    if (!octets)
        return CN_E_MEMORY;
    err = octets_read(u->fd, octets, u->size);
    if (err == CN_OK)
        err = records_read(u, octets, u->size, &whole);
    free(octets);
    if (err == CN_E_MORE) /* what a crash has left of the last record */
        err = ftruncate(u->fd, (off_t)whole) == 0 ? CN_OK : CN_E_SYSTEM;
    u->size = whole;
    return err;
}

/* Whether the file that is open is still the one of that name: it may have been written anew by
 * who had the lock. */
static bool is_current(const struct cn_undelivered *u)
{
    struct stat open_one, named;

    return fstat(u->fd, &open_one) == 0 && lstat(u->path, &named) == 0 &&
           open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

/* CN_E_ABSENT: there is none. */
static enum cn_err file_open(struct cn_undelivered *u)
{
    struct stat st;

    for (int i = 0; i < OPEN_TRIES; i++) {
        u->fd = open(u->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (u->fd < 0)
            return errno == ENOENT ? CN_E_ABSENT : CN_E_SYSTEM;
        if (fstat(u->fd, &st) != 0)
            return CN_E_SYSTEM;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
            return CN_E_OPEN_MODE;
        if (lock(u->fd) != CN_OK)
            return CN_E_SYSTEM;
        if (is_current(u)) {
            u->size = (uint64_t)st.st_size;
            return CN_OK;
        }
        close(u->fd);
        u->fd = -1;
    }
    errno = EWOULDBLOCK;
    return CN_E_SYSTEM;
}

static enum cn_err file_take(struct cn_undelivered *u, bool *is_told)
{
    enum cn_err err = file_open(u);

    if (err == CN_E_ABSENT)
        return CN_OK;
    if (err == CN_OK) {
        err = key_have(u, false);
        *is_told = err != CN_OK;
    }
    if (err == CN_OK)
        err = file_read(u);
    if (err == CN_OK && u->size > 0 && strcmp(u->book.contact, u->contact) != 0)
        err = CN_E_NAME;
    return err;
}

static void give(struct cn_undelivered *u)
{
    cn_undelivered_book_wipe(&u->book);
    if (u->fd >= 0)
        close(u->fd);
    cn_secret_give(u->secrets, sizeof *u->secrets);
    cn_wipe(u->out, sizeof u->out);
    free(u);
}

static enum cn_err open_of(struct cn_undelivered **undelivered, struct cn_home *home,
                           const char *contact)
{
    struct cn_undelivered *u = calloc(1, sizeof *u);
    bool is_told = false;
    enum cn_err err;
    int error;

    if (u)
        u->secrets = cn_secret_take(sizeof *u->secrets);
    if (!u || !u->secrets) {
        free(u);
        return cn_home_fail(home, CN_E_MEMORY, 0, NULL);
    }
    u->home = home;
    u->fd = -1;
    snprintf(u->contact, sizeof u->contact, "%s", contact);
    path_make(home, contact, u->path);
    cn_undelivered_book_init(&u->book);
    u->own.number = 1;
    err = cn_random_fill(&home->random, u->own.id, sizeof u->own.id);
    if (err == CN_OK)
        err = file_take(u, &is_told);
    if (err == CN_OK) {
        u->book.has_series = false;
        u->unsaid = u->book.first;
        *undelivered = u;
        return CN_OK;
    }
    error = errno;
    if (!is_told)
        err = cn_home_fail(home, err, err == CN_E_SYSTEM ? error : 0, u->path);
    give(u);
    return err;
}

enum cn_err cn_undelivered_open(struct cn_undelivered **undelivered, struct cn_home *home,
                                const char *contact)
{
    struct cn_contact_info info;
    enum cn_err err = cn_contact_show(home, contact, &info);

    return err == CN_OK ? open_of(undelivered, home, contact) : err;
}

/* --- in a talk ------------------------------------------------------------------------------ */

uint64_t cn_undelivered_count(const struct cn_undelivered *undelivered)
{
    return undelivered->book.count;
}

const struct cn_undelivered_line *cn_undelivered_unsaid(const struct cn_undelivered *undelivered)
{
    return undelivered->unsaid;
}

void cn_undelivered_said(struct cn_undelivered *undelivered)
{
    undelivered->unsaid = undelivered->unsaid->next;
}

static void keep(struct cn_undelivered *u, enum cn_err err)
{
    if (err != CN_OK)
        fail(u, err);
}

static void series_begin(struct cn_undelivered *u)
{
    if (is_kept(u))
        keep(u, place_put(u, CN_UNDELIVERED_SERIES, &u->own));
    cn_undelivered_book_series(&u->book, &u->own);
    u->has_series = true;
}

void cn_undelivered_own(const struct cn_undelivered *undelivered, struct cn_series_place *place)
{
    *place = undelivered->own;
}

void cn_undelivered_partner_keeps(struct cn_undelivered *undelivered)
{
    undelivered->partner_keeps = true;
    if (undelivered->book.heard_count > 0)
        return;
    (void)is_kept(undelivered); /* so that to note a line takes no time when it has been shown */
}

enum cn_err cn_undelivered_add(struct cn_undelivered *undelivered, const char *text, size_t size)
{
    struct cn_undelivered *u = undelivered;
    struct cn_undelivered_line **end = u->book.last_next;
    enum cn_err err;

    if (!u->has_series)
        series_begin(u);
    file_look_over(u);
    err = cn_undelivered_book_add(&u->book, text, size);
    if (err != CN_OK)
        return err == CN_E_LIMIT ? CN_E_FULL : err;
    if (is_kept(u))
        keep(u, record_put(u, 0, CN_UNDELIVERED_LINE, text, size));
    if (!u->unsaid)
        u->unsaid = *end;
    return CN_OK;
}

void cn_undelivered_delivered(struct cn_undelivered *undelivered, uint64_t count)
{
    struct cn_undelivered *u = undelivered;
    uint8_t body[8];
    struct cn_writer w = { .at = body, .left = sizeof body };

    for (; u->delivered < count && u->book.first != u->unsaid; u->delivered++)
        cn_undelivered_book_drop(&u->book);
    if (u->failure != CN_OK || u->fd < 0)
        return;
    cn_writer_u64be(&w, u->book.delivered);
    keep(u, record_put(u, 0, CN_UNDELIVERED_DELIVERED, body, sizeof body));
    file_look_over(u);
}

bool cn_undelivered_has_heard(const struct cn_undelivered *undelivered,
                              const struct cn_series_place *place)
{
    return cn_undelivered_book_has_heard(&undelivered->book, place);
}

void cn_undelivered_heard(struct cn_undelivered *undelivered, const struct cn_series_place *place)
{
    struct cn_undelivered *u = undelivered;

    if (cn_undelivered_book_has_heard(&u->book, place))
        return;
    if (is_kept(u))
        keep(u, place_put(u, CN_UNDELIVERED_HEARD, place));
    cn_undelivered_book_hear(&u->book, place);
    file_look_over(u);
}

enum cn_err cn_undelivered_check(struct cn_undelivered *undelivered)
{
    struct cn_undelivered *u = undelivered;

    if (u->failure == CN_OK || u->told)
        return CN_OK;
    u->told = true;
    return cn_home_fail(u->home, u->failure, u->failure_errno, u->path);
}

enum cn_err cn_undelivered_sync(struct cn_undelivered *undelivered)
{
    struct cn_undelivered *u = undelivered;

    if (u->is_dirty && u->failure == CN_OK && fdatasync(u->fd) != 0)
        fail(u, CN_E_SYSTEM);
    u->is_dirty = false;
    return cn_undelivered_check(u);
}

/* What both ends know to be over leaves nothing on the disk. */
void cn_undelivered_close(struct cn_undelivered *undelivered, bool is_well)
{
    struct cn_undelivered *u = undelivered;

    if (!u)
        return;
    if (is_well && u->partner_keeps)
        u->book.heard_count = 0; /* it will say nothing of all that again */
    u->has_series = false;
    if (u->fd >= 0 && u->book.count == 0 && u->book.heard_count == 0) {
        (void)unlink(u->path);
        cn_file_sync_directory_of(u->path);
    } else if (u->fd >= 0 && (u->book.delivered > 0 || u->failure != CN_OK || is_well)) {
        if (file_renew(u) != CN_OK)
            (void)fdatasync(u->fd);
    } else if (u->fd >= 0 && u->is_dirty) {
        (void)fdatasync(u->fd);
    }
    give(u);
}

/* --- of contacts ---------------------------------------------------------------------------- */

enum cn_err cn_undelivered_rename(struct cn_home *home, const char *old_name, const char *new_name)
{
    struct cn_undelivered *u = NULL;
    char path[PATH_MAX], new_path[PATH_MAX];
    enum cn_err err;

    path_make(home, old_name, path);
    path_make(home, new_name, new_path);
    if (access(path, F_OK) != 0)
        return CN_OK;
    if (access(new_path, F_OK) == 0)
        return cn_home_fail(home, CN_E_EXISTS, 0, new_path);
    err = open_of(&u, home, old_name);
    if (err != CN_OK || !u)
        return err;
    snprintf(u->contact, sizeof u->contact, "%s", new_name);
    memcpy(u->path, new_path, sizeof new_path);
    err = file_renew(u);
    if (err != CN_OK)
        err = cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, new_path);
    else if (unlink(path) != 0)
        err = cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    give(u);
    return err;
}

enum cn_err cn_undelivered_remove(struct cn_home *home, const char *name)
{
    char path[PATH_MAX];

    path_make(home, name, path);
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
        return cn_home_fail(home, CN_E_SYSTEM, errno, path);
    cn_file_sync_directory_of(path);
    return CN_OK;
}

bool cn_undelivered_exists(const struct cn_home *home, const char *contact)
{
    char path[PATH_MAX];

    if (!cn_name_valid(contact))
        return false;
    path_make(home, contact, path);
    return access(path, F_OK) == 0;
}
