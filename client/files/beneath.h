/* beneath.h - opening what is below a directory, where no symbolic link and no ".." leads out. */
#ifndef CN_BENEATH_H
#define CN_BENEATH_H

#include <stddef.h>

/* openat of path[0..size), of which every part is looked up beneath directory and none may be a
 * link, not even the last; size 0: the directory itself. A kernel without openat2 is asked part by
 * part. flags: with O_CLOEXEC and without O_CREAT. -1 and errno; ELOOP or ENOTDIR: there is a link.
 */
int cn_beneath_open(int directory, const char *path, size_t size, int flags);

#endif
