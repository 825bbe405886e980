/* walk.h - the sender's side of a tree: what is to be sent, listed once and opened later.
 *
 * Links are kept as links wherever they are met, as tar and rsync -l keep them, and never followed;
 * only a given path that ends in a slash, or in . or .., is followed, as it names a directory.
 * Mounts are crossed. A file with several hard links is sent once for each. Sockets, pipes and
 * devices are told of and left out.
 *
 * The order is the same in every run: the given paths as given; what is in a directory by its
 * octets, all of it before anything that is further down; a directory before what is in it. So the
 * files of one directory stand together, and opening them looks it up once.
 *
 * Memory: 72 octets an entry, and the last part of its name (and its target). Descriptors: two,
 * whatever the depth, besides those that cn_walk_open gives away. */
#ifndef CN_WALK_H
#define CN_WALK_H

#include <stdatomic.h>

#include "entry.h"
#include "err.h"
#include "filter.h"

struct cn_walk;

enum cn_walk_problem {
    CN_WALK_UNREADABLE, /* error says why; a directory is listed all the same, without its content
                         */
    CN_WALK_SPECIAL,    /* neither file nor directory nor link: left out */
    CN_WALK_TOO_LONG    /* its name would have more than CN_ENTRY_NAME_SIZE_MAX octets: left out */
};

/* Something of a tree will be missing. path: as the user would write it, borrowed; error: an errno,
 * or 0. */
typedef void cn_walk_report(void *context, const char *path, enum cn_walk_problem problem,
                            int error);

/* filter: borrowed, or NULL; report, with context: called by cn_walk_add. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_walk_create(struct cn_walk **walk, struct cn_filter *filter,
                                       cn_walk_report *report, void *context);
/* Borrowed: listing ends, with CN_E_CANCELLED, as soon as another thread has set it. */
void cn_walk_set_cancelled(struct cn_walk *walk, const atomic_bool *cancelled);
/* NULL is fine. */
void cn_walk_free(struct cn_walk *walk);
/* List path and all that is under it. Its name is its last part; of ".", ".." and what ends in a
 * slash, the directory's real one. The working directory must stay what it is.
 * CN_E_SYSTEM (errno): nothing is there, or it cannot be read; CN_E_KIND: it is a socket, pipe or
 * device; CN_E_NAME: it has no name, as / has none; CN_E_EXISTS: a path given before has the same;
 * CN_E_LIMIT: more than CN_ENTRY_COUNT_MAX in all; CN_E_MEMORY. After a failure the walk is only to
 * be freed. */
CN_MUST_USE enum cn_err cn_walk_add(struct cn_walk *walk, const char *path);

uint32_t cn_walk_count(const struct cn_walk *walk);
/* Octets of all files. */
uint64_t cn_walk_size(const struct cn_walk *walk);
/* One of them, index below the count. Its name is written to name, its target borrowed from walk.
 */
void cn_walk_entry(const struct cn_walk *walk, uint32_t index, struct cn_entry *entry,
                   char name[CN_ENTRY_NAME_SIZE_MAX + 1]);
/* As the user would write it, cut to size - 1 octets; for messages. */
void cn_walk_path(const struct cn_walk *walk, uint32_t index, char *out, size_t size);
/* Open a file for reading; *fd is the caller's. No link leads elsewhere, whatever has been changed.
 * CN_E_SYSTEM, errno ESTALE: it is not what was listed any more (file, size, times). */
CN_MUST_USE enum cn_err cn_walk_open(struct cn_walk *walk, uint32_t index, int *fd);
/* Whether what fd is open on still is as it was listed, and nobody has written to it since, not
 * even with the time set back: to be asked while it is read, and after the last octet. */
bool cn_walk_is_same(const struct cn_walk *walk, uint32_t index, int fd);

#endif
