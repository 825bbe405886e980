/* leftover.h - parts that no later run has continued: to be listed, and removed. */
#ifndef CN_LEFTOVER_H
#define CN_LEFTOVER_H

#include "journal.h"

enum cn_leftover_state {
    CN_LEFTOVER_IDLE, /* nobody writes it */
    CN_LEFTOVER_BUSY, /* a process is receiving it now */
    CN_LEFTOVER_GONE  /* the part is not to be found, only its journal is */
};

/* Open and lock the part that journal is of, in the directory parent; *fd is the caller's.
 * CN_E_ABSENT: none is there that fits; CN_E_TRUNCATED: it is shorter than it was; CN_E_SYSTEM,
 * errno EBUSY: a process is receiving it. */
CN_MUST_USE enum cn_err cn_leftover_open(int parent, const struct cn_journal *journal, int *fd);
enum cn_leftover_state cn_leftover_state(const struct cn_journal *journal);
/* Remove the part and its journal. CN_E_SYSTEM, errno EBUSY: a process is receiving it. */
CN_MUST_USE enum cn_err cn_leftover_remove(const struct cn_journals *journals,
                                           const struct cn_journal *journal);

#endif
