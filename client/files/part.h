/* part.h - one file that arrives: written under a temporary name, which never looks complete, and
 * given its own when it is whole, verified and on disk.
 *
 * Why a name and not O_TMPFILE: it is as fast (measured on ext4 and tmpfs: within a fifth), works
 * on every file system, and needs no descriptor between sealing and storing, so a thousand small
 * files are synced together. Filling a new directory under another name saves a third of the time
 * and was not taken: nothing could be told as stored before the last file of it.
 *
 *   init -> open -> write, skip, checkpoint ... -> [verify what fd holds] -> seal -> store -> close
 *
 * The temporary file is ".cyphernet-" 16 digits ".part" beside where the file will be: there it
 * gets the group and access list of that directory, is on its file system, and fits whatever the
 * name is. From CN_PART_BLOCK_SIZE octets on, what is interrupted can go on: a journal says what it
 * is of. */
#ifndef CN_PART_H
#define CN_PART_H

#include <stddef.h>
#include <stdint.h>

#include "place.h"

enum { CN_PART_BLOCK_SIZE = CN_JOURNAL_BLOCK_SIZE, CN_PART_CHECKPOINT_MS = 1000 };

struct cn_part {
    struct cn_place *place;       /* borrowed */
    const struct cn_entry *entry; /* borrowed until cn_part_close, and its name */
    int fd;           /* readable, for who verifies it; -1 once sealed (large: stored) */
    uint64_t written; /* octets, from the first on; holes, too */
    enum cn_err err;  /* of storing it: CN_OK is on disk under its name */
    int error;        /* its errno */
    char stored[CN_ENTRY_PART_SIZE_MAX + 1]; /* the last part of the name it got, once stored */

    /* for part.c */
    char temporary[CN_TEMPORARY_NAME_SIZE]; /* empty: none */
    uint64_t inode, device;
    uint64_t noted;  /* octets that the journal says are on disk */
    int64_t next_ms; /* not before this is it written again */
    /* The errno of a sync, or 0. The system tells of what it could not write once, and has dropped
     * it then: a sync that goes well afterwards says nothing. */
    int sync_error;
    bool is_large; /* a journal is worth its cost */
    bool reserved, has_journal;
};

/* Nothing is open yet; cn_part_close is fine from here on. */
void cn_part_init(struct cn_part *part);
/* Begin a file that cn_place_judge let pass. written > 0: this much is there of an earlier run,
 * that had the same partner, name, size, time and identity; go on after it, or say cn_part_restart.
 * CN_E_SYSTEM, errno EBUSY: another process is receiving it; ENOSPC. */
CN_MUST_USE enum cn_err cn_part_open(struct cn_part *part, struct cn_place *place,
                                     const struct cn_entry *entry);
/* From the first octet again. */
CN_MUST_USE enum cn_err cn_part_restart(struct cn_part *part);
/* These three touch nothing but the part: any thread may call them, one at a time.
 * Append all of from[0..size). CN_E_LIMIT: more than the entry's size; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_part_write(struct cn_part *part, const void *from, size_t size);
/* Append zeros, as a hole. Errors of cn_part_write. */
CN_MUST_USE enum cn_err cn_part_skip(struct cn_part *part, uint64_t size);
/* Sync and note what has been written, if that was not done within the last second: to be called
 * while a file arrives, as often as one likes. now_ms: of any steady clock. A failure is told by
 * seal; here it means that less can go on later. */
void cn_part_checkpoint(struct cn_part *part, int64_t now_ms);
/* When that has something to note; UINT64_MAX: there is nothing. While no thread writes. */
uint64_t cn_part_due_ms(const struct cn_part *part);
/* It is whole and verified: permissions and time as offered; fd is closed. CN_E_TRUNCATED: it is
 * not; CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_part_seal(struct cn_part *part);
/* For storing.c: it has got its name, or as err says it has not. */
void cn_part_stored(struct cn_part *part);
/* What has got its name stays. Else it is removed; keep: unless it can go on in a later run, for
 * which it is synced and noted once more. How many octets are kept so. */
uint64_t cn_part_close(struct cn_part *part, bool keep);

#endif
