/* outfile.h - a file that appears whole or not at all, and never in place of another.
 *
 * Written without a name, or under a temporary one beside the target, and named when it is
 * complete. The name `-` is standard output, where none of that can be promised. */
#ifndef CN_OUTFILE_H
#define CN_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

struct cn_outfile {
    int dir; /* owned; -1 for standard output */
    int fd;  /* owned unless standard output */
    char name[NAME_MAX + 1];
    char temporary[NAME_MAX + 1]; /* empty: it has no name */
};

/* dir: where a relative path begins, or AT_FDCWD; borrowed.
 * CN_E_EXISTS: the target is there; CN_E_SYSTEM: errno. On failure nothing is left behind. */
CN_MUST_USE enum cn_err cn_outfile_create(struct cn_outfile *file, int dir, const char *path,
                                          mode_t mode);
/* All of it, on the disk when this returns. CN_E_SYSTEM: errno. */
CN_MUST_USE enum cn_err cn_outfile_write(struct cn_outfile *file, const void *bytes, size_t size);
/* Give it its name. CN_E_EXISTS, CN_E_SYSTEM: there is no such file then. Close it in any case. */
CN_MUST_USE enum cn_err cn_outfile_keep(struct cn_outfile *file);
/* Without cn_outfile_keep nothing remains of it. */
void cn_outfile_close(struct cn_outfile *file);

bool cn_outfile_is_stdout(const struct cn_outfile *file);

#endif
