/* status.h - how the server is doing, as a JSON object for cyphernetctl. cyphernetd(8) */
#ifndef CN_STATUS_H
#define CN_STATUS_H

#include <stddef.h>

#include "page.h"

enum { CN_STATUS_SIZE_MIN = 2048, CN_STATUS_WORKERS_MAX = 96 };

/* One switch worker that runs. */
struct cn_status_worker {
    uint32_t number;   /* no other that runs has it */
    uint32_t draining; /* it waits for its last call */
    uint64_t bytes_per_s;
    struct cn_switch_counts calls;
};

/* All processes together, those that have ended too. */
struct cn_status {
    struct cn_gate_status gate;
    struct cn_switch_counts calls;
    uint32_t workers; /* that are running */
    struct cn_status_worker worker[CN_STATUS_WORKERS_MAX];
    uint32_t lines_max;
    uint32_t admits; /* whether a gate does */
    uint64_t uptime_s;
    uint64_t bytes_per_s; /* of the last ten to twenty seconds, as all these */
    uint64_t admitted_per_s;
    uint64_t joined_per_s;
    uint64_t gate_restarts;              /* not those that were asked for */
    uint64_t worker_restarts;            /* likewise */
    uint64_t metrics_restarts;           /* likewise */
    const struct cn_page_map *admitting; /* the gate whose subscribers are told; NULL: none */
    const struct cn_page_map *moving[CN_STATUS_WORKERS_MAX]; /* the workers that have their calls */
    size_t moving_count;
};

/* What a process has counted; is_running: its present numbers, too. */
void cn_status_add(struct cn_status *status, const struct cn_page *page, bool is_running);
/* Ended by a NUL; size is CN_STATUS_SIZE_MIN or more. Subscribers for whom there is no room are
 * left out, and counted. */
void cn_status_write(const struct cn_status *status, uint64_t uptime_s, char *reply, size_t size);

#endif
