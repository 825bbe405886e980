/* page.h - what each process tells of itself: a page of shared memory that it alone writes.
 *
 * The supervisor makes it and reads it at any time, without asking; so does who serves metrics. A
 * reader believes no more of it than numbers, and knows by himself how many there are. */
#ifndef CN_PAGE_H
#define CN_PAGE_H

#include "counts.h"
#include "owners.h"
#include "rates.h"

enum { CN_PAGE_VERSION = 1 };

struct cn_page {
    uint32_t version;              /* set by cn_page_make */
    struct cn_gate_status gate;    /* of a gate */
    struct cn_switch_counts calls; /* of a switch worker */
    uint32_t owners_used;          /* those from here on were never touched */
    struct cn_owner owners[];      /* those with lines have some */
};

/* A page as a process has it. */
struct cn_page_map {
    struct cn_page *page;
    uint32_t owner_max;
};

/* A page for owner_max owners, whose size nobody can change; *fd is the caller's. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_page_make(int *fd, uint32_t owner_max);
/* CN_E_SYSTEM; CN_E_FORMAT: it is none; CN_E_VERSION: of another program. */
CN_MUST_USE enum cn_err cn_page_map(struct cn_page_map *map, int fd, bool writable);
/* How many owners are worth a look, whatever the page says. */
uint32_t cn_page_owners(const struct cn_page_map *map);
void cn_page_unmap(struct cn_page_map *map);

/* The bucket of the rate that all workers share, likewise; each of them writes it. */
CN_MUST_USE enum cn_err cn_page_bucket_make(int *fd);
CN_MUST_USE enum cn_err cn_page_bucket_map(cn_bucket **bucket, int fd);

#endif
