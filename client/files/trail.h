/* trail.h - where a call has put temporary files, so that another can remove what a kill has left.
 *
 * A part of a large file has a journal, and goes on later. All the others, thousands at once, have
 * none: that would cost more than they do. So each call keeps one file beside the journals, locked
 * as long as it lives, which says what its temporary files are numbered from and which directories
 * they are in. The next call with the same partner and directory looks for such files of calls that
 * live no more, and removes what they left and no journal is about. Nobody who does not come back
 * within 90 days is waited for. */
#ifndef CN_TRAIL_H
#define CN_TRAIL_H

#include "journal.h"

enum {
    CN_TRAIL_SIZE_MAX = 4 * 1024 * 1024, /* octets: in further directories nothing is found again */
    CN_TRAIL_NUMBER_COUNT = 1 << 24      /* temporary files of a call, at most */
};

struct cn_trail;

/* Whose a trail is, and where. */
struct cn_trail_head {
    const char *partner;
    const char *place; /* real path of the directory received into */
    uint64_t first;    /* number of the first temporary file */
};

/* All that a file says. CN_OK: head, which borrows from in, and *used octets of it, behind which
 * come the names of directories, below the place, each with a NUL after it. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_trail_decode(struct cn_trail_head *head, size_t *used, const char *in,
                                        size_t in_size);

/* Nothing is written before the first directory is noted. CN_E_MEMORY. journals is borrowed, and
 * what head points to. */
CN_MUST_USE enum cn_err cn_trail_begin(struct cn_trail **trail, const struct cn_journals *journals,
                                       const struct cn_trail_head *head);
/* A temporary file is about to be made in directory[0..size), below the place. That it could not be
 * noted keeps nobody from making it. */
void cn_trail_note(struct cn_trail *trail, const char *directory, size_t size);
/* Nothing is left that a journal is not about. NULL is fine. */
void cn_trail_end(struct cn_trail *trail);

/* Remove what calls with this partner and place left that live no more. */
void cn_trail_sweep(const struct cn_journals *journals, const char *partner, const char *place);

#endif
