/* journal.h - what the part of a file is of, and how much of it is on disk.
 *
 * Journals are in a directory of the subscriber's own ($XDG_STATE_HOME/cyphernet/journals, or
 * $CYPHERNET_HOME/journals), not beside the parts: so nothing that a partner sends can be taken for
 * one, a part in a shared directory is continued by who began it only, and all can be listed
 * without a search. One file for each partner, directory and name, called after the SHA-256 of the
 * three; it is written whole or not at all. */
#ifndef CN_JOURNAL_H
#define CN_JOURNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyphernet.h>

#include "entry.h"
#include "err.h"
#include "fingerprint.h"
#include "temporary.h"

enum {
    CN_JOURNAL_VERSION = 1,
    CN_JOURNAL_BLOCK_SIZE = 1024 * 1024, /* octets: what is noted is whole blocks */
    CN_JOURNAL_SIZE_MAX = 16384
};

struct cn_journal {
    /* which it is */
    char partner[CN_NAME_SIZE_MAX + 1];
    char place[PATH_MAX];                  /* real path of the directory received into */
    char name[CN_ENTRY_NAME_SIZE_MAX + 1]; /* the entry's */
    /* the file as the sender offered it */
    uint64_t size;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t identity;
    /* the part, beside where the file will be */
    char temporary[CN_TEMPORARY_NAME_SIZE];
    uint64_t device, inode;
    uint64_t written; /* octets that are on disk, from the first on */
};

/* out holds CN_JOURNAL_SIZE_MAX octets; returns how many are used. */
size_t cn_journal_encode(const struct cn_journal *journal, uint8_t *out);
/* CN_E_VERSION, CN_E_FORMAT. *journal is untouched on failure. */
CN_MUST_USE enum cn_err cn_journal_decode(struct cn_journal *journal, const uint8_t *in,
                                          size_t in_size);

/* All of one subscriber. */
struct cn_journals;

/* home is borrowed. Makes nothing yet. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_journals_open(struct cn_journals **journals, const struct cn_home *home);
/* NULL is fine. */
void cn_journals_close(struct cn_journals *journals);

/* Where they are; it need not be there. */
const char *cn_journals_directory(const struct cn_journals *journals);

/* Read the one of journal's partner, place and name. CN_E_ABSENT; CN_E_FORMAT, CN_E_VERSION: what
 * is there is none, or of other names; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_journal_load(const struct cn_journals *journals,
                                        struct cn_journal *journal);
/* Write it, in place of the one that is there. CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_journal_store(const struct cn_journals *journals,
                                         const struct cn_journal *journal);
/* There need be none. */
void cn_journal_remove(const struct cn_journals *journals, const struct cn_journal *journal);

/* Called for each journal that can be read; journal: borrowed for the call. */
typedef void cn_journal_visit(void *context, const struct cn_journal *journal);
/* CN_E_SYSTEM (errno), CN_E_MEMORY. No directory yet is no failure. */
CN_MUST_USE enum cn_err cn_journals_each(const struct cn_journals *journals,
                                         cn_journal_visit *visit, void *context);

#endif
