/* file.h - whole small files, read with suspicion and written so that they are never half there. */
#ifndef CN_FILE_H
#define CN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/* Read all of path into out, which holds at most size_max octets; *size says how many there were.
 * secret: must be a plain file of ours that nobody else may touch.
 * CN_E_ABSENT; CN_E_OPEN_MODE; CN_E_FULL: longer than size_max; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_file_read(const char *path, bool secret, char *out, size_t size_max,
                                     size_t *size);
/* Write path whole, mode 0600, or leave what is there: a temporary file beside it, synced, renamed.
 * replace: over an existing one, else CN_E_EXISTS. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_file_write(const char *path, bool replace, const char *text,
                                      size_t size);
/* Make a directory and those above it, mode 0700. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_file_directories(const char *path);
/* Rename inside a directory (AT_FDCWD: paths as they are), never over another file: EEXIST. 0, or
 * -1 and errno. */
int cn_file_rename_new(int directory, const char *from, const char *to);
/* What was made, renamed or removed beside path stays so after a power cut. Best effort. */
void cn_file_sync_directory_of(const char *path);

#endif
