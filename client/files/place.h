/* place.h - the receiver's side of a tree: the directory that everything goes into.
 *
 * Nothing that the partner says leads out of it: every name is looked up beneath it part by part
 * and no symbolic link is ever followed, whoever made it and when (beneath.h). Descriptors of
 * directories are kept for the parts of one batch only, then looked up anew.
 *
 * An existing directory is taken as it is, with its mode: a partner opens nothing of ours to
 * others. One that is made has its mode from the start, but is ours to write to until
 * cn_place_finish. */
#ifndef CN_PLACE_H
#define CN_PLACE_H

#include <sys/types.h>
#include <time.h>

#include "arena.h"
#include "entry.h"
#include "env.h"
#include "err.h"
#include "journal.h"
#include "parents.h"
#include "trail.h"

/* What is there already of an entry. */
struct cn_there {
    bool is_same;
    unsigned number; /* it is "name (number)", which an earlier call gave it; 0: the name itself */
    struct timespec mtime; /* as it was found */
    mode_t mode;
};

/* What becomes of a file or link whose name is taken. A directory is never replaced by another
 * thing, nor another thing by a directory; and what this call has stored never, by any spelling. */
enum cn_place_policy {
    CN_PLACE_KEEP,     /* refused: CN_E_EXISTS */
    CN_PLACE_RENAME,   /* gets the first free of "name (1).ext" to "name (999).ext" */
    CN_PLACE_OVERWRITE /* takes the place of the file or link that was there */
};

enum { CN_PLACE_NUMBER_MAX = 999 }; /* of "name (number)" */

struct cn_place_options {
    enum cn_place_policy policy;
    const struct cn_random *random; /* borrowed */
    struct cn_journals *journals;   /* borrowed; NULL: what is interrupted is thrown away */
    const char *partner;            /* who sends, as journals name them; borrowed */
};

/* A directory that has come, until it gets its time. */
struct cn_made {
    const char *name;
    size_t name_size;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint16_t mode;
    bool is_new; /* made by this call */
};

struct cn_place { /* for place.c and part.c */
    struct cn_place_options options;
    char *path; /* the real one */
    struct cn_parents parents;
    uint64_t next_temporary; /* its number */
    struct cn_trail *trail;  /* of these; NULL: without journals */
    struct cn_made *made;    /* in the order in which they came */
    size_t made_count, made_capacity;
    size_t made_size; /* octets of names */
    struct cn_arena arena;
    void *stored;      /* tsearch's: what must not be overwritten */
    uint32_t grain_ns; /* what times are kept to; 0: not known yet */
    bool is_dirty;     /* something was made since the last sync */
};

/* path: a directory that exists. What calls with the same partner that were killed left there goes.
 * CN_E_SYSTEM (errno), CN_E_MEMORY, CN_E_RANDOM. */
CN_MUST_USE enum cn_err cn_place_open(struct cn_place **place, const char *path,
                                      const struct cn_place_options *options);
/* NULL is fine. Parts are closed before. */
void cn_place_close(struct cn_place *place);

/* Whether an entry may come. there->is_same: a file of this name, size and time is there (as exact
 * as the file system keeps it), the same link, or a directory: it need not be sent; whatever the
 * policy. If that is to rename, what has got a number before counts, too. CN_E_FORMAT: not a valid
 * entry; CN_E_NAME: a name of our temporary files; CN_E_EXISTS; CN_E_SYSTEM, errno ENOENT: the
 * directory that it is in has not come, ELOOP or ENOTDIR: that is no directory. */
CN_MUST_USE enum cn_err cn_place_judge(struct cn_place *place, const struct cn_entry *entry,
                                       struct cn_there *there);
/* Open what is there under the name, or under that with there->number, to compare it; *fd is the
 * caller's. CN_E_ABSENT: nothing is; CN_E_KIND: it is no file of that size; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_place_look(struct cn_place *place, const struct cn_entry *entry,
                                      struct cn_there *there, int *fd);
/* What is there turned out to be the same: give it the time of the entry, and its mode, as far as a
 * partner may: where nothing is to be overwritten no more is opened to others than was. What is
 * somebody else's, or has been changed since, stays as it is. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_place_align(struct cn_place *place, const struct cn_entry *entry,
                                       const struct cn_there *there);
/* Make a directory, or find it there. Errors of cn_place_judge. */
CN_MUST_USE enum cn_err cn_place_make_directory(struct cn_place *place,
                                                const struct cn_entry *entry);
/* Make a symbolic link to any target. Errors of cn_place_judge. */
CN_MUST_USE enum cn_err cn_place_make_link(struct cn_place *place, const struct cn_entry *entry);
/* All directories and links that were made are on disk when it returns. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_place_sync(struct cn_place *place);
/* All has come, or as much as will: directories get their modes, if made by us, and their times,
 * the deepest first; then cn_place_sync. Beyond 64 MiB of names of directories, more get no times.
 * CN_E_SYSTEM (errno): the first failure; the others are done. */
CN_MUST_USE enum cn_err cn_place_finish(struct cn_place *place);

/* --- for part.c ----------------------------------------------------------------------------- */

/* The directory that a valid entry goes into, until the next call; *last, unless NULL, is the last
 * part of its name. -1 and errno. */
int cn_place_parent(struct cn_place *place, const struct cn_entry *entry, const char **last);
/* The name for a temporary file beside the entry, which will be found again after a kill. */
void cn_place_temporary(struct cn_place *place, const struct cn_entry *entry,
                        char name[CN_TEMPORARY_NAME_SIZE]);
/* Give the temporary in parent the name last, or another if the policy is that; stored, if not
 * NULL, says which. It stays under its own on failure: CN_E_EXISTS, CN_E_SYSTEM (errno),
 * CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_place_name(struct cn_place *place, int parent, const char *temporary,
                                      const char *last, char stored[CN_ENTRY_PART_SIZE_MAX + 1]);

#endif
