/* jobs.h - threads that do jobs beside the owner's, who is told of the end by a descriptor.
 *
 * Jobs are done by any thread, in any order, each just once. */
#ifndef CN_JOBS_H
#define CN_JOBS_H

#include <stdbool.h>

#include "err.h"

/* Embedded in what it is about. */
struct cn_job {
    void (*run)(struct cn_job *job); /* on a worker's thread */
    struct cn_job *next;             /* the pool's */
    bool is_done;                    /* the owner's, see cn_jobs_reap */
};

struct cn_jobs;

/* CN_E_MEMORY, CN_E_SYSTEM (errno). */
CN_MUST_USE enum cn_err cn_jobs_start(struct cn_jobs **jobs, unsigned thread_count);
/* Does nothing more that has not begun, waits for what has, and frees; NULL is fine. */
void cn_jobs_stop(struct cn_jobs *jobs);
/* Have it done; job is borrowed until it is done or they are stopped. */
void cn_jobs_submit(struct cn_jobs *jobs, struct cn_job *job);
/* Readable when jobs have become done since the last cn_jobs_reap. */
int cn_jobs_descriptor(const struct cn_jobs *jobs);
/* Set is_done of all that are; the owner's thread, which alone looks at it. */
void cn_jobs_reap(struct cn_jobs *jobs);

#endif
