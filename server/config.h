/* config.h - cyphernetd.conf: every limit of the server. cyphernetd.conf(5) */
#ifndef CN_CONFIG_H
#define CN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum {
    CN_CONFIG_WORD_SIZE = 32,
    CN_CONFIG_LISTEN_SIZE = 64,
    CN_CONFIG_COMPLAINT_SIZE = 512,
    CN_CONFIG_CLASS_COUNT = 256,
    CN_CONFIG_WORKERS_MAX = 32
};

/* What each subscriber of a limits class (PROTOCOL.md 2.3) may have. */
struct cn_class_limits {
    uint32_t lines_max_per_subscriber; /* of any state */
    uint32_t lines_per_subscriber;     /* waiting */
    uint32_t tags_per_subscriber;
    uint32_t lists_per_subscriber;
    uint64_t rate_per_subscriber; /* octets per second; 0: no limit */
};

/* A section [class.N]: what it does not set is as for all. */
struct cn_class {
    uint8_t set; /* a bit for each limit, in the order above */
    struct cn_class_limits limits;
};

struct cn_config {
    /* [admission] */
    uint32_t hello_timeout;       /* seconds */
    uint32_t pending_max;         /* lines not yet admitted, in all */
    uint32_t pending_per_address; /* of one IPv4 address or IPv6 /64 */
    /* [waiting] */
    uint32_t lines_max; /* lines in all, joined ones too */
    uint32_t lines_max_per_subscriber;
    uint32_t lines_per_subscriber; /* waiting */
    uint32_t tags_per_line;
    uint32_t tags_per_subscriber;
    uint32_t tags_max;  /* in all */
    uint32_t lists_max; /* tags coming in several messages just now, in all */
    uint32_t lists_per_subscriber;
    uint32_t updates_per_minute; /* of one line */
    uint32_t waiting_time;       /* seconds; 0: no limit */
    uint32_t keep_alive;         /* seconds between keep-alives */
    uint32_t spread;             /* seconds over which clients come back */
    /* [joining] */
    uint32_t ready_timeout; /* seconds */
    uint32_t prologue_timeout;
    uint32_t prologue_size_max; /* octets */
    /* [calls] */
    uint32_t idle_timeout;        /* seconds without an octet; 0: no limit */
    uint32_t stall_timeout;       /* seconds that an end may not take what it is sent */
    uint64_t rate_per_subscriber; /* octets per second; 0: no limit */
    uint64_t rate_all;            /* of all together, likewise */
    uint32_t workers;             /* switch workers; 0: as many as there are cores */
    uint32_t pipes_max;           /* lent to calls that move data, by all of them */
    uint32_t turn_size;           /* octets that one direction moves before others get a turn */
    char congestion_control[CN_CONFIG_WORD_SIZE]; /* empty: the system's */
    /* [server] */
    uint32_t shutdown_timeout; /* seconds for joined calls to end after SIGTERM */
    bool log_addresses;
    bool log_subscribers;
    bool log_json; /* log_format */
    /* [metrics] */
    char metrics_listen[CN_CONFIG_LISTEN_SIZE];     /* loopback.h; empty: none */
    struct cn_class classes[CN_CONFIG_CLASS_COUNT]; /* [class.N]; 0 is never set */
};

void cn_config_defaults(struct cn_config *config);

/* Read path over the defaults. CN_E_ABSENT: there is no such file. CN_E_FORMAT: complaint says
 * which line and what to do. CN_E_SYSTEM (errno). *config is untouched on failure. */
CN_MUST_USE enum cn_err cn_config_read(struct cn_config *config, const char *path,
                                       char complaint[CN_CONFIG_COMPLAINT_SIZE]);
/* The same from text, which is what the file holds. */
CN_MUST_USE enum cn_err cn_config_parse(struct cn_config *config, const char *text,
                                        char complaint[CN_CONFIG_COMPLAINT_SIZE]);

/* What is in force for a class. */
struct cn_class_limits cn_config_class(const struct cn_config *config, uint8_t limits_class);

/* Whether a subscriber of any class is limited in what he sends. */
bool cn_config_has_rates(const struct cn_config *config);

/* The i-th key as "section.key", for the test of the manual; NULL: no more. */
const char *cn_config_key(size_t i);
/* Whether its value in wanted cannot be had by a process that began with started. */
bool cn_config_needs_restart(size_t i, const struct cn_config *started,
                             const struct cn_config *wanted);

#endif
