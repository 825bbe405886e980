/* filter.h - what of a tree is left out: patterns of the command line, and files .gitignore.
 *
 * Patterns are git's (gitignore(5)), octet for octet and whatever the locale:
 *   *        anything but a slash              ?       one octet but a slash
 *   [a-z]    one of these, [!a-z] none         \x      x itself
 *   a ** between slashes, or at either end: any number of directories
 *   a slash at the end: directories only. An exclamation mark first: what it matches stays.
 *   no slash but at the end: matches the last part of a name, at any depth
 *   any other slash: matches the whole path from where it is anchored
 * Of the patterns that match an entry the last decides; what is in a directory that is left out
 * cannot stay. Those of the command line are anchored at each path that is sent, decide over those
 * of any file, and without a slash apply to the given paths, too; a .gitignore is anchored where it
 * lies, decides over those above it, and applies to what is beside and below. Only those within
 * what is sent are read: neither those above it, nor .git/info/exclude, nor a user's own of git.
 *
 * fnmatch(3) is not it: it depends on the locale, knows no **, and takes a [ without ] for itself
 * where git takes the pattern to match nothing. */
#ifndef CN_FILTER_H
#define CN_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum {
    CN_FILTER_PATTERN_SIZE_MAX = 4096,    /* octets */
    CN_FILTER_FILE_SIZE_MAX = 1024 * 1024 /* octets of a .gitignore; a longer one is a problem */
};

struct cn_filter;

/* Nothing is left out. Owned by the caller; for cn_filter_free. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_filter_create(struct cn_filter **filter);
/* NULL is fine. */
void cn_filter_free(struct cn_filter *filter);
/* One more pattern of the command line; copied. CN_E_NAME: empty or too long; CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_filter_exclude(struct cn_filter *filter, const char *pattern);
/* Files .gitignore count, and what is called .git is left out. */
void cn_filter_use_gitignore(struct cn_filter *filter);
bool cn_filter_uses_gitignore(const struct cn_filter *filter);

/* --- for walk.c ----------------------------------------------------------------------------- */

/* A directory is entered: the patterns of its .gitignore, text[0..size), size 0 if there is none,
 * count until it is left. path_size: octets of the directory's path, below what is sent, with a
 * slash at its end; of what is sent itself: 0. CN_E_MEMORY: it is not entered. */
CN_MUST_USE enum cn_err cn_filter_enter(struct cn_filter *filter, size_t path_size,
                                        const char *text, size_t size);
void cn_filter_leave(struct cn_filter *filter);
/* Whether what is at path[0..size) below what is sent is left out. part: where its last part
 * begins. is_top: path is the name of what is sent. */
bool cn_filter_excludes(const struct cn_filter *filter, const char *path, size_t size, size_t part,
                        bool is_directory, bool is_top);

/* Whether text[0..size), which is a path, matches all of pattern[0..pattern_size), in no more steps
 * than the product of their sizes, times eight. */
bool cn_glob_matches(const char *pattern, size_t pattern_size, const char *text, size_t size);

#endif
